//! `export`, and its way back.

use std::fs;

use serde_json::{Value, json};

use crate::program::Place;

/// A tenant with text, binary, empty and large records in several collections.
fn full() -> Place {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "plain", "key", "--value", "value"]);
    place.ok(["put", "acme", "plain", "empty"]);
    place.ok(["put", "acme", "\u{65e5}/..", "\u{1f980}\"\\", "--value", "\u{0}\n".trim_matches('\0')]);
    for (key, value) in
        [("/wA=", vec![0, 255, 10]), ("AAEC", vec![1; 1 << 20]), ("/w==", (0..=255).collect())]
    {
        let run = place.run_with(["put", "acme", "binary", key, "--key-base64"], &value);
        assert_eq!(run.status, 0);
    }
    place
}

fn lines(place: &Place, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_imports_to_the_same_tenant_times_included() {
    let place = full();
    let summary = place.json(["--json", "export", "acme", "--out", "one"]);
    assert_eq!(summary["records"], 6);
    place.ok(["tenant", "create", "copy"]);
    place.ok(["import", "copy", "-", "one"]);
    place.ok(["export", "copy", "--out", "two"]);
    assert_eq!(fs::read(place.path("one")).unwrap(), fs::read(place.path("two")).unwrap());
    for collection in ["plain", "binary", "\u{65e5}/.."] {
        assert_eq!(place.ok(["scan", "acme", collection]), place.ok(["scan", "copy", collection]));
    }
    let exported = lines(&place, "one");
    assert_eq!(exported[0]["format"], "strongroom-export");
    assert_eq!(exported.last(), Some(&json!({"end": true, "records": 6})));
    assert!(exported[1..7].iter().all(|line| line["written_ms"].as_u64() > Some(1_700_000_000_000)));
    assert!(exported[1..7].iter().any(|line| line["key_base64"] == "/wA=" && line["value_base64"] == "AP8K"));
}

#[test]
fn written_times_are_those_of_the_export() {
    let place = Place::with_tenant();
    place.write(
        "old",
        "{\"format\":\"strongroom-export\",\"version\":1,\"collections\":[\"c\"]}\n\
         {\"collection\":\"c\",\"key\":\"k\",\"value\":\"v\",\"written_ms\":1}\n\
         {\"collection\":\"c\",\"key\":\"l\",\"value\":\"v\",\"written_ms\":18446744073709551615}\n\
         {\"end\":true,\"records\":2}\n",
    );
    place.ok(["import", "acme", "-", "old"]);
    place.ok(["export", "acme", "--out", "new"]);
    assert_eq!(fs::read(place.path("old")).unwrap(), fs::read(place.path("new")).unwrap());
}

#[test]
fn one_collection_can_be_exported_and_put_into_another() {
    let place = full();
    place.ok(["export", "acme", "--collection", "binary", "--out", "one"]);
    place.ok(["import", "acme", "again", "one"]);
    assert_eq!(place.ok(["scan", "acme", "binary"]), place.ok(["scan", "acme", "again"]));
    place.fails(12, ["export", "acme", "--collection", "none", "--out", "two"]);
    assert!(!place.path("two").exists());
    place.ok(["export", "acme", "--out", "all"]);
    let said = place.fails(11, ["import", "acme", "again", "all"]);
    assert!(said.contains("holds 4 collections"), "{said}");
    place.fails(11, ["import", "acme", "-", "one", "--key-field", "id"]);
}

#[test]
fn an_export_comes_through_a_pipe_as_well() {
    let place = full();
    place.ok(["export", "acme", "--out", "one"]);
    place.ok(["tenant", "create", "copy"]);
    let bytes = fs::read(place.path("one")).unwrap();
    assert_eq!(place.run_with(["import", "copy", "-", "-"], &bytes).status, 0);
    place.ok(["export", "copy", "--out", "two"]);
    assert_eq!(bytes, fs::read(place.path("two")).unwrap());
    let cut = bytes.strip_suffix(b"{\"end\":true,\"records\":6}\n").unwrap();
    let run = place.run_with(["import", "copy", "-", "-"], cut);
    assert_eq!(run.status, 23);
    assert!(run.stderr.contains("of it were imported 6 records"), "{}", run.stderr);
}

#[test]
fn an_export_cut_short_anywhere_is_refused_and_nothing_of_it_imported() {
    let place = Place::with_tenant();
    for key in ["a", "b", "c"] {
        place.ok(["put", "acme", "c", key, "--value", key]);
    }
    place.ok(["export", "acme", "--out", "one"]);
    place.ok(["tenant", "create", "copy"]);
    let bytes = fs::read(place.path("one")).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    // Without its last line ending it is whole.
    for length in (header..bytes.len() - 1).step_by(23) {
        place.write("cut", &bytes[..length]);
        place.fails(23, ["import", "copy", "-", "cut"]);
    }
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    place.write("cut", [lines[0], lines[1], lines[3], lines[4]].concat());
    place.fails(23, ["import", "copy", "-", "cut"]);
    place.write("cut", [lines[0], lines[1], lines[2], lines[3], lines[4], lines[1]].concat());
    place.fails(23, ["import", "copy", "-", "cut"]);
    assert_eq!(place.json(["--json", "stats", "copy"])["tenants"][0]["records"], 0);
    place.write("whole", &bytes[..bytes.len() - 1]);
    place.ok(["import", "copy", "-", "whole"]);
}

#[test]
fn a_malformed_record_of_an_export_is_said_by_its_line() {
    let place = Place::with_tenant();
    let header = r#"{"format":"strongroom-export","version":1,"collections":["c"]}"#;
    let bad = [
        r#"{"collection":"c","key":"k","written_ms":1}"#,
        r#"{"collection":"c","key":"k","key_base64":"aw==","value":"v","written_ms":1}"#,
        r#"{"collection":"c","key":"k","value_base64":"?","written_ms":1}"#,
        r#"{"collection":"d","key":"k","value":"v","written_ms":1}"#,
        r#"{"collection":"c","key":"k","value":"v","written_ms":1,"expires_ms":-2}"#,
        r#"{"collection":"c","key":"k","value":"v","written_ms":-1}"#,
        r#"{"collection":"c","key":"k","value":"v","written_ms":1,"more":1}"#,
        "nonsense",
    ];
    let good = r#"{"collection":"c","key":"good","value":"v","written_ms":1}"#;
    let end = format!("{{\"end\":true,\"records\":{}}}", bad.len() + 1);
    place.write("export", [header, &bad.join("\n"), good, &end].join("\n"));
    let said = place.fails(11, ["import", "acme", "-", "export"]);
    assert!(said.contains("line 2 there is neither value nor value_base64"), "{said}");
    let run = place.run(["import", "acme", "-", "export", "--keep-going"]);
    assert_eq!(
        (run.status, run.text(), run.stderr.lines().count()),
        (11, "Imported 1 record, 1 B.\n", bad.len() + 1)
    );
    place.write("newer", r#"{"format":"strongroom-export","version":2}"#);
    place.fails(25, ["import", "acme", "-", "newer"]);
}

#[test]
fn an_export_appears_whole_is_its_owners_and_replaces_nothing_unasked() {
    let place = full();
    place.write("there", "old");
    place.fails(13, ["export", "acme", "--out", "there"]);
    place.fails(12, ["export", "nobody", "--out", "none"]);
    place.fails(12, ["export", "acme", "--out", "no/such/directory"]);
    assert_eq!(fs::read(place.path("there")).unwrap(), b"old");
    assert!(place.text(["export", "acme", "--out", "there", "--force"]).contains("not encrypted"));
    assert_eq!(lines(&place, "there").len(), 8);
    let files: Vec<_> =
        fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{files:?}");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(place.path("there")).unwrap()) & 0o777,
        0o600
    );
}

#[test]
fn a_record_keeps_the_time_it_expires_at_through_an_export() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v", "--ttl", "1day"]);
    place.ok(["put", "acme", "c", "gone", "--value", "v", "--ttl", "1ms"]);
    place.ok(["export", "acme", "--out", "first"]);
    place.ok(["tenant", "create", "copy"]);
    place.ok(["import", "copy", "-", "first"]);
    place.ok(["export", "copy", "--out", "second"]);
    let [first, second] = ["first", "second"].map(|name| fs::read_to_string(place.path(name)).unwrap());
    assert_eq!(first, second);
    assert!(first.contains("\"expires_ms\":") && !first.contains("gone"), "{first}");
}
