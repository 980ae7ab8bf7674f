//! redb's storage over sealed blocks: what a store file is made of, and in what order it is written.
//!
//! `seal::blocks` says where every byte stands and how it is sealed; this file keeps the rules that make redb as safe
//! against power failures on top of it as it is on a plain file. Each is guarded by `tests/power_failure.rs`:
//!
//! 1. redb's header goes to the copy that is *not* the one the last successful sync made durable, and only a successful
//!    sync makes the written copy the durable one. A header torn while it is written leaves the durable one whole.
//! 2. Reads are strict: a block that does not authenticate or was never written is an error, and so is a write or a read
//!    that is neither the header nor whole blocks.
//! 3. Commits are two-phase ([`SealedDatabase::begin_write`] sees to that), so redb trusts what the header points at.
//! 4. After a failed sync nothing is written any more: the system may have dropped what it could not write.
//! 5. Files grow by allocation, so a full disk shows as an error of growing, before anything is written.
//!
//! redb's `compact` commits in one phase and would break rule 3; [`SealedDatabase`] does not offer it.

use std::{
    cmp::Reverse,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::seal::{
    DataKey,
    blocks::{
        BLOCK, BadBlock, BadSuperblock, BlockCipher, EMPTY_FILE, HEADER, HeaderCopy, PLACE, SEALED_BLOCK, Superblock,
        block_offset, blocks_in, disk_length,
    },
};

mod database;
mod disk;

pub use database::{
    BackendError, FileState, SealedDatabase, create_database, open_database, open_database_for_reading, read_superblock,
};
pub(in crate::store) use database::{beside, file_state, sync_folder_of, walk_file};
pub use disk::{Disk, FileDisk, ReadOnlyDisk};

/// How a store's disk has done since it was opened: what went wrong, and how long it took. Clones watch the same store.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    read: AtomicBool,
    write: AtomicBool,
    sync: AtomicBool,
    full: AtomicBool,
    synced_nanos: AtomicU64,
    /// The first read that failed.
    unread: Mutex<Option<String>>,
}

impl Health {
    /// Nothing has gone wrong. Otherwise redb answers only from its cache, and the store is to be closed and opened anew.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        [&self.0.read, &self.0.write, &self.0.sync].iter().all(|fault| !fault.load(Ordering::Acquire))
    }

    /// A read failed: the disk did not answer, or a block did not authenticate.
    #[must_use]
    pub fn read_failed(&self) -> bool {
        self.0.read.load(Ordering::Acquire)
    }

    /// The first read that failed, in words: the block, and why.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        self.0.unread.lock().clone()
    }

    /// A write or a growth failed.
    #[must_use]
    pub fn write_failed(&self) -> bool {
        self.0.write.load(Ordering::Acquire)
    }

    /// A sync failed. What the file holds is then unknown until it has been written anew elsewhere and synced: open it
    /// for reading only.
    #[must_use]
    pub fn sync_failed(&self) -> bool {
        self.0.sync.load(Ordering::Acquire)
    }

    /// The disk, or the quota, was full.
    #[must_use]
    pub fn disk_was_full(&self) -> bool {
        self.0.full.load(Ordering::Acquire)
    }

    /// Time spent in waiting for syncs so far.
    #[must_use]
    pub fn time_in_syncs(&self) -> Duration {
        Duration::from_nanos(self.0.synced_nanos.load(Ordering::Relaxed))
    }

    fn note<T>(&self, fault: impl Fn(&Faults) -> &AtomicBool, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            fault(&self.0).store(true, Ordering::Release);
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                self.0.full.store(true, Ordering::Release);
            }
        }
        result
    }
}

/// redb's [`redb::StorageBackend`] over a [`Disk`]: offset 0 is the header, everything else is blocks of 4,096 bytes.
pub struct SealedBackend<D: Disk> {
    disk: D,
    cipher: BlockCipher,
    header: Mutex<HeaderPlaces>,
    /// The disk's length: nobody else changes it, and asking the system before every write costs a call each.
    length: AtomicU64,
    pending: Mutex<Pending>,
    health: Health,
}

/// Sealed blocks that wait for the next sync, so that neighbours go to the disk in one write: a commit's blocks come in no
/// order, and two of three have a neighbour among them. Until the sync nothing promises that they are on the disk.
#[derive(Default)]
struct Pending {
    sealed: Vec<u8>,
    /// Numbers of the blocks, in the order in which they stand in `sealed`.
    blocks: Vec<u64>,
    /// Some that waited could not be written.
    lost: bool,
}

/// Sealed bytes that wait at most.
const PENDING_MAX: usize = 256 * SEALED_BLOCK;
/// What of their memory is kept.
const PENDING_KEPT: usize = 64 * SEALED_BLOCK;

