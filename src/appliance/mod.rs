//! The appliance: builds the parts, runs them, shuts them down in order.
//!
//! [`foundation`] is what must stand before anything is served: data folder, lock, keys, stores. [`serve`] puts the rest
//! on it. [`commands`] answers the command line, whether it asks a running appliance or opens the folder itself.

mod commands;
mod demo;
mod foundation;
mod janitor;
mod offsite;
mod restoring;
mod rotation;
mod serve;
mod shapes;
mod snapshots;
mod vault;

use std::{pin::pin, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    backup::Progress,
    cli::{Engine, Initialised, Output, RestoreWish},
    clock::Clock,
    config::Config,
    control::{Failure, Handler as _, Request, Response},
};

use self::{commands::Commands, foundation::Foundation};

/// How often somebody who waits is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Waits for work, and tells how far it is meanwhile.
async fn watched<T>(
    work: impl Future<Output = T>,
    progress: impl Fn() -> Option<Value>,
    on_progress: &mut dyn FnMut(&Value),
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PROGRESS_EVERY) => if let Some(progress) = progress() {
                on_progress(&progress);
            },
        }
    }
}

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

    async fn offline(&self, config: Config, request: Request, on_progress: &mut dyn FnMut(&Value)) -> Response {
        let foundation = Foundation::open(&config)?;
        let commands = Commands::offline(&config, &foundation);
        let response = watched(commands.handle(request), || commands.progress(), on_progress).await;
        foundation.close();
        response
    }

    async fn restore(&self, config: Config, wish: RestoreWish, on_progress: &mut dyn FnMut(&Value)) -> Response {
        let progress = Arc::new(Progress::default());
        let restored = restoring::everything(&config, &wish, Arc::clone(&progress));
        watched(restored, || progress.document(), on_progress).await
    }
}
