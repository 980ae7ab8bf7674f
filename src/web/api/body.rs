//! Bodies: from bytes to types that cannot hold anything else, with every member at fault named at once.
//!
//! A request's shape is declared once by [`members!`]; reading and the document's schema both come from it. Text is parsed
//! by the same types as the pages'. Members that are not known are refused: a misspelt one would be lost in silence.

use std::{collections::HashSet, str::FromStr};

use poem::{Request, RequestBody, Result, error::ReadBodyError};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use serde_json::{Map, Value};

use super::{
    problem::{Fault, Problem},
    strict,
};
use crate::{
    ids::UserId,
    limits,
    text::{CivilDate, Comment, Explain, FieldKey, Message, Name, TextValue, Title},
};

/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Items of a list at most; each kind of thing has its own lower limit besides.
const ITEMS_MAX: usize = 1_000;

/// A value that a request can give.
pub trait Given: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = true;
    /// Whether a text of nothing but white space stands for none.
    const BLANK_IS_NONE: bool = false;

    /// What it is when it is not given; `None` if it must be.
    fn absent() -> Option<Self> {
        None
    }

    /// How the document describes it.
    fn schema() -> MetaSchema;

    /// Reads it. `None` if it breaks a rule, which is then among the faults under `place`.
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self>;
}

/// The schema of an id.
#[must_use]
pub fn id_schema() -> MetaSchemaRef {
    let pattern = Some("^[0-9a-hjkmnp-tv-z]{26}$".to_owned());
    MetaSchemaRef::Inline(Box::new(MetaSchema { pattern, ..MetaSchema::new("string") }))
}

fn text_schema(max_length: usize) -> MetaSchema {
    MetaSchema { max_length: Some(max_length), ..MetaSchema::new("string") }
}

/// A text, or the fault that it is none.
fn text(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<String> {
    if let Value::String(text) = value {
        return Some(text);
    }
    faults.push(Fault::new(place, "type", Message::plain("api-rule-text")));
    None
}

fn parse<T: FromStr<Err: Explain>>(
    value: Value,
    code: &'static str,
    place: &str,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let text = text(value, place, faults)?;
    text.parse().map_err(|error: T::Err| faults.push(Fault::new(place, code, error.message()))).ok()
}

macro_rules! given_texts {
    ($($name:ident, $code:literal, $blank_is_none:literal, $schema:expr;)*) => {$(
        impl Given for $name {
            const BLANK_IS_NONE: bool = $blank_is_none;
            fn schema() -> MetaSchema {
                $schema
            }
            fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
                parse(value, $code, place, faults)
            }
        }
    )*};
}

given_texts! {
    Title, "text", false, text_schema(limits::TITLE_CHARS_MAX);
    Name, "text", false, text_schema(limits::NAME_CHARS_MAX);
    FieldKey, "text", false, MetaSchema { pattern: Some("^[a-z0-9_]{1,40}$".to_owned()), ..MetaSchema::new("string") };
    TextValue, "text", true, text_schema(limits::TEXT_FIELD_CHARS_MAX);
    Comment, "text", true, text_schema(limits::COMMENT_BYTES_MAX);
    CivilDate, "date", true, MetaSchema::new_with_format("string", "date");
}

/// Any text, to be looked up later.
impl Given for String {
    fn schema() -> MetaSchema {
        MetaSchema::new("string")
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        text(value, place, faults)
    }
}

impl Given for UserId {
    fn schema() -> MetaSchema {
        id_schema().unwrap_inline().clone()
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = text(value, place, faults)?;
        text.parse().map_err(|_| faults.push(Fault::unknown(place, &text))).ok()
    }
}

/// Any JSON, to be read by another room.
impl Given for Value {
    fn schema() -> MetaSchema {
        MetaSchema::new("object")
    }
    fn read(value: Value, _: &str, _: &mut Vec<Fault>) -> Option<Self> {
        Some(value)
    }
}

/// May be missing or `null`, which is the same.
impl<T: Given> Given for Option<T> {
    const REQUIRED: bool = false;
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn schema() -> MetaSchema {
        MetaSchema { nullable: true, ..T::schema() }
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::String(text) if T::BLANK_IS_NONE && text.trim().is_empty() => Some(None),
            value => T::read(value, place, faults).map(Some),
        }
    }
}

/// A member of a change: what is not given stays as it is. `Patch<Option<T>>` can be emptied with `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch<T> {
    Keep,
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, if there is one.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: Given> Given for Patch<T> {
    const REQUIRED: bool = false;
    fn absent() -> Option<Self> {
        Some(Self::Keep)
    }
    fn schema() -> MetaSchema {
        T::schema()
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        T::read(value, place, faults).map(Self::Set)
    }
}

