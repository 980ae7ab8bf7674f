//! Real sockets, real handshakes: what the outside sees of this room.

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
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Acceptor, Acme, Files, FilesError, Handle, InternalCa, InternalCaError, Listen, Mode, Origin, Status, TlsError,
    Vault, VaultError, identity::provider, internal, start,
};
use crate::clock::Clock;

type TestResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

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
        let found = tokio::time::timeout(Duration::from_secs(60), watch.wait_for(wanted)).await;
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

fn client(
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
    connect_with(at, name, client(root, alpn, &[&TLS13, &TLS12])?).await
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

async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset after the alert is as good as an end.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn serves_http11_and_tells_the_peer() -> TestResult {
    let door = Door::internal().await?;
    let mut stream = door.connect().await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let peer = stream.get_ref().0.local_addr()?;
    assert_eq!(get(&mut stream).await?, format!("https from socket://{peer}"));
    Ok(())
}

#[tokio::test]
async fn serves_h2() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    let mut stream = connect(door.at(), "localhost", &root, b"h2").await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // Preface and empty SETTINGS (RFC 9113, 3.4); the server's first frame must be SETTINGS, type 4.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await?;
    assert_eq!(frame[3], 4);
    Ok(())
}

#[tokio::test]
async fn speaks_tls_1_2_but_not_1_1() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    let stream = connect_with(door.at(), "localhost", client(&root, b"h2", &[&TLS12])?).await?;
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));

    // A ClientHello of TLS 1.1 with one suite of its time (TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA) and no extensions.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x09, 1, 0]);
    let mut old = TcpStream::connect(door.at()).await?;
    old.write_all(&hello).await?;
    let answer = read_to_end(&mut old).await;
    assert_eq!(answer.first(), Some(&0x15), "an alert is expected, not {answer:?}");
    assert_eq!(answer.get(5), Some(&2), "a fatal one, not {answer:?}");
    Ok(())
}

#[tokio::test]
async fn refuses_protocols_it_does_not_speak() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    // Without an order under way a challenge is an unknown protocol like any.
    for alpn in [&b"acme-tls/1"[..], b"spdy/3"] {
        let refused = connect(door.at(), "localhost", &root, alpn).await;
        let alert = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(alert.contains("NoApplicationProtocol"), "{alert}");
    }
    Ok(())
}

#[tokio::test]
async fn swaps_the_certificate_under_live_connections() -> TestResult {
    let door = Door::internal().await?;
    let mut old = door.connect().await?;
    get(&mut old).await?;

    let mut changes = door.handle.watch();
    changes.mark_unchanged();
    door.handle.renew();
    changes.wait_for(|status| status.last_attempt.is_some()).await?;

    let new = door.connect().await?;
    assert_ne!(leaf_of(&new), leaf_of(&old));
    get(&mut old).await?;
    Ok(())
}

