//! Promise: acknowledged means durable (invariant 5). After a power loss at any disk operation every acknowledged
//! change is there, no half of a batch is, and the store opens.
//!
//! A run plays a script of creations, puts, erasures, of subjects too, removals, restorations, expiries, sweeps, holds, changes of
//! policies, batches, conditions, checkpoints, rewrites, scrubs, rekeys, renewals of section keys, moves between regions and
//! reopenings on a simulated disk, loses power at one operation, lets a seeded part of what was not synced survive (torn at 512 bytes, lost, reordered), opens the store
//! again and compares every record with what was acknowledged. Recovery loses power again, up to twice.
//!
//! In some runs threads rekey and rewrite beside all that.
//!
//! `STRONGROOM_CRASHES` sets how many runs are made, `STRONGROOM_SEED` where they begin: a failing run prints its seed.

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom_tests::{Operation, World};

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    /// What is done beside a rekey or a rewrite, or as it is.
    fn step(&mut self, beside: bool) -> Operation {
        if !beside || self.below(3) > 0 {
            return self.operation();
        }
        let (tenant, work) = (self.byte(), self.byte());
        let operations = (0..=self.below(6)).map(|_| self.operation()).collect();
        Operation::Beside { tenant, work, operations }
    }

    fn operation(&mut self) -> Operation {
        let tenant = self.byte() % 3;
        let length = |chance: &mut Self| {
            let lengths = [0, 10, 300, 5_000, 20_000];
            lengths[usize::try_from(chance.below(5)).unwrap()]
        };
        match self.below(48) {
            36 | 37 => Operation::PutOf {
                tenant,
                collection: self.byte(),
                key: self.byte(),
                length: length(self),
                subject: self.byte(),
            },
            38 => Operation::EraseSubject { tenant, subject: self.byte() },
            39 => Operation::Hold {
                tenant,
                name: self.byte(),
                collection: self.byte(),
                key: self.byte(),
                scope: self.byte(),
            },
            40 | 41 => Operation::Release { tenant, name: self.byte() },
            42 => Operation::SetPolicy { tenant, policy: self.byte() },
            34 => Operation::Rekey { tenant },
            45 => Operation::RenewSections { tenant },
            46 => Operation::Move { tenant },
            47 => Operation::Scrub { tenant },
            35 => Operation::Find {
                tenant,
                collection: self.byte(),
                first: self.byte(),
                reverse: self.below(2) == 0,
            },
            0 => Operation::Rewrite { tenant },
            1 => Operation::Reopen { clean: true },
            2 => Operation::Reopen { clean: false },
            3 => Operation::Checkpoint { tenant },
            4 | 5 => Operation::Tick,
            6 | 7 => {
                let (collection, key) = (self.byte(), self.byte());
                Operation::PutIf { tenant, collection, key, length: length(self), condition: self.byte() }
            }
            11 | 12 => Operation::Wait { ms: i16::try_from(self.below(20_000)).unwrap() },
            13 => Operation::Sweep,
            14..=16 => {
                let (collection, key, ttl_ms) = (self.byte(), self.byte(), self.byte());
                let (length, ttl_ms) = (length(self), u16::from(ttl_ms) * 100);
                Operation::PutFor { tenant, collection, key, length, ttl_ms }
            }
            8 | 9 => Operation::Erase { tenant, collection: self.byte(), key: self.byte() },
            10 => {
                let (collection, from, to) = (self.byte(), self.byte(), self.byte());
                Operation::EraseRange { tenant, collection, from, to }
            }
            28 | 29 => Operation::Remove { tenant, collection: self.byte(), key: self.byte() },
            30 | 31 => Operation::Restore { tenant, collection: self.byte(), key: self.byte() },
            32 => {
                let (collection, from, to) = (self.byte(), self.byte(), self.byte());
                Operation::RemoveRange { tenant, collection, from, to }
            }
            17 => {
                Operation::PutLarge { tenant, collection: self.byte(), key: self.byte(), chunks: self.byte() }
            }
            _ => {
                let put = |chance: &mut Self| (chance.byte(), chance.byte(), length(chance));
                let puts = (0..=self.below(6)).map(|_| put(self)).collect();
                let erases = (0..self.below(3)).map(|_| (self.byte(), self.byte())).collect();
                Operation::Write { tenant, puts, erases, buffered: self.below(3) == 0 }
            }
        }
    }
}

/// What is the same in all runs of a test.
#[derive(Clone, Copy)]
struct Manner {
    policy: PowerLoss,
    /// Whether syncs do anything.
    synced: bool,
    /// Whether threads rekey and rewrite beside what is done.
    beside: bool,
}

impl Manner {
    fn of(policy: PowerLoss) -> Self {
        Self { policy, synced: true, beside: false }
    }
}

