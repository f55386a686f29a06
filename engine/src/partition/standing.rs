//! Whether a tenant's records may be read and written now: a suspended or removed one refuses, whatever handles of it are
//! held, and so does each one where the store is open for maintenance. What looks after its files goes on.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Error, Result, fail};

/// How a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// It is used.
    Active = 0,
    /// It refuses reads and writes until it is resumed.
    Suspended = 1,
    /// It is gone, unless it is restored.
    Removed = 2,
    /// It is gone for good.
    Erased = 3,
    /// It is somewhere else, or on its way there.
    Moved = 4,
    /// The store is open for maintenance.
    Maintained = 5,
}

/// The standing of an open tenant, shared by all its handles.
#[derive(Debug, Default)]
pub(crate) struct StandingCell(AtomicU8);

impl StandingCell {
    pub(crate) fn set(&self, standing: Standing) {
        self.0.store(standing as u8, Ordering::Release);
    }

    /// Refuses reads and writes of records, unless the tenant is active.
    pub(crate) fn check(&self) -> Result<()> {
        let standing = self.0.load(Ordering::Acquire);
        if standing == Standing::Active as u8 { Ok(()) } else { Err(refusal(standing)) }
    }
}

#[cold]
fn refusal(standing: u8) -> Error {
    if standing == Standing::Suspended as u8 {
        return fail!(Suspended, "the tenant is suspended: resume it first");
    }
    if standing == Standing::Removed as u8 {
        return fail!(NotFound, "the tenant was removed: restore it while its window lasts");
    }
    if standing == Standing::Erased as u8 {
        return fail!(NotFound, "the tenant was erased");
    }
    if standing == Standing::Maintained as u8 {
        return fail!(
            KeyUnavailable,
            "the store is open for maintenance, without the keys of records: open it without that to use them"
        );
    }
    fail!(Poisoned, "the tenant was closed, or moved to another region: ask the store for it again")
}
