use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use client::Client;
use parking_lot::Mutex;
use proto::admin::v1::EventPolicies;
use proto::inventory::v1::{GetSeatMapResponse, OrphanRule, PlaceCounts};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit;
use crate::board::{Board, Counts, HELD, SOLD, UNAVAILABLE};
use crate::buyer::Buyer;
use crate::house::{House, unpack_states};
use crate::ledger::{EventFact, Fact, Ledger};
use crate::made_venue;
use crate::measure::Measure;
use crate::options::{Options, OrphanRuleName, Scenario, Until};
use crate::pacing::{Pacer, Timer};
use crate::party::PartySizes;
use crate::patience::Patience;
use crate::picks;
use crate::progress::Progress;
use crate::report::{Outcome, Window};
use crate::{arrangement, connect, interrupt, money, own_event, presale, server_view, strands, topology};

/// How often the seat map is read: buyers look at a map that old.
const READING_INTERVAL: Duration = Duration::from_millis(500);
/// The same when only leftovers are left.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
/// Below this share of the capacity, or this many places, buyers take whatever is left.
const SWEEP_SHARE: u64 = 100;
const SWEEP_PLACES_MIN: u64 = 50;
/// Visits at a time of an open loop, beyond which arrivals are dropped and counted.
const VISITS_MAX: usize = 20_000;

/// One sale as all threads see it.
#[derive(Debug)]
pub(crate) struct Sale {
    pub(crate) options: Options,
    pub(crate) house: House,
    pub(crate) party: PartySizes,
    pub(crate) board: Board,
    ledger: Mutex<Ledger>,
    readings: watch::Sender<u64>,
    over: AtomicBool,
    sweeping: AtomicBool,
    /// Of general sale and of the presale nothing is left that anybody wants.
    sold_out: [AtomicBool; 2],
    dropped: AtomicU64,
    failure: Mutex<Option<String>>,
    wrong: Mutex<Vec<String>>,
}

