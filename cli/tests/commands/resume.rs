//! `import --progress`: what was stopped or killed goes on.

use std::fs;
use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::program::Place;

const ROWS: usize = 20_000;

/// Long, so that a pipe holds few of them.
fn key(number: usize) -> String {
    format!("{number:060}")
}

fn csv(rows: usize) -> String {
    let rows: String = (1..=rows).map(|number| format!("{},value {number}\n", key(number))).collect();
    format!("id,body\n{rows}")
}

fn progress(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.path("progress")).unwrap()).unwrap()
}

#[test]
fn an_import_that_is_killed_again_and_again_goes_on_and_ends_whole() {
    let place = Place::with_tenant();
    place.write("in.csv", csv(ROWS));
    let arguments = [
        "import",
        "acme",
        "c",
        "in.csv",
        "--key-field",
        "id",
        "--value-field",
        "body",
        "--progress",
        "progress",
    ];
    let mut reached = 0;
    for kill in 1..=5 {
        let mut child = place.command(arguments.iter().chain(&["--acks", "--batch", "100"])).spawn().unwrap();
        let acks = BufReader::new(child.stdout.take().unwrap());
        // So many that the file was written on the way.
        let acks: Vec<_> = acks.lines().take(1_500).map(Result::unwrap).collect();
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it had ended by itself");
        // It began where the last one is known to have been.
        assert_eq!(acks[0], key(reached + 1), "kill {kill}");
        let said = progress(&place);
        let rows = usize::try_from(said["rows"].as_u64().unwrap()).unwrap();
        assert!(said["is_done"] == false && rows >= reached + 1_000, "kill {kill}: {rows} after {reached}");
        // What it says is durable is there.
        let there = place.json(["--json", "count", "acme", "c"])["records"].as_u64().unwrap();
        assert!(there >= rows as u64, "kill {kill}: {there} there, {rows} said");
        reached = rows;
    }
    let summary = place.json(["--json"].iter().chain(&arguments));
    assert_eq!((&summary["skipped"], &summary["records"]), (&json!(reached), &json!(ROWS - reached)));
    assert_eq!(place.text(["count", "acme", "c"]), "20,000 records\n");
    for number in [1, reached, reached + 1, ROWS] {
        let value = place.text(["get", "acme", "c", &key(number)]);
        assert_eq!(value, format!("value {number}"));
    }
    assert_eq!((&progress(&place)["rows"], &progress(&place)["is_done"]), (&json!(ROWS), &json!(true)));
}

#[test]
fn after_a_bad_row_was_mended_an_import_goes_on_with_it() {
    let place = Place::with_tenant();
    let lines = |mended: &str| {
        (1..=3_000)
            .map(
                |number| {
                    if number == 2_500 { format!("{mended}\n") } else { format!("{{\"id\":{number}}}\n") }
                },
            )
            .collect::<String>()
    };
    place.write("in.jsonl", lines("{\"id\":"));
    let arguments = ["import", "acme", "c", "in.jsonl", "--key-field", "id", "--progress", "progress"];
    let told = place.fails(11, arguments);
    assert!(told.contains("line 2500") && told.contains("2,499 records before it were imported"), "{told}");
    assert_eq!(progress(&place)["rows"], 2_499);
    place.write("in.jsonl", lines("{\"id\": \"mended\"}"));
    assert_eq!(place.text(arguments), "Imported 501 records, 5.4 KiB. An earlier run did 2,499 rows.\n");
    assert_eq!(place.text(["count", "acme", "c"]), "3,000 records\n");
    // Once more there is nothing to do, and then only what came behind.
    assert_eq!(place.text(arguments), "Imported 0 records, 0 B. An earlier run did 3,000 rows.\n");
    place.write("in.jsonl", lines("{\"id\": \"mended\"}") + "{\"id\":\"new\"}\n");
    assert_eq!(place.text(arguments), "Imported 1 record, 12 B. An earlier run did 3,000 rows.\n");
}

#[test]
fn another_source_or_another_import_is_not_taken_for_the_one_that_goes_on() {
    let place = Place::with_tenant();
    place.write("in.csv", csv(10));
    let arguments = ["import", "acme", "c", "in.csv", "--key-field", "id", "--progress", "progress"];
    place.ok(arguments);
    place.write("in.csv", csv(10).replace("value 3", "value 4"));
    let told = place.fails(11, arguments);
    assert!(told.contains("is another than the one that --progress tells of"), "{told}");
    place.write("in.csv", csv(9));
    assert!(place.fails(11, arguments).contains("has fewer rows"));
    let other = ["import", "acme", "other", "in.csv", "--key-field", "id", "--progress", "progress"];
    assert!(place.fails(11, other).contains("tells of another import, which differs in collection:"));
    place.write("progress", "{}");
    assert!(place.fails(11, arguments).contains("no file that --progress made"));
    place.write("files/a", "A");
    let directory = ["import", "acme", "files", "files", "--progress", "other"];
    place.ok(directory);
    place.write("files/b", "B");
    assert_eq!(place.text(directory), "Imported 1 record, 1 B. An earlier run did 1 row.\n");
}
