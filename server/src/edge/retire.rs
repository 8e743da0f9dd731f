//! Events leave memory: the shard gives the last state, a thread of its own makes a file of it, then the shard retires
//! the event, if it is still in that state.
//!
//! Not here: the file (`engine`), who may be retired (`inventory-core`).

use std::sync::Arc;

use engine::{Done, Engine, EventView, PlanStoreError};
use inventory_core::{command::Command, reject::Reject, retire::RetireEvent};
use proto::{
    admin::v1 as wire,
    inventory::v1::{Executed, Reason},
};

use super::{
    admin::off_the_core,
    convert, convert_admin, convert_orders,
    deadline::CallTime,
    inventory::find,
    orders::{Came, ask, foreign_answer},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// An event that is off sale changes by the house alone. One that changes under so many files is not at rest.
const TRIES_MAX: usize = 4;

/// Archives an event and takes it out of memory.
pub(crate) async fn retire(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    request: wire::RetireEventRequest,
) -> Refusable<wire::RetireEventResponse> {
    let engine = edge.engine()?;
    let event_id = convert::event_id(&request.event_id)?;
    let retire = convert_orders::retire_event(&request)?;
    let event = find(engine, event_id.as_str(), Asked::default())?;
    let mut tries = 1;
    loop {
        let came = ask_to_retire(edge, engine, time.clone(), &event, retire.clone()).await?;
        let image = match came.done {
            Done::Event { .. } => return Ok(retired(engine, &event, String::new(), &came)),
            Done::Image(image) => image,
            _ => return Err(foreign_answer()),
        };
        let archived_seq = Some(image.event_seq);
        // What an event without its plan and holds takes, and they, at least once more while it is written.
        let bytes = image.bytes.len();
        let (of, key, position) = (Arc::clone(engine), event.key(), came.position);
        let work = move || of.archive_event(key, &image, position).map_err(|error| not_archived(&error));
        let file = off_the_core(edge, bytes, work).await?;
        let second = RetireEvent { archived_seq, ..retire.clone() };
        match ask_to_retire(edge, engine, time.clone(), &event, second).await {
            Ok(came @ Came { done: Done::Retired, .. }) => return Ok(retired(engine, &event, file, &came)),
            Ok(_) => return Err(foreign_answer()),
            // It has changed meanwhile, or is in another state than the caller expects: the next answer tells.
            Err(refusal) if refusal.reason == Reason::StateMismatch && tries < TRIES_MAX => tries += 1,
            Err(refusal) => return Err(refusal),
        }
    }
}

async fn ask_to_retire(
    edge: &Arc<Edge>,
    engine: &Engine,
    time: Option<CallTime>,
    event: &EventView,
    retire: RetireEvent,
) -> Refusable<Came> {
    let say = |reject: Reject| Refusal::of_reject(reject, Asked::default());
    ask(edge, engine, time, event, Command::RetireEvent(retire), 0, say).await
}

/// The last state that was shown is the one that was archived: nothing changes an event that is gone.
fn retired(engine: &Engine, event: &EventView, archive_file: String, came: &Came) -> wire::RetireEventResponse {
    wire::RetireEventResponse {
        event: Some(convert_admin::event_message(event, engine.incarnation())),
        archive_file,
        position: came.position,
        incarnation: engine.incarnation(),
        server_time: Some(convert_admin::timestamp_message(came.time)),
    }
}

fn not_archived(error: &PlanStoreError) -> Box<Refusal> {
    tracing::error!(%error, "the file of an event that is to be retired cannot be written");
    let what = "the file of the event cannot be written; see the server's log. The event is there as before";
    Refusal::new(Reason::StorageFailed, what).executed(Executed::False)
}
