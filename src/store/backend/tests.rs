use std::{path::Path, sync::Arc};

use proptest::{collection::vec, prelude::*};
use redb::{ReadableTable, StorageBackend, TableDefinition};

use super::*;
use crate::seal::KeyId;

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const CACHE: usize = 1 << 20;

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

/// A disk in memory that counts and fails on demand.
#[derive(Clone, Debug, Default)]
struct Bench(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Offsets written to; `None` is a sync.
    log: Vec<Option<u64>>,
    room: Option<usize>,
    fails_sync: bool,
}

impl Disk for Bench {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.0.lock();
        out.copy_from_slice(state.bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let mut state = self.0.lock();
        state.log.push(Some(offset));
        state.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let len = usize::try_from(len).unwrap();
        if state.room.is_some_and(|room| len > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.log.push(None);
        if state.fails_sync { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        places.iter_mut().try_for_each(|(offset, out)| self.read_exact_at(out, *offset))
    }
}

fn insert(store: &SealedDatabase, number: u64, value: &[u8]) -> Result<(), redb::Error> {
    let transaction = store.begin_write()?;
    transaction.open_table(TABLE)?.insert(number, value)?;
    Ok(transaction.commit()?)
}

fn count(store: &SealedDatabase) -> u64 {
    let table = store.begin_read().unwrap().open_table(TABLE).unwrap();
    table.iter().unwrap().map(Result::unwrap).fold(0, |rows, _| rows + 1)
}

#[test]
fn a_store_comes_back_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.store");
    let store = create_database(&path, &key(), CACHE).unwrap();
    assert!(matches!(create_database(&path, &key(), CACHE), Err(BackendError::Exists)));
    for number in 0..50 {
        insert(&store, number, &vec![7; 30_000]).unwrap();
    }
    store.close().unwrap();
    let mut store = open_database(&path, &key(), CACHE).unwrap();
    assert_eq!(count(&store), 50);
    store.check().unwrap();
    assert!(store.health().is_sound());
    drop(store);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(read_superblock(&path).unwrap().key_id, key().id());
}

#[test]
fn nothing_readable_stands_on_the_disk() {
    let bench = Bench::default();
    let store = SealedDatabase::create_on(bench.clone(), &key(), CACHE).unwrap();
    insert(&store, 1, b"a card about Kumamoto castle").unwrap();
    store.close().unwrap();
    let bytes = &bench.0.lock().bytes;
    for secret in [&b"Kumamoto"[..], b"rows", b"redb"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn a_store_that_cannot_be_opened_says_why_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.store");
    create_database(&path, &key(), CACHE).unwrap().close().unwrap();
    let good = std::fs::read(&path).unwrap();
    let other = DataKey::fresh(KeyId([1; 16]), 1);
    let refused = |path: &Path, key: DataKey| open_database(path, &key, CACHE).map(|_| ()).unwrap_err();
    match refused(&path, other.clone()) {
        BackendError::WrongKey { needs, given } => {
            assert_eq!((needs, given), (key().fingerprint(), other.fingerprint()));
        }
        error => panic!("{error}"),
    }
    assert_eq!(std::fs::read(&path).unwrap(), good);
    type Expected = fn(&BackendError) -> bool;
    let damages: [(usize, usize, Expected); 4] = [
        (0, 8, |error| matches!(error, BackendError::NotAStore)),
        (8, 9, |error| matches!(error, BackendError::TooNew { found: 254, .. })),
        (100, 101, |error| matches!(error, BackendError::Damaged(_))),
        (4096, 12_288, |error| matches!(error, BackendError::Damaged(_))),
    ];
    for (from, to, expected) in damages {
        let mut bad = good.clone();
        bad[from..to].iter_mut().for_each(|byte| *byte = !*byte);
        std::fs::write(&path, &bad).unwrap();
        let error = refused(&path, key());
        assert!(expected(&error), "bytes {from}..{to}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), bad);
    }
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(refused(&path, key()), BackendError::NotAStore));
    assert!(matches!(refused(&folder.path().join("none"), key()), BackendError::Io(_)));
}

#[test]
fn only_the_header_and_whole_blocks_pass() {
    let backend = SealedBackend::create(Bench::default(), &key()).unwrap();
    assert_eq!(backend.len().unwrap(), 0);
    backend.set_len(8 * 4096).unwrap();
    assert_eq!(backend.len().unwrap(), 8 * 4096);
    for (offset, length) in
        [(0, 319), (0, 321), (0, 4096), (4096, 0), (4096, 320), (4097, 4096), (512, 512), (4096, 8 * 4096)]
    {
        assert!(backend.write(offset, &vec![1; length]).is_err(), "a write of {length} at {offset}");
    }
    let mut out = [0; 4096];
    assert!(backend.read(0, &mut out[..8]).is_err(), "there is no header yet");
    backend.write(0, &[3; 320]).unwrap();
    backend.write(4096, &[5; 3 * 4096]).unwrap();
    for (offset, length) in [(0, 321), (0, 4096), (4096, 100), (4100, 4096), (8 * 4096, 4096), (u64::MAX - 4095, 4096)]
    {
        assert!(backend.read(offset, &mut out[..length]).is_err(), "a read of {length} at {offset}");
    }
    backend.read(0, &mut out[..8]).unwrap();
    assert_eq!(out[..8], [3; 8]);
    backend.read(2 * 4096, &mut out).unwrap();
    assert_eq!(out, [5; 4096]);
    assert!(backend.set_len(5000).is_err());
}

#[test]
fn reads_are_strict() {
    let bench = Bench::default();
    let backend = SealedBackend::create(bench.clone(), &key()).unwrap();
    backend.set_len(4 * 4096).unwrap();
    let mut out = [0; 4096];
    let error = backend.read(4096, &mut out).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, "block 1 was never written".to_owned()));
    backend.write(4096, &[1; 2 * 4096]).unwrap();
    backend.sync_data().unwrap();
    bench.0.lock().bytes[16_384 + 4608 + 2000] ^= 1;
    backend.read(4096, &mut out).unwrap();
    let error = backend.read(2 * 4096, &mut out).unwrap_err();
    assert!(error.to_string().starts_with("block 2 does not authenticate"), "{error}");
    assert!(backend.read(4096, &mut [0; 2 * 4096]).is_err(), "a page is whole or nothing");
    assert!(backend.health().read_failed());
}

