//! What expiry, sweeps and subjects cost.
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use strongroom::{Collection, Config, Engine, Erasure, KeyFile, PutOptions, Tenant, TenantOptions};

use crate::race::machine;
use crate::scale::allocated;

/// What is made and measured.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Where the stores are made.
    pub directory: PathBuf,
    /// Records among which nothing is due, then some.
    pub records: usize,
    /// How many of them are due.
    pub due: usize,
    /// Subjects of one tenant, each with a record.
    pub subjects: usize,
    /// Durable puts of each sort in a round.
    pub puts: usize,
    /// Threads that put.
    pub threads: usize,
    /// Rounds, in each of which every sort takes its turn.
    pub rounds: usize,
}

/// Records put in one batch.
const BATCH: usize = 1_000;
const DAY: Duration = Duration::from_hours(24);
const MEBI: f64 = 1_048_576.0;

/// Makes the stores, measures, removes them. Gives a log.
///
/// # Panics
/// Where anything fails.
#[must_use]
pub fn run(retention: &Retention, progress: &mut dyn FnMut(&str)) -> Value {
    let mut figures = Map::new();
    let mut tell = |name: &str, value: f64| {
        progress(&format!("{name}: {value:.2}"));
        figures.insert(name.to_owned(), json!(value));
    };
    sweeps(retention, &mut tell);
    periods(retention, &mut tell);
    puts(retention, &mut tell);
    subjects(retention, &mut tell);
    json!({
        "when": machine::now(),
        "commit": machine::commit(),
        "machine": machine::describe(&retention.directory),
        "records": retention.records,
        "due": retention.due,
        "subjects": retention.subjects,
        "puts": retention.puts,
        "threads": retention.threads,
        "rounds": retention.rounds,
        "figures": figures,
    })
}

/// A store with one tenant. Sweeps come only when they are asked for.
struct Home {
    directory: tempfile::TempDir,
    engine: Engine,
    tenant: Tenant,
    documents: Collection,
}

impl Home {
    fn new(directory: &Path) -> Self {
        Self::with_periods(directory, DAY)
    }

    fn with_periods(directory: &Path, period: Duration) -> Self {
        let directory = tempfile::tempdir_in(directory).expect("a directory is made");
        let engine =
            Engine::create(config(directory.path()).erasure_period(period)).expect("the store is created");
        let tenant = engine.create_tenant("acme", TenantOptions::new()).expect("a tenant is created");
        let documents = tenant.collection("documents").expect("is named");
        Self { directory, engine, tenant, documents }
    }

    fn fill(&self, count: usize, prefix: &str, options: impl Fn(usize) -> PutOptions) {
        let value = [7; 200];
        for first in (0..count).step_by(BATCH) {
            let put = self.tenant.write(|batch| {
                (first..count.min(first + BATCH)).try_for_each(|number| {
                    batch.put_with(&self.documents, format!("{prefix}-{number:09}"), value, options(number))
                })
            });
            put.expect("puts");
        }
    }
}

fn config(directory: &Path) -> Config {
    let key = KeyFile::at(directory.join("root-key"));
    let config = Config::new(directory.join("store")).key_provider("default", key);
    config.sweep_interval(365 * DAY).scrub_within(4 * 365 * DAY)
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn sweeps(retention: &Retention, tell: &mut dyn FnMut(&str, f64)) {
    let home = Home::new(&retention.directory);
    home.fill(retention.records, "later", |number| {
        // Over 300 periods.
        PutOptions::new().ttl(DAY * (30 + u32::try_from(number % 300).unwrap_or_default()))
    });
    home.tenant.checkpoint().expect("checkpoints");
    let nothing = (0..11).map(|_| {
        let begun = Instant::now();
        assert_eq!(home.engine.sweep_tenant("acme").expect("sweeps").records, 0);
        ms(begun)
    });
    tell("sweep of nothing due, ms", median(nothing.collect()));
    let mut rates = Vec::new();
    for _ in 0..3 {
        let due_ms = now_ms() - 1;
        home.fill(retention.due, "due", |_| PutOptions::new().expires_ms(due_ms));
        home.tenant.checkpoint().expect("checkpoints");
        // Warm: the records, which nobody is shown any more, are among those that were just written.
        let begun = Instant::now();
        let swept = home.engine.sweep_tenant("acme").expect("sweeps").records;
        rates.push(swept as f64 / begun.elapsed().as_secs_f64());
        assert_eq!(swept, retention.due as u64);
    }
    tell("sweep of what is due, records/s", median(rates));
    home.engine.close().expect("closes");
}

/// The period of which keys are destroyed: long enough that all is put and swept within one.
const PERIOD: Duration = Duration::from_secs(20);

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970");
    u64::try_from(now.as_millis()).expect("is before the year 500,000,000")
}

