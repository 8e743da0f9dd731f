use std::time::Duration;

use proto::inventory::v1::{
    self as v1, Arrangement, BestAvailable, GaItem, PaymentOutcome, Remainder, SessionBeginPayment, SessionConfirm,
    SessionEndPayment, SessionExtend, SessionHold, SessionRelease,
};

use crate::ids::{AttemptId, HoldId, HoldRef, RequestId, customer_key, event_key};

/// Places to take for a limited time: general admission, then seats named, then best available, all or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoldRequest {
    pub(crate) event_id: String,
    pub(crate) id: Option<HoldId>,
    pub(crate) seats: Vec<u32>,
    pub(crate) seat_keys: Vec<String>,
    pub(crate) ga: Vec<GaItem>,
    pub(crate) best_available: Option<BestAvailable>,
    pub(crate) ticket_types: Vec<u32>,
    pub(crate) customer: String,
    pub(crate) allocation_keys: Vec<String>,
    pub(crate) include_unallocated: bool,
    pub(crate) ttl_ms: u64,
    pub(crate) replace: Option<HoldId>,
    pub(crate) plan_revision: u32,
    pub(crate) admission_token: String,
}

impl HoldRequest {
    /// Of an event; add what to take.
    pub fn new(event_id: impl Into<String>) -> Self {
        Self { event_id: event_id.into(), ..Self::default() }
    }

    /// Under this id instead of one the client makes: to send an earlier request again.
    #[must_use]
    pub fn id(mut self, id: HoldId) -> Self {
        self.id = Some(id);
        self
    }

    /// These seats, by index.
    #[must_use]
    pub fn seats(mut self, seats: impl IntoIterator<Item = u32>) -> Self {
        self.seats.extend(seats);
        self
    }

    /// These seats, by key. The request then travels as a unary call.
    #[must_use]
    pub fn seat_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seat_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// So many admissions to the area with this index.
    #[must_use]
    pub fn ga(self, area: u32, quantity: u32) -> Self {
        self.ga_item(GaItem { area, quantity, ..GaItem::default() })
    }

    /// Admissions, every detail given. With an area key the request travels as a unary call.
    #[must_use]
    pub fn ga_item(mut self, item: GaItem) -> Self {
        self.ga.push(item);
        self
    }

    /// So many places of the server's choice.
    #[must_use]
    pub fn best_available(self, quantity: u32) -> Self {
        self.best_available_of(BestAvailable { quantity, ..BestAvailable::default() })
    }

    /// The server's choice, every filter given.
    #[must_use]
    pub fn best_available_of(mut self, best: BestAvailable) -> Self {
        self.best_available = Some(best);
        self
    }

    /// The ticket type of each seat: those named first, then those chosen.
    #[must_use]
    pub fn ticket_types(mut self, types: impl IntoIterator<Item = u32>) -> Self {
        self.ticket_types.extend(types);
        self
    }

