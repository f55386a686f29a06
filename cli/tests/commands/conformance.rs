//! The scenarios that every language runs, by the program: see `tests/conformance/README.md`.

use serde_json::{Value, json};

use crate::program::{Place, Run};

/// What the exit status adds to the number of an error's kind.
const EXIT_STATUS_BASE: i32 = 10;
/// The kinds that scenarios name, with their numbers.
const KINDS: [(&str, i32); 9] = [
    ("InvalidArgument", 1),
    ("NotFound", 2),
    ("AlreadyExists", 3),
    ("Conflict", 4),
    ("Held", 6),
    ("LimitExceeded", 7),
    ("KeyUnavailable", 8),
    ("Unavailable", 10),
    ("Suspended", 11),
];

/// A text, or one repeated.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        repeated => {
            let times = repeated["times"].as_u64().unwrap();
            repeated["repeat"].as_str().unwrap().repeat(usize::try_from(times).unwrap())
        }
    }
}

/// What scenarios need and a program can't have: each of its runs is a process of its own.
const LACKING: [&str; 1] = ["sessions"];

/// What a step came to: a kind of error, or results under their names.
type CameTo = Result<Value, String>;

/// A list under its name.
fn json_of(name: &str, values: impl Iterator<Item = Value>) -> Value {
    json!({ name: values.collect::<Vec<_>>() })
}

struct World {
    place: Place,
    tenant: String,
    saved: serde_json::Map<String, Value>,
    /// Options that each run gets.
    options: Vec<String>,
    maintenance: Vec<String>,
}

impl World {
    fn new(has_second_key: bool) -> Self {
        let place = Place::with_tenant();
        let mut options = Vec::new();
        if has_second_key {
            place.ok(["key", "new-file", "second.key"]);
            options.push("--key-file=second=second.key".to_owned());
        }
        let (tenant, saved) = ("acme".to_owned(), serde_json::Map::new());
        Self { place, tenant, saved, options, maintenance: Vec::new() }
    }

    /// Runs the program; gives what it printed.
    fn run(&self, arguments: &[String]) -> Result<Vec<u8>, String> {
        let arguments = [&self.options, &self.maintenance, arguments].concat();
        let Run { status, stdout, stderr } = self.place.run(&arguments);
        if status == 0 {
            return Ok(stdout);
        }
        let kind = KINDS.iter().find(|(_, number)| status == EXIT_STATUS_BASE + number);
        Err(kind.unwrap_or_else(|| panic!("exit status {status}: {stderr}")).0.to_owned())
    }

    fn json(&self, arguments: &[String]) -> CameTo {
        let printed = self.run(&[&["--json".to_owned()], arguments].concat())?;
        Ok(if printed.is_empty() { Value::Null } else { serde_json::from_slice(&printed).unwrap() })
    }

