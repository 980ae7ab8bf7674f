//! Every page around the boards with sample data, in both languages: checked by tests, and written to disk to be looked
//! at (`cargo test preview -- --ignored`).

mod door;
mod inside;

use std::collections::BTreeSet;

use askama::Template;

use super::{
    BoardNav, Chrome, Me, OrgNav, Section,
    form::{Choice, Input},
    gate::SignIn,
    people::Use,
};
use crate::web::words::{Language, Words};

const HOST: &str = "workrun.example.jp";
const ORG: &str = "01k9x5t3c8w6m2q7r4n0b1d2e3";
const MAIL: &str = "tanto-a@example.jp";

/// The words of the sample in the reader's language.
struct Sample {
    words: &'static Words,
}

impl Sample {
    fn say(&self, japanese: &str, english: &str) -> String {
        match self.words.language() {
            Language::Japanese => japanese,
            Language::English => english,
        }
        .to_owned()
    }

    fn stranger(&self) -> Chrome {
        Chrome {
            words: self.words,
            theme: "auto",
            me: None,
            org: None,
            section: Section::None,
            request_id: "01k9x5t3c8".to_owned(),
            flash: None,
        }
    }

    fn member(&self, section: Section) -> Chrome {
        let me = Me {
            name: self.say("担当A", "Person A"),
            initial: "A".to_owned(),
            hue: 1,
            role: self.words.text("role-owner"),
            operator: true,
        };
        let board = |name: String, cards| BoardNav { id: "b1".to_owned(), name, cards, current: false };
        let org = OrgNav {
            id: ORG.to_owned(),
            name: self.say("見本商店", "Sample Trading"),
            mark: self.say("見", "S"),
            others: vec![("o2".to_owned(), self.say("見本工務店", "Sample Builders"))],
            boards: vec![
                board(self.say("問い合わせ対応", "Inquiries"), 11),
                board(self.say("受注・発送", "Orders"), 23),
            ],
            admin: true,
            may_create_boards: true,
        };
        let org = (!matches!(
            section,
            Section::Console | Section::ConsoleOrganizations | Section::ConsoleSnapshots | Section::ConsoleMail
        ))
        .then_some(org);
        Chrome { me: Some(me), org, section, ..self.stranger() }
    }

    fn uses(&self) -> Vec<Use> {
        let one = |what: &str, used: &str, allowed: &str, percent| Use {
            what: self.words.text(what),
            used: used.to_owned(),
            allowed: allowed.to_owned(),
            percent,
        };
        vec![
            one("quota-cards", "12,840", "1,000,000", Some(1)),
            one("quota-bytes", "18.6 GB", "20 GB", Some(93)),
            one("quota-members", "14", "5,000", Some(0)),
            one("quota-deliveries", "—", "600", None),
        ]
    }

    fn roles(&self) -> Vec<Choice> {
        Choice::roles(self.words, &["owner", "admin", "member", "guest"], "member")
    }
}

#[track_caller]
fn html(page: &impl Template) -> String {
    page.render().expect("a page renders")
}

/// Every page, as (name, HTML).
fn pages(language: Language) -> Vec<(String, String)> {
    let sample = Sample { words: language.words() };
    let mut pages = Vec::new();
    sample.gate(&mut pages);
    sample.home(&mut pages);
    sample.people(&mut pages);
    sample.hooks(&mut pages);
    sample.console(&mut pages);
    pages
}

/// The quoted texts that follow `prefix` in `text`.
fn quoted<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn pages_keep_to_the_content_security_policy() {
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        assert!(!html.contains(" style="), "{name}: an inline style");
        assert!(!html.contains("<style"), "{name}: an inline style sheet");
        assert!(!html.contains(" onclick=") && !html.contains(" onsubmit="), "{name}: an inline handler");
        for tag in html.split("<script").skip(1) {
            assert!(tag.split('>').next().is_some_and(|tag| tag.contains("src=")), "{name}: an inline script");
        }
    }
}

