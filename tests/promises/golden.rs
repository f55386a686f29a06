//! Promise: a store of every released format opens and reads. `tests/golden/v1` was written once, by format 1; its root
//! key is a test vector.
//!
//! `STRONGROOM_WRITE_GOLDEN=1` writes a store of the present format where none is: for a new format version only.
#![allow(clippy::disallowed_methods, reason = "golden files are real files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom::{Config, Engine, KeyFile, Passphrase, PutOptions, Result, TenantOptions};

type Records = BTreeMap<(String, String, Vec<u8>), (Vec<u8>, u64)>;

/// What a golden store holds: by tenant, collection and key, the value and when it was written.
fn expected() -> Records {
    let mut records = Records::new();
    for (tenant, collections) in [("acme", vec!["invoices", "schlüssel/../🦀"]), ("globex", vec!["files"])]
    {
        for collection in collections {
            for index in 0_u64..40 {
                let key = match index {
                    0 => vec![0],
                    1 => vec![0xff; 4_096],
                    _ => format!("{collection} {index}").into_bytes(),
                };
                let length = usize::try_from(index * index * 13).unwrap();
                let value =
                    format!("{tenant} {index} ").into_bytes().into_iter().cycle().take(length).collect();
                records.insert(
                    (tenant.to_owned(), collection.to_owned(), key),
                    (value, 1_700_000_000_000 + index),
                );
            }
        }
    }
    records
}

fn config(directory: &Path, provider: &str) -> Config {
    let config = Config::new(directory.join("store"));
    match provider {
        "key-file" => config.key_provider("default", KeyFile::at(directory.join("root-key.test-vector"))),
        _ => config.key_provider("default", Passphrase::new(*b"a passphrase for tests only")),
    }
}

fn golden(provider: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(provider)
}

fn write(directory: &Path, provider: &str) -> Result<()> {
    fs::create_dir_all(directory).unwrap();
    let engine = Engine::create(config(directory, provider))?;
    for name in ["acme", "globex"] {
        let tenant = engine.create_tenant(name, TenantOptions::new())?;
        for ((_, collection, key), (value, written_ms)) in
            expected().iter().filter(|((of, _, _), _)| of == name)
        {
            let options = PutOptions::new().written_ms(*written_ms);
            tenant.collection(collection)?.put_with(key, value, options)?;
        }
    }
    // A second structure key, and the tombstone of the first.
    engine.tenant("acme")?.rewrite(&mut |_, _| {})?;
    engine.close()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
}

fn opens(provider: &str) {
    if std::env::var_os("STRONGROOM_WRITE_GOLDEN").is_some() && !golden(provider).exists() {
        write(&golden(provider), provider).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    copy(&golden(provider), directory.path());
    let engine = Engine::open(config(directory.path(), provider)).unwrap();
    let mut found = Records::new();
    for info in engine.tenants().unwrap() {
        let tenant = engine.tenant(&info.name).unwrap();
        for collection in tenant.collections().unwrap() {
            for entry in tenant.collection(&collection.name).unwrap().scan::<&[u8]>(..).unwrap() {
                let entry = entry.unwrap();
                let place = (info.name.clone(), collection.name.clone(), entry.key);
                found.insert(place, (entry.value.unwrap().to_vec(), entry.info.written_ms));
            }
        }
    }
    assert_eq!(found.len(), 120);
    assert!(found == expected(), "a golden record reads differently");
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good() && report.unknown_files.is_empty(), "{report:#?}");
    engine.tenant("acme").unwrap().collection("new").unwrap().put(b"key", b"still writable").unwrap();
    engine.close().unwrap();
    Engine::open(config(directory.path(), provider)).unwrap();
}

#[test]
fn a_golden_store_of_format_1_with_a_key_file_opens_and_reads() {
    opens("key-file");
}

#[test]
fn a_golden_store_of_format_1_with_a_passphrase_opens_and_reads() {
    opens("passphrase");
}
