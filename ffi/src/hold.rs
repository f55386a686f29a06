//! Legal holds: nothing that one covers can be erased.

use std::ffi::c_char;
use std::ptr;

use strongroom::limits::RECORD_KEY_BYTES_MAX;
use strongroom::{HoldInfo as EngineInfo, Selector as EngineSelector};

use crate::boxed::Boxed;
use crate::call::call;
use crate::error::{Error, Failure, Result, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::tenant::Tenant;

/// All of the tenant is held.
pub const STRONGROOM_HOLD_TENANT: u32 = 0;
/// All records of the collection `name` are held.
pub const STRONGROOM_HOLD_COLLECTION: u32 = 1;
/// The records of the collection `name` are held whose keys begin with `key`.
pub const STRONGROOM_HOLD_PREFIX: u32 = 2;
/// The record `key` of the collection `name` is held, whether it is there or not.
pub const STRONGROOM_HOLD_RECORD: u32 = 3;
/// All records that are put with the subject `name` are held, in any collection.
pub const STRONGROOM_HOLD_SUBJECT: u32 = 4;

/// What a hold covers: what is there when it is placed, and what is put later. Set up with strongroom_selector_init, which
/// makes it all of the tenant.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Selector {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Borrowed; the collection's name, or the subject, UTF-8. NULL for all of the tenant.
    pub name: *const c_char,
    /// Its length in bytes.
    pub name_size: usize,
    /// Borrowed; the record's key, or how keys begin, at most 4,096 bytes. NULL for what has none.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_size: usize,
    /// A STRONGROOM_HOLD.
    pub kind: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for Selector {
    const LEAST: usize = 5 * size_of::<usize>() + 8;
}

impl Selector {
    /// Reads the caller's selector and what it points at.
    ///
    /// # Safety
    /// That of [`pointer::options`], and of [`pointer::optional_bytes`] for the name and the key in it.
    unsafe fn read(selector: *const Self) -> Result<EngineSelector> {
        // SAFETY: the caller promises what it demands.
        let selector = unsafe { pointer::options(selector, "selector") }?;
        // SAFETY: the caller promises what it demands.
        let name = || unsafe { pointer::name(selector.name.cast(), selector.name_size, "name") };
        // SAFETY: the caller promises what it demands.
        let key = || unsafe { pointer::bytes(selector.key, selector.key_size, RECORD_KEY_BYTES_MAX, "key") };
        let has_key = !selector.key.is_null();
        let has_name = !selector.name.is_null();
        Ok(match selector.kind {
            STRONGROOM_HOLD_TENANT if !has_name && !has_key => EngineSelector::Tenant,
            STRONGROOM_HOLD_COLLECTION if !has_key => EngineSelector::collection(name()?),
            STRONGROOM_HOLD_PREFIX => EngineSelector::prefix(name()?, key()?),
            STRONGROOM_HOLD_RECORD => EngineSelector::record(name()?, key()?),
            STRONGROOM_HOLD_SUBJECT if !has_key => EngineSelector::subject(name()?),
            STRONGROOM_HOLD_TENANT | STRONGROOM_HOLD_COLLECTION | STRONGROOM_HOLD_SUBJECT => {
                return Err(Failure::invalid("`selector` has a name or a key that its kind does not take"));
            }
            other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_HOLD"))),
        })
    }
}

/// What is known of a hold. Its texts are borrowed from the list, not NUL-terminated. Set up with strongroom_hold_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HoldInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// The hold's name, UTF-8.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
    /// The name that the collection has now, or the subject, UTF-8; NULL for all of the tenant.
    pub of: *const c_char,
    /// Its length in bytes.
    pub of_size: usize,
    /// The record's key, or how keys begin; NULL for what has none.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_size: usize,
    /// When it was placed, in milliseconds since the epoch.
    pub placed_ms: u64,
    /// A STRONGROOM_HOLD, as the selector had it.
    pub kind: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for HoldInfo {
    const LEAST: usize = 7 * size_of::<usize>() + 16;
}

impl Row for HoldInfo {
    type Known = EngineInfo;
    fn of(hold: &Self::Known) -> Self {
        let (kind, of, key): (u32, Option<&str>, Option<&[u8]>) = match &hold.selector {
            EngineSelector::Collection(name) => (STRONGROOM_HOLD_COLLECTION, Some(name), None),
            EngineSelector::Prefix { collection, prefix } => {
                (STRONGROOM_HOLD_PREFIX, Some(collection), Some(prefix))
            }
            EngineSelector::Record { collection, key } => {
                (STRONGROOM_HOLD_RECORD, Some(collection), Some(key))
            }
            EngineSelector::Subject(subject) => (STRONGROOM_HOLD_SUBJECT, Some(subject), None),
            // The engine has no other kind, and whatever one would be, nothing less is held.
            _ => (STRONGROOM_HOLD_TENANT, None, None),
        };
        Self {
            name: hold.name.as_ptr().cast(),
            name_size: hold.name.len(),
            of: of.map_or(ptr::null(), |of| of.as_ptr().cast()),
            of_size: of.map_or(0, str::len),
            key: key.map_or(ptr::null(), <[u8]>::as_ptr),
            key_size: key.map_or(0, <[u8]>::len),
            placed_ms: hold.placed_ms,
            kind,
            ..Self::initial()
        }
    }
}

/// Sets up a selector: all of the tenant.
///
/// @param[out] selector borrowed; not initialised yet.
/// @param[in]  size     sizeof *selector.
/// @return InvalidArgument where selector is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_selector_init(selector: *mut Selector, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(selector, size) }
}

/// Sets up what a list of holds fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_hold_info_init(info: *mut HoldInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of holds.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_hold(
    list: *const List,
    index: usize,
    info: *mut HoldInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// Places a legal hold: from when this returns on nothing is erased that it covers, whatever asks for it; that gives Held.
/// What expires is gone from every answer all the same, and stays in the store. Durable when this returns. Copies that were
/// made of the store before are not its business.
///
/// @param[in]  tenant    borrowed.
/// @param[in]  name      borrowed; the hold's, 1 to 255 bytes of UTF-8 as a collection's name.
/// @param[in]  name_size its length in bytes.
/// @param[in]  selector  borrowed; what it covers. NULL: all of the tenant.
/// @param[out] error     owned, or NULL: why it failed.
/// @return AlreadyExists; NotFound for the collection; LimitExceeded beyond 10,000 holds, or for a key; InvalidArgument, Io,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_hold(
    tenant: *const Tenant,
    name: *const c_char,
    name_size: usize,
    selector: *const Selector,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, selector, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(name.cast(), name_size, "name"),
            Selector::read(selector),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name, selector) = (tenant?, name?, selector?);
        tenant.run(|open| Ok(open.tenant.hold(name, selector)?))
    })
}

/// Releases a hold: what is overdue and no other one covers goes with the next sweep. Durable when this returns.
///
/// @param[in]  tenant    borrowed.
/// @param[in]  name      borrowed; the hold's.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_release_hold(
    tenant: *const Tenant,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name) = (tenant?, name?);
        tenant.run(|open| Ok(open.tenant.release_hold(name)?))
    })
}

/// The holds there are, ordered by name.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; UnsupportedFormat for a hold of a newer version, which holds
///         everything here; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_holds(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(List::give::<HoldInfo>(tenant.run(|open| Ok(open.tenant.holds()?))?));
        Ok(())
    })
}
