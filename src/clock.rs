//! The only source of time.
//!
//! Everything that decides by time takes a [`Timestamp`] as an argument; only this file asks the system. Tests hold a
//! [`Clock::fixed`] and move it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use minicbor::{Decode, Encode};

/// A moment: milliseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] pub i64);

impl Timestamp {
    /// The moment `span` later, saturating at the end of representable time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `span` earlier, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time passed since `earlier`; zero if the clock was set back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same moment as jiff's type; out-of-range values are clamped.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The same moment in a zone, for display.
    #[must_use]
    pub fn in_zone(self, zone: &jiff::tz::TimeZone) -> jiff::Zoned {
        self.to_jiff().to_zoned(zone.clone())
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T03:00:00.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        format!("{:.3}", self.to_jiff())
    }
}

/// Where [`Timestamp`]s come from: the system, or a test's own hand.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's wall clock.
    System,
    /// A clock that stands still until it is moved.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn fixed(now: Timestamp) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(now.0)))
    }

    /// The present moment. A system clock before 1970 reads as 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Fixed(millis) => Timestamp(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a fixed clock forward; the system's clock is left alone.
    pub fn advance(&self, span: Duration) {
        if let Self::Fixed(millis) = self {
            millis.fetch_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}
