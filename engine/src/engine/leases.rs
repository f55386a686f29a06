//! Key providers are asked again for the keys of open tenants: one that denies them closes the tenant, one that can't be
//! reached leaves it open for a grace, and no other tenant notices.

use crate::engine::duties::Duty;
use crate::engine::{Engine, Inner};
use crate::error::{ErrorKind, Result};
use crate::keys::{LeaseTerms, Standing};
use crate::retention::milliseconds;
use crate::tenant::Tenant;

/// Tenants whose providers are asked at the same time.
const ASKED_AT_ONCE: usize = 32;

impl Inner {
    fn lease_terms(&self) -> LeaseTerms {
        LeaseTerms {
            good_ms: milliseconds(self.config.keys_good_for),
            grace_ms: milliseconds(self.config.keys_grace),
        }
    }

    /// Has providers asked where it is time, and closes the tenants whose keys are not good any more. Waits for the answers
    /// where `waits`; else they count the next time.
    pub(super) fn tend_leases(&self, waits: bool) {
        let (now_ms, terms) = (self.config.clock.now_ms(), self.lease_terms());
        let open = self.tenants.all();
        let asked = open.iter().filter(|tenant| tenant.lease().is_asking()).count();
        let mut left = ASKED_AT_ONCE.saturating_sub(asked);
        for tenant in &open {
            if left == 0 && !waits {
                break;
            }
            if left == 0 {
                for tenant in &open {
                    tenant.lease().wait();
                }
                left = ASKED_AT_ONCE;
            }
            left -= usize::from(tenant.renew_lease(now_ms, terms));
        }
        for tenant in open {
            if waits {
                tenant.lease().wait();
            }
            if tenant.lease().standing(now_ms, terms) == Standing::Ended {
                self.close_denied(&tenant);
            }
        }
        self.note_done(Duty::Providers, None);
    }

    fn close_denied(&self, tenant: &Tenant) {
        let place = self.tenants.slot(tenant.id());
        let mut place = place.lock();
        tracing::warn!(tenant = %tenant.id(), "closed: its key provider gives its keys no more");
        if let Err(error) = tenant.deny() {
            tracing::warn!(tenant = %tenant.id(), %error, "a tenant was not closed cleanly; its journal has what its file lacks");
        }
        place.take_if(|open| open.is_same(tenant));
        self.refused.lock().insert(tenant.id(), ErrorKind::KeyUnavailable);
    }

    /// Since when the key provider of each open tenant can't be reached, where it can't.
    pub(super) fn unreachable_providers(&self) -> Vec<(crate::id::TenantId, u64)> {
        let (now_ms, terms) = (self.config.clock.now_ms(), self.lease_terms());
        let open = self.tenants.all();
        let since = |tenant: &Tenant| match tenant.lease().standing(now_ms, terms) {
            Standing::Unreachable { since_ms } => Some((tenant.id(), since_ms)),
            Standing::Good | Standing::Ended => None,
        };
        open.iter().filter_map(since).collect()
    }
}

impl Engine {
    /// Has the section keys of the catalog and of every tenant wrapped anew that `from` wraps, by `to`, which may be the same
    /// provider: after its key was rotated, or to move a store to another one. Gives how many it was. Interrupted, it is called
    /// again. Both providers have to be configured until it is done; new tenants use the one named `default`.
    ///
    /// # Errors
    /// Those of [`Tenant::rewrap`](crate::Tenant::rewrap) and of opening; the first one, the others are rewrapped all the same.
    pub fn rewrap(&self, from: &str, to: &str) -> Result<u64> {
        self.check()?;
        let mut count = 0;
        let mut rewrap = |tenant: &Tenant| {
            if tenant.key_provider() != from {
                return Ok(());
            }
            count += 1;
            tenant.rewrap(Some(to))
        };
        let mut result = rewrap(&self.0.system);
        for info in self.tenants()? {
            result = result.and(self.tenant(&info.name).and_then(|tenant| rewrap(&tenant)));
        }
        result.map(|()| count)
    }
}
