//! What an organization that was put back from a generation must have set right before anybody enters it.

use std::collections::BTreeSet;

use super::{Event, PeopleError, Role, members, record, tokens};
use crate::{
    clock::Timestamp,
    ids::UserId,
    store::{Txn, history::Actor},
};

/// What was set right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Tokens that opened something then, and open nothing now.
    pub tokens_disabled: usize,
    /// Members of then who are none any more.
    pub members_removed: usize,
}

/// Notes the restore in the history; disables API tokens unless they are to stay; and removes members of then who had left
/// before the restore, where `present` says who had not. The last owner stays in any case.
///
/// # Errors
/// What the store says.
pub fn settle(
    txn: &Txn<'_>,
    at: Timestamp,
    generation: &str,
    keep_tokens: bool,
    present: Option<&BTreeSet<UserId>>,
) -> Result<Settled, PeopleError> {
    let actor = Actor::Operator(None);
    let mut settled = Settled::default();
    record(txn, at, actor, &Event::Restored { generation: generation.to_owned() })?;
    if !keep_tokens {
        for token in tokens::all(txn.reader())?.into_iter().filter(|token| token.usable(at)) {
            tokens::revoke(txn, at, actor, token.id)?;
            settled.tokens_disabled += 1;
        }
    }
    if let Some(present) = present {
        let mut gone = members::present(txn.reader())?;
        gone.retain(|member| !present.contains(&member.user));
        for member in gone {
            match members::remove(txn, at, actor, Role::Owner, member.user) {
                Ok(_) => settled.members_removed += 1,
                Err(PeopleError::Refused(super::Refusal::LastOwner)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(settled)
}
