//! A directory: each regular file below it is a record.

use std::io::Read;
use std::path::Path;

use strongroom::{Collection, PutOptions, Tenant};
use walkdir::WalkDir;

use super::loader::{Loader, Pending, Place};
use crate::failure::Outcome;
use crate::files::{begin_file, record_key};
use crate::text::counted;

/// Imports every regular file below `root`, in the order of their names. Symbolic links are not followed.
pub(super) fn import(
    loader: &mut Loader<'_>,
    tenant: &Tenant,
    collection: &Collection,
    root: &Path,
) -> Outcome {
    let (mut links, mut others, mut bytes, mut number) = (0, 0, 0, 0);
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                number += 1;
                let path = error.path().unwrap_or(root).display().to_string();
                if !loader.begins(number, path.as_bytes())? {
                    continue;
                }
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
        number += 1;
        if !loader.begins(number, entry.path().as_os_str().as_encoded_bytes())? {
            continue;
        }
        let place = entry.path().display();
        let key = record_key(root, entry.path());
        let options = PutOptions::new();
        match begin_file(entry.path()) {
            Ok((value, None)) => {
                bytes += value.len() as u64;
                let (tenant, collection) = (tenant.clone(), collection.clone());
                loader.add(place, Pending { tenant, collection, key, value, options })?;
            }
            Ok((begin, Some(rest))) => {
                let place = Place { collection, key: &key };
                bytes +=
                    loader.add_large(entry.path().display(), place, (&begin[..]).chain(rest), options)?;
            }
            Err(error) => loader.refuse(place, format_args!("can't be read: {error}"))?,
        }
        loader.progress_to(bytes);
    }
    for (count, thing, what) in
        [(links, "symbolic link", "not followed"), (others, "special file", "not read")]
    {
        if count > 0 {
            loader.note(format_args!("{} {what}", counted(count, thing)));
        }
    }
    Ok(())
}
