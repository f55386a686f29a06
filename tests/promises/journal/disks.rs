//! A disk that fails under the journal: what was acknowledged is there, and the journal works again.

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, Result, Version};

use super::store::{
    A, B, DEDICATED, Ended, Records, Store, TENANTS, config_of, documents, put_all, records_of,
};
use crate::support::{note, refusal};

/// Puts one record, of which two fill a segment.
fn put(engine: &Engine, tenant: usize, index: usize) -> (Records, Result<Version>) {
    let value = format!("{} {index} ", TENANTS[tenant]).repeat(2_500);
    let records = Records::from([(format!("large-{index}").into_bytes(), value.into_bytes())]);
    let version = engine.tenant(TENANTS[tenant]).and_then(|tenant| put_all(&tenant, &records));
    (records, version)
}

/// Asserts that a tenant has all of its records, and of those whose put failed no more than parts that are whole.
fn assert_has(engine: &Engine, tenant: usize, acknowledged: &Records, failed: &Records, place: &str) {
    let found = records_of(engine, tenant).unwrap_or_else(|kind| panic!("{place}: {kind:?}"));
    for (key, value) in acknowledged {
        assert!(found.get(key) == Some(value), "{place}: acknowledged and lost");
    }
    for (key, value) in &found {
        assert!(acknowledged.get(key).or(failed.get(key)) == Some(value), "{place}: nobody put this");
    }
}

#[test]
fn a_failed_sync_poisons_its_lane_alone_until_the_store_is_opened_again() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, 0, 0));
    });
    let disk = store.disk.snapshot();
    let engine = Engine::open(config_of(&disk, 2)).unwrap();
    let tenants = TENANTS.map(|name| engine.tenant(name).unwrap());
    // The lane is open for writing: the next sync is that of a put.
    store.write(&engine, A, 0, 1);
    disk.inject(Fault { at_operation: disk.operations(), kind: FaultKind::FailedSync });
    assert_eq!(refusal(documents(&tenants[A]).put("lost", "perhaps")), ErrorKind::Io);
    for _ in 0..3 {
        for tenant in [A, B] {
            assert_eq!(refusal(documents(&tenants[tenant]).put("more", "or less")), ErrorKind::Poisoned);
            assert_eq!(records_of(&engine, tenant), Ok(store.records(tenant)), "reading goes on");
        }
    }
    assert_eq!(refusal(engine.create_tenant("hooli", strongroom::TenantOptions::new())), ErrorKind::Poisoned);
    store.write(&engine, DEDICATED, 0, 1);
    assert_eq!(refusal(engine.close()), ErrorKind::Poisoned);
    drop(tenants);

    let failed = Records::from([(b"lost".to_vec(), b"perhaps".to_vec())]);
    let engine = Engine::open(config_of(&disk, 3)).unwrap();
    for tenant in [A, B, DEDICATED] {
        assert_has(&engine, tenant, &store.records(tenant), &failed, "opened again");
    }
    let shown = records_of(&engine, A).unwrap();
    for tenant in [A, B, DEDICATED] {
        store.write(&engine, tenant, 0, 2);
    }
    // What was shown after the opening stays, and so does everything acknowledged.
    for seed in 0..20 {
        let policy = if seed == 0 { PowerLoss::DropAll } else { PowerLoss::Random };
        let engine = Engine::open(config_of(&disk.power_loss(seed, policy), 4)).unwrap();
        for tenant in [A, B, DEDICATED] {
            assert_has(&engine, tenant, &store.records(tenant), &failed, "after the power went");
        }
        assert_eq!(
            records_of(&engine, A).unwrap().contains_key(&b"lost"[..]),
            shown.contains_key(&b"lost"[..])
        );
    }
}

