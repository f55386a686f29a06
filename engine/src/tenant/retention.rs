//! How long a tenant keeps its records: policies, what has expired, and the sweep.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;

use crate::error::{ErrorKind, Result};
use crate::id::CollectionId;
use crate::keys::SlotKind;
use crate::partition::{Changes, Table};
use crate::record::{Envelope, Times};
use crate::retention::{DIRECTORY_KIND, Policy, directory_key, pending_key};
use crate::tenant::change::Terms;
use crate::tenant::policies::encode_pending;
use crate::tenant::slots::unassign_period;
use crate::tenant::{Collection, Tenant};

/// Policies seen so far: the tenant's, and those of collections. Locked while one is read or changed, so that what is kept
/// here is what the last change said.
pub(super) type Policies = RwLock<HashMap<Option<CollectionId>, Policy>>;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Records that had expired and were removed.
    pub records: u64,
    /// Records that have expired and stay, because a hold covers them.
    pub held: u64,
}

impl Tenant {
    /// The tenant's policy.
    ///
    /// # Errors
    /// Those of reading.
    pub fn policy(&self) -> Result<Policy> {
        self.0.process.check()?;
        self.own_policy(None)
    }

    /// Sets the tenant's policy, as a whole, for all collections that do not override it: for records that are put or removed from
    /// now on, and for those that are there, to which [`Tenant::apply_policies`] applies it, or else the next sweeps. Durable when
    /// this returns. A batch that is under way is made before, or refused (`Conflict`, retryable).
    ///
    /// # Errors
    /// `InvalidArgument` for a time of 0, a retention or maximum below the minimum, zero retention beside a minimum, and what can't
    /// be erased within the time promised; `LimitExceeded` where more than 4,096 periods would need keys at a time; of the tenant or
    /// of a collection with what it overrides; those of writing.
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.0.process.check()?;
        self.change_policy(None, policy, false)
    }

    /// The policy of a tenant that has no records yet.
    pub(crate) fn set_first_policy(&self, policy: Policy) -> Result<()> {
        self.change_policy(None, policy, true)
    }

    fn own_policy(&self, collection: Option<CollectionId>) -> Result<Policy> {
        if let Some(policy) = self.0.policies.read().get(&collection) {
            return Ok(*policy);
        }
        let mut policies = self.0.policies.write();
        let row = self.0.partition.directory_row(&directory_key(collection))?;
        let policy = row.map_or(Ok(Policy::new()), |row| Policy::parse_row(&row))?;
        policies.insert(collection, policy);
        Ok(policy)
    }

    fn change_policy(&self, collection: Option<CollectionId>, policy: Policy, is_first: bool) -> Result<()> {
        self.check_policy(policy)?;
        if collection.is_some() {
            self.check_policy(policy.over(self.own_policy(None)?))?;
        } else {
            let rows = self.0.partition.directory_rows(DIRECTORY_KIND)?;
            for (_, row) in rows.into_iter().filter(|(collection, _)| !collection.is_empty()) {
                self.check_policy(Policy::parse_row(&row)?.over(policy))?;
            }
        }
        let before = self.own_policy(collection)?;
        let mut policies = self.0.policies.write();
        let mut changes = Changes::default();
        changes.put(Table::Directory, &[&directory_key(collection)], &[&policy.encode_row()]);
        if !is_first && !policy.keeps_as(policies.get(&collection).copied().unwrap_or(before)) {
            let row = encode_pending(self.0.clock.now_ms());
            changes.put(Table::Directory, &[&pending_key(collection)], &[&row]);
        }
        // A full memtable does not hold it back: who empties that asks for policies.
        self.make_directory(changes)?;
        policies.insert(collection, policy);
        self.0.collections.note_policy();
        Ok(())
    }

    /// Refuses a policy that can't be kept.
    fn check_policy(&self, policy: Policy) -> Result<()> {
        let keeper = &self.0.keeper;
        policy.check(keeper.erasure_delay_ms(), keeper.erasure_period_ms())
    }

    /// The collection that something is put into, made where there is none, and the policy that counts for it.
    ///
    /// # Errors
    /// `InvalidArgument` where nothing is to be retained; then no collection is made.
    pub(super) fn collection_for_put(&self, name: &str) -> Result<(CollectionId, Policy)> {
        if self.find_collection(name)?.is_none() {
            self.own_policy(None)?.check_stores()?;
        }
        let id = self.need_collection(name)?;
        let policy = self.policy_of(id)?;
        policy.check_stores()?;
        Ok((id, policy))
    }

    /// The policy that counts for records of a collection.
    pub(super) fn policy_of(&self, collection: CollectionId) -> Result<Policy> {
        Ok(self.own_policy(Some(collection))?.over(self.own_policy(None)?))
    }

    /// Whether a record has expired.
    pub(super) fn has_expired(&self, times: Times) -> bool {
        times.expires_ms.is_some_and(|expires_ms| expires_ms <= self.0.clock.now_ms())
    }

    /// Reads a record, unless it has expired.
    pub(super) fn if_live<T>(
        &self,
        envelope: &[u8],
        read: impl FnOnce(&Envelope<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let envelope = Envelope::parse(envelope)?;
        (!self.has_expired(envelope.times)).then(|| read(&envelope)).transpose()
    }

    /// When the next record expires, the next period is over that has a key, the tenant is to be scrubbed, or since when a policy
    /// is not applied.
    pub(crate) fn next_due_ms(&self) -> Result<Option<u64>> {
        self.0.process.check()?;
        let period = self.periods()?.first().map(|(end_ms, _)| *end_ms);
        let scrub = self.scrub_due_ms()?;
        let pending = self.policies_pending_since_ms()?;
        let due = self.0.partition.next_due_ms()?.into_iter().chain(period).chain(scrub);
        Ok(due.chain(pending).min())
    }

    /// Removes every record that expires at a time, or before, unless it is held, and destroys the keys of the periods that
    /// are over then. The permission goes through the journal, and a checkpoint uses it; the keys go after that. Needs no
    /// content key, but where held records have to be sealed anew.
    pub(crate) fn sweep(&self, through_ms: u64) -> Result<SweepReport> {
        self.0.process.check()?;
        self.apply_before_sweep()?;
        let mut report = SweepReport::default();
        if self.0.partition.next_due_ms()?.is_some_and(|due_ms| due_ms <= through_ms) {
            let before = *self.0.partition.swept.lock();
            let mut changes = Changes::default();
            changes.sweep_through(through_ms);
            self.put_unscrubbed(&mut changes)?;
            self.make_at_once(changes, &Terms::default(), true)?;
            self.checkpoint()?;
            if self.0.partition.own.has_doomed() {
                self.destroy_doomed(&[])?;
            }
            let after = *self.0.partition.swept.lock();
            report = SweepReport { records: after.removed - before.removed, held: after.held - before.held };
        }
        let mut over = self.periods()?;
        over.retain(|(end_ms, _)| *end_ms <= through_ms);
        let held = if over.is_empty() { 0 } else { self.destroy_periods(&over, through_ms)? };
        self.0.periods_held.store(held, Ordering::Relaxed);
        Ok(report)
    }

    /// Destroys the keys of periods that are over, by their ends and slots; gives how many stay, because held records need
    /// them.
    fn destroy_periods(&self, over: &[(u64, u32)], through_ms: u64) -> Result<usize> {
        let slots: Vec<_> = over.iter().map(|(_, slot)| *slot).collect();
        let needed = self.free_periods(&slots, through_ms)?;
        let mut changes = Changes::default();
        let mut free = Vec::new();
        for (end_ms, slot) in over.iter().filter(|(_, slot)| !needed.contains(slot)) {
            unassign_period(&mut changes, *end_ms);
            free.push((SlotKind::Period, u64::from(*slot)));
        }
        if free.is_empty() {
            return Ok(needed.len());
        }
        match self.destroy_keys(changes, &free, || Ok(())) {
            // Something came since: the next sweep seals it anew.
            Err(error) if error.kind() == ErrorKind::Held => return Ok(over.len()),
            destroyed => destroyed?,
        };
        tracing::debug!(tenant = %self.0.id, periods = free.len(), "the keys of periods were destroyed");
        Ok(needed.len())
    }
}

