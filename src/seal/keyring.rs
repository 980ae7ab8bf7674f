//! The keyring: every data key of the appliance, sealed to the root key and to the recovery key in one small file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use parking_lot::{Mutex, RwLock};

use super::{
    DataKey, Fingerprint, KeyId, KeyInfo, KeyKind, KeyState, RecoveryKey, RecoveryKeyError, RootKey, durable,
    keyring_content::Content, keyring_file, recovery,
};
use crate::{clock::Timestamp, ids::OrgId};

/// Why a keyring cannot be opened or changed. After an error of a change the keyring in memory is as before it.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read or written.
    #[error("the keyring {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A keyring stands where a new one was to be made.
    #[error("{path} exists; a keyring is never replaced by a new one, since what its keys sealed would be lost")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a keyring: it does not begin with the bytes WRKKEYS")]
    NotAKeyring {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the product wrote the file.
    #[error(
        "the keyring {path} has format {found}, which this version of workrun cannot read; nothing was changed; \
         install workrun {written_by} or newer"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version of the product that wrote it.
        written_by: String,
    },
    /// Another root key than the one given opens the file.
    #[error("this keyring needs root key {needs}, the one given is {given}")]
    WrongKey {
        /// What the file names.
        needs: Fingerprint,
        /// What was given.
        given: Fingerprint,
    },
    /// The right key, but the file is not what was written.
    #[error("the keyring {path} is damaged ({what}); nothing was changed; put a mirror of it in its place")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A copy that a change would overwrite is newer than the keyring that is in use.
    #[error(
        "{path} is the keyring's copy of state {copy}, the one in use is of state {own}: an older keyring was put in use; \
         nothing was changed; stop the appliance and put the newer copy in the place of the one in use, or, if it is \
         another appliance's, move it away"
    )]
    NewerCopy {
        /// The copy.
        path: PathBuf,
        /// Its state.
        copy: u64,
        /// The state of the keyring in use.
        own: u64,
    },
    /// The keyring was written without a recovery recipient.
    #[error("the keyring {path} was not sealed to any recovery key; only its root key opens it")]
    NoRecoveryPart {
        /// The file.
        path: PathBuf,
    },
    /// Another recovery key, or a damaged recovery part.
    #[error("the recovery key given, whose public half is {given}, does not open the keyring {path}")]
    NotTheRecoveryKey {
        /// The file.
        path: PathBuf,
        /// The public half of the key given.
        given: String,
    },
    /// A half of a recovery key cannot be read.
    #[error(transparent)]
    RecoveryKey(#[from] RecoveryKeyError),
    /// The organization was erased, so it never gets keys again.
    #[error("organization {0} was erased; its id cannot be used again")]
    Erased(OrgId),
    /// There is no such key version to change.
    #[error("there is no retained version {version} of key {id}")]
    NoSuchKey {
        /// The key.
        id: KeyId,
        /// The version.
        version: u32,
    },
    /// There is no room for another key.
    #[error("the keyring is full at 64 MiB; nothing was changed; move organizations to another appliance")]
    Full,
    /// The keyring was opened by the recovery key and has no root key to seal a change with.
    #[error("this keyring was opened with the recovery key, so it can only be read; give it a root key first")]
    ReadOnly,
}

/// Every data key, in memory and in its file. Reading waits for no disk; changes wait for each other.
pub struct Keyring {
    keys: RwLock<Keys>,
    home: Mutex<Option<Home>>,
    /// Organizations whose keys are to be made by whoever writes the file next: the file is written whole, so those who
    /// wait for it at the same time share one writing.
    wanted: Mutex<Vec<(OrgId, Timestamp)>>,
}

struct Keys {
    content: Content,
    /// Where each key version stands in the content.
    places: HashMap<(KeyId, u32), usize>,
    active: BTreeMap<KeyKind, DataKey>,
    system: DataKey,
    system_log: DataKey,
}

struct Home {
    path: PathBuf,
    root: RootKey,
    /// The highest sequence number ever given to the disk. A write that failed may yet be there, so its number is spent.
    sequence: u64,
}

