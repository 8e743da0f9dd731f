//! One event: what it has, what it is told by its owner, and what time does to it.
//!
//! Not here: holds (`judging.rs`, `settling.rs`), what the house does (`house.rs`).

use std::{collections::BTreeMap, sync::Arc};

use inventory_core::{
    change::{HoldCause, HoldState, HoldView},
    command::{CreateEvent, UpdateEvent},
    ids::{HoldId, RequestId, TimestampMs},
    limits::{ID_AHEAD_MS_MAX, OPS_REQUESTS_PER_EVENT_MAX, policy},
    place::{Moved, PlaceState},
    plan::{Area, Plan},
    policy::{EventState, Settings},
    reject::{Field, PlaceInTheWay, Reject},
};

use crate::{
    Answer,
    allocations::Allocations,
    content::{self, Content},
    hold::{Fate, Hold, Payment},
    house::Killed,
    resting::Resting,
    rules::{self, Abandoned},
};

/// Evidence names at most so many places.
pub(crate) const EVIDENCE_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Event {
    made_of: Content,
    pub(crate) settings: Settings,
    pub(crate) plan: Arc<Plan>,
    plan_revision: u32,
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    /// What the house has withdrawn.
    pub(crate) killed: Killed,
    /// What it has set aside.
    pub(crate) allocations: Allocations,
    /// What rests after its hold expired.
    pub(crate) resting: Resting,
    /// Holds that expired, by customer.
    pub(crate) abandoned: Abandoned,
    /// Requests that were done, with when they are forgotten.
    requests: BTreeMap<RequestId, (Content, TimestampMs)>,
    /// Ids of this time and before are too old.
    floor: TimestampMs,
    /// Every content (settings, plan and its revision) there was; the place of the present one is what
    /// stands for the etag here.
    contents: Vec<Content>,
}

/// Admissions of one area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AreaCounts {
    capacity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
    pub(crate) killed: u32,
    /// Of quotas, neither held nor sold.
    pub(crate) unused: u32,
}

impl AreaCounts {
    pub(crate) fn open(&self) -> u32 {
        let taken = self.held + self.sold + self.killed;
        self.capacity.checked_sub(taken).expect("never more than there are")
    }

    /// What is open and of no quota.
    pub(crate) fn room(&self) -> u32 {
        self.open().checked_sub(self.unused).expect("what is unused of quotas is open")
    }

    /// Whether more is set aside than is open, while an area becomes smaller.
    pub(crate) fn is_over(&self) -> bool {
        self.over() > 0
    }

    pub(crate) fn over(&self) -> u32 {
        self.unused.saturating_sub(self.open())
    }

    /// What becomes open first of what is taken stands for all of it. To the public what is set aside is unavailable.
    pub(crate) fn state_of_taken(&self) -> PlaceState {
        match (self.held, self.sold, self.killed + self.unused) {
            (0, 0, 1..) => PlaceState::Killed,
            (0, ..) => PlaceState::Sold,
            _ => PlaceState::Held,
        }
    }
}

pub(crate) fn check_ttl(ttl_ms: u32) -> Result<(), Reject> {
    let (ttl_ms_min, ttl_ms_max) = (policy::HOLD_TTL_S_MIN * 1_000, policy::HOLD_TTL_S_MAX * 1_000);
    if ttl_ms == 0 || (ttl_ms_min..=ttl_ms_max).contains(&ttl_ms) {
        Ok(())
    } else {
        Err(Reject::TtlOutOfRange { ttl_ms_min, ttl_ms_max })
    }
}

impl Event {
    pub(crate) fn new(create: &CreateEvent, made_of: Content) -> Self {
        let mut event = Self {
            made_of,
            settings: create.settings.clone(),
            plan: Arc::clone(&create.plan),
            plan_revision: 1,
            holds: BTreeMap::new(),
            killed: Killed::default(),
            allocations: Allocations::default(),
            resting: Resting::default(),
            abandoned: Abandoned::default(),
            requests: BTreeMap::new(),
            floor: TimestampMs(0),
            contents: Vec::new(),
        };
        event.abandoned.change(TimestampMs(0), &create.settings.policies);
        event.note_content();
        event
    }

