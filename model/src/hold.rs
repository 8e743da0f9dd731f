//! One hold, live or remembered.

use std::collections::{BTreeMap, BTreeSet};

use inventory_core::{
    best_available::Arrangement,
    change::{HoldCause, HoldState, HoldView},
    ids::{CustomerKey, HoldId, OrderRef, RequestId, TimestampMs},
    limits::PAID_TOMBSTONE_MS,
    place::{Admission, Admissions, Seat, Seats},
    plan::Plan,
    policy::Policies,
    slot::SoldPart,
};

use crate::{
    allocations::{AllocationId, Draws},
    content::Content,
};

/// What became of a place of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Held, or held until the hold ended.
    Held,
    /// Sold to this order.
    Sold(OrderRef),
    /// Given back while the hold lived, or by the confirm that ended it, or after it was sold, or gone with
    /// an older plan.
    Freed,
    /// Withdrawn by the house while it was held; so many it had withdrawn from the hold before.
    Lost(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct HeldSeat {
    pub(crate) key: String,
    pub(crate) ticket_type: u8,
    pub(crate) fate: Fate,
}

/// Admissions of one area and ticket type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) held: Draws,
    /// By the order they were sold to.
    pub(crate) sold: BTreeMap<OrderRef, Draws>,
}

impl Admitted {
    pub(crate) fn sold_count(&self) -> u32 {
        self.sold.values().map(Draws::count).sum()
    }

    pub(crate) fn sold_to(&self, order: &OrderRef) -> u32 {
        self.sold.get(order).map_or(0, Draws::count)
    }

    /// So many that are held are sold.
    pub(crate) fn sell(&mut self, quantity: u32, order: &OrderRef) {
        let sold = self.held.take(quantity);
        if quantity > 0 {
            self.sold.entry(order.clone()).or_default().add_all(&sold);
        }
    }

    /// So many that are sold come back. Tells what they were drawn from.
    pub(crate) fn give_back(&mut self, quantity: u32, order: &OrderRef) -> Draws {
        let has = self.sold.get_mut(order).expect("checked before");
        let given = has.take(quantity);
        if has.count() == 0 {
            self.sold.remove(order);
        }
        given
    }
}

/// A payment that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub(crate) attempt_id: RequestId,
    pub(crate) deadline: TimestampMs,
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) id: HoldId,
    pub(crate) content: Content,
    pub(crate) customer: CustomerKey,
    pub(crate) created_at: TimestampMs,
    /// When it expires, unless a payment is open.
    pub(crate) expires_at: TimestampMs,
    pub(crate) renewals: u32,
    /// There is one exactly while the hold is paying.
    pub(crate) payment: Option<Payment>,
    /// Every attempt there was, open or ended.
    pub(crate) attempts: Vec<RequestId>,
    /// Attempts of the hold it replaced: they count, but nobody knows their names here.
    pub(crate) attempts_inherited: u32,
    pub(crate) state: HoldState,
    pub(crate) cause: HoldCause,
    pub(crate) ended_at: TimestampMs,
    /// When it is forgotten, if nothing of it is sold. Set when it ends.
    pub(crate) forget_at: TimestampMs,
    /// Of the seats it was made with.
    pub(crate) tags: BTreeSet<AllocationId>,
    /// Explicit seats in request order, then chosen ones in plan order.
    pub(crate) seats: Vec<HeldSeat>,
    /// By area key and ticket type.
    pub(crate) admissions: BTreeMap<(String, u8), Admitted>,
    /// In order of first sale.
    pub(crate) orders: Vec<OrderRef>,
    /// The order of the last sale.
    pub(crate) order_last: Option<OrderRef>,
    /// The attempt that the last sale named.
    pub(crate) attempt_last: Option<RequestId>,
    /// The last sale named places: it was not of the whole.
    pub(crate) sold_in_part: bool,
    pub(crate) request_last: Option<(RequestId, Content)>,
    pub(crate) arrangement: Arrangement,
    /// A plan without some place it held when it ended has come: never to be reclaimed.
    pub(crate) dropped: bool,
}