impl Keyring {
    /// Makes a keyring with the system's keys, sealed to the root key and, if given, to a recovery recipient (`age1…`).
    ///
    /// # Errors
    /// [`KeyringError::Exists`] if the file exists; [`KeyringError::RecoveryKey`]; [`KeyringError::Io`].
    pub fn create(
        path: &Path,
        root: &RootKey,
        recovery_recipient: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let recipient = recovery_recipient.map(recovery::check_recipient).transpose()?;
        let mut content = Content { sequence: 1, recipient, ..Content::default() };
        content.make_key(KeyKind::System, now);
        content.make_key(KeyKind::SystemLog, now);
        write_first(path, &content, root)?;
        Self::of(path, content, Some(root.clone()))
    }

    /// Opens a keyring with the root key, after finishing a change that a crash interrupted.
    ///
    /// # Errors
    /// [`KeyringError`], naming what to do.
    pub fn open(path: &Path, root: RootKey) -> Result<Self, KeyringError> {
        durable::finish_replacing(path).map_err(|source| KeyringError::Io { path: path.to_owned(), source })?;
        let content = keyring_file::open(path, &keyring_file::read(path)?, &root)?;
        Self::of(path, content, Some(root))
    }

    /// Opens a keyring or a mirror with the recovery key (`AGE-SECRET-KEY-1…`), for reading: nothing is written.
    ///
    /// The recovery part is sealed by a *public* key, so it says less than the root key does: whoever can write the file
    /// could have put other keys in. Such keys open none of the data.
    ///
    /// # Errors
    /// [`KeyringError`], naming what to do.
    pub fn open_with_recovery(path: &Path, identity: &str) -> Result<Self, KeyringError> {
        let key = RecoveryKey::from_text(identity)?;
        let content = keyring_file::open_with_recovery(path, &keyring_file::read(path)?, &key)?;
        Self::of(path, content, None)
    }

    /// Opens a keyring or a mirror with the root key, for reading: nothing is written.
    ///
    /// # Errors
    /// [`KeyringError`], naming what to do.
    pub fn open_read_only(path: &Path, root: &RootKey) -> Result<Self, KeyringError> {
        Self::of(path, keyring_file::open(path, &keyring_file::read(path)?, root)?, None)
    }

    /// The same keys, for reading only.
    #[must_use]
    pub fn copy_for_reading(&self) -> Self {
        let keys = self.keys.read();
        let keys = Keys {
            content: keys.content.clone(),
            places: keys.places.clone(),
            active: keys.active.clone(),
            system: keys.system.clone(),
            system_log: keys.system_log.clone(),
        };
        Self { keys: RwLock::new(keys), home: Mutex::new(None), wanted: Mutex::default() }
    }

    /// Gives a keyring that the recovery key opened a new home, sealed to a new root key; it can then be changed.
    ///
    /// # Errors
    /// [`KeyringError::Exists`] if the file exists; [`KeyringError::Io`].
    pub fn settle(self, path: &Path, root: &RootKey) -> Result<Self, KeyringError> {
        let mut content = self.keys.into_inner().content;
        content.sequence += 1;
        write_first(path, &content, root)?;
        Self::of(path, content, Some(root.clone()))
    }

    fn of(path: &Path, content: Content, root: Option<RootKey>) -> Result<Self, KeyringError> {
        let home = root.map(|root| Home { path: path.to_owned(), root, sequence: content.sequence });
        let keys = Keys::of(content).ok_or_else(|| KeyringError::Damaged {
            path: path.to_owned(),
            what: "the system's keys are missing".to_owned(),
        })?;
        Ok(Self { keys: RwLock::new(keys), home: Mutex::new(home), wanted: Mutex::default() })
    }

    /// The system store's key.
    #[must_use]
    pub fn system_key(&self) -> DataKey {
        self.keys.read().system.clone()
    }

    /// The key of an organization's store and files; `None` if it is unknown or erased.
    #[must_use]
    pub fn organization_key(&self, organization: OrgId) -> Option<DataKey> {
        self.keys.read().active.get(&KeyKind::Organization(organization)).cloned()
    }

