//! Root keys and passphrases.

use std::fs;

use serde_json::Value;

use crate::program::Place;

fn with_passphrase(text: &str) -> Place {
    let place = Place::empty();
    secret(&place, "passphrase", text);
    place.ok(["--passphrase-file", "passphrase", "init"]);
    place.ok(["--passphrase-file", "passphrase", "tenant", "create", "acme"]);
    place.ok(["--passphrase-file", "passphrase", "put", "acme", "c", "k", "--value", "v"]);
    place
}

fn secret(place: &Place, name: &str, text: &str) {
    let path = place.write(name, text);
    set_mode(&path, 0o600);
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &std::path::Path, _: u32) {}

#[test]
fn a_passphrase_opens_the_store_with_or_without_a_line_ending() {
    let place = with_passphrase("correct horse battery\n");
    assert!(!place.path("data.root-key").exists());
    for text in ["correct horse battery", "correct horse battery\r\n"] {
        secret(&place, "again", text);
        assert_eq!(place.ok(["--passphrase-file", "again", "get", "acme", "c", "k"]), b"v");
    }
    secret(&place, "again", "correct horse battery\n\n");
    place.fails(18, ["--passphrase-file", "again", "get", "acme", "c", "k"]);
}

#[test]
fn a_wrong_passphrase_or_root_key_is_refused_and_changes_no_file() {
    let place = with_passphrase("right");
    secret(&place, "wrong", "wrong");
    let other = Place::with_tenant();
    fs::copy(other.path("data.root-key"), place.path("other.root-key")).unwrap();
    let before = place.files();
    for how in [["--passphrase-file", "wrong"], ["--root-key", "other.root-key"]] {
        for command in [&["get", "acme", "c", "k"][..], &["verify"], &["tenant", "create", "x"], &["stats"]] {
            place.fails(18, how.iter().chain(command));
        }
    }
    assert_eq!(place.files(), before);
    assert_eq!(place.ok(["--passphrase-file", "passphrase", "get", "acme", "c", "k"]), b"v");
}

#[test]
fn a_root_key_for_a_passphrase_or_the_other_way_round_is_told_apart() {
    let (with_passphrase, with_root_key) = (with_passphrase("right"), Place::with_tenant());
    fs::copy(with_root_key.path("data.root-key"), with_passphrase.path("data.root-key")).unwrap();
    let said = with_passphrase.fails(18, ["tenant", "list"]);
    assert!(said.contains("not wrapped with a key file"), "{said}");
    secret(&with_root_key, "passphrase", "right");
    let said = with_root_key.fails(18, ["--passphrase-file", "passphrase", "tenant", "list"]);
    assert!(said.contains("not wrapped under a passphrase"), "{said}");
}

#[test]
fn a_passphrase_file_that_holds_nothing_or_too_much_is_refused() {
    let place = Place::empty();
    for text in ["", "\n", "\r\n", &"x".repeat(4_097)] {
        secret(&place, "passphrase", text);
        place.fails(11, ["--passphrase-file", "passphrase", "init"]);
    }
    place.fails(18, ["--passphrase-file", "absent", "init"]);
    assert!(!place.path("data").exists());
}

#[cfg(unix)]
#[test]
fn secrets_that_everybody_can_read_are_refused() {
    let place = with_passphrase("right");
    set_mode(&place.path("passphrase"), 0o604);
    assert!(place.fails(18, ["--passphrase-file", "passphrase", "get", "acme", "c", "k"]).contains("0604"));
    set_mode(&place.path("passphrase"), 0o640);
    assert_eq!(place.ok(["--passphrase-file", "passphrase", "get", "acme", "c", "k"]), b"v");
    let place = Place::with_tenant();
    set_mode(&place.path("data.root-key"), 0o644);
    assert!(place.fails(18, ["tenant", "list"]).contains("chmod"));
}

