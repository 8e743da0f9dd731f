//! A channel with the part of crossbeam's shape that the engine uses, made of a lock that the
//! model checker sees. The library's own inside is trusted, not modelled.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

#[cfg(loom)]
use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(shuttle)]
use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

use super::modelled::may_time_out;

/// Nobody receives any more: the message.
pub(crate) struct SendError<T>(pub(crate) T);

/// Why there is no message.
pub(crate) enum TryRecvError {
    Empty,
    Disconnected,
}

/// Why there was no message in time.
pub(crate) enum RecvTimeoutError {
    Timeout,
    Disconnected,
}

struct Channel<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    receives: bool,
}

impl<T> Channel<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Sender<T>(Arc<Channel<T>>);

pub(crate) struct Receiver<T>(Arc<Channel<T>>);

/// The room is not modelled: who uses it says why it is never used up.
pub(crate) fn bounded<T>(_room: usize) -> (Sender<T>, Receiver<T>) {
    unbounded()
}

pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { messages: VecDeque::new(), senders: 1, receives: true };
    let channel = Arc::new(Channel { state: Mutex::new(state), arrived: Condvar::new() });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.state();
        if !state.receives {
            return Err(SendError(message));
        }
        state.messages.push_back(message);
        drop(state);
        self.0.arrived.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.arrived.notify_one();
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state();
        match state.messages.pop_front() {
            Some(message) => Ok(message),
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    pub(crate) fn recv_timeout(&self, _wait: Duration) -> Result<T, RecvTimeoutError> {
        let gives_up = may_time_out();
        if gives_up {
            thread::yield_now();
        }
        let mut state = self.0.state();
        loop {
            match state.messages.pop_front() {
                Some(message) => return Ok(message),
                None if state.senders == 0 => return Err(RecvTimeoutError::Disconnected),
                None if gives_up => return Err(RecvTimeoutError::Timeout),
                None => state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.receives = false;
        // As the library does: what nobody will receive is dropped now, outside the lock.
        let unread = std::mem::take(&mut state.messages);
        drop(state);
        drop(unread);
    }
}
