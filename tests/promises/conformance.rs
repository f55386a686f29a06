//! Promise: every binding agrees with the engine. The scenarios in `conformance/scenarios.json` are run here, and by the
//! tests of each binding; `conformance/README.md` says what a step means.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::simulation::SimDisk;
use strongroom::{
    Collection, Config, Engine, Erasure, Index, KeyFile, KeyProvider, Names, Overwrite, Policy, PutOptions,
    Quota, Result, ScanOptions, Selector, Session, Tenant, TenantOptions, Version,
};

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

const TIMES: [&str; 5] =
    ["retention_ms", "maximum_ms", "removal_window_ms", "minimum_ms", "erased_within_ms"];

fn policy_of(said: &Value) -> Policy {
    let set: [fn(Policy, Duration) -> Policy; 5] =
        [Policy::retention, Policy::maximum, Policy::removal_window, Policy::minimum, Policy::erased_within];
    let mut policy = Policy::new();
    for (name, set) in TIMES.into_iter().zip(set) {
        if let Some(time_ms) = said[name].as_u64() {
            policy = set(policy, Duration::from_millis(time_ms));
        }
    }
    match said["overwrite"].as_str() {
        None => {}
        Some(how) => {
            policy = policy.overwrite(if how == "keep" { Overwrite::Keep } else { Overwrite::Erase });
        }
    }
    if let Some(how) = said["erasure"].as_str() {
        policy = policy.erasure(if how == "record" { Erasure::Record } else { Erasure::Shared });
    }
    policy = said["secret"].as_bool().map_or(policy, |is_secret| policy.secret(is_secret));
    said["zero_retention"].as_bool().map_or(policy, |is_zero| policy.zero_retention(is_zero))
}

fn told(policy: Policy) -> Value {
    let times = [
        policy.retention_time(),
        policy.maximum_time(),
        policy.removal_window_time(),
        policy.minimum_time(),
        policy.erased_within_time(),
    ];
    let mut told = serde_json::Map::new();
    for (name, time) in TIMES.into_iter().zip(times) {
        if let Some(time) = time {
            told.insert(name.to_owned(), u64::try_from(time.as_millis()).unwrap().into());
        }
    }
    if let Some(overwrite) = policy.overwrite_mode() {
        let name = if overwrite == Overwrite::Keep { "keep" } else { "erase" };
        told.insert("overwrite".to_owned(), name.into());
    }
    if let Some(erasure) = policy.erasure_mode() {
        let name = if erasure == Erasure::Record { "record" } else { "shared" };
        told.insert("erasure".to_owned(), name.into());
    }
    if let Some(is_secret) = policy.is_secret() {
        told.insert("secret".to_owned(), is_secret.into());
    }
    if let Some(is_zero) = policy.is_zero_retention() {
        told.insert("zero_retention".to_owned(), is_zero.into());
    }
    told.into()
}

