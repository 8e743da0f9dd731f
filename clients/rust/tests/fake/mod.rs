//! A server of one process and no durability, with faults on demand: what the client is tested against.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use parking_lot::Mutex;
use proto::inventory::v1::cart_service_server::{CartService, CartServiceServer};
use proto::inventory::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::*;
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

/// What goes wrong with the next command.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The stream breaks before the command is done.
    BreakBefore,
    /// The command is done and the stream breaks before the answer.
    BreakAfter,
    /// The command is done and its answer never sent.
    Mute,
    /// Refused with this answer.
    Refuse(Box<SessionResponse>),
    /// The server says that it goes away, answers and ends the stream.
    GoAway,
}

/// What the fake knows and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) faults: VecDeque<Fault>,
    /// The server's time.
    pub(crate) now_ms: u64,
    /// Holds by id, with their order once they are confirmed.
    pub(crate) holds: HashMap<u128, (Vec<u32>, Option<String>)>,
    /// Payment attempts that were begun.
    pub(crate) attempts: HashSet<u128>,
    /// The attempts that confirms named, in order; 0: none.
    pub(crate) paid_by: Vec<u128>,
    /// Ids of the holds asked for, in order.
    pub(crate) asked: Vec<u128>,
    pub(crate) sessions: usize,
    pub(crate) in_flight_max: u32,
    pub(crate) position: u64,
}

/// A running fake. It stops with the process.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    /// Most commands of one stream that had come without an answer.
    pub(crate) in_flight_seen: Arc<AtomicUsize>,
}

impl Fake {
    /// Starts on a thread of its own.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { in_flight_max: 64, now_ms: 2_000_000_000_000, ..State::default() }));
        let in_flight_seen = Arc::new(AtomicUsize::new(0));
        let service = Service { state: Arc::clone(&state), in_flight_seen: Arc::clone(&in_flight_seen) };
        let (sender, address) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                sender.send(listener.local_addr().expect("an address")).expect("the test waits");
                tonic::transport::Server::builder()
                    .add_service(CartServiceServer::new(service.clone()))
                    .add_service(InventoryServiceServer::new(service))
                    .serve_with_incoming(TcpListenerStream::new(listener))
                    .await
            })
        });
        Self { address: address.recv().expect("the address"), state, in_flight_seen }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state.lock().faults.push_back(fault);
    }
}

/// A refusal that changed nothing.
pub(crate) fn refusal(reason: Reason) -> Box<SessionResponse> {
    let executed = Executed::False as i32;
    Box::new(SessionResponse { reason: reason as i32, executed, ..SessionResponse::default() })
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    in_flight_seen: Arc<AtomicUsize>,
}

fn id_of(hi: u64, lo: u64) -> u128 {
    (u128::from(hi) << 64) | u128::from(lo)
}

impl State {
    /// Does a command, and once only.
    fn run(&mut self, command: &Command) -> SessionResponse {
        self.position += 1;
        let mut answer =
            SessionResponse { position: self.position, server_time_ms: self.now_ms, ..SessionResponse::default() };
        match command {
            Command::Hold(hold) => {
                let id = id_of(hold.hold_id_hi, hold.hold_id_lo);
                self.asked.push(id);
                let time_ms = hold.hold_id_hi >> 16;
                if let Some((seats, _)) = self.holds.get(&id) {
                    answer.replayed = true;
                    answer.seats.clone_from(seats);
                } else if time_ms + 300_000 < self.now_ms {
                    answer.reason = Reason::HoldIdTooOld as i32;
                    answer.executed = Executed::False as i32;
                } else if time_ms > self.now_ms + 60_000 {
                    answer.reason = Reason::HoldIdFromFuture as i32;
                    answer.executed = Executed::False as i32;
                } else if self.holds.values().any(|(seats, _)| seats.iter().any(|seat| hold.seats.contains(seat))) {
                    answer.reason = Reason::PlacesUnavailable as i32;
                    answer.executed = Executed::False as i32;
                    answer.seats.clone_from(&hold.seats);
                } else {
                    self.holds.insert(id, (hold.seats.clone(), None));
                    answer.seats.clone_from(&hold.seats);
                    answer.expires_in_ms = 5_000;
                }
            }
            Command::Confirm(confirm) => {
                let id = id_of(confirm.hold_id_hi, confirm.hold_id_lo);
                self.paid_by.push(id_of(confirm.attempt_id_hi, confirm.attempt_id_lo));
                match self.holds.get_mut(&id) {
                    Some((seats, order)) => {
                        answer.replayed = order.is_some();
                        answer.seats.clone_from(seats);
                        *order = Some(confirm.order_ref.clone());
                    }
                    None => answer.reason = Reason::HoldNotFound as i32,
                }
            }
            Command::Release(release) => {
                self.holds.remove(&id_of(release.hold_id_hi, release.hold_id_lo));
            }
            Command::BeginPayment(begin) => {
                answer.replayed = !self.attempts.insert(id_of(begin.attempt_id_hi, begin.attempt_id_lo));
                answer.payment_deadline_ms = self.now_ms + 900_000;
                answer.expires_at_ms = self.now_ms + 5_000;
                answer.expires_in_ms = 900_000;
            }
            Command::EndPayment(end) => {
                answer.replayed = !self.attempts.remove(&id_of(end.attempt_id_hi, end.attempt_id_lo));
                answer.expires_at_ms = self.now_ms + 120_000;
                answer.expires_in_ms = 120_000;
            }
            Command::HoldBatch(batch) => {
                let mut replayed = Vec::new();
                for (at, pair) in (0..).zip(batch.hold_ids.chunks(2)) {
                    let id = id_of(pair[0], pair[1]);
                    self.asked.push(id);
                    if self.holds.insert(id, (Vec::new(), None)).is_some() {
                        replayed.push(at);
                    }
                }
                answer.batch = Some(Box::new(SessionBatchAnswer { replayed, ..SessionBatchAnswer::default() }));
            }
            Command::Open(_) | Command::Extend(_) | Command::GetHold(_) | Command::ResolveBatch(_) => {}
        }
        answer
    }

