//! Exit statuses, and how failures are said.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Place, Run};

#[test]
fn wrong_usage_is_status_2() {
    let place = Place::empty();
    let no_store = place.command(["tenant", "list"]).env_remove("STRONGROOM_STORE").output().unwrap();
    assert_eq!(no_store.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&no_store.stderr).contains("--store"));
    for arguments in [
        &["nonsense"][..],
        &[],
        &["put", "acme"],
        &["put", "a", "b", "c", "--value", "v", "--file", "f"],
        &["scan", "a", "b", "--limit", "-1"],
        &["init", "--region", "no-directory"],
        &["tenant", "accept-rollback"],
        &["import", "a", "b", "c", "--batch", "0"],
        &["--root-key", "a", "--passphrase-file", "b", "init"],
    ] {
        assert_eq!(place.run(arguments).status, 2, "{arguments:?}");
    }
    assert!(place.files().is_empty());
}

#[test]
fn each_failure_has_the_status_of_its_kind() {
    let place = Place::empty();
    place.fails(20, ["tenant", "list"]);
    assert!(place.files().is_empty(), "open makes nothing");
    place.ok(["init"]);
    place.fails(13, ["init"]);
    place.ok(["tenant", "create", "acme"]);
    place.fails(13, ["tenant", "create", "acme"]);
    place.fails(12, ["tenant", "show", "nobody"]);
    place.fails(12, ["get", "nobody", "c", "k"]);
    place.fails(12, ["get", "acme", "c", "k"]);
    place.fails(12, ["verify", "nobody"]);
    place.fails(12, ["stats", "nobody"]);
    place.fails(12, ["put", "acme", "c", "k", "--file", "absent"]);
    place.fails(17, ["put", "acme", "c", &"k".repeat(4_097), "--value", "v"]);
    fs::remove_file(place.path("data.root-key")).unwrap();
    place.fails(18, ["tenant", "list"]);
}

#[test]
fn a_region_given_twice_is_refused() {
    let place = Place::empty();
    place.fails(11, ["init", "--region", "eu=one", "--region", "eu=two"]);
    assert!(place.files().is_empty());
    place.ok(["init", "--region", "eu=one"]);
    place.fails(11, ["--moved-region", "eu=one", "--moved-region", "eu=two", "tenant", "list"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_init_that_fails_says_what_it_left_and_works_once_that_is_removed() {
    let place = Place::empty();
    // Nobody makes directories there, whoever the tests run as.
    let run = place.run(["--keys", "/proc/strongroom.keys", "init"]);
    assert!(run.status > 10 && run.stdout.is_empty());
    let remains = run.stderr.split("remove what this one left: ").nth(1).unwrap();
    assert_eq!(remains.trim_end(), "data.root-key, data");
    place.fails(13, ["init"]);
    fs::remove_file(place.path("data.root-key")).unwrap();
    fs::remove_dir_all(place.path("data")).unwrap();
    place.ok(["init"]);
}

#[test]
fn a_value_of_what_an_envelope_holds_is_stored_and_so_is_one_byte_more() {
    let place = Place::with_tenant();
    for value in [vec![7; 1 << 20], vec![8; (1 << 20) + 1]] {
        assert_eq!(place.run_with(["put", "acme", "c", "k"], &value).status, 0);
        assert!(place.ok(["get", "acme", "c", "k"]) == value);
    }
}

#[test]
fn with_json_a_failure_is_an_object_on_standard_error() {
    let place = Place::with_tenant();
    let run = place.run(["--json", "get", "acme", "c", "k"]);
    let error = &serde_json::from_str::<Value>(&run.stderr).unwrap()["error"];
    assert_eq!((run.status, run.stdout.len()), (12, 0));
    assert_eq!(
        (&error["kind"], &error["code"], &error["retryable"]),
        (&"NotFound".into(), &2.into(), &false.into())
    );
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
}

#[test]
fn a_store_that_another_process_has_open_is_busy_and_then_free() {
    let place = Place::with_tenant();
    let mut holder =
        place.command(["import", "acme", "c", "-", "--acks"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    let mut acks = BufReader::new(holder.stdout.take().unwrap());
    let mut ack = String::new();
    stdin.write_all(b"1\n").unwrap();
    acks.read_line(&mut ack).unwrap();
    assert_eq!(ack, "000000000001\n");
    // Its record is acknowledged, and the store is open for as long as there may be more.
    let run = place.run(["--json", "get", "acme", "c", "000000000001"]);
    let error = &serde_json::from_str::<Value>(&run.stderr).unwrap()["error"];
    assert_eq!((run.status, &error["retryable"]), (15, &true.into()));
    drop(stdin);
    assert_eq!(Run::of_child(holder).status, 0);
    assert_eq!(place.ok(["get", "acme", "c", "000000000001"]), b"1");
}

#[test]
fn an_acknowledged_record_survives_the_death_of_the_process() {
    let place = Place::with_tenant();
    let mut child =
        place.command(["import", "acme", "c", "-", "--acks"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut acks = BufReader::new(child.stdout.take().unwrap());
    for number in 1..=20 {
        writeln!(stdin, "{number}").unwrap();
        let mut ack = String::new();
        acks.read_line(&mut ack).unwrap();
        assert_eq!(ack, format!("{number:012}\n"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 20);
    place.ok(["verify"]);
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let place = Place::with_tenant();
    let lines: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    place.write("many.jsonl", &lines);
    place.ok(["import", "acme", "c", "many.jsonl"]);
    for (arguments, status) in [
        (&["scan", "acme", "c"][..], 0),
        (&["scan", "acme", "c", "--json"], 0),
        (&["import", "acme", "d", "many.jsonl", "--acks", "--batch", "1000"], 28),
    ] {
        let mut child = place.command(arguments).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let run = Run::of_child(child);
        assert_eq!((run.status, run.stderr.as_str()), (status, ""), "{arguments:?}");
    }
    place.ok(["verify"]);
}

#[test]
fn help_says_what_every_option_takes_and_what_it_is_without() {
    let place = Place::empty();
    for command in [
        "",
        "init",
        "put",
        "get",
        "scan",
        "import",
        "export",
        "verify",
        "stats",
        "checkpoint",
        "salvage",
        "tour",
    ] {
        let help = place.text(command.split_whitespace().chain(["--help"]));
        assert!(
            help.contains("[default: <store>.keys]") && help.contains("[default: <store>.root-key]"),
            "{help}"
        );
    }
    assert!(place.text(["--help"]).contains("18 KeyUnavailable"));
    assert!(place.text(["import", "--help"]).contains("1000, or 1 with --acks"));
    assert!(place.text(["--version"]).starts_with("strongroom "));
}
