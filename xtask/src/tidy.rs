//! The repository's habits, enforced: what a reader may rely on in every file.
//!
//! The layers of the engine are checked elsewhere: `tests/promises/layers.rs`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::command::{Outcome, root};

/// What stands at the top level, whether its content is here yet or not.
const ROOMS: &[&str] = &[
    "bindings",
    "benches",
    "cli",
    "docs",
    "engine",
    "ffi",
    "fuzz",
    "tests",
    "xtask",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
];

/// Folders whose files nobody wrote.
const NOT_SOURCE: &[&str] = &[".git", "target", "node_modules", "__pycache__", "corpus", "artifacts"];

/// Rust files that may begin without a `//!` line.
const WITHOUT_HEADER: &[&str] = &[];

/// Left-over work, written so that this file does not find itself.
const LEFT_OVER: &[&str] = &[concat!("to", "do!"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers\\"),
];

/// Checks the whole repository.
pub(crate) fn check() -> Outcome {
    let mut violations: Vec<String> = ROOMS
        .iter()
        .filter(|room| !root().join(room).exists())
        .map(|room| format!("{room}: is not there"))
        .collect();
    let mut files = 0;
    for entry in WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(is_source) {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.file_type().is_file() {
            files += 1;
            let path = entry.path().strip_prefix(root()).map_err(|error| error.to_string())?;
            let bytes = fs::read(entry.path()).map_err(|error| format!("{}: {error}", path.display()))?;
            // What is not text is test data.
            if let Ok(text) = String::from_utf8(bytes) {
                violations.extend(violations_in(path, &text));
            }
        }
    }
    println!("{files} files, {} violations", violations.len());
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

fn is_source(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_dir();
    !(is_folder && NOT_SOURCE.iter().any(|name| entry.file_name() == OsStr::new(name)))
}

fn violations_in(path: &Path, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let shown = path.display();
    if path.extension() == Some(OsStr::new("rs")) {
        if !text.starts_with("//!") && !WITHOUT_HEADER.iter().any(|exempt| path == Path::new(exempt)) {
            violations.push(format!("{shown}:1: does not begin with a //! line that says what it is"));
        }
        if path.file_name() == Some(OsStr::new("mod.rs")) {
            violations.push(format!("{shown}: a module foo is foo.rs, never foo/mod.rs"));
        }
    }
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        for &word in LEFT_OVER.iter().filter(|word| has_word(line, word)) {
            violations.push(format!("{shown}:{number}: {word}: finish it, or open an issue"));
        }
        for &start in MACHINE_PATHS.iter().filter(|start| has_path(line, start)) {
            violations.push(format!("{shown}:{number}: a path below {start} is of one machine only"));
        }
        if path.extension() == Some(OsStr::new("rs"))
            && line.trim_start().starts_with(concat!("#[ign", "ore"))
        {
            violations.push(format!("{shown}:{number}: a test that does not run is deleted"));
        }
    }
    violations
}

/// Whether `word` stands in `line` with no letter or digit on either side.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Whether an absolute path in `line` begins so: an address or a relative path may contain the same folder.
fn has_path(line: &str, beginning: &str) -> bool {
    line.match_indices(beginning).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || ".-_~>})]*$".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        violations_in(Path::new(path), text).len()
    }

    #[test]
    fn a_clean_file_passes() {
        assert_eq!(count("engine/src/a.rs", "//! A.\n\nfn a() {}\n"), 0);
        assert_eq!(
            count("docs/A.md", "# A\nsee https://example.org/home/page and <region root>/journal\n"),
            0
        );
        assert_eq!(count("docs/A.md", "mktemp -t aXXXXXX, docs/home/a\n"), 0);
    }

    #[test]
    fn each_habit_is_enforced() {
        assert_eq!(count("engine/src/a.rs", "fn a() {}\n"), 1);
        assert_eq!(count("engine/src/a.rs", "// A.\nfn a() {}\n"), 1);
        assert_eq!(count("engine/src/a/mod.rs", "//! A.\n"), 1);
        for word in LEFT_OVER {
            assert_eq!(count("engine/src/a.rs", &format!("//! A.\nfn a() {{ {word}() }}\n")), 1, "{word}");
            assert_eq!(count("docs/A.md", &format!("{word}: later\n")), 1, "{word}");
        }
        for start in MACHINE_PATHS {
            assert_eq!(count("docs/A.md", &format!("see `{start}someone/a.txt`\n")), 1, "{start}");
            assert_eq!(count("docs/A.md", &format!("{start}a\n")), 1, "{start}");
        }
        let ignored = concat!("//! A.\n    #[ign", "ore = \"slow\"]\nfn a() {}\n");
        assert_eq!(count("tests/promises/a.rs", ignored), 1);
    }
}
