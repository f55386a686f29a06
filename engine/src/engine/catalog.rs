//! The catalog: the rows of tenants and regions in the system tenant's directory (FORMAT.md section 7.3).
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
const ROW_VERSION: u8 = 1;
const ACTIVE: u8 = 1;
const SHARED_LANE: u8 = 1;
const OWN_LANE: u8 = 2;

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
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for TenantInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantInfo")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("dedicated", &self.dedicated)
            .field("created_ms", &self.created_ms)
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
        row.push(ACTIVE);
        row.push(if self.dedicated { OWN_LANE } else { SHARED_LANE });
        row.extend(self.created_ms.to_le_bytes());
        row.push(u8::try_from(self.region.len()).unwrap_or(u8::MAX));
        row.extend(self.region.as_bytes());
        row
    }

    pub(super) fn parse(name: &[u8], row: &[u8]) -> Result<Self> {
        let mut rest = Rest(row);
        if rest.take()? != [ROW_VERSION] {
            return Err(newer());
        }
        let id = TenantId::new(rest.take()?);
        if rest.take()? != [ACTIVE] {
            return Err(newer());
        }
        let dedicated = match rest.take()? {
            [SHARED_LANE] => false,
            [OWN_LANE] => true,
            _ => return Err(newer()),
        };
        let created_ms = u64::from_le_bytes(rest.take()?);
        let [length] = rest.take()?;
        let region = rest.text(length.into())?;
        rest.end()?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| malformed())?;
        Ok(Self { name, id, region, dedicated, created_ms })
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
    if let Ok(row) = RegionRow::parse(data) {
        assert_eq!(row.encode().ok().as_deref(), Some(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_and_no_shorter_or_longer_one_does() {
        let info = TenantInfo {
            name: "acme".to_owned(),
            id: TenantId::new([1; 16]),
            region: "eu".to_owned(),
            dedicated: true,
            created_ms: 7,
        };
        let row = info.encode();
        assert_eq!(TenantInfo::parse(b"acme", &row).ok(), Some(info));
        let region = RegionRow { created_ms: 9, paths: RegionPaths::new("/data/eu") };
        let region_row = region.encode().expect("encodes");
        assert_eq!(RegionRow::parse(&region_row).ok(), Some(region));
        for length in 0..row.len() {
            assert!(TenantInfo::parse(b"acme", &row[..length]).is_err());
        }
        for length in 0..region_row.len() {
            assert!(RegionRow::parse(&region_row[..length]).is_err());
        }
        assert!(TenantInfo::parse(b"acme", &[&row[..], &[0]].concat()).is_err());
    }
}
