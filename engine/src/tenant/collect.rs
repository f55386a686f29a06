//! Collecting chunks that nothing refers to: of uploads that were given up, and of values that were replaced or erased.
//!
//! What is collected was never published, or is not the record's any more, and nothing that may be lost makes it the
//! record's again: what replaced it is on the disk before its chunks go. A snapshot or reader that shows it has them in its
//! read transaction of the file.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::{Result, fail};
use crate::id::ChunkSetId;
use crate::partition::{Changes, Table};
use crate::tenant::Tenant;
use crate::tenant::change::Terms;
use crate::tenant::upload_row::{DIRECTORY_KIND, UploadRow, directory_key};

/// Sets that one round looks at.
const SETS_A_ROUND: usize = 4_096;
/// Chunks that one round removes: 32 MiB.
const CHUNKS_A_ROUND: usize = 512;

/// What is known of a tenant's uploads and chunks.
#[derive(Debug)]
pub(super) struct Collector {
    /// Uploads and copies that somebody writes, and those that are being given up.
    uploads: Mutex<HashSet<ChunkSetId>>,
    /// Where the next round goes on.
    position: Mutex<Option<ChunkSetId>>,
    /// Whether there may be chunks to collect.
    is_due: AtomicBool,
}

impl Default for Collector {
    fn default() -> Self {
        Self { uploads: Mutex::default(), position: Mutex::default(), is_due: AtomicBool::new(true) }
    }
}

/// As long as there is one, nobody else writes the upload or gives it up.
#[derive(Debug)]
pub(super) struct Writing {
    tenant: Tenant,
    set: ChunkSetId,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.tenant.0.collector.uploads.lock().remove(&self.set);
    }
}

impl Tenant {
    /// Nobody else has the upload from here on.
    pub(super) fn begin_writing(&self, set: ChunkSetId) -> Result<Writing> {
        if !self.0.collector.uploads.lock().insert(set) {
            return Err(fail!(Busy, "the chunks {set} are being written already, or given up"));
        }
        Ok(Writing { tenant: self.clone(), set })
    }

    /// Says that there may be chunks to collect.
    pub(super) fn wants_collection(&self) {
        self.0.collector.is_due.store(true, Ordering::Release);
    }

    /// Gives up an upload: its chunks are collected.
    pub(super) fn give_up(&self, set: ChunkSetId) -> Result<()> {
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&directory_key(set)]);
        self.make(changes, &Terms::default(), false)?;
        self.wants_collection();
        Ok(())
    }

    /// One round, bounded in work, of collecting chunks. Whether there may be more.
    pub(crate) fn collect_chunks(&self) -> Result<bool> {
        self.0.process.check()?;
        self.give_up_expired()?;
        let collector = &self.0.collector;
        if !collector.is_due.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        let round = self.without_checkpoints(|| self.collect_round());
        if !matches!(round, Ok(false)) {
            self.wants_collection();
        }
        round
    }

    /// Collects everything there is, for a rewrite, which makes no checkpoint meanwhile.
    pub(super) fn collect_all_locked(&self) -> Result<()> {
        *self.0.collector.position.lock() = None;
        while self.collect_round()? {}
        Ok(())
    }

    fn give_up_expired(&self) -> Result<()> {
        let now = self.0.clock.now_ms();
        for (set, row) in self.0.partition.directory_rows(DIRECTORY_KIND)? {
            let row = UploadRow::parse(&row)?;
            let set: Option<[u8; 16]> = set.as_slice().try_into().ok();
            let Some(set) = set.map(ChunkSetId::new).filter(|_| row.lease_ends_ms <= now) else { continue };
            // One that is being written goes on, whatever the clock says.
            let Ok(_writing) = self.begin_writing(set) else { continue };
            tracing::info!(tenant = %self.0.id, %set, "an upload that was not gone on with in time is given up");
            self.give_up(set)?;
        }
        self.give_up_expired_copies()
    }

    fn collect_round(&self) -> Result<bool> {
        let partition = &self.0.partition;
        let mut position = self.0.collector.position.lock();
        let is_under_way = |set: ChunkSetId| {
            Ok(partition.directory_row(&directory_key(set))?.is_some() || self.is_copy(set)?)
        };
        let found = partition.unused_sets(*position, SETS_A_ROUND, &is_under_way)?;
        if !found.unused.is_empty() {
            // What says that they are unused must not be lost.
            self.0.lane.flush()?;
        }
        let mut left = CHUNKS_A_ROUND;
        for set in &found.unused {
            left -= partition.remove_set(*set, left)?;
            if left == 0 {
                return Ok(true);
            }
        }
        *position = found.last;
        Ok(found.last.is_some())
    }
}
