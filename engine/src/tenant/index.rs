//! Indexes of collections: declared, filled, searched, dropped; and what a put says of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::collection::{self, Index, IndexInfo, REMOVED_ORDER, ScanOptions, declaration_key};
use crate::crypto::random;
use crate::error::{ErrorKind, Result, fail};
use crate::id::{CollectionId, Version};
use crate::limits::{INDEX_KEYS_MAX, INDEXES_MAX, check_index_key, check_name};
use crate::partition::{
    Changes, DECLARED, IndexKey, IndexPlace, Table, change_value, dropped_index_key, encode_list, entry_data,
    entry_key, list_key, parse_list, row_key,
};
use crate::tenant::change::{Condition, Terms};
use crate::tenant::unique::Claim;
use crate::tenant::{Collection, Entry, Scan, Tenant};

/// Records whose keys [`Collection::build_index`] writes in one batch.
const BUILT_AT_ONCE: usize = 256;

/// The declarations that were seen so far.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    known: RwLock<HashMap<CollectionId, Arc<[IndexInfo]>>>,
    /// One is filled at a time: a record's list has the keys of all.
    building: Mutex<()>,
}

impl Tenant {
    /// The indexes of a collection, ordered by name.
    pub(super) fn indexes_of(&self, collection: CollectionId) -> Result<Arc<[IndexInfo]>> {
        if let Some(known) = self.0.indexes.known.read().get(&collection) {
            return Ok(Arc::clone(known));
        }
        let before = self.0.collections.changes();
        let rows = self.0.partition.snapshot()?.directory_rows_of(DECLARED, collection)?;
        let parsed: Arc<[_]> = rows
            .iter()
            .map(|(key, row)| IndexInfo::parse(key.get(CollectionId::BYTES..).unwrap_or_default(), row))
            .collect::<Result<_>>()?;
        let mut known = self.0.indexes.known.write();
        // What was read may be out of date by now; then it is not kept.
        if self.0.collections.changes() == before {
            known.insert(collection, Arc::clone(&parsed));
        }
        Ok(parsed)
    }

    /// Puts a declaration, or takes it away. The caller has the directory's turn.
    fn change_declaration(&self, changes: Changes) -> Result<()> {
        self.make_directory(changes)?;
        let mut known = self.0.indexes.known.write();
        known.clear();
        self.0.collections.note_change();
        Ok(())
    }
}

/// A row of the memtable.
pub(super) type KeyAndValue = (Vec<u8>, Vec<u8>);

/// The secondary keys that a put gives a record: rows, and what must hold for them.
pub(super) struct Indexed {
    keys: Vec<IndexKey>,
    /// Of indexes that were dropped: they stand in its list, and nowhere else.
    dropped: Vec<IndexKey>,
}

impl Indexed {
    /// Resolves the names of indexes.
    pub(super) fn resolve(
        tenant: &Tenant,
        collection: CollectionId,
        named: &[(String, Vec<u8>)],
    ) -> Result<Self> {
        if named.len() > INDEX_KEYS_MAX {
            return Err(fail!(LimitExceeded, "a record has at most {INDEX_KEYS_MAX} secondary keys"));
        }
        let known = tenant.indexes_of(collection)?;
        let mut keys: Vec<IndexKey> = Vec::with_capacity(named.len());
        for (name, key) in named {
            check_index_key(key)?;
            let info = known.iter().find(|info| info.name == *name);
            let info =
                info.ok_or_else(|| fail!(NotFound, "the collection declares no index of this name"))?;
            let key = IndexKey { index: info.id, is_unique: info.index.is_unique(), key: key.clone() };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(Self { keys, dropped: Vec::new() })
    }

    /// The keys of a list that was kept.
    pub(super) fn kept(tenant: &Tenant, collection: CollectionId, list: &[u8]) -> Result<Self> {
        let all = parse_list(list)?;
        if all.is_empty() {
            return Ok(Self { keys: all, dropped: Vec::new() });
        }
        let known = tenant.indexes_of(collection)?;
        let is_there = |key: &IndexKey| known.iter().any(|info| info.id == key.index);
        let (keys, dropped) = all.into_iter().partition(is_there);
        Ok(Self { keys, dropped })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.dropped.is_empty()
    }

    /// The rows as the memtable has them, and what they say where they come with a put.
    pub(super) fn rows(&self, collection: CollectionId, record: &[u8]) -> Vec<KeyAndValue> {
        let entry = |key| (entry_key(collection, key, record), entry_data(key, record).to_vec());
        let list = (list_key(collection, record), self.list());
        let rows = self.keys.iter().map(entry).chain([list]);
        rows.map(|(row, data)| (row_key(Table::Secondary, &row), change_value(None, &data))).collect()
    }

    fn list(&self) -> Vec<u8> {
        encode_list(&[&self.keys[..], &self.dropped].concat())
    }

    /// What must hold for the unique ones.
    pub(super) fn claims<'a>(
        &'a self,
        collection: CollectionId,
        record: &'a [u8],
    ) -> impl Iterator<Item = Claim> + 'a {
        let unique = self.keys.iter().filter(|key| key.is_unique);
        unique.map(move |key| Claim {
            row: entry_key(collection, key, record),
            collection,
            key: record.to_vec(),
        })
    }

    /// Adds the rows: of the put that they come with, or of a version that the record has already.
    pub(super) fn put(
        &self,
        changes: &mut Changes,
        collection: CollectionId,
        record: &[u8],
        version: Option<Version>,
    ) {
        for key in &self.keys {
            let value = change_value(version, entry_data(key, record));
            changes.put(Table::Secondary, &[&entry_key(collection, key, record)], &[&value]);
        }
        let list = change_value(version, &self.list());
        changes.put(Table::Secondary, &[&list_key(collection, record)], &[&list]);
    }
}

