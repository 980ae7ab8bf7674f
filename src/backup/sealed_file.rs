//! The container of manifests and segments: a header in the clear, then a sealed stream.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};

use super::{BackupError, error::At};
use crate::{
    ids::random_bytes,
    seal::{DataKey, Fingerprint, KeyId, Keyring, field, product_version, shown_version, stream},
};

/// The format that this version writes, and the newest it reads.
const FORMAT: u32 = 3;
const HEADER: usize = 128;

/// What a sealed file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Segment,
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Manifest => *b"WRKMANI\n",
            Self::Segment => *b"WRKSEGM\n",
        }
    }
}

/// What names a file's bytes: how many they are and their BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub bytes: u64,
    pub hash: [u8; 32],
}

/// What a sealed file says of itself in the clear.
#[derive(Clone, Debug)]
pub(super) struct Clear {
    /// Of the container, and of what is in it.
    pub format: u32,
    pub key_id: KeyId,
    pub key_version: u32,
    pub fingerprint: Fingerprint,
    /// 32 bytes drawn for this attempt at writing it.
    pub id: [u8; 32],
    /// The version of the product that wrote it.
    pub written_by: String,
}

/// Counts and hashes what passes.
struct Summing<T> {
    inner: T,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl<T> Summing<T> {
    fn new(inner: T) -> Self {
        Self { inner, bytes: 0, hasher: blake3::Hasher::new() }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    fn sum(&self) -> Sum {
        Sum { bytes: self.bytes, hash: *self.hasher.finalize().as_bytes() }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.note(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.note(&out[..read]);
        Ok(read)
    }
}

fn header(kind: Kind, key: &DataKey, id: &[u8; 32]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&kind.magic());
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[16..32].copy_from_slice(&key.id().0);
    header[32..36].copy_from_slice(&key.version().to_le_bytes());
    header[40..48].copy_from_slice(&key.fingerprint().0);
    header[48..80].copy_from_slice(id);
    header[80..96].copy_from_slice(&product_version());
    header
}

/// A sealed file in the making.
pub(super) struct Writer {
    path: PathBuf,
    out: stream::Sealing<BufWriter<Summing<File>>>,
    /// The stream's id.
    pub id: [u8; 32],
}

impl Writer {
    /// Makes a new file.
    pub fn create(path: &Path, kind: Kind, key: &DataKey) -> Result<Self, BackupError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).at(path)?;
        let id = random_bytes::<32>();
        let header = header(kind, key, &id);
        let mut out = BufWriter::with_capacity(256 * 1024, Summing::new(file));
        out.write_all(&header).at(path)?;
        Ok(Self { path: path.to_owned(), out: key.sealing(&id, &header, out), id })
    }

    /// Ends the file; it is on the disk when this returns, its name when the folder is synced.
    pub fn finish(self) -> Result<Sum, BackupError> {
        let Self { path, out, .. } = self;
        let finish = || {
            let summing = out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            summing.inner.sync_all()?;
            Ok(summing.sum())
        };
        finish().at(&path)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A sealed file that is read.
pub(super) struct Reader {
    path: PathBuf,
    from: stream::Opening<Summing<BufReader<File>>>,
    pub clear: Clear,
}

impl Reader {
    /// Opens a file with the key version that it names. `from_disk` asks the system to forget what it holds of the file in
    /// memory first, so that the disk is what is read.
    pub fn open(path: &Path, kind: Kind, keys: &Keyring, from_disk: bool) -> Result<Self, BackupError> {
        let file = File::open(path).at(path)?;
        if from_disk {
            // Only advice: a file system that does not take it gives what it has.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
        }
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        let mut from = Summing::new(BufReader::with_capacity(256 * 1024, file));
        let (header, clear) = read_header(&mut from, path, kind)?;
        let no_key = |what: String| BackupError::NoKey { path: path.to_owned(), what };
        let key = keys.key(clear.key_id, clear.key_version).ok_or_else(|| {
            no_key(format!(
                "it needs version {} of key {}, which the keyring does not hold: it was destroyed, or the keyring is older",
                clear.key_version, clear.key_id
            ))
        })?;
        if key.fingerprint() != clear.fingerprint {
            return Err(no_key(format!("it needs key {}, the keyring holds {}", clear.fingerprint, key.fingerprint())));
        }
        let from = key.opening(&clear.id, &header, from);
        Ok(Self { path: path.to_owned(), from, clear })
    }

    /// The sum of the file's bytes, once it has been read to its end.
    pub fn finish(mut self) -> Result<Sum, BackupError> {
        let mut rest = [0; 64];
        match self.read(&mut rest) {
            Ok(0) => Ok(self.from.into_inner().sum()),
            Ok(_) => Err(BackupError::Damaged { path: self.path, what: "it is longer than its content".to_owned() }),
            Err(source) => Err(BackupError::Io { path: self.path, source }),
        }
    }
}

fn read_header(from: &mut impl Read, path: &Path, kind: Kind) -> Result<([u8; HEADER], Clear), BackupError> {
    let mut header = [0; HEADER];
    let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
    from.read_exact(&mut header).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
        _ => BackupError::Io { path: path.to_owned(), source: error },
    })?;
    if header[..8] != kind.magic() {
        return Err(damaged("it does not begin as it must"));
    }
    let format = u32::from_le_bytes(field(&header, 8));
    match format {
        1..=FORMAT => {}
        0 => return Err(damaged("it has format 0")),
        _ => {
            let written_by = shown_version(&field(&header, 80));
            return Err(BackupError::TooNew { path: path.to_owned(), written_by });
        }
    }
    let clear = Clear {
        format,
        key_id: KeyId(field(&header, 16)),
        key_version: u32::from_le_bytes(field(&header, 32)),
        fingerprint: Fingerprint(field(&header, 40)),
        id: field(&header, 48),
        written_by: shown_version(&field(&header, 80)),
    };
    Ok((header, clear))
}

/// What a file says of itself in the clear; only its key tells whether it is true.
pub(super) fn peek(path: &Path, kind: Kind) -> Result<Clear, BackupError> {
    Ok(read_header(&mut File::open(path).at(path)?, path, kind)?.1)
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.from.read(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of docs/formats/snapshot.md, made by `tests/format_vectors.py`; changing the container makes every existing
    /// generation unreadable.
    #[test]
    fn the_container_stays_as_documented() {
        let mut bytes = [0; 32];
        for (value, byte) in (0..).zip(&mut bytes) {
            *byte = value;
        }
        let (key, id) = (DataKey::from_bytes(KeyId([0x11; 16]), 1, bytes), [0x66; 32]);
        let header = header(Kind::Segment, &key, &id);
        let sealed: Vec<u8> =
            (0..CHUNK.len() / 2).map(|at| u8::from_str_radix(&CHUNK[at * 2..at * 2 + 2], 16).unwrap()).collect();
        let mut plain = String::new();
        key.opening(&id, &header, sealed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "hello");
        let mut again = key.sealing(&id, &header, Vec::new());
        again.write_all(b"hello").unwrap();
        assert_eq!(again.finish().unwrap(), sealed);
    }

    const CHUNK: &str = "5ace754e01c59e05446890153f34eb3d9bdf547ad1";
}
