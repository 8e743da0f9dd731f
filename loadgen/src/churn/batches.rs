//! Churn over raw Sessions in batches: one worker for each connection, many commands of one event in a message.
//!
//! Not here: an open loop; what a batch adds to latency is its size, and that is a choice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Executed, HoldId, RawReceiver, RawSender, Reason};
use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::{SessionHoldBatch, SessionRequest, SessionResolveBatch, SessionResponse};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::book::Book;
use super::calls::order_ref;
use super::run::{Run, Started};
use super::stock::Stock;
use super::supply::{ChurnEvent, Pair};
use crate::measure::{Kind, Measure};
use crate::patience::Patience;

/// A batch that met a busy server is sent again after this.
const LATER: Duration = Duration::from_millis(10);

/// One connection's worker.
pub(crate) struct Batches {
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
    ended: bool,
    rng: SmallRng,
    measure: Measure,
    book: Book,
}

/// A batch on its way: holds, then what becomes of them.
#[derive(Debug)]
struct Slot {
    stage: Stage,
    sent: Instant,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Free,
    Hold,
    Resolve,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    hold: HoldId,
    pair: Pair,
    confirm: bool,
}

/// One message of each kind, filled in and encoded again and again.
struct Messages {
    hold: SessionRequest,
    resolve: SessionRequest,
}

impl Batches {
    /// `in_flight`: commands, in batches of the size that the options say.
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
        let count = (in_flight / run.options.batch).max(1);
        let slot = || Slot { stage: Stage::Free, sent: Instant::now(), members: Vec::new() };
        Ok(Self {
            rng: SmallRng::seed_from_u64(run.options.seed.wrapping_add(worker as u64)),
            started: run.start(),
            run,
            client,
            connection,
            stock,
            slots: std::iter::repeat_with(slot).take(count).collect(),
            free: (0..count).rev().collect(),
            later: Vec::new(),
            messages: Messages {
                hold: message(Command::HoldBatch(SessionHoldBatch::default())),
                resolve: message(Command::ResolveBatch(SessionResolveBatch::default())),
            },
            events: Vec::new(),
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
            let (mut sender, mut receiver) = session.split();
            if self.exchange(&mut sender, &mut receiver).await {
                sender.finish();
                return (self.measure, self.book);
            }
            self.measure.failed("transport");
        }
        // Out of patience: of what is in flight nothing is known.
        self.run.fail("the server stayed away".to_owned());
        for slot in self.slots.iter().filter(|slot| slot.stage != Stage::Free) {
            self.book.unsure.extend(slot.members.iter().map(|member| member.pair));
        }
        (self.measure, self.book)
    }

