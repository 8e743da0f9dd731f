//! Wire types of orders and of what the house does, to domain types and back.
//!
//! Not here: the sale (`convert.rs`), events (`convert_admin.rs`).

use engine::EventInfo;
use inventory_core::{
    allocation::{AllocationView, QuotaView, RemoveAllocation, SetAllocation},
    command::AreaName,
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{PlanDigest, RequestId},
    kill::{Kill, Unkill},
    order::{List, Listed},
    place_set::{AdmissionsNamed, PlaceSet},
    price_level::SetPriceLevel,
    reject::Reject,
    retire::RetireEvent,
    slot::{SoldPart, Touched},
};
use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, Reason, exchange_request},
};

use super::{
    convert::{
        admissions_wanted, allocation_keys, area_ticket_type, customer_key, ga_items, hold_id, hold_ref, keys,
        order_ref, request_id, saturated, seat_indexes, seat_types, ticket_types,
    },
    convert_admin::{bound_message, known_state, page_size, timestamp},
    refusal::{Asked, Refusable, Refusal, request_id_invalid},
};

// Requests.

fn required_request_id(text: &str) -> Refusable<RequestId> {
    request_id(text)?.ok_or_else(request_id_invalid)
}

fn boxed(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(String::into_boxed_str).collect()
}

fn shape(reject: Reject) -> Box<Refusal> {
    Refusal::of_reject(reject, Asked::default())
}

/// A set of places; one that is not there names nothing.
fn place_set(set: Option<wire::PlaceSet>) -> Refusable<PlaceSet> {
    let set = set.unwrap_or_default();
    let named = |(at, item): (usize, wire::GaItem)| {
        Ok(AdmissionsNamed {
            area: if item.area_key.is_empty() {
                AreaName::Index(saturated(item.area))
            } else {
                AreaName::Key(item.area_key.into_boxed_str())
            },
            ticket_type: area_ticket_type(at, item.ticket_type)?,
            quantity: item.quantity,
        })
    };
    let set = PlaceSet {
        plan_revision: set.plan_revision,
        seats: set.seats,
        seat_keys: boxed(set.seat_keys),
        selectors: boxed(set.selectors),
        admissions: set.ga.into_iter().enumerate().map(named).collect::<Refusable<_>>()?,
    };
    set.check().map_err(shape)?;
    Ok(set)
}

fn named_places(places: wire::NamedPlaces) -> Refusable<NamedPlaces> {
    let count = places.seats.len() + places.seat_keys.len();
    let asked = Asked { confirm: false, seats_by_index: places.seats.len(), plan_revision: places.plan_revision };
    let named = NamedPlaces {
        allocations: allocation_keys(places.allocation_keys, false),
        plan_revision: places.plan_revision,
        ticket_types: ticket_types(places.ticket_types, count, None)?,
        seats: places.seats.into(),
        seat_keys: boxed(places.seat_keys),
        admissions: admissions_wanted(places.ga)?,
    };
    named.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok(named)
}

/// A SellDirect.
pub(crate) fn sell_direct(request: wire::SellDirectRequest) -> Refusable<SellDirect> {
    Ok(SellDirect {
        request_id: required_request_id(&request.request_id)?,
        order: order_ref(&request.order_ref)?,
        places: named_places(wire::NamedPlaces {
            plan_revision: request.plan_revision,
            seats: request.seats,
            seat_keys: request.seat_keys,
            ga: request.ga,
            ticket_types: request.ticket_types,
            allocation_keys: request.allocation_keys,
        })?,
        customer: customer_key(&request.customer),
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    })
}

/// A RetireEvent that asks for the image.
pub(crate) fn retire_event(request: &admin::RetireEventRequest) -> Refusable<RetireEvent> {
    Ok(RetireEvent {
        request_id: required_request_id(&request.request_id)?,
        archived_seq: None,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    })
}

