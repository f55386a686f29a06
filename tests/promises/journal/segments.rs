//! Whole segments, journals and lane states: deleted, cut, exchanged, older ones put back.

use std::collections::BTreeSet;

use strongroom::simulation::SimDisk;
use strongroom::{Engine, ErrorKind};

use super::layout::{self, Batch};
use super::store::{A, B, DEDICATED, Ended, Outcome, Store, TENANTS, config_of, documents, records_of};
use crate::support::{note, refusal};

/// The tenants with a frame in some batches.
fn tenants_in<'a>(store: &Store, batches: impl IntoIterator<Item = &'a Batch>) -> Vec<usize> {
    let tenants: BTreeSet<_> = batches.into_iter().flat_map(|batch| store.tenants_in(batch)).collect();
    tenants.into_iter().collect()
}

#[test]
fn a_segment_that_is_deleted_is_missed() {
    let store = Store::new(4, Ended::Closed);
    for (lane, tenants) in store.lanes() {
        let segments = store.segments(lane);
        assert!(segments.len() >= 3);
        for (number, (path, bytes)) in segments.iter().enumerate() {
            let disk = store.disk.snapshot();
            disk.remove(path).unwrap();
            let place = format!("{} is deleted", path.display());
            let expected = if number + 1 == segments.len() {
                Outcome::refusing_lane(tenants, ErrorKind::RolledBack)
            } else {
                Outcome::refusing(&tenants_in(&store, &layout::batches(bytes)), ErrorKind::Corrupted)
            };
            assert_eq!(store.read(&disk, &place), expected, "{place}");
        }
        // All of them, and the directory too.
        let disk = store.disk.snapshot();
        segments.iter().for_each(|(path, _)| disk.remove(path).unwrap());
        let expected = Outcome::refusing_lane(tenants, ErrorKind::RolledBack);
        assert_eq!(store.read(&disk, "no segment is left"), expected);
        disk.remove(segments[0].0.parent().unwrap()).unwrap();
        let without = store.read(&disk, "no directory is left");
        assert!(tenants.iter().all(|tenant| without.tenants[*tenant].is_some()), "{without:?}");
        assert!(tenants.contains(&A) || without.tenants[A].is_none(), "{without:?}");
    }
}

#[test]
fn a_segment_cut_at_any_sector_is_missed_unless_nothing_was_in_what_is_gone() {
    let store = Store::new(3, Ended::Closed);
    let (mut cases, mut harmless) = (0, 0);
    for (lane, tenants) in store.lanes() {
        let segments = store.segments(lane);
        for (number, (path, bytes)) in segments.iter().enumerate() {
            let batches = layout::batches(bytes);
            let is_last = number + 1 == segments.len();
            for length in (0..bytes.len()).step_by(512) {
                let gone: Vec<_> = batches.iter().filter(|batch| batch.place.end > length).collect();
                // The index at the end stands there twice. A header has two copies.
                let is_end_gone = is_last && gone.len() >= 2;
                let expected = if is_end_gone || is_last && length < 512 {
                    Outcome::refusing_lane(tenants, ErrorKind::RolledBack)
                } else {
                    Outcome::refusing(&tenants_in(&store, gone), ErrorKind::Corrupted)
                };
                let place = format!("{} cut to {length}", path.display());
                let outcome = store.read(&store.with(path, &bytes[..length]), &place);
                assert_eq!(outcome, expected, "{place}");
                cases += 1;
                harmless += usize::from(outcome == Outcome::WHOLE);
            }
        }
    }
    note(&format!("{cases} cuts, {harmless} of what was allocated ahead"));
    assert!(cases > 250 && harmless > 200 && cases - harmless > 40);
}

