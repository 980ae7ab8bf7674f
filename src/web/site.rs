//! The site as one endpoint: what every request passes on its way in, and every answer on its way out.

use std::{io::Write, sync::Arc, time::Instant};

use askama::Template as _;
use poem::{
    Body, Endpoint, IntoEndpoint, Request, Response, Result,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::{
    answer::{WebError, html_response, see_other},
    api,
    app::App,
    caller::{Asker, LANGUAGE_COOKIE, RequestId, cookie},
    format, routes,
    view::{Chrome, Section, error::ErrorPage},
    words::Language,
};
use crate::{
    ids::{base32, random_bytes},
    trail::Entry,
};

/// The largest body of a form, in bytes: a comment is 64 KiB, and letters may be sent as nine bytes each.
const FORM_BYTES_MAX: usize = 1 << 20;
/// Answers smaller than this are not packed.
const PACKED_FROM: usize = 600;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The whole site.
#[must_use]
pub fn site(app: Arc<App>) -> impl Endpoint<Output = Response> {
    let inner = routes::pages().nest("/api/v1", api::service(Arc::clone(&app))).into_endpoint();
    Site { app, inner }
}

struct Site<E> {
    app: Arc<App>,
    inner: E,
}

/// What of a request is needed once it has been used up.
struct Asked {
    method: Method,
    path: String,
    /// What to come back to after signing in.
    back: String,
    language: Language,
    fragment: bool,
    packing: Option<Packing>,
    address: String,
    agent: String,
    /// Pages answer browsers in words; the API and the webhooks' door have their own.
    for_people: bool,
}

#[derive(Clone, Copy)]
enum Packing {
    Zstd,
    Gzip,
}

impl Asked {
    fn of(req: &Request) -> Self {
        let path = req.uri().path().to_owned();
        let accepted = req.header(header::ACCEPT_ENCODING).unwrap_or_default();
        let packing = if accepted.contains("zstd") {
            Some(Packing::Zstd)
        } else if accepted.contains("gzip") {
            Some(Packing::Gzip)
        } else {
            None
        };
        let language = cookie(req, LANGUAGE_COOKIE)
            .and_then(Language::from_tag)
            .unwrap_or_else(|| Language::negotiate(req.header(header::ACCEPT_LANGUAGE).unwrap_or_default()));
        Self {
            method: req.method().clone(),
            back: req.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default(),
            for_people: !path.starts_with("/api/v1") && !path.starts_with("/hooks/"),
            path,
            language,
            fragment: req.header("hx-request").is_some(),
            packing,
            address: req.remote_addr().as_socket_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
            agent: req.header(header::USER_AGENT).unwrap_or_default().chars().take(200).collect(),
        }
    }
}

impl<E: Endpoint> Endpoint for Site<E>
where
    E::Output: poem::IntoResponse,
{
    type Output = Response;

    async fn call(&self, mut req: Request) -> Result<Response> {
        let began = Instant::now();
        let at = self.app.now();
        let asked = Asked::of(&req);
        let id = RequestId(base32(&random_bytes::<5>()));
        let asker = Asker::default();
        req.set_data(Arc::clone(&self.app));
        req.set_data(id.clone());
        req.set_data(asker.clone());
        let result = match admit(&mut req, &asked).await {
            Ok(()) => self.inner.call(req).await.map(poem::IntoResponse::into_response),
            Err(error) => Err(error.into()),
        };
        let (mut response, template) = match result {
            Ok(response) => {
                let template = response.data::<poem::PathPattern>().map(|pattern| pattern.0.to_string());
                (response, template)
            }
            Err(error) => {
                let template = error.data::<poem::PathPattern>().map(|pattern| pattern.0.to_string());
                (explain(error, &asked, &id), template)
            }
        };
        protect(response.headers_mut(), &asked, &id, &self.app);
        let response = pack(response, &asked).await;
        let status = response.status();
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let route = template.unwrap_or_else(|| "(none)".to_owned());
        if status.is_server_error() {
            tracing::error!(request = %id.0, method = %asked.method, route, status = status.as_u16(), duration_us, "answered");
        } else {
            tracing::debug!(request = %id.0, method = %asked.method, route, status = status.as_u16(), duration_us, "answered");
        }
        let note = asker.0.lock().clone();
        let entry = Entry {
            at,
            request: id.0,
            method: asked.method.to_string(),
            route,
            status: status.as_u16(),
            actor: note.actor,
            duration_us,
            address: asked.address,
            agent: asked.agent,
        };
        self.app.trail.note(note.org, entry);
        Ok(response)
    }
}

/// Turns away what must not reach a handler: unsafe requests from other sites, and forms that are too large.
async fn admit(req: &mut Request, asked: &Asked) -> Result<(), WebError> {
    if matches!(asked.method, Method::GET | Method::HEAD | Method::OPTIONS) || !asked.for_people {
        return Ok(());
    }
    if !same_origin(req) {
        return Err(WebError::Forbidden);
    }
    let body = req.take_body().into_bytes_limit(FORM_BYTES_MAX).await.map_err(|_| WebError::TooLarge)?;
    req.set_body(body);
    Ok(())
}

/// Whether a request comes from a page of this very site. Browsers say so by `Sec-Fetch-Site`, older ones by `Origin`;
/// who says neither is no browser that holds a session.
fn same_origin(req: &Request) -> bool {
    if let Some(site) = req.header("sec-fetch-site") {
        return site == "same-origin";
    }
    let host = req.header(header::HOST).map(str::to_owned).or_else(|| req.uri().authority().map(ToString::to_string));
    let origin = req.header(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == host.as_deref()
}

/// An error as the one who asked can read it.
fn explain(error: poem::Error, asked: &Asked, id: &RequestId) -> Response {
    let known = error.downcast_ref::<WebError>();
    let status = error.status();
    if status.is_server_error() {
        tracing::error!(request = %id.0, %error, "a request failed");
    }
    if matches!(known, Some(WebError::SignIn)) && asked.for_people {
        if asked.fragment {
            let mut response = Response::builder().status(StatusCode::UNAUTHORIZED).finish();
            response.headers_mut().insert("hx-redirect", HeaderValue::from_static("/sign-in"));
            return response;
        }
        if asked.method == Method::GET {
            let next: String = url_escape(&asked.back);
            return see_other(&format!("/sign-in?next={next}"));
        }
    }
    if !asked.for_people {
        return error.into_response();
    }
    let words = asked.language.words();
    let why = known.and_then(WebError::message).map(|message| format::say(words, &message));
    if asked.fragment {
        let text = why.unwrap_or_else(|| words.text("js-error"));
        return Response::builder().status(status).content_type("text/plain; charset=utf-8").body(text);
    }
    let chrome = Chrome {
        words,
        theme: "auto",
        me: None,
        org: None,
        section: Section::None,
        request_id: id.0.clone(),
        flash: None,
    };
    let page = ErrorPage::of(chrome, status.as_u16(), "");
    let page = match why {
        Some(why) => page.because(why),
        None => page,
    };
    match page.render() {
        Ok(html) => html_response(status, html),
        Err(_) => Response::builder().status(status).finish(),
    }
}

fn url_escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Headers that tell browsers what these pages never do.
fn protect(headers: &mut HeaderMap, asked: &Asked, id: &RequestId, app: &App) {
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "same-origin");
    if asked.for_people {
        set("content-security-policy", POLICY);
        set("cross-origin-opener-policy", "same-origin");
        set("cross-origin-resource-policy", "same-origin");
        set("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
        set("x-frame-options", "DENY");
    }
    if app.tls.status().served.is_some_and(|served| served.publicly_trusted) {
        set("strict-transport-security", "max-age=31536000");
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert("x-request-id", value);
    }
    if !asked.path.starts_with("/assets/") && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Packs an answer of text if the client can unpack it.
async fn pack(mut response: Response, asked: &Asked) -> Response {
    let text = response.content_type().is_some_and(|kind| {
        kind.starts_with("text/html") || kind.starts_with("application/json") || kind.starts_with("application/problem")
    });
    let Some(packing) = asked.packing else { return response };
    if !text || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let Ok(bytes) = response.take_body().into_bytes().await else { return response };
    if bytes.len() < PACKED_FROM {
        response.set_body(bytes);
        return response;
    }
    let packed = match packing {
        Packing::Zstd => zstd::bulk::compress(&bytes, 3).ok().map(|packed| ("zstd", packed)),
        Packing::Gzip => gzip(&bytes).map(|packed| ("gzip", packed)),
    };
    match packed {
        Some((name, packed)) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
            response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.set_body(Body::from_vec(packed));
        }
        None => response.set_body(bytes),
    }
    response
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    packer.write_all(bytes).ok()?;
    packer.finish().ok()
}
