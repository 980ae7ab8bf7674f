//! What the tables must say of each other.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{
    CardState,
    board::{BOARDS, CARDS_HELD, TALLIES, Tally},
    card::{ARCHIVE, CARDS, COLUMN, NUMBERS, TRASH},
};
use crate::{
    ids::{BoardId, StatusId},
    store::{Order, Read, Span, StoreError},
};

/// How many of a kind are told; more of the same say nothing new.
const TOLD_MAX: usize = 20;

#[derive(Default)]
struct Counted {
    columns: BTreeMap<StatusId, u64>,
    archived: u64,
    trashed: u64,
    last_number: u64,
}

/// Compares every card with the tables that point at it, and the counts with what is there. Returns what does not agree, in
/// words without content; nothing, if all does.
///
/// # Errors
/// What the store says.
pub fn check(view: &dyn Read) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut tell = |what: String| {
        if wrong.len() < TOLD_MAX {
            wrong.push(what);
        }
    };
    let mut boards: BTreeMap<BoardId, Counted> = BTreeMap::new();
    let mut cards = 0_u64;
    view.scan(&CARDS, &Span::all(), Order::Ascending, |id, card| {
        cards += 1;
        let counted = boards.entry(card.board).or_default();
        counted.last_number = counted.last_number.max(card.number);
        let listed = match card.state {
            CardState::Open => {
                *counted.columns.entry(card.status).or_default() += 1;
                view.has(&COLUMN, &(card.status, card.rank, id))?
            }
            CardState::Archived { at, .. } => {
                counted.archived += 1;
                view.has(&ARCHIVE, &(card.board, at, id))?
            }
            CardState::Trashed { at, .. } => {
                counted.trashed += 1;
                view.has(&TRASH, &(card.board, at, id))?
            }
        };
        if !listed {
            tell(format!("card {id} does not stand where its state says"));
        }
        if view.get(&NUMBERS, &(card.board, card.number))? != Some(id) {
            tell(format!("card {id}'s receipt number leads elsewhere"));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let held = view.get(&CARDS_HELD, &())?.unwrap_or_default();
    if held != cards {
        tell(format!("{held} cards are counted, {cards} are there"));
    }
    for (id, board) in view.list(&BOARDS, &Span::all(), Order::Ascending, usize::MAX)? {
        let tally = view.get(&TALLIES, &id)?.unwrap_or_default();
        let counted = boards.remove(&id).unwrap_or_default();
        let agree =
            |status: &StatusId| tally.column(*status) == counted.columns.get(status).copied().unwrap_or_default();
        if !board.statuses.iter().all(|status| agree(&status.id)) || !counted.columns.keys().all(agree) {
            tell(format!("board {id}'s columns are not counted as they are"));
        }
        let Tally { archived, trashed, last_number, .. } = tally;
        if (archived, trashed) != (counted.archived, counted.trashed) {
            tell(format!("board {id}'s archive and trash are not counted as they are"));
        }
        if last_number < counted.last_number {
            tell(format!("board {id} would give out a receipt number twice"));
        }
    }
    for id in boards.keys() {
        tell(format!("there are cards of a board {id}, which is not there"));
    }
    let mut stray = 0_u64;
    view.scan(&COLUMN, &Span::all(), Order::Ascending, |(_, _, card), ()| {
        stray += u64::from(!view.has(&CARDS, &card)?);
        Ok(ControlFlow::Continue(()))
    })?;
    if stray > 0 {
        tell(format!("{stray} places in columns lead to no card"));
    }
    Ok(wrong)
}
