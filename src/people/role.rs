//! Roles: what a member may do in an organization.

use minicbor::{Decode, Encode};

/// A member's role, from the least to the most. Each includes the rights of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Sees and comments on the boards that they were admitted to.
    #[n(0)]
    Guest,
    /// Works on every board.
    #[n(1)]
    Member,
    /// Shapes boards, invites and removes members.
    #[n(2)]
    Admin,
    /// Everything, up to exporting and erasing the organization.
    #[n(3)]
    Owner,
}

impl Role {
    /// All roles, from the least.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Member, Self::Admin, Self::Owner];

    /// The name in forms, commands and the API; `role-{name}` is its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
