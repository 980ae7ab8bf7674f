//! Webhook endpoints and their deliveries.

use std::sync::Arc;

use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Form, Query},
};
use serde::Deserialize;

use super::{id, parse, path_id, rule};
use crate::{
    hooks::{
        delivery::{self, Delivery},
        endpoint::{self, Address, Hook, NewHook},
        mapping, payload,
        signature::{Scheme, SigningSecret},
    },
    ids::{BoardId, DeliveryId, HookId},
    store::Read,
    text::Explain as _,
    web::{
        answer::{WebError, page, page_with, see_other},
        caller::{Admin, Here},
        format::{self, When},
        view::{
            Section,
            form::Input,
            hooks::{CardLink, DeliveryPage, DeliveryRow, HookList, HookPage, HookRow, MadeHook, Outcome, Raw},
        },
    },
    work,
};

/// Deliveries of a page.
const DELIVERIES: usize = 50;
/// Rows of a payload that a page shows.
const ROWS_MAX: usize = 200;
/// Characters of a raw body that a page shows.
const RAW_MAX: usize = 20_000;

/// `GET /o/:org/boards/:board/hooks`.
#[handler]
pub async fn list(admin: Admin, req: &Request) -> Result<Response> {
    let board = path_id(req, "board")?;
    Ok(render_list(&admin.0, board, StatusCode::OK, Input::default(), "standard-webhooks".to_owned(), None).await?)
}

async fn render_list(
    here: &Arc<Here>,
    board: BoardId,
    status: StatusCode,
    name: Input,
    scheme: String,
    made: Option<MadeHook>,
) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store
        .read(move |view| {
            let board = here.board(view, board)?;
            let when = When { words: here.words(), zone: &here.app().zone, now: here.app().now() };
            let mut hooks = Vec::new();
            for hook in endpoint::of_board(view, board.id)? {
                let latest = delivery::of_hook(view, hook.id, None, 1)?.pop();
                hooks.push(HookRow {
                    id: hook.id.to_string(),
                    scheme: here.words().text(&format!("scheme-{}", hook.scheme)),
                    name: hook.name,
                    received: delivery::of_hook(view, hook.id, None, 1000)?.len() as u64,
                    latest: latest.map(|latest| (when.moment(latest.received_at).text, outcome(&latest))),
                });
            }
            page_with(
                status,
                &HookList {
                    chrome: here.chrome(view, Section::Board, Some(board.id))?,
                    org: here.org.to_string(),
                    board: board.id.to_string(),
                    board_name: board.name,
                    hooks,
                    name,
                    schemes: HookList::schemes(here.words(), &scheme),
                    made,
                },
            )
        })
        .await
}

fn outcome(delivery: &Delivery) -> Outcome {
    match delivery.outcome {
        delivery::Outcome::Accepted { .. } => Outcome::Accepted,
        delivery::Outcome::Held { .. } => Outcome::Held,
        delivery::Outcome::Duplicate { .. } => Outcome::Duplicate,
    }
}

#[derive(Deserialize)]
struct HookForm {
    name: String,
    scheme: String,
}

/// `POST /o/:org/boards/:board/hooks`.
#[handler]
pub async fn create(admin: Admin, req: &Request, Form(form): Form<HookForm>) -> Result<Response> {
    let (here, board) = (Arc::clone(&admin.0), path_id::<BoardId>(req, "board")?);
    match make(&here, board, &form).await {
        Ok(made) => Ok(render_list(&here, board, StatusCode::OK, Input::default(), form.scheme, Some(made)).await?),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            Ok(render_list(&here, board, status, Input::refused(form.name, message), form.scheme, None).await?)
        }
    }
}

async fn make(here: &Arc<Here>, board: BoardId, form: &HookForm) -> Result<MadeHook, WebError> {
    let scheme: Scheme = form
        .scheme
        .parse()
        .map_err(|_| work::Refusal::Unknown { field: "scheme", value: form.scheme.chars().take(40).collect() })?;
    let now = here.app().now();
    let secret = scheme.has_secret().then(|| SigningSecret::fresh().text().to_string());
    let new = NewHook {
        id: HookId::fresh(now),
        board,
        name: parse(&form.name)?,
        scheme,
        secret: secret.clone(),
        mapping: None,
        address: Address::fresh(here.org),
    };
    let actor = here.actor();
    let hook = here.store.submit(512, move |txn| endpoint::create(txn, now, actor, &new)).await?;
    Ok(MadeHook { id: hook.id.to_string(), url: url(here, &hook), name: hook.name, secret })
}

