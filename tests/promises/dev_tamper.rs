//! Development only.
#![allow(clippy::unwrap_used, dead_code, reason = "development")]
mod support;
mod tamper;
