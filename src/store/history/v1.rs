//! The history as schema 1 kept it: every header with its payload's hash and its own place in the chain. Read from old
//! generations, and taken over by a migration.

use minicbor::{Decode, Encode};

use super::{Actor, ChainReport, Head, Header, PAYLOADS, PayloadBytes, Room, chain_hash, damaged, payload_hash};
use crate::{
    clock::Timestamp,
    store::{
        Order, Span, StoreError, Table, Txn,
        table::{decode, encode},
    },
};

/// Events' headers by number, starting at 1.
const EVENTS: Table<u64, HeaderV1> = Table::new("events");
/// Events that a migration takes over at a time.
const AT_A_TIME: usize = 4_000;

#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct HeaderV1 {
    #[n(0)]
    at: Timestamp,
    #[n(1)]
    actor: Actor,
    #[n(2)]
    room: Room,
    /// BLAKE3 of salt ‖ payload.
    #[cbor(n(3), with = "minicbor::bytes")]
    payload: [u8; 32],
    /// BLAKE3 of the previous event's chain hash ‖ number (8 bytes, big-endian) ‖ this header with `chain` zero.
    #[cbor(n(4), with = "minicbor::bytes")]
    chain: [u8; 32],
}

impl HeaderV1 {
    fn belongs_after(&self, previous: &Head, number: u64) -> Result<(), StoreError> {
        if number != previous.number + 1 {
            return Err(damaged(previous.number + 1, "is missing"));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&previous.chain);
        hasher.update(&number.to_be_bytes());
        hasher.update(&encode(&Self { chain: [0; 32], ..self.clone() }));
        if *hasher.finalize().as_bytes() != self.chain {
            return Err(damaged(number, "does not continue the chain"));
        }
        Ok(())
    }
}

/// Follows the chain of schema 1, event by event.
#[derive(Debug, Default)]
pub(in crate::store) struct ChainCheckV1 {
    report: ChainReport,
    previous: Head,
    /// The hash of the payload that the last event was written with, until that payload comes by.
    awaited: Option<[u8; 32]>,
}

impl ChainCheckV1 {
    pub fn event(&mut self, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let header: HeaderV1 = decode(EVENTS.name(), bytes)?;
        header.belongs_after(&self.previous, number)?;
        self.report.checked += 1;
        self.report.redacted += u64::from(self.awaited.replace(header.payload).is_some());
        self.previous = Head { number, chain: header.chain };
        Ok(())
    }

    pub fn payload(&mut self, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let payload: PayloadBytes<'_> = minicbor::decode(bytes)
            .map_err(|error| StoreError::Damaged { place: PAYLOADS.name(), reason: error.to_string() })?;
        match self.awaited.take().filter(|_| number == self.previous.number) {
            Some(hash) if hash == payload_hash(payload.salt, payload.event) => Ok(()),
            Some(_) => Err(damaged(number, "has another payload than it was written with")),
            None => Err(damaged(number, "has a payload without an event")),
        }
    }

    pub fn finish(self) -> ((u64, [u8; 32]), ChainReport) {
        let redacted = self.report.redacted + u64::from(self.awaited.is_some());
        ((self.previous.number, self.previous.chain), ChainReport { redacted, ..self.report })
    }
}

