//! A reader that knows only the documents of the formats opens what the appliance writes: `tests/read_data_folder.py`.

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::Appliance;
use serde_json::Value;

fn read(data: &Path, flag: &str, key: &Path) -> Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/read_data_folder.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(data).arg(flag).arg(key);
    command.output().expect("python3, which the tests need")
}

fn read_generation(data: &Path, generation: &Path, flag: &str, key: &Path) -> Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/read_data_folder.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(data).arg(flag).arg(key).arg("--generation").arg(generation);
    command.output().expect("python3, which the tests need")
}

/// Snapshots are documented to the last byte, so that data outlives the product.
#[test]
fn the_documents_suffice_to_read_a_generation() {
    let appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    appliance.api(&org, "owner").board("依頼の一覧", &["新規", "完了"], &[]);
    let recovery = appliance.data().join("recovery.txt");
    appliance.command(&["keys", "recovery", "--out", recovery.to_str().expect("a path")]);
    let taken = appliance.command(&["snapshot"]);
    let generation = appliance.data().join("snapshots").join(taken["generation"].as_str().expect("a name"));
    for (flag, key) in [("--root-key", appliance.root_key()), ("--recovery-key", recovery)] {
        let seen = found(&read_generation(&appliance.data(), &generation, flag, &key));
        assert_eq!(seen["segments"], 2, "{seen}");
        assert_eq!(seen["boards"][0], "依頼の一覧", "{seen}");
    }
    let segment = generation.join(format!("{org}.seg"));
    let mut bytes = fs::read(&segment).expect("the segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).expect("written");
    let refused = read_generation(&appliance.data(), &generation, "--root-key", &appliance.root_key());
    assert!(!refused.status.success(), "a flipped bit");
}

fn found(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

#[test]
fn the_documents_suffice_to_open_keyring_and_store() {
    let mut appliance = Appliance::start();
    appliance.found("青空商会", "owner@example.test");
    let recovery = appliance.data().join("../recovery.txt");
    appliance.command(&["keys", "recovery", "--out", recovery.to_str().expect("a path")]);
    appliance.command(&["keys", "rotate"]);
    appliance.stop();

    let keys = appliance.command(&["keys", "list"])["items"].as_array().expect("keys").len() as u64;
    for (flag, key) in [("--root-key", appliance.root_key()), ("--recovery-key", recovery)] {
        let seen = found(&read(&appliance.data(), flag, &key));
        assert_eq!((seen["keys"].as_u64(), seen["key_version"].as_u64()), (Some(keys), Some(2)), "{seen}");
        assert_eq!((seen["redb"].as_str(), seen["header_copies"].as_u64()), (Some("redb"), Some(2)), "{seen}");
        assert!(seen["blocks"].as_u64().is_some_and(|blocks| blocks > 5), "{seen}");
    }

    // And not by anything else.
    let path = appliance.data().join("live/system.store");
    let mut bytes = fs::read(&path).expect("the store");
    let written =
        (0..1_000).map(|block| 16_384 + block * 4_608).find(|at| bytes[*at..*at + 24] != [0; 24]).expect("a block");
    bytes[written + 100] ^= 1;
    fs::write(&path, &bytes).expect("written");
    assert!(!read(&appliance.data(), "--root-key", &appliance.root_key()).status.success(), "a flipped bit");
    let other = appliance.data().join("../other.key");
    fs::write(&other, format!("{}\n", "01".repeat(32))).expect("a key");
    let refused = read(&appliance.data(), "--root-key", &other);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another root key"));
}

/// A process that died left a header that lists what was written with it.
#[test]
fn the_documents_suffice_to_open_a_store_that_nobody_closed() {
    let mut appliance = Appliance::start();
    for number in 0..3 {
        appliance.found(&format!("Organization {number}"), "owner@example.test");
    }
    appliance.kill();
    let seen = found(&read(&appliance.data(), "--root-key", &appliance.root_key()));
    let listed: Vec<u64> =
        seen["listed"].as_array().expect("numbers").iter().map(|block| block.as_u64().expect("a number")).collect();
    assert!(!listed.is_empty() && seen["header_copies"] == 2, "{seen}");

    // Without one of these blocks the header before it is the one, for the reader and for the appliance.
    let path = appliance.data().join("live/system.store");
    let mut bytes = fs::read(&path).expect("the store");
    let place = usize::try_from(16_384 + (listed[0] - 1) * 4_608).expect("a place");
    bytes[place + 4_130] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let seen = found(&read(&appliance.data(), "--root-key", &appliance.root_key()));
    assert_eq!(seen["header_copies"], 1, "{seen}");
    appliance.begin();
    assert!(appliance.log().contains("a store's last commit is not all there"), "{}", appliance.log());
}
