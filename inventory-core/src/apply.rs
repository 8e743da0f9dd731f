//! Making a change true. Cannot fail: live traffic has just decided it, replay reads only what live
//! traffic decided. A promise that is broken here is a bug that stops the process.
//!
//! Not here: deciding (`decide.rs`), bytes (`codec`).

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::{
    ahead::AHEAD_MAX,
    change::{
        Change, Confirmed, EventCreated, EventUpdated, Extended, Held, HoldCause, HoldState, PaymentBegan, Released,
        Resumed, Taken,
    },
    command::Remainder,
    event::{AreaCounts, Event},
    expiry::NO_BUCKET,
    hold::{BORN_CONFIRMED, Entry, mark, unsold_count},
    holds::NIL,
    ids::{CustomerKey, EventNumber, HoldId, TimestampMs},
    limits::PAID_TOMBSTONE_MS,
    place::{Admission, Admissions, Move, PlaceState, SOLD, Seat, SeatIndexes},
    plan::Plan,
    policy::EventState,
    rules::Bundle,
    slot::{Applied, Plans, Slot},
};

type Moves<'a> = Option<&'a mut Vec<Move>>;

impl Slot {
    /// Make `change` of event `number` true at `now`. What places it moved is added to `moves`.
    ///
    /// For `EventCreated`, `number` is [`Slot::next_event_number`].
    pub fn apply(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        change: &Change,
        plans: &dyn Plans,
        mut moves: Moves<'_>,
    ) -> Applied {
        assert!(now >= self.now, "time goes forward: {now:?} after {:?}", self.now);
        if now > self.now {
            self.now = now;
            // Once for each time: what ends at `now` is forgotten later, by at least the smallest window.
            self.forget_due(now);
        }
        if let Change::EventCreated(created) = change {
            self.create(number, created, plans);
        } else {
            assert!(self.event(number).is_some(), "a change of an event that is not there: {number:?}");
        }
        match change {
            Change::EventRetired(_) => return self.retire(number),
            Change::EventCreated(_) => {}
            Change::EventUpdated(updated) => self.update(now, number, updated, plans, &mut moves),
            Change::Held(held) => self.hold(now, number, held, &mut moves),
            Change::Extended(extended) => self.extend(number, extended),
            Change::Confirmed(confirmed) => self.confirm(now, number, confirmed, &mut moves),
            Change::Released(released) => self.release(now, number, released, &mut moves),
            Change::Expired(ids) => {
                for ids in ids.chunks(AHEAD_MAX) {
                    self.look_ahead_to_ends(number, ids);
                    for &id in ids {
                        let at = self.live(number, id);
                        self.end(now, at, HoldState::Expired, HoldCause::Deadline, &mut moves);
                    }
                }
            }
            Change::Resumed(resumed) => self.resume(number, *resumed),
            Change::FloorRaised(floor) => self.raise_floor(number, *floor, false),
            Change::PaidForgotten(floor) => self.raise_floor(number, *floor, true),
            Change::SoldDirect(sold) => self.sell_direct(now, number, sold, BORN_CONFIRMED, &mut moves),
            Change::Returned(returned) => self.give_back(now, number, returned, &mut moves),
            Change::Exchanged(exchanged) => {
                self.give_back(now, number, &exchanged.returned, &mut moves);
                match &exchanged.taken {
                    // Its request is remembered by the event.
                    Taken::Sale(sold) => self.sell_direct(now, number, sold, 0, &mut moves),
                    Taken::Hold(confirmed) => self.confirm(now, number, confirmed, &mut moves),
                }
            }
            Change::Killed(killed) => self.kill(now, number, killed, &mut moves),
            Change::Unkilled(unkilled) => self.unkill(now, number, unkilled, &mut moves),
            Change::AllocationSet(set) => self.set_allocation(now, number, set, &mut moves),
            Change::PriceLevelSet(set) => self.set_price_level(now, number, set, plans, &mut moves),
            Change::Rested(rested) => self.wake(number, rested, &mut moves),
            Change::AllocationRemoved(removed) => self.remove_allocation(now, number, removed, &mut moves),
            Change::CartHeld(part) => self.hold_part(now, number, part, &mut moves),
            Change::CartConfirmed(part) => self.confirm_part(now, number, part, &mut moves),
            Change::CartReleased(part) => self.release_part(now, number, *part, &mut moves),
            Change::CartSettled(cart_id) => self.settle(now, number, *cart_id),
            Change::PaymentBegan(began) => self.begin_payment(number, *began),
            Change::PaymentEnded(ended) => self.end_payment(number, ended.hold_id, ended.expires_at),
            Change::PaymentsLapsed(ids) => {
                for &id in ids {
                    probe::sometimes!("change: a payment was open too long");
                    let expires_at = self.holds[self.live(number, id)].expires_at();
                    self.end_payment(number, id, expires_at);
                }
            }
        }
        let event = self.event_mut(number);
        event.seq += 1;
        Applied { event_seq: event.seq, digest: event.hash as u32 }
    }

