//! Where the answers to many commands are collected for one reader: a Session, or the unary calls of a connection.
//!
//! A short lock around a list that the reader takes whole. Whoever puts the first answer wakes the reader, so a turn of
//! a shard wakes each reader once.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use engine::{Answer, ReplySink};
use parking_lot::Mutex;

/// How a reader is told that the server is stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Farewell {
    /// It is not.
    #[default]
    None,
    /// Say so to the client.
    GoingAway,
    /// And end when all is answered.
    Close,
}

/// Where the shards put the answers for one reader.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<OutboxState>,
}

#[derive(Default)]
struct OutboxState {
    answers: VecDeque<(u64, Answer)>,
    farewell: Farewell,
    /// Who waits. Taken by the first answer: a batch wakes once.
    waker: Option<Waker>,
}

impl ReplySink for Outbox {
    fn deliver(&self, tag: u64, answer: Answer) {
        let waker = {
            let mut state = self.state.lock();
            state.answers.push_back((tag, answer));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Outbox {
    /// Says how the server is stopping, to whoever waits.
    pub(crate) fn tell(&self, farewell: Farewell) {
        let waker = {
            let mut state = self.state.lock();
            state.farewell = state.farewell.max(farewell);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Swaps what is there for the empty `answers`. With nothing there, the caller is woken by what comes.
    pub(crate) fn take(&self, answers: &mut VecDeque<(u64, Answer)>, context: &Context<'_>) -> Farewell {
        let mut state = self.state.lock();
        if state.answers.is_empty() {
            match &mut state.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        } else {
            std::mem::swap(&mut state.answers, answers);
        }
        state.farewell
    }
}