#[test]
fn neighbours_are_written_together_and_the_later_of_two_stands() {
    let bench = Bench::default();
    let backend = SealedBackend::create(bench.clone(), &key()).unwrap();
    backend.set_len(8 * 4096).unwrap();
    bench.0.lock().log.clear();
    for (block, byte) in [(3, 1), (1, 2), (5, 3), (2, 4), (1, 5)] {
        backend.write(block * 4096, &[byte; 4096]).unwrap();
    }
    assert_eq!(bench.0.lock().log, [], "nothing promises that they are on the disk yet");
    backend.sync_data().unwrap();
    assert_eq!(bench.0.lock().log, [Some(16_384), Some(16_384 + 4 * 4608), None]);
    backend.write(2 * 4096, &[6; 4096]).unwrap();
    let mut out = [0; 4096];
    for (block, byte) in [(1, 5), (2, 6), (3, 1), (5, 3)] {
        backend.read(block * 4096, &mut out).unwrap();
        assert_eq!(out, [byte; 4096], "block {block}, synced or not");
    }
}

/// A header as redb writes it, as far as this layer looks: which slot is the primary one, and what stands in it.
fn header_at(slot: u8, commit: u8) -> [u8; 320] {
    let mut header = [0; 320];
    header[9] = slot;
    header[64 + 128 * usize::from(slot)..][..128].fill(commit);
    header
}

const A: Option<u64> = Some(4096);
const B: Option<u64> = Some(8192);

fn logged(bench: &Bench) -> Vec<Option<u64>> {
    std::mem::take(&mut bench.0.lock().log)
}

