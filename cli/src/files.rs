//! Files as records: a file's bytes, and the key it goes under.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use strongroom::limits::VALUE_BYTES_MAX;

/// A file's bytes; of one that is too large, one byte more than a value may have.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut value = Vec::with_capacity(length.min(VALUE_BYTES_MAX) + 1);
    file.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value)?;
    Ok(value)
}

/// How a file begins, whole up to the longest value of a batch; and of a longer one the rest.
pub(crate) fn begin_file(path: &Path) -> io::Result<(Vec<u8>, Option<File>)> {
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut begin = Vec::with_capacity(length.min(VALUE_BYTES_MAX) + 1);
    file.by_ref().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut begin)?;
    let is_longer = begin.len() > VALUE_BYTES_MAX;
    Ok((begin, is_longer.then_some(file)))
}

/// The path below `root`, its parts joined by '/': on Unix its very bytes.
pub(crate) fn record_key(root: &Path, path: &Path) -> Vec<u8> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().as_encoded_bytes()).collect();
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_path_below_the_root() {
        for (root, path, key) in [("a", "a/b/c d", "b/c d"), (".", "./x", "x"), ("a/", "a/\u{e9}", "\u{e9}")]
        {
            assert_eq!(record_key(Path::new(root), Path::new(path)), key.as_bytes());
        }
    }
}
