//! The reader of the format that knows nothing of the engine's code: Python and its `cryptography` package,
//! in an environment below the target folder.

use std::env;

use crate::command::{Outcome, cargo, program, run, target};
use crate::python;

const CRYPTOGRAPHY: &str = "cryptography==50.0.2";

/// Runs the reader's test on stores that the release build of the command line makes.
pub(crate) fn run_test() -> Outcome {
    let python = python::environment("python", &[CRYPTOGRAPHY])?;
    run(cargo().args(["build", "--release", "--package", "strongroom-cli"]))?;
    let strongroom = target().join("release").join(format!("strongroom{}", env::consts::EXE_SUFFIX));
    run(program(python).arg("tests/format_reader_test.py").env("STRONGROOM_BIN", strongroom))
}