    /// The key of an organization's access log, or of the system's for `None`.
    #[must_use]
    pub fn log_key(&self, organization: Option<OrgId>) -> Option<DataKey> {
        let keys = self.keys.read();
        match organization {
            Some(id) => keys.active.get(&KeyKind::OrganizationLog(id)).cloned(),
            None => Some(keys.system_log.clone()),
        }
    }

    /// A key version that a file names in the clear; `None` if it is unknown or destroyed.
    #[must_use]
    pub fn key(&self, id: KeyId, version: u32) -> Option<DataKey> {
        let keys = self.keys.read();
        keys.content.keys.get(*keys.places.get(&(id, version))?)?.key.clone()
    }

    /// Counts the changes, from 1.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.keys.read().content.sequence
    }

    /// Every key version, destroyed ones too, in the order of their making.
    #[must_use]
    pub fn list(&self) -> Vec<KeyInfo> {
        self.keys.read().content.keys.iter().map(|entry| entry.info).collect()
    }

    /// The erased organizations and when their keys were destroyed.
    #[must_use]
    pub fn erased(&self) -> Vec<(OrgId, Timestamp)> {
        let keys = self.keys.read();
        keys.content.tombstones.iter().map(|tombstone| (tombstone.organization, tombstone.destroyed_at)).collect()
    }

    /// The public half of the recovery key.
    #[must_use]
    pub fn recovery_recipient(&self) -> Option<String> {
        self.keys.read().content.recipient.clone()
    }

    /// When the recovery key's secret half was handed to somebody; `None` until then.
    #[must_use]
    pub fn recovery_taken_at(&self) -> Option<Timestamp> {
        self.keys.read().content.recovery_taken_at
    }

    /// Makes an organization's two keys, on the disk when this returns. Does nothing if it has them. Calls that wait at the
    /// same time share one writing of the file.
    ///
    /// # Errors
    /// [`KeyringError::Erased`], [`KeyringError::Io`], [`KeyringError::ReadOnly`].
    pub fn add_organization(&self, organization: OrgId, now: Timestamp) -> Result<(), KeyringError> {
        self.wanted.lock().push((organization, now));
        let mut home = self.home.lock();
        let mut wanted = std::mem::take(&mut *self.wanted.lock());
        if !wanted.iter().any(|(other, _)| *other == organization) {
            // Somebody else wrote it while this waited; if that failed, it is tried once more here.
            wanted.push((organization, now));
        }
        let home = home.as_mut().ok_or(KeyringError::ReadOnly)?;
        self.write(home, None, |content| {
            let before = content.keys.len();
            for (organization, now) in wanted {
                content.make_organization(organization, now);
            }
            Ok(content.keys.len() != before)
        })?;
        if self.keys.read().content.is_buried(organization) { Err(KeyringError::Erased(organization)) } else { Ok(()) }
    }

    /// Destroys every version of an organization's keys and remembers its id, on the disk when this returns; the old
    /// file is overwritten. Does nothing if that was done. Mirrors are older until [`Self::mirror_to`] reaches them.
    ///
    /// # Errors
    /// [`KeyringError::Io`]: the keys may be gone from the file already; call again. [`KeyringError::ReadOnly`].
    pub fn destroy_organization(&self, organization: OrgId, now: Timestamp) -> Result<(), KeyringError> {
        self.change(|content| {
            let done = content.is_buried(organization);
            content.bury(organization, now);
            Ok(!done)
        })
    }

    /// Makes a new active version of each of these keys and retains those before: all of them by one write of the file, which
    /// holds the keys of everybody.
    ///
    /// # Errors
    /// [`KeyringError::Erased`], [`KeyringError::Io`], [`KeyringError::ReadOnly`]: no key was changed.
    pub fn rotate(&self, kinds: &[KeyKind], now: Timestamp) -> Result<(), KeyringError> {
        self.change(|content| {
            if let Some(id) = kinds.iter().filter_map(|kind| kind.organization()).find(|&id| content.is_buried(id)) {
                return Err(KeyringError::Erased(id));
            }
            for kind in kinds {
                content.make_key(*kind, now);
            }
            Ok(!kinds.is_empty())
        })
    }

    /// Destroys retained key versions that nothing names any more, by one write of the file. Those that are destroyed already
    /// are passed over.
    ///
    /// # Errors
    /// [`KeyringError::NoSuchKey`] for one that is active; [`KeyringError::Io`], [`KeyringError::ReadOnly`].
    pub fn destroy_versions(&self, versions: &BTreeSet<(KeyId, u32)>) -> Result<(), KeyringError> {
        self.change(|content| {
            let mut changed = false;
            for entry in &mut content.keys {
                let (id, version) = (entry.info.id, entry.info.version);
                match entry.info.state {
                    _ if !versions.contains(&(id, version)) => {}
                    KeyState::Active => return Err(KeyringError::NoSuchKey { id, version }),
                    KeyState::Retained => {
                        entry.destroy();
                        changed = true;
                    }
                    KeyState::Destroyed => {}
                }
            }
            Ok(changed)
        })
    }

    /// Seals the keyring to another recovery recipient (`age1…`), whose secret half counts as not taken. Mirrors stay
    /// sealed to the one before until [`Self::mirror_to`] reaches them.
    ///
    /// # Errors
    /// [`KeyringError::RecoveryKey`], [`KeyringError::Io`], [`KeyringError::ReadOnly`].
    pub fn set_recovery_recipient(&self, recipient: &str) -> Result<(), KeyringError> {
        let recipient = recovery::check_recipient(recipient)?;
        self.change(|content| {
            content.recipient = Some(recipient);
            content.recovery_taken_at = None;
            Ok(true)
        })
    }

    /// Notes that the recovery key's secret half was handed to somebody.
    ///
    /// # Errors
    /// [`KeyringError::Io`], [`KeyringError::ReadOnly`].
    pub fn set_recovery_taken(&self, now: Timestamp) -> Result<(), KeyringError> {
        self.change(|content| {
            content.recovery_taken_at = Some(now);
            Ok(true)
        })
    }

    /// Seals the keyring to another root key. The data keys stay, so nothing else needs sealing anew.
    ///
    /// # Errors
    /// [`KeyringError::Io`]: the file may be sealed to either key, and says which. [`KeyringError::ReadOnly`].
    pub fn set_root(&self, root: RootKey) -> Result<(), KeyringError> {
        self.change_with(Some(root), |_| Ok(true))
    }

    /// Takes over the erasures that another copy of this keyring knows of, and nothing else: keys never come back.
    /// Returns the organizations that were erased by it here.
    ///
    /// # Errors
    /// [`KeyringError`], of either file.
    pub fn take_erasures_from(&self, other: &Path) -> Result<Vec<OrgId>, KeyringError> {
        let root = self.home.lock().as_ref().map(|home| home.root.clone()).ok_or(KeyringError::ReadOnly)?;
        let other = keyring_file::open(other, &keyring_file::read(other)?, &root)?;
        let mut erased = Vec::new();
        self.change(|content| {
            erased = content.unite_erasures(&other);
            Ok(!erased.is_empty())
        })?;
        Ok(erased)
    }

    /// As [`Self::take_erasures_from`], for a keyring that is in memory only until [`Self::settle`].
    #[must_use]
    pub fn unite_erasures(&self, other: &Self) -> Vec<OrgId> {
        let mut keys = self.keys.write();
        let mut content = keys.content.clone();
        let erased = content.unite_erasures(&other.keys.read().content);
        keys.show(content);
        erased
    }

    /// Copies the file to `folder/keyring`, on the disk when this returns; an older copy there is overwritten, a newer one
    /// never: it may be the only one of keys made since. What is copied was opened first, so that a mirror is never worse
    /// than what it replaces.
    ///
    /// # Errors
    /// [`KeyringError::NewerCopy`]; [`KeyringError`], of either file.
    pub fn mirror_to(&self, folder: &Path) -> Result<(), KeyringError> {
        let home = self.home.lock();
        let home = home.as_ref().ok_or(KeyringError::ReadOnly)?;
        let bytes = keyring_file::read(&home.path)?;
        keyring_file::open(&home.path, &bytes, &home.root)?;
        let mirror = folder.join("keyring");
        let (copy, own) = (super::peek(&mirror).map_or(0, |clear| clear.sequence), home.sequence);
        if copy > own {
            return Err(KeyringError::NewerCopy { path: mirror, copy, own });
        }
        fs::create_dir_all(folder)
            .and_then(|()| durable::replace_and_shred(&mirror, &bytes))
            .map_err(|source| KeyringError::Io { path: mirror, source })
    }

    /// Overwrites what an interrupted [`Self::mirror_to`] has left of an older copy in `folder`.
    ///
    /// # Errors
    /// [`KeyringError::Io`].
    pub fn finish_mirror(&self, folder: &Path) -> Result<(), KeyringError> {
        let mirror = folder.join("keyring");
        durable::finish_replacing(&mirror).map_err(|source| KeyringError::Io { path: mirror, source })
    }

    /// Opens the copy in `folder`, which [`Self::mirror_to`] made, with the root key of this keyring.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn open_mirror(&self, folder: &Path) -> Result<Self, KeyringError> {
        let root = self.home.lock().as_ref().map(|home| home.root.clone()).ok_or(KeyringError::ReadOnly)?;
        let path = folder.join("keyring");
        Self::of(&path, keyring_file::open(&path, &keyring_file::read(&path)?, &root)?, None)
    }

    /// Applies `edit` to a copy, writes that, and only then shows it. `edit` says whether there is something to write.
    fn change(&self, edit: impl FnOnce(&mut Content) -> Result<bool, KeyringError>) -> Result<(), KeyringError> {
        self.change_with(None, edit)
    }

    fn change_with(
        &self,
        new_root: Option<RootKey>,
        edit: impl FnOnce(&mut Content) -> Result<bool, KeyringError>,
    ) -> Result<(), KeyringError> {
        let mut home = self.home.lock();
        let home = home.as_mut().ok_or(KeyringError::ReadOnly)?;
        self.write(home, new_root, edit)
    }

    fn write(
        &self,
        home: &mut Home,
        new_root: Option<RootKey>,
        edit: impl FnOnce(&mut Content) -> Result<bool, KeyringError>,
    ) -> Result<(), KeyringError> {
        let mut content = self.keys.read().content.clone();
        if !edit(&mut content)? {
            return Ok(());
        }
        home.sequence += 1;
        content.sequence = home.sequence;
        let root = new_root.unwrap_or_else(|| home.root.clone());
        let bytes = keyring_file::build(&content, &root)?;
        durable::replace_and_shred(&home.path, &bytes)
            .map_err(|source| KeyringError::Io { path: home.path.clone(), source })?;
        home.root = root;
        self.keys.write().show(content);
        Ok(())
    }
}

