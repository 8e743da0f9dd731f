//! A world of carts: buyers who hold, buy, release, repeat and leave carts over several events, others who want the same
//! seats, a house that cancels, machines that fall. At rest every cart has one fate.
//!
//! The claims, of all events together, whenever nothing moves:
//!
//! - no cart is sold in one event and not in another;
//! - what was answered is so: a cart that was made is held, sold or ended in all its events alike, one that was sold is
//!   sold in all of them, one that was released in none;
//! - no part waits for a first part that has decided, and no cart lives past its deadline.
//!
//! What each event answers is held against the model of that event, steps of carts included once the model knows them:
//! [`MODEL_KNOWS_CARTS`] says so. Until then an event is left out from its first part of a cart on.
//!
//! Not here: commands on single events in all their kinds (`traffic.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use engine::{
    Checkpointer, ClockSource, Committer, Done, Engine, EngineConfig, ManualClock, Opened, Refused, Reply, Shard,
    Verdict, event_key, open, verify,
};
use inventory_core::{
    cart::{Cart, CartStep, ConfirmMany, HoldMany},
    change::{HoldState, HoldView, ResumeCause},
    command::{BeginPayment, Command, Confirm, CreateEvent, Extend, Hold, Part, Release, Remainder, UpdateEvent},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    kill::Kill,
    limits::OUTAGE_GRACE_MS_MAX,
    place_set::PlaceSet,
    plan_codec::encode_plan,
    policy::{EventState, OrphanRule, Policies, Settings},
};
use model::Model;
use wal::Keep;

use crate::{
    answers::{Inbox, as_model, same_reject},
    disk::SimDisk,
    house,
    options::Options,
    random::Random,
    violation::{Violation, claim},
    world::{Counts, START_MS, fold, told},
};

/// Whether the model judges steps of carts.
pub(crate) const MODEL_KNOWS_CARTS: bool = false;

const EVENTS: u64 = 4;
/// Rounds in which everything that waits must come to rest.
const ROUNDS_MAX: usize = 10_000;
/// Carts that are asked about.
const CARTS_MAX: usize = 60;
/// Longer than any cart lives, outages included.
const LIFE_MS_MAX: u64 = 3 * 3_600_000;

/// A cart that somebody made, or tried to.
#[derive(Debug)]
struct Known {
    command: Box<HoldMany>,
    orders: Vec<OrderRef>,
    /// Answered: all parts are there.
    is_made: bool,
    /// Answered: sold to this order.
    sold_to: Option<OrderRef>,
    /// Answered: released.
    is_released: bool,
}

/// What was asked, and is not answered.
#[derive(Clone, Debug)]
enum Asked {
    /// A call of the cart with this number.
    Cart(usize, Command),
    /// Anything else.
    Other,
    /// A look at a part, for a check.
    Look(usize, usize),
}

struct Running {
    engine: Arc<Engine>,
    shards: Vec<Shard>,
    committer: Committer,
    checkpointer: Checkpointer,
    clock: Arc<ManualClock>,
    inbox: Arc<Inbox>,
    asked: BTreeMap<u64, Asked>,
    /// The time of each shard's last turn, and whether it has more to expire: then time stands still.
    shards_now: Vec<(TimestampMs, bool)>,
    /// The last position given out.
    assigned: u64,
}

/// The models of the events, each by itself.
#[derive(Clone, Debug, Default)]
struct Models {
    of: BTreeMap<EventKey, Model>,
    /// Events that have had a part of a cart, which their models do not know.
    unknown: BTreeSet<EventKey>,
}

/// The world.
pub(crate) struct CartWorld {
    seed: u64,
    options: Options,
    random: Random,
    disk: SimDisk,
    now_ms: u64,
    running: Option<Running>,
    keys: Vec<EventKey>,
    carts: Vec<Known>,
    number: u64,
    tag: u64,
    /// What looks have found, by cart: one for each of its events.
    looks: BTreeMap<usize, Vec<Option<HoldView>>>,
    models: Models,
    /// The models at the end of each group since the last start.
    ends: BTreeMap<u64, Models>,
    counts: Counts,
    trace: u64,
    answers_by_kind: BTreeMap<String, u64>,
    is_told: bool,
}

