//! People: who they are, where they belong, how they sign in.
//!
//! An organization's own file is the authority for its members, roles, invitations and tokens ([`members`],
//! [`invitations`], [`tokens`]); the system store knows ids and hashes only ([`directory`], [`sessions`], [`sign_in`]).
//! What touches both is a saga ([`sagas`]): an intent in the system store first, idempotent steps after it. Should they
//! differ all the same, the organization is right ([`reconcile`]).

pub mod directory;
mod event;
pub mod invitations;
pub mod links;
pub mod members;
mod quotas;
pub mod reconcile;
mod refusal;
pub mod restored;
mod role;
pub mod sagas;
pub mod sessions;
pub mod sign_in;
pub mod tokens;

pub use event::Event;
pub use members::{Member, Settings, member};
pub use quotas::{Quotas, SHAPES as QUOTA_SHAPES, quotas, set_quotas};
pub use refusal::{PeopleError, Refusal};
pub use role::Role;

use crate::{
    clock::Timestamp,
    store::{
        StoreError, Txn,
        history::{Actor, Room, append},
    },
};

/// Tables of the system's store that are in no generation: who is signed in is not put back.
pub const NOT_IN_GENERATIONS: [&str; 5] =
    ["sessions", "sessions_by_user", "sign_in_pendings", "sign_in_counts", "one_time_links"];

/// Appends one event of this room to the organization's history.
fn record(txn: &Txn<'_>, at: Timestamp, actor: Actor, event: &Event) -> Result<u64, StoreError> {
    append(txn, at, actor, Room::People, event)
}
