//! The rewrite engine: a store's records are copied into a fresh file while the store serves, and the fresh file takes the
//! old one's place. It compacts, it seals under another key, and it heals a store whose disk failed to sync.
//!
//! What is committed while the copy is made is noted by key, and copied after it; this repeats until little is left, and
//! only for that little do writers wait. Readers never wait: those that began on the old file end on it. A crash leaves the
//! old file or the new one, whole; what else it leaves is removed when the store is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableHandle as _};

use super::{
    Store, StoreError,
    backend::{self, BackendError, SealedDatabase},
    facts,
    txn::{in_order, insert_sorted},
    view::Bytes,
    writer::unopened,
};
use crate::seal::DataKey;

/// Bytes of records that are inserted together.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of records that one transaction of the copy takes.
const TRANSACTION_BYTES: usize = 32 << 20;
/// The new file's cache while it is filled.
const CACHE_BYTES: usize = 8 << 20;
/// Keys that may be left for the last pass, for which writers wait.
const LEFT_FOR_LAST: usize = 64;
/// Passes after which writers wait for whatever is left.
const PASSES_MAX: u32 = 12;
/// Bytes of keys that are noted at most; past it writers are quicker than the copy, and it is given up.
const NOTED_BYTES_MAX: usize = 64 << 20;

/// How long the swap waits for the store to be free.
const SWAP_WAIT_MAX: Duration = Duration::from_secs(2);

/// What a rewrite has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Length of the old file.
    pub bytes_before: u64,
    /// Length of the new one.
    pub bytes_after: u64,
    /// Records copied, those that were copied again included.
    pub records: u64,
    /// Passes over what was committed meanwhile, the last one included.
    pub passes: u32,
    /// How long writers waited.
    pub pause: Duration,
}

/// How far a rewrite is: bytes of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub copied: u64,
    pub total: u64,
}

/// Records that were changed since the copy began, by table and key.
#[derive(Debug, Default)]
pub(super) struct Touched {
    keys: BTreeMap<&'static str, BTreeSet<Vec<u8>>>,
    count: usize,
    bytes: usize,
}

impl Touched {
    pub(super) fn note(&mut self, table: &'static str, key: &[u8]) {
        // Past the bound the copy is given up, and nobody needs the keys.
        if self.bytes <= NOTED_BYTES_MAX && self.keys.entry(table).or_default().insert(key.to_vec()) {
            self.count += 1;
            self.bytes += key.len() + size_of::<Vec<u8>>();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (table, keys) in other.keys {
            for key in keys {
                self.note(table, &key);
            }
        }
    }
}

/// The file that is being filled, beside the one that it will replace.
pub(super) fn place_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".rewrite");
    name.into()
}

