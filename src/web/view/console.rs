//! The operators' console: names and sizes of organizations and the state of the appliance, never content.

use askama::Template;

use super::{Chrome, form::Input, people::Use};

/// `GET /console`.
#[derive(Template)]
#[template(path = "console/overview.html")]
pub struct Overview {
    pub chrome: Chrome,
    pub version: String,
    pub uptime: String,
    pub tiles: Vec<Tile>,
    /// The gravest first.
    pub alerts: Vec<Alert>,
}

/// One figure.
pub struct Tile {
    pub name: String,
    pub figure: String,
    /// Smaller and lighter than the figure; may be empty.
    pub unit: String,
    /// What it is measured against, or since when; may be empty.
    pub note: String,
    pub state: State,
    /// The page that has more of it.
    pub href: Option<&'static str>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing to judge, such as a version.
    Plain,
    Ok,
    Warn,
    Bad,
}

impl State {
    /// Name among the icons.
    #[must_use]
    pub fn icon(self) -> &'static str {
        match self {
            Self::Plain => "info",
            Self::Ok => "okc",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// Class that colours the mark.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// Message that names it; none for what is not judged.
    #[must_use]
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Ok => Some("console-state-ok"),
            Self::Warn => Some("console-state-warn"),
            Self::Bad => Some("console-state-bad"),
        }
    }
}

/// Something that an operator should do.
pub struct Alert {
    pub state: State,
    pub title: String,
    pub text: String,
    /// What to run on the server, where that is the way.
    pub command: Option<String>,
    /// Since when; may be empty.
    pub when: String,
}

/// `GET /console/organizations`. Posts `name` and `owner` to the same path.
#[derive(Template)]
#[template(path = "console/organizations.html")]
pub struct Organizations {
    pub chrome: Chrome,
    pub organizations: Vec<OrganizationRow>,
    pub name: Input,
    pub owner: Input,
    /// The organization just made: shown in the answer to its creation and never again.
    pub made: Option<MadeOrganization>,
}

/// An organization as operators see it.
pub struct OrganizationRow {
    pub id: String,
    pub name: String,
    pub members: String,
    pub cards: String,
    /// With its unit.
    pub size: String,
    pub used: String,
}

/// `GET /console/organizations/{org}`. Posts the limits to the same path.
#[derive(Template)]
#[template(path = "console/organization.html")]
pub struct OneOrganization {
    pub chrome: Chrome,
    pub org: String,
    pub name: String,
    pub uses: Vec<Use>,
    pub limits: Vec<LimitInput>,
}

/// A limit that operators set.
pub struct LimitInput {
    /// What is sent.
    pub name: &'static str,
    pub label: String,
    pub input: Input,
}

/// A new organization, and the way in for its owner.
pub struct MadeOrganization {
    pub name: String,
    pub owner: String,
    /// The invitation's address.
    pub link: String,
    /// Whether the invitation also went out by mail.
    pub mailed: bool,
}

/// `GET /console/mail`: the outbox without subjects and bodies.
#[derive(Template)]
#[template(path = "console/mail.html")]
pub struct MailQueue {
    pub chrome: Chrome,
    pub mails: Vec<MailRow>,
    /// Whether a server is configured at all.
    pub mail_works: bool,
}

/// A mail that waits.
pub struct MailRow {
    pub to: String,
    /// Name of its kind in the reader's language.
    pub kind: String,
    pub since: String,
    pub tries: u32,
    /// When it is tried next.
    pub next: String,
    /// What the server last said; empty before the first try.
    pub error: String,
}
