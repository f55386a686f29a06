//! Looks for what was stored in everything that lies on the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use strongroom::ErrorKind;
use walkdir::WalkDir;

use super::lab::broken;
use super::load::Loaded;
use super::report::Report;
use super::workspace::{CONTROL, EMPTY, STORE, Workspace};
use super::{COLLECTION, TENANTS};
use crate::failure::{Failure, Outcome};
use crate::text::{grouped, size};

/// A shorter key could be found by chance: 8 given bytes are found once in 10^19.
const KEY_BYTES_MIN: usize = 8;
/// Record keys that are searched for, at most.
const KEYS_MAX: usize = 2_000;
const CHUNK_BYTES: usize = 1 << 20;

/// What is searched for, all of it at once.
struct Searcher {
    needles: Vec<Vec<u8>>,
    automaton: AhoCorasick,
}

/// Which needles were found, and how much was searched.
struct Found {
    needles: Vec<bool>,
    files: u64,
    bytes: u64,
    /// Bytes by the ending of the files' names.
    bytes_by_ending: BTreeMap<String, u64>,
}

impl Found {
    fn count(&self) -> usize {
        self.needles.iter().filter(|found| **found).count()
    }

    /// Bytes of files whose names end so.
    fn bytes_of(&self, ending: &str) -> u64 {
        self.bytes_by_ending.get(ending).copied().unwrap_or(0)
    }
}

impl Searcher {
    fn new(needles: Vec<Vec<u8>>) -> Outcome<Self> {
        let automaton = AhoCorasick::new(&needles)
            .map_err(|error| Failure::new(ErrorKind::Internal, format!("preparing the search: {error}")))?;
        Ok(Self { needles, automaton })
    }

    /// Searches every file in these directories, which may be files as well.
    fn search(&self, places: &[PathBuf]) -> Outcome<Found> {
        let mut found = Found {
            needles: vec![false; self.needles.len()],
            files: 0,
            bytes: 0,
            bytes_by_ending: BTreeMap::new(),
        };
        for place in places {
            for entry in WalkDir::new(place) {
                let entry = entry.map_err(|error| Failure::io(place.display(), &error.into()))?;
                if entry.file_type().is_file() {
                    let searched = self.search_file(entry.path(), &mut found.needles);
                    let bytes = searched.map_err(|error| Failure::io(entry.path().display(), &error))?;
                    let ending = entry.path().extension().unwrap_or_default().to_string_lossy().into_owned();
                    found.bytes += bytes;
                    found.files += 1;
                    *found.bytes_by_ending.entry(ending).or_default() += bytes;
                }
            }
        }
        Ok(found)
    }

    /// Searches a file piece by piece; the pieces overlap by as much as a needle can be long.
    fn search_file(&self, path: &Path, found: &mut [bool]) -> io::Result<u64> {
        let overlap = self.needles.iter().map(Vec::len).max().unwrap_or(0);
        let mut file = File::open(path)?;
        let mut window = Vec::new();
        let mut bytes = 0;
        loop {
            let kept = window.len().min(overlap);
            window.drain(..window.len() - kept);
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut window)?;
            bytes += read as u64;
            for hit in self.automaton.find_overlapping_iter(&window) {
                found[hit.pattern().as_usize()] = true;
            }
            if read == 0 {
                return Ok(bytes);
            }
        }
    }
}

/// The search for what was stored: once while the journals hold it, once when the tenants' files do.
pub(super) struct Search {
    searcher: Searcher,
    in_journals: Found,
    /// Bytes of values that were stored.
    stored: u64,
}

