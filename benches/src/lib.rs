//! What the benchmarks in `benches/` share: the records, a store of the engine's that holds them, and a raw redb
//! database that holds the same.
//!
//! Both have the same cache. Whatever fails ends the benchmark with a panic.

pub mod bindings;
mod load;
pub mod race;
mod raw;
pub mod retention;
pub mod scale;
mod sealed;

pub use load::Load;
pub use raw::{Commit, RECORDS, Raw};
pub use sealed::{COLLECTION, Sealed, TENANT};

/// The target folder's directory for stores on the real disk, if the program lies in one.
#[must_use]
pub fn directory_beside() -> Option<std::path::PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.parent()?.join("tmp"))
}

/// Memory for the pages of each file, in bytes: all records of a benchmark fit.
pub const CACHE_BYTES: usize = 256 << 20;
