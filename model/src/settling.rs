//! What becomes of a hold: more time, a payment, a sale, its end.
//!
//! Not here: how it is made (`judging.rs`), sold places later (`orders.rs`).

use std::{collections::BTreeMap, sync::Arc};

use inventory_core::{
    change::{HoldCause, HoldState},
    command::{BeginPayment, Confirm, EndPayment, Extend, Part, Release, Remainder},
    ids::{RequestId, TimestampMs},
    place::{Moved, PlaceState},
    plan::Plan,
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
};

use crate::{
    Answer,
    allocations::Draws,
    carts::check_no_open_part,
    content::{self, Content},
    event::{EVIDENCE_MAX, Event, check_live, check_not_paying},
    hold::{Fate, Hold, Payment},
};

impl Event {
    pub(crate) fn extend(&mut self, now: TimestampMs, command: &Extend) -> Result<Answer, Reject> {
        let content = content::of_extend(command);
        let hold = self.holds.get(&command.hold_id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(hold)?;
        if let Some(answer) = self.repeated_request(hold, command.request_id, &content) {
            return answer;
        }
        if self.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        check_live(now, hold)?;
        check_not_paying(hold)?;
        check_request_follows(hold, command.request_id)?;
        let policies = &self.settings.policies;
        let ttl_ms = match command.ttl_ms {
            0 => u64::from(policies.hold_ttl_s) * 1_000,
            ttl_ms => u64::from(ttl_ms),
        };
        let last = hold.created_at.plus_ms(u64::from(policies.lifetime_s_max) * 1_000);
        let expires_at = now.plus_ms(ttl_ms).min(last);
        if hold.renewals >= policies.renewals_max || expires_at <= hold.expires_at {
            return Err(Reject::RenewalCap);
        }
        let hold = self.hold_mut(command.hold_id);
        hold.expires_at = expires_at;
        hold.renewals += 1;
        hold.request_last = Some((command.request_id, content));
        Ok(self.answer(command.hold_id, false))
    }

    pub(crate) fn confirm(&mut self, now: TimestampMs, command: &Confirm) -> Result<Answer, Reject> {
        let content = content::of_confirm(command);
        let whole = command.part.is_whole();
        let hold = self.holds.get(&command.hold_id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(hold)?;
        if let (false, Some(request)) = (whole, command.request_id)
            && let Some(answer) = self.repeated_request(hold, request, &content)
        {
            return answer;
        }
        // A repeated command answers as it did, also after the event was cancelled. Another payment is
        // another command: its money is owed back.
        let same_sale = hold.order_last.as_ref() == Some(&command.order) && hold.attempt_last == command.attempt_id;
        if whole && hold.state == HoldState::Confirmed && same_sale && !hold.sold_in_part {
            return Ok(self.answer(command.hold_id, true));
        }
        if self.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        if hold.state == HoldState::Expired && hold.cart.is_none() && command.allow_reclaim && whole {
            return self.reclaim(now, command, content);
        }
        // Also of an ended hold: what came late may have sold before.
        if let (false, Some(request)) = (whole, command.request_id) {
            check_request_follows(hold, request)?;
        }
        check_live(now, hold)?;
        if whole {
            self.check_nothing_lost(hold)?;
        }
        self.check_part(hold, &command.part)?;

        let plan = Arc::clone(&self.plan);
        let window_ms = self.settings.policies.retry_window_ms();
        let kept_until = self.end_of_failed(now);
        let hold = self.hold_mut(command.hold_id);
        hold.stop_paying(kept_until);
        if whole {
            hold.sell_held(&command.order);
        } else {
            mark_part(hold, &plan, &command.part, Fate::Sold(command.order.clone()));
        }
        if command.remainder == Remainder::Release {
            hold.free_held();
        }
        if hold.held_count() == 0 {
            hold.end(now, HoldState::Confirmed, HoldCause::Requested, window_ms);
        }
        self.note_sale(command, content);
        Ok(self.answer(command.hold_id, false))
    }

    /// After expiry: all or nothing, if every place is still open and the customer's limit allows.
    fn reclaim(&mut self, now: TimestampMs, command: &Confirm, content: Content) -> Result<Answer, Reject> {
        let hold = &self.holds[&command.hold_id];
        let (states, public) = (self.seat_states(None), self.public_states());
        let mut lost = Vec::new();
        let named = |index: u32| PlaceInTheWay { place: Moved::Seat(index), state: public[index as usize] };
        let is_lost = |&index: &u32| {
            let was_reached = self.tag(index).is_none_or(|id| hold.tags.contains(&id));
            states[index as usize] != PlaceState::Open || !was_reached
        };
        let held = hold.held_seats().filter_map(|seat| self.plan.find_seat(&seat.key));
        lost.extend(held.filter(is_lost).map(named));
        // What the house withdrew is lost, also when it is open again.
        let mut withdrawn: Vec<u32> = hold.lost_seats().filter_map(|seat| self.plan.find_seat(&seat.key)).collect();
        withdrawn.sort_unstable();
        lost.extend(withdrawn.into_iter().map(named));
        let mut drawn_again: BTreeMap<(String, u8), Draws> = BTreeMap::new();
        for (index, counts) in (0_u16..).zip(self.area_counts(None)) {
            let area = &self.plan.areas()[usize::from(index)];
            let of_area = || hold.admissions.iter().filter(|((key, _), _)| **key == *area.key);
            let mut missing = 0;
            let mut gone = Draws::default();
            for (key, admitted) in of_area() {
                for (source, quantity) in admitted.held.iter() {
                    // Of what it was drawn from, also if general sale has room.
                    let draws = self.rooms(index, &[source], None).without(&gone).draw(quantity);
                    missing += quantity - draws.count();
                    gone.add_all(&draws);
                    drawn_again.entry(key.clone()).or_default().add_all(&draws);
                }
            }
            if missing > 0 {
                let place = Moved::Area { area: index, quantity: missing };
                lost.push(PlaceInTheWay { place, state: counts.state_of_taken() });
            }
        }
        let limit = self.check_quotas(hold, None, self).and_then(|()| self.check_customer(hold, None));
        let gone = hold.dropped || hold.lost_seats().next().is_some();
        if gone || !lost.is_empty() || limit.is_err() {
            return Err(Reject::HoldExpired { executed: false, places_lost: lost });
        }
        let window_ms = self.settings.policies.retry_window_ms();
        let hold = self.hold_mut(command.hold_id);
        drawn_again.into_iter().for_each(|(key, draws)| hold.admissions.entry(key).or_default().held = draws);
        hold.sell_held(&command.order);
        hold.end(now, HoldState::Confirmed, HoldCause::Requested, window_ms);
        self.note_sale(command, content);
        Ok(self.answer(command.hold_id, false))
    }

    fn note_sale(&mut self, command: &Confirm, content: Content) {
        let hold = self.hold_mut(command.hold_id);
        hold.note_order(&command.order);
        hold.attempt_last = command.attempt_id;
        hold.sold_in_part = !command.part.is_whole();
        if let Some(request) = command.request_id {
            hold.request_last = Some((request, content));
        }
    }

    pub(crate) fn release(&mut self, now: TimestampMs, command: &Release) -> Result<Answer, Reject> {
        let content = content::of_release(command);
        let whole = command.part.is_whole();
        let hold = self.holds.get(&command.hold_id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(hold)?;
        if let (false, Some(request)) = (whole, command.request_id)
            && let Some(answer) = self.repeated_request(hold, request, &content)
        {
            return answer;
        }
        if whole && hold.state == HoldState::Released {
            return Ok(self.answer(command.hold_id, true));
        }
        check_live(now, hold)?;
        if !command.abort_payment {
            check_not_paying(hold)?;
        }
        if let (false, Some(request)) = (whole, command.request_id) {
            check_request_follows(hold, request)?;
        }
        self.check_part(hold, &command.part)?;

        let plan = Arc::clone(&self.plan);
        let window_ms = self.settings.policies.retry_window_ms();
        let kept_until = self.end_of_failed(now);
        let hold = self.hold_mut(command.hold_id);
        hold.stop_paying(kept_until);
        if whole {
            hold.free_held();
        } else {
            mark_part(hold, &plan, &command.part, Fate::Freed);
        }
        if hold.held_count() == 0 {
            hold.end(now, HoldState::Released, HoldCause::Requested, window_ms);
        }
        if let Some(request) = command.request_id {
            hold.request_last = Some((request, content));
        }
        Ok(self.answer(command.hold_id, false))
    }

    pub(crate) fn begin_payment(&mut self, now: TimestampMs, command: &BeginPayment) -> Result<Answer, Reject> {
        let hold = self.holds.get(&command.hold_id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(hold)?;
        // An attempt is begun once, whatever has become of it.
        if hold.attempts.contains(&command.attempt_id) {
            return Ok(self.answer(command.hold_id, true));
        }
        if self.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        check_not_paying(hold)?;
        check_live(now, hold)?;
        let policies = &self.settings.policies;
        if hold.attempts_used() >= policies.payment_attempts_max {
            return Err(Reject::PaymentAttemptsCap);
        }
        let deadline = now.plus_ms(u64::from(policies.payment_grace_s) * 1_000);
        let hold = self.hold_mut(command.hold_id);
        hold.state = HoldState::Paying;
        hold.payment = Some(Payment { attempt_id: Some(command.attempt_id), deadline });
        hold.attempts.push(command.attempt_id);
        Ok(self.answer(command.hold_id, false))
    }

    /// Whatever the outcome.
    pub(crate) fn end_payment(&mut self, now: TimestampMs, command: &EndPayment) -> Result<Answer, Reject> {
        let hold = self.holds.get(&command.hold_id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(hold)?;
        let open = hold.payment.and_then(|payment| payment.attempt_id);
        if open != Some(command.attempt_id) {
            let known = hold.attempts.contains(&command.attempt_id);
            return Ok(self.answer(command.hold_id, known));
        }
        let until = self.end_of_failed(now);
        self.hold_mut(command.hold_id).stop_paying(until);
        Ok(self.answer(command.hold_id, false))
    }

    /// Until when a hold lives at least whose payment fails now.
    fn end_of_failed(&self, now: TimestampMs) -> TimestampMs {
        now.plus_ms(u64::from(self.settings.policies.payment_left_s_min) * 1_000)
    }

    /// The answer to the request the hold remembers, if this is it.
    fn repeated_request(&self, hold: &Hold, request: RequestId, content: &Content) -> Option<Result<Answer, Reject>> {
        let (last, said) = hold.request_last.as_ref()?;
        (*last == request)
            .then(|| if said == content { Ok(self.answer(hold.id, true)) } else { Err(Reject::RequestIdReused) })
    }

    /// Every place of the part is in the plan and held by this hold.
    fn check_part(&self, hold: &Hold, part: &Part) -> Result<(), Reject> {
        if !part.is_whole() {
            self.check_revision(part.plan_revision)?;
        }
        for (at, &seat) in part.seats.iter().enumerate() {
            if seat >= self.plan.seat_count() {
                return Err(Reject::UnknownPlace { field: Field::Seats, position: at as u32 });
            }
        }
        for (at, admission) in part.admissions.iter().enumerate() {
            if usize::from(admission.area) >= self.plan.areas().len() {
                return Err(Reject::UnknownPlace { field: Field::Ga, position: at as u32 });
            }
        }
        let states = self.public_states();
        let mut foreign = Vec::new();
        for &seat in &part.seats {
            let key = self.plan.seat_key(seat);
            if !hold.held_seats().any(|held| held.key == key) {
                foreign.push(PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] });
            }
        }
        for admission in &part.admissions {
            let area = &self.plan.areas()[usize::from(admission.area)];
            let has = hold.admissions.get(&(area.key.to_string(), admission.ticket_type)).map_or(0, |a| a.held.count());
            if has < u32::from(admission.quantity) {
                // The hold lacks them, whether or not the area has some.
                let state = PlaceState::Held;
                let place = Moved::Area { area: admission.area, quantity: u32::from(admission.quantity) - has };
                foreign.push(PlaceInTheWay { place, state });
            }
        }
        if foreign.is_empty() {
            Ok(())
        } else {
            foreign.truncate(EVIDENCE_MAX);
            Err(Reject::PlacesUnavailable { places: foreign })
        }
    }
}

/// Requests on a hold come in the order of their ids.
fn check_request_follows(hold: &Hold, request: RequestId) -> Result<(), Reject> {
    match &hold.request_last {
        Some((last, _)) if request < *last => Err(Reject::RequestIdTooOld),
        _ => Ok(()),
    }
}

/// Places of the part, all held, get another fate.
fn mark_part(hold: &mut Hold, plan: &Plan, part: &Part, fate: Fate) {
    for &seat in &part.seats {
        let key = plan.seat_key(seat);
        let mut held = hold.seats.iter_mut().filter(|held| held.fate == Fate::Held && held.key == key);
        held.next().expect("checked before").fate = fate.clone();
    }
    for admission in &part.admissions {
        let key = plan.areas()[usize::from(admission.area)].key.to_string();
        let admitted = hold.admissions.get_mut(&(key, admission.ticket_type)).expect("checked before");
        let quantity = u32::from(admission.quantity);
        match &fate {
            Fate::Sold(order) => admitted.sell(quantity, order),
            _ => _ = admitted.held.take(quantity),
        }
    }
}
