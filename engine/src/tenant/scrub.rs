//! Scrubbing: the sealed bytes of what was erased leave every file and journal, within a deadline; receipts that say so; and
//! the horizon (FORMAT.md sections 4.8 and 7.3, rows `e` and `es`).
//!
//! Every change that erases puts a row that says since when something is erased that is not scrubbed. A scrub begins with a
//! change that takes the row away: what was erased before that one is covered, what is erased after it has put the row again.
//! Then the tenant's file is rewritten and the journal's older segments are emptied, and the ledger says so.

use std::sync::Arc;

use crate::error::{Result, fail};
use crate::id::Version;
use crate::keys::{LedgerEntry, LedgerEvent};
use crate::partition::{Changes, Table, UNSCRUBBED};
use crate::tenant::Tenant;

/// The row of the scrub that is under way.
const SCRUBBING: &[u8] = b"es";
const ROW_VERSION: u8 = 1;

/// A receipt for what was erased, from the tenant's ledger: see [`Tenant::receipt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the ledger.
    pub number: u64,
    /// When it was given: what it covers had been erased by then. In milliseconds since the epoch, as all times.
    pub erased_ms: u64,
    /// The last change that it covers.
    pub through: Version,
    /// By when the sealed bytes are to be in no file and no journal.
    pub deadline_ms: u64,
    /// When they were: the receipt's second state.
    pub scrubbed_ms: Option<u64>,
}

/// By when what is erased now can't be read any more in any copy that was made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// In copies of the data, with the key store as it is then; in milliseconds since the epoch.
    pub data_copies_ms: u64,
    /// In copies of the data together with copies of the key store, if those are destroyed when they have the age that the
    /// configuration names ([`Config::key_copies_kept`](crate::Config::key_copies_kept)).
    pub key_copies_ms: u64,
}