    fn opened(&mut self) -> SessionResponse {
        self.sessions += 1;
        let opened = SessionOpened {
            max_in_flight: self.in_flight_max,
            incarnation: 1,
            server_time_ms: self.now_ms,
            ..SessionOpened::default()
        };
        SessionResponse { opened: Some(Box::new(opened)), ..SessionResponse::default() }
    }
}

fn id_of_text(text: &str) -> u128 {
    let digits = text.replace('-', "");
    digits.chars().fold(0, |id, digit| (id << 4) | u128::from(digit.to_digit(16).expect("a digit")))
}

impl Service {
    /// A cart of these parts in this state, done and then lost when that fault is due.
    fn cart(
        &self,
        cart_id: &str,
        parts: &[CartPart],
        order: Option<&str>,
    ) -> Result<(Vec<CartHold>, bool, u64), Status> {
        let mut state = self.state.lock();
        let id = id_of_text(cart_id);
        state.asked.push(id);
        let fault = state.faults.pop_front();
        if let Some(Fault::Refuse(answer)) = fault {
            let name = Reason::try_from(answer.reason).expect("a reason").as_str_name().trim_start_matches("REASON_");
            let metadata = HashMap::from([
                ("executed".to_owned(), "false".to_owned()),
                ("eventId".to_owned(), "b".to_owned()),
                ("serverTimeMs".to_owned(), state.now_ms.to_string()),
            ]);
            let details = ErrorDetails::with_error_info(name, "usher", metadata);
            return Err(Status::with_error_details(Code::FailedPrecondition, "no", details));
        }
        let seats: Vec<u32> = parts.iter().flat_map(|part| part.seats.clone()).collect();
        let known = state.holds.get(&id).cloned();
        let replayed = known.as_ref().is_some_and(|(_, sold)| order.is_none() || sold.as_deref() == order);
        state.holds.insert(id, (known.map_or(seats, |(seats, _)| seats), order.map(ToOwned::to_owned)));
        if matches!(fault, Some(Fault::BreakAfter)) {
            return Err(Status::unavailable("connection reset"));
        }
        let told = |part: &CartPart| {
            let hold = Hold { event_id: part.event_id.clone(), seats: part.seats.clone(), ..Hold::default() };
            CartHold { hold: Some(hold), ..CartHold::default() }
        };
        Ok((parts.iter().map(told).collect(), replayed, state.now_ms))
    }
}

#[tonic::async_trait]
impl CartService for Service {
    async fn hold_many(&self, request: Request<HoldManyRequest>) -> Result<Response<HoldManyResponse>, Status> {
        let request = request.into_inner();
        let (parts, replayed, server_time_ms) = self.cart(&request.cart_id, &request.parts, None)?;
        Ok(Response::new(HoldManyResponse { parts, replayed, server_time_ms, ..HoldManyResponse::default() }))
    }

    async fn confirm_many(
        &self,
        request: Request<ConfirmManyRequest>,
    ) -> Result<Response<ConfirmManyResponse>, Status> {
        let request = request.into_inner();
        let (parts, replayed, server_time_ms) = self.cart(&request.cart_id, &[], Some(&request.order_ref))?;
        Ok(Response::new(ConfirmManyResponse { parts, replayed, server_time_ms, ..ConfirmManyResponse::default() }))
    }

    async fn release_many(
        &self,
        request: Request<ReleaseManyRequest>,
    ) -> Result<Response<ReleaseManyResponse>, Status> {
        let request = request.into_inner();
        let (parts, replayed, server_time_ms) = self.cart(&request.cart_id, &[], None)?;
        Ok(Response::new(ReleaseManyResponse { parts, replayed, server_time_ms, ..ReleaseManyResponse::default() }))
    }
}