impl Collection {
    /// Declares an index: from then on puts may give records keys in it ([`crate::PutOptions::index`]). In a collection that
    /// has no records it can be searched at once; else [`Collection::build_index`] has to look at them first. Where the same
    /// is declared already, nothing is done. The collection is created if need be.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against the rules of collections' names; `AlreadyExists` where one of another kind has the
    /// name; `LimitExceeded` beyond 32 indexes; those of writing.
    pub fn declare_index(&self, name: &str, index: Index) -> Result<()> {
        let tenant = self.tenant();
        tenant.check_usable()?;
        check_name("index", name)?;
        let collection = tenant.need_collection(self.name())?;
        let _changing = tenant.0.collections.turn();
        let known = tenant.indexes_of(collection)?;
        if let Some(info) = known.iter().find(|info| info.name == name) {
            if info.index == index {
                return Ok(());
            }
            return Err(fail!(
                AlreadyExists,
                "the collection has an index of this name and another kind already"
            ));
        }
        if known.len() >= INDEXES_MAX {
            return Err(fail!(LimitExceeded, "a collection has at most {INDEXES_MAX} indexes"));
        }
        let id = u64::from_be_bytes(random(&*tenant.0.entropy)?);
        if id == 0 || id == REMOVED_ORDER || known.iter().any(|info| info.id == id) {
            return Err(fail!(Internal, "the generator of random bytes repeated an index's id"));
        }
        let created_ms = tenant.0.clock.now_ms();
        let info = IndexInfo { name: name.to_owned(), index, created_ms, is_ready: false, id };
        self.put_declaration(collection, &info)?;
        if self.count(ScanOptions::new().limit(1))? == 0 {
            self.put_declaration(collection, &IndexInfo { is_ready: true, ..info })?;
        }
        Ok(())
    }

    fn put_declaration(&self, collection: CollectionId, info: &IndexInfo) -> Result<()> {
        if self.tenant().was_dropped(collection) {
            return Err(fail!(NotFound, "the collection was dropped meanwhile"));
        }
        let mut changes = Changes::default();
        let key = declaration_key(collection, &info.name);
        changes.put(Table::Directory, &[&[DECLARED], &key], &[&info.encode()]);
        self.tenant().change_declaration(changes)
    }

