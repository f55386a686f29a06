//! A tenant's collections by name: created, renamed, dropped.
//!
//! All of it is rows of the directory, changed by one at a time. A put that resolved a name before its collection was
//! dropped must not be made after: each batch remembers what it resolved, and the leader looks again where anything was
//! dropped since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::collection::{self, CollectionInfo, QUOTA_KIND, quota_key};
use crate::crypto::random;
use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::limits::check_name;
use crate::partition::{
    Changes, DECLARED, InMemory, Partition, Table, Usage, dropped_key, dropped_row, own_row,
};
use crate::retention;
use crate::tenant::quota::{Demands, Quotas};
use crate::tenant::{Collection, Tenant};

/// The collections of a tenant that were seen so far.
#[derive(Debug, Default)]
pub(super) struct Collections {
    names: RwLock<HashMap<String, CollectionId>>,
    /// Whose turn it is to change the directory.
    changing: Mutex<()>,
    drops: Arc<Drops>,
}

impl Collections {
    /// The turn to change the directory.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// How often something that is remembered was changed.
    pub(super) fn changes(&self) -> u64 {
        self.drops.count.load(Ordering::Acquire)
    }

    /// How often a policy was changed since the tenant was opened.
    pub(super) fn policy_changes(&self) -> u64 {
        self.drops.policies.load(Ordering::Acquire)
    }

    /// A policy was changed: what was begun under an older one is refused from here on.
    pub(super) fn note_policy(&self) {
        self.drops.policies.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes such a change, under the lock of what remembers it.
    pub(super) fn note_change(&self) {
        self.drops.count.fetch_add(1, Ordering::AcqRel);
    }
}

/// What was dropped since the tenant was opened.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// Drops that are on their way through the journal.
    under_way: AtomicUsize,
    /// The one into which nothing is put any more, while it is decided whether it may be dropped.
    closed: RwLock<Option<CollectionId>>,
    /// Grows after each.
    count: AtomicU64,
    /// Grows with each change of a policy.
    policies: AtomicU64,
    ids: RwLock<HashSet<CollectionId>>,
}

impl Drops {
    pub(super) fn contains(&self, collection: CollectionId) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.ids.read().contains(&collection)
    }
}

/// What a batch puts into, and since when that is known.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    drops: Arc<Drops>,
    since: u64,
    policies_since: u64,
    quotas: Arc<Quotas>,
    /// Each with what is put into it, at the most.
    collections: Vec<(CollectionId, Usage)>,
}

impl Targets {
    /// Before any name is resolved.
    pub(super) fn new(tenant: &Tenant) -> Self {
        let drops = Arc::clone(&tenant.0.collections.drops);
        let (since, quotas) = (drops.count.load(Ordering::Acquire), Arc::clone(&tenant.0.quotas));
        let policies_since = drops.policies.load(Ordering::Acquire);
        Self { since, policies_since, drops, quotas, collections: Vec::new() }
    }

    /// A record is put.
    pub(super) fn add(&mut self, collection: CollectionId, record: Usage) {
        match self.collections.iter_mut().find(|(known, _)| *known == collection) {
            Some((_, usage)) => *usage = usage.plus(record),
            None => self.collections.push((collection, record)),
        }
    }

    /// A record that is there is sealed anew, removed or restored: that takes no more room.
    pub(super) fn add_moved(&mut self, collection: CollectionId) {
        self.add(collection, Usage::default());
    }

    /// What quotas have to say.
    pub(super) fn demands(&self, partition: &Partition, bytes: &Bytes) -> Result<Demands> {
        let grows = |(_, usage): &&(CollectionId, Usage)| usage.records > 0;
        let growing: Vec<_> = self.collections.iter().filter(grows).copied().collect();
        self.quotas.demands(partition, bytes, &growing)
    }

    /// Whether a policy was changed since, by which it may have been made.
    pub(super) fn are_outdated(&self) -> bool {
        !self.collections.is_empty() && self.drops.policies.load(Ordering::Acquire) != self.policies_since
    }

