//! Putting a mail into words.

use jiff::tz::TimeZone;

use super::MailKind;
use crate::{clock::Timestamp, web::words::Language};

/// Subject and body of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub subject: String,
    pub body: String,
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Writes a mail to `to` in a language (a BCP 47 tag), its times in `zone`.
#[must_use]
pub fn write(kind: &MailKind, to: &str, language: &str, zone: &TimeZone) -> Letter {
    let words = Language::from_tag(language).unwrap_or(Language::Japanese).words();
    let role_word = |role: &str| words.text(&format!("role-{role}"));
    let (stem, values): (&str, Vec<(&str, String)>) = match kind {
        MailKind::SignIn { code, link, asked_at, agent, address } => (
            "mail-code",
            vec![
                ("code", code.clone()),
                ("link", link.clone()),
                ("when", moment(*asked_at, zone)),
                ("client", agent.clone()),
                ("address", address.clone()),
            ],
        ),
        MailKind::Invitation { organization, inviter, role, link, expires_at } => (
            "mail-invitation",
            vec![
                ("org", organization.clone()),
                ("inviter", inviter.clone()),
                ("role", role_word(role)),
                ("link", link.clone()),
                ("expires", moment(*expires_at, zone)),
                ("mail", to.to_owned()),
            ],
        ),
        MailKind::TokenMade { organization, name, role, expires_at, made_at, link } => (
            "mail-token",
            vec![
                ("org", organization.clone()),
                ("name", name.clone()),
                ("role", role_word(role)),
                ("expires", moment(*expires_at, zone)),
                ("actor", words.text("mail-actor-server")),
                ("when", moment(*made_at, zone)),
                ("link", link.clone()),
            ],
        ),
        MailKind::SignInLinkMade { organization, member, made_at, link } => (
            "mail-link",
            vec![
                ("org", organization.clone()),
                ("subject", member.clone()),
                ("when", moment(*made_at, zone)),
                ("link", link.clone()),
            ],
        ),
        MailKind::Founded { organization, link } => {
            ("mail-founded", vec![("org", organization.clone()), ("link", link.clone()), ("mail", to.to_owned())])
        }
        MailKind::Alert { name, detail, at, link } => (
            "mail-operator",
            vec![
                ("alert", words.text(&format!("alert-{name}"))),
                ("detail", detail.clone()),
                ("host", link.split('/').nth(2).unwrap_or_default().to_owned()),
                ("when", moment(*at, zone)),
                ("link", link.clone()),
            ],
        ),
        MailKind::Removed { organization, actor, removed_at } => (
            "mail-removed",
            vec![("org", organization.clone()), ("actor", actor.clone()), ("when", moment(*removed_at, zone))],
        ),
    };
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Letter {
        subject: words.fill(&format!("{stem}-subject"), &values),
        body: words.fill(&format!("{stem}-body"), &values),
    }
}
