//! Ranges and seeks answer as a slice of the value does.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Bound;
use std::sync::OnceLock;

use proptest::prelude::*;
use strongroom::simulation::SimDisk;
use strongroom::{Collection, Engine};

use super::{CHUNK, WHOLE, new_store, put, value};

const SIZES: [usize; 5] = [0, 70_000, WHOLE, 18 * CHUNK, 18 * CHUNK + 1_234];

/// A store that is made once: ranges change nothing.
fn store() -> &'static (Engine, Collection) {
    static STORE: OnceLock<(Engine, Collection)> = OnceLock::new();
    STORE.get_or_init(|| {
        let (engine, scans) = new_store(&SimDisk::new());
        for size in SIZES {
            put(&scans, &format!("{size}"), &value(size as u64, size)).unwrap();
        }
        engine.checkpoint().unwrap();
        (engine, scans)
    })
}

/// Offsets near the edges of chunks, and any.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..20_u64, -2_i64..=2).prop_map(|(chunk, by)| (chunk * CHUNK as u64).saturating_add_signed(by)),
        0..20 * CHUNK as u64,
        Just(u64::MAX),
    ]
}

fn bound() -> impl Strategy<Value = Bound<u64>> {
    prop_oneof![
        offset().prop_map(Bound::Included),
        offset().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_range_is_that_of_the_value(size in prop::sample::select(&SIZES[..]), from in bound(), to in bound()) {
        let (_, scans) = store();
        let whole = value(size as u64, size);
        let range = (from, to);
        let expected: Vec<u8> = (0_u64..).zip(&whole).filter(|(at, _)| {
            std::ops::RangeBounds::contains(&range, at)
        }).map(|(_, byte)| *byte).collect();
        let got = scans.get_range(format!("{size}"), range).unwrap().unwrap();
        prop_assert!(*got == expected[..], "{range:?} of {size} gave {} bytes, not {}", got.len(), expected.len());
    }

    #[test]
    fn reads_and_seeks_are_those_of_a_cursor(
        size in prop::sample::select(&SIZES[..]),
        steps in prop::collection::vec((0..5_u8, offset(), 0..150_000_usize), 1..12),
    ) {
        let (_, scans) = store();
        let mut model = Cursor::new(value(size as u64, size));
        let mut reader = scans.get_reader(format!("{size}")).unwrap().unwrap();
        for (kind, offset, length) in steps {
            let by = i64::try_from(offset).unwrap_or(i64::MAX) - 600_000;
            let to = match kind {
                0 => Some(SeekFrom::Start(offset)),
                1 => Some(SeekFrom::Current(by)),
                2 => Some(SeekFrom::End(by)),
                _ => None,
            };
            if let Some(to) = to {
                let (found, expected) = (reader.seek(to).ok(), model.seek(to).ok());
                prop_assert_eq!(found, expected, "{:?}", to);
            }
            let (mut found, mut expected) = (vec![0; length], vec![0; length]);
            let read = reader.read(&mut found).unwrap();
            prop_assert_eq!(read, model.read(&mut expected).unwrap());
            prop_assert!(found == expected, "{} bytes", read);
            let mut at = vec![0; length];
            let read = reader.read_at(offset, &mut at).unwrap();
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(size);
            prop_assert!(at[..read] == model.get_ref()[start..size.min(start + length)]);
            prop_assert_eq!(reader.stream_position().unwrap(), model.position());
        }
    }
}
