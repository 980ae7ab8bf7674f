//! The board as a table.

use askama::Template;

use super::{
    Chrome,
    parts::{BoardHead, Due, Label, Moment, Person, Status},
};

/// `GET /o/{org}/boards/{board}/list`.
#[derive(Template)]
#[template(path = "list.html")]
pub struct ListPage<'a> {
    pub chrome: &'a Chrome,
    pub board: BoardHead,
    /// What was searched for; empty for all cards.
    pub query: String,
    /// The column sorted by.
    pub sort: Sort,
    /// Largest first.
    pub descending: bool,
    pub rows: Vec<Row>,
    /// Cards in all, on this page or not.
    pub total: u64,
    /// From 1.
    pub page: u64,
    /// Number of the page's first card in the whole list, from 1.
    pub first: u64,
    pub has_next: bool,
}

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Number,
    Title,
    Status,
    Due,
    Updated,
}

impl Sort {
    /// All, in the order of the columns.
    pub const ALL: [Self; 5] = [Self::Number, Self::Title, Self::Status, Self::Due, Self::Updated];

    /// Its name in addresses: `sort=due`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Title => "title",
            Self::Status => "status",
            Self::Due => "due",
            Self::Updated => "updated",
        }
    }

    /// The order called so in an address.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }
}

/// A card in the table.
pub struct Row {
    pub id: String,
    pub number: u64,
    pub title: String,
    pub unread: bool,
    pub status: Status,
    pub labels: Vec<Label>,
    pub due: Option<Due>,
    pub assignees: Vec<Person>,
    pub updated: Moment,
}

impl ListPage<'_> {
    /// The list by `sort`; the other way round if it is sorted by it already.
    #[must_use]
    pub fn sorted(&self, sort: Sort) -> String {
        let descending = sort == self.sort && !self.descending;
        self.address(sort, descending, 1)
    }

    /// Another page of the same list.
    #[must_use]
    pub fn paged(&self, page: u64) -> String {
        self.address(self.sort, self.descending, page)
    }

    fn address(&self, sort: Sort, descending: bool, page: u64) -> String {
        let direction = if descending { "desc" } else { "asc" };
        let mut address = format!("{}/list?sort={}&dir={direction}", self.board.url(), sort.name());
        if page > 1 {
            address.push_str(&format!("&page={page}"));
        }
        if !self.query.is_empty() {
            address.push_str("&q=");
            for byte in self.query.bytes() {
                if byte.is_ascii_alphanumeric() {
                    address.push(char::from(byte));
                } else {
                    address.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        address
    }

    /// `aria-sort` of a column.
    #[must_use]
    pub fn order(&self, sort: Sort) -> &'static str {
        match (sort == self.sort, self.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// Number of the page's last card in the whole list.
    #[must_use]
    pub fn last(&self) -> u64 {
        (self.first + self.rows.len() as u64).saturating_sub(1)
    }
}
