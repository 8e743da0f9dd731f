//! Where the engine's shared state gets its atomics, locks and channels.
//!
//! In a normal build these are the standard library's, parking_lot's, arc-swap's and crossbeam's, by their
//! own names: nothing is wrapped and nothing costs. Under `--cfg loom` and `--cfg shuttle` they are types of
//! the same shape on which the model checker sees every step; such a build runs models and nothing else.
//!
//! Not here: `Arc` and `Waker`, which carry no decision of ours, and clocks.

#[cfg(not(any(loom, shuttle)))]
mod plain {
    pub(crate) use std::{hint::spin_loop, sync::atomic, thread::park_timeout};

    pub(crate) use arc_swap::ArcSwap;
    pub(crate) use crossbeam_channel as channel;
    pub(crate) use parking_lot::{Mutex, RwLock};
}

#[cfg(any(loom, shuttle))]
pub(crate) mod channel;
#[cfg(any(loom, shuttle))]
mod modelled;

#[cfg(any(loom, shuttle))]
pub(crate) use modelled::*;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use plain::*;