    fn create(&mut self, number: EventNumber, created: &EventCreated, plans: &dyn Plans) {
        assert_eq!(number, self.next_event_number(), "events are numbered densely");
        let plan = plans.plan(&created.plan);
        let event = Event::new(
            number,
            created.id.clone(),
            created.key,
            created.fingerprint,
            created.settings.clone(),
            plan,
            1,
            self.config.seed,
        );
        self.add_event(event);
        self.set_rules(number);
    }

    fn update(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        updated: &EventUpdated,
        plans: &dyn Plans,
        moves: &mut Moves<'_>,
    ) {
        let event = self.event_mut(number);
        let before = event.settings.policies.retry_window_ms();
        let cancelled =
            updated.settings.state == EventState::Cancelled && event.settings.state != EventState::Cancelled;
        event.hash ^= event.settings_hash();
        event.abandoned.change(now, &event.settings.policies, &updated.settings.policies);
        event.settings = updated.settings.clone();
        let window = event.settings.policies.retry_window_ms();
        if window > before {
            // Ids between the old and the new window were forgotten already; what is remembered now stays so
            // for as long as its id can be taken for a new one.
            event.id_floor = event.id_floor.max(now.minus_ms(before));
            event.ops_requests.retain(|_, known| now < known.until);
            event.ops_requests.values_mut().for_each(|known| known.until = known.until.plus_ms(window - before));
        }
        if let Some(request) = updated.request {
            event.remember_request(now, request);
        }
        probe::sometimes!("update: ids are remembered longer", window > before);
        probe::sometimes!("update: the event is cancelled", cancelled);
        if let Some(digest) = &updated.plan {
            probe::sometimes!("update: the event gets another plan");
            let plan = plans.plan(digest);
            self.revise(number, plan);
        }
        let event = self.event_mut(number);
        event.hash ^= event.settings_hash();
        self.set_rules(number);
        if window > before {
            self.remember_longer(number, window - before);
        }
        if cancelled {
            // A part of a cart ends with its cart.
            let live = self.live_of(number).into_iter().filter(|&at| self.holds[at].cart().is_none());
            for at in live.collect::<Vec<u32>>() {
                self.end(now, at, HoldState::Released, HoldCause::Cancelled, moves);
            }
        }
    }

    /// Forget the tombstones of an event later than was said when they ended.
    fn remember_longer(&mut self, number: EventNumber, more_ms: u64) {
        // Those that were paying are remembered longer than any window.
        let is_of = |entry: &Entry| entry.event == number && entry.is_tombstone() && !entry.ever_paid();
        let remembered = self.holds.iter().filter(|(_, entry)| is_of(entry));
        let remembered: Vec<u32> = remembered.map(|(at, _)| at).collect();
        for at in remembered {
            self.forgetting.remove(&mut self.holds, at);
            let until = self.holds[at].until.plus_ms(more_ms);
            self.holds[at].until = until;
            self.forgetting.insert(&mut self.holds, at, until);
        }
    }

