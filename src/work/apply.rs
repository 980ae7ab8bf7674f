//! Applying: an event becomes the tables' present. Cannot refuse; it fails only if the store does.

use super::{
    Board, Card, CardState, Change, Comment, Event, FieldRef, Tally,
    board::{BOARDS, CARDS_HELD, TALLIES},
    card::{ARCHIVE, CARDS, COLUMN, COMMENTS, NUMBERS, TEXTS, TIMELINE, TRASH},
};
use crate::{
    clock::Timestamp,
    ids::{BoardId, CardId, StatusId},
    store::{
        Order, Span, StoreError, Txn,
        history::{Actor, redact},
    },
};

/// What an event is applied with.
struct Occasion<'t, 'd> {
    txn: &'t Txn<'d>,
    number: u64,
    at: Timestamp,
    actor: Actor,
}

/// Writes `event`, which has been appended to the history as `number`, and the long `text` that it brings.
///
/// # Errors
/// What the store says; [`StoreError::Damaged`] if the event speaks of something that is not there.
pub fn apply(
    txn: &Txn<'_>,
    number: u64,
    at: Timestamp,
    actor: Actor,
    event: &Event,
    text: Option<&str>,
) -> Result<(), StoreError> {
    if let Some(text) = text {
        txn.put(&TEXTS, &number, &text.to_owned())?;
    }
    if let Some(card) = event.card() {
        txn.put(&TIMELINE, &(card, number), &())?;
    }
    let occasion = Occasion { txn, number, at, actor };
    match event {
        Event::BoardCreated(board) => {
            txn.put(&BOARDS, &board.id, board)?;
            occasion.tally(board.id, |_| {})
        }
        Event::CardCreated { .. }
        | Event::CardChanged { .. }
        | Event::CardMoved { .. }
        | Event::CardAssigned { .. }
        | Event::CardLabelled { .. }
        | Event::Commented { .. }
        | Event::CardArchived { .. }
        | Event::CardTrashed { .. }
        | Event::CardRestored { .. }
        | Event::CardErased { .. }
        | Event::ColumnSpread { .. } => occasion.card_event(event),
        _ => occasion.board_event(event),
    }
}

fn missing(what: &'static str) -> StoreError {
    StoreError::Damaged { place: what, reason: "an event speaks of something that is not there".to_owned() }
}

impl Occasion<'_, '_> {
    fn tally(&self, board: BoardId, change: impl FnOnce(&mut Tally)) -> Result<(), StoreError> {
        let mut tally = self.txn.reader().get(&TALLIES, &board)?.unwrap_or_default();
        change(&mut tally);
        tally.event = self.number;
        tally.changed_at = self.at;
        self.txn.put(&TALLIES, &board, &tally)
    }

    fn count_cards(&self, more: i64) -> Result<(), StoreError> {
        let held = self.txn.reader().get(&CARDS_HELD, &())?.unwrap_or_default();
        self.txn.put(&CARDS_HELD, &(), &held.saturating_add_signed(more))
    }

    fn board(&self, id: BoardId, change: impl FnOnce(&mut Board)) -> Result<(), StoreError> {
        let mut board = self.txn.reader().get(&BOARDS, &id)?.ok_or_else(|| missing("boards"))?;
        change(&mut board);
        self.txn.put(&BOARDS, &id, &board)?;
        self.tally(id, |_| {})
    }

    fn card(&self, id: CardId) -> Result<Card, StoreError> {
        self.txn.reader().get(&CARDS, &id)?.ok_or_else(|| missing("cards"))
    }

    /// Stores a changed card; `scalar` says which of its values changed.
    fn keep(&self, mut card: Card, scalar: Option<FieldRef>) -> Result<(), StoreError> {
        card.version += 1;
        card.updated_at = self.at;
        card.updated_by = self.actor;
        if let Some(scalar) = scalar {
            card.touched.retain(|(field, _)| *field != scalar);
            card.touched.push((scalar, card.version));
        }
        self.txn.put(&CARDS, &card.id, &card)
    }

