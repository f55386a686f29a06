//! What expiry, sweeps and subjects cost: `cargo xtask bench retention`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::retention::{Retention, run};

/// Measures sweeps, puts that expire or have a subject, and a tenant of many subjects.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench retention")]
struct Arguments {
    /// Records among which sweeps look
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    records: usize,
    /// Records that are due
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    due: usize,
    /// Subjects of one tenant
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    subjects: usize,
    /// Durable puts of each sort in a round
    #[arg(long, default_value_t = 4_000, value_name = "N")]
    puts: usize,
    /// Threads that put
    #[arg(long, default_value_t = 8, value_name = "N")]
    threads: usize,
    /// Rounds of puts; the first one does not count
    #[arg(long, default_value_t = 9, value_name = "N")]
    rounds: usize,
    /// Where the log goes, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the stores are made; default: in the target folder
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { records, due, subjects, puts, threads, rounds, out, directory } = Arguments::parse();
    let Some(directory) = directory.or_else(strongroom_benches::directory_beside) else {
        eprintln!("there is no target folder: name a directory");
        return ExitCode::FAILURE;
    };
    let result = std::fs::create_dir_all(&directory).and_then(|()| {
        let retention = Retention { directory, records, due, subjects, puts, threads, rounds };
        let log = run(&retention, &mut |line| println!("{line}"));
        out.map_or(Ok(()), |out| std::fs::write(out, format!("{log:#}\n")))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
