//! Promise: a tenant that gets new section keys has everything it had, its handles end, and it goes on under the new ones.

use std::path::Path;

use strongroom::simulation::{PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, PutOptions, ScanOptions, TenantOptions};

use crate::support::{config, fill, key_of, refusal, value_of};

#[test]
fn a_tenant_with_new_section_keys_has_everything_and_goes_on() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let other = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    fill(&tenant, 50).unwrap();
    fill(&other, 50).unwrap();
    tenant.checkpoint().unwrap();
    let documents = tenant.collection("documents").unwrap();
    documents.put_with("of a subject", "value", PutOptions::new().subject("s")).unwrap();
    documents
        .put_with("expires", "value", PutOptions::new().ttl(std::time::Duration::from_hours(1)))
        .unwrap();
    let mut scan = documents.scan_with(ScanOptions::new().limit(3)).unwrap();
    assert_eq!(scan.by_ref().count(), 3);
    let cursor = scan.cursor().unwrap().unwrap();
    let keyring = format!("/store.keys/{}.keyring", tenant.id());
    let before = disk.read_file(Path::new(&keyring)).unwrap();
    engine.renew_section_keys("acme").unwrap();
    assert_ne!(disk.read_file(Path::new(&keyring)).unwrap(), before);
    assert_eq!(refusal(documents.get(key_of(1))), ErrorKind::Poisoned);
    assert_eq!(refusal(engine.renew_section_keys("nobody")), ErrorKind::NotFound);
    let theirs = other.collection("documents").unwrap();
    assert_eq!(theirs.get(key_of(7)).unwrap().as_deref(), Some(&value_of("globex", 7)[..]));
    for round in 0..2 {
        let (engine, documents) = if round == 0 {
            let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
            (None, documents)
        } else {
            let left = disk.power_loss(1, PowerLoss::DropAll);
            let engine = Engine::open(config(&left, 2).background(false)).unwrap();
            let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
            (Some(engine), documents)
        };
        for index in 0..50 {
            let value = documents.get(key_of(index)).unwrap();
            assert_eq!(value.as_deref(), Some(&value_of("acme", index)[..]));
        }
        assert!(documents.contains("of a subject").unwrap() && documents.contains("expires").unwrap());
        assert!(documents.scan_with(ScanOptions::new().after(&cursor)).is_err(), "of the old keys");
        documents.put_with("new", "value", PutOptions::new().subject("t")).unwrap();
        if let Some(engine) = engine {
            let tenant = engine.tenant("acme").unwrap();
            tenant.rotate_data_key().unwrap();
            tenant.rewrite(&mut |_, _| {}).unwrap();
            tenant.erase_subject("s").unwrap();
            assert!(documents.get("of a subject").unwrap().is_none());
            let report = engine.verify(&mut |_| {}).unwrap();
            assert!(report.is_good(), "{report:#?}");
        }
    }
}
