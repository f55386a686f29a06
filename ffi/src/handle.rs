//! Handles: opaque pointers to something that lives.
//!
//! A handle points at a shell of a few bytes that this library never gives back to the allocator. Freeing a handle empties
//! the shell; it serves again once so many others of its kind were freed after it. So a call with a handle that was freed,
//! or that another thread frees just then, finds an empty shell or a value that lives until the call is over, and the
//! library tells it instead of reading freed memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use crossbeam_queue::SegQueue;

use crate::boxed::has_tag;
use crate::error::{Failure, Result, Status};

/// How many shells of a kind lie empty before one serves again.
const RESTING: usize = 4_096;

/// An opaque handle of the header and what is behind it.
pub(crate) trait Handle: Sized + 'static {
    type Value: Send + Sync + 'static;
    /// Stands in front of each shell of this kind.
    const TAG: u64;
    /// Its empty shells.
    fn resting() -> &'static Resting<Self::Value>;
}

/// What a handle points at.
#[repr(C)]
pub(crate) struct Shell<T> {
    tag: u64,
    live: ArcSwapOption<Live<T>>,
}

pub(crate) type Resting<T> = SegQueue<&'static Shell<T>>;

/// What a handle stands for.
pub(crate) struct Live<T> {
    value: T,
    health: Arc<Health>,
    process: u32,
}

/// Whether a call on a handle, or on one it was made from, has panicked.
#[derive(Debug, Default)]
pub(crate) struct Health {
    parent: Option<Arc<Health>>,
    is_poisoned: AtomicBool,
}

impl Health {
    /// That of a handle which is made from another one.
    pub(crate) fn below(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { parent: Some(Arc::clone(parent)), is_poisoned: AtomicBool::new(false) })
    }

    fn check(&self) -> Result<()> {
        if self.is_poisoned.load(Ordering::Acquire) {
            return Err(Failure::poisoned());
        }
        self.parent.as_ref().map_or(Ok(()), |parent| parent.check())
    }
}

/// A handle in use by a call.
pub(crate) struct Held<T> {
    live: Guard<Option<Arc<Live<T>>>>,
}

/// Gives a handle to the caller, who frees it.
pub(crate) fn give<H: Handle>(value: H::Value, health: Arc<Health>) -> *mut H {
    let process = std::process::id();
    let live = Some(Arc::new(Live { value, health, process }));
    let resting = H::resting();
    // What rests in a child after a fork, a thread of the parent's may have been about to change.
    let used = if resting.len() > RESTING { resting.pop() } else { None };
    let shell: &'static Shell<H::Value> = if let Some(shell) = used {
        shell.live.store(live);
        shell
    } else {
        Box::leak(Box::new(Shell { tag: H::TAG, live: ArcSwapOption::new(live) }))
    };
    std::ptr::from_ref(shell).cast_mut().cast()
}

/// The shell a handle points at.
///
/// # Safety
/// `pointer` must be NULL, or point at a handle or another object of this library. A handle may have been freed.
unsafe fn shell<H: Handle>(pointer: *const H) -> Option<&'static Shell<H::Value>> {
    // SAFETY: every object of this library begins with a tag.
    if !unsafe { has_tag(pointer.cast(), H::TAG) } {
        return None;
    }
    // SAFETY: it has this kind's tag, so it is a shell of `give`, and those are never freed.
    Some(unsafe { &*pointer.cast::<Shell<H::Value>>() })
}

/// What a handle stands for.
///
/// # Safety
/// `pointer` must be NULL, or point at a handle or another object of this library. A handle may have been freed.
pub(crate) unsafe fn held<H: Handle>(pointer: *const H, what: &str) -> Result<Held<H::Value>> {
    // SAFETY: the caller promises what it demands.
    let shell = unsafe { shell(pointer) };
    let shell =
        shell.ok_or_else(|| Failure::invalid(format_args!("`{what}` is NULL, or is something else")))?;
    let live = shell.live.load();
    if live.is_none() {
        return Err(Failure::invalid(format_args!("`{what}` was freed")));
    }
    Ok(Held { live })
}

/// Frees a handle; what it stands for ends with the last call that uses it. In a child after a fork it stays as it is:
/// closing anything there would change files that the parent has open.
///
/// # Safety
/// `pointer` must be NULL, or point at a handle or another object of this library. A handle may have been freed.
pub(crate) unsafe fn free<H: Handle>(pointer: *mut H) {
    // SAFETY: the caller promises what it demands.
    let Some(shell) = (unsafe { shell::<H>(pointer) }) else { return };
    let is_foreign = |live: &Arc<Live<H::Value>>| live.process != std::process::id();
    if shell.live.load().as_ref().is_none_or(is_foreign) {
        return;
    }
    if let Some(live) = shell.live.swap(None) {
        H::resting().push(shell);
        drop(live);
    }
}

