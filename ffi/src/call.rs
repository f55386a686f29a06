//! Where panics end: around each exported function.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::boxed;
use crate::error::{Error, Failure, Result, Status};
use crate::pointer::Out;

/// Runs a call; its failure becomes a status, and an object where the caller wants one.
pub(crate) fn call(error: Option<Out<'_, *mut Error>>, body: impl FnOnce() -> Result<()>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Failure::panicked(panic)));
    let Err(failure) = result else { return Status::Ok };
    let status = failure.status;
    if let Some(error) = error {
        error.write(boxed::give::<Error>(failure));
    }
    status
}

/// Runs what can't fail; should it panic all the same, it gives `otherwise`.
pub(crate) fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        otherwise
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxed::Boxed;
    use crate::pointer::optional_out;

    #[test]
    fn a_panic_becomes_a_status_and_an_error() {
        let mut error = std::ptr::null_mut();
        // SAFETY: the variable lives, and nobody else uses it.
        let place = unsafe { optional_out(&raw mut error) };
        assert_eq!(call(place, || panic!("on purpose")), Status::Internal);
        // SAFETY: `call` gave it.
        let taken = unsafe { Boxed::take::<Error>(error) };
        assert!(taken.is_some());
        assert_eq!(guarded(7, || panic!("on purpose")), 7);
    }

    /// Dropping it panics, as a payload may.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a second panic");
        }
    }

    #[test]
    fn a_panic_whose_payload_panics_ends_too() {
        assert_eq!(call(None, || std::panic::panic_any(Bomb)), Status::Internal);
        assert_eq!(guarded(7, || std::panic::panic_any(Bomb)), 7);
    }
}
