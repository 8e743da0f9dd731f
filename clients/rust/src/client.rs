use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::{self as v1, Arrangement, Executed, Hold, Reason, SessionGetHold, SessionResponse};
use tonic::transport::Channel;

use crate::batch::{BatchAnswer, HoldBatch, ResolveBatch};
use crate::cart::{CartRequest, ConfirmCartRequest, ConfirmedCart, HeldCart, ReleaseCartRequest};
use crate::clock::ServerClock;
use crate::config::{Config, Lane};
use crate::connection::Pool;
use crate::error::Error;
use crate::ids::{HoldId, IdMaker, event_key};
use crate::raw::RawSession;
use crate::request::{
    BeginPaymentRequest, ConfirmRequest, Confirmed, EndPaymentRequest, ExtendRequest, Extended, Held, HoldRead,
    HoldRequest, PaymentBegun, PaymentEnded, ReleaseRequest, Released,
};
use crate::retry::{Attempts, Budget};
use crate::session::SessionLane;
use crate::unary::Unary;

/// A client of one inventory server, or of several with the same data. Cheap to clone; clones share connections,
/// Sessions, the clock and the retry budget. It belongs to the tokio runtime it was made on.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    pool: Pool,
    lanes: Vec<SessionLane>,
    lane_next: AtomicUsize,
    clock: Arc<ServerClock>,
    ids: IdMaker,
    budget: Budget,
}

impl Client {
    /// A client whose connections are made when they are first used. Must be called on a tokio runtime.
    pub fn lazy(config: Config) -> Result<Self, Error> {
        let pool = Pool::new(&config)?;
        let clock = Arc::new(ServerClock::new());
        let lane = |index| {
            SessionLane::new(
                pool.get(index),
                config.client_name.clone(),
                config.session_in_flight_max,
                config.connect_timeout,
                Arc::clone(&clock),
            )
        };
        let lanes = (0..pool.len()).map(lane).collect();
        let ids = IdMaker::new(Arc::clone(&clock));
        let budget = Budget::new(&config.retry);
        Ok(Self(Arc::new(Inner { config, pool, lanes, lane_next: AtomicUsize::new(0), clock, ids, budget })))
    }

