//! Pools of keys and their destruction under damage and power loss, of subject and of period slots: a destroyed key never
//! comes back, a live one never goes, and no number gets a second key.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;

use super::*;
use crate::crypto::SeededEntropy;
use crate::disk::{DirectoryEntry, Fault, FaultKind, FileInfo, Mapping, PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::id::FileId;
use crate::keys::{KeyProvider, Keyring, NewKeyring, ProviderError, Providers, WrapContext};

const PATH: &str = "/keys/tenant.keyring";
const SLOTS_PATH: &str = "/keys/tenant.slots";
const IDS: (StoreId, TenantId) = (StoreId::new([1; 16]), TenantId::new([2; 16]));
const TIMELINE: u32 = 3;

#[derive(Debug)]
struct Bare;

impl KeyProvider for Bare {
    fn wrap(&self, key: &[u8; 32], _: &WrapContext) -> std::result::Result<Vec<u8>, ProviderError> {
        Ok(key.to_vec())
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        _: &WrapContext,
    ) -> std::result::Result<Zeroizing<[u8; 32]>, ProviderError> {
        wrapped.try_into().map(Zeroizing::new).map_err(|_| ProviderError::denied("not 32 bytes"))
    }
}

fn providers() -> Providers {
    let mut providers = Providers::default();
    providers.insert("default".to_owned(), Arc::new(Bare));
    providers
}

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/keys")).expect("creates");
    disk
}

fn create(disk: &Arc<dyn Disk>) -> Result<Keyring> {
    let (store, tenant) = IDS;
    let new = NewKeyring { store, tenant, provider: "default", file: FileId::new([3; 16]), now_ms: 5 };
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
    Keyring::create(disk, Path::new(PATH), &new, &providers(), &entropy)
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open(disk: &SimDisk, seed: u64) -> Result<Keyring> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    Keyring::open(&shared(disk), Path::new(PATH), IDS, &providers(), &entropy)
}

fn subject(keyring: &Keyring, slot: u64) -> Result<Option<[u8; 32]>> {
    Ok(keyring.subject_key(slot)?.map(|key| *key.as_bytes()))
}

fn period(keyring: &Keyring, slot: u64) -> Result<Option<[u8; 32]>> {
    Ok(keyring.period_key(u32::try_from(slot).expect("small"))?.map(|key| *key.as_bytes()))
}

fn kind(result: Result<Option<[u8; 32]>>) -> ErrorKind {
    result.expect_err("no key").kind()
}

#[test]
fn keys_read_back_and_numbers_are_not_reused() {
    let disk = disk();
    let keyring = create(&shared(&disk)).expect("creates");
    assert_eq!(kind(subject(&keyring, 1)), ErrorKind::KeyMissing, "there is no file");
    assert_eq!(keyring.fill_subjects(1, TIMELINE, 1).expect("fills"), 1..32);
    assert_eq!(keyring.fill_subjects(1, TIMELINE, 70).expect("fills"), 32..128);
    let keys: Vec<_> = (1..128).map(|slot| subject(&keyring, slot).expect("opens").expect("lives")).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 127, "every key is another");
    keyring.destroy(&[(SlotKind::Subject, 5), (SlotKind::Subject, 127)]).expect("destroys");
    drop(keyring);
    let keyring = open(&disk, 8).expect("opens");
    for (slot, expected) in (1..).zip(&keys) {
        let expected = (slot != 5 && slot != 127).then_some(*expected);
        assert_eq!(subject(&keyring, slot).expect("opens"), expected, "slot {slot}");
    }
    let pooled: Vec<_> = (40..127).collect();
    assert_eq!(keyring.pooled_subjects(40, TIMELINE).expect("reads"), pooled);
    assert_eq!(keyring.pooled_subjects(1, TIMELINE + 1).expect("reads"), [0; 0], "another timeline's");
    assert_eq!(keyring.fill_subjects(1, TIMELINE, 1).expect("fills"), 128..160);
    // What rows name beyond what the key store knows of is spent too.
    assert_eq!(keyring.fill_subjects(500, TIMELINE, 1).expect("fills"), 512..544);
    for slot in [0, 160, 511, 544, u64::MAX] {
        assert_eq!(kind(subject(&keyring, slot)), ErrorKind::KeyMissing, "slot {slot}");
    }
    assert_eq!(keyring.fill_from(50, SlotKind::Period, SlotStatus::Pooled, 3, 2).expect("fills"), 50);
    assert_eq!(keyring.pooled_periods(3), [50, 51]);
    assert_eq!(kind(period(&keyring, 49)), ErrorKind::KeyMissing);
    // A number says nothing of its kind.
    assert_eq!(kind(subject(&keyring, 0)), ErrorKind::KeyMissing);
    assert_eq!(kind(period(&keyring, 2)), ErrorKind::KeyMissing, "a data key");
}