/// Which header copy is which.
#[derive(Default)]
struct HeaderPlaces {
    /// The sequence number of `current`; 0 before the first.
    seq: u64,
    /// The copy written or read last: what redb reads back.
    current: Option<HeaderCopy>,
    /// The copy that the last successful sync made durable. It is not written to.
    durable: Option<HeaderCopy>,
    /// Whether a header was written since the file was opened.
    written: bool,
}

impl<D: Disk> SealedBackend<D> {
    /// Makes an empty disk a store file, with a new file id. Nothing is durable before the first sync.
    ///
    /// # Errors
    /// [`BackendError::Exists`] if the disk is not empty, [`BackendError::Io`].
    pub fn create(disk: D, key: &DataKey) -> Result<Self, BackendError> {
        if disk.len()? != 0 {
            return Err(BackendError::Exists);
        }
        let (superblock, bytes) = Superblock::create(key);
        disk.set_len(EMPTY_FILE)?;
        disk.write_all_at(&bytes, 0)?;
        Ok(Self {
            disk,
            cipher: key.block_cipher(superblock.file_id),
            header: Mutex::default(),
            length: AtomicU64::new(EMPTY_FILE),
            pending: Mutex::default(),
            health: Health::default(),
        })
    }

    /// Opens a store file. Syncs first: what a process that died left unwritten is not taken for durable.
    ///
    /// # Errors
    /// [`BackendError::NotAStore`], [`BackendError::TooNew`], [`BackendError::WrongKey`], [`BackendError::Damaged`] or
    /// [`BackendError::Io`]. Nothing was changed.
    pub fn open(disk: D, key: &DataKey) -> Result<Self, BackendError> {
        let length = disk.len()?;
        if length < EMPTY_FILE {
            return Err(BadSuperblock::NotAStore.into());
        }
        let mut place = [0; PLACE];
        disk.read_exact_at(&mut place, 0)?;
        let superblock = Superblock::verify(&place, key)?;
        let cipher = key.block_cipher(superblock.file_id);
        disk.sync_data()?;
        let mut header = HeaderPlaces::default();
        for copy in HeaderCopy::BOTH {
            disk.read_exact_at(&mut place, copy.offset())?;
            if let Ok((seq, _)) = cipher.open_header(&place)
                && seq > header.seq
            {
                header = HeaderPlaces { seq, current: Some(copy), durable: Some(copy), written: false };
            }
        }
        if header.current.is_none() {
            return Err(BackendError::Damaged("neither copy of its header authenticates".to_owned()));
        }
        let length = AtomicU64::new(length);
        let (header, pending) = (Mutex::new(header), Mutex::default());
        Ok(Self { disk, cipher, header, length, pending, health: Health::default() })
    }

