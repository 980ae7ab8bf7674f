//! Parts that several forms share: what was typed, what may be chosen, what is shown only once.

use crate::web::words::Words;

/// A text input: what stands in it, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// What was typed, or what is stored.
    pub value: String,
    /// The rule that was broken and what is kept; shown beside the input.
    pub error: Option<String>,
}

impl Input {
    /// An input in which `value` stands and nothing is wrong.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// An input whose `value` was refused because of `error`.
    #[must_use]
    pub fn refused(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: Some(error.into()) }
    }
}

/// One of several values, of a select or of radio buttons.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub name: String,
    /// What choosing it means; may be empty.
    pub hint: String,
    pub chosen: bool,
}

impl Choice {
    /// The roles of `values` (`owner`, `admin`, `member`, `guest`) with their names and what they may do.
    #[must_use]
    pub fn roles(words: &Words, values: &[&str], chosen: &str) -> Vec<Self> {
        values
            .iter()
            .map(|&value| Self {
                value: value.to_owned(),
                name: words.text(&format!("role-{value}")),
                hint: words.text(&format!("role-{value}-hint")),
                chosen: value == chosen,
            })
            .collect()
    }

    /// Lifetimes of an API token, in days.
    #[must_use]
    pub fn days(words: &Words, values: &[u16], chosen: u16) -> Vec<Self> {
        values
            .iter()
            .map(|&days| Self {
                value: days.to_string(),
                name: words.with("org-settings-token-days-of", "days", days),
                hint: String::new(),
                chosen: days == chosen,
            })
            .collect()
    }
}
