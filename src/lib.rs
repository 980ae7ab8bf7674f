//! Workrun: boards for several organizations, served by one process from one sealed file an organization.
//!
//! A request enters by [`web`], becomes a command, is decided by a domain room ([`people`], [`work`], [`hooks`])
//! as events, and is applied to the [`store`] in one transaction. No domain room knows HTTP; no room but `store`
//! knows redb; no room but `seal` knows a cipher. `tests/layers.rs` holds these walls. `docs/architecture.md`
//! walks through one sign-in, one card and one webhook. Rooms stand in reading order.

pub mod appliance;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod hooks;
pub mod ids;
pub mod limits;
pub mod logging;
pub mod mail;
pub mod people;
pub mod seal;
pub mod store;
pub mod systemd;
pub mod text;
pub mod tls;
pub mod trail;
pub mod web;
pub mod work;

/// The program: arguments in, exit code out. It stands here and not in `main.rs`, so that what is generic over the engine is
/// compiled once, beside the rest.
#[must_use]
pub fn run() -> std::process::ExitCode {
    cli::run(std::env::args_os(), &appliance::Appliance)
}
