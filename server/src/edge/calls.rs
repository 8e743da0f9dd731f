//! The unary calls on holds of one connection, served by the connection's own task: no task, no timer and no reply slot
//! for a call, and one wake for all that a turn of a shard answers.
//!
//! A call is read (its message may come in pieces), handed to the engine with its tag, and told when its answer is in
//! the outbox. Who has waited too long is told so at once; the answer that comes after that finds the tag's generation
//! gone.
//!
//! Not here: what the calls mean (`holds.rs`), the connection (`connection.rs`), all other calls (`relay.rs`).

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use engine::{Answer, Engine, Reply, ReplySink};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use proto::inventory::v1::Executed;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

use super::{
    deadline::time_allowed,
    holds::{Begun, HoldCall, Question},
    limits::{SALE_CALL_TIME_MAX, SALE_MESSAGE_BYTES_MAX},
    outbox::Outbox,
    refusal::{Refusable, Refusal},
    state::Edge,
};

/// Before every message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Room for answers that is set aside at once.
const BUFFER_BYTES: usize = 16 << 10;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");

/// The unary calls of one connection.
pub(crate) struct Calls {
    edge: Arc<Edge>,
    outbox: Arc<Outbox>,
    /// Calls whose message is not complete.
    reading: Vec<Read>,
    slots: Slots,
    /// Refused without the engine, to be told after everything that has arrived is taken in.
    refused: Vec<(SendResponse<Bytes>, Status)>,
    /// Taken from the outbox.
    answers: VecDeque<(u64, Answer)>,
    buffer: BytesMut,
    alarm: Alarm,
}

/// A call whose message is being read.
struct Read {
    call: HoldCall,
    respond: SendResponse<Bytes>,
    body: RecvStream,
    message: Message,
    allowed: Duration,
    until: Instant,
    /// Bytes that count as in flight because the message came in pieces and the rest is awaited; none before.
    counted: Option<usize>,
}

impl Read {
    /// Counts the message among what is in flight, once a part of it is here and waits for the rest.
    fn count(&mut self, edge: &Edge) -> Refusable<()> {
        if let (None, Some(bytes)) = (self.counted, self.message.announced()) {
            edge.admission.take(bytes)?;
            self.counted = Some(bytes);
        }
        Ok(())
    }

    /// It waits no more: what it has waited is gone from its time.
    fn uncount(&mut self, edge: &Edge) {
        if let Some(bytes) = self.counted.take() {
            edge.admission.give_back(1, bytes);
            self.allowed = self.until.saturating_duration_since(Instant::now());
        }
    }
}

/// A call that was handed over.
struct Asking {
    call: HoldCall,
    respond: SendResponse<Bytes>,
    question: Question,
    bytes: usize,
    until: Instant,
}

/// How reading ended badly.
enum Unread {
    /// To be told.
    Told(Status),
    /// There is nobody to be told.
    Gone,
}

impl Calls {
    /// No calls yet.
    pub(crate) fn new(edge: &Arc<Edge>) -> Calls {
        Calls {
            edge: Arc::clone(edge),
            outbox: Arc::default(),
            reading: Vec::new(),
            slots: Slots::default(),
            refused: Vec::new(),
            answers: VecDeque::new(),
            buffer: BytesMut::new(),
            alarm: Alarm::default(),
        }
    }

    /// Which call a request is, when it is one that is served here.
    pub(crate) fn call_of(request: &Request<RecvStream>) -> Option<HoldCall> {
        let call = HoldCall::of_path(request.uri().path())?;
        let is_plain = request.method() == Method::POST && !request.headers().contains_key("grpc-encoding");
        is_plain.then_some(call)
    }

    /// Takes a call in.
    pub(crate) fn accept(
        &mut self,
        call: HoldCall,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        context: &mut Context<'_>,
    ) {
        let allowed = time_allowed(request.headers(), SALE_CALL_TIME_MAX);
        // A time that has passed on arrival is not worth a shard's turn.
        if allowed.as_millis() == 0 {
            self.refused.push((respond, Refusal::deadline(Executed::False).into_status()));
            return;
        }
        let until = Instant::now() + allowed;
        let read = Read {
            call,
            respond,
            body: request.into_body(),
            message: Message::default(),
            allowed,
            until,
            counted: None,
        };
        self.read(read, context);
    }

