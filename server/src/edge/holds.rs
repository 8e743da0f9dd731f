//! The unary calls on a hold: what each asks of the engine, and how the answer is told.
//!
//! Not here: how a message came in and how its answer goes out (`calls.rs`, `inventory.rs`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::{Answer, Done, Engine, EventView, Lost, Refused};
use inventory_core::{
    change::HoldView,
    command::Command,
    ids::{EventKey, HoldId, TimestampMs},
};
use prost::{DecodeError, Message};
use proto::inventory::v1 as wire;

use super::{
    carts::event_name,
    convert,
    inventory::{find, refuse_other_future},
    refusal::{Asked, Refusable, Refusal},
};

/// Bytes that a small command stands for in the count of what is in flight.
pub(crate) const COMMAND_BYTES: usize = 512;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldCall {
    /// `Hold`.
    Hold,
    /// `ExtendHold`.
    Extend,
    /// `BeginPayment`.
    BeginPayment,
    /// `EndPayment`.
    EndPayment,
    /// `ConfirmHold`.
    Confirm,
    /// `ReleaseHold`.
    Release,
    /// `GetHold`.
    Get,
}

/// A call that is ready for the engine.
pub(crate) struct Begun {
    /// The event it is about.
    pub(crate) key: EventKey,
    /// What is asked.
    pub(crate) command: Command,
    /// What it stands for in the count of bytes in flight.
    pub(crate) bytes: usize,
    /// What its answer needs.
    pub(crate) question: Question,
}

/// What is kept of a call until it is answered.
pub(crate) struct Question {
    event: Arc<EventView>,
    hold_id: HoldId,
    asked: Asked,
    /// The position the caller has seen already.
    min_position: u64,
}

/// What a command on a hold came to.
pub(crate) struct HoldDone {
    event: Arc<EventView>,
    view: HoldView,
    replayed: bool,
    position: u64,
    time: TimestampMs,
}

impl HoldCall {
    /// The call with this path.
    pub(crate) fn of_path(path: &str) -> Option<HoldCall> {
        Some(match path.strip_prefix("/usher.inventory.v1.InventoryService/")? {
            "Hold" => HoldCall::Hold,
            "ExtendHold" => HoldCall::Extend,
            "BeginPayment" => HoldCall::BeginPayment,
            "EndPayment" => HoldCall::EndPayment,
            "ConfirmHold" => HoldCall::Confirm,
            "ReleaseHold" => HoldCall::Release,
            "GetHold" => HoldCall::Get,
            _ => return None,
        })
    }

    /// Reads the message and makes the command of it.
    pub(crate) fn begin(self, engine: &Engine, message: Bytes) -> Result<Refusable<Begun>, DecodeError> {
        Ok(match self {
            HoldCall::Hold => hold(engine, wire::HoldRequest::decode(message)?),
            HoldCall::Extend => extend(engine, &wire::ExtendHoldRequest::decode(message)?),
            HoldCall::BeginPayment => begin_payment(engine, &wire::BeginPaymentRequest::decode(message)?),
            HoldCall::EndPayment => end_payment(engine, &wire::EndPaymentRequest::decode(message)?),
            HoldCall::Confirm => confirm(engine, wire::ConfirmHoldRequest::decode(message)?),
            HoldCall::Release => release(engine, wire::ReleaseHoldRequest::decode(message)?),
            HoldCall::Get => get(engine, &wire::GetHoldRequest::decode(message)?),
        })
    }

    /// Appends the message that tells what was done.
    pub(crate) fn tell(self, engine: &Engine, done: &HoldDone, buffer: &mut BytesMut) {
        match self {
            HoldCall::Hold => append(&held(engine, done), buffer),
            HoldCall::Extend => append(&extended(engine, done), buffer),
            HoldCall::BeginPayment => append(&payment_begun(engine, done), buffer),
            HoldCall::EndPayment => append(&payment_ended(engine, done), buffer),
            HoldCall::Confirm => append(&confirmed(engine, done), buffer),
            HoldCall::Release => append(&released(engine, done), buffer),
            HoldCall::Get => append(&got(engine, done), buffer),
        }
    }
}

/// A message with the five bytes that go before it.
fn append(message: &impl Message, buffer: &mut BytesMut) {
    use bytes::BufMut as _;
    let len = message.encoded_len();
    buffer.reserve(5 + len);
    // Not compressed.
    buffer.put_u8(0);
    // An answer is far below 4 GiB.
    buffer.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    message.encode_raw(buffer);
}

impl HoldDone {
    fn hold(&self, engine: &Engine) -> wire::Hold {
        let names = |key| event_name(engine, key);
        convert::hold_message(self.event.id().as_str(), &self.view, self.time, names)
    }

    fn seat_labels(&self) -> Vec<String> {
        convert::seat_keys(&self.view, &self.event.info())
    }
}

impl Question {
    fn of(event: Arc<EventView>, hold_id: HoldId) -> Question {
        Question { event, hold_id, asked: Asked::default(), min_position: 0 }
    }

    fn begun(self, command: Command) -> Begun {
        Begun { key: self.event.key(), command, bytes: COMMAND_BYTES, question: self }
    }

