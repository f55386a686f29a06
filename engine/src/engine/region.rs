//! A region: its two directories, checked by their markers and locked while the store is open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::engine::config::RegionPaths;
use crate::engine::marker::{Marker, Role};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::journal::Lane;
use crate::partition::Partition;

const LOCK_NAME: &str = "strongroom.lock";
/// Where the lanes are, below a region's root.
pub(super) const JOURNAL: &str = "journal";
const LOCK_TEXT_BYTES: usize = 64;

/// A lock on a directory, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: Box<dyn DiskFile>,
}

impl Lock {
    /// Takes the lock of a directory; `Busy` where another process or engine has it.
    pub(super) fn take(disk: &dyn Disk, directory: &Path) -> Result<Self> {
        let path = directory.join(LOCK_NAME);
        let io = |error| Error::io(format!("locking {}", path.display()), error);
        let file = match disk.open(&path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                disk.open(&path, OpenMode::CreateNew).map_err(io)?
            }
            opened => opened.map_err(io)?,
        };
        if !file.try_lock().map_err(io)? {
            return Err(fail!(
                Busy,
                "{} is locked by {}: close the store there, or wait",
                directory.display(),
                holder(&*file)
            ));
        }
        Ok(Self { file })
    }

    /// Says in the lock's file who has it, for whoever finds it taken. Only once the store was authenticated: with a wrong
    /// key no file changes.
    pub(super) fn announce(&self) {
        let text = format!("process {:<width$}", std::process::id(), width = LOCK_TEXT_BYTES - 8);
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::debug!(%error, "the lock's holder could not be noted");
        }
    }
}

/// Who says that it holds the lock.
fn holder(file: &dyn DiskFile) -> String {
    let mut text = [0; LOCK_TEXT_BYTES];
    let told = file.read_exact_at(&mut text, 0).ok().and_then(|()| std::str::from_utf8(&text).ok());
    let process = told.and_then(|text| text.strip_prefix("process ")).map(str::trim);
    match process.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(process) => format!("process {process}"),
        None => "another process".to_owned(),
    }
}

/// A region of an open store.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) paths: RegionPaths,
    /// The lanes that are open. Before the locks: they are closed first.
    pub(super) lanes: Mutex<BTreeMap<TenantId, Arc<Lane<Partition>>>>,
    /// Held once the region was found to be there.
    locks: Mutex<Option<[Lock; 2]>>,
}

impl Region {
    pub(super) fn new(name: &str, paths: RegionPaths) -> Self {
        Self { name: name.to_owned(), paths, lanes: Mutex::default(), locks: Mutex::new(None) }
    }

    /// A region whose directories are locked already.
    pub(super) fn locked(name: &str, paths: RegionPaths, locks: [Lock; 2]) -> Self {
        Self { name: name.to_owned(), paths, lanes: Mutex::default(), locks: Mutex::new(Some(locks)) }
    }

    /// Checks that the region's volumes are mounted, and locks them the first time.
    pub(super) fn require(&self, disk: &dyn Disk, store: StoreId, marker_key: &[u8; 32]) -> Result<()> {
        let mut locks = self.locks.lock();
        for (role, directory) in [(Role::Root, &self.paths.root), (Role::KeyStore, &self.paths.keys)] {
            Marker { store, role, region: &self.name }
                .check(disk, directory, marker_key)
                .map_err(|error| error.within(format_args!("region '{}'", self.name)))?;
        }
        if locks.is_none() {
            *locks = Some(self.take_locks(disk)?);
        }
        Ok(())
    }

    /// Says in the locks' files who has them.
    pub(super) fn announce(&self) {
        self.locks.lock().iter().flatten().for_each(Lock::announce);
    }

    /// Where a tenant's files are.
    pub(super) fn data_directory(&self, tenant: TenantId) -> PathBuf {
        let mut shard = tenant.to_string();
        shard.truncate(2);
        self.paths.root.join("tenants").join(shard)
    }

    /// A tenant's keyring.
    pub(super) fn keyring_path(&self, tenant: TenantId) -> PathBuf {
        self.paths.keys.join(format!("{tenant}.keyring"))
    }

    /// Where a lane's segments are.
    pub(super) fn lane_directory(&self, lane: TenantId) -> PathBuf {
        self.paths.root.join(JOURNAL).join(lane.to_string())
    }

    /// A lane's state, with the keys.
    pub(super) fn lane_state_path(&self, lane: TenantId) -> PathBuf {
        self.paths.keys.join(format!("{lane}.lane"))
    }

    /// Refuses directories that hold anything already; an empty one is the mount point of a new volume.
    pub(super) fn check_absent(&self, disk: &dyn Disk) -> Result<()> {
        for directory in [&self.paths.root, &self.paths.keys] {
            let occupied = match disk.list(directory) {
                Ok(entries) => entries.iter().any(|entry| entry.name != "lost+found"),
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            };
            if occupied {
                return Err(fail!(
                    AlreadyExists,
                    "{} is there already: name a new directory",
                    directory.display()
                ));
            }
        }
        Ok(())
    }

    /// Makes the region's directories, empty but for their locks.
    pub(super) fn create(&self, disk: &dyn Disk) -> Result<()> {
        for directory in [&self.paths.root.join("tenants"), &self.paths.keys] {
            disk.create_dir_all(directory)
                .map_err(|error| Error::io(format!("creating {}", directory.display()), error))?;
        }
        *self.locks.lock() = Some(self.take_locks(disk)?);
        Ok(())
    }

    fn take_locks(&self, disk: &dyn Disk) -> Result<[Lock; 2]> {
        let locks = [Lock::take(disk, &self.paths.root)?, Lock::take(disk, &self.paths.keys)?];
        locks.iter().for_each(Lock::announce);
        Ok(locks)
    }

    /// Marks the region's directories as this store's.
    pub(super) fn mark(&self, disk: &dyn Disk, store: StoreId, key: &[u8; 32]) -> Result<()> {
        // The root last: only with it does the region exist.
        for (role, directory) in [(Role::KeyStore, &self.paths.keys), (Role::Root, &self.paths.root)] {
            Marker { store, role, region: &self.name }.create(disk, directory, key)?;
        }
        Ok(())
    }
}
