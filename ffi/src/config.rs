//! What a store is opened with.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom::{
    Argon2Params, Config as EngineConfig, Durability, Freshness, KeyFile, Names, Passphrase, RegionPaths,
};

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::error::{Error, Failure, Result, Status};
use crate::handle::{self, Handle, Resting};
use crate::library::init;
use crate::pointer::{self, Growing};
use crate::provider::{Callbacks, KeyProvider};

/// What the configuration or the store says; where neither does, durable.
pub const STRONGROOM_DURABILITY_DEFAULT: u32 = 0;
/// A write returns when it is on the disk.
pub const STRONGROOM_DURABILITY_DURABLE: u32 = 1;
/// A write returns when it is with the operating system: the end of the process loses nothing, a power loss may lose what
/// came in the configured time before it.
pub const STRONGROOM_DURABILITY_BUFFERED: u32 = 2;

/// Verify finds an older version of a block that was put back; a file that is older as a whole is refused at open.
pub const STRONGROOM_FRESHNESS_STANDARD: u32 = 0;
/// Each tenant's file is verified when it is opened, and an older version of a block is refused when it is read.
pub const STRONGROOM_FRESHNESS_FULL: u32 = 1;

/// The store is opened with all its keys.
pub const STRONGROOM_MAINTENANCE_NONE: u32 = 0;
/// The store is opened for maintenance: no key provider is asked for a key that values need. Names of tenants, collections,
/// indexes and holds stand as digests, "~" and 32 hexadecimal digits, which calls take in place of a tenant's name.
pub const STRONGROOM_MAINTENANCE_DIGESTS: u32 = 1;
/// The same, with names.
pub const STRONGROOM_MAINTENANCE_NAMES: u32 = 2;

/// Accepts a key file that its group may read (mode 0640).
pub const STRONGROOM_KEY_FILE_GROUP_READ: u32 = 1;

/// The longest passphrase, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 65_536;

/// What a store is opened with. Building one touches nothing on the disk. May be used from any thread; calls on one wait
/// for each other. Freed with strongroom_config_free, at any time after the store was opened.
pub struct Config {
    _opaque: [u8; 0],
}

impl Handle for Config {
    type Value = Mutex<EngineConfig>;
    const TAG: u64 = u64::from_le_bytes(*b"sr.confi");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Mutex<EngineConfig>> = Resting::new();
        &RESTING
    }
}

/// Figures of a configuration. Zero is the default everywhere. Set up with strongroom_config_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ConfigOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Memory for the pages of each open tenant, in bytes; at least 262,144. Default 32 MiB.
    pub cache_bytes: u64,
    /// How much a tenant holds in memory before it goes into its file, in bytes; at least 65,536. Default 128 MiB.
    pub memtable_bytes: u64,
    /// How much all tenants together hold so, in bytes; at least 65,536. Default 512 MiB.
    pub memory_bytes: u64,
    /// Length of a journal's segment in bytes; 65,536 to 1 GiB. Default 64 MiB.
    pub segment_bytes: u64,
    /// Length of a journal in bytes beyond which its oldest segments are emptied; at least two segments. Default 512 MiB.
    pub journal_bytes: u64,
    /// Within which time buffered writes are synced, in milliseconds; at most 60,000. Default 10.
    pub buffered_within_ms: u64,
    /// How long changes wait for a checkpoint at most, in milliseconds. Default 300,000.
    pub checkpoint_age_ms: u64,
    /// How long strongroom_engine_close goes on making checkpoints, in milliseconds. Default 5,000.
    pub close_budget_ms: u64,
    /// A STRONGROOM_DURABILITY: what a write waits for unless it says otherwise.
    pub durability: u32,
    /// A STRONGROOM_FRESHNESS: what is done against older versions of blocks.
    pub freshness: u32,
    /// 1: the store has no thread of its own, and the application calls strongroom_engine_tick now and then.
    pub without_background: u32,
    /// 1: accepts that the catalog and every tenant opened are older than their anchors: what was acknowledged later is gone.
    pub accept_rollback: u32,
    /// Memory for the pages of all open tenants, in bytes. Default 1 GiB.
    pub total_cache_bytes: u64,
    /// How many tenants stay open of which nobody has a handle. Default 1,024.
    pub open_tenants: u64,
    /// How often records that have expired are removed from the files, in milliseconds; at least 1,000. Default 1 hour.
    pub sweep_interval_ms: u64,
    /// How far the clock may jump before nothing is destroyed any more, in milliseconds; at least 1,000. Default 7 days.
    pub clock_step_ms: u64,
    /// How long the periods are of which each has a key, in milliseconds; at least 1,000. Default 1 day.
    pub erasure_period_ms: u64,
    /// Age of a data key at which a tenant that puts records gets a new one, in milliseconds; an hour to 3,650 days. Default 90
    /// days.
    pub rotate_after_ms: u64,
    /// Records sealed under a data key after which a tenant gets a new one; 1,000 to 2^40. Default 2^32.
    pub rotate_after_records: u64,
    /// Within which time the sealed bytes of what was erased leave every file and journal, in milliseconds; at least four sweep
    /// intervals. Default 30 days.
    pub scrub_within_ms: u64,
    /// How long copies of the key store are kept, for the horizon of what was erased, in milliseconds. Default 0: none are made.
    pub key_copies_kept_ms: u64,
    /// How long a call of a key provider is waited for, in milliseconds; 10 to 600,000. Then it counts as one that could not be
    /// reached, whatever it answers later. Default 30,000.
    pub key_timeout_ms: u64,
    /// How long the keys are good that a provider gave before it is asked again, in milliseconds; 1,000 to 30 days. Default
    /// 300,000.
    pub keys_good_for_ms: u64,
    /// How much longer they are good while the provider can't be reached, in milliseconds; at most 3,650 days. Default 24 hours.
    pub keys_grace_ms: u64,
    /// A STRONGROOM_MAINTENANCE. A store that is open for maintenance is verified (but for values), checkpointed, rewritten, moved
    /// and swept, and tells its sizes, all with the structure keys alone; reads and writes of records, and the creation of tenants,
    /// give KeyUnavailable. None is created so: InvalidArgument.
    pub maintenance: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for ConfigOptions {
    const LEAST: usize = 120;
}

