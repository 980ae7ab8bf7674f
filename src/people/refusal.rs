//! Why a request about people was refused. Every refusal changed nothing.

use crate::{
    store::StoreError,
    text::{Explain, MailAddressError, Message, TextError},
};

/// The rule that a request would have broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or not for this person.
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// The last owner can neither leave nor be demoted.
    #[error("an organization keeps at least one owner: make somebody else owner first")]
    LastOwner,
    /// Nobody gives or takes a role above their own.
    #[error("a role above one's own can be neither given nor changed")]
    AboveOwnRole,
    /// The address belongs to a member already.
    #[error("that address belongs to a member already")]
    AlreadyMember,
    /// An invitation to that address is open already.
    #[error("that address is invited already: resend the invitation instead")]
    AlreadyInvited,
    /// The invitation has passed its seven days.
    #[error("the invitation has expired: ask for a new one")]
    Expired,
    /// The invitation was withdrawn.
    #[error("the invitation was withdrawn")]
    Revoked,
    /// The invitation or link was used before.
    #[error("the link was used already")]
    Used,
    /// The invitation is for another address.
    #[error("the invitation is for another address")]
    OtherAddress,
    /// A named limit is reached.
    #[error("there can be at most {max} {what}")]
    Limit { what: &'static str, max: usize },
    /// What operators allow the organization is used up.
    #[error("the organization may have at most {max} {what}: ask an operator of the server for more")]
    Quota { what: &'static str, max: u64 },
    /// Text that breaks a rule.
    #[error("{field}: {error}")]
    Text { field: &'static str, error: TextError },
    /// An address that is none.
    #[error("mail: {0}")]
    Mail(MailAddressError),
    /// A value that is none of those allowed.
    #[error("{field}: `{value}` is not one of the values allowed")]
    Unknown { field: &'static str, value: String },
}

/// A refusal, or a store that could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the keyring failed: {reason}")]
    Keyring { reason: String },
}

impl Refusal {
    /// A stable code, the same in pages, API and log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::LastOwner => "last-owner",
            Self::AboveOwnRole => "above-own-role",
            Self::AlreadyMember => "already-member",
            Self::AlreadyInvited => "already-invited",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Used => "used",
            Self::OtherAddress => "other-address",
            Self::Limit { .. } => "limit",
            Self::Quota { .. } => "quota",
            Self::Text { .. } => "text",
            Self::Mail(_) => "mail-address",
            Self::Unknown { .. } => "unknown-value",
        }
    }
}

impl Explain for Refusal {
    fn message(&self) -> Message {
        match self {
            Self::NotFound { .. } => Message::plain("refusal-not-found"),
            Self::LastOwner => Message::plain("refusal-last-owner"),
            Self::AboveOwnRole => Message::plain("refusal-above-own-role"),
            Self::AlreadyMember => Message::plain("refusal-already-member"),
            Self::AlreadyInvited => Message::plain("refusal-already-invited"),
            Self::Expired => Message::plain("refusal-expired"),
            Self::Revoked => Message::plain("refusal-revoked"),
            Self::Used => Message::plain("refusal-used"),
            Self::OtherAddress => Message::plain("refusal-other-address"),
            Self::Limit { max, .. } => Message::plain("refusal-limit").with("max", max),
            Self::Quota { max, .. } => Message::plain("refusal-quota-members").with("max", max),
            Self::Text { error, .. } => error.message(),
            Self::Mail(error) => error.message(),
            Self::Unknown { value, .. } => Message::plain("refusal-unknown").with("value", value),
        }
    }
}
