//! Proof of erasure: the ledger, receipts, scrubbing, and the horizon.

use std::ffi::c_void;

use strongroom::{Horizon as EngineHorizon, LedgerEntry, LedgerEvent, Receipt};

use crate::boxed::Boxed;
use crate::call::call;
use crate::collection::{STRONGROOM_NEVER, Version};
use crate::error::{Error, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::tenant::{Tenant, TotalProgress, total_progress};

/// A structure key was destroyed: the tenant's file was rewritten.
pub const STRONGROOM_LEDGER_STRUCTURE_KEY: u32 = 1;
/// A data key was destroyed: it was retired.
pub const STRONGROOM_LEDGER_DATA_KEY: u32 = 2;
/// The key of a period was destroyed, and with it what expired in that period.
pub const STRONGROOM_LEDGER_PERIOD_KEY: u32 = 3;
/// A subject's key was destroyed, and with it every value put about it; or the key of one record.
pub const STRONGROOM_LEDGER_SUBJECT_KEY: u32 = 4;
/// All of the tenant's keys were destroyed.
pub const STRONGROOM_LEDGER_TENANT: u32 = 5;
/// A receipt was given.
pub const STRONGROOM_LEDGER_RECEIPT: u32 = 6;
/// The sealed bytes of what was erased were removed.
pub const STRONGROOM_LEDGER_SCRUBBED: u32 = 7;

/// An entry of a tenant's erasure ledger. Set up with strongroom_ledger_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LedgerInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its number, from 1, without a gap.
    pub number: u64,
    /// When it was written, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The number of the key that was destroyed; else 0.
    pub slot: u64,
    /// Of a receipt and a scrub: the last change that is covered.
    pub through: Version,
    /// Of a receipt: by when the sealed bytes are to be gone, in milliseconds since the epoch; else 0.
    pub deadline_ms: u64,
    /// What chains it to all entries before: an exported ledger shows later whether any of them was changed.
    pub mac: [u8; 24],
    /// A STRONGROOM_LEDGER; 0 for one that this library does not know.
    pub event: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for LedgerInfo {
    const LEAST: usize = 88;
}

impl Row for LedgerInfo {
    type Known = LedgerEntry;
    fn of(entry: &Self::Known) -> Self {
        let none = Version::default();
        let (event, slot, through, deadline_ms) = match entry.event {
            LedgerEvent::StructureKey { slot } => (STRONGROOM_LEDGER_STRUCTURE_KEY, slot, none, 0),
            LedgerEvent::DataKey { slot } => (STRONGROOM_LEDGER_DATA_KEY, slot, none, 0),
            LedgerEvent::PeriodKey { slot } => (STRONGROOM_LEDGER_PERIOD_KEY, slot, none, 0),
            LedgerEvent::SubjectKey { slot } => (STRONGROOM_LEDGER_SUBJECT_KEY, slot, none, 0),
            LedgerEvent::Tenant => (STRONGROOM_LEDGER_TENANT, 0, none, 0),
            LedgerEvent::Receipt { through, deadline_ms } => {
                (STRONGROOM_LEDGER_RECEIPT, 0, through.into(), deadline_ms)
            }
            LedgerEvent::Scrubbed { through } => (STRONGROOM_LEDGER_SCRUBBED, 0, through.into(), 0),
            _ => (0, 0, none, 0),
        };
        Self {
            number: entry.number,
            at_ms: entry.at_ms,
            slot,
            through,
            deadline_ms,
            mac: entry.mac,
            event,
            ..Self::initial()
        }
    }
}

/// A receipt for what was erased. Set up with strongroom_receipt_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ReceiptInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its number in the ledger.
    pub number: u64,
    /// When it was given: what it covers had been erased by then. In milliseconds since the epoch, as all times.
    pub erased_ms: u64,
    /// The last change that it covers.
    pub through: Version,
    /// By when the sealed bytes are to be in no file and no journal.
    pub deadline_ms: u64,
    /// When they were; STRONGROOM_NEVER where they are not yet.
    pub scrubbed_ms: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for ReceiptInfo {
    const LEAST: usize = 56;
}

impl Row for ReceiptInfo {
    type Known = Receipt;
    fn of(receipt: &Self::Known) -> Self {
        Self {
            number: receipt.number,
            erased_ms: receipt.erased_ms,
            through: receipt.through.into(),
            deadline_ms: receipt.deadline_ms,
            scrubbed_ms: receipt.scrubbed_ms.unwrap_or(STRONGROOM_NEVER),
            ..Self::initial()
        }
    }
}

/// By when what is erased now can't be read any more in any copy that was made before, in milliseconds since the epoch. Set
/// up with strongroom_horizon_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Horizon {
    /// Size of this struct in bytes.
    pub size: usize,
    /// In copies of the data, with the key store as it is then.
    pub data_copies_ms: u64,
    /// In copies of the data together with copies of the key store, if those are destroyed at the age that the setting
    /// key_copies_kept names.
    pub key_copies_ms: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Horizon {
    const LEAST: usize = 24;
}

impl From<EngineHorizon> for Horizon {
    fn from(horizon: EngineHorizon) -> Self {
        Self {
            data_copies_ms: horizon.data_copies_ms,
            key_copies_ms: horizon.key_copies_ms,
            ..Self::initial()
        }
    }
}

/// Sets up what a list of a ledger's entries fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_ledger_info_init(info: *mut LedgerInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// Sets up what a receipt, or a list of them, fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_receipt_info_init(info: *mut ReceiptInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// Sets up what a horizon fills.
///
/// @param[out] horizon borrowed; not initialised yet.
/// @param[in]  size    sizeof *horizon.
/// @return InvalidArgument where horizon is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_horizon_init(horizon: *mut Horizon, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(horizon, size) }
}

