//! A board's settings: name, statuses, labels, fields, archive.

use std::sync::Arc;

use poem::{Request, Response, Result, handler, web::Form};
use serde::Deserialize;

use super::{command, id, parse, path_id, rule};
use crate::{
    ids::{BoardId, FieldId, LabelId, StatusId},
    people::Role,
    text::Name,
    web::{
        answer::{WebError, page_with, see_other},
        caller::{Admin, Here},
        format::{self, People},
        view::{
            Section,
            board_settings::{BoardSettingsPage, FieldLine, FormProblem, LabelLine, StatusLine},
            parts::Label,
        },
    },
    work::{self, Command, StatusKind},
};

/// Cards that are looked through to count a label's wearers.
const COUNTED_MAX: usize = 5_000;

/// `GET /o/:org/boards/:board/settings`.
#[handler]
pub async fn show(admin: Admin, req: &Request) -> Result<Response> {
    Ok(render(&admin.0, path_id(req, "board")?, poem::http::StatusCode::OK, None).await?)
}

async fn render(
    here: &Arc<Here>,
    id: BoardId,
    status: poem::http::StatusCode,
    problem: Option<FormProblem>,
) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store
        .read(move |view| {
            let board = here.board(view, id)?;
            let tally = work::read::tally(view, id)?;
            let cards = work::read::newest(view, id, None, COUNTED_MAX)?;
            let statuses =
                board.statuses.iter().map(|status| (format::status(status), tally.column(status.id))).collect();
            let labels = board
                .labels
                .iter()
                .map(|label| LabelLine {
                    label: Label { id: label.id.to_string(), name: label.name.clone(), hue: label.hue },
                    cards: cards.iter().filter(|card| card.labels.contains(&label.id)).count() as u64,
                })
                .collect();
            let people = People::of(view)?;
            let mut guests: Vec<_> = people
                .present()
                .filter(|member| member.role == Role::Guest)
                .map(|member| (people.person(member.user), board.guests.contains(&member.user)))
                .collect();
            guests.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            let fields = board
                .fields
                .iter()
                .map(|field| FieldLine { id: field.id.to_string(), label: field.label.clone(), key: field.key.clone() })
                .collect();
            page_with(
                status,
                &BoardSettingsPage {
                    chrome: &here.chrome(view, Section::Board, Some(id))?,
                    board: here.head(&board),
                    statuses: StatusLine::list(statuses),
                    labels,
                    fields,
                    guests,
                    problem,
                },
            )
        })
        .await
}

/// Carries out a form of the page: back to the page, which shows the rule beside the form if one was broken.
async fn carry_out(
    here: &Arc<Here>,
    board: BoardId,
    form: String,
    typed: String,
    asked: Result<Command, WebError>,
) -> Result<Response> {
    let result = match asked {
        Ok(asked) => command(here, typed.len(), asked).await.map_err(WebError::from),
        Err(error) => Err(error),
    };
    match result {
        Ok(_) => Ok(see_other(&format!("/o/{}/boards/{board}/settings", here.org))),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(here, error)?;
            Ok(render(here, board, status, Some(FormProblem { form, typed, message })).await?)
        }
    }
}

#[derive(Deserialize)]
struct NameForm {
    name: String,
}

/// `POST /o/:org/boards/:board/settings`.
#[handler]
pub async fn rename(admin: Admin, req: &Request, Form(form): Form<NameForm>) -> Result<Response> {
    let board = path_id(req, "board")?;
    let asked = parse::<Name>(&form.name).map(|name| Command::RenameBoard { board, name });
    carry_out(&admin.0, board, "name".to_owned(), form.name, asked).await
}

/// `POST /o/:org/boards/:board/archive`: puts the board away, or takes it back.
#[handler]
pub async fn archive(admin: Admin, req: &Request) -> Result<Response> {
    let (here, board) = (Arc::clone(&admin.0), path_id::<BoardId>(req, "board")?);
    let known = here.store.view(|view| here.board(view, board))?;
    let on = known.archived_at.is_none();
    command(&here, 32, Command::ArchiveBoard { board, on }).await.map_err(WebError::from)?;
    Ok(see_other(&if on { format!("/o/{}", here.org) } else { format!("/o/{}/boards/{board}", here.org) }))
}

#[derive(Deserialize)]
struct GuestForm {
    member: String,
    on: bool,
}

/// `POST /o/:org/boards/:board/guests`: lets a guest see the board, or no longer.
#[handler]
pub async fn admit(admin: Admin, req: &Request, Form(form): Form<GuestForm>) -> Result<Response> {
    let (here, board) = (Arc::clone(&admin.0), path_id::<BoardId>(req, "board")?);
    let asked = Command::AdmitGuest { board, user: id(&form.member)?, on: form.on };
    command(&here, 32, asked).await.map_err(WebError::from)?;
    Ok(see_other(&format!("/o/{}/boards/{board}/settings#guests", here.org)))
}

#[derive(Deserialize)]
struct StatusForm {
    name: String,
    kind: String,
}

fn kind(name: &str) -> Result<StatusKind, WebError> {
    StatusKind::from_name(name)
        .ok_or_else(|| work::Refusal::Unknown { field: "kind", value: name.chars().take(40).collect() }.into())
}

