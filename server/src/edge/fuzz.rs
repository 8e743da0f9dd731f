//! For fuzzing: the bytes of a request through everything that looks at them before the engine does. No part
//! of the interface.

use std::sync::Arc;

use engine::{Answer, Engine, EventView, Refused};
use inventory_core::{
    command::Command,
    ids::{EventKey, HoldId, TimestampMs},
    order::Listed,
    plan::Plan,
    price_level::SetPriceLevel,
};
use prost::Message;
use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, session_request},
};

use super::{
    batch, carts, convert, convert_admin, convert_orders,
    inventory::refuse_other_future,
    page_tokens::PageTokens,
    refusal::{Asked, Refusable, Refusal},
    session,
};

/// How many request types there are.
pub const KINDS: u8 = 32;

/// A command for the engine, when one comes of the bytes.
pub type Asking = Option<(EventKey, Command)>;

/// What the server makes of these bytes as a request of this type. A refusal is made into both of its forms.
pub fn request(engine: &Engine, plan: &Arc<Plan>, kind: u8, bytes: &[u8]) -> Asking {
    match decoded(engine, plan, kind, bytes)? {
        Ok(asking) => asking,
        Err(refusal) => {
            refused(refusal);
            None
        }
    }
}

/// A refusal as a status, and as the answer of a Session.
fn refused(refusal: Box<Refusal>) {
    let answer = refusal.clone().into_session(7);
    assert!(answer.reason != 0, "a refusal without a reason");
    let status = refusal.into_status();
    assert!(status.code() != tonic::Code::Ok, "a refusal that says that all is well");
}

fn decoded(engine: &Engine, plan: &Arc<Plan>, kind: u8, bytes: &[u8]) -> Option<Refusable<Asking>> {
    Some(match kind % KINDS {
        0 => hold(message(bytes)?),
        1 => extend(&message(bytes)?),
        2 => confirm(engine, message(bytes)?),
        3 => release(engine, message(bytes)?),
        4 => get_hold(engine, &message(bytes)?),
        5 => {
            let request: wire::GetEventRequest = message(bytes)?;
            read(engine, &request.event_id, request.incarnation, request.min_position)
        }
        6 => {
            let request: wire::GetPlanRequest = message(bytes)?;
            read(engine, &request.event_id, request.incarnation, request.min_position)
        }
        7 => {
            let request: wire::GetAvailabilityRequest = message(bytes)?;
            read(engine, &request.event_id, request.incarnation, request.min_position)
        }
        8 => {
            let request: wire::GetSeatMapRequest = message(bytes)?;
            read(engine, &request.event_id, request.incarnation, request.min_position)
        }
        9 => session_message(engine, message(bytes)?),
        10 => create_plan(&message(bytes)?),
        11 => create_event(plan, &message(bytes)?),
        12 => update_event(plan, &message(bytes)?),
        13 => list_events(&message(bytes)?),
        14 => begin_payment(&message(bytes)?),
        15 => end_payment(&message(bytes)?),
        16 => {
            let _: admin::ServerStatusRequest = message(bytes)?;
            Ok(None)
        }
        17 => sell_direct(message(bytes)?),
        18 => return_places(message(bytes)?),
        19 => exchange(message(bytes)?),
        20 => get_order(engine, &message(bytes)?),
        21 => {
            let request: wire::ListOrdersRequest = message(bytes)?;
            list(Listed::Orders, &request.event_id, request.page_size, &request.page_token)
        }
        22 => kill(message(bytes)?),
        23 => unkill(message(bytes)?),
        25 => set_allocation(message(bytes)?),
        26 => remove_allocation(message(bytes)?),
        27 => {
            let request: admin::ListAllocationsRequest = message(bytes)?;
            list_allocations(&request)
        }
        28 => hold_many(message(bytes)?),
        29 => confirm_many(&message(bytes)?),
        30 => release_many(&message(bytes)?),
        31 => set_price_level(plan, message(bytes)?),
        _ => {
            let request: admin::ListHoldsRequest = message(bytes)?;
            list(Listed::Holds, &request.event_id, request.page_size, &request.page_token)
        }
    })
}

/// What does not decode is refused before any of our code sees it.
fn message<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    M::decode(bytes).ok()
}

