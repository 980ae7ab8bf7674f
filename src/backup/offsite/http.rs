//! HTTP as the object store's client needs it, over the TLS that the appliance has already.
//!
//! A request that could carry a signature or a credential goes in clear to this machine alone, or to the address at which
//! clouds tell an instance its own credentials. Redirections are answers like any other: nothing is followed.

use std::{
    collections::HashMap,
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use hyper::{
    Uri,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::OffsiteError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may say nothing, beside the time that sending the request takes.
const SILENCE: Duration = Duration::from_secs(60);
/// The slowest line that a request is sent over, in bytes a second.
const SLOWEST: u64 = 16 * 1024;
/// Connections that wait for their next request.
const IDLE_MAX: usize = 8;

/// Makes clients that trust public authorities and, where one is named, a root of the house's own.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Client>);

impl Connector {
    /// A connector; `root_file` holds further roots in PEM.
    pub fn new(root_file: Option<&PathBuf>) -> Result<Self, OffsiteError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = root_file {
            let unusable = |what: String| OffsiteError::Root { path: path.clone(), what };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let mut count = 0;
            for root in CertificateDer::pem_slice_iter(&pem) {
                let root = root.map_err(|error| unusable(error.to_string()))?;
                roots.add(root).map_err(|error| unusable(error.to_string()))?;
                count += 1;
            }
            if count == 0 {
                return Err(unusable("it holds no certificate".to_owned()));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| OffsiteError::Client(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(Client { tls: TlsConnector::from(Arc::new(config)), idle: Mutex::default() })))
    }

    /// The one client of all that this connector makes.
    pub fn client(&self) -> HttpClient {
        HttpClient::new(Shared(Arc::clone(&self.0)))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client())
    }
}

/// Where a request goes: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Result<Self, HttpError> {
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused(HttpErrorKind::Unknown, "the address is neither https nor http")),
        };
        let host = uri.host().ok_or_else(|| refused(HttpErrorKind::Unknown, "the address names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { is_tls, host, port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }) })
    }
}

fn refused(kind: HttpErrorKind, what: &str) -> HttpError {
    HttpError::new(kind, io::Error::other(what.to_owned()))
}

/// Whether what is asked there may be asked in clear: this machine, and the link-local addresses of clouds' metadata.
fn may_be_in_clear(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.segments()[..3] == [0xfd00, 0x0ec2, 0],
    }
}

struct Client {
    tls: TlsConnector,
    idle: Mutex<HashMap<Origin, Vec<SendRequest<HttpRequestBody>>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Client>);

impl Client {
    /// A connection that waits, if one does that the server has not closed.
    fn waiting(&self, origin: &Origin) -> Option<SendRequest<HttpRequestBody>> {
        let mut idle = self.idle.lock();
        let waiting = idle.get_mut(origin)?;
        while let Some(sender) = waiting.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, origin: Origin, sender: SendRequest<HttpRequestBody>) {
        let mut idle = self.idle.lock();
        let waiting = idle.entry(origin).or_default();
        waiting.retain(|sender| !sender.is_closed());
        if waiting.len() < IDLE_MAX {
            waiting.push(sender);
        }
    }

    async fn connect(&self, origin: &Origin) -> io::Result<SendRequest<HttpRequestBody>> {
        let tcp = self.reach(origin).await?;
        tcp.set_nodelay(true)?;
        // What was sent and is not acknowledged for so long will never be: a server that has gone is noticed by it.
        let patience = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&tcp, patience)?;
        if !origin.is_tls {
            return shake_hands(TokioIo::new(tcp)).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
        shake_hands(TokioIo::new(self.tls.connect(name, tcp).await?)).await
    }

    async fn reach(&self, origin: &Origin) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", origin.host));
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await?.collect();
        for address in addresses {
            if !origin.is_tls && !may_be_in_clear(address.ip()) {
                last = io::Error::other(format!("{} is another machine, and nothing goes there in clear", origin.host));
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn shake_hands<T>(io: TokioIo<T>) -> io::Result<SendRequest<HttpRequestBody>>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Whoever waits for an answer on it is told by that wait.
        let _ = connection.await;
    });
    Ok(sender)
}

