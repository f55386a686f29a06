//! Runs the program on a store of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory for one test, removed at its end, with a store named `data` in it.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Place {
    /// A directory without a store.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A directory with a store, and a tenant `acme` in it.
    pub(crate) fn with_tenant() -> Self {
        let place = Self::empty();
        place.ok(["init"]);
        place.ok(["tenant", "create", "acme"]);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The program, to be run in the directory, on its store.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("STRONGROOM_STORE", "data");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Run {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything.
        let _ = stdin.write_all(input);
        drop(stdin);
        Run::of(&child.wait_with_output().unwrap())
    }

    /// Runs the program, which must succeed and say nothing on standard error; gives its standard output.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let run = self.run(arguments);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        run.stdout
    }

    /// The same, as text.
    pub(crate) fn text<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        String::from_utf8(self.ok(arguments)).unwrap()
    }

    /// The same, as JSON.
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        serde_json::from_slice(&self.ok(arguments)).unwrap()
    }

    /// Runs the program, which must fail with this status, one sentence on standard error, and nothing on standard output.
    pub(crate) fn fails<S: AsRef<OsStr>>(
        &self,
        status: i32,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let run = self.run(arguments);
        assert_eq!(run.status, status, "{}", run.stderr);
        assert!(run.stdout.is_empty(), "{}", String::from_utf8_lossy(&run.stdout));
        assert!(run.stderr.starts_with("strongroom: ") && run.stderr.lines().count() == 1, "{}", run.stderr);
        run.stderr
    }

    /// Every file below the directory, and its bytes. The locks are left out: they say which process took them last.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.directory.path(), &mut files);
        files.retain(|path, _| path.file_name() != Some(OsStr::new("strongroom.lock")));
        files
    }

    pub(crate) fn tenant_id(&self, tenant: &str) -> String {
        self.json(["--json", "tenant", "show", tenant])["id"].as_str().unwrap().to_owned()
    }

    /// The one file below the store's directory whose name ends so and begins with the tenant's id.
    pub(crate) fn tenant_file(&self, tenant: &str, ending: &str) -> PathBuf {
        let id = self.tenant_id(tenant);
        let is_it = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&id) && name.ends_with(ending)
        };
        self.files().into_keys().find(|path| is_it(path)).unwrap()
    }
}

impl Run {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: output.stdout.clone(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Waits for a program that was begun.
    pub(crate) fn of_child(child: Child) -> Self {
        Self::of(&child.wait_with_output().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}
