//! Buyers and operators: what they ask, often twice, late, or of holds that are long gone.
//!
//! Not here: what they must be answered (`reference.rs`).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use engine::{PlanStore, event_key};
use inventory_core::{
    allocation::{AllocationKeys, RemoveAllocation, SetAllocation},
    change::HoldView,
    command::{
        AdmissionWanted, AreaName, BeginPayment, BestAvailable, Command, Confirm, CreateEvent, EndPayment, Extend,
        Hold, Part, PaymentOutcome, PolicyPatch, Release, Remainder, Suggest, UpdateEvent,
    },
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, PlanDigest, RequestId, TimestampMs},
    kill::{Kill, Unkill},
    order::{List, Listed},
    place::{Admission, PlaceState},
    place_set::{AdmissionsNamed, PlaceSet},
    plan::{Plan, PlanSpec},
    plan_codec::encode_plan,
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    price_level::{SetPriceLevel, changed_in, give_level},
    retire::{Image, RetireEvent},
};

use crate::{
    options::{Kind, Options},
    random::Random,
    reference::Reference,
};

/// Commands that may be sent again.
const REMEMBERED_MAX: usize = 80;
/// Holds of an event that are asked about.
const IDS_MAX: usize = 40;
/// Images of an event that an edge may still be about to archive.
const IMAGES_MAX: usize = 3;

/// What buyers and operators know.
#[derive(Debug, Default)]
pub struct Traffic {
    /// By variant.
    pub plans: BTreeMap<u64, Arc<Plan>>,
    /// Of every plan that an event may have.
    pub specs: BTreeMap<PlanDigest, PlanSpec>,
    images: BTreeMap<EventKey, VecDeque<(Image, u64)>>,
    ids: BTreeMap<EventKey, Vec<HoldId>>,
    requests: Vec<RequestId>,
    attempts: BTreeMap<HoldId, Vec<RequestId>>,
    sent: VecDeque<(EventKey, Command)>,
    count: u64,
}

/// One command to be sent.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The event.
    pub key: EventKey,
    /// The command.
    pub command: Command,
}

/// The variants of plans there are.
pub const VARIANTS: u64 = 4;

fn event_name(number: u64) -> String {
    format!("event-{number}")
}

impl Traffic {
    /// The next command, by the weights of the world.
    pub fn wish(
        &mut self,
        random: &mut Random,
        options: &Options,
        reference: &mut Reference,
        now: TimestampMs,
    ) -> Option<Wish> {
        let events: Vec<EventKey> = reference.events().map(|(key, _)| key).collect();
        let kind = if events.is_empty() { Kind::Create } else { Kind::ALL[random.weighted(&options.kinds)?] };
        self.count += 1;
        let mut asker = Asker { traffic: self, random, options, reference, now };
        let wish = match kind {
            Kind::Create => asker.create()?,
            Kind::Again | Kind::Disturbed => asker.again(kind == Kind::Disturbed)?,
            kind => {
                let key = *asker.random.pick(&events);
                Wish { key, command: asker.command(kind, key)? }
            }
        };
        if self.sent.len() == REMEMBERED_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((wish.key, wish.command.clone()));
        Some(wish)
    }

    /// The latest holds of an event.
    #[must_use]
    pub fn ids(&self, key: EventKey) -> &[HoldId] {
        self.ids.get(&key).map_or(&[], Vec::as_slice)
    }
}

impl Traffic {
    /// An image of an event was told, true at this position.
    pub fn note_image(&mut self, key: EventKey, image: Image, position: u64) {
        let images = self.images.entry(key).or_default();
        images.retain(|(known, _)| known.event_seq != image.event_seq);
        if images.len() == IMAGES_MAX {
            images.pop_front();
        }
        images.push_back((image, position));
    }

    /// An image of an event, and where it is true, by the number of its last change.
    #[must_use]
    pub fn image(&self, key: EventKey, event_seq: u32) -> Option<&(Image, u64)> {
        self.images.get(&key)?.iter().find(|(image, _)| image.event_seq == event_seq)
    }

    /// Another future has begun: no edge lives on from the other.
    pub fn forget_images(&mut self) {
        self.images.clear();
    }

