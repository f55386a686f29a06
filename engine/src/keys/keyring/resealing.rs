//! New section keys (revocation): every slot, the anchor and the headers are sealed anew, so that who has the old section keys
//! opens nothing that is written from then on (FORMAT.md section 4.9).
//!
//! What the files are to be is written to a file beside them first, whole and synced; then they are written over, and that file
//! is wiped. Power may go at any moment: as long as that file is whole, opening the keyring writes over again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::aead::Xaes;
use crate::crypto::{SectionKey, equal, kdf};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::keys::anchor::AnchorSealer;
use crate::keys::header::{BLOCK, Header, Holder, array};
use crate::keys::keyring::destroying::wipe;
use crate::keys::keyring::opening::unwrap_header;
use crate::keys::keyring::{Keyring, header_key};
use crate::keys::provider::{Providers, Section};
use crate::keys::slot::{EMPTY, Raw, SlotKind, SlotSealer, SlotStatus};
use crate::keys::twins::{Block, FIRST, SLOTS_A_BLOCK, Slot, put_slot, write_pairs};

const MAGIC: &[u8; 8] = b"SRRESEAL";
const FORMAT_VERSION: u16 = 1;
const MAC_OFFSET: usize = BLOCK - 32;
/// The first block behind the two copies of the header.
const IMAGE: u64 = 2;
/// Pairs of blocks that are written between two syncs.
const PAIRS_AT_ONCE: u64 = 1_024;

/// The file that says what a keyring is to be.
pub(super) fn resealed_path(keyring: &Path) -> PathBuf {
    keyring.with_extension("resealed")
}

/// The new section keys, and what seals under them.
struct Sections {
    header: Header,
    header_key: Zeroizing<[u8; 32]>,
    mac_key: Zeroizing<[u8; 32]>,
    sealer: SlotSealer,
    anchors: AnchorSealer,
    structure_keys: Xaes,
    content_keys: Xaes,
}

/// How long the parts of the file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Pairs of blocks of the keyring's own slots.
    own: u64,
    /// Pairs of blocks of subject slots; none where there are none.
    subjects: u64,
}

impl Extent {
    /// The block of the header of the subject slots, where there are any: behind those of the keyring's image.
    fn subjects_at(self) -> u64 {
        IMAGE + FIRST + 2 * self.own
    }

    fn encode(self, store: StoreId, tenant: TenantId, mac_key: &[u8; 32]) -> Block {
        let mut block = [0; BLOCK];
        let mut put =
            |offset: usize, bytes: &[u8]| block[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(24, store.as_bytes());
        put(40, tenant.as_bytes());
        put(56, &self.own.to_le_bytes());
        put(64, &self.subjects.to_le_bytes());
        let mac = kdf::mac(mac_key, &block[..MAC_OFFSET]);
        block[MAC_OFFSET..].copy_from_slice(&mac);
        block
    }

    /// Reads a header; `None` where it is not one that was wholly written.
    fn parse(block: &Block, (store, tenant): (StoreId, TenantId), mac_key: &[u8; 32]) -> Option<Self> {
        let extent = Self {
            own: u64::from_le_bytes(array(block, 56)),
            subjects: u64::from_le_bytes(array(block, 64)),
        };
        let again = extent.encode(store, tenant, mac_key);
        equal(&again[MAC_OFFSET..], &block[MAC_OFFSET..]).then_some(extent).filter(|_| again == *block)
    }
}

fn mac_key(structure: &SectionKey) -> Result<Zeroizing<[u8; 32]>> {
    kdf::expand(structure.as_bytes(), b"strongroom/1 resealed", b"")
}

impl Keyring {
    /// Seals everything anew under new section keys, durable when this returns. Nobody else has the keyring open, and this one
    /// is done with.
    ///
    /// # Errors
    /// `KeyUnavailable` from the provider, and nothing is changed; `Corrupted` where a slot was lost; `Io`: then the next open
    /// ends what was begun, or nothing was.
    pub(crate) fn renew_sections(self, path: &Path) -> Result<()> {
        let (disk, ids) = (Arc::clone(&self.disk), (self.store, self.tenant));
        let (providers, tenant) = (self.providers.clone(), self.tenant);
        let begun = self.write_resealed(path);
        drop(self);
        let done = begun.and_then(|()| finish_resealing(&*disk, path, ids, &providers));
        done.map_err(|error| error.within(format_args!("new section keys of tenant {tenant}")))
    }

