//! Filling a new store's file from the records of a dump.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use redb::{Durability, ReadableTable as _, TableDefinition, WriteTransaction};

use super::{DumpError, Flusher, Frame, redb_error};
use crate::{
    seal::DataKey,
    store::{
        backend::{self, SealedDatabase},
        facts::FACTS,
        table::{Key as _, decode, encode},
        txn::insert_sorted,
        view::{self, Bytes},
        writer::SCHEMA,
    },
};

/// The cache of a store that is filled. Half of it holds pages that are not written yet.
const CACHE_BYTES: usize = 16 << 20;
/// Bytes of records that one transaction takes: its pages are still in the cache when it is committed, where redb computes
/// their checksums; from the disk, opened again, they would take as long as the rest of the load.
const TRANSACTION_BYTES: u64 = 4 << 20;
/// Bytes of records after which a commit is made durable: until then redb notes every page in memory.
const DURABLE_BYTES: u64 = 1 << 30;
/// Bytes of records after which what was written is sent on its way to the disk.
const FLUSHED_EVERY: u64 = 32 << 20;
/// A record takes as long as this many bytes, whatever its own.
const RECORD_BYTES: usize = 100;
/// Frames that wait for a lane.
const WAITING: usize = 2;

/// Fills a new store's file from frames.
pub struct Loader {
    database: SealedDatabase,
    txn: Option<Arc<WriteTransaction>>,
    /// Bytes of records in the transaction, since the last durable commit, since the last flush, and in all.
    taken: u64,
    undurable: u64,
    unflushed: u64,
    bytes: u64,
    flusher: Flusher,
}

/// What a lane is given.
enum Given {
    Frame(Arc<WriteTransaction>, Frame),
    /// The transaction is to be committed: the lane says when it has let go of it.
    LetGo(SyncSender<()>),
}

/// Inserts the records of a frame. A table is filled by one thread at a time. `keys` is room for the keys.
fn insert(txn: &WriteTransaction, frame: &Frame, keys: &mut Vec<u8>) -> Result<(), DumpError> {
    frame.parts().try_for_each(|part| {
        let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(part.table);
        let mut table = txn.open_table(definition).map_err(redb_error)?;
        let mut records = Vec::with_capacity(usize::try_from(part.records).unwrap_or_default().min(part.bytes()));
        keys.clear();
        part.each::<DumpError>(|key, value| {
            keys.extend_from_slice(key);
            records.push((key.len(), value));
            Ok(())
        })?;
        let mut rest = keys.as_slice();
        let records = records.into_iter().map(|(length, value)| {
            let (key, after) = rest.split_at(length);
            rest = after;
            (key, value)
        });
        insert_sorted(&mut table, records)?;
        Ok(())
    })
}

/// Fills the tables that are its own, until nothing more comes. The room of frames that are in goes back.
fn lane(given: &Receiver<Given>, back: &Sender<Vec<u8>>) -> Result<(), DumpError> {
    let mut keys = Vec::new();
    for given in given {
        match given {
            Given::Frame(txn, frame) => {
                insert(&txn, &frame, &mut keys)?;
                drop(txn);
                drop(back.send(frame.into_bytes()));
            }
            // Who asks has gone only after a failure.
            Given::LetGo(gone) => drop(gone.send(())),
        }
    }
    Ok(())
}

/// Several threads, each of which fills tables of its own.
struct Lanes {
    inlets: Vec<SyncSender<Given>>,
    /// What each was given to do, in bytes.
    load: Vec<usize>,
    tables: HashMap<String, usize>,
}

impl Lanes {
    /// The lane of a frame's tables: that of the first of them, if it has one; else the one that was given least.
    fn of(&mut self, frame: &Frame) -> usize {
        let known = frame.parts().find_map(|part| self.tables.get(part.table).copied());
        let least = || (0..self.load.len()).min_by_key(|&lane| self.load[lane]).unwrap_or(0);
        let lane = known.unwrap_or_else(least);
        for part in frame.parts() {
            if !self.tables.contains_key(part.table) {
                self.tables.insert(part.table.to_owned(), lane);
            }
        }
        self.load[lane] += frame.parts().map(|part| part.bytes() + RECORD_BYTES * part.records as usize).sum::<usize>();
        lane
    }

    /// Every lane lets go of the transaction; `false` if one has ended.
    fn let_go(&self) -> bool {
        self.inlets.iter().all(|inlet| {
            let (gone, waiting) = sync_channel(1);
            inlet.send(Given::LetGo(gone)).is_ok() && waiting.recv().is_ok()
        })
    }
}

fn lane_has_ended() -> DumpError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

