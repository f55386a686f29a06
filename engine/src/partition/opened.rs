//! One open redb database of a tenant, and the boundary around redb: its errors become ours, and its panics end here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, ReadableDatabase, StorageBackend, StorageError};

use crate::error::{Error, ErrorKind, Result, fail};
use crate::partition::tables::ReadTable;
use crate::sealed_file::{Backend, SealedFile, Session};

/// An open database. Dropping it closes it, unless redb panicked: then it is leaked, because a second panic while
/// closing would abort the process.
#[derive(Debug)]
pub(super) struct Opened {
    /// Taken by `drop` only.
    db: Option<Database>,
    pub(super) file: Arc<SealedFile>,
    session: Session,
    panicked: AtomicBool,
    /// redb refuses everything after an error of its file: the database must be opened anew.
    stale: AtomicBool,
}

impl Opened {
    /// Opens redb over a sealed file; `creating` lets it initialise an empty one.
    pub(super) fn open(file: Arc<SealedFile>, cache_bytes: usize, creating: bool) -> Result<Self> {
        let session = Session::default();
        let backend = Backend::new(Arc::clone(&file), session.clone(), creating);
        let db = open_database(backend, cache_bytes).map_err(|error| {
            // A backend that redb did not close still holds the file's lock.
            session.retire();
            let _ = file.unlock();
            located(error, &file)
        })?;
        Ok(Self {
            db: Some(db),
            file,
            session,
            panicked: AtomicBool::new(false),
            stale: AtomicBool::new(false),
        })
    }

    /// Runs `call` on the database and notes whether the database can still be used.
    pub(super) fn run<T>(&self, call: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let db = self.db.as_ref().ok_or_else(|| fail!(Internal, "a closed database is used"))?;
        self.watch(|| call(db))
    }

    /// Like [`Opened::run`], for what was derived from the database.
    pub(super) fn watch<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let Ok(result) = catch_unwind(AssertUnwindSafe(call)) else {
            self.panicked.store(true, Ordering::Release);
            self.stale.store(true, Ordering::Release);
            return Err(located(panicked(), &self.file));
        };
        let result = result.map_err(|error| located(error, &self.file));
        if let Err(error) = &result {
            let of_the_caller = [ErrorKind::LimitExceeded, ErrorKind::SnapshotExpired, ErrorKind::NotFound];
            if !of_the_caller.contains(&error.kind()) {
                self.stale.store(true, Ordering::Release);
            }
        }
        result
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// Says that the database is of no further use.
    pub(super) fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub(super) fn has_panicked(&self) -> bool {
        self.panicked.load(Ordering::Acquire)
    }

    /// Opens a table in a read transaction of its own, which lives as long as the table.
    pub(super) fn table(
        &self,
        definition: redb::TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<ReadTable> {
        self.run(|db| db.begin_read().map_err(from_redb)?.open_table(definition).map_err(from_redb))
    }

    /// The same, of a table that need not be there.
    pub(super) fn table_if_any(
        &self,
        definition: redb::TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<Option<ReadTable>> {
        self.run(|db| open_if_any(db, definition))
    }

    /// Cuts the database off its file, so that another can be opened over it.
    pub(super) fn retire(&self) {
        self.session.retire();
        let _ = self.file.unlock();
    }
}

impl Drop for Opened {
    /// Closes the database without letting redb write. Its own closing commits once more, to give back free pages, and
    /// over an older block that was put back it panics twice and aborts the process. Every commit of ours is durable
    /// and carries its allocator state, so there is nothing left to write: the next open takes redb's quick repair.
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        self.retire();
        if self.has_panicked() {
            std::mem::forget(db);
        } else if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::error!(path = %self.file.path().display(), "redb panicked while it closed a file");
        }
    }
}

/// The error with the file in front, unless it names it already; the file's name begins with the tenant's id.
fn located(error: Error, file: &SealedFile) -> Error {
    let path = file.path().display().to_string();
    if error.to_string().contains(&path) { error } else { error.within(path) }
}

/// Opens a database; a panic of redb's is an error.
pub(super) fn open_database(backend: impl StorageBackend, cache_bytes: usize) -> Result<Database> {
    boundary(|| {
        redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(backend).map_err(from_redb)
    })
}

/// Opens a table that the file need not have, in a read transaction of its own.
pub(super) fn open_if_any(
    db: &Database,
    definition: redb::TableDefinition<'static, &'static [u8], &'static [u8]>,
) -> Result<Option<ReadTable>> {
    match db.begin_read().map_err(from_redb)?.open_table(definition) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        opened => opened.map(Some).map_err(from_redb),
    }
}

/// Runs `call`; a panic in it is an error of kind `Corrupted`: over authentic blocks redb panics only where older
/// ones were put back.
pub(super) fn boundary<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    fail!(
        Corrupted,
        "the tables of the file contradict each other: verify the tenant, restore it from a copy"
    )
}

/// Our error for one of redb's. What the sealed file refused comes back as it was.
pub(super) fn from_redb(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(error) => Error::io("the tenant's file", error),
        redb::Error::Corrupted(text) => fail!(Corrupted, "the tables of the file are damaged: {text}"),
        redb::Error::ValueTooLarge(bytes) => fail!(LimitExceeded, "redb refused a value of {bytes} bytes"),
        redb::Error::DatabaseAlreadyOpen => {
            fail!(Busy, "another process or handle has the tenant's file open")
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            fail!(Poisoned, "the tenant's file failed before and is being reopened: try again").retryable()
        }
        error @ (redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
            fail!(Corrupted, "the file lacks a table: {error}")
        }
        error @ (redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted) => {
            fail!(UnsupportedFormat, "redb can't open the file: {error}")
        }
        error => fail!(Internal, "redb failed: {error}"),
    }
}

/// The same for what a storage call of redb's iterators gives.
pub(super) fn from_storage(error: StorageError) -> Error {
    from_redb(error)
}