/// Takes the history of schema 1 over: hashes that follow from what stands there go, and the chain is made anew.
///
/// # Errors
/// [`StoreError::Damaged`] if the old chain does not hold; what the disk says.
pub(in crate::store) fn take_over(txn: &Txn<'_>) -> Result<(), StoreError> {
    let (mut old, mut new) = (Head::default(), Head::default());
    loop {
        let events = txn.reader().list(&EVENTS, &Span::all().after(&old.number), Order::Ascending, AT_A_TIME)?;
        if events.is_empty() {
            break;
        }
        for (number, event) in events {
            event.belongs_after(&old, number)?;
            let payload = txn.reader().get(&PAYLOADS, &number)?;
            let redacted = match payload {
                Some(payload) if payload_hash(&payload.salt, &payload.event) != event.payload => {
                    return Err(damaged(number, "has another payload than it was written with"));
                }
                Some(_) => None,
                None => Some(event.payload),
            };
            let bare = Header { at: event.at, actor: event.actor, room: event.room, redacted: None };
            new = Head { number, chain: chain_hash(&new.chain, number, &event.payload, &encode(&bare)) };
            old = Head { number, chain: event.chain };
            txn.put(&super::EVENTS, &number, &Header { redacted, ..bare })?;
        }
    }
    let said = txn.reader().get(&super::HEAD, &())?.unwrap_or_default();
    if (said.number, said.chain) != (old.number, old.chain) {
        return Err(damaged(said.number, "is named as the last but is not"));
    }
    if new.number > 0 { txn.put(&super::HEAD, &(), &new) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        seal::{DataKey, KeyId},
        store::{
            Store,
            check::{FrameCheck, Joined},
            dump::{Frame, Unpacked},
            history,
        },
    };

    fn header(previous: &Head, number: u64, payload: [u8; 32]) -> HeaderV1 {
        let bare =
            HeaderV1 { at: Timestamp(number as i64), actor: Actor::System, room: Room::Work, payload, chain: [0; 32] };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&previous.chain);
        hasher.update(&number.to_be_bytes());
        hasher.update(&encode(&bare));
        HeaderV1 { chain: *hasher.finalize().as_bytes(), ..bare }
    }

    /// A history of schema 1: every hundredth event was redacted.
    fn write(txn: &Txn<'_>, events: u64) -> Result<(), StoreError> {
        let mut head = Head::default();
        for number in 1..=events {
            let payload = history::Payload { salt: vec![number as u8; 32], event: encode(&number) };
            let header = header(&head, number, payload_hash(&payload.salt, &payload.event));
            head = Head { number, chain: header.chain };
            txn.put(&EVENTS, &number, &header)?;
            if number % 100 != 0 {
                txn.put(&PAYLOADS, &number, &payload)?;
            }
        }
        txn.put(&history::HEAD, &(), &head)
    }

    #[test]
    fn a_history_of_schema_1_is_taken_over_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let key = DataKey::fresh(KeyId([1; 16]), 1);
        let store = Store::create(&folder.path().join("a.store"), key.clone(), 1 << 20).unwrap();
        store.write_now(|txn| write(txn, 9_000)).unwrap();

        // It is read as what it is, before and after.
        let (check, joined) =
            (FrameCheck::new(1, crate::store::Shapes::unknown()), parking_lot::Mutex::new(Joined::new(1)));
        let take = |frame: &[u8], _| {
            let frame = Frame::parse(frame.to_vec()).unwrap();
            joined.lock().take(&frame, check.look(&frame).unwrap()).map_err(std::io::Error::other)
        };
        store.dump(&std::collections::BTreeSet::new(), 1, &Unpacked::default, &take).unwrap();
        let passed = joined.into_inner().finish().unwrap();
        assert_eq!((passed.last_event.0, passed.redacted), (9_000, 90));
        assert!(store.view(|view| history::verify(view)).is_err(), "it is none of schema 2");

        store.write_now(take_over).unwrap();
        let report = store.view(|view| history::verify(view)).unwrap();
        assert_eq!((report.checked, report.redacted), (9_000, 90));
        let entry = store.view(|view| history::read::<u64>(view, Room::Work, 77)).unwrap().unwrap();
        assert_eq!((entry.event, entry.at), (77, Timestamp(77)));
        store
            .write_now(|txn| history::append(txn, Timestamp(1), Actor::System, Room::Work, &1_u64).map(|_| ()))
            .unwrap();
        store.write_now(|txn| history::redact(txn, 4_321)).unwrap();
        let report = store.view(|view| history::verify(view)).unwrap();
        assert_eq!((report.checked, report.redacted), (9_001, 91));

        // One that does not hold is refused.
        let other = Store::create(&folder.path().join("b.store"), key, 1 << 20).unwrap();
        other.write_now(|txn| write(txn, 50)).unwrap();
        let payload = history::Payload { salt: vec![0; 32], event: encode(&0_u64) };
        other.write_now(|txn| txn.put(&PAYLOADS, &20, &payload)).unwrap();
        let refused = other.write_now(take_over).unwrap_err();
        assert!(refused.to_string().contains("event 20"), "{refused}");
    }
}
