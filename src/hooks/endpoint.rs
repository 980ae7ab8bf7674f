//! Webhook endpoints: an address, a scheme and a board.

use minicbor::{Decode, Encode};

use super::{mapping::Mapping, signature::Scheme};
use crate::{
    clock::Timestamp,
    ids::{BoardId, HookId, OrgId, Secret, base32, from_base32},
    store::{
        Order, Read, Shape, Span, StoreError, Table, Txn,
        history::{Actor, Room, append},
    },
    work,
};

/// Endpoints by id, removed ones included: their deliveries stay readable and their address answers 410.
const HOOKS: Table<HookId, Hook> = Table::new("hooks");
/// Endpoints by the BLAKE3 of their address' secret.
const BY_SECRET: Table<[u8; 32], HookId> = Table::new("hook_secrets");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [HOOKS.shape(), BY_SECRET.shape()];

/// What happened to endpoints. Written once and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    #[n(0)]
    Created {
        #[n(0)]
        hook: HookId,
        #[n(1)]
        board: BoardId,
        #[n(2)]
        name: String,
    },
    #[n(1)]
    Renamed {
        #[n(0)]
        hook: HookId,
        #[n(1)]
        from: String,
        #[n(2)]
        to: String,
    },
    #[n(2)]
    Removed {
        #[n(0)]
        hook: HookId,
    },
}

/// A webhook endpoint of a board.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hook {
    #[n(0)]
    pub id: HookId,
    #[n(1)]
    pub board: BoardId,
    #[n(2)]
    pub name: String,
    /// A [`Scheme`]'s name.
    #[n(3)]
    pub scheme: String,
    /// The signing secret as its text; none for a scheme without.
    #[n(4)]
    pub secret: Option<String>,
    /// How cards are made of payloads, as the API's JSON; the plain rule if `None`.
    #[n(5)]
    pub mapping: Option<String>,
    #[n(6)]
    pub created_at: Timestamp,
    #[n(7)]
    pub removed_at: Option<Timestamp>,
    /// The address, to be shown again: it is no secret to the board's admins, and the store is sealed.
    #[n(8)]
    pub address: String,
}

impl Hook {
    /// How its senders prove themselves.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme.parse().ok()
    }

    /// How cards are made of its payloads.
    #[must_use]
    pub fn mapping(&self) -> Option<Mapping> {
        let document = serde_json::from_str(self.mapping.as_deref()?).ok()?;
        Mapping::parse(&document).ok()
    }
}

/// The secret part of an endpoint's address. It carries the organization's id, since nothing else says where to look.
#[derive(Clone, Debug)]
pub struct Address {
    pub org: OrgId,
    secret: Secret<16>,
}

impl Address {
    /// A new address in an organization.
    #[must_use]
    pub fn fresh(org: OrgId) -> Self {
        Self { org, secret: Secret::fresh() }
    }

    /// The part of the URL after `/hooks/`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", base32(&self.org.0), self.secret.text())
    }

    /// What the store knows its secret by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.secret.digest()
    }

    /// The address of a URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (org, secret) = text.split_at_checked(26)?;
        Some(Self { org: OrgId(from_base32(org)?), secret: Secret::parse(secret)? })
    }
}

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewHook {
    pub id: HookId,
    pub board: BoardId,
    pub name: crate::text::Name,
    pub scheme: Scheme,
    /// The signing secret's text, for a scheme that has one.
    pub secret: Option<String>,
    pub mapping: Option<Mapping>,
    pub address: Address,
}

/// Makes an endpoint.
///
/// # Errors
/// [`work::Refusal::NotFound`] if the board does not exist.
pub fn create(txn: &Txn<'_>, at: Timestamp, actor: Actor, new: &NewHook) -> Result<Hook, work::WorkError> {
    if work::read::board(txn.reader(), new.board)?.is_none() {
        return Err(work::Refusal::NotFound { what: "board" }.into());
    }
    let hook = Hook {
        id: new.id,
        board: new.board,
        name: new.name.as_str().to_owned(),
        scheme: new.scheme.name().to_owned(),
        secret: new.secret.clone(),
        mapping: new.mapping.as_ref().map(|mapping| mapping.to_value().to_string()),
        created_at: at,
        removed_at: None,
        address: new.address.text(),
    };
    append(txn, at, actor, Room::Hooks, &Event::Created { hook: hook.id, board: hook.board, name: hook.name.clone() })?;
    txn.put(&HOOKS, &hook.id, &hook)?;
    txn.put(&BY_SECRET, &new.address.digest(), &hook.id)?;
    Ok(hook)
}

/// Renames an endpoint.
///
/// # Errors
/// [`work::Refusal::NotFound`].
pub fn rename(
    txn: &Txn<'_>,
    at: Timestamp,
    actor: Actor,
    id: HookId,
    name: &crate::text::Name,
) -> Result<(), work::WorkError> {
    let hook = txn.reader().get(&HOOKS, &id)?.ok_or(work::Refusal::NotFound { what: "hook" })?;
    if hook.name == name.as_str() {
        return Ok(());
    }
    let to = name.as_str().to_owned();
    append(txn, at, actor, Room::Hooks, &Event::Renamed { hook: id, from: hook.name.clone(), to: to.clone() })?;
    Ok(txn.put(&HOOKS, &id, &Hook { name: to, ..hook })?)
}

/// Ends an endpoint: its address answers 410 from now on, which tells senders to stop.
///
/// # Errors
/// [`work::Refusal::NotFound`].
pub fn remove(txn: &Txn<'_>, at: Timestamp, actor: Actor, id: HookId) -> Result<(), work::WorkError> {
    let hook = txn.reader().get(&HOOKS, &id)?.ok_or(work::Refusal::NotFound { what: "hook" })?;
    if hook.removed_at.is_some() {
        return Ok(());
    }
    append(txn, at, actor, Room::Hooks, &Event::Removed { hook: id })?;
    Ok(txn.put(&HOOKS, &id, &Hook { removed_at: Some(at), secret: None, ..hook })?)
}

/// An endpoint by id.
///
/// # Errors
/// What the store says; so with every function here.
pub fn hook(view: &dyn Read, id: HookId) -> Result<Option<Hook>, StoreError> {
    view.get(&HOOKS, &id)
}

/// The endpoint of an address.
///
/// # Errors
/// What the store says.
pub fn find(view: &dyn Read, address: &Address) -> Result<Option<Hook>, StoreError> {
    let Some(id) = view.get(&BY_SECRET, &address.digest())? else { return Ok(None) };
    view.get(&HOOKS, &id)
}

/// The endpoints of a board that were not removed, oldest first.
///
/// # Errors
/// What the store says.
pub fn of_board(view: &dyn Read, board: BoardId) -> Result<Vec<Hook>, StoreError> {
    let all = view.list(&HOOKS, &Span::all(), Order::Ascending, usize::MAX)?;
    Ok(all.into_iter().map(|(_, hook)| hook).filter(|hook| hook.board == board && hook.removed_at.is_none()).collect())
}
