//! What the records of each table are: whoever reads a table without knowing its room can tell whether they decode.

use std::{collections::HashMap, fmt, sync::LazyLock};

use minicbor::Decoder;

use super::{
    Table, facts,
    history::{self, Room},
    stores,
    table::{Key, Record},
};

/// Whether key and value are a record; if not, why.
pub(super) type IsRecord = fn(&[u8], &[u8]) -> Result<(), String>;
/// Whether bytes are a room's event; if not, why.
type IsEvent = fn(&[u8]) -> Result<(), String>;

/// A table's records.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    table: &'static str,
    is_record: IsRecord,
}

/// The events of a room.
#[derive(Clone, Copy, Debug)]
pub struct EventShape {
    room: Room,
    is_event: IsEvent,
}

/// Every table's and room's shape that is known.
#[derive(Clone)]
pub struct Shapes {
    tables: HashMap<&'static str, IsRecord>,
    events: Vec<EventShape>,
}

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shapes of {} tables", self.tables.len())
    }
}

impl<K: Key, V: Record> Table<K, V> {
    /// What its records are.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        Shape { table: self.name, is_record: is_record::<K, V> }
    }
}

fn is_record<K: Key, V: Record>(mut key: &[u8], value: &[u8]) -> Result<(), String> {
    match K::read(&mut key) {
        Some(_) if key.is_empty() => is_item::<V>(value),
        _ => Err("a key of another shape".to_owned()),
    }
}

fn is_item<V: Record>(value: &[u8]) -> Result<(), String> {
    let mut decoder = Decoder::new(value);
    decoder.decode::<V>().map_err(|error| error.to_string())?;
    whole(&decoder, value)
}

fn whole(decoder: &Decoder<'_>, value: &[u8]) -> Result<(), String> {
    if decoder.position() == value.len() { Ok(()) } else { Err("something follows the record".to_owned()) }
}

/// The events that a room writes.
#[must_use]
pub const fn events<E: Record>(room: Room) -> EventShape {
    EventShape { room, is_event: is_item::<E> }
}

impl Shapes {
    /// Of these tables, and these rooms' events.
    #[must_use]
    pub fn new(tables: impl IntoIterator<Item = Shape>, events: impl IntoIterator<Item = EventShape>) -> Self {
        let tables = tables.into_iter().map(|shape| (shape.table, shape.is_record)).collect();
        Self { tables, events: events.into_iter().collect() }
    }

    /// Of nothing: that values are CBOR is all that can be told.
    #[must_use]
    pub fn unknown() -> &'static Self {
        static UNKNOWN: LazyLock<Shapes> = LazyLock::new(|| Shapes::new([], []));
        &UNKNOWN
    }

    /// The tables, by name.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables.keys().copied()
    }

    /// What tells a table's records. Of a table that is not known, that its values are CBOR (RFC 8949) is all that can be told.
    pub(super) fn of(&self, table: &str) -> IsRecord {
        self.tables.get(table).copied().unwrap_or(is_cbor)
    }

    /// Whether bytes are an event of a room.
    pub(super) fn is_event(&self, room: Room, event: &[u8]) -> Result<(), String> {
        self.events.iter().find(|shape| shape.room == room).map_or(Ok(()), |shape| (shape.is_event)(event))
    }
}

/// What stands in the tables of every store, and in the system's.
pub fn own_shapes() -> impl Iterator<Item = Shape> {
    facts::SHAPES.into_iter().chain(history::SHAPES).chain(stores::SHAPES)
}

pub(super) fn is_cbor(_: &[u8], value: &[u8]) -> Result<(), String> {
    let mut decoder = Decoder::new(value);
    decoder.skip().map_err(|error| error.to_string())?;
    whole(&decoder, value)
}
