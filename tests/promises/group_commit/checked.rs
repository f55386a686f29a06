//! The protocol of group commit over shuttle's primitives: `sync` is what the protocol's own file asks of its parent.

/// What the engine takes from the standard library.
mod sync {
    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard};
    pub(super) use shuttle::thread::{self, Thread};
    pub(super) use std::sync::PoisonError;
}

#[path = "../../../engine/src/journal/group.rs"]
pub(super) mod group;
