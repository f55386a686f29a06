//! A tenant's way to another region: its file is copied while readers and writers go on, then they are ended, and what came
//! meanwhile follows, with the keys.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Result, fail};
use crate::partition::Standing;
use crate::tenant::Tenant;

impl Tenant {
    /// Whether two handles are of the same opening of a tenant.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Copies the tenant's file into a directory of another region and calls `finish`, which is given what ends all
    /// handles and copies the rest. No checkpoint and no rewrite is made meanwhile.
    pub(crate) fn leave_for(
        &self,
        directory: &Path,
        progress: &mut dyn FnMut(u64),
        finish: impl FnOnce(&dyn Fn(&Path) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.0.process.check()?;
        let inner = &*self.0;
        self.without_checkpoints(|| {
            self.checkpoint_locked()?;
            let copied = inner.partition.copy_to(directory, None, progress)?;
            finish(&|keyring| {
                inner.partition.standing.set(Standing::Moved);
                inner.lane.leave(&inner.link);
                // What came since the first copy, in one place: where it goes, no frame of it is known.
                self.checkpoint_locked()?;
                inner.partition.copy_to(directory, copied, &mut |_| {})?;
                if inner.lane.pending_bytes(inner.id) > 0 {
                    return Err(fail!(Internal, "a checkpoint left something in the journal"));
                }
                self.end(Standing::Moved)?;
                inner.keyring.copy_to(keyring)
            })
        })
    }
}