    /// A plan that an edge makes of another.
    fn make_plan(&mut self, spec: PlanSpec) -> Option<Arc<Plan>> {
        let plan = PlanStore::built(&encode_plan(&spec)).ok()?;
        self.specs.insert(plan.digest(), spec);
        Some(plan)
    }
}

struct Asker<'a> {
    traffic: &'a mut Traffic,
    random: &'a mut Random,
    options: &'a Options,
    reference: &'a mut Reference,
    now: TimestampMs,
}

impl Asker<'_> {
    fn create(&mut self) -> Option<Wish> {
        let number = self.random.below(self.options.events_max);
        let name = event_name(number);
        let variants: Vec<u64> = self.traffic.plans.keys().copied().collect();
        if variants.is_empty() {
            return None;
        }
        let mut variant = *self.random.pick(&variants);
        let policies = Policies {
            hold_ttl_s: self.random.within(1..=self.options.hold_ttl_s_max) as u32,
            lifetime_s_max: self.random.within(600..=7_200) as u32,
            renewals_max: self.random.below(4) as u32,
            retry_window_s: *self.random.pick(&[60, 60, 90, 300]),
            places_per_customer_max: *self.random.pick(&[0, 0, 0, 6]),
            holds_per_customer_max: *self.random.pick(&[0, 0, 0, 3]),
            payment_grace_s: *self.random.pick(&[60, 60, 90, 900]),
            payment_attempts_max: self.random.within(1..=3) as u32,
            payment_left_s_min: *self.random.pick(&[0, 5, 120]),
            orphan_rule: *self.random.pick(&[OrphanRule::Off, OrphanRule::Lenient, OrphanRule::Strict]),
            abandon_credits_max: *self.random.pick(&[0, 0, 1, 3]),
            abandon_refill_s: *self.random.pick(&[1, 20, 600]),
            cooling_s_max: self.cooling_s_max(),
            ..Policies::default()
        };
        // Sent again, the content must be the same: it depends on the number alone, mostly.
        let mut fixed = Random::of_part(number, self.options.steps);
        let settings = if self.random.percent(20) {
            let limits = Limits { by_level: self.level_limits(), quotas: self.quotas() };
            Settings { policies, limits, ..Settings::default() }
        } else {
            variant = variants[number as usize % variants.len()];
            // Long texts, so that a batch is torn in its middle now and then.
            let label = |at: usize| (format!("{at:02}{}", "k".repeat(50)).into(), "v".repeat(60).into());
            let labels = (0..4 * fixed.below(5) as usize).map(label).collect();
            let policies = Policies {
                hold_ttl_s: fixed.within(1..=self.options.hold_ttl_s_max) as u32,
                retry_window_s: *fixed.pick(&[60, 60, 90]),
                payment_grace_s: 60,
                orphan_rule: OrphanRule::Lenient,
                ..Policies::default()
            };
            Settings { policies, labels, ..Settings::default() }
        };
        let plan = Arc::clone(&self.traffic.plans[&variant]);
        let id = EventId::parse(&name)?;
        let key = event_key(&name);
        Some(Wish { key, command: Command::CreateEvent(Box::new(CreateEvent { id, key, plan, settings })) })
    }

    fn again(&mut self, disturbed: bool) -> Option<Wish> {
        if self.traffic.sent.is_empty() {
            return None;
        }
        let at = self.random.index(self.traffic.sent.len());
        let (key, mut command) = self.traffic.sent[at].clone();
        if disturbed {
            match &mut command {
                Command::Hold(hold) | Command::Explain(hold) => hold.ttl_ms = 1_000 + self.random.below(3) as u32,
                Command::Suggest(suggest) => suggest.options_max = self.random.within(1..=4) as u8,
                Command::Extend(extend) => extend.ttl_ms += 1_000,
                Command::Confirm(confirm) => confirm.order = self.order()?,
                Command::Release(release) => release.abort_payment = !release.abort_payment,
                Command::BeginPayment(begin) => begin.attempt_id = self.new_attempt(begin.hold_id),
                Command::EndPayment(end) => end.outcome = PaymentOutcome::Abandoned,
                Command::SellDirect(sell) => sell.order = self.order()?,
                Command::ReturnPlaces(command) => command.reason = "another".into(),
                Command::Exchange(exchange) => exchange.order = self.order()?,
                Command::Kill(kill) => kill.force = !kill.force,
                Command::Unkill(unkill) => unkill.places.seats.truncate(1),
                Command::SetAllocation(set) => set.key = "another".into(),
                Command::RemoveAllocation(remove) => remove.key = "another".into(),
                Command::SetPriceLevel(set) => {
                    **set = SetPriceLevel { request_id: set.request_id, ..self.set_price_level(key)? };
                }
                Command::ListAllocations => {}
                Command::GetOrder(order) => *order = self.order()?,
                Command::List(list) => list.what = Listed::Holds,
                Command::CreateEvent(create) => create.settings.display_name = "another".into(),
                Command::UpdateEvent(update) => update.display_name = Some("another".into()),
                Command::RetireEvent(retire) => retire.validate_only = !retire.validate_only,
                Command::ConfirmMany(confirm) => confirm.order = self.order()?,
                Command::HoldMany(many) => many.ttl_ms += 1_000,
                Command::GetHold(_) | Command::ReleaseMany(_) | Command::Cart(_) => {}
            }
        }
        Some(Wish { key, command })
    }

    fn command(&mut self, kind: Kind, key: EventKey) -> Option<Command> {
        let is_closed = matches!(self.reference.model(key).state(key), Some(EventState::Paused | EventState::OffSale));
        if is_closed && self.random.percent(4) {
            // A sale that nobody opens again has little to tell.
            let state = Some(EventState::OnSale);
            return Some(Command::UpdateEvent(Box::new(UpdateEvent { state, ..UpdateEvent::default() })));
        }
        Some(match kind {
            Kind::HoldSeats | Kind::HoldArea | Kind::HoldBest | Kind::Replace => {
                Command::Hold(Box::new(self.hold(kind, key)))
            }
            Kind::Extend => Command::Extend(Extend {
                hold_id: self.live(key),
                request_id: self.request(),
                ttl_ms: *self.random.pick(&[0, 0, 1_000, 30_000, 600_000]),
            }),
            Kind::Confirm | Kind::ConfirmPart | Kind::Reclaim => self.confirm(kind, key)?,
            Kind::Release | Kind::ReleasePart => self.release(kind, key),
            Kind::BeginPayment => {
                let hold_id = self.live(key);
                let known = self.attempt(hold_id).filter(|_| self.random.percent(20));
                let attempt_id = known.unwrap_or_else(|| self.new_attempt(hold_id));
                Command::BeginPayment(BeginPayment { hold_id, attempt_id })
            }
            Kind::EndPayment => {
                let hold_id = self.paying(key);
                let known = self.attempt(hold_id).filter(|_| self.random.percent(95));
                let attempt_id = known.unwrap_or_else(|| self.request());
                Command::EndPayment(EndPayment { hold_id, attempt_id, outcome: PaymentOutcome::Failed })
            }
            Kind::Update | Kind::Revise => Command::UpdateEvent(Box::new(self.update(kind, key)?)),
            Kind::SellDirect
            | Kind::Return
            | Kind::Exchange
            | Kind::Kill
            | Kind::Unkill
            | Kind::SetAside
            | Kind::RemoveAside
            | Kind::Look => self.house(kind, key)?,
            Kind::Relevel => Command::SetPriceLevel(Box::new(self.set_price_level(key)?)),
            Kind::Retire => self.retire(key),
            Kind::Suggest => Command::Suggest(Box::new(Suggest {
                allocations: self.keys(),
                best: self.best(),
                options_max: self.random.within(1..=4) as u8,
                plan_revision: self.revision(key),
            })),
            Kind::Explain => {
                let kinds = [Kind::HoldSeats, Kind::HoldSeats, Kind::HoldArea, Kind::HoldBest, Kind::Replace];
                let kind = *self.random.pick(&kinds);
                Command::Explain(Box::new(self.hold(kind, key)))
            }
            Kind::GetHold | Kind::Create | Kind::Again | Kind::Disturbed => Command::GetHold(self.known(key)),
        })
    }

    fn hold(&mut self, kind: Kind, key: EventKey) -> Hold {
        let mut hold = Hold {
            allocations: self.keys(),
            hold_id: self.new_id(key),
            seats: Vec::new().into(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: CustomerKey(self.random.below(4)),
            ttl_ms: if self.random.percent(70) { 0 } else { self.random.within(1_000..=20_000) as u32 },
            replace: None,
            plan_revision: self.revision(key),
        };
        match kind {
            Kind::HoldArea => hold.admissions.push(AdmissionWanted {
                area: AreaName::Index(0),
                quantity: self.random.within(1..=5) as u8,
                quantity_min: self.random.below(2) as u8,
                ticket_type: self.random.below(2) as u8,
            }),
            Kind::HoldBest => {
                hold.best = Some(self.best());
            }
            _ => hold.seats = self.seats(key).into(),
        }
        if kind == Kind::Replace {
            let old = self.live(key);
            hold.replace = Some(old);
            if let Some(view) = self.view(key, old) {
                hold.seats.extend(view.seats.iter().map(|seat| seat.index).take(2));
                hold.seats.sort_unstable();
                hold.seats.dedup();
            }
            // The customer is not in the view; two of three times there is one that fits.
            hold.customer = CustomerKey(self.random.below(3));
        }
        if self.random.percent(12) {
            self.name_by_key(&mut hold, key);
        }
        if self.random.percent(12) {
            let chosen = hold.best.as_ref().map_or(0, |best| usize::from(best.quantity));
            let count = hold.seats.len() + hold.seat_keys.len() + chosen;
            hold.ticket_types = (0..count).map(|_| self.random.below(3) as u8).collect();
        }
        if self.random.percent(3) {
            self.bend(&mut hold, key);
        }
        hold
    }

    /// The last of its seats by key.
    fn name_by_key(&mut self, hold: &mut Hold, key: EventKey) {
        let Some(plan) = self.reference.model(key).plan(key).cloned() else { return };
        let mut seats = hold.seats.to_vec();
        if let Some(seat) = seats.pop().filter(|&seat| seat < plan.seat_count()) {
            hold.seats = seats.into();
            hold.seat_keys.push(plan.seat_key(seat).into());
        }
    }

    /// What a client with a mistake in it sends.
    fn bend(&mut self, hold: &mut Hold, key: EventKey) {
        let mut seats = hold.seats.to_vec();
        match self.random.below(7) {
            0 => seats.extend_from_within(..),
            1 => seats.push(self.seat_count(key)),
            2 => hold.ticket_types.push(1),
            3 => hold.ttl_ms = self.random.within(1..=999) as u32,
            4 => hold.best = Some(BestAvailable { quantity: 60, ..BestAvailable::default() }),
            5 => hold.replace = Some(hold.hold_id),
            _ => hold.seat_keys.push("nowhere".into()),
        }
        hold.seats = seats.into();
    }

    fn best(&mut self) -> BestAvailable {
        BestAvailable {
            quantity: self.random.within(1..=4) as u8,
            contiguous_only: self.random.percent(50),
            seats_only: self.random.percent(30),
            accessible_count: u8::from(self.random.percent(10)),
            price_levels: self.some_of(12, &["gold", "silver", "silver", "bronze", "nothing"]),
            sections: self.some_of(12, &["s0", "s0", "s1", "s9"]),
            zone: self.some_of(6, &["hall", "hall", "yard"]).pop(),
        }
    }

    /// One of the names in so many of a hundred, else none.
    fn some_of(&mut self, percent: u64, names: &[&str]) -> Vec<Box<str>> {
        let name = *self.random.pick(names);
        if self.random.percent(percent) { vec![name.into()] } else { Vec::new() }
    }

    fn seats(&mut self, key: EventKey) -> Vec<u32> {
        let count = self.seat_count(key);
        if count == 0 {
            return vec![0];
        }
        let first = self.random.below(u64::from(count)) as u32;
        let wanted = self.random.within(1..=3) as u32;
        // Now and then past the end of the plan.
        let end = if self.random.percent(98) { count } else { count + 1 };
        (first..(first + wanted).min(end)).collect()
    }

    fn confirm(&mut self, kind: Kind, key: EventKey) -> Option<Command> {
        let hold_id = if kind == Kind::Reclaim { self.known(key) } else { self.live(key) };
        // Who pays says so, mostly; now and then another attempt pays as well.
        let attempt_id = self.attempt(hold_id).filter(|_| self.random.percent(80));
        let attempt_id = if self.random.percent(4) { Some(self.request()) } else { attempt_id };
        let part = if kind == Kind::ConfirmPart { self.part(key, hold_id) } else { Part::default() };
        Some(Command::Confirm(Box::new(Confirm {
            hold_id,
            request_id: (!part.is_whole()).then(|| self.request()),
            order: self.order()?,
            part,
            remainder: if self.random.percent(60) { Remainder::Keep } else { Remainder::Release },
            allow_reclaim: kind == Kind::Reclaim,
            attempt_id,
        })))
    }

    fn release(&mut self, kind: Kind, key: EventKey) -> Command {
        let hold_id = self.live(key);
        let part = if kind == Kind::ReleasePart { self.part(key, hold_id) } else { Part::default() };
        let request_id = (!part.is_whole()).then(|| self.request());
        Command::Release(Box::new(Release { hold_id, request_id, part, abort_payment: self.random.percent(30) }))
    }

    /// Some places of the hold.
    fn part(&mut self, key: EventKey, hold_id: HoldId) -> Part {
        let mut part = Part { plan_revision: self.revision(key), ..Part::default() };
        if let Some(view) = self.view(key, hold_id) {
            part.seats = view.seats.iter().map(|seat| seat.index).collect();
            part.seats.retain(|_| self.random.percent(60));
            for admission in &view.admissions {
                if self.random.percent(60) {
                    let quantity = self.random.within(1..=u64::from(admission.quantity)) as u8;
                    part.admissions.push(Admission { quantity, ..*admission });
                }
            }
        }
        if part.is_whole() {
            let count = u64::from(self.seat_count(key));
            part.seats.push(self.random.below(count + 1) as u32);
        }
        part
    }

    /// What the box office and the house ask.
    fn house(&mut self, kind: Kind, key: EventKey) -> Option<Command> {
        let validate_only = self.random.percent(5);
        let expected_state = self.random.percent(5).then_some(EventState::OnSale);
        Some(match kind {
            Kind::SellDirect => Command::SellDirect(Box::new(SellDirect {
                request_id: self.request(),
                order: self.order()?,
                places: self.named_places(key),
                customer: CustomerKey(self.random.below(4)),
                expected_state,
                validate_only,
            })),
            Kind::Return => Command::ReturnPlaces(Box::new(ReturnPlaces {
                request_id: self.request(),
                order: self.order()?,
                places: if self.random.percent(30) { PlaceSet::default() } else { self.sold_places(key) },
                to: *self.random.pick(&[ReturnTo::Origin, ReturnTo::Origin, ReturnTo::General, ReturnTo::Killed]),
                reason: if self.random.percent(50) { "".into() } else { "smoke".into() },
                expected_state,
                validate_only,
            })),
            Kind::Exchange => Command::Exchange(Box::new(Exchange {
                request_id: self.request(),
                order: self.order()?,
                give: self.sold_places(key),
                take: if self.random.percent(40) {
                    Take::Hold(self.live(key))
                } else {
                    Take::Places(self.named_places(key))
                },
                expected_state,
                validate_only,
            })),
            Kind::Kill => Command::Kill(Box::new(Kill {
                request_id: self.request(),
                places: self.place_set(key),
                reason: (*self.random.pick(&["camera", "sightline"])).into(),
                force: self.random.percent(60),
                expected_state,
                validate_only,
            })),
            Kind::Unkill => {
                let killed = self.seats_in(key, PlaceState::Killed);
                let mut places = self.place_set(key);
                if !killed.is_empty() && self.random.percent(80) {
                    places.seats.extend(killed);
                }
                let request_id = self.request();
                Command::Unkill(Box::new(Unkill { request_id, places, expected_state, validate_only }))
            }
            Kind::SetAside => Command::SetAllocation(Box::new(SetAllocation {
                request_id: self.request(),
                key: self.allocation_key(),
                places: if self.random.percent(85) { self.place_set(key) } else { PlaceSet::default() },
                opens_at: self.bound(),
                closes_at: self.bound(),
                expected_state,
                validate_only,
            })),
            Kind::RemoveAside => Command::RemoveAllocation(Box::new(RemoveAllocation {
                request_id: self.request(),
                key: self.allocation_key(),
                places: if self.random.percent(60) { self.place_set(key) } else { PlaceSet::default() },
                expected_state,
                validate_only,
            })),
            _ if self.random.percent(25) => Command::ListAllocations,
            _ if self.random.percent(50) => Command::GetOrder(self.order()?),
            _ => Command::List(List {
                what: *self.random.pick(&[Listed::Holds, Listed::Orders]),
                from: 0,
                count_max: 256,
            }),
        })
    }

    /// With the plan that the edge would make of the present one.
    fn set_price_level(&mut self, key: EventKey) -> Option<SetPriceLevel> {
        let places = self.place_set(key);
        let level: Box<str> = (*self.random.pick(&["gold", "silver", "silver", "bronze", "copper"])).into();
        let model = self.reference.model(key);
        let now = Arc::clone(model.plan(key)?);
        let plan = match changed_in(&places, &now, model.plan_revision(key), &level) {
            Ok((seats, areas)) if seats.is_empty() && areas.is_empty() => Some(Arc::clone(&now)),
            Ok((seats, areas)) => {
                let mut spec = self.traffic.specs.get(&now.digest())?.clone();
                if give_level(&mut spec, &seats, &areas, &level) { self.traffic.make_plan(spec) } else { None }
            }
            // It goes as it is: the shard says what is wrong.
            Err(_) => None,
        };
        Some(SetPriceLevel {
            request_id: self.request(),
            places,
            level,
            from: now.digest(),
            plan,
            expected_state: self.random.percent(5).then_some(EventState::OnSale),
            validate_only: self.random.percent(5),
        })
    }

    /// A step on the way out of memory: off sale, the image, and out with the number of an image that an edge has got.
    fn retire(&mut self, key: EventKey) -> Command {
        let seqs: Vec<u32> =
            self.traffic.images.get(&key).into_iter().flatten().map(|(image, _)| image.event_seq).collect();
        // A world without events has little to do.
        let may_go = self.reference.events().count() > 1 || self.random.percent(20);
        let archived_seq =
            if seqs.is_empty() || !may_go || self.random.percent(20) { None } else { Some(*self.random.pick(&seqs)) };
        if archived_seq.is_none() && self.random.percent(40) {
            // A cancelled event never sells again.
            let is_over = self.random.percent(3);
            let state = Some(if is_over { EventState::Cancelled } else { EventState::OffSale });
            return Command::UpdateEvent(Box::new(UpdateEvent { state, ..UpdateEvent::default() }));
        }
        Command::RetireEvent(RetireEvent {
            request_id: self.request(),
            archived_seq,
            expected_state: self.random.percent(5).then_some(EventState::OffSale),
            validate_only: self.random.percent(5),
        })
    }

    /// Without the probes nobody tells what has rested: then nothing rests.
    fn cooling_s_max(&mut self) -> u32 {
        let cooling_s_max = *self.random.pick(&[0, 0, 0, 1, 20, 600]);
        if cfg!(usher_sim) { cooling_s_max } else { 0 }
    }

    fn allocation_key(&mut self) -> Box<str> {
        (*self.random.pick(&["fans", "fans", "agent", "sponsor"])).into()
    }

    /// Most bring none.
    fn keys(&mut self) -> AllocationKeys {
        if self.random.percent(60) {
            return AllocationKeys::default();
        }
        let mut keys = vec![self.allocation_key()];
        let other = self.allocation_key();
        if other != keys[0] && self.random.percent(40) {
            keys.push(other);
        }
        AllocationKeys { keys, include_unallocated: self.random.percent(40) }
    }

    /// Of the window of an allocation: mostly as it is.
    fn bound(&mut self) -> Option<TimestampMs> {
        match self.random.below(20) {
            0..=1 => Some(TimestampMs(0)),
            2 => Some(self.now.plus_ms(self.random.within(1..=5_000))),
            3 => Some(self.now),
            _ => None,
        }
    }

    fn named_places(&mut self, key: EventKey) -> NamedPlaces {
        let (plan_revision, allocations) = (self.revision(key), self.keys());
        let mut places = NamedPlaces { plan_revision, allocations, ..NamedPlaces::default() };
        if self.random.percent(70) {
            places.seats = self.seats(key).into();
        }
        if places.seats.is_empty() || self.random.percent(30) {
            places.admissions.push(AdmissionWanted {
                area: AreaName::Index(0),
                quantity: self.random.within(1..=3) as u8,
                quantity_min: 0,
                ticket_type: self.random.below(2) as u8,
            });
        }
        places
    }

    /// Places that may be sold, to one order or another.
    fn sold_places(&mut self, key: EventKey) -> PlaceSet {
        let mut places = self.place_set(key);
        let sold = self.seats_in(key, PlaceState::Sold);
        if !sold.is_empty() && self.random.percent(90) {
            let first = self.random.index(sold.len());
            let count = self.random.within(1..=3) as usize;
            (places.seats, places.selectors) = (sold[first..].iter().take(count).copied().collect(), Vec::new());
        }
        places
    }

    /// A few places, whatever they are.
    fn place_set(&mut self, key: EventKey) -> PlaceSet {
        let mut places = PlaceSet { plan_revision: self.revision(key), ..PlaceSet::default() };
        match self.random.below(8) {
            0 => places.selectors.push(format!("s{}/{}", self.random.below(2), self.random.below(3)).into()),
            1 => places.selectors.push(format!("s0/0/{}-3", self.random.below(4)).into()),
            2 => {
                let (ticket_type, quantity) = (self.random.below(2) as u8, self.random.within(1..=3) as u32);
                places.admissions.push(AdmissionsNamed { area: AreaName::Index(0), ticket_type, quantity });
            }
            _ => places.seats = self.seats(key),
        }
        places
    }

    fn seats_in(&mut self, key: EventKey, state: PlaceState) -> Vec<u32> {
        let states = self.reference.model(key).seat_states(key);
        (0..).zip(states).filter(|(_, is)| *is == state).map(|(seat, _)| seat).collect()
    }

    fn update(&mut self, kind: Kind, key: EventKey) -> Option<UpdateEvent> {
        let mut update = UpdateEvent::default();
        if self.random.percent(70) {
            update.request_id = Some(self.request());
        }
        if kind == Kind::Revise {
            let variants: Vec<u64> = self.traffic.plans.keys().copied().collect();
            if variants.is_empty() {
                return None;
            }
            update.plan = Some(Arc::clone(&self.traffic.plans[self.random.pick(&variants)]));
            return Some(update);
        }
        let _ = key;
        match self.random.below(18) {
            16..=17 => update.policies.cooling_s_max = Some(self.cooling_s_max()),
            12 => update.policies.abandon_credits_max = Some(*self.random.pick(&[0, 1, 2])),
            13 => update.policies.abandon_refill_s = Some(*self.random.pick(&[1, 20, 600])),
            14 => update.level_limits = Some(self.level_limits()),
            15 => update.quotas = Some(self.quotas()),
            0..=3 => update.state = Some(EventState::OnSale),
            4 => update.state = Some(EventState::Paused),
            5 => update.state = Some(EventState::OffSale),
            6 if self.random.percent(8) => update.state = Some(EventState::Cancelled),
            7 => {
                update.policies =
                    PolicyPatch { retry_window_s: Some(*self.random.pick(&[60, 90, 300])), ..PolicyPatch::default() };
            }
            8 => update.policies = PolicyPatch { renewals_max: Some(self.random.below(4) as u32), ..update.policies },
            9 => update.closes_at = Some(*self.random.pick(&[TimestampMs(0), self.now.plus_ms(3_000)])),
            _ => update.display_name = Some(format!("name {}", self.random.below(4)).into()),
        }
        Some(update)
    }

    /// Of the levels that every plan here has, and now and then of one that none has.
    fn level_limits(&mut self) -> Vec<LevelLimit> {
        let mut limits = Vec::new();
        if self.random.percent(20) {
            let level = *self.random.pick(&["gold", "silver", "silver", "nothing"]);
            limits.push(LevelLimit { level: level.into(), places_max: self.random.below(5) as u32 });
        }
        limits
    }

    fn quotas(&mut self) -> Vec<SharedQuota> {
        let mut quotas = Vec::new();
        if self.random.percent(20) {
            quotas.push(SharedQuota {
                name: "exits".into(),
                levels: vec![(*self.random.pick(&["gold", "silver"])).into()],
                areas: vec!["floor".into()],
                places_max: self.random.below(12) as u32,
            });
        }
        quotas
    }

    fn view(&mut self, key: EventKey, id: HoldId) -> Option<HoldView> {
        self.reference.model(key).hold_view(key, id)
    }

    fn seat_count(&mut self, key: EventKey) -> u32 {
        // As many as there are seats.
        self.reference.model(key).seat_states(key).len() as u32
    }

    fn revision(&mut self, key: EventKey) -> u32 {
        let revision = self.reference.model(key).plan_revision(key);
        match self.random.below(40) {
            0 => revision + 1,
            1 => 0,
            _ => revision,
        }
    }

    fn order(&mut self) -> Option<OrderRef> {
        OrderRef::parse(&format!("order-{}", self.random.below(4)))
    }

    /// Mostly of now; sometimes at an edge of what is allowed.
    fn id_time(&mut self) -> TimestampMs {
        match self.random.below(60) {
            0 => self.now.plus_ms(59_999),
            1 => self.now.plus_ms(60_001),
            2 => self.now.minus_ms(60_000),
            3 => self.now.minus_ms(59_999),
            4..=6 => self.now.minus_ms(self.random.below(90_000)),
            7 => self.now.plus_ms(self.random.below(60_000)),
            _ => self.now,
        }
    }

    fn uuid(&mut self) -> u128 {
        let low = self.traffic.count << 8 | self.random.below(256);
        u128::from(self.id_time().0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(low)
    }

    fn new_id(&mut self, key: EventKey) -> HoldId {
        if self.random.percent(3) {
            return self.known(key);
        }
        let id = HoldId(self.uuid());
        let ids = self.traffic.ids.entry(key).or_default();
        ids.push(id);
        if ids.len() > IDS_MAX {
            ids.remove(0);
        }
        id
    }

    fn known(&mut self, key: EventKey) -> HoldId {
        match self.traffic.ids.get(&key) {
            Some(ids) if !ids.is_empty() => *self.random.pick(ids),
            _ => HoldId(self.uuid()),
        }
    }

    fn live(&mut self, key: EventKey) -> HoldId {
        let live = self.reference.model(key).live_holds(key);
        if live.is_empty() || self.random.percent(15) { self.known(key) } else { *self.random.pick(&live) }
    }

    /// A hold that is being paid for, mostly.
    fn paying(&mut self, key: EventKey) -> HoldId {
        let begun: Vec<HoldId> = self.traffic.ids(key).to_vec();
        let begun: Vec<HoldId> = begun.into_iter().filter(|id| self.traffic.attempts.contains_key(id)).collect();
        if begun.is_empty() || self.random.percent(10) { self.live(key) } else { *self.random.pick(&begun) }
    }

    /// An attempt of this hold, mostly the last.
    fn attempt(&mut self, hold_id: HoldId) -> Option<RequestId> {
        let attempts = self.traffic.attempts.get(&hold_id)?;
        Some(if self.random.percent(85) { *attempts.last()? } else { *self.random.pick(attempts) })
    }

    fn new_attempt(&mut self, hold_id: HoldId) -> RequestId {
        let id = RequestId(self.uuid());
        self.traffic.attempts.entry(hold_id).or_default().push(id);
        if self.traffic.attempts.len() > 4 * IDS_MAX {
            self.traffic.attempts.pop_first();
        }
        id
    }

    fn request(&mut self) -> RequestId {
        if !self.traffic.requests.is_empty() && self.random.percent(20) {
            return *self.random.pick(&self.traffic.requests);
        }
        let id = RequestId(self.uuid());
        self.traffic.requests.push(id);
        if self.traffic.requests.len() > 12 {
            self.traffic.requests.remove(0);
        }
        id
    }
}
