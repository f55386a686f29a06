//! Promise: a store lies in the directories that were named for it, and nothing is written anywhere else; where they can't be
//! written, opening says so, and nothing is lost.

use std::path::Path;

use strongroom::simulation::SimDisk;
use strongroom::{Engine, ErrorKind, PutOptions, RegionPaths, TenantOptions};

use crate::support::{config, fill, read_all, refusal};

#[test]
fn nothing_is_written_outside_the_directories_of_the_store() {
    let disk = SimDisk::new();
    disk.trace(true);
    let settings = config(&disk, 1).region("eu", RegionPaths::new("/eu"));
    let engine = Engine::create(settings).unwrap();
    for (name, region) in [("acme", "default"), ("globex", "eu")] {
        let tenant = engine.create_tenant(name, TenantOptions::new().region(region)).unwrap();
        fill(&tenant, 40).unwrap();
        let documents = tenant.collection("documents").unwrap();
        documents.put_reader("large", &vec![1; 2 << 20][..], PutOptions::new().subject("user")).unwrap();
        tenant.checkpoint().unwrap();
        tenant.rewrite(&mut |_, _| {}).unwrap();
        tenant.erase_subject("user").unwrap();
    }
    engine.sweep().unwrap();
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    engine.close().unwrap();
    let is_inside = |path: &Path| {
        let directories = ["/store", "/store.keys", "/eu", "/eu.keys"];
        path == Path::new("/root-key") || directories.iter().any(|directory| path.starts_with(directory))
    };
    let trace = disk.take_trace();
    assert!(trace.len() > 100 && trace.iter().all(|written| is_inside(&written.path)));
    assert!(disk.paths().iter().all(|path| is_inside(path) || path == Path::new("/")));
    // The root key is written once.
    assert_eq!(trace.iter().filter(|written| written.path == Path::new("/root-key")).count(), 1);
}

#[test]
fn a_store_on_a_read_only_volume_does_not_open_and_is_whole_afterwards() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1)).unwrap();
    fill(&engine.create_tenant("acme", TenantOptions::new()).unwrap(), 40).unwrap();
    engine.close().unwrap();
    disk.read_only(true);
    let before = disk.paths();
    assert_eq!(
        refusal(Engine::open(config(&disk, 2)).and_then(|engine| engine.tenant("acme"))),
        ErrorKind::Io
    );
    assert_eq!(disk.paths(), before);
    disk.read_only(false);
    let engine = Engine::open(config(&disk, 3)).unwrap();
    assert_eq!(read_all(&engine.tenant("acme").unwrap(), 40).right, 40);
}
