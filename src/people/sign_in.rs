//! Signing in without passwords: a code for the browser that asked.
//!
//! Who asks gets a pending cookie; the mail carries a 6-digit code and a link, and both count only in the browser that
//! holds the cookie, so a mail scanner that opens links or presses buttons gets nothing. Unknown addresses take the same
//! path and write as much.

use std::time::Duration;

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

use super::{PeopleError, directory};
use crate::{
    clock::Timestamp,
    ids::{Secret, UserId, random_bytes},
    mail::{self, MailKind},
    store::{Read, Shape, StoreError, Table, Txn},
    text::MailAddress,
};

/// How long a code and its link can be used.
pub const LIFE: Duration = Duration::from_secs(15 * 60);
/// Tries of one pending sign-in.
pub const TRIES: u8 = 5;
/// Sign-ins that can be asked for an address within an hour, resent codes included.
const ASKED_HOURLY_MAX: u32 = 5;
/// Wrong codes that can be typed for an address within a day.
const TRIES_DAILY_MAX: u32 = 20;

const PENDINGS: Table<[u8; 32], Pending> = Table::new("sign_in_pendings");
/// Counts by (address' HMAC, what, bucket of time).
const COUNTS: Table<([u8; 32], u8, u64), u32> = Table::new("sign_in_counts");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [PENDINGS.shape(), COUNTS.shape()];
const ASKED: u8 = 0;
const TRIED: u8 = 1;

/// Somebody has asked to sign in, and has not yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pending {
    #[n(0)]
    pub mail: MailAddress,
    #[cbor(n(1), with = "minicbor::bytes")]
    mac: [u8; 32],
    /// The last two proofs sent: mails may overtake each other.
    #[n(2)]
    proofs: Vec<Proof>,
    #[n(3)]
    pub tries_left: u8,
    #[n(4)]
    pub expires_at: Timestamp,
    /// Where to go after the sign-in: a path of this appliance.
    #[n(5)]
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Proof {
    #[cbor(n(0), with = "minicbor::bytes")]
    code: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    link: [u8; 32],
}

/// What is sent to prove that somebody reads an address: made outside the transaction, so that a rerun sends the same.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub code: String,
    pub link: Secret<16>,
}

impl Challenge {
    /// Six digits, evenly distributed, and a link's secret.
    #[must_use]
    pub fn fresh() -> Self {
        // 64 random bits leave a bias below 2^-44.
        let digits = u64::from_be_bytes(random_bytes()) % 1_000_000;
        Self { code: format!("{digits:06}"), link: Secret::fresh() }
    }
}

/// Who asks to sign in.
#[derive(Clone, Debug)]
pub struct Request {
    pub mail: MailAddress,
    /// HMAC of the folded address under the system's key.
    pub mac: [u8; 32],
    /// The pending cookie.
    pub pending: Secret<32>,
    pub challenge: Challenge,
    /// The link's address up to its secret.
    pub link_base: String,
    pub next: Option<String>,
    /// For the mail: what the browser calls itself, where it is, what it speaks.
    pub agent: String,
    pub address: String,
    pub language: String,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A code is on its way if the address is known.
    Sent,
    /// Too many were asked for; an hour later there is room again.
    TooMany,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Signed in.
    In { user: UserId, next: Option<String> },
    /// A wrong code.
    Wrong { tries_left: u8 },
    /// The sign-in is over: too old, used, or tried too often.
    Over,
    /// The link is for another browser, the one that asked.
    OtherBrowser,
}

fn code_digest(pending: &[u8; 32], code: &str) -> [u8; 32] {
    // Keyed by the pending's own hash: a million codes hashed ahead of time serve nobody.
    *blake3::keyed_hash(pending, code.as_bytes()).as_bytes()
}

fn count(txn: &Txn<'_>, key: ([u8; 32], u8, u64), max: u32) -> Result<bool, StoreError> {
    let counted = txn.reader().get(&COUNTS, &key)?.unwrap_or(0);
    if counted >= max {
        return Ok(false);
    }
    txn.put(&COUNTS, &key, &(counted + 1))?;
    Ok(true)
}

fn bucket(at: Timestamp, seconds: i64) -> u64 {
    u64::try_from(at.unix_seconds() / seconds).unwrap_or(0)
}

