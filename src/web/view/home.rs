//! Where one lands after signing in: the choice of an organization, its home, and the making of a board.

use askama::Template;

use super::{
    Chrome,
    form::{Choice, Input},
    parts::Shape,
};
use crate::{
    web::{format, words::Words},
    work,
};

/// `GET /` for members of several organizations, or of none.
#[derive(Template)]
#[template(path = "home/choose.html")]
pub struct ChooseOrganization {
    pub chrome: Chrome,
    pub organizations: Vec<OrganizationChoice>,
    /// The reader's address, to be told to an admin when there is nothing to choose.
    pub mail: String,
    pub host: String,
}

/// An organization to choose.
pub struct OrganizationChoice {
    pub id: String,
    pub name: String,
    /// First character of the name.
    pub mark: String,
    /// The reader's role in it, in their language.
    pub role: String,
}

/// `GET /o/{org}`: the boards that the reader may see, and what happened lately.
#[derive(Template)]
#[template(path = "home/home.html")]
pub struct Home {
    pub chrome: Chrome,
    pub org: String,
    pub boards: Vec<BoardTile>,
    pub activity: Vec<Activity>,
    /// Shown while there is no board yet, to those who may create one.
    pub templates: Vec<BoardTemplate>,
    pub may_create: bool,
}

/// A board on the home.
pub struct BoardTile {
    pub id: String,
    pub name: String,
    /// Cards that are neither done, archived nor in the trash.
    pub open: u64,
    /// When something last changed, e.g. `今日 14:31`.
    pub latest: Option<String>,
    pub private: bool,
}

/// One line of recent activity.
pub struct Activity {
    /// The sentence: who did what to which card, with the card's link in it.
    pub html: String,
    /// First letter, for the avatar; empty for what the appliance did, such as receiving a webhook.
    pub initial: String,
    /// 1 to 4: the avatar's hue.
    pub hue: u8,
    pub board: String,
    pub when: String,
}

/// `GET /o/{org}/boards/new`. Posts `name` and `template` to `/o/{org}/boards`.
#[derive(Template)]
#[template(path = "home/new_board.html")]
pub struct NewBoard {
    pub chrome: Chrome,
    pub org: String,
    pub name: Input,
    pub templates: Vec<BoardTemplate>,
}

/// A template for boards: what it is called and the statuses that it makes.
pub struct BoardTemplate {
    pub choice: Choice,
    pub statuses: Vec<TemplateStatus>,
}

/// A status of a template.
pub struct TemplateStatus {
    pub name: String,
    pub shape: Shape,
}

impl BoardTemplate {
    /// All templates in the reader's language; `chosen` is the name of the one that is selected. A board is made with
    /// exactly these statuses.
    #[must_use]
    pub fn all(words: &Words, chosen: &str) -> Vec<Self> {
        work::Template::ALL
            .iter()
            .map(|template| Self {
                choice: Choice {
                    value: template.name().to_owned(),
                    name: words.text(&format!("template-{}", template.name())),
                    hint: words.text(&format!("template-{}-hint", template.name())),
                    chosen: template.name() == chosen,
                },
                statuses: template
                    .statuses()
                    .iter()
                    .map(|(key, kind)| TemplateStatus { name: words.text(key), shape: format::shape(*kind) })
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::Language;

    #[test]
    fn every_template_is_named_in_both_languages() {
        for words in Language::ALL.map(Language::words) {
            for template in BoardTemplate::all(words, "tasks") {
                assert_eq!(template.choice.chosen, template.choice.value == "tasks");
                let all = template.statuses.iter().map(|status| &status.name).chain([&template.choice.name]);
                assert!(all.into_iter().all(|name| !name.starts_with("template-")), "{}", template.choice.value);
            }
        }
    }
}
