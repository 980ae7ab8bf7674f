//! The types that hold checked text.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

use super::check::{TextError, many_lines, one_line, within};
use crate::{ids::HookId, limits};

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident = $parse:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Decoding trusts the store: what it holds was parsed when it was written.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] String);

        impl $name {
            /// The text, if it is one.
            ///
            /// # Errors
            /// [`TextError`] says which rule it breaks.
            pub fn parse(raw: &str) -> Result<Self, TextError> {
                $parse(raw).map(|text: String| Self(text))
            }

            /// The text as stored and shown.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(raw: &str) -> Result<Self, TextError> {
                Self::parse(raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )*};
}

text! {
    /// A card's title: one line, trimmed, at most [`limits::TITLE_CHARS_MAX`] characters.
    Title = |raw| one_line(raw, limits::TITLE_CHARS_MAX).map(str::to_owned);
    /// The name of a person or a thing: one line, trimmed, at most [`limits::NAME_CHARS_MAX`] characters.
    Name = |raw| one_line(raw, limits::NAME_CHARS_MAX).map(str::to_owned);
    /// A text field's value: lines and tabs allowed, at most [`limits::TEXT_FIELD_CHARS_MAX`] characters.
    TextValue = |raw| many_lines_of_chars(raw, limits::TEXT_FIELD_CHARS_MAX);
    /// A comment, as typed (Markdown): lines and tabs allowed, at most [`limits::COMMENT_BYTES_MAX`] bytes.
    Comment = |raw| many_lines_of_bytes(raw, limits::COMMENT_BYTES_MAX);
    /// A long text field's value: as a [`Comment`].
    LongText = |raw| many_lines_of_bytes(raw, limits::COMMENT_BYTES_MAX);
    /// The key of a field in payloads and the API: `[a-z0-9_]{1,40}`.
    FieldKey = field_key;
}

/// An endpoint's id as a title: 26 letters and digits break no rule.
impl From<HookId> for Title {
    fn from(id: HookId) -> Self {
        Self(id.to_string())
    }
}

fn many_lines_of_chars(raw: &str, max: usize) -> Result<String, TextError> {
    let text = many_lines(raw)?;
    within(&text, max)?;
    Ok(text)
}

fn many_lines_of_bytes(raw: &str, max: usize) -> Result<String, TextError> {
    let text = many_lines(raw)?;
    if text.len() > max {
        return Err(TextError::TooLarge { bytes: text.len(), max });
    }
    Ok(text)
}

fn field_key(raw: &str) -> Result<String, TextError> {
    if raw.is_empty() {
        return Err(TextError::Empty);
    }
    within(raw, limits::FIELD_KEY_CHARS_MAX)?;
    match raw.chars().position(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_')) {
        Some(index) => Err(TextError::NotInKey { at: index + 1 }),
        None => Ok(raw.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::message::assert_spoken;

    #[test]
    fn titles() {
        #[track_caller]
        fn case(raw: &str, want: Result<&str, TextError>) {
            let got = Title::parse(raw);
            assert_eq!(got.as_ref().map(Title::as_str), want.as_ref().copied(), "title {raw:?}");
        }
        case("  見積もりのご相談\n", Ok("見積もりのご相談"));
        case("", Err(TextError::Empty));
        case(" \u{3000}\u{200b}", Err(TextError::Empty));
        case(&"字".repeat(500), Ok(&"字".repeat(500)));
        case(&"字".repeat(501), Err(TextError::TooLong { chars: 501, max: 500 }));
        case("a\nb", Err(TextError::ControlCharacter { at: 2 }));
        case("ab\u{2028}c", Err(TextError::ControlCharacter { at: 3 }));
        case("a\u{0}b", Err(TextError::ControlCharacter { at: 2 }));
        case("請求\u{202e}書", Err(TextError::BidirectionalOverride { at: 3 }));
        case("請求\u{2069}書", Err(TextError::BidirectionalOverride { at: 3 }));
        // Unassigned today, a character of the next Unicode tomorrow.
        case("\u{378}", Ok("\u{378}"));
        case("👩\u{200d}👩\u{200d}👧", Ok("👩\u{200d}👩\u{200d}👧"));
        case("שלום", Ok("שלום"));
    }

    #[test]
    fn comments() {
        #[track_caller]
        fn case(raw: &str, want: Result<&str, TextError>) {
            let got = Comment::parse(raw);
            assert_eq!(got.as_ref().map(Comment::as_str), want.as_ref().copied(), "comment {raw:?}");
        }
        case("a\r\nb\rc\td\n\n", Ok("a\nb\nc\td"));
        case("\n    code", Ok("    code"));
        case("☎ \u{202d}03-0000-0000\u{202c}", Ok("☎ 03-0000-0000"));
        case("\n\t \r\n", Err(TextError::Empty));
        case("a\u{b}b", Err(TextError::ControlCharacter { at: 2 }));
        case(&"x".repeat(65_536), Ok(&"x".repeat(65_536)));
        case(&"字".repeat(21_846), Err(TextError::TooLarge { bytes: 65_538, max: 65_536 }));
    }

    #[test]
    fn values_and_keys() {
        assert_eq!(TextValue::parse("一行目\r\n二行目").map(String::from), Ok("一行目\n二行目".to_owned()));
        let long = "字".repeat(2_001);
        assert_eq!(TextValue::parse(&long), Err(TextError::TooLong { chars: 2_001, max: 2_000 }));
        assert_eq!(Name::parse(&"n".repeat(101)), Err(TextError::TooLong { chars: 101, max: 100 }));
        assert_eq!(FieldKey::parse("order_no2").map(String::from), Ok("order_no2".to_owned()));
        assert_eq!(FieldKey::parse(""), Err(TextError::Empty));
        assert_eq!(FieldKey::parse("Order"), Err(TextError::NotInKey { at: 1 }));
        assert_eq!(FieldKey::parse("a "), Err(TextError::NotInKey { at: 2 }));
        assert_eq!(FieldKey::parse(&"a".repeat(41)), Err(TextError::TooLong { chars: 41, max: 40 }));
    }

    #[test]
    fn every_refusal_is_explained_in_both_languages() {
        for refusal in [
            TextError::Empty,
            TextError::TooLong { chars: 501, max: 500 },
            TextError::TooLarge { bytes: 65_537, max: 65_536 },
            TextError::ControlCharacter { at: 1 },
            TextError::BidirectionalOverride { at: 1 },
            TextError::NotInKey { at: 1 },
        ] {
            assert_spoken(&refusal);
        }
    }

    proptest! {
        #[test]
        fn parsed_text_parses_to_itself(raw in "(.|\\s|\u{202a}|\u{200b}){0,80}") {
            if let Ok(title) = Title::parse(&raw) {
                prop_assert_eq!(Title::parse(title.as_str()), Ok(title));
            }
            if let Ok(comment) = Comment::parse(&raw) {
                prop_assert_eq!(Comment::parse(comment.as_str()), Ok(comment));
            }
            if let Ok(value) = TextValue::parse(&raw) {
                prop_assert_eq!(TextValue::parse(value.as_str()), Ok(value));
            }
            if let Ok(key) = FieldKey::parse(&raw) {
                prop_assert_eq!(key.as_str(), raw.as_str());
            }
        }
    }
}