    /// Reads on, and hands the call over when its message is complete.
    fn read(&mut self, mut read: Read, context: &mut Context<'_>) {
        match read.message.poll_read(&mut read.body, context) {
            Poll::Ready(message) => self.have_read(read, message),
            Poll::Pending => match read.count(&self.edge) {
                Ok(()) => {
                    self.alarm.expect(read.until);
                    self.reading.push(read);
                }
                Err(refusal) => self.refused.push((read.respond, refusal.into_status())),
            },
        }
    }

    /// Reads on where something came. Every wake of the connection passes here, so who waits is not moved.
    fn read_on(&mut self, context: &mut Context<'_>) {
        let mut at = 0;
        while let Some(read) = self.reading.get_mut(at) {
            match read.message.poll_read(&mut read.body, context) {
                Poll::Ready(message) => {
                    let read = self.reading.swap_remove(at);
                    self.have_read(read, message);
                }
                Poll::Pending => match read.count(&self.edge) {
                    Ok(()) => at += 1,
                    Err(refusal) => {
                        let read = self.reading.swap_remove(at);
                        self.refused.push((read.respond, refusal.into_status()));
                    }
                },
            }
        }
    }

    fn have_read(&mut self, mut read: Read, message: Result<Bytes, Unread>) {
        read.uncount(&self.edge);
        let Read { call, respond, allowed, until, .. } = read;
        match message {
            Ok(message) => self.hand_over(call, respond, message, allowed, until),
            Err(Unread::Told(status)) => self.refused.push((respond, status)),
            Err(Unread::Gone) => {}
        }
    }

    fn hand_over(
        &mut self,
        call: HoldCall,
        respond: SendResponse<Bytes>,
        message: Bytes,
        allowed: Duration,
        until: Instant,
    ) {
        let engine = match self.edge.engine() {
            Ok(engine) => engine,
            Err(refusal) => return self.refused.push((respond, refusal.into_status())),
        };
        let begun = match call.begin(engine, message) {
            Ok(Ok(begun)) => begun,
            Ok(Err(refusal)) => return self.refused.push((respond, refusal.into_status())),
            Err(error) => return self.refused.push((respond, Status::internal(error.to_string()))),
        };
        let Begun { key, command, bytes, question } = begun;
        if let Err(refusal) = self.edge.admission.take(bytes) {
            return self.refused.push((respond, refusal.into_status()));
        }
        let asked = question.asked();
        let deadline = engine.clock().now().plus_ms(u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX));
        let tag = self.slots.put(Asking { call, respond, question, bytes, until });
        let sink = Arc::clone(&self.outbox) as Arc<dyn ReplySink>;
        if let Err(refused) = engine.submit(key, command, Some(deadline), Reply::Many { sink, tag }) {
            self.edge.admission.give_back(1, bytes);
            if let Some(asking) = self.slots.take(tag) {
                self.refused.push((asking.respond, Refusal::of_refused(refused, asked).into_status()));
            }
            return;
        }
        self.alarm.expect(until);
    }

    /// Tells what there is to tell. Whether that was anything: then the connection has something to write.
    pub(crate) fn poll_tell(&mut self, context: &mut Context<'_>) -> bool {
        self.read_on(context);
        // Set again it must be looked at once more, and may ring at once: a ring that is passed over is lost.
        while self.alarm.poll(context) {
            self.give_up(Instant::now());
        }
        let mut told = !self.refused.is_empty();
        for (respond, status) in self.refused.drain(..) {
            refuse(respond, &status);
        }
        self.outbox.take(&mut self.answers, context);
        // Also when all of them were given up: only an empty outbox wakes us again.
        told |= !self.answers.is_empty();
        while let Some((tag, answer)) = self.answers.pop_front() {
            if let Some(asking) = self.slots.take(tag) {
                self.edge.admission.give_back(1, asking.bytes);
                // The engine answers, so it is there.
                if let Some(engine) = self.edge.engine_if_any() {
                    tell(engine, asking, answer, &mut self.buffer);
                }
            }
        }
        told
    }

    /// Tells those whose time is over, and sets the alarm for the others.
    fn give_up(&mut self, now: Instant) {
        let (over, reading): (Vec<Read>, Vec<Read>) =
            std::mem::take(&mut self.reading).into_iter().partition(|read| read.until <= now);
        self.reading = reading;
        for mut read in over {
            read.uncount(&self.edge);
            self.refused.push((read.respond, Refusal::deadline(Executed::False).into_status()));
        }
        for asking in self.slots.take_if(|asking| asking.until <= now) {
            self.edge.admission.give_back(1, asking.bytes);
            self.refused.push((asking.respond, Refusal::deadline(Executed::Unknown).into_status()));
        }
        let waiting = self.reading.iter().map(|read| read.until).chain(self.slots.taken().map(|asking| asking.until));
        if let Some(next) = waiting.min() {
            self.alarm.expect(next);
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // What was handed over is judged all the same; its answers find nobody.
        self.slots.taken().for_each(|asking| self.edge.admission.give_back(1, asking.bytes));
        self.reading.iter_mut().for_each(|read| read.uncount(&self.edge));
    }
}

