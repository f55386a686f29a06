//! Promise: acknowledged means durable (invariant 5). After a power loss at any disk operation every acknowledged
//! change is there, no half of a batch is, and the store opens.
//!
//! A run plays a script of creations, puts, batches, rewrites and reopenings on a simulated disk, loses power at one
//! operation, lets a seeded part of what was not synced survive (torn at 512 bytes, lost, reordered), opens the store
//! again and compares every record with what was acknowledged. Recovery loses power again, up to twice.
//!
//! `STRONGROOM_CRASHES` sets how many runs are made, `STRONGROOM_SEED` where they begin: a failing run prints its seed.

use std::collections::BTreeMap;
use std::path::Path;

use strongroom::simulation::{Disk, Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, Result, Tenant, TenantOptions};

use crate::support::config;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What must be there after a crash.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    store: bool,
    tenants: BTreeMap<String, Records>,
    /// The batch under way: it may be there, whole, or not at all.
    pending: Option<(String, Records)>,
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// One life of the store: opens or creates it and goes on until the script or the power ends.
fn live(disk: &SimDisk, seed: u64, known: &mut Acknowledged, steps: usize) -> Result<()> {
    let mut chance = Chance(seed);
    let mut engine = if known.store {
        Engine::open(config(disk, seed))?
    } else {
        let engine = Engine::create(config(disk, seed))?;
        known.store = true;
        engine
    };
    for step in 0..steps {
        let name = ["acme", "globex"][usize::from(chance.below(2) == 1)];
        if !known.tenants.contains_key(name) {
            match engine.create_tenant(name, TenantOptions::new()) {
                // Created before the power went, but not acknowledged.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => drop(created?),
            }
            known.tenants.insert(name.to_owned(), Records::new());
        }
        let tenant = engine.tenant(name)?;
        match chance.below(12) {
            0 => {
                tenant.rewrite(&mut |_, _| {})?;
            }
            1 => {
                drop(tenant);
                engine.close()?;
                engine = Engine::open(config(disk, seed.wrapping_add(step as u64 + 1)))?;
            }
            2 => {
                drop(tenant);
                drop(engine);
                engine = Engine::open(config(disk, seed.wrapping_add(step as u64 + 1)))?;
            }
            _ => put_batch(&tenant, known, &mut chance, step)?,
        }
    }
    engine.close()
}

fn put_batch(tenant: &Tenant, known: &mut Acknowledged, chance: &mut Chance, step: usize) -> Result<()> {
    let batch: Records = (0..=chance.below(6))
        .map(|_| {
            let key = format!("key-{:02}", chance.below(40)).into_bytes();
            let length = [0, 10, 300, 5_000, 20_000][usize::try_from(chance.below(5)).unwrap()];
            let value = format!("{} {step} ", chance.below(1 << 30)).into_bytes().into_iter().cycle().take(length);
            (key, value.collect())
        })
        .collect();
    known.pending = Some((tenant.name().to_owned(), batch.clone()));
    let records = tenant.collection("records")?;
    tenant.write(|writer| batch.iter().try_for_each(|(key, value)| writer.put(&records, key, value)))?;
    known.pending = None;
    known.tenants.get_mut(tenant.name()).unwrap().extend(batch);
    Ok(())
}

/// Opens everything and compares it with what was acknowledged; takes up what was made without acknowledgement.
fn check(disk: &SimDisk, seed: u64, known: &mut Acknowledged) -> Result<()> {
    let engine = Engine::open(config(disk, seed))?;
    let pending = known.pending.take();
    for (name, records) in &mut known.tenants {
        let tenant = engine.tenant(name)?;
        let found: Records = tenant
            .collection("records")?
            .scan::<&[u8]>(..)?
            .map(|entry| entry.map(|entry| (entry.key, entry.value.unwrap().to_vec())))
            .collect::<Result<_>>()?;
        for (key, value) in &found {
            let got = tenant.collection("records")?.get(key)?;
            assert_eq!(got.as_deref(), Some(&value[..]), "get and scan differ");
        }
        let with_pending = pending.as_ref().filter(|(of, _)| of == name).map(|(_, batch)| {
            let mut records = records.clone();
            records.extend(batch.clone());
            records
        });
        if Some(&found) == with_pending.as_ref() {
            *records = found;
        } else {
            let missing = records.iter().filter(|(key, value)| found.get(*key) != Some(value)).count();
            assert!(&found == records, "{name}: {missing} of {} acknowledged records are not there", records.len());
        }
    }
    let report = engine.verify(&mut |_| {})?;
    let power_is_on = disk.info(Path::new("/")).is_ok();
    assert!(report.is_good() || !power_is_on, "{report:#?}");
    engine.close()
}

