//! What can go wrong between a command and the disk.

use std::io;

/// A store could not do what was asked. Cloned to every command of a group that failed together.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space: nothing of the command was kept; reads go on.
    #[error("the disk is full: nothing was changed; free space or enlarge the disk, then try again")]
    Full,
    /// An earlier sync failed, so nothing may be written until the file is rewritten.
    #[error("the store is in reading only, since the disk failed to make an earlier write durable")]
    ReadOnly,
    /// The disk failed during the commit: the command may or may not have happened.
    #[error("the disk failed while committing, so whether the change was kept is unknown: look, then retry ({reason})")]
    OutcomeUnknown { reason: String },
    /// Too many commands wait; a later try will find room.
    #[error("the store is busy: nothing was changed; try again in a moment")]
    Overloaded,
    /// Something that is there cannot be read as what it must be.
    #[error("damaged data in {place}: {reason}")]
    Damaged { place: &'static str, reason: String },
    /// A read or write failed.
    #[error("the disk failed: {reason}")]
    Disk { reason: String },
    /// The store is not there (an organization that does not exist, or that was erased).
    #[error("there is no such store")]
    Missing,
    /// A file could not be opened.
    #[error("the store cannot be opened: {reason}")]
    Unopened { reason: String },
    /// A newer release wrote the file.
    #[error(
        "the store has schema {found}, this release reads up to {newest}; nothing was changed: install workrun {written_by} or newer"
    )]
    TooNew { found: u32, newest: u32, written_by: String },
    /// The command panicked; the group was rolled back and the others were done without it.
    #[error("an internal error stopped the change: nothing was kept")]
    Panicked,
}

impl StoreError {
    pub(super) fn from_redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(io) if matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Self::Full
            }
            error => Self::Disk { reason: error.to_string() },
        }
    }
}
