//! Where one lands: the choice of an organization, its home, and the making of a board.

use std::sync::Arc;

use poem::{Response, Result, handler, web::Form};
use serde::Deserialize;

use super::{command, parse, rule};
use crate::{
    ids::{BoardId, CardId},
    people,
    store::{Order, Read, Span, history},
    text::Name,
    web::{
        answer::{WebError, page, page_with, see_other},
        caller::{Guest, Here, Member, Reader, SignedIn, initial},
        format::{People, When},
        view::{
            Section,
            form::Input,
            home::{Activity, BoardTemplate, BoardTile, ChooseOrganization, Home, NewBoard, OrganizationChoice},
            parts::escape,
        },
    },
    work::{self, Command, Event, StatusKind, Template},
};

/// Lines of recent activity.
const ACTIVITY: usize = 12;
/// Events that are looked through for them.
const LOOKED_THROUGH: usize = 200;

/// `GET /`: on to the organization, the console, or the sign-in page.
#[handler]
pub async fn root(reader: Reader) -> Result<Response> {
    let Some(session) = &reader.session else { return Ok(see_other("/sign-in")) };
    match session.user.organizations.as_slice() {
        [only] => Ok(see_other(&format!("/o/{only}"))),
        [] if session.operator.is_some() => Ok(see_other("/console")),
        _ => Ok(see_other("/organizations")),
    }
}

/// `GET /organizations`: for members of several, or of none.
#[handler]
pub async fn choose(signed_in: SignedIn) -> Result<Response> {
    let reader = &signed_in.reader;
    let words = reader.words();
    let mut organizations = Vec::new();
    let mut mail = reader
        .session
        .as_ref()
        .and_then(|session| session.operator.as_ref()?.mail.clone())
        .map(|mail| mail.as_str().to_owned())
        .unwrap_or_default();
    for org in &signed_in.user.organizations {
        let Ok(store) = reader.app.stores.organization(*org) else { continue };
        let user = signed_in.user.id;
        let known = store
            .read(move |view| Ok::<_, WebError>((people::member(view, user)?, people::members::settings(view)?)))
            .await?;
        if let (Some(member), settings) = known {
            member.mail.as_str().clone_into(&mut mail);
            organizations.push(OrganizationChoice {
                id: org.to_string(),
                mark: initial(&settings.name),
                name: settings.name,
                role: words.text(&format!("role-{}", member.role.name())),
            });
        }
    }
    let chrome = reader.chrome(Section::None);
    Ok(page(&ChooseOrganization { chrome, organizations, mail, host: reader.app.host().to_owned() })?)
}

/// `GET /o/:org`.
#[handler]
pub async fn show(guest: Guest) -> Result<Response> {
    let here = Arc::clone(&guest.0);
    let store = Arc::clone(&here.store);
    Ok(store.read(move |view| home(&here, view)).await?)
}

fn home(here: &Here, view: &dyn Read) -> Result<Response, WebError> {
    let when = When { words: here.words(), zone: &here.app().zone, now: here.app().now() };
    let mut boards = Vec::new();
    for board in work::read::boards(view)? {
        if board.archived_at.is_some() || !here.sees(&board) {
            continue;
        }
        let tally = work::read::tally(view, board.id)?;
        let done: u64 = board
            .statuses
            .iter()
            .filter(|status| status.kind == StatusKind::Done)
            .map(|status| tally.column(status.id))
            .sum();
        boards.push(BoardTile {
            id: board.id.to_string(),
            open: tally.open() - done,
            latest: (tally.event > 0).then(|| when.moment(tally.changed_at).text),
            name: board.name,
            private: false,
        });
    }
    let may_create = here.member.role >= people::Role::Member;
    let templates = if boards.is_empty() && may_create { BoardTemplate::all(here.words(), "") } else { Vec::new() };
    page(&Home {
        chrome: here.chrome(view, Section::Home, None)?,
        org: here.org.to_string(),
        boards,
        activity: activity(here, view, &when)?,
        templates,
        may_create,
    })
}

