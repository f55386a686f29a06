//! Promise: no wrong answers (invariant 4).

mod bytes;
mod flip;
mod store;