/// The cost of guessing a passphrase (Argon2id, RFC 9106). Zero is the default everywhere. Set up with
/// strongroom_passphrase_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PassphraseOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Memory in KiB, 8 to 4,194,304. Default 65,536.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 64. Default 3.
    pub passes: u32,
    /// Lanes, 1 to 16. Default 4.
    pub lanes: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for PassphraseOptions {
    const LEAST: usize = 24;
}

/// What 0 or 1 says.
pub(crate) fn flag(value: u32, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::invalid(format_args!("`{what}` is {value}: give 0 or 1"))),
    }
}

/// What a STRONGROOM_DURABILITY says.
pub(crate) fn durability(value: u32) -> Result<Option<Durability>> {
    match value {
        STRONGROOM_DURABILITY_DEFAULT => Ok(None),
        STRONGROOM_DURABILITY_DURABLE => Ok(Some(Durability::Durable)),
        STRONGROOM_DURABILITY_BUFFERED => Ok(Some(Durability::Buffered)),
        _ => Err(Failure::invalid(format_args!("{value} is no STRONGROOM_DURABILITY"))),
    }
}

fn size(value: u64, what: &str) -> Result<usize> {
    usize::try_from(value)
        .map_err(|_| Failure::invalid(format_args!("`{what}` is more than this machine can address")))
}

