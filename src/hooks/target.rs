//! What deliveries are for: an endpoint, its board, and how cards are made of its payloads.
//!
//! Every delivery needs all of it, and it changes seldom, so what one delivery has read and parsed serves the next ones
//! until something is committed to the organization.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    endpoint::{self, Address, Hook},
    mapping::{Field, Fields, Mapping},
};
use crate::{
    people,
    store::{Store, StoreError, Version},
    work::{self, Board},
};

/// Targets that are kept; past it all are forgotten, since each is read again in microseconds.
const KEPT_MAX: usize = 1_024;

/// An endpoint and its board.
#[derive(Clone, Debug)]
pub struct Target {
    pub hook: Hook,
    pub board: Board,
    /// What all endpoints of the organization together may take.
    pub deliveries_per_minute: u64,
    pub(super) mapping: Option<Mapping>,
    pub(super) fields: Fields,
}

impl Target {
    /// Makes ready what payloads are read by.
    #[must_use]
    pub fn of(hook: Hook, board: Board, deliveries_per_minute: u64) -> Self {
        let fields: Vec<Field<'_>> =
            board.fields.iter().map(|field| Field { key: &field.key, label: &field.label }).collect();
        Self { mapping: hook.mapping(), fields: Fields::of(&fields), hook, board, deliveries_per_minute }
    }
}

/// Targets, each as it stood at some version of its store.
#[derive(Default)]
pub struct Targets {
    by_digest: Mutex<HashMap<[u8; 32], Known>>,
}

struct Known {
    version: Version,
    target: Arc<Target>,
}

impl Targets {
    /// The target of an address; none if there is no such endpoint.
    ///
    /// # Errors
    /// What the store says.
    pub fn find(&self, store: &Store, address: &Address) -> Result<Option<Arc<Target>>, StoreError> {
        let digest = address.digest();
        // Asked before reading: what is committed in between is then read once more, never missed.
        let version = store.version();
        if let Some(known) = self.by_digest.lock().get(&digest)
            && known.version == version
        {
            return Ok(Some(Arc::clone(&known.target)));
        }
        let found = store.view(|view| {
            let Some(hook) = endpoint::find(view, address)? else { return Ok(None) };
            let Some(board) = work::read::board(view, hook.board)? else { return Ok(None) };
            Ok::<_, StoreError>(Some(Target::of(hook, board, people::quotas(view)?.deliveries_per_minute)))
        })?;
        let Some(target) = found.map(Arc::new) else { return Ok(None) };
        let mut kept = self.by_digest.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(digest, Known { version, target: Arc::clone(&target) });
        Ok(Some(target))
    }
}
