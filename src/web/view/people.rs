//! Members and invitations, an organization's settings, one's own profile.

use askama::Template;

use super::{
    Chrome,
    form::{Choice, Input},
};

/// `GET /o/{org}/members`.
#[derive(Template)]
#[template(path = "people/members.html")]
pub struct Members {
    pub chrome: Chrome,
    pub org: String,
    pub org_name: String,
    pub members: Vec<MemberRow>,
    pub invitations: Vec<InvitationRow>,
    /// For those who may invite. Posts `mail` and `role` to `/o/{org}/invitations`.
    pub invite: Option<InviteForm>,
    /// Whether the appliance can send invitations at all.
    pub mail_works: bool,
    /// The last owner cannot leave.
    pub may_leave: bool,
}

/// A member of the organization.
pub struct MemberRow {
    pub id: String,
    pub name: String,
    pub initial: String,
    /// 1 to 4: the avatar's hue.
    pub hue: u8,
    pub mail: String,
    /// Name of the role in the reader's language.
    pub role: String,
    pub joined: String,
    /// The row is the reader's own.
    pub me: bool,
    /// Roles that the reader may give; empty where they may not change it.
    pub roles: Vec<Choice>,
    pub removable: bool,
    /// The organization's only owner, whom nobody can demote or remove.
    pub last_owner: bool,
}

/// An invitation that waits for an answer.
pub struct InvitationRow {
    pub id: String,
    pub mail: String,
    pub role: String,
    pub sent: String,
    pub expires: String,
    pub expired: bool,
}

/// The form that invites, with what was typed if it was refused.
pub struct InviteForm {
    pub mail: Input,
    pub roles: Vec<Choice>,
}

/// `GET /o/{org}/settings`.
#[derive(Template)]
#[template(path = "people/settings.html")]
pub struct Settings {
    pub chrome: Chrome,
    pub org: String,
    pub name: Input,
    pub tokens: Vec<TokenRow>,
    pub new_token: TokenForm,
    /// The token just made: shown in the answer to its creation and never again.
    pub made: Option<MadeToken>,
    /// What is used of what the operators allow.
    pub uses: Vec<Use>,
    pub audit: Vec<AuditRow>,
}

/// How much is used of one thing.
pub struct Use {
    pub what: String,
    pub used: String,
    pub allowed: String,
    /// From 0 to 100; none where use is not counted.
    pub percent: Option<u8>,
}

/// An API token, without its secret.
pub struct TokenRow {
    pub id: String,
    pub name: String,
    pub role: String,
    pub by: String,
    pub made: String,
    pub expires: String,
    pub expired: bool,
}

/// The form that makes a token. Posts `name`, `role` and `days` to `/o/{org}/tokens`.
pub struct TokenForm {
    pub name: Input,
    pub roles: Vec<Choice>,
    pub days: Vec<Choice>,
}

/// A token with its secret.
pub struct MadeToken {
    pub name: String,
    pub token: String,
}

/// An entry of the audit log.
pub struct AuditRow {
    pub when: String,
    pub who: String,
    pub what: String,
}

/// `GET /profile`.
#[derive(Template)]
#[template(path = "people/profile.html")]
pub struct Profile {
    pub chrome: Chrome,
    pub mail: String,
    /// Posts `language` and `theme` to `/profile`.
    pub languages: Vec<Choice>,
    pub themes: Vec<Choice>,
    pub names: Vec<ProfileName>,
    pub sessions: Vec<SessionRow>,
}

/// One's name in an organization. Posts `name` to `/o/{org}/profile`.
pub struct ProfileName {
    pub org: String,
    pub org_name: String,
    pub name: Input,
}

/// A signed-in browser.
pub struct SessionRow {
    pub id: String,
    /// Browser and system, e.g. `Firefox ・ Windows`.
    pub client: String,
    pub began: String,
    pub seen: String,
    /// The one that reads this page.
    pub current: bool,
}
