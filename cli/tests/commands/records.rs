//! Stores, tenants and single records.

use std::fs;

use serde_json::{Value, json};

use crate::program::Place;

#[test]
fn a_record_comes_back_byte_for_byte_whichever_way_it_was_put() {
    let place = Place::with_tenant();
    let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let file = place.write("value", &bytes);
    assert!(place.ok(["put", "acme", "invoices", "text", "--value", "-12.50"]).is_empty());
    place.ok(["put", "acme", "invoices", "file", "--file", file.to_str().unwrap()]);
    let run = place.run_with(["put", "acme", "invoices", "stdin"], &bytes);
    assert_eq!((run.status, run.stderr.as_str(), run.stdout.len()), (0, "", 0));
    place.ok(["put", "acme", "invoices", "empty"]);
    assert_eq!(place.ok(["get", "acme", "invoices", "text"]), b"-12.50");
    assert_eq!(place.ok(["get", "acme", "invoices", "file"]), bytes);
    assert_eq!(place.ok(["--json", "get", "acme", "invoices", "stdin"]), bytes);
    assert_eq!(place.ok(["get", "acme", "invoices", "empty"]), b"");
    place.ok(["get", "acme", "invoices", "file", "--out", "out"]);
    assert_eq!(fs::read(place.path("out")).unwrap(), bytes);
}

#[test]
fn a_large_value_streams_from_and_to_files_and_pipes() {
    let place = Place::with_tenant();
    let bytes: Vec<u8> = (0_u32..900_000).flat_map(u32::to_le_bytes).collect();
    let file = place.write("value", &bytes);
    place.ok(["put", "acme", "c", "file", "--file", file.to_str().unwrap()]);
    assert_eq!(place.run_with(["put", "acme", "c", "stdin", "--if-absent"], &bytes).status, 0);
    assert_eq!(place.run_with(["put", "acme", "c", "stdin", "--if-absent"], &bytes).status, 14);
    for key in ["file", "stdin"] {
        assert!(place.ok(["get", "acme", "c", key]) == bytes);
        place.ok(["get", "acme", "c", key, "--out", key]);
        assert!(fs::read(place.path(key)).unwrap() == bytes);
    }
    let lines = place.text(["scan", "acme", "c"]);
    let line = |key: &str| format!("{{\"key\":\"{key}\",\"value_bytes\":3600000}}\n");
    assert_eq!(lines, line("file") + &line("stdin"));
    assert_eq!(place.json(["--json", "verify"])["good"], true);
}

#[test]
fn a_file_that_is_there_is_replaced_by_force_only_and_belongs_to_its_owner() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "new"]);
    let out = place.write("out", "old");
    place.fails(13, ["get", "acme", "c", "k", "--out", "out"]);
    assert_eq!(fs::read(&out).unwrap(), b"old");
    place.ok(["get", "acme", "c", "k", "--out", "out", "--force"]);
    assert_eq!(fs::read(&out).unwrap(), b"new");
    place.fails(11, ["get", "acme", "c", "k", "--out", "data", "--force"]);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&out).unwrap()) & 0o777, 0o600);
}

#[test]
fn a_put_over_a_record_replaces_it() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "one"]);
    place.ok(["put", "acme", "c", "k", "--value", "two"]);
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"two");
    assert_eq!(place.json(["--json", "stats", "acme"])["tenants"][0]["records"], 1);
}

#[test]
fn a_record_of_a_subject_reads_back() {
    let place = Place::with_tenant();
    for (key, subject) in [("a", "ann"), ("b", "bob"), ("c", "ann")] {
        place.ok(["put", "acme", "c", key, "--value", key, "--subject", subject]);
    }
    assert_eq!(place.text(["scan", "acme", "c"]).lines().count(), 3);
    assert_eq!(place.ok(["get", "acme", "c", "c"]), b"c");
    assert_eq!(place.run(["put", "acme", "c", "d", "--value", "d", "--subject", " ann"]).status, 11);
    place.ok(["verify"]);
}

