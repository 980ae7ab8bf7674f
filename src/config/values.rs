//! From text to meaning: each setting's rule, and the rules between settings.

mod offsite;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use jiff::{civil::Time, tz::TimeZone};
use lettre::{Address, message::Mailbox};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{
    Config, LogFormat, PublicUrl, Smtp, SmtpTls, Snapshots, Tls,
    error::{ConfigError, Origin},
    layers::{Given, Layers, Surroundings},
    secret::SecretSource,
    settings::{self, Kind, Setting},
};

/// Builds the configuration from what was given.
pub(super) fn config(layers: &Layers, surroundings: &Surroundings) -> Result<Config, ConfigError> {
    let values = Values(layers);
    let mut warnings = layers.warnings.clone();
    let public_url = values.one(&settings::PUBLIC_URL, public_url)?;
    let listen = values.list(&settings::LISTEN, address)?;
    let tls = tls(&values, public_url.as_ref(), &mut warnings)?;
    check_clear_text(&values, &tls, &listen, public_url.as_ref())?;
    let data_dir = data_dir(&values, surroundings)?;
    Ok(Config {
        snapshots: Snapshots {
            folder: values.path(&settings::SNAPSHOT_DIR)?.unwrap_or_else(|| data_dir.join("snapshots")),
            window: values.needed(&settings::SNAPSHOT_WINDOW, window)?,
            level: values.integer(&settings::SNAPSHOT_LEVEL)?,
            threads: values.integer(&settings::SNAPSHOT_THREADS)?,
        },
        offsite: offsite::offsite(&values, surroundings)?,
        data_dir,
        root_key: root_key(&values, surroundings)?,
        smtp: smtp(&values, surroundings, public_url.as_ref())?,
        time_zone: values.needed(&settings::TIME_ZONE, |name| {
            TimeZone::get(name).map_err(|_| format!("must be an IANA time zone such as Asia/Tokyo, not `{name}`"))
        })?,
        log_format: match values.choice(&settings::LOG_FORMAT)?.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        log_level: values.needed(&settings::LOG_LEVEL, log_level)?,
        metrics_listen: values.one(&settings::METRICS_LISTEN, address)?,
        store_cache_mib: values.integer(&settings::STORE_CACHE_MIB)?,
        stores_open_max: values.integer(&settings::STORES_OPEN_MAX)?,
        webhook_body_max: values.integer(&settings::WEBHOOK_BODY_MAX)?,
        listen,
        public_url,
        tls,
        warnings,
    })
}