    /// One Session's life. True: all is done; false: it broke.
    async fn exchange(&mut self, sender: &mut RawSender, receiver: &mut RawReceiver) -> bool {
        // What was in flight when the last Session broke goes out again, with the same ids.
        self.later.clear();
        for index in 0..self.slots.len() {
            if self.slots[index].stage != Stage::Free {
                self.send(index, sender);
            }
        }
        loop {
            self.begin(Instant::now(), sender);
            sender.flush();
            if self.free.len() == self.slots.len() {
                if self.ended {
                    return true;
                }
                self.ended |= !self.stock.wait().await;
                continue;
            }
            let received = tokio::select! {
                biased;
                received = receive(receiver, self, sender) => Some(received),
                () = tokio::time::sleep(LATER), if !self.later.is_empty() => None,
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

    fn begin(&mut self, now: Instant, sender: &mut RawSender) {
        self.ended |= self.started.is_over(now) || self.run.has_ended();
        if !self.warm && now >= self.started.measure_from {
            self.warm = true;
            self.run.warm();
        }
        while !self.ended {
            let Some(index) = self.free.pop() else { return };
            let mut members = std::mem::take(&mut self.slots[index].members);
            members.clear();
            while members.len() < self.run.options.batch && !self.ended {
                // One event a batch.
                let event = members.first().map(|member: &Member| member.pair.event);
                let Some(pair) = self.stock.take_of(event) else { break };
                if !self.run.may_begin() {
                    self.stock.put_back(pair);
                    self.ended = true;
                    break;
                }
                members.push(Member { hold: self.client.ids().hold_id(), pair, confirm: false });
            }
            if members.is_empty() {
                self.free.push(index);
                return;
            }
            self.slots[index] = Slot { stage: Stage::Hold, sent: now, members };
            self.send(index, sender);
        }
    }

    /// Sends the batch a slot is at, for the first time or again.
    fn send(&mut self, index: usize, sender: &mut RawSender) {
        let Slot { stage, members, .. } = &self.slots[index];
        let Some(number) = members.first().map(|member| member.pair.event as usize) else { return };
        if self.events.len() <= number {
            self.events = self.run.supply.events();
        }
        let Some(event) = self.events.get(number) else { return };
        let message = match stage {
            Stage::Free => return,
            Stage::Hold => &mut self.messages.hold,
            Stage::Resolve => &mut self.messages.resolve,
        };
        message.correlation_id = index as u64 + 1;
        let ids = members.iter().flat_map(|member| <[u64; 2]>::from(member.hold.halves()));
        match &mut message.command {
            Some(Command::HoldBatch(holds)) => {
                holds.event_key = event.key;
                holds.hold_ids.clear();
                holds.hold_ids.extend(ids);
                holds.seat_counts.clear();
                holds.seat_counts.resize(members.len(), 2);
                holds.seats.clear();
                let seats = members.iter().flat_map(|member| [member.pair.first_seat, member.pair.first_seat + 1]);
                holds.seats.extend(seats);
            }
            Some(Command::ResolveBatch(resolves)) => {
                resolves.event_key = event.key;
                resolves.hold_ids.clear();
                resolves.hold_ids.extend(ids);
                resolves.order_refs.clear();
                let order = |member: &Member| if member.confirm { order_ref(member.hold) } else { String::new() };
                resolves.order_refs.extend(members.iter().map(order));
            }
            _ => return,
        }
        sender.send(message);
    }

    fn answer(&mut self, answer: &SessionResponse, now: Instant, sender: &mut RawSender) {
        let Some(index) = usize::try_from(answer.correlation_id).ok().and_then(|id| id.checked_sub(1)) else {
            return;
        };
        if self.slots.get(index).is_none_or(|slot| slot.stage == Stage::Free) {
            return;
        }
        self.run.count_answers(self.slots[index].members.len() as u64);
        if answer.reason != 0 {
            return self.refused(index, answer, now);
        }
        let reasons = answer.batch.as_ref().map_or(&[][..], |batch| &batch.reasons[..]);
        let Slot { stage, sent, members } =
            std::mem::replace(&mut self.slots[index], Slot { stage: Stage::Free, sent: now, members: Vec::new() });
        let took = self.started.is_measured(sent, now).then(|| now.saturating_duration_since(sent));
        let mut left = Vec::with_capacity(members.len());
        for (at, mut member) in members.into_iter().enumerate() {
            let kind = match (stage, member.confirm) {
                (Stage::Hold, _) => Kind::Hold,
                (_, true) => Kind::Confirm,
                (_, false) => Kind::Release,
            };
            let reason = reasons.get(at).copied().unwrap_or(0);
            if reason != 0 {
                self.one_refused(kind, member, reason, took);
                continue;
            }
            if let Some(took) = took {
                self.measure.done(kind, took);
            }
            match kind {
                Kind::Confirm => self.book.sold(member.hold, member.pair),
                Kind::Release => {
                    self.book.released(member.hold, member.pair);
                    self.stock.put_back(member.pair);
                }
                _ => {
                    member.confirm = self.rng.random_range(0..100) < self.run.options.confirm_share;
                    left.push(member);
                }
            }
        }
        if left.is_empty() {
            self.free.push(index);
        } else {
            self.slots[index] = Slot { stage: Stage::Resolve, sent: now, members: left };
            self.send(index, sender);
        }
    }

    /// A whole batch was refused: nothing of it was judged.
    fn refused(&mut self, index: usize, answer: &SessionResponse, now: Instant) {
        let reason = Reason::try_from(answer.reason).unwrap_or(Reason::Unspecified);
        let unknown = answer.executed == Executed::Unknown as i32;
        if unknown || answer.reason / 100 == 8 || reason == Reason::DeadlineExceeded {
            return self.later.push(index);
        }
        let empty = Slot { stage: Stage::Free, sent: now, members: Vec::new() };
        let slot = std::mem::replace(&mut self.slots[index], empty);
        self.free.push(index);
        self.book.wrong += 1;
        self.book.problem(|| format!("a batch was refused: {reason:?} {} {}", answer.field, answer.problem));
        self.book.unsure.extend(slot.members.iter().map(|member| member.pair));
    }

    /// Nobody else wants these seats, so a hold that is refused was not made, or an end did not happen.
    fn one_refused(&mut self, kind: Kind, member: Member, reason: i32, took: Option<Duration>) {
        let reason = Reason::try_from(reason).unwrap_or(Reason::Unspecified);
        let name = reason.as_str_name().trim_start_matches("REASON_");
        if let Some(took) = took {
            self.measure.refused(kind, took, name);
        }
        if kind == Kind::Hold && reason == Reason::CapacityBudget {
            // Nothing was held: somebody else may have the places.
            return self.stock.put_back(member.pair);
        }
        match kind {
            Kind::Hold => self.book.wrong += 1,
            _ => self.book.lost += 2,
        }
        self.book.problem(|| format!("{} of {:?} was refused: {name}", kind.name(), member.pair));
        self.book.unsure.push(member.pair);
    }
}

/// Takes all answers that are there. False: the Session is over.
async fn receive(receiver: &mut RawReceiver, batches: &mut Batches, sender: &mut RawSender) -> bool {
    let mut now = None;
    let received = receiver.recv(|answer| batches.answer(answer, *now.get_or_insert_with(Instant::now), sender)).await;
    matches!(received, Ok(Some(_)))
}
