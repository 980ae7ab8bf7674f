//! Verifying the live stores while they serve.

use std::thread;

use super::{Checked, Finding, Manifest, Progress, Step, nice, segment::whose};
use crate::{
    ids::OrgId,
    store::{SCHEMA, Shapes, Store, StoreError, Stores, Walked, bytes_held},
    work,
};

/// Reads every live store: each record, the history's chain, for organizations what the tables say of each other, and every
/// checksum of those files that nobody uses at the moment. What the newest generation says of a store must be in its history: an older
/// copy of a file, which opens as the present one would, lacks it. A store that cannot be read, or is not as it must be, is a finding; the others are read all the same.
pub(super) fn check(stores: &Stores, newest: Option<&Manifest>, shapes: &Shapes, progress: &Progress) -> Checked {
    // A thread of its own: that of the pool serves others afterwards.
    thread::scope(|scope| {
        let checking = scope.spawn(|| {
            nice::be_nice();
            check_all(stores, newest, shapes, progress)
        });
        checking.join().unwrap_or_else(|_| {
            let what = "reading the stores panicked".to_owned();
            Checked { findings: vec![Finding { org: None, what }], ..Checked::default() }
        })
    })
}

fn check_all(stores: &Stores, newest: Option<&Manifest>, shapes: &Shapes, progress: &Progress) -> Checked {
    let organizations = stores.organizations();
    let system = bytes_of(stores.system());
    progress.begin(Step::Verifying, system.unwrap_or_default());
    let mut checked = Checked::default();
    one(stores.system(), None, newest, shapes, progress, &mut checked);
    if let Some(reason) = stores.system_damage() {
        checked.findings.push(Finding { org: None, what: format!("the system's file, when it was opened: {reason}") });
    }
    for org in organizations {
        match stores.organization(org) {
            Ok(store) => {
                let before = checked.findings.len();
                one(&store, Some(org), newest, shapes, progress, &mut checked);
                drop(store);
                // A block that somebody has put back in an older state authenticates: only the checksums tell.
                if checked.findings.len() == before
                    && let Walked::Damaged(reason) = stores.shelf().walk(org)
                {
                    checked.findings.push(Finding { org: Some(org), what: format!("its file: {reason}") });
                }
            }
            // Erased meanwhile.
            Err(StoreError::Missing) if stores.keyring().organization_key(org).is_none() => {}
            Err(error) => checked.findings.push(Finding { org: Some(org), what: error.to_string() }),
        }
    }
    progress.end();
    checked
}

fn bytes_of(store: &Store) -> Result<u64, StoreError> {
    store.view(bytes_held)
}

fn one(
    store: &Store,
    org: Option<OrgId>,
    newest: Option<&Manifest>,
    shapes: &Shapes,
    progress: &Progress,
    checked: &mut Checked,
) {
    checked.stores += 1;
    // Of the same line: a store that was restored goes on from wherever its generation stood.
    let lineage = store.standing().map(|(lineage, _)| lineage).ok();
    let before = newest
        .and_then(|newest| newest.entry(org))
        .filter(|entry| entry.schema == SCHEMA && Some(entry.lineage) == lineage && entry.last_event > 0);
    match store.check_records(shapes, before.map(|entry| entry.last_event), &mut |bytes| progress.add(bytes)) {
        Ok(passed) => {
            if let (Some(newest), Some(entry)) = (newest, before)
                && passed.told != Some(entry.last_hash)
            {
                let what = format!(
                    "the store of {} is older than the generation {}, or goes on otherwise from before it: event {} of its history is not the one that the generation names; somebody has put an older copy of its file back",
                    whose(org),
                    newest.name,
                    entry.last_event
                );
                checked.findings.push(Finding { org, what });
            }
            checked.records += passed.tables.values().sum::<u64>();
            checked.bytes += passed.bytes;
        }
        Err(error) => checked.findings.push(Finding { org, what: format!("the store of {}: {error}", whose(org)) }),
    }
    if org.is_some() {
        match store.view(|view| work::check(view)) {
            Ok(wrong) => checked.findings.extend(wrong.into_iter().map(|what| Finding { org, what })),
            Err(error) => checked.findings.push(Finding { org, what: error.to_string() }),
        }
    }
}
