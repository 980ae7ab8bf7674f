//! The system's own book: which address is which user, where users belong, who operates. Ids and hashes only; all of it
//! but the operators can be rebuilt from the organizations' files.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};

use crate::{
    clock::Timestamp,
    ids::{OrgId, UserId},
    store::{Order, Read, Shape, Span, StoreError, Table, Txn},
    text::MailAddress,
};

/// Users by id.
const USERS: Table<UserId, User> = Table::new("users");
/// Users by the HMAC of their folded address.
const BY_MAIL: Table<[u8; 32], UserId> = Table::new("users_by_mail");
/// Organizations by id.
const ORGANIZATIONS: Table<OrgId, Organization> = Table::new("organizations");
/// Operators by user id.
const OPERATORS: Table<UserId, Operator> = Table::new("operators");
/// What stands in these tables.
pub const SHAPES: [Shape; 4] = [USERS.shape(), BY_MAIL.shape(), ORGANIZATIONS.shape(), OPERATORS.shape()];

/// A person on this appliance.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct User {
    #[n(0)]
    pub id: UserId,
    /// Where they are a member, in the order of joining.
    #[n(1)]
    pub organizations: Vec<OrgId>,
    /// BCP 47 tag of the language they chose, if they did.
    #[n(2)]
    pub language: Option<String>,
    /// `light` or `dark`; the device's choice otherwise.
    #[n(3)]
    pub theme: Option<String>,
}

/// An organization as the operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Organization {
    #[n(0)]
    pub id: OrgId,
    #[n(1)]
    pub created_at: Timestamp,
    /// Its name, sealed under its own key, so that it is unreadable once that key is destroyed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sealed_name: Vec<u8>,
}

/// Somebody who runs the appliance.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Operator {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub name: String,
    /// Where they sign in and are warned; an operator without one signs in by links made on the server.
    #[n(2)]
    pub mail: Option<MailAddress>,
    #[n(3)]
    pub since: Timestamp,
}

/// A user by id.
///
/// # Errors
/// What the store says; so with every function here.
pub fn user(view: &dyn Read, id: UserId) -> Result<Option<User>, StoreError> {
    view.get(&USERS, &id)
}

/// The user of an address, by its HMAC.
///
/// # Errors
/// What the store says.
pub fn user_by_mail(view: &dyn Read, mac: &[u8; 32]) -> Result<Option<UserId>, StoreError> {
    view.get(&BY_MAIL, mac)
}

/// The user of an address, made as `fresh` if there is none.
///
/// # Errors
/// What the store says.
pub fn ensure_user(txn: &Txn<'_>, mac: &[u8; 32], fresh: UserId) -> Result<UserId, StoreError> {
    if let Some(known) = txn.reader().get(&BY_MAIL, mac)? {
        return Ok(known);
    }
    txn.put(&BY_MAIL, mac, &fresh)?;
    ensure_record(txn, fresh)?;
    Ok(fresh)
}

/// A user without an address of their own, such as the first operator.
///
/// # Errors
/// What the store says.
pub fn ensure_record(txn: &Txn<'_>, id: UserId) -> Result<User, StoreError> {
    if let Some(known) = txn.reader().get(&USERS, &id)? {
        return Ok(known);
    }
    let user = User { id, organizations: Vec::new(), language: None, theme: None };
    txn.put(&USERS, &id, &user)?;
    Ok(user)
}

/// Writes down, or takes back, that a user belongs to an organization.
///
/// # Errors
/// What the store says.
pub fn set_belongs(txn: &Txn<'_>, id: UserId, org: OrgId, belongs: bool) -> Result<(), StoreError> {
    let mut user = ensure_record(txn, id)?;
    if user.organizations.contains(&org) == belongs {
        return Ok(());
    }
    user.organizations.retain(|known| *known != org);
    if belongs {
        user.organizations.push(org);
    }
    txn.put(&USERS, &id, &user)
}

/// Gives an address, by its HMAC, to a user.
///
/// # Errors
/// What the store says.
pub fn assign(txn: &Txn<'_>, mac: &[u8; 32], id: UserId) -> Result<(), StoreError> {
    ensure_record(txn, id)?;
    txn.put(&BY_MAIL, mac, &id)
}

