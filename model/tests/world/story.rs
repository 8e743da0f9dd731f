//! Stories. Each line is a command with its answer; core and model must both give it, and the core's log
//! is replayed at the end of each story.
//!
//! ```text
//!     0ms hold a 3,4 ttl=5000ms -> held 3,4 until 5000ms
//! ```
//!
//! Times count from the start of the story. A hold has a name of one word; its id is made at the time
//! of its first mention, or at `made=`. Seats are indexes in the plan. `map` shows the seats: `.` open,
//! `h` held, `S` sold, `x` killed. A hold that is paying is told with the deadline of the payment; a refused
//! confirm that names an attempt, with whether its money is owed back.
//!
//! Sales, returns, exchanges, kills and unkills have a name too, which is that of their request: a sale is
//! asked after by it as a hold is. `give=` and `take=` are for an exchange what bare seats are elsewhere, `by=`
//! are selectors, `keys=` keys, `floor=` and `hill=` admissions (`gives-floor=` for an exchange), `kind=` their
//! kind of buyer.
//!
//! `set` and `remove` are of the allocation `of=`; `with=fans,agent` brings keys, `also` places of no allocation for
//! best available. `price` gives places the level `level=`, of a plan made by then, or `stale` of one that is gone.
//! `limit=low:2,high:1` are limits by level, `quota=exits:low+@floor:3` is a quota of levels and areas; `none` of either.
//! `public` shows the seats as the public sees them: what is set aside and open is killed to it.

use std::{collections::BTreeMap, sync::Arc};

use inventory_core::{
    allocation::{AllocationKeys, AllocationView, QuotaView, RemoveAllocation, SetAllocation},
    best_available::Arrangement,
    change::{HoldCause, HoldState, HoldView, ResumeCause},
    command::{
        AdmissionWanted, AreaName, BeginPayment, BestAvailable, Command, Confirm, CreateEvent, EndPayment, Extend,
        Hold, Part, PaymentOutcome, Release, Remainder, Suggest, UpdateEvent,
    },
    direct_sale::{NamedPlaces, SellDirect},
    event::Counts,
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, PlanDigest, RequestId, SlotIndex, TimestampMs},
    kill::{Kill, Unkill},
    order::{List, Listed},
    place::{Admission, Moved, PlaceState, Seat},
    place_set::{AdmissionsNamed, PlaceSet},
    plan::PlanSpec,
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    price_level::{SetPriceLevel, changed_by},
    reject::{PlaceInTheWay, Reject},
    retire::RetireEvent,
    slot::{SoldPart, Suggestion, Touched},
};
use model::{Answer, Model, normal};

use super::{build, build_by_content, cart_words, core::Core, house, with_level};

const START: TimestampMs = TimestampMs(1_700_000_000_000);
pub(super) const KEY: EventKey = EventKey(0x101);

/// Play the story on core and model.
pub fn check(plan: &PlanSpec, story: &str) {
    let mut stage = Stage::new(plan);
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        stage.play(line);
    }
    stage.end();
}

pub struct Stage {
    core: Core,
    model: Model,
    now: TimestampMs,
    ids: BTreeMap<String, HoldId>,
    /// What the event of the story was made with.
    made: Option<CreateEvent>,
    /// Of every plan the event had.
    specs: BTreeMap<PlanDigest, PlanSpec>,
}