    /// Give the event a new plan. State follows the seat's key and the area's key; the decision has
    /// checked that nothing held or sold is dropped.
    fn revise(&mut self, number: EventNumber, plan: Arc<Plan>) {
        let old = Arc::clone(&self.event(number).expect("the event is there").plan);
        let holds: Vec<u32> = self.holds.iter().filter(|(_, entry)| entry.event == number).map(|(at, _)| at).collect();
        for &at in &holds {
            let hash = self.holds[at].hash();
            self.event_mut(number).hash ^= hash;
            translate(&mut self.holds[at], &old, &plan);
        }
        let event = self.event_mut(number);
        event.hash ^= event.places_hash() ^ event.allocations.as_ref().map_or(0, |all| all.hash());
        event.hash ^= event.resting_hash();
        // They are counted anew when the plan is there.
        event.rules = None;
        let areas = (0..plan.areas().len()).map(|at| {
            let area = &plan.areas()[at];
            let found = old.find_area(&area.key);
            let counts = found.map_or(AreaCounts::default(), |old_area| event.areas[usize::from(old_area)]);
            // What is killed shrinks with the area, for what is set aside too.
            let unused = found.map_or(0, |old_area| event.area_unused(old_area));
            let left = area.capacity - counts.held - counts.sold;
            AreaCounts { killed: counts.killed.min(left.saturating_sub(unused)), ..counts }
        });
        let areas: Vec<AreaCounts> = areas.collect();
        let mut planes = crate::bitmap::Planes::open(plan.seat_count());
        let mut owner = alloc::vec![NIL; plan.seat_count() as usize];
        let mut seats = crate::event::Counts { open: plan.seat_count(), ..Default::default() };
        for seat in 0..old.seat_count() {
            let state = event.planes.state(seat);
            if state == PlaceState::Open {
                continue;
            }
            let new = plan.find_seat(old.seat_key(seat));
            if new.is_none() && state == PlaceState::Killed {
                continue;
            }
            let new = new.expect("a taken seat is in the new plan");
            planes.set(new, state);
            owner[new as usize] = event.owner[seat as usize];
            seats.open -= 1;
            match state {
                PlaceState::Held => seats.held += 1,
                PlaceState::Sold => seats.sold += 1,
                PlaceState::Killed => seats.killed += 1,
                PlaceState::Open => {}
            }
        }
        if let Some(all) = &event.allocations {
            let room = |area: u16| plan.areas()[usize::from(area)].capacity - areas[usize::from(area)].taken();
            event.allocations = Some(Box::new(all.revised(&old, &plan, room)));
        }
        event.planes = planes;
        event.owner = owner.into();
        event.areas = areas;
        event.seats = seats;
        Self::translate_rest(event, &old, &plan);
        event.hash ^= event.resting_hash();
        event.plan = plan;
        event.index_openings();
        event.plan_revision += 1;
        event.hash ^= event.places_hash() ^ event.allocations.as_ref().map_or(0, |all| all.hash());
        for at in holds {
            let hash = self.holds[at].hash();
            self.event_mut(number).hash ^= hash;
        }
        // Views are made anew after another plan.
        self.free_emptied(number, &mut None);
    }

    #[inline]
    pub(crate) fn hold(&mut self, now: TimestampMs, number: EventNumber, held: &Held, moves: &mut Moves<'_>) {
        if let Some(old) = held.replaced {
            probe::sometimes!("hold: it takes the place of another");
            let at = self.live(number, old);
            self.end(now, at, HoldState::Released, HoldCause::Replaced, moves);
        }
        let mut entry = Entry::new(
            number,
            held.hold_id,
            held.fingerprint,
            held.customer,
            held.created_at,
            held.expires_at,
            held.renewals,
            held.arrangement,
        );
        entry.set_places(&held.seats, &held.admissions);
        if !held.tags.is_empty() {
            entry.set_tags(held.tags.to_vec());
        }
        if held.attempts > 0 {
            entry.payments_mut().inherited = held.attempts;
        }
        let hash = entry.hash();
        let places = unsold_count(&entry);
        let at = self.holds.insert(entry);
        self.deadlines.insert(&mut self.holds, at, held.expires_at);
        let event = self.event_mut(number);
        let seats = held.seats.iter().map(|seat| seat.index);
        event.move_seats(seats, PlaceState::Open, PlaceState::Held, at, moves);
        for &admission in &held.admissions {
            event.move_admission(admission, PlaceState::Open, PlaceState::Held, moves);
        }
        event.hash ^= hash;
        event.live_holds += 1;
        // At most 64.
        event.count_customer(held.customer, places as i32, 1);
        if event.rules.is_some() {
            self.count_levels_of(at, held.customer, true);
        }
    }