/// A backend of `blocks` blocks whose header says that commit 1 stands in slot 0, durable in copy A.
fn begun(bench: &Bench, blocks: u64) -> SealedBackend<Bench> {
    let backend = SealedBackend::create(bench.clone(), &key()).unwrap();
    backend.set_len(blocks * 4096).unwrap();
    backend.write(0, &header_at(0, 1)).unwrap();
    backend.sync_data().unwrap();
    bench.0.lock().log.clear();
    backend
}

#[test]
fn the_durable_header_is_never_written_over() {
    let bench = Bench::default();
    let backend = begun(&bench, 2);
    for (commit, copy) in [(2, B), (3, A), (4, B)] {
        backend.write(0, &[0; 320]).unwrap();
        backend.write(0, &header_at(0, commit)).unwrap();
        assert_eq!(logged(&bench), [], "the last one before the sync is enough");
        backend.sync_data().unwrap();
        assert_eq!(logged(&bench), [copy, None]);
    }
    drop(backend);
    let backend = SealedBackend::open(bench.clone(), &key()).unwrap();
    backend.write(0, &header_at(0, 9)).unwrap();
    backend.sync_data().unwrap();
    assert_eq!(logged(&bench), [None, A, None], "what was found is made durable before the other copy is touched");
}

/// redb's two phases, as far as they can be, in one.
#[test]
fn a_small_commit_takes_one_sync() {
    let bench = Bench::default();
    let backend = begun(&bench, 600);
    let commit = |blocks: Range<u64>, number: u8| {
        for block in blocks {
            backend.write(block * 4096, &[number; 4096]).unwrap();
        }
        let slot = number % 2;
        let mut prepared = header_at(1 - slot, number - 1);
        prepared[64 + 128 * usize::from(slot)..][..128].fill(number);
        backend.write(0, &prepared).unwrap();
        backend.sync_data().unwrap();
        prepared[9] = slot;
        backend.write(0, &prepared).unwrap();
        backend.sync_data().unwrap();
        logged(&bench)
    };
    let at = |block: u64| Some(block_offset(block));
    backend.write(0, &header_at(1, 1)).unwrap();
    backend.sync_data().unwrap();
    logged(&bench);
    assert_eq!(commit(1..3, 2), [at(1), A, None]);
    assert_eq!(commit(4..5, 3), [at(4), B, None]);
    assert_eq!(commit(4..5, 4), [A, None, at(4), B, None], "what the durable header lists is not written over");
    assert_eq!(commit(10..138, 5), [at(10), A, None], "as many as are listed");
    assert_eq!(commit(300..429, 6), [at(300), B, None, A, None], "more than that");
    assert_eq!(commit(300..557, 7), [at(300), at(556), B, None, A, None], "and more than wait");
    backend.set_len(601 * 4096).unwrap();
    assert_eq!(commit(600..601, 8), [at(600), B, None, A, None], "a growth is durable before it is used");
    assert_eq!(commit(300..301, 9), [at(300), B, None]);
    // Somebody writes between the two syncs: then there are two.
    backend.write(302 * 4096, &[8; 4096]).unwrap();
    let mut prepared = header_at(1, 9);
    backend.write(0, &prepared).unwrap();
    backend.sync_data().unwrap();
    assert_eq!(logged(&bench), []);
    backend.write(303 * 4096, &[8; 4096]).unwrap();
    assert_eq!(logged(&bench), [at(302), A, None]);
    prepared[9] = 0;
    backend.write(0, &prepared).unwrap();
    backend.sync_data().unwrap();
    assert_eq!(logged(&bench), [at(303), B, None]);
    backend.set_len(303 * 4096).unwrap();
    assert_eq!(logged(&bench), [A, None], "nor is what the durable header lists cut off");
    // And who asks for one sync only, of what no list can tell.
    backend.write(302 * 4096, &[9; 4096]).unwrap();
    backend.write(0, &header_at(0, 9)).unwrap();
    backend.sync_data().unwrap();
    assert_eq!(logged(&bench), [at(302), None, B, None]);
    backend.sync_data().unwrap();
    assert_eq!(logged(&bench), [], "all of it is on the disk");
}

