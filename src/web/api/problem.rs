//! Refusals: one problem document (RFC 9457) for everything that is not done, in the reader's language under a stable
//! code, naming each member at fault with the rule that it breaks.

use std::fmt;

use poem::{
    Body, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

use crate::{
    limits,
    people::Role,
    store::StoreError,
    text::{Explain, Message, clean_line, cut},
    web::{
        answer::WebError,
        caller::RequestId,
        format::say,
        words::{Language, Words},
    },
    work::{self, WorkError},
};

/// The media type of RFC 9457.
const MEDIA_TYPE: &str = "application/problem+json";
/// Members at fault that one document names; a body can hold thousands.
const FAULTS_MAX: usize = 20;
/// After how many seconds a client that met a busy store may try again.
const RETRY_SECONDS: u32 = 1;

/// One member of a request that breaks a rule.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Where it stands, such as `title`, `fields.tel` or `assignees[2]`; for a parameter its name.
    pub field: String,
    /// The rule's stable name.
    pub code: &'static str,
    /// The rule in words.
    pub message: Message,
}

impl Fault {
    /// A member that breaks a rule. Its name may come from the client, so it is cleaned and cut.
    #[must_use]
    pub fn new(field: &str, code: &'static str, message: Message) -> Self {
        Self { field: cut(&clean_line(field), 2 * limits::NAME_CHARS_MAX), code, message }
    }

    /// A value that is none of those allowed.
    #[must_use]
    pub fn unknown(field: &str, value: &str) -> Self {
        let value = cut(&clean_line(value), limits::NAME_CHARS_MAX);
        Self::new(field, "unknown-value", Message::plain("refusal-unknown").with("value", &value))
    }
}

/// Why a request was not done. It changed nothing, unless its code is `outcome-unknown`.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    message: Message,
    faults: Vec<Fault>,
    position: Option<Position>,
    current: Option<Value>,
    remaining: Option<Value>,
}

/// Where a text stops being JSON, both counted from 1.
#[derive(Clone, Copy, Debug, Object)]
pub struct Position {
    line: u64,
    /// In bytes.
    column: u64,
}

/// A member at fault.
#[derive(Debug, Object)]
struct FaultDocument {
    /// Where it stands, such as `title`, `fields.tel` or `assignees[2]`; for a parameter its name.
    field: String,
    /// The rule's stable name.
    code: String,
    /// The rule in the reader's language.
    detail: String,
}

