//! Carts over two to four of several events: some are sold, some given back, some forgotten, and some callers lose
//! their connection on the way and ask again.
//!
//! Not here: the audit (`cart_audit.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use client::{CartRequest, Client, Error, HeldCart, HoldRequest, Reason, Refusal};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

use crate::buyer::refusal_is_unknown;
use crate::cart_audit::{self, Cart, End, Part};
use crate::house::House;
use crate::measure::{Kind, Measure};
use crate::options::Options;
use crate::party::PartySizes;
use crate::patience::Patience;
use crate::progress::Progress;
use crate::report::{Outcome, Window};
use crate::{connect, interrupt, made_venue, own_event, server_view, topology};

/// Events in a cart.
const EVENTS_MIN: usize = 2;
const EVENTS_MAX: usize = 4;
/// One in ten parts is standing room.
const STANDING_PERCENT: u32 = 10;
/// Percent of calls whose connection is cut on the way; they are sent again over another.
const CUT_PERCENT: u32 = 10;
/// When it is cut: some before the call is taken, some while it is at work, some after it is done.
const CUT_AFTER_US_MAX: u64 = 4_000;
/// Percent of confirms and releases sent again after their answer: it must be the same one.
const REPEAT_PERCENT: u32 = 20;
/// Who found nothing looks again after this.
const PAUSE: Duration = Duration::from_millis(20);
/// Time for the last carts to end after their deadline.
const SETTLE_MAX: Duration = Duration::from_secs(20);
const SETTLE_LOOK: Duration = Duration::from_millis(200);

/// What all buyers of a run share.
struct Fair {
    options: Options,
    houses: Vec<House>,
    party: PartySizes,
    is_over: AtomicBool,
}

/// What the buyers of one thread report.
#[derive(Default)]
struct Found {
    measure: Option<Measure>,
    carts: Vec<Cart>,
    wrong: Vec<String>,
    failure: Option<String>,
}

/// The whole scenario.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let houses = topology::runtime()?.block_on(open(options))?;
    let fair =
        Arc::new(Fair { options: options.clone(), houses, party: options.party(), is_over: AtomicBool::new(false) });
    let window = Window::begin(options);
    let found = topology::run(options.threads(), |index| buyers(Arc::clone(&fair), index))?;
    let window = window.end(None);

    let mut measure = Measure::new();
    let (mut carts, mut wrong, mut failure) = (Vec::new(), Vec::new(), None);
    for one in found {
        let one = one?;
        measure.merge(&one.measure.unwrap_or_else(Measure::new));
        carts.extend(one.carts);
        wrong.extend(one.wrong);
        failure = failure.or(one.failure);
    }
    let mut outcome = topology::runtime()?.block_on(judge(options, &fair.houses, &carts))?;
    for problem in wrong {
        outcome.findings.wrong += 1;
        outcome.findings.problem(|| problem);
    }
    outcome.measure = Some((measure, window));
    outcome.failure = failure;
    Ok(outcome)
}

/// Makes the events.
async fn open(options: &Options) -> anyhow::Result<Vec<House>> {
    let patience = Patience(options.patience);
    let client = connect::client(options, 1)?;
    let events = options.events();
    // Nobody asks for an accessible seat here.
    let plan = made_venue::sale_plan((options.sale_places() / events).max(1), false);
    let digest = own_event::create_plan(&client, &plan, patience).await?;
    let mut houses = Vec::new();
    for _ in 0..events {
        let policies = own_event::without_orphan_rule();
        let event_id = own_event::create_event(&client, "carts", &digest, policies, patience).await?;
        let house = patience.ask(|| House::read(&client, &event_id)).await;
        houses.push(house.with_context(|| format!("cannot read event {event_id}"))?);
    }
    Ok(houses)
}

