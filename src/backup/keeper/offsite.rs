//! The keeper's part in the off-site copy: bringing it up to date behind the snapshots, verifying it, putting back from it,
//! and saying how it stands.

use std::{
    collections::BTreeSet,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Keeper, blocking};
use crate::{
    backup::{
        BackupError, Compared, Kind, Manifest, Name, Report,
        offsite::{Copied, Fetched, Known, Offsite, OffsiteError, Protection},
        settle,
    },
    ids::OrgId,
    seal::KeyId,
};

/// How often it is looked whether there is something to copy.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after a failure the copy is tried again, at first; twice as long after each further one, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// How a generation's off-site copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// It is there whole.
    There,
    /// It is being sent.
    Sending,
    /// Sending it was tried, and failed; it is tried again.
    Failed,
    /// It is not there yet.
    Waiting,
}

impl Away {
    /// Its name, for documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Sending => "sending",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }

    /// As the bucket was seen last, or, before it was looked at, as the reports tell; the newest of them first.
    pub(super) fn of(name: &Name, known: &Known, told: &[Report]) -> Self {
        let mut copies = told.iter().filter(|report| report.kind == Kind::Offsite);
        let is_there = match &known.there {
            Some(there) => there.contains_key(name),
            None => copies.clone().any(|report| report.is_good() && report.generation == name.as_str()),
        };
        match copies.next() {
            _ if is_there => Self::There,
            _ if known.uploading.as_ref() == Some(name) => Self::Sending,
            Some(newest) if !newest.is_good() => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// What the copy follows: the generations with their pins, and the keyring.
type Mark = (Vec<(Name, bool)>, Option<blake3::Hash>);

fn pause(failures: u32) -> Duration {
    PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

impl Keeper {
    /// The off-site copy, if there is one.
    #[must_use]
    pub fn offsite(&self) -> Option<&Offsite> {
        self.offsite.as_ref()
    }

    /// Has the off-site copy brought up to date now, whatever the pause after a failure.
    pub fn want_offsite(&self) {
        self.offsite_wanted.notify_one();
    }

    /// Key versions that the off-site generations name; none while that is not known.
    pub(super) fn keys_away(&self) -> Option<BTreeSet<(KeyId, u32)>> {
        match &self.offsite {
            None => Some(BTreeSet::new()),
            Some(offsite) => offsite.known().keys,
        }
    }

    pub(super) fn offsite_alerts(&self, told: &[Report]) -> Vec<&'static str> {
        let Some(offsite) = &self.offsite else { return Vec::new() };
        let mut alerts = Vec::new();
        let wrong = |kind: Kind| told.iter().find(|report| report.kind == kind).is_some_and(|report| !report.is_good());
        if wrong(Kind::Offsite) || wrong(Kind::OffsiteVerification) {
            alerts.push("offsite");
        }
        if matches!(offsite.known().protection, Protection::Versioned | Protection::Locked) {
            alerts.push("offsite-versioned");
        }
        alerts
    }

    async fn mark(&self) -> Result<Mark, BackupError> {
        let generations = self.generations.clone();
        blocking(move || {
            let names = generations.list()?.into_iter().map(|one| (one.name, one.pinned)).collect();
            Ok((names, fs::read(generations.keyring()).ok().map(|content| blake3::hash(&content))))
        })
        .await
    }

    /// Follows the snapshot folder with the off-site copy until told to stop.
    pub async fn run_offsite(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(offsite) = &self.offsite else { return };
        // What a fetch that was cut off has left.
        let scratch = self.settings.scratch.clone();
        let _ = blocking(move || Ok(fs::remove_dir_all(scratch).ok())).await;
        let (mut done, mut tried) = (None::<Mark>, None::<(Mark, Instant)>);
        let (mut failures, mut wanted) = (0_u32, false);
        loop {
            if let Ok(mark) = self.mark().await {
                let paused = tried.as_ref().is_some_and(|(last, until)| *last == mark && Instant::now() < *until);
                if wanted || done.as_ref() != Some(&mark) && !paused {
                    let round = offsite.round(&self.generations, self.stores.keyring());
                    let outcome = tokio::select! {
                        outcome = round => outcome,
                        _ = stop.wait_for(|stop| *stop) => return,
                    };
                    match outcome {
                        Ok(copied) => {
                            self.copied(copied, failures > 0).await;
                            (done, tried, failures) = (Some(mark), None, 0);
                        }
                        Err(error) => {
                            failures += 1;
                            let pause = pause(failures);
                            tracing::error!(%error, again_in = ?pause, "the off-site copy is not up to date");
                            let report = self.failure(Kind::Offsite, String::new(), &error);
                            self.keep(report, "offsite").await;
                            tried = Some((mark, Instant::now() + pause));
                        }
                    }
                }
            }
            wanted = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = self.offsite_wanted.notified() => true,
                _ = stop.wait_for(|stop| *stop) => return,
            };
        }
    }

    /// Keeps what came of a round. After failures a round that had nothing to send is told, too: it is over.
    async fn copied(&self, copied: Vec<Copied>, had_failed: bool) {
        if matches!(
            self.offsite.as_ref().map(|offsite| offsite.known().protection),
            Some(Protection::Versioned | Protection::Locked)
        ) {
            tracing::warn!("the off-site bucket keeps what is overwritten: keys of erased organizations survive there");
        }
        let blank = Report {
            kind: Kind::Offsite,
            at: self.clock.now(),
            took_ms: 0,
            generation: String::new(),
            stores: 0,
            records: 0,
            bytes: 0,
            findings: Vec::new(),
            by_recovery_key: false,
            compared: None,
        };
        if copied.is_empty() && had_failed {
            self.keep(blank.clone(), "offsite").await;
        }
        // The newest is told last, so that it is the newest report.
        for one in copied.into_iter().rev() {
            tracing::info!(
                generation = %one.name, segments = one.segments, sent = one.sent, bytes = one.bytes,
                "a generation was copied off-site and compared"
            );
            let report = Report {
                took_ms: u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX),
                generation: one.name.to_string(),
                stores: one.segments,
                bytes: one.bytes,
                compared: Some(Compared {
                    sent: one.sent,
                    bytes: one.bytes,
                    by_sha256: one.by_sha256,
                    by_md5: one.by_md5,
                    by_reading: one.by_reading,
                }),
                ..blank.clone()
            };
            self.keep(report, "offsite").await;
        }
        if let Err(error) = self.sweep_keys().await {
            tracing::warn!(%error, "key versions that nothing names any more are kept for now");
        }
    }

    fn offsite_or(&self) -> Result<&Offsite, BackupError> {
        Ok(self.offsite.as_ref().ok_or(OffsiteError::NotSet)?)
    }

    /// Reads an off-site generation back whole: `latest`, or a name.
    ///
    /// # Errors
    /// [`BackupError`], if it cannot be told; what is wrong with the generation is in the report.
    pub async fn verify_offsite(&self, text: &str) -> Result<Report, BackupError> {
        let (began, offsite) = (Instant::now(), self.offsite_or()?);
        let report = match offsite.verify(text, self.stores.keyring()).await {
            Ok((name, checked)) => self.report(Kind::OffsiteVerification, name.to_string(), began, checked),
            Err(BackupError::Offsite(error @ OffsiteError::Damaged { .. })) => {
                self.failure(Kind::OffsiteVerification, text.to_owned(), &error.into())
            }
            Err(error) => return Err(error),
        };
        self.keep(report.clone(), "offsite").await;
        Ok(report)
    }

    /// Fetches an off-site generation's manifest, and an organization's segment if `whole`.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn fetch_offsite(&self, text: &str, org: OrgId, whole: bool) -> Result<Fetched, BackupError> {
        let offsite = self.offsite_or()?;
        let fetched = offsite.fetch(text).await?;
        if whole {
            let (path, keyring) = (fetched.generation.path.clone(), Arc::clone(self.stores.keyring()));
            let manifest = blocking(move || Manifest::read(&path, &keyring)).await?;
            let entry = manifest
                .entry(Some(org))
                .ok_or_else(|| BackupError::NoSuch(format!("{} with organization {org}", fetched.generation.name)))?;
            settle::room_for(&fetched.generation.name, &fetched.generation.path, entry.bytes)?;
            let done = offsite.fetch_segments(&fetched, &[entry], offsite.progress()).await;
            offsite.progress().end();
            done?;
        }
        Ok(fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn pauses_grow_to_an_hour() {
        assert_eq!(pause(1), PAUSE);
        assert_eq!(pause(2), PAUSE * 2);
        assert_eq!(pause(7), PAUSE * 64);
        assert_eq!((pause(8), pause(u32::MAX)), (PAUSE_MAX, PAUSE_MAX));
    }

    #[test]
    fn a_copy_stands_as_it_was_seen_last() {
        let name = Name::parse("2026-11-22T120003+0900").unwrap();
        let report = |generation: &str, good: bool| Report {
            generation: generation.to_owned(),
            kind: Kind::Offsite,
            findings: if good {
                Vec::new()
            } else {
                vec![crate::backup::Finding { org: None, what: "gone".to_owned() }]
            },
            ..Report::of_restore("", Timestamp(0), Duration::ZERO, &[])
        };
        let unseen = Known::default();
        assert_eq!(Away::of(&name, &unseen, &[]), Away::Waiting);
        assert_eq!(Away::of(&name, &unseen, &[report("", false), report(name.as_str(), true)]), Away::There);
        assert_eq!(Away::of(&name, &unseen, &[report("", false)]), Away::Failed);
        let sending = Known { uploading: Some(name.clone()), ..Known::default() };
        assert_eq!(Away::of(&name, &sending, &[report("", false)]), Away::Sending);
        let seen = Known { there: Some([(name.clone(), false)].into()), ..Known::default() };
        assert_eq!(Away::of(&name, &seen, &[report("", false)]), Away::There);
        let emptied = Known { there: Some([].into()), ..Known::default() };
        assert_eq!(Away::of(&name, &emptied, &[report(name.as_str(), true)]), Away::Waiting);
    }
}
