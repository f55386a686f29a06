//! The catalog: the rows of tenants and regions in the system tenant's directory, and of what is to go (FORMAT.md
//! section 7.3).
//!
//! They are protected as names are, by the structure key, so that maintenance without content keys finds its way.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::engine::config::RegionPaths;
use crate::error::{Error, Result, fail};
use crate::id::TenantId;

pub(super) const TENANT: u8 = b't';
pub(super) const TENANT_ID: u8 = b'i';
pub(super) const REGION: u8 = b'r';
pub(super) const LEAVING: u8 = b'n';
const ROW_VERSION: u8 = 1;
const ACTIVE: u8 = 1;
const SUSPENDED: u8 = 2;
const REMOVED: u8 = 3;
const SHARED_LANE: u8 = 1;
const OWN_LANE: u8 = 2;

/// Whether a tenant is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantState {
    /// It is.
    Active,
    /// It refuses reads and writes until it is resumed. What looks after it goes on: expiry, sweeps, checkpoints.
    Suspended,
    /// It is gone, and is erased when its window is over, unless it is restored.
    Removed {
        /// When it was removed, in milliseconds since the epoch.
        removed_ms: u64,
        /// From when on a sweep erases it, in milliseconds since the epoch.
        purge_ms: u64,
        /// Whether it was suspended then, and will be again when it is restored.
        was_suspended: bool,
    },
}

/// What is known of a tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantInfo {
    /// Its name.
    pub name: String,
    /// Its id: what files, logs and errors call it.
    pub id: TenantId,
    /// The region its data and keys are in.
    pub region: String,
    /// Whether it has a journal of its own.
    pub dedicated: bool,
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: u64,
    /// Whether it is used.
    pub state: TenantState,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for TenantInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantInfo")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("dedicated", &self.dedicated)
            .field("created_ms", &self.created_ms)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

pub(super) fn row_key(kind: u8, name: impl AsRef<[u8]>) -> Vec<u8> {
    [&[kind], name.as_ref()].concat()
}

impl TenantInfo {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = vec![ROW_VERSION];
        row.extend(self.id.as_bytes());
        row.push(match self.state {
            TenantState::Active => ACTIVE,
            TenantState::Suspended => SUSPENDED,
            TenantState::Removed { .. } => REMOVED,
        });
        row.push(if self.dedicated { OWN_LANE } else { SHARED_LANE });
        row.extend(self.created_ms.to_le_bytes());
        row.push(u8::try_from(self.region.len()).unwrap_or(u8::MAX));
        row.extend(self.region.as_bytes());
        if let TenantState::Removed { removed_ms, purge_ms, was_suspended } = self.state {
            row.push(if was_suspended { SUSPENDED } else { ACTIVE });
            row.extend(removed_ms.to_le_bytes());
            row.extend(purge_ms.to_le_bytes());
        }
        row
    }

    pub(super) fn parse(name: &[u8], row: &[u8]) -> Result<Self> {
        let mut rest = Rest(row);
        if rest.take()? != [ROW_VERSION] {
            return Err(newer());
        }
        let id = TenantId::new(rest.take()?);
        let [state] = rest.take()?;
        let dedicated = rest.lane()?;
        let created_ms = u64::from_le_bytes(rest.take()?);
        let [length] = rest.take()?;
        let region = rest.text(length.into())?;
        let state = match state {
            ACTIVE => TenantState::Active,
            SUSPENDED => TenantState::Suspended,
            REMOVED => {
                let was_suspended = match rest.take()? {
                    [ACTIVE] => false,
                    [SUSPENDED] => true,
                    _ => return Err(newer()),
                };
                let (removed_ms, purge_ms) = (rest.take()?, rest.take()?);
                let (removed_ms, purge_ms) = (u64::from_le_bytes(removed_ms), u64::from_le_bytes(purge_ms));
                TenantState::Removed { removed_ms, purge_ms, was_suspended }
            }
            _ => return Err(newer()),
        };
        rest.end()?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| malformed())?;
        Ok(Self { name, id, region, dedicated, created_ms, state })
    }
}

/// Why files of a tenant in a region have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The tenant is being erased.
    Erasing = 1,
    /// It was erased: nothing is left.
    Erased = 2,
    /// It was to move there, and what there is of it is not complete.
    Arriving = 3,
    /// It has moved to another region.
    Left = 4,
}

/// A row of files that have to go, or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeavingRow {
    pub(super) leaving: Leaving,
    /// Whether the tenant has a lane of its own there.
    pub(super) dedicated: bool,
    pub(super) begun_ms: u64,
    /// 0 until nothing is left.
    pub(super) ended_ms: u64,
    pub(super) region: String,
}

