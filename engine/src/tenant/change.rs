//! A change on its way through the journal, and the conditions under which it is made.
//!
//! Whoever makes it reads what the file says; the leader decides in memory whether that still holds.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result, fail};
use crate::hold::{Covered, HOLD_KIND, HoldRow};
use crate::id::{CollectionId, Version};
use crate::journal::{Member, Verdict};
use crate::keys::SlotKind;
use crate::partition::{
    Doomed, Existing, InMemory, IndexKey, Partition, RemovedRow, Table, for_each_put, list_key, mark_of,
    parse_list, record_row, records_changed, row_key, takes_no_room,
};
use crate::record::{Envelope, SALT_BYTES, key_destroyed};
use crate::tenant::collections::Targets;
use crate::tenant::holds::Unheld;
use crate::tenant::quota::Demands;
use crate::tenant::unique::{Claim, Granted, grant};

/// What a record must be for a batch to be made.
#[derive(Clone)]
pub(super) struct Condition {
    pub(super) collection: CollectionId,
    pub(super) key: Vec<u8>,
    /// `None`: there must be no such record.
    pub(super) expected: Option<Version>,
    /// The salt that it must have, too: sealed anew it has another one, and the same version.
    pub(super) salt: Option<[u8; SALT_BYTES]>,
    /// Nobody asked for it: the batch rests on what was read, and can be made again.
    pub(super) is_own: bool,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// What has to be as it was read, besides records.
#[derive(Clone)]
pub(super) enum Unchanged {
    /// A removed record's row.
    Removed { row: Vec<u8>, value: Bytes },
    /// The secondary keys of a record.
    List { collection: CollectionId, key: Vec<u8>, version: Version, keys: Vec<IndexKey> },
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Unchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unchanged")
    }
}

impl Unchanged {
    /// Looks whether it is; and adds what a leader has to look at.
    fn check(&self, partition: &Partition, granted: &mut Vec<Granted>) -> Result<()> {
        let is_same = match self {
            Self::Removed { row, value } => {
                let (seen, mark_seen, now) = partition.look_at_removed(row)?;
                granted.push(Granted::new(row_key(Table::Removed, mark_of(row)), mark_seen));
                granted.push(Granted::new(row_key(Table::Removed, row), seen));
                now.as_ref() == Some(value)
            }
            Self::List { collection, key, version, keys } => {
                let list = list_key(*collection, key);
                let (seen, found) = partition.look_at_secondary(&list)?;
                granted.push(Granted::new(row_key(Table::Secondary, &list), seen));
                match found {
                    Some((of, list)) if of == *version => parse_list(&list)? == *keys,
                    _ => keys.is_empty(),
                }
            }
        };
        if is_same {
            return Ok(());
        }
        Err(fail!(Conflict, "the record was changed since: read it again and decide anew").retryable())
    }
}

/// Under which a batch is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) conditions: Vec<Condition>,
    /// The collections that it puts into.
    pub(super) targets: Option<Targets>,
    /// What else has to be as it was read.
    pub(super) unchanged: Vec<Unchanged>,
    /// The unique keys that it gives records.
    pub(super) claims: Vec<Claim>,
    /// What the keyring's destructions were marked with before anything in it was sealed; none where nothing was.
    pub(super) mark: Option<u64>,
    /// Whether it is of whom the tenant may refuse: not of what looks after it.
    pub(super) is_users: bool,
}

/// A condition, and what the file says of its record.
struct Checked {
    row: Vec<u8>,
    expected: Option<Version>,
    salt: Option<[u8; SALT_BYTES]>,
    is_own: bool,
    in_file: Option<(Existing, Option<[u8; SALT_BYTES]>)>,
    /// Which of the file's states that was.
    read_at: u64,
}

/// A change under way.
pub(crate) struct Change {
    bytes: Bytes,
    conditions: Vec<Checked>,
    targets: Option<Targets>,
    granted: Vec<Granted>,
    /// See [`Terms`].
    mark: Option<u64>,
    demands: Option<Demands>,
    unheld: Unheld,
    doomed: Doomed,
    is_users: bool,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("conditions", &self.conditions.len()).finish_non_exhaustive()
    }
}

