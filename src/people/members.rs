//! An organization's members and its own settings, in the organization's file.

use minicbor::{Decode, Encode};

use super::{Event, PeopleError, Refusal, Role, quotas, record};
use crate::{
    clock::Timestamp,
    ids::UserId,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn, history::Actor},
    text::{MailAddress, Name},
};

/// Members by id, those who left included: their names stay on what they did.
pub const MEMBERS: Table<UserId, Member> = Table::new("members");
/// The organization about itself.
pub const SETTINGS: Table<(), Settings> = Table::new("settings");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [MEMBERS.shape(), SETTINGS.shape()];

/// A member of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Member {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub mail: MailAddress,
    #[n(2)]
    pub name: String,
    #[n(3)]
    pub role: Role,
    #[n(4)]
    pub joined_at: Timestamp,
    /// The history's last event when they joined: what was before is no news to them.
    #[n(5)]
    pub joined_event: u64,
    /// When they left or were removed.
    #[n(6)]
    pub left_at: Option<Timestamp>,
}

/// The organization about itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Settings {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub created_at: Timestamp,
}

/// A member, also one who left.
///
/// # Errors
/// What the store says.
pub fn member(view: &dyn Read, user: UserId) -> Result<Option<Member>, StoreError> {
    view.get(&MEMBERS, &user)
}

/// Everybody who ever was a member.
///
/// # Errors
/// What the store says.
pub fn all(view: &dyn Read) -> Result<Vec<Member>, StoreError> {
    Ok(view.list(&MEMBERS, &Span::all(), Order::Ascending, usize::MAX)?.into_iter().map(|(_, member)| member).collect())
}

/// Everybody who is a member now.
///
/// # Errors
/// What the store says.
pub fn present(view: &dyn Read) -> Result<Vec<Member>, StoreError> {
    Ok(all(view)?.into_iter().filter(|member| member.left_at.is_none()).collect())
}

/// The organization's settings.
///
/// # Errors
/// [`StoreError::Damaged`] if there are none.
pub fn settings(view: &dyn Read) -> Result<Settings, StoreError> {
    view.get(&SETTINGS, &())?.ok_or_else(|| StoreError::Damaged {
        place: SETTINGS.name(),
        reason: "the organization has no name".to_owned(),
    })
}

/// Founds the organization with its first owner, and returns whether it was not founded before.
///
/// # Errors
/// What the store says.
pub fn found(txn: &Txn<'_>, at: Timestamp, name: &Name, owner: UserId, mail: &MailAddress) -> Result<bool, StoreError> {
    if txn.reader().has(&SETTINGS, &())? {
        return Ok(false);
    }
    let number = record(txn, at, Actor::Operator(None), &Event::Founded { name: name.as_str().to_owned(), owner })?;
    txn.put(&SETTINGS, &(), &Settings { name: name.as_str().to_owned(), created_at: at })?;
    let member = Member {
        user: owner,
        mail: mail.clone(),
        name: mail.as_str().split('@').next().unwrap_or_default().to_owned(),
        role: Role::Owner,
        joined_at: at,
        joined_event: number,
        left_at: None,
    };
    txn.put(&MEMBERS, &owner, &member)?;
    Ok(true)
}

/// Renames the organization.
///
/// # Errors
/// What the store says.
pub fn rename_organization(txn: &Txn<'_>, at: Timestamp, actor: Actor, name: &Name) -> Result<(), PeopleError> {
    let settings = settings(txn.reader())?;
    if settings.name == name.as_str() {
        return Ok(());
    }
    let renamed = Event::Renamed { from: settings.name.clone(), to: name.as_str().to_owned() };
    record(txn, at, actor, &renamed)?;
    Ok(txn.put(&SETTINGS, &(), &Settings { name: name.as_str().to_owned(), ..settings })?)
}

