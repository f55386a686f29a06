//! Quotas of a tenant and its collections, and what they hold: a put is refused where it would exceed one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::collection::{self, QUOTA_KIND, Quota, parse_quota, quota_key};
use crate::error::{Error, Result, fail};
use crate::id::CollectionId;
use crate::partition::{Bounds, Changes, Demand, Partition, RowSnapshot, Scope, Table, Usage};
use crate::tenant::{Collection, Tenant};

/// The quotas there are, and how far they are used up at the most.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    known: RwLock<HashMap<Scope, Usage>>,
    bounds: Bounds,
    /// How often a quota was set.
    generation: AtomicU64,
}

/// What a batch adds where quotas are, and which state of them that was read in.
#[derive(Debug)]
pub(super) struct Demands {
    quotas: Arc<Quotas>,
    of_scopes: Vec<Demand>,
    generation: u64,
}

impl Demands {
    /// Whether a leader has to decide.
    pub(super) fn are_conditional(&self) -> bool {
        !self.of_scopes.is_empty() || self.quotas.generation.load(Ordering::Acquire) != self.generation
    }

    /// Decides; `false` where they have to be read again. Nothing else may refuse the batch afterwards.
    pub(super) fn decide(&self, sequence: u64) -> bool {
        self.quotas.generation.load(Ordering::Acquire) == self.generation
            && (self.of_scopes.is_empty() || self.quotas.bounds.decide(&self.of_scopes, sequence))
    }
}

impl Quotas {
    /// Reads the quotas of a tenant that is opened.
    pub(super) fn load(partition: &Partition) -> Result<Self> {
        let rows = partition.snapshot()?.directory_rows(&[QUOTA_KIND])?;
        let quotas = rows.iter().map(|(key, row)| parse_quota(key, row));
        let known = quotas.map(|quota| quota.map(|(scope, quota)| (scope, quota.limit())));
        Ok(Self { known: RwLock::new(known.collect::<Result<_>>()?), ..Self::default() })
    }

    /// What a batch adds where a quota is; counted exactly where the bounds do not allow it.
    pub(super) fn demands(
        self: &Arc<Self>,
        partition: &Partition,
        bytes: &Bytes,
        added: &[(CollectionId, Usage)],
    ) -> Result<Demands> {
        let generation = self.generation.load(Ordering::Acquire);
        let of_scopes = self.read(partition, bytes, added)?;
        Ok(Demands { quotas: Arc::clone(self), of_scopes, generation })
    }

    fn read(
        &self,
        partition: &Partition,
        bytes: &Bytes,
        added: &[(CollectionId, Usage)],
    ) -> Result<Vec<Demand>> {
        if added.is_empty() || self.known.read().is_empty() {
            return Ok(Vec::new());
        }
        let known = self.known.read().clone();
        let total = added.iter().fold(Usage::default(), |total, (_, usage)| total.plus(*usage));
        let scopes =
            added.iter().map(|(collection, usage)| (Some(*collection), *usage)).chain([(None, total)]);
        let demand = |(scope, added)| Some(Demand { scope, limit: *known.get(&scope)?, added, exact: None });
        let mut demands: Vec<_> = scopes.filter_map(demand).collect();
        if demands.iter().all(|demand| self.bounds.surely_allow(demand)) {
            return Ok(demands);
        }
        let snapshot = partition.snapshot()?;
        let sequence = partition.version_at(&snapshot)?.sequence;
        for demand in &mut demands {
            let before = usage_of(&snapshot, demand.scope)?;
            let (added, taken) = snapshot.usage_changed(demand.scope, bytes)?;
            let after = before.plus(added).minus(taken);
            let Usage { records, bytes } = demand.limit;
            if after.records > records.max(before.records) || after.bytes > bytes.max(before.bytes) {
                return Err(exceeded(demand));
            }
            demand.exact = Some((after, sequence));
        }
        Ok(demands)
    }

    /// A collection was dropped.
    pub(super) fn forget(&self, collection: CollectionId) {
        self.known.write().remove(&Some(collection));
    }
}

fn exceeded(demand: &Demand) -> Error {
    let whose = if demand.scope.is_some() { "collection" } else { "tenant" };
    let Usage { records, bytes } = demand.limit;
    let number =
        |number: u64| if number == u64::MAX { "any number of".to_owned() } else { number.to_string() };
    fail!(
        LimitExceeded,
        "the quota of the {whose} is {} records and {} bytes: erase something, or raise the quota",
        number(records),
        number(bytes)
    )
}

