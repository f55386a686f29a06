//! Data subjects: who they are, what is stored about each, and erasing one with everything that is.

use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;

use crate::collection::RecordInfo;
use crate::error::{ErrorKind, Result};
use crate::id::CollectionId;
use crate::keys::SlotKind;
use crate::limits::check_name;
use crate::partition::{Changes, ERASED, Row, RowScan, SubjectRows, Table, split_row_key};
use crate::record::Envelope;
use crate::tenant::Tenant;
use crate::tenant::change::{Condition, Terms, Unchanged};
use crate::tenant::handle::record_info;
use crate::tenant::slots::{SUBJECTS, malformed, parse_slot, unassign_subject};

/// Records that are removed in one change.
const REMOVED_AT_ONCE: usize = 1_000;

/// A tenant's subjects by name ([`Tenant::subjects`]).
pub struct Subjects {
    tenant: Tenant,
    rows: RowScan,
}

/// Names are not shown (invariant 9).
impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subjects")
    }
}

/// A record of a subject.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectRecord {
    /// The name of its collection.
    pub collection: String,
    /// Its key.
    pub key: Vec<u8>,
    /// What is known of it.
    pub info: RecordInfo,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for SubjectRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectRecord").field("info", &self.info).finish_non_exhaustive()
    }
}

/// The records of a subject ([`Tenant::subject_records`]).
pub struct SubjectRecords {
    tenant: Tenant,
    collections: HashMap<CollectionId, String>,
    rows: Option<SubjectRows>,
}

/// Names are not shown (invariant 9).
impl fmt::Debug for SubjectRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectRecords")
    }
}

impl Tenant {
    /// The subjects that have a key, ordered by name: those that a record was ever put with and that were not erased. A
    /// snapshot, in constant memory.
    ///
    /// # Errors
    /// Those of reading.
    pub fn subjects(&self) -> Result<Subjects> {
        self.check_usable()?;
        let mut end = SUBJECTS.to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let from = Bound::Included(SUBJECTS.to_vec());
        let snapshot = self.0.partition.snapshot()?;
        let rows = snapshot.scan(Table::Directory, &from, &Bound::Excluded(end), false)?;
        Ok(Subjects { tenant: self.clone(), rows })
    }

    /// The records that were put with a subject, over all collections, by collection and key; what has expired apart. A
    /// snapshot, in constant memory but for what only the journal has. Values are read by their keys.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed subject; those of reading.
    pub fn subject_records(&self, subject: &str) -> Result<SubjectRecords> {
        self.check_usable()?;
        check_name("subject", subject)?;
        let slot = self.find_subject(subject.as_bytes())?;
        let rows = slot.map(|slot| self.records_of_subject(slot)).transpose()?;
        let collections = self.collections()?.into_iter().map(|info| (info.id, info.name)).collect();
        Ok(SubjectRecords { tenant: self.clone(), collections, rows })
    }

    /// Erases a subject: destroys its key, which makes the values of all records that were put with it unreadable, here and in
    /// every copy of the data, for all who hold no older copy of the key store; then removes these records with their
    /// secondary keys and chunks, from all collections, as [`Collection::erase`](crate::Collection::erase) does. `false` where
    /// there is no such subject. Durable when this returns. The key is gone in a time that does not depend on how many records
    /// there are, and first; what a crash leaves of the records is removed when the tenant is opened again.
    ///
    /// # Errors
    /// `Held` where a hold covers the subject, or any record of it, or a policy still keeps one: nothing is erased then;
    /// `InvalidArgument` for a malformed subject; `Io` of the journal, and nothing is erased, or of the key store, and the key
    /// is destroyed later: that it is to be is durable.
    pub fn erase_subject(&self, subject: &str) -> Result<bool> {
        self.check_usable()?;
        check_name("subject", subject)?;
        // What was left of an earlier one that failed.
        self.remove_erased_subjects()?;
        self.list_subjects()?;
        let Some(slot) = self.find_subject(subject.as_bytes())? else { return Ok(false) };
        let mut changes = Changes::default();
        unassign_subject(&mut changes, subject.as_bytes());
        changes.put(Table::Directory, &[ERASED, &slot.to_be_bytes()], &[]);
        self.destroy_keys(changes, &[(SlotKind::Subject, slot)], || self.check_subject(slot))?;
        self.remove_subject(slot)?;
        Ok(true)
    }

