//! scratch
use crate::support::*;
use strongroom::simulation::*;
use strongroom::*;

fn store(count: usize) -> SimDisk {
    let d = SimDisk::new();
    small_store(&d, count).unwrap();
    d
}

#[test]
fn sync_then_eio() {
    // measure ops of one put
    let base = store(20);
    for second in 0..6u64 {
        for first in 0..40u64 {
            for kind2 in [FaultKind::Eio, FaultKind::FailedSync] {
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
                if r1.is_ok() && fired < first {
                    continue;
                }
                // now no heal: go on
                d.heal();
                let mut acked = vec!["warm"];
                if r1.is_ok() {
                    acked.push("one");
                }
                for k in ["two", "three", "four"] {
                    match c.put(k, "2222") {
                        Ok(_) => acked.push(k),
                        Err(x) => {
                            println!("first {first} second {second} {kind2:?}: put {k} after heal: {x:?}")
                        }
                    }
                }
                for policy in [PowerLoss::DropAll, PowerLoss::KeepAll] {
                    let p = d.power_loss(1, policy);
                    let check = || -> std::result::Result<(), String> {
                        let e = Engine::open(config(&p, 4)).map_err(|x| format!("open {x:?}"))?;
                        let a = e.tenant("acme").map_err(|x| format!("tenant {x:?}"))?;
                        let c = a.collection("documents").unwrap();
                        for k in &acked {
                            match c.get(k) {
                                Ok(Some(_)) => {}
                                other => return Err(format!("{k} {other:?}")),
                            }
                        }
                        let r = read_all(&a, 20);
                        if r.right != 20 {
                            return Err(format!("{r:?}"));
                        }
                        Ok(())
                    };
                    if let Err(x) = check() {
                        println!(
                            "LOST first {first} second {second} {kind2:?} {policy:?} r1 {:?} acked {acked:?}: {x}",
                            r1.as_ref().map(|_| ()).map_err(|e| e.to_string())
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn debug_leaks() {
    let d = SimDisk::new();
    let e = Engine::create(config(&d, 1)).unwrap();
    let a = e.create_tenant("secret-tenant", TenantOptions::new()).unwrap();
    let c = a.collection("secret-collection").unwrap();
    c.put("secret-key", "secret-value").unwrap();
    println!(
        "{e:?}\n{a:?}\n{c:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        e.tenants(),
        a.collections(),
        c.scan::<Vec<u8>>(..),
        c.get("secret-key")
    );
    println!("{:?}", c.scan::<Vec<u8>>(..).unwrap().next());
    println!("{:?}", ScanOptions::new().prefix("secret-key"));
    println!("{:?}", e.verify(&mut |_| {}));
    println!("{:?}", a.stats());
    println!("{:?}", e.regions());
    println!("{:?}", config(&d, 1).region("x", RegionPaths::new("/x")));
    a.write(|b| {
        b.put(&c, "secret-key", "secret-value")?;
        println!("{b:?}");
        Ok(())
    })
    .unwrap();
    println!("{:?}", a.info_());
}
trait X {
    fn info_(&self) -> u8;
}
impl X for Tenant {
    fn info_(&self) -> u8 {
        0
    }
}

#[test]
fn truncations() {
    let base = store(40);
    for p in base.paths() {
        if !p.to_str().unwrap().ends_with("redb") {
            continue;
        }
        let bytes = base.read_file(&p).unwrap();
        for blocks in 0..=bytes.len() / 4096 + 70 {
            let d = base.snapshot();
            let mut b = bytes.clone();
            b.resize(blocks * 4096, 0);
            d.write_file(&p, &b).unwrap();
            let e = match Engine::open(config(&d, 3)) {
                Ok(e) => e,
                Err(x) => {
                    println!("{blocks} {x:?}");
                    continue;
                }
            };
            for t in ["acme", "globex"] {
                match e.tenant(t) {
                    Err(x) => println!("{blocks} {t} {x:?}"),
                    Ok(t) => {
                        let r = read_all(&t, 40);
                        if r.right != 40 || r.refused > 0 {
                            println!("{blocks} {} {r:?}", t.name());
                            println!("{:?}", t.collection("documents").unwrap().get(key_of(0)).err());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn sync_eio_power() {
    let base = store(20);
    let mut lost = 0;
    let mut cases = 0;
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
                if r1.is_ok() {
                    continue;
                }
                d.heal();
                d.inject(Fault { at_operation: d.operations() + j, kind: FaultKind::PowerOff });
                let r2 = c.put("two", "2222");
                if r2.is_ok() {
                    break;
                }
                cases += 1;
                let p = d.power_loss(seed, if seed == 0 { PowerLoss::DropAll } else { PowerLoss::Random });
                let check = || -> std::result::Result<(), String> {
                    let e = Engine::open(config(&p, 4)).map_err(|x| format!("open {x:?}"))?;
                    let a = e.tenant("acme").map_err(|x| format!("tenant {x:?}"))?;
                    let c = a.collection("documents").unwrap();
                    match c.get("warm") {
                        Ok(Some(_)) => {}
                        other => return Err(format!("warm {other:?}")),
                    }
                    let r = read_all(&a, 20);
                    if r.right != 20 {
                        return Err(format!("{r:?}"));
                    }
                    Ok(())
                };
                if let Err(x) = check() {
                    lost += 1;
                    if lost < 12 {
                        println!(
                            "LOST first {first} j {j} seed {seed} r1 {:?}: {x}",
                            r1.err().map(|e| e.to_string())
                        );
                    }
                }
            }
        }
    }
    println!("{cases} cases {lost} lost");
}

#[derive(Debug)]
struct LogDisk(SimDisk);
#[derive(Debug)]
struct LogFile(Box<dyn DiskFile>, String);
impl Disk for LogDisk {
    fn open(&self, path: &std::path::Path, mode: OpenMode) -> std::io::Result<Box<dyn DiskFile>> {
        let r = self.0.open(path, mode);
        println!("   open {} {mode:?} {}", path.display(), r.is_ok());
        Ok(Box::new(LogFile(r?, path.extension().unwrap_or_default().to_string_lossy().into_owned())))
    }
    fn list(&self, d: &std::path::Path) -> std::io::Result<Vec<DirectoryEntry>> {
        self.0.list(d)
    }
    fn info(&self, d: &std::path::Path) -> std::io::Result<FileInfo> {
        self.0.info(d)
    }
    fn create_dir_all(&self, d: &std::path::Path) -> std::io::Result<()> {
        self.0.create_dir_all(d)
    }
    fn rename(&self, a: &std::path::Path, b: &std::path::Path) -> std::io::Result<()> {
        self.0.rename(a, b)
    }
    fn remove_file(&self, a: &std::path::Path) -> std::io::Result<()> {
        println!("   remove");
        self.0.remove_file(a)
    }
    fn sync_dir(&self, a: &std::path::Path) -> std::io::Result<()> {
        println!("   syncdir");
        self.0.sync_dir(a)
    }
    fn absolute(&self, a: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
        self.0.absolute(a)
    }
}
impl DiskFile for LogFile {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read_exact_at(&self, b: &mut [u8], o: u64) -> std::io::Result<()> {
        self.0.read_exact_at(b, o)
    }
    fn write_all_at(&self, b: &[u8], o: u64) -> std::io::Result<()> {
        let r = self.0.write_all_at(b, o);
        println!(
            "   {} write block {} +{} {} {}",
            self.1,
            o / 4096,
            b.len() / 4096,
            if o < 12288 && b.len() == 4096 { u64::from_le_bytes(b[48..56].try_into().unwrap()) } else { 0 },
            r.is_ok()
        );
        r
    }
    fn set_len(&self, l: u64) -> std::io::Result<()> {
        let r = self.0.set_len(l);
        println!("   {} set_len {} {}", self.1, l / 4096, r.is_ok());
        r
    }
    fn sync_data(&self) -> std::io::Result<()> {
        let r = self.0.sync_data();
        println!("   {} sync {}", self.1, r.is_ok());
        r
    }
    fn try_lock(&self) -> std::io::Result<bool> {
        self.0.try_lock()
    }
    fn unlock(&self) -> std::io::Result<()> {
        self.0.unlock()
    }
}
#[test]
fn trace_case() {
    let base = store(20);
    let d = base.snapshot();
    let e = Engine::open(config(&d, 3).disk(std::sync::Arc::new(LogDisk(d.clone())))).unwrap();
    let a = e.tenant("acme").unwrap();
    let c = a.collection("documents").unwrap();
    println!("put warm");
    c.put("warm", "1").unwrap();
    let start = d.operations();
    d.inject(Fault { at_operation: start, kind: FaultKind::FailedSync });
    d.inject(Fault { at_operation: start + 1, kind: FaultKind::Eio });
    println!("put one");
    let r1 = c.put("one", "1111");
    println!("{r1:?}");
    d.heal();
    d.inject(Fault { at_operation: d.operations() + 1, kind: FaultKind::PowerOff });
    println!("put two");
    let r2 = c.put("two", "2222");
    println!("{r2:?}");
    let p = d.power_loss(2, PowerLoss::Random);
    let e = Engine::open(config(&p, 4)).unwrap();
    println!("{:?}", e.tenant("acme"));
    let f = p
        .paths()
        .into_iter()
        .find(|x| {
            x.to_str().unwrap().contains(&format!("{}.", a.id())) && x.to_str().unwrap().contains("redb")
        })
        .unwrap();
    for dd in [&d, &p] {
        let b = dd.read_file(&f).unwrap();
        println!(
            "slots {} {}",
            u64::from_le_bytes(b[4096 + 48..4096 + 56].try_into().unwrap()),
            u64::from_le_bytes(b[8192 + 48..8192 + 56].try_into().unwrap())
        );
    }
}

#[test]
fn fork_drop() {
    let dir = tempfile::tempdir().unwrap();
    let cfg =
        || Config::new(dir.path().join("store")).key_provider("default", KeyFile::at(dir.path().join("rk")));
    let e = Engine::create(cfg()).unwrap();
    let a = e.create_tenant("acme", TenantOptions::new()).unwrap();
    let c = a.collection("documents").unwrap();
    c.put("before", "1").unwrap();
    let (r, w) = std::io::pipe().unwrap();
    // SAFETY: test
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Child => {
            let k = c.get("before").err().map(|e| e.kind());
            // wait for the parent
            drop(w);
            let mut b = [0u8; 1];
            let mut r = r;
            let _ = std::io::Read::read(&mut r, &mut b);
            drop(c);
            drop(a);
            drop(e);
            std::process::exit(if k == Some(ErrorKind::Forked) { 7 } else { 1 });
        }
        nix::unistd::ForkResult::Parent { child } => {
            for i in 0..5 {
                c.put(format!("after{i}"), "1").unwrap();
            }
            let snap = || {
                let mut v = std::collections::BTreeMap::new();
                for f in walkdir::WalkDir::new(dir.path()) {
                    let f = f.unwrap();
                    if f.file_type().is_file() {
                        v.insert(f.path().to_owned(), std::fs::read(f.path()).unwrap());
                    }
                }
                v
            };
            let before = snap();
            drop(w);
            println!("{:?}", nix::sys::wait::waitpid(child, None));
            for (p, b) in snap() {
                if before[&p] != b {
                    let at: Vec<_> = b
                        .iter()
                        .zip(&before[&p])
                        .enumerate()
                        .filter(|(_, (a, b))| a != b)
                        .map(|(i, _)| i / 4096)
                        .collect::<std::collections::BTreeSet<_>>()
                        .into_iter()
                        .collect();
                    println!(
                        "CHILD CHANGED {} blocks {at:?} len {} {}",
                        p.display(),
                        b.len(),
                        before[&p].len()
                    );
                }
            }
        }
    }
    let copy = tempfile::tempdir().unwrap();
    for f in walkdir::WalkDir::new(dir.path()) {
        let f = f.unwrap();
        let to = copy.path().join(f.path().strip_prefix(dir.path()).unwrap());
        if f.file_type().is_dir() {
            std::fs::create_dir_all(to).unwrap()
        } else {
            std::fs::copy(f.path(), to).unwrap();
        }
    }
    let e2 = Engine::open(
        Config::new(copy.path().join("store")).key_provider("default", KeyFile::at(copy.path().join("rk"))),
    )
    .unwrap();
    match e2.tenant("acme") {
        Err(x) => println!("COPY {x:?}"),
        Ok(t) => {
            for i in 0..5 {
                println!("copy {:?}", t.collection("documents").unwrap().get(format!("after{i}")));
            }
        }
    }
    // lock still held?
    println!("second open {:?}", Engine::open(cfg()).err());
    println!("get {:?}", c.get("after4"));
    println!("put {:?}", c.put("later", "1"));
    println!("get {:?}", c.get("later"));
    println!("verify {:?}", e.verify(&mut |_| {}).map(|r| r.is_good()));
    println!("close {:?}", e.close());
    drop(c);
    drop(a);
    let e = Engine::open(cfg());
    println!("reopen {:?}", e);
    let e = e.unwrap();
    let a = e.tenant("acme");
    println!("{a:?}");
    let c = a.unwrap().collection("documents").unwrap();
    for i in 0..5 {
        println!("{:?}", c.get(format!("after{i}")));
    }
    println!("{:?}", c.get("later"));
}
