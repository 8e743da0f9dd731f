//! A hierarchical timing wheel whose links stand in the hold entries themselves (Varghese and Lauck,
//! 1987, scheme 7): six levels of 64 buckets, one millisecond at the bottom, two years at the top.
//!
//! Starting, stopping and finding the next due entry cost a few words each, whatever the number of
//! holds; nothing is allocated. A slot has two: one for deadlines, one for forgetting.
//!
//! Invariants:
//!
//! - W1. An entry is in at most one bucket of one wheel; `bucket` says which, `NO_BUCKET` none.
//! - W2. Bit b of `occupied[l]` is set if and only if bucket b of level l has an entry.
//! - W3. Every entry of level 0 stands at its exact time, or at `elapsed` if that was later.
//!
//! Not here: what happens when a hold is due (`decide.rs`, `apply.rs`); a clock (nowhere).

use crate::{
    holds::{Holds, NIL},
    ids::TimestampMs,
};

const LEVELS: usize = 6;
const BUCKET_BITS: u32 = 6;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Furthest that a time may lie ahead: the top level's range less one of its buckets.
const AHEAD_MAX: u64 = (1 << (BUCKET_BITS * LEVELS as u32)) - (1 << (BUCKET_BITS * (LEVELS as u32 - 1))) - 1;

/// In no bucket.
pub(crate) const NO_BUCKET: u16 = u16::MAX;

/// Times of entries.
#[derive(Debug)]
pub(crate) struct Wheel {
    elapsed: u64,
    occupied: [u64; LEVELS],
    heads: [[u32; BUCKETS]; LEVELS],
}

impl Wheel {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self { elapsed: 0, occupied: [0; LEVELS], heads: [[NIL; BUCKETS]; LEVELS] }
    }

    /// Put entry `at` in, due at `due`. It must be in no wheel.
    pub(crate) fn insert(&mut self, holds: &mut Holds, at: u32, due: TimestampMs) {
        if self.occupied == [0; LEVELS] {
            // Nothing is waiting: jump, so that times far from zero do not start at the top level.
            self.elapsed = self.elapsed.max(due.0.saturating_sub(AHEAD_MAX / 2));
        }
        let due = due.0.clamp(self.elapsed, self.elapsed.saturating_add(AHEAD_MAX));
        // The highest bit in which due and elapsed differ names the level.
        let differing = (self.elapsed ^ due) | (BUCKETS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / BUCKET_BITS) as usize;
        let (level, due) = if level < LEVELS { (level, due) } else { (LEVELS - 1, due) };
        let bucket = (due >> (BUCKET_BITS * level as u32)) as usize % BUCKETS;
        let head = self.heads[level][bucket];
        let entry = &mut holds[at];
        assert_eq!(entry.bucket, NO_BUCKET, "a hold is due once");
        entry.bucket = (level * BUCKETS + bucket) as u16;
        entry.previous = NIL;
        entry.next = head;
        if head != NIL {
            holds[head].previous = at;
        }
        self.heads[level][bucket] = at;
        self.occupied[level] |= 1 << bucket;
    }

    /// Take entry `at` out. It must be in this wheel.
    pub(crate) fn remove(&mut self, holds: &mut Holds, at: u32) {
        let entry = &mut holds[at];
        let (next, previous, bucket) = (entry.next, entry.previous, entry.bucket);
        assert_ne!(bucket, NO_BUCKET, "only what is due can be taken out");
        entry.next = NIL;
        entry.previous = NIL;
        entry.bucket = NO_BUCKET;
        if next != NIL {
            holds[next].previous = previous;
        }
        let (level, bucket) = (usize::from(bucket) / BUCKETS, usize::from(bucket) % BUCKETS);
        if previous == NIL {
            self.heads[level][bucket] = next;
            if next == NIL {
                self.occupied[level] &= !(1 << bucket);
            }
        } else {
            holds[previous].next = next;
        }
    }

    /// The earliest bucket: level, bucket, and a time that nothing in it is before.
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        (0..LEVELS)
            .filter(|&level| self.occupied[level] != 0)
            .map(|level| {
                let shift = BUCKET_BITS * level as u32;
                let current = (self.elapsed >> shift) % BUCKETS as u64;
                let ahead = u64::from(self.occupied[level].rotate_right(current as u32).trailing_zeros());
                let bucket = (current + ahead) % BUCKETS as u64;
                let start = ((self.elapsed >> shift) + ahead) << shift;
                (level, bucket as usize, start.max(self.elapsed))
            })
            // At equal times the higher level is dealt down first, so that one bucket has all that is due.
            .min_by_key(|&(level, _, start)| (start, core::cmp::Reverse(level)))
    }

    /// A time before which nothing is due.
    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        self.earliest().map(|(_, _, start)| TimestampMs(start))
    }

    /// An entry that is due at `now`, the head of its bucket; entries after it in the bucket (by
    /// `next`) are due as well. It stays in the wheel.
    pub(crate) fn due(&mut self, holds: &mut Holds, now: TimestampMs) -> Option<u32> {
        while let Some((level, bucket, start)) = self.earliest() {
            if start > now.0 {
                break;
            }
            self.elapsed = start;
            if level == 0 {
                return Some(self.heads[level][bucket]);
            }
            self.cascade(holds, level, bucket);
        }
        self.elapsed = self.elapsed.max(now.0);
        None
    }

    /// Deal the entries of a bucket to lower levels, now that time has come to its start.
    fn cascade(&mut self, holds: &mut Holds, level: usize, bucket: usize) {
        let mut at = self.heads[level][bucket];
        self.heads[level][bucket] = NIL;
        self.occupied[level] &= !(1 << bucket);
        while at != NIL {
            let entry = &mut holds[at];
            let (next, due) = (entry.next, entry.until);
            entry.bucket = NO_BUCKET;
            self.insert(holds, at, due);
            at = next;
        }
    }
}
