//! The keyring's file: a clear header, the content sealed under the root key, and the same content as an age file for
//! the recovery key. `docs/formats/keyring.md` is the specification.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    Fingerprint, RecoveryKey, RootKey, field, keyring::KeyringError, keyring_content::Content, product_version,
    recovery, shown_version,
};
use crate::ids::random_bytes;

/// The format that this version writes, and the newest it reads.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"WRKKEYS\n";
const HEADER: usize = 160;
/// More than a keyring of a hundred thousand organizations; nothing longer is written or read.
const LARGEST: u64 = 64 << 20;

/// What a keyring's file says of itself in the clear; only the right key tells whether it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clear {
    /// The root key that opens it.
    pub root: Fingerprint,
    /// Counts the changes; of several copies the highest that opens is the newest.
    pub sequence: u64,
    /// Whether a section for the recovery key follows.
    pub has_recovery: bool,
}

/// Reads the clear header of a keyring's file or mirror.
///
/// # Errors
/// [`KeyringError`] when the file cannot be read or is not a keyring this version reads.
pub fn peek(path: &Path) -> Result<Clear, KeyringError> {
    Ok(Parsed::of(path, &read(path)?)?.clear)
}

/// The whole file, at most [`LARGEST`] bytes of it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeyringError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| KeyringError::Io { path: path.to_owned(), source })
}

/// The bytes of a file that holds `content`. Every file has its own salt, so that a file's key dies with the file.
pub(super) fn build(content: &Content, root: &RootKey) -> Result<Vec<u8>, KeyringError> {
    let plaintext = content.encode();
    let age = match &content.recipient {
        Some(recipient) => recovery::seal(recipient, &plaintext)?,
        None => Vec::new(),
    };
    let salt = random_bytes::<32>();
    let sealed_length = plaintext.len() + super::aead::NONCE + super::aead::TAG;
    let mut file = Vec::with_capacity(HEADER + sealed_length + age.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&length_field(sealed_length));
    file.extend_from_slice(&length_field(age.len()));
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&root.fingerprint().0);
    file.extend_from_slice(&content.sequence.to_le_bytes());
    file.extend_from_slice(&product_version());
    file.extend_from_slice(&salt);
    file.extend_from_slice(&Sha256::digest(&age));
    file.resize(HEADER, 0);
    let sealed = root.keyring_cipher(&salt).seal(&file, &plaintext);
    file.extend_from_slice(&sealed);
    file.extend_from_slice(&age);
    if file.len() as u64 > LARGEST {
        return Err(KeyringError::Full);
    }
    Ok(file)
}

/// The content, by the root key.
pub(super) fn open(path: &Path, file: &[u8], root: &RootKey) -> Result<Content, KeyringError> {
    let parsed = Parsed::of(path, file)?;
    let given = root.fingerprint();
    if parsed.clear.root != given {
        return Err(KeyringError::WrongKey { needs: parsed.clear.root, given });
    }
    let plaintext = root
        .keyring_cipher(&field(file, 56))
        .open(&file[..HEADER], parsed.sealed)
        .map(Zeroizing::new)
        .map_err(|_| damaged(path, "its sealed part does not authenticate"))?;
    if Sha256::digest(parsed.age)[..] != file[88..120] {
        return Err(damaged(path, "its recovery part is not the one that was written"));
    }
    decode(path, &plaintext, parsed.clear.sequence)
}

/// The content, by the recovery key.
pub(super) fn open_with_recovery(path: &Path, file: &[u8], key: &RecoveryKey) -> Result<Content, KeyringError> {
    let parsed = Parsed::of(path, file)?;
    if !parsed.clear.has_recovery {
        return Err(KeyringError::NoRecoveryPart { path: path.to_owned() });
    }
    let plaintext = key
        .open(parsed.age)
        .ok_or_else(|| KeyringError::NotTheRecoveryKey { path: path.to_owned(), given: key.recipient() })?;
    decode(path, &plaintext, parsed.clear.sequence)
}

fn decode(path: &Path, plaintext: &[u8], sequence: u64) -> Result<Content, KeyringError> {
    let content: Content =
        minicbor::decode(plaintext).map_err(|error| damaged(path, &format!("its content cannot be read: {error}")))?;
    if content.sequence != sequence {
        return Err(damaged(path, "its parts are of different ages"));
    }
    Ok(content)
}

fn damaged(path: &Path, what: &str) -> KeyringError {
    KeyringError::Damaged { path: path.to_owned(), what: what.to_owned() }
}

fn length_field(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a keyring stays far below 4 GiB").to_le_bytes()
}

struct Parsed<'a> {
    clear: Clear,
    sealed: &'a [u8],
    age: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn of(path: &Path, file: &'a [u8]) -> Result<Self, KeyringError> {
        if file.len() < HEADER || file[..8] != MAGIC {
            return Err(KeyringError::NotAKeyring { path: path.to_owned() });
        }
        let found = u32::from_le_bytes(field(file, 8));
        if found > FORMAT {
            let written_by = shown_version(&field(file, 40));
            return Err(KeyringError::TooNew { path: path.to_owned(), found, written_by });
        }
        let length = |offset| usize::try_from(u32::from_le_bytes(field(file, offset))).unwrap_or(usize::MAX);
        let (sealed, age) = (length(12), length(16));
        let body = &file[HEADER..];
        if found == 0 || sealed.checked_add(age) != Some(body.len()) {
            return Err(damaged(path, "its length is not the one it names"));
        }
        let clear = Clear {
            root: Fingerprint(field(file, 24)),
            sequence: u64::from_le_bytes(field(file, 32)),
            has_recovery: age > 0,
        };
        let (sealed, age) = body.split_at(sealed);
        Ok(Self { clear, sealed, age })
    }
}
