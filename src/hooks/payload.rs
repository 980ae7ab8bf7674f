//! A delivery's body as one value, whatever the sender wrote it in.
//!
//! [`read`] takes JSON, forms and plain text in any charset of the web. Keys keep their order, because people read a
//! payload as it was sent. Its limits bound memory, not only bytes: see [`limits::PAYLOAD_VALUES_MAX`]. A body that
//! cannot be read is held with one of the reasons of [`Unreadable`]; the raw bytes are kept either way.

use std::fmt;

use encoding_rs::Encoding;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::form;
use crate::{
    limits,
    text::{Explain, Message, clean_line, cut},
};

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// What it says. Nested at most [`limits::PAYLOAD_NESTING_MAX`] deep, which is one more than `serde_json` reads by
    /// itself: read it again from the raw body, with [`read`].
    pub value: Value,
    /// What it was written in.
    pub format: Format,
    /// Object keys that JSON text gave twice in one object, of which the last value was taken; at most 20, each once.
    pub repeated_keys: Vec<String>,
}

/// What a body was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON (RFC 8259), perhaps as the only field `payload` of a form.
    Json,
    /// A form; a name given several times, or ending in `[]`, holds a list.
    Form,
    /// Anything else that is text: an object with the one key `text`.
    Text,
}

/// Why a body cannot be read. Its delivery is held: the raw body is kept and can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No bytes, or white space only.
    #[error("the body is empty")]
    Empty,
    /// The content type is not one that is read here, such as `multipart/form-data`.
    #[error("bodies of type `{content_type}` are not read; have the sender post JSON")]
    UnknownType {
        /// As the sender gave it, shortened.
        content_type: String,
    },
    /// The content type names a charset that nobody knows.
    #[error("the charset `{charset}` is unknown; have the sender post UTF-8")]
    UnknownCharset {
        /// As the sender gave it, shortened.
        charset: String,
    },
    /// The bytes are not text of the charset named, or of UTF-8 if none is.
    #[error("the body is not {charset}; have the sender name the charset that it uses")]
    NotInCharset {
        /// The charset's name by the WHATWG Encoding standard.
        charset: &'static str,
    },
    /// Not JSON (RFC 8259).
    #[error("the body is not JSON: line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted in bytes from 1.
        column: usize,
    },
    /// A `\u` escape that names half a character.
    #[error("the body has half a character: a \\u escape of a surrogate without its partner")]
    LoneSurrogate,
    /// More than [`limits::PAYLOAD_NESTING_MAX`] arrays and objects inside each other.
    #[error("the body is nested more than {max} deep")]
    TooDeep {
        /// How deep is allowed.
        max: usize,
    },
    /// More than [`limits::PAYLOAD_VALUES_MAX`] values.
    #[error("the body has more than {max} values")]
    TooManyValues {
        /// How many are allowed.
        max: usize,
    },
}

impl Unreadable {
    /// The reason's stable name, in the API and the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownType { .. } => "unknown-type",
            Self::UnknownCharset { .. } => "unknown-charset",
            Self::NotInCharset { .. } => "not-in-charset",
            Self::Malformed { .. } => "malformed-json",
            Self::LoneSurrogate => "lone-surrogate",
            Self::TooDeep { .. } => "too-deep",
            Self::TooManyValues { .. } => "too-many-values",
        }
    }
}

impl Explain for Unreadable {
    fn message(&self) -> Message {
        match self {
            Self::Empty => Message::plain("delivery-held-empty"),
            Self::UnknownType { content_type } => {
                Message::plain("delivery-held-unknown-type").with("type", content_type)
            }
            Self::UnknownCharset { charset } => {
                Message::plain("delivery-held-unknown-charset").with("charset", charset)
            }
            Self::NotInCharset { charset } => Message::plain("delivery-held-not-in-charset").with("charset", charset),
            Self::Malformed { line, column } => {
                Message::plain("delivery-held-malformed-json").with("line", line).with("column", column)
            }
            Self::LoneSurrogate => Message::plain("delivery-held-lone-surrogate"),
            Self::TooDeep { max } => Message::plain("delivery-held-too-deep").with("max", max),
            Self::TooManyValues { max } => Message::plain("delivery-held-too-many-values").with("max", max),
        }
    }
}

/// Reads a body by its content type. Without one that says enough, the body itself tells: what begins like JSON is JSON.
///
/// # Errors
/// [`Unreadable`] says why the delivery has to be held.
pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Payload, Unreadable> {
    let content_type = ContentType::parse(content_type.unwrap_or_default());
    let (encoding, body) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (encoding, &body[length..]),
        None => (content_type.encoding()?, body),
    };
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    match content_type.media {
        Media::Json => from_json(&decode(encoding, body)?),
        Media::Form => from_form(encoding, body),
        Media::Text => {
            let text = decode(encoding, body)?;
            // `curl` and simple devices send JSON without saying so.
            if looks_like_json(text.as_bytes()) { from_json(&text) } else { Ok(from_text(&text)) }
        }
        Media::Other => Err(Unreadable::UnknownType { content_type: shown(&content_type.essence) }),
    }
}

enum Media {
    Json,
    Form,
    Text,
    Other,
}

struct ContentType {
    media: Media,
    essence: String,
    charset: Option<String>,
}

