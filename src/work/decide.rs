//! Deciding: a command and a state in, events or a refusal out. Reads only.

use super::{
    Board, Card, CardState, Change, Command, Decision, Event, Field, Label, NewCard, NewValue, Outcome, Place, Rank,
    Refusal, Status, WorkError,
    board::{BOARDS, CARDS_HELD, TALLIES},
    card::{CARDS, COLUMN, TEXTS},
};
use crate::{
    ids::{BoardId, CardId, StatusId, UserId},
    limits, people,
    store::{self, Order, Read, Span},
    text::Comment,
};

type Decided = Result<(Vec<Decision>, Outcome), WorkError>;

fn done(event: Event) -> Decided {
    Ok((vec![event.into()], Outcome::Done))
}

fn nothing() -> Decided {
    Ok((Vec::new(), Outcome::Done))
}

fn board(view: &dyn Read, id: BoardId) -> Result<Board, WorkError> {
    view.get(&BOARDS, &id)?.ok_or(WorkError::Refused(Refusal::NotFound { what: "board" }))
}

fn card(view: &dyn Read, id: CardId) -> Result<Card, WorkError> {
    view.get(&CARDS, &id)?.ok_or(WorkError::Refused(Refusal::NotFound { what: "card" }))
}

/// A card that may be changed: not in the trash.
fn live_card(view: &dyn Read, id: CardId) -> Result<Card, WorkError> {
    let card = card(view, id)?;
    if matches!(card.state, CardState::Trashed { .. }) {
        return Err(Refusal::Trashed.into());
    }
    Ok(card)
}

/// Decides `command`. Whether the asker may ask at all was settled by the role in the
/// handler's signature; what is checked here is the state of the boards.
///
/// # Errors
/// A [`Refusal`], or what the store says.
pub fn decide(view: &dyn Read, command: &Command) -> Decided {
    if command.brings_content() {
        room_for_more(view)?;
    }
    match command {
        Command::CreateBoard(new) => create_board(view, new),
        Command::CreateCard(new) => create_card(view, new),
        Command::SetValues { card, values, based_on, whole } => set_values(view, *card, values, *based_on, *whole),
        Command::MoveCard { card, status, place } => move_card(view, *card, *status, *place),
        Command::Assign { card, user, on } => assign(view, *card, *user, *on),
        Command::Label { card: id, label, on } => {
            let card = live_card(view, *id)?;
            let board = board(view, card.board)?;
            let name = match board.label(*label) {
                Some(label) => label.name.clone(),
                None if *on => return Err(Refusal::NotFound { what: "label" }.into()),
                None => String::new(),
            };
            if card.labels.contains(label) == *on {
                return Ok((Vec::new(), Outcome::Card(Box::new(card))));
            }
            done(Event::CardLabelled { card: *id, board: card.board, label: *label, name, on: *on })
        }
        Command::Comment { card: id, id: comment, text } => {
            let card = live_card(view, *id)?;
            let event = Event::Commented { card: *id, board: card.board, comment: *comment };
            Ok((vec![Decision { event, text: Some(text.as_str().to_owned()) }], Outcome::Done))
        }
        Command::Archive { card: id } => {
            let card = live_card(view, *id)?;
            if !card.is_open() {
                return nothing();
            }
            done(Event::CardArchived { card: *id, board: card.board })
        }
        Command::Trash { card: id } => match card(view, *id)? {
            card if matches!(card.state, CardState::Trashed { .. }) => nothing(),
            card => done(Event::CardTrashed { card: *id, board: card.board }),
        },
        Command::Restore { card: id } => restore(view, *id),
        Command::Erase { card: id } => match card(view, *id)? {
            card if matches!(card.state, CardState::Trashed { .. }) => {
                done(Event::CardErased { card: *id, board: card.board, number: card.number })
            }
            _ => Err(Refusal::NotFound { what: "card in the trash" }.into()),
        },
        shape => shape_board(view, shape),
    }
}

