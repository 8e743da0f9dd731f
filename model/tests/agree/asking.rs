//! What is asked, drawn at random: few ids, few places, and times that stand on deadlines.
//!
//! Not here: the house (`house.rs`), carts (`world/carts.rs`), what must be answered (`main.rs`).

use super::*;

impl Run {
    pub(crate) fn command(&mut self) -> (EventKey, Command) {
        if self.rng.percent(12) && !self.sent.is_empty() {
            let (key, mut command) = self.sent[self.rng.below(self.sent.len())].clone();
            if self.rng.percent(15) {
                self.disturb(&mut command);
            }
            return (key, command);
        }
        let events = self.model.events();
        if events.len() < 2 || self.rng.percent(2) {
            return self.create(events.len() + self.model.retired_count());
        }
        // The latest events are the busiest, and those where something lives.
        let lively: Vec<EventKey> =
            events.iter().copied().filter(|&key| !self.model.live_holds(key).is_empty()).collect();
        let key = if !lively.is_empty() && self.rng.percent(40) {
            *self.rng.pick(&lively)
        } else if self.rng.percent(80) {
            events[events.len() - 1 - self.rng.below(2)]
        } else if self.rng.percent(97) {
            *self.rng.pick(&events)
        } else {
            event_key(99)
        };
        if self.rng.below(150) == 0 {
            return (key, Command::RetireEvent(self.retire(key)));
        }
        if self.rng.percent(self.updates_percent) {
            return (key, Command::UpdateEvent(Box::new(self.update(key))));
        }
        if self.rng.percent(self.carts_percent) {
            let hold = self.hold(key);
            let ids = self.ids.get(&key).cloned().unwrap_or_default();
            let when = (self.now, self.pace);
            return (key, self.carts.command(&mut self.rng, &self.model, when, key, hold, &ids));
        }
        let command = match self.rng.below(self.house_percent + 100) {
            0..=37 => Command::Hold(Box::new(self.hold(key))),
            38..=40 => Command::Suggest(Box::new(self.suggest(key))),
            41..=43 => Command::Explain(Box::new(self.hold(key))),
            44..=51 => Command::Extend(self.extend(key)),
            52..=66 => Command::Confirm(Box::new(self.confirm(key))),
            67..=78 => Command::Release(Box::new(self.release(key))),
            79..=88 => Command::BeginPayment(self.begin_payment(key)),
            89..=94 => Command::EndPayment(self.end_payment(key)),
            95..=99 => Command::GetHold(self.known_id(key)),
            _ => self.of_house(key),
        };
        (key, command)
    }

