//! Promise: maintenance needs the structure key only (invariant 3). With a credential that never unwraps a content key a
//! store opens, recovers its journals, makes checkpoints, moves frames, retires segments, rewrites and verifies blocks;
//! any value is refused. A store that is opened for maintenance asks for no content key of whatever credential, and shows
//! digests in place of names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::simulation::{ManualClock, SeededEntropy, SimDisk};
use strongroom::{
    Batch, Config, Engine, ErrorKind, Index, KeyFile, KeyProvider, MoveOptions, Names, ProviderError,
    PutOptions, RegionPaths, Result, ScanOptions, Section, Selector, Tenant, TenantOptions, WrapContext,
};

use crate::support::{ROOT_KEY, STORE, fill, key_of, read_all};

/// The root key behind a policy that gives structure sections only.
#[derive(Debug)]
struct StructureOnly(KeyFile);

impl KeyProvider for StructureOnly {
    fn wrap(&self, _: &[u8; 32], _: &WrapContext) -> Result<Vec<u8>, ProviderError> {
        Err(ProviderError::denied("this credential makes no keys"))
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        context: &WrapContext,
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, ProviderError> {
        match context.section {
            Section::Structure => self.0.unwrap(wrapped, context),
            Section::Content => Err(ProviderError::denied("this credential reads no values")),
        }
    }
}

const RECORDS: usize = 60;

fn key_file(disk: &SimDisk) -> KeyFile {
    KeyFile::at(ROOT_KEY).on_disk(Arc::new(disk.clone()))
}

fn config(disk: &SimDisk, seed: u64, provider: impl KeyProvider + 'static) -> Config {
    Config::new(STORE)
        .key_provider("default", provider)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::at(1_700_000_000_000)))
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .segment_bytes(64 << 10)
        .journal_bytes(128 << 10)
        .background(false)
}

#[test]
fn a_store_is_maintained_without_content_keys_and_no_value_is_read() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1, key_file(&disk))).unwrap();
    for name in ["acme", "globex"] {
        fill(&engine.create_tenant(name, TenantOptions::new()).unwrap(), RECORDS).unwrap();
    }
    // The process ends: everything is in the journal.
    let disk = disk.power_loss(1, strongroom::simulation::PowerLoss::KeepAll);

    let engine = Engine::open(config(&disk, 2, StructureOnly(key_file(&disk)))).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let denied = acme.collection("documents").unwrap().get(key_of(3));
    assert_eq!(denied.unwrap_err().kind(), ErrorKind::KeyUnavailable);
    let denied = acme.collection("documents").unwrap().put(b"new", b"value");
    assert_eq!(denied.unwrap_err().kind(), ErrorKind::KeyUnavailable);
    let pending: u64 = engine.lanes().unwrap().iter().map(|lane| lane.stats.pending_bytes).sum();
    assert!(pending > 0, "nothing was left to the journal");
    engine.checkpoint().unwrap();
    engine.tick().unwrap();
    let lanes = engine.lanes().unwrap();
    assert!(lanes.iter().all(|lane| lane.stats.pending_bytes == 0 && lane.stats.segments <= 1), "{lanes:?}");
    let rewritten = acme.rewrite(&mut |_, _| {}).unwrap().unwrap();
    assert!(rewritten.rows > 0);
    let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
    assert!(report.problem.is_none() && report.file.blocks_bad.is_empty() && report.file.tables.is_none());
    engine.close().unwrap();

    let engine = Engine::open(config(&disk, 3, key_file(&disk))).unwrap();
    for name in ["acme", "globex"] {
        assert_eq!(read_all(&engine.tenant(name).unwrap(), RECORDS).right, RECORDS, "{name}");
    }
}

/// Gives all keys, and counts those of content sections that it was asked for.
#[derive(Debug)]
struct Counted(KeyFile, Arc<AtomicUsize>);

