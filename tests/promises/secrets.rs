//! Promise: no secret in the open (invariant 9). What applications store, and the names they give, are in no byte that is
//! ever written to the disk, in no error and in no `Debug`.

use std::sync::Arc;

use strongroom::simulation::{ManualClock, SimDisk};
use strongroom::{Engine, RegionPaths, ScanOptions, TenantOptions};

use crate::support::config;

const TENANT: &str = "tenant-name-that-is-secret";
const COLLECTION: &str = "collection-name-that-is-secret";
const KEY: &str = "record-key-that-is-secret";
const VALUE: &str = "record-value-that-is-secret";

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn no_name_key_or_value_is_in_any_byte_ever_written() {
    let disk = SimDisk::new();
    disk.trace(true);
    let engine = Engine::create(config(&disk, 1).region("eu", RegionPaths::new("/eu"))).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new().region("eu")).unwrap();
    let collection = tenant.collection(COLLECTION).unwrap();
    for index in 0..200 {
        collection.put(format!("{KEY}-{index}"), VALUE.repeat(index % 50)).unwrap();
    }
    tenant.rewrite(&mut |_, _| {}).unwrap();
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    drop((tenant, collection));
    engine.close().unwrap();
    let written = disk.take_trace();
    // Every kind of file was written, the journal with each put.
    for (name, least) in [(".journal", 200), (".redb", 100), (".keyring", 10), (".lane", 4), (".marker", 4)] {
        let writes = written.iter().filter(|write| write.path.to_str().unwrap().ends_with(name)).count();
        assert!(writes >= least, "only {writes} writes of {name} were seen");
    }
    for secret in [TENANT, COLLECTION, KEY, VALUE] {
        for write in &written {
            assert!(!holds(&write.bytes, secret), "{secret} was written to {}", write.path.display());
        }
    }
    // The control: the same search finds what does stand in the clear, the region's name in its marker.
    assert!(written.iter().any(|write| holds(&write.bytes, "SRMARKER") && holds(&write.bytes, "eu")));
}

#[test]
fn no_name_key_or_value_is_in_an_error_or_in_debug() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).clock(Arc::new(ManualClock::at(5)))).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let collection = tenant.collection(COLLECTION).unwrap();
    collection.put(KEY, VALUE).unwrap();
    // In the file, and once more in the journal.
    engine.checkpoint().unwrap();
    collection.put(KEY, VALUE).unwrap();
    let entry = collection.scan_with(ScanOptions::new().prefix(KEY)).unwrap().next().unwrap().unwrap();
    let mut shown = vec![
        format!("{engine:?} {tenant:?} {collection:?} {entry:?}"),
        format!("{:?} {:?}", collection.get(KEY).unwrap(), collection.info(KEY).unwrap()),
        format!("{:?} {:?}", engine.tenants().unwrap(), tenant.collections().unwrap()),
        format!("{:?} {:?}", engine.verify(&mut |_| {}).unwrap(), tenant.stats().unwrap()),
        format!("{:?}", ScanOptions::new().prefix(KEY)),
        format!("{:?}", collection.scan::<&[u8]>(..).unwrap()),
    ];
    tenant
        .write(|batch| {
            batch.put(&collection, KEY, VALUE)?;
            shown.push(format!("{batch:?}"));
            Ok(())
        })
        .unwrap();
    let mut errors = vec![
        engine.create_tenant(TENANT, TenantOptions::new()).unwrap_err(),
        engine.tenant(&format!("{TENANT}!")).unwrap_err(),
        engine.create_tenant(&format!("{TENANT}\n"), TenantOptions::new()).unwrap_err(),
        tenant.collection(&format!("{COLLECTION}\0")).unwrap_err(),
        collection.put(KEY.repeat(1_000), VALUE).unwrap_err(),
    ];
    engine.close().unwrap();
    errors.push(collection.get(KEY).unwrap_err());
    drop((tenant, collection));
    for path in disk.paths() {
        // Every file damaged in its middle, one at a time; beyond the last byte that is not zero a journal is not used yet.
        let damaged = disk.snapshot();
        let mut bytes = damaged.read_file(&path).unwrap();
        let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes[length / 3..length].fill(0xa5);
        damaged.write_file(&path, &bytes).unwrap();
        match Engine::open(config(&damaged, 2)) {
            Err(error) => errors.push(error),
            Ok(engine) => match engine.tenant(TENANT) {
                Err(error) => errors.push(error),
                Ok(tenant) => errors.extend(tenant.collection(COLLECTION).and_then(|it| it.get(KEY)).err()),
            },
        }
    }
    assert!(errors.len() >= 10, "only {} errors were met", errors.len());
    shown.extend(
        errors.iter().map(|error| format!("{error} {error:?} {:?}", std::error::Error::source(error))),
    );
    for secret in [TENANT, COLLECTION, KEY, VALUE] {
        let telling: Vec<_> = shown.iter().filter(|text| text.contains(secret)).collect();
        assert!(telling.is_empty(), "{secret} is in {telling:?}");
    }
}

/// A forked child shares the parent's files: it must be told, and must not touch them.
#[cfg(unix)]
#[test]
fn a_forked_child_is_told_and_changes_nothing() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let collection = tenant.collection(COLLECTION).unwrap();
    collection.put(KEY, VALUE).unwrap();
    // SAFETY: the child makes calls that only compare its process id and then ends without unwinding or running the
    // destructors of the test harness, whose other threads do not exist in it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let told = [
            collection.get(KEY).err(),
            collection.put(KEY, VALUE).err(),
            tenant.collections().err(),
            engine.tenants().err(),
        ];
        let forked = told
            .iter()
            .all(|error| error.as_ref().is_some_and(|error| error.kind() == strongroom::ErrorKind::Forked));
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(if forked { 7 } else { 8 }) };
    }
    let mut status = 0;
    // SAFETY: `child` is this process's own child and `status` outlives the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, libc::WEXITSTATUS(status)), (child, 7));
    assert!(collection.get(KEY).unwrap().is_some());
    collection.put(KEY, VALUE).unwrap();
}
