//! Every byte of every segment and of every lane's state, flipped one at a time.
//!
//! In a store that was closed, what a flip costs is known exactly: a sealed text its tenant, anything else of a batch of
//! frames the tenants that have a frame in it, and everything else nothing, because it stands twice or means nothing. In
//! one whose process was killed, more tenants may be in doubt.

use std::collections::BTreeMap;
use std::path::PathBuf;

use strongroom::ErrorKind;

use super::layout::{self, Part};
use super::store::{A, B, DEDICATED, Ended, Outcome, Store, TENANTS};
use crate::support::note;

/// The allocated tail of a segment is all zero: of that, one byte in so many.
const TAIL_STRIDE: usize = 509;

/// One flip, and what is allowed to come of it.
#[derive(Clone, Debug)]
struct Flip {
    path: PathBuf,
    offset: usize,
    part: Part,
    /// The lane's tenants.
    lane: &'static [usize],
    /// The tenants whose frames are in the batch.
    batch: Vec<usize>,
    /// The tenant whose frame it is in.
    tenant: Option<usize>,
    /// Whether the byte is in a batch's CRC, which the MAC does not need.
    is_crc: bool,
}

/// All flips of a lane's segments, each byte up to where the next batch would begin.
fn flips_of(store: &Store, lane: &str, tenants: &'static [usize]) -> (Vec<Flip>, usize) {
    let (mut flips, mut used) = (Vec::new(), 0);
    for (path, bytes) in store.segments(lane) {
        let batches = layout::batches(&bytes);
        let end = batches.last().map_or(layout::FIRST_BATCH, |batch| batch.padded().end);
        used += end;
        for (offset, (part, of)) in layout::parts(&bytes).into_iter().enumerate() {
            assert_eq!(part == Part::Tail, offset >= end);
            if part == Part::Tail && !offset.is_multiple_of(TAIL_STRIDE) {
                continue;
            }
            let batch = batches.iter().find(|batch| batch.place.contains(&offset));
            flips.push(Flip {
                path: path.clone(),
                offset,
                part,
                lane: tenants,
                batch: batch.map(|batch| store.tenants_in(batch)).unwrap_or_default(),
                tenant: of.and_then(|id| store.tenant_of(&id)),
                is_crc: batch.is_some_and(|batch| (4..8).contains(&(offset - batch.place.start))),
            });
        }
    }
    (flips, used)
}

fn flipped(store: &Store, flip: &Flip) -> Outcome {
    let mut bytes = store.disk.read_file(&flip.path).unwrap();
    bytes[flip.offset] ^= 1 << (flip.offset % 8);
    let place = format!("{} byte {} ({:?})", flip.path.display(), flip.offset, flip.part);
    store.read(&store.with(&flip.path, &bytes), &place)
}

/// Makes all flips, on two threads; gives what came of each.
fn make<T: Sync>(flips: &[T], make_one: impl Fn(&T) -> Outcome + Sync) -> Vec<Outcome> {
    let (first, second) = flips.split_at(flips.len() / 2);
    let all = |flips: &[T]| flips.iter().map(&make_one).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| all(second));
        let mut outcomes = all(first);
        outcomes.extend(second.join().unwrap());
        outcomes
    })
}

