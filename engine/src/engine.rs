//! A store: its regions, its catalog, its tenants (design section 3; FORMAT.md sections 2, 3, 7.3).

mod advice;
mod catalog;
mod config;
mod duties;
mod health;
mod lanes;
mod leases;
mod leaving;
mod life;
mod maintenance;
mod marker;
mod moving;
mod open_tenants;
mod region;
mod rekeys;
mod sweep;
mod verify;

pub use catalog::{TenantInfo, TenantState};
pub use config::{Config, Freshness, Names, RegionPaths};
pub use duties::DutyHealth;
pub use health::{Health, LaneHealth, PublishedHealth, RegionHealth};
pub use lanes::LaneReport;
pub use moving::MoveOptions;
pub use rekeys::DataKeyHealth;
pub use verify::{KeyringReport, TenantReport, VerifyReport};

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use zeroize::Zeroizing;

use crate::crypto::{check_processor, random};
use crate::disk::OpenMode;
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{FileId, Process, StoreId, TenantId};
use crate::journal::Lane;
use crate::keys::{Keyring, NewKeyring};
use crate::limits::check_name;
use crate::partition::Partition;
use crate::retention::{Policy, milliseconds};
use crate::tenant::{Digests, Opening, RecoveryReport, Rotation, Tenant, TenantParts, TenantStats};
use catalog::{REGION, RegionRow, TENANT, row_key};
use config::{DEFAULT_PROVIDER, DEFAULT_REGION};
use duties::Duties;
use maintenance::Alarm;
use open_tenants::{Bounds, OpenTenants};
use region::{Lock, Region};
use sweep::{NextDue, SweepState};

/// The name under which the system tenant goes; no other tenant can have it, for it has a control character.
const SYSTEM_NAME: &str = "\u{1}system";
const HINT_NAME: &str = "store.toml";

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    pub(crate) use super::catalog::fuzz_rows;
    pub(crate) use super::marker::fuzz_marker;
}

/// An open store. Cheap to clone; usable from any thread.
///
/// One process has a store open at a time; a second one gets `Busy`. The store is closed by [`Engine::close`], or when
/// the last handle of it, its tenants and their collections is dropped.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    store: StoreId,
    system: Tenant,
    marker_key: [u8; 32],
    shared: Arc<Shared>,
    tenants: OpenTenants,
    /// Tenants that could not be opened the last time they were asked for.
    refused: Mutex<BTreeMap<TenantId, ErrorKind>>,
    /// Deadlines of rekeys that are not met, of tenants that are or were open.
    rekeys: Mutex<BTreeMap<TenantId, u64>>,
    /// Tenants of which files are left that have to go, and why they could not yet.
    unfinished: Mutex<BTreeMap<TenantId, ErrorKind>>,
    /// Tenants that are being moved: what there is of them in two regions is nobody else's business.
    moving: Mutex<HashSet<TenantId>>,
    /// Those of which it is not known any more where they are, until the store is opened again.
    undecided: Mutex<HashSet<TenantId>>,
    /// One change of what the catalog says of tenants at a time: names are unique. Taken before a tenant's place.
    changing: Mutex<()>,
    closed: AtomicBool,
    /// Whether it was closed to its end; held meanwhile.
    closing: Mutex<bool>,
    process: Process,
    thread: Mutex<Option<JoinHandle<()>>>,
    duties: Duties,
    sweeping: Mutex<SweepState>,
    next_due: NextDue,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A forked child has no such thread, and its locks may be held by nobody.
        if self.process.check().is_err() {
            return;
        }
        self.shared.alarm.end();
    }
}

impl Inner {
    /// Closes tenants beyond the bounds that nobody holds.
    fn evict(&self) {
        let bounds = Bounds { tenants: self.config.open_tenants, cache_bytes: self.config.total_cache_bytes };
        if let Err(error) = self.tenants.evict(bounds) {
            tracing::warn!(%error, "a tenant was not closed cleanly; its journal has what its file lacks");
        }
    }
}

