//! What must stand before anything is served: the data folder and its lock, the root key, the keyring, the stores.
//!
//! A new key is never made where sealed data exists, and a missing store is never replaced by an empty one.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::{
    backup::Name,
    clock::Clock,
    config::{Config, SecretSource},
    control::Failure,
    ids::{base32, random_bytes},
    seal::{KeyKind, Keyring, RecoveryKey, RootKey, peek},
    store::{Layout, Shape, Shelf, Store, StoreError, Stores, Table, key_of_file, make_folder, walk_closed},
};

use super::{restoring, rotation};

/// Facts about this appliance in the system store: `epoch`.
const FACTS: Table<String, String> = Table::new("appliance_facts");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [FACTS.shape()];

/// An opened data folder.
pub struct Foundation {
    pub layout: Layout,
    pub stores: Arc<Stores>,
    /// Which history event numbers count in.
    pub epoch: String,
    /// Held until the process ends: a second appliance on the folder would destroy it.
    _lock: File,
}

/// A data folder that was made just now.
pub struct Made {
    pub foundation: Foundation,
    pub recovery_key: Zeroizing<String>,
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{what} {}: {error}", path.display())).kept("nothing was changed")
}

pub(super) fn lock(layout: &Layout) -> Result<File, Failure> {
    make_folder(layout.root()).map_err(|error| failed("cannot make the data folder", layout.root(), &error))?;
    let path = layout.lock();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("cannot open the lock", &path, &error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Failure::new(format!("another process uses the data folder {}", layout.root().display()))
            .kept("nothing was changed")
            .hint("stop it, or name another folder with --data-dir")
    })?;
    Ok(file)
}

/// Finishes a change of the root key that was cut off, or waits; returns the file that holds it.
pub(super) fn settle_root_key(config: &Config, layout: &Layout, stamp: &Name) -> Result<Option<PathBuf>, Failure> {
    let SecretSource::File(path) = &config.root_key else { return Ok(None) };
    let unsettled = |error: std::io::Error| failed("cannot settle the root key's file", path, &error);
    // One that does not open the keyring may open another: it is kept.
    if path.exists() && rotation::waiting(path).exists() && !opens(config, layout) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!("-before-{stamp}"));
        std::fs::rename(path, &aside).map_err(unsettled)?;
    }
    rotation::finish_root(path, &layout.keyring()).map_err(unsettled)?;
    Ok(Some(path.clone()))
}

/// The root key as it is, or a new one where nothing is sealed yet.
pub(super) fn root_key(config: &Config, layout: &Layout) -> Result<RootKey, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        let needs = peek(&layout.keyring()).map(|clear| format!("; this data needs root key {}", clear.root));
        Failure::new(format!("{error}{}", needs.unwrap_or_default())).kept("nothing was changed")
    };
    match &config.root_key {
        SecretSource::Environment(text) => RootKey::from_text(text).map_err(|error| unusable(&error)),
        SecretSource::Credential(_) => {
            let text = config.root_key.text().map_err(|error| unusable(&error))?;
            RootKey::from_text(&text).map_err(|error| unusable(&error))
        }
        SecretSource::File(path) if path.exists() => RootKey::from_file(path).map_err(|error| unusable(&error)),
        SecretSource::File(path) if layout.keyring().exists() => {
            Err(unusable(&format!("the root key's file {} is missing", path.display()))
                .hint("put the root key back where it was, or name its place with root_key_file"))
        }
        SecretSource::File(path) => {
            if let Some(folder) = path.parent() {
                make_folder(folder).map_err(|error| failed("cannot make the root key's folder", folder, &error))?;
            }
            let root = RootKey::fresh();
            root.write_new(path).map_err(|error| unusable(&error))?;
            Ok(root)
        }
    }
}

/// Makes data folder, root key, keyring, recovery key and the system's store.
///
/// # Errors
/// If there is a keyring already, or the disk refuses.
pub fn make(config: &Config, clock: &Clock, recovery_key_taken: bool) -> Result<Made, Failure> {
    let layout = Layout::new(&config.data_dir);
    let lock = lock(&layout)?;
    if layout.keyring().exists() {
        return Err(Failure::new(format!("{} holds an appliance's data already", layout.root().display()))
            .kept("nothing was changed")
            .hint("start it with `workrun serve`, or name another folder with --data-dir"));
    }
    let root = root_key(config, &layout)?;
    let recovery = RecoveryKey::generate();
    let recipient = recovery.recipient();
    // Nobody could ever use a recovery key that was not shown.
    let recipient = recovery_key_taken.then_some(recipient.as_str());
    let now = clock.now();
    let keyring = Keyring::create(&layout.keyring(), &root, recipient, now).map_err(|error| keyring_failure(&error))?;
    if recovery_key_taken {
        keyring.set_recovery_taken(now).map_err(|error| keyring_failure(&error))?;
    }
    let foundation = Foundation::over(config, layout, lock, keyring)?;
    Ok(Made { foundation, recovery_key: recovery.secret() })
}

fn keyring_failure(error: &crate::seal::KeyringError) -> Failure {
    Failure::new(error.to_string()).kept("the sealed data is untouched")
}