impl LeavingRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row =
            vec![ROW_VERSION, self.leaving as u8, if self.dedicated { OWN_LANE } else { SHARED_LANE }];
        row.extend(self.begun_ms.to_le_bytes());
        row.extend(self.ended_ms.to_le_bytes());
        row.push(u8::try_from(self.region.len()).unwrap_or(u8::MAX));
        row.extend(self.region.as_bytes());
        row
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self> {
        let mut rest = Rest(row);
        if rest.take()? != [ROW_VERSION] {
            return Err(newer());
        }
        let [leaving] = rest.take()?;
        let all = [Leaving::Erasing, Leaving::Erased, Leaving::Arriving, Leaving::Left];
        let leaving = all.into_iter().find(|known| *known as u8 == leaving).ok_or_else(newer)?;
        let dedicated = rest.lane()?;
        let (begun_ms, ended_ms) = (rest.take()?, rest.take()?);
        let [length] = rest.take()?;
        let region = rest.text(length.into())?;
        rest.end()?;
        let (begun_ms, ended_ms) = (u64::from_le_bytes(begun_ms), u64::from_le_bytes(ended_ms));
        Ok(Self { leaving, dedicated, begun_ms, ended_ms, region })
    }
}

/// A region's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegionRow {
    pub(super) created_ms: u64,
    pub(super) paths: RegionPaths,
}

impl RegionRow {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut row = vec![ROW_VERSION];
        row.extend(self.created_ms.to_le_bytes());
        for path in [&self.paths.root, &self.paths.keys] {
            let text = path_text(path)?;
            let length = u16::try_from(text.len()).map_err(|_| {
                fail!(InvalidArgument, "the path of a region has {} bytes: use a shorter one", text.len())
            })?;
            row.extend(length.to_le_bytes());
            row.extend(text.as_bytes());
        }
        Ok(row)
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self> {
        let mut rest = Rest(row);
        if rest.take()? != [ROW_VERSION] {
            return Err(newer());
        }
        let created_ms = u64::from_le_bytes(rest.take()?);
        let mut path = || {
            let length = u16::from_le_bytes(rest.take()?);
            rest.text(length.into()).map(PathBuf::from)
        };
        let paths = RegionPaths { root: path()?, keys: path()? };
        rest.end()?;
        Ok(Self { created_ms, paths })
    }
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        fail!(InvalidArgument, "the path {} of a region is not UTF-8: use another", path.display())
    })
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// Whether a lane is the tenant's own.
    fn lane(&mut self) -> Result<bool> {
        match self.take()? {
            [SHARED_LANE] => Ok(false),
            [OWN_LANE] => Ok(true),
            _ => Err(newer()),
        }
    }

    fn text(&mut self, length: usize) -> Result<String> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        String::from_utf8(bytes.to_vec()).map_err(|_| malformed())
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed()) }
    }
}

fn malformed() -> Error {
    fail!(Corrupted, "a row of the catalog is malformed")
}

fn newer() -> Error {
    fail!(UnsupportedFormat, "a row of the catalog is of a newer version: use it")
}

/// Parses anything, for fuzzing: a row that parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_rows(data: &[u8]) {
    if let Ok(info) = TenantInfo::parse(b"name", data) {
        assert_eq!(info.encode(), data);
    }
    if let Ok(row) = LeavingRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
    if let Ok(row) = RegionRow::parse(data) {
        assert_eq!(row.encode().ok().as_deref(), Some(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_and_no_shorter_or_longer_one_does() {
        let removed = TenantState::Removed { removed_ms: 8, purge_ms: 9, was_suspended: true };
        for state in [TenantState::Active, TenantState::Suspended, removed] {
            let info = TenantInfo {
                name: "acme".to_owned(),
                id: TenantId::new([1; 16]),
                region: "eu".to_owned(),
                dedicated: true,
                created_ms: 7,
                state,
            };
            let row = info.encode();
            assert_eq!(TenantInfo::parse(b"acme", &row).ok(), Some(info));
            for length in 0..row.len() {
                assert!(TenantInfo::parse(b"acme", &row[..length]).is_err());
            }
            assert!(TenantInfo::parse(b"acme", &[&row[..], &[0]].concat()).is_err());
        }
        let leaving = LeavingRow {
            leaving: Leaving::Left,
            dedicated: false,
            begun_ms: 1,
            ended_ms: 2,
            region: "us".to_owned(),
        };
        let leaving_row = leaving.encode();
        assert_eq!(LeavingRow::parse(&leaving_row).ok(), Some(leaving));
        for length in 0..leaving_row.len() {
            assert!(LeavingRow::parse(&leaving_row[..length]).is_err());
        }
        let region = RegionRow { created_ms: 9, paths: RegionPaths::new("/data/eu") };
        let region_row = region.encode().expect("encodes");
        assert_eq!(RegionRow::parse(&region_row).ok(), Some(region));
        for length in 0..region_row.len() {
            assert!(RegionRow::parse(&region_row[..length]).is_err());
        }
    }
}
