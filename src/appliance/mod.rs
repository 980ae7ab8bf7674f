//! The appliance: builds the parts, runs them, shuts them down in order.
//!
//! [`foundation`] is what must stand before anything is served: data folder, lock, keys, stores. [`serve`] puts the rest
//! on it. [`commands`] answers the command line, whether it asks a running appliance or opens the folder itself.

mod commands;
mod demo;
mod foundation;
mod janitor;
mod rotation;
mod serve;
mod vault;

use crate::{
    cli::{Engine, Initialised, Output},
    clock::Clock,
    config::Config,
    control::{Failure, Handler as _, Request, Response},
};

use self::{commands::Commands, foundation::Foundation};

/// Does what the command line asks, on the real machine.
#[derive(Debug, Default)]
pub struct Appliance;

impl Engine for Appliance {
    async fn serve(&self, config: Config, demo: bool, output: Output) -> Result<(), Failure> {
        if demo { demo::serve(config, output).await } else { serve::serve(config, Clock::System, output).await }
    }

    async fn init(&self, config: Config, recovery_key_taken: bool) -> Result<Initialised, Failure> {
        let clock = Clock::System;
        let made = foundation::make(&config, &clock, recovery_key_taken)?;
        made.foundation.close();
        Ok(Initialised { root_key: config.root_key.to_string(), recovery_key: made.recovery_key })
    }

    async fn offline(&self, config: Config, request: Request) -> Response {
        let foundation = Foundation::open(&config)?;
        let commands = Commands::offline(&config, &foundation);
        let response = commands.handle(request).await;
        foundation.close();
        response
    }
}