/// Words of a line: `name=value` and bare ones.
pub struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let digits = self.value(name)?.trim_end_matches(char::is_alphabetic);
        Some(digits.parse().unwrap_or_else(|_| panic!("{name}= is followed by a number")))
    }

    /// After the start of the story; 0: none.
    fn time(&self, name: &str) -> Option<TimestampMs> {
        self.number(name).map(|ms: u64| if ms == 0 { TimestampMs(0) } else { since_start(ms) })
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    /// `3,4` among the bare words.
    fn seats(&self) -> Vec<u32> {
        let list = self.0.iter().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        list.map_or_else(Vec::new, |list| list.split(',').map(|seat| seat.parse().expect("a seat")).collect())
    }

    /// `name=3,4`
    pub(super) fn list<T: std::str::FromStr>(&self, name: &str) -> Vec<T> {
        let parse = |one: &str| one.parse().unwrap_or_else(|_| panic!("no part of {name}= is {one}"));
        self.value(name).map_or_else(Vec::new, |list| list.split(',').map(parse).collect())
    }

    /// Areas with how many admissions, each under its key with `prefix` before it.
    fn areas(&self, prefix: &str) -> impl Iterator<Item = (AreaName, u32)> {
        let area = move |area: &'static str| {
            let quantity = self.number(&format!("{prefix}{area}"))?;
            Some((AreaName::Key(area.into()), quantity))
        };
        ["floor", "hill"].into_iter().filter_map(area)
    }

    fn set(&self, seats: Vec<u32>, prefix: &str) -> PlaceSet {
        let ticket_type = self.number("kind").unwrap_or(0);
        let texts = |name| self.list::<String>(name).into_iter().map(String::into_boxed_str).collect();
        PlaceSet {
            plan_revision: self.number("revision").unwrap_or(0),
            seats,
            seat_keys: texts("keys"),
            selectors: texts("by"),
            admissions: self
                .areas(prefix)
                .map(|(area, quantity)| AdmissionsNamed { area, ticket_type, quantity })
                .collect(),
        }
    }

    fn keys(&self) -> AllocationKeys {
        let keys = self.list::<String>("with").into_iter().map(String::into_boxed_str).collect();
        AllocationKeys { keys, include_unallocated: self.has("also") }
    }

    /// Parts of each of the things listed under the name, all of them.
    fn parts(&self, name: &str) -> Option<Vec<Vec<&'a str>>> {
        let list = self.value(name)?;
        let all = list.split(',').filter(|one| *one != "none");
        Some(all.map(|one| one.split(':').collect()).collect())
    }

    fn level_limits(&self) -> Option<Vec<LevelLimit>> {
        let limit = |parts: Vec<&str>| LevelLimit {
            level: parts[0].into(),
            places_max: parts[1].parse().expect("a limit ends with a number"),
        };
        Some(self.parts("limit")?.into_iter().map(limit).collect())
    }

    fn quotas(&self) -> Option<Vec<SharedQuota>> {
        let quota = |parts: Vec<&str>| {
            let names = || parts[1].split('+');
            SharedQuota {
                name: parts[0].into(),
                levels: names().filter(|name| !name.starts_with('@')).map(Into::into).collect(),
                areas: names().filter_map(|name| name.strip_prefix('@')).map(Into::into).collect(),
                places_max: parts[2].parse().expect("a quota ends with a number"),
            }
        };
        Some(self.parts("quota")?.into_iter().map(quota).collect())
    }

    fn named(&self, seats: Vec<u32>) -> NamedPlaces {
        let ticket_type = self.number("kind").unwrap_or(0);
        let wanted = |(area, quantity): (AreaName, u32)| AdmissionWanted {
            area,
            quantity: quantity.try_into().expect("at most 64 are sold at once"),
            quantity_min: 0,
            ticket_type,
        };
        NamedPlaces {
            allocations: self.keys(),
            plan_revision: self.number("revision").unwrap_or(0),
            seats: seats.into(),
            seat_keys: Vec::new(),
            admissions: self.areas("").map(wanted).collect(),
            ticket_types: Vec::new(),
        }
    }
}

fn state(name: &str) -> EventState {
    match name {
        "draft" => EventState::Draft,
        "onsale" => EventState::OnSale,
        "paused" => EventState::Paused,
        "offsale" => EventState::OffSale,
        "cancelled" => EventState::Cancelled,
        _ => panic!("no state {name}"),
    }
}

fn uuid_v7(time: TimestampMs, low: u128) -> u128 {
    u128::from(time.0) << 80 | 7 << 76 | 0b10 << 62 | low
}

pub(super) fn since_start(ms: u64) -> TimestampMs {
    START.plus_ms(ms)
}

impl Stage {
    pub fn new(plan: &PlanSpec) -> Self {
        let mut stage = Self::empty();
        // Most stories are about something else than single seats.
        let policies = Policies { orphan_rule: OrphanRule::Off, ..Policies::default() };
        let answer = stage.create(plan, Settings { policies, ..Settings::default() });
        assert_eq!(answer, Ok(Answer::Event { replayed: false }));
        stage
    }

