//! The journals: what they hold, and what damage and old copies of them are answered with.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::Place;

/// Tenants that share a journal, `alone` with one of its own, and three records of each, which no file has yet.
fn pending() -> Place {
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "other"]);
    place.ok(["tenant", "create", "alone", "--dedicated"]);
    for tenant in ["acme", "other", "alone"] {
        // One process each, so that each is a batch of the journal.
        for key in ["1", "2", "3"] {
            place.ok(["put", tenant, "c", key, "--value", key]);
        }
    }
    place
}

/// The directory of the journal that tenants share, whose name is the store's id, and of a dedicated tenant's.
fn lane(place: &Place, dedicated: Option<&str>) -> PathBuf {
    let stats = place.json(["--json", "stats"]);
    let is_it = |id: &str| match dedicated {
        Some(tenant) => id == place.tenant_id(tenant),
        None => stats["tenants"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tenant| id != place.tenant_id(tenant["name"].as_str().unwrap())),
    };
    let lanes = stats["lanes"].as_array().unwrap();
    let id = lanes.iter().filter_map(|lane| lane["id"].as_str()).find(|id| is_it(id)).unwrap();
    place.path("data/journal").join(id)
}

/// The one segment of a journal.
fn segment(lane: &Path) -> PathBuf {
    let paths: Vec<_> = fs::read_dir(lane).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths[0].clone()
}

/// A batch of a segment: where it begins, and the sealed text of a tenant's frame in it (FORMAT.md sections 9.2, 9.3).
struct Batch {
    start: usize,
    sealed: Option<usize>,
}

fn batches(bytes: &[u8], tenant: &str) -> Vec<Batch> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut batches = Vec::new();
    let mut start = 4_096;
    while bytes[start..].starts_with(b"SRB1") {
        let mut sealed = None;
        let mut frame = start + 40;
        // Of the two kinds only the first holds frames.
        for _ in 0..if bytes[start + 12] == 1 { number(start + 32) } else { 0 } {
            let owner: String =
                bytes[frame + 8..frame + 24].iter().map(|byte| format!("{byte:02x}")).collect();
            if owner == tenant {
                sealed = Some(frame + 80);
            }
            frame += 80 + number(frame) + 16;
        }
        batches.push(Batch { start, sealed });
        start = (start + number(start + 8)).next_multiple_of(64);
    }
    batches
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn journal_bytes(place: &Place) -> Vec<u64> {
    let stats = place.json(["--json", "stats"]);
    let tenants = stats["tenants"].as_array().unwrap();
    tenants.iter().map(|tenant| tenant["journal_bytes"].as_u64().unwrap()).collect()
}

#[test]
fn a_dedicated_tenant_has_a_journal_of_its_own_and_that_is_said() {
    let place = pending();
    let dedicated = |tenant: &str| place.json(["--json", "tenant", "show", tenant])["dedicated"].clone();
    assert_eq!((dedicated("alone"), dedicated("acme")), (json!(true), json!(false)));
    assert!(place.text(["tenant", "show", "alone"]).contains("journal      dedicated\n"));
    let list = place.text(["tenant", "list"]);
    let lines: Vec<_> =
        list.lines().map(|line| (line.contains("dedicated"), line.contains("shared"))).collect();
    assert_eq!(lines, [(false, true), (true, false), (false, true)], "{list}");
    let bytes = fs::read(segment(&lane(&place, Some("alone")))).unwrap();
    let mine =
        batches(&bytes, &place.tenant_id("alone")).iter().filter(|batch| batch.sealed.is_some()).count();
    // Its records, and the row of its collection.
    assert_eq!(mine, 4);
}

#[test]
fn a_checkpoint_puts_the_journal_into_the_files_of_all_or_of_one() {
    let place = pending();
    let before = journal_bytes(&place);
    assert!(before.iter().all(|bytes| *bytes > 0), "{before:?}");
    let text = place.text(["checkpoint", "acme"]);
    assert_eq!(text, format!("Put {} B of the journal into the tenant's file.\n", before[0]));
    assert_eq!(journal_bytes(&place), [0, before[1], before[2]]);
    let rest = place.json(["--json", "checkpoint"])["journal_bytes"].as_u64();
    // The catalog's rows besides.
    assert!(rest > Some(before[1] + before[2]));
    assert_eq!(journal_bytes(&place), [0, 0, 0]);
    assert_eq!(place.json(["--json", "checkpoint"])["journal_bytes"], 0);
    let stats = place.json(["--json", "stats"]);
    for tenant in stats["tenants"].as_array().unwrap() {
        assert!(tenant["file_bytes"].as_u64() > Some(4_096) && tenant["records"] == 3, "{tenant}");
    }
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 3);
    place.fails(12, ["checkpoint", "nobody"]);
    place.fails(12, ["salvage", "nobody"]);
}

