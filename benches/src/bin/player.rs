//! The Rust player of `cargo xtask bench bindings`: does what a line of its input says and prints the nanoseconds that took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use strongroom::{Collection, Config, Durability, Engine, KeyFile, PutOptions, ScanOptions};
use strongroom_benches::bindings::{RECORDS, STRIDE, VALUE_BYTES};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("name a directory")?);
    let provider = KeyFile::at(directory.join("root-key"));
    let engine = Engine::create(Config::new(directory.join("data")).key_provider("default", provider))?;
    let tenant = engine.create_tenant("acme", strongroom::TenantOptions::new())?;
    let collection = tenant.collection("c")?;
    let keys: Vec<_> =
        (0..RECORDS).map(|n| format!("key-{:06}", n * STRIDE % RECORDS).into_bytes()).collect();
    let value = vec![b'v'; VALUE_BYTES];
    for chunk in keys.chunks(1_000) {
        tenant.write(|batch| chunk.iter().try_for_each(|key| batch.put(&collection, key, &value)))?;
    }
    engine.checkpoint()?;
    let buffered = PutOptions::new().durability(Durability::Buffered);
    let mut output = std::io::stdout();
    writeln!(output, "ready")?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split(' ').collect();
        let (from, count): (usize, usize) = (words[1].parse()?, words[2].parse()?);
        let nanos = play(words[0], &collection, &keys[from..from + count], &value, &buffered)?;
        writeln!(output, "{nanos}")?;
        output.flush()?;
    }
    engine.close()?;
    Ok(())
}

fn play(
    what: &str,
    collection: &Collection,
    keys: &[Vec<u8>],
    value: &[u8],
    buffered: &PutOptions,
) -> strongroom::Result<u128> {
    let begun = Instant::now();
    match what {
        "get" => {
            for key in keys {
                assert_eq!(black_box(collection.get(key)?).map(|value| value.len()), Some(VALUE_BYTES));
            }
        }
        "put" => {
            for key in keys {
                black_box(collection.put_with(key, value, buffered.clone())?);
            }
        }
        _ => {
            let mut bytes = 0;
            for entry in collection.scan_with(ScanOptions::new())? {
                bytes += entry?.value.map_or(0, |value| value.len());
            }
            assert_eq!(bytes, RECORDS * VALUE_BYTES);
        }
    }
    Ok(begun.elapsed().as_nanos())
}
