//! Calls that fail: every read, write, growth and sync of a workload in its turn, once with a full disk's error and once with
//! a broken one's. Whatever fails, what was acknowledged is there when the disk is well again, and nothing else but what was
//! begun; and the store goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use redb::TableDefinition;
use workrun::store::backend::{Disk, Place, SealedDatabase};

use super::{
    CACHE, LARGE, Rows, SMALL,
    dice::Dice,
    disk::{RecordingDisk, SECTOR},
    hash_of, is_long, key, read_all,
};

/// A disk whose calls fail from the `first` on, `count` of them.
#[derive(Clone, Debug)]
struct FailingDisk {
    disk: RecordingDisk,
    calls: Arc<AtomicU64>,
    first: u64,
    count: u64,
    error: io::ErrorKind,
}

impl FailingDisk {
    fn pass(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if (self.first..self.first.saturating_add(self.count)).contains(&call) {
            return Err(self.error.into());
        }
        Ok(())
    }
}

impl Disk for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.pass()?;
        self.disk.read_exact_at(out, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Half of it may have been written when it failed.
        if let Err(error) = self.pass() {
            self.disk.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.disk.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pass()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pass()?;
        self.disk.sync_data()
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        self.pass()?;
        self.disk.read_past_memory(places)
    }
}

/// Commits until something fails; returns how many were acknowledged and what stood there after each.
fn work(disk: &(impl Disk + Clone), commits: usize) -> (Option<usize>, Vec<blake3::Hash>) {
    let mut dice = Dice(11);
    let mut rows: Rows = (BTreeMap::new(), BTreeMap::new());
    let mut history = vec![hash_of(&rows)];
    let mut acknowledged = None;
    let result: Result<(), redb::Error> = catch_unwind(AssertUnwindSafe(|| {
        let mut store = SealedDatabase::create_on(disk.clone(), &key(), CACHE)
            .map_err(|error| redb::Error::Io(io::Error::other(error)))?;
        acknowledged = Some(0);
        for number in 1..=commits {
            let transaction = store.begin_write()?;
            {
                let (mut small, mut large) = (transaction.open_table(SMALL)?, transaction.open_table(LARGE)?);
                for _ in 0..=dice.below(8) {
                    let (row, value) = (dice.below(300), vec![number as u8; dice.below(400) as usize]);
                    rows.0.insert(row, value.clone());
                    small.insert(row, value.as_slice())?;
                }
                let (name, value) = (format!("file {}", number % 3), vec![number as u8; dice.below(60_000) as usize]);
                rows.1.insert(name.clone(), value.clone());
                large.insert(name.as_str(), value.as_slice())?;
            }
            // What is begun counts as it will be.
            history.push(hash_of(&rows));
            transaction.commit()?;
            acknowledged = Some(number);
            if number % 8 == 0 {
                store.close().map_err(|error| redb::Error::Io(io::Error::other(error)))?;
                store = SealedDatabase::open_on(disk.clone(), &key(), CACHE)
                    .map_err(|error| redb::Error::Io(io::Error::other(error)))?;
            }
        }
        Ok(())
    }))
    .unwrap_or_else(|_| Err(redb::Error::Io(io::Error::other("it gave up"))));
    let _ = result;
    (acknowledged, history)
}

