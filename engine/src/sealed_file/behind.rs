//! Writing behind: while much is written, a thread seals the blocks and hands them to the disk, and redb goes on.
//!
//! redb hands over what a commit changed in the order of its cache, scattered over the file. What waits is therefore
//! written in the order of the file, neighbours at once: the device gets fewer and larger writes. A block that waits twice
//! keeps all that waits with it in the order in which it came.
//!
//! Who reads a block that waits, or wants what was written to be there (a sync, a root, a change of the file's length), waits
//! for it; the first of them is told what failed, and from then on nothing more is written.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{Error, Result, fail};
use crate::sealed_file::layout::{BLOCK, group_of};

/// So many blocks may wait, however little memory there is.
const WAITING_LEAST: usize = 512;

#[derive(Debug)]
pub(super) struct Behind {
    /// So many blocks wait at the most, unless one write has more. For half of them the thread is woken, unless somebody
    /// waits for fewer.
    waiting_max: usize,
    is_on: AtomicBool,
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<Run>,
    /// How often each block waits to be written, and how many blocks do together.
    waiting: HashMap<u64, usize>,
    blocks: usize,
    /// Whether somebody waits for all that waits to be written.
    is_awaited: bool,
    /// Whether somebody waits for room.
    is_full: bool,
    is_ending: bool,
    failure: Failure,
}

/// What failed, until somebody is told.
#[derive(Debug, Default)]
enum Failure {
    #[default]
    None,
    Untold(Error),
    Told,
}

/// Blocks that follow one another.
#[derive(Debug)]
struct Run {
    first: u64,
    plain: Vec<u8>,
}

impl Run {
    fn blocks(&self) -> Range<u64> {
        self.first..self.first + (self.plain.len() / BLOCK) as u64
    }

    /// Whether another one follows it in the file, with no tag block between them.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.blocks().end == next.first && group_of(self.first).0 == group_of(next.first).0
    }
}

/// Sorts runs without a block in common by their place, and makes one of those that follow one another.
fn in_order(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_unstable_by_key(|run| run.first);
    let mut merged: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match merged.last_mut().filter(|last| last.is_followed_by(&run)) {
            Some(last) => last.plain.extend(run.plain),
            None => merged.push(run),
        }
    }
    merged
}

impl State {
    fn check(&mut self) -> Result<()> {
        if let Failure::None = self.failure {
            return Ok(());
        }
        match std::mem::replace(&mut self.failure, Failure::Told) {
            Failure::Untold(error) => Err(error),
            _ => Err(fail!(Io, "an earlier write of this checkpoint failed")),
        }
    }

    fn forget(&mut self, blocks: Range<u64>) {
        for block in blocks {
            if let Some(times) = self.waiting.get_mut(&block) {
                *times -= 1;
                if *times == 0 {
                    self.waiting.remove(&block);
                }
                self.blocks -= 1;
            }
        }
    }

    fn fail(&mut self, error: Error) {
        self.failure = Failure::Untold(error);
        self.runs.clear();
        self.waiting.clear();
        self.blocks = 0;
    }
}

