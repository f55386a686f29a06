//! What the promises' tests share: a small store on a simulated disk, with seeded randomness and a standing clock.

use std::sync::Arc;

use strongroom::simulation::{ManualClock, SeededEntropy, SimDisk};
use strongroom::{Config, Engine, ErrorKind, KeyFile, Result, Tenant, TenantOptions};

/// The store's directory on the simulated disk; its keys are in `/store.keys`.
pub(crate) const STORE: &str = "/store";
/// The root key's file.
pub(crate) const ROOT_KEY: &str = "/root-key";

/// A configuration over a simulated disk. The same seed gives the same ids, keys and nonces (wrapped section keys
/// apart, which providers seal with the operating system's randomness).
pub(crate) fn config(disk: &SimDisk, seed: u64) -> Config {
    Config::new(STORE)
        .key_provider("default", KeyFile::at(ROOT_KEY).on_disk(Arc::new(disk.clone())))
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::at(1_700_000_000_000)))
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .cache_bytes(1 << 20)
}

/// The value that [`fill`] puts under a key: its length goes from 0 to some thousands of bytes.
pub(crate) fn value_of(tenant: &str, index: usize) -> Vec<u8> {
    let length = index * 37 % 1_500 + if index.is_multiple_of(7) { 6_000 } else { 0 };
    format!("{tenant} record {index} ").into_bytes().into_iter().cycle().take(length).collect()
}

/// The key of [`fill`]'s record.
pub(crate) fn key_of(index: usize) -> Vec<u8> {
    format!("key-{index:05}").into_bytes()
}

/// Puts records `0..count` into a tenant's collection `documents`, ten a batch.
pub(crate) fn fill(tenant: &Tenant, count: usize) -> Result<()> {
    let documents = tenant.collection("documents")?;
    for first in (0..count).step_by(10) {
        tenant.write(|batch| {
            (first..count.min(first + 10))
                .try_for_each(|index| batch.put(&documents, key_of(index), value_of(tenant.name(), index)))
        })?;
    }
    Ok(())
}

/// Makes a store with tenants `acme` and `globex` of `count` records each, and closes it.
pub(crate) fn small_store(disk: &SimDisk, count: usize) -> Result<()> {
    let engine = Engine::create(config(disk, 1))?;
    for name in ["acme", "globex"] {
        fill(&engine.create_tenant(name, TenantOptions::new())?, count)?;
    }
    engine.close()
}

/// What reading all of [`fill`]'s records gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Readings {
    /// Records that read back as they were put.
    pub(crate) right: usize,
    /// Records that gave an error.
    pub(crate) refused: usize,
    /// Records that gave nothing, or another value: never allowed.
    pub(crate) wrong: usize,
    /// The kinds of the errors.
    pub(crate) kinds: std::collections::BTreeSet<ErrorKind>,
}

/// Reads each of [`fill`]'s records by get.
pub(crate) fn read_all(tenant: &Tenant, count: usize) -> Readings {
    let mut readings = Readings::default();
    for index in 0..count {
        let got = tenant.collection("documents").and_then(|documents| documents.get(key_of(index)));
        match got {
            Ok(Some(value)) if *value == value_of(tenant.name(), index)[..] => readings.right += 1,
            Ok(_) => readings.wrong += 1,
            Err(error) => {
                readings.refused += 1;
                readings.kinds.insert(error.kind());
            }
        }
    }
    readings
}