/// What lives as long as any handle of the store: the regions with their locks and lanes.
struct Shared {
    regions: RwLock<BTreeMap<String, Arc<Region>>>,
    lanes_key: Zeroizing<[u8; 32]>,
    ledgers_key: Zeroizing<[u8; 32]>,
    /// The lane whose state keeps the store's timeline.
    system_lane: OnceLock<Arc<Lane<Partition>>>,
    /// The timeline of what is written now.
    timeline: Arc<AtomicU32>,
    alarm: Arc<Alarm>,
    memtable_bytes: usize,
    erasure_period_ms: u64,
    erasure_delay_ms: u64,
    rotation: Rotation,
    scrub_within_ms: u64,
    key_copies_kept_ms: u64,
    background: bool,
    /// Where the store is open for maintenance and names were not asked for.
    digests: Option<Arc<Digests>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("regions", &self.regions).finish_non_exhaustive()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// What a new tenant is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantOptions {
    region: Option<String>,
    dedicated: bool,
    policy: Policy,
}

impl From<Policy> for TenantOptions {
    fn from(policy: Policy) -> Self {
        Self::new().policy(policy)
    }
}

impl TenantOptions {
    /// In the region `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a journal of its own: what other tenants write does not delay it, and it shares no file with them.
    #[must_use]
    pub fn dedicated(mut self) -> Self {
        self.dedicated = true;
        self
    }

    /// With a policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// In another region of the store.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }
}

/// What is known of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Its name.
    pub name: String,
    /// Its directories.
    pub paths: RegionPaths,
    /// Why its tenants can't be reached now, if they can't.
    pub problem: Option<String>,
}

