//! Text with places for values of a payload.

use serde_json::Value;

use super::scalar_text;
use crate::{
    limits,
    text::{Explain, Message},
};

/// Either one JSON pointer (RFC 6901), `/data/title`, or text with pointers in braces, `{/name} より：{/subject}`. `{{` and
/// `}}` are braces as such. What begins with `/` is a pointer as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Pointer(String),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`limits::TEMPLATE_CHARS_MAX`].
    #[error("has {chars} characters; at most {max} are allowed")]
    TooLong {
        /// Characters given.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A `{` without its `}`.
    #[error("the brace at character {at} is not closed; write {{{{ for a brace as such")]
    Unclosed {
        /// Place of the brace, counted in characters from 1.
        at: usize,
    },
    /// A `}` without its `{`.
    #[error("the brace at character {at} closes nothing; write }}}} for a brace as such")]
    Stray {
        /// Place of the brace, counted in characters from 1.
        at: usize,
    },
    /// What stands in braces is not a pointer.
    #[error("`{text}` is not a pointer; one begins with `/`, like /data/title")]
    NotPointer {
        /// What was found.
        text: String,
    },
    /// A `~` in a pointer that is not `~0` or `~1`.
    #[error("`{text}` has a `~` that is neither ~0 (for ~) nor ~1 (for /)")]
    BadEscape {
        /// The pointer.
        text: String,
    },
}

impl Explain for TemplateError {
    fn message(&self) -> Message {
        match self {
            Self::Empty => Message::plain("template-error-empty"),
            Self::TooLong { chars, max } => {
                Message::plain("template-error-too-long").with("chars", chars).with("max", max)
            }
            Self::Unclosed { at } => Message::plain("template-error-unclosed").with("at", at),
            Self::Stray { at } => Message::plain("template-error-stray").with("at", at),
            Self::NotPointer { text } => Message::plain("template-error-not-pointer").with("text", text),
            Self::BadEscape { text } => Message::plain("template-error-bad-escape").with("text", text),
        }
    }
}

impl Template {
    /// Reads a template; its ends are trimmed.
    ///
    /// # Errors
    /// [`TemplateError`] says what to correct.
    pub fn parse(raw: &str) -> Result<Self, TemplateError> {
        let source = raw.trim();
        let chars = source.chars().count();
        if chars == 0 {
            return Err(TemplateError::Empty);
        }
        if chars > limits::TEMPLATE_CHARS_MAX {
            return Err(TemplateError::TooLong { chars, max: limits::TEMPLATE_CHARS_MAX });
        }
        let parts = if source.starts_with('/') { vec![Part::Pointer(pointer(source)?)] } else { parts(source)? };
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The template as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is one pointer and nothing else.
    #[must_use]
    pub fn is_pointer(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Pointer(_)])
    }

    /// The text with the payload's values in it. A value that is missing, or no text, leaves its place empty; `None` if
    /// all places stay empty.
    #[must_use]
    pub fn fill(&self, payload: &Value) -> Option<String> {
        let mut filled = String::new();
        let (mut places, mut found) = (0, 0);
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Pointer(pointer) => {
                    places += 1;
                    if let Some(text) = payload.pointer(pointer).and_then(scalar_text)
                        && !text.is_empty()
                    {
                        found += 1;
                        filled.push_str(&text);
                    }
                }
            }
        }
        (places == 0 || found > 0).then_some(filled)
    }
}

fn parts(source: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = source.chars().enumerate().peekable();
    while let Some((index, c)) = chars.next() {
        let doubled = matches!(c, '{' | '}') && chars.next_if(|&(_, next)| next == c).is_some();
        match c {
            '{' if !doubled => {
                let mut inside = String::new();
                loop {
                    match chars.next() {
                        Some((_, '}')) => break,
                        Some((_, c)) => inside.push(c),
                        None => return Err(TemplateError::Unclosed { at: index + 1 }),
                    }
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Pointer(pointer(inside.trim())?));
            }
            '}' if !doubled => return Err(TemplateError::Stray { at: index + 1 }),
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// A JSON pointer by RFC 6901, section 3; the empty one, which is the whole payload, is of no use here.
fn pointer(text: &str) -> Result<String, TemplateError> {
    if !text.starts_with('/') {
        return Err(TemplateError::NotPointer { text: text.to_owned() });
    }
    let escapes_hold = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if escapes_hold { Ok(text.to_owned()) } else { Err(TemplateError::BadEscape { text: text.to_owned() }) }
}
