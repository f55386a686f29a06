//! New section keys: everything is as it was, the old section keys open nothing, and power may go at any moment.

use super::*;
use crate::crypto::{Entropy, SeededEntropy};
use crate::disk::{Fault, FaultKind, PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::id::FileId;
use crate::keys::keyring::{NewKeyring, destroy_keyring};
use crate::keys::provider::{KeyProvider, ProviderError, WrapContext};
use crate::keys::slot::SLOT_BYTES;

const PATH: &str = "/keys/tenant.keyring";
const SLOTS: &str = "/keys/tenant.slots";
const RESEALED: &str = "/keys/tenant.resealed";
const IDS: (StoreId, TenantId) = (StoreId::new([1; 16]), TenantId::new([2; 16]));

/// Keeps keys as they are, with the context in front.
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

fn open(disk: &SimDisk, seed: u64) -> Result<Keyring> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Keyring::open(&shared, Path::new(PATH), IDS, &providers(), &entropy(seed))
}

/// Keys of all kinds, live, pooled and destroyed, in more than one block.
fn filled() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/keys")).expect("creates");
    let (store, tenant) = IDS;
    let new = NewKeyring { store, tenant, provider: "default", file: FileId::new([3; 16]), now_ms: 5 };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let keyring =
        Keyring::create(&shared, Path::new(PATH), &new, &providers(), &entropy(7)).expect("creates");
    keyring.fill(SlotKind::Data, SlotStatus::Live, 9, 3).expect("fills");
    let period = keyring.fill(SlotKind::Period, SlotStatus::Pooled, 1, 40).expect("fills");
    keyring.fill_subjects(1, 1, 40).expect("fills");
    let gone = [(SlotKind::Data, 4), (SlotKind::Period, u64::from(period) + 3), (SlotKind::Subject, 5)];
    keyring.destroy(&gone).expect("destroys");
    keyring.update_anchor(|anchor| anchor.commit = 77).expect("writes");
    disk
}

type Content = Vec<(SlotKind, u64, std::result::Result<Option<[u8; 32]>, ErrorKind>)>;

/// Every key that there is, with the kind of the error where there is none.
fn contents(keyring: &Keyring) -> Content {
    let mut contents = Vec::new();
    for number in 0..100_u32 {
        let keys = [
            keyring.structure_key(number).map(|key| key.map(|key| *key.as_bytes())),
            keyring.data_key(number).map(|key| key.map(|key| *key.as_bytes())),
            keyring.period_key(number).map(|key| key.map(|key| *key.as_bytes())),
            keyring.subject_key(number.into()).map(|key| key.map(|key| *key.as_bytes())),
        ];
        let kinds = [SlotKind::Structure, SlotKind::Data, SlotKind::Period, SlotKind::Subject];
        for (kind, key) in kinds.into_iter().zip(keys) {
            contents.push((kind, number.into(), key.map_err(|error| error.kind())));
        }
    }
    contents
}

/// What the slots say besides: which data keys there are, and since when; which slots of the timeline are handed to nobody.
fn said(keyring: &Keyring) -> (Vec<(SlotStatus, u64)>, Vec<u32>, Vec<u64>) {
    let states = keyring.data_slots().into_iter().map(|slot| keyring.data_slot_state(slot).expect("reads"));
    (states.collect(), keyring.pooled_periods(1), keyring.pooled_subjects(1, 1).expect("reads"))
}

/// The slots of which something else is found.
fn differing(found: &Content, expected: &Content) -> Vec<(SlotKind, u64)> {
    let pairs = found.iter().zip(expected).filter(|(found, expected)| found != expected);
    pairs.map(|((kind, number, _), _)| (*kind, *number)).collect()
}

fn header(disk: &SimDisk) -> Header {
    let bytes = disk.read_file(Path::new(PATH)).expect("reads");
    Header::parse(Holder::Keyring, bytes.first_chunk().expect("a block")).expect("parses")
}

fn unwrap(header: &Header, section: Section) -> SectionKey {
    let wrapped = if section == Section::Structure { &header.structure } else { &header.content };
    let context = WrapContext { store: IDS.0, tenant: IDS.1, section };
    providers().unwrap(&header.provider, wrapped, &context).expect("unwraps")
}

