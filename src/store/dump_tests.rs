//! What goes out comes back, and what is no dump is refused.

use std::path::Path;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    clock::Timestamp,
    seal::{DataKey, KeyId, hex},
    store::{
        Order, Span, Table,
        history::{Actor, ChainCheck, Room, append, redact},
        table::encode,
    },
};

const NUMBERS: Table<u64, String> = Table::new("numbers");
const SECRETS: Table<u64, u64> = Table::new("secrets");

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

fn load(bytes: &[u8], path: &Path) -> Result<ChainCheck, DumpError> {
    let mut items = Items::new(bytes, Keys::Shortened);
    let mut loader = Loader::create(path, &key(), 1 << 20)?;
    let mut chain = ChainCheck::default();
    while let Some(item) = items.next()? {
        let Item::Record { table, name, key, value } = item else { continue };
        let number = || u64::from_be_bytes(key.try_into().expect("eight bytes"));
        match name {
            "events" => chain.event(number(), value)?,
            "payloads" => chain.payload(number(), value)?,
            _ => {}
        }
        loader.take(table, name, key, value)?;
    }
    loader.finish(77)?;
    Ok(chain)
}

#[test]
fn a_dump_becomes_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("a.store"), key(), 1 << 20).unwrap();
    for round in 0..20_u64 {
        store
            .write_now(|txn| {
                for n in 0..100 {
                    txn.put(&NUMBERS, &(n * 20 + round), &"x".repeat((n * round) as usize))?;
                    txn.put(&SECRETS, &n, &n)?;
                    append(txn, Timestamp(1), Actor::System, Room::Work, &n)?;
                }
                redact(txn, round * 100 + 7)
            })
            .unwrap();
    }
    let mut bytes = Vec::new();
    let mut told = 0;
    let dumped = store.dump(&BTreeSet::from(["secrets"]), &mut bytes, &mut |more| told += more).unwrap();
    assert_eq!(told, dumped.bytes);
    let passed = store.check_records(&mut |_| {}).unwrap();
    assert_eq!((passed.last_event, passed.redacted), (dumped.last_event, 20));
    assert_eq!(dumped.tables["numbers"], 2000);
    assert_eq!(dumped.tables["payloads"], 1980);
    assert!(!dumped.tables.contains_key("secrets"));
    assert_eq!((dumped.lineage, dumped.commits), store.standing().unwrap());

    let path = folder.path().join("b.store");
    let chain = load(&bytes, &path).unwrap();
    let (end, report) = chain.finish().unwrap();
    assert_eq!(end, dumped.last_event);
    assert_eq!((report.checked, report.redacted), (2000, 20));
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

    // Every cut is noticed.
    for end in (0..bytes.len()).step_by(997).chain(bytes.len() - 4..bytes.len()) {
        let mut items = Items::new(&bytes[..end], Keys::Shortened);
        let read = loop {
            match items.next() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert!(read.is_err(), "cut at {end}");
    }
}

/// The vectors of docs/formats/snapshot.md, made by `tests/format_vectors.py`; a length of two bytes among them.
#[test]
fn a_dump_stays_as_documented() {
    let (mut bytes, mut progress) = (Vec::new(), |_: u64| {});
    let value = encode(&"x".repeat(200));
    let mut stream = Stream::new(&mut bytes, &mut progress);
    stream.table("t").unwrap();
    stream.record(0, b"key 1", &value).unwrap();
    stream.record(0, b"key 2", &encode(&7_u64)).unwrap();
    stream.gathered.extend_from_slice(&[0, 0]);
    put_number(2, &mut stream.gathered);
    stream.write_on().unwrap();
    assert_eq!(hex(&bytes[..15]), "000174010005ca016b6579203178c8");
    assert_eq!(hex(&bytes[13 + value.len()..][..6]), "010401013207");
    assert_eq!(hex(&Sha256::digest(&bytes)), "15ed592d2c8660282e91d548e36e6a4c1218d1a7230e69eb80d1193f2e06c164");

    let mut items = Items::new(bytes.as_slice(), Keys::Shortened);
    assert!(matches!(items.next().unwrap(), Some(Item::Table("t"))));
    for (wanted, value) in [(b"key 1", value), (b"key 2", encode(&7_u64))] {
        let Some(Item::Record { name, key, value: found, .. }) = items.next().unwrap() else { panic!("a record") };
        assert_eq!((name, key, found), ("t", wanted.as_slice(), value.as_slice()));
    }
    assert!(items.next().unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300)) {
        let mut items = Items::new(bytes.as_slice(), Keys::Shortened);
        while let Ok(Some(item)) = items.next() {
            if let Item::Record { key, value, .. } = item {
                prop_assert!(value.len() <= bytes.len() && key.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn numbers_come_back(number: u64) {
        let mut bytes = Vec::new();
        put_number(number, &mut bytes);
        prop_assert_eq!(Items::new(bytes.as_slice(), Keys::Whole).number(u64::MAX).unwrap(), number);
    }
}
