//! The history of a store: every event, numbered without gaps and chained by hash.
//!
//! The chain covers each event's header and the BLAKE3 of (salt ‖ payload). Payload and salt stand in a table of their
//! own, so that a payload can be redacted later while the chain still verifies. Tables are the present, events the past.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};

use super::{
    Order, Read, Span, StoreError, Table, Txn,
    table::{Record, decode, encode},
};
use crate::{
    clock::Timestamp,
    ids::{HookId, TokenId, UserId, random_bytes},
};

/// Events' headers by number, starting at 1.
pub const EVENTS: Table<u64, Header> = Table::new("events");
/// Events' payloads by number.
pub const PAYLOADS: Table<u64, Payload> = Table::new("payloads");
/// The chain's end.
const HEAD: Table<(), Head> = Table::new("events_head");

/// Who did something. Ids only: a name would outlive the person's wish to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Actor {
    /// The appliance itself.
    #[n(0)]
    System,
    /// A signed-in person.
    #[n(1)]
    User(#[n(0)] UserId),
    /// A webhook endpoint.
    #[n(2)]
    Hook(#[n(0)] HookId),
    /// An API token.
    #[n(3)]
    Token(#[n(0)] TokenId),
    /// An operator, by command or console.
    #[n(4)]
    Operator(#[n(0)] Option<UserId>),
}

impl Actor {
    /// The person behind the act, if it is one of the organization.
    #[must_use]
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            _ => None,
        }
    }
}

/// The room whose events a payload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Room {
    /// Members, roles, invitations, settings.
    #[n(1)]
    People,
    /// Boards and cards.
    #[n(2)]
    Work,
    /// Webhook endpoints and deliveries.
    #[n(3)]
    Hooks,
}

/// What of an event is never redacted.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// When it was decided.
    #[n(0)]
    pub at: Timestamp,
    /// Who did it.
    #[n(1)]
    pub actor: Actor,
    /// Which room reads the payload.
    #[n(2)]
    pub room: Room,
    /// BLAKE3 of salt ‖ payload.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub payload: [u8; 32],
    /// BLAKE3 of the previous event's chain hash ‖ number (8 bytes, big endian) ‖ this header with `chain` zero.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub chain: [u8; 32],
}

/// What of an event may be redacted.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Payload {
    /// Keeps the header's hash from giving away a short payload.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub salt: [u8; 32],
    /// The room's event, as CBOR.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub event: Vec<u8>,
}

#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(map)]
struct Head {
    #[n(0)]
    number: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    chain: [u8; 32],
}

/// One event, as it is read back.
#[derive(Clone, Debug)]
pub struct Entry<E> {
    /// Its number.
    pub number: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub event: E,
}

fn payload_hash(payload: &Payload) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&payload.salt);
    hasher.update(&payload.event);
    *hasher.finalize().as_bytes()
}

fn chain_hash(previous: &[u8; 32], number: u64, header: &Header) -> [u8; 32] {
    let bare = Header { chain: [0; 32], ..header.clone() };
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(&number.to_be_bytes());
    hasher.update(&encode(&bare));
    *hasher.finalize().as_bytes()
}

/// Appends an event and returns its number.
///
/// # Errors
/// [`StoreError::Full`] or [`StoreError::Disk`].
pub fn append<E: Record>(txn: &Txn<'_>, at: Timestamp, actor: Actor, room: Room, event: &E) -> Result<u64, StoreError> {
    let head = txn.reader().get(&HEAD, &())?.unwrap_or_default();
    let number = head.number + 1;
    let payload = Payload { salt: random_bytes(), event: encode(event) };
    let mut header = Header { at, actor, room, payload: payload_hash(&payload), chain: [0; 32] };
    header.chain = chain_hash(&head.chain, number, &header);
    txn.put(&EVENTS, &number, &header)?;
    txn.put(&PAYLOADS, &number, &payload)?;
    txn.put(&HEAD, &(), &Head { number, chain: header.chain })?;
    Ok(number)
}

/// Takes an event's payload away. Its header stays, so the chain still verifies; verification counts it as redacted.
///
/// # Errors
/// [`StoreError::Full`] or [`StoreError::Disk`].
pub fn redact(txn: &Txn<'_>, number: u64) -> Result<(), StoreError> {
    txn.delete(&PAYLOADS, &number)
}

/// The last event's number; zero before the first.
///
/// # Errors
/// [`StoreError::Disk`] or [`StoreError::Damaged`].
pub fn head(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(view.get(&HEAD, &())?.unwrap_or_default().number)
}

