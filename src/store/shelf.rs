//! The shelf: where the stores' files stand, and which of them are open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use super::{FileState, Store, StoreError, backend, key_of_file, make_folder};
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

/// One organization's place on the shelf.
#[derive(Default)]
struct Slot {
    /// Held while the file is opened, closed or replaced: a file is open once, and nobody waits for another's.
    store: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    store: Option<Arc<Store>>,
    /// Raised when the file that is being walked is wanted.
    walk: Option<Arc<AtomicBool>>,
}

#[derive(Default)]
struct Slots {
    /// With the tick of their last use.
    known: HashMap<OrgId, (Arc<Slot>, u64)>,
    tick: u64,
}

/// What a walk over every checksum of a closed file has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walked {
    /// All of it is what was written last.
    Whole,
    /// It is not; why.
    Damaged(String),
    /// Somebody uses it, or wanted to before the walk was through.
    InUse,
}

/// Organizations' stores, opened on demand and bounded in number.
pub struct Shelf {
    layout: Layout,
    keyring: Arc<Keyring>,
    cache_bytes: usize,
    open_max: usize,
    slots: Mutex<Slots>,
    /// Those that could not be opened when they were wanted last, and why.
    unopened: Mutex<BTreeMap<OrgId, String>>,
    /// Those whose disk failed to make a write durable, and that were closed before they could be rewritten.
    unsynced: Mutex<BTreeSet<OrgId>>,
}

impl Shelf {
    /// A shelf over a data folder: `cache_bytes` of cache a store, at most `open_max` stores open and idle.
    #[must_use]
    pub fn new(layout: Layout, keyring: Arc<Keyring>, cache_bytes: usize, open_max: usize) -> Self {
        let (slots, unopened, unsynced) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { layout, keyring, cache_bytes, open_max: open_max.max(1), slots, unopened, unsynced }
    }

