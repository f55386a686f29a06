//! Records: puts, gets and scans, and the same in raw redb.

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use redb::{Database, ReadableDatabase, ReadableTable};
use strongroom::{Collection, Engine, ScanOptions};
use strongroom_benches::{COLLECTION, Commit, Load, RECORDS, Raw, Sealed, TENANT};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const ONE_KIB: Load = Load { records: 10_000, value_bytes: 1 << 10 };
const BATCH: usize = 1_000;
const SCAN: usize = 1_000;

/// Both stores, open, with the same records.
struct Pair {
    load: Load,
    keys: Vec<Vec<u8>>,
    value: Vec<u8>,
    engine: Engine,
    collection: Collection,
    raw: Database,
    _directories: (Sealed, Raw),
}

impl Pair {
    fn new(load: Load) -> Self {
        let directories = (Sealed::create(DIRECTORY, load), Raw::create(DIRECTORY, load));
        let engine = directories.0.open();
        let tenant = engine.tenant(TENANT).expect("the tenant opens");
        Self {
            load,
            keys: load.keys(),
            value: load.value(),
            collection: tenant.collection(COLLECTION).expect("the name is good"),
            engine,
            raw: directories.1.open(),
            _directories: directories,
        }
    }

    /// Reads everything once, so that the caches hold it.
    fn warm(self) -> Self {
        for key in &self.keys {
            assert!(self.collection.get(key).expect("reads").is_some() && Raw::get(&self.raw, key).is_some());
        }
        self
    }

    /// The key of the n-th access, then the next one.
    fn next_key(&self, n: &mut usize) -> &[u8] {
        *n += 1;
        &self.keys[self.load.scattered(*n)]
    }
}

fn put(criterion: &mut Criterion) {
    let pair = Pair::new(ONE_KIB);
    let mut group = criterion.benchmark_group("put_durable_1KiB");
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| pair.collection.put(pair.next_key(&mut n), &pair.value).expect("puts"));
    });
    for (name, commit) in [("redb_one_phase", Commit::OnePhase), ("redb_quick_repair", Commit::QuickRepair)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                Raw::put(&pair.raw, std::iter::once(pair.next_key(&mut n)), &pair.value, commit);
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("batch_1000x1KiB");
    group.throughput(Throughput::Elements(BATCH as u64)).sampling_mode(SamplingMode::Flat).sample_size(20);
    let tenant = pair.engine.tenant(TENANT).expect("is open");
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| {
            let written = tenant.write(|batch| {
                (0..BATCH).try_for_each(|_| batch.put(&pair.collection, pair.next_key(&mut n), &pair.value))
            });
            written.expect("writes")
        });
    });
    for (name, commit) in [("redb_one_phase", Commit::OnePhase), ("redb_quick_repair", Commit::QuickRepair)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let keys = (0..BATCH).map(|_| pair.next_key(&mut n));
                Raw::put(&pair.raw, keys, &pair.value, commit);
            });
        });
    }
    group.finish();
}

fn get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_warm");
    group.throughput(Throughput::Elements(1));
    for (name, load) in [
        ("128B", Load { records: 10_000, value_bytes: 128 }),
        ("1KiB", ONE_KIB),
        ("16KiB", Load { records: 1_000, value_bytes: 16 << 10 }),
    ] {
        let pair = Pair::new(load).warm();
        let mut n = 0;
        group.bench_function(BenchmarkId::new("strongroom", name), |bencher| {
            bencher.iter(|| pair.collection.get(pair.next_key(&mut n)).expect("reads"));
        });
        group.bench_function(BenchmarkId::new("redb", name), |bencher| {
            bencher.iter(|| Raw::get(&pair.raw, pair.next_key(&mut n)));
        });
    }
    group.finish();
}

fn find(criterion: &mut Criterion) {
    let mut pair = Pair::new(ONE_KIB).warm();
    let mut group = criterion.benchmark_group("contains");
    contains(&mut group, &pair);
    group.finish();

    pair.keys = pair.load.missing_keys();
    let mut group = criterion.benchmark_group("get_missing");
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| pair.collection.get(pair.next_key(&mut n)).expect("reads"));
    });
    group.bench_function("redb", |bencher| {
        bencher.iter(|| Raw::get(&pair.raw, pair.next_key(&mut n)));
    });
    group.finish();
}

