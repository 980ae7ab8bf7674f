//! Writing: a transaction in the making.
//!
//! What is put waits in memory, sorted, and goes into the tables when the transaction ends. A group of commands puts many
//! records side by side at the end of the same tables, and counts that each of them changes: together they cost a fraction
//! of what they would cost one by one, and the leaves they fill are full.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
};

use redb::{CursorError, ReadableTable};

use super::{
    Order, Read, Span, StoreError, Table,
    rewrite::Touched,
    table::{Key, Record, encode},
    view::{Bytes, definition, walk},
};

/// Bytes that wait for one table at most.
const WAITING_MAX: usize = 1 << 20;

/// A transaction in the making: reads see its own writes.
///
/// A table is opened at its first use and kept open to the commit. While a scan runs over a table, that table cannot be
/// read: gather first.
pub struct Txn<'t> {
    txn: &'t redb::WriteTransaction,
    /// So few that looking through them is quicker than hashing.
    used: RefCell<Vec<Used<'t>>>,
    writes: Cell<u64>,
    /// The first thing that the disk refused: after it redb refuses everything, whatever a command makes of it.
    failure: RefCell<Option<StoreError>>,
    /// What it changes, while the store is being rewritten.
    touched: RefCell<Option<Touched>>,
}

/// A table that the transaction has used.
struct Used<'t> {
    name: &'static str,
    table: Option<redb::Table<'t, Bytes, Bytes>>,
    /// Records that are not in the table yet.
    waiting: BTreeMap<Vec<u8>, Vec<u8>>,
    waiting_bytes: usize,
    /// Bytes of keys and values that the table has gained, less those that it has lost.
    grown: i64,
}

impl<'t> Used<'t> {
    fn table(&mut self, txn: &'t redb::WriteTransaction) -> Result<&mut redb::Table<'t, Bytes, Bytes>, StoreError> {
        let table = match self.table.take() {
            Some(table) => table,
            None => txn.open_table(definition(self.name)).map_err(StoreError::from_redb)?,
        };
        Ok(self.table.insert(table))
    }

    fn write_waiting(&mut self, txn: &'t redb::WriteTransaction) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.grown += insert_sorted(self.table(txn)?, in_order(&waiting))?;
        Ok(())
    }
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Records as [`insert_sorted`] takes them.
pub(super) fn in_order(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
    records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
}

/// Inserts records that come in the order of their keys: those of a run without an older one in between in one go. Returns
/// by how many bytes the table grew.
pub(super) fn insert_sorted<'r>(
    table: &mut redb::Table<'_, Bytes, Bytes>,
    records: impl ExactSizeIterator<Item = (&'r [u8], &'r [u8])>,
) -> Result<i64, StoreError> {
    let mut grown = 0;
    // A run of one is not worth a cursor, and one that begins at a record that stands already foretells others.
    let mut in_runs = records.len() > 1;
    let mut rest = records.peekable();
    while let Some((key, value)) = rest.next() {
        if in_runs {
            let mut cursor = table.lower_bound_mut(Bound::Included(key)).map_err(StoreError::from_redb)?;
            let mut inserted = inserts(cursor.insert_before(key, value))?;
            in_runs = inserted;
            grown += if inserted { length(key.len() + value.len()) } else { 0 };
            while inserted && let Some((key, value)) = rest.peek() {
                inserted = inserts(cursor.insert_before(key, value))?;
                if inserted {
                    grown += length(key.len() + value.len());
                    rest.next();
                }
            }
            cursor.close().map_err(StoreError::from_redb)?;
            if in_runs {
                continue;
            }
        }
        let before = table.insert(key, value).map_err(StoreError::from_redb)?;
        let gone = before.map_or(0, |before| key.len() + before.value().len());
        grown += length(key.len() + value.len()) - length(gone);
    }
    Ok(grown)
}

/// Whether a cursor took a record, or has to be set anew since another stands there or before it.
fn inserts(result: Result<(), CursorError>) -> Result<bool, StoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(CursorError::UnorderedKey) => Ok(false),
        Err(error) => Err(StoreError::from_redb(error)),
    }
}

impl<'t> Txn<'t> {
    /// `noting` says whether what it changes must be known afterwards.
    pub(super) fn new(txn: &'t redb::WriteTransaction, noting: bool) -> Self {
        let touched = RefCell::new(noting.then(Touched::default));
        Self { txn, used: RefCell::default(), writes: Cell::new(0), failure: RefCell::default(), touched }
    }

    /// What it has changed, if that is noted.
    pub(super) fn touched(&self) -> Option<Touched> {
        self.touched.take()
    }

    fn touch(&self, table: &'static str, key: &[u8]) {
        self.writes.set(self.writes.get() + 1);
        if let Some(touched) = self.touched.borrow_mut().as_mut() {
            touched.note(table, key);
        }
    }

    /// How many writes were made so far: a command that is refused must not have added to it.
    pub(super) fn writes(&self) -> u64 {
        self.writes.get()
    }

    /// Bytes of keys and values that the tables have gained by what was written down, less those that they have lost.
    pub(super) fn grown(&self) -> i64 {
        self.used.borrow().iter().map(|used| used.grown).sum()
    }

