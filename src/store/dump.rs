//! A store's records as one stream of bytes, and back: what snapshots are made of. `docs/formats/snapshot.md` specifies it.
//!
//! The stream is a sequence of items, all numbers being LEB128:
//!
//! - `0 ‖ length ‖ name`: the name of the next table; tables are counted from 1;
//! - `table ‖ shared ‖ length of rest ‖ length of value ‖ rest ‖ value`: a record. Its key is the first `shared` bytes of the
//!   table's key before it, and the rest; a table's records come in the order of their keys;
//! - `0 ‖ 0 ‖ records`: the end, with the number of records before it.
//!
//! Tables come one after another, but for the history's two: an event is followed by its payload, so that a reader checks the
//! chain as it goes. Keys of neighbours begin alike, ids of boards and times above all: written once, they cost neither
//! compression nor hashing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use redb::{ReadOnlyTable, ReadableTable as _, TableDefinition, TableHandle as _};

use super::{
    Store, StoreError, View,
    backend::{self, Health},
    check::{Passed, RecordCheck},
    facts, history,
    view::Bytes,
    writer::SCHEMA,
};

mod items;
mod loader;

pub use items::{Item, Items, Keys};
pub use loader::Loader;

/// Bytes that gather before they are written on.
const WRITTEN_AT_ONCE: usize = 128 * 1024;
/// Records between two looks at the disk's health.
const HEALTH_EVERY: u64 = 1024;
/// A dump or load did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The store's side.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream's side: also what does not authenticate.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// The bytes are no dump.
    #[error("it cannot be read: {0}")]
    Malformed(&'static str),
    /// The database's side of a load.
    #[error("the new store: {0}")]
    File(#[from] backend::BackendError),
}

fn redb_error(error: impl Into<redb::Error>) -> DumpError {
    StoreError::from_redb(error).into()
}

/// What a dump holds, to be compared when it is read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// The version of the tables' layout.
    pub schema: u32,
    /// What the count of commits counts in.
    pub lineage: u64,
    /// How many groups the store had taken.
    pub commits: u64,
    /// Number and chain hash of the last event.
    pub last_event: (u64, [u8; 32]),
    /// Records by table.
    pub tables: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Dumped {
    /// Records of all tables.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tables.values().sum()
    }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Where a dump's bytes go.
pub trait Target: Write {
    /// What is written from here on is of this table, until the next begins.
    ///
    /// # Errors
    /// What the writer says.
    fn begin_table(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Vec<u8> {}
impl Target for io::BufWriter<std::fs::File> {}

/// Where the records of a walk go.
trait Sink {
    /// A table begins.
    fn table(&mut self, name: &str) -> Result<(), DumpError>;
    /// A record of the `table`th table, from 0.
    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError>;
}

/// Writes the stream.
struct Stream<'a> {
    out: &'a mut dyn Target,
    gathered: Vec<u8>,
    /// Each table's last key.
    keys: Vec<Vec<u8>>,
    /// Bytes of keys and values that nobody was told of yet.
    untold: u64,
    progress: &'a mut dyn FnMut(u64),
}

/// How many bytes two keys have in common from their beginning.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

impl<'a> Stream<'a> {
    fn new(out: &'a mut dyn Target, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self { out, gathered: Vec::with_capacity(2 * WRITTEN_AT_ONCE), keys: Vec::new(), untold: 0, progress }
    }

    fn write_on(&mut self) -> Result<(), DumpError> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        (self.progress)(std::mem::take(&mut self.untold));
        Ok(())
    }
}

impl Sink for Stream<'_> {
    fn table(&mut self, name: &str) -> Result<(), DumpError> {
        self.write_on()?;
        self.out.begin_table(name)?;
        self.gathered.push(0);
        put_number(name.len() as u64, &mut self.gathered);
        self.gathered.extend_from_slice(name.as_bytes());
        self.keys.push(Vec::new());
        Ok(())
    }

    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        let before = &mut self.keys[table];
        let shared = shared(before, key);
        let rest = &key[shared..];
        put_number(table as u64 + 1, &mut self.gathered);
        put_number(shared as u64, &mut self.gathered);
        put_number(rest.len() as u64, &mut self.gathered);
        put_number(value.len() as u64, &mut self.gathered);
        self.gathered.extend_from_slice(rest);
        self.gathered.extend_from_slice(value);
        before.truncate(shared);
        before.extend_from_slice(rest);
        self.untold += (key.len() + value.len()) as u64;
        if self.gathered.len() >= WRITTEN_AT_ONCE { self.write_on() } else { Ok(()) }
    }
}

