//! One store and its group-committing writer.
//!
//! Commands queue; while the queue is not empty one thread of the blocking pool takes all that wait (bounded), runs them
//! in one transaction, commits it durably and answers them all. A command that fails *after* it has written, or panics,
//! costs its group a rollback: the others are run again without it, so only the culprit is refused.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::{
    Read, StoreError, Txn, View,
    backend::{self, SealedDatabase},
    blocking, facts, figures,
    migrate::{self, RELEASED, Schemas},
    queue::{self, Job, LastGroup, Queue, Step},
    rewrite::{self, Touched},
};
use crate::seal::DataKey;

/// The schema that this release writes into new files and the newest that it reads.
pub const SCHEMA: u32 = 2;

/// How many stores this process has opened.
static OPENINGS: AtomicU64 = AtomicU64::new(0);
/// Up to this size a file keeps redb's allocator state at every commit, which makes opening it after a crash instant;
/// larger files keep it only when they are closed, since it grows with the file.
const QUICK_REPAIR_BYTES_MAX: u64 = 150 << 20;

/// What a writer has done since the store was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterFigures {
    /// Groups committed.
    pub groups: u64,
    /// Commands in them.
    pub commands: u64,
    /// Commands that wait now.
    pub waiting: usize,
    /// Whether a sync failed, so that the store can only be read until it is rewritten.
    pub reading_only: bool,
}

/// A moment of an open store: while it is equal, nothing was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which opening of which file.
    opening: u64,
    /// Transactions since then.
    transactions: u64,
}

/// One sealed file: consistent reads, grouped durable writes.
pub struct Store {
    pub(super) path: PathBuf,
    /// The key that seals the file.
    pub(super) key: Mutex<DataKey>,
    pub(super) cache_bytes: usize,
    /// `None` only while the file is closed for good or could not be reopened. Who reads or writes holds the database and
    /// not the lock, so that a rewritten file can take its place under them.
    pub(super) database: RwLock<Option<Arc<SealedDatabase>>>,
    /// A sync failed: what the file holds is unknown until it has been rewritten elsewhere.
    pub(super) reading_only: AtomicBool,
    /// The last read that failed, in words.
    trouble: Mutex<Option<String>>,
    /// Held while the store is rewritten.
    pub(super) rewriting: Mutex<()>,
    /// What was changed since a rewrite began, while one runs.
    pub(super) touched: Mutex<Option<Touched>>,
    queue: Queue,
    groups: AtomicU64,
    commands: AtomicU64,
    committed: watch::Sender<u64>,
    opening: u64,
    pub(super) transactions: AtomicU64,
}

impl Store {
    /// Makes a new store; the file is complete and durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unopened`] if there is a file already or it cannot be made, [`StoreError::Full`].
    pub fn create(path: &Path, key: DataKey, cache_bytes: usize) -> Result<Arc<Self>, StoreError> {
        let database = backend::create_database(path, &key, cache_bytes).map_err(|error| unopened(&error))?;
        Self::over(path, key, cache_bytes, database)
    }

    /// Opens a store.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Unopened`] (wrong key, damage), [`StoreError::TooNew`]; what keeps a store of
    /// an older schema from being brought up.
    pub fn open(path: &Path, key: DataKey, cache_bytes: usize) -> Result<Arc<Self>, StoreError> {
        Self::open_as(path, key, cache_bytes, &RELEASED)
    }

