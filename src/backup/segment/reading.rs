//! Reading a segment: frame by frame for a restore, or by several threads that compare all of it with its entry in the
//! manifest.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
};

use parking_lot::{Condvar, Mutex};
use zstd::{bulk::Decompressor, zstd_safe::get_frame_content_size};

use super::{
    super::{
        BackupError, Entry, Progress,
        error::of_segment,
        nice::be_nice,
        sealed_file::{Kind, Reader, Sum},
    },
    whose,
};
use crate::{
    seal::Keyring,
    store::{
        SCHEMA, Shapes,
        check::{FrameCheck, Joined, Looked},
        dump::{DumpError, FRAME_MAX, Frame, ItemFrames, Keys},
    },
};

/// Segments of this many bytes of records are read by several threads.
const LARGE: u64 = 16 << 20;

/// A segment's frames, as they stand in the file.
enum Frames {
    Packed(Box<Reader>),
    /// Of formats 1 and 2: one after another, and unpacked where they are read.
    Items(Box<ItemFrames<zstd::Decoder<'static, BufReader<Reader>>>>),
}

/// A frame as it was read.
enum Taken {
    Packed(Vec<u8>),
    Plain(Vec<u8>),
}

impl Frames {
    /// Opens a segment, which must be the one that the entry names.
    fn open(path: &Path, entry: &Entry, keys: &Keyring) -> Result<Self, BackupError> {
        let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let reader = Reader::open(path, Kind::Segment, keys, true)?;
        let own = match entry.org {
            None => Some(keys.system_key()),
            Some(org) => keys.organization_key(org),
        };
        if own.is_some_and(|own| own.id() != entry.key_id) {
            return Err(damaged("another key than its store's seals it"));
        }
        if reader.clear.id != entry.id
            || (reader.clear.key_id, reader.clear.key_version) != (entry.key_id, entry.key_version)
        {
            return Err(damaged("it is another segment than the manifest names"));
        }
        if entry.schema > SCHEMA {
            return Err(BackupError::TooNew { path: path.to_owned(), written_by: reader.clear.written_by.clone() });
        }
        let keys = match reader.clear.format {
            1 => Keys::Whole,
            2 => Keys::Shortened,
            _ => return Ok(Self::Packed(Box::new(reader))),
        };
        let decoder = zstd::Decoder::new(reader).map_err(|source| BackupError::Io { path: path.to_owned(), source })?;
        Ok(Self::Items(Box::new(ItemFrames::new(decoder, keys))))
    }

    /// The next frame; `room` is what a packed one may be read into.
    fn next(&mut self, room: &mut Vec<u8>) -> Result<Option<Taken>, DumpError> {
        let reader = match self {
            Self::Items(items) => return Ok(items.next()?.map(Taken::Plain)),
            Self::Packed(reader) => reader,
        };
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        if length == 0 {
            return Ok(None);
        }
        let mut packed = std::mem::take(room);
        packed.clear();
        if reader.take(length).read_to_end(&mut packed)? as u64 == length {
            Ok(Some(Taken::Packed(packed)))
        } else {
            Err(DumpError::Malformed("a frame is cut off"))
        }
    }

    /// The file's sum, after the last frame.
    fn finish(self) -> Result<Sum, BackupError> {
        match self {
            Self::Packed(reader) => reader.finish(),
            Self::Items(items) => items.into_inner().finish().into_inner().finish(),
        }
    }
}

/// Unpacks frames, into the room of those that came before.
#[derive(Default)]
struct Unpacker {
    decompressor: Option<Decompressor<'static>>,
    packed: Vec<u8>,
    room: Vec<u8>,
}

impl Unpacker {
    fn unpack(&mut self, taken: Taken) -> Result<Frame, DumpError> {
        let packed = match taken {
            Taken::Plain(plain) => return Frame::parse(plain),
            Taken::Packed(packed) => packed,
        };
        let length = match get_frame_content_size(&packed) {
            Ok(Some(length)) if length <= FRAME_MAX as u64 => length as usize,
            _ => return Err(DumpError::Malformed("a frame does not say how long it is")),
        };
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            None => self.decompressor.insert(Decompressor::new()?),
        };
        let mut plain = std::mem::take(&mut self.room);
        plain.clear();
        plain.reserve(length);
        decompressor.decompress_to_buffer(&packed, &mut plain)?;
        self.packed = packed;
        if plain.len() == length { Frame::parse(plain) } else { Err(DumpError::Malformed("a frame is cut off")) }
    }
}

/// Hands the frames of a segment to `take`, one after another, which answers each with room for another, and compares the file's length and hash with its entry at the
/// end: those of the file that was read back, record by record, when its generation was taken.
pub(in crate::backup) fn hand_over(
    path: &Path,
    entry: &Entry,
    keys: &Keyring,
    progress: &Progress,
    take: &mut dyn FnMut(Frame) -> Result<Vec<u8>, DumpError>,
) -> Result<(), BackupError> {
    let failed = |error: DumpError| of_segment(path, &whose(entry.org), error);
    let (mut frames, mut unpacker) = (Frames::open(path, entry, keys)?, Unpacker::default());
    while let Some(taken) = frames.next(&mut unpacker.packed).map_err(failed)? {
        let frame = unpacker.unpack(taken).map_err(failed)?;
        progress.add(frame.content().map_err(failed)?);
        unpacker.room = take(frame).map_err(failed)?;
    }
    compare_file(frames.finish()?, path, entry)
}

