//! Sales without a hold: box office and complimentary tickets. Such a sale is a hold that is born confirmed.
//!
//! Not here: sales of holds (`decide.rs`), what becomes of a sale later (`giving_back.rs`).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    allocation::AllocationKeys,
    best_available::Arrangement,
    change::{Change, HoldCause, HoldState, SoldDirect},
    command::{AdmissionWanted, Hold},
    digest::Hasher,
    event::Event,
    hold::Entry,
    ids::{CustomerKey, EventNumber, HoldId, OrderRef, RequestId, TimestampMs},
    limits::ID_AHEAD_MS_MAX,
    place::{Admission, Admissions, Move, PlaceState, SeatIndexes, Seats},
    policy::EventState,
    reach::Access,
    reject::{Field, Reject},
    rules::Bundle,
    slot::{Decision, Slot, Touched, merged},
    taking::{admit, areas_of, blocking, explicit_seats},
};

/// Places that are named one by one, with the kinds of their buyers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedPlaces {
    /// Plan revision the indexes were read at; 0: the first, while there is no other.
    pub plan_revision: u32,
    /// Seats by index.
    pub seats: SeatIndexes,
    /// Seats by key. They come after `seats`.
    pub seat_keys: Vec<Box<str>>,
    /// Admissions to areas, all or nothing.
    pub admissions: Vec<AdmissionWanted>,
    /// Kind of buyer for each seat: empty, or one for each.
    pub ticket_types: Vec<u8>,
    /// Allocations that may be taken from.
    pub allocations: AllocationKeys,
}

impl NamedPlaces {
    /// The hold that asks for the same places.
    fn to_hold(&self) -> Hold {
        Hold {
            hold_id: HoldId(0),
            seats: self.seats.clone(),
            seat_keys: self.seat_keys.clone(),
            admissions: self.admissions.clone(),
            best: None,
            ticket_types: self.ticket_types.clone(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: self.plan_revision,
            allocations: self.allocations.clone(),
        }
    }

    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        if self.admissions.iter().any(|wanted| wanted.quantity_min != 0) {
            return Err(Reject::invalid(Field::Ga, "min_quantity is for holds"));
        }
        self.to_hold().check()
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.to_hold().fingerprint()
    }
}

/// Sell open places at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SellDirect {
    /// Name of this request, and of the sale.
    pub request_id: RequestId,
    /// The order it belongs to.
    pub order: OrderRef,
    /// Which places.
    pub places: NamedPlaces,
    /// For whom, when limits by customer shall count it.
    pub customer: CustomerKey,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be sold.
    pub validate_only: bool,
}

impl SellDirect {
    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(16);
        hasher.word(self.places.fingerprint());
        hasher.bytes(self.order.as_str().as_bytes());
        hasher.word(self.customer.0);
        hasher.finish()
    }
}

/// Places that are open once others are given back: the given seats sorted, the given admissions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Freed<'a> {
    pub(crate) seats: &'a [u32],
    pub(crate) admissions: &'a [(HoldId, Admission)],
}

/// What is taken of the plan: seats and admissions that are open, or freed.
pub(crate) fn take_named(event: &Event, places: &NamedPlaces, freed: Freed<'_>) -> Result<(Seats, Admissions), Reject> {
    let hold = places.to_hold();
    let seats = explicit_seats(event, &hold)?;
    let areas = areas_of(event, &hold)?;
    let access = Access::without_window(event, &places.allocations);
    access.judge_tags(&seats, freed.seats)?;
    let freed_of = |area, source| {
        let of_source = freed.admissions.iter().filter(|(_, has)| (has.area, has.source) == (area, source));
        of_source.map(|(_, has)| u32::from(has.quantity)).sum::<u32>()
    };
    let admissions = admit(&access, &hold, &areas, freed_of)?;
    let in_the_way = blocking(event, seats.iter().map(|seat| seat.index), freed.seats);
    if in_the_way.is_empty() { Ok((seats, admissions)) } else { Err(Reject::PlacesUnavailable { places: in_the_way }) }
}

