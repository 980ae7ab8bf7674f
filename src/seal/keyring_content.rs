//! What a keyring holds, and its encoding inside the seal.

use std::collections::BTreeMap;

use minicbor::{Decode, Decoder, Encode, Encoder, data::Type};
use zeroize::Zeroizing;

use super::{DataKey, Fingerprint, KeyId};
use crate::{clock::Timestamp, ids::OrgId};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum KeyKind {
    /// The system store.
    #[n(0)]
    System,
    /// The system's access log.
    #[n(1)]
    SystemLog,
    /// An organization's store and files.
    #[n(2)]
    Organization(#[n(0)] OrgId),
    /// An organization's access log.
    #[n(3)]
    OrganizationLog(#[n(0)] OrgId),
}

impl KeyKind {
    /// The organization whose key it is.
    #[must_use]
    pub fn organization(self) -> Option<OrgId> {
        match self {
            Self::System | Self::SystemLog => None,
            Self::Organization(id) | Self::OrganizationLog(id) => Some(id),
        }
    }
}

/// Where a key version stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KeyState {
    /// Seals and opens.
    #[n(0)]
    Active,
    /// Only opens, for generations that name it.
    #[n(1)]
    Retained,
    /// Gone; what it sealed cannot be opened.
    #[n(2)]
    Destroyed,
}

/// A key version as it may be listed: everything but the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyInfo {
    /// The key's name, the same through its versions.
    #[n(0)]
    pub id: KeyId,
    /// From 1.
    #[n(1)]
    pub version: u32,
    /// What it is for.
    #[n(2)]
    pub kind: KeyKind,
    /// Where it stands in its life.
    #[n(3)]
    pub state: KeyState,
    /// When it was made.
    #[n(4)]
    pub created_at: Timestamp,
    /// What names its bytes.
    #[n(5)]
    pub fingerprint: Fingerprint,
}

/// An organization whose keys were destroyed; its id never gets keys again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Tombstone {
    #[n(0)]
    pub organization: OrgId,
    #[n(1)]
    pub destroyed_at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub info: KeyInfo,
    /// `None` once destroyed.
    pub key: Option<DataKey>,
}

/// Everything a keyring knows.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub sequence: u64,
    pub keys: Vec<Entry>,
    pub tombstones: Vec<Tombstone>,
    pub recipient: Option<String>,
    pub recovery_taken_at: Option<Timestamp>,
}

impl Content {
    /// Makes an organization's two keys, unless it has them or was erased.
    pub fn make_organization(&mut self, organization: OrgId, now: Timestamp) {
        if self.is_buried(organization) {
            return;
        }
        let active: Vec<KeyKind> = self
            .keys
            .iter()
            .filter(|entry| {
                entry.info.state == KeyState::Active && entry.info.kind.organization() == Some(organization)
            })
            .map(|entry| entry.info.kind)
            .collect();
        for kind in [KeyKind::Organization(organization), KeyKind::OrganizationLog(organization)] {
            if !active.contains(&kind) {
                self.make_key(kind, now);
            }
        }
    }

    /// Makes the next version of a key; the one that was active is retained.
    pub fn make_key(&mut self, kind: KeyKind, now: Timestamp) {
        let (mut id, mut version) = (KeyId(crate::ids::fresh(now)), 1);
        for entry in self.keys.iter_mut().filter(|entry| entry.info.kind == kind) {
            id = entry.info.id;
            version = version.max(entry.info.version + 1);
            if entry.info.state == KeyState::Active {
                entry.info.state = KeyState::Retained;
            }
        }
        let key = DataKey::fresh(id, version);
        let fingerprint = key.fingerprint();
        let info = KeyInfo { id, version, kind, state: KeyState::Active, created_at: now, fingerprint };
        self.keys.push(Entry { info, key: Some(key) });
    }

    /// Destroys the organization's keys and buries its id.
    pub fn bury(&mut self, organization: OrgId, now: Timestamp) {
        for entry in self.keys.iter_mut().filter(|entry| entry.info.kind.organization() == Some(organization)) {
            entry.destroy();
        }
        if !self.is_buried(organization) {
            self.tombstones.push(Tombstone { organization, destroyed_at: now });
        }
    }

