//! Key providers are asked again for the keys of open tenants: one that denies them closes the tenant, one that can't be
//! reached leaves it open for a grace, and no other tenant notices.

use crate::engine::duties::Duty;
use crate::engine::{Engine, Inner, open_keyring};
use crate::error::{ErrorKind, Result, fail};
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
        // The catalog with the others.
        let open = self.open_tenants();
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
            } else if tenant.is_same(&self.system) {
                self.refused.lock().remove(&tenant.id());
            }
        }
        self.note_done(Duty::Providers, None);
    }

    /// Refuses what asks the catalog where its provider was found to give its keys no more: open tenants go on under their own.
    pub(super) fn check_catalog(&self) -> Result<()> {
        if !self.refused.lock().contains_key(&self.system.id()) {
            return Ok(());
        }
        Err(fail!(
            KeyUnavailable,
            "the key provider of the catalog denies its keys, or could not be reached for too long: once it gives them, open the store again"
        ))
    }

    fn close_denied(&self, tenant: &Tenant) {
        if tenant.is_same(&self.system) {
            self.refused.lock().insert(tenant.id(), ErrorKind::KeyUnavailable);
            return;
        }
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
        let open = self.open_tenants();
        let since = |tenant: &Tenant| match tenant.lease().standing(now_ms, terms) {
            Standing::Unreachable { since_ms } => Some((tenant.id(), since_ms)),
            Standing::Good | Standing::Ended => None,
        };
        open.iter().filter_map(since).collect()
    }
}

impl Engine {
    /// Gives a tenant new section keys and seals its whole keyring anew under them, subject keys too: who has the old section keys,
    /// because a provider gave them or a process leaked them, opens nothing of the key store from then on. Data, records and their
    /// keys stay as they are, and copies of the key store that were made before can be opened as before. The tenant's handles end:
    /// they give `Poisoned`, and [`Engine::tenant`] gives new ones. Cursors from before are good no more.
    ///
    /// Durable when this returns. After a crash the keyring is whole under the old or the new keys.
    ///
    /// # Errors
    /// `KeyUnavailable` from the key provider: nothing is changed then; `NotFound`; `Conflict` where the tenant was opened anew
    /// meanwhile; `Corrupted` where a key is lost; `Io`.
    pub fn renew_section_keys(&self, name: &str) -> Result<()> {
        self.check()?;
        let inner = &*self.0;
        let tenant = self.tended(name)?;
        tenant.flush()?;
        let _one = inner.changing.lock();
        self.with_place(name, |info, place| {
            if !place.as_ref().is_some_and(|open| open.is(&tenant)) {
                return Err(fail!(Conflict, "tenant {} was opened anew meanwhile: do it again", info.id));
            }
            if let Err(error) = tenant.end(crate::partition::Standing::Moved) {
                tracing::debug!(tenant = %info.id, %error, "a tenant was not closed cleanly");
            }
            // Whoever asks for it opens it, under the keys that it has then.
            *place = None;
            let region = inner.shared.region(&info.region)?;
            let ledgers = Some(&*inner.shared.ledgers_key);
            let keyring = open_keyring(&inner.config, &region, inner.store, info.id, ledgers)?;
            keyring.renew_sections(&region.keyring_path(info.id))
        })
    }

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
        for info in self.catalog()? {
            result = result.and(self.tenant(&info.name).and_then(|tenant| rewrap(&tenant)));
        }
        result.map(|()| count)
    }
}