#[tokio::test]
async fn dawdling_clients_hold_up_nobody() -> TestResult {
    let door = Door::internal().await?;
    let mut silent = Vec::new();
    for dawdle in 0..100 {
        let mut stream = TcpStream::connect(door.at()).await?;
        if dawdle % 2 == 0 {
            // The beginning of a handshake record that never comes.
            stream.write_all(&[0x16, 3, 1, 2]).await?;
        }
        silent.push(stream);
    }
    get(&mut door.connect().await?).await?;
    // They were still waiting when the other was served.
    for stream in &silent {
        let waiting = stream.try_read(&mut [0]);
        assert_eq!(waiting.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    }
    Ok(())
}

#[tokio::test]
async fn answers_plain_http_with_the_address_to_use() -> TestResult {
    let door = Door::internal().await?;
    let mut stream = TcpStream::connect(door.at()).await?;
    stream.write_all(b"GET /boards HTTP/1.1\r\nHost: boards.example:8443\r\n\r\n").await?;
    let mut answer = String::new();
    let mut reader = tokio::io::BufReader::new(&mut stream);
    tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut answer).await?;
    assert_eq!(answer, "HTTP/1.1 400 Bad Request\r\n");
    reader.get_mut().shutdown().await?;
    reader.read_to_string(&mut answer).await?;
    assert!(answer.ends_with("This port speaks HTTPS; use https://boards.example:8443/\n"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn the_internal_chain_verifies_for_every_name_of_the_machine() -> TestResult {
    let vault = Arc::new(Memory::default());
    let mode = Mode::Internal { names: vec!["Boards.Example".into(), "10.1.2.3".into()] };
    let door = Door::open(mode, vec![LOOPBACK.into()], vault).await?;
    let status = door.handle.status();
    let root = status.internal_root.unwrap_or_default();
    for name in ["localhost", "127.0.0.1", "::1", "boards.example", "10.1.2.3"] {
        connect(door.at(), name, &root, b"h2").await?;
    }
    assert!(connect(door.at(), "elsewhere.example", &root, b"h2").await.is_err());
    let served = status.served.ok_or("nothing is served")?;
    assert_eq!((served.origin, served.publicly_trusted), (Origin::Internal, false));
    assert!(served.not_after.since(served.not_before) <= Duration::from_secs(398 * 86_400));
    // Another appliance's root does not do.
    let other = InternalCa::open_or_create(&Memory::default(), Clock::System.now())?;
    assert!(connect(door.at(), "localhost", other.root_pem(), b"h2").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_restart_serves_the_same_leaf() -> TestResult {
    let vault: Arc<Memory> = Arc::default();
    let mode = || Mode::Internal { names: vec![] };
    let first = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    let (leaf, root) = (leaf_of(&first.connect().await?), first.handle.status().internal_root);
    drop(first);
    let second = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    assert_eq!((leaf_of(&second.connect().await?), second.handle.status().internal_root), (leaf.clone(), root.clone()));
    drop(second);
    // A further name needs a new leaf, of the same root.
    let more = Mode::Internal { names: vec!["boards.example".into()] };
    let third = Door::open(more, vec![LOOPBACK.into()], vault).await?;
    assert_ne!(leaf_of(&third.connect().await?), leaf);
    assert_eq!(third.handle.status().internal_root, root);
    Ok(())
}

#[test]
fn an_unreadable_authority_is_kept_and_refused() -> TestResult {
    let vault = Memory::default();
    vault.put("internal/root", b"not what we wrote")?;
    let refused = InternalCa::open_or_create(&vault, Clock::System.now());
    assert!(matches!(refused, Err(InternalCaError::Unreadable(_))), "{refused:?}");
    assert_eq!(vault.get("internal/root")?.as_deref(), Some(&b"not what we wrote"[..]));
    Ok(())
}

#[test]
fn the_authority_outlives_its_leaves() -> TestResult {
    let (vault, day) = (Memory::default(), Duration::from_secs(86_400));
    let made = Clock::System.now();
    let ca = InternalCa::open_or_create(&vault, made)?;
    let again = InternalCa::open_or_create(&vault, made.plus(day * 3500))?;
    assert_eq!(again.root_pem(), ca.root_pem());
    // A leaf never outlives its root.
    let names = ["localhost".to_owned()];
    let late = again.leaf(&names, made.plus(day * 3500))?;
    let late = super::identity::Identity::from_pem(late.as_bytes(), late.as_bytes(), Origin::Internal, made)?.facts;
    assert_eq!(late.not_after, ca.not_after());
    // Ninety days before its end another takes over.
    let next = InternalCa::open_or_create(&vault, made.plus(day * 3600))?;
    assert_ne!(next.root_pem(), ca.root_pem());
    Ok(())
}

#[test]
fn a_leaf_is_renewed_at_two_thirds_of_its_life() -> TestResult {
    let (vault, day) = (Memory::default(), Duration::from_secs(86_400));
    let made = Clock::System.now();
    let names = ["localhost".to_owned()];
    let pem = InternalCa::open_or_create(&vault, made)?.leaf(&names, made)?;
    let leaf = super::identity::Identity::from_pem(pem.as_bytes(), pem.as_bytes(), Origin::Internal, made)?.facts;
    assert!(!internal::needs_renewal(&leaf, &names, made.plus(day * 264)));
    assert!(internal::needs_renewal(&leaf, &names, made.plus(day * 265)));
    assert!(internal::needs_renewal(&leaf, &names, made.minus(day)), "made with a clock that was ahead");
    assert!(internal::needs_renewal(&leaf, &["other.example".to_owned()], made));
    Ok(())
}

/// A pair as an administrator has it, for localhost, from an authority of its own; returns the authority's root.
fn write_pair(folder: &Path) -> Result<(Files, String), Box<dyn std::error::Error + Send + Sync>> {
    let now = Clock::System.now();
    let ca = InternalCa::open_or_create(&Memory::default(), now)?;
    let pem = ca.leaf(&["localhost".to_owned()], now)?;
    let (key, certificate) = pem.split_at(pem.find("-----BEGIN CERTIFICATE").ok_or("no certificate")?);
    let files = Files { certificate: folder.join("chain.pem"), key: folder.join("key.pem") };
    fs::write(&files.certificate, certificate)?;
    fs::write(&files.key, key)?;
    Ok((files, ca.root_pem().to_owned()))
}

#[tokio::test]
async fn changed_files_are_served_and_broken_ones_are_not() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (files, root) = write_pair(folder.path())?;
    let mode = Mode::Files(files.clone());
    let door = Door::open(mode, vec![LOOPBACK.into()], Arc::new(Memory::default())).await?;
    let first = leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?);

    // Half a pair: a new key with the old certificate.
    let old_certificate = fs::read(&files.certificate)?;
    let (_, next_root) = write_pair(folder.path())?;
    let next_certificate = fs::read(&files.certificate)?;
    fs::write(&files.certificate, old_certificate)?;
    door.handle.renew();
    let status = door.until(|status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap_or_default().contains("cannot be served together"));
    assert_eq!(leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?), first);

    fs::write(&files.certificate, b"-----BEGIN CERTIFICATE-----\nnonsense")?;
    door.handle.renew();
    door.until(|status| status.last_error.as_deref().is_some_and(|error| error.contains("no readable certificate")))
        .await;
    assert_eq!(leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?), first);

    // The other half arrives, and nobody asks: the files are looked at by themselves.
    fs::write(&files.certificate, next_certificate)?;
    door.until(|status| status.last_error.is_none()).await;
    assert_ne!(leaf_of(&connect(door.at(), "localhost", &next_root, b"h2").await?), first);
    Ok(())
}

#[tokio::test]
async fn unusable_files_refuse_the_start() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (files, _) = write_pair(folder.path())?;
    fs::remove_file(&files.key)?;
    let vault = Arc::new(Memory::default());
    let refused = Door::open(Mode::Files(files), vec![LOOPBACK.into()], vault).await.err();
    assert!(matches!(refused, Some(TlsError::Files(FilesError::Unreadable { .. }))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn without_tls_only_this_machine_is_served() -> TestResult {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let vault: Arc<Memory> = Arc::default();
    let refused = Door::open(Mode::Off, vec![LOOPBACK.into(), anywhere.into()], vault.clone()).await.err();
    assert!(matches!(refused, Some(TlsError::PlainBeyondLoopback(_))), "{refused:?}");

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("workrun.sock");
    // A socket that a killed run left behind.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    let (acceptor, handle) = start(
        Mode::Off,
        vec![LOOPBACK.into(), Listen::Unix(path.clone())],
        vault,
        Clock::System,
        std::future::pending(),
    )
    .await?;
    let server = tokio::spawn(serve(acceptor));
    let mut tcp = TcpStream::connect(handle.first_tcp().ok_or("no address")?).await?;
    assert_eq!(get(&mut tcp).await?, format!("http from socket://{}", tcp.local_addr()?));
    assert!(get(&mut UnixStream::connect(&path).await?).await?.starts_with("http from unix://"));
    assert_eq!(handle.status(), Status::default());
    server.abort();
    assert!(server.await.is_err_and(|error| error.is_cancelled()));
    // The accept loops end a moment after their set is dropped.
    while path.exists() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn listens_on_several_addresses_of_both_families() -> TestResult {
    let held = std::net::TcpListener::bind(LOOPBACK)?;
    let port = held.local_addr()?.port();
    let six = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
    let listen = vec![Listen::Inherited(held), six.into()];
    let door = Door::open(Mode::Internal { names: vec![] }, listen, Arc::new(Memory::default())).await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    for at in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))] {
        let mut stream = connect(at, "localhost", &root, b"http/1.1").await?;
        let peer = stream.get_ref().0.local_addr()?;
        assert_eq!(get(&mut stream).await?, format!("https from socket://{peer}"));
    }
    let taken = Door::open(Mode::Internal { names: vec![] }, vec![six.into()], Arc::new(Memory::default())).await.err();
    assert!(matches!(taken, Some(TlsError::Bind { .. })), "{taken:?}");
    Ok(())
}

