//! Reading: one consistent state of a store, whether committed ([`View`]) or in the making ([`Txn`](super::Txn)).

use std::{
    cell::RefCell,
    collections::HashMap,
    ops::{Bound, ControlFlow},
    rc::Rc,
};

use redb::{ReadableTable, TableDefinition};

use super::{
    StoreError,
    table::{Key, Record, Table, decode},
};

pub(super) type Bytes = &'static [u8];

pub(super) fn definition(name: &'static str) -> TableDefinition<'static, Bytes, Bytes> {
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

pub(super) fn walk(
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
    pub(super) txn: redb::ReadTransaction,
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
