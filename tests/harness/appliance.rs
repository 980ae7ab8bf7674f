//! The process: its folder, its life, its command line.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, Api, Browser, Connection, Endpoint, Mailbox, html::ids_after, until};

/// Whether the long tests were asked for (`tests/run --long`).
pub fn is_long() -> bool {
    env::var_os("WORKRUN_TEST_LONG").is_some_and(|value| value != "0" && !value.is_empty())
}

/// Whether this machine lets a test mount a disk of its own.
pub fn gives_disks() -> bool {
    let mount = "mount -t tmpfs -o size=1m none /tmp";
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", mount]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Whether this machine lets a test follow the calls of a process that hides its memory.
pub fn gives_traces() -> bool {
    let tried = Command::new("strace").args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).output();
    tried.is_ok_and(|output| output.status.success()) && rustix::process::geteuid().is_root()
}

/// An hour of the day that is half a day away, in the appliance's own zone.
#[expect(clippy::disallowed_methods, reason = "the real clock is what the appliance goes by")]
fn far_from_now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let hour = (now / 3600 + 9 + 12) % 24;
    format!("{hour:02}:10-{hour:02}:50")
}

/// How an appliance is to be started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// `--tls`; `off` if not given.
    pub tls: Option<&'static str>,
    /// Whether there is a mail server.
    pub mail: bool,
    /// Size of a disk of its own for the stores, such as `8m`; none for the disk of the machine. It takes a machine that
    /// gives user namespaces.
    pub disk: Option<&'static str>,
    /// The calls whose log is kept by `strace`, comma-separated; none for no log.
    pub traced: Option<&'static str>,
    /// Settings as variables of the environment.
    pub settings: Vec<(String, String)>,
}

/// A running appliance with a data folder of its own, which goes with it.
pub struct Appliance {
    folder: TempDir,
    setup: Setup,
    mailbox: Option<Mailbox>,
    process: Option<Child>,
    endpoint: Endpoint,
}

/// Syncs fail while it lives.
pub struct BrokenSyncs(Child);

impl Drop for BrokenSyncs {
    fn drop(&mut self) {
        // Asked to end, it lets go of the process first.
        let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
        let _ = self.0.wait();
    }
}

impl Appliance {
    /// Over plain HTTP on loopback, without mail.
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// Over plain HTTP, with a mail server.
    pub fn with_mail() -> Self {
        Self::with(Setup { mail: true, ..Setup::default() })
    }

    pub fn with(setup: Setup) -> Self {
        Self::of_folder(setup, |_, _| {})
    }

    /// On a data folder and with a root key that `furnish` puts in their places.
    pub fn of_folder(setup: Setup, furnish: impl FnOnce(&Path, &Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("workrun-").tempdir().expect("a folder");
        fs::write(folder.path().join("config.toml"), "").expect("an empty configuration");
        let mailbox = setup.mail.then(Mailbox::start);
        let nowhere = Endpoint { at: SocketAddr::from(([127, 0, 0, 1], 0)), origin: String::new(), root: None };
        let mut appliance = Self { folder, setup, mailbox, process: None, endpoint: nowhere };
        furnish(&appliance.data(), &appliance.root_key());
        appliance.begin();
        appliance
    }

    /// Everything that the appliance keeps.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it said on standard error, all starts together.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The log of its calls.
    pub fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    /// The root key's file.
    pub fn root_key(&self) -> PathBuf {
        self.folder.path().join("root.key")
    }

    /// What it said on standard output.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox.as_ref().expect("an appliance with mail")
    }

    /// A command with the environment of the appliance and nothing else of this process's.
    fn program(&self) -> Command {
        self.run(env!("CARGO_BIN_EXE_workrun"))
    }

