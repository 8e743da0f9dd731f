//! What happened: one entry of the log, resolved (seats chosen, limits checked), so that applying it
//! needs no search, no clock and no configuration.
//!
//! Not here: the bytes (`codec`), deciding (`decide.rs`), applying (`apply.rs`).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    best_available::Arrangement,
    cart::{Cart, CartConfirmed, CartHeld, CartReleased},
    command::{PaymentOutcome, Remainder},
    giving_back::ReturnTo,
    ids::{CustomerKey, EventId, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, RequestId, TimestampMs},
    place::{Admission, Admissions, SeatIndexes, Seats},
    policy::Settings,
};

/// A change with where it belongs. The run it stands in names the slot and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The event within its slot.
    pub event: EventNumber,
    /// Number of this change within the event, from 1, dense.
    pub event_seq: u32,
    /// Low 32 bits of the event's state hash after this change: replay proves itself.
    pub digest: u32,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An event was made.
    EventCreated(Box<EventCreated>),
    /// Settings or plan of an event were set.
    EventUpdated(Box<EventUpdated>),
    /// Places were taken for a limited time.
    Held(Held),
    /// A hold has a later deadline.
    Extended(Extended),
    /// Places of a hold were sold.
    Confirmed(Confirmed),
    /// Places of a hold were given back by request.
    Released(Released),
    /// Holds ended by time, at most 64.
    Expired(Vec<HoldId>),
    /// Live deadlines moved: the process was away.
    Resumed(Resumed),
    /// Ids at or below this time are forgotten, but for ended holds that ever were paying.
    FloorRaised(TimestampMs),
    /// Ids at or below this time are forgotten, all of them.
    PaidForgotten(TimestampMs),
    /// A payment is open.
    PaymentBegan(PaymentBegan),
    /// A payment has come to nothing.
    PaymentEnded(PaymentEnded),
    /// Payments were open too long, of at most 64 holds that live on.
    PaymentsLapsed(Vec<HoldId>),
    /// Open places were sold without a hold.
    SoldDirect(Box<SoldDirect>),
    /// Sold places came back.
    Returned(Box<Returned>),
    /// Sold places were given for others.
    Exchanged(Box<Exchanged>),
    /// Places were withdrawn by the house.
    Killed(Box<Killed>),
    /// Withdrawn places are open again.
    Unkilled(Box<Unkilled>),
    /// Places were set aside.
    AllocationSet(Box<AllocationSet>),
    /// Places are set aside no longer.
    AllocationRemoved(Box<AllocationRemoved>),
    /// Places have another price level.
    PriceLevelSet(Box<PriceLevelSet>),
    /// Places that had rested are open, at most 64.
    Rested(Rested),
    /// A part of a cart was made.
    CartHeld(Box<CartHeld>),
    /// A part of a cart was sold.
    CartConfirmed(Box<CartConfirmed>),
    /// A part of a cart was given back.
    CartReleased(CartReleased),
    /// Every other event of a cart has applied what this one decided.
    CartSettled(HoldId),
    /// The event left memory.
    EventRetired(EventRetired),
}

impl Change {
    /// The plan it names: whoever applies it must have that plan.
    #[must_use]
    pub fn plan_named(&self) -> Option<&PlanDigest> {
        // Every kind is listed: one that names a plan and is left out here is applied without it.
        match self {
            Change::EventCreated(created) => Some(&created.plan),
            Change::EventUpdated(updated) => updated.plan.as_ref(),
            Change::PriceLevelSet(set) => Some(&set.plan),
            Change::Held(_)
            | Change::Extended(_)
            | Change::Confirmed(_)
            | Change::Released(_)
            | Change::Expired(_)
            | Change::Resumed(_)
            | Change::FloorRaised(_)
            | Change::PaidForgotten(_)
            | Change::PaymentBegan(_)
            | Change::PaymentEnded(_)
            | Change::PaymentsLapsed(_)
            | Change::SoldDirect(_)
            | Change::Returned(_)
            | Change::Exchanged(_)
            | Change::Killed(_)
            | Change::Unkilled(_)
            | Change::AllocationSet(_)
            | Change::AllocationRemoved(_)
            | Change::Rested(_)
            | Change::CartHeld(_)
            | Change::CartConfirmed(_)
            | Change::CartReleased(_)
            | Change::CartSettled(_)
            | Change::EventRetired(_) => None,
        }
    }
}

