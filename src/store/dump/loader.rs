//! Filling a new store's file from the records of a dump.

use std::{
    fs::File,
    io,
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use redb::{ReadableTable as _, TableDefinition};

use super::{DumpError, redb_error};
use crate::{
    seal::DataKey,
    store::{
        backend::{self, SealedDatabase},
        facts::FACTS,
        table::{Key as _, decode, encode},
        txn::insert_sorted,
        view::{self, Bytes},
        writer::SCHEMA,
    },
};

/// Bytes of records that are inserted together.
const BATCH_BYTES: usize = 512 * 1024;
/// Bytes of records that one transaction of a load takes.
const TRANSACTION_BYTES: usize = 192 << 20;

/// Bytes of records after which what was written is sent on its way to the disk.
const FLUSHED_EVERY: usize = 32 << 20;

/// Fills a new store's file from a dump.
pub struct Loader {
    database: SealedDatabase,
    txn: Option<redb::WriteTransaction>,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    /// Bytes of records in the transaction, and since the last flush.
    taken: usize,
    unflushed: usize,
    bytes: u64,
    flusher: Flusher,
}

/// Records of one table that are not in it yet, one after another.
#[derive(Default)]
struct Waiting {
    table: String,
    bytes: Vec<u8>,
    /// Lengths of key and value of each.
    lengths: Vec<(usize, usize)>,
}

impl Waiting {
    fn records(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut at = 0;
        self.lengths.iter().map(move |(key, value)| {
            let from = at;
            at += key + value;
            (&self.bytes[from..from + key], &self.bytes[from + key..at])
        })
    }
}

/// Sends what was written on its way to the disk while more is written, so that the syncs of the commits find little left
/// to wait for. It has opened the file for itself: a failure that it meets is its own to tell, and is told to the commits as
/// well.
struct Flusher {
    wanted: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    fn start(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        let (wanted, asked) = sync_channel::<()>(1);
        let thread = thread::spawn(move || asked.iter().try_for_each(|()| file.sync_data()));
        Ok(Self { wanted, thread })
    }

    fn flush(&self) {
        // One that is at it already, or has failed, needs no word.
        let _ = self.wanted.try_send(());
    }

    fn end(self) -> io::Result<()> {
        drop(self.wanted);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("flushing panicked")))
    }
}

impl Loader {
    /// Makes the file, which must be new.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn create(path: &Path, key: &DataKey, cache_bytes: usize) -> Result<Self, DumpError> {
        let database = backend::create_database(path, key, cache_bytes)?;
        let (waiting, flusher) = (Vec::new(), Flusher::start(path)?);
        Ok(Self { database, txn: None, waiting, waiting_bytes: 0, taken: 0, unflushed: 0, bytes: 0, flusher })
    }

    /// Takes a record of the `number`th table, from 0.
    ///
    /// # Errors
    /// What the disk says.
    pub fn take(&mut self, number: usize, table: &str, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        if self.waiting.len() <= number {
            self.waiting.resize_with(number + 1, Waiting::default);
        }
        let waiting = &mut self.waiting[number];
        if waiting.table.is_empty() {
            table.clone_into(&mut waiting.table);
        }
        waiting.bytes.extend_from_slice(key);
        waiting.bytes.extend_from_slice(value);
        waiting.lengths.push((key.len(), value.len()));
        self.waiting_bytes += key.len() + value.len();
        self.bytes += (key.len() + value.len()) as u64;
        if self.waiting_bytes >= BATCH_BYTES { self.write_waiting() } else { Ok(()) }
    }

    fn write_waiting(&mut self) -> Result<(), DumpError> {
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.begin_write().map_err(redb_error)?,
        };
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.lengths.is_empty()) {
            let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(&waiting.table);
            let mut table = txn.open_table(definition).map_err(redb_error)?;
            insert_sorted(&mut table, waiting.records())?;
            waiting.bytes.clear();
            waiting.lengths.clear();
        }
        let bytes = std::mem::take(&mut self.waiting_bytes);
        self.taken += bytes;
        self.unflushed += bytes;
        if self.unflushed >= FLUSHED_EVERY {
            self.unflushed = 0;
            self.flusher.flush();
        }
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
        self.flusher.end()?;
        Ok(())
    }
}
