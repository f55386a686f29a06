//! Fresh stores of both systems, each in a directory of its own.

use redb::Database;
use strongroom::{Collection, Config, Engine, KeyFile, Tenant, TenantOptions};
use tempfile::TempDir;

use crate::race::Course;
use crate::race::keys::{KEY_BYTES, value};
use crate::{Commit, RECORDS, Raw};

/// The name of every collection here.
pub(super) const COLLECTION: &str = "records";

/// An empty database of redb's.
pub(super) struct RawStore {
    db: Database,
    value: Vec<u8>,
    _directory: TempDir,
}

impl RawStore {
    pub(super) fn create(course: &Course) -> Self {
        let directory = tempfile::tempdir_in(&course.directory).expect("a directory is made");
        let mut builder = redb::Builder::new();
        builder.set_cache_size(course.cache_bytes);
        let db = builder.create(directory.path().join("records.redb")).expect("the database is created");
        let transaction = db.begin_write().expect("begins");
        transaction.open_table(RECORDS).expect("the table is made");
        transaction.commit().expect("commits");
        Self { db, value: value(), _directory: directory }
    }

    /// One durable one-phase commit.
    pub(super) fn put(&self, key: &[u8; KEY_BYTES]) {
        Raw::put(&self.db, std::iter::once(&key[..]), &self.value, Commit::OnePhase);
    }

    /// The same of many records.
    pub(super) fn put_batch(&self, keys: &[[u8; KEY_BYTES]]) {
        Raw::put(&self.db, keys.iter().map(|key| &key[..]), &self.value, Commit::OnePhase);
    }

    /// One commit that nothing waits for.
    pub(super) fn put_buffered(&self, key: &[u8; KEY_BYTES]) {
        let mut transaction = self.db.begin_write().expect("begins");
        transaction.set_durability(redb::Durability::None).expect("takes it");
        transaction
            .open_table(RECORDS)
            .expect("opens the table")
            .insert(&key[..], &self.value[..])
            .expect("inserts");
        transaction.commit().expect("commits");
    }
}

/// An empty store of the engine's.
pub(super) struct SealedStore {
    pub(super) engine: Engine,
    pub(super) value: Vec<u8>,
    _directory: TempDir,
}

impl SealedStore {
    pub(super) fn create(course: &Course) -> Self {
        let directory = tempfile::tempdir_in(&course.directory).expect("a directory is made");
        let config = Config::new(directory.path().join("store"))
            .key_provider("default", KeyFile::at(directory.path().join("root-key")))
            .cache_bytes(course.cache_bytes);
        let engine = Engine::create(config).expect("the store is created");
        Self { engine, value: value(), _directory: directory }
    }

    /// A new tenant and its collection.
    pub(super) fn tenant(&self, name: &str, options: TenantOptions) -> (Tenant, Collection) {
        let tenant = self.engine.create_tenant(name, options).expect("the tenant is created");
        let collection = tenant.collection(COLLECTION).expect("the name is good");
        // The first put makes the collection.
        collection.put(b"first", b"").expect("puts");
        (tenant, collection)
    }

    /// Closes it and removes its files.
    pub(super) fn end(self) {
        self.engine.close().expect("the store is closed");
    }
}
