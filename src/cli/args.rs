//! What can be typed.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, builder::PossibleValuesParser};

use crate::config::{
    Flags,
    settings::{self, Kind, Setting},
};

/// Boards for several organizations on one machine, with everything at rest encrypted.
///
/// Without a command, `serve`. Every command is also a flag of the same name: `workrun --init` is `workrun init`.
#[derive(Debug, Parser)]
#[command(name = "workrun", version, arg_required_else_help = false, disable_help_subcommand = true)]
pub(super) struct Cli {
    /// Print one JSON document and nothing else on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// The folder that holds everything the appliance keeps
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the appliance (the default)
    Serve(Serve),
    /// Make data folder, root key, keyring and recovery key
    Init {
        /// Write the recovery key to a new file instead of showing it
        #[arg(long, value_name = "FILE")]
        recovery_key_out: Option<PathBuf>,
    },
    /// Print a one-time sign-in link
    SignInLink {
        /// Whom it signs in: a mail address
        mail: String,
        /// Make the account an operator's
        #[arg(long)]
        operator: bool,
    },
    /// Create or list organizations
    Org {
        #[command(subcommand)]
        command: OrgCommand,
    },
    /// Create tokens for the JSON API
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Take a snapshot now
    Snapshot {
        /// Keep it until it is unpinned
        #[arg(long)]
        pin: bool,
    },
    /// List the generations kept, newest first
    Snapshots {
        /// Those of the off-site copy
        #[arg(long)]
        offsite: bool,
    },
    /// Read everything back, and name what is damaged
    Verify {
        /// A generation, `latest`, `all`, or `store` for the live data
        #[arg(default_value = "latest")]
        what: String,
        /// Of the off-site copy
        #[arg(long)]
        offsite: bool,
    },
    /// Put everything, or one organization, back from a generation
    Restore(Restore),
    /// Restore the newest generation into a scratch folder, check it, and say how long it took
    Rehearse {
        /// Open it with the recovery key in this file, which proves that key
        #[arg(long, value_name = "FILE")]
        recovery_key_file: Option<PathBuf>,
    },
    /// Say how the appliance is
    Status,
    /// List and rotate the keys, or make a new recovery key
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Restore {
    /// A generation, `latest`, or the folder of a generation
    #[arg(value_name = "GENERATION|latest|DIR")]
    pub from: String,
    /// Fetch it from the off-site copy
    #[arg(long)]
    pub offsite: bool,
    /// Only this organization, into the data that is there
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,
    /// Open it with the recovery key in this file
    #[arg(long, value_name = "FILE")]
    pub recovery_key_file: Option<PathBuf>,
    /// Say what would be gained and lost, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Let restored API tokens open what they opened
    #[arg(long)]
    pub keep_tokens: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address and port to serve on; may be given several times
    #[arg(long, value_name = "ADDR", action = ArgAction::Append)]
    listen: Vec<String>,
    /// The address that people type
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// How connections are encrypted; `off` on loopback addresses only
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(words(&settings::TLS)))]
    tls: Option<String>,
    /// Serve a sample organization from a throw-away folder
    #[arg(long)]
    pub demo: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum OrgCommand {
    /// Create an organization
    Create {
        /// Its name
        #[arg(long)]
        name: String,
        /// Mail address of its owner
        #[arg(long, value_name = "MAIL")]
        owner: String,
    },
    /// List the organizations
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token
    Create {
        /// The organization's id
        #[arg(long)]
        org: String,
        /// What the token may do
        #[arg(long, value_parser = PossibleValuesParser::new(["owner", "admin", "member", "guest"]))]
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List ids and ages of keys, never keys
    List,
    /// Make new data keys and seal the stores under them, while the appliance serves
    Rotate {
        /// Only this organization's store
        #[arg(long, value_name = "ORG", conflicts_with = "root")]
        org: Option<String>,
        /// Instead, make a new root key and seal the keyring to it
        #[arg(long)]
        root: bool,
        /// Write the new root key to this new file; needed where the present one does not come from a file
        #[arg(long, value_name = "FILE", requires = "root")]
        root_key_out: Option<PathBuf>,
    },
    /// Make a new recovery key in the old one's place, shown on a terminal only
    Recovery {
        /// Write it to a new file instead
        #[arg(long, value_name = "FILE", alias = "recovery-key-out")]
        out: Option<PathBuf>,
        /// Make none: ask for the present one, and say whether your copy is right
        #[arg(long, conflicts_with = "out")]
        test: bool,
    },
}

impl Cli {
    /// What was said about settings.
    pub fn flags(&self) -> Flags {
        let mut values = Vec::new();
        let mut take = |setting: &'static Setting, texts: &[String]| {
            if !texts.is_empty() {
                values.push((setting, texts.to_vec()));
            }
        };
        take(&settings::DATA_DIR, self.data_dir.as_slice());
        if let Command::Serve(serve) = &self.command {
            take(&settings::LISTEN, &serve.listen);
            take(&settings::PUBLIC_URL, serve.public_url.as_slice());
            take(&settings::TLS, serve.tls.as_slice());
        }
        Flags { config: self.config.clone(), values }
    }
}

fn words(setting: &Setting) -> &'static [&'static str] {
    match setting.kind {
        Kind::Choice(words) => words,
        _ => &[],
    }
}

/// The arguments in the one form that the parser knows: a command written as a flag becomes the command, and no command
/// becomes `serve`.
pub(super) fn normalised(args: &[OsString]) -> Vec<OsString> {
    let program = Cli::command();
    let mut args = args.to_vec();
    if args.is_empty() {
        args.push("workrun".into());
    }
    match command_written(&program, &args) {
        Written::AsFlag { at, words, command } => {
            args.drain(at..at + words);
            args.splice(1..1, command.into_iter().map(OsString::from));
        }
        Written::Not => args.insert(1, "serve".into()),
        Written::AsWord => {}
    }
    args
}

enum Written {
    /// In so many words, such as `--org create`; and as the command would be: `org create`.
    AsFlag { at: usize, words: usize, command: Vec<String> },
    /// Where the parser expects it, or in a way that it shall complain of.
    AsWord,
    /// Not at all.
    Not,
}

fn command_written(program: &clap::Command, args: &[OsString]) -> Written {
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        let text = arg.to_str().unwrap_or_default();
        if matches!(text, "--help" | "-h" | "--version" | "-V") {
            return Written::AsWord;
        }
        let Some(flag) = text.strip_prefix("--").filter(|flag| !flag.is_empty()) else { return Written::AsWord };
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        if let Some(command) = program.find_subcommand(name) {
            let words = if value.is_none() && command.has_subcommands() { 2 } else { 1 };
            let next = value.clone().or_else(|| args.get(at + 1)?.to_str().map(str::to_owned));
            // `--org ORG` is also an option of other commands: it is a command only before one of its verbs.
            let verb = next.filter(|verb| command.find_subcommand(verb).is_some());
            if verb.is_some() || !command.has_subcommands() {
                let command = [Some(name.to_owned()), verb.or(value)].into_iter().flatten().collect();
                return Written::AsFlag { at, words, command };
            }
        }
        at += if value.is_none() && takes_value(program, name) { 2 } else { 1 };
    }
    Written::Not
}

/// Whether an option of that name, of whichever command, is followed by its value.
fn takes_value(program: &clap::Command, name: &str) -> bool {
    program.get_arguments().any(|arg| {
        let names = arg.get_long_and_visible_aliases().unwrap_or_default();
        names.contains(&name) && arg.get_action().takes_values()
    }) || program.get_subcommands().any(|command| takes_value(command, name))
}
