//! Stores on a simulated disk. Apart from the root key and the section keys wrapped under it, which the key provider
//! seals with the operating system's randomness, the same calls give the same bytes in every process.

use std::sync::Arc;

use strongroom::simulation::{ManualClock, SeededEntropy, SimDisk};
use strongroom::{Config, Engine, KeyFile, Result, TenantOptions};

/// The store's directory; its keys are in `/store.keys`.
pub const STORE: &str = "/store";
/// The file of the root key.
pub const ROOT_KEY: &str = "/root-key";
/// The tenants of every store here; the second one has a journal of its own.
pub const TENANTS: [&str; 2] = ["acme", "globex"];

/// How a store is opened: with the least memtable, segment and journal, so that checkpoints, rotations and moves are
/// frequent, and without a thread. Each open of a store needs another seed: a seed that comes again gives the same ids and
/// nonces again.
pub fn config(disk: &SimDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    Config::new(STORE)
        .key_provider("default", KeyFile::at(ROOT_KEY).on_disk(Arc::new(disk.clone())))
        .disk(Arc::new(disk.clone()))
        .clock(clock.clone())
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .cache_bytes(1 << 20)
        .memtable_bytes(64 << 10)
        .segment_bytes(64 << 10)
        .journal_bytes(128 << 10)
        .background(false)
}

/// A clock at the time all stores here are made.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_700_000_000_000))
}

/// A new store with two tenants that hold nothing, open.
pub fn create(disk: &SimDisk) -> Result<Engine> {
    let engine = Engine::create(config(disk, &clock(), 1))?;
    engine.create_tenant(TENANTS[0], TenantOptions::new())?;
    engine.create_tenant(TENANTS[1], TenantOptions::new().dedicated())?;
    Ok(engine)
}
