//! Real sockets, real handshakes: what the outside sees of this room.

mod certificates;
mod handshakes;
mod listening;

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use poem::{Request, Server, endpoint::make_sync};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Acceptor, Acme, Files, FilesError, Handle, InternalCa, InternalCaError, Listen, Mode, Origin, Status, TlsError,
    Vault, VaultError, identity::provider, internal, start,
};
use crate::clock::Clock;

type TestResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Far more than anything here takes; a condition not met by then never will be.
const PATIENCE: Duration = Duration::from_mins(1);

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Keeps values in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<String, Vec<u8>>>);

impl Vault for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.lock().get(name).cloned())
    }

    fn put(&self, name: &str, value: &[u8]) -> Result<(), VaultError> {
        self.0.lock().insert(name.to_owned(), value.to_vec());
        Ok(())
    }
}

/// A poem server behind this room's acceptor, ended with the value.
struct Door {
    handle: Handle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Door {
    async fn open(mode: Mode, listen: Vec<Listen>, vault: Arc<dyn Vault>) -> Result<Self, TlsError> {
        let (acceptor, handle) = start(mode, listen, vault, Clock::System, std::future::pending()).await?;
        Ok(Self { handle, server: tokio::spawn(serve(acceptor)) })
    }

    async fn internal() -> Result<Self, TlsError> {
        let vault = Arc::new(Memory::default());
        Self::open(Mode::Internal { names: vec![] }, vec![LOOPBACK.into()], vault).await
    }

    fn at(&self) -> SocketAddr {
        self.handle.first_tcp().unwrap_or(LOOPBACK)
    }

    /// Waits until the status is as `wanted`.
    async fn until(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut watch = self.handle.watch();
        let found = timeout(PATIENCE, watch.wait_for(wanted)).await;
        match found {
            Ok(Ok(status)) => status.clone(),
            _ => panic!("the status never came to be as wanted: {:?}", self.handle.status()),
        }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let root = self.handle.status().internal_root.unwrap_or_default();
        connect(self.at(), "localhost", &root, b"http/1.1").await
    }
}

async fn serve(acceptor: Acceptor) -> std::io::Result<()> {
    let tell = make_sync(|request: Request| format!("{} from {}", request.scheme(), request.remote_addr()));
    Server::new_with_acceptor(acceptor).run(tell).await
}

fn client_config(
    root: &str,
    alpn: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).map_err(std::io::Error::other)?;
    roots.add(root).map_err(std::io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

async fn connect(at: SocketAddr, name: &str, root: &str, alpn: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    connect_with(at, name, client_config(root, alpn, &[&TLS13, &TLS12])?).await
}

async fn connect_with(at: SocketAddr, name: &str, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(at).await?).await
}

/// The served end-entity certificate, as this client sees it.
fn leaf_of(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|leaf| leaf.to_vec()).unwrap_or_default()
}

/// One request on a kept connection; the body of its answer.
async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if length == Some(body.len()) {
                return Ok(body.to_owned());
            }
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Yields until `met` is true.
async fn until(mut met: impl FnMut() -> bool) -> TestResult {
    let waiting = async {
        while !met() {
            tokio::task::yield_now().await;
        }
    };
    Ok(timeout(PATIENCE, waiting).await?)
}

async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset after the alert is as good as an end.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}
