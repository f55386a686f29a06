//! The reader of the format that knows nothing of the engine's code: Python and its `cryptography` package,
//! in an environment below the target folder.

use std::env;
use std::path::{Path, PathBuf};

use crate::command::{Outcome, cargo, output, program, run, target};
use crate::tools;

const CRYPTOGRAPHY: &str = "50.0.2";

/// Runs the reader's test on stores that the release build of the command line makes.
pub(crate) fn run_test() -> Outcome {
    let python = environment()?;
    run(cargo().args(["build", "--release", "--package", "strongroom-cli"]))?;
    let strongroom = target().join("release").join(format!("strongroom{}", env::consts::EXE_SUFFIX));
    run(program(python).arg("tests/format_reader_test.py").env("STRONGROOM_BIN", strongroom))
}

/// The interpreter of an environment that has the pinned package.
fn environment() -> Outcome<PathBuf> {
    let folder = target().join("python");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if has_cryptography(&python) {
        return Ok(python);
    }
    let can_make_one = || output(program("python3").args(["-c", "import venv, ensurepip"])).is_some();
    tools::ensure_debian_package("python3-venv", can_make_one)?;
    run(program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(program(&python).args(pip).arg(format!("cryptography=={CRYPTOGRAPHY}")))?;
    Ok(python)
}

fn has_cryptography(python: &Path) -> bool {
    let version = "import cryptography; print(cryptography.__version__)";
    output(program(python).args(["-c", version])).is_some_and(|said| said.trim() == CRYPTOGRAPHY)
}
