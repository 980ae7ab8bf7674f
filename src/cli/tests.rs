//! Spelling, settings, output, and whom a command asks.

use std::{fs, path::PathBuf, sync::Arc};

use clap::CommandFactory as _;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::*;
use crate::{
    config::{Surroundings, settings},
    control::{Handler, Listener},
};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    Cli::try_parse_from(args::normalised(&args))
}

#[test]
fn a_command_is_also_a_flag() {
    #[track_caller]
    fn same(flag: &str, word: &str) {
        let (flag, word) = (parse(flag).unwrap(), parse(word).unwrap());
        assert_eq!(format!("{flag:?}"), format!("{word:?}"));
    }
    same("workrun", "workrun serve");
    same(
        "workrun --listen 127.0.0.1:1 --demo --listen [::1]:2",
        "workrun serve --listen 127.0.0.1:1 --listen [::1]:2 --demo",
    );
    same("workrun --data-dir init --tls off", "workrun serve --data-dir init --tls off");
    same("workrun --serve --tls=internal", "workrun serve --tls=internal");
    same("workrun --init", "workrun init");
    same("workrun --json --init --recovery-key-out k", "workrun init --json --recovery-key-out k");
    same("workrun --sign-in-link a@b", "workrun sign-in-link a@b");
    same("workrun --sign-in-link=a@b --operator", "workrun sign-in-link a@b --operator");
    same("workrun --operator --sign-in-link a@b --json", "workrun --json sign-in-link a@b --operator");
    same("workrun --org create --name N --owner a@b", "workrun org create --name N --owner a@b");
    same("workrun --org=list", "workrun org list");
    same("workrun --token create --org o1 --role admin", "workrun token create --org o1 --role admin");
    same("workrun --org o1 --role admin --token create", "workrun token create --org o1 --role admin");
    same("workrun --config f --status", "workrun status --config f");
    same("workrun --keys recovery", "workrun keys recovery");
    same("workrun --restore latest", "workrun restore latest");
    same("workrun --restore latest --org o1 --yes", "workrun restore latest --org o1 --yes");
    same("workrun --snapshot --pin", "workrun snapshot --pin");
    same("workrun --verify store --json", "workrun verify store --json");
    same("workrun --rehearse", "workrun rehearse");
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "workrun nonsense",
        "workrun --nonsense",
        "workrun org",
        "workrun --org",
        "workrun org create --name N",
        "workrun token create --org o --role operator",
        "workrun --tls none",
        "workrun sign-in-link",
        "workrun status extra",
        "workrun init --listen 127.0.0.1:1",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
    }
    for line in ["workrun --help", "workrun -h", "workrun --version", "workrun org --help"] {
        assert_eq!(parse(line).expect_err(line).exit_code(), 0, "{line}");
    }
    Cli::command().debug_assert();
}

/// A setting has a flag if and only if the table says so.
#[test]
fn the_table_knows_which_settings_have_flags() {
    let program = Cli::command();
    let serve = program.find_subcommand("serve").unwrap();
    for setting in settings::ALL {
        let flag = setting.name.replace('_', "-");
        let has = program.get_arguments().chain(serve.get_arguments()).any(|arg| arg.get_long() == Some(flag.as_str()));
        assert_eq!(has, setting.has_flag, "{}", setting.name);
    }
    let cli =
        parse("workrun --data-dir d --listen 127.0.0.1:1 --public-url https://a.jp --tls acme --config c").unwrap();
    let flags = cli.flags();
    let names: Vec<&str> = flags.values.iter().map(|(setting, _)| setting.name).collect();
    assert_eq!(names, settings::ALL.iter().filter(|one| one.has_flag).map(|one| one.name).collect::<Vec<_>>());
    assert_eq!(flags.config, Some(PathBuf::from("c")));
}

#[test]
fn a_failure_is_one_line() {
    let failure = Failure::new("the\nstore is full").kept("all is kept").hint("make room");
    assert_eq!(output::line(&failure), "error: the store is full; all is kept; hint: make room");
    assert_eq!(output::line(&Failure::new("no")), "error: no");
}

