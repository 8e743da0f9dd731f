//! Churn over unary calls: so many callers on each thread, each with one call at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use client::{Client, Error, HoldId};
use parking_lot::Mutex;
use proto::inventory::v1::{ConfirmHoldRequest, HoldRequest, ReleaseHoldRequest};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::book::Book;
use super::run::{Run, Started};
use super::stock::Stock;
use super::supply::Pair;
use crate::measure::{Kind, Measure};
use crate::pacing::{Pacer, Timer};
use crate::patience::Patience;

/// One thread's callers and what they share.
pub(crate) struct Calls {
    run: Arc<Run>,
    client: Client,
    started: Started,
    stock: tokio::sync::Mutex<Stock>,
    state: Mutex<State>,
    arrivals: Option<Arrivals>,
}

struct State {
    measure: Measure,
    book: Book,
    rng: SmallRng,
}

/// Intended times nobody has taken yet.
struct Arrivals {
    timer: Timer,
    due: Mutex<VecDeque<Instant>>,
    came: Notify,
}

impl Arrivals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { timer: Timer::new()?, due: Mutex::default(), came: Notify::new() })
    }
}

impl Calls {
    pub(crate) async fn new(run: Arc<Run>, client: Client, worker: usize) -> anyhow::Result<Arc<Self>> {
        let stock = Stock::new(Arc::clone(&run), client.clone(), worker).await?;
        let rng = SmallRng::seed_from_u64(run.options.seed.wrapping_add(worker as u64));
        Ok(Arc::new(Self {
            started: run.start(),
            arrivals: run.options.rate.map(|_| Arrivals::new()).transpose()?,
            run,
            client,
            stock: tokio::sync::Mutex::new(stock),
            state: Mutex::new(State { measure: Measure::new(), book: Book::default(), rng }),
        }))
    }

