//! Cards: `/orgs/{org}/boards/{board}/cards` and `/orgs/{org}/cards/{card}`.

use std::{collections::BTreeMap, sync::Arc};

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Query},
    types::ToJSON,
};

use super::{
    answer::{Actor, Answer, Gone, Page},
    auth::{Guest, Member, Named},
    body::{Body, FieldValues, Patch, members},
    choices,
    cursor::List,
    filter::Filter,
    idempotency::Once,
    if_match::IfMatch,
    problem::Problem,
};
use crate::{
    ids::{BoardId, CardId, CommentId, UserId},
    store::{Read, StoreError},
    text::{self, CivilDate, Title},
    work::{self, Board, CardState, Command, NewValue, Place},
};

/// Where a card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    /// In its column.
    Open,
    /// Put away.
    Archived,
    /// In the trash, for 30 days.
    Trashed,
}

impl From<CardState> for State {
    fn from(state: CardState) -> Self {
        match state {
            CardState::Open => Self::Open,
            CardState::Archived { .. } => Self::Archived,
            CardState::Trashed { .. } => Self::Trashed,
        }
    }
}

/// A card.
#[derive(Debug, Object)]
pub struct Card {
    id: String,
    /// Its receipt number: counts up on its board and is never used again.
    number: u64,
    title: String,
    /// The id of the column that it stands in, or stood in when it was put away.
    status: String,
    /// The board's id.
    board: String,
    /// Members' ids.
    assignees: Vec<String>,
    /// The ids of its labels.
    labels: Vec<String>,
    /// A date such as `2026-11-30`.
    due: Option<String>,
    /// Values by field key; a field without a value is absent.
    fields: BTreeMap<String, String>,
    /// The description, as Markdown.
    body: Option<String>,
    state: State,
    /// How many comments it has.
    comments: u32,
    /// RFC 3339, as all times.
    created_at: String,
    updated_at: String,
    /// Counts every change, from 1; stands in the `ETag` too.
    version: u64,
}

impl Card {
    /// A card as the API shows it.
    ///
    /// # Errors
    /// What the store says.
    pub fn of(view: &dyn Read, board: &Board, card: &work::Card) -> Result<Self, StoreError> {
        let body = card.body.map(|number| work::read::text(view, number)).transpose()?;
        let filled = card.values.iter().filter_map(|(id, value)| Some((board.field(*id)?.key.clone(), value.clone())));
        Ok(Self {
            id: card.id.to_string(),
            number: card.number,
            title: card.title.clone(),
            status: card.status.to_string(),
            board: card.board.to_string(),
            assignees: card.assignees.iter().map(ToString::to_string).collect(),
            labels: card.labels.iter().map(ToString::to_string).collect(),
            due: card.due.map(|date| date.to_string()),
            fields: filled.collect(),
            body: body.filter(|text| !text.is_empty()),
            state: card.state.into(),
            comments: card.comments,
            created_at: card.created_at.rfc3339(),
            updated_at: card.updated_at.rfc3339(),
            version: card.version,
        })
    }
}

/// The answer that shows a card as it stands in `view`.
fn shown<const STATUS: u16>(view: &dyn Read, board: &Board, id: CardId) -> Result<Answer<Card, STATUS>, Problem> {
    let card = work::read::card(view, id)?.ok_or_else(Problem::not_found)?;
    Ok(Answer::of(&Card::of(view, board, &card)?).at(card.version))
}

/// Lets a change pass only if the card still is what the client knows.
fn check_version(view: &dyn Read, board: &Board, card: &work::Card, known: &IfMatch) -> Result<(), Problem> {
    if known.matches(card.version) {
        return Ok(());
    }
    Err(Problem::stale(Card::of(view, board, card)?.to_json()))
}

members! {
    /// A card to be made.
    pub struct NewCard {
        /// One line.
        title: Title,
        /// A status of the board, by id or name; the leftmost if not given.
        status: Option<String>,
        /// Members' ids.
        assignees: Option<Vec<UserId>>,
        /// Labels of the board, by id or name.
        labels: Option<Vec<String>>,
        /// A date such as `2026-11-30`.
        due: Option<CivilDate>,
        /// Values by field key.
        fields: FieldValues,
        /// The description, as Markdown.
        body: Option<text::Comment>,
    }
}

