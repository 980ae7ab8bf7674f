//! Webhook endpoints: `/orgs/{org}/boards/{board}/hooks` and `/orgs/{org}/hooks/{hook}/deliveries`.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query};
use serde_json::Value;

use super::{
    answer::{Answer, Page},
    auth::{Admin, Named},
    body::{Body, members},
    cursor::List,
    idempotency::Once,
    problem::{Fault, Problem},
};
use crate::{
    hooks::{
        delivery::{self, Outcome},
        endpoint::{self, Address, NewHook},
        mapping::{self, Mapping, MappingError},
        signature::{Scheme, SigningSecret},
    },
    ids::{BoardId, DeliveryId, HookId},
    text::{Explain, Message, Name},
};

members! {
    /// An endpoint to be made.
    pub struct NewEndpoint {
        /// What people read.
        name: Name,
        /// How senders prove themselves: `secret-url` or `standard-webhooks`.
        scheme: String,
        /// The signing secret, `whsec_…`; made if not given. Only for a scheme that signs.
        secret: Option<String>,
        /// Which received value fills what: `{"title", "status"?, "fields"?, "key"?}`.
        mapping: Option<Value>,
    }
}

/// An endpoint that was made.
#[derive(Debug, Object)]
pub struct Endpoint {
    id: String,
    name: String,
    scheme: String,
    /// Where senders post to. Whoever knows it may deliver, unless the scheme signs.
    url: String,
    /// The signing secret; `null` for a scheme without.
    secret: Option<String>,
}

/// One delivery.
#[derive(Debug, Object)]
pub struct Delivery {
    id: String,
    received_at: String,
    /// `accepted`, `held` or `duplicate`.
    outcome: String,
    /// The card that it became.
    card: Option<String>,
    /// The delivery that brought the same id first.
    duplicate_of: Option<String>,
    /// Why it was held.
    reason: Option<String>,
    /// Bytes of the body.
    size: u64,
    /// Whether a signature was verified.
    signed: bool,
    /// The id by which the sender names it.
    sender_id: Option<String>,
}

impl From<delivery::Delivery> for Delivery {
    fn from(delivery: delivery::Delivery) -> Self {
        let outcome = delivery.outcome.name().to_owned();
        let (card, duplicate_of, reason) = match delivery.outcome {
            Outcome::Accepted { card, .. } => (Some(card.to_string()), None, None),
            Outcome::Held { code, .. } => (None, None, Some(code)),
            Outcome::Duplicate { of } => (None, Some(of.to_string()), None),
        };
        Self {
            id: delivery.id.to_string(),
            received_at: delivery.received_at.rfc3339(),
            outcome,
            card,
            duplicate_of,
            reason,
            size: delivery.size,
            signed: delivery.signed,
            sender_id: delivery.sender_id,
        }
    }
}

/// The faults of a mapping, as members of the request.
fn mapping_faults(error: MappingError) -> impl Iterator<Item = Fault> {
    error.0.into_iter().map(|fault| {
        let field = if fault.field == "mapping" { fault.field } else { format!("mapping.{}", fault.field) };
        Fault::new(&field, "mapping", fault.rule.message())
    })
}

impl NewEndpoint {
    /// The endpoint, as far as it can be checked without its board.
    fn hook(self, board: BoardId, id: HookId, address: Address) -> Result<NewHook, Problem> {
        let mut faults = Vec::new();
        let scheme =
            self.scheme.parse::<Scheme>().map_err(|_| faults.push(Fault::unknown("scheme", &self.scheme))).ok();
        let secret = match self.secret.as_deref() {
            Some(_) if scheme.is_some_and(|scheme| !scheme.has_secret()) => {
                faults.push(Fault::new("secret", "unknown-member", Message::plain("api-rule-no-secret")));
                None
            }
            Some(given) => SigningSecret::parse(given)
                .map_err(|error| faults.push(Fault::new("secret", "secret", error.message())))
                .ok(),
            None => scheme.filter(|scheme| scheme.has_secret()).map(|_| SigningSecret::fresh()),
        };
        let mapping = self.mapping.as_ref().map(Mapping::parse).transpose().unwrap_or_else(|error| {
            faults.extend(mapping_faults(error));
            None
        });
        match scheme {
            Some(scheme) if faults.is_empty() => {
                let secret = secret.map(|secret| secret.text().to_string());
                Ok(NewHook { id, board, name: self.name, scheme, secret, mapping, address })
            }
            _ => Err(Problem::faults(faults)),
        }
    }
}

/// The operations.
pub struct Hooks;

#[OpenApi]
impl Hooks {
    /// Create an endpoint
    #[oai(path = "/orgs/:org/boards/:board/hooks", method = "post")]
    async fn create(
        &self,
        org: Admin,
        board: Named<BoardId>,
        #[oai(name = "Idempotency-Key")] once: Once,
        body: Body<NewEndpoint>,
    ) -> Result<Answer<Endpoint, 201>, Problem> {
        let new = body.given.hook(board.0, HookId::fresh(org.now), Address::fresh(org.org))?;
        let caller = Arc::clone(&org.0);
        once.submit(&org, body.digest, body.bytes, move |txn| {
            let board = caller.board(txn.reader(), new.board)?;
            if let Some(mapping) = &new.mapping {
                let fields: Vec<mapping::Field<'_>> =
                    board.fields.iter().map(|field| mapping::Field { key: &field.key, label: &field.label }).collect();
                let checked = mapping.check_fields(&fields);
                checked.map_err(|error| Problem::faults(mapping_faults(error).collect()))?;
            }
            let hook = endpoint::create(txn, caller.now, caller.actor(), &new)?;
            Ok(Answer::of(&Endpoint {
                id: hook.id.to_string(),
                name: hook.name,
                scheme: hook.scheme,
                url: format!("{}/hooks/{}", caller.app.public_url, hook.address),
                secret: hook.secret,
            }))
        })
        .await
    }

    /// Deliveries
    ///
    /// Of an endpoint, latest first; of one that was removed, too.
    #[oai(path = "/orgs/:org/hooks/:hook/deliveries", method = "get")]
    async fn deliveries(
        &self,
        org: Admin,
        hook: Named<HookId>,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
    ) -> Result<Answer<Page<Delivery>>, Problem> {
        let (before, limit) = List::Deliveries.asked::<DeliveryId>(limit.0, cursor.0.as_deref())?;
        let read = org.store.read(move |view| {
            endpoint::hook(view, hook.0)?.ok_or_else(Problem::not_found)?;
            let found = delivery::of_hook(view, hook.0, before, limit + 1)?;
            Ok::<_, Problem>(Page::of(found, limit, |last| List::Deliveries.cursor(&last.id), Delivery::from))
        });
        Ok(Answer::of(&read.await?))
    }
}
