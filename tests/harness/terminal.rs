//! The program on a terminal of its own, as somebody at a keyboard meets it.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::{Browser, Endpoint, until};

/// A running program on a pseudo-terminal, which `script` makes; ended with the value.
pub struct Terminal {
    process: Child,
    seen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts the program in a folder, which is its home, its working folder and that for temporary files.
    pub fn start(folder: &Path, arguments: &str) -> Self {
        fs::write(folder.join("config.toml"), "").expect("an empty configuration");
        let mut command = Command::new("script");
        let program = format!("exec {} {arguments}", env!("CARGO_BIN_EXE_workrun"));
        command.args(["-q", "-e", "-f", "-c", &program, "/dev/null"]).current_dir(folder);
        command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TERM", "dumb")]);
        command.env("HOME", folder).env("TMPDIR", folder).env("WORKRUN_CONFIG", folder.join("config.toml"));
        command.env("WORKRUN_ROOT_KEY_FILE", folder.join("root.key"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("`script`, which every Debian has");
        let (mut screen, seen) = (process.stdout.take().expect("its output"), Arc::new(Mutex::new(String::new())));
        let keep = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                keep.lock().expect("nobody panics").push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { process, seen }
    }

    /// What stands on the screen once it holds a text and the line after it has begun.
    #[track_caller]
    pub fn until(&self, wanted: &str) -> String {
        until(&format!("{wanted:?} on the screen"), || {
            let text = self.seen.lock().expect("nobody panics").clone();
            let whole = text.split_once(wanted).is_some_and(|(_, rest)| rest.contains('\n'));
            whole.then_some(text)
        })
    }

    /// Types a line.
    #[track_caller]
    pub fn type_line(&mut self, text: &str) {
        let keyboard = self.process.stdin.as_mut().expect("its input");
        keyboard.write_all(format!("{text}\n").as_bytes()).and_then(|()| keyboard.flush()).expect("a line");
    }

    /// Types Ctrl-C and waits for a clean end.
    #[track_caller]
    pub fn interrupt(mut self) {
        let mut keyboard = self.process.stdin.take().expect("its input");
        keyboard.write_all(b"\x03").and_then(|()| keyboard.flush()).expect("a key");
        let ended = until("it to stop at Ctrl-C", || self.process.try_wait().expect("its state"));
        assert!(ended.success(), "{ended}: {}", self.seen.lock().expect("nobody panics"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Without its terminal the program is hung up on.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser at the sign-in link that stands on a screen, and the link's secret.
#[track_caller]
pub fn browser_at_link(screen: &str) -> (Browser, String) {
    let link = screen.split_whitespace().find(|word| word.contains("/sign-in/link?t=")).expect("a link");
    let (origin, path) = link.split_at(link.find("/sign-in").expect("a path"));
    let at = origin.replace("http://localhost", "127.0.0.1").parse().expect("an address");
    let secret = path.split_once("t=").expect("a secret").1.to_owned();
    (Browser::new(Endpoint { at, origin: origin.to_owned(), root: None }), secret)
}
