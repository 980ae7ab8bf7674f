//! Cursors: where a list goes on. Opaque to clients, so that what stands in them may change; each belongs to one kind of
//! list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::problem::{Fault, Problem};
use crate::{store::Key, text::Message};

/// Items on a page unless asked otherwise.
const LIMIT_DEFAULT: u64 = 50;
/// Items on a page at most.
pub const LIMIT_MAX: u64 = 200;

/// Which list a cursor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Boards = 1,
    Cards = 2,
    Timeline = 3,
    Deliveries = 4,
    Members = 5,
    Audit = 6,
}

impl List {
    /// The cursor that goes on after `key`.
    #[must_use]
    pub fn cursor(self, key: &impl Key) -> String {
        let mut bytes = vec![self as u8];
        key.write(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn key<K: Key>(self, cursor: &str) -> Option<K> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (list, mut key) = bytes.split_first()?;
        let read = K::read(&mut key)?;
        (*list == self as u8 && key.is_empty()).then_some(read)
    }

    /// What a client asked for: after which key to go on, and how many items.
    ///
    /// # Errors
    /// 422, naming `limit` or `cursor`.
    pub fn asked<K: Key>(self, limit: Option<u64>, cursor: Option<&str>) -> Result<(Option<K>, usize), Problem> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        let mut faults = Vec::new();
        if !(1..=LIMIT_MAX).contains(&limit) {
            faults.push(Fault::new("limit", "limit", Message::plain("api-rule-limit").with("max", &LIMIT_MAX)));
        }
        let after = cursor.map(|cursor| self.key(cursor));
        if after.as_ref().is_some_and(Option::is_none) {
            faults.push(Fault::new("cursor", "cursor", Message::plain("api-rule-cursor")));
        }
        if faults.is_empty() {
            return Ok((after.flatten(), usize::try_from(limit).unwrap_or(usize::MAX)));
        }
        Err(Problem::faults(faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let cursor = List::Cards.cursor(&7_u64);
        assert_eq!(List::Cards.asked::<u64>(Some(200), Some(&cursor)).map_err(|p| p.code()), Ok((Some(7), 200)));
        assert_eq!(List::Cards.asked::<u64>(None, None).map_err(|p| p.code()), Ok((None, 50)));
        for (list, limit, cursor, code) in [
            (List::Audit, None, cursor.as_str(), "cursor"),
            (List::Cards, None, "", "cursor"),
            (List::Cards, None, "日本", "cursor"),
            (List::Cards, None, "AgAAAAAAAAAHAA", "cursor"),
            (List::Cards, Some(0), cursor.as_str(), "limit"),
            (List::Cards, Some(201), cursor.as_str(), "limit"),
        ] {
            assert_eq!(list.asked::<u64>(limit, Some(cursor)).map_err(|p| p.code()), Err(code), "{cursor} {limit:?}");
        }
    }
}
