//! Promise: maintenance needs the structure key only (invariant 3). With a credential that never unwraps a content key a
//! store opens, recovers its journals, makes checkpoints, moves frames, retires segments, rewrites and verifies blocks;
//! any value is refused.

use std::sync::Arc;

use strongroom::simulation::{ManualClock, SeededEntropy, SimDisk};
use strongroom::{
    Config, Engine, ErrorKind, KeyFile, KeyProvider, ProviderError, Section, TenantOptions, WrapContext,
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
