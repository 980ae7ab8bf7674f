//! Inbound webhooks: from the bytes that a sender posts to what a card is made of.
//!
//! A delivery goes through the room in this order, and the order matters: [`target`] finds whose address it is,
//! [`signature`] is checked over the raw body, [`payload`] reads the body that passed, [`mapping`] picks title, status,
//! fields and key, [`delivery`] takes it in, once and durably. All but the first and the last are pure. A signature that
//! fails is refused. A body that cannot be read is *held*: kept, and answered with 200, because senders give up endpoints
//! that answer 4xx.

pub mod delivery;
pub mod endpoint;
pub mod form;
pub mod mapping;
pub mod payload;
pub mod signature;
pub mod target;
