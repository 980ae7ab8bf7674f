//! Typed identifiers and secret tokens.
//!
//! An id is 16 bytes: 48 bits of milliseconds, 16 bits of sequence, 64 random bits. Ids made by one process sort in the
//! order in which they were made, even when the clock steps back, so keys in the store grow at the right-hand edge. As
//! text an id is 26 characters of Crockford's base 32 in lower case, which sorts as its bytes do.

use std::{cell::RefCell, fmt, str::FromStr};

use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Fills a place with random bytes from the operating system's generator.
///
/// # Panics
/// If the operating system has no randomness to give.
pub fn fill_random(place: &mut [u8]) {
    getrandom::fill(place).expect("the operating system's random generator answers");
}

/// Fills an array from the operating system's generator.
///
/// # Panics
/// If the operating system has no randomness to give: nothing that this product does is safe without.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if N > DRAWN / 4 {
        getrandom::fill(&mut bytes).expect("the operating system's random generator answers");
        return bytes;
    }
    DRAW.with_borrow_mut(|(drawn, left)| {
        if *left < N {
            getrandom::fill(drawn).expect("the operating system's random generator answers");
            *left = DRAWN;
        }
        let taken = &mut drawn[*left - N..*left];
        bytes.copy_from_slice(taken);
        // Handed out once, and then nowhere but where it went.
        taken.zeroize();
        *left -= N;
    });
    bytes
}

/// Bytes drawn from the operating system at once: a call for every nonce and id was a thirtieth of a delivery's cost.
const DRAWN: usize = 256;

thread_local! {
    /// Random bytes of this thread, and how many of them, from the front, were not handed out yet.
    static DRAW: RefCell<([u8; DRAWN], usize)> = const { RefCell::new(([0; DRAWN], 0)) };
}

static LAST: Mutex<(u64, u16)> = Mutex::new((0, 0));

/// 16 fresh bytes that sort after all those that this process made before.
#[must_use]
pub fn fresh(now: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(now.0).unwrap_or(0) & 0xffff_ffff_ffff;
    let mut last = LAST.lock();
    let (millis, sequence) = if millis > last.0 {
        (millis, 0)
    } else if last.1 == u16::MAX {
        (last.0 + 1, 0)
    } else {
        (last.0, last.1 + 1)
    };
    *last = (millis, sequence);
    drop(last);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8..].copy_from_slice(&random_bytes::<8>());
    bytes
}

/// Bytes as Crockford base 32 in lower case, most significant bits first, the last character padded with zero bits at
/// the *front* of the value for ids (so that 16 bytes give 26 characters).
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let bits = bytes.len() * 8;
    let chars = bits.div_ceil(5);
    let lead = chars * 5 - bits;
    let mut text = String::with_capacity(chars);
    for index in 0..chars {
        let mut value = 0_u8;
        for bit in 0..5 {
            let position = index * 5 + bit;
            value <<= 1;
            if position >= lead {
                let at = position - lead;
                value |= bytes[at / 8] >> (7 - at % 8) & 1;
            }
        }
        text.push(char::from(ALPHABET[usize::from(value)]));
    }
    text
}

/// The inverse of [`base32`] for exactly `N` bytes; `None` for a wrong length, a foreign character or overflow.
#[must_use]
pub fn from_base32<const N: usize>(text: &str) -> Option<[u8; N]> {
    let chars = (N * 8).div_ceil(5);
    let lead = chars * 5 - N * 8;
    if text.len() != chars {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (index, symbol) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|&known| known == symbol)?;
        for bit in 0..5 {
            let set = value >> (4 - bit) & 1 == 1;
            let position = index * 5 + bit;
            if position < lead {
                if set {
                    return None;
                }
            } else if set {
                let at = position - lead;
                bytes[at / 8] |= 1 << (7 - at % 8);
            }
        }
    }
    Some(bytes)
}

/// The text given is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 26 characters of 0-9 and a-z without i, l, o, u are expected")]
pub struct BadId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

        impl $name {
            /// A new id, sorting after all earlier ones of this process.
            #[must_use]
            pub fn fresh(now: Timestamp) -> Self {
                Self(fresh(now))
            }

            /// When the id was made, to the millisecond, by the clock of its maker.
            #[must_use]
            pub fn made_at(self) -> Timestamp {
                let mut millis = [0; 8];
                millis[2..].copy_from_slice(&self.0[..6]);
                Timestamp(i64::from_be_bytes(millis))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), base32(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                from_base32(text).map(Self).ok_or(BadId)
            }
        }
    )*};
}

id! {
    /// An organization: one tenant, one file, one key.
    OrgId;
    /// A person on this appliance: one mail address.
    UserId;
    /// A board of an organization.
    BoardId;
    /// A status (column) of a board.
    StatusId;
    /// A field of a board.
    FieldId;
    /// A label of a board.
    LabelId;
    /// A card.
    CardId;
    /// A comment on a card.
    CommentId;
    /// A webhook endpoint of a board.
    HookId;
    /// One delivery to a webhook endpoint.
    DeliveryId;
    /// An invitation into an organization.
    InvitationId;
    /// An API token's public half.
    TokenId;
    /// A mail in an outbox.
    MailId;
    /// A signed-in session, as listed to its owner.
    SessionId;
    /// A job that touches two stores.
    SagaId;
}

/// A secret that is shown once and stored only as its [`Secret::digest`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// `N` bytes from the operating system's generator.
    #[must_use]
    pub fn fresh() -> Self {
        Self(random_bytes())
    }

    /// A secret read back from its [`Secret::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_base32(text).map(Self)
    }

    /// The secret in base 32, to be handed to its owner.
    #[must_use]
    pub fn text(&self) -> String {
        base32(&self.0)
    }

    /// BLAKE3 of the bytes. The secret has at least 128 random bits, so a plain hash cannot be searched.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_made_even_when_the_clock_steps_back() {
        let mut last = CardId::fresh(Timestamp(1_000_000));
        for step in (0..1000_i64).rev() {
            let next = CardId::fresh(Timestamp(step * 1000));
            assert!(next > last && next.to_string() > last.to_string(), "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn text_and_back() {
        let id = OrgId::fresh(Timestamp(1_795_000_000_000));
        assert_eq!(id.to_string().parse::<OrgId>(), Ok(id));
        assert_eq!(id.to_string().len(), 26);
        assert_eq!("8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<OrgId>(), Err(BadId), "more than 128 bits");
        assert_eq!("".parse::<OrgId>(), Err(BadId));
        assert_eq!("日本".parse::<OrgId>(), Err(BadId));
        let secret = Secret::<20>::fresh();
        assert_eq!(Secret::<20>::parse(&secret.text()).map(|s| s.digest()), Some(secret.digest()));
    }
}
