//! Members and the audit log: `/orgs/{org}/members` and `/orgs/{org}/audit`.

use std::ops::ControlFlow;

use poem_openapi::{Object, OpenApi, param::Query};

use super::{
    answer::{Actor, Answer, Page},
    auth::{Admin, Member},
    cursor::List,
    problem::Problem,
};
use crate::{
    hooks::endpoint,
    ids::UserId,
    people::{self, members},
    store::{
        Order, Read, Span, StoreError,
        history::{self, EVENTS, Header, Room},
    },
    work,
};

/// Events that one page of the audit log looks at: between two entries there may be a million changes of cards.
const LOOKED_AT_MAX: usize = 5_000;

/// A member.
#[derive(Debug, Object)]
#[oai(rename = "Member")]
pub struct Person {
    id: String,
    name: String,
    mail: String,
    /// `guest`, `member`, `admin` or `owner`.
    role: String,
    joined_at: String,
}

impl From<members::Member> for Person {
    fn from(member: members::Member) -> Self {
        Self {
            id: member.user.to_string(),
            name: member.name,
            mail: member.mail.as_str().to_owned(),
            role: member.role.name().to_owned(),
            joined_at: member.joined_at.rfc3339(),
        }
    }
}

/// One entry of the audit log.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct AuditEntry {
    /// The event's number in the organization's history.
    number: u64,
    at: String,
    actor: Actor,
    /// What happened, such as `member.role`, `token.created`, `hook.removed`, `board.created` or `status.added`.
    kind: String,
    /// The id of what it happened to.
    subject: Option<String>,
    /// The board's id, if it happened on one.
    board: Option<String>,
    /// The name or role before.
    from: Option<String>,
    /// The name or role after.
    to: Option<String>,
}

