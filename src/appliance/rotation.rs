//! New keys for what is sealed: a new version of each store's data key, under which the store is rewritten while it serves,
//! and a new root key for the keyring.
//!
//! A rotation that a crash cuts off is finished at the next start: a store's file names the version that seals it, so a
//! file under a version that is not the active one is rewritten.

use std::{fs, path::Path, path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use crate::{
    backup::Keeper,
    clock::Timestamp,
    control::Failure,
    ids::OrgId,
    people::sagas,
    seal::{DataKey, KeyKind, KeyState, RootKey, peek},
    store::{Rewritten, Store, StoreError, Stores, key_of_file},
};

/// Which stores get a new key.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// The system's and every organization's.
    All,
    /// One organization's.
    Organization(OrgId),
}

fn kinds(stores: &Stores, scope: Scope) -> Vec<KeyKind> {
    match scope {
        Scope::Organization(org) => vec![KeyKind::Organization(org)],
        Scope::All => {
            let organizations = stores.organizations().into_iter().map(KeyKind::Organization);
            organizations.chain([KeyKind::System]).collect()
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
        .kept("every store opens, under the new key or the one before")
        .hint("run it again: what is done stays done, and the next start finishes the rest")
}

/// Makes new versions of data keys, rewrites the stores under them, and destroys the versions before, unless a generation
/// names them: those are destroyed when it goes.
///
/// # Errors
/// What the keyring or the stores say; a second try finishes what the first began.
pub async fn rotate_data_keys(
    stores: &Arc<Stores>,
    keeper: &Keeper,
    at: Timestamp,
    scope: Scope,
) -> Result<Value, Failure> {
    let kinds: Arc<[KeyKind]> = kinds(stores, scope).into();
    let (keyring, all) = (Arc::clone(stores.keyring()), Arc::clone(&kinds));
    let rotated = tokio::task::spawn_blocking(move || keyring.rotate(&all, at)).await;
    rotated.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let (mut items, mut failures) = (Vec::new(), Vec::new());
    for &kind in &*kinds {
        let (version, rewritten) = match settle(stores, kind).await {
            Ok(settled) => settled,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        items.push(json!({
            "kind": if kind == KeyKind::System { "system" } else { "organization" },
            "organization": kind.organization().map(|org| org.to_string()),
            "version": version,
            "bytes": rewritten.map(|done| done.bytes_after),
            "pause_ms": rewritten.map(|done| u64::try_from(done.pause.as_millis()).unwrap_or(u64::MAX)),
        }));
    }
    let swept = sweep(stores, keeper).await;
    none_of(failures)?;
    swept?;
    Ok(json!({ "items": items }))
}

/// A store that cannot be rewritten keeps no other from being so; the first is told.
fn none_of(failures: Vec<Failure>) -> Result<(), Failure> {
    let more = failures.len().saturating_sub(1);
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) if more == 0 => Err(first),
        Some(first) => Err(Failure { message: format!("{} (and {more} more stores)", first.message), ..first }),
    }
}

async fn sweep(stores: &Arc<Stores>, keeper: &Keeper) -> Result<(), Failure> {
    keeper.sweep_keys().await.map_err(|error| failed(&error))?;
    tracing::info!(sequence = stores.keyring().sequence(), "data keys were rotated");
    // The mirror in the snapshot folder is brought up to date at once; if that fails the keeper goes on trying.
    if let Err(error) = keeper.mirror().await {
        tracing::error!(%error, "the keyring cannot be mirrored into the snapshot folder");
    }
    Ok(())
}

/// Finishes rotations that were cut off; returns how many stores were rewritten. A store's file names the version that seals
/// it, so those that need nothing are not opened.
///
/// # Errors
/// What the keyring or the stores say.
pub async fn finish(stores: &Arc<Stores>, keeper: &Keeper) -> Result<usize, Failure> {
    let keys = stores.keyring().list();
    let retained = keys.iter().filter(|key| key.state == KeyState::Retained).map(|key| key.kind);
    let mut unfinished: Vec<KeyKind> =
        retained.filter(|kind| matches!(kind, KeyKind::System | KeyKind::Organization(_))).collect();
    unfinished.sort_unstable();
    unfinished.dedup();
    if unfinished.is_empty() {
        return Ok(0);
    }
    let (mut rewritten, mut failures) = (0, Vec::new());
    for kind in &unfinished {
        let (keyring, layout) = (stores.keyring(), stores.shelf().layout());
        let (path, active) = match kind.organization() {
            None => (layout.system(), Some(keyring.system_key())),
            Some(org) => (layout.organization_store(org), keyring.organization_key(org)),
        };
        let Some(active) = active else { continue };
        let is_named = kind.organization().is_none_or(|org| sagas::name_is_current(stores, org).unwrap_or(true));
        if key_of_file(keyring, &path, active.clone()).version() != active.version() || !is_named {
            match settle(stores, *kind).await {
                Ok(_) => rewritten += 1,
                Err(failure) => failures.push(failure),
            }
        }
    }
    let swept = sweep(stores, keeper).await;
    none_of(failures)?;
    swept?;
    Ok(rewritten)
}

/// Brings one store under the active version of its key.
async fn settle(stores: &Arc<Stores>, kind: KeyKind) -> Result<(u32, Option<Rewritten>), Failure> {
    let (store, active) = match kind.organization() {
        None => (Arc::clone(stores.system()), Some(stores.keyring().system_key())),
        Some(org) => {
            let store = stores.organization(org).map_err(|error| failed(&error))?;
            (store, stores.keyring().organization_key(org))
        }
    };
    let active = active.ok_or_else(|| failed(&StoreError::Missing))?;
    let version = active.version();
    let rewritten = if store.key_version() == version { None } else { Some(rewrite(&store, active).await?) };
    if let Some(org) = kind.organization()
        && !sagas::name_is_current(stores, org).map_err(|error| failed(&error))?
    {
        // Its name for operators is sealed under its own key.
        sagas::publish_name(stores, org).await.map_err(|error| failed(&error))?;
    }
    Ok((version, rewritten))
}

async fn rewrite(store: &Arc<Store>, key: DataKey) -> Result<Rewritten, Failure> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || store.rewrite(&key, &mut |_| {})).await;
    done.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// The file in which a new root key waits to take the place of the present one.