    fn board_event(&self, event: &Event) -> Result<(), StoreError> {
        self.board(event.board(), |board| match event {
            Event::BoardRenamed { to, .. } => board.name.clone_from(to),
            Event::StatusAdded { status, .. } => board.statuses.push(status.clone()),
            Event::StatusChanged { status, name, kind, .. } => {
                if let Some(found) = board.statuses.iter_mut().find(|known| known.id == *status) {
                    found.name.clone_from(name);
                    found.kind = *kind;
                }
            }
            Event::StatusMoved { status, after, .. } => {
                if let Some(from) = board.statuses.iter().position(|known| known.id == *status) {
                    let moved = board.statuses.remove(from);
                    let at = after
                        .and_then(|id| board.statuses.iter().position(|known| known.id == id))
                        .map_or(0, |at| at + 1);
                    board.statuses.insert(at, moved);
                }
            }
            Event::StatusRemoved { status, .. } => board.statuses.retain(|known| known.id != *status),
            Event::FieldAdded { field, .. } => board.fields.push(field.clone()),
            Event::FieldRenamed { field, label, .. } => {
                if let Some(found) = board.fields.iter_mut().find(|known| known.id == *field) {
                    found.label.clone_from(label);
                }
            }
            Event::FieldRemoved { field, .. } => board.fields.retain(|known| known.id != *field),
            Event::LabelAdded { label, .. } => board.labels.push(label.clone()),
            Event::LabelChanged { label, .. } => {
                if let Some(found) = board.labels.iter_mut().find(|known| known.id == label.id) {
                    found.clone_from(label);
                }
            }
            Event::LabelRemoved { label, .. } => board.labels.retain(|known| known.id != *label),
            Event::GuestAdmitted { user, .. } => board.guests.push(*user),
            Event::GuestDismissed { user, .. } => board.guests.retain(|known| known != user),
            Event::BoardArchived { on, .. } => board.archived_at = on.then_some(self.at),
            _ => {}
        })
    }

