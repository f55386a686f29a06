//! Stores: created, opened, closed, looked after.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom::{Engine as EngineHandle, TenantOptions as EngineTenantOptions};

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::completion::Completions;
use crate::config::{Config, flag};
use crate::error::{Error, Result, Status};
use crate::handle::{self, Handle, Health, Held, Resting};
use crate::library::init;
use crate::list::{LaneInfo, List, RegionInfo, TenantInfo};
use crate::pointer::{self, Growing, Out};
use crate::report::{Report, Salvage};
use crate::retention::Policy;
use crate::tenant::{OpenTenant, Tenant, TenantStats};

/// An open store. May be used from any thread, by several at a time. One process has a store open at a time. Closed with
/// strongroom_engine_close; freed with strongroom_engine_free, and if it was not closed, the store stays open until its
/// last tenant, collection, batch and scan is freed too.
pub struct Engine {
    _opaque: [u8; 0],
}

pub(crate) struct Store {
    pub(crate) engine: EngineHandle,
    completions: Arc<Completions>,
}

impl Handle for Engine {
    type Value = Store;
    const TAG: u64 = u64::from_le_bytes(*b"sr.engin");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Store> = Resting::new();
        &RESTING
    }
}

/// Is told how much more was done: blocks, frames and records. Called on the thread of the call; it must return, and must
/// not throw.
pub type Progress = Option<unsafe extern "C" fn(context: *mut c_void, more: u64)>;

/// What a new tenant is created with. Zero is the default everywhere. Set up with strongroom_tenant_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TenantOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Borrowed; the name of the region its data and keys are in. NULL: "default".
    pub region: *const c_char,
    /// Its length in bytes.
    pub region_size: usize,
    /// 1: with a journal of its own, so that what other tenants write does not delay it.
    pub dedicated: u32,
    /// Borrowed; how long its records are kept. NULL limits nothing.
    pub policy: *const Policy,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for TenantOptions {
    const LEAST: usize = 5 * size_of::<usize>();
}

impl TenantOptions {
    /// Reads the caller's options and what they point at.
    ///
    /// # Safety
    /// That of [`pointer::options`], for the policy too, and of [`pointer::name`] for the region.
    unsafe fn read(options: *const Self) -> Result<EngineTenantOptions> {
        // SAFETY: the caller promises what it demands.
        let options = unsafe { pointer::options(options, "options") }?;
        let mut tenant = EngineTenantOptions::new();
        if !options.region.is_null() || options.region_size != 0 {
            // SAFETY: the caller promises what it demands.
            let region = unsafe { pointer::name(options.region.cast(), options.region_size, "region") }?;
            tenant = tenant.region(region);
        }
        if flag(options.dedicated, "dedicated")? {
            tenant = tenant.dedicated();
        }
        // SAFETY: the caller promises what it demands.
        let policy = unsafe { pointer::options(options.policy, "policy") }?;
        tenant = tenant.policy(policy.read()?);
        Ok(tenant)
    }
}

/// Opens or creates a store, and gives its handle.
fn start(
    config: &Held<Mutex<strongroom::Config>>,
    place: Out<'_, *mut Engine>,
    start: impl FnOnce(strongroom::Config) -> strongroom::Result<EngineHandle>,
) -> Result<()> {
    let engine = config.run(|config| {
        let config = config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(start(config)?)
    })?;
    place.write(handle::give(Store { engine, completions: Arc::default() }, Arc::default()));
    Ok(())
}

/// Creates a store with the regions of the configuration, its key store, and what its key provider keeps. Durable when this
/// returns.
///
/// @param[in]  config borrowed.
/// @param[out] engine owned: freed with strongroom_engine_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return AlreadyExists where any of it is there already, even in part; InvalidArgument for a configuration that
///         contradicts itself or bounds; KeyUnavailable from the key provider; Unavailable on a processor that lacks what
///         the library was compiled for; Io. After an error the remains of the attempt have to be removed by hand.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_create(
    config: *const Config,
    engine: *mut *mut Engine,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, place, error) = unsafe {
        (handle::held(config, "config"), pointer::out(engine, "engine"), pointer::optional_out(error))
    };
    call(error, || start(&config?, place?, EngineHandle::create))
}

