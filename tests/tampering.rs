//! Somebody changes a store's file: bits that flip, blocks that are moved or replaced, files that are cut or swapped. What
//! is read is what was written there, or an error that names the place; nothing else ever.
//!
//! Every byte that means something in superblock and header copies is tried, and every 512-byte sector of every block.

#[path = "power_failure/dice.rs"]
mod dice;

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use redb::{ReadableTable, TableDefinition};
use workrun::{
    seal::{DataKey, KeyId},
    store::backend::{create_database, open_database, open_database_for_reading},
};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const CACHE: usize = 1 << 20;
const SECTOR: usize = 512;
const SUPERBLOCK: usize = 4096;
const BLOCKS: usize = 16_384;
const BLOCK: usize = 4_608;

type Rows = BTreeMap<u64, Vec<u8>>;

fn key(number: u8) -> DataKey {
    DataKey::from_bytes(KeyId([number; 16]), 1, [number; 32])
}

/// A store's file after some commits and a clean close, and what is in it; with what stood there one commit earlier.
struct File {
    bytes: Vec<u8>,
    earlier: Vec<u8>,
    rows: Rows,
}

fn file(key: &DataKey, seed: u64) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.store");
    let mut dice = dice::Dice(seed);
    let mut rows = Rows::new();
    let mut store = create_database(&path, key, CACHE).unwrap();
    let mut earlier = Vec::new();
    for commit in 0..12_u8 {
        let transaction = store.begin_write().unwrap();
        for _ in 0..40 {
            let (number, value) = (dice.below(200), vec![commit; dice.below(900) as usize]);
            transaction.open_table(TABLE).unwrap().insert(number, value.as_slice()).unwrap();
            rows.insert(number, value);
        }
        transaction.commit().unwrap();
        if commit == 10 {
            store.close().unwrap();
            earlier = fs::read(&path).unwrap();
            store = open_database(&path, key, CACHE).unwrap();
        }
    }
    store.close().unwrap();
    File { bytes: fs::read(&path).unwrap(), earlier, rows }
}

/// Everything in the store, and redb's own check of every checksum.
fn read(bytes: Vec<u8>, key: &DataKey) -> Result<Rows, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.store");
    fs::write(&path, &bytes).unwrap();
    let work = || {
        let mut store = open_database_for_reading(&path, key, CACHE).map_err(|error| error.to_string())?;
        store.check().map_err(|error| error.to_string())?;
        let transaction = store.begin_read().map_err(|error| error.to_string())?;
        let table = transaction.open_table(TABLE).map_err(|error| error.to_string())?;
        let mut rows = Rows::new();
        for row in table.iter().map_err(|error| error.to_string())? {
            let (number, value) = row.map_err(|error| error.to_string())?;
            rows.insert(number.value(), value.value().to_vec());
        }
        Ok(rows)
    };
    let result = catch_unwind(AssertUnwindSafe(work));
    assert!(fs::read(&path).unwrap() == bytes, "reading a damaged file changes nothing in it");
    result.unwrap_or_else(|_| Err("the database gave up on it".to_owned()))
}

#[derive(Debug, Default)]
struct Tally {
    noticed: usize,
    /// Nothing that is in use was hit.
    harmless: usize,
}

impl Tally {
    #[track_caller]
    fn judge(&mut self, what: &str, result: Result<Rows, String>, rows: &Rows) {
        match result {
            Err(_) => self.noticed += 1,
            Ok(found) if found == *rows => self.harmless += 1,
            Ok(_) => panic!("{what}: something else was read, and nothing noticed it"),
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_or_harms_nothing() {
    let (key, mut tally) = (key(1), Tally::default());
    let file = file(&key, 1);
    let mut places: Vec<usize> = (0..80).chain((80..4064).step_by(97)).chain(4064..SUPERBLOCK).collect();
    for place in &places {
        let mut bytes = file.bytes.clone();
        bytes[*place] ^= 1 << (place % 8);
        read(bytes, &key).expect_err("every byte of the superblock is authenticated");
    }
    places = (0..368).flat_map(|at| [4_096 + at, 8_192 + at]).collect();
    places.extend(
        (BLOCKS..file.bytes.len()).step_by(SECTOR).enumerate().map(|(number, sector)| sector + number * 37 % SECTOR),
    );
    for place in places {
        let mut bytes = file.bytes.clone();
        bytes[place] ^= 1 << (place % 8);
        tally.judge(&format!("byte {place}"), read(bytes, &key), &file.rows);
    }
    println!("{tally:?}");
    assert!(tally.noticed > 100, "{tally:?}");
}

/// Both copies at once: then there is nothing to go by.
#[test]
fn a_file_without_any_header_copy_is_refused() {
    let key = key(1);
    let file = file(&key, 2);
    let mut bytes = file.bytes;
    for place in [4_096 + 40, 8_192 + 40] {
        bytes[place] ^= 1;
    }
    let refused = read(bytes, &key).expect_err("no header");
    assert!(refused.contains("header"), "{refused}");
}

#[test]
fn blocks_open_only_where_they_were_written() {
    let (key, mut tally) = (key(1), Tally::default());
    let (file, other) = (file(&key, 3), file(&key, 4));
    let blocks = (file.bytes.len() - BLOCKS) / BLOCK;
    let place = |number: usize| BLOCKS + number * BLOCK..BLOCKS + (number + 1) * BLOCK;
    for number in 0..blocks {
        // From another place of the same file.
        let mut bytes = file.bytes.clone();
        let from = (number + 1 + number % 7) % blocks;
        bytes.copy_within(place(from), place(number).start);
        tally.judge(&format!("block {from} at {number}"), read(bytes, &key), &file.rows);
        // From another file under the same key.
        if let Some(foreign) = other.bytes.get(place(number)) {
            let mut bytes = file.bytes.clone();
            bytes[place(number)].copy_from_slice(foreign);
            tally.judge(&format!("a foreign block at {number}"), read(bytes, &key), &file.rows);
        }
        // What stood there a commit earlier authenticates; the checksums of what points at it notice.
        if let Some(older) = file.earlier.get(place(number)) {
            let mut bytes = file.bytes.clone();
            bytes[place(number)].copy_from_slice(older);
            tally.judge(&format!("an older block at {number}"), read(bytes, &key), &file.rows);
        }
        // Never written.
        let mut bytes = file.bytes.clone();
        bytes[place(number)].fill(0);
        tally.judge(&format!("zeros at {number}"), read(bytes, &key), &file.rows);
    }
    println!("{tally:?}");
    assert!(tally.noticed > blocks, "{tally:?}");
}

#[test]
fn files_that_are_cut_grown_or_swapped_are_noticed() {
    let (own, mut tally) = (key(1), Tally::default());
    let file = file(&own, 5);
    for len in (0..file.bytes.len()).step_by(BLOCK / 3) {
        tally.judge(&format!("cut to {len}"), read(file.bytes[..len].to_vec(), &own), &file.rows);
    }
    for more in [1, 511, BLOCK - 1, BLOCK, 3 * BLOCK + 17] {
        let mut bytes = file.bytes.clone();
        bytes.extend(vec![0xa5; more]);
        tally.judge(&format!("grown by {more}"), read(bytes, &own), &file.rows);
    }
    println!("{tally:?}");
    let foreign = self::file(&key(2), 5);
    let refused = read(foreign.bytes, &own).expect_err("another organization's file");
    assert!(refused.contains("needs key"), "{refused}");
}