members! {
    /// What is to change; what is not given stays as it is.
    pub struct CardChange {
        /// One line.
        title: Patch<Title>,
        /// A status of the board, by id or name.
        status: Patch<String>,
        /// Members' ids: exactly these afterwards.
        assignees: Patch<Vec<UserId>>,
        /// Labels of the board, by id or name: exactly these afterwards.
        labels: Patch<Vec<String>>,
        /// A date such as `2026-11-30`; `null` empties it.
        due: Patch<Option<CivilDate>>,
        /// Values by field key; `null` empties a field, fields not named stay.
        fields: FieldValues,
        /// The description, as Markdown; `null` empties it.
        body: Patch<Option<text::Comment>>,
    }
}

members! {
    /// A comment to be made.
    pub struct NewComment {
        /// Its text, as Markdown.
        body: text::Comment,
    }
}

/// A comment on a card.
#[derive(Debug, Object)]
pub struct Comment {
    id: String,
    /// The card's id.
    card: String,
    /// As Markdown.
    body: String,
    by: Actor,
    created_at: String,
}

impl NewCard {
    fn command(&self, view: &dyn Read, board: &Board, id: CardId) -> Result<Command, Problem> {
        let mut faults = Vec::new();
        let status = self.status.as_deref().map(|given| choices::status(board, given, &mut faults)).transpose()?;
        let labels = choices::labels(board, self.labels.as_deref().unwrap_or_default(), &mut faults);
        let assignees = choices::members(view, self.assignees.as_deref().unwrap_or_default(), &[], &mut faults)?;
        let values = choices::values(board, &self.fields, &mut faults);
        if !faults.is_empty() {
            return Err(Problem::faults(faults));
        }
        Ok(Command::CreateCard(work::NewCard {
            status: status.flatten(),
            assignees,
            labels,
            due: self.due,
            values: values.into_iter().filter_map(|(field, value)| Some((field, value?))).collect(),
            body: self.body.clone(),
            ..work::NewCard::titled(id, board.id, self.title.clone())
        }))
    }
}

impl CardChange {
    /// The commands that bring a card to where the client wants it.
    fn commands(&self, view: &dyn Read, board: &Board, card: &work::Card) -> Result<Vec<Command>, Problem> {
        let (id, mut faults) = (card.id, Vec::new());
        let mut values: Vec<NewValue> = Vec::new();
        values.extend(self.title.clone().set().map(NewValue::Title));
        values.extend(self.body.clone().set().map(NewValue::Body));
        values.extend(self.due.clone().set().map(NewValue::Due));
        let fields = choices::values(board, &self.fields, &mut faults);
        values.extend(fields.into_iter().map(|(field, value)| NewValue::Field(field, value)));
        // Asked even if empty, so that a card in the trash refuses whatever is asked of it.
        let mut commands = vec![Command::SetValues { card: id, values, based_on: None, whole: false }];
        if let Patch::Set(given) = &self.status
            && let Some(status) = choices::status(board, given, &mut faults)?
            && status != card.status
        {
            if matches!(card.state, CardState::Archived { .. }) {
                return Err(Problem::archived());
            }
            commands.push(Command::MoveCard { card: id, status, place: Place::Top });
        }
        if let Patch::Set(given) = &self.assignees {
            let wanted = choices::members(view, given, &card.assignees, &mut faults)?;
            let assign = |user, on| Command::Assign { card: id, user, on };
            commands
                .extend(card.assignees.iter().filter(|user| !wanted.contains(user)).map(|user| assign(*user, false)));
            commands
                .extend(wanted.iter().filter(|user| !card.assignees.contains(user)).map(|user| assign(*user, true)));
        }
        if let Patch::Set(given) = &self.labels {
            let wanted = choices::labels(board, given, &mut faults);
            let label = |label, on| Command::Label { card: id, label, on };
            commands.extend(card.labels.iter().filter(|worn| !wanted.contains(worn)).map(|worn| label(*worn, false)));
            commands.extend(wanted.iter().filter(|new| !card.labels.contains(new)).map(|new| label(*new, true)));
        }
        if faults.is_empty() { Ok(commands) } else { Err(Problem::faults(faults)) }
    }
}

/// The operations.
pub struct Cards;

#[OpenApi]
impl Cards {
    /// List cards
    ///
    /// Latest first. Without `state`, those that stand on the board.
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    #[oai(path = "/orgs/:org/boards/:board/cards", method = "get")]
    async fn list(
        &self,
        org: Guest,
        board: Named<BoardId>,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
        /// Only cards with this status, by id or name.
        status: Query<Option<String>>,
        /// Only cards assigned to the member of this id.
        assignee: Query<Option<String>>,
        /// Only cards with these words in title, fields or description.
        q: Query<Option<String>>,
        /// Only cards of this state; `open` if not given.
        state: Query<Option<State>>,
    ) -> Result<Answer<Page<Card>>, Problem> {
        let (before, limit) = List::Cards.asked::<u64>(limit.0, cursor.0.as_deref())?;
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let read = store.read(move |view| {
            let board = caller.board(view, board.0)?;
            let state = state.0.unwrap_or(State::Open);
            let filter = Filter::of(&board, state, status.0.as_deref(), assignee.0.as_deref(), q.0.as_deref())?;
            let (cards, goes_on) = filter.page(view, &board, before, limit)?;
            let items = cards.iter().map(|card| Card::of(view, &board, card)).collect::<Result<_, _>>()?;
            Ok::<_, Problem>(Page { items, next_cursor: goes_on.map(|number| List::Cards.cursor(&number)) })
        });
        Ok(Answer::of(&read.await?))
    }

