//! Sessions: many commands and their answers on one stream.
//!
//! The stream of answers is the whole Session: polled for an answer, it first gives what is there, then
//! reads commands as long as there are reply slots, and hands them over. So nothing is locked but the
//! outbox, an answer needs no task of its own, and a peer that does not read its answers is not read.
//! The stack calls again and again until nothing is ready and only then writes, so that answers travel in
//! full frames.
//!
//! A refusal never ends the stream. A message that does not decode does, after everything accepted before
//! it is answered.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use engine::{Answer, Done, Engine, Refused, Reply, ReplySink};
use futures_core::Stream;
use inventory_core::{
    command::Command,
    ids::{EventKey, TimestampMs},
    limits::PLACES_PER_HOLD_MAX,
};
use parking_lot::Mutex;
use proto::inventory::v1::{self as wire, Reason, session_request};
use tonic::{Status, Streaming};

use super::{
    batch::{self, Batch, Parsed},
    carts,
    convert::{self, SessionKind},
    inventory::refuse_other_future,
    limits::{SALE_CALL_TIME_MAX, SALE_MESSAGE_BYTES_MAX, SESSION_SLOTS, SESSIONS_PER_CONNECTION_MAX},
    outbox::{Farewell, Outbox},
    refusal::{Asked, Refusable, Refusal, in_our_words},
    service::Connection,
    state::{Edge, Phase},
};

/// Bytes that a command of a Session stands for in the count of what is in flight.
const COMMAND_BYTES: usize = 256;
/// Answers of one engine turn for which the outbox keeps room.
const OUTBOX_ROOM: usize = 1_024;

/// The open Sessions, to tell them that the server is going away.
#[derive(Default)]
pub(crate) struct Sessions {
    open: AtomicU32,
    outboxes: Mutex<Vec<Weak<Outbox>>>,
}

impl Sessions {
    /// How many are open.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    fn begin(&self, outbox: &Arc<Outbox>) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let mut outboxes = self.outboxes.lock();
        outboxes.retain(|outbox| outbox.strong_count() > 0);
        outboxes.push(Arc::downgrade(outbox));
    }

    fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells every Session that the server is stopping.
    pub(crate) fn go_away(&self) {
        self.tell(Farewell::GoingAway);
    }

    /// Ends every Session once what it accepted is answered.
    pub(crate) fn close(&self) {
        self.tell(Farewell::Close);
    }

    fn tell(&self, farewell: Farewell) {
        let outboxes: Vec<_> = self.outboxes.lock().iter().filter_map(Weak::upgrade).collect();
        for outbox in outboxes {
            outbox.tell(farewell);
        }
    }
}

/// A command that was handed over.
#[derive(Clone, Copy)]
struct InFlight {
    correlation_id: u64,
    event_key: EventKey,
    kind: SessionKind,
    asked: Asked,
    min_position: u64,
}

/// The reply slots: what was handed over, by the mark that its answer will carry.
struct Slots {
    taken: Vec<Option<InFlight>>,
    free: Vec<u16>,
}

impl Slots {
    fn new() -> Slots {
        Slots { taken: Vec::new(), free: Vec::new() }
    }

    fn in_flight(&self) -> usize {
        self.taken.len() - self.free.len()
    }

    /// A free slot. There is room.
    fn take(&mut self, command: InFlight) -> u64 {
        assert!(self.in_flight() < SESSION_SLOTS, "a command was read without a reply slot for it");
        if let Some(slot) = self.free.pop() {
            self.taken[usize::from(slot)] = Some(command);
            return u64::from(slot);
        }
        self.taken.push(Some(command));
        self.taken.len() as u64 - 1
    }

    fn give_back(&mut self, tag: u64) -> Option<InFlight> {
        let slot = u16::try_from(tag).ok()?;
        let command = self.taken.get_mut(usize::from(slot))?.take()?;
        self.free.push(slot);
        Some(command)
    }
}

/// In a mark: the answer is of a command of a batch.
const OF_BATCH: u64 = 1 << 63;