    fn empty() -> Self {
        let (core, model) = (Core::new(SlotIndex(1), 1_000, 7), Model::new());
        Self { core, model, now: START, ids: BTreeMap::new(), made: None, specs: BTreeMap::new() }
    }

    fn create(&mut self, spec: &PlanSpec, settings: Settings) -> Result<Answer, Reject> {
        let plan = build(spec, 0);
        self.specs.insert(plan.digest(), spec.clone());
        for (number, revision) in (1..).zip([house(1), house(2)]) {
            self.specs.insert(build(&revision, number).digest(), revision);
        }
        let id = EventId::parse("story").expect("a right id");
        let create = CreateEvent { id, key: KEY, plan, settings };
        self.made = Some(create.clone());
        self.both(&Command::CreateEvent(Box::new(create)), "the event")
    }

    /// What core and model answer to an event with these limits, said as in an update.
    pub fn create_with(plan: &PlanSpec, said: &str) -> String {
        let mut stage = Self::empty();
        let words = Words(said.split_whitespace().collect());
        let limits =
            Limits { by_level: words.level_limits().unwrap_or_default(), quotas: words.quotas().unwrap_or_default() };
        let answer = stage.create(plan, Settings { limits, ..Settings::default() });
        stage.tell(&answer)
    }

    /// The core's log gives its state.
    pub fn end(self) {
        self.core.assert_replays();
    }

    /// One of many commands of a kind: core and model must agree, nothing is told, and neither is searched for
    /// contradictions each time.
    pub fn quietly(&mut self, said: &str) {
        let command = self.read(said);
        let core = normal(self.core.execute(self.now, KEY, &command));
        assert_eq!(core, normal(self.model.execute(self.now, KEY, &command)), "core, then model: {said}");
        assert!(core.is_ok(), "{said}: {core:?}");
    }

    fn read(&mut self, said: &str) -> Command {
        let words = Words(said.split_whitespace().collect());
        let time = words.0[0].strip_suffix("ms").and_then(|ms| ms.parse().ok()).expect("a line starts with a time");
        self.now = since_start(time);
        self.command(words.0[1], &Words(words.0[2..].to_vec()))
    }

    pub fn play(&mut self, line: &str) {
        if let Some(expected) = line.strip_prefix("public ") {
            assert_eq!(self.map(self.core.shown(KEY).public_seats), expected, "the core's public map");
            assert_eq!(self.map(self.model.public_seat_states(KEY)), expected, "the model's public map");
            assert_eq!(self.core.shown(KEY).public_areas, self.model.public_area_counts(KEY), "the public's areas");
            return;
        }
        if let Some(expected) = line.strip_prefix("map ") {
            assert_eq!(self.map(self.core.seat_states(KEY)), expected, "the core's map");
            assert_eq!(self.map(self.model.seat_states(KEY)), expected, "the model's map");
            return;
        }
        let (said, expected) = line.split_once(" -> ").unwrap_or((line, ""));
        let words = Words(said.split_whitespace().collect());
        let time = words.0[0].strip_suffix("ms").and_then(|ms| ms.parse().ok()).expect("a line starts with a time");
        self.now = since_start(time);
        if words.0[1] == "resume" {
            let shift_ms = words.0[2].trim_end_matches("ms").parse().expect("a time");
            self.core.resume(self.now, shift_ms, ResumeCause::Outage);
            self.model.resume(shift_ms, ResumeCause::Outage);
            return;
        }
        let command = self.command(words.0[1], &Words(words.0[2..].to_vec()));
        let answer = self.both(&command, line);
        let mut told = self.tell(&answer);
        if let (Command::Confirm(confirm), Err(reject)) = (&command, &answer)
            && confirm.attempt_id.is_some()
            && reject.refund_due_on_confirm()
        {
            told += ", refund due";
        }
        assert_eq!(told, expected, "{line}");
    }