/// What it takes to destroy the key of a period that is over, whose records were swept before: of one record, and of many.
fn periods(retention: &Retention, tell: &mut dyn FnMut(&str, f64)) {
    let home = Home::with_periods(&retention.directory, PERIOD);
    let period_ms = u64::try_from(PERIOD.as_millis()).expect("is short");
    let until_the_next = || std::thread::sleep(Duration::from_millis(period_ms - now_ms() % period_ms + 5));
    for count in [1, retention.due] {
        until_the_next();
        let due_ms = now_ms() - 1;
        // What has expired already has the present period's key.
        home.fill(count, &format!("of-{count}"), |_| PutOptions::new().expires_ms(due_ms));
        let swept = home.engine.sweep_tenant("acme").expect("sweeps").records;
        assert_eq!(swept, count as u64);
        until_the_next();
        let before = home.tenant.ledger().expect("reads").len();
        let begun = Instant::now();
        home.engine.sweep_tenant("acme").expect("sweeps");
        tell(&format!("destruction of the key of a period of {count} records, ms"), ms(begun));
        assert_eq!(home.tenant.ledger().expect("reads").len(), before + 1, "one key was destroyed");
    }
    home.engine.close().expect("closes");
}

/// Sorts of puts, the first of which the others are compared with.
const SORTS: [&str; 5] =
    ["plain", "with a time to live", "of a known subject", "of a new subject", "with a key of its own"];

fn puts(retention: &Retention, tell: &mut dyn FnMut(&str, f64)) {
    let home = Home::new(&retention.directory);
    let Retention { puts, threads, rounds, .. } = retention;
    let mut ratios = [const { Vec::new() }; SORTS.len()];
    for round in 0..*rounds {
        let mut took = [0.0; SORTS.len()];
        // Whoever is first in one round is last in another.
        for turn in 0..SORTS.len() {
            let sort = (turn + round) % SORTS.len();
            let begun = Instant::now();
            std::thread::scope(|scope| {
                for thread in 0..*threads {
                    let documents = &home.documents;
                    scope.spawn(move || {
                        for put in 0..puts / threads {
                            let number = (round * threads + thread) * puts + put;
                            let options = match sort {
                                0 => PutOptions::new(),
                                1 => PutOptions::new()
                                    .ttl(DAY * (1 + u32::try_from(put % 100).unwrap_or_default())),
                                2 => PutOptions::new().subject(format!("known-{}", put % 1_000)),
                                3 => PutOptions::new().subject(format!("new-{number}")),
                                _ => PutOptions::new().erasure(Erasure::Record),
                            };
                            // Keys as scattered in every sort.
                            let scattered = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                            let key = format!("{scattered:016x}-{sort}");
                            documents.put_with(key, [7; 1_024], options).expect("puts");
                        }
                    });
                }
            });
            took[sort] = begun.elapsed().as_secs_f64();
            home.tenant.checkpoint().expect("checkpoints");
        }
        if round == 0 {
            // Its subjects were not known, its pools not filled.
            continue;
        }
        for (sort, ratios) in ratios.iter_mut().enumerate() {
            ratios.push(took[sort] / took[0]);
        }
        if round + 1 == *rounds {
            tell(
                "plain put of all threads, us",
                took[0] * 1e6 / f64::from(u32::try_from(*puts).unwrap_or(1)),
            );
        }
    }
    for (sort, ratios) in ratios.into_iter().enumerate().skip(1) {
        tell(&format!("put {}, times a plain one", SORTS[sort]), median(ratios));
    }
    home.engine.close().expect("closes");
}

#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn subjects(retention: &Retention, tell: &mut dyn FnMut(&str, f64)) {
    let count = retention.subjects;
    let home = Home::new(&retention.directory);
    let before = machine::memory_kib();
    let begun = Instant::now();
    home.fill(count, "record", |number| PutOptions::new().subject(format!("subject-{number:09}")));
    tell("put of a new subject in batches, us", ms(begun) * 1e3 / count as f64);
    home.tenant.checkpoint().expect("checkpoints");
    tell(
        "memory that subjects added, with the cache of pages, MiB",
        (machine::memory_kib() - before) / 1_024.0,
    );
    let Home { directory, engine, tenant, documents } = home;
    drop((tenant, documents));
    engine.close().expect("closes");
    let [data, keys] = ["store", "store.keys"].map(|part| allocated(&directory.path().join(part)) as f64);
    tell("data, MiB", data / MEBI);
    tell("key store, bytes a subject", keys / count as f64);
    let engine = Engine::open(config(directory.path())).expect("opens");
    let before = machine::memory_kib();
    let begun = Instant::now();
    let tenant = engine.tenant("acme").expect("opens");
    tell("opening the tenant, ms", ms(begun));
    tell("memory of the open tenant, MiB", (machine::memory_kib() - before) / 1_024.0);
    let documents = tenant.collection("documents").expect("is named");
    let some = || (0..count).step_by((count / 100).max(1));
    let begun = Instant::now();
    for number in some() {
        assert!(documents.get(format!("record-{number:09}")).expect("reads").is_some());
    }
    tell("get of a subject's record, cold, us", ms(begun) * 1e3 / some().count() as f64);
    let begun = Instant::now();
    for number in some() {
        assert!(tenant.erase_subject(&format!("subject-{number:09}")).expect("erases"));
    }
    tell("erasure of a subject, ms", ms(begun) / some().count() as f64);
    engine.close().expect("closes");
}