#[test]
fn a_key_that_was_destroyed_before_anybody_used_it_is_not_handed_out() {
    let keyring = create(&shared(&disk())).expect("creates");
    keyring.fill_subjects(1, TIMELINE, 1).expect("fills");
    keyring.destroy(&[(SlotKind::Subject, 7)]).expect("destroys");
    assert_eq!(subject(&keyring, 7).expect("a tombstone"), None);
    let (first, second) = (subject(&keyring, 8), subject(&keyring, 8));
    assert_eq!(first.expect("as it was filled"), second.expect("as it is on the disk"));
}

#[test]
fn a_slot_that_can_not_be_read_now_is_not_lost() {
    let disk = disk();
    let keyring = create(&shared(&disk)).expect("creates");
    keyring.fill_subjects(1, TIMELINE, 1).expect("fills");
    let expected = subject(&keyring, 9).expect("as it was filled");
    // One twin is enough; without both nobody knows.
    disk.inject(Fault { at_operation: disk.reads(), kind: FaultKind::ReadEio });
    assert_eq!(subject(&keyring, 9).expect("the other twin opens"), expected);
    for at_read in 0..2 {
        disk.inject(Fault { at_operation: disk.reads() + at_read, kind: FaultKind::ReadEio });
    }
    assert_eq!(kind(subject(&keyring, 9)), ErrorKind::Io);
    disk.heal();
    assert_eq!(subject(&keyring, 9).expect("opens again"), expected);
}

#[test]
fn damage_of_one_twin_is_mended_and_of_both_is_missing() {
    let pristine = disk();
    let keyring = create(&shared(&pristine)).expect("creates");
    keyring.fill_subjects(1, TIMELINE, 1).expect("fills");
    let expected = subject(&keyring, 9).expect("opens");
    keyring.destroy(&[(SlotKind::Subject, 10)]).expect("destroys");
    drop(keyring);
    let bytes = pristine.read_file(Path::new(SLOTS_PATH)).expect("reads");
    let slots = [9, 10].map(|slot| usize::try_from(twins::slot_offset(slot, 1)).expect("small"));
    let densely = slots[0]..slots[1] + SLOT_BYTES;
    for index in (0..bytes.len()).filter(|index| index % 7 == 0 || densely.contains(index)) {
        let disk = pristine.snapshot();
        let mut altered = bytes.clone();
        altered[index] ^= 0x10;
        disk.write_file(Path::new(SLOTS_PATH), &altered).expect("writes");
        let keyring = open(&disk, 9).expect("opens");
        assert_eq!(subject(&keyring, 9).expect("opens"), expected, "byte {index}");
        assert_eq!(subject(&keyring, 10).expect("a tombstone"), None, "byte {index}");
        let found = keyring.verify_subjects(&mut |_| {}).expect("verifies");
        assert!(found.lost.is_empty(), "byte {index}: {found:?}");
        let mended = disk.read_file(Path::new(SLOTS_PATH)).expect("reads") == bytes;
        // Zeros that nobody reads: the anchor's blocks, and slot 0.
        let block = index / BLOCK;
        let unread = block == 2 || block == 3 || (block > 3 && index % BLOCK < SLOT_BYTES);
        assert_eq!(mended, !unread, "byte {index}");
    }
    let mut lost = bytes.clone();
    for twin in 0..2 {
        lost[usize::try_from(twins::slot_offset(9, twin)).expect("small") + 3] ^= 1;
    }
    pristine.write_file(Path::new(SLOTS_PATH), &lost).expect("writes");
    let keyring = open(&pristine, 9).expect("opens");
    assert_eq!(kind(subject(&keyring, 9)), ErrorKind::KeyMissing);
    assert_eq!(keyring.verify_subjects(&mut |_| {}).expect("verifies").lost, [9]);
    // What is lost can still be destroyed: then it is.
    keyring.destroy(&[(SlotKind::Subject, 9)]).expect("destroys");
    assert_eq!(subject(&keyring, 9).expect("a tombstone"), None);
    assert_eq!(
        keyring.destroy(&[(SlotKind::Subject, 32)]).expect_err("never filled").kind(),
        ErrorKind::KeyMissing
    );
}

