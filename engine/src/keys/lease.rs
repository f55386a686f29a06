//! How long a keyring's unwrapped keys are good: its provider is asked again now and then, so that one that denies them closes
//! the tenant, and one that can't be reached leaves it open for a grace.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::keys::provider::ProviderError;

/// How often a provider is asked, and how long one is missed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseTerms {
    /// Keys that were given are good for so long, in milliseconds; the provider is asked again when half of it is over.
    pub(crate) good_ms: u64,
    /// And for so long beyond that where it can't be reached.
    pub(crate) grace_ms: u64,
}

/// What may be done with keys that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// The provider could not be reached since that time.
    Unreachable {
        since_ms: u64,
    },
    /// The provider does not give them any more, or could not be reached for too long.
    Ended,
}

#[derive(Debug)]
struct State {
    /// When the provider gave the keys last.
    given_ms: u64,
    /// Since when it could not be reached.
    unreachable_since_ms: Option<u64>,
    is_denied: bool,
    is_asking: bool,
}

/// The lease of one keyring's keys.
#[derive(Debug)]
pub(crate) struct Lease {
    state: Mutex<State>,
    answered: Condvar,
}

impl Lease {
    pub(super) fn new(given_ms: u64) -> Arc<Self> {
        let state = State { given_ms, unreachable_since_ms: None, is_denied: false, is_asking: false };
        Arc::new(Self { state: Mutex::new(state), answered: Condvar::new() })
    }

    /// Has the provider asked where it is time, by `ask`, in a thread of its own, one question at a time. Whether it is asked.
    pub(super) fn renew(
        self: &Arc<Self>,
        now_ms: u64,
        terms: LeaseTerms,
        ask: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> bool {
        let mut state = self.state.lock();
        let age_ms = now_ms.saturating_sub(state.given_ms);
        if state.is_asking || state.is_denied || age_ms < terms.good_ms / 2 {
            return false;
        }
        state.is_asking = true;
        drop(state);
        let lease = Arc::clone(self);
        let asked = move || {
            lease.answer(now_ms, ask().map_err(|error| is_denial(&error)));
        };
        let started = std::thread::Builder::new().name("strongroom-key-lease".to_owned()).spawn(asked);
        if let Err(error) = started {
            tracing::warn!(%error, "a key provider could not be asked");
            self.answer(now_ms, Err(false));
        }
        true
    }

    /// `Err(true)`: it denies them; `Err(false)`: it could not be asked.
    fn answer(&self, asked_ms: u64, answer: Result<(), bool>) {
        let mut state = self.state.lock();
        state.is_asking = false;
        match answer {
            Ok(()) => (state.given_ms, state.unreachable_since_ms) = (asked_ms, None),
            Err(false) => {
                state.unreachable_since_ms.get_or_insert(asked_ms);
            }
            Err(true) => state.is_denied = true,
        }
        drop(state);
        self.answered.notify_all();
    }

    /// Whether the provider is asked at this moment.
    pub(crate) fn is_asking(&self) -> bool {
        self.state.lock().is_asking
    }

    /// Waits until nobody is asked.
    pub(crate) fn wait(&self) {
        let mut state = self.state.lock();
        while state.is_asking {
            self.answered.wait(&mut state);
        }
    }

    /// What may be done with the keys.
    pub(crate) fn standing(&self, now_ms: u64, terms: LeaseTerms) -> Standing {
        let state = self.state.lock();
        let age_ms = now_ms.saturating_sub(state.given_ms);
        if state.is_denied || age_ms >= terms.good_ms.saturating_add(terms.grace_ms) {
            return Standing::Ended;
        }
        match state.unreachable_since_ms {
            Some(since_ms) => Standing::Unreachable { since_ms },
            None => Standing::Good,
        }
    }
}

/// Whether the provider itself said no. Everything else, a panic of its too, may pass.
fn is_denial(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let said = source.and_then(|source| source.downcast_ref::<ProviderError>());
    said.is_some_and(|said| !said.is_retryable())
}
