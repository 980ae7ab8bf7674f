//! When mail that was not taken is tried again, and when no more.
//!
//! The first tries come quickly, since people wait for sign-in codes; then ever more slowly, until three days have
//! passed since the first. RFC 5321, section 4.5.4.1, asks for two tries in the first hour, and for at least four to
//! five days altogether between mail servers; this is a client of one, whose operator is told on the first day.

use std::time::Duration;

use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Pauses after the first, second, … try that failed; the last one repeats.
const PAUSES: [Duration; 7] = [
    MINUTE,
    MINUTE.saturating_mul(5),
    MINUTE.saturating_mul(15),
    MINUTE.saturating_mul(30),
    HOUR,
    HOUR.saturating_mul(2),
    HOUR.saturating_mul(4),
];

/// How long after its first try a message is given up.
pub const GIVE_UP_AFTER: Duration = HOUR.saturating_mul(72);

/// When to try again a message first tried at `first`, after `tries` failures of which the last was at `now`; `None` if
/// it is given up.
///
/// The pause counts from the last failure, so that an appliance that was off for a day does not spend all its tries at
/// once. The last try is made when the three days end, however far off it would have been.
#[must_use]
pub fn next_try(first: Timestamp, tries: u32, now: Timestamp) -> Option<Timestamp> {
    let end = first.plus(GIVE_UP_AFTER);
    if now >= end {
        return None;
    }
    let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    Some(now.plus(PAUSES[index]).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Timestamp = Timestamp(1_795_316_400_000);

    /// Minutes from the first try to each of the others, if all fail.
    fn minutes_of_tries() -> Vec<u64> {
        let (mut now, mut tries, mut minutes) = (FIRST, 1, Vec::new());
        while let Some(next) = next_try(FIRST, tries, now) {
            assert!(next > now);
            minutes.push(next.since(FIRST).as_secs() / 60);
            (now, tries) = (next, tries + 1);
        }
        minutes
    }

    #[test]
    fn the_pauses_grow_and_end_after_three_days() {
        let minutes = minutes_of_tries();
        assert_eq!(minutes[..8], [1, 6, 21, 51, 111, 231, 471, 711]);
        assert_eq!(*minutes.last().unwrap(), 72 * 60, "the last try is made at the end");
        assert_eq!(minutes.len(), 24);
    }

    #[test]
    fn a_long_sleep_costs_one_try() {
        let woken = FIRST.plus(HOUR * 48);
        assert_eq!(next_try(FIRST, 2, woken), Some(woken.plus(MINUTE * 5)));
        assert_eq!(next_try(FIRST, 2, FIRST.plus(HOUR * 100)), None);
    }

    #[test]
    fn odd_numbers_are_no_trouble() {
        assert_eq!(next_try(FIRST, 0, FIRST), Some(FIRST.plus(MINUTE)));
        assert_eq!(next_try(FIRST, u32::MAX, FIRST), Some(FIRST.plus(HOUR * 4)));
        assert_eq!(next_try(FIRST, 1, FIRST.minus(HOUR)), Some(FIRST.minus(HOUR).plus(MINUTE)), "a clock set back");
        assert_eq!(next_try(Timestamp(i64::MAX), 1, Timestamp(i64::MAX)), None);
    }
}