fn with_options(mut config: EngineConfig, options: &ConfigOptions) -> Result<EngineConfig> {
    if options.cache_bytes != 0 {
        config = config.cache_bytes(size(options.cache_bytes, "cache_bytes")?);
    }
    if options.memtable_bytes != 0 {
        config = config.memtable_bytes(size(options.memtable_bytes, "memtable_bytes")?);
    }
    if options.memory_bytes != 0 {
        config = config.memory_bytes(size(options.memory_bytes, "memory_bytes")?);
    }
    if options.segment_bytes != 0 {
        config = config.segment_bytes(options.segment_bytes);
    }
    if options.journal_bytes != 0 {
        config = config.journal_bytes(options.journal_bytes);
    }
    if options.buffered_within_ms != 0 {
        config = config.buffered_within(Duration::from_millis(options.buffered_within_ms));
    }
    if options.checkpoint_age_ms != 0 {
        config = config.checkpoint_age(Duration::from_millis(options.checkpoint_age_ms));
    }
    if options.close_budget_ms != 0 {
        config = config.close_budget(Duration::from_millis(options.close_budget_ms));
    }
    if options.total_cache_bytes != 0 {
        config = config.total_cache_bytes(options.total_cache_bytes);
    }
    if options.open_tenants != 0 {
        config = config.open_tenants(size(options.open_tenants, "open_tenants")?);
    }
    if options.sweep_interval_ms != 0 {
        config = config.sweep_interval(Duration::from_millis(options.sweep_interval_ms));
    }
    if options.clock_step_ms != 0 {
        config = config.clock_step(Duration::from_millis(options.clock_step_ms));
    }
    if options.erasure_period_ms != 0 {
        config = config.erasure_period(Duration::from_millis(options.erasure_period_ms));
    }
    if options.rotate_after_ms != 0 {
        config = config.rotate_after(Duration::from_millis(options.rotate_after_ms));
    }
    if options.rotate_after_records != 0 {
        config = config.rotate_after_records(options.rotate_after_records);
    }
    if options.scrub_within_ms != 0 {
        config = config.scrub_within(Duration::from_millis(options.scrub_within_ms));
    }
    if options.key_copies_kept_ms != 0 {
        config = config.key_copies_kept(Duration::from_millis(options.key_copies_kept_ms));
    }
    if options.key_timeout_ms != 0 {
        config = config.key_timeout(Duration::from_millis(options.key_timeout_ms));
    }
    if options.keys_good_for_ms != 0 {
        config = config.keys_good_for(Duration::from_millis(options.keys_good_for_ms));
    }
    if options.keys_grace_ms != 0 {
        config = config.keys_grace(Duration::from_millis(options.keys_grace_ms));
    }
    if let Some(durability) = durability(options.durability)? {
        config = config.durability(durability);
    }
    if options.reserved != 0 {
        return Err(Failure::invalid("`reserved` is not zero"));
    }
    match options.maintenance {
        STRONGROOM_MAINTENANCE_NONE => {}
        STRONGROOM_MAINTENANCE_DIGESTS => config = config.maintenance(Names::Digests),
        STRONGROOM_MAINTENANCE_NAMES => config = config.maintenance(Names::Shown),
        other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_MAINTENANCE"))),
    }
    let freshness = match options.freshness {
        STRONGROOM_FRESHNESS_STANDARD => Freshness::Standard,
        STRONGROOM_FRESHNESS_FULL => Freshness::Full,
        other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_FRESHNESS"))),
    };
    Ok(config
        .freshness(freshness)
        .background(!flag(options.without_background, "without_background")?)
        .accept_rollback(flag(options.accept_rollback, "accept_rollback")?))
}

/// Replaces a configuration by what `change` makes of it.
fn change(
    config: &Mutex<EngineConfig>,
    change: impl FnOnce(EngineConfig) -> Result<EngineConfig>,
) -> Result<()> {
    let mut config = config.lock().unwrap_or_else(PoisonError::into_inner);
    *config = change(config.clone())?;
    Ok(())
}

/// Begins a configuration: the store in a directory, its keys in "<store>.keys" beside it. Touches nothing.
///
/// @param[in]  store      borrowed; the directory's path.
/// @param[in]  store_size its length in bytes.
/// @param[out] config     owned: freed with strongroom_config_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument for a path that is NULL, empty, or has a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_new(
    store: *const c_char,
    store_size: usize,
    config: *mut *mut Config,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (store, config, error) = unsafe {
        (
            pointer::path(store.cast(), store_size, "store"),
            pointer::out(config, "config"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (store, place) = (store?, config?);
        place.write(handle::give(Mutex::new(EngineConfig::new(store)), Arc::default()));
        Ok(())
    })
}

/// Frees a configuration; stores that were opened with it are not affected.
///
/// @param[in] config owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_free(config: *mut Config) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(config) });
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_options_init(options: *mut ConfigOptions, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

/// Sets the figures of a configuration. A size or time of zero stays as it was.
///
/// @param[in] config  borrowed.
/// @param[in] options borrowed; NULL changes nothing.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument for a value that is none. Bounds are checked when the store is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_set(
    config: *mut Config,
    options: *const ConfigOptions,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, options, error) = unsafe {
        (handle::held(config, "config"), pointer::options(options, "options"), pointer::optional_out(error))
    };
    call(error, || {
        let (config, options) = (config?, options?);
        config.run(|config| change(config, |config| with_options(config, &options)))
    })
}