impl Collection {
    /// The collection's policy: what it overrides of its tenant's.
    ///
    /// # Errors
    /// Those of reading.
    pub fn policy(&self) -> Result<Policy> {
        self.tenant().0.process.check()?;
        match self.tenant().find_collection(self.name())? {
            Some(id) => self.tenant().own_policy(Some(id)),
            None => Ok(Policy::new()),
        }
    }

    /// Whether the policy of the collection, or else of its tenant, says that nothing exports its records.
    ///
    /// # Errors
    /// Those of reading.
    pub fn is_secret(&self) -> Result<bool> {
        self.tenant().0.process.check()?;
        let policy = match self.tenant().find_collection(self.name())? {
            Some(id) => self.tenant().policy_of(id)?,
            None => self.tenant().own_policy(None)?,
        };
        Ok(policy.is_secret().unwrap_or(false))
    }

    /// Sets what the collection overrides of its tenant's policy, as a whole, as [`Tenant::set_policy`] does. Durable when this
    /// returns. Makes the collection, where there is none.
    ///
    /// # Errors
    /// Those of [`Tenant::set_policy`].
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.tenant().0.process.check()?;
        self.tenant().check_policy(policy)?;
        let id = self.tenant().need_collection(self.name())?;
        self.tenant().change_policy(Some(id), policy, false)
    }
}