    /// A client that has reached the server and knows its time.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let client = Self::lazy(config)?;
        client.attempts(|_| client.raw_session(0)).await?;
        Ok(client)
    }

    /// Makes ids from the server's time, for callers that send them later or keep them.
    pub fn ids(&self) -> &IdMaker {
        &self.0.ids
    }

    /// The server's clock as far as its answers told.
    pub fn clock(&self) -> &Arc<ServerClock> {
        &self.0.clock
    }

    /// Every call of all services as it is in the proto files.
    pub fn unary(&self) -> Unary<'_> {
        Unary::new(self)
    }

    /// Opens a Session of its own on the connection with this index (modulo their number). No retries.
    pub async fn raw_session(&self, connection: usize) -> Result<RawSession, Error> {
        let inner = &self.0;
        let open = RawSession::open(inner.pool.get(connection), &inner.config.client_name, Arc::clone(&inner.clock));
        tokio::time::timeout(inner.config.connect_timeout, open)
            .await
            .unwrap_or_else(|_| Err(Error::transport("the Session did not open in time")))
    }

    /// Takes places. Whatever happens to the connection on the way, the request takes them once.
    pub async fn hold(&self, request: HoldRequest) -> Result<Held, Error> {
        let id = request.id.unwrap_or_else(|| self.0.ids.hold_id());
        let (result, unknown_before) = self.hold_as(&request, id).await;
        match result {
            // The id was made by the local clock, before the server's was known, and is out of its window: the
            // refusal told the time, and since no attempt can have been executed a new id is safe.
            Err(error) if request.id.is_none() && !unknown_before && id_is_untimely(&error) => {
                self.hold_as(&request, self.0.ids.hold_id()).await.0
            }
            result => result,
        }
    }

    async fn hold_as(&self, request: &HoldRequest, id: HoldId) -> (Result<Held, Error>, bool) {
        let event_id = &request.event_id;
        if self.goes_unary(request.needs_unary()) {
            let message = request.to_unary(id);
            let inner = &self.0;
            let mut attempts = Attempts::new(&inner.config.retry, &inner.budget);
            let result = self
                .attempts_of(&mut attempts, |timeout| {
                    let mut stub = v1::inventory_service_client::InventoryServiceClient::new(inner.pool.next());
                    let mut request = tonic::Request::new(message.clone());
                    request.set_timeout(timeout);
                    async move {
                        let answer = stub.hold(request).await.map_err(|status| Error::from_status(&status))?;
                        held_of_unary(event_id, id, answer.into_inner())
                    }
                })
                .await;
            if let Ok(held) = &result {
                inner.clock.learn(held.server_time_ms);
            }
            (result, attempts.unknown_before)
        } else {
            let mut attempts = Attempts::new(&self.0.config.retry, &self.0.budget);
            let command = Command::Hold(request.to_session(id));
            let result = self.session_attempts(&mut attempts, command).await;
            (result.map(|answer| held_of_session(event_id, id, answer)), attempts.unknown_before)
        }
    }

    /// Takes places for many holds of one event, each by itself. Whatever happens to the connection on the way, each is
    /// held once.
    ///
    /// # Errors
    /// The batch as a whole was refused, and nothing of it was done, or nothing is known of it. What is refused of it is
    /// in the answer.
    pub async fn hold_batch(&self, batch: HoldBatch) -> Result<BatchAnswer, Error> {
        let count = batch.len();
        self.batch(batch.into_command(), count).await
    }

    /// Sells or gives back many holds of one event, each by itself.
    ///
    /// # Errors
    /// As with [`Client::hold_batch`].
    pub async fn resolve_batch(&self, batch: ResolveBatch) -> Result<BatchAnswer, Error> {
        let count = batch.len();
        self.batch(batch.into_command(), count).await
    }

    /// Batches travel on Sessions only.
    async fn batch(&self, command: Command, count: usize) -> Result<BatchAnswer, Error> {
        let mut attempts = Attempts::new(&self.0.config.retry, &self.0.budget);
        let answer = self.session_attempts(&mut attempts, command).await?;
        Ok(BatchAnswer::read(&answer, count))
    }

    /// Sells held places to an order.
    pub async fn confirm(&self, mut request: ConfirmRequest) -> Result<Confirmed, Error> {
        if request.is_partial() && request.request_id.is_none() {
            request.request_id = Some(self.0.ids.request_id());
        }
        if self.goes_unary(request.needs_unary()) {
            let answer = self.unary().confirm_hold(request.to_unary()).await?;
            let hold = answer.hold.unwrap_or_default();
            return Ok(Confirmed {
                seats: hold.sold_seats,
                ga: hold.sold_ga,
                replayed: answer.replayed,
                position: answer.position,
                server_time_ms: answer.server_time_ms,
            });
        }
        let answer = self.session(Command::Confirm(request.to_session())).await?;
        Ok(Confirmed {
            seats: answer.seats,
            ga: answer.ga,
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
        })
    }

    /// Gives held places back.
    pub async fn release(&self, mut request: ReleaseRequest) -> Result<Released, Error> {
        if request.is_partial() && request.request_id.is_none() {
            request.request_id = Some(self.0.ids.request_id());
        }
        if self.goes_unary(request.needs_unary()) {
            let answer = self.unary().release_hold(request.to_unary()).await?;
            return Ok(Released {
                replayed: answer.replayed,
                position: answer.position,
                server_time_ms: answer.server_time_ms,
            });
        }
        let answer = self.session(Command::Release(request.to_session())).await?;
        Ok(Released { replayed: answer.replayed, position: answer.position, server_time_ms: answer.server_time_ms })
    }

    /// Moves the deadline of a hold.
    pub async fn extend(&self, request: ExtendRequest) -> Result<Extended, Error> {
        let id = request.request_id.unwrap_or_else(|| self.0.ids.request_id());
        if self.goes_unary(false) {
            let answer = self.unary().extend_hold(request.to_unary(id)).await?;
            let hold = answer.hold.unwrap_or_default();
            return Ok(Extended {
                expires_at_ms: hold.expires_at_ms,
                expires_in: Duration::from_millis(hold.expires_in_ms),
                replayed: answer.replayed,
                position: answer.position,
                server_time_ms: answer.server_time_ms,
            });
        }
        let answer = self.session(Command::Extend(request.to_session(id))).await?;
        Ok(Extended {
            expires_at_ms: answer.expires_at_ms,
            expires_in: Duration::from_millis(answer.expires_in_ms),
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
        })
    }

    /// Begins a payment: the hold outlives its own deadline while it is open. Whatever happens to the connection on the
    /// way, the attempt is begun once.
    pub async fn begin_payment(&self, request: BeginPaymentRequest) -> Result<PaymentBegun, Error> {
        let attempt = request.attempt.unwrap_or_else(|| self.0.ids.attempt_id());
        if self.goes_unary(false) {
            let answer = self.unary().begin_payment(request.to_unary(attempt)).await?;
            let hold = answer.hold.unwrap_or_default();
            return Ok(PaymentBegun {
                attempt,
                payment_deadline_ms: hold.payment_deadline_ms,
                expires_at_ms: hold.expires_at_ms,
                expires_in: Duration::from_millis(hold.expires_in_ms),
                replayed: answer.replayed,
                position: answer.position,
                server_time_ms: answer.server_time_ms,
            });
        }
        let answer = self.session(Command::BeginPayment(request.to_session(attempt))).await?;
        Ok(PaymentBegun {
            attempt,
            payment_deadline_ms: answer.payment_deadline_ms,
            expires_at_ms: answer.expires_at_ms,
            expires_in: Duration::from_millis(answer.expires_in_ms),
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
        })
    }

    /// Ends a payment that has come to nothing.
    pub async fn end_payment(&self, request: EndPaymentRequest) -> Result<PaymentEnded, Error> {
        if self.goes_unary(false) {
            let answer = self.unary().end_payment(request.to_unary()).await?;
            let hold = answer.hold.unwrap_or_default();
            return Ok(PaymentEnded {
                expires_at_ms: hold.expires_at_ms,
                expires_in: Duration::from_millis(hold.expires_in_ms),
                payment_deadline_ms: hold.payment_deadline_ms,
                replayed: answer.replayed,
                position: answer.position,
                server_time_ms: answer.server_time_ms,
            });
        }
        let answer = self.session(Command::EndPayment(request.to_session())).await?;
        Ok(PaymentEnded {
            expires_at_ms: answer.expires_at_ms,
            expires_in: Duration::from_millis(answer.expires_in_ms),
            payment_deadline_ms: answer.payment_deadline_ms,
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
        })
    }

    /// Takes places in several events, all or nothing. Whatever happens to the connection on the way, the request takes
    /// them once. Carts travel as unary calls.
    pub async fn hold_many(&self, request: CartRequest) -> Result<HeldCart, Error> {
        let id = request.id.unwrap_or_else(|| self.0.ids.hold_id());
        let (result, unknown_before) = self.hold_many_as(&request, id).await;
        match result {
            // As with a hold: the refusal told the time, and no attempt can have been executed.
            Err(error) if request.id.is_none() && !unknown_before && id_is_untimely(&error) => {
                self.hold_many_as(&request, self.0.ids.hold_id()).await.0
            }
            result => result,
        }
    }

    async fn hold_many_as(&self, request: &CartRequest, id: HoldId) -> (Result<HeldCart, Error>, bool) {
        let message = match request.to_wire(id) {
            Ok(message) => message,
            Err(error) => return (Err(error), false),
        };
        let inner = &self.0;
        let mut attempts = Attempts::new(&inner.config.retry, &inner.budget);
        let result = self
            .attempts_of(&mut attempts, |timeout| {
                let mut stub = v1::cart_service_client::CartServiceClient::new(inner.pool.next());
                let mut request = tonic::Request::new(message.clone());
                request.set_timeout(timeout);
                async move {
                    let answer = stub.hold_many(request).await.map_err(|status| Error::from_status(&status))?;
                    HeldCart::read(id, answer.into_inner())
                }
            })
            .await;
        match &result {
            Ok(held) => inner.clock.learn(held.server_time_ms),
            Err(error) => {
                if let Some(refusal) = error.refusal() {
                    inner.clock.learn(refusal.server_time_ms);
                }
            }
        }
        (result, attempts.unknown_before)
    }

    /// Sells all of a cart to an order.
    pub async fn confirm_many(&self, request: ConfirmCartRequest) -> Result<ConfirmedCart, Error> {
        Ok(ConfirmedCart::read(self.unary().confirm_many(request.to_wire()).await?))
    }

    /// Gives all of a cart back.
    pub async fn release_many(&self, request: ReleaseCartRequest) -> Result<Released, Error> {
        let answer = self.unary().release_many(request.to_wire()).await?;
        Ok(Released { replayed: answer.replayed, position: answer.position, server_time_ms: answer.server_time_ms })
    }

    /// Reads a hold, live or ended.
    pub async fn get_hold(&self, event_id: &str, id: HoldId) -> Result<Hold, Error> {
        Ok(self.read_hold(event_id, id).await?.hold)
    }

    /// Reads a hold, live or ended, with the position the answer is true at.
    pub async fn read_hold(&self, event_id: &str, id: HoldId) -> Result<HoldRead, Error> {
        let missing = || Error::transport("an answer without the hold");
        if self.goes_unary(false) {
            let request = v1::GetHoldRequest {
                event_id: event_id.to_owned(),
                hold_id: id.to_string(),
                ..v1::GetHoldRequest::default()
            };
            let answer = self.unary().get_hold(request).await?;
            let (position, server_time_ms) = (answer.position, answer.server_time_ms);
            return Ok(HoldRead { hold: answer.hold.ok_or_else(missing)?, position, server_time_ms });
        }
        let (hold_id_hi, hold_id_lo) = id.halves();
        let command = SessionGetHold { event_key: event_key(event_id), hold_id_hi, hold_id_lo, min_position: 0 };
        let answer = self.session(Command::GetHold(command)).await?;
        let (position, server_time_ms) = (answer.position, answer.server_time_ms);
        Ok(HoldRead { hold: *answer.hold.ok_or_else(missing)?, position, server_time_ms })
    }

    fn goes_unary(&self, needs_unary: bool) -> bool {
        needs_unary || self.0.config.lane == Lane::Unary
    }

    pub(crate) fn channel(&self) -> Channel {
        self.0.pool.next()
    }

    async fn session(&self, command: Command) -> Result<SessionResponse, Error> {
        let mut attempts = Attempts::new(&self.0.config.retry, &self.0.budget);
        self.session_attempts(&mut attempts, command).await
    }

    async fn session_attempts(&self, attempts: &mut Attempts<'_>, command: Command) -> Result<SessionResponse, Error> {
        let inner = &self.0;
        self.attempts_of(attempts, |timeout| {
            let turn = inner.lane_next.fetch_add(1, Ordering::Relaxed);
            inner.lanes[turn % inner.lanes.len()].call(command.clone(), timeout)
        })
        .await
        .inspect_err(|error| {
            if let Some(refusal) = error.refusal() {
                inner.clock.learn(refusal.server_time_ms);
            }
        })
    }

    /// One call: attempts and pauses until it succeeds, is refused, or its time or the retries are used up.
    pub(crate) async fn attempts<T, Fut>(&self, attempt: impl FnMut(Duration) -> Fut) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let mut attempts = Attempts::new(&self.0.config.retry, &self.0.budget);
        self.attempts_of(&mut attempts, attempt).await
    }

    async fn attempts_of<T, Fut>(
        &self,
        attempts: &mut Attempts<'_>,
        mut attempt: impl FnMut(Duration) -> Fut,
    ) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let inner = &self.0;
        let ends_at = Instant::now() + inner.config.call_timeout;
        loop {
            let left = ends_at.saturating_duration_since(Instant::now());
            let error = match attempt(inner.config.attempt_timeout.min(left)).await {
                Ok(value) => {
                    inner.budget.success();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if let Some(refusal) = error.refusal() {
                inner.clock.learn(refusal.server_time_ms);
            }
            let left = ends_at.saturating_duration_since(Instant::now());
            match attempts.next_pause(&error, left) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(settled(error, attempts.unknown_before)),
            }
        }
    }
}

