//! What the records of each table are: whoever reads a table without knowing its room can tell whether they decode.

use std::{collections::HashMap, fmt, sync::LazyLock};

use minicbor::{Decoder, data::Type};

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

impl<K: Key> Table<K, String> {
    /// What its records are: as [`Self::shape`], without a copy of each text, for tables that hold much of it.
    #[must_use]
    pub const fn shape_of_texts(&self) -> Shape {
        Shape { table: self.name, is_record: |key, value| is_key::<K>(key).and_then(|()| is_text(value)) }
    }
}

fn is_record<K: Key, V: Record>(key: &[u8], value: &[u8]) -> Result<(), String> {
    is_key::<K>(key)?;
    is_item::<V>(value)
}

fn is_key<K: Key>(mut key: &[u8]) -> Result<(), String> {
    match K::read(&mut key) {
        Some(_) if key.is_empty() => Ok(()),
        _ => Err("a key of another shape".to_owned()),
    }
}

/// Whether the value is one text of a length that it says (RFC 8949, section 3).
fn is_text(value: &[u8]) -> Result<(), String> {
    let mut decoder = Decoder::new(value);
    if decoder.datatype().map_err(|error| error.to_string())? != Type::String {
        return Err("it is no text".to_owned());
    }
    // Passes over the text without looking into it.
    decoder.skip().map_err(|error| error.to_string())?;
    whole(&decoder, value)?;
    let head = match value[0] & 0x1f {
        0..24 => 1,
        size => 1 + (1 << (size - 24)),
    };
    simdutf8::basic::from_utf8(&value[head..]).map_err(|error| error.to_string())?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::encode;

    const TEXTS: Table<u64, String> = Table::new("texts");

    /// The quick way says what the plain one says.
    fn both(value: &[u8]) -> bool {
        let key = 7_u64.to_bytes();
        let [plain, quick] =
            [TEXTS.shape(), TEXTS.shape_of_texts()].map(|shape| (shape.is_record)(&key, value).is_ok());
        assert_eq!(plain, quick, "{value:02x?}");
        quick
    }

    #[test]
    fn texts_are_told_from_what_is_none() {
        for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
            let value = encode(&"字".repeat(length / 3 + 1));
            assert!(both(&value));
            assert!(!both(&value[..value.len() - 1]), "cut within the last character");
            assert!(!both(&[value.as_slice(), &[0]].concat()));
        }
        assert!(!both(&[]));
        assert!(!both(&[0x41, b'a']), "bytes are no text");
        assert!(!both(&[0x62, 0xc3, 0x28]), "UTF-8 in name only");
        assert!(!both(&[0x78]), "a length that is cut off");
        assert!(!both(&[0x7f, 0x61, b'a', 0xff]), "of no length said");
        assert!((TEXTS.shape_of_texts().is_record)(&[0; 7], &encode(&String::new())).is_err(), "a short key");
    }
}
