//! Power loss at every operation of the disk, while tenants are suspended, renamed, removed, restored and erased.

use std::path::PathBuf;
use std::sync::Arc;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, PutOptions, Result, TenantOptions};

use super::erased::{files_with, marks_of};
use super::{DAY, START_MS, config_at, two_tenants};
use crate::support::{fill, note, read_all};

type Step = fn(&Engine) -> Result<()>;

/// Runs `script` on a store that was opened, once for each of its operations on the disk, and loses power there in three
/// ways; `check` gets the store that is left, opened, and whether the script had ended. Opening it loses power too, in
/// every third run.
fn at_every_operation(
    before: &SimDisk,
    clock: &Arc<ManualClock>,
    script: impl Fn(&Engine) -> Result<()>,
    check: impl Fn(&SimDisk, Engine, bool, &str),
) -> u64 {
    for offset in 0.. {
        let live = before.snapshot();
        let engine = Engine::open(config_at(&live, 2, clock)).unwrap();
        engine.tenant("acme").unwrap();
        live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
        let is_over = script(&engine).is_ok();
        drop(engine);
        for (seed, policy) in [(0, PowerLoss::DropAll), (offset, PowerLoss::Random), (0, PowerLoss::KeepAll)]
        {
            let mut after = live.power_loss(seed, policy);
            if (offset + seed) % 3 == 0 {
                after.inject(Fault {
                    at_operation: after.operations() + offset % 23,
                    kind: FaultKind::PowerOff,
                });
                drop(Engine::open(config_at(&after, 4, clock)));
                after = after.power_loss(offset, policy);
            }
            let place = format!("{policy:?} at {offset}");
            let engine =
                Engine::open(config_at(&after, 3, clock)).unwrap_or_else(|error| panic!("{place}: {error}"));
            check(&after, engine, is_over, &place);
        }
        if is_over {
            return offset;
        }
    }
    unreachable!("the script ends")
}

/// In the journal alone, in a file and beyond, and with a journal of its own; with keys of subjects.
#[test]
fn power_lost_at_any_operation_of_an_erasure_leaves_the_tenant_whole_or_nothing_of_it() {
    for (dedicated, in_file) in [(false, false), (false, true), (true, true)] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
        let options = if dedicated { TenantOptions::new().dedicated() } else { TenantOptions::new() };
        let acme = engine.create_tenant("acme", options).unwrap();
        let globex = engine.create_tenant("globex", TenantOptions::new()).unwrap();
        fill(&acme, 40).unwrap();
        fill(&globex, 40).unwrap();
        let documents = acme.collection("documents").unwrap();
        documents.put_with("of", "value", PutOptions::new().subject("user")).unwrap();
        if in_file {
            engine.checkpoint().unwrap();
            fill(&acme, 20).unwrap();
            fill(&globex, 20).unwrap();
        }
        let id = acme.id();
        drop((acme, globex, documents));
        engine.close().unwrap();
        let erase = |engine: &Engine| engine.erase_tenant("acme");
        let count = at_every_operation(&disk, &clock, erase, |disk, engine, is_over, place| {
            match engine.tenant("acme") {
                Ok(acme) => {
                    assert!(!is_over, "{place}: reported as erased, and there");
                    assert_eq!(read_all(&acme, 40).right, 40, "{place}: the tenant is there in part");
                    assert!(acme.collection("documents").unwrap().contains("of").unwrap(), "{place}");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{place}: {error}");
                    assert_eq!(engine.health().unwrap().tenants_unfinished, [], "{place}");
                    assert_eq!(files_with(disk, &marks_of(id)), Vec::<PathBuf>::new(), "{place}");
                }
            }
            assert_eq!(read_all(&engine.tenant("globex").unwrap(), 40).right, 40, "{place}");
            assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "{place}");
        });
        note(&format!("an erasure of {count} disk operations"));
        assert!(count > 15, "{count}");
    }
}

#[test]
fn power_lost_while_a_tenant_changes_its_state_or_name_leaves_it_as_it_was_or_as_it_shall_be() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, acme, globex) = two_tenants(&disk, &clock);
    let id = acme.id();
    drop((acme, globex));
    engine.close().unwrap();
    let steps: [(&str, Step); 4] = [
        ("acme", |engine| engine.suspend_tenant("acme")),
        ("initech", |engine| engine.rename_tenant("acme", "initech")),
        ("acme", |engine| engine.remove_tenant("acme", DAY).map(|_| ())),
        ("acme", |engine| engine.remove_tenant("acme", DAY).and_then(|_| engine.restore_tenant("acme"))),
    ];
    for (name, step) in steps {
        at_every_operation(&disk, &clock, step, |_, engine, is_over, place| {
            let tenants = engine.tenants().unwrap();
            let found: Vec<_> = tenants.iter().filter(|info| info.id == id).collect();
            assert_eq!((found.len(), tenants.len()), (1, 2), "{place}");
            let name_now = found[0].name.clone();
            assert!(name_now == name || (name_now == "acme" && !is_over), "{place}");
            // Whatever it is now: it can be had back whole.
            let _ = engine.restore_tenant(&name_now);
            engine.resume_tenant(&name_now).unwrap();
            let tenant = engine.tenant(&name_now).unwrap();
            for index in 0..40 {
                let value =
                    tenant.collection("documents").unwrap().get(crate::support::key_of(index)).unwrap();
                assert_eq!(value.unwrap()[..], crate::support::value_of("acme", index), "{place}");
            }
            assert_eq!(read_all(&engine.tenant("globex").unwrap(), 40).right, 40, "{place}");
        });
    }
}