fn view(engine: &Engine, id: &str, asked: Asked) -> Refusable<Arc<EventView>> {
    engine.directory().find(id).ok_or_else(|| Refusal::event_not_found(asked))
}

fn hold(request: wire::HoldRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    let hold_id = if request.hold_id.is_empty() { HoldId(0) } else { convert::hold_id(&request.hold_id)? };
    let (hold, _) = convert::hold(request, hold_id)?;
    Ok(Some((key, Command::Hold(Box::new(hold)))))
}

fn extend(request: &wire::ExtendHoldRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::Extend(convert::extend(request)?))))
}

fn begin_payment(request: &wire::BeginPaymentRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::BeginPayment(convert::begin_payment(request)?))))
}

fn end_payment(request: &wire::EndPaymentRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::EndPayment(convert::end_payment(request)?))))
}

fn confirm(engine: &Engine, request: wire::ConfirmHoldRequest) -> Refusable<Asking> {
    let id = convert::event_id(&request.event_id)?;
    let (confirm, _, event) = convert::confirm(request, |asked| view(engine, id.as_str(), asked))?;
    Ok(Some((event.key(), Command::Confirm(Box::new(confirm)))))
}

fn release(engine: &Engine, request: wire::ReleaseHoldRequest) -> Refusable<Asking> {
    let id = convert::event_id(&request.event_id)?;
    let (release, _, event) = convert::release(request, |asked| view(engine, id.as_str(), asked))?;
    Ok(Some((event.key(), Command::Release(Box::new(release)))))
}

fn get_hold(engine: &Engine, request: &wire::GetHoldRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    let hold_id = convert::hold_id(&request.hold_id)?;
    refuse_other_future(engine, request.incarnation, request.min_position)?;
    Ok(Some((key, Command::GetHold(hold_id))))
}

fn sell_direct(request: wire::SellDirectRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::SellDirect(Box::new(convert_orders::sell_direct(request)?)))))
}

fn return_places(request: wire::ReturnPlacesRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::ReturnPlaces(Box::new(convert_orders::return_places(request)?)))))
}

fn exchange(request: wire::ExchangeRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::Exchange(Box::new(convert_orders::exchange(request)?)))))
}

fn get_order(engine: &Engine, request: &wire::GetOrderRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    let order = convert::order_ref(&request.order_ref)?;
    refuse_other_future(engine, request.incarnation, request.min_position)?;
    Ok(Some((key, Command::GetOrder(order))))
}

fn hold_many(request: wire::HoldManyRequest) -> Refusable<Asking> {
    let many = carts::hold_many(request)?;
    let Some(&(key, _)) = many.parts.first() else { unreachable!("a cart was checked to have parts") };
    Ok(Some((key, Command::HoldMany(Box::new(many)))))
}

fn confirm_many(request: &wire::ConfirmManyRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::ConfirmMany(Box::new(carts::confirm_many(request)?)))))
}

fn release_many(request: &wire::ReleaseManyRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::ReleaseMany(carts::release_many(request)?))))
}

fn kill(request: admin::KillRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::Kill(Box::new(convert_orders::kill(request)?)))))
}

fn unkill(request: admin::UnkillRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::Unkill(Box::new(convert_orders::unkill(request)?)))))
}

fn set_allocation(request: admin::SetAllocationRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::SetAllocation(Box::new(convert_orders::set_allocation(request)?)))))
}

/// The plan is the one there is: right when the places have the level already.
fn set_price_level(plan: &Arc<Plan>, request: admin::SetPriceLevelRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    let set = convert_orders::set_price_level(request)?;
    let set = SetPriceLevel { from: plan.digest(), plan: Some(Arc::clone(plan)), ..set };
    Ok(Some((key, Command::SetPriceLevel(Box::new(set)))))
}

fn remove_allocation(request: admin::RemoveAllocationRequest) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(&request.event_id)?);
    Ok(Some((key, Command::RemoveAllocation(Box::new(convert_orders::remove_allocation(request)?)))))
}

fn list_allocations(request: &admin::ListAllocationsRequest) -> Refusable<Asking> {
    Ok(Some((convert::event_key(&convert::event_id(&request.event_id)?), Command::ListAllocations)))
}

