//! Bringing the copy up to date: the keyring, generations that are not there yet, and the rotation there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Known, Offsite, OffsiteError,
    bucket::Bucket,
    layout::{self, There},
    send::{self, By},
};
use crate::{
    backup::{BackupError, Entry, Generation, Generations, Manifest, Name, Step, blocking, error::At as _, manifest},
    ids::OrgId,
    seal::{KeyId, Keyring, peek},
};

/// Requests that are under way at once: much of the time is waiting for answers.
const AT_ONCE: usize = 4;
/// Bytes of a manifest's header, its stream's id among them.
const HEAD: usize = 128;

/// A generation that was copied, and by what the copy was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub name: Name,
    pub segments: u64,
    /// Segments that were sent for it, and their bytes; the others were there.
    pub sent: u64,
    pub bytes: u64,
    /// Segments that were compared by SHA-256, by MD5, and by reading them back; the others were when they were sent.
    pub by_sha256: u64,
    pub by_md5: u64,
    pub by_reading: u64,
    pub took: Duration,
}

/// A generation of the snapshot folder.
struct Local {
    generation: Generation,
    manifest: Manifest,
    manifest_bytes: u64,
}

/// The generations whose manifests can be read, oldest first. What is damaged is not carried elsewhere.
fn local(generations: &Generations, keys: &Keyring) -> Result<Vec<Local>, BackupError> {
    let mut found = Vec::new();
    for generation in generations.list()? {
        let path = generation.path.join(manifest::FILE);
        if let (Ok(manifest), Ok(file)) = (Manifest::read(&generation.path, keys), fs::metadata(&path)) {
            found.push(Local { generation, manifest, manifest_bytes: file.len() });
        }
    }
    Ok(found)
}

/// What a round goes by.
struct Round<'o> {
    offsite: &'o Offsite,
    bucket: Arc<Bucket>,
    there: There,
    locals: Vec<Local>,
    /// Manifests of generations that are in the bucket alone; none where it cannot be read.
    others: BTreeMap<Name, Option<Manifest>>,
    /// Key versions that those name in the clear.
    other_keys: BTreeSet<(KeyId, u32)>,
    erased: BTreeSet<OrgId>,
    /// Generations that are the same there and here.
    same: BTreeSet<Name>,
}

impl Offsite {
    /// Brings the copy up to date with the snapshot folder. What was copied is told, the newest first.
    ///
    /// # Errors
    /// [`BackupError`]: what is there stays, and another round goes on from it.
    pub async fn round(&self, generations: &Generations, keyring: &Arc<Keyring>) -> Result<Vec<Copied>, BackupError> {
        let _alone = self.busy.try_lock().map_err(|_| OffsiteError::Busy)?;
        let copied = self.round_alone(generations, keyring).await;
        self.progress.end();
        self.known.lock().uploading = None;
        copied
    }

    async fn round_alone(&self, folder: &Generations, keyring: &Arc<Keyring>) -> Result<Vec<Copied>, BackupError> {
        let mirror = folder.keyring();
        if !mirror.exists() {
            return Ok(Vec::new());
        }
        let bucket = Arc::new(Bucket::open(&self.settings, &self.url)?);
        self.check_region(&bucket).await?;
        let there = There::of(&bucket.list().await?);
        let (generations, keys) = (folder.clone(), Arc::clone(keyring));
        let locals = blocking(move || local(&generations, &keys)).await?;
        let erased = keyring.erased().into_iter().map(|(org, _)| org).collect();
        let mut round = Round {
            offsite: self,
            bucket,
            there,
            locals,
            others: BTreeMap::new(),
            other_keys: BTreeSet::new(),
            erased,
            same: BTreeSet::new(),
        };
        round.compare_names().await?;
        round.read_others(keyring).await?;
        round.replace_keyring(&mirror).await?;
        // After it was replaced: a suspended versioning shows by what it has kept of it.
        let protection = round.bucket.protection().await?;
        self.known.lock().protection = protection;
        round.note();
        let copied = round.copy(keyring).await?;
        round.pin().await?;
        round.rotate().await?;
        round.sweep().await?;
        round.note();
        Ok(copied)
    }

