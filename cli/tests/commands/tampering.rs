//! Damaged, missing and old files, as a person at the command line meets them.

use std::fs;

use crate::program::Place;

fn two_tenants() -> Place {
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "other"]);
    for tenant in ["acme", "other"] {
        place.ok(["put", tenant, "c", "k", "--value", tenant]);
    }
    // Into their files, which are attacked here.
    place.ok(["checkpoint"]);
    place
}

#[test]
fn a_damaged_tenant_is_said_by_verify_and_the_others_go_on() {
    let place = two_tenants();
    let file = place.tenant_file("acme", ".redb");
    let mut bytes = fs::read(&file).unwrap();
    // The data blocks of the first group.
    for block in 4..(bytes.len() / 4_096).min(68) {
        bytes[block * 4_096 + 100] ^= 1;
    }
    fs::write(&file, &bytes).unwrap();
    let run = place.run(["verify"]);
    assert_eq!(run.status, 23);
    assert!(run.text().contains("WRONG  acme") && run.text().contains("good  other"), "{}", run.text());
    assert!(run.text().contains("to do: put the file that the problem names back"), "{}", run.text());
    let report = place.run(["--json", "verify", "acme"]);
    assert_eq!(
        (
            report.status,
            serde_json::from_slice::<serde_json::Value>(&report.stdout).unwrap()["good"].as_bool()
        ),
        (23, Some(false))
    );
    assert!(!place.ok(["verify", "other"]).is_empty());
    assert_eq!(place.ok(["get", "other", "c", "k"]), b"other");
    place.fails(22, ["get", "acme", "c", "k"]);
    place.fails(22, ["export", "acme", "--out", "none"]);
    assert!(!place.path("none").exists());
    let stats = place.run(["stats"]);
    assert_eq!(stats.status, 22);
    assert!(stats.text().contains("other"));
}

#[test]
fn a_missing_keyring_is_key_missing_for_its_tenant_only() {
    let place = two_tenants();
    fs::remove_file(place.tenant_file("acme", ".keyring")).unwrap();
    place.fails(19, ["get", "acme", "c", "k"]);
    assert_eq!(place.ok(["get", "other", "c", "k"]), b"other");
}

#[test]
fn an_old_file_is_refused_until_a_person_accepts_it() {
    let place = two_tenants();
    let file = place.tenant_file("acme", ".redb");
    let old = fs::read(&file).unwrap();
    place.ok(["put", "acme", "c", "k", "--value", "newer"]);
    place.ok(["checkpoint"]);
    fs::write(&file, &old).unwrap();
    place.fails(24, ["get", "acme", "c", "k"]);
    assert_eq!(place.ok(["get", "other", "c", "k"]), b"other");
    assert!(place.text(["tenant", "accept-rollback", "other"]).contains("nothing was changed"));
    assert!(place.text(["tenant", "accept-rollback", "acme"]).starts_with("Accepted"));
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"acme");
    place.ok(["verify"]);
}

#[test]
fn a_whole_store_restored_from_an_old_copy_is_accepted_at_once() {
    let place = two_tenants();
    place.ok(["put", "acme", "c", "pending", "--value", "in the journal"]);
    let old: Vec<_> =
        place.files().into_iter().filter(|(path, _)| path.starts_with(place.path("data"))).collect();
    place.ok(["tenant", "create", "later"]);
    place.ok(["put", "acme", "c", "k", "--value", "newer"]);
    place.ok(["put", "other", "c", "lost", "--value", "newer"]);
    place.ok(["checkpoint", "acme"]);
    fs::remove_dir_all(place.path("data")).unwrap();
    for (path, bytes) in &old {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    place.fails(24, ["tenant", "list"]);
    let accepted = place.json(["--json", "tenant", "accept-rollback", "--all"]);
    assert_eq!(accepted, serde_json::json!({"catalog": true, "accepted": ["acme"]}));
    for tenant in ["acme", "other"] {
        assert_eq!(place.ok(["get", tenant, "c", "k"]), tenant.as_bytes());
    }
    assert_eq!(place.ok(["get", "acme", "c", "pending"]), b"in the journal");
    place.fails(12, ["get", "other", "c", "lost"]);
    place.fails(12, ["tenant", "show", "later"]);
    let again = place.json(["--json", "tenant", "accept-rollback", "--all"]);
    assert_eq!(again, serde_json::json!({"catalog": false, "accepted": []}));
}

#[test]
fn an_old_block_is_refused_at_open_with_full_freshness() {
    let place = Place::with_tenant();
    let put = |value: &str| {
        place.ok(["--freshness", "full", "put", "acme", "c", "k", "--value", value]);
        place.ok(["--freshness", "full", "checkpoint"]);
    };
    put("one");
    let file = place.tenant_file("acme", ".redb");
    let versions: Vec<_> = (0..6)
        .map(|number| {
            put(&number.to_string());
            fs::read(&file).unwrap()
        })
        .collect();
    let (old, new) = (&versions[3], &versions[5]);
    let mut refused = 0;
    for block in (4..68).take_while(|block| (block + 1) * 4_096 <= old.len().min(new.len())) {
        let entry = 3 * 4_096 + (block - 4) * 64;
        let ranges = [block * 4_096..(block + 1) * 4_096, entry..entry + 64];
        if old[ranges[1].clone()] == new[ranges[1].clone()] || old[ranges[1].clone()] == [0; 64] {
            continue;
        }
        let mut mixed = new.clone();
        for range in ranges {
            mixed[range.clone()].copy_from_slice(&old[range]);
        }
        fs::write(&file, &mixed).unwrap();
        let run = place.run(["--freshness", "full", "get", "acme", "c", "k"]);
        match run.status {
            0 => assert_eq!(run.stdout, b"5"),
            22..=24 => refused += 1,
            status => panic!("status {status}: {}", run.stderr),
        }
    }
    assert!(refused > 0);
}
