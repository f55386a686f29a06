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
    place.write("newer", r#"{"format":"strongroom-export","version":3}"#);
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

/// Values around the length from which on they stand in parts.
fn long() -> Place {
    let place = Place::with_tenant();
    for (key, bytes) in [("a", 5), ("b", 1 << 20), ("c", (1 << 20) + 1), ("d", 2 << 20), ("e", 3_000_000)] {
        let value: Vec<_> = (0..bytes).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
        let file = place.write("value", value);
        place.ok(["put", "acme", "c", key, "--file", file.to_str().unwrap()]);
    }
    place.ok(["export", "acme", "--out", "one"]);
    place.ok(["tenant", "create", "copy"]);
    place
}

#[test]
fn long_values_come_back_in_a_file_and_through_a_pipe() {
    let place = long();
    let exported = lines(&place, "one");
    assert_eq!(exported[0]["version"], 2);
    assert_eq!(exported.last(), Some(&json!({"end": true, "records": 5, "parts": 7})));
    assert!(exported.iter().any(|line| line["key"] == "e" && line["value_bytes"] == 3_000_000));
    let bytes = fs::read(place.path("one")).unwrap();
    for name in ["file", "pipe"] {
        let run = if name == "file" {
            place.run(["import", "copy", "-", "one"])
        } else {
            place.run_with(["import", "copy", "-", "-"], &bytes)
        };
        assert_eq!(run.text(), "Imported 5 records, 6.9 MiB.\n", "{name}");
        place.ok(["export", "copy", "--out", name]);
        assert_eq!(fs::read(place.path(name)).unwrap(), bytes, "{name}");
        place.ok(["collection", "drop", "copy", "c"]);
    }
}

#[test]
fn a_long_value_of_which_a_part_is_wrong_is_refused_and_the_others_come_back() {
    let place = long();
    let text = fs::read_to_string(place.path("one")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // After the header, a, b: c and its two parts.
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != left_out);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    place.write("cut", without(5));
    place.fails(23, ["import", "copy", "-", "cut"]);
    for (name, wrong) in [
        ("short", without(5).replace("\"parts\":7", "\"parts\":6")),
        ("other", { text.replacen(lines[5], "{\"part_base64\":\"?\"}", 1) }),
    ] {
        place.write(name, wrong);
        let run = place.run(["import", "copy", "-", name, "--keep-going"]);
        assert!(
            run.stderr.contains("line 4 can't be read: 1 bytes of its value do not follow"),
            "{}",
            run.stderr
        );
        let keys = place.text(["scan", "copy", "c", "--keys-only"]);
        assert_eq!(keys, ["a", "b", "d", "e"].map(|key| format!("{{\"key\":\"{key}\"}}\n")).concat());
        place.ok(["collection", "drop", "copy", "c"]);
    }
    place.write("old", text.replacen("\"version\":2", "\"version\":1", 1));
    let told = place.fails(11, ["import", "copy", "-", "old"]);
    assert!(told.contains("line 4 has a value in parts"), "{told}");
}

#[test]
fn a_subjects_long_values_are_exported_too() {
    let place = Place::with_tenant();
    let file = place.write("value", vec![7; (1 << 20) + 1]);
    place.ok(["put", "acme", "c", "long", "--subject", "ada", "--file", file.to_str().unwrap()]);
    place.ok(["put", "acme", "c", "short", "--subject", "ada", "--value", "v"]);
    place.ok(["subject", "export", "acme", "ada", "--out", "ada"]);
    place.ok(["tenant", "create", "copy"]);
    assert_eq!(place.text(["import", "copy", "-", "ada"]), "Imported 2 records, 1.0 MiB.\n");
    assert_eq!(place.ok(["get", "copy", "c", "long"]), vec![7; (1 << 20) + 1]);
}

/// More than the program may have of memory, by several times.
#[cfg(target_os = "linux")]
#[test]
fn a_value_of_any_length_takes_constant_memory_there_and_back() {
    const MEBIBYTES: u32 = 192;
    const MEMORY_KIB: u32 = 96 << 10;
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "copy"]);
    let mut file = Vec::new();
    for block in 0..MEBIBYTES {
        file.extend(block.to_le_bytes().repeat(1 << 18));
    }
    place.write("in/large", &file);
    let within = |arguments: &str| {
        let script = format!("ulimit -d {MEMORY_KIB}; exec {} {arguments}", env!("CARGO_BIN_EXE_strongroom"));
        let mut command = std::process::Command::new("sh");
        let run = command.args(["-c", &script]).current_dir(place.path(".")).env_clear();
        let run = run.env("STRONGROOM_STORE", "data").output().unwrap();
        assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
    };
    within("import acme c in");
    within("export acme --out out");
    within("import copy - out");
    within("get copy c large --out back");
    assert!(fs::read(place.path("back")).unwrap() == file);
}