/// The latest things that happened to cards on boards that the reader sees.
fn activity(here: &Here, view: &dyn Read, when: &When<'_>) -> Result<Vec<Activity>, WebError> {
    let people = People::of(view)?;
    let mut lines = Vec::new();
    let recent = view.list(&history::EVENTS, &Span::all(), Order::Descending, LOOKED_THROUGH)?;
    let mut told: Vec<CardId> = Vec::new();
    for (number, header) in recent {
        if lines.len() >= ACTIVITY || header.room != history::Room::Work {
            continue;
        }
        let Some(entry) = history::read::<Event>(view, history::Room::Work, number)? else { continue };
        let (Some(card), Some(board)) = (entry.event.card(), work::read::board(view, entry.event.board())?) else {
            continue;
        };
        if told.contains(&card) || !here.sees(&board) {
            continue;
        }
        let Some(card) = work::read::card(view, card)? else { continue };
        told.push(card.id);
        let (key, status) = match &entry.event {
            Event::CardCreated { delivery: Some(_), .. } => ("activity-received", String::new()),
            Event::CardCreated { .. } => ("activity-created", String::new()),
            Event::CardMoved { from, to, to_name, .. } if from != to => ("activity-moved", to_name.clone()),
            Event::Commented { .. } => ("activity-commented", String::new()),
            Event::CardArchived { .. } => ("activity-archived", String::new()),
            Event::CardTrashed { .. } => ("activity-trashed", String::new()),
            Event::CardRestored { .. } => ("activity-restored", String::new()),
            _ => ("activity-changed", String::new()),
        };
        let actor = people.actor(here.words(), entry.actor);
        let person = entry.actor.user().map(|user| people.person(user));
        let link = format!(r#"<a href="/o/{}/cards/{}">{}</a>"#, here.org, card.id, escape(&card.title));
        let (actor, status) = (format!("<b>{}</b>", escape(&actor)), escape(&status));
        lines.push(Activity {
            initial: person.as_ref().map(|person| person.initial.clone()).unwrap_or_default(),
            hue: person.map_or(1, |person| person.hue),
            html: here.words().fill(key, &[("actor", &actor), ("card", &link), ("status", &status)]),
            board: board.name,
            when: when.moment(entry.at).text,
        });
    }
    Ok(lines)
}

#[derive(Deserialize)]
struct NewQuery {
    #[serde(default)]
    template: String,
}

/// `GET /o/:org/boards/new`.
#[handler]
pub async fn new_board(member: Member, poem::web::Query(query): poem::web::Query<NewQuery>) -> Result<Response> {
    let here = Arc::clone(&member.0);
    let store = Arc::clone(&here.store);
    let response = store.read(move |view| {
        let chosen = if query.template.is_empty() { "inquiries" } else { &query.template };
        page(&NewBoard {
            chrome: here.chrome(view, Section::Home, None)?,
            org: here.org.to_string(),
            name: Input::default(),
            templates: BoardTemplate::all(here.words(), chosen),
        })
    });
    Ok(response.await?)
}

#[derive(Deserialize)]
struct BoardForm {
    name: String,
    template: String,
}

/// `POST /o/:org/boards`.
#[handler]
pub async fn create_board(member: Member, Form(form): Form<BoardForm>) -> Result<Response> {
    let here = Arc::clone(&member.0);
    let template = Template::from_name(&form.template).unwrap_or(Template::Empty);
    let now = here.app().now();
    let id = BoardId::fresh(now);
    let asked = if form.name.trim().is_empty() && template != Template::Empty {
        parse::<Name>(&here.words().text(&format!("template-{}", template.name())))
    } else {
        parse::<Name>(&form.name)
    };
    let result = match asked {
        Ok(name) => {
            let board = template.board(id, name.as_str(), now, |key| here.words().text(key));
            command(&here, 2048, Command::CreateBoard(board)).await.map_err(WebError::from)
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(_) => Ok(see_other(&format!("/o/{}/boards/{id}", here.org))),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            let store = Arc::clone(&here.store);
            let response = store.read(move |view| {
                page_with(
                    status,
                    &NewBoard {
                        chrome: here.chrome(view, Section::Home, None)?,
                        org: here.org.to_string(),
                        name: Input::refused(form.name, message),
                        templates: BoardTemplate::all(here.words(), template.name()),
                    },
                )
            });
            Ok(response.await?)
        }
    }
}
