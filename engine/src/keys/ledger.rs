//! A tenant's erasure ledger: what was destroyed, and when, each entry chained to the one before by a MAC (FORMAT.md
//! section 4.8).
//!
//! Entries are appended and never changed. How many there are, and the MAC of the last one, stands in the anchor: so what is
//! cut off, put back older or changed is noticed, by whoever reads it; and whoever appends needs nothing of what is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::crypto::{equal, kdf};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId, Version};
use crate::keys::header::array;
use crate::keys::slot::SlotKind;

const ENTRY_BYTES: usize = 128;
const MAC: usize = 104;
pub(super) const MAC_BYTES: usize = ENTRY_BYTES - MAC;
const FORMAT_VERSION: u16 = 1;
const MAGIC: &[u8; 8] = b"SRLEDGER";
const TENANT: u8 = 16;
const RECEIPT: u8 = 17;
const SCRUBBED: u8 = 18;
/// Entries that are read at once.
const PIECE: usize = 512;

/// What an entry of an erasure ledger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerEvent {
    /// A structure key was destroyed, by a rewrite: what was sealed under it, names and sizes too, can't be read in older
    /// copies of the data.
    StructureKey {
        /// Its slot.
        slot: u64,
    },
    /// A data key was destroyed: its generation was retired.
    DataKey {
        /// Its slot, which is its generation.
        slot: u64,
    },
    /// The key of a period was destroyed, when what expired in it had been swept.
    PeriodKey {
        /// Its slot.
        slot: u64,
    },
    /// The key of a subject, or of one record, was destroyed. Names are not told.
    SubjectKey {
        /// Its slot.
        slot: u64,
    },
    /// The tenant was about to be erased, and all its keys with it.
    Tenant,
    /// A receipt was given: everything that was erased up to this version is gone for everybody.
    Receipt {
        /// The last change that it covers.
        through: Version,
        /// By when the sealed bytes are to be in no file, in milliseconds since the epoch.
        deadline_ms: u64,
    },
    /// The sealed bytes of everything that was erased up to this version are in no file of the tenant and in no journal.
    Scrubbed {
        /// The last change that it covers.
        through: Version,
    },
}

/// An entry of a tenant's erasure ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number, from 1, without a gap.
    pub number: u64,
    /// When it was written, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What it says.
    pub event: LedgerEvent,
    /// What chains it to all entries before: an exported ledger shows later whether any of them was changed.
    pub mac: [u8; MAC_BYTES],
}

impl fmt::Debug for LedgerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerEntry")
            .field("number", &self.number)
            .field("at_ms", &self.at_ms)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// A key was destroyed.
pub(super) fn destroyed(kind: SlotKind, slot: u64) -> LedgerEvent {
    match kind {
        SlotKind::Structure => LedgerEvent::StructureKey { slot },
        SlotKind::Data => LedgerEvent::DataKey { slot },
        SlotKind::Period => LedgerEvent::PeriodKey { slot },
        SlotKind::Subject => LedgerEvent::SubjectKey { slot },
    }
}

fn encode(number: u64, at_ms: u64, event: LedgerEvent) -> [u8; MAC] {
    let none = Version { timeline: 0, sequence: 0 };
    let (kind, slot, version, deadline_ms) = match event {
        LedgerEvent::StructureKey { slot } => (SlotKind::Structure as u8, slot, none, 0),
        LedgerEvent::DataKey { slot } => (SlotKind::Data as u8, slot, none, 0),
        LedgerEvent::PeriodKey { slot } => (SlotKind::Period as u8, slot, none, 0),
        LedgerEvent::SubjectKey { slot } => (SlotKind::Subject as u8, slot, none, 0),
        LedgerEvent::Tenant => (TENANT, 0, none, 0),
        LedgerEvent::Receipt { through, deadline_ms } => (RECEIPT, 0, through, deadline_ms),
        LedgerEvent::Scrubbed { through } => (SCRUBBED, 0, through, 0),
    };
    let mut bytes = [0; MAC];
    let mut put = |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
    put(0, &number.to_le_bytes());
    put(8, &at_ms.to_le_bytes());
    put(16, &[kind]);
    put(24, &slot.to_le_bytes());
    put(32, &version.timeline.to_le_bytes());
    put(36, &version.sequence.to_le_bytes());
    put(44, &deadline_ms.to_le_bytes());
    bytes
}

