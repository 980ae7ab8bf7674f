//! Sealed blocks that wait for the next sync.

use std::{cmp::Reverse, io, ops::Range};

use super::Disk;
use crate::seal::blocks::{BLOCK, BlockCipher, CommitList, LISTED_MAX, SEALED_BLOCK, block_offset};

/// Sealed blocks that wait for the next sync, so that neighbours go to the disk in one write: a commit's blocks come in no
/// order, and two of three have a neighbour among them. Until the sync nothing promises that they are on the disk.
#[derive(Default)]
pub(super) struct Pending {
    sealed: Vec<u8>,
    /// Numbers of the blocks, in the order in which they stand in `sealed`.
    blocks: Vec<u64>,
    /// Some that waited could not be written.
    lost: bool,
    /// Something else was done to the file since the last sync: a list of what waits would not tell all of it.
    more: bool,
}

/// Blocks that are listed at most, where a list could hold [`LISTED_MAX`]: to write more takes so long that a second sync is
/// hardly noticed, and to look for them after a crash longer than opening the file should.
const WORTH_LISTING: usize = 128;
/// Sealed bytes whose memory is kept.
const KEPT: usize = 64 * SEALED_BLOCK;

impl Pending {
    /// Seals a block and lets it wait.
    pub fn push(&mut self, cipher: &BlockCipher, index: u64, block: &[u8; BLOCK]) {
        let start = self.sealed.len();
        self.sealed.resize(start + SEALED_BLOCK, 0);
        if let Some(sealed) = self.sealed[start..].first_chunk_mut() {
            cipher.seal_block(index, block, sealed);
        }
        self.blocks.push(index);
    }

    /// Numbers of the blocks that wait, in no order.
    pub fn blocks(&self) -> &[u64] {
        &self.blocks
    }

    /// As many wait as may.
    pub fn is_full(&self) -> bool {
        self.blocks.len() >= LISTED_MAX
    }

    /// Something waited once and could not be written: what the disk holds of it is unknown.
    pub fn lost_some(&self) -> bool {
        self.lost
    }

    /// Notes that what a list of the waiting blocks says is not all that was done since the last sync.
    pub fn note_more(&mut self) {
        self.more = true;
    }

    /// Whether the waiting blocks are all that was done since the last sync, and not too many for a list.
    pub fn are_all(&self) -> bool {
        !self.more && !self.lost && (1..=WORTH_LISTING).contains(&self.blocks.len())
    }

    /// Whether nothing waits, and nothing else was done since the last sync.
    pub fn nothing_was_done(&self) -> bool {
        !self.more && !self.lost && self.blocks.is_empty()
    }

    /// The list of the waiting blocks, for the header that is written with them.
    pub fn list(&self) -> CommitList {
        CommitList::of(self.in_order().into_iter().filter_map(|at| Some((self.blocks[at], self.at(at).first_chunk()?))))
    }

    /// Those of the waiting blocks that are among `range`, each with its place there; of one that was written twice the
    /// later comes later.
    pub fn among(&self, range: &Range<u64>) -> Vec<(usize, [u8; SEALED_BLOCK])> {
        let waiting = self.blocks.iter().enumerate().filter(|(_, index)| range.contains(index));
        waiting
            .filter_map(|(at, index)| Some((usize::try_from(index - range.start).ok()?, *self.at(at).first_chunk()?)))
            .collect()
    }

    /// Writes what waits, neighbours together.
    ///
    /// # Errors
    /// What the system says; nothing waits any more, and [`Self::lost_some`].
    pub fn write(&mut self, disk: &impl Disk) -> io::Result<()> {
        let order = self.in_order();
        let result = self.write_in(&order, disk);
        self.lost |= result.is_err();
        self.more |= !order.is_empty();
        self.blocks.clear();
        self.sealed.clear();
        self.sealed.shrink_to(KEPT);
        result
    }

    /// All that was done is on the disk.
    pub fn synced(&mut self) {
        self.more = false;
    }

    fn write_in(&self, order: &[usize], disk: &impl Disk) -> io::Result<()> {
        let mut run = Vec::new();
        for neighbours in order.chunk_by(|&one, &next| self.blocks[one] + 1 == self.blocks[next]) {
            run.clear();
            for &at in neighbours {
                run.extend_from_slice(self.at(at));
            }
            disk.write_all_at(&run, block_offset(self.blocks[neighbours[0]]))?;
        }
        Ok(())
    }

    fn at(&self, at: usize) -> &[u8] {
        &self.sealed[at * SEALED_BLOCK..][..SEALED_BLOCK]
    }

    /// Where the blocks wait, in the order of their numbers. Of a block that was written twice the later one stands.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|&at| (self.blocks[at], Reverse(at)));
        order.dedup_by_key(|&mut at| self.blocks[at]);
        order
    }
}