/// Whether the organization may hold more than it does.
///
/// # Errors
/// [`Refusal::Quota`], or what the store says.
pub fn room_for_more(view: &dyn Read) -> Result<(), WorkError> {
    let max = people::quotas(view)?.bytes;
    if store::bytes_held(view)? < max { Ok(()) } else { Err(Refusal::Quota { what: "bytes", max }.into()) }
}

/// Commands that change the board itself.
fn shape_board(view: &dyn Read, command: &Command) -> Decided {
    match command {
        Command::RenameBoard { board: id, name } => {
            let board = board(view, *id)?;
            if board.name == name.as_str() {
                return nothing();
            }
            done(Event::BoardRenamed { board: *id, from: board.name, to: name.as_str().to_owned() })
        }
        Command::AddStatus { board: id, id: status, name, kind } => {
            let board = board(view, *id)?;
            if board.statuses.len() >= limits::STATUSES_MAX {
                return Err(Refusal::Limit { what: "statuses", max: limits::STATUSES_MAX }.into());
            }
            untaken("name", name.as_str(), board.statuses.iter().map(|status| status.name.as_str()))?;
            let status = Status { id: *status, name: name.as_str().to_owned(), kind: *kind };
            done(Event::StatusAdded { board: *id, status })
        }
        Command::ChangeStatus { board: id, id: status, name, kind } => {
            let board = board(view, *id)?;
            board.status(*status).ok_or(Refusal::NotFound { what: "status" })?;
            let others = board.statuses.iter().filter(|other| other.id != *status);
            untaken("name", name.as_str(), others.map(|other| other.name.as_str()))?;
            done(Event::StatusChanged { board: *id, status: *status, name: name.as_str().to_owned(), kind: *kind })
        }
        Command::MoveStatus { board: id, id: status, after } => {
            let board = board(view, *id)?;
            for known in [Some(*status), *after].into_iter().flatten() {
                board.status(known).ok_or(Refusal::NotFound { what: "status" })?;
            }
            if *after == Some(*status) {
                return nothing();
            }
            done(Event::StatusMoved { board: *id, status: *status, after: *after })
        }
        Command::RemoveStatus { board: id, id: status } => {
            let board = board(view, *id)?;
            board.status(*status).ok_or(Refusal::NotFound { what: "status" })?;
            if board.statuses.len() == 1 {
                return Err(Refusal::LastStatus.into());
            }
            let cards = view.get(&TALLIES, id)?.unwrap_or_default().column(*status);
            if cards > 0 {
                return Err(Refusal::StatusInUse { cards }.into());
            }
            done(Event::StatusRemoved { board: *id, status: *status })
        }
        Command::AddField { board: id, id: field, key, label } => {
            let board = board(view, *id)?;
            if board.fields.len() >= limits::FIELDS_MAX {
                return Err(Refusal::Limit { what: "fields", max: limits::FIELDS_MAX }.into());
            }
            untaken("key", key.as_str(), board.fields.iter().map(|field| field.key.as_str()))?;
            let field = Field { id: *field, key: key.as_str().to_owned(), label: label.as_str().to_owned() };
            done(Event::FieldAdded { board: *id, field })
        }
        Command::RenameField { board: id, id: field, label } => {
            board(view, *id)?.field(*field).ok_or(Refusal::NotFound { what: "field" })?;
            done(Event::FieldRenamed { board: *id, field: *field, label: label.as_str().to_owned() })
        }
        Command::RemoveField { board: id, id: field } => {
            board(view, *id)?.field(*field).ok_or(Refusal::NotFound { what: "field" })?;
            done(Event::FieldRemoved { board: *id, field: *field })
        }
        Command::AddLabel { board: id, id: label, name, hue } => {
            let board = board(view, *id)?;
            if board.labels.len() >= limits::LABELS_MAX {
                return Err(Refusal::Limit { what: "labels", max: limits::LABELS_MAX }.into());
            }
            untaken("name", name.as_str(), board.labels.iter().map(|label| label.name.as_str()))?;
            let label = Label { id: *label, name: name.as_str().to_owned(), hue: hue_of(*hue)? };
            done(Event::LabelAdded { board: *id, label })
        }
        Command::ChangeLabel { board: id, id: label, name, hue } => {
            let board = board(view, *id)?;
            board.label(*label).ok_or(Refusal::NotFound { what: "label" })?;
            let others = board.labels.iter().filter(|other| other.id != *label);
            untaken("name", name.as_str(), others.map(|other| other.name.as_str()))?;
            let label = Label { id: *label, name: name.as_str().to_owned(), hue: hue_of(*hue)? };
            done(Event::LabelChanged { board: *id, label })
        }
        Command::RemoveLabel { board: id, id: label } => {
            board(view, *id)?.label(*label).ok_or(Refusal::NotFound { what: "label" })?;
            done(Event::LabelRemoved { board: *id, label: *label })
        }
        Command::ArchiveBoard { board: id, on } => {
            if board(view, *id)?.archived_at.is_some() == *on {
                return nothing();
            }
            done(Event::BoardArchived { board: *id, on: *on })
        }
        Command::AdmitGuest { board: id, user, on } => {
            let board = board(view, *id)?;
            if board.guests.contains(user) == *on {
                return nothing();
            }
            if *on {
                member(view, *user)?;
                return done(Event::GuestAdmitted { board: *id, user: *user });
            }
            done(Event::GuestDismissed { board: *id, user: *user })
        }
        _ => nothing(),
    }
}

