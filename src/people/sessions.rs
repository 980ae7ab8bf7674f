//! Sessions: 256 random bits in a cookie, their hash in the system store.

use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::{
    clock::Timestamp,
    ids::{Secret, SessionId, UserId},
    limits,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn},
};

/// A session that is not used for this long ends.
pub const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A session ends this long after the sign-in, however much it is used.
pub const ABSOLUTE: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// Use is noted at most this often, so that reading pages does not write each time.
const NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

const SESSIONS: Table<[u8; 32], Session> = Table::new("sessions");
const BY_USER: Table<(UserId, SessionId), [u8; 32]> = Table::new("sessions_by_user");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [SESSIONS.shape(), BY_USER.shape()];

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Session {
    #[n(0)]
    pub id: SessionId,
    #[n(1)]
    pub user: UserId,
    #[n(2)]
    pub created_at: Timestamp,
    #[n(3)]
    pub used_at: Timestamp,
    /// What the browser calls itself, for the list that its owner sees.
    #[n(4)]
    pub agent: String,
}

impl Session {
    fn lives(&self, now: Timestamp) -> bool {
        now.since(self.used_at) < IDLE && now.since(self.created_at) < ABSOLUTE
    }

    /// Whether its use should be noted again.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> bool {
        now.since(self.used_at) >= NOTED_EVERY
    }
}

/// Begins a session. Past [`limits::SESSIONS_MAX`] of a user the longest unused one ends.
///
/// # Errors
/// What the store says.
pub fn begin(txn: &Txn<'_>, at: Timestamp, user: UserId, secret: &Secret<32>, agent: &str) -> Result<(), StoreError> {
    let mut known = of_user(txn.reader(), user, at)?;
    known.sort_by_key(|session| session.used_at);
    for old in known.iter().take((known.len() + 1).saturating_sub(limits::SESSIONS_MAX)) {
        end(txn, user, old.id)?;
    }
    let session = Session {
        id: SessionId::fresh(at),
        user,
        created_at: at,
        used_at: at,
        agent: agent.chars().take(200).collect(),
    };
    txn.put(&SESSIONS, &secret.digest(), &session)?;
    txn.put(&BY_USER, &(user, session.id), &secret.digest())
}

/// The living session of a cookie.
///
/// # Errors
/// What the store says.
pub fn find(view: &dyn Read, secret: &Secret<32>, now: Timestamp) -> Result<Option<Session>, StoreError> {
    Ok(view.get(&SESSIONS, &secret.digest())?.filter(|session| session.lives(now)))
}

/// A user's living sessions.
///
/// # Errors
/// What the store says.
pub fn of_user(view: &dyn Read, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
    let digests = view.list(&BY_USER, &Span::under(&user), Order::Ascending, usize::MAX)?;
    let mut sessions = Vec::new();
    for (_, digest) in digests {
        sessions.extend(view.get(&SESSIONS, &digest)?.filter(|session| session.lives(now)));
    }
    Ok(sessions)
}

/// Notes that a session is in use.
///
/// # Errors
/// What the store says.
pub fn note_use(txn: &Txn<'_>, at: Timestamp, secret: &Secret<32>) -> Result<(), StoreError> {
    match txn.reader().get(&SESSIONS, &secret.digest())? {
        Some(session) if session.stale(at) => txn.put(&SESSIONS, &secret.digest(), &Session { used_at: at, ..session }),
        _ => Ok(()),
    }
}

/// Ends one of a user's sessions.
///
/// # Errors
/// What the store says.
pub fn end(txn: &Txn<'_>, user: UserId, id: SessionId) -> Result<(), StoreError> {
    if let Some(digest) = txn.reader().get(&BY_USER, &(user, id))? {
        txn.delete(&SESSIONS, &digest)?;
        txn.delete(&BY_USER, &(user, id))?;
    }
    Ok(())
}
