//! Filling stores from a generation, beside whatever stands: nothing is replaced here.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use parking_lot::Mutex;

use super::{
    BackupError, Entry, Generation, Manifest, Progress, Step,
    error::{At, of_segment},
    segment::{self, whose},
};
use crate::{
    ids::{OrgId, random_bytes},
    seal::{DataKey, Keyring},
    store::{
        Layout, SCHEMA, Store, StoreError,
        dump::{DumpError, Loader},
        history, make_folder,
    },
};

/// Stores of this many bytes of records are filled by several threads.
const LARGE: u64 = 16 << 20;
/// The cache of a filled store while it is looked at.
const CACHE_BYTES: usize = 8 << 20;

/// A store that was filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Whose store it is; none for the system's.
    pub org: Option<OrgId>,
    /// Records, as the manifest names them and as they were counted in the new file.
    pub records: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// What a load can fail by.
enum Failed {
    Segment(BackupError),
    Store(DumpError),
}

impl From<DumpError> for Failed {
    fn from(error: DumpError) -> Self {
        Self::Store(error)
    }
}

/// Fills a new store at `target` from a segment, in several threads if it is large, compares what came out with the manifest, and opens it once.
///
/// # Errors
/// [`BackupError`]; then there is no file at `target`.
pub fn fill_one(
    generation: &Generation,
    entry: &Entry,
    keys: &Keyring,
    key: &DataKey,
    target: &Path,
    threads: usize,
    progress: &Progress,
) -> Result<Filled, BackupError> {
    let result = fill_new(generation, entry, keys, key, target, threads, progress);
    if result.is_err() {
        // Half a store is worth nothing; what was there before is elsewhere.
        let _ = fs::remove_file(target);
    }
    result
}

fn fill_new(
    generation: &Generation,
    entry: &Entry,
    keys: &Keyring,
    key: &DataKey,
    target: &Path,
    threads: usize,
    progress: &Progress,
) -> Result<Filled, BackupError> {
    let path = generation.path.join(entry.file());
    let failed = |error| of_segment(&path, &whose(entry.org), error);
    let mut loader = Loader::create(target, key).map_err(failed)?;
    let lanes = if threads > 1 && entry.plain_bytes >= LARGE { threads } else { 0 };
    loader
        .fill(lanes, |take| segment::hand_over(&path, entry, keys, progress, take).map_err(Failed::Segment))
        .map_err(|error| match error {
            Failed::Segment(error) => error,
            Failed::Store(error) => failed(error),
        })?;
    loader.finish(u64::from_le_bytes(random_bytes())).map_err(failed)?;
    let wrong = |source: StoreError| BackupError::Store { whose: whose(entry.org), source };
    let store = Store::open(target, key.clone(), CACHE_BYTES).map_err(wrong)?;
    let found = store.records().and_then(|counted| Ok((counted, store.view(history::end)?))).map_err(wrong);
    store.close();
    let (counted, end) = found?;
    // A store of an earlier schema was brought up when it was opened, and its chain with it.
    if entry.schema == SCHEMA && end != (entry.last_event, entry.last_hash) {
        let reason = format!("its last event is {} instead of {}, or another one", end.0, entry.last_event);
        return Err(wrong(StoreError::Damaged { place: "the restored store", reason }));
    }
    // The load adds facts of its own, never records of rooms.
    for (table, expected) in entry.tables.iter().filter(|(table, _)| table.as_str() != "store_facts") {
        let found = counted.get(table).copied().unwrap_or_default();
        if found != *expected {
            let reason = format!("the table {table} has {found} records of {expected}");
            return Err(wrong(StoreError::Damaged { place: "the restored store", reason }));
        }
    }
    Ok(Filled { org: entry.org, records: entry.records(), bytes: entry.plain_bytes })
}

/// Fills every store of a generation into `layout`'s empty folder, in `threads` at once. Organizations without a key were
/// erased, and stay so. The folders are on the disk when this returns.
///
/// # Errors
/// [`BackupError`] of the first store that cannot be filled, or that fails its check.
pub fn fill(
    generation: &Generation,
    manifest: &Manifest,
    keys: &Keyring,
    layout: &Layout,
    threads: usize,
    progress: &Progress,
) -> Result<Vec<Filled>, BackupError> {
    let mut work: Vec<(&Entry, DataKey)> = Vec::new();
    for entry in &manifest.entries {
        let key = match entry.org {
            None => Some(keys.system_key()),
            Some(org) => keys.organization_key(org),
        };
        work.extend(key.map(|key| (entry, key)));
    }
    work.sort_by_key(|(entry, _)| std::cmp::Reverse(entry.plain_bytes));
    progress.begin(Step::Restoring, work.iter().map(|(entry, _)| entry.plain_bytes).sum());
    let next = AtomicUsize::new(0);
    let (filled, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                while failure.lock().is_none()
                    && let Some((entry, key)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let one = || {
                        let (folder, target) = match entry.org {
                            None => (layout.live(), layout.system()),
                            Some(org) => (layout.organization(org), layout.organization_store(org)),
                        };
                        make_folder(&folder).at(&folder)?;
                        fill_one(generation, entry, keys, key, &target, threads, progress)
                    };
                    match one() {
                        Ok(one) => filled.lock().push(one),
                        Err(error) => {
                            failure.lock().get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    progress.end();
    match failure.into_inner() {
        Some(error) => Err(error),
        None => {
            let mut filled = filled.into_inner();
            filled.sort_by_key(|one| one.org);
            Ok(filled)
        }
    }
}
