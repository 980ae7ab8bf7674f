//! What snapshots, verifications and rehearsals found, kept for the console and the auditors.

use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::{
    clock::Timestamp,
    ids::OrgId,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn},
};

/// Reports by number, in the system's store.
const REPORTS: Table<u64, Report> = Table::new("backup_reports");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [REPORTS.shape()];
/// Reports that are kept: a year of daily ones with some to spare.
const KEPT: u64 = 500;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// A snapshot was taken, and what it wrote was read back.
    #[n(0)]
    Snapshot,
    /// A generation was read back whole.
    #[n(1)]
    Verification,
    /// The live stores were read whole.
    #[n(2)]
    Live,
    /// A generation was restored into a scratch folder.
    #[n(3)]
    Rehearsal,
    /// A generation, or one organization of it, was put back.
    #[n(4)]
    Restore,
    /// A generation was copied off-site, and compared there.
    #[n(5)]
    Offsite,
    /// An off-site generation was read back whole.
    #[n(6)]
    OffsiteVerification,
}

impl Kind {
    /// Its name, for documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Verification => "verification",
            Self::Live => "store",
            Self::Rehearsal => "rehearsal",
            Self::Restore => "restore",
            Self::Offsite => "offsite",
            Self::OffsiteVerification => "offsite-verification",
        }
    }
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Finding {
    /// Whose store it is about; none for the system's, or for all of it.
    #[n(0)]
    pub org: Option<OrgId>,
    /// Places and reasons; no content.
    #[n(1)]
    pub what: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Report {
    #[n(0)]
    pub kind: Kind,
    #[n(1)]
    pub at: Timestamp,
    #[n(2)]
    pub took_ms: u64,
    /// The generation's name; empty for the live stores.
    #[n(3)]
    pub generation: String,
    /// Stores that were read.
    #[n(4)]
    pub stores: u64,
    /// Records and their bytes that were read.
    #[n(5)]
    pub records: u64,
    #[n(6)]
    pub bytes: u64,
    /// What is wrong; nothing, if all is well.
    #[n(7)]
    pub findings: Vec<Finding>,
    /// Whether the recovery key was what opened it.
    #[n(8)]
    pub by_recovery_key: bool,
    /// Of an off-site copy: what was sent, and by what it was compared.
    #[n(9)]
    pub compared: Option<Compared>,
}

/// By what the segments of an off-site copy were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Compared {
    /// Segments that were sent now, and their bytes.
    #[n(0)]
    pub sent: u64,
    #[n(1)]
    pub bytes: u64,
    /// Segments that were compared by the server's SHA-256,
    #[n(2)]
    pub by_sha256: u64,
    /// by its MD5,
    #[n(3)]
    pub by_md5: u64,
    /// and by reading them back.
    #[n(4)]
    pub by_reading: u64,
}

impl Report {
    /// The report of a restore.
    #[must_use]
    pub fn of_restore(generation: &str, at: Timestamp, took: Duration, filled: &[super::Filled]) -> Self {
        Self {
            kind: Kind::Restore,
            at,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            generation: generation.to_owned(),
            stores: filled.len() as u64,
            records: filled.iter().map(|one| one.records).sum(),
            bytes: filled.iter().map(|one| one.bytes).sum(),
            findings: Vec::new(),
            by_recovery_key: false,
            compared: None,
        }
    }

    /// Whether all is as it must be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Keeps a report, and forgets the oldest ones.
///
/// # Errors
/// What the store says.
pub fn keep(txn: &Txn<'_>, report: &Report) -> Result<(), StoreError> {
    let last = txn.reader().last(&REPORTS, &Span::all())?.map_or(0, |(number, _)| number);
    txn.put(&REPORTS, &(last + 1), report)?;
    let first = txn.reader().first(&REPORTS, &Span::all())?.map_or(0, |(number, _)| number);
    for old in first..(last + 1).saturating_sub(KEPT) {
        txn.delete(&REPORTS, &old)?;
    }
    Ok(())
}

/// The newest reports, newest first.
///
/// # Errors
/// What the store says.
pub fn reports(view: &dyn Read, limit: usize) -> Result<Vec<Report>, StoreError> {
    Ok(view.list(&REPORTS, &Span::all(), Order::Descending, limit)?.into_iter().map(|(_, report)| report).collect())
}
