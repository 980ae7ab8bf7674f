//! Text from programs, made fit to be shown. Nothing is refused here: nobody is there to correct it.

use unicode_normalization::char::is_combining_mark;

use super::check::{overrides_direction, separates_lines};

/// One line: white space collapsed, control characters and direction overrides removed, ends trimmed. A run of white
/// space becomes one space; one that starts with an ideographic space (as between 山田　太郎) becomes that.
#[must_use]
pub fn clean_line(raw: &str) -> String {
    let mut line = String::with_capacity(raw.len().min(1024));
    let mut pending = None;
    for c in raw.chars() {
        if c.is_whitespace() {
            pending.get_or_insert(if c == '\u{3000}' { c } else { ' ' });
        } else if !c.is_control() && !overrides_direction(c) {
            if let Some(space) = pending.take()
                && !line.is_empty()
            {
                line.push(space);
            }
            line.push(c);
        }
    }
    line
}

/// Several lines: `\n` as the only line break, control characters but tabs and direction overrides removed, blank lines
/// before and white space after the text trimmed.
#[must_use]
pub fn clean_lines(raw: &str) -> String {
    let mut lines = raw.replace("\r\n", "\n");
    lines.retain(|c| matches!(c, '\n' | '\r' | '\t') || !(c.is_control() || overrides_direction(c)));
    let lines = lines.replace(|c| c == '\r' || separates_lines(c), "\n");
    lines.trim_end().trim_start_matches('\n').to_owned()
}

/// The text cut to at most `chars_max` characters, the last being "…" if anything was cut. An accent or a joined emoji
/// is not torn from what it stands on, as far as 16 characters back.
#[must_use]
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().take(chars_max).collect();
    let mut end = chars_max.saturating_sub(1);
    let earliest = end.saturating_sub(16);
    while end > earliest && (clings(chars[end]) || chars[end - 1] == '\u{200d}') {
        end -= 1;
    }
    let mut short: String = chars[..end].iter().collect();
    short.truncate(short.trim_end().len());
    if chars_max > 0 {
        short.push('…');
    }
    short
}

/// Belongs to the character before it.
fn clings(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::{Comment, TextError, Title};

    #[test]
    fn lines() {
        #[track_caller]
        fn case(raw: &str, line: &str, lines: &str) {
            assert_eq!(clean_line(raw), line, "one line of {raw:?}");
            assert_eq!(clean_lines(raw), lines, "lines of {raw:?}");
        }
        case("  a  b\r\n\tc ", "a b c", "  a  b\n\tc");
        case("山田　太郎", "山田　太郎", "山田　太郎");
        case("a\n　b", "a b", "a\n　b");
        case("a\0b\u{202e}c\u{2066}d\u{7f}", "abcd", "abcd");
        case("x\u{2028}y\rz", "x y z", "x\ny\nz");
        case("\u{202e}\u{0}", "", "");
    }

    #[test]
    fn cutting() {
        #[track_caller]
        fn case(text: &str, chars_max: usize, want: &str) {
            assert_eq!(cut(text, chars_max), want, "{text:?} to {chars_max}");
        }
        case("見積もり", 4, "見積もり");
        case("見積もり", 3, "見積…");
        case("ab cd", 4, "ab…");
        case("abe\u{301}x", 4, "ab…");
        case("a👩\u{200d}👩\u{200d}👧bcd", 5, "a…");
        case("abc", 1, "…");
        case("abc", 0, "");
    }

    proptest! {
        #[test]
        fn a_cleaned_line_is_a_title_or_nothing(raw in "\\PC{0,40}|.{0,600}|[ \\t\u{3000}\u{202a}-\u{202e}a\u{301}\u{200d}]{0,600}") {
            let line = cut(&clean_line(&raw), 500);
            match Title::parse(&line) {
                Ok(title) => prop_assert_eq!(title.as_str(), line.as_str()),
                Err(refused) => prop_assert_eq!(refused, TextError::Empty),
            }
            prop_assert_eq!(clean_line(&line), line);
        }

        #[test]
        fn cleaned_lines_are_a_comment_or_nothing(raw in "(.|\\n|\\r|\\t|\u{2028}){0,300}") {
            let lines = clean_lines(&raw);
            match Comment::parse(&lines) {
                Ok(comment) => prop_assert_eq!(comment.as_str(), lines.as_str()),
                Err(refused) => prop_assert_eq!(refused, TextError::Empty),
            }
            prop_assert_eq!(clean_lines(&lines), lines);
        }
    }
}
