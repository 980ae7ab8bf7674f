//! A sealed store file's bytes: where everything stands, and how each part is sealed. `docs/formats/store.md` is the
//! specification; `store::backend` moves these bytes to and from the disk and keeps the order of writing.
//!
//! ```text
//!      0   superblock    written once: names the file and its key in the clear, under a MAC
//!   4096   header copy A
//!   8192   header copy B
//!  12288   reserved, zero
//!  16384   block 1, then block 2 at 20992, …: 4608 bytes each
//! ```
//!
//! Blocks are padded to nine 512-byte sectors, so that a sector destroyed while it was being written is never shared with
//! a neighbour.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::{
    DataKey, Fingerprint, KeyId,
    aead::{Cipher, NONCE, TAG, Unsealed},
    field, product_version, shown_version,
};
use crate::ids::random_bytes;

/// Bytes of a block as the database sees it.
pub const BLOCK: usize = 4096;
/// Bytes of a block on the disk: nonce, ciphertext, tag, padding.
pub const SEALED_BLOCK: usize = 4608;
/// Bytes of the database's header, which takes block 0's place.
pub const HEADER: usize = 320;
/// Bytes of the superblock, and of the place of each header copy.
pub const PLACE: usize = 4096;
/// Offset of header copy A on the disk; copy B follows it.
pub const HEADER_COPIES: u64 = 4096;
/// Blocks that a commit list names at most.
pub const LISTED_MAX: usize = 256;
/// Length of a file that holds no block yet.
pub const EMPTY_FILE: u64 = 12_288;
/// Offset of block 1 on the disk.
pub const FIRST_BLOCK: u64 = 16_384;
/// The format that this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"WRKSTORE";
const KIND_BLOCK: u8 = 0;
const KIND_HEADER: u8 = 1;
const MAC_PURPOSE: &str = "store superblock";
const MAC_OFFSET: usize = PLACE - 32;
/// In a header copy: how many blocks its commit list names, and where the sealed list stands.
const LIST_COUNT_OFFSET: usize = 368;
const LIST_OFFSET: usize = 376;

/// Offset of block `index` (from 1) on the disk.
#[must_use]
pub fn block_offset(index: u64) -> u64 {
    FIRST_BLOCK + (index - 1) * SEALED_BLOCK as u64
}

/// Length on the disk of a file of `blocks` blocks, the header's place counted as block 0.
#[must_use]
pub fn disk_length(blocks: u64) -> u64 {
    if blocks == 0 { EMPTY_FILE } else { block_offset(blocks) }
}

/// Whole blocks in a file of this length, the header's place counted as block 0. A growth that a power failure cut off
/// may leave part of a block at the end; it is not counted.
#[must_use]
pub fn blocks_in(disk_length: u64) -> u64 {
    match disk_length.checked_sub(FIRST_BLOCK) {
        Some(rest) => 1 + rest / SEALED_BLOCK as u64,
        None => 0,
    }
}

/// Which of the two places holds a header copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderCopy {
    /// At 4096.
    A,
    /// At 8192.
    B,
}

impl HeaderCopy {
    /// Both, in the order of their offsets.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Where this copy stands on the disk.
    #[must_use]
    pub fn offset(self) -> u64 {
        match self {
            Self::A => HEADER_COPIES,
            Self::B => HEADER_COPIES + PLACE as u64,
        }
    }

    /// The other place.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBlock {
    /// Every byte is zero.
    #[error("block {0} was never written")]
    NeverWritten(u64),
    /// The bytes do not authenticate.
    #[error("block {0} does not authenticate: it is damaged, out of place or sealed with another key")]
    Unsealed(u64),
}

/// The blocks that were written together with a header and synced with it at once. A header with such a list counts only if
/// all of them are there: the list stands for the sync that would otherwise have to come before the header is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitList {
    /// Numbers of the blocks, rising; empty if what the header points at was durable before it was written.
    blocks: Vec<u64>,
    /// SHA-256 over their tags, in that order; zero if there are none.
    hash: [u8; 32],
}