impl<T: Given> Given for Vec<T> {
    fn schema() -> MetaSchema {
        let items = Some(Box::new(MetaSchemaRef::Inline(Box::new(T::schema()))));
        MetaSchema { items, ..MetaSchema::new("array") }
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let Value::Array(items) = value else {
            faults.push(Fault::new(place, "type", Message::plain("api-rule-list")));
            return None;
        };
        if items.len() > ITEMS_MAX {
            faults.push(Fault::new(place, "limit", Message::plain("refusal-limit").with("max", &ITEMS_MAX)));
            return None;
        }
        let read = items.into_iter().enumerate().map(|(at, item)| T::read(item, &format!("{place}[{at}]"), faults));
        // Every item is read, so that every fault is named.
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Values by field key, as given; an empty one is `None`.
#[derive(Clone, Debug, Default)]
pub struct FieldValues(pub Vec<(String, Option<TextValue>)>);

impl Given for FieldValues {
    const REQUIRED: bool = false;
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
    fn schema() -> MetaSchema {
        let value = MetaSchemaRef::Inline(Box::new(<Option<TextValue>>::schema()));
        MetaSchema { additional_properties: Some(Box::new(value)), ..MetaSchema::new("object") }
    }
    fn read(value: Value, place: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let members = Members::of(value, place, faults)?.object;
        if members.len() > limits::FIELDS_MAX {
            faults.push(Fault::new(place, "limit", Message::plain("refusal-limit").with("max", &limits::FIELDS_MAX)));
            return None;
        }
        let read = members.into_iter().map(|(key, value)| {
            Given::read(value, &format!("{place}.{key}"), faults).map(|value: Option<TextValue>| (key, value))
        });
        read.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self)
    }
}

/// An object whose members are taken out one by one.
pub struct Members<'p> {
    object: Map<String, Value>,
    place: &'p str,
}

impl<'p> Members<'p> {
    /// An object, or the fault that it is none. The body itself has no place.
    pub fn of(value: Value, place: &'p str, faults: &mut Vec<Fault>) -> Option<Self> {
        if let Value::Object(object) = value {
            return Some(Self { object, place });
        }
        let place = if place.is_empty() { "body" } else { place };
        faults.push(Fault::new(place, "type", Message::plain("api-rule-object")));
        None
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A member.
    pub fn take<T: Given>(&mut self, name: &str, faults: &mut Vec<Fault>) -> Option<T> {
        let place = self.place_of(name);
        match self.object.shift_remove(name) {
            Some(Value::Null) if T::REQUIRED => None,
            Some(value) => return T::read(value, &place, faults),
            None => T::absent(),
        }
        .or_else(|| {
            faults.push(Fault::new(&place, "required", Message::plain("api-rule-required")));
            None
        })
    }

    /// Whatever is left is not known.
    pub fn end(self, faults: &mut Vec<Fault>) {
        for name in self.object.keys() {
            faults.push(Fault::new(&self.place_of(name), "unknown-member", Message::plain("api-rule-unknown-member")));
        }
    }
}

/// Declares an object that requests send: its type, its reading and its schema.
macro_rules! members {
    ($(#[doc = $about:literal])* $vis:vis struct $name:ident { $($(#[doc = $doc:literal])* $member:ident: $type:ty,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        $vis struct $name { $($(#[doc = $doc])* $member: $type,)* }

        impl $crate::web::api::body::Given for $name {
            fn schema() -> poem_openapi::registry::MetaSchema {
                use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
                let mut schema = MetaSchema::new("object");
                $({
                    let name = stringify!($member).trim_start_matches("r#");
                    let member = <$type as $crate::web::api::body::Given>::schema();
                    let description = concat!($($doc),*).trim_start();
                    let member = MetaSchema { description: (!description.is_empty()).then_some(description), ..member };
                    schema.properties.push((name, MetaSchemaRef::Inline(Box::new(member))));
                    if <$type as $crate::web::api::body::Given>::REQUIRED {
                        schema.required.push(name);
                    }
                })*
                schema
            }

            fn read(
                value: serde_json::Value,
                place: &str,
                faults: &mut Vec<$crate::web::api::problem::Fault>,
            ) -> Option<Self> {
                let mut members = $crate::web::api::body::Members::of(value, place, faults)?;
                $(let $member = members.take(stringify!($member).trim_start_matches("r#"), faults);)*
                members.end(faults);
                Some(Self { $($member: $member?,)* })
            }
        }
    };
}
pub(super) use members;

/// Names the values that stand more than once in a list, at their places.
pub fn doubled<'v>(list: &str, member: &str, values: impl Iterator<Item = &'v str>) -> Vec<Fault> {
    let mut seen = HashSet::new();
    let again = values.enumerate().filter(|(_, value)| !seen.insert(*value));
    let fault =
        |(at, _)| Fault::new(&format!("{list}[{at}]{member}"), "duplicate", Message::plain("api-rule-duplicate"));
    again.map(fault).collect()
}

/// A request's body, read.
pub struct Body<T> {
    pub given: T,
    /// BLAKE3 of the bytes.
    pub digest: [u8; 32],
    /// How many bytes there were.
    pub bytes: usize,
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

impl<'a, T: Given + Send + Sync> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Inline(Box::new(T::schema()));
        let content = vec![MetaMediaType { content_type: "application/json", schema }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(req: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        if !req.content_type().is_some_and(is_json) {
            return Err(Problem::content_type().into());
        }
        let bytes = body.take()?.into_bytes_limit(BODY_BYTES_MAX).await.map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => Problem::too_large(BODY_BYTES_MAX),
            _ => Problem::broken_off(),
        })?;
        let (value, mut faults) = strict::read(&bytes)?;
        let given = T::read(value, "", &mut faults);
        match given {
            Some(given) if faults.is_empty() => {
                Ok(Self { given, digest: *blake3::hash(&bytes).as_bytes(), bytes: bytes.len() })
            }
            _ => Err(Problem::faults(faults).into()),
        }
    }
}
