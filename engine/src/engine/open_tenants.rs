//! The tenants that are open. At most so many stay so, least recently asked for first, beyond those that somebody holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::error::Result;
use crate::id::TenantId;
use crate::tenant::Tenant;

/// A tenant's place, open or not.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Held while it is opened or closed: two callers open it once.
    tenant: Mutex<Option<Tenant>>,
    /// When it was asked for, counted in such events.
    asked: AtomicU64,
}

impl Slot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Tenant>> {
        self.tenant.lock()
    }
}

/// How many tenants stay open that nobody holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) tenants: usize,
    pub(super) cache_bytes: u64,
}

/// The open tenants of a store, but for the system tenant.
#[derive(Debug, Default)]
pub(super) struct OpenTenants {
    slots: Mutex<HashMap<TenantId, Arc<Slot>>>,
    asked: AtomicU64,
}

impl OpenTenants {
    /// A tenant's place, asked for now.
    pub(super) fn slot(&self, id: TenantId) -> Arc<Slot> {
        let slot = Arc::clone(self.slots.lock().entry(id).or_default());
        slot.asked.store(self.asked.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot
    }

    /// Those that are open now. One that is being opened is passed over: who opens it may wait for who asks.
    pub(super) fn all(&self) -> Vec<Tenant> {
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        slots.iter().filter_map(|slot| slot.tenant.try_lock().and_then(|tenant| tenant.clone())).collect()
    }

    /// Takes all of them out.
    pub(super) fn take_all(&self) -> Vec<Tenant> {
        let slots: Vec<_> = self.slots.lock().drain().map(|(_, slot)| slot).collect();
        slots.iter().filter_map(|slot| slot.lock().take()).collect()
    }

    /// Closes tenants that nobody holds until the rest is within the bounds. Nothing is checkpointed: what their files do
    /// not have, the journal gives when they are opened again.
    pub(super) fn evict(&self, bounds: Bounds) -> Result<()> {
        let slots: Vec<_> = self.slots.lock().iter().map(|(id, slot)| (*id, Arc::clone(slot))).collect();
        let mut open: Vec<_> = slots
            .into_iter()
            .filter_map(|(id, slot)| {
                let bytes = slot.tenant.try_lock()?.as_ref()?.cache_bytes();
                Some((slot.asked.load(Ordering::Relaxed), id, slot, bytes))
            })
            .collect();
        let (mut tenants, mut bytes) = (open.len(), open.iter().map(|(.., bytes)| bytes).sum::<u64>());
        let mut result = Ok(());
        open.sort_unstable_by_key(|(asked, ..)| *asked);
        for (_, id, slot, freed) in open {
            if tenants <= bounds.tenants && bytes <= bounds.cache_bytes {
                break;
            }
            let Some(mut place) = slot.tenant.try_lock() else { continue };
            let Some(tenant) = place.take_if(|tenant| tenant.can_be_closed()) else { continue };
            tracing::debug!(tenant = %id, "evicted");
            result = result.and(tenant.close());
            (tenants, bytes) = (tenants - 1, bytes.saturating_sub(freed));
        }
        metrics::gauge!("strongroom_open_tenants").set(f64::from(u32::try_from(tenants).unwrap_or(u32::MAX)));
        // A place that nobody knows and that is empty costs memory for nothing.
        self.slots.lock().retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.tenant.try_lock().is_none_or(|tenant| tenant.is_some())
        });
        result
    }
}
