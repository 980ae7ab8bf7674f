//! Power failures, simulated: a real workload is recorded write by write, and every state that a power failure could
//! have left on the disk (exhaustively where they are few, sampled where they are many) is opened and read in full.
//!
//! The disk that is assumed: what a successful sync covered is there; each 512-byte sector written since then is there,
//! or not, independently of every other; the file's length since then is the old one, the new one, or between.
//!
//! What is demanded of every state: it opens; it holds exactly what it held after some commit; and that commit is not
//! older than the last one acknowledged before the failure. `WORKRUN_TEST_LONG=1` tries many more states.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use redb::{ReadableTable, TableDefinition};
use workrun::{
    seal::{
        DataKey, KeyId,
        blocks::{CommitList, Superblock},
    },
    store::backend::{Disk, ReadOnlyDisk, SealedBackend, SealedDatabase},
};

#[path = "power_failure/dice.rs"]
mod dice;
#[path = "power_failure/disk.rs"]
mod disk;
#[path = "power_failure/failing.rs"]
mod failing;

use dice::Dice;
use disk::{Image, Op, RecordingDisk, SECTOR, apply_write};

const SMALL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("small");
const LARGE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("large");
/// Small enough that redb writes pages before their commit.
const CACHE: usize = 128 << 10;

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([7; 16]), 1, [8; 32])
}

// ---------------------------------------------------------------- the workload

type Rows = (BTreeMap<u64, Vec<u8>>, BTreeMap<String, Vec<u8>>);

/// What stood in the store after each commit, as a hash of all rows.
type History = Vec<blake3::Hash>;

fn hash_of(rows: &Rows) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (key, value) in &rows.0 {
        hasher.update(&key.to_le_bytes()).update(&(value.len() as u64).to_le_bytes()).update(value);
    }
    hasher.update(b"|");
    for (key, value) in &rows.1 {
        hasher.update(key.as_bytes()).update(&(value.len() as u64).to_le_bytes()).update(value);
    }
    hasher.finalize()
}

/// Groups of inserts, overwrites and deletes; values below a page, of several pages, and once enough to make the file
/// grow and then shrink; clean closings, and deaths of the process with a transaction under way.
fn record(commits: usize, seed: u64) -> (Vec<Op>, History) {
    let disk = RecordingDisk::default();
    let mut dice = Dice(seed);
    let mut rows = Rows::default();
    let mut history = vec![hash_of(&rows)];
    let mut store = SealedDatabase::create_on(disk.clone(), &key(), CACHE).unwrap();
    disk.note(Op::Begun(0));
    disk.note(Op::Acknowledged(0));
    for number in 1..=commits {
        disk.note(Op::Begun(number));
        let mut transaction = store.begin_write().unwrap();
        transaction.set_quick_repair(number % 5 == 0);
        {
            let mut small = transaction.open_table(SMALL).unwrap();
            let mut large = transaction.open_table(LARGE).unwrap();
            for _ in 0..=dice.below(12) {
                let key = dice.below(400);
                if dice.below(4) == 0 {
                    small.remove(key).unwrap();
                    rows.0.remove(&key);
                } else {
                    let value = vec![number as u8; dice.below(300) as usize];
                    small.insert(key, value.as_slice()).unwrap();
                    rows.0.insert(key, value);
                }
            }
            if number % 4 == 0 {
                let key = format!("file {}", dice.below(6));
                let length = if number % 24 == 0 { 700_000 } else { dice.below(30_000) as usize };
                let value = vec![number as u8; length];
                large.insert(key.as_str(), value.as_slice()).unwrap();
                rows.1.insert(key, value);
            }
            if number % 24 == 6 {
                large.retain(|_, _| false).unwrap();
                rows.1.clear();
            }
        }
        transaction.commit().unwrap();
        disk.note(Op::Acknowledged(number));
        history.push(hash_of(&rows));
        if number % 16 == 0 {
            store.close().unwrap();
            store = SealedDatabase::open_on(disk.clone(), &key(), CACHE).unwrap();
        } else if number % 16 == 9 {
            let dying = store.begin_write().unwrap();
            dying.open_table(LARGE).unwrap().insert("never", vec![0xdd; 400_000].as_slice()).unwrap();
            // The process dies: nothing is rolled back, nothing closed.
            #[expect(clippy::mem_forget, reason = "a process that dies runs no destructors")]
            std::mem::forget((dying, store));
            store = SealedDatabase::open_on(disk.clone(), &key(), CACHE).unwrap();
        }
    }
    store.close().unwrap();
    (disk.log(), history)
}

