//! redb's storage over sealed blocks: what a store file is made of, and in what order it is written.
//!
//! `seal::blocks` says where every byte stands and how it is sealed; this file keeps the rules that make redb as safe
//! against power failures on top of it as it is on a plain file. Each is guarded by `tests/power_failure.rs`:
//!
//! 1. redb's header goes to the copy that is *not* the one the last successful sync made durable, and only a successful
//!    sync makes the written copy the durable one. A header torn while it is written leaves the durable one whole.
//! 2. Reads are strict: a block that does not authenticate or was never written is an error, and so is a write or a read
//!    that is neither the header nor whole blocks.
//! 3. Commits are two-phase ([`SealedDatabase::begin_write`] sees to that), so redb trusts what the header points at: blocks,
//!    sync, header, sync. The first sync is spared where the header can list the blocks of its commit: then both are written
//!    for one sync, and on opening the header counts only if each of these blocks is there. Blocks that the durable header
//!    lists are not written over.
//! 4. After a failed sync nothing is written any more: the system may have dropped what it could not write, and goes on
//!    showing it. So on opening, headers and the blocks of their lists are looked for on the disk, past the system's memory. All
//!    else may come from memory: what it shows and the disk lacks was written after the header that counts, which does
//!    not point there.
//! 5. Files grow by allocation, so a full disk shows as an error of growing, before anything is written.
//!
//! redb's `compact` is not offered by [`SealedDatabase`]: a file that has become mostly free is rewritten beside itself.