/// What became of a request that was not answered, as far as it can be told.
fn unanswered(error: hyper::Error) -> HttpError {
    let kind = if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        HttpErrorKind::Request
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error)
}

fn late(what: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::new(io::ErrorKind::TimedOut, what.to_owned()))
}

#[async_trait]
impl HttpService for Shared {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let origin = Origin::of(request.uri())?;
        let mut sender = match self.0.waiting(&origin) {
            Some(sender) => sender,
            None => timeout(CONNECT, self.0.connect(&origin))
                .await
                .map_err(|_| refused(HttpErrorKind::Connect, "it did not answer"))?
                .map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?,
        };
        let (mut parts, body) = request.into_parts();
        let wrong = |error: &dyn std::fmt::Display| refused(HttpErrorKind::Unknown, &error.to_string());
        let authority = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
        parts.headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|error| wrong(&error))?);
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("workrun/", env!("CARGO_PKG_VERSION"))));
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(|error| wrong(&error))?;
        let patience = SILENCE + Duration::from_secs(body.content_length() as u64 / SLOWEST);
        let answer = timeout(patience, sender.send_request(hyper::Request::from_parts(parts, body)))
            .await
            .map_err(|_| late("it did not answer"))?
            .map_err(unanswered)?;
        let client = Arc::clone(&self.0);
        tokio::spawn(async move {
            // Free for the next request once the answer was read to its end.
            if sender.ready().await.is_ok() {
                client.keep(origin, sender);
            }
        });
        let (parts, body) = answer.into_parts();
        let body = Patient { body, silence: Box::pin(sleep(SILENCE)) };
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// An answer's body that ends in an error when the server falls silent in it.
struct Patient {
    body: Incoming,
    silence: Pin<Box<Sleep>>,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.silence.as_mut().reset(Instant::now() + SILENCE);
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| {
                        let cut = error.source().is_some() || error.is_incomplete_message();
                        let kind = if cut { HttpErrorKind::Interrupted } else { HttpErrorKind::Decode };
                        HttpError::new(kind, error)
                    })
                }))
            }
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(context));
                Poll::Ready(Some(Err(late("it stopped in the middle of an answer"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_metadata_are_asked_in_clear() {
        for address in ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254"] {
            assert!(may_be_in_clear(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "192.0.2.1", "fe80::1", "fd00::1", "2001:db8::1"] {
            assert!(!may_be_in_clear(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn another_machine_is_never_asked_in_clear() {
        let client = Connector::new(None).unwrap().client();
        let request = hyper::Request::get("http://192.0.2.1/").body(HttpRequestBody::empty()).unwrap();
        let error = client.execute(request).await.unwrap_err();
        assert!(format!("{error}").contains("nothing goes there in clear"), "{error}");
        let request = hyper::Request::get("ftp://127.0.0.1/").body(HttpRequestBody::empty()).unwrap();
        assert!(client.execute(request).await.is_err());
    }

    /// A server for one request, under a certificate that nobody knows but from its file.
    async fn served_by_tls() -> (String, tempfile::NamedTempFile) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await else { return };
            let mut buffer = [0; 4096];
            while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
                let _ = tls.read(&mut buffer).await.unwrap();
            }
            tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            tls.shutdown().await.unwrap();
        });
        (format!("https://localhost:{port}/bucket?list"), file)
    }

    fn request(address: &str) -> HttpRequest {
        hyper::Request::get(address).body(HttpRequestBody::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_root_of_the_house_is_trusted_where_it_is_named() {
        let (address, root) = served_by_tls().await;
        let client = Connector::new(Some(&root.path().to_owned())).unwrap().client();
        let answer = client.execute(request(&address)).await.unwrap();
        assert_eq!(answer.into_body().bytes().await.unwrap(), "hello");
        let (address, _) = served_by_tls().await;
        let client = Connector::new(None).unwrap().client();
        let error = client.execute(request(&address)).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Connect);
        assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }

    #[test]
    fn a_root_must_be_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nothing").unwrap();
        let path = file.path().to_owned();
        assert!(matches!(Connector::new(Some(&path)), Err(OffsiteError::Root { .. })));
    }
}
