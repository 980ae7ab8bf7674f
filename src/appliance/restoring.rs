//! Putting everything back from a generation, on this machine or a bare one.
//!
//! The generation is filled into a folder beside the live one, checked, settled, and only then swapped in by renaming;
//! what stood there before is kept and named. A crash at any moment leaves the old data or the new, whole:
//! [`finish_interrupted`] sees to that at the next start.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    backup::{
        self, Entry, Generation, Generations, Manifest, Name, Progress, Report,
        offsite::{Fetched, Offsite, OffsiteError},
    },
    cli::RestoreWish,
    clock::{Clock, Timestamp},
    config::{Config, SecretSource},
    control::{Failure, Response, SecretText},
    ids::Secret,
    people::{PeopleError, directory, links, sagas},
    seal::{Keyring, KeyringError, RootKey, peek},
    store::{Layout, Shelf, Store, Stores, make_folder},
};

use super::{
    foundation::{self, forget_epoch},
    serve::{offsite_scratch, public_url},
};

/// The folder in which the new data comes into being.
fn scratch(layout: &Layout) -> PathBuf {
    layout.root().join("restoring")
}

/// Stands in the scratch folder once everything in it is whole: from then on the restore goes forward, whatever happens.
/// It holds the stamp with which what stood there before is named.
fn complete_mark(folder: &Path) -> PathBuf {
    folder.join("complete")
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Puts `from` in the place of `to`, which is put aside under the stamp. Can be cut off and begun again at any moment.
fn swap_in(from: &Path, to: &Path, stamp: &str) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        fs::rename(to, aside(to, stamp))?;
    }
    fs::rename(from, to)
}

/// Where something is kept that a restore has replaced.
fn aside(path: &Path, stamp: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-before-{stamp}"));
    name.into()
}

/// Carries a restore through that is whole, and removes one that is not. Returns whether there was one to carry through.
///
/// # Errors
/// What the disk says; it can be tried again.
pub fn finish_interrupted(layout: &Layout) -> io::Result<bool> {
    let folder = scratch(layout);
    if !folder.exists() {
        return Ok(false);
    }
    let stamp = fs::read_to_string(complete_mark(&folder)).ok().filter(|stamp| Name::parse(stamp).is_some());
    if let Some(stamp) = &stamp {
        let fresh = Layout::new(&folder);
        swap_in(&fresh.keyring(), &layout.keyring(), stamp)?;
        swap_in(&fresh.live(), &layout.live(), stamp)?;
        sync(layout.root())?;
    }
    fs::remove_dir_all(&folder)?;
    sync(layout.root())?;
    Ok(stamp.is_some())
}

fn failed(what: impl std::fmt::Display) -> Failure {
    Failure::new(what.to_string()).kept("the data that was there is as it was")
}

fn on_disk(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| failed(format!("{}: {error}", path.display()))
}

/// What opens keyrings.
enum Opener<'k> {
    Root(RootKey),
    Recovery(&'k str),
}

impl Opener<'_> {
    fn open(&self, path: &Path) -> Result<Keyring, KeyringError> {
        match self {
            Self::Root(root) => Keyring::open_read_only(path, root),
            Self::Recovery(text) => Keyring::open_with_recovery(path, text),
        }
    }
}

/// The keyring to restore with.
struct Ring {
    ring: Keyring,
    /// The root key under which it comes to the data folder, if it does not stand there already.
    settles_under: Option<RootKey>,
    /// Where that root key was written, if it was made now.
    root_key_file: Option<PathBuf>,
    notes: Vec<String>,
}