/// What the caller sees when a call ends without success. An attempt whose outcome nobody knows stays unknown even
/// if the last one was certainly not executed, as when the server was overloaded.
fn settled(error: Error, unknown_before: bool) -> Error {
    match error {
        Error::Refused(mut refusal)
            if unknown_before && refusal.executed == Executed::False && refusal.reason_number / 100 == 8 =>
        {
            refusal.executed = Executed::Unknown;
            Error::Refused(refusal)
        }
        Error::Deadline { .. } if unknown_before => Error::Deadline { executed: Executed::Unknown },
        error => error,
    }
}

fn id_is_untimely(error: &Error) -> bool {
    matches!(error.reason(), Some(Reason::HoldIdTooOld | Reason::HoldIdFromFuture))
}

fn held_of_unary(event_id: &str, id: HoldId, answer: v1::HoldResponse) -> Result<Held, Error> {
    let hold = answer.hold.ok_or_else(|| Error::transport("an answer without the hold"))?;
    Ok(Held {
        event_id: event_id.to_owned(),
        id,
        seats: hold.seats,
        ga: hold.ga,
        expires_at_ms: hold.expires_at_ms,
        expires_in: Duration::from_millis(hold.expires_in_ms),
        arrangement: Arrangement::try_from(answer.arrangement).unwrap_or(Arrangement::Unspecified),
        replayed: answer.replayed,
        position: answer.position,
        server_time_ms: answer.server_time_ms,
    })
}