impl Engine {
    /// Creates a store with the regions of the configuration, its key store, and what its key provider keeps. Durable
    /// when this returns.
    ///
    /// # Errors
    /// `AlreadyExists` where the store, a key store or the root key is there already, even in part: nothing is ever
    /// created over anything. `InvalidArgument` for paths that lie in each other. `Unavailable` on a processor that
    /// lacks what this binary was compiled for. After an error the remains of the attempt have to be removed by hand.
    pub fn create(config: Config) -> Result<Self> {
        check_processor()?;
        let config = config.checked()?;
        if config.maintenance.is_some() {
            return Err(fail!(InvalidArgument, "a store is created with all its keys, not for maintenance"));
        }
        config.check_nesting(std::iter::once(&config.store).chain(config.regions.values()))?;
        let disk = &*config.disk;
        let default = Region::new(DEFAULT_REGION, config.store.clone());
        let others: Vec<_> =
            config.regions.iter().map(|(name, paths)| Region::new(name, paths.clone())).collect();
        for region in std::iter::once(&default).chain(&others) {
            region.check_absent(disk)?;
        }
        config.providers.create(DEFAULT_PROVIDER)?;
        for region in std::iter::once(&default).chain(&others) {
            region.create(disk)?;
        }
        let store = StoreId::new(random(&*config.entropy)?);
        let now_ms = config.clock.now_ms();
        let keyring = Arc::new(create_keyring(&config, &default, store, store.system_tenant(), None)?);
        let shared = Shared::new(&config, &keyring)?;
        let regions =
            std::iter::once(default).chain(others).map(|region| (region.name.clone(), Arc::new(region)));
        *shared.regions.write() = regions.collect();
        for region in shared.all() {
            shared.create_lane(&config, &region, store, store.system_tenant())?;
        }
        let default = shared.region(DEFAULT_REGION)?;
        let marker_key = *keyring.marker_key();
        let (parts, directory) =
            tenant_parts(&config, &shared, &default, store.system_tenant(), keyring, SYSTEM_NAME)?;
        let system = Tenant::create(config.partition_options(), &directory, parts)?;
        let rows = config.regions.iter().map(|(name, paths)| {
            RegionRow { created_ms: now_ms, paths: paths.clone() }
                .encode()
                .map(|row| (row_key(REGION, name), row))
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        system.put_directory(rows.into_iter().chain([sweep::first_mark(now_ms)]))?;
        let hint = config.store.root.join(HINT_NAME);
        let text = format!(
            "# A hint for people. Strongroom never trusts this file; the sealed catalog says what is true.\n\
             store = \"{store}\"\nformat = 1\n"
        );
        let written = disk.open(&hint, OpenMode::CreateNew).and_then(|file| {
            file.write_all_at(text.as_bytes(), 0)?;
            file.sync_data()
        });
        written.map_err(|error| Error::io(format!("creating {}", hint.display()), error))?;
        for region in shared.all().iter().filter(|region| region.name != DEFAULT_REGION) {
            region.mark(disk, store, &marker_key)?;
        }
        default.mark(disk, store, &marker_key)?;
        if let Some(parent) = config.store.root.parent() {
            disk.sync_dir(parent)
                .map_err(|error| Error::io(format!("syncing {}", parent.display()), error))?;
        }
        Self::assemble(config, store, system, marker_key, shared)
    }

    /// Opens a store. Creates nothing.
    ///
    /// # Errors
    /// `Unavailable` where the store's or the key store's marker is missing (a volume that is not mounted);
    /// `Busy` where another process has it open; `KeyUnavailable` for a wrong key or passphrase, with no file changed;
    /// `Unauthentic`, `Corrupted`, `RolledBack`, `UnsupportedFormat` for the catalog's files.
    pub fn open(config: Config) -> Result<Self> {
        check_processor()?;
        let config = config.checked()?;
        config.check_nesting(std::iter::once(&config.store).chain(config.regions.values()))?;
        let disk = &*config.disk;
        let store = marker::claimed_store(disk, &config.store.root)?;
        if marker::claimed_store(disk, &config.store.keys)? != store {
            return Err(fail!(
                Unauthentic,
                "{} is the key store of another store than {}",
                config.store.keys.display(),
                config.store.root.display()
            ));
        }
        let locks = [Lock::take(disk, &config.store.root)?, Lock::take(disk, &config.store.keys)?];
        let default = Arc::new(Region::locked(DEFAULT_REGION, config.store.clone(), locks));
        let id = store.system_tenant();
        let keyring = Arc::new(open_keyring(&config, &default, store, id, None)?);
        let marker_key = *keyring.marker_key();
        default.require(disk, store, &marker_key)?;
        default.announce();
        let shared = Shared::new(&config, &keyring)?;
        shared.regions.write().insert(default.name.clone(), Arc::clone(&default));
        let (parts, directory) = tenant_parts(&config, &shared, &default, id, keyring, SYSTEM_NAME)?;
        let raise = || raise_timeline(&config, &shared, store);
        let options = config.partition_options();
        let (system, _) = Tenant::open(&options, &directory, parts, config.catalog_opening(), &raise)?;
        for (name, row) in system.directory_rows(REGION)? {
            let name =
                String::from_utf8(name).map_err(|_| fail!(Corrupted, "a region's name is not UTF-8"))?;
            let recorded = RegionRow::parse(&row)?.paths;
            let paths = config.regions.get(&name).cloned().unwrap_or(recorded);
            shared.regions.write().insert(name.clone(), Arc::new(Region::new(&name, paths)));
        }
        if let Some(unknown) = config.regions.keys().find(|name| !shared.regions.read().contains_key(*name)) {
            return Err(fail!(
                NotFound,
                "the store has no region '{unknown}': regions are made with the store"
            ));
        }
        let all = shared.all();
        config.check_nesting(all.iter().map(|region| &region.paths))?;
        Self::assemble(config, store, system, marker_key, shared)
    }

    fn assemble(
        config: Config,
        store: StoreId,
        system: Tenant,
        marker_key: [u8; 32],
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let (background, opened_ms) = (config.background, config.clock.now_ms());
        let inner = Arc::new(Inner {
            config,
            store,
            system,
            marker_key,
            shared,
            tenants: OpenTenants::default(),
            refused: Mutex::default(),
            rekeys: Mutex::default(),
            unfinished: Mutex::default(),
            moving: Mutex::default(),
            undecided: Mutex::default(),
            changing: Mutex::new(()),
            closed: AtomicBool::new(false),
            closing: Mutex::new(false),
            process: Process::current(),
            thread: Mutex::new(None),
            duties: Duties::new(opened_ms),
            sweeping: Mutex::default(),
            next_due: NextDue::default(),
        });
        inner.start_clock()?;
        if let Err(error) = inner.finish_all_leaving() {
            // The store is none the worse for it: a sweep tries again.
            tracing::warn!(%error, "what is left of a tenant could not be destroyed yet");
        }
        if background {
            *inner.thread.lock() = Some(maintenance::start(&inner)?);
        }
        Ok(Self(inner))
    }

    /// Closes every tenant cleanly and the store. Handles of it give `Poisoned` afterwards. Whoever closes it while another
    /// does waits for that; to close it again does nothing.
    ///
    /// # Errors
    /// The first error met; everything else is closed all the same, and nothing acknowledged is lost.
    pub fn close(self) -> Result<()> {
        self.0.process.check()?;
        let mut is_closed = self.0.closing.lock();
        if std::mem::replace(&mut *is_closed, true) {
            return Ok(());
        }
        self.0.closed.store(true, Ordering::Release);
        self.0.shared.alarm.end();
        if let Some(thread) = self.0.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the maintenance thread had panicked");
        }
        self.0.withdraw_health();
        if let Err(error) = self.0.keep_mark() {
            // It is a minute older then.
            tracing::warn!(%error, "the clock's mark could not be kept");
        }
        let mut result = self.0.checkpoint_at_close();
        let closed = self.0.tenants.take_all().into_iter().map(|tenant| tenant.close());
        result = closed.fold(result, Result::and);
        result = result.and(self.0.system.close());
        for (_, _, lane) in self.0.shared.open_lanes() {
            result = result.and(lane.close());
        }
        self.0.shared.regions.write().clear();
        result
    }

    /// The store's id.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.0.store
    }

