//! A day of the calendar.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use super::message::{Explain, Message};

/// A day without a time and a zone, such as a due date: the same day wherever it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDate(pub jiff::civil::Date);

/// Why a text is not a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Not four digits, two and two, with `-` between.
    #[error("a date is written as year-month-day, like 2026-11-22")]
    Shape,
    /// A month or day that the calendar lacks.
    #[error("the calendar has no such day")]
    NoSuchDay,
}

impl Explain for DateError {
    fn message(&self) -> Message {
        Message::plain(match self {
            Self::Shape => "date-error-shape",
            Self::NoSuchDay => "date-error-no-such-day",
        })
    }
}

impl CivilDate {
    /// The day that `YYYY-MM-DD` names (RFC 3339, full-date), ends trimmed.
    ///
    /// # Errors
    /// [`DateError`] for another shape, or a day that does not exist.
    pub fn parse(raw: &str) -> Result<Self, DateError> {
        let text = raw.trim();
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return Err(DateError::Shape);
        }
        text.parse().map(Self).map_err(|_| DateError::NoSuchDay)
    }
}

impl FromStr for CivilDate {
    type Err = DateError;
    fn from_str(raw: &str) -> Result<Self, DateError> {
        Self::parse(raw)
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Stored as its text: ten bytes that sort as days do.
impl<C> Encode<C> for CivilDate {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for CivilDate {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::parse(d.str()?).map_err(decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::message::assert_spoken;

    #[test]
    fn dates() {
        #[track_caller]
        fn case(raw: &str, want: Result<&str, DateError>) {
            assert_eq!(CivilDate::parse(raw).map(|date| date.to_string()), want.map(str::to_owned), "{raw:?}");
        }
        case(" 2026-11-22 ", Ok("2026-11-22"));
        case("2028-02-29", Ok("2028-02-29"));
        case("2026-02-29", Err(DateError::NoSuchDay));
        case("2026-13-01", Err(DateError::NoSuchDay));
        case("2026/11/22", Err(DateError::Shape));
        case("26-11-22", Err(DateError::Shape));
        case("2026-11-22T00:00", Err(DateError::Shape));
        case("２０２６-11-22", Err(DateError::Shape));
        case("", Err(DateError::Shape));
        assert_spoken(&DateError::Shape);
        assert_spoken(&DateError::NoSuchDay);
    }

    fn decode_date(stored: &[u8]) -> Result<CivilDate, decode::Error> {
        decode(stored)
    }

    proptest! {
        #[test]
        fn dates_survive_text_and_store(year in 0_i16..=9999, month in 1_i8..=12, day in 1_i8..=28) {
            let date = CivilDate(jiff::civil::date(year, month, day));
            prop_assert_eq!(CivilDate::parse(&date.to_string()), Ok(date));
            let stored = minicbor::to_vec(date).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(decode_date(&stored).ok(), Some(date));
        }

        #[test]
        fn no_text_panics(raw in ".{0,12}|[0-9-]{10}") {
            if let Ok(date) = CivilDate::parse(&raw) {
                prop_assert_eq!(date.to_string(), raw.trim());
            }
        }
    }
}
