//! What has gone wrong with a store's disk.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

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

    /// Notes what a read has come to.
    pub(super) fn of_read<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.0.unread.lock().get_or_insert_with(|| error.to_string());
        }
        self.note(&self.0.read, result)
    }

    /// Notes what a write or a growth has come to.
    pub(super) fn of_write<T>(&self, result: io::Result<T>) -> io::Result<T> {
        self.note(&self.0.write, result)
    }

    /// Notes what a sync comes to, and how long it takes.
    pub(super) fn of_sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let began = Instant::now();
        self.note(&self.0.sync, sync())?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(0);
        self.0.synced_nanos.fetch_add(nanos, Ordering::Relaxed);
        Ok(())
    }

    fn note<T>(&self, fault: &AtomicBool, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            fault.store(true, Ordering::Release);
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                self.0.full.store(true, Ordering::Release);
            }
        }
        result
    }
}