#[test]
fn a_cut_file_or_another_tenants_is_refused_and_one_that_is_gone_is_missing() {
    let disk = disk();
    let keyring = create(&shared(&disk)).expect("creates");
    keyring.fill_subjects(1, TIMELINE, 40).expect("fills");
    drop(keyring);
    let path = Path::new(SLOTS_PATH);
    let bytes = disk.read_file(path).expect("reads");
    for length in (0..bytes.len()).step_by(512) {
        disk.write_file(path, &bytes[..length]).expect("writes");
        let keyring = open(&disk, 1).expect("opens");
        // To a file whose creation was interrupted, or to one that holds no such slot; or it is refused.
        let read = subject(&keyring, 40);
        assert!(read.is_err(), "{length} of {} bytes", bytes.len());
        let kind = kind(read);
        let allowed = [ErrorKind::KeyMissing, ErrorKind::Corrupted, ErrorKind::Unauthentic];
        assert!(allowed.contains(&kind), "{length} bytes: {kind}");
    }
    let mut other = bytes.clone();
    for copy in 0..2 {
        other[copy * BLOCK + 40] ^= 1;
    }
    disk.write_file(path, &other).expect("writes");
    assert_eq!(kind(subject(&open(&disk, 1).expect("opens"), 1)), ErrorKind::Unauthentic);
    disk.remove(path).expect("removes");
    let keyring = open(&disk, 1).expect("opens");
    assert_eq!(kind(subject(&keyring, 1)), ErrorKind::KeyMissing);
    // Made anew, it gives no number that the rows say was given.
    assert_eq!(keyring.fill_subjects(64, TIMELINE, 1).expect("fills").start, 64);
}

/// What a script was told: keys that live, and slots that are destroyed.
#[derive(Default)]
struct Told {
    live: Vec<(SlotKind, u64, [u8; 32])>,
    destroyed: Vec<(SlotKind, u64)>,
}

fn key_of(keyring: &Keyring, kind: SlotKind, slot: u64) -> Result<Option<[u8; 32]>> {
    if kind == SlotKind::Subject { subject(keyring, slot) } else { period(keyring, slot) }
}

/// Fills pools and destroys keys of them.
fn script(disk: &SimDisk, told: &mut Told) -> Result<()> {
    let keyring = create(&shared(disk))?;
    for round in 0..3 {
        let subjects = keyring.fill_subjects(1, TIMELINE, 20 + 20 * round)?;
        let first = keyring.fill_from(0, SlotKind::Period, SlotStatus::Pooled, TIMELINE.into(), 12)?;
        let filled = subjects.map(|slot| (SlotKind::Subject, slot));
        let filled: Vec<_> =
            filled.chain((first..first + 12).map(|slot| (SlotKind::Period, slot.into()))).collect();
        for (kind, slot) in &filled {
            told.live.push((*kind, *slot, key_of(&keyring, *kind, *slot)?.expect("lives")));
        }
        let doomed = [filled[3], filled[7], *filled.last().expect("some")];
        // From here on they may be there or not, until the destruction is acknowledged.
        told.live.retain(|(kind, slot, _)| !doomed.contains(&(*kind, *slot)));
        keyring.destroy(&doomed)?;
        told.destroyed.extend(doomed);
    }
    Ok(())
}

