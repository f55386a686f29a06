//! The command line on a processor that lacks what it was compiled for: it says so instead of dying. The processor is
//! QEMU's.

use std::env;
use std::process::Stdio;

use crate::command::{Outcome, cargo, output, program, run, target};
use crate::tools;

/// `Unavailable`: 10 and the number of the error's kind.
const UNAVAILABLE: i32 = 20;

/// Runs the release build of the command line on the oldest x86-64 processor there is.
pub(crate) fn run_test() -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("left out: this is not Linux on x86-64");
        return Ok(());
    }
    let has_qemu = || output(program("qemu-x86_64").arg("--version")).is_some();
    if let Err(missing) = tools::ensure_debian_package("qemu-user", has_qemu) {
        if env::var_os("CI").is_some() {
            return Err(missing);
        }
        println!("left out: {missing}");
        return Ok(());
    }
    run(cargo().args(["build", "--release", "--package", "strongroom-cli"]))?;
    let strongroom = target().join("release").join("strongroom");
    let mut old = program("qemu-x86_64");
    old.args(["-cpu", "qemu64"]).arg(strongroom).args(["--store", "target/never-made", "init"]);
    let said = old.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&said.stderr);
    println!("{}", text.trim_end());
    if said.status.code() == Some(UNAVAILABLE) && text.contains("this processor lacks") {
        return Ok(());
    }
    Err(format!("on a processor without AES-NI it ended with {} and said: {text}", said.status))
}
