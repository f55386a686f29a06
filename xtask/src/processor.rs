//! The command line on a processor that lacks what it was compiled for: it says so instead of dying, and before any Rust
//! of it ran, so that this holds of every build and not of this one by luck. The processors are QEMU's.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::process::{ExitStatus, Stdio};

use crate::command::{Outcome, cargo, output, program, run, target};
use crate::tools;

/// `Unavailable`: 10 and the number of the error's kind.
const UNAVAILABLE: i32 = 20;

/// QEMU's names of processors: the oldest x86-64 processor there is, and one for each feature in `.cargo/config.toml`
/// that lacks that one alone.
const OLD: [&str; 5] = ["qemu64", "max,-aes", "max,-pclmulqdq", "max,-ssse3", "max,-avx"];

/// How the names of functions begin that are Rust's, in both ways of mangling.
const RUST: [&str; 2] = ["_R", "_ZN"];

/// Runs the release build of the command line on old processors, and on one that is not.
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
    for processor in OLD {
        let said = on(processor)?;
        println!("{processor}: {}", said.text.trim_end());
        check_refusal(&said).map_err(|why| format!("on the processor {processor} it {why}"))?;
    }
    let new = on("max")?;
    if !new.status.success() || new.rust.len() < 2 {
        return Err(format!(
            "on a processor with everything it ended with {} and said: {}",
            new.status, new.text
        ));
    }
    Ok(())
}

/// What became of `strongroom --version`, which opens no store: the engine is not asked.
struct Said {
    status: ExitStatus,
    text: String,
    /// The Rust functions that ran.
    rust: BTreeSet<String>,
}

fn on(processor: &str) -> Outcome<Said> {
    let trace = target().join("processor.trace");
    let mut qemu = program("qemu-x86_64");
    qemu.args(["-cpu", processor, "-d", "in_asm", "-D"]).arg(&trace);
    qemu.arg(target().join("release").join("strongroom")).arg("--version");
    let said = qemu.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let trace = fs::read_to_string(&trace).map_err(|error| format!("{}: {error}", trace.display()))?;
    let functions = trace.lines().filter_map(|line| line.strip_prefix("IN: "));
    let rust = functions.map(str::trim).filter(|name| RUST.iter().any(|start| name.starts_with(start)));
    Ok(Said {
        status: said.status,
        text: String::from_utf8_lossy(&said.stderr).into_owned(),
        rust: rust.map(str::to_owned).collect(),
    })
}

fn check_refusal(said: &Said) -> Outcome {
    if said.status.code() != Some(UNAVAILABLE) || !said.text.contains("strongroom: this processor lacks") {
        return Err(format!("ended with {} and said: {}", said.status, said.text));
    }
    let mut functions = said.rust.iter();
    match (functions.next(), functions.next()) {
        (Some(only), None) if only.contains("ensure_supported") => Ok(()),
        _ => Err(format!("refused, but not before other code of Rust's: {:?}", said.rust)),
    }
}
