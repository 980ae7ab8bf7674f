//! A store's records as frames, and back: what snapshots are made of. `docs/formats/snapshot.md` specifies them.
//!
//! A frame holds some records of one table; of the history's two tables it holds the same events, so that a reader follows
//! the chain as it goes. Frames of one table come in the order of their keys, those of different tables as they are made:
//! several threads read a store at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{ReadableTableMetadata as _, TableDefinition, TableHandle as _};

use super::{
    Shapes, Store, StoreError, backend,
    check::{FrameCheck, Joined, Passed},
    facts,
    view::Bytes,
    writer::SCHEMA,
};

mod flusher;
mod frame;
mod items;
mod loader;
mod walk;

pub use flusher::Flusher;
pub use frame::{FRAME_MAX, Frame, Part, Records};
pub use items::{ItemFrames, Keys};
pub use loader::Loader;
use walk::{Ticket, Walk};

/// Records after which a thread that reads them lets others have their turn. Whoever wakes up waits for the slice of the one that
/// runs to end, several milliseconds, even if that one counts for less: so a page would wait for each of its steps.
const TURN_EVERY: u64 = 256;

/// A dump or load did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The store's side.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream's side: also what does not authenticate.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// The bytes are no dump.
    #[error("it cannot be read: {0}")]
    Malformed(&'static str),
    /// The database's side of a load.
    #[error("the new store: {0}")]
    File(#[from] backend::BackendError),
}

fn redb_error(error: impl Into<redb::Error>) -> DumpError {
    StoreError::from_redb(error).into()
}

/// What a dump holds, to be compared when it is read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// The version of the tables' layout.
    pub schema: u32,
    /// What the count of commits counts in.
    pub lineage: u64,
    /// How many groups the store had taken.
    pub commits: u64,
    /// Number and chain hash of the last event.
    pub last_event: (u64, [u8; 32]),
    /// Records by table, of those that have any.
    pub tables: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Dumped {
    /// Records of all tables.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tables.values().sum()
    }
}

/// What becomes of a frame before it is put where all of them go: any number of threads pack at once.
pub trait Pack {
    /// The packed frame.
    ///
    /// # Errors
    /// What keeps it from being packed.
    fn pack<'p>(&'p mut self, frame: &'p [u8]) -> io::Result<&'p [u8]>;
}

/// Leaves frames as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpacked;

impl Pack for Unpacked {
    fn pack<'p>(&'p mut self, frame: &'p [u8]) -> io::Result<&'p [u8]> {
        Ok(frame)
    }
}

impl Store {
    /// Where the store stands: what its count of commits counts in, and the count. While both are equal, so is the store.
    ///
    /// # Errors
    /// What the store says.
    pub fn standing(&self) -> Result<(u64, u64), StoreError> {
        self.view(|view| Ok((facts::lineage(view)?, facts::commits(view)?)))
    }

    /// Makes frames of every record of one committed state, but for the tables in `leave_out`, in `threads` at once, each with
    /// a packer of its own. Packed frames are given to `put`, with the bytes of keys and values in them: those of one table in
    /// the order of its keys, and never two of them at once. Writers go on meanwhile.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn dump<P: Pack>(
        &self,
        leave_out: &BTreeSet<&str>,
        threads: usize,
        packer: &(impl Fn() -> P + Sync),
        put: &(impl Fn(&[u8], u64) -> io::Result<()> + Sync),
    ) -> Result<Dumped, DumpError> {
        let walk = self.walk(leave_out)?;
        let bytes = AtomicU64::new(0);
        let put = |packed: &[u8], content| {
            bytes.fetch_add(content, Ordering::Relaxed);
            put(packed, content)
        };
        if threads > 1 {
            walk.run_together(threads, packer, &put)?;
        } else {
            let mut packer = packer();
            walk.run(&mut |ticket| Ok(put(packer.pack(&ticket.made.frame)?, ticket.made.content)?))?;
        }
        walk.finish(bytes.into_inner())
    }

    /// Reads every record of one committed state, sees that each is one, and follows the history's chain to its end. The chain's
    /// hash at `event` is told, if there is such an event.
    ///
    /// # Errors
    /// [`DumpError`]: [`StoreError::Damaged`] or [`StoreError::Disk`] at the first that is not as it was written.
    pub fn check_records(
        &self,
        shapes: &Shapes,
        event: Option<u64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Passed, DumpError> {
        let walk = self.walk(&BTreeSet::new())?;
        let (check, mut joined) = (FrameCheck::new(SCHEMA, shapes), Joined::new(SCHEMA).telling(event));
        walk.run(&mut |Ticket { made, .. }| {
            let frame = Frame::parse(made.frame)?;
            let looked = check.look(&frame)?;
            joined.take(&frame, looked)?;
            progress(made.content);
            Ok(())
        })?;
        let passed = joined.finish()?;
        let end = walk.finish(passed.bytes)?.last_event;
        if passed.last_event != end {
            let reason = format!("the store names {} as its last, its chain ends at {}", end.0, passed.last_event.0);
            return Err(StoreError::Damaged { place: "events", reason }.into());
        }
        Ok(passed)
    }

    fn walk(&self, leave_out: &BTreeSet<&str>) -> Result<Walk, DumpError> {
        let database = self.opened()?;
        Walk::new(database.begin_read().map_err(redb_error)?, database.health(), leave_out)
    }

    /// How many records each table holds.
    ///
    /// # Errors
    /// What the store says.
    pub fn records(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let database = self.opened()?;
        let txn = database.begin_read().map_err(StoreError::from_redb)?;
        let mut counts = BTreeMap::new();
        for table in txn.list_tables().map_err(StoreError::from_redb)? {
            let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(table.name());
            let opened = txn.open_table(definition).map_err(StoreError::from_redb)?;
            counts.insert(table.name().to_owned(), opened.len().map_err(StoreError::from_redb)?);
        }
        Ok(counts)
    }
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
