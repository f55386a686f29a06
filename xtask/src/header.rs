//! The C header: made from the exported functions, committed, and checked.

use std::fs;
use std::path::PathBuf;

use crate::command::{Outcome, root, run};
use crate::tools;

fn committed() -> PathBuf {
    root().join("ffi/include/strongroom.h")
}

fn text_of(path: &PathBuf) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn make(path: &PathBuf) -> Outcome {
    tools::CBINDGEN.ensure()?;
    let mut cbindgen = tools::CBINDGEN.command();
    cbindgen.args(["--quiet", "--config", "ffi/cbindgen.toml", "--crate", "strongroom-ffi", "--output"]);
    run(cbindgen.arg(path).arg("ffi"))
}

/// Makes the committed header.
pub(crate) fn write() -> Outcome {
    make(&committed())
}

/// Whether the committed header is the one that would be made.
pub(crate) fn check() -> Outcome {
    let made = crate::command::target().join("strongroom.h");
    make(&made)?;
    if text_of(&made)? == text_of(&committed())? {
        return Ok(());
    }
    Err("ffi/include/strongroom.h is not what the exported functions make: run `cargo xtask header`"
        .to_owned())
}