#[test]
fn a_put_whose_condition_does_not_hold_is_a_conflict_and_changes_nothing() {
    let place = Place::with_tenant();
    let put = |value: &str, condition: &[&str]| {
        let arguments = ["--json", "put", "acme", "c", "k", "--value", value];
        place.run(arguments.iter().chain(condition))
    };
    let version_of = |run: &crate::program::Run| {
        let printed: Value = serde_json::from_slice(&run.stdout).unwrap();
        printed["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(put("no", &["--if-version", "1.1"]).status, 14);
    let first = put("one", &["--if-absent"]);
    assert_eq!(first.status, 0);
    assert_eq!(put("no", &["--if-absent"]).status, 14);
    let second = put("two", &["--if-version", &version_of(&first)]);
    assert_eq!((second.status, put("no", &["--if-version", &version_of(&first)]).status), (0, 14));
    // The version stays the record's when it goes from the journal into the tenant's file.
    place.ok(["checkpoint"]);
    assert_eq!(put("no", &["--if-absent"]).status, 14);
    let line = format!("{{\"key\":\"k\",\"value\":\"two\",\"version\":\"{}\"}}\n", version_of(&second));
    assert_eq!(place.text(["scan", "acme", "c", "--versions"]), line);
    assert_eq!(put("three", &["--if-version", &version_of(&second)]).status, 0);
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"three");
    for wrong in [&["--if-version", "1"][..], &["--if-version", "1.1", "--if-absent"]] {
        assert_eq!(put("no", wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn a_collection_is_read_page_by_page_and_counted() {
    let place = Place::with_tenant();
    for key in ["a1", "a2", "a3", "b1"] {
        place.ok(["put", "acme", "c", key, "--value", "v"]);
    }
    assert_eq!(place.text(["count", "acme", "c"]), "4 records\n");
    assert_eq!(place.json(["--json", "count", "acme", "c", "--prefix", "a"]), json!({"records": 3}));
    assert_eq!(place.text(["count", "acme", "none"]), "0 records\n");
    let page = ["scan", "acme", "c", "--prefix", "a", "--keys-only", "--limit", "2", "--cursor"];
    let first = place.text(page);
    let (lines, last) = first.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(lines, "{\"key\":\"a1\"}\n{\"key\":\"a2\"}");
    let last: Value = serde_json::from_str(last).unwrap();
    let cursor = last["cursor"].as_str().unwrap();
    place.ok(["checkpoint"]);
    let rest = page.iter().copied().chain(["--after", cursor]);
    assert_eq!(place.text(rest.clone()), "{\"key\":\"a3\"}\n", "the end has no cursor");
    place.fails(11, rest.clone().chain(["--reverse"]));
    place.fails(11, ["scan", "acme", "other", "--after", cursor]);
    assert_eq!(place.run(["scan", "acme", "c", "--after", "x"]).status, 2);
}

#[test]
fn collections_are_made_listed_renamed_and_dropped() {
    let place = Place::with_tenant();
    place.ok(["collection", "create", "acme", "empty"]);
    place.fails(13, ["collection", "create", "acme", "empty"]);
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    let listed = place.json(["--json", "collection", "list", "acme"]);
    assert_eq!((&listed[0]["name"], &listed[0]["records"]), (&json!("c"), &json!(1)));
    assert_eq!((&listed[1]["name"], &listed[1]["records"]), (&json!("empty"), &json!(0)));
    place.fails(13, ["collection", "rename", "acme", "c", "empty"]);
    place.ok(["collection", "rename", "acme", "c", "d"]);
    assert_eq!(place.ok(["get", "acme", "d", "k"]), b"v");
    place.ok(["collection", "drop", "acme", "d"]);
    place.fails(12, ["collection", "drop", "acme", "d"]);
    place.fails(12, ["get", "acme", "d", "k"]);
    assert!(place.text(["collection", "list", "acme"]).ends_with(" empty\n"));
    place.ok(["verify"]);
}

#[test]
fn records_are_found_by_secondary_keys() {
    let place = Place::with_tenant();
    place.fails(12, ["put", "acme", "people", "1", "--value", "v", "--index", "email=a@b"]);
    place.ok(["index", "declare", "acme", "people", "email", "--unique"]);
    place.ok(["index", "declare", "acme", "people", "city", "--ordered"]);
    place.fails(13, ["index", "declare", "acme", "people", "city", "--unique"]);
    assert_eq!(place.run(["index", "declare", "acme", "people", "x"]).status, 2);
    let put = |key: &str, email: &str, city: &str| {
        let (email, city) = (format!("email={email}"), format!("city={city}"));
        place.run(["put", "acme", "people", key, "--value", "v", "--index", &email, "--index", &city]).status
    };
    assert_eq!((put("1", "a@b", "Rome"), put("2", "c@d", "Rome"), put("3", "a@b", "Bern")), (0, 0, 14));
    let find = |arguments: &[&str]| place.text(["find", "acme", "people"].iter().chain(arguments));
    let line =
        |key: &str, index: &str| format!("{{\"key\":\"{key}\",\"value\":\"v\",\"index_key\":\"{index}\"}}\n");
    assert_eq!(find(&["email", "a@b"]), line("1", "a@b"));
    place.ok(["checkpoint"]);
    assert_eq!(find(&["city", "--from", "Ro", "--reverse"]), line("2", "Rome") + &line("1", "Rome"));
    assert_eq!(find(&["city", "--to", "Ro"]), "");
    assert_eq!(find(&["email", "--prefix", "c"]), line("2", "c@d"));
    let page = find(&["city", "Rome", "--limit", "1", "--cursor"]);
    let cursor: Value = serde_json::from_str(page.lines().last().unwrap()).unwrap();
    let cursor = cursor["cursor"].as_str().unwrap();
    let rest = place.text(["find", "acme", "people", "city", "--prefix", "R", "--after", cursor]);
    assert_eq!(rest, line("2", "Rome"));
    place.ok(["put", "acme", "people", "1", "--value", "{\"mail\":\"new@b\"}"]);
    assert_eq!((find(&["email", "a@b"]), put("3", "a@b", "Bern")), (String::new(), 0));
    place.ok(["index", "declare", "acme", "people", "mail", "--unique"]);
    place.fails(20, ["find", "acme", "people", "mail", "new@b"]);
    assert_eq!(
        place.json(["--json", "index", "build", "acme", "people", "mail", "--field", "mail"])["records"],
        1
    );
    assert!(find(&["mail", "new@b"]).contains("\"key\":\"1\""));
    let listed = place.json(["--json", "index", "list", "acme", "people"]);
    assert_eq!((&listed[0]["name"], &listed[0]["kind"]), (&json!("city"), &json!("ordered")));
    place.ok(["verify"]);
    place.ok(["checkpoint"]);
    place.ok(["verify"]);
    place.ok(["index", "drop", "acme", "people", "city"]);
    place.fails(12, ["find", "acme", "people", "city", "Rome"]);
}

#[test]
fn a_quota_refuses_what_exceeds_it() {
    let place = Place::with_tenant();
    assert_eq!(place.run(["quota", "set", "acme"]).status, 2);
    place.ok(["quota", "set", "acme", "--bytes", "100"]);
    place.ok(["quota", "set", "acme", "--collection", "c", "--records", "1"]);
    place.ok(["put", "acme", "c", "k", "--value", "12345"]);
    place.fails(17, ["put", "acme", "c", "l", "--value", "1"]);
    place.ok(["put", "acme", "c", "k", "--value", "123456789"]);
    place.fails(17, ["put", "acme", "d", "k", "--value", &"x".repeat(100)]);
    let shown = place.json(["--json", "quota", "show", "acme", "--collection", "c"]);
    assert_eq!(shown, json!({"records": 1, "records_max": 1, "bytes": 10, "bytes_max": null}));
    assert_eq!(place.text(["quota", "show", "acme"]), "records  1 of any number\nbytes    10 of 100\n");
    place.ok(["quota", "set", "acme", "--collection", "c", "--none"]);
    place.ok(["put", "acme", "c", "l", "--value", "1"]);
}

#[test]
fn binary_keys_go_in_and_out_as_base64() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "/wD+", "--key-base64", "--value", "binary"]);
    place.ok(["put", "acme", "c", "/wD+", "--value", "text"]);
    assert_eq!(place.ok(["get", "acme", "c", "/wD+", "--key-base64"]), b"binary");
    assert_eq!(place.ok(["get", "acme", "c", "/wD+"]), b"text");
    let lines = place.text(["scan", "acme", "c", "--prefix", "/w==", "--prefix-base64"]);
    assert_eq!(lines, "{\"key_base64\":\"/wD+\",\"value\":\"binary\"}\n");
    place.fails(11, ["get", "acme", "c", "not base64", "--key-base64"]);
}

#[test]
fn scan_gives_what_its_options_say() {
    let place = Place::with_tenant();
    for key in ["a1", "a2", "b1"] {
        place.ok(["put", "acme", "c", key, "--value", key]);
    }
    let file = place.write("binary", [0xff]);
    place.ok(["put", "acme", "c", "a3", "--file", file.to_str().unwrap()]);
    let keys = |options: &[&str]| -> Vec<String> {
        let arguments = ["scan", "acme", "c"].iter().chain(options);
        let lines = place.text(arguments);
        let key =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
        lines.lines().map(key).collect()
    };
    assert_eq!(keys(&[]), ["a1", "a2", "a3", "b1"]);
    assert_eq!(keys(&["--prefix", "a", "--reverse"]), ["a3", "a2", "a1"]);
    assert_eq!(keys(&["--limit", "2", "--reverse"]), ["b1", "a3"]);
    assert_eq!(keys(&["--limit", "0"]), [""; 0]);
    assert_eq!(place.text(["scan", "acme", "c", "--keys-only", "--limit", "1"]), "{\"key\":\"a1\"}\n");
    assert_eq!(
        place.text(["scan", "acme", "c", "--prefix", "a3"]),
        "{\"key\":\"a3\",\"value_base64\":\"/w==\"}\n"
    );
    assert_eq!(place.text(["scan", "acme", "none"]), "");
}

#[test]
fn names_that_look_like_paths_or_are_any_unicode_are_names() {
    let place = Place::empty();
    place.ok(["init"]);
    let names = ["../../escape", "a/b", "..", "C:\\x", "\u{65e5}\u{672c}", "\u{1f980} & co", "*"];
    for name in names {
        place.ok(["tenant", "create", name]);
        place.ok(["put", name, name, name, "--value", name]);
    }
    for name in names {
        assert_eq!(place.ok(["get", name, name, name]), name.as_bytes());
        assert_eq!(place.json(["--json", "tenant", "show", name])["collections"][0]["name"], name);
    }
    let inside = ["data", "data.keys", "data.root-key"].map(|name| place.path(name));
    for path in place.files().keys() {
        assert!(inside.iter().any(|inside| path.starts_with(inside)), "{}", path.display());
        assert!(!names.iter().any(|name| path.to_string_lossy().contains(name) && *name != ".."));
    }
    assert!(!place.path("../escape").exists() && !place.path("../../escape").exists());
}

#[test]
fn names_against_the_rules_are_refused() {
    let place = Place::with_tenant();
    let long = "x".repeat(10_000);
    for name in ["", " padded", "padded ", "line\nbreak", "\u{7f}", &long] {
        place.fails(11, ["tenant", "create", name]);
        place.fails(11, ["put", "acme", name, "k", "--value", "v"]);
    }
    place.fails(11, ["put", "acme", "c", "", "--value", "v"]);
    place.fails(17, ["put", "acme", "c", &"k".repeat(4_097), "--value", "v"]);
    assert_eq!(place.json(["--json", "stats", "acme"])["tenants"][0]["collections"], 0);
}

#[test]
fn tenants_are_listed_shown_and_counted() {
    let place = Place::empty();
    place.ok(["init"]);
    assert_eq!(place.json(["--json", "tenant", "list"]), json!([]));
    place.ok(["tenant", "create", "beta"]);
    let made = place.json(["--json", "tenant", "create", "alpha"]);
    place.ok(["put", "alpha", "c", "k", "--value", "v"]);
    let list = place.json(["--json", "tenant", "list"]);
    assert_eq!(list[0], made);
    assert_eq!((&list[0]["name"], &list[1]["name"]), (&json!("alpha"), &json!("beta")));
    assert_eq!(list[0]["region"], "default");
    assert!(
        place.text(["tenant", "list"]).lines().all(|line| line.contains("default") && line.contains('Z'))
    );
    let shown = place.json(["--json", "tenant", "show", "alpha"]);
    assert_eq!((&shown["id"], &shown["records"]), (&made["id"], &json!(1)));
    assert!(place.text(["tenant", "show", "alpha"]).contains(made["id"].as_str().unwrap()));
    let stats = place.json(["--json", "stats"]);
    let [alpha, beta] = [0, 1].map(|index| &stats["tenants"][index]);
    assert_eq!((&alpha["records"], &beta["records"]), (&json!(1), &json!(0)));
    assert!(alpha["journal_bytes"].as_u64() > Some(0) && alpha["key_store_bytes"].as_u64() > Some(4_096));
    assert_eq!((&alpha["file_bytes"], &beta["journal_bytes"]), (&json!(0), &json!(0)));
    assert_eq!(place.text(["stats", "alpha"]).lines().count(), 2);
}

#[test]
fn a_good_store_verifies_and_a_foreign_file_is_named() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    let foreign = place.write("data/foreign", "");
    let report = place.json(["--json", "verify"]);
    assert_eq!((&report["good"], &report["tenants"][1]["records"]), (&json!(true), &json!(1)));
    assert!(report["unknown_files"][0].as_str().unwrap().ends_with("foreign"));
    assert!(place.text(["verify"]).contains("foreign"));
    assert!(place.text(["verify", "acme"]).starts_with("good  acme"));
    assert!(foreign.exists());
}

#[test]
fn a_tenant_lives_in_its_region_and_moves_with_it() {
    let place = Place::empty();
    place.ok(["init", "--region", "eu=europe", "--region", "us=america"]);
    place.ok(["tenant", "create", "acme", "--region", "eu"]);
    place.ok(["put", "acme", "c", "k", "--value", "v"]);
    place.ok(["checkpoint"]);
    let file = place.tenant_file("acme", ".redb");
    let keyring = place.tenant_file("acme", ".keyring");
    assert!(file.starts_with(place.path("europe")) && keyring.starts_with(place.path("europe.keys")));
    for (from, to) in [("europe", "mars"), ("europe.keys", "mars.keys")] {
        fs::rename(place.path(from), place.path(to)).unwrap();
    }
    place.fails(20, ["get", "acme", "c", "k"]);
    assert_eq!(place.ok(["--moved-region", "eu=mars", "get", "acme", "c", "k"]), b"v");
    place.fails(12, ["tenant", "create", "other", "--region", "asia"]);
}

#[test]
fn what_is_erased_is_gone_and_nothing_else_is() {
    let place = Place::with_tenant();
    for key in ["a-1", "a-2", "b-1", "b-2"] {
        place.ok(["put", "acme", "c", key, "--value", key]);
    }
    place.fails(11, ["erase", "acme", "c", "a-1"]);
    assert_eq!(place.ok(["get", "acme", "c", "a-1"]), b"a-1", "nobody was there to say yes");
    assert_eq!(place.ok(["erase", "acme", "c", "a-1", "--yes"]), b"Erased 1 record.\n");
    place.fails(12, ["get", "acme", "c", "a-1"]);
    place.fails(12, ["erase", "acme", "c", "a-1", "--yes"]);
    place.fails(14, ["erase", "acme", "c", "a-2", "--if-version", "1.1", "--yes"]);
    assert_eq!(place.json(["--json", "erase", "acme", "c", "--prefix", "b-", "--yes"])["erased"], 2);
    let left = place.ok(["scan", "acme", "c", "--keys-only"]);
    assert_eq!(String::from_utf8(left).unwrap(), "{\"key\":\"a-2\"}\n");
    assert_eq!(place.json(["--json", "stats", "acme"])["tenants"][0]["records"], 1);
}

#[test]
fn a_policy_keeps_what_is_put_over_and_what_is_too_young_and_leaves_secrets_out_of_exports() {
    let place = Place::with_tenant();
    place.ok(["policy", "set", "acme", "kept", "--overwrite", "keep"]);
    for value in ["first", "second"] {
        place.ok(["put", "acme", "kept", "k", "--value", value]);
    }
    place.ok(["remove", "acme", "kept", "k"]);
    let removed = String::from_utf8(place.ok(["scan", "acme", "kept", "--removed"])).unwrap();
    assert_eq!(removed.lines().count(), 2);
    place.ok(["policy", "set", "acme", "young", "--minimum", "1h", "--secret", "true"]);
    place.ok(["put", "acme", "young", "k", "--value", "v"]);
    place.fails(16, ["put", "acme", "young", "k", "--value", "w"]);
    place.fails(16, ["remove", "acme", "young", "k"]);
    place.fails(16, ["erase", "acme", "young", "k", "--yes"]);
    place.fails(11, ["put", "acme", "young", "l", "--value", "w", "--ttl", "1m"]);
    place.fails(11, ["policy", "set", "acme", "--erased-within", "31d"]);
    let policy = place.json(["--json", "policy", "show", "acme", "young"]);
    assert_eq!((&policy["minimum_ms"], &policy["secret"]), (&json!(3_600_000), &json!(true)));
    place.ok(["put", "acme", "open", "k", "--value", "v"]);
    let exported = place.run(["export", "acme", "--out", "out.jsonl"]);
    assert!(exported.stdout.starts_with(b"Exported 1 record to out.jsonl."));
    assert_eq!((exported.status, exported.stderr.contains("Left out 1")), (0, true), "{}", exported.stderr);
    assert!(!std::fs::read_to_string(place.path("out.jsonl")).unwrap().contains("young"));
    place.fails(11, ["export", "acme", "--collection", "young", "--out", "secret.jsonl"]);
    assert!(!place.path("secret.jsonl").exists());
}

#[test]
fn what_is_removed_is_listed_and_comes_back() {
    let place = Place::with_tenant();
    place.ok(["index", "declare", "acme", "c", "email", "--unique"]);
    for key in ["a-1", "a-2", "b-1"] {
        place.ok(["put", "acme", "c", key, "--value", key, "--index", &format!("email={key}@x")]);
    }
    let version = place.json(["--json", "put", "acme", "c", "k", "--value", "first"])["version"].clone();
    let version = version.as_str().unwrap();
    let said = place.ok(["remove", "acme", "c", "a-1"]);
    assert_eq!(said, b"Removed 1 record: `scan --removed` lists what can be restored.\n");
    place.fails(12, ["get", "acme", "c", "a-1"]);
    place.fails(12, ["remove", "acme", "c", "a-1"]);
    place.fails(14, ["remove", "acme", "c", "k", "--if-version", "1.1"]);
    place.ok(["remove", "acme", "c", "k", "--if-version", version]);
    assert_eq!(place.json(["--json", "remove", "acme", "c", "--prefix", "b-"])["removed"], 1);
    let keys = |output: Vec<u8>| -> Vec<Value> {
        let lines = String::from_utf8(output).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let listed = keys(place.ok(["scan", "acme", "c", "--removed"]));
    let names: Vec<_> = listed.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert_eq!(names, ["a-1", "b-1", "k"]);
    assert_eq!((listed[2]["version"].as_str(), &listed[2]["value_bytes"]), (Some(version), &json!(5)));
    assert!(listed[0]["removed"].as_str() < listed[0]["erased_from"].as_str());
    let page = keys(place.ok(["scan", "acme", "c", "--removed", "--limit", "2", "--cursor"]));
    let cursor = page[2]["cursor"].as_str().unwrap();
    assert_eq!(keys(place.ok(["scan", "acme", "c", "--removed", "--after", cursor]))[0]["key"], "k");
    place.fails(11, ["scan", "acme", "c", "--after", cursor]);

    place.ok(["put", "acme", "c", "k", "--value", "second"]);
    place.fails(14, ["restore", "acme", "c", "k"]);
    place.ok(["remove", "acme", "c", "k"]);
    assert_eq!(place.ok(["restore", "acme", "c", "k", "--version", version]), b"Restored 1 record.\n");
    assert_eq!(place.ok(["get", "acme", "c", "k"]), b"first");
    place.fails(12, ["restore", "acme", "c", "k", "--version", version]);
    place.fails(12, ["restore", "acme", "c", "nothing"]);
    // Both keys are free; one has another's unique key by now.
    place.ok(["put", "acme", "c", "other", "--value", "v", "--index", "email=a-1@x"]);
    place.fails(14, ["restore", "acme", "c", "a-1"]);
    assert_eq!(place.json(["--json", "restore", "acme", "c", "--prefix", ""])["restored"], 1);
    assert_eq!(place.ok(["get", "acme", "c", "b-1"]), b"b-1");
    let left = keys(place.ok(["scan", "acme", "c", "--removed"]));
    assert_eq!(left.len(), 2, "{left:?}");
    place.ok(["erase", "acme", "c", "k", "--yes"]);
    place.ok(["erase", "acme", "c", "a-1", "--yes"]);
    assert!(place.ok(["scan", "acme", "c", "--removed"]).is_empty());

    place.ok(["tenant", "create", "globex", "--removal-window", "1ms"]);
    place.ok(["put", "globex", "c", "k", "--value", "v"]);
    place.ok(["remove", "globex", "c", "k"]);
    place.fails(12, ["restore", "globex", "c", "k"]);
    assert_eq!(place.json(["--json", "sweep"])["swept"], 1);
    assert_eq!(place.json(["--json", "policy", "show", "globex"])["removal_window_ms"], 1);
}

#[test]
fn a_record_expires_by_its_ttl_or_its_policy_and_is_swept() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "soon", "--value", "v", "--ttl", "1ms"]);
    place.ok(["put", "acme", "c", "later", "--value", "v", "--ttl", "1day"]);
    place.ok(["put", "acme", "c", "for-good", "--value", "v"]);
    place.fails(12, ["get", "acme", "c", "soon"]);
    assert_eq!(place.ok(["get", "acme", "c", "later"]), b"v");
    assert_eq!(place.json(["--json", "sweep"])["swept"], 1);
    assert_eq!(
        place.ok(["sweep", "acme"]),
        b"Erased 0 records that had expired, or were removed and their window was over.\n"
    );
    assert_eq!(place.run(["put", "acme", "c", "k", "--value", "v", "--ttl", "soon"]).status, 2);

    let mut policy = place.json(["--json", "policy", "set", "acme", "c", "--maximum", "1ms"]);
    let applied = policy.as_object_mut().unwrap().remove("applied").unwrap();
    assert_eq!((&applied["changed"], &applied["complete"]), (&json!(2), &json!(true)));
    assert_eq!((&policy["retention_ms"], &policy["maximum_ms"]), (&Value::Null, &json!(1)));
    place.ok(["put", "acme", "c", "soon", "--value", "v", "--ttl", "1day"]);
    place.fails(12, ["get", "acme", "c", "soon"]);
    assert_eq!(place.json(["--json", "policy", "show", "acme", "c"]), policy);
    place.ok(["tenant", "create", "globex", "--retention", "1h 30m"]);
    let shown = place.ok(["policy", "show", "globex"]);
    assert_eq!(
        String::from_utf8(shown).unwrap(),
        "retention       1h 30m\nmaximum         not set\nremoval window  not set\nminimum         not set\n\
         erased within   not set\noverwrite       not set\nsecret          not set\nerasure         not set\n\
         zero retention  not set\n"
    );
    place.ok(["policy", "set", "globex", "--zero-retention", "true"]);
    place.fails(11, ["put", "globex", "c", "k", "--value", "v"]);
    place.fails(11, ["clock", "confirm"]);
    place.ok(["clock", "confirm", "--yes"]);
}

