//! What goes out comes back, and what is no dump is refused.

use std::path::Path;

use parking_lot::Mutex;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{frame::Builder, *};
use crate::{
    clock::Timestamp,
    seal::{DataKey, KeyId, hex},
    store::{
        Order, Span, Table, events,
        history::{self, Actor, Room, append, redact},
        table::encode,
    },
};

const NUMBERS: Table<u64, String> = Table::new("numbers");
const SECRETS: Table<u64, u64> = Table::new("secrets");

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

/// Frames of a store, in the order in which they were made.
fn frames(store: &Store, threads: usize) -> (Dumped, Vec<Vec<u8>>) {
    let (frames, told) = (Mutex::new(Vec::new()), Mutex::new(0));
    let dumped = store
        .dump(&BTreeSet::from(["secrets"]), threads, &Unpacked::default, &|frame, content| {
            *told.lock() += content;
            frames.lock().push(frame.to_vec());
            Ok(())
        })
        .unwrap();
    assert_eq!(told.into_inner(), dumped.bytes);
    (dumped, frames.into_inner())
}

/// The first table of a frame.
fn table_of(frame: &[u8]) -> String {
    Frame::parse(frame.to_vec()).unwrap().parts().next().unwrap().table.to_owned()
}

fn load(frames: &[Vec<u8>], lanes: usize, path: &Path) -> Result<Passed, DumpError> {
    let mut loader = Loader::create(path, &key())?;
    let (check, mut joined) = (FrameCheck::new(SCHEMA, Shapes::unknown()), Joined::new(SCHEMA));
    loader.fill::<DumpError>(lanes, |take| {
        for frame in frames {
            let frame = Frame::parse(frame.clone())?;
            joined.take(&frame, check.look(&frame)?)?;
            drop(take(frame)?);
        }
        Ok(())
    })?;
    loader.finish(77)?;
    Ok(joined.finish()?)
}

#[test]
fn a_dump_becomes_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("a.store"), key(), 1 << 20).unwrap();
    for round in 0..20_u64 {
        store
            .write_now(|txn| {
                for n in 0..100 {
                    txn.put(&NUMBERS, &(n * 20 + round), &"x".repeat(2 * (n * round) as usize))?;
                    txn.put(&SECRETS, &n, &n)?;
                    append(txn, Timestamp(1), Actor::System, Room::Work, &n)?;
                }
                redact(txn, round * 100 + 7)
            })
            .unwrap();
    }
    let passed = store.check_records(Shapes::unknown(), None, &mut |_| {}).unwrap();
    for threads in [1, 3] {
        let (dumped, frames) = frames(&store, threads);
        assert_eq!((passed.last_event, passed.redacted), (dumped.last_event, 20));
        assert_eq!(dumped.tables["numbers"], 2000);
        assert_eq!(dumped.tables["payloads"], 1980);
        assert!(!dumped.tables.contains_key("secrets"));
        assert_eq!((dumped.lineage, dumped.commits), store.standing().unwrap());
        let of_numbers = frames.iter().filter(|frame| table_of(frame) == "numbers").count();
        assert!(of_numbers > 1, "its table has several frames");

        let path = folder.path().join(format!("{threads}.store"));
        let loaded = load(&frames, threads - 1, &path).unwrap();
        assert_eq!(
            (loaded.last_event, loaded.bytes, &loaded.tables),
            (dumped.last_event, dumped.bytes, &dumped.tables)
        );
        let again = Store::open(&path, key(), 1 << 20).unwrap();
        let all = |store: &Store| {
            store
                .view(|view| view.list(&NUMBERS, &Span::all(), Order::Ascending, usize::MAX))
                .map_err(DumpError::from)
                .unwrap()
        };
        assert_eq!(all(&again), all(&store));
        again.view(|view| history::verify(view).map(|_| ())).unwrap();
        assert_eq!(again.standing().unwrap(), (77, dumped.commits));
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("a.store"), key(), 1 << 20).unwrap();
    store
        .write_now(|txn| {
            for n in 0..3000 {
                txn.put(&NUMBERS, &n, &"x".repeat(900))?;
                append(txn, Timestamp(1), Actor::System, Room::Work, &n)?;
            }
            Ok(())
        })
        .unwrap();
    let (_, frames) = frames(&store, 1);
    let mut tries = 0;
    let mut refused = |frames: &[Vec<u8>], why: &str| {
        tries += 1;
        let path = folder.path().join(format!("{tries}.store"));
        assert!(load(frames, 1, &path).is_err(), "{why}");
    };
    let of = |name: &str| frames.iter().position(|frame| table_of(frame) == name).unwrap();

    let mut swapped = frames.clone();
    swapped.swap(of("numbers"), of("numbers") + 1);
    refused(&swapped, "frames of a table in another order");
    let mut twice = frames.clone();
    twice.insert(of("numbers"), frames[of("numbers")].clone());
    refused(&twice, "a frame twice");

    let history = Frame::parse(frames[of("events")].clone()).unwrap();
    let rebuilt = |leave_out: &str, from: u64| {
        let mut builder = Builder::default();
        for (at, part) in history.parts().enumerate() {
            builder.table(part.table);
            let mut number = 0;
            part.each::<DumpError>(|key, value| {
                number += 1;
                if part.table != leave_out || number != from {
                    builder.push(at, key, value);
                }
                Ok(())
            })
            .unwrap();
        }
        vec![builder.take().unwrap().frame]
    };
    refused(&rebuilt("events", 5), "an event left out");
    refused(&rebuilt("payloads", 5), "a payload left out");
    let mut builder = Builder::default();
    builder.table("numbers");
    builder.push(0, &7_u64.to_be_bytes(), b"\x01\x02");
    refused(&[builder.take().unwrap().frame], "two items in a value");
}

