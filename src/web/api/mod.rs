//! The JSON API: `/api/v1`, the same commands as the pages under bearer tokens.
//!
//! Every operation is a method whose signature says what the token must be ([`auth`]), what the request holds ([`body`])
//! and what comes back ([`answer`]); the `OpenAPI` document is generated from the same types. What is not done is a problem
//! document ([`problem`]) that names each member at fault, and has changed nothing. A change and the check that it rests on
//! (`If-Match`, an idempotency key) are one transaction.

mod answer;
mod auth;
mod boards;
mod body;
mod cards;
mod choices;
mod cursor;
mod filter;
mod hooks;
mod idempotency;
mod if_match;
mod people;
mod problem;
mod strict;
mod timeline;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use idempotency::{SHAPES, forget_old_answers};
use poem::{
    Endpoint, EndpointExt, PathPattern, Request, Response, Result, Route,
    endpoint::make_sync,
    get, handler,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{OpenApi, OpenApiService};

use super::{
    answer::page,
    app::App,
    caller::Reader,
    view::{
        Section,
        api_docs::{ApiDocs, GROUPS},
    },
};
use crate::people::Role::{self, Admin, Guest, Member};

/// Every operation: method, path below `/api/v1`, least role of the token. The document itself needs none.
pub const ROUTES: &[(&str, &str, Role)] = &[
    ("GET", "/orgs/{org}/boards", Guest),
    ("POST", "/orgs/{org}/boards", Member),
    ("GET", "/orgs/{org}/boards/{board}/cards", Guest),
    ("POST", "/orgs/{org}/boards/{board}/cards", Member),
    ("GET", "/orgs/{org}/cards/{card}", Guest),
    ("PATCH", "/orgs/{org}/cards/{card}", Member),
    ("DELETE", "/orgs/{org}/cards/{card}", Member),
    ("POST", "/orgs/{org}/cards/{card}/comments", Guest),
    ("GET", "/orgs/{org}/cards/{card}/timeline", Guest),
    ("POST", "/orgs/{org}/boards/{board}/hooks", Admin),
    ("GET", "/orgs/{org}/hooks/{hook}/deliveries", Admin),
    ("GET", "/orgs/{org}/members", Member),
    ("GET", "/orgs/{org}/audit", Admin),
];

fn operations(public_url: &str) -> OpenApiService<impl OpenApi + 'static, ()> {
    let operations = (boards::Boards, cards::Cards, timeline::Timeline, hooks::Hooks, people::People);
    OpenApiService::new(operations, "Workrun", env!("CARGO_PKG_VERSION"))
        .description("Boards and cards of an organization, for programs. Errors are problem documents (RFC 9457).")
        .server(format!("{public_url}/api/v1"))
}

/// The API, to be mounted at `/api/v1`.
pub fn service(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    let operations = operations(&app.public_url);
    let document = operations.spec();
    let document = make_sync(move |_| Response::builder().content_type("application/json").body(document.clone()));
    Route::new().at("/openapi.json", get(document)).nest("/", operations).data(app).around(spoken)
}

/// Turns whatever went wrong into a problem document in the client's language, and names the route by its own template.
async fn spoken<E: Endpoint<Output = Response>>(inner: Arc<E>, req: Request) -> Result<Response> {
    let (language, request_id) = problem::reader_of(&req);
    let (mut response, matched) = match inner.call(req).await {
        Ok(response) => {
            let matched = response.data::<PathPattern>().cloned();
            (response, matched)
        }
        Err(error) => (problem::answer(&error, &language, request_id.as_ref()), error.data::<PathPattern>().cloned()),
    };
    let Some(matched) = matched else { return Ok(response) };
    if let Some((mount, path)) = route(&matched.0) {
        let template = path.replace('{', ":").replace('}', "");
        response.set_data(PathPattern(format!("{mount}{template}").into()));
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allowed: Vec<&str> = ROUTES.iter().filter(|row| row.1 == path).map(|row| row.0).collect();
            // RFC 9110, 15.5.6: the answer lists what the path does know.
            if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
        }
    } else {
        response.set_data(matched);
    }
    Ok(response)
}

/// Where the API is mounted, and the path in [`ROUTES`], of a template in which the framework has numbered the variables.
fn route(matched: &str) -> Option<(&str, &'static str)> {
    let (mount, below) = matched.split_at(matched.find("/orgs")?);
    let same = |path: &&str| {
        let mut pairs = path.split('/').zip(below.split('/'));
        path.split('/').count() == below.split('/').count()
            && pairs.all(|(ours, theirs)| ours == theirs || (ours.starts_with('{') && theirs.starts_with(':')))
    };
    let path = ROUTES.iter().map(|(_, path, _)| *path).find(same)?;
    Some((mount, path))
}

/// `GET /api/docs`: the API for people.
#[handler]
pub async fn docs(reader: Reader) -> Result<Response> {
    let base = format!("{}/api/v1", reader.app.public_url);
    Ok(page(&ApiDocs { chrome: reader.chrome(Section::None), base, groups: GROUPS })?)
}
