//! Data keys: rotated, records sealed anew under the current one beside readers and writers, and old ones destroyed: never a
//! record lost, changed or hidden, whatever comes between.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::collection::Index;
use crate::disk::{Fault, FaultKind, PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::id::Version;
use crate::limits::SEALS_MAX;
use crate::partition::{Row, split_row_key};
use crate::tenant::home::{NOW, create, open, try_open};
use crate::tenant::rekey::{RekeyOptions, RekeyReport, Resealing};
use crate::tenant::{Collection, PutOptions};

/// What is known of each record: its generation, version, time of writing and value.
fn records(tenant: &Tenant, people: &Collection) -> BTreeMap<String, (u32, Version, u64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    tenant
        .walk(&[Table::Records], |_, row| {
            let (_, key) = split_row_key(&row.key)?;
            let envelope = Envelope::parse(&row.value)?;
            let value = people.get(key)?.map(|value| value.to_vec()).unwrap_or_default();
            let known = (envelope.slots.data, row.version, envelope.times.written_ms, value);
            found.insert(String::from_utf8_lossy(key).into_owned(), known);
            Ok(true)
        })
        .expect("reads");
    found
}

fn rekey(tenant: &Tenant) -> RekeyReport {
    tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).expect("rekeys")
}

fn states(tenant: &Tenant) -> Vec<DataKeyState> {
    tenant.data_keys().expect("tells").iter().map(|info| info.state).collect()
}

/// Records in the file, in the journal, and in both; some of a subject.
fn fill(tenant: &Tenant, people: &Collection) {
    for index in 0..300 {
        let options = PutOptions::new().written_ms(1_000 + index);
        let options = if index % 3 == 0 { options.subject(format!("s{}", index % 7)) } else { options };
        people.put_with(format!("{index:03}"), format!("value {index}"), options).expect("puts");
        if index == 200 {
            tenant.checkpoint().expect("checkpoints");
        }
    }
    people.put("100", "over").expect("puts");
}

#[test]
fn rekeyed_records_stay_what_they_are_and_the_old_key_can_go() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    fill(tenant, people);
    let before = records(tenant, people);
    let old = tenant.0.keyring.current_data_slot().expect("lives");
    let new = tenant.rotate_data_key().expect("rotates");
    people.put("after", "value").expect("puts");
    assert_eq!(records(tenant, people)["after"].0, new);
    assert_eq!(states(tenant), [DataKeyState::Older, DataKeyState::Current]);
    assert_eq!(tenant.retire_data_key(old).expect_err("it is used").kind(), ErrorKind::Conflict);
    assert_eq!(tenant.retire_data_key(new).expect_err("it is the current one").kind(), ErrorKind::Conflict);
    assert_eq!(tenant.retire_data_key(1).expect_err("a structure key").kind(), ErrorKind::NotFound);
    // In parts, as after interruptions.
    let mut seen = Vec::new();
    let first = tenant
        .rekey(RekeyOptions::new().records(50).records_per_second(100_000), &mut |done, all| {
            seen.push((done, all));
        })
        .expect("rekeys");
    assert_eq!((first.resealed, first.is_complete, first.generation), (50, false, new));
    assert!(seen.iter().all(|(done, all)| done <= all) && !seen.is_empty());
    assert_eq!(tenant.retire_data_key(old).expect_err("it is used").kind(), ErrorKind::Conflict);
    assert_eq!(
        people.get("299").expect("reads").as_deref(),
        Some(&b"value 299"[..]),
        "nothing was destroyed"
    );
    let rest = rekey(tenant);
    assert_eq!((rest.resealed, rest.is_complete, rest.unreadable), (301 - 50, true, 0));
    assert_eq!(rekey(tenant).resealed, 0, "there is nothing left");
    let check = |tenant: &Tenant, people: &Collection| {
        let after = records(tenant, people);
        for (key, (_, version, written_ms, value)) in &before {
            assert_eq!(after[key], (new, *version, *written_ms, value.clone()), "{key}");
        }
        assert_eq!(after.len(), before.len() + 1);
    };
    check(tenant, people);
    tenant.retire_data_key(old).expect("nothing is under it");
    assert_eq!(tenant.retire_data_key(old).expect_err("it is gone").kind(), ErrorKind::NotFound);
    assert_eq!(states(tenant), [DataKeyState::Destroyed, DataKeyState::Current]);
    check(tenant, people);
    // The subject's key is in it as before.
    tenant.erase_subject("s0").expect("erases");
    assert!(people.get("000").expect("reads").is_none() && people.get("001").expect("reads").is_some());
    home.close().expect("closes");
    let home = open(&disk, 2);
    let (tenant, people) = (&home.tenant, &home.people);
    assert_eq!(people.get("299").expect("reads").as_deref(), Some(&b"value 299"[..]));
    tenant.checkpoint().expect("checkpoints");
    assert_eq!(records(tenant, people)["100"].3, b"over");
    assert_eq!(records(tenant, people)["100"].1, before["100"].1);
}

