//! Boards to begin with.

use super::{Board, Field, Label, Status, StatusKind};
use crate::{
    clock::Timestamp,
    ids::{BoardId, FieldId, LabelId, StatusId},
};

/// A board to begin with. Its words are in the locale files under `template-…`, so that a board is born in the language
/// of the one who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    Empty,
    Inquiries,
    Tasks,
    Hiring,
    Expenses,
}

impl Template {
    /// All templates, in the order of the form.
    pub const ALL: [Self; 5] = [Self::Empty, Self::Inquiries, Self::Tasks, Self::Hiring, Self::Expenses];

    /// The name in forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Inquiries => "inquiries",
            Self::Tasks => "tasks",
            Self::Hiring => "hiring",
            Self::Expenses => "expenses",
        }
    }

    /// The template of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }

    /// Its statuses: (key of the word, kind).
    #[must_use]
    pub fn statuses(self) -> &'static [(&'static str, StatusKind)] {
        use StatusKind::{Doing, Done, Review, Todo, Waiting};
        match self {
            Self::Empty => {
                &[("template-status-todo", Todo), ("template-status-doing", Doing), ("template-status-done", Done)]
            }
            Self::Inquiries => &[
                ("template-status-new", Todo),
                ("template-status-answering", Doing),
                ("template-status-review", Review),
                ("template-status-waiting", Waiting),
                ("template-status-done", Done),
            ],
            Self::Tasks => &[
                ("template-status-todo", Todo),
                ("template-status-doing", Doing),
                ("template-status-check", Review),
                ("template-status-done", Done),
            ],
            Self::Hiring => &[
                ("template-status-applied", Todo),
                ("template-status-screening", Doing),
                ("template-status-interview", Doing),
                ("template-status-offer", Review),
                ("template-status-reply", Waiting),
                ("template-status-closed", Done),
            ],
            Self::Expenses => &[
                ("template-status-submitted", Todo),
                ("template-status-approval", Review),
                ("template-status-returned", Waiting),
                ("template-status-payment", Doing),
                ("template-status-paid", Done),
            ],
        }
    }

    /// Its fields: (key in webhooks, key of the word).
    #[must_use]
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Empty | Self::Tasks => &[],
            Self::Inquiries => &[
                ("company", "template-field-company"),
                ("name", "template-field-name"),
                ("email", "template-field-email"),
                ("tel", "template-field-tel"),
            ],
            Self::Hiring => &[
                ("position", "template-field-position"),
                ("email", "template-field-email"),
                ("tel", "template-field-tel"),
                ("source", "template-field-source"),
            ],
            Self::Expenses => &[
                ("amount", "template-field-amount"),
                ("spent_on", "template-field-spent-on"),
                ("payee", "template-field-payee"),
                ("purpose", "template-field-purpose"),
            ],
        }
    }

    /// Its labels: (key of the word, hue).
    #[must_use]
    pub fn labels(self) -> &'static [(&'static str, u8)] {
        match self {
            Self::Empty => &[],
            Self::Inquiries => &[
                ("template-label-estimate", 2),
                ("template-label-billing", 1),
                ("template-label-defect", 5),
                ("template-label-other", 6),
            ],
            Self::Tasks => &[("template-label-urgent", 1), ("template-label-improvement", 3)],
            Self::Hiring => {
                &[("template-label-engineer", 5), ("template-label-sales", 2), ("template-label-office", 3)]
            }
            Self::Expenses => {
                &[("template-label-travel", 4), ("template-label-goods", 2), ("template-label-entertainment", 6)]
            }
        }
    }

    /// A board of this template, its words looked up by `word`.
    pub fn board(self, id: BoardId, name: &str, now: Timestamp, word: impl Fn(&str) -> String) -> Board {
        Board {
            id,
            name: name.to_owned(),
            statuses: self
                .statuses()
                .iter()
                .map(|(key, kind)| Status { id: StatusId::fresh(now), name: word(key), kind: *kind })
                .collect(),
            fields: self
                .fields()
                .iter()
                .map(|(key, label)| Field { id: FieldId::fresh(now), key: (*key).to_owned(), label: word(label) })
                .collect(),
            labels: self
                .labels()
                .iter()
                .map(|(key, hue)| Label { id: LabelId::fresh(now), name: word(key), hue: *hue })
                .collect(),
            created_at: now,
            guests: Vec::new(),
            archived_at: None,
        }
    }
}