use std::{
    cmp::Reverse,
    fmt, io,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::seal::{
    DataKey,
    blocks::{
        BLOCK, BadBlock, BadSuperblock, BlockCipher, CommitList, EMPTY_FILE, HEADER, Header, HeaderCopy, PLACE,
        SEALED_BLOCK, Superblock, block_offset, blocks_in, disk_length,
    },
};

mod database;
mod disk;
mod health;
mod pending;

pub use database::{
    BackendError, FileState, SealedDatabase, create_database, open_database, open_database_for_reading, read_superblock,
};
pub(in crate::store) use database::{beside, file_state, sync_folder_of, walk_file};
pub use disk::{Disk, FileDisk, Place, ReadOnlyDisk};
pub use health::Health;
use pending::Pending;

/// redb's [`redb::StorageBackend`] over a [`Disk`]: offset 0 is the header, everything else is blocks of 4,096 bytes.
pub struct SealedBackend<D: Disk> {
    disk: D,
    cipher: BlockCipher,
    /// Locked before `pending` by whoever takes both.
    header: Mutex<HeaderPlaces>,
    /// The disk's length: nobody else changes it, and asking the system before every write costs a call each.
    length: AtomicU64,
    pending: Mutex<Pending>,
    health: Health,
}

/// What became of redb's header, and where.
#[derive(Default)]
struct HeaderPlaces {
    /// The highest sequence number on the disk; 0 before the first.
    seq: u64,
    /// What redb wrote or read last.
    bytes: Option<[u8; HEADER]>,
    /// `bytes` are to be written with the next sync.
    waits: bool,
    /// redb asked for a sync that has been put off (rule 3).
    put_off: bool,
    /// What the last successful sync made durable. Its copy is not written to.
    durable: Option<Durable>,
    /// Whether a header was written since the file was opened.
    written: bool,
}

struct Durable {
    copy: HeaderCopy,
    bytes: [u8; HEADER],
    /// The blocks that must stay as they are for this copy to count.
    listed: Vec<u64>,
}

/// Where redb's header (its file format 3) says which of its two slots is the primary one, and where those begin.
const REDB_FLAGS: usize = 9;
const REDB_SLOTS: [usize; 2] = [64, 192];
const REDB_SLOT: usize = 128;

/// What a header of redb points at: the commit whose tables are to be read.
fn commit_in(header: &[u8; HEADER]) -> &[u8] {
    &header[REDB_SLOTS[usize::from(header[REDB_FLAGS] & 1)]..][..REDB_SLOT]
}

impl HeaderPlaces {
    /// Whether the waiting header still points at the commit that is durable: then nothing that anybody was told depends
    /// on it.
    fn points_at_the_same(&self) -> bool {
        matches!((&self.bytes, &self.durable), (Some(bytes), Some(durable)) if commit_in(bytes) == commit_in(&durable.bytes))
    }
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
        let mut pending = Pending::default();
        pending.note_more();
        Ok(Self {
            disk,
            cipher: key.block_cipher(superblock.file_id),
            header: Mutex::default(),
            length: AtomicU64::new(EMPTY_FILE),
            pending: Mutex::new(pending),
            health: Health::default(),
        })
    }

    /// Opens a store file. Syncs first: what a process that died left unwritten is not taken for durable.
    ///
    /// # Errors
    /// [`BackendError::NotAStore`], [`BackendError::TooNew`], [`BackendError::WrongKey`], [`BackendError::Damaged`] or
    /// [`BackendError::Io`]. Nothing was changed.
    pub fn open(mut disk: D, key: &DataKey) -> Result<Self, BackendError> {
        let length = disk.len()?;
        if length < EMPTY_FILE {
            return Err(BadSuperblock::NotAStore.into());
        }
        let mut place = [0; PLACE];
        disk.read_exact_at(&mut place, 0)?;
        let superblock = Superblock::verify(&place, key)?;
        let cipher = key.block_cipher(superblock.file_id);
        disk.sync_data()?;
        let mut copies = [(HeaderCopy::A.offset(), vec![0; HeaderCopy::BOTH.len() * PLACE])];
        disk.read_past_memory(&mut copies)?;
        let found = header_copies(&copies[0].1, &cipher);
        let Some((_, Header { seq, .. })) = found.first() else {
            return Err(BackendError::Damaged("neither copy of its header authenticates".to_owned()));
        };
        if blocks_in(length) == 0 {
            return Err(BackendError::Damaged("it is cut off behind its header".to_owned()));
        }
        let (seq, mut counting) = (*seq, None);
        for (copy, header) in found {
            if is_all_there(&mut disk, &cipher, &header.list, blocks_in(length))? {
                counting = Some((copy, header));
                break;
            }
            tracing::warn!(
                file = %crate::seal::hex(&superblock.file_id),
                header = header.seq,
                "a store's last commit is not all there, as a power failure leaves it; the commit before it stands"
            );
        }
        let Some((copy, Header { bytes, list, .. })) = counting else {
            return Err(BackendError::Damaged("what was written with its header is not all there".to_owned()));
        };
        let durable = Some(Durable { copy, bytes, listed: list.blocks().to_vec() });
        let header = HeaderPlaces { seq, bytes: Some(bytes), durable, ..HeaderPlaces::default() };
        let (header, length, pending) = (Mutex::new(header), AtomicU64::new(length), Mutex::default());
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
    fn blocks_at(&self, offset: u64, length: usize) -> io::Result<Range<u64>> {
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
        match self.header.lock().bytes {
            Some(bytes) => {
                out.copy_from_slice(&bytes[..out.len()]);
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no header has been written yet")),
        }
    }

    fn read_blocks(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = self.blocks_at(offset, out.len())?;
        let mut sealed = vec![0; out.len() / BLOCK * SEALED_BLOCK];
        let places = sealed.as_chunks_mut().0;
        // Looked for before the disk is read: what is written in between is then found there.
        let waiting = {
            let pending = self.pending.lock();
            refuse_after_a_lost_write(&pending)?;
            pending.among(&range)
        };
        self.disk.read_exact_at(places.as_flattened_mut(), block_offset(range.start))?;
        for (place, waiting) in waiting {
            places[place] = waiting;
        }
        for ((index, sealed), block) in range.zip(places).zip(out.as_chunks_mut().0) {
            self.cipher
                .open_block(index, sealed, block)
                .map_err(|error: BadBlock| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(())
    }

    fn write_blocks(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = self.blocks_at(offset, data.len())?;
        let mut header = self.header.lock();
        if header.put_off {
            // redb goes on as if what it wrote before were durable: it is to be.
            self.sync(&mut header)?;
        }
        let mut pending = self.pending.lock();
        refuse_after_a_lost_write(&pending)?;
        for (index, block) in range.zip(data.as_chunks().0) {
            if pending.is_full() {
                drop(pending);
                self.write_pending(&mut header)?;
                pending = self.pending.lock();
            }
            pending.push(&self.cipher, index, block);
        }
        Ok(())
    }

    /// Writes what waits. What the durable header copy lists must stay: if some of it is to be written over, the copy is
    /// made to count without its list first. Who reads meanwhile waits for the writing, but for no sync.
    fn write_pending(&self, header: &mut HeaderPlaces) -> io::Result<()> {
        let goes =
            |listed: &[u64]| self.pending.lock().blocks().iter().any(|index| listed.binary_search(index).is_ok());
        if header.durable.as_ref().is_some_and(|durable| goes(&durable.listed)) {
            self.drop_list(header)?;
        }
        self.health.of_write(self.pending.lock().write(&self.disk))
    }

    /// Writes the durable header once more, without its list, to the other copy.
    fn drop_list(&self, header: &mut HeaderPlaces) -> io::Result<()> {
        let Some(Durable { copy, bytes, .. }) = &header.durable else { return Ok(()) };
        let (copy, bytes) = (copy.other(), *bytes);
        self.write_header(header, copy, &bytes, &CommitList::default())?;
        self.health.of_sync(|| self.disk.sync_data())?;
        header.durable = Some(Durable { copy, bytes, listed: Vec::new() });
        Ok(())
    }

    fn write_header(
        &self,
        header: &mut HeaderPlaces,
        copy: HeaderCopy,
        bytes: &[u8; HEADER],
        list: &CommitList,
    ) -> io::Result<()> {
        header.seq += 1;
        header.written = true;
        let place = self.cipher.seal_header(header.seq, bytes, list);
        self.health.of_write(self.disk.write_all_at(&place, copy.offset()))
    }

    /// Writes what waits, and makes it durable: blocks first, so that a write that fails leaves the header as it was. A header
    /// that points at another commit is written with the list of what was not synced before, or after it was.
    fn sync(&self, header: &mut HeaderPlaces) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        let moves_on = header.waits && header.durable.is_some() && !header.points_at_the_same();
        let (list, is_all) = {
            let pending = self.pending.lock();
            refuse_after_a_lost_write(&pending)?;
            if !header.waits && pending.nothing_was_done() {
                return Ok(());
            }
            let listed = moves_on && pending.are_all();
            let list = if listed { pending.list() } else { CommitList::default() };
            (list, listed || pending.nothing_was_done())
        };
        self.write_pending(header)?;
        if moves_on && !is_all {
            self.health.of_sync(|| self.disk.sync_data())?;
        }
        let mut durable = None;
        if let Some(bytes) = header.bytes.filter(|_| header.waits) {
            let copy = header.durable.as_ref().map_or(HeaderCopy::A, |durable| durable.copy.other());
            self.write_header(header, copy, &bytes, &list)?;
            durable = Some(Durable { copy, bytes, listed: list.blocks().to_vec() });
        }
        self.health.of_sync(|| self.disk.sync_data())?;
        self.pending.lock().synced();
        (header.waits, header.put_off) = (false, false);
        if durable.is_some() {
            header.durable = durable;
        }
        Ok(())
    }

    /// Rule 4.
    fn refuse_after_a_failed_sync(&self) -> io::Result<()> {
        if self.health.sync_failed() {
            return Err(io::Error::other("an earlier sync failed, so nothing is written to this file any more"));
        }
        Ok(())
    }
}

/// What waited then is gone, and what was written of it unknown.
fn refuse_after_a_lost_write(pending: &Pending) -> io::Result<()> {
    if pending.lost_some() {
        return Err(io::Error::other("an earlier write failed, so the file is to be opened anew"));
    }
    Ok(())
}

/// Of the places of both header copies those that authenticate, the newest first.
fn header_copies(places: &[u8], cipher: &BlockCipher) -> Vec<(HeaderCopy, Header)> {
    let mut found = Vec::new();
    for (copy, place) in HeaderCopy::BOTH.into_iter().zip(places.as_chunks::<PLACE>().0) {
        match cipher.open_header(place) {
            Ok(header) if header.seq > 0 => found.push((copy, header)),
            // Of a file in which nothing was committed twice yet one is still empty.
            _ if *place == [0; PLACE] => {}
            _ => tracing::warn!(?copy, "a copy of a store's header does not authenticate; the other one counts"),
        }
    }
    found.sort_by_key(|(_, header)| Reverse(header.seq));
    found
}

/// Listed blocks that are so near to each other are read with what stands between them: a disk takes longer to be asked
/// twice.
const NEAR: u64 = 8;

/// Whether the blocks of a list are on the disk, and are the very ones that were written with it.
fn is_all_there(disk: &mut impl Disk, cipher: &BlockCipher, list: &CommitList, blocks: u64) -> io::Result<bool> {
    let numbers = list.blocks();
    if numbers.is_empty() {
        return Ok(true);
    }
    if !numbers.iter().all(|number| (1..blocks).contains(number)) {
        return Ok(false);
    }
    // What cannot be read may be something in between, which nobody needs.
    let runs = read_runs(disk, numbers, NEAR).or_else(|_| read_runs(disk, numbers, 0))?;
    let found: Vec<_> = runs.iter().flat_map(|(run, bytes)| run.iter().copied().zip(blocks_of(run, bytes))).collect();
    let opens =
        |(index, sealed): &(u64, &[u8; SEALED_BLOCK])| cipher.open_block(*index, sealed, &mut [0; BLOCK]).is_ok();
    Ok(found.iter().all(opens) && CommitList::of(found) == *list)
}

/// What the disk holds from the first to the last of some blocks each, the numbers of all rising. Those are read together that
/// are no further apart than `near`.
fn read_runs<'n>(disk: &mut impl Disk, numbers: &'n [u64], near: u64) -> io::Result<Vec<(&'n [u64], Vec<u8>)>> {
    let runs: Vec<_> = numbers.chunk_by(|one, next| (*one..=one.saturating_add(near)).contains(next)).collect();
    let place =
        |run: &&[u64]| (block_offset(run[0]), vec![0; (run[run.len() - 1] - run[0] + 1) as usize * SEALED_BLOCK]);
    let mut places: Vec<_> = runs.iter().map(place).collect();
    disk.read_past_memory(&mut places)?;
    Ok(runs.into_iter().zip(places).map(|(run, (_, bytes))| (run, bytes)).collect())
}

/// The blocks of these numbers, of bytes that begin with the first.
fn blocks_of<'b>(numbers: &'b [u64], bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8; SEALED_BLOCK]> {
    let blocks = bytes.as_chunks().0;
    numbers.iter().map(move |index| &blocks[(index - numbers[0]) as usize])
}

impl<D: Disk> redb::StorageBackend for SealedBackend<D> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.blocks() * BLOCK as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // A write that failed is no damage to what is read.
        refuse_after_a_lost_write(&self.pending.lock())?;
        let result =
            if offset == 0 && out.len() <= HEADER { self.read_header(out) } else { self.read_blocks(offset, out) };
        self.health.of_read(result)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        let mut header = self.header.lock();
        if header.put_off {
            self.sync(&mut header)?;
        }
        refuse_after_a_lost_write(&self.pending.lock())?;
        let result = if len.is_multiple_of(BLOCK as u64) {
            let blocks = len / BLOCK as u64;
            let is_cut = |durable: &Durable| durable.listed.last().is_some_and(|&index| index >= blocks);
            if header.durable.as_ref().is_some_and(is_cut) {
                self.drop_list(&mut header)?;
            }
            self.write_pending(&mut header)?;
            self.pending.lock().note_more();
            self.resize(blocks)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a length of {len} bytes is not of whole blocks")))
        };
        self.health.of_write(result)
    }

    /// Rule 3: the first of a commit's two syncs is put off when what waits is all that it would make durable.
    fn sync_data(&self) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        // Held across the sync: a header written meanwhile would not be covered by it.
        let mut header = self.header.lock();
        if !header.put_off && header.waits && header.points_at_the_same() && self.pending.lock().are_all() {
            header.put_off = true;
            return Ok(());
        }
        self.sync(&mut header)
    }

    /// The other header copy is made to say what the durable one says: in a file that was closed cleanly the loss of
    /// either copy loses no commit.
    fn close(&self) -> io::Result<()> {
        // What was only read, or failed to open, stays as it is.
        if !self.health.is_sound() || !self.header.lock().written {
            return Ok(());
        }
        let mut header = self.header.lock();
        self.sync(&mut header)?;
        header.waits = true;
        self.sync(&mut header)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.refuse_after_a_failed_sync()?;
        let result = match data.try_into() {
            Ok(bytes) if offset == 0 => {
                let mut header = self.header.lock();
                (header.bytes, header.waits) = (Some(bytes), true);
                Ok(())
            }
            _ => self.write_blocks(offset, data),
        };
        self.health.of_write(result)
    }
}

impl<D: Disk> fmt::Debug for SealedBackend<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedBackend").field("disk", &self.disk).field("cipher", &self.cipher).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