    /// The unsold places of a hold count for its customer by price level, or do no longer.
    #[cold]
    fn count_levels_of(&mut self, at: u32, customer: CustomerKey, is_more: bool) {
        let number = self.holds[at].event;
        let seats: SeatIndexes = self.holds[at].unsold_seats().map(|seat| seat.index).collect();
        let admissions: Admissions = self.holds[at].unsold_admissions().collect();
        let places = Bundle { seats: &seats, admissions: &admissions };
        self.event_mut(number).count_levels(customer, places, is_more);
    }

    fn extend(&mut self, number: EventNumber, extended: &Extended) {
        let at = self.live(number, extended.hold_id);
        let before = self.holds[at].hash();
        self.deadlines.remove(&mut self.holds, at);
        let entry = &mut self.holds[at];
        entry.until = extended.expires_at;
        entry.renewals += 1;
        entry.set_request(Some(extended.request));
        let after = entry.hash();
        self.deadlines.insert(&mut self.holds, at, extended.expires_at);
        self.event_mut(number).hash ^= before ^ after;
    }

    fn begin_payment(&mut self, number: EventNumber, began: PaymentBegan) {
        let at = self.live(number, began.hold_id);
        let before = self.holds[at].hash();
        self.deadlines.remove(&mut self.holds, at);
        let entry = &mut self.holds[at];
        let expires_at = entry.until;
        let payments = entry.payments_mut();
        assert!(!payments.is_open, "one payment of a hold is open at a time");
        payments.attempts.push(began.attempt_id);
        (payments.is_open, payments.expires_at) = (true, expires_at);
        entry.until = began.deadline;
        entry.set_state(HoldState::Paying, HoldCause::None);
        let after = entry.hash();
        self.deadlines.insert(&mut self.holds, at, began.deadline);
        self.event_mut(number).hash ^= before ^ after;
    }

    /// The open payment of a hold is open no longer.
    fn end_payment(&mut self, number: EventNumber, id: HoldId, expires_at: TimestampMs) {
        let at = self.live(number, id);
        assert_eq!(self.holds[at].state(), HoldState::Paying, "a payment that ends was open");
        let before = self.holds[at].hash();
        self.deadlines.remove(&mut self.holds, at);
        let entry = &mut self.holds[at];
        entry.close_payment(expires_at);
        entry.set_state(HoldState::Active, HoldCause::None);
        let after = entry.hash();
        self.deadlines.insert(&mut self.holds, at, expires_at);
        self.event_mut(number).hash ^= before ^ after;
    }

    pub(crate) fn confirm(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        confirmed: &Confirmed,
        moves: &mut Moves<'_>,
    ) {
        let whole = confirmed.seats.is_empty() && confirmed.admissions.is_empty();
        let at = if confirmed.reclaimed {
            self.retake(number, confirmed.hold_id, moves)
        } else {
            self.live(number, confirmed.hold_id)
        };
        let before = self.holds[at].hash();
        self.event_mut(number).hash ^= before;
        let (seats, admissions, rest) = {
            let entry = &self.holds[at];
            if whole {
                let seats: SeatIndexes = entry.unsold_seats().map(|seat| seat.index).collect();
                (seats, entry.unsold_admissions().collect::<Admissions>(), 0)
            } else {
                let named = confirmed.seats.len() as u32
                    + confirmed.admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
                (confirmed.seats.clone(), confirmed.admissions.clone(), unsold_count(entry) - named)
            }
        };
        let event = self.event_mut(number);
        event.move_seats(seats.iter().copied(), PlaceState::Held, PlaceState::Sold, at, moves);
        for &admission in &admissions {
            event.move_admission(admission, PlaceState::Held, PlaceState::Sold, moves);
        }
        let entry = &mut self.holds[at];
        entry.prepare_sale(&confirmed.order);
        mark(entry, &seats, &admissions, true);
        let is_new = !entry.orders().any(|known| *known == confirmed.order);
        entry.add_order(&confirmed.order);
        entry.note_sale(&seats, &admissions);
        if is_new {
            self.holds.add_order(at, &confirmed.order);
        }
        let entry = &mut self.holds[at];
        entry.set_request(confirmed.request.or(entry.request()));
        entry.set_paid_by(confirmed.attempt_id);
        entry.set_sold_in_part(!whole);
        probe::sometimes!("confirm: in part", rest > 0);
        probe::sometimes!("confirm: while paying", entry.state() == HoldState::Paying);
        probe::sometimes!("confirm: the rest is released", rest > 0 && confirmed.remainder == Remainder::Release);
        probe::sometimes!("confirm: reclaimed", confirmed.reclaimed);
        if rest == 0 || confirmed.remainder == Remainder::Release {
            self.end_taken_out(now, at, HoldState::Confirmed, HoldCause::Requested, moves);
        } else {
            self.keep_rest(at, confirmed.expires_at);
            let after = self.holds[at].hash();
            self.event_mut(number).hash ^= after;
        }
    }