impl KeyProvider for Counted {
    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>, ProviderError> {
        self.1.fetch_add(usize::from(context.section == Section::Content), Ordering::Relaxed);
        self.0.wrap(key, context)
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        context: &WrapContext,
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, ProviderError> {
        self.1.fetch_add(usize::from(context.section == Section::Content), Ordering::Relaxed);
        self.0.unwrap(wrapped, context)
    }
}

/// A store with a tenant of each region, records in the journal, an index and a hold of each kind; its process has ended.
fn two_regions() -> SimDisk {
    let disk = SimDisk::new();
    let config = config(&disk, 1, key_file(&disk)).region("eu", RegionPaths::new("/eu"));
    let engine = Engine::create(config).unwrap();
    for (name, region) in [("acme", "default"), ("globex", "eu")] {
        let tenant = engine.create_tenant(name, TenantOptions::new().region(region)).unwrap();
        fill(&tenant, RECORDS).unwrap();
        let documents = tenant.collection("documents").unwrap();
        documents.declare_index("email", Index::unique()).unwrap();
        documents.put_with(b"x", b"x", PutOptions::new().subject("user-42").index("email", b"a@b")).unwrap();
    }
    let acme = engine.tenant("acme").unwrap();
    acme.hold("case-1", Selector::Tenant).unwrap();
    acme.hold("case-2", Selector::collection("documents")).unwrap();
    acme.hold("case-3", Selector::prefix("documents", b"key-")).unwrap();
    acme.hold("case-4", Selector::record("documents", b"x")).unwrap();
    acme.hold("case-5", Selector::subject("user-42")).unwrap();
    disk.power_loss(1, strongroom::simulation::PowerLoss::KeepAll)
}

/// What each read and write of records gave.
fn uses(tenant: &Tenant) -> Vec<ErrorKind> {
    let documents = tenant.collection("documents").unwrap();
    let key = key_of(3);
    let batch = |fill: &dyn Fn(&mut Batch) -> Result<()>| tenant.write(fill).map(|_| ());
    let results = [
        documents.get(&key).map(|_| ()),
        documents.get(b"absent").map(|_| ()),
        documents.get_into(&key, &mut [0; 8]).map(|_| ()),
        documents.get_reader(&key).map(|_| ()),
        documents.get_range(&key, 0..1).map(|_| ()),
        documents.info(&key).map(|_| ()),
        documents.contains(&key).map(|_| ()),
        documents.count(ScanOptions::new()).map(|_| ()),
        documents.scan_with(ScanOptions::new().keys_only(true)).map(|_| ()),
        documents.removed(ScanOptions::new()).map(|_| ()),
        documents.find("email", b"a@b").map(|_| ()),
        documents.put(&key, b"value").map(|_| ()),
        documents.remove(&key).map(|_| ()),
        documents.restore(&key).map(|_| ()),
        documents.erase(&key).map(|_| ()),
        documents.begin_upload(b"large", PutOptions::new()).map(|_| ()),
        batch(&|batch| batch.put(&documents, b"k", b"v")),
        batch(&|batch| batch.erase(&documents, b"k")),
        tenant.snapshot().map(|_| ()),
        tenant.session().map(|_| ()),
        tenant.subjects().map(|_| ()),
        tenant.subject_records("user-42").map(|_| ()),
        tenant.erase_subject("user-42").map(|_| ()),
        tenant.rotate_data_key().map(|_| ()),
        tenant.rewrap(None),
    ];
    results
        .into_iter()
        .map(|result| result.map_or_else(|error| error.kind(), |()| ErrorKind::Internal))
        .collect()
}

#[test]
fn a_store_open_for_maintenance_is_looked_after_without_a_content_key_and_shows_no_name() {
    let (disk, asked) = (two_regions(), Arc::new(AtomicUsize::new(0)));
    let provider = || Counted(key_file(&disk), Arc::clone(&asked));
    let engine = Engine::open(config(&disk, 2, provider()).maintenance(Names::Digests)).unwrap();
    let names = ["acme", "globex", "documents", "email", "case-", "key-", "user-"];
    let is_digest = |text: &str| text.starts_with('~') && names.iter().all(|name| !text.contains(name));

    let tenants = engine.tenants().unwrap();
    assert!(tenants.len() == 2 && tenants.iter().all(|info| is_digest(&info.name)));
    let digest = engine.tenant_info("acme").unwrap().name;
    let acme = engine.tenant(&digest).unwrap();
    assert_eq!((acme.id(), acme.name()), (engine.tenant("acme").unwrap().id(), &*digest));
    let collections = acme.collections().unwrap();
    assert!(collections.len() == 1 && is_digest(&collections[0].name));
    let indexes = acme.collection("documents").unwrap().indexes().unwrap();
    assert!(indexes.len() == 1 && is_digest(&indexes[0].name));
    for hold in acme.holds().unwrap() {
        assert!(is_digest(&hold.name));
        match hold.selector {
            Selector::Collection(name) | Selector::Subject(name) => assert!(is_digest(&name)),
            Selector::Prefix { collection, prefix: bytes } | Selector::Record { collection, key: bytes } => {
                assert!(is_digest(&collection) && is_digest(&String::from_utf8(bytes).unwrap()));
            }
            _ => {}
        }
    }
    assert_eq!(engine.tenant_stats(&digest).unwrap().records, RECORDS as u64 + 1);
    assert_eq!(engine.tenant("~00000000000000000000000000000000").unwrap_err().kind(), ErrorKind::NotFound);

    let refused = uses(&acme);
    assert!(refused.iter().all(|kind| *kind == ErrorKind::KeyUnavailable), "{refused:?}");
    let created = engine.create_tenant("initech", TenantOptions::new());
    assert_eq!(created.unwrap_err().kind(), ErrorKind::KeyUnavailable);

    engine.checkpoint().unwrap();
    engine.tick().unwrap();
    engine.sweep().unwrap();
    assert!(acme.rewrite(&mut |_, _| {}).unwrap().unwrap().rows > 0);
    engine.move_tenant(&digest, "eu", MoveOptions::new().override_residency(), &mut |_| {}).unwrap();
    assert_eq!(engine.tenant_info(&digest).unwrap().region, "eu");
    engine.suspend_tenant(&digest).unwrap();
    engine.resume_tenant(&digest).unwrap();
    assert_eq!(
        uses(&engine.tenant(&digest).unwrap())[0],
        ErrorKind::KeyUnavailable,
        "resumed, it was in use"
    );
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:?}");
    let unopened: Vec<_> = report.tenants.iter().map(|tenant| tenant.file.records_unopened).collect();
    assert_eq!(unopened, [0, RECORDS as u64 + 1, RECORDS as u64 + 1]);
    assert!(report.tenants.iter().filter_map(|tenant| tenant.name.as_deref()).all(is_digest));
    engine.checkpoint().unwrap();
    assert!(
        engine.lanes().unwrap().iter().all(|lane| lane.stats.pending_bytes == 0),
        "journals were not emptied"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0, "a content key was asked for");
    engine.close().unwrap();

