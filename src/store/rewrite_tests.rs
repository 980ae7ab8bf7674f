use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::{
    seal::KeyId,
    store::{Order, Span, Table},
};

const NUMBERS: Table<u64, String> = Table::new("numbers");
const OTHERS: Table<u64, u64> = Table::new("others");

fn key(version: u32) -> DataKey {
    DataKey::fresh(KeyId([7; 16]), version)
}

struct Bench {
    folder: tempfile::TempDir,
    key: DataKey,
    store: Arc<Store>,
}

impl Bench {
    fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().expect("a folder"), key(1));
        let store = Store::create(&folder.path().join("a.store"), key.clone(), 1 << 20).expect("a store");
        Self { folder, key, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.store")
    }

    fn put(&self, range: std::ops::Range<u64>, length: usize) {
        self.store
            .write_now(|txn| range.clone().try_for_each(|number| txn.put(&NUMBERS, &number, &"x".repeat(length))))
            .expect("written");
    }

    fn all(&self) -> Vec<(u64, String)> {
        let all: Result<_, StoreError> =
            self.store.view(|view| view.list(&NUMBERS, &Span::all(), Order::Ascending, usize::MAX));
        all.expect("read")
    }
}

#[test]
fn a_file_that_is_mostly_free_becomes_small_and_keeps_every_record() {
    let bench = Bench::new();
    for turn in 0..40 {
        bench.put(turn * 500..(turn + 1) * 500, 1_000);
    }
    assert!(!bench.store.is_mostly_free().expect("measured"), "it is full");
    bench.store.write_now(|txn| (0..19_000).try_for_each(|number| txn.delete(&NUMBERS, &number))).expect("deleted");
    bench.put(0..1, 10);
    assert!(bench.store.is_mostly_free().expect("measured"));
    let (before, held) = (bench.all(), bench.store.view(facts::bytes_held).expect("counted"));
    let mut last = Progress { copied: 0, total: 0 };
    let done = bench.store.rewrite(&bench.key, &mut |progress| last = progress).expect("rewritten");
    assert!(done.bytes_after * 3 < done.bytes_before, "{done:?}");
    assert!(last.copied > 1_000_000 && last.copied <= last.total, "{last:?}");
    assert_eq!(bench.all(), before);
    assert_eq!(bench.store.view(facts::bytes_held).expect("counted"), held, "the count goes with the records");
    bench.put(5_000..5_001, 10);
    bench.store.close();
    let again = Store::open(&bench.path(), bench.key.clone(), 1 << 20).expect("opened");
    let count: Result<_, StoreError> =
        again.view(|view| view.list(&NUMBERS, &Span::all(), Order::Ascending, usize::MAX));
    assert_eq!(count.expect("read").len(), before.len() + 1);
    assert_eq!(fs::read_dir(bench.folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
}

#[test]
fn another_key_seals_the_new_file_and_the_old_one_opens_it_no_more() {
    let bench = Bench::new();
    bench.put(0..100, 100);
    let newer = key(2);
    bench.store.rewrite(&newer, &mut |_| {}).expect("rewritten");
    bench.put(100..200, 100);
    assert_eq!(bench.all().len(), 200);
    bench.store.close();
    let refused = Store::open(&bench.path(), bench.key.clone(), 1 << 20).err().expect("the old key");
    assert!(refused.to_string().contains("needs key"), "{refused}");
    Store::open(&bench.path(), newer, 1 << 20).expect("the new key");
}

#[test]
fn readers_that_began_before_the_swap_end_on_what_they_began_with() {
    let bench = Bench::new();
    bench.put(0..1_000, 100);
    let seen: Result<_, StoreError> = bench.store.view(|view| {
        bench.store.rewrite(&bench.key, &mut |_| {}).expect("rewritten under a reader");
        bench.put(1_000..1_100, 100);
        view.list(&NUMBERS, &Span::all(), Order::Ascending, usize::MAX)
    });
    assert_eq!(seen.expect("read").len(), 1_000);
    assert_eq!(bench.all().len(), 1_100);
}

/// Writers and deleters run through several rewrites; in the end the store holds exactly what they were told is there.
#[test]
fn nothing_that_is_written_meanwhile_is_lost_or_comes_back() {
    let bench = Bench::new();
    bench.put(0..20_000, 200);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut rewrites = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn: u64 = 0;
            while !stop.load(Ordering::Acquire) || turn < 50 {
                let at = turn;
                bench
                    .store
                    .write_now(|txn| {
                        txn.put(&OTHERS, &at, &at)?;
                        txn.put(&NUMBERS, &(at % 20_000), &format!("turn {at}"))?;
                        txn.delete(&NUMBERS, &(at * 7 % 20_000 + 20_000))?;
                        txn.put(&NUMBERS, &(at * 11 % 20_000 + 20_000), &format!("late {at}"))
                    })
                    .expect("written");
                turn += 1;
                written.store(turn, Ordering::Release);
            }
        });
        for _ in 0..4 {
            let before = written.load(Ordering::Acquire);
            rewrites.push(bench.store.rewrite(&bench.key, &mut |_| {}).expect("rewritten"));
            while written.load(Ordering::Acquire) < before + 10 {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Release);
    });
    let turns = written.load(Ordering::Acquire);
    let mut model: BTreeMap<u64, String> = (0..20_000).map(|number| (number, "x".repeat(200))).collect();
    for at in 0..turns {
        model.insert(at % 20_000, format!("turn {at}"));
        model.remove(&(at * 7 % 20_000 + 20_000));
        model.insert(at * 11 % 20_000 + 20_000, format!("late {at}"));
    }
    let found: BTreeMap<u64, String> = bench.all().into_iter().collect();
    let differing: Vec<_> = model
        .keys()
        .chain(found.keys())
        .filter(|number| model.get(number) != found.get(number))
        .map(|number| (number, model.get(number), found.get(number)))
        .collect();
    assert!(differing.is_empty(), "{turns} turns, {rewrites:?}: {differing:?}");
    let others: Result<_, StoreError> =
        bench.store.view(|view| view.list(&OTHERS, &Span::all(), Order::Ascending, usize::MAX));
    assert!(others.expect("read").into_iter().eq((0..turns).map(|at| (at, at))));
}

#[test]
fn what_an_interrupted_rewrite_left_is_removed() {
    let bench = Bench::new();
    bench.put(0..10, 10);
    bench.store.close();
    let fresh = place_beside(&bench.path());
    fs::write(&fresh, b"half").expect("left");
    fs::write(backend::beside(&fresh), b"half").expect("left");
    Store::open(&bench.path(), bench.key.clone(), 1 << 20).expect("opened");
    assert_eq!(fs::read_dir(bench.folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_rewrite_that_fails_leaves_the_store_as_it_was() {
    let bench = Bench::new();
    bench.put(0..100, 100);
    // A folder stands where the new file would be made.
    fs::create_dir(place_beside(&bench.path())).expect("a folder in the way");
    bench.store.rewrite(&bench.key, &mut |_| {}).expect_err("no place for it");
    bench.put(100..110, 100);
    assert_eq!(bench.all().len(), 110);
}
