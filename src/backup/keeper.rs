//! The keeper of the snapshots: takes the day's own, verifies, rehearses, puts organizations back, and says how it stands.
//! One such work at a time. [`rounds`] is what it does by itself.

mod offsite;
mod rounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{civil::Time, tz::TimeZone};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use offsite::Away;

use super::{
    BackupError, Checked, Finding, Generation, Generations, Kind, Manifest, Options, Progress, Report, Step, Taken,
    error::At as _,
    fill_one, keep_report, live,
    offsite::Offsite,
    reports,
    segment::whose,
    settle::{self, Settled},
    take, verify,
};
use crate::{
    clock::{Clock, Timestamp},
    ids::OrgId,
    mail::{self, MailKind},
    people::{self, directory, reconcile, sagas},
    seal::{KeyKind, KeyState, Keyring, KeyringError, peek},
    store::{Shapes, Store, StoreError, Stores, is_sealed_by},
};

/// The language of mail to operators who chose none.
const LANGUAGE: &str = "ja";

/// Where snapshots go, when and how.
#[derive(Clone, Debug)]
pub struct Settings {
    pub folder: PathBuf,
    /// The hours in which the day's own is begun.
    pub window: (Time, Time),
    /// zstd's level.
    pub level: i32,
    pub threads: usize,
    /// What the records of tables are.
    pub shapes: &'static Shapes,
    /// The zone of the window and of the names.
    pub zone: TimeZone,
    /// Where a further copy goes, if anywhere.
    pub offsite: Option<crate::config::Offsite>,
    /// Where what is fetched from there stands for a while.
    pub scratch: PathBuf,
}

/// Keeps the snapshots of one appliance.
pub struct Keeper {
    stores: Arc<Stores>,
    generations: Generations,
    settings: Settings,
    clock: Clock,
    /// The console's address, for mail to operators.
    link: String,
    busy: Arc<tokio::sync::Mutex<()>>,
    progress: Arc<Progress>,
    failed_at: Mutex<Option<Timestamp>>,
    mirror_failed: Mutex<bool>,
    /// The off-site copy, if there is one.
    offsite: Option<Offsite>,
    /// Somebody wants the off-site copy brought up to date at once.
    offsite_wanted: Notify,
}

/// A generation as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    pub generation: Generation,
    /// What it holds, if that can be read.
    pub manifest: Result<Manifest, String>,
    /// The newest report that read it back whole.
    pub verified: Option<Report>,
    /// How its off-site copy stands, if there is to be one.
    pub away: Option<Away>,
}

/// An organization that was put back.
#[derive(Clone, Debug)]
pub struct PutBack {
    pub generation: Generation,
    pub records: u64,
    pub settled: Settled,
    /// Where the data that stood there before is now.
    pub previous: Option<PathBuf>,
    pub took: Duration,
}

/// A rehearsal's outcome.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    pub generation: Generation,
    pub report: Report,
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = crate::store::blocking(work).await;
    done.map_err(|source| BackupError::Store { whose: "the work".to_owned(), source })?
}

impl Keeper {
    /// A keeper over an appliance's stores. `public_url` is what people type.
    #[must_use]
    pub fn new(stores: Arc<Stores>, settings: Settings, clock: Clock, public_url: &str) -> Self {
        Self {
            stores,
            generations: Generations::new(&settings.folder),
            offsite: settings.offsite.clone().map(|bucket| Offsite::new(bucket, settings.scratch.clone())),
            offsite_wanted: Notify::new(),
            settings,
            clock,
            link: format!("{public_url}/console/snapshots"),
            busy: Arc::default(),
            progress: Arc::default(),
            failed_at: Mutex::new(None),
            mirror_failed: Mutex::new(false),
        }
    }

    /// The snapshot folder.
    #[must_use]
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    /// How far the work of the moment is.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// How far the work of the moment is: that in the snapshot folder, or else that off-site.
    #[must_use]
    pub fn under_way(&self) -> &Arc<Progress> {
        match &self.offsite {
            Some(offsite) if self.progress.step() == Step::Idle => offsite.progress(),
            _ => &self.progress,
        }
    }

    fn alone(&self) -> Result<tokio::sync::OwnedMutexGuard<()>, BackupError> {
        Arc::clone(&self.busy).try_lock_owned().map_err(|_| BackupError::Busy)
    }