/// The limit of places of a customer, who gives some back.
pub(crate) fn judge_places(event: &Event, customer: CustomerKey, more: u32, given: u32) -> Result<(), Reject> {
    let limit = event.settings.policies.places_per_customer_max;
    let (has, _) = event.customer(customer);
    if limit > 0 && customer.is_some() && has - given + more > limit {
        return Err(Reject::CustomerLimit { places_max: limit, level: None });
    }
    Ok(())
}

impl Slot {
    pub(crate) fn decide_sell_direct(
        &self,
        now: TimestampMs,
        event: &Event,
        sell: &SellDirect,
    ) -> Result<Decision, Reject> {
        let fingerprint = sell.fingerprint();
        let hold_id = HoldId(sell.request_id.0);
        if let Some(entry) = self.remembered(now, event, hold_id) {
            let same = entry.fingerprint == fingerprint;
            return if same { Ok(self.known(event, entry, true)) } else { Err(Reject::RequestIdReused) };
        }
        if event.request_fingerprint(now, sell.request_id).is_some() {
            return Err(Reject::RequestIdReused);
        }
        let oldest = now.minus_ms(event.settings.policies.retry_window_ms()).max(event.id_floor);
        if hold_id.time() <= oldest {
            return Err(Reject::RequestIdTooOld);
        }
        if hold_id.time() >= now.plus_ms(ID_AHEAD_MS_MAX) {
            return Err(Reject::RequestIdInvalid);
        }
        event.judge_state(sell.expected_state)?;
        if event.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        let (seats, admissions) = take_named(event, &sell.places, Freed::default())?;
        let places = seats.len() as u32 + admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        let indexes: Vec<u32> = seats.iter().map(|seat| seat.index).collect();
        let taken = Bundle { seats: &indexes, admissions: &admissions };
        event.judge_quotas(taken, Bundle::default())?;
        judge_places(event, sell.customer, places, 0)?;
        event.judge_levels(sell.customer, taken, Bundle::default())?;
        if sell.validate_only {
            let mut indexes = indexes;
            indexes.sort_unstable();
            let areas = merged(admissions.iter().map(|a| (a.area, u32::from(a.quantity))));
            let touched = Touched { seats: indexes, areas, holds: Vec::new() };
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let (customer, order) = (sell.customer, sell.order.clone());
        let sold = SoldDirect { hold_id, fingerprint, customer, order, seats, admissions };
        Ok(Decision::Change(event.number, Change::SoldDirect(Box::new(sold))))
    }

    pub(crate) fn sell_direct(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        sold: &SoldDirect,
        renewals: u8,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let (hold_id, fingerprint) = (sold.hold_id, sold.fingerprint);
        let mut entry = Entry::new(number, hold_id, fingerprint, sold.customer, now, now, renewals, Arrangement::None);
        entry.set_places(&sold.seats, &sold.admissions);
        entry.mark_all_sold();
        entry.add_order(&sold.order);
        entry.set_state(HoldState::Confirmed, HoldCause::Requested);
        entry.ended_at = now;
        let hash = entry.hash();
        let at = self.holds.insert(entry);
        self.holds.add_order(at, &sold.order);
        let event = self.event_mut(number);
        let seats = sold.seats.iter().map(|seat| seat.index);
        event.move_seats(seats, PlaceState::Open, PlaceState::Sold, at, moves);
        let mut places = sold.seats.len() as u32;
        for admission in &sold.admissions {
            places += u32::from(admission.quantity);
            event.move_admission(*admission, PlaceState::Open, PlaceState::Sold, moves);
        }
        // At most 64.
        event.count_customer(sold.customer, places as i32, 0);
        let seats: SeatIndexes = sold.seats.iter().map(|seat| seat.index).collect();
        event.count_levels(sold.customer, Bundle { seats: &seats, admissions: &sold.admissions }, true);
        event.hash ^= hash;
    }
}
