//! Records that a scan's own thread opens before they are asked for.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result, fail};
use crate::partition::{Erasures, Row, RowScan};
use crate::tenant::scan::{Entry, Opener};

/// Most records that are opened before they are asked for.
pub(super) const AHEAD_MAX: usize = 1_024;

/// A row of a scan, and its record, where that was opened already.
pub(super) struct Found {
    pub(super) row: Result<Row>,
    entry: Option<Result<Option<Entry>>>,
    /// Before the row was read.
    moment: Moment,
}

/// What was destroyed and erased until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    destructions: u64,
    erasures: u64,
}

impl Found {
    /// The next row, whose record is opened when it is asked for.
    pub(super) fn next(rows: &mut RowScan, opener: &Opener, erasures: &Erasures) -> Option<Self> {
        let destructions = opener.tenant.0.keyring.destructions().mark();
        let moment = Moment { destructions, erasures: erasures.count() };
        rows.next().map(|row| Self { row, entry: None, moment })
    }

    /// Opens the record, unless it was; whether there is one, or an error in its place.
    pub(super) fn open(&mut self, opener: &Opener) -> bool {
        let Ok(row) = &self.row else { return true };
        !matches!(self.entry.get_or_insert_with(|| opener.entry(row)), Ok(None))
    }

    /// The record, as a scan gives it at this moment: what has expired, was erased or lost a key since it was read is none.
    pub(super) fn entry(self, opener: &Opener, erasures: &Erasures) -> Result<Option<Entry>> {
        let (row, moment) = (self.row?, self.moment);
        let destructions = opener.tenant.0.keyring.destructions();
        if moment.erasures != erasures.count() || !destructions.is_quiet_since(moment.destructions) {
            // Of the entries of an index it is asked when their records are read.
            let is_erased = !opener.is_of_index() && erasures.reach(&row)?;
            return if is_erased { Ok(None) } else { opener.entry(&row) };
        }
        let Some(entry) = self.entry else { return opener.entry(&row) };
        let now_ms = opener.tenant.0.clock.now_ms();
        Ok(entry?.filter(|entry| entry.info.expires_ms.is_none_or(|end_ms| end_ms > now_ms)))
    }
}

/// The thread, and what it has opened.
pub(super) struct Ahead {
    opener: Opener,
    /// Nothing once it has ended.
    receiver: Option<Receiver<Found>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts a thread that opens up to so many records before they are asked for.
    ///
    /// # Errors
    /// `Io` where the system starts no thread.
    pub(super) fn start(
        mut rows: RowScan,
        opener: Opener,
        erasures: Erasures,
        records: usize,
    ) -> Result<Self> {
        // One more waits in the thread's hand.
        let (sender, receiver) = sync_channel(records.clamp(1, AHEAD_MAX) - 1);
        let mine = opener.clone();
        let thread = std::thread::Builder::new().name("strongroom-scan".to_owned()).spawn(move || {
            while let Some(mut found) = Found::next(&mut rows, &mine, &erasures) {
                found.open(&mine);
                if sender.send(found).is_err() {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| Error::io("starting a thread that opens records", error))?;
        Ok(Self { opener, receiver: Some(receiver), thread: Some(thread) })
    }
}

impl Iterator for Ahead {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Ok(found) = self.receiver.as_ref()?.recv() {
            return Some(found);
        }
        self.receiver = None;
        // It came to its end, unless it panicked.
        let ended = self.thread.take().map(JoinHandle::join);
        let failed = ended.is_some_and(|ended| ended.is_err());
        failed.then(|| {
            let error = fail!(Internal, "the thread that opens a scan's records panicked");
            Found { row: Err(error), entry: None, moment: Moment::default() }
        })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // It sees that nobody takes more, and ends. In a forked process there is no such thread.
        self.receiver = None;
        if self.opener.tenant.0.process.check().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // What it panicked of is of no interest any more.
            let _ = thread.join();
        }
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
