//! The tour's temporary directory, removed at the end, after a failure, and when the tour is interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom::{Config, Engine, KeyFile, RegionPaths};
use tempfile::TempDir;

use super::{REGION, say};
use crate::failure::{Failure, Outcome};

/// What an interrupted process's status is, by custom.
const INTERRUPTED: i32 = 130;
/// How often the removal of a directory is tried in which others still make files.
const ATTEMPTS: usize = 1_000;

/// The directory, mode 0700, and what is where in it.
pub(super) struct Workspace {
    /// Empty once removed, by the end of the tour or by the thread that handles an interruption.
    directory: Arc<Mutex<Option<TempDir>>>,
    path: PathBuf,
    keep: bool,
}

impl Workspace {
    pub(super) fn create(keep: bool) -> Outcome<Self> {
        let mut directory = tempfile::Builder::new()
            .prefix("strongroom-tour-")
            .tempdir()
            .map_err(|error| Failure::io("making a temporary directory", &error))?;
        directory.disable_cleanup(keep);
        // Its real path, as the engine will report it.
        let path = directory.path().canonicalize().unwrap_or_else(|_| directory.path().to_owned());
        let directory = Arc::new(Mutex::new(Some(directory)));
        let shared = Arc::clone(&directory);
        // Without the handler an interrupted tour leaves the directory: no reason not to go on.
        let _ = ctrlc::set_handler(move || {
            let directory = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(directory) = directory.filter(|_| !keep) {
                remove(directory);
            }
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { directory, path, keep })
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration of the store `name`, with a second region. Closing it makes no checkpoint: what is in the journal
    /// stays there until the tour says otherwise.
    pub(super) fn config(&self, name: &str, root_key: &str) -> Config {
        Config::new(self.join(name))
            .close_budget(Duration::ZERO)
            .region(REGION, RegionPaths::new(self.join(&format!("{name}-{REGION}"))))
            .key_provider("default", KeyFile::at(self.join(root_key)))
    }

    pub(super) fn create_store(&self, name: &str) -> Outcome<Engine> {
        Ok(Engine::create(self.config(name, &format!("{name}.root-key")))?)
    }

    /// Opens the tour's store.
    pub(super) fn open(&self) -> Outcome<Engine> {
        Ok(Engine::open(self.config(STORE, &format!("{STORE}.root-key")))?)
    }

    /// Waits for the end of the process, if an interruption has taken the directory: what failed since then failed because it
    /// goes away.
    pub(super) fn end_if_interrupted(&self) {
        while self.directory.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            std::thread::park();
        }
    }

    /// Removes the directory, or says where it is.
    pub(super) fn remove(self) -> Outcome {
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.keep {
            say(&format!("Kept, with an unsealed copy of your files in it: {}", self.path.display()));
            return Ok(());
        }
        match directory.map(TempDir::close) {
            Some(Err(error)) => Err(Failure::io(format!("removing {}", self.path.display()), &error)),
            _ => Ok(()),
        }
    }
}

/// The tour's store, in the directory; with its key store and root key beside it.
pub(super) const STORE: &str = "store";
/// An empty store, to see what a store holds in the open before anything is put.
pub(super) const EMPTY: &str = "empty";
/// The unsealed control copy.
pub(super) const CONTROL: &str = "control.redb";
/// Copies of files that are attacked.
pub(super) const COPIES: &str = "copies";

/// Removes the directory while threads of stores in it may still make a file.
fn remove(directory: TempDir) {
    let path = directory.keep();
    for _ in 0..ATTEMPTS {
        if fs::remove_dir_all(&path).is_ok() || !path.exists() {
            return;
        }
    }
}
