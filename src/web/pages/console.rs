//! The operators' console: names and sizes of organizations and the state of the appliance, never content.

use std::sync::Arc;

use poem::{Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::{parse, percent};
use crate::{
    ids::OrgId,
    mail,
    people::{directory, members, sagas},
    text::{MailAddress, Name},
    tls::Origin,
    web::{
        answer::{WebError, page, page_with},
        app::App,
        caller::{Operator, Reader},
        format::{self, When, say},
        view::{
            Section,
            console::{
                Alert, MadeOrganization, MailQueue, MailRow, OrganizationRow, Organizations, Overview, State, Tile,
            },
            form::Input,
        },
        words::Words,
    },
    work,
};

/// Mails that the queue's page shows of one outbox.
const MAILS: usize = 200;

/// What wants an operator's hand, as stable names: the same in the console and in `workrun status`.
#[must_use]
pub fn alerts(app: &App) -> Vec<&'static str> {
    let mut alerts = Vec::new();
    if app.stores.keyring().recovery_taken_at().is_none() {
        alerts.push("recovery-key");
    }
    if !app.mail_works {
        alerts.push("smtp");
    }
    alerts.extend(app.keeper.alerts());
    let status = app.tls.status();
    if status.last_error.is_some() {
        alerts.push("certificate");
    } else if status.served.is_some_and(|served| served.origin == Origin::Internal) {
        alerts.push("internal-ca");
    }
    alerts
}

fn alert(words: &Words, name: &str, expires: &str) -> Alert {
    let state = match name {
        "internal-ca" => State::Plain,
        "snapshot" | "snapshot-folder" | "verification" | "store" | "offsite" => State::Bad,
        _ => State::Warn,
    };
    let command = match name {
        "recovery-key" => Some("workrun keys recovery".to_owned()),
        "smtp" => Some("workrun sign-in-link MAIL".to_owned()),
        "snapshot" | "verification" => Some("workrun snapshot".to_owned()),
        "store" => Some("workrun restore latest --org ORG".to_owned()),
        _ => None,
    };
    Alert {
        state,
        title: words.text(&format!("alert-{name}")),
        text: words.fill(&format!("alert-{name}-do"), &[("expires", expires)]),
        command,
        when: String::new(),
    }
}

/// An alert for each organization whose data is not as it must be: what can be done about it.
async fn ailing(app: &App, words: &Words, organizations: &[directory::Organization]) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for (org, reason) in app.keeper.ailing().await {
        let from = app.keeper.newest_good(org).await.map(|generation| generation.name.to_string());
        let known = organizations.iter().find(|known| known.id == org);
        let name =
            known.and_then(|known| sagas::organization_name(&app.stores, known)).unwrap_or_else(|| org.to_string());
        let values = [("org", name), ("reason", reason), ("generation", from.clone().unwrap_or_default())];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        alerts.push(Alert {
            state: State::Bad,
            title: words.fill("alert-ailing", &values),
            text: words.fill(if from.is_some() { "alert-ailing-do" } else { "alert-ailing-none" }, &values),
            command: from.map(|generation| format!("workrun restore {generation} --org {org}")),
            when: String::new(),
        });
    }
    alerts
}

/// How long the appliance has run, in words.
fn uptime(words: &Words, seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let values = [days, hours, minutes].map(|value| value.to_string());
    let values = [("days", values[0].as_str()), ("hours", values[1].as_str()), ("minutes", values[2].as_str())];
    let key = if days > 0 { "console-uptime-days" } else { "console-uptime-hours" };
    words.fill(key, &values)
}

/// Mails that wait in all outboxes.
async fn mails_waiting(app: &Arc<App>) -> Result<usize, WebError> {
    let mut count = app.stores.system().read(|view| mail::waiting(view)).await?.0;
    for org in app.postbox.organizations() {
        if let Ok(store) = app.stores.organization(org) {
            count += store.read(|view| mail::waiting(view)).await?.0;
        }
    }
    Ok(count)
}

