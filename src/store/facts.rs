//! What a store's file says about itself, whatever it is for.

use super::{Read, StoreError, Table, Txn};

/// `schema` (the version of the tables' layout), `commits` (how many groups the file has taken), `bytes` (of the keys and
/// values that it holds), `lineage` (drawn anew when a store is restored: commits count within it).
pub(super) const FACTS: Table<String, u64> = Table::new("store_facts");
/// What stands in these tables.
pub(super) const SHAPES: [super::Shape; 1] = [FACTS.shape()];

fn fact(view: &dyn Read, name: &str) -> Result<Option<u64>, StoreError> {
    view.get(&FACTS, &name.to_owned())
}

/// The version of the tables' layout; none in a file that was made just now.
pub(super) fn schema(view: &dyn Read) -> Result<Option<u32>, StoreError> {
    Ok(fact(view, "schema")?.map(|found| u32::try_from(found).unwrap_or(u32::MAX)))
}

pub(super) fn set_schema(txn: &Txn<'_>, schema: u32) -> Result<(), StoreError> {
    txn.put(&FACTS, &"schema".to_owned(), &u64::from(schema))
}

/// What the count of commits counts in; 0 in a store that was never restored.
///
/// # Errors
/// What the store says.
pub fn lineage(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(fact(view, "lineage")?.unwrap_or_default())
}

/// How many groups the file has taken.
pub(super) fn commits(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(fact(view, "commits")?.unwrap_or_default())
}

pub(super) fn set_commits(txn: &Txn<'_>, commits: u64) -> Result<(), StoreError> {
    txn.put(&FACTS, &"commits".to_owned(), &commits)
}

/// Bytes of the keys and values that a store holds, as of its last commit: what people put in, whatever the file takes.
///
/// # Errors
/// What the store says.
pub fn bytes_held(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(fact(view, "bytes")?.unwrap_or_default())
}

pub(super) fn add_bytes(txn: &Txn<'_>, grown: i64) -> Result<(), StoreError> {
    if grown == 0 {
        return Ok(());
    }
    let held = bytes_held(txn.reader())?.saturating_add_signed(grown);
    txn.put(&FACTS, &"bytes".to_owned(), &held)
}
