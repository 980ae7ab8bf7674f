use std::{os::unix::fs::FileExt as _, thread};

use super::*;
use crate::{clock::Timestamp, seal::RootKey, store::Table};

const NOTES: Table<u64, String> = Table::new("notes");
const NOW: Timestamp = Timestamp(1_780_000_000_000);

struct House {
    shelf: Shelf,
    orgs: Vec<OrgId>,
    _folder: tempfile::TempDir,
}

fn house(organizations: usize, open_max: usize) -> House {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let keyring = Arc::new(Keyring::create(&layout.keyring(), &RootKey::fresh(), None, NOW).unwrap());
    let shelf = Shelf::new(layout, Arc::clone(&keyring), 1 << 20, open_max);
    let orgs: Vec<OrgId> = (0..organizations).map(|_| OrgId::fresh(NOW)).collect();
    for org in &orgs {
        keyring.add_organization(*org, NOW).unwrap();
        let store = shelf.create_organization(*org).unwrap();
        for number in 0..40 {
            store.write_now(|txn| txn.put(&NOTES, &number, &"覚え書き".repeat(200))).unwrap();
        }
    }
    House { shelf, orgs, _folder: folder }
}

#[test]
fn idle_stores_are_closed_and_held_ones_stay() {
    let House { shelf, orgs, _folder } = house(6, 2);
    assert_eq!(shelf.opened().len(), 2, "each opening closes another");
    let held: Vec<_> = orgs[..4].iter().map(|org| shelf.organization(*org).unwrap()).collect();
    assert_eq!(shelf.opened().len(), 4, "nobody's store is closed under them");
    drop(held);
    shelf.organization(orgs[5]).unwrap();
    assert_eq!(shelf.opened().len(), 2);
}

#[test]
fn a_file_is_opened_once_whoever_asks() {
    let House { shelf, orgs, _folder } = house(4, 1);
    thread::scope(|scope| {
        for seed in 0..8_usize {
            let (shelf, orgs) = (&shelf, &orgs);
            scope.spawn(move || {
                for round in 0..60 {
                    let store = shelf.organization(orgs[(seed * 7 + round * 3) % orgs.len()]).unwrap();
                    assert_eq!(store.view(|view| view.get(&NOTES, &1)).unwrap().unwrap().chars().count(), 800);
                }
            });
        }
    });
}

#[test]
fn a_walk_notices_an_older_block_and_gives_way() {
    let House { shelf, orgs, _folder } = house(2, 8);
    assert_eq!(shelf.walk(orgs[0]), Walked::Whole);
    let held = shelf.organization(orgs[0]).unwrap();
    assert_eq!(shelf.walk(orgs[0]), Walked::InUse);
    drop(held);

    // What stood in a block one commit earlier authenticates, and no read tells it from the present.
    let path = shelf.layout().organization_store(orgs[0]);
    assert_eq!(shelf.walk(orgs[0]), Walked::Whole, "closed by the walk");
    let before = std::fs::read(&path).unwrap();
    let store = shelf.organization(orgs[0]).unwrap();
    for number in 0..40 {
        store.write_now(|txn| txn.put(&NOTES, &number, &"書き直し".repeat(200))).unwrap();
    }
    drop(store);
    assert_eq!(shelf.walk(orgs[0]), Walked::Whole);
    let after = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut noticed = 0;
    for place in (16_384..before.len()).step_by(4_608) {
        let block = place..place + 4_608;
        if before[block.clone()] != after[block.clone()] {
            file.write_all_at(&before[block.clone()], place as u64).unwrap();
            noticed += usize::from(matches!(shelf.walk(orgs[0]), Walked::Damaged(_)));
            file.write_all_at(&after[block], place as u64).unwrap();
        }
    }
    assert!(noticed > 0);
    assert_eq!(shelf.walk(orgs[0]), Walked::Whole);

    // Whoever wants the store while it is walked gets it, and the walk ends without a word.
    thread::scope(|scope| {
        let walks = scope.spawn(|| (0..200).filter(|_| shelf.walk(orgs[0]) == Walked::InUse).count());
        while !walks.is_finished() {
            let store = shelf.organization(orgs[0]).unwrap();
            store.write_now(|txn| txn.put(&NOTES, &7, &"間に".to_owned())).unwrap();
        }
        walks.join().unwrap();
    });
    assert_eq!(shelf.walk(orgs[0]), Walked::Whole);
}

#[test]
fn a_store_that_does_not_open_is_named_and_costs_nobody_else_anything() {
    let House { shelf, orgs, _folder } = house(3, 8);
    shelf.close();
    let (one, other) = (shelf.layout().organization_store(orgs[0]), shelf.layout().organization_store(orgs[1]));
    std::fs::copy(&other, &one).unwrap();
    let refused = shelf.organization(orgs[0]).err().expect("another organization's file");
    assert!(refused.to_string().contains("needs key"), "{refused}");
    assert!(shelf.organization(orgs[1]).is_ok() && shelf.organization(orgs[2]).is_ok());
    assert_eq!(shelf.ailing().into_keys().collect::<Vec<_>>(), [orgs[0]]);

    // A bit flips in a store that is open: the block is named, and the others go on.
    let store = shelf.organization(orgs[1]).unwrap();
    store.close();
    shelf.close();
    let mut bytes = std::fs::read(&other).unwrap();
    for place in (16_384 + 100..bytes.len()).step_by(4_608) {
        bytes[place] ^= 1;
    }
    std::fs::write(&other, bytes).unwrap();
    let damaged = shelf.organization(orgs[1]).and_then(|store| store.view(|view| view.get(&NOTES, &1)));
    assert!(damaged.is_err());
    let told = shelf.ailing();
    assert!(told[&orgs[1]].contains("block"), "{told:?}");
    assert!(shelf.organization(orgs[2]).is_ok());
}
