//! An organization's settings: name, API tokens, audit log.

use std::{sync::Arc, time::Duration};

use poem::{Request, Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::{parse, path_id, quota, rule};
use crate::{
    hooks::endpoint,
    ids::TokenId,
    people::{
        self, PeopleError, Refusal, Role, members, sagas,
        tokens::{self, Bearer},
    },
    store::{
        Order, Read, Span,
        history::{self, Room},
    },
    text::Name,
    web::{
        answer::{WebError, page_with, see_other},
        caller::{Admin, Here},
        format::{People, When},
        view::{
            Section,
            form::{Choice, Input},
            people::{AuditRow, MadeToken, Settings, TokenForm, TokenRow},
        },
    },
    work,
};

/// Lines of the audit log on the page.
const AUDIT: usize = 50;
/// Events that are looked through for them.
const LOOKED_THROUGH: usize = 1000;
/// Lives of tokens on offer, in days.
const DAYS: [u16; 4] = [30, 90, 180, 365];

/// What stands in the forms of the page.
#[derive(Default)]
struct Typed {
    name: Option<Input>,
    token_name: Input,
    made: Option<MadeToken>,
}

/// `GET /o/:org/settings`.
#[handler]
pub async fn show(admin: Admin) -> Result<Response> {
    Ok(render(&admin.0, StatusCode::OK, Typed::default()).await?)
}

async fn render(here: &Arc<Here>, status: StatusCode, typed: Typed) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store.read(move |view| settings_page(&here, view, status, typed)).await
}

fn settings_page(here: &Here, view: &dyn Read, status: StatusCode, typed: Typed) -> Result<Response, WebError> {
    let (words, now) = (here.words(), here.app().now());
    let when = When { words, zone: &here.app().zone, now };
    let people = People::of(view)?;
    let tokens = tokens::all(view)?
        .into_iter()
        .filter(|token| token.revoked_at.is_none())
        .map(|token| TokenRow {
            id: token.id.to_string(),
            expired: !token.usable(now),
            name: token.name,
            role: words.text(&format!("role-{}", token.role.name())),
            by: token.by.map_or_else(|| words.text("actor-operator"), |user| people.person(user).name),
            made: when.day(token.created_at.in_zone(when.zone).date()),
            expires: when.day(token.expires_at.in_zone(when.zone).date()),
        })
        .collect();
    let roles: Vec<&str> =
        Role::ALL.into_iter().rev().filter(|role| *role <= here.member.role).map(Role::name).collect();
    page_with(
        status,
        &Settings {
            chrome: here.chrome(view, Section::Settings, None)?,
            org: here.org.to_string(),
            name: typed.name.unwrap_or_else(|| Input::of(here.settings.name.clone())),
            tokens,
            new_token: TokenForm {
                name: typed.token_name,
                roles: Choice::roles(words, &roles, "member"),
                days: Choice::days(words, &DAYS, 90),
            },
            made: typed.made,
            uses: quota::uses(words, view)?,
            audit: audit(here, view, &people, &when)?,
        },
    )
}

/// The audit log: what was done to members, settings, boards and endpoints, newest first.
fn audit(here: &Here, view: &dyn Read, people: &People, when: &When<'_>) -> Result<Vec<AuditRow>, WebError> {
    let mut rows = Vec::new();
    for (number, header) in view.list(&history::EVENTS, &Span::all(), Order::Descending, LOOKED_THROUGH)? {
        if rows.len() >= AUDIT {
            break;
        }
        let what = match header.room {
            Room::People => history::read::<people::Event>(view, header.room, number)?
                .map(|entry| people_line(here, people, &entry.event)),
            Room::Hooks => {
                history::read::<endpoint::Event>(view, header.room, number)?.map(|entry| hook_line(here, &entry.event))
            }
            Room::Work => history::read::<work::Event>(view, header.room, number)?
                .and_then(|entry| board_line(here, view, &entry.event)),
        };
        if let Some(what) = what {
            rows.push(AuditRow {
                when: when.moment(header.at).text,
                who: people.actor(here.words(), header.actor),
                what,
            });
        }
    }
    Ok(rows)
}

fn people_line(here: &Here, people: &People, event: &people::Event) -> String {
    use people::Event as E;
    let words = here.words();
    let role = |role: &Role| words.text(&format!("role-{}", role.name()));
    let name = |user| people.person(user).name;
    match event {
        E::Founded { name, .. } => words.fill("audit-founded", &[("name", name)]),
        E::Renamed { from, to } => words.fill("audit-renamed", &[("from", from), ("to", to)]),
        E::Invited { role: given, .. } => words.fill("audit-invited", &[("role", &role(given))]),
        E::InvitationResent { .. } => words.text("audit-invitation-resent"),
        E::InvitationRevoked { .. } => words.text("audit-invitation-revoked"),
        E::Joined { role: given, .. } => words.fill("audit-joined", &[("role", &role(given))]),
        E::RoleChanged { user, from, to } => {
            words.fill("audit-role", &[("name", &name(*user)), ("from", &role(from)), ("to", &role(to))])
        }
        E::Removed { user } => words.fill("audit-removed", &[("name", &name(*user))]),
        E::Left { .. } => words.text("audit-left"),
        E::ProfileChanged { .. } => words.text("audit-profile"),
        E::TokenCreated { name, role: given, .. } => {
            words.fill("audit-token", &[("name", name), ("role", &role(given))])
        }
        E::TokenRevoked { .. } => words.text("audit-token-revoked"),
        E::SignInLinkMade { user } => words.fill("audit-link", &[("name", &name(*user))]),
        E::Restored { generation } => words.fill("audit-restored", &[("generation", generation)]),
        E::QuotasChanged { .. } => words.text("audit-quotas"),
    }
}

