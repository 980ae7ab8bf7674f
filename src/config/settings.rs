//! The table of settings, and the two documents that are written from it.
//!
//! `packaging/config.toml` and the reference in `docs/guide/configuration.md` are what [`reference_toml`] and
//! [`reference_markdown`] say; a test compares them, and writes them anew when `WORKRUN_TEST_WRITE_DOCS` is set.

use std::fmt::Write as _;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in `config.toml`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds when nobody says anything.
    pub default: Preset,
    /// Whether the command line has a flag for it.
    pub has_flag: bool,
    /// What it is for, in lines that each begin with a space.
    doc: &'static str,
}

/// The type of a setting's value.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line of text.
    Text,
    /// A path; in the file, relative to the file's folder, elsewhere to the working folder.
    Path,
    /// Several texts: an array in the file, separated by commas in the environment.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number within bounds, in a unit.
    Integer { min: u64, max: u64, unit: &'static str },
}

/// What holds when a setting is not given.
#[derive(Debug, PartialEq, Eq)]
pub enum Preset {
    /// This value; for a list, separated by commas.
    Value(&'static str),
    /// Nothing: what it is about is not done.
    Unset,
    /// A value that depends on where the appliance runs, in words.
    Found(&'static str),
}

impl Setting {
    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("WORKRUN_{}", self.name.to_ascii_uppercase())
    }

    /// The flag that sets it, if the command line has one.
    #[must_use]
    pub fn flag(&self) -> Option<String> {
        self.has_flag.then(|| format!("--{}", self.name.replace('_', "-")))
    }

    /// What it is for, line by line.
    pub fn doc(&self) -> impl Iterator<Item = &'static str> {
        self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
    }

    /// The type of its value in words.
    #[must_use]
    pub fn kind_in_words(&self) -> String {
        match self.kind {
            Kind::Text => "text".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::List => "list of texts".to_owned(),
            Kind::Choice(words) => {
                format!("one of {}", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
            }
            Kind::Integer { min, max, unit } => format!("whole number ({unit}), {min} to {max}"),
        }
    }

    /// A line of `config.toml` that sets it to its default, if that is a value.
    fn example(&self) -> String {
        let value = match (&self.default, &self.kind) {
            (Preset::Value(text), Kind::Integer { .. }) => (*text).to_owned(),
            (Preset::Value(text), Kind::List) => {
                format!("[{}]", text.split(',').map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", "))
            }
            (Preset::Value(text), _) => format!("\"{text}\""),
            (_, Kind::Integer { .. }) => "…".to_owned(),
            (_, Kind::List) => "[\"…\"]".to_owned(),
            _ => "\"…\"".to_owned(),
        };
        format!("{} = {value}", self.name)
    }

    fn default_in_words(&self) -> String {
        match self.default {
            Preset::Value(_) => {
                let example = self.example();
                format!("`{}`", example.split_once(" = ").map_or("", |(_, value)| value))
            }
            Preset::Unset => "not set".to_owned(),
            Preset::Found(words) => words.to_owned(),
        }
    }
}

/// Declares the settings: a `static` each, with its documentation, and [`ALL`] of them in this order.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $kind:expr, $default:expr $(, $flag:ident)?;)+) => {
        $(
            $(#[doc = $doc])+
            pub static $id: Setting = Setting {
                name: $name,
                kind: $kind,
                default: $default,
                has_flag: settings!(@flag $($flag)?),
                doc: concat!($($doc, "\n"),+),
            };
        )+
        /// Every setting, in the order of the documents.
        pub static ALL: &[&Setting] = &[$(&$id),+];
    };
    (@flag) => { false };
    (@flag flag) => { true };
}