#[test]
fn what_a_hold_covers_is_not_erased_until_it_is_released() {
    let place = Place::with_tenant();
    for key in ["a-1", "a-2", "b-1"] {
        place.ok(["put", "acme", "c", key, "--value", key, "--subject", "ada"]);
    }
    place.ok(["put", "acme", "c", "a-3", "--value", "v", "--ttl", "1ms"]);
    place.ok(["hold", "place", "acme", "case 17", "--collection", "c", "--prefix", "a-"]);
    place.ok(["hold", "place", "acme", "case 18", "--collection", "c", "--key", "/wA=", "--key-base64"]);
    place.fails(13, ["hold", "place", "acme", "case 17"]);
    place.fails(12, ["hold", "place", "acme", "case 19", "--collection", "absent"]);
    place.fails(16, ["erase", "acme", "c", "a-1", "--yes"]);
    place.fails(16, ["put", "acme", "c", "a-1", "--value", "other"]);
    place.fails(16, ["collection", "drop", "acme", "c"]);
    let erased = place.json(["--json", "erase", "acme", "c", "--prefix", "", "--yes"]);
    assert_eq!((&erased["erased"], &erased["held"]), (&json!(1), &json!(2)));
    assert_eq!(
        place.text(["sweep"]),
        "Erased 0 records that had expired, or were removed and their window was over. A hold keeps 1 other.\n"
    );
    let held = place.json(["--json", "hold", "list", "acme"]);
    assert_eq!(held[0]["covers"], json!({"collection": "c", "prefix": "a-"}));
    assert_eq!((&held[1]["name"], &held[1]["covers"]["key_base64"]), (&json!("case 18"), &json!("/wA=")));
    assert!(
        place.text(["hold", "list", "acme"]).contains("case 17  {\"collection\":\"c\",\"prefix\":\"a-\"}")
    );
    place.fails(11, ["hold", "release", "acme", "case 17"]);
    place.ok(["hold", "release", "acme", "case 17", "--yes"]);
    place.fails(12, ["hold", "release", "acme", "case 17", "--yes"]);
    assert_eq!(place.json(["--json", "sweep"])["swept"], 1);
    place.ok(["erase", "acme", "c", "a-1", "--yes"]);
    place.ok(["hold", "place", "acme", "all"]);
    place.ok(["hold", "place", "acme", "ada", "--subject", "ada"]);
    place.ok(["hold", "release", "acme", "all", "--yes"]);
    place.fails(16, ["erase", "acme", "c", "a-2", "--yes"]);
}

