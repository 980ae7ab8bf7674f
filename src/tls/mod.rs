//! The door to the network: listening sockets, TLS and the certificates it serves.
//!
//! [`start`] binds every address, finds a certificate and hands back two things: an [`Acceptor`] for
//! `poem::Server::new_with_acceptor`, and a [`Handle`] that tells what is served and can ask for a renewal. Certificates
//! come from one of three origins, and a machine that serves at all serves something:
//!
//! - [`internal`]: a certification authority of the appliance's own, made once and kept in the [`Vault`];
//! - [`acme`]: RFC 8555, validated by tls-alpn-01 (RFC 8737) on the very port that serves; until the first certificate
//!   arrives, and after the last one has expired, the internal authority's certificate is served;
//! - [`files`]: a PEM pair of the administrator's, read again when it changes.
//!
//! Promises: TLS 1.2 and 1.3 only, with ring; a certificate is swapped without touching live connections; a client that
//! dawdles holds up nobody; no error of a client, a directory or a file ends the accept loop; keys rest only in the vault
//! (or in the administrator's own files), never in a file of this room.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

use crate::clock::{Clock, Timestamp};

pub mod acceptor;
pub mod acme;
pub mod files;
pub mod identity;
pub mod internal;
pub mod listen;
mod plain;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Stream};
pub use acme::Acme;
pub use files::{Files, FilesError};
pub use identity::{Certificate, IdentityError, Origin};
pub use internal::{InternalCa, InternalCaError};
pub use listen::Listen;

use identity::Served;

/// Where keys and certificates rest. The appliance gives the sealed system store; nothing here touches files.
///
/// Calls may block (a durable write); this room makes them off the asynchronous threads.
pub trait Vault: Send + Sync + 'static {
    /// The value last put under `name`, or `None`.
    ///
    /// # Errors
    /// The store cannot be read. Callers then refuse to go on: a new key is never made in place of an unreadable one.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// Puts `value` under `name`, durably, replacing what was there.
    ///
    /// # Errors
    /// The store cannot be written; the old value stays.
    fn put(&self, name: &str, value: &[u8]) -> Result<(), VaultError>;
}

/// The vault failed; the inside is the store's own account of it.
#[derive(Debug, thiserror::Error)]
#[error("the sealed store of keys and certificates failed: {0}")]
pub struct VaultError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl VaultError {
    /// Wraps the store's error.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Where the served certificate comes from.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The appliance's own authority, for `names` (DNS names or IP addresses) besides those every machine answers to:
    /// localhost, the host name, loopback and the addresses listened on.
    Internal {
        /// Further DNS names or IP addresses, as users type them.
        names: Vec<String>,
    },
    /// A public (or private) directory that speaks RFC 8555.
    Acme(Acme),
    /// A PEM pair on disk.
    Files(Files),
    /// No TLS: plain HTTP, on loopback and Unix sockets only, for a proxy on the same machine.
    Off,
}