    /// The same command with other content.
    pub(crate) fn disturb(&mut self, command: &mut Command) {
        match command {
            Command::Hold(hold) | Command::Explain(hold) => match self.rng.below(7) {
                5 => hold.allocations.keys.reverse(),
                6 => hold.allocations.include_unallocated = !hold.allocations.include_unallocated,
                0 => hold.customer = CustomerKey(self.rng.within(0..=3)),
                1 => hold.seats.reverse(),
                2 => hold.ttl_ms = 1_000 + self.rng.below(3) as u32,
                3 => hold.ticket_types.clear(),
                _ => hold.seat_keys.reverse(),
            },
            Command::Extend(extend) => extend.ttl_ms += 1_000,
            Command::Confirm(confirm) => match self.rng.below(7) {
                0 => confirm.order = self.order(),
                1 => confirm.part.seats.reverse(),
                2 => confirm.part.plan_revision += 1,
                3 => confirm.part.admissions.reverse(),
                4 => confirm.attempt_id = Some(self.attempt_id()),
                5 => confirm.attempt_id = None,
                _ => confirm.allow_reclaim = !confirm.allow_reclaim,
            },
            Command::Release(release) => match self.rng.below(4) {
                0 => release.part.seats.reverse(),
                1 => release.part.plan_revision += 1,
                2 => release.abort_payment = !release.abort_payment,
                _ => release.part.admissions.reverse(),
            },
            Command::BeginPayment(begin) => begin.attempt_id = self.attempt_id(),
            Command::EndPayment(end) => match self.rng.below(2) {
                0 => end.attempt_id = self.attempt_id(),
                _ => end.outcome = self.outcome(),
            },
            Command::CreateEvent(create) => create.settings.display_name = "another".into(),
            Command::UpdateEvent(update) => match self.rng.below(4) {
                0 => update.display_name = Some("another".into()),
                1 => update.plan = None,
                2 => update.validate_only = !update.validate_only,
                _ => update.expected_state = None,
            },
            Command::Suggest(suggest) => suggest.options_max = self.rng.within(1..=4) as u8,
            Command::SetAllocation(set) => match self.rng.below(4) {
                0 => set.key = "another".into(),
                1 => set.opens_at = Some(self.now),
                2 => set.closes_at = None,
                _ => set.places.seats.truncate(1),
            },
            Command::RemoveAllocation(remove) => match self.rng.below(3) {
                0 => remove.key = "another".into(),
                1 => remove.places = PlaceSet::default(),
                _ => remove.validate_only = !remove.validate_only,
            },
            Command::SetPriceLevel(set) => match self.rng.below(3) {
                // Its plan would be another too.
                0 => (set.level, set.from) = ("another".into(), PlanDigest([0xee; 32])),
                1 => set.validate_only = !set.validate_only,
                _ => set.expected_state = Some(EventState::Paused),
            },
            Command::ListAllocations => {}
            Command::SellDirect(sell) => match self.rng.below(6) {
                0 => sell.order = self.order(),
                1 => sell.places.seats.reverse(),
                2 => sell.places.ticket_types.clear(),
                3 => sell.customer = CustomerKey(self.rng.within(0..=3)),
                4 => sell.validate_only = !sell.validate_only,
                _ => sell.expected_state = Some(EventState::Paused),
            },
            Command::ReturnPlaces(command) => match self.rng.below(6) {
                0 => command.order = self.order(),
                1 => command.places.seats.reverse(),
                2 => command.to = ReturnTo::Killed,
                3 => command.reason = self.reason(),
                4 => command.validate_only = !command.validate_only,
                _ => command.expected_state = Some(EventState::Paused),
            },
            Command::Exchange(exchange) => match self.rng.below(5) {
                0 => exchange.order = self.order(),
                1 => exchange.give.selectors.reverse(),
                2 => exchange.give.seats.truncate(1),
                3 => exchange.validate_only = !exchange.validate_only,
                _ => exchange.expected_state = Some(EventState::Paused),
            },
            Command::Kill(kill) => match self.rng.below(5) {
                0 => kill.force = !kill.force,
                1 => kill.places.seat_keys.reverse(),
                2 => kill.reason = "another".into(),
                3 => kill.validate_only = !kill.validate_only,
                _ => kill.expected_state = Some(EventState::Paused),
            },
            Command::Unkill(unkill) => match self.rng.below(3) {
                0 => unkill.places.admissions.truncate(1),
                1 => unkill.validate_only = !unkill.validate_only,
                _ => unkill.expected_state = Some(EventState::Paused),
            },
            Command::HoldMany(_) | Command::ConfirmMany(_) | Command::ReleaseMany(_) | Command::Cart(_) => {}
            Command::RetireEvent(retire) => retire.validate_only = !retire.validate_only,
            Command::GetHold(_) | Command::GetOrder(_) | Command::List(_) => {}
        }
    }

