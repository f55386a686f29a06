//! Damage of the key store: what stands there twice is mended and reported; what is lost in both places is said to be
//! missing, and never that a record is not there.

use std::collections::BTreeSet;
use std::ops::Range;

use strongroom::simulation::SimDisk;
use strongroom::{Engine, ErrorKind, KeyringReport};

use super::store::{BLOCK, Owner, Store, TENANTS, assert_reads_all};
use crate::support::{config, key_of, refusal, scan_all};

const SLOT: u64 = 128;
/// The slots that a new keyring fills (FORMAT.md section 4.3).
const STRUCTURE_SLOT: u32 = 1;
const DATA_SLOT: u32 = 2;

/// The bytes of a slot in one of its twins.
fn slot(number: u32, twin: u64) -> Range<u64> {
    let start = (4 + twin) * BLOCK + u64::from(number) * SLOT;
    start..start + SLOT
}

fn block(number: u64) -> Range<u64> {
    number * BLOCK..(number + 1) * BLOCK
}

/// What is done to the bytes of a range.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped,
    Zeroed,
    Random,
}

const DAMAGES: [Damage; 3] = [Damage::Flipped, Damage::Zeroed, Damage::Random];

fn damage(store: &Store, owner: Owner, damage: Damage, ranges: &[Range<u64>]) -> SimDisk {
    let disk = store.disk.snapshot();
    let path = &store.holding(owner).keyring;
    let mut bytes = disk.read_file(path).unwrap();
    for range in ranges {
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        match damage {
            Damage::Flipped => bytes[start + 7] ^= 1,
            Damage::Zeroed => bytes[start..end].fill(0),
            Damage::Random => {
                let mut state = range.start + 1;
                for byte in &mut bytes[start..end] {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = state.to_be_bytes()[0];
                }
            }
        }
    }
    disk.write_file(path, &bytes).unwrap();
    disk
}

#[test]
fn a_damaged_copy_in_a_keyring_is_mended_from_the_other_and_reported_once() {
    let store = Store::new();
    let cases: [(&[Range<u64>], KeyringReport); 7] = [
        (&[block(0)], KeyringReport { headers_mended: 1, ..KeyringReport::default() }),
        (&[block(1)], KeyringReport { headers_mended: 1, ..KeyringReport::default() }),
        (&[block(2)], KeyringReport { anchors_damaged: 1, ..KeyringReport::default() }),
        (&[block(3)], KeyringReport { anchors_damaged: 1, ..KeyringReport::default() }),
        (&[slot(STRUCTURE_SLOT, 0)], KeyringReport { twins_mended: 1, ..KeyringReport::default() }),
        (&[slot(DATA_SLOT, 1)], KeyringReport { twins_mended: 1, ..KeyringReport::default() }),
        // One copy of everything, on different sides.
        (
            &[block(1), block(2), slot(STRUCTURE_SLOT, 1), slot(DATA_SLOT, 0)],
            KeyringReport {
                headers_mended: 1,
                anchors_damaged: 1,
                twins_mended: 2,
                ..KeyringReport::default()
            },
        ),
    ];
    for owner in Owner::ALL {
        for (ranges, expected) in &cases {
            for kind in DAMAGES {
                let place = format!("{owner:?} {kind:?} {ranges:?}");
                let disk = damage(&store, owner, kind, ranges);
                let engine = Engine::open(config(&disk, 2)).unwrap();
                for (name, count) in TENANTS {
                    assert_reads_all(&engine.tenant(name).unwrap(), count);
                }
                let report = engine.verify(&mut |_| {}).unwrap();
                assert!(report.is_good(), "{place}: {report:?}");
                for (of, tenant) in Owner::ALL.into_iter().zip(&report.tenants) {
                    let expected = if of == owner { expected } else { &KeyringReport::default() };
                    assert_eq!(tenant.keyring, *expected, "{place}");
                }
                // Writing works, and a checkpoint replaces the anchor's bad copy; after that nothing is left to report.
                for (name, count) in TENANTS {
                    let tenant = engine.tenant(name).unwrap();
                    let documents = tenant.collection("documents").unwrap();
                    for _ in 0..2 {
                        documents.put(key_of(count), "later").unwrap();
                        tenant.checkpoint().unwrap();
                    }
                }
                engine.close().unwrap();
                let engine = Engine::open(config(&disk, 3)).unwrap();
                let again = engine.verify(&mut |_| {}).unwrap();
                for (of, tenant) in Owner::ALL.into_iter().zip(&again.tenants) {
                    // Nothing is written to the catalog here: its anchor may wait for its next write.
                    let waits = of == Owner::System && expected.anchors_damaged > 0 && owner == of;
                    let anchors_damaged = tenant.keyring.anchors_damaged.min(usize::from(waits));
                    let left = KeyringReport { anchors_damaged, ..KeyringReport::default() };
                    assert_eq!(tenant.keyring, left, "{place}, opened again");
                }
            }
        }
    }
}

