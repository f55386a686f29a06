//! Batches under way: the loader hands them in and goes on; a thread waits for each in its turn, and says what is durable.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use serde_json::json;
use strongroom::{ErrorKind, Submitted};

use super::progress::{Progress, Reached};
use crate::console::Output;
use crate::failure::{Failure, Outcome};
use crate::text::{counted, text_or_base64};

/// Batches that are under way at a time, at most.
const BATCHES_MAX: usize = 1_024;
/// Bytes of keys and values beyond which no further batch is handed in.
const BYTES_MAX: usize = 32 << 20;

/// A batch that was handed in.
pub(super) struct UnderWay {
    /// None where it is durable already.
    pub(super) submitted: Option<Submitted>,
    pub(super) records: u64,
    /// Bytes of its values.
    pub(super) value_bytes: u64,
    /// Bytes of its keys and values.
    pub(super) bytes: usize,
    /// The keys to be printed once it is durable.
    pub(super) keys: Vec<Vec<u8>>,
    /// Where its first record is from.
    pub(super) place: String,
    /// The source's rows that are durable with it and those before it, where they end with it.
    pub(super) through: Option<Reached>,
}

/// What is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Durable {
    pub(super) records: u64,
    pub(super) value_bytes: u64,
    pub(super) batches: u64,
}

/// The way of batches from the loader to the disk. Dropped, it waits for those that are on it.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    sender: Option<Sender<UnderWay>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    progress: Mutex<Option<Progress>>,
}

#[derive(Default)]
struct State {
    durable: Durable,
    batches: usize,
    bytes: usize,
    /// Why no further batch counts.
    failure: Option<Failure>,
    has_failed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a thing is so, or nothing counts any more.
    fn until(&self, is_so: impl Fn(&State) -> bool) -> Outcome<Durable> {
        let mut state = self.lock();
        while !state.has_failed && !is_so(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failure.take().map_or(Ok(state.durable), Err)
    }

    fn fail(&self, failure: Failure) {
        let mut state = self.lock();
        if !mem::replace(&mut state.has_failed, true) {
            state.failure = Some(failure);
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl Pipeline {
    /// Starts the thread; it prints the keys of what is durable if `acks` says so, and notes how far that is.
    pub(super) fn start(acks: bool, progress: Option<Progress>) -> Outcome<Self> {
        let shared = Arc::new(Shared { progress: Mutex::new(progress), ..Shared::default() });
        let (sender, receiver) = channel();
        let in_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("import".to_owned()).spawn(move || {
            let _told = TellsOfPanic(&in_thread);
            if let Err(failure) = follow(&receiver, &in_thread, acks) {
                in_thread.fail(failure);
            }
        });
        let thread = thread.map_err(|error| Failure::io("starting a thread", &error))?;
        Ok(Self { shared, sender: Some(sender), thread: Some(thread) })
    }

    /// Waits until there is room for a further batch.
    pub(super) fn make_room(&self) -> Outcome {
        self.shared.until(|state| state.batches < BATCHES_MAX && state.bytes < BYTES_MAX).map(|_| ())
    }

    /// Takes a batch, in the order in which it was submitted.
    pub(super) fn take(&self, batch: UnderWay) -> Outcome {
        let mut state = self.shared.lock();
        state.batches += 1;
        state.bytes += batch.bytes;
        drop(state);
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(batch).is_ok());
        if sent { Ok(()) } else { self.settle().and_then(|_| Err(ended())) }
    }

    /// Waits until nothing is under way; gives what is durable.
    pub(super) fn settle(&self) -> Outcome<Durable> {
        self.shared.until(|state| state.batches == 0)
    }

    /// Notes how far the import is, with nothing under way any more.
    pub(super) fn end(&self, reached: Reached, is_done: bool) -> Outcome {
        self.shared.progress().as_mut().map_or(Ok(()), |progress| progress.write(reached, is_done))
    }

    /// What is durable by now.
    pub(super) fn durable(&self) -> Durable {
        self.shared.lock().durable
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.sender.take();
        if let Some(thread) = self.thread.take() {
            // Whether it panicked, it has said itself.
            let _ = thread.join();
        }
    }
}

fn ended() -> Failure {
    Failure::new(ErrorKind::Internal, "the thread that waits for batches ended before they did")
}

/// So that nobody waits for a thread that panicked.
struct TellsOfPanic<'a>(&'a Shared);

impl Drop for TellsOfPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(ended());
        }
    }
}

/// Waits for the batches one after the other, up to the first that fails.
fn follow(batches: &Receiver<UnderWay>, shared: &Shared, acks: bool) -> Outcome {
    let mut acks = acks.then(Output::new);
    for mut batch in batches {
        if let Some(mut submitted) = batch.submitted.take() {
            let version = match Pin::new(&mut submitted).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(version) => version,
                Poll::Pending => {
                    // Nobody waits for a line longer than for its record.
                    acks.as_mut().map_or(Ok(()), Output::flush)?;
                    submitted.wait()
                }
            };
            version.map_err(|error| {
                let before = shared.lock().durable.records;
                refused(error, &batch.place, batch.records, before, "some may be")
            })?;
        }
        if let Some(output) = &mut acks {
            batch.keys.iter().try_for_each(|key| output.line(format_args!("{}", acknowledged(key))))?;
        }
        if let (Some(reached), Some(progress)) = (batch.through, shared.progress().as_mut()) {
            progress.note(reached)?;
        }
        let mut state = shared.lock();
        state.durable.records += batch.records;
        state.durable.value_bytes += batch.value_bytes;
        state.durable.batches += 1;
        state.batches -= 1;
        state.bytes -= batch.bytes;
        let is_last = state.batches == 0;
        drop(state);
        if is_last {
            acks.as_mut().map_or(Ok(()), Output::flush)?;
        }
        shared.changed.notify_all();
    }
    Ok(())
}

/// Why a batch was not made: where it begins, its records, how many before it are durable, and what is known of those after.
pub(super) fn refused(
    error: strongroom::Error,
    place: &str,
    records: u64,
    before: u64,
    after: &str,
) -> Failure {
    let (records, before) = (counted(records, "record"), counted(before, "record"));
    Failure::from(error)
        .within(format_args!("{place}: a batch of {records} from here on was not imported"))
        .followed_by(format_args!("of those before it {before} are durable, of those after it {after}"))
}

/// A key on a line of its own that nothing else can be mistaken for: plain text as it is, other text as a JSON string,
/// anything else as `{"key_base64":..}`.
fn acknowledged(key: &[u8]) -> String {
    match text_or_base64(key) {
        (Some(text), _) if !text.chars().any(char::is_control) && !text.starts_with(['"', '{']) => {
            text.to_owned()
        }
        (Some(text), _) => json!(text).to_string(),
        (None, base64) => json!({"key_base64": base64}).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_key_is_one_line_and_stands_for_itself_only() {
        let keys = [&b"a/b c"[..], "\u{65e5}".as_bytes(), b"a\nb", b"\"a\"", b"{", b"\xff\n", b"\t"];
        let lines = keys.map(acknowledged);
        let expected =
            ["a/b c", "\u{65e5}", r#""a\nb""#, r#""\"a\"""#, r#""{""#, r#"{"key_base64":"/wo="}"#, r#""\t""#];
        assert_eq!(lines, expected);
    }
}