    /// Nothing is sent into a region that nobody declared.
    async fn check_region(&self, bucket: &Bucket) -> Result<(), OffsiteError> {
        match bucket.region().await? {
            Some(found) if found != self.settings.region => {
                Err(OffsiteError::Elsewhere { url: self.url.clone(), found, declared: self.settings.region.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Round<'_> {
    /// The local generation whose manifest is the one that stands in the bucket.
    fn local_of(&self, name: &Name) -> Option<&Local> {
        let listed = self.there.generations.get(name)?;
        self.locals.iter().find(|local| {
            local.generation.name == *name && local.manifest_bytes == listed.manifest && self.same.contains(name)
        })
    }

    /// Compares the manifests there with those of the same name here by their heads, which are drawn for each: another
    /// appliance may have taken a generation in the same second.
    async fn compare_names(&mut self) -> Result<(), BackupError> {
        self.same = self.offsite.same.lock().clone();
        for local in &self.locals {
            let name = &local.generation.name;
            let Some(listed) = self.there.generations.get(name) else { continue };
            if self.same.contains(name) || listed.manifest != local.manifest_bytes {
                continue;
            }
            let (path, object) = (local.generation.path.join(manifest::FILE), layout::manifest(name));
            let ours = fs::read(&path).at(&path)?;
            let head = ours.len().min(HEAD);
            if self.bucket.read(&object, 0..head as u64).await?.as_ref() == &ours[..head] {
                self.same.insert(name.clone());
            }
        }
        let there = &self.there.generations;
        self.same.retain(|name| there.contains_key(name));
        self.offsite.same.lock().clone_from(&self.same);
        Ok(())
    }

    fn entries<'m>(&'m self, manifest: &'m Manifest) -> impl Iterator<Item = &'m Entry> {
        manifest.entries.iter().filter(|entry| entry.org.is_none_or(|org| !self.erased.contains(&org)))
    }

    /// Whether everything that a manifest names is there with its length.
    fn is_whole(&self, manifest: &Manifest) -> bool {
        self.entries(manifest).all(|entry| self.there.segments.get(&entry.id) == Some(&entry.bytes))
    }

    /// Reads the manifests of generations that are in the bucket alone.
    async fn read_others(&mut self, keyring: &Arc<Keyring>) -> Result<(), BackupError> {
        let names: Vec<Name> =
            self.there.generations.keys().filter(|name| self.local_of(name).is_none()).cloned().collect();
        let mut foreign = 0;
        for name in &names {
            let known = self.offsite.manifests.lock().get(name).cloned();
            let (manifest, key) = match known {
                Some(known) => known,
                None => {
                    let content = self.bucket.read_all(&layout::manifest(name)).await?;
                    let read = self.offsite.read_manifest(name, content, keyring).await?;
                    self.offsite.manifests.lock().insert(name.clone(), read.clone());
                    read
                }
            };
            foreign += usize::from(key.is_some_and(|(id, _)| !keyring.list().iter().any(|known| known.id == id)));
            self.other_keys.extend(key);
            self.others.insert(name.clone(), manifest);
        }
        self.offsite.manifests.lock().retain(|name, _| self.others.contains_key(name));
        if foreign > 0 && foreign == self.there.generations.len() {
            return Err(OffsiteError::Foreign { url: self.bucket.url().to_owned() }.into());
        }
        Ok(())
    }

    /// Puts the present keyring in the place of the one that is there.
    async fn replace_keyring(&mut self, mirror: &Path) -> Result<(), BackupError> {
        let content = fs::read(mirror).at(mirror)?;
        let sum = *blake3::hash(&content).as_bytes();
        let known = *self.offsite.keyring.lock();
        if known == Some(sum) && self.there.has_keyring {
            return Ok(());
        }
        if known.is_none() && self.there.has_keyring {
            let desk = self.offsite.desk();
            let theirs = peek(&self.offsite.fetch_keyring(&self.bucket, &desk).await?);
            fs::remove_dir_all(&desk).at(&desk)?;
            let ours = peek(mirror)?;
            if let Ok(theirs) = theirs
                && theirs.root == ours.root
                && theirs.sequence > ours.sequence
            {
                let url = self.bucket.url().to_owned();
                return Err(OffsiteError::Newer { url, theirs: theirs.sequence, ours: ours.sequence }.into());
            }
        }
        self.bucket.put(layout::KEYRING, content, None).await?;
        self.there.has_keyring = true;
        *self.offsite.keyring.lock() = Some(sum);
        Ok(())
    }

    /// Copies what is not there, the newest generation first: it is the one that would be missed most.
    async fn copy(&mut self, keyring: &Arc<Keyring>) -> Result<Vec<Copied>, BackupError> {
        let mut copied = Vec::new();
        for at in (0..self.locals.len()).rev() {
            let local = &self.locals[at];
            if self.local_of(&local.generation.name).is_some() && self.is_whole(&local.manifest) {
                continue;
            }
            let name = local.generation.name.clone();
            self.offsite.known.lock().uploading = Some(name.clone());
            match self.copy_one(at, keyring).await {
                Ok(one) => copied.push(one),
                // Its turn was over in the snapshot folder while it was under way.
                Err(_) if !self.locals[at].generation.path.exists() => {}
                Err(error) => return Err(error),
            }
            self.note();
        }
        self.offsite.known.lock().uploading = None;
        Ok(copied)
    }

    async fn copy_one(&mut self, at: usize, keyring: &Arc<Keyring>) -> Result<Copied, BackupError> {
        let (began, local) = (Instant::now(), &self.locals[at]);
        let (name, manifest_bytes) = (local.generation.name.clone(), local.manifest_bytes);
        // Compared when they were sent, or the manifest that names them would not stand there.
        let trusted: BTreeSet<[u8; 32]> = self
            .there
            .generations
            .keys()
            .filter_map(|name| self.manifest_of(name))
            .flat_map(|manifest| manifest.entries.iter().map(|entry| entry.id))
            .collect();
        let is_there =
            |entry: &Entry| trusted.contains(&entry.id) && self.there.segments.get(&entry.id) == Some(&entry.bytes);
        let wanted: Vec<&Entry> = self.entries(&local.manifest).filter(|entry| !is_there(entry)).collect();
        let progress = &self.offsite.progress;
        progress.begin(Step::Uploading, wanted.iter().map(|entry| entry.bytes).sum());
        let sending: Vec<_> = wanted
            .iter()
            .map(|entry| {
                let path = local.generation.path.join(entry.file());
                let there = self.there.segments.get(&entry.id).copied();
                let (bucket, entry, progress) = (Arc::clone(&self.bucket), (*entry).clone(), Arc::clone(progress));
                async move {
                    let sent = send::segment(&bucket, &path, &entry, there, &progress).await?;
                    Ok::<_, BackupError>((entry.id, entry.bytes, sent))
                }
            })
            .collect();
        let sent: Vec<_> = stream::iter(sending).buffer_unordered(AT_ONCE).try_collect().await?;
        progress.end();
        let count = |by: By| sent.iter().filter(|(_, _, sent)| sent.by == by).count() as u64;
        let copied = Copied {
            name: name.clone(),
            segments: self.entries(&local.manifest).count() as u64,
            sent: sent.iter().filter(|(_, _, sent)| sent.bytes > 0).count() as u64,
            bytes: sent.iter().map(|(_, _, sent)| sent.bytes).sum(),
            by_sha256: count(By::Sha256),
            by_md5: count(By::Md5),
            by_reading: count(By::Reading),
            took: began.elapsed(),
        };
        self.put_manifest(&local.generation, manifest_bytes, keyring).await?;
        let listed = layout::Listed { manifest: manifest_bytes, pinned: false };
        self.there.segments.extend(sent.into_iter().map(|(id, bytes, _)| (id, bytes)));
        self.there.generations.insert(name.clone(), listed);
        self.others.remove(&name);
        self.offsite.same.lock().insert(name.clone());
        self.same.insert(name);
        Ok(copied)
    }

    /// Puts the manifest there, last of all, and reads it back.
    async fn put_manifest(
        &self,
        generation: &Generation,
        length: u64,
        keyring: &Arc<Keyring>,
    ) -> Result<(), BackupError> {
        let path = generation.path.join(manifest::FILE);
        let content = fs::read(&path).at(&path)?;
        let object = layout::manifest(&generation.name);
        self.bucket.put(&object, content.clone(), None).await?;
        let back = self.bucket.read_all(&object).await?;
        let (read, _) = self.offsite.read_manifest(&generation.name, back.clone(), keyring).await?;
        if back == content && read.is_some() && back.len() as u64 == length {
            return Ok(());
        }
        self.bucket.remove(&object).await?;
        let what = "it does not read back as it was sent".to_owned();
        Err(OffsiteError::Damaged { object, what }.into())
    }

    /// Pins there what is pinned here.
    async fn pin(&mut self) -> Result<(), BackupError> {
        for local in &self.locals {
            let name = &local.generation.name;
            let Some(listed) = self.there.generations.get_mut(name) else { continue };
            if listed.pinned != local.generation.pinned {
                let object = layout::pin(name);
                if local.generation.pinned {
                    self.bucket.put(&object, Vec::new(), None).await?;
                } else {
                    self.bucket.remove(&object).await?;
                }
                listed.pinned = local.generation.pinned;
            }
        }
        Ok(())
    }

    fn manifest_of(&self, name: &Name) -> Option<&Manifest> {
        match self.local_of(name) {
            Some(local) => Some(&local.manifest),
            None => self.others.get(name)?.as_ref(),
        }
    }

    /// Lets generations go whose turn is over, by the rule of the snapshot folder: the manifest first, so that no half of one
    /// is ever taken for one.
    async fn rotate(&mut self) -> Result<(), BackupError> {
        let all: Vec<(Generation, Option<bool>)> = self
            .there
            .generations
            .iter()
            .map(|(name, listed)| {
                let generation =
                    Generation { name: name.clone(), path: PathBuf::from(name.as_str()), pinned: listed.pinned };
                (generation, self.manifest_of(name).map(|manifest| manifest.daily))
            })
            .collect();
        for generation in Generations::past_their_turn(&all) {
            // What still stands here would only be sent again.
            if self.locals.iter().any(|local| local.generation.name == generation.name) {
                continue;
            }
            self.bucket.remove(&layout::manifest(&generation.name)).await?;
            self.bucket.remove(&layout::pin(&generation.name)).await?;
            self.there.generations.remove(&generation.name);
            self.others.remove(&generation.name);
        }
        Ok(())
    }

    /// Removes segments that no generation names, and uploads that nobody will end. While one manifest cannot be read,
    /// any segment may be one of its own.
    async fn sweep(&mut self) -> Result<(), BackupError> {
        let mut named = BTreeSet::new();
        for name in self.there.generations.keys() {
            let Some(manifest) = self.manifest_of(name) else { return Ok(()) };
            named.extend(self.entries(manifest).map(|entry| entry.id));
        }
        let going: Vec<[u8; 32]> = self.there.segments.keys().filter(|id| !named.contains(*id)).copied().collect();
        let removing: Vec<_> = going
            .iter()
            .map(|id| {
                let (bucket, object) = (Arc::clone(&self.bucket), layout::segment(id));
                async move { bucket.remove(&object).await }
            })
            .collect();
        stream::iter(removing).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        for id in going {
            self.there.segments.remove(&id);
        }
        for (object, upload) in self.bucket.uploads(layout::SEGMENTS).await? {
            self.bucket.abort(&object, &upload).await?;
        }
        Ok(())
    }

    /// Notes what is known of the bucket now.
    fn note(&self) {
        let mut keys = self.other_keys.clone();
        let mut there = BTreeMap::new();
        for (name, listed) in &self.there.generations {
            if let Some(manifest) = self.manifest_of(name) {
                keys.extend(manifest.entries.iter().map(|entry| (entry.key_id, entry.key_version)));
                if self.is_whole(manifest) {
                    there.insert(name.clone(), listed.pinned);
                }
            }
        }
        let mut known = self.offsite.known.lock();
        *known = Known { there: Some(there), keys: Some(keys), ..std::mem::take(&mut *known) };
    }
}