    fn both(&mut self, command: &Command, line: &str) -> Result<Answer, Reject> {
        let woke = self.core.advance(self.now);
        self.model.advance(self.now);
        self.model.wake(self.now, &woke);
        let core = normal(self.core.execute(self.now, KEY, command));
        let model = normal(self.model.execute(self.now, KEY, command));
        let woke = self.core.take_woke_at_once();
        if !woke.is_empty() {
            self.model.wake(self.now, &woke);
        }
        assert_eq!(self.tell(&core), self.tell(&model), "core, then model: {line}");
        self.core.slot.assert_valid();
        self.model.assert_valid();
        assert_eq!(
            self.core.shadow(KEY).cloned().unwrap_or_default(),
            self.core.shown(KEY),
            "moves tell what is: {line}"
        );
        core
    }

    fn map(&self, states: Vec<PlaceState>) -> String {
        let letter = |state| match state {
            PlaceState::Open => '.',
            PlaceState::Held => 'h',
            PlaceState::Sold => 'S',
            PlaceState::Killed => 'x',
        };
        states.into_iter().map(letter).collect()
    }

    fn id(&mut self, name: &str, made: Option<u64>) -> HoldId {
        let time = made.map_or(self.now, since_start);
        let low = self.ids.len() as u128;
        *self.ids.entry(name.to_owned()).or_insert_with(|| HoldId(uuid_v7(time, low)))
    }

    // ---- Text to commands ----

    fn command(&mut self, verb: &str, words: &Words<'_>) -> Command {
        let named = |name| words.number(name).map(|number: u64| RequestId(uuid_v7(START, u128::from(number))));
        let (request, attempt) = (named("request"), named("attempt"));
        match verb {
            "update" => {
                return Command::UpdateEvent(Box::new(UpdateEvent { request_id: request, ..self.update(words) }));
            }
            "create" => return Command::CreateEvent(Box::new(self.made.clone().expect("it was made once"))),
            "retire" => {
                return Command::RetireEvent(RetireEvent {
                    request_id: request.expect("a retire has a request="),
                    archived_seq: (!words.has("image")).then_some(0),
                    expected_state: words.value("expect").map(state),
                    validate_only: words.has("validate"),
                });
            }
            "order" => return Command::GetOrder(OrderRef::parse(words.0[0]).expect("a right order")),
            "holds" => return Command::List(List { what: Listed::Holds, from: 0, count_max: 3 }),
            "allocations" => return Command::ListAllocations,
            "suggest" => {
                let best = self.hold(HoldId(0), words).best.expect("a suggestion has a best=");
                let (options_max, plan_revision) = (words.number("options").unwrap_or(2), 0);
                let allocations = words.keys();
                return Command::Suggest(Box::new(Suggest { best, options_max, plan_revision, allocations }));
            }
            "orders" => return Command::List(List { what: Listed::Orders, from: 0, count_max: 3 }),
            _ => {}
        }
        let hold_id = self.id(words.0[0], words.number("made"));
        let words = &Words(words.0[1..].to_vec());
        let part = Part {
            plan_revision: words.number("revision").unwrap_or(0),
            seats: words.seats().into(),
            admissions: words
                .number("floor")
                .map(|quantity| Admission { source: 0, area: 0, ticket_type: 0, quantity })
                .into_iter()
                .collect(),
            ..Part::default()
        };
        if cart_words::is_of_carts(verb) {
            return cart_words::read(verb, hold_id, self.hold(hold_id, words), words);
        }
        match verb {
            "hold" => Command::Hold(Box::new(self.hold(hold_id, words))),
            "explain" => Command::Explain(Box::new(self.hold(hold_id, words))),
            "get" => Command::GetHold(hold_id),
            "price" => Command::SetPriceLevel(Box::new(self.price(RequestId(hold_id.0), words))),
            "sell" | "return" | "exchange" | "kill" | "unkill" | "set" | "remove" => {
                self.of_house(verb, RequestId(hold_id.0), words)
            }
            "extend" => Command::Extend(Extend {
                hold_id,
                request_id: request.expect("an extend has a request="),
                ttl_ms: words.number("ttl").unwrap_or(0),
            }),
            "release" => {
                let abort_payment = words.has("abort");
                Command::Release(Box::new(Release { hold_id, request_id: request, part, abort_payment }))
            }
            "begin" => {
                let attempt_id = attempt.expect("a begin has an attempt=");
                Command::BeginPayment(BeginPayment { hold_id, attempt_id })
            }
            "end" => Command::EndPayment(EndPayment {
                hold_id,
                attempt_id: attempt.expect("an end has an attempt="),
                outcome: match words.value("outcome") {
                    Some("failed") => PaymentOutcome::Failed,
                    Some("abandoned") => PaymentOutcome::Abandoned,
                    other => panic!("no outcome {other:?}"),
                },
            }),
            "confirm" => Command::Confirm(Box::new(Confirm {
                hold_id,
                request_id: request,
                order: OrderRef::parse(words.value("order").expect("a confirm has an order=")).expect("a right order"),
                part,
                remainder: if words.has("release") { Remainder::Release } else { Remainder::Keep },
                allow_reclaim: words.has("reclaim"),
                attempt_id: attempt,
            })),
            _ => panic!("no story has the verb {verb}"),
        }
    }

