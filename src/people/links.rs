//! One-time links made on the server: the first operator's, and the break-glass sign-in. They need no pending cookie,
//! since whoever runs commands on the server holds everything anyway.

use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::{
    clock::Timestamp,
    ids::{Secret, UserId},
    store::{Read, Shape, StoreError, Table, Txn},
};

/// How long a link made by command can be used.
pub const LIFE: Duration = Duration::from_secs(15 * 60);
/// How long the first operator's link can be used: until somebody had the time to walk back to their desk.
pub const LIFE_FIRST: Duration = Duration::from_secs(24 * 60 * 60);

const LINKS: Table<[u8; 32], Link> = Table::new("one_time_links");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [LINKS.shape()];

/// A link that was not used yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Link {
    #[n(0)]
    pub purpose: Purpose,
    #[n(1)]
    pub expires_at: Timestamp,
}

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// Whoever follows it becomes the first operator.
    #[n(0)]
    FirstOperator,
    /// Signs a user in.
    #[n(1)]
    SignIn(#[n(0)] UserId),
}

/// Keeps a link under its secret.
///
/// # Errors
/// What the store says.
pub fn put(txn: &Txn<'_>, secret: &Secret<16>, link: &Link) -> Result<(), StoreError> {
    txn.put(&LINKS, &secret.digest(), link)
}

/// A link that can still be used.
///
/// # Errors
/// What the store says.
pub fn find(view: &dyn Read, secret: &Secret<16>, now: Timestamp) -> Result<Option<Link>, StoreError> {
    Ok(view.get(&LINKS, &secret.digest())?.filter(|link| now < link.expires_at))
}

/// Uses a link up.
///
/// # Errors
/// What the store says.
pub fn take(txn: &Txn<'_>, secret: &Secret<16>, now: Timestamp) -> Result<Option<Link>, StoreError> {
    let found = find(txn.reader(), secret, now)?;
    if found.is_some() {
        txn.delete(&LINKS, &secret.digest())?;
    }
    Ok(found)
}
