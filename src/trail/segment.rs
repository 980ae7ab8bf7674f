//! Segments: one file a day and organization, of sealed chunks appended one after another.
//!
//! `length (4, big endian) | nonce 24 | sealed | tag 16`, the length counting what follows it. The additional data of a
//! chunk are its day and its number, so chunks can be neither moved nor reordered. A torn last chunk is cut off when the
//! segment is opened for appending; it was never acknowledged to anybody. A segment with a damaged chunk before others is
//! put aside, and a new one begun.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::civil::Date;

use super::Entry;
use crate::{
    seal::DataKey,
    store::{decode, encode},
};

const PURPOSE: &str = "workrun trail segment 1";
/// A chunk is a second of one organization's requests; this is far past what one can be.
const CHUNK_BYTES_MAX: u32 = 64 << 20;

/// A segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    #[error("cannot use the access log's segment `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something else stands where chunk `number` was written.
    #[error("chunk {number} of the access log's segment `{path}` is damaged; what stands before it can be read")]
    Damaged { path: PathBuf, number: u64 },
}

/// A day's segment, open for appending.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: File,
    day: Date,
    chunks: u64,
}

fn aad(day: Date, number: u64) -> Vec<u8> {
    let mut aad = day.to_string().into_bytes();
    aad.extend_from_slice(&number.to_be_bytes());
    aad
}

impl Segment {
    /// Opens the segment of `day` in a folder, making both if they are not there.
    ///
    /// # Errors
    /// [`TrailError::File`].
    pub fn open(folder: &Path, day: Date, key: &DataKey) -> Result<Self, TrailError> {
        let path = folder.join(format!("{day}.trail"));
        let failed = |source| TrailError::File { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (mut chunks, mut end) = (0, 0);
        while let Some(sealed) = next_chunk(&mut file).map_err(failed)? {
            let whole = end + 4 + sealed.len() as u64;
            if key.open(PURPOSE, &aad(day, chunks), &sealed).is_err() {
                if whole < length {
                    // Something stands behind it, so no crash has torn it: it is kept as it is, for whoever can tell more.
                    put_aside(&path).map_err(failed)?;
                    return Self::open(folder, day, key);
                }
                break;
            }
            chunks += 1;
            end = whole;
        }
        if end + 4 <= length && beyond_limit(&file, end).map_err(failed)? {
            put_aside(&path).map_err(failed)?;
            return Self::open(folder, day, key);
        }
        // What follows the last whole chunk was torn by a crash.
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self { path, file, day, chunks })
    }

    /// Which day it is of.
    #[must_use]
    pub fn day(&self) -> Date {
        self.day
    }

    /// Appends entries as one chunk.
    ///
    /// # Errors
    /// [`TrailError::File`].
    pub fn append(&mut self, key: &DataKey, entries: &[Entry]) -> Result<(), TrailError> {
        let sealed = key.seal(PURPOSE, &aad(self.day, self.chunks), &encode(&entries.to_vec()));
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        if length > CHUNK_BYTES_MAX && entries.len() > 1 {
            let (first, second) = entries.split_at(entries.len() / 2);
            self.append(key, first)?;
            return self.append(key, second);
        }
        let mut chunk = length.to_be_bytes().to_vec();
        chunk.extend_from_slice(&sealed);
        self.file.write_all(&chunk).map_err(|source| TrailError::File { path: self.path.clone(), source })?;
        self.chunks += 1;
        Ok(())
    }
}

/// Renames a damaged segment to the first free `NAME.damaged-N`.
fn put_aside(path: &Path) -> io::Result<()> {
    for number in 1.. {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".damaged-{number}"));
        if !Path::new(&aside).try_exists()? {
            tracing::error!(path = %path.display(), aside = %Path::new(&aside).display(), "an access log is damaged; it is put aside and a new one begun");
            return std::fs::rename(path, aside);
        }
    }
    Ok(())
}

/// Whether the length at `offset` is one that no chunk has.
fn beyond_limit(file: &File, offset: u64) -> io::Result<bool> {
    let mut length = [0; 4];
    file.read_exact_at(&mut length, offset)?;
    Ok(u32::from_be_bytes(length) > CHUNK_BYTES_MAX)
}

/// The next chunk's sealed bytes; `None` at the end, or where the rest is too short to be a chunk.
fn next_chunk(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if !read_whole(file, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length);
    if length > CHUNK_BYTES_MAX {
        return Ok(None);
    }
    let mut sealed = vec![0; length as usize];
    Ok(read_whole(file, &mut sealed)?.then_some(sealed))
}