    /// Runs so many callers to the end.
    pub(crate) async fn run(self: Arc<Self>, callers: usize, is_first: bool) -> (Measure, Book) {
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            tasks.spawn(Arc::clone(&self).call());
        }
        if is_first && !self.run.options.warmup.is_zero() {
            tokio::time::sleep_until(self.started.measure_from.into()).await;
            self.run.warm();
        }
        if let (Some(arrivals), Some(rate)) = (&self.arrivals, self.run.options.rate) {
            let mut pacer = Pacer::new(Instant::now(), rate / self.run.workers as f64);
            while !self.is_over() {
                let intended = pacer.wait(&arrivals.timer).await;
                arrivals.due.lock().push_back(intended);
                arrivals.came.notify_one();
            }
            // Everybody who waits for an arrival finds the run over.
            for _ in 0..callers {
                arrivals.came.notify_one();
                arrivals.came.notify_waiters();
            }
        }
        while tasks.join_next().await.is_some() {}
        if let Some(arrivals) = &self.arrivals {
            self.run.count_unserved(arrivals.due.lock().len() as u64);
        }
        let state = self.state.lock();
        (state.measure.clone(), state.book.clone())
    }

    fn is_over(&self) -> bool {
        self.started.is_over(Instant::now()) || self.run.has_ended()
    }

    async fn call(self: Arc<Self>) {
        let mut held = Vec::new();
        while !self.is_over() {
            let Some(intended) = self.next_turn().await else { break };
            let pair = {
                let mut stock = self.stock.lock().await;
                match stock.take() {
                    Some(pair) => pair,
                    None if stock.wait().await => continue,
                    None => break,
                }
            };
            if !self.run.may_begin() {
                break;
            }
            let Some(id) = self.hold(pair, intended).await else { continue };
            if self.run.options.holds_first {
                held.push((pair, id));
            } else {
                self.end(pair, id).await;
            }
        }
        for (pair, id) in held {
            self.end(pair, id).await;
        }
    }

    /// When the next pair of calls was to begin: now, or when it was intended. Nothing when the run is over.
    async fn next_turn(&self) -> Option<Instant> {
        let Some(arrivals) = &self.arrivals else { return Some(Instant::now()) };
        loop {
            let came = arrivals.came.notified();
            if let Some(intended) = arrivals.due.lock().pop_front() {
                return Some(intended);
            }
            if self.is_over() {
                return None;
            }
            came.await;
        }
    }

    /// Holds the pair. Nothing when it is not known to be held.
    async fn hold(&self, pair: Pair, intended: Instant) -> Option<HoldId> {
        let patience = Patience(self.run.options.patience);
        let event = self.run.supply.event(pair.event)?;
        let id = self.client.ids().hold_id();
        let hold = HoldRequest {
            event_id: event.event_id.clone(),
            hold_id: id.to_string(),
            seats: vec![pair.first_seat, pair.first_seat + 1],
            ..HoldRequest::default()
        };
        let result = patience
            .ask(|| {
                let hold = hold.clone();
                async move { self.client.unary().hold(hold).await }
            })
            .await;
        self.measured(Kind::Hold, intended, &result);
        match result {
            Ok(answer) => {
                let seats = answer.hold.map(|hold| hold.seats).unwrap_or_default();
                if seats != [pair.first_seat, pair.first_seat + 1] {
                    let mut state = self.state.lock();
                    state.book.wrong += 1;
                    state.book.problem(|| format!("asked for {pair:?}, held {seats:?}"));
                }
                Some(id)
            }
            Err(error) => {
                self.unsure(Kind::Hold, pair, &error);
                None
            }
        }
    }

    /// Sells or gives back what is held.
    async fn end(&self, pair: Pair, id: HoldId) {
        let patience = Patience(self.run.options.patience);
        let Some(event) = self.run.supply.event(pair.event) else { return };
        let share = self.run.options.confirm_share;
        let confirm = self.state.lock().rng.random_range(0..100) < share;
        let started = Instant::now();
        let (kind, ended) = if confirm {
            let request = ConfirmHoldRequest {
                event_id: event.event_id.clone(),
                hold_id: id.to_string(),
                order_ref: order_ref(id),
                ..ConfirmHoldRequest::default()
            };
            let ask = || {
                let request = request.clone();
                async move { self.client.unary().confirm_hold(request).await.map(drop) }
            };
            (Kind::Confirm, patience.ask(ask).await)
        } else {
            let request = ReleaseHoldRequest {
                event_id: event.event_id.clone(),
                hold_id: id.to_string(),
                ..ReleaseHoldRequest::default()
            };
            let ask = || {
                let request = request.clone();
                async move { self.client.unary().release_hold(request).await.map(drop) }
            };
            (Kind::Release, patience.ask(ask).await)
        };
        self.measured(kind, started, &ended);
        match ended {
            Ok(()) if confirm => self.state.lock().book.sold(id, pair),
            Ok(()) => {
                self.state.lock().book.released(id, pair);
                self.stock.lock().await.put_back(pair);
            }
            Err(error) => self.unsure(kind, pair, &error),
        }
    }

    fn measured<T>(&self, kind: Kind, from: Instant, result: &Result<T, Error>) {
        let now = Instant::now();
        self.run.count_answers(1);
        if self.started.is_measured(from, now) {
            self.state.lock().measure.outcome(kind, now.saturating_duration_since(from), result);
        }
    }

    fn unsure(&self, kind: Kind, pair: Pair, error: &Error) {
        let mut state = self.state.lock();
        state.book.unsure.push(pair);
        if error.refusal().is_some() && !error.outcome_unknown() {
            match kind {
                Kind::Hold => state.book.wrong += 1,
                _ => state.book.lost += 2,
            }
        }
        state.book.problem(|| format!("{} of {pair:?}: {error}", kind.name()));
    }
}

pub(crate) fn order_ref(hold: HoldId) -> String {
    format!("L-{:016x}", hold.halves().1)
}
