//! What the house does to its places: withdraw them from sale, open them again, see who holds them.
//!
//! Not here: sold places that come back (`orders.rs`), events (`admin.rs`).

use std::sync::Arc;

use engine::Done;
use inventory_core::{change::HoldView, command::Command, order::Listed, reject::Reject};
use prost::Message;
use proto::{admin::v1 as wire, inventory::v1::Reason};

use super::{
    carts::{cart_message, event_name},
    convert, convert_admin, convert_orders,
    deadline::CallTime,
    inventory::find,
    orders::{Came, ask, foreign_answer},
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
    touching::{Sent, Touching, touch, under_places},
};

/// Withdraws places.
pub(crate) async fn kill(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    mut request: wire::KillRequest,
) -> Refusable<wire::KillResponse> {
    let sent = Sent { bytes: request.encoded_len(), event_id: std::mem::take(&mut request.event_id) };
    let command = || {
        let kill = convert_orders::kill(request)?;
        let asked = convert_orders::asked_of(&kill.places, 0);
        Ok((Command::Kill(Box::new(kill)), asked))
    };
    let Touching { touched, replayed, position, incarnation, server_time } =
        touch(edge, time, sent, command, under_places).await?;
    Ok(wire::KillResponse { touched, replayed, position, incarnation, server_time })
}

/// Opens them again.
pub(crate) async fn unkill(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    mut request: wire::UnkillRequest,
) -> Refusable<wire::UnkillResponse> {
    let sent = Sent { bytes: request.encoded_len(), event_id: std::mem::take(&mut request.event_id) };
    let command = || {
        let unkill = convert_orders::unkill(request)?;
        let asked = convert_orders::asked_of(&unkill.places, 0);
        Ok((Command::Unkill(Box::new(unkill)), asked))
    };
    let say = |reject, asked| match reject {
        Reject::CapacityInvalid => {
            Refusal::field(Reason::CapacityInvalid, "places.ga", "must be at most as many as are killed in each area")
        }
        reject => under_places(reject, asked),
    };
    let Touching { touched, replayed, position, incarnation, server_time } =
        touch(edge, time, sent, command, say).await?;
    Ok(wire::UnkillResponse { touched, replayed, position, incarnation, server_time })
}

/// Who holds them.
pub(crate) async fn list_holds(
    edge: &Arc<Edge>,
    time: Option<CallTime>,
    request: wire::ListHoldsRequest,
) -> Refusable<wire::ListHoldsResponse> {
    let engine = edge.engine()?;
    convert::event_id(&request.event_id)?;
    let event = find(engine, &request.event_id, Asked::default())?;
    let from = edge.page_tokens.from(Listed::Holds, event.key(), &request.page_token)?;
    let command = Command::List(convert_orders::list(Listed::Holds, from, request.page_size));
    let say = |reject| Refusal::of_reject(reject, Asked::default());
    let Came { done, position, time } = ask(edge, engine, time, &event, command, 0, say).await?;
    let Done::Page { plan_revision, page } = done else { return Err(foreign_answer()) };
    let info = event.info();
    let listed = |view: &HoldView| {
        let seats = convert::seat_indexes(&view.seats);
        wire::ListedHold {
            hold_ref: convert::hold_ref(view.hold_id),
            state: convert::hold_state(view.state) as i32,
            seat_keys: convert::keys(&info, plan_revision, &seats),
            seats,
            ga: convert::ga_items(&view.admissions),
            ticket_types: convert::seat_types(&view.seats),
            created_at: Some(convert_admin::timestamp_message(view.created_at)),
            expires_at: Some(convert_admin::timestamp_message(view.expires_at)),
            payment_deadline: convert_admin::bound_message(view.payment_deadline),
            order_refs: view.orders.iter().map(|order| order.as_str().to_owned()).collect(),
            places_lost: view.places_lost,
            cart: view.cart.as_ref().map(|cart| cart_message(event.id().as_str(), cart, |key| event_name(engine, key))),
        }
    };
    Ok(wire::ListHoldsResponse {
        holds: page.holds.iter().map(listed).collect(),
        next_page_token: edge.page_tokens.token(Listed::Holds, event.key(), page.next),
        plan_revision,
        position,
        incarnation: engine.incarnation(),
        server_time: Some(convert_admin::timestamp_message(time)),
    })
}
