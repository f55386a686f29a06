//! The names of files and directories: what programs see, what the device holds, and the changes in
//! between.
//!
//! A change is durable after a sync of its directory. Changes of different names are independent: a power loss may
//! keep the later one only.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::{io, mem};

use super::chance::Chance;

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    /// The number of an inode.
    File(u64),
}

#[derive(Clone)]
enum Change {
    Create { path: Arc<Path>, node: Node },
    Remove { path: Arc<Path> },
}

type Map = BTreeMap<Arc<Path>, Node>;

/// All names of a disk, by normalised absolute path.
#[derive(Clone)]
pub(super) struct Names {
    visible: Map,
    durable: Map,
    pending: Vec<Change>,
}

impl Names {
    /// A root directory and nothing in it.
    pub(super) fn new() -> Self {
        let root = Map::from([(Arc::from(root()), Node::Directory)]);
        Self { visible: root.clone(), durable: root, pending: Vec::new() }
    }

    /// The normalised absolute path; relative ones start at the root. There are no links, so `..` may be
    /// taken literally, if what it leaves is a directory.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        if path.as_os_str().is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for above in path.ancestors() {
            if above.components().next_back() == Some(Component::ParentDir)
                && let Some(left) = above.parent()
            {
                self.directory(&normalised(left))?;
            }
        }
        Ok(normalised(path))
    }

    /// What `path` leads to.
    pub(super) fn get(&self, path: &Path) -> io::Result<Node> {
        if let Some(node) = self.visible.get(path) {
            return Ok(*node);
        }
        let below_file = path.ancestors().any(|above| matches!(self.visible.get(above), Some(Node::File(_))));
        Err(if below_file { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound }.into())
    }

    /// The inode of the file at `path`.
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.get(path)? {
            Node::File(inode) => Ok(inode),
            Node::Directory => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// An error where `path` is not a directory.
    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        match self.get(path)? {
            Node::Directory => Ok(()),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The names in a directory, sorted.
    pub(super) fn children<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (&'a Path, Node)> {
        self.below(directory).filter(move |(path, _)| path.parent() == Some(directory))
    }

    /// `path` and all below it, sorted: paths sort by component, so they stand together.
    pub(super) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, Node)> {
        self.visible
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .map(|(path, node)| (&**path, *node))
            .take_while(move |(below, _)| below.starts_with(path))
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) {
        self.change(Change::Create { path: path.into(), node });
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(Change::Remove { path: path.into() });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.visible);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self, directory: &Path) {
        for change in self.take_pending(|path| path.parent() == Some(directory)) {
            change.apply(&mut self.durable);
        }
    }

    /// Forgets what is pending in a directory: it stays visible and never becomes durable.
    pub(super) fn fail_sync(&mut self, directory: &Path) {
        drop(self.take_pending(|path| path.parent() == Some(directory)));
    }

    /// Makes all names that are seen durable.
    pub(super) fn settle(&mut self) {
        self.pending.clear();
        self.durable = self.visible.clone();
    }

    /// Makes the names of `path`, all above it and all below it durable.
    pub(super) fn settle_path(&mut self, path: &Path) {
        for change in self.take_pending(|other| other.starts_with(path) || path.starts_with(other)) {
            change.apply(&mut self.durable);
        }
        // What a failed sync dropped is no longer pending.
        self.durable.retain(|other, _| !other.starts_with(path));
        let above = path.ancestors().filter_map(|above| self.visible.get_key_value(above));
        let below = self.visible.iter().filter(|(other, _)| other.starts_with(path));
        let settled: Vec<_> = above.chain(below).map(|(path, node)| (path.clone(), *node)).collect();
        self.durable.extend(settled);
    }

    /// Loses everything that was not synced.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
        self.surface();
    }

    /// Loses a part of what was not synced. Where a change is lost, so are the later ones of its names.
    pub(super) fn lose_some(&mut self, chance: &mut Chance) {
        let mut lost = BTreeSet::new();
        for change in mem::take(&mut self.pending) {
            if chance.kept() && !lost.contains(change.path()) {
                change.apply(&mut self.durable);
            } else {
                lost.insert(Arc::clone(change.path()));
            }
        }
        self.surface();
    }

    /// The inodes that a name leads to, or would after some power loss.
    pub(super) fn inodes(&self) -> BTreeSet<u64> {
        let nodes = self.visible.values().chain(self.durable.values());
        let pending = self.pending.iter().filter_map(Change::node);
        nodes
            .chain(pending)
            .filter_map(|node| match node {
                Node::File(inode) => Some(*inode),
                Node::Directory => None,
            })
            .collect()
    }

    /// Shows what is durable, without what lies in a directory that is not.
    fn surface(&mut self) {
        let mut reached: BTreeSet<Arc<Path>> = BTreeSet::new();
        self.durable.retain(|path, node| {
            let kept = path.parent().is_none_or(|above| reached.contains(above));
            if kept && *node == Node::Directory {
                reached.insert(path.clone());
            }
            kept
        });
        self.visible = self.durable.clone();
    }

    /// Takes out the changes of the `chosen` names, in order.
    fn take_pending(&mut self, chosen: impl Fn(&Path) -> bool) -> Vec<Change> {
        let (taken, left) =
            mem::take(&mut self.pending).into_iter().partition(|change| chosen(change.path()));
        self.pending = left;
        taken
    }
}

impl Change {
    /// Tolerates that the change before it is missing: a failed sync may have dropped it.
    fn apply(&self, map: &mut Map) {
        match self {
            Self::Create { path, node } => {
                map.insert(path.clone(), *node);
            }
            Self::Remove { path } => {
                map.remove(path);
            }
        }
    }

    fn path(&self) -> &Arc<Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path,
        }
    }

    fn node(&self) -> Option<&Node> {
        match self {
            Self::Create { node, .. } => Some(node),
            Self::Remove { .. } => None,
        }
    }
}

/// The normalised absolute path, whatever exists.
pub(super) fn normalised(path: &Path) -> PathBuf {
    let mut normalised = PathBuf::from(root());
    for component in path.components() {
        match component {
            Component::Normal(name) => normalised.push(name),
            Component::ParentDir => drop(normalised.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    normalised
}

fn root() -> &'static Path {
    Path::new("/")
}