    /// Creates a tenant with keys of its own. Durable when this returns.
    ///
    /// The name is 1 to 255 bytes of any UTF-8 without control characters and without white space at the ends; it is
    /// never a path, and two names are the same only if their bytes are.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against these rules; `AlreadyExists`; `NotFound` for the region; `Unavailable` where
    /// the region's volume is not mounted; `KeyUnavailable` from the key provider.
    pub fn create_tenant(&self, name: &str, options: impl Into<TenantOptions>) -> Result<Tenant> {
        self.check()?;
        self.0.check_catalog()?;
        check_name("tenant", name)?;
        let options = options.into();
        let inner = &*self.0;
        options.policy.check(inner.shared.erasure_delay_ms, inner.shared.erasure_period_ms)?;
        let region = inner.shared.region(options.region.as_deref().unwrap_or(DEFAULT_REGION))?;
        region.require(&*inner.config.disk, inner.store, &inner.marker_key)?;
        let _one = inner.changing.lock();
        if inner.system.directory_row(&row_key(TENANT, name))?.is_some() {
            return Err(fail!(
                AlreadyExists,
                "there is a tenant of this name already, which may have been removed: its name is free once it is erased"
            ));
        }
        let id = TenantId::new(random(&*inner.config.entropy)?);
        let ledgers = Some(&*inner.shared.ledgers_key);
        let keyring = Arc::new(create_keyring(&inner.config, &region, inner.store, id, ledgers)?);
        if options.dedicated {
            inner.shared.create_lane(&inner.config, &region, inner.store, id)?;
        }
        let lane = if options.dedicated { id } else { inner.store.system_tenant() };
        let (parts, directory) = tenant_parts(&inner.config, &inner.shared, &region, lane, keyring, name)?;
        let tenant = Tenant::create(inner.config.partition_options(), &directory, parts)?;
        if options.policy != Policy::new() {
            tenant.set_first_policy(options.policy)?;
        }
        let info = TenantInfo {
            name: name.to_owned(),
            id,
            region: region.name.clone(),
            dedicated: options.dedicated,
            created_ms: inner.config.clock.now_ms(),
            state: TenantState::Active,
        };
        // The row last: a tenant that is not in the catalog does not exist, whatever files an interruption left.
        inner.system.change_directory(Inner::tenant_rows(&info))?;
        *inner.tenants.slot(id).lock() = Some(tenant.clone());
        inner.evict();
        Ok(tenant)
    }

