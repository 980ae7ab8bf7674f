//! HTTP/1.1 as far as tests need it, over TCP or TLS.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;

use super::PATIENCE;

/// Where the appliance listens, and the root under which its certificate is to be valid.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub at: SocketAddr,
    /// Scheme, host and port: what stands in `Origin`.
    pub origin: String,
    /// PEM; `None` without TLS.
    pub root: Option<String>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.brief()))
    }

    /// Where it leads.
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("leads nowhere: {}", self.brief()))
    }

    /// The answer itself if it has that status; what it is otherwise.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.brief());
        self
    }

    /// Enough of it to see what went wrong.
    pub fn brief(&self) -> String {
        format!("{} {:?}\n{}", self.status, self.headers, self.text().chars().take(4000).collect::<String>())
    }
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection that is kept open.
pub struct Connection {
    stream: Box<dyn Stream>,
    host: String,
    read: Vec<u8>,
}

impl Connection {
    pub fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let socket = TcpStream::connect(endpoint.at)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let host = endpoint.origin.split_once("://").map_or("", |(_, host)| host).to_owned();
        let stream: Box<dyn Stream> = match &endpoint.root {
            None => Box::new(socket),
            Some(root) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(root.as_bytes()).map_err(io::Error::other)?)
                    .map_err(io::Error::other)?;
                let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .map_err(io::Error::other)?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).trim_matches(['[', ']']);
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, socket))
            }
        };
        Ok(Self { stream, host, read: Vec::new() })
    }

    /// Sends a request and reads its whole answer.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        self.request(method, path, headers, body)?;
        let (status, headers) = self.head()?;
        let find = |name: &str| {
            headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let body = if method == "HEAD" || status == 204 || status == 304 {
            Vec::new()
        } else if find("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
            body
        } else if let Some(length) = find("content-length") {
            self.take(length.parse().map_err(io::Error::other)?)?
        } else {
            while self.fill()? {}
            std::mem::take(&mut self.read)
        };
        Ok(Answer { status, headers, body })
    }

    /// Sends a request only.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PATCH" | "PUT") {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes)?;
        self.stream.flush()
    }

    /// Sends bytes as they are. The other side may have stopped listening, which its answer will tell.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// Status and headers of the next answer.
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no answer: {lines:?}")))?;
        let headers = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Ok((status, headers))
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let size =
            usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).map_err(io::Error::other)?;
        let chunk = self.take(size)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.read[..at]).into_owned();
                self.read.drain(..at + 2);
                return Ok(line);
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }
}

/// Bytes as they stand in a query or a form.
pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A form's body.
pub fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect::<Vec<_>>().join("&")
}
