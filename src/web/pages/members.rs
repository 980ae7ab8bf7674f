//! Members and invitations of an organization.

use std::sync::Arc;

use poem::{Request, Response, Result, handler, http::StatusCode, web::Form};
use serde::Deserialize;

use super::{parse, path_id, rule};
use crate::{
    ids::{InvitationId, UserId},
    people::{
        PeopleError, Refusal, Role, directory,
        invitations::{self, Ticket},
        members, sagas,
    },
    store::Read,
    text::MailAddress,
    web::{
        answer::{WebError, page_with, see_other},
        caller::{Admin, Guest, Here, hue, initial},
        format::When,
        view::{
            Section,
            form::{Choice, Input},
            people::{InvitationRow, InviteForm, MemberRow, Members},
        },
    },
};

/// Names of the roles that somebody of a role may give.
fn givable(role: Role) -> Vec<&'static str> {
    Role::ALL.into_iter().rev().filter(|given| *given <= role).map(Role::name).collect()
}

/// `GET /o/:org/members`.
#[handler]
pub async fn show(guest: Guest) -> Result<Response> {
    Ok(render(&guest.0, StatusCode::OK, Input::default(), "member".to_owned()).await?)
}

async fn render(here: &Arc<Here>, status: StatusCode, mail: Input, role: String) -> Result<Response, WebError> {
    let (store, here) = (Arc::clone(&here.store), Arc::clone(here));
    store.read(move |view| members_page(&here, view, status, mail, &role)).await
}

fn members_page(
    here: &Here,
    view: &dyn Read,
    status: StatusCode,
    mail: Input,
    role: &str,
) -> Result<Response, WebError> {
    let (words, now) = (here.words(), here.app().now());
    let when = When { words, zone: &here.app().zone, now };
    let mine = here.member.role;
    let admin = mine >= Role::Admin;
    let mut present = members::present(view)?;
    present.sort_by(|a, b| b.role.cmp(&a.role).then_with(|| a.name.cmp(&b.name)));
    let owners = present.iter().filter(|member| member.role == Role::Owner).count();
    let rows = present
        .iter()
        .map(|member| {
            let last_owner = member.role == Role::Owner && owners == 1;
            let changeable = admin && member.role <= mine && !last_owner;
            MemberRow {
                id: member.user.to_string(),
                name: member.name.clone(),
                initial: initial(&member.name),
                hue: hue(member.user),
                // Addresses are for those who look after members; a colleague's name is enough for others.
                mail: if admin || member.user == here.member.user {
                    member.mail.as_str().to_owned()
                } else {
                    String::new()
                },
                role: words.text(&format!("role-{}", member.role.name())),
                joined: when.day(member.joined_at.in_zone(when.zone).date()),
                me: member.user == here.member.user,
                roles: if changeable { Choice::roles(words, &givable(mine), member.role.name()) } else { Vec::new() },
                removable: changeable && member.user != here.member.user,
                last_owner,
            }
        })
        .collect();
    let invitations = if admin {
        invitations::open(view)?
            .into_iter()
            .map(|invitation| InvitationRow {
                id: invitation.id.to_string(),
                role: words.text(&format!("role-{}", invitation.role.name())),
                sent: when.moment(invitation.sent_at).text,
                expires: when.stamp(invitation.expires_at()),
                expired: invitation.acceptable(now).is_err(),
                mail: invitation.mail.as_str().to_owned(),
            })
            .collect()
    } else {
        Vec::new()
    };
    let may_leave = !(mine == Role::Owner && owners == 1);
    page_with(
        status,
        &Members {
            chrome: here.chrome(view, Section::Members, None)?,
            org: here.org.to_string(),
            org_name: here.settings.name.clone(),
            members: rows,
            invitations,
            invite: admin.then(|| InviteForm { mail, roles: Choice::roles(words, &givable(mine), role) }),
            mail_works: here.app().mail_works,
            may_leave,
        },
    )
}

fn back(here: &Here) -> Response {
    see_other(&format!("/o/{}/members", here.org))
}

#[derive(Deserialize)]
struct InviteFields {
    mail: String,
    role: String,
}

/// Makes the request of an invitation: its secret, its link, its mail.
fn request(here: &Here, id: InvitationId, mail: MailAddress, role: Role) -> invitations::Request {
    let ticket = Ticket::fresh(here.org);
    let link = format!("{}/invitations/{}", here.app().public_url, ticket.text());
    invitations::Request { id, mail, role, ticket, link, language: here.reader.language.tag().to_owned() }
}

