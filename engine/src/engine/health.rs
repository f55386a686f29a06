//! How a store does: told from memory, fast enough to be asked each second, and published for other processes.
//!
//! No name of a tenant, collection or key is in it (invariant 9).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::disk::{Disk, OpenMode};
use crate::engine::config::{Config, RegionPaths};
use crate::engine::duties::DutyHealth;
use crate::engine::maintenance::WORTH_BYTES;
use crate::engine::rekeys::DataKeyHealth;
use crate::engine::{Engine, Inner};
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::retention::milliseconds;

/// The file in which a holder publishes it, beside the lock.
pub(super) const FILE_NAME: &str = "strongroom.health";
/// Its length grows by so much: a reader reads whole pages, and the text ends in blanks.
const PAGE: usize = 4_096;
/// The longest that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Free room below which a region's directory is bad, in bytes: a segment and a checkpoint may need as much.
const ROOM_BYTES: u64 = 256 << 20;
/// The longest that work may wait beyond its time.
const GRACE: Duration = Duration::from_secs(30);

/// How a store does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The store.
    pub store: StoreId,
    /// When this was told, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The process that has the store.
    pub process: u32,
    /// Each region's directories.
    pub regions: Vec<RegionHealth>,
    /// The journals that are open.
    pub lanes: Vec<LaneHealth>,
    /// Tenants that are open.
    pub tenants_open: usize,
    /// Tenants that were asked for and could not be opened, until they can; with the error's kind.
    pub tenants_refused: Vec<(TenantId, ErrorKind)>,
    /// Open tenants whose last checkpoint failed; with the error's kind.
    pub checkpoints_failed: Vec<(TenantId, ErrorKind)>,
    /// Open tenants whose changes wait longer for a checkpoint than they should.
    pub checkpoints_overdue: Vec<TenantId>,
    /// Open tenants of which keys of periods that are over could not be destroyed yet, because held records need them; with
    /// how many.
    pub periods_held: Vec<(TenantId, usize)>,
    /// The duties of an open store.
    pub duties: Vec<DutyHealth>,
    /// The open tenant whose data key is the oldest, and how old it is, in milliseconds.
    pub oldest_data_key: Option<(TenantId, u64)>,
    /// The data keys of open tenants, under which new records are sealed.
    pub data_keys: Vec<DataKeyHealth>,
    /// Tenants that were open since the store was opened, and of which records are still under a data key beyond the deadline
    /// ([`Tenant::set_rekey_deadline`](crate::Tenant::set_rekey_deadline)).
    pub rekeys_overdue: Vec<TenantId>,
    /// Open tenants of which sealed bytes of what was erased are in files beyond the deadline
    /// ([`Config::scrub_within`](crate::Config::scrub_within)).
    pub scrubs_overdue: Vec<TenantId>,
    /// Open tenants whose key provider can't be reached, and since when; in milliseconds since the epoch. They are closed when the
    /// grace is over ([`Config::keys_grace`](crate::Config::keys_grace)).
    pub providers_unreachable: Vec<(TenantId, u64)>,
    /// Tenants that were erased or have moved, and of which something is left that could not be destroyed yet; with the error's
    /// kind.
    pub tenants_unfinished: Vec<(TenantId, ErrorKind)>,
    /// Bytes that only memory and the journals hold.
    pub memtable_bytes: u64,
}

/// How a region does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionHealth {
    /// Its name.
    pub name: String,
    /// Why it can't be reached, if it can't.
    pub problem: Option<String>,
    /// Bytes that are free where its data is, where the system tells.
    pub data_free_bytes: Option<u64>,
    /// Bytes that are free where its keys are, where the system tells.
    pub keys_free_bytes: Option<u64>,
}

/// How a journal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneHealth {
    /// Its region.
    pub region: String,
    /// Its id: the store's for the one that tenants share, else the tenant's.
    pub id: TenantId,
    /// Whether it takes no more changes until the store is opened again.
    pub poisoned: bool,
    /// Places at which it is damaged.
    pub damaged: u64,
    /// Bytes of its segments.
    pub segment_bytes: u64,
    /// Whether it is more than twice as long as configured: what empties it does not keep up.
    pub too_long: bool,
    /// Whether buffered changes wait for a sync longer than they should.
    pub sync_overdue: bool,
}

impl RegionHealth {
    fn lacks_room(&self) -> bool {
        [self.data_free_bytes, self.keys_free_bytes].into_iter().flatten().any(|bytes| bytes < ROOM_BYTES)
    }
}

