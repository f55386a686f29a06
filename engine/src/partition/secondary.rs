//! Secondary keys: which records have a key in an index (FORMAT.md section 7.5).
//!
//! Two kinds of rows in one table. An *entry* says of a key in an index which record has it; a *list* says of a record which
//! keys it has. Both carry the version of the record's put they came with, and count as long as the record has that version:
//! whatever overwrites or erases a record makes them stale without having to know them. A checkpoint takes the list of each
//! record that changed, removes the entries it names, and puts those that are not stale: the file holds no stale one.

use std::collections::HashSet;
use std::ops::Bound;

use bytes::Bytes;
use redb::{ReadableTable, Table as RedbTable};

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::opened::from_storage;
use crate::partition::tables::{record_row_key, split_row_key};

/// Marks the rows of the directory that declare an index.
pub(crate) const DECLARED: u8 = b'i';
/// The first byte of what they say.
const DECLARATION_VERSION: u8 = 1;
/// The place of lists among the indexes of a collection.
const LIST: u64 = 0;
/// Collection and index.
pub(crate) const PLACE_BYTES: usize = 16;
/// Ends a key in an entry; a zero byte in it is escaped, so that keys sort as their bytes do.
const END: [u8; 2] = [0, 0];
/// Sorts behind all entries of a key, and before those of every greater one.
const BEHIND: [u8; 2] = [0, 1];
const ESCAPED: [u8; 2] = [0, 0xff];

/// The version is that of the change that a row comes with.
const OWN: u8 = 0;
/// The version stands behind this byte.
const GIVEN: u8 = 1;

/// One index of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IndexPlace {
    pub(crate) collection: CollectionId,
    pub(crate) index: u64,
}

/// A key in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexKey {
    pub(crate) index: u64,
    pub(crate) is_unique: bool,
    pub(crate) key: Vec<u8>,
}

impl IndexPlace {
    /// What all entries of the index begin with.
    pub(crate) fn prefix(self) -> Vec<u8> {
        [self.collection.to_be_bytes(), self.index.to_be_bytes()].concat()
    }

    /// All entries of the index.
    pub(super) fn rows(self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let end = match self.index.checked_add(1) {
            Some(index) => Bound::Excluded(Self { index, ..self }.prefix()),
            None => super::tables::rows_of(self.collection).1,
        };
        (Bound::Included(self.prefix()), end)
    }
}

/// A place among rows whose keys are `prefix`, an escaped key, its end, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge<'a> {
    /// Where those begin whose keys begin so.
    Beginning(&'a [u8]),
    /// Where those of a key begin.
    From(&'a [u8]),
    /// Where those of a key are over.
    Behind(&'a [u8]),
}

impl Edge<'_> {
    /// Its bytes.
    pub(crate) fn after(self, prefix: &[u8]) -> Vec<u8> {
        let (key, end) = match self {
            Self::Beginning(key) => (key, &[][..]),
            Self::From(key) => (key, &END[..]),
            Self::Behind(key) => (key, &BEHIND[..]),
        };
        let mut row = prefix.to_vec();
        for byte in key {
            if *byte == 0 { row.extend(ESCAPED) } else { row.push(*byte) }
        }
        row.extend(end);
        row
    }
}

/// Takes an escaped key and its end off the beginning of a row; `None` where there is none.
pub(super) fn unescape(row: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut key = Vec::new();
    let mut at = 0;
    loop {
        match (row.get(at)?, row.get(at + 1)) {
            (0, Some(0)) => return Some((key, &row[at + 2..])),
            (0, Some(0xff)) => {
                key.push(0);
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                key.push(*byte);
                at += 1;
            }
        }
    }
}

/// The key of an entry.
pub(crate) fn entry_key(collection: CollectionId, key: &IndexKey, record: &[u8]) -> Vec<u8> {
    let mut row = Edge::From(&key.key).after(&IndexPlace { collection, index: key.index }.prefix());
    if !key.is_unique {
        row.extend(record);
    }
    row
}

/// What an entry says besides its key.
pub(crate) fn entry_data<'a>(key: &IndexKey, record: &'a [u8]) -> &'a [u8] {
    if key.is_unique { record } else { &[] }
}

/// The key of a record's list.
pub(crate) fn list_key(collection: CollectionId, record: &[u8]) -> Vec<u8> {
    [&IndexPlace { collection, index: LIST }.prefix()[..], record].concat()
}