impl<T> Held<T> {
    fn live(&self) -> Result<&Live<T>> {
        self.live.as_deref().ok_or_else(|| Failure::invalid("a handle was freed"))
    }

    /// Uses what the handle stands for. A panic poisons the handle and those made from it.
    pub(crate) fn run<R>(&self, body: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        let live = self.live()?;
        live.health.check()?;
        catch_unwind(AssertUnwindSafe(|| body(&live.value))).unwrap_or_else(|panic| {
            live.health.is_poisoned.store(true, Ordering::Release);
            Err(Failure::panicked(panic))
        })
    }

    /// The health of handles that stand for a part of what this one stands for, and fail with it.
    pub(crate) fn health(&self) -> Result<Arc<Health>> {
        Ok(Arc::clone(&self.live()?.health))
    }

    /// Refuses a handle from before a fork: for what asks no engine, which would find out by itself.
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.live()?.process == std::process::id() {
            return Ok(());
        }
        Err(Failure::new(
            Status::Forked,
            "this handle was made before a fork: open the store in the process that uses it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxed::{Boxed, Named};

    struct Number;

    impl Handle for Number {
        type Value = Arc<u32>;
        const TAG: u64 = 1;
        fn resting() -> &'static Resting<Self::Value> {
            static RESTING: Resting<Arc<u32>> = Resting::new();
            &RESTING
        }
    }

    struct Text;

    impl Named for Text {
        type Value = String;
        const TAG: u64 = 2;
    }

    fn hold(pointer: *const Number) -> Result<Held<Arc<u32>>> {
        // SAFETY: all pointers of these tests are NULL or come from `give`.
        unsafe { held(pointer, "number") }
    }

    fn let_go(pointer: *mut Number) {
        // SAFETY: all pointers of these tests are NULL or come from `give`.
        unsafe { free(pointer) }
    }

    fn status<T>(result: Result<T>) -> Status {
        result.map_or_else(|failure| failure.status, |_| Status::Ok)
    }

    #[test]
    fn a_freed_handle_is_told_from_a_live_one_and_freeing_it_again_does_nothing() {
        let value = Arc::new(7);
        let number = give::<Number>(Arc::clone(&value), Arc::default());
        let in_use = hold(number).expect("it lives");
        let_go(number);
        assert_eq!(status(hold(number)), Status::InvalidArgument);
        let_go(number);
        assert_eq!(in_use.run(|value| Ok(**value)).ok(), Some(7), "a call that began goes on");
        drop(in_use);
        assert_eq!(Arc::strong_count(&value), 1, "what it stood for is gone");
        assert_eq!(status(hold(std::ptr::null())), Status::InvalidArgument);
    }

    #[test]
    fn shells_serve_again_but_not_soon() {
        let first = give::<Number>(Arc::new(0), Arc::default());
        let_go(first);
        let mut seen = 0;
        loop {
            let next = give::<Number>(Arc::new(0), Arc::default());
            let_go(next);
            seen += 1;
            if next == first {
                break;
            }
            assert!(seen < 4 * RESTING, "it never serves again");
        }
        // Other tests of this kind take part.
        assert!(seen + 8 > RESTING, "after {seen}");
    }

    #[test]
    fn one_kind_of_object_is_not_taken_for_another() {
        let text = crate::boxed::give::<Text>("x".to_owned());
        assert_eq!(status(hold(text.cast())), Status::InvalidArgument);
        let_go(text.cast());
        // SAFETY: `give` gave it.
        assert!(unsafe { Boxed::take(text) }.is_some());
        let number = give::<Number>(Arc::new(0), Arc::default());
        // SAFETY: it is a handle of this library.
        assert!(unsafe { Boxed::of::<Text>(number.cast(), "text") }.is_err());
        let_go(number);
    }

    #[test]
    fn a_panic_poisons_the_handle_and_those_made_from_it_but_not_the_one_above() {
        let health = Arc::<Health>::default();
        let parent = hold(give::<Number>(Arc::new(0), Arc::clone(&health))).expect("it lives");
        let child = hold(give::<Number>(Arc::new(0), Health::below(&health))).expect("it lives");
        let other = hold(give::<Number>(Arc::new(0), Health::below(&health))).expect("it lives");
        let panicked: Result<()> = child.run(|_| panic!("on purpose"));
        assert_eq!(status(panicked), Status::Internal);
        assert_eq!(status(child.run(|_| Ok(()))), Status::Poisoned);
        assert_eq!(status(other.run(|_| Ok(()))), Status::Ok);
        assert_eq!(status(parent.run(|_| Ok(()))), Status::Ok);
        let panicked: Result<()> = parent.run(|_| panic!("on purpose"));
        assert_eq!(status(panicked), Status::Internal);
        assert_eq!(status(other.run(|_| Ok(()))), Status::Poisoned);
    }
}