/// Whether an organization's members, with the HMACs of their addresses, are others than those that are listed here.
///
/// # Errors
/// What the store says.
pub fn differs(view: &dyn Read, org: OrgId, members: &[(UserId, [u8; 32])]) -> Result<bool, StoreError> {
    for (user, mac) in members {
        let listed = view.get(&USERS, user)?.is_some_and(|user| user.organizations.contains(&org));
        if !listed || view.get(&BY_MAIL, mac)?.is_none_or(|known| known != *user) {
            return Ok(true);
        }
    }
    Ok(!strangers(view, org, members)?.is_empty())
}

/// Users that are listed with an organization and are not among its members.
fn strangers(view: &dyn Read, org: OrgId, members: &[(UserId, [u8; 32])]) -> Result<Vec<UserId>, StoreError> {
    let mut strangers = Vec::new();
    view.scan(&USERS, &Span::all(), Order::Ascending, |id, user| {
        if user.organizations.contains(&org) && members.iter().all(|(member, _)| *member != id) {
            strangers.push(id);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(strangers)
}

/// Lists an organization's members as they are; returns how many entries were others.
///
/// # Errors
/// What the store says.
pub fn follow(txn: &Txn<'_>, org: OrgId, members: &[(UserId, [u8; 32])]) -> Result<usize, StoreError> {
    let mut mended = 0;
    for stranger in strangers(txn.reader(), org, members)? {
        set_belongs(txn, stranger, org, false)?;
        mended += 1;
    }
    for (user, mac) in members {
        let listed = ensure_record(txn, *user)?.organizations.contains(&org);
        set_belongs(txn, *user, org, true)?;
        let holder = txn.reader().get(&BY_MAIL, mac)?;
        let free = match holder {
            Some(other) if other != *user => ensure_record(txn, other)?.organizations.is_empty(),
            Some(_) => false,
            None => true,
        };
        if free {
            assign(txn, mac, *user)?;
        }
        mended += usize::from(free || !listed);
    }
    Ok(mended)
}

/// The language that a user has chosen, or `otherwise`: BCP 47 tags.
///
/// # Errors
/// What the store says.
pub fn language(view: &dyn Read, id: UserId, otherwise: &str) -> Result<String, StoreError> {
    Ok(user(view, id)?.and_then(|user| user.language).unwrap_or_else(|| otherwise.to_owned()))
}

/// Keeps a user's language and theme.
///
/// # Errors
/// What the store says.
pub fn set_preferences(
    txn: &Txn<'_>,
    id: UserId,
    language: Option<String>,
    theme: Option<String>,
) -> Result<(), StoreError> {
    let user = ensure_record(txn, id)?;
    txn.put(&USERS, &id, &User { language, theme, ..user })
}

/// All organizations, oldest first.
///
/// # Errors
/// What the store says.
pub fn organizations(view: &dyn Read) -> Result<Vec<Organization>, StoreError> {
    Ok(view.list(&ORGANIZATIONS, &Span::all(), Order::Ascending, usize::MAX)?.into_iter().map(|(_, org)| org).collect())
}

/// One organization.
///
/// # Errors
/// What the store says.
pub fn organization(view: &dyn Read, id: OrgId) -> Result<Option<Organization>, StoreError> {
    view.get(&ORGANIZATIONS, &id)
}

/// Enters an organization, or its new sealed name.
///
/// # Errors
/// What the store says.
pub fn put_organization(txn: &Txn<'_>, organization: &Organization) -> Result<(), StoreError> {
    txn.put(&ORGANIZATIONS, &organization.id, organization)
}

/// All operators.
///
/// # Errors
/// What the store says.
pub fn operators(view: &dyn Read) -> Result<Vec<Operator>, StoreError> {
    Ok(view.list(&OPERATORS, &Span::all(), Order::Ascending, usize::MAX)?.into_iter().map(|(_, one)| one).collect())
}

/// The operator that a user is, if they are one.
///
/// # Errors
/// What the store says.
pub fn operator(view: &dyn Read, id: UserId) -> Result<Option<Operator>, StoreError> {
    view.get(&OPERATORS, &id)
}

/// Makes a user an operator.
///
/// # Errors
/// What the store says.
pub fn put_operator(txn: &Txn<'_>, operator: &Operator) -> Result<(), StoreError> {
    ensure_record(txn, operator.user)?;
    txn.put(&OPERATORS, &operator.user, operator)
}
