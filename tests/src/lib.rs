//! The reference model: what a store must answer after any sequence of operations.
//!
//! One list of operations and one model serve the property tests, the fuzz target `operations` and the simulation of
//! power losses.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "the model's answer to a difference is a panic"
)]

mod beside;
mod finding;
mod keeping;
mod operation;
mod places;
mod state;

pub use operation::Operation;

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom::simulation::{Entropy, ManualClock, SeededEntropy, SimDisk};
use strongroom::{
    Collection, Config, Cursor, Durability, Engine, Entry, EraseReport, ErrorKind, Index, KeyFile,
    PutOptions, RegionPaths, Result, ScanOptions, Tenant, TenantOptions, Version,
};

use keeping::{keeping_of, policy_of, subject_of, unless_held};
use state::{Found, Keeping, Kept, Record, Records, State};

/// Tenants, collections and keys are drawn from so few that operations meet.
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// How long what is removed can be restored.
const WINDOW_MS: u64 = 15_000;
/// When the world begins.
const START_MS: u64 = 1_700_000_000_000;
/// The tenant with a journal of its own.
const DEDICATED: usize = 2;
/// The tenant whose records have keys of their own.
const OWN_KEYS: usize = 1;
/// The shortest value in chunks, and what a chunk has of it.
const LARGE: usize = (1 << 20) + 1;
const CHUNK: usize = 65_412;
const COLLECTIONS: [&str; 3] = ["documents", "users", "\u{1f980}"];
/// Every record has a key in this index of its collection: the first byte of its value, if it has one.
const INDEX: &str = "first";

/// Behind which key of an index and of a record a page begins, whether it goes back, and the cursor.
type FoundPage = ((u8, Vec<u8>), bool, Cursor);