fn read_whole(file: &mut File, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The entries of a segment, oldest first.
///
/// # Errors
/// [`TrailError::File`]; [`TrailError::Damaged`] at the first chunk that does not open.
pub fn read_segment(folder: &Path, day: Date, key: &DataKey) -> Result<Vec<Entry>, TrailError> {
    let path = folder.join(format!("{day}.trail"));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TrailError::File { path, source }),
    };
    let mut entries = Vec::new();
    let mut number = 0;
    while let Some(sealed) = next_chunk(&mut file).map_err(|source| TrailError::File { path: path.clone(), source })? {
        let damaged = || TrailError::Damaged { path: path.clone(), number };
        let plain = key.open(PURPOSE, &aad(day, number), &sealed).map_err(|_| damaged())?;
        entries.extend(decode::<Vec<Entry>>("trail", &plain).map_err(|_| damaged())?);
        number += 1;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        seal::{KeyId, hex},
        store::history::Actor,
    };

    fn entry() -> Entry {
        Entry {
            at: Timestamp(1),
            request: "r".to_owned(),
            method: "GET".to_owned(),
            route: "(none)".to_owned(),
            status: 404,
            actor: Some(Actor::Operator(None)),
            duration_us: 5,
            address: "::1".to_owned(),
            agent: "c".to_owned(),
        }
    }

    #[test]
    fn a_torn_end_is_cut_off_and_a_damaged_segment_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (day, key) = ("2026-11-22".parse().unwrap(), DataKey::from_bytes(KeyId([0; 16]), 1, [1; 32]));
        let path = folder.path().join("2026-11-22.trail");
        let write = |count: usize| {
            let mut segment = Segment::open(folder.path(), day, &key).unwrap();
            for _ in 0..count {
                segment.append(&key, &[entry()]).unwrap();
            }
        };
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        write(3);
        let whole = std::fs::read(&path).unwrap();
        let chunk = whole.len() / 3;

        // Whatever a crash has left of the last chunk goes, and nothing else.
        for torn in [whole.len() - 1, whole.len() - chunk + 3, whole.len() - chunk] {
            std::fs::write(&path, &whole[..torn]).unwrap();
            write(1);
            assert_eq!(read_segment(folder.path(), day, &key).unwrap().len(), 3, "torn at {torn}");
        }
        let mut last = whole.clone();
        *last.last_mut().unwrap() ^= 1;
        std::fs::write(&path, last).unwrap();
        write(0);
        assert_eq!((read_segment(folder.path(), day, &key).unwrap().len(), names()), (2, 1));

        // One before others is damage: all of it is kept beside a new segment.
        for (turn, at) in [(1, chunk + 40), (2, chunk)] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x80;
            std::fs::write(&path, &damaged).unwrap();
            write(1);
            assert_eq!((read_segment(folder.path(), day, &key).unwrap().len(), names()), (1, turn + 1));
            assert_eq!(std::fs::read(format!("{}.damaged-{turn}", path.display())).unwrap(), damaged);
        }
    }

    /// The vectors of docs/formats/trail.md, made by `tests/format_vectors.py`.
    #[test]
    fn a_segment_stays_as_documented() {
        let entry = entry();
        assert_eq!(hex(&encode(&vec![entry.clone()])), ENTRIES);
        let mut segment = Vec::new();
        for (nonce, sealed) in [([2; 24], CHUNK_0), ([3; 24], CHUNK_1)] {
            segment.extend_from_slice(&78_u32.to_be_bytes());
            segment.extend_from_slice(&nonce);
            segment
                .extend((0..sealed.len() / 2).map(|at| u8::from_str_radix(&sealed[at * 2..at * 2 + 2], 16).unwrap()));
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("2026-11-22.trail"), segment).unwrap();
        let (day, key) = ("2026-11-22".parse().unwrap(), DataKey::from_bytes(KeyId([0; 16]), 1, [1; 32]));
        assert_eq!(read_segment(folder.path(), day, &key).unwrap(), [entry.clone(), entry]);
    }

    const ENTRIES: &str = "81a9000101617202634745540366286e6f6e65290419019405820480060507633a3a31086163";
    const CHUNK_0: &str =
        "c7a026d970d7cadd389ab685abc828c3afeab7da924805e7e952afed6904ec3d99995fe5d437b9def7541049f547f6a092c811ccb7e9";
    const CHUNK_1: &str =
        "ec134cee2ad2a3fc0a8860725b09dd02f21bdc34c405e25025633973bfbaa27061dc373d487c4e4ef71a00696f3318342c1c985ef0d6";
}
