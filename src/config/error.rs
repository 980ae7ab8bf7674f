//! What can be wrong with a configuration, and where it stands.

use std::{fmt, io, path::PathBuf};

use super::settings::Setting;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file, at this line (the first is 1).
    File { path: PathBuf, line: usize },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag(String),
    /// Nowhere: the built-in value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("built-in value"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing though it was named, or cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is not TOML.
    #[error("{}, line {line}, column {column}: not TOML: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, message: String },
    /// The file holds a key that is no setting.
    #[error("{origin}: `{key}` is not a setting{}", nearest.map(|name| format!("; the nearest is `{name}`")).unwrap_or_default())]
    UnknownKey { origin: Origin, key: String, nearest: Option<&'static str> },
    /// A value breaks the rule of its setting.
    #[error("{origin}: `{}` {rule}", setting.name)]
    Invalid { origin: Origin, setting: &'static Setting, rule: String },
    /// A setting has neither a value nor a way to find one.
    #[error("`{}` is not set: {why}", setting.name)]
    Missing { setting: &'static Setting, why: String },
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Read { .. } => "name a readable file with --config, or none".to_owned(),
            Self::Syntax { .. } => "text stands in quotes, one `key = value` a line".to_owned(),
            Self::UnknownKey { nearest: Some(name), .. } => format!("write `{name}`, or remove the line"),
            Self::UnknownKey { nearest: None, .. } => {
                "remove it; the settings are listed in docs/guide/configuration.md".to_owned()
            }
            Self::Invalid { origin: Origin::Default, setting, .. } | Self::Missing { setting, .. } => {
                format!("set `{}` in the file, or {}", setting.name, setting.variable())
            }
            Self::Invalid { origin, .. } => format!("change it ({origin})"),
        }
    }

    /// Whether the command line itself is what has to change.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Invalid { origin: Origin::Flag(_), .. })
    }
}
