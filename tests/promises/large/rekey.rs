//! Values in chunks are sealed anew under the current data key, online and in parts, and then the old key can be destroyed:
//! never a value lost, changed or hidden, and nothing kept of what was erased meanwhile.

use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom::simulation::SimDisk;
use strongroom::{Collection, ErrorKind, PutOptions, RekeyOptions, RekeyReport, Tenant};

use super::crash::{at_every_operation, open};
use super::{CHUNK, WHOLE, new_store, opened, put, read, sets, ticks, value};
use crate::support::refusal;

/// Bytes that are copied in one commit: whole chunks of 4 MiB.
const PIECE: usize = 64 * CHUNK;

fn rekey(tenant: &Tenant, options: RekeyOptions) -> RekeyReport {
    tenant.rekey(options, &mut |_, _| {}).unwrap()
}

/// Makes a new data key; gives the old one's generation.
fn rotate(tenant: &Tenant) -> u32 {
    let old = tenant.data_keys().unwrap().last().unwrap().generation;
    assert!(tenant.rotate_data_key().unwrap() > old);
    old
}

/// Pieces that are copied, one a call, until everything is sealed anew; the bytes that were.
fn in_pieces(tenant: &Tenant, mut between: impl FnMut()) -> u64 {
    let mut bytes = 0;
    for _ in 0..20 {
        let report = rekey(tenant, RekeyOptions::new().bytes(1));
        bytes += report.bytes;
        if report.is_complete {
            return bytes;
        }
        between();
    }
    panic!("it does not come to an end");
}

#[test]
fn a_value_in_chunks_stays_what_it_is_and_its_old_key_can_go() {
    for is_removed in [false, true] {
        let disk = SimDisk::new();
        let (engine, scans) = new_store(&disk);
        let tenant = engine.tenant("acme").unwrap();
        let whole = value(1, 100 * CHUNK + 17);
        let options = PutOptions::new().written_ms(5).expires_ms(1_900_000_000_000).subject("s");
        scans.put_reader("key", &whole[..], options).unwrap();
        put(&scans, "other", &value(2, WHOLE + 1)).unwrap();
        let before = scans.info("key").unwrap();
        let (snapshot, mut reader) = (tenant.snapshot().unwrap(), scans.get_reader("key").unwrap().unwrap());
        if is_removed {
            assert!(scans.remove("key").unwrap());
        }
        let old = rotate(&tenant);
        assert_eq!(refusal(tenant.retire_data_key(old)), ErrorKind::Conflict);
        let report = rekey(&tenant, RekeyOptions::new());
        assert_eq!((report.resealed, report.large, report.is_complete), (2, 2, true));
        assert_eq!(report.bytes, (whole.len() + WHOLE + 1) as u64);
        assert_eq!(rekey(&tenant, RekeyOptions::new()).resealed, 0, "there is nothing left");
        // A snapshot from before reads what was there, as long as its key is.
        let mut found = Vec::new();
        snapshot.get_reader(&scans, "key").unwrap().unwrap().read_to_end(&mut found).unwrap();
        assert!(found == whole);
        tenant.retire_data_key(old).unwrap();
        assert_eq!(refusal(snapshot.get_reader(&scans, "key")), ErrorKind::SnapshotExpired);
        tenant.checkpoint().unwrap();
        ticks(&engine);
        assert_eq!(sets(&engine), 2, "the sets of before are collected");
        // A stream that was begun before goes on.
        let mut found = Vec::new();
        reader.seek(SeekFrom::Start(3)).unwrap();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == whole[3..]);
        if is_removed {
            assert!(scans.restore("key").unwrap());
        }
        assert_eq!(scans.info("key").unwrap(), before);
        assert!(read(&scans, "key").unwrap().unwrap() == whole);
        drop((tenant, snapshot, reader));
        engine.close().unwrap();
        let (engine, scans) = opened(&disk, 2);
        assert!(read(&scans, "key").unwrap().unwrap() == whole);
        assert_eq!(scans.info("key").unwrap(), before);
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good(), "{report:#?}");
        engine.tenant("acme").unwrap().erase_subject("s").unwrap();
        assert!(read(&scans, "key").unwrap().is_none(), "the subject's key is in it as before");
    }
}