    fn hold(&mut self, hold_id: HoldId, words: &Words<'_>) -> Hold {
        let mut admissions = Vec::new();
        for word in &words.0 {
            if let Some((area @ ("floor" | "hill"), quantity)) = word.split_once('=') {
                admissions.push(AdmissionWanted {
                    area: AreaName::Key(area.into()),
                    quantity: quantity.parse().expect("an area's name is followed by a number"),
                    quantity_min: words.number("least").unwrap_or(0),
                    ticket_type: 0,
                });
            }
        }
        Hold {
            allocations: words.keys(),
            hold_id,
            seats: words.seats().into(),
            seat_keys: Vec::new(),
            admissions,
            best: words.number("best").map(|quantity| BestAvailable {
                quantity,
                accessible_count: words.number("accessible").unwrap_or(0),
                contiguous_only: !words.has("anyhow"),
                seats_only: words.has("seated"),
                ..BestAvailable::default()
            }),
            ticket_types: Vec::new(),
            customer: CustomerKey(words.number("for").unwrap_or(0)),
            ttl_ms: words.number("ttl").unwrap_or(0),
            replace: words.value("replacing").map(|name| self.id(name, None)),
            plan_revision: words.number("revision").unwrap_or(0),
        }
    }

    fn of_house(&mut self, verb: &str, request_id: RequestId, words: &Words<'_>) -> Command {
        let expected_state = words.value("expect").map(state);
        let validate_only = words.has("validate");
        let reason = words.value("reason").unwrap_or("").into();
        let order = words.value("order").map(|order| OrderRef::parse(order).expect("a right order"));
        let places = words.set(words.seats(), "");
        match verb {
            "sell" => Command::SellDirect(Box::new(SellDirect {
                request_id,
                order: order.expect("a sale has an order="),
                places: words.named(words.seats()),
                customer: CustomerKey(words.number("for").unwrap_or(0)),
                expected_state,
                validate_only,
            })),
            "return" => Command::ReturnPlaces(Box::new(ReturnPlaces {
                request_id,
                order: order.expect("a return has an order="),
                places,
                to: match words.value("to") {
                    None | Some("origin") => ReturnTo::Origin,
                    Some("general") => ReturnTo::General,
                    Some("killed") => ReturnTo::Killed,
                    Some(other) => panic!("places are not returned to {other}"),
                },
                reason,
                expected_state,
                validate_only,
            })),
            "exchange" => Command::Exchange(Box::new(Exchange {
                request_id,
                order: order.expect("an exchange has an order="),
                give: words.set(words.list("give"), "gives-"),
                take: match words.value("hold") {
                    Some(name) => Take::Hold(self.id(name, None)),
                    None => Take::Places(words.named(words.list("take"))),
                },
                expected_state,
                validate_only,
            })),
            "kill" => Command::Kill(Box::new(Kill {
                request_id,
                places,
                reason,
                force: words.has("force"),
                expected_state,
                validate_only,
            })),
            "set" => Command::SetAllocation(Box::new(SetAllocation {
                request_id,
                key: words.value("of").expect("a set has an of=").into(),
                places,
                opens_at: words.time("opens"),
                closes_at: words.time("closes"),
                expected_state,
                validate_only,
            })),
            "remove" => Command::RemoveAllocation(Box::new(RemoveAllocation {
                request_id,
                key: words.value("of").expect("a remove has an of=").into(),
                places,
                expected_state,
                validate_only,
            })),
            "unkill" => Command::Unkill(Box::new(Unkill { request_id, places, expected_state, validate_only })),
            _ => unreachable!("asked only for these"),
        }
    }