    /// A hold of which places went lives on with the rest; a payment that was open has ended.
    fn keep_rest(&mut self, at: u32, expires_at: Option<TimestampMs>) {
        let Some(expires_at) = expires_at else { return };
        self.deadlines.remove(&mut self.holds, at);
        let entry = &mut self.holds[at];
        entry.close_payment(expires_at);
        entry.set_state(HoldState::Active, HoldCause::None);
        self.deadlines.insert(&mut self.holds, at, expires_at);
    }

    /// Make an expired hold live again, with all its places, to be sold at once.
    fn retake(&mut self, number: EventNumber, id: HoldId, moves: &mut Moves<'_>) -> u32 {
        let at = self.holds.find(number, id).expect("a reclaimed hold is remembered");
        assert_eq!(self.holds[at].state(), HoldState::Expired, "only an expired hold is reclaimed");
        let before = self.holds[at].hash();
        let was_tombstone = self.holds[at].is_tombstone();
        if was_tombstone {
            self.forgetting.remove(&mut self.holds, at);
            self.tombstones -= 1;
        }
        let entry = &mut self.holds[at];
        entry.set_state(HoldState::Active, HoldCause::None);
        let (customer, places, until, after) = (entry.customer, unsold_count(entry), entry.until, entry.hash());
        let seats: SeatIndexes = entry.unsold_seats().map(|seat| seat.index).collect();
        let admissions: Vec<Admission> = entry.unsold_admissions().collect();
        self.deadlines.insert(&mut self.holds, at, until);
        let event = self.event_mut(number);
        event.tombstones -= u32::from(was_tombstone);
        event.hash ^= before ^ after;
        event.live_holds += 1;
        event.count_customer(customer, places as i32, 1);
        event.count_levels(customer, Bundle { seats: &seats, admissions: &admissions }, true);
        event.move_seats(seats.iter().copied(), PlaceState::Open, PlaceState::Held, at, moves);
        for admission in admissions {
            event.move_admission(admission, PlaceState::Open, PlaceState::Held, moves);
        }
        at
    }

    fn release(&mut self, now: TimestampMs, number: EventNumber, released: &Released, moves: &mut Moves<'_>) {
        let at = self.live(number, released.hold_id);
        let whole = released.seats.is_empty() && released.admissions.is_empty();
        let entry = &mut self.holds[at];
        // The request is no part of the hash.
        entry.set_request(released.request.or(entry.request()));
        let named =
            released.seats.len() as u32 + released.admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        if whole || named == unsold_count(entry) {
            self.end(now, at, HoldState::Released, HoldCause::Requested, moves);
            return;
        }
        probe::sometimes!("release: in part");
        let (customer, before) = (entry.customer, entry.hash());
        mark(entry, &released.seats, &released.admissions, false);
        self.keep_rest(at, released.expires_at);
        let after = self.holds[at].hash();
        let event = self.event_mut(number);
        event.move_seats(released.seats.iter().copied(), PlaceState::Held, PlaceState::Open, at, moves);
        for &admission in &released.admissions {
            event.move_admission(admission, PlaceState::Held, PlaceState::Open, moves);
        }
        event.count_customer(customer, -(named as i32), 0);
        let places = Bundle { seats: &released.seats, admissions: &released.admissions };
        event.count_levels(customer, places, false);
        event.hash ^= before ^ after;
    }

