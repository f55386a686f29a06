//! `import` of directories and lines.

use std::fs;

use serde_json::{Value, json};

use crate::program::Place;

#[test]
fn a_directorys_files_are_records_under_their_relative_paths() {
    let place = Place::with_tenant();
    place.write("in/a.txt", "A");
    place.write("in/sub/dir/b c.bin", [0, 255]);
    place.write("in/empty", "");
    fs::create_dir(place.path("in/no files")).unwrap();
    let text = place.text(["import", "acme", "c", "in"]);
    assert_eq!(text, "Imported 3 records, 3 B.\n");
    let keys = place.text(["scan", "acme", "c", "--keys-only"]);
    assert_eq!(keys, "{\"key\":\"a.txt\"}\n{\"key\":\"empty\"}\n{\"key\":\"sub/dir/b c.bin\"}\n");
    assert_eq!(place.ok(["get", "acme", "c", "sub/dir/b c.bin"]), [0, 255]);
    let summary = place.json(["--json", "import", "acme", "d", "in"]);
    assert_eq!(summary, json!({"records": 3, "bytes": 3, "batches": 1, "failed": 0, "skipped": 0}));
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_odd_file_names_keep_their_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let place = Place::with_tenant();
    place.write("outside", "secret");
    place.write("in/a", "A");
    let odd = place.path("in").join(std::ffi::OsStr::from_bytes(b"\xff\n"));
    fs::write(odd, "odd").unwrap();
    std::os::unix::fs::symlink(place.path("outside"), place.path("in/link")).unwrap();
    std::os::unix::fs::symlink(place.path("in"), place.path("in/loop")).unwrap();
    let run = place.run(["import", "acme", "c", "in", "--acks"]);
    assert_eq!((run.status, run.text()), (0, "a\n{\"key_base64\":\"/wo=\"}\n"));
    assert_eq!(run.stderr, "strongroom: 2 symbolic links not followed\n");
    assert_eq!(place.ok(["get", "acme", "c", "/wo=", "--key-base64"]), b"odd");
}

#[test]
fn a_file_of_any_length_is_a_record() {
    let place = Place::with_tenant();
    let long: Vec<_> = (0..=3_u32 << 20).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    place.write("in/a", "A");
    place.write("in/b", &long);
    place.write("in/c", "C");
    assert_eq!(place.text(["import", "acme", "c", "in", "--acks"]), "a\nb\nc\n");
    assert_eq!(place.ok(["get", "acme", "c", "b"]), long);
    let summary = place.json(["--json", "import", "acme", "d", "in"]);
    assert_eq!((&summary["records"], &summary["bytes"]), (&json!(3), &json!(long.len() + 2)));
}

#[test]
fn a_lines_value_is_its_very_bytes_and_its_key_the_field_or_the_number() {
    let place = Place::with_tenant();
    let lines = "{\"id\": \"x\",  \"n\":1.0}\r\n\n{\"n\":2,\"id\":7}\n{\"id\":0.50}";
    place.write("in.jsonl", lines);
    place.ok(["import", "acme", "field", "in.jsonl", "--key-field", "id"]);
    assert_eq!(place.ok(["get", "acme", "field", "x"]), b"{\"id\": \"x\",  \"n\":1.0}");
    assert_eq!(place.ok(["get", "acme", "field", "7"]), b"{\"n\":2,\"id\":7}");
    assert_eq!(place.ok(["get", "acme", "field", "0.50"]), b"{\"id\":0.50}");
    place.ok(["import", "acme", "number", "in.jsonl"]);
    let keys = place.text(["scan", "acme", "number", "--keys-only"]);
    assert_eq!(keys, ["1", "3", "4"].map(|number| format!("{{\"key\":\"{number:0>12}\"}}\n")).concat());
    let run = place.run_with(["import", "acme", "stdin", "-", "--key-field", "id"], lines.as_bytes());
    assert_eq!((run.status, run.text()), (0, "Imported 3 records, 46 B.\n"));
}

const MALFORMED: &str = "{\"id\":1}\n{\"id\":\n{\"id\":3}\n{\"other\":4}\n{\"id\":[]}\n\"id\"\n{\"id\":7}\n";

#[test]
fn a_malformed_line_stops_the_import_with_its_number_and_reason() {
    let place = Place::with_tenant();
    place.write("in.ndjson", MALFORMED);
    let said = place.fails(11, ["import", "acme", "c", "in.ndjson", "--key-field", "id"]);
    assert!(said.contains("line 2 is not JSON: EOF"), "{said}");
    assert_eq!(place.text(["scan", "acme", "c", "--keys-only"]), "{\"key\":\"1\"}\n");
}