impl ContentType {
    fn parse(header: &str) -> Self {
        let mut parts = header.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        let media = match essence.as_str() {
            "application/json" | "text/json" => Media::Json,
            json if json.ends_with("+json") => Media::Json,
            "application/x-www-form-urlencoded" => Media::Form,
            "" | "application/octet-stream" => Media::Text,
            text if text.starts_with("text/") => Media::Text,
            _ => Media::Other,
        };
        Self { media, essence, charset }
    }

    /// The charset to read by; UTF-8 if none is named.
    fn encoding(&self) -> Result<&'static Encoding, Unreadable> {
        match &self.charset {
            None => Ok(encoding_rs::UTF_8),
            Some(label) => Encoding::for_label_no_replacement(label.as_bytes())
                .ok_or_else(|| Unreadable::UnknownCharset { charset: shown(label) }),
        }
    }
}

fn shown(given: &str) -> String {
    cut(&clean_line(given), 60)
}

fn decode<'b>(encoding: &'static Encoding, bytes: &'b [u8]) -> Result<std::borrow::Cow<'b, str>, Unreadable> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or(Unreadable::NotInCharset { charset: encoding.name() })
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn from_text(text: &str) -> Payload {
    let value = Value::Object(Map::from_iter([("text".to_owned(), Value::String(text.to_owned()))]));
    Payload { value, format: Format::Text, repeated_keys: Vec::new() }
}

fn from_form(encoding: &'static Encoding, body: &[u8]) -> Result<Payload, Unreadable> {
    // `curl -d` calls everything a form.
    if looks_like_json(body)
        && let Ok(payload) = decode(encoding, body).and_then(|text| from_json(&text))
    {
        return Ok(payload);
    }
    let mut fields = Map::new();
    for (count, (name, value)) in form::pairs(body).enumerate() {
        if count >= limits::PAYLOAD_VALUES_MAX {
            return Err(Unreadable::TooManyValues { max: limits::PAYLOAD_VALUES_MAX });
        }
        let name = decode(encoding, &name)?;
        let value = Value::String(decode(encoding, &value)?.into_owned());
        let (name, listed) = name.strip_suffix("[]").map_or((&*name, false), |name| (name, true));
        match fields.get_mut(name) {
            None if listed => drop(fields.insert(name.to_owned(), Value::Array(vec![value]))),
            None => drop(fields.insert(name.to_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(single) => *single = Value::Array(vec![single.take(), value]),
        }
    }
    if fields.len() == 1
        && let Some(Value::String(json)) = fields.get("payload")
        && looks_like_json(json.as_bytes())
    {
        return from_json(json);
    }
    Ok(Payload { value: Value::Object(fields), format: Format::Form, repeated_keys: Vec::new() })
}

fn from_json(text: &str) -> Result<Payload, Unreadable> {
    let mut notes = Notes::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The reader below counts for itself, to the limit that the guide names.
    deserializer.disable_recursion_limit();
    let read = Reader { notes: &mut notes, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(Payload { value, format: Format::Json, repeated_keys: notes.repeated_keys }),
        Err(refused) => Err(notes.over_limit.unwrap_or_else(|| {
            if has_lone_surrogate(text) {
                Unreadable::LoneSurrogate
            } else {
                Unreadable::Malformed { line: refused.line(), column: refused.column() }
            }
        })),
    }
}

/// Whether a `\u` escape names half a surrogate pair. Asked only about text that is not JSON, to say why.
fn has_lone_surrogate(text: &str) -> bool {
    let unit = |bytes: &[u8]| match bytes {
        [b'\\', b'u', digits @ ..] => {
            let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok())?;
            u16::from_str_radix(digits, 16).ok()
        }
        _ => None,
    };
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| b == b'\\') {
        rest = &rest[at..];
        let skip = match unit(rest) {
            Some(0xd800..=0xdbff) if !matches!(unit(&rest[6..]), Some(0xdc00..=0xdfff)) => return true,
            Some(0xdc00..=0xdfff) => return true,
            Some(0xd800..=0xdbff) => 12,
            _ => 2,
        };
        rest = rest.get(skip..).unwrap_or_default();
    }
    false
}

#[derive(Default)]
struct Notes {
    values: usize,
    repeated_keys: Vec<String>,
    over_limit: Option<Unreadable>,
}

/// Builds a [`Value`], counting what it holds and noting repeated keys.
struct Reader<'n> {
    notes: &'n mut Notes,
    depth: usize,
}

impl Reader<'_> {
    /// A reader for what an array or object holds.
    fn inside(&mut self) -> Reader<'_> {
        Reader { notes: self.notes, depth: self.depth + 1 }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth >= limits::PAYLOAD_NESTING_MAX {
            self.notes.over_limit = Some(Unreadable::TooDeep { max: limits::PAYLOAD_NESTING_MAX });
            return Err(E::custom("nested too deep"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.notes.values += 1;
        if self.notes.values > limits::PAYLOAD_VALUES_MAX {
            self.notes.over_limit = Some(Unreadable::TooManyValues { max: limits::PAYLOAD_VALUES_MAX });
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.inside())? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.inside())?;
            if values.contains_key(&key) {
                let noted = &mut self.notes.repeated_keys;
                if noted.len() < 20 && !noted.contains(&key) {
                    noted.push(key.clone());
                }
            }
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
pub(crate) mod tests;
