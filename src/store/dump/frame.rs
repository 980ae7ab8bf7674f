//! Frames: records of one store, or of two tables that belong together, column by column. A frame stands for itself, so
//! that any number of threads make and read them. `docs/formats/snapshot.md` specifies them.
//!
//! A frame is a sequence of parts, each of one table, all numbers being LEB128:
//!
//! - `length ‖ name ‖ records ‖ bytes of lengths ‖ bytes of keys ‖ bytes of values`,
//! - the lengths: of each record `shared ‖ rest ‖ value`,
//! - the keys: of each record the rest of its key, whose first `shared` bytes are those of the record before it in the part,
//! - the values.
//!
//! Like stands beside like: lengths repeat, ids of neighbours begin alike, and what is noise is noise alone. That packs
//! better, and in less time, than the same records one after another.

use std::{ops::Range, thread};

use super::{DumpError, TURN_EVERY};

/// A frame is full from this many bytes on.
pub(super) const FULL: usize = 1 << 20;
/// The longest name of a table.
pub(super) const NAME_MAX: usize = 255;
/// The longest key.
pub(super) const KEY_MAX: usize = 64 * 1024;
/// The longest value: the largest webhook body, several times over.
pub(super) const VALUE_MAX: usize = 256 << 20;
/// The longest frame: one that was nearly full when it took the longest record.
pub const FRAME_MAX: usize = VALUE_MAX + 2 * FULL;

/// Makes frames.
#[derive(Default)]
pub(super) struct Builder {
    parts: Vec<Columns>,
    /// Bytes that wait in the columns of keys and values.
    bytes: usize,
    /// Bytes of whole keys and values that these stand for.
    content: u64,
}

/// A frame that was made.
pub(super) struct Made {
    pub frame: Vec<u8>,
    /// Bytes of keys and values in it.
    pub content: u64,
}

#[derive(Default)]
struct Columns {
    table: String,
    records: u64,
    /// The last record's key.
    last: Vec<u8>,
    lengths: Vec<u8>,
    keys: Vec<u8>,
    values: Vec<u8>,
}

/// How many bytes two keys have in common from their beginning.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

pub(super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

impl Builder {
    /// A table whose records will come; returns its number for [`Self::push`].
    pub fn table(&mut self, name: &str) -> usize {
        self.parts.push(Columns { table: name.to_owned(), ..Columns::default() });
        self.parts.len() - 1
    }

    /// Takes a record. Those of a table come in the order of their keys.
    pub fn push(&mut self, table: usize, key: &[u8], value: &[u8]) {
        let part = &mut self.parts[table];
        let shared = if part.records == 0 { 0 } else { shared(&part.last, key) };
        let rest = &key[shared..];
        for length in [shared, rest.len(), value.len()] {
            put_number(length as u64, &mut part.lengths);
        }
        part.keys.extend_from_slice(rest);
        part.values.extend_from_slice(value);
        part.last.truncate(shared);
        part.last.extend_from_slice(rest);
        part.records += 1;
        self.bytes += rest.len() + value.len();
        self.content += (key.len() + value.len()) as u64;
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    /// The frame of what was pushed since the last one; `None` if that is nothing.
    pub fn take(&mut self) -> Option<Made> {
        let lengths: usize = self.parts.iter().map(|part| part.lengths.len() + part.table.len() + 50).sum();
        let mut frame = Vec::with_capacity(self.bytes + lengths);
        for part in self.parts.iter_mut().filter(|part| part.records > 0) {
            put_number(part.table.len() as u64, &mut frame);
            frame.extend_from_slice(part.table.as_bytes());
            put_number(std::mem::take(&mut part.records), &mut frame);
            let columns = [&mut part.lengths, &mut part.keys, &mut part.values];
            for column in &columns {
                put_number(column.len() as u64, &mut frame);
            }
            for column in columns {
                frame.extend_from_slice(column);
                column.clear();
            }
        }
        self.bytes = 0;
        let content = std::mem::take(&mut self.content);
        (!frame.is_empty()).then_some(Made { frame, content })
    }
}

/// A frame that is read.
pub struct Frame {
    bytes: Vec<u8>,
    parts: Vec<Place>,
}

struct Place {
    table: Range<usize>,
    records: u64,
    lengths: Range<usize>,
    keys: Range<usize>,
    values: Range<usize>,
}

/// The records of one table in a frame.
#[derive(Clone, Copy)]
pub struct Part<'f> {
    /// The table's name.
    pub table: &'f str,
    /// How many records there are.
    pub records: u64,
    lengths: &'f [u8],
    keys: &'f [u8],
    values: &'f [u8],
}

fn malformed<T>(what: &'static str) -> Result<T, DumpError> {
    Err(DumpError::Malformed(what))
}

/// A number off the front of `bytes`.
pub(super) fn number(bytes: &mut &[u8]) -> Result<u64, DumpError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, rest)) = bytes.split_first() else { return malformed("it ends within a number") };
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            break;
        }
        number |= part << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    malformed("a number is too large")
}

/// A length off the front of `bytes`.
fn length(bytes: &mut &[u8], max: usize) -> Result<usize, DumpError> {
    match usize::try_from(number(bytes)?) {
        Ok(length) if length <= max => Ok(length),
        _ => malformed("a length is too large"),
    }
}