/// Finds the keyring: of the one in the data folder and the mirror beside the generation, the newest that opens and holds
/// the generation's key.
fn keyring(
    config: &Config,
    layout: &Layout,
    generation: &Generation,
    mirror: &Path,
    wish: &RestoreWish,
) -> Result<Ring, Failure> {
    let place = layout.keyring();
    let opener = match &wish.recovery_key {
        Some(SecretText(text)) => Opener::Recovery(text),
        None => Opener::Root(known_root_key(config, layout, mirror)?),
    };
    let (key_id, version) = backup::key_needed(&generation.path).map_err(failed)?;
    let (mut chosen, mut others, mut refused) = (None::<(Keyring, bool)>, Vec::new(), Vec::new());
    for (path, is_live) in [(&place, true), (&mirror.to_owned(), false)] {
        if !path.exists() {
            continue;
        }
        match opener.open(path) {
            Ok(ring) if ring.key(key_id, version).is_none() => {
                refused.push(format!("{} does not hold the generation's key", path.display()));
            }
            Ok(ring) => {
                let newer = chosen.as_ref().is_none_or(|(best, _)| ring.sequence() > best.sequence());
                let other = if newer { chosen.replace((ring, is_live)).map(|(ring, _)| ring) } else { Some(ring) };
                others.extend(other);
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    let Some((ring, is_live)) = chosen else {
        let why =
            if refused.is_empty() { format!("there is none at {}", mirror.display()) } else { refused.join("; ") };
        return Err(failed(format!("no keyring opens this generation: {why}")));
    };
    let mut found = Ring { ring, settles_under: None, root_key_file: None, notes: Vec::new() };
    if wish.dry_run {
        return Ok(found);
    }
    if !is_live {
        found.notes.push(format!("the keyring was put back from {}", mirror.display()));
    }
    match opener {
        Opener::Root(root) if is_live => {
            let live = Keyring::open(&place, root).map_err(failed)?;
            match live.take_erasures_from(mirror) {
                Ok(erased) if erased.is_empty() => {}
                Ok(erased) => {
                    found.notes.push(format!("{} organizations were erased since, and stay so", erased.len()));
                }
                Err(error) => {
                    found.notes.push(format!("erasures that only the other copy knows are not known: {error}"));
                }
            }
            found.ring = live;
        }
        Opener::Root(root) => {
            unite(&mut found, &others);
            found.settles_under = Some(root);
        }
        // The root key that is there may be the right one: then nothing about keys changes.
        Opener::Recovery(_) if is_live && foundation::opens(config, layout) => {}
        Opener::Recovery(_) => {
            unite(&mut found, &others);
            let (root, path) = foundation::root_key_in_waiting(config)?;
            found.settles_under = Some(root);
            found.root_key_file = Some(path);
        }
    }
    Ok(found)
}

/// What another copy knows to be erased stays so, whichever copy is put to use.
fn unite(found: &mut Ring, others: &[Keyring]) {
    let erased: usize = others.iter().map(|other| found.ring.unite_erasures(other).len()).sum();
    if erased > 0 {
        found.notes.push(format!("{erased} organizations were erased since, and stay so"));
    }
}

/// The root key, which must be there: one that is made now opens nothing.
fn known_root_key(config: &Config, layout: &Layout, mirror: &Path) -> Result<RootKey, Failure> {
    if let SecretSource::File(path) = &config.root_key
        && !path.exists()
    {
        let needs = peek(mirror)
            .map_or_else(|_| String::new(), |clear| format!("; the generation needs root key {}", clear.root));
        return Err(failed(format!("the root key's file {} is missing{needs}", path.display()))
            .hint("put it there, or name the recovery key's file with --recovery-key-file"));
    }
    foundation::root_key(config, layout)
}

fn find(config: &Config, from: &str) -> Result<(Generation, PathBuf), Failure> {
    let generations = Generations::new(&config.snapshots.folder);
    let found = generations.find(from).map_err(|error| {
        failed(error).hint("`workrun snapshots` names the generations; a folder is named by its path")
    })?;
    let folder = found.path.parent().unwrap_or(Path::new("."));
    Ok((found.clone(), folder.join("keyring")))
}

/// Fetches what of an off-site generation says what it holds.
async fn fetch(config: &Config, from: &str) -> Result<(Offsite, Fetched), Failure> {
    let Some(settings) = config.offsite.clone() else {
        return Err(failed(OffsiteError::NotSet).hint("set offsite_url, offsite_region and the credentials"));
    };
    let offsite = Offsite::new(settings, offsite_scratch(config));
    let fetched = offsite.fetch(from).await.map_err(failed)?;
    Ok((offsite, fetched))
}

/// Fetches the segments that keys are there for: those of erased organizations open nowhere.
async fn fetch_segments(
    offsite: &Offsite,
    fetched: &Fetched,
    manifest: &Manifest,
    keyring: &Keyring,
    to_fill: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    let wanted: Vec<&Entry> = manifest
        .entries
        .iter()
        .filter(|entry| entry.org.is_none_or(|org| keyring.organization_key(org).is_some()))
        .collect();
    let bytes: u64 = wanted.iter().map(|entry| entry.bytes).sum();
    backup::room_for(&fetched.generation.name, &fetched.generation.path, bytes + to_fill).map_err(failed)?;
    offsite.fetch_segments(fetched, &wanted, progress).await.map_err(|error| {
        failed(error)
            .hint("the same command goes on from what was fetched; `workrun verify --offsite` names what is damaged")
    })
}

/// Restores everything. Nothing may run on the data folder.
///
/// # Errors
/// [`Failure`]: then the data that was there is as it was.
pub async fn everything(config: &Config, wish: &RestoreWish, progress: Arc<Progress>) -> Response {
    let clock = Clock::System;
    let (began, now) = (Instant::now(), clock.now());
    let layout = Layout::new(&config.data_dir);
    let _lock = foundation::lock(&layout)?;
    finish_interrupted(&layout).map_err(on_disk(layout.root()))?;
    let stamp = Name::new(now, &config.time_zone);
    let away = if wish.offsite { Some(fetch(config, &wish.from).await?) } else { None };
    let (generation, mirror) = match &away {
        Some((_, fetched)) => (fetched.generation.clone(), fetched.keyring.clone()),
        None => find(config, &wish.from)?,
    };
    let Ring { ring: keyring, settles_under, root_key_file, mut notes } =
        keyring(config, &layout, &generation, &mirror, wish)?;
    let manifest = Manifest::read(&generation.path, &keyring).map_err(failed)?;
    let reading = keyring.copy_for_reading();
    let live = Present::open(config, &layout, &keyring);
    let plan = plan(&manifest, &keyring, &live);
    let needed: u64 = manifest.entries.iter().map(|entry| entry.plain_bytes).sum();
    backup::room_for(&generation.name, layout.root(), needed).map_err(failed)?;
    if wish.dry_run {
        live.close();
        if let Some((_, fetched)) = &away {
            fetched.put_away();
        }
        return Ok(json!({
            "generation": generation.name.as_str(),
            "dry_run": true,
            "organizations": plan,
            "needed_bytes": needed,
        }));
    }
    if let Some((offsite, fetched)) = &away {
        fetch_segments(offsite, fetched, &manifest, &keyring, needed, &progress).await?;
    }
    let folder = scratch(&layout);
    make_folder(&folder).map_err(on_disk(&folder))?;
    let fresh = Layout::new(&folder);
    let (keyring, filled) = {
        let (generation, manifest, fresh) = (generation.clone(), manifest.clone(), fresh.clone());
        let (threads, progress) = (config.snapshots.threads, Arc::clone(&progress));
        let filling = move || {
            let filled = backup::fill(&generation, &manifest, &keyring, &fresh, threads, &progress);
            (keyring, filled)
        };
        tokio::task::spawn_blocking(filling).await.map_err(failed)?
    };
    let filled = match filled {
        Ok(filled) => filled,
        Err(error) => {
            live.close();
            let _ = fs::remove_dir_all(&folder);
            return Err(failed(error).hint("`workrun verify all` names the generations that are whole"));
        }
    };
    let report = Report::of_restore(generation.name.as_str(), now, began.elapsed(), &filled);
    let (settled, link) = settle(config, keyring, &fresh, &live, wish, &generation, now, report).await?;
    live.close();
    link_trails(&layout, &fresh).map_err(on_disk(&folder))?;

    let (had_live, had_keyring) = (layout.live().exists(), layout.keyring().exists());
    if let Some(root) = &settles_under {
        reading.settle(&fresh.keyring(), root).map_err(failed)?;
    }
    let mark = complete_mark(&folder);
    let write_mark = || {
        let mut file = fs::File::create(&mark)?;
        file.write_all(stamp.as_str().as_bytes())?;
        file.sync_all()?;
        sync(&folder)
    };
    write_mark().map_err(on_disk(&mark))?;
    finish_interrupted(&layout).map_err(|error| {
        Failure::new(format!("{}: {error}", layout.live().display()))
            .kept(format!("the restored data is whole in {}", folder.display()))
            .hint("start the appliance: it carries the restore through")
    })?;
    if had_keyring && settles_under.is_some() {
        notes.push(format!("the keyring that stood there is {}", aside(&layout.keyring(), stamp.as_str()).display()));
    }
    if let Some(waiting) = root_key_file {
        let place = foundation::settle_root_key(config, &layout, &stamp)?;
        notes.push(format!("a new root key was made, in {}", place.unwrap_or(waiting).display()));
    }
    if let Some((_, fetched)) = &away
        && let Err(error) = fetched.remove()
    {
        notes.push(format!("what was fetched could not be removed: {error}"));
    }
    let previous = aside(&layout.live(), stamp.as_str());
    Ok(json!({
        "generation": generation.name.as_str(),
        "organizations": plan,
        "records_expected": manifest.entries.iter().filter(|entry| filled.iter().any(|one| one.org == entry.org)).map(Entry::records).sum::<u64>(),
        "records_restored": filled.iter().map(|one| one.records).sum::<u64>(),
        "tokens_disabled": settled,
        "previous": had_live.then(|| previous.display().to_string()),
        "notes": notes,
        "seconds": began.elapsed().as_millis() as f64 / 1000.0,
        "url": link,
    }))
}

/// What can be read of the data that is there: for what a restore would change, and for receipt numbers.
struct Present {
    stores: Option<Stores>,
}

impl Present {
    /// Opens what there is with the keys that the restore uses; what does not open is not there.
    fn open(config: &Config, layout: &Layout, keyring: &Keyring) -> Self {
        let open = || {
            let copy = Arc::new(keyring.copy_for_reading());
            let system = Store::open(
                &layout.system(),
                crate::store::key_of_file(&copy, &layout.system(), copy.system_key()),
                config.store_cache_mib << 20,
            )
            .ok()?;
            let shelf = Shelf::new(layout.clone(), Arc::clone(&copy), 1 << 20, 16);
            Stores::new(system, Arc::new(shelf), copy).ok()
        };
        Self { stores: open() }
    }

    fn close(&self) {
        if let Some(stores) = &self.stores {
            stores.close();
        }
    }
}

/// For every organization of then and of now: what it has now, and had then.
fn plan(manifest: &Manifest, keyring: &Keyring, live: &Present) -> Vec<Value> {
    let mut orgs: Vec<_> = manifest.entries.iter().filter_map(|entry| entry.org).collect();
    if let Some(stores) = &live.stores {
        orgs.extend(stores.organizations());
    }
    orgs.sort_unstable();
    orgs.dedup();
    orgs.into_iter()
        .map(|org| {
            let erased = keyring.organization_key(org).is_none();
            let now = live.stores.as_ref().and_then(|stores| stores.organization(org).ok()?.records().ok());
            let then = manifest.entry(Some(org)).map(|entry| &entry.tables);
            let mut row = json!({
                "organization": org.to_string(),
                "becomes": match (erased, now.is_some(), then.is_some()) {
                    (true, ..) => "stays erased",
                    (_, _, false) => "lost: it was made later",
                    (_, false, true) => "restored",
                    (_, true, true) => "replaced",
                },
            });
            for table in ["cards", "members", "tokens"] {
                row[format!("{table}_now")] = json!(now.as_ref().map(|tables| tables.get(table).copied().unwrap_or(0)));
                row[format!("{table}_then")] = json!(then.map(|tables| tables.get(table).copied().unwrap_or(0)));
            }
            row
        })
        .collect()
}

/// Settles the restored stores; returns how many tokens were disabled, and a link by which an operator enters.
#[expect(clippy::too_many_arguments, reason = "one step of one function, told apart to be read")]
async fn settle(
    config: &Config,
    keyring: Keyring,
    fresh: &Layout,
    live: &Present,
    wish: &RestoreWish,
    generation: &Generation,
    now: Timestamp,
    report: Report,
) -> Result<(usize, Option<String>), Failure> {
    let keyring = Arc::new(keyring);
    let system = Store::open(&fresh.system(), keyring.system_key(), config.store_cache_mib << 20).map_err(failed)?;
    forget_epoch(&system).map_err(failed)?;
    let shelf = Arc::new(Shelf::new(fresh.clone(), Arc::clone(&keyring), 1 << 20, 16));
    let stores = Stores::new(system, shelf, keyring).map_err(failed)?;
    let mut tokens = 0;
    for org in stores.organizations() {
        // Made after the generation: it has a key, and no file here.
        let Ok(store) = stores.organization(org) else { continue };
        let present = live.stores.as_ref().and_then(|stores| stores.organization(org).ok());
        let done = backup::settle(&store, present.as_deref(), now, generation.name.as_str(), wish.keep_tokens, false);
        tokens += done.map_err(failed)?.tokens_disabled;
        sagas::publish_name(&stores, org).await.map_err(failed)?;
    }
    let secret = Secret::<16>::fresh();
    let kept = secret.clone();
    let operator = stores.system().view(|view| directory::operators(view)).map_err(failed)?.first().map(|one| one.user);
    let purpose = operator.map_or(links::Purpose::FirstOperator, links::Purpose::SignIn);
    stores
        .system()
        .submit(256, move |txn| {
            backup::keep_report(txn, &report)?;
            links::put(txn, &kept, &links::Link { purpose: purpose.clone(), expires_at: now.plus(links::LIFE_FIRST) })?;
            Ok::<_, PeopleError>(())
        })
        .await
        .map_err(failed)?;
    stores.close();
    let url = format!("{}/sign-in/link?t={}", public_url(config, config.listen.first().copied()), secret.text());
    Ok((tokens, Some(url)))
}

/// The access log is not put back: what was written since stays. Its files are linked into the new folder.
fn link_trails(old: &Layout, fresh: &Layout) -> io::Result<()> {
    link_folder(&old.trail(None), &fresh.trail(None))?;
    let Ok(groups) = fs::read_dir(old.live().join("orgs")) else { return Ok(()) };
    for group in groups {
        for org in fs::read_dir(group?.path())? {
            let Ok(org) = org?.file_name().to_string_lossy().parse() else { continue };
            if fresh.organization(org).is_dir() {
                link_folder(&old.trail(Some(org)), &fresh.trail(Some(org)))?;
            }
        }
    }
    Ok(())
}

fn link_folder(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(files) = fs::read_dir(from) else { return Ok(()) };
    make_folder(to)?;
    for file in files {
        let file = file?;
        let target = to.join(file.file_name());
        // A segment goes on being written: a copy where no link can be.
        fs::hard_link(file.path(), &target).or_else(|_| fs::copy(file.path(), &target).map(|_| ()))?;
    }
    sync(to)
}
