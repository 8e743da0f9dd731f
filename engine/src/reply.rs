//! Where an answer goes: the only place where the engine meets asynchronous code, by way of
//! `std::task` alone.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::{
    answer::Answer,
    slip::{Slip, slips},
    sync::Mutex,
};

/// Who gets the answer to a command.
pub enum Reply {
    /// One waiting caller.
    One(ReplySender),
    /// A sink that collects the answers of many commands, with the caller's mark of this one.
    Many {
        /// The sink.
        sink: Arc<dyn ReplySink>,
        /// The mark, given back with the answer.
        tag: u64,
    },
    /// Nobody.
    Nobody,
}

impl Reply {
    /// Delivers the answer.
    pub fn send(self, answer: Answer) {
        match self {
            Reply::One(sender) => sender.send(answer),
            Reply::Many { sink, tag } => sink.deliver(tag, answer),
            Reply::Nobody => {}
        }
    }
}

/// Collects the answers of many commands. Called by the thread of the shard: it must not wait and must
/// not call back into the engine.
pub trait ReplySink: Send + Sync {
    /// Takes the answer to the command with this mark. Called once for each.
    fn deliver(&self, tag: u64, answer: Answer);
}

/// The answer will not come: the engine dropped the command, with effect or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the engine ended before it answered; the command may have taken effect")
    }
}

impl std::error::Error for Lost {}

#[expect(clippy::large_enum_variant, reason = "an answer is moved into its place, not into an allocation")]
enum State {
    Empty,
    Waiting(Waker),
    Here(Answer),
    Over,
}

/// A place for one answer: who sends it and who waits for it.
#[must_use]
pub fn reply_slot() -> (ReplySender, ReplyReceiver) {
    let state = Arc::new(Mutex::new(State::Empty));
    (ReplySender { state: Arc::clone(&state) }, ReplyReceiver { state })
}

/// Sends one answer. Dropped before that, it tells the receiver [`Lost`].
pub struct ReplySender {
    state: Arc<Mutex<State>>,
}

impl ReplySender {
    /// Sends the answer.
    pub fn send(self, answer: Answer) {
        self.put(State::Here(answer));
    }

    fn put(&self, new: State) {
        let mut state = self.state.lock();
        if matches!(*state, State::Here(_) | State::Over) {
            return;
        }
        let old = std::mem::replace(&mut *state, new);
        // Waking may run foreign code: not under the lock.
        drop(state);
        if let State::Waiting(waker) = old {
            waker.wake();
        }
    }
}

impl Drop for ReplySender {
    fn drop(&mut self) {
        self.put(State::Over);
    }
}

/// Waits for one answer.
pub struct ReplyReceiver {
    state: Arc<Mutex<State>>,
}

impl ReplyReceiver {
    /// The answer, if it is here already. For callers without a task, such as tests and the simulator.
    pub fn try_take(&mut self) -> Option<Result<Answer, Lost>> {
        take(&mut self.state.lock())
    }
}

impl Future for ReplyReceiver {
    type Output = Result<Answer, Lost>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.lock();
        if let Some(result) = take(&mut state) {
            return Poll::Ready(result);
        }
        if slips(Slip::WakerAfterLook) {
            drop(state);
            state = self.state.lock();
        }
        match &mut *state {
            State::Waiting(waker) => waker.clone_from(context.waker()),
            other => *other = State::Waiting(context.waker().clone()),
        }
        Poll::Pending
    }
}

fn take(state: &mut State) -> Option<Result<Answer, Lost>> {
    match std::mem::replace(state, State::Over) {
        State::Here(answer) => Some(Ok(answer)),
        State::Over => Some(Err(Lost)),
        waiting => {
            *state = waiting;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use inventory_core::ids::TimestampMs;

    use super::*;
    use crate::answer::Refused;

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answer() -> Answer {
        Answer { result: Err(Refused::Draining), position: 3, time: TimestampMs(4) }
    }

    #[test]
    fn an_answer_wakes_the_one_who_waits() {
        let (sender, mut receiver) = reply_slot();
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counter));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut receiver).poll(&mut context).is_pending());
        sender.send(answer());
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(Pin::new(&mut receiver).poll(&mut context), Poll::Ready(Ok(answer())));
    }

    #[test]
    fn a_dropped_sender_is_lost() {
        let (sender, mut receiver) = reply_slot();
        assert_eq!(receiver.try_take(), None);
        drop(sender);
        assert_eq!(receiver.try_take(), Some(Err(Lost)));
    }
}
