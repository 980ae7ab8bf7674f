//! The history of a store: every event, numbered without gaps and chained by hash.
//!
//! The chain covers each event's header and the BLAKE3 of (salt ‖ payload). Payload and salt stand in a table of their
//! own, so that a payload can be redacted later while the chain still verifies. Hashes that follow from what stands there
//! are not kept (`docs/decisions/0007-hashes-that-follow.md`): of the chain its end, of a payload that was redacted its
//! hash. Tables are the present, events the past.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};

pub(super) mod v1;

use super::{
    Order, Read, Span, StoreError, Table, Txn,
    table::{Key as _, Record, decode, encode},
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
/// What stands in these tables.
pub(super) const SHAPES: [super::Shape; 3] = [EVENTS.shape(), PAYLOADS.shape(), HEAD.shape()];

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
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
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
    /// BLAKE3 of salt ‖ payload, once that was redacted.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub redacted: Option<[u8; 32]>,
}

/// What of an event may be redacted.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Payload {
    /// Random bytes that keep the payload's hash from giving away a short payload: 16, and 32 in what schema 1 wrote.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub salt: Vec<u8>,
    /// The room's event, as CBOR.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub event: Vec<u8>,
}

/// A payload where it stands, for whoever only hashes it.
#[derive(Decode)]
#[cbor(map)]
struct PayloadBytes<'b> {
    #[cbor(b(0), with = "minicbor::bytes")]
    salt: &'b [u8],
    #[cbor(b(1), with = "minicbor::bytes")]
    event: &'b [u8],
}

const SALT: usize = 16;

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

/// BLAKE3 of parts one after another. They are short: put together first, they are hashed in half of the time that a hasher
/// takes, whose state alone is larger.
fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut place = [0; 512];
    if length > place.len() {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        return *hasher.finalize().as_bytes();
    }
    let mut at = 0;
    for part in parts {
        place[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    *blake3::hash(&place[..length]).as_bytes()
}

fn payload_hash(salt: &[u8], event: &[u8]) -> [u8; 32] {
    hash_of(&[salt, event])
}

/// BLAKE3 of the chain so far ‖ number (8 bytes, big-endian) ‖ the payload's hash ‖ the header, as CBOR without that hash.
fn chain_hash(previous: &[u8; 32], number: u64, payload: &[u8; 32], header: &[u8]) -> [u8; 32] {
    hash_of(&[previous, &number.to_be_bytes(), payload, header])
}

/// Appends an event and returns its number.
///
/// # Errors
/// [`StoreError::Full`] or [`StoreError::Disk`].
pub fn append<E: Record>(txn: &Txn<'_>, at: Timestamp, actor: Actor, room: Room, event: &E) -> Result<u64, StoreError> {
    let head = txn.reader().get(&HEAD, &())?.unwrap_or_default();
    let number = head.number + 1;
    let payload = Payload { salt: random_bytes::<SALT>().to_vec(), event: encode(event) };
    let header = Header { at, actor, room, redacted: None };
    let hash = payload_hash(&payload.salt, &payload.event);
    let chain = chain_hash(&head.chain, number, &hash, &encode(&header));
    txn.put(&EVENTS, &number, &header)?;
    txn.put(&PAYLOADS, &number, &payload)?;
    txn.put(&HEAD, &(), &Head { number, chain })?;
    Ok(number)
}

/// Takes an event's payload away. Its hash goes into the header, so the chain still verifies; verification counts it as
/// redacted.
///
/// # Errors
/// [`StoreError::Full`] or [`StoreError::Disk`].
pub fn redact(txn: &Txn<'_>, number: u64) -> Result<(), StoreError> {
    let view = txn.reader();
    let (Some(header), Some(payload)) = (view.get(&EVENTS, &number)?, view.get(&PAYLOADS, &number)?) else {
        return Ok(());
    };
    let redacted = Some(payload_hash(&payload.salt, &payload.event));
    txn.put(&EVENTS, &number, &Header { redacted, ..header })?;
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

/// What events add to the chain, computed for each by itself.
#[derive(Debug, Default)]
pub struct Links {
    links: Vec<Link>,
    /// The headers, one after another, without the hashes of redacted payloads.
    headers: Vec<u8>,
}

#[derive(Debug)]
struct Link {
    number: u64,
    /// Where its header ends.
    header: usize,
    /// BLAKE3 of salt ‖ event.
    payload: [u8; 32],
    redacted: bool,
}

/// An event as it stands in the tables.
pub(super) struct Stored<'b> {
    pub header: Header,
    /// The room's event, if it was not redacted.
    pub event: Option<&'b [u8]>,
}

/// A record, and nothing after it.
fn alone<'b, V: Decode<'b, ()>>(place: &'static str, bytes: &'b [u8]) -> Result<V, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { place, reason };
    let mut decoder = minicbor::Decoder::new(bytes);
    let record = decoder.decode().map_err(|error| damaged(error.to_string()))?;
    if decoder.position() == bytes.len() { Ok(record) } else { Err(damaged("something follows the record".to_owned())) }
}

