//! A certificate chain with its key, what is known of it, and the swappable pointer through which it is served.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::RwLock;
use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{ParsedCertificate, ProducesTickets},
    version::{TLS12, TLS13},
};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Status;
use crate::clock::Timestamp;

/// Application protocols offered, best first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Who issued the served certificate to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The appliance's own authority.
    Internal,
    /// An ACME directory.
    Acme,
    /// The administrator's files.
    Files,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Where we have it from.
    pub origin: Origin,
    /// The issuer's distinguished name (RFC 4514 order as printed by most tools), e.g. `CN=Workrun internal CA 5f2a`.
    pub issuer: String,
    /// DNS names and IP addresses it is valid for (subjectAltName; the common name does not count, RFC 9525).
    pub names: Vec<String>,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// Whether the chain ends in a root that browsers ship (Mozilla's list, as built in). HSTS is only for these.
    pub publicly_trusted: bool,
}

impl Certificate {
    /// When to renew: at two thirds of the lifetime.
    #[must_use]
    pub fn renewal(&self) -> Timestamp {
        self.not_before.plus(self.not_after.since(self.not_before) / 3 * 2)
    }

    /// Whether it is past its last moment.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Whether every one of `wanted` is among its names, spelled the same but for case.
    #[must_use]
    pub fn covers(&self, wanted: &[String]) -> bool {
        wanted.iter().all(|name| self.names.iter().any(|have| have.eq_ignore_ascii_case(name)))
    }
}

/// Why a certificate or key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The text holds no certificate, or one that is not X.509.
    #[error("no readable certificate: {0}")]
    Certificate(String),
    /// The text holds no private key of a known kind (PKCS#8, SEC1, PKCS#1).
    #[error("no readable private key: {0}")]
    Key(String),
    /// rustls refuses the pair: a key of another certificate, or an algorithm that TLS does not use.
    #[error("certificate and key cannot be served together: {0}")]
    Pair(#[from] rustls::Error),
}

/// A chain, its key and its facts, checked to belong together when it is first served.
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pub(super) facts: Certificate,
}

impl Identity {
    /// Reads `chain` (end-entity certificate first) and `key`, both PEM; they may be the same text.
    pub(super) fn from_pem(chain: &[u8], key: &[u8], origin: Origin, now: Timestamp) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| IdentityError::Key(error.to_string()))?;
        let facts = facts(&chain, origin, now)?;
        Ok(Self { chain, key, facts })
    }
}

fn facts(chain: &[CertificateDer<'static>], origin: Origin, now: Timestamp) -> Result<Certificate, IdentityError> {
    let leaf = chain.first().ok_or_else(|| IdentityError::Certificate("there is none in the file".into()))?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| IdentityError::Certificate(error.to_string()))?;
    let names = match parsed.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(printable_name).collect(),
        _ => Vec::new(),
    };
    let validity = parsed.validity();
    Ok(Certificate {
        origin,
        issuer: parsed.issuer().to_string(),
        names,
        not_before: from_unix(validity.not_before.timestamp()),
        not_after: from_unix(validity.not_after.timestamp()),
        publicly_trusted: publicly_trusted(chain, now),
    })
}

fn printable_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let address = <[u8; 4]>::try_from(*octets)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn from_unix(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

fn publicly_trusted(chain: &[CertificateDer<'static>], now: Timestamp) -> bool {
    let Some((leaf, intermediates)) = chain.split_first() else { return false };
    let Ok(leaf) = ParsedCertificate::try_from(leaf) else { return false };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.unix_seconds()).unwrap_or(0)));
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &public_roots(), intermediates, now, algorithms).is_ok()
}

/// The roots of Mozilla's program, as built in.
pub(super) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// ring, the one provider of this program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What the handshakes read: the current configuration, a pending challenge, and the status to publish.
pub(super) struct Served {
    provider: Arc<CryptoProvider>,
    /// One for all configurations, so that a swap does not throw away the sessions of returning clients.
    tickets: Arc<dyn ProducesTickets>,
    config: RwLock<Option<Arc<ServerConfig>>>,
    challenge: RwLock<Option<Arc<ServerConfig>>>,
    status: watch::Sender<Status>,
}

impl Served {
    pub(super) fn new(status: watch::Sender<Status>) -> Result<Self, IdentityError> {
        Ok(Self {
            provider: provider(),
            tickets: rustls::crypto::ring::Ticketer::new()?,
            config: RwLock::new(None),
            challenge: RwLock::new(None),
            status,
        })
    }

    /// Swaps to `identity` for handshakes from now on; the old one stays if the pair is refused.
    pub(super) fn swap(&self, identity: Identity) -> Result<(), IdentityError> {
        let Identity { chain, key, facts } = identity;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        config.ticketer = Arc::clone(&self.tickets);
        *self.config.write() = Some(Arc::new(config));
        tracing::info!(issuer = %facts.issuer, names = ?facts.names, until = %facts.not_after.rfc3339(), "serving a certificate");
        self.publish(|status| status.served = Some(facts));
        Ok(())
    }

    /// The configuration for ordinary connections; `None` only before the first [`Self::swap`].
    pub(super) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.config.read().clone()
    }

    /// The configuration that answers tls-alpn-01 while an order is under way.
    pub(super) fn challenge(&self) -> Option<Arc<ServerConfig>> {
        self.challenge.read().clone()
    }

    pub(super) fn set_challenge(&self, config: Option<Arc<ServerConfig>>) {
        *self.challenge.write() = config;
    }

    pub(super) fn facts(&self) -> Option<Certificate> {
        self.status.borrow().served.clone()
    }

    pub(super) fn publish(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }
}