    /// The lines of a scan or a search, each a record.
    fn records(&self, arguments: &[String]) -> Result<Vec<Value>, String> {
        let printed = self.run(arguments)?;
        let lines = std::str::from_utf8(&printed).unwrap().lines();
        Ok(lines.map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn step(&mut self, step: &Value) -> CameTo {
        let at = |name: &str| text(&step[name]);
        let arguments = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let tenant = self.tenant.clone();
        let nothing = |_| json!({});
        match step["do"].as_str().unwrap() {
            // Each run of the program opens the store and closes it.
            "reopen" => {
                "acme".clone_into(&mut self.tenant);
                self.maintenance = match step["maintenance"].as_str() {
                    None => Vec::new(),
                    Some("names") => arguments(&["--maintenance", "--names"]),
                    Some(_) => arguments(&["--maintenance"]),
                };
                Ok(json!({}))
            }
            "rewrap" => {
                let mut words = arguments(&["key", "rewrap", &tenant]);
                words.extend(step["to"].as_str().map(|to| format!("--to={to}")));
                self.run(&words).map(nothing)
            }
            "key_provider" => {
                let shown = self.json(&arguments(&["tenant", "show", &tenant]))?;
                Ok(json!({ "provider": shown["key_provider"] }))
            }
            "checkpoint" => self.run(&arguments(&["checkpoint"])).map(nothing),
            "sweep" => self.run(&arguments(&["sweep"])).map(nothing),
            "rewrite" => self.run(&arguments(&["rewrite", &tenant])).map(nothing),
            "verify" => {
                let report = self.json(&arguments(&["verify"]))?;
                let unopened = report["tenants"].as_array().unwrap().iter();
                let unopened: u64 = unopened.filter_map(|tenant| tenant["records_unopened"].as_u64()).sum();
                Ok(json!({ "good": report["good"], "unopened": unopened }))
            }
            "digests" => {
                let tenants = self.json(&arguments(&["tenant", "list"]))?;
                let collections = self.json(&arguments(&["collection", "list", &tenant]))?;
                let is_digest = |info: &&Value| info["name"].as_str().unwrap().starts_with('~');
                let count = |list: &Value| list.as_array().unwrap().iter().filter(is_digest).count();
                Ok(json!({ "tenants": count(&tenants), "collections": count(&collections) }))
            }
            "create_tenant" => {
                self.run(&arguments(&["tenant", "create", &at("name")]))?;
                self.tenant = at("name");
                Ok(json!({}))
            }
            "tenant" => {
                self.run(&arguments(&["tenant", "show", &at("name")]))?;
                self.tenant = at("name");
                Ok(json!({}))
            }
            "collections" => {
                let listed = self.json(&arguments(&["collection", "list", &tenant]))?;
                let names: Vec<_> = listed.as_array().unwrap().iter().map(|info| &info["name"]).collect();
                Ok(json!({ "names": names }))
            }
            "drop_collection" => {
                self.run(&arguments(&["collection", "drop", &tenant, &at("collection")])).map(nothing)
            }
            "rename_collection" => self
                .run(&arguments(&["collection", "rename", &tenant, &at("collection"), &at("to")]))
                .map(nothing),
            "rename_tenant" => {
                self.run(&arguments(&["tenant", "rename", &at("name"), &at("to")])).map(nothing)
            }
            what @ ("remove_tenant" | "erase_tenant") => {
                let what = what.trim_end_matches("_tenant");
                self.run(&arguments(&["tenant", what, "--yes", &at("name")])).map(nothing)
            }
            what @ ("suspend_tenant" | "resume_tenant" | "restore_tenant") => {
                let what = what.trim_end_matches("_tenant");
                self.run(&arguments(&["tenant", what, &at("name")])).map(nothing)
            }
            _ => self.step_within(step, &tenant),
        }
    }

    fn step_within(&mut self, step: &Value, tenant: &str) -> CameTo {
        let at = |name: &str| text(&step[name]);
        let arguments = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let nothing = |_| json!({});
        match step["do"].as_str().unwrap() {
            "hold" => {
                let mut words = arguments(&["hold", "place", tenant, &at("name")]);
                for (name, option) in
                    [("of", "collection"), ("prefix", "prefix"), ("key", "key"), ("subject", "subject")]
                {
                    words.extend(step[name].as_str().map(|text| format!("--{option}={text}")));
                }
                self.run(&words).map(nothing)
            }
            "release_hold" => {
                self.run(&arguments(&["hold", "release", "--yes", tenant, &at("name")])).map(nothing)
            }
            "holds" => {
                let listed = self.json(&arguments(&["hold", "list", tenant]))?;
                let names: Vec<_> = listed.as_array().unwrap().iter().map(|info| &info["name"]).collect();
                Ok(json!({ "names": names }))
            }
            "subjects" => {
                let listed = self.records(&arguments(&["--json", "subject", "list", tenant]))?;
                Ok(json_of("names", listed.iter().map(|line| line["subject"].clone())))
            }
            "subject_records" => {
                let listed = self.records(&arguments(&["subject", "list", tenant, &at("subject")]))?;
                Ok(json_of("records", listed.iter().map(|line| json!([line["collection"], line["key"]]))))
            }
            "erase_subject" => {
                match self.run(&arguments(&["subject", "erase", "--yes", tenant, &at("subject")])) {
                    Err(kind) if kind == "NotFound" => Ok(json!({ "existed": false })),
                    done => done.map(|_| json!({ "existed": true })),
                }
            }
            "scrub" => self.run(&arguments(&["scrub", tenant])).map(nothing),
            "receipts" => {
                let ledger = self.json(&arguments(&["ledger", tenant]))?;
                let entries = ledger["entries"].as_array().unwrap().iter();
                let states: Vec<_> = entries.filter_map(|entry| entry.get("state")).collect();
                Ok(json!({ "states": states }))
            }
            "policy" => {
                let shown = self.json(&arguments(&["policy", "show", tenant, &at("collection")]))?;
                let said = shown.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
                let said = said.map(|(name, value)| (name.clone(), value.clone()));
                Ok(json!({ "policy": said.collect::<serde_json::Map<_, _>>() }))
            }
            "set_policy" => {
                let mut words = arguments(&["policy", "set", tenant, &at("collection")]);
                for (name, value) in step["policy"].as_object().unwrap() {
                    let option = name.trim_end_matches("_ms").replace('_', "-");
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let unit = if name.ends_with("_ms") { "ms" } else { "" };
                    words.push(format!("--{option}={value}{unit}"));
                }
                self.run(&words).map(nothing)
            }
            _ => self.in_collection(step, tenant),
        }
    }

    fn in_collection(&mut self, step: &Value, tenant: &str) -> CameTo {
        let at = |name: &str| text(&step[name]);
        let collection = at("collection");
        let call = |command: &[&str], rest: &[String]| {
            let words = command.iter().copied().chain([tenant, collection.as_str()]);
            words.map(str::to_owned).chain(rest.iter().cloned()).collect::<Vec<_>>()
        };
        let mut options = Vec::new();
        if let Some(name) = step["if_version"].as_str() {
            options.push(format!("--if-version={}", self.saved[name].as_str().unwrap()));
        }
        Ok(match step["do"].as_str().unwrap() {
            "put" => {
                options.push(format!("--value={}", at("value")));
                options.extend((step["if_absent"] == true).then(|| "--if-absent".to_owned()));
                options.extend(step["subject"].as_str().map(|subject| format!("--subject={subject}")));
                for (index, key) in step["index"].as_object().into_iter().flatten() {
                    options.push(format!("--index={index}={}", text(key)));
                }
                let put = self.json(&call(&["put"], &[options, vec![at("key")]].concat()))?;
                if let Some(name) = step["save"].as_str() {
                    self.saved.insert(name.to_owned(), put["version"].clone());
                }
                json!({})
            }
            // What is not there is an error of the program's.
            "get" => match self.run(&call(&["get"], &[at("key")])) {
                Err(kind) if kind == "NotFound" => json!({ "value": null }),
                value => json!({ "value": String::from_utf8(value?).unwrap() }),
            },
            what @ ("erase" | "remove" | "restore") => {
                let command = if what == "erase" { &["erase", "--yes"][..] } else { &[what] };
                options.extend((step["receipt"] == true).then(|| "--receipt".to_owned()));
                match self.run(&call(command, &[options, vec![at("key")]].concat())) {
                    Err(kind) if kind == "NotFound" => json!({ "existed": false }),
                    done => {
                        done?;
                        json!({ "existed": true })
                    }
                }
            }
            "removed" => {
                let removed = self.records(&call(&["scan", "--removed"], &[]))?;
                json!({ "keys": removed.iter().map(|record| &record["key"]).collect::<Vec<_>>() })
            }
            "erase_prefix" => {
                let erased =
                    self.json(&call(&["erase", "--yes"], &[format!("--prefix={}", at("prefix"))]))?;
                json!({ "count": erased["erased"], "held": erased["held"] })
            }
            "count" => json!({ "count": self.json(&call(&["count"], &[]))?["records"] }),
            "declare_index" => {
                let kind = if step["unique"] == true { "--unique" } else { "--ordered" };
                self.run(&call(&["index", "declare"], &[at("index"), kind.to_owned()]))?;
                json!({})
            }
            "find" => {
                let found = self.records(&call(&["find"], &[at("index"), at("key")]))?;
                json!({ "keys": found.iter().map(|record| &record["key"]).collect::<Vec<_>>() })
            }
            "set_quota" => {
                let set =
                    ["quota", "set", tenant, "--collection", &collection, "--records"].map(str::to_owned);
                self.run(&[&set[..], &[step["records"].to_string()]].concat())?;
                json!({})
            }
            "scan" => {
                options.extend(step["prefix"].as_str().map(|prefix| format!("--prefix={prefix}")));
                options.extend((step["reverse"] == true).then(|| "--reverse".to_owned()));
                options.extend(step["limit"].as_u64().map(|limit| format!("--limit={limit}")));
                let records = self.records(&call(&["scan"], &options))?;
                let pairs = records.iter().map(|record| [&record["key"], &record["value"]]);
                json!({ "records": pairs.collect::<Vec<_>>() })
            }
            other => panic!("no step does {other}"),
        })
    }
}

#[test]
fn the_program_does_what_the_scenarios_say() {
    let scenarios: Value =
        serde_json::from_str(include_str!("../../../tests/conformance/scenarios.json")).unwrap();
    let mut lacked = Vec::new();
    for scenario in scenarios.as_array().unwrap() {
        let needs =
            |what: &str| scenario["needs"].as_array().is_some_and(|needs| needs.contains(&json!(what)));
        if let Some(lacking) = LACKING.into_iter().find(|lacking| needs(lacking)) {
            lacked.push(lacking);
            continue;
        }
        let mut world = World::new(needs("second key"));
        for step in scenario["steps"].as_array().unwrap() {
            let shown = format!("{}: {step}", scenario["name"]);
            match world.step(step) {
                Err(kind) => assert_eq!(step["error"], kind, "{shown}"),
                Ok(came_to) => {
                    assert!(step["error"].is_null(), "{shown}: it succeeded");
                    for (name, value) in came_to.as_object().unwrap() {
                        assert_eq!(&step[name], value, "{shown}");
                    }
                }
            }
        }
    }
    lacked.dedup();
    assert_eq!(lacked, LACKING, "what the program can not do, and no other scenario, is left out");
}
