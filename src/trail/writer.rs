//! Gathering entries and writing them down once a second.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{civil::Date, tz::TimeZone};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Entry, Segment, TrailError, read_segment};
use crate::{clock::Timestamp, ids::OrgId, seal::Keyring, store::Layout};

/// How long entries gather.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// Entries that may gather: past it they are counted as lost rather than filling the memory when the disk fails.
const GATHERED_MAX: usize = 200_000;
/// Segments kept open.
const OPEN_MAX: usize = 256;

#[derive(Default)]
struct Gathered {
    entries: HashMap<Option<OrgId>, Vec<Entry>>,
    count: usize,
    lost: u64,
}

/// Takes entries from every request, and writes them down behind the answers.
pub struct Trail {
    gathered: Mutex<Gathered>,
    segments: Mutex<HashMap<Option<OrgId>, Segment>>,
    layout: Layout,
    keyring: Arc<Keyring>,
    zone: TimeZone,
}

impl Trail {
    /// A trail into a data folder; days begin at midnight of `zone`.
    #[must_use]
    pub fn new(layout: Layout, keyring: Arc<Keyring>, zone: TimeZone) -> Self {
        Self { gathered: Mutex::default(), segments: Mutex::default(), layout, keyring, zone }
    }

    /// Takes an entry.
    pub fn note(&self, org: Option<OrgId>, entry: Entry) {
        let mut gathered = self.gathered.lock();
        if gathered.count >= GATHERED_MAX {
            gathered.lost += 1;
            return;
        }
        gathered.count += 1;
        gathered.entries.entry(org).or_default().push(entry);
    }

    /// Writes down what has gathered. What cannot be written is lost, and said so in the log: requests go on.
    pub fn write_down(&self) {
        let gathered = std::mem::take(&mut *self.gathered.lock());
        if gathered.lost > 0 {
            tracing::error!(lost = gathered.lost, "the access log could not keep up");
        }
        for (org, entries) in gathered.entries {
            let count = entries.len();
            if let Err(error) = self.write_entries(org, entries) {
                tracing::error!(%error, count, "access log entries are lost");
                self.segments.lock().remove(&org);
            }
        }
    }

    fn write_entries(&self, org: Option<OrgId>, entries: Vec<Entry>) -> Result<(), TrailError> {
        // An erased organization has no key any more, and no log.
        let Some(key) = self.keyring.log_key(org) else { return Ok(()) };
        let mut by_day: Vec<(Date, Vec<Entry>)> = Vec::new();
        for entry in entries {
            let day = self.day_of(entry.at);
            match by_day.last_mut() {
                Some((last, entries)) if *last == day => entries.push(entry),
                _ => by_day.push((day, vec![entry])),
            }
        }
        let mut segments = self.segments.lock();
        for (day, entries) in by_day {
            if segments.get(&org).is_none_or(|segment| segment.day() != day) {
                if segments.len() >= OPEN_MAX {
                    segments.clear();
                }
                segments.insert(org, Segment::open(&self.layout.trail(org), day, &key)?);
            }
            if let Some(segment) = segments.get_mut(&org) {
                segment.append(&key, &entries)?;
            }
        }
        Ok(())
    }

    fn day_of(&self, at: Timestamp) -> Date {
        at.in_zone(&self.zone).date()
    }

    /// Writes down once a second until told to stop, and once more then.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(GATHERED_FOR) => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            let trail = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || trail.write_down()).await {
                tracing::error!(%error, "writing the access log panicked");
            }
            if stopping {
                return;
            }
        }
    }

    /// The entries of one day of an organization, or of the system, oldest first.
    ///
    /// # Errors
    /// [`TrailError`].
    pub fn day(&self, org: Option<OrgId>, day: Date) -> Result<Vec<Entry>, TrailError> {
        match self.keyring.log_key(org) {
            Some(key) => read_segment(&self.layout.trail(org), day, &key),
            None => Ok(Vec::new()),
        }
    }
}
