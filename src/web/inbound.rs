//! The webhooks' door: `POST /hooks/:token`.
//!
//! The answer leaves after the durable commit. A delivery that is authentic but cannot be read or mapped is held, and
//! answered with 200: senders give up endpoints that answer 4xx.

use poem::{
    Body, IntoResponse, Request, Response, Result,
    error::ResponseError,
    handler,
    http::{HeaderMap, StatusCode, header},
    web::Json,
};
use serde_json::json;

use super::{
    answer::WebError,
    app::App,
    caller::{Asker, app},
    words::Language,
};
use crate::{
    hooks::{
        delivery::{self, Incoming, Outcome, Receipt},
        endpoint::{Address, Hook},
        signature::{self, Headers, Scheme, SigningSecret},
    },
    ids::{CardId, DeliveryId},
    limits::TITLE_CHARS_MAX,
    store::history::Actor,
    text::{Title, cut},
};

/// Headers of a delivery that are kept, at most.
const HEADERS_MAX: usize = 50;
/// Bytes of a header's value that are kept, at most.
const HEADER_BYTES_MAX: usize = 500;

struct Received<'r>(&'r HeaderMap);

impl Headers for Received<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }
}

/// `POST /hooks/:token`.
#[handler]
pub async fn receive(req: &Request, body: Body) -> Result<Response> {
    Ok(take(req, body).await.unwrap_or_else(|error| refusal(&error)))
}

/// What senders are told: no words, since nobody reads them, but a status and a header that their retries understand.
fn refusal(error: &WebError) -> Response {
    let status = error.status();
    let mut response = Response::builder().status(status);
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        response = response.header(header::RETRY_AFTER, "5");
    }
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(%error, "a delivery could not be taken in");
    }
    response.body(Json(json!({ "error": error.code() })).into_response().into_body())
}

async fn take(req: &Request, body: Body) -> Result<Response, WebError> {
    let app = app(req)?;
    let address = req.raw_path_param("token").and_then(Address::parse).ok_or(WebError::NotFound)?;
    let store = app.stores.organization(address.org)?;
    // Two records at most, for every delivery: read here and now, not on the pool.
    let Some(target) = app.targets.find(&store, &address)? else { return Err(WebError::NotFound) };
    let hook = &target.hook;
    Asker::note(req, Some(address.org), Some(Actor::Hook(hook.id)));
    if hook.removed_at.is_some() {
        return Ok(StatusCode::GONE.into_response());
    }
    if req.header(header::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok()) > Some(app.webhook_body_max) {
        return Err(WebError::TooLarge);
    }
    let bytes = body.into_bytes_limit(app.webhook_body_max).await.map_err(|_| WebError::TooLarge)?.to_vec();
    let headers = Received(req.headers());
    let Some((sender_id, signed)) = authenticate(&app, hook, &headers, &bytes) else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let now = app.now();
    // Counted once it is authentic, so that nobody else can use up the organization's rate.
    if !app.rates.take(address.org, target.deliveries_per_minute, now) {
        return Err(WebError::TooMany);
    }
    let (delivery, card) = (DeliveryId::fresh(now), CardId::fresh(now));
    let body = delivery::Body {
        content_type: req.content_type().map(str::to_owned),
        headers: kept_headers(req.headers()),
        bytes,
    };
    let plan = delivery::plan(&target, &body, delivery, card, &|| untitled(&app, hook));
    let incoming = Incoming { id: delivery, card, hook: hook.id, at: now, sender_id, signed, body, plan };
    let weight = incoming.body.bytes.len();
    let receipt = store.submit(weight, move |txn| delivery::receive(txn, &incoming)).await.map_err(WebError::from)?;
    Ok(answer(&receipt))
}

/// Checks the sender by the endpoint's scheme: the id by which it names the delivery, and whether a signature said so.
fn authenticate(app: &App, hook: &Hook, headers: &Received<'_>, body: &[u8]) -> Option<(Option<String>, bool)> {
    match hook.scheme()? {
        Scheme::SecretUrl => Some((signature::delivery_id(headers).map(str::to_owned), false)),
        Scheme::StandardWebhooks => {
            let secret = SigningSecret::parse(hook.secret.as_deref()?).ok()?;
            match signature::verify(&[secret], headers, body, app.now()) {
                Ok(verified) => Some((Some(verified.id), true)),
                Err(error) => {
                    tracing::info!(hook.id = %hook.id, reason = error.code(), "a delivery's signature was refused");
                    None
                }
            }
        }
    }
}

/// The title of a payload that offers none.
fn untitled(app: &App, hook: &Hook) -> Title {
    let date = app.now().in_zone(&app.zone).strftime("%Y-%m-%d %H:%M").to_string();
    let text = Language::Japanese.words().fill("hook-untitled", &[("endpoint", &hook.name), ("date", &date)]);
    // The name was parsed by the same rules and the frame is ours, so this fails only if a locale file is broken.
    Title::parse(&cut(&text, TITLE_CHARS_MAX)).unwrap_or_else(|_| Title::from(hook.id))
}

/// Headers as they are kept with the delivery: what could be a secret is masked.
fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    const SECRET: [&str; 8] = ["authorization", "cookie", "token", "secret", "signature", "hmac", "password", "key"];
    headers
        .iter()
        .take(HEADERS_MAX)
        .filter_map(|(name, value)| {
            let text = value.to_str().ok()?;
            let masked = SECRET.iter().any(|word| name.as_str().contains(word)) && name != "idempotency-key";
            Some((name.to_string(), if masked { "•••".to_owned() } else { cut(text, HEADER_BYTES_MAX) }))
        })
        .collect()
}

fn answer(receipt: &Receipt) -> Response {
    let mut body = json!({ "delivery": receipt.delivery.to_string(), "outcome": receipt.outcome.name() });
    if let Outcome::Accepted { card, .. } = receipt.outcome {
        body["card"] = card.to_string().into();
    }
    if receipt.duplicate {
        body["duplicate"] = true.into();
    }
    Json(body).into_response()
}
