//! What a tenant has: records, what was removed, and what keeps them.

use std::collections::{BTreeMap, BTreeSet};

use strongroom::Selector;

use crate::{COLLECTIONS, WINDOW_MS, subject_of};

/// What is over so soon gets no more time.
const LAST_MOMENTS_MS: u64 = 10_000;

/// A record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) value: Vec<u8>,
    pub(crate) expires_ms: Option<u64>,
    /// Greater than that of all that were written before; 0 where it is not known.
    pub(crate) order: u64,
    pub(crate) written_ms: u64,
    /// Whether the policy says when it expires.
    pub(crate) follows: bool,
    /// Whether its value lies in chunks under the key of a period.
    pub(crate) is_bound: bool,
    pub(crate) subject: Option<u8>,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.expires_ms == other.expires_ms
    }
}

/// A tenant's collection.
pub(crate) type Place = (usize, usize);

/// Records by tenant and collection.
pub(crate) type Records = BTreeMap<Place, BTreeMap<Vec<u8>, Record>>;

/// A removed record.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    record: Record,
    since_ms: u64,
    purge_ms: u64,
}

/// How long a tenant keeps what is put: in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) retention_ms: Option<u64>,
    pub(crate) maximum_ms: Option<u64>,
}

impl Keeping {
    /// When a record expires, and whether the policy says so.
    pub(crate) fn expires_ms(self, written_ms: u64, asked: Option<u64>) -> (Option<u64>, bool) {
        let after = |time_ms: u64| written_ms + time_ms;
        let own = asked.or(self.retention_ms.map(after));
        let expires_ms = own.into_iter().chain(self.maximum_ms.map(after)).min();
        (expires_ms, asked.is_none() && expires_ms.is_some())
    }
}

/// Whether a hold keeps something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    No,
    /// If what is over was not swept.
    Maybe,
    Yes,
}

/// What a tenant has.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) live: Records,
    /// Removed records by key, in the order in which they were written.
    pub(crate) removed: BTreeMap<Place, BTreeMap<Vec<u8>, Vec<Removed>>>,
    pub(crate) holds: BTreeMap<String, Selector>,
    pub(crate) keeping: Keeping,
    /// Whose records are over of a key, and may be there still.
    over: BTreeMap<(Place, Vec<u8>), BTreeSet<Option<u8>>>,
}

/// What is said of removed records: place, key, bytes of the value, when it expires and when it is erased.
pub(crate) type Listed = Vec<(Place, Vec<u8>, u64, Option<u64>, u64)>;

/// What was found of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) live: Records,
    pub(crate) listed: Listed,
    pub(crate) holds: BTreeMap<String, Selector>,
    pub(crate) keeping: Keeping,
}

impl State {
    /// Whether this is what was found.
    pub(crate) fn is(&self, found: &Found) -> bool {
        self.live == found.live
            && self.listed() == found.listed
            && self.holds == found.holds
            && self.keeping == found.keeping
    }

    /// What is there at a time.
    pub(crate) fn at(&self, now_ms: u64) -> Self {
        let mut state = self.clone();
        for (place, records) in &mut state.live {
            let is_over = |record: &Record| record.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
            for (key, record) in records.extract_if(.., |_, record| is_over(record)) {
                state.over.entry((*place, key)).or_default().insert(record.subject);
            }
        }
        state.live.retain(|_, records| !records.is_empty());
        for (place, removed) in &mut state.removed {
            for (key, records) in removed {
                for gone in records.extract_if(.., |removed| removed.purge_ms <= now_ms) {
                    state.over.entry((*place, key.clone())).or_default().insert(gone.record.subject);
                }
            }
        }
        state
    }

    /// All of it was swept.
    pub(crate) fn sweep(&mut self) {
        let holds = self.holds.clone();
        self.over.retain(|(place, key), subjects| {
            subjects.retain(|subject| holds.values().any(|hold| covers(hold, *place, key, *subject)));
            !subjects.is_empty()
        });
    }

    fn covers(&self, place: Place, key: &[u8], subject: Option<u8>) -> bool {
        self.holds.values().any(|hold| covers(hold, place, key, subject))
    }

    /// Whether a hold keeps the record of a key from being put over, or it and what was removed of it from being erased.
    pub(crate) fn kept(&self, place: Place, key: &[u8], with_removed: bool) -> Kept {
        let live = self.live.get(&place).and_then(|records| records.get(key));
        let removed = self.removed.get(&place).and_then(|removed| removed.get(key));
        let removed = removed.filter(|_| with_removed).into_iter().flatten().map(|removed| &removed.record);
        if live.into_iter().chain(removed).any(|record| self.covers(place, key, record.subject)) {
            return Kept::Yes;
        }
        let mut over = self.over.get(&(place, key.to_vec())).into_iter().flatten();
        if over.any(|subject| self.covers(place, key, *subject)) { Kept::Maybe } else { Kept::No }
    }

