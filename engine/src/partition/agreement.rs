//! Verification of secondary keys: whether entries, lists and records agree, each with each.

use std::collections::HashSet;

use crate::error::Result;
use crate::id::{CollectionId, Version};
use crate::partition::secondary::{
    IndexKey, IndexPlace, SecondaryRow, entry_data, entry_key, list_key, parse_list, split_secondary,
};

/// What rows of secondary keys are compared with.
pub(super) trait Rows {
    /// A record's version, and whether it expires.
    fn record(&self, collection: CollectionId, key: &[u8]) -> Result<Option<(Version, bool)>>;
    /// A row of secondary keys: the version it belongs to, and what it says.
    fn secondary(&self, key: &[u8]) -> Result<Option<(Version, Vec<u8>)>>;
}

/// What is wrong with a row, if anything is. A stale row is wrong where `is_strict`: in a file.
pub(super) fn flaw(
    rows: &impl Rows,
    declared: &HashSet<IndexPlace>,
    is_strict: bool,
    row: &[u8],
    (version, data): (Version, &[u8]),
) -> Result<Option<&'static str>> {
    match split_secondary(row)? {
        SecondaryRow::Entry { place, key, rest } => {
            let (is_unique, record) = if rest.is_empty() { (true, data) } else { (false, &rest[..]) };
            if rows.record(place.collection, record)?.map(|(version, _)| version) != Some(version) {
                return Ok(is_strict
                    .then_some("an index has an entry of a record that is not there in that version"));
            }
            let wanted = IndexKey { index: place.index, is_unique, key };
            let list = rows.secondary(&list_key(place.collection, record))?;
            let is_listed = match list {
                Some((of, list)) => of == version && parse_list(&list)?.contains(&wanted),
                None => false,
            };
            Ok((!is_listed).then_some("an index has an entry that its record does not list"))
        }
        SecondaryRow::List { collection, record } => {
            let Some((_, expires)) = rows.record(collection, &record)?.filter(|(now, _)| *now == version)
            else {
                return Ok(is_strict
                    .then_some("there is a list of keys of a record that is not there in that version"));
            };
            for key in parse_list(data)? {
                if !declared.contains(&IndexPlace { collection, index: key.index }) {
                    continue;
                }
                let entry = rows.secondary(&entry_key(collection, &key, &record))?;
                let is_there = entry.is_some_and(|(of, said)| {
                    // Once a record has expired, another may take its unique key, before the sweep takes the record.
                    let is_its_own = of == version && said == entry_data(&key, &record);
                    is_its_own || (key.is_unique && expires)
                });
                if !is_there {
                    return Ok(Some("a record lists a key that its index does not have"));
                }
            }
            Ok(None)
        }
    }
}
