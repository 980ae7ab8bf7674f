//! The appliance's own certification authority, for machines without a public name.
//!
//! The root is made once and lives ten years in the vault; users install it (the sign-in page offers it) and every
//! certificate that follows is trusted. The served leaf lives 397 days, within what browsers accept, and is kept in the
//! vault too, so that an exception a user clicked holds over a restart.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, string::Ia5String,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::{
    Listen, TlsError, Upkeep, Vault, VaultError,
    identity::{Certificate, Identity, IdentityError, Origin},
};
use crate::clock::Timestamp;

/// Vault name of the root: private key and certificate, PEM.
const ROOT: &str = "internal/root";
/// Vault name of the served leaf: private key and certificate, PEM.
const LEAF: &str = "internal/leaf";

const DAY: Duration = Duration::from_hours(24);
const ROOT_LIFE: Duration = Duration::from_hours(3653 * 24);
/// The CA/Browser Forum's limit is 398 days; Apple's systems refuse more.
const LEAF_LIFE: Duration = Duration::from_hours(397 * 24);
/// A root with less than this left is replaced: users need the time to install the next one.
const ROOT_REMAINDER: Duration = Duration::from_hours(90 * 24);
/// Clients' clocks may be behind ours by this much.
const SKEW: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
/// How often names and lifetimes are looked at: an address may change with the network.
const LOOK: Duration = Duration::from_hours(1);

/// Why the internal authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InternalCaError {
    /// See [`VaultError`].
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What the vault holds is no authority. It is left as it is.
    #[error(
        "the internal authority in the store cannot be read ({0}); it is kept as it is: restore it from a snapshot"
    )]
    Unreadable(String),
    /// A name that cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate: give a DNS name in ASCII or an IP address")]
    Name(String),
    /// Keys or signatures failed.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The issued certificate is not servable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The root key with its certificate.
#[derive(Debug)]
pub struct InternalCa {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    /// The root's subject, as a leaf's issuer shows.
    name: String,
    not_after: Timestamp,
}

impl InternalCa {
    /// The authority from the vault; a new one if there is none, or if the old one ends within 90 days.
    ///
    /// # Errors
    /// [`InternalCaError`]; an unreadable authority is never replaced.
    pub fn open_or_create(vault: &dyn Vault, now: Timestamp) -> Result<Self, InternalCaError> {
        if let Some(stored) = vault.get(ROOT)? {
            let ca = Self::from_pem(&Zeroizing::new(stored))?;
            if ca.not_after.since(now) >= ROOT_REMAINDER {
                return Ok(ca);
            }
            tracing::warn!(
                until = %ca.not_after.rfc3339(),
                "the internal authority ends soon: a new one takes over; users must install its root certificate"
            );
        }
        Self::create(vault, now)
    }

    /// The root certificate, PEM, for users to install. Holds no secret.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Last moment of the root's validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A new server certificate (ECDSA P-256, 397 days) for `names`, DNS names or IP addresses: private key and
    /// certificate as one PEM text.
    ///
    /// # Errors
    /// [`InternalCaError::Name`] for what is neither; [`InternalCaError::Making`] if the key generator fails.
    pub fn leaf(&self, names: &[String], now: Timestamp) -> Result<Zeroizing<String>, InternalCaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
        leaf.distinguished_name = common_name("Workrun");
        leaf.use_authority_key_identifier_extension = true;
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let start = now.minus(SKEW);
        valid(&mut leaf, start, start.plus(LEAF_LIFE).min(self.not_after));
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        let key = Zeroizing::new(key.serialize_pem());
        Ok(Zeroizing::new(format!("{}{}", *key, certificate.pem())))
    }

    fn create(vault: &dyn Vault, now: Timestamp) -> Result<Self, InternalCaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // The key's own hash tells the roots of several appliances apart in a browser's list.
        let name = format!("Workrun internal CA {}", &blake3::hash(&key.subject_public_key_info()).to_hex()[..8]);
        let mut root = CertificateParams::default();
        root.distinguished_name = common_name(&name);
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut root, now.minus(DAY), now.plus(ROOT_LIFE));
        let root_pem = root.self_signed(&key)?.pem();
        let stored = Zeroizing::new(format!("{}{root_pem}", *Zeroizing::new(key.serialize_pem())));
        vault.put(ROOT, stored.as_bytes())?;
        tracing::info!(%name, "made an internal certification authority");
        Self::from_pem(stored.as_bytes())
    }

    fn from_pem(stored: &[u8]) -> Result<Self, InternalCaError> {
        let unreadable = |cause: &dyn std::fmt::Display| InternalCaError::Unreadable(cause.to_string());
        let text = std::str::from_utf8(stored).map_err(|error| unreadable(&error))?;
        let key = KeyPair::from_pem(text).map_err(|error| unreadable(&error))?;
        let root = CertificateDer::from_pem_slice(stored).map_err(|error| unreadable(&error))?;
        let (_, parsed) = X509Certificate::from_der(&root).map_err(|error| unreadable(&error))?;
        let not_after = Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000));
        let name = parsed.subject().to_string();
        let issuer = Issuer::from_ca_cert_der(&root, key).map_err(|error| unreadable(&error))?;
        // The certificate follows the key in what we stored.
        let start = text.find("-----BEGIN CERTIFICATE").ok_or_else(|| unreadable(&"no certificate"))?;
        Ok(Self { issuer, root_pem: text[start..].to_owned(), name, not_after })
    }
}