/// The batches that were handed over.
#[derive(Default)]
struct Batches {
    taken: Vec<Option<Batch>>,
    free: Vec<u32>,
    /// Their commands without an answer.
    commands: usize,
}

impl Batches {
    /// Takes a batch in, with so many commands for the engine. The mark of its first place.
    fn take(&mut self, batch: Batch, commands: usize) -> u64 {
        self.commands += commands;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.taken.push(None);
            // At most one for each reply slot.
            self.taken.len() as u32 - 1
        });
        self.taken[slot as usize] = Some(batch);
        OF_BATCH | u64::from(slot) << 32
    }

    /// Takes in an answer. The batch, when it was the last of it.
    fn answer(&mut self, tag: u64, answer: Answer) -> Option<Batch> {
        let (slot, at) = ((tag & !OF_BATCH) >> 32, tag as u32);
        let taken = self.taken.get_mut(slot as usize)?;
        self.commands -= 1;
        if !taken.as_mut()?.answer(at, answer) {
            return None;
        }
        // Slots are numbered in u32.
        self.free.push(slot as u32);
        taken.take()
    }

    /// Takes a batch out again that was not handed over.
    fn give_back(&mut self, tag: u64, commands: usize) -> Option<Batch> {
        let slot = (tag & !OF_BATCH) >> 32;
        self.commands -= commands;
        self.free.push(slot as u32);
        self.taken.get_mut(slot as usize)?.take()
    }
}

/// How far reading is.
enum Reading {
    /// The first message is awaited.
    Beginning,
    /// Commands come.
    Open,
    /// No more will come; this ends the stream when all is answered. `None`: well.
    Over(Option<Status>),
    /// The end has been said.
    Done,
}

/// A Session: the stream of its answers.
pub(crate) struct SessionStream {
    edge: Arc<Edge>,
    engine: Arc<Engine>,
    connection: Option<Arc<Connection>>,
    requests: Streaming<wire::SessionRequest>,
    outbox: Arc<Outbox>,
    slots: Slots,
    batches: Batches,
    /// A batch that waits for reply slots. Nothing is read behind it.
    waiting: Option<(Parsed, TimestampMs)>,
    reading: Reading,
    farewell_said: bool,
    /// Taken from the outbox, not converted yet.
    answers: VecDeque<(u64, Answer)>,
    /// Given before those: what was answered without a shard.
    ready: Option<wire::SessionResponse>,
}

impl SessionStream {
    /// A new Session over the commands in `requests`.
    pub(crate) fn open(
        edge: &Arc<Edge>,
        connection: Option<Arc<Connection>>,
        requests: Streaming<wire::SessionRequest>,
    ) -> Refusable<SessionStream> {
        let engine = Arc::clone(edge.engine()?);
        if let Some(connection) = &connection
            && !connection.take_session(SESSIONS_PER_CONNECTION_MAX)
        {
            let what = format!("a connection may have {SESSIONS_PER_CONNECTION_MAX} Sessions; open another connection");
            return Err(Refusal::new(Reason::RateLimited, what).with("limit", SESSIONS_PER_CONNECTION_MAX));
        }
        let outbox = Arc::new(Outbox::default());
        edge.sessions.begin(&outbox);
        Ok(SessionStream {
            edge: Arc::clone(edge),
            engine,
            connection,
            requests,
            outbox,
            slots: Slots::new(),
            batches: Batches::default(),
            waiting: None,
            reading: Reading::Beginning,
            farewell_said: false,
            answers: VecDeque::with_capacity(OUTBOX_ROOM),
            ready: None,
        })
    }

    /// Makes a message of the next answer that came.
    fn convert_answer(&mut self) -> Option<wire::SessionResponse> {
        while let Some((tag, answer)) = self.answers.pop_front() {
            self.edge.admission.give_back(1, COMMAND_BYTES);
            if tag & OF_BATCH != 0 {
                match self.batches.answer(tag, answer) {
                    Some(batch) => return Some(batch.into_message()),
                    None => continue,
                }
            }
            if let Some(command) = self.slots.give_back(tag) {
                return Some(message_of(&self.engine, command, answer));
            }
        }
        None
    }

