//! Migration: a store of an older schema is brought up when it is opened. Its records are copied into a fresh file beside
//! it, each step changes them there, all of it is read and checked, and only then the fresh file takes the old one's place.
//!
//! A migration that is cut off leaves the old file as it was; the next opening throws the half-made copy away and begins
//! anew. Each store is brought up by itself, so one that cannot be costs the others nothing.

use std::path::Path;

use super::{
    Store, StoreError, Txn, View,
    backend::{self, SealedDatabase},
    dump::DumpError,
    facts, history,
    rewrite::{Copier, Progress, place_beside, remove_leftovers, swap},
    writer::{Ran, run, unopened},
};
use crate::seal::DataKey;

/// The cache of the fresh file while it is filled.
const CACHE_BYTES: usize = 8 << 20;

/// From one schema to the next.
pub(super) struct Step {
    /// The schema that it leads to.
    pub to: u32,
    /// Changes the records of the schema before, all of them there, in one transaction on the copy.
    pub apply: fn(&Txn<'_>) -> Result<(), StoreError>,
}

/// The schemas that a release knows.
pub(super) struct Schemas {
    pub newest: u32,
    pub steps: &'static [Step],
}

/// Those of this one: every step from schema 1 on.
pub(super) const RELEASED: Schemas =
    Schemas { newest: super::writer::SCHEMA, steps: &[Step { to: 2, apply: history::v1::take_over }] };

/// Brings an opened database up to the newest schema, if it is older; hands it, or the one that took its place, back.
///
/// # Errors
/// [`StoreError::TooNew`]; what kept the copy from being made, and then the file is as it was.
pub(super) fn bring_up(
    path: &Path,
    key: &DataKey,
    cache_bytes: usize,
    database: SealedDatabase,
    schemas: &Schemas,
) -> Result<SealedDatabase, StoreError> {
    let found = facts::schema(&View::new(database.begin_read().map_err(StoreError::from_redb)?))?;
    match found {
        Some(found) if found > schemas.newest => {
            let written_by =
                backend::read_superblock(path).map_or_else(|_| "of later".to_owned(), |it| it.written_by());
            Err(StoreError::TooNew { found, newest: schemas.newest, written_by })
        }
        Some(found) if found < schemas.newest => {
            tracing::info!(path = %path.display(), from = found, to = schemas.newest, "bringing a store up to this release");
            let made = copy(path, key, &database, found, schemas);
            if let Err(error) = made {
                let _ = remove_leftovers(path);
                return Err(error);
            }
            // What the file says is in the copy; if closing it fails, the copy is no worse for it.
            let _ = database.close();
            swap(&place_beside(path), path)?;
            backend::open_database(path, key, cache_bytes).map_err(|error| unopened(&error))
        }
        _ => Ok(database),
    }
}

fn copy(path: &Path, key: &DataKey, old: &SealedDatabase, found: u32, schemas: &Schemas) -> Result<(), StoreError> {
    let place = place_beside(path);
    let fresh = backend::create_database(&place, key, CACHE_BYTES).map_err(|error| unopened(&error))?;
    let before = old.begin_read().map_err(StoreError::from_redb)?;
    Copier::new(&fresh, Progress { copied: 0, total: 0 }, &mut |_| {}).copy_all(&before)?;
    for step in schemas.steps.iter().filter(|step| step.to > found) {
        let txn = fresh.begin_write().map_err(StoreError::from_redb)?;
        let mut apply = |txn: &Txn<'_>| {
            (step.apply)(txn)?;
            facts::set_schema(txn, step.to)
        };
        match run(txn, &mut apply, &parking_lot::Mutex::new(None)) {
            Ran::Done => {}
            Ran::Refused(error) | Ran::Failed { error, .. } => return Err(error),
        }
    }
    // Read as any other store would be, from its first record to the end of its history.
    let copied = Store::over(&place, key.clone(), CACHE_BYTES, fresh)?;
    let checked = copied.check_records(super::Shapes::unknown(), None, &mut |_| {});
    copied.close();
    match checked {
        Ok(_) if copied.is_reading_only() => {
            Err(StoreError::Disk { reason: "the migrated copy could not be made durable".to_owned() })
        }
        Ok(_) => Ok(()),
        Err(DumpError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Damaged { place: "the migrated store", reason: error.to_string() }),
    }
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