    /// What goes wrong from here on.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    fn blocks(&self) -> u64 {
        blocks_in(self.length.load(Ordering::Acquire))
    }

    fn resize(&self, blocks: u64) -> io::Result<()> {
        let (present, wanted) = (self.length.load(Ordering::Acquire), disk_length(blocks));
        let result = self.disk.set_len(wanted);
        // What a failed growth has left is known to the disk only.
        let length = if result.is_ok() { wanted } else { self.disk.len().unwrap_or(present) };
        self.length.store(length, Ordering::Release);
        result
    }

    /// The blocks that `length` bytes at `offset` are, or why they are none.
    fn blocks_at(&self, offset: u64, length: usize) -> io::Result<std::ops::Range<u64>> {
        let (size, first) = (BLOCK as u64, offset / BLOCK as u64);
        let count = length as u64 / size;
        if !offset.is_multiple_of(size) || !(length as u64).is_multiple_of(size) || first == 0 || count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{length} bytes at {offset} are neither the header nor whole blocks"),
            ));
        }
        let blocks = self.blocks();
        match first.checked_add(count) {
            Some(end) if end <= blocks => Ok(first..end),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{count} blocks from {first} are beyond the file's {blocks}"),
            )),
        }
    }

    fn read_header(&self, out: &mut [u8]) -> io::Result<()> {
        let header = self.header.lock();
        let Some(copy) = header.current else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no header has been written yet"));
        };
        let mut place = [0; PLACE];
        self.disk.read_exact_at(&mut place, copy.offset())?;
        match self.cipher.open_header(&place) {
            Ok((seq, bytes)) if seq == header.seq => {
                out.copy_from_slice(&bytes[..out.len()]);
                Ok(())
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the header does not authenticate: it is damaged")),
        }
    }

    fn read_blocks(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = self.blocks_at(offset, out.len())?;
        let mut sealed = vec![0; out.len() / BLOCK * SEALED_BLOCK];
        self.disk.read_exact_at(&mut sealed, block_offset(range.start))?;
        let (sealed, blocks) = (sealed.as_chunks().0, out.as_chunks_mut().0);
        for ((index, sealed), block) in range.zip(sealed).zip(blocks) {
            self.cipher
                .open_block(index, sealed, block)
                .map_err(|error: BadBlock| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(())
    }

    fn write_header(&self, bytes: &[u8; HEADER]) -> io::Result<()> {
        let mut header = self.header.lock();
        let copy = header.durable.map_or(HeaderCopy::A, HeaderCopy::other);
        let seq = header.seq + 1;
        self.disk.write_all_at(&self.cipher.seal_header(seq, bytes), copy.offset())?;
        header.seq = seq;
        header.written = true;
        header.current = Some(copy);
        Ok(())
    }

    fn write_blocks(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = self.blocks_at(offset, data.len())?;
        let mut pending = self.pending.lock();
        for (index, block) in range.zip(data.as_chunks().0) {
            let start = pending.sealed.len();
            pending.sealed.resize(start + SEALED_BLOCK, 0);
            if let Some(sealed) = pending.sealed[start..].first_chunk_mut() {
                self.cipher.seal_block(index, block, sealed);
            }
            pending.blocks.push(index);
        }
        if pending.sealed.len() >= PENDING_MAX { self.write_pending(&mut pending) } else { Ok(()) }
    }

    /// Writes what waits, neighbours together. Of a block that was written twice the later one stands.
    fn write_pending(&self, pending: &mut Pending) -> io::Result<()> {
        let Pending { mut sealed, blocks, lost } = std::mem::take(pending);
        pending.lost = lost;
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&at| (blocks[at], Reverse(at)));
        order.dedup_by_key(|&mut at| blocks[at]);
        let mut run = Vec::new();
        for neighbours in order.chunk_by(|&one, &next| blocks[one] + 1 == blocks[next]) {
            run.clear();
            for &at in neighbours {
                run.extend_from_slice(&sealed[at * SEALED_BLOCK..][..SEALED_BLOCK]);
            }
            self.disk.write_all_at(&run, block_offset(blocks[neighbours[0]]))?;
        }
        sealed.clear();
        sealed.shrink_to(PENDING_KEPT);
        pending.sealed = sealed;
        Ok(())
    }

    /// Writes what waits, before anything that must find it on the disk.
    fn settle(&self) -> io::Result<()> {
        let mut pending = self.pending.lock();
        if pending.blocks.is_empty() && !pending.lost {
            return Ok(());
        }
        self.refuse_after_a_failed_sync()?;
        if pending.lost {
            // What waited then is gone, and what was written of it unknown.
            return Err(io::Error::other("an earlier write failed, so the file is to be opened anew"));
        }
        let result = self.write_pending(&mut pending);
        pending.lost |= result.is_err();
        self.health.note(|faults| &faults.write, result)
    }

    /// Rule 4.
    fn refuse_after_a_failed_sync(&self) -> io::Result<()> {
        if self.health.sync_failed() {
            return Err(io::Error::other("an earlier sync failed, so nothing is written to this file any more"));
        }
        Ok(())
    }
}

impl<D: Disk> redb::StorageBackend for SealedBackend<D> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.blocks() * BLOCK as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.settle()?;
        let result =
            if offset == 0 && out.len() <= HEADER { self.read_header(out) } else { self.read_blocks(offset, out) };
        if let Err(error) = &result {
            self.health.0.unread.lock().get_or_insert_with(|| error.to_string());
        }
        self.health.note(|faults| &faults.read, result)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        self.settle()?;
        let result = if len.is_multiple_of(BLOCK as u64) {
            self.resize(len / BLOCK as u64)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a length of {len} bytes is not of whole blocks")))
        };
        self.health.note(|faults| &faults.write, result)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        self.settle()?;
        // Held across the sync: a header written meanwhile would not be covered by it.
        let mut header = self.header.lock();
        let began = Instant::now();
        self.health.note(|faults| &faults.sync, self.disk.sync_data())?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(0);
        self.health.0.synced_nanos.fetch_add(nanos, Ordering::Relaxed);
        header.durable = header.current;
        Ok(())
    }

    /// The other header copy is made to say what the durable one says: in a file that was closed cleanly the loss of
    /// either copy loses no commit.
    fn close(&self) -> io::Result<()> {
        // What was only read, or failed to open, stays as it is.
        if !self.health.is_sound() || !self.header.lock().written {
            return Ok(());
        }
        self.sync_data()?;
        let mut bytes = [0; HEADER];
        self.read(0, &mut bytes)?;
        self.write(0, &bytes)?;
        self.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        let result = match data.try_into() {
            Ok(header) if offset == 0 => self.write_header(header),
            _ => self.write_blocks(offset, data),
        };
        self.health.note(|faults| &faults.write, result)
    }
}

impl<D: Disk> fmt::Debug for SealedBackend<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedBackend").field("disk", &self.disk).field("cipher", &self.cipher).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