impl Checked {
    fn refused(&self, error: Error) -> Verdict {
        Verdict::Refused(if self.is_own { error.retryable() } else { error })
    }
}

impl Change {
    /// Whether it was made by a policy that was changed since. What is sealed anew keeps the times that it has.
    fn is_outdated(&self) -> bool {
        self.is_users && self.targets.as_ref().is_some_and(Targets::are_outdated)
    }

    pub(super) fn new(partition: &Partition, bytes: Bytes, terms: &Terms) -> Result<Self> {
        partition.check_open()?;
        let check = |condition: &Condition| {
            let salt = |envelope: &[u8]| match condition.salt {
                Some(_) => Envelope::parse(envelope).map(|envelope| Some(envelope.salt())),
                None => Ok(None),
            };
            let (read_at, in_file) = partition.version_in_file(condition.collection, &condition.key, salt)?;
            let row = record_row(condition.collection, &condition.key);
            let Condition { expected, salt, is_own, .. } = *condition;
            Ok(Checked { row, expected, salt, is_own, in_file, read_at })
        };
        let unheld = Unheld::ask(partition, &bytes)?;
        let doomed = partition.doomed_by(&bytes)?;
        let conditions = terms.conditions.iter().map(check).collect::<Result<_>>()?;
        let mut granted = grant(partition, &terms.claims, || records_changed(&bytes))?;
        terms.unchanged.iter().try_for_each(|unchanged| unchanged.check(partition, &mut granted))?;
        let targets = terms.targets.as_ref();
        let demands = targets.map(|targets| targets.demands(partition, &bytes)).transpose()?;
        Ok(Self {
            bytes: doomed.added_to(bytes),
            conditions,
            targets: terms.targets.clone(),
            granted,
            mark: terms.mark,
            demands,
            unheld,
            doomed,
            is_users: terms.is_users,
        })
    }
}

impl Change {
    /// Whether it depends on what a change that is under way may replace, without anybody having asked that it does.
    pub(super) fn has_looked(&self) -> bool {
        self.doomed.has_looked() || self.unheld.has_looked() || !self.granted.is_empty()
    }

    /// The slots whose keys are to be destroyed once it is made: of records that it takes away. Such a one has to be durable.
    pub(super) fn doomed(&self) -> &[u64] {
        self.doomed.slots()
    }
}

impl Member for Partition {
    type Change = Change;

    fn bytes(change: &Change) -> &[u8] {
        &change.bytes
    }

    fn relieves(change: &Change) -> bool {
        takes_no_room(&change.bytes)
    }

    fn is_conditional(change: &Change) -> bool {
        !change.conditions.is_empty()
            || change.unheld.is_conditional()
            || change.doomed.is_conditional()
            || !change.granted.is_empty()
            || change.demands.as_ref().is_some_and(Demands::are_conditional)
            || change.targets.as_ref().is_some_and(Targets::may_be_dropped)
            || change.is_outdated()
    }

