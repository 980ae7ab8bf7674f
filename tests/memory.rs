//! Keys that were destroyed are in no page of the running process's memory, and no key is ever in its log. The memory is read
//! as a core dump would have it, which the process itself forbids to all but root.

mod harness;

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use age::x25519::Identity;
use harness::{Appliance, Setup};
use hkdf::Hkdf;
use sha2::Sha256;

/// What is looked for, with a name for messages.
struct Needle {
    name: String,
    bytes: Vec<u8>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn needle(name: &str, bytes: &[u8]) -> Needle {
    Needle { name: name.to_owned(), bytes: bytes.to_vec() }
}

/// The data keys of a keyring file, opened from its document alone (`docs/formats/keyring.md`).
fn data_keys(keyring: &Path, recovery: &str) -> Vec<[u8; 32]> {
    let bytes = fs::read(keyring).expect("the keyring");
    let length = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize;
    let identity: Identity = recovery.parse().expect("the recovery key");
    let content = age::decrypt(&identity, &bytes[160 + length..]).expect("it opens");
    let mut keys = Vec::new();
    let mut decoder = minicbor::Decoder::new(&content);
    for _ in 0..decoder.map().expect("a map").expect("of known length") {
        if decoder.u8().expect("a key") != 1 {
            decoder.skip().expect("a value");
            continue;
        }
        for _ in 0..decoder.array().expect("an array").expect("of known length") {
            for _ in 0..decoder.map().expect("a map").expect("of known length") {
                let is_key = decoder.u8().expect("a key") == 1;
                if is_key && decoder.datatype().expect("a type") == minicbor::data::Type::Bytes {
                    keys.push(decoder.bytes().expect("a data key").try_into().expect("32 bytes"));
                } else {
                    decoder.skip().expect("a value");
                }
            }
        }
    }
    keys
}

/// The key of a store's blocks (`docs/formats/store.md`).
fn block_key(store: &Path, key: &[u8; 32]) -> [u8; 32] {
    let bytes = fs::read(store).expect("the store");
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(&bytes[16..32]), key).expand(b"workrun v1 block", &mut out).expect("32 bytes");
    out
}

/// Which of the needles stand in the memory of a process; `None` if this machine does not let it be read.
fn found_in_memory(pid: u32, needles: &[Needle]) -> Option<Vec<String>> {
    const OVERLAP: usize = 256;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let (beginnings, mut found, mut read) = (Beginnings::of(needles), Vec::new(), 0_usize);
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut window = Vec::new();
        let mut at = from;
        while at < to {
            let length = usize::try_from((to - at).min(1 << 20)).ok()?;
            let mut part = vec![0; length];
            // Pages that are not there, and those of devices, are not readable.
            if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(&mut part).is_err() {
                at += length as u64;
                window.clear();
                continue;
            }
            at += length as u64;
            read += length;
            window.extend_from_slice(&part);
            beginnings.find(&window, needles, &mut found);
            let keep = window.len().saturating_sub(OVERLAP);
            window.drain(..keep);
        }
    }
    (read > 1 << 20).then_some(found)
}

/// Marks the first two bytes of every needle, so that one pass over the memory looks for all of them.
struct Beginnings(Vec<bool>);

impl Beginnings {
    fn of(needles: &[Needle]) -> Self {
        let mut marked = vec![false; 1 << 16];
        for needle in needles {
            marked[usize::from(needle.bytes[0]) << 8 | usize::from(needle.bytes[1])] = true;
        }
        Self(marked)
    }

    fn find(&self, window: &[u8], needles: &[Needle], found: &mut Vec<String>) {
        let mut before = 0;
        for (at, byte) in window.iter().enumerate() {
            let pair = (before << 8 | usize::from(*byte)) & 0xffff;
            before = usize::from(*byte);
            if at == 0 || !self.0[pair] {
                continue;
            }
            for needle in needles {
                if window[at - 1..].starts_with(&needle.bytes) && !found.contains(&needle.name) {
                    found.push(needle.name.clone());
                }
            }
        }
    }
}

#[test]
fn destroyed_keys_leave_the_memory_and_no_key_is_logged() {
    let settings = vec![("WORKRUN_LOG_LEVEL".to_owned(), "trace".to_owned())];
    let appliance = Appliance::with(Setup { settings, ..Setup::default() });
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    owner.get(&format!("/o/{org}")).expect(200);
    let file = appliance.data().join("../recovery.txt");
    appliance.command(&["keys", "recovery", "--out", file.to_str().expect("a path")]);
    let text = fs::read_to_string(&file).expect("the recovery key");
    let recovery = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("a key").to_owned();

    let (keyring, root) = (appliance.data().join("keyring"), appliance.root_key());
    let root_text = |path: &Path| fs::read_to_string(path).expect("the root key").trim().to_owned();
    let root_bytes = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
    };
    let layout = workrun::store::Layout::new(&appliance.data());
    let store = layout.organization_store(org.parse().expect("an id"));
    let old_root = root_text(&root);
    let before = data_keys(&keyring, &recovery);
    assert!(before.len() >= 4, "{} keys", before.len());
    let old_blocks: Vec<[u8; 32]> = before.iter().map(|key| block_key(&store, key)).collect();

    // The search finds what is there, or it would say nothing.
    let present: Vec<Needle> = before.iter().enumerate().map(|(at, key)| needle(&format!("key {at}"), key)).collect();
    let Some(found) = found_in_memory(appliance.pid(), &present) else {
        eprintln!("not tried: this machine does not let the memory of a process be read");
        return;
    };
    assert_eq!(found.len(), present.len(), "keys in use are in memory: {found:?}");

    appliance.command(&["keys", "rotate"]);
    appliance.command(&["keys", "rotate", "--root"]);
    appliance.command(&["snapshot"]);
    owner.get(&format!("/o/{org}")).expect(200);
    let after = data_keys(&keyring, &recovery);
    let destroyed: Vec<&[u8; 32]> = before.iter().filter(|key| !after.contains(key)).collect();
    assert_eq!(destroyed.len(), 2, "the system's and the organization's");
    let new_root = root_text(&root);
    assert_ne!(old_root, new_root);

    let mut gone = vec![
        needle("the old root key", &root_bytes(&old_root)),
        needle("the old root key as text", old_root.as_bytes()),
        needle("the present root key as text", new_root.as_bytes()),
        needle("the recovery key", recovery.as_bytes()),
    ];
    for (at, key) in destroyed.iter().enumerate() {
        gone.push(needle(&format!("destroyed key {at}"), *key));
    }
    for (at, key) in old_blocks.iter().enumerate() {
        gone.push(needle(&format!("block key {at}"), key));
    }
    let found = found_in_memory(appliance.pid(), &gone).expect("it was readable a moment ago");
    assert!(found.is_empty(), "still in memory: {found:?}");

    let log = appliance.log();
    assert!(log.len() > 1_000, "the log is there: {log}");
    for key in
        before.iter().chain(&after).map(<[u8; 32]>::as_slice).chain([&*root_bytes(&old_root), &*root_bytes(&new_root)])
    {
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        let debug = format!("{key:?}");
        for written in [hex(key), hex(key).to_uppercase(), base64, debug[1..debug.len() - 1].to_owned()] {
            assert!(!log.contains(&written), "a key is in the log");
        }
    }
    assert!(!log.contains("AGE-SECRET-KEY"), "the recovery key is in the log");
}
