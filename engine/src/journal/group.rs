//! Group commit: many callers, one of whom leads at a time (the protocol alone, without any file).
//!
//! A caller enqueues its item. Where nobody leads, it leads: it takes what waits, has it made durable, hands the lead to
//! one of those who came meanwhile, and only then has the items take effect, each waiter woken by itself. Items take
//! effect in the order in which they were made durable. A caller that does not wait (a future) is led by the
//! committer, a thread that sleeps until it is given the lead.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex, MutexGuard, PoisonError, Thread, thread};

/// What a leader does with the items it took.
pub(crate) trait Lead {
    /// What callers hand in.
    type Item;
    /// What they get.
    type Outcome;
    /// What was made durable and has yet to take effect.
    type Durable;

    /// How many of the items that wait are taken, after putting those to the front that go first; at least one.
    fn choose(&self, waiting: &mut Vec<Ticketed<Self::Item, Self::Outcome>>) -> usize;
    /// Makes the items durable. One leader at a time.
    fn make_durable(&self, items: Vec<Self::Item>) -> Self::Durable;
    /// Lets them take effect: one outcome for each item, in their order. In the order of [`Lead::make_durable`].
    fn take_effect(&self, durable: Self::Durable) -> Vec<Self::Outcome>;
}

/// An item and who waits for it.
pub(crate) struct Ticketed<T, R> {
    pub(crate) item: T,
    cell: Arc<Cell<R>>,
}

/// The queue, and who leads.
pub(crate) struct Group<T, R> {
    queue: Mutex<Queue<T, R>>,
    /// Held from before the lead is handed over until what was durable has taken effect.
    turn: Mutex<()>,
    committer: Arc<Cell<()>>,
}

struct Queue<T, R> {
    waiting: Vec<Ticketed<T, R>>,
    is_led: bool,
    is_dismissed: bool,
}

struct Cell<R>(Mutex<Phase<R>>);

enum Phase<R> {
    Waiting(Option<Wake>),
    /// The waiter has the lead.
    Leading,
    Done(R),
    /// The leader panicked.
    Abandoned,
    Taken,
}

enum Wake {
    Thread(Thread),
    Task(Waker),
}

impl Wake {
    fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R> Cell<R> {
    fn new(wake: Option<Wake>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Phase::Waiting(wake))))
    }

    /// Gives the waiter the lead, if it is a thread that waits.
    fn offer_lead(&self) -> bool {
        let mut phase = lock(&self.0);
        if let Phase::Waiting(Some(Wake::Thread(thread))) = &*phase {
            let thread = thread.clone();
            *phase = Phase::Leading;
            drop(phase);
            thread.unpark();
            return true;
        }
        false
    }

    fn finish(&self, end: Phase<R>) {
        let before = std::mem::replace(&mut *lock(&self.0), end);
        if let Phase::Waiting(Some(wake)) = before {
            wake.wake();
        }
    }

    /// Waits until there is an outcome, or the lead.
    fn wait(&self) -> Step<R> {
        loop {
            let mut phase = lock(&self.0);
            match &mut *phase {
                Phase::Waiting(wake) => *wake = Some(Wake::Thread(thread::current())),
                Phase::Leading => {
                    // Its own item may have to wait for another round, and then it may be offered the lead again.
                    *phase = Phase::Waiting(Some(Wake::Thread(thread::current())));
                    return Step::Lead;
                }
                Phase::Done(_) | Phase::Abandoned | Phase::Taken => {
                    let ended = std::mem::replace(&mut *phase, Phase::Taken);
                    return Step::End(if let Phase::Done(outcome) = ended { Some(outcome) } else { None });
                }
            }
            drop(phase);
            thread::park();
        }
    }
}

enum Step<R> {
    Lead,
    End(Option<R>),
}

/// The items a leader took; whoever waits for one is told if the leader panics.
struct Taken<R>(Vec<Arc<Cell<R>>>);

impl<R> Drop for Taken<R> {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|cell| cell.finish(Phase::Abandoned));
    }
}

/// Passes the lead on, once; also if the leader panics.
struct HandOver<'a, T, R>(&'a Group<T, R>);

impl<T, R> Drop for HandOver<'_, T, R> {
    fn drop(&mut self) {
        self.0.hand_over();
    }
}

