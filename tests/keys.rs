//! Keys are changed while the appliance serves: data keys by rewriting the stores, the root key in its file.

mod harness;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use harness::{Appliance, gives_traces, load, until};
use serde_json::{Value, json};
use workrun::{
    seal::{KeyState, Keyring, RootKey},
    store::{Layout, Store, key_of_file},
};

fn versions(keys: &Value, kind: &str) -> Vec<(u64, String)> {
    let items = keys["items"].as_array().expect("keys").iter();
    let of_kind = items.filter(|key| key["kind"].as_str().is_some_and(|text| text.starts_with(kind)));
    of_kind
        .map(|key| (key["version"].as_u64().expect("a version"), key["state"].as_str().expect("a state").to_owned()))
        .collect()
}

/// Bytes of everything below a folder.
fn all_bytes(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_bytes(&path));
        } else if path.is_file() {
            found.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    found
}

#[test]
fn data_keys_are_changed_under_load_and_the_old_ones_are_gone() {
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("問い合わせ", &["新着"], &[])["id"].as_str().expect("an id").to_owned();
    let hook = api.hook(&board, "secret-url");
    let path = hook["url"].as_str().expect("an address").to_owned();
    let path = path[path.find("/hooks/").expect("a path")..].to_owned();
    assert_eq!(versions(&appliance.command(&["keys", "list"]), "Organization("), [(1, "active".to_owned())]);

    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sending =
            scope.spawn(|| load::until(appliance.endpoint(), &path, 4, "rotation", &|_| stop.load(Ordering::Acquire)));
        for _ in 0..3 {
            let done = appliance.command(&["keys", "rotate"]);
            assert_eq!(done["items"].as_array().expect("items").len(), 2, "{done}");
        }
        stop.store(true, Ordering::Release);
        sending.join().expect("senders")
    });
    let titles: std::collections::BTreeSet<String> = api
        .all(&format!("boards/{board}/cards"), 100)
        .into_iter()
        .map(|card| card["title"].as_str().expect("a title").to_owned())
        .collect();
    assert!(titles.len() >= sent.acknowledged.len(), "{} of {}", titles.len(), sent.acknowledged.len());

    let keys = appliance.command(&["keys", "list"]);
    let gone = |version| (version, "destroyed".to_owned());
    assert_eq!(versions(&keys, "Organization("), [gone(1), gone(2), gone(3), (4, "active".to_owned())]);
    assert_eq!(
        versions(&keys, "System"),
        [gone(1), (1, "active".to_owned()), gone(2), gone(3), (4, "active".to_owned())]
    );
    // Its name for operators is sealed under its key, and is still readable.
    assert_eq!(appliance.command(&["org", "list"])["items"][0]["name"], "青空商会");
    appliance.restart();
    appliance.sign_in("owner@example.test").get(&format!("/o/{org}")).expect(200);
    assert_eq!(appliance.command(&["keys", "rotate", "--org", &org])["items"][0]["version"], 5);
    assert!(!appliance.output(&["keys", "rotate", "--org", "01k9x5t3c8w6m2q7r4n0b1d2e3"]).status.success());
}

