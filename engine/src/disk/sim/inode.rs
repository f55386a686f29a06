//! One file: what reads see, what the device holds, and the operations in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chance::{Chance, Fate};
use super::image::{Image, SECTOR_BYTES, spans};

/// An operation that no sync has covered.
#[derive(Clone)]
enum Change {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen(u64),
    /// Allocation and length are one piece of metadata: they become durable or are lost together. Real file
    /// systems may keep the one without the other, which nobody can see but by the room that is left.
    Allocate(u64),
}

/// A file without its name.
#[derive(Clone)]
pub(super) struct Inode {
    /// What reads see: the page cache.
    visible: Image,
    /// What is on the device for certain.
    durable: Image,
    pending: Vec<Change>,
    pub(super) mode: u32,
    /// Whether a visible name leads here. Without one the file lives as long as it is open.
    pub(super) linked: bool,
    /// How many handles are open.
    pub(super) handles: usize,
    /// The handle that holds the lock.
    pub(super) lock: Option<u64>,
}

impl Inode {
    pub(super) fn new() -> Self {
        Self::with_image(Image::default())
    }

    /// A file whose whole content is durable.
    pub(super) fn with_image(image: Image) -> Self {
        Self {
            visible: image.clone(),
            durable: image,
            pending: Vec::new(),
            mode: 0o600,
            linked: true,
            handles: 0,
            lock: None,
        }
    }

    pub(super) fn image(&self) -> &Image {
        &self.visible
    }

    /// Replaces the content; the new one is durable.
    pub(super) fn replace(&mut self, image: Image) {
        self.durable = image.clone();
        self.visible = image;
        self.pending.clear();
    }

    /// Makes all that reads see durable, also what a failed sync lost.
    pub(super) fn settle(&mut self) {
        self.durable = self.visible.clone();
        self.pending.clear();
    }

    pub(super) fn write(&mut self, bytes: Arc<[u8]>, offset: u64) {
        // An empty write changes nothing, not even the length.
        if bytes.is_empty() {
            return;
        }
        let change = Change::Write { offset, bytes };
        change.apply(&mut self.visible);
        self.pending.push(change);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.visible.set_len(len);
        self.pending.push(Change::SetLen(len));
    }

    pub(super) fn allocate(&mut self, len: u64) {
        self.visible.allocate(len);
        self.pending.push(Change::Allocate(len));
    }

    /// Applies what is pending rather than copying what is visible: that may show what a failed sync lost.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Forgets what is pending: it stays visible and never becomes durable.
    pub(super) fn fail_sync(&mut self) {
        self.pending.clear();
    }

    /// Loses everything that was not synced.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
        self.visible = self.durable.clone();
    }

    /// Loses a part of what was not synced. Two rules keep the outcome possible:
    /// - A sector on the device is the page cache's sector of some moment. Hence where a write reached it,
    ///   so did all earlier writes of that sector.
    /// - A file's length is metadata, which file systems order: a prefix of its changes survives. What was
    ///   written beyond the surviving length is out of reach; what the length covers and no write reached
    ///   is zero.
    pub(super) fn lose_some(&mut self, chance: &mut Chance) {
        let newest = self.newest_of_each_sector(chance);
        let lengths = chance.prefix(self.pending.len());
        for (index, change) in self.pending.drain(..).enumerate() {
            match change {
                Change::SetLen(len) if index < lengths => self.durable.set_len(len),
                Change::Allocate(len) if index < lengths => self.durable.allocate(len),
                Change::SetLen(_) | Change::Allocate(_) => {}
                Change::Write { offset, bytes } => {
                    if index < lengths {
                        self.durable.grow(offset + bytes.len() as u64);
                    }
                    for span in spans(offset, bytes.len(), SECTOR_BYTES) {
                        if newest.get(&span.index).is_some_and(|newest| index <= *newest) {
                            let start = offset + span.bytes.start as u64;
                            self.durable.write(&bytes[span.bytes], start);
                        }
                    }
                }
            }
        }
        self.visible = self.durable.clone();
    }

    /// The index of the last write that reached the device, for each sector that one did reach.
    fn newest_of_each_sector(&self, chance: &mut Chance) -> BTreeMap<u64, usize> {
        let mut newest = BTreeMap::new();
        for (index, change) in self.pending.iter().enumerate() {
            let Change::Write { offset, bytes } = change else { continue };
            let fate = chance.fate();
            if fate == Fate::Lost {
                continue;
            }
            for span in spans(*offset, bytes.len(), SECTOR_BYTES) {
                if fate == Fate::Kept || chance.coin() {
                    newest.insert(span.index, index);
                }
            }
        }
        newest
    }
}

impl Change {
    fn apply(&self, image: &mut Image) {
        match self {
            Self::Write { offset, bytes } => {
                image.grow(offset + bytes.len() as u64);
                image.write(bytes, *offset);
            }
            Self::SetLen(len) => image.set_len(*len),
            Self::Allocate(len) => image.allocate(*len),
        }
    }
}