fn hook_line(here: &Here, event: &endpoint::Event) -> String {
    match event {
        endpoint::Event::Created { name, .. } => here.words().fill("audit-hook", &[("name", name)]),
        endpoint::Event::Renamed { from, to, .. } => {
            here.words().fill("audit-hook-renamed", &[("from", from), ("to", to)])
        }
        endpoint::Event::Removed { .. } => here.words().text("audit-hook-removed"),
    }
}

/// What was done to a board as such; cards have their own timeline.
fn board_line(here: &Here, view: &dyn Read, event: &work::Event) -> Option<String> {
    use work::Event as E;
    let words = here.words();
    let board = work::read::board(view, event.board()).ok().flatten().map(|board| board.name).unwrap_or_default();
    let key = match event {
        E::BoardCreated(_) => "audit-board",
        E::BoardRenamed { .. } => "audit-board-renamed",
        E::BoardArchived { .. } => "audit-board-archived",
        E::StatusAdded { .. } | E::StatusChanged { .. } | E::StatusMoved { .. } | E::StatusRemoved { .. } => {
            "audit-board-statuses"
        }
        E::FieldAdded { .. } | E::FieldRenamed { .. } | E::FieldRemoved { .. } => "audit-board-fields",
        E::LabelAdded { .. } | E::LabelChanged { .. } | E::LabelRemoved { .. } => "audit-board-labels",
        E::GuestAdmitted { .. } | E::GuestDismissed { .. } => "audit-board-guests",
        _ => return None,
    };
    Some(words.fill(key, &[("board", &board)]))
}

#[derive(Deserialize)]
struct NameForm {
    name: String,
}

/// `POST /o/:org/settings`.
#[handler]
pub async fn rename(admin: Admin, Form(form): Form<NameForm>) -> Result<Response> {
    let here = Arc::clone(&admin.0);
    let result = match parse::<Name>(&form.name) {
        Ok(name) => {
            let (now, actor) = (here.app().now(), here.actor());
            let renamed = here.store.submit(256, move |txn| members::rename_organization(txn, now, actor, &name)).await;
            match renamed {
                Ok(()) => sagas::publish_name(&here.app().stores, here.org).await.map_err(WebError::from),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(see_other(&format!("/o/{}/settings", here.org))),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            let typed = Typed { name: Some(Input::refused(form.name, message)), ..Typed::default() };
            Ok(render(&here, status, typed).await?)
        }
    }
}

#[derive(Deserialize)]
struct TokenFields {
    name: String,
    role: String,
    days: u16,
}

/// `POST /o/:org/tokens`: the answer is the only place where the token is ever shown.
#[handler]
pub async fn create_token(admin: Admin, Form(form): Form<TokenFields>) -> Result<Response> {
    let here = Arc::clone(&admin.0);
    match make_token(&here, &form).await {
        Ok(token) => {
            let made = MadeToken { name: form.name, token };
            Ok(render(&here, StatusCode::OK, Typed { made: Some(made), ..Typed::default() }).await?)
        }
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            let typed = Typed { token_name: Input::refused(form.name, message), ..Typed::default() };
            Ok(render(&here, status, typed).await?)
        }
    }
}

async fn make_token(here: &Arc<Here>, form: &TokenFields) -> Result<String, WebError> {
    let now = here.app().now();
    let role = Role::from_name(&form.role)
        .ok_or_else(|| Refusal::Unknown { field: "role", value: form.role.chars().take(40).collect() })?;
    let days = if DAYS.contains(&form.days) { form.days } else { 90 };
    let bearer = Bearer::fresh(here.org);
    let text = bearer.text();
    let request = tokens::Request {
        id: TokenId::fresh(now),
        name: parse(&form.name)?,
        role,
        life: Duration::from_secs(u64::from(days) * 86_400),
        bearer,
    };
    let (by, asker) = (here.member.user, here.member.role);
    here.store.submit(256, move |txn| tokens::create(txn, now, Some(by), asker, &request)).await?;
    Ok(text)
}

/// `POST /o/:org/tokens/:token/revocation`.
#[handler]
pub async fn revoke_token(admin: Admin, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<TokenId>(req, "token")?);
    let (now, actor) = (here.app().now(), here.actor());
    let revoked: Result<(), PeopleError> = here.store.submit(64, move |txn| tokens::revoke(txn, now, actor, id)).await;
    revoked.map_err(WebError::from)?;
    Ok(see_other(&format!("/o/{}/settings", here.org)))
}
