//! What is exported is what the header declares, what the map of symbol versions lists, and what is guarded against
//! panics; and the header says of each parameter what it is. What the linked library exports, `cargo xtask test --stage c`
//! looks at.

use std::collections::BTreeSet;
use std::path::Path;

/// Functions that only hand out constants.
const CONSTANT: [&str; 3] = ["strongroom_abi_version", "strongroom_release", "strongroom_status_name"];

/// One exported function, as it stands in the source.
struct Exported {
    name: String,
    docs: Vec<String>,
    parameters: Vec<String>,
    result: String,
    body: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "Disk is the engine's seam; these are the repository's own files"
)]
fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8(bytes).expect("sources are UTF-8")
}

fn exported() -> Vec<Exported> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = folder.read_dir().expect("the crate has sources").filter_map(Result::ok);
    files.flat_map(|file| functions_in(&read(file.path()))).collect()
}

/// The functions after each `#[unsafe(no_mangle)]`.
fn functions_in(source: &str) -> Vec<Exported> {
    let starts = source.match_indices("#[unsafe(no_mangle)]\n").map(|(start, _)| start);
    let function = |start: usize| {
        let (before, after) = source.split_at(start);
        let docs = before.lines().rev().take_while(|line| line.starts_with("///"));
        let docs: Vec<String> = docs.map(|line| line[3..].trim().to_owned()).collect();
        let (signature, rest) = after.split_once(" {\n").expect("a function has a body");
        let (_, signature) = signature.split_once("extern \"C\" fn ").expect("it is for C");
        let (name, signature) = signature.split_once('(').expect("it has parameters");
        let (parameters, result) = signature.rsplit_once(')').expect("they end");
        let parameters = parameters.split(',').filter_map(|parameter| parameter.split_once(':'));
        Exported {
            name: name.to_owned(),
            docs: docs.into_iter().rev().collect(),
            parameters: parameters.map(|(name, _)| name.trim().to_owned()).collect(),
            result: result.trim_start_matches(" -> ").to_owned(),
            body: rest.split_once("\n}\n").expect("it ends").0.to_owned(),
        }
    };
    starts.map(function).collect()
}

fn names(functions: &[Exported]) -> BTreeSet<String> {
    functions.iter().map(|function| function.name.clone()).collect()
}

#[test]
fn the_header_declares_what_is_exported() {
    let header = read("include/strongroom.h");
    let lines = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/']));
    let declared = lines.filter_map(|line| {
        let name = line[..line.find('(')?].rsplit([' ', '*']).next()?;
        name.starts_with("strongroom_").then(|| name.to_owned())
    });
    assert_eq!(declared.collect::<BTreeSet<_>>(), names(&exported()));
}

#[test]
fn the_map_of_versions_lists_what_is_exported() {
    let map = read("strongroom.map");
    let listed = map.lines().filter_map(|line| line.trim().strip_suffix(';'));
    let listed = listed.filter(|name| name.starts_with("strongroom_")).map(str::to_owned);
    assert_eq!(listed.collect::<BTreeSet<_>>(), names(&exported()));
}

#[test]
fn a_panic_can_leave_no_exported_function() {
    for function in exported() {
        let guarded = after_conversions(&function.body);
        let is_guarded = ["call(error, ", "guarded(", "unsafe { init("]
            .iter()
            .any(|guard| guarded.starts_with(guard) && end_of_expression(guarded).trim().is_empty());
        assert!(is_guarded || CONSTANT.contains(&function.name.as_str()), "{}", function.name);
    }
}

/// The body without what comes before the guard: it turns pointers into references, and does nothing else.
fn after_conversions(mut body: &str) -> &str {
    let conversions = ["unsafe {", "Callback::new(", "!", "provider.is_null();"];
    loop {
        body = body.trim_start();
        let value = body.strip_prefix("let ").and_then(|statement| statement.split_once('='));
        if body.starts_with("//") {
            body = body.split_once('\n').map_or("", |(_, rest)| rest);
        } else if value
            .is_some_and(|(_, value)| conversions.iter().any(|start| value.trim_start().starts_with(start)))
        {
            body = end_of_statement(body);
        } else {
            return body;
        }
    }
}

