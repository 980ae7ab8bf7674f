//! Reading a generation back.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;

use super::{BackupError, Entry, Finding, Generation, Manifest, Progress, Step, segment};
use crate::{seal::Keyring, store::Shapes};

/// What a verification read, and what it found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Segments that were read.
    pub stores: u64,
    pub records: u64,
    pub bytes: u64,
    pub findings: Vec<Finding>,
}

/// Reads segments of a folder back, in `threads` at once; returns those that are not as they must be.
pub(super) fn read_back(
    folder: &Path,
    entries: &[&Entry],
    keys: &Keyring,
    shapes: &Shapes,
    threads: usize,
    progress: &Progress,
) -> Vec<(usize, BackupError)> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, entries.len().max(1)) {
            scope.spawn(|| {
                super::nice::be_nice();
                while let Some((at, entry)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    entries.get(at).map(|entry| (at, entry))
                } {
                    let path = folder.join(entry.file());
                    if let Err(error) = segment::read(&path, entry, keys, shapes, threads, progress) {
                        wrong.lock().push((at, error));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner();
    wrong.sort_by_key(|(at, _)| *at);
    wrong
}

/// Reads a whole generation back: the manifest, and every segment in it. Segments of organizations that were erased since
/// count as nothing: no key opens them, and none must.
///
/// # Errors
/// If the manifest cannot be read; what is wrong with segments is found, and told in [`Checked`].
pub fn verify(
    generation: &Generation,
    keys: &Keyring,
    shapes: &Shapes,
    threads: usize,
    progress: &Progress,
) -> Result<Checked, BackupError> {
    let manifest = Manifest::read(&generation.path, keys)?;
    let erased: Vec<_> = keys.erased().into_iter().map(|(org, _)| org).collect();
    let entries: Vec<&Entry> =
        manifest.entries.iter().filter(|entry| entry.org.is_none_or(|org| !erased.contains(&org))).collect();
    progress.begin(Step::Verifying, entries.iter().map(|entry| entry.plain_bytes).sum());
    let wrong = read_back(&generation.path, &entries, keys, shapes, threads, progress);
    progress.end();
    let mut checked = Checked {
        stores: entries.len() as u64,
        records: entries.iter().map(|entry| entry.records()).sum(),
        bytes: entries.iter().map(|entry| entry.plain_bytes).sum(),
        findings: wrong
            .into_iter()
            .map(|(at, error)| Finding { org: entries[at].org, what: error.to_string() })
            .collect(),
    };
    if keys.sequence() < manifest.keyring_sequence {
        let what = format!(
            "the keyring is of state {}, older than the {} that the generation was read back with",
            keys.sequence(),
            manifest.keyring_sequence
        );
        checked.findings.push(Finding { org: None, what });
    }
    if manifest.entry(None).is_none() {
        checked.findings.push(Finding { org: None, what: "the manifest names no segment of the system".to_owned() });
    }
    Ok(checked)
}
