//! Power failures while snapshots are taken, generations go, and a generation is restored. Every call that the real binary
//! makes on its files is recorded and replayed to every point, with what was not synced there, gone or torn.
//!
//! Each state: no generation counts that does not read back whole; none that was answered is lost but in its turn; the next
//! snapshot is taken and counts. For restores: the old data is there or the new, whole.

#[path = "power_failure/dice.rs"]
mod dice;
mod harness;
#[path = "power_cut/machine.rs"]
mod machine;
#[path = "power_cut/trace.rs"]
mod trace;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use harness::{Appliance, Setup, gives_disks, gives_traces, is_long};
use machine::{Machine, replay};
use serde_json::json;
use workrun::{
    backup::{Generations, Options, Progress, take, verify},
    clock::{Clock, Timestamp},
    ids::OrgId,
    seal::{Keyring, RootKey},
    store::{Layout, Shapes, Shelf, Store, Stores, key_of_file},
};

/// How many are kept of a kind.
const KEPT: usize = 7;

fn each() -> u64 {
    if is_long() { 60 } else { 4 }
}

fn open(folder: &Path, root: &RootKey) -> Result<Stores, String> {
    let layout = Layout::new(folder);
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let keyring = Keyring::open(&layout.keyring(), root.clone()).map_err(|error| said("the keyring", &error))?;
    let keyring = Arc::new(keyring);
    let system = Store::open(&layout.system(), key_of_file(&keyring, &layout.system(), keyring.system_key()), 1 << 20)
        .map_err(|error| said("the system's store", &error))?;
    let shelf = Arc::new(Shelf::new(layout, Arc::clone(&keyring), 1 << 20, 8));
    Stores::new(system, shelf, keyring).map_err(|error| said("the system's store", &error))
}

#[test]
fn no_power_failure_costs_a_generation() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let mut appliance = Appliance::with(Setup { traced: Some(trace::CALLS), ..Setup::default() });
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("依頼", &["新規"], &[])["id"].as_str().expect("an id").to_owned();
    let log = appliance.trace();
    let mut answers = vec![(trace::length(&log), Vec::new())];
    let mut names: Vec<String> = Vec::new();
    for round in 0..KEPT + 2 {
        if round % 2 == 0 {
            api.post(&format!("boards/{board}/cards"), &json!({ "title": format!("札 {round}") })).expect(201);
        }
        let taken = appliance.command(&["snapshot"]);
        names.push(taken["generation"].as_str().expect("a name").to_owned());
        answers.push((trace::length(&log), names.clone()));
    }
    assert!(appliance.stop().success());
    let bounds: Vec<usize> = answers.iter().map(|(bound, _)| *bound).collect();
    let (ops, reached) = trace::read(&fs::read(&log).expect("the log"), &bounds);
    let root = RootKey::from_file(&appliance.root_key()).expect("the root key");
    let zone = jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone");

    let examine = |point: usize, folder: &Path| -> Result<(), String> {
        let reached_now = reached.partition_point(|bound| *bound <= point);
        let answered = &answers[reached_now.saturating_sub(1)].1;
        let stores = open(folder, &root)?;
        let generations = Generations::new(&folder.join("snapshots"));
        let listed = generations.list().map_err(|error| error.to_string())?;
        let progress = Progress::default();
        for generation in &listed {
            let checked = verify(generation, stores.keyring(), Shapes::unknown(), 1, &progress)
                .map_err(|error| error.to_string())?;
            if !checked.findings.is_empty() {
                return Err(format!("{} counts and is not whole: {:?}", generation.name, checked.findings));
            }
        }
        let there: BTreeSet<String> = listed.iter().map(|generation| generation.name.to_string()).collect();
        // Those that were answered are there, but for the oldest, which may have gone for one that is under way.
        let owed = answered.iter().rev().take(if answered.len() < names.len() { KEPT - 1 } else { KEPT });
        for name in owed {
            if !there.contains(name) {
                return Err(format!("{name} was answered and is gone; there are {there:?}"));
            }
        }
        let options = Options {
            daily: false,
            pin: false,
            level: 1,
            threads: 1,
            shapes: Shapes::unknown(),
            zone: zone.clone(),
            leave_out: BTreeSet::new(),
        };
        let clock = Clock::fixed(Timestamp(1_900_000_000_000));
        let taken = take(&stores, &generations, &options, &clock, &progress)
            .map_err(|error| format!("the next snapshot: {error}"))?;
        if !taken.manifest.problems.is_empty() {
            return Err(format!("the next snapshot has problems: {:?}", taken.manifest.problems));
        }
        let left = fs::read_dir(generations.folder()).map_err(|error| error.to_string())?.flatten();
        let half =
            left.map(|entry| entry.file_name().to_string_lossy().into_owned()).find(|name| name.contains(".partial"));
        stores.close();
        half.map_or(Ok(()), |half| Err(format!("{half} is left behind")))
    };
    let states = replay(each(), &Machine::new(&appliance.data()), &ops, reached[0], &examine);
    println!("{} operations, {states} states, 0 failures", ops.len());
}

