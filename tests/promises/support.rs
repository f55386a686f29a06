//! What the promises' tests share: a small store on a simulated disk, with seeded randomness and a standing clock.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::{Arc, Once};

use strongroom::simulation::{Disk, ManualClock, SeededEntropy, SimDisk};
use strongroom::{Config, Engine, Error, ErrorKind, KeyFile, Result, ScanOptions, Tenant, TenantOptions};

/// The store's directory on the simulated disk; its keys are in `/store.keys`.
pub(crate) const STORE: &str = "/store";
/// The root key's file.
pub(crate) const ROOT_KEY: &str = "/root-key";

/// A configuration over a simulated disk. The same seed gives the same ids, keys and nonces (wrapped section keys
/// apart, which providers seal with the operating system's randomness).
pub(crate) fn config(disk: &SimDisk, seed: u64) -> Config {
    config_on(&(Arc::new(disk.clone()) as Arc<dyn Disk>), seed)
}

/// [`config`] over any disk.
pub(crate) fn config_on(disk: &Arc<dyn Disk>, seed: u64) -> Config {
    Config::new(STORE)
        .key_provider("default", KeyFile::at(ROOT_KEY).on_disk(Arc::clone(disk)))
        .disk(Arc::clone(disk))
        .clock(Arc::new(ManualClock::at(1_700_000_000_000)))
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .cache_bytes(1 << 20)
}

/// The value that [`fill`] puts under a key: its length goes from 0 to some thousands of bytes.
pub(crate) fn value_of(tenant: &str, index: usize) -> Vec<u8> {
    let length = index * 37 % 1_500 + if index.is_multiple_of(7) { 6_000 } else { 0 };
    let text = format!("{tenant} record {index} ");
    let mut value = text.repeat(length.div_ceil(text.len())).into_bytes();
    value.truncate(length);
    value
}

/// The key of [`fill`]'s record.
pub(crate) fn key_of(index: usize) -> Vec<u8> {
    format!("key-{index:05}").into_bytes()
}

/// Puts records `0..count` into a tenant's collection `documents`, ten a batch.
pub(crate) fn fill(tenant: &Tenant, count: usize) -> Result<()> {
    fill_and(tenant, count, || Ok(()))
}

/// The same, and after each batch something else.
pub(crate) fn fill_and(tenant: &Tenant, count: usize, after_each: impl Fn() -> Result<()>) -> Result<()> {
    let documents = tenant.collection("documents")?;
    for first in (0..count).step_by(10) {
        tenant.write(|batch| {
            (first..count.min(first + 10))
                .try_for_each(|index| batch.put(&documents, key_of(index), value_of(tenant.name(), index)))
        })?;
        after_each()?;
    }
    Ok(())
}

/// Makes a store with tenants `acme` and `globex` of `count` records each, and closes it.
pub(crate) fn small_store(disk: &SimDisk, count: usize) -> Result<()> {
    let engine = Engine::create(config(disk, 1))?;
    for name in ["acme", "globex"] {
        fill(&engine.create_tenant(name, TenantOptions::new())?, count)?;
    }
    engine.checkpoint()?;
    engine.close()
}

/// What reading all of [`fill`]'s records gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Readings {
    /// Records that read back as they were put.
    pub(crate) right: usize,
    /// Records that gave an error.
    pub(crate) refused: usize,
    /// Records that gave nothing, or another value: never allowed.
    pub(crate) wrong: usize,
    /// The kinds of the errors.
    pub(crate) kinds: std::collections::BTreeSet<ErrorKind>,
}

/// Reads each of [`fill`]'s records by get.
pub(crate) fn read_all(tenant: &Tenant, count: usize) -> Readings {
    let mut readings = Readings::default();
    let documents = match tenant.collection("documents") {
        Ok(documents) => documents,
        Err(error) => {
            readings.refused = count;
            readings.kinds.insert(kind_of(&error));
            return readings;
        }
    };
    for index in 0..count {
        match documents.get(key_of(index)) {
            Ok(Some(value)) if *value == value_of(tenant.name(), index)[..] => readings.right += 1,
            Ok(_) => readings.wrong += 1,
            Err(error) => {
                readings.refused += 1;
                readings.kinds.insert(kind_of(&error));
            }
        }
    }
    readings
}

