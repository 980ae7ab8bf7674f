//! JSON as sent, strictly: RFC 8259, and no name twice in one object, which `serde_json` alone would let pass with the last
//! value winning.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::problem::{Fault, Problem};
use crate::text::Message;

/// Doubled names that are gathered; one is enough to refuse.
const DOUBLED_MAX: usize = 20;

/// Reads a body; also says which names stand twice.
///
/// # Errors
/// 400 with the position, for what is not JSON: lone surrogates, text that is not UTF-8 and more than 128 levels included.
pub fn read(bytes: &[u8]) -> Result<(Value, Vec<Fault>), Problem> {
    let malformed = |error: &serde_json::Error| Problem::malformed(error.line(), error.column());
    let mut doubled = Vec::new();
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { path: &mut String::new(), doubled: &mut doubled }.deserialize(&mut text);
    let value = value.map_err(|error| malformed(&error))?;
    text.end().map_err(|error| malformed(&error))?;
    Ok((value, doubled))
}

/// Reads one value that stands at `path`.
struct Seed<'s> {
    path: &'s mut String,
    doubled: &'s mut Vec<Fault>,
}

impl Seed<'_> {
    /// Runs `read` with `step` added to the path.
    fn under<T>(&mut self, step: fmt::Arguments<'_>, read: impl FnOnce(Seed<'_>) -> T) -> T {
        let length = self.path.len();
        // A `String` takes whatever is written to it.
        let _ = fmt::write(self.path, step);
        let value = read(Seed { path: self.path, doubled: self.doubled });
        self.path.truncate(length);
        value
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = self.under(format_args!("[{}]", list.len()), |seed| items.next_element_seed(seed))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let dot = if self.path.is_empty() { "" } else { "." };
            let (value, fault) = self.under(format_args!("{dot}{name}"), |seed| {
                let doubled = object.contains_key(&name);
                let fault = doubled.then(|| Fault::new(seed.path, "duplicate", Message::plain("api-rule-duplicate")));
                members.next_value_seed(seed).map(|value| (value, fault))
            })?;
            self.doubled.extend(fault.filter(|_| self.doubled.len() < DOUBLED_MAX));
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubled_names_are_named_with_their_place() {
        let body = br#"{"title":"a","fields":{"tel":"1","tel":"2"},"list":[{"x":1},{"x":1,"x":2}],"title":"b"}"#;
        let (value, doubled) = read(body).expect("well-formed");
        let fields: Vec<&str> = doubled.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["fields.tel", "list[1].x", "title"]);
        assert_eq!(value["title"], "b");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in [
            "",
            "{",
            "{\"a\":1,}",
            "nul",
            "1 2",
            "{'a':1}",
            "\"\\ud800\"",
            "\"\\udc00\\ud800\"",
            "\"\u{1}\"",
            "NaN",
            "01",
        ] {
            assert_eq!(
                read(body.as_bytes()).map_err(|problem| problem.code()).err(),
                Some("malformed-json"),
                "{body:?}"
            );
        }
        assert!(read(b"\"\xff\"").is_err(), "not UTF-8");
        assert!(read("[".repeat(100_000).as_bytes()).is_err(), "too deep");
    }

    proptest! {
        #[test]
        fn what_both_read_is_the_same(text in r#"[\[\]{}:,"a0-9\\u d\-eE.]{0,40}"#) {
            let plain: Option<Value> = serde_json::from_str(&text).ok();
            prop_assert_eq!(read(text.as_bytes()).ok().map(|(value, _)| value), plain);
        }
    }
}
