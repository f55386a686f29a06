//! Batches: changes of one tenant that are made together or not at all.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom::{Batch as EngineBatch, Tenant as EngineTenant};

use crate::call::{call, guarded};
use crate::collection::{Collection, PutOptions, Version};
use crate::completion::{Callback, Completion, Completions};
use crate::error::{Error, Status};
use crate::handle::{self, Handle, Health, Resting};
use crate::pointer;

/// A batch of changes of one tenant, over any of its collections. May be used from any thread; calls on one wait for each
/// other. Freed with strongroom_batch_free; the tenant it came from may be freed before.
pub struct Batch {
    _opaque: [u8; 0],
}

/// What has been put into a batch, and whose it is.
pub(crate) struct Filling {
    tenant: EngineTenant,
    completions: Arc<Completions>,
    batch: Mutex<EngineBatch>,
}

impl Handle for Batch {
    type Value = Filling;
    const TAG: u64 = u64::from_le_bytes(*b"sr.batch");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Filling> = Resting::new();
        &RESTING
    }
}

impl Batch {
    pub(crate) fn give(
        tenant: &EngineTenant,
        completions: &Arc<Completions>,
        health: Arc<Health>,
    ) -> *mut Self {
        let (tenant, completions) = (tenant.clone(), Arc::clone(completions));
        handle::give(Filling { batch: Mutex::new(tenant.batch()), tenant, completions }, health)
    }
}

impl Filling {
    pub(crate) fn lock(&self) -> MutexGuard<'_, EngineBatch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was put into it; it is empty afterwards.
    fn take(&self) -> EngineBatch {
        std::mem::replace(&mut *self.lock(), self.tenant.batch())
    }
}

/// Frees a batch; what it holds is not made.
///
/// @param[in] batch owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_free(batch: *mut Batch) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(batch) });
}

/// How many operations a batch holds.
///
/// @param[in]  batch borrowed.
/// @param[out] count the number.
/// @param[out] error owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_count(
    batch: *const Batch,
    count: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, place, error) =
        unsafe { (handle::held(batch, "batch"), pointer::out(count, "count"), pointer::optional_out(error)) };
    call(error, || {
        let (batch, place) = (batch?, place?);
        place.write(batch.run(|batch| Ok(batch.lock().len()))?);
        Ok(())
    })
}

/// Adds a put of a record, over what is there. Of two puts of one key the later one counts. Key and value are sealed at
/// once, and not needed afterwards. Nothing is made before the batch is written or submitted; but a collection that is not
/// there yet is created, durable when this returns.
///
/// @param[in]  batch      borrowed.
/// @param[in]  collection borrowed; of the batch's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  value      borrowed; 0 to 1,048,576 bytes of anything. An empty value is any pointer but NULL.
/// @param[in]  value_size its length in bytes.
/// @param[in]  options    borrowed; NULL is the defaults.
/// @param[out] error      owned, or NULL: why it failed, and the batch is as before.
/// @return InvalidArgument and LimitExceeded against these bounds, and beyond 100,000 operations or 64 MiB; Io, Poisoned,
///         Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_put(
    batch: *const Batch,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    options: *const PutOptions,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, collection, key, value, options, error) = unsafe {
        (
            handle::held(batch, "batch"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::record_value(value, value_size),
            PutOptions::read(options),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (batch, collection, key, value, options) = (batch?, collection?, key?, value?, options?);
        batch.run(|batch| {
            collection.run(|collection| Ok(batch.lock().put_with(collection, key, value, options)?))
        })
    })
}

/// Adds the erasing of a record.
///
/// @param[in]  batch      borrowed.
/// @param[in]  collection borrowed; of the batch's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; the version that the record must have, else the batch is not made (Conflict). NULL:
///                        whether there is one or not.
/// @param[out] error      owned, or NULL: why it failed, and the batch is as before.
/// @return as strongroom_batch_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_erase(
    batch: *const Batch,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, collection, key, version, error) = unsafe {
        (
            handle::held(batch, "batch"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (batch, collection, key, version) = (batch?, collection?, key?, version?);
        batch.run(|batch| {
            collection.run(|collection| {
                let mut batch = batch.lock();
                match version {
                    Some(version) => batch.erase_if_version(collection, key, version.into())?,
                    None => batch.erase(collection, key)?,
                }
                Ok(())
            })
        })
    })
}

/// Makes a batch depend on a record that it need not change. Where that does not hold, the batch is not made (Conflict).
///
/// @param[in]  batch      borrowed.
/// @param[in]  collection borrowed; of the batch's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; the version that the record must have, or NULL: there must be none.
/// @param[out] error      owned, or NULL: why it failed, and the batch is as before.
/// @return as strongroom_batch_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_require(
    batch: *const Batch,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, collection, key, version, error) = unsafe {
        (
            handle::held(batch, "batch"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (batch, collection, key, version) = (batch?, collection?, key?, version?);
        batch.run(|batch| {
            collection.run(|collection| Ok(batch.lock().require(collection, key, version.map(Into::into))?))
        })
    })
}

/// Makes the changes of a batch, all or none of them. Durable when this returns, unless the store or its puts say
/// otherwise. The batch is empty afterwards, whatever this returns, and can be filled again.
///
/// @param[in]  batch   borrowed.
/// @param[out] version the version of its records; NULL if it is not wanted. That of the tenant where the batch is empty.
/// @param[out] error   owned, or NULL: why it failed.
/// @return Conflict where a condition does not hold; Io when the disk fails or is full, and then the batch may still be
///         there after the next open, whole; Poisoned after a failed sync or when the store was closed; InvalidArgument,
///         Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_write(
    batch: *const Batch,
    version: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, version, error) = unsafe {
        (handle::held(batch, "batch"), pointer::optional_out(version), pointer::optional_out(error))
    };
    call(error, || {
        let made = batch?.run(|filling| {
            let batch = filling.take();
            Ok(filling.tenant.write(|written| {
                *written = batch;
                Ok(())
            })?)
        })?;
        if let Some(version) = version {
            version.write(made.into());
        }
        Ok(())
    })
}

/// Hands in a batch and does not wait: many can be under way from one thread, and share one write and one sync. The order
/// in which batches are handed in is the order in which they are made. The batch is empty afterwards, and can be filled
/// again.
///
/// @param[in]  batch     borrowed.
/// @param[in]  completed what is called once the batch is made and as durable as it asked for, or was not made; exactly once
///                       where this call succeeds, before strongroom_engine_close returns, and never where it fails.
/// @param[in]  context   borrowed until it is called; given to completed.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument, Io, Poisoned, Forked. What strongroom_batch_write returns, completed gets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_submit(
    batch: *const Batch,
    completed: Completion,
    context: *mut c_void,
    error: *mut *mut Error,
) -> Status {
    let callback = Callback::new(completed, context);
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, error) = unsafe { (handle::held(batch, "batch"), pointer::optional_out(error)) };
    call(error, || {
        let (batch, callback) = (batch?, callback?);
        batch.check_process()?;
        batch.run(|filling| {
            filling.completions.submit(callback, || Ok(filling.tenant.submit(filling.take())?))
        })
    })
}
