//! measure
use strongroom::simulation::*;
use strongroom::{Engine};
use crate::support::*;
use std::sync::{Arc, atomic::*};
use std::path::*;
use std::time::Instant;

#[derive(Debug, Clone)]
struct T { inner: SimDisk, s: Arc<S> }
#[derive(Debug, Default)]
struct S { path: std::sync::Mutex<PathBuf>, off: AtomicU64, seen: AtomicU64 }
#[derive(Debug)]
struct F { inner: Box<dyn DiskFile>, s: Arc<S>, hit: bool }
impl Disk for T {
    fn open(&self, path: &Path, mode: OpenMode) -> std::io::Result<Box<dyn DiskFile>> {
        let hit = *self.s.path.lock().unwrap() == path;
        Ok(Box::new(F { inner: self.inner.open(path, mode)?, s: self.s.clone(), hit }))
    }
    fn list(&self, d: &Path) -> std::io::Result<Vec<DirectoryEntry>> { self.inner.list(d) }
    fn info(&self, d: &Path) -> std::io::Result<FileInfo> { self.inner.info(d) }
    fn create_dir_all(&self, d: &Path) -> std::io::Result<()> { self.inner.create_dir_all(d) }
    fn rename(&self, a: &Path, b: &Path) -> std::io::Result<()> { self.inner.rename(a, b) }
    fn remove_file(&self, a: &Path) -> std::io::Result<()> { self.inner.remove_file(a) }
    fn sync_dir(&self, a: &Path) -> std::io::Result<()> { self.inner.sync_dir(a) }
    fn absolute(&self, a: &Path) -> std::io::Result<PathBuf> { self.inner.absolute(a) }
}
impl DiskFile for F {
    fn len(&self) -> std::io::Result<u64> { self.inner.len() }
    fn read_exact_at(&self, b: &mut [u8], o: u64) -> std::io::Result<()> {
        self.inner.read_exact_at(b, o)?;
        if self.hit {
            let off = self.s.off.load(Ordering::Relaxed);
            if off >= o && off < o + b.len() as u64 { b[(off - o) as usize] ^= 1; self.s.seen.fetch_add(1, Ordering::Relaxed); }
        }
        Ok(())
    }
    fn write_all_at(&self, b: &[u8], o: u64) -> std::io::Result<()> { self.inner.write_all_at(b, o) }
    fn set_len(&self, l: u64) -> std::io::Result<()> { self.inner.set_len(l) }
    fn sync_data(&self) -> std::io::Result<()> { self.inner.sync_data() }
    fn try_lock(&self) -> std::io::Result<bool> { self.inner.try_lock() }
    fn unlock(&self) -> std::io::Result<()> { self.inner.unlock() }
}

#[test]
fn profile_live() {
    let disk = SimDisk::new();
    small_store(&disk, 40).unwrap();
    let t = T { inner: disk.clone(), s: Arc::default() };
    let id = { let e = Engine::open(config(&disk, 2)).unwrap(); e.tenant("acme").unwrap().id().to_string() };
    let path = disk.paths().into_iter().find(|p| p.to_str().unwrap().contains(&format!("{id}."))).unwrap();
    println!("{path:?}");
    *t.s.path.lock().unwrap() = path;
    t.s.off.store(u64::MAX, Ordering::Relaxed);

    for (block, key) in [(40u64, 28usize), (69, 35), (26, 29)] {
        t.s.off.store(u64::MAX, Ordering::Relaxed);
        let e = Engine::open(config(&disk, 2).disk(Arc::new(T { inner: disk.snapshot(), s: t.s.clone()}))).unwrap();
        let a = e.tenant("acme").unwrap();
        let c = a.collection("documents").unwrap();
        let n = 4096;
        let time = Instant::now();
        for byte in 0..n {
            t.s.off.store(block * 4096 + byte, Ordering::Relaxed);
            t.s.seen.store(0, Ordering::Relaxed);
            assert!(c.get(key_of(key)).is_err());
            assert_eq!(t.s.seen.load(Ordering::Relaxed), 1);
        }
        println!("{:?} a flip", time.elapsed() / n as u32);
    }
}
