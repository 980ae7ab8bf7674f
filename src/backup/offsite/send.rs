//! Sending a segment, and comparing what the server has with what stands in the snapshot folder.
//!
//! What is there already is not sent again: a whole object by its length and checksum, a large one part by part, for as
//! long as the server keeps the upload that was begun.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::{
    OffsiteError,
    bucket::{Bucket, Part},
    layout,
};
use crate::backup::{BackupError, Entry, Progress, error::At as _};

/// Up to this size an object is sent whole, and above it in parts of this size: more than the least that S3 takes, and little
/// enough to be held in memory a few times.
const PART: u64 = 8 << 20;
/// Parts that an object may have, with some to spare under S3's 10,000.
const PARTS_MAX: u64 = 9_000;

/// By what the server's copy was compared with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The SHA-256 that the server has computed.
    Sha256,
    /// The MD5 in its tag, where it tells no SHA-256.
    Md5,
    /// Its BLAKE3, after reading it back, where the server tells neither.
    Reading,
}

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Bytes that were sent for it now.
    pub bytes: u64,
    pub by: By,
}

/// How large the parts of an object are: told by its length alone, so that another try cuts where the first has cut.
fn part_bytes(length: u64) -> u64 {
    PART.max(length.div_ceil(PARTS_MAX).next_multiple_of(1 << 20))
}

/// What a part is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PartSum {
    bytes: u64,
    sha256: [u8; 32],
    md5: [u8; 16],
}

