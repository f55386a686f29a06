//! Promise: no lost update. A put or an erasure under a condition is made exactly where its condition held at one moment between its
//! call and its return, whatever other threads put, while checkpoints move the records into the file.
//!
//! Threads record what they called, when, and what they got. Versions give the order of a record's writes; the history is
//! linearizable (Herlihy and Wing, 1990) if that order agrees with what each call saw and with the time of the calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom::simulation::SimDisk;
use strongroom::{Collection, Engine, ErrorKind, Tenant, TenantOptions, Version};

use crate::support::config;

const KEYS: u64 = 3;
const THREADS: u64 = 6;
const CALLS: u64 = 300;

/// What a call did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It read this version, or none.
    Read(Option<Version>),
    /// It replaced the version it expected by this one, which is there or, after an erasure, is not.
    Wrote { expected: Option<Version>, version: Version, is_there: bool },
    /// It wrote without a condition.
    Put { version: Version, is_there: bool },
    /// It was refused, for the version was not the one it expected.
    Refused { expected: Option<Version> },
}

#[derive(Clone, Copy, Debug)]
struct Call {
    key: u64,
    begun: u64,
    ended: u64,
    seen: Seen,
}

/// One state of a record.
#[derive(Clone, Copy, Debug)]
struct State {
    is_there: bool,
    /// When what led to it was called, and when it returned.
    begun: u64,
    ended: u64,
}

/// One record's states in the order of their versions. Before the first write there is none, from the beginning.
struct States(BTreeMap<Version, State>);

impl States {
    const BEGINNING: Version = Version { timeline: 0, sequence: 0 };

    fn next(&self, version: Version) -> Option<&State> {
        let after = (std::ops::Bound::Excluded(version), std::ops::Bound::Unbounded);
        self.0.range(after).next().map(|(_, state)| state)
    }

    /// The states that a call may have seen which saw this: a version, or that there was none.
    fn like(&self, seen: Option<Version>) -> Vec<(Version, State)> {
        let is_like = |(version, state): &(&Version, &State)| {
            seen.map_or(!state.is_there, |seen| state.is_there && seen == **version)
        };
        self.0.iter().filter(is_like).map(|(version, state)| (*version, *state)).collect()
    }
}

/// What is wrong with a history, if anything is.
fn flaw(calls: &[Call]) -> Option<String> {
    for key in 0..KEYS {
        let calls: Vec<_> = calls.iter().filter(|call| call.key == key).collect();
        let beginning = State { is_there: false, begun: 0, ended: 0 };
        let mut states = States(BTreeMap::from([(States::BEGINNING, beginning)]));
        for call in &calls {
            if let Seen::Wrote { version, is_there, .. } | Seen::Put { version, is_there } = call.seen {
                let state = State { is_there, begun: call.begun, ended: call.ended };
                if states.0.insert(version, state).is_some() {
                    return Some(format!("version {version} was given twice"));
                }
            }
        }
        let mut latest_begin = 0;
        for (version, state) in &states.0 {
            if state.ended != 0 && state.ended < latest_begin {
                return Some(format!("{version} returned before an older version was called"));
            }
            latest_begin = latest_begin.max(state.begun);
        }
        for call in &calls {
            match call.seen {
                Seen::Read(seen) => {
                    let may_be = |(version, state): &(Version, State)| {
                        state.begun <= call.ended
                            && states.next(*version).is_none_or(|next| next.ended >= call.begun)
                    };
                    if !states.like(seen).iter().any(may_be) {
                        return Some(format!("{seen:?} was read and was not there then: {call:?}"));
                    }
                }
                Seen::Wrote { expected, version, .. } => {
                    let before = states.0.range(..version).next_back();
                    let before = before.and_then(|(version, state)| state.is_there.then_some(*version));
                    if before != expected {
                        return Some(format!("{version} was written over {before:?}, expected {expected:?}"));
                    }
                }
                Seen::Put { .. } => {}
                Seen::Refused { expected } => {
                    let held = |(version, state): &(Version, State)| {
                        let replaced = states.next(*version).map_or(u64::MAX, |next| next.begun);
                        state.ended < call.begun && call.ended < replaced
                    };
                    if states.like(expected).iter().any(held) {
                        return Some(format!("{expected:?} was refused while it was the version"));
                    }
                }
            }
        }
    }
    None
}

