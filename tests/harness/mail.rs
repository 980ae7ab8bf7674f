//! A real mail server, and the letters that it took.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::until;

/// A running `smtp_server.py`, which ends with its standard input.
pub struct Mailbox {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Mailbox {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python =
            env::var_os("WORKRUN_TEST_PYTHON").map_or_else(|| root.join("tests/.venv/bin/python"), PathBuf::from);
        assert!(python.exists(), "{} is not there: `tests/run` makes it", python.display());
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(python);
        command.arg(root.join("tests/harness/smtp_server.py")).arg("--store").arg(folder.path().join("mail.jsonl"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a mail server");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line of it");
        let started: Value = serde_json::from_str(&line).expect("it says its port");
        let port = started["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        Self { folder, process, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every letter so far, oldest first.
    pub fn letters(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("mail.jsonl")).unwrap_or_default();
        // The last line may be in the middle of being written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Letters to an address in any case, oldest first.
    pub fn to(&self, mail: &str) -> Vec<Value> {
        self.letters()
            .into_iter()
            .filter(|letter| {
                letter["to"]
                    .as_array()
                    .is_some_and(|to| to.iter().filter_map(Value::as_str).any(|one| one.eq_ignore_ascii_case(mail)))
            })
            .collect()
    }

    /// The newest letter to an address with a text in it, as soon as there is one.
    #[track_caller]
    pub fn newest(&self, mail: &str, part: &str) -> Value {
        until(&format!("a letter to {mail} with {part}"), || {
            self.to(mail).into_iter().rfind(|letter| letter["body"].as_str().is_some_and(|body| body.contains(part)))
        })
    }

    /// The `count`th letter to an address with a text in it, as soon as it is there.
    #[track_caller]
    pub fn nth_with(&self, mail: &str, part: &str, count: usize) -> Value {
        let has_part = |letter: &Value| letter["body"].as_str().is_some_and(|body| body.contains(part));
        until(&format!("letter {count} to {mail} with {part}"), || {
            self.to(mail).into_iter().filter(has_part).nth(count)
        })
    }

    /// The `count`th letter to an address, as soon as it is there.
    #[track_caller]
    pub fn nth(&self, mail: &str, count: usize) -> Value {
        until(&format!("letter {count} to {mail}"), || self.to(mail).get(count).cloned())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
