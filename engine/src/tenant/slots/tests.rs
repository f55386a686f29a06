//! Period and subject keys through a tenant's handle: assigned once, in effect with the record that needs them, and gone for
//! good once destroyed, whatever comes between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::disk::{Fault, FaultKind, PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::record::{Envelope, ErasureKeys, RecordPlace, Times};
use crate::tenant::home::{NOW, create, open, try_open};
use crate::tenant::{Collection, Durability, PutOptions};

fn of(subject: &str) -> PutOptions {
    PutOptions::new().subject(subject)
}

fn get(people: &Collection, key: &str) -> Option<Vec<u8>> {
    people.get(key).expect("reads").map(|value| value.to_vec())
}

/// The slots in a record's envelope.
fn slots_of(tenant: &Tenant, people: &Collection, key: &str) -> (Option<u32>, Option<u64>) {
    let id = tenant.find_collection(people.name()).expect("reads").expect("is there");
    let slots = |_, envelope: &[u8]| Envelope::parse(envelope).map(|envelope| envelope.slots);
    let slots = tenant.0.partition.record(id, key.as_bytes(), slots).expect("reads").expect("is there");
    (slots.period, slots.subject)
}

/// Puts a record under the key of a period.
fn put_in_period(tenant: &Tenant, people: &Collection, key: &str, start_ms: u64) -> Result<u32> {
    let id = tenant.need_collection(people.name())?;
    let mut changes = Changes::default();
    let period = tenant.period_slot(&mut changes, start_ms)?;
    let place = RecordPlace { collection: id, key: key.as_bytes() };
    let times = Times { written_ms: 1, expires_ms: Some(u64::MAX), follows: false };
    let erasure = ErasureKeys { period: Some(period), ..ErasureKeys::default() };
    let envelope = tenant.0.sealer.seal(place, times, erasure, b"value")?;
    changes.put(Table::Records, &[&id.to_be_bytes(), key.as_bytes()], &[&envelope]);
    tenant.make(changes, &Terms::default(), true)?;
    Ok(period)
}

#[test]
fn a_subject_has_one_key_and_erasing_it_hides_its_records_and_no_others() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    for (key, subject) in [("a", "ann"), ("b", "ann"), ("c", "bob")] {
        people.put_with(key, key, of(subject)).expect("puts");
    }
    assert_eq!(slots_of(tenant, people, "a"), slots_of(tenant, people, "b"));
    assert_ne!(slots_of(tenant, people, "a"), slots_of(tenant, people, "c"));
    let old = slots_of(tenant, people, "a");
    tenant.checkpoint().expect("checkpoints");
    assert_eq!(get(people, "b").as_deref(), Some(&b"b"[..]));
    assert!(tenant.erase_subject("ann").expect("erases"));
    assert!(!tenant.erase_subject("ann").expect("there is no such key any more"));
    let check = |people: &Collection| {
        assert_eq!((get(people, "a"), get(people, "b")), (None, None));
        assert_eq!(get(people, "c").as_deref(), Some(&b"c"[..]));
        assert_eq!(get(people, "first").as_deref(), Some(&b"value"[..]));
        let scanned: Vec<_> =
            people.scan::<&[u8]>(..).expect("scans").map(|entry| entry.expect("reads")).collect();
        let shown = scanned.iter().filter(|entry| entry.value.is_some() && entry.key != b"d");
        assert_eq!(shown.map(|entry| &entry.key[..]).collect::<Vec<_>>(), [&b"c"[..], b"first"]);
    };
    check(people);
    // The subject may come back: as somebody else.
    people.put_with("d", "d", of("ann")).expect("puts");
    assert_ne!(slots_of(tenant, people, "d").1, old.1);
    let check_all = |people: &Collection| {
        check(people);
        assert_eq!(get(people, "d").as_deref(), Some(&b"d"[..]));
    };
    check_all(people);
    home.close().expect("closes");
    let home = open(&disk, 2);
    let (tenant, people) = (&home.tenant, &home.people);
    check_all(people);
    assert!(tenant.0.partition.directory_rows_of(INTENTS).expect("reads").is_empty());
    assert!(tenant.verify_subjects(&mut |_| {}).expect("verifies").lost.is_empty());
}

