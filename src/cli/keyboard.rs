//! Asking somebody at a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Whether there is somebody to ask.
pub(super) fn somebody() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line on standard error.
pub(super) fn ask_for_line(question: &str) -> Option<Zeroizing<String>> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}").and_then(|()| stderr.flush()).ok()?;
    let mut line = Zeroizing::new(String::with_capacity(256));
    io::stdin().lock().read_line(&mut line).ok()?;
    Some(line)
}

/// Asks for a line that the terminal does not show.
pub(super) fn ask_for_secret(question: &str) -> Option<Zeroizing<String>> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).ok()?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
    let line = ask_for_line(question);
    let _ = tcsetattr(&stdin, OptionalActions::Now, &shown);
    let _ = writeln!(io::stderr().lock());
    line
}