/// What is wrong with a keyring, given what its script was told.
fn wrong(keyring: &Keyring, told: &Told) -> Option<String> {
    for (kind, slot, expected) in &told.live {
        let found = key_of(keyring, *kind, *slot);
        if found.as_ref().ok() != Some(&Some(*expected)) {
            return Some(format!("{kind:?} {slot} was lost"));
        }
    }
    for (kind, slot) in &told.destroyed {
        if !matches!(key_of(keyring, *kind, *slot), Ok(None)) {
            return Some(format!("{kind:?} {slot} came back"));
        }
    }
    None
}

#[test]
fn power_loss_at_every_operation_of_fills_and_destructions_neither_revives_nor_loses_a_key() {
    let mut lost_power = 0;
    for at_operation in 0.. {
        let disk = disk();
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::PowerOff });
        let mut told = Told::default();
        let finished = script(&disk, &mut told).is_ok();
        for seed in 0..12 {
            let after = disk.power_loss(seed, PowerLoss::Random);
            // Opening and reading mend twins: they may lose power as well.
            after.inject(Fault { at_operation: seed, kind: FaultKind::PowerOff });
            if let Ok(keyring) = open(&after, 20) {
                let _ = keyring.verify_subjects(&mut |_| {});
            }
            let after = after.power_loss(seed, PowerLoss::Random);
            let keyring = match open(&after, 21) {
                Err(_) if told.live.is_empty() => continue,
                opened => {
                    opened.unwrap_or_else(|error| panic!("operation {at_operation}, {seed}: {error:?}"))
                }
            };
            let problem = wrong(&keyring, &told);
            assert_eq!(problem, None, "operation {at_operation}, seed {seed}");
            // New ones get numbers that nobody was given.
            let next = keyring.fill_subjects(1, TIMELINE, 1).expect("fills").start;
            let period = keyring.fill(SlotKind::Period, SlotStatus::Pooled, 3, 1).expect("fills");
            let given = told.live.iter().map(|(kind, slot, _)| (*kind, *slot)).chain(told.destroyed.clone());
            for (kind, slot) in given {
                let next = if kind == SlotKind::Subject { next } else { period.into() };
                assert!(slot < next, "operation {at_operation}, seed {seed}: {kind:?} {slot}");
            }
            assert_eq!(wrong(&keyring, &told), None, "operation {at_operation}, seed {seed}, filled again");
        }
        if finished {
            break;
        }
        lost_power += 1;
    }
    assert!(lost_power >= 60, "only {lost_power} operations were struck");
}

/// The negative control of the test above: where syncs do nothing, it would notice.
#[test]
fn power_loss_on_a_disk_that_ignores_syncs_is_noticed() {
    let noticed = (0..20).filter(|seed| {
        let disk = disk();
        disk.without_sync(true);
        let mut told = Told::default();
        script(&disk, &mut told).expect("the script runs");
        let after = disk.power_loss(*seed, PowerLoss::Random);
        open(&after, 9).map_or(true, |keyring| wrong(&keyring, &told).is_some())
    });
    assert!(noticed.count() >= 15);
}