/// `None` where something is set that this version does not know.
fn parse(bytes: &[u8; ENTRY_BYTES]) -> Option<LedgerEntry> {
    let number = u64::from_le_bytes(array(bytes, 0));
    let at_ms = u64::from_le_bytes(array(bytes, 8));
    let slot = u64::from_le_bytes(array(bytes, 24));
    let through = Version {
        timeline: u32::from_le_bytes(array(bytes, 32)),
        sequence: u64::from_le_bytes(array(bytes, 36)),
    };
    let deadline_ms = u64::from_le_bytes(array(bytes, 44));
    let event = match bytes[16] {
        TENANT => LedgerEvent::Tenant,
        RECEIPT => LedgerEvent::Receipt { through, deadline_ms },
        SCRUBBED => LedgerEvent::Scrubbed { through },
        kind => destroyed(SlotKind::parse(kind)?, slot),
    };
    // What an event has no field for is zero.
    (encode(number, at_ms, event)[..] == bytes[..MAC]).then(|| LedgerEntry {
        number,
        at_ms,
        event,
        mac: array(bytes, MAC),
    })
}

/// The end of a ledger, as the anchor tells it: how many entries there are, and the MAC of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LedgerEnd {
    pub(super) entries: u64,
    pub(super) mac: [u8; MAC_BYTES],
}

/// A tenant's ledger. Its file is made with the first entry.
pub(super) struct Ledger {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
    header: [u8; ENTRY_BYTES],
    clock: Arc<dyn Clock>,
    /// Who appends.
    writing: Mutex<()>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Ledger {
    /// `ledgers_key`: of the system tenant, so that the ledger outlives the tenant's own keys.
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        path: &Path,
        (store, tenant): (StoreId, TenantId),
        ledgers_key: &[u8; 32],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self> {
        let context = [&store.as_bytes()[..], tenant.as_bytes()].concat();
        let key = kdf::expand(ledgers_key, b"strongroom/1 ledger", &context)?;
        let mut header = [0; ENTRY_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[24..40].copy_from_slice(store.as_bytes());
        header[40..56].copy_from_slice(tenant.as_bytes());
        let mac = kdf::mac(&key, &header[..MAC]);
        header[MAC..].copy_from_slice(&mac[..MAC_BYTES]);
        let (disk, path, clock) = (Arc::clone(disk), path.to_owned(), Arc::clone(clock));
        Ok(Self { disk, path, key, header, clock, writing: Mutex::new(()) })
    }

    fn mac(&self, previous: &[u8; MAC_BYTES], bytes: &[u8]) -> [u8; MAC_BYTES] {
        array(&kdf::mac(&self.key, &[&previous[..], bytes].concat()), 0)
    }

    /// Appends entries, durable when this returns; `keep` takes the new end into the anchor.
    pub(super) fn append(
        &self,
        events: &[LedgerEvent],
        known: impl FnOnce() -> LedgerEnd,
        keep: impl FnOnce(LedgerEnd) -> Result<()>,
    ) -> Result<LedgerEnd> {
        let _writing = self.writing.lock();
        let failed = |error| Error::io(format!("writing the erasure ledger {}", self.path.display()), error);
        let mut end = known();
        let file = self.open_or_create(end).map_err(failed)?;
        self.walk_beyond(&*file, &mut end, &mut |_| Ok(()))
            .map_err(|error| error.within(self.path.display()))?;
        let at_ms = self.clock.now_ms();
        let offset = (end.entries + 1) * ENTRY_BYTES as u64;
        let mut bytes = Vec::with_capacity(events.len() * ENTRY_BYTES);
        for event in events {
            let entry = encode(end.entries + 1, at_ms, *event);
            end = LedgerEnd { entries: end.entries + 1, mac: self.mac(&end.mac, &entry) };
            bytes.extend(entry);
            bytes.extend(end.mac);
        }
        file.write_all_at(&bytes, offset).and_then(|()| file.sync_data()).map_err(failed)?;
        keep(end)?;
        Ok(end)
    }

    fn open_or_create(&self, end: LedgerEnd) -> std::io::Result<Box<dyn DiskFile>> {
        match self.disk.open(&self.path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if end.entries > 0 {
                    tracing::error!(ledger = %self.path.display(), entries = end.entries, "an erasure ledger is gone: put it back from a copy");
                }
                let file = self.disk.open(&self.path, OpenMode::CreateNew)?;
                file.write_all_at(&self.header, 0)?;
                file.sync_data()?;
                self.path.parent().map_or(Ok(()), |directory| self.disk.sync_dir(directory))?;
                Ok(file)
            }
            Ok(file) if end.entries == 0 => {
                // Its creation may have been interrupted.
                file.write_all_at(&self.header, 0)?;
                file.sync_data()?;
                self.path.parent().map_or(Ok(()), |directory| self.disk.sync_dir(directory))?;
                Ok(file)
            }
            opened => opened,
        }
    }

    /// Calls `visit` with each entry, in order, each authenticated.
    ///
    /// # Errors
    /// `RolledBack` where entries are missing at its end; `Unauthentic` where one was changed, or the chain is broken.
    pub(super) fn walk(
        &self,
        known: LedgerEnd,
        visit: &mut dyn FnMut(LedgerEntry) -> Result<()>,
    ) -> Result<()> {
        self.walk_inner(known, visit)
            .map_err(|error| error.within(format_args!("erasure ledger {}", self.path.display())))
    }

    fn walk_inner(&self, known: LedgerEnd, visit: &mut dyn FnMut(LedgerEntry) -> Result<()>) -> Result<()> {
        let cut = |found: u64| {
            fail!(
                RolledBack,
                "it ends after {found} entries, but {} were written: put it back from a copy",
                known.entries
            )
        };
        let file = match self.disk.open(&self.path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return if known.entries == 0 { Ok(()) } else { Err(cut(0)) };
            }
            opened => opened.map_err(|error| Error::io("opening", error))?,
        };
        let length = file.len().map_err(|error| Error::io("measuring", error))?;
        let there = (length / ENTRY_BYTES as u64).saturating_sub(1);
        if there < known.entries {
            return Err(cut(there));
        }
        let mut header = [0; ENTRY_BYTES];
        if known.entries > 0 {
            file.read_exact_at(&mut header, 0).map_err(|error| Error::io("reading", error))?;
            if !equal(&header, &self.header) {
                return Err(fail!(Unauthentic, "its header does not authenticate"));
            }
        }
        let mut end = LedgerEnd::default();
        let mut piece = vec![0; PIECE * ENTRY_BYTES];
        while end.entries < known.entries {
            let count = usize::try_from(known.entries - end.entries).unwrap_or(PIECE).min(PIECE);
            let bytes = &mut piece[..count * ENTRY_BYTES];
            file.read_exact_at(bytes, (end.entries + 1) * ENTRY_BYTES as u64)
                .map_err(|error| Error::io("reading", error))?;
            for raw in bytes.as_chunks::<ENTRY_BYTES>().0 {
                let entry = self.check(raw, &end).ok_or_else(|| {
                    fail!(Unauthentic, "entry {} does not authenticate, or is another's", end.entries + 1)
                })?;
                end = LedgerEnd { entries: entry.number, mac: entry.mac };
                visit(entry)?;
            }
        }
        if end != known {
            return Err(fail!(Unauthentic, "entry {} is not the one that was written last", end.entries));
        }
        self.walk_beyond(&*file, &mut end, visit)
    }