    /// Whether anything was dropped since, or may be now.
    pub(super) fn may_be_dropped(&self) -> bool {
        !self.collections.is_empty()
            && (self.drops.under_way.load(Ordering::Acquire) > 0
                || self.drops.count.load(Ordering::Acquire) != self.since)
    }

    /// One of them that was dropped, as a leader sees it, in memory.
    pub(super) fn dropped(&self, partition: &Partition) -> Option<CollectionId> {
        let is_dropped = |collection: &CollectionId| {
            let (_, mark) = partition.version_in_memory(&dropped_row(*collection));
            self.drops.contains(*collection)
                || *self.drops.closed.read() == Some(*collection)
                || matches!(mark, InMemory::There(_))
        };
        self.collections.iter().map(|(collection, _)| *collection).find(is_dropped)
    }
}

impl Tenant {
    /// Makes an empty collection; a put makes one too where there is none of the name.
    ///
    /// # Errors
    /// `AlreadyExists`; `InvalidArgument` for a name against the rules of [`Tenant::collection`]; those of writing.
    pub fn create_collection(&self, name: &str) -> Result<Collection> {
        self.check_usable()?;
        check_name("collection", name)?;
        let _changing = self.0.collections.changing.lock();
        if self.find_collection(name)?.is_some() {
            return Err(fail!(AlreadyExists, "there is a collection of this name already"));
        }
        self.add_collection(name)?;
        self.collection(name)
    }

