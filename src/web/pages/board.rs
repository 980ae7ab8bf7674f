//! The board, and what is done to cards without opening them.

use std::sync::Arc;

use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Form, Query},
};
use serde::Deserialize;

use super::{command, id, parse, path_id, wants_fragment};
use crate::{
    ids::{BoardId, CardId, StatusId},
    store::{Read, history},
    text::Title,
    web::{
        answer::{WebError, page, see_other},
        caller::{Guest, Here, Member},
        format::{self, People, When},
        view::{
            Section,
            board::{BoardPage, Column, More, Tile, Tiles},
            parts::Label,
        },
    },
    work::{self, Board, Card, Command, NewCard, Outcome, Place, StatusKind},
};

/// Cards of a column that a page carries; the rest comes as it is scrolled to.
const COLUMN_CARDS: usize = 30;
/// Cards that come at a time after that.
const MORE_CARDS: usize = 60;

/// Makes tiles of the cards of one board.
pub struct Tiler<'t> {
    pub here: &'t Here,
    pub board: &'t Board,
    pub people: &'t People,
    pub when: When<'t>,
}

impl<'t> Tiler<'t> {
    /// A maker of tiles for the reader.
    #[must_use]
    pub fn new(here: &'t Here, board: &'t Board, people: &'t People) -> Self {
        let when = When { words: here.words(), zone: &here.app().zone, now: here.app().now() };
        Self { here, board, people, when }
    }

    /// A card's labels, in the board's order.
    #[must_use]
    pub fn labels(&self, card: &Card) -> Vec<Label> {
        let worn = self.board.labels.iter().filter(|label| card.labels.contains(&label.id));
        worn.map(|label| Label { id: label.id.to_string(), name: label.name.clone(), hue: label.hue }).collect()
    }

    /// A card's due day as it stands to today.
    #[must_use]
    pub fn due(&self, card: &Card, full: bool) -> Option<crate::web::view::parts::Due> {
        let done = self.board.status(card.status).is_some_and(|status| status.kind == StatusKind::Done);
        card.due.map(|due| self.when.due(due, done, full))
    }

    /// Whether the card is news to the reader.
    ///
    /// # Errors
    /// What the store says.
    pub fn unread(&self, view: &dyn Read, card: &Card) -> Result<bool, WebError> {
        let member = &self.here.member;
        Ok(work::read::unread(view, member.user, member.joined_event, card)?)
    }

    /// The tile of a card.
    ///
    /// # Errors
    /// What the store says.
    pub fn tile(&self, view: &dyn Read, card: &Card) -> Result<Tile, WebError> {
        Ok(Tile {
            words: self.here.words(),
            org: self.here.org.to_string(),
            id: card.id.to_string(),
            number: card.number,
            title: card.title.clone(),
            version: card.version,
            unread: self.unread(view, card)?,
            labels: self.labels(card),
            due: self.due(card, false),
            comments: u64::from(card.comments),
            assignees: card.assignees.iter().map(|user| self.people.person(*user)).collect(),
            may_edit: self.here.head(self.board).may_edit,
        })
    }

    fn tiles(&self, view: &dyn Read, cards: &[Card]) -> Result<Vec<Tile>, WebError> {
        cards.iter().map(|card| self.tile(view, card)).collect()
    }
}

fn more(board_url: &str, status: StatusId, shown: &[Card], left: u64) -> Option<More> {
    let last = shown.last()?;
    (left > 0).then(|| More { count: left, href: format!("{board_url}/columns/{status}?after={}", last.id) })
}

/// `GET /o/:org/boards/:board`.
#[handler]
pub async fn show(guest: Guest, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&guest.0), path_id::<BoardId>(req, "board")?);
    let store = Arc::clone(&here.store);
    Ok(store.read(move |view| board_page(&here, view, id)).await?)
}

fn board_page(here: &Here, view: &dyn Read, id: BoardId) -> Result<Response, WebError> {
    let board = here.board(view, id)?;
    let people = People::of(view)?;
    let tiler = Tiler::new(here, &board, &people);
    let (tally, head) = (work::read::tally(view, id)?, here.head(&board));
    let mut columns = Vec::with_capacity(board.statuses.len());
    for status in &board.statuses {
        let cards = work::read::column(view, status.id, None, COLUMN_CARDS)?;
        let count = tally.column(status.id);
        columns.push(Column {
            status: format::status(status),
            count,
            more: more(&head.url(), status.id, &cards, count.saturating_sub(cards.len() as u64)),
            cards: tiler.tiles(view, &cards)?,
        });
    }
    page(&BoardPage {
        chrome: &here.chrome(view, Section::Board, Some(id))?,
        board: head,
        columns,
        total: tally.open(),
        seq: history::head(view)?,
        epoch: here.epoch(view)?,
    })
}

