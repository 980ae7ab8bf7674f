//! What happened on boards. Written once and never changed, so a variant's tag keeps its meaning for ever.

use minicbor::{Decode, Encode};

use super::{Board, Field, Label, Rank, Status, StatusKind};
use crate::{
    ids::{BoardId, CardId, CommentId, DeliveryId, FieldId, LabelId, StatusId, UserId},
    text::CivilDate,
};

/// What was decided: an event, and the long text that it brings, which is stored once under the event's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub event: Event,
    pub text: Option<String>,
}

impl From<Event> for Decision {
    fn from(event: Event) -> Self {
        Self { event, text: None }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    #[n(0)]
    BoardCreated(#[n(0)] Board),
    #[n(1)]
    BoardRenamed {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        from: String,
        #[n(2)]
        to: String,
    },
    #[n(2)]
    StatusAdded {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        status: Status,
    },
    #[n(3)]
    StatusChanged {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        status: StatusId,
        #[n(2)]
        name: String,
        #[n(3)]
        kind: StatusKind,
    },
    #[n(4)]
    StatusMoved {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        status: StatusId,
        /// Stands to its left; `None` for the leftmost place.
        #[n(2)]
        after: Option<StatusId>,
    },
    #[n(5)]
    StatusRemoved {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        status: StatusId,
    },
    #[n(6)]
    FieldAdded {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        field: Field,
    },
    #[n(7)]
    FieldRenamed {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        field: FieldId,
        #[n(2)]
        label: String,
    },
    #[n(8)]
    FieldRemoved {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        field: FieldId,
    },
    #[n(9)]
    LabelAdded {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        label: Label,
    },
    #[n(10)]
    LabelChanged {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        label: Label,
    },
    #[n(11)]
    LabelRemoved {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        label: LabelId,
    },
    #[n(12)]
    GuestAdmitted {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        user: UserId,
    },
    #[n(13)]
    GuestDismissed {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        user: UserId,
    },
    #[n(14)]
    BoardArchived {
        #[n(0)]
        board: BoardId,
        /// False when it came back.
        #[n(1)]
        on: bool,
    },
    #[n(20)]
    CardCreated {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        number: u64,
        #[n(3)]
        title: String,
        #[n(4)]
        status: StatusId,
        #[n(5)]
        status_name: String,
        #[n(6)]
        rank: Rank,
        #[n(7)]
        assignees: Vec<UserId>,
        #[n(8)]
        labels: Vec<LabelId>,
        #[n(9)]
        due: Option<CivilDate>,
        #[n(10)]
        values: Vec<(FieldId, String)>,
        /// Whether a description stands in the texts under the event's number.
        #[n(11)]
        has_body: bool,
        #[n(12)]
        delivery: Option<DeliveryId>,
    },
    #[n(21)]
    CardChanged {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        change: Change,
    },
    #[n(22)]
    CardMoved {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        from: StatusId,
        #[n(3)]
        to: StatusId,
        /// Names as they were then: a status may be renamed or removed later.
        #[n(4)]
        from_name: String,
        #[n(5)]
        to_name: String,
        #[n(6)]
        rank: Rank,
    },
    #[n(23)]
    CardAssigned {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        user: UserId,
        #[n(3)]
        on: bool,
    },
    #[n(24)]
    CardLabelled {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        label: LabelId,
        #[n(3)]
        name: String,
        #[n(4)]
        on: bool,
    },
    #[n(25)]
    Commented {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        comment: CommentId,
    },
    #[n(26)]
    CardArchived {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
    },
    #[n(27)]
    CardTrashed {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
    },
    #[n(28)]
    CardRestored {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        /// The column that it came back to; another than before if that one is gone.
        #[n(2)]
        status: StatusId,
        #[n(3)]
        rank: Rank,
    },
    /// Gone for good: what it held is redacted from the history, and only that it was there remains.
    #[n(30)]
    CardErased {
        #[n(0)]
        card: CardId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        number: u64,
    },
    /// Cards of a column were given new ranks in the same order, to make room.
    #[n(29)]
    ColumnSpread {
        #[n(0)]
        board: BoardId,
        #[n(1)]
        ranks: Vec<(CardId, Rank)>,
    },
}

/// A scalar of a card got another value.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    #[n(0)]
    Title {
        #[n(0)]
        from: String,
        #[n(1)]
        to: String,
    },
    /// The new text stands in its own table under the event's number; `from` is the number of the old one.
    #[n(1)]
    Body {
        #[n(0)]
        from: Option<u64>,
        #[n(1)]
        empty: bool,
    },
    #[n(2)]
    Due {
        #[n(0)]
        from: Option<CivilDate>,
        #[n(1)]
        to: Option<CivilDate>,
    },
    #[n(3)]
    Value {
        #[n(0)]
        field: FieldId,
        /// The field's label as it was then.
        #[n(1)]
        label: String,
        #[n(2)]
        from: String,
        #[n(3)]
        to: String,
    },
}

impl Event {
    /// The board that the event belongs to.
    #[must_use]
    pub fn board(&self) -> BoardId {
        match self {
            Self::BoardCreated(board) => board.id,
            Self::BoardRenamed { board, .. }
            | Self::StatusAdded { board, .. }
            | Self::StatusChanged { board, .. }
            | Self::StatusMoved { board, .. }
            | Self::StatusRemoved { board, .. }
            | Self::FieldAdded { board, .. }
            | Self::FieldRenamed { board, .. }
            | Self::FieldRemoved { board, .. }
            | Self::LabelAdded { board, .. }
            | Self::LabelChanged { board, .. }
            | Self::LabelRemoved { board, .. }
            | Self::GuestAdmitted { board, .. }
            | Self::GuestDismissed { board, .. }
            | Self::BoardArchived { board, .. }
            | Self::CardCreated { board, .. }
            | Self::CardChanged { board, .. }
            | Self::CardMoved { board, .. }
            | Self::CardAssigned { board, .. }
            | Self::CardLabelled { board, .. }
            | Self::Commented { board, .. }
            | Self::CardArchived { board, .. }
            | Self::CardTrashed { board, .. }
            | Self::CardRestored { board, .. }
            | Self::CardErased { board, .. }
            | Self::ColumnSpread { board, .. } => *board,
        }
    }

    /// The card that the event is about, if it is about one.
    #[must_use]
    pub fn card(&self) -> Option<CardId> {
        match self {
            Self::CardCreated { card, .. }
            | Self::CardChanged { card, .. }
            | Self::CardMoved { card, .. }
            | Self::CardAssigned { card, .. }
            | Self::CardLabelled { card, .. }
            | Self::Commented { card, .. }
            | Self::CardArchived { card, .. }
            | Self::CardTrashed { card, .. }
            | Self::CardRestored { card, .. } => Some(*card),
            _ => None,
        }
    }
}
