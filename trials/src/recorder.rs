//! A client that writes down what it asks and what it is told.
//!
//! Commands go over the Session of the client library, which repeats them with the same ids; seat maps go as unary
//! calls. What the library gives back is taken as it is: this file judges nothing.

use std::time::Instant;

use client::{
    Client, ConfirmRequest, Error, ExtendRequest, HoldId, HoldRequest, PlaceInTheWay, Reason, ReleaseRequest,
};
use proto::inventory::v1::{BestAvailable, GaItem, GetSeatMapRequest, Hold, HoldState, PlaceState, Remainder, SeatMap};

use crate::history::{Call, HoldTold, Id, Operation, Outcome, Part, Phase, Told};

/// One client of one event.
#[derive(Debug)]
pub struct Recorder {
    /// The connection.
    pub client: Client,
    /// Its number in the history.
    pub number: u32,
    /// The event.
    pub event_id: String,
    /// Where the campaign's clock began.
    pub began: Instant,
}

impl Recorder {
    /// Asks, and waits for whatever comes of it.
    pub async fn ask(&self, call: Call) -> Operation {
        let asked_ns = self.now_ns();
        let outcome = self.outcome(&call).await;
        Operation { client: self.number, asked_ns, ended_ns: self.now_ns(), call, outcome }
    }

    /// The campaign's clock.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    async fn outcome(&self, call: &Call) -> Outcome {
        let answered = match call {
            Call::Hold { hold, seats, floor, floor_min, best, replace, ttl_ms } => {
                let mut request = HoldRequest::new(&self.event_id)
                    .id(hold_id(*hold))
                    .seats(seats.iter().copied())
                    .ttl(std::time::Duration::from_millis(*ttl_ms));
                if *floor > 0 {
                    request =
                        request.ga_item(GaItem { quantity: *floor, min_quantity: *floor_min, ..GaItem::default() });
                }
                if *best > 0 {
                    // What the judges of histories know: adjacent seats.
                    let adjacent = BestAvailable { quantity: *best, contiguous_only: true, ..BestAvailable::default() };
                    request = request.best_available_of(adjacent);
                }
                if let Some(old) = replace {
                    request = request.replace(hold_id(*old));
                }
                self.client.hold(request).await.map(|held| {
                    let told = Told::Held {
                        floor: admissions(&held.ga),
                        seats: held.seats,
                        expires_at_ms: held.expires_at_ms,
                        arrangement: held.arrangement as i32,
                        replayed: held.replayed,
                    };
                    (held.position, held.server_time_ms, told)
                })
            }
            Call::Confirm { hold, order, part, release_rest } => {
                let mut request = ConfirmRequest::new(&self.event_id, hold_id(*hold), order);
                if let Some(Part { request: id, seats, floor }) = part {
                    let rest = if *release_rest { Remainder::Release } else { Remainder::Keep };
                    request = request.only_seats(seats.iter().copied(), rest).request_id(request_id(*id));
                    if *floor > 0 {
                        request = request.only_ga(GaItem { quantity: *floor, ..GaItem::default() }, rest);
                    }
                }
                self.client.confirm(request).await.map(|done| {
                    let told =
                        Told::Confirmed { floor: admissions(&done.ga), seats: done.seats, replayed: done.replayed };
                    (done.position, done.server_time_ms, told)
                })
            }
            Call::Release { hold, part } => {
                let mut request = ReleaseRequest::new(&self.event_id, hold_id(*hold));
                if let Some(Part { request: id, seats, floor }) = part {
                    request = request.only_seats(seats.iter().copied()).request_id(request_id(*id));
                    if *floor > 0 {
                        request = request.only_ga(GaItem { quantity: *floor, ..GaItem::default() });
                    }
                }
                let done = self.client.release(request).await;
                done.map(|done| (done.position, done.server_time_ms, Told::Released { replayed: done.replayed }))
            }
            Call::Extend { hold, request, ttl_ms } => {
                let request = ExtendRequest::new(&self.event_id, hold_id(*hold))
                    .ttl(std::time::Duration::from_millis(*ttl_ms))
                    .request_id(request_id(*request));
                self.client.extend(request).await.map(|done| {
                    let told = Told::Extended { expires_at_ms: done.expires_at_ms, replayed: done.replayed };
                    (done.position, done.server_time_ms, told)
                })
            }
            Call::GetHold { hold } => {
                let read = self.client.read_hold(&self.event_id, hold_id(*hold)).await;
                read.map(|read| (read.position, read.server_time_ms, Told::Hold(hold_told(&read.hold))))
            }
            Call::SeatMap => {
                let request = GetSeatMapRequest { event_id: self.event_id.clone(), ..GetSeatMapRequest::default() };
                self.client.unary().get_seat_map(request).await.map(|answer| {
                    let map = answer.seat_map.unwrap_or_default();
                    (map.position, answer.server_time_ms, map_told(&map))
                })
            }
        };
        match answered {
            Ok((position, server_time_ms, told)) => Outcome::Answered { position, server_time_ms, told },
            Err(error) => of_error(&error),
        }
    }
}

