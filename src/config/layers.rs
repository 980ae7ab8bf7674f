//! The three sources, read and laid over one another: what was given, where, still as text.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{ConfigError, Origin},
    settings::{self, Kind, Preset, Setting},
};

/// What the command line said about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file named with `--config`.
    pub config: Option<PathBuf>,
    /// Settings and their values, one value each except for lists.
    pub values: Vec<(&'static Setting, Vec<String>)>,
}

/// What the process finds around itself, so that tests can put something else there.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The environment's variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// Whether the process acts as root.
    pub is_root: bool,
    /// The working folder, to which relative paths from flags and variables belong.
    pub working_dir: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// If the working folder does not exist any more.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self {
            variables: env::vars_os().collect(),
            is_root: rustix::process::geteuid().is_root(),
            working_dir: env::current_dir()?,
        })
    }

    /// A variable's value; an empty one counts as not set.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.get(std::ffi::OsStr::new(name)).filter(|value| !value.is_empty())
    }

    /// A folder named by a variable, if its path is absolute (the XDG base directories are to be ignored otherwise).
    #[must_use]
    pub fn folder(&self, variable: &str) -> Option<PathBuf> {
        self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// A value and where it was given. A scalar is a list of one.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub texts: Vec<String>,
    pub origin: Origin,
}

/// All that was given, each setting once, from the highest source that has it.
#[derive(Debug)]
pub(super) struct Layers {
    given: BTreeMap<&'static str, Given>,
    /// Odd but harmless.
    pub warnings: Vec<String>,
}

impl Layers {
    pub fn read(flags: &Flags, surroundings: &Surroundings) -> Result<Self, ConfigError> {
        let mut layers = Self { given: BTreeMap::new(), warnings: Vec::new() };
        layers.read_file(flags, surroundings)?;
        layers.read_environment(surroundings)?;
        for (setting, texts) in &flags.values {
            let origin = Origin::Flag(setting.flag().unwrap_or_default());
            layers.put(setting, texts.clone(), origin, &surroundings.working_dir)?;
        }
        Ok(layers)
    }

    /// What was given for a setting, or else its preset value.
    pub fn get(&self, setting: &'static Setting) -> Option<Given> {
        self.given.get(setting.name).cloned().or_else(|| match (&setting.default, &setting.kind) {
            (Preset::Value(text), Kind::List) => {
                Some(Given { texts: text.split(',').map(str::to_owned).collect(), origin: Origin::Default })
            }
            (Preset::Value(text), _) => Some(Given { texts: vec![(*text).to_owned()], origin: Origin::Default }),
            (Preset::Unset | Preset::Found(_), _) => None,
        })
    }

    fn read_file(&mut self, flags: &Flags, surroundings: &Surroundings) -> Result<(), ConfigError> {
        let named = flags
            .config
            .clone()
            .or_else(|| surroundings.variable("WORKRUN_CONFIG").map(PathBuf::from))
            .map(|path| surroundings.working_dir.join(path));
        let Some(path) = named.clone().or_else(|| usual_file(surroundings)) else { return Ok(()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(()),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        self.read_toml(&path, &text)
    }

    fn read_toml(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table = DeTable::parse(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| position(text, span.start));
            ConfigError::Syntax {
                path: path.to_owned(),
                line,
                column,
                message: error.message().trim().replace('\n', "; "),
            }
        })?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        for (key, value) in table.get_ref() {
            let origin = Origin::File { path: path.to_owned(), line: position(text, key.span().start).0 };
            let Some(setting) = settings::find(key.get_ref()) else {
                return Err(unknown(origin, key.get_ref(), value));
            };
            let texts =
                texts(setting, value).map_err(|rule| ConfigError::Invalid { origin: origin.clone(), setting, rule })?;
            self.put(setting, texts, origin, folder)?;
        }
        Ok(())
    }

