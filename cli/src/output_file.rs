//! A file that appears whole or not at all: written beside its place, synced, renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use strongroom::ErrorKind;
use tempfile::{Builder, NamedTempFile};

use crate::failure::{Failure, Outcome};

/// A file being written, with mode 0600. Dropped before [`OutputFile::finish`], it leaves nothing.
pub(crate) struct OutputFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    force: bool,
}

impl OutputFile {
    /// Begins a file. One that is there is refused without `force`; what is no file, always.
    pub(crate) fn create(path: &Path, force: bool) -> Outcome<Self> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(path.display(), &error)),
            Ok(metadata) if !metadata.is_file() => {
                let message = format!("{} is there and is not a plain file: name another", path.display());
                return Err(Failure::new(ErrorKind::InvalidArgument, message));
            }
            Ok(_) if !force => return Err(already_there(path)),
            Ok(_) => {}
        }
        let file = Builder::new().prefix(".strongroom-").tempfile_in(directory_of(path));
        let file = file.map_err(|error| Failure::io(format!("making {}", path.display()), &error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 16, file), force })
    }

    /// Syncs the file and gives it its name.
    pub(crate) fn finish(self) -> Outcome {
        let Self { path, file, force } = self;
        let failed = |error: &io::Error| Failure::io(format!("writing {}", path.display()), error);
        let file = file.into_inner().map_err(|error| failed(error.error()))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        let renamed = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
        if let Err(error) = renamed {
            return Err(match error.error.kind() {
                io::ErrorKind::AlreadyExists => already_there(&path),
                _ => failed(&error.error),
            });
        }
        sync_directory(directory_of(&path)).map_err(|error| failed(&error))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn already_there(path: &Path) -> Failure {
    Failure::new(
        ErrorKind::AlreadyExists,
        format!("{} is there already: name another, or give --force", path.display()),
    )
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the new name durable, where the operating system lets a directory be synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