    fn run(&self, program: &str) -> Command {
        let root = self.folder.path();
        let mut command = Command::new(program);
        command.env_clear().current_dir(root);
        command.env("HOME", root).env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env("WORKRUN_CONFIG", root.join("config.toml"));
        command.env("WORKRUN_ROOT_KEY_FILE", root.join("root.key"));
        // Half a day away from now: no snapshot is taken that a test does not ask for.
        command.env("WORKRUN_SNAPSHOT_WINDOW", far_from_now());
        command.env("WORKRUN_LOG_LEVEL", env::var("WORKRUN_TEST_LOG").unwrap_or_else(|_| "info".to_owned()));
        if let Some(mailbox) = &self.mailbox {
            command.envs([
                ("WORKRUN_SMTP_HOST", "127.0.0.1".to_owned()),
                ("WORKRUN_SMTP_PORT", mailbox.port().to_string()),
                ("WORKRUN_SMTP_TLS", "none".to_owned()),
                ("WORKRUN_SMTP_FROM", "Workrun <workrun@example.test>".to_owned()),
            ]);
        }
        command.envs(self.setup.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the process and waits until it answers.
    pub fn begin(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let output = |name: &str| -> File {
            let path = self.folder.path().join(name);
            OpenOptions::new().append(true).create(true).open(path).expect("a file for its output")
        };
        let (said, log) = (output("said"), output("log"));
        let mut command = match (self.setup.disk, self.setup.traced) {
            (None, None) => self.program(),
            (None, Some(calls)) => {
                let mut command = self.run("strace");
                // As a grandchild, so that the process that is started is the appliance.
                command.args(["-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "67108864", "-e", "signal=none"]);
                command.args(["-e", &format!("trace={calls}"), "-o"]).arg(self.trace());
                command.arg(env!("CARGO_BIN_EXE_workrun"));
                command
            }
            (Some(size), _) => {
                let live = self.data().join("live");
                fs::create_dir_all(&live).expect("a place for the disk");
                let mut command = self.run("unshare");
                command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_DISK, "sh", size]);
                command.arg(live).arg(env!("CARGO_BIN_EXE_workrun"));
                command
            }
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--tls", self.setup.tls.unwrap_or("off")]);
        command.arg("--data-dir").arg(self.data()).stdout(said).stderr(log);
        command.stdin(if self.setup.disk.is_some() { Stdio::piped() } else { Stdio::null() });
        self.process = Some(command.spawn().expect("the binary starts"));
        let status = until("the appliance to serve", || {
            let process = self.process.as_mut().expect("it was started");
            if let Some(ended) = process.try_wait().expect("its state") {
                self.process = None;
                panic!("it ended with {ended}:\n{}", self.log());
            }
            ask(&self.data(), &json!({ "command": "status" })).filter(|status| !status["listening"][0].is_null())
        });
        let at: SocketAddr = status["listening"][0].as_str().expect("an address").parse().expect("an address");
        let (tls, root) = match self.setup.tls {
            Some("internal" | "auto") => {
                let root = status["internal_root"].as_str().expect("the internal authority's root");
                (true, Some(root.to_owned()))
            }
            _ => (false, None),
        };
        let origin = status["url"].as_str().expect("its address").trim_end_matches('/').to_owned();
        assert!(origin.starts_with(if tls { "https://" } else { "http://" }), "{origin}");
        self.endpoint = Endpoint { at, origin, root };
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("a signal");
        process.wait().expect("its end");
    }

    /// Lets every sync of the process fail until what is returned is dropped. It takes a machine that gives traces.
    pub fn break_syncs(&self) -> BrokenSyncs {
        let said = self.folder.path().join("broken");
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"]);
        command.arg("-p").arg(self.pid().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&said).expect("a file for its output"));
        let process = command.spawn().expect("`strace`");
        until("strace to follow the process", || fs::read_to_string(&said).ok()?.contains("attached").then_some(()));
        BrokenSyncs(process)
    }

    /// Fills its disk, or makes room again.
    pub fn fill_disk(&mut self, full: bool) {
        let (live, done) = (self.data().join("live"), self.folder.path().join("done"));
        let order = if full { "head -c 1G /dev/zero >filler" } else { "rm filler" };
        let order = format!("(cd '{}'; {order}; echo >'{}') 2>/dev/null", live.display(), done.display());
        let keyboard = self.process.as_mut().and_then(|process| process.stdin.as_mut());
        writeln!(keyboard.expect("it has a disk of its own"), "{order}").expect("an order");
        until("the disk to be full or free", || fs::remove_file(&done).ok());
    }

    /// Asks it to stop, as a service manager does, and waits.
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        kill_process(Pid::from_child(&process), Signal::TERM).expect("a signal");
        until("the appliance to stop", || process.try_wait().expect("its state"))
    }

    /// Stops it and starts it again, at another port.
    pub fn restart(&mut self) {
        let status = self.stop();
        assert!(status.success(), "{status}: {}", self.log());
        self.begin();
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Runs a command of the program on this appliance's folder.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).arg("--data-dir").arg(self.data()).output().expect("the binary runs")
    }

    /// A command's one JSON document.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {text:?}"))
    }

    /// A command's one JSON document; what it does to its files is added to the log of calls.
    #[track_caller]
    pub fn traced_command(&self, arguments: &[&str], calls: &str) -> Value {
        let mut command = self.run("strace");
        command.args(["-f", "--seccomp-bpf", "-y", "-xx", "-s", "67108864", "-e", "signal=none", "-A"]);
        command.args(["-e", &format!("trace={calls}"), "-o"]).arg(self.trace()).arg(env!("CARGO_BIN_EXE_workrun"));
        let output =
            command.args(arguments).args(["--json", "--data-dir"]).arg(self.data()).output().expect("`strace`");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {text:?}"))
    }

    /// Runs a command some of whose calls fail, as `strace`'s `inject` says; its log of them is put where `said` says.
    pub fn failing(&self, arguments: &[&str], inject: &str, said: &Path) -> Output {
        // What hangs is a failure, too.
        let mut command = self.run("timeout");
        command.args(["30", "strace", "-f", "-q", "-e", "signal=none", "-e", &format!("inject={inject}")]);
        command.args(["-e", &format!("trace={}", inject.split(':').next().unwrap_or_default()), "-o"]).arg(said);
        command.arg(env!("CARGO_BIN_EXE_workrun")).args(arguments).arg("--data-dir").arg(self.data());
        command.output().expect("`strace`")
    }