#[test]
fn a_record_is_not_sealed_anew_over_what_came_meanwhile() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let again =
        |row: &Row| tenant.reseal(Table::Records, row, |_, anew| Ok(anew), (Tenant::make, &mut |_| true));
    for is_in_file in [false, true] {
        people.put("a", "old").expect("puts");
        if is_in_file {
            tenant.checkpoint().expect("checkpoints");
        }
        let mut rows = Vec::new();
        let mut take = || {
            rows.clear();
            tenant
                .walk(&[Table::Records], |_, row| {
                    if row.key.ends_with(b"a") {
                        let Row { key, version, value } = row;
                        rows.push(Row { key: key.clone(), version: *version, value: value.clone() });
                    }
                    Ok(true)
                })
                .expect("reads");
            rows.pop().expect("is there")
        };
        // Sealed anew by somebody else: the same version, another salt.
        let seen = take();
        assert!(matches!(again(&seen).expect("seals"), Resealing::Resealed));
        let sealed = take();
        assert_eq!(seen.version, sealed.version);
        assert!(matches!(again(&seen).expect("seals"), Resealing::Overtaken));
        assert_eq!(take().value, sealed.value);
        // Written, and erased.
        people.put("a", "new").expect("puts");
        assert!(matches!(again(&sealed).expect("seals"), Resealing::Overtaken));
        let written = take();
        people.erase("a").expect("erases");
        assert!(matches!(again(&written).expect("seals"), Resealing::Overtaken));
        assert!(people.get("a").expect("reads").is_none());
    }
}

#[test]
fn writers_readers_and_checkpoints_go_on_beside_rotations_rekeys_and_retirements() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    fill(tenant, people);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2_u32 {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut round = 0;
                while !is_over.load(Ordering::Acquire) {
                    let key = format!("{thread} {}", round % 40);
                    people.put(&key, format!("{round}")).expect("puts");
                    let read = people.get(&key).expect("reads").expect("was acknowledged");
                    assert_eq!(*read, *format!("{round}").into_bytes());
                    if round % 5 == 4 {
                        assert!(people.erase(&key).expect("erases"));
                        assert!(people.get(&key).expect("reads").is_none());
                    }
                    round += 1;
                }
            });
        }
        let reader = scope.spawn(|| {
            let mut expired = 0;
            while !is_over.load(Ordering::Acquire) {
                let scan = people.scan::<&[u8]>(..).expect("scans");
                let entries = scan.map(|entry| entry.map(|entry| entry.key)).collect::<Result<Vec<_>>>();
                match entries {
                    Ok(keys) => {
                        let seen = keys.iter().filter(|key| key.len() == 3 && key.is_ascii()).count();
                        assert!(seen >= 300, "{seen} of the 300 that nobody touches");
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::SnapshotExpired, "{error:?}");
                        expired += 1;
                    }
                }
            }
            expired
        });
        for round in 0..12 {
            let old = tenant.0.keyring.current_data_slot().expect("lives");
            tenant.rotate_data_key().expect("rotates");
            // What was sealed before the rotation may be made after the first one.
            while let Err(error) = {
                assert_eq!(rekey(tenant).unreadable, 0);
                tenant.retire_data_key(old)
            } {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
            }
            if round % 4 == 1 {
                tenant.checkpoint().expect("checkpoints");
            }
        }
        is_over.store(true, Ordering::Release);
        reader.join().expect("no wrong answer");
    });
    let current = tenant.0.keyring.current_data_slot().expect("lives");
    assert!(records(tenant, people).values().all(|(generation, ..)| *generation == current));
    assert_eq!(states(tenant).iter().filter(|state| **state == DataKeyState::Destroyed).count(), 12);
    for index in 0..300 {
        let value = people.get(format!("{index:03}")).expect("reads").expect("nobody touched it");
        assert!(*value == *format!("value {index}").into_bytes() || index == 100);
    }
}

