//! The API against real stores: what a client sends, what it gets.

mod bad_input;
mod cards;
mod document;
mod rooms;
mod standing;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use poem::{
    Endpoint, EndpointExt, Response, Route,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method, StatusCode},
};
use serde_json::{Value, json};

use super::service;
use crate::{
    clock::{Clock, Timestamp},
    ids::{OrgId, TokenId, UserId},
    mail::courier::Postbox,
    people::{Role, sagas, tokens},
    seal::{Keyring, RootKey},
    store::{Layout, Shelf, Store, Stores},
    text::{MailAddress, Name},
    tls,
    trail::Trail,
    web::{app::App, live::Streams},
};

const NOW: Timestamp = Timestamp(1_795_300_000_000);

/// Keys and certificates in memory: nothing is served by TLS here.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl tls::Vault for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, tls::VaultError> {
        Ok(self.0.lock().get(name).cloned())
    }
    fn put(&self, name: &str, value: &[u8]) -> Result<(), tls::VaultError> {
        self.0.lock().insert(name.to_owned(), value.to_vec());
        Ok(())
    }
}

/// An appliance's parts over a folder of its own, with one organization and a token of each role.
struct Bench {
    app: Arc<App>,
    api: BoxEndpoint<'static, Response>,
    org: OrgId,
    owner: UserId,
    tokens: BTreeMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }

    /// The members at fault, each with its rule.
    fn faults(&self) -> Vec<(&str, &str)> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &'_ Value| -> &'static str { String::leak(value.as_str().expect("text").to_owned()) };
        errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
    }
}

