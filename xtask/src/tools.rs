//! Programs that the chores need: at pinned versions, installed below the target folder unless the
//! machine has them already.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{Outcome, cargo, output, program, run, target};

/// A program from crates.io; one whose name begins so is a subcommand of cargo.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

const SUBCOMMAND: &str = "cargo-";

/// Licences, sources and versions of the dependencies.
pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

/// Builds and runs the fuzz targets.
pub(crate) const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

/// Makes the C header.
pub(crate) const CBINDGEN: Tool = Tool { name: "cbindgen", version: "0.29.4" };

/// Where tools are installed.
pub(crate) fn folder() -> PathBuf {
    target().join("tools")
}

impl Tool {
    /// Makes sure that [`cargo`] or [`Tool::command`] finds this version.
    ///
    /// Built without optimisation and debug information: on two cores cargo-deny takes 90 seconds so,
    /// and more than 300 as released, while its checks take a second either way.
    pub(crate) fn ensure(&self) -> Outcome {
        if self.is_there() {
            return Ok(());
        }
        let mut install = cargo();
        install.args(["install", "--debug", "--locked", "--force", "--version"]);
        install.arg(format!("={}", self.version)).arg("--root").arg(folder()).arg(self.name);
        // The release profile's settings and the target folder of this workspace are not the tool's.
        install.env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("CARGO_TARGET_DIR");
        run(&mut install)?;
        if self.is_there() { Ok(()) } else { Err(format!("{} is installed and does not run", self.name)) }
    }

    fn is_there(&self) -> bool {
        let said = match self.name.strip_prefix(SUBCOMMAND) {
            Some(subcommand) => output(cargo().args([subcommand, "--version"])),
            None => output(self.command().arg("--version")),
        };
        said.unwrap_or_default().split_whitespace().nth(1) == Some(self.version)
    }

    /// The program, as it was installed below the target folder.
    pub(crate) fn command(&self) -> Command {
        program(folder().join("bin").join(self.name))
    }
}

/// Whether cargo-nextest is on this machine. It is used where it is, and never installed: it is not worth
/// the minutes that it takes to build.
pub(crate) fn has_nextest() -> bool {
    output(cargo().args(["nextest", "--version"])).is_some()
}

/// Installs a Debian package where a program is missing and this user may install it.
pub(crate) fn ensure_debian_package(package: &str, is_there: impl Fn() -> bool) -> Outcome {
    if is_there() {
        return Ok(());
    }
    let is_root = output(program("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if is_root && output(program("apt-get").arg("--version")).is_some() {
        let apt = || {
            let mut apt = program("apt-get");
            apt.env("DEBIAN_FRONTEND", "noninteractive");
            apt
        };
        run(apt().args(["--quiet", "update"]))?;
        run(apt().args(["--quiet", "install", "--yes", "--no-install-recommends", package]))?;
    }
    if is_there() { Ok(()) } else { Err(format!("please install {package} (Debian's name for it)")) }
}

/// A C compiler, by the name of `cc`.
pub(crate) fn ensure_compiler() -> Outcome {
    ensure_debian_package("gcc", || output(program("cc").arg("--version")).is_some())
}

/// OpenSSL's headers and library, which the command line's feature `sqlcipher` is compiled with.
pub(crate) fn ensure_openssl() -> Outcome {
    ensure_compiler()?;
    let includes = ["-E", "-include", "openssl/evp.h", "-x", "c", "/dev/null"];
    ensure_debian_package("libssl-dev", || output(program("cc").args(includes)).is_some())
}