    /// The same of all records of a subject.
    pub(crate) fn kept_of(&self, subject: u8) -> Kept {
        if self.holds.values().any(|hold| *hold == Selector::Subject(subject_of(subject))) {
            return Kept::Yes;
        }
        let live = self.live.iter().flat_map(|(place, records)| {
            records.iter().map(move |(key, record)| (*place, key, record.subject))
        });
        let removed = self.removed.iter().flat_map(|(place, removed)| {
            let of_key = |(key, records): (_, &Vec<Removed>)| {
                records.iter().map(|removed| (*place, key, removed.record.subject)).collect::<Vec<_>>()
            };
            removed.iter().flat_map(of_key).collect::<Vec<_>>()
        });
        let of_subject = |of: Option<u8>| of == Some(subject);
        if live.chain(removed).any(|(place, key, of)| of_subject(of) && self.covers(place, key, of)) {
            return Kept::Yes;
        }
        let mut over = self.over.iter().filter(|(_, subjects)| subjects.contains(&Some(subject)));
        if over.any(|((place, key), _)| self.covers(*place, key, Some(subject))) {
            Kept::Maybe
        } else {
            Kept::No
        }
    }

    pub(crate) fn put(&mut self, place: Place, key: &[u8], record: Record) {
        self.live.entry(place).or_default().insert(key.to_vec(), record);
    }

