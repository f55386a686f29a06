//! Batches and frames that are authentic, and not where they were written: cut out, exchanged, repeated, dropped out of
//! their batch, put into another tenant's place.
//!
//! A batch's MAC binds it to its segment and sequence, a frame to its tenant and to the frame before; length, count and
//! CRC anybody can compute, and the forger here does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use strongroom::ErrorKind;

use super::layout::{self, Batch, FIRST_BATCH};
use super::store::{Ended, Outcome, Store};
use crate::support::note;

/// One segment of a store that was closed.
struct Segment<'a> {
    store: &'a Store,
    path: PathBuf,
    bytes: Vec<u8>,
    batches: Vec<Batch>,
    tenants: &'static [usize],
    is_last: bool,
}

/// What stands in the place of a batch.
#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    /// A batch of the segment.
    Batch(usize),
    /// Anything else.
    Foreign(&'a [u8]),
}

/// What came of the cases tried.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    /// The log ended before the place where it was closed.
    rolled_back: usize,
    harmless: usize,
    /// Some of the lane's tenants were refused, not all.
    others_read: usize,
}

impl Segment<'_> {
    fn piece<'a>(&'a self, piece: &'a Piece<'_>) -> &'a [u8] {
        match piece {
            Piece::Batch(index) => &self.bytes[self.batches[*index].padded()],
            Piece::Foreign(bytes) => bytes,
        }
    }

    /// The segment with these batches behind its header, and zeros up to its old length.
    fn of(&self, pieces: &[Piece<'_>]) -> Vec<u8> {
        let mut bytes = self.bytes[..FIRST_BATCH].to_vec();
        pieces.iter().for_each(|piece| bytes.extend(self.piece(piece)));
        bytes.resize(self.bytes.len().max(bytes.len()), 0);
        bytes
    }

    fn whole(&self) -> Vec<Piece<'static>> {
        (0..self.batches.len()).map(Piece::Batch).collect()
    }

    /// The batches that are missed: those that do not come in their order, and those beyond the end that the next segment
    /// names.
    fn missed(&self, pieces: &[Piece<'_>]) -> Vec<usize> {
        let (mut at, mut next, mut missed) = (0, 0, Vec::new());
        let end = self.batches.last().map_or(0, |batch| batch.padded().end - FIRST_BATCH);
        for piece in pieces {
            let is_within = self.is_last || at < end;
            if let Piece::Batch(index) = piece
                && is_within
                && *index >= next
            {
                missed.extend(next..*index);
                next = index + 1;
            }
            at += self.piece(piece).len();
        }
        missed.extend(next..self.batches.len());
        missed
    }

    /// Tries an arrangement: the tenants whose frames are missed are refused, and nobody else. Where the end of the log is
    /// missed, the lane is rolled back.
    fn check(&self, pieces: &[Piece<'_>], tally: &mut Tally) {
        let place = format!("{}: {pieces:?}", self.path.display());
        let place: String = place.chars().take(400).collect();
        let outcome = self.store.read(&self.store.with(&self.path, &self.of(pieces)), &place);
        let missed = self.missed(pieces);
        // The index at the end stands there twice.
        let last = self.batches.len() - 1;
        let is_cut = self.is_last && missed.contains(&last) && missed.contains(&(last - 1));
        let tenants: BTreeSet<_> =
            missed.iter().flat_map(|index| self.store.tenants_in(&self.batches[*index])).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        let expected = if is_cut {
            Outcome::refusing_lane(self.tenants, ErrorKind::RolledBack)
        } else {
            Outcome::refusing(&tenants, ErrorKind::Corrupted)
        };
        assert_eq!(outcome, expected, "{place}");
        tally.cases += 1;
        tally.rolled_back += usize::from(is_cut);
        tally.harmless += usize::from(outcome == Outcome::WHOLE);
        tally.others_read +=
            usize::from(!is_cut && !tenants.is_empty() && tenants.len() < self.tenants.len());
    }
}

fn segments(store: &Store) -> Vec<Segment<'_>> {
    let mut all = Vec::new();
    for (lane, tenants) in store.lanes() {
        let found = store.segments(lane);
        let count = found.len();
        for (index, (path, bytes)) in found.into_iter().enumerate() {
            let (batches, is_last) = (layout::batches(&bytes), index + 1 == count);
            let segment = Segment { store, path, bytes, batches, tenants, is_last };
            assert!(segment.of(&segment.whole()) == segment.bytes, "the forger changes nothing unless asked");
            all.push(segment);
        }
    }
    all
}