fn url(here: &Here, hook: &Hook) -> String {
    format!("{}/hooks/{}", here.app().public_url, hook.address)
}

#[derive(Deserialize)]
struct Before {
    before: Option<String>,
}

/// `GET /o/:org/hooks/:hook`.
#[handler]
pub async fn show(admin: Admin, req: &Request, Query(query): Query<Before>) -> Result<Response> {
    let hook = path_id::<HookId>(req, "hook")?;
    let before = query.before.as_deref().map(id::<DeliveryId>).transpose()?;
    Ok(render(&admin.0, hook, before, StatusCode::OK, None).await?)
}

async fn render(
    here: &Arc<Here>,
    id: HookId,
    before: Option<DeliveryId>,
    status: StatusCode,
    typed: Option<Input>,
) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store
        .read(move |view| {
            let hook = endpoint::hook(view, id)?.filter(|hook| hook.removed_at.is_none()).ok_or(WebError::NotFound)?;
            let board = here.board(view, hook.board)?;
            let mut deliveries = delivery::of_hook(view, id, before, DELIVERIES + 1)?;
            let older = (deliveries.len() > DELIVERIES).then(|| {
                deliveries.truncate(DELIVERIES);
                deliveries.last().map(|last| format!("/o/{}/hooks/{id}?before={}", here.org, last.id))
            });
            let rows = deliveries.iter().map(|delivery| row(&here, view, delivery)).collect::<Result<Vec<_>, _>>()?;
            let url = url(&here, &hook);
            let signed = hook.secret.is_some();
            page_with(
                status,
                &HookPage {
                    chrome: here.chrome(view, Section::Board, Some(board.id))?,
                    org: here.org.to_string(),
                    board: board.id.to_string(),
                    board_name: board.name,
                    id: id.to_string(),
                    name: typed.unwrap_or_else(|| Input::of(hook.name.clone())),
                    title: hook.name,
                    scheme: here.words().text(&format!("scheme-{}", hook.scheme)),
                    signed,
                    curl: curl(&url, signed),
                    url: Some(url),
                    deliveries: rows,
                    older: older.flatten(),
                    newer: before.map(|_| format!("/o/{}/hooks/{id}", here.org)),
                },
            )
        })
        .await
}

fn curl(url: &str, signed: bool) -> String {
    if !signed {
        return format!("curl --json '{{\"title\":\"Test\"}}' '{url}'");
    }
    format!(
        "body='{{\"title\":\"Test\"}}'\nid=msg_$(date +%s)\nts=$(date +%s)\nkey=$(printf %s \"${{SECRET#whsec_}}\" | base64 -d | \
         od -An -tx1 | tr -d ' \\n')\nsig=$(printf %s \"$id.$ts.$body\" | openssl dgst -sha256 -mac HMAC -macopt \
         hexkey:\"$key\" -binary | base64)\ncurl --json \"$body\" -H \"webhook-id: $id\" -H \"webhook-timestamp: $ts\" -H \
         \"webhook-signature: v1,$sig\" '{url}'"
    )
}

fn card_link(here: &Here, view: &dyn Read, delivery: &Delivery) -> Result<Option<CardLink>, WebError> {
    let (card, number) = match &delivery.outcome {
        delivery::Outcome::Accepted { card, number } => (*card, *number),
        delivery::Outcome::Duplicate { of } => match delivery::delivery(view, *of)?.map(|first| first.outcome) {
            Some(delivery::Outcome::Accepted { card, number }) => (card, number),
            _ => return Ok(None),
        },
        delivery::Outcome::Held { .. } => return Ok(None),
    };
    Ok(Some(CardLink { href: format!("/o/{}/cards/{card}", here.org), label: format!("#{number}") }))
}

/// Why a delivery is held, in the reader's language.
/// Why a delivery was held, in the reader's language: its body is read again, since only that knows the place in it.
fn reason(here: &Here, view: &dyn Read, delivery: &Delivery) -> Result<String, WebError> {
    let delivery::Outcome::Held { reason, .. } = &delivery.outcome else { return Ok(String::new()) };
    let body = delivery::body(view, delivery.id)?;
    let unreadable = body.and_then(|body| payload::read(body.content_type.as_deref(), &body.bytes).err());
    // Without the body, as it was said when it was received.
    Ok(unreadable.map_or_else(|| reason.clone(), |why| format::say(here.words(), &why.message())))
}