    /// Add a card
    ///
    /// At the top of its column.
    #[oai(path = "/orgs/:org/boards/:board/cards", method = "post")]
    async fn create(
        &self,
        org: Member,
        board: Named<BoardId>,
        #[oai(name = "Idempotency-Key")] once: Once,
        body: Body<NewCard>,
    ) -> Result<Answer<Card, 201>, Problem> {
        let (caller, id) = (Arc::clone(&org.0), CardId::fresh(org.now));
        once.submit(&org, body.digest, body.bytes, move |txn| {
            let board = caller.board(txn.reader(), board.0)?;
            let command = body.given.command(txn.reader(), &board, id)?;
            work::change(txn, caller.actor(), caller.now, &command)?;
            shown(txn.reader(), &board, id)
        })
        .await
    }

    /// Read a card
    #[oai(path = "/orgs/:org/cards/:card", method = "get")]
    async fn read(&self, org: Guest, card: Named<CardId>) -> Result<Answer<Card>, Problem> {
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let read = store.read(move |view| {
            let (card, board) = caller.card(view, card.0)?;
            Ok::<_, Problem>(Answer::of(&Card::of(view, &board, &card)?).at(card.version))
        });
        read.await
    }

    /// Change a card
    ///
    /// All of it or, if anything is refused, nothing.
    #[oai(path = "/orgs/:org/cards/:card", method = "patch")]
    async fn change(
        &self,
        org: Member,
        card: Named<CardId>,
        /// The `ETag` that was read; 409 with the present card if it has changed since.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<CardChange>,
    ) -> Result<Answer<Card>, Problem> {
        let known = IfMatch::parse(if_match.0.as_deref())?;
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let submitted = store.submit(body.bytes, move |txn| {
            let view = txn.reader();
            let (card, board) = caller.card(view, card.0)?;
            check_version(view, &board, &card, &known)?;
            let commands = body.given.commands(view, &board, &card)?;
            // They touch different parts of the card, so what one is decided on does not depend on the others: all are
            // decided before the first is written.
            for command in &commands {
                work::decide(view, command)?;
            }
            for command in &commands {
                work::change(txn, caller.actor(), caller.now, command)?;
            }
            shown(txn.reader(), &board, card.id)
        });
        submitted.await
    }

    /// Move a card to the trash
    #[oai(path = "/orgs/:org/cards/:card", method = "delete")]
    async fn trash(
        &self,
        org: Member,
        card: Named<CardId>,
        /// The `ETag` that was read; 409 with the present card if it has changed since.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Gone, Problem> {
        let known = IfMatch::parse(if_match.0.as_deref())?;
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let submitted = store.submit(0, move |txn| {
            let (card, board) = caller.card(txn.reader(), card.0)?;
            check_version(txn.reader(), &board, &card, &known)?;
            work::change(txn, caller.actor(), caller.now, &Command::Trash { card: card.id })?;
            Ok(Gone)
        });
        submitted.await
    }

    /// Comment
    #[oai(path = "/orgs/:org/cards/:card/comments", method = "post")]
    async fn comment(
        &self,
        org: Guest,
        card: Named<CardId>,
        #[oai(name = "Idempotency-Key")] once: Once,
        body: Body<NewComment>,
    ) -> Result<Answer<Comment, 201>, Problem> {
        let (caller, id) = (Arc::clone(&org.0), CommentId::fresh(org.now));
        once.submit(&org, body.digest, body.bytes, move |txn| {
            let (card, _) = caller.card(txn.reader(), card.0)?;
            let text = body.given.body.clone();
            work::change(txn, caller.actor(), caller.now, &Command::Comment { card: card.id, id, text })?;
            Ok(Answer::of(&Comment {
                id: id.to_string(),
                card: card.id.to_string(),
                body: body.given.body.as_str().to_owned(),
                by: caller.actor().into(),
                created_at: caller.now.rfc3339(),
            }))
        })
        .await
    }
}
