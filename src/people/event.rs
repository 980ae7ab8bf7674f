//! What happened among an organization's people. Written once and never changed.

use minicbor::{Decode, Encode};

use super::{Quotas, Role};
use crate::ids::{InvitationId, TokenId, UserId};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The organization was made.
    #[n(0)]
    Founded {
        #[n(0)]
        name: String,
        #[n(1)]
        owner: UserId,
    },
    #[n(1)]
    Renamed {
        #[n(0)]
        from: String,
        #[n(1)]
        to: String,
    },
    #[n(2)]
    Invited {
        #[n(0)]
        invitation: InvitationId,
        #[n(1)]
        role: Role,
    },
    #[n(3)]
    InvitationResent {
        #[n(0)]
        invitation: InvitationId,
    },
    #[n(4)]
    InvitationRevoked {
        #[n(0)]
        invitation: InvitationId,
    },
    #[n(5)]
    Joined {
        #[n(0)]
        user: UserId,
        #[n(1)]
        role: Role,
        #[n(2)]
        invitation: InvitationId,
    },
    #[n(6)]
    RoleChanged {
        #[n(0)]
        user: UserId,
        #[n(1)]
        from: Role,
        #[n(2)]
        to: Role,
    },
    #[n(7)]
    Removed {
        #[n(0)]
        user: UserId,
    },
    #[n(8)]
    Left {
        #[n(0)]
        user: UserId,
    },
    #[n(9)]
    ProfileChanged {
        #[n(0)]
        user: UserId,
    },
    #[n(10)]
    TokenCreated {
        #[n(0)]
        token: TokenId,
        #[n(1)]
        name: String,
        #[n(2)]
        role: Role,
    },
    #[n(11)]
    TokenRevoked {
        #[n(0)]
        token: TokenId,
    },
    /// A sign-in link was made on the server for a member.
    #[n(12)]
    SignInLinkMade {
        #[n(0)]
        user: UserId,
    },
    #[n(13)]
    QuotasChanged {
        #[n(0)]
        to: Quotas,
    },
    /// The organization was put back from a generation: what was done since is gone.
    #[n(14)]
    Restored {
        #[n(0)]
        generation: String,
    },
}
