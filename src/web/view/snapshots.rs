//! The operators' page of snapshots.

use askama::Template;

use super::{Chrome, console::State};

/// `GET /console/snapshots`.
#[derive(Template)]
#[template(path = "console/snapshots.html")]
pub struct Snapshots {
    pub chrome: Chrome,
    /// When the next one is due, in words.
    pub next: String,
    /// What is being done now.
    pub work: Option<Work>,
    /// What came of the work that ended just now.
    pub said: Option<Said>,
    /// The oldest first.
    pub generations: Vec<GenerationTile>,
    /// The last rehearsal, in words; may be empty.
    pub rehearsed: String,
    /// The newest first.
    pub reports: Vec<ReportRow>,
    /// Where generations are kept.
    pub folder: String,
    /// The off-site copy, if there is one.
    pub offsite: Option<OffsiteCopy>,
}

/// The off-site copy.
pub struct OffsiteCopy {
    /// As `s3://bucket/prefix`.
    pub url: String,
    pub region: String,
    /// Whether the bucket keeps what is overwritten.
    pub state: State,
    pub versions: String,
}

/// Work under way, alone: the fragment that shows how far it is.
#[derive(Template)]
#[template(path = "console/progress_only.html")]
pub struct ProgressOnly<'p> {
    pub chrome: &'p Chrome,
    pub work: Work,
}

/// Work under way.
pub struct Work {
    pub title: String,
    /// How long it takes yet, in words; may be empty.
    pub left: String,
    pub percent: u32,
}

/// What came of something.
pub struct Said {
    pub state: State,
    pub title: String,
    pub text: String,
}

/// A generation on the timeline.
pub struct GenerationTile {
    /// As in paths.
    pub name: String,
    pub day: String,
    pub pinned: bool,
    /// Of 44: all of it, and what was written for it.
    pub height: u32,
    pub written: u32,
    pub size: String,
    /// At what time, and how long it took.
    pub taken: String,
    pub state: State,
    pub verdict: String,
    /// How its off-site copy stands, if there is one.
    pub away: Option<(State, String)>,
}

/// A line of the history of checks.
pub struct ReportRow {
    pub at: String,
    pub what: String,
    pub records: String,
    pub took: String,
    pub state: State,
    pub verdict: String,
    /// What was compared by what; may be empty.
    pub compared: String,
    pub findings: Vec<String>,
}