    fn read_environment(&mut self, surroundings: &Surroundings) -> Result<(), ConfigError> {
        for setting in settings::ALL {
            let variable = setting.variable();
            let Some(value) = surroundings.variable(&variable) else { continue };
            let origin = Origin::Variable(variable);
            let Some(value) = value.to_str() else {
                return Err(ConfigError::Invalid { origin, setting, rule: "must be UTF-8".to_owned() });
            };
            let texts = match setting.kind {
                Kind::List => value.split(',').map(|item| item.trim().to_owned()).collect(),
                _ => vec![value.to_owned()],
            };
            self.put(setting, texts, origin, &surroundings.working_dir)?;
        }
        self.warn_of_strays(surroundings);
        Ok(())
    }

    /// A variable with our prefix that is no setting is only warned of: container platforms put names such as
    /// `WORKRUN_PORT` and `WORKRUN_SERVICE_HOST` there for a service called workrun.
    fn warn_of_strays(&mut self, surroundings: &Surroundings) {
        for name in surroundings.variables.keys().filter_map(|name| name.to_str()) {
            let Some(rest) = name.strip_prefix("WORKRUN_") else { continue };
            if matches!(rest, "CONFIG" | "ROOT_KEY") || rest.starts_with("TEST_") {
                continue;
            }
            let key = rest.to_lowercase();
            if settings::find(&key).is_none()
                && let Some(near) = settings::nearest(&key)
            {
                let meant = settings::find(near).map(Setting::variable).unwrap_or_default();
                self.warnings.push(format!("the environment variable {name} is no setting; the nearest is {meant}"));
            }
        }
    }

    /// Takes a value, over what a lower source gave. Empty counts as not given.
    fn put(
        &mut self,
        setting: &'static Setting,
        mut texts: Vec<String>,
        origin: Origin,
        folder: &Path,
    ) -> Result<(), ConfigError> {
        texts.retain(|text| !text.is_empty());
        if texts.is_empty() {
            return Ok(());
        }
        if texts.iter().any(|text| text.contains(char::is_control)) {
            let rule = "must be one line without control characters".to_owned();
            return Err(ConfigError::Invalid { origin, setting, rule });
        }
        if setting.kind == Kind::Path {
            for text in &mut texts {
                let path = folder.join(&*text);
                let absolute = path.into_os_string().into_string();
                *text = absolute.map_err(|_| ConfigError::Invalid {
                    origin: origin.clone(),
                    setting,
                    rule: format!("is relative to the folder {}, whose name is not UTF-8", folder.display()),
                })?;
            }
        }
        self.given.insert(setting.name, Given { texts, origin });
        Ok(())
    }
}

/// `config.toml` where it is looked for when nobody names one.
fn usual_file(surroundings: &Surroundings) -> Option<PathBuf> {
    super::values::config_folder(surroundings).map(|folder| folder.join("config.toml"))
}

/// Line and column of a byte, both from 1; the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The refusal of a key; that of a table names its first entry, since `[smtp]` with `host` means `smtp_host`.
fn unknown(origin: Origin, key: &str, value: &Spanned<DeValue<'_>>) -> ConfigError {
    let key = match value.get_ref() {
        DeValue::Table(table) => {
            table.keys().next().map_or_else(|| key.to_owned(), |inner| format!("{key}.{}", inner.get_ref()))
        }
        _ => key.to_owned(),
    };
    ConfigError::UnknownKey { origin, nearest: settings::nearest(&key), key }
}

/// A TOML value as texts, if it has the setting's type.
fn texts(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    match (&setting.kind, value.get_ref()) {
        (Kind::Text | Kind::Path | Kind::Choice(_), DeValue::String(text)) => Ok(vec![text.to_string()]),
        (Kind::Integer { .. }, DeValue::Integer(number)) if number.radix() == 10 => {
            Ok(vec![number.as_str().to_owned()])
        }
        (Kind::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(format!("must be a list of texts, like [\"…\"], and holds a {}", other.type_str())),
            })
            .collect(),
        (Kind::Text | Kind::Path | Kind::Choice(_), other) => {
            Err(format!("must be text in quotes, not a {}", other.type_str()))
        }
        (Kind::Integer { .. }, other) => Err(format!("must be a plain whole number, not a {}", other.type_str())),
        (Kind::List, other) => Err(format!("must be a list of texts, like [\"…\"], not a {}", other.type_str())),
    }
}
