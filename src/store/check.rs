//! Checking a store's records as they pass, wherever they come from: a live store or a segment of a snapshot.

use std::collections::BTreeMap;

use super::{
    StoreError,
    history::{self, ChainCheck, v1::ChainCheckV1},
    table::Key,
};

/// Counts records, sees that each is one, and follows the history's chain.
#[derive(Debug)]
pub struct RecordCheck {
    tables: Vec<(String, u64, Kind)>,
    bytes: u64,
    chain: Chain,
}

/// What a table's records are to the history.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Events,
    Payloads,
    Others,
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
    /// Records by table.
    pub tables: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Number and chain hash of the last event.
    pub last_event: (u64, [u8; 32]),
    /// Events whose payload was redacted.
    pub redacted: u64,
}

fn damaged(table: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { place: "a record", reason: format!("of the table {table}: {reason}") }
}

impl RecordCheck {
    /// For the records of a store of this schema.
    #[must_use]
    pub fn new(schema: u32) -> Self {
        let chain = if schema < 2 { Chain::V1(ChainCheckV1::default()) } else { Chain::V2(ChainCheck::default()) };
        Self { tables: Vec::new(), bytes: 0, chain }
    }

    /// A table begins.
    pub fn table(&mut self, name: &str) {
        let kind = match name {
            _ if name == history::EVENTS.name() => Kind::Events,
            _ if name == history::PAYLOADS.name() => Kind::Payloads,
            _ => Kind::Others,
        };
        self.tables.push((name.to_owned(), 0, kind));
    }

    /// A record of the table that began as the `table`th, from 0.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let Some((name, count, kind)) = self.tables.get_mut(table) else {
            return Err(damaged("?", "it was not named"));
        };
        *count += 1;
        self.bytes += (key.len() + value.len()) as u64;
        let mut decoder = minicbor::Decoder::new(value);
        match decoder.skip() {
            Ok(()) if decoder.position() == value.len() => {}
            Ok(()) => return Err(damaged(name, "something follows the record")),
            Err(error) => return Err(damaged(name, error)),
        }
        let number = || u64::read(&mut &*key).ok_or_else(|| damaged(name, "a key of another shape"));
        match (kind, &mut self.chain) {
            (Kind::Others, _) => Ok(()),
            (Kind::Events, Chain::V1(chain)) => chain.event(number()?, value),
            (Kind::Events, Chain::V2(chain)) => chain.event(number()?, value),
            (Kind::Payloads, Chain::V1(chain)) => chain.payload(number()?, value),
            (Kind::Payloads, Chain::V2(chain)) => chain.payload(number()?, value),
        }
    }

    /// What has passed, after the last record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the history ends in the middle.
    pub fn finish(self) -> Result<Passed, StoreError> {
        let (last_event, report) = match self.chain {
            Chain::V1(chain) => chain.finish(),
            Chain::V2(chain) => chain.finish()?,
        };
        let tables = self.tables.into_iter().map(|(name, count, _)| (name, count)).collect();
        Ok(Passed { tables, bytes: self.bytes, last_event, redacted: report.redacted })
    }
}
