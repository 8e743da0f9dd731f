//! The core and the model are given the same random commands, and must answer the same to each.
//!
//! Few ids, few places, and times that stand on deadlines, so that repeats, races and boundaries are
//! the rule. A failure prints the seed, the step, the last commands on that event, and the line that
//! runs it again.

mod asking;
mod house;
#[path = "../world/mod.rs"]
mod world;
mod words;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use inventory_core::{
    allocation::{AllocationKeys, RemoveAllocation, SetAllocation},
    cart::{Cart, CartStep, ConfirmMany, Verdict},
    change::{HoldCause, HoldState, ResumeCause},
    command::{
        AdmissionWanted, AreaName, BeginPayment, BestAvailable, Command, Confirm, CreateEvent, EndPayment, Extend,
        Hold, Part, PaymentOutcome, PolicyPatch, Release, Remainder, Suggest, UpdateEvent,
    },
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, PlanDigest, RequestId, SlotIndex, TimestampMs},
    kill::{Kill, Unkill},
    order::{List, Listed},
    place::{Admission, Moved, PlaceState},
    place_set::{AdmissionsNamed, PlaceSet},
    plan::{Plan, PlanSpec},
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    price_level::{SetPriceLevel, changed_by},
    reject::{PlaceInTheWay, Reject},
    retire::RetireEvent,
    slot::SoldPart,
};
use model::{Answer, Model, normal, normal_view};
use words::{kind_of, show, show_command};
use world::{
    Rng, build, build_by_content,
    carts::Carts,
    core::{Core, Raised},
    field, hall, house, one_row, with_level,
};

/// `MODEL_SEEDS` runs more.
const SEEDS_DEFAULT: u64 = 250;
const STEPS: usize = 2_000;
/// All events live in one slot.
const SLOT: u8 = 7;
/// Ids of requests end so high at least, those of holds lower.
const REQUEST_LOW: u64 = 64;
const START: TimestampMs = TimestampMs(1_700_000_000_000);

#[test]
fn core_and_model_answer_the_same() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
    };
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        let mut run = Run::new(seed);
        if let Err(report) = run.go() {
            panic!("{report}\nagain: MODEL_SEED={seed} cargo test -p model --test agree");
        }
        for (answer, count) in run.answers {
            *answers.entry(answer).or_default() += count;
        }
    }
    // Seen with `--nocapture`: whether chance still reaches every answer.
    for (answer, count) in answers {
        println!("{count:>9}  {answer}");
    }
}

/// Seeds that once failed.
#[test]
fn core_and_model_still_answer_the_same() {
    for seed in [910_128, 910_224, 921_503] {
        Run::new(seed).go().expect("a seed that once failed");
    }
}

struct Run {
    seed: u64,
    step: usize,
    rng: Rng,
    now: TimestampMs,
    core: Core,
    model: Model,
    plans: Vec<Arc<Plan>>,
    /// Of every plan there was.
    specs: BTreeMap<PlanDigest, PlanSpec>,
    /// Hold ids of each event, the latest last.
    ids: BTreeMap<EventKey, Vec<HoldId>>,
    request_ids: Vec<RequestId>,
    sale_ids: Vec<RequestId>,
    /// The attempt that was begun last, of each hold that was told to begin one.
    attempts: BTreeMap<(EventKey, HoldId), RequestId>,
    sent: VecDeque<(EventKey, Command)>,
    /// The core's etag for the model's.
    etags: BTreeMap<(EventKey, u64), u64>,
    said: VecDeque<(EventKey, String)>,
    /// How often each kind of answer was given.
    answers: BTreeMap<String, u64>,
    tombstones_max: u32,
    /// Times and lives are so many times longer.
    pace: u64,
    /// How wild this run is with plans and states.
    updates_percent: u64,
    /// How many commands of the house come on a hundred others.
    house_percent: usize,
    carts: Carts,
    /// How many commands are of carts.
    carts_percent: u64,
}

fn event_key(number: usize) -> EventKey {
    EventKey((number as u64) << 8 | u64::from(SLOT))
}

