//! Certificates from a real ACME directory: Pebble validates, issues, refuses and dies as directories do.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use poem::{Server, endpoint::make_sync};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use workrun::{
    clock::Clock,
    tls::{self, Acme, Handle, Listen, Mode, Origin, Status, Vault, VaultError},
};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const NAMES: [&str; 2] = ["app.example.test", "www.example.test"];
/// Far more than anything here takes; a condition not met by then never will be.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn issues_renews_and_outlives_restart_and_directory() -> TestResult {
    let (directory, socket) = (Directory::new()?, loopback_listener()?);
    let pebble = directory.open(socket.local_addr()?.port(), 24, 0).await?;
    let vault: Arc<Memory> = Arc::default();

    let door = Door::open(&directory, socket, vault.clone()).await?;
    assert_eq!(origin(&door.handle.status()), Some(Origin::Internal), "until the first certificate arrives");
    let first = door.until(|status| origin(status) == Some(Origin::Acme)).await?;
    let certificate = first.served.ok_or("nothing is served")?;
    assert_eq!((&certificate.names[..], certificate.publicly_trusted), (&NAMES.map(String::from)[..], false));
    let root = directory.issuing_root().await?;
    for name in NAMES {
        connect(door.at, name, &root).await?;
    }
    let mut kept = connect(door.at, NAMES[0], &root).await?;
    assert!(get(&mut kept, "/").await?.ends_with("served"));
    let account = vault.only("acme/account/")?;

    // Renewed at two thirds of its life, under a live connection, by the same account.
    let renewed = door.until(|status| status.served.as_ref().is_some_and(|now| *now != certificate)).await?;
    assert_eq!((origin(&renewed), &renewed.last_error), (Some(Origin::Acme), &None));
    assert!(get(&mut kept, "/").await?.ends_with("served"));
    let leaf = leaf_of(&connect(door.at, NAMES[1], &root).await?);
    assert_ne!(leaf, leaf_of(&kept));
    assert_eq!(vault.only("acme/account/")?, account);

    // The directory is gone, and so are we: the next start serves what the vault kept.
    drop((pebble, door));
    let door = Door::open(&directory, loopback_listener()?, vault).await?;
    assert_eq!(door.handle.status().served, renewed.served);
    assert_eq!(leaf_of(&connect(door.at, NAMES[0], &root).await?), leaf);

    // Nobody renews it now: it is served to its end, and then the internal one.
    let failing = door.until(|status| status.last_error.is_some()).await?;
    assert_eq!(failing.served, renewed.served);
    let ended = door.until(|status| origin(status) == Some(Origin::Internal)).await?;
    connect(door.at, NAMES[0], &ended.internal_root.unwrap_or_default()).await?;
    Ok(())
}

#[tokio::test]
async fn recovers_from_a_directory_that_refuses_every_nonce() -> TestResult {
    let (directory, socket) = (Directory::new()?, loopback_listener()?);
    let port = socket.local_addr()?.port();
    let refusing = directory.open(port, 3600, 100).await?;

    let door = Door::open(&directory, socket, Arc::default()).await?;
    let failed = door.until(|status| status.last_error.is_some()).await?;
    assert!(failed.last_error.unwrap_or_default().contains("badNonce"));
    assert_eq!(failed.served.map(|served| served.origin), Some(Origin::Internal));

    drop(refusing);
    let _sound = directory.open(port, 3600, 0).await?;
    door.handle.renew();
    let issued = door.until(|status| origin(status) == Some(Origin::Acme)).await?;
    assert_eq!(issued.served.map(|served| served.names), Some(NAMES.map(String::from).to_vec()));
    connect(door.at, NAMES[1], &directory.issuing_root().await?).await?;
    Ok(())
}

#[tokio::test]
async fn tells_why_a_name_could_not_be_verified() -> TestResult {
    let directory = Directory::new()?;
    // The directory looks for us on a port where nobody listens.
    let nobody = loopback_listener()?.local_addr()?.port();
    let _pebble = directory.open(nobody, 3600, 0).await?;
    let door = Door::open(&directory, loopback_listener()?, Arc::default()).await?;
    let failed = door.until(|status| status.last_error.is_some()).await?;
    let reason = failed.last_error.unwrap_or_default();
    // Which of the names it tries first is the directory's choice.
    assert!(reason.starts_with("the directory could not verify "), "{reason}");
    assert!(reason.contains(".example.test: Failed to connect"), "{reason}");
    Ok(())
}

/// What an installation of Pebble keeps while its processes come and go: ports, and the certificate of its API.
struct Directory {
    folder: TempDir,
    api_root: String,
    api: u16,
    management: u16,
    dns: u16,
    dns_management: u16,
}

impl Directory {
    fn new() -> TestResult<Self> {
        let folder = tempfile::tempdir()?;
        let key = rcgen::KeyPair::generate()?;
        let mut certificate = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        // A certificate that is root and leaf at once passes only if it is no authority.
        certificate.is_ca = rcgen::IsCa::ExplicitNoCa;
        let api_root = certificate.self_signed(&key)?.pem();
        fs::write(folder.path().join("api.crt"), &api_root)?;
        fs::write(folder.path().join("api.key"), key.serialize_pem())?;
        // All held until all are chosen, so that they differ.
        let held = [loopback_listener()?, loopback_listener()?, loopback_listener()?];
        let [api, management, dns_management] = [&held[0], &held[1], &held[2]].map(TcpListener::local_addr);
        let dns = port_for_tcp_and_udp()?;
        let (api, management, dns_management) = (api?.port(), management?.port(), dns_management?.port());
        Ok(Self { folder, api_root, api, management, dns, dns_management })
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/dir", self.api)
    }

