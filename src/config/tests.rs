//! The layers, every rule, and the two documents against the table.

use std::{env, fs, path::Path};

use super::{settings::Setting, *};

/// A user's surroundings with these variables.
fn around(variables: &[(&str, &str)]) -> Surroundings {
    let mut all = vec![("HOME", "/home/hana")];
    all.extend(variables);
    Surroundings {
        variables: all.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        is_root: false,
        working_dir: PathBuf::from("/srv"),
    }
}

/// Loads a file's text, with the folder it stood in.
fn load_file(text: &str, variables: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config, ConfigError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let flags = Flags { config: Some(path), values: Vec::new() };
    let loaded = Config::load(&flags, &around(variables));
    (folder, loaded)
}

#[track_caller]
fn accepted(text: &str) -> Config {
    load_file(text, &[]).1.unwrap_or_else(|error| panic!("{text:?} was refused: {error}"))
}

/// The refusal's message, without the folder's name.
#[track_caller]
fn refused(text: &str) -> String {
    let (folder, loaded) = load_file(text, &[]);
    let error = loaded.map(|_| ()).expect_err("is refused");
    assert!(!error.hint().is_empty());
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = Config::load(&Flags::default(), &around(&[])).unwrap();
    assert_eq!(config.data_dir, Path::new("/home/hana/.local/share/workrun"));
    assert_eq!(config.root_key, SecretSource::File("/home/hana/.config/workrun/root.key".into()));
    assert_eq!(config.listen, ["0.0.0.0:8443".parse().unwrap()]);
    assert_eq!(config.tls, Tls::Internal { names: vec![] });
    assert!(config.smtp.is_none() && config.public_url.is_none() && config.metrics_listen.is_none());
    assert_eq!(config.time_zone.iana_name(), Some("Asia/Tokyo"));
    assert_eq!((config.store_cache_mib, config.stores_open_max, config.webhook_body_max), (8, 256, 1_048_576));
    assert!(config.warnings.is_empty());

    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("config.toml");
    fs::write(&empty, "").unwrap();
    let root = Surroundings { is_root: true, working_dir: "/".into(), ..Surroundings::default() };
    let config = Config::load(&Flags { config: Some(empty), values: Vec::new() }, &root).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/workrun"));
    assert_eq!(config.root_key, SecretSource::File("/etc/workrun/root.key".into()));
}