    /// Mostly the next one, sometimes one that is there.
    pub(crate) fn create(&mut self, count: usize) -> (EventKey, Command) {
        let number = if self.rng.percent(85) { count } else { self.rng.below(count + 1) };
        let plan = Arc::clone(self.rng.pick(&self.plans));
        let limited = self.rng.percent(25);
        let limits = Limits {
            by_level: if limited { self.level_limits(&plan) } else { Vec::new() },
            quotas: if self.rng.percent(25) { self.quotas(&plan) } else { Vec::new() },
        };
        let mut settings = Settings {
            limits,
            state: if self.rng.percent(93) { EventState::OnSale } else { EventState::Draft },
            policies: Policies {
                hold_ttl_s: (self.rng.within(1..=20) * self.pace) as u32,
                lifetime_s_max: (30 * self.pace) as u32,
                renewals_max: self.rng.below(5) as u32,
                places_per_customer_max: *self.rng.pick(&[0, 0, 5, 8]),
                holds_per_customer_max: *self.rng.pick(&[0, 0, 2, 3]),
                orphan_rule: *self.rng.pick(&[OrphanRule::Off, OrphanRule::Lenient, OrphanRule::Strict]),
                retry_window_s: *self.rng.pick(&[60, 60, 90, 300, 86_400]),
                places_per_hold_max: *self.rng.pick(&[10, 10, 64]),
                payment_grace_s: *self.rng.pick(&[60, 60, 61, 200]),
                payment_attempts_max: *self.rng.pick(&[1, 2, 3, 8]),
                payment_left_s_min: *self.rng.pick(&[0, 1, 10, 120]),
                cooling_s_max: *self.rng.pick(&[0, 0, 0, 1, 8, 60]),
                abandon_credits_max: *self.rng.pick(&[0, 0, 0, 1, 2, 3]),
                abandon_refill_s: *self.rng.pick(&[1, 5, 20, 600]),
            },
            ..Settings::default()
        };
        match self.rng.below(20) {
            0 => settings.state = EventState::Paused,
            1 => settings.policies.hold_ttl_s = 0,
            2 => settings.opens_at = self.now.plus_ms(2_000),
            3 => settings.closes_at = self.now.plus_ms(60_000),
            _ => {}
        }
        let create = CreateEvent {
            id: EventId::parse(&format!("event-{number}")).expect("a right id"),
            key: event_key(number),
            plan,
            settings,
        };
        (create.key, Command::CreateEvent(Box::new(create)))
    }

    pub(crate) fn update(&mut self, key: EventKey) -> UpdateEvent {
        let mut update = UpdateEvent::default();
        if self.rng.percent(50) {
            update.request_id = Some(self.request_id());
        }
        if self.rng.percent(20) {
            let etag = self.model.etag(key);
            update.etag = Some(if self.rng.percent(70) { etag } else { etag.wrapping_sub(1) });
        }
        if self.rng.percent(10) {
            update.expected_state = Some(*self.rng.pick(&[EventState::OnSale, EventState::Paused]));
        }
        update.validate_only = self.rng.percent(10);
        for _ in 0..1 + self.rng.below(2) {
            match self.rng.below(33) {
                0..=5 => {
                    // Back on sale, as most often.
                    update.state = Some(EventState::OnSale);
                    update.closes_at = Some(TimestampMs(0));
                }
                6 => update.state = Some(EventState::Paused),
                7 => update.state = Some(EventState::OffSale),
                8 if self.rng.percent(10) => update.state = Some(EventState::Cancelled),
                9 if self.rng.percent(30) => update.state = Some(EventState::Draft),
                10 => {
                    update.opens_at =
                        Some(*self.rng.pick(&[TimestampMs(0), self.now, self.now.plus_ms(1), self.now.plus_ms(1_000)]));
                }
                11 => {
                    update.closes_at = Some(*self.rng.pick(&[
                        TimestampMs(0),
                        TimestampMs(0),
                        self.now.plus_ms(5),
                        self.now.plus_ms(20_000),
                    ]));
                }
                12..=15 => update.plan = Some(Arc::clone(self.rng.pick(&self.plans))),
                16 => update.policies.retry_window_s = Some(*self.rng.pick(&[60, 61, 90, 300])),
                17 => update.policies.places_per_customer_max = Some(*self.rng.pick(&[0, 0, 4, 9])),
                18 => update.policies.holds_per_customer_max = Some(*self.rng.pick(&[0, 0, 2, 4])),
                19 => update.policies.renewals_max = Some(self.rng.below(4) as u32),
                20 => update.policies.places_per_hold_max = Some(*self.rng.pick(&[3, 6, 10, 64, 65])),
                21 => update.policies.orphan_rule = Some(*self.rng.pick(&[OrphanRule::Off, OrphanRule::Lenient])),
                22 => {
                    let (hold_ttl_s, lifetime_s_max) = *self.rng.pick(&[(5, 30), (20, 25), (40, 30), (2, 7_200)]);
                    update.policies = PolicyPatch {
                        hold_ttl_s: Some(hold_ttl_s),
                        lifetime_s_max: Some(lifetime_s_max),
                        ..update.policies
                    };
                }
                23 => update.policies.payment_grace_s = Some(*self.rng.pick(&[59, 60, 60, 75, 300])),
                24 => update.policies.payment_attempts_max = Some(*self.rng.pick(&[0, 1, 2, 4, 8])),
                25 => update.policies.payment_left_s_min = Some(*self.rng.pick(&[0, 1, 20, 600, 601])),
                26 => update.policies.cooling_s_max = Some(*self.rng.pick(&[0, 1, 10, 60, 601])),
                27 => update.policies.abandon_credits_max = Some(*self.rng.pick(&[0, 1, 1, 2, 3])),
                28 => update.policies.abandon_refill_s = Some(*self.rng.pick(&[0, 1, 5, 20, 600])),
                29..=30 => {
                    let plan = update.plan.clone().unwrap_or_else(|| self.plan_of(key));
                    let any = self.rng.percent(60);
                    update.level_limits = Some(if any { self.level_limits(&plan) } else { Vec::new() });
                }
                31 => {
                    let plan = update.plan.clone().unwrap_or_else(|| self.plan_of(key));
                    let any = self.rng.percent(60);
                    update.quotas = Some(if any { self.quotas(&plan) } else { Vec::new() });
                }
                _ => self.describe(&mut update),
            }
        }
        update
    }