impl Loader {
    /// Makes the file, which must be new.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn create(path: &Path, key: &DataKey) -> Result<Self, DumpError> {
        let database = backend::create_database(path, key, CACHE_BYTES)?;
        Ok(Self { database, txn: None, taken: 0, undurable: 0, unflushed: 0, bytes: 0, flusher: Flusher::start(path)? })
    }

    /// Takes the frames that `read` gives, and fills tables in `lanes` threads beside this one; in none, this one does. A
    /// table's frames come in the order of their keys, and the tables of a frame always come together. Each frame is answered
    /// with room for another.
    ///
    /// # Errors
    /// What the disk says, or `read`.
    pub fn fill<E: From<DumpError>>(
        &mut self,
        lanes: usize,
        read: impl FnOnce(&mut dyn FnMut(Frame) -> Result<Vec<u8>, DumpError>) -> Result<(), E>,
    ) -> Result<(), E> {
        if lanes == 0 {
            let mut keys = Vec::new();
            return read(&mut |frame| {
                insert(&*self.txn()?, &frame, &mut keys)?;
                if self.is_full(frame.content()?) {
                    self.commit()?;
                }
                Ok(frame.into_bytes())
            });
        }
        thread::scope(|scope| {
            let (mut inlets, mut threads) = (Vec::new(), Vec::new());
            let (back, room) = channel();
            for _ in 0..lanes {
                let (inlet, given) = sync_channel(WAITING);
                inlets.push(inlet);
                let back = back.clone();
                threads.push(scope.spawn(move || lane(&given, &back)));
            }
            let mut to = Lanes { inlets, load: vec![0; lanes], tables: HashMap::new() };
            let read = read(&mut |frame| {
                let content = frame.content()?;
                let (txn, lane) = (self.txn()?, to.of(&frame));
                to.inlets[lane].send(Given::Frame(txn, frame)).map_err(|_| lane_has_ended())?;
                match self.is_full(content) {
                    true if to.let_go() => self.commit()?,
                    true => return Err(lane_has_ended()),
                    false => {}
                }
                Ok(room.try_recv().unwrap_or_default())
            });
            drop(to);
            let panicked = |_| Err(DumpError::Malformed("loading it panicked"));
            let filled: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect();
            // A disk that refuses is the cause of a lane that has ended.
            filled.into_iter().collect::<Result<(), _>>()?;
            read
        })
    }

    fn txn(&mut self) -> Result<Arc<WriteTransaction>, DumpError> {
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => {
                let mut txn = self.database.begin_write().map_err(redb_error)?;
                txn.set_durability(Durability::None).map_err(redb_error)?;
                Arc::new(txn)
            }
        };
        Ok(Arc::clone(self.txn.insert(txn)))
    }

    /// Counts bytes of records that were given; whether that is enough for a transaction.
    fn is_full(&mut self, content: u64) -> bool {
        for count in [&mut self.taken, &mut self.undurable, &mut self.unflushed, &mut self.bytes] {
            *count += content;
        }
        if self.unflushed >= FLUSHED_EVERY {
            self.unflushed = 0;
            self.flusher.flush();
        }
        self.taken >= TRANSACTION_BYTES
    }

    fn commit(&mut self) -> Result<(), DumpError> {
        self.taken = 0;
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let txn = Arc::into_inner(txn).ok_or(DumpError::Malformed("a lane holds on to its transaction"))?;
        txn.commit().map_err(redb_error)?;
        if self.undurable >= DURABLE_BYTES {
            self.undurable = 0;
            self.database.begin_write().map_err(redb_error)?.commit().map_err(redb_error)?;
        }
        Ok(())
    }

    /// Ends the load: the file is whole, durable and closed when this returns. `lineage` is a fresh random number.
    ///
    /// # Errors
    /// What the disk says; [`DumpError::Malformed`] if a newer release made the dump.
    pub fn finish(mut self, lineage: u64) -> Result<(), DumpError> {
        self.commit()?;
        let txn = self.database.begin_write().map_err(redb_error)?;
        {
            let mut table = txn.open_table(view::definition(FACTS.name())).map_err(redb_error)?;
            let schema = "schema".to_owned().to_bytes();
            let found: u64 = match table.get(schema.as_slice()).map_err(redb_error)? {
                Some(found) => decode(FACTS.name(), found.value())?,
                None => return Err(DumpError::Malformed("it names no schema")),
            };
            if found > u64::from(SCHEMA) {
                return Err(DumpError::Malformed("its schema is newer than this release"));
            }
            for (name, value) in [("lineage", lineage), ("bytes", self.bytes)] {
                let (key, value) = (name.to_owned().to_bytes(), encode(&value));
                table.insert(key.as_slice(), value.as_slice()).map_err(redb_error)?;
            }
        }
        txn.commit().map_err(redb_error)?;
        self.database.close()?;
        self.flusher.end()?;
        Ok(())
    }
}
