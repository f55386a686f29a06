//! The players of `cargo xtask bench bindings`: one in each language, built as an application is.

use crate::command::{Outcome, cargo, program, root, run, target};
use crate::{c, library, node, python};

/// Builds the players and lets them take turns.
pub(crate) fn bench(passed_on: &[String]) -> Outcome {
    run(cargo().args(["build", "--release", "--package", "strongroom-benches", "--bins"]))?;
    library::install(&c::prefix())?;
    let folder = root().join("benches/players");
    let (in_c, in_cpp) = (target().join("c/player-c"), target().join("c/player-cpp"));
    let lib = c::prefix().join("lib");
    for (compiler, standard, source, to) in [
        ("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"][..], "player.c", &in_c),
        ("c++", &["-std=c++17"], "player.cpp", &in_cpp),
    ] {
        let mut compile = program(compiler);
        compile.args(standard).args(["-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o"]).arg(to);
        compile.arg(folder.join(source)).args(c::library_flags()?);
        run(compile.arg(format!("-Wl,-rpath,{}", lib.display())))?;
    }
    let interpreter = python::install("python-binding", &[])?;
    node::install()?;
    let release = target().join("release");
    let mut bench = program(release.join("bindings"));
    for player in [
        format!("rust={}", release.join("player").display()),
        format!("c={}", in_c.display()),
        format!("c++={}", in_cpp.display()),
        format!("python={}|{}", interpreter.display(), folder.join("player.py").display()),
        format!("node=node|{}", folder.join("player.js").display()),
    ] {
        bench.arg(format!("--player={player}"));
    }
    run(bench.args(passed_on))
}
