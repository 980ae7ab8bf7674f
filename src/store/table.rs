//! Typed tables over bytes: keys that sort as their bytes do, records that carry field tags.

use std::marker::PhantomData;

use minicbor::{Decode, Encode};

use super::StoreError;
use crate::clock::Timestamp;
use crate::ids;

/// A table's name and the types that stand in it. Declared as a constant by the room that owns the table; every one is
/// listed in `docs/data.md`.
pub struct Table<K, V> {
    pub(super) name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// Names a table. The name is on disk: it never changes its meaning.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The name on disk.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A key: bytes whose order is the order of the keys.
pub trait Key: Sized {
    /// Appends the key's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes a key off the front of `bytes`; `None` if they are not one.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// The key's bytes alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.write(&mut out);
        out
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

impl Key for () {
    fn write(&self, _: &mut Vec<u8>) {}
    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes, N)?.try_into().ok()
    }
}

impl Key for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(take(bytes, 8)?.try_into().ok()?))
    }
}

impl Key for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
    }
}

impl Key for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(take(bytes, 1)?[0])
    }
}

impl Key for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        // Flipping the sign bit makes two's complement sort as unsigned bytes.
        ((self.0 as u64) ^ (1 << 63)).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self((u64::read(bytes)? ^ (1 << 63)) as i64))
    }
}

/// Text ends with a zero byte, which it must not contain itself, so that a shorter text sorts first.
impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(!self.as_bytes().contains(&0), "text in keys has no NUL");
        out.extend_from_slice(self.as_bytes());
        out.push(0);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == 0)?;
        let text = Self::from_utf8(take(bytes, end)?.to_vec()).ok()?;
        take(bytes, 1)?;
        Some(text)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?))
    }
}

macro_rules! id_keys {
    ($($name:ident)*) => {$(
        impl Key for ids::$name {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Key::read(bytes).map(Self)
            }
        }
    )*};
}
id_keys! { OrgId UserId BoardId StatusId FieldId LabelId CardId CommentId HookId DeliveryId InvitationId TokenId MailId SessionId SagaId }

/// A value: CBOR with an integer tag for each field, so that adding a field needs no migration and a reader skips what
/// it does not know.
pub trait Record: Encode<()> + for<'b> Decode<'b, ()> {}
impl<T: Encode<()> + for<'b> Decode<'b, ()>> Record for T {}

/// A record's bytes.
#[must_use]
pub fn encode<V: Record>(record: &V) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(384);
    // Encoding into memory has no way to fail.
    let _ = minicbor::encode(record, &mut bytes);
    bytes
}

/// A record from its bytes.
///
/// # Errors
/// [`StoreError::Damaged`], naming `place`, if they are not such a record.
pub fn decode<V: Record>(place: &'static str, bytes: &[u8]) -> Result<V, StoreError> {
    minicbor::decode(bytes).map_err(|error| StoreError::Damaged { place, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_their_values(a: (u64, String), b: (u64, String)) {
            let clean = |(n, text): (u64, String)| (n, text.replace('\0', ""));
            let (a, b) = (clean(a), clean(b));
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
            prop_assert_eq!(Key::read(&mut a.to_bytes().as_slice()), Some(a));
        }

        #[test]
        fn moments_sort_across_the_epoch(a: i64, b: i64) {
            prop_assert_eq!(Timestamp(a).to_bytes().cmp(&Timestamp(b).to_bytes()), a.cmp(&b));
        }
    }
}
