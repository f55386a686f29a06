//! The unsealed control copy: the same records in the same database, without Strongroom around it. What is read from the
//! store is compared with it, and the search that finds nothing in the store must find everything in it.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use strongroom::ErrorKind;

use super::{COLLECTION, TENANTS};
use crate::failure::{Failure, Outcome};

type Bytes = &'static [u8];
const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new(COLLECTION);
const TENANT_NAMES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("tenants");
/// As much as the engine gives each tenant.
const CACHE_BYTES: usize = 32 << 20;

/// A key and a value.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// A plain redb database.
pub(super) struct Control(Database);

impl Control {
    pub(super) fn create(path: &Path) -> Outcome<Self> {
        let db = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path).map_err(failed)?;
        let transaction = db.begin_write().map_err(failed)?;
        {
            transaction.open_table(RECORDS).map_err(failed)?;
            let mut names = transaction.open_table(TENANT_NAMES).map_err(failed)?;
            for (name, region) in TENANTS {
                names.insert(name.as_bytes(), region.as_bytes()).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(Self(db))
    }

    pub(super) fn open(path: &Path) -> Outcome<Self> {
        redb::Builder::new().set_cache_size(CACHE_BYTES).open(path).map(Self).map_err(failed)
    }

    /// Puts records in one durable transaction.
    pub(super) fn put(&self, records: &[Record]) -> Outcome {
        let transaction = self.0.begin_write().map_err(failed)?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(failed)?;
            for (key, value) in records {
                table.insert(&key[..], &value[..]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    pub(super) fn get(&self, key: &[u8]) -> Outcome<Vec<u8>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(RECORDS).map_err(failed)?;
        let value = table.get(key).map_err(failed)?.map(|value| value.value().to_vec());
        value.ok_or_else(|| Failure::new(ErrorKind::Internal, "the control copy lost a record"))
    }

    /// Calls `each` with every record, in the order of the keys.
    pub(super) fn each(&self, mut each: impl FnMut(&[u8], &[u8]) -> Outcome) -> Outcome {
        let table = self.0.begin_read().map_err(failed)?.open_table(RECORDS).map_err(failed)?;
        for row in table.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }
}

fn failed(error: impl Into<redb::Error>) -> Failure {
    Failure::new(ErrorKind::Io, format!("the control copy: {}", error.into()))
}
