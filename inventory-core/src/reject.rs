//! Why the answer was no. A reject is an answer: nothing changed, the caller can act on it.
//!
//! A full disk is not a reject and a broken invariant is not a reject. The names are public
//! contract; the edge maps each case by hand, so a new one must be placed.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    ids::TimestampMs,
    place::{Moved, PlaceState},
    policy::EventState,
};

/// A field of a request, for messages that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `seats`
    Seats,
    /// `seat_keys`
    SeatKeys,
    /// `ga`
    Ga,
    /// `best_available`
    BestAvailable,
    /// `best_available.price_levels`
    PriceLevels,
    /// `best_available.sections`
    Sections,
    /// `best_available.zone`
    Zone,
    /// `options_max`
    Options,
    /// `customer`
    Customer,
    /// `replace_hold_id`
    ReplaceHoldId,
    /// `selectors`
    Selectors,
    /// `reason`
    Reason,
    /// `give`
    Give,
    /// `allocation_keys`
    AllocationKeys,
    /// `allocation_key`
    AllocationKey,
    /// `closes_at`
    ClosesAt,
    /// `price_level`
    PriceLevel,
    /// `parts` of a cart
    Parts,
    /// `state`
    State,
    /// A field of the event's settings, by its name.
    Setting(&'static str),
}

/// A place in the way, with the state the public may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceInTheWay {
    /// Which place.
    pub place: Moved,
    /// What it is.
    pub state: PlaceState,
}

/// Why not. `executed: true` stands where the command did take effect once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A field is out of shape or bounds.
    Invalid {
        /// Which field.
        field: Field,
        /// What it must be.
        problem: &'static str,
    },
    /// A seat stands twice in the request, at this position of the explicit picks.
    DuplicateSeat {
        /// Zero-based.
        position: u32,
    },
    /// A seat, area, section, zone or price level the plan does not have.
    UnknownPlace {
        /// In which list.
        field: Field,
        /// At which position of it.
        position: u32,
    },
    /// More places than a hold may have.
    TooManyPlaces {
        /// The limit that was passed.
        places_max: u32,
    },
    /// Ticket types are not one for each seat.
    TicketTypeInvalid {
        /// How many there must be.
        expected: u32,
    },
    /// The id's time is before the memory of ended holds begins.
    HoldIdTooOld {
        /// The server's time.
        now: TimestampMs,
    },
    /// The id's time is over 60 s ahead.
    HoldIdFromFuture {
        /// The server's time.
        now: TimestampMs,
    },
    /// The id belongs to a hold with other content.
    HoldIdReused,
    /// A request id is missing or not UUIDv7.
    RequestIdInvalid,
    /// The request id is older than the last one, or than the memory of requests.
    RequestIdTooOld,
    /// The request id was used with other content.
    RequestIdReused,
    /// The TTL is out of bounds.
    TtlOutOfRange {
        /// Shortest, in ms.
        ttl_ms_min: u32,
        /// Longest, in ms.
        ttl_ms_max: u32,
    },
    /// The plan's places are too many or too few, or the plan does not fit.
    CapacityInvalid,
    /// No event has this name.
    EventNotFound,
    /// The event's name is taken by one with other content, or was once.
    EventExists,
    /// Never made, foreign, or forgotten.
    HoldNotFound,
    /// The event is not in the expected state, or its etag is another.
    StateMismatch {
        /// The etag it has.
        etag: u64,
        /// The state it is in.
        state: EventState,
    },
    /// Indexes of another plan revision.
    PlanChanged {
        /// The revision the event has.
        plan_revision: u32,
    },
    /// Every place in the way, at most 64.
    PlacesUnavailable {
        /// In the caller's order.
        places: Vec<PlaceInTheWay>,
    },
    /// Best available found no room, or an area has too few left.
    NotEnoughPlaces {
        /// Held places that match and may come back.
        held_unpaid: u32,
        /// The shared quota that has no room, where that is what is in the way.
        quota: Option<Box<str>>,
    },
    /// Nothing that matches is open and nothing is held.
    SoldOut {
        /// The shared quota that is sold, where that is what is in the way.
        quota: Option<Box<str>>,
    },
    /// A single seat would be left.
    WouldStrand,
    /// Seats belong to allocations whose keys were not brought, at most 64 of them.
    NotInAllocation {
        /// In the caller's order.
        places: Vec<PlaceInTheWay>,
    },
    /// The sale has not begun.
    SaleNotOpen {
        /// When it does; zero: not set.
        opens_at: TimestampMs,
    },
    /// The sale is paused.
    SalePaused,
    /// The sale is over.
    SaleClosed,
    /// The event is cancelled.
    EventCancelled,
    /// The hold ended by time.
    HoldExpired {
        /// Whether this very command took effect once.
        executed: bool,
        /// Places that are gone, for a confirm that wanted them back.
        places_lost: Vec<PlaceInTheWay>,
    },
    /// The hold was given back.
    HoldReleased {
        /// Whether this very command took effect once.
        executed: bool,
    },
    /// The hold is sold.
    HoldAlreadyConfirmed {
        /// Whether this very command took effect once.
        executed: bool,
    },
    /// No further extend.
    RenewalCap,
    /// A payment is open.
    PaymentInProgress,
    /// No further payment attempt.
    PaymentAttemptsCap,
    /// Nothing of the event is sold to the order.
    OrderNotFound,
    /// Places that are not sold to the order, at most 64 of them.
    NotThisOrder {
        /// Seats in plan order, then areas with how many admissions are missing.
        places: Vec<PlaceInTheWay>,
    },
    /// Places of the event are held or sold, at most 64 of them.
    PlacesInUse {
        /// In plan order.
        places: Vec<PlaceInTheWay>,
    },
    /// The customer has as many places as the event allows.
    CustomerLimit {
        /// The limit.
        places_max: u32,
        /// The price level it is of; nothing: places of all levels together.
        level: Option<Box<str>>,
    },
    /// The customer has as many holds as the event allows.
    HoldQuota {
        /// The limit.
        holds_max: u32,
    },
    /// Too many holds of the customer expired unpaid.
    HoldCooldown {
        /// Until the next may be made.
        retry_after_ms: u64,
    },
    /// A memory budget is used up.
    CapacityBudget,
}

impl Reject {
    /// Nothing fits: sold out where nothing is held, else so many may come back.
    #[must_use]
    pub(crate) fn nothing_fits(is_sold_out: bool, held_unpaid: u32, quota: Option<Box<str>>) -> Self {
        if is_sold_out { Self::SoldOut { quota } } else { Self::NotEnoughPlaces { held_unpaid, quota } }
    }

    /// A field out of shape or bounds.
    #[must_use]
    pub const fn invalid(field: Field, problem: &'static str) -> Self {
        Self::Invalid { field, problem }
    }

    /// Whether the command took effect once (a repeated command whose hold has ended since).
    #[must_use]
    pub const fn executed(&self) -> bool {
        matches!(
            self,
            Self::HoldExpired { executed: true, .. }
                | Self::HoldReleased { executed: true }
                | Self::HoldAlreadyConfirmed { executed: true }
        )
    }

    /// Whether a Confirm with this answer can never sell, so that money taken for it is owed back.
    #[must_use]
    pub const fn refund_due_on_confirm(&self) -> bool {
        matches!(
            self,
            Self::HoldNotFound
                | Self::HoldExpired { .. }
                | Self::HoldReleased { .. }
                | Self::HoldAlreadyConfirmed { .. }
                | Self::EventCancelled
                | Self::EventNotFound
        )
    }
}