    /// Opens a tenant. Where the store is open for maintenance, a digest of its name will do.
    ///
    /// # Errors
    /// `NotFound`, of one that was removed too; `Unavailable` where its region's volume is not mounted; `KeyMissing`,
    /// `KeyUnavailable` for its keyring; `Unauthentic`, `Corrupted`, `RolledBack`, `UnsupportedFormat` for its files. Other
    /// tenants are not affected. A suspended tenant opens; its records give `Suspended`.
    pub fn tenant(&self, name: &str) -> Result<Tenant> {
        self.open_tenant(name, TenantInfo::check_there)
    }

    /// A tenant, removed or not: for what looks after its files.
    fn tended(&self, name: &str) -> Result<Tenant> {
        self.open_tenant(name, |_| Ok(()))
    }

    fn open_tenant(&self, name: &str, check: impl FnOnce(&TenantInfo) -> Result<()>) -> Result<Tenant> {
        let opened = self.with_place(name, |info, place| {
            check(info)?;
            if let Some(tenant) = place {
                return Ok((tenant.clone(), false));
            }
            let (opened, _) = self.open_by_info(info, self.0.config.opening()).inspect_err(|error| {
                self.0.refused.lock().insert(info.id, error.kind());
            })?;
            self.0.refused.lock().remove(&info.id);
            *place = Some(opened.clone());
            Ok((opened, true))
        });
        let (tenant, is_new) = opened?;
        if is_new {
            self.0.evict();
        }
        Ok(tenant)
    }

    fn open_by_info(&self, info: &TenantInfo, opening: Opening) -> Result<(Tenant, RecoveryReport)> {
        let inner = &*self.0;
        inner.check_decided(info.id)?;
        inner.next_due.lock().remove(&info.id);
        let region = inner.shared.region(&info.region)?;
        region.require(&*inner.config.disk, inner.store, &inner.marker_key)?;
        let ledgers = Some(&*inner.shared.ledgers_key);
        let keyring = Arc::new(open_keyring(&inner.config, &region, inner.store, info.id, ledgers)?);
        let lane = if info.dedicated { info.id } else { inner.store.system_tenant() };
        let name = self.shown(&info.name);
        let (parts, directory) = tenant_parts(&inner.config, &inner.shared, &region, lane, keyring, &name)?;
        let raise = || raise_timeline(&inner.config, &inner.shared, inner.store);
        let (tenant, report) =
            Tenant::open(&inner.config.partition_options(), &directory, parts, opening, &raise)?;
        tenant.stand(inner.standing(info.state));
        Ok((tenant, report))
    }

    /// How many tenants are open now.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`.
    pub fn open_tenants(&self) -> Result<usize> {
        self.check()?;
        Ok(self.0.tenants.all().len())
    }

    /// The tenants there are, removed ones too, ordered by name. None is opened. Where the store is open for maintenance,
    /// with digests of their names.
    ///
    /// # Errors
    /// Those of reading the catalog.
    pub fn tenants(&self) -> Result<Vec<TenantInfo>> {
        Ok(self.catalog()?.into_iter().map(|info| self.shown_info(info)).collect())
    }

