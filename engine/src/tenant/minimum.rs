//! The least that records are kept, and what becomes of those that another is put over: what everything asks that erases,
//! removes or overwrites records because somebody wants it.

use crate::collection::ScanOptions;
use crate::error::{Result, fail};
use crate::id::CollectionId;
use crate::partition::{RemovedRow, Table, split_row_key};
use crate::record::Envelope;
use crate::retention::{DIRECTORY_KIND, Policy};
use crate::tenant::rekey::{PASSES, envelope_of};
use crate::tenant::{Batch, Tenant};

impl Batch {
    /// Asks whether a record may be put over the one that is there, and keeps that one where the policy says so.
    pub(super) fn replace(&mut self, id: CollectionId, key: &[u8], policy: Policy) -> Result<()> {
        if !policy.has_minimum() && !policy.keeps_overwritten() || self.has_changed(id, key) {
            return Ok(());
        }
        let found = self.tenant.movable(id, key)?;
        if let Some(found) = &found {
            self.tenant.check_age(policy, &found.envelope)?;
            if policy.keeps_overwritten() {
                return self.move_to_removed(id, key, found, false);
            }
        }
        self.require_same(id, key, found.as_ref())
    }

    /// Asks whether the record of a key may be erased, and what was removed of it.
    pub(super) fn check_erasure(&mut self, id: CollectionId, key: &[u8]) -> Result<()> {
        let policy = self.tenant.policy_of(id)?;
        if !policy.has_minimum() {
            return Ok(());
        }
        for (_, value) in self.tenant.0.partition.snapshot()?.removed_of(id, key)? {
            self.tenant.check_age(policy, RemovedRow::parse(&value)?.envelope)?;
        }
        if self.has_changed(id, key) {
            return Ok(());
        }
        let found = self.tenant.movable(id, key)?;
        if let Some(found) = &found {
            self.tenant.check_age(policy, &found.envelope)?;
        }
        self.require_same(id, key, found.as_ref())
    }
}

impl Tenant {
    /// Refuses what the policy still keeps.
    pub(super) fn check_age(&self, policy: Policy, envelope: &[u8]) -> Result<()> {
        self.check_written(policy, Envelope::parse(envelope)?.times.written_ms)
    }

    /// The same of what was written at a time.
    pub(super) fn check_written(&self, policy: Policy, written_ms: u64) -> Result<()> {
        match policy.kept_until_ms(written_ms) {
            Some(until_ms) if until_ms > self.0.clock.now_ms() => Err(fail!(
                Held,
                "the policy keeps a record until {until_ms} ms since the epoch, which is to be erased, removed or put over before"
            )),
            _ => Ok(()),
        }
    }

    /// Refuses to drop a collection that has a record which the policy still keeps.
    pub(super) fn check_drop(&self, id: CollectionId) -> Result<()> {
        let policy = self.policy_of(id)?;
        if !policy.has_minimum() {
            return Ok(());
        }
        let snapshot = self.0.partition.snapshot()?;
        let whole = ScanOptions::new();
        for (table, bounds) in
            [(Table::Records, whole.row_bounds(id)), (Table::Removed, whole.removed_bounds(id, &[]))]
        {
            let Some((from, to)) = bounds else { continue };
            for row in snapshot.scan(table, &from, &to, false)? {
                self.check_age(policy, envelope_of(table, &row?)?)?;
            }
        }
        Ok(())
    }

    /// Refuses to destroy the key of a subject of which there is a record that a policy still keeps.
    pub(super) fn check_subject(&self, slot: u64) -> Result<()> {
        if !self.has_minimum()? {
            return Ok(());
        }
        for row in self.records_of_subject(slot)? {
            let (table, row) = row?;
            let (id, _) = split_row_key(&row.key)?;
            self.check_age(self.policy_of(id)?, envelope_of(table, &row)?)?;
        }
        Ok(())
    }

    /// Whether the tenant has a policy with a minimum.
    pub(crate) fn has_minimum(&self) -> Result<bool> {
        let rows = self.0.partition.directory_rows(DIRECTORY_KIND)?;
        let policies = rows.iter().map(|(_, row)| Policy::parse_row(row)).collect::<Result<Vec<_>>>()?;
        Ok(policies.into_iter().any(Policy::has_minimum))
    }

    /// Whether a policy keeps any of the tenant's records: then the tenant as a whole is not destroyed. Looks at every record,
    /// if any policy has a minimum.
    ///
    /// # Errors
    /// `Held`; those of reading.
    pub(crate) fn refuse_if_kept(&self) -> Result<()> {
        if !self.has_minimum()? {
            return Ok(());
        }
        self.walk(&PASSES, |table, row| {
            let (id, _) = split_row_key(&row.key)?;
            self.check_age(self.policy_of(id)?, envelope_of(table, row)?).map(|()| true)
        })
        .map(|_| ())
    }
}