#[test]
fn a_snapshot_from_before_sees_what_it_saw_or_says_that_it_expired() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    fill(tenant, people);
    let old = tenant.0.keyring.current_data_slot().expect("lives");
    let snapshot = tenant.snapshot().expect("takes");
    let mut scan = people.scan::<&[u8]>(..).expect("scans");
    let first = scan.next().expect("is there").expect("reads");
    let mut held = tenant.batch();
    held.put(people, "held", "value").expect("puts");
    tenant.rotate_data_key().expect("rotates");
    assert!(rekey(tenant).is_complete);
    people.put("002", "written over").expect("puts");
    people.erase("004").expect("erases");
    tenant.checkpoint().expect("checkpoints");
    tenant.retire_data_key(old).expect("nothing is under it");
    for index in [1, 3, 250] {
        let value = snapshot.get(people, format!("{index:03}")).expect("reads").expect("is there");
        assert_eq!(*value, *format!("value {index}").into_bytes());
    }
    let mut changed = Vec::new();
    changed.push(snapshot.get(people, "002").map(|value| value.map(|value| value.to_vec())));
    // What is erased is gone for snapshots too.
    assert_eq!(snapshot.get(people, "004").expect("reads"), None);
    let mut seen = vec![Ok(first)];
    seen.extend(scan);
    assert_eq!(seen.len(), 300, "nothing else is passed over");
    changed.extend(seen.into_iter().map(|entry| entry.map(|entry| entry.value.map(|value| value.to_vec()))));
    for found in changed {
        match found {
            Ok(value) => assert!(value.is_some_and(|value| value != b"written over")),
            Err(error) => assert_eq!(error.kind(), ErrorKind::SnapshotExpired),
        }
    }
    let refused = tenant.submit(held).expect("submits").wait().expect_err("its key is gone");
    assert!(refused.kind() == ErrorKind::Conflict && refused.is_retryable());
    assert!(people.get("held").expect("reads").is_none());
}

/// Rotates, rekeys and retires beside puts until something fails; gives what was acknowledged.
fn script(disk: &SimDisk, told: &mut BTreeMap<String, String>) -> Result<()> {
    let home = try_open(disk, 3, false)?;
    let (tenant, people) = (&home.tenant, &home.people);
    for round in 0..3 {
        for index in 0..4 {
            let (key, value) = (format!("{index}"), format!("{round}"));
            told.remove(&key);
            people.put(&key, &value)?;
            told.insert(key, value);
        }
        let old = tenant.0.keyring.current_data_slot()?;
        tenant.rotate_data_key()?;
        tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?;
        if round == 1 {
            tenant.checkpoint()?;
        }
        tenant.retire_data_key(old)?;
    }
    home.close()
}