fn selector_of(step: &Value) -> Selector {
    let of = step["of"].as_str();
    match (of, step["prefix"].as_str(), step["key"].as_str(), step["subject"].as_str()) {
        (Some(of), Some(prefix), _, _) => Selector::prefix(of, prefix),
        (Some(of), _, Some(key), _) => Selector::record(of, key),
        (Some(of), ..) => Selector::collection(of),
        (None, _, _, Some(subject)) => Selector::subject(subject),
        (None, ..) => Selector::Tenant,
    }
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The key file of the provider `second`.
fn second_key(disk: &SimDisk) -> KeyFile {
    KeyFile::at("/second-key").on_disk(Arc::new(disk.clone()))
}

struct World {
    disk: SimDisk,
    engine: Engine,
    tenant: Tenant,
    opened: u64,
    saved: Vec<(String, Version)>,
    session: Option<Session>,
    has_second_key: bool,
}

impl World {
    fn new(needs: &Value) -> Self {
        let disk = SimDisk::new();
        let has_second_key = needs.as_array().is_some_and(|needs| needs.contains(&json!("second key")));
        if has_second_key {
            second_key(&disk).create().unwrap();
        }
        let engine = Engine::create(Self::config(&disk, 1, has_second_key)).unwrap();
        let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
        Self { disk, engine, tenant, opened: 1, saved: Vec::new(), session: None, has_second_key }
    }

    fn config(disk: &SimDisk, seed: u64, has_second_key: bool) -> Config {
        let config = config(disk, seed);
        if has_second_key { config.key_provider("second", second_key(disk)) } else { config }
    }

    fn in_session(&self, what: &str, step: &Value) -> Result<Value> {
        let session = self.session.as_ref().unwrap();
        if what == "session_count" {
            return Ok(json!({ "count": session.records() }));
        }
        let collection = self.tenant.collection(step["collection"].as_str().unwrap())?;
        let key = || text(&step["key"]);
        Ok(match what {
            "session_put" => {
                session.put(&collection, key(), text(&step["value"]))?;
                json!({})
            }
            "session_get" => {
                json!({ "value": session.get(&collection, key())?.map(|value| utf8(value.to_vec())) })
            }
            "session_erase" => json!({ "existed": session.erase(&collection, key())? }),
            "session_scan" => {
                let records = session.scan::<&[u8]>(&collection, ..)?;
                let pairs = records.into_iter().map(|(key, value)| [utf8(key), utf8(value.to_vec())]);
                json!({ "records": pairs.collect::<Vec<_>>() })
            }
            other => panic!("no step does {other}"),
        })
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
        let record = |entry: Result<strongroom::Entry>| {
            entry.map(|entry| vec![utf8(entry.key.clone()), utf8(entry.value.unwrap().to_vec())])
        };
        let scan = self.tenant.collection(step["collection"].as_str().unwrap())?.scan_with(options)?;
        scan.map(record).collect::<Result<Vec<_>>>().map(Value::from)
    }

    /// Does a step; gives what it came to, under the names that stand in the step.
    fn run(&mut self, step: &Value) -> Result<Value> {
        let name = || step["name"].as_str().unwrap();
        match step["do"].as_str().unwrap() {
            "create_tenant" => self.tenant = self.engine.create_tenant(name(), TenantOptions::new())?,
            "tenant" => self.tenant = self.engine.tenant(name())?,
            "suspend_tenant" => self.engine.suspend_tenant(name())?,
            "resume_tenant" => self.engine.resume_tenant(name())?,
            "rename_tenant" => self.engine.rename_tenant(name(), step["to"].as_str().unwrap())?,
            "remove_tenant" => {
                self.engine.remove_tenant(name(), Duration::from_hours(30 * 24))?;
            }
            "restore_tenant" => self.engine.restore_tenant(name())?,
            "erase_tenant" => self.engine.erase_tenant(name())?,
            "hold" => self.tenant.hold(name(), selector_of(step))?,
            "release_hold" => self.tenant.release_hold(name())?,
            "holds" => {
                let names = self.tenant.holds()?.into_iter().map(|info| info.name);
                return Ok(json!({ "names": names.collect::<Vec<_>>() }));
            }
            "subjects" => {
                return Ok(json!({ "names": self.tenant.subjects()?.collect::<Result<Vec<_>>>()? }));
            }
            "subject_records" => {
                let records = self.tenant.subject_records(step["subject"].as_str().unwrap())?;
                let told = records.map(|record| record.map(|record| [record.collection, utf8(record.key)]));
                return Ok(json!({ "records": told.collect::<Result<Vec<_>>>()? }));
            }
            "erase_subject" => {
                let existed = self.tenant.erase_subject(step["subject"].as_str().unwrap())?;
                return Ok(json!({ "existed": existed }));
            }
            "receipts" => {
                let receipts = self.tenant.receipts()?;
                let state = |receipt: &strongroom::Receipt| match receipt.scrubbed_ms {
                    None => "erased",
                    Some(_) => "scrubbed",
                };
                return Ok(json!({ "states": receipts.iter().map(state).collect::<Vec<_>>() }));
            }
            "scrub" => {
                self.tenant.scrub(&mut |_, _| {})?;
            }
            "reopen" => {
                self.engine.clone().close()?;
                self.opened += 1;
                let mut config = Self::config(&self.disk, self.opened, self.has_second_key);
                if let Some(names) = step["maintenance"].as_str() {
                    config = config.maintenance(if names == "names" { Names::Shown } else { Names::Digests });
                }
                self.engine = Engine::open(config)?;
                self.tenant = self.engine.tenant("acme")?;
            }
            "session" => self.session = Some(self.tenant.session()?),
            what if what.starts_with("session_") => return self.in_session(what, step),
            "rewrap" => self.tenant.rewrap(step["to"].as_str())?,
            "key_provider" => return Ok(json!({ "provider": self.tenant.key_provider() })),
            "checkpoint" => self.engine.checkpoint()?,
            "sweep" => {
                self.engine.sweep()?;
            }
            "rewrite" => {
                self.tenant.rewrite(&mut |_, _| {})?;
            }
            "verify" => {
                let report = self.engine.verify(&mut |_| {})?;
                let unopened: u64 = report.tenants.iter().map(|tenant| tenant.file.records_unopened).sum();
                return Ok(json!({ "good": report.is_good(), "unopened": unopened }));
            }
            "digests" => {
                let tenants = self.engine.tenants()?.into_iter().map(|info| info.name);
                let collections = self.tenant.collections()?.into_iter().map(|info| info.name);
                let count = |names: &mut dyn Iterator<Item = String>| {
                    names.filter(|name| name.starts_with('~')).count()
                };
                let (tenants, collections) = (count(&mut { tenants }), count(&mut { collections }));
                return Ok(json!({ "tenants": tenants, "collections": collections }));
            }
            "collections" => {
                let names = self.tenant.collections()?.into_iter().map(|info| info.name);
                return Ok(json!({ "names": names.collect::<Vec<_>>() }));
            }
            "rename_collection" => {
                let (from, to) = (step["collection"].as_str().unwrap(), step["to"].as_str().unwrap());
                self.tenant.rename_collection(from, to)?;
            }
            "drop_collection" => {
                self.tenant.drop_collection(step["collection"].as_str().unwrap())?;
            }
            what => {
                let collection = self.tenant.collection(step["collection"].as_str().unwrap())?;
                return self.in_collection(what, step, &collection);
            }
        }
        Ok(json!({}))
    }

    fn in_collection(&mut self, what: &str, step: &Value, collection: &Collection) -> Result<Value> {
        let key = || text(&step["key"]);
        Ok(match what {
            "put" => {
                let mut options = PutOptions::new();
                if step["if_absent"] == true {
                    options = options.if_absent();
                }
                if step["if_version"].is_string() {
                    options = options.if_version(self.saved(&step["if_version"]));
                }
                if let Some(subject) = step["subject"].as_str() {
                    options = options.subject(subject);
                }
                for (index, key) in step["index"].as_object().into_iter().flatten() {
                    options = options.index(index, key.as_str().unwrap());
                }
                let version = collection.put_with(key(), text(&step["value"]), options)?;
                if let Some(name) = step["save"].as_str() {
                    self.saved.push((name.to_owned(), version));
                }
                json!({})
            }
            "get" => json!({ "value": collection.get(key())?.map(|value| utf8(value.to_vec())) }),
            "erase" => {
                let existed = if step["if_version"].is_string() {
                    collection.erase_if_version(key(), self.saved(&step["if_version"])).map(|_| true)?
                } else {
                    collection.erase(key())?
                };
                if step["receipt"] == true {
                    self.tenant.receipt()?;
                }
                json!({ "existed": existed })
            }
            "remove" => json!({ "existed": collection.remove(key())? }),
            "restore" => json!({ "existed": collection.restore(key())? }),
            "removed" => {
                let removed = collection.removed(ScanOptions::new())?;
                let keys = removed.map(|record| record.map(|record| utf8(record.key)));
                json!({ "keys": keys.collect::<Result<Vec<_>>>()? })
            }
            "erase_prefix" => {
                let report = collection.erase_prefix(step["prefix"].as_str().unwrap())?;
                json!({ "count": report.records, "held": report.held })
            }
            "count" => json!({ "count": collection.count(ScanOptions::new())? }),
            "scan" => json!({ "records": self.scan(step)? }),
            "declare_index" => {
                let kind = if step["unique"] == true { Index::unique() } else { Index::ordered() };
                collection.declare_index(step["index"].as_str().unwrap(), kind)?;
                json!({})
            }
            "find" => {
                let found = collection.find(step["index"].as_str().unwrap(), key())?;
                let keys = found.map(|entry| entry.map(|entry| utf8(entry.key.clone())));
                json!({ "keys": keys.collect::<Result<Vec<_>>>()? })
            }
            "set_quota" => {
                collection.set_quota(Quota::new().records(step["records"].as_u64().unwrap()))?;
                json!({})
            }
            "set_policy" => {
                collection.set_policy(policy_of(&step["policy"]))?;
                json!({})
            }
            "policy" => json!({ "policy": told(collection.policy()?) }),
            other => panic!("no step does {other}"),
        })
    }
}

#[test]
fn the_engine_does_what_the_scenarios_say() {
    let scenarios: Value = serde_json::from_str(include_str!("../conformance/scenarios.json")).unwrap();
    for scenario in scenarios.as_array().unwrap() {
        let mut world = World::new(&scenario["needs"]);
        for step in scenario["steps"].as_array().unwrap() {
            let shown = format!("{}: {step}", scenario["name"]);
            match world.run(step) {
                Err(error) => assert_eq!(step["error"], error.kind().name(), "{shown}: {error}"),
                Ok(came_to) => {
                    assert!(step["error"].is_null(), "{shown}: it succeeded");
                    for (name, value) in came_to.as_object().unwrap() {
                        assert_eq!(&step[name], value, "{shown}");
                    }
                }
            }
        }
    }
}
