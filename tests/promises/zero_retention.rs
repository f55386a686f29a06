//! Promise: what is put through a session is nowhere but in memory: in no file and in no write, whatever else goes on, and
//! gone with the session; and where a policy says zero retention, nothing can be put but there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom::simulation::{PowerLoss, SimDisk};
use strongroom::{
    Engine, ErrorKind, Policy, PutOptions, RekeyOptions, ScanOptions, Submitted, TenantOptions,
};

use crate::support::{config, refusal};

/// A text that is long enough to be looked for, and stands nowhere else.
fn secret(index: usize) -> String {
    format!("zero retention {index:04} {}", "of a value ".repeat(1 + index % 50))
}

fn key(index: usize) -> String {
    format!("retained by nobody {index:04}")
}

/// Whether any of the texts stands in the bytes.
fn is_in(bytes: &[u8], texts: &[Vec<u8>]) -> bool {
    let begins = |at: usize| texts.iter().any(|text| bytes[at..].starts_with(text));
    (0..bytes.len()).filter(|at| matches!(bytes[*at], b'z' | b'r')).any(begins)
}

/// Beside puts, checkpoints, a rewrite, a sweep, a suspension, closing and opening, with every write to the disk recorded.
#[test]
fn nothing_of_a_session_is_in_any_file_or_in_any_write() {
    let disk = SimDisk::new();
    disk.trace(true);
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    let nowhere = acme.collection("retained by nobody at all").unwrap();
    let session = acme.session().unwrap();
    for index in 0..200 {
        let collection = if index % 2 == 0 { &documents } else { &nowhere };
        session.put(collection, key(index), secret(index)).unwrap();
        documents.put(format!("stored-{index}"), format!("retained {index}")).unwrap();
        match index {
            60 => acme.checkpoint().unwrap(),
            90 => drop(acme.rewrite(&mut |_, _| {}).unwrap()),
            120 => drop(engine.sweep().unwrap()),
            150 => drop(acme.rotate_data_key().unwrap()),
            _ => {}
        }
    }
    engine.tick().unwrap();
    let large = (0..1 << 20).map(|at| b"zero retention "[at % 15]).collect::<Vec<_>>();
    session.put(&documents, "large", &large).unwrap();
    for index in 0..200 {
        let collection = if index % 2 == 0 { &documents } else { &nowhere };
        assert_eq!(session.get(collection, key(index)).unwrap().unwrap()[..], *secret(index).as_bytes());
    }
    assert!(acme.collections().unwrap().iter().all(|known| known.name != "retained by nobody at all"));
    session.end();
    acme.checkpoint().unwrap();
    drop((acme, documents, nowhere));
    engine.close().unwrap();

    let mut texts: Vec<_> =
        (0..200).flat_map(|index| [secret(index)[..19].into(), key(index).into()]).collect();
    texts.extend([b"retained by nobody at all".to_vec(), b"zero retention zero retention".to_vec()]);
    let trace = disk.take_trace();
    assert!(trace.len() > 300, "{}", trace.len());
    assert!(!trace.iter().any(|written| is_in(&written.bytes, &texts)));
    assert!(!disk.paths().iter().any(|path| disk.read_file(path).is_ok_and(|bytes| is_in(&bytes, &texts))));
    // The control: the search finds what was put in the clear.
    disk.write_file("/store/found", [b"x", &texts[7][..]].concat()).unwrap();
    assert!(disk.paths().iter().any(|path| disk.read_file(path).is_ok_and(|bytes| is_in(&bytes, &texts))));
}

