//! Checking a store's records as they pass, wherever they come from: a live store or a segment of a snapshot.

use std::collections::BTreeMap;

use super::{
    StoreError,
    dump::{DumpError, Frame, Part, Records},
    history::{self, ChainCheck, Links, v1::ChainCheckV1},
    shape::{IsRecord, Shapes, is_cbor},
    table::Key,
    writer::SCHEMA,
};

/// Looks at frames by themselves: any number of threads at once.
#[derive(Clone, Copy, Debug)]
pub struct FrameCheck<'s> {
    /// What records are, if they are of the schema that this version has.
    shapes: Option<&'s Shapes>,
}

/// What was seen of a frame: of each part where it begins and ends, and what its events add to the chain.
pub struct Looked {
    parts: Vec<Ends>,
    links: Links,
}

#[derive(Default)]
struct Ends {
    begun: bool,
    first: Vec<u8>,
    last: Vec<u8>,
    /// Bytes of keys and values.
    bytes: u64,
}

impl Ends {
    fn note(&mut self, key: &[u8], value: &[u8]) {
        self.bytes += (key.len() + value.len()) as u64;
        if !self.begun {
            self.begun = true;
            self.first.extend_from_slice(key);
        }
        self.last.clear();
        self.last.extend_from_slice(key);
    }
}

impl Looked {
    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

impl<'s> FrameCheck<'s> {
    /// For the records of a store of this schema.
    #[must_use]
    pub fn new(schema: u32, shapes: &'s Shapes) -> Self {
        Self { shapes: (schema == SCHEMA).then_some(shapes) }
    }

    /// Sees that every record of a frame is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`DumpError::Malformed`].
    pub fn look(&self, frame: &Frame) -> Result<Looked, DumpError> {
        let mut looked = Looked { parts: Vec::new(), links: Links::default() };
        let payloads = frame.parts().find(|part| part.table == history::PAYLOADS.name());
        for part in frame.parts() {
            let mut ends = Ends::default();
            match self.shapes {
                Some(shapes) if part.table == history::EVENTS.name() => {
                    look_at_events(part, payloads, shapes, &mut ends, &mut looked.links)?;
                }
                // Seen beside their events.
                Some(_) if part.table == history::PAYLOADS.name() && frame.parts().count() > 1 => {
                    part.each::<DumpError>(|key, value| {
                        ends.note(key, value);
                        Ok(())
                    })?;
                }
                shapes => {
                    let is_record = shapes.map_or(is_cbor as IsRecord, |shapes| shapes.of(part.table));
                    part.each::<DumpError>(|key, value| {
                        ends.note(key, value);
                        Ok(is_record(key, value).map_err(|why| damaged(part.table, why))?)
                    })?;
                }
            }
            looked.parts.push(ends);
        }
        Ok(looked)
    }
}

/// Sees that events are some, each with its payload.
fn look_at_events(
    events: Part<'_>,
    payloads: Option<Part<'_>>,
    shapes: &Shapes,
    ends: &mut Ends,
    links: &mut Links,
) -> Result<(), DumpError> {
    let mut beside = Beside::new(payloads)?;
    events.each::<DumpError>(|key, header| {
        ends.note(key, header);
        let number = number(events.table, key)?;
        let payload = beside.take(number)?;
        let stored = links.add(number, header, payload)?;
        match stored.event {
            Some(event) => {
                Ok(shapes.is_event(stored.header.room, event).map_err(|why| damaged(history::PAYLOADS.name(), why))?)
            }
            None => Ok(()),
        }
    })?;
    beside.finish()
}

/// The payloads of a frame, read beside its events.
struct Beside<'f> {
    records: Option<Records<'f>>,
    next: Option<(u64, &'f [u8])>,
}

impl<'f> Beside<'f> {
    fn new(payloads: Option<Part<'f>>) -> Result<Self, DumpError> {
        let mut beside = Self { records: payloads.map(|part| part.records()), next: None };
        beside.advance()?;
        Ok(beside)
    }

    fn advance(&mut self) -> Result<(), DumpError> {
        self.next = None;
        if let Some(records) = &mut self.records
            && let Some(value) = records.next()?
        {
            self.next = Some((number(history::PAYLOADS.name(), records.key())?, value));
        }
        Ok(())
    }

    /// The payload of an event, if there is one.
    fn take(&mut self, event: u64) -> Result<Option<&'f [u8]>, DumpError> {
        match self.next {
            Some((number, payload)) if number == event => {
                self.advance()?;
                Ok(Some(payload))
            }
            Some((number, _)) if number < event => Err(without_event(number)),
            _ => Ok(None),
        }
    }

