//! The rules themselves, tested: sources that break them are found, sources that keep them are not.

use super::{LAYERS, violations};

/// Asserts that the rules find exactly one fault in a file, and that it says so.
#[track_caller]
fn assert_refused(file: &str, source: &str, why: &str) {
    let found = violations(file, source);
    assert!(
        found.len() == 1 && found[0].contains(why),
        "{file}: {source}\nfound: {found:?}\nexpected: {why}"
    );
}

#[track_caller]
fn assert_kept(file: &str, source: &str) {
    assert_eq!(violations(file, source), Vec::<String>::new(), "{file}: {source}");
}

#[test]
fn each_module_imports_itself_and_the_layers_below_and_nothing_else() {
    for (own, importers) in LAYERS.iter().enumerate() {
        for importer in *importers {
            for (layer, imported) in
                LAYERS.iter().enumerate().flat_map(|(n, l)| l.iter().map(move |m| (n, m)))
            {
                let file = format!("{importer}.rs");
                let source = format!("use crate::{imported}::Thing;");
                if layer < own || imported == importer {
                    assert_kept(&file, &source);
                } else {
                    assert_refused(&file, &source, "only layers below");
                }
            }
        }
    }
}

#[test]
fn upward_import_is_found_in_every_form() {
    let why = "keys (layer 2) imports partition (layer 4)";
    for source in [
        "use crate::partition::Partition;",
        "use crate::partition;",
        "use crate::partition as below;",
        "use crate::partition::*;",
        "use crate::{error::Error, partition::{self}};",
        "use crate::{crypto::{Key, seal}, error, partition::Partition};",
        "pub use crate::partition::Partition;",
        "use super::partition::Partition;",
        "use strongroom::partition::Partition;",
        "fn f() { crate::partition::open(); }",
        "fn f() { let _ = super::partition::OPEN; }",
        "fn f(p: &crate::partition::Partition) {}",
        "fn f() -> Vec<Option<crate::partition::Partition>> { Vec::new() }",
        "impl crate::partition::Open for X {}",
        "fn f<T: crate::partition::Open>() {}",
        "fn f(x: X) { if let crate::partition::X::A = x {} }",
        "fn f() { use crate::partition::open; }",
        "fn f() { crate::partition::open!(); }",
        "fn f() { assert_eq!(1, g(&[crate::partition::open()])); }",
        "fn f() { vec![Vec::<crate::partition::Partition>::new()]; }",
        "macro_rules! m { () => { $crate::partition::open() } }",
        "macro_rules! m { () => { use crate::{error::Error, partition::Partition}; } }",
        "#[derive(crate::partition::Derive)] struct X;",
        "#[crate::partition::attribute] struct X;",
        "mod tests { use super::super::partition::Partition; }",
        "mod tests { fn f() { crate::partition::open(); } }",
        "#[cfg(test)] mod tests { use crate::partition::Partition; }",
    ] {
        assert_refused("keys.rs", source, why);
    }
    assert_refused("keys/slots.rs", "use crate::partition::Partition;", why);
    assert_refused("keys/slots.rs", "use super::super::partition::Partition;", why);
    assert_refused("keys/slots/tests.rs", "use super::super::super::partition::Partition;", why);
}

#[test]
fn import_of_a_sibling_is_found() {
    assert_refused("disk.rs", "use crate::clock::Clock;", "disk (layer 1) imports clock (layer 1)");
    assert_refused("record/envelope.rs", "use crate::chunk::Chunk;", "record (layer 3) imports chunk");
    assert_refused(
        "retention.rs",
        "fn f() { crate::erasure::erase() }",
        "retention (layer 5) imports erasure",
    );
}

#[test]
fn import_through_the_root_is_found() {
    assert_refused("keys.rs", "use crate::Error;", "crate::Error, which is no module");
    assert_refused("keys.rs", "use crate::{Error};", "crate::Error, which is no module");
    assert_refused("keys.rs", "use super::Error;", "crate::Error, which is no module");
    assert_refused("keys.rs", "use crate as all;", "the whole crate");
    assert_refused("keys.rs", "use super::*;", "crate::*, which is no module");
    assert_refused(
        "engine.rs",
        "fn f() -> crate::Result<()> { Ok(()) }",
        "crate::Result, which is no module",
    );
}

