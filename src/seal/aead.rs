//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): authenticated encryption whose 24-byte nonces may be random.
//!
//! Messages go through the chacha20poly1305 crate. Blocks, of which a commit seals many, take the same cipher in two
//! steps: HChaCha20 turns the key and the nonce's first 16 bytes into a subkey; ChaCha20-Poly1305 (RFC 8439) under that
//! subkey does the rest, with four zero bytes and the nonce's last 8 as its nonce. The second step is ring's assembly,
//! which is about twice as fast; the tests compare every byte of the two ways.

use chacha20::{R20, hchacha};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a nonce.
pub(super) const NONCE: usize = 24;
/// Bytes of an authentication tag.
pub(super) const TAG: usize = 16;

/// The bytes do not authenticate: they are damaged, stand in another place, were made for another purpose, or were
/// sealed with another key. Nothing of them is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not authenticate: they are damaged, out of place or sealed with another key")]
pub struct Unsealed;

/// A cipher under one key. The key is wiped on drop; ring's copy of a nonce's subkey, which opens that one message
/// only, lives on the stack for the length of a call.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Cipher([u8; 32]);

impl Cipher {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Encrypts `buffer` where it stands and returns the tag. A nonce must never serve twice under one key.
    pub(super) fn seal_in_place(&self, nonce: &[u8; NONCE], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG] {
        let (key, nonce) = self.for_nonce(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), buffer)
            .expect("a message is shorter than ChaCha20's limit of 256 GiB");
        let mut bytes = [0; TAG];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts `buffer` where it stands; after an error its contents mean nothing.
    pub(super) fn open_in_place(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Unsealed> {
        let (key, nonce) = self.for_nonce(nonce);
        key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..)
            .map(|_| ())
            .map_err(|_| Unsealed)
    }

    /// `nonce ‖ ciphertext ‖ tag` under a fresh nonce.
    pub(super) fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce = crate::ids::random_bytes::<NONCE>();
        let sealed = XChaCha20Poly1305::new(&self.0.into())
            .encrypt(&nonce.into(), Payload { msg: plaintext, aad })
            .expect("a message is shorter than ChaCha20's limit of 256 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// The inverse of [`Self::seal`].
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(Unsealed)?;
        XChaCha20Poly1305::new(&self.0.into())
            .decrypt(&(*nonce).into(), Payload { msg: ciphertext, aad })
            .map_err(|_| Unsealed)
    }

    fn for_nonce(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let mut head = [0; 16];
        head.copy_from_slice(&nonce[..16]);
        let mut tail = [0; 12];
        tail[4..].copy_from_slice(&nonce[16..]);
        let mut subkey = hchacha::<R20>(&self.0.into(), &head.into());
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &subkey).expect("HChaCha20 gives the 32 bytes that ChaCha20 takes");
        subkey.zeroize();
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(tail))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
    use proptest::prelude::*;

    use super::*;
    use crate::{ids::random_bytes, seal::hex};

    fn by_the_crate(key: &[u8; 32], nonce: &[u8; NONCE], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = plaintext.to_vec();
        let tag = XChaCha20Poly1305::new(key.into())
            .encrypt_inout_detached(nonce.into(), aad, buffer.as_mut_slice().into())
            .expect("short enough");
        buffer.extend_from_slice(&tag);
        buffer
    }

    fn by_us(key: &[u8; 32], nonce: &[u8; NONCE], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = plaintext.to_vec();
        let tag = Cipher::new(*key).seal_in_place(nonce, aad, &mut buffer);
        buffer.extend_from_slice(&tag);
        buffer
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_drafts_example() {
        let mut key = [0; 32];
        for (value, byte) in (0x80_u8..).zip(&mut key) {
            *byte = value;
        }
        let mut nonce = [0; NONCE];
        for (value, byte) in (0x40_u8..).zip(&mut nonce) {
            *byte = value;
        }
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let sealed = by_us(&key, &nonce, &aad, plaintext);
        assert_eq!(hex(&sealed[..16]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(hex(&sealed[plaintext.len()..]), "c0875924c1c7987947deafd8780acf49");
    }

    proptest! {
        #[test]
        fn every_byte_is_the_crates(
            key: [u8; 32], nonce: [u8; NONCE], aad in prop::collection::vec(any::<u8>(), 0..80),
            plaintext in prop::collection::vec(any::<u8>(), 0..5000)
        ) {
            prop_assert_eq!(by_us(&key, &nonce, &aad, &plaintext), by_the_crate(&key, &nonce, &aad, &plaintext));
        }

        #[test]
        fn what_is_changed_does_not_open(at in 0_usize..124, bit in 0_u8..8) {
            let cipher = Cipher::new([7; 32]);
            let mut sealed = cipher.seal(b"place", &[9; 84]);
            prop_assert_eq!(cipher.open(b"place", &sealed), Ok(vec![9; 84]));
            prop_assert_eq!(cipher.open(b"other", &sealed), Err(Unsealed));
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(cipher.open(b"place", &sealed), Err(Unsealed));
            prop_assert_eq!(cipher.open(b"place", &sealed[..at]), Err(Unsealed));
        }
    }

    /// `cargo test --release -- --ignored --nocapture blocks_a_second`: 4 KiB messages by ring and by the crate.
    #[test]
    #[ignore = "a measurement"]
    fn blocks_a_second() {
        let (key, nonce) = (random_bytes(), random_bytes());
        let mut block = vec![0; 4096];
        let rounds = 50_000_u32;
        for (name, by_ring) in [("ring", true), ("crate", false), ("ring", true), ("crate", false)] {
            let (ours, theirs) = (Cipher::new(key), XChaCha20Poly1305::new(&key.into()));
            let start = Instant::now();
            for _ in 0..rounds {
                if by_ring {
                    ours.seal_in_place(&nonce, b"aad", &mut block);
                } else {
                    theirs.encrypt_inout_detached(&nonce.into(), b"aad", block.as_mut_slice().into()).expect("short");
                }
            }
            println!("{name}: {:.2} GB/s", f64::from(rounds) * 4096.0 / start.elapsed().as_secs_f64() / 1e9);
        }
    }
}
