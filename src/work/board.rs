//! Boards: what a card can be and have.

use minicbor::{Decode, Encode};

use crate::{
    clock::Timestamp,
    ids::{BoardId, FieldId, LabelId, StatusId, UserId},
    store::{Shape, Table},
};

/// Boards by id.
pub const BOARDS: Table<BoardId, Board> = Table::new("boards");
/// What changes on a board with every card, apart from the board itself.
pub const TALLIES: Table<BoardId, Tally> = Table::new("board_tallies");

/// How many cards the organization has, archive and trash included.
pub const CARDS_HELD: Table<(), u64> = Table::new("cards_held");
/// What stands in these tables.
pub const SHAPES: [Shape; 3] = [BOARDS.shape(), TALLIES.shape(), CARDS_HELD.shape()];

/// A board: ordered statuses, text fields and labels.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Board {
    #[n(0)]
    pub id: BoardId,
    #[n(1)]
    pub name: String,
    /// From left to right; never empty. The leftmost receives new cards.
    #[n(2)]
    pub statuses: Vec<Status>,
    #[n(3)]
    pub fields: Vec<Field>,
    #[n(4)]
    pub labels: Vec<Label>,
    #[n(5)]
    pub created_at: Timestamp,
    /// Guests who may see the board; everybody else of the organization sees it anyway.
    #[n(6)]
    pub guests: Vec<UserId>,
    /// When it was put away, if it was.
    #[n(7)]
    pub archived_at: Option<Timestamp>,
}

impl Board {
    /// The status `id`, if it is still on the board.
    #[must_use]
    pub fn status(&self, id: StatusId) -> Option<&Status> {
        self.statuses.iter().find(|status| status.id == id)
    }

    /// The field `id`.
    #[must_use]
    pub fn field(&self, id: FieldId) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The label `id`.
    #[must_use]
    pub fn label(&self, id: LabelId) -> Option<&Label> {
        self.labels.iter().find(|label| label.id == id)
    }

    /// The status that receives new cards.
    ///
    /// # Panics
    /// Never: a board is created with a status and the last one cannot be removed.
    #[must_use]
    pub fn leftmost(&self) -> &Status {
        self.statuses.first().expect("a board has at least one status")
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Status {
    #[n(0)]
    pub id: StatusId,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub kind: StatusKind,
}

/// What a status means, which decides its shape and whether a passed due date matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum StatusKind {
    /// Not begun.
    #[n(0)]
    Todo,
    /// Being worked on.
    #[n(1)]
    Doing,
    /// Waiting for somebody's approval.
    #[n(2)]
    Review,
    /// Waiting for an answer from outside.
    #[n(3)]
    Waiting,
    /// Finished.
    #[n(4)]
    Done,
}

impl StatusKind {
    /// All kinds, in the order of work.
    pub const ALL: [Self; 5] = [Self::Todo, Self::Doing, Self::Review, Self::Waiting, Self::Done];

    /// The kind's name in forms and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::Doing => "doing",
            Self::Review => "review",
            Self::Waiting => "waiting",
            Self::Done => "done",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A field that every card of the board has. Text is the only type so far; the tag leaves room for others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Field {
    #[n(0)]
    pub id: FieldId,
    /// Stable name for webhooks and the API: `[a-z0-9_]{1,40}`, once on a board.
    #[n(1)]
    pub key: String,
    /// What people read.
    #[n(2)]
    pub label: String,
}

/// A label: a word and one of six hues.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Label {
    #[n(0)]
    pub id: LabelId,
    #[n(1)]
    pub name: String,
    /// 1 to 6.
    #[n(2)]
    pub hue: u8,
}

/// Counts of a board, kept with every change so that no page has to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tally {
    /// The last receipt number given out. Never goes back.
    #[n(0)]
    pub last_number: u64,
    /// Cards in each column, neither archived nor in the trash.
    #[n(1)]
    pub columns: Vec<(StatusId, u64)>,
    #[n(2)]
    pub archived: u64,
    #[n(3)]
    pub trashed: u64,
    /// The last event that touched the board.
    #[n(4)]
    pub event: u64,
    /// When that was.
    #[n(5)]
    pub changed_at: Timestamp,
}

impl Tally {
    /// Cards in a column.
    #[must_use]
    pub fn column(&self, status: StatusId) -> u64 {
        self.columns.iter().find(|(id, _)| *id == status).map_or(0, |(_, count)| *count)
    }

    /// Cards in all columns.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.columns.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn add(&mut self, status: StatusId, by: i64) {
        match self.columns.iter_mut().find(|(id, _)| *id == status) {
            Some((_, count)) => *count = count.saturating_add_signed(by),
            None => self.columns.push((status, 0_u64.saturating_add_signed(by))),
        }
    }
}
