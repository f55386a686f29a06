//! scratch
use strongroom::simulation::*;
use strongroom::*;
use crate::support::*;

fn store(count: usize) -> SimDisk { let d = SimDisk::new(); small_store(&d, count).unwrap(); d }

#[test]
fn sync_then_eio() {
    // measure ops of one put
    let base = store(20);
    for second in 0..6u64 { for first in 0..40u64 { for kind2 in [FaultKind::Eio, FaultKind::FailedSync] {
        let d = base.snapshot();
        let e = Engine::open(config(&d, 3)).unwrap();
        let a = e.tenant("acme").unwrap();
        let c = a.collection("documents").unwrap();
        c.put("warm", "1").unwrap();
        let start = d.operations();
        d.inject(Fault { at_operation: start + first, kind: FaultKind::FailedSync });
        d.inject(Fault { at_operation: start + first + 1 + second, kind: kind2 });
        let r1 = c.put("one", "1111");
        let fired = d.operations() - start;
        if r1.is_ok() && fired < first { continue }
        // now no heal: go on
        d.heal();
        let mut acked = vec!["warm"];
        if r1.is_ok() { acked.push("one"); }
        for k in ["two", "three", "four"] {
            match c.put(k, "2222") { Ok(_) => acked.push(k), Err(x) => println!("first {first} second {second} {kind2:?}: put {k} after heal: {x:?}") }
        }
        for policy in [PowerLoss::DropAll, PowerLoss::KeepAll] {
            let p = d.power_loss(1, policy);
            let check = || -> std::result::Result<(), String> {
                let e = Engine::open(config(&p, 4)).map_err(|x| format!("open {x:?}"))?;
                let a = e.tenant("acme").map_err(|x| format!("tenant {x:?}"))?;
                let c = a.collection("documents").unwrap();
                for k in &acked { match c.get(k) { Ok(Some(_)) => {}, other => return Err(format!("{k} {other:?}")) } }
                let r = read_all(&a, 20);
                if r.right != 20 { return Err(format!("{r:?}")) }
                Ok(())
            };
            if let Err(x) = check() { println!("LOST first {first} second {second} {kind2:?} {policy:?} r1 {:?} acked {acked:?}: {x}", r1.as_ref().map(|_| ()).map_err(|e| e.to_string())); }
        }
    }}}
}

#[test]
fn debug_leaks() {
    let d = SimDisk::new();
    let e = Engine::create(config(&d, 1)).unwrap();
    let a = e.create_tenant("secret-tenant", TenantOptions::new()).unwrap();
    let c = a.collection("secret-collection").unwrap();
    c.put("secret-key", "secret-value").unwrap();
    println!("{e:?}\n{a:?}\n{c:?}\n{:?}\n{:?}\n{:?}\n{:?}", e.tenants(), a.collections(), c.scan::<Vec<u8>>(..), c.get("secret-key"));
    println!("{:?}", c.scan::<Vec<u8>>(..).unwrap().next());
    println!("{:?}", ScanOptions::new().prefix("secret-key"));
    println!("{:?}", e.verify(&mut |_| {}));
    println!("{:?}", a.stats());
    println!("{:?}", e.regions());
    println!("{:?}", config(&d, 1).region("x", RegionPaths::new("/x")));
    a.write(|b| { b.put(&c, "secret-key", "secret-value")?; println!("{b:?}"); Ok(()) }).unwrap();
    println!("{:?}", a.info_());
}
trait X { fn info_(&self) -> u8; } impl X for Tenant { fn info_(&self) -> u8 { 0 } }

#[test]
fn truncations() {
    let base = store(40);
    for p in base.paths() {
        if !p.to_str().unwrap().ends_with("redb") { continue }
        let bytes = base.read_file(&p).unwrap();
        for blocks in 0..=bytes.len() / 4096 + 70 {
            let d = base.snapshot();
            let mut b = bytes.clone(); b.resize(blocks * 4096, 0);
            d.write_file(&p, &b).unwrap();
            let e = match Engine::open(config(&d, 3)) { Ok(e) => e, Err(x) => { println!("{blocks} {x:?}"); continue } };
            for t in ["acme", "globex"] {
                match e.tenant(t) {
                    Err(x) => println!("{blocks} {t} {x:?}"),
                    Ok(t) => { let r = read_all(&t, 40); if r.right != 40 || r.refused > 0 { println!("{blocks} {} {r:?}", t.name());
                      println!("{:?}", t.collection("documents").unwrap().get(key_of(0)).err());
                    }}
                }
            }
        }
    }
}

#[test]
fn sync_eio_power() {
    let base = store(20);
    let mut lost = 0; let mut cases = 0;
    for first in 0..30u64 { 
      // find whether first is a sync and second op is the anchor write
      for j in 0..30u64 {
      for seed in 0..6u64 {
        let d = base.snapshot();
        let e = Engine::open(config(&d, 3)).unwrap();
        let a = e.tenant("acme").unwrap();
        let c = a.collection("documents").unwrap();
        c.put("warm", "1").unwrap();
        let start = d.operations();
        d.inject(Fault { at_operation: start + first, kind: FaultKind::FailedSync });
        d.inject(Fault { at_operation: start + first + 1, kind: FaultKind::Eio });
        let r1 = c.put("one", "1111");
        if r1.is_ok() { continue }
        d.heal();
        d.inject(Fault { at_operation: d.operations() + j, kind: FaultKind::PowerOff });
        let r2 = c.put("two", "2222");
        if r2.is_ok() { break }
        cases += 1;
        let p = d.power_loss(seed, if seed == 0 { PowerLoss::DropAll } else { PowerLoss::Random });
        let check = || -> std::result::Result<(), String> {
            let e = Engine::open(config(&p, 4)).map_err(|x| format!("open {x:?}"))?;
            let a = e.tenant("acme").map_err(|x| format!("tenant {x:?}"))?;
            let c = a.collection("documents").unwrap();
            match c.get("warm") { Ok(Some(_)) => {}, other => return Err(format!("warm {other:?}")) }
            let r = read_all(&a, 20);
            if r.right != 20 { return Err(format!("{r:?}")) }
            Ok(())
        };
        if let Err(x) = check() { lost += 1; if lost < 12 { println!("LOST first {first} j {j} seed {seed} r1 {:?}: {x}", r1.err().map(|e| e.to_string())); } }
    }}}
    println!("{cases} cases {lost} lost");
}
