//! Sales without a hold, and what becomes of sold places later: one call at a time.
//!
//! Not here: what a hold becomes (`holds.rs`), what the house does to its places (`house.rs`).

use std::sync::Arc;

use engine::{Answer, Done, Engine, EventView, Refused};
use inventory_core::{
    change::HoldView, command::Command, giving_back::Exchange, ids::TimestampMs, order::Listed, reject::Reject,
    slot::Touched,
};
use prost::Message;
use proto::inventory::v1::{self as wire, order_service_server::OrderService};
use tonic::{Request, Response, Status};

use super::{
    carts::event_name,
    convert, convert_orders,
    deadline::CallTime,
    holds::COMMAND_BYTES,
    inventory::{find, refuse_other_future, submit},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// The service of orders.
pub(crate) struct Orders {
    edge: Arc<Edge>,
}

/// What a command came to.
pub(crate) struct Came {
    /// What it did or read.
    pub(crate) done: Done,
    /// The position it is true at.
    pub(crate) position: u64,
    /// The time it was judged at.
    pub(crate) time: TimestampMs,
}

/// Hands over a command of about so many bytes and waits for what comes of it. `say` makes words of a reject.
pub(crate) async fn ask(
    edge: &Arc<Edge>,
    engine: &Engine,
    time: Option<CallTime>,
    event: &EventView,
    command: Command,
    bytes: usize,
    say: impl FnOnce(Reject) -> Box<Refusal>,
) -> Refusable<Came> {
    let bytes = COMMAND_BYTES + bytes;
    let answer = submit(edge, engine, time, event.key(), command, Asked::default(), bytes).await?;
    let Answer { result, position, time } = answer;
    match result {
        Ok(done) => Ok(Came { done, position, time }),
        Err(Refused::Reject(reject)) => Err(say(reject).at(position, time)),
        Err(refused) => Err(Refusal::of_refused(refused, Asked::default()).at(position, time)),
    }
}

/// An answer that its command cannot have.
pub(crate) fn foreign_answer() -> Box<Refusal> {
    Refusal::of_refused(Refused::Internal, Asked::default())
}

/// A sale as an answer tells it.
struct Sale {
    hold: Option<wire::Hold>,
    seat_labels: Vec<String>,
    touched: Option<wire::Touched>,
    replayed: bool,
}

impl Sale {
    fn of_hold(engine: &Engine, event: &EventView, view: &HoldView, now: TimestampMs, replayed: bool) -> Sale {
        let names = |key| event_name(engine, key);
        Sale {
            hold: Some(convert::hold_message(event.id().as_str(), view, now, names)),
            seat_labels: convert::seat_keys(view, &event.info()),
            touched: None,
            replayed,
        }
    }

    fn of(engine: &Engine, event: &EventView, done: Done, now: TimestampMs) -> Refusable<Sale> {
        match done {
            Done::Hold { view, replayed } => Ok(Sale::of_hold(engine, event, &view, now, replayed)),
            // Forgotten with the places of its sale, or only judged.
            Done::Touched { plan_revision, touched, replayed } => Ok(Sale {
                hold: None,
                seat_labels: Vec::new(),
                touched: (!replayed || touched != Touched::default())
                    .then(|| convert_orders::touched_message(touched, plan_revision, &event.info())),
                replayed,
            }),
            _ => Err(foreign_answer()),
        }
    }
}

impl Orders {
    /// The service over the state of the edge.
    pub(crate) fn new(edge: Arc<Edge>) -> Orders {
        Orders { edge }
    }

    async fn sell_direct(
        &self,
        time: Option<CallTime>,
        mut request: wire::SellDirectRequest,
    ) -> Refusable<wire::SellDirectResponse> {
        let engine = self.edge.engine()?;
        let bytes = request.encoded_len();
        let event_id = convert::event_id(&std::mem::take(&mut request.event_id))?;
        let sell = convert_orders::sell_direct(request)?;
        let event = find(engine, event_id.as_str(), Asked::default())?;
        let asked = convert_orders::asked_of_named(&sell.places, event.info().plan_revision);
        let command = Command::SellDirect(Box::new(sell));
        let say = |reject| Refusal::of_reject(reject, asked);
        let Came { done, position, time } = ask(&self.edge, engine, time, &event, command, bytes, say).await?;
        let Sale { hold, seat_labels, touched, replayed } = Sale::of(engine, &event, done, time)?;
        Ok(wire::SellDirectResponse {
            hold,
            replayed,
            touched,
            position,
            incarnation: engine.incarnation(),
            server_time_ms: time.0,
            seat_labels,
        })
    }

    async fn return_places(
        &self,
        time: Option<CallTime>,
        mut request: wire::ReturnPlacesRequest,
    ) -> Refusable<wire::ReturnPlacesResponse> {
        let engine = self.edge.engine()?;
        let bytes = request.encoded_len();
        let event_id = convert::event_id(&std::mem::take(&mut request.event_id))?;
        let returned = convert_orders::return_places(request)?;
        let event = find(engine, event_id.as_str(), Asked::default())?;
        let asked = convert_orders::asked_of(&returned.places, event.info().plan_revision);
        let command = Command::ReturnPlaces(Box::new(returned));
        let say = |reject| Refusal::of_reject(reject, asked).under("places");
        let Came { done, position, time } = ask(&self.edge, engine, time, &event, command, bytes, say).await?;
        let Done::Touched { plan_revision, touched, replayed } = done else { return Err(foreign_answer()) };
        Ok(wire::ReturnPlacesResponse {
            touched: Some(convert_orders::touched_message(touched, plan_revision, &event.info())),
            replayed,
            position,
            incarnation: engine.incarnation(),
            server_time_ms: time.0,
        })
    }

    async fn exchange(
        &self,
        time: Option<CallTime>,
        mut request: wire::ExchangeRequest,
    ) -> Refusable<wire::ExchangeResponse> {
        let engine = self.edge.engine()?;
        let bytes = request.encoded_len();
        let event_id = convert::event_id(&std::mem::take(&mut request.event_id))?;
        let exchange = convert_orders::exchange(request)?;
        let event = find(engine, event_id.as_str(), Asked::default())?;
        let Exchange { give, take, .. } = exchange.clone();
        let info = event.info();
        let command = Command::Exchange(Box::new(exchange));
        let say = |reject| convert_orders::exchange_refused(reject, &give, &take, &info);
        let Came { done, position, time } = ask(&self.edge, engine, time, &event, command, bytes, say).await?;
        let Sale { hold, seat_labels, touched, replayed } = Sale::of(engine, &event, done, time)?;
        Ok(wire::ExchangeResponse {
            hold,
            replayed,
            touched,
            position,
            incarnation: engine.incarnation(),
            server_time_ms: time.0,
            seat_labels,
        })
    }

    async fn get_order(
        &self,
        time: Option<CallTime>,
        request: wire::GetOrderRequest,
    ) -> Refusable<wire::GetOrderResponse> {
        let engine = self.edge.engine()?;
        convert::event_id(&request.event_id)?;
        let order = convert::order_ref(&request.order_ref)?;
        refuse_other_future(engine, request.incarnation, request.min_position)?;
        let event = find(engine, &request.event_id, Asked::default())?;
        let say = |reject| Refusal::of_reject(reject, Asked::default());
        let command = Command::GetOrder(order);
        let Came { done, position, time } = ask(&self.edge, engine, time, &event, command, 0, say).await?;
        let Done::Order { plan_revision, parts } = done else { return Err(foreign_answer()) };
        let info = event.info();
        Ok(wire::GetOrderResponse {
            order: Some(wire::Order {
                order_ref: request.order_ref,
                parts: parts.iter().map(|part| convert_orders::sold_part(part, plan_revision, &info)).collect(),
            }),
            plan_revision,
            // The shard has applied everything durable before it answers.
            position: position.max(request.min_position),
            incarnation: engine.incarnation(),
            server_time_ms: time.0,
        })
    }

    async fn list_orders(
        &self,
        time: Option<CallTime>,
        request: wire::ListOrdersRequest,
    ) -> Refusable<wire::ListOrdersResponse> {
        let engine = self.edge.engine()?;
        convert::event_id(&request.event_id)?;
        let event = find(engine, &request.event_id, Asked::default())?;
        let from = self.edge.page_tokens.from(Listed::Orders, event.key(), &request.page_token)?;
        let command = Command::List(convert_orders::list(Listed::Orders, from, request.page_size));
        let say = |reject| Refusal::of_reject(reject, Asked::default());
        let Came { done, position, time } = ask(&self.edge, engine, time, &event, command, 0, say).await?;
        let Done::Page { plan_revision, page } = done else { return Err(foreign_answer()) };
        let info = event.info();
        Ok(wire::ListOrdersResponse {
            parts: page.parts.iter().map(|part| convert_orders::sold_part(part, plan_revision, &info)).collect(),
            next_page_token: self.edge.page_tokens.token(Listed::Orders, event.key(), page.next),
            plan_revision,
            position,
            incarnation: engine.incarnation(),
            server_time_ms: time.0,
        })
    }
}

fn said<T>(result: Refusable<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Refusal::into_status)
}

