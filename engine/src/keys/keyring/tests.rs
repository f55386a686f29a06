//! The keyring under damage and power loss: a destroyed key never comes back, a live one never goes.

use super::*;
use crate::crypto::SeededEntropy;
use crate::disk::{Fault, FaultKind, PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::keys::provider::{KeyProvider, ProviderError};
use crate::keys::slot::SLOT_BYTES;
use crate::keys::twins::{FIRST, slot_offset};

const PATH: &str = "/keys/tenant.keyring";
const IDS: (StoreId, TenantId) = (StoreId::new([1; 16]), TenantId::new([2; 16]));

/// Keeps keys as they are, with the context in front: enough for the keyring's own promises.
#[derive(Debug)]
struct Plain;

impl KeyProvider for Plain {
    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> std::result::Result<Vec<u8>, ProviderError> {
        Ok([&context.to_bytes()[..], key].concat())
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        context: &WrapContext,
    ) -> std::result::Result<Zeroizing<[u8; 32]>, ProviderError> {
        let key = wrapped.strip_prefix(&context.to_bytes()[..]).and_then(|key| key.try_into().ok());
        key.map(Zeroizing::new).ok_or_else(|| ProviderError::denied("not wrapped for this"))
    }
}

fn providers() -> Providers {
    let mut providers = Providers::default();
    providers.insert("default".to_owned(), Arc::new(Plain));
    providers
}

fn entropy(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(seed))
}

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/keys")).expect("creates");
    disk
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn create(disk: &SimDisk) -> Result<Keyring> {
    let (store, tenant) = IDS;
    let new = NewKeyring { store, tenant, provider: "default", file: FileId::new([3; 16]), now_ms: 5 };
    Keyring::create(&shared(disk), Path::new(PATH), &new, &providers(), &entropy(7))
}

fn open(disk: &SimDisk) -> Result<Keyring> {
    Keyring::open(&shared(disk), Path::new(PATH), IDS, &providers(), &entropy(8))
}

fn key(keyring: &Keyring, slot: u32) -> Result<Option<[u8; 32]>> {
    Ok(keyring.data_key(slot)?.map(|key| *key.as_bytes()))
}

#[test]
fn content_keys_that_were_denied_are_forgotten_for_good() {
    let disk = disk();
    let keyring = create(&disk).expect("creates");
    let slot = keyring.current_data_slot().expect("lives");
    assert!(keyring.data_key(slot).expect("opens").is_some());
    keyring.fill_subjects(1, 1, 1).expect("fills");
    keyring.forget_content();
    assert!(keyring.content_keys.read().is_none());
    let subjects = keyring.subjects().expect("reads").expect("was made");
    assert_eq!(subjects.take_fresh(1), None, "a key that was filled just before");
    let refused = keyring.data_key(slot).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::KeyUnavailable), "the provider would give it");
    assert!(keyring.content_keys.read().is_none());
    assert!(keyring.structure_key(1).expect("needs no content key").is_some());
    drop(keyring);
    assert!(open(&disk).expect("opens").data_key(slot).expect("opens").is_some());
}

#[test]
fn keys_read_back_after_reopening_and_numbers_are_not_reused() {
    let disk = disk();
    let keyring = create(&disk).expect("creates");
    let first = keyring.fill(SlotKind::Data, SlotStatus::Live, 9, 40).expect("fills");
    let keys: Vec<_> =
        (first..first + 40).map(|slot| key(&keyring, slot).expect("opens").expect("live")).collect();
    keyring.destroy(&[(SlotKind::Data, u64::from(first + 39))]).expect("destroys");
    drop(keyring);
    let keyring = open(&disk).expect("opens");
    assert_eq!(keyring.health(), &KeyringHealth::default());
    for (slot, expected) in (first..).zip(&keys).take(39) {
        assert_eq!(key(&keyring, slot).expect("opens"), Some(*expected));
    }
    assert_eq!(key(&keyring, first + 39).expect("a tombstone"), None);
    assert_eq!(keyring.current_data_slot().expect("live"), first + 38);
    assert_eq!(keyring.fill(SlotKind::Data, SlotStatus::Live, 9, 1).expect("fills"), first + 40);
}

#[test]
fn a_slot_that_was_never_filled_is_missing_and_not_destroyed() {
    let keyring = create(&disk()).expect("creates");
    for slot in [0, 3, 1_000, u32::MAX] {
        assert_eq!(
            key(&keyring, slot).expect_err("nothing there").kind(),
            ErrorKind::KeyMissing,
            "slot {slot}"
        );
    }
    assert_eq!(key(&keyring, 1).expect_err("a structure key").kind(), ErrorKind::KeyMissing);
}