#[test]
fn module_without_a_layer_is_found() {
    assert_refused("helpers.rs", "fn f() {}", "helpers is in no layer");
    assert_refused("helpers/a.rs", "fn f() {}", "helpers is in no layer");
    assert_refused("lib.rs", "mod error;\npub mod helpers;", "lib.rs:2: helpers is in no layer");
    assert_refused("disk.rs", "use crate::simulation::SimDisk;", "crate::simulation, which is no module");
    assert_refused("engine.rs", "use crate::helpers::help;", "crate::helpers, which is no module");
}

#[test]
fn crate_named_out_of_its_place_is_found() {
    for source in [
        "use redb::Database;",
        "use ::redb::Database;",
        "use redb;",
        "use redb as tree;",
        "use {redb::Database, std::io};",
        "extern crate redb;",
        "fn f(d: redb::Database) {}",
        "fn f() { println!(\"{}\", redb::VERSION); }",
        "macro_rules! m { () => { use redb::*; } }",
        "#[derive(redb::Derive)] struct X;",
    ] {
        assert_refused("record.rs", source, "redb is named only in partition and sealed_file");
        assert_refused("lib.rs", source, "redb is named only in partition and sealed_file");
        assert_kept("partition/tables.rs", source);
        assert_kept("sealed_file.rs", source);
    }
    for name in ["aes_gcm", "argon2", "getrandom", "hkdf", "hmac", "sha2", "subtle", "xaes_256_gcm"] {
        let source = format!("use {name}::X;");
        assert_refused("keys.rs", &source, "is named only in crypto");
        assert_kept("crypto/record.rs", &source);
    }
}

#[test]
fn crates_of_the_disk_are_found_elsewhere() {
    for name in ["memmap2", "rustix"] {
        let source = format!("use {name}::X;");
        assert_refused("keys.rs", &source, "is named only in disk");
        assert_kept("disk/real.rs", &source);
    }
}

#[test]
fn unsafe_is_found() {
    for source in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for X {}",
        "unsafe trait T {}",
        "unsafe extern \"C\" { fn f(); }",
        "type F = unsafe fn();",
        "#[unsafe(no_mangle)] fn f() {}",
        "macro_rules! m { () => { unsafe { g() } } }",
    ] {
        assert_refused("keys.rs", source, "no unsafe code");
        assert_refused("lib.rs", source, "no unsafe code");
        assert_refused("disk/real.rs", source, "no unsafe code");
        assert_kept("disk/map.rs", source);
    }
}

#[test]
fn code_from_another_file_is_found() {
    assert_refused("keys.rs", "#[path = \"../partition/tables.rs\"] mod tables;", "no #[path]");
    assert_refused("keys.rs", "include!(\"partition/tables.rs\");", "no #[path], no include!");
}

#[test]
fn source_that_does_not_parse_is_found() {
    assert_refused("keys.rs", "fn f( {", "does not parse");
}

#[test]
fn line_of_a_violation_is_told() {
    assert_refused("keys.rs", "//! Keys.\n\nuse crate::tenant::Tenant;\n", "keys.rs:3: ");
}

#[test]
fn sources_that_keep_the_rules_pass() {
    assert_kept("lib.rs", "mod error;\nmod engine;\npub use crate::engine::Engine;\npub use error::Error;");
    assert_kept("lib.rs", "pub mod simulation { pub use crate::disk::SimDisk; }");
    assert_kept(
        "keys.rs",
        "use crate::{crypto::{self, Key}, error::Error};\nuse std::io;\nuse zeroize::Zeroize;",
    );
    assert_kept(
        "keys.rs",
        "mod slots;\npub(crate) use slots::Slot;\npub(in crate::keys) fn f() { self::g() }",
    );
    assert_kept("keys.rs", "fn f(subtle: u8) -> u8 { let redb = subtle; redb }");
    assert_kept(
        "keys.rs",
        "//! Above: `crate::tenant`, which is not unsafe.\n// use redb::Database;\nfn f() {}",
    );
    assert_kept(
        "keys.rs",
        "#[allow(unsafe_code, reason = \"crate::tenant\")] fn f() { g(\"redb::Database\") }",
    );
    assert_kept(
        "keys/slots.rs",
        "use super::Keyring;\nuse crate::keys::Section;\nuse super::super::error::Error;",
    );
    assert_kept(
        "keys.rs",
        "#[cfg(test)] mod tests { use super::*; use super::Keyring; use crate::error::Error; }",
    );
}
