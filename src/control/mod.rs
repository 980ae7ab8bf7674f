//! How a command on the server's shell speaks with the running appliance: `control.sock` in the data folder.
//!
//! One connection carries one [`Request`] as one line of JSON, and gets one line back, before which there may be lines
//! that say how far it is. The socket has mode 0600, and
//! the kernel's word on who is at the other end is checked besides: root, or the owner of the folder. Whoever gets
//! through may do what the commands do, so nothing else is checked here; what a request means is the [`Handler`]'s.
//!
//! The listener takes the place of a socket whose process is dead and leaves a live one alone. It relies on its caller
//! to hold the data folder's lock, without which two processes that start at once could both find the socket dead.

mod client;
mod server;

use std::{
    fmt,
    fs::File,
    future::Future,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use client::ask;
pub use server::Listener;

/// The socket's name in the data folder.
pub const SOCKET_NAME: &str = "control.sock";

/// A request's line, in bytes: a mail address and a name, with room to spare.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// An answer's line, in bytes: a list of some 100,000 organizations.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How long a peer may take to send its request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// What a command asks of the appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A one-time sign-in link, making the account an operator's if asked: `{"url"}`.
    SignInLink { mail: String, operator: bool },
    /// A new organization with its owner: `{"id","name"}`.
    OrgCreate { name: String, owner: String },
    /// The organizations: `{"items":[{"id","name",…}]}`.
    OrgList,
    /// A token for the JSON API: `{"token"}`.
    TokenCreate { org: String, role: String },
    /// Version, uptime, counts, alerts: an object.
    Status,
    /// Key ids, versions and ages, never keys: `{"items":[{…}]}`.
    KeysList,
    /// New data keys, under which the stores are rewritten: `{"items":[{"kind","organization","version",…}]}`.
    KeysRotate { org: Option<String> },
    /// A new root key for the keyring, in its file's place or in a new file: `{"root_key","file"}`.
    KeysRotateRoot { out: Option<PathBuf> },
    /// A generation, taken now: `{"generation","bytes","segments",…}`.
    Snapshot { pin: bool },
    /// The generations, newest first: `{"items":[{"generation",…}]}`; if asked, those of the off-site copy.
    Snapshots {
        #[serde(default)]
        offsite: bool,
    },
    /// Reads a generation, all of them or the live stores back: `{"good","findings",…}`.
    Verify {
        what: String,
        #[serde(default)]
        offsite: bool,
    },
    /// Puts one organization back from a generation: `{"organization","generation",…}`.
    RestoreOrganization {
        from: String,
        #[serde(default)]
        offsite: bool,
        org: String,
        keep_tokens: bool,
        dry_run: bool,
    },
    /// Restores the newest generation into a scratch folder: `{"seconds",…}`.
    Rehearse { recovery_key: Option<SecretText> },
    /// Seals the keyring to another recovery key: `{"recipient"}`.
    KeysRecovery {
        /// The public half, `age1…`: the secret one stays with who asks.
        recipient: String,
    },
}

/// A secret in a request: it is in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// Why a request was not done, for one line: "error: what; what is kept; hint: what to do".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What is kept, where something could have been lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that nothing was lost by.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kept: None, hint: None }
    }

    /// With a word on what is kept.
    #[must_use]
    pub fn kept(self, kept: impl Into<String>) -> Self {
        Self { kept: Some(kept.into()), ..self }
    }

    /// With a word on what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A request's outcome: one JSON document, or why there is none.
pub type Response = Result<Value, Failure>;

/// Does what requests ask.
pub trait Handler: Send + Sync + 'static {
    /// Does one request, to its end even if the asker has gone.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// How far the long work of the moment is: `{"step","done","total",…}`.
    fn progress(&self) -> Option<Value> {
        None
    }
}

/// Why no word came through the socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another appliance answers on this folder's socket.
    #[error("an appliance is running on {} already", data_dir.display())]
    Running { data_dir: PathBuf },
    /// The socket cannot be made.
    #[error("cannot open the control socket {}: {source}", path.display())]
    Bind { path: PathBuf, source: io::Error },
    /// The socket exists and may not be used.
    #[error("the control socket {} belongs to another user", path.display())]
    NotAllowed { path: PathBuf },
    /// The running appliance was reached, and then the conversation broke.
    #[error("the running appliance broke off: {source}")]
    Broken { source: io::Error },
    /// What came back is no answer.
    #[error("the running appliance gave an answer that this program does not understand")]
    Garbled,
}

impl ControlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Running { .. } => "stop that one first, or give another --data-dir",
            Self::Bind { .. } => "check that the data folder exists, is writable and not on a network share",
            Self::NotAllowed { .. } => "run the command as root or as the owner of the data folder",
            Self::Broken { .. } => "see the appliance's log; ask `workrun status` before repeating the command",
            Self::Garbled => "restart the appliance if it was upgraded and still runs the older version",
        }
    }
}

/// An answer's line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Value),
    Error(Failure),
    /// It goes on; another line follows.
    Progress(Value),
}

/// One line of at most `limit` bytes, without its end; what is longer, or stops before the end, is an error.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin), limit: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(limit + 1).read_until(b'\n', &mut line).await?;
    if line.pop() == Some(b'\n') {
        return Ok(line);
    }
    if line.len() as u64 >= limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of more than {limit} bytes")));
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// A way to a file of the data folder that fits the 107 bytes of a socket's address, however long the folder's own is.
struct ShortPath {
    path: PathBuf,
    /// Kept open while `path` is in use, which may lead through it.
    _folder: Option<File>,
}

impl ShortPath {
    fn new(folder: &Path, name: &str) -> io::Result<Self> {
        const ADDRESS_BYTES_MAX: usize = 107;
        let path = folder.join(name);
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[cfg(test)]
mod tests;
