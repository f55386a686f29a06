//! Changes of rows, as the journal and the memtable hold them (FORMAT.md section 9.3).
//!
//! A batch is its bytes: the memtable's keys and values are parts of them.

use std::collections::HashSet;

use bytes::Bytes;

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::own::INTENTS;
use crate::partition::removed::{RemovedPlace, mark_key};
use crate::partition::subjects::ERASED;
use crate::partition::tables::{DROPPED, dropped_key, split_row_key};

const PUT: u8 = 1;
const DELETE: u8 = 2;
const SWEEP_THROUGH: u8 = 4;
const RESEAL: u8 = 5;
const MOVE_AWAY: u8 = 6;
const HEADER: usize = 7;

/// The directory's row that says since when something is erased whose sealed bytes may still be in files.
pub(crate) const UNSCRUBBED: &[u8] = b"e";

/// A table of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// Records by collection and key.
    Records = 1,
    /// Collections; in the system tenant, tenants and regions too.
    Directory = 2,
    /// Secondary keys of records.
    Secondary = 4,
    /// What is due: derived from the others by a checkpoint. In the journal and in memory its only row has an empty key and
    /// says through when to sweep.
    Expiry = 5,
    /// Records that were removed and can be restored.
    Removed = 6,
}

/// The key of a row in the memtable: its table, then its key in there.
pub(crate) fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[table as u8], key].concat()
}

/// The key of a record's row in the memtable.
pub(crate) fn record_row(collection: CollectionId, key: &[u8]) -> Vec<u8> {
    [&[Table::Records as u8][..], &collection.to_be_bytes(), key].concat()
}

/// The key of the mark of a dropped collection in the memtable.
pub(crate) fn dropped_row(collection: CollectionId) -> Vec<u8> {
    row_key(Table::Directory, &dropped_key(collection))
}

/// Changes of a tenant that are made together. Every change is one of these (invariant 6).
#[derive(Debug, Default)]
pub(crate) struct Changes {
    bytes: Vec<u8>,
    count: usize,
}

impl Changes {
    /// Puts a row, over what is there: `key` and `value` in parts.
    pub(crate) fn put(&mut self, table: Table, key: &[&[u8]], value: &[&[u8]]) {
        self.push(PUT, table, key, value);
    }

    /// Puts a record's row with a version that it has, or had: the same record, sealed under other keys or restored.
    pub(crate) fn reseal(&mut self, key: &[&[u8]], version: Version, envelope: &[u8]) {
        self.push(RESEAL, Table::Records, key, &[&version.encode(), envelope]);
    }

    /// Deletes a row, if it is there: what it says is gone for good. A record takes with it what was removed of its key.
    pub(crate) fn delete(&mut self, table: Table, key: &[&[u8]]) {
        self.push(DELETE, table, key, &[]);
    }

    /// Takes a record out of its table that stands in the other one by the same change: records, or removed ones.
    pub(crate) fn move_away(&mut self, table: Table, key: &[&[u8]]) {
        self.push(MOVE_AWAY, table, key, &[]);
    }

    /// Permits the removal of everything that is due at a time, or before.
    pub(crate) fn sweep_through(&mut self, now_ms: u64) {
        self.push(SWEEP_THROUGH, Table::Expiry, &[], &[&now_ms.to_le_bytes()]);
    }