#[test]
fn every_byte_of_a_keyring_can_be_damaged_and_every_key_still_reads() {
    let pristine = disk();
    let keyring = create(&pristine).expect("creates");
    let destroyed = keyring.fill(SlotKind::Data, SlotStatus::Live, 9, 1).expect("fills");
    let expected = key(&keyring, 2).expect("opens");
    keyring.destroy(&[(SlotKind::Data, u64::from(destroyed))]).expect("destroys");
    drop(keyring);
    let bytes = pristine.read_file(Path::new(PATH)).expect("reads");
    for index in 0..bytes.len() {
        let disk = pristine.snapshot();
        let mut altered = bytes.clone();
        altered[index] ^= 0x10;
        disk.write_file(Path::new(PATH), &altered).expect("writes");
        let keyring = open(&disk).unwrap_or_else(|error| panic!("byte {index}: {error:?}"));
        assert_eq!(key(&keyring, 2).expect("opens"), expected, "byte {index}");
        assert_eq!(key(&keyring, destroyed).expect("a tombstone"), None, "byte {index}");
        assert_eq!(keyring.anchor().current, FileId::new([3; 16]), "byte {index}");
        drop(keyring);
        // Header and slots are mended from the other copy; the anchor's next write replaces the damaged one. A byte
        // of a slot that was never filled becomes a slot that is lost.
        let mended = disk.read_file(Path::new(PATH)).expect("reads") == bytes;
        let in_anchor = (ANCHORS..FIRST).contains(&(index as u64 / BLOCK as u64));
        let (block, offset) = (index / BLOCK, index % BLOCK / SLOT_BYTES);
        let never_filled = block as u64 >= FIRST && (offset == 0 || offset > destroyed as usize);
        assert!(mended || in_anchor || never_filled, "byte {index} was not mended");
    }
}

#[test]
fn damage_of_both_twins_is_missing_and_not_destroyed() {
    let disk = disk();
    drop(create(&disk).expect("creates"));
    let mut bytes = disk.read_file(Path::new(PATH)).expect("reads");
    for twin in 0..2 {
        let offset = usize::try_from(slot_offset(2, twin)).expect("small");
        bytes[offset + usize::try_from(twin).expect("small")] ^= 1;
    }
    disk.write_file(Path::new(PATH), &bytes).expect("writes");
    let keyring = open(&disk).expect("opens");
    assert_eq!(keyring.health().lost, vec![2]);
    assert_eq!(key(&keyring, 2).expect_err("lost").kind(), ErrorKind::KeyMissing);
}

#[test]
fn a_keyring_of_another_tenant_or_a_cut_one_is_refused() {
    let disk = disk();
    drop(create(&disk).expect("creates"));
    let other = (IDS.0, TenantId::new([9; 16]));
    let refused = Keyring::open(&shared(&disk), Path::new(PATH), other, &providers(), &entropy(1));
    assert_eq!(refused.expect_err("another's").kind(), ErrorKind::Unauthentic);
    let bytes = disk.read_file(Path::new(PATH)).expect("reads");
    for length in (0..bytes.len()).step_by(512) {
        disk.write_file(Path::new(PATH), &bytes[..length]).expect("writes");
        assert_eq!(open(&disk).expect_err("cut").kind(), ErrorKind::Corrupted, "{length} bytes");
    }
    disk.remove(Path::new(PATH)).expect("removes");
    assert_eq!(open(&disk).expect_err("no file").kind(), ErrorKind::KeyMissing);
}

/// Creates, pools and destroys; gives what was acknowledged: live keys and destroyed slots.
fn script(disk: &SimDisk, live: &mut Vec<(u32, [u8; 32])>, destroyed: &mut Vec<u32>) -> Result<()> {
    let keyring = create(disk)?;
    live.push((2, key(&keyring, 2)?.expect("live")));
    for count in [1, 20, 20] {
        let first = keyring.fill(SlotKind::Data, SlotStatus::Pooled, 0, count)?;
        for slot in first..first + count {
            live.push((slot, key(&keyring, slot)?.expect("live")));
        }
        let slot = first + count / 2;
        // From here on it may be there or not, until the destruction is acknowledged.
        live.retain(|(live, _)| *live != slot);
        keyring.destroy(&[(SlotKind::Data, u64::from(slot))])?;
        destroyed.push(slot);
        keyring.update_anchor(|anchor| anchor.commit += 1)?;
    }
    Ok(())
}

