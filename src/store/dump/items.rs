//! What segments of formats 1 and 2 hold, as frames: a sequence of items, all numbers being LEB128.
//!
//! - `0 ‖ length ‖ name`: the name of the next table; tables are counted from 1;
//! - `table ‖ shared ‖ length of rest ‖ length of value ‖ rest ‖ value`: a record. Its key is the first `shared` bytes of the
//!   table's key before it, and the rest; a table's records come in the order of their keys;
//! - `0 ‖ 0 ‖ records`: the end, with the number of records before it.

use std::io;

use super::{
    DumpError,
    frame::{self, Builder},
};
use crate::store::history;

const NAME_MAX: u64 = frame::NAME_MAX as u64;
const KEY_MAX: u64 = frame::KEY_MAX as u64;
const VALUE_MAX: u64 = frame::VALUE_MAX as u64;
/// Bytes that are read at once.
const READ_AT_ONCE: usize = 128 * 1024;

/// How items write keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Each one whole: in containers of format 1.
    Whole,
    /// Without what it has in common with the one before it.
    Shortened,
}

/// Reads items as frames.
pub struct ItemFrames<R: io::Read> {
    items: Items<R>,
    builder: Builder,
    ended: bool,
}

impl<R: io::Read> ItemFrames<R> {
    /// Over the bytes of a segment's content.
    pub fn new(from: R, keys: Keys) -> Self {
        Self { items: Items::new(from, keys), builder: Builder::default(), ended: false }
    }

    /// Where the bytes come from, once they are at their end.
    pub fn into_inner(self) -> R {
        self.items.from
    }

    /// The next frame; `None` at the end, which the items must name rightly and after which nothing may come.
    ///
    /// # Errors
    /// [`DumpError::Stream`], [`DumpError::Malformed`].
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after a failure")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, DumpError> {
        while !self.ended {
            match self.items.next()? {
                None => self.ended = true,
                Some(Item::Table(name)) => {
                    self.builder.table(name);
                }
                Some(Item::Record { table, name, key, value }) => {
                    // An event and its payload stand in one frame.
                    let full = self.builder.is_full() && name != history::PAYLOADS.name();
                    let made = if full { self.builder.take() } else { None };
                    self.builder.push(table, key, value);
                    if let Some(made) = made {
                        return Ok(Some(made.frame));
                    }
                }
            }
        }
        Ok(self.builder.take().map(|made| made.frame))
    }
}

/// Reads items, one by one, out of one buffer: a value is shown where it was read.
struct Items<R: io::Read> {
    from: R,
    keys: Keys,
    buffer: Vec<u8>,
    /// Where the next item begins in the buffer.
    at: usize,
    tables: Vec<Named>,
    records: u64,
}

struct Named {
    name: String,
    /// The last key, if there was one.
    key: Vec<u8>,
    begun: bool,
}

