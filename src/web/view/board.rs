//! The board: columns of cards.

use askama::{Template, filters::HtmlSafe};

use super::{
    Chrome,
    parts::{BoardHead, Due, DueState, Label, Person, Status},
};
use crate::web::words::Words;

/// `GET /o/{org}/boards/{board}`.
#[derive(Template)]
#[template(path = "board.html")]
pub struct BoardPage<'a> {
    pub chrome: &'a Chrome,
    pub board: BoardHead,
    pub columns: Vec<Column>,
    /// Cards on the board, shown or not.
    pub total: u64,
    /// The last event that the page reflects; the live stream resumes after it.
    pub seq: u64,
    /// The history that `seq` counts in; a restored board has another.
    pub epoch: String,
}

/// A status with its cards.
pub struct Column {
    pub status: Status,
    /// Cards in it, shown or not.
    pub count: u64,
    pub cards: Vec<Tile>,
    pub more: Option<More>,
}

/// The way to the rest of a column.
pub struct More {
    /// Cards not shown yet.
    pub count: u64,
    /// `…/columns/{status}?after={card}`.
    pub href: String,
}

/// A card on the board. A board may show a thousand: every byte in its template is paid that often.
#[derive(Template)]
#[template(path = "tile.html")]
pub struct Tile {
    pub words: &'static Words,
    pub org: String,
    pub id: String,
    /// The receipt number, without `#`.
    pub number: u64,
    pub title: String,
    /// Goes up with every change of the card.
    pub version: u64,
    /// The reader has not opened it since it came or changed.
    pub unread: bool,
    pub labels: Vec<Label>,
    pub due: Option<Due>,
    pub comments: u64,
    pub assignees: Vec<Person>,
    /// The reader may move it.
    pub may_edit: bool,
}

impl HtmlSafe for Tile {}

/// More tiles of a column: `GET …/columns/{status}?after={card}` and, of one tile, `POST …/cards`.
#[derive(Template)]
#[template(path = "tiles.html")]
pub struct Tiles<'a> {
    pub chrome: &'a Chrome,
    pub cards: &'a [Tile],
    pub more: Option<&'a More>,
}
