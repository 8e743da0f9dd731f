//! Places that the house sets aside for those who bring a key.
//!
//! Not here: who may take them, which the shard judges (crate `inventory-core`), what else the house does (`house.rs`).

use std::{borrow::Cow, sync::Arc};

use engine::Done;
use inventory_core::{command::Command, reject::Reject};
use prost::Message;
use proto::{admin::v1 as wire, inventory::v1::Reason};

use super::{
    convert, convert_admin, convert_orders,
    deadline::CallTime,
    inventory::find,
    orders::{Came, ask, foreign_answer},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
    touching::{Sent, Touching, touch, under_places},
};

/// Sets places aside.
pub(crate) async fn set(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    mut request: wire::SetAllocationRequest,
) -> Refusable<wire::SetAllocationResponse> {
    let sent = Sent { bytes: request.encoded_len(), event_id: std::mem::take(&mut request.event_id) };
    let command = || {
        let set = convert_orders::set_allocation(request)?;
        let asked = convert_orders::asked_of(&set.places, 0);
        Ok((Command::SetAllocation(Box::new(set)), asked))
    };
    let say = |reject, asked| match reject {
        Reject::CapacityInvalid => Refusal::field(
            Reason::CapacityInvalid,
            "places.ga",
            "a quota must be at most as many as the capacity of its area",
        ),
        Reject::CapacityBudget => Refusal::new(
            Reason::CapacityBudget,
            "an event has at most 255 allocations, and an area admissions of at most 15",
        ),
        reject @ Reject::PlacesInUse { .. } => {
            let mut refusal = Refusal::of_reject(reject, asked);
            refusal.message = Cow::Borrowed(
                "a quota would be below what is held and sold of it, or above what general sale can spare",
            );
            refusal
        }
        reject => under_places(reject, asked),
    };
    let Touching { touched, replayed, position, incarnation, server_time } =
        touch(edge, time, sent, command, say).await?;
    Ok(wire::SetAllocationResponse { touched, replayed, position, incarnation, server_time })
}

/// Gives them back to general sale.
pub(crate) async fn remove(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    mut request: wire::RemoveAllocationRequest,
) -> Refusable<wire::RemoveAllocationResponse> {
    let sent = Sent { bytes: request.encoded_len(), event_id: std::mem::take(&mut request.event_id) };
    let command = || {
        let remove = convert_orders::remove_allocation(request)?;
        let asked = convert_orders::asked_of(&remove.places, 0);
        Ok((Command::RemoveAllocation(Box::new(remove)), asked))
    };
    let Touching { touched, replayed, position, incarnation, server_time } =
        touch(edge, time, sent, command, under_places).await?;
    Ok(wire::RemoveAllocationResponse { touched, replayed, position, incarnation, server_time })
}

/// Tells all of an event.
pub(crate) async fn list(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    request: wire::ListAllocationsRequest,
) -> Refusable<wire::ListAllocationsResponse> {
    let engine = edge.engine()?;
    convert::event_id(&request.event_id)?;
    let event = find(engine, &request.event_id, Asked::default())?;
    let say = |reject| Refusal::of_reject(reject, Asked::default());
    let Came { done, position, time } = ask(edge, engine, time, &event, Command::ListAllocations, 0, say).await?;
    let Done::Allocations { plan_revision, allocations } = done else { return Err(foreign_answer()) };
    let info = event.info();
    let message = |view| convert_orders::allocation_message(view, plan_revision, &info);
    Ok(wire::ListAllocationsResponse {
        allocations: allocations.iter().map(message).collect(),
        plan_revision,
        position,
        incarnation: engine.incarnation(),
        server_time: Some(convert_admin::timestamp_message(time)),
    })
}