pub fn waiting(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Seals the keyring to a new root key, which is written to `out`, or else takes the place of the file at `source`. At
/// every point one of the two files opens the keyring; [`finish_root`] settles which.
///
/// # Errors
/// What the disk or the keyring says; without any file to write to.
pub fn rotate_root(stores: &Stores, source: Option<&Path>, out: Option<&Path>) -> Result<Value, Failure> {
    let root = RootKey::fresh();
    let kept = |error: &dyn std::fmt::Display| Failure::new(error.to_string()).kept("the present root key stays valid");
    let (file, replaces) = match (out, source) {
        (Some(out), _) => (out.to_owned(), None),
        (None, Some(source)) => (waiting(source), Some(source)),
        (None, None) => {
            return Err(Failure::new(
                "the root key does not come from a file, so this cannot put a new one in its place",
            )
            .kept("the present root key stays valid")
            .hint("name a new file with --root-key-out, and give its content to the service afterwards"));
        }
    };
    if replaces.is_some() && file.exists() {
        fs::remove_file(&file).map_err(|error| kept(&error))?;
    }
    root.write_new(&file).map_err(|error| kept(&error))?;
    if let Err(error) = stores.keyring().set_root(root.clone()) {
        return Err(Failure::new(error.to_string())
            .kept(format!("both root keys, the present one and {}; the keyring says which it needs", file.display()))
            .hint("run it again"));
    }
    if let Some(source) = replaces {
        fs::rename(&file, source).and_then(|()| sync_folder(source)).map_err(|error| {
            failed(&error).hint("start the appliance again: it finds the new root key beside the old one")
        })?;
    }
    let place = replaces.unwrap_or(&file).display().to_string();
    Ok(json!({ "root_key": root.fingerprint().to_string(), "file": place }))
}

/// Ends a change of the root key that a crash cut off: the waiting file takes its place if the keyring needs it, and goes
/// if it does not.
///
/// # Errors
/// What the disk says.
pub fn finish_root(source: &Path, keyring: &Path) -> std::io::Result<()> {
    let file = waiting(source);
    let Ok(root) = RootKey::from_file(&file) else { return Ok(()) };
    let Ok(clear) = peek(keyring) else { return Ok(()) };
    if clear.root == root.fingerprint() {
        fs::rename(&file, source)?;
    } else {
        fs::remove_file(&file)?;
    }
    sync_folder(source)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}
