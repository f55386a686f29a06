//! The files that the tour loads.

use std::path::{Path, PathBuf};

use strongroom::ErrorKind;
use strongroom::limits::VALUE_BYTES_MAX;
use walkdir::WalkDir;

use crate::failure::{Failure, Outcome};
use crate::text::{counted, size};

/// Directories that hold what other files were made into, or came from elsewhere.
const PASSED_OVER: [&str; 3] = [".git", "node_modules", "target"];

/// The files below a directory.
pub(super) struct Input {
    pub(super) root: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) bytes: u64,
    /// Files over the limit of a value.
    pub(super) too_large: u64,
    /// Files and directories that can't be read, links and special files.
    pub(super) others: u64,
    pub(super) directories_passed_over: u64,
}

impl Input {
    /// Lists the files below `directory`; without one, below the repository around the current directory.
    pub(super) fn find(directory: Option<&Path>) -> Outcome<Self> {
        let root = match directory {
            Some(directory) => directory.to_owned(),
            None => repository()?,
        };
        if !root.is_dir() {
            return Err(Failure::new(ErrorKind::NotFound, format!("{} is not a directory", root.display())));
        }
        let mut input =
            Self { root, files: Vec::new(), bytes: 0, too_large: 0, others: 0, directories_passed_over: 0 };
        input.list();
        if input.files.is_empty() {
            let message =
                format!("there is no file to load below {}: name another directory", input.root.display());
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        Ok(input)
    }

    fn list(&mut self) {
        let mut entries = WalkDir::new(&self.root).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else {
                self.others += 1;
                continue;
            };
            let kind = entry.file_type();
            if kind.is_dir() {
                let passed_over = PASSED_OVER.iter().any(|name| entry.file_name() == *name);
                if passed_over && entry.depth() > 0 {
                    self.directories_passed_over += 1;
                    entries.skip_current_dir();
                }
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if kind.is_file() && metadata.len() <= VALUE_BYTES_MAX as u64 => {
                    self.bytes += metadata.len();
                    self.files.push(entry.into_path());
                }
                Ok(_) if kind.is_file() => self.too_large += 1,
                _ => self.others += 1,
            }
        }
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} ({}) below {}",
            counted(self.files.len() as u64, "file"),
            size(self.bytes),
            self.root.display()
        )
    }

    /// What was left out, if anything.
    pub(super) fn left_out(&self) -> Option<String> {
        let parts = [
            (self.too_large, "file", "over 1 MiB"),
            (self.others, "other thing", "(links, special or unreadable files)"),
            (self.directories_passed_over, "folder", "named .git, node_modules or target"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, thing, which)| format!("{} {which}", counted(*count, thing)))
            .collect();
        (!parts.is_empty()).then(|| format!("left out: {}", parts.join(", ")))
    }
}

/// The repository around the current directory: the nearest directory upwards with a `.git`, else with a `Cargo.toml`,
/// else the current directory itself.
fn repository() -> Outcome<PathBuf> {
    let here = std::env::current_dir().map_err(|error| Failure::io("the current directory", &error))?;
    let above =
        |name: &str| here.ancestors().find(|directory| directory.join(name).exists()).map(Path::to_owned);
    Ok(above(".git").or_else(|| above("Cargo.toml")).unwrap_or(here))
}