    /// The seller's own text for the customer, never personal data.
    #[must_use]
    pub fn customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = customer.into();
        self
    }

    /// With the keys of these allocations, at most 16. Admissions are drawn from them in this order, then from general sale.
    #[must_use]
    pub fn allocation_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allocation_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// With allocation keys, let the server choose from general sale as well. Named seats and admissions may be of either
    /// anyway.
    #[must_use]
    pub fn include_unallocated(mut self) -> Self {
        self.include_unallocated = true;
        self
    }

    /// For so long instead of the event's time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = millis(ttl);
        self
    }

    /// In place of this hold, in one step; its timer goes on.
    #[must_use]
    pub fn replace(mut self, hold: HoldId) -> Self {
        self.replace = Some(hold);
        self
    }

    /// Indexes were read at this plan revision.
    #[must_use]
    pub fn plan_revision(mut self, revision: u32) -> Self {
        self.plan_revision = revision;
        self
    }

    /// With this admission of the waiting room.
    #[must_use]
    pub fn admission_token(mut self, token: impl Into<String>) -> Self {
        self.admission_token = token.into();
        self
    }

    pub(crate) fn needs_unary(&self) -> bool {
        !self.seat_keys.is_empty() || self.ga.iter().any(|item| !item.area_key.is_empty())
    }

    pub(crate) fn to_session(&self, id: HoldId) -> SessionHold {
        let (hold_id_hi, hold_id_lo) = id.halves();
        let (replace_hold_id_hi, replace_hold_id_lo) = self.replace.map_or((0, 0), HoldId::halves);
        SessionHold {
            event_key: event_key(&self.event_id),
            hold_id_hi,
            hold_id_lo,
            seats: self.seats.clone(),
            ga: self.ga.clone(),
            best_available: self.best_available.clone().map(Into::into),
            ticket_types: self.ticket_types.clone(),
            customer_key: customer_key(&self.customer),
            ttl_ms: self.ttl_ms,
            plan_revision: self.plan_revision,
            allocation_keys: self.allocation_keys.clone(),
            include_unallocated: self.include_unallocated,
            replace_hold_id_hi,
            replace_hold_id_lo,
            admission_token: self.admission_token.clone(),
        }
    }

    pub(crate) fn to_unary(&self, id: HoldId) -> v1::HoldRequest {
        v1::HoldRequest {
            event_id: self.event_id.clone(),
            hold_id: id.to_string(),
            seats: self.seats.clone(),
            seat_keys: self.seat_keys.clone(),
            ga: self.ga.clone(),
            best_available: self.best_available.clone(),
            ticket_types: self.ticket_types.clone(),
            customer: self.customer.clone(),
            allocation_keys: self.allocation_keys.clone(),
            include_unallocated: self.include_unallocated,
            ttl_ms: self.ttl_ms,
            replace_hold_id: self.replace.map_or_else(String::new, |hold| hold.to_string()),
            plan_revision: self.plan_revision,
            admission_token: self.admission_token.clone(),
        }
    }
}

/// Places held for one buyer.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The event.
    pub event_id: String,
    /// The id: the right to confirm and release.
    pub id: HoldId,
    /// Seats by index: those named in request order, then those chosen in plan order.
    pub seats: Vec<u32>,
    /// General admission.
    pub ga: Vec<GaItem>,
    /// When it ends, milliseconds since 1970 UTC by the server's clock.
    pub expires_at_ms: u64,
    /// How long it had left when the server answered.
    pub expires_in: Duration,
    /// How well a best available pick sits together.
    pub arrangement: Arrangement,
    /// The hold had been made by an earlier attempt.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

impl Held {
    /// The name to show to others.
    pub fn hold_ref(&self) -> HoldRef {
        self.id.hold_ref()
    }

    /// Places in the hold.
    pub fn place_count(&self) -> u64 {
        self.seats.len() as u64 + self.ga.iter().map(|item| u64::from(item.quantity)).sum::<u64>()
    }

    /// Sells all of it to an order.
    pub fn confirm(&self, order_ref: impl Into<String>) -> ConfirmRequest {
        ConfirmRequest::new(&self.event_id, self.id, order_ref)
    }

    /// Gives all of it back.
    pub fn release(&self) -> ReleaseRequest {
        ReleaseRequest::new(&self.event_id, self.id)
    }

    /// Moves its deadline.
    pub fn extend(&self, ttl: Duration) -> ExtendRequest {
        ExtendRequest::new(&self.event_id, self.id).ttl(ttl)
    }

    /// Begins a payment, before the buyer is sent to pay.
    pub fn begin_payment(&self) -> BeginPaymentRequest {
        BeginPaymentRequest::new(&self.event_id, self.id)
    }

    /// Ends a payment that has come to nothing.
    pub fn end_payment(&self, attempt: AttemptId, outcome: PaymentOutcome) -> EndPaymentRequest {
        EndPaymentRequest::new(&self.event_id, self.id, attempt, outcome)
    }
}

/// Held places to sell to an order.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmRequest {
    pub(crate) event_id: String,
    pub(crate) hold: HoldId,
    pub(crate) order_ref: String,
    pub(crate) seats: Vec<u32>,
    pub(crate) seat_keys: Vec<String>,
    pub(crate) ga: Vec<GaItem>,
    pub(crate) remainder: Remainder,
    pub(crate) allow_reclaim: bool,
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) plan_revision: u32,
}

impl ConfirmRequest {
    /// The whole hold.
    pub fn new(event_id: impl Into<String>, hold: HoldId, order_ref: impl Into<String>) -> Self {
        Self {
            event_id: event_id.into(),
            hold,
            order_ref: order_ref.into(),
            seats: Vec::new(),
            seat_keys: Vec::new(),
            ga: Vec::new(),
            remainder: Remainder::Unspecified,
            allow_reclaim: false,
            attempt: None,
            request_id: None,
            plan_revision: 0,
        }
    }