#[test]
fn a_subject_is_well_named() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    for name in ["", " ann", "a\0", &"x".repeat(256)] {
        let refused = people.put_with("a", "a", of(name)).expect_err("malformed");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert_eq!(tenant.erase_subject(name).expect_err("malformed").kind(), ErrorKind::InvalidArgument);
    }
    assert!(!format!("{:?}", of("ann")).contains("ann"));
    assert!(!format!("{:?}", tenant.0.slots).contains("ann"));
}

#[test]
fn periods_have_keys_of_their_own_and_their_number_is_bounded() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let [a, b] = ["a", "b"].map(|key| put_in_period(tenant, people, key, 86_400_000).expect("puts"));
    let c = put_in_period(tenant, people, "c", 172_800_000).expect("puts");
    assert!(a == b && a != c);
    assert_eq!(tenant.periods().expect("reads"), [(86_400_000, a), (172_800_000, c)]);
    assert_eq!(get(people, "a").as_deref(), Some(&b"value"[..]));
    let mut changes = Changes::default();
    unassign_period(&mut changes, 86_400_000);
    tenant.destroy_keys(changes, &[(SlotKind::Period, a.into())], || Ok(())).expect("destroys");
    assert_eq!((get(people, "a"), get(people, "b")), (None, None));
    assert_eq!(get(people, "c").as_deref(), Some(&b"value"[..]));
    home.close().expect("closes");
    let home = open(&disk, 2);
    let (tenant, people) = (&home.tenant, &home.people);
    assert_eq!(tenant.periods().expect("reads"), [(172_800_000, c)]);
    assert_eq!((get(people, "b"), get(people, "c").as_deref()), (None, Some(&b"value"[..])));
    // Bounded: without a single one more.
    let mut given = BTreeSet::from([c]);
    for start in 1..LIVE_PERIODS_MAX as u64 {
        let mut changes = Changes::default();
        assert!(given.insert(tenant.period_slot(&mut changes, start).expect("there is room")));
        if start % 1_000 == 0 {
            tenant.make(changes, &Terms::default(), false).expect("makes");
        }
    }
    assert!(!given.contains(&a), "a destroyed slot is not given again");
    let refused = tenant.period_slot(&mut Changes::default(), 1 << 40).expect_err("too many");
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(tenant.period_slot(&mut Changes::default(), 172_800_000).is_ok(), "those there are go on");
}

#[test]
fn a_pool_that_was_used_up_is_not_handed_out_again_after_reopening() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let mut given = BTreeSet::new();
    loop {
        let name = given.len().to_string();
        home.people.put_with(&name, "value", of(&name)).expect("puts");
        given.insert(slots_of(&home.tenant, &home.people, &name).1);
        if home.tenant.0.slots.assigning.lock().subjects.ready.is_empty() {
            break;
        }
    }
    home.close().expect("closes");
    let home = open(&disk, 2);
    home.people.put_with("new", "value", of("new")).expect("puts");
    assert!(given.len() > 8 && given.insert(slots_of(&home.tenant, &home.people, "new").1));
}

/// Neither is in effect when the other one is begun: one key, so that erasing the subject reaches both.
#[test]
fn two_batches_that_are_the_first_of_a_subject_or_a_period_are_under_one_key() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let batches = ["a", "b"].map(|key| {
        let mut batch = tenant.batch();
        let expiring = of("ann").expires_ms(NOW + 1_000_000);
        batch.put_with(people, key, key, expiring).expect("puts");
        batch
    });
    for batch in batches {
        tenant.submit(batch).expect("submits").wait().expect("makes");
    }
    assert_eq!(slots_of(tenant, people, "a"), slots_of(tenant, people, "b"));
    assert!(tenant.erase_subject("ann").expect("erases"));
    assert_eq!((get(people, "a"), get(people, "b")), (None, None));
}

