//! Generations taken of real stores in real folders, and what is done to them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;

use super::*;
use crate::{
    clock::{Clock, Timestamp},
    ids::OrgId,
    seal::{KeyKind, Keyring, RootKey},
    store::{
        Layout, Order, Shapes, Shelf, Span, Store, StoreError, Stores, Table,
        history::{Actor, Room, append},
    },
};

mod keeping;

const NOTES: Table<u64, String> = Table::new("notes");
const SECRETS: Table<u64, String> = Table::new("sign_in_secrets");
const NOON: Timestamp = Timestamp(1_795_316_400_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct House {
    folder: tempfile::TempDir,
    stores: Stores,
    generations: Generations,
    clock: Clock,
    progress: Progress,
    orgs: Vec<OrgId>,
}

fn shelf(folder: &Path, keyring: &Arc<Keyring>) -> Stores {
    let layout = Layout::new(folder);
    let system = if layout.system().exists() {
        Store::open(&layout.system(), keyring.system_key(), 1 << 20)
    } else {
        fs::create_dir_all(layout.live()).unwrap();
        Store::create(&layout.system(), keyring.system_key(), 1 << 20)
    };
    let shelf = Arc::new(Shelf::new(layout, Arc::clone(keyring), 1 << 20, 4));
    Stores::new(system.unwrap(), shelf, Arc::clone(keyring)).unwrap()
}

impl House {
    fn settings(&self) -> Settings {
        Settings {
            folder: self.generations.folder().to_owned(),
            window: (jiff::civil::time(12, 0, 0, 0), jiff::civil::time(13, 0, 0, 0)),
            level: 1,
            threads: 1,
            shapes: Shapes::unknown(),
            zone: TimeZone::UTC,
            offsite: None,
            scratch: self.folder.path().join("offsite"),
        }
    }

    fn new(organizations: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(&data).unwrap();
        let keyring = Keyring::create(&data.join("keyring"), &RootKey::from_bytes([9; 32]), None, NOON).unwrap();
        let stores = shelf(&data, &Arc::new(keyring));
        let orgs: Vec<OrgId> = (0..organizations).map(|_| OrgId::fresh(NOON)).collect();
        for org in &orgs {
            stores.keyring().add_organization(*org, NOON).unwrap();
            stores.shelf().create_organization(*org).unwrap();
        }
        let generations = Generations::new(&folder.path().join("snapshots"));
        let house =
            Self { folder, stores, generations, clock: Clock::fixed(NOON), progress: Progress::default(), orgs };
        for (number, org) in house.orgs.clone().into_iter().enumerate() {
            house.write(org, number as u64, 200);
        }
        house
    }

    /// Writes notes and events into an organization's store.
    fn write(&self, org: OrgId, seed: u64, count: u64) {
        let store = self.stores.organization(org).unwrap();
        store
            .write_now(|txn| {
                for n in 0..count {
                    txn.put(&NOTES, &(seed * 1000 + n), &format!("note {n} of {seed} {}", "x".repeat(n as usize)))?;
                    txn.put(&SECRETS, &n, &"not for generations".to_owned())?;
                    append(txn, NOON, Actor::System, Room::Work, &n)?;
                }
                Ok(())
            })
            .unwrap();
    }

    fn options(&self) -> Options {
        Options {
            daily: true,
            pin: false,
            level: 3,
            threads: 2,
            shapes: Shapes::unknown(),
            zone: TimeZone::get("Asia/Tokyo").unwrap(),
            leave_out: BTreeSet::from(["sign_in_secrets"]),
        }
    }

    fn take(&self) -> Taken {
        self.try_take(&self.options()).unwrap()
    }

    fn try_take(&self, options: &Options) -> Result<Taken, BackupError> {
        take(&self.stores, &self.generations, options, &self.clock, &self.progress)
    }

    fn check(&self, generation: &Generation) -> Result<Checked, BackupError> {
        verify(generation, self.stores.keyring(), Shapes::unknown(), 2, &self.progress)
    }

    fn names(&self) -> Vec<String> {
        self.generations.list().unwrap().into_iter().map(|generation| generation.name.to_string()).collect()
    }

    fn segment(&self, generation: &Generation, org: OrgId) -> PathBuf {
        generation.path.join(format!("{org}.seg"))
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn notes(store: &Store) -> Vec<(u64, String)> {
    let all: Result<_, StoreError> = store.view(|view| view.list(&NOTES, &Span::all(), Order::Ascending, usize::MAX));
    all.unwrap()
}

#[test]
fn what_has_not_changed_is_linked_and_written_anew_in_its_turn() {
    let house = House::new(3);
    let first = house.take();
    assert_eq!(first.generation.name.as_str(), "2026-11-22T120000+0900");
    assert_eq!(first.manifest.entries.len(), 4);
    assert!(first.manifest.entries.iter().all(|entry| entry.age == 0 && entry.read_back_at == NOON));
    assert!(!first.manifest.entries[1].tables.contains_key("sign_in_secrets"));
    assert!(first.report.is_good());
    assert_eq!(first.report.stores, 4);

    let [still, changed, _] = house.orgs[..] else { panic!() };
    let mut taken = vec![first];
    for round in 1..=5_u64 {
        house.clock.advance(DAY);
        house.write(changed, 10 + round, 1);
        taken.push(house.take());
    }
    let ages: Vec<u32> = taken.iter().map(|taken| taken.manifest.entry(Some(still)).unwrap().age).collect();
    assert_eq!(ages, [0, 1, 2, 3, 0, 1], "linked three times, then written anew");
    let inodes: Vec<u64> = taken.iter().map(|taken| inode(&house.segment(&taken.generation, still))).collect();
    assert_eq!(inodes[0], inodes[3]);
    assert_ne!(inodes[0], inodes[4]);
    assert!(taken.iter().all(|taken| taken.manifest.entry(Some(changed)).unwrap().age == 0));
    let read_back: Vec<i64> = taken
        .iter()
        .map(|taken| (taken.manifest.entry(Some(still)).unwrap().read_back_at.0 - NOON.0) / 86_400_000)
        .collect();
    assert_eq!(read_back, [0, 0, 2, 2, 4, 4], "a linked segment is read back every other day");
    for taken in &taken {
        assert_eq!(house.check(&taken.generation).unwrap().findings, []);
    }
}

#[test]
fn the_eighth_takes_the_place_of_the_oldest_and_pins_stay() {
    let house = House::new(1);
    let mut names = Vec::new();
    for round in 0..10 {
        if round == 2 {
            let asked = house.try_take(&Options { daily: false, ..house.options() }).unwrap();
            assert_eq!(asked.removed, []);
            let pinned = house.try_take(&Options { daily: false, pin: true, ..house.options() }).unwrap();
            assert!(pinned.generation.pinned);
            names.extend([asked.generation.name.to_string(), pinned.generation.name.to_string()]);
        }
        if round == 4 {
            house.generations.pin(&house.generations.find(&names[0]).unwrap(), true).unwrap();
        }
        let taken = house.take();
        names.push(taken.generation.name.to_string());
        house.clock.advance(DAY);
    }
    // Of ten daily ones seven, of which none was pinned, and the first, which was; beside them what was asked for.
    let expected: Vec<&String> =
        names.iter().enumerate().filter(|(at, _)| ![1, 4].contains(at)).map(|(_, n)| n).collect();
    assert_eq!(house.names().iter().collect::<Vec<_>>(), expected);
    house.generations.pin(&house.generations.find(&names[0]).unwrap(), false).unwrap();
    assert_eq!(house.take().removed.len(), 2, "unpinned, and one too many now");
}

#[test]
fn a_clock_that_jumps_loses_no_generation() {
    let house = House::new(1);
    house.take();
    let Clock::Fixed(clock) = &house.clock else { panic!() };
    for jump in [1, -2, 0, 5, -5] {
        clock.fetch_add(jump * 86_400_000, std::sync::atomic::Ordering::Relaxed);
        let taken = house.take();
        assert_eq!(taken.removed, []);
        assert_eq!(house.generations.latest().unwrap(), taken.generation, "the newest is the one that was taken last");
        assert_eq!(house.check(&taken.generation).unwrap().findings, []);
    }
    assert_eq!(house.names().len(), 6);
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_costs_nobody_else() {
    let house = House::new(2);
    let generation = house.take().generation;
    let mut flipped = 0;
    for file in fs::read_dir(&generation.path).unwrap().map(|entry| entry.unwrap().path()) {
        let whole = fs::read(&file).unwrap();
        // Every byte of what is short and of what is in the clear, and a byte of every 31 of the rest.
        let places = (0..whole.len()).filter(|at| *at < 200 || at % 31 == 0 || *at + 20 > whole.len());
        for at in places {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&file, &damaged).unwrap();
            let checked = house.check(&generation);
            if file.ends_with("manifest") {
                assert!(checked.is_err(), "byte {at} of the manifest");
            } else {
                let findings = checked.unwrap().findings;
                assert_eq!(findings.len(), 1, "byte {at} of {}: {findings:?}", file.display());
                assert_eq!(
                    file.to_str().unwrap().contains(&house.orgs[0].to_string()),
                    findings[0].org == Some(house.orgs[0])
                );
            }
            flipped += 1;
        }
        for length in [0, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            let found = house.check(&generation).map_or(1, |checked| checked.findings.len());
            assert_eq!(found, 1, "cut to {length}");
        }
        fs::write(&file, &whole).unwrap();
    }
    println!("{flipped} bits were flipped, and each was found");
    assert_eq!(house.check(&generation).unwrap().findings, []);
}

#[test]
fn segments_belong_where_they_were_written() {
    let house = House::new(2);
    let first = house.take().generation;
    house.write(house.orgs[0], 5, 5);
    house.clock.advance(DAY);
    let second = house.take().generation;
    let [one, two] = [0, 1].map(|at| house.segment(&second, house.orgs[at]));
    let whole = fs::read(&one).unwrap();
    let found = |what: &str| {
        let findings = house.check(&second).unwrap().findings;
        assert_eq!(findings.len(), 1, "{what}: {findings:?}");
        assert_eq!(findings[0].org, Some(house.orgs[0]), "{what}");
    };
    for other in [two, house.segment(&first, house.orgs[0])] {
        fs::remove_file(&one).unwrap();
        fs::copy(&other, &one).unwrap();
        found("swapped");
    }
    fs::remove_file(&one).unwrap();
    found("missing");
    fs::write(&one, whole).unwrap();
    assert_eq!(house.check(&second).unwrap().findings, []);
    fs::copy(first.path.join("manifest"), second.path.join("manifest")).unwrap();
    let refused = house.check(&second).unwrap_err();
    assert!(refused.to_string().contains("it is that of"), "another generation's manifest: {refused}");
}

#[test]
fn a_damaged_link_is_written_anew() {
    let house = House::new(2);
    let first = house.take();
    let path = house.segment(&first.generation, house.orgs[0]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    house.clock.advance(2 * DAY);
    let second = house.take();
    assert_eq!(second.manifest.entry(Some(house.orgs[0])).unwrap().age, 0, "the damaged one was not linked");
    assert_eq!(second.manifest.entry(Some(house.orgs[1])).unwrap().age, 1);
    assert_eq!(house.check(&second.generation).unwrap().findings, []);
    assert_eq!(house.check(&first.generation).unwrap().findings.len(), 1);
}

/// Organizations that nobody touched are linked without being opened, and nothing that was committed is ever missed.
#[test]
fn files_that_were_not_touched_are_not_opened() {
    let house = House::new(3);
    house.take();
    assert!(house.stores.shelf().opened().is_empty(), "those that nobody uses are closed again");
    house.clock.advance(DAY);
    let second = house.take();
    let ages =
        |taken: &Taken| house.orgs.iter().map(|org| taken.manifest.entry(Some(*org)).unwrap().age).collect::<Vec<_>>();
    assert_eq!(ages(&second), [1, 1, 1]);
    // Being opened, and closed again, moves a file's header: that costs a look, not a copy.
    assert!(house.stores.organization(house.orgs[0]).is_ok());
    house.clock.advance(DAY);
    let third = house.take();
    assert_eq!(ages(&third), [2, 2, 2]);
    let states =
        |taken: &Taken| house.orgs.iter().map(|org| taken.manifest.entry(Some(*org)).unwrap().file).collect::<Vec<_>>();
    let (before, now) = (states(&second), states(&third));
    assert!(now.iter().all(Option::is_some));
    assert_eq!((before[0] == now[0], before[1] == now[1], before[2] == now[2]), (false, true, true), "one was opened");
    house.write(house.orgs[1], 3, 3);
    // Somebody holds a store: its state is not known, and it is looked at again the next time.
    let held = house.stores.organization(house.orgs[2]).unwrap();
    house.clock.advance(DAY);
    let fourth = house.take();
    assert_eq!(ages(&fourth), [3, 0, 3]);
    assert!(states(&fourth)[2].is_none());
    drop(held);
    assert_eq!(house.check(&fourth.generation).unwrap().findings, []);
}

/// An older copy of a whole file opens as the present one would: only what its history lacks tells.
#[test]
fn an_older_copy_of_a_file_is_noticed() {
    let house = House::new(2);
    let org = house.orgs[0];
    let path = house.stores.shelf().layout().organization_store(org);
    let copy = house.folder.path().join("copy");
    house.stores.shelf().close();
    fs::copy(&path, &copy).unwrap();
    house.write(org, 7, 5);
    let taken = house.take();
    let found = || live::check(&house.stores, Some(&taken.manifest), Shapes::unknown(), &house.progress).findings;
    assert_eq!(found(), []);
    house.write(org, 8, 5);
    assert_eq!(found(), [], "it went on from there");

    house.stores.shelf().close();
    fs::copy(&copy, &path).unwrap();
    let [older] = &found()[..] else { panic!() };
    assert!(older.org == Some(org) && older.what.contains("older copy"), "{older:?}");
    // As many commits and as many events as the generation has, but others: nothing of the generation stands for them.
    house.write(org, 9, 5);
    assert!(found()[0].what.contains("older copy"));
    let standing = |entry: &Entry| (entry.lineage, entry.commits, entry.last_event);
    house.clock.advance(DAY);
    let next = house.take();
    let (before, after) = (taken.manifest.entry(Some(org)).unwrap(), next.manifest.entry(Some(org)).unwrap());
    assert_eq!(standing(before), standing(after));
    assert_eq!(after.age, 0, "written anew");
}

/// The disk that damaged a store has damaged its last segment too: the others have their generation all the same.
#[test]
fn a_store_and_its_segment_that_are_both_damaged_cost_nobody_the_snapshot() {
    let house = House::new(2);
    let first = house.take();
    let store = house.stores.shelf().layout().organization_store(house.orgs[0]);
    house.stores.shelf().close();
    fs::write(&store, vec![7; 50_000]).unwrap();
    let segment = house.segment(&first.generation, house.orgs[0]);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    house.clock.advance(2 * DAY);
    let second = house.take();
    assert_eq!(second.manifest.problems.len(), 1);
    assert!(!second.manifest.problems[0].carried);
    assert!(second.manifest.entry(Some(house.orgs[0])).is_none());
    assert!(second.manifest.entry(Some(house.orgs[1])).is_some());
    assert_eq!(house.check(&second.generation).unwrap().findings, []);
}

#[test]
fn a_damaged_store_costs_nobody_the_snapshot() {
    let house = House::new(2);
    let first = house.take();
    let store = house.stores.shelf().layout().organization_store(house.orgs[0]);
    house.stores.shelf().close();
    fs::write(&store, vec![7; 50_000]).unwrap();
    house.write(house.orgs[1], 9, 9);
    house.clock.advance(DAY);
    let second = house.take();
    assert_eq!(second.manifest.problems.len(), 1);
    assert!(second.manifest.problems[0].carried);
    assert_eq!(second.report.findings[0].org, Some(house.orgs[0]));
    assert_eq!(
        inode(&house.segment(&second.generation, house.orgs[0])),
        inode(&house.segment(&first.generation, house.orgs[0])),
        "the last good segment is carried on"
    );
    assert_eq!(house.check(&second.generation).unwrap().findings, []);
}

#[test]
fn keys_that_generations_name_are_known_and_serve() {
    let house = House::new(1);
    let first = house.take();
    let org = house.orgs[0];
    let old = house.stores.keyring().organization_key(org).unwrap();
    house.stores.keyring().rotate(&[KeyKind::Organization(org)], NOON).unwrap();
    let new = house.stores.keyring().organization_key(org).unwrap();
    house.stores.organization(org).unwrap().rewrite(&new, &mut |_| {}).unwrap();
    house.clock.advance(DAY);
    let second = house.take();
    assert_eq!(second.manifest.entry(Some(org)).unwrap().age, 0, "sealed under the new key");
    let named = house.generations.named_keys(house.stores.keyring()).unwrap().unwrap();
    assert!(named.contains(&(old.id(), 1)) && named.contains(&(new.id(), 2)));
    assert_eq!(house.check(&first.generation).unwrap().findings, []);
    house.stores.keyring().destroy_versions(&[(old.id(), 1)].into()).unwrap();
    let findings = house.check(&first.generation).unwrap().findings;
    assert!(findings[0].what.contains("destroyed"), "{findings:?}");
    house.stores.keyring().destroy_organization(org, NOON).unwrap();
    assert_eq!(house.check(&second.generation).unwrap().findings, [], "a segment of an erased organization is nothing");
}

#[test]
fn an_older_keyring_is_noticed() {
    let house = House::new(1);
    house.take();
    let older = fs::read(house.generations.keyring()).unwrap();
    let org = OrgId::fresh(NOON);
    house.stores.keyring().add_organization(org, NOON).unwrap();
    house.stores.shelf().create_organization(org).unwrap();
    house.clock.advance(DAY);
    let second = house.take();
    fs::write(house.generations.keyring(), older).unwrap();
    let mirror = house.stores.keyring().open_mirror(house.generations.folder()).unwrap();
    let findings = verify(&second.generation, &mirror, Shapes::unknown(), 1, &house.progress).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.what.contains("older")), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.org == Some(org)), "{findings:?}");
    // The next snapshot repairs it.
    house.clock.advance(DAY);
    let third = house.take();
    let mirror = house.stores.keyring().open_mirror(house.generations.folder()).unwrap();
    assert_eq!(verify(&third.generation, &mirror, Shapes::unknown(), 1, &house.progress).unwrap().findings, []);
}

/// A key that an off-site generation may need is not destroyed while nobody knows what is there.
#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_while_the_off_site_copy_was_not_seen() {
    let house = House::new(1);
    let settings = Settings {
        offsite: Some(crate::config::Offsite {
            bucket: "nowhere".to_owned(),
            prefix: String::new(),
            // Port 1 of this machine: nobody listens.
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            region: "ap-northeast-1".to_owned(),
            credentials: crate::config::OffsiteCredentials::Environment {
                id: "AKID".to_owned(),
                secret: "very-secret".to_owned().into(),
                token: None,
            },
            root_file: None,
        }),
        ..house.settings()
    };
    let House { stores, clock, orgs, generations, folder: _folder, .. } = house;
    let stores = Arc::new(stores);
    let keeper = Keeper::new(Arc::clone(&stores), settings, clock, "https://workrun.example.jp");
    keeper.take(false, false).await.unwrap();
    stores.keyring().rotate(&[KeyKind::Organization(orgs[0])], NOON).unwrap();
    let new = stores.keyring().organization_key(orgs[0]).unwrap();
    stores.organization(orgs[0]).unwrap().rewrite(&new, &mut |_| {}).unwrap();
    for generation in generations.list().unwrap() {
        fs::remove_dir_all(generation.path).unwrap();
    }
    keeper.sweep_keys().await.unwrap();
    assert!(stores.keyring().key(new.id(), 1).is_some(), "a generation there may be sealed under it");
    let error = keeper.offsite().unwrap().round(&generations, stores.keyring()).await.unwrap_err().to_string();
    assert!(error.contains("s3://nowhere cannot be reached") && !error.contains("very-secret"), "{error}");
}

