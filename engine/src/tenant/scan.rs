//! A scan's records, one after the other, and where it goes on.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

use crate::collection::{Cursor, CursorScope, RecordInfo, ScanOptions};
use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::{
    Erasures, IndexPlace, PLACE_BYTES, Row, RowScan, RowSnapshot, SecondaryRow, Table, split_row_key,
    split_secondary,
};
use crate::record::{Envelope, Plaintext, RecordPlace};
use crate::tenant::Tenant;
use crate::tenant::ahead::{Ahead, Found};
use crate::tenant::handle::record_info;

/// One record of a scan.
#[derive(Clone)]
pub struct Entry {
    /// The record's key.
    pub key: Vec<u8>,
    /// Its value, unless the scan was for keys only, or the value is in chunks, as longer ones than 1 MiB are: then
    /// [`Collection::get_reader`](crate::Collection::get_reader) reads it, or
    /// [`Snapshot::get_reader`](crate::Snapshot::get_reader) as it was when the scan began.
    pub value: Option<Plaintext>,
    /// What else is known of it.
    pub info: RecordInfo,
    /// The key in the index by which it was found, if it was.
    pub index_key: Option<Vec<u8>>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("value", &self.value).field("info", &self.info).finish_non_exhaustive()
    }
}

/// An iterator over the records of a scan, as they were when it began. After the error of a record it goes on with the
/// next; after an error of the file it ends.
///
/// As long as it lives, the tenant keeps what it shows: memtables, and pages of the file. Do not keep one for later: keep
/// its [`Scan::cursor`].
pub struct Scan {
    opener: Opener,
    rows: Rows,
    erasures: Erasures,
    /// What was taken from `rows` and not looked at yet.
    next: Option<Found>,
    /// What its cursors belong to; nothing where there is no such collection.
    scope: Option<CursorScope>,
    /// The key of the last record that was passed.
    position: Vec<u8>,
    left: usize,
}

/// Where a scan's rows come from.
enum Rows {
    Nowhere,
    Here(Box<RowScan>),
    /// Opened by a thread, before they are asked for.
    Ahead(Ahead),
}

/// What makes records of rows.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) tenant: Tenant,
    /// Where the rows are entries of an index: what has their records.
    records: Option<Arc<RowSnapshot>>,
    keys_only: bool,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("tenant", &self.opener.tenant).finish_non_exhaustive()
    }
}

impl Scan {
    /// A scan of a collection as a snapshot shows it.
    pub(super) fn new(
        tenant: &Tenant,
        snapshot: &RowSnapshot,
        collection: Option<CollectionId>,
        mut options: ScanOptions,
    ) -> Result<Self> {
        let reverse = options.is_reverse();
        let scope = collection.map(|collection| CursorScope { collection, index: 0, reverse });
        let mut position = Vec::new();
        if let Some(cursor) = &options.after {
            // Where there is no such collection, no cursor is of it.
            let none = CursorScope { collection: CollectionId(0), index: 0, reverse };
            position = tenant.0.cursors.open(scope.unwrap_or(none), cursor)?;
            options.behind(&position);
        }
        let bounds = collection.and_then(|collection| options.row_bounds(collection));
        let rows = bounds.map(|(from, to)| snapshot.scan(Table::Records, &from, &to, reverse)).transpose()?;
        let opener = Opener::of_records(tenant, options.keys_only);
        Self::over(rows, opener, snapshot.erasures(), (scope, position), &options)
    }

    fn over(
        rows: Option<RowScan>,
        opener: Opener,
        erasures: Erasures,
        (scope, position): (Option<CursorScope>, Vec<u8>),
        options: &ScanOptions,
    ) -> Result<Self> {
        let left = options.limit;
        let rows = match (rows, options.ahead.min(left)) {
            (None, _) => Rows::Nowhere,
            (Some(rows), ahead) if ahead > 0 && !opener.keys_only => {
                Rows::Ahead(Ahead::start(rows, opener.clone(), erasures.clone(), ahead)?)
            }
            (Some(rows), _) => Rows::Here(Box::new(rows)),
        };
        Ok(Self { opener, rows, erasures, next: None, scope, position, left })
    }

    /// A scan of an index.
    pub(super) fn of_index(
        tenant: &Tenant,
        snapshot: &Arc<RowSnapshot>,
        place: IndexPlace,
        options: &ScanOptions,
    ) -> Result<Self> {
        let reverse = options.is_reverse();
        let scope = CursorScope { collection: place.collection, index: place.index, reverse };
        let position = match &options.after {
            Some(cursor) => tenant.0.cursors.open(scope, cursor)?,
            None => Vec::new(),
        };
        let bounds = options.entry_bounds(place, &position);
        let rows =
            bounds.map(|(from, to)| snapshot.scan(Table::Secondary, &from, &to, reverse)).transpose()?;
        let records = Some(Arc::clone(snapshot));
        let opener = Opener { tenant: tenant.clone(), records, keys_only: options.keys_only };
        Self::over(rows, opener, snapshot.erasures(), (Some(scope), position), options)
    }