/// Places have another price level. The plan revision stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceLevelSet {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// The plan with the levels.
    pub plan: PlanDigest,
    /// Seats, sorted.
    pub seats: Vec<u32>,
    /// Areas, each whole.
    pub areas: Vec<(u16, u32)>,
}

/// Places that had rested are open. Each with the time until which it was to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rested {
    /// Seats.
    pub seats: Vec<(TimestampMs, u32)>,
    /// Admissions, as a hold had them.
    pub admissions: Vec<(TimestampMs, Admission)>,
}

/// Places were set aside; the allocation is made if it was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationSet {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// Key of the allocation.
    pub key: Box<str>,
    /// Its window from now on; zero: that of the event.
    pub opens_at: TimestampMs,
    /// Its window from now on; zero: that of the event.
    pub closes_at: TimestampMs,
    /// Seats that get its tag, sorted.
    pub seats: Vec<u32>,
    /// Quotas as they are from now on: area, how many.
    pub areas: Vec<(u16, u32)>,
}

/// Places are set aside no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationRemoved {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// Key of the allocation.
    pub key: Box<str>,
    /// It is gone.
    pub whole: bool,
    /// Seats that lose its tag, sorted; of a whole allocation none is named.
    pub seats: Vec<u32>,
    /// By how many its quotas shrink: area, how many; of a whole allocation none is named.
    pub areas: Vec<(u16, u32)>,
}

/// The event left memory. Its image is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRetired {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
}

/// Open places were sold without a hold: a hold that is born confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldDirect {
    /// Name of the sale: that of the request.
    pub hold_id: HoldId,
    /// Fingerprint of the command's content.
    pub fingerprint: u64,
    /// For whom.
    pub customer: CustomerKey,
    /// The order.
    pub order: OrderRef,
    /// Seats in request order.
    pub seats: Seats,
    /// Admissions.
    pub admissions: Admissions,
}

/// Sold places came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The request, with the fingerprint of its content.
    pub request: Option<(RequestId, u64)>,
    /// The order they were sold to.
    pub order: OrderRef,
    /// Where they went.
    pub to: ReturnTo,
    /// Why they were killed; empty when they were not.
    pub reason: Box<str>,
    /// Seats, sorted.
    pub seats: Vec<u32>,
    /// Admissions, with the hold they were sold from, in order of its ids.
    pub admissions: Vec<(HoldId, Admission)>,
}

/// Sold places were given for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// What was given, first.
    pub returned: Returned,
    /// What was taken, then.
    pub taken: Taken,
}

/// What was taken in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Open places.
    Sale(SoldDirect),
    /// All that a hold had.
    Hold(Confirmed),
}

/// Places were withdrawn by the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// Why.
    pub reason: Box<str>,
    /// Seats that were open or held, sorted.
    pub seats: Vec<u32>,
    /// Open admissions: area, how many.
    pub areas: Vec<(u16, u32)>,
    /// Holds that lost seats, in order of their ids.
    pub holds: Vec<HoldId>,
}

/// Withdrawn places are open again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unkilled {
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// Seats, sorted.
    pub seats: Vec<u32>,
    /// Admissions: area, how many.
    pub areas: Vec<(u16, u32)>,
}

/// An event was made. Plan revision 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCreated {
    /// Its name.
    pub id: EventId,
    /// Its key.
    pub key: EventKey,
    /// Its plan.
    pub plan: PlanDigest,
    /// Fingerprint of the creation content.
    pub fingerprint: u64,
    /// Everything else.
    pub settings: Settings,
}

/// The event's settings as they are from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventUpdated {
    /// The request, to be remembered, with its fingerprint.
    pub request: Option<(RequestId, u64)>,
    /// A new plan; the plan revision grows by one.
    pub plan: Option<PlanDigest>,
    /// All settings.
    pub settings: Settings,
}

/// Places were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Name of the hold.
    pub hold_id: HoldId,
    /// Fingerprint of the command's content.
    pub fingerprint: u64,
    /// For whom.
    pub customer: CustomerKey,
    /// When its life began (that of the first hold of a chain of replacements).
    pub created_at: TimestampMs,
    /// Its deadline.
    pub expires_at: TimestampMs,
    /// Extends used (inherited by replacement).
    pub renewals: u8,
    /// Payment attempts used (inherited by replacement).
    pub attempts: u8,
    /// The hold that ended as released, cause `replaced`.
    pub replaced: Option<HoldId>,
    /// How the chosen seats lie.
    pub arrangement: Arrangement,
    /// Allocations that seats of it are of, by number, sorted: a late payment may have them again.
    pub tags: Box<[u8]>,
    /// Seats: explicit in request order, then chosen in plan order.
    pub seats: Seats,
    /// Admissions.
    pub admissions: Admissions,
}

