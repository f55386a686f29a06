//! The C library and the C++ header as they are installed: linked with its map of symbol versions, and described for pkg-config and CMake.
//!
//! The shared library is linked here from the static one, not by rustc, which has a map of its own without versions and
//! lets nobody add another.

use std::fs;
use std::path::Path;

use crate::command::{Outcome, cargo, program, root, run, target};
use crate::tools;

/// The library's release.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Builds the library for release and installs it below `prefix`.
pub(crate) fn install(prefix: &Path) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Err("the C library is linked for Linux only".to_owned());
    }
    tools::ensure_compiler()?;
    run(cargo().args(["build", "--release", "--package", "strongroom-ffi"]))?;
    let (include, lib) = (prefix.join("include"), prefix.join("lib"));
    let (pkgconfig, cmake) = (lib.join("pkgconfig"), lib.join("cmake/strongroom"));
    for folder in [&include, &pkgconfig, &cmake] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let archive = target().join("release/libstrongroom.a");
    copy(&root().join("ffi/include/strongroom.h"), &include.join("strongroom.h"))?;
    copy(&root().join("bindings/cpp/strongroom.hpp"), &include.join("strongroom.hpp"))?;
    copy(&archive, &lib.join("libstrongroom.a"))?;
    link(&archive, &lib)?;
    for (template, folder, name) in [
        ("strongroom.pc.in", &pkgconfig, "strongroom.pc"),
        ("strongroom-config.cmake.in", &cmake, "strongroom-config.cmake"),
        ("strongroom-config-version.cmake.in", &cmake, "strongroom-config-version.cmake"),
    ] {
        fill(template, &folder.join(name), prefix)?;
    }
    Ok(())
}

/// Links `libstrongroom.so.<release>`, and the two names that programs are linked with and run with.
fn link(archive: &Path, lib: &Path) -> Outcome {
    let file = format!("libstrongroom.so.{RELEASE}");
    let soname = "libstrongroom.so.0";
    let mut link = program("cc");
    link.arg("-shared").arg("-o").arg(lib.join(&file));
    link.arg("-Wl,--whole-archive").arg(archive).arg("-Wl,--no-whole-archive");
    link.arg(format!("-Wl,--version-script={}", root().join("ffi/strongroom.map").display()));
    link.arg(format!("-Wl,-soname,{soname}"));
    link.args(["-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]);
    run(link.args(["-Wl,--no-undefined", "-Wl,--as-needed", "-lgcc_s", "-lm", "-ldl", "-lpthread", "-lc"]))?;
    for name in [soname, "libstrongroom.so"] {
        let name = lib.join(name);
        // There is none the first time.
        let _ = fs::remove_file(&name);
        #[cfg(unix)]
        std::os::unix::fs::symlink(&file, &name).map_err(|error| format!("{}: {error}", name.display()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn fill(template: &str, to: &Path, prefix: &Path) -> Outcome {
    let template = root().join("ffi").join(template);
    let text = fs::read_to_string(&template).map_err(|error| format!("{}: {error}", template.display()))?;
    let absolute = std::path::absolute(prefix).map_err(|error| error.to_string())?;
    let text = text.replace("@prefix@", &absolute.to_string_lossy()).replace("@release@", RELEASE);
    fs::write(to, text).map_err(|error| format!("{}: {error}", to.display()))
}
