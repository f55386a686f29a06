//! Dev.
#![allow(clippy::unwrap_used, dead_code, reason = "dev")]
mod golden;