/// Why a request was not done (RFC 9457).
#[derive(Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
struct Document {
    /// A URN made of the code.
    r#type: String,
    /// The kind of problem, in the reader's language (`Accept-Language`).
    title: String,
    status: u16,
    /// What happened and what to do, in the reader's language.
    detail: String,
    /// Stable: what programs tell problems apart by.
    code: String,
    /// Every member that breaks a rule.
    errors: Option<Vec<FaultDocument>>,
    /// Where a malformed body stops being JSON.
    position: Option<Position>,
    /// The card as it stands now, with `stale`.
    current: Option<Value>,
    /// The statuses that are left, with `status-gone`.
    remaining: Option<Value>,
    /// The id under which the operator's log has this request.
    request_id: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: Message) -> Self {
        let (faults, position, current, remaining) = (Vec::new(), None, None, None);
        Self(Box::new(Inner { status, code, message, faults, position, current, remaining }))
    }

    /// The code that programs tell problems apart by.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// No usable token was sent.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", Message::plain("api-problem-unauthenticated"))
    }

    /// It does not exist, or not for this token.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", Message::plain("refusal-not-found"))
    }

    /// The token's role does not reach.
    #[must_use]
    pub fn forbidden(has: Role, needs: Role) -> Self {
        let message = Message::plain("api-problem-forbidden").with("has", has.name()).with("needs", needs.name());
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// The body is not JSON from some place on.
    #[must_use]
    pub fn malformed(line: usize, column: usize) -> Self {
        let message = Message::plain("api-problem-malformed-json").with("line", &line).with("column", &column);
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "malformed-json", message);
        problem.0.position = Some(Position { line: line as u64, column: column as u64 });
        problem
    }

    /// The body broke off.
    #[must_use]
    pub fn broken_off() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", Message::plain("api-problem-bad-request"))
    }

    /// The body is of another kind than JSON.
    #[must_use]
    pub fn content_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", Message::plain("api-problem-content-type"))
    }

    /// The body has more than `max` bytes.
    #[must_use]
    pub fn too_large(max: usize) -> Self {
        let message = Message::plain("api-problem-too-large").with("max", &max);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    /// Members that break rules.
    #[must_use]
    pub fn faults(mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        let code = faults.first().map_or("invalid", |fault| fault.code);
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, Message::plain("api-problem-invalid"));
        problem.0.faults = faults;
        problem
    }

    /// The card has moved on since the version that the client knows; `current` is how it stands now.
    #[must_use]
    pub fn stale(current: Option<Value>) -> Self {
        let mut problem = Self::new(StatusCode::CONFLICT, "stale", Message::plain("refusal-stale"));
        problem.0.current = current;
        problem
    }

    /// The card stands in no column, so it cannot change it.
    #[must_use]
    pub fn archived() -> Self {
        Self::new(StatusCode::CONFLICT, "archived", Message::plain("api-problem-archived"))
    }

    /// The idempotency key was used for another request.
    #[must_use]
    pub fn key_reused() -> Self {
        let code = "idempotency-key-reused";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, Message::plain("api-problem-key-reused"))
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", Message::plain("api-problem-internal"))
    }

    /// The problem behind an error of the framework.
    #[must_use]
    pub fn of(error: &poem::Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        if let Some(error) = error.downcast_ref::<WebError>() {
            return error.clone().into();
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Fault::new(error.name, "malformed", Message::plain("api-rule-parameter")).into();
        }
        if error.is::<ParsePathError>() || error.is::<NotFoundError>() {
            return Self::not_found();
        }
        if error.is::<MethodNotAllowedError>() {
            let message = Message::plain("api-problem-method-not-allowed");
            return Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message);
        }
        if error.is::<ContentTypeError>() {
            return Self::content_type();
        }
        if error.status().is_client_error() {
            return Self::new(error.status(), "bad-request", Message::plain("api-problem-bad-request"));
        }
        tracing::error!(%error, "a request to the API failed");
        Self::internal()
    }

    fn response(&self, words: &Words, request_id: Option<&RequestId>) -> Response {
        let inner = &*self.0;
        let errors: Vec<FaultDocument> = inner
            .faults
            .iter()
            .map(|fault| FaultDocument {
                field: fault.field.clone(),
                code: fault.code.to_owned(),
                detail: say(words, &fault.message),
            })
            .collect();
        let detail = if errors.is_empty() {
            say(words, &inner.message)
        } else {
            errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect::<Vec<_>>().join(" ")
        };
        let document = Document {
            r#type: format!("urn:workrun:problem:{}", inner.code),
            title: words.text(title_key(inner.status)),
            status: inner.status.as_u16(),
            detail,
            code: inner.code.to_owned(),
            errors: (!errors.is_empty()).then_some(errors),
            position: inner.position,
            current: inner.current.clone(),
            remaining: inner.remaining.clone(),
            request_id: request_id.map(|id| id.0.clone()),
        };
        let mut response = Response::builder()
            .status(inner.status)
            .content_type(MEDIA_TYPE)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONTENT_LANGUAGE, words.language().tag())
            .header(header::VARY, "Accept-Language")
            .body(Body::from_string(document.to_json_string()));
        match inner.status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer realm=\"workrun\", error=\"invalid_token\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_SECONDS.into());
            }
            _ => {}
        }
        response
    }
}