    /// Drops an index: it is gone at once, its bytes with the next checkpoint. Records stay as they are.
    ///
    /// # Errors
    /// `NotFound`; those of writing.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        let tenant = self.tenant();
        let _changing = tenant.0.collections.turn();
        let (place, _) = self.need_index(name)?;
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&[DECLARED], &declaration_key(place.collection, name)]);
        let mark = collection::encode_mark(tenant.0.clock.now_ms());
        changes.put(Table::Directory, &[&dropped_index_key(place)], &[&mark]);
        tenant.change_declaration(changes)
    }

    /// The indexes that are declared, ordered by name. Where the store is open for maintenance, with digests of their names.
    ///
    /// # Errors
    /// Those of reading.
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let tenant = self.tenant();
        tenant.0.process.check()?;
        match tenant.find_collection(self.name())? {
            Some(collection) => {
                let mut known = tenant.indexes_of(collection)?.to_vec();
                for info in &mut known {
                    if let Some(digests) = &tenant.0.digests {
                        info.name = digests.of(&info.name);
                    }
                }
                Ok(known)
            }
            None => Ok(Vec::new()),
        }
    }

    fn need_index(&self, name: &str) -> Result<(IndexPlace, IndexInfo)> {
        let tenant = self.tenant();
        tenant.check_usable()?;
        let missing = || fail!(NotFound, "the collection declares no index of this name");
        let collection = tenant.find_collection(self.name())?.ok_or_else(missing)?;
        let known = tenant.indexes_of(collection)?;
        let info = known.iter().find(|info| info.name == name).ok_or_else(missing)?;
        Ok((IndexPlace { collection, index: info.id }, info.clone()))
    }

    /// The records that have a key in an index, in the order of their own keys: at most one where the index is unique.
    ///
    /// # Errors
    /// `NotFound` where no such index is declared; `Unavailable` where it is not built yet; those of
    /// [`Collection::scan_with`].
    pub fn find(&self, index: &str, key: impl AsRef<[u8]>) -> Result<Scan> {
        let key = key.as_ref();
        self.find_range(index, ScanOptions::new().range(key..=key))
    }

    /// The records whose keys in an index lie in the range of `options` and begin with its prefix, in the order of these
    /// keys, and then of their own. A record with several such keys comes several times. Pages go on behind
    /// [`Scan::cursor`].
    ///
    /// # Errors
    /// Those of [`Collection::find`].
    #[allow(clippy::needless_pass_by_value, reason = "options are built for one call")]
    pub fn find_range(&self, index: &str, options: ScanOptions) -> Result<Scan> {
        let (place, info) = self.need_index(index)?;
        if !info.is_ready {
            return Err(fail!(
                Unavailable,
                "the index was declared over records that were there before: build it"
            ));
        }
        let snapshot = Arc::new(self.tenant().0.partition.snapshot()?);
        Scan::of_index(self.tenant(), &snapshot, place, &options)
    }

    /// Gives the records that were there before an index their keys in it, and makes it ready to be searched. Others read
    /// and write meanwhile: what was put since the index was declared keeps the keys it was put with, if it has any in the
    /// index. An error leaves what was done so far, and the same call goes on. Gives the number of records that got keys.
    ///
    /// `keys` gives the keys of a record. `progress` gets the number of records looked at.
    ///
    /// # Errors
    /// `Conflict` where two records have one key in a unique index; those of `keys`, [`Collection::find`] and writing.
    pub fn build_index(
        &self,
        name: &str,
        keys: &mut dyn FnMut(&Entry) -> Result<Vec<Vec<u8>>>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        let tenant = self.tenant();
        let _building = tenant.0.indexes.building.lock();
        let (place, info) = self.need_index(name)?;
        let mut built = 0;
        let (mut looked_at, mut after) = (0, None);
        loop {
            let mut options = ScanOptions::new().limit(BUILT_AT_ONCE);
            options.after = after;
            let mut scan = self.scan_with(options)?;
            let entries = scan.by_ref().collect::<Result<Vec<_>>>()?;
            after = scan.cursor()?;
            match self.build(place, &info, &entries, keys) {
                Ok(count) => built += count,
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    for entry in &entries {
                        built += self.build_one(place, &info, &entry.key, keys)?;
                    }
                }
                Err(error) => return Err(error),
            }
            looked_at += entries.len() as u64;
            progress(looked_at);
            if after.is_none() {
                break;
            }
        }
        let _changing = tenant.0.collections.turn();
        // It may have been dropped meanwhile.
        let (_, info) = self.need_index(name)?;
        if info.id == place.index && !info.is_ready {
            self.put_declaration(place.collection, &IndexInfo { is_ready: true, ..info })?;
        }
        Ok(built)
    }

    /// One record, until it is not changed meanwhile.
    fn build_one(
        &self,
        place: IndexPlace,
        info: &IndexInfo,
        record: &[u8],
        keys: &mut dyn FnMut(&Entry) -> Result<Vec<Vec<u8>>>,
    ) -> Result<u64> {
        loop {
            let scan = self.scan_with(ScanOptions::new().range(record..=record))?;
            let entries = scan.collect::<Result<Vec<_>>>()?;
            let made = self.build(place, info, &entries, keys);
            match made {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let now = self.info(record)?.map(|info| info.version);
                    if now == entries.first().map(|entry| entry.info.version) {
                        return Err(error);
                    }
                }
                made => return made,
            }
        }
    }

    /// The records of one batch, where they still have the versions they were read in.
    fn build(
        &self,
        place: IndexPlace,
        info: &IndexInfo,
        entries: &[Entry],
        keys: &mut dyn FnMut(&Entry) -> Result<Vec<Vec<u8>>>,
    ) -> Result<u64> {
        let tenant = self.tenant();
        let (mut changes, mut terms) = (Changes::default(), Terms::default());
        let mut count = 0;
        for entry in entries {
            let version = entry.info.version;
            let list = tenant.0.partition.list_of(place.collection, &entry.key, version)?;
            if list.iter().any(|key| key.index == place.index) {
                continue;
            }
            let mut indexed = Indexed { keys: list, dropped: Vec::new() };
            for key in keys(entry)? {
                check_index_key(&key)?;
                let key = IndexKey { index: place.index, is_unique: info.index.is_unique(), key };
                if !indexed.keys.contains(&key) {
                    indexed.keys.push(key);
                }
            }
            if !indexed.keys.iter().any(|key| key.index == place.index) {
                continue;
            }
            if indexed.keys.len() > INDEX_KEYS_MAX {
                return Err(fail!(LimitExceeded, "a record has at most {INDEX_KEYS_MAX} secondary keys"));
            }
            indexed.put(&mut changes, place.collection, &entry.key, Some(version));
            terms.claims.extend(indexed.claims(place.collection, &entry.key));
            let (collection, key) = (place.collection, entry.key.clone());
            terms.conditions.push(Condition {
                collection,
                key,
                expected: Some(version),
                salt: None,
                is_own: false,
            });
            count += 1;
        }
        if count > 0 {
            tenant.make(changes, &terms, true)?;
        }
        Ok(count)
    }
}