/// Opens a store. Creates nothing.
///
/// @param[in]  config borrowed.
/// @param[out] engine owned: freed with strongroom_engine_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Unavailable where the store or its key store is not there (a volume that is not mounted), or on a processor that
///         lacks what the library was compiled for; Busy where it is open already; KeyUnavailable for a wrong key or
///         passphrase, with no file changed; NotFound for a region; Unauthentic, Corrupted, RolledBack, UnsupportedFormat
///         for the catalog's files; InvalidArgument, Io.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_open(
    config: *const Config,
    engine: *mut *mut Engine,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, place, error) = unsafe {
        (handle::held(config, "config"), pointer::out(engine, "engine"), pointer::optional_out(error))
    };
    call(error, || start(&config?, place?, EngineHandle::open))
}

/// Closes a store: waits for what was submitted and its callbacks, checkpoints within a budget, and gives up its locks. What
/// was acknowledged is durable, buffered writes included. Tenants, collections, batches and scans of it stay valid handles,
/// to be freed as ever; calls on them give Poisoned. Whoever closes it while another does waits for that; closing it again
/// does nothing. Where no callback returns for STRONGROOM_CALLBACK_WAIT_MS, the store is closed all the same and this gives
/// Busy: what was submitted may be made or not, and its callbacks are called once the one before them returns.
///
/// @param[in]  engine borrowed; still to be freed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return the first error met; everything else is closed all the same, and nothing acknowledged as durable is lost. Io,
///         Forked; Busy where a callback has not returned; InvalidArgument from within a callback of the store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_close(engine: *mut Engine, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, error) = unsafe { (handle::held(engine, "engine"), pointer::optional_out(error)) };
    call(error, || {
        let engine = engine?;
        engine.check_process()?;
        engine.run(|store| {
            let have_returned = store.completions.wait()?;
            store.engine.clone().close()?;
            if have_returned { Ok(()) } else { Err(Completions::still_busy()) }
        })
    })
}

/// Frees a store's handle. A store that was not closed closes when its last handle is freed, without a checkpoint: nothing
/// durable is lost.
///
/// @param[in] engine owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_free(engine: *mut Engine) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(engine) });
}

/// The store's id.
///
/// @param[in]  engine borrowed.
/// @param[out] id     borrowed; takes 16 bytes.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_store_id(
    engine: *const Engine,
    id: *mut u8,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::out(id.cast::<[u8; 16]>(), "id"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, place) = (engine?, place?);
        place.write(engine.run(|store| Ok(*store.engine.store_id().as_bytes()))?);
        Ok(())
    })
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_options_init(options: *mut TenantOptions, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

fn give_tenant(
    engine: &Held<Store>,
    place: Out<'_, *mut Tenant>,
    open: impl FnOnce(&EngineHandle) -> strongroom::Result<strongroom::Tenant>,
) -> Result<()> {
    let tenant = engine.run(|store| {
        let completions = Arc::clone(&store.completions);
        Ok(OpenTenant { tenant: open(&store.engine)?, completions })
    })?;
    place.write(handle::give(tenant, Health::below(&engine.health()?)));
    Ok(())
}

/// Creates a tenant with keys of its own. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
/// @param[in]  name_size its length in bytes.
/// @param[in]  options   borrowed; NULL is the defaults.
/// @param[out] tenant    owned: freed with strongroom_tenant_free.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument for a name against these rules; AlreadyExists; NotFound for the region; Unavailable where the
///         region's volume is not mounted; KeyUnavailable from the key provider; Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_create_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    options: *const TenantOptions,
    tenant: *mut *mut Tenant,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, options, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            TenantOptions::read(options),
            pointer::out(tenant, "tenant"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, options, place) = (engine?, name?, options?, place?);
        give_tenant(&engine, place, |engine| engine.create_tenant(name, options))
    })
}

/// Opens a tenant. Two handles of one tenant are fine.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] tenant    owned: freed with strongroom_tenant_free.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound; Unavailable where its region's volume is not mounted; KeyMissing, KeyUnavailable for its keyring;
///         Unauthentic, Corrupted, RolledBack, UnsupportedFormat for its files; InvalidArgument, Io, Poisoned, Forked. Other
///         tenants are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    tenant: *mut *mut Tenant,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::out(tenant, "tenant"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, place) = (engine?, name?, place?);
        give_tenant(&engine, place, |engine| engine.tenant(name))
    })
}

