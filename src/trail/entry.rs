//! One line of the access log.

use minicbor::{Decode, Encode};

use crate::{clock::Timestamp, store::history::Actor};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    #[n(0)]
    pub at: Timestamp,
    /// The same id as in the log and on an error page.
    #[n(1)]
    pub request: String,
    /// `GET`, `POST` …
    #[n(2)]
    pub method: String,
    /// The route's template, such as `/o/:org/cards/:card`.
    #[n(3)]
    pub route: String,
    /// Status of the answer.
    #[n(4)]
    pub status: u16,
    #[n(5)]
    pub actor: Option<Actor>,
    /// Microseconds from the request's head to the answer's head.
    #[n(6)]
    pub duration_us: u64,
    /// Where it came from.
    #[n(7)]
    pub address: String,
    /// What the client calls itself, at most 200 characters.
    #[n(8)]
    pub agent: String,
}