/// One thread's buyers.
async fn buyers(fair: Arc<Fair>, index: usize) -> anyhow::Result<Found> {
    let threads = fair.options.threads();
    let client = connect::client(&fair.options, connect::share(fair.options.connections, threads, index))?;
    if index == 0 {
        let (over, limit) = (Arc::clone(&fair), fair.options.time_limit());
        interrupt::end_early(move || over.is_over.store(true, Ordering::Relaxed));
        if let Some(limit) = limit {
            let over = Arc::clone(&fair);
            tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                over.is_over.store(true, Ordering::Relaxed);
            });
        }
    }
    let found = Arc::new(Mutex::new(Found { measure: Some(Measure::new()), ..Found::default() }));
    let mut tasks = JoinSet::new();
    for number in 0..connect::share(fair.options.concurrency(), threads, index) {
        let number = (number * threads + index) as u64;
        let seed = fair.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
        let buyer = Buyer {
            fair: Arc::clone(&fair),
            client: client.clone(),
            found: Arc::clone(&found),
            rng: SmallRng::seed_from_u64(seed),
            number,
            visits: 0,
        };
        tasks.spawn(buyer.run());
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a buyer failed")?;
    }
    Arc::into_inner(found).context("a buyer is still there").map(Mutex::into_inner)
}

/// One customer after the other.
struct Buyer {
    fair: Arc<Fair>,
    client: Client,
    found: Arc<Mutex<Found>>,
    rng: SmallRng,
    number: u64,
    visits: u64,
}

impl Buyer {
    async fn run(mut self) {
        while !self.fair.is_over.load(Ordering::Relaxed) {
            self.visit().await;
        }
    }

    async fn visit(&mut self) {
        self.visits += 1;
        let id = self.client.ids().hold_id();
        let (wanted, request) = self.wish();
        let request = request.id(id);
        let mut cart = Cart {
            id,
            order: format!("L-{}", id.hold_ref()),
            events: wanted.iter().map(|(event, _)| event.clone()).collect(),
            held: Vec::new(),
            expires_at_ms: 0,
            end: End::Unknown,
        };
        let hold = |client: Client, request: CartRequest| async move { client.hold_many(request).await };
        match self.call(Kind::HoldMany, request, hold).await {
            Ok(held) => {
                cart.held = held.parts.iter().map(Part::of).collect();
                cart.expires_at_ms = held.expires_at_ms;
                if !is_granted(&wanted, &held) {
                    let (name, parts) = (id.hold_ref(), &held.parts);
                    self.found.lock().wrong.push(format!("cart {name}: asked for {wanted:?}, got {parts:?}"));
                }
                cart.end = self.decide(&held, &cart).await;
            }
            Err(Error::Refused(refusal)) if !refusal_is_unknown(&refusal) => {
                cart.end = self.refused(&refusal, &cart).await;
            }
            Err(error) => {
                if !error.outcome_unknown() {
                    self.fail(format!("a cart cannot be sent: {error}"));
                }
            }
        }
        self.found.lock().carts.push(cart);
    }

    /// Events with the places wanted in each; seats that were named, else how many.
    fn wish(&mut self) -> (Vec<(String, Wanted)>, CartRequest) {
        let most = EVENTS_MAX.min(self.fair.houses.len());
        let count = self.rng.random_range(EVENTS_MIN.min(most)..=most);
        let mut order: Vec<usize> = (0..self.fair.houses.len()).collect();
        order.shuffle(&mut self.rng);
        let fair = Arc::clone(&self.fair);
        let (least, longest) = fair.options.hold_ttl().into_inner();
        let ttl = if least < longest { self.rng.random_range(least..=longest) } else { least };
        let mut request = CartRequest::new().ttl(ttl);
        let mut wanted = Vec::new();
        for &at in order.iter().take(count) {
            let house = &fair.houses[at];
            let part = HoldRequest::new(&house.event_id)
                .customer(format!("c{}-{}", self.number, self.visits))
                .plan_revision(house.plan_revision);
            let party = fair.party.draw(&mut self.rng).min(house.places_per_hold_max);
            let (part, want) = if house.area_count > 0 && self.chance(STANDING_PERCENT) {
                (part.ga(0, party), Wanted::Count(party))
            } else if self.chance(fair.options.best()) || house.seat_count < party {
                (part.best_available(party), Wanted::Count(party))
            } else {
                let first = self.rng.random_range(0..=house.seat_count - party);
                let seats: Vec<u32> = (first..first + party).collect();
                (part.seats(seats.iter().copied()), Wanted::Seats(seats))
            };
            request = request.part(part);
            wanted.push((house.event_id.clone(), want));
        }
        (wanted, request)
    }

