//! `strongroom config`, `completions` and `man`: what an installation needs.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Arguments, Global};
use crate::console::Output;
use crate::failure::{Failure, Outcome};
use crate::store;

/// Prints the settings that are in force.
pub(crate) fn config(global: &Global) -> Outcome {
    let settings = store::settings(global)?.to_toml();
    let mut output = Output::new();
    output.bytes(settings.as_bytes())?;
    output.flush()
}

/// Prints a shell's completions.
pub(crate) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "strongroom", &mut script);
    let mut output = Output::new();
    output.bytes(&script)?;
    output.flush()
}

/// Writes the manual's pages into a directory, one for each command.
pub(crate) fn man(directory: &Path) -> Outcome {
    let failed = |error| Failure::io(directory.display(), &error);
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(failed)
}
