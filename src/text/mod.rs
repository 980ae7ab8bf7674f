//! Text that people and senders hand in, parsed once into types that cannot hold anything else.
//!
//! A value that exists is valid: a [`Title`] is trimmed, one line, within its limit and free of characters that hide or
//! reorder others, so no later code checks again. Text from a program that nobody can ask to correct it (a webhook's)
//! goes through [`clean_line`], [`clean_lines`] and [`cut`] first. [`markdown`] is the only maker of HTML from comments.
//! [`fold`] is how two spellings are found equal. Limits stand in [`crate::limits`]; what a person reads about a refusal
//! is a [`Message`] of `assets/locales/*/text.ftl`.

mod check;
mod clean;
mod date;
mod fold;
mod mail_address;
pub mod markdown;
mod message;
mod values;

pub use check::TextError;
pub use clean::{clean_line, clean_lines, cut};
pub use date::{CivilDate, DateError};
pub use fold::fold;
pub use mail_address::{MailAddress, MailAddressError};
#[cfg(test)]
pub(crate) use message::assert_spoken;
pub use message::{Explain, Message};
pub use values::{Comment, FieldKey, LongText, Name, TextValue, Title};