#[derive(Deserialize)]
struct After {
    after: String,
}

/// `GET /o/:org/boards/:board/columns/:status?after=…`: the cards below one.
#[handler]
pub async fn column(guest: Guest, req: &Request, Query(query): Query<After>) -> Result<Response> {
    let here = Arc::clone(&guest.0);
    let (board, status) = (path_id::<BoardId>(req, "board")?, path_id::<StatusId>(req, "status")?);
    let after = id::<CardId>(&query.after)?;
    let store = Arc::clone(&here.store);
    let response = store.read(move |view| {
        let board = here.board(view, board)?;
        let last = work::read::card(view, after)?.ok_or(WebError::NotFound)?;
        let cards = work::read::column(view, status, Some(&last), MORE_CARDS)?;
        let left = match cards.last() {
            Some(last) => left_below(view, &board, status, last)?,
            None => 0,
        };
        let people = People::of(view)?;
        let tiles = Tiler::new(&here, &board, &people).tiles(view, &cards)?;
        let more = more(&here.head(&board).url(), status, &cards, left);
        page(&Tiles { chrome: &here.chrome(view, Section::Board, Some(board.id))?, cards: &tiles, more: more.as_ref() })
    });
    Ok(response.await?)
}

#[derive(Deserialize)]
struct CreateForm {
    title: String,
    #[serde(default)]
    status: String,
}

/// How many cards stand below one, counted only as far as a page tells them apart.
fn left_below(view: &dyn Read, board: &Board, status: StatusId, card: &Card) -> Result<u64, WebError> {
    const COUNTED: usize = 1000;
    let below = work::read::column(view, status, Some(card), COUNTED)?.len() as u64;
    if below < COUNTED as u64 { Ok(below) } else { Ok(work::read::tally(view, board.id)?.column(status)) }
}

/// `POST /o/:org/boards/:board/cards`: a card by its title, at the foot of a column.
#[handler]
pub async fn create_card(member: Member, req: &Request, Form(form): Form<CreateForm>) -> Result<Response> {
    let (here, board) = (Arc::clone(&member.0), path_id::<BoardId>(req, "board")?);
    let title: Title = parse(&form.title)?;
    let card = CardId::fresh(here.app().now());
    let status = if form.status.is_empty() { None } else { Some(id::<StatusId>(&form.status)?) };
    let new = NewCard { status, place: Place::Bottom, ..NewCard::titled(card, board, title) };
    command(&here, form.title.len(), Command::CreateCard(new)).await.map_err(WebError::from)?;
    if !wants_fragment(req) {
        return Ok(see_other(&format!("/o/{}/boards/{board}#card-{card}", here.org)));
    }
    let store = Arc::clone(&here.store);
    let response = store.read(move |view| {
        let board = here.board(view, board)?;
        let card = work::read::card(view, card)?.ok_or(WebError::NotFound)?;
        let people = People::of(view)?;
        let tile = Tiler::new(&here, &board, &people).tile(view, &card)?;
        page(&Tiles { chrome: &here.chrome(view, Section::Board, None)?, cards: &[tile], more: None })
    });
    Ok(response.await?)
}

#[derive(Deserialize)]
struct PositionForm {
    status: String,
    /// The card to stand below; the top if empty.
    #[serde(default)]
    after: String,
}

/// `POST /o/:org/cards/:card/position`.
#[handler]
pub async fn move_card(member: Member, req: &Request, Form(form): Form<PositionForm>) -> Result<Response> {
    let (here, card) = (Arc::clone(&member.0), path_id::<CardId>(req, "card")?);
    let place = if form.after.is_empty() { Place::Top } else { Place::After(id(&form.after)?) };
    let outcome = command(&here, 64, Command::MoveCard { card, status: id(&form.status)?, place }).await;
    let outcome = outcome.map_err(WebError::from)?;
    if wants_fragment(req) {
        return Ok(Response::builder().status(StatusCode::NO_CONTENT).finish());
    }
    debug_assert!(!matches!(outcome, Outcome::Created { .. }));
    Ok(see_other(&format!("/o/{}/cards/{card}", here.org)))
}