    pub(crate) fn describe(&mut self, update: &mut UpdateEvent) {
        match self.rng.below(4) {
            0 => update.display_name = Some(format!("name {}", self.rng.below(3)).into()),
            1 => update.time_zone = Some(if self.rng.percent(50) { "Europe/Zürich".into() } else { "".into() }),
            2 => update.starts_at = Some(self.now.plus_ms(self.rng.below(3) as u64)),
            _ => {
                let count = self.rng.below(4);
                let label = |at: usize| (format!("key-{at}").into(), "value".repeat(at * 5).into());
                update.labels = Some((0..count).map(label).collect());
            }
        }
    }

    pub(crate) fn hold(&mut self, key: EventKey) -> Hold {
        let plan = self.plan_of(key);
        let mut hold = Hold {
            allocations: self.allocation_keys(),
            hold_id: if self.rng.percent(92) { self.new_id(key) } else { self.hold_again(key) },
            seats: Vec::new().into(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: CustomerKey(if self.rng.percent(85) { self.rng.within(1..=3) } else { 0 }),
            ttl_ms: match self.rng.below(100) {
                0..=49 => 0,
                50 => 999,
                51 => 7_200_001,
                52 => 7_200_000,
                53..=65 => 1_000,
                _ => (self.rng.within(1_000..=20_000) * self.pace) as u32,
            },
            replace: None,
            plan_revision: self.revision(key),
        };
        for _ in 0..1 + usize::from(self.rng.percent(25)) {
            match self.rng.below(10) {
                0..=3 => self.ask_seats(&plan, &mut hold),
                4..=5 => self.ask_admissions(&plan, &mut hold),
                _ => hold.best = Some(self.best(&plan)),
            }
        }
        if self.rng.percent(25) {
            let chosen = hold.best.as_ref().map_or(0, |best| usize::from(best.quantity));
            let mut count = hold.seats.len() + hold.seat_keys.len() + chosen;
            if self.rng.percent(3) {
                count += 1;
            }
            hold.ticket_types = (0..count).map(|_| *self.rng.pick(&[0, 1, 2, 255])).collect();
        }
        if self.rng.percent(15) {
            let old = if self.rng.percent(80) { self.live_id(key) } else { self.known_id(key) };
            hold.replace = Some(old);
            if let Some(view) = self.model.hold_view(key, old) {
                if self.rng.percent(60) {
                    hold.seats.extend(view.seats.iter().map(|seat| seat.index).take(3));
                }
                // Mostly the customer of the old hold, which only its command told.
                let said = self.sent.iter().rev().find_map(|(_, command)| match command {
                    Command::Hold(sent) if sent.hold_id == old => Some(sent.customer),
                    _ => None,
                });
                hold.customer = said.unwrap_or(hold.customer);
            }
        }
        hold
    }

    pub(crate) fn ask_seats(&mut self, plan: &Plan, hold: &mut Hold) {
        if plan.seat_count() == 0 {
            hold.seats.push(0);
            return;
        }
        let start = self.rng.below(plan.seat_count() as usize) as u32;
        let count = if self.rng.percent(3) { 70 } else { 4 };
        for at in 0..1 + self.rng.below(count) as u32 {
            let seat =
                if self.rng.percent(85) { start + at } else { self.rng.below(plan.seat_count() as usize + 1) as u32 };
            if seat < plan.seat_count() && self.rng.percent(40) {
                hold.seat_keys.push(plan.seat_key(seat).into());
            } else if self.rng.percent(2) {
                hold.seat_keys.push("nowhere".into());
            } else if seat < plan.seat_count() || self.rng.percent(20) {
                hold.seats.push(seat);
            }
        }
    }

    pub(crate) fn ask_admissions(&mut self, plan: &Plan, hold: &mut Hold) {
        for _ in 0..1 + self.rng.below(2) {
            let beyond = usize::from(self.rng.percent(10) || plan.areas().is_empty());
            let area = self.rng.below(plan.areas().len() + beyond) as u16;
            let name = match plan.areas().get(usize::from(area)) {
                Some(area) if self.rng.percent(40) => AreaName::Key(area.key.clone()),
                _ if self.rng.percent(2) => AreaName::Key("nowhere".into()),
                _ => AreaName::Index(area),
            };
            let most = if self.rng.percent(3) { 66 } else { 4 };
            let quantity = self.rng.below(most) as u8 + u8::from(self.rng.percent(96));
            hold.admissions.push(AdmissionWanted {
                area: name,
                quantity,
                quantity_min: if self.rng.percent(30) { self.rng.below(usize::from(quantity) + 1) as u8 } else { 0 },
                ticket_type: self.rng.below(2) as u8,
            });
        }
    }

    pub(crate) fn best(&mut self, plan: &Plan) -> BestAvailable {
        let mut best = BestAvailable {
            quantity: if self.rng.percent(2) { 0 } else { *self.rng.pick(&[1, 1, 2, 2, 2, 3, 3, 4, 5]) },
            contiguous_only: self.rng.percent(50),
            seats_only: self.rng.percent(50),
            ..BestAvailable::default()
        };
        if self.rng.percent(25) {
            best.price_levels.push(self.rng.pick(plan.price_levels()).clone());
        }
        if self.rng.percent(25) && !plan.sections().is_empty() {
            best.sections.push(self.rng.pick(plan.sections()).key.clone());
        }
        if self.rng.percent(20) && !plan.zones().is_empty() {
            best.zone = Some(self.rng.pick(plan.zones()).key.clone());
        }
        if self.rng.percent(20) {
            best.accessible_count = 1 + u8::from(self.rng.percent(20));
        } else if self.rng.percent(3) {
            best.quantity = self.rng.within(6..=66) as u8;
        }
        match self.rng.below(60) {
            0 => best.price_levels.push("nowhere".into()),
            1 => best.sections.push("nowhere".into()),
            2 => best.zone = Some("nowhere".into()),
            _ => {}
        }
        best
    }

    pub(crate) fn suggest(&mut self, key: EventKey) -> Suggest {
        let plan = self.plan_of(key);
        Suggest {
            allocations: self.allocation_keys(),
            best: self.best(&plan),
            options_max: if self.rng.percent(1) { *self.rng.pick(&[0, 10, 11]) } else { self.rng.within(1..=4) as u8 },
            plan_revision: if self.rng.percent(30) { 0 } else { self.revision(key) },
        }
    }

    pub(crate) fn extend(&mut self, key: EventKey) -> Extend {
        Extend {
            hold_id: if self.rng.percent(80) { self.live_id(key) } else { self.known_id(key) },
            request_id: self.request_id(),
            ttl_ms: match self.rng.below(10) {
                0..=5 => 0,
                6 => 500,
                7 => 30_000,
                _ => self.rng.within(1_000..=30_000) as u32,
            },
        }
    }

    pub(crate) fn confirm(&mut self, key: EventKey) -> Confirm {
        let hold_id = if self.rng.percent(65) { self.live_id(key) } else { self.known_id(key) };
        let part = if self.rng.percent(45) { self.part(key, hold_id) } else { Part::default() };
        Confirm {
            hold_id,
            request_id: (!part.is_whole() || self.rng.percent(20))
                .then(|| self.request_id())
                .filter(|_| self.rng.percent(97)),
            order: self.order(),
            part,
            remainder: if self.rng.percent(70) { Remainder::Keep } else { Remainder::Release },
            allow_reclaim: self.rng.percent(35),
            attempt_id: match self.attempts.get(&(key, hold_id)) {
                Some(&attempt) if self.rng.percent(70) => Some(attempt),
                _ => self.rng.percent(25).then(|| self.attempt_id()),
            },
        }
    }

    pub(crate) fn release(&mut self, key: EventKey) -> Release {
        let hold_id = if self.rng.percent(65) { self.live_id(key) } else { self.known_id(key) };
        let part = if self.rng.percent(50) { self.part(key, hold_id) } else { Part::default() };
        let request_id = (!part.is_whole() || self.rng.percent(20)).then(|| self.request_id());
        Release {
            hold_id,
            request_id: request_id.filter(|_| self.rng.percent(97)),
            part,
            abort_payment: self.rng.percent(30),
        }
    }

    pub(crate) fn begin_payment(&mut self, key: EventKey) -> BeginPayment {
        let hold_id = if self.rng.percent(85) { self.live_id(key) } else { self.known_id(key) };
        let attempt_id = self.attempt_id();
        self.attempts.insert((key, hold_id), attempt_id);
        BeginPayment { hold_id, attempt_id }
    }

    /// Mostly the attempt that was begun last, of a hold that is paying.
    pub(crate) fn end_payment(&mut self, key: EventKey) -> EndPayment {
        let paying = self.paying(key);
        let hold_id =
            if !paying.is_empty() && self.rng.percent(85) { *self.rng.pick(&paying) } else { self.known_id(key) };
        let last = self.attempts.get(&(key, hold_id)).copied().filter(|_| self.rng.percent(85));
        EndPayment { hold_id, attempt_id: last.unwrap_or_else(|| self.attempt_id()), outcome: self.outcome() }
    }

    pub(crate) fn outcome(&mut self) -> PaymentOutcome {
        *self.rng.pick(&[PaymentOutcome::Failed, PaymentOutcome::Abandoned])
    }

    /// Mostly places that the hold has.
    pub(crate) fn part(&mut self, key: EventKey, hold_id: HoldId) -> Part {
        let mut part = Part { plan_revision: self.revision(key), ..Part::default() };
        let plan = self.plan_of(key);
        if let Some(view) = self.model.hold_view(key, hold_id) {
            let keep = self.rng.within(0..=100);
            part.seats.extend(view.seats.iter().map(|seat| seat.index));
            part.seats.retain(|_| self.rng.percent(keep));
            for admission in &view.admissions {
                if self.rng.percent(60) {
                    let quantity = 1 + self.rng.below(usize::from(admission.quantity)) as u8;
                    part.admissions.push(Admission { quantity, ..*admission });
                }
            }
            if self.rng.percent(5) {
                part.seats.extend(view.sold_seats.iter().map(|seat| seat.index));
            }
        }
        if self.rng.percent(8) || part.is_whole() {
            part.seats.push(self.rng.below(plan.seat_count() as usize + 2) as u32);
        }
        if self.rng.percent(5) {
            let area = self.rng.below(plan.areas().len() + 1) as u16;
            part.admissions.push(Admission { source: 0, area, ticket_type: 0, quantity: 1 + self.rng.below(3) as u8 });
        }
        part
    }

    pub(crate) fn plan_of(&self, key: EventKey) -> Arc<Plan> {
        let event = self.core.slot.find(key).and_then(|number| self.core.slot.event(number));
        event.map_or_else(|| Arc::clone(&self.plans[0]), |event| Arc::clone(event.plan()))
    }

    pub(crate) fn revision(&mut self, key: EventKey) -> u32 {
        match self.rng.below(60) {
            3..=8 if self.model.plan_revision(key) == 1 => 0,
            0 => 0,
            1 => self.model.plan_revision(key) + 1,
            2 => self.model.plan_revision(key).saturating_sub(1),
            _ => self.model.plan_revision(key),
        }
    }

    pub(crate) fn order(&mut self) -> OrderRef {
        let text = match self.rng.below(20) {
            0 => "~".repeat(64),
            1 => " ".into(),
            _ => format!("order-{}", self.rng.below(3)),
        };
        OrderRef::parse(&text).expect("a right order")
    }

    /// Time for an id: mostly now, sometimes at an edge of what is allowed.
    pub(crate) fn id_time(&mut self) -> TimestampMs {
        match self.rng.below(120) {
            0 => self.now.plus_ms(59_999),
            1 => self.now.plus_ms(60_000),
            2 => self.now.plus_ms(60_001),
            3 => self.now.minus_ms(60_000),
            4 => self.now.minus_ms(59_999),
            5 => self.now.minus_ms(300_000),
            6..=8 => self.now.minus_ms(self.rng.within(0..=100_000)),
            9..=10 => self.now.plus_ms(self.rng.within(0..=60_000)),
            _ => self.now,
        }
    }

    pub(crate) fn new_id(&mut self, key: EventKey) -> HoldId {
        let time = self.id_time();
        let id = HoldId(uuid_v7(time, self.rng.below(REQUEST_LOW as usize) as u64));
        self.note_id(key, id);
        id
    }

    /// Names of holds and of sales without one are none of the other requests', which end higher: whether one is
    /// taken for the other, and when that is said, is where core and model differ.
    pub(crate) fn sale_id(&mut self, key: EventKey) -> RequestId {
        let ids = &self.sale_ids;
        let id = match ids.get(self.rng.below(40)) {
            Some(&id) => id,
            None => RequestId(uuid_v7(self.id_time(), self.rng.below(REQUEST_LOW as usize) as u64)),
        };
        self.sale_ids.retain(|other| *other != id);
        self.sale_ids.insert(0, id);
        self.sale_ids.truncate(10);
        self.note_id(key, HoldId(id.0));
        id
    }

    /// A request whose sale may be a hold by its name.
    pub(crate) fn note_id(&mut self, key: EventKey, id: HoldId) {
        let ids = self.ids.entry(key).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > 24 {
            ids.remove(0);
        }
    }

    /// The id of a hold that was, but no name of an exchange that did not come to be.
    pub(crate) fn hold_again(&mut self, key: EventKey) -> HoldId {
        let id = self.known_id(key);
        let of_request = id.0 & 0xff >= u128::from(REQUEST_LOW);
        if of_request && self.model.hold_view(key, id).is_none() { self.new_id(key) } else { id }
    }

    /// Mostly the id of a hold that is known, live or ended.
    pub(crate) fn known_id(&mut self, key: EventKey) -> HoldId {
        let Some(ids) = self.ids.get(&key) else {
            return HoldId(uuid_v7(self.now, 0));
        };
        let known: Vec<HoldId> = ids.iter().copied().filter(|&id| self.model.hold_view(key, id).is_some()).collect();
        if !known.is_empty() && self.rng.percent(90) { *self.rng.pick(&known) } else { *self.rng.pick(ids) }
    }

    pub(crate) fn live_id(&mut self, key: EventKey) -> HoldId {
        let paying = self.paying(key);
        if !paying.is_empty() && self.rng.percent(30) {
            return *self.rng.pick(&paying);
        }
        let live = self.model.live_holds(key);
        if live.is_empty() { self.known_id(key) } else { *self.rng.pick(&live) }
    }

    pub(crate) fn paying(&self, key: EventKey) -> Vec<HoldId> {
        self.model.live_holds(key).into_iter().filter(|&id| self.is_paying(key, id)).collect()
    }

    pub(crate) fn is_paying(&self, key: EventKey, id: HoldId) -> bool {
        self.model.hold_view(key, id).is_some_and(|view| view.state == HoldState::Paying)
    }

    pub(crate) fn request_id(&mut self) -> RequestId {
        if !self.request_ids.is_empty() && self.rng.percent(25) {
            return *self.rng.pick(&self.request_ids);
        }
        let time = self.id_time();
        let id = RequestId(uuid_v7(time, REQUEST_LOW + self.rng.below(192) as u64));
        self.request_ids.push(id);
        if self.request_ids.len() > 10 {
            self.request_ids.remove(0);
        }
        id
    }

    /// One of a few more than a hold may have. Attempts are named hold by hold: every hold meets the same ones.
    pub(crate) fn attempt_id(&mut self) -> RequestId {
        RequestId(uuid_v7(START, self.rng.below(12) as u64))
    }
}