/// No operation of the disk at all: neither writes nor reads.
#[test]
fn a_session_asks_nothing_of_the_disk() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    let before = (disk.operations(), disk.reads());
    let session = acme.session().unwrap();
    for index in 0..50 {
        session.put(&documents, key(index), secret(index)).unwrap();
        session.put(&documents, key(index), secret(index + 1)).unwrap();
    }
    assert_eq!(session.get(&documents, key(7)).unwrap().unwrap()[..], *secret(8).as_bytes());
    assert!(session.erase(&documents, key(7)).unwrap() && !session.erase(&documents, key(7)).unwrap());
    let keys = |from: usize, to: usize| {
        let found = session.scan(&documents, key(from)..key(to)).unwrap();
        found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys(5, 9), [key(5), key(6), key(8)]);
    assert_eq!(session.scan::<&str>(&documents, ..).unwrap().len(), 49);
    assert_eq!(session.records(), 49);
    session.end();
    assert_eq!((disk.operations(), disk.reads()), before);
}

#[test]
fn only_the_session_that_wrote_a_record_has_it_and_only_while_it_lives() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let globex = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    documents.put("k", "stored").unwrap();
    let (session, other) = (acme.session().unwrap(), acme.session().unwrap());
    session.put(&documents, "k", "held").unwrap();
    session.put(&documents, "l", "held").unwrap();
    assert_eq!(documents.get("k").unwrap().as_deref(), Some(&b"stored"[..]));
    assert_eq!(documents.get("l").unwrap(), None);
    assert_eq!(documents.count(strongroom::ScanOptions::new()).unwrap(), 1);
    assert_eq!(other.get(&documents, "k").unwrap(), None);
    assert_eq!(session.get(&documents, "k").unwrap().as_deref(), Some(&b"held"[..]));
    let elsewhere = acme.collection("elsewhere").unwrap();
    assert_eq!(session.get(&elsewhere, "k").unwrap(), None);
    let foreign = globex.collection("documents").unwrap();
    assert_eq!(refusal(session.put(&foreign, "k", "value")), ErrorKind::InvalidArgument);
    assert_eq!(refusal(session.get(&foreign, "k")), ErrorKind::InvalidArgument);

    assert_eq!(refusal(session.put(&documents, "", "value")), ErrorKind::InvalidArgument);
    assert_eq!(refusal(session.put(&documents, "k", vec![0; (1 << 20) + 1])), ErrorKind::LimitExceeded);
    let mut fitting = 0;
    while fitting < 100 && session.put(&documents, fitting.to_string(), vec![1; 1 << 20]).is_ok() {
        fitting += 1;
    }
    assert_eq!(fitting, 63);
    // Over what is there it takes no more.
    session.put(&documents, "0", vec![2; 1 << 20]).unwrap();
    assert!(session.erase(&documents, "1").unwrap());
    session.put(&documents, "again", vec![1; 1 << 20]).unwrap();

    // Handles of a tenant that is suspended or erased are refused.
    engine.suspend_tenant("acme").unwrap();
    assert_eq!(refusal(session.get(&documents, "k")), ErrorKind::Suspended);
    assert_eq!(refusal(acme.session()), ErrorKind::Suspended);
    engine.resume_tenant("acme").unwrap();
    assert_eq!(session.get(&documents, "k").unwrap().as_deref(), Some(&b"held"[..]));
    engine.erase_tenant("acme").unwrap();
    assert_eq!(refusal(session.get(&documents, "k")), ErrorKind::NotFound);
    drop(session);
    // A crash leaves nothing of it, and a new process knows nothing.
    let engine = Engine::open(config(&disk.power_loss(1, PowerLoss::KeepAll), 2).background(false)).unwrap();
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::NotFound);
}