fn row(here: &Here, view: &dyn Read, delivery: &Delivery) -> Result<DeliveryRow, WebError> {
    let when = When { words: here.words(), zone: &here.app().zone, now: here.app().now() };
    Ok(DeliveryRow {
        id: delivery.id.to_string(),
        received: when.moment(delivery.received_at).text,
        outcome: outcome(delivery),
        reason: reason(here, view, delivery)?,
        card: card_link(here, view, delivery)?,
        size: format::bytes(delivery.size),
    })
}

#[derive(Deserialize)]
struct NameForm {
    name: String,
}

/// `POST /o/:org/hooks/:hook`.
#[handler]
pub async fn rename(admin: Admin, req: &Request, Form(form): Form<NameForm>) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<HookId>(req, "hook")?);
    let result = match parse(&form.name) {
        Ok(name) => {
            let (now, actor) = (here.app().now(), here.actor());
            here.store
                .submit(128, move |txn| endpoint::rename(txn, now, actor, id, &name))
                .await
                .map_err(WebError::from)
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(see_other(&format!("/o/{}/hooks/{id}", here.org))),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            Ok(render(&here, id, None, status, Some(Input::refused(form.name, message))).await?)
        }
    }
}

/// `POST /o/:org/hooks/:hook/removal`.
#[handler]
pub async fn remove(admin: Admin, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<HookId>(req, "hook")?);
    let board =
        here.store.view(|view| endpoint::hook(view, id)).map_err(WebError::from)?.ok_or(WebError::NotFound)?.board;
    let (now, actor) = (here.app().now(), here.actor());
    here.store.submit(64, move |txn| endpoint::remove(txn, now, actor, id)).await.map_err(WebError::from)?;
    Ok(see_other(&format!("/o/{}/boards/{board}/hooks", here.org)))
}

/// `GET /o/:org/deliveries/:delivery`.
#[handler]
pub async fn show_delivery(admin: Admin, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<DeliveryId>(req, "delivery")?);
    let store = Arc::clone(&here.store);
    Ok(store.read(move |view| delivery_page(&here, view, id)).await?)
}

fn delivery_page(here: &Here, view: &dyn Read, id: DeliveryId) -> Result<Response, WebError> {
    let delivery = delivery::delivery(view, id)?.ok_or(WebError::NotFound)?;
    let hook = endpoint::hook(view, delivery.hook)?.ok_or(WebError::NotFound)?;
    here.board(view, hook.board)?;
    let body = delivery::body(view, id)?;
    let when = When { words: here.words(), zone: &here.app().zone, now: here.app().now() };
    let fields = body
        .as_ref()
        .and_then(|body| payload::read(body.content_type.as_deref(), &body.bytes).ok())
        .map(|payload| mapping::rows(&payload.value, ROWS_MAX).rows)
        .unwrap_or_default()
        .into_iter()
        .map(|row| (row.label, row.value))
        .collect();
    let raw = match &body {
        None => Raw::Gone,
        Some(body) => match std::str::from_utf8(&body.bytes) {
            Err(_) => Raw::Binary { size: format::bytes(delivery.size) },
            Ok(text) => {
                let cut = text.char_indices().nth(RAW_MAX).map(|(at, _)| at);
                Raw::Text {
                    text: text[..cut.unwrap_or(text.len())].to_owned(),
                    cut: cut.map(|at| (format::bytes(at as u64), format::bytes(delivery.size))),
                }
            }
        },
    };
    page(&DeliveryPage {
        chrome: here.chrome(view, Section::Board, Some(hook.board))?,
        org: here.org.to_string(),
        hook: hook.id.to_string(),
        hook_name: hook.name,
        sender_id: delivery.sender_id.clone().unwrap_or_default(),
        received: when.stamp(delivery.received_at),
        content_type: body.as_ref().and_then(|body| body.content_type.clone()).unwrap_or_default(),
        size: format::bytes(delivery.size),
        outcome: outcome(&delivery),
        reason: reason(here, view, &delivery)?,
        card: card_link(here, view, &delivery)?,
        fields,
        raw,
        headers: body.map(|body| body.headers).unwrap_or_default(),
    })
}
