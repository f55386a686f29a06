//! The promises that Strongroom makes, each in one module, all in one binary.
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod bad_input;
mod crash;
mod golden;
mod isolation;
mod layers;
mod model;
mod support;
mod tamper;