    pub(crate) fn is_made_of(&self, content: &Content) -> bool {
        self.made_of == *content
    }

    // ---- Hold ----

    // ---- Suggest, Explain ----

    // ---- Extend, Confirm, Release, GetHold ----

    pub(crate) fn get_hold(&self, id: HoldId) -> Result<Answer, Reject> {
        let view = self.hold_view(id).ok_or(Reject::HoldNotFound)?;
        Ok(Answer::Hold { view, replayed: false })
    }

    /// Indexes were read at this plan; 0 is the first, while there is no other.
    pub(crate) fn check_revision(&self, revision: u32) -> Result<(), Reject> {
        let revision = if revision == 0 { 1 } else { revision };
        if revision == self.plan_revision {
            Ok(())
        } else {
            Err(Reject::PlanChanged { plan_revision: self.plan_revision })
        }
    }

    // ---- UpdateEvent ----

    pub(crate) fn update(&mut self, now: TimestampMs, command: &UpdateEvent) -> Result<Answer, Reject> {
        let content = content::of_update(command);
        if let Some(request) = command.request_id {
            if self.is_done(request, &content)? {
                return Ok(Answer::Event { replayed: true });
            }
            self.check_age(now, request)?;
        }
        let etag_differs = command.etag.is_some_and(|etag| etag != self.etag());
        let state_differs = command.expected_state.is_some_and(|state| state != self.settings.state);
        if etag_differs || state_differs {
            return Err(Reject::StateMismatch { etag: self.etag(), state: self.state() });
        }
        let old = self.settings.clone();
        let new = command.over(&old);
        new.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        if !old.state.may_become(new.state) {
            return Err(Reject::invalid(Field::State, "must follow the present one"));
        }
        let plan_after = command.plan.as_ref().unwrap_or(&self.plan);
        rules::check_names(&new.limits, plan_after, command.level_limits.is_some(), command.quotas.is_some())?;
        let plan = command.plan.clone().filter(|plan| plan.digest() != self.plan.digest());
        if let Some(plan) = &plan {
            self.check_nothing_dropped(plan)?;
        }
        if command.request_id.is_some() {
            self.check_requests_have_room()?;
        }
        if command.validate_only {
            return Ok(Answer::Event { replayed: false });
        }

        let (window_ms_old, window_ms) = (old.policies.retry_window_ms(), new.policies.retry_window_ms());
        if window_ms > window_ms_old {
            self.floor = self.floor.max(now.minus_ms(window_ms_old));
            // What is remembered now is remembered by the longer window; one that ever was paying has its
            // 24 hours whatever the window is.
            let more_ms = window_ms - window_ms_old;
            for hold in self.holds.values_mut().filter(|hold| is_tombstone(hold) && !hold.ever_paid()) {
                hold.forget_at = hold.forget_at.plus_ms(more_ms);
            }
            for (_, forget_at) in self.requests.values_mut() {
                *forget_at = forget_at.plus_ms(more_ms);
            }
        }
        if let Some(plan) = plan {
            for hold in self.holds.values_mut() {
                hold.drop_what_is_not_in(&plan);
            }
            self.drop_set_aside(&plan);
            self.plan = plan;
            self.plan_revision += 1;
            self.drop_killed();
            self.shrink_to_capacity();
        }
        if new.state == EventState::Cancelled {
            for hold in self.holds.values_mut().filter(|hold| hold.is_live() && hold.cart.is_none()) {
                hold.end(now, HoldState::Released, HoldCause::Cancelled, window_ms);
            }
        }
        self.abandoned.change(now, &new.policies);
        self.settings = new;
        self.note_content();
        if let Some(request) = command.request_id {
            self.note_request(now, request, content);
        }
        Ok(Answer::Event { replayed: false })
    }

