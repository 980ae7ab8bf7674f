//! A store's segment: written from one consistent state, and checked against its entry in the manifest.

use std::{collections::BTreeSet, io, path::Path, thread};

use super::{
    BackupError, Entry, Progress,
    error::of_segment,
    manifest::file_of,
    pipe,
    sealed_file::{Kind, Reader, Sum, Writer},
};
use crate::{
    clock::Timestamp,
    ids::OrgId,
    seal::{DataKey, Keyring},
    store::{
        SCHEMA, Store,
        check::RecordCheck,
        dump::{DumpError, Item, Items, Keys, Target},
    },
};

/// How a segment is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing<'p> {
    /// zstd's level.
    pub level: i32,
    /// Threads that compress, beside the one that reads; none for small stores.
    pub workers: u32,
    /// Tables of long text, the only ones that gain much by that level.
    pub long_texts: &'p BTreeSet<&'static str>,
}

/// Packs each table as it deserves. Ids, times and salts are noise to any level; text is not: at level 3 it takes two thirds
/// of what it takes at level 1, and everything else as good as the same, in half of the time.
struct Packer<'p> {
    writer: Writer,
    packing: Packing<'p>,
}

impl io::Write for Packer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Target for Packer<'_> {
    fn begin_table(&mut self, name: &str) -> io::Result<()> {
        let Packing { level, long_texts, .. } = self.packing;
        self.writer.set_level(if long_texts.contains(name) { level } else { (level - 2).max(1) })
    }
}

/// Segments of this many bytes of records are read by two threads.
const LARGE: u64 = 16 << 20;

/// Bytes of records between two words on how far a reading is.
const TOLD_EVERY: u64 = 256 * 1024;

/// Whose store it is, for messages.
pub(super) fn whose(org: Option<OrgId>) -> String {
    org.map_or_else(|| "the system".to_owned(), |org| format!("organization {org}"))
}

/// Writes a store's segment into a generation's folder.
pub(super) fn write(
    folder: &Path,
    org: Option<OrgId>,
    store: &Store,
    key: &DataKey,
    packing: Packing<'_>,
    leave_out: &BTreeSet<&str>,
    progress: &Progress,
) -> Result<Entry, BackupError> {
    let path = folder.join(file_of(org));
    let writer = Writer::create(&path, Kind::Segment, key, packing.level, packing.workers)?;
    let id = writer.id;
    let mut writer = Packer { writer, packing };
    let mut told = |bytes| progress.add(bytes);
    let (dumped, writer) = if packing.workers == 0 {
        (store.dump(leave_out, &mut writer, &mut told), Ok(writer))
    } else {
        thread::scope(|scope| {
            let (mut inlet, behind) = pipe::write_behind(scope, writer);
            let dumped = store.dump(leave_out, &mut inlet, &mut told);
            drop(inlet);
            (dumped, behind.join().unwrap_or_else(|_| Err(io::Error::other("writing the segment panicked"))))
        })
    };
    // What failed is the snapshot's disk; the store's end then only says that the other end has gone.
    let writer = writer.map_err(|source| BackupError::Io { path: path.clone(), source })?;
    let dumped = dumped.map_err(|error| match error {
        DumpError::Stream(source) => BackupError::Io { path: path.clone(), source },
        DumpError::Store(source) => BackupError::Store { whose: whose(org), source },
        other => of_segment(&path, &whose(org), other),
    })?;
    let sum = writer.writer.finish()?;
    Ok(Entry {
        org,
        id,
        key_id: key.id(),
        key_version: key.version(),
        bytes: sum.bytes,
        hash: sum.hash,
        schema: dumped.schema,
        lineage: dumped.lineage,
        commits: dumped.commits,
        last_event: dumped.last_event.0,
        last_hash: dumped.last_event.1,
        tables: dumped.tables,
        plain_bytes: dumped.bytes,
        age: 0,
        read_back_at: Timestamp(0),
        file: None,
    })
}

/// What takes the records of a segment: the table's number and name, key and value.
pub(super) type Take<'t> = &'t mut dyn FnMut(usize, &str, &[u8], &[u8]) -> Result<(), DumpError>;

/// Reads a segment to its end and compares everything with its entry: the file's hash, every chunk's tag, every record, the
/// history's chain, the counts. Each record is handed to `take` before the end is known to be right. `alone` leaves all of it
/// to this thread.
pub(super) fn read(
    path: &Path,
    entry: &Entry,
    keys: &Keyring,
    alone: bool,
    progress: &Progress,
    take: Take<'_>,
) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    let reader = Reader::open(path, Kind::Segment, keys, true)?;
    let own = match entry.org {
        None => Some(keys.system_key()),
        Some(org) => keys.organization_key(org),
    };
    if own.is_some_and(|own| own.id() != entry.key_id) {
        return Err(damaged("another key than its store's seals it".to_owned()));
    }
    if reader.clear.id != entry.id
        || (reader.clear.key_id, reader.clear.key_version) != (entry.key_id, entry.key_version)
    {
        return Err(damaged("it is another segment than the manifest names".to_owned()));
    }
    if entry.schema > SCHEMA {
        return Err(BackupError::TooNew { path: path.to_owned(), written_by: reader.clear.written_by.clone() });
    }
    let keys_as = if reader.clear.format < 2 { Keys::Whole } else { Keys::Shortened };
    let sum: Sum = if alone || entry.plain_bytes < LARGE {
        let mut items = Items::new(reader, keys_as);
        compare(&mut items, path, entry, progress, take)?;
        items.into_inner().finish()?
    } else {
        thread::scope(|scope| {
            let (outlet, ahead) = pipe::read_ahead(scope, reader);
            let mut items = Items::new(outlet, keys_as);
            let compared = compare(&mut items, path, entry, progress, take);
            drop(items);
            let reader = ahead.join().map_err(|_| damaged("reading it panicked".to_owned()))?;
            compared?;
            reader.finish()
        })?
    };
    if sum != entry.sum() {
        return Err(damaged("its hash is not the one that the manifest names".to_owned()));
    }
    Ok(())
}

/// Reads the items to their end and compares them with the entry.
fn compare(
    items: &mut Items<impl io::Read>,
    path: &Path,
    entry: &Entry,
    progress: &Progress,
    take: Take<'_>,
) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    let failed = |error: DumpError| of_segment(path, &whose(entry.org), error);
    let (mut check, mut untold) = (RecordCheck::new(entry.schema), 0);
    while let Some(item) = items.next().map_err(failed)? {
        match item {
            Item::Table(name) => check.table(name),
            Item::Record { table, name, key, value } => {
                check.record(table, key, value).map_err(|error| failed(error.into()))?;
                take(table, name, key, value).map_err(failed)?;
                untold += (key.len() + value.len()) as u64;
                if untold >= TOLD_EVERY {
                    progress.add(std::mem::take(&mut untold));
                }
            }
        }
    }
    progress.add(untold);
    let passed = check.finish().map_err(|error| failed(error.into()))?;
    for (what, differs) in [
        ("records by table", passed.tables != entry.tables),
        ("bytes of records", passed.bytes != entry.plain_bytes),
        ("last event", passed.last_event != (entry.last_event, entry.last_hash)),
    ] {
        if differs {
            return Err(damaged(format!("its {what} are not those that the manifest names")));
        }
    }
    Ok(())
}
