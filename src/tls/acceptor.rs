//! The accept loop and the handshakes, as an [`poem::listener::Acceptor`].
//!
//! Each socket has a loop that only accepts; each TLS handshake runs in a task of its own, under a limit of time, of
//! number, and of number per peer; finished streams reach poem by a channel. So a client that sends one byte a second
//! holds a slot for ten seconds and delays nobody.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use poem::{
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    identity::Served,
    listen::{Connection, Socket},
    plain,
};

/// From the accepted connection to the finished handshake.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Handshakes in flight over all sockets; at the cap, new connections wait in the kernel's backlog.
pub const HANDSHAKES: usize = 1024;

/// Handshakes in flight for one peer (an IPv4 address, an IPv6 /64), so that a single machine cannot take every slot.
pub const HANDSHAKES_PER_PEER: usize = 256;

/// Finished streams that wait for poem, which takes them at once.
const READY: usize = 64;

/// The first byte of a TLS record that carries a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

type Ready = (Stream, LocalAddr, RemoteAddr, Scheme);

/// Hands finished connections to `poem::Server::new_with_acceptor`. Dropping it closes the listening sockets; connections
/// already handed over live on.
pub struct Acceptor {
    local: Vec<LocalAddr>,
    ready: mpsc::Receiver<Ready>,
    /// Aborted, and with them the sockets closed, on drop.
    _loops: JoinSet<()>,
}

impl Acceptor {
    /// Starts accepting on `sockets`; TCP speaks TLS if `served` is given.
    pub(super) fn new(sockets: Vec<Socket>, served: Option<&Arc<Served>>) -> Self {
        let (out, ready) = mpsc::channel(READY);
        let gate = Arc::new(Gate::new(HANDSHAKES, HANDSHAKES_PER_PEER));
        let local = sockets.iter().map(Socket::local).collect();
        let mut loops = JoinSet::new();
        for socket in sockets {
            loops.spawn(accept_loop(socket, served.cloned(), Arc::clone(&gate), out.clone()));
        }
        Self { local, ready, _loops: loops }
    }
}

impl poem::listener::Acceptor for Acceptor {
    type Io = Stream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.local.clone()
    }

    /// The next finished connection. Never an error: poem would call again at once and spin.
    async fn accept(&mut self) -> io::Result<Ready> {
        match self.ready.recv().await {
            Some(ready) => Ok(ready),
            // The loops end only with this acceptor or the runtime.
            None => std::future::pending().await,
        }
    }
}

async fn accept_loop(socket: Socket, served: Option<Arc<Served>>, gate: Arc<Gate>, out: mpsc::Sender<Ready>) {
    let mut failures = 0_u32;
    loop {
        let slot = gate.slot().await;
        let (connection, local, remote) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if of_the_connection(&error) => continue,
            Err(error) => {
                // No descriptors or no memory left: the connection stays in the backlog until some are free.
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    tracing::error!(%error, failures, at = %socket.bound(), "cannot accept connections; trying again");
                }
                sleep(accept_pause(failures)).await;
                continue;
            }
        };
        failures = 0;
        match (connection, &served) {
            (Connection::Unix(stream), _) => drop(out.send((Stream::Unix(stream), local, remote, Scheme::HTTP)).await),
            (Connection::Tcp(stream, _), None) => {
                without_delay(&stream);
                drop(out.send((Stream::Tcp(stream), local, remote, Scheme::HTTP)).await);
            }
            (Connection::Tcp(stream, peer), Some(served)) => {
                without_delay(&stream);
                let Some(place) = gate.place(peer.ip(), slot) else {
                    tracing::debug!(%peer, "too many unfinished handshakes from this peer; connection closed");
                    continue;
                };
                let (served, out) = (Arc::clone(served), out.clone());
                tokio::spawn(async move {
                    let stream = shake_hands(stream, peer, &served).await;
                    if let Some(stream) = stream {
                        // Fails only when the acceptor is gone: shutdown closes what nobody serves.
                        let _ = out.send((Stream::Tls(Box::new(stream)), local, remote, Scheme::HTTPS)).await;
                    }
                    drop(place);
                });
            }
        }
    }
}

