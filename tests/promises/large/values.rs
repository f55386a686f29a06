//! Values of every size, conditions, readers beside overwriting writers, disks that fill up.

use std::io::{self, Read};

use strongroom::simulation::{Fault, FaultKind, SimDisk};
use strongroom::{ErrorKind, PutOptions, Version};

use super::{CHUNK, WHOLE, new_store, opened, put, read, value};
use crate::support::refusal;

#[test]
fn values_of_every_size_read_back_in_every_way_before_and_after_a_reopening() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let mut sizes = vec![0, 1, WHOLE - 1, WHOLE, WHOLE + 1];
    sizes.extend(
        [17, 18, 64, 65, 66]
            .into_iter()
            .flat_map(|chunks| [chunks * CHUNK - 1, chunks * CHUNK, chunks * CHUNK + 1]),
    );
    for size in &sizes {
        put(&scans, &format!("{size}"), &value(*size as u64, *size)).unwrap();
    }
    let check = |scans: &strongroom::Collection| {
        for size in &sizes {
            let (key, expected) = (format!("{size}"), value(*size as u64, *size));
            assert!(read(scans, &key).unwrap().unwrap() == expected, "{size} bytes by a reader");
            assert!(*scans.get(&key).unwrap().unwrap() == expected[..], "{size} bytes by get");
            let mut buffer = vec![7; size + 3];
            assert_eq!(scans.get_into(&key, &mut buffer).unwrap(), Some(*size));
            assert!(buffer[..*size] == expected && buffer[*size..] == [7; 3], "{size} bytes into a buffer");
            if *size > 0 {
                assert_eq!(refusal(scans.get_into(&key, &mut buffer[..size - 1])), ErrorKind::LimitExceeded);
            }
            assert_eq!(scans.info(&key).unwrap().unwrap().value_bytes, *size as u64);
        }
        let entries: Vec<_> = scans.scan::<&[u8]>(..).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), sizes.len());
        for entry in entries {
            let size = entry.info.value_bytes as usize;
            let expected = (size <= WHOLE).then(|| value(size as u64, size));
            assert!(
                entry.value.as_deref() == expected.as_deref(),
                "a scan gives those that are not in chunks"
            );
        }
    };
    check(&scans);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
    let in_chunks = sizes.iter().filter(|size| **size > WHOLE);
    let chunks: usize = in_chunks.map(|size| size.div_ceil(CHUNK)).sum();
    assert_eq!(report.tenants[1].file.chunks, chunks as u64);
    engine.close().unwrap();
    let (engine, scans) = opened(&disk, 2);
    check(&scans);
    engine.tenant("acme").unwrap().rewrite(&mut |_, _| {}).unwrap().unwrap();
    check(&scans);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
    assert_eq!(report.tenants[1].file.chunks, chunks as u64);
    engine.close().unwrap();
}

#[test]
fn a_value_in_chunks_takes_hardly_more_than_its_bytes() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let value = value(1, 32 << 20);
    put(&scans, "key", &value).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    tenant.rewrite(&mut |_, _| {}).unwrap().unwrap();
    let bytes = tenant.stats().unwrap().file_bytes;
    // 65,412 of 65,536 bytes of a chunk's pages, 64 of 65 blocks of a file, and the rest of the file.
    println!("{bytes} bytes of a file for {} of a value", value.len());
    assert!(bytes < value.len() as u64 * 104 / 100, "{bytes}");
}

#[test]
fn conditions_are_those_of_the_moment_the_value_is_whole() {
    let disk = SimDisk::new();
    let (_engine, scans) = new_store(&disk);
    let (first, second) = (value(1, WHOLE + 1), value(2, 2 * WHOLE));
    let version = scans.put_reader("key", &first[..], PutOptions::new().if_absent().written_ms(7)).unwrap();
    let info = scans.info("key").unwrap().unwrap();
    assert_eq!((info.version, info.written_ms), (version, 7));
    let again = scans.put_reader("key", &second[..], PutOptions::new().if_absent());
    assert_eq!(refusal(again), ErrorKind::Conflict);
    let other = Version { timeline: version.timeline, sequence: version.sequence + 9 };
    let refused = scans.put_reader("key", &second[..], PutOptions::new().if_version(other));
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert!(read(&scans, "key").unwrap().unwrap() == first);

    // A record that is put while the value is on its way.
    let racing = Interrupting::new(&second, WHOLE + CHUNK, || {
        scans.put("key", b"small").unwrap();
    });
    let refused = scans.put_reader("key", racing, PutOptions::new().if_version(version));
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert_eq!(scans.get("key").unwrap().as_deref(), Some(&b"small"[..]));
    let version = scans.info("key").unwrap().unwrap().version;
    scans.put_reader("key", &second[..], PutOptions::new().if_version(version)).unwrap();
    assert!(read(&scans, "key").unwrap().unwrap() == second);
    assert!(read(&scans, "other").unwrap().is_none());
}

/// A reader that does something when it has given so many bytes.
struct Interrupting<'a, F: FnOnce()> {
    rest: &'a [u8],
    until: usize,
    call: Option<F>,
}

impl<'a, F: FnOnce()> Interrupting<'a, F> {
    fn new(rest: &'a [u8], until: usize, call: F) -> Self {
        Self { rest, until, call: Some(call) }
    }
}

