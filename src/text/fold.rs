//! Spellings that people take for the same word.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// The text with width, case and kana folded, ends trimmed: `ＴＥＬ` and `tel`, `ﾒｰﾙ` and `めーる`, `メール` and `めーる`
/// are equal after it. For comparing only, never for display. Folding twice changes nothing more.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    // Most words are in normal form as they come, and telling so costs a fifth of normalizing them.
    if is_nfkc_quick(text.chars().flat_map(char::to_lowercase)) == IsNormalized::Yes
        && is_nfkc_quick(text.chars()) == IsNormalized::Yes
    {
        return text.chars().flat_map(char::to_lowercase).map(hiragana).collect::<String>().trim().to_owned();
    }
    // Lower case can take a text out of normal form (İ), hence the second normalization.
    text.nfkc().flat_map(char::to_lowercase).nfkc().map(hiragana).collect::<String>().trim().to_owned()
}

/// The hiragana of a katakana; other characters, and the four katakana that have none (ヷヸヹヺ), as they are.
fn hiragana(c: char) -> char {
    match c {
        'ァ'..='ヶ' | 'ヽ' | 'ヾ' => char::from_u32(u32::from(c) - 0x60).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_word() {
        #[track_caller]
        fn case(one: &str, other: &str) {
            assert_eq!(fold(one), fold(other), "{one} and {other}");
        }
        case("ＴＥＬ", "tel");
        case("ﾒｰﾙ", "めーる");
        case("メールアドレス", "めーるあどれす");
        case("ｶﾞｷﾞ", "がぎ");
        case("か\u{3099}", "ガ");
        case(" Subject ", "subject");
        case("㈱山田", "(株)山田");
        case("ΟΔΟΣ", "οδοσ");
        assert_ne!(fold("はは"), fold("ばば"));
        assert_ne!(fold("あ"), fold("ぁ"));
    }

    proptest! {
        #[test]
        fn the_short_ways_fold_as_the_long_one(text in ".{0,60}|[ -~]{0,20}|[ァ-ヾｦ-ﾟ\u{3099}\u{309a}İ]{0,20}|[ぁ-んァ-ヶ一-三A-Z]{0,20}") {
            let long: String = text.nfkc().flat_map(char::to_lowercase).nfkc().map(hiragana).collect();
            prop_assert_eq!(fold(&text), long.trim());
        }

        #[test]
        fn folding_twice_is_folding_once(text in ".{0,60}|[ァ-ヾｦ-ﾟ\u{3099}\u{309a}]{0,20}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
