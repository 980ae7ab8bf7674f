//! What the writers of all stores have done since the process began, for `/metrics`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Counts by upper bounds, with a sum: Prometheus' histogram.
pub struct Histogram<const N: usize> {
    /// Upper bounds of the buckets, ascending; what is above the last is only in the count.
    pub bounds: [u64; N],
    counts: [AtomicU64; N],
    sum: AtomicU64,
    count: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// For each bound how many values were at most that.
    pub buckets: Vec<(u64, u64)>,
    /// Of all values.
    pub sum: u64,
    /// How many values.
    pub count: u64,
}

impl<const N: usize> Histogram<N> {
    /// An empty histogram with these bounds.
    #[must_use]
    pub const fn new(bounds: [u64; N]) -> Self {
        Self { bounds, counts: [const { AtomicU64::new(0) }; N], sum: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn note(&self, value: u64) {
        if let Some(bucket) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut below = 0;
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            below += count.load(Ordering::Relaxed);
            (*bound, below)
        });
        Reading {
            buckets: buckets.collect(),
            sum: self.sum.load(Ordering::Relaxed),
            count: self.count.load(Ordering::Relaxed),
        }
    }
}

/// Commands in each committed group.
pub static GROUP_COMMANDS: Histogram<9> = Histogram::new([1, 2, 4, 8, 16, 32, 64, 128, 256]);
/// Microseconds from taking a group to its being on the disk.
pub static COMMIT_MICROS: Histogram<12> =
    Histogram::new([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 500_000, 2_000_000]);
/// Microseconds of that spent in waiting for the disk to sync.
pub static SYNC_MICROS: Histogram<12> =
    Histogram::new([100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 500_000]);
/// Commands that were refused because too many waited.
pub static OVERLOADED: AtomicU64 = AtomicU64::new(0);

/// A duration in whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_everything_at_most_their_bound() {
        let histogram = Histogram::new([1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 1_000] {
            histogram.note(value);
        }
        assert_eq!(histogram.read(), Reading { buckets: vec![(1, 2), (10, 4), (100, 5)], sum: 1_024, count: 6 });
    }
}
