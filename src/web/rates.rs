//! How often an organization's senders may come: a token bucket each, which holds a minute's worth.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{clock::Timestamp, ids::OrgId};

/// Buckets that are kept; past it the full ones are forgotten, since a new one is full too.
const KEPT_MAX: usize = 4_096;

/// The buckets of the organizations whose senders came lately.
#[derive(Default)]
pub struct Rates(Mutex<HashMap<OrgId, Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    /// Deliveries that may come at once, each counted as [`ONE`].
    level: u64,
    at: Timestamp,
}

/// One delivery in the measure of [`Bucket::level`]: a rate of one a minute fills it in 60,000 milliseconds.
const ONE: u64 = 60_000;

impl Rates {
    /// Takes one delivery out of the organization's bucket, into which `per_minute` flow; false if it is empty.
    pub fn take(&self, org: OrgId, per_minute: u64, now: Timestamp) -> bool {
        let full = per_minute.saturating_mul(ONE);
        let mut buckets = self.0.lock();
        if buckets.len() >= KEPT_MAX && !buckets.contains_key(&org) {
            buckets.retain(|_, bucket| now.since(bucket.at).as_secs() < 60);
        }
        let bucket = buckets.entry(org).or_insert(Bucket { level: full, at: now });
        let passed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.level = bucket.level.saturating_add(passed.saturating_mul(per_minute)).min(full);
        bucket.at = now;
        let there = bucket.level >= ONE;
        if there {
            bucket.level -= ONE;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_as_many_as_flow_in() {
        let (rates, org, start) = (Rates::default(), OrgId([1; 16]), Timestamp(1_000_000));
        let come = |at: Timestamp| (0..100).filter(|_| rates.take(org, 30, at)).count();
        assert_eq!(come(start), 30);
        assert_eq!(come(start), 0);
        assert_eq!(come(start.plus(Duration::from_secs(1))), 0, "half of one");
        assert_eq!(come(start.plus(Duration::from_secs(2))), 1);
        assert_eq!(come(start.plus(Duration::from_secs(600))), 30, "never more than a minute's worth");
        assert!(rates.take(OrgId([2; 16]), 30, start), "others are not touched");
        assert!(!rates.take(OrgId([3; 16]), 0, start), "none means none");
    }

    #[test]
    fn a_clock_that_steps_back_neither_fills_nor_locks() {
        let (rates, org, start) = (Rates::default(), OrgId([1; 16]), Timestamp(10_000_000));
        assert!((0..2).all(|_| rates.take(org, 2, start)));
        assert!(!rates.take(org, 2, start.minus(Duration::from_secs(3600))));
        assert!(rates.take(org, 2, start.minus(Duration::from_secs(3570))));
    }
}
