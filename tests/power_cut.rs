//! Power failures of the whole appliance. The real binary founds organizations, takes members in and lets them go, and seals
//! its stores under new keys, while
//! every call that it makes on its files is recorded: keyring, system store, organizations' stores, names and folders. The
//! record is replayed to every point, with what was not synced there, gone, or torn; each state must open, finish what was
//! begun, and then say the same in every file: all that was answered, and nothing half.
//!
//! `tests/power_failure.rs` does the same for the blocks of one store, more finely. `WORKRUN_TEST_LONG=1` tries many more
//! states.

#[path = "power_failure/dice.rs"]
mod dice;
mod harness;
#[path = "power_cut/machine.rs"]
mod machine;
#[path = "power_cut/trace.rs"]
mod trace;

#[path = "fixtures/versions.rs"]
mod versions;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{Appliance, Setup, gives_traces, ids_after, is_long};
use machine::{Machine, replay};
use trace::Op;
use workrun::{
    ids::OrgId,
    people::{directory, members, reconcile, sagas},
    seal::{Keyring, RootKey},
    store::{Layout, Shelf, Store, StoreError, Stores, history, key_of_file},
    text::MailAddress,
    work,
};

/// Who belongs where, as far as it was answered.
type Belonging = BTreeMap<(&'static str, OrgId), bool>;

/// What was done, and what had been answered at which point of it.
struct Record {
    ops: Vec<Op>,
    /// What holds from an operation on; what the next answer changes may hold already.
    answered: Vec<(usize, Belonging)>,
    data: PathBuf,
    root: RootKey,
}

const OWNER: &str = "owner@example.test";
const MEMBER: &str = "hana@example.test";

fn record() -> Record {
    let setup = Setup { mail: true, traced: Some(trace::CALLS), ..Setup::default() };
    let mut appliance = Appliance::with(setup);
    let log = appliance.trace();
    let mut belonging = Belonging::new();
    let mut answers = vec![(trace::length(&log), belonging.clone())];
    let mut answered = |belonging: &Belonging| answers.push((trace::length(&log), belonging.clone()));

    let mut orgs = Vec::new();
    for name in ["青空商会", "緑工業"] {
        let org = appliance.found(name, OWNER);
        belonging.insert((OWNER, org.parse().expect("an id")), true);
        answered(&belonging);
        orgs.push(org);
    }
    let mut owner = appliance.sign_in(OWNER);
    let mut hana = None;
    for org in &orgs {
        hana = Some(appliance.join(&mut owner, org, MEMBER, "花", "member"));
        belonging.insert((MEMBER, org.parse().expect("an id")), true);
        answered(&belonging);
    }
    let mut hana = hana.expect("she joined");
    let id = ids_after(&owner.page(&format!("/o/{}/members", orgs[0])), "/members/")
        .into_iter()
        .find(|id| owner.post(&format!("/o/{}/members/{id}/removal", orgs[0]), &[]).status == 303);
    assert!(id.is_some(), "somebody was removed");
    belonging.insert((MEMBER, orgs[0].parse().expect("an id")), false);
    answered(&belonging);
    hana.post(&format!("/o/{}/departure", orgs[1]), &[]).expect(303);
    belonging.insert((MEMBER, orgs[1].parse().expect("an id")), false);
    answered(&belonging);
    appliance.command(&["keys", "rotate"]);
    answered(&belonging);
    assert!(appliance.stop().success());

    let bounds: Vec<usize> = answers.iter().map(|(bound, _)| *bound).collect();
    let (ops, reached) = trace::read(&fs::read(&log).expect("the log"), &bounds);
    let answered = reached.into_iter().zip(answers).map(|(at, (_, belonging))| (at, belonging)).collect();
    let root = RootKey::from_file(&appliance.root_key()).expect("the root key");
    Record { ops, answered, data: appliance.data(), root }
}

/// What must hold at a point, and what may hold already.
fn demanded(record: &Record, at: usize) -> (Belonging, Belonging) {
    let next = record.answered.partition_point(|(bound, _)| *bound <= at);
    let now = next.checked_sub(1).map(|last| record.answered[last].1.clone()).unwrap_or_default();
    let then = record.answered.get(next).map_or_else(|| now.clone(), |(_, belonging)| belonging.clone());
    (now, then)
}

/// Opens what a power failure left, finishes what was begun, and looks at all of it.
fn examine(folder: &Path, root: &RootKey, now: &Belonging, then: &Belonging) -> Result<(), String> {
    let layout = Layout::new(folder);
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let keyring = Keyring::open(&layout.keyring(), root.clone()).map_err(|error| said("the keyring", &error))?;
    let keyring = Arc::new(keyring);
    let system = Store::open(&layout.system(), key_of_file(&keyring, &layout.system(), keyring.system_key()), 1 << 20)
        .map_err(|error| said("system", &error))?;
    let shelf = Arc::new(Shelf::new(layout, Arc::clone(&keyring), 1 << 20, 8));
    let stores = Stores::new(system, shelf, keyring).map_err(|error| said("system", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(sagas::resume(&stores)).map_err(|error| said("what was begun", &error))?;
    for org in stores.organizations() {
        let mended =
            runtime.block_on(reconcile::organization(&stores, org)).map_err(|error| said("members", &error))?;
        if mended != reconcile::Mended::default() {
            return Err(format!("the directory and organization {org} say different things: {mended:?}"));
        }
        let named = stores.organization(org).and_then(|store| store.view(members::settings));
        named.map_err(|error| said("an organization without a name", &error))?;
    }
    for ((mail, org), belongs) in now {
        if then.get(&(*mail, *org)) != Some(belongs) {
            continue;
        }
        let address: MailAddress = mail.parse().expect("an address");
        let mac = stores.mail_mac(&address);
        let listed: Result<bool, StoreError> = stores.system().view(|view| {
            let Some(user) = directory::user_by_mail(view, &mac)? else { return Ok(false) };
            Ok(directory::user(view, user)?.is_some_and(|user| user.organizations.contains(org)))
        });
        if listed.map_err(|error| said("the directory", &error))? != *belongs {
            return Err(format!("{mail} in {org}: answered {belongs}, and now it is otherwise"));
        }
    }
    stores.close();
    Ok(())
}

fn each() -> u64 {
    if is_long() { 400 } else { 16 }
}

#[test]
fn no_power_failure_tears_what_touches_two_stores() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let record = record();
    assert!(record.ops.len() > 200, "{} operations were recorded", record.ops.len());
    let start = Machine::new(&record.data);
    let states = replay(each(), &start, &record.ops, record.answered[0].0, &|point, folder| {
        let (now, then) = demanded(&record, point);
        examine(folder, &record.root, &now, &then)
    });
    println!("{} operations, {states} states, 0 failures", record.ops.len());
}

/// A data folder of schema 1 is brought up by the real binary. Whatever a power failure leaves on the way opens, and holds
/// what was there.
#[test]
fn no_power_failure_hurts_a_migration() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let setup = Setup { traced: Some(trace::CALLS), ..Setup::default() };
    let mut start = None;
    let mut appliance = Appliance::of_folder(setup, |data, root_key| {
        versions::unpack("v1", data, root_key);
        start = Some(Machine::of(data));
    });
    let start = start.expect("it was furnished");
    let org = appliance.command(&["org", "list"])["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(appliance.stop().success());
    let log = appliance.trace();
    let (ops, _) = trace::read(&fs::read(&log).expect("the log"), &[]);
    let root = RootKey::from_file(&appliance.root_key()).expect("the root key");
    let org: OrgId = org.parse().expect("an id");
    let states = replay(each(), &start, &ops, 0, &|_, folder| {
        let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        let layout = Layout::new(folder);
        let keyring = Keyring::open(&layout.keyring(), root.clone()).map_err(|error| said("the keyring", &error))?;
        let keyring = Arc::new(keyring);
        let key = key_of_file(&keyring, &layout.system(), keyring.system_key());
        let system = Store::open(&layout.system(), key, 1 << 20).map_err(|error| said("system", &error))?;
        system.view(|view| history::verify(view).map(|_| ())).map_err(|error| said("the system's history", &error))?;
        system.close();
        let shelf = Shelf::new(layout, keyring, 1 << 20, 8);
        let store = shelf.organization(org).map_err(|error| said("the organization", &error))?;
        let cards = store.view(|view| {
            history::verify(view)?;
            let boards = work::read::boards(view)?;
            boards.iter().try_fold(0, |sum, board| Ok::<_, StoreError>(sum + work::read::tally(view, board.id)?.open()))
        });
        drop(store);
        shelf.close();
        match cards.map_err(|error| said("its cards", &error))? {
            3 => Ok(()),
            other => Err(format!("{other} cards of 3")),
        }
    });
    println!("{} operations of a migration, {states} states, 0 failures", ops.len());
    assert!(states > 200, "{states} states");
}
