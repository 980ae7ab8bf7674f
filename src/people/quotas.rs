//! How much an organization may hold and send: set by operators, kept in the organization's file, shown with its use.

use minicbor::{Decode, Encode};

use super::{Event, PeopleError, record};
use crate::{
    clock::Timestamp,
    limits,
    store::{Read, Shape, StoreError, Table, Txn, history::Actor},
};

/// The organization's own quotas; the defaults if there are none.
const QUOTAS: Table<(), Quotas> = Table::new("quotas");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [QUOTAS.shape()];

/// What an organization may hold and send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Quotas {
    /// Cards, those in the archive and the trash included.
    #[n(0)]
    pub cards: u64,
    /// Bytes of its records (keys and values): what it holds, not what its file takes.
    #[n(1)]
    pub bytes: u64,
    /// Members at one time.
    #[n(2)]
    pub members: u64,
    /// Deliveries of all its webhook endpoints together.
    #[n(3)]
    pub deliveries_per_minute: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            cards: limits::CARDS_MAX as u64,
            bytes: limits::ORGANIZATION_BYTES_DEFAULT,
            members: limits::MEMBERS_MAX as u64,
            deliveries_per_minute: limits::DELIVERIES_PER_MINUTE_DEFAULT,
        }
    }
}

/// The quotas of the organization whose store this is.
///
/// # Errors
/// What the store says.
pub fn quotas(view: &dyn Read) -> Result<Quotas, StoreError> {
    Ok(view.get(&QUOTAS, &())?.unwrap_or_default())
}

/// Sets the quotas. What is held beyond a lower one stays; more is refused.
///
/// # Errors
/// What the store says.
pub fn set_quotas(txn: &Txn<'_>, at: Timestamp, actor: Actor, to: Quotas) -> Result<(), PeopleError> {
    if quotas(txn.reader())? == to {
        return Ok(());
    }
    record(txn, at, actor, &Event::QuotasChanged { to })?;
    Ok(txn.put(&QUOTAS, &(), &to)?)
}