    fn resume(&mut self, number: EventNumber, resumed: Resumed) {
        for at in self.live_of(number) {
            let before = self.holds[at].hash();
            self.take_out_deadline(at);
            let entry = &mut self.holds[at];
            let times = 1 + u64::from(probe::planted!(ResumedTwice));
            entry.until = entry.until.plus_ms(times * resumed.shift_ms);
            if entry.open_attempt().is_some() {
                let payments = entry.payments_mut();
                payments.expires_at = payments.expires_at.plus_ms(resumed.shift_ms);
            }
            let (until, after) = (entry.until, entry.hash());
            self.deadlines.insert(&mut self.holds, at, until);
            self.event_mut(number).hash ^= before ^ after;
        }
    }

    fn raise_floor(&mut self, number: EventNumber, floor: TimestampMs, also_paid: bool) {
        let event = self.event_mut(number);
        event.hash ^= event.settings_hash();
        let below = u64::from(probe::planted!(FloorOffByOne));
        event.id_floor = event.id_floor.max(floor.minus_ms(below));
        event.hash ^= event.settings_hash();
        let dropped: Vec<u32> = self
            .holds
            .iter()
            .filter(|(_, entry)| entry.event == number && entry.is_tombstone() && entry.hold_id().time() <= floor)
            .filter(|(_, entry)| also_paid || !entry.ever_paid())
            .map(|(at, _)| at)
            .collect();
        dropped.into_iter().for_each(|at| self.forget(at));
    }

    /// End a live hold: what it has unsold is opened; it stays as a tombstone, or for its sold places.
    pub(crate) fn end(&mut self, now: TimestampMs, at: u32, state: HoldState, cause: HoldCause, moves: &mut Moves<'_>) {
        let entry = &self.holds[at];
        let (number, before) = (entry.event, entry.hash());
        self.event_mut(number).hash ^= before;
        self.end_taken_out(now, at, state, cause, moves);
    }

    /// As [`Self::end`], for a hold whose part of the event's hash was taken out of it.
    pub(crate) fn end_taken_out(
        &mut self,
        now: TimestampMs,
        at: u32,
        state: HoldState,
        cause: HoldCause,
        moves: &mut Moves<'_>,
    ) {
        let number = self.holds[at].event;
        self.take_out_deadline(at);
        let entry = &self.holds[at];
        let (customer, places) = (entry.customer, unsold_count(entry));
        let is_abandoned = state == HoldState::Expired && !entry.ever_paid() && !entry.has_sold();
        let words = entry.copy_words();
        if self.event_mut(number).rules.is_some() {
            self.count_levels_of(at, customer, false);
        }
        let event = self.event_mut(number);
        let freed = if state == HoldState::Expired && probe::planted!(ExpiryFreesOne) { 1 } else { usize::MAX };
        let seats = words.unsold_seats().take(freed).map(|seat| seat.index);
        if is_abandoned {
            let policies = &event.settings.policies;
            event.abandoned.spend(now, customer, policies);
        }
        if state == HoldState::Expired && event.settings.policies.cooling_s_max > 0 {
            self.rest(now, at, seats, words.unsold_admissions(), moves);
        } else {
            event.move_seats(seats, PlaceState::Held, PlaceState::Open, at, moves);
            for admission in words.unsold_admissions() {
                event.move_admission(admission, PlaceState::Held, PlaceState::Open, moves);
            }
        }
        let event = self.event_mut(number);
        event.live_holds -= 1;
        let given = if probe::planted!(AllowanceKept) { 0 } else { places };
        // At most 64.
        event.count_customer(customer, -(given as i32), -1);
        let window = event.settings.policies.retry_window_ms();
        let entry = &mut self.holds[at];
        entry.close_payment(now);
        entry.set_state(state, cause);
        entry.ended_at = now;
        let after = entry.hash();
        let window = if entry.ever_paid() { PAID_TOMBSTONE_MS } else { window };
        let forget_at = now.max(entry.hold_id().time()).plus_ms(window);
        entry.until = forget_at;
        let is_tombstone = entry.is_tombstone();
        if is_tombstone {
            self.forgetting.insert(&mut self.holds, at, forget_at);
            self.tombstones += 1;
        }
        let event = self.event_mut(number);
        event.tombstones += u32::from(is_tombstone);
        event.hash ^= after;
    }