    /// Whether the request is one that was done, with the same content. Of a sale without a hold its sale is the
    /// memory.
    pub(crate) fn is_done(&self, request: RequestId, content: &Content) -> Result<bool, Reject> {
        match self.requests.get(&request) {
            None if self.holds.get(&HoldId(request.0)).is_some_and(is_direct_sale) => Err(Reject::RequestIdReused),
            None => Ok(false),
            Some((said, _)) if said == content => Ok(true),
            Some(_) => Err(Reject::RequestIdReused),
        }
    }

    /// Whether the id is that of a request that is remembered, or of a sale without a hold.
    pub(crate) fn knows_request(&self, request: RequestId) -> bool {
        self.requests.contains_key(&request) || self.holds.get(&HoldId(request.0)).is_some_and(is_direct_sale)
    }

    /// Its state.
    pub(crate) fn state(&self) -> EventState {
        self.settings.state
    }

    pub(crate) fn check_age(&self, now: TimestampMs, request: RequestId) -> Result<(), Reject> {
        if self.is_too_old(now, request.time()) {
            return Err(Reject::RequestIdTooOld);
        }
        if is_from_future(now, request.time()) { Err(Reject::RequestIdInvalid) } else { Ok(()) }
    }

    pub(crate) fn check_requests_have_room(&self) -> Result<(), Reject> {
        if self.requests.len() < OPS_REQUESTS_PER_EVENT_MAX { Ok(()) } else { Err(Reject::CapacityBudget) }
    }

    pub(crate) fn note_request(&mut self, now: TimestampMs, request: RequestId, content: Content) {
        let forget_at = request.time().max(now).plus_ms(self.settings.policies.retry_window_ms());
        self.requests.insert(request, (content, forget_at));
    }

    /// A new plan must have every held and sold place.
    fn check_nothing_dropped(&self, plan: &Plan) -> Result<(), Reject> {
        let mut dropped = Vec::new();
        for (seat, state) in self.seat_states(None).into_iter().enumerate() {
            let seat = seat as u32;
            let in_use = matches!(state, PlaceState::Held | PlaceState::Sold);
            if in_use && plan.find_seat(self.plan.seat_key(seat)).is_none() {
                dropped.push(PlaceInTheWay { place: Moved::Seat(seat), state });
            }
        }
        for (index, AreaCounts { held, sold, .. }) in self.area_counts(None).into_iter().enumerate() {
            let area = &self.plan.areas()[index];
            let capacity = plan.find_area(&area.key).map_or(0, |new| plan.areas()[usize::from(new)].capacity);
            if held + sold > capacity {
                let state = if held > 0 { PlaceState::Held } else { PlaceState::Sold };
                let place = Moved::Area { area: index as u16, quantity: held + sold - capacity };
                dropped.push(PlaceInTheWay { place, state });
            }
        }
        if dropped.is_empty() {
            Ok(())
        } else {
            dropped.truncate(EVIDENCE_MAX);
            Err(Reject::PlacesInUse { places: dropped })
        }
    }

    // ---- Time ----

    pub(crate) fn advance(&mut self, now: TimestampMs) {
        self.end_carts_due(now);
        let policies = &self.settings.policies;
        let window_ms = policies.retry_window_ms();
        let is_due = |hold: &&mut Hold| hold.is_live() && hold.cart.is_none() && now >= hold.deadline();
        for hold in self.holds.values_mut().filter(is_due) {
            if now < hold.expires_at {
                // Only the payment is over: nobody said that the buyer is still there, so nothing is added.
                hold.stop_paying(now);
            } else {
                hold.end(now, HoldState::Expired, HoldCause::Deadline, window_ms);
                self.abandoned.note(now, hold);
                self.resting.begin(now, hold, policies.cooling_s_max);
            }
        }
        self.forget(now);
        self.requests.retain(|_, (_, forget_at)| now < *forget_at);
    }

    /// Tombstones whose time has passed.
    pub(crate) fn forget(&mut self, now: TimestampMs) {
        self.holds.retain(|_, hold| !is_tombstone(hold) || now < hold.forget_at);
    }