/// One run; gives whether the power went at all.
fn crash(seed: u64, policy: PowerLoss, synced: bool) -> bool {
    let mut chance = Chance(seed);
    let mut known = Acknowledged::default();
    let mut disk = SimDisk::new();
    disk.without_sync(!synced);
    let mut crashed = false;
    for life in 0..=chance.below(3) {
        let steps = 3 + usize::try_from(chance.below(12)).unwrap();
        let at_operation = disk.operations() + if known.store { chance.below(260) } else { chance.below(500) };
        disk.inject(Fault { at_operation, kind: FaultKind::PowerOff });
        let lived = live(&disk, seed.wrapping_mul(31).wrapping_add(life), &mut known, steps);
        crashed |= lived.is_err();
        disk = disk.power_loss(chance.below(u64::MAX), policy);
        disk.without_sync(!synced);
        if !known.store {
            // The creation was not acknowledged: what is left of it is not a store, or a whole one.
            disk = SimDisk::new();
            disk.without_sync(!synced);
            known = Acknowledged::default();
            continue;
        }
        // Recovery itself may lose power.
        if chance.below(2) == 0 {
            disk.inject(Fault { at_operation: disk.operations() + chance.below(40), kind: FaultKind::PowerOff });
            let before = known.clone();
            if check(&disk, seed, &mut known).is_err() {
                known = before;
            }
            disk = disk.power_loss(chance.below(u64::MAX), policy);
            disk.without_sync(!synced);
        }
        check(&disk, seed, &mut known).unwrap_or_else(|error| panic!("the store does not open: {error:?}"));
    }
    crashed
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = number("STRONGROOM_SEED").unwrap_or(1);
    first..first + number("STRONGROOM_CRASHES").unwrap_or(count)
}

/// Runs on two threads; gives how many runs lost power, and the seeds that failed with what they said.
fn run(seeds: std::ops::Range<u64>, policy: PowerLoss, synced: bool) -> (usize, Vec<(u64, String)>) {
    let one = |seed| {
        let outcome = std::panic::catch_unwind(|| crash(seed, policy, synced));
        outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            (seed, text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let seeds = seeds.clone();
            scope.spawn(move || seeds.filter(|seed| seed % 2 == half).map(one).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let crashed = results.iter().filter(|result| matches!(result, Ok(true))).count();
    (crashed, results.into_iter().filter_map(std::result::Result::err).collect())
}

#[test]
fn crash_at_any_operation_loses_nothing_acknowledged() {
    let seeds = seeds(1_000);
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let (crashed, failed) = run(seeds, PowerLoss::Random, true);
    println!("{count} runs, {crashed} of them lost power under way");
    assert!(failed.is_empty(), "{} seeds failed; STRONGROOM_SEED={} gives: {}", failed.len(), failed[0].0, failed[0].1);
    assert!(crashed * 10 > count * 6, "only {crashed} of {count} runs lost power: the script is too short");
}

#[test]
fn crash_that_drops_everything_unsynced_loses_nothing_acknowledged() {
    let (_, failed) = run(seeds(200), PowerLoss::DropAll, true);
    assert!(failed.is_empty(), "{} seeds failed; STRONGROOM_SEED={} gives: {}", failed.len(), failed[0].0, failed[0].1);
}

#[test]
fn crash_of_the_process_alone_loses_nothing_acknowledged() {
    let (_, failed) = run(seeds(200), PowerLoss::KeepAll, true);
    assert!(failed.is_empty(), "{} seeds failed; STRONGROOM_SEED={} gives: {}", failed.len(), failed[0].0, failed[0].1);
}

/// The negative control: on a disk whose syncs do nothing, the same runs do lose acknowledged records.
#[test]
fn crash_on_a_disk_that_ignores_syncs_is_noticed() {
    let (_, failed) = run(1..101, PowerLoss::Random, false);
    assert!(failed.len() > 50, "only {} of 100 runs noticed that nothing was synced", failed.len());
}
