//! What is read from a disk: the first byte chooses keyring, superblock and header copy, or a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workrun::{
    seal::{DataKey, KeyId, Keyring, RootKey, blocks::Superblock, peek},
    store::{decode, history},
    work::{Board, Card},
};

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 3 {
        0 => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("keyring");
            std::fs::write(&path, bytes).expect("written");
            let _ = peek(&path);
            assert!(Keyring::open(&path, RootKey::from_bytes([7; 32])).is_err(), "nobody guesses a key");
        }
        1 => {
            let mut place = [0; 4096];
            let length = bytes.len().min(place.len());
            place[..length].copy_from_slice(&bytes[..length]);
            let key = DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32]);
            let _ = Superblock::parse(&place);
            assert!(Superblock::verify(&place, &key).is_err() && key.block_cipher([3; 16]).open_header(&place).is_err());
        }
        _ => {
            let _ = decode::<Card>("cards", bytes);
            let _ = decode::<Board>("boards", bytes);
            let _ = decode::<history::Header>("events", bytes);
        }
    }
});
