//! Why the off-site copy could not be made, read or removed.

use std::{error::Error as _, fmt::Write as _, path::PathBuf};

use super::super::Name;

/// What went wrong. The generations in the snapshot folder are as they were.
#[derive(Debug, thiserror::Error)]
pub enum OffsiteError {
    /// Nothing was said about where it is.
    #[error("there is no off-site copy: `offsite_url` is not set")]
    NotSet,
    /// The file with further roots.
    #[error("offsite_root_file {}: {what}", path.display())]
    Root { path: PathBuf, what: String },
    /// The file with the credentials.
    #[error("the off-site credentials in {place}: {what}")]
    Credentials { place: String, what: String },
    /// The client could not be made of the settings.
    #[error("the off-site store cannot be used as it is set: {0}")]
    Client(String),
    /// The server was not reached, or went away.
    #[error("{url} cannot be reached: {what}")]
    Unreachable { url: String, what: String },
    /// The server said no.
    #[error("{url} refused {doing}: {what}")]
    Refused { url: String, doing: String, what: String, status: u16 },
    /// The bucket is elsewhere than was said.
    #[error(
        "the bucket of {url} is in {found}, and offsite_region says {declared}: nothing is sent where the declared \
         residency may not hold"
    )]
    Elsewhere { url: String, found: String, declared: String },
    /// Generations that no key of this appliance opens.
    #[error("{url} holds the generations of another appliance; choose another bucket or prefix for this one")]
    Foreign { url: String },
    /// A keyring stands there that was changed after this one.
    #[error(
        "the keyring in {url} is of state {theirs}, and this appliance's is of state {ours}: the newer one is not \
         replaced by the older. Restore from it with --offsite, or choose another prefix"
    )]
    Newer { url: String, theirs: u64, ours: u64 },
    /// An object is not what was written.
    #[error("{object} is damaged: {what}")]
    Damaged { object: String, what: String },
    /// There is no such generation there.
    #[error("there is no generation {name} in {url}; there {}", .there.last().map_or("is none".to_owned(), |newest| {
        format!("are {}, the newest {newest}", .there.len())
    }))]
    NoSuch { name: String, url: String, there: Vec<Name> },
    /// Another round runs.
    #[error("the off-site copy is being brought up to date already")]
    Busy,
}

impl OffsiteError {
    /// Whether the object is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// What the library said, without the request that it quotes: an answer may repeat what was signed.
    pub(super) fn of(url: &str, doing: &str, error: &object_store::Error) -> Self {
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let _ = write!(said, ": {inner}");
            source = inner.source();
        }
        let refused = |status: u16| Self::Refused {
            url: url.to_owned(),
            doing: doing.to_owned(),
            what: in_words(&said, status),
            status,
        };
        match error {
            object_store::Error::NotFound { .. } => refused(404),
            object_store::Error::PermissionDenied { .. } => refused(403),
            object_store::Error::Unauthenticated { .. } => refused(401),
            _ => match status_in(&said) {
                Some(status) => refused(status),
                None => Self::Unreachable { url: url.to_owned(), what: innermost(error) },
            },
        }
    }
}

/// The text between a pair of XML tags, without other tags in it.
pub(super) fn tagged<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let after = text.split_once(&format!("<{tag}>"))?.1;
    let inside = after.split_once(&format!("</{tag}>"))?.0;
    (!inside.contains('<')).then_some(inside)
}

/// What an S3 error document says, or the status alone.
pub(super) fn in_words(body: &str, status: u16) -> String {
    match (tagged(body, "Code"), tagged(body, "Message")) {
        (Some(code), Some(message)) => format!("{code} ({message})"),
        (Some(code), None) => code.to_owned(),
        _ => format!("status {status}"),
    }
}

/// The status of an answer that the library quotes.
fn status_in(said: &str) -> Option<u16> {
    let after = said.split_once("status code: ")?.1;
    after.get(..3)?.parse().ok()
}

/// The cause at the bottom: "connection refused" rather than how often it was tried.
fn innermost(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_by_its_code_alone() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message><StringToSign>AWS4\nSECRET\
                    </StringToSign></Error>";
        assert_eq!(in_words(body, 403), "SignatureDoesNotMatch (no match)");
        assert_eq!(in_words("<html>", 502), "status 502");
        assert_eq!(tagged("<a><b>1</b></a>", "a"), None);
        let quoted = format!("Error performing PUT: Server returned non-2xx status code: 403 Forbidden: {body}");
        let error = object_store::Error::Generic { store: "S3", source: quoted.into() };
        let told = OffsiteError::of("s3://b", "an upload", &error).to_string();
        assert_eq!(told, "s3://b refused an upload: SignatureDoesNotMatch (no match)");
    }
}