impl Health {
    /// What is wrong, each with what to do; empty where nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for region in &self.regions {
            if let Some(problem) = &region.problem {
                problems.push(problem.clone());
            } else if region.lacks_room() {
                let name = &region.name;
                problems.push(format!("region '{name}': less than 256 MiB are free: make room"));
            }
        }
        for LaneHealth { region, id, poisoned, damaged, too_long, sync_overdue, .. } in &self.lanes {
            let told = [
                (*poisoned, "takes no more changes: open the store again"),
                (*damaged > 0, "is damaged: put its files back from a copy, else salvage its tenants"),
                (*too_long, "is more than twice as long as configured: look why checkpoints fail"),
                (
                    *sync_overdue,
                    "has not synced what was buffered: is the maintenance thread on, or tick called?",
                ),
            ];
            let told = told.into_iter().filter(|(is_so, _)| *is_so);
            problems.extend(told.map(|(_, what)| format!("journal {id} of region '{region}' {what}")));
        }
        for (tenant, kind) in &self.tenants_refused {
            problems.push(format!("tenant {tenant} could not be opened ({kind}): verify tells more"));
        }
        for (tenant, kind) in &self.tenants_unfinished {
            problems.push(format!(
                "what is left of tenant {tenant} after its erasure or move could not be destroyed ({kind}): a sweep tries again"
            ));
        }
        for (tenant, kind) in &self.checkpoints_failed {
            problems.push(format!("a checkpoint of tenant {tenant} failed ({kind}): it is tried again"));
        }
        for tenant in &self.checkpoints_overdue {
            problems.push(format!(
                "a checkpoint of tenant {tenant} is overdue: is the maintenance thread on, or tick called?"
            ));
        }
        for (tenant, periods) in &self.periods_held {
            problems.push(format!(
                "tenant {tenant}: {periods} keys of periods are overdue, because records that are held could not be sealed \
                 anew: damage, or no content keys"
            ));
        }
        for duty in &self.duties {
            let name = duty.name;
            match duty.failed {
                _ if duty.overdue => problems.push(format!(
                    "the duty '{name}' is overdue: is the maintenance thread on, or tick called?"
                )),
                Some(ErrorKind::ClockJump) => problems.push(format!(
                    "the duty '{name}' waits because the clock jumped: look at the clock and confirm it"
                )),
                Some(kind) => problems.push(format!("the duty '{name}' failed ({kind}): it is tried again")),
                None => {}
            }
        }
        for (tenant, _) in &self.providers_unreachable {
            problems.push(format!(
                "the key provider of tenant {tenant} can't be reached: the tenant is closed when the grace is over"
            ));
        }
        for DataKeyHealth { tenant, .. } in self.data_keys.iter().filter(|key| key.rotation_overdue) {
            problems.push(format!(
                "the rotation of the data key of tenant {tenant} is overdue: look why the duty 'keys' fails, or rotate it"
            ));
        }
        for tenant in &self.rekeys_overdue {
            problems.push(format!(
                "records of tenant {tenant} are still under a data key beyond the deadline: look whether uploads under it are under way \
                 and what does not open, or rekey it"
            ));
        }
        for tenant in &self.scrubs_overdue {
            problems.push(format!(
                "what was erased of tenant {tenant} is still in files, sealed, beyond its deadline: look why sweeps fail, or scrub it"
            ));
        }
        problems
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems().is_empty()
    }

    /// The same for machines: one object of JSON, ids as hex, with `good` and `problems`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let region = |region: &RegionHealth| {
            json!({
                "name": region.name,
                "problem": region.problem,
                "data_free_bytes": region.data_free_bytes,
                "keys_free_bytes": region.keys_free_bytes,
            })
        };
        let lane = |lane: &LaneHealth| {
            json!({
                "region": lane.region,
                "id": lane.id.to_string(),
                "poisoned": lane.poisoned,
                "damaged": lane.damaged,
                "segment_bytes": lane.segment_bytes,
                "too_long": lane.too_long,
                "sync_overdue": lane.sync_overdue,
            })
        };
        let duty = |duty: &DutyHealth| {
            json!({
                "name": duty.name,
                "last_ms": duty.last_ms,
                "failed": duty.failed.map(ErrorKind::name),
                "overdue": duty.overdue,
            })
        };
        let data_key = |key: &DataKeyHealth| {
            json!({
                "tenant": key.tenant.to_string(),
                "generation": key.generation,
                "age_ms": key.age_ms,
                "records_sealed": key.records_sealed,
                "rotation_overdue": key.rotation_overdue,
            })
        };
        let unreachable = |(tenant, since_ms): &(TenantId, u64)| json!({"tenant": tenant.to_string(), "since_ms": since_ms});
        let failed = |(tenant, kind): &(TenantId, ErrorKind)| json!({"tenant": tenant.to_string(), "kind": kind.name()});
        json!({
            "good": self.is_good(),
            "problems": self.problems(),
            "store": self.store.to_string(),
            "at_ms": self.at_ms,
            "process": self.process,
            "regions": self.regions.iter().map(region).collect::<Vec<_>>(),
            "lanes": self.lanes.iter().map(lane).collect::<Vec<_>>(),
            "tenants_open": self.tenants_open,
            "tenants_refused": self.tenants_refused.iter().map(failed).collect::<Vec<_>>(),
            "tenants_unfinished": self.tenants_unfinished.iter().map(failed).collect::<Vec<_>>(),
            "checkpoints_failed": self.checkpoints_failed.iter().map(failed).collect::<Vec<_>>(),
            "checkpoints_overdue":
                self.checkpoints_overdue.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "periods_held": self.periods_held.iter()
                .map(|(tenant, periods)| json!({"tenant": tenant.to_string(), "periods": periods}))
                .collect::<Vec<_>>(),
            "scrubs_overdue": self.scrubs_overdue.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "duties": self.duties.iter().map(duty).collect::<Vec<_>>(),
            "oldest_data_key": self.oldest_data_key.map(|(tenant, age_ms)| json!({"tenant": tenant.to_string(), "age_ms": age_ms})),
            "data_keys": self.data_keys.iter().map(data_key).collect::<Vec<_>>(),
            "rekeys_overdue": self.rekeys_overdue.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "providers_unreachable": self.providers_unreachable.iter().map(unreachable).collect::<Vec<_>>(),
            "memtable_bytes": self.memtable_bytes,
        })
        .to_string()
    }
}

