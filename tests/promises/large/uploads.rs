//! Uploads in parts: over several writes, sessions and processes, byte for byte what was written.

use std::io::{Read, Write};

use proptest::prelude::*;
use strongroom::simulation::SimDisk;
use strongroom::{ErrorKind, Index, PutOptions, RekeyOptions};

use super::{CHUNK, WHOLE, new_store, opened, put, read, ticks, value};
use crate::support::refusal;

#[test]
fn an_upload_goes_on_after_a_restart_behind_what_is_durable() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let whole = value(4, 100 * CHUNK + 17);
    let mut upload = scans.begin_upload("key", PutOptions::new().if_absent().written_ms(11)).unwrap();
    let id = upload.id();
    assert_eq!(upload.durable_bytes(), 0);
    upload.write_all(&whole[..70 * CHUNK + 5]).unwrap();
    assert_eq!(upload.durable_bytes(), 64 * CHUNK as u64, "a group");
    assert_eq!(refusal(scans.resume_upload(id)), ErrorKind::Busy);
    drop(upload);
    let mut upload = scans.resume_upload(id).unwrap();
    assert_eq!(upload.durable_bytes(), 64 * CHUNK as u64);
    upload.write_all(&whole[64 * CHUNK..80 * CHUNK + 9]).unwrap();
    upload.flush().unwrap();
    assert_eq!(upload.durable_bytes(), 80 * CHUNK as u64 + 9, "all of it");
    assert!(scans.get("key").unwrap().is_none());
    drop((upload, scans));
    engine.close().unwrap();

    let (engine, scans) = opened(&disk, 2);
    let other = engine.tenant("acme").unwrap().collection("other").unwrap();
    assert_eq!(refusal(other.resume_upload(id)), ErrorKind::NotFound);
    let id = id.to_string().parse().unwrap();
    let mut upload = scans.resume_upload(id).unwrap();
    assert_eq!(upload.durable_bytes(), 80 * CHUNK as u64 + 9);
    upload.write_all(&whole[80 * CHUNK + 9..]).unwrap();
    ticks(&engine);
    let version = upload.publish().unwrap();
    let info = scans.info("key").unwrap().unwrap();
    assert_eq!((info.version, info.written_ms, info.value_bytes), (version, 11, whole.len() as u64));
    assert!(read(&scans, "key").unwrap().unwrap() == whole);
    assert_eq!(refusal(scans.resume_upload(id)), ErrorKind::NotFound);
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

#[test]
fn a_publication_that_is_refused_can_be_gone_on_with_or_discarded() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    scans.put("key", b"small").unwrap();
    let mut upload = scans.begin_upload("key", PutOptions::new().if_absent()).unwrap();
    let id = upload.id();
    upload.write_all(b"a value").unwrap();
    assert_eq!(refusal(upload.publish()), ErrorKind::Conflict);
    scans.erase("key").unwrap();
    let mut upload = scans.resume_upload(id).unwrap();
    assert_eq!(upload.durable_bytes(), 7);
    upload.write_all(b" and more").unwrap();
    upload.publish().unwrap();
    assert_eq!(scans.get("key").unwrap().as_deref(), Some(&b"a value and more"[..]));

    let upload = scans.begin_upload("key", PutOptions::new()).unwrap();
    let id = upload.id();
    upload.discard().unwrap();
    assert_eq!(refusal(scans.resume_upload(id)), ErrorKind::NotFound);
    scans.begin_upload("empty", PutOptions::new()).unwrap().publish().unwrap();
    assert_eq!(scans.get("empty").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(refusal(scans.begin_upload("", PutOptions::new())), ErrorKind::InvalidArgument);
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    for wrong in ["", "12", &"A5".repeat(16)] {
        assert_eq!(refusal(wrong.parse::<strongroom::ChunkSetId>()), ErrorKind::InvalidArgument);
    }
}

#[test]
fn an_upload_does_not_end_in_another_collection_of_the_same_name() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    scans.put("other", b"small").unwrap();
    let mut upload = scans.begin_upload("key", PutOptions::new()).unwrap();
    upload.write_all(&value(1, WHOLE + 1)).unwrap();
    let id = upload.id();
    tenant.drop_collection("scans").unwrap();
    assert_eq!(refusal(upload.publish()), ErrorKind::NotFound);
    let scans = tenant.collection("scans").unwrap();
    assert!(scans.get("key").unwrap().is_none());
    assert_eq!(refusal(scans.resume_upload(id)), ErrorKind::NotFound);
}

#[test]
fn an_upload_goes_on_while_its_tenant_is_rewritten_and_others_write() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let whole = value(6, 200 * CHUNK + 1);
    let mut upload = scans.begin_upload("key", PutOptions::new()).unwrap();
    for (number, part) in whole.chunks(50 * CHUNK).enumerate() {
        upload.write_all(part).unwrap();
        put(&scans, "other", &value(number as u64, WHOLE + 1)).unwrap();
        tenant.rewrite(&mut |_, _| {}).unwrap();
        ticks(&engine);
    }
    upload.publish().unwrap();
    assert!(read(&scans, "key").unwrap().unwrap() == whole);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

