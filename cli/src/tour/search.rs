//! Looks for what was stored in everything that lies on the disk.

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
}

impl Found {
    fn count(&self) -> usize {
        self.needles.iter().filter(|found| **found).count()
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
        let mut found = Found { needles: vec![false; self.needles.len()], files: 0, bytes: 0 };
        for place in places {
            for entry in WalkDir::new(place) {
                let entry = entry.map_err(|error| Failure::io(place.display(), &error.into()))?;
                if entry.file_type().is_file() {
                    let searched = self.search_file(entry.path(), &mut found.needles);
                    found.bytes += searched.map_err(|error| Failure::io(entry.path().display(), &error))?;
                    found.files += 1;
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

/// Searches the store, its regions, its key stores and the root key's file, and then the control copy.
pub(super) fn search(workspace: &Workspace, loaded: &Loaded, report: &mut Report) -> Outcome {
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
    let needles: Vec<_> = everything
        .needles
        .into_iter()
        .zip(&own_words.needles)
        .filter(|(_, own)| !**own)
        .map(|(needle, _)| needle)
        .collect();
    let searcher = Searcher::new(needles)?;

    let sealed = searcher.search(&below(workspace, STORE)?)?;
    let control = searcher.search(&[workspace.join(CONTROL)])?;
    let all = searcher.needles.len();
    if sealed.count() > 0 {
        return Err(broken(format!(
            "{} of {all} pieces of what was stored lie on the disk in the open",
            sealed.count()
        )));
    }
    if control.count() < all {
        return Err(broken(format!(
            "the search is no proof: it found {} of {all} in the control copy",
            control.count()
        )));
    }
    report.add(
        format!(
            "Searched {} files ({}), key stores included, for {} lines, record keys and names",
            grouped(sealed.files),
            size(sealed.bytes),
            grouped(all as u64)
        ),
        format!("none found; in an unsealed control copy the same search finds all {}", grouped(all as u64)),
    );
    Ok(())
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
    }
}
