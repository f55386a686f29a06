//! What a tenant has: records, and what was removed.

use std::collections::BTreeMap;

use crate::WINDOW_MS;

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) value: Vec<u8>,
    pub(crate) expires_ms: Option<u64>,
    /// Greater than that of all that were written before; 0 where it is not known.
    pub(crate) order: u64,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.expires_ms == other.expires_ms
    }
}

/// A tenant's collection.
pub(crate) type Place = (usize, usize);

/// Records by tenant and collection.
pub(crate) type Records = BTreeMap<Place, BTreeMap<Vec<u8>, Record>>;

/// The removed records of a key, each with the time at which it is erased, in the order in which they were written.
type Removed = Vec<(Record, u64)>;

/// What a tenant has.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) live: Records,
    /// Removed records by key.
    pub(crate) removed: BTreeMap<Place, BTreeMap<Vec<u8>, Removed>>,
}

/// What is said of removed records: place, key, bytes of the value, when it expires and when it is erased.
pub(crate) type Listed = Vec<(Place, Vec<u8>, u64, Option<u64>, u64)>;

impl State {
    /// What is there at a time.
    pub(crate) fn at(&self, now_ms: u64) -> Self {
        let mut state = self.clone();
        for records in state.live.values_mut() {
            records.retain(|_, record| record.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms));
        }
        state.live.retain(|_, records| !records.is_empty());
        for removed in state.removed.values_mut() {
            for records in removed.values_mut() {
                records.retain(|(_, purge_ms)| now_ms < *purge_ms);
            }
        }
        state
    }

    pub(crate) fn put(&mut self, place: Place, key: &[u8], record: Record) {
        self.live.entry(place).or_default().insert(key.to_vec(), record);
    }

    /// Takes records out of a collection.
    pub(crate) fn take(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> Vec<(Vec<u8>, Record)> {
        let Some(records) = self.live.get_mut(&place) else { return Vec::new() };
        let taken: Vec<_> = records.extract_if(.., |key, _| is_due(key)).collect();
        self.live.retain(|_, records| !records.is_empty());
        taken
    }

    /// Erases records of which there are some, with what was removed of their keys; gives how many.
    pub(crate) fn erase_live(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let taken = self.take(place, is_due);
        let removed = self.removed.entry(place).or_default();
        for (key, _) in &taken {
            removed.remove(key);
        }
        taken.len() as u64
    }

    /// Erases what was removed; gives how many records that were.
    pub(crate) fn erase_removed(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let removed = self.removed.entry(place).or_default();
        removed.extract_if(.., |key, _| is_due(key)).map(|(_, records)| records.len() as u64).sum()
    }

    /// Removes records; gives how many.
    pub(crate) fn remove(&mut self, place: Place, now_ms: u64, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let taken = self.take(place, is_due);
        let count = taken.len() as u64;
        for (key, record) in taken {
            let purge_ms = (now_ms + WINDOW_MS).min(record.expires_ms.unwrap_or(u64::MAX));
            let records = self.removed.entry(place).or_default().entry(key).or_default();
            records.push((record, purge_ms));
            records.sort_by_key(|(record, _)| record.order);
        }
        count
    }

    /// Restores what was removed last of a key; whether there is any, and `None` where the key is taken.
    pub(crate) fn restore(&mut self, place: Place, key: &[u8]) -> Option<bool> {
        let records = self.removed.entry(place).or_default().entry(key.to_vec()).or_default();
        if records.is_empty() {
            return Some(false);
        }
        if self.live.get(&place).is_some_and(|known| known.contains_key(key)) {
            return None;
        }
        let (record, _) = records.pop()?;
        self.put(place, key, record);
        Some(true)
    }

    pub(crate) fn listed(&self) -> Listed {
        let mut listed = Vec::new();
        for (place, removed) in &self.removed {
            for (key, records) in removed {
                listed.extend(records.iter().map(|(record, purge_ms)| {
                    (*place, key.clone(), record.value.len() as u64, record.expires_ms, *purge_ms)
                }));
            }
        }
        listed
    }
}
