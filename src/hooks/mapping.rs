//! What a card is made of: title, status, fields and key, picked from a payload.
//!
//! [`plain`] is the rule for endpoints without a mapping; a [`Mapping`] says it by pointer and template, and leaves to the
//! rule what it does not say. Neither can fail: a payload without a title gives none, and the caller names the card after
//! endpoint and time. Everything that comes out is cleaned and fits the card, so a sender cannot hide or reorder text.

mod rows;
mod template;
mod title;

use std::collections::HashMap;

use serde_json::{Map, Value};

pub use rows::{Row, Rows, rows};
pub use template::{Template, TemplateError};
use title::places;

use crate::{
    limits,
    text::{Explain, FieldKey, Message, Name, TextError, TextValue, Title, clean_line, clean_lines, cut, fold},
};

/// A text field of the board, as payloads may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// Its key, such as `tel`.
    pub key: &'b str,
    /// Its label, such as 電話.
    pub label: &'b str,
}

/// The text fields of a board, found by the words that payloads may use for them. Folding those words is the dear part, so
/// this is made once for many payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    keys: Vec<String>,
    /// Places in `keys` by folded word.
    by_name: HashMap<String, usize>,
}

impl Fields {
    /// The fields of a board, in its order.
    #[must_use]
    pub fn of(fields: &[Field<'_>]) -> Self {
        let mut by_name = HashMap::with_capacity(fields.len() * 2);
        let keys = fields.iter().map(|field| field.key).enumerate();
        let labels = fields.iter().map(|field| field.label).enumerate();
        // Keys first: of two fields that share a word, the one whose key it is gets the value.
        for (place, name) in keys.chain(labels) {
            by_name.entry(fold(name)).or_insert(place);
        }
        Self { keys: fields.iter().map(|field| field.key.to_owned()).collect(), by_name }
    }

    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }
}

/// What was picked from a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The card's title, if the payload has anything fit to be one.
    pub title: Option<Title>,
    /// The name of the status that the card goes to; the board may have none of that name.
    pub status: Option<Name>,
    /// Values by field key, each field at most once, in the order of the mapping or the payload.
    pub fields: Vec<(String, TextValue)>,
    /// Fields left empty because their value does not fit, by field key.
    pub misfits: Vec<(String, TextError)>,
    /// Deliveries with the same key are about the same card.
    pub key: Option<String>,
}

/// Picks title and fields by the rule for endpoints without a mapping.
///
/// The title is the first text under `title`, `subject`, `name`, `summary` or `text` (its first line) at the top level,
/// then in `data`, `payload`, `object`, `event`, `record`; else the first string of at most 200 characters that is not a
/// type, id, URL or date. It is cut to [`limits::TITLE_CHARS_MAX`] characters. A key in one of those places that equals a
/// field's key or label, with case, width and kana folded, fills the field.
#[must_use]
pub fn plain(payload: &Value, fields: &Fields) -> Mapped {
    let mut mapped = Mapped { title: title::find(payload), ..Mapped::default() };
    fill_by_name(payload, fields, &mut mapped);
    mapped
}

fn fill_by_name(payload: &Value, fields: &Fields, mapped: &mut Mapped) {
    let mut done = vec![false; fields.keys.len()];
    for (name, value) in places(payload).flatten() {
        if done.iter().all(|done| *done) {
            return;
        }
        let Some(&place) = fields.by_name.get(&fold(name)) else { continue };
        if !done[place]
            && let Some(text) = scalar_text(value)
        {
            done[place] = fill(mapped, &fields.keys[place], &text);
        }
    }
}

/// Puts a value into a field, or notes why it does not fit; an empty value is no value. Whether the field is settled.
fn fill(mapped: &mut Mapped, key: &str, text: &str) -> bool {
    match TextValue::parse(&clean_lines(text)) {
        Ok(value) => mapped.fields.push((key.to_owned(), value)),
        Err(TextError::Empty) => return false,
        Err(misfit) => mapped.misfits.push((key.to_owned(), misfit)),
    }
    true
}

