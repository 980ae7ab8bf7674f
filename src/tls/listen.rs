//! Where connections come from: TCP addresses, Unix sockets, and sockets that a service manager opened for us.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use poem::{
    Addr,
    web::{LocalAddr, RemoteAddr},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::TlsError;

/// Connections that wait in the kernel while the accept loop is busy.
const BACKLOG: u32 = 1024;

/// One place to listen on.
#[derive(Debug)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket at this path, mode 0660, always plain HTTP: a proxy on this machine ends TLS.
    Unix(PathBuf),
    /// A TCP socket that is already bound and listening, as a service manager hands over.
    Inherited(std::net::TcpListener),
}

impl Listen {
    /// The TCP address, if it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(at) => Some(*at),
            Self::Unix(_) => None,
            Self::Inherited(socket) => socket.local_addr().ok(),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(at: SocketAddr) -> Self {
        Self::Tcp(at)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Inherited(socket) => match socket.local_addr() {
                Ok(at) => write!(out, "{at} (inherited)"),
                Err(_) => out.write_str("an inherited socket"),
            },
        }
    }
}

/// A bound socket.
pub(super) enum Socket {
    Tcp { listener: TcpListener, at: SocketAddr },
    Unix { listener: UnixListener, file: SocketFile },
}

/// A connection as the kernel gives it.
pub(super) enum Connection {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn bound(&self) -> Listen {
        match self {
            Self::Tcp { at, .. } => Listen::Tcp(*at),
            Self::Unix { file, .. } => Listen::Unix(file.0.clone()),
        }
    }

    pub(super) fn local(&self) -> LocalAddr {
        match self {
            Self::Tcp { at, .. } => LocalAddr(Addr::SocketAddr(*at)),
            Self::Unix { listener, .. } => {
                LocalAddr(listener.local_addr().map_or_else(|_| Addr::default(), |at| Addr::Unix(Arc::new(at))))
            }
        }
    }

    /// The next connection; cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(Connection, LocalAddr, RemoteAddr)> {
        match self {
            Self::Tcp { listener, at } => {
                let (stream, peer) = listener.accept().await?;
                let peer = canonical(peer);
                // The address the client reached, where the socket listens on all of them.
                let local = stream.local_addr().map_or(*at, canonical);
                let ends = (LocalAddr(Addr::SocketAddr(local)), RemoteAddr(Addr::SocketAddr(peer)));
                Ok((Connection::Tcp(stream, peer), ends.0, ends.1))
            }
            Self::Unix { listener, .. } => {
                let (stream, peer) = listener.accept().await?;
                Ok((Connection::Unix(stream), self.local(), RemoteAddr(Addr::Unix(Arc::new(peer)))))
            }
        }
    }
}

/// An IPv4 peer on a dual-stack socket shows as `::ffff:a.b.c.d`; logs and limits want the plain form.
fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

/// Binds all of `wanted`, or none.
pub(super) fn bind(wanted: Vec<Listen>) -> Result<Vec<Socket>, TlsError> {
    let addresses: Vec<SocketAddr> = wanted.iter().filter_map(Listen::tcp).collect();
    wanted
        .into_iter()
        .map(|listen| {
            let at = listen.to_string();
            let bound = match listen {
                Listen::Tcp(at) => bind_tcp(at, shares_port_with_ipv4(at, &addresses)),
                Listen::Unix(path) => bind_unix(path),
                Listen::Inherited(socket) => inherit(socket),
            };
            bound.map_err(|source| TlsError::Bind { at, source })
        })
        .collect()
}

/// What to do about an address that cannot be bound.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program holds it: stop that one, or choose another `--listen`",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another `--listen`",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, which the systemd unit grants: use it, or a higher port"
        }
        _ => "choose another `--listen`",
    }
}

/// `[::]:443` would take the IPv4 port too and collide with `0.0.0.0:443` beside it.
fn shares_port_with_ipv4(at: SocketAddr, all: &[SocketAddr]) -> bool {
    at.is_ipv6() && at.port() != 0 && all.iter().any(|other| other.is_ipv4() && other.port() == at.port())
}

fn bind_tcp(at: SocketAddr, only_ipv6: bool) -> io::Result<Socket> {
    let socket = match at.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if at.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, only_ipv6)?;
    }
    // Lets a restart bind while connections of the last run are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    let listener = socket.listen(BACKLOG)?;
    let at = listener.local_addr()?;
    Ok(Socket::Tcp { listener, at })
}

fn inherit(socket: std::net::TcpListener) -> io::Result<Socket> {
    socket.set_nonblocking(true)?;
    let at = socket.local_addr()?;
    Ok(Socket::Tcp { listener: TcpListener::from_std(socket)?, at })
}

fn bind_unix(path: PathBuf) -> io::Result<Socket> {
    remove_stale(&path)?;
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
    Ok(Socket::Unix { listener, file: SocketFile(path) })
}

/// A run that was killed leaves its socket file; one that nobody answers on is removed, anything else is left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
                // Bound by somebody: let `bind` say so.
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Removes the socket's file when listening ends.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone with its folder already; a left-over is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}
