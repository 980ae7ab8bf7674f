//! The shelf: where the stores' files stand, and which of them are open.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Store, StoreError, backend, key_of_file, make_folder};
use crate::{ids::OrgId, seal::Keyring};

/// Where everything of the data folder stands. What a restore swaps is under `live`; what must outlive it is beside it.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a data folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The data folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sealed keyring.
    #[must_use]
    pub fn keyring(&self) -> PathBuf {
        self.root.join("keyring")
    }

    /// The file whose lock keeps a second process out.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// What a restore swaps as a whole.
    #[must_use]
    pub fn live(&self) -> PathBuf {
        self.root.join("live")
    }

    /// The system's store.
    #[must_use]
    pub fn system(&self) -> PathBuf {
        self.live().join("system.store")
    }

    /// The folder of an organization's files, two levels so that ten thousand of them stay quick to list.
    #[must_use]
    pub fn organization(&self, org: OrgId) -> PathBuf {
        let text = org.to_string();
        // The last characters are random; the first ones are the time and would crowd one folder.
        self.live().join("orgs").join(&text[text.len() - 2..]).join(text)
    }

    /// An organization's store.
    #[must_use]
    pub fn organization_store(&self, org: OrgId) -> PathBuf {
        self.organization(org).join("org.store")
    }

    /// The folder of access log segments, of an organization or the system.
    #[must_use]
    pub fn trail(&self, org: Option<OrgId>) -> PathBuf {
        match org {
            Some(org) => self.organization(org).join("trail"),
            None => self.live().join("trail"),
        }
    }
}

struct Slot {
    store: Arc<Store>,
    used: u64,
}

#[derive(Default)]
struct Slots {
    open: HashMap<OrgId, Slot>,
    tick: u64,
}

/// Organizations' stores, opened on demand and bounded in number.
pub struct Shelf {
    layout: Layout,
    keyring: Arc<Keyring>,
    cache_bytes: usize,
    open_max: usize,
    slots: Mutex<Slots>,
}

impl Shelf {
    /// A shelf over a data folder: `cache_bytes` of cache a store, at most `open_max` stores open and idle.
    #[must_use]
    pub fn new(layout: Layout, keyring: Arc<Keyring>, cache_bytes: usize, open_max: usize) -> Self {
        Self { layout, keyring, cache_bytes, open_max: open_max.max(1), slots: Mutex::default() }
    }

    /// Where the files stand.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// An organization's store, opened if it is not.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the organization has no key (never made, or erased) or no file; else as [`Store::open`].
    pub fn organization(&self, org: OrgId) -> Result<Arc<Store>, StoreError> {
        let mut slots = self.slots.lock();
        slots.tick += 1;
        let tick = slots.tick;
        if let Some(slot) = slots.open.get_mut(&org) {
            slot.used = tick;
            return Ok(Arc::clone(&slot.store));
        }
        let active = self.keyring.organization_key(org).ok_or(StoreError::Missing)?;
        let path = self.layout.organization_store(org);
        let store = Store::open(&path, key_of_file(&self.keyring, &path, active), self.cache_bytes)?;
        slots.open.insert(org, Slot { store: Arc::clone(&store), used: tick });
        // Closed under the lock: the same file must not be opened again before it is.
        for idle in evict(&mut slots, self.open_max) {
            idle.close();
        }
        Ok(store)
    }

    /// Makes an organization's file, or finds the one that an interrupted attempt has made. Its key must be on the ring.
    ///
    /// # Errors
    /// As [`Store::create`] and [`Store::open`].
    pub fn create_organization(&self, org: OrgId) -> Result<Arc<Store>, StoreError> {
        let path = self.layout.organization_store(org);
        if !path.exists() {
            let key = self.keyring.organization_key(org).ok_or(StoreError::Missing)?;
            make_folder(&self.layout.organization(org))
                .map_err(|error| StoreError::Unopened { reason: error.to_string() })?;
            Store::create(&path, key, self.cache_bytes)?.close();
        }
        self.organization(org)
    }

    /// Puts another file in the place of an organization's store, which is kept as `previous`; the next use opens the new
    /// one. Returns `previous` if there was a store. What still reads or writes the old one is waited for.
    ///
    /// # Errors
    /// What the disk says; then the old file is in its place.
    pub fn replace(&self, org: OrgId, fresh: &Path, previous: &Path) -> Result<Option<PathBuf>, StoreError> {
        let disk = |error: std::io::Error| StoreError::Disk { reason: error.to_string() };
        let place = self.layout.organization_store(org);
        // Under the lock nobody opens the file while it changes.
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.open.remove(&org) {
            slot.store.close();
        }
        let was_there = place.exists();
        if was_there {
            // A link first: at every moment there is a store of that name.
            std::fs::hard_link(&place, previous).or_else(|_| std::fs::rename(&place, previous)).map_err(disk)?;
        }
        std::fs::rename(fresh, &place).map_err(disk)?;
        backend::sync_folder_of(&place).map_err(disk)?;
        Ok(was_there.then(|| previous.to_owned()))
    }

    /// The stores that are open now.
    #[must_use]
    pub fn opened(&self) -> Vec<(OrgId, Arc<Store>)> {
        self.slots.lock().open.iter().map(|(org, slot)| (*org, Arc::clone(&slot.store))).collect()
    }

    /// Closes every store cleanly.
    pub fn close(&self) {
        let open = std::mem::take(&mut self.slots.lock().open);
        for slot in open.into_values() {
            slot.store.close();
        }
    }
}

/// Takes the longest unused stores that nobody holds off the shelf, until at most `open_max` are left.
fn evict(slots: &mut Slots, open_max: usize) -> Vec<Arc<Store>> {
    let mut evicted = Vec::new();
    while slots.open.len() > open_max {
        let idle = slots.open.iter().filter(|(_, slot)| Arc::strong_count(&slot.store) == 1 && !slot.store.busy());
        let Some(oldest) = idle.min_by_key(|(_, slot)| slot.used).map(|(org, _)| *org) else { break };
        evicted.extend(slots.open.remove(&oldest).map(|slot| slot.store));
    }
    evicted
}