fn read_all(store: &SealedDatabase) -> Result<blake3::Hash, redb::Error> {
    let transaction = store.begin_read()?;
    let mut rows = Rows::default();
    match transaction.open_table(SMALL) {
        Ok(table) => {
            for row in table.iter()? {
                let (key, value) = row?;
                rows.0.insert(key.value(), value.value().to_vec());
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match transaction.open_table(LARGE) {
        Ok(table) => {
            for row in table.iter()? {
                let (key, value) = row?;
                rows.1.insert(key.value().to_owned(), value.value().to_vec());
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hash_of(&rows))
}

// ---------------------------------------------------------------- what a power failure leaves

/// All that was done between two syncs, and what was durable before it.
#[derive(Clone)]
struct Epoch {
    before: Image,
    ops: Vec<Op>,
    acknowledged: usize,
    begun: usize,
}

/// Cuts a recording into epochs, beginning when commit 0 is acknowledged: before that a store stands under another name.
fn epochs(start: Vec<u8>, log: &[Op], mut acknowledged: usize, mut begun: usize, from_start: bool) -> Vec<Epoch> {
    let mut image = start;
    let mut before = Image(Arc::new(image.clone()));
    let mut open = from_start;
    let mut ops = Vec::new();
    let mut found = Vec::new();
    for op in log.iter().chain([&Op::Sync]) {
        match op {
            Op::Write { offset, bytes } => apply_write(&mut image, *offset, bytes),
            Op::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
            Op::Begun(number) => begun = *number,
            Op::Acknowledged(number) => {
                acknowledged = *number;
                open = true;
            }
            Op::Sync => {
                if open {
                    found.push(Epoch { before: before.clone(), ops: std::mem::take(&mut ops), acknowledged, begun });
                }
                ops.clear();
                before = Image(Arc::new(image.clone()));
                continue;
            }
        }
        ops.push(op.clone());
    }
    found
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    Lost,
    /// The sectors whose bit is set are there; beyond the 64th the bits are used again.
    Torn(u64),
    /// The sectors whose bit is not set hold neither the old nor the new: the device destroyed them.
    Ruined(u64),
}

/// The state in which the epoch's operations met these fates.
fn state(epoch: &Epoch, fates: &[Fate]) -> ReadOnlyDisk<Image> {
    let disk = ReadOnlyDisk::new(epoch.before.clone()).unwrap();
    let changes = epoch.ops.iter().filter(|op| matches!(op, Op::Write { .. } | Op::SetLen(_)));
    for (op, fate) in changes.zip(fates) {
        match (op, fate) {
            (_, Fate::Lost) => {}
            (Op::SetLen(len), Fate::Kept) => disk.set_len(*len).unwrap(),
            (Op::SetLen(len), Fate::Torn(mask) | Fate::Ruined(mask)) => {
                let old = disk.len().unwrap();
                let (low, high) = (old.min(*len), old.max(*len));
                disk.set_len(low + (high - low) / 512 * (mask % 512) / 512 * 512).unwrap();
            }
            (Op::Write { offset, bytes }, fate) => {
                let (mask, otherwise) = match fate {
                    Fate::Torn(mask) => (*mask, None),
                    Fate::Ruined(mask) => (*mask, Some([0xa5; SECTOR])),
                    _ => (u64::MAX, None),
                };
                for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                    let place = offset + (at * SECTOR) as u64;
                    let there =
                        if mask >> (at % 64) & 1 == 1 { Some(sector) } else { otherwise.as_ref().map(|s| &s[..]) };
                    // Where the growth was lost, so is what was written behind it.
                    if let Some(sector) = there.filter(|_| place + SECTOR as u64 <= disk.len().unwrap()) {
                        disk.write_all_at(sector, place).unwrap();
                    }
                }
            }
            _ => {}
        }
    }
    disk
}

fn changes(epoch: &Epoch) -> usize {
    epoch.ops.iter().filter(|op| matches!(op, Op::Write { .. } | Op::SetLen(_))).count()
}

/// The fates to try for an epoch: all combinations of kept, lost and two ways of tearing where there are few changes;
/// otherwise prefixes, all but a few kept or lost, and free choices, as the dice say.
fn fates(count: usize, samples: usize, dice: &mut Dice) -> Vec<Vec<Fate>> {
    let torn = |dice: &mut Dice| match dice.below(4) {
        3 => Fate::Ruined(dice.roll()),
        0 => Fate::Torn(u64::MAX >> (1 + dice.below(63))),
        1 => Fate::Torn(u64::MAX << (1 + dice.below(63))),
        _ => Fate::Torn(dice.roll()),
    };
    if count == 0 {
        return vec![Vec::new()];
    }
    if 4_usize.checked_pow(u32::try_from(count).unwrap_or(u32::MAX)).is_some_and(|all| all <= samples) {
        return (0..4_usize.pow(u32::try_from(count).unwrap()))
            .map(|number| {
                let choice = |at: usize| match number >> (2 * at) & 3 {
                    0 => Fate::Kept,
                    1 => Fate::Lost,
                    2 => Fate::Torn(1 << dice.below(9)),
                    _ => torn(dice),
                };
                (0..count).map(choice).collect()
            })
            .collect();
    }
    let mut all = vec![vec![Fate::Kept; count], vec![Fate::Lost; count]];
    while all.len() < samples {
        let mut one = match dice.below(4) {
            0 => {
                let prefix = dice.below(count as u64) as usize;
                (0..count).map(|at| if at < prefix { Fate::Kept } else { Fate::Lost }).collect()
            }
            1 => vec![Fate::Lost; count],
            2 => vec![Fate::Kept; count],
            _ => (0..count).map(|_| if dice.below(2) == 0 { Fate::Kept } else { Fate::Lost }).collect::<Vec<_>>(),
        };
        for _ in 0..=dice.below(3) {
            let at = dice.below(count as u64) as usize;
            one[at] = match dice.below(3) {
                0 => Fate::Kept,
                1 => Fate::Lost,
                _ => torn(dice),
            };
        }
        all.push(one);
    }
    all
}

/// What is wrong with a state, if anything is.
fn judge(disk: impl Disk, epoch: &Epoch, history: &History, goes_on: bool) -> Result<(), String> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let store = SealedDatabase::open_on(disk, &key(), CACHE).map_err(|error| format!("does not open: {error}"))?;
        let found = read_all(&store).map_err(|error| format!("cannot be read: {error}"))?;
        if goes_on {
            carry_on(store)?;
        }
        Ok(found)
    }));
    let found = opened.unwrap_or_else(|_| Err("panicked while read".to_owned()))?;
    if history[epoch.acknowledged..=epoch.begun].contains(&found) {
        return Ok(());
    }
    match history.iter().position(|hash| *hash == found) {
        Some(number) => Err(format!("holds commit {number}; {} was acknowledged", epoch.acknowledged)),
        None => Err("holds what no commit left".to_owned()),
    }
}

