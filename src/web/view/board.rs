//! The board: columns of cards.

use askama::Template;

use super::{Chrome, Section};

/// `GET /o/{org}/boards/{board}`.
#[derive(Template)]
#[template(path = "board.html")]
pub struct BoardPage<'a> {
    pub chrome: &'a Chrome,
}