#[test]
fn batches_cut_out_exchanged_repeated_or_overwritten_are_missed() {
    let store = Store::new(3, Ended::Closed);
    let mut tally = Tally::default();
    let segments = segments(&store);
    for segment in &segments {
        let whole = segment.whole();
        let count = whole.len();
        for first in 0..count {
            // A run of batches cut out, the rest moved up.
            for end in first + 1..=count {
                let mut left = whole.clone();
                left.drain(first..end);
                segment.check(&left, &mut tally);
            }
            for second in (0..count).filter(|second| *second != first) {
                let mut exchanged = whole.clone();
                exchanged.swap(first, second);
                let mut repeated = whole.clone();
                repeated.insert(first, Piece::Batch(second));
                let mut replaced = whole.clone();
                replaced[first] = Piece::Batch(second);
                for pieces in [exchanged, repeated, replaced] {
                    segment.check(&pieces, &mut tally);
                }
            }
            // A batch of another segment, of the same lane or another.
            for other in segments.iter().filter(|other| other.path != segment.path) {
                for batch in &other.batches {
                    let mut replaced = whole.clone();
                    replaced[first] = Piece::Foreign(&other.bytes[batch.padded()]);
                    segment.check(&replaced, &mut tally);
                }
            }
        }
    }
    note(&format!("{tally:?}"));
    assert!(tally.cases > 1_000 && tally.rolled_back < tally.cases / 4, "{tally:?}");
    assert!(tally.harmless > 50 && tally.others_read > 40, "{tally:?}");
}

/// A frame's bytes.
fn frame<'a>(segment: &'a Segment<'_>, batch: &Batch, index: usize) -> &'a [u8] {
    &segment.bytes[batch.frames[index].place.clone()]
}

#[test]
fn frames_dropped_exchanged_or_put_into_another_tenants_place_are_refused() {
    let store = Store::new(2, Ended::Closed);
    let mut tally = Tally::default();
    let all = segments(&store);
    for segment in &all {
        for (index, batch) in segment.batches.iter().enumerate().filter(|(_, batch)| !batch.is_index) {
            let frames: Vec<_> = (0..batch.frames.len()).map(|index| frame(segment, batch, index)).collect();
            let mut forgeries = Vec::new();
            for place in 0..frames.len() {
                let mut left = frames.clone();
                left.remove(place);
                forgeries.push(layout::forge(&segment.bytes, batch, &left));
                // Any other frame in its place: as it is, and as if it were this tenant's, or followed on the same one.
                for (other, foreign) in
                    all.iter().flat_map(|other| other.batches.iter().map(move |batch| (other, batch)))
                {
                    for number in 0..foreign.frames.len() {
                        let foreign = frame(other, foreign, number);
                        if foreign == frames[place] {
                            continue;
                        }
                        for fields in [0..0, 8..24, 8..56] {
                            let mut disguised = foreign.to_vec();
                            disguised[fields.clone()].copy_from_slice(&frames[place][fields]);
                            let mut replaced = frames.clone();
                            replaced[place] = &disguised;
                            forgeries.push(layout::forge(&segment.bytes, batch, &replaced));
                        }
                    }
                }
            }
            if frames.len() > 1 {
                let backwards: Vec<_> = frames.iter().rev().copied().collect();
                forgeries.push(layout::forge(&segment.bytes, batch, &backwards));
            }
            for forged in &forgeries {
                let mut pieces = segment.whole();
                pieces[index] = Piece::Foreign(forged);
                segment.check(&pieces, &mut tally);
            }
        }
    }
    note(&format!("{tally:?}"));
    assert!(tally.cases > 1_000 && tally.harmless == 0 && tally.others_read > 100, "{tally:?}");
}

/// Sealed texts are all that a batch's MAC leaves out: each frame's own tag knows them.
#[test]
fn a_sealed_text_in_another_frames_place_refuses_the_frames_tenant_alone() {
    let store = Store::new(2, Ended::Closed);
    let mut exchanged = 0;
    for segment in segments(&store) {
        let places = segment
            .batches
            .iter()
            .enumerate()
            .flat_map(|(index, batch)| batch.frames.iter().map(move |frame| (index, frame)));
        let places: Vec<_> = places.collect();
        for (number, (first, one)) in places.iter().enumerate() {
            for (second, other) in &places[number + 1..] {
                if one.text().len() != other.text().len() {
                    continue;
                }
                let mut bytes = segment.bytes.clone();
                bytes[one.text()].copy_from_slice(&segment.bytes[other.text()]);
                bytes[other.text()].copy_from_slice(&segment.bytes[one.text()]);
                [first, second].into_iter().for_each(|index| {
                    layout::mend_crc(&mut bytes[segment.batches[*index].place.clone()]);
                });
                let tenants = [one, other].map(|frame| store.tenant_of(&frame.tenant).unwrap());
                let outcome = store.read(&store.with(&segment.path, &bytes), "exchanged texts");
                assert_eq!(outcome, Outcome::refusing(&tenants, ErrorKind::Unauthentic));
                exchanged += usize::from(tenants[0] != tenants[1]);
            }
        }
    }
    assert!(exchanged > 10, "only {exchanged} texts of two tenants were exchanged");
}
