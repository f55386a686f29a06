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

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use crate::disk::SimDisk;
    use crate::error::ErrorKind;
    use crate::tenant::home::create;

    #[test]
    fn a_denial_wipes_what_opens_values_from_memory_and_ends_the_handles() {
        let home = create(&SimDisk::new());
        assert!(home.people.get("first").expect("reads").is_some());
        let parts = &home.tenant.0;
        assert!(parts.sealer.remembered() > 0 && parts.keyring.check_denied().is_ok());
        home.tenant.deny().expect("closes");
        assert_eq!(parts.sealer.remembered(), 0);
        assert!(parts.keyring.check_denied().is_err(), "its content keys are not asked for again");
        for _ in 0..2 {
            let refused = home.people.get("first").map_err(|error| error.kind());
            assert_eq!(refused.err(), Some(ErrorKind::KeyUnavailable));
            assert!(home.people.put("second", "value").is_err());
        }
        assert_eq!(parts.sealer.remembered(), 0);
    }
}