/// What an error, a report or the `Debug` of anything must never show (invariant 9): parts of the names, record keys
/// and values of [`small_store`], as text and as a list of bytes.
const SECRETS: [&str; 10] = [
    "acme",
    "globex",
    "documents",
    "key-0",
    "record 1",
    "record 2",
    "record 3",
    "97, 99, 109, 101",
    "107, 101, 121",
    "114, 101, 99, 111, 114, 100",
];

/// The secret of [`small_store`] that a text shows, if it shows one.
pub(crate) fn secret_in(text: &str) -> Option<&'static str> {
    SECRETS.into_iter().find(|secret| text.contains(secret))
}

/// An error's kind, after a look whether anything of the error shows a secret of [`small_store`].
#[track_caller]
pub(crate) fn kind_of(error: &Error) -> ErrorKind {
    let mut texts = vec![error.to_string(), format!("{error:?}"), format!("{error:#?}")];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        texts.extend([cause.to_string(), format!("{cause:?}")]);
        source = cause.source();
    }
    for text in texts {
        assert_eq!(secret_in(&text), None, "an error of kind {} shows a secret: {text}", error.kind());
    }
    error.kind()
}

/// The kind of the error that a call must give.
#[track_caller]
pub(crate) fn refusal<T: Debug>(result: Result<T>) -> ErrorKind {
    kind_of(&result.expect_err("the call must be refused"))
}

/// Reads all of [`fill`]'s records by a scan. A record that the scan passes over without an error is wrong; what lies
/// behind an error that ends the scan counts as refused.
pub(crate) fn scan_all(tenant: &Tenant, count: usize, reverse: bool) -> Readings {
    let mut readings = Readings::default();
    let scan = tenant
        .collection("documents")
        .and_then(|documents| documents.scan_with(ScanOptions::new().reverse(reverse)));
    let mut expected: Vec<_> = (0..count).collect();
    if !reverse {
        expected.reverse();
    }
    let mut ended_by_error = false;
    match scan {
        Err(error) => {
            ended_by_error = true;
            readings.kinds.insert(kind_of(&error));
        }
        Ok(scan) => {
            for entry in scan {
                let index = expected.pop();
                ended_by_error = entry.is_err();
                match (entry, index) {
                    (Ok(entry), Some(index))
                        if entry.key == key_of(index)
                            && entry.value.as_deref() == Some(&value_of(tenant.name(), index)[..]) =>
                    {
                        readings.right += 1;
                    }
                    (Ok(_), _) => readings.wrong += 1,
                    (Err(error), index) => {
                        readings.refused += usize::from(index.is_some());
                        readings.kinds.insert(kind_of(&error));
                    }
                }
            }
        }
    }
    if ended_by_error {
        readings.refused += expected.len()
    } else {
        readings.wrong += expected.len()
    }
    readings
}

thread_local! {
    static CAUGHT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Runs `call` and counts the panics under way in it, in this thread, that began in the engine or below it: the
/// engine catches them, so that only the hook sees them. They are not printed.
pub(crate) fn counting_panics<T>(call: impl FnOnce() -> T) -> (T, usize) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_a_test = panic.location().is_none_or(|place| place.file().contains("promises"));
            match CAUGHT.get() {
                Some(count) if !of_a_test => CAUGHT.set(Some(count + 1)),
                _ => before(panic),
            }
        }));
    });
    let outer = CAUGHT.replace(Some(0));
    let result = call();
    let caught = CAUGHT.replace(outer).unwrap_or_default();
    (result, caught)
}

/// Prints what a test counted, for the record of a run.
#[allow(clippy::print_stdout, reason = "the counts of a run belong into its output")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}