#[test]
fn flags_win_over_environment_over_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "data_dir = \"a\"\nlisten = [\"127.0.0.1:1\"]\ntime_zone = \"Europe/Paris\"\n").unwrap();
    let variables =
        around(&[("WORKRUN_DATA_DIR", "b"), ("WORKRUN_LISTEN", "127.0.0.1:2, [::1]:2"), ("WORKRUN_TLS", "")]);
    let mut flags = Flags { config: Some(path.clone()), values: Vec::new() };

    let from_file = Config::load(&flags, &around(&[])).unwrap();
    assert_eq!(from_file.data_dir, folder.path().join("a"), "a file's path is relative to the file");
    assert_eq!(from_file.listen, ["127.0.0.1:1".parse().unwrap()]);

    let from_both = Config::load(&flags, &variables).unwrap();
    assert_eq!(from_both.data_dir, Path::new("/srv/b"), "a variable's path is relative to the working folder");
    assert_eq!(from_both.listen, ["127.0.0.1:2".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    assert_eq!(from_both.time_zone.iana_name(), Some("Europe/Paris"));

    flags.values = vec![(&settings::LISTEN, vec!["127.0.0.1:3".into()]), (&settings::DATA_DIR, vec!["/c".into()])];
    let from_all = Config::load(&flags, &variables).unwrap();
    assert_eq!(from_all.data_dir, Path::new("/c"));
    assert_eq!(from_all.listen, ["127.0.0.1:3".parse().unwrap()]);

    let by_variable = around(&[("WORKRUN_CONFIG", path.to_str().unwrap())]);
    assert_eq!(Config::load(&Flags::default(), &by_variable).unwrap().time_zone.iana_name(), Some("Europe/Paris"));
}

#[test]
fn unknown_keys_name_the_nearest() {
    #[track_caller]
    fn case(text: &str, want: &str) {
        assert_eq!(refused(text), want, "{text:?}");
    }
    case("\n\nlisen = []", "config.toml, line 3: `lisen` is not a setting; the nearest is `listen`");
    case("Data-Dir = \"x\"", "config.toml, line 1: `Data-Dir` is not a setting; the nearest is `data_dir`");
    case("[smtp]\nhost = \"m\"", "config.toml, line 1: `smtp.host` is not a setting; the nearest is `smtp_host`");
    case("timezone = \"x\"", "config.toml, line 1: `timezone` is not a setting; the nearest is `time_zone`");
    case("telemetry_collection = 1", "config.toml, line 1: `telemetry_collection` is not a setting");
}

#[test]
fn refusals_name_file_line_key_and_rule() {
    #[track_caller]
    fn case(text: &str, want: &str) {
        let got = refused(text);
        assert!(got.contains(want), "{text:?} gave: {got}");
    }
    case("listen = [", "config.toml, line 1, column ");
    case("tls = \"auto\"\ntls = \"off\"", "config.toml, line 2");
    case("listen = \"127.0.0.1:1\"", "config.toml, line 1: `listen` must be a list of texts");
    case("listen = [1]", "`listen` must be a list of texts, like [\"…\"], and holds a integer");
    case("listen = [\"localhost\"]", "`listen` must be an address with a port, such as 127.0.0.1:8443");
    case("smtp_port = \"25\"", "`smtp_port` must be a plain whole number, not a string");
    case("stores_open_max = 0", "`stores_open_max` must be a whole number from 1 to 8192, not `0`");
    case("stores_open_max = -4", "`stores_open_max` must be a whole number");
    case("store_cache_mib = 0x10", "`store_cache_mib` must be a plain whole number");
    case("webhook_body_max = 26214401", "from 1024 to 26214400");
    case("tls = \"none\"", "`tls` must be one of auto, acme, internal, files, off, not `none`");
    case("time_zone = \"Tokyo\"", "`time_zone` must be an IANA time zone");
    case("log_level = \"loud\"", "`log_level` must be a level");
    case("log_level = \"info,workrun::mail=loud\"", "`log_level` must be a level");
    case("time_zone = \"Asia/\\u0000Tokyo\"", "`time_zone` must be one line without control characters");
    case("public_url = \"work.example.jp\"", "`public_url` must be an address such as https://work.example.jp");
    case("public_url = \"ftp://work.example.jp\"", "is neither https nor http");
    case("public_url = \"https://a@work.example.jp\"", "carries a user name");
    case("public_url = \"https://work.example.jp/app\"", "goes on after the host");
    case("public_url = \"http://work.example.jp\"", "`public_url` is `http://work.example.jp`; http is for a loopback");
    case("tls = \"off\"", "`tls` is `off`, and 0.0.0.0:8443 in `listen` can be reached from other machines");
    case("tls = \"off\"\nlisten = [\"127.0.0.1:1\", \"[::]:1\"]", "[::]:1 in `listen` can be reached");
    case("tls = \"acme\"", "`tls` is `acme`, which needs tls_names or public_url");
    case("tls = \"acme\"\ntls_names = [\"192.0.2.1\"]", "certifies DNS names only, and `192.0.2.1` is an address");
    case("tls_names = [\"a b\"]", "`tls_names` must be a host name or an address");
    case("tls = \"files\"\ntls_cert_file = \"c.pem\"", "`tls_key_file` is not set: certificate files come as a pair");
    case(
        "tls = \"acme\"\ntls_names = [\"a.jp\"]\nacme_directory = \"http://a\"",
        "`acme_directory` must be an https URL",
    );
    case("acme_contact = \"admin\"", "`acme_contact` must be a mail address");
    case("offsite_url = \"https://b\"", "`offsite_url` must be s3://BUCKET or s3://BUCKET/PREFIX");
    case("offsite_url = \"s3://bucket/a//b\"", "names are of letters, digits, `-`, `.` and `_`");
    case("offsite_url = \"s3://bucket/../b\"", "`offsite_url` must be s3://BUCKET");
    case("offsite_url = \"s3://bucket\"", "`offsite_region` is not set: offsite_url is, and the residency");
    case("offsite_region = \"ap-northeast-1\"", "`offsite_region` is given, but no offsite_url to use it with");
    let tokyo = "offsite_url = \"s3://bucket\"\noffsite_region = \"ap-northeast-1\"\n";
    let http = format!("{tokyo}offsite_endpoint = \"http://s3.example.jp\"");
    case(&http, "`offsite_endpoint` must be an address such as https://s3.example.jp, and");
    case(&http, "is http to another machine: credentials would cross the network in clear");
    case(&format!("{tokyo}residency = [\"XX\"]"), "`residency` must hold countries (JP, ");
    case(
        &format!("{tokyo}residency = [\"DE\"]"),
        "`ap-northeast-1`, outside the declared residency DE, which is eu-central-1",
    );
    case(
        "offsite_url = \"s3://bucket\"\noffsite_region = \"us-east-1\"",
        "`offsite_region` is `us-east-1`, outside the declared residency JP, which is ap-northeast-1, ap-northeast-3",
    );
    case("smtp_port = 25", "config.toml, line 1: `smtp_port` is given, but no smtp_host to use it with");
    case("smtp_host = \"m.jp\"", "`smtp_from` is not set: smtp_host is, and mail needs a sender");
    case("smtp_host = \"m.jp\"\nsmtp_from = \"x\"", "`smtp_from` must be a mail address");
    let sender = "smtp_host = \"m.jp\"\nsmtp_from = \"a@m.jp\"\n";
    case(&format!("{sender}smtp_tls = \"none\""), "`smtp_tls` is `none`, and m.jp is another machine");
    case(&format!("{sender}smtp_user = \"u\""), "`smtp_password_file` is not set: smtp_user is");
    case(&format!("{sender}smtp_password_file = \"p\""), "`smtp_user` is not set");

    let variable = Config::load(&Flags::default(), &around(&[("WORKRUN_TLS", "on")])).unwrap_err();
    assert!(variable.to_string().starts_with("environment variable WORKRUN_TLS: `tls` must be"), "{variable}");
    assert!(!variable.is_usage());
    let flags = Flags { config: None, values: vec![(&settings::PUBLIC_URL, vec!["x".into()])] };
    let flag = Config::load(&flags, &around(&[])).unwrap_err();
    assert!(flag.to_string().starts_with("flag --public-url: `public_url` must be"), "{flag}");
    assert!(flag.is_usage());
    let named = Flags { config: Some("/nowhere/config.toml".into()), values: Vec::new() };
    let missing = Config::load(&named, &around(&[])).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration file /nowhere/config.toml: "), "{missing}");
    let homeless = Config::load(&Flags::default(), &Surroundings::default()).unwrap_err().to_string();
    assert!(homeless.starts_with("`data_dir` is not set: neither XDG_DATA_HOME nor HOME"), "{homeless}");
}

#[test]
fn tls_decides_what_auto_means() {
    #[track_caller]
    fn case(text: &str, want: &Tls) {
        assert_eq!(accepted(text).tls, *want, "{text:?}");
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let acme = |list: &[&str], contact: Option<&str>| Tls::Acme {
        names: names(list),
        directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
        contact: contact.map(str::to_owned),
        root_file: None,
    };
    let contact = "acme_contact = \"a@example.jp\"\n";
    case("public_url = \"https://work.example.jp\"", &Tls::Internal { names: names(&["work.example.jp"]) });
    case(
        &format!("{contact}public_url = \"https://仕事.example.jp\""),
        &acme(&["xn--3kqvg.example.jp"], Some("a@example.jp")),
    );
    case(&format!("{contact}tls_names = [\"a.jp\", \"B.jp\"]"), &acme(&["a.jp", "b.jp"], Some("a@example.jp")));
    case(&format!("{contact}public_url = \"https://192.0.2.7:8443\""), &Tls::Internal { names: names(&["192.0.2.7"]) });
    case(&format!("{contact}public_url = \"https://work.local\""), &Tls::Internal { names: names(&["work.local"]) });
    case(&format!("{contact}public_url = \"https://work\""), &Tls::Internal { names: names(&["work"]) });
    case("public_url = \"https://[2001:db8::1]\"", &Tls::Internal { names: names(&["2001:db8::1"]) });
    case("tls = \"acme\"\ntls_names = [\"app.example.test\"]", &acme(&["app.example.test"], None));
    case("tls = \"off\"\nlisten = [\"127.0.0.1:1\", \"[::1]:1\"]\npublic_url = \"http://localhost:1\"", &Tls::Off);
    case(
        "tls_cert_file = \"/c.pem\"\ntls_key_file = \"/k.pem\"",
        &Tls::Files { cert: "/c.pem".into(), key: "/k.pem".into() },
    );
    let unused = accepted("tls = \"internal\"\ntls_cert_file = \"/c.pem\"");
    assert_eq!(unused.warnings, ["tls is `internal`, so tls_cert_file and tls_key_file are not used"]);
}

#[test]
fn the_public_url_is_an_origin() {
    let url = accepted("public_url = \"https://Work.Example.jp:8443/\"").public_url.unwrap();
    assert_eq!(url.to_string(), "https://work.example.jp:8443");
    assert_eq!((url.host(), url.domain(), url.port()), ("work.example.jp", Some("work.example.jp"), 8443));
    let address = accepted("public_url = \"https://[::1]\"").public_url.unwrap();
    assert_eq!((address.host(), address.domain(), address.port()), ("[::1]", None, 443));
}

#[test]
fn mail_ports_follow_the_encryption() {
    for (tls, host, port) in
        [("starttls", "m.example.jp", 587), ("implicit", "m.example.jp", 465), ("none", "127.0.0.1", 25)]
    {
        let text = format!("smtp_host = \"{host}\"\nsmtp_tls = \"{tls}\"\nsmtp_from = \"受付 <a@example.jp>\"");
        let smtp = accepted(&text).smtp.unwrap();
        assert_eq!((smtp.port, smtp.hello.as_str()), (port, "localhost"), "{tls}");
        assert_eq!(smtp.from.name.as_deref(), Some("受付"));
    }
}

#[test]
fn secrets_come_from_credential_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("root-key"), "from credential\n").unwrap();
    let credentials = folder.path().to_str().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "from file\r\n").unwrap();
    let file = ("WORKRUN_ROOT_KEY_FILE", file.to_str().unwrap());
    let value = ("WORKRUN_ROOT_KEY", "from environment");
    let read = |variables: &[(&str, &str)]| {
        let config = Config::load(&Flags::default(), &around(variables)).unwrap();
        assert!(!format!("{config:?}").contains("from "), "Debug shows a secret");
        config.root_key.text().unwrap().to_string()
    };
    assert_eq!(read(&[file]), "from file");
    assert_eq!(read(&[file, value]), "from environment");
    assert_eq!(read(&[file, value, ("CREDENTIALS_DIRECTORY", credentials)]), "from credential");
    assert_eq!(read(&[file, ("CREDENTIALS_DIRECTORY", "/nowhere")]), "from file");

    fs::write(folder.path().join("empty"), "\n").unwrap();
    let empty = SecretSource::File(folder.path().join("empty")).text().unwrap_err().to_string();
    assert!(empty.ends_with("is empty"), "{empty}");
    assert!(matches!(SecretSource::File("/dev/zero".into()).bytes(), Err(SecretError::TooLarge { .. })));
    assert!(matches!(SecretSource::File("/nowhere/key".into()).bytes(), Err(SecretError::Read { .. })));
}