#[tonic::async_trait]
impl InventoryService for Service {
    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock();
        let id = id_of_text(&request.hold_id);
        state.asked.push(id);
        match state.faults.pop_front() {
            Some(Fault::Refuse(answer)) => {
                let name =
                    Reason::try_from(answer.reason).expect("a reason").as_str_name().trim_start_matches("REASON_");
                let metadata = HashMap::from([("executed".to_owned(), "false".to_owned())]);
                let mut details = ErrorDetails::with_error_info(name, "usher", metadata);
                details.set_retry_info(Some(std::time::Duration::from_millis(answer.retry_after_ms)));
                return Err(Status::with_error_details(Code::Unavailable, "busy", details));
            }
            Some(Fault::BreakAfter) => {
                state.holds.insert(id, (request.seats, None));
                return Err(Status::unavailable("connection reset"));
            }
            _ => {}
        }
        let replayed = state.holds.insert(id, (request.seats.clone(), None)).is_some();
        let hold = Hold { hold_id: request.hold_id, seats: request.seats, ..Hold::default() };
        let server_time_ms = state.now_ms;
        Ok(Response::new(HoldResponse { hold: Some(hold), replayed, server_time_ms, ..HoldResponse::default() }))
    }

    type SessionStream = std::pin::Pin<Box<dyn Stream<Item = Result<SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut requests = request.into_inner();
        let (answers, stream) = tokio::sync::mpsc::channel(1_024);
        let (state, seen) = (Arc::clone(&self.state), Arc::clone(&self.in_flight_seen));
        tokio::spawn(async move {
            while let Some(Ok(first)) = requests.next().await {
                // All that has come without waiting is in flight together.
                let mut batch = vec![first];
                while let Ok(Some(Ok(more))) = tokio::time::timeout(std::time::Duration::ZERO, requests.next()).await {
                    batch.push(more);
                }
                seen.fetch_max(batch.len(), Ordering::Relaxed);
                for request in batch {
                    let command = request.command.expect("a command");
                    if matches!(command, Command::Open(_)) {
                        let opened = state.lock().opened();
                        let _ = answers.send(Ok(opened)).await;
                        continue;
                    }
                    let fault = state.lock().faults.pop_front();
                    let mut answer = match &fault {
                        Some(Fault::BreakBefore) => {
                            let _ = answers.send(Err(Status::internal("broken"))).await;
                            return;
                        }
                        Some(Fault::Refuse(answer)) => (**answer).clone(),
                        _ => state.lock().run(&command),
                    };
                    answer.correlation_id = request.correlation_id;
                    match fault {
                        Some(Fault::BreakAfter) => {
                            let _ = answers.send(Err(Status::internal("broken"))).await;
                            return;
                        }
                        Some(Fault::Mute) => continue,
                        Some(Fault::GoAway) => {
                            let word = SessionResponse { going_away: true, ..SessionResponse::default() };
                            let _ = answers.send(Ok(word)).await;
                        }
                        _ => {}
                    }
                    let _ = answers.send(Ok(answer)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    type GetPlanStream = std::pin::Pin<Box<dyn Stream<Item = Result<GetPlanResponse, Status>> + Send>>;

    async fn get_plan(&self, _: Request<GetPlanRequest>) -> Result<Response<Self::GetPlanStream>, Status> {
        let chunk = |first_seat| PlanChunk {
            seats: Some(PlanSeats { first_seat, ..PlanSeats::default() }),
            ..PlanChunk::default()
        };
        let parts = [0, 100].map(|first| Ok(GetPlanResponse { chunk: Some(chunk(first)) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }

    async fn extend_hold(&self, _: Request<ExtendHoldRequest>) -> Result<Response<ExtendHoldResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn begin_payment(&self, _: Request<BeginPaymentRequest>) -> Result<Response<BeginPaymentResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn end_payment(&self, _: Request<EndPaymentRequest>) -> Result<Response<EndPaymentResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn confirm_hold(&self, _: Request<ConfirmHoldRequest>) -> Result<Response<ConfirmHoldResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn release_hold(&self, _: Request<ReleaseHoldRequest>) -> Result<Response<ReleaseHoldResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn suggest(&self, _: Request<SuggestRequest>) -> Result<Response<SuggestResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_hold(&self, _: Request<GetHoldRequest>) -> Result<Response<GetHoldResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_event(&self, _: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_availability(
        &self,
        _: Request<GetAvailabilityRequest>,
    ) -> Result<Response<GetAvailabilityResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_seat_map(&self, _: Request<GetSeatMapRequest>) -> Result<Response<GetSeatMapResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