/// A request in the making.
struct Ask<'b> {
    bench: &'b Bench,
    method: Method,
    path: String,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Ask<'_> {
    fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    fn role(self, role: &str) -> Self {
        let token = self.bench.tokens[role].clone();
        self.token(&token)
    }

    fn stranger(mut self) -> Self {
        self.token = None;
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").raw(body.to_string().as_bytes())
    }

    fn raw(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    async fn response(self) -> Response {
        let mut request = poem::Request::builder().method(self.method).uri_str(format!("/api/v1{}", self.path));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        self.bench.api.get_response(request.body(self.body.unwrap_or_default())).await
    }

    async fn get(self) -> Got {
        let mut response = self.response().await;
        let bytes = response.take_body().into_bytes().await.expect("a body");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        let problem = response.status().is_client_error() || response.status().is_server_error();
        if problem {
            assert_eq!(response.content_type(), Some("application/problem+json"), "{body}");
            assert_eq!(body["status"], response.status().as_u16(), "{body}");
            for member in ["type", "title", "detail", "code"] {
                let said = body[member].as_str().unwrap_or_default();
                assert!(!said.is_empty() && !said.starts_with("api-"), "{member} of {body}");
            }
        }
        Got { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// The answer's body, which must have that status.
    async fn expect(self, status: StatusCode) -> Got {
        let asked = format!("{} {}", self.method, self.path);
        let got = self.get().await;
        assert_eq!(got.status, status.as_u16(), "{asked}: {}", got.body);
        got
    }
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path());
        let root = RootKey::fresh();
        let keyring = Arc::new(Keyring::create(&layout.keyring(), &root, None, NOW).expect("a keyring"));
        std::fs::create_dir_all(layout.live()).expect("a folder");
        let system = Store::create(&layout.system(), keyring.system_key(), 1 << 20).expect("a store");
        let shelf = Arc::new(Shelf::new(layout.clone(), Arc::clone(&keyring), 1 << 20, 8));
        let stores = Arc::new(Stores::new(system, shelf, Arc::clone(&keyring)).expect("stores"));
        let clock = Clock::fixed(NOW);
        let loopback = tls::Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let stopped = std::future::pending();
        let started = tls::start(tls::Mode::Off, vec![loopback], Arc::new(Memory::default()), clock.clone(), stopped);
        let (_, door) = started.await.expect("a door");
        let zone = jiff::tz::TimeZone::UTC;
        let settings = crate::backup::Settings {
            folder: folder.path().join("snapshots"),
            window: (jiff::civil::time(12, 0, 0, 0), jiff::civil::time(13, 0, 0, 0)),
            level: 1,
            threads: 1,
            shapes: crate::store::Shapes::unknown(),
            zone: zone.clone(),
            offsite: None,
            scratch: folder.path().join("offsite"),
        };
        let stores: Arc<Stores> = stores;
        let keeper =
            crate::backup::Keeper::new(Arc::clone(&stores), settings, clock.clone(), "https://workrun.example.jp");
        let app = Arc::new(App {
            keeper: Arc::new(keeper),
            trail: Arc::new(Trail::new(layout, keyring, zone.clone())),
            clock,
            stores,
            postbox: Arc::new(Postbox::default()),
            tls: door,
            public_url: "https://workrun.example.jp".to_owned(),
            zone,
            mail_works: false,
            epoch: "1".to_owned(),
            started_at: NOW,
            webhook_body_max: 1 << 20,
            targets: crate::hooks::target::Targets::default(),
            rates: crate::web::rates::Rates::default(),
            streams: Arc::new(Streams::default()),
            stopping: tokio::sync::watch::channel(false).1,
        });
        let api = Route::new().nest("/api/v1", service(Arc::clone(&app))).boxed();
        let (org, owner) = found(&app, "見本商店").await;
        let mut bench = Self { app, api, org, owner, tokens: BTreeMap::new(), _folder: folder };
        for role in Role::ALL {
            let token = bench.make_token(org, None, role).await;
            bench.tokens.insert(role.name(), token);
        }
        bench
    }

    async fn make_token(&self, org: OrgId, by: Option<UserId>, role: Role) -> String {
        let store = self.app.stores.organization(org).expect("a store");
        let bearer = tokens::Bearer::fresh(org);
        let text = bearer.text();
        let name = Name::parse("試験").expect("a name");
        let request = tokens::Request { id: TokenId::fresh(NOW), name, role, life: tokens::LIFE_DEFAULT, bearer };
        let made = store.submit(64, move |txn| tokens::create(txn, NOW, by, Role::Owner, &request));
        made.await.expect("a token");
        text
    }

    fn store(&self) -> Arc<Store> {
        self.app.stores.organization(self.org).expect("a store")
    }

    /// A request with a member's token; `{org}` in the path is the organization.
    fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let path = path.replace("{org}", &self.org.to_string());
        let (token, headers, body) = (Some(self.tokens["member"].clone()), Vec::new(), None);
        Ask { bench: self, method, path, token, headers, body }
    }

    fn read(&self, path: &str) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    fn post(&self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::POST, path).json(body)
    }

    fn patch(&self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::PATCH, path).json(body)
    }

    /// A board with three statuses and two fields.
    async fn board(&self) -> Value {
        let body = json!({
            "name": "問い合わせ",
            "statuses": ["未対応", "対応中", "完了"],
            "fields": [{"key": "tel", "label": "電話", "type": "text"}, {"key": "email", "label": "メール"}],
        });
        self.post("/orgs/{org}/boards", &body).expect(StatusCode::CREATED).await.body
    }

    /// A card on a board, by its title.
    async fn card(&self, board: &Value, title: &str) -> Value {
        let path = format!("/orgs/{{org}}/boards/{}/cards", board["id"].as_str().expect("an id"));
        self.post(&path, &json!({"title": title})).expect(StatusCode::CREATED).await.body
    }

    fn later(&self, span: Duration) {
        self.app.clock.advance(span);
    }
}

async fn found(app: &Arc<App>, name: &str) -> (OrgId, UserId) {
    let org = OrgId::fresh(NOW);
    let mail = MailAddress::parse("owner@example.jp").expect("an address");
    let name = Name::parse(name).expect("a name");
    let founding = sagas::Founding { org, name, owner: mail, welcome: None };
    let owner = sagas::found(&app.stores, NOW, founding).await.expect("founded");
    (org, owner)
}

/// The id of a status of a board, by its place.
fn status(board: &Value, at: usize) -> &str {
    board["statuses"][at]["id"].as_str().expect("an id")
}

fn path_of(card: &Value) -> String {
    format!("/orgs/{{org}}/cards/{}", card["id"].as_str().expect("an id"))
}

fn cards_of(board: &Value) -> String {
    format!("/orgs/{{org}}/boards/{}/cards", board["id"].as_str().expect("an id"))
}