#[test]
fn a_value_is_sealed_anew_in_parts_over_restarts_and_nothing_twice() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let whole = value(3, 3 * PIECE + 5);
    put(&scans, "key", &whole).unwrap();
    rotate(&engine.tenant("acme").unwrap());
    engine.close().unwrap();
    let mut bytes = 0;
    for round in 0..4 {
        let (engine, scans) = opened(&disk, 2 + round);
        let tenant = engine.tenant("acme").unwrap();
        let report = rekey(&tenant, RekeyOptions::new().bytes(1).bytes_per_second(1 << 40));
        assert_eq!(report.is_complete, round == 3, "{report:?}");
        bytes += report.bytes;
        tenant.checkpoint().unwrap();
        ticks(&engine);
        tenant.rewrite(&mut |_, _| {}).unwrap();
        assert_eq!(sets(&engine), if round == 3 { 1 } else { 2 });
        assert!(read(&scans, "key").unwrap().unwrap() == whole);
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good(), "{report:#?}");
        engine.close().unwrap();
    }
    assert_eq!(bytes, whole.len() as u64);
}

/// What interrupts the sealing of a value for good, and how many sets of chunks are left of it.
type Interruption = (&'static str, fn(&Tenant, &Collection), usize);

#[test]
fn nothing_is_kept_of_a_copy_whose_record_is_gone_and_what_was_moved_goes_on() {
    let cases: [Interruption; 6] = [
        ("erased", |_, scans| assert!(scans.erase("key").unwrap()), 0),
        ("put over", |_, scans| assert!(scans.put("key", "small").is_ok()), 0),
        ("dropped", |tenant, _| assert!(tenant.drop_collection("scans").is_ok()), 0),
        ("removed", |_, scans| assert!(scans.remove("key").unwrap()), 2),
        ("rotated", |tenant, _| assert!(tenant.rotate_data_key().is_ok()), 2),
        (
            "removed and restored",
            |_, scans| assert!(scans.remove("key").unwrap() && scans.restore("key").unwrap()),
            2,
        ),
    ];
    for (what, interrupt, left) in cases {
        for is_scrubbed in [false, true] {
            let disk = SimDisk::new();
            let (engine, scans) = new_store(&disk);
            let tenant = engine.tenant("acme").unwrap();
            let whole = value(4, 2 * PIECE + 5);
            put(&scans, "key", &whole).unwrap();
            tenant.checkpoint().unwrap();
            let old = rotate(&tenant);
            assert!(!rekey(&tenant, RekeyOptions::new().bytes(1)).is_complete);
            assert_eq!(sets(&engine), 2, "{what}");
            interrupt(&tenant, &scans);
            if is_scrubbed {
                tenant.scrub(&mut |_, _| {}).unwrap();
            } else {
                tenant.checkpoint().unwrap();
                ticks(&engine);
            }
            assert_eq!(sets(&engine), left, "{what}");
            let copied = in_pieces(&tenant, || {});
            let rest = match (left, what) {
                (0, _) => 0,
                (_, "rotated") => whole.len(),
                _ => PIECE + 5,
            };
            assert_eq!(copied, rest as u64, "{what}");
            tenant.retire_data_key(old).unwrap();
            tenant.checkpoint().unwrap();
            ticks(&engine);
            assert_eq!(sets(&engine), left / 2, "{what}");
            if what == "removed" {
                assert!(scans.restore("key").unwrap());
            }
            if left > 0 {
                assert!(read(&scans, "key").unwrap().unwrap() == whole, "{what}");
            }
            let report = engine.verify(&mut |_| {}).unwrap();
            assert!(report.is_good(), "{what}: {report:#?}");
        }
    }
}

/// In the middle of a copy, from the progress it tells.
#[test]
fn what_is_erased_or_put_while_it_is_copied_is_not_sealed_anew() {
    for is_put in [false, true] {
        let disk = SimDisk::new();
        let (engine, scans) = new_store(&disk);
        let tenant = engine.tenant("acme").unwrap();
        put(&scans, "key", &value(4, 2 * PIECE + 5)).unwrap();
        let old = rotate(&tenant);
        let mut pieces = 0;
        let report = tenant.rekey(RekeyOptions::new(), &mut |_, _| {
            pieces += 1;
            if pieces == 1 && is_put {
                scans.put("key", "small").unwrap();
            } else if pieces == 1 {
                assert!(scans.erase("key").unwrap());
                tenant.scrub(&mut |_, _| {}).unwrap();
                assert_eq!(sets(&engine), 0);
            }
        });
        let report = report.unwrap();
        assert_eq!((report.resealed, report.overtaken, report.is_complete), (0, 1, true), "{report:?}");
        tenant.retire_data_key(old).unwrap();
        tenant.checkpoint().unwrap();
        ticks(&engine);
        assert_eq!(sets(&engine), 0);
        assert_eq!(scans.get("key").unwrap().as_deref(), is_put.then_some(&b"small"[..]));
    }
}

#[test]
fn a_damaged_chunk_leaves_its_record_as_it_is_and_is_told() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let (bad, good) = (value(5, PIECE + CHUNK), value(6, WHOLE + 1));
    put(&scans, "bad", &bad).unwrap();
    let (key, mut row) = strongroom::simulation::chunk_rows(&tenant).unwrap().pop().unwrap();
    row[99] ^= 1;
    strongroom::simulation::alter_chunks(&tenant, &[(key, Some(row))]).unwrap();
    put(&scans, "good", &good).unwrap();
    let old = rotate(&tenant);
    let report = rekey(&tenant, RekeyOptions::new());
    assert_eq!((report.resealed, report.unreadable, report.is_complete), (1, 1, true), "{report:?}");
    assert_eq!(refusal(tenant.retire_data_key(old)), ErrorKind::Conflict, "what is left of it opens");
    assert!(read(&scans, "good").unwrap().unwrap() == good);
    tenant.set_rekey_deadline(old, 0).unwrap();
    ticks(&engine);
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, None, "what does not open is under it");
    assert_eq!(engine.health().unwrap().rekeys_overdue, [tenant.id()]);
    let begin = scans.get_range("bad", ..CHUNK as u64).unwrap().unwrap();
    assert!(begin[..] == bad[..CHUNK]);
    tenant.checkpoint().unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 2, "nothing is left of the copy");
}