#[test]
fn what_is_stored_about_a_subject_is_listed_exported_and_erased() {
    let place = Place::with_tenant();
    for (collection, key, subject) in [("c", "a", "ada"), ("d", "b", "ada"), ("c", "x", "bob")] {
        place.ok(["put", "acme", collection, key, "--value", key, "--subject", subject]);
    }
    place.ok(["put", "acme", "c", "y", "--value", "of nobody"]);
    assert_eq!(place.ok(["subject", "list", "acme"]), b"ada\nbob\n");
    let bobs = place.ok(["subject", "list", "acme", "bob"]);
    let bobs: Value = serde_json::from_slice(&bobs).unwrap();
    assert_eq!(bobs, json!({"collection": "c", "key": "x", "value_bytes": 1}));
    let exported = place.json(["--json", "subject", "export", "acme", "ada", "--out", "ada.jsonl"]);
    assert_eq!(exported["records"], 2);
    place.fails(13, ["subject", "export", "acme", "ada", "--out", "ada.jsonl"]);
    place.ok(["tenant", "create", "globex"]);
    place.ok(["import", "globex", "-", "ada.jsonl"]);
    assert_eq!(place.ok(["get", "globex", "d", "b"]), b"b");
    place.fails(11, ["subject", "erase", "acme", "ada"]);
    place.ok(["hold", "place", "acme", "case 17", "--collection", "d"]);
    place.fails(16, ["subject", "erase", "acme", "ada", "--yes"]);
    assert_eq!(place.ok(["get", "acme", "c", "a"]), b"a");
    place.ok(["hold", "release", "acme", "case 17", "--yes"]);
    place.ok(["subject", "erase", "acme", "ada", "--yes"]);
    place.fails(12, ["subject", "erase", "acme", "ada", "--yes"]);
    place.fails(12, ["get", "acme", "c", "a"]);
    assert_eq!(place.ok(["scan", "acme", "c", "--keys-only"]), b"{\"key\":\"x\"}\n{\"key\":\"y\"}\n");
    assert_eq!(place.ok(["subject", "list", "acme"]), b"bob\n");
}

#[test]
fn a_policy_that_is_set_applies_to_what_is_there() {
    let place = Place::with_tenant();
    place.ok(["put", "acme", "c", "a", "--value", "of no time"]);
    place.ok(["put", "acme", "c", "b", "--value", "of an hour", "--ttl", "1h"]);
    place.ok(["put", "acme", "d", "a", "--value", "of another collection"]);
    place.ok(["policy", "set", "acme", "c", "--retention", "1ms"]);
    assert_eq!(place.ok(["scan", "acme", "c", "--keys-only"]), b"{\"key\":\"b\"}\n");
    assert_eq!(place.ok(["get", "acme", "d", "a"]), b"of another collection");
    place.ok(["policy", "set", "acme", "--maximum", "1ms"]);
    place.fails(12, ["get", "acme", "c", "b"]);
    place.fails(12, ["get", "acme", "d", "a"]);
    let report = place.json(["--json", "policy", "apply", "acme", "--rate", "10", "--records", "1"]);
    assert_eq!(report, json!({"records": 0, "changed": 0, "large": 0, "unreadable": 0, "complete": true}));
}
