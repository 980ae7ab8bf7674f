//! Boards: `/orgs/{org}/boards`.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query};

use super::{
    answer::{Answer, Page},
    auth::{Guest, Member},
    body::{Body, doubled, members},
    cursor::List,
    idempotency::Once,
    problem::{Fault, Problem},
};
use crate::{
    ids::{BoardId, FieldId, StatusId},
    text::{FieldKey, Name},
    web::words::Language,
    work::{self, Command, StatusKind},
};

/// The type of the fields that there are so far.
const TEXT: &str = "text";

/// A column of a board.
#[derive(Debug, Object)]
struct Status {
    id: String,
    name: String,
    /// What it means: `todo`, `doing`, `review`, `waiting` or `done`.
    kind: String,
}

/// A field that every card of a board has.
#[derive(Debug, Object)]
struct Field {
    id: String,
    /// What payloads and this API call it.
    key: String,
    /// What people read.
    label: String,
    /// `text`.
    r#type: String,
}

/// A label of a board.
#[derive(Debug, Object)]
struct Label {
    id: String,
    name: String,
    /// One of six colours, 1 to 6.
    hue: u8,
}

/// A board.
#[derive(Debug, Object)]
pub struct Board {
    id: String,
    name: String,
    /// From left to right. The leftmost receives new cards.
    statuses: Vec<Status>,
    fields: Vec<Field>,
    labels: Vec<Label>,
    /// RFC 3339.
    created_at: String,
    /// Whether it was put away.
    archived: bool,
}

impl From<work::Board> for Board {
    fn from(board: work::Board) -> Self {
        let status = |status: work::Status| Status {
            id: status.id.to_string(),
            name: status.name,
            kind: status.kind.name().to_owned(),
        };
        let field = |field: work::Field| Field {
            id: field.id.to_string(),
            key: field.key,
            label: field.label,
            r#type: TEXT.to_owned(),
        };
        let label = |label: work::Label| Label { id: label.id.to_string(), name: label.name, hue: label.hue };
        Self {
            id: board.id.to_string(),
            name: board.name,
            statuses: board.statuses.into_iter().map(status).collect(),
            fields: board.fields.into_iter().map(field).collect(),
            labels: board.labels.into_iter().map(label).collect(),
            created_at: board.created_at.rfc3339(),
            archived: board.archived_at.is_some(),
        }
    }
}

members! {
    /// A field to be made.
    pub struct NewField {
        /// What payloads and this API call it; once on a board.
        key: FieldKey,
        /// What people read.
        label: Name,
        /// `text`, which it is if not given.
        r#type: Option<String>,
    }
}

members! {
    /// A board to be made.
    pub struct NewBoard {
        /// What people read.
        name: Name,
        /// Names of the statuses from left to right. The first begins, the last is done.
        statuses: Option<Vec<Name>>,
        /// Fields that every card will have.
        fields: Option<Vec<NewField>>,
    }
}

impl NewBoard {
    fn check(&self) -> Result<(), Problem> {
        let statuses = self.statuses.as_deref().unwrap_or_default();
        let fields = self.fields.as_deref().unwrap_or_default();
        let mut faults = doubled("statuses", "", statuses.iter().map(Name::as_str));
        faults.extend(doubled("fields", ".key", fields.iter().map(|field| field.key.as_str())));
        for (at, field) in fields.iter().enumerate() {
            let foreign = field.r#type.as_deref().filter(|given| *given != TEXT);
            faults.extend(foreign.map(|given| Fault::unknown(&format!("fields[{at}].type"), given)));
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::faults(faults)) }
    }

    /// The board; without statuses, those of an empty one in the reader's language.
    fn board(self, now: crate::clock::Timestamp, language: Language) -> work::Board {
        let words = language.words();
        let mut board =
            work::Template::Empty.board(BoardId::fresh(now), self.name.as_str(), now, |key| words.text(key));
        if let Some(names) = self.statuses.filter(|names| !names.is_empty()) {
            let last = names.len() - 1;
            let kind = |at| match at {
                0 => StatusKind::Todo,
                at if at == last => StatusKind::Done,
                _ => StatusKind::Doing,
            };
            let status = |(at, name): (usize, Name)| work::Status {
                id: StatusId::fresh(now),
                name: name.into(),
                kind: kind(at),
            };
            board.statuses = names.into_iter().enumerate().map(status).collect();
        }
        let field =
            |field: NewField| work::Field { id: FieldId::fresh(now), key: field.key.into(), label: field.label.into() };
        board.fields = self.fields.into_iter().flatten().map(field).collect();
        board
    }
}

/// The operations.
pub struct Boards;

#[OpenApi]
impl Boards {
    /// List boards
    ///
    /// Those that the token may see, oldest first.
    #[oai(path = "/orgs/:org/boards", method = "get")]
    async fn list(
        &self,
        org: Guest,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
    ) -> Result<Answer<Page<Board>>, Problem> {
        let (after, limit) = List::Boards.asked::<BoardId>(limit.0, cursor.0.as_deref())?;
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let read = store.read(move |view| {
            let mut boards = work::read::boards(view)?;
            boards.retain(|board| after.is_none_or(|after| board.id > after) && caller.sees(board));
            Ok::<_, Problem>(Page::of(boards, limit, |last| List::Boards.cursor(&last.id), Board::from))
        });
        Ok(Answer::of(&read.await?))
    }

    /// Create a board
    #[oai(path = "/orgs/:org/boards", method = "post")]
    async fn create(
        &self,
        org: Member,
        #[oai(name = "Idempotency-Key")] once: Once,
        language: Reads,
        body: Body<NewBoard>,
    ) -> Result<Answer<Board, 201>, Problem> {
        body.given.check()?;
        let board = body.given.board(org.now, language.0);
        let (at, actor) = (org.now, org.actor());
        once.submit(&org, body.digest, body.bytes, move |txn| {
            work::change(txn, actor, at, &Command::CreateBoard(board.clone()))?;
            Ok(Answer::of(&Board::from(board.clone())))
        })
        .await
    }
}

/// The language that the client reads.
struct Reads(Language);

impl<'a> poem::FromRequest<'a> for Reads {
    async fn from_request(req: &'a poem::Request, _: &mut poem::RequestBody) -> poem::Result<Self> {
        Ok(Self(Language::negotiate(req.header(poem::http::header::ACCEPT_LANGUAGE).unwrap_or_default())))
    }
}
