//! A bare tonic server: it answers every command of a sale with a message as long as usherd's, and does nothing else.
//! What it reaches is the ceiling of anything that is served by this stack.
//!
//! One current-thread runtime on each thread, each with a listener of its own: the fastest way that tonic can be run.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use anyhow::Context as _;
use clap::Parser;
use futures_core::Stream;
use proto::inventory::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use proto::inventory::v1::{
    BeginPaymentRequest, BeginPaymentResponse, ConfirmHoldRequest, ConfirmHoldResponse, EndPaymentRequest,
    EndPaymentResponse, ExplainRequest, ExplainResponse, ExtendHoldRequest, ExtendHoldResponse, GetAvailabilityRequest,
    GetAvailabilityResponse, GetEventRequest, GetEventResponse, GetHoldRequest, GetHoldResponse, GetPlanRequest,
    GetPlanResponse, GetSeatMapRequest, GetSeatMapResponse, Hold, HoldRequest, HoldResponse, HoldState,
    ReleaseHoldRequest, ReleaseHoldResponse, SessionBatchAnswer, SessionOpened, SessionRequest, SessionResponse,
    SuggestRequest, SuggestResponse, session_request,
};
use tokio::net::{TcpListener, TcpSocket};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The same as usherd's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Some time of the year 2026: times are as long as real ones.
const NOW_MS: u64 = 1_795_000_000_000;
const HOLD_TTL_MS: u64 = 600_000;
/// As many as usherd allows.
const IN_FLIGHT_MAX: u32 = 4_096;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// Answers as usherd would, and keeps nothing.
#[derive(Parser)]
#[command(name = "echo")]
struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Threads, each with a runtime and a listener of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let serving: Vec<_> = (0..options.threads.max(1)).map(|_| thread::spawn(move || serve(options.listen))).collect();
    for one in serving {
        one.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(())
}

fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(address).with_context(|| format!("listen on {address}"))?;
        tonic::transport::Server::builder()
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .add_service(InventoryServiceServer::new(Echo))
            // The builder's own switch is for listeners that it makes itself.
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?;
        Ok(())
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(1_024)
}

struct Echo;

/// A hold with the names of the request.
fn hold(event_id: String, hold_id: String, state: HoldState, seats: Vec<u32>) -> Hold {
    Hold {
        event_id,
        hold_id,
        state: state.into(),
        seats,
        created_at_ms: NOW_MS,
        expires_at_ms: NOW_MS + HOLD_TTL_MS,
        expires_in_ms: HOLD_TTL_MS,
        renewals_left: 10,
        plan_revision: 1,
        ..Hold::default()
    }
}

/// Two labels as long as those of a large venue.
fn labels() -> Vec<String> {
    vec!["S1/100/51".to_owned(), "S1/100/52".to_owned()]
}

fn not_here<T>() -> Result<T, Status> {
    Err(Status::unimplemented("this server only answers the commands of a sale"))
}

