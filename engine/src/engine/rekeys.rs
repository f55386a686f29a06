//! The duties of keys: the work that meets the deadlines of rekeys, and what health tells of deadlines and of the ages of keys.

use std::time::Duration;

use crate::clock::Moment;
use crate::engine::Inner;
use crate::engine::duties::GRACE;
use crate::error::{ErrorKind, Result};
use crate::id::TenantId;
use crate::retention::milliseconds;
use crate::tenant::Tenant;

/// After so long no further tenant gets its turn in a round.
const ROUND_TIME: Duration = Duration::from_millis(500);

/// How the data key of an open tenant does under which new records are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKeyHealth {
    /// The tenant.
    pub tenant: TenantId,
    /// The key's generation.
    pub generation: u32,
    /// How old it is, in milliseconds.
    pub age_ms: u64,
    /// Records sealed under it, at least.
    pub records_sealed: u64,
    /// Whether it is due to be rotated by age or count ([`Config::rotate_after`](crate::Config::rotate_after),
    /// [`Config::rotate_after_records`](crate::Config::rotate_after_records)), and was five minutes before, as health knows.
    /// One that is not used needs no rotation.
    pub rotation_overdue: bool,
}

impl Inner {
    /// One round for each open tenant, as far as there is time: checkpoints wait for it. Those that are done leave it to others.
    pub(super) fn tend_rekeys(&self) -> Result<()> {
        let begun = Moment::now();
        self.each_open(|tenant| {
            if begun.age() >= ROUND_TIME {
                return Ok(());
            }
            self.tend_rekey(tenant).map(|_| ())
        })
    }

    /// One round of what meets a tenant's deadline; whether there is more to do right now.
    pub(super) fn tend_rekey(&self, tenant: &Tenant) -> Result<bool> {
        let tended = match tenant.tend_rekey() {
            // Without content keys nothing is sealed anew: that it is overdue is told in time.
            Err(error) if error.kind() == ErrorKind::KeyUnavailable => Ok(false),
            tended => tended,
        };
        self.note_deadline(tenant)?;
        tended
    }

    /// Remembers the deadline of a tenant, for when it is closed.
    pub(super) fn note_deadline(&self, tenant: &Tenant) -> Result<()> {
        let deadline = tenant.open_deadline()?;
        let mut known = self.rekeys.lock();
        match deadline {
            Some(deadline) => drop(known.insert(tenant.id(), deadline.by_ms)),
            None => drop(known.remove(&tenant.id())),
        }
        Ok(())
    }

    /// The tenants whose deadline is over and was not met, open ones and those that were.
    pub(super) fn rekeys_overdue(&self, open: &[Tenant], now_ms: u64) -> Vec<TenantId> {
        for tenant in open {
            if let Err(error) = self.note_deadline(tenant) {
                tracing::debug!(tenant = %tenant.id(), %error, "the deadline of a rekey can't be read");
            }
        }
        let known = self.rekeys.lock();
        known.iter().filter(|(_, by_ms)| **by_ms <= now_ms).map(|(tenant, _)| *tenant).collect()
    }

    /// How the current data keys of open tenants do.
    pub(super) fn data_keys_health(&self, open: &[Tenant]) -> Vec<DataKeyHealth> {
        let health = |tenant: &Tenant| {
            let key = tenant.current_data_key().ok()?;
            Some(DataKeyHealth {
                tenant: tenant.id(),
                generation: key.generation,
                age_ms: key.age_ms,
                records_sealed: key.records_sealed,
                rotation_overdue: tenant.is_rotation_overdue(&key, milliseconds(GRACE)),
            })
        };
        let system = self.store.system_tenant();
        open.iter().filter(|tenant| tenant.id() != system).filter_map(health).collect()
    }
}