/// The folder for `config.toml` and the root key when nobody names another.
pub(super) fn config_folder(surroundings: &Surroundings) -> Option<PathBuf> {
    if surroundings.is_root {
        return Some(PathBuf::from("/etc/workrun"));
    }
    let base =
        surroundings.folder("XDG_CONFIG_HOME").or_else(|| surroundings.folder("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("workrun"))
}

/// What was given, by type.
struct Values<'a>(&'a Layers);

impl Values<'_> {
    /// A scalar, parsed by `rule`, which says what is wrong in words that follow the setting's name.
    fn one<T>(
        &self,
        setting: &'static Setting,
        rule: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.0.get(setting) else { return Ok(None) };
        let text = given.texts.first().map_or("", String::as_str);
        rule(text).map(Some).map_err(|rule| invalid(setting, &given, rule))
    }

    /// A scalar that has a preset value.
    fn needed<T>(&self, setting: &'static Setting, rule: impl Fn(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        self.one(setting, rule)?.ok_or_else(|| missing(setting, "it has no default"))
    }

    fn list<T>(
        &self,
        setting: &'static Setting,
        rule: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(given) = self.0.get(setting) else { return Ok(Vec::new()) };
        given.texts.iter().map(|text| rule(text).map_err(|rule| invalid(setting, &given, rule))).collect()
    }

    fn text(&self, setting: &'static Setting) -> Result<Option<String>, ConfigError> {
        self.one(setting, |text| Ok(text.to_owned()))
    }

    fn path(&self, setting: &'static Setting) -> Result<Option<PathBuf>, ConfigError> {
        self.one(setting, |text| Ok(PathBuf::from(text)))
    }

    /// A word that is one of the setting's choices.
    fn choice(&self, setting: &'static Setting) -> Result<String, ConfigError> {
        self.needed(setting, |text| match setting.kind {
            Kind::Choice(words) if !words.contains(&text) => {
                Err(format!("must be one of {}, not `{text}`", words.join(", ")))
            }
            _ => Ok(text.to_owned()),
        })
    }

    fn integer<T: TryFrom<u64>>(&self, setting: &'static Setting) -> Result<T, ConfigError> {
        self.optional_integer(setting)?.ok_or_else(|| missing(setting, "it has no default"))
    }

    fn optional_integer<T: TryFrom<u64>>(&self, setting: &'static Setting) -> Result<Option<T>, ConfigError> {
        self.one(setting, |text| {
            let (min, max) = match setting.kind {
                Kind::Integer { min, max, .. } => (min, max),
                _ => (0, u64::MAX),
            };
            // TOML allows `1_000`.
            let number = text.replace('_', "").parse().ok().filter(|number| (min..=max).contains(number));
            number
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| format!("must be a whole number from {min} to {max}, not `{text}`"))
        })
    }

    fn origin(&self, setting: &'static Setting) -> Origin {
        self.0.get(setting).map_or(Origin::Default, |given| given.origin)
    }

    /// Whether somebody said something, rather than the preset.
    fn is_given(&self, setting: &'static Setting) -> bool {
        self.0.get(setting).is_some_and(|given| given.origin != Origin::Default)
    }

    /// A refusal of what a setting says, for a rule between settings.
    fn refuse(&self, setting: &'static Setting, rule: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { origin: self.origin(setting), setting, rule: rule.into() }
    }
}

fn invalid(setting: &'static Setting, given: &Given, rule: String) -> ConfigError {
    ConfigError::Invalid { origin: given.origin.clone(), setting, rule }
}

fn missing(setting: &'static Setting, why: &str) -> ConfigError {
    ConfigError::Missing { setting, why: why.to_owned() }
}

fn data_dir(values: &Values<'_>, surroundings: &Surroundings) -> Result<PathBuf, ConfigError> {
    if let Some(path) = values.path(&settings::DATA_DIR)? {
        return Ok(path);
    }
    if surroundings.is_root {
        return Ok(PathBuf::from("/var/lib/workrun"));
    }
    let base = surroundings
        .folder("XDG_DATA_HOME")
        .or_else(|| surroundings.folder("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("workrun"))
        .ok_or_else(|| missing(&settings::DATA_DIR, "neither XDG_DATA_HOME nor HOME names an absolute folder"))
}

fn root_key(values: &Values<'_>, surroundings: &Surroundings) -> Result<SecretSource, ConfigError> {
    if let Some(credential) = credential(surroundings, "root-key") {
        return Ok(credential);
    }
    if let Some(value) = surroundings.variable("WORKRUN_ROOT_KEY") {
        let text = value.to_str().ok_or_else(|| ConfigError::Invalid {
            origin: Origin::Variable("WORKRUN_ROOT_KEY".to_owned()),
            setting: &settings::ROOT_KEY_FILE,
            rule: "is overridden by a value that is not UTF-8".to_owned(),
        })?;
        return Ok(SecretSource::Environment(Zeroizing::new(text.to_owned())));
    }
    if let Some(path) = values.path(&settings::ROOT_KEY_FILE)? {
        return Ok(SecretSource::File(path));
    }
    config_folder(surroundings)
        .map(|folder| SecretSource::File(folder.join("root.key")))
        .ok_or_else(|| missing(&settings::ROOT_KEY_FILE, "neither XDG_CONFIG_HOME nor HOME names an absolute folder"))
}

/// Two times of one day.
fn window(text: &str) -> Result<(Time, Time), String> {
    let rule = || format!("must be two times of a day such as 12:00-13:00, not `{text}`");
    let (from, to) = text.split_once('-').ok_or_else(rule)?;
    let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| rule());
    let (from, to) = (time(from)?, time(to)?);
    if from < to { Ok((from, to)) } else { Err(format!("must begin before it ends, unlike `{text}`")) }
}

/// A level, and levels for rooms. A bare word must be a level: `Targets` would take `infoo` for a room to trace.
fn log_level(text: &str) -> Result<Targets, String> {
    let bare = text.split(',').filter(|part| !part.contains('='));
    let levels_only = bare.into_iter().all(|part| part.trim().parse::<LevelFilter>().is_ok());
    text.parse::<Targets>()
        .ok()
        .filter(|_| levels_only)
        .ok_or_else(|| format!("must be a level such as `info`, or `room=level` with commas between, not `{text}`"))
}

/// The service manager's credential of that name, if it gave one.
fn credential(surroundings: &Surroundings, name: &str) -> Option<SecretSource> {
    let path = surroundings.folder("CREDENTIALS_DIRECTORY")?.join(name);
    path.exists().then_some(SecretSource::Credential(path))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("must be an address with a port, such as 127.0.0.1:8443 or [::1]:8443, not `{text}`"))
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    let wrong = |what: &str| Err(format!("must be an address such as https://work.example.jp, and `{text}` {what}"));
    let Ok(url) = Url::parse(text) else { return wrong("is no URL") };
    if !matches!(url.scheme(), "https" | "http") {
        return wrong("is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("carries a user name");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("goes on after the host; the appliance needs a host of its own");
    }
    Ok(PublicUrl(url))
}

/// A DNS name in its ASCII form, or an address.
fn server_name(text: &str) -> Result<String, String> {
    let bracketless = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bracketless.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) if is_host_name(&name) => Ok(name),
        _ => Err(format!("must be a host name or an address, and `{text}` is neither")),
    }
}