#[test]
fn who_comes_second_gets_the_same_slot_even_if_the_first_one_never_comes() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let mut abandoned = tenant.batch();
    abandoned.put_with(people, "a", "a", of("ann")).expect("puts");
    let mut second = tenant.batch();
    second.put_with(people, "b", "b", of("ann")).expect("puts");
    drop(abandoned);
    tenant.submit(second).expect("submits").wait().expect("makes");
    people.put_with("c", "c", of("ann")).expect("puts");
    assert_eq!(slots_of(tenant, people, "b"), slots_of(tenant, people, "c"));
    assert_eq!(get(people, "b").as_deref(), Some(&b"b"[..]));
    assert!(tenant.0.slots.assigning.lock().pending.is_empty(), "nothing is kept of what is in effect");
    assert!(tenant.find_subject(b"ann").expect("reads").is_some());
}

#[test]
fn threads_that_put_and_erase_the_same_subjects_lose_nothing_that_was_acknowledged_afterwards() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let subjects = ["ann", "bob", "cyd"];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..150 {
                    let subject = subjects[(thread + round) % 3];
                    people.put_with(format!("{subject} {thread}"), "value", of(subject)).expect("puts");
                }
            });
        }
        let tenant = &tenant;
        scope.spawn(move || {
            for round in 0..60 {
                tenant.erase_subject(subjects[round % 3]).expect("erases");
                if round % 20 == 0 {
                    tenant.checkpoint().expect("checkpoints");
                }
            }
        });
    });
    // Nothing erases any more: what is put now stays, under a key that lives.
    for subject in subjects {
        people.put_with(format!("{subject} last"), "value", of(subject)).expect("puts");
    }
    let mut slots = BTreeMap::new();
    let mut check = |tenant: &Tenant, people: &Collection| {
        for subject in subjects {
            let key = format!("{subject} last");
            assert_eq!(get(people, &key).as_deref(), Some(&b"value"[..]));
            let slot = tenant.find_subject(subject.as_bytes()).expect("reads").expect("has a key");
            assert_eq!(slots_of(tenant, people, &key).1, Some(slot));
            assert_eq!(*slots.entry(subject).or_insert(slot), slot);
        }
    };
    check(tenant, people);
    home.close().expect("closes");
    let home = open(&disk, 2);
    let (tenant, people) = (&home.tenant, &home.people);
    check(tenant, people);
    for subject in subjects {
        assert!(tenant.erase_subject(subject).expect("erases"));
        for thread in 0..4 {
            assert_eq!(get(people, &format!("{subject} {thread}")), None, "no key of it is left");
        }
    }
}

#[test]
fn a_batch_that_a_destruction_overtook_is_refused_and_a_put_is_sealed_again() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    people.put_with("a", "a", of("ann")).expect("puts");
    let mut batch = tenant.batch();
    batch.put_with(people, "b", "b", of("ann")).expect("puts");
    let mut other = tenant.batch();
    other.put_with(people, "c", "c", of("bob")).expect("puts");
    tenant.erase_subject("ann").expect("erases");
    let refused = tenant.submit(batch).expect("submits").wait().expect_err("overtaken");
    assert!(refused.kind() == ErrorKind::Conflict && refused.is_retryable(), "{refused:?}");
    tenant.submit(other).expect("submits").wait().expect("names no destroyed key");
    assert_eq!((get(people, "b"), get(people, "c").as_deref()), (None, Some(&b"c"[..])));
}

