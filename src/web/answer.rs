//! Answers: pages, fragments, redirects, and errors that say what happened, what is kept and what to do.

use askama::Template;
use poem::{
    Body, IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};

use crate::{
    people::{self, PeopleError},
    store::StoreError,
    text::{Explain, Message},
    work::{self, WorkError},
};

/// Why a request was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebError {
    /// Nobody is signed in: pages lead to the sign-in page and come back.
    #[error("not signed in")]
    SignIn,
    /// It does not exist, or not for this person.
    #[error("not found")]
    NotFound,
    /// The role does not allow it.
    #[error("not allowed")]
    Forbidden,
    /// The request itself is broken.
    #[error("bad request: {0}")]
    Bad(&'static str),
    /// The body is larger than allowed.
    #[error("body too large")]
    TooLarge,
    /// Too many requests of a kind.
    #[error("too many requests")]
    TooMany,
    /// A rule of the boards.
    #[error(transparent)]
    Work(#[from] work::Refusal),
    /// A rule about people.
    #[error(transparent)]
    People(#[from] people::Refusal),
    /// A value that breaks a rule.
    #[error("a value was refused")]
    Invalid(Message),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<WorkError> for WebError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Refused(refusal) => Self::Work(refusal),
            WorkError::Store(error) => error.into(),
        }
    }
}

impl From<PeopleError> for WebError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Refused(refusal) => Self::People(refusal),
            PeopleError::Store(error) => error.into(),
            PeopleError::Keyring { reason } => Self::Internal(reason),
        }
    }
}

impl WebError {
    /// What exactly was refused, in words of the locale files; `None` where the status says it all.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        match self {
            Self::Work(refusal) => Some(refusal.message()),
            Self::People(refusal) => Some(refusal.message()),
            Self::Invalid(message) => Some(message.clone()),
            _ => None,
        }
    }

    /// A stable name for the API's problem documents and the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignIn => "unauthenticated",
            Self::NotFound => "not-found",
            Self::Forbidden => "forbidden",
            Self::Bad(_) => "bad-request",
            Self::TooLarge => "too-large",
            Self::TooMany => "too-many",
            Self::Work(refusal) => refusal.code(),
            Self::People(refusal) => refusal.code(),
            Self::Invalid(_) => "invalid",
            Self::Store(StoreError::Full) => "disk-full",
            Self::Store(StoreError::ReadOnly) => "read-only",
            Self::Store(StoreError::Overloaded) => "busy",
            Self::Store(StoreError::OutcomeUnknown { .. }) => "outcome-unknown",
            Self::Store(StoreError::Missing) => "not-found",
            Self::Store(_) | Self::Internal(_) => "internal",
        }
    }
}

impl ResponseError for WebError {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::Store(StoreError::Missing) => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Work(refusal) => match refusal {
                work::Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
                work::Refusal::Conflict { .. }
                | work::Refusal::Stale { .. }
                | work::Refusal::StatusGone { .. }
                | work::Refusal::Trashed
                | work::Refusal::Taken { .. }
                | work::Refusal::StatusInUse { .. }
                | work::Refusal::LastStatus => StatusCode::CONFLICT,
                work::Refusal::Quota { .. } => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::People(refusal) => match refusal {
                people::Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
                people::Refusal::AboveOwnRole => StatusCode::FORBIDDEN,
                people::Refusal::LastOwner | people::Refusal::AlreadyMember | people::Refusal::AlreadyInvited => {
                    StatusCode::CONFLICT
                }
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Store(StoreError::Full) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(StoreError::ReadOnly | StoreError::Overloaded | StoreError::OutcomeUnknown { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A template's page.
///
/// # Errors
/// [`WebError::Internal`] if the template cannot be rendered.
pub fn page(template: &impl Template) -> Result<Response, WebError> {
    page_with(StatusCode::OK, template)
}

/// A template's page with another status.
///
/// # Errors
/// As [`page`].
pub fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, WebError> {
    let html = template.render().map_err(|error| WebError::Internal(error.to_string()))?;
    Ok(html_response(status, html))
}

/// HTML as an answer. Pages hold people's data, so no cache keeps them.
#[must_use]
pub fn html_response(status: StatusCode, html: String) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::from_string(html))
}

/// Leads on with `GET` after a form.
#[must_use]
pub fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A path of ours is always a header's value; one that is not leads home.
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A path of this appliance to go to next; anything else leads home.
#[must_use]
pub fn safe_path(path: &str) -> &str {
    let local = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']);
    if local { path } else { "/" }
}