/// `POST /o/:org/boards/:board/statuses`.
#[handler]
pub async fn add_status(admin: Admin, req: &Request, Form(form): Form<StatusForm>) -> Result<Response> {
    let board = path_id(req, "board")?;
    let id = StatusId::fresh(admin.app().now());
    let asked =
        parse::<Name>(&form.name).and_then(|name| Ok(Command::AddStatus { board, id, name, kind: kind(&form.kind)? }));
    carry_out(&admin.0, board, "status".to_owned(), form.name, asked).await
}

/// `POST /o/:org/boards/:board/statuses/:status`.
#[handler]
pub async fn change_status(admin: Admin, req: &Request, Form(form): Form<StatusForm>) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id(req, "status")?);
    let asked = parse::<Name>(&form.name)
        .and_then(|name| Ok(Command::ChangeStatus { board, id, name, kind: kind(&form.kind)? }));
    carry_out(&admin.0, board, format!("status:{id}"), form.name, asked).await
}

#[derive(Deserialize)]
struct AfterForm {
    #[serde(default)]
    after: String,
}

/// `POST /o/:org/boards/:board/statuses/:status/position`.
#[handler]
pub async fn move_status(admin: Admin, req: &Request, Form(form): Form<AfterForm>) -> Result<Response> {
    let (board, status) = (path_id(req, "board")?, path_id(req, "status")?);
    let after = if form.after.is_empty() { None } else { Some(id::<StatusId>(&form.after)?) };
    let asked = Ok(Command::MoveStatus { board, id: status, after });
    carry_out(&admin.0, board, format!("status:{status}"), String::new(), asked).await
}

/// `POST /o/:org/boards/:board/statuses/:status/removal`.
#[handler]
pub async fn remove_status(admin: Admin, req: &Request) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id::<StatusId>(req, "status")?);
    let name = typed_name(&admin.0, board, |board| board.status(id).map(|status| status.name.clone()))?;
    carry_out(&admin.0, board, format!("status:{id}"), name, Ok(Command::RemoveStatus { board, id })).await
}

/// What the input of a form without one holds: the name that stands.
fn typed_name(
    here: &Arc<Here>,
    board: BoardId,
    find: impl FnOnce(&work::Board) -> Option<String>,
) -> Result<String, WebError> {
    let board = here.store.view(|view| here.board(view, board))?;
    Ok(find(&board).unwrap_or_default())
}

#[derive(Deserialize)]
struct LabelForm {
    name: String,
    hue: u8,
}

/// `POST /o/:org/boards/:board/labels`.
#[handler]
pub async fn add_label(admin: Admin, req: &Request, Form(form): Form<LabelForm>) -> Result<Response> {
    let board = path_id(req, "board")?;
    let id = LabelId::fresh(admin.app().now());
    let asked = parse::<Name>(&form.name).map(|name| Command::AddLabel { board, id, name, hue: form.hue });
    carry_out(&admin.0, board, "label".to_owned(), form.name, asked).await
}

/// `POST /o/:org/boards/:board/labels/:label`.
#[handler]
pub async fn change_label(admin: Admin, req: &Request, Form(form): Form<LabelForm>) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id::<LabelId>(req, "label")?);
    let asked = parse::<Name>(&form.name).map(|name| Command::ChangeLabel { board, id, name, hue: form.hue });
    carry_out(&admin.0, board, format!("label:{id}"), form.name, asked).await
}

/// `POST /o/:org/boards/:board/labels/:label/removal`.
#[handler]
pub async fn remove_label(admin: Admin, req: &Request) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id::<LabelId>(req, "label")?);
    carry_out(&admin.0, board, format!("label:{id}"), String::new(), Ok(Command::RemoveLabel { board, id })).await
}

#[derive(Deserialize)]
struct FieldForm {
    label: String,
    #[serde(default)]
    key: String,
}

/// `POST /o/:org/boards/:board/fields`.
#[handler]
pub async fn add_field(admin: Admin, req: &Request, Form(form): Form<FieldForm>) -> Result<Response> {
    let board = path_id(req, "board")?;
    let id = FieldId::fresh(admin.app().now());
    let asked =
        parse::<Name>(&form.label).and_then(|label| Ok(Command::AddField { board, id, key: parse(&form.key)?, label }));
    carry_out(&admin.0, board, "field".to_owned(), form.label, asked).await
}

/// `POST /o/:org/boards/:board/fields/:field`.
#[handler]
pub async fn rename_field(admin: Admin, req: &Request, Form(form): Form<FieldForm>) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id::<FieldId>(req, "field")?);
    let asked = parse::<Name>(&form.label).map(|label| Command::RenameField { board, id, label });
    carry_out(&admin.0, board, format!("field:{id}"), form.label, asked).await
}

/// `POST /o/:org/boards/:board/fields/:field/removal`.
#[handler]
pub async fn remove_field(admin: Admin, req: &Request) -> Result<Response> {
    let (board, id) = (path_id(req, "board")?, path_id::<FieldId>(req, "field")?);
    carry_out(&admin.0, board, format!("field:{id}"), String::new(), Ok(Command::RemoveField { board, id })).await
}
