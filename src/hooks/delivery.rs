//! Deliveries: what was received, what became of it, and whether it was received before.

use std::{ops::ControlFlow, time::Duration};

use minicbor::{Decode, Encode};

use super::{mapping, payload, target::Target};
use crate::{
    clock::Timestamp,
    ids::{CardId, DeliveryId, HookId},
    store::{Order, Read, Shape, Span, StoreError, Table, Txn, history::Actor},
    text::Title,
    work::{self, Command, NewCard, Outcome as WorkOutcome, WorkError},
};

/// Deliveries by id.
const DELIVERIES: Table<DeliveryId, Delivery> = Table::new("deliveries");
/// Bodies as they were received, by delivery.
const BODIES: Table<DeliveryId, Body> = Table::new("delivery_bodies");
/// Deliveries of an endpoint.
const BY_HOOK: Table<(HookId, DeliveryId), ()> = Table::new("deliveries_by_hook");
/// Which delivery brought an endpoint's sender's id last. By the id as it is: many senders count or begin with the time,
/// and then these keys grow at one edge, as all the others do.
const SENDER_IDS: Table<(HookId, String), DeliveryId> = Table::new("sender_ids");
/// The last delivery whose sender's id was forgotten.
const FORGOTTEN: Table<(), DeliveryId> = Table::new("sender_ids_forgotten");
/// What stands in these tables.
pub const SHAPES: [Shape; 5] =
    [DELIVERIES.shape(), BODIES.shape(), BY_HOOK.shape(), SENDER_IDS.shape(), FORGOTTEN.shape()];

/// For how long a repeated id is known again: the longest retry schedule seen lasts 75 hours.
const REMEMBERED: Duration = Duration::from_secs(5 * 86_400);
/// Deliveries that one call of [`forget_old_ids`] looks at.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Delivery {
    #[n(0)]
    pub id: DeliveryId,
    #[n(1)]
    pub hook: HookId,
    #[n(2)]
    pub received_at: Timestamp,
    #[n(3)]
    pub outcome: Outcome,
    /// Bytes of the body.
    #[n(4)]
    pub size: u64,
    /// The id by which the sender names it on every try.
    #[n(5)]
    pub sender_id: Option<String>,
    /// Whether a signature was verified.
    #[n(6)]
    pub signed: bool,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It became a card.
    #[n(0)]
    Accepted {
        #[n(0)]
        card: CardId,
        #[n(1)]
        number: u64,
    },
    /// Kept, but it could not be read or mapped. `key` and `args` are words of the locale files.
    #[n(1)]
    Held {
        #[n(0)]
        code: String,
        #[n(1)]
        reason: String,
    },
    /// It was received before.
    #[n(2)]
    Duplicate {
        #[n(0)]
        of: DeliveryId,
    },
}

impl Outcome {
    /// The outcome's name in the API and of its word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Held { .. } => "held",
            Self::Duplicate { .. } => "duplicate",
        }
    }
}

/// A body as it was received, with what it came with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Body {
    #[n(0)]
    pub content_type: Option<String>,
    /// Headers as received, secrets masked.
    #[n(1)]
    pub headers: Vec<(String, String)>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// A delivery that passed its endpoint's scheme.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub id: DeliveryId,
    pub card: CardId,
    pub hook: HookId,
    pub at: Timestamp,
    pub sender_id: Option<String>,
    pub signed: bool,
    pub body: Body,
    /// What is to become of it if it is new: the card, or why there can be none. Worked out before the transaction.
    pub plan: Plan,
}

/// What a delivery is to become.
#[derive(Clone, Debug)]
pub enum Plan {
    Card(Box<NewCard>),
    Hold { code: String, reason: String },
}

/// What the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The delivery; the first one of a repeated id.
    pub delivery: DeliveryId,
    pub outcome: Outcome,
    pub duplicate: bool,
}

/// Works out what a payload is to become on its board. Pure; `untitled` makes the title of a payload that offers none.
#[must_use]
pub fn plan(target: &Target, body: &Body, delivery: DeliveryId, card: CardId, untitled: &dyn Fn() -> Title) -> Plan {
    let payload = match payload::read(body.content_type.as_deref(), &body.bytes) {
        Ok(payload) => payload,
        Err(unreadable) => {
            return Plan::Hold { code: unreadable.code().to_owned(), reason: unreadable.to_string() };
        }
    };
    let mapped = match &target.mapping {
        Some(mapping) => mapping.apply(&payload.value, &target.fields),
        None => mapping::plain(&payload.value, &target.fields),
    };
    let board = &target.board;
    let mut new = NewCard::titled(card, board.id, mapped.title.unwrap_or_else(untitled));
    new.delivery = Some(delivery);
    new.status = mapped
        .status
        .and_then(|name| board.statuses.iter().find(|status| status.name == name.as_str()).map(|status| status.id));
    new.values = mapped
        .fields
        .into_iter()
        .filter_map(|(key, value)| Some((board.fields.iter().find(|field| field.key == key)?.id, value)))
        .collect();
    Plan::Card(Box::new(new))
}

