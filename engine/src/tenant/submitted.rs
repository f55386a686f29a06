//! A batch under way: a future that any executor can drive, or something to wait for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::Result;
use crate::id::Version;
use crate::journal::Commit;
use crate::partition::Partition;
use crate::tenant::Tenant;
use crate::tenant::change::Terms;

/// A batch that was submitted ([`Tenant::submit`]): its version, once it is durable and in effect.
///
/// It needs no runtime of its own: a thread of the store's writes it, and the future is woken. Dropping it does not take
/// the batch back.
#[must_use = "whether a batch was made is known only once it was waited for"]
pub struct Submitted {
    tenant: Tenant,
    bytes: Bytes,
    terms: Terms,
    is_durable: bool,
    state: State,
}

enum State {
    /// With the slots whose keys go with it.
    UnderWay(Commit<Partition>, Vec<u64>),
    /// The batch was empty.
    Nothing(Version),
    Ended,
}

impl fmt::Debug for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Submitted {
    pub(super) fn new(tenant: &Tenant, bytes: Bytes, terms: Terms, is_durable: bool) -> Result<Self> {
        let (commit, doomed) = tenant.enqueue(&bytes, &terms, is_durable)?;
        let tenant = tenant.clone();
        Ok(Self { tenant, bytes, terms, is_durable, state: State::UnderWay(commit, doomed) })
    }

    pub(super) fn nothing(tenant: &Tenant, version: Version) -> Self {
        let (bytes, terms) = (Bytes::new(), Terms::default());
        Self { tenant: tenant.clone(), bytes, terms, is_durable: true, state: State::Nothing(version) }
    }

    /// Waits in this thread.
    ///
    /// # Errors
    /// Those of [`Tenant::write`].
    pub fn wait(mut self) -> Result<Version> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::UnderWay(commit, doomed) => {
                    if let Some(version) = commit.wait()? {
                        self.tenant.settle_assignments(&self.bytes);
                        self.tenant.after_made(&doomed)?;
                        return Ok(version);
                    }
                    self.again()?;
                }
                State::Nothing(version) => return Ok(version),
                State::Ended => return Err(ended()),
            }
        }
    }

    /// What the conditions were read against was replaced meanwhile: they are read again.
    fn again(&mut self) -> Result<()> {
        let (commit, doomed) = self.tenant.enqueue(&self.bytes, &self.terms, self.is_durable)?;
        self.state = State::UnderWay(commit, doomed);
        Ok(())
    }
}

fn ended() -> crate::error::Error {
    crate::error::fail!(InvalidArgument, "a submitted batch was asked again after it had ended")
}

impl Future for Submitted {
    type Output = Result<Version>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Version>> {
        let submitted = self.get_mut();
        loop {
            let outcome = match &mut submitted.state {
                State::UnderWay(commit, _) => std::task::ready!(Pin::new(commit).poll(context)),
                State::Nothing(version) => Ok(Some(*version)),
                State::Ended => Err(ended()),
            };
            match outcome {
                Ok(None) => {
                    if let Err(error) = submitted.again() {
                        submitted.state = State::Ended;
                        return Poll::Ready(Err(error));
                    }
                }
                Ok(Some(version)) => {
                    let state = std::mem::replace(&mut submitted.state, State::Ended);
                    let doomed = if let State::UnderWay(_, doomed) = state { doomed } else { Vec::new() };
                    submitted.tenant.settle_assignments(&submitted.bytes);
                    let destroyed = submitted.tenant.after_made(&doomed);
                    return Poll::Ready(destroyed.map(|()| version));
                }
                Err(error) => {
                    submitted.state = State::Ended;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}