/// Puts a person among the members; who left before comes back under the same id.
pub(super) fn add(
    txn: &Txn<'_>,
    at: Timestamp,
    user: UserId,
    mail: &MailAddress,
    name: &Name,
    role: Role,
    event: &Event,
) -> Result<(), PeopleError> {
    let max = quotas(txn.reader())?.members;
    if present(txn.reader())?.len() as u64 >= max {
        return Err(Refusal::Quota { what: "members", max }.into());
    }
    let number = record(txn, at, Actor::User(user), event)?;
    let member = Member {
        user,
        mail: mail.clone(),
        name: name.as_str().to_owned(),
        role,
        joined_at: at,
        joined_event: number,
        left_at: None,
    };
    Ok(txn.put(&MEMBERS, &user, &member)?)
}

/// A member who is present.
fn present_member(view: &dyn Read, user: UserId) -> Result<Member, PeopleError> {
    match member(view, user)? {
        Some(member) if member.left_at.is_none() => Ok(member),
        _ => Err(Refusal::NotFound { what: "member" }.into()),
    }
}

fn is_last_owner(view: &dyn Read, member: &Member) -> Result<bool, PeopleError> {
    let owners = present(view)?.iter().filter(|other| other.role == Role::Owner).count();
    Ok(member.role == Role::Owner && owners == 1)
}

/// Gives a member another role. `asker` is the role of who asks.
///
/// # Errors
/// [`Refusal::AboveOwnRole`], [`Refusal::LastOwner`], [`Refusal::NotFound`].
pub fn change_role(
    txn: &Txn<'_>,
    at: Timestamp,
    actor: Actor,
    asker: Role,
    user: UserId,
    to: Role,
) -> Result<(), PeopleError> {
    let member = present_member(txn.reader(), user)?;
    if member.role > asker || to > asker {
        return Err(Refusal::AboveOwnRole.into());
    }
    if member.role == to {
        return Ok(());
    }
    if is_last_owner(txn.reader(), &member)? {
        return Err(Refusal::LastOwner.into());
    }
    record(txn, at, actor, &Event::RoleChanged { user, from: member.role, to })?;
    Ok(txn.put(&MEMBERS, &user, &Member { role: to, ..member })?)
}

/// Removes a member, or lets them go if they ask themselves; returns who it was. Their name stays on what they did.
///
/// # Errors
/// [`Refusal::AboveOwnRole`], [`Refusal::LastOwner`], [`Refusal::NotFound`].
pub fn remove(txn: &Txn<'_>, at: Timestamp, actor: Actor, asker: Role, user: UserId) -> Result<Member, PeopleError> {
    let member = present_member(txn.reader(), user)?;
    let leaves = actor.user() == Some(user);
    if !leaves && member.role > asker {
        return Err(Refusal::AboveOwnRole.into());
    }
    if is_last_owner(txn.reader(), &member)? {
        return Err(Refusal::LastOwner.into());
    }
    record(txn, at, actor, &if leaves { Event::Left { user } } else { Event::Removed { user } })?;
    let left = Member { left_at: Some(at), ..member };
    txn.put(&MEMBERS, &user, &left)?;
    Ok(left)
}

/// Changes a member's own name.
///
/// # Errors
/// [`Refusal::NotFound`] if they are no member.
pub fn rename_self(txn: &Txn<'_>, at: Timestamp, user: UserId, name: &Name) -> Result<(), PeopleError> {
    let member = present_member(txn.reader(), user)?;
    if member.name == name.as_str() {
        return Ok(());
    }
    record(txn, at, Actor::User(user), &Event::ProfileChanged { user })?;
    Ok(txn.put(&MEMBERS, &user, &Member { name: name.as_str().to_owned(), ..member })?)
}

/// Notes in the audit log that a sign-in link was made on the server.
///
/// # Errors
/// What the store says.
pub fn note_sign_in_link(txn: &Txn<'_>, at: Timestamp, user: UserId) -> Result<(), PeopleError> {
    record(txn, at, Actor::Operator(None), &Event::SignInLinkMade { user })?;
    Ok(())
}
