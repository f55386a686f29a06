//! The command line, run as people run it: the real program, on real files.

#![allow(clippy::disallowed_methods, reason = "tests look at the program's files from outside")]
#![allow(clippy::unwrap_used, reason = "in a test it says what failed")]
#![allow(clippy::format_collect, reason = "short lists")]

mod conformance;
mod errors;
mod export;
mod fields;
mod health;
mod import;
mod journal;
mod keys;
mod kill;
mod migration;
mod program;
mod readme;
mod records;
mod resume;
mod setup;
#[cfg(feature = "sqlite")]
mod table;
mod tampering;
mod tenants;
mod tour;
