//! Reading the copy: comparing all of it with its manifests, and fetching what a restore needs.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Offsite, OffsiteError, Sealed,
    bucket::Bucket,
    layout::{self, Listed, There},
    send,
};
use crate::{
    backup::{
        BackupError, Checked, Entry, Finding, Generation, Manifest, Name, Progress, Step, blocking, error::At as _,
        manifest,
    },
    ids::{base32, random_bytes},
    seal::Keyring,
    store::make_folder,
};

/// A generation that was fetched from the bucket, as far as somebody asked for it.
#[derive(Debug)]
pub struct Fetched {
    pub generation: Generation,
    /// The keyring of the bucket.
    pub keyring: PathBuf,
    folder: PathBuf,
}

impl Fetched {
    /// Removes what was fetched.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove(&self) -> Result<(), BackupError> {
        fs::remove_dir_all(&self.folder).at(&self.folder)
    }

    /// Removes keyring and manifest, and leaves segments that an earlier try has fetched for the next one.
    pub fn put_away(&self) {
        // What stays of it costs little, and the next start removes it.
        let _ = fs::remove_file(self.generation.path.join(manifest::FILE));
        let _ = fs::remove_file(&self.keyring);
        let _ = fs::remove_dir(&self.generation.path).and_then(|()| fs::remove_dir(&self.folder));
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .at(path)
}

/// Whether a file is the segment that a manifest names.
fn is_segment(path: &Path, entry: &Entry) -> bool {
    if !fs::metadata(path).is_ok_and(|file| file.len() == entry.bytes) {
        return false;
    }
    let mut hasher = blake3::Hasher::new();
    fs::File::open(path).is_ok_and(|file| hasher.update_reader(file).is_ok())
        && hasher.finalize().as_bytes() == &entry.hash
}