#[test]
fn no_failing_call_costs_an_acknowledged_commit() {
    let commits = if is_long() { 60 } else { 20 };
    let (mut tried, mut refused) = (0, 0);
    for error in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        // One call, and every call from there on.
        for count in [1, u64::MAX] {
            for first in 0.. {
                let disk = FailingDisk { disk: RecordingDisk::default(), calls: Arc::default(), first, count, error };
                let (acknowledged, history) = work(&disk, commits);
                if disk.calls.load(Ordering::Relaxed) <= first {
                    break;
                }
                tried += 1;
                refused += usize::from(acknowledged != Some(commits));
                // The disk is well again, and the process another one.
                let opened = SealedDatabase::open_on(disk.disk.clone(), &key(), CACHE);
                let Some(acknowledged) = acknowledged else { continue };
                let what = format!("{error:?} at call {first}, {count} of them");
                let store = opened.unwrap_or_else(|error| panic!("{what}: does not open: {error}"));
                let found = read_all(&store).unwrap_or_else(|error| panic!("{what}: cannot be read: {error}"));
                let begun = (acknowledged + 1).min(history.len() - 1);
                assert!(
                    history[acknowledged..=begun].contains(&found),
                    "{what}: holds {:?} of {} commits, {acknowledged} were acknowledged",
                    history.iter().position(|hash| *hash == found),
                    history.len() - 1
                );
                super::carry_on(store).unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
    }
    println!("{tried} failing calls, {refused} workloads cut short, no commit lost");
    assert!(refused > 100, "{refused} of {tried}");
}

/// What the processes in between write.
const ASIDE: TableDefinition<'_, u64, u64> = TableDefinition::new("aside");
/// Rounds of every failing sync.
const SEEDS: u64 = 12;

/// Bytes that the system keeps or lets go of together.
const PAGE: usize = 4096;

/// A disk behind a memory, as a system keeps one: what a failed sync could not write is in the memory alone, and the next
/// sync says nothing of it.
#[derive(Clone, Debug)]
struct RememberedDisk(Arc<Mutex<Remembered>>);

#[derive(Debug)]
struct Remembered {
    memory: Vec<u8>,
    disk: Vec<u8>,
    /// Sectors that the next sync is to write.
    dirty: BTreeSet<usize>,
    syncs: usize,
    /// The sync that fails.
    failing: usize,
    /// The sync in which the power goes.
    cut: usize,
    /// The power is gone: nothing is answered until it is back.
    dark: bool,
    dice: Dice,
    /// Whether the disk is read past the memory when that is asked for.
    past_memory: bool,
}

impl RememberedDisk {
    fn new(failing: usize, seed: u64, past_memory: bool) -> Self {
        let (memory, disk, dirty, dice) = (Vec::new(), Vec::new(), BTreeSet::new(), Dice(seed));
        Self(Arc::new(Mutex::new(Remembered {
            memory,
            disk,
            dirty,
            syncs: 0,
            failing,
            cut: 0,
            dark: false,
            dice,
            past_memory,
        })))
    }

    /// Another sync, soon, fails as well.
    fn fail_again(&self) {
        let state = &mut *self.0.lock();
        state.failing = state.syncs + 1 + state.dice.below(4) as usize;
    }

    /// The power goes in the middle of another sync, soon.
    fn cut_soon(&self) {
        let state = &mut *self.0.lock();
        (state.failing, state.cut) = (0, state.syncs + 1 + state.dice.below(5) as usize);
    }

    /// The power goes. When it is back, the disk is well.
    fn lose_power(&self) {
        let state = &mut *self.0.lock();
        state.lose_power();
        (state.failing, state.cut, state.dark) = (0, 0, false);
    }

    /// The system needs the room: all that it need not write is read from the disk from now on.
    fn evict(&self) {
        let mut state = self.0.lock();
        assert!(state.dirty.is_empty());
        state.memory = state.disk.clone();
    }

    /// The system needs some of the room.
    fn evict_some(&self) {
        let state = &mut *self.0.lock();
        for page in 0..state.memory.len().div_ceil(PAGE) {
            let place = page * PAGE..((page + 1) * PAGE).min(state.memory.len());
            let is_dirty = state.dirty.range(place.start / SECTOR..place.end.div_ceil(SECTOR)).next().is_some();
            if !is_dirty && state.dice.below(2) == 0 {
                state.memory[place.clone()].copy_from_slice(&state.disk[place]);
            }
        }
    }
}

impl Remembered {
    /// Of what was to be written some is, and the memory is gone.
    fn lose_power(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            if self.dice.below(2) == 0 {
                let place = sector * SECTOR..((sector + 1) * SECTOR).min(self.memory.len());
                self.disk[place.clone()].copy_from_slice(&self.memory[place]);
            }
        }
        self.memory = self.disk.clone();
    }

    fn answers(&self) -> io::Result<()> {
        if self.dark { Err(io::Error::other("there is no power")) } else { Ok(()) }
    }
}

