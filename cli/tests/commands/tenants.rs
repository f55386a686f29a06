//! What becomes of tenants.

use serde_json::json;

use crate::program::Place;

#[test]
fn a_tenant_is_suspended_resumed_and_renamed() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    assert_eq!(place.text(["tenant", "suspend", "acme"]), "The tenant acme is suspended.\n");
    place.fails(21, ["get", "acme", "c", "k"]);
    place.fails(21, ["put", "acme", "c", "k", "--value", "w"]);
    place.fails(21, ["export", "acme", "--out", "out"]);
    assert_eq!(place.json(["--json", "tenant", "show", "acme"])["state"], "suspended");
    place.ok(["checkpoint", "acme"]);
    place.ok(["sweep"]);
    place.ok(["tenant", "rename", "acme", "initech"]);
    assert_eq!(place.json(["--json", "tenant", "resume", "initech"])["state"], "active");
    place.fails(12, ["get", "acme", "c", "k"]);
    assert_eq!(place.ok(["get", "initech", "c", "k"]), b"v");
    place.ok(["tenant", "create", "acme"]);
    place.fails(13, ["tenant", "rename", "acme", "initech"]);
}

#[test]
fn a_tenant_moves_to_another_region_where_that_is_said_in_so_many_words() {
    let place = Place::empty();
    place.ok(["init", "--region", "eu=eu"]);
    place.ok(["tenant", "create", "acme"]);
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    place.fails(11, ["tenant", "move", "acme", "eu"]);
    place.fails(12, ["tenant", "move", "acme", "us", "--override-residency"]);
    let moved = place.json(["--json", "tenant", "move", "acme", "eu", "--override-residency"]);
    assert_eq!(moved["region"], "eu");
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"v");
    assert_eq!(place.json(["--json", "verify"])["good"], true);
}

#[test]
fn a_tenant_is_removed_and_restored_and_erased_for_good_where_that_is_meant() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    let id = place.json(["--json", "tenant", "show", "acme"])["id"].clone();
    for destructive in ["remove", "erase"] {
        place.fails(11, ["tenant", destructive, "acme"]);
    }
    let removed = place.json(["--json", "tenant", "remove", "acme", "--window", "2d", "--yes"]);
    assert_eq!(removed["state"], "removed");
    let left = removed["purge_ms"].as_u64().unwrap() - removed["created_ms"].as_u64().unwrap();
    assert!((172_800_000..172_900_000).contains(&left), "{left}");
    place.fails(12, ["get", "acme", "c", "k"]);
    place.fails(12, ["tenant", "suspend", "acme"]);
    assert!(place.text(["tenant", "list"]).contains("removed"));
    assert!(place.text(["tenant", "show", "acme"]).contains("to be erased on"));
    place.ok(["tenant", "restore", "acme"]);
    place.fails(14, ["tenant", "restore", "acme"]);
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"v");

    // Its window is over at once: a sweep erases it.
    place.ok(["tenant", "remove", "acme", "--window", "0s", "--yes"]);
    place.fails(12, ["tenant", "restore", "acme"]);
    place.ok(["sweep"]);
    assert_eq!(place.json(["--json", "tenant", "list"]), json!([]));
    place.ok(["tenant", "create", "acme"]);
    let erased = place.json(["--json", "tenant", "erase", "acme", "--yes"]);
    assert_eq!((&erased["state"], &erased["name"]), (&json!("erased"), &json!("acme")));
    assert_ne!(erased["id"], id);
    place.fails(12, ["tenant", "erase", "acme", "--yes"]);
    assert_eq!(place.json(["--json", "verify"])["good"], true);
}

#[test]
fn maintenance_refuses_records_and_shows_digests_unless_names_are_asked_for() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    let listed = place.json(["--maintenance", "--json", "tenant", "list"]);
    let digest = listed[0]["name"].as_str().unwrap();
    assert!(digest.len() == 33 && digest.starts_with('~'), "{digest}");
    for name in ["acme", digest] {
        place.fails(18, ["--maintenance", "get", name, "c", "k"]);
        place.fails(18, ["--maintenance", "put", name, "c", "k", "--value", "w"]);
        place.ok(["--maintenance", "checkpoint", name]);
        place.ok(["--maintenance", "scrub", name]);
    }
    place.fails(18, ["--maintenance", "tenant", "create", "globex"]);
    let report = place.json(["--maintenance", "--json", "verify"]);
    assert_eq!((&report["good"], &report["tenants"][1]["records_unopened"]), (&json!(true), &json!(1)));
    assert!(!report.to_string().contains("acme"));
    assert!(
        place
            .text(["--maintenance", "verify"])
            .contains("1 value not opened: the store is open for maintenance")
    );
    assert_eq!(place.json(["--maintenance", "--names", "--json", "tenant", "list"])[0]["name"], "acme");
    place.fails(11, ["--names", "tenant", "list"]);
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"v");
}

#[test]
fn a_tenants_file_is_rewritten_under_a_new_structure_key() {
    let place = Place::with_tenant();
    assert!(place.text(["rewrite", "acme"]).starts_with("Rewrote 0 files"), "it has none yet");
    let value = "x".repeat(10_000);
    for key in 0..30 {
        place.ok(["put", "acme", "c", &key.to_string(), "--value", &value]);
    }
    place.ok(["checkpoint"]);
    place.ok(["erase", "acme", "c", "--prefix", "1", "--yes"]);
    let slot = || place.json(["--json", "stats"])["tenants"][0]["structure_slot"].as_u64().unwrap();
    let before = slot();
    let report = place.json(["--json", "rewrite"]);
    assert!(report["files"] == 1 && report["rows"].as_u64().unwrap() > 19, "{report}");
    assert!(slot() > before, "under a new structure key");
    assert_eq!(place.ok(["get", "acme", "c", "2"]).len(), value.len());
    place.fails(12, ["rewrite", "nobody"]);
    place.ok(["--maintenance", "rewrite"]);
    place.ok(["verify"]);
}
