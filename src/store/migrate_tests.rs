use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::*;
use crate::{
    seal::KeyId,
    store::{Order, SCHEMA, Span, Table},
};

const NOTES: Table<u64, String> = Table::new("notes");
const COUNTS: Table<u64, u64> = Table::new("counts");
/// What the next tries come to: refused, a death of the process in the middle, and then as it should be.
static TRIES: AtomicU32 = AtomicU32::new(0);

fn count_letters(txn: &Txn<'_>) -> Result<(), StoreError> {
    let notes = txn.reader().list(&NOTES, &Span::all(), Order::Ascending, usize::MAX)?;
    for (number, note) in notes {
        if number == 700 {
            match TRIES.fetch_add(1, Ordering::Relaxed) {
                0 => return Err(StoreError::Full),
                1 => panic!("the process dies"),
                _ => {}
            }
        }
        txn.put(&COUNTS, &number, &(note.chars().count() as u64))?;
    }
    Ok(())
}

const NEXT: Schemas = Schemas { newest: SCHEMA + 1, steps: &[Step { to: SCHEMA + 1, apply: count_letters }] };

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([3; 16]), 1, [4; 32])
}

fn notes(store: &Arc<Store>) -> usize {
    store.view(|view| view.list(&NOTES, &Span::all(), Order::Ascending, usize::MAX)).unwrap().len()
}

#[test]
fn a_migration_that_is_cut_off_begins_anew_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.store");
    let store = Store::create(&path, key(), 1 << 20).unwrap();
    for round in 0..4_u64 {
        store
            .write_now(|txn| (0..500).try_for_each(|n| txn.put(&NOTES, &(round * 500 + n), &"字".repeat(n as usize))))
            .unwrap();
    }
    let standing = store.standing().unwrap();
    store.close();

    let refused = Store::open_as(&path, key(), 1 << 20, &NEXT).err().expect("a full disk");
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert!(!place_beside(&path).exists(), "what was begun is gone");
    let still = Store::open(&path, key(), 1 << 20).expect("as it was");
    assert_eq!((notes(&still), still.standing().unwrap()), (2_000, standing));
    still.close();

    let died = catch_unwind(AssertUnwindSafe(|| Store::open_as(&path, key(), 1 << 20, &NEXT).map(|_| ())));
    assert!(died.is_err());
    // Half a copy, as a death leaves it, of whatever length.
    fs::write(place_beside(&path), vec![7; 70_000]).unwrap();
    let brought = Store::open_as(&path, key(), 1 << 20, &NEXT).expect("it begins anew");
    assert_eq!(brought.view(facts::schema).unwrap(), Some(SCHEMA + 1));
    assert_eq!(brought.view(|view| view.get(&COUNTS, &1_300)).unwrap(), Some(300));
    assert_eq!((notes(&brought), TRIES.load(Ordering::Relaxed)), (2_000, 3));
    assert_ne!(brought.standing().unwrap(), standing, "its next segment is written, not linked");
    brought.close();
    assert!(!place_beside(&path).exists());

    // This release knows one schema less: it says which release it needs, and changes nothing.
    let before = fs::read(&path).unwrap();
    let refused = Store::open(&path, key(), 1 << 20).err().expect("a newer schema");
    let version = env!("CARGO_PKG_VERSION");
    assert!(refused.to_string().ends_with(&format!("install workrun {version} or newer")), "{refused}");
    assert_eq!(fs::read(&path).unwrap().len(), before.len());
    Store::open_as(&path, key(), 1 << 20, &NEXT).expect("it is as it was").close();
}