    /// Takes records out of a collection.
    pub(crate) fn take(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> Vec<(Vec<u8>, Record)> {
        let Some(records) = self.live.get_mut(&place) else { return Vec::new() };
        let taken: Vec<_> = records.extract_if(.., |key, _| is_due(key)).collect();
        self.live.retain(|_, records| !records.is_empty());
        taken
    }

    /// Erases records of which there are some, with what was removed of their keys; gives how many.
    pub(crate) fn erase_live(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let taken = self.take(place, is_due);
        let removed = self.removed.entry(place).or_default();
        for (key, _) in &taken {
            removed.remove(key);
        }
        taken.len() as u64
    }

    /// Erases what was removed; gives how many records that were.
    pub(crate) fn erase_removed(&mut self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let removed = self.removed.entry(place).or_default();
        removed.extract_if(.., |key, _| is_due(key)).map(|(_, records)| records.len() as u64).sum()
    }

    /// Erases records with what was removed of their keys, those that may go: all in one, or each alone where another one may
    /// not. Gives the states after each.
    pub(crate) fn erase_live_but(
        &self,
        place: Place,
        is_due: impl Fn(&Vec<u8>) -> bool,
        may_go: impl Fn(&Vec<u8>) -> bool,
    ) -> Vec<Self> {
        let due: Vec<_> = self.live.get(&place).into_iter().flatten().map(|(key, _)| key.clone()).collect();
        let (go, stay): (Vec<_>, Vec<_>) = due.into_iter().filter(is_due).partition(may_go);
        let (mut states, mut state) = (Vec::new(), self.clone());
        for key in &go {
            state.erase_live(place, |known| known == key);
            if !stay.is_empty() {
                states.push(state.clone());
            }
        }
        states.push(state);
        states
    }

    /// The same of removed records, those that no hold covers.
    pub(crate) fn erase_removed_but_held(
        &self,
        place: Place,
        is_due: impl Fn(&Vec<u8>) -> bool,
    ) -> Vec<Self> {
        let (mut states, mut state) = (Vec::new(), self.clone());
        let keys: Vec<_> =
            self.removed.get(&place).into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in keys.iter().filter(|key| is_due(key)) {
            let mut at = 0;
            loop {
                let records = state.removed.entry(place).or_default().entry(key.clone()).or_default();
                let Some(subject) = records.get(at).map(|removed| removed.record.subject) else { break };
                if self.covers(place, key, subject) {
                    at += 1;
                    continue;
                }
                records.remove(at);
                states.push(state.clone());
            }
        }
        if state.count_removed(place, is_due) == 0 {
            // In one batch.
            states.clear();
        }
        states.push(state);
        states
    }

    pub(crate) fn count_live(&self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let live = self.live.get(&place).into_iter().flatten();
        live.filter(|(key, _)| is_due(key)).count() as u64
    }

    pub(crate) fn count_removed(&self, place: Place, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let removed = self.removed.get(&place).into_iter().flatten().filter(|(key, _)| is_due(key));
        removed.map(|(_, records)| records.len() as u64).sum()
    }

    /// Erases all records of a subject; gives how many.
    pub(crate) fn erase_subject(&mut self, subject: u8) -> usize {
        let mut erased = 0;
        for records in self.live.values_mut() {
            erased += records.extract_if(.., |_, record| record.subject == Some(subject)).count();
        }
        self.live.retain(|_, records| !records.is_empty());
        for records in self.removed.values_mut().flat_map(BTreeMap::values_mut) {
            erased += records.extract_if(.., |removed| removed.record.subject == Some(subject)).count();
        }
        for subjects in self.over.values_mut() {
            subjects.remove(&Some(subject));
        }
        erased
    }

    /// Removes records; gives how many.
    pub(crate) fn remove(&mut self, place: Place, now_ms: u64, is_due: impl Fn(&Vec<u8>) -> bool) -> u64 {
        let taken = self.take(place, is_due);
        let count = taken.len() as u64;
        for (key, record) in taken {
            let purge_ms = purge_ms(now_ms, record.expires_ms);
            let records = self.removed.entry(place).or_default().entry(key).or_default();
            records.push(Removed { record, since_ms: now_ms, purge_ms });
            records.sort_by_key(|removed| removed.record.order);
        }
        count
    }

    /// Restores what was removed last of a key; whether there is any, and `None` where the key is taken.
    pub(crate) fn restore(&mut self, place: Place, key: &[u8]) -> Option<bool> {
        let records = self.removed.entry(place).or_default().entry(key.to_vec()).or_default();
        if records.is_empty() {
            return Some(false);
        }
        if self.live.get(&place).is_some_and(|known| known.contains_key(key)) {
            return None;
        }
        let record = records.pop()?.record;
        self.put(place, key, record);
        Some(true)
    }

    /// Keeps what is there as a policy says that is another one from now on.
    pub(crate) fn keep_as(&mut self, keeping: Keeping, now_ms: u64) {
        self.keeping = keeping;
        let is_over = |old_ms: u64, is_longer: bool| {
            old_ms <= if is_longer { now_ms + LAST_MOMENTS_MS } else { now_ms }
        };
        // What a record expires at, if it is another time.
        let anew = |record: &Record| {
            let asked = record.expires_ms.filter(|_| !record.follows);
            let (new, follows) = keeping.expires_ms(record.written_ms, asked);
            let is_longer = new.unwrap_or(u64::MAX) > record.expires_ms.unwrap_or(u64::MAX);
            if record.expires_ms.is_some_and(|old_ms| is_over(old_ms, is_longer)) {
                return None;
            }
            (!is_longer || !record.is_bound).then_some((new, follows))
        };
        for record in self.live.values_mut().flat_map(BTreeMap::values_mut) {
            if let Some(new) = anew(record) {
                (record.expires_ms, record.follows) = new;
            }
        }
        for removed in self.removed.values_mut().flat_map(BTreeMap::values_mut).flatten() {
            if let Some(new) = anew(&removed.record) {
                let until_ms = purge_ms(removed.since_ms, new.0);
                if !is_over(removed.purge_ms, until_ms > removed.purge_ms) {
                    (removed.record.expires_ms, removed.record.follows) = new;
                    removed.purge_ms = until_ms;
                }
            }
        }
    }

    pub(crate) fn listed(&self) -> Listed {
        let mut listed = Vec::new();
        for (place, removed) in &self.removed {
            for (key, records) in removed {
                listed.extend(records.iter().map(|Removed { record, purge_ms, .. }| {
                    (*place, key.clone(), record.value.len() as u64, record.expires_ms, *purge_ms)
                }));
            }
        }
        listed
    }
}

fn purge_ms(removed_ms: u64, expires_ms: Option<u64>) -> u64 {
    (removed_ms + WINDOW_MS).min(expires_ms.unwrap_or(u64::MAX))
}

fn covers(hold: &Selector, (_, collection): Place, key: &[u8], subject: Option<u8>) -> bool {
    let is_in = |name: &String| *name == COLLECTIONS[collection];
    match hold {
        Selector::Tenant => true,
        Selector::Collection(name) => is_in(name),
        Selector::Prefix { collection, prefix } => is_in(collection) && key.starts_with(prefix),
        Selector::Record { collection, key: of } => is_in(collection) && key == of,
        Selector::Subject(name) => subject.is_some_and(|subject| *name == subject_of(subject)),
        other => panic!("the model knows no hold of {other:?}"),
    }
}