/// What an event says to an auditor.
#[derive(Default)]
struct Said {
    kind: &'static str,
    subject: Option<String>,
    board: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl Said {
    fn of(kind: &'static str, subject: impl ToString) -> Self {
        Self { kind, subject: Some(subject.to_string()), ..Self::default() }
    }

    fn from(self, from: impl ToString) -> Self {
        Self { from: Some(from.to_string()), ..self }
    }

    fn to(self, to: impl ToString) -> Self {
        Self { to: Some(to.to_string()), ..self }
    }
}

fn of_people(event: people::Event) -> Said {
    use people::Event as E;
    match event {
        E::Founded { name, owner } => Said::of("organization.founded", owner).to(name),
        E::Renamed { from, to } => Said { kind: "organization.renamed", ..Said::default() }.from(from).to(to),
        E::Invited { invitation, role } => Said::of("invitation.created", invitation).to(role.name()),
        E::InvitationResent { invitation } => Said::of("invitation.resent", invitation),
        E::InvitationRevoked { invitation } => Said::of("invitation.revoked", invitation),
        E::Joined { user, role, .. } => Said::of("member.joined", user).to(role.name()),
        E::RoleChanged { user, from, to } => Said::of("member.role", user).from(from.name()).to(to.name()),
        E::Removed { user } => Said::of("member.removed", user),
        E::Left { user } => Said::of("member.left", user),
        E::ProfileChanged { user } => Said::of("member.profile", user),
        E::TokenCreated { token, name, role } => Said::of("token.created", token).from(name).to(role.name()),
        E::TokenRevoked { token } => Said::of("token.revoked", token),
        E::SignInLinkMade { user } => Said::of("member.sign-in-link", user),
        E::Restored { generation } => Said { kind: "organization.restored", ..Said::default() }.to(generation),
        E::QuotasChanged { .. } => Said { kind: "organization.quotas", ..Said::default() },
    }
}

fn of_hooks(event: endpoint::Event) -> Said {
    match event {
        endpoint::Event::Created { hook, board, name } => {
            Said { board: Some(board.to_string()), ..Said::of("hook.created", hook).to(name) }
        }
        endpoint::Event::Renamed { hook, from, to } => Said::of("hook.renamed", hook).from(from).to(to),
        endpoint::Event::Removed { hook } => Said::of("hook.removed", hook),
    }
}

/// Changes of the boards themselves, and cards that are gone for good; what else happens to cards stands in their timelines.
fn of_work(event: work::Event) -> Option<Said> {
    use work::Event as E;
    let board = event.board();
    let said = match event {
        E::BoardCreated(board) => Said::of("board.created", board.id).to(board.name),
        E::BoardRenamed { from, to, .. } => Said::of("board.renamed", board).from(from).to(to),
        E::BoardArchived { on: true, .. } => Said::of("board.archived", board),
        E::BoardArchived { on: false, .. } => Said::of("board.restored", board),
        E::StatusAdded { status, .. } => Said::of("status.added", status.id).to(status.name),
        E::StatusChanged { status, name, .. } => Said::of("status.changed", status).to(name),
        E::StatusMoved { status, .. } => Said::of("status.moved", status),
        E::StatusRemoved { status, .. } => Said::of("status.removed", status),
        E::FieldAdded { field, .. } => Said::of("field.added", field.id).to(field.label),
        E::FieldRenamed { field, label, .. } => Said::of("field.renamed", field).to(label),
        E::FieldRemoved { field, .. } => Said::of("field.removed", field),
        E::LabelAdded { label, .. } => Said::of("label.added", label.id).to(label.name),
        E::LabelChanged { label, .. } => Said::of("label.changed", label.id).to(label.name),
        E::LabelRemoved { label, .. } => Said::of("label.removed", label),
        E::GuestAdmitted { user, .. } => Said::of("guest.admitted", user),
        E::GuestDismissed { user, .. } => Said::of("guest.dismissed", user),
        E::CardErased { card, .. } => Said::of("card.erased", card),
        _ => return None,
    };
    Some(Said { board: Some(board.to_string()), ..said })
}

/// An event as the audit log shows it; `None` if it is not for it, or was redacted.
fn entry(view: &dyn Read, number: u64, header: &Header) -> Result<Option<AuditEntry>, StoreError> {
    let said = match header.room {
        Room::People => history::read(view, Room::People, number)?.map(|entry| of_people(entry.event)),
        Room::Hooks => history::read(view, Room::Hooks, number)?.map(|entry| of_hooks(entry.event)),
        Room::Work => history::read(view, Room::Work, number)?.and_then(|entry| of_work(entry.event)),
    };
    Ok(said.map(|said| AuditEntry {
        number,
        at: header.at.rfc3339(),
        actor: header.actor.into(),
        kind: said.kind.to_owned(),
        subject: said.subject,
        board: said.board,
        from: said.from,
        to: said.to,
    }))
}

/// Entries before an event's number, latest first, at most `limit`.
fn audit(view: &dyn Read, before: Option<u64>, limit: usize) -> Result<Page<AuditEntry>, StoreError> {
    let span = before.map_or_else(Span::all, |number| Span::all().before(&number));
    let (mut items, mut looked_at, mut last, mut goes_on) = (Vec::new(), 0, 0, false);
    view.scan(&EVENTS, &span, Order::Descending, |number, header| {
        if items.len() == limit || looked_at == LOOKED_AT_MAX {
            goes_on = true;
            return Ok(ControlFlow::Break(()));
        }
        looked_at += 1;
        last = number;
        items.extend(entry(view, number, &header)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Page { items, next_cursor: goes_on.then(|| List::Audit.cursor(&last)) })
}

/// The operations.
pub struct People;

#[OpenApi]
impl People {
    /// List members
    ///
    /// Who is one now, in the order in which they came.
    #[oai(path = "/orgs/:org/members", method = "get")]
    async fn members(
        &self,
        org: Member,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
    ) -> Result<Answer<Page<Person>>, Problem> {
        let (after, limit) = List::Members.asked::<UserId>(limit.0, cursor.0.as_deref())?;
        let read = org.store.read(move |view| {
            let mut present = members::present(view)?;
            present.retain(|member| after.is_none_or(|after| member.user > after));
            Ok::<_, Problem>(Page::of(present, limit, |last| List::Members.cursor(&last.user), Person::from))
        });
        Ok(Answer::of(&read.await?))
    }

    /// Audit log
    ///
    /// What was done to members, tokens, endpoints and boards, latest first.
    #[oai(path = "/orgs/:org/audit", method = "get")]
    async fn audit(
        &self,
        org: Admin,
        limit: Query<Option<u64>>,
        cursor: Query<Option<String>>,
    ) -> Result<Answer<Page<AuditEntry>>, Problem> {
        let (before, limit) = List::Audit.asked::<u64>(limit.0, cursor.0.as_deref())?;
        let read = org.store.read(move |view| Ok::<_, Problem>(audit(view, before, limit)?));
        Ok(Answer::of(&read.await?))
    }
}
