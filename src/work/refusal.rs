//! Why a command was refused. Every refusal changed nothing.

use super::{Card, FieldRef};
use crate::{
    ids::StatusId,
    store::StoreError,
    text::{Explain, Message, TextError},
};

/// The rule that a command would have broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or not for this person.
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// Somebody else has changed the same field since the version that the change was based on.
    #[error("the field was changed by somebody else in the meantime")]
    Conflict { field: FieldRef, theirs: String, card: Box<Card> },
    /// The whole card has moved on since the version that the change was based on.
    #[error("the card was changed in the meantime: it is at version {}", card.version)]
    Stale { card: Box<Card> },
    /// The target column is gone; these are left.
    #[error("the status was removed in the meantime")]
    StatusGone { remaining: Vec<(StatusId, String)> },
    /// The card is in the trash: it must be restored before it can be changed.
    #[error("the card is in the trash: restore it first")]
    Trashed,
    /// Text that breaks a rule.
    #[error("{field}: {error}")]
    Text { field: &'static str, error: TextError },
    /// A named limit is reached.
    #[error("there can be at most {max} {what}")]
    Limit { what: &'static str, max: usize },
    /// What operators allow the organization is used up: `cards` by number, `bytes` by size.
    #[error("the organization may hold at most {max} {what}: ask an operator of the server for more")]
    Quota { what: &'static str, max: u64 },
    /// Something by that name is there already.
    #[error("{field}: `{value}` is taken")]
    Taken { field: &'static str, value: String },
    /// The column is not empty, so it cannot be removed.
    #[error("the status still has {cards} cards: move them first")]
    StatusInUse { cards: u64 },
    /// A board keeps at least one status.
    #[error("a board needs at least one status")]
    LastStatus,
    /// A value that is none of those allowed.
    #[error("{field}: `{value}` is not one of the values allowed")]
    Unknown { field: &'static str, value: String },
}

impl Refusal {
    /// A stable code, the same in pages, API and log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Conflict { .. } => "conflict",
            Self::Stale { .. } => "stale",
            Self::StatusGone { .. } => "status-gone",
            Self::Trashed => "trashed",
            Self::Text { .. } => "text",
            Self::Limit { .. } => "limit",
            Self::Quota { .. } => "quota",
            Self::Taken { .. } => "taken",
            Self::StatusInUse { .. } => "status-in-use",
            Self::LastStatus => "last-status",
            Self::Unknown { .. } => "unknown-value",
        }
    }
}

/// A refusal, or a store that could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Explain for Refusal {
    fn message(&self) -> Message {
        match self {
            Self::NotFound { .. } => Message::plain("refusal-not-found"),
            Self::Conflict { .. } => Message::plain("refusal-conflict"),
            Self::Stale { .. } => Message::plain("refusal-stale"),
            Self::StatusGone { .. } => Message::plain("refusal-status-gone"),
            Self::Trashed => Message::plain("refusal-trashed"),
            Self::Text { error, .. } => error.message(),
            Self::Limit { max, .. } => Message::plain("refusal-limit").with("max", max),
            Self::Quota { what: "bytes", max } => Message::plain("refusal-quota-bytes").with("max", &(max >> 20)),
            Self::Quota { max, .. } => Message::plain("refusal-quota-cards").with("max", max),
            Self::Taken { value, .. } => Message::plain("refusal-taken").with("value", value),
            Self::StatusInUse { cards } => Message::plain("refusal-status-in-use").with("cards", cards),
            Self::LastStatus => Message::plain("refusal-last-status"),
            Self::Unknown { value, .. } => Message::plain("refusal-unknown").with("value", value),
        }
    }
}
