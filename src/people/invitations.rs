//! Invitations: seven days, resent and revoked at will, used once.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::{Event, PeopleError, Refusal, Role, members, record};
use crate::{
    clock::Timestamp,
    ids::{InvitationId, OrgId, Secret, UserId, base32, from_base32},
    mail::{self, MailKind},
    store::{Order, Read, Shape, Span, StoreError, Table, Txn, history::Actor},
    text::{MailAddress, Name},
};

/// How long an invitation can be accepted.
pub const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Invitations by id.
pub const INVITATIONS: Table<InvitationId, Invitation> = Table::new("invitations");
/// Invitations by the BLAKE3 of their link's secret.
const BY_SECRET: Table<[u8; 32], InvitationId> = Table::new("invitation_secrets");
/// What stands in these tables.
pub const SHAPES: [Shape; 2] = [INVITATIONS.shape(), BY_SECRET.shape()];

/// An invitation into the organization.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invitation {
    #[n(0)]
    pub id: InvitationId,
    #[n(1)]
    pub mail: MailAddress,
    #[n(2)]
    pub role: Role,
    #[n(3)]
    pub by: UserId,
    /// When it was last sent: its life counts from then.
    #[n(4)]
    pub sent_at: Timestamp,
    #[n(5)]
    pub state: State,
    #[cbor(n(6), with = "minicbor::bytes")]
    digest: [u8; 32],
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    #[n(0)]
    Open,
    #[n(1)]
    Accepted,
    #[n(2)]
    Revoked,
}

impl Invitation {
    /// When it can no longer be accepted.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.sent_at.plus(LIFE)
    }

    /// Whether it can be accepted.
    ///
    /// # Errors
    /// Why not.
    pub fn acceptable(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            State::Accepted => Err(Refusal::Used),
            State::Revoked => Err(Refusal::Revoked),
            State::Open if now >= self.expires_at() => Err(Refusal::Expired),
            State::Open => Ok(()),
        }
    }
}

/// The secret part of an invitation's link. It carries the organization's id, since nothing else says where to look.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub org: OrgId,
    pub secret: Secret<16>,
}

impl Ticket {
    /// A new ticket into an organization.
    #[must_use]
    pub fn fresh(org: OrgId) -> Self {
        Self { org, secret: Secret::fresh() }
    }

    /// The ticket as it stands in a link.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", base32(&self.org.0), self.secret.text())
    }

    /// A ticket read back from a link.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (org, secret) = text.split_at_checked(26)?;
        Some(Self { org: OrgId(from_base32(org)?), secret: Secret::parse(secret)? })
    }
}

/// Who invites whom, and what the mail says.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: InvitationId,
    pub mail: MailAddress,
    pub role: Role,
    pub ticket: Ticket,
    /// The link that the mail carries; it holds the ticket.
    pub link: String,
    /// BCP 47 tag of the mail's language.
    pub language: String,
}

/// All invitations that are open, newest first.
///
/// # Errors
/// What the store says.
pub fn open(view: &dyn Read) -> Result<Vec<Invitation>, StoreError> {
    let all = view.list(&INVITATIONS, &Span::all(), Order::Descending, usize::MAX)?;
    Ok(all.into_iter().map(|(_, invitation)| invitation).filter(|invitation| invitation.state == State::Open).collect())
}

/// The invitation that a ticket belongs to.
///
/// # Errors
/// What the store says.
pub fn find(view: &dyn Read, ticket: &Ticket) -> Result<Option<Invitation>, StoreError> {
    let Some(id) = view.get(&BY_SECRET, &ticket.secret.digest())? else { return Ok(None) };
    view.get(&INVITATIONS, &id)
}