impl CommitList {
    /// The list of these blocks, which come in the order of their numbers, [`LISTED_MAX`] at most.
    #[must_use]
    pub fn of<'a>(blocks: impl IntoIterator<Item = (u64, &'a [u8; SEALED_BLOCK])>) -> Self {
        let (mut numbers, mut hash) = (Vec::new(), Sha256::new());
        for (index, sealed) in blocks {
            numbers.push(index);
            hash.update(block_parts(sealed).2);
        }
        if numbers.is_empty() { Self::default() } else { Self { blocks: numbers, hash: hash.finalize().into() } }
    }

    /// Numbers of the blocks, rising.
    #[must_use]
    pub fn blocks(&self) -> &[u64] {
        &self.blocks
    }

    /// Bytes of a list of so many blocks.
    fn length(count: usize) -> usize {
        if count == 0 { 0 } else { 32 + 8 * count }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::length(self.blocks.len()));
        if !self.blocks.is_empty() {
            bytes.extend_from_slice(&self.hash);
        }
        bytes.extend(self.blocks.iter().flat_map(|index| index.to_le_bytes()));
        bytes
    }

    /// Of bytes that authenticate.
    fn from_bytes(bytes: &[u8]) -> Self {
        let Some((&hash, blocks)) = bytes.split_first_chunk() else { return Self::default() };
        Self { blocks: blocks.as_chunks().0.iter().map(|&index| u64::from_le_bytes(index)).collect(), hash }
    }
}

/// What a header copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Rises with every header written.
    pub seq: u64,
    /// The database's header.
    pub bytes: [u8; HEADER],
    /// What was written with it.
    pub list: CommitList,
}

/// Seals and opens the parts of one file.
pub struct BlockCipher {
    cipher: Cipher,
    file_id: [u8; 16],
}

impl BlockCipher {
    pub(super) fn new(cipher: Cipher, file_id: [u8; 16]) -> Self {
        Self { cipher, file_id }
    }

    /// Seals block `index` into its 4,608 bytes on the disk, under a fresh nonce.
    pub fn seal_block(&self, index: u64, block: &[u8; BLOCK], sealed: &mut [u8; SEALED_BLOCK]) {
        self.seal_block_with(index, &random_bytes(), block, sealed);
    }

    fn seal_block_with(&self, index: u64, nonce: &[u8; NONCE], block: &[u8; BLOCK], sealed: &mut [u8; SEALED_BLOCK]) {
        let (head, rest) = sealed.split_at_mut(NONCE);
        let (ciphertext, rest) = rest.split_at_mut(BLOCK);
        let (tag, padding) = rest.split_at_mut(TAG);
        head.copy_from_slice(nonce);
        ciphertext.copy_from_slice(block);
        tag.copy_from_slice(&self.cipher.seal_in_place(nonce, &self.aad(KIND_BLOCK, index), ciphertext));
        padding.fill(0);
    }

    /// Opens block `index`. Strict: what does not authenticate, or was never written, is an error.
    ///
    /// # Errors
    /// [`BadBlock`]; `block` then holds nothing of use.
    pub fn open_block(&self, index: u64, sealed: &[u8; SEALED_BLOCK], block: &mut [u8; BLOCK]) -> Result<(), BadBlock> {
        let (nonce, ciphertext, tag, padding) = block_parts(sealed);
        block.copy_from_slice(ciphertext);
        let opened = self.cipher.open_in_place(&nonce, &self.aad(KIND_BLOCK, index), block, &tag);
        match opened {
            Ok(()) if padding.iter().all(|&byte| byte == 0) => Ok(()),
            Err(Unsealed) if sealed.iter().all(|&byte| byte == 0) => Err(BadBlock::NeverWritten(index)),
            _ => Err(BadBlock::Unsealed(index)),
        }
    }

    /// Seals the database's header, and the list of what is written with it, into a header copy's place. `seq` must be
    /// above that of every copy written before.
    #[must_use]
    pub fn seal_header(&self, seq: u64, header: &[u8; HEADER], list: &CommitList) -> [u8; PLACE] {
        self.seal_header_with(seq, &random_bytes(), header, list)
    }