/// A hold has a later deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Which hold.
    pub hold_id: HoldId,
    /// The request, with the fingerprint of its content.
    pub request: (RequestId, u64),
    /// The new deadline.
    pub expires_at: TimestampMs,
}

/// Places of a hold were sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Which hold.
    pub hold_id: HoldId,
    /// The request, with the fingerprint of its content, when it named one.
    pub request: Option<(RequestId, u64)>,
    /// The order.
    pub order: OrderRef,
    /// The seats sold, by index; with `admissions` empty too: all that was held.
    pub seats: SeatIndexes,
    /// The admissions sold.
    pub admissions: Admissions,
    /// What became of the rest.
    pub remainder: Remainder,
    /// The hold had expired; its places were open still and are sold now.
    pub reclaimed: bool,
    /// The attempt that paid.
    pub attempt_id: Option<RequestId>,
    /// The deadline of what is kept, when a payment ended with this.
    pub expires_at: Option<TimestampMs>,
}

/// Places of a hold were given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Which hold.
    pub hold_id: HoldId,
    /// The request, with the fingerprint of its content, when it named one.
    pub request: Option<(RequestId, u64)>,
    /// The seats opened, by index; with `admissions` empty too: all that was held.
    pub seats: SeatIndexes,
    /// The admissions opened.
    pub admissions: Admissions,
    /// The deadline of what is kept, when a payment was aborted with this.
    pub expires_at: Option<TimestampMs>,
}

/// A payment is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentBegan {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of the attempt.
    pub attempt_id: RequestId,
    /// When it must have ended.
    pub deadline: TimestampMs,
}

/// A payment has come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentEnded {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of the attempt.
    pub attempt_id: RequestId,
    /// What became of it.
    pub outcome: PaymentOutcome,
    /// The hold's deadline from now on.
    pub expires_at: TimestampMs,
}

/// Why live deadlines moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResumeCause {
    /// The process was away.
    Outage = 0,
    /// The state was restored from a backup.
    Restored = 1,
}

/// Every live deadline of the event moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// By so much.
    pub shift_ms: u64,
    /// Why.
    pub cause: ResumeCause,
}

/// State of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum HoldState {
    /// Live.
    Active = 0,
    /// Live, a payment is open.
    Paying = 1,
    /// Ended as a sale.
    Confirmed = 2,
    /// Ended by request.
    Released = 3,
    /// Ended by time.
    Expired = 4,
}

/// Why a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum HoldCause {
    /// It has not ended.
    None = 0,
    /// By a call.
    Requested = 1,
    /// By another hold that took its place.
    Replaced = 2,
    /// By time.
    Deadline = 3,
    /// Its last place was withdrawn by the house.
    Killed = 4,
    /// The event was cancelled.
    Cancelled = 5,
    /// Another event would not make its part of the cart.
    CartRefused = 6,
    /// Another event had no part of the cart.
    PartMissing = 7,
}

/// A hold as a caller may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// Its name.
    pub hold_id: HoldId,
    /// Its state.
    pub state: HoldState,
    /// Why it ended.
    pub cause: HoldCause,
    /// Seats still held.
    pub seats: Seats,
    /// Admissions still held.
    pub admissions: Admissions,
    /// Seats sold.
    pub sold_seats: Seats,
    /// Admissions sold.
    pub sold_admissions: Admissions,
    /// When its life began.
    pub created_at: TimestampMs,
    /// When it expires unless a payment is open; zero: it has ended.
    pub expires_at: TimestampMs,
    /// When an open payment must have ended; zero: none is open.
    pub payment_deadline: TimestampMs,
    /// Payments that may still be begun.
    pub payment_attempts_left: u32,
    /// How many places the house withdrew from it.
    pub places_lost: u32,
    /// When it ended; zero: it lives.
    pub ended_at: TimestampMs,
    /// Extends left.
    pub renewals_left: u32,
    /// Plan revision its indexes belong to.
    pub plan_revision: u32,
    /// Orders its places were sold to, in order of first sale.
    pub orders: Vec<OrderRef>,
    /// How the chosen seats lie.
    pub arrangement: Arrangement,
    /// The cart it is a part of.
    pub cart: Option<Cart>,
}
