//! What a generation is called: when it was taken, in the appliance's zone.

use std::{cmp::Ordering, fmt};

use jiff::{fmt::strtime, tz::TimeZone};

use crate::clock::Timestamp;

const FORM: &str = "%Y-%m-%dT%H%M%S%z";

/// A generation's name, `2026-11-22T120003+0900`. Names sort by moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    text: String,
    /// In whole seconds.
    at: Timestamp,
}

impl Name {
    /// The name of what is taken at a moment.
    #[must_use]
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let at = Timestamp(at.unix_seconds() * 1000);
        Self { text: at.in_zone(zone).strftime(FORM).to_string(), at }
    }

    /// A name as it stands on the disk; `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let zoned = strtime::parse(FORM, text).ok()?.to_zoned().ok()?;
        // Only the one spelling: what is not ours is not touched.
        (zoned.strftime(FORM).to_string() == text)
            .then(|| Self { text: text.to_owned(), at: Timestamp(zoned.timestamp().as_millisecond()) })
    }

    /// The moment in it.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, &self.text).cmp(&(other.at, &other.text))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_text_and_back() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let name = Name::new(Timestamp(1_795_316_403_250), &tokyo);
        assert_eq!(name.as_str(), "2026-11-22T120003+0900");
        assert_eq!(name.at(), Timestamp(1_795_316_403_000));
        assert_eq!(Name::parse(name.as_str()), Some(name.clone()));
        assert!(name < Name::new(Timestamp(1_795_316_404_000), &TimeZone::UTC));
        for other in [
            "",
            "keyring",
            "2026-11-22",
            "2026-11-22T120003+0900.partial",
            "2026-11-22T120003+09:00",
            "2026-13-22T120003+0900",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
