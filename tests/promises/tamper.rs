//! Promise: no wrong answers (invariant 4). Whatever is moved, cut or put back in the files of a store is an error or
//! changes nothing; never a wrong value, a missing record, a panic or an abort. Refusing everything does not count: other
//! tenants, and the damaged tenant's undamaged records, still read.
//!
//! [`moves`] puts authentic blocks and files elsewhere; [`older`] puts older ones back, with what `Freshness::Full` adds;
//! [`keyrings`] damages copies of keys. Altered bytes are the module `flips`.

mod keyrings;
mod moves;
mod older;
mod store;
