//! The reference model: what a store must answer after any sequence of operations.
//!
//! One list of operations and one model serve the property tests, the fuzz target `operations` and the simulation of
//! power losses.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "the model's answer to a difference is a panic"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom::simulation::{Entropy, ManualClock, SeededEntropy, SimDisk};
use strongroom::{Config, Engine, ErrorKind, KeyFile, Result, ScanOptions, Tenant, TenantOptions};

/// Tenants, collections and keys are drawn from so few that operations meet.
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const COLLECTIONS: [&str; 3] = ["documents", "users", "\u{1f980}"];

/// One operation. Numbers beyond what there is wrap around.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Operation {
    /// Puts records in one batch.
    Write {
        /// Which tenant.
        tenant: u8,
        /// Collection, key and length of each value.
        puts: Vec<(u8, u8, u16)>,
    },
    /// Gets a record.
    Get {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
    },
    /// Scans a collection.
    Scan {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// The first key.
        from: u8,
        /// How many.
        limit: u8,
        /// In descending order.
        reverse: bool,
    },
    /// Rewrites a tenant's file.
    Rewrite {
        /// Which tenant.
        tenant: u8,
    },
    /// Closes the store and opens it; or drops it as it is and opens it.
    Reopen {
        /// Whether it is closed before.
        clean: bool,
    },
    /// Verifies everything.
    Verify,
}

/// Records by tenant and collection.
pub type Records = BTreeMap<(usize, usize), BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store on a simulated disk, and what it must hold.
#[derive(Debug)]
pub struct World {
    disk: SimDisk,
    seed: u64,
    engine: Option<Engine>,
    /// What was acknowledged.
    pub acknowledged: Records,
    /// What there is if the batch under way was made after all.
    pub pending: Option<Records>,
    steps: u64,
}

impl World {
    /// A new store.
    ///
    /// # Errors
    /// Those of its creation.
    pub fn create(disk: &SimDisk, seed: u64) -> Result<Self> {
        let engine = Engine::create(Self::config(disk, seed))?;
        Ok(Self {
            disk: disk.clone(),
            seed,
            engine: Some(engine),
            acknowledged: Records::new(),
            pending: None,
            steps: 0,
        })
    }

    /// The same world on what a power loss left of its disk; not opened.
    #[must_use]
    pub fn moved(self, disk: &SimDisk) -> Self {
        Self { disk: disk.clone(), engine: None, ..self }
    }

    fn config(disk: &SimDisk, seed: u64) -> Config {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        Config::new("/store")
            .key_provider("default", KeyFile::at("/root-key").on_disk(Arc::new(disk.clone())))
            .disk(Arc::new(disk.clone()))
            .clock(Arc::new(ManualClock::at(1_700_000_000_000)))
            .entropy(entropy)
            .cache_bytes(1 << 20)
    }

    fn engine(&mut self) -> Result<&Engine> {
        if self.engine.is_none() {
            self.steps += 1;
            self.engine = Some(Engine::open(Self::config(&self.disk, self.seed ^ self.steps << 32))?);
        }
        Ok(self.engine.as_ref().unwrap())
    }

