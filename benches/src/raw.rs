//! A raw redb database that holds the same records, unencrypted.

use std::path::PathBuf;

use redb::{Builder, Database, ReadableDatabase, TableDefinition};
use tempfile::TempDir;

use crate::{CACHE_BYTES, Load};

/// The table of every database here.
pub const RECORDS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("records");

/// How a batch is committed. Either way it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// redb's default.
    OnePhase,
    /// Two-phase, with the allocator's state saved: what the engine does.
    QuickRepair,
}

/// A database file. It is removed when this is dropped.
#[derive(Debug)]
pub struct Raw {
    directory: TempDir,
}

impl Raw {
    /// Makes it below `parent`, with the records.
    ///
    /// # Panics
    /// When the disk fails.
    #[must_use]
    pub fn create(parent: &str, load: Load) -> Self {
        let directory = tempfile::tempdir_in(parent).expect("a directory is made");
        let raw = Self { directory };
        let db = raw.create_file("records.redb");
        let value = load.value();
        for keys in load.keys().chunks(1_000) {
            Self::put(&db, keys.iter().map(Vec::as_slice), &value, Commit::OnePhase);
        }
        raw
    }

    /// Opens it.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(&self) -> Database {
        Self::builder().open(self.path("records.redb")).expect("the database opens")
    }

    /// Makes another file beside it.
    ///
    /// # Panics
    /// When the disk fails, or the file is there.
    #[must_use]
    pub fn create_file(&self, name: &str) -> Database {
        Self::builder().create(self.path(name)).expect("the database is created")
    }

    /// Where a file of it is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts one value under each key, in one durable commit.
    ///
    /// # Panics
    /// When redb fails.
    pub fn put<'a>(db: &Database, keys: impl Iterator<Item = &'a [u8]>, value: &[u8], commit: Commit) {
        let mut transaction = db.begin_write().expect("begins");
        transaction.set_quick_repair(commit == Commit::QuickRepair);
        let mut table = transaction.open_table(RECORDS).expect("opens the table");
        for key in keys {
            table.insert(key, value).expect("inserts");
        }
        drop(table);
        transaction.commit().expect("commits");
    }

    /// Reads a value, as the engine gives it: in a transaction of its own, and copied out.
    ///
    /// # Panics
    /// When redb fails.
    #[must_use]
    pub fn get(db: &Database, key: &[u8]) -> Option<Vec<u8>> {
        let table = db.begin_read().expect("begins").open_table(RECORDS).expect("opens the table");
        table.get(key).expect("reads").map(|value| value.value().to_vec())
    }

    /// Whether there is such a key.
    ///
    /// # Panics
    /// When redb fails.
    #[must_use]
    pub fn contains(db: &Database, key: &[u8]) -> bool {
        let table = db.begin_read().expect("begins").open_table(RECORDS).expect("opens the table");
        table.get(key).expect("reads").is_some()
    }

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        builder
    }
}
