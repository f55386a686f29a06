//! `import` of rows whose fields say what is what: JSON Lines and .csv.

use std::fs;

use serde_json::{Value, json};

use crate::program::Place;

const CSV: &str = "id,body,person,until,email,customer\n\
                   7,\"one, two\",user-1,2100-01-01T00:00:00Z,a@example.org,acme\n\
                   8,\"say \"\"hi\"\"\n\",user-2,,b@example.org,globex\n\
                   9,,,4102444800000,,acme\n";

const LINES: &str = r#"{"id":7,"body":"one, two","person":"user-1","until":"2100-01-01T00:00:00Z","email":"a@example.org","customer":"acme"}
{"id":"8","body":"say \"hi\"\n","person":"user-2","email":"b@example.org","customer":"globex"}
{"id":9,"body":"","person":null,"until":4102444800000,"customer":"acme"}
"#;

const FIELDS: [&str; 10] = [
    "--key-field",
    "id",
    "--value-field",
    "body",
    "--subject-field",
    "person",
    "--expires-field",
    "until",
    "--index",
    "email=email",
];

fn two_tenants() -> Place {
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "globex"]);
    for tenant in ["acme", "globex"] {
        place.ok(["index", "declare", tenant, "c", "email", "--unique"]);
    }
    place
}

#[test]
fn fields_are_key_value_tenant_subject_expiry_and_secondary_key() {
    for (name, text) in [("in.csv", CSV), ("in.jsonl", LINES)] {
        let place = two_tenants();
        place.write(name, text);
        let into = ["import", "-", "c", name, "--tenant-field", "customer"];
        assert_eq!(place.text(into.iter().chain(&FIELDS)), "Imported 3 records, 17 B.\n");
        for (tenant, key, value) in
            [("acme", "7", "one, two"), ("globex", "8", "say \"hi\"\n"), ("acme", "9", "")]
        {
            assert_eq!(place.ok(["get", tenant, "c", key]), value.as_bytes(), "{name}");
        }
        assert_eq!(place.text(["find", "globex", "c", "email", "b@example.org"]).lines().count(), 1);
        assert_eq!(place.text(["find", "acme", "c", "email", "b@example.org"]), "");
        // A record of a subject that a hold covers is kept; the one without a subject is not.
        place.ok(["hold", "place", "acme", "case", "--subject", "user-1"]);
        place.fails(16, ["erase", "acme", "c", "7", "--yes"]);
        place.ok(["export", "acme", "--out", "out"]);
        let out = fs::read_to_string(place.path("out")).unwrap();
        assert_eq!(out.matches("\"expires_ms\":4102444800000").count(), 2, "{name}: {out}");
        place.ok(["erase", "acme", "c", "9", "--yes"]);
    }
}