    fn write_resealed(&self, path: &Path) -> Result<()> {
        let sections = self.new_sections()?;
        let old_content = self.content_keys()?;
        let log = resealed_path(path);
        let failed = |error| Error::io(format!("writing {}", log.display()), error);
        let file = self.disk.open(&log, OpenMode::CreateNew).map_err(failed)?;
        let (slots, anchor) = {
            let inner = self.inner.lock();
            (inner.slots.clone(), inner.anchor)
        };
        let mut at = IMAGE;
        let mut put = |block: &Block| {
            let written = file.write_all_at(block, at * BLOCK as u64).map_err(failed);
            at += 1;
            written
        };
        let header = sections.header.encode(&sections.header_key);
        let anchor = sections.anchors.seal(&*self.entropy, &anchor)?;
        for block in [&header, &header, &anchor, &anchor] {
            put(block)?;
        }
        let mut own = 0;
        for chunk in slots.chunks(SLOTS_A_BLOCK) {
            let first = own * SLOTS_A_BLOCK as u64;
            let block = self.reseal_block(&sections, &old_content, first, chunk)?;
            put(&block)?;
            put(&block)?;
            own += 1;
        }
        let mut extent = Extent { own, subjects: 0 };
        if let Some(subjects) = self.subjects()? {
            let header = Header {
                holder: Holder::Subjects,
                sequence: sections.header.generation.into(),
                provider: String::new(),
                structure: Vec::new(),
                content: Vec::new(),
                ..sections.header.clone()
            };
            put(&header.encode(&sections.header_key))?;
            extent.subjects = subjects.end() / SLOTS_A_BLOCK as u64;
            for pair in 0..extent.subjects {
                let slots = subjects.slots_of(pair);
                let first = pair * SLOTS_A_BLOCK as u64;
                put(&self.reseal_block(&sections, &old_content, first, &slots)?)?;
            }
        }
        // Whole before its header says so, and its name with it.
        file.sync_data().map_err(failed)?;
        let header = extent.encode(self.store, self.tenant, &sections.mac_key);
        for copy in 0..2 {
            let written = file.write_all_at(&header, copy * BLOCK as u64).and_then(|()| file.sync_data());
            written.map_err(failed)?;
        }
        path.parent().map_or(Ok(()), |directory| self.disk.sync_dir(directory)).map_err(failed)
    }

    fn new_sections(&self) -> Result<Sections> {
        let structure = SectionKey::generate(&*self.entropy)?;
        let content = SectionKey::generate(&*self.entropy)?;
        let mut header = self.header.lock().clone();
        header.structure = self.wrap_checked(&header.provider, Section::Structure, &structure)?;
        header.content = self.wrap_checked(&header.provider, Section::Content, &content)?;
        header.sequence += 1;
        header.generation += 1;
        Ok(Sections {
            header,
            header_key: header_key(&structure)?,
            mac_key: mac_key(&structure)?,
            sealer: SlotSealer::new(self.store, self.tenant, &structure)?,
            anchors: AnchorSealer::new(self.store, self.tenant, &structure)?,
            structure_keys: SlotSealer::key_cipher(&structure)?,
            content_keys: SlotSealer::key_cipher(&content)?,
        })
    }

    /// A block of slots, each sealed anew.
    fn reseal_block(&self, new: &Sections, old_content: &Xaes, first: u64, slots: &[Slot]) -> Result<Block> {
        let mut block = [0; BLOCK];
        for (place, (number, slot)) in (first..).zip(slots).enumerate() {
            put_slot(&mut block, place, &self.reseal_slot(new, old_content, number, slot)?);
        }
        Ok(block)
    }

