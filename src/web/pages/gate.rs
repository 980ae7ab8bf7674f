//! Signing in and out: by code, by the mail's link, by a link made on the server.

use std::sync::Arc;

use poem::{
    IntoResponse, Request, Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
    web::{Form, Query, RemoteAddr},
};
use serde::Deserialize;

use super::{came_from, parse};
use crate::{
    ids::{Secret, UserId},
    people::{
        PeopleError, directory,
        links::{self, Purpose},
        sessions,
        sign_in::{self, Asked, Challenge, Tried},
    },
    store::StoreError,
    text::{MailAddress, Name},
    tls::Origin,
    web::{
        answer::{WebError, page, page_with, safe_path, see_other},
        app::App,
        caller::{LANGUAGE_COOKIE, Reader, SESSION_COOKIE, SignedIn, app, cookie},
        format::{self, say},
        view::{
            Section,
            form::Input,
            gate::{Authority, LinkState, SignIn, SignInCode, SignInLink},
        },
        words::Language,
    },
};

/// Holds the right to use the code and link that were mailed.
const PENDING_COOKIE: &str = "__Host-workrun_pending";

fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: u64) {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The address that a request came from, without its port.
fn peer(address: &RemoteAddr) -> String {
    address.as_socket_addr().map(|address| address.ip().to_string()).unwrap_or_default()
}

#[derive(Deserialize)]
struct SignInQuery {
    #[serde(default)]
    mail: String,
    #[serde(default)]
    next: String,
}

fn sign_in_page(reader: &Reader, mail: Input, next: String) -> SignIn {
    let root = reader
        .app
        .tls
        .status()
        .internal_root
        .filter(|_| reader.app.tls.status().served.is_some_and(|served| served.origin == Origin::Internal));
    SignIn {
        chrome: reader.chrome(Section::None),
        mail,
        next,
        mail_works: reader.app.mail_works,
        authority: root.map(|pem| Authority { fingerprint: fingerprint(&pem) }),
        host: reader.app.host().to_owned(),
    }
}

/// SHA-256 of a PEM certificate's DER, as certificate viewers show it.
fn fingerprint(pem: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap_or_default();
    let digest = sha2::Sha256::digest(der);
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// `GET /sign-in`.
#[handler]
pub async fn ask(reader: Reader, Query(query): Query<SignInQuery>) -> Result<Response> {
    if reader.session.is_some() {
        return Ok(see_other(safe_path(&query.next)));
    }
    Ok(page(&sign_in_page(&reader, Input::of(query.mail), query.next))?)
}

#[derive(Deserialize)]
struct SignInForm {
    mail: String,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in`: sets the pending cookie and mails a code, if the address is known.
#[handler]
pub async fn send_code(
    reader: Reader,
    req: &Request,
    address: &RemoteAddr,
    Form(form): Form<SignInForm>,
) -> Result<Response> {
    let Ok(mail) = parse::<MailAddress>(&form.mail) else {
        let input = Input::refused(form.mail, reader.words().text("gate-mail-invalid"));
        return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &sign_in_page(&reader, input, form.next))?);
    };
    let pending = Secret::<32>::fresh();
    let next = (!form.next.is_empty()).then(|| safe_path(&form.next).to_owned());
    match send(&reader, req, address, mail.clone(), pending.clone(), next).await? {
        Asked::Sent => {
            let mut response = see_other("/sign-in/code");
            set_cookie(&mut response, PENDING_COOKIE, &pending.text(), sign_in::LIFE.as_secs());
            Ok(response)
        }
        Asked::TooMany => {
            let input = Input::refused(mail.as_str(), reader.words().text("gate-mail-too-many"));
            Ok(page_with(StatusCode::TOO_MANY_REQUESTS, &sign_in_page(&reader, input, form.next))?)
        }
    }
}

async fn send(
    reader: &Reader,
    req: &Request,
    address: &RemoteAddr,
    mail: MailAddress,
    pending: Secret<32>,
    next: Option<String>,
) -> Result<Asked, WebError> {
    let app = &reader.app;
    let request = sign_in::Request {
        mac: app.stores.mail_mac(&mail),
        mail,
        pending,
        challenge: Challenge::fresh(),
        link_base: format!("{}/sign-in/link?t=", app.public_url),
        next,
        agent: format::agent(req.header(header::USER_AGENT).unwrap_or_default()),
        address: peer(address),
        language: reader.language.tag().to_owned(),
    };
    let now = app.now();
    let asked = app.stores.system().submit(1024, move |txn| sign_in::ask(txn, now, &request)).await?;
    app.postbox.queued(None);
    Ok(asked)
}

fn pending_of(req: &Request) -> Option<Secret<32>> {
    cookie(req, PENDING_COOKIE).and_then(Secret::parse)
}

/// The pending sign-in of the browser, if it is not over.
fn pending(app: &Arc<App>, cookie: &Secret<32>) -> Result<Option<sign_in::Pending>, WebError> {
    let now = app.now();
    Ok(app.stores.system().view(|view| sign_in::pending(view, cookie, now))?)
}

fn code_page(reader: &Reader, mail: String, error: Option<String>, notice: Option<String>) -> SignInCode {
    let may_resend = error.is_none() || !mail.is_empty();
    SignInCode {
        chrome: reader.chrome(Section::None),
        mail,
        error,
        notice,
        may_resend,
        mail_works: reader.app.mail_works,
        host: reader.app.host().to_owned(),
    }
}

/// `GET /sign-in/code`.
#[handler]
pub async fn ask_code(reader: Reader, req: &Request) -> Result<Response> {
    if reader.session.is_some() {
        return Ok(see_other("/"));
    }
    let Some(cookie) = pending_of(req) else { return Ok(see_other("/sign-in")) };
    match pending(&reader.app, &cookie)? {
        Some(pending) => Ok(page(&code_page(&reader, pending.mail.as_str().to_owned(), None, None))?),
        None => Ok(see_other("/sign-in")),
    }
}

#[derive(Deserialize)]
struct CodeForm {
    code: String,
}

/// `POST /sign-in/code`.
#[handler]
pub async fn enter_code(reader: Reader, req: &Request, Form(form): Form<CodeForm>) -> Result<Response> {
    let Some(cookie) = pending_of(req) else { return Ok(see_other("/sign-in")) };
    let mail = pending(&reader.app, &cookie)?.map(|pending| pending.mail.as_str().to_owned()).unwrap_or_default();
    // People paste codes with spaces, and type them in full width.
    let code: String = crate::text::fold(&form.code).chars().filter(char::is_ascii_digit).collect();
    let now = reader.app.now();
    let tried = reader.app.stores.system().submit(64, move |txn| sign_in::try_code(txn, now, &cookie, &code)).await;
    match tried.map_err(WebError::from)? {
        Tried::In { user, next } => begin(&reader.app, req, user, next.as_deref().unwrap_or("/")).await,
        Tried::Wrong { tries_left } if tries_left > 0 => {
            let error = reader.words().with("gate-code-wrong", "left", u64::from(tries_left));
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &code_page(&reader, mail, Some(error), None))?)
        }
        _ => {
            let error = reader.words().text("gate-code-spent");
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &code_page(&reader, mail, Some(error), None))?)
        }
    }
}

/// `POST /sign-in/resend`.
#[handler]
pub async fn resend(reader: Reader, req: &Request, address: &RemoteAddr) -> Result<Response> {
    let Some(cookie) = pending_of(req) else { return Ok(see_other("/sign-in")) };
    let Some(known) = pending(&reader.app, &cookie)? else { return Ok(see_other("/sign-in")) };
    let mail = known.mail.as_str().to_owned();
    match send(&reader, req, address, known.mail, cookie, known.next).await? {
        Asked::Sent => {
            let notice = reader.words().text("gate-resent");
            Ok(page(&code_page(&reader, mail, None, Some(notice)))?)
        }
        Asked::TooMany => {
            let error = reader.words().text("gate-mail-too-many");
            Ok(page_with(StatusCode::TOO_MANY_REQUESTS, &code_page(&reader, mail, Some(error), None))?)
        }
    }
}

/// Begins a session in this browser and leads on.
async fn begin(app: &Arc<App>, req: &Request, user: UserId, next: &str) -> Result<Response> {
    let (secret, now) = (Secret::<32>::fresh(), app.now());
    let agent = format::agent(req.header(header::USER_AGENT).unwrap_or_default());
    let kept = secret.clone();
    let begun: Result<(), StoreError> =
        app.stores.system().submit(128, move |txn| sessions::begin(txn, now, user, &kept, &agent)).await;
    begun.map_err(WebError::from)?;
    let mut response = see_other(safe_path(next));
    set_cookie(&mut response, SESSION_COOKIE, &secret.text(), sessions::ABSOLUTE.as_secs());
    set_cookie(&mut response, PENDING_COOKIE, "", 0);
    Ok(response)
}

#[derive(Deserialize)]
struct LinkQuery {
    #[serde(default)]
    t: String,
}

fn link_page(reader: &Reader, state: LinkState) -> SignInLink {
    SignInLink { chrome: reader.chrome(Section::None), state, host: reader.app.host().to_owned() }
}

/// `GET /sign-in/link?t=…`: shows a button and changes nothing, since mail scanners open links.
#[handler]
pub async fn show_link(reader: Reader, req: &Request, Query(query): Query<LinkQuery>) -> Result<Response> {
    let Some(secret) = Secret::<16>::parse(&query.t) else {
        return Ok(page_with(StatusCode::NOT_FOUND, &link_page(&reader, LinkState::Spent))?);
    };
    let now = reader.app.now();
    let made_here = reader.app.stores.system().view(|view| links::find(view, &secret, now)).map_err(WebError::from)?;
    let state = match made_here.map(|link| link.purpose) {
        Some(Purpose::FirstOperator) => {
            LinkState::FirstOperator { token: query.t, name: Input::default(), mail: Input::default() }
        }
        Some(Purpose::SignIn(_)) => LinkState::Confirm { token: query.t, mail: None },
        None => match pending_of(req).map(|cookie| pending(&reader.app, &cookie)).transpose()? {
            Some(Some(pending)) => LinkState::Confirm { token: query.t, mail: Some(pending.mail.as_str().to_owned()) },
            _ => LinkState::OtherBrowser,
        },
    };
    Ok(page(&link_page(&reader, state))?)
}

#[derive(Deserialize)]
struct LinkForm {
    t: String,
    name: Option<String>,
    mail: Option<String>,
}

/// `POST /sign-in/link`.
#[handler]
pub async fn follow_link(reader: Reader, req: &Request, Form(form): Form<LinkForm>) -> Result<Response> {
    let Some(secret) = Secret::<16>::parse(&form.t) else {
        return Ok(page_with(StatusCode::NOT_FOUND, &link_page(&reader, LinkState::Spent))?);
    };
    let now = reader.app.now();
    let system = reader.app.stores.system();
    match system.view(|view| links::find(view, &secret, now)).map_err(WebError::from)?.map(|link| link.purpose) {
        Some(Purpose::FirstOperator) => first_operator(&reader, req, form, secret).await,
        Some(Purpose::SignIn(user)) => {
            let taken: Result<_, StoreError> = system.submit(64, move |txn| links::take(txn, &secret, now)).await;
            match taken.map_err(WebError::from)? {
                Some(_) => begin(&reader.app, req, user, "/").await,
                None => Ok(page_with(StatusCode::GONE, &link_page(&reader, LinkState::Spent))?),
            }
        }
        None => {
            let cookie = pending_of(req);
            let tried = system.submit(64, move |txn| sign_in::try_link(txn, now, cookie.as_ref(), &secret)).await;
            match tried.map_err(WebError::from)? {
                Tried::In { user, next } => begin(&reader.app, req, user, next.as_deref().unwrap_or("/")).await,
                _ => Ok(page_with(StatusCode::FORBIDDEN, &link_page(&reader, LinkState::OtherBrowser))?),
            }
        }
    }
}

async fn first_operator(reader: &Reader, req: &Request, form: LinkForm, secret: Secret<16>) -> Result<Response> {
    let words = reader.words();
    let (typed_name, typed_mail) = (form.name.unwrap_or_default(), form.mail.unwrap_or_default());
    let name = typed_name.parse::<Name>();
    let mail = if typed_mail.trim().is_empty() { Ok(None) } else { parse::<MailAddress>(&typed_mail).map(Some) };
    let (Ok(name), Ok(mail)) = (&name, &mail) else {
        let name = match name {
            Ok(_) => Input::of(typed_name),
            Err(error) => Input::refused(typed_name, say(words, &crate::text::Explain::message(&error))),
        };
        let mail = match mail {
            Ok(_) => Input::of(typed_mail),
            Err(_) => Input::refused(typed_mail, words.text("gate-mail-invalid")),
        };
        let state = LinkState::FirstOperator { token: form.t, name, mail };
        return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &link_page(reader, state))?);
    };
    let app = &reader.app;
    let now = app.now();
    let (name, mail) = (name.as_str().to_owned(), mail.clone());
    let mac = mail.as_ref().map(|mail| app.stores.mail_mac(mail));
    let fresh = UserId::fresh(now);
    let made = app.stores.system().submit(512, move |txn| {
        if links::take(txn, &secret, now)?.is_none() {
            return Ok::<_, PeopleError>(None);
        }
        let user = match &mac {
            Some(mac) => directory::ensure_user(txn, mac, fresh)?,
            None => fresh,
        };
        let operator = directory::Operator { user, name: name.clone(), mail: mail.clone(), since: now };
        directory::put_operator(txn, &operator)?;
        Ok(Some(user))
    });
    match made.await.map_err(WebError::from)? {
        Some(user) => begin(app, req, user, "/console").await,
        None => Ok(page_with(StatusCode::GONE, &link_page(reader, LinkState::Spent))?),
    }
}

#[derive(Deserialize)]
struct SignOutForm {
    #[serde(default)]
    next: String,
}

/// `POST /sign-out`.
#[handler]
pub async fn sign_out(signed_in: SignedIn, Form(form): Form<SignOutForm>) -> Result<Response> {
    let (user, session) = (signed_in.user.id, signed_in.session.id);
    let ended: Result<(), StoreError> =
        signed_in.reader.app.stores.system().submit(64, move |txn| sessions::end(txn, user, session)).await;
    ended.map_err(WebError::from)?;
    let next = if form.next.is_empty() { "/sign-in" } else { safe_path(&form.next) };
    let mut response = see_other(next);
    set_cookie(&mut response, SESSION_COOKIE, "", 0);
    Ok(response)
}

#[derive(Deserialize)]
struct LanguageForm {
    lang: String,
    #[serde(default)]
    back: String,
}

/// `POST /language`: before signing in, the choice is kept in a cookie.
#[handler]
pub async fn language(req: &Request, Form(form): Form<LanguageForm>) -> Result<Response> {
    let Some(language) = Language::from_tag(&form.lang) else { return Err(WebError::Bad("lang").into()) };
    let back = came_from(req).unwrap_or_else(|| safe_path(&form.back).to_owned());
    let mut response = see_other(&back);
    let text =
        format!("{LANGUAGE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000", language.tag());
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// `GET /ca.crt`: the internal authority's root.
#[handler]
pub async fn authority(req: &Request) -> Result<Response> {
    let root = app(req)?.tls.status().internal_root.ok_or(WebError::NotFound)?;
    Ok(Response::builder()
        .content_type("application/x-x509-ca-cert")
        .header(header::CONTENT_DISPOSITION, "attachment; filename=\"workrun-ca.crt\"")
        .body(root.to_string())
        .into_response())
}