    /// Takes in one message. Some are answered at once.
    fn accept(&mut self, request: wire::SessionRequest) {
        let correlation_id = request.correlation_id;
        if let Err(refusal) = self.try_accept(request) {
            self.ready = Some(refusal.into_session(correlation_id));
        }
    }

    fn try_accept(&mut self, request: wire::SessionRequest) -> Refusable<()> {
        let correlation_id = request.correlation_id;
        let Some(command) = request.command else {
            return Err(Refusal::invalid("command", "is missing, or not known to this version"));
        };
        if let Reading::Beginning = self.reading {
            return self.begin(correlation_id, command);
        }
        if correlation_id == 0 {
            return Err(Refusal::invalid("correlation_id", "must not be 0"));
        }
        self.edge.engine()?;
        let parsed = match &command {
            session_request::Command::HoldBatch(holds) => Some(batch::holds(correlation_id, holds)?),
            session_request::Command::ResolveBatch(resolves) => Some(batch::resolves(correlation_id, resolves)?),
            _ => None,
        };
        if let Some(parsed) = parsed {
            let deadline = self.deadline(request.timeout_ms);
            self.accept_batch(parsed, deadline);
            return Ok(());
        }
        let (event_key, command, kind, asked, min_position) = command_of(&self.engine, command)?;
        let deadline = self.deadline(request.timeout_ms);
        self.edge.admission.take(COMMAND_BYTES)?;
        let tag = self.slots.take(InFlight { correlation_id, event_key, kind, asked, min_position });
        let sink = Arc::clone(&self.outbox) as Arc<dyn ReplySink>;
        if let Err(refused) = self.engine.submit(event_key, command, Some(deadline), Reply::Many { sink, tag }) {
            self.slots.give_back(tag);
            self.edge.admission.give_back(1, COMMAND_BYTES);
            return Err(Refusal::of_refused(refused, asked));
        }
        Ok(())
    }

    /// When a command that arrives now must be judged.
    fn deadline(&self, timeout_ms: u32) -> TimestampMs {
        let allowed = match timeout_ms {
            0 => SALE_CALL_TIME_MAX,
            ms => Duration::from_millis(u64::from(ms)).min(SALE_CALL_TIME_MAX),
        };
        self.engine.clock().now().plus_ms(u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX))
    }

    fn in_flight(&self) -> usize {
        self.slots.in_flight() + self.batches.commands
    }

    /// Hands a batch over, or lets it wait for reply slots. Some are answered at once.
    fn accept_batch(&mut self, parsed: Parsed, deadline: TimestampMs) {
        let count = parsed.commands.len();
        if self.in_flight() + count > SESSION_SLOTS {
            self.waiting = Some((parsed, deadline));
            return;
        }
        let correlation_id = parsed.batch.correlation_id();
        if let Err(refusal) = self.hand_over(parsed, deadline) {
            self.ready = Some(refusal.into_session(correlation_id));
        }
    }

    fn hand_over(&mut self, parsed: Parsed, deadline: TimestampMs) -> Refusable<()> {
        let Parsed { event_key, batch, commands } = parsed;
        let count = commands.len();
        if count == 0 {
            self.ready = Some(batch.into_message());
            return Ok(());
        }
        self.edge.admission.take_all(count, count * COMMAND_BYTES)?;
        let first = self.batches.take(batch, count);
        let reply = |at| {
            let sink = Arc::clone(&self.outbox) as Arc<dyn ReplySink>;
            Reply::Many { sink, tag: first | u64::from(at) }
        };
        let commands = commands.into_iter().map(|(at, command)| (command, reply(at)));
        if let Err(refused) = self.engine.submit_all(event_key, commands, Some(deadline)) {
            self.batches.give_back(first, count);
            self.edge.admission.give_back(count, count * COMMAND_BYTES);
            return Err(Refusal::of_refused(refused, Asked::default()));
        }
        Ok(())
    }

    /// The first message.
    fn begin(&mut self, correlation_id: u64, command: session_request::Command) -> Refusable<()> {
        let session_request::Command::Open(open) = command else {
            let refusal = Refusal::invalid("open", "must be the first message of a Session");
            self.reading = Reading::Over(Some(refusal.into_status()));
            return Ok(());
        };
        if let Err(refusal) = refuse_other_future(&self.engine, open.incarnation, 0) {
            self.reading = Reading::Over(Some(refusal.into_status()));
            return Ok(());
        }
        tracing::debug!(client = %open.client, version = %open.version, "a session opened");
        self.reading = Reading::Open;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.ready = Some(wire::SessionResponse {
            correlation_id,
            opened: Some(Box::new(wire::SessionOpened {
                max_in_flight: number(SESSION_SLOTS),
                incarnation: self.engine.incarnation(),
                limits: Some(wire::SessionLimits {
                    message_bytes_max: number(SALE_MESSAGE_BYTES_MAX),
                    places_per_hold_max: number(PLACES_PER_HOLD_MAX),
                    timeout_ms_max: u32::try_from(SALE_CALL_TIME_MAX.as_millis()).unwrap_or(u32::MAX),
                }),
                server_time_ms: self.engine.clock().now().0,
                server_version: env!("CARGO_PKG_VERSION").to_owned(),
            })),
            ..Default::default()
        });
        Ok(())
    }

    /// What the stream gives when nothing more will be read.
    fn finish(&mut self) -> Poll<Option<Result<wire::SessionResponse, Status>>> {
        if self.in_flight() > 0 {
            // The answers wake us.
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.reading, Reading::Done) {
            Reading::Over(Some(status)) => Poll::Ready(Some(Err(status))),
            Reading::Beginning | Reading::Open | Reading::Over(None) | Reading::Done => Poll::Ready(None),
        }
    }
}