/// What a collection or the whole tenant has.
fn usage_of(snapshot: &RowSnapshot, scope: Scope) -> Result<Usage> {
    if let Some(collection) = scope {
        return snapshot.usage(collection);
    }
    let mut usage = Usage::default();
    for (name, row) in snapshot.directory_rows(&[collection::DIRECTORY_KIND])? {
        let info = collection::parse_row(&name, &row)?;
        usage = usage.plus(snapshot.usage(info.id)?);
    }
    Ok(usage)
}

impl Tenant {
    /// Sets how much the tenant may hold, all collections together; an empty quota takes the bounds away. What is over it
    /// already stays, but puts that add to it are refused (`LimitExceeded`). Durable when this returns.
    ///
    /// # Errors
    /// Those of writing.
    pub fn set_quota(&self, quota: Quota) -> Result<()> {
        self.put_quota(None, quota)
    }

    /// How much the tenant may hold.
    ///
    /// # Errors
    /// Those of reading.
    pub fn quota(&self) -> Result<Quota> {
        self.read_quota(None)
    }

    /// What the tenant holds, exactly: records of all collections, and the bytes of their keys and values. What has expired
    /// counts until it is swept, and what was removed until it is erased. Costs a lookup for each record that only the journal has.
    ///
    /// # Errors
    /// Those of reading.
    pub fn usage(&self) -> Result<Usage> {
        self.0.process.check()?;
        usage_of(&self.0.partition.snapshot()?, None)
    }

    fn put_quota(&self, scope: Scope, quota: Quota) -> Result<()> {
        self.0.process.check()?;
        let _changing = self.0.collections.turn();
        if scope.is_some_and(|collection| self.was_dropped(collection)) {
            return Err(fail!(NotFound, "the collection was dropped meanwhile"));
        }
        let mut changes = Changes::default();
        let (kind, key) = ([QUOTA_KIND], quota_key(scope));
        if quota == Quota::new() {
            changes.delete(Table::Directory, &[&kind, &key]);
        } else {
            changes.put(Table::Directory, &[&kind, &key], &[&quota.encode()]);
        }
        self.make_directory(changes)?;
        // Between two batches: each put is either in what is counted from here on, or is decided under the new quota.
        self.0.lane.pause(|| {
            let quotas = &self.0.quotas;
            if quota == Quota::new() {
                quotas.known.write().remove(&scope);
            } else {
                quotas.known.write().insert(scope, quota.limit());
            }
            quotas.bounds.forget();
            quotas.generation.fetch_add(1, Ordering::AcqRel);
        });
        Ok(())
    }

    fn read_quota(&self, scope: Scope) -> Result<Quota> {
        self.0.process.check()?;
        let key = [&[QUOTA_KIND][..], &quota_key(scope)].concat();
        let row = self.0.partition.directory_row(&key)?;
        row.map_or(Ok(Quota::new()), |row| parse_quota(&quota_key(scope), &row).map(|(_, quota)| quota))
    }
}

impl Collection {
    /// Sets how much the collection may hold, as [`Tenant::set_quota`] does; it is created if need be.
    ///
    /// # Errors
    /// Those of writing.
    pub fn set_quota(&self, quota: Quota) -> Result<()> {
        let tenant = self.tenant();
        tenant.put_quota(Some(tenant.need_collection(self.name())?), quota)
    }

    /// How much the collection may hold.
    ///
    /// # Errors
    /// Those of reading.
    pub fn quota(&self) -> Result<Quota> {
        let tenant = self.tenant();
        match tenant.find_collection(self.name())? {
            Some(id) => tenant.read_quota(Some(id)),
            None => Ok(Quota::new()),
        }
    }

    /// What the collection holds, as [`Tenant::usage`].
    ///
    /// # Errors
    /// Those of reading.
    pub fn usage(&self) -> Result<Usage> {
        let tenant = self.tenant();
        tenant.0.process.check()?;
        match tenant.find_collection(self.name())? {
            Some(id) => tenant.0.partition.snapshot()?.usage(id),
            None => Ok(Usage::default()),
        }
    }
}