#[test]
fn power_loss_at_every_operation_of_rotations_rekeys_and_retirements_loses_nothing() {
    let pristine = SimDisk::new();
    create(&pristine).close().expect("closes");
    let mut struck = 0;
    for at_operation in 0.. {
        let disk = pristine.snapshot();
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::PowerOff });
        let mut told = BTreeMap::new();
        let is_finished = script(&disk, &mut told).is_ok();
        for seed in 0..4 {
            let home = open(&disk.power_loss(seed, PowerLoss::Random), 9);
            let (tenant, people) = (&home.tenant, &home.people);
            let place = format!("operation {at_operation}, seed {seed}");
            assert!(people.get("first").expect("reads").is_some(), "{place}");
            let check = || {
                for (key, value) in &told {
                    let found = people.get(key).expect("reads");
                    assert_eq!(found.as_deref(), Some(value.as_bytes()), "{place}: {key}");
                }
            };
            check();
            assert!(rekey(tenant).is_complete, "{place}");
            let older = tenant.data_keys().expect("tells");
            for info in older.iter().filter(|info| info.state == DataKeyState::Older) {
                tenant.retire_data_key(info.generation).expect("nothing is under it");
            }
            check();
        }
        if is_finished {
            break;
        }
        struck += 1;
    }
    assert!(struck >= 60, "only {struck} operations were struck");
}

#[test]
fn a_key_is_rotated_by_age_and_by_count_where_it_is_used() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    tenant.tend_keys().expect("tends");
    assert_eq!(states(tenant).len(), 1, "it is young");
    home.clock.set(NOW + 3_600_000);
    tenant.tend_keys().expect("tends");
    assert_eq!(states(tenant), [DataKeyState::Older, DataKeyState::Current]);
    home.clock.set(NOW + 9_000_000);
    tenant.tend_keys().expect("tends");
    assert_eq!(states(tenant).len(), 2, "it was not used");
    for index in 0..1_999 {
        people.put("a", format!("{index}")).expect("puts");
    }
    home.clock.set(NOW + 3_600_000);
    tenant.tend_keys().expect("tends");
    assert_eq!(tenant.data_keys().expect("tells")[1].records_sealed, 1_999);
    assert_eq!(states(tenant).len(), 2);
    home.close().expect("closes");
    // The count lasts.
    let home = open(&disk, 2);
    let (tenant, people) = (&home.tenant, &home.people);
    home.clock.set(NOW + 3_600_000);
    assert_eq!(tenant.data_keys().expect("tells")[1].records_sealed, 1_999);
    people.put("a", "b").expect("puts");
    tenant.tend_keys().expect("tends");
    assert_eq!(states(tenant).len(), 3);
}

#[test]
fn a_key_that_sealed_too_much_seals_no_more() {
    let disk = SimDisk::new();
    let home = create(&disk);
    home.tenant.0.sealer.pretend_sealed(2, SEALS_MAX - 1);
    home.people.put("a", "the last").expect("puts");
    assert_eq!(home.people.put("b", "one more").expect_err("too much").kind(), ErrorKind::LimitExceeded);
    home.tenant.rotate_data_key().expect("rotates");
    home.people.put("b", "under another").expect("puts");
    assert_eq!(home.people.get("a").expect("reads").as_deref(), Some(&b"the last"[..]));
}

#[test]
fn a_rekeyed_record_is_found_by_its_secondary_keys_as_before() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let tenant = &home.tenant;
    let people = tenant.collection("indexed").expect("well named");
    people.declare_index("email", Index::unique()).expect("declares");
    for (key, email) in [("a", "a@x"), ("b", "b@x")] {
        people.put_with(key, key, PutOptions::new().index("email", email)).expect("puts");
        tenant.checkpoint().expect("checkpoints");
    }
    tenant.rotate_data_key().expect("rotates");
    assert!(rekey(tenant).is_complete);
    let check = || {
        for (key, email) in [("a", "a@x"), ("b", "b@x")] {
            let found =
                people.find("email", email).expect("finds").collect::<Result<Vec<_>>>().expect("reads");
            assert_eq!(found.iter().map(|entry| &entry.key[..]).collect::<Vec<_>>(), [key.as_bytes()]);
        }
    };
    check();
    tenant.checkpoint().expect("checkpoints");
    check();
    let taken = people.put_with("c", "c", PutOptions::new().index("email", "a@x"));
    assert_eq!(taken.expect_err("it is taken").kind(), ErrorKind::Conflict);
}
