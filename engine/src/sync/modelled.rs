//! The same names over the types of a model checker.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

#[cfg(loom)]
pub(crate) use loom::{hint::spin_loop, sync::atomic};
#[cfg(loom)]
use loom::{sync as checked, thread};
#[cfg(shuttle)]
pub(crate) use shuttle::{hint::spin_loop, sync::atomic};
#[cfg(shuttle)]
use shuttle::{sync as checked, thread};

/// parking_lot's shape: no poison. A model that panicked is over anyway.
#[derive(Default)]
pub(crate) struct Mutex<T>(checked::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(checked::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> checked::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// parking_lot's shape.
pub(crate) struct RwLock<T>(checked::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> RwLock<T> {
        RwLock(checked::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> checked::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> checked::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// arc-swap's shape. The library's inside is trusted; what is modelled is when a load sees which store.
pub(crate) struct ArcSwap<T>(Mutex<Arc<T>>);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> ArcSwap<T> {
        ArcSwap(Mutex::new(Arc::new(value)))
    }

    pub(crate) fn load(&self) -> Arc<T> {
        Arc::clone(&self.0.lock())
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.load()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        let old = std::mem::replace(&mut *self.0.lock(), value);
        drop(old);
    }
}

/// A rest that ends by an unpark, or a few times by itself: see [`may_time_out`].
pub(crate) fn park_timeout(_rest: Duration) {
    if may_time_out() {
        thread::yield_now();
    } else {
        thread::park();
    }
}

/// Waits of one thread that may end by time. More only makes schedules longer.
const TIMEOUTS_MAX: u32 = 12;

#[cfg(shuttle)]
shuttle::thread_local! {
    static TIMEOUTS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}
#[cfg(loom)]
loom::thread_local! {
    static TIMEOUTS: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

/// Whether this wait ends by time, which is the checker's choice. A bounded number of times: after that only
/// somebody else ends it, so that a lost message or wake is a deadlock, and the checker reports it.
pub(super) fn may_time_out() -> bool {
    #[cfg(shuttle)]
    let chosen = shuttle::rand::Rng::gen_bool(&mut shuttle::rand::thread_rng(), 0.5);
    #[cfg(loom)]
    let chosen = true;
    chosen
        && TIMEOUTS.with(|timeouts| {
            timeouts.set(timeouts.get() + 1);
            timeouts.get() <= TIMEOUTS_MAX
        })
}
