//! What keeps records, and what erases all of somebody's: holds, policies, subjects, compared with the model.

use std::time::Duration;

use strongroom::{Erasure, ErrorKind, Policy, PutOptions, RekeyOptions, Result, Selector, Tenant};

use crate::state::{Keeping, Kept, State};
use crate::{COLLECTIONS, OWN_KEYS, WINDOW_MS, World, key_of, options_for};

/// Retention and maximum that a tenant has by turns, in milliseconds.
const KEEPING: [(Option<u64>, Option<u64>); 5] = [
    (None, None),
    (Some(30_000), None),
    (Some(60_000), Some(40_000)),
    (None, Some(20_000)),
    (Some(90_000), None),
];

/// The name of a subject.
pub(crate) fn subject_of(subject: u8) -> String {
    format!("subject-{}", subject % 3)
}

fn hold_name(name: u8) -> String {
    format!("case-{}", name % 2)
}

/// Compares what a hold refused, or did not, with what the model says; `None` where it refused.
pub(crate) fn unless_held<T>(result: Result<T>, kept: Kept) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Held => {
            assert_ne!(kept, Kept::No, "what nothing holds was refused");
            Ok(None)
        }
        Err(error) => Err(error),
        Ok(made) => {
            assert_ne!(kept, Kept::Yes, "what a hold covers was erased or put over");
            Ok(Some(made))
        }
    }
}

/// The policy of a tenant that keeps so.
pub(crate) fn policy_of(tenant: usize, keeping: Keeping) -> Policy {
    // Records of one of them have keys of their own.
    let erasure = if tenant == OWN_KEYS { Erasure::Record } else { Erasure::Shared };
    let mut policy = Policy::new().removal_window(Duration::from_millis(WINDOW_MS)).erasure(erasure);
    if let Some(time_ms) = keeping.retention_ms {
        policy = policy.retention(Duration::from_millis(time_ms));
    }
    if let Some(time_ms) = keeping.maximum_ms {
        policy = policy.maximum(Duration::from_millis(time_ms));
    }
    policy
}

/// How a tenant keeps, once what was interrupted is done.
pub(crate) fn keeping_of(tenant: &Tenant) -> Result<Keeping> {
    assert!(tenant.apply_policies(RekeyOptions::new(), &mut |_, _| {})?.is_complete);
    let policy = tenant.policy()?;
    let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap());
    Ok(Keeping { retention_ms: ms(policy.retention_time()), maximum_ms: ms(policy.maximum_time()) })
}

impl World {
    /// The puts and erasures of a batch, one of which a hold may keep from being made.
    pub(crate) fn kept_of_batch<'a>(
        before: &State,
        puts: impl Iterator<Item = ((usize, usize), &'a [u8])>,
        erases: impl Iterator<Item = ((usize, usize), &'a [u8])>,
    ) -> Kept {
        let puts = puts.map(|(place, key)| before.kept(place, key, false));
        puts.chain(erases.map(|(place, key)| before.kept(place, key, true))).max().unwrap_or(Kept::No)
    }

    pub(crate) fn hold(
        &mut self,
        tenant: u8,
        name: u8,
        (collection, key, scope): (u8, u8, u8),
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = COLLECTIONS[usize::from(collection) % COLLECTIONS.len()];
        let selector = match scope % 8 {
            0 => Selector::Tenant,
            1 => Selector::collection(collection),
            2 | 3 => Selector::prefix(collection, &key_of(key)[..6]),
            4 | 5 => Selector::Subject(subject_of(key)),
            _ => Selector::record(collection, key_of(key)),
        };
        let mut after = self.tenants[tenant].newest().clone();
        let is_new = after.holds.insert(hold_name(name), selector.clone()).is_none();
        if is_new {
            self.tenants[tenant].under_way = vec![after];
        }
        match handle.hold(&hold_name(name), selector) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                assert!(!is_new, "there is no such hold");
            }
            // The collection; what was put into it was lost.
            Err(error) if error.kind() == ErrorKind::NotFound => self.tenants[tenant].under_way.clear(),
            placed => {
                placed?;
                assert!(is_new, "there is a hold of this name");
                self.acknowledge(tenant, true);
            }
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, tenant: u8, name: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let mut after = self.tenants[tenant].newest().clone();
        let was_there = after.holds.remove(&hold_name(name)).is_some();
        if was_there {
            self.tenants[tenant].under_way = vec![after];
        }
        match handle.release_hold(&hold_name(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(!was_there, "there is such a hold");
            }
            released => {
                released?;
                assert!(was_there, "there is no such hold");
                self.acknowledge(tenant, true);
            }
        }
        Ok(())
    }

    pub(crate) fn put_of(
        &mut self,
        tenant: u8,
        (collection, key, length): (u8, u8, u16),
        subject: u8,
    ) -> Result<()> {
        let subject = subject % 3;
        let options = move |options: PutOptions| options.subject(subject_of(subject));
        self.put_as(tenant, (collection, key, length), (None, Some(subject)), options)
    }

    pub(crate) fn erase_subject(&mut self, tenant: u8, subject: u8) -> Result<()> {
        let subject = subject % 3;
        let (tenant, handle) = self.tenant(tenant)?;
        let mut after = self.tenants[tenant].newest().at(self.now_ms);
        let kept = after.kept_of(subject);
        let count = after.erase_subject(subject);
        self.tenants[tenant].under_way = if kept == Kept::Yes { Vec::new() } else { vec![after] };
        match unless_held(handle.erase_subject(&subject_of(subject)), kept)? {
            None => self.tenants[tenant].under_way.clear(),
            Some(was_there) => {
                assert!(was_there || count == 0, "the subject has records");
                // Of somebody who is not there nothing is written.
                self.acknowledge(tenant, was_there);
            }
        }
        Ok(())
    }

    pub(crate) fn set_policy(&mut self, tenant: u8, policy: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let (retention_ms, maximum_ms) = KEEPING[usize::from(policy) % KEEPING.len()];
        let keeping = Keeping { retention_ms, maximum_ms };
        let mut after = self.tenants[tenant].newest().at(self.now_ms);
        after.keep_as(keeping, self.now_ms);
        self.tenants[tenant].under_way = vec![after];
        handle.set_policy(policy_of(tenant, keeping))?;
        assert_eq!(keeping_of(&handle)?, keeping);
        self.acknowledge(tenant, true);
        Ok(())
    }

    /// Puts a record with options of which the model is told: when it expires, and whose it is.
    pub(crate) fn put_as(
        &mut self,
        tenant: u8,
        (collection, key, length): (u8, u8, u16),
        (expires_ms, subject): (Option<u64>, Option<u8>),
        with: impl Fn(PutOptions) -> PutOptions,
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let before = self.tenants[tenant].newest().at(self.now_ms);
        let (batch, mut after) = self.batch(tenant, &[(collection, key, length)], &before);
        let (name, key, value) = &batch[0];
        let place = (tenant, usize::from(collection) % COLLECTIONS.len());
        let record = self.record(tenant, value, expires_ms);
        after.put(place, key, crate::state::Record { subject, ..record });
        let collection = Self::indexed(&handle, name)?;
        let kept = before.kept(place, key, false);
        self.tenants[tenant].under_way = if kept == Kept::Yes { Vec::new() } else { vec![after] };
        let Some(version) = unless_held(collection.put_with(key, value, with(options_for(value))), kept)?
        else {
            self.tenants[tenant].under_way.clear();
            return Ok(());
        };
        self.note(version);
        self.acknowledge(tenant, true);
        Ok(())
    }
}
