//! Why a snapshot, a verification or a restore did not come to its end.

use std::{io, path::PathBuf};

use super::{Name, offsite::OffsiteError};
use crate::{seal::KeyringError, store::StoreError, store::dump::DumpError};

/// What went wrong. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk did not do what it was asked.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    /// A file is there, and no key that opens it.
    #[error("{}: {what}", path.display())]
    NoKey { path: PathBuf, what: String },
    /// A newer release wrote it.
    #[error("{} was written by workrun {written_by}, which this version cannot read: install that one or newer", path.display())]
    TooNew { path: PathBuf, written_by: String },
    /// A store that was to be read.
    #[error("the store of {whose}: {source}")]
    Store {
        whose: String,
        #[source]
        source: StoreError,
    },
    /// The keyring or its mirror.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// There is no such generation.
    #[error("there is no generation {0}")]
    NoSuch(String),
    /// There is none at all.
    #[error("there is no generation in {}", .0.display())]
    None(PathBuf),
    /// There were generations, and now the folder is empty or gone.
    #[error("{} is empty, though generations were taken into it: see that it is mounted; a snapshot taken by hand begins anew", .0.display())]
    Lost(PathBuf),
    /// Another one runs.
    #[error("a snapshot or a verification runs already")]
    Busy,
    /// The copy elsewhere.
    #[error(transparent)]
    Offsite(#[from] OffsiteError),
    /// Restoring needs more room than there is.
    #[error("restoring {name} needs about {needed} bytes in {}, and {free} are free", path.display())]
    NoRoom { name: Name, path: PathBuf, needed: u64, free: u64 },
}

/// `io::Error`s with the path that they are about.
pub(super) trait At<T> {
    fn at(self, path: &std::path::Path) -> Result<T, BackupError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &std::path::Path) -> Result<T, BackupError> {
        self.map_err(|source| BackupError::Io { path: path.to_owned(), source })
    }
}

/// A dump's or load's failure, with the segment or the store that it is about.
pub(super) fn of_segment(path: &std::path::Path, whose: &str, error: DumpError) -> BackupError {
    match error {
        DumpError::Stream(source)
            if matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other
            ) =>
        {
            BackupError::Damaged { path: path.to_owned(), what: source.to_string() }
        }
        DumpError::Stream(source) => BackupError::Io { path: path.to_owned(), source },
        DumpError::Malformed(what) => BackupError::Damaged { path: path.to_owned(), what: what.to_owned() },
        DumpError::Store(StoreError::Damaged { place, reason }) => {
            BackupError::Damaged { path: path.to_owned(), what: format!("{place}: {reason}") }
        }
        DumpError::Store(source) => BackupError::Store { whose: whose.to_owned(), source },
        DumpError::File(error) => {
            BackupError::Store { whose: whose.to_owned(), source: StoreError::Unopened { reason: error.to_string() } }
        }
    }
}