    fn tenant(&mut self, tenant: u8) -> Result<(usize, Tenant)> {
        let index = usize::from(tenant) % TENANTS.len();
        let engine = self.engine()?;
        let opened = match engine.tenant(TENANTS[index]) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                engine.create_tenant(TENANTS[index], TenantOptions::new())
            }
            opened => opened,
        };
        Ok((index, opened?))
    }

    /// Makes an operation and compares its answer with the model's.
    ///
    /// # Errors
    /// Those of the store; a wrong answer is a panic.
    pub fn apply(&mut self, operation: &Operation) -> Result<()> {
        self.steps += 1;
        match operation {
            Operation::Write { tenant, puts } => self.write(*tenant, puts),
            Operation::Get { tenant, collection, key } => {
                let (tenant, handle) = self.tenant(*tenant)?;
                let collection = usize::from(*collection) % COLLECTIONS.len();
                let got = handle.collection(COLLECTIONS[collection])?.get(key_of(*key))?;
                let expected =
                    self.acknowledged.get(&(tenant, collection)).and_then(|map| map.get(&key_of(*key)));
                assert_eq!(got.as_deref(), expected.map(Vec::as_slice), "a get differs");
                Ok(())
            }
            Operation::Scan { tenant, collection, from, limit, reverse } => {
                let (tenant, handle) = self.tenant(*tenant)?;
                let collection = usize::from(*collection) % COLLECTIONS.len();
                let options =
                    ScanOptions::new().range(key_of(*from)..).limit((*limit).into()).reverse(*reverse);
                let found = scan(&handle, collection, options)?;
                let empty = BTreeMap::new();
                let records = self.acknowledged.get(&(tenant, collection)).unwrap_or(&empty);
                let range = records.range(key_of(*from)..).map(|(key, value)| (key.clone(), value.clone()));
                let expected: Vec<_> = if *reverse {
                    range.rev().take((*limit).into()).collect()
                } else {
                    range.take((*limit).into()).collect()
                };
                assert_eq!(found, expected, "a scan differs");
                Ok(())
            }
            Operation::Rewrite { tenant } => self.tenant(*tenant)?.1.rewrite(&mut |_, _| {}).map(|_| ()),
            Operation::Reopen { clean } => {
                let engine = self.engine.take();
                match engine {
                    Some(engine) if *clean => engine.close()?,
                    dropped => drop(dropped),
                }
                self.engine().map(|_| ())
            }
            Operation::Verify => {
                let report = self.engine()?.verify(&mut |_| {})?;
                assert!(report.is_good() || !self.power_is_on(), "{report:#?}");
                Ok(())
            }
        }
    }

    fn write(&mut self, tenant: u8, puts: &[(u8, u8, u16)]) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let mut after = self.acknowledged.clone();
        let mut batch = Vec::new();
        for (collection, key, length) in puts {
            let collection = usize::from(*collection) % COLLECTIONS.len();
            let value = value_of(self.seed ^ self.steps, *length);
            after.entry((tenant, collection)).or_default().insert(key_of(*key), value.clone());
            batch.push((handle.collection(COLLECTIONS[collection])?, key_of(*key), value));
        }
        self.pending = Some(after.clone());
        handle.write(|writer| {
            batch.iter().try_for_each(|(collection, key, value)| writer.put(collection, key, value))
        })?;
        self.pending = None;
        self.acknowledged = after;
        Ok(())
    }

    /// Opens the store if need be and compares all of it with what was acknowledged. What a batch without
    /// acknowledgement made counts from now on, if all of it is there.
    ///
    /// # Errors
    /// Those of the store; an acknowledged record that is not there, or a part of a batch, is a panic.
    pub fn check(&mut self) -> Result<()> {
        let names: Vec<_> = self.engine()?.tenants()?.into_iter().map(|info| info.name).collect();
        let mut found = Records::new();
        for name in names {
            let index = TENANTS.iter().position(|known| *known == name).unwrap();
            let tenant = self.engine()?.tenant(&name)?;
            for (collection, name) in COLLECTIONS.iter().enumerate() {
                let records: BTreeMap<_, _> =
                    scan(&tenant, collection, ScanOptions::new())?.into_iter().collect();
                for (key, value) in &records {
                    let got = tenant.collection(name)?.get(key)?;
                    assert_eq!(got.as_deref(), Some(&value[..]), "get and scan differ");
                }
                if !records.is_empty() {
                    found.insert((index, collection), records);
                }
            }
        }
        match self.pending.take() {
            Some(pending) if found == pending => self.acknowledged = pending,
            _ => assert!(found == self.acknowledged, "{}", difference(&found, &self.acknowledged)),
        }
        self.apply(&Operation::Verify)?;
        self.engine.take().map_or(Ok(()), Engine::close)
    }

    fn power_is_on(&self) -> bool {
        strongroom::simulation::Disk::info(&self.disk, "/".as_ref()).is_ok()
    }
}

fn scan(tenant: &Tenant, collection: usize, options: ScanOptions) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let entries = tenant.collection(COLLECTIONS[collection])?.scan_with(options)?;
    entries.map(|entry| entry.map(|entry| (entry.key, entry.value.unwrap().to_vec()))).collect()
}

fn key_of(key: u8) -> Vec<u8> {
    // Some keys are prefixes of others, and some have bytes that sort last.
    [&b"\xffkey-"[..], &[b'0' + key % 16], &vec![0xff; usize::from(key % 3)]].concat()
}

fn value_of(seed: u64, length: u16) -> Vec<u8> {
    format!("{seed:x} ").into_bytes().into_iter().cycle().take(length.into()).collect()
}

fn difference(found: &Records, expected: &Records) -> String {
    let count = |records: &Records| records.values().map(BTreeMap::len).sum::<usize>();
    let missing =
        expected.iter().flat_map(|(place, records)| records.iter().map(move |record| (place, record)));
    let missing = missing.filter(|(place, (key, value))| {
        found.get(*place).and_then(|records| records.get(*key)) != Some(*value)
    });
    let (found_count, expected_count, missing) = (count(found), count(expected), missing.count());
    format!("{missing} of {expected_count} acknowledged records are not there; {found_count} were found")
}
