//! What several pages show: statuses, labels, people, days, moments.

use std::fmt;

/// The kind of a status, which gives it its shape and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A dashed ring: nobody has begun.
    Todo,
    /// Half a disc.
    Doing,
    /// Three quarters: somebody checks.
    Review,
    /// A pause: others are at work.
    Waiting,
    /// A check mark.
    Done,
}

impl Shape {
    /// All shapes, in the order in which a card usually passes them.
    pub const ALL: [Self; 5] = [Self::Todo, Self::Doing, Self::Review, Self::Waiting, Self::Done];

    /// The name in forms, of the icon and of the class `st-…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::Doing => "doing",
            Self::Review => "review",
            Self::Waiting => "waiting",
            Self::Done => "done",
        }
    }

    /// The class of the icon.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Todo => "st-todo",
            Self::Doing => "st-doing",
            Self::Review => "st-review",
            Self::Waiting => "st-waiting",
            Self::Done => "st-done",
        }
    }

    /// The key of the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Todo => "shape-todo",
            Self::Doing => "shape-doing",
            Self::Review => "shape-review",
            Self::Waiting => "shape-waiting",
            Self::Done => "shape-done",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A status of a board.
#[derive(Clone, Debug)]
pub struct Status {
    pub id: String,
    pub name: String,
    pub shape: Shape,
}

/// A label of a board.
#[derive(Clone, Debug)]
pub struct Label {
    pub id: String,
    pub name: String,
    /// 1 to 6.
    pub hue: u8,
}

/// Somebody, as an avatar shows them.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub name: String,
    /// First letter of the name.
    pub initial: String,
    /// 1 to 4.
    pub hue: u8,
}

/// How a due day stands to today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueState {
    Later,
    Today,
    Overdue,
}

/// A due day, in words.
#[derive(Clone, Debug)]
pub struct Due {
    pub state: DueState,
    /// 今日, 11月24日, 11月24日（火）: as short as its place allows.
    pub text: String,
    /// 1日超過, or nothing.
    pub note: String,
}

impl Due {
    /// The class that colours it.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self.state {
            DueState::Later => "due",
            DueState::Today => "due today",
            DueState::Overdue => "due over",
        }
    }

    /// The icon's name: overdue has a shape of its own.
    #[must_use]
    pub fn icon(&self) -> &'static str {
        if self.state == DueState::Overdue { "warn" } else { "cal" }
    }
}

/// A moment, in words and for machines.
#[derive(Clone, Debug)]
pub struct Moment {
    /// たった今, 14:32, 昨日, 11月20日 16:42.
    pub text: String,
    /// RFC 3339, for `<time datetime>`.
    pub iso: String,
}

/// The board that a page belongs to, and what its reader may do there.
#[derive(Clone, Debug)]
pub struct BoardHead {
    pub org: String,
    pub id: String,
    pub name: String,
    /// May add, change and move cards.
    pub may_edit: bool,
    /// May change the board's settings and webhooks.
    pub may_manage: bool,
}

impl BoardHead {
    /// `/o/{org}/boards/{board}`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/o/{}/boards/{}", self.org, self.id)
    }
}

/// Text as HTML: safe in content and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}
