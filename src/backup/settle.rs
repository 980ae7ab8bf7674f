//! What a filled store must have set right before anybody enters it, and what a restore would change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use super::{
    BackupError, Checked, Finding, Generation, Manifest, Name, Progress, Step, error::At, fill, keeper::open_at,
    segment::whose,
};
use crate::{
    clock::Timestamp,
    ids::{BoardId, OrgId, UserId},
    people::{self, PeopleError, members, restored},
    seal::{DataKey, Keyring},
    store::{Layout, Shapes, Store, StoreError, Stores, Txn, make_folder},
    work,
};

pub use people::restored::Settled;

/// Bytes of a file for a byte of records: pages that are not full, and what sealing adds.
const FILE_BYTES: f64 = 1.8;
/// Receipt numbers that are left out where the present store cannot be asked for the last one.
const NUMBERS_LEFT_OUT: u64 = 1000;

/// Whether there is room for a restore of so many bytes of records.
///
/// # Errors
/// [`BackupError::NoRoom`].
pub fn room_for(name: &Name, place: &Path, plain_bytes: u64) -> Result<(), BackupError> {
    let folder = place.ancestors().find(|folder| folder.is_dir()).unwrap_or(place);
    let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from).at(folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = (plain_bytes as f64 * FILE_BYTES) as u64 + (1 << 20);
    if free < needed {
        return Err(BackupError::NoRoom { name: name.clone(), path: folder.to_owned(), needed, free });
    }
    Ok(())
}

fn unready(org: Option<OrgId>, error: PeopleError) -> BackupError {
    let source = match error {
        PeopleError::Store(source) => source,
        other => StoreError::Disk { reason: other.to_string() },
    };
    BackupError::Store { whose: whose(org), source }
}

/// The receipt numbers that were given out, as the present store says; where there is none that can be read, some are
/// left out.
fn numbers_given(present: Option<&Store>, filled: &Store) -> Result<BTreeMap<BoardId, u64>, StoreError> {
    match present.map(|store| store.view(|view| work::read::last_numbers(view))) {
        Some(Ok(numbers)) => Ok(numbers),
        _ => {
            let numbers = filled.view(|view| work::read::last_numbers(view))?;
            Ok(numbers.into_iter().map(|(board, last)| (board, last + NUMBERS_LEFT_OUT)).collect())
        }
    }
}

/// Settles a filled organization's store before it takes the present one's place.
pub(super) fn before_the_swap(
    path: &Path,
    key: &DataKey,
    present: Option<&Store>,
    now: Timestamp,
    generation: &str,
    keep_tokens: bool,
) -> Result<Settled, BackupError> {
    let store = open_at(path, key, None)?;
    let result = settle(&store, present, now, generation, keep_tokens, true);
    store.close();
    result
}

/// Settles a restored organization's store: receipt numbers go on above those of the `present` store, API tokens open
/// nothing unless they are to stay, and with `only_present` members are those that are in both.
///
/// # Errors
/// What the store says.
pub fn settle(
    store: &Store,
    present: Option<&Store>,
    now: Timestamp,
    generation: &str,
    keep_tokens: bool,
    only_present: bool,
) -> Result<Settled, BackupError> {
    let wrong = |source| BackupError::Store { whose: "the restored organization".to_owned(), source };
    let numbers = numbers_given(present, store).map_err(wrong)?;
    let members: Option<BTreeSet<UserId>> = present.filter(|_| only_present).and_then(|store| {
        let present = store.view(|view| members::present(view)).ok()?;
        Some(present.into_iter().map(|member| member.user).collect())
    });
    let settled = std::cell::Cell::new(Settled::default());
    let work = |txn: &Txn<'_>| {
        work::raise_numbers(txn, &numbers)?;
        match restored::settle(txn, now, generation, keep_tokens, members.as_ref()) {
            Ok(done) => {
                settled.set(done);
                Ok(())
            }
            Err(PeopleError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Disk { reason: error.to_string() }),
        }
    };
    store.write_now(work).map_err(wrong)?;
    Ok(settled.get())
}

/// What a restore of one organization would bring and take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub org: Option<OrgId>,
    /// Whether there is such a store now, and whether there was one then.
    pub now: bool,
    pub then: bool,
    /// Cards, members (those who left included), API tokens and events: now and then, where they can be counted.
    pub counts: BTreeMap<&'static str, (Option<u64>, Option<u64>)>,
}

/// Counts what is there now and what was there then.
pub(super) fn difference(stores: &Stores, manifest: &Manifest, org: OrgId) -> Difference {
    let now = stores.organization(org).ok().and_then(|store| store.records().ok());
    let then = manifest.entry(Some(org)).map(|entry| &entry.tables);
    let count = |tables: Option<&BTreeMap<String, u64>>, table: &str| {
        tables.map(|tables| tables.get(table).copied().unwrap_or_default())
    };
    let counts = ["cards", "members", "tokens", "events"]
        .map(|table| (table, (count(now.as_ref(), table), count(then, table))))
        .into();
    Difference { org: Some(org), now: now.is_some(), then: then.is_some(), counts }
}

/// Fills a scratch folder from a generation, opens every store, reads it whole and walks a board.
pub(super) fn rehearse(
    generation: &Generation,
    keys: Keyring,
    scratch: &Path,
    shapes: &Shapes,
    threads: usize,
    progress: &Progress,
) -> Result<Checked, BackupError> {
    if scratch.exists() {
        fs::remove_dir_all(scratch).at(scratch)?;
    }
    make_folder(scratch).at(scratch)?;
    let manifest = Manifest::read(&generation.path, &keys)?;
    room_for(&generation.name, scratch, manifest.entries.iter().map(|entry| entry.plain_bytes).sum())?;
    let layout = Layout::new(scratch);
    let filled = fill(generation, &manifest, &keys, &layout, threads, progress)?;
    progress.begin(Step::Verifying, filled.iter().map(|one| one.bytes).sum());
    let mut checked = Checked::default();
    for one in &filled {
        let (path, key) = match one.org {
            None => (layout.system(), Some(keys.system_key())),
            Some(org) => (layout.organization_store(org), keys.organization_key(org)),
        };
        let Some(key) = key else { continue };
        let store = open_at(&path, &key, one.org)?;
        let read = look(&store, one.org, shapes, progress);
        store.close();
        checked.stores += 1;
        checked.records += one.records;
        checked.bytes += one.bytes;
        checked.findings.extend(read.map_err(|error| unready(one.org, error.into()))?);
    }
    Ok(checked)
}

/// Reads a store whole, and its boards as a page would.
fn look(
    store: &Arc<Store>,
    org: Option<OrgId>,
    shapes: &Shapes,
    progress: &Progress,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    if let Err(error) = store.check_records(shapes, None, &mut |bytes| progress.add(bytes)) {
        findings.push(Finding { org, what: error.to_string() });
    }
    if org.is_some() {
        findings.extend(store.view(|view| work::check(view))?.into_iter().map(|what| Finding { org, what }));
    }
    Ok(findings)
}