impl Search {
    /// Searches the store, its regions, its key stores and the root key's file.
    pub(super) fn in_journals(workspace: &Workspace, loaded: &Loaded) -> Outcome<Self> {
        let keys: Vec<_> = loaded.keys.iter().filter(|key| key.len() >= KEY_BYTES_MIN).collect();
        let names =
            TENANTS.iter().map(|(name, _)| name.as_bytes().to_vec()).chain([COLLECTION.as_bytes().to_vec()]);
        let step = keys.len().div_ceil(KEYS_MAX).max(1);
        let mut needles: Vec<_> = loaded.lines.iter().cloned().collect();
        needles.extend(keys.into_iter().step_by(step).cloned());
        needles.extend(names);

        // What stands in a store that holds nothing can't have come from the files.
        let everything = Searcher::new(needles)?;
        workspace.create_store(EMPTY)?.close()?;
        let own_words = everything.search(&below(workspace, EMPTY)?)?;
        let needles = everything.needles.into_iter().zip(&own_words.needles);
        let needles = needles.filter(|(_, own)| !**own).map(|(needle, _)| needle).collect();
        let searcher = Searcher::new(needles)?;
        let in_journals = searcher.search(&below(workspace, STORE)?)?;
        Ok(Self { searcher, in_journals, stored: 2 * loaded.bytes })
    }

    /// Searches the same again, and then the control copy.
    pub(super) fn in_files(self, workspace: &Workspace, report: &mut Report) -> Outcome {
        let in_files = self.searcher.search(&below(workspace, STORE)?)?;
        let control = self.searcher.search(&[workspace.join(CONTROL)])?;
        let all = self.searcher.needles.len();
        for (when, found) in [("in the journals", &self.in_journals), ("in the files", &in_files)] {
            if found.count() > 0 {
                let count = found.count();
                return Err(broken(format!(
                    "{count} of {all} pieces of what was stored {when} lie on the disk in the open"
                )));
            }
            // Sealed it is as long as it was, and more.
            let holding = found.bytes_of("journal") + found.bytes_of("redb");
            if holding < self.stored || found.bytes_of("keyring") == 0 || found.bytes_of("lane") == 0 {
                return Err(broken("the search is no proof: it passed over files of the store"));
            }
        }
        if control.count() < all {
            return Err(broken(format!(
                "the search is no proof: it found {} of {all} in the control copy",
                control.count()
            )));
        }
        report.add(
            format!(
                "Searched {} files ({}) for {} lines, record keys and names, and {} files ({}) after the checkpoint: \
                 journals, tenants' files and key stores",
                grouped(self.in_journals.files),
                size(self.in_journals.bytes),
                grouped(all as u64),
                grouped(in_files.files),
                size(in_files.bytes),
            ),
            format!("none found; in an unsealed control copy the same search finds all {}", grouped(all as u64)),
        );
        Ok(())
    }
}

/// Everything in the workspace whose name begins with `name`: the store, its regions, key stores and root key.
pub(super) fn below(workspace: &Workspace, name: &str) -> Outcome<Vec<PathBuf>> {
    let failed = |error: io::Error| Failure::io(workspace.path().display(), &error);
    let mut places = Vec::new();
    for entry in std::fs::read_dir(workspace.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            places.push(entry.path());
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_wherever_they_lie_and_nothing_else_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let needles =
            [&b"a needle of some length"[..], b"needle of some", b"at the end", b"is not there", b"\0\xff\0"];
        let mut hay = vec![b'.'; 2 * CHUNK_BYTES + 100];
        // Over the border of two pieces, and inside of one another.
        hay[CHUNK_BYTES - 5..][..needles[0].len()].copy_from_slice(needles[0]);
        hay.extend(needles[2]);
        std::fs::write(directory.path().join("hay"), &hay).expect("writes");
        std::fs::write(directory.path().join("other"), needles[4]).expect("writes");
        let searcher = Searcher::new(needles.map(<[u8]>::to_vec).to_vec()).expect("builds");
        let found = searcher.search(&[directory.path().to_owned()]).map_err(|_| "fails").expect("searches");
        assert_eq!(found.needles, [true, true, true, false, true]);
        assert_eq!((found.files, found.bytes), (2, hay.len() as u64 + 3));
        assert_eq!((found.bytes_of(""), found.bytes_of("redb")), (found.bytes, 0));
    }
}