/// The command of a message: for whom, what, and how its answer is told.
pub(super) fn command_of(
    engine: &Engine,
    command: session_request::Command,
) -> Refusable<(EventKey, Command, SessionKind, Asked, u64)> {
    match command {
        session_request::Command::Open(_) => Err(Refusal::invalid("open", "the Session is open already")),
        session_request::Command::HoldBatch(_) | session_request::Command::ResolveBatch(_) => {
            Err(Refusal::invalid("command", "is a batch, and one command was expected"))
        }
        session_request::Command::Hold(request) => {
            let key = EventKey(request.event_key);
            let (hold, asked) = convert::session_hold(request)?;
            Ok((key, Command::Hold(Box::new(hold)), SessionKind::Hold, asked, 0))
        }
        session_request::Command::Confirm(request) => {
            let key = EventKey(request.event_key);
            let (confirm, asked) = convert::session_confirm(request)?;
            Ok((key, Command::Confirm(Box::new(confirm)), SessionKind::Confirm, asked, 0))
        }
        session_request::Command::Release(request) => {
            let key = EventKey(request.event_key);
            let (release, asked) = convert::session_release(request)?;
            Ok((key, Command::Release(Box::new(release)), SessionKind::Release, asked, 0))
        }
        session_request::Command::Extend(request) => {
            let extend = convert::session_extend(&request)?;
            let key = EventKey(request.event_key);
            Ok((key, Command::Extend(extend), SessionKind::Extend, Asked::default(), 0))
        }
        session_request::Command::BeginPayment(request) => {
            let begin = convert::session_begin_payment(&request)?;
            let key = EventKey(request.event_key);
            Ok((key, Command::BeginPayment(begin), SessionKind::BeginPayment, Asked::default(), 0))
        }
        session_request::Command::EndPayment(request) => {
            let end = convert::session_end_payment(&request)?;
            let key = EventKey(request.event_key);
            Ok((key, Command::EndPayment(end), SessionKind::EndPayment, Asked::default(), 0))
        }
        session_request::Command::GetHold(request) => {
            let hold_id = convert::session_get_hold(&request)?;
            refuse_other_future(engine, 0, request.min_position)?;
            let key = EventKey(request.event_key);
            let command = Command::GetHold(hold_id);
            Ok((key, command, SessionKind::GetHold, Asked::default(), request.min_position))
        }
    }
}