fn untaken<'n>(field: &'static str, name: &str, mut taken: impl Iterator<Item = &'n str>) -> Result<(), Refusal> {
    if taken.any(|other| other == name) { Err(Refusal::Taken { field, value: name.to_owned() }) } else { Ok(()) }
}

fn hue_of(hue: u8) -> Result<u8, Refusal> {
    if (1..=6).contains(&hue) { Ok(hue) } else { Err(Refusal::Unknown { field: "hue", value: hue.to_string() }) }
}

fn member(view: &dyn Read, user: UserId) -> Result<(), WorkError> {
    match people::member(view, user)? {
        Some(member) if member.left_at.is_none() => Ok(()),
        _ => Err(Refusal::NotFound { what: "member" }.into()),
    }
}

fn create_board(view: &dyn Read, new: &Board) -> Decided {
    if view.has(&BOARDS, &new.id)? {
        return Err(Refusal::Taken { field: "id", value: new.id.to_string() }.into());
    }
    if view.list(&BOARDS, &Span::all(), Order::Ascending, limits::BOARDS_MAX)?.len() >= limits::BOARDS_MAX {
        return Err(Refusal::Limit { what: "boards", max: limits::BOARDS_MAX }.into());
    }
    if new.statuses.is_empty() {
        return Err(Refusal::LastStatus.into());
    }
    for (what, count, max) in
        [("statuses", new.statuses.len(), limits::STATUSES_MAX), ("fields", new.fields.len(), limits::FIELDS_MAX)]
    {
        if count > max {
            return Err(Refusal::Limit { what, max }.into());
        }
    }
    for (at, field) in new.fields.iter().enumerate() {
        untaken("fields", &field.key, new.fields[..at].iter().map(|earlier| earlier.key.as_str()))?;
    }
    for (at, status) in new.statuses.iter().enumerate() {
        untaken("statuses", &status.name, new.statuses[..at].iter().map(|earlier| earlier.name.as_str()))?;
    }
    done(Event::BoardCreated(new.clone()))
}

fn status_of(board: &Board, id: StatusId) -> Result<&Status, Refusal> {
    board.status(id).ok_or_else(|| Refusal::StatusGone {
        remaining: board.statuses.iter().map(|status| (status.id, status.name.clone())).collect(),
    })
}

