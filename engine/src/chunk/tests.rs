//! Chunks: where they begin and end, vectors, and that one opens nowhere but in its place.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

const SALT: [u8; SALT_BYTES] = [0x51; SALT_BYTES];

fn sealer_of(place: ChunkPlace<'_>) -> ChunkSealer {
    ChunkSealer::new(Arc::new(Prk::extract(b"salt", [&b"keys"[..]])), place)
}

const PLACE: ChunkPlace<'static> = ChunkPlace {
    tenant: TenantId::new([2; 16]),
    collection: CollectionId(7),
    key: b"key",
    set: ChunkSetId::new([9; 16]),
    chunk_bytes: CHUNK_BYTES,
};

fn open(sealer: &ChunkSealer, index: u32, last: bool, row: &[u8]) -> Result<Vec<u8>> {
    let mut text = vec![0; row.len().saturating_sub(ROW_OVERHEAD)];
    sealer.open(index, last, row, &mut text).map(|()| text)
}

#[test]
fn a_chunk_opens_in_its_place_and_nowhere_else() {
    let sealer = sealer_of(PLACE);
    for last in [false, true] {
        for text in [&b""[..], b"text"] {
            let row = sealer.seal(SALT, 5, last, text).expect("seals");
            assert_eq!(open(&sealer, 5, last, &row).expect("opens"), text);
            for (index, flag) in [(5, !last), (4, last), (6, last), (5 | 1 << 31, last), (0, last)] {
                let refused = open(&sealer, index, flag, &row).expect_err("another place");
                assert_eq!(refused.kind(), ErrorKind::Unauthentic, "{index}, {flag}");
            }
            for other in [
                ChunkPlace { tenant: TenantId::new([3; 16]), ..PLACE },
                ChunkPlace { collection: CollectionId(8), ..PLACE },
                ChunkPlace { key: b"kez", ..PLACE },
                ChunkPlace { key: b"key ", ..PLACE },
                ChunkPlace { set: ChunkSetId::new([8; 16]), ..PLACE },
                ChunkPlace { chunk_bytes: CHUNK_BYTES - 1, ..PLACE },
            ] {
                assert!(open(&sealer_of(other), 5, last, &row).is_err());
            }
        }
    }
}

#[test]
fn no_byte_of_a_chunk_can_be_changed_and_none_cut_or_added() {
    let sealer = sealer_of(PLACE);
    let row = sealer.seal(SALT, 1, false, b"a text").expect("seals");
    for at in 0..row.len() {
        let mut altered = row.clone();
        altered[at] ^= 1;
        assert!(open(&sealer, 1, false, &altered).is_err(), "byte {at}");
        assert!(open(&sealer, 1, false, &row[..at]).is_err(), "cut at {at}");
    }
    assert!(open(&sealer, 1, false, &[&row[..], &[0]].concat()).is_err());
    let mut short = [0; 5];
    assert!(sealer.open(1, false, &row, &mut short).is_err(), "another length than the layout's");
}

/// Computed by another implementation, the primitives of `tests/format_reader.py`: a change of the format fails here.
#[test]
fn a_chunk_agrees_with_its_vector() {
    let row = sealer_of(PLACE).seal(SALT, 5, true, b"text").expect("seals");
    let [salt, sealed] = [&row[..SALT_BYTES], &row[SALT_BYTES..]];
    assert_eq!(salt, SALT);
    assert_eq!(sealed, VECTOR);
}

const VECTOR: [u8; 20] = [
    0x09, 0x43, 0xf4, 0xd2, 0x53, 0xb4, 0x9b, 0x9b, 0x54, 0x11, 0x03, 0xcf, 0x22, 0xef, 0x2c, 0xcc, 0x54,
    0xe3, 0x02, 0x68,
];

#[test]
fn a_row_of_the_full_size_leaves_redb_its_room() {
    let row = sealer_of(PLACE).seal(SALT, 0, false, &vec![0; CHUNK_BYTES as usize]).expect("seals");
    assert_eq!(row.len() + KEY_BYTES, 65_536 - 64);
}

proptest! {
    #[test]
    fn chunks_cover_the_value_once(
        value_bytes in prop_oneof![0..3_000_000_u64, 0..=LARGE_VALUE_BYTES_MAX],
        chunk_bytes in prop_oneof![Just(CHUNK_BYTES), 1_024..=1_u32 << 20],
        at in any::<prop::sample::Index>(),
    ) {
        let Ok(layout) = Layout::new(value_bytes, chunk_bytes) else {
            return Err(TestCaseError::reject("more chunks than there are numbers"));
        };
        let last = layout.count() - 1;
        prop_assert!(layout.is_last(last) && (last == 0 || !layout.is_last(last - 1)));
        prop_assert_eq!(layout.start_of(last) + layout.bytes_of(last) as u64, value_bytes);
        prop_assert!(last == 0 || layout.bytes_of(last) > 0);
        prop_assert_eq!(layout.bytes_of(last + 1), 0);
        if value_bytes > 0 {
            let offset = at.index(usize::try_from(value_bytes).unwrap_or(usize::MAX)) as u64;
            let (index, within) = layout.place_of(offset);
            prop_assert_eq!(layout.start_of(index) + within as u64, offset);
            prop_assert!(within < layout.bytes_of(index));
        }
    }
}

#[test]
fn sizes_that_no_version_writes_are_refused() {
    for (value_bytes, chunk_bytes) in [
        (1, 0),
        (1, 1_023),
        (1, (1 << 20) + 1),
        (LARGE_VALUE_BYTES_MAX + 1, CHUNK_BYTES),
        (u64::MAX, CHUNK_BYTES),
    ] {
        let refused = Layout::new(value_bytes, chunk_bytes).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::UnsupportedFormat);
    }
    assert!(Layout::new(LARGE_VALUE_BYTES_MAX, CHUNK_BYTES).is_ok());
}
