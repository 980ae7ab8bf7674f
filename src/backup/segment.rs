//! A store's segment: written from one consistent state.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    thread,
};

use parking_lot::Mutex;
use zstd::{
    stream::raw::{Encoder, InBuffer, Operation as _, OutBuffer},
    zstd_safe::compress_bound,
};

use super::{
    BackupError, Entry, Progress,
    error::of_segment,
    manifest::file_of,
    sealed_file::{Kind, Sum, Writer},
};
use crate::{
    clock::Timestamp,
    ids::OrgId,
    seal::DataKey,
    store::{
        Store,
        dump::{DumpError, Flusher, Pack},
    },
};

mod reading;

pub(super) use reading::{hand_over, read};

/// How a segment is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing<'p> {
    /// zstd's level.
    pub level: i32,
    /// Threads that read and compress.
    pub threads: usize,
    /// Tables that are in no segment.
    pub leave_out: &'p BTreeSet<&'static str>,
}

/// Bytes after which what was written is sent on its way to the disk.
const FLUSHED_EVERY: usize = 16 << 20;

/// Whose store it is, for messages.
pub(super) fn whose(org: Option<OrgId>) -> String {
    org.map_or_else(|| "the system".to_owned(), |org| format!("organization {org}"))
}

/// A segment in the making, into which every thread writes the frames that it has packed.
struct Unfinished {
    writer: Writer,
    flusher: Option<Flusher>,
    unflushed: usize,
}

impl Unfinished {
    fn put(&mut self, packed: &[u8]) -> io::Result<()> {
        let length = u32::try_from(packed.len()).map_err(|_| io::Error::other("a frame is too long"))?;
        self.writer.write_all(&length.to_le_bytes())?;
        self.writer.write_all(packed)?;
        self.unflushed += packed.len();
        if self.unflushed >= FLUSHED_EVERY {
            self.unflushed = 0;
            self.flusher.iter().for_each(Flusher::flush);
        }
        Ok(())
    }

    /// An empty frame ends it.
    fn finish(mut self, path: &Path) -> Result<Sum, BackupError> {
        let ended = self.put(&[]).and_then(|()| self.flusher.map_or(Ok(()), Flusher::end));
        ended.map_err(|source| BackupError::Io { path: path.to_owned(), source })?;
        self.writer.finish()
    }
}

/// Compresses frames.
struct Packer {
    level: i32,
    encoder: Option<Encoder<'static>>,
    packed: Vec<u8>,
}

/// Bytes that are compressed before others have their turn: zstd's largest block.
const PIECE: usize = 128 << 10;

impl Pack for Packer {
    fn pack<'p>(&'p mut self, frame: &'p [u8]) -> io::Result<&'p [u8]> {
        let encoder = match &mut self.encoder {
            Some(encoder) => {
                encoder.reinit()?;
                encoder
            }
            None => self.encoder.insert(Encoder::new(self.level)?),
        };
        encoder.set_pledged_src_size(Some(frame.len() as u64))?;
        self.packed.clear();
        self.packed.reserve(compress_bound(frame.len()));
        let mut packed = OutBuffer::around(&mut self.packed);
        for piece in frame.chunks(PIECE) {
            let mut piece = InBuffer::around(piece);
            while piece.pos() < piece.src.len() {
                encoder.run(&mut piece, &mut packed)?;
            }
            thread::yield_now();
        }
        while encoder.finish(&mut packed, true)? > 0 {}
        Ok(&self.packed)
    }
}

/// Writes a store's segment into a generation's folder.
pub(super) fn write(
    folder: &Path,
    org: Option<OrgId>,
    store: &Store,
    key: &DataKey,
    packing: Packing<'_>,
    progress: &Progress,
) -> Result<Entry, BackupError> {
    let path = folder.join(file_of(org));
    let failed = |source| BackupError::Io { path: path.clone(), source };
    let writer = Writer::create(&path, Kind::Segment, key)?;
    let id = writer.id;
    let flusher = if packing.threads > 1 { Some(Flusher::start(&path).map_err(failed)?) } else { None };
    let unfinished = Mutex::new(Unfinished { writer, flusher, unflushed: 0 });
    let packer = || Packer { level: packing.level, encoder: None, packed: Vec::new() };
    let dumped = store.dump(packing.leave_out, packing.threads, &packer, &|packed, content| {
        progress.add(content);
        unfinished.lock().put(packed)
    });
    let dumped = dumped.map_err(|error| match error {
        DumpError::Stream(source) => failed(source),
        DumpError::Store(source) => BackupError::Store { whose: whose(org), source },
        other => of_segment(&path, &whose(org), other),
    })?;
    let sum = unfinished.into_inner().finish(&path)?;
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