#[test]
fn the_root_key_is_changed_in_its_file() {
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let before = fs::read(appliance.root_key()).expect("the root key");
    let ring = fs::read(appliance.data().join("keyring")).expect("the keyring");
    let done = appliance.command(&["keys", "rotate", "--root"]);
    let after = fs::read(appliance.root_key()).expect("the root key");
    assert_ne!(before, after);
    assert_eq!(fs::metadata(appliance.root_key()).expect("its mode").permissions().mode() & 0o777, 0o600);
    assert_eq!(
        done["root_key"],
        RootKey::from_file(&appliance.root_key()).expect("a root key").fingerprint().to_string()
    );
    assert_ne!(fs::read(appliance.data().join("keyring")).expect("the keyring"), ring);
    appliance.restart();
    appliance.sign_in("owner@example.test").get(&format!("/o/{org}")).expect(200);

    // The old key is refused, and nothing changes by trying.
    appliance.stop();
    fs::write(appliance.root_key(), &before).expect("the old key");
    let folder = all_bytes(&appliance.data());
    let refused = appliance.output(&["org", "list"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("needs root key"), "{said}");
    assert!(all_bytes(&appliance.data()) == folder, "a wrong key changed something");

    // A crash between the keyring and the key's file: the new key stands beside the old one.
    let mut waiting = appliance.root_key().into_os_string();
    waiting.push(".new");
    fs::write(&waiting, &after).expect("the new key");
    fs::set_permissions(&waiting, fs::Permissions::from_mode(0o600)).expect("its mode");
    appliance.begin();
    assert_eq!(fs::read(appliance.root_key()).expect("the root key"), after);
    assert!(!Path::new(&waiting).exists());
}

#[test]
fn a_rotation_that_was_cut_off_is_finished_at_the_next_start() {
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    appliance.stop();
    {
        // The keyring has the new versions, and no store was rewritten yet.
        let root = RootKey::from_file(&appliance.root_key()).expect("a root key");
        let keyring = Keyring::open(&Layout::new(&appliance.data()).keyring(), root).expect("the keyring");
        let active = keyring.list().into_iter().filter(|key| key.state == KeyState::Active).map(|key| key.kind);
        for kind in active.collect::<Vec<_>>() {
            if format!("{kind:?}").contains("Log") {
                continue;
            }
            keyring.rotate(&[kind], workrun::clock::Timestamp(1_780_000_000_000)).expect("rotated");
        }
    }
    appliance.begin();
    let finished = || {
        let keys = appliance.command(&["keys", "list"]);
        (versions(&keys, "Organization(") == [(1, "destroyed".to_owned()), (2, "active".to_owned())]).then_some(())
    };
    until("the rotation to be finished", finished);
    let listed = appliance.command(&["org", "list"]).to_string();
    assert!(listed.contains("青空商会"), "its name is sealed anew, before the version that sealed it goes: {listed}");
    appliance.sign_in("owner@example.test").get(&format!("/o/{org}")).expect(200);
    appliance.stop();
    let layout = Layout::new(&appliance.data());
    let root = RootKey::from_file(&appliance.root_key()).expect("a root key");
    let keyring = Keyring::open(&layout.keyring(), root).expect("the keyring");
    let key = key_of_file(&keyring, &layout.system(), keyring.system_key());
    assert_eq!(key.version(), 2);
    Store::open(&layout.system(), key, 1 << 20).expect("it opens").close();
}

/// A disk that fails to sync: what was answered stays, what was not is refused, reading goes on, and the store is rewritten.
#[test]
fn a_store_whose_disk_fails_to_sync_heals_by_itself() {
    if !gives_traces() {
        eprintln!("not tried: this machine does not let processes be traced");
        return;
    }
    let appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("問い合わせ", &["新着"], &[])["id"].as_str().expect("an id").to_owned();
    let create = |title: &str| api.post(&format!("boards/{board}/cards"), &json!({ "title": title })).status;
    assert_eq!(create("前"), 201);
    let failing = appliance.break_syncs();
    let refused = until("a sync to fail", || Some(create("壊")).filter(|status| *status != 201));
    assert_eq!(refused, 503);
    assert!(api.all(&format!("boards/{board}/cards"), 50).iter().any(|card| card["title"] == "前"), "reading goes on");
    assert_eq!(create("まだ"), 503, "nothing is written meanwhile");
    drop(failing);
    until("the store to be rewritten", || (create("後") == 201).then_some(()));
    let titles: Vec<Value> =
        api.all(&format!("boards/{board}/cards"), 50).into_iter().map(|card| card["title"].clone()).collect();
    assert!(titles.contains(&json!("前")) && titles.contains(&json!("後")), "{titles:?}");
    assert!(!titles.contains(&json!("まだ")), "what was refused did not happen: {titles:?}");
    assert!(appliance.log().contains("was rewritten, and is written to again"), "{}", appliance.log());
}
