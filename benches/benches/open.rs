//! Opening a store and a tenant, and creating a tenant; and what raw redb needs for the file beneath.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redb::Database;
use strongroom::{Engine, TenantOptions};
use strongroom_benches::{Commit, Load, Raw, Sealed, TENANT};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const FULL: Load = Load { records: 10_000, value_bytes: 1 << 10 };
const NOTHING: Load = Load { records: 1, value_bytes: 0 };

/// The store with one tenant, which stays closed: raw redb opens one file too, that of the catalog.
fn open_store(criterion: &mut Criterion) {
    let (sealed, raw) = (Sealed::create(DIRECTORY, FULL), Raw::create(DIRECTORY, NOTHING));
    let mut group = criterion.benchmark_group("open_store");
    group.throughput(Throughput::Elements(1)).sample_size(50);
    // What the routine gives is dropped, and so closed, outside of the measured time.
    group.bench_function("strongroom", |bencher| {
        bencher.iter_batched(
            || sealed.config(),
            |config| Engine::open(config).expect("opens"),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("redb", |bencher| {
        bencher.iter_batched(|| (), |()| raw.open(), BatchSize::PerIteration);
    });
    group.finish();
}

fn open_tenant(criterion: &mut Criterion) {
    let (sealed, raw) = (Sealed::create(DIRECTORY, FULL), Raw::create(DIRECTORY, FULL));
    let mut group = criterion.benchmark_group("open_tenant_10000x1KiB");
    group.throughput(Throughput::Elements(1)).sample_size(50);
    group.bench_function("strongroom", |bencher| {
        bencher.iter_batched(
            || sealed.open(),
            |engine| {
                let tenant = engine.tenant(TENANT).expect("opens");
                (engine, tenant)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("redb", |bencher| {
        bencher.iter_batched(|| (), |()| raw.open(), BatchSize::PerIteration);
    });
    group.finish();
}

/// A new tenant; in raw redb a new file with an empty table, committed.
fn create_tenant(criterion: &mut Criterion) {
    let (sealed, raw) = (Sealed::create(DIRECTORY, NOTHING), Raw::create(DIRECTORY, NOTHING));
    let mut group = criterion.benchmark_group("create_tenant");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let mut count = 0;
    group.bench_function("strongroom", |bencher| {
        bencher.iter_batched(
            || {
                count += 1;
                (sealed.open(), format!("tenant {count}"))
            },
            |(engine, name)| {
                let tenant = engine.create_tenant(&name, TenantOptions::new()).expect("creates");
                (engine, tenant)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("redb", |bencher| {
        bencher.iter_batched(
            || {
                count += 1;
                format!("{count}.redb")
            },
            |name| create_raw(&raw, &name),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn create_raw(raw: &Raw, name: &str) -> Database {
    let db = raw.create_file(name);
    Raw::put(&db, std::iter::empty(), &[], Commit::QuickRepair);
    db
}

criterion_group!(benches, open_store, open_tenant, create_tenant);
criterion_main!(benches);
