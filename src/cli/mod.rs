//! The command line: arguments in, one answer out, an exit code.
//!
//! A command that needs the appliance's data asks the running appliance through its control socket, and only if none
//! runs has the store opened in this process: both are the same [`Request`], answered by the same handler, so a command
//! cannot behave differently. What the commands do beyond talking stands behind [`Engine`].
//!
//! Exit codes: 0 done, 1 failed, with one line on standard error, 2 wrong usage. With `--json` standard output carries
//! exactly one JSON document, `{"error": …}` if it failed.

mod args;
mod keyboard;
mod output;
mod progress;
mod recovery;
mod restore;

use std::{ffi::OsString, future::Future, path::Path, process::ExitCode, time::Duration};

use clap::Parser as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub use output::Output;
pub use recovery::show_recovery_key;

use self::{
    args::{Cli, Command, KeysCommand, OrgCommand, TokenCommand},
    progress::Bar,
    recovery::Destination,
};
use crate::{
    clock::Clock,
    config::{Config, ConfigError, Surroundings},
    control::{self, ControlError, Failure, Request, Response, SecretText},
    logging,
    seal::RecoveryKey,
};

/// What the commands need done.
pub trait Engine {
    /// Runs the appliance until it is told to stop; with `demo`, on a sample in a throw-away folder.
    fn serve(&self, config: Config, demo: bool, output: Output) -> impl Future<Output = Result<(), Failure>>;

    /// Makes data folder, root key, keyring and recovery key. `recovery_key_taken` says whether the operator gets to
    /// see the recovery key now; if not, the appliance keeps reminding.
    fn init(&self, config: Config, recovery_key_taken: bool) -> impl Future<Output = Result<Initialised, Failure>>;

    /// Answers one request on the data folder of an appliance that does not run; `on_progress` is told how far it is.
    fn offline(
        &self,
        config: Config,
        request: Request,
        on_progress: &mut dyn FnMut(&Value),
    ) -> impl Future<Output = Response>;

    /// Puts everything back from a generation, on the data folder of an appliance that does not run.
    fn restore(
        &self,
        config: Config,
        wish: RestoreWish,
        on_progress: &mut dyn FnMut(&Value),
    ) -> impl Future<Output = Response>;
}

/// What is asked of a restore of everything.
#[derive(Clone, Debug)]
pub struct RestoreWish {
    /// `latest`, a name, or a generation's folder.
    pub from: String,
    /// Whether it is fetched from the off-site copy.
    pub offsite: bool,
    pub recovery_key: Option<SecretText>,
    /// Only say what would change.
    pub dry_run: bool,
    pub keep_tokens: bool,
}

/// What `init` has made.
#[derive(Debug)]
pub struct Initialised {
    /// Where the root key is now, in words or as a path.
    pub root_key: String,
    /// The recovery key: an age identity (`AGE-SECRET-KEY-1…`).
    pub recovery_key: Zeroizing<String>,
}

/// Does what the arguments say, the program's name first among them.
pub fn run(args: impl IntoIterator<Item = OsString>, engine: &impl Engine) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(args::normalised(&args)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version end here too, with 0. A closed stream is nobody to tell.
            let _ = error.print();
            return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    let output = Output { json: cli.json };
    match Surroundings::of_process() {
        Ok(surroundings) => run_in(&cli, &surroundings, output, engine),
        Err(error) => {
            output.fail(&Failure::new(format!("the working folder is gone: {error}")).hint("change to another folder"));
            ExitCode::FAILURE
        }
    }
}