    /// The records under the key of a slot. A file from before it had a list of them gets one first.
    pub(super) fn records_of_subject(&self, slot: u64) -> Result<SubjectRows> {
        self.list_subjects()?;
        self.0.partition.records_of_subject(slot)
    }

    /// A checkpoint makes the list where there is none; it needs something to put.
    fn list_subjects(&self) -> Result<()> {
        if self.0.partition.lists_subjects()? {
            return Ok(());
        }
        self.make_quietly(Changes::default())?;
        self.checkpoint()
    }

    /// Removes what is left of subjects that were erased.
    pub(super) fn remove_erased_subjects(&self) -> Result<()> {
        for (slot, _) in self.0.partition.directory_rows_of(ERASED)? {
            let slot = slot.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| malformed())?;
            self.remove_subject(slot)?;
        }
        Ok(())
    }

    /// Removes the records whose subject's key is destroyed: nothing is put under it any more.
    fn remove_subject(&self, slot: u64) -> Result<()> {
        let mut rows = self.records_of_subject(slot)?;
        let mut are_gone = true;
        loop {
            let piece = rows.by_ref().take(REMOVED_AT_ONCE).collect::<Result<Vec<_>>>()?;
            if piece.is_empty() {
                break;
            }
            match self.remove_rows(&piece) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Held) => {
                    for row in &piece {
                        match self.remove_rows(std::slice::from_ref(row)) {
                            // Another record is in its place by now.
                            Err(error) if error.kind() == ErrorKind::Conflict => {}
                            // A hold that was placed since: there is nothing in it to hold, but it is not asked why.
                            Err(error) if error.kind() == ErrorKind::Held => are_gone = false,
                            removed => removed?,
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if are_gone {
            let mut changes = Changes::default();
            changes.delete(Table::Directory, &[ERASED, &slot.to_be_bytes()]);
            // After the removals, in the same journal.
            self.make_at_once(changes, &Terms::default(), true)?;
        }
        self.wants_collection();
        Ok(())
    }

    fn remove_rows(&self, rows: &[(Table, Row)]) -> Result<()> {
        let mut changes = Changes::default();
        let mut terms = Terms::default();
        self.put_unscrubbed(&mut changes)?;
        for (table, row) in rows {
            changes.delete(*table, &[&row.key]);
            if *table == Table::Removed {
                terms.unchanged.push(Unchanged::Removed { row: row.key.clone(), value: row.value.clone() });
                continue;
            }
            let (collection, key) = split_row_key(&row.key)?;
            let salt = Some(Envelope::parse(&row.value)?.salt());
            terms.conditions.push(Condition {
                collection,
                key: key.to_vec(),
                expected: Some(row.version),
                salt,
                is_own: false,
            });
        }
        self.make_at_once(changes, &terms, false).map(|_| ())
    }
}

impl Iterator for Subjects {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        loop {
            let row = match self.rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            let lives = parse_slot(SlotKind::Subject, &row.value)
                .and_then(|slot| self.tenant.0.keyring.lives(SlotKind::Subject, slot));
            match lives {
                Ok(false) => {}
                Ok(true) => {
                    let name = String::from_utf8(row.key[SUBJECTS.len()..].to_vec());
                    return Some(name.map_err(|_| malformed()));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for SubjectRecords {
    type Item = Result<SubjectRecord>;

    fn next(&mut self) -> Option<Result<SubjectRecord>> {
        loop {
            let row = match self.rows.as_mut()?.next()? {
                Ok((Table::Records, row)) => row,
                // Removed ones come last.
                Ok(_) => return None,
                Err(error) => return Some(Err(error)),
            };
            match self.record(&row) {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl SubjectRecords {
    /// A record, unless it has expired or its collection was dropped.
    fn record(&self, row: &Row) -> Result<Option<SubjectRecord>> {
        let (id, key) = split_row_key(&row.key)?;
        let Some(collection) = self.collections.get(&id) else { return Ok(None) };
        self.tenant.if_live(&row.value, |envelope| {
            let info = record_info(row.version, envelope);
            Ok(SubjectRecord { collection: collection.clone(), key: key.to_vec(), info })
        })
    }
}
