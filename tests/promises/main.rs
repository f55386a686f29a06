//! The promises that Strongroom makes, each in one module, all in one binary.
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "offsets within files of a few hundred kilobytes")]
#![allow(
    clippy::needless_for_each,
    clippy::semicolon_if_nothing_returned,
    reason = "short closures read well"
)]
#![allow(clippy::print_stdout, reason = "the counts that a test reached stand in its output")]

mod checkpoint;
mod closing;
mod collections;
mod conditions;
mod conformance;
mod crash;
mod erasure;
mod flips;
mod golden;
mod group_commit;
mod health;
mod holds;
mod indexes;
mod journal;
mod key_duties;
mod large;
mod layers;
mod ledger;
mod life;
mod maintenance;
mod model;
mod observed;
mod open_tenants;
mod own_keys;
mod platforms;
mod policies;
mod policies_changed;
mod providers;
mod quotas;
mod reach;
mod readme;
mod refusals;
mod removal;
mod retention;
mod scans;
mod scrub;
mod secrets;
mod sections;
mod subjects;
mod support;
mod tamper;
mod verify;
mod zero_retention;
