//! Where a secret comes from, and reading it there.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use zeroize::Zeroizing;

/// Larger than any key or password; a wrong path such as `/dev/zero` ends here.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The place of a secret. Its value is never in here unless the environment carried it, and never in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that the service manager made for this process (systemd's `LoadCredential=`).
    Credential(PathBuf),
    /// An environment variable's value.
    Environment(Zeroizing<String>),
    /// A file named by a setting.
    File(PathBuf),
}

/// A secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing or unreadable.
    #[error("cannot read the secret in {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is too large to be a secret.
    #[error("{} is larger than {SECRET_BYTES_MAX} bytes, so it holds no secret", path.display())]
    TooLarge { path: PathBuf },
    /// A password that is not UTF-8 or is empty.
    #[error("the secret in {place} is {what}")]
    Malformed { place: String, what: &'static str },
}

impl SecretSource {
    /// The file, if the secret stands in one.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Credential(path) | Self::File(path) => Some(path),
            Self::Environment(_) => None,
        }
    }

    /// Whether the file that should hold it is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.path().is_some_and(|path| !path.exists())
    }

    /// The secret's bytes as they stand.
    ///
    /// # Errors
    /// If the file cannot be read or is larger than 64 KiB.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let path = match self {
            Self::Environment(value) => return Ok(Zeroizing::new(value.as_bytes().to_vec())),
            Self::Credential(path) | Self::File(path) => path,
        };
        let read = |source| SecretError::Read { path: path.clone(), source };
        // Reserved at once, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(SECRET_BYTES_MAX).unwrap_or(0) + 1));
        File::open(path).map_err(read)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(SecretError::TooLarge { path: path.clone() });
        }
        Ok(bytes)
    }

    /// The secret as text, without the line ends that editors leave after it.
    ///
    /// # Errors
    /// As [`Self::bytes`]; and if the secret is empty or not UTF-8.
    pub fn text(&self) -> Result<Zeroizing<String>, SecretError> {
        let bytes = self.bytes()?;
        let malformed = |what| SecretError::Malformed { place: self.to_string(), what };
        let text = str::from_utf8(&bytes).map_err(|_| malformed("not UTF-8"))?.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(malformed("empty")) } else { Ok(Zeroizing::new(text.to_owned())) }
    }
}

impl fmt::Display for SecretSource {
    /// The place, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(path) => write!(f, "the credential {}", path.display()),
            Self::Environment(_) => f.write_str("the environment"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}
