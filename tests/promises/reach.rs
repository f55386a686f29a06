//! Promise: a destroyed key reaches every copy of the data. An older copy with today's key store gives exactly what was not
//! erased by destroying a key, and what was so erased is absent; and the key store's files hold nothing of it.

use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{ManualClock, SimDisk};
use strongroom::{Config, Engine, ErrorKind, LedgerEvent, PutOptions, TenantOptions};

use crate::support::{config, refusal};

const START_MS: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 86_400_000;
const SLOT: usize = 128;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

/// The wrapped keys in the slots of a file of the key store: sealed key and tag (FORMAT.md section 4.3).
fn wrapped(disk: &SimDisk, name: &str) -> Vec<Vec<u8>> {
    let path = disk.paths().into_iter().find(|path| path.ends_with(name)).unwrap();
    let bytes = disk.read_file(path).unwrap();
    let first_twins = bytes.chunks_exact(4_096).skip(4).step_by(2);
    first_twins.flat_map(|block| block.chunks_exact(SLOT)).map(|slot| slot[24..72].to_vec()).collect()
}

fn is_in_key_store(disk: &SimDisk, bytes: &[u8]) -> bool {
    let keys = disk.paths().into_iter().filter(|path| path.starts_with("/store.keys"));
    keys.into_iter()
        .any(|path| disk.read_file(path).unwrap().windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn an_older_copy_with_todays_key_store_gives_what_was_not_erased_and_nothing_else() {
    for checkpointed in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
        let ids = ["acme", "globex"].map(|name| {
            let tenant = engine.create_tenant(name, TenantOptions::new()).unwrap();
            let people = tenant.collection("people").unwrap();
            for index in 0..40 {
                if index == 20 {
                    // From here on only the journal has it, unless there is another checkpoint.
                    tenant.checkpoint().unwrap();
                }
                let options = match index % 4 {
                    0 => PutOptions::new(),
                    1 => PutOptions::new().ttl(Duration::from_millis(DAY_MS * (1 + index / 4 % 3))),
                    2 => PutOptions::new().subject(format!("user-{}", index / 4 % 3)),
                    _ => PutOptions::new().ttl(Duration::from_millis(30 * DAY_MS)).subject("user-1"),
                };
                people.put_with(format!("{index}"), format!("{name} {index}"), options).unwrap();
            }
            if checkpointed {
                tenant.checkpoint().unwrap();
            }
            tenant.id()
        });
        // The copy, as of now; and what stands in the slots.
        let copy = disk.snapshot();
        let (periods, subjects) =
            (wrapped(&disk, &format!("{}.keyring", ids[0])), wrapped(&disk, &format!("{}.slots", ids[0])));
        // One subject and the first period of one tenant; a plain record, whose keys stay.
        let acme = engine.tenant("acme").unwrap();
        assert!(acme.erase_subject("user-1").unwrap());
        assert!(acme.collection("people").unwrap().erase("0").unwrap());
        clock.set(START_MS + 2 * DAY_MS);
        engine.sweep_tenant("acme").unwrap();
        let destroyed: Vec<_> = acme.ledger().unwrap().iter().map(|entry| entry.event).collect();
        drop(acme);
        engine.close().unwrap();
        for event in &destroyed {
            let bytes = match event {
                LedgerEvent::SubjectKey { slot } => &subjects[usize::try_from(*slot).unwrap()],
                LedgerEvent::PeriodKey { slot } => &periods[usize::try_from(*slot).unwrap()],
                other => panic!("{other:?}"),
            };
            assert!(bytes.iter().any(|byte| *byte != 0) && !is_in_key_store(&disk, bytes), "{event:?}");
            assert!(is_in_key_store(&copy, bytes), "the control: it was there");
        }
        assert_eq!(destroyed.len(), 2);
        let live = (1..4).filter(|slot| is_in_key_store(&disk, &subjects[*slot])).count();
        assert_eq!(live, 2, "the keys of the others are there");

        // Yesterday's data with today's keys, at the time of the copy: no clock hides anything.
        clock.set(START_MS);
        for path in copy.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
            copy.remove(&path).unwrap();
        }
        for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
            copy.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
        }
        assert_eq!(refusal(Engine::open(config_at(&copy, 2, &clock))), ErrorKind::RolledBack);
        let engine = Engine::open(config_at(&copy, 2, &clock).accept_rollback(true)).unwrap();
        engine.confirm_clock().unwrap();
        for name in ["acme", "globex"] {
            let people = engine.tenant(name).unwrap().collection("people").unwrap();
            for index in 0..40 {
                let is_erased = name == "acme"
                    && match index % 4 {
                        0 => false,
                        1 => index / 4 % 3 == 0,
                        2 => index / 4 % 3 == 1,
                        _ => true,
                    };
                let expected = (!is_erased).then(|| format!("{name} {index}").into_bytes());
                let found = people.get(format!("{index}")).unwrap().map(|value| value.to_vec());
                assert_eq!(found, expected, "{name} {index}, checkpointed {checkpointed}");
            }
        }
        assert_eq!(engine.tenant("acme").unwrap().ledger().unwrap().len(), 2);
    }
}

/// After a rewrite the older copy has no structure key: it needs a key store of its time.
#[test]
fn a_copy_from_before_a_scrub_does_not_open_with_todays_key_store() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let people = tenant.collection("people").unwrap();
    people.put("k", "value").unwrap();
    tenant.checkpoint().unwrap();
    let copy = disk.snapshot();
    assert!(people.erase("k").unwrap());
    tenant.scrub(&mut |_, _| {}).unwrap();
    drop((tenant, people));
    engine.close().unwrap();
    for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
        copy.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
    }
    let engine = Engine::open(config_at(&copy, 2, &clock).accept_rollback(true)).unwrap();
    let refused = refusal(engine.tenant("acme").and_then(|tenant| tenant.collection("people")?.get("k")));
    assert!(matches!(refused, ErrorKind::KeyMissing | ErrorKind::Unavailable | ErrorKind::Io), "{refused:?}");
}
