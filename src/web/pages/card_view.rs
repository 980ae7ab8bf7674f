//! What is shown of a card: its values, what a webhook sent, and its timeline in sentences.

use super::board::Tiler;
use crate::{
    hooks::{delivery, endpoint, mapping, payload},
    ids::UserId,
    people::Role,
    store::{Read, history::Actor},
    text::markdown,
    web::{
        answer::WebError,
        caller::Here,
        format::{self, People},
        view::card::{self, Card as CardView, Entry, Field, Place, Problem, Received, sentence},
    },
    work::{self, Board, Card, CardState, Change, Event},
};

/// Entries of the timeline that a page shows.
const TIMELINE_MAX: usize = 500;
/// Rows of received content that a page shows.
const ROWS_MAX: usize = 100;

/// Everything that is shown of a card to the reader.
///
/// # Errors
/// What the store says.
pub fn card_view(
    here: &Here,
    view: &dyn Read,
    board: &Board,
    card: &Card,
    problem: Option<Problem>,
    draft: String,
) -> Result<CardView, WebError> {
    let people = People::of(view)?;
    let tiler = Tiler::new(here, board, &people);
    let when = &tiler.when;
    let body = card.body.map(|number| work::read::text(view, number)).transpose()?.unwrap_or_default();
    let status = board.status(card.status).unwrap_or_else(|| board.leftmost());
    let mut members: Vec<_> = people
        .present()
        .filter(|member| member.role > Role::Guest || board.guests.contains(&member.user))
        .map(|member| (people.person(member.user), card.assignees.contains(&member.user)))
        .collect();
    // Somebody who left stays on the card until they are taken off.
    for gone in card.assignees.iter().filter(|user| !people.present().any(|member| member.user == **user)) {
        members.push((people.person(*gone), true));
    }
    members.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(CardView {
        board: here.head(board),
        id: card.id.to_string(),
        number: card.number,
        version: card.version,
        title: card.title.clone(),
        body_html: markdown::render(&body),
        body,
        status: format::status(status),
        statuses: board.statuses.iter().map(format::status).collect(),
        due: tiler.due(card, true),
        due_value: card.due.map(|due| due.to_string()).unwrap_or_default(),
        labels: board
            .labels
            .iter()
            .map(|label| {
                let shown = crate::web::view::parts::Label {
                    id: label.id.to_string(),
                    name: label.name.clone(),
                    hue: label.hue,
                };
                (shown, card.labels.contains(&label.id))
            })
            .collect(),
        members,
        fields: board
            .fields
            .iter()
            .map(|field| Field {
                id: field.id.to_string(),
                label: field.label.clone(),
                value: card.value(field.id).to_owned(),
            })
            .collect(),
        received: received(here, view, card, &tiler)?,
        timeline: timeline(here, view, card, &people, &tiler)?,
        created: when.moment(card.created_at),
        updated: when.moment(card.updated_at),
        updated_by: people.actor(here.words(), card.updated_by),
        place: match card.state {
            CardState::Open => Place::Board,
            CardState::Archived { .. } => Place::Archive,
            CardState::Trashed { at, .. } => {
                let erased = at.plus(work::IN_TRASH);
                Place::Trash(when.day(erased.in_zone(when.zone).date()))
            }
        },
        may_comment: !matches!(card.state, CardState::Trashed { .. }),
        problem,
        draft,
    })
}

fn received(here: &Here, view: &dyn Read, card: &Card, tiler: &Tiler<'_>) -> Result<Option<Received>, WebError> {
    let Some(id) = card.delivery else { return Ok(None) };
    let Some(delivery) = delivery::delivery(view, id)? else { return Ok(None) };
    let hook = endpoint::hook(view, delivery.hook)?;
    let rows = match delivery::body(view, id)? {
        Some(body) => payload::read(body.content_type.as_deref(), &body.bytes).map_or_else(
            |_| Vec::new(),
            |payload| {
                let rows = mapping::rows(&payload.value, ROWS_MAX).rows;
                rows.into_iter().map(|row| (row.label, row.value)).collect()
            },
        ),
        None => Vec::new(),
    };
    let may_look = here.member.role >= Role::Admin;
    Ok(Some(Received {
        hook: hook.map(|hook| hook.name).unwrap_or_default(),
        href: may_look.then(|| format!("/o/{}/deliveries/{id}", here.org)),
        verified: delivery.signed,
        at: tiler.when.moment(delivery.received_at),
        rows,
    }))
}

