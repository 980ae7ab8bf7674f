//! Taking a snapshot.

use std::{
    collections::BTreeSet,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use parking_lot::Mutex;

use super::{
    BackupError, Entry, Finding, Generation, Generations, Manifest, Name, Problem, Progress, Report, Step,
    manifest::file_of,
    nice::be_nice,
    report,
    segment::{self, Packing, whose},
    verify::read_back,
};
use crate::{
    clock::{Clock, Timestamp},
    ids::OrgId,
    seal::DataKey,
    store::{Shapes, StoreError, Stores, history},
};

/// Generations that a segment may be linked into after the one that wrote it.
const LINKED_MAX: u32 = 3;
/// A segment is linked only if it was read back within this time,
const READ_BACK_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// and is read back again, while it is linked, after this.
const READ_BACK_AGAIN: Duration = Duration::from_secs(36 * 60 * 60);
/// Files from this many bytes on are read by several threads.
const LARGE: u64 = 16 << 20;

/// What is to be taken, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether it is the day's own.
    pub daily: bool,
    /// Whether it stays until it is unpinned.
    pub pin: bool,
    /// zstd's level.
    pub level: i32,
    /// Threads that work at once.
    pub threads: usize,
    /// The appliance's zone, for the name.
    pub zone: TimeZone,
    /// What the records of tables are.
    pub shapes: &'static Shapes,
    /// Tables that are in no generation.
    pub leave_out: BTreeSet<&'static str>,
}

/// A generation that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub generation: Generation,
    pub manifest: Manifest,
    /// Generations that went to make room for it.
    pub removed: Vec<Name>,
    /// How long it took until all of it was written; what follows is reading back.
    pub written_ms: u64,
    pub report: Report,
}

/// What stands ready for the new generation of one store.
struct Ready {
    entry: Entry,
    /// Whether it must be read back before the generation counts.
    to_read: bool,
}

enum Outcome {
    Ready(Ready),
    /// The store could not be read.
    Problem(Problem, Option<Entry>),
    /// Erased while the snapshot was under way.
    Gone,
}

struct Taker<'a> {
    stores: &'a Stores,
    folder: &'a Path,
    before: Option<(Generation, Manifest)>,
    options: &'a Options,
    now: Timestamp,
    progress: &'a Progress,
}

/// Takes a generation, reads back what it wrote, gives it its name, and lets those go whose turn is over. What is there
/// already is not changed before that.
///
/// # Errors
/// [`BackupError`]: then nothing was removed, and nothing half-made counts.
pub fn take(
    stores: &Stores,
    generations: &Generations,
    options: &Options,
    clock: &Clock,
    progress: &Progress,
) -> Result<Taken, BackupError> {
    let _held = generations.hold()?;
    let result = take_held(stores, generations, options, clock, progress);
    progress.end();
    if result.is_err() {
        // What was begun is in the way of nobody; if it cannot be removed now, the next one does.
        let _ = generations.clear_leftovers();
    }
    result
}