/// Removes what an interrupted rewrite left beside a store.
pub(super) fn remove_leftovers(path: &Path) -> io::Result<()> {
    let fresh = place_beside(path);
    for name in [backend::beside(&fresh), fresh] {
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

/// Fills the fresh file.
pub(super) struct Copier<'c> {
    fresh: &'c SealedDatabase,
    progress: &'c mut dyn FnMut(Progress),
    done: Progress,
    records: u64,
}

impl<'c> Copier<'c> {
    pub(super) fn new(fresh: &'c SealedDatabase, done: Progress, progress: &'c mut dyn FnMut(Progress)) -> Self {
        Self { fresh, progress, done, records: 0 }
    }

    /// Every record of every table.
    pub(super) fn copy_all(&mut self, from: &ReadTransaction) -> Result<(), StoreError> {
        let mut names: Vec<String> =
            from.list_tables().map_err(StoreError::from_redb)?.map(|table| table.name().to_owned()).collect();
        names.sort_unstable();
        for name in names {
            let table = from.open_table(definition(&name)).map_err(StoreError::from_redb)?;
            let mut records = table.iter().map_err(StoreError::from_redb)?;
            // An empty table is a table all the same.
            while self.copy_some(&name, &mut records)? {}
        }
        Ok(())
    }

    /// As many of a table's next records as one transaction takes; returns whether there may be more.
    fn copy_some(&mut self, name: &str, records: &mut redb::Range<'_, Bytes, Bytes>) -> Result<bool, StoreError> {
        let txn = self.fresh.begin_write().map_err(StoreError::from_redb)?;
        let mut taken = 0;
        let mut more = true;
        {
            let mut table = txn.open_table(definition(name)).map_err(StoreError::from_redb)?;
            while more && taken < TRANSACTION_BYTES {
                let mut batch = BTreeMap::new();
                let mut bytes = 0;
                while bytes < BATCH_BYTES {
                    let Some(record) = records.next() else {
                        more = false;
                        break;
                    };
                    let (key, value) = record.map_err(StoreError::from_redb)?;
                    bytes += key.value().len() + value.value().len();
                    batch.insert(key.value().to_vec(), value.value().to_vec());
                }
                insert_sorted(&mut table, in_order(&batch))?;
                taken += bytes;
                self.count(batch.len(), bytes);
            }
        }
        txn.commit().map_err(StoreError::from_redb)?;
        Ok(more)
    }

    fn count(&mut self, records: usize, bytes: usize) {
        self.records += records as u64;
        self.done.copied += bytes as u64;
        self.done.total = self.done.total.max(self.done.copied);
        (self.progress)(self.done);
    }

    /// The records that were changed meanwhile, as they are now.
    fn copy_touched(&mut self, from: &ReadTransaction, touched: &Touched, last: bool) -> Result<(), StoreError> {
        let mut txn = self.fresh.begin_write().map_err(StoreError::from_redb)?;
        // The file is opened at once after the last commit.
        txn.set_quick_repair(last);
        for (name, keys) in &touched.keys {
            let source = match from.open_table(definition(name)) {
                Ok(table) => Some(table),
                // Made by a transaction that was rolled back.
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(StoreError::from_redb(error)),
            };
            let mut target = txn.open_table(definition(name)).map_err(StoreError::from_redb)?;
            for key in keys {
                let found = source.as_ref().map(|table| table.get(key.as_slice())).transpose();
                match found.map_err(StoreError::from_redb)?.flatten() {
                    Some(value) => target.insert(key.as_slice(), value.value()).map(|_| ()),
                    None => target.remove(key.as_slice()).map(|_| ()),
                }
                .map_err(StoreError::from_redb)?;
            }
        }
        txn.commit().map_err(StoreError::from_redb)?;
        self.records += touched.count as u64;
        Ok(())
    }
}

impl Store {
    /// Copies the store into a fresh file under `key`, which takes the place of the present one. Blocks; run it where
    /// waiting is allowed. The store serves meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] if a rewrite runs already or writers are quicker than the copy; what the disks say. The
    /// store then goes on with the file that it has.
    pub fn rewrite(&self, key: &DataKey, progress: &mut dyn FnMut(Progress)) -> Result<Rewritten, StoreError> {
        let Some(_alone) = self.rewriting.try_lock() else { return Err(StoreError::Overloaded) };
        let result = self.rewrite_alone(key, progress);
        *self.touched.lock() = None;
        if result.is_err()
            && let Err(error) = remove_leftovers(&self.path)
        {
            tracing::warn!(%error, "a half-written copy of a store is left; it is removed when the store is opened");
        }
        result
    }

    fn rewrite_alone(&self, key: &DataKey, progress: &mut dyn FnMut(Progress)) -> Result<Rewritten, StoreError> {
        let bytes_before = length(&self.path)?;
        let place = place_beside(&self.path);
        remove_leftovers(&self.path).map_err(|error| disk(&error))?;
        let old = self.opened()?;
        let fresh = backend::create_database(&place, key, CACHE_BYTES).map_err(not_written)?;
        {
            // No transaction may be under way when the noting begins: what it had put before would be noted by nobody.
            let quiet = old.begin_write().map_err(StoreError::from_redb)?;
            *self.touched.lock() = Some(Touched::default());
            quiet.abort().map_err(StoreError::from_redb)?;
        }
        let snapshot = old.begin_read().map_err(StoreError::from_redb)?;
        let total = self.view(facts::bytes_held)?;
        let mut copier = Copier::new(&fresh, Progress { copied: 0, total }, progress);
        copier.copy_all(&snapshot)?;
        snapshot.close().map_err(StoreError::from_redb)?;
        let mut passes = 1;
        while passes < PASSES_MAX {
            let (count, bytes) = self.touched.lock().as_ref().map_or((0, 0), |touched| (touched.count, touched.bytes));
            if bytes > NOTED_BYTES_MAX {
                return Err(StoreError::Overloaded);
            }
            if count <= LEFT_FOR_LAST {
                break;
            }
            // Transactions note what they change before they commit: taken while none is under way, every key that was
            // noted is in the state that is read.
            let quiet = old.begin_write().map_err(StoreError::from_redb)?;
            let touched = self.touched.lock().as_mut().map(std::mem::take).unwrap_or_default();
            let state = old.begin_read().map_err(StoreError::from_redb)?;
            quiet.abort().map_err(StoreError::from_redb)?;
            copier.copy_touched(&state, &touched, false)?;
            passes += 1;
        }

        // From here to the swap writers wait: redb gives out one write transaction at a time.
        let began = Instant::now();
        let gate = old.begin_write().map_err(StoreError::from_redb)?;
        let touched = self.touched.lock().take().unwrap_or_default();
        copier.copy_touched(&old.begin_read().map_err(StoreError::from_redb)?, &touched, true)?;
        let records = copier.records;
        fresh.close().map_err(not_written)?;
        self.put_in_place(&place, key)?;
        gate.abort().map_err(StoreError::from_redb)?;
        let pause = began.elapsed();
        self.reading_only.store(false, Ordering::Release);
        self.transactions.fetch_add(1, Ordering::Release);
        Ok(Rewritten { bytes_before, bytes_after: length(&self.path)?, records, passes, pause })
    }

    /// Renames the complete file over the present one and opens it.
    fn put_in_place(&self, place: &Path, key: &DataKey) -> Result<(), StoreError> {
        // Who opens the file afresh after a failure holds this, and waits for everybody to let the old file go.
        let mut open = self.database.try_write_for(SWAP_WAIT_MAX).ok_or(StoreError::Overloaded)?;
        swap(place, &self.path).inspect_err(|_| {
            // Whether it has the name now is unknown; the file that has one says which key it needs.
            if !place.exists() {
                *self.key.lock() = key.clone();
                *open = None;
            }
        })?;
        // The old file has no name any more and must take no more commits.
        *self.key.lock() = key.clone();
        *open = None;
        let database = backend::open_database(&self.path, key, self.cache_bytes).map_err(|error| unopened(&error))?;
        *open = Some(Arc::new(database));
        Ok(())
    }

    /// Whether more than half of the file is free: worth a rewrite.
    ///
    /// # Errors
    /// What the disk says.
    pub fn is_mostly_free(&self) -> Result<bool, StoreError> {
        /// Smaller files are not worth the trouble.
        const WORTH_IT: u64 = 8 << 20;
        let (length, held) = (length(&self.path)?, self.view(facts::bytes_held)?);
        // Records fill their pages to a half at least, so this many bytes cannot be a quarter free; only then are pages
        // counted, which reads all of them.
        if length < WORTH_IT || held > length / 3 {
            return Ok(false);
        }
        let database = self.opened()?;
        let txn = database.begin_write().map_err(StoreError::from_redb)?;
        let stats = txn.stats().map_err(StoreError::from_redb)?;
        txn.abort().map_err(StoreError::from_redb)?;
        let used = stats.allocated_pages() * stats.page_size() as u64;
        Ok(used < length / 2)
    }
}

/// Gives a complete file the name of the one that it replaces; all of it is on the disk when this returns.
pub(super) fn swap(fresh: &Path, path: &Path) -> Result<(), StoreError> {
    File::open(fresh).and_then(|file| file.sync_all()).map_err(|error| disk(&error))?;
    fs::rename(fresh, path).map_err(|error| disk(&error))?;
    backend::sync_folder_of(path).map_err(|error| disk(&error))
}

fn length(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| disk(&error))
}

fn disk(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Disk { reason: error.to_string() },
    }
}

fn not_written(error: BackendError) -> StoreError {
    match error {
        BackendError::Io(error) => disk(&error),
        other => StoreError::Disk { reason: other.to_string() },
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
