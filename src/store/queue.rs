//! The commands that wait for a store's writer, and how many of them it takes at a time.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::{StoreError, Txn};
use crate::limits;

/// The part of the last commit's time on the disk for which those who may ask again are waited for.
const GATHERED_FOR: u32 = 2;
/// And how long at most.
const GATHERED_FOR_MAX: Duration = Duration::from_millis(2);
/// Groups of fewer commands are not divided.
const SHARED_FROM: usize = 16;
/// What a command weighs besides what it carries, in bytes.
const COMMAND_BYTES: usize = 256;

/// How a command went inside its group's transaction.
pub(super) enum Step {
    /// Ran to its end, whether it was accepted or refused before it wrote anything.
    Done,
    /// Failed in the middle: the transaction holds half of it.
    Spoilt(StoreError),
}

/// A command whose types are forgotten, as it waits.
pub(super) trait Job: Send {
    /// Its size in bytes, for the bounds of groups.
    fn weight(&self) -> usize;
    /// Runs it inside a transaction; again if the transaction was rolled back for another's sake.
    fn run(&mut self, txn: &Txn<'_>) -> Step;
    /// Tells whoever asked, after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Command<T, E, W> {
    weight: usize,
    work: W,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// A job of what is to be done, and where its answer comes.
pub(super) fn job<T, E, W>(weight: usize, work: W) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    W: FnMut(&Txn<'_>) -> Result<T, E> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Command { weight: weight + COMMAND_BYTES, work, result: None, reply }), answer)
}

impl<T, E, W> Job for Command<T, E, W>
where
    T: Send,
    E: From<StoreError> + Send,
    W: FnMut(&Txn<'_>) -> Result<T, E> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, txn: &Txn<'_>) -> Step {
        let before = txn.writes();
        match catch_unwind(AssertUnwindSafe(|| (self.work)(txn))) {
            Ok(result) => {
                let spoilt = result.is_err() && txn.writes() != before;
                self.result = Some(result);
                if spoilt { Step::Spoilt(StoreError::Panicked) } else { Step::Done }
            }
            Err(_) => {
                self.result = Some(Err(StoreError::Panicked.into()));
                Step::Spoilt(StoreError::Panicked)
            }
        }
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let result = match (self.result, outcome) {
            // A refusal stands whatever became of the group: it changed nothing.
            (Some(Err(refusal)), _) => Err(refusal),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None | Some(Ok(_)), Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::Panicked.into()),
        };
        // The asker may have gone away; the change stands all the same.
        let _ = self.reply.send(result);
    }
}

/// What a writer knows of the group that it committed last.
#[derive(Clone, Copy)]
pub(super) struct LastGroup {
    pub ended: Instant,
    pub took: Duration,
    /// How much of that was waiting for the disk.
    pub synced: Duration,
    /// How many commands it was.
    pub answered: usize,
}

#[derive(Clone, Copy)]
struct Pace {
    last: LastGroup,
    /// Commands answered, and those that waited at that moment: about as many as ask at the same time.
    askers: usize,
}

impl Pace {
    /// Whether the last commit was mostly waiting for the disk, which takes as long for few as for many.
    fn waited(&self) -> bool {
        self.last.synced * 2 > self.last.took
    }

    /// How many commands the next group takes at most. Where the disk is quick, half of those who ask at the same time: the
    /// others' requests are read and answered meanwhile, and neither they nor the writer wait for each other.
    fn share(self) -> usize {
        let half = if self.waited() { usize::MAX } else { (self.askers / 2).max(SHARED_FROM) };
        half.min(limits::GROUP_COMMIT_COMMANDS_MAX)
    }
}

/// The commands that wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// As many wait as the writer waited for.
    gathered: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    writing: bool,
    closed: bool,
    /// How many commands the writer waits for, while it does.
    wanted: Option<usize>,
    pace: Option<Pace>,
}

impl Queue {
    /// Lets a command wait; returns whether a writer must be started for it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] once closed, [`StoreError::Overloaded`] when too many wait.
    pub(super) fn push(&self, job: Box<dyn Job>) -> Result<bool, StoreError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(StoreError::Missing);
        }
        if waiting.jobs.len() >= limits::STORE_QUEUE_COMMANDS_MAX {
            return Err(StoreError::Overloaded);
        }
        waiting.jobs.push_back(job);
        if waiting.wanted.is_some_and(|wanted| waiting.jobs.len() >= wanted) {
            self.gathered.notify_one();
        }
        Ok(!std::mem::replace(&mut waiting.writing, true))
    }

    /// The next group; `None` if nothing waits, and the writer then ends.
    pub(super) fn next_group(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.waiting.lock();
        self.gather(&mut waiting);
        let most = waiting.pace.map_or(limits::GROUP_COMMIT_COMMANDS_MAX, Pace::share);
        let (mut bytes, mut count) = (0, 0);
        for job in waiting.jobs.iter().take(most) {
            bytes += job.weight();
            if count > 0 && bytes > limits::GROUP_COMMIT_BYTES_MAX {
                break;
            }
            count += 1;
        }
        if count == 0 {
            waiting.writing = false;
            return None;
        }
        Some(waiting.jobs.drain(..count).collect())
    }

    /// Notes how the last group went.
    pub(super) fn note(&self, last: LastGroup) {
        let mut waiting = self.waiting.lock();
        let askers = last.answered + waiting.jobs.len();
        waiting.pace = Some(Pace { last, askers });
    }

    /// Waits for those who were answered just now and are about to ask again. Where the disk is slow, half of the askers
    /// would otherwise always wait for a commit that serves the other half. The slower the disk, the more this is worth;
    /// nobody is waited for who comes alone or after a pause.
    fn gather(&self, waiting: &mut MutexGuard<'_, Waiting>) {
        let asked_again = |pace: &Pace| pace.waited() && pace.last.ended.elapsed() < pace.last.took;
        let Some(pace) = waiting.pace.filter(asked_again) else { return };
        let wanted = pace.askers.min(limits::GROUP_COMMIT_COMMANDS_MAX);
        let until = Instant::now() + (pace.last.synced / GATHERED_FOR).min(GATHERED_FOR_MAX);
        waiting.wanted = Some(wanted);
        while !waiting.jobs.is_empty() && waiting.jobs.len() < wanted {
            if self.gathered.wait_until(waiting, until).timed_out() {
                break;
            }
        }
        waiting.wanted = None;
    }

    /// Takes no more commands; those that wait are still written.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
    }

    /// Whether it takes no more commands.
    pub(super) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Whether a command waits or is being written.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting.lock().writing
    }

    /// How many commands wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().jobs.len()
    }
}