/// The tenants there are, ordered by name. None is opened.
///
/// @param[in]  engine borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return those of reading the catalog: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_tenants(
    engine: *const Engine,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) =
        unsafe { (handle::held(engine, "engine"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (engine, place) = (engine?, place?);
        let tenants = engine.run(|store| Ok(store.engine.tenants()?))?;
        place.write(List::give::<TenantInfo>(tenants));
        Ok(())
    })
}

/// What is known of one tenant. It is not opened.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] list      owned: of one tenant, freed with strongroom_list_free.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound, and as strongroom_engine_tenants.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_tenant_info(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::out(list, "list"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, place) = (engine?, name?, place?);
        let info = engine.run(|store| Ok(store.engine.tenant_info(name)?))?;
        place.write(List::give::<TenantInfo>(vec![info]));
        Ok(())
    })
}

/// Sizes and counts of a tenant, by its name; a handle of it is not needed.
///
/// @param[in]     engine    borrowed.
/// @param[in]     name      borrowed; the tenant's name, UTF-8.
/// @param[in]     name_size its length in bytes.
/// @param[in,out] stats     borrowed; set up before.
/// @param[out]    error     owned, or NULL: why it failed.
/// @return as strongroom_engine_tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_get_tenant_stats(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    stats: *mut TenantStats,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::growing_out(stats, "stats"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, place) = (engine?, name?, place?);
        place.write(&engine.run(|store| Ok(store.engine.tenant_stats(name)?))?.into());
        Ok(())
    })
}

/// How many tenants are open, with or without a handle.
///
/// @param[in]  engine borrowed.
/// @param[out] count  the number.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_open_tenants(
    engine: *const Engine,
    count: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) = unsafe {
        (handle::held(engine, "engine"), pointer::out(count, "count"), pointer::optional_out(error))
    };
    call(error, || {
        let (engine, place) = (engine?, place?);
        place.write(engine.run(|store| Ok(store.engine.open_tenants()?))?);
        Ok(())
    })
}

/// The regions of the store, and whether they can be reached now.
///
/// @param[in]  engine borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_regions(
    engine: *const Engine,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) =
        unsafe { (handle::held(engine, "engine"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (engine, place) = (engine?, place?);
        let regions = engine.run(|store| Ok(store.engine.regions()?))?;
        place.write(List::give::<RegionInfo>(regions));
        Ok(())
    })
}

/// The journals that are open, with what they hold and did.
///
/// @param[in]  engine borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_lanes(
    engine: *const Engine,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) =
        unsafe { (handle::held(engine, "engine"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (engine, place) = (engine?, place?);
        let lanes = engine.run(|store| Ok(store.engine.lanes()?))?;
        place.write(List::give::<LaneInfo>(lanes));
        Ok(())
    })
}

/// Makes everything durable that was written as buffered until now.
///
/// @param[in]  engine borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io when a sync fails; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_flush(engine: *const Engine, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, error) = unsafe { (handle::held(engine, "engine"), pointer::optional_out(error)) };
    call(error, || engine?.run(|store| Ok(store.engine.flush()?)))
}

/// Does what is due: checkpoints, syncs of what is buffered, retirement of journal segments. For a store without a thread
/// of its own (without_background), now and then.
///
/// @param[in]  engine borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io when the disk fails: nothing is lost, and it is tried again the next time; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_tick(engine: *const Engine, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, error) = unsafe { (handle::held(engine, "engine"), pointer::optional_out(error)) };
    call(error, || engine?.run(|store| Ok(store.engine.tick()?)))
}

/// Puts everything that only the journals have into the tenants' files. Nothing needs it: it shortens the next open. Of a
/// damaged journal it deletes what is damaged, once all of its tenants open.
///
/// @param[in]  engine borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io when the disk fails or is full: nothing is lost; the first error of a region, a journal or a tenant that can't
///         be opened, and the others are checkpointed all the same; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_checkpoint(
    engine: *const Engine,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, error) = unsafe { (handle::held(engine, "engine"), pointer::optional_out(error)) };
    call(error, || engine?.run(|store| Ok(store.engine.checkpoint()?)))
}

