//! The holds of an open tenant, in memory for whoever decides, and in the file for the sweep.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use redb::WriteTransaction;

use crate::error::Result;
use crate::hold::{HOLD_KIND, HoldSet};
use crate::partition::Partition;
use crate::partition::opened::{from_redb, from_storage};
use crate::partition::tables::DIRECTORY;

/// The holds that count now. One that is being placed counts from before its change is on its way; one that is being
/// released until after.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    set: ArcSwap<HoldSet>,
    generation: AtomicU64,
}

impl Holds {
    /// How often they were changed: to be asked before [`Holds::set`].
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self) -> Arc<HoldSet> {
        self.set.load_full()
    }

    pub(crate) fn replace(&self, set: HoldSet) {
        self.set.store(Arc::new(set));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Partition {
    /// What the rows say is held.
    pub(crate) fn read_holds(&self) -> Result<HoldSet> {
        let mut set = HoldSet::default();
        for (_, row) in self.directory_rows(HOLD_KIND)? {
            set.add_row(&row);
        }
        Ok(set)
    }
}

/// What is held as a transaction leaves the file.
pub(super) fn holds_in(transaction: &WriteTransaction) -> Result<HoldSet> {
    let directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
    let bounds = (Bound::Included(&[HOLD_KIND][..]), Bound::Excluded(&[HOLD_KIND + 1][..]));
    let mut set = HoldSet::default();
    for row in redb::ReadableTable::range::<&[u8]>(&directory, bounds).map_err(from_storage)? {
        let (_, row) = row.map_err(from_storage)?;
        set.add_row(row.value());
    }
    Ok(set)
}
