//! What an engine is opened with.

mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, ClockGuard, SystemClock};
use crate::crypto::{Entropy, OsEntropy};
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result, fail};
use crate::keys::{KeyProvider, Providers};
use crate::limits::{SEALS_MAX, check_label};
use crate::partition::PartitionOptions;
use crate::retention::milliseconds;
use crate::tenant::{Durability, Opening};

/// The region every store has.
pub(super) const DEFAULT_REGION: &str = "default";
/// The provider that wraps the keys of new tenants.
pub(super) const DEFAULT_PROVIDER: &str = "default";

/// How much is done against a block that was put back in an older version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// [`Engine::verify`](crate::Engine::verify) finds it; a file that is older as a whole is refused at open.
    #[default]
    Standard,
    /// Each tenant's file is verified when it is opened, which reads all of it, and afterwards the version of each block
    /// is held in memory (8 bytes a block of 4,096), so that an older one is refused when it is read.
    Full,
}

/// A region's directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionPaths {
    /// Where the region's data is.
    pub root: PathBuf,
    /// Where the keys of its tenants are: never below `root`.
    pub keys: PathBuf,
}

impl RegionPaths {
    /// Data in `root`, keys in the directory of the same name with `.keys` appended.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let keys = beside(&root, ".keys");
        Self { root, keys }
    }

    /// Keys somewhere else.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<PathBuf>) -> Self {
        self.keys = keys.into();
        self
    }
}

/// `path` with `suffix` appended to its last component.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    while name.len() > 1 && name.to_string_lossy().ends_with(std::path::MAIN_SEPARATOR) {
        name = OsString::from(name.to_string_lossy().trim_end_matches(std::path::MAIN_SEPARATOR).to_owned());
    }
    name.push(suffix);
    name.into()
}

/// What a store that is open for maintenance shows of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Digests: `~` and 32 hexadecimal digits, keyed by the store, so that nobody without its structure keys can tell which
    /// name one is of.
    Digests,
    /// The names.
    Shown,
}

