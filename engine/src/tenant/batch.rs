//! A batch: changes of one tenant that become durable together or not at all.

use crate::error::{Result, fail};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, check_record_key, check_value};
use crate::partition::Operation;
use crate::record::{RecordPlace, Times};
use crate::tenant::{Collection, Tenant};

/// What a put says besides key and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    written_ms: Option<u64>,
}

impl PutOptions {
    /// What [`Collection::put`] does.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the record another time of writing than now, in milliseconds since the epoch: for imports, which keep the
    /// time of the original.
    #[must_use]
    pub fn written_ms(mut self, written_ms: u64) -> Self {
        self.written_ms = Some(written_ms);
        self
    }
}

/// Changes that are made together. See [`Tenant::write`].
#[derive(Debug)]
pub struct Batch<'a> {
    tenant: &'a Tenant,
    operations: Vec<Operation>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(tenant: &'a Tenant) -> Self {
        Self { tenant, operations: Vec::new(), bytes: 0 }
    }

    pub(super) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }

    /// Operations so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Puts a record, over what is there. Of two puts of one key in a batch the later one counts.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty key or a collection of another tenant; `LimitExceeded` for a key over 4,096 bytes,
    /// a value over 1 MiB, or a batch over 100,000 operations or 64 MiB.
    pub fn put(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        self.put_with(collection, key, value, PutOptions::new())
    }

    /// [`Batch::put`] with options.
    ///
    /// # Errors
    /// Those of [`Batch::put`].
    pub fn put_with(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: PutOptions,
    ) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        check_record_key(key)?;
        check_value(value)?;
        if collection.tenant().id() != self.tenant.id() {
            return Err(fail!(InvalidArgument, "the collection belongs to another tenant than the batch"));
        }
        let bytes = self.bytes + key.len() + value.len();
        if self.operations.len() >= BATCH_OPERATIONS_MAX || bytes > BATCH_BYTES_MAX {
            return Err(fail!(
                LimitExceeded,
                "a batch holds at most {BATCH_OPERATIONS_MAX} operations and {BATCH_BYTES_MAX} bytes: use several"
            ));
        }
        let inner = &self.tenant.0;
        let id = self.tenant.need_collection(collection.name())?;
        let written_ms = options.written_ms.unwrap_or_else(|| inner.clock.now_ms());
        let times = Times { written_ms, expires_ms: None };
        let envelope = inner.sealer.seal(RecordPlace { collection: id, key }, times, value)?;
        self.operations.push(Operation::PutRecord { collection: id, key: key.to_vec(), envelope });
        self.bytes = bytes;
        Ok(())
    }
}
