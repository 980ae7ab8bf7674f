//! A script that uses the JSON API with a token.

use serde_json::Value;

use super::{Answer, Connection, Endpoint};

/// A client of one organization.
#[derive(Clone, Debug)]
pub struct Api {
    endpoint: Endpoint,
    org: String,
    token: String,
}

impl Api {
    pub fn new(endpoint: Endpoint, org: &str, token: &str) -> Self {
        Self { endpoint, org: org.to_owned(), token: token.to_owned() }
    }

    /// The same script at another port, after a restart.
    pub fn at(&mut self, endpoint: &Endpoint) {
        self.endpoint = endpoint.clone();
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The path of something of the organization: `boards` is `/api/v1/orgs/{org}/boards`.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}/{rest}", self.org)
    }

    /// A request with the token and the headers given, to a whole path.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let mut connection = Connection::open(&self.endpoint).expect("a connection");
        connection.send(method, path, &all, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    #[track_caller]
    pub fn get(&self, rest: &str) -> Answer {
        self.send("GET", &self.path(rest), &[], b"")
    }

    #[track_caller]
    pub fn post(&self, rest: &str, body: &Value) -> Answer {
        self.send("POST", &self.path(rest), &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    #[track_caller]
    pub fn patch(&self, rest: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.send("PATCH", &self.path(rest), &all, body.to_string().as_bytes())
    }

    #[track_caller]
    pub fn delete(&self, rest: &str) -> Answer {
        self.send("DELETE", &self.path(rest), &[], b"")
    }

    /// Every item of a list, page by page.
    #[track_caller]
    pub fn all(&self, rest: &str, limit: usize) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let join = if rest.contains('?') { '&' } else { '?' };
            let cursor_part =
                if cursor.is_empty() { String::new() } else { format!("&cursor={}", super::percent(&cursor)) };
            let page = self.get(&format!("{rest}{join}limit={limit}{cursor_part}")).expect(200).json();
            let found = page["items"].as_array().expect("items");
            assert!(found.len() <= limit, "asked for {limit}, got {}", found.len());
            items.extend(found.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => {
                    assert_ne!(next, cursor, "the list does not move on");
                    next.clone_into(&mut cursor);
                }
                None => return items,
            }
        }
    }

    /// A board with statuses and text fields; its document.
    #[track_caller]
    pub fn board(&self, name: &str, statuses: &[&str], fields: &[(&str, &str)]) -> Value {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(key, label)| serde_json::json!({ "key": key, "label": label, "type": "text" }))
            .collect();
        self.post("boards", &serde_json::json!({ "name": name, "statuses": statuses, "fields": fields }))
            .expect(201)
            .json()
    }

    /// A webhook endpoint; its document.
    #[track_caller]
    pub fn hook(&self, board: &str, scheme: &str) -> Value {
        let asked = serde_json::json!({ "name": format!("endpoint {scheme}"), "scheme": scheme });
        self.post(&format!("boards/{board}/hooks"), &asked).expect(201).json()
    }
}