    /// Takes a generation now.
    ///
    /// # Errors
    /// [`BackupError`]: then what was there is as it was, and operators are told.
    pub async fn take(&self, daily: bool, pin: bool) -> Result<Taken, BackupError> {
        let _alone = self.alone()?;
        let options = Options {
            daily,
            pin,
            level: self.settings.level,
            threads: self.settings.threads,
            shapes: self.settings.shapes,
            zone: self.settings.zone.clone(),
            leave_out: left_out(),
        };
        let (stores, generations) = (Arc::clone(&self.stores), self.generations.clone());
        let lost = daily && !generations.keyring().exists() && generations.list()?.is_empty() && was_used(&stores);
        let (clock, progress) = (self.clock.clone(), Arc::clone(&self.progress));
        let taken = blocking(move || {
            if lost {
                return Err(BackupError::Lost(generations.folder().to_owned()));
            }
            take(&stores, &generations, &options, &clock, &progress)
        })
        .await;
        match taken {
            Ok(taken) => {
                *self.failed_at.lock() = None;
                self.offsite_wanted.notify_one();
                self.keep(taken.report.clone(), "snapshot").await;
                if let Err(error) = self.sweep_keys().await {
                    tracing::warn!(%error, "key versions that nothing names any more are kept for now");
                }
                Ok(taken)
            }
            Err(error) => {
                *self.failed_at.lock() = Some(self.clock.now());
                self.keep(self.failure(Kind::Snapshot, String::new(), &error), "snapshot").await;
                Err(error)
            }
        }
    }

    fn failure(&self, kind: Kind, generation: String, error: &BackupError) -> Report {
        Report {
            kind,
            at: self.clock.now(),
            took_ms: 0,
            generation,
            stores: 0,
            records: 0,
            bytes: 0,
            findings: vec![Finding { org: None, what: error.to_string() }],
            by_recovery_key: false,
            compared: None,
        }
    }

