//! The outbox: mail that waits in a store, and what became of mail that does not.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::schedule;
use crate::{
    clock::Timestamp,
    ids::MailId,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn},
};

/// Mail by id, in whichever store's matters it is about.
const OUTBOX: Table<MailId, Mail> = Table::new("outbox");
/// Mail that waits, by when it is due.
const DUE: Table<(Timestamp, MailId), ()> = Table::new("outbox_due");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [OUTBOX.shape(), DUE.shape()];
/// Sent and given-up mail is forgotten after this long.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A mail and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Mail {
    #[n(0)]
    pub id: MailId,
    #[n(1)]
    pub to: String,
    /// BCP 47 tag of the language that it is written in.
    #[n(2)]
    pub language: String,
    /// What it says; gone once it was sent, since codes and links must not outlive their use.
    #[n(3)]
    pub kind: Option<MailKind>,
    /// The kind's name, which stays.
    #[n(4)]
    pub kind_name: String,
    #[n(5)]
    pub queued_at: Timestamp,
    #[n(6)]
    pub tries: u32,
    /// When the next try is due; `None` once it was sent or given up.
    #[n(7)]
    pub due_at: Option<Timestamp>,
    #[n(8)]
    pub sent_at: Option<Timestamp>,
    /// The mail server's last words, or why there were none.
    #[n(9)]
    pub last_error: Option<String>,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MailKind {
    /// The code and link of a sign-in.
    #[n(0)]
    SignIn {
        #[n(0)]
        code: String,
        #[n(1)]
        link: String,
        #[n(2)]
        asked_at: Timestamp,
        #[n(3)]
        agent: String,
        #[n(4)]
        address: String,
    },
    /// An invitation into an organization.
    #[n(1)]
    Invitation {
        #[n(0)]
        organization: String,
        #[n(1)]
        inviter: String,
        #[n(2)]
        role: String,
        #[n(3)]
        link: String,
        #[n(4)]
        expires_at: Timestamp,
    },
    /// To owners: an API token was made on the server.
    #[n(2)]
    TokenMade {
        #[n(0)]
        organization: String,
        #[n(1)]
        name: String,
        #[n(2)]
        role: String,
        #[n(3)]
        expires_at: Timestamp,
        #[n(4)]
        made_at: Timestamp,
        #[n(5)]
        link: String,
    },
    /// To owners: a sign-in link was made on the server for a member.
    #[n(3)]
    SignInLinkMade {
        #[n(0)]
        organization: String,
        #[n(1)]
        member: String,
        #[n(2)]
        made_at: Timestamp,
        #[n(3)]
        link: String,
    },
    /// To its owner: an organization was made.
    #[n(4)]
    Founded {
        #[n(0)]
        organization: String,
        #[n(1)]
        link: String,
    },
    /// To somebody who was removed from an organization.
    #[n(5)]
    Removed {
        #[n(0)]
        organization: String,
        /// Who removed them.
        #[n(1)]
        actor: String,
        #[n(2)]
        removed_at: Timestamp,
    },
    /// To operators: something of the appliance itself wants their hand.
    #[n(6)]
    Alert {
        /// Its stable name: `alert-{name}` is its word.
        #[n(0)]
        name: String,
        /// Places and reasons; no content.
        #[n(1)]
        detail: String,
        #[n(2)]
        at: Timestamp,
        #[n(3)]
        link: String,
    },
}

impl MailKind {
    /// The kind's name: `mail-kind-{name}` is its word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignIn { .. } => "sign-in",
            Self::Invitation { .. } => "invitation",
            Self::TokenMade { .. } => "token",
            Self::SignInLinkMade { .. } => "link",
            Self::Founded { .. } => "founded",
            Self::Removed { .. } => "removed",
            Self::Alert { .. } => "operator",
        }
    }
}

/// What operators see of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub to: String,
    pub kind: String,
    pub queued_at: Timestamp,
    pub tries: u32,
    pub due_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

fn put(
    txn: &Txn<'_>,
    at: Timestamp,
    to: &str,
    language: &str,
    kind: MailKind,
    due_at: Option<Timestamp>,
) -> Result<MailId, StoreError> {
    let id = MailId::fresh(at);
    let mail = Mail {
        id,
        to: to.to_owned(),
        language: language.to_owned(),
        kind_name: kind.name().to_owned(),
        kind: Some(kind),
        queued_at: at,
        tries: 0,
        due_at,
        sent_at: None,
        last_error: None,
    };
    txn.put(&OUTBOX, &id, &mail)?;
    txn.put(&DUE, &(due_at.unwrap_or(at), id), &())?;
    Ok(id)
}

