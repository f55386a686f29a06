//! The rewrite of a tenant's file: the live rows go into a new file under a new structure key, and the old key is
//! destroyed. Compaction, scrub and rotation of the structure key in one.
//!
//! ```text
//! new structure key filled        crash: an unused slot
//! anchor: next = new              crash: at open the new file is deleted, its key destroyed
//! new file written and synced
//! anchor: current = new, previous = old      from here on the new file counts
//! old structure key destroyed     crash: at open destroyed again
//! old file unlinked               crash: at open unlinked
//! anchor: previous = none
//! ```

use std::sync::Arc;

use redb::ReadableTable;

use crate::crypto::random;
use crate::error::{Error, Result, fail};
use crate::id::FileId;
use crate::keys::{REPLACE_FILE, SlotKind, SlotStatus};
use crate::partition::Partition;
use crate::partition::opened::{Opened, from_redb, from_storage};
use crate::partition::tables::TABLES;

/// What a rewrite did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteReport {
    /// Rows copied, of all tables.
    pub rows: u64,
    /// Length of the file before, in bytes.
    pub bytes_before: u64,
    /// Length of the file afterwards, in bytes.
    pub bytes_after: u64,
    /// The slot of the structure key the new file is sealed under.
    pub epoch: u32,
}

/// Rows between two reports of progress.
const ROWS_A_REPORT: u64 = 1_024;

impl Partition {
    /// Rewrites the file. Writers wait; readers go on. `progress` gets the rows copied and the rows there are, of all
    /// tables, now and then.
    pub(crate) fn rewrite(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<RewriteReport> {
        let _writer = self.writer.lock();
        let opened = self.opened()?;
        let (replaced, report) = self.replace(&opened, progress)?;
        *self.opened.write() = Some(replaced);
        Ok(report)
    }

    /// Makes the new file and destroys the old one; the caller puts the new one in its place.
    pub(super) fn replace(
        &self,
        old: &Opened,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Arc<Opened>, RewriteReport)> {
        self.settle_rewrite()?;
        let epoch =
            self.keyring.fill(SlotKind::Structure, SlotStatus::Live, self.options.clock.now_ms(), 1)?;
        let file = FileId::new(random(&*self.options.entropy)?);
        self.keyring.update_both_anchors(|anchor| {
            anchor.next = file;
            anchor.next_epoch = epoch;
        })?;
        let copied = self.copy_into(old, file, epoch, progress);
        if copied.is_err()
            && let Err(error) = self.settle_rewrite()
        {
            tracing::warn!(tenant = %self.tenant(), %error, "the remains of a rewrite could not be removed yet");
        }
        let (new, rows) = copied?;
        self.keyring.update_both_anchors(|anchor| {
            anchor.previous = anchor.current;
            anchor.previous_epoch = anchor.current_epoch;
            anchor.current = file;
            anchor.current_epoch = epoch;
            anchor.next = FileId::NONE;
            anchor.next_epoch = 0;
            anchor.flags &= !REPLACE_FILE;
        })?;
        let report = RewriteReport { rows, bytes_before: old.file.len(), bytes_after: new.file.len(), epoch };
        if let Err(error) = self.settle_rewrite() {
            // The new file counts already: what could not be cleared away is cleared away at the next open.
            tracing::warn!(tenant = %self.tenant(), %error, "an old file could not be removed yet");
        }
        Ok((new, report))
    }

    fn copy_into(
        &self,
        old: &Opened,
        file: FileId,
        epoch: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Arc<Opened>, u64)> {
        let new = Arc::new(self.create_file(file, epoch)?);
        let rows = copy_rows(old, &new, progress)?;
        self.sync_directory()?;
        Ok((new, rows))
    }

    /// Undoes a rewrite that did not reach its switch, and finishes one that did.
    pub(super) fn settle_rewrite(&self) -> Result<()> {
        let anchor = self.keyring.anchor();
        if !anchor.next.is_none() || anchor.next_epoch != 0 {
            self.discard(anchor.next, anchor.next_epoch)?;
            self.keyring.update_both_anchors(|anchor| {
                anchor.next = FileId::NONE;
                anchor.next_epoch = 0;
            })?;
        }
        if !anchor.previous.is_none() || anchor.previous_epoch != 0 {
            self.discard(anchor.previous, anchor.previous_epoch)?;
            self.keyring.update_both_anchors(|anchor| {
                anchor.previous = FileId::NONE;
                anchor.previous_epoch = 0;
            })?;
        }
        Ok(())
    }

    /// Destroys a structure key, then removes its file.
    fn discard(&self, file: FileId, epoch: u32) -> Result<()> {
        if epoch != 0 {
            self.keyring.destroy(epoch)?;
        }
        let path = self.path_of(file);
        match self.options.disk.remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", path.display()), error))
            }
            _ => self.sync_directory(),
        }
    }
}

/// Copies all rows of all tables in one durable commit.
fn copy_rows(old: &Opened, new: &Opened, progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
    let sources = TABLES.map(|definition| old.table(definition).map(|table| (definition, table)));
    let sources = sources.into_iter().collect::<Result<Vec<_>>>()?;
    let mut total = 0;
    for (_, table) in &sources {
        total += old.watch(|| redb::ReadableTableMetadata::len(table).map_err(from_storage))?;
    }
    let mut copied = 0;
    new.run(|db| {
        let mut transaction = db.begin_write().map_err(from_redb)?;
        transaction.set_quick_repair(true);
        for (definition, source) in &sources {
            let mut target = transaction.open_table(*definition).map_err(from_redb)?;
            let mut rows = old.watch(|| source.iter().map_err(from_storage))?;
            while let Some((key, value)) = old.watch(|| rows.next().transpose().map_err(from_storage))? {
                target.insert(key.value(), value.value()).map_err(from_storage)?;
                copied += 1;
                if copied % ROWS_A_REPORT == 0 {
                    progress(copied, total);
                }
            }
        }
        transaction.commit().map_err(from_redb)
    })?;
    if copied != total {
        return Err(fail!(Corrupted, "a table says it has {total} rows, but {copied} were found"));
    }
    progress(copied, total);
    Ok(copied)
}