    /// Where another scan of the same collection and direction goes on behind the last record that this one gave:
    /// [`ScanOptions::after`]. `None` where nothing comes behind it. What the limit left out, comes.
    ///
    /// # Errors
    /// `Io` where the operating system gives no randomness.
    pub fn cursor(&mut self) -> Result<Option<Cursor>> {
        // Records that have expired, or whose key was destroyed, are no reason to come again.
        while self.next.is_none()
            && let Some(mut found) = self.read()
        {
            let is_something = found.open(&self.opener);
            self.next = Some(found).filter(|_| is_something);
        }
        let Some(scope) = self.scope.filter(|_| self.next.is_some()) else { return Ok(None) };
        let inner = &self.opener.tenant.0;
        inner.cursors.seal(&*inner.entropy, scope, &self.position).map(Some)
    }

    fn read(&mut self) -> Option<Found> {
        match &mut self.rows {
            Rows::Nowhere => None,
            Rows::Here(rows) => Found::next(rows, &self.opener, &self.erasures),
            Rows::Ahead(ahead) => ahead.next(),
        }
    }

    /// Reads on to the end without opening values; how many records there were.
    pub(super) fn count_all(self) -> Result<u64> {
        self.map(|entry| entry.map(|_| 1)).sum()
    }
}

impl Opener {
    /// What opens the rows of records.
    pub(super) fn of_records(tenant: &Tenant, keys_only: bool) -> Self {
        Self { tenant: tenant.clone(), records: None, keys_only }
    }

    /// Whether the rows are entries of an index.
    pub(super) fn is_of_index(&self) -> bool {
        self.records.is_some()
    }

    /// The record of a row, if there is one.
    pub(super) fn entry(&self, row: &Row) -> Result<Option<Entry>> {
        let Some(records) = &self.records else {
            let (collection, key) = split_row_key(&row.key)?;
            return self.open(RecordPlace { collection, key }, None, row.version, &row.value);
        };
        let SecondaryRow::Entry { place, key: index_key, rest } = split_secondary(&row.key)? else {
            return Err(fail!(Corrupted, "a list stands among the entries of an index"));
        };
        let key = if rest.is_empty() { &row.value[..] } else { &rest[..] };
        let record = records.record(place.collection, key, |version, envelope| {
            // An entry is stale where its record was put anew.
            if version != row.version {
                return Ok(None);
            }
            self.open(RecordPlace { collection: place.collection, key }, Some(index_key), version, envelope)
        })?;
        Ok(record.flatten())
    }

    fn open(
        &self,
        place: RecordPlace<'_>,
        index_key: Option<Vec<u8>>,
        version: Version,
        envelope: &[u8],
    ) -> Result<Option<Entry>> {
        let envelope = Envelope::parse(envelope)?;
        if self.tenant.has_expired(envelope.times) {
            return Ok(None);
        }
        let value = if self.keys_only {
            None
        } else if envelope.chunks.is_some() {
            if !self.tenant.check_value(place, version, &envelope)? {
                return Ok(None);
            }
            None
        } else {
            let Some(value) = self.tenant.open_value(place, version, &envelope)? else { return Ok(None) };
            Some(value)
        };
        let info = record_info(version, &envelope);
        Ok(Some(Entry { key: place.key.to_vec(), value, info, index_key }))
    }
}

impl Iterator for Scan {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let tenant = &self.opener.tenant;
        if let Err(error) = tenant.check_usable() {
            self.left = 0;
            return Some(Err(error));
        }
        if self.scope.is_some_and(|scope| tenant.was_dropped(scope.collection)) {
            self.left = 0;
            self.rows = Rows::Nowhere;
            return Some(Err(fail!(SnapshotExpired, "the collection was dropped while it was scanned")));
        }
        loop {
            let found = match self.next.take() {
                Some(found) => found,
                None => self.read()?,
            };
            match &found.row {
                Ok(row) => {
                    self.position.clear();
                    let from = if self.opener.is_of_index() { PLACE_BYTES } else { CollectionId::BYTES };
                    self.position.extend(row.key.get(from..).unwrap_or_default());
                }
                Err(_) => self.left = 0,
            }
            let entry = found.entry(&self.opener, &self.erasures);
            if self.left == 0 {
                return entry.transpose();
            }
            // A record that has expired, or whose key was destroyed, is not there.
            if let Some(entry) = entry.transpose() {
                self.left -= 1;
                return Some(entry);
            }
        }
    }
}

impl FusedIterator for Scan {}
