//! A card: its page and drawer, and the forms on it.

use std::sync::Arc;

use poem::{Request, Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::{
    card_view::{card_view, clash},
    command, id, parse, path_id, rule, wants_fragment,
};
use crate::{
    ids::{CardId, CommentId, FieldId},
    store::{StoreError, history},
    text::{Comment, TextValue, Title},
    web::{
        answer::{WebError, html_response, page_with, see_other},
        caller::{Guest, Here, Member},
        format::People,
        view::{
            Section,
            card::{CardDrawer, CardPage, Problem},
        },
    },
    work::{self, CardState, Command, NewValue, Place, Refusal, WorkError},
};

/// `GET /o/:org/cards/:card`: the page, or the drawer for htmx. Looking at a card marks it as seen.
#[handler]
pub async fn show(guest: Guest, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&guest.0), path_id::<CardId>(req, "card")?);
    let response = render(&here, id, wants_fragment(req), StatusCode::OK, None, String::new()).await?;
    mark_seen(&here, id);
    Ok(response)
}

/// Notes, behind the answer, that the reader has seen a card as it is now.
fn mark_seen(here: &Arc<Here>, card: CardId) {
    let (store, user) = (Arc::clone(&here.store), here.member.user);
    let joined = here.member.joined_event;
    tokio::spawn(async move {
        let news = store
            .read(move |view| {
                let Some(card) = work::read::card(view, card)? else { return Ok(false) };
                work::read::unread(view, user, joined, &card)
            })
            .await;
        if !matches!(news, Ok(true)) {
            return;
        }
        let noted: Result<(), StoreError> = store
            .submit(32, move |txn| {
                let number = history::head(txn.reader())?;
                work::read::mark_seen(txn, user, card, number)
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "what a member has seen could not be noted");
        }
    });
}

/// The card as page or drawer.
async fn render(
    here: &Arc<Here>,
    id: CardId,
    fragment: bool,
    status: StatusCode,
    problem: Option<Problem>,
    draft: String,
) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store
        .read(move |view| {
            let card = work::read::card(view, id)?.ok_or(WebError::NotFound)?;
            let board = here.board(view, card.board)?;
            let shown = card_view(&here, view, &board, &card, problem, draft)?;
            let chrome = here.chrome(view, Section::Board, Some(board.id))?;
            if fragment {
                page_with(status, &CardDrawer { chrome: &chrome, card: &shown })
            } else {
                page_with(status, &CardPage { chrome: &chrome, card: &shown })
            }
        })
        .await
}

/// After a change: the drawer for htmx, the page again otherwise.
async fn changed(here: &Arc<Here>, req: &Request, card: CardId) -> Result<Response> {
    if wants_fragment(req) {
        return Ok(render(here, card, true, StatusCode::OK, None, String::new()).await?);
    }
    Ok(see_other(&format!("/o/{}/cards/{card}", here.org)))
}

/// The board that a card stands on must be one that the reader sees.
async fn visible(here: &Arc<Here>, id: CardId) -> Result<work::Card, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store
        .read(move |view| {
            let card = work::read::card(view, id)?.ok_or(WebError::NotFound)?;
            here.board(view, card.board)?;
            Ok(card)
        })
        .await
}

#[derive(Deserialize)]
struct ValueForm {
    field: String,
    #[serde(default)]
    value: String,
    version: Option<u64>,
}

/// `POST /o/:org/cards/:card/values`: one field in place.
#[handler]
pub async fn set_value(member: Member, req: &Request, Form(form): Form<ValueForm>) -> Result<Response> {
    let (here, card) = (Arc::clone(&member.0), path_id::<CardId>(req, "card")?);
    let asked = match form.field.as_str() {
        "status" => {
            let status = id(&form.value)?;
            let now = visible(&here, card).await?;
            if now.status == status {
                return changed(&here, req, card).await;
            }
            Ok(Command::MoveCard { card, status, place: Place::Top })
        }
        field => new_value(field, &form.value).map(|value| Command::SetValues {
            card,
            values: vec![value],
            based_on: form.version,
            whole: false,
        }),
    };
    let result = match asked {
        Ok(asked) => command(&here, form.value.len(), asked).await.map_err(WebError::from),
        Err(error) => Err(error),
    };
    match result {
        Ok(_) => changed(&here, req, card).await,
        Err(WebError::Work(Refusal::Conflict { field, theirs, card: now })) => {
            let people = here.store.view(|view| People::of(view).map_err(WebError::from))?;
            let problem = clash(&here, &people, field, &form.value, theirs, &now);
            Ok(render(&here, card, wants_fragment(req), StatusCode::CONFLICT, Some(problem), String::new()).await?)
        }
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            let problem = Problem::Invalid { field: form.field, typed: form.value, message };
            Ok(render(&here, card, wants_fragment(req), status, Some(problem), String::new()).await?)
        }
    }
}

