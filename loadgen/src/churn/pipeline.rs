//! Churn over raw Sessions: one worker for each connection, many commands in flight, no task for any of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Executed, HoldId, RawReceiver, RawSender, Reason};
use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::{SessionConfirm, SessionHold, SessionRelease, SessionRequest, SessionResponse};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::book::Book;
use super::run::{Run, Started};
use super::stock::Stock;
use super::supply::{ChurnEvent, Pair};
use crate::measure::{Kind, Measure};
use crate::pacing::{Pacer, Timer};
use crate::patience::Patience;

/// A command that met a busy server is sent again after this.
const LATER: Duration = Duration::from_millis(10);

/// One connection's worker.
pub(crate) struct Pipeline {
    run: Arc<Run>,
    client: Client,
    connection: usize,
    stock: Stock,
    slots: Vec<Slot>,
    free: Vec<usize>,
    later: Vec<usize>,
    messages: Messages,
    events: Vec<ChurnEvent>,
    started: Started,
    warm: bool,
    pacer: Option<Pacer>,
    timer: Arc<Timer>,
    ended: bool,
    rng: SmallRng,
    measure: Measure,
    book: Book,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hold: HoldId,
    pair: Pair,
    stage: Stage,
    sent: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Free,
    Hold,
    Confirm,
    Release,
}

/// One message of each kind, filled in and encoded again and again.
struct Messages {
    hold: SessionRequest,
    confirm: SessionRequest,
    release: SessionRequest,
}

impl Pipeline {
    pub(crate) async fn new(
        run: Arc<Run>,
        client: Client,
        connection: usize,
        worker: usize,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        let stock = Stock::new(Arc::clone(&run), client.clone(), worker).await?;
        let timeout_ms = u32::try_from(run.options.timeout.as_millis()).unwrap_or(u32::MAX);
        let message = |command| SessionRequest { correlation_id: 0, timeout_ms, command: Some(command) };
        let now = Instant::now();
        let idle = Slot {
            hold: HoldId::from_halves(0, 0),
            pair: Pair { event: 0, first_seat: 0 },
            stage: Stage::Free,
            sent: now,
        };
        let started = run.start();
        let rate = run.options.rate.map(|rate| rate / run.workers as f64);
        Ok(Self {
            rng: SmallRng::seed_from_u64(run.options.seed.wrapping_add(worker as u64)),
            pacer: rate.map(|rate| Pacer::new(now.max(started.measure_from - run.options.warmup), rate)),
            run,
            client,
            connection,
            timer: Arc::new(Timer::new()?),
            stock,
            slots: vec![idle; in_flight],
            free: (0..in_flight).rev().collect(),
            later: Vec::new(),
            messages: Messages {
                hold: message(Command::Hold(SessionHold::default())),
                confirm: message(Command::Confirm(SessionConfirm::default())),
                release: message(Command::Release(SessionRelease::default())),
            },
            events: Vec::new(),
            started,
            warm: worker != 0,
            ended: false,
            measure: Measure::new(),
            book: Book::default(),
        })
    }

    /// Runs to the end: every hold that was made is confirmed or released before.
    pub(crate) async fn run(mut self) -> (Measure, Book) {
        let patience = Patience(self.run.options.patience);
        while let Ok(session) = patience.ask(|| self.client.raw_session(self.connection)).await {
            // The server's slots bound what is in flight; one that names no bound takes what we have.
            let allowed = match session.opened().max_in_flight {
                0 => usize::MAX,
                allowed => allowed as usize,
            };
            let (mut sender, mut receiver) = session.split();
            if self.exchange(&mut sender, &mut receiver, allowed).await {
                sender.finish();
                self.count_unserved();
                return (self.measure, self.book);
            }
            self.measure.failed("transport");
        }
        // Out of patience: of what is in flight nothing is known.
        self.run.fail("the server stayed away".to_owned());
        let in_flight = self.slots.iter().filter(|slot| slot.stage != Stage::Free);
        self.book.unsure.extend(in_flight.map(|slot| slot.pair));
        (self.measure, self.book)
    }

