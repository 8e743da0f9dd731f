//! A place as one 32-bit word: a seat with its buyer's kind, or admissions to an area.
//!
//! ```text
//! seat  | reserved: 4 | ticket type: 8 | seat index: 20 |
//! area  | reserved: 1 | source: 4 | quantity: 7 | ticket type: 8 | area index: 12 |
//! ```
//!
//! The same words stand in memory and in the log. In memory the top bit of a hold's word says that the
//! place is sold (`SOLD`); in the log it is zero.

use smallvec::SmallVec;

use crate::limits::{PLACE_INDEX_BITS, PLACES_PER_HOLD_MAX, QUOTAS_PER_AREA_MAX};

/// In a hold's word: this place is sold.
pub(crate) const SOLD: u32 = 1 << 31;
const INDEX_MASK: u32 = (1 << PLACE_INDEX_BITS) - 1;

/// A seat by its index in the plan, with the kind of buyer it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// Zero-based index in the plan revision it was read at.
    pub index: u32,
    /// Kind of buyer (adult, child); 0: not named.
    pub ticket_type: u8,
}

impl Seat {
    /// The word. The index must be under 2^20, which every index of a plan is.
    #[must_use]
    pub const fn word(self) -> u32 {
        assert!(self.index <= INDEX_MASK);
        self.index | (self.ticket_type as u32) << PLACE_INDEX_BITS
    }

    /// The seat in `word`, whatever its marks.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self { index: word & INDEX_MASK, ticket_type: (word >> PLACE_INDEX_BITS) as u8 }
    }
}

/// Admissions to a general-admission area, of one ticket type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Admission {
    /// Zero-based index of the area in the plan.
    pub area: u16,
    /// Kind of buyer; 0: not named.
    pub ticket_type: u8,
    /// How many, 1 to 64.
    pub quantity: u8,
    /// What they were drawn from: general sale (0), or the area's quota of this number. Commands and views have 0.
    pub source: u8,
}

impl Admission {
    /// The word. Area under 4,096, quantity at most 64, source at most 15.
    #[must_use]
    pub const fn word(self) -> u32 {
        assert!(self.area < 1 << 12 && self.quantity as usize <= PLACES_PER_HOLD_MAX);
        assert!(self.source as usize <= QUOTAS_PER_AREA_MAX);
        self.area as u32 | (self.ticket_type as u32) << 12 | (self.quantity as u32) << 20 | (self.source as u32) << 27
    }

    /// The admissions in `word`, whatever its marks.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self {
            area: (word & 0xfff) as u16,
            ticket_type: (word >> 12) as u8,
            quantity: (word >> 20 & 0x7f) as u8,
            source: (word >> 27 & 0xf) as u8,
        }
    }
}

/// Seats of a hold. Most holds have few, which cost no allocation.
pub type Seats = SmallVec<[Seat; 4]>;

/// Admissions of a hold; few of them cost no allocation.
pub type Admissions = SmallVec<[Admission; 4]>;

/// Seats by index; few of them cost no allocation.
pub type SeatIndexes = SmallVec<[u32; 4]>;

/// What a place is. Two bits: the first says held, the second sold; both: withdrawn by the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PlaceState {
    /// May be held.
    Open = 0,
    /// In a live hold.
    Held = 1,
    /// Sold.
    Sold = 2,
    /// Withdrawn from sale by the house.
    Killed = 3,
}

impl PlaceState {
    /// The state with these two bits (only the lower two count).
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Open,
            1 => Self::Held,
            2 => Self::Sold,
            _ => Self::Killed,
        }
    }
}

/// Places moved from one state to another: what a change did, for whoever keeps counts. Indexes are of the plan the event
/// has after the change; at a new plan, counts start anew from the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which places.
    pub what: Moved,
    /// State before, as the public sees it: what is open and set aside is as killed.
    pub from: PlaceState,
    /// State after, in the same way.
    pub to: PlaceState,
    /// State after, whoever may have the place.
    pub state: PlaceState,
}

/// A seat, or admissions of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moved {
    /// The seat with this index.
    Seat(u32),
    /// So many admissions of this area.
    Area {
        /// Index of the area.
        area: u16,
        /// How many.
        quantity: u32,
    },
}
