//! What a leader does with changes, and what readers find in memory, apart from files and threads.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strongroom::simulation::{Frames, Rows};

/// A put of 1 KiB under a key of 28 bytes, as the journal has it.
const CHANGE: usize = 1_138;

fn changes(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| (0_u8..=250).cycle().skip(index % 250).take(CHANGE).collect()).collect()
}

fn frame(criterion: &mut Criterion) {
    let frames = Frames::default();
    let mut group = criterion.benchmark_group("frame");
    for count in [1, 32, 1_000] {
        let changes = changes(count);
        group.throughput(Throughput::Elements(count as u64));
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("seal", count), |bencher| {
            bencher.iter(|| {
                out.clear();
                frames.seal(&changes, &mut out);
            });
        });
        group.bench_function(BenchmarkId::new("open", count), |bencher| {
            bencher.iter(|| frames.open(black_box(&out)));
        });
    }
    group.finish();
}

/// Batches of one tenant's frame with 32 changes, and of 32 tenants' with one each.
fn batch(criterion: &mut Criterion) {
    let frames = Frames::default();
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(32));
    for tenants in [1, 32] {
        let sealed = |_| {
            let mut out = Vec::new();
            frames.seal(&changes(32 / tenants), &mut out);
            out
        };
        let sealed: Vec<_> = (0..tenants).map(sealed).collect();
        let mut buffer = Vec::new();
        group.bench_function(BenchmarkId::new("build", tenants), |bencher| {
            bencher.iter(|| buffer = frames.batch(&sealed, std::mem::take(&mut buffer)));
        });
        group.bench_function(BenchmarkId::new("parse", tenants), |bencher| {
            bencher.iter(|| frames.parse(black_box(&buffer)));
        });
    }
    group.finish();
}

/// Rows whose keys look random, in the order of their numbers.
fn rows(numbers: std::ops::Range<u64>) -> Vec<(Bytes, Bytes)> {
    let value = Bytes::from(vec![7; 1_086]);
    let row = |number: u64| {
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        (Bytes::from([&[1; 9][..], &scattered, &[9; 20]].concat()), value.clone())
    };
    numbers.map(row).collect()
}

fn memtable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memtable");
    group.throughput(Throughput::Elements(1));
    for count in [1_000, 40_000] {
        let (there, missing) = (rows(0..count), rows(count..2 * count));
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("insert", count), |bencher| {
            bencher.iter_batched(
                Rows::default,
                |mut table| {
                    there.chunks(32).for_each(|batch| table.insert(batch));
                    table
                },
                BatchSize::PerIteration,
            );
        });
        let mut table = Rows::default();
        table.insert(&there);
        group.throughput(Throughput::Elements(1));
        for (name, rows) in [("hit", &there), ("miss", &missing)] {
            let mut next = rows.iter().cycle();
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| next.next().map(|(row, _)| table.has(row)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, frame, batch, memtable);
criterion_main!(benches);
