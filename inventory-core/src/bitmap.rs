//! Two planes of bits, one bit of each a seat: open 00, held 10, sold 01, killed 11.
//!
//! Invariants:
//!
//! - B1. Bits at or beyond the seat count are clear in both planes.
//!
//! Not here: counts of the whole event (`event.rs`), which runs there are (`openings.rs`).

use alloc::{boxed::Box, vec};
use core::ops::Range;

use crate::{event::Counts, place::PlaceState};

/// States of all seats of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planes {
    held: Box<[u64]>,
    sold: Box<[u64]>,
}

impl Planes {
    /// All open.
    pub(crate) fn open(seat_count: u32) -> Self {
        let words = seat_count.div_ceil(64) as usize;
        Self { held: vec![0; words].into(), sold: vec![0; words].into() }
    }

    /// State of a seat.
    pub(crate) fn state(&self, seat: u32) -> PlaceState {
        let (word, bit) = (seat as usize / 64, seat % 64);
        let held = (self.held[word] >> bit & 1) as u8;
        let sold = (self.sold[word] >> bit & 1) as u8;
        PlaceState::from_bits(held | sold << 1)
    }

    /// Set the state of a seat.
    pub(crate) fn set(&mut self, seat: u32, state: PlaceState) {
        let (word, bit) = (seat as usize / 64, seat % 64);
        let bits = state as u64;
        self.held[word] = self.held[word] & !(1 << bit) | (bits & 1) << bit;
        self.sold[word] = self.sold[word] & !(1 << bit) | (bits >> 1) << bit;
    }

    /// How many of these seats are open, and how many held, where `within` names those that count, by word.
    pub(crate) fn count(&self, seats: Range<u32>, within: impl Fn(u32) -> u64) -> (u32, u32) {
        let (mut open, mut held) = (0, 0);
        for word in seats.start / 64..seats.end.div_ceil(64) {
            let from = seats.start.saturating_sub(word * 64);
            let to = (seats.end - word * 64).min(64);
            // The range has a seat in this word: from <= 63, 1 <= to <= 64.
            let counted = u64::MAX << from & u64::MAX >> (64 - to) & within(word);
            let (first, second) = (self.held[word as usize], self.sold[word as usize]);
            open += (counted & !(first | second)).count_ones();
            held += (counted & first & !second).count_ones();
        }
        (open, held)
    }

    /// The seats of a plane by state.
    pub(crate) fn count_within(&self, plane: &[u64]) -> Counts {
        let mut counts = Counts::default();
        for ((&within, &held), &sold) in plane.iter().zip(&self.held).zip(&self.sold) {
            counts.open += (within & !(held | sold)).count_ones();
            counts.held += (within & held & !sold).count_ones();
            counts.sold += (within & sold & !held).count_ones();
            counts.killed += (within & held & sold).count_ones();
        }
        counts
    }

    /// First plane: held or killed.
    pub(crate) fn held(&self) -> &[u64] {
        &self.held
    }

    /// Second plane: sold or killed.
    pub(crate) fn sold(&self) -> &[u64] {
        &self.sold
    }
}
