//! Which slots are being destroyed, and which were lately: what was sealed before under one of them must not be made.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::keys::slot::SlotKind;

/// Destructions remembered. What was sealed before the oldest of them is sent back untested.
const REMEMBERED: usize = 16_384;

/// The destructions of one tenant's keys since its keyring was opened.
#[derive(Debug, Default)]
pub(crate) struct Destructions {
    /// Grows with each destruction, when it begins and when the key is gone.
    mark: AtomicU64,
    /// How many are not over.
    open: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// With the mark at which each began.
    recent: VecDeque<(u64, SlotKind, u64)>,
    /// The mark at and before which begun ones are forgotten.
    forgotten: u64,
    /// What became of those that are not over.
    open: HashMap<(SlotKind, u64), Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    UnderWay,
    /// It is intended for good, and failed so far.
    Failed,
}

/// What may still be done with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Everything.
    Untouched,
    /// It is being destroyed: wait how that ends.
    Dying,
    /// Nothing: it is to be destroyed whatever happens.
    Doomed,
}

impl Destructions {
    /// What sealing begins with: nothing that is destroyed afterwards goes unnoticed.
    pub(crate) fn mark(&self) -> u64 {
        self.mark.load(Ordering::Acquire)
    }

    /// Whether nothing was or is being destroyed since `mark`: a cheap look.
    pub(crate) fn is_quiet_since(&self, mark: u64) -> bool {
        self.mark() == mark && self.open.load(Ordering::Acquire) == 0
    }

    /// Begins: from here on nothing that names one of the slots is made.
    pub(crate) fn begin(&self, slots: &[(SlotKind, u64)]) {
        let mut state = self.state.lock();
        self.remember(&mut state, slots);
        state.open.extend(slots.iter().map(|slot| (*slot, Open::UnderWay)));
        self.open.store(state.open.len(), Ordering::Release);
    }

    /// What was sealed under the slots until now and is not made yet is not made; what is sealed from here on is.
    pub(crate) fn supersede(&self, slots: &[(SlotKind, u64)]) {
        let mut state = self.state.lock();
        self.remember(&mut state, slots);
    }

    fn remember(&self, state: &mut State, slots: &[(SlotKind, u64)]) {
        let mark = self.mark.fetch_add(1, Ordering::AcqRel) + 1;
        state.recent.extend(slots.iter().map(|(kind, number)| (mark, *kind, *number)));
        while state.recent.len() > REMEMBERED {
            if let Some((mark, _, _)) = state.recent.pop_front() {
                state.forgotten = mark;
            }
        }
    }

    /// The keys are gone, or, where it was not even intended, stay.
    pub(crate) fn end(&self, slots: &[(SlotKind, u64)], is_destroyed: bool) {
        let mut state = self.state.lock();
        self.mark.fetch_add(1, Ordering::AcqRel);
        for slot in slots {
            state.open.remove(slot);
        }
        self.open.store(state.open.len(), Ordering::Release);
        if !is_destroyed {
            state.recent.retain(|(_, kind, number)| !slots.contains(&(*kind, *number)));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// It is intended, and the key store failed.
    pub(crate) fn fail(&self, slots: &[(SlotKind, u64)]) {
        let mut state = self.state.lock();
        for slot in slots {
            state.open.insert(*slot, Open::Failed);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Those that are intended and failed.
    pub(crate) fn failed(&self) -> Vec<(SlotKind, u64)> {
        let state = self.state.lock();
        state.open.iter().filter(|(_, open)| **open == Open::Failed).map(|(slot, _)| *slot).collect()
    }

    /// What may still be done with a slot.
    pub(crate) fn fate(&self, kind: SlotKind, number: u64) -> Fate {
        match self.state.lock().open.get(&(kind, number)) {
            None => Fate::Untouched,
            Some(Open::UnderWay) => Fate::Dying,
            Some(Open::Failed) => Fate::Doomed,
        }
    }

    /// Waits until what is being destroyed now is gone, of slots of a kind.
    pub(crate) fn wait_for(&self, kind: SlotKind) {
        let open: Vec<_> = self.state.lock().open.keys().copied().collect();
        for (_, number) in open.into_iter().filter(|(of, _)| *of == kind) {
            self.wait(kind, number);
        }
    }

    /// Waits until no destruction of a slot is under way.
    pub(crate) fn wait(&self, kind: SlotKind, number: u64) {
        let mut state = self.state.lock();
        while state.open.get(&(kind, number)) == Some(&Open::UnderWay) {
            self.changed.wait(&mut state);
        }
    }

    /// Whether a destruction of the slot may have begun since `mark`, or is not over.
    pub(crate) fn touched_since(&self, mark: u64, kind: SlotKind, number: u64) -> bool {
        let state = self.state.lock();
        mark < state.forgotten
            || state.open.contains_key(&(kind, number))
            || state
                .recent
                .iter()
                .rev()
                .take_while(|(begun, _, _)| *begun > mark)
                .any(|(_, other, slot)| (*other, *slot) == (kind, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_before_is_told_from_what_was_sealed_after() {
        let destructions = Destructions::default();
        let before = destructions.mark();
        destructions.begin(&[(SlotKind::Subject, 7)]);
        let meanwhile = destructions.mark();
        assert!(destructions.touched_since(before, SlotKind::Subject, 7));
        assert!(!destructions.touched_since(before, SlotKind::Period, 7));
        assert!(destructions.touched_since(meanwhile, SlotKind::Subject, 7), "it is not over");
        assert!(!destructions.is_quiet_since(meanwhile));
        assert_eq!(destructions.fate(SlotKind::Subject, 7), Fate::Dying);
        destructions.fail(&[(SlotKind::Subject, 7)]);
        assert_eq!(destructions.fate(SlotKind::Subject, 7), Fate::Doomed);
        assert_eq!(destructions.failed(), [(SlotKind::Subject, 7)]);
        destructions.end(&[(SlotKind::Subject, 7)], true);
        assert_eq!(destructions.fate(SlotKind::Subject, 7), Fate::Untouched);
        assert!(destructions.touched_since(before, SlotKind::Subject, 7) && destructions.mark() > meanwhile);
    }

    #[test]
    fn what_was_sealed_under_a_superseded_key_is_told_from_what_is_sealed_afterwards() {
        let destructions = Destructions::default();
        let before = destructions.mark();
        destructions.supersede(&[(SlotKind::Data, 2)]);
        let after = destructions.mark();
        assert!(destructions.touched_since(before, SlotKind::Data, 2));
        assert!(!destructions.touched_since(before, SlotKind::Data, 3));
        assert!(!destructions.touched_since(after, SlotKind::Data, 2) && destructions.is_quiet_since(after));
        assert_eq!(destructions.fate(SlotKind::Data, 2), Fate::Untouched);
    }

    #[test]
    fn one_that_was_given_up_is_forgotten_and_what_is_too_old_to_tell_counts_as_touched() {
        let destructions = Destructions::default();
        let before = destructions.mark();
        destructions.begin(&[(SlotKind::Data, 2)]);
        destructions.end(&[(SlotKind::Data, 2)], false);
        assert!(!destructions.touched_since(before, SlotKind::Data, 2));
        for number in 0..=REMEMBERED as u64 {
            destructions.begin(&[(SlotKind::Subject, number)]);
            destructions.end(&[(SlotKind::Subject, number)], true);
        }
        assert!(destructions.touched_since(before, SlotKind::Data, 2), "too old to tell");
        assert!(!destructions.touched_since(destructions.mark(), SlotKind::Data, 2));
    }
}