#[test]
fn no_power_failure_leaves_half_a_restore() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("依頼", &["新規"], &[])["id"].as_str().expect("an id").to_owned();
    let add = |title: &str| api.post(&format!("boards/{board}/cards"), &json!({ "title": title })).expect(201);
    add("一");
    appliance.command(&["snapshot"]);
    add("二");
    assert!(appliance.stop().success());
    let start = Machine::of(&appliance.data());
    let done = appliance.traced_command(&["restore", "latest", "--yes"], trace::CALLS);
    assert_eq!(done["records_expected"], done["records_restored"]);
    let (ops, _) = trace::read(&fs::read(appliance.trace()).expect("the log"), &[]);
    let root = RootKey::from_file(&appliance.root_key()).expect("the root key");
    let org: OrgId = org.parse().expect("an id");
    let (before, after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let examine = |point: usize, folder: &Path| -> Result<(), String> {
        // The real binary finishes what was begun, and reads all of it.
        let output = Command::new(env!("CARGO_BIN_EXE_workrun"))
            .env_clear()
            .env("HOME", folder)
            .env("WORKRUN_ROOT_KEY_FILE", appliance.root_key())
            .args(["verify", "store", "--json", "--data-dir"])
            .arg(folder)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let stores = open(folder, &root)?;
        let records = stores.organization(org).and_then(|store| store.records()).map_err(|error| error.to_string())?;
        stores.close();
        match records["cards"] {
            2 if point < ops.len() => before.fetch_add(1, Ordering::Relaxed),
            1 => after.fetch_add(1, Ordering::Relaxed),
            other => return Err(format!("{other} cards are there")),
        };
        let half = folder.join("restoring").exists();
        if half { Err("the scratch folder is left behind".to_owned()) } else { Ok(()) }
    };
    let states = replay(each(), &start, &ops, 1, &examine);
    let (before, after) = (before.into_inner(), after.into_inner());
    println!(
        "{} operations, {states} states ({before} with the old data, {after} with the new), 0 failures",
        ops.len()
    );
    assert!(before > 0 && after > 0);
}

/// Full disks and failing ones: each call in its turn is refused while a snapshot is taken. What was whole stays whole, what
/// is refused counts for nothing, and once the disk is well the next snapshot is taken.
#[test]
fn no_failing_call_costs_a_generation() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    appliance.api(&org, "owner").board("依頼", &["新規"], &[]);
    appliance.found("緑工業", "owner@example.test");
    appliance.command(&["snapshot"]);
    assert!(appliance.stop().success());
    let kinds = [
        // Not `write`: threads wake each other by it. A disk that is really full is the next test.
        ("ENOSPC", "pwrite64,fallocate,ftruncate,linkat,mkdir,mkdirat"),
        ("EIO", "fsync,fdatasync,rename,renameat,renameat2"),
        ("EIO", "read,pread64"),
    ];
    let (mut tried, mut refused) = (0, 0);
    for (error, calls) in kinds {
        // Counted in each thread by itself; past the last call of the busiest thread nothing is refused any more.
        let stride = if is_long() || !calls.starts_with("read") { 1 } else { 3 };
        for nth in (1..).step_by(stride) {
            let said = appliance.data().join("../injected");
            let output = appliance.failing(&["snapshot"], &format!("{calls}:error={error}:when={nth}"), &said);
            let injected = fs::read_to_string(&said).expect("the log").contains("(INJECTED)");
            assert_ne!(output.status.code(), Some(124), "{error} at {calls} {nth}: it hangs");
            tried += 1;
            refused += usize::from(!output.status.success());
            for what in ["all", "store"] {
                let read = appliance.output(&["verify", what]);
                let text = String::from_utf8_lossy(&read.stderr).into_owned();
                assert!(read.status.success(), "{error} at {calls} {nth}: {text}");
            }
            let listed = appliance.command(&["snapshots"]);
            let rows = listed["items"].as_array().expect("rows");
            // One whose manifest could not be read just then stays until the next snapshot.
            assert!(!rows.is_empty() && rows.len() <= KEPT + 1, "{error} at {calls} {nth}: {listed}");
            if !injected {
                break;
            }
        }
    }
    println!("{tried} failing calls, {refused} snapshots refused, no generation lost");
    assert!(refused > 20);
    appliance.command(&["snapshot"]);
}

