//! What goes out comes back, and what is no dump is refused.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    clock::Timestamp,
    seal::{KeyId, hex},
    store::{
        Order, Span, Table,
        history::{Actor, ChainCheck, Room, append, redact},
    },
};

const NUMBERS: Table<u64, String> = Table::new("numbers");
const SECRETS: Table<u64, u64> = Table::new("secrets");

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

fn load(bytes: &[u8], path: &Path) -> Result<ChainCheck, DumpError> {
    let mut items = Items::new(bytes);
    let mut loader = Loader::create(path, &key(), 1 << 20)?;
    let mut chain = ChainCheck::default();
    while let Some(item) = items.next()? {
        let Item::Record { name, key, value, .. } = item else { continue };
        let number = || u64::from_be_bytes(key.try_into().expect("eight bytes"));
        match name {
            "events" => chain.event(number(), value)?,
            "payloads" => chain.payload(number(), value)?,
            _ => {}
        }
        loader.take(name, key.to_vec(), value.to_vec())?;
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
        assert!(load(&bytes[..end], &folder.path().join(format!("cut-{end}"))).is_err(), "cut at {end}");
    }
}

/// The vectors of docs/formats/snapshot.md, made by `tests/format_vectors.py`; a length of two bytes among them.
#[test]
fn a_dump_stays_as_documented() {
    let (mut bytes, mut progress) = (Vec::new(), |_: u64| {});
    let value = encode(&"x".repeat(200));
    let mut stream = Stream { out: &mut bytes, gathered: Vec::new(), progress: &mut progress };
    stream.table("t").unwrap();
    stream.record(0, b"k", &value).unwrap();
    stream.gathered.extend_from_slice(&[0, 0]);
    put_number(1, &mut stream.gathered);
    stream.write_on().unwrap();
    assert_eq!(hex(&bytes[..10]), "0001740101ca016b78c8");
    assert_eq!(hex(&Sha256::digest(&bytes)), "1fa00c1b43337ce24480d128cfeabb5b5d01181daedb87d135442918eb5fc4f6");

    let mut items = Items::new(bytes.as_slice());
    assert!(matches!(items.next().unwrap(), Some(Item::Table("t"))));
    let Some(Item::Record { name, key, value: found, .. }) = items.next().unwrap() else { panic!("a record") };
    assert_eq!((name, key, found), ("t", b"k".as_slice(), value.as_slice()));
    assert!(items.next().unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300)) {
        let mut items = Items::new(bytes.as_slice());
        while let Ok(Some(item)) = items.next() {
            if let Item::Record { key, value, .. } = item {
                prop_assert!(key.len() + value.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn numbers_come_back(number: u64) {
        let mut bytes = Vec::new();
        put_number(number, &mut bytes);
        prop_assert_eq!(Items::new(bytes.as_slice()).number(u64::MAX).unwrap(), number);
    }
}