    /// Gives a collection another name: its records stay where they are. Durable when this returns. A handle means the
    /// collection that has its name when it is used: those of the old name find nothing from then on, and a put through one
    /// makes a new collection.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` where there is one of the new name; `InvalidArgument` for a name against the rules; those
    /// of writing.
    pub fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.check_usable()?;
        check_name("collection", to)?;
        let known = &self.0.collections;
        let _changing = known.changing.lock();
        let row = self.need_row(from)?;
        if self.find_collection(to)?.is_some() {
            return Err(fail!(AlreadyExists, "there is a collection of the new name already"));
        }
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&collection::directory_key(from)]);
        changes.put(Table::Directory, &[&collection::directory_key(to)], &[&row]);
        self.make_directory(changes)?;
        let mut names = known.names.write();
        names.remove(from);
        known.drops.count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Drops a collection: all of its records are gone at once, for snapshots and scans under way too. Durable when this
    /// returns, and made whole or not at all. The bytes go out of the tenant's file with its next checkpoint, what is left of
    /// them with the next rewrite. Of the same name there can be a new one at once.
    ///
    /// A put into it that is under way is made before, or refused (`Conflict`).
    ///
    /// # Errors
    /// `NotFound`; `Held` where a hold covers the collection, or anything in it, or the policy still keeps a record of it; those
    /// of writing.
    pub fn drop_collection(&self, name: &str) -> Result<Version> {
        self.check_usable()?;
        let known = &self.0.collections;
        let _changing = known.changing.lock();
        let info = collection::parse_row(name.as_bytes(), &self.need_row(name)?)?;
        self.check_drop(info.id)?;
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&collection::directory_key(name)]);
        changes.delete(Table::Directory, &[&retention::directory_key(Some(info.id))]);
        changes.delete(Table::Directory, &[&retention::pending_key(Some(info.id))]);
        changes.delete(Table::Directory, &[&[QUOTA_KIND], &quota_key(Some(info.id))]);
        changes.delete(Table::Directory, &[&own_row(info.id)]);
        let mark = dropped_key(info.id);
        changes.put(Table::Directory, &[&mark], &[&collection::encode_mark(self.0.clock.now_ms())]);
        for index in self.indexes_of(info.id)?.iter() {
            let key = collection::declaration_key(info.id, &index.name);
            changes.delete(Table::Directory, &[&[DECLARED], &key]);
        }
        self.put_unscrubbed(&mut changes)?;
        known.drops.under_way.fetch_add(1, Ordering::AcqRel);
        *known.drops.closed.write() = Some(info.id);
        // What was put before is in effect after this, for who asks whether any of it is held.
        self.0.lane.pause(|| ());
        // So it is with what a policy keeps, which is looked for once more.
        let made = self.check_drop(info.id).and_then(|()| self.make_directory(changes));
        if made.is_ok() {
            known.drops.ids.write().insert(info.id);
            self.0.quotas.forget(info.id);
            let mut names = known.names.write();
            names.remove(name);
            known.drops.count.fetch_add(1, Ordering::AcqRel);
        }
        *known.drops.closed.write() = None;
        known.drops.under_way.fetch_sub(1, Ordering::AcqRel);
        if made.is_ok() && self.0.partition.own.may_have(info.id) {
            // What it removes says which keys these are.
            self.checkpoint()?;
            self.destroy_doomed(&[])?;
        }
        made
    }

    fn need_row(&self, name: &str) -> Result<Vec<u8>> {
        let row = self.0.partition.directory_row(&collection::directory_key(name))?;
        row.ok_or_else(|| fail!(NotFound, "there is no collection of this name"))
    }

    /// The collections there are, ordered by name. Where the store is open for maintenance, with digests of their names.
    ///
    /// # Errors
    /// Those of reading.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let mut collections = self.listed_collections()?;
        if let Some(digests) = &self.0.digests {
            collections = collections.iter().map(|info| digests.collection(info)).collect();
        }
        Ok(collections)
    }

    /// [`Tenant::collections`] by their names.
    pub(super) fn listed_collections(&self) -> Result<Vec<CollectionInfo>> {
        self.0.process.check()?;
        let rows = self.0.partition.directory_rows(collection::DIRECTORY_KIND)?;
        rows.iter().map(|(name, row)| collection::parse_row(name, row)).collect()
    }

    /// Whether a collection was dropped while a reader of it was under way.
    pub(super) fn was_dropped(&self, collection: CollectionId) -> bool {
        self.0.collections.drops.contains(collection)
    }

    /// A collection's id, if there is one of the name.
    pub(super) fn find_collection(&self, name: &str) -> Result<Option<CollectionId>> {
        let known = &self.0.collections;
        if let Some(id) = known.names.read().get(name) {
            return Ok(Some(*id));
        }
        let before = known.drops.count.load(Ordering::Acquire);
        let Some(row) = self.0.partition.directory_row(&collection::directory_key(name))? else {
            return Ok(None);
        };
        let info = collection::parse_row(name.as_bytes(), &row)?;
        let mut names = known.names.write();
        // What was read may be out of date by now; then it is not kept.
        if known.drops.count.load(Ordering::Acquire) == before {
            names.insert(info.name, info.id);
        }
        Ok(Some(info.id))
    }

    /// A collection's id; it is created if need be, in a batch of its own.
    pub(super) fn need_collection(&self, name: &str) -> Result<CollectionId> {
        if let Some(id) = self.find_collection(name)? {
            return Ok(id);
        }
        let _changing = self.0.collections.changing.lock();
        match self.find_collection(name)? {
            Some(id) => Ok(id),
            None => self.add_collection(name),
        }
    }

    /// Creates a collection. The caller has the directory's turn, and there is none of the name.
    fn add_collection(&self, name: &str) -> Result<CollectionId> {
        let taken: Vec<_> = self.listed_collections()?.iter().map(|info| info.id).collect();
        let id = CollectionId(u64::from_be_bytes(random(&*self.0.entropy)?));
        if taken.contains(&id) || self.was_dropped(id) {
            return Err(fail!(Internal, "the generator of random bytes repeated a collection's id"));
        }
        let row = collection::encode_row(id, self.0.clock.now_ms());
        self.put_directory([(collection::directory_key(name), row)])?;
        self.0.collections.names.write().insert(name.to_owned(), id);
        Ok(id)
    }
}