/// Asks for a code. An old pending of the same cookie gives way.
///
/// # Errors
/// What the store says.
pub fn ask(txn: &Txn<'_>, at: Timestamp, request: &Request) -> Result<Asked, PeopleError> {
    if !count(txn, (request.mac, ASKED, bucket(at, 3600)), ASKED_HOURLY_MAX)? {
        return Ok(Asked::TooMany);
    }
    let digest = request.pending.digest();
    // A resend keeps the last two codes and the tries that were used up.
    let old = txn.reader().get(&PENDINGS, &digest)?.filter(|old| old.mac == request.mac && at < old.expires_at);
    let (mut proofs, tries_left) = old.map_or((Vec::new(), TRIES), |old| (old.proofs, old.tries_left));
    proofs.truncate(1);
    let proof = Proof { code: code_digest(&digest, &request.challenge.code), link: request.challenge.link.digest() };
    proofs.insert(0, proof);
    let pending = Pending {
        mail: request.mail.clone(),
        mac: request.mac,
        proofs,
        tries_left,
        expires_at: at.plus(LIFE),
        next: request.next.clone(),
    };
    txn.put(&PENDINGS, &digest, &pending)?;
    let known = directory::user_by_mail(txn.reader(), &request.mac)?.is_some();
    let kind = MailKind::SignIn {
        code: request.challenge.code.clone(),
        link: format!("{}{}", request.link_base, request.challenge.link.text()),
        asked_at: at,
        agent: request.agent.clone(),
        address: request.address.clone(),
    };
    if known {
        mail::queue(txn, at, request.mail.as_str(), &request.language, kind)?;
    } else {
        mail::queue_decoy(txn, at, kind)?;
    }
    Ok(Asked::Sent)
}

/// The pending sign-in of a cookie, if it is not over.
///
/// # Errors
/// What the store says.
pub fn pending(view: &dyn Read, cookie: &Secret<32>, now: Timestamp) -> Result<Option<Pending>, StoreError> {
    Ok(view.get(&PENDINGS, &cookie.digest())?.filter(|pending| now < pending.expires_at && pending.tries_left > 0))
}

/// Tries a code in the browser that asked.
///
/// # Errors
/// What the store says.
pub fn try_code(txn: &Txn<'_>, at: Timestamp, cookie: &Secret<32>, code: &str) -> Result<Tried, PeopleError> {
    let digest = cookie.digest();
    let Some(pending) = pending(txn.reader(), cookie, at)? else { return Ok(Tried::Over) };
    if !count(txn, (pending.mac, TRIED, bucket(at, 86_400)), TRIES_DAILY_MAX)? {
        return Ok(Tried::Over);
    }
    let given = code_digest(&digest, code);
    let matches = pending.proofs.iter().any(|proof| bool::from(proof.code.ct_eq(&given)));
    if !matches {
        let tries_left = pending.tries_left - 1;
        txn.put(&PENDINGS, &digest, &Pending { tries_left, ..pending })?;
        return Ok(Tried::Wrong { tries_left });
    }
    enter(txn, &digest, pending)
}

/// Follows the mail's link. Without the cookie of the browser that asked, nothing is given and nothing used up.
///
/// # Errors
/// What the store says.
pub fn try_link(
    txn: &Txn<'_>,
    at: Timestamp,
    cookie: Option<&Secret<32>>,
    link: &Secret<16>,
) -> Result<Tried, PeopleError> {
    let Some(cookie) = cookie else { return Ok(Tried::OtherBrowser) };
    let Some(pending) = pending(txn.reader(), cookie, at)? else { return Ok(Tried::OtherBrowser) };
    let given = link.digest();
    if !pending.proofs.iter().any(|proof| bool::from(proof.link.ct_eq(&given))) {
        return Ok(Tried::OtherBrowser);
    }
    enter(txn, &cookie.digest(), pending)
}

fn enter(txn: &Txn<'_>, digest: &[u8; 32], pending: Pending) -> Result<Tried, PeopleError> {
    txn.delete(&PENDINGS, digest)?;
    // An address that became unknown meanwhile, or a guessed code for one that never was known.
    let Some(user) = directory::user_by_mail(txn.reader(), &pending.mac)? else { return Ok(Tried::Over) };
    Ok(Tried::In { user, next: pending.next })
}