settings! {
    /// The folder that holds everything the appliance keeps: sealed stores, keyring, attachments, the control socket.
    /// Nobody but the appliance's user needs to read it.
    DATA_DIR = "data_dir", Kind::Path,
        Preset::Found("`/var/lib/workrun` as root, else `$XDG_DATA_HOME/workrun` (`~/.local/share/workrun`)"), flag;

    /// The file with the root key, which opens the keyring; mode 0600, and never inside `data_dir`, where a copied
    /// folder would carry its own key. A systemd credential named `root-key` wins over the variable `WORKRUN_ROOT_KEY`,
    /// which holds the key itself, and that wins over this file.
    ROOT_KEY_FILE = "root_key_file", Kind::Path,
        Preset::Found("`/etc/workrun/root.key` as root, else `$XDG_CONFIG_HOME/workrun/root.key` (`~/.config/workrun/root.key`)");

    /// Addresses and ports on which pages, API and webhooks are served. `[::]:8443` is all of IPv6.
    LISTEN = "listen", Kind::List, Preset::Value("0.0.0.0:8443"), flag;

    /// The address that people type, used for links in mail: scheme, host and, where it is not the usual one, port.
    /// `http` is accepted only on a loopback host with `tls = "off"`.
    PUBLIC_URL = "public_url", Kind::Text, Preset::Unset, flag;

    /// How connections are encrypted. `acme`: certificates from a public authority, renewed by themselves. `internal`:
    /// from the appliance's own authority, whose root can be downloaded on the sign-in page. `files`: from
    /// `tls_cert_file` and `tls_key_file`. `off`: not at all, and then every address in `listen` must be a loopback
    /// address. `auto` is `files` if a certificate file is given, else `acme` if `acme_contact` is given and every
    /// name is a public DNS name, else `internal`.
    TLS = "tls", Kind::Choice(&["auto", "acme", "internal", "files", "off"]), Preset::Value("auto"), flag;

    /// PEM file with the certificate and its chain, the server's own first. Read again when it changes.
    TLS_CERT_FILE = "tls_cert_file", Kind::Path, Preset::Unset;

    /// PEM file with the certificate's private key.
    TLS_KEY_FILE = "tls_key_file", Kind::Path, Preset::Unset;

    /// The names to certify. The internal authority adds localhost, the machine's name and its addresses by itself.
    TLS_NAMES = "tls_names", Kind::List, Preset::Found("the host of `public_url`, if there is one");

    /// Directory of the ACME authority (RFC 8555).
    ACME_DIRECTORY = "acme_directory", Kind::Text, Preset::Value("https://acme-v02.api.letsencrypt.org/directory");

    /// Mail address to which the ACME authority may write. Giving it accepts the authority's terms for `tls = "auto"`.
    ACME_CONTACT = "acme_contact", Kind::Text, Preset::Unset;

    /// PEM file with a further root under which the ACME authority's own server is trusted: for an authority in-house.
    ACME_ROOT_FILE = "acme_root_file", Kind::Path, Preset::Unset;

    /// Host of the mail server that takes the appliance's mail. Without it, mail waits in its queue and
    /// `workrun sign-in-link` serves instead.
    SMTP_HOST = "smtp_host", Kind::Text, Preset::Unset;

    /// Port of the mail server.
    SMTP_PORT = "smtp_port", Kind::Integer { min: 1, max: 65_535, unit: "TCP port" },
        Preset::Found("587 with `starttls`, 465 with `implicit`, 25 with `none`");

    /// How the connection to the mail server is encrypted: `starttls` after a greeting in clear (nothing is sent if
    /// the server does not offer it), `implicit` from the first byte, `none` only to a loopback address.
    SMTP_TLS = "smtp_tls", Kind::Choice(&["starttls", "implicit", "none"]), Preset::Value("starttls");

    /// User name at the mail server, if it wants one.
    SMTP_USER = "smtp_user", Kind::Text, Preset::Unset;

    /// File with the password of `smtp_user`. A systemd credential named `smtp-password` wins over it.
    SMTP_PASSWORD_FILE = "smtp_password_file", Kind::Path, Preset::Unset;

    /// Sender of the appliance's mail: `Workrun <workrun@example.jp>` or the address alone. Needed with `smtp_host`.
    SMTP_FROM = "smtp_from", Kind::Text, Preset::Unset;

    /// PEM file with a further root under which the mail server's certificate is trusted.
    SMTP_ROOT_FILE = "smtp_root_file", Kind::Path, Preset::Unset;

    /// Time zone of the appliance: log lines for people, the hours of jobs, and organizations that chose none.
    TIME_ZONE = "time_zone", Kind::Text, Preset::Value("Asia/Tokyo");

    /// Form of the log, which goes to standard error. `auto` is text on a terminal and JSON elsewhere.
    LOG_FORMAT = "log_format", Kind::Choice(&["auto", "text", "json"]), Preset::Value("auto");

    /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`; also per room, as in
    /// `info,workrun::mail=debug`.
    LOG_LEVEL = "log_level", Kind::Text, Preset::Value("info");

    /// Address and port on which `/metrics` is served in clear, without a token. Choose one that only the collector
    /// reaches.
    METRICS_LISTEN = "metrics_listen", Kind::Text, Preset::Unset;

    /// Page cache of each open organization.
    STORE_CACHE_MIB = "store_cache_mib", Kind::Integer { min: 1, max: 4_096, unit: "MiB" }, Preset::Value("8");

    /// How many organizations are kept open at once; the one unused longest is closed for the next.
    STORES_OPEN_MAX = "stores_open_max", Kind::Integer { min: 1, max: 8_192, unit: "organizations" },
        Preset::Value("256");

    /// The folder that the daily snapshots go to. Best on another disk; it is made if it is not there.
    SNAPSHOT_DIR = "snapshot_dir", Kind::Path, Preset::Found("`snapshots` in `data_dir`");

    /// The hours, in `time_zone`, in which the day's snapshot is begun; one that was missed is caught up.
    SNAPSHOT_WINDOW = "snapshot_window", Kind::Text, Preset::Value("12:00-13:00");

    /// How hard snapshots are compressed, as zstd counts it: 1 is quick, 19 is small.
    SNAPSHOT_LEVEL = "snapshot_level", Kind::Integer { min: 1, max: 19, unit: "level" }, Preset::Value("2");

    /// How many threads a snapshot, a verification or a restore takes. While the appliance serves, one core is left to it.
    SNAPSHOT_THREADS = "snapshot_threads", Kind::Integer { min: 1, max: 64, unit: "threads" }, Preset::Value("2");

    /// A bucket of S3-compatible storage that takes a further copy of every generation once it was read back:
    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`, of this appliance alone. Versioning and object lock must be off, or keys of
    /// erased organizations live on there.
    OFFSITE_URL = "offsite_url", Kind::Text, Preset::Unset;

    /// Address of the S3-compatible server, `https://s3.example.jp`. `http` is accepted only on a loopback host.
    OFFSITE_ENDPOINT = "offsite_endpoint", Kind::Text, Preset::Found("AWS in `offsite_region`");

    /// Region of the bucket, as the server calls it. One outside `residency` is refused. Needed with `offsite_url`.
    OFFSITE_REGION = "offsite_region", Kind::Text, Preset::Unset;

    /// File with the credentials, mode 0600: a line `aws_access_key_id = …` and one `aws_secret_access_key = …`, as other
    /// S3 clients read them. A systemd credential named `offsite-credentials` wins over it. Without either, the variables
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` are used, and without those the profile of the instance.
    OFFSITE_CREDENTIALS_FILE = "offsite_credentials_file", Kind::Path, Preset::Unset;

    /// PEM file with a further root under which the S3-compatible server's certificate is trusted.
    OFFSITE_ROOT_FILE = "offsite_root_file", Kind::Path, Preset::Unset;

    /// Where data may rest: countries by their two letters, which stand for the regions of AWS there (`JP` is
    /// ap-northeast-1 and ap-northeast-3), or regions of other services by name. `offsite_region` must be among them.
    RESIDENCY = "residency", Kind::List, Preset::Value("JP");

    /// The largest webhook body accepted, unless its endpoint says otherwise.
    WEBHOOK_BODY_MAX = "webhook_body_max", Kind::Integer { min: 1_024, max: 26_214_400, unit: "bytes" },
        Preset::Value("1048576");
}

/// The setting of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.iter().copied().find(|setting| setting.name == name)
}

/// The name nearest to `typed` by edit distance, case and `-` or `.` for `_` aside; none if even that is far off.
#[must_use]
pub fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase().replace(['-', '.', ' '], "_");
    let (distance, name) =
        ALL.iter().map(|setting| (edit_distance(&typed, setting.name), setting.name)).min_by_key(|(cost, _)| *cost)?;
    (distance * 2 <= typed.chars().count().max(name.len())).then_some(name)
}

/// Insertions, deletions and replacements of characters that turn one text into the other (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// `config.toml` with every setting explained and commented out.
#[must_use]
pub fn reference_toml() -> String {
    let mut text = String::from(
        "# Workrun's settings. Each line that is commented out shows the default, or … where there is no fixed one.\n\
         # An environment variable wins over this file, a flag over both. A change takes effect at the next start.\n",
    );
    for setting in ALL {
        text.push('\n');
        for line in setting.doc() {
            let _ = writeln!(text, "# {line}");
        }
        if let Preset::Found(words) = setting.default {
            let _ = writeln!(text, "# Default: {words}.");
        }
        let _ = write!(text, "# {}. Variable: {}.", capitalized(&setting.kind_in_words()), setting.variable());
        if let Some(flag) = setting.flag() {
            let _ = write!(text, " Flag: {flag}.");
        }
        let _ = writeln!(text, "\n#{}", setting.example());
    }
    text
}

/// The reference part of the guide: a section for each setting.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = String::new();
    for setting in ALL {
        let _ = writeln!(text, "### `{}`\n", setting.name);
        for line in setting.doc() {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "\n- Value: {}", setting.kind_in_words());
        let _ = writeln!(text, "- Default: {}", setting.default_in_words());
        let _ = writeln!(text, "- Variable: `{}`", setting.variable());
        if let Some(flag) = setting.flag() {
            let _ = writeln!(text, "- Flag: `{flag}`");
        }
        text.push('\n');
    }
    text
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