/// Takes settings from a file (TOML), as strongroom_config_to_toml shows them; what it does not name stays as it was.
///
/// @param[in]  config    borrowed.
/// @param[in]  path      borrowed; the file's path.
/// @param[in]  path_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed, and nothing was taken.
/// @return Unavailable where there is no such file, Io where it can't be read; InvalidArgument where it is no TOML, longer than
///         1 MiB, or has a setting that does not exist or a value that is none. Bounds are checked when the store is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_read(
    config: *mut Config,
    path: *const c_char,
    path_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, path, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::path(path.cast(), path_size, "path"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, path) = (config?, path?);
        config.run(|config| change(config, |config| Ok(config.read(path)?)))
    })
}

/// The settings that are in force, as a file that strongroom_config_read takes, each with what it is, its bounds and its
/// default. It holds no key and no secret.
///
/// @param[in]  config borrowed.
/// @param[out] toml   owned: freed with strongroom_buffer_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_to_toml(
    config: *const Config,
    toml: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, place, error) =
        unsafe { (handle::held(config, "config"), pointer::out(toml, "toml"), pointer::optional_out(error)) };
    call(error, || {
        let (config, place) = (config?, place?);
        let toml =
            config.run(|config| Ok(config.lock().unwrap_or_else(PoisonError::into_inner).to_toml()))?;
        place.write(boxed::give::<Buffer>(Bytes::Text(toml)));
        Ok(())
    })
}

/// What the process that has the store open published of its health, beside the store's lock. Needs no key. Nothing vouches
/// for it: whoever can write the store's directory can write this.
///
/// @param[in]  config  borrowed.
/// @param[out] is_good whether nothing needed a person; NULL if it is not wanted.
/// @param[out] age_ms  how old it is in milliseconds: beyond a few seconds the holder hangs, or is gone. NULL if it is not
///                     wanted.
/// @param[out] json    owned: as strongroom_engine_health gives it, freed with strongroom_buffer_free; NULL if it is not
///                     wanted.
/// @param[out] error   owned, or NULL: why it failed.
/// @return NotFound where nothing is published: nobody has the store, or without a thread of its own; Corrupted where it is
///         nothing that a holder wrote; InvalidArgument, Io.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_published_health(
    config: *const Config,
    is_good: *mut bool,
    age_ms: *mut u64,
    json: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, is_good, age_ms, json, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::optional_out(is_good),
            pointer::optional_out(age_ms),
            pointer::optional_out(json),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let config =
            config?.run(|config| Ok(config.lock().unwrap_or_else(PoisonError::into_inner).clone()))?;
        let published = config.published_health()?;
        if let Some(is_good) = is_good {
            is_good.write(published.good);
        }
        if let Some(age_ms) = age_ms {
            age_ms.write(u64::try_from(published.age.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(json) = json {
            json.write(boxed::give::<Buffer>(Bytes::Text(published.json)));
        }
        Ok(())
    })
}

/// Puts the key store of the default region into another directory than "<store>.keys".
///
/// @param[in]  config    borrowed.
/// @param[in]  keys      borrowed; the directory's path, not below the store's.
/// @param[in]  keys_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument for a path that is NULL, empty, or has a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_key_store(
    config: *mut Config,
    keys: *const c_char,
    keys_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, keys, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::path(keys.cast(), keys_size, "keys"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, keys) = (config?, keys?);
        config.run(|config| change(config, |config| Ok(config.keys(keys))))
    })
}

/// Adds a region besides "default": created with the store, and afterwards only needed where its directories have moved.
///
/// @param[in]  config    borrowed.
/// @param[in]  name      borrowed; 1 to 63 of a-z, 0-9 and '-', not '-' first.
/// @param[in]  name_size its length in bytes.
/// @param[in]  root      borrowed; the path of the directory for its data.
/// @param[in]  root_size its length in bytes.
/// @param[in]  keys      borrowed; the path of the directory for its keys, or NULL: "<root>.keys".
/// @param[in]  keys_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument for what is NULL, not UTF-8, or no path. Names are checked when the store is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_region(
    config: *mut Config,
    name: *const c_char,
    name_size: usize,
    root: *const c_char,
    root_size: usize,
    keys: *const c_char,
    keys_size: usize,
    error: *mut *mut Error,
) -> Status {
    let has_keys = !keys.is_null() || keys_size != 0;
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, name, root, keys, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::path(root.cast(), root_size, "root"),
            has_keys.then(|| pointer::path(keys.cast(), keys_size, "keys")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, name, root, keys) = (config?, name?, root?, keys.transpose()?);
        let paths = RegionPaths::new(root);
        let paths = if let Some(keys) = keys { paths.keys(keys) } else { paths };
        config.run(|config| change(config, |config| Ok(config.region(name, paths))))
    })
}

