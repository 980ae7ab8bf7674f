//! Where a card stands in its column.

use minicbor::{Decode, Encode};

use crate::store::Key;

/// A position between two others: a fixed-point fraction of the column, larger further down. Two neighbours that leave no
/// room are spread again by [`decide`](super::decide()).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Rank(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

/// What is left between a card and the next when one is put at an end: 2^63 more fit at either end, and 64 halvings between.
const STRIDE: u128 = 1 << 64;

impl Rank {
    fn value(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    fn of(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// A rank between two neighbours, `None` standing for the column's end; `None` if they leave no room.
    #[must_use]
    pub fn between(above: Option<Self>, below: Option<Self>) -> Option<Self> {
        match (above.map(Self::value), below.map(Self::value)) {
            (None, None) => Some(Self::of(1 << 127)),
            (Some(above), None) => above.checked_add(STRIDE).map(Self::of),
            (None, Some(below)) => below.checked_sub(STRIDE).map(Self::of),
            (Some(above), Some(below)) => {
                let room = below.checked_sub(above)?;
                (room >= 2).then(|| Self::of(above + room / 2))
            }
        }
    }

    /// `count` ranks in order below `above`, a stride apart.
    pub fn spread(above: Option<Self>, count: usize) -> impl Iterator<Item = Self> {
        let start = above.map_or(1 << 127, Self::value);
        (1..=count as u128).map(move |step| Self::of(start.saturating_add(step * STRIDE)))
    }
}

impl Key for Rank {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Key::read(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_is_between_until_no_room_is_left() {
        let top = Rank::between(None, None).expect("an empty column has room");
        let below = Rank::between(Some(top), None).expect("room below");
        let above = Rank::between(None, Some(top)).expect("room above");
        assert!(above < top && top < below);
        let mut low = below;
        for step in 0..64 {
            let Some(next) = Rank::between(Some(top), Some(low)) else { panic!("no room at step {step}") };
            assert!(top < next && next < low);
            low = next;
        }
        assert_eq!(Rank::between(Some(top), Some(low)), None);
    }
}
