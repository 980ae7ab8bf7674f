//! Pages in front of the door: signing in by mail, the operator's link, invitations.

use askama::Template;

use super::{Chrome, form::Input};

/// `GET /sign-in`: asks for a mail address. Posts `mail` and `next` to the same path.
#[derive(Template)]
#[template(path = "gate/sign_in.html")]
pub struct SignIn {
    pub chrome: Chrome,
    pub mail: Input,
    /// Path to go to after signing in.
    pub next: String,
    /// Whether the appliance can send the code at all.
    pub mail_works: bool,
    /// The internal authority's certificate, where it is the one in use.
    pub authority: Option<Authority>,
    /// Name of this appliance, as in its address.
    pub host: String,
}

/// The internal certificate authority, as the foot of the sign-in page explains it.
pub struct Authority {
    /// SHA-256 of the certificate in colon-separated hexadecimal.
    pub fingerprint: String,
}

/// `GET /sign-in/code`: asks for the code that was mailed. Posts `code` to the same path; `POST /sign-in/resend` mails
/// another.
#[derive(Template)]
#[template(path = "gate/sign_in_code.html")]
pub struct SignInCode {
    pub chrome: Chrome,
    /// The address that was typed, known to the appliance or not.
    pub mail: String,
    /// Why the last code was refused.
    pub error: Option<String>,
    /// What a resend did.
    pub notice: Option<String>,
    /// Whether another code may be asked for now.
    pub may_resend: bool,
    /// Whether the appliance can send the code at all.
    pub mail_works: bool,
    pub host: String,
}

/// `GET /sign-in/link?t=…`: asks for one press of a button, since mail scanners open links. Posts `t` to the path without
/// its query.
#[derive(Template)]
#[template(path = "gate/sign_in_link.html")]
pub struct SignInLink {
    pub chrome: Chrome,
    pub state: LinkState,
    pub host: String,
}

/// What a sign-in link is good for.
pub enum LinkState {
    /// This browser may use it.
    Confirm {
        token: String,
        /// Whose account it opens, where that may be told.
        mail: Option<String>,
    },
    /// It makes the appliance's first operator, who has no profile yet. Posts `name` and `mail` too.
    FirstOperator { token: String, name: Input, mail: Input },
    /// It was asked for in another browser.
    OtherBrowser,
    /// It is expired, used or unknown.
    Spent,
}

/// `GET /invitations/{token}`: what joining means, and the way there. Posts `name` to `…/acceptance`.
#[derive(Template)]
#[template(path = "gate/invitation.html")]
pub struct InvitationPage {
    pub chrome: Chrome,
    /// This page's own path, to come back to.
    pub here: String,
    pub state: InvitationState,
    pub host: String,
}

/// What an invitation is good for, to the reader.
pub enum InvitationState {
    /// Open, and the reader is a stranger.
    SignedOut {
        invitation: Invitation,
        /// The sign-in page with the address filled in and this page as the next.
        sign_in: String,
    },
    /// Open, and the reader is whom it was sent to.
    Join { invitation: Invitation, token: String, name: Input },
    /// Open, but the reader has signed in with the address `current`.
    OtherAccount { invitation: Invitation, current: String },
    /// Its time ran out.
    Expired { invitation: Invitation },
    /// An admin withdrew it.
    Revoked,
    /// Somebody joined by it.
    Accepted,
    /// There is none with this token.
    Unknown,
}

impl InvitationState {
    /// Message that heads the page.
    fn title(&self) -> &'static str {
        match self {
            Self::SignedOut { .. } | Self::Join { .. } => "invitation-title",
            Self::OtherAccount { .. } => "invitation-other-title",
            Self::Expired { .. } => "invitation-expired-title",
            Self::Revoked => "invitation-revoked-title",
            Self::Accepted => "invitation-accepted-title",
            Self::Unknown => "invitation-unknown-title",
        }
    }
}

/// An invitation as its page shows it.
pub struct Invitation {
    pub org: String,
    pub inviter: String,
    /// Name of the role in the reader's language.
    pub role: String,
    /// Whom it was sent to.
    pub mail: String,
    /// Last moment, in the reader's language.
    pub expires: String,
}