#[test]
fn stats_say_what_each_journal_holds() {
    let place = pending();
    let stats = place.json(["--json", "stats"]);
    let lanes = stats["lanes"].as_array().unwrap();
    assert_eq!(lanes.len(), 2);
    let alone = place.tenant_id("alone");
    let of = |is_alone: bool| lanes.iter().find(|lane| (lane["id"] == json!(alone)) == is_alone).unwrap();
    let journal = journal_bytes(&place);
    assert_eq!(of(true)["pending_bytes"].as_u64(), Some(journal[1]));
    assert_eq!((&of(true)["pending_tenants"], &of(false)["pending_tenants"]), (&json!(1), &json!(3)));
    for lane in lanes {
        assert_eq!(
            (&lane["region"], &lane["segments"], &lane["damaged"]),
            (&json!("default"), &json!(1), &json!(0))
        );
        assert!(lane["bytes"].as_u64() > lane["pending_bytes"].as_u64());
    }
    let text = place.text(["stats"]);
    let ends: Vec<_> = text.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(
        ends,
        ["tenant", "acme", "alone", "other", "", "journal of", "region default", "alone"],
        "{text}"
    );
    // Without the journals where one tenant was asked for.
    assert!(place.json(["--json", "stats", "acme"]).get("lanes").is_none());
}

#[test]
fn verify_reports_the_journals_and_names_what_is_not_theirs() {
    let place = pending();
    let report = place.json(["--json", "verify"]);
    assert_eq!((&report["good"], &report["unknown_files"]), (&json!(true), &json!([])));
    assert_eq!(report["lanes"].as_array().unwrap().len(), 2);
    for tenant in &report["tenants"].as_array().unwrap()[1..] {
        assert_eq!((&tenant["records"], &tenant["records_pending"]), (&json!(3), &json!(3)), "{tenant}");
        assert_eq!((&tenant["journal"]["frames"], &tenant["journal"]["frames_bad"]), (&json!(4), &json!(0)));
    }
    assert!(place.text(["verify"]).contains("3 records, 3 of them in the journal only"));
    let shared = lane(&place, None);
    let nobody = "0".repeat(32);
    let acme = place.tenant_id("acme");
    let foreign = [
        place.write("data/journal/foreign", ""),
        place
            .write(&format!("data/journal/{nobody}/0000000000000001.journal"), "")
            .parent()
            .unwrap()
            .to_owned(),
        // It has no journal of its own.
        place
            .write(&format!("data/journal/{acme}/0000000000000001.journal"), "")
            .parent()
            .unwrap()
            .to_owned(),
        place.write(&format!("data.keys/{acme}.lane"), ""),
        place.write(&format!("{}/1.journal", shared.display()), ""),
    ];
    let report = place.json(["--json", "verify"]);
    let unknown = report["unknown_files"].as_array().unwrap().iter();
    let mut unknown: Vec<_> = unknown.map(|path| fs::canonicalize(path.as_str().unwrap()).unwrap()).collect();
    let mut foreign = foreign.map(|path| path.canonicalize().unwrap());
    unknown.sort();
    foreign.sort();
    assert_eq!((unknown, &report["good"]), (foreign.to_vec(), &json!(true)));
}

#[test]
fn a_flipped_byte_of_a_frame_is_refused_for_its_tenant_only_until_it_is_salvaged() {
    let place = pending();
    let segment = segment(&lane(&place, None));
    let frames = batches(&fs::read(&segment).unwrap(), &place.tenant_id("acme"));
    let frames: Vec<_> = frames.iter().filter_map(|batch| batch.sealed).collect();
    // The row of the collection, and three records: the second of them.
    assert_eq!(frames.len(), 4);
    flip(&segment, frames[2]);
    place.fails(22, ["get", "acme", "c", "1"]);
    place.fails(22, ["put", "acme", "c", "k", "--value", "v"]);
    for tenant in ["other", "alone"] {
        assert_eq!(place.text(["scan", tenant, "c"]).lines().count(), 3);
        place.ok(["put", tenant, "c", "new", "--value", "v"]);
    }
    let run = place.run(["verify"]);
    assert_eq!(run.status, 23);
    assert!(run.text().contains("WRONG  acme") && run.text().contains("good  other"), "{}", run.text());

    let report = place.json(["--json", "salvage", "acme"]);
    assert_eq!(report, json!({"salvaged": true, "changes": 3, "changes_lost": 1, "collections_named": 0}));
    let keys = place.text(["scan", "acme", "c", "--keys-only"]);
    assert_eq!(keys, "{\"key\":\"1\"}\n{\"key\":\"3\"}\n");
    place.ok(["put", "acme", "c", "2", "--value", "2"]);
    place.ok(["verify"]);
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 3);
}

#[test]
fn a_whole_tenant_is_left_as_it_is_by_a_salvage() {
    let place = pending();
    let before = place.files();
    assert_eq!(place.text(["salvage", "acme"]), "The tenant is whole: nothing was changed.\n");
    let report = place.json(["--json", "salvage", "alone"]);
    assert_eq!(report, json!({"salvaged": false, "changes": 0, "changes_lost": 0, "collections_named": 0}));
    assert!(place.files() == before, "a file was changed");
}

