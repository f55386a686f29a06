//! The checkpoint: a memtable goes into the file, sorted, in one durable commit, and the anchor takes its sequence.
//!
//! ```text
//! memtable frozen, a new one takes the changes
//! redb: rows and last version, durable        crash: the journal has everything; the file may have it too
//! anchor: the file holds this sequence        from here on the journal's frames are not needed
//! readers get the new tables
//! ```

use std::sync::Arc;

use crate::error::{ErrorKind, Result, fail};
use crate::id::Version;
use crate::keys::NO_FILE;
use crate::partition::change::Table;
use crate::partition::memtable::Memtable;
use crate::partition::opened::{Opened, from_redb, from_storage};
use crate::partition::tables::{COMMIT, DIRECTORY, Held, META, ORIGIN, RECORDS, TABLES};
use crate::partition::{Partition, Tables};

/// A memtable on its way into the file, and what the file then holds.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(super) table: Arc<Memtable>,
    pub(crate) held: Held,
}

impl Partition {
    /// Freezes the memtable; between two batches, of which the last had the tag `tag`. Gives what is frozen: where an
    /// earlier checkpoint failed, what that one froze. `None` where there is nothing to put into the file.
    pub(crate) fn freeze(&self, tag: [u8; 16]) -> Option<Frozen> {
        let mut frozen = None;
        self.replace_view(|view| {
            if view.frozen.is_none()
                && let Some(version) = view.active.last()
            {
                let table = std::mem::take(&mut view.active);
                view.frozen = Some(Frozen { table, held: Held { version, tag } });
            }
            frozen.clone_from(&view.frozen);
        });
        frozen
    }

    /// Puts what was frozen into the file, durable when this returns.
    pub(crate) fn checkpoint(&self, frozen: &Frozen) -> Result<()> {
        let _writer = self.writer.lock();
        self.checkpoint_locked(frozen)
    }

    pub(super) fn checkpoint_locked(&self, frozen: &Frozen) -> Result<()> {
        let is_first = self.view()?.tables.is_none();
        let opened = self.target()?;
        let opened = match merge(&opened, frozen) {
            Ok(()) => opened,
            // Where a reader met a damaged block, redb refuses this commit too: the file is opened anew, which tells
            // whether the commit was made (and syncs it), and if not, it is made now.
            Err(error) if !is_first => {
                let reopened = self.target()?;
                match self.held_by(&reopened) {
                    Ok(held) if held == frozen.held => {}
                    Ok(_) if error.kind() == ErrorKind::Poisoned => merge(&reopened, frozen)?,
                    _ => return Err(error),
                }
                reopened
            }
            Err(error) => return Err(error),
        };
        if is_first {
            self.sync_directory()?;
        }
        self.take_into_anchor(&frozen.held)?;
        let tables = Arc::new(Tables::open(opened)?);
        self.replace_view(|view| {
            view.tables = Some(tables);
            view.frozen = None;
            view.number += 1;
        });
        Ok(())
    }

    /// The file that is written; made where there is none yet.
    fn target(&self) -> Result<Arc<Opened>> {
        if let Some(tables) = &self.view()?.tables {
            return Ok(Arc::clone(&tables.opened));
        }
        let anchor = self.keyring.anchor();
        // An attempt that failed may have left one.
        self.remove_file(anchor.current)?;
        let opened = self.create_file(anchor.current, anchor.current_epoch)?;
        self.initialise(&opened)?;
        Ok(Arc::new(opened))
    }

    /// Makes the tables of a new file.
    pub(super) fn initialise(&self, opened: &Opened) -> Result<()> {
        let origin = self.origin();
        opened.run(|db| {
            let mut transaction = db.begin_write().map_err(from_redb)?;
            transaction.set_quick_repair(true);
            for table in TABLES {
                transaction.open_table(table).map_err(from_redb)?;
            }
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.insert(ORIGIN, &origin[..]).map_err(from_redb)?;
            drop(meta);
            transaction.commit().map_err(from_redb)
        })
    }

    /// Says in the anchor what the file holds; in both copies where the anchor did not count the file before.
    pub(super) fn take_into_anchor(&self, held: &Held) -> Result<()> {
        let change = |anchor: &mut crate::keys::Anchor| {
            anchor.commit = held.version.sequence;
            anchor.timeline = held.version.timeline;
            anchor.flags &= !NO_FILE;
        };
        if self.keyring.anchor().flags & NO_FILE != 0 {
            self.keyring.update_both_anchors(change)
        } else {
            self.keyring.update_anchor(change)
        }
    }
}

/// One durable commit of all the memtable's rows, in order.
pub(super) fn merge(opened: &Opened, frozen: &Frozen) -> Result<()> {
    opened.run(|db| {
        let mut transaction = db.begin_write().map_err(from_redb)?;
        // Two-phase: over sealed blocks a one-phase commit can't be told from a damaged one after a power loss.
        transaction.set_quick_repair(true);
        {
            let mut records = transaction.open_table(RECORDS).map_err(from_redb)?;
            let mut directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
            let mut value = Vec::new();
            frozen.table.for_each(|row, found| {
                let (table, key) =
                    row.split_first().ok_or_else(|| fail!(Internal, "a row of the memtable has no table"))?;
                let is_record = *table == Table::Records as u8;
                let target = if is_record { &mut records } else { &mut directory };
                let Some(new) = &found.value else {
                    return target.remove(key).map(|_| ()).map_err(from_storage);
                };
                value.clear();
                if is_record {
                    value.extend(found.version.encode());
                }
                value.extend(&new[..]);
                target.insert(key, &value[..]).map(|_| ()).map_err(from_storage)
            })?;
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.insert(COMMIT, &frozen.held.encode()[..]).map_err(from_storage)?;
        }
        transaction.commit().map_err(from_redb)
    })
}

impl Frozen {
    /// What makes a file hold a version although no change has it: after a rollback was accepted.
    pub(crate) fn empty(version: Version) -> Self {
        Self { table: Arc::default(), held: Held { version, tag: [0; 16] } }
    }
}