/// What is done to an upload.
#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Flush,
    Resume,
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_writes_and_resumptions_gives_the_value(
        steps in prop::collection::vec(
            prop_oneof![
                4 => prop_oneof![0..300_usize, (0..4_usize).prop_map(|chunks| chunks * CHUNK), 0..3 * WHOLE].prop_map(Step::Write),
                1 => Just(Step::Flush),
                1 => Just(Step::Resume),
                1 => Just(Step::Reopen),
            ],
            0..10,
        ),
    ) {
        let whole = value(8, 30 * WHOLE);
        let disk = SimDisk::new();
        let (mut engine, mut scans) = new_store(&disk);
        let mut upload = scans.begin_upload("key", PutOptions::new()).unwrap();
        let id = upload.id();
        let mut written = 0;
        for (seed, step) in (2..).zip(&steps) {
            match step {
                Step::Write(bytes) => {
                    upload.write_all(&whole[written..written + bytes]).unwrap();
                    written += bytes;
                    continue;
                }
                Step::Flush => {
                    upload.flush().unwrap();
                    prop_assert_eq!(upload.durable_bytes(), written as u64);
                    continue;
                }
                Step::Resume => drop(upload),
                Step::Reopen => {
                    drop(upload);
                    engine.close().unwrap();
                    (engine, scans) = opened(&disk, seed);
                }
            }
            upload = scans.resume_upload(id).unwrap();
            let durable = upload.durable_bytes() as usize;
            prop_assert!(durable <= written);
            written = durable;
        }
        upload.publish().unwrap();
        prop_assert!(read(&scans, "key").unwrap().unwrap() == whole[..written]);
        let report = engine.verify(&mut |_| {}).unwrap();
        prop_assert!(report.is_good());
    }
}

/// A large value expires, is found by its secondary keys and goes with its subject as any other.
#[test]
fn a_large_value_has_the_subject_expiry_and_secondary_keys_it_was_put_with() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    scans.declare_index("patient", Index::ordered()).unwrap();
    let whole = value(9, WHOLE + 9);
    let options = PutOptions::new().subject("ada").expires_ms(1_800_000_000_000).index("patient", b"p-1");
    scans.put_reader("put", &whole[..], options.clone()).unwrap();
    let mut upload = scans.begin_upload("uploaded", options).unwrap();
    upload.write_all(&whole).unwrap();
    let id = upload.id();
    drop((upload, scans, tenant));
    engine.close().unwrap();
    let (engine, scans) = opened(&disk, 2);
    let tenant = engine.tenant("acme").unwrap();
    let mut upload = scans.resume_upload(id).unwrap();
    let durable = upload.durable_bytes() as usize;
    upload.write_all(&whole[durable..]).unwrap();
    upload.publish().unwrap();
    for key in ["put", "uploaded"] {
        assert!(read(&scans, key).unwrap().unwrap() == whole);
        assert_eq!(scans.info(key).unwrap().unwrap().expires_ms, Some(1_800_000_000_000));
    }
    let found = scans.find("patient", b"p-1").unwrap().map(|entry| entry.unwrap().key);
    assert_eq!(found.collect::<Vec<_>>(), [b"put".to_vec(), b"uploaded".to_vec()]);

    let mut under_way = scans.begin_upload("late", PutOptions::new().subject("ada")).unwrap();
    under_way.write_all(&whole).unwrap();
    let id = under_way.id();
    let mut reader = scans.get_reader("put").unwrap().unwrap();
    tenant.erase_subject("ada").unwrap();
    for key in ["put", "uploaded"] {
        assert!(read(&scans, key).unwrap().is_none());
    }
    reader.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(refusal(under_way.publish()), ErrorKind::Conflict);
    assert_eq!(refusal(scans.resume_upload(id)), ErrorKind::NotFound);
    let refused = scans.begin_upload("key", PutOptions::new().index("absent", b"x"));
    assert_eq!(refusal(refused), ErrorKind::NotFound);
}

/// Its chunks are sealed under the key that was current when it began.
#[test]
fn a_data_key_that_an_upload_needs_is_not_retired() {
    let disk = SimDisk::new();
    let (engine, documents) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let value = vec![7; 3 << 20];
    let mut upload = documents.begin_upload("key", PutOptions::new()).unwrap();
    upload.write_all(&value).unwrap();
    let old = tenant.data_keys().unwrap()[0].generation;
    tenant.rotate_data_key().unwrap();
    assert_eq!(refusal(tenant.retire_data_key(old)), ErrorKind::Conflict);
    upload.publish().unwrap();
    assert_eq!(refusal(tenant.retire_data_key(old)), ErrorKind::Conflict, "a record needs it now");
    let report = tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
    assert!(report.large == 1 && report.is_complete, "{report:?}");
    tenant.retire_data_key(old).unwrap();
    let mut found = Vec::new();
    documents.get_reader("key").unwrap().unwrap().read_to_end(&mut found).unwrap();
    assert!(found == value);
}
