//! The root key, and the data keys that a keyring holds.

use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    Fingerprint,
    aead::{Cipher, Unsealed},
    blocks::BlockCipher,
    durable, hex,
    stream::{Opening, Sealing, StreamCipher},
};
use crate::ids::fill_random;

/// HKDF-SHA256 (RFC 5869) with `info` = `label ‖ purpose`.
fn derive<const N: usize>(salt: &[u8], key: &[u8; 32], label: &str, purpose: &str) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(&[label.as_bytes(), purpose.as_bytes()], &mut out)
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    out
}

const FINGERPRINT: &str = "workrun v1 fingerprint";
const KEYRING: &str = "workrun v1 keyring";
const SEAL: &str = "workrun v1 seal ";
const MAC: &str = "workrun v1 mac ";
const BLOCK: &str = "workrun v1 block";
const STREAM: &str = "workrun v1 stream";

/// The key that opens the keyring: 32 bytes, kept outside the data folder, wiped from memory on drop. They stand in one place
/// of the heap: a key that is handed on by value would leave its bytes on the stack, wherever it has been.
pub struct RootKey(Box<Zeroizing<[u8; 32]>>);

impl Clone for RootKey {
    fn clone(&self) -> Self {
        Self::made(|bytes| bytes.copy_from_slice(&self.0[..]))
    }
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file cannot be read or written.
    #[error("the root key's file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error("the root key's file {path} has mode {mode:04o}, so others may read it; run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is no root key.
    #[error("not a root key: 64 hexadecimal digits are expected")]
    Malformed,
}

impl RootKey {
    /// A new key from the operating system's generator.
    #[must_use]
    pub fn fresh() -> Self {
        Self::made(|bytes| fill_random(bytes))
    }

    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self::made(|place| place.copy_from_slice(&bytes[..]))
    }

    /// The key that `fill` writes where it is to stand.
    fn made(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Self(Box::default());
        fill(&mut key.0);
        key
    }

    /// Reads 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`RootKeyError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, RootKeyError> {
        let digits = text.trim().as_bytes();
        let mut key = Self(Box::default());
        if digits.len() != 64 {
            return Err(RootKeyError::Malformed);
        }
        for (byte, pair) in key.0.iter_mut().zip(digits.chunks_exact(2)) {
            for &digit in pair {
                let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
                *byte = *byte << 4 | value.ok_or(RootKeyError::Malformed)?;
            }
        }
        Ok(key)
    }

    /// Reads the key's file, which only its owner may be able to read.
    ///
    /// # Errors
    /// [`RootKeyError`], naming the file.
    pub fn from_file(path: &Path) -> Result<Self, RootKeyError> {
        let io = |source| RootKeyError::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(256));
        file.take(255).read_to_string(&mut text).map_err(io)?;
        Self::from_text(&text)
    }

    /// Writes the key into a new file with mode 0600; the file is on the disk when this returns.
    ///
    /// # Errors
    /// [`RootKeyError::Io`]; a file that exists is never overwritten.
    pub fn write_new(&self, path: &Path) -> Result<(), RootKeyError> {
        let io = |source| RootKeyError::Io { path: path.to_owned(), source };
        let text = Zeroizing::new(hex(&self.0[..]));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        durable::sync_folder_of(path).map_err(io)
    }

    /// What names this key in the clear.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(derive(&[], &self.0, FINGERPRINT, ""))
    }

    /// The cipher of a keyring file with this salt.
    pub(super) fn keyring_cipher(&self, salt: &[u8; 32]) -> Cipher {
        Cipher::new(derive(salt, &self.0, KEYRING, ""))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.fingerprint())
    }
}

/// A data key's name, the same through its versions: 16 bytes that stand in the clear beside what the key sealed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct KeyId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::ids::base32(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key that seals data. Cloning shares the one copy in memory, which is wiped when the last clone goes.
#[derive(Clone)]
pub struct DataKey(Arc<Inner>);

struct Inner {
    id: KeyId,
    version: u32,
    fingerprint: Fingerprint,
    bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    /// A new key from the operating system's generator. Keys that shall outlive the process come from the keyring.
    #[must_use]
    pub fn fresh(id: KeyId, version: u32) -> Self {
        Self::made(id, version, |bytes| fill_random(bytes))
    }

    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(id: KeyId, version: u32, bytes: [u8; 32]) -> Self {
        Self::from_slice(id, version, &bytes)
    }

    /// The key with these bytes, which go straight into the place that is wiped.
    pub(super) fn from_slice(id: KeyId, version: u32, bytes: &[u8; 32]) -> Self {
        Self::made(id, version, |place| place.copy_from_slice(bytes))
    }

    /// A key whose bytes are put where they stay: a value that is moved leaves a copy on the stack, which nobody wipes.
    fn made(id: KeyId, version: u32, fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let (fingerprint, bytes) = (Fingerprint([0; 8]), Zeroizing::new([0; 32]));
        let mut inner = Arc::new(Inner { id, version, fingerprint, bytes });
        if let Some(inner) = Arc::get_mut(&mut inner) {
            fill(&mut inner.bytes);
            inner.fingerprint = Fingerprint(derive(&[], &inner.bytes, FINGERPRINT, ""));
        }
        Self(inner)
    }