impl<T, R> Group<T, R> {
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue { waiting: Vec::new(), is_led: false, is_dismissed: false }),
            turn: Mutex::new(()),
            committer: Cell::new(None),
        }
    }

    /// Hands in an item and waits for its outcome, leading where it falls to this caller. `None` where a leader
    /// panicked.
    pub(crate) fn call(&self, item: T, lead: &impl Lead<Item = T, Outcome = R>) -> Option<R> {
        let cell = Cell::new(Some(Wake::Thread(thread::current())));
        if self.enqueue(item, &cell) {
            self.lead(lead);
        }
        self.follow(&cell, lead)
    }

    fn follow(&self, cell: &Cell<R>, lead: &impl Lead<Item = T, Outcome = R>) -> Option<R> {
        loop {
            match cell.wait() {
                Step::Lead => self.lead(lead),
                Step::End(outcome) => return outcome,
            }
        }
    }

    /// Hands in an item for the committer to lead, if nobody does. The ticket tells the outcome.
    pub(crate) fn submit(&self, item: T) -> Ticket<R> {
        let cell = Cell::new(None);
        if self.enqueue(item, &cell) {
            self.give_committer();
        }
        Ticket(cell)
    }

    /// Waits for a submitted item.
    pub(crate) fn wait(&self, ticket: &Ticket<R>, lead: &impl Lead<Item = T, Outcome = R>) -> Option<R> {
        self.follow(&ticket.0, lead)
    }

    /// Adds an item; whether the caller has to lead.
    fn enqueue(&self, item: T, cell: &Arc<Cell<R>>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.is_dismissed {
            cell.finish(Phase::Abandoned);
            return false;
        }
        queue.waiting.push(Ticketed { item, cell: Arc::clone(cell) });
        !std::mem::replace(&mut queue.is_led, true)
    }

    /// Leads once: only the one who has the lead calls this.
    fn lead(&self, lead: &impl Lead<Item = T, Outcome = R>) {
        let hand_over = HandOver(self);
        let (items, cells): (Vec<_>, Vec<_>) = {
            let mut queue = lock(&self.queue);
            let count = lead.choose(&mut queue.waiting).clamp(1, queue.waiting.len().max(1));
            let count = count.min(queue.waiting.len());
            queue.waiting.drain(..count).map(|ticketed| (ticketed.item, ticketed.cell)).unzip()
        };
        let mut taken = Taken(cells);
        let durable = lead.make_durable(items);
        let turn = lock(&self.turn);
        drop(hand_over);
        let outcomes = lead.take_effect(durable);
        drop(turn);
        for (cell, outcome) in taken.0.drain(..).zip(outcomes) {
            cell.finish(Phase::Done(outcome));
        }
    }

    /// Gives the lead to the first thread that waits, else to the committer, else to nobody.
    fn hand_over(&self) {
        let mut queue = lock(&self.queue);
        if queue.waiting.is_empty() {
            queue.is_led = false;
            return;
        }
        if queue.waiting.iter().any(|ticketed| ticketed.cell.offer_lead()) {
            return;
        }
        drop(queue);
        self.give_committer();
    }

    fn give_committer(&self) {
        let mut phase = lock(&self.committer.0);
        if let Phase::Done(()) = *phase {
            // Dismissed: nothing waits any more.
            return;
        }
        let before = std::mem::replace(&mut *phase, Phase::Leading);
        drop(phase);
        if let Phase::Waiting(Some(wake)) = before {
            wake.wake();
        }
    }

    /// The committer's life: leads whenever it is given the lead, until [`Group::dismiss`].
    pub(crate) fn serve(&self, lead: &impl Lead<Item = T, Outcome = R>) {
        while let Step::Lead = self.committer.wait() {
            // A panic is told to those whose items were taken; the next ones want a committer all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| self.lead(lead)));
        }
    }

    /// Ends [`Group::serve`]. What still waits, and what comes afterwards, has no outcome.
    pub(crate) fn dismiss(&self) {
        let left = {
            let mut queue = lock(&self.queue);
            queue.is_dismissed = true;
            std::mem::take(&mut queue.waiting)
        };
        for ticketed in left {
            ticketed.cell.finish(Phase::Abandoned);
        }
        self.committer.finish(Phase::Done(()));
    }

    /// Runs `call` between two batches: all that was durable has taken effect, and nothing does meanwhile.
    pub(crate) fn between<O>(&self, call: impl FnOnce() -> O) -> O {
        let _turn = lock(&self.turn);
        call()
    }
}

/// The right to one outcome: a future.
pub(crate) struct Ticket<R>(Arc<Cell<R>>);

impl<R> Future for Ticket<R> {
    type Output = Option<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<R>> {
        let mut phase = lock(&self.0.0);
        match &mut *phase {
            Phase::Waiting(wake) => {
                *wake = Some(Wake::Task(context.waker().clone()));
                Poll::Pending
            }
            // Only threads that wait are offered the lead.
            Phase::Leading => Poll::Pending,
            Phase::Done(_) | Phase::Abandoned | Phase::Taken => {
                let ended = std::mem::replace(&mut *phase, Phase::Taken);
                Poll::Ready(if let Phase::Done(outcome) = ended { Some(outcome) } else { None })
            }
        }
    }
}