fn held_of_session(event_id: &str, id: HoldId, answer: SessionResponse) -> Held {
    Held {
        event_id: event_id.to_owned(),
        id,
        seats: answer.seats,
        ga: answer.ga,
        expires_at_ms: answer.expires_at_ms,
        expires_in: Duration::from_millis(answer.expires_in_ms),
        arrangement: Arrangement::try_from(answer.arrangement).unwrap_or(Arrangement::Unspecified),
        replayed: answer.replayed,
        position: answer.position,
        server_time_ms: answer.server_time_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_may_be_spawned_on_any_runtime() {
        fn is_send<T: Send>(_: &T) {}
        // Never polled: only their types matter.
        let _ = |client: Client| {
            is_send(&client.hold(HoldRequest::new("e")));
            is_send(&client.unary().get_seat_map(v1::GetSeatMapRequest::default()));
            is_send(&client.hold_many(CartRequest::new()));
            is_send(&client.raw_session(0));
        };
    }

    #[test]
    fn an_attempt_nobody_knows_about_stays_unknown() {
        let mut refusal = crate::error::Refusal::new(Reason::Overloaded, "");
        refusal.executed = Executed::False;
        let overloaded = Error::Refused(Box::new(refusal));
        assert!(settled(overloaded.clone(), true).outcome_unknown());
        assert!(!settled(overloaded, false).outcome_unknown());
    }
}