impl<F: FnOnce()> Read for Interrupting<'_, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = out.len().min(if self.until > 0 { self.until } else { usize::MAX });
        let given = self.rest.read(&mut out[..wanted])?;
        self.until = self.until.saturating_sub(given);
        if self.until == 0
            && let Some(call) = self.call.take()
        {
            call();
        }
        Ok(given)
    }
}

#[test]
fn a_reader_goes_on_with_what_it_was_opened_for_while_others_put_over_it() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let values: Vec<_> = (0..6).map(|seed| value(seed, WHOLE + seed as usize * CHUNK)).collect();
    put(&scans, "key", &values[0]).unwrap();
    let mut readers = Vec::new();
    for (round, next) in values.iter().enumerate().skip(1) {
        readers.push((scans.get_reader("key").unwrap().unwrap(), round - 1));
        put(&scans, "key", next).unwrap();
        match round {
            2 => tenant.checkpoint().unwrap(),
            4 => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
            _ => {}
        }
        engine.tick().unwrap();
    }
    scans.put("key", b"small").unwrap();
    tenant.checkpoint().unwrap();
    engine.tick().unwrap();
    for (mut reader, index) in readers {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        // One that was opened before a checkpoint or rewrite reads on.
        assert!(read == values[index], "reader {index}");
    }
}

#[test]
fn readers_and_writers_in_threads_see_whole_values_only() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let values: Vec<_> = (0..3).map(|seed| value(seed, WHOLE + 1 + seed as usize * CHUNK)).collect();
    put(&scans, "key", &values[0]).unwrap();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut count = 0;
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                let read = read(&scans, "key").unwrap().unwrap();
                assert!(values.contains(&read), "a mix of {} bytes", read.len());
                count += 1;
            }
            count
        });
        for round in 1..=12 {
            put(&scans, "key", &values[round % 3]).unwrap();
            if round % 2 == 0 {
                tenant.checkpoint().unwrap();
                engine.tick().unwrap();
            }
            if round % 5 == 0 {
                tenant.rewrite(&mut |_, _| {}).unwrap();
            }
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        println!("{} whole values were read beside 12 puts", reading.join().unwrap());
    });
}

#[test]
fn a_reader_that_fails_leaves_the_record_as_it_was() {
    let disk = SimDisk::new();
    let (_engine, scans) = new_store(&disk);
    let old = value(1, WHOLE + 5);
    put(&scans, "key", &old).unwrap();
    for given in [0, 10, WHOLE + 1, 70 * CHUNK] {
        let failing = value(2, given);
        let failing = failing.chain(Failing);
        let refused = scans.put_reader("key", failing, PutOptions::new()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Io);
        assert!(refused.to_string().contains("reading the value"), "{refused}");
        assert!(read(&scans, "key").unwrap().unwrap() == old, "{given} bytes");
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the network is down"))
    }
}

#[test]
fn a_full_disk_refuses_a_large_value_cleanly_and_later_puts_work() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let (old, new) = (value(1, WHOLE + 5), value(2, 12 * WHOLE));
    put(&scans, "key", &old).unwrap();
    scans.put("small", b"before").unwrap();
    for after in [1, 9, 40, 90, 160] {
        disk.inject(Fault { at_operation: disk.operations() + after, kind: FaultKind::Enospc });
        let refused = put(&scans, "key", &new).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Io, "after {after} operations: {refused}");
        assert!(read(&scans, "key").unwrap().unwrap() == old, "after {after} operations");
        disk.heal();
        scans.put("small", format!("after {after}")).unwrap();
        assert!(read(&scans, "key").unwrap().unwrap() == old, "after {after} operations");
    }
    put(&scans, "key", &new).unwrap();
    assert!(read(&scans, "key").unwrap().unwrap() == new);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

#[test]
fn a_sync_that_fails_loses_nothing_that_was_acknowledged() {
    for after in [2, 8, 20, 40, 60] {
        let disk = SimDisk::new();
        let (engine, scans) = new_store(&disk);
        let (old, new) = (value(1, WHOLE + 5), value(2, 5 * WHOLE));
        put(&scans, "key", &old).unwrap();
        disk.inject(Fault { at_operation: disk.operations() + after, kind: FaultKind::FailedSync });
        let outcome = put(&scans, "key", &new);
        drop((engine, scans));
        let (engine, scans) = opened(&disk, 3);
        let found = read(&scans, "key").unwrap().unwrap();
        assert!(found == new || (outcome.is_err() && found == old), "after {after} operations");
        put(&scans, "key", &new).unwrap();
        engine.close().unwrap();
        let left = disk.power_loss(after, strongroom::simulation::PowerLoss::DropAll);
        let (engine, scans) = opened(&left, 4);
        assert!(read(&scans, "key").unwrap().unwrap() == new);
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    }
}

#[test]
fn more_than_a_call_gives_is_refused_with_the_way_out() {
    let disk = SimDisk::new();
    let (_engine, scans) = new_store(&disk);
    let size = (64 << 20) + 1;
    let value = value(5, size);
    put(&scans, "key", &value).unwrap();
    let refused = scans.get("key").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(refused.to_string().contains("get_reader"), "{refused}");
    assert_eq!(refusal(scans.get_range("key", ..)), ErrorKind::LimitExceeded);
    assert!(*scans.get_range("key", 1..).unwrap().unwrap() == value[1..]);
    assert!(read(&scans, "key").unwrap().unwrap() == value);
    let too_long = scans.put("key", vec![0; WHOLE + 1]).unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::LimitExceeded);
    assert!(too_long.to_string().contains("put_reader"), "{too_long}");
}
