//! Opening a keyring: every copy of everything is authenticated, and what is damaged in one copy only is mended.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::crypto::{Entropy, SectionKey};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::keys::anchor::AnchorSealer;
use crate::keys::header::{BLOCK, Header, Holder};
use crate::keys::keyring::{ANCHORS, Found, Keyring, KeyringHealth, SLOT_MAX, header_key, image, is_own};
use crate::keys::provider::{Providers, Section, WrapContext};
use crate::keys::slot::{EMPTY, SLOT_BYTES, SlotSealer};
use crate::keys::twins::{FIRST, SLOTS_A_BLOCK, Slot, choose, read_block, write_pairs};

impl Keyring {
    pub(super) fn open_inner(
        disk: &Arc<dyn Disk>,
        path: &Path,
        (store, tenant): (StoreId, TenantId),
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        let file = disk.open(path, OpenMode::ReadWrite).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                fail!(KeyMissing, "there is no such file: restore the key store from a copy")
            } else {
                Error::io("opening", error)
            }
        })?;
        let length = file.len().map_err(|error| Error::io("measuring", error))?;
        if length < (FIRST + 2) * BLOCK as u64 || length % (2 * BLOCK as u64) != 0 || length > SLOT_MAX * 256
        {
            return Err(fail!(Corrupted, "the file has {length} bytes, which no keyring has"));
        }
        // What a process left in the page cache that was killed must be on the disk before anything is destroyed or deleted
        // because of it: a segment that the anchor says is not needed, a key that a slot says is gone.
        file.sync_data().map_err(|error| Error::io("syncing", error))?;
        let read = |index: u64| read_block(&*file, index);
        let mut health = KeyringHealth::default();
        let copies = [read(0), read(1)];
        let (good, header, structure) = unwrap_header(&copies, (store, tenant), providers)?;
        let anchors = AnchorSealer::new(store, tenant, &structure)?;
        let found = [read(ANCHORS), read(ANCHORS + 1)].map(|block| anchors.open(&block));
        health.anchors = found.iter().filter(|anchor| anchor.is_none()).count();
        let anchor = found.into_iter().flatten().max_by_key(|anchor| anchor.sequence);
        let anchor = anchor.ok_or_else(|| fail!(Unauthentic, "neither copy of the anchor authenticates"))?;

        let sealer = SlotSealer::new(store, tenant, &structure)?;
        let mut slots = Vec::new();
        let mut mended = Vec::new();
        for pair in 0..(length / BLOCK as u64 - FIRST) / 2 {
            let (first, second) = (read(FIRST + 2 * pair), read(FIRST + 2 * pair + 1));
            for (a, b) in first.as_chunks::<SLOT_BYTES>().0.iter().zip(second.as_chunks::<SLOT_BYTES>().0) {
                let number = slots.len() as u64;
                let (slot, whole) = choose(&sealer, number, [a, b], is_own);
                if !whole {
                    mended.push(number);
                }
                slots.push(slot);
            }
        }
        while slots.last().is_some_and(|slot| slot.raw == EMPTY) {
            slots.pop();
        }
        for (number, slot) in (0u32..).zip(&slots) {
            if slot.raw != EMPTY && slot.state.is_none() {
                health.lost.push(number);
            }
        }
        health.headers = copies.iter().filter(|copy| **copy != copies[good]).count();
        health.twins = mended.len();
        if health.headers + health.twins > 0 {
            let header = (health.headers > 0).then_some(&copies[good]);
            mend(&*file, header, &mended, &slots)
                .map_err(|error| Error::io("mending a damaged copy from the good one", error))?;
        }
        let found = Found { file, slots, anchor, health };
        Self::assemble(disk, path, found, header, providers, entropy, &structure)
    }
}

/// Finds the copy of the header that counts: the newest that unwraps and authenticates.
pub(super) fn unwrap_header(
    copies: &[[u8; BLOCK]; 2],
    (store, tenant): (StoreId, TenantId),
    providers: &Providers,
) -> Result<(usize, Header, SectionKey)> {
    let mut order = [0, 1];
    let sequence =
        |index: usize| Header::parse(Holder::Keyring, &copies[index]).map_or(0, |header| header.sequence);
    if sequence(1) > sequence(0) {
        order = [1, 0];
    }
    let mut failure = None;
    for index in order {
        if failure.is_some() && copies[0] == copies[1] {
            break;
        }
        match unwrap_copy(&copies[index], (store, tenant), providers) {
            Ok((header, structure)) => return Ok((index, header, structure)),
            // The more telling of two failures: that of the copy which at least looked like one.
            Err(error) => failure = Some(failure.unwrap_or(error)),
        }
    }
    Err(failure.unwrap_or_else(|| fail!(Internal, "a keyring has no header copies")))
}

fn unwrap_copy(
    block: &[u8; BLOCK],
    (store, tenant): (StoreId, TenantId),
    providers: &Providers,
) -> Result<(Header, SectionKey)> {
    let header = Header::parse(Holder::Keyring, block)?;
    if (header.store, header.tenant) != (store, tenant) {
        return Err(fail!(Unauthentic, "it belongs to another tenant or store"));
    }
    let context = WrapContext { store, tenant, section: Section::Structure };
    let structure = providers.unwrap(&header.provider, &header.structure, &context)?;
    if !Header::authentic(block, &*header_key(&structure)?) {
        return Err(fail!(Unauthentic, "its header does not authenticate"));
    }
    Ok((header, structure))
}

fn mend(
    file: &dyn DiskFile,
    header: Option<&[u8; BLOCK]>,
    mended: &[u64],
    slots: &[Slot],
) -> std::io::Result<()> {
    for (copy, header) in (0..2).zip([header; 2]) {
        if let Some(header) = header {
            file.write_all_at(header, copy * BLOCK as u64)?;
            file.sync_data()?;
        }
    }
    let pairs: BTreeMap<_, _> = mended
        .iter()
        .map(|number| number / SLOTS_A_BLOCK as u64)
        .map(|pair| (pair, [image(slots, pair); 2]))
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    write_pairs(file, &pairs)
}