/// One of a list of a ledger's entries.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed; set up before.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_ledger(
    list: *const List,
    index: usize,
    info: *mut LedgerInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// One of a list of receipts.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed; set up before.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_receipt(
    list: *const List,
    index: usize,
    info: *mut ReceiptInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// The entries of the tenant's erasure ledger, the oldest first, each authenticated. It grows with every key that is
/// destroyed, every receipt and every scrub.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return RolledBack where entries are missing at its end, Unauthentic where one was changed; InvalidArgument, Io, Poisoned,
///         Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_ledger(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(List::give::<LedgerInfo>(tenant.run(|open| Ok(open.tenant.ledger()?))?));
        Ok(())
    })
}

/// Writes a receipt into the ledger, for everything that was erased until now. It names the time by which the sealed bytes are
/// in no file of the tenant and no journal either. Durable when this returns.
///
/// @param[in]     tenant  borrowed.
/// @param[in,out] receipt borrowed, set up before. NULL if it is not wanted.
/// @param[out]    error   owned, or NULL: why it failed.
/// @return InvalidArgument, Io of the journal or the key store, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_receipt(
    tenant: *const Tenant,
    receipt: *mut ReceiptInfo,
    error: *mut *mut Error,
) -> Status {
    let is_wanted = !receipt.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            is_wanted.then(|| pointer::growing_out(receipt, "receipt")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, place) = (tenant?, place.transpose()?);
        let given = tenant.run(|open| Ok(open.tenant.receipt()?))?;
        if let Some(place) = place {
            place.write(&ReceiptInfo::of(&given));
        }
        Ok(())
    })
}

/// The receipts that were given, the oldest first, each with whether what it covers was scrubbed.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return as strongroom_tenant_ledger.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_receipts(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(List::give::<ReceiptInfo>(tenant.run(|open| Ok(open.tenant.receipts()?))?));
        Ok(())
    })
}

/// Removes the sealed bytes of everything that was erased until now from the tenant's file and its journal, and says so in the
/// ledger. The sweep does it by itself before the deadline. Readers and writers go on. Durable when this returns.
///
/// @param[in]  tenant   borrowed.
/// @param[in]  progress called now and then with rows; NULL is fine.
/// @param[in]  context  borrowed for the time of the call; given to progress.
/// @param[out] through  the last change that was covered; NULL if it is not wanted.
/// @param[out] error    owned, or NULL: why it failed.
/// @return Io, and nothing is lost; Corrupted where the journal is damaged: nothing of it is deleted then; InvalidArgument,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_scrub(
    tenant: *const Tenant,
    progress: TotalProgress,
    context: *mut c_void,
    through: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, through, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::optional_out(through), pointer::optional_out(error))
    };
    call(error, || {
        let mut report = total_progress(progress, context);
        let covered = tenant?.run(|open| Ok(open.tenant.scrub(&mut report)?))?;
        if let Some(through) = through {
            through.write(covered.into());
        }
        Ok(())
    })
}

/// By when what is erased now can't be read any more in older copies. Records that expire, and records of a subject whose key
/// is destroyed, can't be read in copies of the data as soon as that key is gone.
///
/// @param[in]     tenant  borrowed.
/// @param[in,out] horizon borrowed; set up before.
/// @param[out]    error   owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_get_horizon(
    tenant: *const Tenant,
    horizon: *mut Horizon,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::growing_out(horizon, "horizon"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(&tenant.run(|open| Ok(open.tenant.horizon()?))?.into());
        Ok(())
    })
}
