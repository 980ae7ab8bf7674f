//! Certificates from an ACME directory (RFC 8555), validated by tls-alpn-01 (RFC 8737).
//!
//! rustls-acme speaks the protocol; when to speak it is decided here. Each order is one attempt with a time limit, in a
//! task of its own, so that neither a directory that hangs nor a panic in a parser touches the server. After a failure
//! the pause doubles from a minute to an hour, and the count is kept in the vault: a service that restarts in a loop must
//! not use up the directory's limits. A certificate is stored before it is served.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, DnsName, pem::PemObject},
};
use rustls_acme::{
    AccountCache, AcmeConfig, AcmeState, CertCache, EventError, EventOk, OrderError,
    acme::{Auth, LETS_ENCRYPT_PRODUCTION_DIRECTORY, Problem},
};
use zeroize::Zeroizing;

use super::{
    TlsError, Upkeep, Vault, VaultError,
    identity::{Certificate, Identity, Origin, provider, public_roots},
    internal,
};
use crate::clock::Timestamp;

/// An order that takes longer is given up: some directories take minutes to validate, none that works takes longer.
const ATTEMPT_LIMIT: Duration = Duration::from_mins(10);
const SECOND: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How often the clock is compared with the plan.
const GLANCE: Duration = Duration::from_mins(1);
/// A refused nonce is to be expected now and then and tried again at once (RFC 8555, 6.5); so often within one attempt.
const NONCE_RETRIES: u32 = 3;

/// What to order, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The directory's URL (https).
    pub directory: String,
    /// Mail addresses for the directory's notices; may be empty.
    pub contacts: Vec<String>,
    /// DNS names, all in one certificate.
    pub names: Vec<String>,
    /// A root (PEM) to trust for the directory itself, besides the public ones: for a private directory.
    pub directory_root: Option<String>,
}

impl Acme {
    /// Let's Encrypt's production directory.
    pub const LETS_ENCRYPT: &'static str = LETS_ENCRYPT_PRODUCTION_DIRECTORY;
}

/// Settings found sound, in the form that the protocol wants.
struct Plan {
    directory: String,
    contacts: Vec<String>,
    names: Vec<String>,
    client: Arc<ClientConfig>,
}

impl Plan {
    fn new(settings: Acme) -> Result<Self, TlsError> {
        let Acme { directory, contacts, names, directory_root } = settings;
        if !directory.starts_with("https://") {
            return Err(TlsError::AcmeDirectory(directory));
        }
        let mut names: Vec<String> = names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(TlsError::AcmeNoName);
        }
        if let Some(name) = names.iter().find(|name| !certifiable(name)) {
            return Err(TlsError::AcmeName(name.clone()));
        }
        let contacts = contacts.into_iter().map(|mail| match mail.strip_prefix("mailto:") {
            Some(_) => mail,
            None => format!("mailto:{mail}"),
        });
        Ok(Self { directory, contacts: contacts.collect(), names, client: client(directory_root.as_deref())? })
    }

    /// Vault name of the account's key: one account a directory and set of contacts.
    fn account(&self) -> String {
        format!("acme/account/{}", digest(&self.directory, &self.contacts))
    }

    /// Vault name of the certificate with its key, PEM.
    fn certificate(&self) -> String {
        format!("acme/certificate/{}", digest(&self.directory, &self.names))
    }

    /// Vault name of the [`Ledger`].
    fn ledger(&self) -> String {
        format!("acme/ledger/{}", digest(&self.directory, &self.names))
    }
}

fn certifiable(name: &str) -> bool {
    // An IPv4 address would pass as a DNS name; no top-level domain is a number.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.contains('.') && !numeric && !name.ends_with(".localhost") && DnsName::try_from(name).is_ok()
}