impl Hold {
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, HoldState::Active | HoldState::Paying)
    }

    /// When it ends, or its payment does.
    pub(crate) fn deadline(&self) -> TimestampMs {
        self.payment.map_or(self.expires_at, |payment| payment.deadline)
    }

    pub(crate) fn attempts_used(&self) -> u32 {
        self.attempts_inherited + self.attempts.len() as u32
    }

    /// It is paying, or was.
    pub(crate) fn ever_paid(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// The payment, if one is open, has ended, and the hold has at least until `until`.
    pub(crate) fn stop_paying(&mut self, until: TimestampMs) {
        if self.payment.take().is_some() {
            self.state = HoldState::Active;
            self.expires_at = self.expires_at.max(until);
        }
    }

    /// Seats it holds, or held when it ended.
    pub(crate) fn held_seats(&self) -> impl Iterator<Item = &HeldSeat> {
        self.seats.iter().filter(|seat| seat.fate == Fate::Held)
    }

    pub(crate) fn sold_seats(&self) -> impl Iterator<Item = &HeldSeat> {
        self.seats.iter().filter(|seat| matches!(seat.fate, Fate::Sold(_)))
    }

    /// Kill by kill.
    pub(crate) fn lost_seats(&self) -> impl Iterator<Item = &HeldSeat> {
        let before = |seat: &HeldSeat| match seat.fate {
            Fate::Lost(before) => Some(before),
            _ => None,
        };
        let mut lost: Vec<&HeldSeat> = self.seats.iter().filter(|seat| before(seat).is_some()).collect();
        lost.sort_by_key(|seat| before(seat));
        lost.into_iter()
    }

    /// Places it holds, while it lives; those it held when it ended, after that.
    pub(crate) fn held_count(&self) -> u32 {
        self.held_seats().count() as u32 + self.admissions.values().map(|a| a.held.count()).sum::<u32>()
    }

    pub(crate) fn sold_count(&self) -> u32 {
        self.sold_seats().count() as u32 + self.admissions.values().map(Admitted::sold_count).sum::<u32>()
    }

    /// It ends. The places it held stay named, for a reclaim.
    pub(crate) fn end(&mut self, now: TimestampMs, state: HoldState, cause: HoldCause, retry_window_ms: u64) {
        assert!(self.is_live() || self.state == HoldState::Expired, "ends once, or is reclaimed");
        self.state = state;
        self.cause = cause;
        self.ended_at = now;
        self.payment = None;
        self.forget_at = self.end_of_memory(retry_window_ms);
    }

    /// Until when it is remembered that ended.
    pub(crate) fn end_of_memory(&self, retry_window_ms: u64) -> TimestampMs {
        // A late payment needs its places.
        let memory_ms = if self.ever_paid() { PAID_TOMBSTONE_MS } else { retry_window_ms };
        self.id.time().max(self.ended_at).plus_ms(memory_ms)
    }

    /// All that is held becomes sold.
    pub(crate) fn sell_held(&mut self, order: &OrderRef) {
        let held = self.seats.iter_mut().filter(|seat| seat.fate == Fate::Held);
        held.for_each(|seat| seat.fate = Fate::Sold(order.clone()));
        self.admissions.values_mut().for_each(|admitted| admitted.sell(admitted.held.count(), order));
    }

    /// All that is held is given back.
    pub(crate) fn free_held(&mut self) {
        self.seats.iter_mut().filter(|seat| seat.fate == Fate::Held).for_each(|seat| seat.fate = Fate::Freed);
        self.admissions.values_mut().for_each(|admitted| admitted.held = Draws::default());
    }

    pub(crate) fn note_order(&mut self, order: &OrderRef) {
        if !self.orders.contains(order) {
            self.orders.push(order.clone());
        }
        self.order_last = Some(order.clone());
    }

    /// A hold that ended with a place that `plan` does not have forgets all it held: it can never be
    /// reclaimed, also if a later plan has the key again.
    pub(crate) fn drop_what_is_not_in(&mut self, plan: &Plan) {
        let seat_gone = self.held_seats().any(|seat| plan.find_seat(&seat.key).is_none());
        let mut areas = self.admissions.iter();
        let area_gone = areas.any(|((area, _), admitted)| admitted.held.count() > 0 && plan.find_area(area).is_none());
        if seat_gone || area_gone {
            assert!(!self.is_live(), "a plan keeps what live holds hold");
            self.free_held();
            self.dropped = true;
        }
    }

    /// What of it is sold to the order.
    pub(crate) fn part_of(&self, order: &OrderRef, plan: &Plan) -> SoldPart {
        let seats = self.seats.iter().filter(|seat| seat.fate == Fate::Sold(order.clone()));
        SoldPart {
            hold_id: self.id,
            order: order.clone(),
            seats: indexed(seats, plan),
            admissions: self.admissions_by(plan, |admitted| admitted.sold_to(order)),
        }
    }

    /// Admissions of the plan, as many as `count` says.
    fn admissions_by(&self, plan: &Plan, count: impl Fn(&Admitted) -> u32) -> Admissions {
        let mut list: Admissions = self
            .admissions
            .iter()
            .filter(|(_, admitted)| count(admitted) > 0)
            .filter_map(|((area, ticket_type), admitted)| {
                Some(Admission {
                    source: 0,
                    area: plan.find_area(area)?,
                    ticket_type: *ticket_type,
                    quantity: u8::try_from(count(admitted)).expect("a hold has at most 64 places"),
                })
            })
            .collect();
        list.sort_unstable();
        list
    }

    /// As a caller may see it. Of an ended hold only what is sold is named.
    pub(crate) fn view(&self, plan: &Plan, plan_revision: u32, policies: &Policies) -> HoldView {
        let live = self.is_live();
        HoldView {
            hold_id: self.id,
            state: self.state,
            cause: self.cause,
            seats: if live { indexed(self.held_seats(), plan) } else { Seats::new() },
            admissions: if live { self.admissions_by(plan, |a| a.held.count()) } else { Admissions::new() },
            sold_seats: indexed(self.sold_seats(), plan),
            sold_admissions: self.admissions_by(plan, Admitted::sold_count),
            created_at: self.created_at,
            expires_at: self.expires_at,
            payment_deadline: self.payment.map_or(TimestampMs(0), |payment| payment.deadline),
            payment_attempts_left: policies.payment_attempts_max.saturating_sub(self.attempts_used()),
            places_lost: self.lost_seats().count() as u32,
            ended_at: self.ended_at,
            renewals_left: policies.renewals_max.saturating_sub(self.renewals),
            plan_revision,
            orders: self.orders.clone(),
            arrangement: self.arrangement,
            cart: None,
        }
    }
}

/// Seats by index, those that the plan has.
fn indexed<'a>(seats: impl Iterator<Item = &'a HeldSeat>, plan: &Plan) -> Seats {
    let seat = |seat: &HeldSeat| Some(Seat { index: plan.find_seat(&seat.key)?, ticket_type: seat.ticket_type });
    seats.filter_map(seat).collect()
}