/// Invites an address and queues the mail.
///
/// # Errors
/// [`Refusal::AboveOwnRole`], [`Refusal::AlreadyMember`], [`Refusal::AlreadyInvited`].
pub fn invite(
    txn: &Txn<'_>,
    at: Timestamp,
    by: UserId,
    asker: Role,
    request: &Request,
) -> Result<Invitation, PeopleError> {
    if request.role > asker {
        return Err(Refusal::AboveOwnRole.into());
    }
    let folded = request.mail.folded();
    if members::present(txn.reader())?.iter().any(|member| member.mail.folded() == folded) {
        return Err(Refusal::AlreadyMember.into());
    }
    let waiting = open(txn.reader())?;
    if waiting.iter().any(|other| other.mail.folded() == folded && other.acceptable(at).is_ok()) {
        return Err(Refusal::AlreadyInvited.into());
    }
    let invitation = Invitation {
        id: request.id,
        mail: request.mail.clone(),
        role: request.role,
        by,
        sent_at: at,
        state: State::Open,
        digest: request.ticket.secret.digest(),
    };
    record(txn, at, Actor::User(by), &Event::Invited { invitation: request.id, role: request.role })?;
    keep(txn, at, &invitation, request)?;
    Ok(invitation)
}

/// Sends an open or expired invitation again, with a new link; the old link ends.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Used`], [`Refusal::Revoked`].
pub fn resend(txn: &Txn<'_>, at: Timestamp, by: UserId, request: &Request) -> Result<Invitation, PeopleError> {
    let known = txn.reader().get(&INVITATIONS, &request.id)?.ok_or(Refusal::NotFound { what: "invitation" })?;
    match known.acceptable(at) {
        Ok(()) | Err(Refusal::Expired) => {}
        Err(refusal) => return Err(refusal.into()),
    }
    record(txn, at, Actor::User(by), &Event::InvitationResent { invitation: known.id })?;
    txn.delete(&BY_SECRET, &known.digest)?;
    let invitation = Invitation { sent_at: at, digest: request.ticket.secret.digest(), ..known };
    let request = Request { mail: invitation.mail.clone(), role: invitation.role, ..request.clone() };
    keep(txn, at, &invitation, &request)?;
    Ok(invitation)
}

fn keep(txn: &Txn<'_>, at: Timestamp, invitation: &Invitation, request: &Request) -> Result<(), PeopleError> {
    txn.put(&INVITATIONS, &invitation.id, invitation)?;
    txn.put(&BY_SECRET, &invitation.digest, &invitation.id)?;
    let organization = members::settings(txn.reader())?.name;
    let inviter = members::member(txn.reader(), invitation.by)?.map(|member| member.name).unwrap_or_default();
    let kind = MailKind::Invitation {
        organization,
        inviter,
        role: invitation.role.name().to_owned(),
        link: request.link.clone(),
        expires_at: invitation.expires_at(),
    };
    mail::queue(txn, at, invitation.mail.as_str(), &request.language, kind)?;
    Ok(())
}

/// Withdraws an invitation; its link ends.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Used`].
pub fn revoke(txn: &Txn<'_>, at: Timestamp, by: UserId, id: InvitationId) -> Result<(), PeopleError> {
    let known = txn.reader().get(&INVITATIONS, &id)?.ok_or(Refusal::NotFound { what: "invitation" })?;
    match known.state {
        State::Accepted => Err(Refusal::Used.into()),
        State::Revoked => Ok(()),
        State::Open => {
            record(txn, at, Actor::User(by), &Event::InvitationRevoked { invitation: id })?;
            Ok(txn.put(&INVITATIONS, &id, &Invitation { state: State::Revoked, ..known })?)
        }
    }
}

/// Makes the person who holds the ticket a member. Accepting twice by the same person is one acceptance.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::OtherAddress`], or why the invitation cannot be accepted.
pub fn accept(
    txn: &Txn<'_>,
    at: Timestamp,
    ticket: &Ticket,
    user: UserId,
    mail: &MailAddress,
    name: &Name,
) -> Result<(), PeopleError> {
    let invitation = find(txn.reader(), ticket)?.ok_or(Refusal::NotFound { what: "invitation" })?;
    if invitation.mail.folded() != mail.folded() {
        return Err(Refusal::OtherAddress.into());
    }
    if members::member(txn.reader(), user)?.is_some_and(|member| member.left_at.is_none()) {
        return Ok(());
    }
    invitation.acceptable(at)?;
    let joined = Event::Joined { user, role: invitation.role, invitation: invitation.id };
    members::add(txn, at, user, mail, name, invitation.role, &joined)?;
    Ok(txn.put(&INVITATIONS, &invitation.id, &Invitation { state: State::Accepted, ..invitation })?)
}
