//! Every setting of the appliance: one table, three sources, one checked result.
//!
//! [`settings`] declares each setting once: name, type, unit, default, documentation. The file `config.toml`, the
//! environment (`WORKRUN_…`) and the command line's flags are laid over one another in that order, and [`Config`] holds
//! what came out, parsed: an address is a `SocketAddr`, a time zone is a time zone, and a mode carries what that mode
//! needs. A key that is not in the table is refused with the nearest one that is. Nothing here keeps a secret's value
//! longer than needed: secrets are named by [`SecretSource`] and read where they are used.

mod error;
mod layers;
mod secret;
pub mod settings;
mod values;

use std::{fmt, net::SocketAddr, path::PathBuf};

use jiff::{civil::Time, tz::TimeZone};
use lettre::message::Mailbox;
use tracing_subscriber::filter::Targets;
use zeroize::Zeroizing;

pub use error::{ConfigError, Origin};
pub use layers::{Flags, Surroundings};
pub use secret::{SecretError, SecretSource};

/// What the appliance was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that holds everything the appliance keeps; absolute.
    pub data_dir: PathBuf,
    /// Where the root key comes from.
    pub root_key: SecretSource,
    /// Addresses on which pages, API and webhooks are served; at least one.
    pub listen: Vec<SocketAddr>,
    /// The address that people type, where it was given.
    pub public_url: Option<PublicUrl>,
    /// How connections are encrypted.
    pub tls: Tls,
    /// The mail server, where one was given; without one, mail waits in its queue.
    pub smtp: Option<Smtp>,
    /// The zone in which the appliance itself shows and plans times.
    pub time_zone: TimeZone,
    /// Form of the log's lines.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: Targets,
    /// Where `/metrics` is served without a token, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Page cache of one open organization, in MiB.
    pub store_cache_mib: usize,
    /// How many organizations are kept open at once.
    pub stores_open_max: usize,
    /// The largest webhook body accepted unless its endpoint says otherwise, in bytes.
    pub webhook_body_max: usize,
    /// Where snapshots go, when and how.
    pub snapshots: Snapshots,
    /// Where a further copy of them goes, if anywhere.
    pub offsite: Option<Offsite>,
    /// What is odd but harmless, to be logged once logging has started.
    pub warnings: Vec<String>,
}

/// How connections are encrypted. `tls = "auto"` has been decided by the time this exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Certificates from an ACME authority, by the TLS-ALPN-01 challenge.
    Acme {
        /// The DNS names of the one certificate; at least one.
        names: Vec<String>,
        /// The authority's directory (RFC 8555, section 7.1.1), an `https` URL.
        directory: String,
        /// Mail address that the authority may write to.
        contact: Option<String>,
        /// PEM file with a further root under which the authority's own server is trusted.
        root_file: Option<PathBuf>,
    },
    /// Certificates from the appliance's own authority.
    Internal {
        /// Names and addresses to certify beside those that the appliance finds itself.
        names: Vec<String>,
    },
    /// Certificate chain and key from PEM files.
    Files { cert: PathBuf, key: PathBuf },
    /// No encryption; every listening address is a loopback address.
    Off,
}

/// Where snapshots go, when and how.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// The folder of the generations.
    pub folder: PathBuf,
    /// The hours in which the day's own is begun, `12:00-13:00`.
    pub window: (Time, Time),
    /// zstd's level.
    pub level: i32,
    /// Threads that work at once.
    pub threads: usize,
}

/// A bucket of S3-compatible storage, inside the declared residency, for a further copy of the snapshots.
#[derive(Clone, Debug)]
pub struct Offsite {
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The server, if it is not AWS: an `https` URL, or `http` on a loopback host.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    pub credentials: OffsiteCredentials,
    /// PEM file with further roots under which the server's certificate is trusted.
    pub root_file: Option<PathBuf>,
}

/// Where the right to write there comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum OffsiteCredentials {
    /// A file, of the administrator's or the service manager's.
    Source(SecretSource),
    /// The variables that every S3 client reads.
    Environment { id: String, secret: Zeroizing<String>, token: Option<Zeroizing<String>> },
    /// The role of the instance that this runs on; `metadata` is where it is told, if not at the usual address.
    Instance { metadata: Option<String> },
}

impl fmt::Debug for OffsiteCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => write!(f, "OffsiteCredentials({source})"),
            Self::Environment { .. } => f.write_str("OffsiteCredentials(the environment)"),
            Self::Instance { .. } => f.write_str("OffsiteCredentials(the instance's profile)"),
        }
    }
}

/// A mail server and how to use it.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// User name and where the password comes from, if the server wants a sign-in.
    pub sign_in: Option<(String, SecretSource)>,
    /// The sender of the appliance's mail.
    pub from: Mailbox,
    /// PEM file with a further root under which the server's certificate is trusted.
    pub root_file: Option<PathBuf>,
    /// The name with which the appliance greets the server (RFC 5321, section 4.1.1.1).
    pub hello: String,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// In clear first, then STARTTLS (RFC 3207), without which nothing is sent.
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Never; only to a loopback address.
    None,
}

/// Form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// An origin: `https://` (or `http://` on a loopback host), host and port, nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(url::Url);

impl PublicUrl {
    /// The host as browsers send it: a DNS name in its ASCII form, or an address (IPv6 in brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The host if it is a DNS name.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.domain()
    }

    /// The port, the scheme's own if none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for PublicUrl {
    /// Without a slash at the end, so that a path can follow: `https://work.example.jp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Config {
    /// Lays file, environment and flags over one another and checks the outcome.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, if it or the flags name a setting that does not exist, or if a value
    /// breaks its rule: each with file and line, variable or flag, the setting's name and the rule.
    pub fn load(flags: &Flags, surroundings: &Surroundings) -> Result<Self, ConfigError> {
        let layers = layers::Layers::read(flags, surroundings)?;
        values::config(&layers, surroundings)
    }
}

#[cfg(test)]
mod tests;
