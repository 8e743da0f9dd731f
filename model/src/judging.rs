//! A hold is judged, in the contract's order (shape has been judged; then id; plan revision and unknown places; state and
//! window; places per hold; availability, best available last; shared quotas; orphan rule; customer limits), and what
//! comes of it suggested or explained.
//!
//! Not here: what becomes of it (`settling.rs`), which seats are the best (`pick.rs`).

use std::collections::{BTreeMap, BTreeSet};

use inventory_core::{
    best_available::Arrangement,
    change::{HoldCause, HoldState},
    command::{self, AreaName, BestAvailable, Suggest},
    ids::{CustomerKey, HoldId, TimestampMs},
    place::{Moved, PlaceState},
    reject::{Field, PlaceInTheWay, Reject},
    slot::Suggestion,
};

use crate::{
    Answer, Grant,
    allocations::{Draws, Reach},
    carts::check_no_open_part,
    content::{self, Content},
    event::{Event, check_live, check_not_paying, is_from_future},
    hold::{Admitted, Fate, HeldSeat, Hold},
    orphans,
    pick::{self, Wanted},
};

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

impl Event {
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
        let covered = |option: &Suggestion| {
            let of_area = option.area.map(|area| (area, u32::from(command.best.quantity)));
            self.check_quotas_for(&option.seats, of_area)
        };
        if let Some(full) = options.first().and_then(|first| covered(first).err()) {
            options.retain(|option| covered(option).is_ok());
            if options.is_empty() {
                return Err(full);
            }
        }
        options.retain(|option| covered(option).is_ok());
        Ok(Answer::Suggested { options })
    }

    /// What the hold would be answered if its id were new, and whom it would leave alone.
    pub(crate) fn explain(&self, now: TimestampMs, command: &command::Hold) -> Answer {
        let outcome = self.judge(now, command).map(|hold| {
            let view = hold.view(&self.plan, self.plan_revision(), &self.settings.policies);
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
}

/// What a command has drawn from an area.
fn drawn(admissions: &BTreeMap<(String, u8), Admitted>, area: &str) -> Draws {
    let mut all = Draws::default();
    let of_area = admissions.iter().filter(|((key, _), _)| key == area);
    of_area.for_each(|(_, admitted)| all.add_all(&admitted.held));
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use inventory_core::{
        change::HoldView,
        command::{AdmissionWanted, BestAvailable, CreateEvent},
        ids::{EventId, EventKey},
        place::Admission,
        plan::{PlanSpec, Point},
        policy::{OrphanRule, Settings},
    };

    use super::*;
    use crate::{
        content,
        drawn::{area, build, drawn},
    };

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