/// Errors of the connection that was next, not of the listening socket (accept(2)).
fn of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// 10 ms, doubling to a second.
fn accept_pause(failures: u32) -> Duration {
    Duration::from_millis(10 << failures.saturating_sub(1).min(7)).min(Duration::from_secs(1))
}

/// Small answers leave at once. A socket whose peer is gone refuses the option; reading it will tell.
fn without_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// The finished stream, or `None` for what was no ordinary connection: a failed handshake, a challenge, plain HTTP.
async fn shake_hands(stream: TcpStream, peer: SocketAddr, served: &Served) -> Option<TlsStream<TcpStream>> {
    match timeout(HANDSHAKE_LIMIT, negotiate(stream, served)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, limit_s = HANDSHAKE_LIMIT.as_secs(), "TLS handshake took too long");
            None
        }
    }
}

async fn negotiate(stream: TcpStream, served: &Served) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] != TLS_HANDSHAKE && first[0].is_ascii_uppercase() {
        plain::answer(stream).await?;
        return Ok(None);
    }
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    if rustls_acme::is_tls_alpn_challenge(&hello.client_hello())
        && let Some(config) = served.challenge()
    {
        hello.into_stream(config).await?.shutdown().await?;
        return Ok(None);
    }
    let config = served.config().ok_or_else(|| io::Error::other("no certificate yet"))?;
    hello.into_stream(config).await.map(Some)
}

/// Counts handshakes in flight, in all and by peer.
struct Gate {
    slots: Arc<Semaphore>,
    per_peer: usize,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

impl Gate {
    fn new(slots: usize, per_peer: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), per_peer, peers: Mutex::default() }
    }

    /// A slot of the overall cap, as soon as one is free. The semaphore is never closed, so there always is one.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// A place for one handshake of `peer`, or `None` if it has too many already.
    fn place(self: &Arc<Self>, peer: IpAddr, slot: Option<OwnedSemaphorePermit>) -> Option<Place> {
        let peer = neighbourhood(peer);
        let mut peers = self.peers.lock();
        let count = peers.entry(peer).or_insert(0);
        if *count >= self.per_peer {
            return None;
        }
        *count += 1;
        Some(Place { gate: Arc::clone(self), peer, _slot: slot })
    }
}

/// What one subscriber has: an IPv4 address, or the /64 of an IPv6 one.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))),
    }
}

/// A handshake's place in the [`Gate`], given back on drop.
struct Place {
    gate: Arc<Gate>,
    peer: IpAddr,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.gate.peers.lock();
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// A connection ready for HTTP.
pub enum Stream {
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Plain, from this machine.
    Tcp(TcpStream),
    /// Plain, from this machine, by a Unix socket.
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Gate, accept_pause};

    #[tokio::test]
    async fn one_peer_cannot_take_every_place() -> Result<(), std::net::AddrParseError> {
        let gate = Arc::new(Gate::new(10, 2));
        let places = [gate.place("2001:db8::1".parse()?, None), gate.place("2001:db8::2".parse()?, None)];
        assert!(places.iter().all(Option::is_some));
        assert!(gate.place("2001:db8::3".parse()?, None).is_none(), "the same /64");
        assert!(gate.place("2001:db8:0:1::1".parse()?, None).is_some());
        assert!(gate.place("192.0.2.1".parse()?, None).is_some());
        drop(places);
        assert!(gate.place("2001:db8::3".parse()?, None).is_some());
        assert!(gate.peers.lock().is_empty(), "no trace of peers that are gone");
        Ok(())
    }

    #[test]
    fn pauses_grow_to_a_second() {
        let pauses = [1, 2, 7, 8, 1000].map(|failures| accept_pause(failures).as_millis());
        assert_eq!(pauses, [10, 20, 640, 1000, 1000]);
    }
}