/// Whether a leaf should be replaced: two thirds of its life are over, it is not yet valid (the clock was ahead when it
/// was made), or it lacks one of `names`.
#[must_use]
pub fn needs_renewal(leaf: &Certificate, names: &[String], now: Timestamp) -> bool {
    now >= leaf.renewal() || now < leaf.not_before || !leaf.covers(names)
}

/// The names every machine answers to, then `chosen`, then the addresses in `bound`: localhost, the host name, loopback,
/// and where a socket listens on all addresses, the one that leads out of this machine.
#[must_use]
pub fn names(chosen: &[String], bound: &[SocketAddr]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let host = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let sound = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !host.is_empty() && sound(&host) {
        names.push(host);
    }
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names.extend(chosen.iter().map(|name| name.to_ascii_lowercase()));
    for at in bound {
        let address = at.ip().to_canonical();
        if !address.is_unspecified() {
            names.push(address.to_string());
            continue;
        }
        // A dual-stack socket is reached by both families.
        names.extend(outward(Ipv4Addr::UNSPECIFIED.into()).map(|address| address.to_string()));
        if address.is_ipv6() {
            names.extend(outward(address).map(|address| address.to_string()));
        }
    }
    let mut seen = Vec::with_capacity(names.len());
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    names
}

/// The address that packets to the world would bear. Connecting a UDP socket chooses a route and sends nothing; the
/// destinations are reserved for documentation (RFC 5737, RFC 3849).
fn outward(unspecified: IpAddr) -> Option<IpAddr> {
    let anywhere: SocketAddr = match unspecified {
        IpAddr::V4(_) => ([192, 0, 2, 1], 9).into(),
        IpAddr::V6(_) => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect(anywhere).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn alternative_name(name: &str) -> Result<rcgen::SanType, InternalCaError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(rcgen::SanType::IpAddress(address));
    }
    let refused = || InternalCaError::Name(name.to_owned());
    let sound = rustls::pki_types::DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok();
    let name = Ia5String::try_from(name).map_err(|_| refused())?;
    if sound { Ok(rcgen::SanType::DnsName(name)) } else { Err(refused()) }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Sets the validity. rcgen's type of time has no name outside it, hence the arithmetic; before 1970 is 1970.
fn valid(certificate: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |at: Timestamp| Duration::from_secs(u64::try_from(at.unix_seconds()).unwrap_or(0));
    certificate.not_before = epoch + seconds(from);
    certificate.not_after = epoch + seconds(until);
}

/// Keeps the internal leaf served and fresh.
pub(super) struct Keeper {
    upkeep: Upkeep,
    chosen: Vec<String>,
}

impl Keeper {
    pub(super) fn new(upkeep: Upkeep, chosen: Vec<String>) -> Self {
        Self { upkeep, chosen }
    }

    /// Serves the leaf from the vault, or a new one if that one `needs_renewal` or `anew` asks for it; says whether what
    /// is served has changed.
    pub(super) async fn serve(&self, anew: bool) -> Result<bool, TlsError> {
        let now = self.upkeep.clock.now();
        let bound: Vec<SocketAddr> = self.upkeep.bound.iter().filter_map(Listen::tcp).collect();
        let names = names(&self.chosen, &bound);
        let (leaf, root) = self.upkeep.with_vault(move |vault| current(vault, &names, anew, now)).await??;
        let served = &self.upkeep.served;
        served.publish(|status| status.internal_root = Some(root.into()));
        let change = anew || served.facts().as_ref() != Some(&leaf.facts);
        if change {
            served.swap(leaf)?;
        }
        Ok(change)
    }

    /// Renews for as long as it is polled.
    pub(super) async fn keep(self) {
        loop {
            let now = self.upkeep.clock.now();
            // A minute off at least, lest a failing store be asked without pause.
            let left = self.upkeep.served.facts().map_or(LOOK, |leaf| leaf.renewal().since(now)).max(MINUTE);
            self.upkeep.served.publish(|status| status.next_attempt = Some(now.plus(left)));
            let asked = self.upkeep.pause(left.min(LOOK)).await;
            let failure = match self.serve(asked).await {
                Ok(false) => continue,
                Ok(true) => None,
                Err(error) => {
                    tracing::error!(%error, "cannot renew the internal certificate; the last one is still served");
                    Some(error.to_string())
                }
            };
            let now = self.upkeep.clock.now();
            self.upkeep.served.publish(|status| {
                status.last_attempt = Some(now);
                status.last_error = failure;
            });
        }
    }
}

/// The leaf to serve for `names` and the root's PEM; made and stored if the stored one will not do.
fn current(
    vault: &dyn Vault,
    names: &[String],
    anew: bool,
    now: Timestamp,
) -> Result<(Identity, String), InternalCaError> {
    let ca = InternalCa::open_or_create(vault, now)?;
    let stored = vault.get(LEAF)?.map(Zeroizing::new);
    // One that cannot be read is made again: unlike the root, nobody has it installed.
    let stored = stored.and_then(|pem| Identity::from_pem(&pem, &pem, Origin::Internal, now).ok());
    let leaf = match stored {
        Some(leaf) if !anew && leaf.facts.issuer == ca.name && !needs_renewal(&leaf.facts, names, now) => leaf,
        _ => {
            let pem = ca.leaf(names, now)?;
            vault.put(LEAF, pem.as_bytes())?;
            Identity::from_pem(pem.as_bytes(), pem.as_bytes(), Origin::Internal, now)?
        }
    };
    Ok((leaf, ca.root_pem))
}
