//! What a generation holds: ids and figures, never names.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use minicbor::{Decode, Encode};

use super::{
    BackupError,
    error::At,
    folder::PARTIAL,
    sealed_file::{self, Kind, Reader, Sum, Writer},
};
use crate::{
    clock::Timestamp,
    ids::OrgId,
    seal::{DataKey, KeyId, Keyring},
    store::{FileState, Record, decode, encode},
};

/// The manifest's file in the generation's folder.
pub(super) const FILE: &str = "manifest";
/// More than a manifest of a hundred thousand organizations.
const LARGEST: u64 = 256 << 20;

/// A generation's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Manifest {
    /// The generation's name, as its folder's.
    #[n(0)]
    pub name: String,
    /// When it was begun, by the clock of then.
    #[n(1)]
    pub taken_at: Timestamp,
    /// How long it took, until the manifest was written.
    #[n(2)]
    pub took_ms: u64,
    /// Whether it is a day's own; else somebody asked for it.
    #[n(3)]
    pub daily: bool,
    /// The civil day it was begun on, in the appliance's zone.
    #[n(4)]
    pub day: String,
    /// The keyring that opens it has at least this sequence number.
    #[n(5)]
    pub keyring_sequence: u64,
    /// The version of the product that took it.
    #[n(6)]
    pub product: String,
    /// A segment a store, the system's first.
    #[n(7)]
    pub entries: Vec<Entry>,
    /// Stores that could not be read, and so have an older segment or none.
    #[n(8)]
    pub problems: Vec<Problem>,
}

/// A segment and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Whose store it is; none for the system's.
    #[n(0)]
    pub org: Option<OrgId>,
    /// The stream's id, drawn when the segment was written.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 32],
    /// The key that sealed it.
    #[n(2)]
    pub key_id: KeyId,
    #[n(3)]
    pub key_version: u32,
    /// The file's length and BLAKE3.
    #[n(4)]
    pub bytes: u64,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// The tables' layout.
    #[n(6)]
    pub schema: u32,
    /// Where the store stood.
    #[n(7)]
    pub lineage: u64,
    #[n(8)]
    pub commits: u64,
    /// Number and chain hash of the last event.
    #[n(9)]
    pub last_event: u64,
    #[cbor(n(10), with = "minicbor::bytes")]
    pub last_hash: [u8; 32],
    /// Records by table.
    #[n(11)]
    pub tables: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    #[n(12)]
    pub plain_bytes: u64,
    /// Generations since it was written: 0 in the one that wrote it.
    #[n(13)]
    pub age: u32,
    /// When it was last read back whole.
    #[n(14)]
    pub read_back_at: Timestamp,
    /// The state of the store's file that this is of, if nothing was committed while the segment was written or looked at:
    /// while the file is in it, the segment is the store.
    #[n(15)]
    pub file: Option<FileState>,
}

/// A store that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Problem {
    #[n(0)]
    pub org: Option<OrgId>,
    /// What the store said: places and reasons, no content.
    #[n(1)]
    pub reason: String,
    /// Whether the segment of the generation before stands in for it.
    #[n(2)]
    pub carried: bool,
}

impl Entry {
    /// The segment's file in the generation's folder.
    #[must_use]
    pub fn file(&self) -> String {
        file_of(self.org)
    }

    /// Records of all tables.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tables.values().sum()
    }

    pub(super) fn sum(&self) -> Sum {
        Sum { bytes: self.bytes, hash: self.hash }
    }
}

/// The segment's file of a store.
pub(super) fn file_of(org: Option<OrgId>) -> String {
    org.map_or_else(|| "system.seg".to_owned(), |org| format!("{org}.seg"))
}

impl Manifest {
    /// The entry of an organization, or the system's.
    #[must_use]
    pub fn entry(&self, org: Option<OrgId>) -> Option<&Entry> {
        self.entries.binary_search_by_key(&org, |entry| entry.org).ok().map(|at| &self.entries[at])
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    /// Bytes of the segments that were written for this generation.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.age == 0).map(|entry| entry.bytes).sum()
    }

    /// Writes it into a generation's folder; it is on the disk when this returns.
    pub(super) fn write(&self, folder: &Path, key: &DataKey) -> Result<Sum, BackupError> {
        let path = folder.join(FILE);
        let mut writer = Writer::create(&path, Kind::Manifest, key)?;
        zstd::stream::copy_encode(encode(self).as_slice(), &mut writer, zstd::DEFAULT_COMPRESSION_LEVEL).at(&path)?;
        writer.finish()
    }

    /// Reads a generation's manifest, which must be that of the folder it stands in.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn read(folder: &Path, keys: &Keyring) -> Result<Self, BackupError> {
        read_as(folder, keys, |manifest: &Self| &manifest.name)
    }

    /// Whether a generation is a day's own, by its manifest.
    ///
    /// # Errors
    /// [`BackupError`].
    pub(super) fn is_daily(folder: &Path, keys: &Keyring) -> Result<bool, BackupError> {
        Ok(read_as(folder, keys, |head: &Head| &head.name)?.daily)
    }
}

/// What a manifest says before its entries, of which there may be many thousands.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Head {
    #[n(0)]
    name: String,
    #[n(3)]
    daily: bool,
}

/// A manifest, or a part of it, which must be that of the folder it stands in.
fn read_as<M: Record>(folder: &Path, keys: &Keyring, name_of: fn(&M) -> &str) -> Result<M, BackupError> {
    let path = folder.join(FILE);
    let damaged = |what: String| BackupError::Damaged { path: path.clone(), what };
    let reader = Reader::open(&path, Kind::Manifest, keys, false)?;
    if reader.clear.key_id != keys.system_key().id() {
        return Err(damaged("another key than the system's seals it".to_owned()));
    }
    let mut bytes = Vec::new();
    let mut decoder = zstd::Decoder::new(reader).at(&path)?;
    (&mut decoder).take(LARGEST).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
    // What the decoder has read ahead is no part of its frame.
    let ahead = decoder.finish();
    if !ahead.buffer().is_empty() {
        return Err(damaged("it is longer than its content".to_owned()));
    }
    ahead.into_inner().finish()?;
    let manifest: M = decode("manifest", &bytes).map_err(|error| damaged(error.to_string()))?;
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let named = name_of(&manifest);
    if named != name.strip_suffix(PARTIAL).unwrap_or(&name) {
        return Err(damaged(format!("it is that of {named}, not of {name}")));
    }
    Ok(manifest)
}

/// The key version that a generation's manifest needs, as it says in the clear.
///
/// # Errors
/// [`BackupError`].
pub fn key_needed(folder: &Path) -> Result<(KeyId, u32), BackupError> {
    let clear = sealed_file::peek(&folder.join(FILE), Kind::Manifest)?;
    Ok((clear.key_id, clear.key_version))
}
