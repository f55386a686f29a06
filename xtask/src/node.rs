//! The stage that builds and tests the Node binding.

use std::process::Command;

use crate::command::{Outcome, output, program, root, run};
use crate::tools;

fn npm(arguments: &[&str]) -> Command {
    let mut npm = program("npm");
    npm.current_dir(root().join("bindings/node")).args(arguments);
    npm
}

/// Builds the library and the addon.
pub(crate) fn install() -> Outcome {
    run(&mut npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error", "--foreground-scripts"]))
}

/// Builds the addon, runs its tests and the check of its types.
pub(crate) fn run_tests() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("left out: this is not Linux");
        return Ok(());
    }
    tools::ensure_compiler()?;
    let version =
        output(program("node").arg("--version")).ok_or("please install Node 18 or later, with npm")?;
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 18) {
        return Err(format!("Node {} is older than 18", version.trim()));
    }
    install()?;
    run(&mut npm(&["run", "--silent", "types"]))?;
    run(&mut npm(&["test", "--silent"]))
}