/// A list.
pub(crate) fn encode_list(keys: &[IndexKey]) -> Vec<u8> {
    let mut list = Vec::new();
    for key in keys {
        list.extend(key.index.to_be_bytes());
        list.push(u8::from(key.is_unique));
        // Bounded long before (FORMAT.md section 10).
        list.extend(u16::try_from(key.key.len()).unwrap_or(u16::MAX).to_le_bytes());
        list.extend(&key.key);
    }
    list
}

/// Takes a list apart.
pub(crate) fn parse_list(mut list: &[u8]) -> Result<Vec<IndexKey>> {
    let mut keys = Vec::new();
    while !list.is_empty() {
        let parts = list.split_first_chunk::<11>().and_then(|(head, rest)| {
            let (index, [unique, l0, l1]) = head.split_first_chunk::<8>().map(|(index, rest)| {
                let rest: [u8; 3] = rest.try_into().unwrap_or_default();
                (u64::from_be_bytes(*index), rest)
            })?;
            let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([l0, l1])))?;
            (unique <= 1).then(|| (IndexKey { index, is_unique: unique == 1, key: key.to_vec() }, rest))
        });
        let (key, rest) =
            parts.ok_or_else(|| fail!(Corrupted, "the list of a record's secondary keys is malformed"))?;
        keys.push(key);
        list = rest;
    }
    Ok(keys)
}

/// A row's key taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SecondaryRow {
    /// A key in an index, and what follows it: the record's key where the index is not unique.
    Entry { place: IndexPlace, key: Vec<u8>, rest: Vec<u8> },
    /// A record's list.
    List { collection: CollectionId, record: Vec<u8> },
}