/// The store passes redb's own check, and takes and keeps another commit.
fn carry_on(mut store: SealedDatabase) -> Result<(), String> {
    store.check().map_err(|error| format!("fails its check: {error}"))?;
    let transaction = store.begin_write().map_err(|error| format!("takes no transaction: {error}"))?;
    {
        let mut table = transaction.open_table(LARGE).map_err(|error| format!("takes no table: {error}"))?;
        table.insert("later", vec![1; 20_000].as_slice()).map_err(|error| format!("takes no row: {error}"))?;
    }
    transaction.commit().map_err(|error| format!("takes no commit: {error}"))?;
    store.check().map_err(|error| format!("fails its check after a commit: {error}"))?;
    store.close().map_err(|error| format!("does not close: {error}"))
}

struct Tally {
    tried: usize,
    failures: Vec<String>,
}

/// Tries `samples` states an epoch. Of every `second`th state the recovery itself is recorded and cut off again.
fn try_all(epochs: &[Epoch], history: &History, samples: usize, second: usize, seed: u64) -> Tally {
    let (tried, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(epoch) = epochs.get(number) else { return };
                    let mut dice = Dice(seed ^ number as u64);
                    for (at, fates) in fates(changes(epoch), samples, &mut dice).iter().enumerate() {
                        let judged = judge(state(epoch, fates), epoch, history, at % 16 == 0);
                        tried.fetch_add(1, Ordering::Relaxed);
                        if let Err(what) = judged {
                            failures.lock().push(format!("epoch {number}, {fates:?}: {what}"));
                        } else if second > 0 && (number + at) % second == 0 {
                            let again = recovery_of(&state(epoch, fates), epoch);
                            let below = try_all(&again, history, 12, 0, seed ^ at as u64);
                            tried.fetch_add(below.tried, Ordering::Relaxed);
                            failures.lock().extend(below.failures.iter().map(|what| format!("in recovery: {what}")));
                        }
                    }
                }
            });
        }
    });
    Tally { tried: tried.into_inner(), failures: failures.into_inner() }
}

