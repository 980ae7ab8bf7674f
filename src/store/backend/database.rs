//! Store files: made, opened, and handed out as databases that can only be used safely.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use redb::{
    Builder, CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, TransactionError,
    WriteTransaction,
};

use super::{Disk, FileDisk, Health, ReadOnlyDisk, SealedBackend, disk::Interruptible};
use crate::seal::{
    DataKey, Fingerprint,
    blocks::{BadSuperblock, HEADER_NONCE, PLACE, Superblock, header_nonce},
};

/// Why a store cannot be made or opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The disk did not do what it was asked.
    #[error("the store's file: {0}")]
    Io(#[from] io::Error),
    /// A store was to be made where a file stands.
    #[error("the store's file exists; a store is never made over another")]
    Exists,
    /// The file is something else.
    #[error("this is not a store file; nothing was changed")]
    NotAStore,
    /// A newer version of the product wrote the file.
    #[error(
        "this store has format {found}, which this version cannot read; nothing was changed; install workrun {written_by} or newer"
    )]
    TooNew {
        /// The file's format.
        found: u32,
        /// The version of the product that wrote it.
        written_by: String,
    },
    /// Another key than the one given seals the file.
    #[error("this store needs key {needs}, the one given is {given}")]
    WrongKey {
        /// What the file names.
        needs: Fingerprint,
        /// What was given.
        given: Fingerprint,
    },
    /// The right key, but the file is not what was written.
    #[error("the store is damaged ({0}); nothing was changed; restore it from a generation")]
    Damaged(String),
    /// A transaction still runs.
    #[error("the store is in use: end its transactions first")]
    Busy,
}

impl From<BadSuperblock> for BackendError {
    fn from(error: BadSuperblock) -> Self {
        match error {
            BadSuperblock::NotAStore => Self::NotAStore,
            BadSuperblock::TooNew { found, written_by } => Self::TooNew { found, written_by },
            BadSuperblock::WrongKey { needs, given } => Self::WrongKey { needs, given },
            BadSuperblock::Damaged => Self::Damaged("its superblock does not authenticate".to_owned()),
        }
    }
}

impl From<StorageError> for BackendError {
    fn from(error: StorageError) -> Self {
        match error {
            // What the backend reads strictly: blocks that do not authenticate, and reads beyond the end.
            StorageError::Io(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Damaged(error.to_string())
            }
            StorageError::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<DatabaseError> for BackendError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(error) => error.into(),
            DatabaseError::TransactionInProgress => Self::Busy,
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TransactionError> for BackendError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            _ => Self::Busy,
        }
    }
}

impl From<CommitError> for BackendError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// An open store: a redb database over a [`SealedBackend`], of which only what is safe can be reached. Every write
/// transaction commits in two phases, of which the backend spares a small one the first sync; and there is no `compact`.
///
/// Dropping it closes it; [`Self::close`] says whether that went well.
pub struct SealedDatabase {
    database: Database,
    health: Health,
}

impl SealedDatabase {
    /// Makes a store on an empty disk and commits once, so that what is on the disk can be opened.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn create_on<D: Disk>(disk: D, key: &DataKey, cache_bytes: usize) -> Result<Self, BackendError> {
        let store = Self::over(SealedBackend::create(disk, key)?, cache_bytes)?;
        store.begin_write()?.commit()?;
        Ok(store)
    }

    /// Opens the store on a disk, recovering what a crash left.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn open_on<D: Disk>(disk: D, key: &DataKey, cache_bytes: usize) -> Result<Self, BackendError> {
        Self::over(SealedBackend::open(disk, key)?, cache_bytes)
    }

    /// redb panics on some damage, so it is opened behind a wall.
    fn over<D: Disk>(backend: SealedBackend<D>, cache_bytes: usize) -> Result<Self, BackendError> {
        let health = backend.health();
        let database = behind_a_wall(|| Builder::new().set_cache_size(cache_bytes).create_with_backend(backend))?;
        Ok(Self { database, health })
    }

    /// Begins a write transaction that commits in two phases; waits for the one before to end.
    ///
    /// # Errors
    /// As [`redb::Database::begin_write`].
    pub fn begin_write(&self) -> Result<WriteTransaction, TransactionError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    /// Begins a read transaction, which sees what was committed last.
    ///
    /// # Errors
    /// As [`redb::ReadableDatabase::begin_read`].
    pub fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        self.database.begin_read()
    }

    /// What has gone wrong with the disk since the store was opened.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Walks all of the store and checks every checksum, which notices even older copies of blocks. Slow.
    ///
    /// # Errors
    /// [`BackendError::Damaged`] if something is wrong, [`BackendError::Busy`] while a transaction lives.
    pub fn check(&mut self) -> Result<(), BackendError> {
        if behind_a_wall(|| self.database.check_integrity())? {
            return Ok(());
        }
        Err(BackendError::Damaged("its allocator did not agree with its tables, and was rebuilt".to_owned()))
    }

    /// Closes the store, so that it opens again without a recovery.
    ///
    /// # Errors
    /// [`BackendError::Io`] if that could not be written; the store then recovers when it is opened.
    pub fn close(self) -> Result<(), BackendError> {
        Ok(self.database.close()?)
    }
}

