//! What every handler is handed: the parts of the running appliance.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::rates::Rates;
use crate::{
    backup::Keeper,
    clock::{Clock, Timestamp},
    hooks::target::Targets,
    mail::courier::Postbox,
    store::Stores,
    tls,
    trail::Trail,
};

/// The parts of the appliance that answers to requests need.
pub struct App {
    pub clock: Clock,
    pub stores: Arc<Stores>,
    pub postbox: Arc<Postbox>,
    pub trail: Arc<Trail>,
    /// Keeps the snapshots.
    pub keeper: Arc<Keeper>,
    pub tls: tls::Handle,
    /// The address that people type, without a slash at its end.
    pub public_url: String,
    /// The zone in which pages show times.
    pub zone: TimeZone,
    /// Whether a mail server is configured.
    pub mail_works: bool,
    /// Which history the event numbers count in: another after everything was restored.
    pub epoch: String,
    pub started_at: Timestamp,
    /// The largest webhook body that is taken, in bytes.
    pub webhook_body_max: usize,
    /// Endpoints that deliveries came to lately.
    pub targets: Targets,
    /// How often organizations' senders came lately.
    pub rates: Rates,
    /// Live streams that are open.
    pub streams: Arc<super::live::Streams>,
    /// Becomes true when the appliance stops: live streams end then.
    pub stopping: tokio::sync::watch::Receiver<bool>,
}

impl App {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The host of the public address, for the foot of pages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.public_url.split_once("://").map_or(self.public_url.as_str(), |(_, host)| host)
    }
}
