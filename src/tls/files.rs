//! A certificate and key in the administrator's PEM files, read again when they change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{
    TlsError, Upkeep,
    identity::{Identity, IdentityError, Origin},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Where the pair lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, PEM, end-entity certificate first.
    pub certificate: PathBuf,
    /// The private key, PEM: PKCS#8, SEC1 or PKCS#1. May be the same file.
    pub key: PathBuf,
}

/// Why a pair cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files are read, but their content will not do.
    #[error("{certificate} and {key}: {source}", certificate = files.certificate.display(), key = files.key.display())]
    Unusable {
        /// Which pair.
        files: Files,
        /// What is wrong with it.
        source: IdentityError,
    },
}

/// What tells one state of a file from another: a replaced file has another inode, a rewritten one another size or time,
/// a repaired permission another change time. Times are seconds and nanoseconds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileState {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    /// `None` for a file that cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The states of certificate and key.
pub(super) type Seen = [Option<FileState>; 2];

/// Keeps the pair served as the files change.
pub(super) struct Keeper {
    upkeep: Upkeep,
    files: Files,
}

impl Keeper {
    pub(super) fn new(upkeep: Upkeep, files: Files) -> Self {
        Self { upkeep, files }
    }

    /// Serves the pair as it is now, and says what state of the files that was.
    pub(super) async fn serve(&self) -> Result<Seen, TlsError> {
        let (files, now) = (self.files.clone(), self.upkeep.clock.now());
        // Before reading: a change in between is seen as a change.
        let seen = self.look().await;
        let read = tokio::task::spawn_blocking(move || {
            let (chain, key) = (read(&files.certificate)?, read(&files.key)?);
            Identity::from_pem(&chain, &key, Origin::Files, now)
                .map_err(|source| FilesError::Unusable { files, source })
        });
        let identity = read.await.map_err(|error| self.unreadable(io::Error::other(error)))??;
        if identity.facts.expired(now) {
            tracing::warn!(until = %identity.facts.not_after.rfc3339(), "the certificate in the files has expired");
        }
        let unusable = |source| FilesError::Unusable { files: self.files.clone(), source };
        self.upkeep.served.swap(identity).map_err(unusable)?;
        self.upkeep.served.publish(|status| {
            status.last_attempt = Some(now);
            status.last_error = None;
        });
        Ok(seen)
    }

    /// Looks for changes for as long as it is polled. A pair that will not do leaves the last good one served, and is
    /// tried again at every look: certificate and key are rarely replaced in the same instant.
    pub(super) async fn keep(self, mut seen: Seen) {
        let mut failure: Option<String> = None;
        loop {
            let asked = self.upkeep.pause(LOOK).await;
            let found = self.look().await;
            if !asked && failure.is_none() && found == seen {
                continue;
            }
            match self.serve().await {
                Ok(state) => {
                    seen = state;
                    failure = None;
                }
                Err(error) => {
                    let (error, now) = (error.to_string(), self.upkeep.clock.now());
                    if failure.as_ref() != Some(&error) {
                        tracing::error!(%error, "the changed certificate files will not do; the last certificate is still served");
                    }
                    seen = found;
                    failure = Some(error.clone());
                    self.upkeep.served.publish(|status| {
                        status.last_attempt = Some(now);
                        status.last_error = Some(error);
                    });
                }
            }
        }
    }

    async fn look(&self) -> Seen {
        let files = self.files.clone();
        let look =
            tokio::task::spawn_blocking(move || [&files.certificate, &files.key].map(|path| FileState::of(path)));
        look.await.unwrap_or_default()
    }

    fn unreadable(&self, source: io::Error) -> FilesError {
        FilesError::Unreadable { path: self.files.certificate.clone(), source }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    fs::read(path).map(Zeroizing::new).map_err(|source| FilesError::Unreadable { path: path.to_owned(), source })
}