fn key(number: u64) -> Vec<u8> {
    format!("key-{number}").into_bytes()
}

/// One thread's calls.
fn work(tenant: &Tenant, documents: &Collection, clock: &AtomicU64, thread: u64) -> Vec<Call> {
    let now = || clock.fetch_add(1, Ordering::SeqCst);
    let mut calls = Vec::new();
    for step in 0..CALLS {
        let number = (thread + step * 7 + step / 5) % KEYS;
        let begun = now();
        let version = documents.info(key(number)).unwrap().map(|info| info.version);
        calls.push(Call { key: number, begun, ended: now(), seen: Seen::Read(version) });
        let begun = now();
        let value = format!("{thread} {step}");
        // Others get their turn between reading and writing.
        std::thread::yield_now();
        let erase = |key: &[u8]| tenant.write(|batch| batch.erase(documents, key));
        let key = key(number);
        let (is_conditional, is_there) = (step % 8 < 6, step % 4 != 1 && step % 8 != 6);
        let made = match (is_conditional, is_there, version) {
            (true, true, None) => documents.put_if_absent(&key, value),
            (true, true, Some(version)) => documents.put_if_version(&key, value, version),
            (true, false, Some(version)) => documents.erase_if_version(&key, version),
            (true, false, None) => continue,
            (false, true, _) => documents.put(&key, value),
            (false, false, _) => erase(&key),
        };
        let ended = now();
        let seen = match made {
            Ok(version) if !is_conditional => Seen::Put { version, is_there },
            Ok(made) => Seen::Wrote { expected: version, version: made, is_there },
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                Seen::Refused { expected: version }
            }
        };
        calls.push(Call { key: number, begun, ended, seen });
    }
    calls
}

fn history(tenant: &Tenant) -> Vec<Call> {
    let (clock, done) = (AtomicU64::new(1), AtomicBool::new(false));
    let documents = tenant.collection("documents").unwrap();
    documents.put(b"another", b"so that the collection is there").unwrap();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (documents, clock) = (documents.clone(), &clock);
                scope.spawn(move || work(tenant, &documents, clock, thread))
            })
            .collect();
        // What was read against the file has to be read again where the file was replaced meanwhile.
        let checkpoints = scope.spawn(|| {
            let mut count = 0_u32;
            while !done.load(Ordering::Acquire) {
                tenant.checkpoint().unwrap();
                count += 1;
            }
            count
        });
        let calls = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        done.store(true, Ordering::Release);
        println!("{} checkpoints meanwhile", checkpoints.join().unwrap());
        calls
    })
}

#[test]
fn conditions_hold_at_one_moment_of_each_call() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    // Until the threads have met: how often is the scheduler's affair.
    let mut calls = Vec::new();
    let refusals =
        |calls: &[Call]| calls.iter().filter(|call| matches!(call.seen, Seen::Refused { .. })).count();
    for round in 0..100 {
        calls = history(&engine.create_tenant(&format!("acme {round}"), TenantOptions::new()).unwrap());
        if refusals(&calls) > 20 {
            break;
        }
    }
    let refused = refusals(&calls);
    let wrote = calls.iter().filter(|call| matches!(call.seen, Seen::Wrote { .. })).count();
    println!("{wrote} made, {refused} refused");
    assert!(refused > 20 && wrote > 100, "the threads hardly met: {refused} refused, {wrote} made");
    if let Some(flaw) = flaw(&calls) {
        panic!("{flaw}");
    }
}

