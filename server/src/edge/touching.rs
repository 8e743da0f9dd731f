//! Commands of the house about named places, from the request to what they touched.
//!
//! Not here: what each of them is (`house.rs`, `allocation.rs`), sales (`orders.rs`).

use std::sync::Arc;

use engine::Done;
use inventory_core::{command::Command, reject::Reject};
use proto::inventory::v1 as inventory;

use super::{
    convert, convert_admin, convert_orders,
    deadline::CallTime,
    inventory::find,
    orders::{Came, ask, foreign_answer},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// What was touched, as answers tell it.
pub(crate) struct Touching {
    pub(crate) touched: Option<inventory::Touched>,
    pub(crate) replayed: bool,
    pub(crate) position: u64,
    pub(crate) incarnation: u64,
    pub(crate) server_time: Option<prost_types::Timestamp>,
}

/// The event of a request and its size, in bytes.
pub(crate) struct Sent {
    pub(crate) event_id: String,
    pub(crate) bytes: usize,
}

/// Makes the command of a request, hands it over and waits for what it touches. `command` also tells how places were
/// named; of a revision 0 it is the event's. `say` makes words of a reject.
pub(crate) async fn touch(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    sent: Sent,
    command: impl FnOnce() -> Refusable<(Command, Asked)>,
    say: impl FnOnce(Reject, Asked) -> Box<Refusal>,
) -> Refusable<Touching> {
    let engine = edge.engine()?;
    let event_id = convert::event_id(&sent.event_id)?;
    let (command, mut asked) = command()?;
    let event = find(engine, event_id.as_str(), Asked::default())?;
    if asked.plan_revision == 0 {
        asked.plan_revision = event.info().plan_revision;
    }
    let say = |reject| say(reject, asked);
    let Came { done, position, time } = ask(edge, engine, time, &event, command, sent.bytes, say).await?;
    let Done::Touched { plan_revision, touched, replayed } = done else { return Err(foreign_answer()) };
    Ok(Touching {
        touched: Some(convert_orders::touched_message(touched, plan_revision, &event.info())),
        replayed,
        position,
        incarnation: engine.incarnation(),
        server_time: Some(convert_admin::timestamp_message(time)),
    })
}

/// The words that a reject has of itself, of a request whose places are in `places`.
pub(crate) fn under_places(reject: Reject, asked: Asked) -> Box<Refusal> {
    Refusal::of_reject(reject, asked).under("places")
}
