//! Upper bounds of what there is, for quotas: what a leader decides by, in memory.
//!
//! A bound grows with every put that is decided, and never shrinks by itself: an overwriting put counts as a new record.
//! Where it would exceed a quota, the putter counts exactly, and the leader takes that count in its place, if nothing was
//! put since it was taken.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::id::CollectionId;
use crate::partition::Usage;

/// What a quota is for: a collection, or, with `None`, the tenant.
pub(crate) type Scope = Option<CollectionId>;

/// What a batch adds where a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) scope: Scope,
    pub(crate) limit: Usage,
    /// At the most.
    pub(crate) added: Usage,
    /// What there is once it is made, exactly, and the sequence of the last change that was counted.
    pub(crate) exact: Option<(Usage, u64)>,
}

#[derive(Debug, Default)]
struct Bound {
    /// Nothing before it was counted.
    usage: Option<Usage>,
    /// The sequence of the last put that was decided.
    last: u64,
}

/// The bounds of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Bounds(Mutex<HashMap<Scope, Bound>>);

impl Usage {
    /// Whether it keeps within a quota.
    pub(crate) fn is_within(self, limit: Self) -> bool {
        self.records <= limit.records && self.bytes <= limit.bytes
    }
}

impl Bounds {
    /// Whether a demand surely keeps within its quota.
    pub(crate) fn surely_allow(&self, demand: &Demand) -> bool {
        let bounds = self.0.lock();
        let bound = bounds.get(&demand.scope).and_then(|bound| bound.usage);
        bound.is_some_and(|usage| usage.plus(demand.added).is_within(demand.limit))
    }

    /// Decides the demands of a batch that gets this sequence: all or none. `false` where they have to be counted, or
    /// counted again.
    pub(crate) fn decide(&self, demands: &[Demand], sequence: u64) -> bool {
        let mut bounds = self.0.lock();
        let mut decided = Vec::with_capacity(demands.len());
        for demand in demands {
            let bound = bounds.entry(demand.scope).or_default();
            let grown = bound.usage.map(|usage| usage.plus(demand.added));
            let usage = match (grown, demand.exact) {
                (Some(usage), _) if usage.is_within(demand.limit) => usage,
                (_, Some((usage, counted))) if bound.last <= counted => usage,
                _ => return false,
            };
            decided.push((demand.scope, usage));
        }
        for (scope, usage) in decided {
            bounds.insert(scope, Bound { usage: Some(usage), last: sequence });
        }
        true
    }

    /// Forgets everything: it is counted anew.
    pub(crate) fn forget(&self) {
        self.0.lock().values_mut().for_each(|bound| bound.usage = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(records: u64) -> Usage {
        Usage { records, bytes: 0 }
    }

    #[test]
    fn a_bound_only_grows_until_somebody_counts_and_nobody_puts_meanwhile() {
        let bounds = Bounds::default();
        let limit = Usage { records: 3, bytes: u64::MAX };
        let demand = |exact| Demand { scope: None, limit, added: usage(1), exact };
        assert!(!bounds.surely_allow(&demand(None)) && !bounds.decide(&[demand(None)], 1));
        assert!(bounds.decide(&[demand(Some((usage(1), 0)))], 1));
        assert!(bounds.surely_allow(&demand(None)) && bounds.decide(&[demand(None)], 2));
        assert!(bounds.decide(&[demand(None)], 3));
        assert!(!bounds.surely_allow(&demand(None)) && !bounds.decide(&[demand(None)], 4));
        assert!(!bounds.decide(&[demand(Some((usage(2), 2)))], 4), "one was put since it was counted");
        assert!(bounds.decide(&[demand(Some((usage(2), 3)))], 4));
        assert!(bounds.surely_allow(&demand(None)), "the count took the bound's place");
        let other = Demand { scope: Some(CollectionId(1)), ..demand(None) };
        assert!(!bounds.decide(&[demand(None), other], 5), "all or none");
        assert!(bounds.decide(&[demand(None)], 5));
    }
}
