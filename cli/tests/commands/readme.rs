//! What README.md says of the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use strongroom::ErrorKind;

use crate::program::Place;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

#[test]
fn the_readmes_table_has_every_kind_of_error_and_its_number() {
    let readme = readme();
    let rows = readme.lines().filter(|line| line.starts_with("| ")).flat_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        cells.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].parse())).collect::<Vec<_>>()
    });
    let mut kinds: Vec<_> =
        rows.filter_map(|(name, number)| number.ok().map(|number: u8| (number, name))).collect();
    kinds.sort_unstable();
    let expected: Vec<_> = ErrorKind::ALL.iter().map(|kind| (kind.code(), kind.name().to_owned())).collect();
    assert_eq!(kinds, expected);
}

#[cfg(unix)]
#[test]
fn the_readmes_commands_work_one_after_the_other() {
    let readme = readme();
    let section = readme.split("## On the command line").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let place = Place::empty();
    place.write("docs/a.md", "one");
    place.write("docs/more/b.md", "two");
    // The first line builds what is tested here; aliases are of interactive shells only.
    let (build, commands) = block.split_once('\n').unwrap();
    assert_eq!(
        build,
        "cargo build --release -p strongroom-cli && alias strongroom=target/release/strongroom"
    );
    let store = place.path("demo");
    let commands = commands.replace("/tmp/demo", store.to_str().unwrap());
    let script = format!("set -eu\nstrongroom() {{ \"$BINARY\" \"$@\"; }}\n{commands}");
    let run = Command::new("sh")
        .args(["-c", &script])
        .env("BINARY", env!("CARGO_BIN_EXE_strongroom"))
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && errors.is_empty(), "{said}{errors}");
    for expected in ["hello\n", "{\"key\":\"a.md\"}\n{\"key\":\"more/b.md\"}\n", "good  acme"] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(place.path("demo.root-key").is_file() && place.path("demo.keys").is_dir());
}