#[test]
fn a_root_key_and_a_key_store_can_be_elsewhere_but_not_in_the_store() {
    let place = Place::empty();
    place.fails(11, ["--keys", "data/keys", "init"]);
    place.fails(11, ["--root-key", "data/key", "init"]);
    assert!(place.files().is_empty());
    let elsewhere = ["--keys", "k", "--root-key", "r"];
    place.ok(elsewhere.iter().chain(&["init"]));
    assert!(place.path("k").is_dir() && place.path("r").is_file() && !place.path("data.keys").exists());
    place.ok(elsewhere.iter().chain(&["tenant", "list"]));
    place.fails(20, ["tenant", "list"]);
}

#[test]
fn a_store_named_with_a_slash_at_its_end_has_its_keys_beside_it() {
    let place = Place::empty();
    place.ok(["--store", "data/", "init"]);
    assert!(place.path("data.keys").is_dir() && place.path("data.root-key").is_file());
    place.ok(["tenant", "list"]);
}

#[test]
fn data_keys_are_listed_rotated_rekeyed_and_retired() {
    let place = Place::with_tenant();
    for index in 0..20 {
        place.ok(["put", "acme", "c", &format!("k{index}"), "--value", &format!("v{index}")]);
    }
    let list = || place.json(["--json", "key", "list", "acme"]);
    let states = |list: &Value| -> Vec<String> {
        let states = list.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned());
        states.collect()
    };
    let old = list()[0]["generation"].to_string();
    let new = place.json(["--json", "key", "rotate", "acme"])["generation"].to_string();
    assert_eq!(states(&list()), ["older", "current"]);
    place.fails(14, ["key", "retire", "acme", &old]);
    place.fails(14, ["key", "retire", "acme", &new]);
    place.fails(12, ["key", "retire", "acme", "1"]);
    let some = place.json(["--json", "key", "rekey", "acme", "--records", "5", "--rate", "100000"]);
    assert_eq!((&some["resealed"], &some["complete"]), (&Value::from(5), &Value::from(false)));
    let few = ["--json", "key", "rekey", "acme", "--bytes", "4", "--byte-rate", "1000000"];
    let few = place.json(few);
    assert_eq!((&few["resealed"], &few["bytes"]), (&Value::from(2), &Value::from(6)));
    let rest = place.json(["--json", "key", "rekey", "acme"]);
    assert_eq!((&rest["resealed"], &rest["complete"]), (&Value::from(13), &Value::from(true)));
    place.ok(["key", "retire", "acme", &old]);
    assert_eq!(states(&list()), ["destroyed", "current"]);
    assert_eq!(place.ok(["get", "acme", "c", "k7"]), b"v7");
    assert!(place.text(["key", "list", "acme"]).contains("0 days old"));
    place.ok(["verify"]);
}

#[test]
fn a_tenant_gets_new_section_keys_and_keeps_its_records() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v", "--subject", "s", "--ttl", "30d"]);
    let keyring = |place: &Place| {
        let files = std::fs::read_dir(place.path("data.keys")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|end| end == "keyring")).collect();
        found.sort();
        found.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let before = keyring(&place);
    place.ok(["key", "rewrap", "acme", "--new-sections"]);
    let after = keyring(&place);
    let same = before.iter().zip(&after).filter(|(before, after)| before == after).count();
    assert_eq!((before.len(), same), (2, 1), "the catalog's stays");
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"v");
    place.fails(12, ["key", "rewrap", "nobody", "--new-sections"]);
    place.ok(["verify"]);
}

#[test]
fn a_deadline_for_a_rekey_is_told_until_a_sweep_has_met_it() {
    let place = Place::with_tenant();
    for index in 0..20 {
        place.ok(["put", "acme", "c", &format!("k{index}"), "--value", "v"]);
    }
    let list = || place.json(["--json", "key", "list", "acme"]);
    let old = list()[0]["generation"].to_string();
    place.fails(14, ["key", "deadline", "acme", "--generation", &old, "--by", "2100-01-01"]);
    place.ok(["key", "rotate", "acme"]);
    place.fails(12, ["key", "deadline", "acme", "--generation", "1", "--by", "2100-01-01"]);
    place.ok(["key", "deadline", "acme", "--generation", &old, "--by", "2100-01-01"]);
    assert_eq!(
        (&list()[0]["rekey_by_ms"], &list()[0]["rekey_overdue"]),
        (&4_102_444_800_000_u64.into(), &false.into())
    );
    assert!(place.text(["key", "list", "acme"]).contains("to be unused by 2100-01-01T00:00:00"));
    place.ok(["key", "deadline", "acme", "--clear"]);
    assert!(list()[0]["rekey_by_ms"].is_null());
    place.ok(["key", "deadline", "acme", "--generation", &old, "--by", "2020-01-01T12:00:00Z"]);
    assert_eq!(list()[0]["rekey_overdue"], true);
    assert!(place.text(["key", "list", "acme"]).contains("OVERDUE since 2020-01-01T12:00:00"));
    place.fails(14, ["key", "retire", "acme", &old]);
    place.ok(["sweep"]);
    assert!(list()[0]["rekey_by_ms"].is_null(), "it is met");
    place.ok(["key", "retire", "acme", &old]);
    assert_eq!(place.ok(["get", "acme", "c", "k7"]), b"v");
}