    fn seal_header_with(&self, seq: u64, nonce: &[u8; NONCE], header: &[u8; HEADER], list: &CommitList) -> [u8; PLACE] {
        let mut message = [&header[..], &list.to_bytes()].concat();
        let tag = self.cipher.seal_in_place(nonce, &self.aad(KIND_HEADER, seq), &mut message);
        let (header, sealed_list) = message.split_at(HEADER);
        let count = u32::try_from(list.blocks.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut place = [0; PLACE];
        let parts: [(usize, &[u8]); 6] = [
            (0, &seq.to_le_bytes()),
            (8, nonce),
            (8 + NONCE, header),
            (8 + NONCE + HEADER, &tag),
            (LIST_COUNT_OFFSET, &count),
            (LIST_OFFSET, sealed_list),
        ];
        for (at, part) in parts {
            place[at..at + part.len()].copy_from_slice(part);
        }
        place
    }

    /// Opens a header copy; the zeros behind it are not looked at.
    ///
    /// # Errors
    /// [`Unsealed`], which is also what a copy reads as that a power failure tore or that was never written.
    pub fn open_header(&self, place: &[u8; PLACE]) -> Result<Header, Unsealed> {
        let seq = u64::from_le_bytes(field(place, 0));
        let count = u32::from_le_bytes(field(place, LIST_COUNT_OFFSET)) as usize;
        if count > LISTED_MAX {
            return Err(Unsealed);
        }
        let sealed_list = &place[LIST_OFFSET..][..CommitList::length(count)];
        let mut message = [&place[8 + NONCE..][..HEADER], sealed_list].concat();
        let tag = field(place, 8 + NONCE + HEADER);
        self.cipher.open_in_place(&header_nonce(place), &self.aad(KIND_HEADER, seq), &mut message, &tag)?;
        Ok(Header { seq, bytes: field(&message, 0), list: CommitList::from_bytes(&message[HEADER..]) })
    }

    /// `file id (16) ‖ kind (1) ‖ number (8, little-endian)`.
    fn aad(&self, kind: u8, number: u64) -> [u8; 25] {
        let mut aad = [0; 25];
        aad[..16].copy_from_slice(&self.file_id);
        aad[16] = kind;
        aad[17..].copy_from_slice(&number.to_le_bytes());
        aad
    }
}

/// Bytes of a header's nonce.
pub const HEADER_NONCE: usize = NONCE;

/// The nonce in a header place, whether or not that authenticates.
#[must_use]
pub fn header_nonce(place: &[u8; PLACE]) -> [u8; HEADER_NONCE] {
    field(place, 8)
}

fn block_parts(sealed: &[u8; SEALED_BLOCK]) -> ([u8; NONCE], &[u8], [u8; TAG], &[u8]) {
    (field(sealed, 0), &sealed[NONCE..NONCE + BLOCK], field(sealed, NONCE + BLOCK), &sealed[NONCE + BLOCK + TAG..])
}

impl fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockCipher(file {})", super::hex(&self.file_id))
    }
}

/// What a store file says of itself in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Random, given at creation: blocks of one file do not open in another.
    pub file_id: [u8; 16],
    /// The key that seals the file.
    pub key_id: KeyId,
    /// The version of that key.
    pub key_version: u32,
    /// The fingerprint of that version.
    pub fingerprint: Fingerprint,
    product: [u8; 16],
}

/// Why a superblock is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSuperblock {
    /// The file does not begin as a store does.
    #[error("this is not a store file: it does not begin with the bytes WRKSTORE")]
    NotAStore,
    /// A newer version of the product wrote the file.
    #[error(
        "this store has format {found}, and this version of workrun reads formats up to {FORMAT}; nothing was changed; \
         install workrun {written_by} or newer"
    )]
    TooNew {
        /// The file's format.
        found: u32,
        /// The version of the product that wrote it.
        written_by: String,
    },
    /// Another key than the one given seals the file.
    #[error("this store needs key {needs}, the one given is {given}")]
    WrongKey {
        /// What the file names.
        needs: Fingerprint,
        /// What was given.
        given: Fingerprint,
    },
    /// The right key, but the superblock's MAC does not verify.
    #[error("the store's superblock is damaged; restore the store from a generation")]
    Damaged,
}

impl Superblock {
    /// The superblock of a new file, and its bytes.
    #[must_use]
    pub fn create(key: &DataKey) -> (Self, [u8; PLACE]) {
        let superblock = Self {
            file_id: random_bytes(),
            key_id: key.id(),
            key_version: key.version(),
            fingerprint: key.fingerprint(),
            product: product_version(),
        };
        (superblock, superblock.to_bytes(key))
    }

    /// The version of the product that made the file.
    #[must_use]
    pub fn written_by(&self) -> String {
        shown_version(&self.product)
    }

    fn to_bytes(self, key: &DataKey) -> [u8; PLACE] {
        let mut bytes = [0; PLACE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.file_id);
        bytes[32..48].copy_from_slice(&self.key_id.0);
        bytes[48..52].copy_from_slice(&self.key_version.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.fingerprint.0);
        bytes[64..80].copy_from_slice(&self.product);
        let mac = key.mac(MAC_PURPOSE, &bytes[..MAC_OFFSET]);
        bytes[MAC_OFFSET..].copy_from_slice(&mac);
        bytes
    }

