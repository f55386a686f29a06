//! The C library and the C++ binding, tested as programs use them: what the library exports and needs, and the programs in
//! `ffi/tests/c` and `bindings/cpp/tests`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, output, program, root, run, target};
use crate::{library, tools};

/// C99, and what of POSIX the tests need.
const C99: [&str; 2] = ["-std=c99", "-D_POSIX_C_SOURCE=200809L"];
/// Nothing that a compiler could object to.
const FLAGS: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

/// What the shared library may need.
const NEEDED: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];

/// The shared library's size, at most: what grows it by a half is looked at.
const BYTES_MAX: u64 = 6_000_000;

/// Where the library is installed for the tests of all languages.
pub(crate) fn prefix() -> PathBuf {
    target().join("c/installed")
}

/// Installs the library and runs everything.
pub(crate) fn run_tests() -> Outcome {
    library::install(&prefix())?;
    let shared = prefix().join("lib").join(format!("libstrongroom.so.{}", library::RELEASE));
    check_exports(&shared)?;
    check_needs(&shared)?;
    let mut failures = run_sources(&root().join("ffi/tests/c"))?;
    failures.extend(with_cmake().err());
    failures.extend(run_example().err());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Installs the library and runs the tests of the C++ binding.
pub(crate) fn run_cpp_tests() -> Outcome {
    library::install(&prefix())?;
    tools::ensure_debian_package("g++", || output(program("c++").arg("--version")).is_some())?;
    // The scenarios of conformance are JSON.
    tools::ensure_debian_package("nlohmann-json3-dev", || {
        Path::new("/usr/include/nlohmann/json.hpp").exists()
    })?;
    let failures = run_sources(&root().join("bindings/cpp/tests"))?;
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Runs each program of a folder plain, under valgrind and with AddressSanitizer; gives what failed.
fn run_sources(folder: &Path) -> Outcome<Vec<String>> {
    let has_valgrind = || output(program("valgrind").arg("--version")).is_some();
    tools::ensure_debian_package("valgrind", has_valgrind)?;
    let mut failures = Vec::new();
    for source in sources(folder)? {
        let plain = compile(&source, "plain", &[])?;
        let sanitized = compile(&source, "sanitized", &["-fsanitize=address,undefined"])?;
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut valgrind = program("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--fair-sched=yes"]);
        // What is "possibly lost" is not: Rust keeps pointers into the middle of what it shares.
        valgrind.args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
        valgrind.arg(&plain);
        for (how, mut test) in
            [("plain", program(&plain)), ("sanitized", program(&sanitized)), ("valgrind", valgrind)]
        {
            test.env("ASAN_OPTIONS", "detect_stack_use_after_return=1")
                .env("UBSAN_OPTIONS", "halt_on_error=1");
            if let Err(failure) = with_folder(&format!("{name}-{how}"), &mut test) {
                failures.push(failure);
            }
        }
    }
    Ok(failures)
}

/// Builds and runs programs that find the library with CMake, linked to the shared and to the static one.
fn with_cmake() -> Outcome {
    tools::ensure_debian_package("cmake", || output(program("cmake").arg("--version")).is_some())?;
    tools::ensure_debian_package("make", || output(program("make").arg("--version")).is_some())?;
    let folder = target().join("c/cmake");
    let mut configure = program("cmake");
    configure.arg("-S").arg(root().join("ffi/tests/cmake")).arg("-B").arg(&folder);
    run(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())))?;
    run(program("cmake").arg("--build").arg(&folder))?;
    for name in ["shared", "static"] {
        with_folder(&format!("cmake-{name}"), &mut program(folder.join(name)))?;
    }
    Ok(())
}

/// The example does what it says.
fn run_example() -> Outcome {
    let notes = compile(&root().join("ffi/examples/notes.c"), "plain", &[])?;
    let store = empty_folder("notes")?.join("store");
    for (arguments, expected) in [
        (&["put", "milk", "two bottles"][..], ""),
        (&["put", "bread", "none"], ""),
        (&["get", "milk"], "two bottles\n"),
        (&["get", "beer"], ""),
        (&["list"], "bread (4 bytes)\nmilk (11 bytes)\n"),
    ] {
        let said = output(program(&notes).arg(&store).args(arguments));
        if said.as_deref() != Some(expected) {
            return Err(format!("the example said {said:?} to {arguments:?}"));
        }
    }
    Ok(())
}

/// The test programs: one file each.
fn sources(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut sources: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c" || extension == "cpp"));
    sources.sort();
    Ok(sources)
}

