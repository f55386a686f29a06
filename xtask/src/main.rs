//! The repository's chores, run as `cargo xtask ...`: everything that CI runs, and the long runs that it
//! does not.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

mod c;
mod command;
mod fuzz;
mod header;
mod library;
mod node;
mod platforms;
mod players;
mod processor;
mod python;
mod reader;
mod servers;
mod stage;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{Outcome, cargo, run};
use crate::stage::Stage;

/// The repository's chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run what CI runs: every stage, each timed, whatever became of the stages before it
    Test {
        /// Run only this stage; can be given several times
        #[arg(long = "stage", value_name = "NAME")]
        stages: Vec<Stage>,
        /// Print the names of the stages and run nothing
        #[arg(long)]
        list: bool,
    },
    /// Run the fuzz targets
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60, value_name = "N")]
        seconds: u32,
        /// Run only this target
        #[arg(long, value_name = "T")]
        target: Option<String>,
    },
    /// Run the long crash simulation
    Crash {
        /// How many power losses to simulate
        #[arg(long, default_value_t = 100_000, value_name = "N")]
        count: u64,
        /// The seed of the first one, to replay a run that failed
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
    },
    /// Run the benchmarks
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        which: Option<Bench>,
        /// Passed on, for example a filter
        #[arg(last = true, value_name = "ARGS")]
        passed_on: Vec<String>,
    },
    /// Make `ffi/include/strongroom.h` from the exported functions
    Header,
    /// Build the C library and install it: header, shared and static library, files for pkg-config and CMake
    Install {
        /// The folder below which `include` and `lib` are
        #[arg(long, value_name = "FOLDER")]
        prefix: PathBuf,
    },
    /// Ask the database of advisories whether a dependency has a known vulnerability
    ///
    /// Not a stage of `test`: it fetches the database (RUSTSEC) from GitHub, so it needs a network that reaches it,
    /// and its answer changes from day to day while the commit stays the same.
    Advisories,
}

#[derive(Subcommand)]
enum Bench {
    /// Race the engine against raw redb on a real disk; `race --help` tells its options
    #[command(disable_help_flag = true)]
    Race {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        passed_on: Vec<String>,
    },
    /// Measure what the bindings cost beyond Rust; `bindings --help` tells its options
    #[command(disable_help_flag = true)]
    Bindings {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        passed_on: Vec<String>,
    },
    /// Measure sweeps, puts that expire or have a subject, and many subjects; `retention --help` tells its options
    #[command(disable_help_flag = true)]
    Retention {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        passed_on: Vec<String>,
    },
    /// Make many small tenants and tell what they take; `scale --help` tells its options
    #[command(disable_help_flag = true)]
    Scale {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        passed_on: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Test { list: true, .. } => {
            stage::print_list();
            Ok(())
        }
        Chore::Test { stages, list: false } => stage::run_all(&stages),
        Chore::Fuzz { seconds, target } => fuzz::run_targets(seconds, target.as_deref()),
        Chore::Crash { count, seed } => crash(count, seed),
        Chore::Bench { which: Some(Bench::Race { passed_on }), .. } => {
            let race = ["run", "--release", "--package", "strongroom-benches", "--bin", "race", "--"];
            run(cargo().args(race).args(passed_on))
        }
        Chore::Bench { which: Some(Bench::Bindings { passed_on }), .. } => players::bench(&passed_on),
        Chore::Bench { which: Some(Bench::Retention { passed_on }), .. } => {
            let retention =
                ["run", "--release", "--package", "strongroom-benches", "--bin", "retention", "--"];
            run(cargo().args(retention).args(passed_on))
        }
        Chore::Bench { which: Some(Bench::Scale { passed_on }), .. } => {
            let scale = ["run", "--release", "--package", "strongroom-benches", "--bin", "scale", "--"];
            run(cargo().args(scale).args(passed_on))
        }
        Chore::Bench { which: None, passed_on } => {
            let all =
                ["bench", "--package", "strongroom-benches", "--features", "internals", "--benches", "--"];
            run(cargo().args(all).args(passed_on))
        }
        Chore::Header => header::write(),
        Chore::Install { prefix } => library::install(&prefix),
        Chore::Advisories => {
            tools::CARGO_DENY.ensure().and_then(|()| run(cargo().args(["deny", "check", "advisories"])))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Simulates `count` power losses. Without a seed the test takes one of its own and prints it.
fn crash(count: u64, seed: Option<u64>) -> Outcome {
    let mut test = cargo();
    test.args(["test", "--release", "--package", "strongroom-tests", "--test", "promises"]);
    test.args(["--", "crash", "--nocapture"]).env("STRONGROOM_CRASHES", count.to_string());
    if let Some(seed) = seed {
        test.env("STRONGROOM_SEED", seed.to_string());
    }
    run(&mut test)
}