impl PartSum {
    fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, sha256: Sha256::digest(content).into(), md5: Md5::digest(content).into() }
    }

    fn sha256(&self) -> String {
        BASE64_STANDARD.encode(self.sha256)
    }

    /// Whether the server holds this part.
    fn is(&self, part: &Part) -> bool {
        part.bytes == self.bytes
            && match &part.sha256 {
                Some(sum) => *sum == self.sha256(),
                None => part.tag == hex(&self.md5),
            }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksums by which a server names an object: of the whole, or of the sums of its parts.
#[derive(Debug, PartialEq, Eq)]
struct Sums {
    sha256: String,
    tag: String,
}

impl Sums {
    fn of(parts: &[PartSum], in_parts: bool) -> Self {
        if let ([whole], false) = (parts, in_parts) {
            return Self { sha256: whole.sha256(), tag: hex(&whole.md5) };
        }
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        for part in parts {
            sha256.update(part.sha256);
            md5.update(part.md5);
        }
        Self {
            sha256: BASE64_STANDARD.encode(sha256.finalize()),
            tag: format!("{}-{}", hex(&md5.finalize()), parts.len()),
        }
    }
}

/// A segment's file, read part by part and summed on the way.
struct Source {
    path: PathBuf,
    file: File,
    part: u64,
    hasher: blake3::Hasher,
    length: u64,
}

impl Source {
    fn open(path: &Path, part: u64) -> Result<Self, BackupError> {
        let file = File::open(path).at(path)?;
        Ok(Self { path: path.to_owned(), file, part, hasher: blake3::Hasher::new(), length: 0 })
    }

    /// The next part; an empty one at the end.
    async fn next(mut self) -> Result<(Self, Vec<u8>, PartSum), BackupError> {
        crate::backup::blocking(move || {
            let mut content = Vec::with_capacity(usize::try_from(self.part).unwrap_or_default());
            (&mut self.file).take(self.part).read_to_end(&mut content).at(&self.path)?;
            self.hasher.update(&content);
            self.length += content.len() as u64;
            let sum = PartSum::of(&content);
            Ok((self, content, sum))
        })
        .await
    }

    /// What was read must be what the manifest names: damage is not carried elsewhere.
    fn check(&self, entry: &Entry) -> Result<(), BackupError> {
        if self.length == entry.bytes && self.hasher.finalize().as_bytes() == &entry.hash {
            return Ok(());
        }
        let what = "it is not what the manifest names; it is not sent".to_owned();
        Err(BackupError::Damaged { path: self.path.clone(), what })
    }
}

/// Sees to it that a segment is in the bucket. `there` is the length of what stands in its place.
pub(super) async fn segment(
    bucket: &Bucket,
    path: &Path,
    entry: &Entry,
    there: Option<u64>,
    progress: &Progress,
) -> Result<Sent, BackupError> {
    let object = layout::segment(&entry.id);
    let in_parts = entry.bytes > PART;
    if there == Some(entry.bytes) {
        let mut source = Source::open(path, part_bytes(entry.bytes))?;
        let mut sums = Vec::new();
        while source.length < entry.bytes {
            let (next, _, sum) = source.next().await?;
            source = next;
            if sum.bytes == 0 {
                break;
            }
            sums.push(sum);
        }
        source.check(entry)?;
        match compare(bucket, &object, entry, &Sums::of(&sums, in_parts)).await {
            Ok(by) => {
                progress.add(entry.bytes);
                return Ok(Sent { bytes: 0, by });
            }
            Err(BackupError::Offsite(OffsiteError::Damaged { .. })) => {
                tracing::warn!(object, "what was sent of a segment is not what it must be; it is sent again");
            }
            Err(error) => return Err(error),
        }
    }
    let source = Source::open(path, part_bytes(entry.bytes))?;
    let (sums, bytes) = if in_parts {
        parts(bucket, &object, source, entry, progress).await?
    } else {
        let (source, content, sum) = source.next().await?;
        source.check(entry)?;
        bucket.put(&object, content, Some(&hex(&entry.hash))).await?;
        progress.add(entry.bytes);
        (Sums::of(&[sum], false), entry.bytes)
    };
    match compare(bucket, &object, entry, &sums).await {
        Ok(by) => Ok(Sent { bytes, by }),
        Err(error) => {
            if matches!(error, BackupError::Offsite(OffsiteError::Damaged { .. })) {
                // What is not right must not be taken for what is.
                bucket.remove(&object).await?;
            }
            Err(error)
        }
    }
}

/// Sends a segment in parts, those that the server does not hold from an earlier try. Returns how many bytes that were.
async fn parts(
    bucket: &Bucket,
    object: &str,
    mut source: Source,
    entry: &Entry,
    progress: &Progress,
) -> Result<(Sums, u64), BackupError> {
    let begun = bucket.uploads(object).await?.into_iter().rfind(|(name, _)| name == object);
    let (upload, held) = match begun {
        Some((_, upload)) => {
            let held = bucket.parts(object, &upload).await?;
            (upload, held)
        }
        None => (bucket.begin(object, &hex(&entry.hash)).await?, Vec::new()),
    };
    let (mut sums, mut sent) = (Vec::<PartSum>::new(), 0);
    while source.length < entry.bytes {
        let (next, content, sum) = source.next().await?;
        source = next;
        if sum.bytes == 0 {
            break;
        }
        let number = sums.len() + 1;
        if !held.iter().any(|part| part.number == number && sum.is(part)) {
            bucket.put_part(object, &upload, number, content).await?;
            sent += sum.bytes;
        }
        progress.add(sum.bytes);
        sums.push(sum);
    }
    if let Err(error) = source.check(entry) {
        bucket.abort(object, &upload).await?;
        return Err(error);
    }
    let held = bucket.parts(object, &upload).await?;
    let mut named = Vec::with_capacity(sums.len());
    for (at, sum) in sums.iter().enumerate() {
        let part = held.iter().find(|part| part.number == at + 1 && part.bytes == sum.bytes);
        let Some(part) = part else {
            let what = format!("the server does not hold part {} of it, which it has taken", at + 1);
            return Err(OffsiteError::Damaged { object: object.to_owned(), what }.into());
        };
        named.push((part.tag.clone(), sum.sha256()));
    }
    bucket.complete(object, &upload, &named).await?;
    Ok((Sums::of(&sums, true), sent))
}

/// Compares what the server has with what was read from the disk.
async fn compare(bucket: &Bucket, object: &str, entry: &Entry, sums: &Sums) -> Result<By, BackupError> {
    let damaged = |what: String| BackupError::from(OffsiteError::Damaged { object: object.to_owned(), what });
    let described = bucket.describe(object).await?;
    if described.bytes != entry.bytes {
        return Err(damaged(format!("it has {} bytes of {}", described.bytes, entry.bytes)));
    }
    if let Some(sum) = &described.sha256 {
        let bare = sum.split_once('-').map_or(sum.as_str(), |(bare, _)| bare);
        return if bare == sums.sha256 {
            Ok(By::Sha256)
        } else {
            Err(damaged("its SHA-256 is another one".to_owned()))
        };
    }
    // A tag that differs proves nothing: of objects that the server encrypts it is no MD5.
    if described.tag == sums.tag {
        return Ok(By::Md5);
    }
    read_back(bucket, object, entry, |_| {}).await?;
    Ok(By::Reading)
}

/// Reads an object whole, and compares it with the manifest's BLAKE3.
pub(super) async fn read_back(
    bucket: &Bucket,
    object: &str,
    entry: &Entry,
    mut on_bytes: impl FnMut(&[u8]),
) -> Result<(), BackupError> {
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
    while at < entry.bytes {
        let end = entry.bytes.min(at + PART);
        let got = bucket.read(object, at..end).await?;
        let got = got.as_ref();
        if got.len() as u64 != end - at {
            let what = format!("it ends after {} bytes of {}", at + got.len() as u64, entry.bytes);
            return Err(OffsiteError::Damaged { object: object.to_owned(), what }.into());
        }
        hasher.update(got);
        on_bytes(got);
        at = end;
    }
    if hasher.finalize().as_bytes() == &entry.hash {
        return Ok(());
    }
    let what = "its BLAKE3 is not the one that the manifest names".to_owned();
    Err(OffsiteError::Damaged { object: object.to_owned(), what }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_cut_the_same_way_every_time() {
        assert_eq!(part_bytes(1), PART);
        assert_eq!(part_bytes(9_000 * PART), PART);
        let large = 9_000 * PART + 1;
        assert_eq!(part_bytes(large), PART + (1 << 20));
        assert!(large.div_ceil(part_bytes(large)) <= PARTS_MAX);
        let largest = 5_u64 << 40;
        assert!(largest.div_ceil(part_bytes(largest)) <= 10_000 && part_bytes(largest) < 5 << 30);
    }

    #[test]
    fn sums_are_as_servers_name_them() {
        let (one, two) = (PartSum::of(b"hello "), PartSum::of(b"world"));
        let whole = Sums::of(&[PartSum::of(b"hello world")], false);
        assert_eq!(whole.tag, "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert_eq!(whole.sha256, "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=");
        let both = Sums::of(&[one, two], true);
        assert!(both.tag.ends_with("-2") && both.tag.len() == 34);
        assert_ne!(Sums::of(&[one], true), Sums::of(&[one], false));
        let held = Part { number: 1, bytes: 6, tag: hex(&one.md5), sha256: None };
        assert!(one.is(&held) && !two.is(&held));
        assert!(!one.is(&Part { sha256: Some(two.sha256()), ..held }));
    }
}
