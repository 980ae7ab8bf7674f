//! What touches an organization's file and the system store: an intent first, then steps that can be repeated, then the
//! intent is taken out. Start-up repeats what a crash left.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use super::{PeopleError, Refusal, Role, directory, invitations, members};
use crate::{
    clock::Timestamp,
    ids::{OrgId, SagaId, UserId},
    mail::{self, MailKind},
    store::{Order, Shape, Span, Store, StoreError, Stores, Table, Txn, history::Actor},
    text::{MailAddress, Name},
};

const SAGAS: Table<SagaId, Saga> = Table::new("sagas");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [SAGAS.shape()];
/// What an organization's name is sealed for.
const NAME_PURPOSE: &str = "workrun organization name";

/// An intent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Saga {
    #[n(0)]
    Found {
        #[n(0)]
        org: OrgId,
        #[n(1)]
        name: Name,
        #[n(2)]
        owner: UserId,
        #[n(3)]
        mail: MailAddress,
        #[n(4)]
        at: Timestamp,
        #[n(5)]
        welcome: Option<Welcome>,
    },
    /// The organization's file decides whether the user belongs there; the directory follows it.
    #[n(1)]
    Follow {
        #[n(0)]
        org: OrgId,
        #[n(1)]
        user: UserId,
    },
}

/// An organization to be made.
#[derive(Clone, Debug)]
pub struct Founding {
    pub org: OrgId,
    pub name: Name,
    /// Whose it is; made a user if the address is new.
    pub owner: MailAddress,
    /// How the owner learns of it; `None` if somebody tells them.
    pub welcome: Option<Welcome>,
}

/// The mail that tells an owner of a new organization.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// Where to sign in.
    #[n(0)]
    pub link: String,
    /// BCP 47 tag of the mail's language.
    #[n(1)]
    pub language: String,
}

async fn intend(system: &Arc<Store>, id: SagaId, saga: Saga) -> Result<(), PeopleError> {
    system.submit(256, move |txn: &Txn<'_>| Ok::<_, PeopleError>(txn.put(&SAGAS, &id, &saga)?)).await
}

/// Makes an organization with its owner. Returns when everything is durable.
///
/// # Errors
/// What the stores or the keyring say; an interrupted founding is finished at the next start.
pub async fn found(stores: &Stores, at: Timestamp, founding: Founding) -> Result<UserId, PeopleError> {
    let id = SagaId::fresh(at);
    let (owner, saga) = intend_founding(stores, id, at, founding).await?;
    carry_out(stores, id, &saga).await?;
    Ok(owner)
}

/// The owner and the intent enter the system store together.
pub(super) async fn intend_founding(
    stores: &Stores,
    id: SagaId,
    at: Timestamp,
    founding: Founding,
) -> Result<(UserId, Saga), PeopleError> {
    let Founding { org, name, owner: mail, welcome } = founding;
    let (mac, fresh) = (stores.mail_mac(&mail), UserId::fresh(at));
    let intend = move |txn: &Txn<'_>| {
        let owner = directory::ensure_user(txn, &mac, fresh)?;
        let language = |welcome: Welcome| {
            let language = directory::language(txn.reader(), owner, &welcome.language)?;
            Ok::<_, StoreError>(Welcome { language, ..welcome })
        };
        let welcome = welcome.clone().map(language).transpose()?;
        let saga = Saga::Found { org, name: name.clone(), owner, mail: mail.clone(), at, welcome };
        txn.put(&SAGAS, &id, &saga)?;
        Ok::<_, PeopleError>((owner, saga))
    };
    stores.system().submit(512, intend).await
}

/// Lets the holder of an invitation join.
///
/// # Errors
/// Why the invitation cannot be accepted, or what the stores say.
pub async fn join(
    stores: &Stores,
    at: Timestamp,
    ticket: invitations::Ticket,
    user: UserId,
    mail: MailAddress,
    name: Name,
) -> Result<(), PeopleError> {
    let org = ticket.org;
    let store = stores.organization(org)?;
    let (id, saga) = (SagaId::fresh(at), Saga::Follow { org, user });
    intend(stores.system(), id, saga.clone()).await?;
    let accepted = store.submit(256, move |txn| invitations::accept(txn, at, &ticket, user, &mail, &name)).await;
    carry_out(stores, id, &saga).await?;
    accepted
}