    /// What the engine's answer means.
    pub(crate) fn answered(self, answer: Result<Answer, Lost>) -> Refusable<HoldDone> {
        let Ok(Answer { result, position, time }) = answer else { return Err(Refusal::storage_failed()) };
        let refused = match result {
            Ok(Done::Hold { view, replayed }) => {
                let position = position.max(self.min_position);
                return Ok(HoldDone { event: self.event, view, replayed, position, time });
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
        if refused == Refused::Internal {
            tracing::error!(hold_ref = convert::hold_ref(self.hold_id), "a command met a fault and was set aside");
        }
        let mut refusal = Refusal::of_refused(refused, self.asked);
        refusal.position = position;
        refusal.time_ms = time.0;
        Err(refusal)
    }

    /// What the caller asked, for a refusal without an answer.
    pub(crate) fn asked(&self) -> Asked {
        self.asked
    }
}

/// A Hold for the engine.
pub(crate) fn hold(engine: &Engine, mut request: wire::HoldRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let hold_id = match request.hold_id.as_str() {
        "" => convert::new_hold_id(engine.clock().now())?,
        text => convert::hold_id(text)?,
    };
    let bytes = COMMAND_BYTES + 4 * request.seats.len() + 64 * request.seat_keys.len();
    let event_id = std::mem::take(&mut request.event_id);
    let (hold, asked) = convert::hold(request, hold_id)?;
    let event = find(engine, &event_id, asked)?;
    let question = Question { asked, ..Question::of(event, hold_id) };
    Ok(Begun { bytes, ..question.begun(Command::Hold(Box::new(hold))) })
}

/// The answer to a Hold.
pub(crate) fn held(engine: &Engine, done: &HoldDone) -> wire::HoldResponse {
    wire::HoldResponse {
        hold: Some(done.hold(engine)),
        arrangement: convert::arrangement(done.view.arrangement) as i32,
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
        seat_labels: done.seat_labels(),
    }
}

/// An ExtendHold for the engine.
pub(crate) fn extend(engine: &Engine, request: &wire::ExtendHoldRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let extend = convert::extend(request)?;
    let question = Question::of(find(engine, &request.event_id, Asked::default())?, extend.hold_id);
    Ok(question.begun(Command::Extend(extend)))
}

/// The answer to an ExtendHold.
pub(crate) fn extended(engine: &Engine, done: &HoldDone) -> wire::ExtendHoldResponse {
    wire::ExtendHoldResponse {
        hold: Some(done.hold(engine)),
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
    }
}

/// A BeginPayment for the engine.
pub(crate) fn begin_payment(engine: &Engine, request: &wire::BeginPaymentRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let begin = convert::begin_payment(request)?;
    let question = Question::of(find(engine, &request.event_id, Asked::default())?, begin.hold_id);
    Ok(question.begun(Command::BeginPayment(begin)))
}

/// The answer to a BeginPayment.
pub(crate) fn payment_begun(engine: &Engine, done: &HoldDone) -> wire::BeginPaymentResponse {
    wire::BeginPaymentResponse {
        hold: Some(done.hold(engine)),
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
    }
}

/// An EndPayment for the engine.
pub(crate) fn end_payment(engine: &Engine, request: &wire::EndPaymentRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let end = convert::end_payment(request)?;
    let question = Question::of(find(engine, &request.event_id, Asked::default())?, end.hold_id);
    Ok(question.begun(Command::EndPayment(end)))
}

/// The answer to an EndPayment.
pub(crate) fn payment_ended(engine: &Engine, done: &HoldDone) -> wire::EndPaymentResponse {
    wire::EndPaymentResponse {
        hold: Some(done.hold(engine)),
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
    }
}

/// A ConfirmHold for the engine.
pub(crate) fn confirm(engine: &Engine, mut request: wire::ConfirmHoldRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let event_id = std::mem::take(&mut request.event_id);
    let (confirm, asked, event) = convert::confirm(request, |asked| find(engine, &event_id, asked))?;
    let question = Question { asked, ..Question::of(event, confirm.hold_id) };
    Ok(question.begun(Command::Confirm(Box::new(confirm))))
}

/// The answer to a ConfirmHold.
pub(crate) fn confirmed(engine: &Engine, done: &HoldDone) -> wire::ConfirmHoldResponse {
    wire::ConfirmHoldResponse {
        hold: Some(done.hold(engine)),
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
        seat_labels: done.seat_labels(),
    }
}

/// A ReleaseHold for the engine.
pub(crate) fn release(engine: &Engine, mut request: wire::ReleaseHoldRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let event_id = std::mem::take(&mut request.event_id);
    let (release, asked, event) = convert::release(request, |asked| find(engine, &event_id, asked))?;
    let question = Question { asked, ..Question::of(event, release.hold_id) };
    Ok(question.begun(Command::Release(Box::new(release))))
}

/// The answer to a ReleaseHold.
pub(crate) fn released(engine: &Engine, done: &HoldDone) -> wire::ReleaseHoldResponse {
    wire::ReleaseHoldResponse {
        hold: Some(done.hold(engine)),
        replayed: done.replayed,
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
    }
}

/// A GetHold for the engine.
pub(crate) fn get(engine: &Engine, request: &wire::GetHoldRequest) -> Refusable<Begun> {
    convert::event_id(&request.event_id)?;
    let hold_id = convert::hold_id(&request.hold_id)?;
    refuse_other_future(engine, request.incarnation, request.min_position)?;
    let event = find(engine, &request.event_id, Asked::default())?;
    // The shard has applied everything durable before it answers.
    let question = Question { min_position: request.min_position, ..Question::of(event, hold_id) };
    Ok(question.begun(Command::GetHold(hold_id)))
}

/// The answer to a GetHold.
pub(crate) fn got(engine: &Engine, done: &HoldDone) -> wire::GetHoldResponse {
    wire::GetHoldResponse {
        hold: Some(done.hold(engine)),
        position: done.position,
        incarnation: engine.incarnation(),
        server_time_ms: done.time.0,
        seat_labels: done.seat_labels(),
    }
}