/// The negative control of the check above: a history with a lost update in it is noticed.
#[test]
fn a_lost_update_would_be_noticed() {
    let version = |sequence| Version { timeline: 1, sequence };
    let call = |begun, ended, seen| Call { key: 0, begun, ended, seen };
    let change = |begun, ended, expected, sequence, is_there| {
        call(begun, ended, Seen::Wrote { expected, version: version(sequence), is_there })
    };
    let wrote = |begun, ended, expected, sequence| change(begun, ended, expected, sequence, true);
    let good =
        [wrote(1, 2, None, 1), wrote(3, 6, Some(version(1)), 2), call(4, 5, Seen::Read(Some(version(1))))];
    assert_eq!(flaw(&good), None);
    let lost = [wrote(1, 2, None, 1), wrote(3, 6, Some(version(1)), 2), wrote(4, 7, Some(version(1)), 3)];
    assert!(flaw(&lost).is_some());
    let stale =
        [wrote(1, 2, None, 1), wrote(3, 4, Some(version(1)), 2), call(5, 6, Seen::Read(Some(version(1))))];
    assert!(flaw(&stale).is_some());
    let refused = [wrote(1, 2, None, 1), call(3, 4, Seen::Refused { expected: Some(version(1)) })];
    assert!(flaw(&refused).is_some());
    let erased = |read, ended| {
        let seen = call(read, ended, Seen::Read(Some(version(1))));
        [wrote(1, 2, None, 1), change(3, 5, Some(version(1)), 2, false), seen]
    };
    assert_eq!(flaw(&erased(4, 6)), None);
    assert!(flaw(&erased(6, 7)).is_some());
    let absent = [wrote(1, 2, None, 1), call(3, 4, Seen::Read(None))];
    assert!(flaw(&absent).is_some());
    let over_nothing = [wrote(1, 2, None, 1), change(3, 4, None, 2, false)];
    assert!(flaw(&over_nothing).is_some());
}

#[test]
fn a_batch_is_made_only_where_all_of_its_conditions_hold() {
    let engine = Engine::create(config(&SimDisk::new(), 1).background(false)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let (a, b) = (tenant.collection("a").unwrap(), tenant.collection("b").unwrap());
    let first = a.put(b"k", b"1").unwrap();
    let refused = tenant.write(|batch| {
        batch.put(&b, b"k", b"2")?;
        batch.require(&a, b"k", None)
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!b.contains(b"k").unwrap());
    for checkpointed in [false, true] {
        if checkpointed {
            tenant.checkpoint().unwrap();
        }
        let made = tenant.write(|batch| {
            batch.put(&b, b"k", b"2")?;
            batch.require(&a, b"absent", None)?;
            batch.require(&a, b"k", Some(first))
        });
        assert!(made.is_ok(), "{made:?}");
        assert_eq!(b.get(b"k").unwrap().as_deref(), Some(&b"2"[..]));
    }
    // In a batch, conditions speak of what was there before it.
    let both = tenant.write(|batch| {
        batch.put(&a, b"new", b"1")?;
        batch.require(&a, b"new", None)
    });
    assert!(both.is_ok());
}

/// Many batches under way from one thread are made in the order in which they were handed in.
#[test]
fn submitted_batches_are_made_in_order_and_driven_by_any_executor() {
    let engine = Engine::create(config(&SimDisk::new(), 1)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    let submit = |number: u32| {
        let mut batch = tenant.batch();
        batch.put(&documents, b"k", number.to_le_bytes()).unwrap();
        batch.put(&documents, number.to_le_bytes(), b"").unwrap();
        tenant.submit(batch).unwrap()
    };
    let submitted: Vec<_> = (0..64).map(submit).collect();
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut versions = Vec::new();
    for batch in submitted {
        let mut batch = std::pin::pin!(batch);
        versions.push(loop {
            match batch.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                std::task::Poll::Ready(version) => break version.unwrap(),
                std::task::Poll::Pending => std::thread::park(),
            }
        });
    }
    assert!(versions.is_sorted() && versions.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(documents.get(b"k").unwrap().as_deref(), Some(&63_u32.to_le_bytes()[..]));
    engine.close().unwrap();
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