#[test]
fn a_flipped_byte_of_a_closed_journal_costs_just_those_whose_frames_it_is_in() {
    let store = Store::new(2, Ended::Closed);
    let mut counts: BTreeMap<_, [usize; 3]> = BTreeMap::new();
    for (lane, tenants) in store.lanes() {
        let (flips, used) = flips_of(&store, lane, tenants);
        assert_eq!(flips.iter().filter(|flip| flip.part != Part::Tail).count(), used, "each byte");
        assert!(store.segments(lane).len() >= 2 && used > 10_000, "{used} bytes of {lane}");
        for (flip, outcome) in flips.iter().zip(make(&flips, |flip| flipped(&store, flip))) {
            let expected = match flip.part {
                Part::FrameText => Outcome::refusing(&[flip.tenant.unwrap()], ErrorKind::Unauthentic),
                Part::BatchHeader if flip.is_crc => Outcome::WHOLE,
                Part::BatchHeader | Part::FrameInClear | Part::Mac => {
                    Outcome::refusing(&flip.batch, ErrorKind::Corrupted)
                }
                _ => Outcome::WHOLE,
            };
            assert_eq!(outcome, expected, "{flip:?}");
            // How often: at all, with all the lane's tenants reading everything, with some.
            let refused = outcome.tenants.iter().flatten().count();
            let count = counts.entry((tenants, flip.part)).or_default();
            count[0] += 1;
            count[1] += usize::from(refused == 0);
            count[2] += usize::from(refused > 0 && refused < tenants.len());
        }
    }
    for ((tenants, part), [flips, all, some]) in &counts {
        let names: Vec<_> = tenants.iter().map(|tenant| TENANTS[*tenant]).collect();
        note(&format!("{names:?} {part:?}: {flips} flips, {all} cost nothing, {some} leave the others"));
    }
    // Refusing everything does not count.
    let of = |part| counts[&(&[A, B][..], part)];
    for part in [Part::Header, Part::BetweenHeaders, Part::Index, Part::Padding, Part::Tail] {
        assert_eq!(of(part)[0], of(part)[1], "{part:?} costs nothing");
    }
    let [texts, _, others] = of(Part::FrameText);
    assert!(
        texts == others && texts > 1_000,
        "{others} of {texts} flips of sealed text leave the other tenant"
    );
    for part in [Part::BatchHeader, Part::FrameInClear, Part::Mac] {
        let [flips, all, some] = of(part);
        assert!(all + some > flips / 20, "{part:?}: {all} and {some} of {flips}");
    }
}

#[test]
fn a_flipped_byte_of_a_lanes_state_changes_nothing() {
    let store = Store::new(2, Ended::Closed);
    let mut flips = Vec::new();
    for (lane, _) in store.lanes() {
        let path = Store::state(lane);
        let bytes = store.disk.read_file(&path).unwrap();
        assert_eq!(bytes.len(), 8_192);
        flips.extend((0..bytes.len()).map(|offset| (path.clone(), offset)));
    }
    assert_eq!(flips.len(), 2 * 8_192);
    let outcomes = make(&flips, |(path, offset)| {
        let mut bytes = store.disk.read_file(path).unwrap();
        bytes[*offset] ^= 1 << (offset % 8);
        store.read(&store.with(path, &bytes), &format!("{} byte {offset}", path.display()))
    });
    for ((path, offset), outcome) in flips.iter().zip(outcomes) {
        assert_eq!(outcome, Outcome::WHOLE, "{} byte {offset}", path.display());
    }
}

#[test]
fn a_flipped_byte_of_a_journal_that_was_not_closed_never_gives_a_wrong_answer() {
    let store = Store::new(2, Ended::Killed);
    let mut flips = flips_of(&store, &store.shared, &[A, B]).0;
    flips.extend(flips_of(&store, &store.ids[DEDICATED], &[DEDICATED]).0);
    // The last batch was never confirmed: damaged, it is what a power loss leaves of a batch that was being written.
    for (lane, _) in store.lanes() {
        let (path, bytes) = store.segments(lane).pop().unwrap();
        let last = layout::batches(&bytes).pop().unwrap().padded();
        flips.retain(|flip| flip.path != path || !last.contains(&flip.offset));
    }
    let flips: Vec<_> = flips.into_iter().step_by(7).collect();
    let outcomes = make(&flips, |flip| flipped(&store, flip));
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for (flip, outcome) in flips.iter().zip(&outcomes) {
        *counts.entry(*outcome).or_default() += 1;
        assert_eq!(outcome.store, None, "the catalog lacks nothing: {flip:?}");
        for tenant in [A, B, DEDICATED].into_iter().filter(|tenant| !flip.lane.contains(tenant)) {
            assert_eq!(outcome.tenants[tenant], None, "another lane's tenant: {flip:?}");
        }
        match flip.part {
            Part::FrameText => {
                assert_eq!(
                    *outcome,
                    Outcome::refusing(&[flip.tenant.unwrap()], ErrorKind::Unauthentic),
                    "{flip:?}"
                );
            }
            Part::BatchHeader | Part::FrameInClear | Part::Mac if !flip.is_crc => {
                let refused = flip.batch.iter().all(|tenant| outcome.tenants[*tenant].is_some());
                assert!(refused, "a frame is lost: {flip:?} {outcome:?}");
            }
            _ => {}
        }
    }
    for (outcome, count) in &counts {
        note(&format!("{count} flips: {outcome:?}"));
    }
    assert!(counts[&Outcome::WHOLE] > flips.len() / 3);
}
