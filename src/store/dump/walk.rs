//! Walking one state of a store, in one thread or in several, and putting the frames that come of it in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use parking_lot::{Condvar, Mutex};
use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableDefinition, TableHandle as _};

use super::{
    DumpError, Dumped, Pack, TURN_EVERY,
    frame::{Builder, Made},
    redb_error,
};
use crate::store::{StoreError, View, backend::Health, facts, history, view::Bytes, writer::SCHEMA};

/// Records between two looks at the disk's health.
const HEALTH_EVERY: u64 = 1024;

/// A frame of a job, and which one it is.
pub(super) struct Ticket {
    pub made: Made,
    job: usize,
    number: u64,
}

/// Frames of a job are put in their order, whoever has packed them.
struct InOrder {
    state: Mutex<Turns>,
    told: Condvar,
}

struct Turns {
    /// Of each job the number of the frame whose turn it is.
    next: Vec<u64>,
    /// What failed first: nobody waits any more.
    failure: Option<DumpError>,
}

impl InOrder {
    fn new(jobs: usize) -> Self {
        Self { state: Mutex::new(Turns { next: vec![0; jobs], failure: None }), told: Condvar::new() }
    }

    fn put(&self, ticket: &Ticket, put: impl FnOnce() -> io::Result<()>) -> Result<(), DumpError> {
        let mut state = self.state.lock();
        while state.next[ticket.job] != ticket.number && state.failure.is_none() {
            self.told.wait(&mut state);
        }
        if state.failure.is_some() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        drop(state);
        put()?;
        self.state.lock().next[ticket.job] += 1;
        self.told.notify_all();
        Ok(())
    }

    fn fail(&self, error: DumpError) {
        self.state.lock().failure.get_or_insert(error);
        self.told.notify_all();
    }

    fn end(self) -> Result<(), DumpError> {
        self.state.into_inner().failure.map_or(Ok(()), Err)
    }
}

/// Where the frames of one thread go.
type Emit<'e> = &'e mut dyn FnMut(Ticket) -> Result<(), DumpError>;

/// A table to walk, or two that are walked together.
struct Job {
    tables: Vec<String>,
    records: u64,
}

/// Walks one state of a store.
pub(super) struct Walk {
    txn: ReadTransaction,
    health: Health,
    jobs: Vec<Job>,
    next: AtomicUsize,
    counts: Mutex<BTreeMap<String, u64>>,
}

fn open(txn: &ReadTransaction, name: &str) -> Result<redb::ReadOnlyTable<Bytes, Bytes>, DumpError> {
    let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(name);
    txn.open_table(definition).map_err(redb_error)
}

impl Walk {
    /// Of the state that `txn` sees, but for the tables in `leave_out`.
    pub fn new(txn: ReadTransaction, health: Health, leave_out: &BTreeSet<&str>) -> Result<Self, DumpError> {
        let mut jobs: Vec<Job> = Vec::new();
        for table in txn.list_tables().map_err(redb_error)? {
            let name = table.name();
            if leave_out.contains(name) || name == history::PAYLOADS.name() {
                continue;
            }
            let records = open(&txn, name)?.len().map_err(redb_error)?;
            jobs.push(Job { tables: vec![name.to_owned()], records });
        }
        if txn.list_tables().map_err(redb_error)?.any(|table| table.name() == history::PAYLOADS.name()) {
            let payloads = history::PAYLOADS.name().to_owned();
            match jobs.iter_mut().find(|job| job.tables[0] == history::EVENTS.name()) {
                Some(job) => {
                    job.tables.push(payloads);
                    job.records *= 2;
                }
                None => jobs.push(Job { tables: vec![payloads], records: 0 }),
            }
        }
        // The large ones first: what is left at the end is small.
        jobs.sort_by(|a, b| b.records.cmp(&a.records).then(a.tables.cmp(&b.tables)));
        Ok(Self { txn, health, jobs, next: AtomicUsize::new(0), counts: Mutex::default() })
    }

    /// Walks the tables that nobody walks yet.
    pub fn run(&self, emit: Emit<'_>) -> Result<(), DumpError> {
        while let number = self.next.fetch_add(1, Ordering::Relaxed)
            && let Some(job) = self.jobs.get(number)
        {
            let mut frames = 0;
            let counts = self.one(job, &mut |made| {
                frames += 1;
                emit(Ticket { made, job: number, number: frames - 1 })
            })?;
            let counts = job.tables.iter().cloned().zip(counts).filter(|(_, records)| *records > 0);
            self.counts.lock().extend(counts);
        }
        Ok(())
    }