    fn push(&mut self, kind: u8, table: Table, key: &[&[u8]], value: &[&[u8]]) {
        let key_bytes = 1 + key.iter().map(|part| part.len()).sum::<usize>();
        let value_bytes = value.iter().map(|part| part.len()).sum::<usize>();
        self.bytes.reserve(HEADER + key_bytes + value_bytes);
        self.bytes.push(kind);
        // Keys and values are bounded long before (FORMAT.md section 10).
        self.bytes.extend(u16::try_from(key_bytes).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.extend(u32::try_from(value_bytes).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.push(table as u8);
        key.iter().chain(value).for_each(|part| self.bytes.extend(*part));
        self.count += 1;
    }

    /// Takes puts back: those of exactly these rows and values, `rows` with their tables.
    pub(crate) fn withdraw(&mut self, rows: &[(Vec<u8>, Vec<u8>)]) {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let mut at = 0;
        self.count = 0;
        // `Changes` made it, so all of it parses.
        while let Some((change, end)) = parse_one(&bytes, at) {
            let is_withdrawn = rows
                .iter()
                .any(|(row, value)| change.row == row[..] && change.value.as_deref() == Some(&value[..]));
            if !is_withdrawn {
                self.bytes.extend(&bytes[at..end]);
                self.count += 1;
            }
            at = end;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The records that it changes so far, as rows of the memtable.
    pub(crate) fn records(&self) -> HashSet<Vec<u8>> {
        records_changed(&Bytes::copy_from_slice(&self.bytes))
    }

    /// The changes as bytes.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

/// Whether a batch erases, permits a sweep, marks a collection as dropped, a key as going or a subject as erased, and nothing else.
pub(crate) fn takes_no_room(bytes: &Bytes) -> bool {
    let takes_none = |change: &RowChange| {
        let table = change.row.first().copied();
        change.value.is_none()
            || table == Some(Table::Expiry as u8)
            || table == Some(Table::Directory as u8)
                && (change.row.get(1) == Some(&DROPPED)
                    || [INTENTS, ERASED].iter().any(|kind| change.row[1..].starts_with(kind))
                    || change.row[1..] == *UNSCRUBBED)
    };
    parse(bytes).is_ok_and(|changes| changes.iter().all(takes_none))
}

/// One change of a row.
#[derive(Clone, Debug)]
pub(super) struct RowChange {
    /// Table and key.
    pub(super) row: Bytes,
    /// `None` removes the row.
    pub(super) value: Option<Bytes>,
    /// The version that it keeps; else it has that of its change.
    pub(super) kept: Option<Version>,
    /// Another row of the change has what this one had.
    pub(super) moved: bool,
}

impl RowChange {
    /// The record whose row is erased, as a row of the memtable, and what is erased of it: every version below this one.
    pub(super) fn erased(&self, sequence: u64) -> Option<(u64, Bytes)> {
        if self.value.is_some() || self.moved {
            return None;
        }
        if self.row.first() != Some(&(Table::Removed as u8)) {
            return Some((sequence, self.row.clone()));
        }
        let place = RemovedPlace::parse(&self.row[1..]).ok()?;
        Some((place.version.sequence.saturating_add(1), record_row(place.collection, &place.key).into()))
    }

    /// The mark that goes with the erasure of a record, as a row of the memtable.
    pub(super) fn mark(&self) -> Option<Vec<u8>> {
        let is_erased =
            self.value.is_none() && !self.moved && self.row.first() == Some(&(Table::Records as u8));
        let (collection, key) = is_erased.then(|| split_row_key(&self.row[1..]).ok()).flatten()?;
        Some(row_key(Table::Removed, &mark_key(collection, key)))
    }
}

/// The records that a batch changes, as rows of the memtable.
pub(crate) fn records_changed(bytes: &Bytes) -> HashSet<Vec<u8>> {
    // `Changes` made it, so all of it parses.
    let changes = parse(bytes).unwrap_or_default().into_iter();
    let records = changes.filter(|change| change.row.first() == Some(&(Table::Records as u8)));
    records.map(|change| change.row.to_vec()).collect()
}

/// What a change destroys, or may: it says what is put, not what is there.
#[derive(Debug)]
pub(crate) enum Destroyed {
    /// The record whose row has this key, if there is one: another one is put in its place.
    Record(Bytes),
    /// The same, with what was removed of its key: it is erased.
    Key(Bytes),
    /// The removed record whose row has this key, if there is one.
    Removed(Bytes),
    /// All records of a collection.
    Collection(CollectionId),
}

/// What a change destroys in the tenant's rows. A record that is sealed anew is not destroyed, nor is one that the same
/// change puts among the removed ones; one that has expired is, where another is restored in its place.
pub(crate) fn destroyed_by(bytes: &Bytes) -> Result<Vec<Destroyed>> {
    let changes = parse(bytes)?;
    let is_of = |change: &RowChange, table: Table| change.row.first() == Some(&(table as u8));
    let (mut kept, mut restored) = (HashSet::new(), HashSet::new());
    for change in changes.iter().filter(|change| is_of(change, Table::Removed)) {
        if change.value.is_some() || change.moved {
            let place = RemovedPlace::parse(&change.row[1..])?;
            let to = if change.moved { &mut restored } else { &mut kept };
            to.insert(record_row(place.collection, &place.key));
        }
    }
    let destroyed = |change: RowChange| {
        if change.moved || change.kept.is_some() && !restored.contains(&change.row[..]) {
            return None;
        }
        let (key, is_put) = (change.row.slice(1..), change.value.is_some());
        if is_of(&change, Table::Records) {
            return match is_put {
                true if kept.contains(&change.row[..]) => None,
                true => Some(Destroyed::Record(key)),
                false => Some(Destroyed::Key(key)),
            };
        }
        if is_of(&change, Table::Removed) {
            return (!is_put).then_some(Destroyed::Removed(key));
        }
        if !is_of(&change, Table::Directory) || key.first() != Some(&DROPPED) || !is_put {
            return None;
        }
        // A longer key is that of an index.
        let id = <[u8; CollectionId::BYTES]>::try_from(&key[1..]).ok()?;
        Some(Destroyed::Collection(CollectionId(u64::from_be_bytes(id))))
    };
    Ok(changes.into_iter().filter_map(destroyed).collect())
}

/// Takes a batch's bytes apart.
pub(super) fn parse(bytes: &Bytes) -> Result<Vec<RowChange>> {
    let mut changes = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (change, end) =
            parse_one(bytes, at).ok_or_else(|| fail!(Corrupted, "a change in the journal is malformed"))?;
        changes.push(change);
        at = end;
    }
    Ok(changes)
}

/// Calls `visit` with each row of a table that a change's bytes put: its key and value.
pub(crate) fn for_each_put(bytes: &Bytes, table: Table, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
    for change in parse(bytes)? {
        if let (Some((kind, key)), Some(value)) = (change.row.split_first(), &change.value)
            && *kind == table as u8
        {
            visit(key, value);
        }
    }
    Ok(())
}

fn parse_one(bytes: &Bytes, at: usize) -> Option<(RowChange, usize)> {
    let header: &[u8; HEADER] = bytes.get(at..)?.first_chunk()?;
    let [kind, k0, k1, v0, v1, v2, v3] = *header;
    let key_at = at + HEADER;
    let value_at = key_at + usize::from(u16::from_le_bytes([k0, k1]));
    let end = value_at.checked_add(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
    if end > bytes.len() || value_at == key_at {
        return None;
    }
    let table = bytes[key_at];
    let is_one_of = |tables: &[Table]| tables.iter().any(|known| table == *known as u8);
    let is_row = is_one_of(&[Table::Records, Table::Directory, Table::Secondary, Table::Removed]);
    let moves = kind == MOVE_AWAY && is_one_of(&[Table::Records, Table::Removed]);
    let is_sweep = table == Table::Expiry as u8 && value_at == key_at + 1 && end == value_at + 8;
    let mut kept = None;
    let value = match kind {
        PUT if is_row => Some(bytes.slice(value_at..end)),
        DELETE if is_row && end == value_at => None,
        MOVE_AWAY if moves && end == value_at => None,
        SWEEP_THROUGH if is_sweep => Some(bytes.slice(value_at..end)),
        RESEAL if table == Table::Records as u8 => {
            let (version, envelope) = Version::split(&bytes[value_at..end]).ok()?;
            kept = Some(version);
            Some(bytes.slice(end - envelope.len()..end))
        }
        _ => return None,
    };
    Some((RowChange { row: bytes.slice(key_at..value_at), value, kept, moved: kind == MOVE_AWAY }, end))
}

/// Parses anything, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_changes(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(changes) = parse(&bytes) {
        let length: usize = changes
            .iter()
            .map(|change| {
                let kept = change.kept.map_or(0, |version| version.encode().len());
                HEADER + change.row.len() + kept + change.value.as_ref().map_or(0, Bytes::len)
            })
            .sum();
        assert_eq!(length, data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_back_and_none_can_be_cut() {
        let mut changes = Changes::default();
        changes.put(Table::Records, &[b"12345678", b"key"], &[b"en", b"velope"]);
        changes.delete(Table::Directory, &[b"cname"]);
        changes.put(Table::Directory, &[b"x"], &[]);
        changes.sweep_through(7);
        let version = Version { timeline: 2, sequence: 9 };
        changes.reseal(&[b"12345678", b"key"], version, b"other");
        changes.move_away(Table::Records, &[b"12345678", b"key"]);
        assert_eq!(changes.len(), 6);
        let bytes = changes.into_bytes();
        let parsed = parse(&bytes).expect("parses");
        assert_eq!(parsed[0].row, row_key(Table::Records, b"12345678key"));
        assert_eq!(parsed[0].value.as_deref(), Some(&b"envelope"[..]));
        assert!(parsed[1].value.is_none() && parsed[2].value.as_deref() == Some(b""));
        let mut other = Changes::default();
        other.put(Table::Secondary, &[b"a"], &[b"1"]);
        other.put(Table::Secondary, &[b"a"], &[b"2"]);
        other.put(Table::Records, &[b"a"], &[b"1"]);
        other.withdraw(&[(row_key(Table::Secondary, b"a"), b"1".to_vec())]);
        assert_eq!((other.len(), parse(&other.into_bytes()).map(|left| left.len()).ok()), (2, Some(2)));
        let ends: Vec<_> = (0..bytes.len()).filter(|end| parse(&bytes.slice(..*end)).is_ok()).collect();
        assert_eq!(parsed[3].value.as_deref(), Some(&7_u64.to_le_bytes()[..]));
        assert_eq!(parsed[4].row, parsed[0].row);
        assert_eq!((parsed[4].value.as_deref(), parsed[4].kept), (Some(&b"other"[..]), Some(version)));
        assert!(parsed[5].value.is_none() && parsed[5].moved && parsed[5].erased(9).is_none());
        assert!(parsed[5].mark().is_none());
        assert_eq!(ends.len(), 6, "only between two changes: {ends:?}");
    }
}
