//! Webhook endpoints: a board's list, one endpoint with its deliveries, one delivery in full.

use askama::Template;

use super::{
    Chrome,
    form::{Choice, Input},
};
use crate::web::words::Words;

/// `GET /o/{org}/boards/{board}/hooks`. Posts `name` and `scheme` to the same path.
#[derive(Template)]
#[template(path = "hooks/list.html")]
pub struct HookList {
    pub chrome: Chrome,
    pub org: String,
    pub board: String,
    pub board_name: String,
    pub hooks: Vec<HookRow>,
    pub name: Input,
    pub schemes: Vec<Choice>,
    /// The endpoint just made: shown in the answer to its creation and never again.
    pub made: Option<MadeHook>,
}

/// The values of `scheme` that the page offers, in its order.
pub const SCHEMES: [&str; 2] = ["standard-webhooks", "secret-url"];

impl HookList {
    /// What the form offers as `scheme`.
    #[must_use]
    pub fn schemes(words: &Words, chosen: &str) -> Vec<Choice> {
        SCHEMES
            .iter()
            .map(|&value| Choice {
                value: value.to_owned(),
                name: words.text(&format!("scheme-{value}")),
                hint: words.text(&format!("scheme-{value}-hint")),
                chosen: value == chosen,
            })
            .collect()
    }
}

/// An endpoint in the list.
pub struct HookRow {
    pub id: String,
    pub name: String,
    /// Name of the scheme.
    pub scheme: String,
    pub received: u64,
    /// The last delivery: when, and what became of it.
    pub latest: Option<(String, Outcome)>,
}

/// An endpoint with its secrets.
pub struct MadeHook {
    pub id: String,
    pub name: String,
    pub url: String,
    /// The signing key, where the scheme has one; otherwise the address itself is the secret.
    pub secret: Option<String>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Held,
    Ignored,
    Duplicate,
    Refused,
}

impl Outcome {
    /// Name among the icons.
    #[must_use]
    pub fn icon(self) -> &'static str {
        match self {
            Self::Accepted => "okc",
            Self::Held => "warn",
            Self::Ignored | Self::Duplicate => "info",
            Self::Refused => "bad",
        }
    }

    /// Class that colours the mark.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Accepted => "ok",
            Self::Held => "warn",
            Self::Ignored | Self::Duplicate => "",
            Self::Refused => "bad",
        }
    }

    /// Class that colours the chip.
    #[must_use]
    pub fn chip(self) -> &'static str {
        match self {
            Self::Ignored | Self::Duplicate => "info",
            _ => self.class(),
        }
    }

    /// Message that names it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Accepted => "outcome-accepted",
            Self::Held => "outcome-held",
            Self::Ignored => "outcome-ignored",
            Self::Duplicate => "outcome-duplicate",
            Self::Refused => "outcome-refused",
        }
    }
}

/// `GET /o/{org}/hooks/{hook}`. Posts `name` to the same path; `POST …/removal` removes it.
#[derive(Template)]
#[template(path = "hooks/hook.html")]
pub struct HookPage {
    pub chrome: Chrome,
    pub org: String,
    pub board: String,
    pub board_name: String,
    pub id: String,
    /// The stored name, which stays in the heading while a refused one stands in the form.
    pub title: String,
    pub name: Input,
    /// Name of the scheme.
    pub scheme: String,
    /// Deliveries are signed, so that testing needs the key.
    pub signed: bool,
    /// The address, unless it was shown only once.
    pub url: Option<String>,
    /// Shell commands that send a test delivery.
    pub curl: String,
    pub deliveries: Vec<DeliveryRow>,
    /// Where older and newer deliveries are, if there are any.
    pub older: Option<String>,
    pub newer: Option<String>,
}

/// A delivery in the list.
pub struct DeliveryRow {
    pub id: String,
    pub received: String,
    pub outcome: Outcome,
    /// Why, in the reader's language; may be empty.
    pub reason: String,
    pub card: Option<CardLink>,
    /// With its unit.
    pub size: String,
}

/// A way to a card.
pub struct CardLink {
    pub href: String,
    /// E.g. `#1292`, or with the title.
    pub label: String,
}

/// `GET /o/{org}/deliveries/{delivery}`.
#[derive(Template)]
#[template(path = "hooks/delivery.html")]
pub struct DeliveryPage {
    pub chrome: Chrome,
    pub org: String,
    pub hook: String,
    pub hook_name: String,
    /// The sender's id of the delivery, if it has one.
    pub sender_id: String,
    pub received: String,
    pub content_type: String,
    pub size: String,
    pub outcome: Outcome,
    pub reason: String,
    pub card: Option<CardLink>,
    /// The payload flattened, as (path, value).
    pub fields: Vec<(String, String)>,
    pub raw: Raw,
    /// As received, secrets masked.
    pub headers: Vec<(String, String)>,
}

/// The body of a delivery as received.
pub enum Raw {
    Text {
        text: String,
        /// How much is shown and how much there is, if that is not all.
        cut: Option<(String, String)>,
    },
    /// Not text; this many bytes, with unit.
    Binary { size: String },
    /// Past its retention.
    Gone,
}