/// A record's collection, key and value.
type Put = (&'static str, Vec<u8>, Vec<u8>);

/// What a tenant must hold: what it loses, it loses from its end.
#[derive(Clone, Debug)]
struct History {
    /// The states that a power loss may leave, the last acknowledged one last.
    states: Vec<State>,
    /// The states that there are besides if what was under way was made after all, in order.
    under_way: Vec<State>,
}

impl History {
    fn new() -> Self {
        Self { states: vec![State::default()], under_way: Vec::new() }
    }

    fn newest(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    /// What was under way is acknowledged.
    fn acknowledge(&mut self) {
        self.states.append(&mut self.under_way);
    }

    /// Everything acknowledged is durable.
    fn settle(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    /// What was found counts from now on, if it may be.
    fn accept(&mut self, found: &Found, now_ms: u64) {
        let mut states = self.states.iter().chain(&self.under_way).map(|state| state.at(now_ms));
        let state = states.find(|state| state.is(found));
        let newest = self.newest().at(now_ms);
        let state = state.unwrap_or_else(|| {
            let removed = (found.listed.len(), newest.listed().len());
            let holds = (found.holds.len(), newest.holds.len());
            panic!(
                "{}; {} of {} removed ones; {} of {} holds; {:?}, not {:?}",
                difference(&found.live, &newest.live),
                removed.0,
                removed.1,
                holds.0,
                holds.1,
                found.keeping,
                newest.keeping
            )
        });
        *self = Self { states: vec![state], under_way: Vec::new() };
    }
}

/// What a store must hold.
#[derive(Clone, Debug)]
pub struct Expectation([History; 3]);

/// A store on a simulated disk, and what it must hold.
#[derive(Debug)]
pub struct World {
    disk: SimDisk,
    seed: u64,
    clock: Arc<ManualClock>,
    /// The latest time that the store has seen.
    now_ms: u64,
    engine: Option<Engine>,
    /// Of each tenant.
    tenants: [History; 3],
    /// Behind which record of a collection the next page begins.
    pages: BTreeMap<(usize, usize), (Vec<u8>, Cursor)>,
    /// The same of what is found by the index, with the key there, and whether it goes back.
    found_pages: BTreeMap<(usize, usize), FoundPage>,
    steps: u64,
    timeline: u32,
}

impl World {
    /// A new store.
    ///
    /// # Errors
    /// Those of its creation.
    pub fn create(disk: &SimDisk, seed: u64) -> Result<Self> {
        let clock = Arc::new(ManualClock::at(START_MS));
        let engine = Engine::create(Self::config(disk, &clock, seed))?;
        Ok(Self {
            disk: disk.clone(),
            seed,
            clock,
            now_ms: START_MS,
            engine: Some(engine),
            tenants: [History::new(), History::new(), History::new()],
            pages: BTreeMap::new(),
            found_pages: BTreeMap::new(),
            steps: 0,
            timeline: 0,
        })
    }

    /// The same world on what a power loss left of its disk; not opened. Collections may be gone, and cursors with them.
    #[must_use]
    pub fn moved(self, disk: &SimDisk) -> Self {
        Self {
            disk: disk.clone(),
            engine: None,
            pages: BTreeMap::new(),
            found_pages: BTreeMap::new(),
            ..self
        }
    }

    /// The least memtable, segment and journal, and no thread: checkpoints, rotations and moves are frequent, and the same
    /// operations give the same disk.
    fn config(disk: &SimDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        Config::new("/store")
            .key_provider("default", KeyFile::at("/root-key").on_disk(Arc::new(disk.clone())))
            .disk(Arc::new(disk.clone()))
            .clock(Arc::clone(clock) as Arc<_>)
            .region(places::OTHER, RegionPaths::new("/other"))
            .sweep_interval(std::time::Duration::from_secs(20))
            .erasure_period(std::time::Duration::from_secs(5))
            .entropy(entropy)
            .cache_bytes(1 << 20)
            .memtable_bytes(64 << 10)
            .segment_bytes(64 << 10)
            .journal_bytes(128 << 10)
            .background(false)
    }

    fn engine(&mut self) -> Result<&Engine> {
        if self.engine.is_none() {
            self.steps += 1;
            // What the store has not kept of the clock it can't hold against one that was set back.
            self.clock.set(self.now_ms);
            let seed = self.seed ^ self.steps << 32;
            self.engine = Some(Engine::open(Self::config(&self.disk, &self.clock, seed))?);
        }
        Ok(self.engine.as_ref().unwrap())
    }

    fn tenant(&mut self, tenant: u8) -> Result<(usize, Tenant)> {
        let index = usize::from(tenant) % TENANTS.len();
        let engine = self.engine()?;
        let opened = match engine.tenant(TENANTS[index]) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let options = TenantOptions::new().policy(policy_of(index, Keeping::default()));
                let options = if index == DEDICATED { options.dedicated() } else { options };
                engine.create_tenant(TENANTS[index], options)
            }
            opened => opened,
        };
        Ok((index, opened?))
    }

    /// What was under way is acknowledged. A sync covers all that the lane has.
    fn acknowledge(&mut self, tenant: usize, is_durable: bool) {
        self.tenants[tenant].acknowledge();
        if is_durable {
            for other in self.with_the_lane_of(tenant) {
                self.tenants[other].settle();
            }
        }
    }

    fn newest(&self, tenant: usize, collection: usize) -> BTreeMap<Vec<u8>, Record> {
        self.tenants[tenant].newest().at(self.now_ms).live.remove(&(tenant, collection)).unwrap_or_default()
    }

    /// Makes an operation and compares its answer with the model's.
    ///
    /// # Errors
    /// Those of the store; a wrong answer is a panic.
    pub fn apply(&mut self, operation: &Operation) -> Result<()> {
        self.steps += 1;
        // A store that is open never goes back; one that is opened anew goes on from what it kept.
        self.now_ms = self.now_ms.max(strongroom::simulation::Clock::now_ms(&*self.clock));
        match operation {
            Operation::Write { tenant, puts, erases, buffered } => {
                self.write(*tenant, puts, erases, *buffered)
            }
            Operation::Submit { tenant, batches } => self.submit(*tenant, batches),
            Operation::PutIf { tenant, collection, key, length, condition } => {
                self.put_if(*tenant, *collection, *key, *length, *condition)
            }
            Operation::Erase { tenant, collection, key } => {
                let key = key_of(*key);
                let erase = |collection: &Collection| {
                    Ok(EraseReport { records: u64::from(collection.erase(&key)?), held: 0 })
                };
                self.erase(*tenant, *collection, |known| *known == key, true, erase)
            }
            Operation::Remove { tenant, collection, key } => {
                let key = key_of(*key);
                let remove = |collection: &Collection| collection.remove(&key).map(u64::from);
                self.remove(*tenant, *collection, |known| *known == key, remove)
            }
            Operation::RemoveRange { tenant, collection, from, to } => {
                let range = key_of(*from)..key_of(*to);
                let remove = |collection: &Collection| collection.remove_range(range.clone());
                self.remove(*tenant, *collection, |key| range.contains(key), remove)
            }
            Operation::Restore { tenant, collection, key } => self.restore(*tenant, *collection, *key),
            Operation::EraseRange { tenant, collection, from, to } => {
                let range = key_of(*from)..key_of(*to);
                let erase = |collection: &Collection| collection.erase_range(range.clone());
                self.erase(*tenant, *collection, |key| range.contains(key), false, erase)
            }
            Operation::PutLarge { tenant, collection, key, chunks } => {
                self.put_large(*tenant, *collection, *key, *chunks)
            }
            Operation::Get { tenant, collection, key } => self.get(*tenant, *collection, *key),
            Operation::Scan { tenant, collection, from, limit, reverse } => {
                self.scan(*tenant, *collection, *from, *limit, *reverse)
            }
            Operation::Page { tenant, collection, limit } => self.page(*tenant, *collection, *limit),
            Operation::Find { tenant, collection, first, reverse } => {
                self.find(*tenant, *collection, *first, *reverse)
            }
            Operation::FindPage { tenant, collection, limit, reverse } => {
                self.find_page(*tenant, *collection, *limit, *reverse)
            }
            Operation::Rekey { tenant } => self.rekey(*tenant),
            Operation::GetRange { tenant, collection, key, from, length } => {
                self.get_range(*tenant, *collection, *key, (*from, *length))
            }
            Operation::Move { tenant } => self.move_tenant(*tenant),
            Operation::Scrub { tenant } => self.tenant(*tenant)?.1.scrub(&mut |_, _| {}).map(|_| ()),
            Operation::RenewSections { tenant } => self.renew_sections(*tenant),
            Operation::Beside { tenant, work, operations } => self.beside(*tenant, *work, operations),
            Operation::Hold { tenant, name, collection, key, scope } => {
                self.hold(*tenant, *name, (*collection, *key, *scope))
            }
            Operation::Release { tenant, name } => self.release(*tenant, *name),
            Operation::PutOf { tenant, collection, key, length, subject } => {
                self.put_of(*tenant, (*collection, *key, *length), *subject)
            }
            Operation::EraseSubject { tenant, subject } => self.erase_subject(*tenant, *subject),
            Operation::SetPolicy { tenant, policy } => self.set_policy(*tenant, *policy),
            Operation::PutFor { tenant, collection, key, length, ttl_ms } => {
                let ttl = std::time::Duration::from_millis((*ttl_ms).into());
                let expires_ms = Some(self.now_ms + u64::from(*ttl_ms));
                let put = (*collection, *key, *length);
                self.put_as(*tenant, put, (expires_ms, None), |options| options.ttl(ttl))
            }
            Operation::Wait { ms } => self.wait(*ms),
            Operation::Sweep => self.sweep(),
            Operation::Checkpoint { tenant } => self.tenant(*tenant)?.1.checkpoint(),
            Operation::Tick => {
                self.engine()?.tick()?;
                self.tenants.iter_mut().for_each(History::settle);
                Ok(())
            }
            Operation::Rewrite { tenant } => self.tenant(*tenant)?.1.rewrite(&mut |_, _| {}).map(|_| ()),
            Operation::Reopen { clean } => {
                let engine = self.engine.take();
                match engine {
                    Some(engine) if *clean => {
                        engine.close()?;
                        self.tenants.iter_mut().for_each(History::settle);
                    }
                    dropped => drop(dropped),
                }
                self.engine().map(|_| ())
            }
            Operation::Verify => {
                let report = self.engine()?.verify(&mut |_| {})?;
                assert!(report.is_good() || !self.power_is_on(), "{report:#?}");
                Ok(())
            }
        }
    }

    fn wait(&mut self, ms: i16) -> Result<()> {
        if ms < 0 {
            // What the store has not seen it can't hold against a clock that is set back.
            self.apply(&Operation::Tick)?;
        }
        let told_ms = strongroom::simulation::Clock::now_ms(&*self.clock);
        self.clock.set(told_ms.saturating_add_signed(ms.into()));
        Ok(())
    }

    fn get(&mut self, tenant: u8, collection: u8, key: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let got = handle.collection(COLLECTIONS[collection])?.get(key_of(key))?;
        let expected = self.newest(tenant, collection).remove(&key_of(key));
        let expected = expected.as_ref().map(|record| &record.value[..]);
        assert_eq!(got.as_deref(), expected, "a get differs");
        Ok(())
    }

    fn scan(&mut self, tenant: u8, collection: u8, from: u8, limit: u8, reverse: bool) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let options = ScanOptions::new().range(key_of(from)..).limit(limit.into()).reverse(reverse);
        let found = scan(&handle, collection, options)?;
        let records = self.newest(tenant, collection);
        let range = records.range(key_of(from)..).map(|(key, record)| (key.clone(), record.clone()));
        let expected: Vec<_> = if reverse {
            range.rev().take(limit.into()).collect()
        } else {
            range.take(limit.into()).collect()
        };
        assert_eq!(found, expected, "a scan differs");
        Ok(())
    }

    /// A batch's records by collection name and key, and the state it leads to.
    fn batch(&mut self, tenant: usize, puts: &[(u8, u8, u16)], before: &State) -> (Vec<Put>, State) {
        let mut after = before.clone();
        let mut batch = Vec::new();
        for (collection, key, length) in puts {
            let collection = usize::from(*collection) % COLLECTIONS.len();
            self.steps += 1;
            let value = value_of(self.seed ^ self.steps, self.other_length(*length));
            after.put((tenant, collection), &key_of(*key), self.record(tenant, &value, None));
            batch.push((COLLECTIONS[collection], key_of(*key), value));
        }
        (batch, after)
    }

    /// A collection whose index can be searched.
    fn indexed(handle: &Tenant, collection: &str) -> Result<Collection> {
        let collection = handle.collection(collection)?;
        collection.declare_index(INDEX, Index::ordered())?;
        if collection.indexes()?.iter().any(|index| !index.is_ready) {
            // A power loss between its declaration and saying that there is nothing to build.
            collection.build_index(INDEX, &mut |_| Ok(Vec::new()), &mut |_| {})?;
        }
        Ok(collection)
    }

    fn write(
        &mut self,
        tenant: u8,
        puts: &[(u8, u8, u16)],
        erases: &[(u8, u8)],
        buffered: bool,
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let before = self.tenants[tenant].newest().at(self.now_ms);
        let (batch, mut after) = self.batch(tenant, puts, &before);
        let erases = erases
            .iter()
            .map(|(collection, key)| (usize::from(*collection) % COLLECTIONS.len(), key_of(*key)));
        let erases: Vec<_> = erases.collect();
        for (collection, key) in &erases {
            after.erase_live((tenant, *collection), |known| known == key);
            after.erase_removed((tenant, *collection), |known| known == key);
        }
        let place_of = |(collection, key, _): &(u8, u8, u16)| {
            ((tenant, usize::from(*collection) % COLLECTIONS.len()), key_of(*key))
        };
        let places: Vec<_> = puts.iter().map(place_of).collect();
        let kept = Self::kept_of_batch(
            &before,
            places.iter().map(|(place, key)| (*place, &key[..])),
            erases.iter().map(|(collection, key)| ((tenant, *collection), &key[..])),
        );
        self.tenants[tenant].under_way = if kept == Kept::Yes { Vec::new() } else { vec![after] };
        let durability = if buffered { Durability::Buffered } else { Durability::Durable };
        let collections = batch.iter().map(|(collection, ..)| Self::indexed(&handle, collection));
        let collections = collections.collect::<Result<Vec<_>>>()?;
        let mut is_empty = true;
        let version = handle.write(|writer| {
            batch.iter().zip(&collections).try_for_each(|((_, key, value), collection)| {
                writer.put_with(collection, key, value, options_for(value).durability(durability))
            })?;
            erases.iter().try_for_each(|(collection, key)| {
                writer.erase(&handle.collection(COLLECTIONS[*collection])?, key)
            })?;
            is_empty = writer.is_empty();
            Ok(())
        });
        let Some(version) = unless_held(version, kept)? else {
            self.tenants[tenant].under_way.clear();
            return Ok(());
        };
        if !is_empty {
            self.note(version);
        }
        self.acknowledge(tenant, !is_empty && (!buffered || puts.is_empty()));
        Ok(())
    }

    /// Erases the records that are due, as `erase` does it; what is removed of keys without a record comes after the others,
    /// and does not count where one key alone is erased.
    fn erase(
        &mut self,
        tenant: u8,
        collection: u8,
        is_due: impl Fn(&Vec<u8>) -> bool,
        is_one: bool,
        erase: impl FnOnce(&Collection) -> Result<EraseReport>,
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let place = (tenant, collection);
        let before = self.tenants[tenant].newest().at(self.now_ms);
        let kept = |key: &Vec<u8>| before.kept(place, key, true);
        if (0..KEYS).map(key_of).any(|key| is_due(&key) && kept(&key) == Kept::Maybe) {
            // Whether it goes, only the files tell.
            return Ok(());
        }
        let is_free = |key: &Vec<u8>| kept(key) == Kept::No;
        let mut states = before.erase_live_but(place, &is_due, is_free);
        let between = states.last().unwrap_or(&before).clone();
        let mut expected = before.count_live(place, &is_due) - between.count_live(place, &is_due);
        if !is_one || between.count_live(place, &is_due) == 0 {
            states.extend(between.erase_removed_but_held(place, &is_due));
        }
        let after = states.last().unwrap_or(&before);
        expected += between.count_removed(place, &is_due) - after.count_removed(place, &is_due);
        let held = after.count_live(place, &is_due) + after.count_removed(place, &is_due);
        expected = if is_one { expected.min(1) } else { expected };
        self.tenants[tenant].under_way = states;
        let refused = if is_one && held > 0 { Kept::Yes } else { Kept::No };
        let erased = unless_held(erase(&handle.collection(COLLECTIONS[collection])?), refused)?;
        // What nothing holds of the key goes all the same.
        let records = erased.map_or(expected, |report| report.records);
        assert_eq!(records, expected, "another number of records was erased");
        assert!(erased.is_none_or(|report| report.held == held), "another number of records is held");
        self.acknowledge(tenant, records > 0);
        Ok(())
    }

    /// Removes the records that are due, as `remove` does it.
    fn remove(
        &mut self,
        tenant: u8,
        collection: u8,
        is_due: impl Fn(&Vec<u8>) -> bool,
        remove: impl FnOnce(&Collection) -> Result<u64>,
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let mut after = self.tenants[tenant].newest().at(self.now_ms);
        let expected = after.remove((tenant, collection), self.now_ms, is_due);
        self.tenants[tenant].under_way = vec![after];
        let removed = remove(&handle.collection(COLLECTIONS[collection])?)?;
        assert_eq!(removed, expected, "another number of records was removed");
        self.acknowledge(tenant, removed > 0);
        Ok(())
    }

    fn restore(&mut self, tenant: u8, collection: u8, key: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let mut after = self.tenants[tenant].newest().at(self.now_ms);
        let kept = after.kept((tenant, collection), &key_of(key), false);
        let expected = after.restore((tenant, collection), &key_of(key));
        if expected == Some(true) {
            self.tenants[tenant].under_way = vec![after];
        }
        match handle.collection(COLLECTIONS[collection])?.restore(key_of(key)) {
            // What has expired there, a hold may cover.
            Err(error) if error.kind() == ErrorKind::Held => {
                assert_ne!(kept, Kept::No, "what nothing holds was refused");
                self.tenants[tenant].under_way.clear();
                Ok(())
            }
            Ok(restored) => {
                assert_eq!(expected, Some(restored), "a restoration differs");
                self.acknowledge(tenant, restored);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                assert_eq!(expected, None, "a restoration was refused");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A record that is written now.
    fn record(&self, tenant: usize, value: &[u8], asked: Option<u64>) -> Record {
        let (expires_ms, follows) = self.tenants[tenant].newest().keeping.expires_ms(self.now_ms, asked);
        let (value, order, written_ms) = (value.to_vec(), self.steps, self.now_ms);
        Record { value, expires_ms, order, written_ms, follows, ..Record::default() }
    }

    /// Sweeps all tenants.
    fn sweep(&mut self) -> Result<()> {
        self.engine()?.sweep()?;
        for tenant in &mut self.tenants {
            if let Some(newest) = tenant.states.last_mut() {
                *newest = newest.at(self.now_ms);
                newest.sweep();
            }
        }
        Ok(())
    }

    /// About as long, and another length at each step: of what is removed no more is seen.
    fn other_length(&self, length: u16) -> u16 {
        let step = u16::try_from(self.steps % 1_021).unwrap();
        match length {
            0 => 0,
            1..30_000 => length + step,
            _ => length - step,
        }
    }

    fn submit(&mut self, tenant: u8, batches: &[Vec<(u8, u8, u16)>]) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let mut before = self.tenants[tenant].newest().at(self.now_ms);
        let (mut submitted, mut made_any) = (Vec::new(), false);
        // Those that depend on what is there come after others where a checkpoint replaces that.
        let is_decided_anew = tenant == OWN_KEYS || !before.holds.is_empty();
        for puts in batches {
            let (records, after) = self.batch(tenant, puts, &before);
            let place_of = |(collection, key, _): &(u8, u8, u16)| {
                before.kept((tenant, usize::from(*collection) % COLLECTIONS.len()), &key_of(*key), false)
            };
            if puts.iter().map(place_of).max() > Some(Kept::No) {
                // What a hold refuses, single puts show.
                continue;
            }
            self.tenants[tenant].under_way.push(after.clone());
            before = after;
            made_any |= !puts.is_empty();
            let mut batch = handle.batch();
            for (collection, key, value) in records {
                let options = options_for(&value);
                batch.put_with(&Self::indexed(&handle, collection)?, key, value, options)?;
            }
            let batch = handle.submit(batch)?;
            if is_decided_anew {
                batch.wait()?;
            } else {
                submitted.push(batch);
            }
        }
        for batch in submitted {
            batch.wait()?;
        }
        self.acknowledge(tenant, made_any);
        Ok(())
    }

    fn put_if(&mut self, tenant: u8, collection: u8, key: u8, length: u16, condition: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let before = self.tenants[tenant].newest().at(self.now_ms);
        let (batch, after) = self.batch(tenant, &[(collection, key, length)], &before);
        let (name, key, value) = &batch[0];
        let kept = before.kept((tenant, usize::from(collection) % COLLECTIONS.len()), key, false);
        let collection = Self::indexed(&handle, name)?;
        let version = collection.info(key)?.map(|info| info.version);
        let other = Version { timeline: 1, sequence: u64::MAX };
        let (options, is_met) = match condition % 3 {
            0 => (options_for(value).if_absent(), version.is_none()),
            1 => (options_for(value).if_version(version.unwrap_or(other)), version.is_some()),
            _ => (options_for(value).if_version(other), false),
        };
        if is_met && kept != Kept::Yes {
            self.tenants[tenant].under_way = vec![after];
        }
        match collection.put_with(key, value, options) {
            Err(error) if error.kind() == ErrorKind::Held => {
                assert_ne!(kept, Kept::No, "what nothing holds was refused");
                self.tenants[tenant].under_way.clear();
                Ok(())
            }
            Ok(version) => {
                assert_ne!(kept, Kept::Yes, "what a hold covers was put over");
                assert!(is_met, "a put was made although its condition does not hold");
                self.note(version);
                self.acknowledge(tenant, true);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                assert!(!is_met, "a put was refused although its condition holds");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn put_large(&mut self, tenant: u8, collection: u8, key: u8, chunks: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let seed = format!("{:x} ", self.seed ^ self.steps).into_bytes();
        let length = LARGE + usize::from(chunks % 3) * CHUNK + usize::from(self.other_length(1));
        let value: Vec<u8> = seed.into_iter().cycle().take(length).collect();
        let before = self.tenants[tenant].newest().at(self.now_ms);
        let kept = before.kept((tenant, collection), &key_of(key), false);
        let mut after = before;
        let mut record = self.record(tenant, &value, None);
        record.is_bound = record.expires_ms.is_some();
        after.put((tenant, collection), &key_of(key), record);
        let collection = Self::indexed(&handle, COLLECTIONS[collection])?;
        self.tenants[tenant].under_way = if kept == Kept::Yes { Vec::new() } else { vec![after] };
        let made = collection.put_reader(key_of(key), &value[..], options_for(&value));
        let Some(version) = unless_held(made, kept)? else {
            self.tenants[tenant].under_way.clear();
            return Ok(());
        };
        self.note(version);
        self.acknowledge(tenant, true);
        Ok(())
    }

    /// Timelines never go back.
    fn note(&mut self, version: Version) {
        assert!(version.timeline >= self.timeline, "a version went back to an older timeline");
        self.timeline = version.timeline;
    }

    /// Opens the store if need be and compares all of it with what was acknowledged: nothing durable may be missing, of what
    /// was only buffered each tenant may have lost the end, and a batch is there whole or not at all.
    ///
    /// # Errors
    /// Those of the store; an acknowledged record that is not there, or a part of a batch, is a panic.
    pub fn check(&mut self) -> Result<()> {
        let names: Vec<_> = self.engine()?.tenants()?.into_iter().map(|info| info.name).collect();
        let mut found = [Found::default(), Found::default(), Found::default()];
        for name in names {
            let index = TENANTS.iter().position(|known| *known == name).unwrap();
            let tenant = self.engine()?.tenant(&name)?;
            let mut count = 0;
            found[index].keeping = keeping_of(&tenant)?;
            found[index].holds = tenant.holds()?.into_iter().map(|hold| (hold.name, hold.selector)).collect();
            for (collection, name) in COLLECTIONS.iter().enumerate() {
                let records: BTreeMap<_, _> =
                    scan(&tenant, collection, ScanOptions::new())?.into_iter().collect();
                for (key, Record { value, .. }) in &records {
                    let got = tenant.collection(name)?.get(key)?;
                    assert_eq!(got.as_deref(), Some(&value[..]), "get and scan differ");
                }
                finding::check_index(&tenant.collection(name)?, &records)?;
                for removed in tenant.collection(name)?.removed(ScanOptions::new())? {
                    let removed = removed?;
                    let (info, purge_ms) = (removed.info, removed.erased_from_ms);
                    let place = (index, collection);
                    found[index].listed.push((
                        place,
                        removed.key,
                        info.value_bytes,
                        info.expires_ms,
                        purge_ms,
                    ));
                }
                count += records.len() as u64;
                if !records.is_empty() {
                    found[index].live.insert((index, collection), records);
                }
            }
            assert_eq!(tenant.stats()?.records, count, "the count differs");
        }
        self.apply(&Operation::Verify)?;
        for (tenant, found) in self.tenants.iter_mut().zip(&found) {
            tenant.accept(found, self.now_ms);
        }
        self.engine.take().map_or(Ok(()), Engine::close)
    }

    /// What the store must hold, to be restored where recovery lost power.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        Expectation(self.tenants.clone())
    }

    /// Goes back to what was expected before.
    pub fn expect(&mut self, expectation: Expectation) {
        self.tenants = expectation.0;
    }

    fn power_is_on(&self) -> bool {
        strongroom::simulation::Disk::info(&self.disk, "/".as_ref()).is_ok()
    }
}

fn scan(tenant: &Tenant, collection: usize, options: ScanOptions) -> Result<Vec<(Vec<u8>, Record)>> {
    let collection = tenant.collection(COLLECTIONS[collection])?;
    let record = |entry: Entry| {
        // One that is in chunks is read by its key.
        let value = entry.value.map_or_else(|| collection.get(&entry.key), |value| Ok(Some(value)))?;
        let (value, expires_ms) = (value.unwrap().to_vec(), entry.info.expires_ms);
        Ok((entry.key, Record { value, expires_ms, ..Record::default() }))
    };
    collection.scan_with(options)?.map(|entry| entry.and_then(record)).collect()
}

/// Puts with what a value says of itself.
fn options_for(value: &[u8]) -> PutOptions {
    value.first().iter().fold(PutOptions::new(), |options, first| options.index(INDEX, [**first]))
}

/// How many keys there are.
const KEYS: u8 = 48;

fn key_of(key: u8) -> Vec<u8> {
    // Some keys are prefixes of others, and some have bytes that sort last.
    [&b"\xffkey-"[..], &[b'0' + key % 16], &vec![0xff; usize::from(key % 3)]].concat()
}

fn value_of(seed: u64, length: u16) -> Vec<u8> {
    format!("{seed:x} ").into_bytes().into_iter().cycle().take(length.into()).collect()
}

fn difference(found: &Records, expected: &Records) -> String {
    let count = |records: &Records| records.values().map(BTreeMap::len).sum::<usize>();
    let missing =
        expected.iter().flat_map(|(place, records)| records.iter().map(move |record| (place, record)));
    let missing = missing.filter(|(place, (key, record))| {
        found.get(*place).and_then(|records| records.get(*key)) != Some(*record)
    });
    let (found_count, expected_count, missing) = (count(found), count(expected), missing.count());
    format!("{missing} of {expected_count} acknowledged records are not there; {found_count} were found")
}