#[test]
fn a_damaged_batch_is_said_of_its_journal_by_verify_and_stats() {
    let place = pending();
    let segment = segment(&lane(&place, None));
    let acme = batches(&fs::read(&segment).unwrap(), &place.tenant_id("acme"));
    let second = acme.iter().filter(|batch| batch.sealed.is_some()).nth(1).unwrap();
    flip(&segment, second.start);
    let run = place.run(["--json", "verify"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let damaged = |lane: &&Value| lane["damaged"].as_u64() > Some(0);
    let lanes = report["lanes"].as_array().unwrap();
    let wrong: Vec<_> = lanes.iter().filter(damaged).map(|lane| lane["good"].clone()).collect();
    assert_eq!((run.status, wrong, &report["good"]), (23, vec![json!(false)], &json!(false)));
    assert!(place.run(["verify"]).text().contains("damaged in 1 place"));
    place.fails(23, ["get", "acme", "c", "1"]);
    assert_eq!(place.text(["scan", "other", "c"]).lines().count(), 3);
    let stats = place.run(["--json", "stats"]);
    let stats_json: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(
        (stats.status, stats_json["lanes"].as_array().unwrap().iter().filter(damaged).count()),
        (23, 1)
    );
}

#[test]
fn an_older_journal_put_back_is_refused_until_a_person_accepts_it() {
    let place = pending();
    for tenant in ["acme", "alone"] {
        let lane = lane(&place, (tenant == "alone").then_some(tenant));
        let old = segment(&lane);
        let bytes = fs::read(&old).unwrap();
        place.ok(["put", tenant, "c", "newer", "--value", "v"]);
        fs::write(&old, &bytes).unwrap();
        place.fails(24, ["get", tenant, "c", "newer"]);
        let accept = if tenant == "alone" { tenant } else { "--all" };
        place.ok(["tenant", "accept-rollback", accept]);
        place.fails(12, ["get", tenant, "c", "newer"]);
        assert_eq!(place.text(["scan", tenant, "c"]).lines().count(), 3);
        place.ok(["put", tenant, "c", "newer", "--value", "again"]);
        assert_eq!(place.ok(["get", tenant, "c", "newer"]), b"again");
    }
    for tenant in ["acme", "other", "alone"] {
        place.ok(["verify", tenant]);
    }
}

#[test]
fn a_rolled_back_journal_of_a_region_is_accepted_for_all_its_tenants_or_for_none() {
    let place = Place::empty();
    place.ok(["init", "--region", "eu=europe"]);
    for tenant in ["one", "two"] {
        place.ok(["tenant", "create", tenant, "--region", "eu"]);
        place.ok(["put", tenant, "c", "k", "--value", "old"]);
    }
    place.ok(["tenant", "create", "at home"]);
    place.ok(["put", "at home", "c", "k", "--value", "old"]);
    let lanes = fs::read_dir(place.path("europe/journal")).unwrap().next().unwrap().unwrap().path();
    let old = segment(&lanes);
    let bytes = fs::read(&old).unwrap();
    for tenant in ["one", "two", "at home"] {
        place.ok(["put", tenant, "c", "k", "--value", "new"]);
    }
    fs::write(&old, &bytes).unwrap();
    assert_eq!(place.ok(["get", "at home", "c", "k"]), b"new");
    let said = place.fails(24, ["tenant", "accept-rollback", "one"]);
    assert!(said.contains("--all"), "{said}");
    place.fails(24, ["get", "two", "c", "k"]);
    let accepted = place.json(["--json", "tenant", "accept-rollback", "--all"]);
    assert_eq!(accepted, json!({"catalog": false, "accepted": ["one", "two"]}));
    let values = ["one", "two", "at home"].map(|tenant| place.ok(["get", tenant, "c", "k"]));
    assert_eq!(values, [b"old", b"old", b"new"]);
}

#[test]
fn a_journal_that_is_gone_is_refused_unless_nothing_of_it_was_needed() {
    let place = pending();
    let alone = lane(&place, Some("alone"));
    fs::remove_dir_all(&alone).unwrap();
    place.fails(24, ["get", "alone", "c", "1"]);
    assert_eq!(place.ok(["get", "acme", "c", "1"]), b"1");
    let run = place.run(["verify"]);
    assert_eq!((run.status, run.text().contains("WRONG  the journal of")), (23, true), "{}", run.text());
    place.ok(["tenant", "accept-rollback", "alone"]);
    assert_eq!(place.ok(["scan", "alone", "c"]), b"");
    place.ok(["put", "alone", "c", "1", "--value", "again"]);
    assert_eq!(place.ok(["get", "alone", "c", "1"]), b"again");

    place.ok(["checkpoint"]);
    // All of it is in the files, and the directories are empty: as an archive may leave them out.
    fs::remove_dir_all(place.path("data/journal")).unwrap();
    place.ok(["verify"]);
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 3);
    for tenant in ["acme", "alone"] {
        place.ok(["put", tenant, "c", "new", "--value", "v"]);
        assert_eq!(place.ok(["get", tenant, "c", "new"]), b"v");
    }
}
