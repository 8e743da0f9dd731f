//! One event: every command in the contract's order of judgement (shape has been judged; then id;
//! plan revision and unknown places; state and window; places per hold; availability, best available
//! last; shared quotas; orphan rule; customer limits).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use inventory_core::{
    best_available::Arrangement,
    change::{HoldCause, HoldState, HoldView},
    command::{
        self, AreaName, BeginPayment, BestAvailable, Confirm, CreateEvent, EndPayment, Extend, Part, Release,
        Remainder, Suggest, UpdateEvent,
    },
    ids::{CustomerKey, HoldId, RequestId, TimestampMs},
    limits::{ID_AHEAD_MS_MAX, OPS_REQUESTS_PER_EVENT_MAX, policy},
    place::{Moved, PlaceState},
    plan::{Area, Plan},
    policy::{EventState, Settings},
    reject::{Field, PlaceInTheWay, Reject},
    slot::Suggestion,
};

use crate::{
    Answer, Grant,
    allocations::{Allocations, Draws, Reach},
    carts::check_no_open_part,
    content::{self, Content},
    hold::{Admitted, Fate, HeldSeat, Hold, Payment},
    house::Killed,
    orphans,
    pick::{self, Wanted},
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

    pub(crate) fn state(&self) -> PlaceState {
        if self.room() > 0 { PlaceState::Open } else { self.state_of_taken() }
    }
}

/// Places a command asks for, with names resolved.
pub(crate) struct Asked {
    /// Explicit seats in request order.
    pub(crate) seats: Vec<u32>,
    /// For each admission of the command its area.
    pub(crate) areas: Vec<u16>,
    pub(crate) best: Option<Wanted>,
}

/// What best available found: seats, or an area for all.
#[derive(Default)]
struct Chosen {
    /// In plan order.
    seats: Vec<u32>,
    area: Option<u16>,
    arrangement: Arrangement,
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

    pub(crate) fn hold(&mut self, now: TimestampMs, command: &command::Hold) -> Result<Answer, Reject> {
        let content = content::of_hold(command);
        if let Some(known) = self.holds.get(&command.hold_id) {
            return self.answer_again(known, &content);
        }
        self.check_hold_age(now, command.hold_id)?;
        let hold = self.judge(now, command)?;
        if let Some(old) = command.replace {
            let window_ms = self.settings.policies.retry_window_ms();
            self.hold_mut(old).end(now, HoldState::Released, HoldCause::Replaced, window_ms);
        }
        self.holds.insert(hold.id, hold);
        Ok(self.answer(command.hold_id, false))
    }

