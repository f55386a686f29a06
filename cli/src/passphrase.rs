//! The passphrase, from its file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use strongroom::{ErrorKind, Passphrase};

use crate::failure::{Failure, Outcome};

const BYTES_MAX: usize = 4_096;

/// Reads a passphrase: the file's bytes, without one line ending at their end.
pub(crate) fn read(path: &Path) -> Outcome<Passphrase> {
    let failed = |what: &str, error: &std::io::Error| {
        let message = format!("the passphrase file {} can't be {what}: {error}", path.display());
        Failure::new(ErrorKind::KeyUnavailable, message)
    };
    let file = File::open(path).map_err(|error| failed("opened", &error))?;
    check_mode(&file, path)?;
    // Room for all of it from the start: a buffer that grows leaves copies of the passphrase behind.
    let mut bytes = Vec::with_capacity(BYTES_MAX + 64);
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed("read", &error))?;
    if bytes.len() > BYTES_MAX {
        let message = format!("the passphrase file {} has more than {BYTES_MAX} bytes", path.display());
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        let message = format!("the passphrase file {} holds no passphrase", path.display());
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    Ok(Passphrase::new(bytes))
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Outcome {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    let metadata = file
        .metadata()
        .map_err(|error| Failure::io(format!("the passphrase file {}", path.display()), &error))?;
    // A pipe, as a shell's <(...) gives, is nobody else's to open.
    if metadata.mode() & 0o007 != 0 && !metadata.file_type().is_fifo() {
        let message = format!(
            "the passphrase file {} has mode {:04o}, so everybody has access: chmod 0600 it",
            path.display(),
            metadata.mode() & 0o7777
        );
        return Err(Failure::new(ErrorKind::KeyUnavailable, message));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Outcome {
    Ok(())
}
