//! The marker of a region's root or key store (FORMAT.md section 3): where it is missing, the volume is not mounted.

use std::path::Path;

use crate::crypto::{equal, kdf};
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::StoreId;

pub(super) const FILE_NAME: &str = "strongroom.marker";
const MAGIC: &[u8; 8] = b"SRMARKER";
const FORMAT_VERSION: u16 = 1;
const BYTES: usize = 512;
const MAC_OFFSET: usize = BYTES - 32;
const NAME_OFFSET: usize = 41;
const NAME_END: usize = 104;

/// What a directory is to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Root = 1,
    KeyStore = 2,
}

/// A marker's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker<'a> {
    pub(super) store: StoreId,
    pub(super) role: Role,
    pub(super) region: &'a str,
}

impl Marker<'_> {
    fn encode(&self, key: &[u8; 32]) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[10] = self.role as u8;
        bytes[24..40].copy_from_slice(self.store.as_bytes());
        bytes[40] = u8::try_from(self.region.len()).unwrap_or(u8::MAX);
        bytes[NAME_OFFSET..][..self.region.len()].copy_from_slice(self.region.as_bytes());
        let mac = kdf::mac(key, &bytes[..MAC_OFFSET]);
        bytes[MAC_OFFSET..].copy_from_slice(&mac);
        bytes
    }

    /// Writes the marker into a directory that has none, durable when this returns.
    pub(super) fn create(&self, disk: &dyn Disk, directory: &Path, key: &[u8; 32]) -> Result<()> {
        let path = directory.join(FILE_NAME);
        let written = disk.open(&path, OpenMode::CreateNew).and_then(|file| {
            file.write_all_at(&self.encode(key), 0)?;
            file.sync_data()?;
            disk.sync_dir(directory)
        });
        written.map_err(|error| Error::io(format!("creating {}", path.display()), error))
    }

    /// Checks that a directory carries exactly this marker.
    pub(super) fn check(&self, disk: &dyn Disk, directory: &Path, key: &[u8; 32]) -> Result<()> {
        let bytes = read(disk, directory)?;
        if equal(&bytes, &self.encode(key)) {
            return Ok(());
        }
        Err(fail!(
            Unauthentic,
            "{} is not the marker of region '{}' of this store: another directory is mounted there, or it is damaged",
            directory.join(FILE_NAME).display(),
            self.region
        ))
    }
}

fn read(disk: &dyn Disk, directory: &Path) -> Result<[u8; BYTES]> {
    let path = directory.join(FILE_NAME);
    let file = disk.open(&path, OpenMode::Read).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            fail!(
                Unavailable,
                "{} is not there: the volume is not mounted, the path is wrong, or no store was created here",
                path.display()
            )
        } else {
            Error::io(format!("opening {}", path.display()), error)
        }
    })?;
    let mut bytes = [0; BYTES];
    let io = |error| Error::io(format!("reading {}", path.display()), error);
    let length = file.len().map_err(io)?;
    if length != BYTES as u64 {
        return Err(fail!(Corrupted, "{} has {length} bytes, a marker has {BYTES}", path.display()));
    }
    file.read_exact_at(&mut bytes, 0).map_err(io)?;
    if bytes[..8] != *MAGIC {
        return Err(fail!(UnsupportedFormat, "{} is not a store's marker", path.display()));
    }
    if bytes[8..10] != FORMAT_VERSION.to_le_bytes() || bytes[12..20] != [0; 8] {
        return Err(fail!(UnsupportedFormat, "{} has a newer format: use a newer version", path.display()));
    }
    Ok(bytes)
}

/// The store id a root's marker gives, not yet authenticated.
pub(super) fn claimed_store(disk: &dyn Disk, directory: &Path) -> Result<StoreId> {
    let bytes = read(disk, directory)?;
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[24..40]);
    Ok(StoreId::new(id))
}

/// Takes anything for a marker, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_marker(data: &[u8]) {
    let disk = crate::disk::SimDisk::new();
    let path = Path::new("/store");
    if disk.write_file(path.join(FILE_NAME), data).is_err() {
        return;
    }
    if let Ok(store) = claimed_store(&disk, path) {
        let marker = Marker { store, role: Role::Root, region: "default" };
        assert!(marker.check(&disk, path, &[0; 32]).is_err() || data.len() == BYTES);
    }
}

const _: () = assert!(NAME_END - NAME_OFFSET == crate::limits::LABEL_BYTES_MAX);