/// Why serving could not begin. Nothing was changed on disk except, possibly, a new internal authority in the vault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No address was given.
    #[error("no address to listen on: give at least one `--listen`")]
    NoAddress,
    /// The system refused the address.
    #[error("cannot listen on {at}: {source}; {advice}", advice = listen::advice(source))]
    Bind {
        /// The address or path asked for.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// Plain HTTP was asked for where others can listen in.
    #[error(
        "`--tls off` serves only loopback addresses and Unix sockets, not {0}: sessions and cards would cross the \
         network in the clear; choose another `--tls`, or listen on 127.0.0.1 behind a proxy"
    )]
    PlainBeyondLoopback(SocketAddr),
    /// A name that a directory cannot certify by tls-alpn-01.
    #[error("ACME cannot certify {0:?}: it needs a public DNS name (in ASCII), not an address or a local name")]
    AcmeName(String),
    /// No names to certify.
    #[error("ACME needs at least one DNS name")]
    AcmeNoName,
    /// The directory's URL is not usable.
    #[error("the ACME directory must be an https:// URL, not {0:?}")]
    AcmeDirectory(String),
    /// The extra root for the directory is not a certificate.
    #[error("the extra root for the ACME directory is not a PEM certificate: {0}")]
    AcmeRoot(String),
    /// See [`FilesError`].
    #[error(transparent)]
    Files(#[from] FilesError),
    /// See [`InternalCaError`].
    #[error(transparent)]
    InternalCa(#[from] InternalCaError),
    /// A certificate that rustls will not serve.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// See [`VaultError`].
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What is served now, and how renewing it goes. Read it with [`Handle::status`], or follow [`Handle::watch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The certificate in use; `None` where TLS is off.
    pub served: Option<Certificate>,
    /// When a certificate was last ordered, issued or read, whether or not it worked.
    pub last_attempt: Option<Timestamp>,
    /// When the next one is due.
    pub next_attempt: Option<Timestamp>,
    /// Why the last attempt failed; `None` after one that worked.
    pub last_error: Option<String>,
    /// The internal authority's root certificate (PEM), for users to download; `None` in the modes without one.
    pub internal_root: Option<Arc<str>>,
}

/// A running door: tells what is served, and renews on request. Clones speak of the same door.
#[derive(Clone, Debug)]
pub struct Handle {
    status: watch::Receiver<Status>,
    nudge: Arc<Notify>,
    bound: Arc<[Listen]>,
}

impl Handle {
    /// What is served at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// A receiver that wakes at every change of [`Status`]; closed where TLS is off, since nothing changes there.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Asks for a renewal now: an ACME order regardless of the back-off, a new internal leaf, or the files read again.
    /// Returns at once; the outcome shows in [`Status`].
    pub fn renew(&self) {
        self.nudge.notify_one();
    }

    /// The addresses really bound: a port 0 asked for is the port given here.
    #[must_use]
    pub fn bound(&self) -> &[Listen] {
        &self.bound
    }

    /// The first TCP address bound, for links and tests.
    #[must_use]
    pub fn first_tcp(&self) -> Option<SocketAddr> {
        self.bound.iter().find_map(Listen::tcp)
    }
}

/// Binds `listen`, readies a certificate as `mode` says and starts accepting; certificates are renewed in the background
/// until `shutdown` resolves. Accepting ends when the [`Acceptor`] is dropped.
///
/// # Errors
/// [`TlsError`]: an address that cannot be bound, an unreadable vault, unusable files or settings. A directory that does
/// not answer is no error: the internal certificate is served and the order retried.
pub async fn start(
    mode: Mode,
    listen: Vec<Listen>,
    vault: Arc<dyn Vault>,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(Acceptor, Handle), TlsError> {
    if listen.is_empty() {
        return Err(TlsError::NoAddress);
    }
    let sockets = listen::bind(listen)?;
    let bound: Arc<[Listen]> = sockets.iter().map(listen::Socket::bound).collect();
    let (publish, status) = watch::channel(Status::default());
    let nudge = Arc::new(Notify::new());
    let handle = Handle { status, nudge: Arc::clone(&nudge), bound: Arc::clone(&bound) };

    let served = Arc::new(Served::new(publish)?);
    let upkeep = Upkeep { served: Arc::clone(&served), vault, clock, nudge, bound };
    let served = match mode {
        Mode::Off => {
            refuse_beyond_loopback(&upkeep.bound)?;
            None
        }
        Mode::Internal { names } => {
            let keeper = internal::Keeper::new(upkeep, names);
            keeper.serve(false).await?;
            run_until(shutdown, keeper.keep());
            Some(served)
        }
        Mode::Acme(settings) => {
            let keeper = acme::Keeper::new(upkeep, settings)?;
            let ledger = keeper.serve_cached().await?;
            run_until(shutdown, keeper.keep(ledger));
            Some(served)
        }
        Mode::Files(pair) => {
            let keeper = files::Keeper::new(upkeep, pair);
            let seen = keeper.serve().await?;
            run_until(shutdown, keeper.keep(seen));
            Some(served)
        }
    };
    Ok((Acceptor::new(sockets, served.as_ref()), handle))
}

fn refuse_beyond_loopback(bound: &[Listen]) -> Result<(), TlsError> {
    let exposed = bound.iter().filter_map(Listen::tcp).find(|at| !at.ip().to_canonical().is_loopback());
    exposed.map_or(Ok(()), |at| Err(TlsError::PlainBeyondLoopback(at)))
}

fn run_until(shutdown: impl Future<Output = ()> + Send + 'static, upkeep: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown => {}
            () = upkeep => {}
        }
    });
}

/// What every keeper of certificates works with.
#[derive(Clone)]
struct Upkeep {
    served: Arc<Served>,
    vault: Arc<dyn Vault>,
    clock: Clock,
    nudge: Arc<Notify>,
    bound: Arc<[Listen]>,
}

impl Upkeep {
    /// Waits for `span`; true if woken early by [`Handle::renew`]. Callers look at the clock again afterwards and keep
    /// spans short, since the wall clock may be set and the machine may sleep.
    async fn pause(&self, span: Duration) -> bool {
        tokio::select! {
            () = self.nudge.notified() => true,
            () = tokio::time::sleep(span) => false,
        }
    }

    /// Runs blocking work with the vault off the asynchronous threads.
    async fn with_vault<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Vault) -> T + Send + 'static,
    ) -> Result<T, VaultError> {
        let vault = Arc::clone(&self.vault);
        tokio::task::spawn_blocking(move || work(&*vault)).await.map_err(VaultError::new)
    }
}
