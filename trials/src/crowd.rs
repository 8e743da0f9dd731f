//! Clients that sell the small house over and over, in some events at a time, and write down all of it.
//!
//! Each event is a *show*: up to seven clients at the same few places, as many operations as the search can judge, then
//! one reader who asks for everything once more, so that what became of unknown outcomes is told to somebody.
//!
//! Choices come from a seed. What the server answers, and so what is chosen next, depends on when it is killed: a seed
//! repeats the load, not the run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use client::{Client, Config, RetryPolicy};
use proto::admin::v1::{CreateEventRequest, CreatePlanRequest, EventPolicies, PlanFormat, create_event_request::Plan};
use proto::inventory::v1::OrphanRule;

use crate::dice::Dice;
use crate::hall::{self, FLOOR, RENEWALS_MAX, ROW_SEATS, SEATS};
use crate::history::{Call, History, Id, Operation, Outcome, Part, Told};
use crate::linear;
use crate::recorder::Recorder;
use crate::usherd::PATIENCE;

/// Operations of a show before the reader comes: he may need one for every hold.
const OPERATIONS: u64 = 190;
/// Clients of a show beside the reader.
const CLIENTS_MAX: u64 = linear::CLIENTS_MAX as u64 - 1;
const TTL_LONG_MS: u64 = 3_600_000;

/// How a crowd behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Where the server is.
    pub endpoint: String,
    /// The seed of all choices.
    pub seed: u64,
    /// Shows at a time.
    pub stages: u64,
    /// Beginning of the events' names: no two crowds of a folder may share it.
    pub name: String,
    /// Longest rest of a client between two operations.
    pub rest_ms: u64,
    /// Shows that one stage gives before it ends by itself.
    pub shows_max: u64,
    /// In some shows some holds live a second or two.
    pub short_holds: bool,
}

/// A crowd at work, on a thread of its own.
#[derive(Debug)]
pub struct Crowd {
    thread: JoinHandle<Result<Vec<History>>>,
    end: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    began: Instant,
}

impl Crowd {
    /// Sends it in.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(manners: Manners) -> Result<Self> {
        let began = Instant::now();
        let end = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicU64::new(0));
        let (until, count) = (Arc::clone(&end), Arc::clone(&asked));
        let thread = std::thread::Builder::new().name("crowd".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(perform(manners, began, until, count))
        })?;
        Ok(Self { thread, end, asked, began })
    }

    /// Operations ended so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The clock of its histories.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets every show come to its end, which needs a server, and gives their histories.
    ///
    /// # Errors
    /// When a show could not be brought to its end.
    pub fn end(self) -> Result<Vec<History>> {
        self.ask_to_end();
        self.thread.join().map_err(|_| anyhow!("the crowd panicked"))?
    }

    /// Lets every show come to its end, and waits for nothing.
    pub fn ask_to_end(&self) {
        self.end.store(true, Ordering::Relaxed);
    }

    /// Whether all stages have ended by themselves.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

async fn perform(
    manners: Manners,
    began: Instant,
    end: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
) -> Result<Vec<History>> {
    let manners = Arc::new(manners);
    let mut stages = Vec::new();
    for stage in 0..manners.stages {
        let (manners, end, asked) = (Arc::clone(&manners), Arc::clone(&end), Arc::clone(&asked));
        stages.push(tokio::spawn(async move {
            let mut histories = Vec::new();
            for number in 0..manners.shows_max {
                histories.push(show(&manners, stage * manners.shows_max + number, began, &end, &asked).await?);
                if end.load(Ordering::Relaxed) {
                    break;
                }
            }
            anyhow::Ok(histories)
        }));
    }
    let mut histories = Vec::new();
    for stage in stages {
        histories.extend(stage.await.context("a stage panicked")??);
    }
    Ok(histories)
}

/// A hold that somebody knows of.
#[derive(Clone, Debug)]
struct Known {
    hold: Id,
    owner: u32,
    seats: Vec<u32>,
    floor: u32,
    /// Nobody knows whether it was made.
    unsure: bool,
    ended: bool,
}

/// What the clients of a show share.
struct Board {
    left: u64,
    known: Vec<Known>,
    operations: Vec<Operation>,
}

type Shared = Arc<Mutex<Board>>;