/// One run; gives whether the power went at all.
fn crash(seed: u64, Manner { policy, synced, beside }: Manner) -> bool {
    let mut chance = Chance(seed);
    let mut world: Option<World> = None;
    let mut disk = SimDisk::new();
    disk.without_sync(!synced);
    let mut crashed = false;
    for _ in 0..=chance.below(3) {
        let reach = if world.is_some() { 130 } else { 230 };
        disk.inject(Fault {
            at_operation: disk.operations() + chance.below(reach),
            kind: FaultKind::PowerOff,
        });
        if world.is_none() {
            world = World::create(&disk, seed).ok();
        }
        let mut lived = world.is_some();
        for _ in 0..6 + chance.below(20) {
            let operation = chance.step(beside);
            lived = lived && world.as_mut().is_some_and(|world| world.apply(&operation).is_ok());
        }
        crashed |= !lived;
        disk = disk.power_loss(chance.below(u64::MAX), policy);
        let Some(survivor) = world else {
            // The creation was not acknowledged: what is left of it is not a store yet.
            disk = SimDisk::new();
            disk.without_sync(!synced);
            continue;
        };
        let mut survivor = survivor.moved(&disk);
        // Recovery itself may lose power.
        if chance.below(2) == 0 {
            disk.inject(Fault {
                at_operation: disk.operations() + chance.below(40),
                kind: FaultKind::PowerOff,
            });
            let before = survivor.expectation();
            if survivor.check().is_err() {
                survivor.expect(before);
            }
            disk = disk.power_loss(chance.below(u64::MAX), policy);
            survivor = survivor.moved(&disk);
        }
        survivor.check().unwrap_or_else(|error| panic!("the store does not open: {error:?}"));
        world = Some(survivor);
    }
    crashed
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = number("STRONGROOM_SEED").unwrap_or(1);
    first..first + number("STRONGROOM_CRASHES").unwrap_or(count)
}

/// Runs on two threads; gives how many runs lost power, and the seeds that failed with what they said.
fn run(seeds: std::ops::Range<u64>, manner: Manner) -> (usize, Vec<(u64, String)>) {
    let one = |seed| {
        let outcome = std::panic::catch_unwind(|| crash(seed, manner));
        outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            (
                seed,
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
            )
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let seeds = seeds.clone();
            scope.spawn(move || seeds.filter(|seed| seed % 2 == half).map(one).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let crashed = results.iter().filter(|result| matches!(result, Ok(true))).count();
    (crashed, results.into_iter().filter_map(std::result::Result::err).collect())
}

#[test]
fn crash_at_any_operation_loses_nothing_acknowledged() {
    let seeds = seeds(1_000);
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let (crashed, failed) = run(seeds, Manner::of(PowerLoss::Random));
    println!("{count} runs, {crashed} of them lost power under way");
    assert!(
        failed.is_empty(),
        "{} seeds failed; STRONGROOM_SEED={} gives: {}",
        failed.len(),
        failed[0].0,
        failed[0].1
    );
    assert!(crashed * 10 > count * 6, "only {crashed} of {count} runs lost power: the script is too short");
}

#[test]
fn crash_that_drops_everything_unsynced_loses_nothing_acknowledged() {
    let (_, failed) = run(seeds(200), Manner::of(PowerLoss::DropAll));
    assert!(
        failed.is_empty(),
        "{} seeds failed; STRONGROOM_SEED={} gives: {}",
        failed.len(),
        failed[0].0,
        failed[0].1
    );
}

#[test]
fn crash_of_the_process_alone_loses_nothing_acknowledged() {
    let (_, failed) = run(seeds(200), Manner::of(PowerLoss::KeepAll));
    assert!(
        failed.is_empty(),
        "{} seeds failed; STRONGROOM_SEED={} gives: {}",
        failed.len(),
        failed[0].0,
        failed[0].1
    );
}

/// Two threads share the disk: a seed gives the same script, and the power goes at another of its operations.
#[test]
fn crash_beside_rekeys_and_rewrites_loses_nothing_acknowledged() {
    let seeds = seeds(200);
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let (crashed, failed) = run(seeds, Manner { beside: true, ..Manner::of(PowerLoss::Random) });
    println!("{count} runs, {crashed} of them lost power under way");
    assert!(
        failed.is_empty(),
        "{} seeds failed; STRONGROOM_SEED={} gives: {}",
        failed.len(),
        failed[0].0,
        failed[0].1
    );
    assert!(crashed * 10 > count * 6, "only {crashed} of {count} runs lost power: the script is too short");
}

/// The negative control: on a disk whose syncs do nothing, the same runs do lose acknowledged records.
#[test]
fn crash_on_a_disk_that_ignores_syncs_is_noticed() {
    let (_, failed) = run(1..101, Manner { synced: false, ..Manner::of(PowerLoss::Random) });
    assert!(failed.len() > 50, "only {} of 100 runs noticed that nothing was synced", failed.len());
}