/// What an engine is opened with. Building one touches nothing.
///
/// | value | default |
/// |---|---|
/// | key store | `<store>.keys` |
/// | regions | `default`, in the store's directory |
/// | freshness | [`Freshness::Standard`] |
/// | cache | 32 MiB for each open tenant, 1 GiB for all |
/// | open tenants that nobody holds | 1,024 |
/// | durability | [`Durability::Durable`] |
/// | buffered writes are synced within | 10 ms |
/// | memtable of a tenant | 128 MiB |
/// | memtables of all tenants | 512 MiB |
/// | segment of a journal | 64 MiB |
/// | journal of a lane | 512 MiB |
/// | changes wait for a checkpoint at most | 5 minutes |
/// | checkpoints at close take at most | 5 seconds |
/// | expired records are swept every | hour |
/// | periods that share a key for what expires in them | 1 day |
/// | the clock may jump by | 7 days |
/// | what is erased leaves every file within | 30 days |
/// | copies of the key store are kept for | 0 |
/// | a call of a key provider is waited for | 30 seconds |
/// | keys that a provider gave are good for | 5 minutes |
/// | and beyond that while it can't be reached | 24 hours |
/// | background thread | on |
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) store: RegionPaths,
    pub(super) regions: BTreeMap<String, RegionPaths>,
    pub(super) providers: Providers,
    pub(super) freshness: Freshness,
    pub(super) cache_bytes: usize,
    pub(super) total_cache_bytes: u64,
    pub(super) open_tenants: usize,
    pub(super) accept_rollback: bool,
    pub(super) maintenance: Option<Names>,
    pub(super) durability: Durability,
    pub(super) buffered_within: Duration,
    pub(super) memtable_bytes: usize,
    pub(super) rotate_after: Duration,
    pub(super) rotate_after_records: u64,
    pub(super) memory_bytes: usize,
    pub(super) segment_bytes: u64,
    pub(super) journal_bytes: u64,
    pub(super) checkpoint_age: Duration,
    pub(super) close_budget: Duration,
    pub(super) sweep_interval: Duration,
    pub(super) erasure_period: Duration,
    pub(super) clock_step: Duration,
    pub(super) scrub_within: Duration,
    pub(super) key_copies_kept: Duration,
    pub(super) keys_good_for: Duration,
    pub(super) keys_grace: Duration,
    pub(super) background: bool,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    /// Looks after the clock, and is the clock once the configuration was checked.
    pub(super) guard: Arc<ClockGuard>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Config {
    /// The store in the directory `store`, its keys in `<store>.keys`.
    #[must_use]
    pub fn new(store: impl Into<PathBuf>) -> Self {
        Self {
            store: RegionPaths::new(store),
            regions: BTreeMap::new(),
            providers: Providers::default(),
            freshness: Freshness::default(),
            cache_bytes: 32 << 20,
            total_cache_bytes: 1 << 30,
            open_tenants: 1_024,
            accept_rollback: false,
            maintenance: None,
            durability: Durability::default(),
            buffered_within: Duration::from_millis(10),
            memtable_bytes: 128 << 20,
            rotate_after: Duration::from_hours(90 * 24),
            rotate_after_records: 1 << 32,
            memory_bytes: 512 << 20,
            segment_bytes: 64 << 20,
            journal_bytes: 512 << 20,
            checkpoint_age: Duration::from_mins(5),
            close_budget: Duration::from_secs(5),
            sweep_interval: Duration::from_hours(1),
            erasure_period: Duration::from_hours(24),
            clock_step: Duration::from_hours(7 * 24),
            scrub_within: Duration::from_hours(30 * 24),
            key_copies_kept: Duration::ZERO,
            keys_good_for: Duration::from_mins(5),
            keys_grace: Duration::from_hours(24),
            background: true,
            disk: Arc::new(RealDisk::new()),
            clock: Arc::new(SystemClock),
            guard: Arc::new(ClockGuard::new(Arc::new(SystemClock), 0)),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// Another directory for the key store of the default region.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<PathBuf>) -> Self {
        self.store.keys = keys.into();
        self
    }

    /// Registers a key provider by the name keyrings know it by: 1 to 63 of `a-z`, `0-9`, `-`. New tenants use the one
    /// named `default`.
    #[must_use]
    pub fn key_provider(mut self, name: impl Into<String>, provider: impl KeyProvider + 'static) -> Self {
        self.providers.insert(name.into(), Arc::new(provider));
        self
    }

    /// A region besides `default`: created with the store, and afterwards only needed where its directories have moved.
    #[must_use]
    pub fn region(mut self, name: impl Into<String>, paths: RegionPaths) -> Self {
        self.regions.insert(name.into(), paths);
        self
    }

    /// The regions that it names, `default` first, and their directories.
    pub fn regions(&self) -> impl Iterator<Item = (&str, &RegionPaths)> {
        let others = self.regions.iter().map(|(name, paths)| (name.as_str(), paths));
        std::iter::once((DEFAULT_REGION, &self.store)).chain(others)
    }

    /// What is done against older versions of blocks.
    #[must_use]
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Memory for the pages of each open tenant, in bytes; at least 256 KiB, default 32 MiB. The tags of the pages may
    /// take a sixteenth more, and what a large checkpoint writes half as much on its way to
    /// the disk, 2 MiB at the least.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Memory for the pages of all open tenants, in bytes; default 1 GiB. Each counts with what its file has, at most its own
    /// cache. Beyond that, tenants that nobody holds are closed, those that were asked for longest ago first.
    #[must_use]
    pub fn total_cache_bytes(mut self, bytes: u64) -> Self {
        self.total_cache_bytes = bytes;
        self
    }

    /// How many tenants stay open; default 1,024. Beyond that, tenants of which nobody holds a handle, snapshot or scan are
    /// closed, those that were asked for longest ago first; [`Engine::tenant`](crate::Engine::tenant) opens them again. What
    /// somebody holds stays open however many they are. An open tenant takes about 100 KiB, a file descriptor or none, and
    /// its cache.
    #[must_use]
    pub fn open_tenants(mut self, tenants: usize) -> Self {
        self.open_tenants = tenants;
        self
    }

    /// Accepts that the catalog and every tenant opened are older than their anchors: after a restore from a copy, when
    /// the newest copy is lost. What was acknowledged later is gone. Of the catalog it accepts too that its journal is
    /// damaged; a tenant whose creation is lost with that is not found any more.
    #[must_use]
    pub fn accept_rollback(mut self, accept: bool) -> Self {
        self.accept_rollback = accept;
        self
    }

    /// Opens the store for maintenance: no provider is asked for a key that values need, whatever it would give, so that a
    /// credential for the structure sections is enough. It verifies (but values), checkpoints, rewrites, moves, sweeps and
    /// tells sizes; reads and writes of records give `KeyUnavailable`, and so does the creation of tenants. What needs keys of
    /// values waits and is reported as overdue. Where names are not asked for, those of tenants, collections, indexes and holds
    /// stand as digests, which [`Engine::tenant`](crate::Engine::tenant) and the like take for names.
    #[must_use]
    pub fn maintenance(mut self, names: Names) -> Self {
        self.maintenance = Some(names);
        self.providers.structure_only = true;
        self
    }

    /// What a write waits for unless it says otherwise.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Within which time what was written with [`Durability::Buffered`] is synced; 1 ms to 60 s, default 10 ms. Without the
    /// background thread [`Engine::tick`](crate::Engine::tick) does it.
    #[must_use]
    pub fn buffered_within(mut self, time: Duration) -> Self {
        self.buffered_within = time;
        self
    }

    /// Age of a data key at which a tenant that puts records gets a new one; an hour to 3,650 days, default 90 days. The
    /// background thread sees to it, or [`Engine::tick`](crate::Engine::tick).
    #[must_use]
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.rotate_after = age;
        self
    }

    /// Records sealed under a data key after which a tenant gets a new one; 1,000 to 2^40, default 2^32. The background
    /// thread sees to it, or [`Engine::tick`](crate::Engine::tick).
    #[must_use]
    pub fn rotate_after_records(mut self, records: u64) -> Self {
        self.rotate_after_records = records;
        self
    }

    /// How much a tenant holds in memory, in bytes, before it goes into its file; at least 64 KiB, default 128 MiB. It takes
    /// twice as much while a checkpoint is under way; more makes checkpoints rarer and writes less in all.
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: usize) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// How much all tenants together hold so, in bytes, before the largest go into their files; at least 64 KiB, default
    /// 512 MiB.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Length of a journal's segment in bytes; 64 KiB to 1 GiB, default 64 MiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Length of a lane's journal in bytes beyond which its oldest segments are emptied; at least two segments, default
    /// 512 MiB.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// How long changes of 64 KiB or more wait for a checkpoint at most; default 5 minutes.
    #[must_use]
    pub fn checkpoint_age(mut self, age: Duration) -> Self {
        self.checkpoint_age = age;
        self
    }

    /// How long [`Engine::close`](crate::Engine::close) goes on making checkpoints, which shorten the next open; default 5
    /// seconds. What is left stays in the journal.
    #[must_use]
    pub fn close_budget(mut self, budget: Duration) -> Self {
        self.close_budget = budget;
        self
    }

    /// How often records that have expired are removed from the files; at least 1 s, default 1 hour. They are gone for
    /// everybody from the millisecond on at which they expire; this says for how long their sealed bytes stay.
    #[must_use]
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// How long the periods are of which each has a key: what expires in one is sealed under it, and when the period is over
    /// the sweep destroys it, which reaches every copy of the data; at least 1 s, default 1 day. It may be changed at any
    /// time. A tenant has at most 4,096 such periods ahead of it.
    #[must_use]
    pub fn erasure_period(mut self, period: Duration) -> Self {
        self.erasure_period = period;
        self
    }

    /// How far the clock may be from the latest time that the store has seen before nothing is destroyed any more
    /// (`ClockJump`), until somebody confirms the clock ([`Engine::confirm_clock`](crate::Engine::confirm_clock)); at least
    /// 1 s, default 7 days. A store that nobody opened for longer needs that too.
    #[must_use]
    pub fn clock_step(mut self, step: Duration) -> Self {
        self.clock_step = step;
        self
    }

    /// Within which time the sealed bytes of what was erased leave every file and journal; at least four sweep intervals, default
    /// 30 days. The sweep sees to it, when three quarters of the time are over: it rewrites the tenant's file
    /// ([`Tenant::scrub`](crate::Tenant::scrub)). What an overwritten record leaves goes with it, but is no reason for it.
    #[must_use]
    pub fn scrub_within(mut self, time: Duration) -> Self {
        self.scrub_within = time;
        self
    }

    /// How long copies of the key store are kept before they are destroyed, all of them; default 0, which is right where none
    /// are made. The horizon counts it ([`Tenant::horizon`](crate::Tenant::horizon)): with a copy of the key store what was
    /// erased since can be read in copies of the data.
    #[must_use]
    pub fn key_copies_kept(mut self, time: Duration) -> Self {
        self.key_copies_kept = time;
        self
    }

    /// How long a call of a key provider is waited for; 10 ms to 10 minutes, default 30 seconds. Then it counts as one that
    /// could not be reached, whatever it answers later.
    #[must_use]
    pub fn key_timeout(mut self, time: Duration) -> Self {
        self.providers.timeout = time;
        self
    }

    /// How long the keys are good that a provider gave for an open tenant; 1 second to 30 days, default 5 minutes. Its provider is
    /// asked again in time, by the background thread or [`Engine::tick`](crate::Engine::tick), and where it denies them the
    /// tenant is closed.
    #[must_use]
    pub fn keys_good_for(mut self, time: Duration) -> Self {
        self.keys_good_for = time;
        self
    }

    /// How much longer they are good while their provider can't be reached; at most 3,650 days, default 24 hours. Then the
    /// tenant is closed.
    #[must_use]
    pub fn keys_grace(mut self, time: Duration) -> Self {
        self.keys_grace = time;
        self
    }

    /// Whether a thread of the store's makes checkpoints and syncs what is buffered; default on. Without it whoever fills a
    /// memtable makes the checkpoint, and [`Engine::tick`](crate::Engine::tick) does the rest.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Another disk than the operating system's.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Another clock than the operating system's.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// How tenants are opened.
    pub(super) fn opening(&self) -> Opening {
        if self.accept_rollback { Opening::AcceptRollback } else { Opening::Strict }
    }

    /// How the catalog is opened.
    pub(super) fn catalog_opening(&self) -> Opening {
        if self.accept_rollback { Opening::AcceptLoss } else { Opening::Strict }
    }

    pub(super) fn partition_options(&self) -> PartitionOptions {
        PartitionOptions {
            disk: Arc::clone(&self.disk),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            cache_bytes: self.cache_bytes,
            full_freshness: self.freshness == Freshness::Full,
        }
    }

    /// Checks names and bounds, and makes the paths absolute.
    pub(super) fn checked(mut self) -> Result<Self> {
        self.providers.check()?;
        self.providers.require(DEFAULT_PROVIDER)?;
        self.regions.keys().try_for_each(|name| check_label("region", name))?;
        if self.regions.contains_key(DEFAULT_REGION) {
            return Err(fail!(
                InvalidArgument,
                "the region '{DEFAULT_REGION}' is the store's own directory: name another"
            ));
        }
        if self.cache_bytes < 256 << 10 {
            return Err(fail!(
                InvalidArgument,
                "the cache has {} bytes: the least is 262,144",
                self.cache_bytes
            ));
        }
        let bounded = [
            ("memtable", self.memtable_bytes as u64, 64 << 10, u64::MAX),
            ("memory for memtables", self.memory_bytes as u64, 64 << 10, u64::MAX),
            ("segment", self.segment_bytes, 64 << 10, 1 << 30),
            ("journal", self.journal_bytes, 2 * self.segment_bytes, u64::MAX),
        ];
        for (what, bytes, least, most) in bounded {
            if !(least..=most).contains(&bytes) {
                return Err(fail!(InvalidArgument, "the {what} has {bytes} bytes: give {least} to {most}"));
            }
        }
        if !(Duration::from_millis(1)..=Duration::from_mins(1)).contains(&self.buffered_within) {
            return Err(fail!(InvalidArgument, "buffered writes are synced within 1 ms to 60 s"));
        }
        let times = [
            ("sweep interval", self.sweep_interval),
            ("erasure period", self.erasure_period),
            ("clock's step", self.clock_step),
        ];
        for (what, time) in times {
            if time < Duration::from_secs(1) {
                return Err(fail!(InvalidArgument, "the {what} is shorter than a second"));
            }
        }
        if self.scrub_within < 4 * self.sweep_interval {
            return Err(fail!(
                InvalidArgument,
                "the time within which erased bytes leave every file is shorter than four sweep intervals"
            ));
        }
        self.guard = Arc::new(ClockGuard::new(Arc::clone(&self.clock), milliseconds(self.clock_step)));
        self.clock = Arc::clone(&self.guard) as Arc<_>;
        let bounds = [
            (
                "a key provider is waited for",
                self.providers.timeout,
                Duration::from_millis(10),
                Duration::from_mins(10),
            ),
            ("keys are good for", self.keys_good_for, Duration::from_secs(1), Duration::from_hours(30 * 24)),
            ("the grace of keys is", self.keys_grace, Duration::ZERO, Duration::from_hours(3_650 * 24)),
        ];
        for (what, time, least, most) in bounds {
            if !(least..=most).contains(&time) {
                return Err(fail!(InvalidArgument, "{what} {time:?}: give {least:?} to {most:?}"));
            }
        }
        let ages = Duration::from_hours(1)..=Duration::from_hours(3_650 * 24);
        if !ages.contains(&self.rotate_after) {
            return Err(fail!(InvalidArgument, "data keys are rotated after an hour to 3,650 days"));
        }
        if !(1_000..=SEALS_MAX).contains(&self.rotate_after_records) {
            return Err(fail!(InvalidArgument, "data keys are rotated after 1,000 to {SEALS_MAX} records"));
        }
        self.store = self.absolute(&self.store)?;
        for (name, paths) in self.regions.clone() {
            let paths = self.absolute(&paths)?;
            self.regions.insert(name, paths);
        }
        Ok(self)
    }

    fn absolute(&self, paths: &RegionPaths) -> Result<RegionPaths> {
        let absolute = |path: &Path| {
            self.disk
                .absolute(path)
                .map_err(|error| Error::io(format!("resolving {}", path.display()), error))
        };
        Ok(RegionPaths { root: absolute(&paths.root)?, keys: absolute(&paths.keys)? })
    }

    /// Refuses directories that lie in each other, and provider files inside any of them: a copy of the data must never
    /// hold a key (invariant 2).
    pub(super) fn check_nesting<'a>(&self, regions: impl IntoIterator<Item = &'a RegionPaths>) -> Result<()> {
        let directories: Vec<_> = regions.into_iter().flat_map(|paths| [&paths.root, &paths.keys]).collect();
        for (index, a) in directories.iter().enumerate() {
            for b in &directories[index + 1..] {
                if a.starts_with(b) || b.starts_with(a) {
                    return Err(fail!(
                        InvalidArgument,
                        "{} and {} lie in each other: data and keys need directories of their own",
                        a.display(),
                        b.display()
                    ));
                }
            }
        }
        for location in self.providers.locations() {
            let absolute = self.disk.absolute(location);
            let absolute =
                absolute.map_err(|error| Error::io(format!("resolving {}", location.display()), error))?;
            if let Some(directory) = directories.iter().find(|directory| absolute.starts_with(directory)) {
                return Err(fail!(
                    InvalidArgument,
                    "the root key {} lies in {}: keep it somewhere else",
                    absolute.display(),
                    directory.display()
                ));
            }
        }
        Ok(())
    }
}
