//! Pages and the forms on them, a file a noun.

pub mod board;
pub mod board_settings;
pub mod card;
pub mod card_view;
pub mod console;
pub mod gate;
pub mod home;
pub mod hooks;
pub mod invitation;
pub mod list;
pub mod members;
pub mod organization;
pub mod profile;
pub mod quota;
pub mod snapshots;

use poem::{Request, http::header};

use super::{answer::WebError, caller::Here, format::say};
use crate::{
    text::{Explain, Message},
    work::{self, Command, Outcome, WorkError},
};

/// Whether htmx or a script of ours asks, which wants a fragment rather than a page.
#[must_use]
pub fn wants_fragment(req: &Request) -> bool {
    req.header("hx-request").is_some()
}

/// Sends a command of the reader to their organization's store.
///
/// # Errors
/// The refusal, or what the store says.
pub async fn command(here: &Here, weight: usize, command: Command) -> Result<Outcome, WorkError> {
    let (at, actor) = (here.app().now(), here.actor());
    here.store.submit(weight, move |txn| work::change(txn, actor, at, &command)).await
}

/// Parses a value of a form.
///
/// # Errors
/// [`WebError::Invalid`] with the rule.
pub fn parse<T>(text: &str) -> Result<T, WebError>
where
    T: std::str::FromStr,
    T::Err: Explain,
{
    text.parse().map_err(|error: T::Err| WebError::Invalid(error.message()))
}

/// Parses an id of a path or form; what is none belongs to nothing.
///
/// # Errors
/// [`WebError::NotFound`].
pub fn id<T: std::str::FromStr>(text: &str) -> Result<T, WebError> {
    text.parse().map_err(|_| WebError::NotFound)
}

/// An id of the path.
///
/// # Errors
/// [`WebError::NotFound`].
pub fn path_id<T: std::str::FromStr>(req: &Request, name: &str) -> Result<T, WebError> {
    id(req.raw_path_param(name).unwrap_or_default())
}

/// A refusal in the reader's words, to stand beside the field; errors that are no refusal go on.
///
/// # Errors
/// The error, if it is not the typist's to mend.
pub fn rule(here: &Here, error: WebError) -> Result<String, WebError> {
    error.message().map(|message| say(here.words(), &message)).ok_or(error)
}

/// The path that a form was sent from, if it is one of ours.
#[must_use]
pub fn came_from(req: &Request) -> Option<String> {
    let referrer = req.header(header::REFERER)?;
    let (_, rest) = referrer.split_once("://")?;
    let path = &rest[rest.find('/')?..];
    Some(super::answer::safe_path(path).to_owned())
}

/// A message without arguments, as a form's error.
#[must_use]
pub fn plain(key: &'static str) -> WebError {
    WebError::Invalid(Message::plain(key))
}

/// `text` as a value in an address's query.
#[must_use]
pub fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