    /// With the plan that the server would make of the present one.
    fn price(&mut self, request_id: RequestId, words: &Words<'_>) -> SetPriceLevel {
        let event = self.core.slot.find(KEY).and_then(|number| self.core.slot.event(number)).expect("the event");
        let (places, level) = (words.set(words.seats(), ""), words.value("level").expect("a price has a level="));
        let now = Arc::clone(event.plan());
        let plan = match changed_by(&places, event, level) {
            // Of a level without a name there is no plan.
            Ok((seats, areas)) if !level.is_empty() && level.len() <= 128 => {
                let spec = with_level(&self.specs[&now.digest()], &now, &seats, &areas, level);
                spec.map(|spec| {
                    let plan = build_by_content(&spec);
                    self.specs.insert(plan.digest(), spec);
                    plan
                })
            }
            Ok(_) | Err(_) => Some(Arc::clone(&now)),
        };
        SetPriceLevel {
            request_id,
            places,
            level: level.into(),
            from: if words.has("stale") { PlanDigest([0xee; 32]) } else { now.digest() },
            plan,
            expected_state: words.value("expect").map(state),
            validate_only: words.has("validate"),
        }
    }

    fn update(&self, words: &Words<'_>) -> UpdateEvent {
        let time = |name| words.time(name);
        let mut update = UpdateEvent {
            state: words.value("state").map(state),
            expected_state: words.value("expecting").map(state),
            validate_only: words.has("validate"),
            opens_at: time("opens"),
            closes_at: time("closes"),
            plan: words.value("plan").map(|plan| match plan {
                "house1" => build(&house(1), 1),
                "house2" => build(&house(2), 2),
                _ => panic!("no plan {plan}"),
            }),
            ..UpdateEvent::default()
        };
        update.policies.orphan_rule = words.value("orphans").map(|rule| match rule {
            "off" => OrphanRule::Off,
            "lenient" => OrphanRule::Lenient,
            "strict" => OrphanRule::Strict,
            _ => panic!("no rule {rule}"),
        });
        update.policies.retry_window_s = words.number("retry_window");
        update.policies.lifetime_s_max = words.number("lifetime");
        update.policies.hold_ttl_s = words.number("ttl");
        update.policies.renewals_max = words.number("renewals");
        update.policies.payment_grace_s = words.number("payment_grace");
        update.policies.payment_attempts_max = words.number("payment_attempts_max");
        update.policies.payment_left_s_min = words.number("payment_min_left");
        update.policies.places_per_customer_max = words.number("places_per_customer");
        update.policies.holds_per_customer_max = words.number("holds_per_customer");
        update.policies.cooling_s_max = words.number("cooling");
        update.policies.abandon_credits_max = words.number("credits");
        update.policies.abandon_refill_s = words.number("refill");
        update.level_limits = words.level_limits();
        update.quotas = words.quotas();
        update
    }

    // ---- Answers to text ----