#[test]
fn a_ledger_tells_what_was_destroyed_and_which_receipts_are_scrubbed() {
    let place = Place::with_tenant();
    for key in ["a", "b"] {
        place.ok(["put", "acme", "c", key, "--value", "v"]);
    }
    let ledger = || place.json(["--json", "ledger", "acme"]);
    let events = |ledger: &Value| -> Vec<String> {
        let entries = ledger["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
    };
    assert!(events(&ledger()).is_empty());
    let erased = place.json(["--json", "erase", "acme", "c", "a", "--yes", "--receipt"]);
    assert_eq!((&erased["erased"], &erased["receipt"]["number"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(ledger()["entries"][0]["state"], "erased");
    assert!(place.text(["ledger", "acme"]).contains("erased, to be scrubbed by"));
    let scrubbed = place.json(["--json", "scrub", "acme"]);
    assert_eq!(scrubbed["receipts_scrubbed"], 1);
    let told = ledger();
    assert_eq!(events(&told), ["receipt", "structure key destroyed", "scrubbed"]);
    assert_eq!((&told["entries"][0]["state"], &told["entries"][1]["slot"]), (&"scrubbed".into(), &1.into()));
    assert!(told["horizon"]["data_copies_ms"].as_u64() == told["horizon"]["key_copies_ms"].as_u64());
    assert_eq!(told["entries"][2]["mac"].as_str().unwrap().len(), 48);
    assert_eq!(place.ok(["get", "acme", "c", "b"]), b"v");

    // Cut off, it is rolled back; and verify says so.
    let name = format!("{}.ledger", told["tenant"].as_str().unwrap());
    let path = place.path("data.keys").join(name);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 128]).unwrap();
    place.fails(24, ["ledger", "acme"]);
    let verified = place.run(["verify"]);
    assert_eq!(verified.status, 23, "{}", verified.stderr);
    fs::write(&path, whole).unwrap();
    place.ok(["verify"]);
}

#[test]
fn a_tenants_keys_are_moved_to_a_root_key_of_its_own() {
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "globex"]);
    for tenant in ["acme", "globex"] {
        place.ok(["put", tenant, "c", "k", "--value", tenant]);
    }
    place.ok(["key", "new-file", "own.key"]);
    place.fails(13, ["key", "new-file", "own.key"]);
    place.fails(18, ["key", "rewrap", "acme", "--to", "own"]);
    let own = ["--key-file", "own=own.key"];
    place.ok(own.iter().chain(&["key", "rewrap", "acme", "--to", "own"]));
    place.fails(18, ["get", "acme", "c", "k"]);
    assert_eq!(place.ok(["get", "globex", "c", "k"]), b"globex");
    assert_eq!(place.ok(own.iter().chain(&["get", "acme", "c", "k"])), b"acme");
    place.ok(own.iter().chain(&["key", "rewrap", "acme"]));
    let moved = place.json(own.iter().chain(&["--json", "key", "rewrap", "--all", "--to", "own"]));
    assert_eq!((&moved["rewrapped"], &moved["provider"]), (&Value::from(2), &Value::from("own")));
    fs::rename(place.path("own.key"), place.path("data.root-key")).unwrap();
    place.ok(["--key-file", "own=data.root-key", "verify"]);
}
