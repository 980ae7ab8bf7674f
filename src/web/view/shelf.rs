//! Cards that left the board: the archive, and the trash.

use askama::Template;

use super::{
    Chrome,
    parts::{BoardHead, Moment, Status},
};

/// `GET /o/{org}/boards/{board}/archive` and `…/trash`.
#[derive(Template)]
#[template(path = "shelf.html")]
pub struct ShelfPage<'a> {
    pub chrome: &'a Chrome,
    pub board: BoardHead,
    pub kind: Shelf,
    /// Latest first.
    pub rows: Vec<Kept>,
    /// The address of older ones.
    pub next: Option<String>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    Archive,
    Trash,
}

/// A card that is kept there.
pub struct Kept {
    pub id: String,
    pub number: u64,
    pub title: String,
    /// Where it stood, and would stand again.
    pub status: Status,
    /// When it left the board.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// In the trash: あと29日. Else empty.
    pub left: String,
}