    fn tell(&self, answer: &Result<Answer, Reject>) -> String {
        match answer {
            Ok(Answer::Hold { view, replayed }) => {
                format!("{}{}", self.tell_hold(view), if *replayed { ", again" } else { "" })
            }
            Ok(Answer::Suggested { options }) => {
                let told: Vec<String> = options.iter().map(|option| self.tell_option(option)).collect();
                told.join(" or ")
            }
            Ok(Answer::Explained { outcome, left_alone }) => {
                let told = match outcome {
                    Ok(grant) => format!("would hold {}", self.tell_all(&grant.seats, &grant.admissions)),
                    Err(reject) => format!("would be {}", self.tell_reject(reject)),
                };
                let alone: Vec<String> = left_alone.iter().map(u32::to_string).collect();
                if alone.is_empty() { told } else { format!("{told}, leaving {} alone", alone.join(",")) }
            }
            Ok(Answer::Allocations { allocations }) => {
                let told: Vec<String> = allocations.iter().map(|one| self.tell_allocation(one)).collect();
                told.join("; ")
            }
            Ok(Answer::Touched { touched, replayed }) => {
                format!("{}{}", self.tell_touched(touched), if *replayed { ", again" } else { "" })
            }
            Ok(Answer::Order { parts }) => self.tell_parts(parts),
            Ok(Answer::Page { holds, parts }) => {
                let holds = holds.iter().map(|hold| format!("{} {}", self.name(hold.hold_id), self.tell_hold(hold)));
                let told: Vec<String> = holds.chain(Some(self.tell_parts(parts))).collect();
                told.join("; ").trim_end_matches("; ").into()
            }
            Ok(Answer::Verdict { verdict }) => cart_words::tell_verdict(verdict.as_ref()),
            Ok(Answer::Event { replayed }) => format!("done{}", if *replayed { ", again" } else { "" }),
            Err(reject) => self.tell_reject(reject),
        }
    }

    fn name(&self, id: HoldId) -> &str {
        self.ids.iter().find(|(_, other)| **other == id).map_or("unnamed", |(name, _)| name)
    }

    fn tell_option(&self, option: &Suggestion) -> String {
        let seats: Vec<String> = option.seats.iter().map(u32::to_string).collect();
        let event = self.core.slot.find(KEY).and_then(|number| self.core.slot.event(number)).expect("the event");
        option.area.map_or_else(|| seats.join(","), |area| event.plan().areas()[usize::from(area)].key.to_string())
    }

    /// Seats as open, held, sold and killed ones; admissions as those in all, held and sold.
    fn tell_allocation(&self, one: &AllocationView) -> String {
        let Counts { open, held, sold, killed } = one.seats;
        let mut told = format!("{} {open}/{held}/{sold}/{killed}", one.key);
        for QuotaView { area, quota, held, sold } in &one.quotas {
            told += &format!(" {}/{held}/{sold}", self.tell_area(*area, *quota));
        }
        for (name, time) in [("opens", one.opens_at), ("closes", one.closes_at)] {
            if time.0 > 0 {
                told += &format!(" {name} {}ms", time.since(START));
            }
        }
        told
    }

    fn tell_touched(&self, touched: &Touched) -> String {
        let mut names: Vec<String> = touched.seats.iter().map(u32::to_string).collect();
        names.extend(touched.areas.iter().map(|&(area, quantity)| self.tell_area(area, quantity)));
        let holds: Vec<&str> = touched.holds.iter().map(|&id| self.name(id)).collect();
        let of = if holds.is_empty() { String::new() } else { format!(" of {}", holds.join(" ")) };
        format!("touched {}{of}", names.join(",")).trim_end().into()
    }

