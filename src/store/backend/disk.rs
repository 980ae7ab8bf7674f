//! Where a store's bytes go.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use rustix::{
    fs::{Advice, AtFlags, FallocateFlags, OFlags, StatxFlags, fadvise, fallocate, fcntl_getfl, fcntl_setfl, statx},
    io::Errno,
};

/// A file, or what tests put in its place.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer bytes; what the system says.
    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system says; part of the bytes may then be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off, or grows it with zeros for which space is allocated.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no space for the growth, the length then being as before.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when all that was written, and the length, is on the disk.
    ///
    /// # Errors
    /// What the system says; what was written may then be lost, even if a later sync succeeds, and still be read from memory.
    fn sync_data(&self) -> io::Result<()>;

    /// Fills each of `places`, from its offset, with what the disk itself holds, which after a failed sync may be other than
    /// what the system has in memory and would give. Exclusive: reads and writes beside it would be held to a disk's alignment.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer bytes; what the system says.
    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()>;
}

/// Bytes to be filled, and the offset that they are read from.
pub type Place = (u64, Vec<u8>);

/// A [`Disk`] that is a file.
///
/// Space that is allocated and was never written costs a sync twice of what it costs to write the same place again: the
/// file system notes in its journal that the place now holds something. So zeros are written ahead of small writes into
/// space that this handle has grown the file by: one sync in many pays for that, and those after it only for their bytes.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    /// What the file was grown by, as far as nothing has been written there: nothing can be lost there.
    untouched: Mutex<Range<u64>>,
}

/// What is read with `O_DIRECT` begins and ends at a multiple of this many bytes, on the disk and in memory.
const DIRECT: u64 = 4096;
/// Disks answer several at once: this many threads ask,
const READERS: usize = 8;
/// each of them for this many places at least.
const READS_EACH: usize = 8;

/// Zeros are written ahead in files from this length on: thousands of small ones would pay and gain nothing.
const AHEAD_FROM: u64 = 1 << 20;
/// Bytes of zeros that are written ahead at most,
const AHEAD_MAX: u64 = 1 << 20;
/// of those that stand before them a part of this size,
const AHEAD_PART: u64 = 8;
/// and what is written at once from this many bytes on is its own reward.
const LARGE_WRITE: usize = 128 << 10;

impl FileDisk {
    /// Takes a file that was opened for reading and writing.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, untouched: Mutex::default() }
    }

    /// Writes zeros into untouched space.
    fn write_ahead(&self, untouched: &mut Range<u64>) {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let to = untouched.end.min(untouched.start + AHEAD_MAX.min(untouched.start / AHEAD_PART));
        while untouched.start < to {
            let step = usize::try_from(to - untouched.start).unwrap_or(usize::MAX).min(ZEROS.len());
            if self.file.write_all_at(&ZEROS[..step], untouched.start).is_err() {
                // Whoever writes there later is told; these zeros nobody asked for.
                *untouched = 0..0;
                return;
            }
            untouched.start += step as u64;
        }
    }

    /// Returns up to where the new space has been written.
    fn grow(&self, from: u64, to: u64) -> io::Result<u64> {
        match rustix::io::retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), from, to - from)) {
            // The file system cannot allocate ahead; zeros that are written take their space as well.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.grow_by_zeros(from, to).map(|()| to),
            result => Ok(result.map(|()| from)?),
        }
    }

    /// Whether what is read with `O_DIRECT` comes from the disk. Some file systems take the flag and read from memory all the
    /// same; those that do as they are told say so (statx(2), since Linux 6.1).
    fn reads_direct(&self) -> bool {
        statx(&self.file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).is_ok_and(|told| {
            told.stx_mask & StatxFlags::DIOALIGN.bits() != 0
                && [told.stx_dio_offset_align, told.stx_dio_mem_align]
                    .iter()
                    .all(|&align| align > 0 && DIRECT.is_multiple_of(align.into()))
        })
    }

    /// Reads with `O_DIRECT` (open(2)).
    fn read_direct(&self, places: &mut [Place]) -> io::Result<()> {
        let flags = fcntl_getfl(&self.file)?;
        fcntl_setfl(&self.file, flags | OFlags::DIRECT)?;
        let readers = READERS.min(places.len().div_ceil(READS_EACH));
        let places = Mutex::new(places.iter_mut());
        let next = || places.lock().next();
        let read = || {
            while let Some((offset, out)) = next() {
                self.read_aligned(out, *offset)?;
            }
            Ok(())
        };
        let result = thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().spawn_scoped(scope, read);
            // As many as can be had.
            let others: Vec<_> = (1..readers).map_while(|number| spawn(number).ok()).collect();
            others.into_iter().fold(read(), |result, other| {
                result.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        });
        fcntl_setfl(&self.file, flags)?;
        result
    }

    fn read_aligned(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let from = offset / DIRECT * DIRECT;
        let (skip, size) = (narrow(offset - from), (offset + out.len() as u64).next_multiple_of(DIRECT) - from);
        let mut buffer = vec![0; narrow(size + DIRECT)];
        let aligned = buffer.as_ptr().align_offset(narrow(DIRECT));
        let place = buffer.get_mut(aligned..).and_then(|rest| rest.get_mut(..narrow(size)));
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        let mut read = 0;
        while read < skip + out.len() {
            match self.file.read_at(&mut place[read..], from + read as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.copy_from_slice(&place[skip..][..out.len()]);
        Ok(())
    }

    fn grow_by_zeros(&self, mut from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        while from < to {
            let step = usize::try_from(to - from).unwrap_or(usize::MAX).min(zeros.len());
            self.file.write_all_at(&zeros[..step], from)?;
            from += step as u64;
        }
        Ok(())
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Held to the end: zeros must not go where somebody else writes meanwhile.
        let mut untouched = self.untouched.lock();
        let end = offset + bytes.len() as u64;
        if untouched.is_empty() || end <= untouched.start {
            drop(untouched);
            return self.file.write_all_at(bytes, offset);
        }
        // Whatever becomes of the write; and what it passes over stays as it is.
        untouched.start = end.min(untouched.end);
        self.file.write_all_at(bytes, offset)?;
        if bytes.len() < LARGE_WRITE && end >= AHEAD_FROM {
            self.write_ahead(&mut untouched);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let present = self.len()?;
        let mut untouched = self.untouched.lock();
        if len <= present {
            untouched.end = untouched.end.min(len);
            return self.file.set_len(len);
        }
        let written = self.grow(present, len).inspect_err(|_| {
            // The growth's error is the one to report; a length that stays is taken for part of a growth on opening.
            let _ = self.file.set_len(present);
        })?;
        let goes_on = written == present && untouched.end == present && !untouched.is_empty();
        *untouched = if goes_on { untouched.start } else { written }..len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        if self.reads_direct() {
            return self.read_direct(places);
        }
        // So memory is to hold nothing: of all the file, for of a page that the system holds together with others it lets go
        // only with those.
        fadvise(&self.file, 0, None, Advice::DontNeed)?;
        places.iter_mut().try_for_each(|(offset, out)| self.read_exact_at(out, *offset))
    }
}

/// A [`Disk`] that is read until somebody else wants the file; from then on every read fails.
#[derive(Debug)]
pub(super) struct Interruptible {
    pub disk: FileDisk,
    pub given_up: Arc<AtomicBool>,
}

impl Interruptible {
    fn check(&self) -> io::Result<()> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(io::Error::other("given up, since the file is wanted"));
        }
        Ok(())
    }
}

