//! API tokens: a role at most one's own, an expiry, shown once.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::{Event, PeopleError, Refusal, Role, record};
use crate::{
    clock::Timestamp,
    ids::{OrgId, Secret, TokenId, UserId, base32, from_base32},
    limits,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn, history::Actor},
    text::Name,
};

/// What every token begins with, so that leaked ones can be found by secret scanners.
const PREFIX: &str = "wr_";
/// How long a token lives unless asked otherwise.
pub const LIFE_DEFAULT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long a token lives at most.
pub const LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Tokens by id.
const TOKENS: Table<TokenId, Token> = Table::new("tokens");
/// Tokens by the BLAKE3 of their secret.
const BY_SECRET: Table<[u8; 32], TokenId> = Table::new("token_secrets");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [TOKENS.shape(), BY_SECRET.shape()];

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Token {
    #[n(0)]
    pub id: TokenId,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub role: Role,
    /// The member who made it; `None` if it was made on the server.
    #[n(3)]
    pub by: Option<UserId>,
    #[n(4)]
    pub created_at: Timestamp,
    #[n(5)]
    pub expires_at: Timestamp,
    #[n(6)]
    pub revoked_at: Option<Timestamp>,
    #[cbor(n(7), with = "minicbor::bytes")]
    digest: [u8; 32],
}

/// A token's text, parsed: which organization, which secret.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub org: OrgId,
    secret: Secret<20>,
}

impl Bearer {
    /// A new one for an organization.
    #[must_use]
    pub fn fresh(org: OrgId) -> Self {
        Self { org, secret: Secret::fresh() }
    }

    /// The text that a client sends.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}{}", base32(&self.org.0), self.secret.text())
    }

    /// A token as a client sent it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (org, secret) = text.strip_prefix(PREFIX)?.split_at_checked(26)?;
        Some(Self { org: OrgId(from_base32(org)?), secret: Secret::parse(secret)? })
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: TokenId,
    pub name: Name,
    pub role: Role,
    pub life: Duration,
    pub bearer: Bearer,
}

/// Makes a token. `by` and `asker` are who asks and their role; none and [`Role::Owner`] on the server.
///
/// # Errors
/// [`Refusal::AboveOwnRole`], [`Refusal::Limit`].
pub fn create(
    txn: &Txn<'_>,
    at: Timestamp,
    by: Option<UserId>,
    asker: Role,
    request: &Request,
) -> Result<Token, PeopleError> {
    if request.role > asker {
        return Err(Refusal::AboveOwnRole.into());
    }
    let living = all(txn.reader())?.into_iter().filter(|token| token.usable(at)).count();
    if living >= limits::TOKENS_MAX {
        return Err(Refusal::Limit { what: "tokens", max: limits::TOKENS_MAX }.into());
    }
    let token = Token {
        id: request.id,
        name: request.name.as_str().to_owned(),
        role: request.role,
        by,
        created_at: at,
        expires_at: at.plus(request.life.min(LIFE_MAX)),
        revoked_at: None,
        digest: request.bearer.secret.digest(),
    };
    let actor = by.map_or(Actor::Operator(None), Actor::User);
    record(txn, at, actor, &Event::TokenCreated { token: token.id, name: token.name.clone(), role: token.role })?;
    txn.put(&TOKENS, &token.id, &token)?;
    txn.put(&BY_SECRET, &token.digest, &token.id)?;
    Ok(token)
}

impl Token {
    /// Whether it opens anything now.
    #[must_use]
    pub fn usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// All tokens, newest first.
///
/// # Errors
/// What the store says.
pub fn all(view: &dyn Read) -> Result<Vec<Token>, StoreError> {
    Ok(view.list(&TOKENS, &Span::all(), Order::Descending, usize::MAX)?.into_iter().map(|(_, token)| token).collect())
}

/// The usable token of that secret.
///
/// # Errors
/// What the store says.
pub fn find(view: &dyn Read, bearer: &Bearer, now: Timestamp) -> Result<Option<Token>, StoreError> {
    let Some(id) = view.get(&BY_SECRET, &bearer.secret.digest())? else { return Ok(None) };
    Ok(view.get(&TOKENS, &id)?.filter(|token| token.usable(now)))
}

/// Ends a token at once.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn revoke(txn: &Txn<'_>, at: Timestamp, actor: Actor, id: TokenId) -> Result<(), PeopleError> {
    let token = txn.reader().get(&TOKENS, &id)?.ok_or(Refusal::NotFound { what: "token" })?;
    if token.revoked_at.is_some() {
        return Ok(());
    }
    record(txn, at, actor, &Event::TokenRevoked { token: id })?;
    Ok(txn.put(&TOKENS, &id, &Token { revoked_at: Some(at), ..token })?)
}
