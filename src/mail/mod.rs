//! Mail: a durable outbox in each store, and a courier that carries it to one mail server.
//!
//! Mail is queued in the transaction of the change that it tells of ([`queue`]), so neither is ever without the other.
//! [`courier`] looks into the outboxes and hands over what is due; [`smtp`] speaks to the mail server; [`schedule`] says
//! when the next try is due; [`letter`] puts a mail into words. Operators see recipient, kind, time and error ([`line`]),
//! never subject or body.

pub mod courier;
pub mod letter;
mod outbox;
pub mod schedule;
pub mod smtp;
mod wary;

/// Tables that are in no generation: mail that was not sent then is not sent later.
pub const NOT_IN_GENERATIONS: [&str; 2] = ["outbox", "outbox_due"];

pub use outbox::{Line, Mail, MailKind, SHAPES, due, line, lines, purge_old, queue, queue_decoy, settle, waiting};
