//! The stages of `cargo xtask test`: what CI runs, in this order.
//!
//! A stage that fails does not stop the next ones: one run shows every failure.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::command::{Outcome, cargo, run, target};
use crate::{c, fuzz, header, node, platforms, processor, python, reader, servers, tidy, tools};

/// How long each fuzz target runs in CI. Long runs are `cargo xtask fuzz`.
const FUZZ_SECONDS: u32 = 10;

/// One stage.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// The repository's habits
    Tidy,
    /// Formatting
    Fmt,
    /// Lints, of all targets; a warning is a failure
    Clippy,
    /// Documentation builds, with no broken link
    Doc,
    /// Licences, sources and versions of the dependencies
    Deny,
    /// Unit tests and promises, golden files included
    Test,
    /// Examples in the documentation
    Doctest,
    /// The tour of this repository: the main job on real input
    Tour,
    /// The Python reader of the format
    Reader,
    /// A processor without the instructions the command line was compiled for
    Processor,
    /// The library compiles for other platforms, as far as their targets are installed
    Platforms,
    /// A crate outside the repository builds and runs the README's example with the published API alone
    External,
    /// The C header is the one that the exported functions make
    Header,
    /// The C library: what it exports and needs, and its tests, plain, under valgrind and with AddressSanitizer
    C,
    /// The C++ binding: its tests, plain, under valgrind and with AddressSanitizer
    Cpp,
    /// The Python binding: a wheel, its tests and types
    Python,
    /// The Node binding: its addon, tests and types
    Node,
    /// The example services in Rust, Python and Node, asked by real requests
    Servers,
    /// A short run of every fuzz target
    Fuzz,
}

impl Stage {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self) -> Outcome {
        match self {
            Stage::Tidy => tidy::check(),
            Stage::Fmt => {
                let workspace = run(cargo().args(["fmt", "--all", "--check"]));
                let fuzz = run(cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]));
                workspace.and(fuzz)
            }
            Stage::Clippy => {
                tools::ensure_openssl()?;
                let lints = |which: &mut Command| run(which.args(["--", "--deny=warnings"]));
                let workspace =
                    lints(cargo().args(["clippy", "--workspace", "--all-features", "--all-targets"]));
                // As it is shipped, without the feature `simulation`, which only a build of these two alone leaves out.
                let shipped = ["clippy", "--package", "strongroom", "--package", "strongroom-cli"];
                let shipped = lints(cargo().args(shipped).args(["--lib", "--bins"]));
                let fuzz = ["clippy", "--all-targets", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"];
                workspace.and(shipped).and(lints(cargo().args(fuzz).arg(target().join("fuzz"))))
            }
            // Libraries only, and not the C one: the command line's binary and that one have the engine's name, and their
            // pages would overwrite the engine's.
            Stage::Doc => run(cargo()
                .args([
                    "doc",
                    "--workspace",
                    "--exclude=strongroom-ffi",
                    "--lib",
                    "--no-deps",
                    "--all-features",
                ])
                .env("RUSTDOCFLAGS", "--deny=warnings")),
            Stage::Deny => {
                tools::CARGO_DENY.ensure()?;
                // Not the advisories: `cargo xtask advisories` says why.
                run(cargo().args([
                    "deny",
                    "--workspace",
                    "--all-features",
                    "check",
                    "--hide-inclusion-graph",
                    "bans",
                    "licenses",
                    "sources",
                ]))
            }
            Stage::Test => {
                tools::ensure_openssl()?;
                let mut test = cargo();
                test.args(if tools::has_nextest() { &["nextest", "run"][..] } else { &["test"] });
                run(test.args(["--workspace", "--all-features", "--tests", "--examples", "--no-fail-fast"]))
            }
            Stage::Doctest => run(cargo().args(["test", "--doc", "--workspace", "--all-features"])),
            Stage::Tour => {
                run(cargo().args(["run", "--release", "--package", "strongroom-cli", "--", "tour"]))
            }
            Stage::Reader => reader::run_test(),
            Stage::Processor => processor::run_test(),
            Stage::Platforms => platforms::check(),
            Stage::External => platforms::run_external(),
            Stage::Header => header::check(),
            Stage::C => c::run_tests(),
            Stage::Cpp => c::run_cpp_tests(),
            Stage::Python => python::run_tests(),
            Stage::Node => node::run_tests(),
            Stage::Servers => servers::run_tests(),
            Stage::Fuzz => fuzz::run_targets(FUZZ_SECONDS, None),
        }
    }
}

/// Prints each stage's name and what it checks.
pub(crate) fn print_list() {
    for value in Stage::value_variants().iter().filter_map(ValueEnum::to_possible_value) {
        println!("{:<9} {}", value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default());
    }
}

/// Runs the chosen stages, or all where none is chosen, and ends with a table.
pub(crate) fn run_all(chosen: &[Stage]) -> Outcome {
    let mut results = Vec::new();
    for &stage in Stage::value_variants() {
        if !chosen.is_empty() && !chosen.contains(&stage) {
            continue;
        }
        println!("\n==== {}", stage.name());
        let start = Instant::now();
        let outcome = stage.run();
        let time = start.elapsed();
        match &outcome {
            Ok(()) => println!("==== {}: ok, {:.1} s", stage.name(), time.as_secs_f64()),
            Err(failure) => println!("==== {}: FAILED, {:.1} s\n{failure}", stage.name(), time.as_secs_f64()),
        }
        results.push((stage, outcome, time));
    }
    print_table(&results)
}

fn print_table(results: &[(Stage, Outcome, Duration)]) -> Outcome {
    println!("\n{:<9}  {:<6}  {:>7}", "stage", "result", "seconds");
    for (stage, outcome, time) in results {
        let result = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("{:<9}  {result:<6}  {:>7.1}", stage.name(), time.as_secs_f64());
    }
    let total: Duration = results.iter().map(|(_, _, time)| *time).sum();
    println!("{:<9}  {:<6}  {:>7.1}\n", "total", "", total.as_secs_f64());

    for (stage, outcome, _) in results {
        if let Err(failure) = outcome {
            println!("{}: {failure}", stage.name());
        }
    }
    let failed = results.iter().filter(|(_, outcome, _)| outcome.is_err()).count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} stages failed", results.len())) }
}
