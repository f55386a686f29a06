//! The journal: what makes a put durable for the price of a share of one write and one sync (FORMAT.md section 9).
//!
//! Callers seal in their own threads and enqueue. One of them leads: it takes all that wait, of all tenants of the lane,
//! gives sequences, writes one batch and syncs once. Then the changes enter the memtables, and everybody is woken.
//!
//! The journal carries outcomes, never conditions: bytes that it does not look into, sealed for one tenant each.

mod batch;
mod check;
mod cold;
mod format;
mod frame;
mod group;
mod lane;
mod log;
#[cfg(feature = "simulation")]
pub(crate) mod measured;
mod open;
mod scan;
mod segment;
mod state;
mod writer;

pub use check::FrameReport;
pub(crate) use format::LaneKeys;
pub(crate) use frame::FrameSealer;
pub use lane::LaneStats;
pub(crate) use lane::{Commit, Lane, LaneOptions, Link, Member, Verdict};
pub(crate) use log::{Recovered, Recovery};
pub(crate) use open::{create_lane, open_lane};
pub(crate) use segment::is_file_name;

/// What [`group`] synchronises with; the model checker puts its own in their place.
mod sync {
    pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    pub(super) use std::thread::{self, Thread};
}

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    pub(crate) use super::scan::fuzz_segment;
    pub(crate) use super::state::fuzz_state;
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::group::{Group, Lead, Ticketed};

    /// Fails at one item.
    struct Fatal(u32);

    impl Lead for Fatal {
        type Item = u32;
        type Outcome = u32;
        type Durable = Vec<u32>;

        fn choose(&self, waiting: &mut Vec<Ticketed<u32, u32>>) -> usize {
            waiting.len()
        }

        fn make_durable(&self, items: Vec<u32>) -> Vec<u32> {
            assert!(!items.contains(&self.0), "the leader fails");
            items
        }

        fn take_effect(&self, durable: Vec<u32>) -> Vec<u32> {
            durable
        }
    }

    /// Schedules are tried by the model checker in `tests/promises/group_commit.rs`; it takes no panic.
    #[test]
    fn a_leader_that_panics_leaves_the_lead_to_the_next() {
        let (group, lead) = (Group::new(), Fatal(13));
        assert!(catch_unwind(AssertUnwindSafe(|| group.call(13, &lead))).is_err());
        assert_eq!(group.call(20, &lead), Some(20));
        assert_eq!(group.call(21, &lead), Some(21));
    }
}