impl CartWorld {
    pub(crate) fn new(seed: u64, options: Options, is_told: bool) -> CartWorld {
        CartWorld {
            seed,
            random: Random::of_part(seed, 0),
            disk: SimDisk::new(Random::of_part(seed, 1).bits()),
            now_ms: START_MS,
            running: None,
            keys: (0..EVENTS).map(|n| event_key(&name(n))).collect(),
            carts: Vec::new(),
            number: 0,
            tag: 0,
            looks: BTreeMap::new(),
            models: Models::default(),
            ends: BTreeMap::from([(0, Models::default())]),
            counts: Counts::default(),
            trace: seed,
            answers_by_kind: BTreeMap::new(),
            is_told,
            options,
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn answers_by_kind(&self) -> &BTreeMap<String, u64> {
        &self.answers_by_kind
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.disk.happened()
    }

    pub(crate) fn digest(&self) -> u64 {
        let mut digest = self.trace;
        for name in wal::Storage::list(self.disk.folder(), "").unwrap_or_default() {
            digest = fold(digest, name.as_bytes());
            digest = fold(digest, &self.disk.folder().contents(&name).unwrap_or_default());
        }
        digest
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{} {}", self.now_ms - START_MS, text());
        }
    }

    /// One step of the safety phase.
    pub(crate) fn step(&mut self, step: u64) -> Result<(), Violation> {
        self.random = Random::of_part(self.seed, step + 1_000);
        self.tell(|| format!("-- step {step}"));
        if self.running.is_none() {
            self.start()?;
        }
        if self.random.permille(self.options.fall_permille) {
            // In the middle of a write now and then.
            if self.random.percent(50) {
                self.disk.arm_power_failure(self.random.within(1..=20));
                self.burst();
                return self.pump();
            }
            return self.fall();
        }
        match self.random.below(100) {
            0..55 => self.burst(),
            55..72 => self.pass_time(),
            72..82 => return self.check_at_rest(),
            82..86 => self.running.iter().for_each(|running| running.engine.request_checkpoint()),
            _ => {}
        }
        self.pump()
    }

    /// Everything that is pending comes to its end.
    pub(crate) fn finish(&mut self) -> Result<(), Violation> {
        self.random = Random::of_part(self.seed, 2);
        self.disk.heal();
        if self.running.is_none() {
            self.start()?;
        }
        self.check_at_rest()?;
        self.advance_ms(LIFE_MS_MAX);
        self.check_at_rest()?;
        let Some(running) = &mut self.running else { return Ok(()) };
        let live: u64 = running.engine.status().shards.iter().map(|shard| shard.live_holds).sum();
        claim("in the end every hold has ended", live == 0, || format!("{live} live holds"))?;
        running.engine.drain();
        running.engine.stop();
        while running.committer.turn().is_ok_and(|moved| moved) {}
        self.running = None;
        let found = verify(self.disk.folder())
            .map_err(|error| Violation { claim: "a clean end verifies", seen: error.to_string() })?;
        claim("a clean end verifies", found.verdict == Verdict::Clean, || format!("{found:?}"))
    }

    // ---- What is asked ----

    fn burst(&mut self) {
        for _ in 0..self.random.within(1..=self.options.burst_max.min(20)) {
            match self.random.below(100) {
                0..30 => self.hold_many(),
                30..50 => self.confirm_many(),
                50..58 => self.release_many(),
                58..70 => self.again(),
                70..84 => self.hold(),
                84..97 => self.meddle(),
                _ => self.update(),
            }
        }
    }

    fn hold_many(&mut self) {
        // Some worlds have none, so that all of their events are compared.
        if !MODEL_KNOWS_CARTS && self.seed.is_multiple_of(8) {
            return self.hold();
        }
        if self.carts.len() >= CARTS_MAX {
            return self.confirm_many();
        }
        let mut keys = self.keys.clone();
        let count = self.random.within(2..=EVENTS) as usize;
        for at in 0..count {
            let other = at + self.random.index(keys.len() - at);
            keys.swap(at, other);
        }
        let cart_id = self.id();
        let parts = keys[..count].iter().map(|&key| (key, self.hold_of(cart_id))).collect();
        let ttl_ms = *self.random.pick(&[0, 1_000, 5_000, 60_000]);
        let command = Box::new(HoldMany { cart_id, ttl_ms, parts });
        self.carts.push(Known {
            command: command.clone(),
            orders: Vec::new(),
            is_made: false,
            sold_to: None,
            is_released: false,
        });
        self.call(self.carts.len() - 1, Command::HoldMany(command));
    }

    fn confirm_many(&mut self) {
        let Some(cart) = self.any_cart() else { return };
        let known = &mut self.carts[cart];
        if known.orders.is_empty() || self.random.percent(15) {
            self.number += 1;
            known.orders.extend(OrderRef::parse(&format!("order-{}", self.number)));
        }
        let order = self.random.pick(&known.orders).clone();
        let cart_id = known.command.cart_id;
        self.call(cart, Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order })));
    }

    fn release_many(&mut self) {
        let Some(cart) = self.any_cart() else { return };
        self.call(cart, Command::ReleaseMany(self.carts[cart].command.cart_id));
    }

    /// The same once more, sometimes with other content.
    fn again(&mut self) {
        let Some(cart) = self.any_cart() else { return };
        let mut command = self.carts[cart].command.clone();
        if self.random.percent(20) {
            command.ttl_ms += 1_000;
            return self.submit(command.parts[0].0, Command::HoldMany(command), Asked::Other);
        }
        self.call(cart, Command::HoldMany(command));
    }

    fn hold(&mut self) {
        let key = *self.random.pick(&self.keys);
        let hold_id = self.id();
        let mut hold = self.hold_of(hold_id);
        hold.ttl_ms = *self.random.pick(&[0, 1_000, 5_000]);
        self.submit(key, Command::Hold(Box::new(hold)), Asked::Other);
    }

    /// A command on one part of a cart, which leaves it alone while nothing is decided.
    fn meddle(&mut self) {
        let Some(cart) = self.any_cart() else { return };
        let parts = &self.carts[cart].command.parts;
        let (key, hold) = parts[self.random.index(parts.len())].clone();
        let (hold_id, id) = (hold.hold_id, RequestId(self.id().0));
        let command = match self.random.below(6) {
            0 => Command::Release(Box::new(Release {
                hold_id,
                request_id: None,
                part: Part::default(),
                abort_payment: self.random.percent(50),
            })),
            1 => Command::Extend(Extend { hold_id, request_id: id, ttl_ms: 0 }),
            2 => Command::BeginPayment(BeginPayment { hold_id, attempt_id: id }),
            3 => Command::Kill(Box::new(Kill {
                request_id: id,
                places: PlaceSet { seats: hold.seats.to_vec(), plan_revision: 1, ..PlaceSet::default() },
                reason: "camera".into(),
                force: true,
                expected_state: None,
                validate_only: true,
            })),
            4 => Command::Hold(Box::new(Hold { hold_id: HoldId(id.0), replace: Some(hold_id), ..hold })),
            _ => Command::Confirm(Box::new(Confirm {
                hold_id,
                request_id: None,
                order: OrderRef::parse("meddled").unwrap_or_else(|| unreachable!("it is printable")),
                part: Part::default(),
                remainder: Remainder::Keep,
                allow_reclaim: self.random.percent(50),
                attempt_id: None,
            })),
        };
        self.submit(key, command, Asked::Other);
    }

    fn update(&mut self) {
        // The last one goes on, so that there is always something to buy.
        let key = self.keys[self.random.index(self.keys.len())];
        let is_last = key == self.keys[self.keys.len() - 1];
        let state = match self.random.below(10) {
            0 if !is_last => EventState::Cancelled,
            1..4 => EventState::Paused,
            _ => EventState::OnSale,
        };
        let update = UpdateEvent { state: Some(state), ..UpdateEvent::default() };
        self.submit(key, Command::UpdateEvent(Box::new(update)), Asked::Other);
    }

    fn any_cart(&mut self) -> Option<usize> {
        let count = self.carts.len();
        // Mostly a young one.
        let from = if self.random.percent(70) { count.saturating_sub(6) } else { 0 };
        (count > 0).then(|| from + self.random.index(count - from))
    }

    fn id(&mut self) -> HoldId {
        self.number += 1;
        let time = self.running.as_ref().map_or(self.now_ms, |running| running.engine.clock().now().0);
        HoldId(u128::from(time) << 80 | 7 << 76 | 0b10 << 62 | u128::from(self.number))
    }

    fn hold_of(&mut self, hold_id: HoldId) -> Hold {
        let plan = house::plan(&self.options, 0);
        let all: u64 = plan.sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len() as u64).sum();
        let mut seats: Vec<u32> = (0..self.random.within(1..=2)).map(|_| self.random.below(all) as u32).collect();
        seats.sort_unstable();
        seats.dedup();
        Hold {
            allocations: Default::default(),
            hold_id,
            seats: seats.into(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: 0,
        }
    }

    fn call(&mut self, cart: usize, command: Command) {
        let key = self.carts[cart].command.parts[0].0;
        self.submit(key, command.clone(), Asked::Cart(cart, command));
    }

    fn submit(&mut self, key: EventKey, command: Command, asked: Asked) {
        let Some(running) = &mut self.running else { return };
        self.tag += 1;
        let sink = Arc::clone(&running.inbox) as Arc<dyn engine::ReplySink>;
        self.counts.commands += 1;
        let reply = Reply::Many { sink, tag: self.tag };
        if running.engine.submit(key, command, None, reply).is_ok() {
            running.asked.insert(self.tag, asked);
        }
    }

    fn pass_time(&mut self) {
        let ms = match self.random.below(6) {
            0 => 1,
            1 => 60_000,
            2 => 5_000,
            _ => self.random.below(self.options.pause_ms_max + 1),
        };
        self.advance_ms(ms);
    }

    fn advance_ms(&mut self, ms: u64) {
        if let Some(running) = self.running.as_ref().filter(|running| !running.shards_now.iter().any(|(_, more)| *more))
        {
            self.now_ms += ms;
            running.clock.advance_ms(ms);
        }
    }

    // ---- Turns ----

    fn pump(&mut self) -> Result<(), Violation> {
        if self.random.percent(self.options.starve_percent) {
            return Ok(());
        }
        for _ in 0..self.random.within(1..=4) {
            let shards = self.running.as_ref().map_or(0, |running| running.shards.len());
            for shard in 0..shards {
                if self.random.percent(60) {
                    self.turn_shard(shard)?;
                }
            }
            if self.random.percent(60) {
                self.turn_committer()?;
            }
        }
        if self.random.percent(20) {
            self.turn_checkpointer()?;
        }
        Ok(())
    }

    fn turn_shard(&mut self, shard: usize) -> Result<bool, Violation> {
        let Some(running) = &mut self.running else { return Ok(false) };
        let before = running.engine.status();
        let wake = running.shards[shard].turn();
        let status = running.engine.status();
        let has_more = told().iter().any(|(what, ..)| *what == "more due");
        let changes = status.shards[shard].changes - before.shards[shard].changes;
        self.counts.changes += changes;
        if status.shards[shard].turns > before.shards[shard].turns {
            let now = running.shards_now[shard].0.max(running.engine.clock().now());
            running.shards_now[shard] = (now, has_more);
            running.assigned += changes;
            self.judge_turn(shard, now)?;
        }
        for word in [shard as u64, status.shards[shard].hash] {
            self.trace = fold(self.trace, &word.to_le_bytes());
        }
        self.take_answers()?;
        Ok(wake.again)
    }

    fn turn_committer(&mut self) -> Result<bool, Violation> {
        let Some(running) = &mut self.running else { return Ok(false) };
        let result = running.committer.turn();
        self.take_answers()?;
        match result {
            Ok(moved) => Ok(moved),
            Err(_) => self.fall().map(|()| false),
        }
    }

    fn turn_checkpointer(&mut self) -> Result<bool, Violation> {
        let Some(running) = &mut self.running else { return Ok(false) };
        match running.checkpointer.turn() {
            Ok(made) => {
                self.counts.checkpoints += u64::from(made);
                Ok(made)
            }
            Err(_) if self.disk.is_off() => self.fall().map(|()| false),
            Err(_) => Ok(false),
        }
    }

    /// Turns until nothing moves. Whether the machine is still there.
    fn come_to_rest(&mut self) -> Result<bool, Violation> {
        for _ in 0..ROUNDS_MAX {
            let shards = self.running.as_ref().map_or(0, |running| running.shards.len());
            let mut moved = false;
            for shard in 0..shards {
                moved |= self.turn_shard(shard)?;
            }
            moved |= self.turn_committer()?;
            moved |= self.turn_checkpointer()?;
            let Some(running) = &self.running else { return Ok(false) };
            let has_more = running.shards_now.iter().any(|(_, more)| *more);
            if !moved && !has_more && running.engine.is_idle() {
                let open = running.asked.len();
                return claim("an idle engine has answered everything", open == 0, || format!("{open} wait"))
                    .map(|()| true);
            }
        }
        Err(Violation { claim: "everything comes to rest", seen: format!("not in {ROUNDS_MAX} rounds") })
    }

    /// The models' side of a turn.
    fn judge_turn(&mut self, shard: usize, now: TimestampMs) -> Result<(), Violation> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let engine = Arc::clone(&running.engine);
        let Models { of, unknown } = &mut self.models;
        let compared = of.iter_mut().filter(|(key, _)| engine.shard_of(**key) == shard && !unknown.contains(key));
        compared.for_each(|(_, model)| model.advance(now));
        for (key, command, result) in judged(&mut running.shards[shard]) {
            let makes_part = matches!(command, Command::HoldMany(_) | Command::Cart(CartStep::Prepare(_)));
            if makes_part && matches!(result, Some(Ok(_))) && !MODEL_KNOWS_CARTS {
                unknown.insert(key);
            }
            if unknown.contains(&key) || is_of_cart(&command) && !MODEL_KNOWS_CARTS {
                continue;
            }
            let expected = model::normal(of.entry(key).or_default().execute(now, key, &command));
            let is_right = match &result {
                Some(Ok(done)) => expected == model::normal(Ok(as_model(done))),
                Some(Err(Refused::Reject(reject))) => same_reject(&expected, reject),
                Some(Err(_)) => false,
                None => true,
            };
            self.counts.answers += 1;
            claim("an event judges as its model does", is_right, || {
                format!("{command:?} on {key:?} gave {result:?}, not {expected:?}")
            })?;
        }
        self.ends.insert(running.assigned, self.models.clone());
        Ok(())
    }

    // ---- Answers ----

    fn take_answers(&mut self) -> Result<(), Violation> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let mut answers = Vec::new();
        for (tag, answer) in running.inbox.take() {
            let asked = running.asked.remove(&tag);
            let Some(asked) = asked else {
                return Err(Violation { claim: "a command is answered once", seen: format!("{answer:?}") });
            };
            answers.push((asked, answer));
        }
        for (asked, answer) in answers {
            self.trace = fold(self.trace, &answer.position.to_le_bytes());
            match asked {
                Asked::Cart(cart, command) => self.take_answer(cart, &command, answer.result)?,
                Asked::Look(cart, nth) => {
                    if let Ok(Done::Hold { view, .. }) = answer.result {
                        self.looks.entry(cart).or_default()[nth] = Some(view);
                    }
                }
                Asked::Other => {}
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, at: usize, command: &Command, result: Result<Done, Refused>) -> Result<(), Violation> {
        let kind = match command {
            Command::HoldMany(_) => "HoldMany",
            Command::ConfirmMany(_) => "ConfirmMany",
            _ => "ReleaseMany",
        };
        let said = match &result {
            Ok(Done::Cart { replayed: true, .. }) => "done again".to_owned(),
            Ok(_) => "done".to_owned(),
            Err(Refused::Reject(reject) | Refused::InEvent { reject, .. }) => format!("{reject:?}"),
            Err(refused) => format!("{refused:?}"),
        };
        let said = said.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        self.tell(|| format!("   cart {at}: {kind} gave {result:?}"));
        *self.answers_by_kind.entry(format!("{kind}: {said}")).or_default() += 1;
        let cart = &mut self.carts[at];
        let Ok(Done::Cart { parts, .. }) = result else {
            return claim("a cart is answered with its parts", result.is_err(), || format!("{result:?}"));
        };
        let events = cart.command.parts.len();
        // A cart may be released of which not all parts were made before a fall.
        let has_all = parts.len() == events || matches!(command, Command::ReleaseMany(_));
        claim("a cart is answered with all its parts", has_all, || {
            format!("{} of {events} of cart {at}", parts.len())
        })?;
        let expected = match command {
            Command::HoldMany(_) => {
                cart.is_made = true;
                HoldState::Paying
            }
            Command::ConfirmMany(confirm) => {
                let order = confirm.order.clone();
                cart.sold_to = Some(order);
                HoldState::Confirmed
            }
            _ => {
                cart.is_released = true;
                HoldState::Released
            }
        };
        claim("all parts of a cart are what was asked", parts.iter().all(|part| part.view.state == expected), || {
            format!("cart {at}: {parts:?}")
        })
    }

    // ---- At rest ----

    /// Nothing moves; then every cart has one fate.
    fn check_at_rest(&mut self) -> Result<(), Violation> {
        if !self.come_to_rest()? {
            return Ok(());
        }
        for cart in 0..self.carts.len() {
            let cart_id = self.carts[cart].command.cart_id;
            let keys: Vec<EventKey> = self.carts[cart].command.parts.iter().map(|(key, _)| *key).collect();
            self.looks.insert(cart, vec![None; keys.len()]);
            for (nth, key) in keys.into_iter().enumerate() {
                loop {
                    let waiting = self.running.as_ref().map_or(0, |running| running.asked.len());
                    self.submit(key, Command::GetHold(cart_id), Asked::Look(cart, nth));
                    let Some(running) = &self.running else { return Ok(()) };
                    if running.asked.len() > waiting {
                        break;
                    }
                    // The mailbox is full of looks.
                    if !self.come_to_rest()? {
                        return Ok(());
                    }
                }
            }
        }
        if !self.come_to_rest()? {
            return Ok(());
        }
        let now = self.running.as_ref().map_or(TimestampMs(0), |running| running.engine.clock().now());
        for (at, views) in std::mem::take(&mut self.looks) {
            self.judge_fate(at, &views, now)?;
        }
        Ok(())
    }

    fn judge_fate(&self, at: usize, views: &[Option<HoldView>], now: TimestampMs) -> Result<(), Violation> {
        let cart = &self.carts[at];
        let first_key = cart.command.parts[0].0;
        let state = |view: &Option<HoldView>| view.as_ref().map(|view| view.state);
        let states: Vec<Option<HoldState>> = views.iter().map(state).collect();
        let seen = || format!("cart {at} of {:?}: {states:?}", cart.command.parts.iter().map(|(key, _)| key.0));
        let sold = states.iter().filter(|state| **state == Some(HoldState::Confirmed)).count();
        claim("a cart is sold in all its events or in none", sold == 0 || sold == states.len(), seen)?;
        let is_open = states[0] == Some(HoldState::Paying);
        let is_stuck =
            |view: &HoldView| view.state == HoldState::Paying && view.cart == Some(Cart::Part { first: first_key });
        claim("no part waits for a decision that was made", is_open || !views.iter().flatten().any(is_stuck), seen)?;
        let deadline = views[0].as_ref().map_or(TimestampMs(0), |view| view.payment_deadline);
        claim("no cart lives past its deadline", !is_open || now < deadline, seen)?;
        if let Some(order) = &cart.sold_to {
            let is_sold = |view: &HoldView| view.orders.first() == Some(order);
            let all = sold == states.len() && views.iter().flatten().all(is_sold);
            claim("a cart that was sold is sold in all its events", all, seen)?;
        }
        if cart.is_released {
            let ended = |state: &Option<HoldState>| matches!(state, None | Some(HoldState::Released));
            claim("a cart that was released is held in no event", states.iter().all(ended), seen)?;
        }
        if cart.is_made {
            let class = |state: &Option<HoldState>| match state {
                Some(HoldState::Paying | HoldState::Active) => 0,
                Some(HoldState::Confirmed) => 1,
                Some(HoldState::Released | HoldState::Expired) => 2,
                None => 3,
            };
            let alike = states.iter().all(|state| class(state) == class(&states[0]) && class(state) < 3);
            claim("a cart that was made has one fate in all its events", alike, seen)?;
        }
        Ok(())
    }

    // ---- Falls and starts ----

    fn fall(&mut self) -> Result<(), Violation> {
        let seed = self.random.bits();
        let keep = match self.random.below(4) {
            0 => Keep::Nothing,
            1 => Keep::Everything,
            2 => Keep::SeededSectors(seed),
            _ => Keep::Seeded(seed),
        };
        self.running = None;
        self.looks.clear();
        self.counts.cycles += 1;
        self.disk = if self.disk.is_off() || self.random.percent(60) {
            self.disk.after_power_failure(keep)
        } else {
            self.disk.after_process_death()
        };
        self.now_ms += match self.random.below(6) {
            0 => 0,
            1..4 => self.random.below(3_000),
            4 => self.random.below(119_000),
            _ => self.random.below(400_000),
        };
        self.tell(|| format!("down, {keep:?}"));
        Ok(())
    }

    fn start(&mut self) -> Result<(), Violation> {
        let config = EngineConfig {
            shards: self.random.within(1..=self.options.shards_max.max(2)) as usize,
            segment_bytes: self.options.segment_bytes,
            checkpoint_log_bytes: self.options.checkpoint_log_bytes,
            checkpoint_segments: self.options.checkpoint_segments,
            mailbox_commands_max: self.options.mailbox_commands_max,
            batches_in_flight: self.options.batches_in_flight,
            instance: Some([7; 16]),
            deterministic: true,
            ..EngineConfig::default()
        };
        let found = verify(self.disk.folder())
            .map_err(|error| Violation { claim: "what an honest disk leaves verifies", seen: error.to_string() })?;
        let Some(models) = self.ends.get(&found.position) else {
            let seen = format!("position {}", found.position);
            return Err(Violation { claim: "what is left ends where a group ended", seen });
        };
        self.models = models.clone();
        let clock = ManualClock::new(TimestampMs(self.now_ms));
        let source = ClockSource::Manual(Arc::clone(&clock));
        let opened = open(Arc::new(self.disk.clone()), source, config, &mut |_| {});
        let Opened { engine, shards, committer, checkpointer, .. } = opened
            .map_err(|error| Violation { claim: "a start succeeds when nothing is broken", seen: error.to_string() })?;
        let shift_ms = if found.time.0 == 0 { 0 } else { self.now_ms.saturating_sub(found.time.0) };
        let shift_ms = shift_ms.min(OUTAGE_GRACE_MS_MAX);
        self.models.of.values_mut().for_each(|model| model.resume(shift_ms, ResumeCause::Outage));
        let assigned = engine.position();
        self.ends = BTreeMap::from([(assigned, self.models.clone())]);
        let shards_now = vec![(TimestampMs(self.now_ms), false); shards.len()];
        let inbox = Arc::default();
        self.running = Some(Running {
            engine,
            shards,
            committer,
            checkpointer,
            clock,
            inbox,
            asked: BTreeMap::new(),
            shards_now,
            assigned,
        });
        self.make_events()
    }

    fn make_events(&mut self) -> Result<(), Violation> {
        let plan = encode_plan(&house::plan(&self.options, 0));
        for number in 0..EVENTS {
            let Some(running) = &self.running else { return Ok(()) };
            let key = self.keys[number as usize];
            if running.engine.directory().find_key(key).is_some() {
                continue;
            }
            let Ok(plan) = running.engine.plans().put(plan.clone()) else { return self.fall() };
            let mut fixed = Random::of_part(self.seed, number);
            let policies = Policies {
                payment_grace_s: *fixed.pick(&[60, 90, 900]),
                retry_window_s: *fixed.pick(&[60, 300]),
                orphan_rule: OrphanRule::Off,
                ..Policies::default()
            };
            let settings = Settings { policies, ..Settings::default() };
            let Some(id) = EventId::parse(&name(number)) else { unreachable!("it is an id") };
            let create = CreateEvent { id, key, plan, settings };
            self.submit(key, Command::CreateEvent(Box::new(create)), Asked::Other);
            self.come_to_rest()?;
        }
        Ok(())
    }
}

fn is_of_cart(command: &Command) -> bool {
    matches!(command, Command::HoldMany(_) | Command::ConfirmMany(_) | Command::ReleaseMany(_) | Command::Cart(_))
}

type Judged = (EventKey, Command, Option<Result<Done, Refused>>);

#[cfg(usher_sim)]
fn judged(shard: &mut Shard) -> Vec<Judged> {
    shard.take_judged().into_iter().map(|judged| (judged.key, judged.command, judged.result)).collect()
}

/// Without the probes nobody tells.
#[cfg(not(usher_sim))]
fn judged(_: &mut Shard) -> Vec<Judged> {
    Vec::new()
}

fn name(number: u64) -> String {
    format!("match-{number}")
}