/// `POST /o/:org/invitations`.
#[handler]
pub async fn invite(admin: Admin, Form(form): Form<InviteFields>) -> Result<Response> {
    let here = Arc::clone(&admin.0);
    let result = send_invitation(&here, &form).await;
    match result {
        Ok(()) => Ok(back(&here)),
        Err(error) => {
            let status = poem::error::ResponseError::status(&error);
            let message = rule(&here, error)?;
            Ok(render(&here, status, Input::refused(form.mail, message), form.role).await?)
        }
    }
}

async fn send_invitation(here: &Arc<Here>, form: &InviteFields) -> Result<(), WebError> {
    let mail = parse::<MailAddress>(&form.mail)?;
    let role = Role::from_name(&form.role)
        .ok_or_else(|| Refusal::Unknown { field: "role", value: form.role.chars().take(40).collect() })?;
    let (app, now) = (here.app(), here.app().now());
    // Who is invited must be able to get a code: the address is known from now on.
    let (mac, fresh) = (app.stores.mail_mac(&mail), UserId::fresh(now));
    app.stores.system().submit(128, move |txn| Ok::<_, PeopleError>(directory::ensure_user(txn, &mac, fresh)?)).await?;
    let request = request(here, InvitationId::fresh(now), mail, role);
    let (by, asker) = (here.member.user, here.member.role);
    here.store.submit(512, move |txn| invitations::invite(txn, now, by, asker, &request)).await?;
    app.postbox.queued(Some(here.org));
    Ok(())
}

/// `POST /o/:org/invitations/:invitation/resending`.
#[handler]
pub async fn resend(admin: Admin, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<InvitationId>(req, "invitation")?);
    let known = here
        .store
        .read(|view| invitations::open(view))
        .await
        .map_err(WebError::from)?
        .into_iter()
        .find(|invitation| invitation.id == id)
        .ok_or(WebError::NotFound)?;
    let request = request(&here, id, known.mail, known.role);
    let (now, by) = (here.app().now(), here.member.user);
    here.store.submit(512, move |txn| invitations::resend(txn, now, by, &request)).await.map_err(WebError::from)?;
    here.app().postbox.queued(Some(here.org));
    Ok(back(&here))
}

/// `POST /o/:org/invitations/:invitation/revocation`.
#[handler]
pub async fn revoke(admin: Admin, req: &Request) -> Result<Response> {
    let (here, id) = (Arc::clone(&admin.0), path_id::<InvitationId>(req, "invitation")?);
    let (now, by) = (here.app().now(), here.member.user);
    here.store.submit(64, move |txn| invitations::revoke(txn, now, by, id)).await.map_err(WebError::from)?;
    Ok(back(&here))
}

#[derive(Deserialize)]
struct RoleForm {
    role: String,
}

/// `POST /o/:org/members/:user/role`.
#[handler]
pub async fn change_role(admin: Admin, req: &Request, Form(form): Form<RoleForm>) -> Result<Response> {
    let (here, user) = (Arc::clone(&admin.0), path_id::<UserId>(req, "user")?);
    let role = Role::from_name(&form.role).ok_or(WebError::Bad("role"))?;
    let (now, actor, asker) = (here.app().now(), here.actor(), here.member.role);
    here.store
        .submit(64, move |txn| members::change_role(txn, now, actor, asker, user, role))
        .await
        .map_err(WebError::from)?;
    Ok(back(&here))
}

/// `POST /o/:org/members/:user/removal`.
#[handler]
pub async fn remove(admin: Admin, req: &Request) -> Result<Response> {
    let (here, user) = (Arc::clone(&admin.0), path_id::<UserId>(req, "user")?);
    let (now, actor, asker) = (here.app().now(), here.actor(), here.member.role);
    let language = here.reader.words().language().tag();
    sagas::depart(&here.app().stores, now, here.org, actor, asker, user, language).await.map_err(WebError::from)?;
    here.app().postbox.queued(Some(here.org));
    Ok(back(&here))
}

/// `POST /o/:org/departure`: the reader leaves.
#[handler]
pub async fn leave(guest: Guest) -> Result<Response> {
    let here = Arc::clone(&guest.0);
    let (now, actor, role, user) = (here.app().now(), here.actor(), here.member.role, here.member.user);
    let language = here.reader.words().language().tag();
    sagas::depart(&here.app().stores, now, here.org, actor, role, user, language).await.map_err(WebError::from)?;
    Ok(see_other("/"))
}
