//! The recovery key: an age X25519 identity whose public half seals a second copy of the keyring.
//! Format: <https://c2sp.org/age>.

use std::{fmt, io::Read as _, str::FromStr};

use age::{
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use zeroize::{Zeroize as _, Zeroizing};

/// The text is neither half of an age X25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Not a secret half.
    #[error("not a recovery key: one line that begins with AGE-SECRET-KEY-1 is expected")]
    NotASecretKey,
    /// Not a public half.
    #[error("not a recovery recipient: one line that begins with age1 is expected")]
    NotARecipient,
}

/// The secret half of the recovery key. The appliance shows it once and keeps the public half only.
pub struct RecoveryKey(Identity);

impl RecoveryKey {
    /// A new key from the operating system's generator.
    #[must_use]
    pub fn generate() -> Self {
        Self(Identity::generate())
    }

    /// Reads `AGE-SECRET-KEY-1…`. Empty lines and lines that begin with `#`, as `age-keygen` writes them, are skipped.
    ///
    /// # Errors
    /// [`RecoveryKeyError::NotASecretKey`].
    pub fn from_text(text: &str) -> Result<Self, RecoveryKeyError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next(), lines.next()) {
            (Some(line), None) => Identity::from_str(line).map(Self).map_err(|_| RecoveryKeyError::NotASecretKey),
            _ => Err(RecoveryKeyError::NotASecretKey),
        }
    }

    /// The text to hand to its owner: `AGE-SECRET-KEY-1…`, wiped from memory on drop.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// The public half: `age1…`.
    #[must_use]
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        // As large as it can get from the first, so that no copy is left behind by growing.
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        let decryptor = age::Decryptor::new_buffered(sealed).ok()?;
        let identity: &dyn age::Identity = &self.0;
        decryptor.decrypt(std::iter::once(identity)).ok()?.read_to_end(&mut plain).ok()?;
        Some(plain)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryKey({})", self.recipient())
    }
}

/// Seals `plaintext` as a binary age file for one recipient, whose text [`check_recipient`] has accepted.
pub(super) fn seal(recipient: &str, plaintext: &[u8]) -> Result<Vec<u8>, RecoveryKeyError> {
    let recipient = Recipient::from_str(recipient).map_err(|_| RecoveryKeyError::NotARecipient)?;
    let sealed = age::encrypt(&recipient, plaintext).expect("an X25519 recipient takes any file, and memory any bytes");
    wipe_chunk();
    Ok(sealed)
}

/// age's writer gathers what it seals in a chunk, and lets that go as it is. The allocator hands the place out again to who
/// asks for as much, so it is asked for a few times and wiped.
fn wipe_chunk() {
    /// Of the age format.
    const CHUNK: usize = 64 * 1024;
    let mut places: Vec<Vec<u8>> = (0..4).map(|_| Vec::with_capacity(CHUNK)).collect();
    for place in &mut places {
        place.resize(CHUNK, 0xff);
        place.zeroize();
    }
}

pub(super) fn check_recipient(text: &str) -> Result<String, RecoveryKeyError> {
    Recipient::from_str(text.trim()).map(|recipient| recipient.to_string()).map_err(|_| RecoveryKeyError::NotARecipient)
}
