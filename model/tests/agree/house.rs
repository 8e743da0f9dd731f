//! What the house and the box office ask, drawn at random.
//!
//! Not here: buyers (`asking.rs`), what must be answered (`main.rs`).

use super::*;

impl Run {
    pub(crate) fn retire(&mut self, key: EventKey) -> RetireEvent {
        RetireEvent {
            request_id: RequestId(self.sale_id(key).0),
            archived_seq: self.rng.percent(80).then_some(0),
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    /// What the house may do, and what becomes of a sale later.
    pub(crate) fn of_house(&mut self, key: EventKey) -> Command {
        match self.rng.below(100) {
            0..=17 => Command::SetAllocation(Box::new(self.set_allocation(key))),
            18..=22 => Command::RemoveAllocation(Box::new(self.remove_allocation(key))),
            23 => Command::ListAllocations,
            24..=37 => Command::SellDirect(Box::new(self.sell_direct(key))),
            38..=52 => Command::ReturnPlaces(Box::new(self.return_places(key))),
            53..=68 => Command::Exchange(Box::new(self.exchange(key))),
            69..=79 => Command::Kill(Box::new(self.kill(key))),
            80..=83 => Command::SetPriceLevel(Box::new(self.set_price_level(key))),
            84..=92 => Command::Unkill(Box::new(self.unkill(key))),
            93..=96 => {
                let order = self.sold_order(key);
                Command::GetOrder(order)
            }
            _ => {
                let what = *self.rng.pick(&[Listed::Holds, Listed::Orders]);
                Command::List(List { what, from: 0, count_max: *self.rng.pick(&[1, 3, 256]) })
            }
        }
    }

    pub(crate) fn set_allocation(&mut self, key: EventKey) -> SetAllocation {
        let mut places = if self.rng.percent(12) {
            PlaceSet { plan_revision: self.revision(key), ..PlaceSet::default() }
        } else {
            self.some_set(key, PlaceState::Open)
        };
        places.admissions.iter_mut().filter(|_| self.rng.percent(4)).for_each(|named| named.quantity *= 40);
        let (opens_at, closes_at) = if self.rng.percent(25) { (self.bound(), self.bound()) } else { (None, None) };
        SetAllocation {
            request_id: self.request_id(),
            key: self.allocation_key(),
            places,
            opens_at,
            closes_at,
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    /// With the plan that the server would make of the present one.
    pub(crate) fn set_price_level(&mut self, key: EventKey) -> SetPriceLevel {
        let mut places = self.some_set(key, PlaceState::Open);
        let level: Box<str> = match self.rng.below(40) {
            0 => "".into(),
            1..=3 => "best".into(),
            4..=20 => "high".into(),
            _ => "low".into(),
        };
        if self.rng.percent(2) {
            places = PlaceSet::default();
        }
        let now = self.plan_of(key);
        let event = self.core.slot.find(key).and_then(|number| self.core.slot.event(number));
        let plan = match event.map(|event| changed_by(&places, event, &level)) {
            Some(Ok((seats, areas))) => with_level(
                &self.specs[&now.digest()],
                &now,
                &seats,
                &areas,
                if level.is_empty() { "low" } else { &level },
            )
            .map(|spec| {
                let plan = build_by_content(&spec);
                self.specs.insert(plan.digest(), spec);
                plan
            }),
            _ => Some(Arc::clone(&now)),
        };
        SetPriceLevel {
            request_id: self.request_id(),
            places,
            level,
            from: if self.rng.percent(5) { self.rng.pick(&self.plans).digest() } else { now.digest() },
            plan,
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn level_limits(&mut self, plan: &Plan) -> Vec<LevelLimit> {
        let mut limits = Vec::new();
        for level in plan.price_levels() {
            if self.rng.percent(60) {
                limits.push(LevelLimit { level: level.clone(), places_max: *self.rng.pick(&[0, 1, 2, 3, 4, 6]) });
            }
        }
        match self.rng.below(60) {
            0 => limits.push(LevelLimit { level: "nowhere".into(), places_max: 1 }),
            1 => limits.extend_from_within(..),
            _ => {}
        }
        limits
    }

    pub(crate) fn quotas(&mut self, plan: &Plan) -> Vec<SharedQuota> {
        let mut quotas = Vec::new();
        for name in ["exits", "doors"] {
            if !self.rng.percent(60) {
                continue;
            }
            let mut levels: Vec<Box<str>> =
                plan.price_levels().iter().filter(|_| self.rng.percent(50)).cloned().collect();
            let areas = plan.areas().iter().filter(|_| self.rng.percent(50)).map(|area| area.key.clone()).collect();
            if self.rng.percent(3) {
                levels.push("nowhere".into());
            }
            quotas.push(SharedQuota {
                name: name.into(),
                levels,
                areas,
                places_max: *self.rng.pick(&[0, 3, 5, 8, 12]),
            });
        }
        // One of nothing is refused, which is enough now and then.
        quotas.retain(|quota| quota.levels.len() + quota.areas.len() > 0 || self.rng.percent(10));
        quotas
    }

    /// Near to the present time, which it passes soon.
    pub(crate) fn bound(&mut self) -> Option<TimestampMs> {
        match self.rng.below(10) {
            0..=2 => None,
            3..=6 => Some(TimestampMs(0)),
            7 => Some(self.now),
            8 => Some(self.now.minus_ms(self.rng.within(1..=2_000))),
            _ => Some(self.now.plus_ms(self.rng.within(1..=4_000) * self.pace)),
        }
    }

    pub(crate) fn remove_allocation(&mut self, key: EventKey) -> RemoveAllocation {
        let places = if self.rng.percent(30) { PlaceSet::default() } else { self.some_set(key, PlaceState::Open) };
        RemoveAllocation {
            request_id: self.request_id(),
            key: self.allocation_key(),
            places,
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn allocation_key(&mut self) -> Box<str> {
        let text = match self.rng.below(40) {
            0 => "",
            1 => "two words",
            2 => "nobody",
            3..=15 => "fans",
            16..=28 => "agent",
            _ => "sponsor",
        };
        text.into()
    }

    pub(crate) fn allocation_keys(&mut self) -> AllocationKeys {
        if self.rng.percent(45) {
            return AllocationKeys::default();
        }
        let mut keys = vec![self.allocation_key()];
        if self.rng.percent(40) {
            keys.push(self.allocation_key());
        }
        // Twice is refused, which is enough now and then.
        if keys.len() == 2 && keys[0] == keys[1] && self.rng.percent(80) {
            keys.pop();
        }
        AllocationKeys { keys, include_unallocated: self.rng.percent(40) }
    }

    pub(crate) fn sell_direct(&mut self, key: EventKey) -> SellDirect {
        let request_id = self.sale_id(key);
        SellDirect {
            request_id,
            order: self.order(),
            places: self.named_places(key),
            customer: CustomerKey(self.rng.within(0..=3)),
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    /// As a hold names them, but for what is chosen.
    pub(crate) fn named_places(&mut self, key: EventKey) -> NamedPlaces {
        let mut hold = self.hold(key);
        hold.best = None;
        hold.admissions.iter_mut().for_each(|wanted| wanted.quantity_min = 0);
        if self.rng.percent(1) {
            hold.admissions.iter_mut().for_each(|wanted| wanted.quantity_min = 1);
        }
        let plan = self.plan_of(key);
        if hold.seats.is_empty() && hold.seat_keys.is_empty() && hold.admissions.is_empty() && self.rng.percent(95) {
            self.ask_seats(&plan, &mut hold);
        }
        let count = hold.seats.len() + hold.seat_keys.len();
        if !self.rng.percent(3) {
            hold.ticket_types.truncate(count);
            let fill = if hold.ticket_types.is_empty() { 0 } else { count };
            hold.ticket_types.resize(fill, 1);
        }
        NamedPlaces {
            allocations: hold.allocations,
            plan_revision: hold.plan_revision,
            seats: hold.seats,
            seat_keys: hold.seat_keys,
            admissions: hold.admissions,
            ticket_types: hold.ticket_types,
        }
    }

    pub(crate) fn return_places(&mut self, key: EventKey) -> ReturnPlaces {
        let order = self.sold_order(key);
        let places = if self.rng.percent(15) { PlaceSet::default() } else { self.set_of_order(key, &order) };
        ReturnPlaces {
            request_id: self.request_id(),
            order,
            places,
            to: *self.rng.pick(&[ReturnTo::Origin, ReturnTo::Origin, ReturnTo::General, ReturnTo::Killed]),
            reason: self.reason(),
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn exchange(&mut self, key: EventKey) -> Exchange {
        let order = self.sold_order(key);
        let give = self.set_of_order(key, &order);
        let take = if self.rng.percent(40) {
            Take::Hold(if self.rng.percent(85) { self.live_id(key) } else { self.known_id(key) })
        } else {
            let mut places = self.named_places(key);
            // Some of what it gives.
            if self.rng.percent(30) && places.plan_revision == give.plan_revision {
                places.seats.extend(give.seats.iter().copied().take(2));
                places.ticket_types.clear();
            }
            Take::Places(places)
        };
        let request_id = self.request_id();
        self.note_id(key, HoldId(request_id.0));
        Exchange {
            request_id,
            order,
            give,
            take,
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn kill(&mut self, key: EventKey) -> Kill {
        let force = self.rng.percent(50);
        let live = self.model.live_holds(key);
        // Holds live shortly and have few seats: chance alone seldom meets one, and seldom leaves it some.
        let places = if force && !live.is_empty() && self.rng.percent(70) {
            let id = *self.rng.pick(&live);
            let view = self.model.hold_view(key, id).expect("it lives");
            let keep = *self.rng.pick(&[30, 30, 60, 100]);
            let seats: Vec<u32> = view.seats.iter().map(|seat| seat.index).filter(|_| self.rng.percent(keep)).collect();
            let plan = self.plan_of(key);
            self.set(key, &plan, &seats, Vec::new())
        } else {
            self.some_set(key, PlaceState::Open)
        };
        Kill {
            request_id: self.request_id(),
            places,
            reason: if self.rng.percent(98) { self.rng.pick(&["camera", "smoke", "pillar"]) } else { &"" }[..].into(),
            force,
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn unkill(&mut self, key: EventKey) -> Unkill {
        Unkill {
            request_id: self.request_id(),
            places: self.some_set(key, PlaceState::Killed),
            expected_state: self.expected_state(),
            validate_only: self.rng.percent(8),
        }
    }

    pub(crate) fn reason(&mut self) -> Box<str> {
        if self.rng.percent(70) {
            return "".into();
        }
        if self.rng.percent(95) { "smoke".into() } else { "long".repeat(self.rng.below(20)).into() }
    }

    pub(crate) fn expected_state(&mut self) -> Option<EventState> {
        self.rng.percent(8).then(|| *self.rng.pick(&[EventState::OnSale, EventState::OnSale, EventState::Paused]))
    }

    pub(crate) fn sold_parts(&mut self, key: EventKey) -> Vec<SoldPart> {
        let list = List { what: Listed::Orders, from: 0, count_max: 256 };
        match self.model.execute(self.now, key, &Command::List(list)) {
            Ok(Answer::Page { parts, .. }) => parts,
            _ => Vec::new(),
        }
    }

    /// Mostly one to which something is sold.
    pub(crate) fn sold_order(&mut self, key: EventKey) -> OrderRef {
        let parts = self.sold_parts(key);
        if parts.is_empty() || self.rng.percent(8) { self.order() } else { self.rng.pick(&parts).order.clone() }
    }

    /// Mostly places that are sold to the order, by any of their names.
    pub(crate) fn set_of_order(&mut self, key: EventKey, order: &OrderRef) -> PlaceSet {
        let plan = self.plan_of(key);
        let keep = self.rng.within(10..=100);
        let (mut seats, mut admissions) = (Vec::new(), Vec::new());
        let foreign_percent = if self.rng.percent(12) { 40 } else { 0 };
        for part in self.sold_parts(key) {
            if part.order != *order && !self.rng.percent(foreign_percent) {
                continue;
            }
            seats.extend(part.seats.iter().map(|seat| seat.index).filter(|_| self.rng.percent(keep)));
            for one in &part.admissions {
                if self.rng.percent(30) {
                    continue;
                }
                let beyond = usize::from(self.rng.percent(10));
                admissions.push(AdmissionsNamed {
                    area: self.area_name(&plan, one.area),
                    ticket_type: if self.rng.percent(95) { one.ticket_type } else { 1 - one.ticket_type.min(1) },
                    quantity: 1 + self.rng.below(usize::from(one.quantity) + beyond) as u32,
                });
            }
        }
        if self.rng.percent(8) || seats.is_empty() && admissions.is_empty() {
            seats.push(self.rng.below(plan.seat_count() as usize + 1) as u32);
        }
        self.set(key, &plan, &seats, admissions)
    }

    /// Any places, mostly in this state.
    pub(crate) fn some_set(&mut self, key: EventKey, state: PlaceState) -> PlaceSet {
        let plan = self.plan_of(key);
        let states = self.model.seat_states(key);
        let held_percent = if self.rng.percent(40) { 50 } else { 0 };
        let sold_percent = if self.rng.percent(10) { 50 } else { 0 };
        let keep = self.rng.within(1..=60);
        let start = self.rng.below(states.len().max(1));
        let mut seats = Vec::new();
        for (seat, is) in states.iter().enumerate().skip(start).take(8) {
            let percent = match is {
                _ if *is == state => keep,
                PlaceState::Held => held_percent,
                PlaceState::Sold => sold_percent,
                PlaceState::Open | PlaceState::Killed => 10,
            };
            if self.rng.percent(percent) {
                seats.push(seat as u32);
            }
        }
        let mut admissions = Vec::new();
        for area in 0..plan.areas().len() as u16 {
            if self.rng.percent(25) {
                admissions.push(AdmissionsNamed {
                    area: self.area_name(&plan, area),
                    ticket_type: self.rng.below(2) as u8,
                    quantity: self.rng.below(4) as u32 + u32::from(self.rng.percent(97)),
                });
            }
        }
        if seats.is_empty() && admissions.is_empty() {
            seats.push(self.rng.below(plan.seat_count() as usize + 1) as u32);
        }
        let mut set = self.set(key, &plan, &seats, admissions);
        if self.rng.percent(6) && !plan.sections().is_empty() {
            set.selectors.push(self.rng.pick(plan.sections()).key.clone());
        }
        set
    }

    pub(crate) fn area_name(&mut self, plan: &Plan, area: u16) -> AreaName {
        match plan.areas().get(usize::from(area)) {
            Some(spec) if self.rng.percent(50) => AreaName::Key(spec.key.clone()),
            _ => AreaName::Index(area),
        }
    }

    /// Each seat by one of its names, some by two.
    pub(crate) fn set(
        &mut self,
        key: EventKey,
        plan: &Plan,
        seats: &[u32],
        admissions: Vec<AdmissionsNamed>,
    ) -> PlaceSet {
        let mut set = PlaceSet { plan_revision: self.revision(key), admissions, ..PlaceSet::default() };
        let mut seats = seats.iter().copied().peekable();
        while let Some(seat) = seats.next() {
            if seat >= plan.seat_count() {
                if self.rng.percent(20) {
                    set.seats.push(seat);
                }
                continue;
            }
            let how = self.rng.below(10);
            if how < 5 {
                set.seats.push(seat);
            }
            if (4..8).contains(&how) {
                set.seat_keys.push(plan.seat_key(seat).into());
            }
            if how >= 8 {
                let row = &plan.rows()[plan.row_of(seat) as usize];
                let section = &plan.sections()[usize::from(row.section)].key;
                let label = plan.seat_label(seat);
                // With the next one, when they are neighbours.
                let next = seats.next_if(|&next| next == seat + 1 && row.seats().contains(&next));
                let seats = next.map_or_else(|| label.into(), |next| format!("{label}-{}", plan.seat_label(next)));
                set.selectors.push(format!("{section}/{}/{seats}", row.label).into());
            }
        }
        match self.rng.below(100) {
            0 => set.selectors.push("nowhere".into()),
            1 => set.seat_keys.push("nowhere".into()),
            2 => set.seats.extend_from_within(..),
            3 => set.admissions.extend_from_within(..),
            4 if !plan.rows().is_empty() => {
                let row = self.rng.pick(plan.rows());
                let section = &plan.sections()[usize::from(row.section)].key;
                let end = *self.rng.pick(&["", "/2-1", "/1-3", "/9", "/"]);
                set.selectors.push(format!("{section}/{}{end}", row.label).into());
            }
            _ => {}
        }
        set
    }
}