fn time_of<T>(request: &Request<T>) -> Option<CallTime> {
    request.extensions().get::<CallTime>().cloned()
}

#[tonic::async_trait]
impl OrderService for Orders {
    async fn sell_direct(
        &self,
        request: Request<wire::SellDirectRequest>,
    ) -> Result<Response<wire::SellDirectResponse>, Status> {
        said(self.sell_direct(time_of(&request), request.into_inner()).await)
    }

    async fn return_places(
        &self,
        request: Request<wire::ReturnPlacesRequest>,
    ) -> Result<Response<wire::ReturnPlacesResponse>, Status> {
        said(self.return_places(time_of(&request), request.into_inner()).await)
    }

    async fn exchange(
        &self,
        request: Request<wire::ExchangeRequest>,
    ) -> Result<Response<wire::ExchangeResponse>, Status> {
        said(self.exchange(time_of(&request), request.into_inner()).await)
    }

    async fn get_order(
        &self,
        request: Request<wire::GetOrderRequest>,
    ) -> Result<Response<wire::GetOrderResponse>, Status> {
        said(self.get_order(time_of(&request), request.into_inner()).await)
    }

    async fn list_orders(
        &self,
        request: Request<wire::ListOrdersRequest>,
    ) -> Result<Response<wire::ListOrdersResponse>, Status> {
        said(self.list_orders(time_of(&request), request.into_inner()).await)
    }
}