#[test]
fn pages_say_words_not_keys() {
    // A missing message reads as its key, which no sentence looks like.
    let prefixes = [
        "gate-",
        "invitation-",
        "choose-",
        "home-",
        "new-board-",
        "template-",
        "role-",
        "members-",
        "org-settings-",
        "profile-",
        "hooks-",
        "hook-",
        "scheme-",
        "outcome-",
        "delivery-",
        "console-",
        "alert-",
        "mail-kind-",
        "error-",
        "api-",
        "shell-",
    ];
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        // Text between tags only: classes, ids and anchors may look like keys.
        for text in html.split('>').filter_map(|piece| piece.split('<').next()) {
            let text = text.trim();
            assert!(!prefixes.iter().any(|prefix| text.starts_with(prefix)), "{name} says {text:?}");
            assert!(!text.contains("{$") && !text.contains("{ $"), "{name} lacks an argument in {text:?}");
        }
        for label in quoted(&html, "aria-label=\"") {
            assert!(!prefixes.iter().any(|prefix| label.starts_with(prefix)), "{name} labels something {label:?}");
        }
    }
}

#[test]
fn ids_are_unique_and_labels_lead_somewhere() {
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        let mut ids = BTreeSet::new();
        for id in quoted(&html, " id=\"") {
            assert!(ids.insert(id), "{name}: two elements with the id {id:?}");
        }
        for target in quoted(&html, " for=\"") {
            assert!(ids.contains(target), "{name}: a label for {target:?}, which is not there");
        }
        for target in quoted(&html, " aria-describedby=\"").flat_map(str::split_whitespace) {
            assert!(ids.contains(target), "{name}: described by {target:?}, which is not there");
        }
    }
}

#[test]
fn mails_fill_in_all_their_arguments() {
    let filled: Vec<(&str, &str)> = [
        "code", "link", "when", "client", "address", "inviter", "org", "role", "expires", "mail", "name", "actor",
        "subject", "alert", "detail", "host", "began",
    ]
    .map(|name| (name, "x"))
    .into();
    for words in Language::ALL.map(Language::words) {
        for mail in ["code", "invitation", "token", "link", "removed", "operator", "operator-over", "test"] {
            let subject = words.fill(&format!("mail-{mail}-subject"), &filled);
            let body = words.fill(&format!("mail-{mail}-body"), &filled);
            assert!(!subject.contains('\n') && !subject.starts_with("mail-"), "{mail}: {subject:?}");
            assert!(!body.contains('{') && !body.starts_with("mail-"), "{mail}: {body:?}");
        }
        let body = words.fill("mail-code-body", &[("code", "407218")]);
        assert_eq!(body.lines().next(), Some("407218"), "the code stands alone in the first line");
    }
}

#[test]
fn what_people_typed_stays_text() {
    let sample = Sample { words: Language::Japanese.words() };
    let typed = "\"><script>alert(1)</script>";
    let page = SignIn {
        chrome: sample.stranger(),
        mail: Input::refused(typed, typed),
        next: typed.to_owned(),
        mail_works: true,
        authority: None,
        host: HOST.to_owned(),
    };
    assert!(!html(&page).contains("<script>alert"), "typed text became markup");
}

#[test]
#[ignore = "writes pages to disk, to be looked at"]
fn preview() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), std::path::PathBuf::from);
    let root = target.join("preview-rooms");
    let write = |path: String, bytes: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a file stands in a folder")).expect("a folder to write to");
        std::fs::write(path, bytes).expect("a page to write");
    };
    for language in Language::ALL {
        for (name, html) in pages(language) {
            write(format!("{}/{name}.html", language.tag()), html.as_bytes());
            let dark = html.replacen("<html ", "<html data-theme=\"dark\" ", 1);
            write(format!("{}/dark/{name}.html", language.tag()), dark.as_bytes());
        }
    }
    for (address, asset) in crate::web::assets::all() {
        write(address.trim_start_matches('/').to_owned(), asset.raw());
    }
}
