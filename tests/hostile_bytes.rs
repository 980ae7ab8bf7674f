//! What stands on a disk may have been written by anybody: keyrings, superblocks, header copies and records made of chance, and
//! real ones with chance in them, give an error and never more. `fuzz/` runs the same for as long as one likes.

use std::{fs, sync::OnceLock};

use proptest::prelude::*;
use workrun::{
    clock::Timestamp,
    mail::Mail,
    people::{Member, Quotas},
    seal::{DataKey, KeyId, Keyring, RootKey, blocks::Superblock, peek},
    store::{decode, encode, history},
    work::{Board, Card},
};

fn root() -> RootKey {
    RootKey::from_bytes([7; 32])
}

/// A real keyring's bytes.
fn keyring() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring");
        Keyring::create(&path, &root(), None, Timestamp(1)).expect("a keyring");
        fs::read(path).expect("its bytes")
    })
}

fn open(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring");
    fs::write(&path, bytes).expect("written");
    let _ = peek(&path);
    let opened = Keyring::open(&path, root()).is_ok();
    assert!(fs::read(&path).expect("the file") == bytes, "opening changes nothing");
    opened
}

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_keyring_of_chance_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(!open(&bytes));
        let mut named = b"WRKKEYS\n\x01\0\0\0".to_vec();
        named.extend(bytes);
        prop_assert!(!open(&named));
    }

    #[test]
    fn a_keyring_with_a_changed_byte_is_refused(at in any::<prop::sample::Index>(), by in 1..=u8::MAX) {
        let mut bytes = keyring().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(!open(&bytes), "byte {at}");
    }

    #[test]
    fn a_keyring_that_is_cut_is_refused(len in any::<prop::sample::Index>()) {
        let bytes = keyring();
        prop_assert!(!open(&bytes[..len.index(bytes.len())]));
    }

    #[test]
    fn a_superblock_of_chance_is_refused(bytes in prop::collection::vec(any::<u8>(), 4096), magic in any::<bool>()) {
        let mut place: [u8; 4096] = bytes.try_into().expect("its length");
        if magic {
            place[..12].copy_from_slice(b"WRKSTORE\x01\0\0\0");
        }
        let _ = Superblock::parse(&place);
        prop_assert!(Superblock::verify(&place, &key()).is_err());
        prop_assert!(key().block_cipher([3; 16]).open_header(&place).is_err());
    }

    #[test]
    fn records_of_chance_are_errors_or_records(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Card>("cards", &bytes);
        let _ = decode::<Board>("boards", &bytes);
        let _ = decode::<Member>("members", &bytes);
        let _ = decode::<Mail>("outbox", &bytes);
        let _ = decode::<history::Header>("events", &bytes);
        if let Ok(quotas) = decode::<Quotas>("quotas", &bytes) {
            let again = decode::<Quotas>("quotas", &encode(&quotas)).expect("what was read can be written and read");
            prop_assert_eq!(quotas, again);
        }
    }
}
