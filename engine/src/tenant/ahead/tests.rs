//! Tests of records that are opened ahead: what became of them before they were asked for.

use std::sync::Arc;

use super::*;
use crate::collection::ScanOptions;
use crate::disk::SimDisk;
use crate::keys::SlotKind;
use crate::partition::{Changes, Table};
use crate::tenant::PutOptions;
use crate::tenant::home::{Home, create};

/// The rows of a collection, opened now.
fn opened(home: &Home, opener: &Opener) -> (Vec<Found>, Erasures) {
    let snapshot = home.tenant.0.partition.snapshot().expect("is made");
    let id = home.tenant.need_collection(home.people.name()).expect("is there");
    let (from, to) = ScanOptions::new().row_bounds(id).expect("not empty");
    let mut rows = snapshot.scan(Table::Records, &from, &to, false).expect("begins");
    let erasures = snapshot.erasures();
    let next = || {
        let mut found = Found::next(&mut rows, opener, &erasures)?;
        found.open(opener);
        Some(found)
    };
    (std::iter::from_fn(next).collect(), erasures.clone())
}

#[test]
fn what_is_erased_or_expires_or_loses_its_key_after_it_was_opened_is_not_given() {
    let home = create(&SimDisk::new());
    let people = &home.people;
    people.erase("first").expect("erases");
    for key in ["erased", "kept"] {
        people.put(key, key).expect("puts");
    }
    people.put_with("of a subject", "value", PutOptions::new().subject("ada")).expect("puts");
    people.put_with("keyless", "value", PutOptions::new().subject("bob")).expect("puts");
    let soon = home.tenant.0.clock.now_ms() + 1_000;
    people.put_with("soon", "value", PutOptions::new().expires_ms(soon)).expect("puts");
    let opener = Opener::of_records(&home.tenant, false);
    let given = |(found, erasures): (Vec<Found>, Erasures)| {
        let entries = found.into_iter().filter_map(|found| found.entry(&opener, &erasures).expect("opens"));
        entries.map(|entry| String::from_utf8(entry.key).expect("text")).collect::<Vec<_>>()
    };
    assert_eq!(given(opened(&home, &opener)), ["erased", "kept", "keyless", "of a subject", "soon"]);
    let before = opened(&home, &opener);
    people.erase("erased").expect("erases");
    assert_eq!(given(before), ["kept", "keyless", "of a subject", "soon"]);
    let before = opened(&home, &opener);
    home.tenant.erase_subject("ada").expect("erases");
    assert_eq!(given(before), ["kept", "keyless", "soon"]);
    // Its row stays.
    let before = opened(&home, &opener);
    let bob = (SlotKind::Subject, home.tenant.find_subject(b"bob").expect("reads").expect("is there"));
    home.tenant.destroy_keys(Changes::default(), &[bob], || Ok(())).expect("destroys");
    assert_eq!(given(before), ["kept", "soon"]);
    let before = opened(&home, &opener);
    home.clock.set(soon);
    assert_eq!(given(before), ["kept"]);
}

#[test]
fn a_scan_that_is_dropped_half_way_has_ended_its_thread() {
    let home = create(&SimDisk::new());
    for number in 0..100 {
        home.people.put(format!("{number:03}"), "value").expect("puts");
    }
    let before = Arc::strong_count(&home.tenant.0);
    let mut scan = home.people.scan_with(ScanOptions::new().open_ahead(8)).expect("begins");
    assert_eq!(scan.next().expect("is there").expect("opens").key, b"000");
    drop(scan);
    assert_eq!(Arc::strong_count(&home.tenant.0), before, "nobody else has the tenant any more");
}

#[test]
fn what_is_erased_between_a_cursor_and_the_next_record_is_not_given() {
    let home = create(&SimDisk::new());
    home.people.put("second", "value").expect("puts");
    for ahead in [0, 8] {
        home.people.put("kept", "value").expect("puts");
        let mut scan = home.people.scan_with(ScanOptions::new().open_ahead(ahead)).expect("begins");
        assert_eq!(scan.next().expect("is there").expect("opens").key, b"first");
        assert!(scan.cursor().expect("seals").is_some(), "a record comes behind it");
        home.people.erase("kept").expect("erases");
        assert_eq!(scan.next().expect("is there").expect("opens").key, b"second", "{ahead}");
    }
}
