//! Promise: every binding agrees with the engine. The scenarios in `conformance/scenarios.json` are run here, and by the
//! tests of each binding; `conformance/README.md` says what a step means.

use serde_json::Value;
use strongroom::simulation::SimDisk;
use strongroom::{Engine, Index, PutOptions, Quota, Result, ScanOptions, Tenant, TenantOptions, Version};

use crate::support::config;

/// A text, or one repeated.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        repeated => {
            let times = repeated["times"].as_u64().unwrap();
            repeated["repeat"].as_str().unwrap().repeat(usize::try_from(times).unwrap())
        }
    }
}

struct World {
    disk: SimDisk,
    engine: Engine,
    tenant: Tenant,
    opened: u64,
    saved: Vec<(String, Version)>,
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new();
        let engine = Engine::create(config(&disk, 1)).unwrap();
        let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
        Self { disk, engine, tenant, opened: 1, saved: Vec::new() }
    }

    fn saved(&self, name: &Value) -> Version {
        self.saved.iter().find(|(saved, _)| name == saved).unwrap().1
    }

    fn scan(&self, step: &Value) -> Result<Value> {
        let mut options = ScanOptions::new().reverse(step["reverse"] == true);
        if let Some(prefix) = step["prefix"].as_str() {
            options = options.prefix(prefix);
        }
        if let Some(limit) = step["limit"].as_u64() {
            options = options.limit(usize::try_from(limit).unwrap());
        }
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let record = |entry: Result<strongroom::Entry>| {
            entry.map(|entry| vec![utf8(&entry.key), utf8(&entry.value.unwrap())])
        };
        let scan = self.tenant.collection(step["collection"].as_str().unwrap())?.scan_with(options)?;
        scan.map(record).collect::<Result<Vec<_>>>().map(Value::from)
    }

    /// Does a step; gives what it came to, which stands in the step under the name given.
    fn run(&mut self, step: &Value) -> Result<Option<(&'static str, Value)>> {
        let collection = || self.tenant.collection(step["collection"].as_str().unwrap());
        let key = || text(&step["key"]);
        Ok(Some(match step["do"].as_str().unwrap() {
            "put" => {
                let mut options = PutOptions::new();
                if step["if_absent"] == true {
                    options = options.if_absent();
                }
                if step["if_version"].is_string() {
                    options = options.if_version(self.saved(&step["if_version"]));
                }
                for (index, key) in step["index"].as_object().into_iter().flatten() {
                    options = options.index(index, key.as_str().unwrap());
                }
                let version = collection()?.put_with(key(), text(&step["value"]), options)?;
                if let Some(name) = step["save"].as_str() {
                    self.saved.push((name.to_owned(), version));
                }
                return Ok(None);
            }
            "get" => {
                let value = collection()?.get(key())?;
                ("value", value.map(|value| String::from_utf8(value.to_vec()).unwrap()).into())
            }
            "erase" if step["if_version"].is_string() => {
                collection()?.erase_if_version(key(), self.saved(&step["if_version"]))?;
                ("existed", true.into())
            }
            "erase" => ("existed", collection()?.erase(key())?.into()),
            "remove" => ("existed", collection()?.remove(key())?.into()),
            "restore" => ("existed", collection()?.restore(key())?.into()),
            "removed" => {
                let removed = collection()?.removed(ScanOptions::new())?;
                let keys = removed.map(|record| record.map(|record| String::from_utf8(record.key).unwrap()));
                ("keys", keys.collect::<Result<Vec<_>>>()?.into())
            }
            "erase_prefix" => {
                ("count", collection()?.erase_prefix(step["prefix"].as_str().unwrap())?.records.into())
            }
            "count" => ("count", collection()?.count(ScanOptions::new())?.into()),
            "scan" => ("records", self.scan(step)?),
            "declare_index" => {
                let kind = if step["unique"] == true { Index::unique() } else { Index::ordered() };
                collection()?.declare_index(step["index"].as_str().unwrap(), kind)?;
                return Ok(None);
            }
            "find" => {
                let found = collection()?.find(step["index"].as_str().unwrap(), key())?;
                let keys =
                    found.map(|entry| entry.map(|entry| String::from_utf8(entry.key.clone()).unwrap()));
                ("keys", keys.collect::<Result<Vec<_>>>()?.into())
            }
            "set_quota" => {
                collection()?.set_quota(Quota::new().records(step["records"].as_u64().unwrap()))?;
                return Ok(None);
            }
            "rename_collection" => {
                let (from, to) = (step["collection"].as_str().unwrap(), step["to"].as_str().unwrap());
                self.tenant.rename_collection(from, to)?;
                return Ok(None);
            }
            "collections" => {
                let names = self.tenant.collections()?.into_iter().map(|info| info.name);
                ("names", names.collect::<Vec<_>>().into())
            }
            "drop_collection" => {
                self.tenant.drop_collection(step["collection"].as_str().unwrap())?;
                return Ok(None);
            }
            "create_tenant" => {
                self.tenant =
                    self.engine.create_tenant(step["name"].as_str().unwrap(), TenantOptions::new())?;
                return Ok(None);
            }
            "tenant" => {
                self.tenant = self.engine.tenant(step["name"].as_str().unwrap())?;
                return Ok(None);
            }
            "reopen" => {
                self.engine.clone().close()?;
                self.opened += 1;
                self.engine = Engine::open(config(&self.disk, self.opened))?;
                self.tenant = self.engine.tenant("acme")?;
                return Ok(None);
            }
            other => panic!("no step does {other}"),
        }))
    }
}

#[test]
fn the_engine_does_what_the_scenarios_say() {
    let scenarios: Value = serde_json::from_str(include_str!("../conformance/scenarios.json")).unwrap();
    for scenario in scenarios.as_array().unwrap() {
        let mut world = World::new();
        for step in scenario["steps"].as_array().unwrap() {
            let shown = format!("{}: {step}", scenario["name"]);
            match world.run(step) {
                Err(error) => assert_eq!(step["error"], error.kind().name(), "{shown}: {error}"),
                Ok(came_to) => {
                    assert!(step["error"].is_null(), "{shown}: it succeeded");
                    if let Some((name, value)) = came_to {
                        assert_eq!(step[name], value, "{shown}");
                    }
                }
            }
        }
    }
}
