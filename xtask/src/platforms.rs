//! Other platforms: the library compiles for them. An external crate: it builds and runs the README's example with the
//! published API alone, outside this repository and without its build settings.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use crate::command::{Outcome, cargo, output, program, root, run, target};

/// Targets that are compiled for and not run on (docs/PLATFORMS.md).
const TARGETS: [&str; 3] = ["aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// What is compiled for them.
const PACKAGES: [&str; 3] = ["strongroom", "strongroom-ffi", "strongroom-cli"];

/// Checks each target whose standard library is installed, and says which are not. Installs none.
pub(crate) fn check() -> Outcome {
    let installed = output(program("rustup").args(["target", "list", "--installed"])).unwrap_or_default();
    let mut result = Ok(());
    for name in TARGETS {
        if !installed.lines().any(|line| line == name) {
            println!("not checked: {name} has no standard library here (`rustup target add {name}`)");
            continue;
        }
        for package in PACKAGES {
            let check = ["check", "--package", package, "--target", name];
            result = result.and(run(cargo().args(check).env("RUSTFLAGS", "--deny=warnings")));
        }
    }
    result
}

/// The crate's manifest: no profile, so the release profile's defaults; a workspace of its own.
const MANIFEST: &str = r#"[package]
name = "external"
version = "1.0.0"
edition = "2024"

[dependencies]
strongroom = { path = "ENGINE" }
tracing-subscriber = "0.3"

[workspace]
"#;

/// Its program: the example, with a log.
const PROGRAM: &str = "#![allow(unused_variables)]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
EXAMPLE
    Ok(())
}
";

/// What the engine logs where it was compiled for less than the processor has.
const WARNING: &str = "compiled without AES-NI";

/// Builds and runs a crate of its own, in a directory of its own.
pub(crate) fn run_external() -> Outcome {
    let readme = fs::read_to_string(root().join("README.md")).map_err(|error| error.to_string())?;
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .ok_or("README.md has no example in Rust")?;
    let lock = fs::read_to_string(root().join("Cargo.lock")).map_err(|error| error.to_string())?;
    let directory = Directory::new()?;
    directory
        .write("Cargo.toml", &MANIFEST.replace("ENGINE", &root().join("engine").display().to_string()))?;
    directory.write("src/main.rs", &PROGRAM.replace("EXAMPLE", shown))?;
    // The same versions of dependencies as here, and nothing of this repository's settings.
    directory.write("Cargo.lock", &lock)?;
    let results = target().join("external");
    let mut build = cargo();
    build.args(["build", "--release"]).current_dir(&directory.0).env("CARGO_TARGET_DIR", &results);
    run(build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    let mut example = program(results.join("release").join("external"));
    let said =
        example.current_dir(&directory.0).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let log = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        return Err(format!("the README's example ended with {}: {log}", said.status));
    }
    if !["data", "data.keys", "data.root-key"].iter().all(|name| directory.0.join(name).exists()) {
        return Err("the README's example made no store".to_owned());
    }
    // The processors of other architectures have what the compiler assumes of them.
    if has_more_than_is_assumed() != log.contains(WARNING) {
        return Err(format!("of what it was compiled for, the engine said: {log}"));
    }
    println!("{}", log.trim_end());
    Ok(())
}

/// Whether this processor has what the compiler uses only where it is told to.
#[cfg(target_arch = "x86_64")]
fn has_more_than_is_assumed() -> bool {
    std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
        && std::arch::is_x86_feature_detected!("avx")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_more_than_is_assumed() -> bool {
    false
}

/// Removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Outcome<Self> {
        let path = env::temp_dir().join(format!("strongroom-external-{}", process::id()));
        fs::create_dir_all(path.join("src")).map_err(|error| error.to_string())?;
        Ok(Self(path))
    }

    fn write(&self, name: impl AsRef<Path>, text: &str) -> Outcome {
        fs::write(self.0.join(name), text).map_err(|error| error.to_string())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