/// Compiles one test as a user of the library does: with what pkg-config says where there is one.
fn compile(source: &Path, how: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let folder = target().join("c").join(how);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let to = folder.join(format!("{}.test", source.file_name().unwrap_or_default().to_string_lossy()));
    let lib = prefix().join("lib");
    let is_c = source.extension().is_some_and(|extension| extension == "c");
    let scenarios = root().join("tests/conformance/scenarios.json");
    let mut cc = program(if is_c { "cc" } else { "c++" });
    cc.args(if is_c { &C99[..] } else { &["-std=c++17"] })
        .args(FLAGS)
        .args(flags)
        .arg(format!("-DSCENARIOS=\"{}\"", scenarios.display()))
        .arg("-o")
        .arg(&to)
        .arg(source);
    cc.args(library_flags()?).arg(format!("-Wl,-rpath,{}", lib.display())).arg("-pthread");
    run(&mut cc)?;
    Ok(to)
}

/// What pkg-config says of the installed library.
pub(crate) fn library_flags() -> Outcome<Vec<String>> {
    tools::ensure_debian_package("pkg-config", || output(program("pkg-config").arg("--version")).is_some())?;
    let mut ask = program("pkg-config");
    ask.env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    let flags = output(ask.args(["--cflags", "--libs", "strongroom"]));
    let flags = flags.ok_or("pkg-config does not find the library that was installed")?;
    Ok(flags.split_whitespace().map(str::to_owned).collect())
}

/// Runs a test with a new folder of its own as its argument.
fn with_folder(name: &str, test: &mut Command) -> Outcome {
    run(test.arg(empty_folder(name)?))
}

fn empty_folder(name: &str) -> Outcome<PathBuf> {
    let folder = target().join("c/stores").join(name);
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(told)?;
    }
    fs::create_dir_all(&folder).map_err(told)?;
    folder.canonicalize().map_err(told)
}

/// The functions that the header declares, and nothing else, each with a version.
fn check_exports(shared: &Path) -> Outcome {
    let header = root().join("ffi/include/strongroom.h");
    let header = fs::read_to_string(&header).map_err(|error| format!("{}: {error}", header.display()))?;
    let declared: BTreeSet<String> =
        functions_in(&header).map(|name| format!("{name}@@STRONGROOM_0")).collect();
    let symbols = output(program("nm").args(["-D", "--defined-only"]).arg(shared)).ok_or("nm failed")?;
    let names = symbols.lines().filter_map(|line| line.split_whitespace().nth(2));
    let exported: BTreeSet<String> =
        names.filter(|name| !name.starts_with("STRONGROOM_")).map(str::to_owned).collect();
    println!("{} functions exported, of {} declared", exported.len(), declared.len());
    if exported == declared {
        return Ok(());
    }
    let differing: Vec<_> = exported.symmetric_difference(&declared).map(String::as_str).collect();
    Err(format!("exported but not declared, or the other way round: {}", differing.join(", ")))
}

/// The names before an opening parenthesis, outside comments.
fn functions_in(header: &str) -> impl Iterator<Item = &str> {
    let lines = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/']));
    lines.filter_map(|line| {
        let before = &line[..line.find('(')?];
        let name = before.rsplit([' ', '*']).next()?;
        name.starts_with("strongroom_").then_some(name)
    })
}

/// The C library and the compiler's support library; its own name, and its size.
fn check_needs(shared: &Path) -> Outcome {
    let dynamic = output(program("readelf").args(["-d", "--wide"]).arg(shared)).ok_or("readelf failed")?;
    let named = |what: &str| -> Vec<String> {
        let lines = dynamic.lines().filter(|line| line.contains(what));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    let (needed, soname) = (named("(NEEDED)"), named("(SONAME)"));
    let bytes = fs::metadata(shared).map_err(|error| error.to_string())?.len();
    println!("{}: {bytes} bytes, needs {}", soname.join(" "), needed.join(" "));
    if bytes > BYTES_MAX {
        return Err(format!("the shared library has more than {BYTES_MAX} bytes"));
    }
    if soname != ["libstrongroom.so.0"] {
        return Err("the shared library has another name than libstrongroom.so.0".to_owned());
    }
    match needed.iter().find(|name| !NEEDED.contains(&name.as_str())) {
        Some(name) => Err(format!("the shared library needs {name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_read_from_a_header() {
        let header = "/** strongroom_x( in a comment\n * strongroom_y(1)\n */\nvoid strongroom_a(void);\n\
                      const strongroom_e *strongroom_b(const p *p,\n    size_t n);\ntypedef void (*strongroom_f)(int);";
        assert_eq!(functions_in(header).collect::<Vec<_>>(), ["strongroom_a", "strongroom_b"]);
    }
}
