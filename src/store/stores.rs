//! All stores of one appliance, and the keyring that opens them.

use std::{path::Path, sync::Arc};

use minicbor::bytes::ByteArray;

use super::{Shelf, Store, StoreError, Table, backend};
use crate::{
    ids::{OrgId, random_bytes},
    seal::{DataKey, KeyId, KeyKind, KeyState, Keyring},
    text::MailAddress,
};

/// What the HMAC over mail addresses is for.
const MAIL_PURPOSE: &str = "workrun mail index";
/// Secrets of the system's store by name: `index`, under which it looks up what it must not know. They stay when the key
/// that seals the store is changed.
const SECRETS: Table<String, ByteArray<32>> = Table::new("store_secrets");
/// What stands in these tables.
pub(super) const SHAPES: [super::Shape; 1] = [SECRETS.shape()];

/// The key version that a store's file names, if it is a version of `active` that still opens; else `active`, under which
/// opening the file then says what is wrong.
#[must_use]
pub fn key_of_file(keyring: &Keyring, path: &Path, active: DataKey) -> DataKey {
    let named = backend::read_superblock(path).ok().filter(|superblock| superblock.key_id == active.id());
    named.and_then(|superblock| keyring.key(superblock.key_id, superblock.key_version)).unwrap_or(active)
}

/// Whether a store's file can be read and says that this very key seals it.
#[must_use]
pub fn is_sealed_by(path: &Path, key: &DataKey) -> bool {
    backend::read_superblock(path).is_ok_and(|superblock| superblock.fingerprint == key.fingerprint())
}

/// The system's store, the organizations' stores and their keys.
pub struct Stores {
    system: Arc<Store>,
    index_key: DataKey,
    shelf: Arc<Shelf>,
    keyring: Arc<Keyring>,
    /// What is wrong with the system's file, as far as checksums tell.
    system_damage: Option<String>,
}

/// Walks every checksum of a store's file that nobody has open, which notices even older copies of its blocks. The file is
/// not written.
///
/// # Errors
/// What is wrong.
pub fn walk_closed(path: &Path, key: &DataKey, cache_bytes: usize) -> Result<(), String> {
    backend::walk_file(path, key, cache_bytes, Arc::default()).map_err(|error| error.to_string())
}

impl Stores {
    /// Puts the parts together.
    ///
    /// # Errors
    /// What the system's store says.
    pub fn new(system: Arc<Store>, shelf: Arc<Shelf>, keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        let name = "index".to_owned();
        let secret = match system.view(|view| view.get(&SECRETS, &name))? {
            Some(secret) => secret,
            None => {
                let fresh = ByteArray::from(random_bytes::<32>());
                system.write_now(|txn| txn.put(&SECRETS, &name, &fresh))?;
                fresh
            }
        };
        let index_key = DataKey::from_bytes(KeyId([0; 16]), 0, secret.into());
        Ok(Self { system, index_key, shelf, keyring, system_damage: None })
    }

    /// Keeps in mind what a walk of the system's file has found before it was opened.
    #[must_use]
    pub fn with_system_damage(self, system_damage: Option<String>) -> Self {
        Self { system_damage, ..self }
    }

    /// What is wrong with the system's file: it is always open while the appliance runs, and so walked before.
    #[must_use]
    pub fn system_damage(&self) -> Option<&str> {
        self.system_damage.as_deref()
    }

    /// The system's store.
    #[must_use]
    pub fn system(&self) -> &Arc<Store> {
        &self.system
    }

    /// An organization's store.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such organization.
    pub fn organization(&self, org: OrgId) -> Result<Arc<Store>, StoreError> {
        self.shelf.organization(org)
    }

    /// The organizations that have keys, oldest first: those that exist, whatever the system's store says.
    #[must_use]
    pub fn organizations(&self) -> Vec<OrgId> {
        let mut all: Vec<OrgId> = self
            .keyring
            .list()
            .iter()
            .filter(|key| key.state == KeyState::Active)
            .filter_map(|key| match key.kind {
                KeyKind::Organization(org) => Some(org),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// The shelf of organizations' stores.
    #[must_use]
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The keyring.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// What an address is looked up by in the system store: HMAC-SHA256 of its folded form under a secret of
    /// the system's store.
    #[must_use]
    pub fn mail_mac(&self, mail: &MailAddress) -> [u8; 32] {
        self.index_key.mac(MAIL_PURPOSE, mail.folded().as_bytes())
    }

    /// Closes every store cleanly.
    pub fn close(&self) {
        self.shelf.close();
        self.system.close();
    }
}
