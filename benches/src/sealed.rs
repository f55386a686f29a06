//! A store of the engine's, on the real disk.

use std::path::Path;

use strongroom::{Config, Engine, KeyFile, TenantOptions};
use tempfile::TempDir;

use crate::{CACHE_BYTES, Load};

/// The tenant of every store here.
pub const TENANT: &str = "acme";
/// Its collection.
pub const COLLECTION: &str = "invoices";

/// A closed store with one tenant. Its files are removed when this is dropped.
#[derive(Debug)]
pub struct Sealed {
    directory: TempDir,
}

impl Sealed {
    /// Makes it below `parent`, with the records.
    ///
    /// # Panics
    /// When the disk fails.
    #[must_use]
    pub fn create(parent: &str, load: Load) -> Self {
        let directory = tempfile::tempdir_in(parent).expect("a directory is made");
        let sealed = Self { directory };
        let engine = Engine::create(sealed.config()).expect("the store is created");
        let tenant = engine.create_tenant(TENANT, TenantOptions::new()).expect("the tenant is created");
        let collection = tenant.collection(COLLECTION).expect("the name is good");
        let value = load.value();
        for keys in load.keys().chunks(1_000) {
            let put =
                tenant.write(|batch| keys.iter().try_for_each(|key| batch.put(&collection, key, &value)));
            put.expect("the records are put");
        }
        engine.close().expect("the store is closed");
        sealed
    }

    /// How it is opened.
    #[must_use]
    pub fn config(&self) -> Config {
        let root_key = self.path().join("root-key");
        Config::new(self.path().join("store"))
            .key_provider("default", KeyFile::at(root_key))
            .cache_bytes(CACHE_BYTES)
    }

    /// Opens it.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(&self) -> Engine {
        Engine::open(self.config()).expect("the store opens")
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}