#[test]
fn segments_exchanged_within_a_lane_or_between_lanes_are_refused() {
    let store = Store::new(3, Ended::Closed);
    let all: Vec<_> = store
        .lanes()
        .into_iter()
        .flat_map(|(lane, tenants)| {
            store.segments(lane).into_iter().map(move |(path, bytes)| (tenants, path, bytes))
        })
        .collect();
    let is_last = |tenants: &[usize], path| {
        all.iter().rfind(|(of, _, _)| *of == tenants).is_some_and(|(_, last, _)| last == path)
    };
    let mut cases = 0;
    for (number, (tenants, path, bytes)) in all.iter().enumerate() {
        for (other_tenants, other, others) in &all[number + 1..] {
            for both in [true, false] {
                let disk = store.with(other, bytes);
                if both {
                    disk.write_file(path, others).unwrap();
                }
                let place =
                    format!("{} in the place of {}, exchanged: {both}", path.display(), other.display());
                let outcome = store.read(&disk, &place);
                cases += 1;
                for (lane, touched) in
                    [(*tenants, both.then_some((path, bytes))), (*other_tenants, Some((other, others)))]
                {
                    let Some((path, bytes)) = touched else { continue };
                    for tenant in tenants_in(&store, &layout::batches(bytes)) {
                        assert!(outcome.tenants[tenant].is_some(), "{place}: {outcome:?}");
                    }
                    if is_last(lane, path) {
                        assert!(
                            lane.iter().all(|tenant| outcome.tenants[*tenant].is_some()),
                            "{place}: {outcome:?}"
                        );
                    }
                }
                if tenants == other_tenants {
                    let unaffected = if tenants.contains(&A) { DEDICATED } else { A };
                    let is_store = outcome.store.is_some();
                    assert!(is_store || outcome.tenants[unaffected].is_none(), "{place}: {outcome:?}");
                }
            }
        }
    }
    note(&format!("{cases} segments in the place of others"));
    assert!(cases >= 2 * 15);
}

/// Nothing but the key store says where a journal ends whose process was killed: it says at least in which segment.
#[test]
fn after_a_kill_a_journal_without_its_newest_segment_is_rolled_back() {
    let empty = Store::empty();
    // A journal may never have been closed with anything in it, and its newest segment may be its only one.
    for (is_closed_before, puts) in [(false, 1), (false, 5), (true, 5)] {
        let mut store = empty.clone();
        store.disk = empty.disk.snapshot();
        if is_closed_before {
            store.round(0, Ended::Closed, |store, engine| store.write(engine, A, 0, 0));
        }
        store.round(1, Ended::Killed, |_, engine| {
            for index in 0..puts {
                let value = format!("{index} ").repeat(10_000);
                documents(&engine.tenant(TENANTS[A]).unwrap()).put(format!("large-{index}"), value).unwrap();
            }
        });
        let segments = store.segments(&store.shared);
        assert_eq!(segments.len() > 1, puts > 1);
        let (newest, _) = segments.last().unwrap();
        let whole = Engine::open(config_of(&store.disk.snapshot(), 2)).unwrap();
        assert!(records_of(&whole, A).unwrap().contains_key(format!("large-{}", puts - 1).as_bytes()));
        drop(whole);
        let disk = store.disk.snapshot();
        disk.remove(newest).unwrap();
        assert_eq!(refusal(Engine::open(config_of(&disk, 3))), ErrorKind::RolledBack, "{puts} puts");
        let engine = Engine::open(config_of(&disk, 4).accept_rollback(true)).unwrap();
        documents(&engine.tenant(TENANTS[A]).unwrap()).put("after", "it").unwrap();
        engine.close().unwrap();
        let engine = Engine::open(config_of(&disk, 5)).unwrap();
        assert!(records_of(&engine, A).unwrap().contains_key(&b"after"[..]), "accepted is accepted");
    }
}

/// A store that was closed after each of its rounds, and its disk after each.
fn history(rounds: u64) -> (Store, Vec<Store>) {
    let mut store = Store::empty();
    let mut past = Vec::new();
    for round in 0..rounds {
        store.round(round, Ended::Closed, |store, engine| {
            for index in 0..3 {
                [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, round, index));
            }
        });
        past.push(store.clone());
        store.disk = store.disk.snapshot();
    }
    (store, past)
}