/// What the holder of a store published of its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHealth {
    /// What [`Health::to_json`] gave. Nothing vouches for it: whoever can write the store's directory can write this.
    pub json: String,
    /// Whether nothing was wrong.
    pub good: bool,
    /// When it was told, in milliseconds since the epoch.
    pub at_ms: u64,
    /// How old it is. Beyond a few seconds the holder hangs, or is gone.
    pub age: Duration,
}

impl Inner {
    pub(super) fn health(&self) -> Health {
        let region = |region: &std::sync::Arc<super::region::Region>| {
            let disk = &*self.config.disk;
            let reached = region.require(disk, self.store, &self.marker_key);
            RegionHealth {
                name: region.name.clone(),
                problem: reached.err().map(|error| error.to_string()),
                data_free_bytes: disk.free_bytes(&region.paths.root).ok().flatten(),
                keys_free_bytes: disk.free_bytes(&region.paths.keys).ok().flatten(),
            }
        };
        let sync_bound = (10 * self.config.buffered_within).max(GRACE);
        let lanes = self.shared.open_lanes().into_iter().map(|(region, id, lane)| {
            let stats = lane.stats();
            LaneHealth {
                region,
                id,
                poisoned: lane.is_poisoned(),
                damaged: stats.damaged,
                segment_bytes: stats.segment_bytes,
                too_long: stats.segment_bytes > 2 * self.config.journal_bytes,
                sync_overdue: lane.unsynced_since().is_some_and(|since| since.age() > sync_bound),
            }
        });
        let tenants = self.open_tenants();
        let failed = tenants.iter().filter_map(|tenant| Some((tenant.id(), tenant.checkpoint_failure()?)));
        let bound = 2 * self.config.checkpoint_age + GRACE;
        let overdue = tenants.iter().filter(|tenant| {
            tenant.waits_since().is_some_and(|since| since.age() > bound)
                && tenant.journal_bytes() >= WORTH_BYTES
        });
        let held = tenants.iter().map(|tenant| (tenant.id(), tenant.periods_held()));
        let periods_held = held.filter(|(_, periods)| *periods > 0);
        let now_ms = self.config.clock.now_ms();
        let data_keys = self.data_keys_health(&tenants);
        let oldest = data_keys.iter().map(|key| (key.tenant, key.age_ms));
        let within_ms = milliseconds(self.config.scrub_within);
        let unscrubbed = tenants.iter().filter(|tenant| {
            let since_ms = tenant.unscrubbed_since_ms().ok().flatten();
            since_ms.is_some_and(|since_ms| since_ms.saturating_add(within_ms) < now_ms)
        });
        Health {
            duties: self.duties_health(),
            oldest_data_key: oldest.max_by_key(|(_, age_ms)| *age_ms),
            data_keys,
            rekeys_overdue: self.rekeys_overdue(&tenants, now_ms),
            providers_unreachable: self.unreachable_providers(),
            scrubs_overdue: unscrubbed.map(crate::tenant::Tenant::id).collect(),
            store: self.store,
            at_ms: now_ms,
            process: std::process::id(),
            regions: self.shared.all().iter().map(region).collect(),
            lanes: lanes.collect(),
            tenants_open: tenants.len() - 1,
            tenants_refused: self.refused.lock().iter().map(|(tenant, kind)| (*tenant, *kind)).collect(),
            tenants_unfinished: self
                .unfinished
                .lock()
                .iter()
                .map(|(tenant, kind)| (*tenant, *kind))
                .collect(),
            checkpoints_failed: failed.collect(),
            checkpoints_overdue: overdue.map(crate::tenant::Tenant::id).collect(),
            periods_held: periods_held.collect(),
            memtable_bytes: tenants.iter().map(|tenant| tenant.memtable_bytes() as u64).sum(),
        }
    }