    /// Only these seats, and what becomes of the rest.
    #[must_use]
    pub fn only_seats(mut self, seats: impl IntoIterator<Item = u32>, remainder: Remainder) -> Self {
        self.seats.extend(seats);
        self.remainder = remainder;
        self
    }

    /// Only these seats, by key. The request then travels as a unary call.
    #[must_use]
    pub fn only_seat_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>, remainder: Remainder) -> Self {
        self.seat_keys.extend(keys.into_iter().map(Into::into));
        self.remainder = remainder;
        self
    }

    /// Only these admissions, and what becomes of the rest.
    #[must_use]
    pub fn only_ga(mut self, item: GaItem, remainder: Remainder) -> Self {
        self.ga.push(item);
        self.remainder = remainder;
        self
    }

    /// If the hold has expired, take the same places again and sell them if all are still open.
    #[must_use]
    pub fn allow_reclaim(mut self) -> Self {
        self.allow_reclaim = true;
        self
    }

    /// Paid by this attempt, which need not be open any more: a second payment for the hold is then never answered with
    /// the sale of the first, but refused with `refund_due`.
    #[must_use]
    pub fn attempt(mut self, attempt: AttemptId) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Under this request id instead of one the client makes: to send an earlier partial confirm again.
    #[must_use]
    pub fn request_id(mut self, id: RequestId) -> Self {
        self.request_id = Some(id);
        self
    }

    /// Indexes were read at this plan revision.
    #[must_use]
    pub fn plan_revision(mut self, revision: u32) -> Self {
        self.plan_revision = revision;
        self
    }

    pub(crate) fn is_partial(&self) -> bool {
        !(self.seats.is_empty() && self.seat_keys.is_empty() && self.ga.is_empty())
    }

    pub(crate) fn needs_unary(&self) -> bool {
        !self.seat_keys.is_empty() || self.ga.iter().any(|item| !item.area_key.is_empty())
    }

    pub(crate) fn to_session(&self) -> SessionConfirm {
        let (hold_id_hi, hold_id_lo) = self.hold.halves();
        let (request_id_hi, request_id_lo) = self.request_id.map_or((0, 0), RequestId::halves);
        let (attempt_id_hi, attempt_id_lo) = self.attempt.map_or((0, 0), AttemptId::halves);
        SessionConfirm {
            event_key: event_key(&self.event_id),
            hold_id_hi,
            hold_id_lo,
            order_ref: self.order_ref.clone(),
            seats: self.seats.clone(),
            ga: self.ga.clone(),
            remainder: self.remainder as i32,
            allow_reclaim: self.allow_reclaim,
            request_id_hi,
            request_id_lo,
            plan_revision: self.plan_revision,
            attempt_id_hi,
            attempt_id_lo,
        }
    }

    pub(crate) fn to_unary(&self) -> v1::ConfirmHoldRequest {
        v1::ConfirmHoldRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.to_string(),
            request_id: self.request_id.map_or_else(String::new, |id| id.to_string()),
            order_ref: self.order_ref.clone(),
            seats: self.seats.clone(),
            ga: self.ga.clone(),
            remainder: self.remainder as i32,
            allow_reclaim: self.allow_reclaim,
            attempt_id: self.attempt.map_or_else(String::new, |id| id.to_string()),
            seat_keys: self.seat_keys.clone(),
            plan_revision: self.plan_revision,
        }
    }
}

/// Places sold.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// Seats sold out of this hold.
    pub seats: Vec<u32>,
    /// Admissions sold out of this hold.
    pub ga: Vec<GaItem>,
    /// The confirm had been done by an earlier attempt.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// Held places to give back.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseRequest {
    pub(crate) event_id: String,
    pub(crate) hold: HoldId,
    pub(crate) seats: Vec<u32>,
    pub(crate) seat_keys: Vec<String>,
    pub(crate) ga: Vec<GaItem>,
    pub(crate) abort_payment: bool,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) plan_revision: u32,
}