fn store_failure(error: &StoreError) -> Failure {
    Failure::new(format!("the system's store: {error}")).kept("the file is as it was")
}

impl Foundation {
    /// Whether there is anything to open.
    #[must_use]
    pub fn exists(config: &Config) -> bool {
        Layout::new(&config.data_dir).keyring().exists()
    }

    /// Opens the data folder of an appliance that does not run.
    ///
    /// # Errors
    /// If another process has it, the root key is missing or another one, or a store cannot be opened.
    pub fn open(config: &Config) -> Result<Self, Failure> {
        let layout = Layout::new(&config.data_dir);
        if !layout.keyring().exists() {
            return Err(Failure::new(format!("there is no appliance in {}", layout.root().display())).hint(
                "make one with `workrun init`, put one back with `workrun restore`, or name its folder with --data-dir",
            ));
        }
        let lock = lock(&layout)?;
        match restoring::finish_interrupted(&layout) {
            Ok(true) => tracing::warn!("a restore that was cut off was finished"),
            Ok(false) => {}
            Err(error) => return Err(failed("cannot finish the restore that was cut off in", layout.root(), &error)),
        }
        settle_root_key(config, &layout, &Name::new(Clock::System.now(), &config.time_zone))?;
        let root = root_key(config, &layout)?;
        let keyring = Keyring::open(&layout.keyring(), root).map_err(|error| keyring_failure(&error))?;
        Self::over(config, layout, lock, keyring)
    }

    fn over(config: &Config, layout: Layout, lock: File, keyring: Keyring) -> Result<Self, Failure> {
        let cache_bytes = config.store_cache_mib << 20;
        let path = layout.system();
        let mut damage = None;
        let system = if path.exists() {
            let key = key_of_file(&keyring, &path, keyring.system_key());
            damage = walk_closed(&path, &key, cache_bytes).err();
            Store::open(&path, key, cache_bytes)
        } else if keyring.list().iter().any(|key| matches!(key.kind, KeyKind::Organization(_))) {
            return Err(Failure::new(format!("the system's store {} is missing", path.display()))
                .kept("the organizations' files are untouched")
                .hint("put the file back, or restore it"));
        } else {
            make_folder(&layout.live()).map_err(|error| failed("cannot make the folder", &layout.live(), &error))?;
            Store::create(&path, keyring.system_key(), cache_bytes)
        };
        let system = system.map_err(|error| store_failure(&error))?;
        // Under another key a walk finds damage everywhere: that the key is wrong is what the open says.
        if let Some(reason) = &damage {
            tracing::error!(
                reason,
                "the system's store is damaged; `workrun verify all` names generations that are whole"
            );
        }
        let epoch = epoch(&system).map_err(|error| store_failure(&error))?;
        let keyring = Arc::new(keyring);
        let shelf = Arc::new(Shelf::new(layout.clone(), Arc::clone(&keyring), cache_bytes, config.stores_open_max));
        let stores =
            Stores::new(system, shelf, keyring).map_err(|error| store_failure(&error))?.with_system_damage(damage);
        Ok(Self { layout, stores: Arc::new(stores), epoch, _lock: lock })
    }

    /// Closes every store cleanly.
    pub fn close(&self) {
        self.stores.close();
    }
}

/// Whether the root key that the settings name opens the keyring in the data folder.
pub(super) fn opens(config: &Config, layout: &Layout) -> bool {
    !config.root_key.is_missing()
        && root_key(config, layout).is_ok_and(|root| Keyring::open_read_only(&layout.keyring(), &root).is_ok())
}

/// A new root key where the old one is lost, in a file that waits beside the one that the settings name:
/// [`settle_root_key`] puts it there once the keyring needs it.
pub(super) fn root_key_in_waiting(config: &Config) -> Result<(RootKey, PathBuf), Failure> {
    let SecretSource::File(path) = &config.root_key else {
        return Err(Failure::new("the root key does not come from a file, so no new one can be put in its place")
            .kept("nothing was changed")
            .hint("name a file with root_key_file, restore, and give its content to the service afterwards"));
    };
    if let Some(folder) = path.parent() {
        make_folder(folder).map_err(|error| failed("cannot make the root key's folder", folder, &error))?;
    }
    let unusable = |error: &dyn std::fmt::Display| Failure::new(error.to_string()).kept("nothing was changed");
    let waiting = rotation::waiting(path);
    match std::fs::remove_file(&waiting) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&error)),
        _ => {}
    }
    let root = RootKey::fresh();
    root.write_new(&waiting).map_err(|error| unusable(&error))?;
    Ok((root, waiting))
}

/// Lets the next start draw another epoch: event numbers count in another history then.
pub(super) fn forget_epoch(system: &Store) -> Result<(), StoreError> {
    system.write_now(|txn| txn.delete(&FACTS, &"epoch".to_owned()))
}

/// The system store's epoch, made with the store.
fn epoch(system: &Arc<Store>) -> Result<String, StoreError> {
    let name = "epoch".to_owned();
    if let Some(epoch) = system.view(|view| view.get(&FACTS, &name))? {
        return Ok(epoch);
    }
    let epoch = base32(&random_bytes::<10>());
    system.write_now(|txn| txn.put(&FACTS, &name, &epoch))?;
    Ok(epoch)
}