#[test]
fn a_session_is_used_from_many_threads() {
    let engine = Engine::create(config(&SimDisk::new(), 1).background(false)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    let session = Arc::new(acme.session().unwrap());
    let read = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (session, documents, read) = (Arc::clone(&session), &documents, &read);
            scope.spawn(move || {
                for index in (thread..400).step_by(4) {
                    session.put(documents, key(index), secret(index)).unwrap();
                    let value = session.get(documents, key(index)).unwrap().unwrap();
                    assert_eq!(value[..], *secret(index).as_bytes());
                    read.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((read.into_inner(), session.records()), (400, 400));
    documents.put_with("k", "value", PutOptions::new()).unwrap();
}

/// By every way in which a value could come to a disk, with every write recorded; what was there before is swept.
#[test]
fn where_the_policy_says_zero_retention_nothing_is_stored() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let [prompts, kept] = ["prompts", "kept"].map(|name| acme.collection(name).unwrap());
    prompts.put("before", "retained").unwrap();
    prompts.put("removed", "retained").unwrap();
    assert!(prompts.remove("removed").unwrap());
    kept.put("before", "retained").unwrap();
    let mut upload = prompts.begin_upload("uploaded", PutOptions::new()).unwrap();
    let chunk = vec![7; 4 << 20];
    std::io::Write::write_all(&mut upload, &chunk).unwrap();
    let mut under_way = acme.batch();
    under_way.put(&prompts, "begun", "before").unwrap();
    prompts.set_policy(Policy::new().zero_retention(true)).unwrap();
    assert_eq!(refusal(acme.submit(under_way).and_then(Submitted::wait)), ErrorKind::Conflict);

    acme.checkpoint().unwrap();
    disk.trace(true);
    let invalid = ErrorKind::InvalidArgument;
    assert_eq!(refusal(prompts.put(key(1), secret(1))), invalid);
    let options = || PutOptions::new().ttl(Duration::from_secs(1)).subject("zero retention of whom");
    assert_eq!(refusal(prompts.put_with(key(2), secret(2), options())), invalid);
    assert_eq!(refusal(acme.write(|batch| batch.put(&prompts, key(3), secret(3)))), invalid);
    let long = secret(4).repeat(200_000);
    assert_eq!(refusal(prompts.put_reader(key(4), long.as_bytes(), PutOptions::new())), invalid);
    assert_eq!(refusal(prompts.begin_upload(key(5), PutOptions::new())), invalid);
    // One that was begun before writes nothing more, and is not published.
    let durable = upload.durable_bytes();
    assert!(std::io::Write::write_all(&mut upload, long.as_bytes()).is_err());
    assert_eq!(upload.durable_bytes(), durable);
    assert!(upload.publish().is_err());
    // With the tenant's policy no collection is made either, but one that overrides it stores.
    acme.set_policy(Policy::new().zero_retention(true)).unwrap();
    kept.set_policy(Policy::new().zero_retention(false)).unwrap();
    let nowhere = acme.collection("retained by nobody at all").unwrap();
    assert_eq!(refusal(nowhere.put(key(6), secret(6))), invalid);
    assert_eq!(refusal(nowhere.begin_upload(key(7), PutOptions::new())), invalid);
    let names: Vec<_> = acme.collections().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["kept", "prompts"]);
    kept.put("after", "retained").unwrap();
    let session = acme.session().unwrap();
    session.put(&prompts, key(8), secret(8)).unwrap();
    assert_eq!(session.get(&prompts, key(8)).unwrap().as_deref(), Some(secret(8).as_bytes()));
    session.end();

    assert!(acme.apply_policies(RekeyOptions::new(), &mut |_, _| {}).unwrap().is_complete);
    assert_eq!(prompts.get("before").unwrap(), None);
    engine.sweep().unwrap();
    assert_eq!(prompts.removed(ScanOptions::new()).unwrap().count(), 0);
    acme.checkpoint().unwrap();
    assert_eq!(prompts.count(ScanOptions::new()).unwrap(), 0);
    assert_eq!(kept.count(ScanOptions::new()).unwrap(), 2);
    let texts: Vec<_> = (0..9)
        .flat_map(|index| [secret(index)[..19].into(), key(index).into()])
        .chain([b"retained by nobody at all".to_vec(), b"zero retention of whom".to_vec()])
        .collect();
    let trace = disk.take_trace();
    assert!(trace.len() > 10, "{}", trace.len());
    assert!(!trace.iter().any(|written| is_in(&written.bytes, &texts)));
    drop((acme, prompts, kept, nowhere));
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
    let prompts = engine.tenant("acme").unwrap().collection("prompts").unwrap();
    assert_eq!(prompts.policy().unwrap().is_zero_retention(), Some(true));
    assert_eq!(refusal(prompts.put("k", "v")), invalid);
}
