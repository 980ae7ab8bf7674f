//! A card's history: `/orgs/{org}/cards/{card}/timeline`.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query};

use super::{
    answer::{Actor, Answer, Page},
    auth::{Guest, Named},
    cursor::List,
    problem::Problem,
};
use crate::{
    ids::CardId,
    store::{Read, StoreError, history::Entry},
    work::{self, Board, Change, Event},
};

/// One thing that happened to a card.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Moment {
    /// The event's number in the organization's history.
    number: u64,
    at: String,
    actor: Actor,
    /// `card.created`, `card.changed`, `card.moved`, `card.assigned`, `card.unassigned`, `card.labelled`,
    /// `card.unlabelled`, `card.commented`, `card.archived`, `card.trashed` or `card.restored`.
    kind: String,
    /// What was changed: `title`, `body`, `due` or `fields.…`.
    field: Option<String>,
    /// The value before: of the field, or the name of the status.
    from: Option<String>,
    /// The value after.
    to: Option<String>,
    /// The member or label concerned.
    subject: Option<String>,
    /// The comment's id.
    comment: Option<String>,
    /// The comment's text.
    body: Option<String>,
}

impl Moment {
    fn of(view: &dyn Read, board: &Board, entry: Entry<Event>) -> Result<Self, StoreError> {
        let mut moment = Self {
            number: entry.number,
            at: entry.at.rfc3339(),
            actor: entry.actor.into(),
            kind: String::new(),
            field: None,
            from: None,
            to: None,
            subject: None,
            comment: None,
            body: None,
        };
        let kind = match entry.event {
            Event::CardCreated { title, .. } => {
                (moment.field, moment.to) = (Some("title".to_owned()), Some(title));
                "card.created"
            }
            Event::CardChanged { change, .. } => {
                moment.change(view, board, entry.number, change)?;
                "card.changed"
            }
            Event::CardMoved { from_name, to_name, .. } => {
                (moment.from, moment.to) = (Some(from_name), Some(to_name));
                "card.moved"
            }
            Event::CardAssigned { user, on, .. } => {
                moment.subject = Some(user.to_string());
                if on { "card.assigned" } else { "card.unassigned" }
            }
            Event::CardLabelled { label, name, on, .. } => {
                moment.subject = Some(label.to_string());
                let name = Some(name).filter(|name| !name.is_empty());
                if on {
                    moment.to = name;
                } else {
                    moment.from = name;
                }
                if on { "card.labelled" } else { "card.unlabelled" }
            }
            Event::Commented { comment, .. } => {
                moment.comment = Some(comment.to_string());
                moment.body = Some(work::read::text(view, entry.number)?);
                "card.commented"
            }
            Event::CardArchived { .. } => "card.archived",
            Event::CardTrashed { .. } => "card.trashed",
            Event::CardRestored { .. } => "card.restored",
            // The timeline holds events of cards only.
            _ => "board.changed",
        };
        Ok(Self { kind: kind.to_owned(), ..moment })
    }

    fn change(&mut self, view: &dyn Read, board: &Board, number: u64, change: Change) -> Result<(), StoreError> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let (field, from, to) = match change {
            Change::Title { from, to } => ("title".to_owned(), some(from), some(to)),
            Change::Body { from, .. } => {
                let from = from.map(|number| work::read::text(view, number)).transpose()?;
                ("body".to_owned(), from.and_then(some), some(work::read::text(view, number)?))
            }
            Change::Due { from, to } => {
                ("due".to_owned(), from.map(|date| date.to_string()), to.map(|date| date.to_string()))
            }
            Change::Value { field, label, from, to } => {
                // A field that was removed has no key any more, only the label of then.
                let key = board.field(field).map_or(label, |field| field.key.clone());
                (format!("fields.{key}"), some(from), some(to))
            }
        };
        (self.field, self.from, self.to) = (Some(field), from, to);
        Ok(())
    }
}

/// The operations.
pub struct Timeline;

#[OpenApi]
impl Timeline {
    /// A card's history
    ///
    /// Comments and every change, oldest first.
    #[oai(path = "/orgs/:org/cards/:card/timeline", method = "get")]
    async fn list(
        &self,
        org: Guest,
        card: Named<CardId>,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
    ) -> Result<Answer<Page<Moment>>, Problem> {
        let (after, limit) = List::Timeline.asked::<u64>(limit.0, cursor.0.as_deref())?;
        let (caller, store) = (Arc::clone(&org.0), Arc::clone(&org.store));
        let read = store.read(move |view| {
            let (card, board) = caller.card(view, card.0)?;
            let mut entries = work::read::timeline(view, card.id, after.unwrap_or(0), limit + 1)?;
            let goes_on = entries.len() > limit;
            entries.truncate(limit);
            let next_cursor = entries.last().filter(|_| goes_on).map(|last| List::Timeline.cursor(&last.number));
            let items = entries.into_iter().map(|entry| Moment::of(view, &board, entry)).collect::<Result<_, _>>()?;
            Ok::<_, Problem>(Page { items, next_cursor })
        });
        Ok(Answer::of(&read.await?))
    }
}