    /// What a known id answers.
    pub(crate) fn answer_again(&self, known: &Hold, content: &Content) -> Result<Answer, Reject> {
        if known.content != *content {
            return Err(Reject::HoldIdReused);
        }
        match known.state {
            HoldState::Active | HoldState::Paying => Ok(self.answer(known.id, true)),
            HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: true }),
            HoldState::Released => Err(Reject::HoldReleased { executed: true }),
            HoldState::Expired => Err(Reject::HoldExpired { executed: true, places_lost: Vec::new() }),
        }
    }

    pub(crate) fn check_hold_age(&self, now: TimestampMs, id: HoldId) -> Result<(), Reject> {
        if self.is_too_old(now, id.time()) {
            return Err(Reject::HoldIdTooOld { now });
        }
        if is_from_future(now, id.time()) { Err(Reject::HoldIdFromFuture { now }) } else { Ok(()) }
    }

    /// The hold as it would be made: all of the order of judgement after the id.
    pub(crate) fn judge(&self, now: TimestampMs, command: &command::Hold) -> Result<Hold, Reject> {
        let policies = self.settings.policies.clone();
        let limited = policies.places_per_customer_max > 0
            || policies.holds_per_customer_max > 0
            || policies.abandon_credits_max > 0
            || !self.settings.limits.by_level.is_empty();
        if limited && !command.customer.is_some() {
            return Err(Reject::invalid(Field::Customer, "must be named"));
        }
        let replaced = match command.replace {
            None => None,
            Some(id) => Some(self.replaceable(now, id, command.customer)?.clone()),
        };
        let asked = self.resolve(command)?;
        self.check_on_sale(now, &command.allocations, &asked)?;
        let reach = self.reach(Some(now), &command.allocations);
        self.check_in_allocation(&asked.seats, &reach.brought, &BTreeSet::new(), self)?;
        let admitted: usize = command.admissions.iter().map(|wanted| usize::from(wanted.quantity)).sum();
        let party = asked.best.as_ref().map_or(0, |best| best.quantity);
        if asked.seats.len() + party + admitted > policies.places_per_hold_max as usize {
            return Err(Reject::TooManyPlaces { places_max: policies.places_per_hold_max });
        }
        let mut admissions = self.find_admissions(command, &asked, &reach, command.replace, self)?;
        self.check_explicit(&asked.seats, command.replace)?;
        let chosen = self.choose(command, &asked, &reach, &admissions)?;

        let kind = |at: usize| command.ticket_types.get(at).copied().unwrap_or(0);
        if let Some(area) = chosen.area {
            let key = &self.plan.areas()[usize::from(area)].key;
            let mut rooms = self.rooms(area, &reach.best, command.replace).without(&drawn(&admissions, key));
            // Type by type, in the order in which they are first named.
            let kinds: Vec<u8> = (0..party).map(|person| kind(asked.seats.len() + person)).collect();
            for (at, &ticket_type) in kinds.iter().enumerate() {
                if !kinds[..at].contains(&ticket_type) {
                    let persons = kinds.iter().filter(|&&other| other == ticket_type).count() as u32;
                    let admitted = admissions.entry((key.to_string(), ticket_type)).or_default();
                    admitted.held.add_all(&rooms.draw(persons));
                }
            }
        }
        let seats: Vec<HeldSeat> = asked
            .seats
            .iter()
            .chain(&chosen.seats)
            .enumerate()
            .map(|(at, &seat)| HeldSeat {
                key: self.plan.seat_key(seat).to_owned(),
                ticket_type: kind(at),
                fate: Fate::Held,
            })
            .collect();
        let ttl_ms = match command.ttl_ms {
            0 => u64::from(policies.hold_ttl_s) * 1_000,
            ttl_ms => u64::from(ttl_ms),
        };
        let hold = Hold {
            id: command.hold_id,
            content: content::of_hold(command),
            customer: command.customer,
            created_at: replaced.as_ref().map_or(now, |old| old.created_at),
            expires_at: replaced
                .as_ref()
                .map_or(now.plus_ms(ttl_ms.min(u64::from(policies.lifetime_s_max) * 1_000)), |old| old.expires_at),
            renewals: replaced.as_ref().map_or(0, |old| old.renewals),
            payment: None,
            attempts: Vec::new(),
            attempts_inherited: replaced.as_ref().map_or(0, Hold::attempts_used),
            state: HoldState::Active,
            cause: HoldCause::None,
            ended_at: TimestampMs(0),
            forget_at: TimestampMs(0),
            tags: asked.seats.iter().chain(&chosen.seats).filter_map(|&seat| self.tag(seat)).collect(),
            seats,
            admissions,
            orders: Vec::new(),
            order_last: None,
            attempt_last: None,
            sold_in_part: false,
            request_last: None,
            arrangement: chosen.arrangement,
            dropped: false,
            cart: None,
        };
        self.check_quotas(&hold, command.replace, self)?;
        self.check_orphans(&asked.seats, &reach, command.replace)?;
        self.check_customer(&hold, command.replace)?;
        let holds_after = 1 + self
            .holds
            .values()
            .filter(|other| other.is_live() && other.customer == hold.customer && Some(other.id) != command.replace)
            .count();
        if policies.holds_per_customer_max > 0 && holds_after > policies.holds_per_customer_max as usize {
            return Err(Reject::HoldQuota { holds_max: policies.holds_per_customer_max });
        }
        if command.replace.is_none() {
            self.check_abandoned(now, hold.customer)?;
        }
        Ok(hold)
    }

    fn replaceable(&self, now: TimestampMs, id: HoldId, customer: CustomerKey) -> Result<&Hold, Reject> {
        let old = self.holds.get(&id).ok_or(Reject::HoldNotFound)?;
        check_no_open_part(old)?;
        check_live(now, old)?;
        check_not_paying(old)?;
        if old.sold_count() > 0 {
            return Err(Reject::HoldAlreadyConfirmed { executed: false });
        }
        if old.customer != customer {
            return Err(Reject::invalid(Field::Customer, "must be that of the hold that is replaced"));
        }
        Ok(old)
    }

    /// Plan revision, and seats from names to numbers.
    pub(crate) fn resolve_seats(&self, command: &command::Hold) -> Result<Vec<u32>, Reject> {
        let by_index = command.admissions.iter().any(|wanted| matches!(wanted.area, AreaName::Index(_)));
        if !command.seats.is_empty() || by_index || command.plan_revision != 0 {
            self.check_revision(command.plan_revision)?;
        }
        let unknown = |field, position: usize| Reject::UnknownPlace { field, position: position as u32 };
        for (at, &seat) in command.seats.iter().enumerate() {
            if seat >= self.plan.seat_count() {
                return Err(unknown(Field::Seats, at));
            }
        }
        let mut seats = command.seats.clone();
        for (at, key) in command.seat_keys.iter().enumerate() {
            let seat = self.plan.find_seat(key).ok_or(unknown(Field::SeatKeys, at))?;
            if seats.contains(&seat) {
                return Err(Reject::DuplicateSeat { position: seats.len() as u32 });
            }
            seats.push(seat);
        }
        Ok(seats.to_vec())
    }

    /// Names to numbers: seats, areas, then the filters of best available.
    pub(crate) fn resolve(&self, command: &command::Hold) -> Result<Asked, Reject> {
        let seats = self.resolve_seats(command)?;
        let unknown = |field, position: usize| Reject::UnknownPlace { field, position: position as u32 };
        let mut areas = Vec::new();
        for (at, wanted) in command.admissions.iter().enumerate() {
            let area = match &wanted.area {
                AreaName::Index(index) => (usize::from(*index) < self.plan.areas().len()).then_some(*index),
                AreaName::Key(key) => self.plan.find_area(key),
            };
            areas.push(area.ok_or(unknown(Field::Ga, at))?);
        }
        let best = command.best.as_ref().map(|best| self.resolve_best(best)).transpose()?;
        Ok(Asked { seats, areas, best })
    }

    fn resolve_best(&self, best: &BestAvailable) -> Result<Wanted, Reject> {
        let unknown = |field, position: usize| Reject::UnknownPlace { field, position: position as u32 };
        let mut levels = Vec::new();
        for (at, name) in best.price_levels.iter().enumerate() {
            levels.push(self.plan.find_level(name).ok_or(unknown(Field::PriceLevels, at))?);
        }
        let mut sections = Vec::new();
        for (at, key) in best.sections.iter().enumerate() {
            sections.push(self.plan.find_section(key).ok_or(unknown(Field::Sections, at))?);
        }
        let zone = match &best.zone {
            None => None,
            Some(key) => Some(self.plan.find_zone(key).ok_or(unknown(Field::Zone, 0))?),
        };
        Ok(Wanted {
            quantity: usize::from(best.quantity),
            levels,
            sections,
            zone,
            accessible_count: usize::from(best.accessible_count),
            avoid: BTreeSet::new(),
            avoid_areas: BTreeSet::new(),
        })
    }

    /// The admissions the hold gets, item by item. Those of the replaced hold count as room of what they were drawn from.
    pub(crate) fn find_admissions(
        &self,
        command: &command::Hold,
        asked: &Asked,
        reach: &Reach,
        replaced: Option<HoldId>,
        public: &Event,
    ) -> Result<BTreeMap<(String, u8), Admitted>, Reject> {
        let mut found: BTreeMap<(String, u8), Admitted> = BTreeMap::new();
        for (wanted, &area) in command.admissions.iter().zip(&asked.areas) {
            let key = &self.plan.areas()[usize::from(area)].key;
            let mut rooms = self.rooms(area, &reach.named, replaced).without(&drawn(&found, key));
            let least = if wanted.quantity_min == 0 { wanted.quantity } else { wanted.quantity_min };
            if rooms.count() < u32::from(least) {
                // Evidence is what is there: the replaced hold, or what an exchange gives, still is.
                let open = public.rooms(area, &reach.named, None).count();
                let held = reach.named.iter().map(|&source| public.used(area, source, None).0).sum();
                return Err(if held == 0 && open == 0 {
                    Reject::SoldOut { quota: None }
                } else {
                    Reject::NotEnoughPlaces { held_unpaid: held, quota: None }
                });
            }
            let admitted = found.entry((key.to_string(), wanted.ticket_type)).or_default();
            admitted.held.add_all(&rooms.draw(u32::from(wanted.quantity)));
        }
        Ok(found)
    }

    /// Every explicit seat can be held.
    pub(crate) fn check_explicit(&self, seats: &[u32], replaced: Option<HoldId>) -> Result<(), Reject> {
        let states = self.seat_states(replaced);
        let in_the_way: Vec<PlaceInTheWay> = seats
            .iter()
            .filter(|&&seat| states[seat as usize] != PlaceState::Open)
            .map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] })
            .collect();
        if in_the_way.is_empty() { Ok(()) } else { Err(Reject::PlacesUnavailable { places: in_the_way }) }
    }

    /// The explicit seats together are one pick. What best available chose does not count.
    fn check_orphans(&self, seats: &[u32], reach: &Reach, replaced: Option<HoldId>) -> Result<(), Reject> {
        let rule = self.settings.policies.orphan_rule;
        if orphans::would_strand(&self.plan, &self.open_seats(&reach.named, replaced), seats, rule) {
            return Err(Reject::WouldStrand);
        }
        Ok(())
    }

    /// What best available gives to this command, if it asks for that.
    fn choose(
        &self,
        command: &command::Hold,
        asked: &Asked,
        reach: &Reach,
        admissions: &BTreeMap<(String, u8), Admitted>,
    ) -> Result<Chosen, Reject> {
        let (Some(best), Some(wanted)) = (&command.best, &asked.best) else {
            return Ok(Chosen::default());
        };
        self.climb(best, wanted, reach, &asked.seats, admissions, command.replace)
    }

    /// Best available, rung by rung: it sees the command's own `explicit` seats and `admissions` as
    /// taken, and those of the replaced hold as open.
    fn climb(
        &self,
        best: &BestAvailable,
        wanted: &Wanted,
        reach: &Reach,
        explicit: &[u32],
        admissions: &BTreeMap<(String, u8), Admitted>,
        replaced: Option<HoldId>,
    ) -> Result<Chosen, Reject> {
        let mut open = self.open_seats(&reach.best, replaced);
        explicit.iter().for_each(|&seat| open[seat as usize] = false);
        if let Some((seats, arrangement)) = pick::pick(&self.plan, &open, wanted, self.settings.policies.orphan_rule) {
            return Ok(Chosen { seats, area: None, arrangement });
        }
        if !best.contiguous_only
            && let Some(seats) = pick::split(&self.plan, &open, wanted)
        {
            return Ok(Chosen { seats, area: None, arrangement: Arrangement::Split });
        }
        let general =
            !best.contiguous_only && !best.seats_only && best.sections.is_empty() && best.accessible_count == 0;
        let fits = |area: u16| {
            let key = &self.plan.areas()[usize::from(area)].key;
            let rooms = self.rooms(area, &reach.best, replaced).without(&drawn(admissions, key));
            wanted.quantity as u32 <= rooms.count()
        };
        if general && let Some(area) = pick::nearest_area(&self.plan, wanted, fits) {
            return Ok(Chosen { seats: Vec::new(), area: Some(area), arrangement: Arrangement::General });
        }
        // Evidence is what is there: the replaced hold still is.
        let states = self.seat_states(None);
        let matching = |state: PlaceState| {
            let seats = (0..self.plan.seat_count()).filter(|&seat| states[seat as usize] == state);
            let reached = seats.filter(|&seat| reach.best.contains(&self.tag(seat)));
            reached.filter(|&seat| wanted.admits(&self.plan, seat)).count() as u32
        };
        let (mut held, mut open) = (matching(PlaceState::Held), matching(PlaceState::Open));
        if general {
            for (index, area) in (0..).zip(self.plan.areas()) {
                if wanted.admits_area(area) {
                    held += reach.best.iter().map(|&source| self.used(index, source, None).0).sum::<u32>();
                    open += self.rooms(index, &reach.best, None).count();
                }
            }
        }
        Err(if held == 0 && open == 0 {
            Reject::SoldOut { quota: None }
        } else {
            Reject::NotEnoughPlaces { held_unpaid: held, quota: None }
        })
    }

    pub(crate) fn check_customer_places(
        &self,
        customer: CustomerKey,
        more: u32,
        without: Option<HoldId>,
    ) -> Result<(), Reject> {
        let places_max = self.settings.policies.places_per_customer_max;
        let has: u32 = self
            .holds
            .values()
            .filter(|hold| hold.customer == customer && Some(hold.id) != without)
            .map(|hold| hold.sold_count() + if hold.is_live() { hold.held_count() } else { 0 })
            .sum();
        if places_max > 0 && customer.is_some() && has + more > places_max {
            return Err(Reject::CustomerLimit { places_max, level: None });
        }
        Ok(())
    }

    // ---- Suggest, Explain ----

    /// Ways until there is none: each is the ladder's, without what was told before it.
    pub(crate) fn suggest(&self, now: TimestampMs, command: &Suggest) -> Result<Answer, Reject> {
        if command.plan_revision != 0 {
            self.check_revision(command.plan_revision)?;
        }
        let wanted = self.resolve_best(&command.best)?;
        let mut asked = Asked { seats: Vec::new(), areas: Vec::new(), best: Some(wanted.clone()) };
        self.check_on_sale(now, &command.allocations, &asked)?;
        let reach = self.reach(Some(now), &command.allocations);
        let wanted = asked.best.get_or_insert(wanted);
        let mut options = Vec::new();
        while options.len() < usize::from(command.options_max) {
            let chosen = match self.climb(&command.best, wanted, &reach, &[], &BTreeMap::new(), None) {
                Ok(chosen) => chosen,
                Err(reject) if options.is_empty() => return Err(reject),
                Err(_) => break,
            };
            wanted.avoid.extend(&chosen.seats);
            wanted.avoid_areas.extend(chosen.area);
            let Chosen { seats, area, arrangement } = chosen;
            options.push(Suggestion { seats, area, arrangement });
        }
        Ok(Answer::Suggested { options })
    }

    /// What the hold would be answered if its id were new, and whom it would leave alone.
    pub(crate) fn explain(&self, now: TimestampMs, command: &command::Hold) -> Answer {
        let outcome = self.judge(now, command).map(|hold| {
            let view = hold.view(&self.plan, self.plan_revision, &self.settings.policies);
            Grant { seats: view.seats, admissions: view.admissions, arrangement: view.arrangement }
        });
        // A hold that cannot be replaced gives nothing back.
        let replaced = command.replace.filter(|&old| self.replaceable(now, old, command.customer).is_ok());
        // Whom it leaves alone is no matter of windows.
        let reach = self.reach(None, &command.allocations);
        let open = self.open_seats(&reach.named, replaced);
        // Whatever refused it; nobody is named when the plan has not every seat.
        let picked: Vec<u32> = match &outcome {
            Ok(grant) => grant.seats.iter().map(|seat| seat.index).collect(),
            Err(_) => self
                .resolve_seats(command)
                .unwrap_or_default()
                .into_iter()
                .filter(|&seat| open[seat as usize])
                .collect(),
        };
        Answer::Explained { outcome, left_alone: orphans::left_alone(&self.plan, &open, &picked) }
    }

    // ---- Extend, Confirm, Release, GetHold ----

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

    pub(crate) fn get_hold(&self, id: HoldId) -> Result<Answer, Reject> {
        let view = self.hold_view(id).ok_or(Reject::HoldNotFound)?;
        Ok(Answer::Hold { view, replayed: false })
    }

    /// The answer to the request the hold remembers, if this is it.
    fn repeated_request(&self, hold: &Hold, request: RequestId, content: &Content) -> Option<Result<Answer, Reject>> {
        let (last, said) = hold.request_last.as_ref()?;
        (*last == request)
            .then(|| if said == content { Ok(self.answer(hold.id, true)) } else { Err(Reject::RequestIdReused) })
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
        let counts = self.area_counts(None);
        for admission in &part.admissions {
            let area = &self.plan.areas()[usize::from(admission.area)];
            let has = hold.admissions.get(&(area.key.to_string(), admission.ticket_type)).map_or(0, |a| a.held.count());
            if has < u32::from(admission.quantity) {
                let state = counts[usize::from(admission.area)].state();
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
            return Err(Reject::StateMismatch { etag: self.etag() });
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

fn is_from_future(now: TimestampMs, time: TimestampMs) -> bool {
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

fn check_not_paying(hold: &Hold) -> Result<(), Reject> {
    if hold.state == HoldState::Paying { Err(Reject::PaymentInProgress) } else { Ok(()) }
}

/// Requests on a hold come in the order of their ids.
fn check_request_follows(hold: &Hold, request: RequestId) -> Result<(), Reject> {
    match &hold.request_last {
        Some((last, _)) if request < *last => Err(Reject::RequestIdTooOld),
        _ => Ok(()),
    }
}

/// What a command has drawn from an area.
fn drawn(admissions: &BTreeMap<(String, u8), Admitted>, area: &str) -> Draws {
    let mut all = Draws::default();
    let of_area = admissions.iter().filter(|((key, _), _)| key == area);
    of_area.for_each(|(_, admitted)| all.add_all(&admitted.held));
    all
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

#[cfg(test)]
mod tests {
    use inventory_core::{
        command::{AdmissionWanted, BestAvailable},
        ids::{EventId, EventKey},
        place::Admission,
        plan::{PlanSpec, Point},
        policy::OrphanRule,
    };

    use super::*;
    use crate::drawn::{area, build, drawn};

    const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

    /// Holds on one event. Seats drawn as taken are in a hold.
    #[derive(Clone)]
    struct Sale {
        event: Event,
        holds: u64,
    }

    impl Sale {
        fn of(text: &str, areas: &[(&str, u32)], set: impl Fn(&mut Settings)) -> Self {
            let (mut spec, open): (PlanSpec, _) = drawn(text);
            for (number, (key, capacity)) in (1..).zip(areas) {
                spec.areas.push(area(key, *capacity, Point { x: 0, y: 10_000 * number }));
            }
            let mut settings = Settings::default();
            settings.policies.places_per_hold_max = 64;
            settings.policies.orphan_rule = OrphanRule::Off;
            let create = |settings: &Settings| CreateEvent {
                id: EventId::parse("drawn").expect("a name"),
                key: EventKey(1),
                plan: Arc::new(build(&spec)),
                settings: settings.clone(),
            };
            let made_of = content::of_create(&create(&settings));
            let mut sale = Self { event: Event::new(&create(&settings), made_of), holds: 0 };
            let taken: Vec<u32> = (0..).zip(&open).filter(|(_, open)| !**open).map(|(seat, _)| seat).collect();
            if !taken.is_empty() {
                sale.hold(|hold| hold.seats = taken.iter().copied().collect()).expect("they are open");
            }
            set(&mut settings);
            sale.event.settings = settings;
            sale
        }

        fn hold(&mut self, ask: impl FnOnce(&mut command::Hold)) -> Result<HoldView, Reject> {
            self.holds += 1;
            let id = u128::from(NOW.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(self.holds);
            let mut hold = command::Hold {
                allocations: Default::default(),
                hold_id: HoldId(id),
                seats: Default::default(),
                seat_keys: Vec::new(),
                admissions: Vec::new(),
                best: None,
                ticket_types: Vec::new(),
                customer: CustomerKey(9),
                ttl_ms: 0,
                replace: None,
                plan_revision: 0,
            };
            ask(&mut hold);
            hold.check().expect("of the right shape");
            match self.event.hold(NOW, &hold)? {
                Answer::Hold { view, replayed: false } => Ok(view),
                other => panic!("a new hold, not {other:?}"),
            }
        }
    }

    fn best(quantity: u8) -> Option<BestAvailable> {
        Some(BestAvailable { quantity, ..BestAvailable::default() })
    }

    fn admit(area: u16, quantity: u8, ticket_type: u8) -> AdmissionWanted {
        AdmissionWanted { area: AreaName::Index(area), quantity, quantity_min: 0, ticket_type }
    }

    fn seats(view: &HoldView) -> Vec<(u32, u8)> {
        view.seats.iter().map(|seat| (seat.index, seat.ticket_type)).collect()
    }

    fn admissions(view: &HoldView) -> Vec<(u16, u8, u8)> {
        view.admissions.iter().map(|one: &Admission| (one.area, one.ticket_type, one.quantity)).collect()
    }

    #[test]
    fn a_split_party_has_its_ticket_types_in_plan_order() {
        let mut sale = Sale::of("hall\n  ...\n  x..", &[], |_| {});
        let view = sale
            .hold(|hold| {
                hold.seats = [2].into_iter().collect();
                hold.best = best(4);
                hold.ticket_types = vec![9, 1, 2, 3, 4];
            })
            .expect("there are two pairs");
        assert_eq!(view.arrangement, Arrangement::Split);
        assert_eq!(seats(&view), [(2, 9), (0, 1), (1, 2), (4, 3), (5, 4)]);
    }

    #[test]
    fn a_party_that_must_sit_together_is_not_split() {
        let mut sale = Sale::of("hall\n  ...\n  ...", &[("floor", 9)], |_| {});
        let refused = sale.hold(|hold| {
            hold.best = best(4);
            hold.best.as_mut().expect("just set").contiguous_only = true;
        });
        assert_eq!(refused, Err(Reject::NotEnoughPlaces { held_unpaid: 0, quota: None }));
    }

    #[test]
    fn general_admission_comes_last_and_joins_what_was_asked() {
        let mut sale = Sale::of("hall\n  ...", &[("bar", 3), ("floor", 9), ("hill", 9)], |_| {});
        let view = sale
            .hold(|hold| {
                hold.admissions = vec![admit(1, 2, 7), admit(0, 1, 5)];
                hold.seats = [1].into_iter().collect();
                hold.best = best(4);
                hold.ticket_types = vec![3, 8, 7, 8, 8];
            })
            .expect("the floor has room");
        assert_eq!(view.arrangement, Arrangement::General);
        assert_eq!(seats(&view), [(1, 3)]);
        assert_eq!(admissions(&view), [(0, 5, 1), (1, 7, 3), (1, 8, 3)]);
        let held: Vec<u32> = sale.event.area_counts(None).iter().map(|counts| counts.held).collect();
        assert_eq!(held, [1, 6, 0]);
        // Three are open on the floor; four fit on the hill only.
        let view = sale.hold(|hold| hold.best = best(4)).expect("the hill has room");
        assert_eq!(admissions(&view), [(2, 0, 4)]);
    }

    #[test]
    fn a_party_fits_beside_the_general_admission_of_its_command() {
        let ask = |more: u8| {
            let mut sale = Sale::of("hall\n  .", &[("floor", 9)], |_| {});
            sale.hold(|hold| {
                hold.admissions = vec![admit(0, more, 0)];
                hold.best = best(4);
            })
        };
        assert_eq!(admissions(&ask(5).expect("nine fit")), [(0, 0, 9)]);
        assert_eq!(ask(6), Err(Reject::NotEnoughPlaces { held_unpaid: 0, quota: None }));
    }

    #[test]
    fn general_admission_is_no_answer_to_a_wish_for_seats() {
        let wishes: [fn(&mut BestAvailable); 4] = [
            |best| best.seats_only = true,
            |best| best.contiguous_only = true,
            |best| best.sections = vec!["hall".into()],
            |best| best.accessible_count = 1,
        ];
        for wish in wishes {
            let mut sale = Sale::of("hall\n  .", &[("floor", 9)], |_| {});
            let refused = sale.hold(|hold| {
                hold.best = best(2);
                wish(hold.best.as_mut().expect("just set"));
            });
            assert_eq!(refused, Err(Reject::NotEnoughPlaces { held_unpaid: 0, quota: None }));
        }
    }

    #[test]
    fn a_replaced_hold_gives_back_before_anything_is_chosen() {
        let mut sale = Sale::of("hall\n  ..", &[("floor", 4)], |_| {});
        let old = sale.hold(|hold| hold.admissions = vec![admit(0, 4, 0)]).expect("four fit");
        assert_eq!(sale.hold(|hold| hold.best = best(4)), Err(Reject::NotEnoughPlaces { held_unpaid: 4, quota: None }));
        let view = sale.hold(|hold| {
            hold.best = best(4);
            hold.replace = Some(old.hold_id);
        });
        assert_eq!(admissions(&view.expect("the four are its own")), [(0, 0, 4)]);
    }

    #[test]
    fn explicit_seats_are_judged_with_the_places_of_the_replaced_hold_open() {
        let mut sale = Sale::of("hall\n  ....", &[], |settings| settings.policies.orphan_rule = OrphanRule::Lenient);
        let pick = |seats: &[u32], replace| {
            let seats: Vec<u32> = seats.to_vec();
            move |hold: &mut command::Hold| {
                hold.seats = seats.iter().copied().collect();
                hold.replace = replace;
            }
        };
        assert_eq!(sale.hold(pick(&[2], None)), Err(Reject::WouldStrand));
        let old = sale.hold(pick(&[0, 1], None)).expect("two are left").hold_id;
        // Beside the old hold a run of two is left, in which nothing else could be picked.
        assert!(sale.clone().hold(pick(&[2], None)).is_ok());
        // Instead of it the run is four.
        assert_eq!(sale.clone().hold(pick(&[2], Some(old))), Err(Reject::WouldStrand));
        assert!(sale.hold(pick(&[2, 3], Some(old))).is_ok());
    }

    #[test]
    fn what_best_available_takes_strands_nobody_for_the_explicit_seats() {
        let mut sale = Sale::of("hall\n  .....", &[], |settings| settings.policies.orphan_rule = OrphanRule::Lenient);
        let view = sale.hold(|hold| {
            hold.seats = [4].into_iter().collect();
            hold.best = best(3);
        });
        let view = view.expect("4 alone strands nobody");
        assert_eq!((seats(&view).len(), view.arrangement), (4, Arrangement::Stranding));
        let refused = Sale::of("hall\n  .....", &[], |settings| settings.policies.orphan_rule = OrphanRule::Lenient)
            .hold(|hold| {
                hold.seats = [1].into_iter().collect();
                hold.best = best(1);
            });
        // That best available takes the seat left alone is no excuse.
        assert_eq!(refused, Err(Reject::WouldStrand));
    }

    #[test]
    fn the_orphan_rule_is_judged_after_availability_and_before_the_limits_of_the_customer() {
        let set = |settings: &mut Settings| {
            settings.policies.orphan_rule = OrphanRule::Strict;
            settings.policies.places_per_customer_max = 1;
        };
        let mut sale = Sale::of("hall\n  ....", &[], set);
        let refused = sale.hold(|hold| {
            hold.seats = [1].into_iter().collect();
            hold.best = best(4);
        });
        assert_eq!(refused, Err(Reject::NotEnoughPlaces { held_unpaid: 0, quota: None }));
        let refused = sale.hold(|hold| hold.seats = [1, 2].into_iter().collect());
        assert_eq!(refused, Err(Reject::WouldStrand));
        let refused = sale.hold(|hold| hold.seats = [0, 1].into_iter().collect());
        assert_eq!(refused, Err(Reject::CustomerLimit { places_max: 1, level: None }));
    }
}
