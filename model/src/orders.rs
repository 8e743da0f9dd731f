//! What is sold to an order: at once, without a hold; given back; exchanged; looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use inventory_core::{
    best_available::Arrangement,
    change::{HoldCause, HoldState, HoldView},
    command,
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{CustomerKey, HoldId, OrderRef, TimestampMs},
    order::Listed,
    place::{Moved, PlaceState},
    place_set::PlaceSet,
    policy::EventState,
    reject::{PlaceInTheWay, Reject},
    slot::{SoldPart, Touched},
};

use crate::{
    Answer,
    carts::check_no_open_part,
    content::{self, Content},
    event::{EVIDENCE_MAX, Event},
    hold::{Admitted, Fate, HeldSeat, Hold},
    house::touched_before,
};

/// The reason of places that are killed when they come back, and no other was given.
const RETURNED: &str = "returned";

/// Places that are sold to one order.
#[derive(Default)]
struct Given {
    seats: BTreeMap<u32, HoldId>,
    /// By hold, area and kind of buyer.
    admissions: BTreeMap<(HoldId, u16, u8), u32>,
}

impl Given {
    /// The holds they were sold from.
    fn holds(&self) -> BTreeSet<HoldId> {
        self.seats.values().copied().chain(self.admissions.keys().map(|&(hold, _, _)| hold)).collect()
    }

    fn touched(&self) -> Touched {
        let mut areas: BTreeMap<u16, u32> = BTreeMap::new();
        for (&(_, area, _), quantity) in &self.admissions {
            *areas.entry(area).or_default() += quantity;
        }
        Touched {
            seats: self.seats.keys().copied().collect(),
            areas: areas.into_iter().collect(),
            holds: self.holds().into_iter().collect(),
        }
    }
}

/// What a sale without a hold takes.
struct Taking {
    seats: Vec<HeldSeat>,
    admissions: BTreeMap<(String, u8), Admitted>,
}

impl Event {
    pub(crate) fn sell_direct(&mut self, now: TimestampMs, command: &SellDirect) -> Result<Answer, Reject> {
        let content = content::of_sell_direct(command);
        let id = HoldId(command.request_id.0);
        if let Some(known) = self.holds.get(&id) {
            return if known.content == content { Ok(self.answer(id, true)) } else { Err(Reject::RequestIdReused) };
        }
        // What another request said is never what this one says.
        self.is_done(command.request_id, &content)?;
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        if self.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        let nothing = BTreeSet::new();
        let sale = self.sale(now, id, content, &command.places, &command.order, command.customer, (self, &nothing))?;
        if command.validate_only {
            return Ok(self.would_touch(&sale));
        }
        self.holds.insert(id, sale);
        Ok(self.answer(id, false))
    }

    /// A hold that is born confirmed. `before` is the event as those see it who are told what is in the way, and the
    /// seats that were given since.
    #[expect(clippy::too_many_arguments, reason = "all that a sale is made of")]
    fn sale(
        &self,
        now: TimestampMs,
        id: HoldId,
        content: Content,
        places: &NamedPlaces,
        order: &OrderRef,
        customer: CustomerKey,
        before: (&Event, &BTreeSet<u32>),
    ) -> Result<Hold, Reject> {
        let Taking { seats, admissions } = self.find_taken(places, before)?;
        let mut sale = Hold {
            id,
            content,
            customer,
            created_at: now,
            expires_at: now,
            renewals: 0,
            payment: None,
            attempts: Vec::new(),
            attempts_inherited: 0,
            state: HoldState::Active,
            cause: HoldCause::None,
            ended_at: TimestampMs(0),
            forget_at: TimestampMs(0),
            tags: BTreeSet::new(),
            seats,
            admissions,
            orders: Vec::new(),
            order_last: None,
            attempt_last: None,
            sold_in_part: false,
            request_last: None,
            arrangement: Arrangement::default(),
            dropped: false,
            cart: None,
        };
        self.check_quotas(&sale, None, before.0)?;
        self.check_customer(&sale, None)?;
        sale.sell_held(order);
        sale.note_order(order);
        sale.end(now, HoldState::Confirmed, HoldCause::Requested, self.settings.policies.retry_window_ms());
        Ok(sale)
    }

