//! Reading: one consistent state of a store, whether committed ([`View`]) or in the making ([`Txn`]).

use std::{
    cell::RefCell,
    collections::HashMap,
    ops::{Bound, ControlFlow},
    rc::Rc,
};

use redb::{ReadableTable, TableDefinition};

use super::{
    StoreError,
    table::{Key, Record, Table, decode, encode},
};

type Bytes = &'static [u8];

fn definition(name: &'static str) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(name)
}

/// A range of keys, as bytes.
#[derive(Clone, Debug)]
pub struct Span {
    pub(super) from: Bound<Vec<u8>>,
    pub(super) to: Bound<Vec<u8>>,
}

impl Span {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Every key that begins with `prefix`.
    #[must_use]
    pub fn under(prefix: &impl Key) -> Self {
        let from = prefix.to_bytes();
        let mut to = from.clone();
        while to.last() == Some(&u8::MAX) {
            to.pop();
        }
        let to = match to.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(to)
            }
            None => Bound::Unbounded,
        };
        Self { from: Bound::Included(from), to }
    }

    /// The same range without what is at or before `key`.
    #[must_use]
    pub fn after(mut self, key: &impl Key) -> Self {
        self.from = Bound::Excluded(key.to_bytes());
        self
    }

    /// The same range without what is at or past `key`.
    #[must_use]
    pub fn before(mut self, key: &impl Key) -> Self {
        self.to = Bound::Excluded(key.to_bytes());
        self
    }

    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice))
    }
}

/// The order in which a range is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// What a scan hands each key and value to, until it breaks.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>;

/// One consistent state of a store. Rooms read through `&dyn Read`, so that `decide` sees a transaction in the making
/// exactly as a page sees what is committed.
pub trait Read {
    /// Shows the bytes under `key` to `visit`, if there are any.
    ///
    /// # Errors
    /// [`StoreError::Disk`] or [`StoreError::Damaged`] if they cannot be read, and whatever `visit` returns.
    fn raw_get(
        &self,
        table: &'static str,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Walks a range until `visit` breaks.
    ///
    /// # Errors
    /// As [`Read::raw_get`], and whatever `visit` returns.
    fn raw_scan(&self, table: &'static str, span: &Span, order: Order, visit: Visit<'_>) -> Result<(), StoreError>;
}

impl dyn Read + '_ {
    /// The record under `key`.
    ///
    /// # Errors
    /// As [`Read::raw_get`].
    pub fn get<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        let mut found = None;
        self.raw_get(table.name, &key.to_bytes(), &mut |bytes| {
            found = Some(decode(table.name, bytes)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there is a record under `key`.
    ///
    /// # Errors
    /// As [`Read::raw_get`].
    pub fn has<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        let mut found = false;
        self.raw_get(table.name, &key.to_bytes(), &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    /// Walks a range until `visit` breaks.
    ///
    /// # Errors
    /// As [`Read::raw_get`], and whatever `visit` returns.
    pub fn scan<K: Key, V: Record>(
        &self,
        table: &Table<K, V>,
        span: &Span,
        order: Order,
        mut visit: impl FnMut(K, V) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.raw_scan(table.name, span, order, &mut |key, value| {
            let key = K::read(&mut &*key).ok_or_else(|| StoreError::Damaged {
                place: table.name,
                reason: "a key of another shape".to_owned(),
            })?;
            visit(key, decode(table.name, value)?)
        })
    }

    /// At most `limit` records of a range.
    ///
    /// # Errors
    /// As [`Read::raw_get`].
    pub fn list<K: Key, V: Record>(
        &self,
        table: &Table<K, V>,
        span: &Span,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.scan(table, span, order, |key, value| {
            found.push((key, value));
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }

    /// The last record of a range.
    ///
    /// # Errors
    /// As [`Read::raw_get`].
    pub fn last<K: Key, V: Record>(&self, table: &Table<K, V>, span: &Span) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.list(table, span, Order::Descending, 1)?.pop())
    }

    /// The first record of a range.
    ///
    /// # Errors
    /// As [`Read::raw_get`].
    pub fn first<K: Key, V: Record>(&self, table: &Table<K, V>, span: &Span) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.list(table, span, Order::Ascending, 1)?.pop())
    }
}

fn walk(
    table: &impl ReadableTable<Bytes, Bytes>,
    span: &Span,
    order: Order,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let mut range = table.range::<&[u8]>(span.bounds()).map_err(StoreError::from_redb)?;
    loop {
        let entry = match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        };
        let Some(entry) = entry else { return Ok(()) };
        let (key, value) = entry.map_err(StoreError::from_redb)?;
        if visit(key.value(), value.value())?.is_break() {
            return Ok(());
        }
    }
}

type OpenedTable = redb::ReadOnlyTable<Bytes, Bytes>;

/// A committed state. It stands still while writers go on, and holds back the reuse of space while it lives.
pub struct View {
    txn: redb::ReadTransaction,
    opened: RefCell<HashMap<&'static str, Option<Rc<OpenedTable>>>>,
}

impl View {
    pub(super) fn new(txn: redb::ReadTransaction) -> Self {
        Self { txn, opened: RefCell::default() }
    }