    /// A cart is held: what becomes of it?
    async fn decide(&mut self, held: &HeldCart, cart: &Cart) -> End {
        let options = self.fair.options.clone();
        let point = self.rng.random_range(0..100);
        if point < options.abandon() {
            return End::Left;
        }
        let (least, most) = options.confirm_delay.clone().into_inner();
        let delay = if least < most { self.rng.random_range(least..=most) } else { least };
        tokio::time::sleep(delay).await;
        let repeats = if self.chance(REPEAT_PERCENT) { 2 } else { 1 };
        if point < options.abandon() + options.release() {
            let release = |client: Client, request| async move { client.release_many(request).await };
            let mut end = End::Unknown;
            for _ in 0..repeats {
                end = match self.call(Kind::ReleaseMany, held.release(), release).await {
                    Ok(_) => End::Released,
                    Err(error) => self.ended(&error, cart),
                };
            }
            return end;
        }
        let confirm = |client: Client, request| async move { client.confirm_many(request).await };
        let mut end = End::Unknown;
        for nth in 0..repeats {
            let next = match self.call(Kind::ConfirmMany, held.confirm(&cart.order), confirm).await {
                Ok(sold) => End::Sold(sold.parts.iter().map(Part::of).collect()),
                Err(error) => self.ended(&error, cart),
            };
            if nth > 0 && next != end && next != End::Unknown && end != End::Unknown {
                let name = cart.id.hold_ref();
                self.found.lock().wrong.push(format!("cart {name}: confirmed twice, answered {end:?} and {next:?}"));
            }
            if end == End::Unknown || next != End::Unknown {
                end = next;
            }
        }
        end
    }

    /// Sends a command until it is answered, in one of ten cases after a first try whose connection is cut.
    async fn call<R: Clone, T, F>(&mut self, kind: Kind, request: R, send: impl Fn(Client, R) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        if self.chance(CUT_PERCENT) {
            let after = Duration::from_micros(self.rng.random_range(0..CUT_AFTER_US_MAX));
            // Its only connection goes with it.
            if let Ok(cut) = connect::client(&self.fair.options, 1) {
                let first = send(cut, request.clone());
                let _ = tokio::time::timeout(after, first).await;
            }
        }
        let patience = Patience(self.fair.options.patience);
        let result = patience.ask(|| send(self.client.clone(), request.clone())).await;
        if let Some(measure) = &mut self.found.lock().measure {
            measure.outcome(kind, started.elapsed(), &result);
        }
        result
    }

    /// A confirm or release did not succeed.
    fn ended(&self, error: &Error, cart: &Cart) -> End {
        match error.refusal() {
            Some(refusal) if !refusal_is_unknown(refusal) => {
                if !matches!(refusal.reason, Reason::HoldExpired | Reason::HoldReleased) {
                    let name = cart.id.hold_ref();
                    self.found.lock().wrong.push(format!("cart {name}: {refusal}"));
                }
                End::Ended
            }
            _ => End::Unknown,
        }
    }

