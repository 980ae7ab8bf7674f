//! What the keeper does by itself: the day's snapshot, the week's verification, the month's rehearsal, and the mirror of the
//! keyring after every change.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Keeper, blocking};
use crate::backup::{BackupError, Kind, Manifest, reports, schedule, schedule::Window};

/// How often it is looked whether something is due: clocks jump.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after a failed snapshot the next is tried.
const RETRY_AFTER: Duration = Duration::from_secs(15 * 60);
/// The live stores are read whole this often,
const LIVE_EVERY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// and a generation is restored into a scratch folder this often.
const REHEARSAL_EVERY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Without a good generation for this long there is an alert.
const OVERDUE: Duration = Duration::from_secs(26 * 60 * 60);

impl Keeper {
    /// Where in the window this appliance begins, 0 to 1: its own, and always the same.
    fn share(&self) -> f64 {
        let [high, low, ..] =
            self.stores.keyring().system_key().id().0.map(u32::from).into_iter().rev().collect::<Vec<_>>()[..]
        else {
            return 0.0;
        };
        f64::from(high * 256 + low) / 65_536.0
    }

    /// How long until the day's own is due.
    ///
    /// # Errors
    /// What the folder says.
    pub fn due_in(&self) -> Result<Duration, BackupError> {
        let (now, zone) = (self.clock.now(), &self.settings.zone);
        let window = Window { from: self.settings.window.0, to: self.settings.window.1 };
        let newest_daily = self.generations.list()?.into_iter().rev().find_map(|generation| {
            let manifest = Manifest::read(&generation.path, self.stores.keyring()).ok()?;
            manifest.daily.then_some(manifest.day)
        });
        let last_day = newest_daily.or_else(|| {
            // An appliance that was made after the moment of its first day has missed nothing.
            let made = self.stores.keyring().list().first().map(|key| key.created_at)?;
            let missed = schedule::wait(made, zone, window, None, self.share()).is_zero();
            missed.then(|| made.in_zone(zone).date().to_string())
        });
        let due = schedule::wait(now, zone, window, last_day.as_deref(), self.share());
        let retry = self.failed_at.lock().map_or(Duration::ZERO, |failed| failed.plus(RETRY_AFTER).since(now));
        Ok(due.max(retry))
    }

    /// What wants an operator's hand, as stable names.
    #[must_use]
    pub fn alerts(&self) -> Vec<&'static str> {
        let mut alerts = Vec::new();
        let told = self.stores.system().view(|view| reports(view, 100)).unwrap_or_default();
        let wrong = |kind: Kind| told.iter().find(|report| report.kind == kind).is_some_and(|report| !report.is_good());
        let newest = self.generations.latest().ok().map(|generation| generation.name.at());
        let made = self.stores.keyring().list().first().map(|key| key.created_at).unwrap_or_default();
        let overdue = self.clock.now().since(newest.unwrap_or(made)) > OVERDUE;
        if overdue || wrong(Kind::Snapshot) {
            alerts.push("snapshot");
        }
        if *self.mirror_failed.lock() {
            alerts.push("snapshot-folder");
        }
        for (kind, name) in
            [(Kind::Verification, "verification"), (Kind::Live, "store"), (Kind::Rehearsal, "rehearsal")]
        {
            if wrong(kind) || (kind == Kind::Live && !self.stores.shelf().ailing().is_empty()) {
                alerts.push(name);
            }
        }
        alerts.extend(self.offsite_alerts(&told));
        alerts
    }

    async fn is_due(&self, kind: Kind, every: Duration) -> bool {
        let told = self.reports(500).await.unwrap_or_default();
        let made = self.stores.keyring().list().first().map(|key| key.created_at).unwrap_or_default();
        let last = told.iter().find(|report| report.kind == kind).map_or(made, |report| report.at);
        self.clock.now().since(last) >= every
    }

    /// Looks after the snapshots until told to stop.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = 0_u64;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let mirrored = self.mirror().await;
            if let Err(error) = &mirrored {
                tracing::error!(%error, "the keyring cannot be mirrored into the snapshot folder");
            }
            *self.mirror_failed.lock() = mirrored.is_err();
            let keeper = Arc::clone(&self);
            match blocking(move || keeper.due_in()).await {
                Ok(due) if due.is_zero() => match self.take(true, false).await {
                    Ok(taken) => tracing::info!(
                        generation = %taken.generation.name, bytes = taken.manifest.bytes(),
                        written = taken.manifest.bytes_written(), took_ms = taken.report.took_ms,
                        "the day's snapshot was taken and read back"
                    ),
                    Err(BackupError::Busy) => {}
                    Err(error) => tracing::error!(%error, "the day's snapshot failed; nothing was removed"),
                },
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the snapshot folder cannot be read"),
            }
            ticks += 1;
            // The rarer works are looked for once a minute.
            if ticks.is_multiple_of(12) {
                if self.is_due(Kind::Live, LIVE_EVERY).await {
                    let _ = self.verify_live().await;
                } else if self.generations.latest().is_ok() && self.is_due(Kind::Rehearsal, REHEARSAL_EVERY).await {
                    let _ = self.rehearse(None).await;
                }
            }
        }
    }
}
