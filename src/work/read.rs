//! Reading boards and cards, for pages and the API.

use std::collections::BTreeMap;

use super::{
    Board, Card, Comment, Event, Tally,
    board::{BOARDS, CARDS_HELD, TALLIES},
    card::{ARCHIVE, CARDS, COLUMN, COMMENTS, NUMBERS, SEEN, TEXTS, TIMELINE, TRASH},
};
use crate::{
    clock::Timestamp,
    ids::{BoardId, CardId, CommentId, StatusId, UserId},
    store::{
        Order, Read, Span, StoreError, Txn,
        history::{self, Entry, Room},
    },
};

type Stored<T> = Result<T, StoreError>;

/// All boards, oldest first.
///
/// # Errors
/// What the store says; so with every function here.
pub fn boards(view: &dyn Read) -> Stored<Vec<Board>> {
    Ok(view.list(&BOARDS, &Span::all(), Order::Ascending, usize::MAX)?.into_iter().map(|(_, board)| board).collect())
}

/// One board.
///
/// # Errors
/// What the store says.
pub fn board(view: &dyn Read, id: BoardId) -> Stored<Option<Board>> {
    view.get(&BOARDS, &id)
}

/// A board's counts.
///
/// # Errors
/// What the store says.
pub fn tally(view: &dyn Read, id: BoardId) -> Stored<Tally> {
    Ok(view.get(&TALLIES, &id)?.unwrap_or_default())
}

/// The last receipt number of every board.
///
/// # Errors
/// What the store says.
pub fn last_numbers(view: &dyn Read) -> Stored<BTreeMap<BoardId, u64>> {
    let tallies = view.list(&TALLIES, &Span::all(), Order::Ascending, usize::MAX)?;
    Ok(tallies.into_iter().map(|(board, tally)| (board, tally.last_number)).collect())
}

/// How many cards the organization has, archive and trash included.
///
/// # Errors
/// What the store says.
pub fn cards_held(view: &dyn Read) -> Stored<u64> {
    Ok(view.get(&CARDS_HELD, &())?.unwrap_or_default())
}

/// One card, whatever its state.
///
/// # Errors
/// What the store says.
pub fn card(view: &dyn Read, id: CardId) -> Stored<Option<Card>> {
    view.get(&CARDS, &id)
}

/// The cards of a column from the top, after the card `after` if it still stands there, at most `limit`.
///
/// # Errors
/// What the store says.
pub fn column(view: &dyn Read, status: StatusId, after: Option<&Card>, limit: usize) -> Stored<Vec<Card>> {
    let mut span = Span::under(&status);
    if let Some(card) = after.filter(|card| card.status == status) {
        span = span.after(&(status, card.rank, card.id));
    }
    let keys = view.list(&COLUMN, &span, Order::Ascending, limit)?;
    cards_of(view, keys.into_iter().map(|((_, _, card), ())| card))
}

/// The card that stands directly above `card` in its column.
///
/// # Errors
/// What the store says.
pub fn above(view: &dyn Read, card: &Card) -> Stored<Option<CardId>> {
    let span = Span::under(&card.status).before(&(card.status, card.rank, card.id));
    Ok(view.last(&COLUMN, &span)?.map(|((_, _, id), ())| id))
}

/// The card that stands directly below `card` in its column.
///
/// # Errors
/// What the store says.
pub fn below(view: &dyn Read, card: &Card) -> Stored<Option<CardId>> {
    let span = Span::under(&card.status).after(&(card.status, card.rank, card.id));
    Ok(view.first(&COLUMN, &span)?.map(|((_, _, id), ())| id))
}

/// Cards of a board by receipt number, newest first, those before `before`, at most `limit`, whatever their state.
///
/// # Errors
/// What the store says.
pub fn newest(view: &dyn Read, board: BoardId, before: Option<u64>, limit: usize) -> Stored<Vec<Card>> {
    let mut span = Span::under(&board);
    if let Some(number) = before {
        span = span.before(&(board, number));
    }
    let numbers = view.list(&NUMBERS, &span, Order::Descending, limit)?;
    cards_of(view, numbers.into_iter().map(|(_, card)| card))
}

/// Cards put away, latest first.
///
/// # Errors
/// What the store says.
pub fn archived(view: &dyn Read, board: BoardId, limit: usize) -> Stored<Vec<Card>> {
    let keys = view.list(&ARCHIVE, &Span::under(&board), Order::Descending, limit)?;
    cards_of(view, keys.into_iter().map(|((_, _, card), ())| card))
}

/// Cards in the trash, latest first.
///
/// # Errors
/// What the store says.
pub fn trashed(view: &dyn Read, board: BoardId, limit: usize) -> Stored<Vec<Card>> {
    let keys = view.list(&TRASH, &Span::under(&board), Order::Descending, limit)?;
    cards_of(view, keys.into_iter().map(|((_, _, card), ())| card))
}

/// Cards that have been in the trash since before `limit`, at most `count`.
///
/// # Errors
/// What the store says.
pub fn trashed_before(view: &dyn Read, limit: Timestamp, count: usize) -> Stored<Vec<Card>> {
    let mut old = Vec::new();
    for board in boards(view)? {
        let span = Span::under(&board.id).before(&(board.id, limit));
        let keys = view.list(&TRASH, &span, Order::Ascending, count - old.len())?;
        old.extend(cards_of(view, keys.into_iter().map(|((_, _, card), ())| card))?);
        if old.len() >= count {
            break;
        }
    }
    Ok(old)
}

fn cards_of(view: &dyn Read, ids: impl Iterator<Item = CardId>) -> Stored<Vec<Card>> {
    ids.filter_map(|id| view.get(&CARDS, &id).transpose()).collect()
}

/// A long text by its number; empty if it was purged.
///
/// # Errors
/// What the store says.
pub fn text(view: &dyn Read, number: u64) -> Stored<String> {
    Ok(view.get(&TEXTS, &number)?.unwrap_or_default())
}

/// A comment.
///
/// # Errors
/// What the store says.
pub fn comment(view: &dyn Read, card: CardId, id: CommentId) -> Stored<Option<Comment>> {
    view.get(&COMMENTS, &(card, id))
}

/// A card's events after the number `after`, oldest first, at most `limit`.
///
/// # Errors
/// What the store says.
pub fn timeline(view: &dyn Read, card: CardId, after: u64, limit: usize) -> Stored<Vec<Entry<Event>>> {
    let span = Span::under(&card).after(&(card, after));
    let numbers = view.list(&TIMELINE, &span, Order::Ascending, limit)?;
    numbers.into_iter().filter_map(|((_, number), ())| history::read(view, Room::Work, number).transpose()).collect()
}

/// Whether something on a card is news to a member: it was made or commented by somebody else since they looked.
///
/// # Errors
/// What the store says.
pub fn unread(view: &dyn Read, user: UserId, joined: u64, card: &Card) -> Stored<bool> {
    if card.attention <= joined || card.attention_by.user() == Some(user) {
        return Ok(false);
    }
    Ok(view.get(&SEEN, &(user, card.id))?.unwrap_or(0) < card.attention)
}

/// Notes that a member has seen a card up to the event `number`.
///
/// # Errors
/// What the store says.
pub fn mark_seen(txn: &Txn<'_>, user: UserId, card: CardId, number: u64) -> Stored<()> {
    if txn.reader().get(&SEEN, &(user, card))?.unwrap_or(0) >= number {
        return Ok(());
    }
    txn.put(&SEEN, &(user, card), &number)
}