    /// A record under a key that is being destroyed, or was, must not be acknowledged, and nothing that is put into a tenant
    /// that was suspended meanwhile. Removed ones are only kept from a data key that may be retired: whoever retires it looks
    /// for them.
    fn admit(&self, change: &Change) -> Result<()> {
        if change.is_users {
            self.standing.check()?;
        }
        let destructions = self.keyring().destructions();
        let Some(mark) = change.mark.filter(|mark| !destructions.is_quiet_since(*mark)) else {
            return Ok(());
        };
        let mut result = Ok(());
        for_each_put(&change.bytes, Table::Records, |_, envelope| {
            let Ok(envelope) = Envelope::parse(envelope) else { return };
            let is_touched = |(kind, slot)| destructions.touched_since(mark, kind, slot);
            if envelope.slots.iter().any(is_touched) {
                result = Err(key_destroyed());
            }
        })?;
        for_each_put(&change.bytes, Table::Removed, |_, value| {
            let Ok(row) = RemovedRow::parse(value) else { return };
            let Ok(envelope) = Envelope::parse(row.envelope) else { return };
            if destructions.touched_since(mark, SlotKind::Data, envelope.slots.data.into()) {
                result = Err(key_destroyed());
            }
        })?;
        // Nor must a hold on a subject whose key is going.
        for_each_put(&change.bytes, Table::Directory, |key, row| {
            let row = (key.first() == Some(&HOLD_KIND)).then(|| HoldRow::parse(row).ok()).flatten();
            if let Some(Covered::Subject(slot, _)) = row.map(|row| row.covered)
                && destructions.touched_since(mark, SlotKind::Subject, slot)
            {
                result = Err(key_destroyed());
            }
        })?;
        result
    }

    fn decide(&self, change: &Change, version: Version) -> Verdict {
        if change.is_outdated() {
            let text = "a policy was changed while this batch was under way: make it again";
            return Verdict::Refused(fail!(Conflict, "{text}").retryable());
        }
        if let Some(target) = change.targets.as_ref().and_then(|targets| targets.dropped(self)) {
            return Verdict::Refused(fail!(
                Conflict,
                "the collection {target} was dropped while this batch was under way: decide anew"
            ));
        }
        for condition in &change.conditions {
            let (number, in_memory) = self.version_in_memory(&condition.row);
            let current = match in_memory {
                InMemory::There(existing) => Some(existing),
                InMemory::Removed => None,
                InMemory::Unknown if number == condition.read_at => {
                    condition.in_file.map(|(version, _)| version)
                }
                InMemory::Unknown => return Verdict::Stale,
            };
            // What is sealed anew is so whether it has expired or not.
            let current = match condition.salt {
                Some(_) => current.map(Existing::version),
                None => current.and_then(|existing| existing.version_at(self.now_ms())),
            };
            if current != condition.expected {
                let what = match (current, condition.expected) {
                    (Some(_), None) => "there is such a record already",
                    (None, _) => "there is no such record any more",
                    _ => "the record was changed since",
                };
                return condition.refused(fail!(Conflict, "{what}: read it again and decide anew"));
            }
            let Some(expected) = condition.salt else { continue };
            let salt = match in_memory {
                InMemory::Unknown => condition.in_file.and_then(|(_, salt)| salt),
                // Decided in this very batch: what it will be is not read here.
                _ => match self.value_in_memory(&condition.row) {
                    Some(envelope) => Envelope::parse(&envelope).ok().map(|envelope| envelope.salt()),
                    None => return Verdict::Stale,
                },
            };
            if salt != Some(expected) {
                return condition.refused(fail!(Conflict, "the record was sealed anew since: read it again"));
            }
        }
        if !change.unheld.holds(self)
            || !change.doomed.holds(self, &change.bytes)
            || !change.granted.iter().all(|granted| granted.holds(self))
        {
            return Verdict::Stale;
        }
        // The last, because the bounds of quotas take note of it.
        if !change.demands.as_ref().is_none_or(|demands| demands.decide(version.sequence)) {
            return Verdict::Stale;
        }
        self.note_decided(&change.bytes, version);
        Verdict::Made
    }

    fn settle(&self) {
        Partition::settle(self);
    }

    fn apply(&self, changes: Vec<(Version, Change)>) {
        let doomed: Vec<_> = changes.iter().flat_map(|(_, change)| change.doomed.slots()).copied().collect();
        let changes: Vec<_> = changes.into_iter().map(|(version, change)| (version, change.bytes)).collect();
        if let Err(error) = Partition::apply(self, &changes) {
            // They are durable; what can't be read back would fail recovery too.
            tracing::error!(tenant = %self.tenant(), %error, "a change that this version made does not parse");
        }
        self.own.doom(&doomed);
    }
}
