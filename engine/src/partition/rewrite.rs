//! The rewrite of a tenant's file: the live rows go into a new file under a new structure key, and the old key is
//! destroyed. Compaction, scrub and rotation of the structure key in one, while readers and writers go on.
//!
//! ```text
//! new structure key filled        crash: an unused slot
//! anchor: next = new              crash: at open the new file is deleted; the new key stays until no frame needs it
//! new file written and synced
//! memtable frozen; frames are sealed under the new key from here on
//! what was frozen put into the new file
//! anchor: current = new, previous = old      from here on the new file counts
//! old structure key destroyed     crash: at open destroyed again
//! old file unlinked               crash: at open unlinked
//! anchor: previous = none
//! ```

use std::sync::Arc;

use redb::ReadableTable;

use crate::crypto::random;
use crate::error::{Result, fail};
use crate::id::FileId;
use crate::keys::{REPLACE_FILE, SlotKind, SlotStatus};
use crate::partition::checkpoint::{Frozen, changed_bytes, commit_for_now, merge};
use crate::partition::opened::{Opened, from_redb, from_storage};
use crate::partition::tables::{Held, LATER_TABLES, TABLES};
use crate::partition::{Partition, Tables};

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

/// A new file that has the rows of the old one, and does not count yet.
#[derive(Debug)]
pub(crate) struct Rewriting {
    new: Arc<Opened>,
    rows: u64,
    file: FileId,
    /// The structure key it is sealed under.
    pub(crate) epoch: u32,
    bytes_before: u64,
}

impl Partition {
    /// The first half of a rewrite: the rows are copied. The caller has made a checkpoint and sees to it that there is no
    /// other until [`Partition::finish_rewrite`]. `None` where the tenant has no file: there is nothing to rewrite.
    pub(crate) fn begin_rewrite(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Rewriting>> {
        let _writer = self.writer.lock();
        let Some(tables) = self.view()?.tables.clone() else { return Ok(None) };
        self.settle_rewrite()?;
        let epoch =
            self.keyring.fill(SlotKind::Structure, SlotStatus::Live, self.options.clock.now_ms(), 1)?;
        let file = FileId::new(random(&*self.options.entropy)?);
        self.keyring.update_both_anchors(|anchor| {
            anchor.next = file;
            anchor.next_epoch = epoch;
        })?;
        let copied = self.copy_into(&tables.opened, file, epoch, progress);
        if copied.is_err()
            && let Err(error) = self.settle_rewrite()
        {
            tracing::warn!(tenant = %self.tenant(), %error, "the remains of a rewrite could not be removed yet");
        }
        let (new, rows) = copied?;
        Ok(Some(Rewriting { new, rows, file, epoch, bytes_before: tables.opened.file.len() }))
    }

    /// The second half: what was written meanwhile, if anything, goes into the new file, and the new file counts. From the
    /// moment that `frozen` was frozen, the tenant's frames are sealed under the new epoch.
    pub(crate) fn finish_rewrite(
        &self,
        rewriting: Rewriting,
        frozen: Option<&Frozen>,
    ) -> Result<RewriteReport> {
        let _writer = self.writer.lock();
        self.check_open()?;
        let Rewriting { new, rows, file, epoch, bytes_before } = rewriting;
        if self.keyring.anchor().next != file {
            let text = "the tenant's file failed and was replaced while it was rewritten: rewrite it again";
            return Err(fail!(Poisoned, "{text}").retryable());
        }
        if let Some(frozen) = frozen {
            self.note_swept(merge(&new, frozen, self.options.cache_bytes, (&self.erased, &self.own))?);
        }
        let held = self.held_by(&new)?;
        self.switch_to(file, epoch, held)?;
        let bytes_after = new.file.len();
        let tables = Arc::new(Tables::open(new)?);
        self.replace_view(|view| {
            view.tables = Some(tables);
            view.frozen = None;
            view.number += 1;
        });
        self.own.committed();
        self.settle_or_warn();
        Ok(RewriteReport { rows, bytes_before, bytes_after, epoch })
    }

    /// Undoes a rewrite that was begun; no frame needs its epoch.
    pub(crate) fn abandon_rewrite(&self) -> Result<()> {
        let _writer = self.writer.lock();
        self.check_open()?;
        self.settle_rewrite()
    }

    fn switch_to(&self, file: FileId, epoch: u32, held: Held) -> Result<()> {
        self.keyring.update_both_anchors(|anchor| {
            anchor.previous = anchor.current;
            anchor.previous_epoch = if anchor.current_epoch == epoch { 0 } else { anchor.current_epoch };
            anchor.current = file;
            anchor.current_epoch = epoch;
            anchor.next = FileId::NONE;
            anchor.next_epoch = 0;
            anchor.commit = held.version.sequence;
            anchor.timeline = held.version.timeline;
            anchor.flags &= !REPLACE_FILE;
        })
    }

    fn settle_or_warn(&self) {
        if let Err(error) = self.settle_rewrite() {
            // The new file counts already: what could not be cleared away is cleared away at the next open.
            tracing::warn!(tenant = %self.tenant(), %error, "an old file could not be removed yet");
        }
    }

    /// Replaces a file of which a sync failed by a copy under the same epoch.
    pub(super) fn replace_file(&self, old: &Opened) -> Result<Arc<Opened>> {
        self.drop_unfinished()?;
        let epoch = self.keyring.anchor().current_epoch;
        let file = FileId::new(random(&*self.options.entropy)?);
        self.keyring.update_both_anchors(|anchor| anchor.next = file)?;
        let copied = self.copy_into(old, file, epoch, &mut |_, _| {});
        if copied.is_err()
            && let Err(error) = self.drop_unfinished()
        {
            tracing::warn!(tenant = %self.tenant(), %error, "the remains of a copy could not be removed yet");
        }
        let (new, _) = copied?;
        let held = self.held_by(&new)?;
        self.switch_to(file, epoch, held)?;
        self.settle_or_warn();
        Ok(new)
    }

    fn copy_into(
        &self,
        old: &Opened,
        file: FileId,
        epoch: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Arc<Opened>, u64)> {
        let new = Arc::new(self.create_file(file, epoch)?);
        let rows = copy_rows(old, &new, self.options.cache_bytes, progress)?;
        self.sync_directory()?;
        Ok((new, rows))
    }

    /// Whether a rewrite was interrupted whose structure key frames of the journal may be sealed under.
    pub(crate) fn has_unfinished_rewrite(&self) -> bool {
        let anchor = self.keyring.anchor();
        anchor.next_epoch != 0 || anchor.previous_epoch != 0 || !anchor.previous.is_none()
    }

    /// Deletes the file of a rewrite or copy that did not reach its switch. Its structure key stays, for the journal's sake.
    pub(super) fn drop_unfinished(&self) -> Result<()> {
        let anchor = self.keyring.anchor();
        if anchor.next.is_none() {
            return Ok(());
        }
        self.remove_file(anchor.next)?;
        self.keyring.update_both_anchors(|anchor| anchor.next = FileId::NONE)
    }

    /// Undoes a rewrite that did not reach its switch, and finishes one that did. The journal holds no frame of the epoch
    /// that is destroyed.
    pub(crate) fn settle_rewrite(&self) -> Result<()> {
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
            self.keyring.destroy(&[(SlotKind::Structure, epoch.into())])?;
        }
        if file.is_none() { Ok(()) } else { self.remove_file(file) }
    }
}