    /// Publishes how the store does, for other processes. It is a courtesy: where it fails nothing is lost.
    pub(super) fn publish_health(&self) {
        let mut text = self.health().to_json().into_bytes();
        text.resize(text.len().next_multiple_of(PAGE), b' ');
        let path = self.config.store.root.join(FILE_NAME);
        let disk = &*self.config.disk;
        let opened = disk.open(&path, OpenMode::ReadWrite).or_else(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                return disk.open(&path, OpenMode::CreateNew);
            }
            Err(error)
        });
        let written = opened
            .and_then(|file| file.write_all_at(&text, 0).and_then(|()| file.set_len(text.len() as u64)));
        if let Err(error) = written {
            tracing::debug!(%error, "the store's health could not be published");
        }
    }

    /// Takes back what was published: the store is closed.
    pub(super) fn withdraw_health(&self) {
        if let Err(error) = self.config.disk.remove_file(&self.config.store.root.join(FILE_NAME))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the store's published health could not be removed");
        }
    }
}

impl Engine {
    /// How the store does. Told from memory but for the regions' markers and the room on their disks: it may be asked each
    /// second. While the background thread runs, it publishes the same beside the store's lock about once a second, for
    /// [`Config::published_health`].
    ///
    /// # Errors
    /// `Forked`, `Poisoned`.
    pub fn health(&self) -> Result<Health> {
        self.check()?;
        Ok(self.0.health())
    }
}

impl Config {
    /// What the process that has this store open published of its health. Needs no key.
    ///
    /// # Errors
    /// `NotFound` where nothing is published: nobody has the store, or without a background thread; `Io`; `Corrupted` where
    /// it is nothing that a holder wrote.
    pub fn published_health(&self) -> Result<PublishedHealth> {
        let RegionPaths { root, .. } = &self.store;
        let path = root.join(FILE_NAME);
        let mut found = read(&*self.disk, &path)?;
        // It may be written just now.
        for _ in 0..100 {
            if let Some(health) = parse(&found, &*self.clock) {
                return Ok(health);
            }
            found = read(&*self.disk, &path)?;
        }
        Err(fail!(Corrupted, "{} holds nothing that a holder of the store wrote: remove it", path.display()))
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return fail!(NotFound, "no process publishes this store's health: open it and ask");
        }
        Error::io(format!("reading {}", path.display()), error)
    };
    let file = disk.open(path, OpenMode::Read).map_err(failed)?;
    let length = file.len().map_err(failed)?.min(FILE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Vec::new()),
        read => read.map(|()| bytes).map_err(failed),
    }
}

fn parse(bytes: &[u8], clock: &dyn Clock) -> Option<PublishedHealth> {
    let json = std::str::from_utf8(bytes).ok()?.trim_end();
    let value: Value = serde_json::from_str(json).ok()?;
    let (good, at_ms) = (value["good"].as_bool()?, value["at_ms"].as_u64()?);
    let age = Duration::from_millis(clock.now_ms().saturating_sub(at_ms));
    Some(PublishedHealth { json: json.to_owned(), good, at_ms, age })
}
