//! The envelope: vectors, and that it opens nowhere but in its place.

use std::path::Path;

use super::*;
use crate::crypto::{OsEntropy, SeededEntropy};
use crate::disk::{Disk, SimDisk};
use crate::error::ErrorKind;
use crate::id::{FileId, StoreId, TenantId};
use crate::keys::{KeyProvider, NewKeyring, ProviderError, Providers, SlotStatus, WrapContext};

/// Wraps every key as itself: the vectors are about what follows.
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

fn keyring(tenant: u8) -> Arc<Keyring> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let mut providers = Providers::default();
    providers.insert("default".to_owned(), Arc::new(Bare));
    disk.create_dir_all(Path::new("/keys")).expect("creates");
    let new = NewKeyring {
        store: StoreId::new([0xa1; 16]),
        tenant: TenantId::new([tenant; 16]),
        provider: "default",
        file: FileId::new([3; 16]),
        now_ms: 0,
    };
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(42));
    Arc::new(Keyring::create(&disk, Path::new("/keys/k"), &new, &providers, &entropy).expect("creates"))
}

fn sealer(tenant: u8) -> RecordSealer {
    RecordSealer::new(keyring(tenant), Arc::new(OsEntropy))
}

const PLACE: RecordPlace<'static> = RecordPlace { collection: CollectionId(7), key: b"key" };
const NO_KEYS: ErasureKeys = ErasureKeys { period: None, subject: None, own: None };
const TIMES: Times = Times { written_ms: 1_700_000_000_123, expires_ms: None, follows: false };

fn open(sealer: &RecordSealer, place: RecordPlace<'_>, envelope: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(sealer.open_text(place, &Envelope::parse(envelope)?)?.map(|value| value.to_vec()))
}

#[test]
fn values_of_every_size_read_back() {
    let sealer = sealer(0xb2);
    for length in [0, 1, 15, 16, 17, 4_095, 4_096, VALUE_BYTES_MAX] {
        let value = vec![0x5a; length];
        let envelope = sealer.seal(PLACE, TIMES, NO_KEYS, &value).expect("seals");
        assert_eq!(envelope.len(), 2 + 4 + 8 + 24 + length + 16);
        assert_eq!(open(&sealer, PLACE, &envelope).expect("opens"), Some(value));
    }
}

#[test]
fn no_byte_of_an_envelope_can_be_changed_and_none_cut() {
    let sealer = sealer(0xb2);
    let envelope =
        sealer.seal(PLACE, Times { expires_ms: Some(9), ..TIMES }, NO_KEYS, b"value").expect("seals");
    for index in 0..envelope.len() {
        for bit in 0..8 {
            let mut altered = envelope.clone();
            altered[index] ^= 1 << bit;
            assert!(open(&sealer, PLACE, &altered).is_err(), "byte {index}, bit {bit}");
        }
        assert!(open(&sealer, PLACE, &envelope[..index]).is_err(), "cut at {index}");
    }
    assert!(open(&sealer, PLACE, &[&envelope[..], &[0]].concat()).is_err());
}

#[test]
fn the_envelope_of_a_value_in_chunks_is_bound_to_all_it_says() {
    let sealer = sealer(0xb2);
    let set = ChunkSet { id: ChunkSetId::new([5; 16]), value_bytes: 3 << 20, chunk_bytes: 65_412 };
    let slots = sealer.current_slots(ErasureKeys::default()).expect("there is a data key");
    let envelope = sealer.seal_chunked(PLACE, slots, TIMES, &set).expect("seals");
    let parsed = Envelope::parse(&envelope).expect("parses");
    assert_eq!((parsed.chunks, parsed.value_bytes()), (Some(set), 3 << 20));
    assert!(sealer.check(PLACE, &parsed).expect("authentic"));
    assert_eq!(sealer.open(PLACE, &parsed).expect_err("not a value").kind(), ErrorKind::Internal);
    for index in 0..envelope.len() {
        for bit in 0..8 {
            let mut altered = envelope.clone();
            altered[index] ^= 1 << bit;
            assert!(open(&sealer, PLACE, &altered).is_err(), "byte {index}, bit {bit}");
        }
        assert!(open(&sealer, PLACE, &envelope[..index]).is_err(), "cut at {index}");
    }
    assert!(Envelope::parse(&[&envelope[..], &[0]].concat()).is_err(), "a value beside the chunks");
}