    /// Buries what another copy of this keyring knows to be erased, as of then; returns what was erased by it here.
    pub fn unite_erasures(&mut self, other: &Self) -> Vec<OrgId> {
        let mut erased = Vec::new();
        for tombstone in &other.tombstones {
            if !self.is_buried(tombstone.organization) {
                self.bury(tombstone.organization, tombstone.destroyed_at);
                erased.push(tombstone.organization);
            }
        }
        erased
    }

    pub fn is_buried(&self, organization: OrgId) -> bool {
        self.tombstones.iter().any(|tombstone| tombstone.organization == organization)
    }

    /// The keys that seal.
    pub fn active(&self) -> BTreeMap<KeyKind, DataKey> {
        self.keys
            .iter()
            .filter(|entry| entry.info.state == KeyState::Active)
            .filter_map(|entry| Some((entry.info.kind, entry.key.clone()?)))
            .collect()
    }

    /// CBOR, in a buffer that is wiped on drop and large enough never to have moved.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = 1024 + self.keys.len() * 192 + self.tombstones.len() * 64;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        minicbor::encode(self, &mut *bytes).expect("memory takes any bytes");
        debug_assert!(bytes.len() <= room, "{} bytes in {room}", bytes.len());
        bytes
    }
}

impl Entry {
    pub fn destroy(&mut self) {
        self.info.state = KeyState::Destroyed;
        self.key = None;
    }
}

// The outer maps are written by hand, so that key bytes go from the wiped buffer into a wiped key and nowhere else.

impl<C> Encode<C> for Content {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(5)?.u8(0)?.u64(self.sequence)?;
        e.u8(1)?.array(self.keys.len() as u64)?;
        for entry in &self.keys {
            e.map(2)?.u8(0)?;
            entry.info.encode(e, ctx)?;
            e.u8(1)?;
            match &entry.key {
                Some(key) => e.bytes(key.bytes())?,
                None => e.null()?,
            };
        }
        e.u8(2)?;
        self.tombstones.encode(e, ctx)?;
        e.u8(3)?;
        self.recipient.encode(e, ctx)?;
        e.u8(4)?;
        self.recovery_taken_at.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Content {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let mut content = Self::default();
        for _ in 0..map_length(d)? {
            match d.u64()? {
                0 => content.sequence = d.u64()?,
                1 => {
                    let count = d.array()?.ok_or_else(|| minicbor::decode::Error::message("keys of unknown number"))?;
                    for _ in 0..count {
                        content.keys.push(Entry::decode(d, ctx)?);
                    }
                }
                2 => content.tombstones = Decode::decode(d, ctx)?,
                3 => content.recipient = Decode::decode(d, ctx)?,
                4 => content.recovery_taken_at = Decode::decode(d, ctx)?,
                _ => d.skip()?,
            }
        }
        Ok(content)
    }
}

impl<'b, C> Decode<'b, C> for Entry {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let (mut info, mut bytes) = (None::<KeyInfo>, None);
        for _ in 0..map_length(d)? {
            match d.u64()? {
                0 => info = Some(Decode::decode(d, ctx)?),
                1 if d.datatype()? == Type::Null => d.skip()?,
                1 => {
                    let key: Result<&[u8; 32], _> = d.bytes()?.try_into();
                    bytes = Some(key.map_err(|_| minicbor::decode::Error::message("a key is not of 32 bytes"))?);
                }
                _ => d.skip()?,
            }
        }
        let info = info.ok_or_else(|| minicbor::decode::Error::message("a key without a description"))?;
        let key = bytes.map(|key| DataKey::from_slice(info.id, info.version, key));
        if key.as_ref().is_some_and(|key| key.fingerprint() != info.fingerprint) {
            return Err(minicbor::decode::Error::message("a key does not have its fingerprint"));
        }
        Ok(Self { info, key })
    }
}

fn map_length(d: &mut Decoder<'_>) -> Result<u64, minicbor::decode::Error> {
    d.map()?.ok_or_else(|| minicbor::decode::Error::message("a map of unknown length"))
}