/// The message that names a kind of problem.
fn title_key(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "api-title-401",
        403 => "error-403-title",
        404 => "error-404-title",
        405 => "api-title-405",
        409 => "error-409-title",
        413 => "error-413-title",
        415 => "api-title-415",
        422 => "error-422-title",
        500 => "error-500-title",
        503 => "error-503-title",
        507 => "error-507-title",
        _ => "error-400-title",
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status.as_u16(), self.0.code)?;
        self.0.faults.iter().try_for_each(|fault| write!(f, ", {}: {}", fault.field, fault.code))
    }
}

impl std::error::Error for Problem {}

/// Without a request at hand, the product's first language is spoken; the API's door speaks the reader's.
impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.0.status
    }

    fn as_response(&self) -> Response {
        self.response(Language::ALL[0].words(), None)
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: MEDIA_TYPE, schema: Document::schema_ref() }];
        let description = "Not done; `code` says why.";
        let (status, status_range, headers) = (None, None, Vec::new());
        MetaResponses { responses: vec![MetaResponse { description, status, status_range, content, headers }] }
    }

    fn register(registry: &mut Registry) {
        Document::register(registry);
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::faults(vec![fault])
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        WebError::from(error).into()
    }
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        WebError::from(error).into()
    }
}

impl From<WebError> for Problem {
    fn from(error: WebError) -> Self {
        let (status, code) = (error.status(), error.code());
        let message = match &error {
            WebError::Work(refusal) => return of_refusal(status, refusal),
            WebError::Store(StoreError::Full) => Message::plain("api-problem-disk-full"),
            WebError::Store(StoreError::Overloaded) => Message::plain("api-problem-busy"),
            WebError::Store(StoreError::ReadOnly) => Message::plain("api-problem-read-only"),
            WebError::Store(StoreError::OutcomeUnknown { .. }) => Message::plain("api-problem-outcome-unknown"),
            WebError::SignIn => return Self::unauthenticated(),
            WebError::NotFound | WebError::Store(StoreError::Missing) => return Self::not_found(),
            WebError::Store(_) | WebError::Internal(_) => {
                tracing::error!(%error, "a request to the API failed");
                return Self::internal();
            }
            other => other.message().unwrap_or_else(|| Message::plain("api-problem-bad-request")),
        };
        Self::new(status, code, message)
    }
}

/// A refusal of the boards: its document names the field, where there is one.
fn of_refusal(status: StatusCode, refusal: &work::Refusal) -> Problem {
    let (code, message) = (refusal.code(), refusal.message());
    let field = match refusal {
        work::Refusal::Text { field, .. }
        | work::Refusal::Taken { field, .. }
        | work::Refusal::Unknown { field, .. } => Some(*field),
        work::Refusal::Limit { what, .. } => Some(*what),
        work::Refusal::StatusGone { .. } => Some("status"),
        _ => None,
    };
    let mut problem = Problem::new(status, code, message.clone());
    problem.0.faults = field.map(|field| Fault::new(field, code, message)).into_iter().collect();
    if let work::Refusal::StatusGone { remaining } = refusal {
        let left = remaining.iter().map(|(id, name)| serde_json::json!({"id": id.to_string(), "name": name}));
        problem.0.remaining = Some(left.collect());
    }
    problem
}

/// The answer to a request whose handling ended in an error.
#[must_use]
pub fn answer(error: &poem::Error, accept_language: &str, request_id: Option<&RequestId>) -> Response {
    let problem = Problem::of(error);
    tracing::debug!(code = problem.code(), "a request to the API was refused");
    problem.response(Language::negotiate(accept_language).words(), request_id)
}

/// What of a request its refusal will need, taken before the request is given away.
#[must_use]
pub fn reader_of(req: &Request) -> (String, Option<RequestId>) {
    let language = req.header(header::ACCEPT_LANGUAGE).unwrap_or_default().to_owned();
    (language, req.data::<RequestId>().cloned())
}
