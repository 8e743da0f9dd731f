//! One connection as a service of HTTP requests, for all but the calls on holds that it serves itself: the sale by its
//! path first, everything else by the router; the time a call may take; the stack's own refusals in our words.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Response};
use proto::{
    admin::v1::admin_service_server::AdminServiceServer,
    inventory::v1::{
        cart_service_server::CartServiceServer, inventory_service_server::InventoryServiceServer,
        order_service_server::OrderServiceServer,
    },
};
use tonic::{Status, body::Body, service::Routes};
use tower::Service as _;

use super::{
    admin::Admin,
    carts::Carts,
    deadline::{CallTime, time_allowed},
    inventory::Inventory,
    limits::{
        ADMIN_CALL_TIME_MAX, ADMIN_MESSAGE_BYTES_MAX, ORDER_MESSAGE_BYTES_MAX, SALE_CALL_TIME_MAX,
        SALE_MESSAGE_BYTES_MAX,
    },
    orders::Orders,
    refusal::{Refusal, in_our_words},
    relay::Incoming,
    state::Edge,
};

/// Beginning of the path of every sale call.
const SALE: &str = "/usher.inventory.v1.InventoryService/";
/// Beginning of the path of every call about orders.
const ORDERS: &str = "/usher.inventory.v1.OrderService/";
/// Beginning of the path of every call on a cart.
const CARTS: &str = "/usher.inventory.v1.CartService/";
/// Beginning of the path of every admin call.
const ADMIN: &str = "/usher.admin.v1.AdminService/";
/// The two whose answer is a stream that may last.
const SESSION: &str = "/usher.inventory.v1.InventoryService/Session";

/// One connection, as far as calls of it need to know of each other.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Sessions open on it.
    pub(crate) sessions: AtomicUsize,
}

impl Connection {
    /// Takes one of the Sessions a connection may have.
    pub(crate) fn take_session(&self, most: usize) -> bool {
        let take = |open: usize| (open < most).then_some(open + 1);
        self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Gives it back.
    pub(crate) fn give_back_session(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All services; cheap to clone, one clone for each connection.
#[derive(Clone)]
pub(crate) struct Services {
    edge: Arc<Edge>,
    sale: InventoryServiceServer<Inventory>,
    rest: Routes,
}

impl Services {
    /// The services over the state of the edge. `rest` has health and reflection.
    pub(crate) fn new(edge: &Arc<Edge>, rest: Routes) -> Services {
        let sale = InventoryServiceServer::new(Inventory::new(Arc::clone(edge)))
            .max_decoding_message_size(SALE_MESSAGE_BYTES_MAX);
        let orders =
            OrderServiceServer::new(Orders::new(Arc::clone(edge))).max_decoding_message_size(ORDER_MESSAGE_BYTES_MAX);
        let carts =
            CartServiceServer::new(Carts::new(Arc::clone(edge))).max_decoding_message_size(ORDER_MESSAGE_BYTES_MAX);
        let admin =
            AdminServiceServer::new(Admin::new(Arc::clone(edge))).max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX);
        Services {
            edge: Arc::clone(edge),
            sale,
            rest: rest.add_service(orders).add_service(carts).add_service(admin).prepare(),
        }
    }

    /// What all connections share.
    pub(crate) fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    /// The service of one connection.
    pub(crate) fn connection(&self) -> ConnectionService {
        ConnectionService { services: self.clone(), connection: Arc::default() }
    }
}

/// The service of one connection.
pub(crate) struct ConnectionService {
    services: Services,
    connection: Arc<Connection>,
}

type Answer = Result<Response<Body>, Infallible>;

impl ConnectionService {
    /// The answer to a request.
    pub(crate) async fn call(&self, mut request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let answer = if path == SESSION {
            request.extensions_mut().insert(Arc::clone(&self.connection));
            self.services.sale.clone().call(request).await
        } else if path.starts_with(SALE) {
            let time = call_time(&mut request, SALE_CALL_TIME_MAX);
            within(time, SALE_MESSAGE_BYTES_MAX, self.services.sale.clone().call(request)).await
        } else if path.starts_with(ORDERS) || path.starts_with(CARTS) {
            let time = call_time(&mut request, SALE_CALL_TIME_MAX);
            within(time, ORDER_MESSAGE_BYTES_MAX, self.services.rest.clone().call(request)).await
        } else if path.starts_with(ADMIN) {
            let time = call_time(&mut request, ADMIN_CALL_TIME_MAX);
            within(time, ADMIN_MESSAGE_BYTES_MAX, self.services.rest.clone().call(request)).await
        } else {
            // Health and reflection have streams that last.
            self.services.rest.clone().call(request).await
        };
        match answer {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn call_time(request: &mut Request<Incoming>, limit: Duration) -> CallTime {
    let time = CallTime::new(time_allowed(request.headers(), limit));
    request.extensions_mut().insert(time.clone());
    time
}

/// Waits for the answer as long as the call may take, from the first byte of its message on. The command
/// goes on without its caller once it is handed over.
async fn within(time: CallTime, message_bytes_max: usize, answer: impl Future<Output = Answer>) -> Answer {
    // A time that has passed on arrival is not worth a shard's turn.
    let answer =
        if time.allowed.as_millis() == 0 { None } else { tokio::time::timeout(time.allowed, answer).await.ok() };
    let Some(answer) = answer else {
        return Ok(Refusal::deadline(time.executed()).into_status().into_http());
    };
    Ok(match answer {
        Ok(response) => renamed(response, message_bytes_max),
        Err(never) => match never {},
    })
}

/// An answer the stack made itself because the message was too long has no details: give it ours.
fn renamed(response: Response<Body>, message_bytes_max: usize) -> Response<Body> {
    let by_the_stack = |headers: &HeaderMap<HeaderValue>| {
        headers.contains_key("grpc-status") && !headers.contains_key("grpc-status-details-bin")
    };
    if !by_the_stack(response.headers()) {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == tonic::Code::OutOfRange => in_our_words(status, message_bytes_max).into_http(),
        Some(_) | None => response,
    }
}