/// Letters, digits and hyphens in labels of 1 to 63 (RFC 1123, section 2.1).
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Whether a public authority could certify the name: a DNS name, not of a zone that is reserved for private use
/// (RFC 6761, RFC 6762, RFC 8375; `internal` by ICANN).
fn is_public_name(name: &str) -> bool {
    const PRIVATE: [&str; 7] = ["localhost", "local", "internal", "test", "example", "invalid", "home.arpa"];
    name.parse::<IpAddr>().is_err()
        && name.contains('.')
        && !PRIVATE.iter().any(|zone| name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')))
}

fn tls(values: &Values<'_>, public_url: Option<&PublicUrl>, warnings: &mut Vec<String>) -> Result<Tls, ConfigError> {
    let mut names = values.list(&settings::TLS_NAMES, server_name)?;
    if names.is_empty()
        && let Some(url) = public_url
    {
        // An authority in brackets comes without them.
        names.push(server_name(url.host()).map_err(|rule| values.refuse(&settings::PUBLIC_URL, rule))?);
    }
    let cert = values.path(&settings::TLS_CERT_FILE)?;
    let key = values.path(&settings::TLS_KEY_FILE)?;
    let contact = values.one(&settings::ACME_CONTACT, mail_address)?;
    let wanted = values.choice(&settings::TLS)?;
    let mode = match wanted.as_str() {
        "auto" if cert.is_some() || key.is_some() => "files",
        "auto" if contact.is_some() && !names.is_empty() && names.iter().all(|name| is_public_name(name)) => "acme",
        "auto" => "internal",
        wanted => wanted,
    };
    if mode != "files" && (cert.is_some() || key.is_some()) {
        warnings.push(format!("tls is `{mode}`, so tls_cert_file and tls_key_file are not used"));
    }
    Ok(match mode {
        "acme" => {
            if let Some(address) = names.iter().find(|name| name.parse::<IpAddr>().is_ok()) {
                let rule = format!("is `acme`, which certifies DNS names only, and `{address}` is an address");
                return Err(values.refuse(&settings::TLS, rule));
            }
            if names.is_empty() {
                return Err(values.refuse(&settings::TLS, "is `acme`, which needs tls_names or public_url"));
            }
            Tls::Acme {
                names,
                directory: values.needed(&settings::ACME_DIRECTORY, https_url)?,
                contact,
                root_file: values.path(&settings::ACME_ROOT_FILE)?,
            }
        }
        "files" => match (cert, key) {
            (Some(cert), Some(key)) => Tls::Files { cert, key },
            (cert, _) => {
                let absent = if cert.is_none() { &settings::TLS_CERT_FILE } else { &settings::TLS_KEY_FILE };
                return Err(missing(absent, "certificate files come as a pair, tls_cert_file and tls_key_file"));
            }
        },
        "off" => Tls::Off,
        _ => Tls::Internal { names },
    })
}

/// Sessions and content never cross a network in clear.
fn check_clear_text(
    values: &Values<'_>,
    tls: &Tls,
    listen: &[SocketAddr],
    public_url: Option<&PublicUrl>,
) -> Result<(), ConfigError> {
    if *tls == Tls::Off
        && let Some(open) = listen.iter().find(|address| !address.ip().is_loopback())
    {
        let rule = format!(
            "is `off`, and {open} in `listen` can be reached from other machines: sessions would cross the network in \
             clear. Listen on 127.0.0.1 behind a proxy that encrypts, or use `internal`"
        );
        return Err(values.refuse(&settings::TLS, rule));
    }
    if let Some(url) = public_url.filter(|url| !url.is_https()) {
        let host = url.host().trim_matches(['[', ']']);
        if *tls != Tls::Off || !is_loopback_host(host) {
            let rule = format!("is `{url}`; http is for a loopback host with tls = \"off\" only, so write https");
            return Err(values.refuse(&settings::PUBLIC_URL, rule));
        }
    }
    Ok(())
}

fn is_loopback_host(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
        |address| address.is_loopback(),
    )
}

