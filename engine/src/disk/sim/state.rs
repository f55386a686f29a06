//! Everything a simulated disk holds, behind one lock: names, inodes, the gate and the conditions.
//!
//! Every operation passes the gate first, so that it is counted and can be struck whether or not it would
//! have succeeded.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Written;
use super::fault::{Gate, Operation, Strike, eio};
use super::image::{Image, PAGE_BYTES};
use super::inode::Inode;
use super::names::{Names, Node};
use crate::disk::{DirectoryEntry, FileInfo, FileKind, OpenMode};

/// What a test has set; survives a power loss.
#[derive(Clone, Default)]
pub(super) struct Conditions {
    pub(super) capacity_bytes: Option<u64>,
    pub(super) without_sync: bool,
    pub(super) read_only: bool,
    pub(super) denied: Vec<PathBuf>,
    pub(super) detached: Vec<PathBuf>,
}

impl Conditions {
    /// Whether a program may reach the path by name.
    fn reach(&self, path: &Path) -> io::Result<()> {
        if self.is_detached(path) {
            Err(io::ErrorKind::NotFound.into())
        } else if self.denied.iter().any(|prefix| path.starts_with(prefix)) {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            Ok(())
        }
    }

    fn change(&self, path: &Path) -> io::Result<()> {
        self.reach(path)?;
        self.writable()
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn is_detached(&self, path: &Path) -> bool {
        self.detached.iter().any(|prefix| path.starts_with(prefix))
    }
}

/// What a handle knows of itself.
#[derive(Debug)]
pub(super) struct Opened {
    /// The path by which it was opened; the file may have another name by now, or none.
    pub(super) path: Arc<Path>,
    inode: u64,
    number: u64,
    writable: bool,
}

pub(super) struct State {
    pub(super) names: Names,
    pub(super) gate: Gate,
    pub(super) conditions: Conditions,
    /// Recorded writes, while recording.
    pub(super) trace: Option<Vec<Written>>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    next_handle: u64,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            names: Names::new(),
            gate: Gate::default(),
            conditions: Conditions::default(),
            trace: None,
            inodes: BTreeMap::new(),
            next_inode: 0,
            next_handle: 0,
        }
    }

    /// The disk as a new process finds it: nothing is open or locked, nothing counted, no fault waits.
    pub(super) fn restarted(&self) -> Self {
        let mut state = Self {
            names: self.names.clone(),
            conditions: self.conditions.clone(),
            inodes: self.inodes.clone(),
            next_inode: self.next_inode,
            ..Self::new()
        };
        for inode in state.inodes.values_mut() {
            (inode.handles, inode.lock) = (0, None);
        }
        state.collect();
        state
    }

    /// Decides what became of the names; files that lost theirs are gone.
    pub(super) fn decide_names(&mut self, decide: impl FnOnce(&mut Names)) {
        decide(&mut self.names);
        let named = self.names.inodes();
        for (number, inode) in &mut self.inodes {
            inode.linked = named.contains(number);
        }
        self.collect();
    }

    /// Decides what became of each file's content.
    pub(super) fn decide_contents(&mut self, decide: impl FnMut(&mut Inode)) {
        self.inodes.values_mut().for_each(decide);
    }

    pub(super) fn inode(&self, number: u64) -> io::Result<&Inode> {
        self.inodes.get(&number).ok_or_else(eio)
    }

    pub(super) fn inode_mut(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or_else(eio)
    }

    /// The inode of a new durable file at `path`, or the one that is there.
    pub(super) fn settled_file(&mut self, path: &Path) -> io::Result<&mut Inode> {
        let above: Vec<_> = path.ancestors().skip(1).collect();
        for directory in above.into_iter().rev() {
            match self.names.get(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.names.create(directory, Node::Directory);
                }
                Ok(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                result => drop(result?),
            }
        }
        let number = match self.names.file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_file(path),
            result => result?,
        };
        self.names.settle_path(path);
        self.inode_mut(number)
    }

    /// Removes a file, or a directory with all below it, durably.
    pub(super) fn remove_settled(&mut self, path: &Path) -> io::Result<()> {
        self.names.get(path)?;
        if path.parent().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let below: Vec<_> = self.names.below(path).map(|(path, node)| (path.to_owned(), node)).collect();
        for (path, node) in below {
            self.names.remove(&path);
            self.unlink(node);
        }
        self.names.settle_path(path);
        self.collect();
        Ok(())
    }

    // Names.

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<Opened> {
        let inode = match mode {
            OpenMode::CreateNew => {
                self.gate.pass(Operation::Metadata)?;
                let path = self.names.resolve(path)?;
                self.conditions.reach(&path)?;
                self.vacant(&path)?;
                self.conditions.writable()?;
                self.room_for_metadata()?;
                let inode = self.create_file(&path);
                self.gate.power()?;
                inode
            }
            OpenMode::Read | OpenMode::ReadWrite => {
                self.gate.pass_read()?;
                let path = self.names.resolve(path)?;
                self.conditions.reach(&path)?;
                if mode == OpenMode::ReadWrite {
                    self.conditions.writable()?;
                }
                self.names.file(&path)?
            }
        };
        let path = self.names.resolve(path)?;
        self.inode_mut(inode)?.handles += 1;
        let number = self.next_handle;
        self.next_handle += 1;
        Ok(Opened { path: path.into(), inode, number, writable: mode != OpenMode::Read })
    }

    pub(super) fn list(&mut self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.gate.pass_read()?;
        let directory = self.names.resolve(directory)?;
        self.conditions.reach(&directory)?;
        self.names.directory(&directory)?;
        let present = self.names.children(&directory).filter(|(path, _)| !self.conditions.is_detached(path));
        let entries = present.filter_map(|(path, node)| {
            Some(DirectoryEntry { name: path.file_name()?.to_owned(), kind: kind_of(node) })
        });
        Ok(entries.collect())
    }

    pub(super) fn info(&mut self, path: &Path) -> io::Result<FileInfo> {
        self.gate.pass_read()?;
        let path = self.names.resolve(path)?;
        self.conditions.reach(&path)?;
        let node = self.names.get(&path)?;
        let (len, allocated_bytes, mode) = match node {
            Node::Directory => (0, 0, 0o700),
            Node::File(number) => {
                let inode = self.inode(number)?;
                (inode.image().len(), inode.image().allocated_bytes(), inode.mode)
            }
        };
        Ok(FileInfo { kind: kind_of(node), len, allocated_bytes, mode: Some(mode) })
    }

    pub(super) fn create_dir_all(&mut self, directory: &Path) -> io::Result<()> {
        let directory = self.names.resolve(directory)?;
        self.conditions.reach(&directory)?;
        let path: Vec<_> = directory.ancestors().collect();
        let missing = path.iter().take_while(|path| self.names.get(path).is_err()).count();
        // As the real disk: a killed process may have left the last directory it created unsynced.
        if let Some(above) = path.get(missing + 1) {
            self.sync_dir(above)?;
        }
        for pair in path[..=missing.min(path.len() - 1)].windows(2).rev() {
            let [path, above] = pair else { continue };
            self.create_dir(path)?;
            self.sync_dir(above)?;
        }
        self.names.directory(&directory)
    }

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.gate.pass(Operation::Metadata)?;
        self.conditions.change(path)?;
        self.vacant(path)?;
        self.room_for_metadata()?;
        self.names.create(path, Node::Directory);
        self.gate.power()
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.gate.pass(Operation::Metadata)?;
        let path = self.names.resolve(path)?;
        self.conditions.change(&path)?;
        let inode = self.names.file(&path)?;
        self.unlink(Node::File(inode));
        self.names.remove(&path);
        self.gate.power()
    }

    pub(super) fn sync_dir(&mut self, directory: &Path) -> io::Result<()> {
        let strike = self.gate.pass(Operation::Sync)?;
        let directory = self.names.resolve(directory)?;
        self.conditions.reach(&directory)?;
        self.names.directory(&directory)?;
        match strike {
            Strike::PowerOff => self.gate.power(),
            Strike::FailedSync => {
                self.names.fail_sync(&directory);
                Err(eio())
            }
            Strike::None | Strike::ShortWrite => {
                if !self.conditions.without_sync {
                    self.names.sync(&directory);
                    self.collect();
                }
                Ok(())
            }
        }
    }

    // Open files.

    pub(super) fn len(&mut self, file: &Opened) -> io::Result<u64> {
        self.gate.pass_read()?;
        Ok(self.attached(file)?.image().len())
    }

    pub(super) fn read(&mut self, file: &Opened, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.gate.pass_read()?;
        let image = self.attached(file)?.image();
        if !buffer.is_empty() && end(offset, buffer.len())? > image.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        image.read(buffer, offset);
        Ok(())
    }

    pub(super) fn write(&mut self, file: &Opened, buffer: &[u8], offset: u64) -> io::Result<()> {
        let strike = self.gate.pass(Operation::Write)?;
        self.for_writing(file)?;
        end(offset, buffer.len())?;
        let fitting = match self.free_pages() {
            Some(pages) => self.inode(file.inode)?.image().fitting(offset, buffer.len(), pages),
            None => buffer.len(),
        };
        let short = strike == Strike::ShortWrite;
        let written: Arc<[u8]> = Arc::from(&buffer[..if short { fitting / 2 } else { fitting }]);
        if let Some(trace) = &mut self.trace {
            trace.push(Written { path: file.path.to_path_buf(), offset, bytes: written.clone() });
        }
        self.inode_mut(file.inode)?.write(written, offset);
        self.gate.power()?;
        if short {
            Err(io::Error::new(io::ErrorKind::WriteZero, "simulated short write"))
        } else if fitting < buffer.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn set_len(&mut self, file: &Opened, len: u64) -> io::Result<()> {
        self.gate.pass(Operation::Metadata)?;
        self.for_writing(file)?;
        end(len, 0)?;
        if len > self.inode(file.inode)?.image().len() {
            self.room_for_metadata()?;
        }
        self.inode_mut(file.inode)?.set_len(len);
        self.gate.power()
    }

    pub(super) fn allocate(&mut self, file: &Opened, len: u64) -> io::Result<()> {
        self.gate.pass(Operation::Metadata)?;
        self.for_writing(file)?;
        end(len, 0)?;
        let image = self.inode(file.inode)?.image();
        if len > image.len() {
            self.room_for_metadata()?;
        }
        if self.free_pages().is_some_and(|free| image.missing_pages(len) > free) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inode_mut(file.inode)?.allocate(len);
        self.gate.power()
    }

    /// The bytes of a mapping: a copy, and one read however it is used.
    pub(super) fn map(&mut self, file: &Opened) -> io::Result<Vec<u8>> {
        self.gate.pass_read()?;
        self.attached(file)?.image().to_bytes()
    }

    pub(super) fn sync_data(&mut self, file: &Opened) -> io::Result<()> {
        let strike = self.gate.pass(Operation::Sync)?;
        self.attached(file)?;
        let without_sync = self.conditions.without_sync;
        let inode = self.inode_mut(file.inode)?;
        match strike {
            Strike::PowerOff => return self.gate.power(),
            Strike::FailedSync => {
                inode.fail_sync();
                return Err(eio());
            }
            Strike::None | Strike::ShortWrite if without_sync => {}
            Strike::None | Strike::ShortWrite => inode.sync(),
        }
        Ok(())
    }

    pub(super) fn try_lock(&mut self, file: &Opened) -> io::Result<bool> {
        self.gate.power()?;
        self.attached(file)?;
        let lock = &mut self.inode_mut(file.inode)?.lock;
        Ok(*lock.get_or_insert(file.number) == file.number)
    }

    pub(super) fn unlock(&mut self, file: &Opened) -> io::Result<()> {
        self.gate.power()?;
        let lock = &mut self.inode_mut(file.inode)?.lock;
        if *lock == Some(file.number) {
            *lock = None;
        }
        Ok(())
    }

    /// Closes a handle. Works without power too: the process that held it ends.
    pub(super) fn close(&mut self, file: &Opened) {
        if let Some(inode) = self.inodes.get_mut(&file.inode) {
            inode.handles = inode.handles.saturating_sub(1);
            if inode.lock == Some(file.number) {
                inode.lock = None;
            }
            if !inode.linked && inode.handles == 0 {
                self.collect();
            }
        }
    }

    /// The inode of a handle whose directory has not vanished.
    fn attached(&self, file: &Opened) -> io::Result<&Inode> {
        if self.conditions.is_detached(&file.path) {
            return Err(io::Error::other("simulated loss of the device"));
        }
        self.inode(file.inode)
    }

    fn for_writing(&self, file: &Opened) -> io::Result<()> {
        self.attached(file)?;
        self.conditions.writable()?;
        if file.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn create_file(&mut self, path: &Path) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::new());
        self.names.create(path, Node::File(number));
        number
    }

    /// An error where a new name cannot be put.
    fn vacant(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.names.directory(path.parent().unwrap_or(path))
            }
            Err(error) => Err(error),
        }
    }

    fn unlink(&mut self, node: Node) {
        if let Node::File(number) = node
            && let Some(inode) = self.inodes.get_mut(&number)
        {
            inode.linked = false;
        }
    }

    /// Forgets the files that nothing can reach any more, not even after a power loss.
    fn collect(&mut self) {
        if self.inodes.values().any(|inode| !inode.linked && inode.handles == 0) {
            let named = self.names.inodes();
            self.inodes.retain(|number, inode| inode.handles > 0 || named.contains(number));
        }
    }

    fn room_for_metadata(&self) -> io::Result<()> {
        if self.gate.is_full() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// How many pages can still be allocated; none where there is no bound.
    fn free_pages(&self) -> Option<u64> {
        if self.gate.is_full() {
            return Some(0);
        }
        let capacity = self.conditions.capacity_bytes?;
        let present = self.inodes.values().filter(|inode| inode.linked || inode.handles > 0);
        let allocated: u64 = present.map(|inode| inode.image().allocated_bytes()).sum();
        Some(capacity.saturating_sub(allocated) / PAGE_BYTES as u64)
    }

    /// The same in bytes.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.free_pages().map(|pages| pages * PAGE_BYTES as u64)
    }

    /// The content of a file, past every fault and condition.
    pub(super) fn image(&self, path: &Path) -> io::Result<Image> {
        let path = self.names.resolve(path)?;
        Ok(self.inode(self.names.file(&path)?)?.image().clone())
    }
}

fn kind_of(node: Node) -> FileKind {
    match node {
        Node::Directory => FileKind::Directory,
        Node::File(_) => FileKind::File,
    }
}

/// The end of a range, if a file can be that long: lengths are signed in every system.
fn end(offset: u64, len: usize) -> io::Result<u64> {
    match offset.checked_add(len as u64) {
        Some(end) if i64::try_from(end).is_ok() => Ok(end),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
