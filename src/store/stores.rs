//! All stores of one appliance, and the keyring that opens them.

use std::sync::Arc;

use super::{Shelf, Store, StoreError};
use crate::{
    ids::OrgId,
    seal::{DataKey, KeyKind, KeyState, Keyring},
    text::MailAddress,
};

/// What the HMAC over mail addresses is for.
const MAIL_PURPOSE: &str = "workrun mail index";

/// The system's store, the organizations' stores and their keys.
pub struct Stores {
    system: Arc<Store>,
    system_key: DataKey,
    shelf: Arc<Shelf>,
    keyring: Arc<Keyring>,
}

impl Stores {
    /// Puts the parts together.
    #[must_use]
    pub fn new(system: Arc<Store>, shelf: Arc<Shelf>, keyring: Arc<Keyring>) -> Self {
        Self { system, system_key: keyring.system_key(), shelf, keyring }
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

    /// What an address is looked up by in the system store: HMAC-SHA256 of its folded form under the system's key.
    #[must_use]
    pub fn mail_mac(&self, mail: &MailAddress) -> [u8; 32] {
        self.system_key.mac(MAIL_PURPOSE, mail.folded().as_bytes())
    }

    /// Closes every store cleanly.
    pub fn close(&self) {
        self.shelf.close();
        self.system.close();
    }
}
