//! Keys and ciphers: the only room that knows either.
//!
//! The [`RootKey`] opens the [`Keyring`]; the keyring holds one [`DataKey`] for the system, one for each organization
//! and one for each access log; a data key seals small things ([`DataKey::seal`]), authenticates ([`DataKey::mac`]) and
//! seals a file's blocks ([`blocks::BlockCipher`]). The [`RecoveryKey`] opens the keyring too, with the plain `age` tool
//! if need be.
//!
//! Promises:
//! - a change of the keyring is on the disk when the call that made it returns;
//! - what was sealed opens unchanged or not at all, and only for the purpose and place it was sealed for;
//! - keys are wiped from memory when dropped and never printed; what names a key is its [`Fingerprint`];
//! - a new key is never made where sealed data exists;
//! - every nonce comes from the operating system's generator.
//!
//! `docs/formats/keyring.md` and `docs/formats/store.md` describe the bytes for a second reader.

use std::fmt;

mod aead;
pub mod blocks;
mod durable;
mod keyring;
mod keyring_content;
mod keyring_file;
mod keys;
mod recovery;
pub mod stream;

pub use aead::Unsealed;
pub use keyring::{Keyring, KeyringError};
pub use keyring_content::{KeyInfo, KeyKind, KeyState};
pub use keyring_file::{Clear, peek};
pub use keys::{DataKey, KeyId, RootKey, RootKeyError};
pub use recovery::{RecoveryKey, RecoveryKeyError};

/// What names a key in the clear: 8 bytes derived from it, which say nothing else about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Fingerprint(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// This product's version as it stands in the clear headers: ASCII, padded with zeros.
pub(crate) fn product_version() -> [u8; 16] {
    let mut field = [0; 16];
    for (place, byte) in field.iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
        *place = byte;
    }
    field
}

/// The version in a clear header, which anybody may have written: digits, letters, dots and dashes pass.
pub(crate) fn shown_version(field: &[u8; 16]) -> String {
    let text: String = field
        .iter()
        .map(|&byte| char::from(byte))
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    if text.is_empty() { "a newer version".to_owned() } else { text }
}

/// A fixed number of bytes at an offset of a buffer that is known to be long enough.
pub(crate) fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}