impl Keys {
    fn of(content: Content) -> Option<Self> {
        let active = content.active();
        let system = active.get(&KeyKind::System)?.clone();
        let system_log = active.get(&KeyKind::SystemLog)?.clone();
        Some(Self { places: places(&content), content, active, system, system_log })
    }

    /// No change takes the system's keys away, so the last ones serve where none is found.
    fn show(&mut self, content: Content) {
        self.active = content.active();
        if let Some(key) = self.active.get(&KeyKind::System) {
            self.system = key.clone();
        }
        if let Some(key) = self.active.get(&KeyKind::SystemLog) {
            self.system_log = key.clone();
        }
        self.places = places(&content);
        self.content = content;
    }
}

fn places(content: &Content) -> HashMap<(KeyId, u32), usize> {
    content.keys.iter().enumerate().map(|(at, entry)| ((entry.info.id, entry.info.version), at)).collect()
}

fn write_first(path: &Path, content: &Content, root: &RootKey) -> Result<(), KeyringError> {
    let io = |source| KeyringError::Io { path: path.to_owned(), source };
    for name in [path.to_owned(), durable::beside(path, "old")] {
        if name.try_exists().map_err(io)? {
            return Err(KeyringError::Exists { path: name });
        }
    }
    durable::replace_and_shred(path, &keyring_file::build(content, root)?).map_err(io)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read();
        write!(f, "Keyring(sequence {}, {} keys)", keys.content.sequence, keys.content.keys.len())
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
