//! The board as a table; the archive and the trash.

use std::{cmp::Reverse, sync::Arc};

use poem::{Request, Response, Result, handler, web::Query};
use serde::Deserialize;

use super::{board::Tiler, path_id};
use crate::{
    ids::BoardId,
    store::Read,
    text::fold,
    web::{
        answer::{WebError, page},
        caller::{Guest, Here},
        format::{self, People},
        view::{
            Section,
            list::{ListPage, Row, Sort},
            shelf::{Kept, Shelf, ShelfPage},
        },
    },
    work::{self, Board, Card, CardState},
};

/// Rows of a page.
const ROWS: usize = 50;
/// Cards that are read to be sorted or searched: the newest ones of a larger board.
const SORTED_MAX: usize = 5_000;
/// Rows of the archive and the trash.
const KEPT_MAX: usize = 500;

#[derive(Deserialize)]
struct ListQuery {
    sort: Option<String>,
    dir: Option<String>,
    page: Option<u64>,
    q: Option<String>,
}

/// `GET /o/:org/boards/:board/list`.
#[handler]
pub async fn show(guest: Guest, req: &Request, Query(query): Query<ListQuery>) -> Result<Response> {
    let (here, id) = (Arc::clone(&guest.0), path_id::<BoardId>(req, "board")?);
    let store = Arc::clone(&here.store);
    Ok(store.read(move |view| list_page(&here, view, id, query)).await?)
}

fn list_page(here: &Here, view: &dyn Read, id: BoardId, query: ListQuery) -> Result<Response, WebError> {
    let board = here.board(view, id)?;
    let sort = query.sort.as_deref().and_then(Sort::from_name).unwrap_or(Sort::Number);
    let descending = query.dir.as_deref().map_or(sort == Sort::Number, |dir| dir == "desc");
    let searched = query.q.unwrap_or_default().trim().to_owned();
    let mut cards = work::read::newest(view, id, None, SORTED_MAX)?;
    cards.retain(Card::is_open);
    if !searched.is_empty() {
        let wanted = fold(&searched);
        let mut kept = Vec::new();
        for card in cards {
            if matches(view, &card, &wanted)? {
                kept.push(card);
            }
        }
        cards = kept;
    }
    order(&mut cards, &board, sort, descending);
    let page_number = query.page.unwrap_or(1).max(1);
    let skipped = usize::try_from(page_number - 1).unwrap_or(usize::MAX).saturating_mul(ROWS);
    let people = People::of(view)?;
    let tiler = Tiler::new(here, &board, &people);
    let mut rows = Vec::new();
    for card in cards.iter().skip(skipped).take(ROWS) {
        let status = board.status(card.status).unwrap_or_else(|| board.leftmost());
        rows.push(Row {
            id: card.id.to_string(),
            number: card.number,
            title: card.title.clone(),
            unread: tiler.unread(view, card)?,
            status: format::status(status),
            labels: tiler.labels(card),
            due: tiler.due(card, false),
            assignees: card.assignees.iter().map(|user| people.person(*user)).collect(),
            updated: tiler.when.moment(card.updated_at),
        });
    }
    let total = cards.len() as u64;
    page(&ListPage {
        chrome: &here.chrome(view, Section::Board, Some(id))?,
        board: here.head(&board),
        query: searched,
        sort,
        descending,
        first: skipped as u64 + 1,
        has_next: total > skipped as u64 + rows.len() as u64,
        rows,
        total,
        page: page_number,
    })
}

/// Whether a card's title, number or description has the folded text in it.
fn matches(view: &dyn Read, card: &Card, wanted: &str) -> Result<bool, WebError> {
    if fold(&card.title).contains(wanted) || wanted.trim_start_matches('#') == card.number.to_string() {
        return Ok(true);
    }
    if card.values.iter().any(|(_, value)| fold(value).contains(wanted)) {
        return Ok(true);
    }
    let Some(number) = card.body else { return Ok(false) };
    Ok(fold(&work::read::text(view, number)?).contains(wanted))
}

fn order(cards: &mut [Card], board: &Board, sort: Sort, descending: bool) {
    let place = |card: &Card| board.statuses.iter().position(|status| status.id == card.status);
    match sort {
        Sort::Number => cards.sort_by_key(|card| card.number),
        Sort::Title => cards.sort_by_cached_key(|card| fold(&card.title)),
        Sort::Status => cards.sort_by_key(|card| (place(card), Reverse(card.number))),
        // A card without a date stands last either way.
        Sort::Due => {
            cards.sort_by_key(|card| (card.due.is_none() != descending, card.due, Reverse(card.number)));
        }
        Sort::Updated => cards.sort_by_key(|card| card.updated_at),
    }
    if descending {
        cards.reverse();
    }
}

/// `GET /o/:org/boards/:board/archive`.
#[handler]
pub async fn archive(guest: Guest, req: &Request) -> Result<Response> {
    kept(&guest.0, req, Shelf::Archive).await
}

/// `GET /o/:org/boards/:board/trash`.
#[handler]
pub async fn trash(guest: Guest, req: &Request) -> Result<Response> {
    kept(&guest.0, req, Shelf::Trash).await
}

async fn kept(here: &Arc<Here>, req: &Request, kind: Shelf) -> Result<Response> {
    let (here, id) = (Arc::clone(here), path_id::<BoardId>(req, "board")?);
    let store = Arc::clone(&here.store);
    let response = store.read(move |view| {
        let board = here.board(view, id)?;
        let cards = match kind {
            Shelf::Archive => work::read::archived(view, id, KEPT_MAX)?,
            Shelf::Trash => work::read::trashed(view, id, KEPT_MAX)?,
        };
        let people = People::of(view)?;
        let tiler = Tiler::new(&here, &board, &people);
        let rows = cards
            .iter()
            .filter_map(|card| {
                let (CardState::Archived { by, at } | CardState::Trashed { by, at }) = card.state else { return None };
                let left = at.plus(work::IN_TRASH).since(tiler.when.now).as_secs().div_ceil(86_400);
                Some(Kept {
                    id: card.id.to_string(),
                    number: card.number,
                    title: card.title.clone(),
                    status: format::status(board.status(card.status).unwrap_or_else(|| board.leftmost())),
                    at: tiler.when.moment(at),
                    by: people.actor(here.words(), by),
                    left: match kind {
                        Shelf::Archive => String::new(),
                        Shelf::Trash => here.words().with("when-left", "n", left),
                    },
                })
            })
            .collect();
        let chrome = here.chrome(view, Section::Board, Some(id))?;
        page(&ShelfPage { chrome: &chrome, board: here.head(&board), kind, rows, next: None })
    });
    Ok(response.await?)
}