    /// One Session's life. True: all is done; false: it broke.
    async fn exchange(&mut self, sender: &mut RawSender, receiver: &mut RawReceiver, allowed: usize) -> bool {
        // What was in flight when the last Session broke goes out again, with the same ids.
        self.later.clear();
        for index in 0..self.slots.len() {
            if self.slots[index].stage != Stage::Free {
                self.send(index, sender);
            }
        }
        let in_flight_max = self.slots.len().min(allowed);
        let timer = Arc::clone(&self.timer);
        loop {
            let now = Instant::now();
            self.begin_holds(now, in_flight_max, sender);
            sender.flush();
            if self.in_flight() == 0 {
                if self.ended {
                    return true;
                }
                match self.pacer.as_ref().map(Pacer::next_due).filter(|due| *due > now) {
                    Some(due) => {
                        let due = due.min(self.started.stop_at.unwrap_or(due));
                        timer.sleep(due.saturating_duration_since(now)).await;
                    }
                    None if !self.stock.wait().await => self.ended = true,
                    None => {}
                }
                continue;
            }
            let due = self.pacer.as_ref().map(Pacer::next_due).filter(|_| !self.ended && !self.free.is_empty());
            let received = tokio::select! {
                biased;
                received = receive(receiver, self, sender) => Some(received),
                () = tokio::time::sleep(LATER), if !self.later.is_empty() => None,
                () = timer.sleep(due.unwrap_or(now).saturating_duration_since(now)), if due.is_some() => None,
            };
            match received {
                None => {
                    for index in std::mem::take(&mut self.later) {
                        self.send(index, sender);
                    }
                }
                Some(true) => {}
                Some(false) => return false,
            }
        }
    }

    fn count_unserved(&mut self) {
        if let (Some(pacer), Some(stop)) = (&mut self.pacer, self.started.stop_at) {
            let unserved = std::iter::from_fn(|| pacer.take_due(stop)).count();
            self.run.count_unserved(unserved as u64);
        }
    }

    fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn begin_holds(&mut self, now: Instant, in_flight_max: usize, sender: &mut RawSender) {
        self.ended |= self.started.is_over(now) || self.run.has_ended();
        if !self.warm && now >= self.started.measure_from {
            self.warm = true;
            self.run.warm();
        }
        while !self.ended && self.in_flight() < in_flight_max {
            let intended = match &mut self.pacer {
                None => now,
                Some(pacer) => match pacer.take_due(now) {
                    Some(due) => due,
                    None => return,
                },
            };
            let Some(pair) = self.stock.take() else { return };
            if !self.run.may_begin() {
                self.stock.put_back(pair);
                self.ended = true;
                return;
            }
            let Some(index) = self.free.pop() else { return };
            let hold = self.client.ids().hold_id();
            self.slots[index] = Slot { hold, pair, stage: Stage::Hold, sent: intended };
            self.send(index, sender);
        }
    }

    /// Sends the command a slot is at, for the first time or again.
    fn send(&mut self, index: usize, sender: &mut RawSender) {
        let slot = self.slots[index];
        let (hold_hi, hold_lo) = slot.hold.halves();
        if self.events.len() <= slot.pair.event as usize {
            self.events = self.run.supply.events();
        }
        let Some(event) = self.events.get(slot.pair.event as usize) else { return };
        let message = match slot.stage {
            Stage::Free => return,
            Stage::Hold => &mut self.messages.hold,
            Stage::Confirm => &mut self.messages.confirm,
            Stage::Release => &mut self.messages.release,
        };
        message.correlation_id = index as u64 + 1;
        match &mut message.command {
            Some(Command::Hold(hold)) => {
                hold.event_key = event.key;
                (hold.hold_id_hi, hold.hold_id_lo) = (hold_hi, hold_lo);
                hold.seats.clear();
                hold.seats.extend([slot.pair.first_seat, slot.pair.first_seat + 1]);
            }
            Some(Command::Confirm(confirm)) => {
                confirm.event_key = event.key;
                (confirm.hold_id_hi, confirm.hold_id_lo) = (hold_hi, hold_lo);
                confirm.order_ref.clear();
                // Writing to a string cannot fail.
                let _ = write!(confirm.order_ref, "L-{hold_lo:016x}");
            }
            Some(Command::Release(release)) => {
                release.event_key = event.key;
                (release.hold_id_hi, release.hold_id_lo) = (hold_hi, hold_lo);
            }
            _ => return,
        }
        sender.send(message);
    }

