//! What tests of a tenant's handle share: a tenant on a simulated disk, with a lane of its own and without a store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::{Clock, ManualClock};
use crate::crypto::{Entropy, SeededEntropy};
use crate::disk::{Disk, SimDisk};
use crate::error::Result;
use crate::id::{FileId, StoreId, TenantId};
use crate::journal::{Lane, LaneKeys, LaneOptions, create_lane, open_lane};
use crate::keys::{KeyProvider, Keyring, NewKeyring, ProviderError, Providers, WrapContext};
use crate::partition::{Partition, PartitionOptions};
use crate::tenant::{Collection, Durability, Keeper, Opening, Rotation, Tenant, TenantParts};

/// What the clock says, until it is set.
pub(super) const NOW: u64 = 1_700_000_000_000;

const STORE: StoreId = StoreId::new([1; 16]);
const TENANT: TenantId = TenantId::new([2; 16]);
const KEYRING: &str = "/keys/tenant.keyring";

/// Wraps every key as itself.
#[derive(Debug)]
struct Bare;

impl KeyProvider for Bare {
    fn wrap(&self, key: &[u8; 32], _: &WrapContext) -> std::result::Result<Vec<u8>, ProviderError> {
        Ok(key.to_vec())
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        _: &WrapContext,
    ) -> std::result::Result<Zeroizing<[u8; 32]>, ProviderError> {
        wrapped.try_into().map(Zeroizing::new).map_err(|_| ProviderError::denied("not 32 bytes"))
    }
}

/// Nobody looks after anything.
#[derive(Debug)]
struct Nobody;

impl Keeper for Nobody {
    fn memtable_bytes(&self) -> usize {
        1 << 20
    }
    fn wants_checkpoint(&self) -> bool {
        false
    }
    fn buffered(&self) {}
    fn keys_low(&self) {}
    fn erasure_period_ms(&self) -> u64 {
        86_400_000
    }
    fn erasure_delay_ms(&self) -> u64 {
        0
    }
    fn rotation(&self) -> Rotation {
        Rotation { age: Duration::from_hours(1), records: 2_000 }
    }
    fn scrub_within_ms(&self) -> u64 {
        86_400_000
    }
    fn key_copies_kept_ms(&self) -> u64 {
        0
    }
}

/// A tenant with a lane of its own.
pub(super) struct Home {
    lane: Arc<Lane<Partition>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) tenant: Tenant,
    pub(super) people: Collection,
}

impl Home {
    pub(super) fn close(self) -> Result<()> {
        self.tenant.close()?;
        self.lane.close()
    }
}

fn entropy(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(seed))
}

pub(super) fn try_open(disk: &SimDisk, seed: u64, is_new: bool) -> Result<Home> {
    let (disk, entropy): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), entropy(seed));
    let manual = Arc::new(ManualClock::at(NOW));
    let clock: Arc<dyn Clock> = Arc::clone(&manual) as _;
    let mut providers = Providers::default();
    providers.insert("default".to_owned(), Arc::new(Bare));
    let keyring = if is_new {
        disk.create_dir_all(Path::new("/keys")).expect("creates");
        let (file, provider) = (FileId::new([3; 16]), "default");
        let new = NewKeyring { store: STORE, tenant: TENANT, provider, file, now_ms: NOW };
        Keyring::create(&disk, Path::new(KEYRING), &new, &providers, &entropy)?
    } else {
        Keyring::open(&disk, Path::new(KEYRING), (STORE, TENANT), &providers, &entropy)?
    };
    let lane_options = LaneOptions {
        disk: Arc::clone(&disk),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        directory: "/journal/lane".into(),
        state: "/keys/lane.lane".into(),
        segment_bytes: 1 << 16,
        accept_rollback: false,
    };
    let lane_keys = || LaneKeys::derive(&[7; 32], STORE, STORE.system_tenant(), "default");
    if is_new {
        create_lane(&lane_options, &lane_keys()?, 1)?;
    }
    let opened = open_lane(&lane_options, lane_keys()?, &Arc::new(AtomicU32::new(1)))?;
    let lane = Arc::new(opened.lane);
    if !opened.was_closed {
        lane.raise_timeline()?;
    }
    let partition = PartitionOptions {
        disk,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        cache_bytes: 1 << 20,
        full_freshness: false,
    };
    let parts = TenantParts {
        digests: None,
        name: "acme".to_owned(),
        lane: Arc::clone(&lane),
        keeper: Arc::new(Nobody),
        durability: Durability::Durable,
        keyring: Arc::new(keyring),
        clock,
        entropy,
        store: Arc::new(()),
    };
    let directory = Path::new("/tenants");
    let tenant = if is_new {
        Tenant::create(partition, directory, parts)?
    } else {
        let raise = || lane.raise_timeline();
        Tenant::open(&partition, directory, parts, Opening::Strict, &raise)?.0
    };
    let people = tenant.collection("people")?;
    Ok(Home { lane, clock: manual, tenant, people })
}

pub(super) fn create(disk: &SimDisk) -> Home {
    let home = try_open(disk, 1, true).expect("creates");
    home.people.put("first", "value").expect("puts");
    home
}

pub(super) fn open(disk: &SimDisk, seed: u64) -> Home {
    try_open(disk, seed, false).expect("opens")
}
