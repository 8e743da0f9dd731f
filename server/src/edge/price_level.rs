//! Another price level for places: the plan with it is made here and stored, then the shard judges whether it may be.
//!
//! Invariants:
//!
//! - A plan that was made of another one than the event has is never applied: the shard compares, and it is made anew.
//!
//! Not here: which places may change (crate `inventory-core`), the bytes of a plan (`plan_store.rs` of crate `engine`).

use std::{borrow::Cow, sync::Arc};

use engine::{Done, Engine, EventInfo, PlanStore};
use inventory_core::{
    command::Command,
    ids::PlanDigest,
    plan::Plan,
    price_level::{SetPriceLevel, changed_in},
    reject::Reject,
};
use prost::Message;
use proto::{admin::v1 as wire, inventory::v1::Reason};

use super::{
    admin::{off_the_core, plan_not_stored},
    convert, convert_admin, convert_orders,
    deadline::CallTime,
    inventory::find,
    orders::{Came, ask, foreign_answer},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// How often the plan is made before the caller is told that others change it all the time.
const TRIES_MAX: usize = 4;
/// About what a seat takes in a plan file.
const SEAT_BYTES: usize = 32;

/// Gives places another price level.
pub(crate) async fn set(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    mut request: wire::SetPriceLevelRequest,
) -> Refusable<wire::SetPriceLevelResponse> {
    let engine = edge.engine()?;
    let bytes = request.encoded_len();
    let event_id = convert::event_id(&std::mem::take(&mut request.event_id))?;
    let mut set = convert_orders::set_price_level(request)?;
    let event = find(engine, event_id.as_str(), Asked::default())?;
    for tries_left in (0..TRIES_MAX).rev() {
        let info = event.info();
        let asked = convert_orders::asked_of(&set.places, info.plan_revision);
        set.from = info.plan.digest();
        set.plan = plan_with_level(edge, engine, &info, &set).await?;
        let command = Command::SetPriceLevel(Box::new(set.clone()));
        let say = |reject| say(reject, asked);
        let came = match ask(edge, engine, time.clone(), &event, command, bytes, say).await {
            Ok(came) => came,
            // What was answered is in the view: only with another plan there is it worth another try.
            Err(refusal) if tries_left > 0 && is_of_another_plan(&refusal, &event.info(), set.from) => continue,
            Err(refusal) => return Err(refusal),
        };
        let Came { done: Done::Touched { plan_revision, touched, replayed }, position, time } = came else {
            return Err(foreign_answer());
        };
        let info = event.info();
        return Ok(wire::SetPriceLevelResponse {
            touched: Some(convert_orders::touched_message(touched, plan_revision, &info)),
            replayed,
            plan_digest: info.plan.digest().to_string(),
            position,
            incarnation: engine.incarnation(),
            server_time: Some(convert_admin::timestamp_message(time)),
        });
    }
    unreachable!("the last try returns")
}

/// Whether a refusal may come of the plan being made of one that the event no longer has.
fn is_of_another_plan(refusal: &Refusal, now: &EventInfo, from: PlanDigest) -> bool {
    refusal.reason == Reason::StateMismatch && now.plan.digest() != from
}

/// The event's plan with the level, made durable unless the command only asks. Nothing when the level would be one too
/// many; nothing either when the plan has no such places: then the command goes as it is, since it may be one that was
/// done before, and the shard says what is wrong with it.
async fn plan_with_level(
    edge: &Edge,
    engine: &Arc<Engine>,
    info: &EventInfo,
    set: &SetPriceLevel,
) -> Refusable<Option<Arc<Plan>>> {
    let (plan, plan_revision) = (Arc::clone(&info.plan), info.plan_revision);
    let (engine, set) = (Arc::clone(engine), set.clone());
    let plan_bytes = plan.seat_count() as usize * SEAT_BYTES;
    off_the_core(edge, plan_bytes, move || {
        let Ok((seats, areas)) = changed_in(&set.places, &plan, plan_revision, &set.level) else { return Ok(None) };
        if seats.is_empty() && areas.is_empty() {
            return Ok(Some(plan));
        }
        let encoded = engine.plans().with_level(&plan.digest(), &seats, &areas, &set.level).map_err(plan_not_stored)?;
        let Some(encoded) = encoded else { return Ok(None) };
        let made = if set.validate_only { PlanStore::built(&encoded) } else { engine.plans().put(encoded) };
        made.map(Some).map_err(plan_not_stored)
    })
    .await
}

fn say(reject: Reject, asked: Asked) -> Box<Refusal> {
    match reject {
        Reject::CapacityBudget => {
            Refusal::new(Reason::CapacityBudget, "a plan has at most 255 price levels, used or not")
        }
        reject @ Reject::PlacesInUse { .. } => {
            let mut refusal = Refusal::of_reject(reject, asked);
            refusal.message = Cow::Borrowed("places that are held or sold keep their price level");
            refusal
        }
        reject => Refusal::of_reject(reject, asked).under("places"),
    }
}