/// Takes a row's key apart.
pub(crate) fn split_secondary(row: &[u8]) -> Result<SecondaryRow> {
    let malformed = || fail!(Corrupted, "a secondary key is malformed");
    let (collection, rest) = split_row_key(row)?;
    let (index, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
    let index = u64::from_be_bytes(*index);
    if index == LIST {
        return Ok(SecondaryRow::List { collection, record: rest.to_vec() });
    }
    let (key, rest) = unescape(rest).ok_or_else(malformed)?;
    Ok(SecondaryRow::Entry { place: IndexPlace { collection, index }, key, rest: rest.to_vec() })
}

/// The value of a row as a change carries it.
pub(crate) fn change_value(version: Option<Version>, data: &[u8]) -> Vec<u8> {
    match version {
        None => [&[OWN][..], data].concat(),
        Some(version) => [&[GIVEN][..], &version.encode(), data].concat(),
    }
}

/// What a row of a change says: the version of the record it belongs to, and its data.
pub(super) fn resolve(change: Version, value: &Bytes) -> Result<(Version, Bytes)> {
    match value.split_first() {
        Some((&OWN, _)) => Ok((change, value.slice(1..))),
        Some((&GIVEN, rest)) => {
            let (version, data) = Version::split(rest)?;
            Ok((version, value.slice(value.len() - data.len()..)))
        }
        _ => Err(fail!(Corrupted, "a secondary key in the journal is malformed")),
    }
}

/// The table as a checkpoint writes to it.
pub(super) type Writing<'txn> = RedbTable<'txn, &'static [u8], &'static [u8]>;

/// Removes a record's list, and the entries that it names, unless they belong to the version that the record has now, if it
/// is there at all.
pub(super) fn take_away(
    secondary: &mut Writing<'_>,
    collection: CollectionId,
    record: &[u8],
    now: Option<Version>,
) -> Result<()> {
    let row = list_key(collection, record);
    let list = secondary.get(&row[..]).map_err(from_storage)?.map(|list| list.value().to_vec());
    let Some(list) = list else { return Ok(()) };
    let (version, list) = Version::split(&list)?;
    if now == Some(version) {
        return Ok(());
    }
    secondary.remove(&row[..]).map_err(from_storage)?;
    for key in parse_list(list)? {
        let row = entry_key(collection, &key, record);
        let is_its_own = match secondary.get(&row[..]).map_err(from_storage)? {
            Some(entry) => Version::split(entry.value())? == (version, entry_data(&key, record)),
            None => false,
        };
        if is_its_own {
            secondary.remove(&row[..]).map_err(from_storage)?;
        }
    }
    Ok(())
}

/// Puts a row of a memtable, unless it is stale: `records` has what the checkpoint puts into it.
pub(super) fn put(
    secondary: &mut Writing<'_>,
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
    declared: &HashSet<IndexPlace>,
    row: &[u8],
    (version, data): (Version, &[u8]),
) -> Result<()> {
    let (collection, record) = match split_secondary(row)? {
        SecondaryRow::List { collection, record } => (collection, record),
        SecondaryRow::Entry { place, rest, .. } => {
            // A put may have been under way when its index was dropped.
            if !declared.contains(&place) {
                return Ok(());
            }
            (place.collection, if rest.is_empty() { data.to_vec() } else { rest })
        }
    };
    let found = records.get(&record_row_key(collection, &record)[..]).map_err(from_storage)?;
    let Some(found) = found else { return Ok(()) };
    if Version::split(found.value())?.0 == version {
        let value = [&version.encode()[..], data].concat();
        secondary.insert(row, &value[..]).map_err(from_storage)?;
    }
    Ok(())
}

/// The index that a row of the directory declares, its key without the kind. In the system tenant rows of that kind are
/// names, which do not begin with a control character.
pub(super) fn declared_by(key: &[u8], row: &[u8]) -> Option<IndexPlace> {
    let (collection, _) = split_row_key(key).ok()?;
    let (version, rest) = row.split_first()?;
    if *version != DECLARATION_VERSION {
        return None;
    }
    Some(IndexPlace { collection, index: u64::from_be_bytes(*rest.first_chunk()?) })
}

/// Parses anything, for fuzzing: what parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_secondary(data: &[u8]) {
    match split_secondary(data) {
        Ok(SecondaryRow::Entry { place, key, rest }) => {
            assert_eq!([&Edge::From(&key).after(&place.prefix())[..], &rest].concat(), data);
        }
        Ok(SecondaryRow::List { collection, record }) => assert_eq!(list_key(collection, &record), data),
        Err(_) => {}
    }
    if let Ok(keys) = parse_list(data) {
        assert_eq!(encode_list(&keys), data);
    }
    let own = Version { timeline: 1, sequence: 2 };
    if let Ok((version, said)) = resolve(own, &Bytes::copy_from_slice(data)) {
        assert!(change_value(None, &said) == data || change_value(Some(version), &said) == data);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0xfe, 0xff]), 1..5)
    }

    proptest! {
        /// Entries sort by key, then by record, and each bound of a key lies where it should.
        #[test]
        fn entries_sort_as_their_keys_do_and_read_back(a in bytes(), b in bytes(), one in bytes(), other in bytes()) {
            let place = IndexPlace { collection: CollectionId(u64::MAX), index: 7 };
            let row = |key: &[u8], record: &[u8]| {
                entry_key(place.collection, &IndexKey { index: 7, is_unique: false, key: key.to_vec() }, record)
            };
            prop_assert_eq!(row(&a, &one).cmp(&row(&b, &other)), (&a, &one).cmp(&(&b, &other)));
            let entry = SecondaryRow::Entry { place, key: a.clone(), rest: one.clone() };
            prop_assert_eq!(split_secondary(&row(&a, &one)).ok(), Some(entry));
            let edge = |edge: Edge<'_>| edge.after(&place.prefix());
            prop_assert_eq!(row(&b, &other) >= edge(Edge::From(&a)), b >= a);
            prop_assert_eq!(row(&b, &other) >= edge(Edge::Behind(&a)), b > a);
            prop_assert_eq!(row(&b, &other).starts_with(&edge(Edge::Beginning(&a))), b.starts_with(&a));
            let list = SecondaryRow::List { collection: place.collection, record: a.clone() };
            prop_assert_eq!(split_secondary(&list_key(place.collection, &a)).ok(), Some(list));
        }

        #[test]
        fn lists_read_back_and_none_can_be_cut(keys in prop::collection::vec((1_u64.., any::<bool>(), bytes()), 1..5)) {
            let key = |(index, is_unique, key)| IndexKey { index, is_unique, key };
            let keys: Vec<_> = keys.into_iter().map(key).collect();
            let list = encode_list(&keys);
            prop_assert_eq!(parse_list(&list).ok(), Some(keys.clone()));
            let whole = (0..list.len()).filter(|end| parse_list(&list[..*end]).is_ok()).count();
            prop_assert_eq!(whole, keys.len());
        }
    }
}