/// Removes a member, who is told by mail (in `language`, a BCP 47 tag, unless they chose another), or lets them leave.
///
/// # Errors
/// [`Refusal::LastOwner`], [`Refusal::AboveOwnRole`], [`Refusal::NotFound`], or what the stores say.
pub async fn depart(
    stores: &Stores,
    at: Timestamp,
    org: OrgId,
    actor: Actor,
    asker: Role,
    user: UserId,
    language: &str,
) -> Result<(), PeopleError> {
    let store = stores.organization(org)?;
    let language = stores.system().view(|view| directory::language(view, user, language))?;
    let (id, saga) = (SagaId::fresh(at), Saga::Follow { org, user });
    intend(stores.system(), id, saga.clone()).await?;
    let remove = move |txn: &Txn<'_>| {
        let removed = members::remove(txn, at, actor, asker, user)?;
        // Who leaves knows it.
        if actor.user() != Some(user) {
            let remover = actor.user().map(|remover| members::member(txn.reader(), remover)).transpose()?.flatten();
            let kind = MailKind::Removed {
                organization: members::settings(txn.reader())?.name,
                actor: remover.map(|member| member.name).unwrap_or_default(),
                removed_at: at,
            };
            mail::queue(txn, at, removed.mail.as_str(), &language, kind)?;
        }
        Ok::<_, PeopleError>(())
    };
    let removed = store.submit(256, remove).await;
    carry_out(stores, id, &saga).await?;
    removed
}

/// Enters an organization's present name where operators see it.
///
/// # Errors
/// What the stores say.
pub async fn publish_name(stores: &Stores, org: OrgId) -> Result<(), PeopleError> {
    let settings = stores.organization(org)?.read(|view| members::settings(view)).await?;
    let key = stores.keyring().organization_key(org).ok_or(Refusal::NotFound { what: "organization" })?;
    let sealed_name = key.seal(NAME_PURPOSE, &org.0, settings.name.as_bytes());
    let entry = directory::Organization { id: org, created_at: settings.created_at, sealed_name };
    stores.system().submit(256, move |txn| Ok::<_, PeopleError>(directory::put_organization(txn, &entry)?)).await
}

/// An organization's name as operators see it; `None` once its key is destroyed. While a rotation is under way it is still
/// sealed under a version before the active one.
#[must_use]
pub fn organization_name(stores: &Stores, organization: &directory::Organization) -> Option<String> {
    let active = stores.keyring().organization_key(organization.id)?;
    let (id, version) = (active.id(), active.version());
    let before = (1..version).rev().filter_map(|version| stores.keyring().key(id, version));
    let mut keys = std::iter::once(active).chain(before);
    let name = keys.find_map(|key| key.open(NAME_PURPOSE, &organization.id.0, &organization.sealed_name).ok())?;
    String::from_utf8(name).ok()
}

/// Whether the name that operators see is sealed under the active version of the organization's key: those before it may go.
///
/// # Errors
/// What the system's store says.
pub fn name_is_current(stores: &Stores, org: OrgId) -> Result<bool, PeopleError> {
    let Some(active) = stores.keyring().organization_key(org) else { return Ok(true) };
    let entry = stores.system().view(|view| directory::organization(view, org))?;
    Ok(entry.is_none_or(|entry| active.open(NAME_PURPOSE, &org.0, &entry.sealed_name).is_ok()))
}

async fn carry_out(stores: &Stores, id: SagaId, saga: &Saga) -> Result<(), PeopleError> {
    match saga.clone() {
        Saga::Found { org, name, owner, mail, at, welcome } => {
            let keyring = Arc::clone(stores.keyring());
            let shelf = Arc::clone(stores.shelf());
            let store = tokio::task::spawn_blocking(move || {
                keyring
                    .add_organization(org, at)
                    .map_err(|error| PeopleError::Keyring { reason: error.to_string() })?;
                shelf.create_organization(org).map_err(PeopleError::from)
            })
            .await
            .map_err(|error| PeopleError::Keyring { reason: error.to_string() })??;
            let founded = move |txn: &Txn<'_>| {
                let fresh = members::found(txn, at, &name, owner, &mail)?;
                if let Some(Welcome { link, language }) = welcome.as_ref().filter(|_| fresh) {
                    let (organization, link) = (name.as_str().to_owned(), link.clone());
                    mail::queue(txn, at, mail.as_str(), language, MailKind::Founded { organization, link })?;
                }
                Ok::<_, PeopleError>(())
            };
            store.submit(512, founded).await?;
            publish_name(stores, org).await?;
            follow(stores, org, owner).await?;
        }
        Saga::Follow { org, user } => follow(stores, org, user).await?,
    }
    stores.system().submit(64, move |txn| Ok::<_, PeopleError>(txn.delete(&SAGAS, &id)?)).await
}

async fn follow(stores: &Stores, org: OrgId, user: UserId) -> Result<(), PeopleError> {
    let member = stores.organization(org)?.read(move |view| members::member(view, user)).await?;
    let belongs = member.is_some_and(|member| member.left_at.is_none());
    stores.system().submit(64, move |txn| Ok::<_, PeopleError>(directory::set_belongs(txn, user, org, belongs)?)).await
}

/// Finishes what an earlier run left half done; returns how many intents there were.
///
/// # Errors
/// What the stores or the keyring say.
pub async fn resume(stores: &Stores) -> Result<usize, PeopleError> {
    let left = stores
        .system()
        .read(|view| Ok::<_, PeopleError>(view.list(&SAGAS, &Span::all(), Order::Ascending, usize::MAX)?))
        .await?;
    for (id, saga) in &left {
        carry_out(stores, *id, saga).await?;
    }
    Ok(left.len())
}
