//! Unique keys: that no other record has one, as its putter reads it and a leader decides it again in memory.

use std::collections::{HashMap, HashSet};

use crate::error::{Result, fail};
use crate::id::CollectionId;
use crate::partition::{Partition, Seen, Table, record_row, row_key};
use crate::record;

/// A record's claim on a key of a unique index.
#[derive(Clone)]
pub(super) struct Claim {
    /// The entry, in the table of secondary keys.
    pub(super) row: Vec<u8>,
    pub(super) collection: CollectionId,
    /// The record that is put.
    pub(super) key: Vec<u8>,
}

/// Names and keys are not shown (invariant 9).
impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("collection", &self.collection).finish_non_exhaustive()
    }
}

/// A row of the memtable, and the state in which what depends on it holds: of a claim that of its entry in which nobody else
/// had the key.
#[derive(Debug)]
pub(super) struct Granted {
    row: Vec<u8>,
    seen: Seen,
}

/// Grants claims, as far as what is there tells. `changed` are the records that the batch itself changes: what they had, they
/// lose.
pub(super) fn grant(
    partition: &Partition,
    claims: &[Claim],
    changed: impl FnOnce() -> HashSet<Vec<u8>>,
) -> Result<Vec<Granted>> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let taken = || fail!(Conflict, "another record has this key in a unique index: find it and decide anew");
    let changed = changed();
    let mut owners = HashMap::new();
    let mut granted = Vec::with_capacity(claims.len());
    for claim in claims {
        if *owners.entry(&claim.row[..]).or_insert(&claim.key) != &claim.key {
            return Err(taken());
        }
        let (seen, entry) = partition.look_at_secondary(&claim.row)?;
        if let Some((version, holder)) = entry
            && holder[..] != claim.key[..]
            && !changed.contains(&record_row(claim.collection, &holder))
        {
            // The entry is stale where its record has another version by now, or has expired; that version does not come again.
            let now_ms = partition.now_ms();
            let now = partition.record(claim.collection, &holder, |version, envelope| {
                let is_live = record::expires_ms(envelope).is_none_or(|expires_ms| now_ms < expires_ms);
                Ok(is_live.then_some(version))
            });
            if now?.flatten() == Some(version) {
                return Err(taken());
            }
        }
        granted.push(Granted::new(row_key(Table::Secondary, &claim.row), seen));
    }
    Ok(granted)
}

impl Granted {
    /// A row of the memtable that has to stay as it was seen.
    pub(super) fn new(row: Vec<u8>, seen: Seen) -> Self {
        Self { row, seen }
    }

    /// Whether the row is as it was seen; decided in memory.
    pub(super) fn holds(&self, partition: &Partition) -> bool {
        partition.is_as_seen(&self.row, self.seen)
    }
}
