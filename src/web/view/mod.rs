//! What pages show: one struct a template, holding ready text and nothing to decide. Handlers fill them, templates lay
//! them out.

pub mod api_docs;
pub mod board;
pub mod board_settings;
pub mod card;
pub mod console;
pub mod error;
pub mod form;
pub mod gate;
pub mod home;
pub mod hooks;
pub mod list;
pub mod parts;
pub mod people;
#[cfg(test)]
mod preview;
#[cfg(test)]
mod rooms_preview;
pub mod shelf;
pub mod snapshots;

use std::{borrow::Borrow, fmt};

use askama::{Template, filters::HtmlSafe};

use crate::web::{assets, words::Words};

/// Words that scripts say; they stand in `<meta name="words">` as JSON, with arguments left as `{name}`.
const SCRIPT_WORDS: [&str; 25] = [
    "js-archive",
    "js-archived",
    "js-assigned",
    "js-back",
    "js-changed",
    "js-commented",
    "js-copied",
    "js-created",
    "js-drawer-changed",
    "js-error",
    "js-here",
    "js-labelled",
    "js-loading",
    "js-move-to",
    "js-moved",
    "js-moved-to",
    "js-not-moved",
    "js-not-saved",
    "js-offline",
    "js-open",
    "js-reloaded",
    "js-removed",
    "js-restored",
    "js-show",
    "js-undo",
];

/// What every page has around its content.
pub struct Chrome {
    /// Words of the reader's language.
    pub words: &'static Words,
    /// `auto`, `light` or `dark`.
    pub theme: &'static str,
    /// Who is signed in, if anybody.
    pub me: Option<Me>,
    /// The organization that the page belongs to, if any.
    pub org: Option<OrgNav>,
    /// Which entry of the menu is current.
    pub section: Section,
    /// Stands on error pages and in the log.
    pub request_id: String,
    /// A short-lived notice ("saved", "moved to the trash"), shown as a toast.
    pub flash: Option<Flash>,
}

impl Chrome {
    /// The message `key`.
    #[must_use]
    pub fn t(&self, key: &str) -> String {
        self.words.text(key)
    }

    /// The message `key` for a number, as its argument `n`.
    #[must_use]
    pub fn n(&self, key: &str, n: impl Borrow<u64>) -> String {
        self.words.with(key, "n", *n.borrow())
    }

    /// The message `key` with the text argument `name`.
    #[must_use]
    pub fn with(&self, key: &str, name: &str, value: &str) -> String {
        self.words.with(key, name, value)
    }

    /// The icon `name` of `assets/icons/sprite.svg`; it says nothing to a screen reader, so a word stands beside it.
    #[must_use]
    pub fn i<'n>(&self, name: &'n str) -> Icon<'n> {
        Icon { name, class: "" }
    }

    /// The icon `name` with another class, such as `i-20` or `st-doing`.
    #[must_use]
    pub fn ic<'n>(&self, name: &'n str, class: &'n str) -> Icon<'n> {
        Icon { name, class }
    }

    /// The address of a style sheet, script or icon.
    #[must_use]
    pub fn href(&self, path: &str) -> String {
        assets::href(path)
    }

    /// Addresses of all script modules.
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        assets::modules()
    }

    /// What scripts say, as JSON.
    #[must_use]
    pub fn script_words(&self) -> String {
        let names = ["actor", "number", "status"];
        let holes = names.map(|name| (name, format!("{{{name}}}")));
        let holes: Vec<(&str, &str)> = holes.iter().map(|(name, hole)| (*name, hole.as_str())).collect();
        let words: serde_json::Map<_, _> =
            SCRIPT_WORDS.iter().map(|key| ((*key).to_owned(), self.words.fill(key, &holes).into())).collect();
        serde_json::Value::Object(words).to_string()
    }

    /// Whether the menu shows the operators' pages.
    #[must_use]
    pub fn in_console(&self) -> bool {
        matches!(
            self.section,
            Section::Console | Section::ConsoleOrganizations | Section::ConsoleSnapshots | Section::ConsoleMail
        )
    }

    /// The menu beside the page.
    #[must_use]
    pub fn side(&self) -> Side<'_> {
        Side { chrome: self }
    }

    /// The menu below the page, on a phone.
    #[must_use]
    pub fn tabs(&self) -> Tabs<'_> {
        Tabs { chrome: self }
    }

    /// `aria-current` for an entry of the menu.
    #[must_use]
    pub fn current(&self, section: Section) -> Current {
        Current(self.section == section)
    }
}

/// The menu beside a page: a template of its own, since what pages extend is compiled anew for each of them.
#[derive(Template)]
#[template(path = "side.html")]
pub struct Side<'c> {
    chrome: &'c Chrome,
}

/// The menu below a page, on a phone.
#[derive(Template)]
#[template(path = "tabs.html")]
pub struct Tabs<'c> {
    chrome: &'c Chrome,
}

/// A drawing from the sprite.
pub struct Icon<'n> {
    name: &'n str,
    class: &'n str,
}

impl fmt::Display for Icon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.class.is_empty() { "" } else { " " };
        let sprite = assets::href("icons/sprite.svg");
        write!(
            f,
            r#"<svg class="i{space}{}" aria-hidden="true"><use href="{sprite}#{}"/></svg>"#,
            self.class, self.name
        )
    }
}

// Names and classes come from templates and enums, never from people.
impl HtmlSafe for Icon<'_> {}

/// Writes ` aria-current="page"` for the place where the reader is.
pub struct Current(bool);

impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 { f.write_str(r#" aria-current="page""#) } else { Ok(()) }
    }
}

impl HtmlSafe for Current {}

/// The signed-in person, as the foot of the sidebar shows them.
pub struct Me {
    pub name: String,
    /// First letter, for the avatar.
    pub initial: String,
    /// 1 to 4: the avatar's hue.
    pub hue: u8,
    /// Role in the organization of the page, in the reader's language; empty outside one.
    pub role: String,
    /// May open the operators' console.
    pub operator: bool,
}

/// An organization in the sidebar.
pub struct OrgNav {
    pub id: String,
    pub name: String,
    /// First character of the name.
    pub mark: String,
    /// The other organizations of the reader, as (id, name).
    pub others: Vec<(String, String)>,
    pub boards: Vec<BoardNav>,
    /// Owners and admins see members' and organization settings.
    pub admin: bool,
    pub may_create_boards: bool,
}

impl OrgNav {
    /// How many organizations the reader belongs to.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.others.len() as u64 + 1
    }
}

/// A board in the sidebar.
pub struct BoardNav {
    pub id: String,
    pub name: String,
    /// Cards on the board that are neither archived nor in the trash.
    pub cards: u64,
    pub current: bool,
}

/// An entry of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    None,
    Home,
    Board,
    Members,
    Settings,
    Profile,
    Console,
    ConsoleOrganizations,
    ConsoleMail,
    ConsoleSnapshots,
}

/// A toast: what happened, and how to take it back.
pub struct Flash {
    pub text: String,
    /// Where a POST undoes it.
    pub undo: Option<String>,
}
