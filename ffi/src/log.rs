//! The log: what the engine says through `tracing`, given to a function of the application's.

use std::ffi::{c_char, c_void};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Interest, Level, LevelFilter, Metadata, Subscriber, callsite, dispatcher};

use crate::call::call;
use crate::error::{Error, Failure, Result, Status};
use crate::pointer;

/// Something failed that a person should look at.
pub const STRONGROOM_LOG_ERROR: u32 = 1;
/// Something failed that is tried again.
pub const STRONGROOM_LOG_WARN: u32 = 2;
/// Something noteworthy.
pub const STRONGROOM_LOG_INFO: u32 = 3;
/// What the store does: checkpoints and the like.
pub const STRONGROOM_LOG_DEBUG: u32 = 4;
/// Everything.
pub const STRONGROOM_LOG_TRACE: u32 = 5;

/// Takes one line of the log: a STRONGROOM_LOG level, where it comes from, and a text; both UTF-8, borrowed for the time of
/// the callback, not NUL-terminated. It shows no key, value, record key or name of a tenant. Called from any thread, several
/// at a time, with locks of the store held: it must return soon, must not throw, and must not call this library.
pub type Log = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        level: u32,
        target: *const c_char,
        target_size: usize,
        text: *const c_char,
        text_size: usize,
    ),
>;

#[derive(Clone, Copy)]
struct Sink {
    function: unsafe extern "C" fn(*mut c_void, u32, *const c_char, usize, *const c_char, usize),
    context: *mut c_void,
}

// SAFETY: the header says that the function is called from any thread, with this context.
unsafe impl Send for Sink {}
// SAFETY: the header says that several are called at a time.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// The most talkative level that is wanted; 0 is none.
static LEVEL: AtomicU32 = AtomicU32::new(0);
/// Whether this library's subscriber is the process's.
static IS_OURS: OnceLock<bool> = OnceLock::new();

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => STRONGROOM_LOG_ERROR,
        Level::WARN => STRONGROOM_LOG_WARN,
        Level::INFO => STRONGROOM_LOG_INFO,
        Level::DEBUG => STRONGROOM_LOG_DEBUG,
        Level::TRACE => STRONGROOM_LOG_TRACE,
    }
}

/// Gives events to the sink; spans are not followed, since events name what they are about.
struct Forwarder;

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && number(*metadata.level()) <= LEVEL.load(Ordering::Acquire)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Acquire) {
            0 => LevelFilter::OFF,
            STRONGROOM_LOG_ERROR => LevelFilter::ERROR,
            STRONGROOM_LOG_WARN => LevelFilter::WARN,
            STRONGROOM_LOG_INFO => LevelFilter::INFO,
            STRONGROOM_LOG_DEBUG => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = *SINK.read().unwrap_or_else(PoisonError::into_inner) else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let Line { mut text, fields } = line;
        text.push_str(&fields);
        let target = event.metadata().target();
        // SAFETY: the header asks the application for a function that takes this; the texts live here.
        unsafe {
            (sink.function)(
                sink.context,
                number(*event.metadata().level()),
                target.as_ptr().cast(),
                target.len(),
                text.as_ptr().cast(),
                text.len(),
            );
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, and its fields after it.
#[derive(Default)]
struct Line {
    text: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.text, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

/// Becomes the process's subscriber, once.
fn install() -> Result<()> {
    let is_ours =
        IS_OURS.get_or_init(|| dispatcher::set_global_default(dispatcher::Dispatch::new(Forwarder)).is_ok());
    if *is_ours {
        return Ok(());
    }
    Err(Failure::new(Status::AlreadyExists, "this process has another subscriber of tracing: use that one"))
}

/// Has the log of all stores of the process given to a function, instead of the one set before.
///
/// @param[in]  level   the most talkative STRONGROOM_LOG level that is wanted.
/// @param[in]  log     called for each line; NULL: no log from now on.
/// @param[in]  context borrowed until another function is set and no call of the old one is under way; given to log.
/// @param[out] error   owned, or NULL: why it failed.
/// @return InvalidArgument for no level; AlreadyExists where the application is Rust and logs through tracing itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_log_set(
    level: u32,
    log: Log,
    context: *mut c_void,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointer is NULL or what the header demands, for the time of this call.
    let error = unsafe { pointer::optional_out(error) };
    call(error, || {
        if !(STRONGROOM_LOG_ERROR..=STRONGROOM_LOG_TRACE).contains(&level) {
            return Err(Failure::invalid(format_args!("{level} is no STRONGROOM_LOG level")));
        }
        install()?;
        let sink = log.map(|function| Sink { function, context });
        LEVEL.store(if sink.is_some() { level } else { 0 }, Ordering::Release);
        *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
        callsite::rebuild_interest_cache();
        Ok(())
    })
}