fn https_url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.has_host() => Ok(text.to_owned()),
        _ => Err(format!("must be an https URL, and `{text}` is not")),
    }
}

fn mail_address(text: &str) -> Result<String, String> {
    match text.parse::<Address>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("must be a mail address, and `{text}` is not")),
    }
}

fn smtp(
    values: &Values<'_>,
    surroundings: &Surroundings,
    public_url: Option<&PublicUrl>,
) -> Result<Option<Smtp>, ConfigError> {
    let Some(host) = values.one(&settings::SMTP_HOST, server_name)? else {
        let others = settings::ALL.iter().filter(|setting| setting.name.starts_with("smtp_"));
        return match others.copied().find(|setting| values.is_given(setting)) {
            Some(setting) => Err(values.refuse(setting, "is given, but no smtp_host to use it with")),
            None => Ok(None),
        };
    };
    let tls = match values.choice(&settings::SMTP_TLS)?.as_str() {
        "implicit" => SmtpTls::Implicit,
        "none" => SmtpTls::None,
        _ => SmtpTls::StartTls,
    };
    if tls == SmtpTls::None && !is_loopback_host(&host) {
        let rule = format!("is `none`, and {host} is another machine: sign-in codes would cross the network in clear");
        return Err(values.refuse(&settings::SMTP_TLS, rule));
    }
    let from = values
        .one(&settings::SMTP_FROM, |text| {
            text.parse::<Mailbox>()
                .map_err(|_| format!("must be a mail address, alone or as `Name <address>`, and `{text}` is not"))
        })?
        .ok_or_else(|| missing(&settings::SMTP_FROM, "smtp_host is, and mail needs a sender"))?;
    let password = match credential(surroundings, "smtp-password") {
        Some(credential) => Some(credential),
        None => values.path(&settings::SMTP_PASSWORD_FILE)?.map(SecretSource::File),
    };
    let sign_in = match (values.text(&settings::SMTP_USER)?, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(missing(
                &settings::SMTP_PASSWORD_FILE,
                "smtp_user is, and its password has to come from a file",
            ));
        }
        (None, Some(_)) => return Err(missing(&settings::SMTP_USER, "a password for the mail server is")),
    };
    let port = values.optional_integer(&settings::SMTP_PORT)?.unwrap_or(match tls {
        SmtpTls::StartTls => 587,
        SmtpTls::Implicit => 465,
        SmtpTls::None => 25,
    });
    let hello = public_url.and_then(PublicUrl::domain).unwrap_or("localhost").to_owned();
    let root_file = values.path(&settings::SMTP_ROOT_FILE)?;
    Ok(Some(Smtp { host, port, tls, sign_in, from, root_file, hello }))
}