    /// Walks the tables of one job, the second beside the first. Returns how many records each has.
    fn one(&self, job: &Job, emit: &mut dyn FnMut(Made) -> Result<(), DumpError>) -> Result<Vec<u64>, DumpError> {
        let mut builder = Builder::default();
        let mut counts: Vec<u64> = Vec::new();
        for name in &job.tables {
            counts.push(0);
            builder.table(name);
        }
        let first = open(&self.txn, &job.tables[0])?;
        let second = job.tables.get(1).map(|name| open(&self.txn, name)).transpose()?;
        let mut beside = match &second {
            Some(second) => Some(second.iter().map_err(redb_error)?.peekable()),
            None => None,
        };
        for record in first.iter().map_err(redb_error)? {
            let (key, value) = record.map_err(redb_error)?;
            // Between two events, never between one and its payload.
            if builder.is_full()
                && let Some(made) = builder.take()
            {
                emit(made)?;
            }
            builder.push(0, key.value(), value.value());
            counts[0] += 1;
            if counts[0].is_multiple_of(TURN_EVERY) {
                thread::yield_now();
            }
            if counts[0].is_multiple_of(HEALTH_EVERY) && !self.health.is_sound() {
                // Whoever opens the store afresh after a failure waits for everybody who reads it.
                return Err(StoreError::Disk { reason: "the disk failed while the store was read".to_owned() }.into());
            }
            let Some(records) = &mut beside else { continue };
            while let Some(record) =
                records.next_if(|record| record.as_ref().map_or(true, |(of, _)| of.value() <= key.value()))
            {
                let (key, value) = record.map_err(redb_error)?;
                builder.push(1, key.value(), value.value());
                counts[1] += 1;
            }
        }
        for record in beside.into_iter().flatten() {
            let (key, value) = record.map_err(redb_error)?;
            builder.push(1, key.value(), value.value());
            counts[1] += 1;
        }
        builder.take().map_or(Ok(()), emit)?;
        Ok(counts)
    }

    /// Walks everything in several threads. One that finds no table any more packs what others have read.
    pub fn run_together<P: Pack>(
        &self,
        threads: usize,
        packer: &(impl Fn() -> P + Sync),
        put: &(impl Fn(&[u8], u64) -> io::Result<()> + Sync),
    ) -> Result<(), DumpError> {
        let (full, waiting) = sync_channel::<Ticket>(threads);
        let (waiting, idle, order) = (Mutex::new(waiting), AtomicUsize::new(0), InOrder::new(self.jobs.len()));
        let work = |full: SyncSender<Ticket>| -> Result<(), DumpError> {
            let mut packer = packer();
            let mut pack = |ticket: Ticket| {
                let packed = packer.pack(&ticket.made.frame)?;
                order.put(&ticket, || put(packed, ticket.made.content))
            };
            self.run(&mut |ticket| {
                if idle.load(Ordering::Relaxed) == 0 {
                    return pack(ticket);
                }
                match full.try_send(ticket) {
                    Ok(()) => Ok(()),
                    Err(TrySendError::Full(ticket) | TrySendError::Disconnected(ticket)) => pack(ticket),
                }
            })?;
            drop(full);
            idle.fetch_add(1, Ordering::Relaxed);
            loop {
                let ticket = waiting.lock().recv();
                match ticket {
                    Ok(ticket) => pack(ticket)?,
                    Err(_) => return Ok(()),
                }
            }
        };
        thread::scope(|scope| {
            for full in (0..threads).map(|_| full.clone()) {
                let (work, order) = (&work, &order);
                scope.spawn(move || {
                    // redb gives up on some damage; whatever happens, nobody must wait for this thread for ever.
                    let gave_up =
                        || StoreError::Damaged { place: "the store", reason: "reading it gave up".to_owned() };
                    let done = catch_unwind(AssertUnwindSafe(|| work(full)));
                    if let Err(error) = done.unwrap_or_else(|_| Err(gave_up().into())) {
                        order.fail(error);
                    }
                });
            }
            drop(full);
        });
        order.end()
    }

    /// What was walked, once that is all; `bytes` are those of keys and values.
    pub fn finish(self, bytes: u64) -> Result<Dumped, DumpError> {
        let state = View::new(self.txn);
        Ok(Dumped {
            schema: facts::schema(&state)?.unwrap_or(SCHEMA),
            lineage: facts::lineage(&state)?,
            commits: facts::commits(&state)?,
            last_event: history::end(&state)?,
            tables: self.counts.into_inner(),
            bytes,
        })
    }
}