impl Disk for Interruptible {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.check()?;
        self.disk.read_exact_at(out, offset)
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        self.check()?;
        self.disk.read_past_memory(places)
    }
}

/// A [`Disk`] that is only read: what is written to it stays in memory. redb can recover an unclean file on it, so a
/// store whose file must not be written any more can still be read.
#[derive(Debug)]
pub struct ReadOnlyDisk<D: Disk> {
    disk: D,
    over: Mutex<Overlay>,
}

#[derive(Debug)]
struct Overlay {
    /// The length as written to.
    len: u64,
    /// Bytes of the disk below that still show: those above have been cut off.
    shown: u64,
    /// Written sectors, by number.
    sectors: BTreeMap<u64, [u8; SECTOR]>,
}

const SECTOR: usize = 512;

impl Overlay {
    /// How many of so many bytes at `offset` are the disk's, as far as nothing is written over them.
    fn shown_of(&self, offset: u64, length: usize) -> usize {
        usize::try_from(self.shown.saturating_sub(offset)).unwrap_or(usize::MAX).min(length)
    }

    /// Reads what is written here over what `below` fills in, which is only called if there is something to fill.
    fn read_exact_at(
        &self,
        out: &mut [u8],
        offset: u64,
        below: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (from_disk, zeros) = out.split_at_mut(self.shown_of(offset, out.len()));
        if !from_disk.is_empty() {
            below(from_disk)?;
        }
        zeros.fill(0);
        for (number, sector) in self.sectors.range(offset / SECTOR as u64..end.div_ceil(SECTOR as u64)) {
            let start = number * SECTOR as u64;
            let (from, to) = (start.max(offset), (start + SECTOR as u64).min(end));
            out[narrow(from - offset)..narrow(to - offset)]
                .copy_from_slice(&sector[narrow(from - start)..narrow(to - start)]);
        }
        Ok(())
    }
}

impl<D: Disk> ReadOnlyDisk<D> {
    /// A layer over `disk` that takes the writes.
    ///
    /// # Errors
    /// What the system says when asked for the length.
    pub fn new(disk: D) -> io::Result<Self> {
        let len = disk.len()?;
        Ok(Self { disk, over: Mutex::new(Overlay { len, shown: len, sectors: BTreeMap::new() }) })
    }
}

impl<D: Disk> Disk for ReadOnlyDisk<D> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over.lock().len)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.over.lock().read_exact_at(out, offset, |out| self.disk.read_exact_at(out, offset))
    }

    /// Writes are of whole sectors, as all of a sealed store's are.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (sectors, rest) = bytes.as_chunks::<SECTOR>();
        if !offset.is_multiple_of(SECTOR as u64) || !rest.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a write to a read-only store is of whole sectors",
            ));
        }
        let mut over = self.over.lock();
        for (number, sector) in (offset / SECTOR as u64..).zip(sectors) {
            over.sectors.insert(number, *sector);
        }
        over.len = over.len.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.over.lock();
        over.len = len;
        over.shown = over.shown.min(len);
        over.sectors.split_off(&len.div_ceil(SECTOR as u64));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        let over = self.over.get_mut();
        let below = |(offset, out): &Place| (*offset, vec![0; over.shown_of(*offset, out.len())]);
        let mut found: Vec<Place> = places.iter().map(below).filter(|(_, bytes)| !bytes.is_empty()).collect();
        self.disk.read_past_memory(&mut found)?;
        let mut found = found.into_iter();
        for (offset, out) in places {
            over.read_exact_at(out, *offset, |out| {
                if let Some((_, bytes)) = found.next() {
                    out.copy_from_slice(&bytes);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// An offset inside a buffer.
fn narrow(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset inside a buffer fits")
}
