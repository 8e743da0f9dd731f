//! How long turns take: counts by length, since the start, over all shards.
//!
//! Two lengths of every turn: on the wall, which is what a caller waits for, and on the processor, which is what the
//! turn itself is. They part when the machine gives the core to somebody else in the middle of a turn.
//!
//! An octave has four classes of equal width, each at most a quarter longer than the one before, so the longest turn is
//! told within that. Two looks at the counts tell what was between them, to any number of askers. Counts are atomic and
//! nobody waits, which is why this is not the histogram crate that the load tester uses.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// Classes of one octave.
const PARTS: u32 = 4;
/// The first octave ends at 2 to this power nanoseconds: a shorter turn did nothing.
const OCTAVE_FIRST: u32 = 10;
/// 1 us to 17 s.
const CLASSES: usize = 96;

/// The counts.
pub(crate) struct TurnTimes {
    wall: [AtomicU64; CLASSES],
    processor: [AtomicU64; CLASSES],
}

/// A turn that has begun.
pub(crate) struct Begun {
    wall: Instant,
    processor: Duration,
}

/// Turns of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnsWithin {
    /// None of them is longer.
    pub(crate) within: Duration,
    /// So many, on the wall.
    pub(crate) wall: u64,
    /// So many, on the processor.
    pub(crate) processor: u64,
}

impl Default for TurnTimes {
    fn default() -> TurnTimes {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        TurnTimes { wall: zeros(), processor: zeros() }
    }
}

impl TurnTimes {
    /// A turn begins on this thread.
    pub(crate) fn begin(&self) -> Begun {
        Begun { wall: Instant::now(), processor: processor_time() }
    }

    /// It has ended, on the same thread.
    pub(crate) fn end(&self, begun: &Begun) {
        let processor = processor_time().saturating_sub(begun.processor);
        self.count(begun.wall.elapsed(), processor);
    }

    fn count(&self, wall: Duration, processor: Duration) {
        self.wall[class(wall)].fetch_add(1, Ordering::Relaxed);
        self.processor[class(processor)].fetch_add(1, Ordering::Relaxed);
    }

    /// The classes that are not empty, shortest first.
    pub(crate) fn read(&self) -> Vec<TurnsWithin> {
        let counts = self.wall.iter().zip(&self.processor).enumerate();
        counts
            .map(|(class, (wall, processor))| TurnsWithin {
                within: class_end(class),
                wall: wall.load(Ordering::Relaxed),
                processor: processor.load(Ordering::Relaxed),
            })
            .filter(|turns| turns.wall > 0 || turns.processor > 0)
            .collect()
    }
}

/// What this thread has used of its processor.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The class of a length: the octave, and the quarter of it.
fn class(length: Duration) -> usize {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).saturating_sub(1).max(1 << OCTAVE_FIRST);
    let octave = ns.ilog2();
    let part = (ns >> (octave - PARTS.ilog2())) & u64::from(PARTS - 1);
    ((octave - OCTAVE_FIRST) as usize * PARTS as usize + part as usize).min(CLASSES - 1)
}

/// The greatest length in a class; the last holds all that are greater as well.
fn class_end(class: usize) -> Duration {
    let (octave, part) = (class as u32 / PARTS + OCTAVE_FIRST, class as u64 % u64::from(PARTS));
    Duration::from_nanos((u64::from(PARTS) + part + 1) << (octave - PARTS.ilog2()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_in_the_class_that_ends_at_it_or_above() {
        for class_asked in 0..CLASSES - 1 {
            let end = class_end(class_asked);
            assert_eq!(class(end), class_asked, "{end:?}");
            assert_eq!(class(end + Duration::from_nanos(1)), class_asked + 1, "just over {end:?}");
        }
        assert_eq!(class(Duration::ZERO), 0);
        assert_eq!(class(Duration::MAX), CLASSES - 1);
        assert!(class_end(CLASSES - 1) > Duration::from_secs(17));
    }

    #[test]
    fn turns_are_counted_by_both_clocks() {
        let times = TurnTimes::default();
        times.count(Duration::from_micros(900), Duration::from_micros(90));
        times.count(Duration::from_micros(90), Duration::from_micros(90));
        let read = times.read();
        let (short, long) = (read[0], read[1]);
        assert_eq!((short.wall, short.processor, long.wall, long.processor), (1, 2, 1, 0));
        assert!(short.within >= Duration::from_micros(90) && short.within < Duration::from_micros(108));
        assert!(long.within >= Duration::from_micros(900) && long.within < Duration::from_micros(1_072));
    }
}