    /// The key's name, the same through its versions.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id
    }

    /// Which version of the key this is, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// What names these 32 bytes in the clear.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Seals a message for one purpose: `nonce (24) ‖ ciphertext ‖ tag (16)`, XChaCha20-Poly1305 under a subkey of the
    /// purpose. `aad` is what the message must be presented with to open: its place, its owner.
    #[must_use]
    pub fn seal(&self, purpose: &str, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.cipher(purpose).seal(aad, plaintext)
    }

    /// Opens what [`Self::seal`] made with the same purpose and `aad`.
    ///
    /// # Errors
    /// [`Unsealed`], and then nothing of the message is returned.
    pub fn open(&self, purpose: &str, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealed> {
        self.cipher(purpose).open(aad, sealed)
    }

    /// HMAC-SHA256 (RFC 2104) of `data` under a subkey of the purpose.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let key = Zeroizing::new(derive::<32>(&[], &self.0.bytes, MAC, purpose));
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// The cipher for the blocks of one file.
    #[must_use]
    pub fn block_cipher(&self, file_id: [u8; 16]) -> BlockCipher {
        BlockCipher::new(Cipher::new(derive(&file_id, &self.0.bytes, BLOCK, "")), file_id)
    }

    /// Seals a stream into `out`. `id` is 32 fresh random bytes, which its reader must be told, and `aad` what the stream
    /// must be presented with to open.
    pub fn sealing<W: Write>(&self, id: &[u8; 32], aad: &[u8], out: W) -> Sealing<W> {
        Sealing::new(out, self.stream_cipher(id), aad)
    }

    /// Opens the stream that [`Self::sealing`] made with the same id and `aad`.
    pub fn opening<R: Read>(&self, id: &[u8; 32], aad: &[u8], from: R) -> Opening<R> {
        Opening::new(from, self.stream_cipher(id), aad)
    }

    fn stream_cipher(&self, id: &[u8; 32]) -> StreamCipher {
        StreamCipher::new(&Zeroizing::new(derive::<32>(id, &self.0.bytes, STREAM, "")))
    }

    /// The 32 bytes themselves, for the keyring's file only.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0.bytes
    }

    fn cipher(&self, purpose: &str) -> Cipher {
        Cipher::new(derive(&[], &self.0.bytes, SEAL, purpose))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({} version {}, {})", self.id(), self.version(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_goes_to_a_file_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let key = RootKey::fresh();
        key.write_new(&path).unwrap();
        assert_eq!(RootKey::from_file(&path).unwrap().fingerprint(), key.fingerprint());
        assert!(key.write_new(&path).is_err(), "an existing key is never overwritten");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(RootKey::from_file(&path), Err(RootKeyError::Exposed { mode: 0o640, .. })));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(RootKey::from_text(&text[1..]).is_err());
        assert!(RootKey::from_text(&text.replace(text.chars().next().unwrap(), "g")).is_err());
    }

    #[test]
    fn purposes_and_places_are_apart() {
        let key = DataKey::fresh(KeyId([1; 16]), 1);
        let sealed = key.seal("mail", b"org", b"text");
        assert_eq!(key.open("mail", b"org", &sealed).unwrap(), b"text");
        assert_eq!(key.open("name", b"org", &sealed), Err(Unsealed));
        assert_eq!(key.open("mail", b"gro", &sealed), Err(Unsealed));
        assert_eq!(DataKey::fresh(KeyId([1; 16]), 1).open("mail", b"org", &sealed), Err(Unsealed));
        assert_ne!(key.mac("a", b"x"), key.mac("b", b"x"));
    }

    #[test]
    fn debug_text_names_no_key() {
        let root = format!("{:?}", RootKey::from_bytes([0x5a; 32]));
        let data = format!("{:?}", DataKey::from_bytes(KeyId([2; 16]), 3, [0x5a; 32]));
        assert!(!root.contains("5a5a") && !root.contains("90, 90"), "{root}");
        assert!(!data.contains("5a5a") && !data.contains("90, 90"), "{data}");
    }

    /// The vectors of docs/formats/keyring.md, made by `tests/format_vectors.py`; changing a derivation makes every existing
    /// file unreadable.
    #[test]
    fn derivations_stay_as_documented() {
        let key = DataKey::from_bytes(KeyId([0; 16]), 1, [1; 32]);
        assert_eq!(key.fingerprint().to_string(), RootKey::from_bytes([1; 32]).fingerprint().to_string());
        assert_eq!(hex(&key.mac("example", b"data")), MAC_VECTOR);
        let file_key = derive::<32>(&[3; 32], &[1; 32], KEYRING, "");
        assert_eq!(hex(&file_key), "0fe045e46940fb525a3d54e70e8572766ba847be5ead837ecec05cbf4b5e8b09");
        let counted: [u8; 32] = std::array::from_fn(|at| at as u8);
        let stream_key = derive::<32>(&[0x66; 32], &counted, STREAM, "");
        assert_eq!(hex(&stream_key), "64950f508e2ad86773e4fd40b663dab36a437eec98f9c7b861b16e7090fc9889");
        assert_eq!(key.fingerprint().to_string(), FINGERPRINT_VECTOR);
        let sealed: Vec<u8> = (0..SEALED_VECTOR.len() / 2)
            .map(|at| u8::from_str_radix(&SEALED_VECTOR[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        assert_eq!(key.open("example", b"aad", &sealed).unwrap(), b"hello");
    }

    const FINGERPRINT_VECTOR: &str = "920d2d182cd3648b";
    const MAC_VECTOR: &str = "a7181732953a4531bd10a73fd99a0ea752f53617db75731210c4da7a80cacb6b";
    const SEALED_VECTOR: &str =
        "020202020202020202020202020202020202020202020202c00dc0bcfd3ceb62053c4adc145db9179110945a34";
}