    fn reseal_slot(&self, new: &Sections, old_content: &Xaes, number: u64, slot: &Slot) -> Result<Raw> {
        if slot.raw == EMPTY {
            return Ok(EMPTY);
        }
        let state = slot.state.ok_or_else(|| {
            fail!(Corrupted, "slot {number} is lost: restore the key store from a copy first")
        })?;
        if state.status == SlotStatus::Destroyed {
            return new.sealer.tombstone(&*self.entropy, number, &state);
        }
        let (old_keys, new_keys) = match state.kind {
            SlotKind::Structure => (&self.structure_keys, &new.structure_keys),
            _ => (old_content, &new.content_keys),
        };
        let key = self.sealer.open(old_keys, number, &slot.raw, &state)?;
        let said = (state.kind, state.status, state.attribute);
        new.sealer.seal(&*self.entropy, new_keys, number, said, &key)
    }
}

/// Ends what was begun: writes over the files what they are to be, where that is whole, and wipes it. Needs no content key.
pub(super) fn finish_resealing(
    disk: &dyn Disk,
    path: &Path,
    ids: (StoreId, TenantId),
    providers: &Providers,
) -> Result<()> {
    let log = resealed_path(path);
    let failed = |error| Error::io(format!("reading {}", log.display()), error);
    let file = match disk.open(&log, OpenMode::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let sync_directory =
        || path.parent().map_or(Ok(()), |directory| disk.sync_dir(directory)).map_err(failed);
    // What a process left in the page cache that was killed counts only once it is on the disk, its name too.
    file.sync_data().map_err(failed)?;
    sync_directory()?;
    let read = |index: u64| {
        let mut block = [0; BLOCK];
        // What can't be read now must not pass for what was not written.
        file.read_exact_at(&mut block, index * BLOCK as u64).map(|()| block).map_err(failed)
    };
    let has_header = file.len().map_err(failed)? >= (IMAGE + FIRST) * BLOCK as u64;
    let copies = if has_header { vec![read(0)?, read(1)?] } else { Vec::new() };
    if copies.iter().any(|copy| copy[..8] == *MAGIC) {
        let (_, _, structure) = unwrap_header(&[read(IMAGE)?, read(IMAGE + 1)?], ids, providers)?;
        let mac_key = mac_key(&structure)?;
        if let Some(extent) = copies.iter().find_map(|copy| Extent::parse(copy, ids, &mac_key)) {
            write_over(disk, &*file, path, extent)
                .map_err(|error| Error::io("writing what was sealed anew over the keyring", error))?;
        }
        for copy in 0..2 {
            // From here on it says nothing any more, whatever becomes of the rest.
            let written = file.write_all_at(&[0; BLOCK], copy * BLOCK as u64).and_then(|()| file.sync_data());
            written.map_err(failed)?;
        }
    }
    drop(file);
    wipe(disk, &log)?;
    sync_directory()
}

fn write_over(disk: &dyn Disk, log: &dyn DiskFile, path: &Path, extent: Extent) -> io::Result<()> {
    let read = |index: u64| {
        let mut block = [0; BLOCK];
        log.read_exact_at(&mut block, index * BLOCK as u64).map(|()| block)
    };
    if log.len()? > extent.subjects_at() * BLOCK as u64 {
        let subjects = disk.open(&path.with_extension("slots"), OpenMode::ReadWrite)?;
        let header = read(extent.subjects_at())?;
        let mut pair = 0;
        while pair < extent.subjects {
            let end = extent.subjects.min(pair + PAIRS_AT_ONCE);
            let mut blocks = BTreeMap::new();
            for pair in pair..end {
                blocks.insert(pair, [read(extent.subjects_at() + 1 + pair)?; 2]);
            }
            write_pairs(&*subjects, &blocks)?;
            pair = end;
        }
        for copy in 0..2 {
            subjects.write_all_at(&header, copy * BLOCK as u64)?;
        }
        subjects.sync_data()?;
    }
    let keyring = disk.open(path, OpenMode::ReadWrite)?;
    for index in 0..FIRST + 2 * extent.own {
        keyring.write_all_at(&read(IMAGE + index)?, index * BLOCK as u64)?;
    }
    keyring.sync_data()
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