/// Puts and erases until something fails; gives who has a value for sure, and who for sure has none.
fn script(disk: &SimDisk, told: &mut BTreeMap<String, bool>) -> Result<()> {
    let home = try_open(disk, 3, false)?;
    let (tenant, people) = (&home.tenant, &home.people);
    for round in 0..4 {
        for subject in [format!("x{round}"), format!("y{round}")] {
            people.put_with(&subject, "value", of(&subject))?;
            told.insert(subject, true);
        }
        let doomed = format!("x{round}");
        told.remove(&doomed);
        tenant.erase_subject(&doomed)?;
        told.insert(doomed, false);
        if round == 1 {
            tenant.checkpoint()?;
        }
        if round == 2 {
            tenant.tend_keys()?;
        }
    }
    home.close()
}

#[test]
fn power_loss_at_every_operation_loses_no_record_and_brings_none_back() {
    let pristine = SimDisk::new();
    create(&pristine).close().expect("closes");
    let mut struck = 0;
    for at_operation in 0.. {
        let disk = pristine.snapshot();
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::PowerOff });
        let mut told = BTreeMap::new();
        let finished = script(&disk, &mut told).is_ok();
        for seed in 0..3 {
            let mut after = disk.power_loss(seed, PowerLoss::Random);
            let mut slots = BTreeSet::new();
            // Twice: what the first one repeats or assigns is not undone by a second loss.
            for again in 0..2 {
                let home = open(&after, 10 + again);
                let (tenant, people) = (&home.tenant, &home.people);
                for (subject, has_value) in &told {
                    let place = format!("operation {at_operation}, seed {seed}, {again}: {subject}");
                    assert_eq!(get(people, subject).is_some(), *has_value, "{place}");
                }
                let rows = tenant.0.partition.directory_rows_of(INTENTS).expect("reads");
                assert!(rows.is_empty(), "operation {at_operation}, seed {seed}: repeated");
                for (_, slot) in tenant.0.partition.directory_rows_of(SUBJECTS).expect("reads") {
                    slots.insert(parse_slot(SlotKind::Subject, &slot).expect("well formed"));
                }
                people.put_with("new", "value", of(&format!("new {again}"))).expect("puts");
                let new = slots_of(tenant, people, "new").1.expect("has a subject");
                assert!(slots.insert(new), "the number {new} was given twice");
                let lost = after.power_loss(seed, PowerLoss::Random);
                drop(home);
                after = lost;
            }
        }
        if finished {
            break;
        }
        struck += 1;
    }
    assert!(struck >= 60, "only {struck} operations were struck");
}

#[test]
fn slot_numbers_are_given_once_over_clean_and_unclean_ends() {
    let disk = SimDisk::new();
    let home = create(&disk);
    home.close().expect("closes");
    let mut disk = disk;
    let mut given = BTreeSet::new();
    let mut last = 0;
    for round in 0..12_u64 {
        let home = open(&disk, 20 + round);
        let (tenant, people) = (&home.tenant, &home.people);
        for index in 0..5 {
            let key = format!("{round} {index}");
            people.put_with(&key, "value", of(&key)).expect("puts");
            last = slots_of(tenant, people, &key).1.expect("has a subject");
            assert!(given.insert(last), "round {round}: {last} was given twice");
        }
        people.put_with("own", "value", PutOptions::new().erasure(Erasure::Record)).expect("puts");
        let id = tenant.find_collection(people.name()).expect("reads").expect("is there");
        let slot = |_, envelope: &[u8]| Ok(crate::record::own_slot(envelope));
        let lone = tenant.0.partition.record(id, b"own", slot).expect("reads").flatten().expect("has one");
        assert!(given.insert(lone), "round {round}: {lone} was given twice");
        if round % 3 == 2 {
            let after = disk.power_loss(round, PowerLoss::Random);
            home.close().expect("closes");
            disk = after;
        } else {
            home.close().expect("closes");
        }
    }
    // A clean end wastes nothing, an unclean one the rest of a block.
    assert!(last < 12 * 6 + 5 * 32, "{last}");
}