#[tonic::async_trait]
impl InventoryService for Echo {
    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        let request = request.into_inner();
        // A caller that brings no id is given one as long as any.
        let hold_id = match request.hold_id {
            id if id.is_empty() => "01990000-0000-7000-8000-000000000000".to_owned(),
            id => id,
        };
        let mut held = hold(request.event_id, hold_id, HoldState::Active, request.seats);
        held.ga = request.ga;
        let seat_labels = if held.ga.is_empty() { labels() } else { Vec::new() };
        Ok(Response::new(HoldResponse {
            hold: Some(held),
            arrangement: 0,
            replayed: false,
            position: 1_000_000,
            incarnation: 1,
            server_time_ms: NOW_MS,
            seat_labels,
        }))
    }

    async fn confirm_hold(
        &self,
        request: Request<ConfirmHoldRequest>,
    ) -> Result<Response<ConfirmHoldResponse>, Status> {
        let request = request.into_inner();
        let mut sold = hold(request.event_id, request.hold_id, HoldState::Confirmed, Vec::new());
        sold.sold_seats = vec![500_000, 500_001];
        sold.order_refs = vec![request.order_ref];
        Ok(Response::new(ConfirmHoldResponse {
            hold: Some(sold),
            replayed: false,
            position: 1_000_000,
            incarnation: 1,
            server_time_ms: NOW_MS,
            seat_labels: labels(),
        }))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Result<Response<ReleaseHoldResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(ReleaseHoldResponse {
            hold: Some(hold(request.event_id, request.hold_id, HoldState::Released, Vec::new())),
            replayed: false,
            position: 1_000_000,
            incarnation: 1,
            server_time_ms: NOW_MS,
        }))
    }

    async fn extend_hold(&self, _: Request<ExtendHoldRequest>) -> Result<Response<ExtendHoldResponse>, Status> {
        not_here()
    }

    async fn suggest(&self, _: Request<SuggestRequest>) -> Result<Response<SuggestResponse>, Status> {
        not_here()
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        not_here()
    }

    async fn begin_payment(&self, _: Request<BeginPaymentRequest>) -> Result<Response<BeginPaymentResponse>, Status> {
        not_here()
    }

    async fn end_payment(&self, _: Request<EndPaymentRequest>) -> Result<Response<EndPaymentResponse>, Status> {
        not_here()
    }

    async fn get_hold(&self, _: Request<GetHoldRequest>) -> Result<Response<GetHoldResponse>, Status> {
        not_here()
    }

    async fn get_event(&self, _: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, Status> {
        not_here()
    }

    type GetPlanStream = tokio_stream::Empty<Result<GetPlanResponse, Status>>;

    async fn get_plan(&self, _: Request<GetPlanRequest>) -> Result<Response<Self::GetPlanStream>, Status> {
        not_here()
    }

    async fn get_availability(
        &self,
        _: Request<GetAvailabilityRequest>,
    ) -> Result<Response<GetAvailabilityResponse>, Status> {
        not_here()
    }

    async fn get_seat_map(&self, _: Request<GetSeatMapRequest>) -> Result<Response<GetSeatMapResponse>, Status> {
        not_here()
    }

    type SessionStream = Answers;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Ok(Response::new(Answers(request.into_inner())))
    }
}

/// The answers of a Session: one for each message, in order.
struct Answers(Streaming<SessionRequest>);

impl Stream for Answers {
    type Item = Result<SessionResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.0).poll_next(context));
        Poll::Ready(next.map(|message| message.map(answer)))
    }
}

fn answer(request: SessionRequest) -> SessionResponse {
    let response = SessionResponse {
        correlation_id: request.correlation_id,
        position: 1_000_000,
        server_time_ms: NOW_MS,
        ..SessionResponse::default()
    };
    match request.command {
        Some(session_request::Command::Open(_)) => SessionResponse {
            opened: Some(Box::new(SessionOpened {
                max_in_flight: IN_FLIGHT_MAX,
                incarnation: 1,
                server_time_ms: NOW_MS,
                ..SessionOpened::default()
            })),
            ..response
        },
        Some(session_request::Command::Hold(hold)) => SessionResponse {
            seats: hold.seats,
            expires_at_ms: NOW_MS + HOLD_TTL_MS,
            expires_in_ms: HOLD_TTL_MS,
            ..response
        },
        Some(session_request::Command::Confirm(_)) => SessionResponse { seats: vec![500_000, 500_001], ..response },
        Some(session_request::Command::HoldBatch(_)) => {
            let all_done = SessionBatchAnswer { expires_at_ms: vec![NOW_MS + HOLD_TTL_MS], ..Default::default() };
            SessionResponse { batch: Some(Box::new(all_done)), ..response }
        }
        Some(session_request::Command::ResolveBatch(_)) => SessionResponse { batch: Some(Box::default()), ..response },
        _ => response,
    }
}
