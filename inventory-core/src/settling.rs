//! What becomes of a hold: more time, a payment, a sale, its end.
//!
//! Not here: how a hold is made (`taking.rs`), sold places later (`giving_back.rs`), carts (`cart.rs`).

use alloc::vec::Vec;

use crate::{
    allocation::AllocationKeys,
    cart::not_in_open_cart,
    change::{Change, Confirmed, Extended, HoldState, PaymentBegan, PaymentEnded, Released},
    command::{BeginPayment, Confirm, EndPayment, Extend, Part, Release},
    decide::{check_revision, live_or_ended},
    event::Event,
    hold::{Entry, unsold_count},
    ids::{RequestId, TimestampMs},
    place::{Admission, Admissions, Moved, PlaceState, SeatIndexes},
    policy::EventState,
    reach::Access,
    reject::{Field, PlaceInTheWay, Reject},
    rules::Bundle,
    slot::{Decision, Slot, merged},
};

impl Slot {
    pub(crate) fn decide_extend(&self, now: TimestampMs, event: &Event, extend: &Extend) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, extend.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let fingerprint = extend.fingerprint();
        if answered_before(entry, Some(extend.request_id), fingerprint)? && !probe::planted!(ExtendExecutedAgain) {
            return Ok(self.known(event, entry, true));
        }
        still_active(now, event, entry)?;
        not_overtaken(entry, extend.request_id)?;
        let policies = &event.settings.policies;
        let ttl_ms = if extend.ttl_ms == 0 { u64::from(policies.hold_ttl_s) * 1_000 } else { u64::from(extend.ttl_ms) };
        let furthest = entry.created_at.plus_ms(u64::from(policies.lifetime_s_max) * 1_000);
        let expires_at = now.plus_ms(ttl_ms).min(furthest);
        if u32::from(entry.renewals) >= policies.renewals_max || expires_at <= entry.until {
            return Err(Reject::RenewalCap);
        }
        let request = (extend.request_id, fingerprint);
        let extended = Extended { hold_id: extend.hold_id, request, expires_at };
        Ok(Decision::Change(event.number, Change::Extended(extended)))
    }

    pub(crate) fn decide_confirm(
        &self,
        now: TimestampMs,
        event: &Event,
        confirm: &Confirm,
    ) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, confirm.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let whole = confirm.part.is_whole();
        let fingerprint = confirm.fingerprint();
        if !whole && answered_before(entry, confirm.request_id, fingerprint)? {
            return Ok(self.known(event, entry, true));
        }
        let state = live_or_ended(now, entry);
        let same_sale = entry.last_order() == Some(&confirm.order)
            && entry.paid_by() == confirm.attempt_id
            && !entry.sold_in_part();
        if whole && state == HoldState::Confirmed && same_sale {
            return Ok(self.known(event, entry, true));
        }
        if event.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        // A part of a cart is not sold without the others.
        let may_reclaim = whole && confirm.allow_reclaim && entry.cart().is_none();
        if state == HoldState::Expired && !entry.is_live() && may_reclaim {
            probe::sometimes!("confirm: after the expiry, to be reclaimed");
            return self.decide_reclaim(event, entry, confirm, fingerprint);
        }
        // Also of an ended hold: a confirm that came late may be one that sold, and whose money is not owed back.
        if let (false, Some(request)) = (whole, confirm.request_id) {
            not_overtaken(entry, request)?;
        }
        match state {
            HoldState::Active | HoldState::Paying => {}
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if whole {
            nothing_lost(event, entry)?;
        }
        check_part(event, entry, &confirm.part)?;
        let confirmed = Confirmed {
            hold_id: confirm.hold_id,
            request: confirm.request_id.map(|id| (id, fingerprint)),
            order: confirm.order.clone(),
            seats: confirm.part.seats.clone(),
            admissions: entry.drawn(&confirm.part.admissions),
            remainder: confirm.remainder,
            reclaimed: false,
            attempt_id: confirm.attempt_id,
            expires_at: left_after_payment(now, event, entry),
        };
        Ok(Decision::Change(event.number, Change::Confirmed(confirmed)))
    }

    /// Whether all of a hold can be sold, by a command that is no Confirm.
    pub(crate) fn must_sell_whole(&self, now: TimestampMs, event: &Event, entry: &Entry) -> Result<(), Reject> {
        not_in_open_cart(entry)?;
        match live_or_ended(now, entry) {
            HoldState::Active | HoldState::Paying => nothing_lost(event, entry),
            HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
    }

    /// A late payment: all places are still open, so take and sell them in one step. Lost places are told seats first, in
    /// the order of the hold, then areas by index.
    fn decide_reclaim(
        &self,
        event: &Event,
        entry: &Entry,
        confirm: &Confirm,
        fingerprint: u64,
    ) -> Result<Decision, Reject> {
        let named = |seat: u32| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) };
        let is_foreign = |seat: u32| {
            let tag = event.tag(seat);
            tag != 0 && !entry.tags().contains(&tag)
        };
        let taken = entry.unsold_seats().map(|seat| seat.index);
        let taken = taken.filter(|&seat| event.seat_state(seat) != PlaceState::Open || is_foreign(seat));
        let mut lost: Vec<PlaceInTheWay> = taken.chain(entry.lost().0.iter().copied()).map(named).collect();
        let mut wanted: Vec<((u16, u8), u32)> = Vec::new();
        for admission in entry.unsold_admissions() {
            let (of, quantity) = ((admission.area, admission.source), u32::from(admission.quantity));
            match wanted.iter_mut().find(|(other, _)| *other == of) {
                Some((_, sum)) => *sum += quantity,
                None => wanted.push((of, quantity)),
            }
        }
        let access = Access::without_window(event, &AllocationKeys::default());
        let missing =
            wanted.iter().map(|&((area, source), quantity)| (area, quantity.saturating_sub(access.room(area, source))));
        // A hold keeps areas as its request named them, and a revised plan may move them: the answer has one order.
        for (area, quantity) in merged(missing).into_iter().filter(|(_, quantity)| *quantity > 0) {
            lost.push(PlaceInTheWay { place: Moved::Area { area, quantity }, state: event.area_state(area) });
        }
        let limit = event.settings.policies.places_per_customer_max;
        let (places, _) = event.customer(entry.customer);
        let more = unsold_count(entry);
        let over = limit > 0 && entry.customer.is_some() && places + more > limit;
        let (seats, admissions): (SeatIndexes, Admissions) =
            (entry.unsold_seats().map(|seat| seat.index).collect(), entry.unsold_admissions().collect());
        let taken = Bundle { seats: &seats, admissions: &admissions };
        let over = over
            || event.judge_levels(entry.customer, taken, Bundle::default()).is_err()
            || event.judge_quotas(taken, Bundle::default()).is_err();
        if probe::planted!(ReclaimBlind) {
            lost.clear();
        }
        if !lost.is_empty() || entry.lost_count() > 0 || more == 0 || over {
            return Err(Reject::HoldExpired { executed: false, places_lost: lost });
        }
        let confirmed = Confirmed {
            hold_id: confirm.hold_id,
            request: confirm.request_id.map(|id| (id, fingerprint)),
            order: confirm.order.clone(),
            seats: SeatIndexes::new(),
            admissions: Admissions::new(),
            remainder: confirm.remainder,
            reclaimed: true,
            attempt_id: confirm.attempt_id,
            expires_at: None,
        };
        Ok(Decision::Change(event.number, Change::Confirmed(confirmed)))
    }

    pub(crate) fn decide_release(
        &self,
        now: TimestampMs,
        event: &Event,
        release: &Release,
    ) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, release.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let whole = release.part.is_whole();
        let fingerprint = release.fingerprint();
        if !whole && answered_before(entry, release.request_id, fingerprint)? {
            return Ok(self.known(event, entry, true));
        }
        match live_or_ended(now, entry) {
            HoldState::Active => {}
            HoldState::Paying if release.abort_payment => {}
            HoldState::Paying => return Err(Reject::PaymentInProgress),
            HoldState::Released if whole => return Ok(self.known(event, entry, true)),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if let (false, Some(request)) = (whole, release.request_id) {
            not_overtaken(entry, request)?;
        }
        check_part(event, entry, &release.part)?;
        let released = Released {
            hold_id: release.hold_id,
            request: release.request_id.map(|id| (id, fingerprint)),
            seats: release.part.seats.clone(),
            admissions: entry.drawn(&release.part.admissions),
            expires_at: left_after_payment(now, event, entry),
        };
        Ok(Decision::Change(event.number, Change::Released(released)))
    }

    pub(crate) fn decide_begin_payment(
        &self,
        now: TimestampMs,
        event: &Event,
        begin: &BeginPayment,
    ) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, begin.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        if entry.knows_attempt(begin.attempt_id) {
            return Ok(self.known(event, entry, true));
        }
        still_active(now, event, entry)?;
        let policies = &event.settings.policies;
        if entry.attempts_used() >= policies.payment_attempts_max {
            return Err(Reject::PaymentAttemptsCap);
        }
        let deadline = now.plus_ms(u64::from(policies.payment_grace_s) * 1_000);
        let began = PaymentBegan { hold_id: begin.hold_id, attempt_id: begin.attempt_id, deadline };
        Ok(Decision::Change(event.number, Change::PaymentBegan(began)))
    }

    pub(crate) fn decide_end_payment(
        &self,
        now: TimestampMs,
        event: &Event,
        end: &EndPayment,
    ) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, end.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let expires_at = left_after_payment(now, event, entry);
        let is_open = entry.open_attempt() == Some(end.attempt_id) && live_or_ended(now, entry) == HoldState::Paying;
        let (Some(expires_at), true) = (expires_at, is_open) else {
            return Ok(self.known(event, entry, entry.knows_attempt(end.attempt_id)));
        };
        let (hold_id, attempt_id, outcome) = (end.hold_id, end.attempt_id, end.outcome);
        let ended = PaymentEnded { hold_id, attempt_id, outcome, expires_at };
        Ok(Decision::Change(event.number, Change::PaymentEnded(ended)))
    }
}

