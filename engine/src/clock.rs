//! Time, read in one place.
//!
//! The wall clock is read once, at the start. From then on time is that reading plus what
//! `CLOCK_BOOTTIME` has counted since, so no step of the wall clock moves a deadline and a machine that
//! slept knows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use inventory_core::ids::TimestampMs;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time: milliseconds of Unix time, never less than it told before.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> TimestampMs;
}

/// Where the engine's clock comes from.
#[derive(Clone, Debug)]
pub enum ClockSource {
    /// The machine.
    System,
    /// Somebody's hand.
    Manual(Arc<ManualClock>),
}

impl ClockSource {
    /// What the wall clock says.
    #[must_use]
    pub fn wall(&self) -> TimestampMs {
        match self {
            ClockSource::System => wall_ms(),
            ClockSource::Manual(clock) => clock.now(),
        }
    }

    /// A clock that stands at `start` now.
    #[must_use]
    pub fn start(&self, start: TimestampMs) -> Arc<dyn Clock> {
        match self {
            ClockSource::System => Arc::new(SystemClock::starting_at(start)),
            ClockSource::Manual(clock) => {
                clock.set(start);
                Arc::clone(clock) as Arc<dyn Clock>
            }
        }
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: TimestampMs,
    boot_ms_at_start: u64,
}

impl SystemClock {
    /// A clock that stands at `start` now.
    #[must_use]
    pub fn starting_at(start: TimestampMs) -> SystemClock {
        SystemClock { start, boot_ms_at_start: boot_ms() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        self.start.plus_ms(boot_ms() - self.boot_ms_at_start)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: TimestampMs) -> Arc<ManualClock> {
        Arc::new(ManualClock { now_ms: AtomicU64::new(now.0) })
    }

    /// Moves it forward.
    pub fn advance_ms(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Moves it to `now`; a time before the one it shows leaves it where it is.
    pub fn set(&self, now: TimestampMs) {
        self.now_ms.fetch_max(now.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.now_ms.load(Ordering::Relaxed))
    }
}

fn wall_ms() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    // Seconds and nanoseconds since boot are never negative.
    time.tv_sec.unsigned_abs() * 1_000 + u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::new(TimestampMs(10));
        clock.set(TimestampMs(5));
        assert_eq!(clock.now(), TimestampMs(10));
        clock.advance_ms(3);
        assert_eq!(clock.now(), TimestampMs(13));
    }

    #[test]
    fn the_machines_clock_starts_where_it_is_told() {
        let clock = ClockSource::System.start(TimestampMs(1_000));
        let first = clock.now();
        assert!(first >= TimestampMs(1_000));
        assert!(clock.now() >= first);
    }
}