/// A ReturnPlaces.
pub(crate) fn return_places(request: wire::ReturnPlacesRequest) -> Refusable<ReturnPlaces> {
    let to = match wire::ReturnTo::try_from(request.to) {
        Ok(wire::ReturnTo::Unspecified | wire::ReturnTo::Origin) => ReturnTo::Origin,
        Ok(wire::ReturnTo::General) => ReturnTo::General,
        Ok(wire::ReturnTo::Killed) => ReturnTo::Killed,
        Err(_) => return Err(Refusal::invalid("to", "is not known to this version")),
    };
    let returned = ReturnPlaces {
        request_id: required_request_id(&request.request_id)?,
        order: order_ref(&request.order_ref)?,
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        to,
        reason: request.reason.into_boxed_str(),
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    returned.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(returned)
}

/// An Exchange.
pub(crate) fn exchange(request: wire::ExchangeRequest) -> Refusable<Exchange> {
    let take = match request.take {
        None => return Err(Refusal::invalid("take", "must be places or take_hold_id")),
        Some(exchange_request::Take::Places(places)) => {
            Take::Places(named_places(places).map_err(|refusal| refusal.under("places"))?)
        }
        Some(exchange_request::Take::TakeHoldId(text)) => Take::Hold(
            hold_id(&text)
                .map_err(|_| Refusal::field(Reason::HoldIdInvalid, "take_hold_id", "must be a UUID of version 7"))?,
        ),
    };
    let exchange = Exchange {
        request_id: required_request_id(&request.request_id)?,
        order: order_ref(&request.order_ref)?,
        give: place_set(request.give).map_err(|refusal| refusal.under("give"))?,
        take,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    exchange.check().map_err(shape)?;
    Ok(exchange)
}

/// A Kill.
pub(crate) fn kill(request: admin::KillRequest) -> Refusable<Kill> {
    let kill = Kill {
        request_id: required_request_id(&request.request_id)?,
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        reason: request.reason.into_boxed_str(),
        force: request.force,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    kill.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(kill)
}

/// An Unkill.
pub(crate) fn unkill(request: admin::UnkillRequest) -> Refusable<Unkill> {
    let unkill = Unkill {
        request_id: required_request_id(&request.request_id)?,
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    unkill.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(unkill)
}

/// A SetPriceLevel, without the plan that it is to bring.
pub(crate) fn set_price_level(request: admin::SetPriceLevelRequest) -> Refusable<SetPriceLevel> {
    let set = SetPriceLevel {
        request_id: required_request_id(&request.request_id)?,
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        level: request.price_level.into_boxed_str(),
        from: PlanDigest([0; 32]),
        plan: None,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    set.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(set)
}

/// A SetAllocation.
pub(crate) fn set_allocation(request: admin::SetAllocationRequest) -> Refusable<SetAllocation> {
    let bound =
        |field, time: Option<prost_types::Timestamp>| time.map(|time| timestamp(field, Some(&time))).transpose();
    let set = SetAllocation {
        request_id: required_request_id(&request.request_id)?,
        key: request.allocation_key.into_boxed_str(),
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        opens_at: bound("opens_at", request.opens_at)?,
        closes_at: bound("closes_at", request.closes_at)?,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    set.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(set)
}

/// A RemoveAllocation.
pub(crate) fn remove_allocation(request: admin::RemoveAllocationRequest) -> Refusable<RemoveAllocation> {
    let remove = RemoveAllocation {
        request_id: required_request_id(&request.request_id)?,
        key: request.allocation_key.into_boxed_str(),
        places: place_set(request.places).map_err(|refusal| refusal.under("places"))?,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
    };
    remove.check().map_err(|reject| shape(reject).under("places"))?;
    Ok(remove)
}

/// A page of a list that begins at `from`.
pub(crate) fn list(what: Listed, from: u32, size: u32) -> List {
    List { what, from, count_max: saturated(page_size(size)) }
}

/// What the edge needs to know of a set of places to say why it was refused. `revision` is that of the event.
pub(crate) fn asked_of(set: &PlaceSet, revision: u32) -> Asked {
    Asked { confirm: false, seats_by_index: set.seats.len(), plan_revision: or_now(set.plan_revision, revision) }
}

/// The same of places that are named one by one.
pub(crate) fn asked_of_named(places: &NamedPlaces, revision: u32) -> Asked {
    Asked { confirm: false, seats_by_index: places.seats.len(), plan_revision: or_now(places.plan_revision, revision) }
}

/// Who names no revision gets indexes of the event's.
fn or_now(named: u32, revision: u32) -> u32 {
    if named == 0 { revision } else { named }
}

/// An exchange that was refused: which of its two sets of places the refusal is about is told by what they name.
pub(crate) fn exchange_refused(reject: Reject, give: &PlaceSet, take: &Take, info: &EventInfo) -> Box<Refusal> {
    let is_unknown = |field, position: u32| {
        use inventory_core::reject::Field;
        let (at, plan) = (position as usize, &info.plan);
        match field {
            Field::Seats => give.seats.get(at).is_some_and(|&seat| seat >= plan.seat_count()),
            Field::SeatKeys => give.seat_keys.get(at).is_some_and(|key| plan.find_seat(key).is_none()),
            Field::Ga => give.admissions.get(at).is_some_and(|named| match &named.area {
                AreaName::Index(index) => usize::from(*index) >= plan.areas().len(),
                AreaName::Key(key) => plan.find_area(key).is_none(),
            }),
            _ => true,
        }
    };
    let of_give = match &reject {
        Reject::UnknownPlace { field, position } => is_unknown(*field, *position),
        Reject::Invalid { .. } | Reject::NotThisOrder { .. } => true,
        _ => false,
    };
    match take {
        Take::Places(places) if !of_give => {
            Refusal::of_reject(reject, asked_of_named(places, info.plan_revision)).under("places")
        }
        Take::Places(_) | Take::Hold(_) => Refusal::of_reject(reject, asked_of(give, info.plan_revision)).under("give"),
    }
}

// Answers.

/// What a command touched.
pub(crate) fn touched_message(touched: Touched, plan_revision: u32, info: &EventInfo) -> wire::Touched {
    let item = |(area, quantity): (u16, u32)| wire::GaItem { area: u32::from(area), quantity, ..Default::default() };
    wire::Touched {
        seat_keys: keys(info, plan_revision, &touched.seats),
        seats: touched.seats,
        ga: touched.areas.into_iter().map(item).collect(),
        hold_refs: touched.holds.into_iter().map(hold_ref).collect(),
        plan_revision,
    }
}

/// An allocation as the house sees it.
pub(crate) fn allocation_message(view: &AllocationView, plan_revision: u32, info: &EventInfo) -> admin::Allocation {
    let areas = if info.plan_revision == plan_revision { info.plan.areas() } else { &[] };
    let quota = |quota: &QuotaView| admin::AllocationQuota {
        area: u32::from(quota.area),
        area_key: areas.get(usize::from(quota.area)).map_or_else(String::new, |area| area.key.to_string()),
        quota: quota.quota,
        held: quota.held,
        sold: quota.sold,
    };
    let seats = view.seats;
    admin::Allocation {
        allocation_key: view.key.to_string(),
        opens_at: bound_message(view.opens_at),
        closes_at: bound_message(view.closes_at),
        seats: Some(wire::PlaceCounts {
            open: seats.open,
            held: seats.held,
            sold: seats.sold,
            killed: seats.killed,
            capacity: seats.open + seats.held + seats.sold + seats.killed,
        }),
        quotas: view.quotas.iter().map(quota).collect(),
    }
}

/// What is sold to an order out of one hold.
pub(crate) fn sold_part(part: &SoldPart, plan_revision: u32, info: &EventInfo) -> wire::SoldPart {
    let seats = seat_indexes(&part.seats);
    wire::SoldPart {
        order_ref: part.order.as_str().to_owned(),
        hold_ref: hold_ref(part.hold_id),
        seat_keys: keys(info, plan_revision, &seats),
        seats,
        ga: ga_items(&part.admissions),
        ticket_types: seat_types(&part.seats),
    }
}
