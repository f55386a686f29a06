//! Python environments below the target folder, and the stage that builds, installs and tests the binding.

use std::fs;
use std::path::PathBuf;

use crate::command::{Outcome, output, program, root, run, target};
use crate::{library, tools};

/// What the binding is built and tested with.
const PACKAGES: [&str; 4] = ["cffi==2.1.1", "mypy==2.4.1", "pytest==9.2.0", "setuptools==84.2.1"];

/// The interpreter of an environment that has exactly these packages, each as `name==version`, and what they need.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = target().join(name);
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let installed = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if output(program(&python).arg("--version")).is_some()
        && fs::read_to_string(&installed).is_ok_and(|packages| packages == wanted)
    {
        return Ok(python);
    }
    let can_make_one = || output(program("python3").args(["-c", "import venv, ensurepip"])).is_some();
    tools::ensure_debian_package("python3-venv", can_make_one)?;
    run(program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(program(&python).args(pip).args(packages))?;
    fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(python)
}

/// Builds a wheel of the binding and installs it into an environment that has these packages too; the interpreter of that.
pub(crate) fn install(name: &str, more: &[&str]) -> Outcome<PathBuf> {
    tools::ensure_compiler()?;
    let has_headers = || {
        let include =
            output(program("python3").args(["-c", "import sysconfig; print(sysconfig.get_path('include'))"]));
        include.is_some_and(|folder| PathBuf::from(folder.trim()).join("Python.h").exists())
    };
    tools::ensure_debian_package("python3-dev", has_headers)?;
    let python = environment(name, &[&PACKAGES, more].concat())?;
    let (sources, wheels) = (root().join("bindings/python"), target().join("wheels"));
    if wheels.exists() {
        fs::remove_dir_all(&wheels).map_err(|error| format!("{}: {error}", wheels.display()))?;
    }
    let pip = || {
        let mut pip = program(&python);
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
        pip
    };
    let mut build = pip();
    build.args(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]).arg(&wheels).arg(&sources);
    run(&mut build)?;
    let mut install = pip();
    install.args(["install", "--no-index", "--no-deps", "--force-reinstall", "--find-links"]);
    run(install.arg(&wheels).arg(format!("strongroom=={}", library::RELEASE)))?;
    Ok(python)
}

/// Installs the binding and runs its tests and the check of its types, outside its sources.
pub(crate) fn run_tests() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("left out: this is not Linux");
        return Ok(());
    }
    let (python, sources) = (install("python-binding", &[])?, root().join("bindings/python"));
    let inside = |mut command: std::process::Command| {
        command.current_dir(sources.join("tests")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let mut types = program(&python);
    types
        .args(["-m", "mypy", "--config-file", "../pyproject.toml", "--cache-dir"])
        .arg(target().join("mypy"));
    run(inside(types).args(["../strongroom", "."]))?;
    let mut tests = program(&python);
    tests.args(["-m", "pytest", "-p", "no:cacheprovider"]);
    run(&mut inside(tests))?;
    Ok(())
}
