//! `--demo`: a sample organization in a folder that goes away.

use std::sync::Arc;

use jiff::{ToSpan, tz::TimeZone};

use crate::{
    cli::Output,
    clock::Clock,
    config::{Config, SecretSource},
    control::Failure,
    ids::{BoardId, CardId, CommentId, InvitationId, OrgId, Secret, UserId},
    people::{PeopleError, Role, directory, invitations, links, members, sagas},
    store::{Stores, history::Actor},
    text::{CivilDate, Comment, MailAddress, Name, Title},
    web::words::{Language, Words},
    work::{self, Command, NewCard, Place, Template, WorkError},
};

use super::{
    foundation,
    serve::{self, Greeting},
};

/// The sample's owner; an address that no mail reaches (RFC 2606).
const OWNER: &str = "owner@example.jp";

/// Serves a sample until it is told to stop, then removes it.
///
/// # Errors
/// As [`serve::serve`].
pub async fn serve(mut config: Config, output: Output) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("workrun-demo-{}", std::process::id()));
    std::fs::create_dir(&folder)
        .map_err(|error| Failure::new(format!("cannot make the sample's folder {}: {error}", folder.display())))?;
    let _throw_away = ThrowAway(folder.clone());
    config.data_dir = folder.join("data");
    config.root_key = SecretSource::File(folder.join("root.key"));
    config.smtp = None;
    let clock = Clock::System;
    let made = foundation::make(&config, &clock, false)?;
    let language = language();
    let ticket = fill(&made.foundation.stores, &clock, &config, language)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    let greeting = if output.json { Greeting::Quiet } else { Greeting::Sample { ticket } };
    serve::run(config, clock, made.foundation, greeting).await
}

struct ThrowAway(std::path::PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the sample's folder is left");
        }
    }
}

/// Japanese, or English where the locale says so.
fn language() -> Language {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .and_then(|locale| Language::from_tag(&locale))
        .unwrap_or(Language::Japanese)
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, PeopleError> {
    text.parse()
        .map_err(|_| PeopleError::Refused(crate::people::Refusal::Unknown { field: "demo", value: text.to_owned() }))
}

/// Makes the organization, its boards and cards; returns the owner's way in.
async fn fill(
    stores: &Arc<Stores>,
    clock: &Clock,
    config: &Config,
    language: Language,
) -> Result<Secret<16>, WorkError> {
    let words = language.words();
    let people = |error: PeopleError| match error {
        PeopleError::Store(error) => WorkError::Store(error),
        other => WorkError::Store(crate::store::StoreError::Disk { reason: other.to_string() }),
    };
    let now = clock.now();
    let org = OrgId::fresh(now);
    let name: Name = parsed(&words.text("demo-organization")).map_err(people)?;
    let owner: MailAddress = parsed(OWNER).map_err(people)?;
    let founding = sagas::Founding { org, name, owner, welcome: None };
    let user = sagas::found(stores, now, founding).await.map_err(people)?;
    let everybody = colleagues(stores, clock, org, user, words).await.map_err(people)?;
    for template in [Template::Inquiries, Template::Tasks, Template::Hiring] {
        board(stores, clock, org, &everybody, words, template, &config.time_zone).await?;
    }
    let secret = Secret::<16>::fresh();
    let kept = secret.clone();
    stores
        .system()
        .submit(64, move |txn| {
            let link = links::Link { purpose: links::Purpose::SignIn(user), expires_at: now.plus(links::LIFE_FIRST) };
            links::put(txn, &kept, &link)?;
            directory::set_preferences(txn, user, Some(language.tag().to_owned()), None)?;
            Ok::<_, WorkError>(())
        })
        .await?;
    Ok(secret)
}

/// Names the owner and lets three others join; all of them, the owner first.
async fn colleagues(
    stores: &Arc<Stores>,
    clock: &Clock,
    org: OrgId,
    owner: UserId,
    words: &'static Words,
) -> Result<Vec<UserId>, PeopleError> {
    let (store, now) = (stores.organization(org)?, clock.now());
    let named = |letter: &str| parsed::<Name>(&words.with("demo-person", "letter", letter));
    let own_name = named("A")?;
    store.submit(64, move |txn| members::rename_self(txn, now, owner, &own_name)).await?;
    let mut everybody = vec![owner];
    for letter in ["B", "C", "D"] {
        let mail: MailAddress = parsed(&format!("person-{}@example.jp", letter.to_lowercase()))?;
        let (mac, fresh, name) = (stores.mail_mac(&mail), UserId::fresh(now), named(letter)?);
        let user = stores
            .system()
            .submit(64, move |txn| Ok::<_, PeopleError>(directory::ensure_user(txn, &mac, fresh)?))
            .await?;
        let request = invitations::Request {
            id: InvitationId::fresh(now),
            mail: mail.clone(),
            role: Role::Member,
            ticket: invitations::Ticket::fresh(org),
            link: String::new(),
            language: words.language().tag().to_owned(),
        };
        let ticket = request.ticket.clone();
        store.submit(64, move |txn| invitations::invite(txn, now, owner, Role::Owner, &request).map(|_| ())).await?;
        sagas::join(stores, now, ticket, user, mail, name).await?;
        everybody.push(user);
    }
    Ok(everybody)
}

/// One board with the cards that `demo-{template}` names, a line each: `column | title | days to the due day | number
/// of the label | comment`.
async fn board(
    stores: &Arc<Stores>,
    clock: &Clock,
    org: OrgId,
    people: &[UserId],
    words: &'static Words,
    template: Template,
    zone: &TimeZone,
) -> Result<(), WorkError> {
    let store = stores.organization(org)?;
    let now = clock.now();
    let id = BoardId::fresh(now);
    let board = template.board(id, &words.text(&format!("template-{}", template.name())), now, |key| words.text(key));
    let mut commands = vec![(people[0], Command::CreateBoard(board.clone()))];
    let today = now.in_zone(zone).date();
    for (at, line) in words.text(&format!("demo-{}", template.name())).lines().enumerate() {
        let mut parts = line.split('|').map(str::trim);
        let column = parts.next().and_then(|column| column.parse::<usize>().ok()).unwrap_or(0);
        let Some(title) = parts.next().and_then(|title| title.parse::<Title>().ok()) else { continue };
        let due =
            parts.next().and_then(|days| days.parse::<i64>().ok()).and_then(|days| today.checked_add(days.days()).ok());
        let label = parts.next().and_then(|number| board.labels.get(number.parse::<usize>().ok()?.checked_sub(1)?));
        let card = CardId::fresh(now);
        let mut new = NewCard::titled(card, id, title);
        new.status = board.statuses.get(column).map(|status| status.id);
        new.place = Place::Bottom;
        new.due = due.map(CivilDate);
        new.labels = label.map(|label| label.id).into_iter().collect();
        if column > 0 {
            new.assignees.push(people[at % people.len()]);
        }
        commands.push((people[0], Command::CreateCard(new)));
        if let Some(text) = parts.next().and_then(|comment| comment.parse::<Comment>().ok()) {
            commands
                .push((people[(at + 1) % people.len()], Command::Comment { card, id: CommentId::fresh(now), text }));
        }
    }
    store
        .submit(4096, move |txn| {
            for (user, command) in &commands {
                work::change(txn, Actor::User(*user), now, command)?;
            }
            Ok::<_, WorkError>(())
        })
        .await
}