impl Offsite {
    /// The generations that are there by name, oldest first, and whether they are pinned. No key is needed to see them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self) -> Result<Vec<(Name, bool)>, OffsiteError> {
        let bucket = Bucket::open(&self.settings, &self.url)?;
        let there = There::of(&bucket.list().await?);
        Ok(there.generations.into_iter().map(|(name, Listed { pinned, .. })| (name, pinned)).collect())
    }

    fn find(&self, there: &There, text: &str) -> Result<Name, OffsiteError> {
        let mut names = there.generations.keys();
        let found = if text == "latest" { names.next_back() } else { names.find(|name| name.as_str() == text) };
        found.cloned().ok_or_else(|| OffsiteError::NoSuch {
            name: text.to_owned(),
            url: self.url.clone(),
            there: there.generations.keys().cloned().collect(),
        })
    }

    /// A folder for a look at something, which whoever looks removes.
    pub(super) fn desk(&self) -> PathBuf {
        self.scratch.join(format!("look-{}", base32(&random_bytes::<5>())))
    }

    /// Fetches the keyring into a folder.
    pub(super) async fn fetch_keyring(&self, bucket: &Bucket, folder: &Path) -> Result<PathBuf, BackupError> {
        let content = bucket.read_all(layout::KEYRING).await?;
        make_folder(folder).at(folder)?;
        let path = folder.join(layout::KEYRING);
        write(&path, &content)?;
        Ok(path)
    }

    /// Reads a manifest that was fetched; none if it is damaged, or no key opens it. The key version is named in the clear.
    pub(super) async fn read_manifest(
        &self,
        name: &Name,
        content: Vec<u8>,
        keys: &Arc<Keyring>,
    ) -> Result<Sealed, BackupError> {
        let (folder, keys) = (self.desk(), Arc::clone(keys));
        // A manifest says whose folder it belongs into.
        let place = folder.join(name.as_str());
        blocking(move || {
            make_folder(&folder).at(&folder)?;
            make_folder(&place).at(&place)?;
            write(&place.join(manifest::FILE), &content)?;
            let read = (Manifest::read(&place, &keys).ok(), manifest::key_needed(&place).ok());
            fs::remove_dir_all(&folder).at(&folder)?;
            Ok(read)
        })
        .await
    }

    /// Fetches keyring and manifest of a generation, `latest` or by its name: enough to say what a restore would change.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn fetch(&self, text: &str) -> Result<Fetched, BackupError> {
        let bucket = Bucket::open(&self.settings, &self.url)?;
        let there = There::of(&bucket.list().await?);
        let name = self.find(&there, text)?;
        let pinned = there.generations.get(&name).is_some_and(|listed| listed.pinned);
        let folder = self.scratch.join("fetched");
        let keyring = self.fetch_keyring(&bucket, &folder).await?;
        let path = folder.join(name.as_str());
        make_folder(&path).at(&path)?;
        // Of another generation that was fetched before.
        for entry in fs::read_dir(&folder).at(&folder)? {
            let other = entry.at(&folder)?.path();
            if other != path && other.is_dir() {
                fs::remove_dir_all(&other).at(&other)?;
            }
        }
        write(&path.join(manifest::FILE), &bucket.read_all(&layout::manifest(&name)).await?)?;
        Ok(Fetched { generation: Generation { name, path, pinned }, keyring, folder })
    }

    /// Fetches segments of a generation. Those that an earlier try has fetched are kept, and every one is compared with the
    /// manifest on its way.
    ///
    /// # Errors
    /// [`BackupError`]: what was fetched whole stays for another try.
    pub async fn fetch_segments(
        &self,
        fetched: &Fetched,
        entries: &[&Entry],
        progress: &Progress,
    ) -> Result<(), BackupError> {
        let bucket = Bucket::open(&self.settings, &self.url)?;
        progress.begin(Step::Fetching, entries.iter().map(|entry| entry.bytes).sum());
        for entry in entries {
            let path = fetched.generation.path.join(entry.file());
            let (looked_at, wanted) = (path.clone(), (*entry).clone());
            if blocking(move || Ok(is_segment(&looked_at, &wanted))).await? {
                progress.add(entry.bytes);
                continue;
            }
            let partial = path.with_extension("partial");
            let mut file = fs::File::create(&partial).at(&partial)?;
            let mut wrong = None;
            let read = send::read_back(&bucket, &layout::segment(&entry.id), entry, |bytes| {
                if wrong.is_none() {
                    wrong = file.write_all(bytes).err();
                }
                progress.add(bytes.len() as u64);
            })
            .await;
            if let Some(source) = wrong {
                return Err(BackupError::Io { path: partial, source });
            }
            read?;
            fs::rename(&partial, &path).at(&partial)?;
        }
        progress.end();
        Ok(())
    }

    /// Reads a generation back from the bucket whole, and compares every segment with the manifest. The keyring there is
    /// the one that opens it.
    ///
    /// # Errors
    /// [`BackupError`]; what is wrong with segments is found.
    pub async fn verify(&self, text: &str, keyring: &Arc<Keyring>) -> Result<(Name, Checked), BackupError> {
        let bucket = Bucket::open(&self.settings, &self.url)?;
        let there = There::of(&bucket.list().await?);
        let name = self.find(&there, text)?;
        let desk = self.desk();
        self.fetch_keyring(&bucket, &desk).await?;
        let opened = keyring.open_mirror(&desk);
        fs::remove_dir_all(&desk).at(&desk)?;
        let mirror = Arc::new(opened?);
        let content = bucket.read_all(&layout::manifest(&name)).await?;
        let (Some(manifest), _) = self.read_manifest(&name, content, &mirror).await? else {
            let what = "it does not open with the keyring that stands beside it".to_owned();
            return Err(OffsiteError::Damaged { object: layout::manifest(&name), what }.into());
        };
        let mut checked = Checked::default();
        if manifest.name != name.as_str() {
            let what = format!("the manifest is that of {}, not of {name}", manifest.name);
            checked.findings.push(Finding { org: None, what });
        }
        if mirror.sequence() < manifest.keyring_sequence {
            let what = format!(
                "the keyring there is of state {}, older than the {} that the generation was read back with",
                mirror.sequence(),
                manifest.keyring_sequence
            );
            checked.findings.push(Finding { org: None, what });
        }
        let erased: Vec<_> = mirror.erased().into_iter().map(|(org, _)| org).collect();
        let entries: Vec<&Entry> =
            manifest.entries.iter().filter(|entry| entry.org.is_none_or(|org| !erased.contains(&org))).collect();
        self.progress.begin(Step::Verifying, entries.iter().map(|entry| entry.bytes).sum());
        for entry in entries {
            let read = send::read_back(&bucket, &layout::segment(&entry.id), entry, |bytes| {
                self.progress.add(bytes.len() as u64);
            })
            .await;
            match read {
                Ok(()) => {
                    checked.records += entry.records();
                    checked.bytes += entry.plain_bytes;
                }
                Err(BackupError::Offsite(error))
                    if error.is_missing() || matches!(error, OffsiteError::Damaged { .. }) =>
                {
                    checked.findings.push(Finding { org: entry.org, what: error.to_string() });
                }
                Err(error) => {
                    self.progress.end();
                    return Err(error);
                }
            }
            checked.stores += 1;
        }
        self.progress.end();
        Ok((name, checked))
    }
}