#[test]
fn writers_readers_rewrites_and_collections_go_on_beside_it() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let values: Vec<_> = (0..3).map(|seed| value(seed, WHOLE + 1)).collect();
    put(&scans, "stays", &values[0]).unwrap();
    put(&scans, "changes", &values[0]).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in (1..).take_while(|_| !is_over.load(Ordering::Acquire)) {
                put(&scans, "changes", &values[round % 3]).unwrap();
                assert!(read(&scans, "changes").unwrap().unwrap() == values[round % 3]);
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                assert!(read(&scans, "stays").unwrap().unwrap() == values[0]);
                assert!(scans.info("stays").unwrap().is_some());
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                tenant.rewrite(&mut |_, _| {}).unwrap();
                engine.tick().unwrap();
            }
        });
        for _ in 0..8 {
            let old = rotate(&tenant);
            // What was sealed before the rotation may be published after the first one.
            while tenant.retire_data_key(old).is_err() {
                assert_eq!(rekey(&tenant, RekeyOptions::new()).unreadable, 0);
            }
        }
        is_over.store(true, Ordering::Release);
    });
    tenant.checkpoint().unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 2);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

#[test]
fn power_loss_at_any_operation_of_a_rekey_keeps_the_value_and_it_goes_on() {
    let whole = value(7, 17 * CHUNK);
    let before = SimDisk::new();
    let (engine, scans) = new_store(&before);
    put(&scans, "key", &whole).unwrap();
    let old = rotate(&engine.tenant("acme").unwrap());
    engine.close().unwrap();
    let script = |disk: &SimDisk| {
        let (engine, _scans) = open(disk, 2)?;
        let tenant = engine.tenant("acme")?;
        tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?;
        tenant.retire_data_key(old)?;
        tenant.checkpoint()?;
        engine.tick()
    };
    at_every_operation(&before, 0, script, |disk, _, at| {
        let (engine, scans) = opened(disk, 3);
        assert!(read(&scans, "key").unwrap().unwrap() == whole, "operation {at}");
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good(), "operation {at}: {report:#?}");
        let tenant = engine.tenant("acme").unwrap();
        assert!(rekey(&tenant, RekeyOptions::new()).is_complete);
        match tenant.retire_data_key(old) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            retired => retired.unwrap(),
        }
        tenant.checkpoint().unwrap();
        ticks(&engine);
        assert_eq!(sets(&engine), 1, "operation {at}");
        assert!(read(&scans, "key").unwrap().unwrap() == whole, "operation {at}");
    });
}
