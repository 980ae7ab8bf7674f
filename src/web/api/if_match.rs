//! `If-Match` (RFC 9110, 13.1.1): a change only to what the client knows.

use super::problem::{Fault, Problem};
use crate::text::Message;

/// The versions that a client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// The header was not sent, or is `*`.
    Any,
    /// One of these. Tags that are weak or not ours match no version.
    Of(Vec<u64>),
}

impl IfMatch {
    /// Reads the header.
    ///
    /// # Errors
    /// 422 unless it is `*` or a list of entity tags.
    pub fn parse(header: Option<&str>) -> Result<Self, Problem> {
        let Some(header) = header.map(str::trim).filter(|header| *header != "*") else { return Ok(Self::Any) };
        let mut versions = Vec::new();
        for tag in header.split(',').map(str::trim) {
            let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
            let Some(opaque) = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) else {
                return Err(Fault::new("If-Match", "malformed", Message::plain("api-rule-if-match")).into());
            };
            versions.extend(opaque.parse::<u64>().ok().filter(|_| !weak));
        }
        Ok(Self::Of(versions))
    }

    /// Whether a card of that version is what the client knows.
    #[must_use]
    pub fn matches(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Of(versions) => versions.contains(&version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for (header, want) in [
            (None, Some(IfMatch::Any)),
            (Some("*"), Some(IfMatch::Any)),
            (Some("\"7\""), Some(IfMatch::Of(vec![7]))),
            (Some(" \"7\" , \"8\""), Some(IfMatch::Of(vec![7, 8]))),
            (Some("W/\"7\""), Some(IfMatch::Of(vec![]))),
            (Some("\"abc\""), Some(IfMatch::Of(vec![]))),
            (Some("7"), None),
            (Some(""), None),
            (Some("\""), None),
        ] {
            assert_eq!(IfMatch::parse(header).ok(), want, "{header:?}");
        }
    }
}