/// Puts the lanes' segments of an older time into a store.
fn with_older_journal(store: &Store, older: &Store, lanes: &[&str]) -> SimDisk {
    let disk = store.disk.snapshot();
    for lane in lanes {
        store.segments(lane).iter().for_each(|(path, _)| disk.remove(path).unwrap());
        for (path, bytes) in older.segments(lane) {
            disk.write_file(&path, &bytes).unwrap();
        }
    }
    disk
}

#[test]
fn an_older_journal_is_rolled_back_until_that_is_accepted_on_a_greater_timeline() {
    let (store, past) = history(4);
    for (round, older) in past.iter().enumerate().take(3) {
        // Of one lane: the other one's tenants are not touched.
        let disk = with_older_journal(&store, older, &[&store.ids[DEDICATED]]);
        let outcome = store.read(&disk, "an older journal of the dedicated tenant");
        assert_eq!(outcome, Outcome::refusing(&[DEDICATED], ErrorKind::RolledBack), "round {round}");
        let disk = with_older_journal(&store, older, &[&store.shared]);
        let outcome = store.read(&disk, "an older journal of the shared lane");
        assert_eq!(outcome, Outcome::refusing_lane(&[A, B], ErrorKind::RolledBack), "round {round}");

        let disk = with_older_journal(&store, older, &[&store.shared, &store.ids[DEDICATED]]);
        assert_eq!(refusal(Engine::open(config_of(&disk, 3))), ErrorKind::RolledBack);
        let newest = Engine::open(config_of(&store.disk.snapshot(), 3)).unwrap();
        let newest = TENANTS.map(|name| newest.tenant_stats(name).unwrap().version);
        let engine = Engine::open(config_of(&disk, 4).accept_rollback(true)).unwrap();
        for tenant in [A, B, DEDICATED] {
            assert_eq!(records_of(&engine, tenant), Ok(older.records(tenant)), "round {round}");
            let version =
                documents(&engine.tenant(TENANTS[tenant]).unwrap()).put("after", "the rollback").unwrap();
            assert!(version.timeline > newest[tenant].timeline, "{version:?} {:?}", newest[tenant]);
        }
        engine.close().unwrap();
        // Accepted is accepted, and nothing of it counts as damage.
        for seed in 5..7 {
            let engine = Engine::open(config_of(&disk, seed)).unwrap();
            for tenant in [A, B, DEDICATED] {
                let mut expected = older.records(tenant);
                expected.insert(b"after".to_vec(), b"the rollback".to_vec());
                assert_eq!(records_of(&engine, tenant), Ok(expected), "round {round}");
            }
            assert!(
                engine.lanes().unwrap().iter().all(|lane| lane.stats.damaged == 0),
                "{:?}",
                engine.lanes()
            );
            engine.close().unwrap();
        }
        // What was given up does not come back when the newer segments do.
        let disk = disk.snapshot();
        for (path, bytes) in store.lanes().into_iter().flat_map(|(lane, _)| store.segments(lane)) {
            disk.write_file(&path, &bytes).unwrap();
        }
        let engine = Engine::open(config_of(&disk, 8)).unwrap();
        for tenant in [A, B, DEDICATED] {
            let mut expected = older.records(tenant);
            expected.insert(b"after".to_vec(), b"the rollback".to_vec());
            assert_eq!(records_of(&engine, tenant), Ok(expected), "round {round}");
        }
    }
}

