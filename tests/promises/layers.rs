//! Promise: the engine stays in layers. A module imports only from layers strictly below its own, storage
//! and cryptography crates are named only where they belong, and nothing is `unsafe` but the map of a file.
//!
//! The rules are here; [`names`] finds what a source file names. [`planted`] shows the rules bad
//! sources and sees that each is found, so that this promise can fail.

mod names;
mod planted;

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use names::{Name, names_in};

/// The modules of the engine, lowest layer first. Modules of one layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["crypto", "clock", "disk", "id", "limits"],
    &["keys"],
    &["sealed_file", "record", "chunk", "hold"],
    &["partition", "journal"],
    &["collection", "retention", "erasure"],
    &["tenant"],
    &["engine"],
];

/// Crates that only these modules may name. A crate that is not listed may be named anywhere.
const CRATES: &[(&str, &[&str])] = &[
    ("redb", &["partition", "sealed_file"]),
    ("memmap2", &["disk"]),
    ("rustix", &["disk"]),
    ("aead", &["crypto"]),
    ("aes_gcm", &["crypto"]),
    ("argon2", &["crypto"]),
    ("cipher", &["crypto"]),
    ("digest", &["crypto"]),
    ("getrandom", &["crypto"]),
    ("hkdf", &["crypto"]),
    ("hmac", &["crypto"]),
    ("sha2", &["crypto"]),
    ("subtle", &["crypto"]),
    ("xaes_256_gcm", &["crypto"]),
];

/// The one file that may say `unsafe`.
const UNSAFE: &str = "disk/map.rs";

fn engine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine")
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What a file, named by its path below `engine/src`, does against the rules, each with its line.
fn violations(file: &str, source: &str) -> Vec<String> {
    let modules = module_path(file);
    let names = match names_in(&modules, source) {
        Ok(names) => names,
        Err(error) => return vec![format!("{file}: does not parse: {error}")],
    };
    let mut violations = Vec::new();
    if let Some(module) = modules.first().filter(|module| layer_of(module).is_none()) {
        violations.push(format!("{file}: {module} is in no layer: give it one, here and in ARCHITECTURE.md"));
    }
    for (line, name) in names {
        let why = match &name {
            Name::Module(path) => why_not_module(modules.first(), path),
            Name::Crate(krate) => why_not_crate(modules.first(), krate),
            Name::Declared(module) => why_not_declared(&modules, module),
            Name::Unsafe => (file != UNSAFE).then(|| format!("there is no unsafe code outside {UNSAFE}")),
            Name::OtherFile => {
                Some("a module's file is found by its name: no #[path], no include!".to_owned())
            }
        };
        violations.extend(why.map(|why| format!("{file}:{line}: {why}")));
    }
    violations
}

/// `keys/slots.rs` is the module `keys::slots`; `lib.rs` is the root, which has no name.
fn module_path(file: &str) -> Vec<String> {
    let path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path == ["lib"] { Vec::new() } else { path }
}

/// The root (`importer` is `None`) joins the modules together, and may import any.
fn why_not_module(importer: Option<&String>, path: &[String]) -> Option<String> {
    let importer = importer?;
    let own = layer_of(importer)?;
    match path.first() {
        Some(module) if module == importer => None,
        Some(module) => match layer_of(module) {
            Some(layer) if layer < own => None,
            Some(layer) => Some(format!(
                "{importer} (layer {own}) imports {module} (layer {layer}): only layers below may be imported"
            )),
            None => Some(format!(
                "{importer} imports crate::{module}, which is no module: import from the one that defines it"
            )),
        },
        None => Some(format!("{importer} imports the whole crate")),
    }
}

fn why_not_crate(importer: Option<&String>, krate: &str) -> Option<String> {
    let (_, homes) = CRATES.iter().find(|(name, _)| *name == krate)?;
    if importer.is_some_and(|importer| homes.contains(&importer.as_str())) {
        return None;
    }
    Some(format!("{krate} is named only in {}", homes.join(" and ")))
}

/// The root declares only modules that have a layer; one written inside `lib.rs` is a part of the root.
fn why_not_declared(parents: &[String], module: &str) -> Option<String> {
    (parents.is_empty() && layer_of(module).is_none())
        .then(|| format!("{module} is in no layer: give it one, here and in ARCHITECTURE.md"))
}

#[test]
fn engine_modules_import_only_from_layers_below() {
    let sources = engine().join("src");
    let mut found = Vec::new();
    let mut imports = 0;
    for entry in WalkDir::new(&sources).sort_by_file_name() {
        let entry = entry.expect("the engine's sources can be listed");
        if entry.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let file = entry.path().strip_prefix(&sources).expect("below the folder that is walked");
        let file = file.to_str().expect("names of sources are UTF-8").replace('\\', "/");
        let source = fs::read_to_string(entry.path()).expect("sources are UTF-8 text");
        imports += source.matches("use crate::").count();
        found.extend(violations(&file, &source));
    }
    assert!(imports > 0, "no import seen: are the sources where this test looks?");
    assert!(found.is_empty(), "{} violations in engine/src:\n{}", found.len(), found.join("\n"));
}

/// A renamed dependency would hide from the list of crates.
#[test]
fn engine_renames_no_dependency() {
    let manifest = fs::read_to_string(engine().join("Cargo.toml")).expect("the engine has a manifest");
    let dense: String = manifest.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(!dense.contains("package="), "engine/Cargo.toml: `package =` renames a crate");
}