    pub(crate) fn resume(&mut self, shift_ms: u64) {
        for hold in self.holds.values_mut().filter(|hold| hold.is_live()) {
            hold.expires_at = hold.expires_at.plus_ms(shift_ms);
            if let Some(payment) = &mut hold.payment {
                payment.deadline = payment.deadline.plus_ms(shift_ms);
            }
        }
    }

    pub(crate) fn raise_floor(&mut self, floor: TimestampMs, also_paid: bool) {
        self.floor = self.floor.max(floor);
        let stays = |hold: &Hold| !is_tombstone(hold) || hold.ever_paid() && !also_paid;
        self.holds.retain(|id, hold| stays(hold) || id.time() > floor);
    }

    pub(crate) fn is_too_old(&self, now: TimestampMs, time: TimestampMs) -> bool {
        time <= now.minus_ms(self.settings.policies.retry_window_ms()) || time <= self.floor
    }

    // ---- Reading ----

    /// State of every seat, as if the hold `without` were not there.
    pub(crate) fn seat_states(&self, without: Option<HoldId>) -> Vec<PlaceState> {
        let mut states = vec![PlaceState::Open; self.plan.seat_count() as usize];
        for hold in self.holds.values().filter(|hold| Some(hold.id) != without) {
            for seat in &hold.seats {
                let state = match seat.fate {
                    Fate::Sold(_) => PlaceState::Sold,
                    Fate::Held if hold.is_live() => PlaceState::Held,
                    Fate::Held | Fate::Freed | Fate::Lost(_) => continue,
                };
                let index = self.plan.find_seat(&seat.key).expect("a plan keeps held and sold seats");
                assert_eq!(states[index as usize], PlaceState::Open, "seat {} taken twice", seat.key);
                states[index as usize] = state;
            }
        }
        for key in self.resting.seats() {
            let index = self.plan.find_seat(key).expect("a plan keeps what rests");
            assert_eq!(states[index as usize], PlaceState::Open, "seat {key} rests and is taken");
            states[index as usize] = PlaceState::Held;
        }
        for key in self.killed.seats.keys() {
            let index = self.plan.find_seat(key).expect("dropped with the plan that had it");
            assert_eq!(states[index as usize], PlaceState::Open, "seat {key} killed and taken");
            states[index as usize] = PlaceState::Killed;
        }
        states
    }

    /// Admissions of every area, as if the hold `without` were not there.
    pub(crate) fn area_counts(&self, without: Option<HoldId>) -> Vec<AreaCounts> {
        let killed = |key: &str| self.killed.admissions.get(key).copied().unwrap_or(0);
        let of_area = |(index, area): (u16, &Area)| AreaCounts {
            capacity: area.capacity,
            held: self.resting.of_area(&area.key).count(),
            sold: 0,
            killed: killed(&area.key),
            unused: self.unused_of_all(index, without),
        };
        let mut counts: Vec<AreaCounts> = (0..).zip(self.plan.areas()).map(of_area).collect();
        for hold in self.holds.values().filter(|hold| Some(hold.id) != without) {
            for ((area, _), admitted) in &hold.admissions {
                let held = if hold.is_live() { admitted.held.count() } else { 0 };
                if held + admitted.sold_count() > 0 {
                    let index = self.plan.find_area(area).expect("a plan keeps areas in use");
                    counts[usize::from(index)].held += held;
                    counts[usize::from(index)].sold += admitted.sold_count();
                }
            }
        }
        counts
    }

    /// Deadlines, when tombstones are forgotten, and when what rests wakes at the latest.
    pub(crate) fn times(&self) -> impl Iterator<Item = TimestampMs> {
        let of_hold = |hold: &Hold| {
            if hold.is_live() { [hold.deadline(), hold.expires_at] } else { [hold.forget_at, hold.forget_at] }
        };
        self.holds.values().flat_map(of_hold).chain(self.resting.times())
    }

    pub(crate) fn paying_holds(&self) -> usize {
        self.holds.values().filter(|hold| hold.state == HoldState::Paying).count()
    }