#[test]
fn records_of_another_shape_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("a.store"), key(), 1 << 20).unwrap();
    store
        .write_now(|txn| {
            txn.put(&NUMBERS, &1, &"one".to_owned())?;
            append(txn, Timestamp(1), Actor::System, Room::Work, &7_u64).map(|_| ())
        })
        .unwrap();
    let check = |shapes: &Shapes| store.check_records(shapes, None, &mut |_| {});
    assert_eq!(check(&Shapes::new([NUMBERS.shape()], [events::<u64>(Room::Work)])).unwrap().last_event.0, 1);
    assert!(
        check(&Shapes::new([NUMBERS.shape()], [events::<String>(Room::People)])).is_ok(),
        "of no room that is known"
    );
    let another: Table<u64, u64> = Table::new("numbers");
    let error = check(&Shapes::new([another.shape()], [])).unwrap_err().to_string();
    assert!(error.contains("numbers"), "{error}");
    let error = check(&Shapes::new([], [events::<String>(Room::Work)])).unwrap_err().to_string();
    assert!(error.contains("payloads"), "{error}");
    let key: Table<u32, String> = Table::new("numbers");
    assert!(check(&Shapes::new([key.shape()], [])).is_err(), "a longer key than the table has");
}

/// The vectors of docs/formats/snapshot.md, made by `tests/format_vectors.py`; a length of two bytes among them.
#[test]
fn a_frame_stays_as_documented() {
    let value = encode(&"x".repeat(200));
    let mut builder = Builder::default();
    builder.table("t");
    builder.table("u");
    builder.push(0, b"key 1", &value);
    builder.push(0, b"key 2", &encode(&7_u64));
    builder.push(1, b"", &encode(&8_u64));
    let made = builder.take().unwrap();
    assert_eq!(made.content, 10 + 202 + 1 + 1);
    assert_eq!(hex(&made.frame[..24]), "0174020706cb010005ca010401016b657920313278c87878");
    assert_eq!(hex(&made.frame[made.frame.len() - 11..]), "0701750103000100000108");
    assert_eq!(hex(&Sha256::digest(&made.frame)), "d0c613dba32455eb86e19f543dfe3b7c97e447b7a7481181b58830fbf1db32dc");

    let frame = Frame::parse(made.frame).unwrap();
    assert_eq!(frame.content().unwrap(), made.content);
    let mut found = Vec::new();
    for part in frame.parts() {
        let mut records = part.records();
        while let Some(value) = records.next().unwrap() {
            found.push((part.table, records.key().to_vec(), value));
        }
    }
    let wanted: [(&str, &[u8], &[u8]); 3] =
        [("t", b"key 1", &value), ("t", b"key 2", &encode(&7_u64)), ("u", b"", &encode(&8_u64))];
    assert_eq!(found, wanted.map(|(table, key, value)| (table, key.to_vec(), value)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300)) {
        if let Ok(frame) = Frame::parse(bytes) {
            for part in frame.parts() {
                let _ = part.each::<DumpError>(|_, _| Ok(()));
            }
            let _ = frame.content();
        }
    }

    #[test]
    fn records_come_back(
        records in prop::collection::btree_map(prop::collection::vec(0..3_u8, 0..6), prop::collection::vec(any::<u8>(), 0..40), 1..60)
    ) {
        let mut builder = Builder::default();
        builder.table("t");
        for (key, value) in &records {
            builder.push(0, key, value);
        }
        let made = builder.take().unwrap();
        let frame = Frame::parse(made.frame.clone()).unwrap();
        let mut found = BTreeMap::new();
        for part in frame.parts() {
            part.each::<DumpError>(|key, value| {
                found.insert(key.to_vec(), value.to_vec());
                Ok(())
            }).unwrap();
        }
        prop_assert_eq!(&found, &records);
        prop_assert_eq!(frame.content().unwrap(), made.content);
        for end in 0..made.frame.len() {
            let cut = Frame::parse(made.frame[..end].to_vec());
            prop_assert!(cut.is_err(), "cut at {}", end);
        }
    }
}