#[test]
fn stray_variables_are_warned_of_and_nothing_more() {
    let strays =
        [("WORKRUN_LISTENS", "x"), ("WORKRUN_SERVICE_HOST_UNRELATED_THING", "10.0.0.1"), ("WORKRUN_TEST_X", "1")];
    let config = Config::load(&Flags::default(), &around(&strays)).unwrap();
    assert_eq!(
        config.warnings,
        ["the environment variable WORKRUN_LISTENS is no setting; the nearest is WORKRUN_LISTEN"]
    );
}

/// Compares a document with what the code says, or writes it when asked to.
#[track_caller]
fn document(path: &str, want: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = fs::read_to_string(&path).unwrap_or_default();
    let want = want(&found);
    if env::var_os("WORKRUN_TEST_WRITE_DOCS").is_some() {
        fs::write(&path, &want).unwrap();
    } else {
        let differs = found.lines().zip(want.lines()).find(|(found, want)| found != want);
        assert!(
            found == want,
            "{} differs from src/config/settings.rs, first at {differs:?}; run this test with WORKRUN_TEST_WRITE_DOCS=1",
            path.display()
        );
    }
}

#[test]
fn the_documents_say_what_the_table_says() {
    document("packaging/config.toml", |_| settings::reference_toml());
    document("docs/guide/configuration.md", |found| {
        let mark = "<!-- Below this line: written from src/config/settings.rs. -->\n";
        let (by_hand, _) = found.split_once(mark).expect("the guide has its mark");
        format!("{by_hand}{mark}\n{}", settings::reference_markdown())
    });
}