#[test]
fn older_bytes_of_one_segment_are_missed() {
    let (store, past) = history(4);
    let mut cases = 0;
    for (lane, tenants) in store.lanes() {
        for (path, newest) in store.segments(lane) {
            for older in &past {
                let Ok(bytes) = older.disk.read_file(&path) else { continue };
                if bytes == newest {
                    continue;
                }
                // As it was; and no more than its batches, in front of what came later.
                let end = layout::batches(&bytes).last().unwrap().padded().end;
                let outcome = store.read(&store.with(&path, &bytes), "an older segment");
                assert_eq!(
                    outcome,
                    Outcome::refusing_lane(tenants, ErrorKind::RolledBack),
                    "{}",
                    path.display()
                );
                let mut mixed = newest.clone();
                mixed[..end].copy_from_slice(&bytes[..end]);
                let outcome = store.read(&store.with(&path, &mixed), "older batches before newer ones");
                assert_eq!(outcome, Outcome::WHOLE, "a segment is only ever appended to: {}", path.display());
                cases += 1;
            }
        }
    }
    assert!(cases >= 4, "{cases} older segments");
}

#[test]
fn a_lanes_state_that_is_gone_or_another_lanes_is_refused_and_an_older_one_loses_nothing() {
    let (store, past) = history(4);
    for (lane, tenants) in store.lanes() {
        let path = Store::state(lane);
        let disk = store.disk.snapshot();
        disk.remove(&path).unwrap();
        let expected = Outcome::refusing_lane(tenants, ErrorKind::KeyMissing);
        assert_eq!(store.read(&disk, "a state is gone"), expected);
        let other = store.lanes().into_iter().find(|(other, _)| *other != lane).unwrap().0;
        let disk = store.with(&path, &store.disk.read_file(Store::state(other)).unwrap());
        let expected = Outcome::refusing_lane(tenants, ErrorKind::Unauthentic);
        assert_eq!(store.read(&disk, "another lane's state"), expected);
        for older in &past[..3] {
            let disk = store.with(&path, &older.disk.read_file(&path).unwrap());
            let newest = Engine::open(config_of(&store.disk.snapshot(), 3)).unwrap();
            let newest = newest.tenant_stats(TENANTS[tenants[0]]).unwrap().version;
            assert_eq!(store.read(&disk, "an older state"), Outcome::WHOLE);
            let engine = Engine::open(config_of(&disk, 4)).unwrap();
            let tenant = engine.tenant(TENANTS[tenants[0]]).unwrap();
            let version = documents(&tenant).put("after", "an older state").unwrap();
            assert!(version > newest, "{version:?} comes after {newest:?}");
        }
    }
}

/// A copy of the store that went its own way has the same keys: its batches have good MACs, and the sequences of these.
#[test]
fn the_journal_of_a_copy_that_went_its_own_way_is_refused() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, 0, 0));
    });
    let mut copy = Store { disk: store.disk.snapshot(), ..store.clone() };
    for (round, store) in [(1, &mut store), (2, &mut copy)] {
        store.round(round, Ended::Closed, |store, engine| {
            for index in 0..2 {
                [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, round, index));
            }
        });
    }
    for (lane, tenants) in store.lanes() {
        let [mine, other] = [&store, &copy].map(|store| store.segments(lane));
        assert_eq!(mine.len(), 1);
        assert_eq!((&mine[0].0, mine[0].1.len()), (&other[0].0, other[0].1.len()));
        let outcome = store.read(&store.with(&mine[0].0, &other[0].1), "the other copy's segment");
        assert_eq!(outcome, Outcome::refusing_lane(tenants, ErrorKind::RolledBack));
        // Each of its batches alone in the place of the one of the same sequence.
        let [batches, foreign] = [&mine, &other].map(|segments| layout::batches(&segments[0].1));
        for (batch, foreign) in batches.iter().zip(&foreign) {
            let old = &mine[0].1[batch.padded()];
            let new = &other[0].1[foreign.padded()];
            if old == new {
                continue;
            }
            assert_eq!((batch.sequence, old.len()), (foreign.sequence, new.len()));
            let mut mixed = mine[0].1.clone();
            mixed[batch.padded()].copy_from_slice(new);
            let outcome = store.read(&store.with(&mine[0].0, &mixed), "the other copy's batch");
            // One of the two at the end is enough.
            let expected = Outcome::refusing(&store.tenants_in(batch), ErrorKind::Corrupted);
            assert_eq!(outcome, expected, "batch {} of {lane}", batch.sequence);
        }
    }
}