impl Frame {
    /// The frame that stands in `bytes`. Its records are looked at as they are read.
    ///
    /// # Errors
    /// [`DumpError::Malformed`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DumpError> {
        let mut parts: Vec<Place> = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let name = length(&mut rest, NAME_MAX)?;
            let table = take(&mut rest, name, bytes.len())?;
            if name == 0 || std::str::from_utf8(&bytes[table.clone()]).is_err() {
                return malformed("a table's name is not text");
            }
            if parts.iter().any(|part| bytes[part.table.clone()] == bytes[table.clone()]) {
                return malformed("a table comes twice in a frame");
            }
            let records = number(&mut rest)?;
            let [lengths, keys, values] =
                [length(&mut rest, FRAME_MAX)?, length(&mut rest, FRAME_MAX)?, length(&mut rest, FRAME_MAX)?];
            let [lengths, keys, values] = [
                take(&mut rest, lengths, bytes.len())?,
                take(&mut rest, keys, bytes.len())?,
                take(&mut rest, values, bytes.len())?,
            ];
            parts.push(Place { table, records, lengths, keys, values });
        }
        if parts.is_empty() { malformed("a frame is empty") } else { Ok(Self { bytes, parts }) }
    }

    /// Its parts, of one table each.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.parts.iter().map(|part| Part {
            table: std::str::from_utf8(&self.bytes[part.table.clone()]).unwrap_or_default(),
            records: part.records,
            lengths: &self.bytes[part.lengths.clone()],
            keys: &self.bytes[part.keys.clone()],
            values: &self.bytes[part.values.clone()],
        })
    }

    /// Bytes of the keys and values in it.
    ///
    /// # Errors
    /// [`DumpError::Malformed`].
    pub fn content(&self) -> Result<u64, DumpError> {
        let mut content = 0;
        for part in self.parts() {
            let mut lengths = part.lengths;
            while !lengths.is_empty() {
                content += number(&mut lengths)?.min(FRAME_MAX as u64);
            }
        }
        Ok(content)
    }

    /// Its bytes, for whoever has a use for the room.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The place of the next `length` bytes in a frame of `whole` bytes, off the front of what is left of it.
fn take(rest: &mut &[u8], length: usize, whole: usize) -> Result<Range<usize>, DumpError> {
    let from = whole - rest.len();
    match rest.split_at_checked(length) {
        Some((_, after)) => *rest = after,
        None => return malformed("a frame is cut off"),
    }
    Ok(from..from + length)
}

impl<'f> Part<'f> {
    /// Bytes that the part takes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.lengths.len() + self.keys.len() + self.values.len()
    }

    /// Shows key and value of each record to `visit`, in the order of the keys, which must rise.
    ///
    /// # Errors
    /// [`DumpError::Malformed`], and whatever `visit` returns.
    pub fn each<E: From<DumpError>>(&self, mut visit: impl FnMut(&[u8], &'f [u8]) -> Result<(), E>) -> Result<(), E> {
        let mut records = self.records();
        while let Some(value) = records.next()? {
            visit(records.key(), value)?;
            if records.left.is_multiple_of(TURN_EVERY) {
                thread::yield_now();
            }
        }
        Ok(())
    }

    /// The records one by one.
    #[must_use]
    pub fn records(&self) -> Records<'f> {
        let Self { records, lengths, keys, values, .. } = *self;
        Records { left: records, lengths, keys, values, key: Vec::with_capacity(64), begun: false }
    }
}

/// Reads the records of a part.
pub struct Records<'f> {
    left: u64,
    lengths: &'f [u8],
    keys: &'f [u8],
    values: &'f [u8],
    key: Vec<u8>,
    begun: bool,
}

impl<'f> Records<'f> {
    /// The key of the record whose value came last.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The next record's value.
    ///
    /// # Errors
    /// [`DumpError::Malformed`].
    #[expect(clippy::should_implement_trait, reason = "the key of the record is lent")]
    pub fn next(&mut self) -> Result<Option<&'f [u8]>, DumpError> {
        if self.left == 0 {
            return match (self.lengths, self.keys, self.values) {
                ([], [], []) => Ok(None),
                _ => malformed("a part holds more than its records"),
            };
        }
        self.left -= 1;
        let shared = length(&mut self.lengths, KEY_MAX)?;
        let rest = length(&mut self.lengths, KEY_MAX)?;
        let value = length(&mut self.lengths, VALUE_MAX)?;
        let (Some((rest, keys)), Some((value, values))) =
            (self.keys.split_at_checked(rest), self.values.split_at_checked(value))
        else {
            return malformed("a record is cut off");
        };
        // What is shared is all that is: then the first byte of the rest decides.
        let rises = match self.key.get(shared) {
            _ if !self.begun => shared == 0,
            Some(before) => rest.first().is_some_and(|byte| byte > before),
            None => shared == self.key.len() && !rest.is_empty(),
        };
        if !rises {
            return malformed("a table's keys are not in their order");
        }
        (self.keys, self.values, self.begun) = (keys, values, true);
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        if self.key.len() > KEY_MAX {
            return malformed("a key is too long");
        }
        Ok(Some(value))
    }
}
