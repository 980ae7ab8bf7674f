//! Sealed streams: a file of any length in chunks of 64 KiB that can be neither cut, moved nor reordered.
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: *Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance*, 2015) as age uses it: ChaCha20-Poly1305 (RFC 8439), the nonce of a chunk being its
//! number (11 bytes, big endian) and a byte that says whether it is the last. A stream's key is derived from the data key
//! and 32 random bytes, the stream's id, so that no nonce can repeat under one key. `docs/formats/snapshot.md` specifies it.

use std::io::{self, Read, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::aead::{TAG, Unsealed};

/// Bytes of a chunk but the last one, before sealing.
pub const CHUNK: usize = 64 * 1024;

/// The cipher of one stream.
pub(super) struct StreamCipher(LessSafeKey);

fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

impl StreamCipher {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are what ChaCha20 takes")))
    }

    fn seal(&self, number: u64, last: bool, aad: &[u8], chunk: &mut Vec<u8>) {
        self.0
            .seal_in_place_append_tag(nonce(number, last), Aad::from(aad), chunk)
            .expect("a chunk is shorter than ChaCha20's limit of 256 GiB");
    }

    fn open<'c>(&self, number: u64, last: bool, aad: &[u8], chunk: &'c mut [u8]) -> Result<&'c [u8], Unsealed> {
        match self.0.open_in_place(nonce(number, last), Aad::from(aad), chunk) {
            Ok(plain) => Ok(plain),
            Err(_) => Err(Unsealed),
        }
    }
}

/// Seals what is written to it. What was written is only complete after [`Self::finish`].
pub struct Sealing<W: Write> {
    out: W,
    cipher: StreamCipher,
    aad: Vec<u8>,
    number: u64,
    chunk: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    pub(super) fn new(out: W, cipher: StreamCipher, aad: &[u8]) -> Self {
        Self { out, cipher, aad: aad.to_vec(), number: 0, chunk: Vec::with_capacity(CHUNK + TAG) }
    }

    fn write_chunk(&mut self, last: bool) -> io::Result<()> {
        self.cipher.seal(self.number, last, &self.aad, &mut self.chunk);
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes the last chunk, and gives back where everything went.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits: only what follows says that it was not the last.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.write_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens a sealed stream: reads give what was written, and an error where it is not what was written. The end is only
/// reported after the last chunk has said that it is the last.
pub struct Opening<R: Read> {
    from: R,
    cipher: StreamCipher,
    aad: Vec<u8>,
    number: u64,
    /// The chunk that is being read, and how far it is.
    plain: Vec<u8>,
    at: usize,
    /// Sealed bytes of the chunk after it.
    ahead: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl<R: Read> Opening<R> {
    pub(super) fn new(from: R, cipher: StreamCipher, aad: &[u8]) -> Self {
        let aad = aad.to_vec();
        let (plain, ahead) = (Vec::new(), Vec::new());
        Self { from, cipher, aad, number: 0, plain, at: 0, ahead, begun: false, ended: false }
    }

    fn read_sealed(&mut self, mut into: Vec<u8>) -> io::Result<Vec<u8>> {
        into.clear();
        (&mut self.from).take((CHUNK + TAG) as u64).read_to_end(&mut into)?;
        Ok(into)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.ahead = self.read_sealed(Vec::with_capacity(CHUNK + TAG))?;
        }
        let mut sealed = std::mem::take(&mut self.ahead);
        let spent = std::mem::take(&mut self.plain);
        // After an error there is nothing to read, and the next try fails as this one did.
        self.at = 0;
        self.ahead = self.read_sealed(spent)?;
        let last = self.ahead.is_empty();
        let length = match self.cipher.open(self.number, last, &self.aad, &mut sealed) {
            Ok(plain) => plain.len(),
            Err(Unsealed) => {
                let text = format!("chunk {} does not authenticate: it is damaged, or cut off", self.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        };
        sealed.truncate(length);
        self.plain = sealed;
        self.at = 0;
        self.number += 1;
        self.ended = last;
        Ok(())
    }

    /// Where the sealed bytes come from.
    pub fn into_inner(self) -> R {
        self.from
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let taken = out.len().min(self.plain.len() - self.at);
        out[..taken].copy_from_slice(&self.plain[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::seal::hex;

    fn sealed(plain: &[u8], step: usize) -> Vec<u8> {
        let mut sealing = Sealing::new(Vec::new(), StreamCipher::new(&[7; 32]), b"head");
        for part in plain.chunks(step.max(1)) {
            sealing.write_all(part).unwrap();
        }
        sealing.finish().unwrap()
    }

    fn opened(sealed: &[u8], aad: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opening::new(sealed, StreamCipher::new(&[7; 32]), aad).read_to_end(&mut plain)?;
        Ok(plain)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_sealed_opens(
            length in prop_oneof![0..20_usize, CHUNK - 2..CHUNK + 2, 2 * CHUNK - 2..2 * CHUNK + 2], step in 1..100_000_usize
        ) {
            let plain: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let sealed = sealed(&plain, step);
            prop_assert_eq!(sealed.len(), length + length.div_ceil(CHUNK).max(1) * TAG);
            prop_assert!(opened(&sealed, b"head").unwrap() == plain);
            prop_assert!(opened(&sealed, b"tail").is_err());
        }

        #[test]
        fn what_was_changed_does_not(length in 0..3 * CHUNK, at: prop::sample::Index, bit in 0..8_u8) {
            let plain = vec![1; length];
            let whole = sealed(&plain, CHUNK);
            let at = at.index(whole.len());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            prop_assert!(opened(&flipped, b"head").is_err(), "a flipped bit");
            prop_assert!(opened(&whole[..at], b"head").is_err(), "cut off");
            let mut longer = whole;
            longer.push(0);
            prop_assert!(opened(&longer, b"head").is_err(), "grown");
        }
    }

    #[test]
    fn chunks_have_their_places() {
        let whole = sealed(&vec![1; 3 * CHUNK], CHUNK);
        let chunks: Vec<&[u8]> = whole.chunks(CHUNK + TAG).collect();
        assert!(opened(&[chunks[1], chunks[0], chunks[2]].concat(), b"head").is_err(), "swapped");
        assert!(opened(&[chunks[0], chunks[1]].concat(), b"head").is_err(), "cut between chunks");
        assert!(opened(&[chunks[0], chunks[2]].concat(), b"head").is_err(), "one taken out");
    }

    /// The vectors of docs/formats/snapshot.md, made by `tests/format_vectors.py`.
    #[test]
    fn two_chunks_stay_as_documented() {
        let plain: Vec<u8> = (0..CHUNK + 5).map(|at| (at % 251) as u8).collect();
        let whole = sealed(&plain, 1000);
        let (first, second) = whole.split_at(CHUNK + TAG);
        assert_eq!(hex(&first[CHUNK..]), "9b510120abbd37a55e1011ef8f0725fd");
        assert_eq!(hex(second), "bfbfc91cb73177f18a2ab2e797a8d85324aa4b07a8");
        assert_eq!(hex(&Sha256::digest(&whole)), "709fda3bf38729752042a70f9f175d2d7d778e0912e6ab1b42389c63f44ea78a");
        assert!(opened(&whole, b"head").unwrap() == plain);
    }
}
