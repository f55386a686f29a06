//! The fuzz targets in `fuzz/`, a workspace of its own: built once, then run one after another.
//!
//! Coverage and the address sanitizer are unstable compiler flags. They come from a nightly compiler where
//! rustup has one that is new enough, else from the stable one, told to accept them.

use std::fs;
use std::process::Command;

use crate::command::{Outcome, cargo, output, program, root, run, target};
use crate::tools;

/// Runs each target, or only one, for so many seconds.
pub(crate) fn run_targets(seconds: u32, only: Option<&str>) -> Outcome {
    tools::CARGO_FUZZ.ensure()?;
    tools::ensure_debian_package("g++", || output(program("c++").arg("--version")).is_some())?;
    let targets = targets(only)?;

    run(fuzz("build")?.args(only))?;
    let mut failures = Vec::new();
    for target in &targets {
        if let Err(failure) = run(&mut run_command(target, seconds)?) {
            failures.push(failure);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn targets(only: Option<&str>) -> Outcome<Vec<String>> {
    let list = output(cargo().args(["fuzz", "list"])).ok_or("`cargo fuzz list` failed: is there a fuzz/?")?;
    let mut targets: Vec<String> = list.lines().map(str::to_owned).collect();
    if let Some(only) = only {
        targets.retain(|target| target == only);
    }
    if targets.is_empty() {
        return Err(format!("no such fuzz target; there are: {}", list.replace('\n', " ").trim()));
    }
    Ok(targets)
}

/// New inputs go to `fuzz/corpus/<target>`; those in `fuzz/seeds/<target>`, if any, are read too.
fn run_command(target: &str, seconds: u32) -> Outcome<Command> {
    let corpus = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let seeds = root().join("fuzz/seeds").join(target);

    let mut command = fuzz("run")?;
    command.arg(target).arg(corpus).args(seeds.is_dir().then_some(seeds));
    command.args(["--", "-timeout=60", "-verbosity=0", "-print_funcs=0", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    Ok(command)
}

fn fuzz(verb: &str) -> Outcome<Command> {
    let mut command = cargo();
    if has_nightly() {
        command.arg("+nightly");
    } else {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    command.args(["fuzz", verb, "--target-dir"]).arg(target().join("fuzz"));
    command.env("RUSTFLAGS", rustflags()?);
    Ok(command)
}

/// Whether rustup has a nightly that is no older than the Rust version that the workspace asks for.
fn has_nightly() -> bool {
    let Some(toolchains) = output(program("rustup").args(["toolchain", "list"])) else { return false };
    if !toolchains.lines().any(|line| line.starts_with("nightly-") && !line.starts_with("nightly-2")) {
        return false;
    }
    let said = output(program("rustc").args(["+nightly", "--version"])).unwrap_or_default();
    let nightly = said.split_whitespace().nth(1).unwrap_or_default();
    minor_version(nightly) >= minor_version(env!("CARGO_PKG_RUST_VERSION"))
}

fn minor_version(version: &str) -> Option<u32> {
    version.split('.').nth(1)?.parse().ok()
}

/// The flags of `.cargo/config.toml`, which cargo ignores when cargo-fuzz sets the variable `RUSTFLAGS`.
fn rustflags() -> Outcome<String> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(String::new());
    }
    let config = fs::read_to_string(root().join(".cargo/config.toml"))
        .map_err(|error| format!(".cargo/config.toml: {error}"))?;
    flags_in(&config).ok_or_else(|| ".cargo/config.toml has no `rustflags = [...]` on one line".to_owned())
}

fn flags_in(config: &str) -> Option<String> {
    let list = config.lines().find_map(|line| line.trim().strip_prefix("rustflags = ["))?;
    let flags: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    Some(flags.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_the_configuration() {
        let config = "[target.x]\nrustflags = [\"-C\", \"target-feature=+aes,+ssse3\"]\n";
        assert_eq!(flags_in(config).as_deref(), Some("-C target-feature=+aes,+ssse3"));
        assert_eq!(flags_in("[target.x]\n"), None);
    }

    #[test]
    fn an_older_compiler_is_told_from_a_newer_one() {
        assert!(minor_version("1.97.0-nightly") >= minor_version("1.95"));
        assert!(minor_version("1.9.0-nightly") < minor_version("1.95"));
        assert!(minor_version("") < minor_version("1.95"));
    }
}
