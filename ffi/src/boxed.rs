//! Results that a caller owns: plain data, immutable once given out, read from any thread, freed once.

use crate::error::{Failure, Result};
use crate::pointer::aligned;

/// An opaque type of the header and what is behind it.
pub(crate) trait Named {
    type Value: Send + Sync;
    /// Stands in front of it in memory, so that one kind of object is not taken for another.
    const TAG: u64;
}

/// What a pointer to an opaque type points at.
#[repr(C)]
pub(crate) struct Boxed<T> {
    tag: u64,
    value: T,
}

/// Gives an object to the caller, who frees it.
pub(crate) fn give<N: Named>(value: N::Value) -> *mut N {
    Box::into_raw(Box::new(Boxed { tag: N::TAG, value })).cast()
}

/// Whether an object of this kind begins at `pointer`.
///
/// # Safety
/// `pointer` must be NULL, misaligned, or point at eight bytes that can be read.
pub(crate) unsafe fn has_tag(pointer: *const u64, tag: u64) -> bool {
    // SAFETY: it is neither NULL nor misaligned, and the caller promises the rest.
    aligned(pointer) && unsafe { *pointer } == tag
}

impl<T> Boxed<T> {
    pub(crate) fn into_value(self) -> T {
        self.value
    }
}

impl Boxed<()> {
    /// What a pointer points at.
    ///
    /// # Safety
    /// `pointer` must be NULL, or point at an object of this library that lives for `'a`.
    pub(crate) unsafe fn of<'a, N: Named>(pointer: *const N, what: &str) -> Result<&'a N::Value> {
        // SAFETY: every object of this library begins with a tag.
        if !unsafe { has_tag(pointer.cast(), N::TAG) } {
            return Err(Failure::invalid(format_args!("`{what}` is NULL, or is something else")));
        }
        // SAFETY: it has this kind's tag, and the caller promises that it lives.
        Ok(unsafe { &(*pointer.cast::<Boxed<N::Value>>()).value })
    }

    /// Takes an object back, to drop it.
    ///
    /// # Safety
    /// `pointer` must be NULL, or what [`give`] gave and nobody took back.
    pub(crate) unsafe fn take<N: Named>(pointer: *mut N) -> Option<Box<Boxed<N::Value>>> {
        // SAFETY: every object of this library begins with a tag.
        if !unsafe { has_tag(pointer.cast(), N::TAG) } {
            return None;
        }
        // SAFETY: it has this kind's tag, so it comes from `give`, and the caller gives it up.
        Some(unsafe { Box::from_raw(pointer.cast()) })
    }
}

/// Drops what was taken back.
pub(crate) fn free<T>(taken: Option<Box<Boxed<T>>>) {
    drop(taken);
}