fn list(what: Listed, event_id: &str, size: u32, token: &str) -> Refusable<Asking> {
    let key = convert::event_key(&convert::event_id(event_id)?);
    let tokens = PageTokens::with_secret(*b"known to fuzzers");
    let from = tokens.from(what, key, token)?;
    assert!(from == 0 || tokens.token(what, key, from).eq_ignore_ascii_case(token), "a page has one token");
    Ok(Some((key, Command::List(convert_orders::list(what, from, size)))))
}

fn read(engine: &Engine, event_id: &str, incarnation: u64, min_position: u64) -> Refusable<Asking> {
    convert::event_id(event_id)?;
    refuse_other_future(engine, incarnation, min_position)?;
    let event = view(engine, event_id, Asked::default())?;
    convert::event_message(&event, event.position(), engine.incarnation());
    Ok(None)
}

fn session_message(engine: &Engine, request: wire::SessionRequest) -> Refusable<Asking> {
    match request.command {
        None => Ok(None),
        Some(session_request::Command::HoldBatch(holds)) => Ok(batch_message(batch::holds(7, &holds)?)),
        Some(session_request::Command::ResolveBatch(resolves)) => Ok(batch_message(batch::resolves(7, &resolves)?)),
        Some(command) => {
            let (key, command, ..) = session::command_of(engine, command)?;
            Ok(Some((key, command)))
        }
    }
}

/// The first command of a batch, after all of it was answered.
fn batch_message(parsed: batch::Parsed) -> Asking {
    let batch::Parsed { event_key, mut batch, commands } = parsed;
    let count = commands.len();
    for (nth, (at, _)) in commands.iter().enumerate() {
        let answer = Answer { result: Err(Refused::Draining), position: 1, time: TimestampMs(1) };
        assert_eq!(batch.answer(*at, answer), nth + 1 == count, "the last answer completes a batch");
    }
    assert!(batch.into_message().correlation_id == 7, "a batch is answered under its own id");
    commands.into_iter().next().map(|(_, command)| (event_key, command))
}

fn create_plan(request: &admin::CreatePlanRequest) -> Refusable<Asking> {
    let format = convert_admin::plan_format("format", request.format)?;
    let options = convert_admin::import_options(request.options);
    if let Ok(read) = venue::import(format, &request.document, &options) {
        convert_admin::plan_counts(&read.spec);
        convert_admin::problems(&read.problems);
    }
    Ok(None)
}

fn create_event(plan: &Arc<Plan>, request: &admin::CreateEventRequest) -> Refusable<Asking> {
    let id = convert::event_id(&request.event_id)?;
    let settings = convert_admin::new_settings(request)?;
    let create = convert_admin::create_event(id, Arc::clone(plan), settings);
    convert_admin::planned_event_message(&create, 1);
    Ok(Some((create.key, Command::CreateEvent(Box::new(create)))))
}

fn update_event(plan: &Arc<Plan>, request: &admin::UpdateEventRequest) -> Refusable<Asking> {
    let (id, mut update, digest) = convert_admin::update_event(request)?;
    update.plan = digest.map(|_| Arc::clone(plan));
    Ok(Some((convert::event_key(&id), Command::UpdateEvent(Box::new(update)))))
}

fn list_events(request: &admin::ListEventsRequest) -> Refusable<Asking> {
    convert_admin::page_size(request.page_size);
    if let Some(after) = convert_admin::page_after(&request.page_token)? {
        assert_eq!(convert_admin::page_token(&after), request.page_token, "a page has one token");
    }
    Ok(None)
}

/// The messages of what the engine answered.
pub fn answered(view: &inventory_core::change::HoldView, now: TimestampMs) {
    let hold = convert::hold_message("event", view, now, |key| key.0.to_string());
    assert!(!hold.hold_id.is_empty());
    for kind in [
        convert::SessionKind::Hold,
        convert::SessionKind::Confirm,
        convert::SessionKind::Release,
        convert::SessionKind::Extend,
        convert::SessionKind::BeginPayment,
        convert::SessionKind::EndPayment,
        convert::SessionKind::GetHold,
    ] {
        convert::session_done(kind, view, now, "event", |key| key.0.to_string());
    }
}

/// A command that the state machine refused, as the server tells it.
pub fn rejected(reject: inventory_core::reject::Reject) {
    refused(Refusal::of_reject(reject, Asked::default()));
}