#[test]
fn what_was_buffered_and_lost_gives_no_number_a_second_meaning() {
    let pristine = SimDisk::new();
    create(&pristine).close().expect("closes");
    let mut lost = 0;
    for seed in 0..40 {
        let disk = pristine.snapshot();
        let home = open(&disk, 3);
        let (tenant, people) = (&home.tenant, &home.people);
        let buffered = |subject: &str| of(subject).durability(Durability::Buffered);
        for subject in ["ann", "bob", "cyd"] {
            people.put_with(subject, subject, buffered(subject)).expect("puts");
        }
        let old: BTreeSet<_> =
            ["ann", "bob", "cyd"].map(|subject| slots_of(tenant, people, subject).1).into();
        let after = disk.power_loss(seed, PowerLoss::Random);
        home.close().expect("closes");
        let home = open(&after, 4);
        let (tenant, people) = (&home.tenant, &home.people);
        lost += usize::from(get(people, "ann").is_none());
        people.put_with("eve", "eve", of("eve")).expect("puts");
        assert!(!old.contains(&slots_of(tenant, people, "eve").1), "seed {seed}");
        for subject in ["ann", "bob", "cyd"] {
            assert!(get(people, subject).is_none_or(|value| value == subject.as_bytes()));
            assert!(
                get(people, subject).is_some()
                    || tenant.find_subject(subject.as_bytes()).expect("reads").is_none()
            );
        }
    }
    assert!(lost > 5, "only {lost} lost anything");
}

#[test]
fn a_destruction_that_failed_is_repeated_and_its_slot_is_used_no_more() {
    let mut met = 0;
    for at_operation in 0..12 {
        let disk = SimDisk::new();
        let home = create(&disk);
        let (tenant, people) = (&home.tenant, &home.people);
        people.put_with("a", "a", of("ann")).expect("puts");
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::Eio });
        let erased = tenant.erase_subject("ann");
        disk.heal();
        let failed = tenant.0.keyring.destructions().failed();
        if !failed.is_empty() {
            assert!(erased.is_err());
            met += 1;
            // Meant for good: what is put now must not need that key.
            people.put_with("b", "b", of("ann")).expect("puts");
            assert_ne!(slots_of(tenant, people, "b").1, slots_of(tenant, people, "a").1);
            tenant.tend_keys().expect("repeats it");
            assert!(tenant.0.keyring.destructions().failed().is_empty());
            assert_eq!((get(people, "a"), get(people, "b").as_deref()), (None, Some(&b"b"[..])));
        } else if get(people, "a").is_some() {
            assert_eq!(erased.expect_err("nothing was destroyed").kind(), ErrorKind::Io);
            assert!(tenant.find_subject(b"ann").expect("reads").is_some());
        }
    }
    assert!(met >= 4, "the key store failed {met} times");
}

#[test]
fn pools_are_filled_ahead_and_grow_with_what_is_needed() {
    let disk = SimDisk::new();
    let home = create(&disk);
    let (tenant, people) = (&home.tenant, &home.people);
    let bytes = || disk.read_file(Path::new("/keys/tenant.slots")).expect("reads").len();
    people.put_with("a", "a", of("a")).expect("puts");
    assert_eq!(bytes(), 6 * 4_096);
    for index in 0..20 {
        people.put_with("a", "a", of(&format!("{index}"))).expect("puts");
    }
    tenant.tend_keys().expect("tends");
    assert_eq!(bytes(), 8 * 4_096, "filled before it is empty");
    let before = bytes();
    let mut batch = tenant.batch();
    for index in 0..300 {
        batch.put_with(people, "b", "b", of(&format!("b{index}"))).expect("puts");
    }
    tenant.submit(batch).expect("submits").wait().expect("makes");
    assert!(bytes() - before < 2 * 256 * 600, "{}", bytes());
    assert!(tenant.0.slots.assigning.lock().subjects.size >= 128, "it grew");
}
