//! Carts over several events: one call at a time, and what is told of a cart's parts.
//!
//! A part is converted as the Hold it is judged as; a refusal of one names its event and the part of the request.
//!
//! Not here: one event's holds (`holds.rs`), how a cart is decided (crates `inventory-core` and `engine`).

use std::{borrow::Cow, sync::Arc};

use engine::{Answer, CartPart, Done, Engine, EventView, Refused};
use inventory_core::{
    cart::{Cart, ConfirmMany, HoldMany},
    command::{Command, Hold},
    ids::{EventKey, HoldId, TimestampMs},
};
use prost::Message as _;
use proto::inventory::v1::{self as wire, Reason, cart_service_server::CartService};
use tonic::{Request, Response, Status};

use super::{
    convert,
    deadline::CallTime,
    holds::COMMAND_BYTES,
    inventory::{find, submit},
    orders::foreign_answer,
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// The service of carts.
pub(crate) struct Carts {
    edge: Arc<Edge>,
}

/// The name of an event with this key. Empty: it is not known any more.
pub(crate) fn event_name(engine: &Engine, key: EventKey) -> String {
    engine.directory().find_key(key).map_or_else(String::new, |event| event.id().as_str().to_owned())
}

/// What a hold of this event is to its cart. `names` tells the name of another event.
pub(crate) fn cart_message(event_id: &str, cart: &Cart, names: impl Fn(EventKey) -> String) -> wire::Cart {
    match cart {
        Cart::First { others, is_settled: _ } => wire::Cart {
            role: wire::CartRole::First as i32,
            first_event_id: event_id.to_owned(),
            other_event_ids: others.iter().map(|&key| names(key)).collect(),
        },
        Cart::Part { first } => wire::Cart {
            role: wire::CartRole::Other as i32,
            first_event_id: names(*first),
            other_event_ids: Vec::new(),
        },
    }
}

/// What a call came to.
struct Came {
    parts: Vec<wire::CartHold>,
    replayed: bool,
    position: u64,
    time: TimestampMs,
}

/// What is asked of an event of a cart, to say why it refused.
struct Of {
    event: EventKey,
    asked: Asked,
}

/// The id of a cart.
fn cart_id(text: &str) -> Refusable<HoldId> {
    convert::hold_id(text).map_err(|_| Refusal::field(Reason::HoldIdInvalid, "cart_id", "must be a UUID of version 7"))
}

/// A part as the Hold that it is.
fn part(part: wire::CartPart, cart_id: HoldId) -> Refusable<(EventKey, Hold, Asked)> {
    let key = convert::event_key(&convert::event_id(&part.event_id)?);
    // No TTL, nothing to replace and no admission: the cart has them, or nobody.
    let request = wire::HoldRequest {
        seats: part.seats,
        seat_keys: part.seat_keys,
        ga: part.ga,
        best_available: part.best_available,
        ticket_types: part.ticket_types,
        customer: part.customer,
        allocation_keys: part.allocation_keys,
        include_unallocated: part.include_unallocated,
        plan_revision: part.plan_revision,
        ..Default::default()
    };
    let (hold, asked) = convert::hold(request, cart_id)?;
    Ok((key, hold, asked))
}

/// A HoldMany, and what each of its parts asks.
fn hold_many_asking(request: wire::HoldManyRequest) -> Refusable<(HoldMany, Vec<Of>)> {
    let cart_id = cart_id(&request.cart_id)?;
    if !request.admission_token.is_empty() {
        return Err(Refusal::invalid("admission_token", "the waiting room is not supported by this version"));
    }
    let mut many = HoldMany { cart_id, ttl_ms: convert::saturated(request.ttl_ms), parts: Vec::new() };
    let mut asking = Vec::new();
    for (at, sent) in request.parts.into_iter().enumerate() {
        let (key, hold, asked) = part(sent, cart_id).map_err(|refusal| of_part(refusal, at))?;
        many.parts.push((key, hold));
        asking.push(Of { event: key, asked });
    }
    many.check().map_err(|reject| Refusal::of_reject(reject, Asked::default()))?;
    Ok((many, asking))
}

/// A HoldMany.
pub(crate) fn hold_many(request: wire::HoldManyRequest) -> Refusable<HoldMany> {
    hold_many_asking(request).map(|(many, _)| many)
}

/// A ConfirmMany.
pub(crate) fn confirm_many(request: &wire::ConfirmManyRequest) -> Refusable<ConfirmMany> {
    Ok(ConfirmMany { cart_id: cart_id(&request.cart_id)?, order: convert::order_ref(&request.order_ref)? })
}

/// The cart of a ReleaseMany.
pub(crate) fn release_many(request: &wire::ReleaseManyRequest) -> Refusable<HoldId> {
    cart_id(&request.cart_id)
}

/// A refusal of a Hold in the words of the part it is: its fields lie under that part, but for those that the cart has.
fn of_part(refusal: Box<Refusal>, at: usize) -> Box<Refusal> {
    renamed(refusal, |field| match field {
        "hold_id" => Some("cart_id".to_owned()),
        "ttl_ms" | "parts" => None,
        field => Some(format!("parts[{at}].{field}")),
    })
}

/// The same with other names for its fields.
fn renamed(mut refusal: Box<Refusal>, name: impl Fn(&str) -> Option<String>) -> Box<Refusal> {
    for (field, _) in &mut refusal.fields {
        if let Some(name) = name(field) {
            *field = Cow::Owned(name);
        }
    }
    if let [(field, problem)] = refusal.fields.as_slice() {
        refusal.message = Cow::Owned(format!("{field}: {problem}"));
    }
    refusal
}

/// A refusal of one event, naming it.
fn of_event(mut refusal: Box<Refusal>, event_id: &str) -> Box<Refusal> {
    refusal.message = Cow::Owned(format!("event {event_id}: {}", refusal.message));
    refusal.with("eventId", event_id)
}

impl Carts {
    /// The service over the state of the edge.
    pub(crate) fn new(edge: Arc<Edge>) -> Carts {
        Carts { edge }
    }

    /// Hands a command over to the first event and waits for what comes of it.
    async fn ask(
        &self,
        time: Option<CallTime>,
        first: &EventView,
        command: Command,
        bytes: usize,
        asking: &[Of],
        cart_id: HoldId,
    ) -> Refusable<Came> {
        let engine = self.edge.engine()?;
        let of_first = asking.first().map_or_else(Asked::default, |of| of.asked);
        let bytes = COMMAND_BYTES + bytes;
        let Answer { result, position, time } =
            submit(&self.edge, engine, time, first.key(), command, of_first, bytes).await?;
        let refused = match result {
            Ok(Done::Cart { parts, replayed }) => {
                let parts = parts.iter().filter_map(|part| told(engine, part, time)).collect();
                return Ok(Came { parts, replayed, position, time });
            }
            Ok(_) => return Err(foreign_answer()),
            Err(refused) => refused,
        };
        if refused == Refused::Internal {
            tracing::error!(hold_ref = convert::hold_ref(cart_id), "a command on a cart met a fault and was set aside");
        }
        let (key, reject) = match refused {
            Refused::Reject(reject) => (first.key(), reject),
            Refused::InEvent { event, reject } => (event, reject),
            refused => return Err(Refusal::of_refused(refused, of_first).at(position, time)),
        };
        let at = asking.iter().position(|of| of.event == key).unwrap_or(0);
        // A confirm asks one thing of all its events.
        let asked = asking.get(at).map_or(of_first, |of| of.asked);
        let refusal = of_part(Refusal::of_reject(reject, asked), at);
        Err(of_event(refusal, &event_name(engine, key)).at(position, time))
    }

    async fn hold_many(
        &self,
        time: Option<CallTime>,
        request: wire::HoldManyRequest,
    ) -> Refusable<wire::HoldManyResponse> {
        let engine = self.edge.engine()?;
        let bytes = request.encoded_len();
        let names: Vec<String> = request.parts.iter().map(|part| part.event_id.clone()).collect();
        let (many, asking) = hold_many_asking(request)?;
        let mut events = Vec::with_capacity(names.len());
        for (name, of) in names.iter().zip(&asking) {
            events.push(find(engine, name, of.asked).map_err(|refusal| of_event(refusal, name))?);
        }
        // At least two were checked.
        let Some(first) = events.first() else { return Err(foreign_answer()) };
        let (cart_id, command) = (many.cart_id, Command::HoldMany(Box::new(many)));
        let Came { parts, replayed, position, time } = self.ask(time, first, command, bytes, &asking, cart_id).await?;
        let incarnation = engine.incarnation();
        Ok(wire::HoldManyResponse { parts, replayed, position, incarnation, server_time_ms: time.0 })
    }

    async fn confirm_many(
        &self,
        time: Option<CallTime>,
        request: wire::ConfirmManyRequest,
    ) -> Refusable<wire::ConfirmManyResponse> {
        let engine = self.edge.engine()?;
        convert::event_id(&request.event_id)?;
        let confirm = confirm_many(&request)?;
        let asked = Asked { confirm: true, ..Asked::default() };
        let first = find(engine, &request.event_id, asked).map_err(|refusal| of_event(refusal, &request.event_id))?;
        let asking = [Of { event: first.key(), asked }];
        let (cart_id, command) = (confirm.cart_id, Command::ConfirmMany(Box::new(confirm)));
        let Came { parts, replayed, position, time } = self.ask(time, &first, command, 0, &asking, cart_id).await?;
        let incarnation = engine.incarnation();
        Ok(wire::ConfirmManyResponse { parts, replayed, position, incarnation, server_time_ms: time.0 })
    }

    async fn release_many(
        &self,
        time: Option<CallTime>,
        request: wire::ReleaseManyRequest,
    ) -> Refusable<wire::ReleaseManyResponse> {
        let engine = self.edge.engine()?;
        convert::event_id(&request.event_id)?;
        let cart_id = release_many(&request)?;
        let asked = Asked::default();
        let first = find(engine, &request.event_id, asked).map_err(|refusal| of_event(refusal, &request.event_id))?;
        let asking = [Of { event: first.key(), asked }];
        let command = Command::ReleaseMany(cart_id);
        let Came { parts, replayed, position, time } = self.ask(time, &first, command, 0, &asking, cart_id).await?;
        let incarnation = engine.incarnation();
        Ok(wire::ReleaseManyResponse { parts, replayed, position, incarnation, server_time_ms: time.0 })
    }
}

/// A part of a cart, while its event is known.
fn told(engine: &Engine, part: &CartPart, now: TimestampMs) -> Option<wire::CartHold> {
    let event = engine.directory().find_key(part.event)?;
    let names = |key| event_name(engine, key);
    Some(wire::CartHold {
        hold: Some(convert::hold_message(event.id().as_str(), &part.view, now, names)),
        arrangement: convert::arrangement(part.view.arrangement) as i32,
        seat_labels: convert::seat_keys(&part.view, &event.info()),
    })
}

fn said<T>(result: Refusable<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Refusal::into_status)
}

fn time_of<T>(request: &Request<T>) -> Option<CallTime> {
    request.extensions().get::<CallTime>().cloned()
}

#[tonic::async_trait]
impl CartService for Carts {
    async fn hold_many(
        &self,
        request: Request<wire::HoldManyRequest>,
    ) -> Result<Response<wire::HoldManyResponse>, Status> {
        said(self.hold_many(time_of(&request), request.into_inner()).await)
    }

    async fn confirm_many(
        &self,
        request: Request<wire::ConfirmManyRequest>,
    ) -> Result<Response<wire::ConfirmManyResponse>, Status> {
        said(self.confirm_many(time_of(&request), request.into_inner()).await)
    }

    async fn release_many(
        &self,
        request: Request<wire::ReleaseManyRequest>,
    ) -> Result<Response<wire::ReleaseManyResponse>, Status> {
        said(self.release_many(time_of(&request), request.into_inner()).await)
    }
}