fn take_held(
    stores: &Stores,
    generations: &Generations,
    options: &Options,
    clock: &Clock,
    progress: &Progress,
) -> Result<Taken, BackupError> {
    let (began, now) = (Instant::now(), clock.now());
    generations.clear_leftovers()?;
    let there = generations.list()?;
    let name = next_name(now, &options.zone, there.last());
    let before = newest_readable(stores, &there);
    let organizations = stores.organizations();
    let folder = generations.begin(&name)?;
    let taker = Taker { stores, folder: &folder, before, options, now, progress };
    let (mut ready, mut problems) = taker.gather(&organizations)?;

    // The mirror is made after the segments, so that it holds every key that sealed one of them.
    stores.keyring().mirror_to(generations.folder())?;
    let mirror = stores.keyring().open_mirror(generations.folder())?;
    let keyring_sequence = mirror.sequence();
    let written_ms = millis(began.elapsed());
    taker.read_back(&mut ready, &mut problems, &mirror)?;

    let mut entries: Vec<Entry> = ready.into_iter().map(|ready| ready.entry).collect();
    entries.sort_by_key(|entry| entry.org);
    let manifest = Manifest {
        name: name.to_string(),
        taken_at: now,
        took_ms: millis(began.elapsed()),
        daily: options.daily,
        day: now.in_zone(&options.zone).date().to_string(),
        keyring_sequence,
        product: env!("CARGO_PKG_VERSION").to_owned(),
        entries,
        problems,
    };
    manifest.write(&folder, &stores.keyring().system_key())?;
    if Manifest::read(&folder, &mirror)? != manifest {
        let path = folder.join(super::manifest::FILE);
        return Err(BackupError::Damaged { path, what: "it does not read back as it was written".to_owned() });
    }
    let generation = generations.complete(&name, options.pin)?;
    let removed = rotate(stores, generations)?;
    let findings = manifest.problems.iter().map(|problem| Finding {
        org: problem.org,
        what: format!(
            "{}: {}",
            problem.reason,
            if problem.carried {
                "its segment of the generation before stands in"
            } else {
                "it is not in the generation"
            }
        ),
    });
    let read: Vec<&Entry> = manifest.entries.iter().filter(|entry| entry.read_back_at == now).collect();
    let report = Report {
        kind: report::Kind::Snapshot,
        at: now,
        took_ms: millis(began.elapsed()),
        generation: name.to_string(),
        stores: read.len() as u64,
        records: read.iter().map(|entry| entry.records()).sum(),
        bytes: read.iter().map(|entry| entry.plain_bytes).sum(),
        findings: findings.collect(),
        by_recovery_key: false,
        compared: None,
    };
    Ok(Taken { generation, manifest, removed, written_ms, report })
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A name after all that are there, whatever the clock says: the order of names is the order of taking.
fn next_name(now: Timestamp, zone: &TimeZone, newest: Option<&Generation>) -> Name {
    let after = newest.map_or(now, |newest| newest.name.at().plus(Duration::from_secs(1)));
    Name::new(now.max(after), zone)
}

/// The newest generation whose manifest can be read.
pub(super) fn newest_readable(stores: &Stores, there: &[Generation]) -> Option<(Generation, Manifest)> {
    there.iter().rev().find_map(|generation| {
        let manifest = Manifest::read(&generation.path, stores.keyring()).ok()?;
        Some((generation.clone(), manifest))
    })
}

/// Lets generations go whose turn is over. One that cannot be removed is tried again after the next snapshot.
fn rotate(stores: &Stores, generations: &Generations) -> Result<Vec<Name>, BackupError> {
    let of_kinds: Vec<(Generation, Option<bool>)> = generations
        .list()?
        .into_iter()
        .map(|generation| {
            let daily = Manifest::is_daily(&generation.path, stores.keyring()).ok();
            (generation, daily)
        })
        .collect();
    let mut removed = Vec::new();
    for generation in Generations::past_their_turn(&of_kinds) {
        match generations.remove(generation) {
            Ok(()) => removed.push(generation.name.clone()),
            Err(error) => tracing::warn!(%error, "a generation whose turn is over could not be removed yet"),
        }
    }
    Ok(removed)
}

impl Taker<'_> {
    /// Every store's segment, linked or written, several at once, the large ones first.
    fn gather(&self, organizations: &[OrgId]) -> Result<(Vec<Ready>, Vec<Problem>), BackupError> {
        let of_all = std::iter::once(None).chain(organizations.iter().copied().map(Some));
        let mut work: Vec<(Option<OrgId>, u64)> = of_all.map(|org| (org, self.size_before(org))).collect();
        work.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let total =
            self.before.as_ref().map_or(0, |(_, manifest)| manifest.entries.iter().map(|e| e.plain_bytes).sum());
        self.progress.begin(Step::Writing, if total > 0 { total } else { work.iter().map(|(_, size)| size).sum() });

        let next = AtomicUsize::new(0);
        let (outcomes, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.clamp(1, work.len()) {
                scope.spawn(|| {
                    be_nice();
                    while failure.lock().is_none()
                        && let Some((org, _)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let one = || self.one(*org);
                        // redb gives up on some damage: that is one store's trouble, as an error would be.
                        let outcome = catch_unwind(AssertUnwindSafe(one))
                            .unwrap_or_else(|_| self.carry(*org, "the store gave up"));
                        match outcome {
                            Ok(outcome) => outcomes.lock().push(outcome),
                            Err(error) => {
                                failure.lock().get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        let (mut ready, mut problems) = (Vec::new(), Vec::new());
        for outcome in outcomes.into_inner() {
            match outcome {
                Outcome::Ready(one) => ready.push(one),
                Outcome::Problem(problem, carried) => {
                    ready.extend(carried.map(|entry| Ready { entry, to_read: true }));
                    problems.push(problem);
                }
                Outcome::Gone => {}
            }
        }
        Ok((ready, problems))
    }

    /// About how much is to be read of a store: what the generation before says, so that of thousands that have not changed
    /// nobody is asked; and what the file says of one that is new.
    fn size_before(&self, org: Option<OrgId>) -> u64 {
        let entry = self.before.as_ref().and_then(|(_, manifest)| manifest.entry(org));
        entry.map_or_else(|| self.file_bytes(org), |entry| entry.plain_bytes)
    }

    fn file_bytes(&self, org: Option<OrgId>) -> u64 {
        let layout = self.stores.shelf().layout();
        let path = org.map_or_else(|| layout.system(), |org| layout.organization_store(org));
        fs::metadata(path).map_or(0, |file| file.len())
    }

    fn key(&self, org: Option<OrgId>) -> Option<DataKey> {
        match org {
            None => Some(self.stores.keyring().system_key()),
            Some(org) => self.stores.keyring().organization_key(org),
        }
    }

    /// One store's segment: linked if nothing has changed, written otherwise.
    fn one(&self, org: Option<OrgId>) -> Result<Outcome, BackupError> {
        let Some(key) = self.key(org) else { return Ok(Outcome::Gone) };
        match self.link_or_write(org, &key) {
            Err(BackupError::Store { source, .. }) if self.key(org).is_some() => self.carry(org, &source.to_string()),
            Err(BackupError::Store { .. }) => Ok(Outcome::Gone),
            other => other,
        }
    }

    /// A store that fails must not cost the others their snapshot, nor itself its last good segment.
    fn carry(&self, org: Option<OrgId>, reason: &str) -> Result<Outcome, BackupError> {
        remove(&self.folder.join(file_of(org)))?;
        let carried = self.entry_before(org).filter(|entry| self.link(entry));
        tracing::error!(whose = whose(org), error = reason, "a store could not be read for the snapshot");
        Ok(Outcome::Problem(Problem { org, reason: reason.to_owned(), carried: carried.is_some() }, carried))
    }

    fn link_or_write(&self, org: Option<OrgId>, key: &DataKey) -> Result<Outcome, BackupError> {
        let failed = |source: StoreError| BackupError::Store { whose: whose(org), source };
        let state = org.and_then(|org| self.stores.shelf().file_state(org));
        // Most organizations have not been touched since: their files are not even opened.
        if let Some(entry) = self.entry_before(org)
            && state.is_some()
            && entry.file == state
            && self.may_be_linked(&entry, key)
            && self.link(&entry)
        {
            self.progress.add(entry.plain_bytes);
            let to_read = self.now.since(entry.read_back_at) > READ_BACK_AGAIN;
            return Ok(Outcome::Ready(Ready { entry, to_read }));
        }
        let store = match org {
            None => std::sync::Arc::clone(self.stores.system()),
            Some(org) => self.stores.organization(org).map_err(failed)?,
        };
        if let Some(entry) = self.entry_before(org)
            && self.may_be_linked(&entry, key)
            && store.standing().map_err(failed)? == (entry.lineage, entry.commits)
            // As many commits may have followed an older copy of the file that somebody has put back.
            && store.view(history::end).map_err(failed)? == (entry.last_event, entry.last_hash)
            && self.link(&entry)
        {
            self.progress.add(entry.plain_bytes);
            let to_read = self.now.since(entry.read_back_at) > READ_BACK_AGAIN;
            drop(store);
            return Ok(Outcome::Ready(Ready { entry: self.settled(entry), to_read }));
        }
        let threads = if self.file_bytes(org) >= LARGE { self.options.threads } else { 1 };
        let packing = Packing { level: self.options.level, threads, leave_out: &self.options.leave_out };
        let entry = segment::write(self.folder, org, &store, key, packing, self.progress)?;
        drop(store);
        Ok(Outcome::Ready(Ready { entry: self.settled(entry), to_read: true }))
    }

    /// The entry with the state of the store's file, if nobody uses it.
    fn settled(&self, entry: Entry) -> Entry {
        let standing = (entry.lineage, entry.commits);
        let file = entry.org.and_then(|org| self.stores.shelf().settled_state(org, standing));
        Entry { file, ..entry }
    }

    /// What the generation before says of a store, a generation older.
    fn entry_before(&self, org: Option<OrgId>) -> Option<Entry> {
        let (_, manifest) = self.before.as_ref()?;
        let entry = manifest.entry(org)?.clone();
        Some(Entry { age: entry.age + 1, ..entry })
    }

    fn may_be_linked(&self, entry: &Entry, key: &DataKey) -> bool {
        entry.age <= LINKED_MAX
            && (entry.key_id, entry.key_version) == (key.id(), key.version())
            && entry.read_back_at <= self.now
            && self.now.since(entry.read_back_at) <= READ_BACK_WITHIN
    }

    /// Links a segment of the generation before; where that is not possible it is written anew.
    fn link(&self, entry: &Entry) -> bool {
        let Some((generation, _)) = &self.before else { return false };
        let (from, to) = (generation.path.join(entry.file()), self.folder.join(entry.file()));
        fs::metadata(&from).is_ok_and(|file| file.len() == entry.bytes) && fs::hard_link(&from, &to).is_ok()
    }

    /// Reads back what must be. A linked segment that is damaged is written anew, and read back then.
    fn read_back(
        &self,
        ready: &mut Vec<Ready>,
        problems: &mut Vec<Problem>,
        mirror: &crate::seal::Keyring,
    ) -> Result<(), BackupError> {
        let to_read: Vec<usize> = (0..ready.len()).filter(|at| ready[*at].to_read).collect();
        let entries: Vec<&Entry> = to_read.iter().map(|at| &ready[*at].entry).collect();
        self.progress.begin(Step::Verifying, entries.iter().map(|entry| entry.plain_bytes).sum());
        let wrong = read_back(self.folder, &entries, mirror, self.options.shapes, self.options.threads, self.progress);
        let mut lost = Vec::new();
        for at in &to_read {
            ready[*at].entry.read_back_at = self.now;
        }
        for (at, error) in wrong {
            let at = to_read[at];
            let entry = &ready[at].entry;
            // Erased while the snapshot was under way: no key opens it, and none must.
            if entry.org.is_some_and(|org| self.stores.keyring().organization_key(org).is_none()) {
                lost.push(at);
                continue;
            }
            if entry.age == 0 {
                return Err(error);
            }
            tracing::error!(%error, "a linked segment is damaged; it is written anew");
            remove(&self.folder.join(entry.file()))?;
            let org = entry.org;
            // No link this time: the file in the generation before is the damaged one.
            let anew = Taker { before: None, ..*self };
            match anew.one(org)? {
                Outcome::Ready(mut fresh) => {
                    if let Some((_, error)) =
                        read_back(self.folder, &[&fresh.entry], mirror, self.options.shapes, 1, self.progress).pop()
                    {
                        return Err(error);
                    }
                    fresh.entry.read_back_at = self.now;
                    ready[at] = fresh;
                }
                // Neither the store nor its last segment can be read: the others have their generation all the same.
                Outcome::Problem(problem, _) => {
                    problems.retain(|other| other.org != org);
                    problems.push(problem);
                    lost.push(at);
                }
                Outcome::Gone => lost.push(at),
            }
        }
        lost.sort_unstable();
        for at in lost.into_iter().rev() {
            ready.remove(at);
        }
        Ok(())
    }
}
