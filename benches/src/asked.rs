//! Commands as an edge hands them over, parsed.

use inventory_core::{
    command::{
        AdmissionWanted, AreaName, BestAvailable, Command, Confirm, Extend, Hold, Part, Release, Remainder, Suggest,
    },
    ids::{CustomerKey, HoldId, OrderRef, RequestId, TimestampMs},
};

use crate::seeded::scattered;

/// A UUIDv7 of this time: the bits that a frontend draws are those of `number`, scattered.
#[must_use]
pub fn uuid(time: TimestampMs, number: u64) -> u128 {
    let high = u64::wrapping_shl(time.0, 16) | 0x7000 | scattered(number ^ 1 << 63) >> 52;
    u128::from(high) << 64 | u128::from(1 << 63 | scattered(number) >> 2)
}

/// The id of a hold.
#[must_use]
pub fn hold_id(time: TimestampMs, number: u64) -> HoldId {
    HoldId(uuid(time, number))
}

/// A hold of nothing yet.
fn blank(hold_id: HoldId, customer: CustomerKey) -> Hold {
    Hold {
        allocations: Default::default(),
        hold_id,
        seats: Vec::new().into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }
}

/// These seats, by index.
#[must_use]
pub fn hold_seats(hold_id: HoldId, customer: CustomerKey, seats: Vec<u32>) -> Command {
    Command::Hold(Box::new(Hold { seats: seats.into(), ..blank(hold_id, customer) }))
}

/// So many admissions to the first area.
#[must_use]
pub fn hold_admissions(hold_id: HoldId, customer: CustomerKey, quantity: u8) -> Command {
    let admission = AdmissionWanted { area: AreaName::Index(0), quantity, quantity_min: 0, ticket_type: 0 };
    Command::Hold(Box::new(Hold { admissions: vec![admission], ..blank(hold_id, customer) }))
}

/// The best seats, so many, by any rung.
#[must_use]
pub fn hold_best(hold_id: HoldId, customer: CustomerKey, quantity: u8) -> Command {
    let best = BestAvailable { quantity, ..BestAvailable::default() };
    Command::Hold(Box::new(Hold { best: Some(best), ..blank(hold_id, customer) }))
}

/// The best seats, so many side by side.
#[must_use]
pub fn hold_best_adjacent(hold_id: HoldId, customer: CustomerKey, quantity: u8) -> Command {
    let best = BestAvailable { quantity, contiguous_only: true, ..BestAvailable::default() };
    Command::Hold(Box::new(Hold { best: Some(best), ..blank(hold_id, customer) }))
}

/// So many ways to seat a party, by any rung.
#[must_use]
pub fn suggest(quantity: u8, options_max: u8) -> Command {
    let best = BestAvailable { quantity, ..BestAvailable::default() };
    Command::Suggest(Box::new(Suggest { allocations: Default::default(), best, options_max, plan_revision: 0 }))
}

/// All of a hold is sold.
#[must_use]
pub fn confirm(hold_id: HoldId) -> Command {
    Command::Confirm(Box::new(Confirm {
        hold_id,
        request_id: None,
        // Orders are of one buyer each, mostly.
        order: OrderRef::parse(&format!("A-{:x}", hold_id.0 as u32)).expect("it is printable"),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: false,
        attempt_id: None,
    }))
}

/// All of a hold is given back.
#[must_use]
pub fn release(hold_id: HoldId) -> Command {
    Command::Release(Box::new(Release { hold_id, request_id: None, part: Part::default(), abort_payment: false }))
}

/// A hold gets the event's default time again.
#[must_use]
pub fn extend(hold_id: HoldId, request_id: RequestId) -> Command {
    Command::Extend(Extend { hold_id, request_id, ttl_ms: 0 })
}