#[test]
fn a_generation_becomes_stores_again() {
    let house = House::new(3);
    let generation = house.take().generation;
    house.stores.keyring().destroy_organization(house.orgs[2], NOON).unwrap();
    let root = house.folder.path().join("again");
    let layout = Layout::new(&root);
    let mirror = house.stores.keyring().open_mirror(house.generations.folder()).unwrap();
    let manifest = Manifest::read(&generation.path, &mirror).unwrap();
    let filled = fill(&generation, &manifest, house.stores.keyring(), &layout, 2, &house.progress).unwrap();
    assert_eq!(filled.iter().map(|one| one.org).collect::<Vec<_>>(), [None, Some(house.orgs[0]), Some(house.orgs[1])]);
    let keyring =
        Arc::new(Keyring::open(&house.folder.path().join("data/keyring"), RootKey::from_bytes([9; 32])).unwrap());
    let again = shelf(&root, &keyring);
    for org in &house.orgs[..2] {
        let (before, after) = (house.stores.organization(*org).unwrap(), again.organization(*org).unwrap());
        assert_eq!(notes(&before), notes(&after));
        assert_ne!(before.standing().unwrap().0, after.standing().unwrap().0, "another lineage");
        after.check_records(Shapes::unknown(), None, &mut |_| {}).unwrap();
    }
    assert!(again.organization(house.orgs[2]).is_err(), "an erased organization does not come back");

    // A damaged segment leaves no file, and the others come all the same, one by one.
    let path = house.segment(&generation, house.orgs[0]);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 30;
    bytes[end] ^= 1;
    fs::write(&path, bytes).unwrap();
    let target = house.folder.path().join("one.store");
    let one = |org: OrgId| {
        let entry = manifest.entry(Some(org)).unwrap();
        let key = house.stores.keyring().organization_key(org).unwrap();
        fill_one(&generation, entry, house.stores.keyring(), &key, &target, 2, &house.progress)
    };
    assert!(matches!(one(house.orgs[0]), Err(BackupError::Damaged { .. })));
    assert!(!target.exists());
    assert_eq!(one(house.orgs[1]).unwrap().records, manifest.entry(Some(house.orgs[1])).unwrap().records());
}

