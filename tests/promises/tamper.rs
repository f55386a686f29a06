//! measure
use strongroom::simulation::SimDisk;
use strongroom::{Engine};
use crate::support::*;
use std::time::Instant;
#[test]
fn measure() {
    for count in [40, 100] {
    let disk = SimDisk::new();
    small_store(&disk, count).unwrap();
    let mut total = 0;
    for p in disk.paths() {
        let r = disk.allocated_ranges(&p).unwrap();
        let a: u64 = r.iter().map(|r| r.end - r.start).sum();
        println!("{} len {} alloc {} {:?}", p.display(), disk.read_file(&p).unwrap().len(), a, r);
        total += a;
    }
    println!("total {total}");
    let n = 50;
    let t = Instant::now();
    for _ in 0..n { std::hint::black_box(disk.snapshot()); }
    println!("snapshot {:?}", t.elapsed() / n);
    let t = Instant::now();
    for _ in 0..n { let d = disk.snapshot(); let e = Engine::open(config(&d, 2)).unwrap(); e.close().unwrap(); }
    println!("open close {:?}", t.elapsed() / n);
    let t = Instant::now();
    for _ in 0..n { let d = disk.snapshot(); let e = Engine::open(config(&d, 2)).unwrap(); e.tenant("acme").unwrap(); e.tenant("globex").unwrap(); e.close().unwrap(); }
    println!("open close 2 tenants {:?}", t.elapsed() / n);
    let t = Instant::now();
    for _ in 0..n { let d = disk.snapshot(); let e = Engine::open(config(&d, 2)).unwrap(); for t in ["acme", "globex"] { let t = e.tenant(t).unwrap(); assert_eq!(read_all(&t, count).right, count); } e.close().unwrap(); }
    println!("open read close 2 tenants {:?}", t.elapsed() / n);
    let t = Instant::now();
    for _ in 0..n { let d = disk.snapshot(); let e = Engine::open(config(&d, 2)).unwrap(); for t in ["acme", "globex"] { let t = e.tenant(t).unwrap(); assert_eq!(t.collection("documents").unwrap().scan::<Vec<u8>>(..).unwrap().count(), count); } e.close().unwrap(); }
    println!("open scan close 2 tenants {:?}", t.elapsed() / n);
    }
}
