//! A scan's records, one after the other.

use std::fmt;
use std::iter::FusedIterator;

use crate::collection::{RecordInfo, ScanOptions};
use crate::error::Result;
use crate::id::Version;
use crate::partition::{RowScan, split_row_key};
use crate::record::{Envelope, Plaintext, RecordPlace};
use crate::tenant::Tenant;
use crate::tenant::handle::record_info;

/// One record of a scan.
#[derive(Clone)]
pub struct Entry {
    /// The record's key.
    pub key: Vec<u8>,
    /// Its value, unless the scan was for keys only.
    pub value: Option<Plaintext>,
    /// What else is known of it.
    pub info: RecordInfo,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("value", &self.value).field("info", &self.info).finish_non_exhaustive()
    }
}

/// An iterator over the records of a scan, as they were when it began. After the error of a record it goes on with the
/// next; after an error of the file it ends.
#[derive(Debug)]
pub struct Scan {
    tenant: Tenant,
    rows: Option<RowScan>,
    keys_only: bool,
    left: usize,
}

impl Scan {
    pub(super) fn new(tenant: Tenant, rows: Option<RowScan>, options: &ScanOptions) -> Self {
        Self { tenant, rows, keys_only: options.keys_only, left: options.limit }
    }

    fn entry(&self, row: &[u8], version: Version, envelope: &[u8]) -> Result<Option<Entry>> {
        let (collection, key) = split_row_key(row)?;
        let envelope = Envelope::parse(envelope)?;
        let value = if self.keys_only {
            None
        } else {
            let Some(value) = self.tenant.0.sealer.open(RecordPlace { collection, key }, &envelope)? else {
                return Ok(None);
            };
            Some(value)
        };
        Ok(Some(Entry { key: key.to_vec(), value, info: record_info(version, &envelope) }))
    }
}

impl Iterator for Scan {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if let Err(error) = self.tenant.0.process.check() {
            self.left = 0;
            return Some(Err(error));
        }
        loop {
            let rows = self.rows.as_mut()?;
            let entry = match rows.next()? {
                Ok(row) => self.entry(&row.key, row.version, &row.value),
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            };
            // A record whose key was destroyed is not there.
            if let Some(entry) = entry.transpose() {
                self.left -= 1;
                return Some(entry);
            }
        }
    }
}

impl FusedIterator for Scan {}