    /// What the file says of itself, believed by nobody until [`Self::verify`] has seen the key.
    ///
    /// # Errors
    /// [`BadSuperblock::NotAStore`], [`BadSuperblock::TooNew`] or, for a format that never was, [`BadSuperblock::Damaged`].
    pub fn parse(bytes: &[u8; PLACE]) -> Result<Self, BadSuperblock> {
        if bytes[..8] != MAGIC {
            return Err(BadSuperblock::NotAStore);
        }
        let found = u32::from_le_bytes(field(bytes, 8));
        if found == 0 {
            return Err(BadSuperblock::Damaged);
        }
        if found > FORMAT {
            return Err(BadSuperblock::TooNew { found, written_by: shown_version(&field(bytes, 64)) });
        }
        Ok(Self {
            file_id: field(bytes, 16),
            key_id: KeyId(field(bytes, 32)),
            key_version: u32::from_le_bytes(field(bytes, 48)),
            fingerprint: Fingerprint(field(bytes, 56)),
            product: field(bytes, 64),
        })
    }

    /// Parses the superblock and checks it against the key.
    ///
    /// # Errors
    /// [`BadSuperblock`].
    pub fn verify(bytes: &[u8; PLACE], key: &DataKey) -> Result<Self, BadSuperblock> {
        let superblock = Self::parse(bytes)?;
        if superblock.fingerprint != key.fingerprint() {
            return Err(BadSuperblock::WrongKey { needs: superblock.fingerprint, given: key.fingerprint() });
        }
        let mac = key.mac(MAC_PURPOSE, &bytes[..MAC_OFFSET]);
        if !bool::from(mac.ct_eq(&bytes[MAC_OFFSET..])) {
            return Err(BadSuperblock::Damaged);
        }
        Ok(superblock)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn key() -> DataKey {
        let mut bytes = [0; 32];
        for (value, byte) in (0_u8..).zip(&mut bytes) {
            *byte = value;
        }
        DataKey::from_bytes(KeyId([0x11; 16]), 1, bytes)
    }

    fn hash(bytes: &[u8]) -> String {
        crate::seal::hex(&Sha256::digest(bytes))
    }

    /// The vectors of docs/formats/store.md, made by `tests/format_vectors.py`; a change of any byte makes every existing
    /// store unreadable.
    #[test]
    fn the_format_stays_as_documented() {
        let file_id = [0x22; 16];
        let cipher = key().block_cipher(file_id);
        let nonce = [0x33; NONCE];
        let mut sealed = [0; SEALED_BLOCK];
        cipher.seal_block_with(5, &nonce, &[0x44; BLOCK], &mut sealed);
        let header = cipher.seal_header_with(7, &nonce, &[0x55; HEADER], &CommitList::default());
        let mut third = [0; SEALED_BLOCK];
        cipher.seal_block_with(3, &nonce, &[0x66; BLOCK], &mut third);
        let list = CommitList::of([(3, &third), (5, &sealed)]);
        let listed = cipher.seal_header_with(7, &nonce, &[0x55; HEADER], &list);
        let mut product = [0; 16];
        product[..5].copy_from_slice(b"0.1.0");
        let fingerprint = key().fingerprint();
        let superblock = Superblock { file_id, key_id: key().id(), key_version: 1, fingerprint, product };
        let superblock = superblock.to_bytes(&key());
        assert_eq!(key().fingerprint().to_string(), "e52c3668d60e51e5");
        assert_eq!(crate::seal::hex(&sealed[NONCE + BLOCK..NONCE + BLOCK + TAG]), "eb62688172d62992927917e98b8aef94");
        assert_eq!(hash(&sealed), "0a77ec68ec4825576a518f5102b1c5fd349a9c3c31845f451a01fb7b5d30f3b2");
        assert_eq!(crate::seal::hex(&header[352..368]), "e2cd7e75d2c655a9354cb5b30e24cd0e");
        assert_eq!(hash(&header), "1b7d556a5b2d1a04d65f9f771e3d15ca0af8d89eb5edef66e5ffd419d9aa9c1d");
        assert_eq!(crate::seal::hex(&listed[352..368]), "1d3f06518205ae1e343c46b92f67540c");
        assert_eq!(hash(&listed), "0a88c932000927d31856012b623f3b48381f45c95e2effcb73443d3c7efb7b65");
        assert_eq!(
            crate::seal::hex(&superblock[MAC_OFFSET..]),
            "ec517f913b6ec7dc784e0ab79b422a917541370cb4ff0d4a5cdfbddb580c28c5"
        );
        assert_eq!(hash(&superblock), "1e58304cbaf2b262c762096aa212dbeab32efa5b7a7cdab8df2ee7f8e3f45fe0");
    }

    #[test]
    fn lengths_and_offsets() {
        assert_eq!((disk_length(0), disk_length(1), disk_length(2)), (12_288, 16_384, 20_992));
        for blocks in 0..50 {
            assert_eq!(blocks_in(disk_length(blocks)), blocks);
            assert_eq!(blocks_in(disk_length(blocks + 1) - 1), blocks, "part of a block is not counted");
            assert_eq!(block_offset(blocks + 1) % 512, 0, "sectors are not shared");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_flipped_bit_anywhere_in_a_block_shows(at in 0..SEALED_BLOCK, bit in 0_u8..8, index in 1_u64..1000) {
            let cipher = key().block_cipher([1; 16]);
            let (mut sealed, mut block) = ([0; SEALED_BLOCK], [0; BLOCK]);
            cipher.seal_block(index, &[9; BLOCK], &mut sealed);
            prop_assert_eq!(cipher.open_block(index, &sealed, &mut block), Ok(()));
            prop_assert_eq!(block, [9; BLOCK]);
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(cipher.open_block(index, &sealed, &mut block), Err(BadBlock::Unsealed(index)));
        }

        #[test]
        fn a_flipped_bit_anywhere_in_a_header_copy_shows(
            blocks in btree_set(1_u64.., 0..=LISTED_MAX), at in 0..PLACE, bit in 0_u8..8,
        ) {
            const SEALED: [u8; SEALED_BLOCK] = [7; SEALED_BLOCK];
            let cipher = key().block_cipher([1; 16]);
            let header = Header { seq: 3, bytes: [9; HEADER], list: CommitList::of(blocks.iter().map(|&index| (index, &SEALED))) };
            let mut place = cipher.seal_header(header.seq, &header.bytes, &header.list);
            prop_assert_eq!(cipher.open_header(&place), Ok(header));
            let end = if blocks.is_empty() { 372 } else { LIST_OFFSET + CommitList::length(blocks.len()) };
            let at = at % end;
            prop_assume!(!(372..LIST_OFFSET).contains(&at));
            place[at] ^= 1 << bit;
            prop_assert_eq!(cipher.open_header(&place), Err(Unsealed));
        }

        #[test]
        fn a_flipped_bit_anywhere_in_the_superblock_shows(at in 0..PLACE, bit in 0_u8..8) {
            let (superblock, mut bytes) = Superblock::create(&key());
            prop_assert_eq!(Superblock::verify(&bytes, &key()), Ok(superblock));
            bytes[at] ^= 1 << bit;
            prop_assert!(Superblock::verify(&bytes, &key()).is_err());
        }
    }

    #[test]
    fn a_block_opens_at_its_own_place_only() {
        let cipher = key().block_cipher([1; 16]);
        let (mut sealed, mut block) = ([0; SEALED_BLOCK], [0; BLOCK]);
        cipher.seal_block(4, &[9; BLOCK], &mut sealed);
        assert_eq!(cipher.open_block(5, &sealed, &mut block), Err(BadBlock::Unsealed(5)));
        let other_file = key().block_cipher([2; 16]);
        assert_eq!(other_file.open_block(4, &sealed, &mut block), Err(BadBlock::Unsealed(4)));
        assert_eq!(cipher.open_block(4, &[0; SEALED_BLOCK], &mut block), Err(BadBlock::NeverWritten(4)));
    }

    #[test]
    fn a_wrong_key_and_a_newer_format_are_named() {
        let (_, mut bytes) = Superblock::create(&key());
        let other = DataKey::fresh(KeyId([0x11; 16]), 1);
        let refused = Superblock::verify(&bytes, &other).unwrap_err();
        assert_eq!(refused, BadSuperblock::WrongKey { needs: key().fingerprint(), given: other.fingerprint() });
        bytes[8] = 2;
        bytes[64..69].copy_from_slice(b"3.2.1");
        let refused = Superblock::verify(&bytes, &key()).unwrap_err();
        assert_eq!(refused, BadSuperblock::TooNew { found: 2, written_by: "3.2.1".to_owned() });
        bytes[0] = 0;
        assert_eq!(Superblock::parse(&bytes), Err(BadSuperblock::NotAStore));
    }
}