/// A snapshot folder on a file system without hard links: what could be linked is written anew, and the keyring's copy is
/// replaced all the same.
#[test]
fn without_links_everything_is_written_anew() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let mut appliance = Appliance::start();
    appliance.found("青空商会", "owner@example.test");
    assert!(appliance.stop().success());
    let said = appliance.data().join("../injected");
    let mut written = Vec::new();
    for round in 0..3 {
        if round == 2 {
            // A change of the keyring, whose copy stands there already.
            appliance.found("緑工業", "owner@example.test");
        }
        let output = appliance.failing(&["snapshot", "--json"], "link,linkat:error=EPERM", &said);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let taken: serde_json::Value = serde_json::from_str(&text).expect("a document");
        written.push((taken["written"].as_u64(), taken["segments"].as_u64()));
    }
    assert_eq!(written, [(Some(2), Some(2)), (Some(2), Some(2)), (Some(3), Some(3))]);
    assert!(fs::read_to_string(&said).expect("the log").contains("(INJECTED)"), "nothing was to be linked");
    assert!(appliance.output(&["verify", "all"]).status.success());
    assert!(!appliance.data().join("snapshots/keyring.old").exists());
}

/// A snapshot folder that can only be read costs nothing but the day's snapshot, and says so.
#[test]
fn a_folder_that_can_only_be_read_keeps_what_it_has() {
    if !gives_disks() {
        eprintln!("not tried: this machine does not let a test mount a disk");
        return;
    }
    let mut appliance = Appliance::start();
    appliance.found("青空商会", "owner@example.test");
    let taken = appliance.command(&["snapshot"]);
    assert!(appliance.stop().success());
    let (kept, disk) = (appliance.data().join("snapshots"), appliance.data().join("../disk"));
    fs::create_dir(&disk).expect("a place for the disk");
    let script = r#"
        mount -t tmpfs -o "size=8m,mode=700" none "$1" && cp -a "$2/." "$1" && mount -o remount,ro "$1" || exit 96
        "$3" snapshot --data-dir "$4"; taken=$?
        "$3" verify all --data-dir "$4" || exit 97
        "$3" snapshots --json --data-dir "$4" || exit 98
        mount -o remount,rw "$1" && "$3" snapshot --data-dir "$4" || exit 99
        exit $taken
    "#;
    let output = appliance.in_a_shell(script, &[disk.to_str().expect("a path"), kept.to_str().expect("a path")], &disk);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Read-only") && text.contains(taken["generation"].as_str().expect("a name")), "{text}");
}

/// A snapshot folder on a disk of its own that is full, at every size from one that holds nothing more to one that does.
#[test]
fn no_full_disk_costs_a_generation() {
    if !gives_disks() {
        eprintln!("not tried: this machine does not let a test mount a disk");
        return;
    }
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    appliance.api(&org, "owner").board("依頼", &["新規"], &[]);
    let taken = appliance.command(&["snapshot"]);
    let name = taken["generation"].as_str().expect("a name").to_owned();
    // Something to write anew, beside what is linked.
    for number in 0..40 {
        appliance.found(&format!("第{number}の会"), "owner@example.test");
    }
    assert!(appliance.stop().success());
    let kept = appliance.data().join("snapshots");
    let disk = appliance.data().join("../disk");
    fs::create_dir(&disk).expect("a place for the disk");
    let (mut refused, mut fits) = (0, false);
    for kib in (32..4096).step_by(if is_long() { 4 } else { 32 }) {
        let script = r#"
            mount -t tmpfs -o "size=$1k,mode=700" none "$2" && cp -a "$3/." "$2" || exit 96
            "$4" snapshot --data-dir "$5"; taken=$?
            "$4" verify all --data-dir "$5" || exit 97
            "$4" snapshots --json --data-dir "$5"
            exit $taken
        "#;
        let output = appliance.in_a_shell(
            script,
            &[&kib.to_string(), disk.to_str().expect("a path"), kept.to_str().expect("a path")],
            &disk,
        );
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            // Not even what there is already fits.
            Some(96) => {}
            Some(1) => {
                refused += 1;
                assert!(text.contains(&name), "the generation before is there: {text}");
                assert!(text.contains("No space") || text.contains("full"), "{text}");
            }
            Some(0) => {
                fits = true;
                break;
            }
            other => panic!("{kib} KiB: {other:?}: {text}"),
        }
    }
    println!("{refused} sizes of a disk were too small, and cost nothing");
    assert!(fits && refused > 3, "{refused} refused");
}