impl Sale {
    fn new(options: Options, house: House, ledger: Ledger) -> Self {
        Self {
            party: options.party(),
            options,
            house,
            board: Board::new(),
            ledger: Mutex::new(ledger),
            readings: watch::Sender::new(0),
            over: AtomicBool::new(false),
            sweeping: AtomicBool::new(false),
            sold_out: [const { AtomicBool::new(false) }; 2],
            dropped: AtomicU64::new(0),
            failure: Mutex::new(None),
            wrong: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience(self.options.patience)
    }

    pub(crate) fn note(&self, fact: Fact) {
        self.ledger.lock().note(fact);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweeping.load(Ordering::Relaxed)
    }

    /// Nothing fits any more: from now on buyers take what is left.
    pub(crate) fn sweep(&self) {
        self.sweeping.store(true, Ordering::Relaxed);
    }

    /// Nothing is left that anybody wants, of what is set aside or of the rest.
    pub(crate) fn sold_out(&self, presale: bool) {
        self.sold_out[usize::from(presale)].store(true, Ordering::Relaxed);
        let all = self.options.presale.is_none() || (self.is_sold_out(false) && self.is_sold_out(true));
        if all && self.options.until == Until::SoldOut {
            self.end();
        }
    }

    /// Whether it is known to be.
    pub(crate) fn is_sold_out(&self, presale: bool) -> bool {
        self.sold_out[usize::from(presale)].load(Ordering::Relaxed)
    }

    /// The sale cannot go on.
    pub(crate) fn fail(&self, problem: String) {
        self.failure.lock().get_or_insert(problem);
        self.end();
    }

    /// An answer that is not what was asked for.
    pub(crate) fn wrong_answer(&self, problem: String) {
        self.wrong.lock().push(problem);
    }

    /// Waits until the seat map has been read again, or the sale is over.
    pub(crate) async fn next_reading(&self) {
        let mut readings = self.readings.subscribe();
        // Subscribed first: an end after this line wakes us, an end before it is seen here.
        if !self.is_over() {
            // The sender lives as long as the sale, so waiting cannot fail.
            let _ = readings.changed().await;
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.readings.send_modify(|count| *count += 1);
    }

    /// Reads the seat map every now and then until the sale is over.
    async fn watch(&self, client: &Client, started: Instant, progress: &Progress) {
        while !self.is_over() {
            let map = match self.patience().ask(|| House::seat_map(client, &self.house.event_id)).await {
                Ok(map) => map,
                Err(error) => return self.fail(format!("the seat map cannot be read: {error}")),
            };
            self.take_reading(&map);
            let counts = self.board.counts();
            progress.set(counts.sold, format!("sold, {} held, {} open", counts.held, counts.open));
            // The map does not tell what is open of the presale: its buyers do.
            let sold_out =
                self.options.until == Until::SoldOut && self.options.presale.is_none() && counts.is_sold_out();
            let late = self.options.time_limit().is_some_and(|limit| started.elapsed() >= limit);
            if sold_out || late {
                return self.end();
            }
            self.readings.send_modify(|count| *count += 1);
            let interval = if self.is_sweeping() { SWEEP_INTERVAL } else { READING_INTERVAL };
            let left = self.options.time_limit().map_or(interval, |limit| limit.saturating_sub(started.elapsed()));
            tokio::time::sleep(interval.min(left)).await;
        }
    }

    fn take_reading(&self, map: &GetSeatMapResponse) {
        let few = (u64::from(self.house.capacity) / SWEEP_SHARE).max(SWEEP_PLACES_MIN);
        if Counts::of(map).open <= few && self.options.until == Until::SoldOut {
            self.sweep();
        }
        let sweeping = self.is_sweeping();
        self.board.refresh(
            map,
            |codes, ga_open| {
                if sweeping { picks::leftovers(&self.house, codes, ga_open) } else { Vec::new() }
            },
        );
    }

    /// One thread's buyers until the sale is over.
    async fn sell(self: &Arc<Self>, index: usize, started: Instant, progress: &Progress) -> anyhow::Result<Measure> {
        let threads = self.options.threads();
        let client = connect::client(&self.options, connect::share(self.options.connections, threads, index))?;
        let measure = Arc::new(Mutex::new(Measure::new()));
        let mut tasks = JoinSet::new();
        let first = index * self.options.concurrency();
        if let Some(rate) = self.options.rate {
            let task = (Arc::clone(self), client.clone(), Arc::clone(&measure));
            tasks.spawn(async move {
                let (sale, client, measure) = task;
                sale.arrivals(&client, &measure, Pacer::new(started, rate / threads as f64), first as u64).await;
            });
        } else {
            for number in 0..connect::share(self.options.concurrency(), threads, index) {
                let task = (Arc::clone(self), client.clone(), Arc::clone(&measure));
                tasks.spawn(async move {
                    let (sale, client, measure) = task;
                    Buyer::new(&sale, &client, &measure, (first + number) as u64).run().await;
                });
            }
        }
        if index == 0 {
            let sale = Arc::clone(self);
            interrupt::end_early(move || sale.end());
            self.watch(&client, started, progress).await;
        }
        while tasks.join_next().await.is_some() {}
        let measure = measure.lock().clone();
        Ok(measure)
    }

    /// Customers who come at their own times, whether or not those before them have been served.
    async fn arrivals(self: &Arc<Self>, client: &Client, measure: &Arc<Mutex<Measure>>, mut pacer: Pacer, first: u64) {
        let timer = match Timer::new() {
            Ok(timer) => timer,
            Err(error) => return self.fail(format!("{error:#}")),
        };
        let mut visits = JoinSet::new();
        let mut number = first;
        while !self.is_over() {
            let intended = pacer.wait(&timer).await;
            while visits.try_join_next().is_some() {}
            if visits.len() >= VISITS_MAX {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            number += 1;
            let task = (Arc::clone(self), client.clone(), Arc::clone(measure));
            visits.spawn(async move {
                let (sale, client, measure) = task;
                Buyer::new(&sale, &client, &measure, number).visit(Some(intended)).await;
            });
        }
        while visits.join_next().await.is_some() {}
    }
}

/// Sells an event and audits the sale.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let runtime = topology::runtime()?;
    let (house, ledger, for_sale) = runtime.block_on(open(options))?;
    drop(runtime);
    let sale = Arc::new(Sale::new(options.clone(), house, ledger));
    let progress = Progress::new(Some(for_sale), "places");
    let window = Window::begin(options);
    let measures = topology::run(options.threads(), |index| sale.sell(index, window.started(), &progress))?;
    let window = window.end(None);
    progress.finish();
    let mut measure = Measure::new();
    for one in measures {
        measure.merge(&one?);
    }
    sale.ledger.lock().close().context("cannot write the ledger file")?;
    let failure = sale.failure.lock().take();
    let mut outcome = topology::runtime()?.block_on(judge(options, &sale.ledger.lock()))?;
    for problem in sale.wrong.lock().drain(..) {
        outcome.findings.wrong += 1;
        outcome.findings.problem(|| problem);
    }
    outcome.measure = Some((measure, window));
    outcome.failure = failure;
    outcome.extra.push(("dropped", sale.dropped.load(Ordering::Relaxed).into()));
    Ok(outcome)
}

/// Finds or makes the event and takes down how it was before the run.
async fn open(options: &Options) -> anyhow::Result<(House, Ledger, u64)> {
    let patience = Patience(options.patience);
    let client = connect::client(options, 1)?;
    let event_id = match &options.event {
        Some(event_id) => event_id.clone(),
        None => {
            // The server chooses no accessible seat for who does not ask for one: best would never be sold out.
            let accessible = options.scenario != Scenario::Best;
            let plan = made_venue::sale_plan(options.sale_places(), accessible);
            let digest = own_event::create_plan(&client, &plan, patience).await?;
            let event_id =
                own_event::create_event(&client, options.scenario_name(), &digest, policies(options), patience).await?;
            if let Some(percent) = options.presale {
                presale::set_aside(&client, &event_id, &plan, percent, patience).await?;
            }
            event_id
        }
    };
    let house = patience
        .ask(|| House::read(&client, &event_id))
        .await
        .with_context(|| format!("cannot read event {event_id}"))?;
    let map = patience.ask(|| House::seat_map(&client, &event_id)).await.context("cannot read the seat map")?;
    let counts = Counts::of(&map);
    if counts.is_sold_out() && options.until == Until::SoldOut {
        bail!("event {event_id} is sold out already");
    }
    let ledger = begin_ledger(options, &house, &map)?;
    let aside = if options.presale.is_some() { counts.unavailable } else { 0 };
    Ok((house, ledger, counts.open + counts.held + counts.sold + aside))
}

/// The rules of an event of our own.
fn policies(options: &Options) -> EventPolicies {
    if options.scenario == Scenario::Payments {
        return own_event::with_short_payments();
    }
    let orphan_rule = options.orphan_rule.map_or(OrphanRule::Unspecified, |rule| match rule {
        OrphanRuleName::Off => OrphanRule::Off,
        OrphanRuleName::Lenient => OrphanRule::Lenient,
        OrphanRuleName::Strict => OrphanRule::Strict,
    });
    EventPolicies { orphan_rule: orphan_rule as i32, ..EventPolicies::default() }
}

/// Takes down an event as it is before a run.
pub(crate) async fn open_ledger(options: &Options, client: &Client, event_id: &str) -> anyhow::Result<Ledger> {
    let patience = Patience(options.patience);
    let cannot_read = || format!("cannot read event {event_id}");
    let house = patience.ask(|| House::read(client, event_id)).await.with_context(cannot_read)?;
    let map = patience.ask(|| House::seat_map(client, event_id)).await.with_context(cannot_read)?;
    begin_ledger(options, &house, &map)
}

fn begin_ledger(options: &Options, house: &House, map: &GetSeatMapResponse) -> anyhow::Result<Ledger> {
    let mut event = event_fact(house, map);
    if options.presale.is_some() {
        // In an event that was just made nothing else is closed.
        event.presale_seats.clone_from(&event.closed_seats);
    }
    let ledger = Ledger::new(event);
    match &options.ledger {
        Some(path) => ledger.with_file(path),
        None => Ok(ledger),
    }
}

fn event_fact(house: &House, map: &GetSeatMapResponse) -> EventFact {
    let seats = map.seat_map.as_ref();
    let codes = seats.map_or_else(Vec::new, |map| unpack_states(&map.states, map.seat_count));
    let seats_of = |wanted: u8| {
        (0u32..).zip(&codes).filter(|(_, code)| **code == wanted).map(|(seat, _)| seat).collect::<Vec<u32>>()
    };
    let areas = |count: fn(PlaceCounts) -> u32| {
        seats.map_or_else(Vec::new, |map| map.ga.iter().map(|area| area.counts.map_or(0, count)).collect())
    };
    EventFact {
        event_id: house.event_id.clone(),
        seat_count: house.seat_count,
        capacity: house.capacity,
        incarnation: map.incarnation,
        sold_seats: seats_of(SOLD),
        sold_ga: areas(|counts| counts.sold),
        held_seats: seats_of(HELD),
        held_ga: areas(|counts| counts.held),
        closed_seats: seats_of(UNAVAILABLE),
        presale_seats: Vec::new(),
        orphan_rule: match house.orphan_rule {
            OrphanRule::Unspecified => "",
            OrphanRule::Off => "off",
            OrphanRule::Lenient => "lenient",
            OrphanRule::Strict => "strict",
        }
        .to_owned(),
    }
}

/// Compares a ledger with the server as it is now.
pub(crate) async fn judge(options: &Options, ledger: &Ledger) -> anyhow::Result<Outcome> {
    interrupt::leave_at_once();
    let client = connect::client(options, options.connections)?;
    let event_id = &ledger.event.event_id;
    let progress = Progress::new(Some(ledger.entries.len() as u64), "holds audited");
    let holds = ledger.entries.keys().cloned();
    let read = server_view::read(&client, event_id, holds, Patience(options.patience), &progress).await;
    progress.finish();
    let view = read.with_context(|| {
        let later = options.ledger.as_ref().map_or_else(String::new, |path| {
            format!("; audit it later: loadgen --audit-only --ledger {}", path.display())
        });
        format!("the audit cannot read event {event_id}{later}")
    })?;
    let house = Patience(options.patience).ask(|| House::read(&client, event_id)).await;
    let house = house.with_context(|| format!("the audit cannot read the plan of event {event_id}"))?;
    let totals = view.availability.totals.unwrap_or_default();
    let mut findings = audit::judge(ledger, &view, options.others);
    let mut extra = Vec::new();
    let arrangements = arrangement::judge(ledger, &house, &mut findings);
    if arrangements.values().any(|&count| count > 0) {
        extra.push(("arrangements", json!(arrangements)));
    }
    if !ledger.event.presale_seats.is_empty() {
        let presale::Tally { with_key, without } = presale::judge(ledger, &mut findings);
        extra.push(("presale", json!({"with_key": with_key, "without": without})));
    }
    // With others in the house nobody knows which seats were open.
    if !options.others
        && let Some(tally) = strands::judge(ledger, &house, &mut findings)
        && tally != strands::Tally::default()
    {
        let strands::Tally { granted, refused, unsure } = tally;
        extra.push(("picks", json!({"granted": granted, "would_strand": refused, "unsure": unsure})));
    }
    if let Some(payments) = money::judge(ledger, &mut findings).to_json() {
        extra.push(("payments", payments));
    }
    Ok(Outcome {
        event: event_id.clone(),
        findings,
        extra,
        sold: totals.sold.into(),
        held: totals.held.into(),
        open: totals.open.into(),
        capacity: totals.capacity.into(),
        ..Outcome::default()
    })
}

/// Audits the ledger file of an earlier run.
pub(crate) fn audit_only(options: &Options) -> anyhow::Result<Outcome> {
    let path = options.ledger.as_ref().context("--audit-only needs --ledger")?;
    let ledger = Ledger::read(path)?;
    topology::runtime()?.block_on(judge(options, &ledger))
}
