//! Calls that fail: every read, write, growth and sync of a workload in its turn, once with a full disk's error and once with
//! a broken one's. Whatever fails, what was acknowledged is there when the disk is well again, and nothing else but what was
//! begun; and the store goes on.

use std::{
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use workrun::store::backend::{Disk, SealedDatabase};

use super::{CACHE, LARGE, Rows, SMALL, dice::Dice, disk::RecordingDisk, hash_of, is_long, key, read_all};

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
}

/// Commits until something fails; returns how many were acknowledged and what stood there after each.
fn work(disk: &FailingDisk, commits: usize) -> (Option<usize>, Vec<blake3::Hash>) {
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
