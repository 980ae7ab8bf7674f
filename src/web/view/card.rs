//! A card: the drawer over its board, and a page of its own.

use askama::Template;

use super::{
    Chrome,
    parts::{BoardHead, Due, Label, Moment, Person, Status, escape},
};
use crate::web::words::Words;

/// `GET /o/{org}/cards/{card}`: the page.
#[derive(Template)]
#[template(path = "card.html")]
pub struct CardPage<'a> {
    pub chrome: &'a Chrome,
    pub card: &'a Card,
}

impl CardPage<'_> {
    fn drawer(&self) -> CardDrawer<'_> {
        CardDrawer { chrome: self.chrome, card: self.card }
    }
}

/// The same with `HX-Request`, and the answer to every change of the card: the drawer alone.
#[derive(Template)]
#[template(path = "drawer.html")]
pub struct CardDrawer<'a> {
    pub chrome: &'a Chrome,
    pub card: &'a Card,
}

/// Everything that is shown of a card.
pub struct Card {
    pub board: BoardHead,
    pub id: String,
    /// The receipt number, without `#`.
    pub number: u64,
    /// Goes up with every change; forms send it back, so that two people's edits are noticed.
    pub version: u64,
    pub title: String,
    /// The description as it was typed.
    pub body: String,
    /// The description as safe HTML.
    pub body_html: String,
    pub status: Status,
    /// The statuses of the board, to move to.
    pub statuses: Vec<Status>,
    pub due: Option<Due>,
    /// `2026-11-24` or empty.
    pub due_value: String,
    /// The board's labels, and whether the card has them.
    pub labels: Vec<(Label, bool)>,
    /// Who could be in charge, and whether they are.
    pub members: Vec<(Person, bool)>,
    pub fields: Vec<Field>,
    pub received: Option<Received>,
    /// Oldest first.
    pub timeline: Vec<Entry>,
    pub created: Moment,
    pub updated: Moment,
    /// Who changed it last.
    pub updated_by: String,
    pub place: Place,
    /// Guests comment on cards that they cannot change.
    pub may_comment: bool,
    /// What is wrong with what was just sent.
    pub problem: Option<Problem>,
    /// A comment that was typed but not taken.
    pub draft: String,
}

/// Where a card is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Board,
    Archive,
    /// With the day on which it is erased, in words.
    Trash(String),
}

/// A field of the board with the card's value.
pub struct Field {
    pub id: String,
    pub label: String,
    pub value: String,
}

impl Field {
    /// Its name in forms: `field:{id}`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("field:{}", self.id)
    }
}

/// What a webhook sent.
pub struct Received {
    /// The endpoint's name.
    pub hook: String,
    /// Where its deliveries are listed, for those who may see them.
    pub href: Option<String>,
    /// The sender's signature was right; endpoints without signatures say nothing.
    pub verified: bool,
    pub at: Moment,
    pub rows: Vec<(String, String)>,
}

/// One line of what happened.
pub enum Entry {
    /// A change, as one sentence.
    Change {
        /// `move`, `me`, `cal`, `tag`, `pen`, `hook`, `plus`, `box`, `trash`, `back`.
        icon: &'static str,
        /// Done by the appliance rather than by a person.
        system: bool,
        /// Made by [`sentence`].
        html: String,
        at: Moment,
    },
    /// A comment.
    Comment {
        id: String,
        by: Person,
        /// Safe HTML.
        html: String,
        at: Moment,
    },
}

/// The message `key` with `values` in it, as safe HTML: values are escaped and set in bold, except `from`, which a
/// reader only compares with.
#[must_use]
pub fn sentence(words: &Words, key: &str, values: &[(&str, &str)]) -> String {
    let marked: Vec<(&str, String)> = values
        .iter()
        .map(|&(name, value)| {
            let html = escape(value);
            (name, if name == "from" { html } else { format!("<b>{html}</b>") })
        })
        .collect();
    let marked: Vec<(&str, &str)> = marked.iter().map(|(name, html)| (*name, html.as_str())).collect();
    words.fill(key, &marked)
}

/// Why a change of one field was not taken. What was typed is kept in either case.
pub enum Problem {
    /// The value breaks a rule.
    Invalid {
        /// `title`, `body`, `due`, `status`, `field:{id}`, `comment`.
        field: String,
        typed: String,
        /// The rule, and what was kept.
        message: String,
    },
    /// Somebody else changed the same field.
    Clash(Clash),
}

/// Two values for one field.
pub struct Clash {
    pub field: String,
    pub mine: String,
    pub theirs: String,
    /// Who wrote the other.
    pub by: String,
}

impl Card {
    /// `/o/{org}/cards/{card}`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/o/{}/cards/{}", self.board.org, self.id)
    }

    /// The reader may change it where it is.
    #[must_use]
    pub fn editable(&self) -> bool {
        self.board.may_edit && self.place == Place::Board
    }

    /// What the input of `field` holds: what was typed if that was refused, else `value`.
    #[must_use]
    pub fn shown<'c>(&'c self, field: &str, value: &'c str) -> &'c str {
        match &self.problem {
            Some(Problem::Invalid { field: at, typed, .. }) if at == field => typed,
            _ => value,
        }
    }

    /// What is wrong with `field`.
    #[must_use]
    pub fn error(&self, field: &str) -> Option<&str> {
        match &self.problem {
            Some(Problem::Invalid { field: at, message, .. }) if at == field => Some(message),
            _ => None,
        }
    }

    /// What was typed for a field that the card does not offer where it is now, with the rule: in the trash nothing can be
    /// changed, and what was typed must not be lost with the form that it was typed into.
    #[must_use]
    pub fn left_over(&self) -> Option<(&str, &str)> {
        match &self.problem {
            Some(Problem::Invalid { field, typed, message })
                if !self.editable() && (field != "comment" || !self.may_comment) =>
            {
                Some((message, typed))
            }
            _ => None,
        }
    }

    /// The other value of `field`.
    #[must_use]
    pub fn clash(&self, field: &str) -> Option<&Clash> {
        match &self.problem {
            Some(Problem::Clash(clash)) if clash.field == field => Some(clash),
            _ => None,
        }
    }

    /// Who is in charge.
    pub fn assignees(&self) -> impl Iterator<Item = &Person> {
        self.members.iter().filter(|(_, on)| *on).map(|(person, _)| person)
    }

    /// Who else could be.
    pub fn others(&self) -> impl Iterator<Item = &Person> {
        self.members.iter().filter(|(_, on)| !*on).map(|(person, _)| person)
    }

    /// The labels that it has.
    pub fn worn(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter().filter(|(_, on)| *on).map(|(label, _)| label)
    }

    /// The labels that it has not.
    pub fn unworn(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter().filter(|(_, on)| !*on).map(|(label, _)| label)
    }

    /// How many comments the timeline holds.
    #[must_use]
    pub fn comments(&self) -> u64 {
        self.timeline.iter().filter(|entry| matches!(entry, Entry::Comment { .. })).count() as u64
    }
}