    fn with_table<T>(
        &self,
        name: &'static str,
        absent: T,
        use_it: impl FnOnce(&OpenedTable) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let known = self.opened.borrow().get(name).cloned();
        // The borrow is given up before the table is used: a scan may read other tables of this view.
        let table = match known {
            Some(table) => table,
            None => {
                let table = match self.txn.open_table(definition(name)) {
                    Ok(table) => Some(Rc::new(table)),
                    Err(redb::TableError::TableDoesNotExist(_)) => None,
                    Err(error) => return Err(StoreError::from_redb(error)),
                };
                self.opened.borrow_mut().insert(name, table.clone());
                table
            }
        };
        match table {
            Some(table) => use_it(&table),
            None => Ok(absent),
        }
    }
}

impl Read for View {
    fn raw_get(
        &self,
        table: &'static str,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.with_table(table, (), |opened| match opened.get(key).map_err(StoreError::from_redb)? {
            Some(guard) => visit(guard.value()),
            None => Ok(()),
        })
    }

    fn raw_scan(&self, table: &'static str, span: &Span, order: Order, visit: Visit<'_>) -> Result<(), StoreError> {
        self.with_table(table, (), |opened| walk(opened, span, order, visit))
    }
}

/// A transaction in the making: reads see its own writes.
///
/// A table is opened at its first use and kept open to the commit. While a scan runs over a table, that table cannot be
/// written: gather first, then write.
pub struct Txn<'t> {
    txn: &'t redb::WriteTransaction,
    /// So few that looking through them is quicker than hashing.
    opened: RefCell<Vec<(&'static str, redb::Table<'t, Bytes, Bytes>)>>,
    /// Records of tables that are [`Table::counter`]s: they wait to be written.
    counters: RefCell<Vec<Counter>>,
    writes: std::cell::Cell<u64>,
    /// The first thing that the disk refused: after it redb refuses everything, whatever a command makes of it.
    failure: RefCell<Option<StoreError>>,
}

