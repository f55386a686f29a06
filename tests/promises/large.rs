//! Promise: a value of any size is there whole, as it was put, or not at all; it is read by range, and nothing of it can be
//! altered, moved or cut off without an error.

mod collected;
mod crash;
mod ranges;
mod rekey;
mod tamper;
mod uploads;
mod values;

use std::io::Read;

use strongroom::{Collection, Engine, Result, TenantOptions};

use crate::support::config;

/// Bytes of a value in each of its chunks but the last (FORMAT.md section 8.1).
const CHUNK: usize = 65_412;
/// The longest value that is not in chunks.
const WHOLE: usize = 1 << 20;

/// A value of which no part is like another.
fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut value = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend(state.to_le_bytes());
    }
    value.truncate(bytes);
    value
}

/// Puts a value from a reader.
fn put(collection: &Collection, key: &str, value: &[u8]) -> Result<strongroom::Version> {
    collection.put_reader(key, value, strongroom::PutOptions::new())
}

/// Reads a value to its end.
fn read(collection: &Collection, key: &str) -> Result<Option<Vec<u8>>> {
    let Some(mut reader) = collection.get_reader(key)? else { return Ok(None) };
    let mut value = Vec::new();
    reader.read_to_end(&mut value).map_err(strongroom::Error::from_io)?;
    Ok(Some(value))
}

/// Rounds of maintenance, as many as any test needs.
fn ticks(engine: &Engine) {
    for _ in 0..4 {
        engine.tick().unwrap();
    }
}

/// Sets of chunks that the tenant's file has.
fn sets(engine: &Engine) -> usize {
    let rows = strongroom::simulation::chunk_rows(&engine.tenant("acme").unwrap()).unwrap();
    let sets: std::collections::BTreeSet<_> = rows.iter().map(|(key, _)| key[..16].to_vec()).collect();
    sets.len()
}

/// A new store with a tenant, whose collection is given.
fn new_store(disk: &strongroom::simulation::SimDisk) -> (Engine, Collection) {
    let engine = Engine::create(config(disk, 1).background(false)).unwrap();
    let collection = engine.create_tenant("acme", TenantOptions::new()).unwrap().collection("scans").unwrap();
    (engine, collection)
}

/// The collection of a store that is opened again.
fn opened(disk: &strongroom::simulation::SimDisk, seed: u64) -> (Engine, Collection) {
    let engine = Engine::open(config(disk, seed).background(false)).unwrap();
    let collection = engine.tenant("acme").unwrap().collection("scans").unwrap();
    (engine, collection)
}
