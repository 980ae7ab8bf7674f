//! Somebody's browser: cookies, a language, forms; no scripts.

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver},
    thread,
};

use super::{Answer, Connection, Endpoint, PATIENCE, http::form};

/// A browser with cookies of its own.
#[derive(Clone, Debug)]
pub struct Browser {
    endpoint: Endpoint,
    cookies: BTreeMap<String, String>,
    /// `Accept-Language`.
    pub language: &'static str,
    /// `User-Agent`.
    pub agent: String,
}

impl Browser {
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            cookies: BTreeMap::new(),
            language: "ja",
            agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0".to_owned(),
        }
    }

    /// The same browser at another port, after a restart.
    pub fn at(&mut self, endpoint: &Endpoint) {
        self.endpoint = endpoint.clone();
    }

    pub fn is_signed_in(&self) -> bool {
        self.cookies.get("__Host-workrun").is_some_and(|value| !value.is_empty())
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Sends a request as it is, with the cookies and nothing else of a browser's.
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let cookies = self.cookie_header();
        let mut all = vec![("Accept-Language", self.language), ("User-Agent", self.agent.as_str())];
        if !cookies.is_empty() {
            all.push(("Cookie", cookies.as_str()));
        }
        all.extend_from_slice(headers);
        let mut connection = Connection::open(&self.endpoint).expect("a connection");
        let answer =
            connection.send(method, path, &all, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        self.remember(&answer);
        answer
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[("Sec-Fetch-Site", "same-origin")], b"")
    }

    /// Sends a form from a page of the appliance.
    #[track_caller]
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = self.endpoint.origin.clone();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        self.send("POST", path, &headers, form(fields).as_bytes())
    }

    /// A page's text; the page must be there.
    #[track_caller]
    pub fn page(&mut self, path: &str) -> String {
        self.get(path).expect(200).text()
    }

    /// Opens a live stream.
    #[track_caller]
    pub fn live(&self, path: &str) -> Live {
        let mut connection = Connection::open(&self.endpoint).expect("a connection");
        let cookies = self.cookie_header();
        let headers =
            [("Accept", "text/event-stream"), ("Cookie", cookies.as_str()), ("Accept-Language", self.language)];
        connection.request("GET", path, &headers, b"").expect("sent");
        let (status, headers) = connection.head().expect("an answer's head");
        assert_eq!(status, 200, "{path}: {headers:?}");
        let (give, events) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            while let Ok(Some(chunk)) = connection.chunk() {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let gone = give.send(event.to_owned()).is_err();
                    text = rest.to_owned();
                    if gone {
                        return;
                    }
                }
            }
        });
        Live { events }
    }

    fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn remember(&mut self, answer: &Answer) {
        for line in answer.headers("set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            if parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// A live stream's events, as they come.
pub struct Live {
    events: Receiver<String>,
}

impl Live {
    /// The next event that holds a text; events before it are passed over.
    #[track_caller]
    pub fn until(&self, wanted: &str) -> String {
        let begun = std::time::Instant::now();
        let mut passed = Vec::new();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.events.recv_timeout(left) {
                Ok(event) if event.contains(wanted) => return event,
                Ok(event) => passed.push(event),
                Err(error) => panic!("no event with {wanted:?}: {error}; passed over: {passed:?}"),
            }
        }
    }

    /// Waits for the stream's end; events before it are passed over.
    #[track_caller]
    pub fn until_closed(&self) {
        let begun = std::time::Instant::now();
        loop {
            match self.events.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the stream stays open"),
            }
        }
    }
}