fn digest(directory: &str, items: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(directory.as_bytes());
    for item in items {
        // No URL, address or name holds a NUL.
        hasher.update(b"\0").update(item.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn client(extra_root: Option<&str>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = public_roots();
    if let Some(pem) = extra_root {
        let refused = |error: &dyn std::fmt::Display| TlsError::AcmeRoot(error.to_string());
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| refused(&error))?;
        roots.add(root).map_err(|error| refused(&error))?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(super::IdentityError::from)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What is remembered of attempts over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Ledger {
    /// Attempts that failed since one worked.
    #[n(0)]
    failures: u32,
    /// When the last one ended.
    #[n(1)]
    last: Timestamp,
}

impl Ledger {
    fn after(self, worked: bool, rate_limited: bool, now: Timestamp) -> Self {
        let failures = match (worked, rate_limited) {
            (true, _) => 0,
            (false, false) => self.failures.saturating_add(1),
            // The directory asked us to stay away: straight to the longest pause.
            (false, true) => self.failures.saturating_add(1).max(7),
        };
        Self { failures, last: now }
    }

    /// 1, 2, 4 … 60 minutes.
    fn pause(self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => (FIRST_PAUSE * (1 << (failures - 1).min(6))).min(LONGEST_PAUSE),
        }
    }

    /// When to order next, having `certificate`.
    fn due(self, certificate: Option<&Certificate>, now: Timestamp) -> Timestamp {
        // If the clock was ahead at the last attempt, count from now.
        let rested = self.last.min(now).plus(self.pause());
        match certificate {
            Some(certificate) => certificate.renewal().max(rested),
            None => rested,
        }
    }
}

/// Keeps an ACME certificate served and fresh, and the internal leaf in its place while there is none.
pub(super) struct Keeper {
    upkeep: Upkeep,
    plan: Arc<Plan>,
    fallback: internal::Keeper,
}

impl Keeper {
    pub(super) fn new(upkeep: Upkeep, settings: Acme) -> Result<Self, TlsError> {
        let plan = Arc::new(Plan::new(settings)?);
        let fallback = internal::Keeper::new(upkeep.clone(), plan.names.clone());
        Ok(Self { upkeep, plan, fallback })
    }

    /// Serves the certificate from the vault if there is one that still holds, else the internal leaf; says what is
    /// remembered of earlier attempts.
    pub(super) async fn serve_cached(&self) -> Result<Ledger, TlsError> {
        let (plan, now) = (Arc::clone(&self.plan), self.upkeep.clock.now());
        let read = self.upkeep.with_vault(move |vault| {
            let ledger = vault.get(&plan.ledger())?;
            // Unreadable notes are no reason to stay down; the attempts are counted anew.
            let ledger: Ledger = ledger.and_then(|bytes| minicbor::decode(&bytes).ok()).unwrap_or_default();
            Ok::<_, VaultError>((ledger, vault.get(&plan.certificate())?.map(Zeroizing::new)))
        });
        let (ledger, pem) = read.await??;
        let attempted = (ledger != Ledger::default()).then_some(ledger.last);
        self.upkeep.served.publish(|status| status.last_attempt = attempted);
        // Also where a certificate is at hand: its root is offered for download from the first day.
        self.fallback.serve(false).await?;
        if let Some(pem) = pem {
            match Identity::from_pem(&pem, &pem, Origin::Acme, now) {
                Ok(identity) if !identity.facts.expired(now) => self.upkeep.served.swap(identity)?,
                Ok(_) => tracing::warn!("the stored ACME certificate has expired; ordering a new one"),
                Err(error) => tracing::error!(%error, "the stored ACME certificate cannot be read; ordering a new one"),
            }
        }
        Ok(ledger)
    }

    /// Orders and renews for as long as it is polled.
    pub(super) async fn keep(self, mut ledger: Ledger) {
        loop {
            let now = self.upkeep.clock.now();
            let certificate = self.upkeep.served.facts().filter(|facts| facts.origin == Origin::Acme);
            self.fall_back_if_needed(certificate.as_ref(), now).await;
            let due = ledger.due(certificate.as_ref(), now);
            self.upkeep.served.publish(|status| status.next_attempt = Some(due));
            if now < due {
                // Wakes at the end of the certificate, too; a second at least, should the fallback fail then.
                let end = certificate.map_or(due, |certificate| certificate.not_after.plus(SECOND));
                let nap = due.min(end).since(now).clamp(SECOND, GLANCE);
                if !self.upkeep.pause(nap).await {
                    continue;
                }
            }
            let outcome = self.attempt().await;
            // Asked for during the attempt: this was it.
            let _ = self.upkeep.nudge.notified().now_or_never();
            let now = self.upkeep.clock.now();
            let rate_limited = matches!(&outcome, Err(reason) if reason.contains("acme:error:rateLimited"));
            ledger = ledger.after(outcome.is_ok(), rate_limited, now);
            self.remember(ledger).await;
            self.upkeep.served.publish(|status| {
                status.last_attempt = Some(now);
                status.last_error = outcome.as_ref().err().cloned();
            });
            if let Err(reason) = outcome {
                let minutes = ledger.pause().as_secs() / 60;
                tracing::error!(%reason, names = ?self.plan.names, failures = ledger.failures,
                    "no certificate from the ACME directory; the present one is still served, next try in {minutes} min");
            }
        }
    }

    /// Without a valid ACME certificate the internal leaf is served, and renewed like any.
    async fn fall_back_if_needed(&self, certificate: Option<&Certificate>, now: Timestamp) {
        match certificate {
            Some(certificate) if !certificate.expired(now) => return,
            Some(_) => tracing::error!("the ACME certificate has expired; serving the internal authority's"),
            None => {}
        }
        if let Err(error) = self.fallback.serve(false).await {
            tracing::error!(%error, "cannot serve the internal certificate; the last one is still served");
        }
    }

    /// One order, from the account to the served certificate.
    async fn attempt(&self) -> Result<(), String> {
        let store =
            Arc::new(Shelf { upkeep: self.upkeep.clone(), plan: Arc::clone(&self.plan), issued: Mutex::default() });
        let state = AcmeConfig::new_with_client_config(&self.plan.names, Arc::clone(&self.plan.client))
            .directory(&self.plan.directory)
            .contact(&self.plan.contacts)
            .cache(Shelved(Arc::clone(&store)))
            .state();
        self.upkeep.served.set_challenge(Some(state.challenge_rustls_config_with_provider(provider())));
        tracing::info!(names = ?self.plan.names, directory = %self.plan.directory, "ordering a certificate");
        // A task of its own contains a panic; the set aborts it if we are dropped.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(tokio::time::timeout(ATTEMPT_LIMIT, drive(state)));
        let outcome = match task.join_next().await {
            Some(Ok(Ok(outcome))) => outcome,
            Some(Ok(Err(_))) => Err(format!("the order was not done after {} min", ATTEMPT_LIMIT.as_secs() / 60)),
            Some(Err(error)) => Err(format!("the order broke off: {error}")),
            None => Err("the order was not begun".to_owned()),
        };
        self.upkeep.served.set_challenge(None);

        let issued = store.issued.lock().take();
        let Some(pem) = issued else { return outcome.and(Err("the directory issued nothing".to_owned())) };
        // Issued but not stored (the outcome says so) is still better served than thrown away.
        let now = self.upkeep.clock.now();
        let identity = Identity::from_pem(&pem, &pem, Origin::Acme, now).map_err(|error| error.to_string())?;
        self.upkeep.served.swap(identity).map_err(|error| error.to_string())?;
        outcome
    }

    async fn remember(&self, ledger: Ledger) {
        let name = self.plan.ledger();
        let put = self.upkeep.with_vault(move |vault| match minicbor::to_vec(ledger) {
            Ok(bytes) => vault.put(&name, &bytes),
            Err(error) => Err(VaultError::new(error)),
        });
        if let Err(error) | Ok(Err(error)) = put.await {
            tracing::warn!(%error, "the count of ACME attempts is not kept over a restart");
        }
    }
}

/// Polls one order to its end: stored, or failed for a reason.
async fn drive(mut state: AcmeState<VaultError, VaultError>) -> Result<(), String> {
    let mut refused_nonces = 0;
    while let Some(event) = state.next().await {
        match event {
            Ok(EventOk::CertCacheStore) => return Ok(()),
            Ok(EventOk::AccountCacheStore | EventOk::DeployedNewCert | EventOk::DeployedCachedCert) => {}
            Err(error) => {
                let reason = reason(&error);
                if reason.contains("acme:error:badNonce") && refused_nonces < NONCE_RETRIES {
                    refused_nonces += 1;
                    continue;
                }
                return Err(reason);
            }
        }
    }
    Err("the order ended without a result".to_owned())
}

/// The error in words an administrator can act on; the directory's own where it gave some.
fn reason(error: &EventError<VaultError, VaultError>) -> String {
    let said = |problem: &Option<Problem>| problem.as_ref().and_then(|problem| problem.detail.clone());
    match error {
        EventError::Order(OrderError::BadAuth(Auth { identifier, challenges, .. })) => {
            let rustls_acme::acme::Identifier::Dns(name) = identifier;
            let detail = challenges.iter().find_map(|challenge| said(&challenge.error));
            format!(
                "the directory could not verify {name}: {}",
                detail.as_deref().unwrap_or("it gave no reason; is port 443 of that name this machine?")
            )
        }
        EventError::Order(OrderError::BadOrder(order)) => {
            format!("the directory refused the order: {}", said(&order.error).as_deref().unwrap_or("it gave no reason"))
        }
        other => other.to_string(),
    }
}

/// rustls-acme's storage over the vault. It never gives back a certificate, so that every state orders one.
struct Shelf {
    upkeep: Upkeep,
    plan: Arc<Plan>,
    issued: Mutex<Option<Zeroizing<Vec<u8>>>>,
}

/// The shelf as rustls-acme takes it, by value.
struct Shelved(Arc<Shelf>);

#[async_trait]
impl CertCache for Shelved {
    type EC = VaultError;

    async fn load_cert(&self, _names: &[String], _directory: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(None)
    }

    async fn store_cert(&self, _names: &[String], _directory: &str, pem: &[u8]) -> Result<(), VaultError> {
        let (name, pem) = (self.0.plan.certificate(), Zeroizing::new(pem.to_vec()));
        *self.0.issued.lock() = Some(pem.clone());
        self.0.upkeep.with_vault(move |vault: &dyn Vault| vault.put(&name, &pem)).await?
    }
}

#[async_trait]
impl AccountCache for Shelved {
    type EA = VaultError;

    async fn load_account(&self, _contacts: &[String], _directory: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let name = self.0.plan.account();
        self.0.upkeep.with_vault(move |vault| vault.get(&name)).await?
    }

    async fn store_account(&self, _contacts: &[String], _directory: &str, key: &[u8]) -> Result<(), VaultError> {
        let (name, key) = (self.0.plan.account(), Zeroizing::new(key.to_vec()));
        self.0.upkeep.with_vault(move |vault| vault.put(&name, &key)).await?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Certificate, Ledger, Origin};
    use crate::clock::Timestamp;

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn the_pause_doubles_from_a_minute_to_an_hour() {
        let mut ledger = Ledger::default();
        let pauses: Vec<u64> = std::iter::repeat_with(|| {
            ledger = ledger.after(false, false, NOW);
            ledger.pause().as_secs() / 60
        })
        .take(9)
        .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(ledger.after(true, false, NOW).pause(), Duration::ZERO);
        assert_eq!(Ledger::default().after(false, true, NOW).pause(), MINUTE * 60);
    }

    #[test]
    fn an_order_is_due_at_two_thirds_of_life_and_after_the_pause() {
        let certificate = Certificate {
            origin: Origin::Acme,
            issuer: String::new(),
            names: vec![],
            not_before: NOW,
            not_after: NOW.plus(MINUTE * 90),
            publicly_trusted: false,
        };
        let fresh = Ledger::default();
        assert!(fresh.due(None, NOW) <= NOW);
        assert_eq!(fresh.due(Some(&certificate), NOW), NOW.plus(MINUTE * 60));
        let failed = fresh.after(false, false, NOW.plus(MINUTE * 70));
        assert_eq!(failed.due(Some(&certificate), NOW.plus(MINUTE * 70)), NOW.plus(MINUTE * 71));
        // The clock was an hour ahead when it failed, and is set right.
        assert_eq!(failed.due(None, NOW), NOW.plus(MINUTE));
    }
}