/// The delivery that brought a sender's id, if it is remembered. A clock that was set back makes no known id new.
fn earlier(view: &dyn Read, incoming: &Incoming, sender_id: &str) -> Result<Option<Delivery>, StoreError> {
    let Some(id) = view.get(&SENDER_IDS, &(incoming.hook, sender_id.to_owned()))? else { return Ok(None) };
    let first = view.get(&DELIVERIES, &id)?;
    Ok(first.filter(|first| incoming.at.since(first.received_at) < REMEMBERED))
}

/// Takes a delivery in: once, durably with its card. A repeated id answers as the first time did; one that was held is
/// tried again.
///
/// # Errors
/// What the store says; [`work::Refusal::Quota`] if the organization may hold no more bytes. A card that is refused for
/// another reason leaves a held delivery, not an error.
pub fn receive(txn: &Txn<'_>, incoming: &Incoming) -> Result<Receipt, WorkError> {
    if let Some(sender_id) = &incoming.sender_id
        && let Some(first) = earlier(txn.reader(), incoming, sender_id)?
        && matches!(first.outcome, Outcome::Accepted { .. })
    {
        keep(txn, incoming, Outcome::Duplicate { of: first.id })?;
        return Ok(Receipt { delivery: first.id, outcome: first.outcome, duplicate: true });
    }
    work::room_for_more(txn.reader())?;
    let outcome = match &incoming.plan {
        Plan::Hold { code, reason } => Outcome::Held { code: code.clone(), reason: reason.clone() },
        Plan::Card(new) => {
            let made =
                work::change(txn, Actor::Hook(incoming.hook), incoming.at, &Command::CreateCard((**new).clone()));
            match made {
                Ok(WorkOutcome::Created { card, number }) => Outcome::Accepted { card, number },
                Ok(_) => Outcome::Held { code: "no-card".to_owned(), reason: "no card came of it".to_owned() },
                Err(WorkError::Refused(refusal)) => {
                    Outcome::Held { code: refusal.code().to_owned(), reason: refusal.to_string() }
                }
                Err(error) => return Err(error),
            }
        }
    };
    keep(txn, incoming, outcome.clone())?;
    txn.put(&BODIES, &incoming.id, &incoming.body)?;
    if let Some(sender_id) = &incoming.sender_id {
        txn.put(&SENDER_IDS, &(incoming.hook, sender_id.clone()), &incoming.id)?;
    }
    Ok(Receipt { delivery: incoming.id, outcome, duplicate: false })
}

fn keep(txn: &Txn<'_>, incoming: &Incoming, outcome: Outcome) -> Result<(), StoreError> {
    let delivery = Delivery {
        id: incoming.id,
        hook: incoming.hook,
        received_at: incoming.at,
        outcome,
        size: incoming.body.bytes.len() as u64,
        sender_id: incoming.sender_id.clone(),
        signed: incoming.signed,
    };
    txn.put(&DELIVERIES, &incoming.id, &delivery)?;
    txn.put(&BY_HOOK, &(incoming.hook, incoming.id), &())
}

/// A delivery.
///
/// # Errors
/// What the store says; so with every function here.
pub fn delivery(view: &dyn Read, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    view.get(&DELIVERIES, &id)
}

/// A delivery's body; none for a repeated one.
///
/// # Errors
/// What the store says.
pub fn body(view: &dyn Read, id: DeliveryId) -> Result<Option<Body>, StoreError> {
    view.get(&BODIES, &id)
}

/// Deliveries of an endpoint, newest first, those before `before`, at most `limit`.
///
/// # Errors
/// What the store says.
pub fn of_hook(
    view: &dyn Read,
    hook: HookId,
    before: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let mut span = Span::under(&hook);
    if let Some(before) = before {
        span = span.before(&(hook, before));
    }
    let keys = view.list(&BY_HOOK, &span, Order::Descending, limit)?;
    keys.into_iter().filter_map(|((_, id), ())| view.get(&DELIVERIES, &id).transpose()).collect()
}

/// Takes a delivery's body away; that it came, and what became of it, stays.
///
/// # Errors
/// What the store says.
pub fn erase_body(txn: &Txn<'_>, id: DeliveryId) -> Result<(), StoreError> {
    txn.delete(&BODIES, &id)
}

/// Forgets senders' ids that are too old to come again; returns how many deliveries it has looked at, 10,000 at most.
///
/// # Errors
/// What the store says.
pub fn forget_old_ids(txn: &Txn<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let (view, horizon) = (txn.reader(), now.minus(REMEMBERED));
    let span = view.get(&FORGOTTEN, &())?.map_or_else(Span::all, |last| Span::all().after(&last));
    let mut old = Vec::new();
    view.scan(&DELIVERIES, &span, Order::Ascending, |_, delivery| {
        if delivery.received_at >= horizon || old.len() == FORGOTTEN_AT_ONCE {
            return Ok(ControlFlow::Break(()));
        }
        old.push(delivery);
        Ok(ControlFlow::Continue(()))
    })?;
    for delivery in &old {
        let Some(sender_id) = &delivery.sender_id else { continue };
        let key = (delivery.hook, sender_id.clone());
        // A later delivery under the same id is remembered in its own right.
        if txn.reader().get(&SENDER_IDS, &key)? == Some(delivery.id) {
            txn.delete(&SENDER_IDS, &key)?;
        }
    }
    if let Some(last) = old.last() {
        txn.put(&FORGOTTEN, &(), &last.id)?;
    }
    Ok(old.len())
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