    /// Starts Pebble and its name server: validating at `tls_port` of this machine, issuing for `life` seconds, refusing
    /// `refused_nonces` per cent of good nonces.
    async fn open(&self, tls_port: u16, life: u32, refused_nonces: u8) -> TestResult<Pebble> {
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.api),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": "api.crt",
            "privateKey": "api.key",
            "httpPort": 1,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": life,
        }});
        fs::write(self.folder.path().join("pebble.json"), config.to_string())?;
        let dns = format!("127.0.0.1:{}", self.dns);
        let mut names = self.program("pebble-challtestsrv")?;
        names.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &dns]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        names.args(["-management", &format!("127.0.0.1:{}", self.dns_management)]);
        let mut pebble = self.program("pebble")?;
        pebble.args(["-config", "pebble.json", "-dnsserver", &dns]);
        pebble.env("PEBBLE_WFE_NONCEREJECT", refused_nonces.to_string());
        pebble.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")]);
        let mut running = Pebble { processes: vec![Process(names.spawn()?), Process(pebble.spawn()?)] };
        for port in [self.dns_management, self.management, self.api] {
            running.until_listening(port, self.folder.path()).await?;
        }
        Ok(running)
    }

    fn program(&self, name: &str) -> TestResult<Command> {
        let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
        let path = found.into_iter().find(|path| path.exists()).ok_or_else(|| {
            format!("{name} is not installed: `tests/run` installs it (Debian's package `pebble`), then runs this test")
        })?;
        let log = File::create(self.folder.path().join(format!("{name}.log")))?;
        let mut command = Command::new(path);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// The root that this run of Pebble issues under, made anew at each start.
    async fn issuing_root(&self) -> TestResult<String> {
        let at = (Ipv4Addr::LOCALHOST, self.management).into();
        let answer = get(&mut connect(at, "localhost", &self.api_root).await?, "/roots/0").await?;
        let start = answer.find("-----BEGIN CERTIFICATE").ok_or("Pebble gave no root")?;
        Ok(answer[start..].to_owned())
    }
}

/// Pebble and its name server, ended with the value.
struct Pebble {
    processes: Vec<Process>,
}

impl Pebble {
    async fn until_listening(&mut self, port: u16, logs: &Path) -> TestResult {
        let listening = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                if let Some(ended) = self.processes.iter_mut().find_map(|process| process.0.try_wait().transpose()) {
                    let said =
                        ["pebble.log", "pebble-challtestsrv.log"].map(|name| fs::read_to_string(logs.join(name)));
                    return Err(format!("Pebble ended at its start: {ended:?}; it said: {said:?}").into());
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        timeout(PATIENCE, listening).await?
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn loopback_listener() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn port_for_tcp_and_udp() -> io::Result<u16> {
    loop {
        let port = loopback_listener()?.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
}

/// A server for [`NAMES`] behind the appliance's own acceptor, ended with the value.
struct Door {
    handle: Handle,
    at: SocketAddr,
    server: JoinHandle<io::Result<()>>,
}

impl Door {
    async fn open(directory: &Directory, socket: TcpListener, vault: Arc<Memory>) -> TestResult<Self> {
        let settings = Acme {
            directory: directory.url(),
            contacts: vec!["admin@example.test".to_owned()],
            names: NAMES.map(String::from).to_vec(),
            directory_root: Some(directory.api_root.clone()),
        };
        let at = socket.local_addr()?;
        let listen = vec![Listen::Inherited(socket)];
        let (acceptor, handle) =
            tls::start(Mode::Acme(settings), listen, vault, Clock::System, std::future::pending()).await?;
        let server = Server::new_with_acceptor(acceptor).run(make_sync(|_| "served"));
        Ok(Self { handle, at, server: tokio::spawn(server) })
    }

    async fn until(&self, wanted: impl FnMut(&Status) -> bool) -> TestResult<Status> {
        let mut watch = self.handle.watch();
        let found = timeout(PATIENCE, watch.wait_for(wanted)).await;
        let found = found.map_err(|_| format!("the status stays {:?}", self.handle.status()))?;
        Ok(found?.clone())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn origin(status: &Status) -> Option<Origin> {
    status.served.as_ref().map(|served| served.origin)
}

async fn connect(at: SocketAddr, name: &str, root: &str) -> TestResult<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned())?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(at).await?).await?)
}

fn leaf_of(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|leaf| leaf.to_vec()).unwrap_or_default()
}

/// One request on a kept connection; the whole answer.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> TestResult<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if length == Some(body.len()) {
                return Ok(text);
            }
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the connection ended before the answer did".into());
        }
    }
}

/// Keeps values in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<String, Vec<u8>>>);

impl Memory {
    /// The one value whose name begins with `prefix`.
    fn only(&self, prefix: &str) -> TestResult<Vec<u8>> {
        let values = self.0.lock();
        let mut found = values.iter().filter(|(name, _)| name.starts_with(prefix));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value.clone()),
            _ => Err(format!("not one {prefix}* in {:?}", values.keys()).into()),
        }
    }
}

impl Vault for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.lock().get(name).cloned())
    }

    fn put(&self, name: &str, value: &[u8]) -> Result<(), VaultError> {
        self.0.lock().insert(name.to_owned(), value.to_vec());
        Ok(())
    }
}