    async fn refused(&self, refusal: &Refusal, cart: &Cart) -> End {
        match refusal.reason {
            // It was made by a call without an answer, and its time was over before the next. Or an event was too late
            // for its part: the first one remembers it then.
            Reason::HoldExpired => End::Ended,
            Reason::PlacesUnavailable | Reason::NotEnoughPlaces | Reason::SoldOut | Reason::HoldIdTooOld => {
                if !refusal.event_id().is_some_and(|event| cart.events.iter().any(|one| one == event)) {
                    let name = cart.id.hold_ref();
                    self.found
                        .lock()
                        .wrong
                        .push(format!("cart {name}: the refusal names none of its events: {refusal}"));
                }
                tokio::time::sleep(PAUSE).await;
                End::Refused
            }
            _ if refusal.reason_number / 100 == 8 => End::Refused,
            _ => {
                self.fail(format!("a cart was refused for good: {refusal}"));
                End::Refused
            }
        }
    }

    fn fail(&self, problem: String) {
        self.found.lock().failure.get_or_insert(problem);
        self.fair.is_over.store(true, Ordering::Relaxed);
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}

/// What is wanted of one event.
#[derive(Clone, Debug)]
enum Wanted {
    /// These seats.
    Seats(Vec<u32>),
    /// So many places.
    Count(u32),
}

/// Every part in its order, with what was asked of it.
fn is_granted(wanted: &[(String, Wanted)], held: &HeldCart) -> bool {
    let one = |((event, want), part): (&(String, Wanted), &client::CartPart)| {
        let places = part.seats.len() as u64 + part.ga.iter().map(|item| u64::from(item.quantity)).sum::<u64>();
        *event == part.event_id
            && match want {
                Wanted::Seats(seats) => part.seats == *seats && part.ga.is_empty(),
                Wanted::Count(count) => places == u64::from(*count),
            }
    };
    wanted.len() == held.parts.len() && wanted.iter().zip(&held.parts).all(one)
}

/// Waits for the last carts to end, and compares all of them with the server.
async fn judge(options: &Options, houses: &[House], carts: &[Cart]) -> anyhow::Result<Outcome> {
    interrupt::leave_at_once();
    let client = connect::client(options, options.connections)?;
    let patience = Patience(options.patience);
    settle(&client, houses, patience).await?;
    let progress = Progress::new(Some(carts.iter().map(|cart| cart.events.len() as u64).sum()), "parts audited");
    let mut views = Vec::new();
    for house in houses {
        let event_id = &house.event_id;
        let parts = carts.iter().filter(|cart| cart.events.contains(event_id)).map(|cart| cart.id.to_string());
        let view = server_view::read(&client, event_id, parts, patience, &progress).await;
        views.push((event_id.clone(), view.with_context(|| format!("the audit cannot read event {event_id}"))?));
    }
    progress.finish();
    let views = views.into_iter().collect();
    let (findings, tally) = cart_audit::judge(carts, &views);
    let count = |of: fn(&proto::inventory::v1::PlaceCounts) -> u32| -> u64 {
        views.values().filter_map(|view| view.availability.totals.as_ref()).map(|counts| u64::from(of(counts))).sum()
    };
    Ok(Outcome {
        event: format!("{} events", houses.len()),
        findings,
        extra: vec![(
            "carts",
            json!({
                "sold": tally.sold, "released": tally.released, "left": tally.left, "ended": tally.ended,
                "refused": tally.refused, "unknown": tally.unknown,
            }),
        )],
        sold: count(|counts| counts.sold),
        held: count(|counts| counts.held),
        open: count(|counts| counts.open),
        capacity: count(|counts| counts.capacity),
        ..Outcome::default()
    })
}

/// Until nothing is held, or the time for that is over: then the audit says what is.
async fn settle(client: &Client, houses: &[House], patience: Patience) -> anyhow::Result<()> {
    let started = Instant::now();
    for house in houses {
        loop {
            let (_, counts) = server_view::read_counts(client, &house.event_id, patience).await?;
            if counts.totals.is_none_or(|totals| totals.held == 0) || started.elapsed() > SETTLE_MAX {
                break;
            }
            tokio::time::sleep(SETTLE_LOOK).await;
        }
    }
    Ok(())
}