/// A rank at a place of a column, and the event that makes room if there is none.
fn rank_at(
    view: &dyn Read,
    board: BoardId,
    status: StatusId,
    place: Place,
    moving: Option<CardId>,
) -> Result<(Rank, Option<Event>), WorkError> {
    let column = Span::under(&status);
    let first_of = |span: &Span, order| -> Result<Option<(Rank, CardId)>, WorkError> {
        // One more than needed, since the card that moves does not count as its own neighbour.
        let near = view.list(&COLUMN, span, order, 2)?;
        Ok(near.into_iter().map(|((_, rank, card), ())| (rank, card)).find(|(_, card)| Some(*card) != moving))
    };
    let (above, below) = match place {
        Place::Top => (None, first_of(&column, Order::Ascending)?),
        Place::Bottom => (first_of(&column, Order::Descending)?, None),
        Place::After(id) => match view.get(&CARDS, &id)? {
            Some(anchor) if anchor.status == status && anchor.is_open() && Some(id) != moving => {
                let rest = column.after(&(status, anchor.rank, anchor.id));
                (Some((anchor.rank, anchor.id)), first_of(&rest, Order::Ascending)?)
            }
            _ => (None, first_of(&column, Order::Ascending)?),
        },
    };
    if let Some(rank) = Rank::between(above.map(|(rank, _)| rank), below.map(|(rank, _)| rank)) {
        return Ok((rank, None));
    }
    // The neighbours touch. Those below are spread a stride apart, which leaves room for the one that comes.
    let after = above.map(|(rank, card)| (status, rank, card));
    let span = after.map_or_else(|| Span::under(&status), |key| Span::under(&status).after(&key));
    let crowd: Vec<CardId> = view
        .list(&COLUMN, &span, Order::Ascending, usize::MAX)?
        .into_iter()
        .map(|((_, _, card), ())| card)
        .filter(|card| Some(*card) != moving)
        .collect();
    let mut ranks = Rank::spread(above.map(|(rank, _)| rank), crowd.len() + 1);
    let rank = ranks.next().ok_or(Refusal::NotFound { what: "card" })?;
    Ok((rank, Some(Event::ColumnSpread { board, ranks: crowd.into_iter().zip(ranks).collect() })))
}

fn create_card(view: &dyn Read, new: &NewCard) -> Decided {
    let board = board(view, new.board)?;
    let status = match new.status {
        Some(id) => status_of(&board, id)?,
        None => board.leftmost(),
    };
    if view.has(&CARDS, &new.id)? {
        return Err(Refusal::Taken { field: "id", value: new.id.to_string() }.into());
    }
    for user in &new.assignees {
        member(view, *user)?;
    }
    for label in &new.labels {
        board.label(*label).ok_or(Refusal::NotFound { what: "label" })?;
    }
    for (field, _) in &new.values {
        board.field(*field).ok_or(Refusal::NotFound { what: "field" })?;
    }
    let max = people::quotas(view)?.cards;
    if view.get(&CARDS_HELD, &())?.unwrap_or_default() >= max {
        return Err(Refusal::Quota { what: "cards", max }.into());
    }
    let number = view.get(&TALLIES, &new.board)?.unwrap_or_default().last_number + 1;
    let (rank, room) = rank_at(view, new.board, status.id, new.place, None)?;
    let created = Event::CardCreated {
        card: new.id,
        board: new.board,
        number,
        title: new.title.as_str().to_owned(),
        status: status.id,
        status_name: status.name.clone(),
        rank,
        assignees: new.assignees.clone(),
        labels: new.labels.clone(),
        due: new.due,
        values: new.values.iter().map(|(field, value)| (*field, value.as_str().to_owned())).collect(),
        has_body: new.body.is_some(),
        delivery: new.delivery,
    };
    let mut decisions: Vec<Decision> = room.into_iter().map(Decision::from).collect();
    decisions.push(Decision { event: created, text: new.body.as_ref().map(|body| body.as_str().to_owned()) });
    Ok((decisions, Outcome::Created { card: new.id, number }))
}

