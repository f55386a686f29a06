//! The lanes of a store: one for each region, and one for each dedicated tenant.

use std::sync::Arc;

use crate::engine::config::Config;
use crate::engine::region::Region;
use crate::engine::{Engine, Shared, TenantInfo};
use crate::error::Result;
use crate::id::{StoreId, TenantId};
use crate::journal::{Lane, LaneKeys, LaneOptions, LaneStats, create_lane, open_lane};
use crate::partition::Partition;
use crate::tenant::{Keeper, Rotation};

/// What is known of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneReport {
    /// Its region.
    pub region: String,
    /// Its id: the store's for the lane that tenants share, else the tenant's.
    pub id: TenantId,
    /// Why it can't be opened, if it can't.
    pub problem: Option<String>,
    /// What it holds, and counts since it was opened.
    pub stats: LaneStats,
}

impl LaneReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problem.is_none() && self.stats.damaged == 0
    }
}

impl Config {
    fn lane_options(&self, region: &Region, lane: TenantId) -> LaneOptions {
        LaneOptions {
            disk: Arc::clone(&self.disk),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            directory: region.lane_directory(lane),
            state: region.lane_state_path(lane),
            segment_bytes: self.segment_bytes,
            accept_rollback: self.accept_rollback,
        }
    }
}

impl Shared {
    /// The key of which the lanes' keys are derived.
    fn lane_keys(&self, store: StoreId, lane: TenantId, region: &Region) -> Result<LaneKeys> {
        LaneKeys::derive(&self.lanes_key, store, lane, &region.name)
    }

    /// Makes a lane, durable when this returns.
    pub(super) fn create_lane(
        &self,
        config: &Config,
        region: &Region,
        store: StoreId,
        lane: TenantId,
    ) -> Result<()> {
        create_lane(&config.lane_options(region, lane), &self.lane_keys(store, lane, region)?, 1)
    }

    /// A lane of a region; opened if need be.
    pub(super) fn lane(
        &self,
        config: &Config,
        region: &Region,
        store: StoreId,
        lane: TenantId,
    ) -> Result<Arc<Lane<Partition>>> {
        let mut lanes = region.lanes.lock();
        if let Some(open) = lanes.get(&lane) {
            return Ok(Arc::clone(open));
        }
        let keys = self.lane_keys(store, lane, region)?;
        let opened = open_lane(&config.lane_options(region, lane), keys, &self.timeline)?;
        let open = Arc::new(opened.lane);
        if !opened.was_closed {
            // What it held may have been seen and lost: later versions must be greater.
            let raised = self.system_lane.get().unwrap_or(&open).raise_timeline();
            if let Err(error) = raised {
                // Closed cleanly, it would not say so again.
                open.abandon();
                return Err(error);
            }
        }
        // The system tenant's lane is opened before every other.
        self.system_lane.get_or_init(|| Arc::clone(&open));
        lanes.insert(lane, Arc::clone(&open));
        Ok(open)
    }

    /// The lanes that are open.
    pub(super) fn open_lanes(&self) -> Vec<(String, TenantId, Arc<Lane<Partition>>)> {
        let regions = self.all();
        let lanes = regions.iter().flat_map(|region| {
            let lanes: Vec<_> =
                region.lanes.lock().iter().map(|(id, lane)| (*id, Arc::clone(lane))).collect();
            lanes.into_iter().map(|(id, lane)| (region.name.clone(), id, lane))
        });
        lanes.collect()
    }
}

impl Keeper for Shared {
    fn memtable_bytes(&self) -> usize {
        self.memtable_bytes
    }

    fn wants_checkpoint(&self) -> bool {
        self.alarm.ring();
        self.background
    }

    fn buffered(&self) {
        self.alarm.ring_once();
    }

    fn keys_low(&self) {
        self.alarm.ring();
    }

    fn erasure_period_ms(&self) -> u64 {
        self.erasure_period_ms
    }

    fn erasure_delay_ms(&self) -> u64 {
        self.erasure_delay_ms
    }

    fn rotation(&self) -> Rotation {
        self.rotation
    }

    fn scrub_within_ms(&self) -> u64 {
        self.scrub_within_ms
    }

    fn key_copies_kept_ms(&self) -> u64 {
        self.key_copies_kept_ms
    }
}

impl Engine {
    /// Opens every lane there is: one for each region, and one for each dedicated tenant. Gives the first error; the others
    /// are opened all the same.
    pub(super) fn open_all_lanes(&self) -> Result<()> {
        let inner = &*self.0;
        let tenants = self.catalog()?;
        let mut result = Ok(());
        for region in inner.shared.all() {
            let reached = region.require(&*inner.config.disk, inner.store, &inner.marker_key);
            if reached.is_ok() {
                for lane in self.lane_ids(&region, &tenants) {
                    let opened = inner.shared.lane(&inner.config, &region, inner.store, lane);
                    result = result.and(opened.map(|_| ()));
                }
            }
            result = result.and(reached);
        }
        result
    }

    /// The lanes of a region: first the one that tenants share.
    pub(super) fn lane_ids(&self, region: &Region, tenants: &[TenantInfo]) -> Vec<TenantId> {
        let dedicated = tenants.iter().filter(|info| info.dedicated && info.region == region.name);
        std::iter::once(self.0.store.system_tenant()).chain(dedicated.map(|info| info.id)).collect()
    }

    /// The journals that are open.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`.
    pub fn lanes(&self) -> Result<Vec<LaneReport>> {
        self.check()?;
        let report = |(region, id, lane): (String, TenantId, Arc<Lane<Partition>>)| LaneReport {
            region,
            id,
            problem: None,
            stats: lane.stats(),
        };
        Ok(self.0.shared.open_lanes().into_iter().map(report).collect())
    }

    /// Makes everything durable that was written with [`Durability::Buffered`](crate::Durability::Buffered) until now.
    ///
    /// # Errors
    /// `Io` when a sync fails.
    pub fn flush(&self) -> Result<()> {
        self.check()?;
        self.0.shared.open_lanes().iter().map(|(_, _, lane)| lane.flush()).fold(Ok(()), Result::and)
    }
}
