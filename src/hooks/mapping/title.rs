//! The title of a payload that no mapping explains.

use serde_json::{Map, Value};

use crate::{
    limits,
    text::{Title, clean_line, cut},
};

/// Keys that hold a title, the best first; of `text` the first line counts.
const KEYS: [&str; 5] = ["title", "subject", "name", "summary", "text"];
/// Keys whose object is looked into, after the top level.
const CONTAINERS: [&str; 5] = ["data", "payload", "object", "event", "record"];
/// Characters beyond which a string is a text, not something to call a card by.
const FIRST_STRING_CHARS_MAX: usize = 200;

/// The objects in which senders put what they have to say: the top level, then the containers in their order.
pub(super) fn places(payload: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let inner = CONTAINERS.iter().filter_map(move |name| payload.get(name).and_then(Value::as_object));
    payload.as_object().into_iter().chain(inner)
}

/// The payload's title, if it has anything fit to be one.
pub(super) fn find(payload: &Value) -> Option<Title> {
    let in_place = |place: &Map<String, Value>| KEYS.iter().find_map(|key| named(place, key));
    places(payload).find_map(in_place).or_else(|| {
        let mut found = None;
        first_string(payload, "", &mut found);
        found
    })
}

/// The title under a key, if it holds a text that can be one.
fn named(place: &Map<String, Value>, key: &str) -> Option<Title> {
    let text = place.get(key)?.as_str()?;
    title(if key == "text" { first_line(text) } else { text })
}

fn title(text: &str) -> Option<Title> {
    Title::parse(&cut(&clean_line(text), limits::TITLE_CHARS_MAX)).ok()
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
}

/// Looks for the first fitting string in the payload's own order, going into each array and object where it stands.
fn first_string(value: &Value, key: &str, found: &mut Option<Title>) {
    if found.is_some() {
        return;
    }
    match value {
        Value::String(text) if names_type(key) || names_id(key) || text.chars().count() > FIRST_STRING_CHARS_MAX => {}
        Value::String(text) => {
            let word = text.trim();
            if !(is_type(word) || is_id(word) || is_url(word) || is_date(word)) {
                *found = title(word);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| first_string(item, key, found)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| first_string(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `type`, `action` and their like, alone or as the last word of a key such as `event_type`, `eventType`.
fn names_type(key: &str) -> bool {
    ["type", "kind", "action", "event", "topic", "object"].contains(&last_word(key).as_str())
}

/// `id`, `uuid` and their like, alone or as the last word of a key such as `node_id`, `nodeId`.
fn names_id(key: &str) -> bool {
    ["id", "uuid", "guid", "token", "hash", "sha", "signature"].contains(&last_word(key).as_str())
}

/// The last word of an identifier in snake, kebab or camel case, in lower case.
fn last_word(key: &str) -> String {
    let tail = key.rsplit(['_', '-', '.', ' ', ':']).next().unwrap_or_default();
    let hump = tail.char_indices().rev().find_map(|(at, c)| {
        let before = tail[..at].chars().next_back();
        (c.is_uppercase() && before.is_some_and(char::is_lowercase)).then_some(at)
    });
    tail[hump.unwrap_or(0)..].to_lowercase()
}

/// `form.submitted`, `orders/create`, `push_event`: words of a program, in lower case, joined without a space.
fn is_type(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.contains(['.', '_', ':', '/'])
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:/-".contains(&b))
}

/// Numbers, UUIDs, hashes, and words such as `evt_1MqqbKLt7` that no person would write.
fn is_id(word: &str) -> bool {
    let has_digit = word.bytes().any(|b| b.is_ascii_digit());
    let is_word = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+/=.:".contains(&b));
    let has_letter = word.bytes().any(|b| b.is_ascii_alphabetic());
    has_digit && is_word && (!has_letter || word.len() >= 16 || word.contains('_'))
}

fn is_url(word: &str) -> bool {
    if word.contains(char::is_whitespace) {
        return false;
    }
    let scheme = word.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    word.contains("://")
        || word.starts_with("www.")
        || matches!(scheme.as_deref(), Some("mailto" | "tel" | "data" | "urn"))
}

/// ISO 8601 in all its shapes, RFC 2822, 2026/11/22 14:31, 2026年11月22日.
fn is_date(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 0
        && (word.chars().all(|c| c.is_ascii_digit() || "-/.:, TZ+年月日時分秒".contains(c))
            || word.parse::<jiff::Timestamp>().is_ok()
            || jiff::fmt::rfc2822::parse(word).is_ok())
}