    /// What the disk refused, if it did.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.failure.borrow().clone()
    }

    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failure.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }

    /// This transaction, to be read.
    #[must_use]
    pub fn reader(&self) -> &dyn Read {
        self
    }

    fn with<T>(
        &self,
        name: &'static str,
        use_it: impl FnOnce(&mut Used<'t>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut used = self.used.borrow_mut();
        let at = used.iter().position(|used| used.name == name).unwrap_or_else(|| {
            used.push(Used { name, table: None, waiting: BTreeMap::new(), waiting_bytes: 0, grown: 0 });
            used.len() - 1
        });
        self.noted(use_it(&mut used[at]))
    }

    /// Writes what waits into the tables: the last thing before the commit.
    pub(super) fn write_waiting(&self) -> Result<(), StoreError> {
        self.noted(self.used.borrow_mut().iter_mut().try_for_each(|used| used.write_waiting(self.txn)))
    }

    /// Writes a record, replacing what was there.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Disk`].
    pub fn put<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K, record: &V) -> Result<(), StoreError> {
        let (key, value) = (key.to_bytes(), encode(record));
        self.touch(table.name, &key);
        self.with(table.name, |used| {
            used.waiting_bytes += key.len() + value.len();
            used.waiting.insert(key, value);
            if used.waiting_bytes > WAITING_MAX { used.write_waiting(self.txn) } else { Ok(()) }
        })
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Disk`].
    pub fn delete<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K) -> Result<(), StoreError> {
        let key = key.to_bytes();
        self.touch(table.name, &key);
        self.with(table.name, |used| {
            used.waiting.remove(&key);
            let before = used.table(self.txn)?.remove(key.as_slice()).map_err(StoreError::from_redb)?;
            let gone = before.map_or(0, |before| key.len() + before.value().len());
            used.grown -= length(gone);
            Ok(())
        })
    }
}

impl Read for Txn<'_> {
    fn raw_get(
        &self,
        table: &'static str,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // What `visit` makes of the bytes is no failure of the disk.
        let mut seen = Ok(());
        self.with(table, |used| {
            if let Some(value) = used.waiting.get(key) {
                seen = visit(value);
            } else if let Some(value) = used.table(self.txn)?.get(key).map_err(StoreError::from_redb)? {
                seen = visit(value.value());
            }
            Ok(())
        })?;
        seen
    }

    fn raw_scan(
        &self,
        table: &'static str,
        span: &Span,
        order: Order,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        // The borrow is given up while `visit` runs elsewhere: it may read other tables of this transaction.
        let taken = self.with(table, |used| {
            used.write_waiting(self.txn)?;
            used.table(self.txn)?;
            Ok(used.table.take())
        })?;
        let Some(taken) = taken else { return Ok(()) };
        let result = walk(&taken, span, order, visit);
        self.with(table, |used| {
            used.table = Some(taken);
            Ok(())
        })?;
        result
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        seal::{DataKey, KeyId},
        store::Store,
    };

    const NUMBERS: Table<u32, String> = Table::new("numbers");

    #[derive(Clone, Debug)]
    enum Step {
        Put(u32, u8),
        Delete(u32),
        Get(u32),
        Scan(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
        let key = prop_oneof![0..40_u32, 1_000..1_400_u32, any::<u32>()];
        let step = (key, any::<u8>(), 0..10_u8).prop_map(|(key, value, kind)| match kind {
            0 => Step::Delete(key),
            1 => Step::Get(key),
            2 if value < 30 => Step::Scan(key),
            _ => Step::Put(key, value),
        });
        prop::collection::vec(prop::collection::vec(step, 0..120), 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_transaction_reads_and_keeps_what_a_map_would(transactions in steps()) {
            let folder = tempfile::tempdir().expect("a folder");
            let key = DataKey::fresh(KeyId([1; 16]), 1);
            let store = Store::create(&folder.path().join("a.store"), key, 1 << 20).expect("a store");
            let model = RefCell::new(BTreeMap::new());
            for steps in transactions {
                let wrong = RefCell::new(None);
                store.write_now(|txn| {
                    let (view, mut model) = (txn.reader(), model.borrow_mut());
                    for step in &steps {
                        match step {
                            Step::Put(key, value) => {
                                let value = "x".repeat(usize::from(*value) * 4);
                                txn.put(&NUMBERS, key, &value)?;
                                model.insert(*key, value);
                            }
                            Step::Delete(key) => {
                                txn.delete(&NUMBERS, key)?;
                                model.remove(key);
                            }
                            Step::Get(key) if view.get(&NUMBERS, key)?.as_ref() == model.get(key) => {}
                            Step::Scan(key) => {
                                let found = view.list(&NUMBERS, &Span::all().after(key), Order::Ascending, 50)?;
                                let after = (Bound::Excluded(*key), Bound::Unbounded);
                                if !found.iter().map(|(key, value)| (key, value)).eq(model.range(after).take(50)) {
                                    wrong.replace(Some(step.clone()));
                                }
                            }
                            Step::Get(_) => drop(wrong.replace(Some(step.clone()))),
                        }
                    }
                    Ok(())
                }).expect("written");
                prop_assert!(wrong.borrow().is_none(), "{:?} saw something else", wrong.borrow());
                let kept: Result<_, StoreError> = store.view(|view| {
                    view.list(&NUMBERS, &Span::all(), Order::Ascending, usize::MAX)
                });
                let kept: BTreeMap<u32, String> = kept.expect("read").into_iter().collect();
                prop_assert_eq!(&kept, &*model.borrow());
                let held = store.view(|view| crate::store::bytes_held(view)).expect("counted") as usize;
                let records = kept.iter().map(|(key, value)| key.to_bytes().len() + encode(value).len()).sum::<usize>();
                prop_assert!((records..records + 200).contains(&held), "{held} bytes for {records}");
            }
        }
    }
}