/// A header that says more than the file holds.
#[test]
fn a_file_cut_off_behind_its_header_is_damaged() {
    let bench = Bench::default();
    SealedDatabase::create_on(bench.clone(), &key(), CACHE).unwrap().close().unwrap();
    for length in [12_288, 16_383, 16_384, 40_000] {
        let bytes = bench.0.lock().bytes[..length].to_vec();
        let disk = Bench(Arc::new(Mutex::new(State { bytes, ..State::default() })));
        let opened = SealedDatabase::open_on(disk.clone(), &key(), CACHE);
        assert!(matches!(opened, Err(BackendError::Damaged(_))), "{length}: {opened:?}");
        assert!(disk.0.lock().log.iter().all(Option::is_none), "{length}: nothing is written");
    }
}

/// Readers look for blocks that wait, are being written, and are written again, while they come and go.
#[test]
fn who_reads_while_others_write_reads_whole_commits() {
    const READERS: usize = 3;
    let store = SealedDatabase::create_on(Bench::default(), &key(), 64 << 10).unwrap();
    let write = |number: u64| {
        let transaction = store.begin_write().unwrap();
        for row in 0..40 {
            let value = vec![number as u8; 400 + usize::try_from(number * 37 % 900).unwrap()];
            transaction.open_table(TABLE).unwrap().insert(row, value.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let table = store.begin_read().unwrap().open_table(TABLE).unwrap();
                    let rows: Vec<u8> = table
                        .iter()
                        .unwrap()
                        .map(|row| {
                            let (_, value) = row.unwrap();
                            assert!(value.value().iter().all(|&byte| byte == value.value()[0]));
                            value.value()[0]
                        })
                        .collect();
                    assert_eq!(rows, [rows[0]; 40], "one commit");
                    assert!(rows[0] >= last, "commits come in their order");
                    last = rows[0];
                }
            });
        }
        for number in 1..200 {
            write(number);
        }
        done.store(true, Ordering::Release);
    });
    assert!(store.health().is_sound());
}

/// A block of the last commit that is not there, is of an earlier commit, or cannot be read.
#[test]
fn a_header_counts_only_with_all_that_was_written_with_it() {
    let bench = Bench::default();
    let store = SealedDatabase::create_on(bench.clone(), &key(), CACHE).unwrap();
    for number in 0..20 {
        insert(&store, number, b"value").unwrap();
    }
    let before = bench.0.lock().bytes.clone();
    bench.0.lock().log.clear();
    insert(&store, 20, b"value").unwrap();
    let log = logged(&bench);
    let after = bench.0.lock().bytes.clone();
    let [blocks @ .., Some(header), None] = &log[..] else { panic!("{log:?}") };
    assert!([4096, 8192].contains(header) && !blocks.is_empty() && !blocks.contains(&None), "one sync: {log:?}");
    let found = |bytes: Vec<u8>| {
        let disk = Bench(Arc::new(Mutex::new(State { bytes, ..State::default() })));
        count(&SealedDatabase::open_on(disk, &key(), CACHE).unwrap())
    };
    assert_eq!(found(after.clone()), 21);
    let mut tried = 0;
    for block in 1..blocks_in(after.len() as u64) {
        let start = usize::try_from(block_offset(block)).unwrap();
        let place = start..start + SEALED_BLOCK;
        if after[place.clone()] == before[place.clone()] {
            continue;
        }
        tried += 1;
        let mut state = after.clone();
        state[place.clone()].copy_from_slice(&before[place.clone()]);
        assert_eq!(found(state), 20, "an older block at {place:?}");
        for at in [0, 24, 4119, 4120, 4135, 4136, 4607] {
            let mut state = after.clone();
            state[place.start + at] ^= 1;
            assert_eq!(found(state), 20, "byte {at} of {place:?}");
        }
    }
    assert!(tried > 0);
}