/// The epochs of opening this state, committing nothing, and closing it.
fn recovery_of(state: &ReadOnlyDisk<Image>, epoch: &Epoch) -> Vec<Epoch> {
    let mut bytes = vec![0; usize::try_from(state.len().unwrap()).unwrap()];
    state.read_exact_at(&mut bytes, 0).unwrap();
    let disk = RecordingDisk::holding(bytes.clone());
    SealedDatabase::open_on(disk.clone(), &key(), CACHE).unwrap().close().unwrap();
    epochs(bytes, &disk.log(), epoch.acknowledged, epoch.begun, true)
}

fn is_long() -> bool {
    env::var_os("WORKRUN_TEST_LONG").is_some()
}

// ---------------------------------------------------------------- the tests

#[test]
fn no_power_failure_loses_an_acknowledged_commit() {
    let (commits, samples, second) = if is_long() { (400, 2_000, 200) } else { (176, 500, 400) };
    let (log, history) = record(commits, 1);
    let epochs = epochs(Vec::new(), &log, 0, 0, false);
    let tally = try_all(&epochs, &history, samples, second, 2);
    println!("{} states of {} commits in {} epochs tried", tally.tried, commits, epochs.len());
    assert!(tally.failures.is_empty(), "{} failures, e.g. {}", tally.failures.len(), tally.failures[0]);
    assert!(tally.tried >= 100_000, "only {} states", tally.tried);
}

/// The simulation is worth something only if it finds what it looks for: the same workload with one place for the header.
#[test]
fn with_a_single_header_copy_the_simulation_finds_failures() {
    let (mut log, history) = record(20, 3);
    for op in &mut log {
        if let Op::Write { offset: offset @ 8192, .. } = op {
            *offset = 4096;
        }
    }
    let tally = try_all(&epochs(Vec::new(), &log, 0, 0, false), &history, 60, 0, 4);
    println!("{} failures in {} states", tally.failures.len(), tally.tried);
    assert!(!tally.failures.is_empty());
}

/// And with headers that are believed without what was written with them.
#[test]
fn without_commit_lists_the_simulation_finds_failures() {
    let (mut log, history) = record(20, 3);
    let Some(Op::Write { offset: 0, bytes }) = log.iter().find(|op| matches!(op, Op::Write { .. })) else { panic!() };
    let cipher = key().block_cipher(Superblock::parse(bytes[..].try_into().unwrap()).unwrap().file_id);
    let mut lists = 0;
    for op in &mut log {
        if let Op::Write { offset: 4096 | 8192, bytes } = op {
            let header = cipher.open_header(bytes[..].try_into().unwrap()).unwrap();
            lists += usize::from(!header.list.blocks().is_empty());
            *bytes = cipher.seal_header(header.seq, &header.bytes, &CommitList::default())[..].into();
        }
    }
    assert!(lists > 10, "most commits are small");
    let tally = try_all(&epochs(Vec::new(), &log, 0, 0, false), &history, 60, 0, 4);
    println!("{} failures in {} states", tally.failures.len(), tally.tried);
    assert!(!tally.failures.is_empty());
}

/// Commits of one phase, which redb alone survives by its checksums and makes itself in places: the backend gives them
/// the other phase, small ones by their list and large ones by a sync before the header.
#[test]
fn one_phase_commits_are_as_safe() {
    for length in [400, 60_000] {
        let disk = RecordingDisk::default();
        let backend = SealedBackend::create(disk.clone(), &key()).unwrap();
        let database = redb::Builder::new().set_cache_size(CACHE).create_with_backend(backend).unwrap();
        let mut rows = Rows::default();
        let mut history = History::new();
        for number in 0..20 {
            disk.note(Op::Begun(number));
            let transaction = database.begin_write().unwrap();
            for key in 0..20 {
                let value = vec![number as u8; length];
                transaction.open_table(SMALL).unwrap().insert(key, value.as_slice()).unwrap();
                rows.0.insert(key, value);
            }
            transaction.commit().unwrap();
            disk.note(Op::Acknowledged(number));
            history.push(hash_of(&rows));
        }
        let tally = try_all(&epochs(Vec::new(), &disk.log(), 0, 0, false), &history, 40, 0, 5);
        println!("{} failures in {} states", tally.failures.len(), tally.tried);
        assert!(tally.failures.is_empty(), "{} failures, e.g. {}", tally.failures.len(), tally.failures[0]);
    }
}

