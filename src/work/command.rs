//! What can be asked of boards. Ids are made by the asker, so that a command run twice means the same.

use super::{Board, Card, FieldRef, StatusKind};
use crate::{
    ids::{BoardId, CardId, CommentId, DeliveryId, FieldId, LabelId, StatusId, UserId},
    text::{CivilDate, Comment, FieldKey, Name, TextValue, Title},
};

/// Where a card is put in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Top,
    Bottom,
    /// Below that card; at the top if it has left the column meanwhile.
    After(CardId),
}

/// A card to be made.
#[derive(Clone, Debug)]
pub struct NewCard {
    pub id: CardId,
    pub board: BoardId,
    pub title: Title,
    /// The leftmost if `None`.
    pub status: Option<StatusId>,
    pub place: Place,
    pub assignees: Vec<UserId>,
    pub labels: Vec<LabelId>,
    pub due: Option<CivilDate>,
    pub values: Vec<(FieldId, TextValue)>,
    pub body: Option<Comment>,
    pub delivery: Option<DeliveryId>,
}

impl NewCard {
    /// A card with nothing but a title, for the top of the leftmost column.
    #[must_use]
    pub fn titled(id: CardId, board: BoardId, title: Title) -> Self {
        Self {
            id,
            board,
            title,
            status: None,
            place: Place::Top,
            assignees: Vec::new(),
            labels: Vec::new(),
            due: None,
            values: Vec::new(),
            body: None,
            delivery: None,
        }
    }
}

/// A scalar's new value. `None` empties it.
#[derive(Clone, Debug)]
pub enum NewValue {
    Title(Title),
    Body(Option<Comment>),
    Due(Option<CivilDate>),
    Field(FieldId, Option<TextValue>),
}

impl NewValue {
    /// The scalar that it is for.
    #[must_use]
    pub fn field(&self) -> FieldRef {
        match self {
            Self::Title(_) => FieldRef::Title,
            Self::Body(_) => FieldRef::Body,
            Self::Due(_) => FieldRef::Due,
            Self::Field(field, _) => FieldRef::Value(*field),
        }
    }
}

/// A change asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a board; it must have a status and unused ids.
    CreateBoard(Board),
    RenameBoard {
        board: BoardId,
        name: Name,
    },
    AddStatus {
        board: BoardId,
        id: StatusId,
        name: Name,
        kind: StatusKind,
    },
    ChangeStatus {
        board: BoardId,
        id: StatusId,
        name: Name,
        kind: StatusKind,
    },
    MoveStatus {
        board: BoardId,
        id: StatusId,
        after: Option<StatusId>,
    },
    RemoveStatus {
        board: BoardId,
        id: StatusId,
    },
    AddField {
        board: BoardId,
        id: FieldId,
        key: FieldKey,
        label: Name,
    },
    RenameField {
        board: BoardId,
        id: FieldId,
        label: Name,
    },
    RemoveField {
        board: BoardId,
        id: FieldId,
    },
    AddLabel {
        board: BoardId,
        id: LabelId,
        name: Name,
        hue: u8,
    },
    ChangeLabel {
        board: BoardId,
        id: LabelId,
        name: Name,
        hue: u8,
    },
    RemoveLabel {
        board: BoardId,
        id: LabelId,
    },
    /// Puts a board away, or takes it back.
    ArchiveBoard {
        board: BoardId,
        on: bool,
    },
    AdmitGuest {
        board: BoardId,
        user: UserId,
        on: bool,
    },
    CreateCard(NewCard),
    /// Changes scalars of a card. With `based_on`, a scalar that somebody else changed after that version is a conflict;
    /// with `whole`, any change after it is.
    SetValues {
        card: CardId,
        values: Vec<NewValue>,
        based_on: Option<u64>,
        whole: bool,
    },
    MoveCard {
        card: CardId,
        status: StatusId,
        place: Place,
    },
    Assign {
        card: CardId,
        user: UserId,
        on: bool,
    },
    Label {
        card: CardId,
        label: LabelId,
        on: bool,
    },
    Comment {
        card: CardId,
        id: CommentId,
        text: Comment,
    },
    Archive {
        card: CardId,
    },
    Trash {
        card: CardId,
    },
    Restore {
        card: CardId,
    },
    /// Erases a card that is in the trash, for good.
    Erase {
        card: CardId,
    },
}

impl Command {
    /// Whether it adds content, which the organization may hold only so much of.
    #[must_use]
    pub fn brings_content(&self) -> bool {
        matches!(self, Self::CreateBoard(_) | Self::CreateCard(_) | Self::SetValues { .. } | Self::Comment { .. })
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A card was made, with its receipt number.
    Created { card: CardId, number: u64 },
    /// A card was changed, or already was as asked.
    Card(Box<Card>),
    /// Something else was done.
    Done,
}