struct Counter {
    table: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'t> Txn<'t> {
    pub(super) fn new(txn: &'t redb::WriteTransaction) -> Self {
        Self {
            txn,
            opened: RefCell::default(),
            counters: RefCell::default(),
            writes: std::cell::Cell::new(0),
            failure: RefCell::default(),
        }
    }

    /// How many writes were made so far: a command that is refused must not have added to it.
    pub(super) fn writes(&self) -> u64 {
        self.writes.get()
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

    fn with_table<T>(
        &self,
        name: &'static str,
        use_it: impl FnOnce(&mut redb::Table<'t, Bytes, Bytes>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut opened = self.opened.borrow_mut();
        if let Some((_, table)) = opened.iter_mut().find(|(known, _)| *known == name) {
            return self.noted(use_it(table));
        }
        let mut table = self.noted(self.txn.open_table(definition(name)).map_err(StoreError::from_redb))?;
        let result = self.noted(use_it(&mut table));
        opened.push((name, table));
        result
    }

    fn insert(&self, table: &'static str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.with_table(table, |opened| opened.insert(key, value).map_err(StoreError::from_redb).map(|_previous| ()))
    }

    /// Writes down the records of counters that have waited, those of one table or of all.
    pub(super) fn write_counters(&self, of: Option<&'static str>) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut *self.counters.borrow_mut());
        let (due, rest) = waiting.into_iter().partition(|counter| of.is_none_or(|table| counter.table == table));
        *self.counters.borrow_mut() = rest;
        let due: Vec<Counter> = due;
        due.iter().try_for_each(|counter| self.insert(counter.table, &counter.key, &counter.value))
    }

    /// Writes a record, replacing what was there.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Disk`].
    pub fn put<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K, record: &V) -> Result<(), StoreError> {
        self.writes.set(self.writes.get() + 1);
        let (key, value) = (key.to_bytes(), encode(record));
        if !table.counter {
            return self.insert(table.name, &key, &value);
        }
        let mut counters = self.counters.borrow_mut();
        match counters.iter_mut().find(|counter| counter.is(table.name, &key)) {
            Some(counter) => counter.value = value,
            None => counters.push(Counter { table: table.name, key, value }),
        }
        Ok(())
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Disk`].
    pub fn delete<K: Key, V: Record>(&self, table: &Table<K, V>, key: &K) -> Result<(), StoreError> {
        self.writes.set(self.writes.get() + 1);
        let key = key.to_bytes();
        self.counters.borrow_mut().retain(|counter| !counter.is(table.name, &key));
        self.with_table(table.name, |opened| {
            opened.remove(key.as_slice()).map_err(StoreError::from_redb).map(|_previous| ())
        })
    }
}

impl Counter {
    fn is(&self, table: &str, key: &[u8]) -> bool {
        self.table == table && self.key == key
    }
}

impl Read for Txn<'_> {
    fn raw_get(
        &self,
        table: &'static str,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(counter) = self.counters.borrow().iter().find(|counter| counter.is(table, key)) {
            return visit(&counter.value);
        }
        // What `visit` makes of the bytes is no failure of the disk.
        let mut seen = Ok(());
        self.with_table(table, |opened| {
            if let Some(guard) = opened.get(key).map_err(StoreError::from_redb)? {
                seen = visit(guard.value());
            }
            Ok(())
        })?;
        seen
    }

    fn raw_scan(&self, table: &'static str, span: &Span, order: Order, visit: Visit<'_>) -> Result<(), StoreError> {
        // The borrow is given up while `visit` runs elsewhere: it may read other tables of this transaction.
        self.write_counters(Some(table))?;
        let known = {
            let mut opened = self.opened.borrow_mut();
            opened.iter().position(|(known, _)| *known == table).map(|at| opened.swap_remove(at).1)
        };
        let taken = match known {
            Some(table) => table,
            None => self.noted(self.txn.open_table(definition(table)).map_err(StoreError::from_redb))?,
        };
        let result = walk(&taken, span, order, visit);
        self.opened.borrow_mut().push((table, taken));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        seal::{DataKey, KeyId},
        store::Store,
    };

    const NAMES: Table<u64, String> = Table::new("names");
    const NICKNAMES: Table<u64, String> = Table::new("nicknames");

    #[tokio::test]
    async fn a_scan_may_read_other_tables() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = DataKey::fresh(KeyId([7; 16]), 1);
        let store = Store::create(&folder.path().join("a.store"), key, 1 << 20).expect("a store");
        let look = |view: &dyn Read| {
            let mut found = Vec::new();
            view.scan(&NAMES, &Span::all(), Order::Ascending, |number, name| {
                found.push((name, view.get(&NICKNAMES, &number)?));
                Ok(ControlFlow::Continue(()))
            })?;
            Ok::<_, StoreError>(found)
        };
        let written = store.submit(8, move |txn| {
            txn.put(&NAMES, &1, &"one".to_owned())?;
            txn.put(&NICKNAMES, &1, &"uno".to_owned())?;
            look(txn.reader())
        });
        let want = vec![("one".to_owned(), Some("uno".to_owned()))];
        assert_eq!(written.await.expect("in the making"), want);
        assert_eq!(store.view(look).expect("committed"), want);
    }
}
