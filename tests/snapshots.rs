//! Snapshots as an administrator meets them: taken, listed, read back, put back on this machine and on a bare one, by flags
//! of the same binary.

mod harness;

use std::{fs, path::Path, process::Output};

use harness::{Api, Appliance, Setup};
use serde_json::{Value, json};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn cards(api: &Api, board: &str) -> Vec<String> {
    let mut titles: Vec<String> = api
        .all(&format!("boards/{board}/cards"), 100)
        .into_iter()
        .map(|card| card["title"].as_str().expect("a title").to_owned())
        .collect();
    titles.sort();
    titles
}

/// An organization with a board of three cards.
struct Shop {
    org: String,
    board: String,
    api: Api,
}

impl Shop {
    fn open(appliance: &Appliance, name: &str, owner: &str) -> Self {
        let org = appliance.found(name, owner);
        let api = appliance.api(&org, "owner");
        let made = api.board("依頼", &["新規", "完了"], &[]);
        let board = made["id"].as_str().expect("an id").to_owned();
        let shop = Self { org, board, api };
        for title in ["一", "二", "三"] {
            shop.add(title);
        }
        shop
    }

    fn add(&self, title: &str) -> u64 {
        let made =
            self.api.post(&format!("boards/{}/cards", self.board), &json!({ "title": title })).expect(201).json();
        made["number"].as_u64().expect("a number")
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn a_generation_is_taken_listed_and_read_back() {
    let appliance = Appliance::start();
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    let taken = appliance.command(&["snapshot"]);
    assert_eq!((taken["segments"].as_u64(), taken["written"].as_u64()), (Some(2), Some(2)), "{taken}");
    let name = taken["generation"].as_str().expect("a name").to_owned();
    let again = appliance.command(&["--snapshot", "--pin"]);
    assert_eq!(again["written"], 1, "only the system's store has changed: {again}");
    assert_eq!(again["pinned"], true);
    let listed = appliance.command(&["snapshots"]);
    let rows = listed["items"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["generation"], *name);
    assert!(rows.iter().all(|row| row["good"] == true), "{listed}");
    assert_eq!(appliance.status()["last_snapshot"], again["generation"]);
    for what in ["latest", &name, "all", "store"] {
        appliance.command(&["verify", what]);
    }
    let refused = appliance.output(&["verify", "2020-01-01T120000+0900"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("there is no generation"), "{}", said(&refused));

    // Damage is named, and the exit code says so.
    let segment = appliance.data().join("snapshots").join(&name).join(format!("{}.seg", shop.org));
    let mut bytes = fs::read(&segment).expect("a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).expect("damage");
    let refused = appliance.output(&["verify", &name]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(&shop.org) && said(&refused).contains("damaged"), "{}", said(&refused));
    assert!(appliance.status()["alerts"].to_string().contains("verification"), "{}", appliance.status());
    // Nothing typed stands in the folder in the clear, and ids, no names, in file names.
    for entry in fs::read_dir(segment.parent().expect("a folder")).expect("files") {
        let bytes = fs::read(entry.expect("a file").path()).expect("bytes");
        assert!(!bytes.windows(6).any(|window| window == "青空".as_bytes()));
    }
}

#[test]
fn everything_comes_back_on_the_same_machine() {
    let mut appliance = Appliance::start();
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    appliance.operator("root@example.test");
    appliance.command(&["snapshot"]);
    shop.add("四");
    let later = appliance.found("後からの会", "later@example.test");
    let refused = appliance.output(&["restore", "latest", "--yes"]);
    assert!(!refused.status.success() && said(&refused).contains("stop it first"), "{}", said(&refused));
    appliance.stop();

    let plan = appliance.command(&["restore", "latest", "--dry-run"]);
    let rows = plan["organizations"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["organization"] == *shop.org).expect("the shop's row");
    assert_eq!((row["cards_now"].as_u64(), row["cards_then"].as_u64()), (Some(4), Some(3)), "{plan}");
    let lost = rows.iter().find(|row| row["organization"] == *later).expect("the later one's row");
    assert_eq!(lost["becomes"], "lost: it was made later");
    let refused = appliance.output(&["restore", "latest"]);
    assert!(said(&refused).contains("nobody to ask"), "{}", said(&refused));

    let done = appliance.command(&["--restore", "latest", "--yes"]);
    assert_eq!(done["records_expected"], done["records_restored"], "{done}");
    assert_eq!(done["tokens_disabled"], 1);
    let previous = done["previous"].as_str().expect("where the data before is");
    assert!(Path::new(previous).join("system.store").exists());
    appliance.begin();
    // The token of then opens nothing; a new one does.
    let mut old = shop.api;
    old.at(appliance.endpoint());
    old.get("boards").expect(401);
    let api = appliance.api(&shop.org, "owner");
    assert_eq!(cards(&api, &shop.board), ["一", "三", "二"]);
    let made = api.post(&format!("boards/{}/cards", shop.board), &json!({ "title": "五" })).expect(201).json();
    assert_eq!(made["number"], 5, "the fourth number was given out, and is not given again");
    assert_eq!(appliance.command(&["org", "list"])["items"].as_array().expect("rows").len(), 1);
    // The link at the end signs an operator in.
    let link = done["url"].as_str().expect("a link");
    let mut browser = appliance.browser();
    browser.post("/sign-in/link", &[("t", link.split_once("t=").expect("a secret").1)]).expect(303);
    browser.get("/console").expect(200);
}

#[test]
fn a_bare_machine_is_made_from_the_folder_and_the_recovery_key_alone() {
    let first = Appliance::start();
    let shop = Shop::open(&first, "青空商会", "owner@example.test");
    let recovery = first.data().join("recovery.key");
    first.command(&["keys", "recovery", "--out", recovery.to_str().expect("a path")]);
    first.command(&["snapshot"]);
    let rehearsed = first.command(&["rehearse", "--recovery-key-file", recovery.to_str().expect("a path")]);
    assert_eq!(
        (rehearsed["good"].as_bool(), rehearsed["by"].as_str()),
        (Some(true), Some("recovery key")),
        "{rehearsed}"
    );
    assert_eq!(first.command(&["rehearse"])["by"], "root key");
    assert!(!first.data().join("rehearsal").exists());

    for with_recovery_key in [true, false] {
        // A machine on which an appliance was started before anybody thought of restoring.
        let mut second = Appliance::start();
        let stranger = second.found("別の会", "other@example.test");
        second.stop();
        let from = second.data().join("from-the-old-machine");
        copy_folder(&first.data().join("snapshots"), &from);
        let generation = fs::read_dir(&from)
            .expect("files")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.is_dir())
            .expect("a generation");
        let generation = generation.to_str().expect("a path");
        let key = second.data().join("key");
        fs::copy(&recovery, &key).expect("the key");
        if !with_recovery_key {
            let refused = second.output(&["restore", generation, "--yes"]);
            assert!(
                said(&refused).contains("needs key") || said(&refused).contains("needs root key"),
                "{}",
                said(&refused)
            );
            fs::copy(first.root_key(), second.root_key()).expect("the root key");
        }
        // The folder of all generations stands for the newest in it.
        let named = if with_recovery_key { from.to_str().expect("a path") } else { generation };
        let mut arguments = vec!["restore", named, "--yes"];
        if with_recovery_key {
            arguments.extend(["--recovery-key-file", key.to_str().expect("a path")]);
        }
        let done = second.command(&arguments);
        assert_eq!(done["records_expected"], done["records_restored"], "{done}");
        second.begin();
        let api = second.api(&shop.org, "owner");
        assert_eq!(cards(&api, &shop.board), ["一", "三", "二"]);
        let listed = second.command(&["org", "list"]).to_string();
        assert!(listed.contains("青空商会") && !listed.contains(&stranger), "{listed}");
        // It goes on as any appliance does, with the old machine's generations beside its own.
        let name = Path::new(generation).file_name().expect("a name");
        copy_folder(Path::new(generation), &second.data().join("snapshots").join(name));
        second.command(&["snapshot"]);
        second.restart();
        let all = second.command(&["verify", "all"]);
        let all = all["items"].as_array().expect("a list");
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all.iter().all(|one| one["good"] == true), "{all:?}");
    }
}

#[test]
fn one_organization_comes_back_while_the_others_go_on() {
    let appliance = Appliance::with(Setup { mail: true, ..Setup::default() });
    let (one, other) = (
        Shop::open(&appliance, "青空商会", "owner@example.test"),
        Shop::open(&appliance, "山田商店", "yamada@example.test"),
    );
    let mut owner = appliance.sign_in("owner@example.test");
    appliance.join(&mut owner, &one.org, "left@example.test", "去る人", "member");
    appliance.command(&["snapshot"]);
    one.add("四");
    other.add("四");
    let members = one.api.get("members").expect(200).json();
    let leaving =
        members["items"].as_array().expect("members").iter().find(|row| row["role"] == "member").expect("one");
    let leaving = leaving["id"].as_str().expect("an id").to_owned();
    owner.post(&format!("/o/{}/members/{leaving}/removal", one.org), &[]).expect(303);

    let plan = appliance.command(&["restore", "latest", "--org", &one.org, "--dry-run"]);
    assert_eq!((plan["cards_now"].as_u64(), plan["cards_then"].as_u64()), (Some(4), Some(3)), "{plan}");
    let done = appliance.command(&["restore", "latest", "--org", &one.org, "--yes"]);
    assert_eq!((done["tokens_disabled"].as_u64(), done["members_removed"].as_u64()), (Some(1), Some(1)), "{done}");
    assert!(Path::new(done["previous"].as_str().expect("a path")).exists());
    let api = appliance.api(&one.org, "owner");
    assert_eq!(cards(&api, &one.board), ["一", "三", "二"]);
    assert_eq!(cards(&other.api, &other.board).len(), 4, "the other organization is as it was");
    let members = api.get("members").expect(200).json().to_string();
    assert!(!members.contains("left@example.test") || members.contains("left_at"), "who left stays away: {members}");
    owner.get(&format!("/o/{}", one.org)).expect(200);
    let made = api.post(&format!("boards/{}/cards", one.board), &json!({ "title": "五" })).expect(201).json();
    assert_eq!(made["number"], 5);
    assert_eq!(appliance.command(&["verify", "store"])["good"], true);
}

#[test]
fn keys_that_generations_need_outlive_a_rotation() {
    let mut appliance = Appliance::start();
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    let taken = appliance.command(&["snapshot"]);
    appliance.command(&["keys", "rotate"]);
    appliance.command(&["keys", "rotate", "--root"]);
    let states = |listed: &Value| {
        let rows = listed["items"].as_array().expect("rows").clone();
        rows.iter().filter(|row| row["state"] == "retained").count()
    };
    assert_eq!(states(&appliance.command(&["keys", "list"])), 2);
    appliance.restart();
    assert_eq!(appliance.command(&["verify", "latest"])["good"], true);
    // The mirror is under the new root key too.
    let live = fs::read(appliance.data().join("keyring")).expect("the keyring");
    assert_eq!(fs::read(appliance.data().join("snapshots/keyring")).expect("the mirror"), live);
    appliance.stop();
    appliance.command(&["restore", taken["generation"].as_str().expect("a name"), "--yes"]);
    appliance.begin();
    assert_eq!(cards(&appliance.api(&shop.org, "owner"), &shop.board).len(), 3);
    appliance.sign_in("owner@example.test").get(&format!("/o/{}", shop.org)).expect(200);
}

/// A block of the system's file that was put back in an older state authenticates; its checksum is another one.
#[test]
fn older_blocks_in_the_systems_file_are_noticed() {
    const PLACE: usize = 4096;
    const FIRST: usize = 16384;
    const SEALED: usize = 4608;
    let mut appliance = Appliance::start();
    appliance.found("青空商会", "owner@example.test");
    appliance.stop();
    let file = appliance.data().join("live/system.store");
    let before = fs::read(&file).expect("the system's file");
    appliance.begin();
    appliance.found("みどり商会", "other@example.test");
    appliance.stop();
    let after = fs::read(&file).expect("the system's file");
    assert_eq!(appliance.command(&["verify", "store"])["good"], true);
    assert_eq!(before[..PLACE], after[..PLACE], "it is the same file");

    let blocks = (FIRST..before.len().min(after.len())).step_by(SEALED);
    let older = blocks.filter(|&at| {
        before[at..at + SEALED] != after[at..at + SEALED] && before[at..at + SEALED].iter().any(|&byte| byte != 0)
    });
    let noticed = older.filter(|&at| {
        let mut mixed = after.clone();
        mixed[at..at + SEALED].copy_from_slice(&before[at..at + SEALED]);
        fs::write(&file, &mixed).expect("written");
        let output = appliance.output(&["verify", "store", "--json"]);
        String::from_utf8_lossy(&output.stdout).contains("the system's file, when it was opened")
    });
    assert!(noticed.count() > 0, "no older block was noticed");
}
