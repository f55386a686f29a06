//! The stage that builds and tests the Node binding.

use std::process::Command;

use crate::command::{Outcome, output, program, root, run};
use crate::tools;

/// Where the binding is.
const BINDING: &str = "bindings/node";

fn npm(folder: &str, arguments: &[&str]) -> Command {
    let mut npm = program("npm");
    npm.current_dir(root().join(folder)).args(arguments);
    npm
}

/// Installs what a folder's lock file names.
pub(crate) fn install_locked(folder: &str) -> Outcome {
    run(&mut npm(folder, &["ci", "--no-audit", "--no-fund", "--loglevel=error", "--foreground-scripts"]))
}

/// Builds the library and the addon.
pub(crate) fn install() -> Outcome {
    tools::ensure_compiler()?;
    let version =
        output(program("node").arg("--version")).ok_or("please install Node 18 or later, with npm")?;
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 18) {
        return Err(format!("Node {} is older than 18", version.trim()));
    }
    install_locked(BINDING)
}

/// Builds the addon, runs its tests and the check of its types.
pub(crate) fn run_tests() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("left out: this is not Linux");
        return Ok(());
    }
    install()?;
    run(&mut npm(BINDING, &["run", "--silent", "types"]))?;
    run(&mut npm(BINDING, &["test", "--silent"]))
}