    /// Runs a shell script as the owner of a world of its own, in which it may mount disks. Its arguments are those given,
    /// the program and the data folder; snapshots go to `snapshots`.
    pub fn in_a_shell(&self, script: &str, arguments: &[&str], snapshots: &Path) -> Output {
        let mut command = self.run("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).args(arguments);
        command.arg(env!("CARGO_BIN_EXE_workrun")).arg(self.data()).env("WORKRUN_SNAPSHOT_DIR", snapshots);
        command.output().expect("`unshare`")
    }

    pub fn status(&self) -> Value {
        self.command(&["status"])
    }

    /// A new organization's id.
    #[track_caller]
    pub fn found(&self, name: &str, owner: &str) -> String {
        let made = self.command(&["org", "create", "--name", name, "--owner", owner]);
        assert_eq!(made["name"], name);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// A browser of this appliance's, signed out.
    pub fn browser(&self) -> Browser {
        Browser::new(self.endpoint.clone())
    }

    /// A browser signed in by a link made on the server.
    #[track_caller]
    pub fn sign_in(&self, mail: &str) -> Browser {
        self.follow(&self.command(&["sign-in-link", mail]))
    }

    /// A browser of an operator.
    #[track_caller]
    pub fn operator(&self, mail: &str) -> Browser {
        self.follow(&self.command(&["sign-in-link", mail, "--operator"]))
    }

    #[track_caller]
    fn follow(&self, made: &Value) -> Browser {
        let url = made["url"].as_str().expect("a link");
        let path =
            url.strip_prefix(&self.endpoint.origin).unwrap_or_else(|| panic!("{url} is not of {:?}", self.endpoint));
        let mut browser = self.browser();
        browser.get(path).expect(200);
        let secret = path.split_once("t=").expect("a secret").1;
        browser.post("/sign-in/link", &[("t", secret)]).expect(303);
        assert!(browser.is_signed_in());
        browser
    }

    /// Invites somebody as a person of that role, lets them join, and gives their browser. The owner's browser invites.
    #[track_caller]
    pub fn join(&self, owner: &mut Browser, org: &str, mail: &str, name: &str, role: &str) -> Browser {
        owner.post(&format!("/o/{org}/invitations"), &[("mail", mail), ("role", role)]).expect(303);
        let letter = self.mailbox().newest(mail, &format!("/invitations/{org}"));
        let path = self.path_of(&letter, "/invitations/");
        let mut browser = self.sign_in(mail);
        browser.get(&path).expect(200);
        browser.post(&format!("{path}/acceptance"), &[("name", name)]).expect(303);
        browser
    }

    /// The path of the first link of a letter that holds `part`.
    #[track_caller]
    pub fn path_of(&self, letter: &Value, part: &str) -> String {
        let body = letter["body"].as_str().expect("a text");
        let link = body.split_whitespace().find(|word| word.starts_with(&self.endpoint.origin) && word.contains(part));
        let link = link.unwrap_or_else(|| panic!("no link with {part} in {body}"));
        link[self.endpoint.origin.len()..].to_owned()
    }

    /// A script with a token made on the server.
    #[track_caller]
    pub fn api(&self, org: &str, role: &str) -> Api {
        let made = self.command(&["token", "create", "--org", org, "--role", role]);
        Api::new(self.endpoint.clone(), org, made["token"].as_str().expect("a token"))
    }

    /// A board made by somebody's browser; its id.
    #[track_caller]
    pub fn board(browser: &mut Browser, org: &str, name: &str, template: &str) -> String {
        let answer = browser.post(&format!("/o/{org}/boards"), &[("name", name), ("template", template)]).expect(303);
        ids_after(answer.location(), "/boards/").pop().expect("a board's id")
    }

    /// Posts to a webhook address.
    pub fn deliver(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let path = url.strip_prefix(&self.endpoint.origin).unwrap_or(url);
        let mut connection = Connection::open(&self.endpoint).expect("a connection");
        connection.send("POST", path, headers, body).expect("an answer")
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // What watches over a disk ends the appliance with its input; else it may have ended by itself.
            if process.stdin.take().is_none() {
                let _ = process.kill();
            }
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("--- the appliance's log\n{}", &log[from..]);
        }
    }
}

/// Mounts a disk of a size at a place and runs what follows; then takes orders, and ends both with its input.
const ON_A_DISK: &str = r#"
mount -t tmpfs -o "size=$1,mode=700" none "$2" || exit 97
shift 2
"$@" &
while read -r order; do eval "$order"; done
kill -9 $!
wait
"#;

/// One question to a running appliance by its control socket; `None` while there is none.
fn ask(data: &Path, request: &Value) -> Option<Value> {
    let mut socket = UnixStream::connect(data.join("control.sock")).ok()?;
    socket.set_read_timeout(Some(super::PATIENCE)).ok()?;
    socket.write_all(format!("{request}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    serde_json::from_str::<Value>(&answer).ok()?.get("ok").cloned()
}
