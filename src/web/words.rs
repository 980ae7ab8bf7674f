//! Words: every sentence that a person reads comes from `assets/locales/{ja,en}/*.ftl` through [`Words`].

use std::sync::OnceLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use rust_embed::RustEmbed;
use unic_langid::LanguageIdentifier;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/locales"]
struct Locales;

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// 日本語.
    Japanese,
    /// English.
    English,
}

impl Language {
    /// All languages, the first being the product's first.
    pub const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// BCP 47 tag, as in `<html lang>`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// The language of a BCP 47 tag, if it is spoken here (`ja-JP` is Japanese).
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_', '.']).next()?;
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The best language of an `Accept-Language` header (RFC 9110, 12.5.4); Japanese when none matches.
    #[must_use]
    pub fn negotiate(accept_language: &str) -> Self {
        let mut best: Option<(f32, Self)> = None;
        for range in accept_language.split(',') {
            let mut parts = range.split(';');
            let Some(language) = parts.next().and_then(Self::from_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(heaviest, _)| weight > heaviest) {
                best = Some((weight, language));
            }
        }
        best.map_or(Self::Japanese, |(_, language)| language)
    }

    /// This language's words.
    #[must_use]
    pub fn words(self) -> &'static Words {
        static ALL: OnceLock<[Words; 2]> = OnceLock::new();
        let [japanese, english] = ALL.get_or_init(|| Self::ALL.map(Words::load));
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }
}

/// The messages of one language.
pub struct Words {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl Words {
    fn load(language: Language) -> Self {
        let identifier = language.tag().parse::<LanguageIdentifier>().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![identifier]);
        // Isolation marks would stand in page titles and mails as stray characters.
        bundle.set_use_isolating(false);
        for path in Locales::iter().filter(|path| path.starts_with(language.tag())) {
            let source =
                Locales::get(&path).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
            let resource = FluentResource::try_new(source).unwrap_or_else(|(readable, errors)| {
                tracing::error!(%path, ?errors, "a locale file has broken messages");
                readable
            });
            if let Err(errors) = bundle.add_resource(resource) {
                tracing::error!(%path, ?errors, "a locale file repeats messages");
            }
        }
        Self { language, bundle }
    }

    /// The language that these words are of.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// The message `key`, or the key itself if there is none (a test finds those).
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.format(key, None)
    }

    /// The message `key` with one argument filled in.
    #[must_use]
    pub fn with<'v>(&self, key: &str, name: &str, value: impl Into<FluentValue<'v>>) -> String {
        let mut args = FluentArgs::with_capacity(1);
        args.set(name.to_owned(), value);
        self.format(key, Some(&args))
    }

    /// The message `key` with text arguments filled in, as `(name, value)`.
    #[must_use]
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            args.set((*name).to_owned(), FluentValue::from(*value));
        }
        self.format(key, Some(&args))
    }

    /// Whether there is a message `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    fn format(&self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let mut errors = Vec::new();
        self.bundle.format_pattern(pattern, args, &mut errors).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation() {
        #[track_caller]
        fn case(header: &str, want: Language) {
            assert_eq!(Language::negotiate(header), want, "{header:?}");
        }
        case("", Language::Japanese);
        case("en-US,en;q=0.9", Language::English);
        case("fr, en;q=0.2, ja;q=0.7", Language::Japanese);
        case("fr, de", Language::Japanese);
        case("ja;q=0, en;q=0.1", Language::English);
    }
}