/// A value as text: strings, numbers, truth values, and lists of them separated by ", ". Null, objects and lists of
/// objects have none.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(items) if items.iter().all(|item| !item.is_array()) => {
            items.iter().map(scalar_text).collect::<Option<Vec<_>>>().map(|texts| texts.join(", "))
        }
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}

/// How an administrator wants cards made from an endpoint's payloads.
///
/// In the API: `{"title": T, "status"?: T, "fields"?: {KEY: T}, "key"?: "/pointer"}`, where `T` is a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    title: Template,
    status: Option<Template>,
    fields: Option<Vec<(FieldKey, Template)>>,
    key: Option<Template>,
}

/// What is wrong with a mapping: every member at fault with the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mapping cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct MappingError(pub Vec<Fault>);

/// One member of a mapping that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {rule}")]
pub struct Fault {
    /// The member, such as `title` or `fields.tel`; `mapping` for the whole.
    pub field: String,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// A rule for mappings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// The mapping and its `fields` are JSON objects.
    #[error("must be an object")]
    NotObject,
    /// `title` must be given.
    #[error("is required")]
    Missing,
    /// Templates and pointers are strings.
    #[error("must be a text")]
    NotText,
    /// There is no such member.
    #[error("is not known; use title, status, fields and key")]
    Unknown,
    /// At most [`limits::FIELDS_MAX`] fields.
    #[error("has more than {max} fields")]
    TooManyFields {
        /// How many are allowed.
        max: usize,
    },
    /// The board has no text field of this key.
    #[error("is no text field of this board")]
    NoSuchField,
    /// The key of a card is one pointer.
    #[error("must be one pointer, beginning with `/`")]
    NotPointer,
    /// The text is not a template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The key of a field breaks the rule for keys.
    #[error(transparent)]
    Key(#[from] TextError),
}

impl Explain for Rule {
    fn message(&self) -> Message {
        match self {
            Self::NotObject => Message::plain("mapping-rule-not-object"),
            Self::Missing => Message::plain("mapping-rule-missing"),
            Self::NotText => Message::plain("mapping-rule-not-text"),
            Self::Unknown => Message::plain("mapping-rule-unknown"),
            Self::TooManyFields { max } => Message::plain("mapping-rule-too-many-fields").with("max", max),
            Self::NoSuchField => Message::plain("mapping-rule-no-such-field"),
            Self::NotPointer => Message::plain("mapping-rule-not-pointer"),
            Self::Template(error) => error.message(),
            Self::Key(error) => error.message(),
        }
    }
}

impl Mapping {
    /// Reads a mapping as the API has it.
    ///
    /// # Errors
    /// [`MappingError`] with all faults, so that a form can show each at its place.
    pub fn parse(document: &Value) -> Result<Self, MappingError> {
        let mut faults = Faults(Vec::new());
        let Value::Object(members) = document else {
            faults.add("mapping", Rule::NotObject);
            return Err(MappingError(faults.0));
        };
        for name in members.keys().filter(|name| !["title", "status", "fields", "key"].contains(&name.as_str())) {
            faults.add(&cut(&clean_line(name), limits::NAME_CHARS_MAX), Rule::Unknown);
        }
        if given(members, "title").is_none() {
            faults.add("title", Rule::Missing);
        }
        let title = given(members, "title").and_then(|value| faults.template("title", value));
        let status = given(members, "status").and_then(|value| faults.template("status", value));
        let key = given(members, "key").and_then(|value| faults.template("key", value));
        if key.as_ref().is_some_and(|key| !key.is_pointer()) {
            faults.add("key", Rule::NotPointer);
        }
        let fields = given(members, "fields").and_then(|value| faults.fields(value));
        match title {
            Some(title) if faults.0.is_empty() => Ok(Self { title, status, fields, key }),
            _ => Err(MappingError(faults.0)),
        }
    }