/// What follows the first `;` outside brackets.
fn end_of_statement(text: &str) -> &str {
    let mut depth = 0_i32;
    for (index, character) in text.char_indices() {
        match character {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ';' if depth == 0 => return &text[index + 1..],
            _ => {}
        }
    }
    ""
}

/// What follows the first pair of outer brackets, less a `;`.
fn end_of_expression(text: &str) -> &str {
    let mut depth = 0_i32;
    for (index, character) in text.char_indices() {
        match character {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return text[index + 1..].trim_start_matches(';');
                }
            }
            _ => {}
        }
    }
    text
}

#[test]
fn each_parameter_says_its_direction_and_each_pointer_whose_it_is() {
    for function in exported() {
        let name = &function.name;
        for parameter in &function.parameters {
            let says = |line: &&String| {
                let words: Vec<_> = line.split_whitespace().collect();
                line.starts_with("@param[") && words.get(1) == Some(&parameter.as_str())
            };
            let line = function.docs.iter().find(says);
            let line = line.unwrap_or_else(|| panic!("{name} does not say what `{parameter}` is"));
            let directions = ["@param[in]", "@param[out]", "@param[in,out]"];
            assert!(directions.iter().any(|direction| line.starts_with(direction)), "{name}: {line}");
        }
        let parameters = function.docs.iter().filter(|line| line.starts_with("@param")).count();
        assert_eq!(parameters, function.parameters.len(), "{name}");
        let says_result = function.docs.iter().any(|line| line.starts_with("@return"));
        assert_eq!(says_result, !function.result.is_empty(), "{name}");
    }
}

#[test]
fn each_pointer_to_an_object_is_owned_or_borrowed() {
    let objects = [
        "batch",
        "buffer",
        "collection",
        "config",
        "engine",
        "list",
        "page",
        "reader",
        "report",
        "scan",
        "session",
        "sink",
        "snapshot",
        "tenant",
        "upload",
    ];
    for function in exported() {
        for line in function.docs.iter().filter(|line| line.starts_with("@param")) {
            let mut words = line.split_whitespace().skip(1);
            let (parameter, owner) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if objects.contains(&parameter) || parameter == "error" {
                let owner = owner.trim_end_matches([':', ';', ',', '.']);
                assert!(owner == "owned" || owner == "borrowed", "{}: {line}", function.name);
            }
        }
    }
}

/// Functions that a binding does without: it has another way, or its language has no use for them.
const WITHOUT: [(&str, &[&str]); 3] = [
    ("cpp", &["strongroom_abi_version", "strongroom_has_feature"]),
    (
        "node",
        &[
            "strongroom_abi_version",
            // A collection is found by its name.
            "strongroom_collection_name",
            // A range from a key to the same key.
            "strongroom_collection_find",
            // Streams are uploads.
            "strongroom_collection_put_reader",
            "strongroom_config_to_toml",
            "strongroom_has_feature",
            "strongroom_release",
        ],
    ),
    (
        "python",
        &[
            "strongroom_abi_version",
            "strongroom_collection_name",
            "strongroom_config_to_toml",
            "strongroom_has_feature",
            // A class for each kind.
            "strongroom_status_name",
        ],
    ),
];

/// Structs are set up, and rows read, by names that are put together.
fn is_put_together(function: &str) -> bool {
    function.ends_with("_init") || function.starts_with("strongroom_list_get_")
}

#[test]
fn each_binding_has_each_function_or_says_why_not() {
    let bindings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings");
    for (binding, without) in WITHOUT {
        let folder = match binding {
            "cpp" => bindings.join("cpp"),
            "node" => bindings.join("node/src"),
            other => bindings.join(other).join("strongroom"),
        };
        let files = folder.read_dir().expect("the binding has sources").filter_map(Result::ok);
        let sources = files.map(|file| file.path()).filter(|path| {
            path.extension()
                .is_some_and(|extension| ["c", "h", "hpp", "py"].iter().any(|known| extension == *known))
        });
        let text: String = sources.map(read).collect();
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        for function in exported() {
            let name = function.name.as_str();
            let is_there = words.contains(name) || is_put_together(name);
            assert!(is_there != without.contains(&name) || is_put_together(name), "{binding}: {name}");
        }
    }
}