fn set_values(view: &dyn Read, id: CardId, values: &[NewValue], based_on: Option<u64>, whole: bool) -> Decided {
    let card = live_card(view, id)?;
    if whole && based_on.is_some_and(|version| version != card.version) {
        return Err(Refusal::Stale { card: Box::new(card) }.into());
    }
    let board = board(view, card.board)?;
    let mut decisions = Vec::new();
    for value in values {
        let field = value.field();
        let Some((change, theirs, text)) = change_of(view, &board, &card, value)? else { continue };
        if based_on.is_some_and(|version| card.touched(field) > version) {
            return Err(Refusal::Conflict { field, theirs, card: Box::new(card) }.into());
        }
        decisions.push(Decision { event: Event::CardChanged { card: id, board: card.board, change }, text });
    }
    let outcome = Outcome::Card(Box::new(card));
    Ok((decisions, outcome))
}

/// The change that a new value makes, the value that stands now, and the long text it brings; `None` if nothing changes.
fn change_of(
    view: &dyn Read,
    board: &Board,
    card: &Card,
    value: &NewValue,
) -> Result<Option<(Change, String, Option<String>)>, WorkError> {
    Ok(match value {
        NewValue::Title(to) => (card.title != to.as_str()).then(|| {
            (Change::Title { from: card.title.clone(), to: to.as_str().to_owned() }, card.title.clone(), None)
        }),
        NewValue::Body(to) => {
            let from = card.body.map(|number| view.get(&TEXTS, &number)).transpose()?.flatten().unwrap_or_default();
            let text = to.as_ref().map_or("", Comment::as_str);
            (from != text)
                .then(|| (Change::Body { from: card.body, empty: text.is_empty() }, from, Some(text.to_owned())))
        }
        NewValue::Due(to) => (card.due != *to).then(|| {
            let theirs = card.due.map(|date| date.to_string()).unwrap_or_default();
            (Change::Due { from: card.due, to: *to }, theirs, None)
        }),
        NewValue::Field(id, to) => {
            let field = board.field(*id).ok_or(Refusal::NotFound { what: "field" })?;
            let from = card.value(*id).to_owned();
            let to = to.as_ref().map_or("", |value| value.as_str()).to_owned();
            (from != to)
                .then(|| (Change::Value { field: *id, label: field.label.clone(), from: from.clone(), to }, from, None))
        }
    })
}

fn move_card(view: &dyn Read, id: CardId, status: StatusId, place: Place) -> Decided {
    let card = live_card(view, id)?;
    let board = board(view, card.board)?;
    let target = status_of(&board, status)?;
    if !card.is_open() {
        return Err(Refusal::NotFound { what: "card" }.into());
    }
    if place == Place::After(id) {
        return Ok((Vec::new(), Outcome::Card(Box::new(card))));
    }
    let (rank, room) = rank_at(view, card.board, status, place, Some(id))?;
    let mut decisions: Vec<Decision> = room.into_iter().map(Decision::from).collect();
    decisions.push(
        Event::CardMoved {
            card: id,
            board: card.board,
            from: card.status,
            to: status,
            from_name: board.status(card.status).map(|status| status.name.clone()).unwrap_or_default(),
            to_name: target.name.clone(),
            rank,
        }
        .into(),
    );
    Ok((decisions, Outcome::Done))
}

fn assign(view: &dyn Read, id: CardId, user: UserId, on: bool) -> Decided {
    let card = live_card(view, id)?;
    if card.assignees.contains(&user) == on {
        return Ok((Vec::new(), Outcome::Card(Box::new(card))));
    }
    if on {
        member(view, user)?;
    }
    done(Event::CardAssigned { card: id, board: card.board, user, on })
}

fn restore(view: &dyn Read, id: CardId) -> Decided {
    let card = card(view, id)?;
    if card.is_open() {
        return Ok((Vec::new(), Outcome::Card(Box::new(card))));
    }
    let board = board(view, card.board)?;
    let status = board.status(card.status).unwrap_or_else(|| board.leftmost()).id;
    let (rank, room) = rank_at(view, card.board, status, Place::Top, None)?;
    let mut decisions: Vec<Decision> = room.into_iter().map(Decision::from).collect();
    decisions.push(Event::CardRestored { card: id, board: card.board, status, rank }.into());
    Ok((decisions, Outcome::Done))
}
