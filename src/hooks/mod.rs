//! Inbound webhooks: from the bytes that a sender posts to what a card is made of.
//!
//! This part is pure: no store, no clock, no HTTP. A delivery goes through it in this order, and the order matters:
//! [`signature`] is checked over the raw body, [`payload`] reads the body that passed, [`mapping`] picks title, status,
//! fields and key. A signature that fails is refused. A body that cannot be read is *held*: kept, and answered with 200,
//! because senders give up endpoints that answer 4xx.

pub mod form;
pub mod mapping;
pub mod payload;
pub mod signature;