fn locked(board: &Shared) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One event from its making to its last read.
async fn show(
    manners: &Arc<Manners>,
    number: u64,
    began: Instant,
    end: &Arc<AtomicBool>,
    asked: &Arc<AtomicU64>,
) -> Result<History> {
    let mut dice = Dice::part(manners.seed, number);
    let patient = Client::lazy(patient(&manners.endpoint))?;
    let event_id = format!("{}-{number}", manners.name);
    make_event(&patient, &event_id).await.with_context(|| format!("make event {event_id}"))?;
    let board: Shared = Arc::new(Mutex::new(Board { left: OPERATIONS, known: Vec::new(), operations: Vec::new() }));
    let clients = u32::try_from(dice.within(3, CLIENTS_MAX + 1)).unwrap_or(3);
    let has_short_holds = manners.short_holds && dice.chance(30);
    let mut tasks = Vec::new();
    for client in 0..clients {
        let buyer = Buyer {
            recorder: recorder(&manners.endpoint, client, &event_id, began, dice.chance(70))?,
            board: Arc::clone(&board),
            dice: Dice::part(manners.seed ^ 0x5eed, number * 64 + u64::from(client)),
            end: Arc::clone(end),
            asked: Arc::clone(asked),
            rest_ms: manners.rest_ms,
            has_short_holds,
        };
        tasks.push(tokio::spawn(buyer.buy()));
    }
    for task in tasks {
        task.await.context("a client panicked")?;
    }
    let reader = Recorder { client: patient, number: clients, event_id: event_id.clone(), began };
    read_all(&reader, &board, asked).await?;
    let operations = std::mem::take(&mut locked(&board).operations);
    Ok(History { event_id, operations })
}

fn recorder(endpoint: &str, number: u32, event_id: &str, began: Instant, is_patient: bool) -> Result<Recorder> {
    let config = if is_patient { patient(endpoint) } else { hasty(endpoint) };
    Ok(Recorder { client: Client::lazy(config)?, number, event_id: event_id.to_owned(), began })
}

/// Asks again until there is an answer.
pub(crate) fn patient(endpoint: &str) -> Config {
    let retry = RetryPolicy {
        attempts_max: 100_000,
        backoff_first: Duration::from_millis(5),
        backoff_max: Duration::from_millis(60),
        budget: 1_000_000,
        successes_per_retry: 1,
    };
    let mut config = Config::new(endpoint).timeouts(Duration::from_secs(2), PATIENCE).retry(retry);
    config.connect_timeout = Duration::from_secs(1);
    config
}

/// Gives up at once, and so leaves outcomes that nobody knows.
fn hasty(endpoint: &str) -> Config {
    let mut config = Config::new(endpoint).timeouts(Duration::from_millis(500), Duration::from_secs(1));
    config.retry = RetryPolicy { attempts_max: 2, ..RetryPolicy::default() };
    config.connect_timeout = Duration::from_millis(500);
    config
}