    let again = Engine::open(config(&disk, 3, provider()).maintenance(Names::Digests)).unwrap();
    assert_eq!(again.tenant_info("acme").unwrap().name, digest, "a digest is another one the next time");
    again.close().unwrap();
    let shown = Engine::open(config(&disk, 4, provider()).maintenance(Names::Shown)).unwrap();
    let tenants = shown.tenants().unwrap();
    assert_eq!(tenants.iter().map(|info| &*info.name).collect::<Vec<_>>(), ["acme", "globex"]);
    let acme = shown.tenant("acme").unwrap();
    assert_eq!((acme.name(), &*acme.collections().unwrap()[0].name), ("acme", "documents"));
    assert_eq!(shown.tenant(&digest).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(uses(&acme).iter().all(|kind| *kind == ErrorKind::KeyUnavailable));
    assert_eq!(asked.load(Ordering::Relaxed), 0, "a content key was asked for");
    shown.close().unwrap();

    let engine = Engine::open(config(&disk, 5, key_file(&disk))).unwrap();
    for name in ["acme", "globex"] {
        assert_eq!(read_all(&engine.tenant(name).unwrap(), RECORDS).right, RECORDS, "{name}");
    }
}

#[test]
fn no_store_is_created_for_maintenance() {
    let disk = SimDisk::new();
    let created = Engine::create(config(&disk, 1, key_file(&disk)).maintenance(Names::Shown));
    assert_eq!(created.unwrap_err().kind(), ErrorKind::InvalidArgument);
    Engine::create(config(&disk, 1, key_file(&disk))).unwrap();
}

/// What needs keys of values waits for who uses the store, and is nothing that failed.
#[test]
fn maintenance_rotates_no_key_and_is_well_without() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1, key_file(&disk))).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    fill(&acme, RECORDS).unwrap();
    acme.collection("documents").unwrap().put_with("s", "value", PutOptions::new().subject("s")).unwrap();
    let generation = acme.data_keys().unwrap().len();
    drop(acme);
    engine.close().unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let configure = |seed| config(&disk, seed, key_file(&disk)).clock(Arc::clone(&clock) as Arc<_>);
    let engine = Engine::open(configure(2).maintenance(Names::Shown)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    clock.set(1_700_000_000_000 + 100 * 86_400_000);
    engine.confirm_clock().unwrap();
    engine.tick().unwrap();
    assert_eq!(acme.data_keys().unwrap().len(), generation, "a key was made");
    let duties = engine.health().unwrap().duties;
    assert!(duties.iter().all(|duty| duty.failed.is_none()), "{duties:?}");
    drop(acme);
    engine.close().unwrap();
    let engine = Engine::open(configure(3)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    acme.collection("documents").unwrap().put("more", "value").unwrap();
    engine.tick().unwrap();
    assert_eq!(acme.data_keys().unwrap().len(), generation + 1, "who uses the store rotates it");
}
