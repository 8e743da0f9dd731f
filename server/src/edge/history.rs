//! What happened to a seat, a hold or an order, from the index that the server keeps of its log.
//!
//! Not here: making the index (crate `history`), the history of a folder without a server (`usherctl`).

use std::sync::Arc;

use ::history::{Of, Page, Row};
use engine::{event_key, inspect::Actor};
use inventory_core::ids::TimestampMs;
use proto::{
    admin::v1::{self as wire, get_history_request::Of as OfRequest},
    inventory::v1::Reason,
};

use super::{
    convert, convert_admin,
    refusal::{Asked, Refusable, Refusal},
    state::Edge,
};

/// One page.
pub(crate) async fn get_history(
    edge: &Arc<Edge>,
    request: wire::GetHistoryRequest,
) -> Refusable<wire::GetHistoryResponse> {
    let engine = edge.engine()?;
    let event_id = convert::event_id(&request.event_id)?;
    let of = of_request(request.of)?;
    let after = after(&request.page_token)?;
    let count_max = convert_admin::page_size(request.page_size);
    let Some(history) = edge.history().cloned() else {
        let what = "this server keeps no history: start it with --history on, or read its log with usherctl history \
                    --data-dir";
        return Err(Refusal::new(Reason::ValidationFailed, what));
    };
    let key = event_key(event_id.as_str());
    // It reads a disk, in its own time.
    let read = tokio::task::spawn_blocking(move || history.page(key.0, &of, after, count_max)).await;
    let page = match read {
        Ok(Ok(page)) => page,
        Ok(Err(not_now)) => {
            tracing::warn!(why = %not_now.why, "the history was asked for and is not there");
            return Err(Refusal::overloaded());
        }
        Err(failed) => {
            tracing::error!(%failed, "reading the history met a fault");
            return Err(Refusal::new(Reason::Internal, "reading the history met a fault of the server"));
        }
    };
    if !page.knows_event && engine.directory().find_key(key).is_none() {
        return Err(Refusal::event_not_found(Asked::default()));
    }
    let next_page_token = match page.rows.last() {
        Some(last) if page.has_more => last.position.to_string(),
        _ => String::new(),
    };
    let Page { rows, complete_from, complete_to, .. } = page;
    Ok(wire::GetHistoryResponse {
        changes: rows.into_iter().map(change).collect(),
        next_page_token,
        complete_from,
        complete_to,
        incarnation: engine.incarnation(),
        server_time: Some(convert_admin::timestamp_message(engine.clock().now())),
    })
}

fn of_request(of: Option<OfRequest>) -> Refusable<Of> {
    match of {
        Some(OfRequest::SeatKey(key)) if !key.is_empty() => Ok(Of::Seat(key)),
        Some(OfRequest::OrderRef(order)) => Ok(Of::Order(convert::order_ref(&order)?.as_str().to_owned())),
        Some(OfRequest::Hold(name)) => match public_name(&name) {
            Some(hold_ref) => Ok(Of::Hold(hold_ref)),
            None => Ok(Of::Hold(::history::hold_ref(convert::hold_id(&name)?))),
        },
        Some(OfRequest::SeatKey(_)) | None => Err(Refusal::invalid("of", "must be seat_key, hold or order_ref")),
    }
}

/// A public name: 16 hexadecimal digits.
fn public_name(text: &str) -> Option<[u8; 8]> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = digits.then(|| u64::from_str_radix(text, 16).ok())??;
    let mut bytes = bits.to_le_bytes();
    bytes.reverse();
    Some(bytes)
}

/// The position in a page token.
fn after(token: &str) -> Refusable<u64> {
    let invalid =
        || Refusal::field(Reason::PageTokenInvalid, "page_token", "must be the next_page_token of the page before");
    if token.is_empty() { Ok(0) } else { token.parse().map_err(|_| invalid()) }
}

fn name(hold_ref: [u8; 8]) -> String {
    hold_ref.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn change(row: Row) -> wire::HistoryChange {
    let place = |place: ::history::Place| wire::HistoryPlace {
        key: place.key,
        index: place.index,
        is_area: place.is_area,
        quantity: place.quantity,
        to: convert::place_state(place.to) as i32,
    };
    wire::HistoryChange {
        position: row.position,
        time: Some(convert_admin::timestamp_message(TimestampMs(row.time_ms))),
        kind: row.kind.into_owned(),
        cause: row.cause.into_owned(),
        actor: match row.actor {
            Actor::Buyer => wire::HistoryActor::Buyer,
            Actor::House => wire::HistoryActor::House,
            Actor::Server => wire::HistoryActor::Server,
        } as i32,
        customer_key: if row.customer == 0 { String::new() } else { format!("{:016x}", row.customer) },
        hold_refs: row.hold_refs.into_iter().map(name).collect(),
        replaced_ref: row.replaced.map(name).unwrap_or_default(),
        order_ref: row.order,
        places: row.places.into_iter().map(place).collect(),
        places_more: row.places_more,
        plan_revision: row.plan_revision,
        event_seq: row.event_seq,
    }
}