/// The journal of a process that was killed may have shown what it lost: versions are greater from then on, also where the
/// disk failed while the store was opened next.
#[test]
fn an_opening_that_a_failing_disk_ends_leaves_the_next_one_a_greater_timeline() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| store.write(engine, DEDICATED, 0, 0));
    store.round(1, Ended::Killed, |store, engine| {
        [A, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, 1, 0));
    });
    let reached = |disk: &SimDisk, seed| -> Result<[Version; 2]> {
        let engine = Engine::open(config_of(disk, seed))?;
        let versions = [put(&engine, A, 0).1?, put(&engine, DEDICATED, 0).1?];
        engine.close()?;
        Ok(versions)
    };
    let expected = reached(&store.disk.snapshot(), 2).unwrap();
    for kind in [FaultKind::Eio, FaultKind::FailedSync] {
        let mut refused = 0;
        for offset in 0.. {
            let disk = store.disk.snapshot();
            let at_operation = disk.operations() + offset;
            disk.inject(Fault { at_operation, kind });
            let opened = Engine::open(config_of(&disk, 2));
            if disk.operations() <= at_operation {
                break;
            }
            let opened = opened.and_then(|engine| engine.tenant(TENANTS[DEDICATED]).map(|_| engine));
            refused += usize::from(opened.is_err());
            drop(opened);
            disk.heal();
            for (version, least) in reached(&disk, 3).unwrap().into_iter().zip(expected) {
                let place = format!("{kind:?} at {offset}: {version} after {least}");
                assert!(version.timeline >= least.timeline, "{place}");
            }
        }
        assert!(refused > 3, "{kind:?}: {refused}");
    }
}

#[test]
fn a_disk_that_fails_at_any_operation_of_many_puts_loses_nothing_acknowledged_and_works_again() {
    const PUTS: usize = 6;
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| store.write(engine, B, 0, 0));
    for kind in [FaultKind::Enospc, FaultKind::ShortWrite, FaultKind::Eio, FaultKind::FailedSync] {
        let (mut struck, mut poisoned) = (0, 0);
        for offset in 0.. {
            let disk = store.disk.snapshot();
            let mut engine = Engine::open(config_of(&disk, 2)).unwrap();
            let [mut acknowledged, mut failed] = [store.records(B), Records::new()];
            let end = disk.operations() + offset;
            disk.inject(Fault { at_operation: end, kind });
            let place = format!("{kind:?} at {offset}");
            let mut is_struck = false;
            for index in 0..PUTS {
                match put(&engine, B, index) {
                    (records, Ok(_)) => acknowledged.extend(records),
                    (records, Err(error)) => {
                        is_struck = true;
                        failed.extend(records);
                        assert!(
                            [ErrorKind::Io, ErrorKind::Poisoned].contains(&error.kind()),
                            "{place}: {error:?}"
                        );
                        disk.heal();
                    }
                }
            }
            let is_over = disk.operations() <= end;
            disk.heal();
            struck += usize::from(is_struck);
            for index in PUTS..2 * PUTS {
                let (records, mut version) = put(&engine, B, index);
                if version.as_ref().is_err_and(|error| error.kind() == ErrorKind::Poisoned) {
                    assert!(is_struck && [FaultKind::Eio, FaultKind::FailedSync].contains(&kind), "{place}");
                    poisoned += 1;
                    drop(engine);
                    engine = Engine::open(config_of(&disk, 3)).unwrap();
                    assert_has(&engine, B, &acknowledged, &failed, &place);
                    version = put(&engine, B, index).1;
                }
                version.unwrap_or_else(|error| panic!("{place}: {error:?}"));
                acknowledged.extend(records);
            }
            assert_has(&engine, B, &acknowledged, &failed, &place);
            for (seed, policy) in [(1, PowerLoss::DropAll), (2, PowerLoss::Random), (3, PowerLoss::Random)] {
                let engine = Engine::open(config_of(&disk.power_loss(seed, policy), 4)).unwrap();
                assert_has(&engine, B, &acknowledged, &failed, &place);
                assert_eq!(records_of(&engine, A), Ok(store.records(A)), "{place}");
            }
            if is_over {
                break;
            }
        }
        note(&format!("{kind:?}: {struck} operations struck a put, {poisoned} of them poisoned the journal"));
        let may_poison = [FaultKind::Eio, FaultKind::FailedSync].contains(&kind);
        assert!(struck >= PUTS && (poisoned > 0) == may_poison, "{kind:?}");
    }
}

