//! Work: boards and cards. Pure: no HTTP, no clock, no disk of its own.
//!
//! A [`Command`] is decided against a consistent state by [`decide()`], which answers with [`Event`]s or a [`Refusal`];
//! [`apply()`] writes the events and what follows from them, and cannot refuse. [`change`] does both in one transaction.
//! Pages and the API read through [`read`].

mod apply;
mod board;
mod card;
mod check;
mod command;
mod decide;
mod event;
mod rank;
pub mod read;
mod refusal;
mod template;
#[cfg(test)]
mod tests;

pub use apply::apply;
pub use board::{Board, Field, Label, Status, StatusKind, Tally};
pub use card::{Card, CardState, Comment, FieldRef};
pub use check::check;
pub use command::{Command, NewCard, NewValue, Outcome, Place};
pub use decide::{decide, room_for_more};
pub use event::{Change, Decision, Event};
pub use rank::Rank;
pub use refusal::{Refusal, WorkError};
pub use template::Template;

use std::collections::BTreeMap;

use crate::{
    clock::Timestamp,
    ids::BoardId,
    store::{
        Shape, StoreError, Txn,
        history::{Actor, Room, append},
    },
};

/// What stands in the room's tables.
pub fn shapes() -> impl Iterator<Item = Shape> {
    board::SHAPES.into_iter().chain(card::SHAPES)
}

/// How long a card stays in the trash before it is erased.
pub const IN_TRASH: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

/// Lets receipt numbers go on above those that were given out: a number that a person may have written down is never given
/// to another card, not even after the board was put back from a generation.
///
/// # Errors
/// What the store says.
pub fn raise_numbers(txn: &Txn<'_>, given: &BTreeMap<BoardId, u64>) -> Result<(), StoreError> {
    for (id, last) in given {
        let tally = txn.reader().get(&board::TALLIES, id)?;
        if let Some(tally) = tally.filter(|tally| tally.last_number < *last) {
            txn.put(&board::TALLIES, id, &Tally { last_number: *last, ..tally })?;
        }
    }
    Ok(())
}

/// Decides a command and applies its events, in one transaction.
///
/// # Errors
/// A [`Refusal`], in which case nothing was written, or what the store says.
pub fn change(txn: &Txn<'_>, actor: Actor, at: Timestamp, command: &Command) -> Result<Outcome, WorkError> {
    let (decisions, outcome) = decide(txn.reader(), command)?;
    for Decision { event, text } in &decisions {
        let number = append(txn, at, actor, Room::Work, event)?;
        apply(txn, number, at, actor, event, text.as_deref())?;
    }
    Ok(outcome)
}
