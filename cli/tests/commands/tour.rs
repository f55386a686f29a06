//! `tour` on a small directory.

use std::fs;

use serde_json::Value;

use crate::program::Place;

/// A directory to tour, and one for the tour's own files.
fn place() -> Place {
    let place = Place::empty();
    for number in 0..40 {
        let text: String =
            (0..60).map(|line| format!("file {number}, line {line}: something to be found\n")).collect();
        place.write(&format!("in/directory/file-number-{number}.txt"), text);
    }
    place.write("in/binary", (0..=255).cycle().take(50_000).collect::<Vec<u8>>());
    place.write("in/empty file here", "");
    place.write("in/large", vec![0; (1 << 20) + 1]);
    place.write("in/target/built", "passed over");
    fs::create_dir(place.path("tmp")).unwrap();
    place
}

fn rows(place: &Place, arguments: &[&str]) -> (i32, Value, String) {
    let output = place
        .command(["--json", "tour"].iter().chain(arguments))
        .env("TMPDIR", place.path("tmp"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

#[test]
fn every_step_of_the_tour_happens_and_nothing_is_left() {
    let place = place();
    let (status, report, stderr) = rows(&place, &["in"]);
    assert_eq!((status, &report["passed"]), (0, &true.into()), "{report:#} {stderr}");
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 17, "{report:#}");
    let text = report.to_string();
    for promised in [
        "42 records",
        "1 file over 1 MiB, 1 folder",
        "84 of 84 equal both times",
        "none found",
        "refused: Unauthentic; the other tenant read 42 of 42",
        "refused: Unauthentic; the tenant that shares the journal read 20 of 20; the other tenant read 42 of 42",
        "refused: RolledBack, both tenants of it; the other tenant read 42 of 42",
        "refused (Unauthentic)",
        "refused: RolledBack",
        "refused: KeyMissing",
        "refused: KeyUnavailable",
        "found by verify",
        "Removed 42 records of one tenant",
        "42 of 42 equal again",
        "126 erased values not found, the other 126 of 126 equal; the erased tenant: KeyMissing",
        "refused: Held; a range left 42 records where they are",
    ] {
        assert!(text.contains(promised), "{promised}: {report:#}");
    }
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 0);
}

#[test]
fn the_table_is_printed_for_people_without_colours_in_a_pipe() {
    let place = place();
    let output = place.command(["tour", "in"]).env("TMPDIR", place.path("tmp")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("17 of 17 as promised, in ") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_single_small_file_is_toured_too() {
    let place = Place::empty();
    place.write("in/a", "x");
    fs::create_dir(place.path("tmp")).unwrap();
    let (status, report, stderr) = rows(&place, &["in"]);
    assert_eq!(status, 0, "{report:#} {stderr}");
}

#[test]
fn the_directory_can_be_kept_and_is_said() {
    let place = place();
    let (status, _, stderr) = rows(&place, &["in", "--keep"]);
    assert_eq!(status, 0);
    let kept = fs::read_dir(place.path("tmp")).unwrap().next().unwrap().unwrap().path();
    assert!(
        stderr.contains(kept.file_name().unwrap().to_str().unwrap()) && kept.join("store").is_dir(),
        "{stderr}"
    );
}

#[test]
fn a_directory_without_files_is_refused_and_nothing_is_left() {
    let place = Place::empty();
    fs::create_dir(place.path("empty")).unwrap();
    place.fails(11, ["tour", "empty"]);
    place.fails(12, ["tour", "absent"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_tour_removes_its_directory() {
    use std::io::{BufRead, BufReader};

    let place = place();
    let mut child = place.command(["tour", "in"]).env("TMPDIR", place.path("tmp")).spawn().unwrap();
    let mut first = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut first).unwrap();
    assert!(first.starts_with("Loading"), "{first}");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = child.wait().unwrap();
    // The tour may have ended before the signal came.
    assert!(matches!(status.code(), Some(130 | 0)), "{status}");
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 0);
}

#[test]
fn a_tour_without_a_place_for_its_files_fails() {
    let place = place();
    let output = place.command(["tour", "in"]).env("TMPDIR", place.path("absent")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(12), 0));
}