    /// Keeps a report; if something is wrong, operators are mailed under the alert's name.
    async fn keep(&self, report: Report, alert: &'static str) {
        let now = self.clock.now();
        for finding in &report.findings {
            tracing::error!(
                kind = report.kind.name(),
                generation = report.generation,
                whose = whose(finding.org),
                finding = finding.what,
                "a snapshot, or what is kept, is not as it must be"
            );
        }
        let detail: Vec<String> = report
            .findings
            .iter()
            .take(20)
            .map(|finding| format!("{}: {}", whose(finding.org), finding.what))
            .collect();
        let (detail, link) = (detail.join("\n"), self.link.clone());
        let kept = self
            .stores
            .system()
            .submit(1024, move |txn| {
                // What goes wrong again and again is kept, and mailed, once a day.
                let newest = reports(txn.reader(), 100)?.into_iter().find(|other| other.kind == report.kind);
                let today = |at: Timestamp| at.unix_seconds() / 86_400;
                let known = newest.is_some_and(|other| !other.is_good() && today(other.at) == today(report.at));
                if !known || report.is_good() || !report.generation.is_empty() {
                    keep_report(txn, &report)?;
                }
                if !report.is_good() && !known {
                    for operator in directory::operators(txn.reader())? {
                        let Some(mail) = &operator.mail else { continue };
                        let language = directory::user(txn.reader(), operator.user)?.and_then(|user| user.language);
                        let kind = MailKind::Alert {
                            name: alert.to_owned(),
                            detail: detail.clone(),
                            at: now,
                            link: link.clone(),
                        };
                        mail::queue(txn, now, mail.as_str(), language.as_deref().unwrap_or(LANGUAGE), kind)?;
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await;
        if let Err(error) = kept {
            tracing::error!(%error, "the report cannot be kept");
        }
    }

    /// Destroys retained key versions that no generation and no store's file names.
    ///
    /// # Errors
    /// What the folder or the keyring says.
    pub async fn sweep_keys(&self) -> Result<(), BackupError> {
        let (stores, generations) = (Arc::clone(&self.stores), self.generations.clone());
        // While it is not known which keys the off-site generations need, they may need any.
        let Some(away) = self.keys_away() else { return Ok(()) };
        blocking(move || {
            let keyring = stores.keyring();
            let retained: Vec<_> = keyring.list().into_iter().filter(|key| key.state == KeyState::Retained).collect();
            if retained.is_empty() {
                return Ok(());
            }
            // A snapshot under way may have sealed segments under any of them, which no manifest names yet; it sweeps when it has
            // ended. Where there is no folder nobody takes one.
            let held = if generations.folder().exists() { generations.hold().map(Some) } else { Ok(None) };
            let Ok(_held) = held else { return Ok(()) };
            let Some(mut named) = generations.named_keys(keyring)? else { return Ok(()) };
            named.extend(away);
            let layout = stores.shelf().layout();
            let (mut unneeded, mut folders) = (BTreeSet::new(), BTreeSet::new());
            for key in retained.iter().filter(|key| !named.contains(&(key.id, key.version))) {
                let (path, active) = match key.kind {
                    KeyKind::System => (layout.system(), Some(keyring.system_key())),
                    KeyKind::Organization(org) => (layout.organization_store(org), keyring.organization_key(org)),
                    // What log keys seal is named by no file.
                    KeyKind::SystemLog | KeyKind::OrganizationLog(_) => continue,
                };
                // A store whose file still names it is being rewritten; one that is not there, or cannot be read, may come back
                // and need it.
                if active.is_some_and(|active| active.version() != key.version && is_sealed_by(&path, &active)) {
                    unneeded.insert((key.id, key.version));
                    folders.extend(path.parent().map(Path::to_owned));
                }
            }
            // That the files under the active versions have taken their places is on the disk before the others go.
            for folder in folders {
                fs::File::open(&folder).and_then(|folder| folder.sync_all()).at(&folder)?;
            }
            Ok(keyring.destroy_versions(&unneeded)?)
        })
        .await
    }

    /// Brings the keyring's mirror up to date, if there is a snapshot folder.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn mirror(&self) -> Result<(), BackupError> {
        let (stores, generations) = (Arc::clone(&self.stores), self.generations.clone());
        blocking(move || {
            let mirror = generations.keyring();
            if generations.list()?.is_empty() && !mirror.exists() {
                return if was_used(&stores) {
                    Err(BackupError::Lost(generations.folder().to_owned()))
                } else {
                    Ok(())
                };
            }
            let live = peek(&stores.shelf().layout().keyring())?;
            match peek(&mirror) {
                Ok(copy) if copy == live => Ok(stores.keyring().finish_mirror(generations.folder())?),
                _ => Ok(stores.keyring().mirror_to(generations.folder())?),
            }
        })
        .await
    }

    /// The generations, newest first.
    ///
    /// # Errors
    /// What the folder says.
    pub async fn list(&self) -> Result<Vec<Shown>, BackupError> {
        let (stores, generations) = (Arc::clone(&self.stores), self.generations.clone());
        let known = self.offsite.as_ref().map(Offsite::known);
        blocking(move || {
            let told = stores
                .system()
                .view(|view| reports(view, usize::MAX))
                .map_err(|source| BackupError::Store { whose: whose(None), source })?;
            let mut shown = Vec::new();
            for generation in generations.list()?.into_iter().rev() {
                let manifest = Manifest::read(&generation.path, stores.keyring()).map_err(|error| error.to_string());
                let verified = told
                    .iter()
                    .find(|report| {
                        matches!(report.kind, Kind::Snapshot | Kind::Verification)
                            && report.generation == generation.name.as_str()
                    })
                    .cloned();
                let away = known.as_ref().map(|known| Away::of(&generation.name, known, &told));
                shown.push(Shown { generation, manifest, verified, away });
            }
            Ok(shown)
        })
        .await
    }

    /// Organizations whose live data is not as it must be, and why: what does not open or read, and what the last check of
    /// the live data has found.
    pub async fn ailing(&self) -> BTreeMap<OrgId, String> {
        let told = self.reports(100).await.unwrap_or_default();
        let live = told.into_iter().find(|report| report.kind == Kind::Live);
        let found = live.into_iter().flat_map(|report| report.findings);
        let mut ailing: BTreeMap<OrgId, String> =
            found.filter_map(|finding| Some((finding.org?, finding.what))).collect();
        ailing.extend(self.stores.shelf().ailing());
        ailing
    }

    /// The newest generation that was read back whole and holds an organization.
    pub async fn newest_good(&self, org: OrgId) -> Option<Generation> {
        let good = |shown: &Shown| {
            let read = shown.verified.as_ref().is_some_and(Report::is_good);
            read && shown.manifest.as_ref().is_ok_and(|manifest| manifest.entry(Some(org)).is_some())
        };
        self.list().await.ok()?.into_iter().find(good).map(|shown| shown.generation)
    }

    /// The newest reports, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.stores.system().read(move |view| reports(view, limit)).await
    }

    /// Reads a generation back whole, with the mirror of the keyring that stands beside it where that opens.
    ///
    /// # Errors
    /// [`BackupError`]; what is wrong with the generation is in the report.
    pub async fn verify(&self, generation: &Generation) -> Result<Report, BackupError> {
        let _alone = self.alone()?;
        let (began, name) = (Instant::now(), generation.name.to_string());
        let (stores, generations, generation) =
            (Arc::clone(&self.stores), self.generations.clone(), generation.clone());
        let (threads, shapes) = (self.settings.threads, self.settings.shapes);
        let progress = Arc::clone(&self.progress);
        let checked = blocking(move || {
            let mirror = stores.keyring().open_mirror(generations.folder())?;
            verify(&generation, &mirror, shapes, threads, &progress)
        })
        .await;
        self.progress.end();
        let report = match checked {
            Ok(checked) => self.report(Kind::Verification, name, began, checked),
            Err(error) => self.failure(Kind::Verification, name, &error),
        };
        self.keep(report.clone(), "verification").await;
        Ok(report)
    }

    fn report(&self, kind: Kind, generation: String, began: Instant, checked: Checked) -> Report {
        Report {
            kind,
            at: self.clock.now(),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            generation,
            stores: checked.stores,
            records: checked.records,
            bytes: checked.bytes,
            findings: checked.findings,
            by_recovery_key: false,
            compared: None,
        }
    }

    /// Reads every live store whole: each record, the history's chain, what tables say of each other.
    ///
    /// # Errors
    /// [`BackupError::Busy`]; what is wrong is in the report.
    pub async fn verify_live(&self) -> Result<Report, BackupError> {
        let _alone = self.alone()?;
        let began = Instant::now();
        let (stores, progress) = (Arc::clone(&self.stores), Arc::clone(&self.progress));
        let (shapes, generations) = (self.settings.shapes, self.generations.clone());
        let checked = blocking(move || {
            // Without a generation there is nothing to compare with, and the rest is checked all the same.
            let newest = take::newest_readable(&stores, &generations.list().unwrap_or_default());
            Ok(live::check(&stores, newest.as_ref().map(|(_, manifest)| manifest), shapes, &progress))
        })
        .await;
        self.progress.end();
        let report = self.report(Kind::Live, String::new(), began, checked?);
        self.keep(report.clone(), "store").await;
        Ok(report)
    }

    /// Says that a generation stays, or that it need not.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn pin(&self, generation: Generation, stays: bool) -> Result<(), BackupError> {
        let generations = self.generations.clone();
        blocking(move || generations.pin(&generation, stays)).await
    }

    /// Restores a generation into a scratch folder with the code that restores in earnest, opens every store, reads it
    /// whole, and renders a board. With a recovery key the keyring's mirror is opened by that.
    ///
    /// # Errors
    /// [`BackupError`]; what is wrong with the generation is in the report.
    pub async fn rehearse(&self, recovery_key: Option<&str>) -> Result<Rehearsed, BackupError> {
        let _alone = self.alone()?;
        let generation = self.generations.latest()?;
        let (began, name) = (Instant::now(), generation.name.to_string());
        let by_recovery_key = recovery_key.is_some();
        let keys = match recovery_key {
            Some(text) => Keyring::open_with_recovery(&self.generations.keyring(), text)?,
            None => self.stores.keyring().open_mirror(self.generations.folder())?,
        };
        let scratch = self.stores.shelf().layout().root().join("rehearsal");
        let (rehearsed, threads, shapes) = (generation.clone(), self.settings.threads, self.settings.shapes);
        let progress = Arc::clone(&self.progress);
        let checked = blocking(move || {
            let checked = settle::rehearse(&rehearsed, keys, &scratch, shapes, threads, &progress);
            let removed = fs::remove_dir_all(&scratch);
            let checked = checked?;
            removed.map_err(|source| BackupError::Io { path: scratch, source })?;
            Ok(checked)
        })
        .await;
        self.progress.end();
        let report = match checked {
            Ok(checked) => Report { by_recovery_key, ..self.report(Kind::Rehearsal, name, began, checked) },
            Err(error) => Report { by_recovery_key, ..self.failure(Kind::Rehearsal, name, &error) },
        };
        self.keep(report.clone(), "rehearsal").await;
        Ok(Rehearsed { generation, report })
    }

    /// Puts one organization back from a generation, while the others go on. What stood there before is kept beside it.
    ///
    /// # Errors
    /// [`BackupError`]: then the organization is as it was.
    pub async fn put_back(
        &self,
        generation: &Generation,
        org: OrgId,
        keep_tokens: bool,
    ) -> Result<PutBack, BackupError> {
        let _alone = self.alone()?;
        let (began, now) = (Instant::now(), self.clock.now());
        let stores = Arc::clone(&self.stores);
        let (from, progress) = (generation.clone(), Arc::clone(&self.progress));
        let threads = self.settings.threads;
        let stamp = super::Name::new(now, &self.settings.zone);
        let (records, settled, previous) = blocking(move || {
            let keyring = stores.keyring();
            let key = keyring.organization_key(org).ok_or(KeyringError::Erased(org))?;
            let manifest = Manifest::read(&from.path, keyring)?;
            let entry = manifest
                .entry(Some(org))
                .ok_or_else(|| BackupError::NoSuch(format!("{} with organization {org}", from.name)))?;
            let layout = stores.shelf().layout();
            let place = layout.organization_store(org);
            settle::room_for(&from.name, &place, entry.plain_bytes)?;
            progress.begin(Step::Restoring, entry.plain_bytes);
            let fresh = place.with_extension("restoring");
            let _ = fs::remove_file(&fresh);
            let filled = fill_one(&from, entry, keyring, &key, &fresh, threads, &progress)?;
            let present = stores.organization(org).ok();
            let settled =
                settle::before_the_swap(&fresh, &key, present.as_deref(), now, from.name.as_str(), keep_tokens)?;
            drop(present);
            let previous = place.with_extension(format!("before-{stamp}"));
            let previous = stores
                .shelf()
                .replace(org, &fresh, &previous)
                .map_err(|source| BackupError::Store { whose: whose(Some(org)), source })?;
            Ok((filled.records, settled, previous))
        })
        .await
        .inspect_err(|_| self.progress.end())?;
        self.progress.end();
        let failed = |error: &people::PeopleError| StoreError::Disk { reason: format!("after the restore: {error}") };
        let wrong = |source| BackupError::Store { whose: whose(Some(org)), source };
        reconcile::organization(&self.stores, org).await.map_err(|error| wrong(failed(&error)))?;
        sagas::publish_name(&self.stores, org).await.map_err(|error| wrong(failed(&error)))?;
        let checked = Checked { stores: 1, records, ..Checked::default() };
        self.keep(self.report(Kind::Restore, generation.name.to_string(), began, checked), "restore").await;
        Ok(PutBack { generation: generation.clone(), records, settled, previous, took: began.elapsed() })
    }

    /// Members and tokens of an organization that a restore would bring and take.
    ///
    /// # Errors
    /// What the generation says.
    pub async fn would_change(&self, generation: &Generation, org: OrgId) -> Result<settle::Difference, BackupError> {
        let (stores, generation) = (Arc::clone(&self.stores), generation.clone());
        blocking(move || {
            let manifest = Manifest::read(&generation.path, stores.keyring())?;
            Ok(settle::difference(&stores, &manifest, org))
        })
        .await
    }
}

/// Whether generations were taken before: then an empty folder is one that was unmounted, or emptied.
fn was_used(stores: &Stores) -> bool {
    let told = stores.system().view(|view| reports(view, usize::MAX)).unwrap_or_default();
    told.iter().any(|report| report.kind == Kind::Snapshot && !report.generation.is_empty())
}

/// The tables that are in no generation.
fn left_out() -> BTreeSet<&'static str> {
    people::NOT_IN_GENERATIONS.into_iter().chain(mail::NOT_IN_GENERATIONS).collect()
}

/// A store at a place that is not the shelf's.
pub(super) fn open_at(path: &Path, key: &crate::seal::DataKey, org: Option<OrgId>) -> Result<Arc<Store>, BackupError> {
    Store::open(path, key.clone(), 8 << 20).map_err(|source| BackupError::Store { whose: whose(org), source })
}