#[test]
fn record_moved_to_another_tenant_collection_or_key_does_not_open() {
    let sealer_b2 = sealer(0xb2);
    let envelope = sealer_b2.seal(PLACE, TIMES, NO_KEYS, b"value").expect("seals");
    let moved = [
        (&sealer_b2, RecordPlace { collection: CollectionId(8), ..PLACE }),
        (&sealer_b2, RecordPlace { key: b"kex", ..PLACE }),
        (&sealer_b2, RecordPlace { key: b"key ", ..PLACE }),
        // The same seed: the same data key, but another tenant.
        (&sealer(0xb3), PLACE),
    ];
    assert_eq!(
        sealer_b2.keyring.data_key(2).expect("opens").map(|key| *key.as_bytes()),
        moved[3].0.keyring.data_key(2).expect("opens").map(|key| *key.as_bytes())
    );
    for (sealer, place) in moved {
        let refused = open(sealer, place, &envelope).expect_err("moved");
        assert_eq!(refused.kind(), ErrorKind::Unauthentic, "{place:?}");
    }
}

#[test]
fn a_record_needs_its_data_key_and_only_a_tombstone_hides_it() {
    let sealer_b2 = sealer(0xb2);
    let envelope = sealer_b2.seal(PLACE, TIMES, NO_KEYS, b"value").expect("seals");
    let keyring = &sealer_b2.keyring;
    assert_eq!(keyring.fill(SlotKind::Data, SlotStatus::Live, 0, 1).expect("fills"), 3);
    let newer = sealer_b2.seal(PLACE, TIMES, NO_KEYS, b"newer").expect("seals");
    assert_eq!(Envelope::parse(&newer).expect("parses").slots.data, 3);
    keyring.destroy(&[(SlotKind::Data, 2)]).expect("destroys");
    let fresh = RecordSealer::new(Arc::clone(keyring), Arc::new(OsEntropy));
    assert_eq!(open(&fresh, PLACE, &envelope).expect("hidden by the tombstone"), None);
    assert_eq!(open(&fresh, PLACE, &newer).expect("opens"), Some(b"newer".to_vec()));
    let mut lost = envelope.clone();
    lost[2] = 200;
    assert_eq!(open(&fresh, PLACE, &lost).expect_err("no such slot").kind(), ErrorKind::KeyMissing);
}

#[test]
fn two_records_of_the_same_content_have_nothing_in_common() {
    let sealer = sealer(0xb2);
    let [a, b] = [0, 1].map(|_| sealer.seal(PLACE, TIMES, NO_KEYS, &[0; 64]).expect("seals"));
    assert_eq!(a[..14], b[..14], "the fields are the same");
    assert!(a[14..].windows(4).all(|window| !b[14..].windows(4).any(|other| window == other)));
}

/// Envelopes computed once and checked in: a change of the format fails here.
#[test]
fn envelopes_agree_with_the_vectors() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).expect("well-formed");
    let bytes = |value: &serde_json::Value| {
        let text = value.as_str().expect("a string");
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
            .collect::<Vec<_>>()
    };
    let cases = vectors["envelopes"].as_array().expect("a list");
    for case in cases {
        let array = |name: &str| -> Vec<u8> { bytes(&case[name]) };
        let salt = [array("store"), array("tenant")].concat();
        let mut ikm = Vec::new();
        for part in case["keys"].as_array().expect("a list") {
            ikm.push(u8::try_from(part["type"].as_u64().expect("a number")).expect("small"));
            ikm.extend(part["slot"].as_u64().expect("a number").to_le_bytes());
            ikm.extend(bytes(&part["key"]));
        }
        let envelope = array("envelope");
        let parsed = Envelope::parse(&envelope).expect("parses");
        let prk = Prk::extract(&salt, [&ikm[..]]);
        let key = record_key(&prk, parsed.salt).expect("derives");
        let mut aad = LABEL.to_vec();
        aad.extend(parsed.header);
        aad.extend(array("tenant"));
        aad.extend(array("collection"));
        aad.extend(array("record_key"));
        let mut text = parsed.ciphertext.to_vec();
        let opened = open_once(key.as_bytes(), nonce(parsed.salt), &aad, &mut text, parsed.tag);
        if case["opens"].as_bool().expect("a flag") {
            assert_eq!(opened, Ok(()), "{}", case["name"]);
            assert_eq!(text, array("value"), "{}", case["name"]);
        } else {
            assert!(opened.is_err(), "{}", case["name"]);
        }
    }
    assert!(cases.len() >= 8);
}
