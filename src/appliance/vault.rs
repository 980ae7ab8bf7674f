//! The system store as the vault of certificates and their keys.

use std::sync::Arc;

use minicbor::bytes::ByteVec;
use tokio::runtime::Handle;

use crate::{
    store::{Shape, Store, StoreError, Table},
    tls::{Vault, VaultError},
};

/// Certificates, keys and ACME accounts by name.
const VAULT: Table<String, ByteVec> = Table::new("vault");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [VAULT.shape()];

/// Keeps certificates in the sealed system store.
pub struct StoreVault {
    pub system: Arc<Store>,
    pub runtime: Handle,
}

impl Vault for StoreVault {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let found = self.system.view(|view| view.get(&VAULT, &name.to_owned()));
        found.map(|bytes| bytes.map(Vec::from)).map_err(|error: StoreError| VaultError::new(error))
    }

    fn put(&self, name: &str, value: &[u8]) -> Result<(), VaultError> {
        let (name, value) = (name.to_owned(), ByteVec::from(value.to_vec()));
        let put = self.system.submit(value.len(), move |txn| txn.put(&VAULT, &name, &value));
        self.runtime.block_on(put).map_err(|error: StoreError| VaultError::new(error))
    }
}