/// A hold that lost places is not sold as if it had them.
fn nothing_lost(event: &Event, entry: &Entry) -> Result<(), Reject> {
    if entry.lost_count() == 0 {
        return Ok(());
    }
    let named = |&seat: &u32| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) };
    Err(Reject::PlacesUnavailable { places: entry.lost().0.iter().map(named).collect() })
}

/// When what a paying hold keeps expires, once its payment has ended; `None` when none is open.
fn left_after_payment(now: TimestampMs, event: &Event, entry: &Entry) -> Option<TimestampMs> {
    entry.open_attempt()?;
    let left_ms_min = u64::from(event.settings.policies.payment_left_s_min) * 1_000;
    Some(entry.expires_at().max(now.plus_ms(left_ms_min)))
}

/// Whether this very request was the hold's last.
fn answered_before(entry: &Entry, request: Option<RequestId>, fingerprint: u64) -> Result<bool, Reject> {
    match (request, entry.request()) {
        (Some(id), Some((last, last_fingerprint))) if id == last => {
            if fingerprint == last_fingerprint {
                Ok(true)
            } else {
                Err(Reject::RequestIdReused)
            }
        }
        _ => Ok(false),
    }
}

/// A request older than the hold's last came late.
fn not_overtaken(entry: &Entry, request: RequestId) -> Result<(), Reject> {
    match entry.request() {
        Some((last, _)) if request < last => Err(Reject::RequestIdTooOld),
        _ => Ok(()),
    }
}