impl Links {
    /// Adds an event: the bytes under its number in both tables.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if they are no event, or none that belongs together.
    pub(super) fn add<'b>(
        &mut self,
        number: u64,
        header: &[u8],
        payload: Option<&'b [u8]>,
    ) -> Result<Stored<'b>, StoreError> {
        let decoded: Header = alone(EVENTS.name(), header)?;
        let (payload, event) = match (decoded.redacted, payload) {
            (None, Some(payload)) => {
                let PayloadBytes { salt, event } = alone(PAYLOADS.name(), payload)?;
                self.headers.extend_from_slice(header);
                (payload_hash(salt, event), Some(event))
            }
            (Some(hash), None) => {
                self.headers.extend_from_slice(&encode(&Header { redacted: None, ..decoded.clone() }));
                (hash, None)
            }
            (None, None) => return Err(damaged(number, "has lost its payload")),
            (Some(_), Some(_)) => return Err(damaged(number, "has a payload that was redacted")),
        };
        let redacted = event.is_none();
        self.links.push(Link { number, header: self.headers.len(), payload, redacted });
        Ok(Stored { header: decoded, event })
    }
}

/// Follows the chain, event by event.
#[derive(Debug, Default)]
pub struct ChainCheck {
    report: ChainReport,
    previous: Head,
    /// The event whose place in the chain is wanted, and its hash once it has passed.
    wanted: Option<u64>,
    told: Option<[u8; 32]>,
}

impl ChainCheck {
    /// Keeps the chain's hash at an event.
    pub fn tell(&mut self, event: u64) {
        self.wanted = Some(event);
    }

    /// The chain's hash at that event, if it has passed.
    #[must_use]
    pub fn told(&self) -> Option<[u8; 32]> {
        self.told
    }

    /// The next events.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if they do not belong here.
    pub fn follow(&mut self, links: &Links) -> Result<(), StoreError> {
        let mut from = 0;
        for link in &links.links {
            if link.number != self.previous.number + 1 {
                return Err(damaged(self.previous.number + 1, "is missing"));
            }
            let header = &links.headers[from..link.header];
            from = link.header;
            self.previous.chain = chain_hash(&self.previous.chain, link.number, &link.payload, header);
            self.previous.number = link.number;
            if self.wanted == Some(link.number) {
                self.told = Some(self.previous.chain);
            }
            self.report.checked += 1;
            self.report.redacted += u64::from(link.redacted);
        }
        Ok(())
    }

    /// The number and the chain hash of the event that came last, and the report.
    #[must_use]
    pub fn finish(self) -> ((u64, [u8; 32]), ChainReport) {
        ((self.previous.number, self.previous.chain), self.report)
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
/// [`StoreError::Damaged`] if an event is missing or not complete, or if the chain does not end as the store says: then
/// something in it is not as it was written.
pub fn verify(view: &dyn Read) -> Result<ChainReport, StoreError> {
    let mut check = ChainCheck::default();
    view.raw_scan(EVENTS.name(), &Span::all(), Order::Ascending, &mut |mut key, event| {
        let number = u64::read(&mut key).ok_or_else(|| damaged(0, "has a key of another shape"))?;
        let (mut links, mut payload) = (Links::default(), None);
        view.raw_get(PAYLOADS.name(), &number.to_bytes(), &mut |bytes| {
            payload = Some(bytes.to_vec());
            Ok(())
        })?;
        links.add(number, event, payload.as_deref())?;
        check.follow(&links)?;
        Ok(ControlFlow::Continue(()))
    })?;
    let end = end(view)?;
    let (found, report) = check.finish();
    if end != found {
        return Err(damaged(end.0, "ends the chain otherwise than the store says"));
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::hex;

    /// The vectors of docs/data.md, made by `tests/format_vectors.py`: with another chain every existing history would end
    /// otherwise than its store and its generations say.
    #[test]
    fn the_chain_stays_as_documented() {
        let header = |at, room, redacted| Header { at: Timestamp(at), actor: Actor::System, room, redacted };
        let payload = Payload { salt: vec![7; 16], event: vec![1] };
        let first = encode(&header(1, Room::Work, None));
        assert_eq!(hex(&first), "a30001018200800202");
        let hash = payload_hash(&payload.salt, &payload.event);
        assert_eq!(hex(&hash), "3603f628e5fd95436fbab8dda6686b96468a3c23c4e3aa7c4bca047514c8fd78");
        let redacted = payload_hash(&[8; 16], &[2]);
        assert_eq!(hex(&redacted), "3243ceb3751a732e99dd7aa5a4f89f193599dd79cdae0cff9ab8a7b7a307b3a1");

        let mut check = ChainCheck::default();
        let mut links = Links::default();
        links.add(1, &first, Some(&encode(&payload))).unwrap();
        check.follow(&links).unwrap();
        assert_eq!(hex(&check.previous.chain), "690fb15080f13c1d04acd66219ec43e99ecebfd23f2d224f5e9c9ffee92c60ca");
        let mut links = Links::default();
        links.add(2, &encode(&header(2, Room::People, Some(redacted))), None).unwrap();
        check.follow(&links).unwrap();
        let ((number, chain), report) = check.finish();
        assert_eq!(hex(&chain), "02721259f282316a5507092993f45be360ae7d29fe9f638842d2b852d92b9c01");
        assert_eq!((number, report), (2, ChainReport { checked: 2, redacted: 1 }));
    }
}