impl std::fmt::Debug for SealedDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedDatabase").field("health", &self.health).finish_non_exhaustive()
    }
}

fn behind_a_wall<T>(work: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, BackendError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
            Err(BackendError::Damaged(text.unwrap_or("the database gave up on it").to_owned()))
        }
    }
}

/// Makes a store in a new file: under `path.new` first, with a first commit, then renamed, all of it on the disk when
/// this returns. `cache_bytes` bounds redb's cache.
///
/// # Errors
/// [`BackendError::Exists`] if the file exists, [`BackendError::Io`].
pub fn create_database(path: &Path, key: &DataKey, cache_bytes: usize) -> Result<SealedDatabase, BackendError> {
    if path.try_exists()? {
        return Err(BackendError::Exists);
    }
    let new = beside(path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new)?;
    let same_file = file.try_clone()?;
    let store = SealedDatabase::create_on(FileDisk::new(file), key, cache_bytes)?;
    same_file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder_of(path)?;
    Ok(store)
}

/// Opens a store's file, recovering what a crash left. `cache_bytes` bounds redb's cache.
///
/// # Errors
/// [`BackendError`], and then the file is as it was.
pub fn open_database(path: &Path, key: &DataKey, cache_bytes: usize) -> Result<SealedDatabase, BackendError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    SealedDatabase::open_on(FileDisk::new(file), key, cache_bytes)
}

/// Opens a store's file without ever writing to it: recovery, and even commits, stay in memory and end with it.
///
/// # Errors
/// [`BackendError`].
pub fn open_database_for_reading(
    path: &Path,
    key: &DataKey,
    cache_bytes: usize,
) -> Result<SealedDatabase, BackendError> {
    SealedDatabase::open_on(ReadOnlyDisk::new(FileDisk::new(File::open(path)?))?, key, cache_bytes)
}

/// Walks every checksum of a closed store's file without writing to it, until `given_up` is raised: then it ends with an
/// error that means nothing.
///
/// # Errors
/// [`BackendError`].
pub(in crate::store) fn walk_file(
    path: &Path,
    key: &DataKey,
    cache_bytes: usize,
    given_up: Arc<AtomicBool>,
) -> Result<(), BackendError> {
    let disk = Interruptible { disk: FileDisk::new(File::open(path)?), given_up };
    SealedDatabase::open_on(ReadOnlyDisk::new(disk)?, key, cache_bytes)?.check()
}

/// What a store's file says of itself in the clear: which key it needs.
///
/// # Errors
/// [`BackendError::NotAStore`], [`BackendError::TooNew`], [`BackendError::Io`].
pub fn read_superblock(path: &Path) -> Result<Superblock, BackendError> {
    let disk = FileDisk::new(File::open(path)?);
    if disk.len()? < PLACE as u64 {
        return Err(BackendError::NotAStore);
    }
    let mut place = [0; PLACE];
    disk.read_exact_at(&mut place, 0)?;
    Ok(Superblock::parse(&place)?)
}

/// Which state of which file stands on the disk: while it is equal, nothing was committed to the file. A header is written
/// before a commit is acknowledged, each with a number above all before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FileState {
    /// The file's id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub file_id: [u8; 16],
    /// The number of the newest header.
    #[n(1)]
    pub seq: u64,
    /// Its nonce: an older copy of the file may come to the same number again, but never to the same nonce.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: Option<[u8; HEADER_NONCE]>,
}

/// The state of a store's file, without opening it: its superblock and header copies, which must authenticate.
///
/// # Errors
/// [`BackendError`].
pub(in crate::store) fn file_state(path: &Path, key: &DataKey) -> Result<FileState, BackendError> {
    // At once: this is asked of every organization whenever a snapshot is taken.
    let mut places = [0; 3 * PLACE];
    File::open(path)?.read_exact(&mut places)?;
    let ([superblock, headers @ ..], _) = places.as_chunks() else { return Err(BackendError::NotAStore) };
    let file_id = Superblock::verify(superblock, key)?.file_id;
    let cipher = key.block_cipher(file_id);
    let (mut seq, mut nonce) = (0, None);
    for place in headers {
        // One that is being written at this moment may be the newest: then nothing is known.
        let found = cipher
            .open_header(place)
            .map_err(|_| BackendError::Damaged("a copy of its header does not authenticate".to_owned()))?;
        if found.seq > seq {
            (seq, nonce) = (found.seq, Some(header_nonce(place)));
        }
    }
    Ok(FileState { file_id, seq, nonce })
}

pub(in crate::store) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

pub(in crate::store) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
