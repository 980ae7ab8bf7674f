//! The page for everything that went wrong: what happened, what is kept, what to do.

use askama::Template;

use super::Chrome;

/// An error page. It needs nothing but words, so that it can be shown when a store cannot be read.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub chrome: Chrome,
    pub status: u16,
    /// What happened.
    pub what: String,
    /// What is safe.
    pub kept: String,
    /// What to do.
    pub todo: String,
    /// Where the reader came from, a path of this appliance; the home if empty.
    pub back: String,
}

/// Statuses with words of their own.
const KNOWN: [u16; 10] = [400, 403, 404, 409, 413, 422, 429, 500, 503, 507];

impl ErrorPage {
    /// The page for an HTTP status; one without words of its own reads as 400 or 500.
    #[must_use]
    pub fn of(chrome: Chrome, status: u16, back: impl Into<String>) -> Self {
        let worded = match status {
            _ if KNOWN.contains(&status) => status,
            ..500 => 400,
            _ => 500,
        };
        let say = |part: &str| chrome.words.text(&format!("error-{worded}-{part}"));
        let (what, kept, todo) = (say("title"), say("kept"), say("do"));
        Self { chrome, status, what, kept, todo, back: back.into() }
    }

    /// The same page saying what exactly was refused, in the reader's language.
    #[must_use]
    pub fn because(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::KNOWN;
    use crate::web::words::Language;

    #[test]
    fn every_known_status_has_words() {
        for (language, status) in Language::ALL.into_iter().flat_map(|language| KNOWN.map(|status| (language, status)))
        {
            for part in ["title", "kept", "do"] {
                let key = format!("error-{status}-{part}");
                assert!(language.words().has(&key), "{key} in {language:?}");
            }
        }
    }
}
