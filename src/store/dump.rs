//! A store's records as one stream of bytes, and back: what snapshots are made of. `docs/formats/snapshot.md` specifies it.
//!
//! The stream is a sequence of items, all numbers being LEB128:
//!
//! - `0 ‖ length ‖ name`: the name of the next table; tables are counted from 1;
//! - `table ‖ length of key ‖ length of value ‖ key ‖ value`: a record; a table's records come in the order of their keys;
//! - `0 ‖ 0 ‖ records`: the end, with the number of records before it.
//!
//! Tables come one after another, but for the history's two: an event is followed by its payload, so that a reader checks the
//! chain as it goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read as _, Write},
    path::Path,
};

use redb::{ReadOnlyTable, ReadableTable as _, TableDefinition, TableHandle as _};

use super::{
    Store, StoreError, View,
    backend::{self, Health, SealedDatabase},
    check::{Passed, RecordCheck},
    facts::{self, FACTS},
    history,
    table::{Key as _, decode, encode},
    txn::insert_sorted,
    view::{self, Bytes},
    writer::SCHEMA,
};
use crate::seal::DataKey;

/// Bytes that gather before they are written on.
const WRITTEN_AT_ONCE: usize = 128 * 1024;
/// Records between two looks at the disk's health.
const HEALTH_EVERY: u64 = 1024;
/// The longest name of a table.
const NAME_MAX: u64 = 255;
/// The longest key.
const KEY_MAX: u64 = 64 * 1024;
/// The longest value: the largest webhook body, several times over.
const VALUE_MAX: u64 = 256 << 20;
/// Bytes of records that are inserted together.
const BATCH_BYTES: usize = 512 * 1024;
/// Bytes of records that one transaction of a load takes.
const TRANSACTION_BYTES: usize = 48 << 20;

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

/// Where the records of a walk go.
trait Sink {
    /// A table begins.
    fn table(&mut self, name: &str) -> Result<(), DumpError>;
    /// A record of the `table`th table, from 0.
    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError>;
}

/// Writes the stream.
struct Stream<'a> {
    out: &'a mut dyn Write,
    gathered: Vec<u8>,
    progress: &'a mut dyn FnMut(u64),
}

impl Stream<'_> {
    fn write_on(&mut self) -> Result<(), DumpError> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