    /// Named places, all open. No window matters.
    fn find_taken(&self, places: &NamedPlaces, (public, given): (&Event, &BTreeSet<u32>)) -> Result<Taking, Reject> {
        // It names places as a hold does.
        let like = command::Hold {
            allocations: places.allocations.clone(),
            hold_id: HoldId(0),
            seats: places.seats.clone(),
            seat_keys: places.seat_keys.clone(),
            admissions: places.admissions.clone(),
            best: None,
            ticket_types: places.ticket_types.clone(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: places.plan_revision,
        };
        let asked = self.resolve(&like)?;
        let reach = self.reach(None, &places.allocations);
        self.check_in_allocation(&asked.seats, &reach.brought, given, public)?;
        let admissions = self.find_admissions(&like, &asked, &reach, None, public)?;
        self.check_explicit(&asked.seats, None)?;
        let seat = |(at, &seat): (usize, &u32)| HeldSeat {
            key: self.plan.seat_key(seat).to_owned(),
            ticket_type: places.ticket_types.get(at).copied().unwrap_or(0),
            fate: Fate::Held,
        };
        Ok(Taking { seats: asked.seats.iter().enumerate().map(seat).collect(), admissions })
    }

    fn would_touch(&self, sale: &Hold) -> Answer {
        let mut seats: Vec<u32> = sale.seats.iter().filter_map(|seat| self.plan.find_seat(&seat.key)).collect();
        seats.sort_unstable();
        let mut areas: BTreeMap<u16, u32> = BTreeMap::new();
        for ((area, _), admitted) in &sale.admissions {
            let area = self.plan.find_area(area).expect("found before");
            *areas.entry(area).or_default() += admitted.held.count() + admitted.sold_count();
        }
        let touched = Touched { seats, areas: areas.into_iter().collect(), holds: Vec::new() };
        Answer::Touched { touched, replayed: false }
    }

    // ---- ReturnPlaces, Exchange ----

    pub(crate) fn return_places(&mut self, now: TimestampMs, command: &ReturnPlaces) -> Result<Answer, Reject> {
        let content = content::of_return(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let given = self.find_given(&command.order, &command.places)?;
        let reason = if command.reason.is_empty() { RETURNED } else { &command.reason };
        let kills = command.to == ReturnTo::Killed || self.settings.state == EventState::Cancelled;
        let reason = kills.then_some(reason);
        if let Some(reason) = reason {
            self.killed.check_reason(reason)?;
        }
        self.check_requests_have_room()?;
        let mut touched = given.touched();
        if !command.validate_only {
            self.give_back(&given, &command.order, command.to, reason);
            self.note_request(now, command.request_id, content);
            self.forget(now);
            // What was done is told as its change tells it, which does not say whose the seats were.
            touched.holds.clear();
        }
        Ok(Answer::Touched { touched, replayed: false })
    }

    /// Places of the set, all sold to the order.
    fn find_given(&self, order: &OrderRef, set: &PlaceSet) -> Result<Given, Reject> {
        let all = self.all_of(order);
        if all.holds().is_empty() {
            return Err(Reject::OrderNotFound);
        }
        if set.is_empty() {
            // It names no index: no plan revision matters.
            return Ok(all);
        }
        let named = self.find_named(set)?;
        let states = self.public_states();
        let (mut given, mut foreign) = (Given::default(), Vec::new());
        for seat in named.seats {
            match all.seats.get(&seat) {
                Some(&hold) => _ = given.seats.insert(seat, hold),
                None => foreign.push(PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] }),
            }
        }
        for ((area, ticket_type), quantity) in named.admissions {
            let mut missing = quantity;
            for (&(hold, of, kind), &has) in &all.admissions {
                let takes = if (of, kind) == (area, ticket_type) { has.min(missing) } else { 0 };
                if takes > 0 {
                    given.admissions.insert((hold, area, ticket_type), takes);
                    missing -= takes;
                }
            }
            if missing > 0 {
                // More was named than was sold: no single place of the area stands for it.
                let place = Moved::Area { area, quantity: missing };
                foreign.push(PlaceInTheWay { place, state: PlaceState::Sold });
            }
        }
        if foreign.is_empty() {
            return Ok(given);
        }
        foreign.truncate(EVIDENCE_MAX);
        Err(Reject::NotThisOrder { places: foreign })
    }

    fn all_of(&self, order: &OrderRef) -> Given {
        let mut all = Given::default();
        for part in self.parts_of(order) {
            all.seats.extend(part.seats.iter().map(|seat| (seat.index, part.hold_id)));
            for one in part.admissions {
                all.admissions.insert((part.hold_id, one.area, one.ticket_type), u32::from(one.quantity));
            }
        }
        all
    }