/// What `docs/formats/store.md` says of writing, held against everything that redb did: the superblock once, headers
/// never over the durable copy, nothing over what that lists, everything else whole blocks; whatever redb did otherwise would
/// have been an error.
#[test]
fn every_write_keeps_to_the_format() {
    let (log, _) = record(if is_long() { 400 } else { 112 }, 6);
    let (mut cipher, mut written, mut durable) = (None, None, None);
    let (mut listed, mut to_be_listed, mut blocks, mut lists) = (Vec::new(), Vec::new(), BTreeSet::new(), 0);
    for op in &log {
        match op {
            Op::Write { offset: 0, bytes } => {
                assert_eq!((bytes.len(), written), (4096, None), "the superblock is written once, before all else");
                let superblock = Superblock::parse(bytes[..].try_into().unwrap()).unwrap();
                cipher = Some(key().block_cipher(superblock.file_id));
            }
            Op::Write { offset: offset @ (4096 | 8192), bytes } => {
                assert_ne!(durable, Some(*offset), "a header went over the durable copy");
                written = Some(*offset);
                let header = cipher.as_ref().unwrap().open_header(bytes[..].try_into().unwrap()).unwrap();
                to_be_listed = header.list.blocks().to_vec();
                if !to_be_listed.is_empty() {
                    assert!(to_be_listed.iter().eq(&blocks), "a list names all that was written since the last sync");
                    lists += 1;
                }
            }
            Op::Write { offset, bytes } => {
                assert!(*offset >= 16_384 && (offset - 16_384) % 4608 == 0, "a block at {offset}");
                assert!(!bytes.is_empty() && bytes.len() % 4608 == 0, "{} bytes of blocks", bytes.len());
                let first = (offset - 16_384) / 4608 + 1;
                for block in first..first + bytes.len() as u64 / 4608 {
                    assert!(!listed.contains(&block), "block {block} is listed by the durable header");
                    blocks.insert(block);
                }
            }
            Op::SetLen(len) => {
                assert!(*len == 12_288 || len.checked_sub(16_384).is_some_and(|rest| rest % 4608 == 0));
                assert!(listed.iter().all(|block| 16_384 + block * 4608 <= *len), "a listed block is cut off");
            }
            Op::Sync => {
                (durable, listed) = (written, to_be_listed.clone());
                blocks.clear();
            }
            Op::Begun(_) | Op::Acknowledged(_) => {}
        }
    }
    println!("{lists} headers with a list");
    assert!(lists > 50);
}

/// A closed store with one bit flipped, or two blocks exchanged, is an error or what it was: never anything else.
#[test]
fn damage_never_reads_as_something_else() {
    let (log, history) = record(30, 7);
    let epochs = epochs(Vec::new(), &log, 0, 0, false);
    let last = epochs.last().unwrap();
    let good = &last.before.0;
    let mut dice = Dice(8);
    let blocks = (good.len() - 16_384) / 4608;
    let mut noticed = 0;
    let rounds = if is_long() { 20_000 } else { 600 };
    for round in 0..rounds {
        let mut bad = good.to_vec();
        if round % 4 == 3 {
            let (one, other) = (dice.below(blocks as u64) as usize, dice.below(blocks as u64) as usize);
            for at in 0..4608 {
                bad.swap(16_384 + one * 4608 + at, 16_384 + other * 4608 + at);
            }
        } else {
            let limit = if round % 4 == 0 { 12_288 } else { good.len() as u64 };
            bad[dice.below(limit) as usize] ^= 1 << dice.below(8);
        }
        let disk = ReadOnlyDisk::new(Image(Arc::new(bad))).unwrap();
        match judge(disk, last, &history, false) {
            Ok(()) => {}
            Err(what) => {
                assert!(
                    what.starts_with("does not open") || what.starts_with("cannot be read"),
                    "round {round}: {what}"
                );
                noticed += 1;
            }
        }
    }
    println!("{noticed} of {rounds} damages were in use and noticed");
    assert!(noticed > rounds / 20);
}
