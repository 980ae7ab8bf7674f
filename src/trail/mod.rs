//! The trail: who asked for what.
//!
//! Every request leaves one [`Entry`]: the route's template and ids, never its path, query or a secret. Entries gather
//! for a second and are then appended, sealed as one chunk, to the day's segment of the organization they belong to (or
//! of the system). `docs/formats/trail.md` specifies the segments.

mod entry;
mod segment;
mod writer;

pub use entry::Entry;
pub use segment::TrailError;
use segment::{Segment, read_segment};
pub use writer::Trail;