impl Tenant {
    /// The entries of the tenant's erasure ledger, the oldest first, each authenticated. It is kept in the key store, and
    /// grows with every key that is destroyed, every receipt and every scrub.
    ///
    /// # Errors
    /// `RolledBack` where entries are missing at its end, `Unauthentic` where one was changed; `Io`.
    pub fn ledger(&self) -> Result<Vec<LedgerEntry>> {
        self.0.process.check()?;
        let mut entries = Vec::new();
        self.walk_ledger(&mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    pub(crate) fn walk_ledger(&self, visit: &mut dyn FnMut(LedgerEntry) -> Result<()>) -> Result<()> {
        self.0.keyring.walk_ledger(visit)
    }

    /// Writes a receipt into the ledger, for everything that was erased until now: it is gone for everybody, durably. The
    /// receipt names the time by which the sealed bytes are in no file of the tenant and no journal either; once they are not,
    /// [`Tenant::receipts`] says when. Durable when this returns.
    ///
    /// # Errors
    /// Those of writing, to the journal and to the key store.
    pub fn receipt(&self) -> Result<Receipt> {
        self.0.process.check()?;
        let inner = &*self.0;
        let mut changes = Changes::default();
        let since_ms = self.put_unscrubbed(&mut changes)?;
        // Whatever was erased before is in effect before this change, and no less durable.
        let through = self.make_directory(changes)?;
        let deadline_ms = since_ms.saturating_add(inner.keeper.scrub_within_ms());
        let number = inner.keyring.note(&[LedgerEvent::Receipt { through, deadline_ms }])?;
        Ok(Receipt { number, erased_ms: inner.clock.now_ms(), through, deadline_ms, scrubbed_ms: None })
    }

    /// The receipts that were given, the oldest first, each with its state.
    ///
    /// # Errors
    /// Those of [`Tenant::ledger`].
    pub fn receipts(&self) -> Result<Vec<Receipt>> {
        self.0.process.check()?;
        let mut receipts = Vec::new();
        // Those before it are scrubbed.
        let mut open = 0;
        self.walk_ledger(&mut |entry| {
            match entry.event {
                LedgerEvent::Receipt { through, deadline_ms } => receipts.push(Receipt {
                    number: entry.number,
                    erased_ms: entry.at_ms,
                    through,
                    deadline_ms,
                    scrubbed_ms: None,
                }),
                LedgerEvent::Scrubbed { through } => {
                    let covered = |receipt: &&mut Receipt| receipt.through <= through;
                    for receipt in receipts[open..].iter_mut().take_while(covered) {
                        receipt.scrubbed_ms = Some(entry.at_ms);
                        open += 1;
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(receipts)
    }

    /// By when what is erased now can't be read any more in older copies. Records that expire, and records of a subject
    /// whose key is destroyed, can't be read in copies of the data as soon as that key is gone.
    ///
    /// # Errors
    /// Those of reading.
    pub fn horizon(&self) -> Result<Horizon> {
        self.0.process.check()?;
        let keeper = &self.0.keeper;
        let now_ms = self.0.clock.now_ms();
        let since_ms = self.since(UNSCRUBBED)?.unwrap_or(now_ms);
        let data_copies_ms = since_ms.saturating_add(keeper.scrub_within_ms()).max(now_ms);
        Ok(Horizon {
            data_copies_ms,
            key_copies_ms: data_copies_ms.saturating_add(keeper.key_copies_kept_ms()),
        })
    }

    /// Removes the sealed bytes of everything that was erased until now: rewrites the tenant's file ([`Tenant::rewrite`]),
    /// moves what other tenants need out of the older segments of its journal, deletes those, and says so in the ledger. The
    /// sweep does it by itself before the deadline ([`Config::scrub_within`](crate::Config::scrub_within)). Gives the last
    /// change that was covered. `progress` gets the rows copied and the rows there are.
    ///
    /// A snapshot, scan or reader that was begun before keeps the old file's blocks on the disk, without a name and under a
    /// key that is destroyed, until it ends.
    ///
    /// # Errors
    /// `Io`: nothing is lost, the tenant goes on with its old file, or the journal with its old segments. `Corrupted` where
    /// the journal is damaged: nothing of it is deleted then.
    pub fn scrub(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Version> {
        let through = self.begin_scrub(progress)?;
        self.0.lane.turn_over()?;
        self.end_scrub(through)?;
        Ok(through)
    }

    /// The first half of a scrub: the tenant's file. The lane is to be turned over before the second half.
    pub(crate) fn begin_scrub(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Version> {
        self.0.process.check()?;
        let inner = &*self.0;
        let since_ms = self.unscrubbed_since_ms()?.unwrap_or_else(|| inner.clock.now_ms());
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[UNSCRUBBED]);
        changes.put(Table::Directory, &[SCRUBBING], &[&encode_since(since_ms)]);
        let through = self.make_directory(changes)?;
        self.rewrite(progress)?;
        if inner.partition.has_unfinished_rewrite() {
            let text = "the file from before a rewrite could not be removed yet: try again";
            return Err(fail!(Io, "tenant {}: {text}", inner.id).retryable());
        }
        Ok(through)
    }

    /// The second half, once the lane was turned over.
    pub(crate) fn end_scrub(&self, through: Version) -> Result<()> {
        self.0.keyring.note(&[LedgerEvent::Scrubbed { through }])?;
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[SCRUBBING]);
        self.make_quietly(changes)
    }

    /// Says in a change that erases that it does; gives since when there is something erased that is not scrubbed.
    pub(super) fn put_unscrubbed(&self, changes: &mut Changes) -> Result<u64> {
        let since_ms = self.since(UNSCRUBBED)?.unwrap_or_else(|| self.0.clock.now_ms());
        changes.put(Table::Directory, &[UNSCRUBBED], &[&encode_since(since_ms)]);
        Ok(since_ms)
    }

    /// Since when there is something erased that is not scrubbed.
    pub(crate) fn unscrubbed_since_ms(&self) -> Result<Option<u64>> {
        Ok([self.since(UNSCRUBBED)?, self.since(SCRUBBING)?].into_iter().flatten().min())
    }

    /// When the tenant should be scrubbed: early enough for the deadline, late enough for many erasures at once.
    pub(crate) fn scrub_due_ms(&self) -> Result<Option<u64>> {
        let within_ms = self.0.keeper.scrub_within_ms();
        Ok(self.unscrubbed_since_ms()?.map(|since_ms| since_ms.saturating_add(within_ms / 4 * 3)))
    }

    /// The lane that it shares, or its own.
    pub(crate) fn lane(&self) -> &Arc<crate::journal::Lane<crate::partition::Partition>> {
        &self.0.lane
    }

    fn since(&self, key: &[u8]) -> Result<Option<u64>> {
        self.0.partition.directory_row(key)?.as_deref().map(parse_since).transpose()
    }
}

fn encode_since(since_ms: u64) -> Vec<u8> {
    [&[ROW_VERSION][..], &since_ms.to_le_bytes()].concat()
}

fn parse_since(row: &[u8]) -> Result<u64> {
    let since = row.split_first().filter(|(version, _)| **version == ROW_VERSION);
    let since = since.and_then(|(_, since)| since.try_into().ok()).map(u64::from_le_bytes);
    since.ok_or_else(|| {
        fail!(UnsupportedFormat, "the row of what is not scrubbed is of a newer version or malformed")
    })
}
