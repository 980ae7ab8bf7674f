//! An invitation's page: what joining means, and the way in.

use poem::{Request, Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::{parse, percent};
use crate::{
    people::{
        self, PeopleError, Refusal, directory,
        invitations::{self, State, Ticket},
        members, sagas,
    },
    text::Name,
    web::{
        answer::{WebError, page_with, see_other},
        caller::{Reader, SignedIn},
        format::{When, say},
        view::{
            Section,
            form::Input,
            gate::{Invitation as Shown, InvitationPage, InvitationState},
        },
    },
};

struct Found {
    invitation: invitations::Invitation,
    org_name: String,
    inviter: String,
}

async fn find(reader: &Reader, ticket: &Ticket) -> Result<Option<Found>, WebError> {
    let Ok(store) = reader.app.stores.organization(ticket.org) else { return Ok(None) };
    let ticket = ticket.clone();
    store
        .read(move |view| {
            let Some(invitation) = invitations::find(view, &ticket)? else { return Ok(None) };
            let inviter = people::member(view, invitation.by)?.map(|member| member.name).unwrap_or_default();
            Ok(Some(Found { org_name: members::settings(view)?.name, inviter, invitation }))
        })
        .await
}

fn shown(reader: &Reader, found: &Found) -> Shown {
    let when = When { words: reader.words(), zone: &reader.app.zone, now: reader.app.now() };
    Shown {
        org: found.org_name.clone(),
        inviter: found.inviter.clone(),
        role: reader.words().text(&format!("role-{}", found.invitation.role.name())),
        mail: found.invitation.mail.as_str().to_owned(),
        expires: when.stamp(found.invitation.expires_at()),
    }
}

/// Whether the reader signed in with the address that was invited.
fn is_invited(reader: &Reader, found: &Found) -> Result<bool, WebError> {
    let Some(session) = &reader.session else { return Ok(false) };
    let mac = reader.app.stores.mail_mac(&found.invitation.mail);
    let invited = reader.app.stores.system().view(|view| directory::user_by_mail(view, &mac))?;
    Ok(invited == Some(session.user.id))
}

fn answer(reader: &Reader, token: &str, status: StatusCode, state: InvitationState) -> Result<Response> {
    let page = InvitationPage {
        chrome: reader.chrome(Section::None),
        here: format!("/invitations/{token}"),
        state,
        host: reader.app.host().to_owned(),
    };
    Ok(page_with(status, &page)?)
}

/// The text of the path if it is a ticket, so that nothing else is echoed.
fn ticket(req: &Request) -> Option<(String, Ticket)> {
    let text = req.raw_path_param("token")?;
    Some((text.to_owned(), Ticket::parse(text)?))
}

/// `GET /invitations/:token`.
#[handler]
pub async fn show(reader: Reader, req: &Request) -> Result<Response> {
    let Some((token, ticket)) = ticket(req) else {
        return answer(&reader, "", StatusCode::NOT_FOUND, InvitationState::Unknown);
    };
    let Some(found) = find(&reader, &ticket).await? else {
        return answer(&reader, &token, StatusCode::NOT_FOUND, InvitationState::Unknown);
    };
    let invitation = shown(&reader, &found);
    let state = match found.invitation.acceptable(reader.app.now()) {
        Err(_) if found.invitation.state == State::Accepted => InvitationState::Accepted,
        Err(Refusal::Expired) => InvitationState::Expired { invitation },
        Err(_) => InvitationState::Revoked,
        Ok(()) if reader.session.is_none() => {
            let sign_in = format!("/sign-in?mail={}&next=/invitations/{token}", percent(&invitation.mail));
            InvitationState::SignedOut { invitation, sign_in }
        }
        Ok(()) if is_invited(&reader, &found)? => {
            let name = invitation.mail.split('@').next().unwrap_or_default().to_owned();
            InvitationState::Join { invitation, token: token.clone(), name: Input::of(name) }
        }
        Ok(()) => {
            InvitationState::OtherAccount { invitation, current: reader.words().text("invitation-other-current") }
        }
    };
    answer(&reader, &token, StatusCode::OK, state)
}

#[derive(Deserialize)]
struct JoinForm {
    name: String,
}

/// `POST /invitations/:token/acceptance`.
#[handler]
pub async fn accept(signed_in: SignedIn, req: &Request, Form(form): Form<JoinForm>) -> Result<Response> {
    let reader = &signed_in.reader;
    let (token, ticket) = ticket(req).ok_or(WebError::NotFound)?;
    let found = find(reader, &ticket).await?.ok_or(WebError::NotFound)?;
    if !is_invited(reader, &found)? {
        return Err(WebError::People(Refusal::OtherAddress).into());
    }
    let name = match parse::<Name>(&form.name) {
        Ok(name) => name,
        Err(error) => {
            let message = error.message().map(|message| say(reader.words(), &message)).unwrap_or_default();
            let name = Input::refused(form.name, message);
            let state = InvitationState::Join { invitation: shown(reader, &found), token: token.clone(), name };
            return answer(reader, &token, StatusCode::UNPROCESSABLE_ENTITY, state);
        }
    };
    let (org, mail) = (ticket.org, found.invitation.mail);
    let joined: Result<(), PeopleError> =
        sagas::join(&reader.app.stores, reader.app.now(), ticket, signed_in.user.id, mail, name).await;
    joined.map_err(WebError::from)?;
    Ok(see_other(&format!("/o/{org}")))
}