impl ReleaseRequest {
    /// The whole hold.
    pub fn new(event_id: impl Into<String>, hold: HoldId) -> Self {
        Self {
            event_id: event_id.into(),
            hold,
            seats: Vec::new(),
            seat_keys: Vec::new(),
            ga: Vec::new(),
            abort_payment: false,
            request_id: None,
            plan_revision: 0,
        }
    }

    /// Also while a payment is open, which this ends.
    #[must_use]
    pub fn abort_payment(mut self) -> Self {
        self.abort_payment = true;
        self
    }

    /// Only these seats.
    #[must_use]
    pub fn only_seats(mut self, seats: impl IntoIterator<Item = u32>) -> Self {
        self.seats.extend(seats);
        self
    }

    /// Only these seats, by key. The request then travels as a unary call.
    #[must_use]
    pub fn only_seat_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seat_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Only these admissions.
    #[must_use]
    pub fn only_ga(mut self, item: GaItem) -> Self {
        self.ga.push(item);
        self
    }

    /// Under this request id instead of one the client makes: to send an earlier partial release again.
    #[must_use]
    pub fn request_id(mut self, id: RequestId) -> Self {
        self.request_id = Some(id);
        self
    }

    /// Indexes were read at this plan revision.
    #[must_use]
    pub fn plan_revision(mut self, revision: u32) -> Self {
        self.plan_revision = revision;
        self
    }

    pub(crate) fn is_partial(&self) -> bool {
        !(self.seats.is_empty() && self.seat_keys.is_empty() && self.ga.is_empty())
    }

    pub(crate) fn needs_unary(&self) -> bool {
        !self.seat_keys.is_empty() || self.ga.iter().any(|item| !item.area_key.is_empty())
    }

    pub(crate) fn to_session(&self) -> SessionRelease {
        let (hold_id_hi, hold_id_lo) = self.hold.halves();
        let (request_id_hi, request_id_lo) = self.request_id.map_or((0, 0), RequestId::halves);
        SessionRelease {
            event_key: event_key(&self.event_id),
            hold_id_hi,
            hold_id_lo,
            seats: self.seats.clone(),
            ga: self.ga.clone(),
            request_id_hi,
            request_id_lo,
            plan_revision: self.plan_revision,
            abort_payment: self.abort_payment,
        }
    }

    pub(crate) fn to_unary(&self) -> v1::ReleaseHoldRequest {
        v1::ReleaseHoldRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.to_string(),
            request_id: self.request_id.map_or_else(String::new, |id| id.to_string()),
            seats: self.seats.clone(),
            ga: self.ga.clone(),
            abort_payment: self.abort_payment,
            seat_keys: self.seat_keys.clone(),
            plan_revision: self.plan_revision,
        }
    }
}

/// Places given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The release had been done by an earlier attempt.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// A hold as it is at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldRead {
    /// The hold.
    pub hold: proto::inventory::v1::Hold,
    /// The position this is true at.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// A hold whose deadline is to move to now + ttl.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendRequest {
    pub(crate) event_id: String,
    pub(crate) hold: HoldId,
    pub(crate) ttl_ms: u64,
    pub(crate) request_id: Option<RequestId>,
}

impl ExtendRequest {
    /// By the event's own time to live.
    pub fn new(event_id: impl Into<String>, hold: HoldId) -> Self {
        Self { event_id: event_id.into(), hold, ttl_ms: 0, request_id: None }
    }

    /// By this time from now.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = millis(ttl);
        self
    }

    /// Under this request id instead of one the client makes: to send an earlier extension again.
    #[must_use]
    pub fn request_id(mut self, id: RequestId) -> Self {
        self.request_id = Some(id);
        self
    }

    pub(crate) fn to_session(&self, id: RequestId) -> SessionExtend {
        let (hold_id_hi, hold_id_lo) = self.hold.halves();
        let (request_id_hi, request_id_lo) = id.halves();
        SessionExtend {
            event_key: event_key(&self.event_id),
            hold_id_hi,
            hold_id_lo,
            ttl_ms: self.ttl_ms,
            request_id_hi,
            request_id_lo,
        }
    }

    pub(crate) fn to_unary(&self, id: RequestId) -> v1::ExtendHoldRequest {
        v1::ExtendHoldRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.to_string(),
            request_id: id.to_string(),
            ttl_ms: self.ttl_ms,
        }
    }
}

