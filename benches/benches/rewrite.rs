//! The rewrite and the verification of a tenant's file, and the same in raw redb.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use redb::{Database, ReadableDatabase, ReadableTable};
use strongroom_benches::{Load, RECORDS, Raw, Sealed, TENANT};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const LOAD: Load = Load { records: 10_000, value_bytes: 1 << 10 };

fn rewrite(criterion: &mut Criterion) {
    let (sealed, raw) = (Sealed::create(DIRECTORY, LOAD), Raw::create(DIRECTORY, LOAD));
    let mut group = criterion.benchmark_group("rewrite_10000x1KiB");
    group.throughput(Throughput::Elements(LOAD.records as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    let tenant = sealed.open().tenant(TENANT).expect("opens");
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| tenant.rewrite(&mut |_, _| {}).expect("rewrites"));
    });
    let old = raw.open();
    let mut count = 0;
    group.bench_function("redb", |bencher| {
        bencher.iter_batched(
            || {
                count += 1;
                raw.create_file(&format!("{count}.redb"))
            },
            |new| {
                copy(&old, &new);
                new
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Copies all rows in one durable commit, as a rewrite does.
fn copy(old: &Database, new: &Database) {
    let source = old.begin_read().expect("begins").open_table(RECORDS).expect("opens the table");
    let mut transaction = new.begin_write().expect("begins");
    transaction.set_quick_repair(true);
    let mut target = transaction.open_table(RECORDS).expect("opens the table");
    for row in source.iter().expect("scans") {
        let (key, value) = row.expect("reads");
        target.insert(key.value(), value.value()).expect("inserts");
    }
    drop(target);
    transaction.commit().expect("commits");
}

/// Every block, the tables and every record; in raw redb the checksums of all pages and every row.
fn verify(criterion: &mut Criterion) {
    let (sealed, raw) = (Sealed::create(DIRECTORY, LOAD), Raw::create(DIRECTORY, LOAD));
    let mut group = criterion.benchmark_group("verify_10000x1KiB");
    group.throughput(Throughput::Elements(LOAD.records as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    let engine = sealed.open();
    group.bench_function("strongroom", |bencher| {
        bencher.iter(|| {
            let report = engine.verify_tenant(TENANT, &mut |_| {}).expect("verifies");
            assert!(report.is_good());
        });
    });
    let mut db = raw.open();
    group.bench_function("redb", |bencher| {
        bencher.iter(|| {
            assert!(db.check_integrity().expect("checks"));
            let table = db.begin_read().expect("begins").open_table(RECORDS).expect("opens the table");
            for row in table.iter().expect("scans") {
                black_box(row.expect("reads").1.value().to_vec());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, rewrite, verify);
criterion_main!(benches);