/// What the reference file shows as defaults is accepted, and changes nothing.
#[test]
fn the_reference_file_loads_with_its_lines_uncommented() {
    let text: String = settings::reference_toml()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' ') && !line.contains('…'))
        // Only with a host.
        .filter(|line| !line.starts_with("smtp_"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(text.contains("time_zone = \"Asia/Tokyo\""), "{text}");
    let config = accepted(&text);
    assert_eq!(config.listen, ["0.0.0.0:8443".parse().unwrap()]);
}

#[test]
fn names_are_unique_and_explained() {
    for (index, setting) in settings::ALL.iter().enumerate() {
        assert!(settings::ALL[..index].iter().all(|other| other.name != setting.name), "{}", setting.name);
        let doc: Vec<&str> = setting.doc().collect();
        assert!(doc.last().is_some_and(|line| line.ends_with('.')), "{}: {doc:?}", setting.name);
        assert_eq!(settings::find(&setting.name.to_lowercase()), Some(*setting));
        assert_eq!(settings::nearest(&format!("{}x", setting.name)), Some(setting.name));
    }
    assert_eq!(Setting::variable(&settings::DATA_DIR), "WORKRUN_DATA_DIR");
}

#[test]
fn an_off_site_copy_is_inside_the_residency_and_its_secret_in_no_message() {
    let file = "offsite_url = \"s3://bucket/a/b/\"\noffsite_region = \"ap-northeast-3\"\n";
    let offsite = accepted(file).offsite.unwrap();
    assert_eq!((offsite.bucket.as_str(), offsite.prefix.as_str()), ("bucket", "a/b"));
    assert_eq!(offsite.credentials, OffsiteCredentials::Instance { metadata: None });
    assert!(accepted("").offsite.is_none());
    let own = "offsite_url = \"s3://bucket\"\noffsite_region = \"jp-north-1\"\nresidency = [\"JP\", \"jp-north-1\"]\n\
               offsite_endpoint = \"https://s3.example.jp/\"\noffsite_credentials_file = \"keys\"\n";
    let offsite = accepted(own).offsite.unwrap();
    assert_eq!(offsite.endpoint.as_deref(), Some("https://s3.example.jp"));
    assert!(
        matches!(&offsite.credentials, OffsiteCredentials::Source(SecretSource::File(path)) if path.ends_with("keys"))
    );

    let pair = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "very-secret")];
    let config = load_file(file, &pair).1.unwrap();
    assert!(matches!(config.offsite.as_ref().unwrap().credentials, OffsiteCredentials::Environment { .. }));
    assert!(!format!("{config:?}").contains("very-secret"));
    let half = load_file(file, &pair[..1]).1.unwrap_err().to_string();
    assert!(half.contains("AWS_SECRET_ACCESS_KEY"), "{half}");
}
