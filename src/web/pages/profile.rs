//! One's own settings: language, colours, names, signed-in devices.

use std::sync::Arc;

use poem::{Request, Response, Result, handler, web::Form};
use serde::Deserialize;

use super::{parse, path_id};
use crate::{
    ids::SessionId,
    people::{self, PeopleError, directory, members, sessions},
    store::StoreError,
    text::Name,
    web::{
        answer::{WebError, page, see_other},
        caller::{Guest, SignedIn},
        format::When,
        view::{
            Section,
            form::{Choice, Input},
            people::{Profile, ProfileName, SessionRow},
        },
        words::Language,
    },
};

/// `GET /profile`.
#[handler]
pub async fn show(signed_in: SignedIn) -> Result<Response> {
    let reader = &signed_in.reader;
    let (words, app) = (reader.words(), &reader.app);
    let when = When { words, zone: &app.zone, now: app.now() };
    let mut names = Vec::new();
    let operator = reader.session.as_ref().and_then(|session| session.operator.as_ref());
    let mut mail = operator.and_then(|one| one.mail.as_ref()).map(|mail| mail.as_str().to_owned()).unwrap_or_default();
    for org in &signed_in.user.organizations {
        let (Ok(store), user) = (app.stores.organization(*org), signed_in.user.id) else { continue };
        let known =
            store.read(move |view| Ok::<_, WebError>((people::member(view, user)?, members::settings(view)?))).await?;
        if let (Some(member), settings) = known {
            member.mail.as_str().clone_into(&mut mail);
            names.push(ProfileName { org: org.to_string(), org_name: settings.name, name: Input::of(member.name) });
        }
    }
    let (user, now) = (signed_in.user.id, app.now());
    let mut sessions =
        app.stores.system().read(move |view| sessions::of_user(view, user, now)).await.map_err(WebError::from)?;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.used_at));
    let mut chrome = reader.chrome(Section::Profile);
    if let (Some(me), Some(name)) = (&mut chrome.me, names.first())
        && me.name.is_empty()
    {
        me.name.clone_from(&name.name.value);
        me.initial = crate::web::caller::initial(&me.name);
    }
    // Each in its own words, for those who cannot read the page's.
    let languages = [("ja", "日本語"), ("en", "English")].map(|(value, name)| Choice {
        value: value.to_owned(),
        name: name.to_owned(),
        hint: String::new(),
        chosen: value == reader.language.tag(),
    });
    let themes = ["auto", "light", "dark"].map(|value| Choice {
        value: value.to_owned(),
        name: words.text(&format!("profile-theme-{value}")),
        hint: String::new(),
        chosen: value == reader.theme,
    });
    Ok(page(&Profile {
        chrome,
        mail,
        languages: languages.into(),
        themes: themes.into(),
        names,
        sessions: sessions
            .into_iter()
            .map(|session| SessionRow {
                id: session.id.to_string(),
                current: session.id == signed_in.session.id,
                client: session.agent,
                began: when.moment(session.created_at).text,
                seen: when.moment(session.used_at).text,
            })
            .collect(),
    })?)
}

#[derive(Deserialize)]
struct PreferencesForm {
    language: String,
    theme: String,
}

/// `POST /profile`.
#[handler]
pub async fn save(signed_in: SignedIn, Form(form): Form<PreferencesForm>) -> Result<Response> {
    let language = Language::from_tag(&form.language).map(|language| language.tag().to_owned());
    let theme = matches!(form.theme.as_str(), "light" | "dark").then_some(form.theme);
    let user = signed_in.user.id;
    let saved: Result<(), StoreError> = signed_in
        .reader
        .app
        .stores
        .system()
        .submit(64, move |txn| directory::set_preferences(txn, user, language.clone(), theme.clone()))
        .await;
    saved.map_err(WebError::from)?;
    Ok(see_other("/profile"))
}

#[derive(Deserialize)]
struct NameForm {
    name: String,
}

/// `POST /o/:org/profile`: one's name in an organization.
#[handler]
pub async fn rename(guest: Guest, Form(form): Form<NameForm>) -> Result<Response> {
    let here = Arc::clone(&guest.0);
    let name = parse::<Name>(&form.name)?;
    let (now, user) = (here.app().now(), here.member.user);
    let renamed: Result<(), PeopleError> =
        here.store.submit(64, move |txn| members::rename_self(txn, now, user, &name)).await;
    renamed.map_err(WebError::from)?;
    Ok(see_other("/profile"))
}

/// `POST /sessions/:session/revocation`.
#[handler]
pub async fn revoke_session(signed_in: SignedIn, req: &Request) -> Result<Response> {
    let (user, id) = (signed_in.user.id, path_id::<SessionId>(req, "session")?);
    let ended: Result<(), StoreError> =
        signed_in.reader.app.stores.system().submit(64, move |txn| sessions::end(txn, user, id)).await;
    ended.map_err(WebError::from)?;
    Ok(see_other("/profile"))
}
