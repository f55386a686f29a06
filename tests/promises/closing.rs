//! Promise: closing a store is done when it returns, whoever else closes it at the same time.

use std::path::Path;
use std::sync::{Barrier, Mutex};

use strongroom::simulation::{Disk, OpenMode, SimDisk};
use strongroom::{Engine, TenantOptions};

use crate::support::{STORE, config};

#[test]
fn whoever_closes_a_store_returns_when_it_is_closed() {
    const CLOSERS: usize = 8;
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1)).unwrap();
    for number in 0..20 {
        let tenant = engine.create_tenant(&format!("tenant {number}"), TenantOptions::new()).unwrap();
        let collection = tenant.collection("c").unwrap();
        for key in 0..50 {
            collection.put(format!("{key}"), [7; 2_000]).unwrap();
        }
    }
    let (together, opening, mut seed) = (Barrier::new(CLOSERS), Mutex::new(1_u64), 1);
    std::thread::scope(|scope| {
        for _ in 0..CLOSERS {
            scope.spawn(|| {
                together.wait();
                engine.clone().close().unwrap();
                // One after the other: what is in the way can only be the closing.
                let mut seed = opening.lock().unwrap();
                *seed += 1;
                let again = Engine::open(config(&disk, *seed)).expect("the store is closed");
                let collection = again.tenant("tenant 19").unwrap().collection("c").unwrap();
                assert_eq!(collection.get("49").unwrap().map(|value| value.len()), Some(2_000));
                again.close().unwrap();
            });
        }
    });
    seed += *opening.lock().unwrap();
    // Closing it again does nothing, to the store that is open now least of all.
    let again = Engine::open(config(&disk, seed).background(false)).unwrap();
    let health = Path::new(STORE).join("strongroom.health");
    disk.open(&health, OpenMode::CreateNew).unwrap();
    engine.close().unwrap();
    assert!(disk.open(&health, OpenMode::Read).is_ok(), "what the present holder published is there");
    again.tenant("tenant 0").unwrap().collection("c").unwrap().put("k", "v").unwrap();
    again.close().unwrap();
}