/// Stores the plan and makes the event, however often the server dies meanwhile.
pub(crate) async fn make_event(client: &Client, event_id: &str) -> Result<()> {
    let plan = CreatePlanRequest {
        document: serde_json::to_vec(&hall::plan())?.into(),
        format: PlanFormat::Usher as i32,
        ..CreatePlanRequest::default()
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let made = async {
            let stored = client.unary().create_plan(plan.clone()).await?;
            let event = CreateEventRequest {
                event_id: event_id.to_owned(),
                plan: Some(Plan::PlanDigest(stored.plan_digest)),
                policies: Some(EventPolicies {
                    renewals_max: Some(RENEWALS_MAX),
                    // The second judge of histories knows no rows.
                    orphan_rule: OrphanRule::Off as i32,
                    ..EventPolicies::default()
                }),
                ..CreateEventRequest::default()
            };
            client.unary().create_event(event).await
        };
        match made.await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until || error.refusal().is_some_and(|no| no.reason_number / 100 != 8) => {
                return Err(error.into());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One client.
struct Buyer {
    recorder: Recorder,
    board: Shared,
    dice: Dice,
    end: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    rest_ms: u64,
    has_short_holds: bool,
}

impl Buyer {
    async fn buy(mut self) {
        while !self.end.load(Ordering::Relaxed) {
            {
                let mut board = locked(&self.board);
                if board.left == 0 {
                    return;
                }
                board.left -= 1;
            }
            let call = self.choose();
            let operation = self.recorder.ask(call).await;
            self.asked.fetch_add(1, Ordering::Relaxed);
            note(&mut locked(&self.board), operation);
            let rest_ms = self.dice.within(0, self.rest_ms.max(1));
            tokio::time::sleep(Duration::from_millis(rest_ms)).await;
        }
    }

    fn choose(&mut self) -> Call {
        let me = self.recorder.number;
        let board = locked(&self.board);
        let mine: Vec<Known> = board.known.iter().filter(|one| one.owner == me).cloned().collect();
        let anyone: Vec<Known> = board.known.iter().filter(|one| !one.unsure).cloned().collect();
        let live: Vec<Known> = mine.iter().filter(|one| !one.ended && !one.unsure).cloned().collect();
        let unsure = mine.iter().rev().find(|one| one.unsure).cloned();
        let repeatable: Vec<Call> = board
            .operations
            .iter()
            .filter(|one| one.client == me && !one.call.is_read())
            .map(|one| one.call.clone())
            .collect();
        drop(board);
        let dice = &mut self.dice;
        if let Some(unsure) = unsure
            && dice.chance(60)
        {
            // What became of it? Asked by reading it, or by the same command again.
            let again = repeatable.iter().find(|call| matches!(call, Call::Hold { hold, .. } if *hold == unsure.hold));
            return match again {
                Some(call) if dice.chance(50) => call.clone(),
                _ => Call::GetHold { hold: unsure.hold },
            };
        }
        let roll = dice.within(0, 100);
        match roll {
            0..38 => self.choose_hold(&live),
            38..56 => {
                let of = if self.dice.chance(80) { self.dice.pick(&live) } else { self.dice.pick(&anyone) };
                match of.cloned() {
                    Some(known) => self.choose_confirm(&known),
                    None => self.choose_hold(&live),
                }
            }
            56..74 => {
                let of = if self.dice.chance(80) { self.dice.pick(&live) } else { self.dice.pick(&anyone) };
                match of.cloned() {
                    Some(known) => Call::Release { hold: known.hold, part: self.choose_part(&known, 25) },
                    None => self.choose_hold(&live),
                }
            }
            74..81 => match self.dice.pick(&live) {
                Some(known) => {
                    let ttl_ms = if self.dice.chance(80) { TTL_LONG_MS + 60_000 } else { 1_000 };
                    Call::Extend { hold: known.hold, request: self.request(), ttl_ms }
                }
                None => Call::SeatMap,
            },
            81..88 => match self.dice.pick(&repeatable) {
                Some(call) => call.clone(),
                None => Call::SeatMap,
            },
            88..95 => match self.dice.pick(&anyone) {
                Some(known) => Call::GetHold { hold: known.hold },
                None => Call::SeatMap,
            },
            _ => Call::SeatMap,
        }
    }

    fn choose_hold(&mut self, live: &[Known]) -> Call {
        let hold = Id::from_halves(self.recorder.client.ids().hold_id().halves());
        let dice = &mut self.dice;
        let is_short = self.has_short_holds && dice.chance(15);
        let ttl_ms = if is_short { dice.within(1_000, 2_500) } else { TTL_LONG_MS };
        let (mut seats, mut floor, mut floor_min, mut best) = (Vec::new(), 0, 0, 0);
        let small = |number: u64| u32::try_from(number).unwrap_or(0);
        match dice.within(0, 10) {
            0..4 => seats = hot_seats(dice),
            4..7 => best = small(dice.within(1, 5)),
            7..9 => {
                floor = small(dice.within(1, u64::from(FLOOR) / 2));
                floor_min = if dice.chance(40) { small(dice.within(1, u64::from(floor) + 1)) } else { 0 };
            }
            _ => {
                seats = hot_seats(dice);
                floor = small(dice.within(1, 3));
            }
        }
        // A chain of replacements inherits the deadline; one with a short head would end by surprise.
        let replace = if dice.chance(18) && !is_short && !self.has_short_holds { dice.pick(live) } else { None };
        Call::Hold { hold, seats, floor, floor_min, best, replace: replace.map(|known| known.hold), ttl_ms }
    }

    fn choose_confirm(&mut self, known: &Known) -> Call {
        // Two orders for a hold now and then: the second must be told that it is sold already.
        let order = format!("{:x}-{}", known.hold.0 & 0xffff_ffff, self.dice.within(0, 10) / 8);
        let part = self.choose_part(known, 20);
        let release_rest = part.is_some() && self.dice.chance(50);
        Call::Confirm { hold: known.hold, order, part, release_rest }
    }

    /// A part of an own hold, or the whole. Requests on a hold come from its owner, one after the other.
    fn choose_part(&mut self, known: &Known, percent: u64) -> Option<Part> {
        if known.owner != self.recorder.number || !self.dice.chance(percent) {
            return None;
        }
        let seats: Vec<u32> = known.seats.iter().copied().filter(|_| self.dice.chance(50)).collect();
        let floor = if seats.is_empty() { known.floor.min(1) } else { 0 };
        (!seats.is_empty() || floor > 0).then(|| Part { request: self.request(), seats, floor })
    }

    fn request(&self) -> Id {
        Id::from_halves(self.recorder.client.ids().request_id().halves())
    }
}

/// One to three seats side by side, most of them at the same few.
fn hot_seats(dice: &mut Dice) -> Vec<u32> {
    let length = u32::try_from(dice.within(1, 4)).unwrap_or(1);
    let end = if dice.chance(70) { ROW_SEATS } else { SEATS };
    let first = u32::try_from(dice.within(0, u64::from(end - length + 1))).unwrap_or(0);
    let mut seats: Vec<u32> = (first..first + length).collect();
    if dice.chance(30) {
        seats.reverse();
    }
    seats
}

/// Learns from an operation what to choose next.
fn note(board: &mut Board, operation: Operation) {
    let ends = matches!(operation.call, Call::Confirm { .. } | Call::Release { .. });
    let known = operation.call.hold().and_then(|hold| board.known.iter().position(|one| one.hold == hold));
    match (&operation.call, &operation.outcome, known) {
        (Call::Hold { hold, replace, .. }, outcome, known) => {
            let (seats, floor, unsure) = match outcome {
                Outcome::Answered { told: Told::Held { seats, floor, .. }, .. } => (seats.clone(), *floor, false),
                Outcome::Unknown { .. } => (Vec::new(), 0, true),
                Outcome::Answered { .. } | Outcome::NotDone { .. } => {
                    board.operations.push(operation);
                    return;
                }
            };
            let fresh = Known { hold: *hold, owner: operation.client, seats, floor, unsure, ended: false };
            match known {
                Some(at) if board.known[at].unsure => board.known[at] = fresh,
                Some(_) => {}
                None => board.known.push(fresh),
            }
            if let (Some(old), false) = (replace, unsure) {
                board.known.iter_mut().filter(|one| one.hold == *old).for_each(|one| one.ended = true);
            }
        }
        (_, Outcome::Answered { told: Told::Hold(told), .. }, Some(at)) => {
            let one = &mut board.known[at];
            one.unsure = false;
            one.seats.clone_from(&told.seats);
            one.floor = told.floor;
            one.ended = one.seats.is_empty() && one.floor == 0;
        }
        (_, Outcome::Answered { told: Told::Refused { reason, .. }, .. }, Some(at)) => {
            if reason == "HOLD_NOT_FOUND" {
                board.known.remove(at);
            } else {
                board.known[at].ended |= ends && reason.starts_with("HOLD_");
            }
        }
        (Call::Confirm { part: None, .. } | Call::Release { part: None, .. }, Outcome::Answered { .. }, Some(at)) => {
            board.known[at].ended = true;
        }
        (
            Call::Confirm { part: Some(part), .. } | Call::Release { part: Some(part), .. },
            Outcome::Answered { .. },
            Some(at),
        ) => {
            let one = &mut board.known[at];
            one.seats.retain(|seat| !part.seats.contains(seat));
            one.floor = one.floor.saturating_sub(part.floor);
        }
        _ => {}
    }
    board.operations.push(operation);
}

/// Everything once more: the map, and every hold that anybody ever asked for.
async fn read_all(reader: &Recorder, board: &Shared, asked: &AtomicU64) -> Result<()> {
    let mut holds: Vec<(bool, Id)> = Vec::new();
    {
        let board = locked(board);
        for operation in &board.operations {
            if let Call::Hold { hold, .. } = operation.call {
                let is_known = matches!(&operation.outcome, Outcome::Answered { .. });
                match holds.iter_mut().find(|(_, known)| *known == hold) {
                    Some((known, _)) => *known |= is_known,
                    None => holds.push((is_known, hold)),
                }
            }
        }
    }
    // Those that nobody knows of first: the history has room for so many.
    holds.sort_unstable();
    let room = linear::OPERATIONS_MAX.saturating_sub(locked(board).operations.len() + 1);
    let calls = holds.into_iter().take(room).map(|(_, hold)| Call::GetHold { hold }).chain([Call::SeatMap]);
    for call in calls {
        let operation = reader.ask(call).await;
        asked.fetch_add(1, Ordering::Relaxed);
        if !matches!(operation.outcome, Outcome::Answered { .. }) {
            return Err(anyhow!("the last read had no answer: {operation}"));
        }
        locked(board).operations.push(operation);
    }
    Ok(())
}