    /// Forget every tombstone whose time has come.
    fn forget_due(&mut self, now: TimestampMs) {
        let mut touched = 0;
        while let Some(at) = self.forgetting.due(&mut self.holds, now) {
            probe::sometimes!("change: an ended hold is forgotten");
            if touched == 0 {
                touched = self.holds.touch_list(at);
            }
            touched -= 1;
            self.forget(at);
        }
    }

    pub(crate) fn forget(&mut self, at: u32) {
        let number = self.holds[at].event;
        assert!(self.holds[at].is_tombstone(), "only an ended hold with nothing sold is forgotten");
        self.forgetting.remove(&mut self.holds, at);
        self.holds.remove(at);
        self.tombstones -= 1;
        self.event_mut(number).tombstones -= 1;
    }

    /// The entry of a hold that must be live.
    pub(crate) fn live(&self, number: EventNumber, id: HoldId) -> u32 {
        let at = self.holds.find(number, id).expect("a change names a hold that is remembered");
        assert!(self.holds[at].is_live() && self.holds[at].bucket != NO_BUCKET, "hold {id:?} must be live");
        at
    }

    /// All live holds of an event, in order of their ids.
    fn live_of(&self, number: EventNumber) -> Vec<u32> {
        let mut found: Vec<(HoldId, u32)> = self
            .holds
            .iter()
            .filter(|(_, entry)| entry.event == number && entry.is_live())
            .map(|(at, entry)| (entry.hold_id(), at))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }
}

/// Rewrite all that a hold says of places for a new plan.
fn translate(entry: &mut Entry, old: &Plan, new: &Plan) {
    translate_words(entry, old, new);
    translate_memory(entry, old, new);
}

/// Rewrite the words of a hold for a new plan. A tombstone whose places are not all there any more
/// loses them all: it can only be reclaimed whole.
fn translate_words(entry: &mut Entry, old: &Plan, new: &Plan) {
    let seats: Option<Vec<u32>> = entry
        .seat_words()
        .iter()
        .map(|&word| {
            let seat = Seat::from_word(word);
            let index = new.find_seat(old.seat_key(seat.index))?;
            Some(Seat { index, ..seat }.word() | word & SOLD)
        })
        .collect();
    let admissions: Option<Vec<u32>> = entry
        .admission_words()
        .iter()
        .map(|&word| {
            let admission = Admission::from_word(word);
            let area = new.find_area(&old.areas()[usize::from(admission.area)].key)?;
            Some(Admission { area, ..admission }.word() | word & SOLD)
        })
        .collect();
    match (seats, admissions) {
        (Some(seats), Some(admissions)) => entry.set_words(&seats, &admissions),
        _ => drop_unsold(entry, old, new),
    }
}

/// Rewrite what a hold remembers of lost and sold places.
fn translate_memory(entry: &mut Entry, old: &Plan, new: &Plan) {
    let (lost, gone) = entry.lost();
    let mut kept: Vec<u32> = lost.iter().filter_map(|&seat| new.find_seat(old.seat_key(seat))).collect();
    kept.sort_unstable();
    // At most 64 of one hold.
    let gone = gone + (lost.len() - kept.len()) as u8;
    entry.set_lost(kept, gone);
    let Some(sales) = entry.sales() else { return };
    let mut sales = sales.clone();
    for (_, seat) in &mut sales.seats {
        *seat = new.find_seat(old.seat_key(*seat)).expect("a sold seat is in the new plan");
    }
    for (_, admission) in &mut sales.admissions {
        let key = &old.areas()[usize::from(admission.area)].key;
        admission.area = new.find_area(key).expect("an area with places sold is in the new plan");
    }
    entry.set_sales(sales);
}

fn drop_unsold(entry: &mut Entry, old: &Plan, new: &Plan) {
    assert!(!entry.is_live(), "a live hold's places are in the new plan");
    let sold = |word: &&u32| **word & SOLD != 0;
    let seats: Vec<u32> = entry.seat_words().iter().filter(sold).copied().collect();
    let admissions: Vec<u32> = entry.admission_words().iter().filter(sold).copied().collect();
    entry.set_words(&seats, &admissions);
    if !seats.is_empty() || !admissions.is_empty() {
        translate_words(entry, old, new);
    }
}