#[tokio::test]
async fn a_silent_directory_leaves_the_internal_certificate_and_is_not_hammered() -> TestResult {
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind(LOOPBACK)?.local_addr()?.port();
    let mode = || {
        Mode::Acme(Acme {
            directory: format!("https://localhost:{port}/dir"),
            contacts: vec!["admin@example.com".into()],
            names: vec!["boards.example.com".into()],
            directory_root: None,
        })
    };
    let vault: Arc<Memory> = Arc::default();
    let door = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    let failed = door.until(|status| status.last_error.is_some() && status.next_attempt > status.last_attempt).await;
    let minute = failed.last_attempt.map(|at| at.plus(Duration::from_secs(60)));
    assert_eq!(failed.next_attempt, minute);
    assert_eq!(failed.served.map(|served| served.origin), Some(Origin::Internal));
    let root = failed.internal_root.unwrap_or_default();
    connect(door.at(), "boards.example.com", &root, b"h2").await?;
    drop(door);

    // The pause holds over a restart.
    let door = Door::open(mode(), vec![LOOPBACK.into()], vault).await?;
    let waiting = door.until(|status| status.next_attempt.is_some()).await;
    assert_eq!((waiting.last_attempt, waiting.next_attempt), (failed.last_attempt, minute));
    // Unless somebody asks.
    door.handle.renew();
    let again = door.until(|status| status.last_attempt > failed.last_attempt).await;
    assert!(again.last_error.is_some());
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let order = |directory: &str, names: &[&str]| {
        Mode::Acme(Acme {
            directory: directory.into(),
            contacts: vec![],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            directory_root: None,
        })
    };
    let refuse = async |mode| Door::open(mode, vec![LOOPBACK.into()], Arc::new(Memory::default())).await.err();
    for name in ["192.0.2.7", "localhost", "::1", "*.example.com", "ボード.example", ""] {
        let refused = refuse(order(Acme::LETS_ENCRYPT, &[name])).await;
        assert!(matches!(refused, Some(TlsError::AcmeName(_))), "{name}: {refused:?}");
    }
    assert!(matches!(refuse(order(Acme::LETS_ENCRYPT, &[])).await, Some(TlsError::AcmeNoName)));
    let clear = refuse(order("http://ca.example/dir", &["boards.example"])).await;
    assert!(matches!(clear, Some(TlsError::AcmeDirectory(_))), "{clear:?}");
    let spaced = refuse(Mode::Internal { names: vec!["two words".into()] }).await;
    assert!(matches!(spaced, Some(TlsError::InternalCa(InternalCaError::Name(_)))), "{spaced:?}");
    let nowhere = Door::open(Mode::Off, vec![], Arc::new(Memory::default())).await.err();
    assert!(matches!(nowhere, Some(TlsError::NoAddress)), "{nowhere:?}");
}