#[test]
fn without_a_field_the_value_is_the_row_and_the_key_its_number() {
    let place = Place::with_tenant();
    place.write("in.csv", "\u{feff}a,b\r\n1,\"x\r\ny\"\r\n\r\n2,\r\n");
    place.ok(["import", "acme", "c", "in.csv"]);
    let scanned = place.text(["scan", "acme", "c"]);
    let expected = [("000000000001", r#"{"a":"1","b":"x\r\ny"}"#), ("000000000002", r#"{"a":"2","b":""}"#)];
    let expected = expected.map(|(key, value)| format!("{}\n", json!({"key": key, "value": value})));
    assert_eq!(scanned, expected.concat());
    place.write("values.csv", "id,body\nbinary,AP8K\n");
    let arguments = ["import", "acme", "d", "values.csv", "--key-field", "id", "--value-field", "body"];
    place.ok(arguments.iter().chain(&["--value-base64"]));
    assert_eq!(place.ok(["get", "acme", "d", "binary"]), [0, 255, 10]);
    place.write("empty.csv", "");
    assert_eq!(place.text(["import", "acme", "e", "empty.csv"]), "Imported 0 records, 0 B.\n");
}

/// Rows of which each but the first and the last is wrong in its own way, and what is said of it.
const BROKEN: [(&str, &str); 7] = [
    ("2,b,acme", "line 3 has 3 fields, and the first line names 4"),
    ("3,b,acme,tomorrow", "line 4 has neither milliseconds since 1970 nor a time"),
    ("4,b,nobody,", "line 5 can't be put: "),
    ("5,b,,", "line 6 has no such field as --tenant-field names"),
    (",b,acme,", "line 7 has a key of 0 bytes"),
    ("7,5\" disk,acme,", "line 8 has a quote that is not closed"),
    ("8,b,acme,1000", "line 9 can't be put: "),
];

fn broken(large: &str) -> String {
    let rows: String = BROKEN.iter().map(|(row, _)| format!("{row}\n")).collect();
    format!("id,body,tenant,until\n1,a,acme,\n{rows}{large}")
}

#[test]
fn a_bad_row_stops_the_import_with_its_line_and_what_came_before_is_there() {
    for (row, said) in BROKEN.iter().filter(|(row, _)| !row.starts_with('8')) {
        let place = Place::with_tenant();
        let before = (2..10).map(|number| format!("k{number},a,acme,\n")).collect::<String>();
        place.write("in.csv", format!("id,body,tenant,until\n{before}{row}\nlast,z,acme,\n"));
        let arguments = ["import", "-", "c", "in.csv", "--tenant-field", "tenant", "--key-field", "id"];
        let told = place.fails(11, arguments.iter().chain(&["--expires-field", "until"]));
        let said = said.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).unwrap().1;
        assert!(told.contains(&format!("in.csv: line 10 {said}")), "{told}");
        assert!(told.contains("8 records before it were imported, nothing after it"), "{told}");
        assert_eq!(place.text(["count", "acme", "c"]), "8 records\n");
    }
}

#[test]
fn with_keep_going_each_bad_row_is_said_and_the_others_are_imported() {
    let place = Place::with_tenant();
    place.ok(["policy", "set", "acme", "--minimum", "1d"]);
    let large = format!("9,{},acme,\n10,z,acme,\n", "x".repeat((1 << 20) + 1));
    place.write("in.csv", broken(&large));
    let arguments = ["--json", "import", "-", "c", "in.csv", "--tenant-field", "tenant", "--key-field", "id"];
    let fields = ["--value-field", "body", "--expires-field", "until", "--keep-going"];
    let run = place.run(arguments.iter().chain(&fields));
    assert_eq!(run.status, 11);
    let summary: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&summary["records"], &summary["failed"]), (&json!(3), &json!(7)), "{}", run.stderr);
    for (line, (_, said)) in run.stderr.lines().zip(BROKEN) {
        assert!(line.contains(said), "{said}: {line}");
    }
    let keys = place.text(["scan", "acme", "c", "--keys-only"]);
    assert_eq!(keys, ["1", "10", "9"].map(|key| format!("{{\"key\":\"{key}\"}}\n")).concat());
    assert_eq!(place.ok(["get", "acme", "c", "9"]).len(), (1 << 20) + 1);
}

#[test]
fn a_quote_that_is_not_closed_loses_no_row_silently() {
    let place = Place::with_tenant();
    place.write("in.csv", "id,body\n1,a\n2,\"b\n3,c\n4,d\n");
    let told = place.fails(11, ["import", "acme", "c", "in.csv", "--key-field", "id"]);
    assert!(
        told.contains("line 3 has a quote that is not closed") && told.contains("1 record before"),
        "{told}"
    );
}

#[test]
fn fields_that_no_row_has_and_options_that_do_not_fit_are_refused_before_anything_is_put() {
    let place = Place::with_tenant();
    place.write("in.csv", "id,body\n1,a\n");
    place.write("twice.csv", "id,id\n1,a\n");
    place.write("dir/file", "x");
    for (arguments, said) in [
        (&["acme", "c", "in.csv", "--key-field", "no"][..], "has no field 'no': its fields are id, body"),
        (&["acme", "c", "twice.csv"], "the line that names the fields names 'id' twice"),
        (&["acme", "c", "in.csv", "--tenant-field", "id"], "give '-' as the tenant"),
        (&["-", "c", "in.csv"], "give that option too"),
        (&["acme", "c", "dir", "--value-field", "x"], "a directory's files have no field 'x'"),
        (&["acme", "-", "in.csv"], "name a collection"),
        (&["acme", "c", "in.csv", "--index", "none=id"], "line 2 can't be put: "),
    ] {
        let told = place.fails(11, ["import"].iter().chain(arguments));
        assert!(told.contains(said), "{told}");
    }
    assert_eq!(place.json(["--json", "stats", "acme"])["tenants"][0]["records"], 0);
}

#[test]
fn a_unique_key_that_is_taken_is_said_with_where_its_batch_began() {
    let place = two_tenants();
    let lines: String =
        (1..=2_500).map(|number| format!("{{\"id\":{number},\"email\":\"{}\"}}\n", number % 2_000)).collect();
    place.write("in.jsonl", lines);
    let told =
        place.fails(14, ["import", "acme", "c", "in.jsonl", "--key-field", "id", "--index", "email=email"]);
    assert!(
        told.contains("in.jsonl: line 2001: a batch of 500 records from here on was not imported"),
        "{told}"
    );
    assert!(told.contains("of those before it 2,000 records are durable"), "{told}");
    assert_eq!(place.text(["count", "acme", "c"]), "2,000 records\n");
}
