//! The off-site copy: a bucket of S3-compatible storage that follows the snapshot folder.
//!
//! A generation is copied after it was read back here. Segments stand once, named by their stream's id, whatever number of
//! generations name them; the manifest comes last, and while it is not there the generation does not count.
//! `docs/formats/snapshot.md` says how the bucket is laid out, `docs/decisions/` why.
//!
//! Promises:
//! - what goes wrong here never fails a snapshot, and never removes anything in the snapshot folder;
//! - a generation counts only when the server's checksum of every segment was compared, or the segment read back;
//! - what is there is not sent again, a large segment's parts included;
//! - the rotation is that of the snapshot folder, and nothing goes before what is newer is whole;
//! - the keyring there is replaced at every change, and a bucket that would keep the old one is an alert;
//! - objects with other names are left alone, and so are generations of another appliance;
//! - credentials are in no message and no log.

mod bucket;
mod credentials;
mod error;
mod http;
mod layout;
mod reading;
mod round;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;

pub use bucket::Protection;
pub use error::OffsiteError;
pub use reading::Fetched;
pub use round::Copied;

use super::{Manifest, Name, Progress};
use crate::{config::Offsite as Settings, seal::KeyId};

/// A manifest that was fetched, if it opens, and the key version that it names in the clear.
type Sealed = (Option<Manifest>, Option<(KeyId, u32)>);

/// What is known of the bucket, from the last time that it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The generations that are there whole, and whether they are pinned; none until the bucket was looked at.
    pub there: Option<BTreeMap<Name, bool>>,
    /// Key versions that generations there name; none until it was looked at.
    pub keys: Option<BTreeSet<(KeyId, u32)>>,
    pub protection: Protection,
    /// What is being sent.
    pub uploading: Option<Name>,
}

/// The copy in one bucket.
pub struct Offsite {
    settings: Settings,
    url: String,
    /// Where what is fetched stands for a while.
    scratch: PathBuf,
    busy: tokio::sync::Mutex<()>,
    progress: Arc<Progress>,
    known: Mutex<Known>,
    /// BLAKE3 of the keyring that was put there last.
    keyring: Mutex<Option<[u8; 32]>>,
    /// Generations whose manifests were compared, and are the same there and here.
    same: Mutex<BTreeSet<Name>>,
    /// Manifests of generations that are in the bucket alone.
    manifests: Mutex<BTreeMap<Name, Sealed>>,
}

impl Offsite {
    /// The copy that the settings name. `scratch` is a folder of its own for what is fetched.
    #[must_use]
    pub fn new(settings: Settings, scratch: PathBuf) -> Self {
        let slash = if settings.prefix.is_empty() { "" } else { "/" };
        Self {
            url: format!("s3://{}{slash}{}", settings.bucket, settings.prefix),
            settings,
            scratch,
            busy: tokio::sync::Mutex::default(),
            progress: Arc::default(),
            known: Mutex::default(),
            keyring: Mutex::default(),
            same: Mutex::default(),
            manifests: Mutex::default(),
        }
    }

    /// `s3://bucket/prefix`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The region that was declared.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// How far the work of the moment is.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// What is known of the bucket.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known.lock().clone()
    }
}