#[test]
fn what_was_interrupted_counts_for_nothing_and_is_cleared() {
    let house = House::new(1);
    let first = house.take();
    let folder = house.generations.folder();
    for left in ["2026-11-23T120000+0900.partial", "2026-11-20T120000+0900.removing", "2026-11-24T120000+0900"] {
        fs::create_dir(folder.join(left)).unwrap();
        fs::write(folder.join(left).join("system.seg"), b"half").unwrap();
    }
    for foreign in ["mine", "2026-11-20.partial", "lost+found"] {
        fs::create_dir(folder.join(foreign)).unwrap();
        fs::write(folder.join(foreign).join("manifest"), b"somebody's").unwrap();
    }
    assert_eq!(house.names(), [first.generation.name.to_string()]);
    house.clock.advance(DAY);
    house.take();
    assert_eq!(house.names().len(), 2);
    assert!(!folder.join("2026-11-23T120000+0900.partial").join("system.seg").exists());
    assert!(!folder.join("2026-11-20T120000+0900.removing").exists());
    for foreign in ["mine", "2026-11-20.partial", "lost+found"] {
        assert!(folder.join(foreign).join("manifest").exists(), "{foreign} is somebody else's");
    }
}

#[test]
fn two_at_once_are_refused() {
    let house = House::new(1);
    let held = house.generations.hold().unwrap();
    assert!(matches!(house.try_take(&house.options()), Err(BackupError::Busy)));
    drop(held);
    house.take();
}
