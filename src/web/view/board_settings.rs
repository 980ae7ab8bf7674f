//! A board's settings: name, statuses, labels, fields.

use askama::Template;

use super::{
    Chrome,
    parts::{BoardHead, Label, Person, Shape, Status},
};

/// `GET /o/{org}/boards/{board}/settings`.
#[derive(Template)]
#[template(path = "board_settings.html")]
pub struct BoardSettingsPage<'a> {
    pub chrome: &'a Chrome,
    pub board: BoardHead,
    pub statuses: Vec<StatusLine>,
    pub labels: Vec<LabelLine>,
    pub fields: Vec<FieldLine>,
    /// The organization's guests, and whether they were admitted to the board.
    pub guests: Vec<(Person, bool)>,
    /// What is wrong with the form just sent.
    pub problem: Option<FormProblem>,
}

/// A form that was refused.
pub struct FormProblem {
    /// `name`, `status`, `status:{id}`, `label`, `label:{id}`, `field`, `field:{id}`.
    pub form: String,
    /// The name or label that was typed.
    pub typed: String,
    /// The rule, and what was kept.
    pub message: String,
}

/// A status with the places next to it.
pub struct StatusLine {
    pub status: Status,
    /// Cards in it; it can be erased only when there is none.
    pub cards: u64,
    /// Sent as `after` to move it one up: the status two above, or empty for the top. `None` if it is at the top.
    pub up: Option<String>,
    /// Sent as `after` to move it one down.
    pub down: Option<String>,
}

impl StatusLine {
    /// Lines for statuses with their numbers of cards, in order.
    #[must_use]
    pub fn list(statuses: Vec<(Status, u64)>) -> Vec<Self> {
        let ids: Vec<String> = statuses.iter().map(|(status, _)| status.id.clone()).collect();
        let line = |(at, (status, cards)): (usize, (Status, u64))| {
            let up = (at > 0).then(|| at.checked_sub(2).map_or_else(String::new, |before| ids[before].clone()));
            let down = ids.get(at + 1).cloned();
            Self { status, cards, up, down }
        };
        statuses.into_iter().enumerate().map(line).collect()
    }
}

/// A label and how many cards wear it.
pub struct LabelLine {
    pub label: Label,
    pub cards: u64,
}

/// A field of the board.
pub struct FieldLine {
    pub id: String,
    pub label: String,
    /// Its name for webhooks and the API; it never changes.
    pub key: String,
}

impl BoardSettingsPage<'_> {
    /// What the input of `form` holds.
    #[must_use]
    pub fn shown<'p>(&'p self, form: &str, value: &'p str) -> &'p str {
        self.problem.as_ref().filter(|problem| problem.form == form).map_or(value, |problem| &problem.typed)
    }

    /// What is wrong with `form`.
    #[must_use]
    pub fn error(&self, form: &str) -> Option<&str> {
        self.problem.as_ref().filter(|problem| problem.form == form).map(|problem| problem.message.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_moves_one_place() {
        let status = |id: &str| (Status { id: id.into(), name: id.into(), shape: Shape::Todo }, 0);
        let lines = StatusLine::list(vec![status("a"), status("b"), status("c")]);
        let moves: Vec<_> = lines.iter().map(|line| (line.up.as_deref(), line.down.as_deref())).collect();
        assert_eq!(moves, [(None, Some("b")), (Some(""), Some("c")), (Some("a"), None)]);
    }
}