#[test]
fn a_failing_disk_spends_numbers_and_loses_no_key() {
    for kind in [FaultKind::Eio, FaultKind::Enospc] {
        for at_operation in 0..12 {
            let disk = disk();
            let keyring = create(&shared(&disk)).expect("creates");
            let filled = keyring.fill_subjects(1, TIMELINE, 1).expect("fills");
            let key = subject(&keyring, 1).expect("opens");
            disk.inject(Fault { at_operation: disk.operations() + at_operation, kind });
            let second = keyring.fill_subjects(1, TIMELINE, 1);
            let destroyed = keyring.destroy(&[(SlotKind::Subject, 4)]);
            disk.heal();
            let third = keyring.fill_subjects(1, TIMELINE, 1).expect("the disk works again");
            assert!(third.start >= second.map_or(filled.end, |range| range.end));
            assert_eq!(subject(&keyring, 1).expect("opens"), key);
            if destroyed.is_err() {
                keyring.destroy(&[(SlotKind::Subject, 4)]).expect("the disk works again");
            }
            assert_eq!(subject(&open(&disk, 3).expect("opens"), 4).expect("a tombstone"), None);
        }
    }
}

/// A disk whose syncs wait until they are let through.
#[derive(Debug)]
struct Held {
    disk: SimDisk,
    /// While set, each sync says that it has begun and waits.
    gate: Arc<Mutex<Option<Gate>>>,
}

type Gate = (mpsc::Sender<()>, mpsc::Receiver<()>);

#[derive(Debug)]
struct HeldFile {
    file: Box<dyn DiskFile>,
    gate: Arc<Mutex<Option<Gate>>>,
}

impl Disk for Held {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(path, mode)?;
        Ok(Box::new(HeldFile { file, gate: Arc::clone(&self.gate) }))
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.disk.list(directory)
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.disk.info(path)
    }
    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        self.disk.create_dir_all(directory)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.disk.sync_dir(directory)
    }
    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        self.disk.free_bytes(directory)
    }
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.absolute(path)
    }
}

impl DiskFile for HeldFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buffer, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn map(&self) -> io::Result<Mapping> {
        self.file.map()
    }
    fn sync_data(&self) -> io::Result<()> {
        let gate = self.gate.lock().take();
        if let Some((begun, go_on)) = gate {
            begun.send(()).expect("somebody listens");
            go_on.recv().expect("somebody lets it through");
        }
        self.file.sync_data()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

#[test]
fn nobody_who_needs_a_key_waits_while_others_are_filled_or_destroyed() {
    let gate = Arc::new(Mutex::new(None));
    let held: Arc<dyn Disk> = Arc::new(Held { disk: disk(), gate: Arc::clone(&gate) });
    let keyring = create(&held).expect("creates");
    let first = keyring.fill_subjects(1, TIMELINE, 1).expect("fills").start;
    let period_slot = keyring.fill(SlotKind::Period, SlotStatus::Pooled, 3, 4).expect("fills");
    let fill_period = || keyring.fill(SlotKind::Period, SlotStatus::Pooled, 3, 1).map(|_| ());
    let fill_subject = || keyring.fill_subjects(1, TIMELINE, 1).map(|_| ());
    let doomed = [(SlotKind::Subject, first + 1), (SlotKind::Period, u64::from(period_slot) + 1)];
    let destroy = || keyring.destroy(&doomed);
    let writers: [&(dyn Fn() -> Result<()> + Sync); 3] = [&fill_period, &fill_subject, &destroy];
    for writer in writers {
        let (begun, has_begun) = mpsc::channel();
        let (let_through, go_on) = mpsc::channel();
        *gate.lock() = Some((begun, go_on));
        std::thread::scope(|scope| {
            let written = scope.spawn(writer);
            has_begun.recv().expect("a sync begins");
            assert!(keyring.current_data_slot().is_ok());
            assert!(keyring.data_key(2).expect("opens").is_some());
            assert!(keyring.period_key(period_slot).expect("opens").is_some());
            assert!(keyring.subject_key(first).expect("opens").is_some());
            assert!(!keyring.anchor().current.is_none());
            let_through.send(()).expect("it waits");
            written.join().expect("no panic").expect("writes");
        });
    }
}