    /// Where the files stand.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn slot(&self, org: OrgId) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        slots.tick += 1;
        let tick = slots.tick;
        let (slot, used) = slots.known.entry(org).or_default();
        *used = tick;
        Arc::clone(slot)
    }

    /// An organization's store, opened if it is not.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the organization has no key (never made, or erased) or no file; else as [`Store::open`].
    pub fn organization(&self, org: OrgId) -> Result<Arc<Store>, StoreError> {
        let slot = self.slot(org);
        let store = {
            let mut opened = slot.store.lock();
            if let Some(store) = &opened.store {
                return Ok(Arc::clone(store));
            }
            if let Some(walk) = opened.walk.take() {
                walk.store(true, Ordering::Release);
            }
            let found = self.open(org);
            opened.store = found.as_ref().ok().cloned();
            match &found {
                Ok(_) | Err(StoreError::Missing) => self.unopened.lock().remove(&org),
                Err(error) => self.unopened.lock().insert(org, error.to_string()),
            };
            found
        };
        drop(slot);
        self.evict();
        store
    }

    fn open(&self, org: OrgId) -> Result<Arc<Store>, StoreError> {
        let active = self.keyring.organization_key(org).ok_or(StoreError::Missing)?;
        let path = self.layout.organization_store(org);
        let key = key_of_file(&self.keyring, &path, active);
        // What the disk has not kept may still be in the system's memory: the file must not be written again.
        let unsynced = self.unsynced.lock().contains(&org);
        if unsynced {
            return Store::open_unsynced(&path, key, self.cache_bytes);
        }
        Store::open(&path, key, self.cache_bytes)
    }

    /// Closes a store, and keeps in mind whether its file may be written again.
    fn shut(&self, org: OrgId, store: &Store) {
        store.close();
        if store.is_reading_only() {
            self.unsynced.lock().insert(org);
        } else {
            self.unsynced.lock().remove(&org);
        }
    }

    /// Organizations whose store can only be read until it is rewritten, and is not open.
    #[must_use]
    pub fn unsynced(&self) -> Vec<OrgId> {
        let open: BTreeSet<OrgId> = self.opened().into_iter().map(|(org, _)| org).collect();
        self.unsynced.lock().difference(&open).copied().collect()
    }

    /// Closes the longest unused stores that nobody holds, until at most `open_max` are open.
    fn evict(&self) {
        loop {
            let oldest = {
                let mut slots = self.slots.lock();
                // Who holds no slot cannot come by one while the shelf is locked, so none of these waits.
                slots.known.retain(|_, (slot, _)| {
                    Arc::strong_count(slot) > 1 || slot.store.try_lock().is_none_or(|opened| !opened.is_nothing())
                });
                if slots.known.len() <= self.open_max {
                    return;
                }
                let idle = slots.known.iter().filter(|(_, (slot, _))| {
                    Arc::strong_count(slot) == 1 && slot.store.try_lock().is_some_and(|opened| opened.is_idle())
                });
                let Some((org, (slot, _))) = idle.min_by_key(|(_, (_, used))| *used) else { return };
                (*org, Arc::clone(slot))
            };
            // Closed under the slot's lock: the same file must not be opened again before it is.
            let (org, slot) = oldest;
            if let Some(store) = slot.store.lock().take_if_idle() {
                self.shut(org, &store);
            }
        }
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
        let slot = self.slot(org);
        // Under the lock nobody opens the file while it changes.
        let mut opened = slot.store.lock();
        if let Some(walk) = opened.walk.take() {
            walk.store(true, Ordering::Release);
        }
        if let Some(store) = opened.store.take() {
            store.close();
        }
        let was_there = place.exists();
        if was_there {
            // A link first: at every moment there is a store of that name.
            std::fs::hard_link(&place, previous).or_else(|_| std::fs::rename(&place, previous)).map_err(disk)?;
        }
        std::fs::rename(fresh, &place).map_err(disk)?;
        backend::sync_folder_of(&place).map_err(disk)?;
        self.unopened.lock().remove(&org);
        self.unsynced.lock().remove(&org);
        Ok(was_there.then(|| previous.to_owned()))
    }

    /// Walks every checksum of an organization's file, which notices even older copies of its blocks. The file must be
    /// closed for it: a store that nobody uses is, and whoever wants it meanwhile gets it at once and ends the walk.
    #[must_use]
    pub fn walk(&self, org: OrgId) -> Walked {
        let Some(active) = self.keyring.organization_key(org) else { return Walked::InUse };
        let path = self.layout.organization_store(org);
        let (slot, wanted) = (self.slot(org), Arc::new(AtomicBool::new(false)));
        {
            let mut opened = slot.store.lock();
            if let Some(store) = opened.take_if_idle() {
                self.shut(org, &store);
            }
            if opened.store.is_some() || opened.walk.is_some() {
                return Walked::InUse;
            }
            opened.walk = Some(Arc::clone(&wanted));
        }
        let walked = backend::walk_file(
            &path,
            &key_of_file(&self.keyring, &path, active),
            self.cache_bytes,
            Arc::clone(&wanted),
        );
        let mut opened = slot.store.lock();
        // Who wanted it has changed it since, perhaps: what was found then says nothing.
        if wanted.load(Ordering::Acquire) {
            return Walked::InUse;
        }
        opened.walk = None;
        walked.map_or_else(|error| Walked::Damaged(error.to_string()), |()| Walked::Whole)
    }

    /// The state of an organization's file on the disk, without opening it; none if that cannot be told at this moment.
    #[must_use]
    pub fn file_state(&self, org: OrgId) -> Option<FileState> {
        backend::file_state(&self.layout.organization_store(org), &self.keyring.organization_key(org)?).ok()
    }

    /// Closes an organization's store if nobody uses it, and tells the state of its file, if the store stands where it is said
    /// to: while the file is in that state, so does the store.
    #[must_use]
    pub fn settled_state(&self, org: OrgId, standing: (u64, u64)) -> Option<FileState> {
        let slot = self.slot(org);
        // Under the lock nobody opens the file again before its state was read.
        let mut opened = slot.store.lock();
        let store = opened.take_if_idle()?;
        let stands = store.standing().is_ok_and(|found| found == standing);
        self.shut(org, &store);
        if stands && !store.is_reading_only() { self.file_state(org) } else { None }
    }

    /// The stores that are open now.
    #[must_use]
    pub fn opened(&self) -> Vec<(OrgId, Arc<Store>)> {
        let slots = self.slots.lock();
        // One that is being opened or closed at this moment is passed over rather than waited for.
        let open = |(org, (slot, _)): (&OrgId, &(Arc<Slot>, u64))| {
            Some((*org, slot.store.try_lock()?.store.as_ref().map(Arc::clone)?))
        };
        slots.known.iter().filter_map(open).collect()
    }

    /// Organizations whose store cannot be opened or has blocks that cannot be read, with the reason.
    #[must_use]
    pub fn ailing(&self) -> BTreeMap<OrgId, String> {
        let mut ailing = self.unopened.lock().clone();
        ailing.extend(self.opened().into_iter().filter_map(|(org, store)| Some((org, store.trouble()?))));
        ailing
    }

    /// Closes every store cleanly.
    pub fn close(&self) {
        let known = std::mem::take(&mut self.slots.lock().known);
        for (org, (slot, _)) in known {
            if let Some(store) = slot.store.lock().store.take() {
                self.shut(org, &store);
            }
        }
    }
}

impl Opened {
    fn is_nothing(&self) -> bool {
        self.store.is_none() && self.walk.is_none()
    }

    /// Nobody holds the store or waits for it.
    fn is_idle(&self) -> bool {
        self.store.as_ref().is_some_and(|store| Arc::strong_count(store) == 1 && !store.busy())
    }

    /// Takes the store off, to be closed under this lock.
    fn take_if_idle(&mut self) -> Option<Arc<Store>> {
        if self.is_idle() { self.store.take() } else { None }
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