enum Item<'i> {
    /// A table begins.
    Table(&'i str),
    /// A record of the `table`th table, from 0.
    Record { table: usize, name: &'i str, key: &'i [u8], value: &'i [u8] },
}

impl<R: io::Read> Items<R> {
    fn new(from: R, keys: Keys) -> Self {
        Self { from, keys, buffer: Vec::new(), at: 0, tables: Vec::new(), records: 0 }
    }

    fn next(&mut self) -> Result<Option<Item<'_>>, DumpError> {
        let table = self.number(u64::MAX)?;
        if table > 0 {
            let table = usize::try_from(table - 1).unwrap_or(usize::MAX);
            return self.record(table).map(Some);
        }
        let length = self.number(NAME_MAX)?;
        if length == 0 {
            let records = self.number(u64::MAX)?;
            if records != self.records {
                return Err(DumpError::Malformed("its end names another number of records"));
            }
            return match self.ensure(1) {
                Ok(()) => Err(DumpError::Malformed("something follows its end")),
                Err(DumpError::Stream(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(error),
            };
        }
        let name = self.take(length)?;
        let name =
            std::str::from_utf8(&self.buffer[name]).map_err(|_| DumpError::Malformed("a table's name is not text"))?;
        if self.tables.iter().any(|table| table.name == name) {
            return Err(DumpError::Malformed("a table is named twice"));
        }
        self.tables.push(Named { name: name.to_owned(), key: Vec::new(), begun: false });
        Ok(self.tables.last().map(|table| Item::Table(&table.name)))
    }

    fn record(&mut self, table: usize) -> Result<Item<'_>, DumpError> {
        if table >= self.tables.len() {
            return Err(DumpError::Malformed("a record of a table that was not named"));
        }
        let shared = match self.keys {
            Keys::Whole => 0,
            Keys::Shortened => self.number(KEY_MAX)? as usize,
        };
        let (rest, value) = (self.number(KEY_MAX)?, self.number(VALUE_MAX)?);
        let both = self.take(rest + value)?;
        let rest = both.start + rest as usize;
        let Named { name, key, begun } = &mut self.tables[table];
        let bytes = &self.buffer[both.start..rest];
        let rises = match self.keys {
            Keys::Whole => !*begun || key.as_slice() < bytes,
            // What is shared is all that is: then the first byte of the rest decides.
            Keys::Shortened if *begun => match key.get(shared) {
                Some(before) => bytes.first().is_some_and(|byte| byte > before),
                None => shared == key.len() && !bytes.is_empty(),
            },
            Keys::Shortened => shared == 0,
        };
        if !rises {
            return Err(DumpError::Malformed("a table's keys are not in their order"));
        }
        *begun = true;
        key.truncate(shared);
        key.extend_from_slice(bytes);
        if key.len() as u64 > KEY_MAX {
            return Err(DumpError::Malformed("a key is too long"));
        }
        self.records += 1;
        Ok(Item::Record { table, name, key, value: &self.buffer[rest..both.end] })
    }

    /// Makes the next `length` bytes stand in the buffer.
    fn ensure(&mut self, length: u64) -> Result<(), DumpError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        while self.buffer.len() - self.at < length {
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            let filled = self.buffer.len();
            // The length is somebody's word: memory is taken as bytes come.
            self.buffer.resize(filled + READ_AT_ONCE, 0);
            let read = self.from.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The place in the buffer of the next `length` bytes, which are taken.
    fn take(&mut self, length: u64) -> Result<std::ops::Range<usize>, DumpError> {
        self.ensure(length)?;
        let from = self.at;
        self.at += length as usize;
        Ok(from..self.at)
    }

    fn number(&mut self, max: u64) -> Result<u64, DumpError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            if self.at == self.buffer.len() {
                self.ensure(1)?;
            }
            let byte = self.buffer[self.at];
            self.at += 1;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return if number <= max { Ok(number) } else { Err(DumpError::Malformed("a length is too large")) };
            }
        }
        Err(DumpError::Malformed("a number is too large"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::dump::frame::{Frame, put_number};

    /// Two tables, keys shortened: what format 2 wrote.
    const WRITTEN: &[u8] = b"\0\x01t\x01\0\x02\x01k1\x07\x01\x01\x01\x012\x08\0\x01u\x02\0\0\x01\x09\0\0\x03";

    #[test]
    fn items_become_frames() {
        let mut items = ItemFrames::new(WRITTEN, Keys::Shortened);
        let frame = Frame::parse(items.next().unwrap().unwrap()).unwrap();
        assert!(items.next().unwrap().is_none());
        let mut found = Vec::new();
        for part in frame.parts() {
            part.each::<DumpError>(|key, value| {
                found.push((part.table.to_owned(), key.to_vec(), value.to_vec()));
                Ok(())
            })
            .unwrap();
        }
        let record = |table: &str, key: &[u8], value| (table.to_owned(), key.to_vec(), vec![value]);
        assert_eq!(found, [record("t", b"k1", 7), record("t", b"k2", 8), record("u", b"", 9)]);
        for end in 0..WRITTEN.len() {
            let mut items = ItemFrames::new(&WRITTEN[..end], Keys::Shortened);
            assert!(items.next().is_err(), "cut at {end}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300)) {
            let mut items = ItemFrames::new(bytes.as_slice(), Keys::Shortened);
            while let Ok(Some(frame)) = items.next() {
                prop_assert!(Frame::parse(frame).is_ok());
            }
        }

        #[test]
        fn numbers_come_back(number: u64) {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            prop_assert_eq!(Items::new(bytes.as_slice(), Keys::Whole).number(u64::MAX).unwrap(), number);
            prop_assert_eq!(frame::number(&mut bytes.as_slice()).unwrap(), number);
        }
    }
}