/// Whatever the segment's fill is when the disk has no byte left: erasures are durable, also those that share a batch with
/// puts, which fail; the store opens again, full as the disk is.
#[test]
fn on_a_full_disk_records_are_erased() {
    const KEYS: usize = 30;
    let mut reserved = 0;
    for fill in 0..12 {
        let store = Store::empty();
        let disk = store.disk.snapshot();
        let engine = Engine::open(config_of(&disk, 2)).unwrap();
        let tenant = engine.tenant(TENANTS[B]).unwrap();
        let records = documents(&tenant);
        for key in 0..KEYS {
            records.put(format!("goes-{key}"), "x".repeat(500)).unwrap();
            records.put(format!("stays-{key}"), "x").unwrap();
        }
        for _ in 0..fill {
            records.put("filling", "x".repeat(4_000)).unwrap();
        }
        // Not a byte more.
        disk.set_capacity(Some(1));
        let mut failed = 0;
        for attempt in 0..100 {
            // What is allocated already is used up.
            failed += usize::from(records.put(format!("more-{attempt}"), "x".repeat(3_000)).is_err());
        }
        assert!(failed > 50, "{failed}");
        for key in 0..KEYS / 2 {
            assert!(records.erase(format!("goes-{key}")).unwrap(), "{fill}: {key}");
        }
        // Together with puts, of this tenant and of another one of the lane.
        let others = engine.tenant(TENANTS[A]).unwrap();
        let other = documents(&others);
        let submitted: Vec<_> = (KEYS / 2..KEYS)
            .map(|key| {
                let mut puts = others.batch();
                puts.put(&other, "never", "x".repeat(3_000)).unwrap();
                let mut erasures = tenant.batch();
                erasures.erase(&records, format!("goes-{key}")).unwrap();
                let mut mixed = tenant.batch();
                mixed.erase(&records, format!("stays-{key}")).unwrap();
                mixed.put(&records, "mixed", "x".repeat(3_000)).unwrap();
                let put = others.submit(puts).unwrap();
                (put, tenant.submit(erasures).unwrap(), tenant.submit(mixed).unwrap())
            })
            .collect();
        for (put, erasure, mixed) in submitted {
            assert_eq!((refusal(put.wait()), refusal(mixed.wait())), (ErrorKind::Io, ErrorKind::Io));
            erasure.wait().unwrap();
            reserved += 1;
        }
        let check = |engine: &Engine| {
            let found = records_of(engine, B).unwrap();
            assert!(found.keys().all(|key| !key.starts_with(b"goes")), "{fill}: erased and there again");
            assert_eq!(found.keys().filter(|key| key.starts_with(b"stays")).count(), KEYS, "{fill}");
        };
        check(&engine);
        check(&Engine::open(config_of(&disk.power_loss(fill, PowerLoss::DropAll), 3)).unwrap());
        drop((records, tenant, other, others));
        // The checkpoint that it makes finds no room; the journal has everything, and is closed.
        if let Err(error) = engine.close() {
            assert_eq!(error.kind(), ErrorKind::Io);
        }
        let engine = Engine::open(config_of(&disk, 4)).unwrap();
        check(&engine);
        disk.set_capacity(None);
        engine.close().unwrap();
    }
    note(&format!("{reserved} erasures beside puts that failed"));
}

#[test]
fn a_full_disk_fails_puts_and_when_there_is_room_they_work_again() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, 0, 0));
    });
    let disk = store.disk.snapshot();
    let engine = Engine::open(config_of(&disk, 2)).unwrap();
    let mut acknowledged = [A, B, DEDICATED].map(|tenant| store.records(tenant));
    let mut failed = [const { Records::new() }; 3];
    let used = |disk: &SimDisk| -> u64 {
        let ranges = disk.paths().into_iter().flat_map(|path| disk.allocated_ranges(&path).unwrap());
        ranges.map(|range| range.end - range.start).sum()
    };
    for round in 0..4 {
        disk.set_capacity(Some(used(&disk) + 300_000));
        let mut refused = [0; 3];
        for index in 0..30 {
            for tenant in [A, B, DEDICATED] {
                match put(&engine, tenant, 100 * round + index) {
                    (records, Ok(_)) => acknowledged[tenant].extend(records),
                    (records, Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
                        failed[tenant].extend(records);
                        refused[tenant] += 1;
                    }
                }
            }
        }
        assert!(refused.iter().all(|refused| *refused > 10), "{refused:?}");
        for tenant in [A, B, DEDICATED] {
            assert_has(&engine, tenant, &acknowledged[tenant], &Records::new(), "a full disk is read");
        }
        disk.set_capacity(None);
        for tenant in [A, B, DEDICATED] {
            let (records, version) = put(&engine, tenant, 100 * round + 99);
            version.unwrap();
            acknowledged[tenant].extend(records);
        }
    }
    for seed in 0..10 {
        let engine = Engine::open(config_of(&disk.power_loss(seed, PowerLoss::Random), 4)).unwrap();
        for tenant in [A, B, DEDICATED] {
            assert_has(&engine, tenant, &acknowledged[tenant], &failed[tenant], "after the power went");
        }
    }
}