    fn tell_parts(&self, parts: &[SoldPart]) -> String {
        let one = |part: &SoldPart| {
            let places = self.tell_all(&part.seats, &part.admissions);
            format!("{} sold {places} for {}", self.name(part.hold_id), part.order.as_str())
        };
        parts.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn tell_all(&self, seats: &[Seat], admissions: &[Admission]) -> String {
        let mut names: Vec<String> = seats.iter().map(|seat| seat.index.to_string()).collect();
        names.extend(admissions.iter().map(|one| self.tell_area(one.area, u32::from(one.quantity))));
        names.join(",")
    }

    fn tell_hold(&self, view: &HoldView) -> String {
        let places = |seats: &[Seat], admissions: &[Admission]| self.tell_all(seats, admissions);
        let mut text = match view.state {
            HoldState::Active => format!("held {}", places(&view.seats, &view.admissions)),
            HoldState::Paying => format!("paying {}", places(&view.seats, &view.admissions)),
            HoldState::Released if view.cause == HoldCause::Killed => "killed".into(),
            HoldState::Released => "released".into(),
            HoldState::Expired => "expired".into(),
            HoldState::Confirmed => String::new(),
        };
        let sold = places(&view.sold_seats, &view.sold_admissions);
        if !sold.is_empty() || view.state == HoldState::Confirmed {
            let sold = if sold.is_empty() { "nothing any more" } else { &sold };
            text = format!("{text} sold {sold}").trim_start().into();
        }
        if view.places_lost > 0 {
            text += &format!(" lost {}", view.places_lost);
        }
        if view.state == HoldState::Active {
            text += &format!(" until {}ms", view.expires_at.since(START));
        }
        if view.state == HoldState::Paying {
            text += &format!(" until {}ms", view.payment_deadline.since(START));
        }
        let live = matches!(view.state, HoldState::Active | HoldState::Paying);
        if view.orders.len() > 1 || live && !view.orders.is_empty() {
            let orders: Vec<&str> = view.orders.iter().map(OrderRef::as_str).collect();
            text += &format!(" for {}", orders.join(" "));
        }
        match view.arrangement {
            Arrangement::Contiguous if view.state == HoldState::Active => text + ", stranding nobody",
            Arrangement::Stranding if view.state == HoldState::Active => text + ", stranding one",
            Arrangement::Split if view.state == HoldState::Active => text + ", in pieces",
            Arrangement::General if view.state == HoldState::Active => text + ", without seats",
            _ => text + &cart_words::tell_part(view),
        }
    }

    fn tell_area(&self, area: u16, quantity: u32) -> String {
        let event = self.core.slot.find(KEY).and_then(|number| self.core.slot.event(number)).expect("the event");
        format!("{}*{quantity}", event.plan().areas()[usize::from(area)].key)
    }

    fn tell_places(&self, places: &[PlaceInTheWay]) -> String {
        let one = |place: &PlaceInTheWay| {
            let name = match place.place {
                Moved::Seat(seat) => seat.to_string(),
                Moved::Area { area, quantity } => self.tell_area(area, quantity),
            };
            format!("{name} {}", format!("{:?}", place.state).to_lowercase())
        };
        places.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn tell_reject(&self, reject: &Reject) -> String {
        // `HoldIdTooOld { .. }` is "hold id too old".
        let name = format!("{reject:?}");
        let name = name.split([' ', '{', '(']).next().unwrap_or_default();
        let mut words = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        let executed = if reject.executed() { ", executed" } else { "" };
        words += executed;
        match reject {
            Reject::Invalid { field, .. } => format!("{words} {field:?}"),
            Reject::DuplicateSeat { position } => format!("{words} at {position}"),
            Reject::UnknownPlace { field, position } => format!("{words} in {field:?} at {position}"),
            Reject::PlanChanged { plan_revision } => format!("{words}, now {plan_revision}"),
            Reject::NotEnoughPlaces { held_unpaid, quota: None } => format!("{words}, {held_unpaid} held"),
            Reject::NotEnoughPlaces { held_unpaid, quota: Some(quota) } => {
                format!("{words} of {quota}, {held_unpaid} held")
            }
            Reject::SoldOut { quota: Some(quota) } => format!("{words} of {quota}"),
            Reject::SaleNotOpen { opens_at } if opens_at.0 > 0 => format!("{words} until {}ms", opens_at.since(START)),
            Reject::CustomerLimit { places_max, level: None } => format!("{words} {places_max}"),
            Reject::CustomerLimit { places_max, level: Some(level) } => format!("{words} {places_max} of {level}"),
            Reject::HoldCooldown { retry_after_ms } => format!("{words} for {retry_after_ms}ms"),
            Reject::HoldQuota { holds_max } => format!("{words} {holds_max}"),
            Reject::PlacesUnavailable { places }
            | Reject::PlacesInUse { places }
            | Reject::NotThisOrder { places }
            | Reject::NotInAllocation { places } => {
                format!("{words}: {}", self.tell_places(places))
            }
            Reject::HoldExpired { places_lost, .. } if !places_lost.is_empty() => {
                format!("{words}: {}", self.tell_places(places_lost))
            }
            _ => words,
        }
    }
}