    /// The mapping as the API has it; [`Mapping::parse`] reads it back.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let text = |template: &Template| Value::String(template.source().to_owned());
        let mut members = Map::new();
        members.insert("title".to_owned(), text(&self.title));
        if let Some(status) = &self.status {
            members.insert("status".to_owned(), text(status));
        }
        if let Some(fields) = &self.fields {
            let fields = fields.iter().map(|(key, template)| (key.to_string(), text(template))).collect();
            members.insert("fields".to_owned(), Value::Object(fields));
        }
        if let Some(key) = &self.key {
            members.insert("key".to_owned(), text(key));
        }
        Value::Object(members)
    }

    /// Whether every field named is among the board's.
    ///
    /// # Errors
    /// [`MappingError`] with the fields that are not.
    pub fn check_fields(&self, board: &[Field<'_>]) -> Result<(), MappingError> {
        let mut faults = Faults(Vec::new());
        for (key, _) in self.fields.iter().flatten() {
            if !board.iter().any(|field| field.key == key.as_str()) {
                faults.add(&format!("fields.{key}"), Rule::NoSuchField);
            }
        }
        if faults.0.is_empty() { Ok(()) } else { Err(MappingError(faults.0)) }
    }

    /// Picks from a payload what the mapping says; by the rule of [`plain`], a title if the mapping finds none, and the
    /// fields if the mapping does not speak of fields. A field that the board no longer has is passed over.
    #[must_use]
    pub fn apply(&self, payload: &Value, board: &Fields) -> Mapped {
        let line = |template: &Template| template.fill(payload).map(|text| clean_line(&text));
        let mut mapped = Mapped {
            title: line(&self.title)
                .and_then(|text| Title::parse(&cut(&text, limits::TITLE_CHARS_MAX)).ok())
                .or_else(|| title::find(payload)),
            status: self.status.as_ref().and_then(line).and_then(|text| Name::parse(&text).ok()),
            key: self.key.as_ref().and_then(|key| key.fill(payload)).and_then(card_key),
            ..Mapped::default()
        };
        match &self.fields {
            None => fill_by_name(payload, board, &mut mapped),
            Some(fields) => {
                for (key, template) in fields {
                    if board.has(key.as_str())
                        && let Some(text) = template.fill(payload)
                    {
                        fill(&mut mapped, key.as_str(), &text);
                    }
                }
            }
        }
        mapped
    }
}

/// A card's key as the sender has it. One that is too long to be kept, or not printable, is replaced by its hash: it
/// still tells cards apart.
fn card_key(text: String) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let kept = text.len() <= limits::DELIVERY_ID_CHARS_MAX && clean_line(&text) == text;
    Some(if kept { text } else { format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()) })
}

fn given<'d>(members: &'d Map<String, Value>, name: &str) -> Option<&'d Value> {
    members.get(name).filter(|value| !value.is_null())
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &str, rule: Rule) {
        self.0.push(Fault { field: field.to_owned(), rule });
    }

    fn template(&mut self, field: &str, value: &Value) -> Option<Template> {
        let Value::String(text) = value else {
            self.add(field, Rule::NotText);
            return None;
        };
        Template::parse(text).map_err(|error| self.add(field, error.into())).ok()
    }

    fn fields(&mut self, value: &Value) -> Option<Vec<(FieldKey, Template)>> {
        let Value::Object(entries) = value else {
            self.add("fields", Rule::NotObject);
            return None;
        };
        if entries.len() > limits::FIELDS_MAX {
            self.add("fields", Rule::TooManyFields { max: limits::FIELDS_MAX });
            return None;
        }
        let mut fields = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let place = format!("fields.{}", cut(&clean_line(key), limits::NAME_CHARS_MAX));
            let key = FieldKey::parse(key).map_err(|error| self.add(&place, error.into())).ok();
            let template = self.template(&place, value);
            fields.extend(key.zip(template));
        }
        Some(fields)
    }
}

#[cfg(test)]
#[path = "mapping/tests.rs"]
mod tests;
