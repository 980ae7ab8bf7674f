//! Answers that were done: JSON with a status, the card's version as an entity tag, and shapes that several resources share.

use std::marker::PhantomData;

use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Enum, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};

use crate::store::history;

/// A value as JSON with status `STATUS`; the JSON may come from the store, if the request was done before.
#[derive(Clone, Debug)]
pub struct Answer<T, const STATUS: u16 = 200> {
    pub json: String,
    /// The version of the card that it shows.
    pub version: Option<u64>,
    /// Whether it was given before, under the same idempotency key.
    pub replayed: bool,
    shape: PhantomData<fn() -> T>,
}

impl<T: ToJSON, const STATUS: u16> Answer<T, STATUS> {
    /// An answer that shows a value.
    #[must_use]
    pub fn of(value: &T) -> Self {
        Self::again(value.to_json_string(), None, false)
    }

    /// This answer, with the version of the card that it shows.
    #[must_use]
    pub fn at(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl<T, const STATUS: u16> Answer<T, STATUS> {
    /// An answer of its parts.
    #[must_use]
    pub fn again(json: String, version: Option<u64>, replayed: bool) -> Self {
        Self { json, version, replayed, shape: PhantomData }
    }
}

fn json_response(status: u16, json: String) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or_default())
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(json)
}

impl<T: Send, const STATUS: u16> IntoResponse for Answer<T, STATUS> {
    fn into_response(self) -> Response {
        let mut response = json_response(STATUS, self.json);
        if let Some(tag) = self.version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        if self.replayed {
            response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

impl<T: Type, const STATUS: u16> ApiResponse for Answer<T, STATUS> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        let (status, status_range, headers) = (Some(STATUS), None, Vec::new());
        MetaResponses { responses: vec![MetaResponse { description: "Done.", status, status_range, content, headers }] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Done, with nothing to show.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for Gone {
    fn meta() -> MetaResponses {
        let (status, status_range, content, headers) = (Some(204), None, Vec::new(), Vec::new());
        MetaResponses { responses: vec![MetaResponse { description: "Done.", status, status_range, content, headers }] }
    }

    fn register(_: &mut Registry) {}
}

/// Some items of a list.
#[derive(Debug, Object)]
pub struct Page<T: ParseFromJSON + ToJSON> {
    pub items: Vec<T>,
    /// Where the list goes on; `null` at its end. A page may hold fewer items than asked for and still go on.
    pub next_cursor: Option<String>,
}

impl<T: ParseFromJSON + ToJSON> Page<T> {
    /// A page of at most `limit` items of a list from which one more was read, to see whether it goes on; `cursor` says
    /// where, from the last item shown.
    pub fn of<R>(mut read: Vec<R>, limit: usize, cursor: impl FnOnce(&R) -> String, show: impl FnMut(R) -> T) -> Self {
        let goes_on = read.len() > limit;
        read.truncate(limit);
        let next_cursor = read.last().filter(|_| goes_on).map(cursor);
        Self { items: read.into_iter().map(show).collect(), next_cursor }
    }
}

/// What kind of actor did something.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ActorKind {
    /// The appliance itself.
    System,
    /// A member.
    User,
    /// A webhook endpoint.
    Hook,
    /// An API token.
    Token,
    /// An operator of the appliance.
    Operator,
}

/// Who did something.
#[derive(Clone, Debug, Object)]
pub struct Actor {
    pub kind: ActorKind,
    /// The member's, endpoint's or token's id; `null` for the appliance and its operators.
    pub id: Option<String>,
}

impl From<history::Actor> for Actor {
    fn from(actor: history::Actor) -> Self {
        let (kind, id) = match actor {
            history::Actor::System => (ActorKind::System, None),
            history::Actor::User(user) => (ActorKind::User, Some(user.to_string())),
            history::Actor::Hook(hook) => (ActorKind::Hook, Some(hook.to_string())),
            history::Actor::Token(token) => (ActorKind::Token, Some(token.to_string())),
            history::Actor::Operator(_) => (ActorKind::Operator, None),
        };
        Self { kind, id }
    }
}