    pub(super) fn open_as(
        path: &Path,
        key: DataKey,
        cache_bytes: usize,
        schemas: &Schemas,
    ) -> Result<Arc<Self>, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing);
        }
        rewrite::remove_leftovers(path).map_err(|error| StoreError::Disk { reason: error.to_string() })?;
        let database = backend::open_database(path, &key, cache_bytes).map_err(|error| unopened(&error))?;
        let database = migrate::bring_up(path, &key, cache_bytes, database, schemas)?;
        Self::over(path, key, cache_bytes, database)
    }

    /// Opens a store whose disk failed to make a write durable: it is read, and written only into a fresh file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(super) fn open_unsynced(path: &Path, key: DataKey, cache_bytes: usize) -> Result<Arc<Self>, StoreError> {
        let database = backend::open_database_for_reading(path, &key, cache_bytes).map_err(|error| unopened(&error))?;
        let store = Self::over(path, key, cache_bytes, database)?;
        store.reading_only.store(true, Ordering::Release);
        Ok(store)
    }

    pub(super) fn over(
        path: &Path,
        key: DataKey,
        cache_bytes: usize,
        database: SealedDatabase,
    ) -> Result<Arc<Self>, StoreError> {
        let store = Arc::new(Self {
            path: path.to_owned(),
            key: Mutex::new(key),
            cache_bytes,
            database: RwLock::new(Some(Arc::new(database))),
            reading_only: AtomicBool::new(false),
            trouble: Mutex::default(),
            rewriting: Mutex::new(()),
            touched: Mutex::new(None),
            queue: Queue::default(),
            groups: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            committed: watch::Sender::new(0),
            opening: OPENINGS.fetch_add(1, Ordering::Relaxed),
            transactions: AtomicU64::new(0),
        });
        if store.view(facts::schema)?.is_none() {
            store.write_now(|txn| facts::set_schema(txn, SCHEMA))?;
        }
        Ok(store)
    }

    /// Reads one committed state. The view lives as long as `read` runs; run long reads in [`Store::read`].
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Missing`] if the store was closed, and whatever `read` returns.
    pub fn view<T, E: From<StoreError>>(&self, read: impl FnOnce(&dyn Read) -> Result<T, E>) -> Result<T, E> {
        let database = self.opened()?;
        let result = match database.begin_read() {
            Ok(txn) => read(&View::new(txn)),
            Err(error) => Err(StoreError::from_redb(error).into()),
        };
        if result.is_err() {
            self.look_after_failed_read(database);
        }
        result
    }

    /// Was it the reader who refused, or the disk?
    fn look_after_failed_read(&self, database: Arc<SealedDatabase>) {
        let health = database.health();
        drop(database);
        if !health.is_sound() {
            if let Some(place) = health.unread() {
                tracing::error!(path = %self.path.display(), place, "a store cannot be read where it is damaged");
                *self.trouble.lock() = Some(place);
            }
            self.reopen();
        }
    }

    /// The last read that failed since the store was opened, in words: damage, or a disk that does not answer.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// [`Store::view`] on the blocking pool, so that a slow disk holds up nobody else.
    ///
    /// # Errors
    /// As [`Store::view`].
    pub async fn read<T, E>(
        self: &Arc<Self>,
        read: impl FnOnce(&dyn Read) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = Arc::clone(self);
        blocking(move || store.view(read)).await?
    }

    /// Queues a command and waits until it is durable or refused.
    ///
    /// `work` decides first and writes after: a refusal must come before the first write. It may be run again if another
    /// command of its group spoils the transaction, so it takes time and ids from outside. `weight` is its size in bytes.
    ///
    /// # Errors
    /// What `work` refuses with; [`StoreError::Full`] and [`StoreError::Overloaded`] when nothing was changed;
    /// [`StoreError::OutcomeUnknown`] if the disk failed during the commit.
    pub async fn submit<T, E, W>(self: &Arc<Self>, weight: usize, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: FnMut(&Txn<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = queue::job(weight, work);
        self.push(job)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }

    /// Queues a command, and begins to write if nobody does.
    fn push(self: &Arc<Self>, job: Box<dyn Job>) -> Result<(), StoreError> {
        let first = self.queue.push(job).inspect_err(|error| {
            if matches!(error, StoreError::Overloaded) {
                figures::OVERLOADED.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        if first {
            let store = Arc::clone(self);
            tokio::task::spawn_blocking(move || store.drain());
        }
        Ok(())
    }

    /// Tells when something was committed: the value is the number of groups so far.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// What is read now is as it was at an equal version, for whoever asks for the version first and reads then.
    #[must_use]
    pub fn version(&self) -> Version {
        Version { opening: self.opening, transactions: self.transactions.load(Ordering::Acquire) }
    }

    /// What the writer has done.
    #[must_use]
    pub fn figures(&self) -> WriterFigures {
        WriterFigures {
            groups: self.groups.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            waiting: self.queue.len(),
            reading_only: self.reading_only.load(Ordering::Acquire),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that seals the file.
    #[must_use]
    pub fn key(&self) -> DataKey {
        self.key.lock().clone()
    }

    /// The version of the key that seals the file.
    #[must_use]
    pub fn key_version(&self) -> u32 {
        self.key.lock().version()
    }

    /// Whether a sync failed, so that the store can only be read until it is rewritten.
    #[must_use]
    pub fn is_reading_only(&self) -> bool {
        self.reading_only.load(Ordering::Acquire)
    }

    /// Whether a command waits or is being written.
    pub(super) fn busy(&self) -> bool {
        self.queue.is_busy()
    }

    /// Finishes what waits, then closes the file so that the next opening needs no repair.
    pub fn close(&self) {
        self.queue.close();
        while self.busy() {
            std::thread::yield_now();
        }
        if let Some(database) = self.database.write().take() {
            let health = database.health();
            if let Err(error) = last_holder(database).close() {
                tracing::warn!(%error, "a store was not closed cleanly; opening it will take longer");
            }
            if health.sync_failed() {
                self.reading_only.store(true, Ordering::Release);
            }
        }
    }

    fn drain(&self) {
        while let Some(group) = self.queue.next_group() {
            let (began, answered, synced) = (Instant::now(), group.len(), self.time_in_syncs());
            self.write_group(group);
            let (took, synced) = (began.elapsed(), self.time_in_syncs().saturating_sub(synced));
            figures::COMMIT_MICROS.note(figures::micros(took));
            figures::SYNC_MICROS.note(figures::micros(synced));
            self.queue.note(LastGroup { ended: Instant::now(), took, synced, answered });
        }
    }

    fn time_in_syncs(&self) -> Duration {
        self.database.read().as_ref().map_or(Duration::ZERO, |database| database.health().time_in_syncs())
    }

    fn write_group(&self, mut group: Vec<Box<dyn Job>>) {
        let size = group.len() as u64;
        let outcome = self.transact(&mut |txn| {
            for job in &mut group {
                if let Step::Spoilt(error) = job.run(txn) {
                    return Err(error);
                }
            }
            Ok(())
        });
        match outcome {
            Err(StoreError::Panicked) if group.len() > 1 => {
                for job in group {
                    self.write_group(vec![job]);
                }
            }
            outcome => {
                if outcome.is_ok() {
                    self.groups.fetch_add(1, Ordering::Relaxed);
                    self.commands.fetch_add(size, Ordering::Relaxed);
                    figures::GROUP_COMMANDS.note(size);
                    self.committed.send_modify(|groups| *groups += 1);
                }
                for job in group {
                    job.answer(outcome.clone());
                }
            }
        }
    }

    /// Runs one write at once, beside the queue, and makes it durable: for start-up, where nobody else writes yet.
    ///
    /// # Errors
    /// As [`Store::submit`].
    pub fn write_now(&self, work: impl Fn(&Txn<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.transact(&mut |txn| work(txn))
    }

    /// Runs `work` in one transaction and makes it durable. A transaction without writes is not committed.
    fn transact(&self, work: &mut dyn FnMut(&Txn<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let result = self.attempt(work);
        // Whatever came of it, what was read before may have changed. Counted before anybody is answered.
        self.transactions.fetch_add(1, Ordering::Release);
        result
    }

    fn attempt(&self, work: &mut dyn FnMut(&Txn<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let (expected, failure) = loop {
            if self.reading_only.load(Ordering::Acquire) {
                return Err(StoreError::ReadOnly);
            }
            let database = self.opened()?;
            let mut txn = match database.begin_write() {
                Ok(txn) => txn,
                Err(error) => break (None, StoreError::from_redb(error)),
            };
            if self.database.read().as_ref().is_none_or(|present| !Arc::ptr_eq(present, &database)) {
                // While this waited for its turn, a rewritten file has taken the place of the one that it had opened.
                if let Err(error) = txn.abort() {
                    break (None, StoreError::from_redb(error));
                }
                continue;
            }
            let bytes = std::fs::metadata(&self.path).map_or(u64::MAX, |file| file.len());
            txn.set_quick_repair(bytes < QUICK_REPAIR_BYTES_MAX);
            match run(txn, work, &self.touched) {
                Ran::Done => return Ok(()),
                Ran::Refused(error) => return Err(error),
                Ran::Failed { expected, error } => break (expected, error),
            }
        };
        self.settle(expected, failure)
    }

    /// The open database, opened again if an earlier failure left it closed.
    pub(super) fn opened(&self) -> Result<Arc<SealedDatabase>, StoreError> {
        if let Some(database) = self.database.read().as_ref() {
            return Ok(Arc::clone(database));
        }
        if self.queue.is_closed() {
            return Err(StoreError::Missing);
        }
        self.reopen();
        let failed =
            || StoreError::Unopened { reason: "the disk failed, and the file cannot be opened again yet".to_owned() };
        self.database.read().as_ref().map(Arc::clone).ok_or_else(failed)
    }

    /// Opens the file afresh if something went wrong with it: after an I/O error redb answers nothing more. Returns whether
    /// a sync had failed, after which nothing is written any more. If it cannot be opened it stays closed, and the next
    /// use tries again.
    fn reopen(&self) -> bool {
        let mut guard = self.database.write();
        if let Some(database) = guard.as_ref() {
            let health = database.health();
            if health.sync_failed() {
                self.reading_only.store(true, Ordering::Release);
            } else if health.is_sound() && !health.disk_was_full() {
                // Somebody else has reopened it while this thread waited.
                return false;
            }
        }
        // The same file must not be opened again before nobody holds it any more.
        drop(guard.take().map(last_holder));
        let reading_only = self.reading_only.load(Ordering::Acquire);
        // A file that must not be written is recovered in memory.
        let open = if reading_only { backend::open_database_for_reading } else { backend::open_database };
        match open(&self.path, &self.key.lock(), self.cache_bytes) {
            Ok(database) => *guard = Some(Arc::new(database)),
            Err(error) => tracing::error!(%error, "a store cannot be opened again"),
        }
        reading_only
    }

    /// After an I/O error redb refuses everything, so the file is opened afresh; then the count of commits tells whether
    /// the group was kept. After a failed *sync* that count cannot be trusted, since it may be read from memory.
    fn settle(&self, expected: Option<u64>, failure: StoreError) -> Result<(), StoreError> {
        tracing::error!(error = %failure, "a store's write failed; reopening the file");
        let sync_failed = self.reopen();
        if sync_failed {
            return Err(StoreError::OutcomeUnknown { reason: failure.to_string() });
        }
        let Some(expected) = expected else { return Err(failure) };
        match self.view(facts::commits) {
            Ok(found) if found >= expected => Ok(()),
            Ok(_) => Err(failure),
            Err(error) => Err(StoreError::OutcomeUnknown { reason: error.to_string() }),
        }
    }
}

pub(super) fn unopened(error: &backend::BackendError) -> StoreError {
    StoreError::Unopened { reason: error.to_string() }
}

/// Waits until nobody else reads or writes a database, and takes it.
fn last_holder(mut database: Arc<SealedDatabase>) -> SealedDatabase {
    loop {
        match Arc::try_unwrap(database) {
            Ok(database) => return database,
            Err(held) => database = held,
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// What became of a transaction.
pub(super) enum Ran {
    /// Committed, or there was nothing to commit.
    Done,
    /// Rolled back; the disk is well.
    Refused(StoreError),
    /// The disk refused. `expected` is the count of commits if the commit itself failed.
    Failed { expected: Option<u64>, error: StoreError },
}

pub(super) fn run(
    txn: redb::WriteTransaction,
    work: &mut dyn FnMut(&Txn<'_>) -> Result<(), StoreError>,
    touched: &Mutex<Option<Touched>>,
) -> Ran {
    let noting = touched.lock().is_some();
    let tables = Txn::new(&txn, noting);
    let mut expected = 0;
    let worked = work(&tables).and_then(|()| {
        if tables.writes() > 0 {
            expected = facts::commits(tables.reader())? + 1;
            facts::set_commits(&tables, expected)?;
        }
        tables.write_waiting()?;
        facts::add_bytes(&tables, tables.grown())?;
        tables.write_waiting()
    });
    // Before the commit: a rewrite that sees the commit must see what it changed.
    if let (Some(noted), Some(changed)) = (touched.lock().as_mut(), tables.touched()) {
        noted.merge(changed);
    }
    let failure = tables.failure();
    drop(tables);
    match (worked, failure) {
        (_, Some(error)) => {
            // The abort may fail for the same reason; the reopening settles it either way.
            let _ = txn.abort();
            Ran::Failed { expected: None, error }
        }
        (Ok(()), None) if expected > 0 => match txn.commit() {
            Ok(()) => Ran::Done,
            Err(error) => Ran::Failed { expected: Some(expected), error: StoreError::from_redb(error) },
        },
        (worked, None) => match (txn.abort(), worked) {
            (Ok(()), Ok(())) => Ran::Done,
            (Ok(()), Err(error)) => Ran::Refused(error),
            (Err(error), _) => Ran::Failed { expected: None, error: StoreError::from_redb(error) },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KeyId;
    use crate::store::Table;

    const COUNT: Table<u64, u64> = Table::new("count");

    #[derive(Debug)]
    enum Oops {
        Refused,
        Store(StoreError),
    }
    impl From<StoreError> for Oops {
        fn from(error: StoreError) -> Self {
            Self::Store(error)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_group_keeps_all_but_the_culprits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.store");
        let key = DataKey::fresh(KeyId([7; 16]), 1);
        let store = Store::create(&path, key.clone(), 1 << 20).expect("a store");
        let asked = (0..200_u64).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store
                    .submit(8, move |txn| {
                        if n % 10 == 1 {
                            return Err(Oops::Refused);
                        }
                        txn.put(&COUNT, &n, &n)?;
                        assert!(n % 10 != 2, "a poison command");
                        if n % 10 == 3 { Err(Oops::Refused) } else { Ok(n) }
                    })
                    .await
            })
        });
        for (n, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
            let answer = asked.await.expect("an answer");
            match n % 10 {
                1 | 3 => assert!(matches!(answer, Err(Oops::Refused)), "{n}: {answer:?}"),
                2 => assert!(matches!(answer, Err(Oops::Store(StoreError::Panicked))), "{n}: {answer:?}"),
                _ => assert_eq!(answer.expect("accepted"), n as u64),
            }
        }
        store.close();
        let store = Store::open(&path, key, 1 << 20).expect("opens again");
        let kept =
            store.view(|view| view.list(&COUNT, &super::super::Span::all(), super::super::Order::Ascending, 1000));
        let kept: Vec<u64> = kept.expect("reads").into_iter().map(|(n, _)| n).collect();
        assert_eq!(kept, (0..200).filter(|n| !matches!(n % 10, 1..=3)).collect::<Vec<_>>());
    }
}