#[test]
fn after_a_failed_sync_nothing_is_written() {
    let bench = Bench::default();
    let store = SealedDatabase::create_on(bench.clone(), &key(), CACHE).unwrap();
    insert(&store, 1, b"kept").unwrap();
    bench.0.lock().fails_sync = true;
    assert!(insert(&store, 2, b"unknown").is_err());
    let health = store.health();
    assert!(health.sync_failed() && !health.is_sound() && !health.disk_was_full());
    bench.0.lock().fails_sync = false;
    let before = bench.0.lock().bytes.clone();
    assert!(insert(&store, 3, b"refused").is_err());
    drop(store);
    assert_eq!(bench.0.lock().bytes, before, "not even closing writes");
    let reader = SealedDatabase::open_on(ReadOnlyDisk::new(bench.clone()).unwrap(), &key(), CACHE).unwrap();
    assert!(count(&reader) >= 1, "the acknowledged row is there");
    drop(reader);
    assert_eq!(bench.0.lock().bytes, before, "recovery for reading writes nothing");
}

#[test]
fn a_full_disk_is_named_and_the_store_goes_on_after_it() {
    let bench = Bench::default();
    let store = SealedDatabase::create_on(bench.clone(), &key(), CACHE).unwrap();
    insert(&store, 1, b"kept").unwrap();
    let room = bench.0.lock().bytes.len();
    bench.0.lock().room = Some(room);
    assert!(insert(&store, 2, &vec![1; 4 << 20]).is_err());
    assert!(store.health().disk_was_full() && store.health().write_failed() && !store.health().sync_failed());
    drop(store);
    let store = SealedDatabase::open_on(bench.clone(), &key(), CACHE).unwrap();
    assert_eq!(count(&store), 1);
    insert(&store, 2, b"small ones still fit").unwrap();
    bench.0.lock().room = None;
    insert(&store, 3, &vec![1; 4 << 20]).unwrap();
    assert_eq!(count(&store), 3);
}

#[test]
fn a_file_grows_by_allocated_zeros_and_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(folder.path().join("f")).unwrap();
    let disk = FileDisk::new(file.try_clone().unwrap());
    disk.set_len(1 << 20).unwrap();
    let allocated = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
    assert!(allocated >= 1 << 20, "{allocated} bytes allocated");
    disk.write_all_at(&[1; 512], 4096).unwrap();
    disk.set_len(4096).unwrap();
    disk.set_len(8192).unwrap();
    let mut out = [1; 4096];
    disk.read_exact_at(&mut out, 4096).unwrap();
    assert_eq!(out, [0; 4096]);
    assert!(disk.read_exact_at(&mut out, 4097).is_err());
}