/// `GET /console`.
#[handler]
pub async fn overview(operator: Operator) -> Result<Response> {
    let reader = &operator.reader;
    let (app, words) = (&reader.app, reader.words());
    let when = When { words, zone: &app.zone, now: app.now() };
    let organizations =
        app.stores.system().read(|view| directory::organizations(view)).await.map_err(WebError::from)?;
    let waiting = mails_waiting(app).await?;
    let uptime = uptime(words, app.now().since(app.started_at).as_secs());
    let tile = |name: &str, figure: String, note: String, state: State| Tile {
        name: words.text(&format!("console-tile-{name}")),
        figure,
        unit: String::new(),
        note,
        state,
        href: match name {
            "organizations" => Some("/console/organizations"),
            "mail" => Some("/console/mail"),
            _ => None,
        },
    };
    let mut tiles = vec![
        tile("version", env!("CARGO_PKG_VERSION").to_owned(), String::new(), State::Plain),
        tile("organizations", organizations.len().to_string(), String::new(), State::Plain),
        tile(
            "mail",
            waiting.to_string(),
            String::new(),
            if waiting > 0 && !app.mail_works { State::Warn } else { State::Ok },
        ),
    ];
    let served = app.tls.status().served;
    let expires = served.as_ref().map(|served| when.stamp(served.not_after)).unwrap_or_default();
    if let Some(served) = &served {
        let days = served.not_after.since(app.now()).as_secs() / 86_400;
        let figure = words.with("when-left", "n", days);
        tiles.push(tile("certificate", figure, expires.clone(), if days < 7 { State::Warn } else { State::Ok }));
    }
    Ok(page(&Overview {
        chrome: reader.chrome(Section::Console),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime,
        tiles,
        alerts: {
            let mut shown = ailing(app, words, &organizations).await;
            // Each organization has said so for itself.
            let named = !shown.is_empty();
            let others = alerts(app).into_iter().filter(|name| !named || *name != "store");
            shown.extend(others.map(|name| alert(words, name, &expires)));
            shown.sort_by_key(|alert| match alert.state {
                State::Bad => 0,
                State::Warn => 1,
                State::Plain | State::Ok => 2,
            });
            shown
        },
    })?)
}

/// `GET /console/organizations`.
#[handler]
pub async fn list_organizations(operator: Operator) -> Result<Response> {
    Ok(render_organizations(&operator.reader, StatusCode::OK, Input::default(), Input::default(), None).await?)
}

async fn render_organizations(
    reader: &Reader,
    status: StatusCode,
    name: Input,
    owner: Input,
    made: Option<MadeOrganization>,
) -> Result<Response, WebError> {
    let app = &reader.app;
    let when = When { words: reader.words(), zone: &app.zone, now: app.now() };
    let mut rows = Vec::new();
    for organization in app.stores.system().read(|view| directory::organizations(view)).await? {
        rows.push(row(app, &when, &organization).await?);
    }
    page_with(
        status,
        &Organizations { chrome: reader.chrome(Section::ConsoleOrganizations), organizations: rows, name, owner, made },
    )
}

async fn row(
    app: &Arc<App>,
    when: &When<'_>,
    organization: &directory::Organization,
) -> Result<OrganizationRow, WebError> {
    let size = std::fs::metadata(app.stores.shelf().layout().organization_store(organization.id))
        .map_or_else(|_| "—".to_owned(), |file| format::bytes(file.len()));
    let counted = match app.stores.organization(organization.id) {
        Ok(store) => Some(
            store
                .read(|view| {
                    let (mut cards, mut used) = (0, None);
                    for board in work::read::boards(view)? {
                        let tally = work::read::tally(view, board.id)?;
                        cards += tally.open() + tally.archived + tally.trashed;
                        used = used.max(Some(tally.changed_at));
                    }
                    Ok::<_, WebError>((members::present(view)?.len(), cards, used))
                })
                .await?,
        ),
        Err(_) => None,
    };
    let unknown = || "—".to_owned();
    Ok(OrganizationRow {
        id: organization.id.to_string(),
        name: sagas::organization_name(&app.stores, organization).unwrap_or_else(unknown),
        members: counted.map_or_else(unknown, |(members, ..)| members.to_string()),
        cards: counted.map_or_else(unknown, |(_, cards, _)| cards.to_string()),
        size,
        used: counted.and_then(|(.., used)| used).map_or_else(unknown, |used| when.moment(used).text),
    })
}

