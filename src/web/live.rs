//! Live boards: what others change arrives without a reload.
//!
//! A stream subscribes to the store's commits first and then reads the events after the last one that the page has seen,
//! so nothing falls between. Events are read from the history, which makes a stream resumable by number, and are turned
//! into what stands on the board *now*; at most four pushes a second, coalesced. Before each push the reader's standing is
//! looked up again: a stream ends with the role, the session or the organization.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::stream;
use poem::{
    IntoResponse, Request, Response, Result, handler,
    web::{
        Query,
        sse::{Event as Message, SSE},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    answer::WebError,
    caller::{Guest, Here},
    format::People,
    pages::{board::Tiler, path_id},
};
use crate::{
    ids::{BoardId, CardId, UserId},
    limits,
    people::{self, sessions},
    store::{
        Read, StoreError,
        history::{self, Actor, Entry, Room},
    },
    work::{self, Board, Event},
};

/// The shortest time between two pushes.
const PUSHED_EVERY: Duration = Duration::from_millis(250);
/// A comment keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Events that are read at a time.
const EVENTS_MAX: usize = 500;
/// Cards that one push carries; past it the page is asked to load anew.
const CARDS_MAX: usize = 60;

/// Streams open per user.
#[derive(Default)]
pub struct Streams(parking_lot::Mutex<BTreeMap<UserId, usize>>);

/// One open stream; counts until it is dropped.
struct Ticket {
    streams: Arc<Streams>,
    user: UserId,
}

impl Streams {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().values().sum()
    }

    fn open(self: &Arc<Self>, user: UserId) -> Option<Ticket> {
        let mut open = self.0.lock();
        let count = open.entry(user).or_default();
        if *count >= limits::LIVE_STREAMS_MAX {
            return None;
        }
        *count += 1;
        Some(Ticket { streams: Arc::clone(self), user })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[derive(Deserialize)]
struct Resume {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    epoch: String,
}

struct Live {
    here: Arc<Here>,
    board: BoardId,
    after: u64,
    commits: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    queued: std::collections::VecDeque<Message>,
    pushed_at: Option<Instant>,
    _ticket: Ticket,
}

/// `GET /o/:org/boards/:board/live?after=…&epoch=…`.
#[handler]
pub async fn follow(guest: Guest, req: &Request, Query(from): Query<Resume>) -> Result<Response> {
    let (here, board) = (Arc::clone(&guest.0), path_id::<BoardId>(req, "board")?);
    let commits = here.store.committed();
    here.store.view(|view| here.board(view, board))?;
    let ticket = here.app().streams.open(here.member.user).ok_or(WebError::TooMany)?;
    let mut queued = std::collections::VecDeque::new();
    let mut after = from.after;
    if from.epoch != here.store.view(|view| here.epoch(view)).map_err(WebError::from)? {
        after = here.store.view(|view| history::head(view)).map_err(WebError::from)?;
        queued.push_back(reset());
    }
    let stopping = here.app().stopping.clone();
    let live = Live { here, board, after, commits, stopping, queued, pushed_at: None, _ticket: ticket };
    let messages = stream::unfold(live, |mut live| async move {
        let message = live.next().await?;
        Some((message, live))
    });
    let mut response = SSE::new(messages).keep_alive(KEEP_ALIVE).into_response();
    response.headers_mut().insert("cache-control", poem::http::HeaderValue::from_static("no-store"));
    Ok(response)
}

fn reset() -> Message {
    Message::message("{}").event_type("reset")
}

impl Live {
    /// The next message; `None` ends the stream.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.queued.pop_front() {
                return Some(message);
            }
            if *self.stopping.borrow() {
                return None;
            }
            if let Some(pushed_at) = self.pushed_at {
                tokio::time::sleep_until(pushed_at + PUSHED_EVERY).await;
            }
            // Seen before it is read: a commit in between wakes the wait below.
            self.commits.mark_unchanged();
            match self.read().await {
                Ok(push) => {
                    self.after = push.looked_at;
                    if !push.messages.is_empty() {
                        self.pushed_at = Some(Instant::now());
                        self.queued.extend(push.messages);
                        continue;
                    }
                    if push.more {
                        continue;
                    }
                }
                Err(_) => return None,
            }
            tokio::select! {
                changed = self.commits.changed() => if changed.is_err() { return None },
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    async fn read(&self) -> Result<Push, WebError> {
        let (here, board, after) = (Arc::clone(&self.here), self.board, self.after);
        if !session_lives(&here)? {
            return Err(WebError::SignIn);
        }
        let store = Arc::clone(&here.store);
        store.read(move |view| messages(&here, view, board, after)).await
    }
}

/// Whether the session that opened the stream still lives.
fn session_lives(here: &Here) -> Result<bool, StoreError> {
    let Some(session) = &here.reader.session else { return Ok(false) };
    let (user, id, now) = (session.user.id, session.session.id, here.app().now());
    let living = here.app().stores.system().view(|view| sessions::of_user(view, user, now))?;
    Ok(living.iter().any(|session| session.id == id))
}

/// What has become of the board since an event.
struct Push {
    messages: Vec<Message>,
    /// The last event that was looked at.
    looked_at: u64,
    /// Whether there are others after it.
    more: bool,
}

/// What has become of the board since an event, as messages.
fn messages(here: &Here, view: &dyn Read, board: BoardId, after: u64) -> Result<Push, WebError> {
    let member = people::member(view, here.member.user)?.filter(|member| member.left_at.is_none());
    let member = member.ok_or(WebError::NotFound)?;
    let board = work::read::board(view, board)?.ok_or(WebError::NotFound)?;
    if !super::caller::sees(member.role, member.user, &board) {
        return Err(WebError::NotFound);
    }
    let head = history::head(view)?;
    let events: Vec<Entry<Event>> = history::since(view, Room::Work, after, EVENTS_MAX)?;
    // Numbers have no gaps, so so many were looked at whatever room they were of.
    let looked_at = head.min(after.saturating_add(EVENTS_MAX as u64));
    let events: Vec<_> = events.into_iter().filter(|entry| entry.event.board() == board.id).collect();
    if events.is_empty() {
        return Ok(Push { messages: Vec::new(), looked_at, more: looked_at < head });
    }
    let shaped = events.iter().any(|entry| entry.event.card().is_none() && !unseen(&entry.event));
    // Each card once, as the last event left it.
    let mut last: BTreeMap<CardId, &Entry<Event>> = BTreeMap::new();
    for entry in &events {
        if let Some(card) = entry.event.card() {
            last.insert(card, entry);
        }
    }
    if shaped || last.len() > CARDS_MAX {
        return Ok(Push { messages: vec![reset().id(looked_at.to_string())], looked_at, more: looked_at < head });
    }
    let people = People::of(view)?;
    let tiler = Tiler::new(here, &board, &people);
    let columns = columns(view, &board)?;
    let mut changes: Vec<_> = last.into_iter().collect();
    changes.sort_by_key(|(_, entry)| entry.number);
    let mut messages = Vec::new();
    for (card, entry) in changes {
        let Some(card) = work::read::card(view, card)? else { continue };
        let shown = if card.is_open() {
            let html = askama::Template::render(&tiler.tile(view, &card)?)
                .map_err(|error| WebError::Internal(error.to_string()))?;
            json!({
                "id": card.id.to_string(),
                "number": card.number,
                "status": card.status.to_string(),
                "after": work::read::above(view, &card)?.map(|above| above.to_string()),
                "html": html,
            })
        } else {
            json!({ "id": card.id.to_string(), "number": card.number, "status": null, "after": null, "html": "" })
        };
        let change = json!({
            "seq": entry.number,
            "actor": people.actor(here.words(), entry.actor),
            "verb": verb(&entry.event),
            "mine": entry.actor == Actor::User(here.member.user),
            "cards": [shown],
            "columns": columns,
        });
        messages.push(Message::message(change.to_string()).event_type("change").id(entry.number.to_string()));
    }
    Ok(Push { messages, looked_at, more: looked_at < head })
}

/// Events without a card that change nothing that a board shows.
fn unseen(event: &Event) -> bool {
    matches!(event, Event::ColumnSpread { .. } | Event::CardErased { .. })
}

fn columns(view: &dyn Read, board: &Board) -> Result<Vec<Value>, WebError> {
    let tally = work::read::tally(view, board.id)?;
    let count = |status: &work::Status| json!({ "id": status.id.to_string(), "count": tally.column(status.id) });
    Ok(board.statuses.iter().map(count).collect())
}

/// What the page says of a change: `js-{verb}` is its word.
fn verb(event: &Event) -> &'static str {
    match event {
        Event::CardCreated { .. } => "created",
        Event::CardMoved { .. } => "moved",
        Event::Commented { .. } => "commented",
        Event::CardAssigned { .. } => "assigned",
        Event::CardLabelled { .. } => "labelled",
        Event::CardRestored { .. } => "restored",
        Event::CardArchived { .. } | Event::CardTrashed { .. } => "removed",
        _ => "changed",
    }
}
