//! Records that a scan's own thread opens before they are asked for.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result, fail};
use crate::partition::{Erasures, Row, RowScan};
use crate::tenant::scan::{Entry, Opener};

/// Most records that are opened before they are asked for.
pub(super) const AHEAD_MAX: usize = 1_024;

/// A row of a scan, and the record that was opened already.
pub(super) struct Found {
    pub(super) row: Result<Row>,
    opened: Option<Opened>,
}

struct Opened {
    entry: Result<Option<Entry>>,
    moment: Moment,
}

/// What was destroyed and erased until a record was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    destructions: u64,
    erasures: u64,
}

impl Moment {
    fn now(opener: &Opener, erasures: &Erasures) -> Self {
        Self { destructions: opener.tenant.0.keyring.destructions().mark(), erasures: erasures.count() }
    }
}

impl Found {
    /// One that is opened when it is asked for.
    pub(super) fn unopened(row: Result<Row>) -> Self {
        Self { row, opened: None }
    }

    /// One that is opened now.
    fn opened(row: Result<Row>, moment: Moment, opener: &Opener) -> Self {
        let entry = row.as_ref().map_or(Ok(None), |row| opener.entry(row));
        Self { row, opened: Some(Opened { entry, moment }) }
    }

    /// The record, as a scan gives it at this moment: what has expired, was erased or lost a key since it was opened is none.
    pub(super) fn entry(self, opener: &Opener, erasures: &Erasures) -> Result<Option<Entry>> {
        let row = self.row?;
        let Some(Opened { entry, moment }) = self.opened else { return opener.entry(&row) };
        let destructions = opener.tenant.0.keyring.destructions();
        if moment.erasures != erasures.count() || !destructions.is_quiet_since(moment.destructions) {
            // Of the entries of an index it is asked when their records are read.
            let is_erased = !opener.is_of_index() && erasures.reach(&row)?;
            return if is_erased { Ok(None) } else { opener.entry(&row) };
        }
        Ok(entry?.filter(|entry| {
            entry.info.expires_ms.is_none_or(|end_ms| end_ms > opener.tenant.0.clock.now_ms())
        }))
    }

    /// Whether there is no record, as far as is known without asking for it.
    pub(super) fn is_nothing(&self, opener: &Opener) -> bool {
        match (&self.opened, &self.row) {
            (Some(done), Ok(_)) => matches!(done.entry, Ok(None)),
            (None, Ok(row)) => matches!(opener.entry(row), Ok(None)),
            (_, Err(_)) => false,
        }
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
            loop {
                let moment = Moment::now(&mine, &erasures);
                let Some(row) = rows.next() else { return };
                if sender.send(Found::opened(row, moment, &mine)).is_err() {
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
        failed
            .then(|| Found::unopened(Err(fail!(Internal, "the thread that opens a scan's records panicked"))))
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
