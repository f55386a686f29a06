//! Promise: what README.md shows of the library compiles and does what it says.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use strongroom::{Durability, Engine, PutOptions, ScanOptions, TenantOptions};
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn inside(name: &str) -> PathBuf {
    DIRECTORY.path().join(name)
}

// The README's paths are relative to wherever its reader stands: these two put them into a directory of the test.
struct Config;

impl Config {
    #[expect(clippy::new_ret_no_self, reason = "it stands in for the README's")]
    fn new(store: &str) -> strongroom::Config {
        strongroom::Config::new(inside(store))
    }
}

struct KeyFile;

impl KeyFile {
    fn at(path: &str) -> strongroom::KeyFile {
        strongroom::KeyFile::at(inside(path))
    }
}

/// Line by line the README's example, but for its comments.
#[rustfmt::skip]
fn example() -> strongroom::Result<()> {
    let config = Config::new("data").key_provider("default", KeyFile::at("data.root-key"));
    let engine = Engine::create(config)?;
    let acme = engine.create_tenant("acme", TenantOptions::new())?;
    let invoices = acme.collection("invoices")?;

    invoices.put(b"2026-001", b"12.50")?;
    let value = invoices.get(b"2026-001")?;
    for entry in invoices.scan_with(ScanOptions::new().prefix(b"2026-"))? {
        let entry = entry?;
        assert_eq!(entry.key, b"2026-001");
    }
    acme.write(|batch| batch.put(&invoices, b"2026-002", b"99.00"))?;

    let version = invoices.put_if_absent(b"2026-003", b"7.00")?;
    invoices.put_if_version(b"2026-003", b"8.00", version)?;

    let mut batch = acme.batch();
    batch.put(&invoices, b"2026-004", b"3.00")?;
    let submitted = acme.submit(batch)?;
    submitted.wait()?;

    let later = PutOptions::new().durability(Durability::Buffered);
    invoices.put_with(b"2026-005", b"1.00", later)?;
    engine.flush()?;
    engine.close()?;
    let engine = Engine::open(Config::new("data").key_provider("default", KeyFile::at("data.root-key")))?;
    let invoices = engine.tenant("acme")?.collection("invoices")?;
    for (key, value) in [(b"2026-003", b"8.00"), (b"2026-004", b"3.00"), (b"2026-005", b"1.00")] {
        assert_eq!(invoices.get(key)?.as_deref(), Some(&value[..]));
    }

    assert_eq!(value.as_deref(), Some(&b"12.50"[..]));
    assert_eq!(invoices.get(b"2026-002")?.as_deref(), Some(&b"99.00"[..]));
    Ok(())
}

#[test]
fn the_readmes_example_is_the_one_that_is_run() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let block = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let code = |line: &str| line.split("//").next().unwrap().trim().to_owned();
    let mut run = include_str!("readme.rs").lines().map(code);
    let shown: Vec<_> = block.lines().map(code).filter(|line| !line.is_empty()).collect();
    assert!(shown.len() > 10, "{shown:?}");
    for line in shown.iter().filter(|line| !line.starts_with("use strongroom::")) {
        assert!(run.any(|other| other == *line), "this test does not run `{line}`");
    }
    example().unwrap();
}