fn still_active(now: TimestampMs, event: &Event, entry: &Entry) -> Result<(), Reject> {
    if event.settings.state == EventState::Cancelled {
        return Err(Reject::EventCancelled);
    }
    match live_or_ended(now, entry) {
        HoldState::Active => Ok(()),
        HoldState::Paying => Err(Reject::PaymentInProgress),
        HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: false }),
        HoldState::Released => Err(Reject::HoldReleased { executed: false }),
        HoldState::Expired => Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
    }
}

/// Every place named must be held by this hold.
fn check_part(event: &Event, entry: &Entry, part: &Part) -> Result<(), Reject> {
    if part.is_whole() {
        // It names no index.
        return Ok(());
    }
    check_revision(event.plan_revision, part.plan_revision, true)?;
    for (at, &seat) in part.seats.iter().enumerate() {
        if seat >= event.plan.seat_count() {
            return Err(Reject::UnknownPlace { field: Field::Seats, position: at as u32 });
        }
    }
    for (at, admission) in part.admissions.iter().enumerate() {
        if usize::from(admission.area) >= event.plan.areas().len() {
            return Err(Reject::UnknownPlace { field: Field::Ga, position: at as u32 });
        }
    }
    let mut in_the_way: Vec<PlaceInTheWay> = part
        .seats
        .iter()
        .filter(|&&seat| !entry.unsold_seats().any(|held| held.index == seat))
        .map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) })
        .collect();
    for wanted in &part.admissions {
        let same = |held: &Admission| (held.area, held.ticket_type) == (wanted.area, wanted.ticket_type);
        let held: u32 = entry.unsold_admissions().filter(same).map(|a| u32::from(a.quantity)).sum();
        let quantity = u32::from(wanted.quantity);
        if held < quantity {
            // What the hold lacks, whatever else there is.
            let place = Moved::Area { area: wanted.area, quantity: quantity - held };
            in_the_way.push(PlaceInTheWay { place, state: PlaceState::Held });
        }
    }
    if in_the_way.is_empty() { Ok(()) } else { Err(Reject::PlacesUnavailable { places: in_the_way }) }
}