impl Behind {
    /// With so much memory for what waits, in bytes; at least 2 MiB.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            waiting_max: WAITING_LEAST.max(bytes / BLOCK),
            is_on: AtomicBool::new(false),
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
        }
    }

    fn is_worth_waking(&self, blocks: usize) -> bool {
        blocks >= self.waiting_max / 2
    }

    /// Calls `work` and has a second thread write, with `write`, what is handed over meanwhile. All of that is written when
    /// this returns, or the failure was told to a later write, read or sync of `work`; the flag says whether one was left that
    /// nobody was told.
    pub(super) fn serve<T>(
        &self,
        write: impl Fn(u64, Vec<u8>) -> Result<()> + Send,
        work: impl FnOnce() -> T,
    ) -> (T, Result<()>) {
        std::thread::scope(|scope| {
            *self.state.lock() = State::default();
            let thread = std::thread::Builder::new().name("strongroom-writer".to_owned());
            if thread.spawn_scoped(scope, move || Writer(self).run(write)).is_err() {
                return (work(), Ok(()));
            }
            let on = On::new(self);
            let done = work();
            let left = self.settle_locked(self.state.lock());
            drop(on);
            (done, left)
        })
    }

    /// Takes over blocks to be written, or gives them back where there is no thread to write them.
    pub(super) fn take(&self, first: u64, plain: Vec<u8>) -> Result<Option<Vec<u8>>> {
        if !self.is_on.load(Ordering::Acquire) {
            return Ok(Some(plain));
        }
        let run = Run { first, plain };
        let mut state = self.state.lock();
        while state.blocks >= self.waiting_max {
            state.is_full = true;
            self.written.wait(&mut state);
        }
        state.check()?;
        let before = state.blocks;
        for block in run.blocks() {
            *state.waiting.entry(block).or_default() += 1;
            state.blocks += 1;
        }
        state.runs.push(run);
        if !self.is_worth_waking(before) && self.is_worth_waking(state.blocks) {
            self.filled.notify_one();
        }
        Ok(None)
    }

    /// Waits until everything that was handed over is written.
    pub(super) fn settle(&self) -> Result<()> {
        if !self.is_on.load(Ordering::Acquire) {
            return Ok(());
        }
        self.settle_locked(self.state.lock())
    }

    /// Waits until nothing that was handed over for these blocks waits to be written.
    pub(super) fn settle_blocks(&self, mut blocks: Range<u64>) -> Result<()> {
        if !self.is_on.load(Ordering::Acquire) {
            return Ok(());
        }
        let state = self.state.lock();
        if blocks.any(|block| state.waiting.contains_key(&block)) || !matches!(state.failure, Failure::None) {
            return self.settle_locked(state);
        }
        Ok(())
    }

    fn settle_locked(&self, mut state: MutexGuard<'_, State>) -> Result<()> {
        while state.blocks > 0 {
            state.is_awaited = true;
            self.filled.notify_one();
            self.written.wait(&mut state);
        }
        state.check()
    }
}

/// While this is there, blocks are handed over.
struct On<'a>(&'a Behind);

impl<'a> On<'a> {
    fn new(behind: &'a Behind) -> Self {
        behind.is_on.store(true, Ordering::Release);
        Self(behind)
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        self.0.is_on.store(false, Ordering::Release);
        self.0.state.lock().is_ending = true;
        self.0.filled.notify_one();
    }
}

/// The thread that writes. Where it ends early, all who wait are told.
struct Writer<'a>(&'a Behind);

impl Writer<'_> {
    fn run(self, write: impl Fn(u64, Vec<u8>) -> Result<()>) {
        while let Some(runs) = self.next() {
            for run in runs {
                let blocks = run.blocks();
                let result = write(run.first, run.plain);
                let mut state = self.0.state.lock();
                if let Err(error) = result {
                    state.fail(error);
                    self.0.written.notify_all();
                    break;
                }
                state.forget(blocks);
                if state.blocks == 0 || (state.is_full && state.blocks <= self.0.waiting_max / 2) {
                    state.is_full = false;
                    self.0.written.notify_all();
                }
            }
        }
    }

    /// What waits; `None` at the end.
    fn next(&self) -> Option<Vec<Run>> {
        let mut state = self.0.state.lock();
        loop {
            let is_worth_it = state.is_awaited || state.is_ending || self.0.is_worth_waking(state.blocks);
            if is_worth_it && !state.runs.is_empty() {
                state.is_awaited = false;
                let runs = std::mem::take(&mut state.runs);
                // Of what is being written nothing waits any more: the thread asks for more when that is done.
                let is_once = state.waiting.len() == state.blocks;
                drop(state);
                return Some(if is_once { in_order(runs) } else { runs });
            }
            if state.is_ending {
                return None;
            }
            self.0.filled.wait(&mut state);
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if !state.is_ending {
            state.fail(fail!(Internal, "the thread that writes the file ended"));
            self.0.written.notify_all();
        }
    }
}