/// Tells an answer. A peer that is gone is no fault.
fn tell(engine: &Engine, asking: Asking, answer: Answer, buffer: &mut BytesMut) {
    let Asking { call, mut respond, question, .. } = asking;
    let done = match question.answered(Ok(answer)) {
        Ok(done) => done,
        Err(refusal) => return refuse(respond, &refusal.into_status()),
    };
    if buffer.capacity() < BUFFER_BYTES / 16 {
        buffer.reserve(BUFFER_BYTES);
    }
    call.tell(engine, &done, buffer);
    let message = buffer.split().freeze();
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, GRPC);
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, OK);
    let sent = stream.send_data(message, false).and_then(|()| stream.send_trailers(trailers));
    if let Err(error) = sent {
        tracing::trace!(%error, "an answer found nobody");
    }
}

/// Tells a refusal: headers alone.
fn refuse(mut respond: SendResponse<Bytes>, status: &Status) {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, GRPC);
    if let Err(status) = status.add_header(head.headers_mut()) {
        tracing::error!(code = ?status.code(), "a refusal could not be put into headers");
    }
    if let Err(error) = respond.send_response(head, true) {
        tracing::trace!(%error, "a refusal found nobody");
    }
}

/// The message of a call, as far as it has come.
#[derive(Default)]
struct Message {
    first: Bytes,
    /// Used when it comes in more than one piece.
    pieces: BytesMut,
}

impl Message {
    /// The message without what goes before it, once the peer has ended its side.
    fn poll_read(&mut self, body: &mut RecvStream, context: &mut Context<'_>) -> Poll<Result<Bytes, Unread>> {
        loop {
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    // The peer may send as much again. A stream that ended meanwhile does not need to.
                    let _ended = body.flow_control().release_capacity(bytes.len());
                    self.push(bytes);
                    if let Err(refusal) = self.check() {
                        return Poll::Ready(Err(Unread::Told(refusal.into_status())));
                    }
                    if !body.is_end_stream() {
                        continue;
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Unread::Gone)),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
            return Poll::Ready(self.finish());
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if self.first.is_empty() {
            self.first = bytes;
        } else {
            if self.pieces.is_empty() {
                self.pieces.extend_from_slice(&self.first);
            }
            self.pieces.extend_from_slice(&bytes);
        }
    }

    fn so_far(&self) -> &[u8] {
        if self.pieces.is_empty() { &self.first } else { &self.pieces }
    }

    /// The bytes of the message that are announced, when that is known.
    fn announced(&self) -> Option<usize> {
        let [_, l0, l1, l2, l3] = *self.so_far().first_chunk::<PREFIX_BYTES>()?;
        Some(u32::from_le_bytes([l3, l2, l1, l0]) as usize)
    }

