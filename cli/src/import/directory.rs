//! A directory: each regular file below it is a record.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{Collection, PutOptions};
use walkdir::WalkDir;

use super::loader::{Loader, Pending};
use crate::failure::Outcome;
use crate::text::grouped;

/// Imports every regular file below `root`, in the order of their names. Symbolic links are not followed.
pub(super) fn import(loader: &mut Loader<'_>, collection: &Collection, root: &Path) -> Outcome {
    let (mut links, mut others, mut bytes) = (0, 0, 0);
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(root).display().to_string();
                loader.refuse(path, format_args!("can't be read: {error}"))?;
                continue;
            }
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            *(if kind.is_symlink() { &mut links } else { &mut others }) += 1;
            continue;
        }
        let place = entry.path().display();
        match read_file(entry.path()) {
            Ok(value) => {
                bytes += value.len() as u64;
                let key = record_key(root, entry.path());
                let options = PutOptions::new();
                loader.add(place, Pending { collection: collection.clone(), key, value, options })?;
            }
            Err(error) => loader.refuse(place, format_args!("can't be read: {error}"))?,
        }
        loader.progress_to(bytes);
    }
    for (count, what) in [(links, "symbolic links were not followed"), (others, "special files were passed over")] {
        if count > 0 {
            loader.note(format_args!("{} {what}", grouped(count)));
        }
    }
    Ok(())
}

/// A file's bytes; of one that is too large, one byte more than a value may have.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut value = Vec::with_capacity(length.min(VALUE_BYTES_MAX) + 1);
    file.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value)?;
    Ok(value)
}

/// The path below `root`, its parts joined by '/': on Unix its very bytes.
pub(crate) fn record_key(root: &Path, path: &Path) -> Vec<u8> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().as_encoded_bytes()).collect();
    parts.join(&b'/')
}
