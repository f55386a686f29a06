//! Many small tenants: `cargo xtask bench scale`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::scale::{Scale, run};

/// Creates many small tenants in one store and tells what they take.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench scale")]
struct Arguments {
    /// How many tenants
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    tenants: usize,
    /// Records of each, of 200 bytes
    #[arg(long, default_value_t = 10, value_name = "N")]
    records: usize,
    /// How many tenants stay open
    #[arg(long, default_value_t = 256, value_name = "N")]
    open: usize,
    /// Where the log goes, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the store is made; default: in the target folder
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { tenants, records, open, out, directory } = Arguments::parse();
    let Some(directory) = directory.or_else(strongroom_benches::directory_beside) else {
        eprintln!("there is no target folder: name a directory");
        return ExitCode::FAILURE;
    };
    let result = std::fs::create_dir_all(&directory).and_then(|()| {
        let log = run(&Scale { directory, tenants, records, open }, &mut |line| println!("{line}"));
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
