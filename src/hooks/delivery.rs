//! Deliveries: what was received, what became of it, and whether it was received before.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::{
    endpoint::Hook,
    mapping::{self, Field},
    payload,
};
use crate::{
    clock::Timestamp,
    ids::{CardId, DeliveryId, HookId},
    store::{Order, Read, Span, StoreError, Table, Txn, history::Actor},
    text::Title,
    work::{self, Board, Command, NewCard, Outcome as WorkOutcome, WorkError},
};

/// Deliveries by id.
const DELIVERIES: Table<DeliveryId, Delivery> = Table::new("deliveries");
/// Bodies as they were received, by delivery.
const BODIES: Table<DeliveryId, Body> = Table::new("delivery_bodies");
/// Deliveries of an endpoint.
const BY_HOOK: Table<(HookId, DeliveryId), ()> = Table::new("deliveries_by_hook");
/// Senders' ids by (day, half of BLAKE3 of endpoint and id). The day keeps the table's growing edge small and lets old ids
/// go in one piece.
const SENDER_IDS: Table<(u64, [u8; 16]), DeliveryId> = Table::new("sender_ids");

/// For how many days a repeated id is known again, today included: the longest retry schedule seen lasts 75 hours.
const REMEMBERED_DAYS: u64 = 5;
const DAY: Duration = Duration::from_secs(86_400);

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

/// Works out what a payload is to become on its board. Pure; `untitled` is the title of a payload that offers none.
#[must_use]
pub fn plan(hook: &Hook, board: &Board, body: &Body, delivery: DeliveryId, card: CardId, untitled: &Title) -> Plan {
    let payload = match payload::read(body.content_type.as_deref(), &body.bytes) {
        Ok(payload) => payload,
        Err(unreadable) => {
            return Plan::Hold { code: unreadable.code().to_owned(), reason: unreadable.to_string() };
        }
    };
    let fields: Vec<Field<'_>> =
        board.fields.iter().map(|field| Field { key: &field.key, label: &field.label }).collect();
    let mapped = match hook.mapping() {
        Some(mapping) => mapping.apply(&payload.value, &fields),
        None => mapping::plain(&payload.value, &fields),
    };
    let mut new = NewCard::titled(card, board.id, mapped.title.unwrap_or_else(|| untitled.clone()));
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

fn day(at: Timestamp) -> u64 {
    u64::try_from(at.unix_seconds()).unwrap_or(0) / DAY.as_secs()
}

fn id_hash(hook: HookId, sender_id: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hook.0);
    hasher.update(sender_id.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

/// The delivery that brought a sender's id first, if it is remembered and has come to something.
fn earlier(view: &dyn Read, at: Timestamp, hash: [u8; 16]) -> Result<Option<Delivery>, StoreError> {
    let today = day(at);
    // A clock that was set back must not make a known id new: tomorrow's ids are looked at too.
    for known_day in today.saturating_sub(REMEMBERED_DAYS - 1)..=today + 1 {
        if let Some(id) = view.get(&SENDER_IDS, &(known_day, hash))? {
            return view.get(&DELIVERIES, &id);
        }
    }
    Ok(None)
}

/// Takes a delivery in: once, durably with its card. A repeated id answers as the first time did; one that was held is
/// tried again.
///
/// # Errors
/// What the store says. A card that is refused (a full board, say) leaves a held delivery, not an error.
pub fn receive(txn: &Txn<'_>, incoming: &Incoming) -> Result<Receipt, WorkError> {
    let hash = incoming.sender_id.as_deref().map(|id| id_hash(incoming.hook, id));
    if let Some(hash) = hash
        && let Some(first) = earlier(txn.reader(), incoming.at, hash)?
        && matches!(first.outcome, Outcome::Accepted { .. })
    {
        keep(txn, incoming, Outcome::Duplicate { of: first.id })?;
        return Ok(Receipt { delivery: first.id, outcome: first.outcome, duplicate: true });
    }
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
    if let Some(hash) = hash {
        txn.put(&SENDER_IDS, &(day(incoming.at), hash), &incoming.id)?;
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

/// Forgets senders' ids that are too old to come again; returns how many, at most 10,000 a call.
///
/// # Errors
/// What the store says.
pub fn forget_old_ids(txn: &Txn<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let span = Span::all().before(&day(now).saturating_sub(REMEMBERED_DAYS));
    let old = txn.reader().list(&SENDER_IDS, &span, Order::Ascending, 10_000)?;
    for (key, _) in &old {
        txn.delete(&SENDER_IDS, key)?;
    }
    Ok(old.len())
}