fn new_value(field: &str, text: &str) -> Result<NewValue, WebError> {
    let empty = text.trim().is_empty();
    Ok(match field {
        "title" => NewValue::Title(parse::<Title>(text)?),
        "body" if empty => NewValue::Body(None),
        "body" => NewValue::Body(Some(parse::<Comment>(text)?)),
        "due" if empty => NewValue::Due(None),
        "due" => NewValue::Due(Some(parse(text)?)),
        other => {
            let field: FieldId = id(other.strip_prefix("field:").unwrap_or_default())?;
            let value = if empty { None } else { Some(parse::<TextValue>(text)?) };
            NewValue::Field(field, value)
        }
    })
}

#[derive(Deserialize)]
struct AssigneeForm {
    member: String,
    on: bool,
}

/// `POST /o/:org/cards/:card/assignees`.
#[handler]
pub async fn assign(member: Member, req: &Request, Form(form): Form<AssigneeForm>) -> Result<Response> {
    let (here, card) = (Arc::clone(&member.0), path_id::<CardId>(req, "card")?);
    let asked = Command::Assign { card, user: id(&form.member)?, on: form.on };
    command(&here, 64, asked).await.map_err(WebError::from)?;
    changed(&here, req, card).await
}

#[derive(Deserialize)]
struct LabelForm {
    label: String,
    on: bool,
}

/// `POST /o/:org/cards/:card/labels`.
#[handler]
pub async fn label(member: Member, req: &Request, Form(form): Form<LabelForm>) -> Result<Response> {
    let (here, card) = (Arc::clone(&member.0), path_id::<CardId>(req, "card")?);
    let asked = Command::Label { card, label: id(&form.label)?, on: form.on };
    command(&here, 64, asked).await.map_err(WebError::from)?;
    changed(&here, req, card).await
}

#[derive(Deserialize)]
struct CommentForm {
    body: String,
}

/// `POST /o/:org/cards/:card/comments`. Guests comment on what they see.
#[handler]
pub async fn comment(guest: Guest, req: &Request, Form(form): Form<CommentForm>) -> Result<Response> {
    let (here, card) = (Arc::clone(&guest.0), path_id::<CardId>(req, "card")?);
    visible(&here, card).await?;
    let result = match parse::<Comment>(&form.body) {
        Ok(text) => {
            let id = CommentId::fresh(here.app().now());
            command(&here, form.body.len(), Command::Comment { card, id, text }).await.map_err(WebError::from)
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(_) => changed(&here, req, card).await,
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            let problem = Problem::Invalid { field: "comment".to_owned(), typed: form.body.clone(), message };
            Ok(render(&here, card, wants_fragment(req), status, Some(problem), form.body).await?)
        }
    }
}

/// Puts a card away or takes it back, and leads to its board or its page.
async fn put_away(here: Arc<Here>, req: &Request, asked: Command, card: CardId) -> Result<Response> {
    command(&here, 32, asked).await.map_err(|error: WorkError| WebError::from(error))?;
    let card = visible(&here, card).await?;
    if wants_fragment(req) {
        return Ok(html_response(StatusCode::NO_CONTENT, String::new()));
    }
    let path = match card.state {
        CardState::Open => format!("/o/{}/cards/{}", here.org, card.id),
        _ => format!("/o/{}/boards/{}", here.org, card.board),
    };
    Ok(see_other(&path))
}

/// `POST /o/:org/cards/:card/archive`.
#[handler]
pub async fn archive(member: Member, req: &Request) -> Result<Response> {
    let card = path_id(req, "card")?;
    put_away(Arc::clone(&member.0), req, Command::Archive { card }, card).await
}

/// `POST /o/:org/cards/:card/trash`.
#[handler]
pub async fn trash(member: Member, req: &Request) -> Result<Response> {
    let card = path_id(req, "card")?;
    put_away(Arc::clone(&member.0), req, Command::Trash { card }, card).await
}

/// `POST /o/:org/cards/:card/restoration`.
#[handler]
pub async fn restore(member: Member, req: &Request) -> Result<Response> {
    let card = path_id(req, "card")?;
    put_away(Arc::clone(&member.0), req, Command::Restore { card }, card).await
}
