//! The directory follows the organizations' files: what it says of an organization is compared with the organization's own
//! members, and mended where it differs. A store that was put back from an older copy makes it differ; nothing else should,
//! since what touches both is a saga.

use std::collections::BTreeMap;

use super::{PeopleError, directory, members, sagas};
use crate::{
    ids::{OrgId, UserId},
    store::Stores,
    text::MailAddress,
};

/// What had to be mended in the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Organizations that were not listed.
    pub organizations: usize,
    /// Memberships and addresses that were not, or were wrongly, listed.
    pub people: usize,
}

/// Makes the directory say of an organization what its own file says.
///
/// An address keeps the user that the directory knows it by, unless that user belongs nowhere: then the organization's
/// user takes it, since that is who its history names.
///
/// # Errors
/// What the stores say; [`Refusal::NotFound`](super::Refusal::NotFound) if the organization is being erased.
pub async fn organization(stores: &Stores, org: OrgId) -> Result<Mended, PeopleError> {
    let present = stores.organization(org)?.read(|view| members::present(view)).await?;
    let people: BTreeMap<UserId, ([u8; 32], MailAddress)> =
        present.into_iter().map(|member| (member.user, (stores.mail_mac(&member.mail), member.mail))).collect();
    let wanted: Vec<(UserId, [u8; 32])> = people.iter().map(|(user, (mac, _))| (*user, *mac)).collect();
    let read = wanted.clone();
    let (listed, differs) = stores
        .system()
        .read(move |view| {
            let listed = directory::organization(view, org)?.is_some();
            Ok::<_, PeopleError>((listed, directory::differs(view, org, &read)?))
        })
        .await?;
    let mut mended = Mended::default();
    if !listed {
        sagas::publish_name(stores, org).await?;
        mended.organizations = 1;
    }
    if differs {
        mended.people = stores
            .system()
            .submit(wanted.len() * 64, move |txn| Ok::<_, PeopleError>(directory::follow(txn, org, &wanted)?))
            .await?;
    }
    Ok(mended)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Timestamp,
        ids::{InvitationId, SagaId},
        people::{Role, invitations, sagas::Founding},
        seal::{Keyring, RootKey},
        store::{Layout, Shelf, Store, StoreError},
        text::Name,
    };

    const NOW: Timestamp = Timestamp(1_780_000_000_000);

    fn appliance(folder: &std::path::Path) -> Stores {
        let layout = Layout::new(folder);
        let keyring = Keyring::create(&layout.keyring(), &RootKey::fresh(), None, NOW).expect("a keyring");
        std::fs::create_dir_all(layout.live()).expect("a folder");
        let system = Store::create(&layout.system(), keyring.system_key(), 1 << 20).expect("a store");
        let keyring = Arc::new(keyring);
        let shelf = Arc::new(Shelf::new(layout, Arc::clone(&keyring), 1 << 20, 8));
        Stores::new(system, shelf, keyring).expect("stores")
    }

    fn mail(text: &str) -> MailAddress {
        text.parse().expect("an address")
    }

    async fn founded(stores: &Stores) -> (OrgId, UserId) {
        let org = OrgId::fresh(NOW);
        let name = Name::parse("organization").expect("a name");
        let owner = sagas::found(stores, NOW, Founding { org, name, owner: mail("owner@example.jp"), welcome: None });
        (org, owner.await.expect("founded"))
    }

    async fn joined(stores: &Stores, org: OrgId, owner: UserId, address: &str) -> UserId {
        let (mac, user) = (stores.mail_mac(&mail(address)), UserId::fresh(NOW));
        let known = stores.system().submit(64, move |txn| directory::ensure_user(txn, &mac, user)).await;
        let user = known.expect("a user");
        let request = invitations::Request {
            id: InvitationId::fresh(NOW),
            mail: mail(address),
            role: Role::Member,
            ticket: invitations::Ticket::fresh(org),
            link: String::new(),
            language: "ja".to_owned(),
        };
        let ticket = request.ticket.clone();
        let store = stores.organization(org).expect("a store");
        let invited =
            store.submit(64, move |txn| invitations::invite(txn, NOW, owner, Role::Owner, &request).map(|_| ()));
        invited.await.expect("invited");
        let name = Name::parse("somebody").expect("a name");
        sagas::join(stores, NOW, ticket, user, mail(address), name).await.expect("joined");
        user
    }

    fn belongs(stores: &Stores, address: &str) -> Option<(UserId, Vec<OrgId>)> {
        let mac = stores.mail_mac(&mail(address));
        stores
            .system()
            .view(|view| {
                let Some(user) = directory::user_by_mail(view, &mac)? else { return Ok(None) };
                Ok::<_, StoreError>(directory::user(view, user)?.map(|known| (user, known.organizations)))
            })
            .expect("read")
    }

    #[tokio::test]
    async fn an_older_directory_learns_of_organizations_and_people() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut stores = appliance(folder.path());
        let (org, owner) = founded(&stores).await;
        let member = joined(&stores, org, owner, "member@example.jp").await;
        assert_eq!(organization(&stores, org).await.expect("compared"), Mended::default(), "nothing differs");

        // The system's store of before the founding.
        stores.close();
        let layout = Layout::new(folder.path());
        std::fs::remove_file(layout.system()).expect("removed");
        let keyring = Arc::clone(stores.keyring());
        let system = Store::create(&layout.system(), keyring.system_key(), 1 << 20).expect("a store");
        let shelf = Arc::new(Shelf::new(layout, Arc::clone(&keyring), 1 << 20, 8));
        stores = Stores::new(system, shelf, keyring).expect("stores");
        assert_eq!(stores.organizations(), [org]);
        assert_eq!(organization(&stores, org).await.expect("mended"), Mended { organizations: 1, people: 2 });
        assert_eq!(belongs(&stores, "owner@example.jp"), Some((owner, vec![org])));
        assert_eq!(belongs(&stores, "member@example.jp"), Some((member, vec![org])));
        assert_eq!(organization(&stores, org).await.expect("compared"), Mended::default());
    }

    #[tokio::test]
    async fn who_is_no_member_any_more_is_not_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = appliance(folder.path());
        let (org, _) = founded(&stores).await;
        let stranger = UserId::fresh(NOW);
        let listed = stores.system().submit(64, move |txn| directory::set_belongs(txn, stranger, org, true)).await;
        listed.expect("listed");
        assert_eq!(organization(&stores, org).await.expect("mended"), Mended { organizations: 0, people: 1 });
        let known = stores.system().view(|view| directory::user(view, stranger)).expect("read").expect("the user");
        assert!(known.organizations.is_empty());
    }

    #[tokio::test]
    async fn an_address_that_was_typed_anew_goes_back_to_whom_the_history_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = appliance(folder.path());
        let (org, owner) = founded(&stores).await;
        let (mac, other) = (stores.mail_mac(&mail("owner@example.jp")), UserId::fresh(NOW));
        let put = stores.system().submit(64, move |txn| directory::assign(txn, &mac, other)).await;
        put.expect("assigned");
        organization(&stores, org).await.expect("mended");
        assert_eq!(belongs(&stores, "owner@example.jp"), Some((owner, vec![org])));
    }

    #[tokio::test]
    async fn an_interrupted_founding_is_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = appliance(folder.path());
        let org = OrgId::fresh(NOW);
        let name = Name::parse("organization").expect("a name");
        let founding = Founding { org, name, owner: mail("owner@example.jp"), welcome: None };
        sagas::intend_founding(&stores, SagaId::fresh(NOW), NOW, founding).await.expect("intended");
        assert_eq!(sagas::resume(&stores).await.expect("resumed"), 1);
        assert_eq!(sagas::resume(&stores).await.expect("resumed"), 0);
        assert_eq!(stores.organizations(), [org]);
        assert_eq!(organization(&stores, org).await.expect("compared"), Mended::default());
    }
}
