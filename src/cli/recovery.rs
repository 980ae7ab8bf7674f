//! Where a new recovery key goes: to the operator's eyes or into a new file, and never into a log.
//!
//! The place is made sure of before the key exists, since a key that is made and then lost would have replaced a good
//! one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use zeroize::Zeroizing;

use super::keyboard;
use crate::{control::Failure, seal::RecoveryKey};

/// Where the key goes.
pub(super) enum Destination {
    /// A file that was made for it, mode 0600.
    File { file: File, path: PathBuf },
    /// The terminal on standard output.
    Screen,
    /// There is neither.
    Nowhere,
}

impl Destination {
    /// The named file, which must be new, or the terminal if there is one.
    pub fn open(out: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = out else {
            return Ok(if io::stdout().is_terminal() { Self::Screen } else { Self::Nowhere });
        };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => Ok(Self::File { file, path: path.to_owned() }),
            Err(error) => {
                let message = format!("cannot make the file {} for the recovery key: {error}", path.display());
                Err(Failure::new(message).kept("nothing was changed").hint("name a new file in a folder that exists"))
            }
        }
    }

    pub fn is_somewhere(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }

    pub fn is_screen(&self) -> bool {
        matches!(self, Self::Screen)
    }

    /// There will be no key: an empty file made for it is removed.
    pub fn abandon(self) {
        if let Self::File { path, .. } = self {
            let _ = fs::remove_file(path);
        }
    }

    /// Puts the key there, says so for people, and notes in the document what a program needs to know.
    pub fn deliver(self, key: &Zeroizing<String>, document: &mut Value) -> Result<String, Failure> {
        match self {
            Self::File { mut file, path } => {
                // A line of comment and one of key is what the age tool reads as an identity file.
                let text = Zeroizing::new(format!("# Workrun recovery key\n{}\n", key.as_str()));
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
                    Failure::new(format!("the recovery key cannot be written to {}: {error}", path.display()))
                        .kept("the appliance works, and its data is safe")
                        .hint("make room, then run `workrun keys recovery`")
                })?;
                document["recovery_key_file"] = path.display().to_string().into();
                Ok(format!("The recovery key is in {}. Move it off this machine.\n", path.display()))
            }
            Self::Screen => {
                document["recovery_key"] = key.as_str().into();
                Ok(shown(key))
            }
            Self::Nowhere => {
                Ok("This is no terminal, so no recovery key is shown. Run `workrun keys recovery` on one.\n".to_owned())
            }
        }
    }
}

/// Shows a recovery key on standard output if that is a terminal, and says whether it did.
#[must_use]
pub fn show_recovery_key(key: &Zeroizing<String>) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.is_terminal() && stdout.write_all(shown(key).as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// What a typed key comes to.
fn judged(typed: &str, recipient: &str) -> Result<(), &'static str> {
    match RecoveryKey::from_text(&Zeroizing::new(typed.trim().to_uppercase())) {
        Ok(key) if key.recipient() == recipient => Ok(()),
        Ok(_) => Err("it is a recovery key, but not this appliance's"),
        // The text carries a checksum, so a slip of the pen is told from another key.
        Err(_) => Err("it is no recovery key: a character is missing, too many or another"),
    }
}

/// Offers to type the key back, right after it was shown.
pub(super) fn offer_test(recipient: &str) {
    if !keyboard::somebody() {
        return;
    }
    loop {
        let line = keyboard::ask_for_line("Type it back to test your copy, or press Enter to leave it: ");
        match line.as_deref().map(|line| line.trim()) {
            None | Some("") => {
                eprintln!("Not tested. `workrun keys recovery --test` does so at any time.");
                return;
            }
            Some(typed) => match judged(typed, recipient) {
                Ok(()) => {
                    eprintln!("That is it: your copy is right.");
                    return;
                }
                Err(why) => eprintln!("No: {why}. Compare it with the line above."),
            },
        }
    }
}

/// Asks for the key, without showing it, and compares it.
pub(super) fn test(recipient: &str) -> Result<(), Failure> {
    let whole = || Failure::new("the recovery key is typed on a terminal, and this is none");
    if !keyboard::somebody() {
        return Err(whole().hint("`workrun rehearse --recovery-key-file FILE` tests one that is in a file"));
    }
    let typed = keyboard::ask_for_secret("Recovery key (AGE-SECRET-KEY-1…): ").ok_or_else(whole)?;
    judged(&typed, recipient).map_err(|why| {
        Failure::new(format!("this copy of the recovery key is not right: {why}"))
            .kept("nothing was changed")
            .hint("if no copy is right, `workrun keys recovery` makes another key in its place")
    })
}

fn shown(key: &str) -> String {
    format!(
        "Recovery key, shown this once. With it and a snapshot everything can be restored; without it and the root key \
         nothing can.\nKeep it away from this machine:\n\n    {key}\n\n"
    )
}
