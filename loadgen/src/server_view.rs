use std::collections::BTreeMap;

use client::{Client, Error, HoldId, Reason};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use proto::inventory::v1::{GetAvailabilityRequest, GetAvailabilityResponse, GetSeatMapResponse};

use crate::audit::{HoldView, ServerView};
use crate::house::House;
use crate::patience::Patience;
use crate::progress::Progress;

/// Readings of map and counts until both are of one position. Holds that expire meanwhile move it.
const READINGS_MAX: usize = 20;
/// Holds asked for at a time.
const HOLDS_IN_FLIGHT: usize = 512;

/// Reads everything the audit compares: map and counts first, so that what they show is no newer than the holds.
pub(crate) async fn read(
    client: &Client,
    event_id: &str,
    holds: impl IntoIterator<Item = String>,
    patience: Patience,
    progress: &Progress,
) -> Result<ServerView, Error> {
    let (seat_map, availability) = read_counts(client, event_id, patience).await?;
    let holds = read_holds(client, event_id, holds, patience, progress).await;
    Ok(ServerView { seat_map, availability, holds })
}

/// Reads map and counts, of one position if it can be had.
pub(crate) async fn read_counts(
    client: &Client,
    event_id: &str,
    patience: Patience,
) -> Result<(GetSeatMapResponse, GetAvailabilityResponse), Error> {
    let mut readings = 0;
    loop {
        let seat_map = patience.ask(|| House::seat_map(client, event_id)).await?;
        let min_position = seat_map.seat_map.as_ref().map_or(0, |map| map.position);
        let request = || GetAvailabilityRequest {
            event_id: event_id.to_owned(),
            min_position,
            incarnation: seat_map.incarnation,
        };
        let availability = patience
            .ask(|| {
                let request = request();
                async move { client.unary().get_availability(request).await }
            })
            .await?;
        readings += 1;
        if availability.position == min_position || readings >= READINGS_MAX {
            return Ok((seat_map, availability));
        }
    }
}

async fn read_holds(
    client: &Client,
    event_id: &str,
    holds: impl IntoIterator<Item = String>,
    patience: Patience,
    progress: &Progress,
) -> BTreeMap<String, HoldView> {
    let mut waiting = holds.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut views = BTreeMap::new();
    loop {
        while asked.len() < HOLDS_IN_FLIGHT
            && let Some(hold) = waiting.next()
        {
            asked.push(async move {
                let view = read_hold(client, event_id, &hold, patience).await;
                (hold, view)
            });
        }
        let Some((hold, view)) = asked.next().await else { return views };
        views.insert(hold, view);
        progress.tick();
    }
}

async fn read_hold(client: &Client, event_id: &str, hold: &str, patience: Patience) -> HoldView {
    let Ok(id) = hold.parse::<HoldId>() else { return HoldView::Unread("no hold id".to_owned()) };
    match patience.ask(|| client.get_hold(event_id, id)).await {
        Ok(hold) => HoldView::Found(Box::new(hold)),
        Err(error) if error.reason() == Some(Reason::HoldNotFound) => HoldView::NotFound,
        Err(error) => HoldView::Unread(error.to_string()),
    }
}
