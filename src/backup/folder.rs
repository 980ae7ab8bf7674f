//! The snapshot folder: which generations there are, and the names by which they come and go.
//!
//! `NAME` is a generation, `NAME.partial` one in the making, `NAME.removing` one that goes, `keyring` the keyring's mirror,
//! `lock` what keeps a second process out. Everything else is somebody else's, and left alone.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{BackupError, Manifest, Name, error::At, manifest};
use crate::{
    seal::{KeyId, Keyring},
    store::make_folder,
};

/// How many of a kind, daily or asked for, are kept beside those that are pinned.
pub const KEPT: usize = 7;

pub(super) const PARTIAL: &str = ".partial";
const REMOVING: &str = ".removing";
const PIN: &str = "pinned";

/// A complete generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    pub name: Name,
    pub path: PathBuf,
    /// Whether somebody said that it stays.
    pub pinned: bool,
}

/// The snapshot folder.
#[derive(Clone, Debug)]
pub struct Generations {
    folder: PathBuf,
}

pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).at(path)
}

impl Generations {
    /// Over a folder that need not exist yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The keyring's mirror.
    #[must_use]
    pub fn keyring(&self) -> PathBuf {
        self.folder.join("keyring")
    }

    /// Makes the folder and holds it against other processes, for as long as the file lives.
    pub(super) fn hold(&self) -> Result<File, BackupError> {
        make_folder(&self.folder).at(&self.folder)?;
        let path = self.folder.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| BackupError::Busy)?;
        Ok(lock)
    }

    /// The complete generations, oldest first. A folder without a manifest is none.
    ///
    /// # Errors
    /// [`BackupError::Io`]; a folder that is not there holds none.
    pub fn list(&self) -> Result<Vec<Generation>, BackupError> {
        let mut found = Vec::new();
        for file_name in self.names()? {
            let Some(name) = Name::parse(&file_name) else { continue };
            let path = self.folder.join(&file_name);
            if path.join(manifest::FILE).is_file() {
                found.push(Generation { pinned: path.join(PIN).exists(), name, path });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn names(&self) -> Result<Vec<String>, BackupError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at(&self.folder)?,
        };
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
            .at(&self.folder)
    }

    /// The newest generation.
    ///
    /// # Errors
    /// [`BackupError::None`].
    pub fn latest(&self) -> Result<Generation, BackupError> {
        self.list()?.pop().ok_or_else(|| BackupError::None(self.folder.clone()))
    }

    /// The generation that somebody named: `latest`, a name, or the path of a generation's folder anywhere, or of a folder of
    /// generations, whose newest it is.
    ///
    /// # Errors
    /// [`BackupError::NoSuch`].
    pub fn find(&self, text: &str) -> Result<Generation, BackupError> {
        if text == "latest" {
            return self.latest();
        }
        if let Some(found) = self.list()?.into_iter().find(|generation| generation.name.as_str() == text) {
            return Ok(found);
        }
        let path = Path::new(text);
        let name = path.file_name().and_then(|name| Name::parse(&name.to_string_lossy()));
        match name {
            Some(name) if path.join(manifest::FILE).is_file() => {
                let path = std::path::absolute(path).at(path)?;
                Ok(Generation { name, pinned: path.join(PIN).exists(), path })
            }
            // A name is never a path here, and a path has a folder in it.
            _ if text.contains('/') => {
                let path = std::path::absolute(path).at(path)?;
                Self::new(&path).list()?.pop().ok_or_else(|| BackupError::NoSuch(text.to_owned()))
            }
            _ => Err(BackupError::NoSuch(text.to_owned())),
        }
    }

    /// Removes what interrupted work has left. A generation that was on its way out goes on its way.
    pub(super) fn clear_leftovers(&self) -> Result<(), BackupError> {
        for file_name in self.names()? {
            let bare = file_name.strip_suffix(PARTIAL).or_else(|| file_name.strip_suffix(REMOVING));
            if bare.and_then(Name::parse).is_some() {
                let path = self.folder.join(&file_name);
                fs::remove_dir_all(&path).at(&path)?;
            }
        }
        Ok(())
    }

    /// The folder in which a generation comes into being.
    pub(super) fn begin(&self, name: &Name) -> Result<PathBuf, BackupError> {
        let path = self.folder.join(format!("{name}{PARTIAL}"));
        make_folder(&path).at(&path)?;
        Ok(path)
    }

    /// Gives a generation its name: from here on it counts.
    pub(super) fn complete(&self, name: &Name, pin: bool) -> Result<Generation, BackupError> {
        let (partial, path) = (self.folder.join(format!("{name}{PARTIAL}")), self.folder.join(name.as_str()));
        if pin {
            write_pin(&partial)?;
        }
        sync_folder(&partial)?;
        fs::rename(&partial, &path).at(&partial)?;
        sync_folder(&self.folder)?;
        Ok(Generation { name: name.clone(), path, pinned: pin })
    }

    /// Says that a generation stays, or that it need not.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn pin(&self, generation: &Generation, stays: bool) -> Result<(), BackupError> {
        if stays {
            write_pin(&generation.path)?;
        } else {
            let path = generation.path.join(PIN);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at(&path),
                _ => {}
            }
        }
        sync_folder(&generation.path)
    }

    /// Removes a generation: first its name, so that no half of it is ever taken for one.
    pub(super) fn remove(&self, generation: &Generation) -> Result<(), BackupError> {
        let going = self.folder.join(format!("{}{REMOVING}", generation.name));
        fs::rename(&generation.path, &going).at(&generation.path)?;
        sync_folder(&self.folder)?;
        fs::remove_dir_all(&going).at(&going)
    }

    /// The generations that are past their turn, of those given with whether they are a day's own, where that could be read:
    /// of each kind all but the newest [`KEPT`]. Pinned ones stay, and so does what cannot be read.
    #[must_use]
    pub fn past_their_turn(generations: &[(Generation, Option<bool>)]) -> Vec<&Generation> {
        let mut going = Vec::new();
        for daily in [true, false] {
            let mut of_kind: Vec<&Generation> = generations
                .iter()
                .filter(|(generation, is_daily)| !generation.pinned && *is_daily == Some(daily))
                .map(|(generation, _)| generation)
                .collect();
            of_kind.sort_by(|a, b| a.name.cmp(&b.name));
            of_kind.truncate(of_kind.len().saturating_sub(KEPT));
            going.extend(of_kind);
        }
        going
    }

    /// The key versions that generations name; `None` if one of them cannot be read, so that any may be named.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn named_keys(&self, keys: &Keyring) -> Result<Option<BTreeSet<(KeyId, u32)>>, BackupError> {
        let mut named = BTreeSet::new();
        for generation in self.list()? {
            let Ok(manifest) = Manifest::read(&generation.path, keys) else { return Ok(None) };
            named.extend(manifest.entries.iter().map(|entry| (entry.key_id, entry.key_version)));
            named.insert(manifest::key_needed(&generation.path)?);
        }
        Ok(Some(named))
    }
}

fn write_pin(folder: &Path) -> Result<(), BackupError> {
    let path = folder.join(PIN);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .and_then(|file| file.sync_all())
        .at(&path)
}