/// Checks and forgets.
struct Checking<'a> {
    check: RecordCheck,
    progress: &'a mut dyn FnMut(u64),
}

impl Sink for Checking<'_> {
    fn table(&mut self, name: &str) -> Result<(), DumpError> {
        self.check.table(name);
        Ok(())
    }

    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        (self.progress)((key.len() + value.len()) as u64);
        Ok(self.check.record(table, key, value)?)
    }
}

/// Walks one state of a store, table by table.
struct Walk<'a> {
    sink: &'a mut dyn Sink,
    tables: Vec<(String, u64)>,
    bytes: u64,
    health: Health,
}

type OpenTable = ReadOnlyTable<Bytes, Bytes>;
type Records<'t> = std::iter::Peekable<redb::Range<'t, Bytes, Bytes>>;

impl Walk<'_> {
    fn begin(&mut self, name: &str) -> Result<usize, DumpError> {
        self.sink.table(name)?;
        self.tables.push((name.to_owned(), 0));
        Ok(self.tables.len() - 1)
    }

    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        self.sink.record(table, key, value)?;
        self.bytes += (key.len() + value.len()) as u64;
        self.tables[table].1 += 1;
        if self.tables[table].1.is_multiple_of(HEALTH_EVERY) && !self.health.is_sound() {
            // Whoever opens the store afresh after a failure waits for everybody who reads it.
            return Err(StoreError::Disk { reason: "the disk failed while the store was read".to_owned() }.into());
        }
        Ok(())
    }

    fn table(&mut self, name: &str, table: &OpenTable) -> Result<(), DumpError> {
        let number = self.begin(name)?;
        for record in table.iter().map_err(redb_error)? {
            let (key, value) = record.map_err(redb_error)?;
            self.record(number, key.value(), value.value())?;
        }
        Ok(())
    }

    /// Events, each with its payload after it.
    fn history(&mut self, events: &OpenTable, payloads: Option<&OpenTable>) -> Result<(), DumpError> {
        let number = self.begin(history::EVENTS.name())?;
        let mut beside = match payloads {
            Some(payloads) => {
                let number = self.begin(history::PAYLOADS.name())?;
                Some((number, payloads.iter().map_err(redb_error)?.peekable()))
            }
            None => None,
        };
        for event in events.iter().map_err(redb_error)? {
            let (key, value) = event.map_err(redb_error)?;
            self.record(number, key.value(), value.value())?;
            if let Some((number, records)) = &mut beside {
                self.payloads(*number, records, Some(key.value()))?;
            }
        }
        match &mut beside {
            Some((number, records)) => self.payloads(*number, records, None),
            None => Ok(()),
        }
    }

    /// The payloads up to that of an event, or all that are left.
    fn payloads(&mut self, table: usize, records: &mut Records<'_>, upto: Option<&[u8]>) -> Result<(), DumpError> {
        let belongs = |record: &Result<(redb::AccessGuard<'_, Bytes>, _), redb::StorageError>| match (record, upto) {
            (Ok((key, _)), Some(upto)) => key.value() <= upto,
            _ => true,
        };
        while let Some(record) = records.next_if(belongs) {
            let (key, value) = record.map_err(redb_error)?;
            self.record(table, key.value(), value.value())?;
        }
        Ok(())
    }
}