#[derive(Clone, Debug)]
enum Call {
    SetLen(u64),
    Write(u64, usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Zeros that are written ahead never go where something stands.
    #[test]
    fn a_file_holds_what_was_written_and_zeros(
        calls in vec(prop_oneof![
            1 => (0_u64..6 << 20).prop_map(Call::SetLen),
            4 => (0_u64..6 << 20, prop_oneof![1_usize..40_000, 100_000_usize..200_000]).prop_map(|(at, length)| Call::Write(at, length)),
        ], 1..60)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let open = || std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (mut disk, mut model) = (FileDisk::new(open()), Vec::new());
        for (number, call) in calls.into_iter().enumerate() {
            match call {
                Call::SetLen(len) => {
                    disk.set_len(len).unwrap();
                    model.resize(usize::try_from(len).unwrap(), 0);
                }
                Call::Write(at, length) => {
                    let at = usize::try_from(at).unwrap();
                    let end = model.len().min(at + length);
                    if at >= end {
                        continue;
                    }
                    let bytes = vec![number as u8 | 1; end - at];
                    disk.write_all_at(&bytes, at as u64).unwrap();
                    model[at..end].copy_from_slice(&bytes);
                }
            }
            // Another handle knows nothing of what this one has grown.
            if number % 16 == 15 {
                disk = FileDisk::new(open());
            }
        }
        prop_assert!(std::fs::read(&path).unwrap() == model);
        let part = |nth: usize| model.len() * nth / 200..model.len() * (nth + 1) / 200 + nth % 2 * model.len() / 300;
        let mut places: Vec<_> = (0..199).map(|nth| (part(nth).start as u64, vec![0; part(nth).len()])).collect();
        disk.read_past_memory(&mut places).unwrap();
        prop_assert!((0..199).zip(places).all(|(nth, (_, bytes))| bytes == model[part(nth)]));
        let last = model.len().saturating_sub(1) as u64;
        let beyond = disk.read_past_memory(&mut [(last, vec![0; 2])]).unwrap_err();
        prop_assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}

/// What makes small commits to a growing file cheap: space that holds something already.
#[test]
fn zeros_are_written_ahead_of_small_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(folder.path().join("f")).unwrap();
    let disk = FileDisk::new(file.try_clone().unwrap());
    disk.set_len(64 << 20).unwrap();
    // A file system that tells allocated space from written space; the others say that all of it is written.
    let written = || rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(0)).unwrap();
    let ahead = |end: u64| end + end / 8;
    let end = 1 << 20;
    disk.write_all_at(&vec![1; 1 << 20], 0).unwrap();
    let large = written();
    disk.write_all_at(&[1; 4608], end).unwrap();
    if large == end {
        let to = written();
        assert!((end + 4608..=ahead(end + 4608) + 4096).contains(&to) && to > end + 100_000, "{to}");
    }
}

#[test]
fn what_is_written_over_a_read_only_disk_reads_back_from_memory() {
    let below = Bench::default();
    below.0.lock().bytes = vec![7; 2048];
    let mut disk = ReadOnlyDisk::new(below.clone()).unwrap();
    disk.write_all_at(&[1; 512], 512).unwrap();
    let mut out = [0; 1024];
    disk.read_exact_at(&mut out, 256).unwrap();
    assert_eq!((&out[..256], &out[256..768], &out[768..]), (&[7; 256][..], &[1; 512][..], &[7; 256][..]));
    let mut places = [(2048, vec![9; 0]), (256, vec![9; 1024])];
    disk.read_past_memory(&mut places).unwrap();
    assert_eq!(places[1].1, out, "it reads the same past the memory of the disk below");
    disk.set_len(1024).unwrap();
    disk.set_len(4096).unwrap();
    disk.read_exact_at(&mut out, 3072).unwrap();
    assert_eq!(out, [0; 1024], "a growth is zeros");
    disk.set_len(2048).unwrap();
    disk.read_exact_at(&mut out, 1024).unwrap();
    assert_eq!(out, [0; 1024], "what was cut off does not come back");
    assert!(disk.read_exact_at(&mut out, 1025).is_err());
    assert!(disk.write_all_at(&[1; 100], 0).is_err());
    assert_eq!(below.0.lock().bytes, [7; 2048]);
}

/// A bit that flips in either header copy of a file that was closed cleanly costs no commit.
#[test]
fn after_a_clean_close_either_header_copy_serves() {
    for copy in HeaderCopy::BOTH {
        for at in [0, 7, 8, 31, 32, 351, 352, 367] {
            let disk = Bench::default();
            let store = SealedDatabase::create_on(disk.clone(), &key(), 1 << 20).unwrap();
            for number in 0..5 {
                insert(&store, number, b"value").unwrap();
            }
            store.close().unwrap();
            let mut byte = [0];
            disk.read_exact_at(&mut byte, copy.offset() + at).unwrap();
            disk.write_all_at(&[byte[0] ^ 0x10], copy.offset() + at).unwrap();
            let store = SealedDatabase::open_on(disk, &key(), 1 << 20).unwrap();
            assert_eq!(count(&store), 5, "{copy:?}, byte {at}");
        }
    }
}