    fn finish(&self) -> Result<(), DumpError> {
        self.next.map_or(Ok(()), |(number, _)| Err(without_event(number)))
    }
}

fn without_event(number: u64) -> DumpError {
    damaged(history::PAYLOADS.name(), format!("{number} has no event")).into()
}

/// Puts together what was seen of frames, in their order, and follows the history's chain.
#[derive(Debug)]
pub struct Joined {
    /// Of each table the number of records and the last key.
    tables: BTreeMap<String, (u64, Vec<u8>)>,
    bytes: u64,
    chain: Chain,
}

/// The history's chain, as the schema has it.
#[derive(Debug)]
enum Chain {
    V1(ChainCheckV1),
    V2(ChainCheck),
}

/// What passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Records by table, of those that have any.
    pub tables: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Number and chain hash of the last event.
    pub last_event: (u64, [u8; 32]),
    /// Events whose payload was redacted.
    pub redacted: u64,
    /// The chain's hash at the event that was asked for, if it passed.
    pub told: Option<[u8; 32]>,
}

fn damaged(table: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { place: "a record", reason: format!("of the table {table}: {reason}") }
}

impl Joined {
    /// For the records of a store of this schema.
    #[must_use]
    pub fn new(schema: u32) -> Self {
        let chain = if schema < 2 { Chain::V1(ChainCheckV1::default()) } else { Chain::V2(ChainCheck::default()) };
        Self { tables: BTreeMap::new(), bytes: 0, chain }
    }

    /// Tells the chain's hash at an event, once that has passed. (Not of schema 1.)
    #[must_use]
    pub fn telling(mut self, event: Option<u64>) -> Self {
        if let (Chain::V2(chain), Some(event)) = (&mut self.chain, event) {
            chain.tell(event);
        }
        self
    }

    /// The next frame, and what was seen of it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`DumpError::Malformed`].
    pub fn take(&mut self, frame: &Frame, looked: Looked) -> Result<(), DumpError> {
        let (mut events, mut payloads) = (None, None);
        for (part, seen) in frame.parts().zip(looked.parts) {
            match self.tables.get_mut(part.table) {
                Some((_, last)) if seen.begun && *last >= seen.first => {
                    return Err(DumpError::Malformed("a table's keys are not in their order"));
                }
                Some((records, last)) => {
                    *records += part.records;
                    *last = seen.last;
                }
                None => {
                    self.tables.insert(part.table.to_owned(), (part.records, seen.last));
                }
            }
            self.bytes += seen.bytes;
            match part.table {
                table if table == history::EVENTS.name() => events = Some(part),
                table if table == history::PAYLOADS.name() => payloads = Some(part),
                _ => {}
            }
        }
        match &mut self.chain {
            Chain::V2(_) if events.is_none() && payloads.is_some() => Err(without_event(0)),
            Chain::V2(chain) => Ok(chain.follow(&looked.links)?),
            Chain::V1(chain) => follow_v1(chain, events, payloads),
        }
    }

    /// What has passed, after the last frame.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the history ends in the middle.
    pub fn finish(self) -> Result<Passed, StoreError> {
        let (told, (last_event, report)) = match self.chain {
            Chain::V1(chain) => (None, chain.finish()),
            Chain::V2(chain) => (chain.told(), chain.finish()),
        };
        let tables = self.tables.into_iter().map(|(name, (count, _))| (name, count)).collect();
        Ok(Passed { tables, bytes: self.bytes, last_event, redacted: report.redacted, told })
    }
}

/// Follows the events of a frame of schema 1, whose payloads stand beside them.
fn follow_v1(chain: &mut ChainCheckV1, events: Option<Part<'_>>, payloads: Option<Part<'_>>) -> Result<(), DumpError> {
    let mut beside = Beside::new(payloads)?;
    if let Some(events) = events {
        events.each::<DumpError>(|key, event| {
            let number = number(history::EVENTS.name(), key)?;
            chain.event(number, event)?;
            match beside.take(number)? {
                Some(payload) => Ok(chain.payload(number, payload)?),
                None => Ok(()),
            }
        })?;
    }
    beside.finish()
}

fn number(table: &str, mut key: &[u8]) -> Result<u64, StoreError> {
    u64::read(&mut key).ok_or_else(|| damaged(table, "a key of another shape"))
}