fn uuid_v7(time: TimestampMs, low: u64) -> u128 {
    u128::from(time.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(low & 0xff)
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let specs = [house(0), house(1), house(2), one_row("......"), one_row("..|...::"), field(), hall()];
        let plans: Vec<Arc<Plan>> = (0..).zip(&specs).map(|(digest, spec)| build(spec, digest)).collect();
        let tombstones_max = *rng.pick(&[1_000, 1_000, 1_000, 1_000, 30, 12, 3]);
        Self {
            seed,
            step: 0,
            now: START,
            core: Core::new(SlotIndex(SLOT), tombstones_max, seed),
            model: Model::new(),
            specs: plans.iter().map(|plan| plan.digest()).zip(specs).collect(),
            plans,
            ids: BTreeMap::new(),
            request_ids: Vec::new(),
            sale_ids: Vec::new(),
            attempts: BTreeMap::new(),
            sent: VecDeque::new(),
            etags: BTreeMap::new(),
            said: VecDeque::new(),
            answers: BTreeMap::new(),
            tombstones_max,
            pace: *rng.pick(&[1, 1, 1, 7, 60]),
            house_percent: *rng.pick(&[15, 45, 45, 100]),
            carts: Carts::default(),
            carts_percent: *rng.pick(&[0, 0, 10, 35]),
            updates_percent: *rng.pick(&[1, 4, 4, 12, 12, 45]),
            rng,
        }
    }

    fn go(&mut self) -> Result<(), String> {
        for step in 0..STEPS {
            self.step = step;
            self.pass_time()?;
            let (key, command) = self.command();
            self.one(key, command)?;
            // Only some: it takes as long as the rest.
            if self.seed % 4 == 1 && step % 64 == 0 {
                self.core.fork();
            }
            if step % 16 == 0 {
                self.compare_states()?;
            }
        }
        self.compare_states()?;
        self.core.assert_replays();
        Ok(())
    }

    /// What is due ends and wakes; the model is told what woke, which it judges.
    fn advance(&mut self) -> Result<(), String> {
        let woke = self.core.advance(self.now);
        self.model.advance(self.now);
        for (key, rested) in &woke {
            self.note(*key, format!("{} {rested:?}", self.now.0));
            *self.answers.entry("rested".into()).or_default() += 1;
        }
        let judged = panic::catch_unwind(AssertUnwindSafe(|| self.model.wake(self.now, &woke)));
        let key = woke.first().map_or(event_key(0), |(key, _)| *key);
        judged.map_err(|_| self.report(key, "what woke is not what may"))
    }

    fn pass_time(&mut self) -> Result<(), String> {
        let before = self.now;
        let ahead = self.model.times_ahead(self.now);
        let near = ahead.first().copied();
        self.now = match self.rng.below(40) {
            0..=15 => self.now,
            16..=21 => self.now.plus_ms(1),
            22..=30 => self.now.plus_ms(self.rng.within(1..=800) * self.pace),
            31..=32 => near.unwrap_or(self.now),
            33 => self.core.slot.next_due().unwrap_or(self.now).max(self.now),
            34 => near.map_or(self.now, |time| time.minus_ms(1)).max(self.now),
            35 => near.map_or(self.now, |time| time.plus_ms(1)),
            36 if !ahead.is_empty() => {
                // A day is remembered of every payment: to go there each time would end everything else.
                let hour = ahead.partition_point(|&time| time <= self.now.plus_ms(3_600_000));
                let far = hour == 0 || self.rng.percent(10);
                *self.rng.pick(if far { &ahead } else { &ahead[..hour] })
            }
            37 => self.now.plus_ms(self.rng.within(1..=30_000) * self.pace),
            38 if self.rng.percent(20) => self.now.plus_ms(self.rng.within(1..=400_000) * self.pace),
            _ => self.now.plus_ms(self.rng.within(1..=5_000) * self.pace),
        };
        if self.rng.percent(1) {
            // Down since `before`: the state comes from an image.
            self.core.restart();
            self.carts.forget_asked();
            let shift_ms = self.now.since(before).min(120_000);
            let cause = if self.rng.percent(50) { ResumeCause::Outage } else { ResumeCause::Restored };
            self.core.resume(self.now, shift_ms, cause);
            self.model.resume(shift_ms, cause);
            self.note_all(format!("{} resumed by {shift_ms}", self.now.0));
        }
        self.ask_before_the_sweep();
        self.advance()?;
        self.hear_parts()?;
        for Raised { key, floor, also_paid, tombstones } in self.core.make_room(self.now) {
            assert!(floor <= self.now.minus_ms(5_000), "a hold just made is never forgotten");
            let never_paid = self.model.tombstones_never_paid();
            assert!(
                !also_paid || never_paid * 8 <= tombstones as usize,
                "seed {} step {}: of {tombstones} remembered {never_paid} never paid, and go first",
                self.seed,
                self.step
            );
            self.model.raise_floor(key, floor, also_paid);
            let also = if also_paid { ", also paid ones" } else { "" };
            self.note(key, format!("{} floor of {} at {}{also}", self.now.0, key.0 >> 8, floor.0));
            *self.answers.entry(format!("floor raised{also}")).or_default() += 1;
        }
        Ok(())
    }

    fn hear_parts(&mut self) -> Result<(), String> {
        let asking = self.core.take_asking();
        self.carts.hear(self.now, &self.model, &asking).map_err(|what| {
            let key = asking.first().map_or(event_key(0), |(key, _)| *key);
            self.report(key, &what)
        })
    }

    /// A hold at its deadline is dead, whether it was swept or not. One whose payment lapses at it, while
    /// it has time left, lives.
    fn ask_before_the_sweep(&mut self) {
        for key in self.model.events() {
            for hold_id in self.model.live_holds(key) {
                let view = self.model.hold_view(key, hold_id).expect("it lives");
                let paying = view.state == HoldState::Paying;
                if self.now < if paying { view.payment_deadline } else { view.expires_at } {
                    continue;
                }
                let waits = matches!(view.cart, Some(Cart::Part { .. }));
                let wakes = waits || self.core.slot.next_due().is_some_and(|time| time <= self.now);
                assert!(wakes, "seed {} step {}: the slot sleeps past a deadline", self.seed, self.step);
                if self.now < view.expires_at {
                    continue;
                }
                if matches!(view.cart, Some(Cart::First { .. })) {
                    self.ask_dead_cart(key, hold_id);
                }
                // Later than any request there was: judged afresh.
                let request_id = RequestId(uuid_v7(self.now.plus_ms(1 << 40), 0));
                let order = self.order();
                let confirm = Confirm {
                    hold_id,
                    request_id: None,
                    order,
                    part: Part::default(),
                    remainder: Remainder::Keep,
                    allow_reclaim: false,
                    attempt_id: self.attempts.get(&(key, hold_id)).copied(),
                };
                let abort_payment = self.rng.percent(50);
                let release = Release { hold_id, request_id: None, part: Part::default(), abort_payment };
                for command in [
                    Command::Confirm(Box::new(confirm)),
                    Command::Release(Box::new(release)),
                    Command::Extend(Extend { hold_id, request_id, ttl_ms: 0 }),
                    Command::BeginPayment(BeginPayment { hold_id, attempt_id: request_id }),
                ] {
                    let answer = self.core.execute(self.now, key, &command);
                    let dead = Err(match view.cart {
                        None => Reject::HoldExpired { executed: false, places_lost: Vec::new() },
                        Some(_) => Reject::PaymentInProgress,
                    });
                    let cancelled = Err(Reject::EventCancelled);
                    assert!(
                        answer == dead || view.cart.is_none() && answer == cancelled,
                        "seed {} step {}: {answer:?}",
                        self.seed,
                        self.step
                    );
                }
            }
        }
    }

    /// A cart at its deadline is cancelled, whether its first part was swept or not.
    fn ask_dead_cart(&mut self, key: EventKey, cart_id: HoldId) {
        let order = self.order();
        let verdict = Verdict::Sell(order.clone());
        for command in [
            Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order })),
            Command::ReleaseMany(cart_id),
            Command::Cart(CartStep::Decide { cart_id, verdict }),
        ] {
            let answer = self.core.execute(self.now, key, &command);
            let dead = matches!(answer, Err(Reject::HoldExpired { executed: false, .. } | Reject::EventCancelled));
            assert!(dead, "seed {} step {}: {command:?} gave {answer:?}", self.seed, self.step);
        }
    }

    fn one(&mut self, key: EventKey, command: Command) -> Result<(), String> {
        if let Command::UpdateEvent(update) = &command
            && update.policies.retry_window_s.is_some()
            && self.core.slot.now() == self.now
        {
            // What gives all back after its memory's time is there until time goes on, and a longer memory would
            // bring it back: there core and model differ.
            self.now = self.now.plus_ms(1);
            self.advance()?;
            self.hear_parts()?;
        }
        let mut for_core = command.clone();
        if let Command::UpdateEvent(update) = &mut for_core
            && let Some(etag) = update.etag
        {
            // An etag never given stays as it is: surely none of the core's.
            self.learn_etag(key)?;
            update.etag = Some(self.etags.get(&(key, etag)).copied().unwrap_or(etag));
        }
        let model_before = (self.tombstones_max < 1_000).then(|| self.model.clone());
        let core = panic::catch_unwind(AssertUnwindSafe(|| self.core.execute(self.now, key, &for_core)));
        let Ok(core) = core.map(normal) else {
            self.note(key, format!("{} event {} {}", self.now.0, key.0 >> 8, show_command(&command)));
            return Err(self.report(key, "core panicked"));
        };
        let paying = match &command {
            Command::Hold(hold) | Command::Explain(hold) => hold.replace,
            Command::Extend(extend) => Some(extend.hold_id),
            Command::Confirm(confirm) => Some(confirm.hold_id),
            Command::Release(release) => Some(release.hold_id),
            Command::Exchange(exchange) => match exchange.take {
                Take::Hold(hold_id) => Some(hold_id),
                Take::Places(_) => None,
            },
            _ => None,
        };
        let paying = if paying.is_some_and(|id| self.is_paying(key, id)) { "paying, " } else { "" };
        let model = normal(self.model.execute(self.now, key, &command)).map_err(killed_areas_as_sold);
        let woke = self.core.take_woke_at_once();
        if !woke.is_empty() {
            self.model.wake(self.now, &woke);
        }
        let core = core.map_err(killed_areas_as_sold);
        *self.answers.entry(format!("{paying}{}", kind_of(&command, &core))).or_default() += 1;
        self.note(
            key,
            format!("{} event {} {}\n   -> {}", self.now.0, key.0 >> 8, show_command(&command), show(&core)),
        );
        let explained = |answer: &Result<Answer, Reject>| match answer {
            Ok(Answer::Explained { outcome: Err(reject), .. }) => Err(reject.clone()),
            _ => Ok(()),
        };
        if core != model && core == Err(Reject::CapacityBudget) || explained(&core) == Err(Reject::CapacityBudget) {
            let before = model_before.ok_or_else(|| self.report(key, "core has no room, nothing is full"))?;
            let (has, should) = (self.core.slot.footprint().tombstones, before.tombstones());
            let full = should >= self.tombstones_max as usize;
            let replayed =
                matches!(model, Ok(Answer::Hold { replayed: true, .. } | Answer::Touched { replayed: true, .. }));
            if !full || replayed {
                let what = format!("core has no room for {has} tombstones, model has {should} and said");
                return Err(self.report(key, &format!("{what} {}", show(&model))));
            }
            self.model = before;
        } else if let (
            Err(Reject::StateMismatch { state: of_core, .. }),
            Err(Reject::StateMismatch { state: of_model, .. }),
        ) = (&core, &model)
            && of_core == of_model
        {
            self.learn_etag(key)?;
        } else if core != model {
            return Err(self.report(key, &format!("core  {}\nmodel {}", show(&core), show(&model))));
        }
        if self.rng.percent(50) {
            self.sent.push_back((key, command));
            if self.sent.len() > 24 {
                self.sent.pop_front();
            }
        }
        Ok(())
    }

    /// Ask the core for the etag by an update that brings a wrong one, and compare with what it said
    /// when the event was the same.
    fn learn_etag(&mut self, key: EventKey) -> Result<(), String> {
        let wrong = UpdateEvent { etag: Some(0x5eed), ..UpdateEvent::default() };
        let answer = self.core.execute(self.now, key, &Command::UpdateEvent(Box::new(wrong)));
        if let Err(Reject::StateMismatch { etag, .. }) = answer {
            let known = *self.etags.entry((key, self.model.etag(key))).or_insert(etag);
            if known != etag {
                return Err(self.report(key, "etag differs, though nothing was updated"));
            }
        }
        Ok(())
    }

    fn compare_states(&mut self) -> Result<(), String> {
        let valid = panic::catch_unwind(AssertUnwindSafe(|| self.core.slot.assert_valid()));
        if valid.is_err() {
            let last = self.said.back().map_or(event_key(0), |(key, _)| *key);
            return Err(self.report(last, "core contradicts itself"));
        }
        self.model.assert_valid();
        for key in self.model.events() {
            let (core, model) = (self.core.seat_states(key), self.model.seat_states(key));
            if core != model {
                return Err(self.report(key, &format!("seats: core  {core:?}\nseats: model {model:?}")));
            }
            let (core, model) = (self.core.area_counts(key), self.model.area_counts(key));
            if core != model {
                return Err(self.report(key, &format!("areas: core  {core:?}\nareas: model {model:?}")));
            }
            let shown = self.core.shown(key);
            if *self.core.shadow(key).expect("since its creation") != shown {
                return Err(self.report(key, "moves tell another state than the core has"));
            }
            let seats = self.model.public_seat_states(key);
            if shown.public_seats != seats {
                return Err(
                    self.report(key, &format!("public: core  {:?}\npublic: model {seats:?}", shown.public_seats))
                );
            }
            let areas = self.model.public_area_counts(key);
            if shown.public_areas != areas {
                return Err(
                    self.report(key, &format!("public: core  {:?}\npublic: model {areas:?}", shown.public_areas))
                );
            }
            let (core, model) = (self.allocations_of_core(key), self.allocations_of_model(key));
            if core != model {
                return Err(self.report(key, &format!("core  {core:?}\nmodel {model:?}")));
            }
            let ids = self.ids.get(&key).cloned().unwrap_or_default();
            for id in ids {
                let (core, model) = (self.core.hold_view(key, id), self.model.hold_view(key, id));
                // Forgotten without a change: `hold_view` of the slot knows no later time than the
                // last change's, so only what the model knows is compared.
                if model.is_some() && core.clone().map(normal_view) != model.clone().map(normal_view) {
                    return Err(self.report(key, &format!("core  {core:?}\nmodel {model:?}")));
                }
            }
            let event = self.core.slot.find(key).and_then(|number| self.core.slot.event(number));
            let event = event.expect("the model has it");
            let mut unsettled = self.core.slot.unsettled();
            unsettled.retain(|decided| decided.event == key);
            if unsettled != self.model.unsettled(key) {
                return Err(self.report(key, "unsettled carts"));
            }
            if event.live_holds() as usize != self.model.live_holds(key).len() {
                return Err(self.report(key, "live holds"));
            }
        }
        Ok(())
    }

    // ---- Commands ----

    fn allocations_of_core(&mut self, key: EventKey) -> Result<Answer, Reject> {
        normal(self.core.execute(self.now, key, &Command::ListAllocations))
    }

    fn allocations_of_model(&mut self, key: EventKey) -> Result<Answer, Reject> {
        self.model.execute(self.now, key, &Command::ListAllocations)
    }

    // ---- Names ----

    // ---- Reports ----

    fn note(&mut self, key: EventKey, text: String) {
        self.said.push_back((key, text));
        if self.said.len() > 400 {
            self.said.pop_front();
        }
    }

    fn note_all(&mut self, text: String) {
        for key in self.model.events() {
            self.note(key, text.clone());
        }
    }

    fn report(&self, key: EventKey, what: &str) -> String {
        let mut text = format!("seed {} step {}: core and model differ\n", self.seed, self.step);
        let said: Vec<_> = self.said.iter().filter(|(other, _)| *other == key).collect();
        for (_, line) in &said[said.len().saturating_sub(40)..] {
            let _ = writeln!(text, "{line}");
        }
        if let Ok(Answer::Allocations { allocations }) =
            self.model.clone().execute(self.now, key, &Command::ListAllocations)
        {
            let _ = writeln!(text, "set aside: {allocations:?}");
        }
        let _ = writeln!(text, "public: {:?}", self.model.public_seat_states(key));
        let _ = writeln!(text, "states: {:?}", self.model.seat_states(key));
        text + what
    }
}

/// Core and model differ in what they call an area of which nothing is open, held or sold.
fn killed_areas_as_sold(mut reject: Reject) -> Reject {
    if let Reject::PlacesInUse { places }
    | Reject::PlacesUnavailable { places }
    | Reject::HoldExpired { places_lost: places, .. } = &mut reject
    {
        let killed =
            |place: &&mut PlaceInTheWay| matches!(place.place, Moved::Area { .. }) && place.state == PlaceState::Killed;
        places.iter_mut().filter(killed).for_each(|place| place.state = PlaceState::Sold);
    }
    reject
}