fn run_in(cli: &Cli, surroundings: &Surroundings, output: Output, engine: &impl Engine) -> ExitCode {
    let config = match Config::load(&cli.flags(), surroundings) {
        Ok(config) => config,
        Err(error) => {
            output.fail(&Failure::from(&error));
            return if error.is_usage() { ExitCode::from(2) } else { ExitCode::FAILURE };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output
                .fail(&Failure::new(format!("the system gives no threads: {error}")).hint("check the process limits"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(perform(&cli.command, config, output, engine));
    // What is still on the blocking pool then has nobody waiting for it.
    runtime.shutdown_timeout(Duration::from_secs(10));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.fail(&failure);
            ExitCode::FAILURE
        }
    }
}

async fn perform(command: &Command, config: Config, output: Output, engine: &impl Engine) -> Result<(), Failure> {
    let request = match command {
        Command::Serve(serve) => {
            // Logging is the process's; a second start of it is no reason not to serve.
            let _ = logging::start(&config, Clock::System);
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            return engine.serve(config, serve.demo, output).await;
        }
        Command::Init { recovery_key_out } => {
            return init(config, recovery_key_out.as_deref(), output, engine).await;
        }
        Command::Keys { command: KeysCommand::Recovery { test: true, .. } } => {
            return test_recovery_key(config, output, engine).await;
        }
        Command::Keys { command: KeysCommand::Recovery { out, test: false } } => {
            return renew_recovery_key(config, out.as_deref(), output, engine).await;
        }
        Command::Keys { command: KeysCommand::List } => Request::KeysList,
        Command::Keys { command: KeysCommand::Rotate { root: false, org, .. } } => {
            Request::KeysRotate { org: org.clone() }
        }
        Command::Keys { command: KeysCommand::Rotate { root: true, root_key_out, .. } } => {
            let out = root_key_out.as_deref().map(std::path::absolute).transpose();
            Request::KeysRotateRoot { out: out.map_err(|error| Failure::new(format!("--root-key-out: {error}")))? }
        }
        Command::SignInLink { mail, operator } => Request::SignInLink { mail: mail.clone(), operator: *operator },
        Command::Org { command: OrgCommand::Create { name, owner } } => {
            Request::OrgCreate { name: name.clone(), owner: owner.clone() }
        }
        Command::Org { command: OrgCommand::List } => Request::OrgList,
        Command::Token { command: TokenCommand::Create { org, role } } => {
            Request::TokenCreate { org: org.clone(), role: role.clone() }
        }
        Command::Snapshot { pin } => Request::Snapshot { pin: *pin },
        Command::Snapshots { offsite } => Request::Snapshots { offsite: *offsite },
        Command::Verify { what, offsite } => Request::Verify { what: from_here(what), offsite: *offsite },
        Command::Restore(restore) if restore.org.is_none() => {
            return restore::everything(config, restore, output, engine).await;
        }
        Command::Restore(restore) => Request::RestoreOrganization {
            from: from_here(&restore.from),
            offsite: restore.offsite,
            org: restore.org.clone().unwrap_or_default(),
            keep_tokens: restore.keep_tokens,
            dry_run: restore.dry_run,
        },
        Command::Rehearse { recovery_key_file } => {
            Request::Rehearse { recovery_key: restore::recovery_key(recovery_key_file.as_deref())? }
        }
        Command::Status => Request::Status,
    };
    if let Command::Restore(restore) = command {
        restore::confirm_organization(&config, restore, &request, engine).await?;
    }
    let answer = ask(config, &request, engine).await?;
    output.print(|| output::human(&request, &answer), &answer);
    Ok(())
}

/// A folder that is named relative to this one, for an appliance that runs in another.
fn from_here(text: &str) -> String {
    let path = Path::new(text);
    if path.components().count() > 1 && path.is_dir() {
        return std::path::absolute(path).map_or_else(|_| text.to_owned(), |path| path.display().to_string());
    }
    text.to_owned()
}

/// The running appliance's answer, or this process's own.
async fn ask(config: Config, request: &Request, engine: &impl Engine) -> Response {
    let mut bar = Bar::default();
    match control::ask(&config.data_dir, request, |progress| bar.show(progress)).await {
        Ok(Some(response)) => response,
        Ok(None) => engine.offline(config, request.clone(), &mut |progress| bar.show(progress)).await,
        Err(error) => Err(Failure::from(&error)),
    }
}

async fn init(config: Config, out: Option<&Path>, output: Output, engine: &impl Engine) -> Result<(), Failure> {
    let destination = Destination::open(out)?;
    let data_dir = config.data_dir.display().to_string();
    let made = match engine.init(config, destination.is_somewhere()).await {
        Ok(made) => made,
        Err(failure) => {
            destination.abandon();
            return Err(failure);
        }
    };
    let mut document = json!({ "data_dir": data_dir, "root_key": made.root_key });
    let on_screen = destination.is_screen();
    let shown = destination.deliver(&made.recovery_key, &mut document)?;
    output.print(|| format!("Made {data_dir}.\nThe root key is in {}.\n{shown}", made.root_key), &document);
    if on_screen
        && !output.json
        && let Ok(key) = RecoveryKey::from_text(&made.recovery_key)
    {
        recovery::offer_test(&key.recipient());
    }
    Ok(())
}

async fn renew_recovery_key(
    config: Config,
    out: Option<&Path>,
    output: Output,
    engine: &impl Engine,
) -> Result<(), Failure> {
    let destination = Destination::open(out)?;
    if !destination.is_somewhere() {
        return Err(Failure::new("a recovery key is shown on a terminal only, and this is none")
            .kept("the present recovery key stays valid")
            .hint("run it on a terminal, or name a new file with --out"));
    }
    // Made here and never told to the appliance: a process that runs for months has no need to see it.
    let key = RecoveryKey::generate();
    let request = Request::KeysRecovery { recipient: key.recipient() };
    let mut document = match ask(config, &request, engine).await {
        Ok(document) => document,
        Err(failure) => {
            destination.abandon();
            return Err(failure);
        }
    };
    let on_screen = destination.is_screen();
    let shown = destination.deliver(&key.secret(), &mut document)?;
    output.print(|| format!("{shown}The recovery key before it opens no keyring written from now on."), &document);
    if on_screen && !output.json {
        recovery::offer_test(&key.recipient());
    }
    Ok(())
}

/// Compares a recovery key that somebody types with the one that the keyring is sealed to.
async fn test_recovery_key(config: Config, output: Output, engine: &impl Engine) -> Result<(), Failure> {
    let keys = ask(config, &Request::KeysList, engine).await?;
    let recipient = keys["recovery_recipient"].as_str().ok_or_else(|| {
        Failure::new("the keyring is sealed to no recovery key yet").hint("run `workrun keys recovery` on a terminal")
    })?;
    recovery::test(recipient)?;
    output.print(|| "It is the recovery key of this appliance.".to_owned(), &json!({ "recipient": recipient }));
    Ok(())
}

impl From<&ConfigError> for Failure {
    fn from(error: &ConfigError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

impl From<&ControlError> for Failure {
    fn from(error: &ControlError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

#[cfg(test)]
mod tests;