    /// [`Engine::tenants`] by their names.
    fn catalog(&self) -> Result<Vec<TenantInfo>> {
        self.check()?;
        self.0.check_catalog()?;
        let rows = self.0.system.directory_rows(TENANT)?;
        rows.iter().map(|(name, row)| TenantInfo::parse(name, row)).collect()
    }

    /// What is known of a tenant. It is not opened.
    ///
    /// # Errors
    /// `NotFound`, and those of reading the catalog.
    pub fn tenant_info(&self, name: &str) -> Result<TenantInfo> {
        self.find_info(name).map(|info| self.shown_info(info))
    }

    /// [`Engine::tenant_info`] with the tenant's name, of which a digest may be given.
    fn find_info(&self, name: &str) -> Result<TenantInfo> {
        self.check()?;
        self.0.check_catalog()?;
        check_name("tenant", name)?;
        if let Some(row) = self.0.system.directory_row(&row_key(TENANT, name))? {
            return TenantInfo::parse(name.as_bytes(), &row);
        }
        let digests = self.0.shared.digests.as_ref().filter(|_| Digests::is_one(name));
        let is_meant = |info: &TenantInfo| digests.is_some_and(|digests| digests.of(&info.name) == name);
        let found = if digests.is_some() { self.catalog()?.into_iter().find(is_meant) } else { None };
        found.ok_or_else(|| fail!(NotFound, "there is no tenant of this name"))
    }

    /// What is shown in place of a tenant's name.
    fn shown(&self, name: &str) -> String {
        self.0.shared.digests.as_ref().map_or_else(|| name.to_owned(), |digests| digests.of(name))
    }

    fn shown_info(&self, info: TenantInfo) -> TenantInfo {
        TenantInfo { name: self.shown(&info.name), ..info }
    }

    /// Sizes and counts of a tenant.
    ///
    /// # Errors
    /// Those of [`Engine::tenant`].
    pub fn tenant_stats(&self, name: &str) -> Result<TenantStats> {
        self.tended(name)?.stats()
    }

    /// The regions of the store, and whether they can be reached now.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`.
    pub fn regions(&self) -> Result<Vec<RegionInfo>> {
        self.check()?;
        let inner = &*self.0;
        let info = |region: &Arc<Region>| RegionInfo {
            name: region.name.clone(),
            paths: region.paths.clone(),
            problem: region
                .require(&*inner.config.disk, inner.store, &inner.marker_key)
                .err()
                .map(|error| error.to_string()),
        };
        Ok(inner.shared.all().iter().map(info).collect())
    }

    /// Accepts that a tenant's data is older than its anchor says: what was acknowledged later is gone, and the tenant
    /// goes on from what there is, on a new timeline.
    ///
    /// # Errors
    /// Those of [`Engine::tenant`], but not `RolledBack`.
    pub fn accept_rollback(&self, name: &str) -> Result<()> {
        self.reopen(name, Opening::AcceptRollback).map(|_| ())
    }

    /// Opens a tenant whose journal is damaged with all of it that can be read, in order; nothing is invented but names for
    /// collections that lost theirs. What is lost is lost: restore the journal's files from a copy first if there is one.
    /// The tenant goes on on a new timeline. A tenant that is whole is left as it is.
    ///
    /// # Errors
    /// Those of [`Engine::tenant`], but not those of the journal.
    pub fn salvage(&self, name: &str) -> Result<RecoveryReport> {
        self.reopen(name, Opening::Salvage)
    }

    fn reopen(&self, name: &str, opening: Opening) -> Result<RecoveryReport> {
        self.with_place(name, |info, place| {
            if let Some(open) = place.take() {
                // What it holds in memory only is read again from the journal.
                open.close()?;
            }
            let (tenant, report) = self.open_by_info(info, opening)?;
            *place = Some(tenant);
            Ok(report)
        })
    }

    fn check(&self) -> Result<()> {
        self.0.process.check()?;
        if self.0.closed.load(Ordering::Acquire) {
            return Err(fail!(Poisoned, "the store was closed: open it again"));
        }
        Ok(())
    }
}