#[test]
fn power_loss_at_every_operation_neither_revives_nor_loses_a_key() {
    let mut lost_power = 0;
    for at_operation in 0.. {
        let disk = disk();
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::PowerOff });
        let (mut live, mut destroyed) = (Vec::new(), Vec::new());
        let finished = script(&disk, &mut live, &mut destroyed).is_ok();
        for seed in 0..20 {
            let after = disk.power_loss(seed, PowerLoss::Random);
            // Opening mends twins: it may lose power as well.
            after.inject(Fault { at_operation: seed, kind: FaultKind::PowerOff });
            let _ = open(&after);
            let after = after.power_loss(seed, PowerLoss::Random);
            let keyring = match open(&after) {
                Err(_) if live.is_empty() => continue,
                opened => {
                    opened.unwrap_or_else(|error| panic!("operation {at_operation}, seed {seed}: {error:?}"))
                }
            };
            for (slot, expected) in &live {
                assert_eq!(
                    key(&keyring, *slot).expect("opens"),
                    Some(*expected),
                    "operation {at_operation}, seed {seed}: slot {slot}"
                );
            }
            for slot in &destroyed {
                assert_eq!(
                    key(&keyring, *slot).expect("a tombstone"),
                    None,
                    "operation {at_operation}, seed {seed}: slot {slot} came back"
                );
            }
            let next = keyring.fill(SlotKind::Data, SlotStatus::Live, 0, 1).expect("fills");
            assert!(live.iter().all(|(slot, _)| *slot < next) && destroyed.iter().all(|slot| *slot < next));
        }
        if finished {
            break;
        }
        lost_power += 1;
    }
    assert!(lost_power >= 30, "only {lost_power} operations were struck");
}

/// The negative control of the test above: where syncs do nothing, it would notice.
#[test]
fn power_loss_on_a_disk_that_ignores_syncs_is_noticed() {
    let noticed = (0..20).filter(|seed| {
        let disk = disk();
        disk.without_sync(true);
        let (mut live, mut destroyed) = (Vec::new(), Vec::new());
        script(&disk, &mut live, &mut destroyed).expect("the script runs");
        let after = disk.power_loss(*seed, PowerLoss::Random);
        let Ok(keyring) = open(&after) else { return true };
        live.iter().any(|(slot, expected)| key(&keyring, *slot).ok().flatten() != Some(*expected))
            || destroyed.iter().any(|slot| !matches!(key(&keyring, *slot), Ok(None)))
    });
    assert!(noticed.count() >= 15);
}

#[test]
fn a_failed_write_of_slots_spends_their_numbers() {
    let disk = disk();
    let keyring = create(&disk).expect("creates");
    disk.inject(Fault { at_operation: disk.operations(), kind: FaultKind::Eio });
    assert_eq!(
        keyring.fill(SlotKind::Data, SlotStatus::Live, 0, 1).expect_err("the disk fails").kind(),
        ErrorKind::Io
    );
    assert_eq!(keyring.current_data_slot().expect("the old one"), 2);
    assert_eq!(keyring.fill(SlotKind::Data, SlotStatus::Live, 0, 1).expect("fills"), 4);
}

#[test]
fn content_keys_are_not_unwrapped_before_they_are_needed() {
    #[derive(Debug)]
    struct StructureOnly;
    impl KeyProvider for StructureOnly {
        fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> std::result::Result<Vec<u8>, ProviderError> {
            Plain.wrap(key, context)
        }
        fn unwrap(
            &self,
            wrapped: &[u8],
            context: &WrapContext,
        ) -> std::result::Result<Zeroizing<[u8; 32]>, ProviderError> {
            match context.section {
                Section::Structure => Plain.unwrap(wrapped, context),
                Section::Content => Err(ProviderError::denied("not for this credential")),
            }
        }
    }
    let disk = disk();
    drop(create(&disk).expect("creates"));
    let mut limited = Providers::default();
    limited.insert("default".to_owned(), Arc::new(StructureOnly));
    let keyring = Keyring::open(&shared(&disk), Path::new(PATH), IDS, &limited, &entropy(1)).expect("opens");
    assert!(keyring.structure_key(1).expect("opens").is_some());
    keyring.destroy(&[(SlotKind::Data, 2)]).expect("tombstones need the structure section only");
    assert_eq!(
        keyring.fill(SlotKind::Data, SlotStatus::Live, 0, 1).expect_err("denied").kind(),
        ErrorKind::KeyUnavailable
    );
}