/// How the store does. Told from memory but for the regions' markers and the room on their disks: it may be asked each
/// second.
///
/// @param[in]  engine  borrowed.
/// @param[out] is_good whether nothing needs a person; NULL if it is not wanted.
/// @param[out] json    owned: all of it as JSON, freed with strongroom_buffer_free; NULL if it is not wanted. It names tenants
///                     by their ids.
/// @param[out] error   owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_health(
    engine: *const Engine,
    is_good: *mut bool,
    json: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, is_good, json, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::optional_out(is_good),
            pointer::optional_out(json),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let health = engine?.run(|store| Ok(store.engine.health()?))?;
        if let Some(is_good) = is_good {
            is_good.write(health.is_good());
        }
        if let Some(json) = json {
            json.write(boxed::give::<Buffer>(Bytes::Text(health.to_json())));
        }
        Ok(())
    })
}

/// A callback as the engine calls it.
pub(crate) fn progress(function: Progress, context: *mut c_void) -> impl FnMut(u64) {
    move |more| {
        if let Some(function) = function {
            // SAFETY: the header asks the application for a function that takes this context.
            unsafe { function(context, more) }
        }
    }
}

/// Verifies everything: markers, keyrings, journals, every block and table, the value of every record, and lists files that
/// belong to nothing. Tenants can be used meanwhile. Reads everything: minutes for hundreds of gigabytes.
///
/// @param[in]  engine   borrowed.
/// @param[in]  progress called now and then; NULL is fine.
/// @param[in]  context  borrowed for the time of the call; given to progress.
/// @param[out] report   owned: freed with strongroom_report_free.
/// @param[out] error    owned, or NULL: why it failed.
/// @return Ok where it could be verified at all: damage stands in the report. Those of reading the catalog: Unauthentic,
///         Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_verify(
    engine: *const Engine,
    progress: Progress,
    context: *mut c_void,
    report: *mut *mut Report,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, place, error) = unsafe {
        (handle::held(engine, "engine"), pointer::out(report, "report"), pointer::optional_out(error))
    };
    call(error, || {
        let (engine, place) = (engine?, place?);
        let report =
            engine.run(|store| Ok(store.engine.verify(&mut self::progress(progress, context))?))?;
        place.write(Report::give(&report));
        Ok(())
    })
}

/// Verifies one tenant.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[in]  progress  called now and then; NULL is fine.
/// @param[in]  context   borrowed for the time of the call; given to progress.
/// @param[out] report    owned: freed with strongroom_report_free.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound, and as strongroom_engine_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_verify_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    progress: Progress,
    context: *mut c_void,
    report: *mut *mut Report,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::out(report, "report"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, place) = (engine?, name?, place?);
        let tenant = engine
            .run(|store| Ok(store.engine.verify_tenant(name, &mut self::progress(progress, context))?))?;
        place.write(Report::give(&strongroom::VerifyReport { tenants: vec![tenant], ..Default::default() }));
        Ok(())
    })
}

/// Accepts that a tenant's data is older than the key store says: what was acknowledged later is gone, and the tenant goes
/// on from what there is. Handles of the tenant that are open give Poisoned from then on: free them and open it again.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return as strongroom_engine_tenant, but not RolledBack.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_accept_rollback(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        engine.run(|store| Ok(store.engine.accept_rollback(name)?))
    })
}

/// Opens a tenant whose journal is damaged with all of it that can be read. What is lost is lost: restore the journal's
/// files from a copy first if there is one. Handles of the tenant that are open give Poisoned from then on.
///
/// @param[in]     engine    borrowed.
/// @param[in]     name      borrowed; the tenant's name, UTF-8.
/// @param[in]     name_size its length in bytes.
/// @param[in,out] salvage   borrowed, set up before: what was found. NULL if it is not wanted.
/// @param[out]    error     owned, or NULL: why it failed.
/// @return as strongroom_engine_tenant, but not those of the journal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_salvage(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    salvage: *mut Salvage,
    error: *mut *mut Error,
) -> Status {
    let is_wanted = !salvage.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            is_wanted.then(|| pointer::growing_out(salvage, "salvage")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, place) = (engine?, name?, place.transpose()?);
        let found = engine.run(|store| Ok(store.engine.salvage(name)?))?;
        if let Some(place) = place {
            place.write(&Salvage {
                changes: found.changes,
                changes_lost: found.changes_lost,
                ..Salvage::initial()
            });
        }
        Ok(())
    })
}