impl Shared {
    fn region(&self, name: &str) -> Result<Arc<Region>> {
        let region = self.regions.read().get(name).cloned();
        region.ok_or_else(|| fail!(NotFound, "the store has no region '{name}'"))
    }

    fn all(&self) -> Vec<Arc<Region>> {
        self.regions.read().values().cloned().collect()
    }
}

impl Shared {
    fn new(config: &Config, system: &Keyring) -> Result<Arc<Self>> {
        let digests = match config.maintenance {
            Some(Names::Digests) => Some(Arc::new(Digests::derive(system.marker_key())?)),
            Some(Names::Shown) | None => None,
        };
        Ok(Arc::new(Self {
            digests,
            regions: RwLock::default(),
            lanes_key: system.lanes_key().clone(),
            ledgers_key: system.ledgers_key().clone(),
            system_lane: OnceLock::new(),
            timeline: Arc::new(AtomicU32::new(1)),
            alarm: Arc::default(),
            memtable_bytes: config.memtable_bytes,
            erasure_period_ms: milliseconds(config.erasure_period),
            scrub_within_ms: milliseconds(config.scrub_within),
            key_copies_kept_ms: milliseconds(config.key_copies_kept),
            erasure_delay_ms: milliseconds(config.erasure_period.saturating_add(config.sweep_interval)),
            rotation: Rotation { age: config.rotate_after, records: config.rotate_after_records },
            background: config.background,
        }))
    }
}

/// Makes a tenant's keyring. `ledgers_key`: of the system tenant's keyring, but for that one itself.
fn create_keyring(
    config: &Config,
    region: &Region,
    store: StoreId,
    id: TenantId,
    ledgers_key: Option<&[u8; 32]>,
) -> Result<Keyring> {
    let new = NewKeyring {
        store,
        tenant: id,
        provider: DEFAULT_PROVIDER,
        file: FileId::new(random(&*config.entropy)?),
        now_ms: config.clock.now_ms(),
    };
    let path = region.keyring_path(id);
    Keyring::create(&config.disk, &path, &new, &config.providers, &config.entropy)?.with_ledger(
        &path,
        ledgers_key,
        &config.clock,
    )
}

/// Makes the store's timeline grow, durable when this returns.
fn raise_timeline(config: &Config, shared: &Shared, store: StoreId) -> Result<u32> {
    let default = shared.region(DEFAULT_REGION)?;
    shared.lane(config, &default, store, store.system_tenant())?.raise_timeline()
}

fn open_keyring(
    config: &Config,
    region: &Region,
    store: StoreId,
    id: TenantId,
    ledgers_key: Option<&[u8; 32]>,
) -> Result<Keyring> {
    let path = region.keyring_path(id);
    Keyring::open(&config.disk, &path, (store, id), &config.providers, &config.entropy)?.with_ledger(
        &path,
        ledgers_key,
        &config.clock,
    )
}

/// What a tenant's handle is made of, and where its file is.
fn tenant_parts(
    config: &Config,
    shared: &Arc<Shared>,
    region: &Region,
    lane: TenantId,
    keyring: Arc<Keyring>,
    name: &str,
) -> Result<(TenantParts, PathBuf)> {
    let parts = TenantParts {
        name: name.to_owned(),
        lane: shared.lane(config, region, keyring.store(), lane)?,
        keeper: Arc::clone(shared) as Arc<_>,
        durability: config.durability,
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
        digests: shared.digests.clone(),
        store: Arc::clone(shared) as Arc<_>,
        keyring,
    };
    let directory = region.data_directory(parts.keyring.tenant());
    Ok((parts, directory))
}

/// A path of the store that belongs to nothing it knows.
type UnknownFile = PathBuf;

/// Whether an error says that a thing is not as the store left it, rather than that the call was wrong.
fn is_damage(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Forked | ErrorKind::Internal | ErrorKind::InvalidArgument)
}