#[test]
fn with_keep_going_every_malformed_line_is_said_and_the_rest_is_imported() {
    let place = Place::with_tenant();
    let secret = format!("{MALFORMED}{{\"id\":1,\"id\":2}}\n\"\\ud800 top secret\n");
    place.write("in.jsonl", secret);
    let run = place.run(["--json", "import", "acme", "c", "in.jsonl", "--key-field", "id", "--keep-going"]);
    assert_eq!(run.status, 11);
    let summary: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&summary["records"], &summary["failed"]), (&json!(3), &json!(6)));
    let numbers = ["line 2 ", "line 4 ", "line 5 ", "line 6 ", "line 8 ", "line 9 "];
    assert_eq!(run.stderr.lines().count(), numbers.len() + 1);
    for (line, number) in run.stderr.lines().zip(numbers) {
        let error = &serde_json::from_str::<Value>(line).unwrap()["error"];
        assert!(error["message"].as_str().unwrap().contains(number), "{line}");
        assert_eq!(error["kind"], "InvalidArgument");
    }
    assert!(!run.stderr.contains("top secret"));
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 3);
}

#[test]
fn lines_and_keys_over_their_limits_are_refused_and_said() {
    let place = Place::with_tenant();
    let string = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let long_key = format!("{{\"id\":{}}}", string(5_000));
    let lines = [
        string(1 << 20),
        string((1 << 20) + 1),
        string(9 << 20),
        long_key,
        "{\"id\":\"\"}".to_owned(),
        "5".to_owned(),
    ];
    place.write("in.jsonl", lines.join("\n"));
    let run = place.run(["import", "acme", "c", "in.jsonl", "--keep-going"]);
    assert_eq!((run.status, run.text()), (11, "Imported 5 records, 2.0 MiB.\n"));
    assert!(run.stderr.contains("line 3 is longer"), "{}", run.stderr);
    assert_eq!(place.ok(["get", "acme", "c", "000000000002"]).len(), (1 << 20) + 1);
    let run = place.run(["import", "acme", "d", "in.jsonl", "--keep-going", "--key-field", "id"]);
    assert_eq!((run.status, run.text()), (11, "Imported 0 records, 0 B.\n"));
    assert!(
        run.stderr.contains("line 4 has a key of 4998 bytes")
            && run.stderr.contains("line 5 has a key of 0 bytes")
    );
}

#[test]
fn acks_are_one_line_a_record_in_the_order_they_became_durable() {
    let place = Place::with_tenant();
    let ids = ["b", "a", "new\\nline", "\\\"quoted", "{", "\u{e9}", "a"];
    let lines: String = ids.iter().map(|id| format!("{{\"id\":\"{id}\"}}\n")).collect();
    place.write("in.jsonl", lines);
    for batch in [&[][..], &["--batch", "3"]] {
        let acks = place
            .text(["import", "acme", "c", "in.jsonl", "--key-field", "id", "--acks"].iter().chain(batch));
        assert_eq!(acks, "b\na\n\"new\\nline\"\n\"\\\"quoted\"\n\"{\"\n\u{e9}\na\n");
    }
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 6);
}

#[test]
fn batches_are_of_the_size_asked_for() {
    let place = Place::with_tenant();
    let lines: String = (0..2_500).map(|number| format!("{number}\n")).collect();
    place.write("in.jsonl", lines);
    let batches = |options: &[&str]| {
        let arguments = ["--json", "import", "acme", "c", "in.jsonl"];
        place.json(arguments.iter().chain(options))["batches"].as_u64()
    };
    assert_eq!(batches(&[]), Some(3));
    assert_eq!(batches(&["--batch", "2500"]), Some(1));
    assert_eq!(batches(&["--batch", "500"]), Some(5));
    for number in 0..20 {
        place.write(&format!("large/{number}"), vec![0; 1 << 20]);
    }
    assert_eq!(place.json(["--json", "import", "acme", "d", "large"])["batches"], 3);
}

#[test]
fn what_is_neither_directory_lines_nor_export_is_refused() {
    let place = Place::with_tenant();
    place.write("plain.txt", "text");
    place.write("in.jsonl", "1\n");
    fs::create_dir(place.path("dir")).unwrap();
    place.fails(11, ["import", "acme", "c", "plain.txt"]);
    place.fails(12, ["import", "acme", "c", "absent"]);
    place.fails(12, ["import", "nobody", "c", "in.jsonl"]);
    place.fails(11, ["import", "acme", "-", "in.jsonl"]);
    place.fails(11, ["import", "acme", "c", "dir", "--key-field", "id"]);
    assert_eq!(place.text(["import", "acme", "c", "dir"]), "Imported 0 records, 0 B.\n");
    assert_eq!(place.json(["--json", "stats", "acme"])["tenants"][0]["collections"], 0);
}
