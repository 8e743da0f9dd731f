//! Choosing seats: the best that are open, by distance, without stranding single seats.

use alloc::vec::Vec;

use crate::{plan::Plan, policy::OrphanRule};

/// How chosen seats lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Arrangement {
    /// Nothing was chosen.
    #[default]
    None = 0,
    /// Adjacent in one row, stranding no single seat (rung 1).
    Contiguous = 1,
    /// Adjacent in one row, but stranding a single seat (rung 2).
    Stranding = 2,
    /// In several pieces (rung 3).
    Split = 3,
    /// General admission instead (rung 4).
    General = 4,
}

impl Arrangement {
    /// The arrangement with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Contiguous),
            2 => Some(Self::Stranding),
            3 => Some(Self::Split),
            4 => Some(Self::General),
            _ => None,
        }
    }
}

/// Which seats a command could not take: one bit a seat in `held` and `sold` (both set: killed).
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// First plane, one bit a seat by index.
    pub held: &'a [u64],
    /// Second plane.
    pub sold: &'a [u64],
    /// Seats this command takes besides, sorted: its explicit picks.
    pub also: &'a [u32],
    /// Seats that are open for this command although held, sorted: those of the hold it replaces.
    pub except: &'a [u32],
}

/// What is wanted, with names resolved to numbers.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How many seats, 1 to 64.
    pub quantity: u32,
    /// Only these price levels; empty: any.
    pub levels: Vec<u8>,
    /// Only these sections; empty: any.
    pub sections: Vec<u16>,
    /// Only this zone; distances are then measured from its focal point.
    pub zone: Option<u8>,
    /// Exactly so many accessible seats.
    pub accessible_count: u32,
}

/// The best adjacent seats of one row (rungs 1 and 2 of the ladder), in plan order, or `None`.
#[must_use]
pub fn best_available(
    plan: &Plan,
    taken: Taken<'_>,
    wanted: &Wanted,
    rule: OrphanRule,
) -> Option<(Vec<u32>, Arrangement)> {
    let _ = (plan, taken, wanted, rule);
    None
}