    /// Entries that the anchor does not know: written, and interrupted before it was told.
    fn walk_beyond(
        &self,
        file: &dyn DiskFile,
        end: &mut LedgerEnd,
        visit: &mut dyn FnMut(LedgerEntry) -> Result<()>,
    ) -> Result<()> {
        let length = file.len().map_err(|error| Error::io("measuring", error))?;
        let mut raw = [0; ENTRY_BYTES];
        while (end.entries + 2) * ENTRY_BYTES as u64 <= length {
            file.read_exact_at(&mut raw, (end.entries + 1) * ENTRY_BYTES as u64)
                .map_err(|error| Error::io("reading", error))?;
            let Some(entry) = self.check(&raw, end) else { break };
            *end = LedgerEnd { entries: entry.number, mac: entry.mac };
            visit(entry)?;
        }
        Ok(())
    }

    /// The entry after `end`, if these bytes are it.
    fn check(&self, raw: &[u8; ENTRY_BYTES], end: &LedgerEnd) -> Option<LedgerEntry> {
        let is_authentic = equal(&self.mac(&end.mac, &raw[..MAC]), &raw[MAC..]);
        parse(raw).filter(|entry| is_authentic && entry.number == end.entries + 1)
    }

    /// Length of its file in bytes; 0 where there is none.
    pub(super) fn file_bytes(&self) -> std::io::Result<u64> {
        match self.disk.open(&self.path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            opened => opened?.len(),
        }
    }
}

/// Parses anything, for fuzzing: an entry that parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_ledger(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<ENTRY_BYTES>()
        && let Some(entry) = parse(bytes)
    {
        assert_eq!(encode(entry.number, entry.at_ms, entry.event)[..], bytes[..MAC]);
    }
}