    /// They are open again, or killed for this reason. What was set aside stays so, except where it is for general sale,
    /// or is of an area and killed.
    fn give_back(&mut self, given: &Given, order: &OrderRef, to: ReturnTo, killed_for: Option<&str>) {
        let plan = Arc::clone(&self.plan);
        let window_ms = self.settings.policies.retry_window_ms();
        for (&seat, &id) in &given.seats {
            let key = plan.seat_key(seat);
            let mut sold = self.hold_mut(id).seats.iter_mut().filter(|seat| seat.key == key);
            let sold = sold.find(|seat| seat.fate == Fate::Sold(order.clone()));
            sold.expect("checked before").fate = Fate::Freed;
            if let Some(reason) = killed_for {
                self.killed.kill_seat(key, reason);
            } else if to == ReturnTo::General {
                self.drop_tag(key);
            }
        }
        for (&(id, area, ticket_type), &quantity) in &given.admissions {
            let area = plan.areas()[usize::from(area)].key.to_string();
            if let Some(reason) = killed_for {
                self.killed.kill_admissions(&area, quantity, reason);
            }
            let admitted = self.hold_mut(id).admissions.get_mut(&(area.clone(), ticket_type));
            let draws = admitted.expect("checked before").give_back(quantity, order);
            if killed_for.is_some() || to == ReturnTo::General {
                self.shrink_quotas(&area, &draws);
            }
        }
        for id in given.holds() {
            let hold = self.hold_mut(id);
            if !hold.is_live() && hold.sold_count() == 0 {
                // However it had ended: it was sold once, and nothing of it can be reclaimed.
                hold.free_held();
                hold.state = HoldState::Confirmed;
                hold.forget_at = hold.end_of_memory(window_ms);
            }
        }
    }

    /// All of it happens to a copy, which becomes the event if nothing refuses.
    pub(crate) fn exchange(&mut self, now: TimestampMs, command: &Exchange) -> Result<Answer, Reject> {
        let content = content::of_exchange(command);
        let sale_id = HoldId(command.request_id.0);
        let id = match &command.take {
            Take::Places(_) => sale_id,
            Take::Hold(id) => *id,
        };
        if self.is_done(command.request_id, &content)? {
            // What was taken then may have been given back since, and forgotten.
            return if self.holds.contains_key(&id) { Ok(self.answer(id, true)) } else { Ok(touched_before()) };
        }
        self.check_age(now, command.request_id)?;
        // The name of the sale that it would make.
        if matches!(command.take, Take::Places(_)) && self.holds.contains_key(&sale_id) {
            return Err(Reject::RequestIdReused);
        }
        self.check_expected(command.expected_state)?;
        if self.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        let given = self.find_given(&command.order, &command.give)?;
        let mut after = self.clone();
        after.give_back(&given, &command.order, ReturnTo::Origin, None);
        match &command.take {
            Take::Places(places) => {
                let first = given.holds().pop_first().expect("something is given");
                let customer = self.holds[&first].customer;
                let seats = given.seats.keys().copied().collect();
                let sale = after.sale(now, id, content.clone(), places, &command.order, customer, (self, &seats))?;
                after.holds.insert(id, sale);
            }
            Take::Hold(id) => {
                let hold = self.holds.get(id).ok_or(Reject::HoldNotFound)?;
                check_no_open_part(hold)?;
                crate::event::check_live(now, hold)?;
                self.check_nothing_lost(hold)?;
                after.sell_hold(now, *id, &command.order);
            }
        }
        self.check_requests_have_room()?;
        if command.validate_only {
            return Ok(Answer::Touched { touched: given.touched(), replayed: false });
        }
        after.note_request(now, command.request_id, content);
        *self = after;
        let answer = self.answer(id, false);
        self.forget(now);
        Ok(answer)
    }

    /// All that a live hold has, as a confirm of the whole does.
    fn sell_hold(&mut self, now: TimestampMs, id: HoldId, order: &OrderRef) {
        let window_ms = self.settings.policies.retry_window_ms();
        let hold = self.hold_mut(id);
        // What is being paid for it is the difference.
        hold.attempt_last = hold.payment.and_then(|payment| payment.attempt_id);
        hold.sold_in_part = false;
        hold.stop_paying(now);
        hold.sell_held(order);
        hold.end(now, HoldState::Confirmed, HoldCause::Requested, window_ms);
        hold.note_order(order);
    }

    // ---- Reading ----

    pub(crate) fn get_order(&self, order: &OrderRef) -> Result<Answer, Reject> {
        let parts = self.parts_of(order);
        if parts.is_empty() { Err(Reject::OrderNotFound) } else { Ok(Answer::Order { parts }) }
    }

    /// By hold, in the order of their ids.
    fn parts_of(&self, order: &OrderRef) -> Vec<SoldPart> {
        let parts = self.holds.values().map(|hold| hold.part_of(order, &self.plan));
        parts.filter(|part| !part.seats.is_empty() || !part.admissions.is_empty()).collect()
    }

    /// Everything that is listed, on one page.
    pub(crate) fn list(&self, what: Listed) -> Answer {
        let (mut holds, mut parts): (Vec<HoldView>, Vec<SoldPart>) = (Vec::new(), Vec::new());
        match what {
            Listed::Holds => holds = self.live_holds().into_iter().filter_map(|id| self.hold_view(id)).collect(),
            Listed::Orders => {
                let orders: BTreeSet<&OrderRef> = self.holds.values().flat_map(|hold| &hold.orders).collect();
                parts = orders.into_iter().flat_map(|order| self.parts_of(order)).collect();
            }
        }
        Answer::Page { holds, parts }
    }
}
