//! Many small tenants in one store: what each takes on the disk, and the engine in memory and time.
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};
use strongroom::{Config, Engine, KeyFile, TenantOptions};

use crate::race::machine;

/// What is made and measured.
#[derive(Clone, Debug)]
pub struct Scale {
    /// Where the store is made.
    pub directory: PathBuf,
    /// How many tenants.
    pub tenants: usize,
    /// Records of each, of 200 bytes.
    pub records: usize,
    /// How many tenants stay open.
    pub open: usize,
}

const MEBI: f64 = 1_048_576.0;

/// Makes the store, measures, removes it. Gives a log.
///
/// # Panics
/// Where anything fails.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
pub fn run(scale: &Scale, progress: &mut dyn FnMut(&str)) -> Value {
    let Scale { directory, tenants, records, open } = scale;
    let home = tempfile::tempdir_in(directory).expect("a directory is made");
    let config = || {
        let key = KeyFile::at(home.path().join("root-key"));
        Config::new(home.path().join("store")).key_provider("default", key).open_tenants(*open)
    };
    let mut figures = Map::new();
    let mut tell = |name: &str, value: f64| {
        progress(&format!("{name}: {value:.1}"));
        figures.insert(name.to_owned(), json!(value));
    };
    let micros = |begun: Instant, count: usize| begun.elapsed().as_secs_f64() * 1e6 / count.max(1) as f64;

    let engine = Engine::create(config()).expect("the store is created");
    let begun = Instant::now();
    for tenant in 0..*tenants {
        engine.create_tenant(&name(tenant), TenantOptions::new()).expect("a tenant is created");
    }
    tell("creation of a tenant, us", micros(begun, *tenants));
    let value = [7; 200];
    let begun = Instant::now();
    for tenant in 0..*tenants {
        let tenant = engine.tenant(&name(tenant)).expect("opens");
        let documents = tenant.collection("documents").expect("is named");
        let put = tenant
            .write(|batch| (0..*records).try_for_each(|record| batch.put(&documents, key(record), value)));
        put.expect("puts");
    }
    tell("opening a tenant and putting its records, us", micros(begun, *tenants));
    tell("resident memory, MiB", machine::memory_kib() / 1_024.0);
    let begun = Instant::now();
    engine.close().expect("closes");
    tell("closing the store, ms", micros(begun, 1) / 1e3);

    let begun = Instant::now();
    let engine = Engine::open(config()).expect("opens");
    tell("opening the store, ms", micros(begun, 1) / 1e3);
    let begun = Instant::now();
    let asked = (0..*tenants).step_by((*tenants / 1_000).max(1));
    let count = asked.clone().count();
    for tenant in asked {
        let documents =
            engine.tenant(&name(tenant)).expect("opens").collection("documents").expect("is named");
        let found = documents.get(key(0)).expect("reads");
        assert!(*records == 0 || found.is_some_and(|found| found[..] == value[..]));
    }
    tell("opening a tenant and getting a record, us", micros(begun, count));
    tell("resident memory after it, MiB", machine::memory_kib() / 1_024.0);
    let checkpointed = files(&home.path().join("store/tenants"));
    tell("tenants with a file", checkpointed as f64);
    let [data, keys] = ["store", "store.keys"].map(|part| allocated(&home.path().join(part)) as f64);
    tell("data, MiB", data / MEBI);
    tell("key store, MiB", keys / MEBI);
    tell("disk of a tenant, KiB", (data + keys) / 1_024.0 / *tenants as f64);
    engine.close().expect("closes");
    json!({
        "when": machine::now(),
        "commit": machine::commit(),
        "machine": machine::describe(directory),
        "tenants": tenants,
        "records_each": records,
        "open_at_most": open,
        "figures": figures,
    })
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant:06}")
}

fn key(record: usize) -> String {
    format!("record-{record:04}")
}

/// Entries below a directory that are files.
fn files(directory: &Path) -> usize {
    below(directory, &|_| 1)
}

/// Bytes that the files below a directory take on the disk.
pub(crate) fn allocated(directory: &Path) -> usize {
    below(directory, &|metadata| usize::try_from(metadata.blocks() * 512).unwrap_or(usize::MAX))
}

fn below(directory: &Path, count: &dyn Fn(&fs::Metadata) -> usize) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => below(&entry.path(), count),
        Ok(metadata) => count(&metadata),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
