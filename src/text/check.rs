//! The rules that typed-in text must pass.

use super::message::{Explain, Message};

/// Why a text is refused. Nothing is stored; the form keeps what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing that can be seen is left after trimming.
    #[error("the text is empty; enter at least one visible character")]
    Empty,
    /// More characters than allowed.
    #[error("the text has {chars} characters; shorten it to {max}")]
    TooLong {
        /// Characters given.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// More bytes of UTF-8 than allowed.
    #[error("the text has {bytes} bytes; shorten it to {max}")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A control character, or a line break in a text of one line.
    #[error("character {at} is a control character; remove it")]
    ControlCharacter {
        /// Its place in the trimmed text, counted in characters from 1.
        at: usize,
    },
    /// One of U+202A–U+202E or U+2066–U+2069, which make text appear in another order than it has.
    #[error("character {at} changes the direction of the text; remove it")]
    BidirectionalOverride {
        /// Its place in the trimmed text, counted in characters from 1.
        at: usize,
    },
    /// A key with a character other than `a`–`z`, `0`–`9` and `_`.
    #[error("character {at} is not allowed in a key; use a-z, 0-9 and _ only")]
    NotInKey {
        /// Its place, counted in characters from 1.
        at: usize,
    },
}

impl Explain for TextError {
    fn message(&self) -> Message {
        match self {
            Self::Empty => Message::plain("text-error-empty"),
            Self::TooLong { chars, max } => Message::plain("text-error-too-long").with("chars", chars).with("max", max),
            Self::TooLarge { bytes, max } => {
                Message::plain("text-error-too-large").with("bytes", bytes).with("max", max)
            }
            Self::ControlCharacter { at } => Message::plain("text-error-control-character").with("at", at),
            Self::BidirectionalOverride { at } => Message::plain("text-error-bidirectional-override").with("at", at),
            Self::NotInKey { at } => Message::plain("text-error-not-in-key").with("at", at),
        }
    }
}

/// Makes characters after it run in another direction than their own.
pub(super) fn overrides_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Ends a line, though Unicode does not call it a control character.
pub(super) fn separates_lines(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Takes part in the text without leaving a mark on the page.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || overrides_direction(c)
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text trimmed, if it is one line of at most `chars_max` characters with something to see.
pub(super) fn one_line(raw: &str, chars_max: usize) -> Result<&str, TextError> {
    let text = raw.trim();
    if text.chars().all(is_invisible) {
        return Err(TextError::Empty);
    }
    within(text, chars_max)?;
    for (index, c) in text.chars().enumerate() {
        let at = index + 1;
        if c.is_control() || separates_lines(c) {
            return Err(TextError::ControlCharacter { at });
        }
        if overrides_direction(c) {
            return Err(TextError::BidirectionalOverride { at });
        }
    }
    Ok(text)
}

/// The text with `\n` as its only line break and without marks that override direction, trimmed of blank lines before
/// and white space after it, if it holds no control character besides line breaks and tabs.
///
/// Direction marks are dropped, not refused: they come along unseen when a telephone number is pasted from an address
/// book, and nobody could find them in a long text.
pub(super) fn many_lines(raw: &str) -> Result<String, TextError> {
    let mut plain = raw.replace("\r\n", "\n").replace('\r', "\n");
    plain.retain(|c| !overrides_direction(c));
    let text = plain.trim_end().trim_start_matches('\n');
    if text.chars().all(is_invisible) {
        return Err(TextError::Empty);
    }
    match text.chars().position(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some(index) => Err(TextError::ControlCharacter { at: index + 1 }),
        None => Ok(text.to_owned()),
    }
}

/// Nothing, if the text has at most `max` characters.
pub(super) fn within(text: &str, max: usize) -> Result<(), TextError> {
    // A text has at most as many characters as bytes, so most need no counting.
    if text.len() > max {
        let chars = text.chars().count();
        if chars > max {
            return Err(TextError::TooLong { chars, max });
        }
    }
    Ok(())
}