fn contains(group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>, pair: &Pair) {
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| pair.collection.contains(pair.next_key(&mut n)).expect("reads"));
    });
    group.bench_function("redb", |bencher| {
        bencher.iter(|| Raw::contains(&pair.raw, pair.next_key(&mut n)));
    });
}

fn scan(criterion: &mut Criterion) {
    let pair = Pair::new(ONE_KIB).warm();
    for (name, keys_only) in [("scan_1000x1KiB", false), ("scan_1000_keys_only", true)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(SCAN as u64));
        group.bench_function("strongroom", |bencher| {
            bencher.iter(|| {
                let options = ScanOptions::new().limit(SCAN).keys_only(keys_only);
                for entry in pair.collection.scan_with(options).expect("scans") {
                    black_box(entry.expect("reads"));
                }
            });
        });
        group.bench_function("redb", |bencher| {
            bencher.iter(|| scan_raw(&pair.raw, keys_only));
        });
        group.finish();
    }
}

/// A caller that takes about a microsecond over each value.
fn scan_and_hash(criterion: &mut Criterion) {
    let pair = Pair::new(ONE_KIB).warm();
    let mut group = criterion.benchmark_group("scan_1000x1KiB_and_hash");
    group.throughput(Throughput::Elements(SCAN as u64));
    for (name, ahead) in [("strongroom", 0), ("strongroom ahead", 64)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let options = ScanOptions::new().limit(SCAN).open_ahead(ahead);
                for entry in pair.collection.scan_with(options).expect("scans") {
                    let value = entry.expect("reads").value.expect("was asked for");
                    // FNV-1a.
                    let hash = value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                    });
                    black_box(hash);
                }
            });
        });
    }
    group.finish();
}

/// Copies out what the engine gives: keys, and values unless they are not asked for.
fn scan_raw(db: &Database, keys_only: bool) {
    let table = db.begin_read().expect("begins").open_table(RECORDS).expect("opens the table");
    for row in table.iter().expect("scans").take(SCAN) {
        let (key, value) = row.expect("reads");
        black_box((key.value().to_vec(), (!keys_only).then(|| value.value().to_vec())));
    }
}

/// Of records that only the journal has, and of records half of which only it has.
fn in_memory(criterion: &mut Criterion) {
    let pair = Pair::new(ONE_KIB).warm();
    let tenant = pair.engine.tenant(TENANT).expect("is open");
    let fresh = tenant.collection("fresh").expect("the name is good");
    let put = |collection: &Collection, keys: &[Vec<u8>]| {
        for keys in keys.chunks(1_000) {
            let put =
                tenant.write(|batch| keys.iter().try_for_each(|key| batch.put(collection, key, &pair.value)));
            put.expect("puts");
        }
    };
    put(&fresh, &pair.keys);
    let mut group = criterion.benchmark_group("get_in_memory");
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("hit", |bencher| {
        bencher.iter(|| fresh.get(pair.next_key(&mut n)).expect("reads"));
    });
    let missing = pair.load.missing_keys();
    group.bench_function("miss", |bencher| {
        bencher.iter(|| {
            n += 1;
            fresh.get(&missing[pair.load.scattered(n)]).expect("reads")
        });
    });
    group.finish();

    // Between each two records of the file one that only memory has.
    put(&pair.collection, &missing);
    let mut group = criterion.benchmark_group("scan_merged_1000x1KiB");
    group.throughput(Throughput::Elements(SCAN as u64));
    for (name, reverse) in [("ascending", false), ("descending", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let options = ScanOptions::new().limit(SCAN).reverse(reverse);
                for entry in pair.collection.scan_with(options).expect("scans") {
                    black_box(entry.expect("reads"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, put, get, find, scan, scan_and_hash, in_memory);
criterion_main!(benches);