    /// Refused before anything is set aside for it.
    fn check(&self) -> Refusable<()> {
        match self.announced() {
            Some(len) if len > SALE_MESSAGE_BYTES_MAX => Err(Refusal::message_too_large(SALE_MESSAGE_BYTES_MAX)),
            Some(len) if self.so_far().len() > PREFIX_BYTES + len => {
                Err(Refusal::invalid("message", "a unary call has one, and more came"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<Bytes, Unread> {
        let wrong = |what| Err(Unread::Told(Status::new(Code::Internal, what)));
        match self.announced() {
            None => return wrong("the call ended before its message began"),
            Some(len) if self.so_far().len() < PREFIX_BYTES + len => return wrong("the call ended inside its message"),
            Some(_) => {}
        }
        if self.so_far().first() != Some(&0) {
            return wrong("the message is compressed, and the call does not say how");
        }
        let mut whole = if self.pieces.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            std::mem::take(&mut self.pieces).freeze()
        };
        Ok(whole.split_off(PREFIX_BYTES))
    }
}

/// The calls that were handed over, by the tag that their answer will carry: a slot and its generation.
#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    asking: Option<Asking>,
}

impl Slots {
    fn put(&mut self, asking: Asking) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // No more than are admitted.
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.asking = Some(asking);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    /// The call with this tag, unless it was given up.
    fn take(&mut self, tag: u64) -> Option<Asking> {
        let (generation, index) = ((tag >> 32) as u32, tag as u32);
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.generation == generation)?;
        let asking = slot.asking.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        Some(asking)
    }

    fn take_if(&mut self, over: impl Fn(&Asking) -> bool) -> Vec<Asking> {
        let tags: Vec<u64> = (0_u64..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.asking.as_ref().is_some_and(&over))
            .map(|(index, slot)| u64::from(slot.generation) << 32 | index)
            .collect();
        tags.into_iter().filter_map(|tag| self.take(tag)).collect()
    }

    fn taken(&self) -> impl Iterator<Item = &Asking> {
        self.slots.iter().filter_map(|slot| slot.asking.as_ref())
    }
}

/// Rings when the first of many has waited too long. One timer a connection, set again only when it rings or when
/// somebody has less time than it shows: a call costs it a comparison.
#[derive(Default)]
struct Alarm {
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Rings at `until` at the latest.
    fn expect(&mut self, until: Instant) {
        if self.at.is_some_and(|at| at <= until) {
            return;
        }
        self.at = Some(until);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(until),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }

    /// Whether it rings; then it is not set any more.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let Some(sleep) = self.sleep.as_mut().filter(|_| self.at.is_some()) else { return false };
        if sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        self.at = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Bytes, String> {
        let said = |unread| match unread {
            Unread::Told(status) => status.message().to_owned(),
            Unread::Gone => "gone".to_owned(),
        };
        let mut message = Message::default();
        for piece in pieces {
            message.push(Bytes::copy_from_slice(piece));
            message.check().map_err(|refusal| refusal.message.into_owned())?;
        }
        message.finish().map_err(said)
    }

    #[test]
    fn a_message_may_come_in_any_pieces() {
        let whole = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(read(&pieces).as_deref(), Ok(&b"abc"[..]), "{pieces:?}");
            }
        }
        assert_eq!(read(&[&[0; 5]]).as_deref(), Ok(&b""[..]), "a message without fields");
    }

    #[test]
    fn what_is_no_message_is_said() {
        let said = |pieces: &[&[u8]]| read(pieces).expect_err("no message");
        assert!(said(&[]).contains("before its message"));
        assert!(said(&[&[0, 0, 0]]).contains("before its message"));
        assert!(said(&[&[0, 0, 0, 0, 2, b'a']]).contains("inside its message"));
        assert!(said(&[&[1, 0, 0, 0, 1, b'a']]).contains("compressed"));
        assert!(said(&[&[0, 0, 0, 0, 1, b'a'], &[0]]).contains("more came"));
        // Refused as soon as it is announced.
        assert!(said(&[&[0, 0xff, 0xff, 0xff, 0xff]]).contains("larger"));
    }
}
