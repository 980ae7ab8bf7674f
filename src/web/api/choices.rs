//! What of a board and its organization a request names: statuses and labels by id or name, members, fields by key.
//!
//! Looked up inside the transaction that changes them, so what was found is still there when it is used.

use super::{
    body::FieldValues,
    problem::{Fault, Problem},
};
use crate::{
    ids::{FieldId, LabelId, StatusId, UserId},
    people,
    store::{Read, StoreError},
    text::TextValue,
    work::{Board, Refusal, WorkError},
};

/// A status by id or name; `None` leaves a fault.
///
/// # Errors
/// 409 with those left, if it is the id of a status that the board has not, or no longer.
pub fn status(board: &Board, given: &str, faults: &mut Vec<Fault>) -> Result<Option<StatusId>, Problem> {
    let id = given.parse::<StatusId>().ok();
    if let Some(found) = board.statuses.iter().find(|status| Some(status.id) == id || status.name == given) {
        return Ok(Some(found.id));
    }
    if id.is_some() {
        let remaining = board.statuses.iter().map(|status| (status.id, status.name.clone())).collect();
        return Err(WorkError::from(Refusal::StatusGone { remaining }).into());
    }
    faults.push(Fault::unknown("status", given));
    Ok(None)
}

/// Labels by id or name, each once.
pub fn labels(board: &Board, given: &[String], faults: &mut Vec<Fault>) -> Vec<LabelId> {
    let mut found = Vec::with_capacity(given.len());
    for (at, given) in given.iter().enumerate() {
        let id = given.parse::<LabelId>().ok();
        match board.labels.iter().find(|label| Some(label.id) == id || label.name == *given) {
            Some(label) if found.contains(&label.id) => {}
            Some(label) => found.push(label.id),
            None => faults.push(Fault::unknown(&format!("labels[{at}]"), given)),
        }
    }
    found
}

/// Members by id, each once. Those of `standing` may have left.
///
/// # Errors
/// What the store says.
pub fn members(
    view: &dyn Read,
    given: &[UserId],
    standing: &[UserId],
    faults: &mut Vec<Fault>,
) -> Result<Vec<UserId>, StoreError> {
    let mut found = Vec::with_capacity(given.len());
    for (at, user) in given.iter().enumerate() {
        if found.contains(user) {
            continue;
        }
        if standing.contains(user) || people::member(view, *user)?.is_some_and(|member| member.left_at.is_none()) {
            found.push(*user);
        } else {
            faults.push(Fault::unknown(&format!("assignees[{at}]"), &user.to_string()));
        }
    }
    Ok(found)
}

/// Values of the board's fields.
pub fn values(board: &Board, given: &FieldValues, faults: &mut Vec<Fault>) -> Vec<(FieldId, Option<TextValue>)> {
    let mut found = Vec::with_capacity(given.0.len());
    for (key, value) in &given.0 {
        match board.fields.iter().find(|field| field.key == *key) {
            Some(field) => found.push((field.id, value.clone())),
            None => faults.push(Fault::unknown(&format!("fields.{key}"), key)),
        }
    }
    found
}