    fn card_event(&self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::CardCreated {
                card: id,
                board,
                number,
                title,
                status,
                rank,
                assignees,
                labels,
                due,
                values,
                has_body,
                delivery,
                ..
            } => {
                let card = Card {
                    id: *id,
                    board: *board,
                    number: *number,
                    title: title.clone(),
                    status: *status,
                    rank: *rank,
                    state: CardState::Open,
                    assignees: assignees.clone(),
                    labels: labels.clone(),
                    due: *due,
                    values: values.clone(),
                    body: has_body.then_some(self.number),
                    created_at: self.at,
                    created_by: self.actor,
                    updated_at: self.at,
                    updated_by: self.actor,
                    version: 1,
                    touched: Vec::new(),
                    comments: 0,
                    attention: self.number,
                    attention_by: self.actor,
                    delivery: *delivery,
                };
                self.txn.put(&CARDS, id, &card)?;
                self.txn.put(&COLUMN, &(*status, *rank, *id), &())?;
                self.txn.put(&NUMBERS, &(*board, *number), id)?;
                self.count_cards(1)?;
                self.tally(*board, |tally| {
                    tally.last_number = tally.last_number.max(*number);
                    tally.add(*status, 1);
                })
            }
            Event::CardChanged { card: id, board, change } => {
                let mut card = self.card(*id)?;
                let scalar = match change {
                    Change::Title { to, .. } => {
                        card.title.clone_from(to);
                        FieldRef::Title
                    }
                    Change::Body { empty, .. } => {
                        card.body = (!empty).then_some(self.number);
                        FieldRef::Body
                    }
                    Change::Due { to, .. } => {
                        card.due = *to;
                        FieldRef::Due
                    }
                    Change::Value { field, to, .. } => {
                        card.values.retain(|(id, _)| id != field);
                        if !to.is_empty() {
                            card.values.push((*field, to.clone()));
                        }
                        FieldRef::Value(*field)
                    }
                };
                self.keep(card, Some(scalar))?;
                self.tally(*board, |_| {})
            }
            Event::CardMoved { card: id, board, from, to, rank, .. } => {
                let mut card = self.card(*id)?;
                self.txn.delete(&COLUMN, &(card.status, card.rank, *id))?;
                (card.status, card.rank) = (*to, *rank);
                self.txn.put(&COLUMN, &(*to, *rank, *id), &())?;
                self.keep(card, None)?;
                self.tally(*board, |tally| {
                    tally.add(*from, -1);
                    tally.add(*to, 1);
                })
            }
            Event::CardAssigned { card: id, board, user, on } => {
                let mut card = self.card(*id)?;
                card.assignees.retain(|known| known != user);
                if *on {
                    card.assignees.push(*user);
                }
                self.keep(card, None)?;
                self.tally(*board, |_| {})
            }
            Event::CardLabelled { card: id, board, label, on, .. } => {
                let mut card = self.card(*id)?;
                card.labels.retain(|known| known != label);
                if *on {
                    card.labels.push(*label);
                }
                self.keep(card, None)?;
                self.tally(*board, |_| {})
            }
            Event::Commented { card: id, board, comment } => {
                let mut card = self.card(*id)?;
                card.comments += 1;
                (card.attention, card.attention_by) = (self.number, self.actor);
                self.txn.put(
                    &COMMENTS,
                    &(*id, *comment),
                    &Comment { by: self.actor, at: self.at, text: self.number },
                )?;
                self.keep(card, None)?;
                self.tally(*board, |_| {})
            }
            Event::CardArchived { card, board } => {
                let card = self.card(*card)?;
                self.put_away(card, CardState::Archived { by: self.actor, at: self.at }, *board)
            }
            Event::CardTrashed { card, board } => {
                let card = self.card(*card)?;
                self.put_away(card, CardState::Trashed { by: self.actor, at: self.at }, *board)
            }
            Event::CardRestored { card, board, status, rank } => {
                let card = self.card(*card)?;
                let target = Card { status: *status, rank: *rank, ..card };
                self.put_away(target, CardState::Open, *board)
            }
            Event::CardErased { card, board, .. } => {
                self.erase(*card, *board)?;
                self.count_cards(-1)
            }
            Event::ColumnSpread { ranks, .. } => {
                for (id, rank) in ranks {
                    let mut card = self.card(*id)?;
                    self.txn.delete(&COLUMN, &(card.status, card.rank, *id))?;
                    card.rank = *rank;
                    self.txn.put(&COLUMN, &(card.status, *rank, *id), &())?;
                    // Nobody changed the card: its version stands.
                    self.txn.put(&CARDS, id, &card)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a card out of every table, and its content out of the history; the chain of hashes stands.
    fn erase(&self, id: CardId, board: BoardId) -> Result<(), StoreError> {
        let card = self.card(id)?;
        let reader = self.txn.reader();
        for ((_, number), ()) in reader.list(&TIMELINE, &Span::under(&id), Order::Ascending, usize::MAX)? {
            redact(self.txn, number)?;
            self.txn.delete(&TEXTS, &number)?;
            self.txn.delete(&TIMELINE, &(id, number))?;
        }
        for (key, _) in reader.list(&COMMENTS, &Span::under(&id), Order::Ascending, usize::MAX)? {
            self.txn.delete(&COMMENTS, &key)?;
        }
        if let CardState::Trashed { at, .. } = card.state {
            self.txn.delete(&TRASH, &(board, at, id))?;
        }
        self.txn.delete(&NUMBERS, &(board, card.number))?;
        self.txn.delete(&CARDS, &id)?;
        self.tally(board, |tally| tally.trashed = tally.trashed.saturating_sub(1))
    }

    /// Takes a card out of the list that its old state stands in and puts it into the one of its new state.
    fn put_away(&self, mut card: Card, state: CardState, board: BoardId) -> Result<(), StoreError> {
        let old = std::mem::replace(&mut card.state, state);
        match old {
            CardState::Open => self.txn.delete(&COLUMN, &(card.status, card.rank, card.id))?,
            CardState::Archived { at, .. } => self.txn.delete(&ARCHIVE, &(board, at, card.id))?,
            CardState::Trashed { at, .. } => self.txn.delete(&TRASH, &(board, at, card.id))?,
        }
        match state {
            CardState::Open => self.txn.put(&COLUMN, &(card.status, card.rank, card.id), &())?,
            CardState::Archived { at, .. } => self.txn.put(&ARCHIVE, &(board, at, card.id), &())?,
            CardState::Trashed { at, .. } => self.txn.put(&TRASH, &(board, at, card.id), &())?,
        }
        let status: StatusId = card.status;
        self.keep(card, None)?;
        self.tally(board, |tally| {
            for (state, by) in [(old, -1), (state, 1)] {
                match state {
                    CardState::Open => tally.add(status, by),
                    CardState::Archived { .. } => tally.archived = tally.archived.saturating_add_signed(by),
                    CardState::Trashed { .. } => tally.trashed = tally.trashed.saturating_add_signed(by),
                }
            }
        })
    }
}