    pub(crate) fn live_holds(&self) -> Vec<HoldId> {
        self.holds.values().filter(|hold| hold.is_live()).map(|hold| hold.id).collect()
    }

    pub(crate) fn hold_view(&self, id: HoldId) -> Option<HoldView> {
        let hold = self.holds.get(&id)?;
        Some(hold.view(&self.plan, self.plan_revision, &self.settings.policies))
    }

    pub(crate) fn tombstones(&self) -> usize {
        self.holds.values().filter(|hold| is_tombstone(hold)).count()
    }

    pub(crate) fn tombstones_never_paid(&self) -> usize {
        self.holds.values().filter(|hold| is_tombstone(hold) && !hold.ever_paid()).count()
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn plan_revision(&self) -> u32 {
        self.plan_revision
    }

    /// Equal for equal settings, plan and plan revision, also when they were others meanwhile.
    pub(crate) fn etag(&self) -> u64 {
        let content = self.content();
        self.contents.iter().position(|known| *known == content).expect("noted with each update") as u64
    }

    fn content(&self) -> Content {
        format!("{:?}", (&self.settings, self.plan_revision, self.plan.digest()))
    }

    pub(crate) fn note_content(&mut self) {
        let content = self.content();
        if !self.contents.contains(&content) {
            self.contents.push(content);
        }
    }

    pub(crate) fn assert_valid(&self) {
        let states = self.seat_states(None);
        assert_eq!(states.len(), self.plan.seat_count() as usize);
        for (area, counts) in self.plan.areas().iter().zip(self.area_counts(None)) {
            let all = counts.open() + counts.held + counts.sold + counts.killed;
            assert_eq!(all, area.capacity, "places of area {} are conserved", area.key);
        }
        self.assert_set_aside();
        for hold in self.holds.values() {
            assert!(!hold.is_live() || hold.held_count() > 0, "a live hold holds something");
            assert_eq!(hold.state == HoldState::Paying, hold.payment.is_some(), "paying means an open payment");
            let known =
                |payment: &Payment| payment.attempt_id.map_or(hold.cart.is_some(), |id| hold.attempts.contains(&id));
            assert!(hold.payment.as_ref().is_none_or(known), "an open attempt is one of the hold's");
            let was_sold = !hold.orders.is_empty();
            assert!(hold.state != HoldState::Confirmed || was_sold, "confirmed means sold, now or once");
            assert!(hold.sold_count() == 0 || was_sold, "what is sold has an order");
        }
    }

    pub(crate) fn hold_mut(&mut self, id: HoldId) -> &mut Hold {
        self.holds.get_mut(&id).expect("found before")
    }

    pub(crate) fn answer(&self, id: HoldId, replayed: bool) -> Answer {
        Answer::Hold { view: self.hold_view(id).expect("found before"), replayed }
    }
}

/// Ended, nothing sold, nobody to be told how: forgotten after a while.
pub(crate) fn is_tombstone(hold: &Hold) -> bool {
    !hold.is_live() && hold.sold_count() == 0 && !hold.is_unsettled()
}

/// Sold without a hold, by a request of the same name.
fn is_direct_sale(hold: &Hold) -> bool {
    hold.content.starts_with(content::SELL)
}

pub(crate) fn is_from_future(now: TimestampMs, time: TimestampMs) -> bool {
    time >= now.plus_ms(ID_AHEAD_MS_MAX)
}

/// The hold lives, also by the clock.
pub(crate) fn check_live(now: TimestampMs, hold: &Hold) -> Result<(), Reject> {
    match hold.state {
        HoldState::Active | HoldState::Paying if now < hold.deadline() => Ok(()),
        HoldState::Active | HoldState::Paying | HoldState::Expired => {
            Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() })
        }
        HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: false }),
        HoldState::Released => Err(Reject::HoldReleased { executed: false }),
    }
}

pub(crate) fn check_not_paying(hold: &Hold) -> Result<(), Reject> {
    if hold.state == HoldState::Paying { Err(Reject::PaymentInProgress) } else { Ok(()) }
}
