//! A version counter beside cells that one thread writes and any thread reads: odd while the owner writes.
//!
//! A reader copies, compares the versions before and after, and begins again when they differ. Readers
//! never hold up the writer. Every cell must be an atomic of its own, read and written `Relaxed` inside the
//! closures: then a copy that is thrown away was at worst mixed, never undefined.
//!
//! The orderings are those of Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?"
//! (2012): a release fence behind the odd store, an acquire fence before the second look.

use crate::{
    slip::{Slip, slips},
    sync::{
        atomic::{AtomicU64, Ordering, fence},
        spin_loop,
    },
};

/// Odd while the owner writes.
pub(crate) struct Version {
    count: AtomicU64,
}

impl Version {
    pub(crate) fn new() -> Version {
        Version { count: AtomicU64::new(0) }
    }

    /// Runs `copy` until it saw one state from its beginning to its end.
    pub(crate) fn read<T>(&self, mut copy: impl FnMut() -> T) -> T {
        loop {
            let before = self.count.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let value = copy();
                if !slips(Slip::NoFence) {
                    fence(Ordering::Acquire);
                }
                if self.count.load(Ordering::Relaxed) == before {
                    return value;
                }
            }
            spin_loop();
        }
    }

    /// Runs `write` as one step for readers. Only one thread may ever call this.
    pub(crate) fn write(&self, write: impl FnOnce()) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        write();
        self.count.store(count.wrapping_add(2), Ordering::Release);
    }
}
