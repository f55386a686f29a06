//! The store that is damaged: made once in a process, copied for each run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strongroom::simulation::SimDisk;
use strongroom::{Engine, Result};

use crate::store::{self, TENANTS};

/// Records of each tenant.
pub const RECORDS: usize = 24;
/// The collection they are in.
pub const COLLECTION: &str = "documents";

const BLOCK: u64 = 4_096;

/// Whom a file serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Nobody: whatever it holds changes nothing.
    Nobody,
    /// Every tenant: markers, the catalog, the root key.
    Store,
    /// The catalog and the first tenant, which share a lane.
    SharedLane,
    /// One tenant: its keyring, its data or its own lane. Its index in [`TENANTS`].
    Tenant(usize),
}

/// A file of the golden store.
#[derive(Debug)]
pub struct GoldenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whom it serves.
    pub owner: Owner,
    /// Its length in bytes.
    pub bytes: u64,
    /// The blocks that were ever written, by number. Never empty.
    pub blocks: Vec<u64>,
}

/// The golden store.
#[derive(Debug)]
pub struct Golden {
    /// The disk it is on.
    pub disk: SimDisk,
    files: Vec<GoldenFile>,
    /// Indexes in `files`, each as often as it is worth damaging.
    targets: Vec<usize>,
    records: [BTreeMap<Vec<u8>, Vec<u8>>; 2],
}

impl Golden {
    /// Makes it: both tenants with overwritten records, one of them rewritten, so that there are freed blocks and a
    /// tombstone, and both with records that only their lanes have, as has the catalog; then closed.
    pub fn build() -> Result<Self> {
        let disk = SimDisk::new();
        let engine = store::create(&disk)?;
        for name in TENANTS {
            let tenant = engine.tenant(name)?;
            let documents = tenant.collection(COLLECTION)?;
            for round in 0..3 {
                tenant.write(|batch| {
                    (0..RECORDS).try_for_each(|index| {
                        batch.put(&documents, key_of(index), value_of(name, index, round))
                    })
                })?;
            }
        }
        engine.tenant(TENANTS[0])?.rewrite(&mut |_, _| {})?;
        engine.tenant(TENANTS[1])?.checkpoint()?;
        for name in TENANTS {
            let documents = engine.tenant(name)?.collection(COLLECTION)?;
            for index in (0..RECORDS).filter(|index| last_round(*index) == 3) {
                documents.put(key_of(index), value_of(name, index, 3))?;
            }
        }
        let record = |name, index| (key_of(index), value_of(name, index, last_round(index)));
        let records = TENANTS.map(|name| (0..RECORDS).map(|index| record(name, index)).collect());
        let owners = owners(&engine)?;
        engine.close()?;
        let files: Vec<_> = disk.paths().into_iter().map(|path| describe(&disk, path, &owners)).collect();
        let targets = (0..files.len()).flat_map(|index| vec![index; weight(&files[index])]).collect();
        Ok(Self { disk, files, targets, records })
    }

    /// A file by any number. The same number is the same file in every process.
    pub fn file(&self, number: u8) -> &GoldenFile {
        &self.files[self.targets[usize::from(number) % self.targets.len()]]
    }

    /// What a tenant's collection holds.
    pub fn records(&self, tenant: usize) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.records[tenant]
    }
}

/// Damage to a file of the store's ends most runs at its open.
fn weight(file: &GoldenFile) -> usize {
    let is_data =
        file.path.extension().is_some_and(|extension| extension == "redb" || extension == "journal");
    match file.owner {
        Owner::Tenant(_) if is_data => 16,
        Owner::Tenant(_) => 8,
        Owner::SharedLane => 4,
        Owner::Store | Owner::Nobody => 1,
    }
}

/// Which round put the record that counts.
fn last_round(index: usize) -> usize {
    if index.is_multiple_of(2) { 3 } else { 2 }
}

fn key_of(index: usize) -> Vec<u8> {
    format!("key-{index:03}").into_bytes()
}

/// From nothing to more than a block.
fn value_of(tenant: &str, index: usize, round: usize) -> Vec<u8> {
    let bytes = index * 37 % 900 + if index % 7 == 3 { 5_000 } else { 0 };
    format!("{tenant} {index} {round} ").into_bytes().into_iter().cycle().take(bytes).collect()
}

/// The tenants' ids, which begin the names of their files and are the names of their lanes.
fn owners(engine: &Engine) -> Result<Vec<String>> {
    TENANTS.iter().map(|name| Ok(engine.tenant_info(name)?.id.to_string())).collect()
}

fn describe(disk: &SimDisk, path: PathBuf, ids: &[String]) -> GoldenFile {
    let bytes = disk.read_file(&path).expect("the file is listed").len() as u64;
    let ranges = disk.allocated_ranges(&path).expect("the file is listed");
    let blocks =
        ranges.into_iter().flat_map(|range| range.start / BLOCK..range.end.div_ceil(BLOCK)).collect();
    GoldenFile { owner: owner_of(&path, ids), path, bytes, blocks }
}

fn owner_of(path: &Path, ids: &[String]) -> Owner {
    let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
    let lane = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(tenant) = ids.iter().position(|id| name.starts_with(id.as_str()) || lane == id) {
        Owner::Tenant(tenant)
    } else if [".journal", ".lane"].into_iter().any(|end| name.ends_with(end)) {
        Owner::SharedLane
    } else if ["store.toml", "strongroom.lock"].contains(&name) {
        Owner::Nobody
    } else {
        Owner::Store
    }
}
