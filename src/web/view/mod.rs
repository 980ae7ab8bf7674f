//! What pages show: one struct a template, holding ready text and nothing to decide. Handlers fill them, templates lay
//! them out.

use crate::web::words::Words;

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
}

/// A toast: what happened, and how to take it back.
pub struct Flash {
    pub text: String,
    /// Where a POST undoes it.
    pub undo: Option<String>,
}
