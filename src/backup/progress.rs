//! How far long work is, for whoever watches it.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::time::Instant;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Nothing.
    #[default]
    Idle,
    /// Stores are written into segments.
    Writing,
    /// Segments are read back.
    Verifying,
    /// Stores are filled from segments.
    Restoring,
    /// A copy elsewhere is made.
    Uploading,
    /// A copy elsewhere is fetched.
    Fetching,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Idle, Self::Writing, Self::Verifying, Self::Restoring, Self::Uploading, Self::Fetching];

    /// Its name, for documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Writing => "writing",
            Self::Verifying => "verifying",
            Self::Restoring => "restoring",
            Self::Uploading => "uploading",
            Self::Fetching => "fetching",
        }
    }
}

/// Bytes done of bytes expected, by step; shared between who works and who watches.
#[derive(Debug, Default)]
pub struct Progress {
    step: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    began: Mutex<Option<Instant>>,
}

impl Progress {
    /// Begins a step of about `total` bytes.
    pub fn begin(&self, step: Step, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        *self.began.lock() = Some(Instant::now());
        self.step.store(step as u8, Ordering::Release);
    }

    /// More bytes are done.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Nothing is done any more.
    pub fn end(&self) {
        self.step.store(Step::Idle as u8, Ordering::Release);
    }

    /// What is being done.
    #[must_use]
    pub fn step(&self) -> Step {
        Step::ALL.get(usize::from(self.step.load(Ordering::Acquire))).copied().unwrap_or_default()
    }

    /// How much of it is done, of 1; nothing while it is unknown.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        (total > 0).then(|| (done as f64 / total as f64).min(1.0))
    }

    /// `{"step","done","total","seconds","left_seconds"}`; nothing while nothing is done.
    #[must_use]
    pub fn document(&self) -> Option<Value> {
        let step = self.step();
        if step == Step::Idle {
            return None;
        }
        let took: Duration = self.began.lock().map(|began| began.elapsed()).unwrap_or_default();
        let left = self.share().filter(|share| *share > 0.01).map(|share| took.as_secs_f64() * (1.0 - share) / share);
        Some(json!({
            "step": step.name(),
            "done": self.done.load(Ordering::Relaxed),
            "total": self.total.load(Ordering::Relaxed),
            "seconds": took.as_secs_f64(),
            "left_seconds": left,
        }))
    }
}