#[derive(Deserialize)]
struct OrganizationForm {
    name: String,
    owner: String,
}

/// `POST /console/organizations`.
#[handler]
pub async fn create_organization(operator: Operator, Form(form): Form<OrganizationForm>) -> Result<Response> {
    let reader = &operator.reader;
    let words = reader.words();
    let (name, owner) = (parse::<Name>(&form.name), parse::<MailAddress>(&form.owner));
    let (Ok(name), Ok(owner)) = (&name, &owner) else {
        let refused = |typed: &str, error: Option<WebError>| match error.and_then(|error| error.message()) {
            Some(message) => Input::refused(typed, say(words, &message)),
            None => Input::of(typed),
        };
        let (name, owner) = (refused(&form.name, name.err()), refused(&form.owner, owner.err()));
        return Ok(render_organizations(reader, StatusCode::UNPROCESSABLE_ENTITY, name, owner, None).await?);
    };
    let app = &reader.app;
    let now = app.now();
    let org = OrgId::fresh(now);
    let link = format!("{}/sign-in?mail={}", app.public_url, percent(owner.as_str()));
    let welcome = sagas::Welcome { link: link.clone(), language: words.language().tag().to_owned() };
    let founding = sagas::Founding { org, name: name.clone(), owner: owner.clone(), welcome: Some(welcome) };
    sagas::found(&app.stores, now, founding).await.map_err(WebError::from)?;
    app.postbox.queued(Some(org));
    let made = MadeOrganization {
        name: name.as_str().to_owned(),
        owner: owner.as_str().to_owned(),
        link,
        mailed: app.mail_works,
    };
    Ok(render_organizations(reader, StatusCode::OK, Input::default(), Input::default(), Some(made)).await?)
}

/// `GET /console/mail`: the outboxes without subjects and bodies.
#[handler]
pub async fn mail_queue(operator: Operator) -> Result<Response> {
    let reader = &operator.reader;
    let (app, words) = (&reader.app, reader.words());
    let when = When { words, zone: &app.zone, now: app.now() };
    let mut lines = app.stores.system().read(|view| mail::lines(view, MAILS)).await.map_err(WebError::from)?;
    for organization in app.stores.system().read(|view| directory::organizations(view)).await.map_err(WebError::from)? {
        if let Ok(store) = app.stores.organization(organization.id) {
            lines.extend(store.read(|view| mail::lines(view, MAILS)).await.map_err(WebError::from)?);
        }
    }
    lines.retain(|line| line.sent_at.is_none());
    lines.sort_by_key(|line| std::cmp::Reverse(line.queued_at));
    let mails = lines
        .into_iter()
        .map(|line| MailRow {
            to: line.to,
            kind: words.text(&format!("mail-kind-{}", line.kind)),
            since: when.moment(line.queued_at).text,
            tries: line.tries,
            next: line.due_at.map_or_else(
                || words.text("console-mail-given-up"),
                |due| if app.mail_works { when.stamp(due) } else { "—".to_owned() },
            ),
            error: line.last_error.unwrap_or_default(),
        })
        .collect();
    Ok(page(&MailQueue { chrome: reader.chrome(Section::ConsoleMail), mails, mail_works: app.mail_works })?)
}
