//! How long a tenant keeps its records: policies, what has expired, and the sweep.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;

use crate::error::Result;
use crate::id::CollectionId;
use crate::keys::SlotKind;
use crate::partition::{Changes, Table};
use crate::record::{Envelope, Times};
use crate::retention::{Policy, directory_key};
use crate::tenant::change::Terms;
use crate::tenant::slots::unassign_period;
use crate::tenant::{Collection, Tenant};

/// Policies seen so far: the tenant's, and those of collections. Locked while one is read or changed, so that what is kept
/// here is what the last change said.
pub(super) type Policies = RwLock<HashMap<Option<CollectionId>, Policy>>;

impl Tenant {
    /// The tenant's policy.
    ///
    /// # Errors
    /// Those of reading.
    pub fn policy(&self) -> Result<Policy> {
        self.0.process.check()?;
        self.own_policy(None)
    }

    /// Sets the tenant's policy, as a whole: for records that are put from now on, in all collections that do not override
    /// it. Durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` for a time of 0; those of writing.
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.0.process.check()?;
        self.change_policy(None, policy)
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

    fn change_policy(&self, collection: Option<CollectionId>, policy: Policy) -> Result<()> {
        policy.check()?;
        let mut policies = self.0.policies.write();
        let mut changes = Changes::default();
        changes.put(Table::Directory, &[&directory_key(collection)], &[&policy.encode_row()]);
        self.make(changes, &Terms::default(), true)?;
        policies.insert(collection, policy);
        Ok(())
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

    /// When the next record expires, or the next period is over that has a key.
    pub(crate) fn next_due_ms(&self) -> Result<Option<u64>> {
        self.0.process.check()?;
        let period = self.periods()?.first().map(|(end_ms, _)| *end_ms);
        Ok(self.0.partition.next_due_ms()?.into_iter().chain(period).min())
    }

    /// Removes every record that expires at a time, or before, and destroys the keys of the periods that are over then; gives
    /// how many records it was. The permission goes through the journal, and a checkpoint uses it; the keys go after that.
    /// Needs no content key.
    pub(crate) fn sweep(&self, through_ms: u64) -> Result<u64> {
        self.0.process.check()?;
        let mut count = 0;
        if self.0.partition.next_due_ms()?.is_some_and(|due_ms| due_ms <= through_ms) {
            let swept = &self.0.partition.swept;
            let before = swept.load(Ordering::Relaxed);
            let mut changes = Changes::default();
            changes.sweep_through(through_ms);
            self.make_at_once(changes, &Terms::default(), true)?;
            self.checkpoint()?;
            count = swept.load(Ordering::Relaxed) - before;
        }
        let mut changes = Changes::default();
        let mut over = Vec::new();
        for (end_ms, slot) in self.periods()?.into_iter().take_while(|(end_ms, _)| *end_ms <= through_ms) {
            unassign_period(&mut changes, end_ms);
            over.push((SlotKind::Period, slot.into()));
        }
        if !over.is_empty() {
            self.destroy_keys(changes, &over)?;
            tracing::debug!(tenant = %self.0.id, periods = over.len(), "the keys of periods were destroyed");
        }
        Ok(count)
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

    /// Sets what the collection overrides of its tenant's policy, as a whole: for records that are put from now on. Durable
    /// when this returns. Makes the collection, where there is none.
    ///
    /// # Errors
    /// `InvalidArgument` for a time of 0; those of writing.
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.tenant().0.process.check()?;
        policy.check()?;
        let id = self.tenant().need_collection(self.name())?;
        self.tenant().change_policy(Some(id), policy)
    }
}