fn compare_file(sum: Sum, path: &Path, entry: &Entry) -> Result<(), BackupError> {
    if sum == entry.sum() {
        return Ok(());
    }
    let what = "its hash is not the one that the manifest names".to_owned();
    Err(BackupError::Damaged { path: path.to_owned(), what })
}

/// A segment that several threads read.
struct Reading<'r> {
    check: FrameCheck<'r>,
    from: Mutex<Source>,
    turn: Mutex<Turn>,
    /// Told when the turn goes on.
    next: Condvar,
    progress: &'r Progress,
}

struct Source {
    frames: Frames,
    /// Frames that were taken, and whether that is all.
    taken: u64,
    ended: bool,
}

/// Frames are joined in their order, whoever has looked at them.
struct Turn {
    number: u64,
    joined: Joined,
    failure: Option<DumpError>,
}

impl Reading<'_> {
    /// Takes frames, looks at them, and joins them when it is their turn.
    fn work(&self) {
        let mut unpacker = Unpacker::default();
        while let Some((number, taken)) = self.take(&mut unpacker.packed) {
            let look = || -> Result<(Frame, Looked), DumpError> {
                let frame = unpacker.unpack(taken)?;
                let looked = self.check.look(&frame)?;
                Ok((frame, looked))
            };
            // Whoever waits for this frame's turn must not wait for ever.
            let looked =
                catch_unwind(AssertUnwindSafe(look)).unwrap_or(Err(DumpError::Malformed("reading it panicked")));
            let mut turn = self.turn.lock();
            while turn.number != number && turn.failure.is_none() {
                self.next.wait(&mut turn);
            }
            if turn.failure.is_some() {
                return;
            }
            turn.number += 1;
            let joined = looked.and_then(|(frame, looked)| {
                let content = looked.bytes();
                turn.joined.take(&frame, looked)?;
                Ok((frame, content))
            });
            match joined {
                Ok((frame, content)) => {
                    drop(turn);
                    self.next.notify_all();
                    self.progress.add(content);
                    unpacker.room = frame.into_bytes();
                }
                Err(error) => {
                    turn.failure = Some(error);
                    drop(turn);
                    self.next.notify_all();
                    return;
                }
            }
        }
    }

    /// The next frame and its number.
    fn take(&self, room: &mut Vec<u8>) -> Option<(u64, Taken)> {
        let mut from = self.from.lock();
        if from.ended {
            return None;
        }
        match from.frames.next(room) {
            Ok(Some(taken)) => {
                from.taken += 1;
                Some((from.taken - 1, taken))
            }
            Ok(None) => {
                from.ended = true;
                None
            }
            Err(error) => {
                from.ended = true;
                drop(from);
                self.turn.lock().failure.get_or_insert(error);
                self.next.notify_all();
                None
            }
        }
    }
}

/// Reads a segment to its end in `threads`, and compares everything with its entry: every chunk's tag, every record, the
/// history's chain, the counts, the file's hash.
pub(in crate::backup) fn read(
    path: &Path,
    entry: &Entry,
    keys: &Keyring,
    shapes: &Shapes,
    threads: usize,
    progress: &Progress,
) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    let failed = |error: DumpError| of_segment(path, &whose(entry.org), error);
    let reading = Reading {
        check: FrameCheck::new(entry.schema, shapes),
        from: Mutex::new(Source { frames: Frames::open(path, entry, keys)?, taken: 0, ended: false }),
        turn: Mutex::new(Turn { number: 0, joined: Joined::new(entry.schema), failure: None }),
        next: Condvar::new(),
        progress,
    };
    if threads > 1 && entry.plain_bytes >= LARGE {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    be_nice();
                    reading.work();
                });
            }
        });
    } else {
        reading.work();
    }
    let turn = reading.turn.into_inner();
    if let Some(error) = turn.failure {
        return Err(failed(error));
    }
    let passed = turn.joined.finish().map_err(|error| failed(error.into()))?;
    // Earlier releases counted tables without records as well.
    let counted: BTreeMap<&String, u64> =
        entry.tables.iter().map(|(table, records)| (table, *records)).filter(|(_, records)| *records > 0).collect();
    for (what, differs) in [
        ("records by table", !passed.tables.iter().map(|(table, records)| (table, *records)).eq(counted)),
        ("bytes of records", passed.bytes != entry.plain_bytes),
        ("last event", passed.last_event != (entry.last_event, entry.last_hash)),
    ] {
        if differs {
            return Err(damaged(format!("its {what} are not those that the manifest names")));
        }
    }
    compare_file(reading.from.into_inner().frames.finish()?, path, entry)
}
