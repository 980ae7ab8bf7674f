//! Snapshots: generations of everything, taken daily, read back before they count, rotated, and put back.
//!
//! A generation is a folder of sealed files: a [`Manifest`] and a segment a store. It comes into being under a temporary
//! name and gets its own only after all that was written for it has been read back. A segment is never changed: an
//! organization that has not changed has its segment linked into the next generation. `docs/formats/snapshot.md`
//! specifies the files, `docs/guide/snapshots.md` teaches putting them back.
//!
//! Promises:
//! - a failed snapshot removes nothing and counts for nothing;
//! - the oldest generation goes only after a newer one has been read back;
//! - nothing is destroyed by a restore: what stood there is kept beside it, and named;
//! - nothing outside the snapshot folder's own names is touched;
//! - writers never wait.

mod error;
mod folder;
mod keeper;
mod live;
mod manifest;
mod name;
mod nice;
pub mod offsite;
mod progress;
mod report;
mod restore;
pub mod schedule;
mod sealed_file;
mod segment;
mod settle;
mod take;
mod verify;

pub use error::BackupError;
pub use folder::{Generation, Generations};
pub use keeper::{Away, Keeper, PutBack, Rehearsed, Settings, Shown};
pub use manifest::{Entry, Manifest, Problem, key_needed};
pub use name::Name;
pub use progress::{Progress, Step};
pub use report::{Compared, Finding, Kind, Report, SHAPES, keep as keep_report, reports};
pub use restore::{Filled, fill, fill_one};
pub use settle::{Difference, Settled, room_for, settle};
pub use take::{Options, Taken, take};
pub use verify::{Checked, verify};

use keeper::blocking;

#[cfg(test)]
mod tests;