impl Sink for Stream<'_> {
    fn table(&mut self, name: &str) -> Result<(), DumpError> {
        self.gathered.push(0);
        put_number(name.len() as u64, &mut self.gathered);
        self.gathered.extend_from_slice(name.as_bytes());
        Ok(())
    }

    fn record(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        put_number(table as u64 + 1, &mut self.gathered);
        put_number(key.len() as u64, &mut self.gathered);
        put_number(value.len() as u64, &mut self.gathered);
        self.gathered.extend_from_slice(key);
        self.gathered.extend_from_slice(value);
        (self.progress)((key.len() + value.len()) as u64);
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
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Dumped, DumpError> {
        let mut stream = Stream { out, gathered: Vec::with_capacity(2 * WRITTEN_AT_ONCE), progress };
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

/// Reads a dump, item by item.
pub struct Items<R: io::Read> {
    from: io::BufReader<R>,
    tables: Vec<String>,
    records: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What a dump holds, in its order.
pub enum Item<'i> {
    /// A table begins.
    Table(&'i str),
    /// A record of the `table`th table, from 0.
    Record { table: usize, name: &'i str, key: &'i [u8], value: &'i [u8] },
}

impl<R: io::Read> Items<R> {
    /// Over the bytes of a dump.
    pub fn new(from: R) -> Self {
        let from = io::BufReader::with_capacity(WRITTEN_AT_ONCE, from);
        Self { from, tables: Vec::new(), records: 0, key: Vec::new(), value: Vec::new() }
    }

    /// Where the bytes come from, once they are at their end.
    pub fn into_inner(self) -> R {
        self.from.into_inner()
    }

    /// The next item; `None` at the end, which the dump must name rightly and after which nothing may come.
    ///
    /// # Errors
    /// [`DumpError::Stream`], [`DumpError::Malformed`].
    #[expect(clippy::should_implement_trait, reason = "an item borrows the buffers that the next one is read into")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, DumpError> {
        let table = self.number(u64::MAX)?;
        if table > 0 {
            let table = usize::try_from(table - 1).unwrap_or(usize::MAX);
            if table >= self.tables.len() {
                return Err(DumpError::Malformed("a record of a table that was not named"));
            }
            let (key, value) = (self.number(KEY_MAX)?, self.number(VALUE_MAX)?);
            read_bytes(&mut self.from, key, &mut self.key)?;
            read_bytes(&mut self.from, value, &mut self.value)?;
            self.records += 1;
            let name = &self.tables[table];
            return Ok(Some(Item::Record { table, name, key: &self.key, value: &self.value }));
        }
        let length = self.number(NAME_MAX)?;
        if length == 0 {
            let records = self.number(u64::MAX)?;
            if records != self.records {
                return Err(DumpError::Malformed("its end names another number of records"));
            }
            return match self.from.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(DumpError::Malformed("something follows its end")),
            };
        }
        read_bytes(&mut self.from, length, &mut self.key)?;
        let name = String::from_utf8(std::mem::take(&mut self.key));
        let name = name.map_err(|_| DumpError::Malformed("a table's name is not text"))?;
        if self.tables.contains(&name) {
            return Err(DumpError::Malformed("a table is named twice"));
        }
        self.tables.push(name);
        Ok(self.tables.last().map(|name| Item::Table(name)))
    }

    fn number(&mut self, max: u64) -> Result<u64, DumpError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.from.read_exact(&mut byte)?;
            let part = u64::from(byte[0] & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte[0] < 0x80 {
                return if number <= max { Ok(number) } else { Err(DumpError::Malformed("a length is too large")) };
            }
        }
        Err(DumpError::Malformed("a number is too large"))
    }
}

fn read_bytes(from: &mut impl io::Read, length: u64, into: &mut Vec<u8>) -> Result<(), DumpError> {
    into.clear();
    // The length is somebody's word: memory is taken as bytes come.
    if from.take(length).read_to_end(into)? as u64 == length {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

type Key = Vec<u8>;
type Value = Vec<u8>;

/// Fills a new store's file from a dump.
pub struct Loader {
    database: SealedDatabase,
    txn: Option<redb::WriteTransaction>,
    waiting: BTreeMap<String, Vec<(Key, Value)>>,
    waiting_bytes: usize,
    taken: usize,
    bytes: u64,
}

impl Loader {
    /// Makes the file, which must be new.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn create(path: &Path, key: &DataKey, cache_bytes: usize) -> Result<Self, DumpError> {
        let database = backend::create_database(path, key, cache_bytes)?;
        Ok(Self { database, txn: None, waiting: BTreeMap::new(), waiting_bytes: 0, taken: 0, bytes: 0 })
    }

    /// Takes a record of a table.
    ///
    /// # Errors
    /// What the disk says.
    pub fn take(&mut self, table: &str, key: Key, value: Value) -> Result<(), DumpError> {
        self.waiting_bytes += key.len() + value.len();
        self.bytes += (key.len() + value.len()) as u64;
        match self.waiting.get_mut(table) {
            Some(waiting) => waiting.push((key, value)),
            None => drop(self.waiting.insert(table.to_owned(), vec![(key, value)])),
        }
        if self.waiting_bytes >= BATCH_BYTES { self.write_waiting() } else { Ok(()) }
    }

    fn write_waiting(&mut self) -> Result<(), DumpError> {
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.begin_write().map_err(redb_error)?,
        };
        for (name, records) in &mut self.waiting {
            let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(name);
            let mut table = txn.open_table(definition).map_err(redb_error)?;
            insert_sorted(&mut table, records.iter().map(|(key, value)| (key, value)))?;
            records.clear();
        }
        self.taken += std::mem::take(&mut self.waiting_bytes);
        if self.taken >= TRANSACTION_BYTES {
            self.taken = 0;
            txn.commit().map_err(redb_error)?;
        } else {
            self.txn = Some(txn);
        }
        Ok(())
    }

    /// Ends the load: the file is whole, durable and closed when this returns. `lineage` is a fresh random number.
    ///
    /// # Errors
    /// What the disk says; [`DumpError::Malformed`] if a newer release made the dump.
    pub fn finish(mut self, lineage: u64) -> Result<(), DumpError> {
        self.write_waiting()?;
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.begin_write().map_err(redb_error)?,
        };
        {
            let mut table = txn.open_table(view::definition(FACTS.name())).map_err(redb_error)?;
            let schema = "schema".to_owned().to_bytes();
            let found: u64 = match table.get(schema.as_slice()).map_err(redb_error)? {
                Some(found) => decode(FACTS.name(), found.value())?,
                None => return Err(DumpError::Malformed("it names no schema")),
            };
            if found > u64::from(SCHEMA) {
                return Err(DumpError::Malformed("its schema is newer than this release"));
            }
            for (name, value) in [("lineage", lineage), ("bytes", self.bytes)] {
                let (key, value) = (name.to_owned().to_bytes(), encode(&value));
                table.insert(key.as_slice(), value.as_slice()).map_err(redb_error)?;
            }
        }
        txn.commit().map_err(redb_error)?;
        self.database.close()?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
