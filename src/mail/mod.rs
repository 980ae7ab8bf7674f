//! Mail: out of the appliance, by one mail server, without ever losing or repeating one knowingly.
//!
//! [`smtp`] hands one message to the mail server and says what came of it; [`schedule`] says when the next try is due.

pub mod schedule;
pub mod smtp;
mod wary;