/// Registers a key file as a key provider. It is made when the store is created.
///
/// @param[in]  config    borrowed.
/// @param[in]  name      borrowed; the provider's name, "default" for the one that new tenants use.
/// @param[in]  name_size its length in bytes.
/// @param[in]  path      borrowed; the file's path, not below the store's or the key store's directory.
/// @param[in]  path_size its length in bytes.
/// @param[in]  flags     0 or STRONGROOM_KEY_FILE_GROUP_READ.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument for what is NULL, not UTF-8, no path, or no flag. Names are checked when the store is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_key_file(
    config: *mut Config,
    name: *const c_char,
    name_size: usize,
    path: *const c_char,
    path_size: usize,
    flags: u32,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, name, path, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::path(path.cast(), path_size, "path"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, name, path) = (config?, name?, path?);
        let file = KeyFile::at(path);
        let file = match flags {
            0 => file,
            STRONGROOM_KEY_FILE_GROUP_READ => file.allow_group_read(),
            _ => return Err(Failure::invalid(format_args!("{flags} is no STRONGROOM_KEY_FILE flag"))),
        };
        config.run(|config| change(config, |config| Ok(config.key_provider(name, file))))
    })
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_passphrase_options_init(
    options: *mut PassphraseOptions,
    size: usize,
) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

/// Registers a passphrase as a key provider. The library's copy of it is wiped when no configuration and no store uses it.
///
/// @param[in]  config          borrowed.
/// @param[in]  name            borrowed; the provider's name, "default" for the one that new tenants use.
/// @param[in]  name_size       its length in bytes.
/// @param[in]  passphrase      borrowed; any bytes, at most 65,536.
/// @param[in]  passphrase_size its length in bytes.
/// @param[in]  options         borrowed; NULL is the defaults.
/// @param[out] error           owned, or NULL: why it failed.
/// @return InvalidArgument for what is NULL or not UTF-8; LimitExceeded. Costs are checked when a key is wrapped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_passphrase(
    config: *mut Config,
    name: *const c_char,
    name_size: usize,
    passphrase: *const u8,
    passphrase_size: usize,
    options: *const PassphraseOptions,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, name, passphrase, options, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::bytes(passphrase, passphrase_size, PASSPHRASE_BYTES_MAX, "passphrase"),
            pointer::options(options, "options"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, name, passphrase, options) = (config?, name?, passphrase?, options?);
        let default = Argon2Params::default();
        let or = |value: u32, default: u32| if value == 0 { default } else { value };
        let params = Argon2Params {
            memory_kib: or(options.memory_kib, default.memory_kib),
            passes: or(options.passes, default.passes),
            lanes: or(options.lanes, default.lanes),
        };
        let provider = Passphrase::new(passphrase).params(params);
        config.run(|config| change(config, |config| Ok(config.key_provider(name, provider))))
    })
}

/// Registers functions of the application as a key provider: a KMS, an HSM. They are called from any thread, several at a
/// time, until neither a configuration nor a store uses the provider; then destroy is called, once.
///
/// @param[in]  config    borrowed.
/// @param[in]  name      borrowed; the provider's name, "default" for the one that new tenants use.
/// @param[in]  name_size its length in bytes.
/// @param[in]  provider  borrowed; its context is owned from success on, and given to destroy at the end.
/// @param[out] error     owned, or NULL: why it failed; then destroy is not called.
/// @return InvalidArgument for what is NULL or not UTF-8, or a provider without wrap or unwrap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_config_key_provider(
    config: *mut Config,
    name: *const c_char,
    name_size: usize,
    provider: *const KeyProvider,
    error: *mut *mut Error,
) -> Status {
    let is_null = provider.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (config, name, provider, error) = unsafe {
        (
            handle::held(config, "config"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::options(provider, "provider"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (config, name, provider) = (config?, name?, provider?);
        if is_null {
            return Err(Failure::invalid("`provider` is NULL"));
        }
        config.run(|config| {
            let callbacks = Callbacks::new(&provider)?;
            change(config, |config| Ok(config.key_provider(name, callbacks)))
        })
    })
}