/// Queues a mail in the transaction of what it tells of.
///
/// # Errors
/// What the store says; so with every function here.
pub fn queue(txn: &Txn<'_>, at: Timestamp, to: &str, language: &str, kind: MailKind) -> Result<(), StoreError> {
    put(txn, at, to, language, kind, Some(at)).map(|_| ())
}

/// Writes as much as [`queue`] does and sends nothing, so that an unknown address cannot be told from a known one by
/// what the disk does.
///
/// # Errors
/// What the store says.
pub fn queue_decoy(txn: &Txn<'_>, at: Timestamp, kind: MailKind) -> Result<(), StoreError> {
    let id = put(txn, at, "", "ja", kind, None)?;
    txn.delete(&OUTBOX, &id)?;
    txn.delete(&DUE, &(at, id))
}

/// Mail that is due, longest waiting first.
///
/// # Errors
/// What the store says.
pub fn due(view: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<Mail>, StoreError> {
    let span = Span::all().before(&(Timestamp(now.0.saturating_add(1)), MailId([0; 16])));
    let ids = view.list(&DUE, &span, Order::Ascending, limit)?;
    ids.into_iter().filter_map(|((_, id), ())| view.get(&OUTBOX, &id).transpose()).collect()
}

/// How many mails wait, and when the next is due.
///
/// # Errors
/// What the store says.
pub fn waiting(view: &dyn Read) -> Result<(usize, Option<Timestamp>), StoreError> {
    let all = view.list(&DUE, &Span::all(), Order::Ascending, usize::MAX)?;
    Ok((all.len(), all.first().map(|((at, _), ())| *at)))
}

/// Notes what came of a try: `Ok` if the server took the mail, else its words and whether trying again has a point.
///
/// # Errors
/// What the store says.
pub fn settle(
    txn: &Txn<'_>,
    now: Timestamp,
    id: MailId,
    outcome: &Result<(), (String, bool)>,
) -> Result<(), StoreError> {
    let Some(mut mail) = txn.reader().get(&OUTBOX, &id)? else { return Ok(()) };
    if let Some(due_at) = mail.due_at {
        txn.delete(&DUE, &(due_at, id))?;
    }
    mail.tries += 1;
    mail.due_at = None;
    match outcome {
        Ok(()) => {
            mail.sent_at = Some(now);
            mail.last_error = None;
        }
        Err((words, again)) => {
            mail.last_error = Some(words.chars().take(300).collect());
            if *again {
                mail.due_at = schedule::next_try(mail.queued_at, mail.tries, now);
            }
        }
    }
    match mail.due_at {
        Some(due_at) => txn.put(&DUE, &(due_at, id), &())?,
        None => mail.kind = None,
    }
    txn.put(&OUTBOX, &id, &mail)
}

/// What operators see of the newest mails of a store.
///
/// # Errors
/// What the store says.
pub fn lines(view: &dyn Read, limit: usize) -> Result<Vec<Line>, StoreError> {
    Ok(view.list(&OUTBOX, &Span::all(), Order::Descending, limit)?.into_iter().map(|(_, mail)| line(mail)).collect())
}

/// What operators see of a mail.
#[must_use]
pub fn line(mail: Mail) -> Line {
    Line {
        to: mail.to,
        kind: mail.kind_name,
        queued_at: mail.queued_at,
        tries: mail.tries,
        due_at: mail.due_at,
        sent_at: mail.sent_at,
        last_error: mail.last_error,
    }
}

/// Forgets mail that was sent or given up long ago; returns how many.
///
/// # Errors
/// What the store says.
pub fn purge_old(txn: &Txn<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let limit = now.minus(KEPT);
    let old: Vec<MailId> = txn
        .reader()
        .list(&OUTBOX, &Span::all(), Order::Ascending, 1000)?
        .into_iter()
        .filter(|(_, mail)| mail.due_at.is_none() && mail.queued_at < limit)
        .map(|(id, _)| id)
        .collect();
    for id in &old {
        txn.delete(&OUTBOX, id)?;
    }
    Ok(old.len())
}
