//! The race against raw redb: `cargo xtask bench race`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::race::{Contest, Course, run, table};

/// Races Strongroom against raw redb on a real disk, turn and turn about.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench race")]
struct Arguments {
    /// How long each cell is measured; 60 for figures of a steady state
    #[arg(long, default_value_t = 5.0, value_name = "N")]
    seconds: f64,
    /// How often each contest is run
    #[arg(long, default_value_t = 3, value_name = "R")]
    rounds: usize,
    /// Where the log goes, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run only this contest; can be given several times
    #[arg(long = "only", value_name = "NAME", value_parser = contest)]
    only: Vec<Contest>,
    /// Memory for the pages of each file, of both systems
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    cache_mib: usize,
    /// From how many keys the puts choose; 0: every key is new
    #[arg(long, default_value_t = 0, value_name = "N")]
    keys: u64,
    /// How many tenants are many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    tenants: usize,
    /// Records of a bulk load
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    bulk_records: u64,
    /// Puts over which the bytes written to the device are counted
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    device_puts: u64,
    /// Where the stores are made; default: in the target folder
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

fn contest(name: &str) -> Result<Contest, String> {
    let names = Contest::ALL.map(Contest::name).join(", ");
    let found = Contest::ALL.into_iter().find(|contest| contest.name() == name);
    found.ok_or_else(|| format!("the contests are {names}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(directory) = arguments.directory.or_else(strongroom_benches::directory_beside) else {
        eprintln!("there is no target folder: name a directory");
        return ExitCode::FAILURE;
    };
    if let Err(error) = std::fs::create_dir_all(&directory) {
        eprintln!("{}: {error}", directory.display());
        return ExitCode::FAILURE;
    }
    let course = Course {
        directory,
        seconds: arguments.seconds.max(0.1),
        rounds: arguments.rounds.max(1),
        cache_bytes: arguments.cache_mib << 20,
        keys: arguments.keys,
        tenants: arguments.tenants.max(1),
        bulk_records: arguments.bulk_records,
        device_puts: arguments.device_puts.max(1),
        only: arguments.only,
    };
    let log = run(&course, &mut |line| eprintln!("{line}"));
    println!("{}", table(&log));
    let Some(out) = arguments.out else { return ExitCode::SUCCESS };
    match std::fs::write(&out, format!("{log:#}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}