/// Bytes that are copied between two durable commits: redb keeps in memory which pages came since the last one.
const DURABLE_BYTES: usize = 256 << 20;

/// Copies all rows of all tables. Most commits before the last one are not durable, and come as often as those of a
/// checkpoint ([`merge`]) for the same reason: the pages of a commit stay in the cache until it ends, or are written twice.
fn copy_rows(
    old: &Opened,
    new: &Opened,
    cache_bytes: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let mut sources = Vec::new();
    for definition in TABLES {
        sources.push((definition, old.table(definition)?));
    }
    for definition in LATER_TABLES {
        sources.extend(old.table_if_any(definition)?.map(|table| (definition, table)));
    }
    let mut total = 0;
    for (_, table) in &sources {
        total += old.watch(|| redb::ReadableTableMetadata::len(table).map_err(from_storage))?;
    }
    let mut copied = 0;
    let mut bytes = 0;
    let mut since_durable = 0;
    new.run(|db| {
        let mut transaction = db.begin_write().map_err(from_redb)?;
        for (definition, source) in &sources {
            let mut target = transaction.open_table(*definition).map_err(from_redb)?;
            let mut rows = old.watch(|| source.iter().map_err(from_storage))?;
            while let Some((key, value)) = old.watch(|| rows.next().transpose().map_err(from_storage))? {
                target.insert(key.value(), value.value()).map_err(from_storage)?;
                bytes += changed_bytes(value.value().len());
                copied += 1;
                if copied % ROWS_A_REPORT == 0 {
                    progress(copied, total);
                }
                if bytes >= cache_bytes / 4 {
                    drop(target);
                    since_durable += bytes;
                    if since_durable >= DURABLE_BYTES {
                        since_durable = 0;
                        transaction.set_quick_repair(true);
                        transaction.commit().map_err(from_redb)?;
                    } else {
                        commit_for_now(transaction)?;
                    }
                    transaction = db.begin_write().map_err(from_redb)?;
                    target = transaction.open_table(*definition).map_err(from_redb)?;
                    bytes = 0;
                }
            }
        }
        transaction.set_quick_repair(true);
        transaction.commit().map_err(from_redb)
    })?;
    if copied != total {
        return Err(fail!(Corrupted, "a table says it has {total} rows, but {copied} were found"));
    }
    progress(copied, total);
    Ok(copied)
}