/// A hold with its new deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// When it ends, milliseconds since 1970 UTC by the server's clock.
    pub expires_at_ms: u64,
    /// How long it had left when the server answered.
    pub expires_in: Duration,
    /// The extension had been done by an earlier attempt.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// A payment to begin on a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct BeginPaymentRequest {
    pub(crate) event_id: String,
    pub(crate) hold: HoldId,
    pub(crate) attempt: Option<AttemptId>,
}

impl BeginPaymentRequest {
    /// A new attempt.
    pub fn new(event_id: impl Into<String>, hold: HoldId) -> Self {
        Self { event_id: event_id.into(), hold, attempt: None }
    }

    /// Under this name instead of one the client makes: to keep it before sending, or to send an earlier request again.
    #[must_use]
    pub fn attempt(mut self, attempt: AttemptId) -> Self {
        self.attempt = Some(attempt);
        self
    }

    pub(crate) fn to_session(&self, attempt: AttemptId) -> SessionBeginPayment {
        let (hold_id_hi, hold_id_lo) = self.hold.halves();
        let (attempt_id_hi, attempt_id_lo) = attempt.halves();
        let event_key = event_key(&self.event_id);
        SessionBeginPayment { event_key, hold_id_hi, hold_id_lo, attempt_id_hi, attempt_id_lo }
    }

    pub(crate) fn to_unary(&self, attempt: AttemptId) -> v1::BeginPaymentRequest {
        v1::BeginPaymentRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.to_string(),
            attempt_id: attempt.to_string(),
        }
    }
}

/// A payment that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentBegun {
    /// Its name, for the confirm or the end.
    pub attempt: AttemptId,
    /// When it must have ended, milliseconds since 1970 UTC by the server's clock. 0: the attempt is an old one, and no
    /// payment is open on the hold now.
    pub payment_deadline_ms: u64,
    /// When the hold ends once no payment is open, milliseconds since 1970 UTC.
    pub expires_at_ms: u64,
    /// Time to the deadline of the payment when the server answered; when none is open, to the end of the hold.
    pub expires_in: Duration,
    /// The attempt had been begun before; these are the times of the hold as it is now.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// A payment that has come to nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct EndPaymentRequest {
    pub(crate) event_id: String,
    pub(crate) hold: HoldId,
    pub(crate) attempt: AttemptId,
    pub(crate) outcome: PaymentOutcome,
}

impl EndPaymentRequest {
    /// Of this attempt.
    pub fn new(event_id: impl Into<String>, hold: HoldId, attempt: AttemptId, outcome: PaymentOutcome) -> Self {
        Self { event_id: event_id.into(), hold, attempt, outcome }
    }

    pub(crate) fn to_session(&self) -> SessionEndPayment {
        let (hold_id_hi, hold_id_lo) = self.hold.halves();
        let (attempt_id_hi, attempt_id_lo) = self.attempt.halves();
        SessionEndPayment {
            event_key: event_key(&self.event_id),
            hold_id_hi,
            hold_id_lo,
            attempt_id_hi,
            attempt_id_lo,
            outcome: self.outcome as i32,
        }
    }

    pub(crate) fn to_unary(&self) -> v1::EndPaymentRequest {
        v1::EndPaymentRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.to_string(),
            attempt_id: self.attempt.to_string(),
            outcome: self.outcome as i32,
        }
    }
}

/// A hold after the end of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentEnded {
    /// When the hold ends, milliseconds since 1970 UTC by the server's clock.
    pub expires_at_ms: u64,
    /// How long it had left when the server answered.
    pub expires_in: Duration,
    /// The deadline of another attempt that is open, milliseconds since 1970 UTC. 0: none is.
    pub payment_deadline_ms: u64,
    /// The attempt had ended before.
    pub replayed: bool,
    /// Position of the change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_allocations_travel_on_both_lanes_in_their_order() {
        let request = HoldRequest::new("e").best_available(2).allocation_keys(["fans", "press"]).include_unallocated();
        assert!(!request.needs_unary());
        let id: HoldId = "01934b2e-7f00-7abc-8def-0123456789ab".parse().expect("an id");
        let (session, unary) = (request.to_session(id), request.to_unary(id));
        assert_eq!(session.allocation_keys, ["fans", "press"]);
        assert_eq!((&unary.allocation_keys, unary.include_unallocated), (&session.allocation_keys, true));
        assert!(session.include_unallocated);
    }
}
