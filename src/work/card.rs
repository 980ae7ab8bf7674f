//! Cards and what hangs on them.

use minicbor::{Decode, Encode};

use super::Rank;
use crate::{
    clock::Timestamp,
    ids::{BoardId, CardId, CommentId, DeliveryId, FieldId, LabelId, StatusId, UserId},
    store::{Shape, Table, history::Actor},
    text::CivilDate,
};

/// Cards by id.
pub const CARDS: Table<CardId, Card> = Table::new("cards");
/// The cards of a column, from the top.
pub const COLUMN: Table<(StatusId, Rank, CardId), ()> = Table::new("column");
/// Cards by receipt number, whatever their state.
pub const NUMBERS: Table<(BoardId, u64), CardId> = Table::new("card_numbers");
/// Cards put away, by when.
pub const ARCHIVE: Table<(BoardId, Timestamp, CardId), ()> = Table::new("archive");
/// Cards in the trash, by when.
pub const TRASH: Table<(BoardId, Timestamp, CardId), ()> = Table::new("trash");
/// A card's events, by number.
pub const TIMELINE: Table<(CardId, u64), ()> = Table::new("timeline");
/// Long texts, by the number of the event that brought them.
pub const TEXTS: Table<u64, String> = Table::new("texts");
/// Comments of a card.
pub const COMMENTS: Table<(CardId, CommentId), Comment> = Table::new("comments");
/// What a member has seen of a card: the number of the last event then.
pub const SEEN: Table<(UserId, CardId), u64> = Table::new("seen");
/// What stands in these tables.
pub const SHAPES: [Shape; 9] = [
    CARDS.shape(),
    COLUMN.shape(),
    NUMBERS.shape(),
    ARCHIVE.shape(),
    TRASH.shape(),
    TIMELINE.shape(),
    TEXTS.shape_of_texts(),
    COMMENTS.shape(),
    SEEN.shape(),
];

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Card {
    #[n(0)]
    pub id: CardId,
    #[n(1)]
    pub board: BoardId,
    /// Receipt number: counts up on its board, never reused.
    #[n(2)]
    pub number: u64,
    #[n(3)]
    pub title: String,
    /// The column it stands in, or stood in when it was put away.
    #[n(4)]
    pub status: StatusId,
    #[n(5)]
    pub rank: Rank,
    #[n(6)]
    pub state: CardState,
    #[n(7)]
    pub assignees: Vec<UserId>,
    #[n(8)]
    pub labels: Vec<LabelId>,
    #[n(9)]
    pub due: Option<CivilDate>,
    /// Values of the board's fields; a field without a value is absent.
    #[n(10)]
    pub values: Vec<(FieldId, String)>,
    /// The description, as the number under which its text stands in [`TEXTS`].
    #[n(11)]
    pub body: Option<u64>,
    #[n(12)]
    pub created_at: Timestamp,
    #[n(13)]
    pub created_by: Actor,
    #[n(14)]
    pub updated_at: Timestamp,
    #[n(15)]
    pub updated_by: Actor,
    /// Counts every change of the card, from 1.
    #[n(16)]
    pub version: u64,
    /// Which version last changed each scalar field; what is absent was never changed since creation.
    #[n(17)]
    pub touched: Vec<(FieldRef, u64)>,
    #[n(18)]
    pub comments: u32,
    /// The last event that deserves a reader's attention (creation, comment).
    #[n(19)]
    pub attention: u64,
    /// Who caused it: it is not news to them.
    #[n(20)]
    pub attention_by: Actor,
    /// The delivery that made the card, if a webhook did.
    #[n(21)]
    pub delivery: Option<DeliveryId>,
}

impl Card {
    /// The value of a field; empty if it has none.
    #[must_use]
    pub fn value(&self, field: FieldId) -> &str {
        self.values.iter().find(|(id, _)| *id == field).map_or("", |(_, value)| value)
    }

    /// The version that last changed a scalar field.
    #[must_use]
    pub fn touched(&self, field: FieldRef) -> u64 {
        self.touched.iter().find(|(touched, _)| *touched == field).map_or(1, |(_, version)| *version)
    }

    /// Whether it stands in a column.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == CardState::Open
    }
}

/// Where a card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CardState {
    /// In its column.
    #[n(0)]
    Open,
    /// Put away, for good use later.
    #[n(1)]
    Archived {
        #[n(0)]
        by: Actor,
        #[n(1)]
        at: Timestamp,
    },
    /// In the trash, for 30 days.
    #[n(2)]
    Trashed {
        #[n(0)]
        by: Actor,
        #[n(1)]
        at: Timestamp,
    },
}

/// A scalar that two people may change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum FieldRef {
    #[n(0)]
    Title,
    #[n(1)]
    Body,
    #[n(2)]
    Due,
    /// One of the board's fields.
    #[n(3)]
    Value(#[n(0)] FieldId),
}

/// A comment on a card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Comment {
    #[n(0)]
    pub by: Actor,
    #[n(1)]
    pub at: Timestamp,
    /// Its text's number in [`TEXTS`].
    #[n(2)]
    pub text: u64,
}