#[test]
fn new_section_keys_open_everything_and_the_old_ones_nothing() {
    let disk = filled();
    let before = contents(&open(&disk, 1).expect("opens"));
    let live = before.iter().filter(|(_, _, key)| matches!(key, Ok(Some(_)))).count();
    assert_eq!(live, 1 + 3 + 39 + 62, "of all kinds");
    let old = header(&disk);
    let anchor = open(&disk, 1).expect("opens").anchor();
    let said_before = said(&open(&disk, 1).expect("opens"));
    assert!(said_before.1.len() == 39 && said_before.2.len() == 62, "{said_before:?}");
    disk.trace(true);
    open(&disk, 2).expect("opens").renew_sections(Path::new(PATH)).expect("renews");
    let new = header(&disk);
    let writes = disk.take_trace().into_iter().filter(|write| write.path == Path::new(RESEALED));
    let writes: Vec<_> = writes.map(|write| (write.offset, write.bytes)).collect();
    let length = writes.iter().map(|(offset, bytes)| offset + bytes.len() as u64).max();
    let (offset, last) = writes.last().expect("was written");
    assert_eq!(
        (*offset, Some(last.len() as u64)),
        (0, length),
        "what holds every key is overwritten at last"
    );
    assert!(last.iter().all(|byte| *byte == 0));
    assert_eq!((old.generation, new.generation), (1, 2));
    let keyring = open(&disk, 3).expect("opens");
    assert_eq!(differing(&contents(&keyring), &before), []);
    assert_eq!(keyring.anchor(), anchor);
    assert_eq!(said(&keyring), said_before);
    assert_eq!(keyring.health(), &crate::keys::keyring::KeyringHealth::default());
    assert!(disk.read_file(Path::new(RESEALED)).is_err());

    let (structure, content) = (unwrap(&old, Section::Structure), unwrap(&old, Section::Content));
    let now = SlotSealer::new(IDS.0, IDS.1, &unwrap(&new, Section::Structure)).expect("derives");
    let then = SlotSealer::new(IDS.0, IDS.1, &structure).expect("derives");
    let ciphers = [&structure, &content].map(|section| SlotSealer::key_cipher(section).expect("derives"));
    let anchors = AnchorSealer::new(IDS.0, IDS.1, &structure).expect("derives");
    for path in [PATH, SLOTS] {
        let bytes = disk.read_file(Path::new(path)).expect("reads");
        for wrapped in [&old.structure, &old.content] {
            assert!(!bytes.windows(wrapped.len()).any(|window| window == &wrapped[..]), "{path}");
        }
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        for (index, block) in (0_u64..).zip(blocks) {
            assert!(!Header::authentic(block, &header_key(&structure).expect("derives")));
            assert!(anchors.open(block).is_none());
            let Some(pair) = index.checked_sub(FIRST).map(|at| at / 2) else { continue };
            for (number, raw) in (pair * SLOTS_A_BLOCK as u64..).zip(block.as_chunks::<SLOT_BYTES>().0) {
                assert_eq!(then.state(number, raw), None, "{path}: slot {number}");
                let Some(state) = now.state(number, raw) else { continue };
                for cipher in &ciphers {
                    assert!(now.open(cipher, number, raw, &state).is_err(), "{path}: slot {number}");
                }
            }
        }
    }
    // What is filled and destroyed later, and once more.
    let first = keyring.fill(SlotKind::Data, SlotStatus::Live, 9, 1).expect("fills");
    assert!(first > 45, "numbers of the keyring are not used again");
    drop(keyring);
    let before = contents(&open(&disk, 4).expect("opens"));
    open(&disk, 5).expect("opens").renew_sections(Path::new(PATH)).expect("renews");
    assert_eq!(header(&disk).generation, 3);
    assert_eq!(differing(&contents(&open(&disk, 6).expect("opens")), &before), []);
}

#[test]
fn a_lost_key_or_a_provider_that_denies_changes_nothing() {
    let disk = filled();
    let mut bytes = disk.read_file(Path::new(PATH)).expect("reads");
    for twin in [4, 5] {
        bytes[twin * BLOCK + 2 * SLOT_BYTES + 40] ^= 1;
    }
    disk.write_file(Path::new(PATH), &bytes).expect("writes");
    let refused = open(&disk, 1).expect("opens").renew_sections(Path::new(PATH));
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Corrupted));
    let before = header(&disk);
    let keyring = open(&disk, 2).expect("opens");
    assert!(disk.read_file(Path::new(RESEALED)).is_err(), "what was begun is removed");
    assert!(keyring.subject_key(7).expect("opens").is_some());
    assert_eq!(header(&disk), before);
}

#[test]
fn power_loss_at_every_operation_leaves_every_key_under_one_of_the_section_keys() {
    let whole = filled();
    let before = contents(&open(&whole, 1).expect("opens"));
    let (mut struck, mut seen) = (0, [0; 4]);
    for at_operation in 0.. {
        let disk = whole.snapshot();
        disk.inject(Fault { at_operation: disk.operations() + at_operation, kind: FaultKind::PowerOff });
        let done = open(&disk, 2).and_then(|keyring| keyring.renew_sections(Path::new(PATH)));
        for seed in 0..8 {
            let policies = [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::Random, PowerLoss::KeepAll];
            let after = disk.power_loss(seed, policies[usize::try_from(seed % 4).unwrap_or(0)]);
            if after.read_file(Path::new(RESEALED)).is_ok() {
                // Erasing the tenant reaches what it was to be.
                let erased = after.snapshot();
                destroy_keyring(&erased, Path::new(PATH), true).expect("destroys");
                assert!(
                    [PATH, SLOTS, RESEALED].iter().all(|path| erased.read_file(Path::new(path)).is_err())
                );
            }
            // Ending it may lose power as well.
            after.inject(Fault {
                at_operation: after.operations() + 3 * seed + at_operation % 3,
                kind: FaultKind::PowerOff,
            });
            let _ = open(&after, 3);
            let after = after.power_loss(seed, PowerLoss::Random);
            let keyring = open(&after, 4);
            let keyring =
                keyring.unwrap_or_else(|error| panic!("operation {at_operation}, seed {seed}: {error:?}"));
            let differs = differing(&contents(&keyring), &before);
            assert!(differs.is_empty(), "operation {at_operation}, seed {seed}: {differs:?}");
            assert_eq!(keyring.anchor().commit, 77);
            let generation = header(&after).generation;
            assert!(generation == 2 || (generation == 1 && done.is_err()));
            seen[usize::try_from(generation).unwrap_or(0)] += 1;
            assert!(after.read_file(Path::new(RESEALED)).is_err());
        }
        if done.is_ok() {
            break;
        }
        struck += 1;
    }
    assert!(struck >= 20 && seen[1] > 20 && seen[2] > 20, "{struck} operations, {seen:?}");
}
