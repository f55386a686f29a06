//! Writing behind: while much is written, a thread seals the blocks and hands them to the disk, and redb goes on.
//!
//! Blocks are written in the order in which redb wrote them. Who reads a block that waits, or wants what was written to
//! be there (a sync, a root, a change of the file's length), waits for it; the first of them is told what failed, and from then
//! on nothing more is written.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{Error, Result, fail};
use crate::sealed_file::layout::BLOCK;

/// So many blocks wait at the most, unless one write has more.
const WAITING_MAX: usize = 512;
/// The thread is woken for so many, unless somebody waits for fewer.
const WORTH_WAKING: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Behind {
    is_on: AtomicBool,
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    runs: VecDeque<Run>,
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
        while state.blocks >= WAITING_MAX {
            state.is_full = true;
            self.written.wait(&mut state);
        }
        state.check()?;
        let before = state.blocks;
        for block in run.blocks() {
            *state.waiting.entry(block).or_default() += 1;
            state.blocks += 1;
        }
        state.runs.push_back(run);
        if before < WORTH_WAKING && state.blocks >= WORTH_WAKING {
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
                if state.blocks == 0 || (state.is_full && state.blocks <= WAITING_MAX / 2) {
                    state.is_full = false;
                    self.0.written.notify_all();
                }
            }
        }
    }

    /// What waits; `None` at the end.
    fn next(&self) -> Option<VecDeque<Run>> {
        let mut state = self.0.state.lock();
        loop {
            let is_worth_it = state.is_awaited || state.is_ending || state.blocks >= WORTH_WAKING;
            if is_worth_it && !state.runs.is_empty() {
                state.is_awaited = false;
                return Some(std::mem::take(&mut state.runs));
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
