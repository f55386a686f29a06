//! What becomes of a tenant's handles when the store suspends, renames, removes, erases or moves the tenant.

use std::sync::Arc;

use crate::error::Result;
use crate::keys::LedgerEvent;
use crate::partition::Standing;
use crate::tenant::Tenant;

impl Tenant {
    /// Refuses reads and writes of records where the tenant is not active.
    pub(super) fn check_usable(&self) -> Result<()> {
        self.0.process.check()?;
        self.0.partition.standing.check()
    }

    /// Sets how the tenant stands. What was asked of it before is in effect when this returns, or will be refused.
    pub(crate) fn stand(&self, standing: Standing) {
        self.0.partition.standing.set(standing);
        self.0.lane.pause(|| ());
    }

    /// Notes in the erasure ledger, which stays, that the tenant is about to be erased.
    pub(crate) fn note_erasure(&self) -> Result<()> {
        self.0.keyring.note(&[LedgerEvent::Tenant]).map(|_| ())
    }

    /// A handle of the same tenant under its new name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self(Arc::clone(&self.0), name.into())
    }

    /// Ends all handles: the tenant is gone, or goes on somewhere else. Nothing is written to its files after this.
    pub(crate) fn end(&self, standing: Standing) -> Result<()> {
        self.0.partition.standing.set(standing);
        self.0.lane.leave(&self.0.link);
        let closed = self.0.partition.close();
        self.0.keyring.retire();
        closed
    }
}