    fn answer(&mut self, answer: &SessionResponse, now: Instant, sender: &mut RawSender) {
        let Some(index) = usize::try_from(answer.correlation_id).ok().and_then(|id| id.checked_sub(1)) else {
            return;
        };
        let Some(slot) = self.slots.get(index).copied() else { return };
        let kind = match slot.stage {
            Stage::Free => return,
            Stage::Hold => Kind::Hold,
            Stage::Confirm => Kind::Confirm,
            Stage::Release => Kind::Release,
        };
        let took = self.started.is_measured(slot.sent, now).then(|| now.saturating_duration_since(slot.sent));
        if answer.reason != 0 {
            return self.refused(index, kind, answer, took);
        }
        if let Some(took) = took {
            self.measure.done(kind, took);
        }
        match slot.stage {
            Stage::Free => {}
            Stage::Hold => {
                if answer.seats.len() != 2 || answer.seats[0] != slot.pair.first_seat {
                    self.book.wrong += 1;
                    self.book.problem(|| format!("asked for {:?}, held {:?}", slot.pair, answer.seats));
                }
                let confirm = self.rng.random_range(0..100) < self.run.options.confirm_share;
                self.slots[index].stage = if confirm { Stage::Confirm } else { Stage::Release };
                self.slots[index].sent = now;
                self.send(index, sender);
            }
            Stage::Confirm => {
                self.book.sold(slot.hold, slot.pair);
                self.set_free(index);
            }
            Stage::Release => {
                self.book.released(slot.hold, slot.pair);
                self.stock.put_back(slot.pair);
                self.set_free(index);
            }
        }
    }

    fn refused(&mut self, index: usize, kind: Kind, answer: &SessionResponse, took: Option<Duration>) {
        let reason = Reason::try_from(answer.reason).unwrap_or(Reason::Unspecified);
        let name = reason.as_str_name().trim_start_matches("REASON_");
        if let Some(took) = took {
            self.measure.refused(kind, took, name);
        }
        let unknown = answer.executed == Executed::Unknown as i32;
        let busy = answer.reason / 100 == 8 || reason == Reason::DeadlineExceeded || reason == Reason::CapacityBudget;
        if unknown || busy {
            return self.later.push(index);
        }
        let pair = self.slots[index].pair;
        if matches!(reason, Reason::HoldIdTooOld | Reason::HoldIdFromFuture) && kind == Kind::Hold {
            // The first ids of a run may be made by a wrong local clock; by now the server's is known.
            self.slots[index].hold = self.client.ids().hold_id();
            return self.later.push(index);
        }
        self.book.problem(|| format!("{} of {pair:?} was refused: {name} {}", kind.name(), answer.problem));
        match kind {
            // Nobody else wants these seats, so a hold that is refused was not made, or a release did not happen.
            Kind::Hold => self.book.wrong += 1,
            _ => self.book.lost += 2,
        }
        self.book.unsure.push(pair);
        self.set_free(index);
    }

    fn set_free(&mut self, index: usize) {
        self.slots[index].stage = Stage::Free;
        self.free.push(index);
    }
}

/// Takes all answers that are there. False: the Session is over.
async fn receive(receiver: &mut RawReceiver, pipeline: &mut Pipeline, sender: &mut RawSender) -> bool {
    let mut now = None;
    let received = receiver.recv(|answer| pipeline.answer(answer, *now.get_or_insert_with(Instant::now), sender)).await;
    match received {
        Ok(Some(count)) => {
            pipeline.run.count_answers(count as u64);
            true
        }
        Ok(None) | Err(_) => false,
    }
}