fn timeline(
    here: &Here,
    view: &dyn Read,
    card: &Card,
    people: &People,
    tiler: &Tiler<'_>,
) -> Result<Vec<Entry>, WebError> {
    let mut entries = Vec::new();
    for entry in work::read::timeline(view, card.id, 0, TIMELINE_MAX)? {
        let at = tiler.when.moment(entry.at);
        if let Event::Commented { comment, .. } = &entry.event {
            let Some(comment_read) = work::read::comment(view, card.id, *comment)? else { continue };
            let text = work::read::text(view, comment_read.text)?;
            let by = match entry.actor.user() {
                Some(user) => people.person(user),
                None => stand_in(people.actor(here.words(), entry.actor)),
            };
            entries.push(Entry::Comment { id: comment.to_string(), by, html: markdown::render(&text), at });
            continue;
        }
        let hook_name = match entry.actor {
            Actor::Hook(hook) => endpoint::hook(view, hook)?.map(|hook| hook.name),
            _ => None,
        };
        let actor = hook_name.unwrap_or_else(|| people.actor(here.words(), entry.actor));
        if let Some((icon, html)) = said(here, &entry.event, &actor, entry.actor, people, tiler) {
            entries.push(Entry::Change { icon, system: entry.actor.user().is_none(), html, at });
        }
    }
    Ok(entries)
}

fn stand_in(name: String) -> crate::web::view::parts::Person {
    crate::web::view::parts::Person { id: String::new(), initial: crate::web::caller::initial(&name), name, hue: 1 }
}

/// An event as an icon and a sentence; `None` for what is not worth a line.
fn said(
    here: &Here,
    event: &Event,
    actor: &str,
    by: Actor,
    people: &People,
    tiler: &Tiler<'_>,
) -> Option<(&'static str, String)> {
    let words = here.words();
    let day = |date: Option<crate::text::CivilDate>| date.map(|date| tiler.when.day(date.0)).unwrap_or_default();
    let name = |user: &UserId| people.person(*user).name;
    let line = |icon: &'static str, key: &str, values: &[(&str, &str)]| {
        let mut all = vec![("actor", actor)];
        all.extend_from_slice(values);
        Some((icon, sentence(words, key, &all)))
    };
    match event {
        Event::CardCreated { status_name, delivery, .. } => match delivery {
            Some(_) => line("hook", "timeline-received", &[("to", status_name)]),
            None => line("plus", "timeline-created", &[("to", status_name)]),
        },
        Event::CardMoved { from, to, from_name, to_name, .. } if from != to => {
            line("move", "timeline-moved", &[("from", from_name), ("to", to_name)])
        }
        Event::CardChanged { change, .. } => match change {
            Change::Title { from, to } => line("pen", "timeline-title", &[("from", from), ("to", to)]),
            Change::Body { .. } => line("pen", "timeline-body", &[]),
            Change::Due { from: None, to } => line("cal", "timeline-due-set", &[("to", &day(*to))]),
            Change::Due { to: None, .. } => line("cal", "timeline-due-cleared", &[]),
            Change::Due { from, to } => {
                line("cal", "timeline-due-changed", &[("from", &day(*from)), ("to", &day(*to))])
            }
            Change::Value { label, from, to, .. } => match (from.is_empty(), to.is_empty()) {
                (_, true) => line("pen", "timeline-field-cleared", &[("field", label)]),
                (true, _) => line("pen", "timeline-field-set", &[("field", label), ("to", to)]),
                _ => line("pen", "timeline-field-changed", &[("field", label), ("from", from), ("to", to)]),
            },
        },
        Event::CardAssigned { user, on: true, .. } if by == Actor::User(*user) => {
            line("me", "timeline-assigned-self", &[])
        }
        Event::CardAssigned { user, on: true, .. } => line("me", "timeline-assigned", &[("to", &name(user))]),
        Event::CardAssigned { user, on: false, .. } => line("me", "timeline-unassigned", &[("to", &name(user))]),
        Event::CardLabelled { name, on: true, .. } => line("tag", "timeline-labelled", &[("to", name)]),
        Event::CardLabelled { name, on: false, .. } => line("tag", "timeline-unlabelled", &[("to", name)]),
        Event::CardArchived { .. } => line("box", "timeline-archived", &[]),
        Event::CardTrashed { .. } => line("trash", "timeline-trashed", &[]),
        Event::CardRestored { .. } => line("back", "timeline-restored", &[]),
        _ => None,
    }
}

/// A field's name in forms.
#[must_use]
pub fn field_name(field: work::FieldRef) -> String {
    match field {
        work::FieldRef::Title => "title".to_owned(),
        work::FieldRef::Body => "body".to_owned(),
        work::FieldRef::Due => "due".to_owned(),
        work::FieldRef::Value(id) => format!("field:{id}"),
    }
}

/// Two values for one field, to choose from.
#[must_use]
pub fn clash(here: &Here, people: &People, field: work::FieldRef, mine: &str, theirs: String, card: &Card) -> Problem {
    Problem::Clash(card::Clash {
        field: field_name(field),
        mine: mine.to_owned(),
        theirs,
        by: people.actor(here.words(), card.updated_by),
    })
}