/// The event `number` if it is of `room` and not redacted.
///
/// # Errors
/// [`StoreError::Disk`] or [`StoreError::Damaged`].
pub fn read<E: Record>(view: &dyn Read, room: Room, number: u64) -> Result<Option<Entry<E>>, StoreError> {
    let Some(header) = view.get(&EVENTS, &number)? else { return Ok(None) };
    if header.room != room {
        return Ok(None);
    }
    let Some(payload) = view.get(&PAYLOADS, &number)? else { return Ok(None) };
    let event = decode(PAYLOADS.name(), &payload.event)?;
    Ok(Some(Entry { number, at: header.at, actor: header.actor, event }))
}

/// The numbers after `after`, oldest first, at most `limit` events of any room; those of `room` are decoded.
///
/// # Errors
/// [`StoreError::Disk`] or [`StoreError::Damaged`].
pub fn since<E: Record>(view: &dyn Read, room: Room, after: u64, limit: usize) -> Result<Vec<Entry<E>>, StoreError> {
    let span = Span::all().after(&after);
    let mut found = Vec::new();
    for (number, header) in view.list(&EVENTS, &span, Order::Ascending, limit)? {
        if header.room == room
            && let Some(entry) = read(view, room, number)?
        {
            found.push(entry);
        }
    }
    Ok(found)
}

/// What a walk along the chain found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Events whose place in the chain was checked.
    pub checked: u64,
    /// Events whose payload was redacted.
    pub redacted: u64,
}

/// Follows the chain, event by event.
#[derive(Debug, Default)]
pub struct ChainCheck {
    report: ChainReport,
    previous: Head,
    /// The hash of the payload that the last event was written with, until that payload comes by.
    awaited: Option<[u8; 32]>,
}

impl ChainCheck {
    /// The next event.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not belong here.
    pub fn event(&mut self, number: u64, header: &Header) -> Result<(), StoreError> {
        if number != self.previous.number + 1 {
            return Err(damaged(self.previous.number + 1, "is missing"));
        }
        if header.chain != chain_hash(&self.previous.chain, number, header) {
            return Err(damaged(number, "does not continue the chain"));
        }
        self.report.checked += 1;
        self.report.redacted += u64::from(self.awaited.replace(header.payload).is_some());
        self.previous = Head { number, chain: header.chain };
        Ok(())
    }

    /// The payload of the event that came last.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not what the event was written with.
    pub fn payload(&mut self, number: u64, payload: &Payload) -> Result<(), StoreError> {
        let awaited = self.awaited.take().filter(|_| number == self.previous.number);
        match awaited {
            Some(hash) if hash == payload_hash(payload) => Ok(()),
            Some(_) => Err(damaged(number, "has another payload than it was written with")),
            None => Err(damaged(number, "has a payload without an event")),
        }
    }

    /// The number and the chain hash of the event that came last.
    #[must_use]
    pub fn end(&self) -> (u64, [u8; 32]) {
        (self.previous.number, self.previous.chain)
    }

    /// The report, after the last event.
    #[must_use]
    pub fn finish(self) -> ChainReport {
        let redacted = self.report.redacted + u64::from(self.awaited.is_some());
        ChainReport { redacted, ..self.report }
    }
}

fn damaged(number: u64, what: &str) -> StoreError {
    StoreError::Damaged { place: "events", reason: format!("event {number}: {what}") }
}

/// The last event's number and chain hash, as the store names them; zero before the first.
///
/// # Errors
/// [`StoreError::Disk`] or [`StoreError::Damaged`].
pub fn end(view: &dyn Read) -> Result<(u64, [u8; 32]), StoreError> {
    let head = view.get(&HEAD, &())?.unwrap_or_default();
    Ok((head.number, head.chain))
}

/// Walks the chain from the first event to the last.
///
/// # Errors
/// [`StoreError::Damaged`] at the first event that does not belong where it stands.
pub fn verify(view: &dyn Read) -> Result<ChainReport, StoreError> {
    let mut check = ChainCheck::default();
    view.scan(&EVENTS, &Span::all(), Order::Ascending, |number, header| {
        check.event(number, &header)?;
        if let Some(payload) = view.get(&PAYLOADS, &number)? {
            check.payload(number, &payload)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let end = end(view)?;
    if end != check.end() {
        return Err(damaged(end.0, "is named as the last but is not"));
    }
    Ok(check.finish())
}