impl Store {
    /// Where the store stands: what its count of commits counts in, and the count. While both are equal, so is the store.
    ///
    /// # Errors
    /// What the store says.
    pub fn standing(&self) -> Result<(u64, u64), StoreError> {
        self.view(|view| Ok((facts::lineage(view)?, facts::commits(view)?)))
    }

    /// Writes every record of one committed state to `out`, but for the tables in `leave_out`. Writers go on meanwhile.
    /// `progress` is told of the bytes of keys and values.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn dump(
        &self,
        leave_out: &BTreeSet<&str>,
        out: &mut dyn Target,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Dumped, DumpError> {
        let mut stream = Stream::new(out, progress);
        let dumped = self.walk(leave_out, &mut stream)?;
        stream.gathered.extend_from_slice(&[0, 0]);
        put_number(dumped.records(), &mut stream.gathered);
        stream.write_on()?;
        Ok(dumped)
    }

    /// Reads every record of one committed state, sees that each is one, and follows the history's chain to its end.
    ///
    /// # Errors
    /// [`DumpError`]: [`StoreError::Damaged`] or [`StoreError::Disk`] at the first that is not as it was written.
    pub fn check_records(&self, progress: &mut dyn FnMut(u64)) -> Result<Passed, DumpError> {
        let mut checking = Checking { check: RecordCheck::new(SCHEMA), progress };
        let walked = self.walk(&BTreeSet::new(), &mut checking)?;
        let passed = checking.check.finish()?;
        if passed.last_event != walked.last_event {
            let reason = format!(
                "the store names {} as its last, its chain ends at {}",
                walked.last_event.0, passed.last_event.0
            );
            return Err(StoreError::Damaged { place: "events", reason }.into());
        }
        Ok(passed)
    }

    /// How many records each table holds.
    ///
    /// # Errors
    /// What the store says.
    pub fn records(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        use redb::ReadableTableMetadata as _;
        let database = self.opened()?;
        let txn = database.begin_read().map_err(StoreError::from_redb)?;
        let mut counts = BTreeMap::new();
        for table in txn.list_tables().map_err(StoreError::from_redb)? {
            let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(table.name());
            let opened = txn.open_table(definition).map_err(StoreError::from_redb)?;
            counts.insert(table.name().to_owned(), opened.len().map_err(StoreError::from_redb)?);
        }
        Ok(counts)
    }

    fn walk(&self, leave_out: &BTreeSet<&str>, sink: &mut dyn Sink) -> Result<Dumped, DumpError> {
        let database = self.opened()?;
        let state = View::new(database.begin_read().map_err(redb_error)?);
        let mut names: Vec<String> =
            state.txn.list_tables().map_err(redb_error)?.map(|table| table.name().to_owned()).collect();
        names.retain(|name| !leave_out.contains(name.as_str()));
        names.sort_unstable();
        let open = |name: &str| {
            let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(name);
            state.txn.open_table(definition).map_err(redb_error)
        };
        let mut walk = Walk { sink, tables: Vec::new(), bytes: 0, health: database.health() };
        let payloads = names.iter().any(|name| name == history::PAYLOADS.name());
        for name in &names {
            if name == history::EVENTS.name() {
                let payloads = if payloads { Some(open(history::PAYLOADS.name())?) } else { None };
                walk.history(&open(name)?, payloads.as_ref())?;
            } else if name != history::PAYLOADS.name() {
                walk.table(name, &open(name)?)?;
            }
        }
        Ok(Dumped {
            schema: facts::schema(&state)?.unwrap_or(SCHEMA),
            lineage: facts::lineage(&state)?,
            commits: facts::commits(&state)?,
            last_event: history::end(&state)?,
            tables: walk.tables.into_iter().collect(),
            bytes: walk.bytes,
        })
    }
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
