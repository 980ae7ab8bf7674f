//! When the day's snapshot is due: once a civil day inside the window, at a moment of this appliance's own, and as soon as
//! possible when that was missed.

use std::time::Duration;

use jiff::{civil::Time, tz::TimeZone};

use crate::clock::Timestamp;

/// The hours in which the day's snapshot is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Time,
    pub to: Time,
}

impl Window {
    fn length(self) -> Duration {
        Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default()
    }
}

/// How long to wait for the day's snapshot; nothing if it is due now.
///
/// `last_day` is the civil day of the newest daily generation. `share` (0 to 1) is where in the first nine tenths of the
/// window this appliance begins, so that machines on one network do not all begin at once.
#[must_use]
pub fn wait(now: Timestamp, zone: &TimeZone, window: Window, last_day: Option<&str>, share: f64) -> Duration {
    let local = now.in_zone(zone);
    let (today, offset) = (local.date(), window.length().mul_f64(share.clamp(0.0, 1.0) * 0.9));
    let moment = |day: jiff::civil::Date| {
        // Where clocks are put forward over the window's begin, it begins after the gap.
        let begin = day.to_datetime(window.from).to_zoned(zone.clone()).ok()?;
        Some(Timestamp(begin.timestamp().as_millisecond()).plus(offset))
    };
    let next = if last_day == Some(today.to_string().as_str()) { today.tomorrow().ok() } else { Some(today) };
    match next.and_then(moment) {
        Some(due) => due.since(now),
        None => Duration::from_secs(60 * 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let zoned: jiff::Zoned = format!("{text}[Asia/Tokyo]").parse().unwrap();
        Timestamp(zoned.timestamp().as_millisecond())
    }

    #[test]
    fn once_a_day_in_the_window_and_late_rather_than_never() {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let window = Window { from: jiff::civil::time(12, 0, 0, 0), to: jiff::civil::time(13, 0, 0, 0) };
        let case = |now: &str, last: Option<&str>, share: f64| wait(at(now), &zone, window, last, share).as_secs() / 60;
        assert_eq!(case("2026-11-22T11:00:00", Some("2026-11-21"), 0.0), 60);
        assert_eq!(case("2026-11-22T11:00:00", Some("2026-11-21"), 0.5), 60 + 27);
        assert_eq!(case("2026-11-22T11:00:00", None, 1.0), 60 + 54);
        assert_eq!(case("2026-11-22T12:30:00", Some("2026-11-21"), 0.1), 0, "due");
        assert_eq!(case("2026-11-22T12:30:00", Some("2026-11-22"), 0.0), 23 * 60 + 30, "taken today");
        assert_eq!(case("2026-11-22T18:00:00", Some("2026-11-20"), 0.9), 0, "caught up after downtime");
        assert_eq!(case("2026-11-22T08:00:00", Some("2026-11-20"), 0.0), 4 * 60, "today's own is soon");
        assert_eq!(case("2026-11-22T11:59:00", Some("2026-11-23"), 0.0), 1, "the clock was put back a day");
    }
}