/// What a failed call means.
fn of_error(error: &Error) -> Outcome {
    if error.outcome_unknown() {
        return Outcome::Unknown { problem: error.to_string() };
    }
    let Some(refusal) = error.refusal() else {
        return Outcome::NotDone { reason: error.to_string() };
    };
    if !is_judged(refusal.reason) {
        return Outcome::NotDone { reason: refusal.reason_name.clone() };
    }
    let seats = refusal.places.iter().filter_map(|place| match place {
        PlaceInTheWay::Seat { index, state } => Some((*index, letter(*state))),
        PlaceInTheWay::Area { .. } => None,
    });
    Outcome::Answered {
        position: refusal.position,
        server_time_ms: refusal.server_time_ms,
        told: Told::Refused {
            reason: refusal.reason_name.clone(),
            executed: refusal.executed == client::Executed::True,
            seats: seats.collect(),
            held_unpaid: refusal.held_unpaid(),
        },
    }
}

/// Whether the state machine gave this refusal. The others say how the server is.
fn is_judged(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::Unspecified
            | Reason::Overloaded
            | Reason::Draining
            | Reason::Recovering
            | Reason::StorageLow
            | Reason::StorageFailed
            | Reason::DeadlineExceeded
            | Reason::RateLimited
            | Reason::Internal
    )
}

fn hold_id(id: Id) -> HoldId {
    HoldId::from_halves(high(id), low(id))
}

fn request_id(id: Id) -> client::RequestId {
    client::RequestId::from_halves(high(id), low(id))
}

fn high(id: Id) -> u64 {
    u64::try_from(id.0 >> 64).unwrap_or(0)
}

fn low(id: Id) -> u64 {
    u64::try_from(id.0 & u128::from(u64::MAX)).unwrap_or(0)
}

/// The house has one area.
fn admissions(items: &[GaItem]) -> u32 {
    items.iter().map(|item| item.quantity).sum()
}

fn letter(state: PlaceState) -> char {
    match state {
        PlaceState::Open => '.',
        PlaceState::Held => 'h',
        PlaceState::Sold => 'S',
        PlaceState::Unavailable | PlaceState::Unspecified => '?',
    }
}

fn hold_told(hold: &Hold) -> HoldTold {
    HoldTold {
        phase: match hold.state() {
            HoldState::Confirmed => Phase::Confirmed,
            HoldState::Released => Phase::Released,
            HoldState::Expired => Phase::Expired,
            HoldState::Active | HoldState::Paying | HoldState::Unspecified => Phase::Active,
        },
        seats: hold.seats.clone(),
        floor: admissions(&hold.ga),
        sold_seats: hold.sold_seats.clone(),
        sold_floor: admissions(&hold.sold_ga),
        created_at_ms: hold.created_at_ms,
        expires_at_ms: hold.expires_at_ms,
        ended_at_ms: hold.ended_at_ms,
        renewals_left: hold.renewals_left,
        orders: hold.order_refs.clone(),
        cause: hold.cause,
    }
}

fn map_told(map: &SeatMap) -> Told {
    let letter = |seat: u32| {
        let byte = usize::try_from(seat / 4).ok().and_then(|at| map.states.get(at)).copied().unwrap_or(0);
        ['.', 'h', 'S', '?'][usize::from(byte >> (2 * (seat % 4)) & 3)]
    };
    let counts = map.ga.first().and_then(|area| area.counts).unwrap_or_default();
    Told::Map { seats: (0..map.seat_count).map(letter).collect(), floor: (counts.open, counts.held, counts.sold) }
}