#[test]
fn answers_are_plain_for_people() {
    #[track_caller]
    fn case(request: &Request, answer: &Value, want: &str) {
        assert_eq!(output::human(request, answer), want);
    }
    let link = Request::SignInLink { mail: String::new(), operator: false };
    case(&link, &json!({ "url": "https://a/x" }), "https://a/x");
    case(&Request::OrgList, &json!({ "items": [] }), "none");
    let items = json!({ "items": [{ "id": "1", "name": "山田商店", "boards": 12 }, { "id": "22", "name": "b\u{1b}[2J", "boards": 1 }] });
    let lines: Vec<String> = output::human(&Request::OrgList, &items).lines().map(str::to_owned).collect();
    assert_eq!(lines, ["id  name      boards", "1   山田商店  12", "22  b [2J     1"]);
    let status = json!({ "alerts": ["recovery key not taken"], "last_snapshot": null, "uptime_s": 5 });
    case(&Request::Status, &status, "alerts: recovery key not taken\nlast snapshot: -\nuptime s: 5\n");
}

/// Answers with its name and keeps what it was asked.
#[derive(Default)]
struct Recorder {
    name: &'static str,
    asked: Mutex<Vec<Request>>,
    fails: bool,
}

impl Recorder {
    fn answer(&self, request: Request) -> Response {
        self.asked.lock().push(request);
        if self.fails {
            return Err(Failure::new("no"));
        }
        Ok(json!({ "by": self.name, "recovery_key": "AGE-SECRET-KEY-1TEST" }))
    }
}

impl Handler for Recorder {
    async fn handle(&self, request: Request) -> Response {
        self.answer(request)
    }
}

impl Engine for Recorder {
    async fn serve(&self, _: Config, _: bool, _: Output) -> Result<(), Failure> {
        Ok(())
    }

    async fn init(&self, _: Config, recovery_key_taken: bool) -> Result<Initialised, Failure> {
        self.answer(Request::KeysRecovery { recipient: String::new() })?;
        assert!(recovery_key_taken);
        Ok(Initialised { root_key: "/k".to_owned(), recovery_key: Zeroizing::new("AGE-SECRET-KEY-1TEST".to_owned()) })
    }

    async fn offline(&self, _: Config, request: Request, _: &mut dyn FnMut(&Value)) -> Response {
        self.answer(request)
    }

    async fn restore(&self, _: Config, wish: RestoreWish, _: &mut dyn FnMut(&Value)) -> Response {
        self.answer(Request::Verify { what: wish.from, offsite: wish.offsite })
    }
}

fn config(folder: &Path) -> Config {
    let variables = [("WORKRUN_DATA_DIR", folder.to_str().unwrap()), ("HOME", folder.to_str().unwrap())];
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let around = Surroundings { variables, is_root: false, working_dir: "/".into() };
    Config::load(&crate::config::Flags::default(), &around).unwrap()
}

#[tokio::test]
async fn the_running_appliance_is_asked_first() {
    let folder = tempfile::tempdir().unwrap();
    let here = Recorder { name: "here", ..Recorder::default() };
    assert_eq!(ask(config(folder.path()), &Request::Status, &here).await.unwrap()["by"], "here");

    let there = Arc::new(Recorder { name: "there", ..Recorder::default() });
    let listener = Listener::bind(folder.path()).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(Arc::clone(&there), async { drop(stopped.await) }));
    assert_eq!(ask(config(folder.path()), &Request::OrgList, &here).await.unwrap()["by"], "there");
    stop.send(()).unwrap();
    task.await.unwrap();
    assert_eq!((&*here.asked.lock(), &*there.asked.lock()), (&vec![Request::Status], &vec![Request::OrgList]));
}

#[tokio::test]
async fn a_recovery_key_has_its_place_before_it_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recovery.key");
    let quiet = Output { json: true };
    let engine = Recorder::default();

    renew_recovery_key(config(folder.path()), Some(&out), quiet, &engine).await.unwrap();
    // The appliance is told the public half only.
    let made = RecoveryKey::from_text(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(*engine.asked.lock(), [Request::KeysRecovery { recipient: made.recipient() }]);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    let taken = renew_recovery_key(config(folder.path()), Some(&out), quiet, &engine).await.unwrap_err();
    assert_eq!(taken.kept.as_deref(), Some("nothing was changed"));
    assert_eq!(engine.asked.lock().len(), 1, "nobody was asked for a key that has no place");

    let refusing = Recorder { fails: true, ..Recorder::default() };
    let other = folder.path().join("other.key");
    assert!(renew_recovery_key(config(folder.path()), Some(&other), quiet, &refusing).await.is_err());
    assert!(init(config(folder.path()), Some(&other), quiet, &refusing).await.is_err());
    assert!(!other.exists(), "an empty file is not left behind");
    init(config(folder.path()), Some(&other), quiet, &engine).await.unwrap();
    assert!(fs::read_to_string(&other).unwrap().contains("AGE-SECRET-KEY-1TEST"));
}