impl Disk for RememberedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().memory.len() as u64)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.0.lock();
        state.answers()?;
        out.copy_from_slice(state.memory.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let mut state = self.0.lock();
        state.answers()?;
        state.memory[start..start + bytes.len()].copy_from_slice(bytes);
        state.dirty.extend(start / SECTOR..(start + bytes.len()).div_ceil(SECTOR));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let mut state = self.0.lock();
        state.answers()?;
        state.memory.resize(len, 0);
        state.disk.resize(len, 0);
        state.dirty.retain(|sector| sector * SECTOR < len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.answers()?;
        state.syncs += 1;
        if state.syncs == state.cut {
            state.lose_power();
            state.dark = true;
            return state.answers();
        }
        let fails = state.syncs == state.failing;
        // Of all that is written at once it is a part that fails, of half a megabyte at most.
        let part = state.dice.below(4);
        for sector in std::mem::take(&mut state.dirty) {
            if !fails || sector as u64 / 9 % 4 != part {
                let place = sector * SECTOR..((sector + 1) * SECTOR).min(state.memory.len());
                state.disk[place.clone()].copy_from_slice(&state.memory[place]);
            }
        }
        if fails { Err(io::Error::other("a sector could not be written")) } else { Ok(()) }
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        let state = self.0.lock();
        state.answers()?;
        let held = if state.past_memory { &state.disk } else { &state.memory };
        for (offset, out) in places {
            let (start, length) = (usize::try_from(*offset).unwrap(), out.len());
            out.copy_from_slice(held.get(start..start + length).ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        Ok(())
    }
}

/// Opens the store and commits twice what nobody asks for, as far as the disk lets it; then the process dies.
fn begin_and_die(disk: &RememberedDisk) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let Ok(store) = SealedDatabase::open_on(disk.clone(), &key(), CACHE) else { return };
        for number in 0..2 {
            let written = || -> Result<(), redb::Error> {
                let transaction = store.begin_write()?;
                transaction.open_table(ASIDE)?.insert(number, number)?;
                Ok(transaction.commit()?)
            };
            let _ = written();
        }
        #[expect(clippy::mem_forget, reason = "a process that dies runs no destructors")]
        std::mem::forget(store);
    }));
}

/// Each sync of a workload fails in its turn and the process ends. In a third of the rounds the next one meets another failure, and
/// the power goes; in another third it does, and a third process is cut off in the middle of a sync. Then one opens the store and
/// goes on; and then the memory of what was never written is gone. Returns how often, and what was wrong.
fn after_failed_syncs(commits: usize, past_memory: bool) -> (usize, Vec<String>) {
    let (mut tried, mut failures) = (0, Vec::new());
    for failing in 1.. {
        let mut reached = false;
        for seed in 0..SEEDS {
            let disk = RememberedDisk::new(failing, seed, past_memory);
            let (acknowledged, history) = work(&disk, commits);
            if disk.0.lock().syncs < failing {
                break;
            }
            reached = true;
            let Some(acknowledged) = acknowledged else { continue };
            tried += 1;
            if seed % 3 > 0 {
                disk.fail_again();
                begin_and_die(&disk);
            }
            if seed % 2 == 1 {
                disk.evict_some();
            }
            if seed % 3 == 2 {
                disk.cut_soon();
                begin_and_die(&disk);
            }
            if seed % 3 > 0 {
                disk.lose_power();
            }
            let judged = catch_unwind(AssertUnwindSafe(|| {
                let begun = (acknowledged + 1).min(history.len() - 1);
                let store = SealedDatabase::open_on(disk.clone(), &key(), CACHE).map_err(|error| error.to_string())?;
                let found = read_all(&store).map_err(|error| error.to_string())?;
                if !history[acknowledged..=begun].contains(&found) {
                    return Err("it holds another commit".to_owned());
                }
                let transaction = store.begin_write().map_err(|error| error.to_string())?;
                transaction.commit().map_err(|error| error.to_string())?;
                drop(store);
                disk.evict();
                let store = SealedDatabase::open_on(disk.clone(), &key(), CACHE).map_err(|error| error.to_string())?;
                if read_all(&store).map_err(|error| error.to_string())? != found {
                    return Err("what was acknowledged to the second process is gone".to_owned());
                }
                super::carry_on(store)
            }));
            if let Err(what) = judged.unwrap_or_else(|_| Err("it panicked".to_owned())) {
                failures.push(format!("sync {failing}, seed {seed}: {what}"));
            }
        }
        if !reached {
            break;
        }
    }
    (tried, failures)
}

#[test]
fn what_a_failed_sync_has_dropped_is_not_taken_for_written() {
    let (tried, failures) = after_failed_syncs(if is_long() { 200 } else { 28 }, true);
    println!("{tried} failed syncs");
    assert!(tried > 60, "{tried}");
    assert!(failures.is_empty(), "{} of {tried}, e.g. {}", failures.len(), failures[0]);
    let (tried, failures) = after_failed_syncs(12, false);
    println!("{} failures in {tried} when the memory is believed", failures.len());
    assert!(!failures.is_empty());
}
