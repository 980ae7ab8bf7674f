//! What an organization uses of what it may use: in its settings, and on its page in the console, where it is set.

use std::{num::ParseIntError, sync::Arc};

use poem::{Request, Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::path_id;
use crate::{
    ids::OrgId,
    people::{self, Quotas, directory, members, sagas},
    store::{self, Read, history::Actor},
    web::{
        answer::{WebError, page_with, see_other},
        caller::{Operator, Reader},
        format,
        view::{
            Section,
            console::{LimitInput, OneOrganization},
            form::Input,
            people::Use,
        },
        words::Words,
    },
    work,
};

const MIB: u64 = 1 << 20;

/// What is used of what is allowed.
///
/// # Errors
/// What the store says.
pub fn uses(words: &Words, view: &dyn Read) -> Result<Vec<Use>, WebError> {
    let quotas = people::quotas(view)?;
    let counted = |what: &str, used: u64, allowed: u64, shown: fn(u64) -> String| Use {
        what: words.text(what),
        used: shown(used),
        allowed: shown(allowed),
        percent: Some(u8::try_from(used.min(allowed).saturating_mul(100) / allowed.max(1)).unwrap_or(100)),
    };
    let members = members::present(view)?.len() as u64;
    Ok(vec![
        counted("quota-cards", work::read::cards_held(view)?, quotas.cards, format::count),
        counted("quota-bytes", store::bytes_held(view)?, quotas.bytes, format::bytes),
        counted("quota-members", members, quotas.members, format::count),
        Use {
            what: words.text("quota-deliveries"),
            used: "—".to_owned(),
            allowed: format::count(quotas.deliveries_per_minute),
            percent: None,
        },
    ])
}

#[derive(Deserialize)]
struct QuotaForm {
    cards: String,
    mib: String,
    members: String,
    deliveries: String,
}

impl QuotaForm {
    fn of(quotas: Quotas) -> Self {
        Self {
            cards: quotas.cards.to_string(),
            mib: (quotas.bytes / MIB).to_string(),
            members: quotas.members.to_string(),
            deliveries: quotas.deliveries_per_minute.to_string(),
        }
    }

    fn read(&self) -> Result<Quotas, ParseIntError> {
        Ok(Quotas {
            cards: number(&self.cards)?,
            bytes: number(&self.mib)?.saturating_mul(MIB),
            members: number(&self.members)?,
            deliveries_per_minute: number(&self.deliveries)?,
        })
    }

    fn inputs(self, words: &Words) -> Vec<LimitInput> {
        let fields =
            [("cards", self.cards), ("mib", self.mib), ("members", self.members), ("deliveries", self.deliveries)];
        fields
            .into_iter()
            .map(|(name, typed)| LimitInput {
                name,
                label: words.text(&format!("quota-set-{name}")),
                input: match number(&typed) {
                    Ok(_) => Input::of(typed),
                    Err(_) => Input::refused(typed, words.text("quota-not-a-number")),
                },
            })
            .collect()
    }
}

/// A number as people type it: with separators, and in the full width of an input method.
fn number(typed: &str) -> Result<u64, ParseIntError> {
    let digits = typed.trim().chars().filter(|c| !matches!(c, ',' | '，' | ' ' | '_'));
    let narrow = |c: char| match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c),
        other => other,
    };
    digits.map(narrow).collect::<String>().parse()
}

/// `GET /console/organizations/:org`.
#[handler]
pub async fn show(operator: Operator, req: &Request) -> Result<Response> {
    let org = path_id::<OrgId>(req, "org")?;
    Ok(render(&operator.reader, org, StatusCode::OK, None).await?)
}

/// `POST /console/organizations/:org`: sets the quotas.
#[handler]
pub async fn set(operator: Operator, req: &Request, Form(form): Form<QuotaForm>) -> Result<Response> {
    let org = path_id::<OrgId>(req, "org")?;
    let Ok(quotas) = form.read() else {
        return Ok(render(&operator.reader, org, StatusCode::UNPROCESSABLE_ENTITY, Some(form)).await?);
    };
    let app = &operator.reader.app;
    let (now, actor) = (app.now(), Actor::Operator(Some(operator.operator.user)));
    let store = app.stores.organization(org).map_err(WebError::from)?;
    store.submit(64, move |txn| people::set_quotas(txn, now, actor, quotas)).await.map_err(WebError::from)?;
    Ok(see_other(&format!("/console/organizations/{org}")))
}

async fn render(
    reader: &Reader,
    org: OrgId,
    status: StatusCode,
    typed: Option<QuotaForm>,
) -> Result<Response, WebError> {
    let (app, words) = (Arc::clone(&reader.app), reader.words());
    let entry = app.stores.system().read(move |view| directory::organization(view, org)).await?;
    let entry = entry.ok_or(WebError::NotFound)?;
    let (uses, quotas) = app
        .stores
        .organization(org)?
        .read(move |view| Ok::<_, WebError>((uses(words, view)?, people::quotas(view)?)))
        .await?;
    page_with(
        status,
        &OneOrganization {
            chrome: reader.chrome(Section::ConsoleOrganizations),
            org: org.to_string(),
            name: sagas::organization_name(&app.stores, &entry).unwrap_or_else(|| org.to_string()),
            uses,
            limits: typed.unwrap_or_else(|| QuotaForm::of(quotas)).inputs(words),
        },
    )
}