#[test]
fn a_data_key_lost_in_both_twins_is_missing_and_its_records_are_never_said_not_to_be_there() {
    let store = Store::new();
    for kind in DAMAGES {
        let disk = damage(&store, Owner::Tenant(0), kind, &[slot(DATA_SLOT, 0), slot(DATA_SLOT, 1)]);
        let engine = Engine::open(config(&disk, 2)).unwrap();
        let acme = engine.tenant("acme").unwrap();
        let documents = acme.collection("documents").unwrap();
        let count = TENANTS[0].1;
        for index in 0..count {
            assert_eq!(
                refusal(documents.get(key_of(index))),
                ErrorKind::KeyMissing,
                "{kind:?} record {index}"
            );
            assert!(documents.contains(key_of(index)).unwrap(), "{kind:?} record {index}");
        }
        let scanned = scan_all(&acme, count, false);
        assert_eq!((scanned.right, scanned.refused, scanned.wrong), (0, count, 0), "{kind:?}");
        assert_eq!(scanned.kinds, BTreeSet::from([ErrorKind::KeyMissing]));
        // Nothing can be put under a key that is lost, and no new key takes its number.
        assert_eq!(refusal(documents.put("new", "value")), ErrorKind::KeyMissing);
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(!report.is_good(), "{kind:?}: {report:?}");
        assert_eq!(report.file.records_bad, count as u64, "{kind:?}");
        assert_reads_all(&engine.tenant("globex").unwrap(), TENANTS[1].1);

        // Not even a rewrite, which fills a slot, makes the records vanish or open under another key.
        acme.rewrite(&mut |_, _| {}).unwrap();
        assert_eq!(refusal(documents.get(key_of(0))), ErrorKind::KeyMissing, "{kind:?} after a rewrite");
        engine.close().unwrap();

        // The keyring from a copy: all is there again.
        let path = &store.holding(Owner::Tenant(0)).keyring;
        let mended = damage(&store, Owner::Tenant(0), kind, &[slot(DATA_SLOT, 0), slot(DATA_SLOT, 1)]);
        assert!(Engine::open(config(&mended, 2)).unwrap().tenant("acme").is_ok());
        mended.write_file(path, store.disk.read_file(path).unwrap()).unwrap();
        assert_reads_all(&Engine::open(config(&mended, 3)).unwrap().tenant("acme").unwrap(), count);
    }
}

#[test]
fn what_is_lost_in_both_copies_refuses_the_tenant_alone_and_is_no_empty_tenant() {
    let store = Store::new();
    let structure = [slot(STRUCTURE_SLOT, 0), slot(STRUCTURE_SLOT, 1)];
    let cases: [(&[Range<u64>], &[ErrorKind]); 4] = [
        (&structure, &[ErrorKind::KeyMissing]),
        (
            &[block(0), block(1)],
            &[ErrorKind::Unauthentic, ErrorKind::UnsupportedFormat, ErrorKind::Corrupted],
        ),
        (&[block(2), block(3)], &[ErrorKind::Unauthentic]),
        (&[block(4), block(5)], &[ErrorKind::KeyMissing]),
    ];
    for (ranges, allowed) in cases {
        for kind in DAMAGES {
            // One flipped bit of a block of slots hits a slot that was never filled.
            if matches!(kind, Damage::Flipped) && ranges[0] == block(4) {
                continue;
            }
            let disk = damage(&store, Owner::Tenant(0), kind, ranges);
            let before = disk.read_file(&store.holding(Owner::Tenant(0)).keyring).unwrap();
            let engine = Engine::open(config(&disk, 2)).unwrap();
            let error = engine.tenant("acme").unwrap_err();
            assert!(allowed.contains(&crate::support::kind_of(&error)), "{kind:?} {ranges:?}: {error:?}");
            assert!(error.to_string().contains(&store.holding(Owner::Tenant(0)).id), "{error}");
            assert_reads_all(&engine.tenant("globex").unwrap(), TENANTS[1].1);
            assert_eq!(
                refusal(engine.create_tenant("acme", strongroom::TenantOptions::new())),
                ErrorKind::AlreadyExists
            );
            assert!(!engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
            let after = disk.read_file(&store.holding(Owner::Tenant(0)).keyring).unwrap();
            assert_eq!(before, after, "{kind:?} {ranges:?}: nothing is mended from nothing");

            // The same of the catalog refuses the store.
            let disk = damage(&store, Owner::System, kind, ranges);
            let kind_of_all = refusal(Engine::open(config(&disk, 2)));
            assert!(allowed.contains(&kind_of_all), "{kind:?} {ranges:?}: {kind_of_all}");
        }
    }
    // No keyring at all.
    let disk = store.disk.snapshot();
    disk.remove(&store.holding(Owner::Tenant(0)).keyring).unwrap();
    let engine = Engine::open(config(&disk, 2)).unwrap();
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::KeyMissing);
    assert_reads_all(&engine.tenant("globex").unwrap(), TENANTS[1].1);
}

#[test]
fn slots_moved_to_other_numbers_or_tenants_hold_no_key() {
    let store = Store::new();
    let [mine, other] = [0, 1].map(|index| &store.holding(Owner::Tenant(index)).keyring);
    let [original, foreign] = [mine, other].map(|path| store.disk.read_file(path).unwrap());
    let bytes_of = |number, twin| {
        let range = slot(number, twin);
        usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
    };
    // The structure slot's bytes in the data slot's place, and another tenant's data slot: in both twins.
    for (from, number) in [(&original, STRUCTURE_SLOT), (&foreign, DATA_SLOT)] {
        let mut bytes = original.clone();
        for twin in [0, 1] {
            bytes[bytes_of(DATA_SLOT, twin)].copy_from_slice(&from[bytes_of(number, twin)]);
        }
        let disk = store.disk.snapshot();
        disk.write_file(mine, &bytes).unwrap();
        let engine = Engine::open(config(&disk, 2)).unwrap();
        let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
        assert_eq!(refusal(documents.get(key_of(1))), ErrorKind::KeyMissing);
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert_eq!(report.keyring.slots_lost, [DATA_SLOT]);
    }
}
