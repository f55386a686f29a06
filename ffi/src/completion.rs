//! Batches under way, and the thread that tells the application what became of them.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use strongroom::Submitted;

use crate::boxed;
use crate::call::guarded;
use crate::collection::Version;
use crate::error::{Error, Failure, Result, Status};

/// How long strongroom_engine_close waits for a callback to return, in milliseconds.
pub const STRONGROOM_CALLBACK_WAIT_MS: u32 = 5_000;

/// Tells what became of a submitted batch: called once, on a thread of the store's that does nothing else, so that the
/// callbacks of a store wait for each other. It may call this library, but not strongroom_engine_close; it must return, and
/// must not throw. version is borrowed, and NULL unless status is Ok; error is owned by the callback, which frees it, and
/// NULL if status is Ok.
pub type Completion = Option<
    unsafe extern "C" fn(context: *mut c_void, status: Status, version: *const Version, error: *mut Error),
>;

/// A callback and what it is given.
pub(crate) struct Callback {
    function: unsafe extern "C" fn(*mut c_void, Status, *const Version, *mut Error),
    context: *mut c_void,
}

// SAFETY: the header says that the function is called on another thread, with this context.
unsafe impl Send for Callback {}

impl Callback {
    pub(crate) fn new(function: Completion, context: *mut c_void) -> Result<Self> {
        let function = function.ok_or_else(|| Failure::invalid("`completed` is NULL"))?;
        Ok(Self { function, context })
    }

    fn call(self, result: strongroom::Result<strongroom::Version>) {
        match result.map_err(Failure::from) {
            // SAFETY: the header asks the application for a function that takes this, and its context is given once.
            Ok(version) => unsafe {
                (self.function)(self.context, Status::Ok, &Version::from(version), std::ptr::null_mut());
            },
            Err(failure) => {
                let (status, error) = (failure.status, boxed::give::<Error>(failure));
                // SAFETY: as above.
                unsafe { (self.function)(self.context, status, std::ptr::null(), error) }
            }
        }
    }
}

/// The batches under way of one store.
#[derive(Default)]
pub(crate) struct Completions {
    state: Mutex<State>,
    /// Rung when one has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    under_way: usize,
    /// How many have ended, ever.
    ended: u64,
    /// Whether a callback has been called and has not returned.
    is_calling: bool,
    thread: Option<(ThreadId, Sender<Arc<Task>>)>,
}

/// One batch under way.
struct Task {
    step: Mutex<Option<(Submitted, Callback)>>,
    queue: Sender<Arc<Task>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let queue = self.queue.clone();
        // Only where the thread is gone, with nobody left to tell.
        drop(queue.send(self));
    }
}

impl Task {
    /// Looks whether it is done; then it says so, calls back, and says so again.
    fn advance(self: &Arc<Self>, calling: impl FnOnce()) -> bool {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((mut submitted, callback)) = step.take() else { return false };
        let waker = Waker::from(Arc::clone(self));
        match Pin::new(&mut submitted).poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                *step = Some((submitted, callback));
                false
            }
            Poll::Ready(result) => {
                drop(step);
                calling();
                guarded((), || callback.call(result));
                true
            }
        }
    }
}

impl Completions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a batch by `submit`, and sees to it that `callback` is called. Where it fails, it is not called.
    pub(crate) fn submit(
        self: &Arc<Self>,
        callback: Callback,
        submit: impl FnOnce() -> Result<Submitted>,
    ) -> Result<()> {
        let queue = {
            let mut state = self.lock();
            let queue = self.queue(&mut state)?;
            state.under_way += 1;
            queue
        };
        let task = submit().map(|submitted| {
            Arc::new(Task { step: Mutex::new(Some((submitted, callback))), queue: queue.clone() })
        });
        match task {
            Ok(task) => {
                task.wake();
                Ok(())
            }
            Err(failure) => {
                self.ended();
                Err(failure)
            }
        }
    }

    fn queue(self: &Arc<Self>, state: &mut State) -> Result<Sender<Arc<Task>>> {
        if let Some((_, queue)) = &state.thread {
            return Ok(queue.clone());
        }
        let (sender, receiver) = channel::<Arc<Task>>();
        let weak = Arc::downgrade(self);
        // It looks after tasks until nobody can hand in any.
        let started = thread::Builder::new().name("strongroom-completions".to_owned()).spawn(move || {
            while let Ok(task) = receiver.recv() {
                let calling = || {
                    if let Some(completions) = weak.upgrade() {
                        completions.lock().is_calling = true;
                    }
                };
                if task.advance(calling)
                    && let Some(completions) = weak.upgrade()
                {
                    completions.ended();
                }
            }
        });
        let thread = started.map_err(|error| {
            Failure::new(Status::Io, format_args!("the thread for completions can't be started: {error}"))
        })?;
        state.thread = Some((thread.thread().id(), sender.clone()));
        Ok(sender)
    }

    fn ended(&self) {
        let mut state = self.lock();
        state.under_way -= 1;
        state.ended += 1;
        state.is_calling = false;
        self.ended.notify_all();
    }

    /// Waits until every batch that was submitted has been called back, as long as callbacks return; whether all have.
    pub(crate) fn wait(&self) -> Result<bool> {
        let mut state = self.lock();
        if state.thread.as_ref().is_some_and(|(id, _)| *id == thread::current().id()) {
            return Err(Failure::invalid("a store can't be closed by a callback of it: close it elsewhere"));
        }
        while state.under_way > 0 {
            let (before, is_calling) = (state.ended, state.is_calling);
            let patience = Duration::from_millis(STRONGROOM_CALLBACK_WAIT_MS.into());
            let waited = self.ended.wait_timeout_while(state, patience, |state| state.ended == before);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            // A batch that the disk keeps waiting is waited for; a callback that the same wait began and ended with is not.
            if timeout.timed_out() && is_calling && now.is_calling {
                return Ok(false);
            }
            state = now;
        }
        Ok(true)
    }

    pub(crate) fn still_busy() -> Failure {
        Failure::new(
            Status::Busy,
            "the store is closed, but a callback of it has not returned: callbacks must not wait for anything for long",
        )
    }
}