/// The message of one answer.
fn message_of(engine: &Engine, command: InFlight, answer: Answer) -> wire::SessionResponse {
    let Answer { result, position, time } = answer;
    let InFlight { correlation_id, kind, asked, .. } = command;
    let position = position.max(command.min_position);
    let refused = match result {
        Ok(Done::Hold { view, replayed }) => {
            let event = match kind {
                SessionKind::GetHold => engine.directory().find_key(command.event_key),
                SessionKind::Hold
                | SessionKind::Confirm
                | SessionKind::Release
                | SessionKind::Extend
                | SessionKind::BeginPayment
                | SessionKind::EndPayment => None,
            };
            let event_id = event.as_ref().map_or("", |event| event.id().as_str());
            let response = convert::session_done(kind, &view, time, event_id, |key| carts::event_name(engine, key));
            return wire::SessionResponse { correlation_id, position, replayed, ..response };
        }
        Ok(
            Done::Event { .. }
            | Done::Suggested { .. }
            | Done::Explained { .. }
            | Done::Order { .. }
            | Done::Page { .. }
            | Done::Image(_)
            | Done::Retired
            | Done::Allocations { .. }
            | Done::Touched { .. }
            | Done::Cart { .. }
            | Done::Verdict(_),
        ) => Refused::Internal,
        Err(refused) => refused,
    };
    let mut refusal = Refusal::of_refused(refused, asked);
    refusal.position = position;
    refusal.time_ms = time.0;
    refusal.into_session(correlation_id)
}

impl Stream for SessionStream {
    type Item = Result<wire::SessionResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(message) = this.ready.take().or_else(|| this.convert_answer()) {
                return Poll::Ready(Some(Ok(message)));
            }
            let farewell = this.outbox.take(&mut this.answers, context);
            if !this.answers.is_empty() {
                continue;
            }
            if farewell >= Farewell::GoingAway && !this.farewell_said {
                this.farewell_said = true;
                return Poll::Ready(Some(Ok(wire::SessionResponse { going_away: true, ..Default::default() })));
            }
            if farewell == Farewell::Close && matches!(this.reading, Reading::Beginning | Reading::Open) {
                this.reading = Reading::Over(Some(Refusal::draining().into_status()));
            }
            if let Some((parsed, deadline)) = this.waiting.take() {
                this.accept_batch(parsed, deadline);
                if this.waiting.is_some() {
                    // The answers wake us.
                    return Poll::Pending;
                }
                continue;
            }
            match this.reading {
                Reading::Beginning | Reading::Open => {}
                Reading::Over(_) | Reading::Done => return this.finish(),
            }
            if this.in_flight() >= SESSION_SLOTS {
                // The answers wake us.
                return Poll::Pending;
            }
            match Pin::new(&mut this.requests).poll_next(context) {
                Poll::Ready(Some(Ok(request))) => this.accept(request),
                Poll::Ready(None) => this.reading = Reading::Over(None),
                Poll::Ready(Some(Err(status))) => {
                    this.reading = Reading::Over(Some(in_our_words(status, SALE_MESSAGE_BYTES_MAX)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        // Commands that were handed over are judged all the same; their answers find nobody.
        let lost = self.in_flight();
        self.edge.admission.give_back(lost, lost * COMMAND_BYTES);
        self.edge.sessions.end();
        if let Some(connection) = &self.connection {
            connection.give_back_session();
        }
        if lost > 0 && self.edge.phase() == Phase::Serving {
            tracing::debug!(in_flight = lost, "a session ended before its answers");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_never_more_than_promised() {
        let command = InFlight {
            correlation_id: 7,
            event_key: EventKey(1),
            kind: SessionKind::Hold,
            asked: Asked::default(),
            min_position: 0,
        };
        let mut slots = Slots::new();
        let tags: Vec<u64> = (0..SESSION_SLOTS).map(|_| slots.take(command)).collect();
        assert_eq!(slots.in_flight(), SESSION_SLOTS);
        assert!(slots.give_back(tags[17]).is_some());
        assert!(slots.give_back(tags[17]).is_none(), "an answer comes once");
        assert_eq!(slots.take(command), tags[17]);
        assert_eq!(slots.in_flight(), SESSION_SLOTS);
    }
}
