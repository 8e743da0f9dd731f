//! A sale over the wire: what a buyer's backend sees.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, HoldState},
};
use support::{START_MS, TestServer, confirm_of, extend_of, hold_of, no_rules, reason, release_of, said, soon};

#[tokio::test]
async fn a_hold_is_made_confirmed_and_seen_in_every_view() {
    let server = TestServer::with_show().await;
    let id = server.id();
    let held = server.hold(hold_of("show", &id, &[3, 4])).await.unwrap();
    let hold = held.hold.clone().unwrap();
    assert_eq!((hold.hold_id.as_str(), hold.state()), (id.as_str(), HoldState::Active));
    assert_eq!((hold.seats.as_slice(), hold.expires_in_ms), (&[3, 4][..], 600_000));
    assert_eq!(held.seat_labels, ["S-A-4", "S-A-5"]);
    assert!(held.position > 0 && held.incarnation > 0 && !held.replayed);
    assert_eq!(held.server_time_ms, START_MS);

    let event = server.event("show").await;
    let counts = event.counts.unwrap();
    assert_eq!((counts.open, counts.held, counts.sold, counts.killed, counts.capacity), (23, 2, 0, 0, 25));
    assert!(event.position >= held.position, "a caller reads its own writes");

    let sold = server.confirm(confirm_of("show", &id, "order-1")).await.unwrap();
    let hold = sold.hold.unwrap();
    assert_eq!((hold.state(), hold.sold_seats.as_slice()), (HoldState::Confirmed, &[3, 4][..]));
    assert_eq!((hold.order_refs, sold.seat_labels), (vec!["order-1".to_owned()], vec!["S-A-4".into(), "S-A-5".into()]));

    let request = wire::GetSeatMapRequest { event_id: "show".into(), ..Default::default() };
    let map = server.sale.clone().get_seat_map(request).await.unwrap().into_inner().seat_map.unwrap();
    assert_eq!((map.seat_count, map.plan_revision, map.position >= sold.position), (20, 1, true));
    // Seats 3 and 4 are sold: code 2 in bits 6-7 of byte 0 and 0-1 of byte 1.
    assert_eq!(map.states.as_ref(), &[0b1000_0000, 0b10, 0, 0, 0]);
    assert_eq!(map.ga[0].counts.unwrap().open, 5);

    let request = wire::GetAvailabilityRequest { event_id: "show".into(), ..Default::default() };
    let counts = server.sale.clone().get_availability(request).await.unwrap().into_inner();
    assert_eq!((counts.sections[0].key.as_str(), counts.sections[0].counts.unwrap().sold), ("S", 2));
    assert_eq!((counts.price_levels[0].key.as_str(), counts.price_levels[0].counts.unwrap().open), ("Front", 8));
    assert_eq!((counts.totals.unwrap().sold, counts.ga_areas[0].key.as_str()), (2, "Floor"));
    server.stop().await;
}

#[tokio::test]
async fn best_available_keys_and_areas_make_one_hold() {
    let server = TestServer::with_show().await;
    let request = wire::HoldRequest {
        event_id: "show".into(),
        seat_keys: vec!["S-B-1".into()],
        ga: vec![wire::GaItem { area_key: "Floor".into(), quantity: 2, ..Default::default() }],
        best_available: Some(wire::BestAvailable { quantity: 2, ..Default::default() }),
        ticket_types: vec![7, 1, 2],
        ..Default::default()
    };
    let held = server.hold(request).await.unwrap();
    let hold = held.hold.unwrap();
    // The server made the id; the two nearest the focal point are in the middle of row A.
    assert_eq!((hold.seats.as_slice(), hold.ticket_types.as_slice()), (&[10, 4, 5][..], &[7, 1, 2][..]));
    assert_eq!((hold.ga[0].area, hold.ga[0].quantity), (0, 2));
    assert_eq!(held.arrangement, wire::Arrangement::Contiguous as i32);

    let part = wire::ConfirmHoldRequest {
        seat_keys: vec!["S-B-1".into()],
        ga: vec![wire::GaItem { area_key: "Floor".into(), quantity: 1, ..Default::default() }],
        remainder: wire::Remainder::Keep as i32,
        request_id: server.id(),
        ..confirm_of("show", &hold.hold_id, "order-1")
    };
    let sold = server.confirm(part.clone()).await.unwrap().hold.unwrap();
    assert_eq!((sold.state(), sold.sold_seats.as_slice()), (HoldState::Active, &[10][..]));
    assert_eq!((sold.seats.as_slice(), sold.ga[0].quantity, sold.sold_ga[0].quantity), (&[4, 5][..], 1, 1));
    assert!(server.confirm(part).await.unwrap().replayed);
    server.stop().await;
}

#[tokio::test]
async fn of_a_thousand_holds_of_one_seat_one_wins() {
    let server = TestServer::with_show().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let mut sale = server.sale.clone();
        let request = hold_of("show", &server.id(), &[7]);
        asking.spawn(async move { sale.hold(request).await });
    }
    let (mut won, mut lost) = (0, 0);
    while let Some(answer) = soon(asking.join_next()).await {
        match answer.unwrap() {
            Ok(_) => won += 1,
            Err(status) => {
                let said = said(&status);
                assert_eq!(said.reason, "PLACES_UNAVAILABLE");
                assert_eq!(said.places.unwrap().places[0].state(), wire::PlaceState::Held);
                lost += 1;
            }
        }
    }
    assert_eq!((won, lost), (1, 999));
    assert_eq!(server.event("show").await.counts.unwrap().held, 1);
}

#[tokio::test]
async fn a_repeated_command_has_the_same_outcome_across_a_restart() {
    let server = TestServer::with_show().await;
    let (a, b, c) = (server.id(), server.id(), server.id());
    let first = server.hold(hold_of("show", &a, &[0])).await.unwrap();
    server.hold(hold_of("show", &b, &[1])).await.unwrap();
    server.hold(hold_of("show", &c, &[2])).await.unwrap();
    server.confirm(confirm_of("show", &b, "order-b")).await.unwrap();
    server.release(release_of("show", &c)).await.unwrap();
    let request_id = server.id();
    let extended = server.extend(extend_of("show", &a, &request_id, 900_000)).await.unwrap().hold.unwrap();
    assert_eq!(extended.expires_in_ms, 900_000);

    let server = server.restart().await;
    let again = server.hold(hold_of("show", &a, &[0])).await.unwrap();
    assert!(again.replayed && again.hold.unwrap().seats == first.hold.unwrap().seats);
    assert!(server.confirm(confirm_of("show", &b, "order-b")).await.unwrap().replayed);
    assert!(server.release(release_of("show", &c)).await.unwrap().replayed);
    let again = server.extend(extend_of("show", &a, &request_id, 900_000)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.hold.unwrap().expires_at_ms, extended.expires_at_ms);
    assert_eq!(server.event("show").await.counts.unwrap().open, 23);
    let created = support::new_event("show", no_rules());
    assert!(server.admin.clone().create_event(created).await.unwrap().into_inner().replayed);
    server.stop().await;
}

#[tokio::test]
async fn a_hold_expires_with_no_traffic() {
    let server = TestServer::with_show().await;
    let id = server.id();
    let held = server.hold(hold_of("show", &id, &[5])).await.unwrap();
    server.advance_ms(600_000);
    // Reads come from the view: nothing but the sweep changes it. The position shows when it did.
    let request = wire::GetEventRequest { event_id: "show".into(), min_position: held.position, ..Default::default() };
    soon(async {
        loop {
            let event = server.sale.clone().get_event(request.clone()).await.unwrap().into_inner().event.unwrap();
            if event.counts.unwrap().held == 0 {
                break;
            }
        }
    })
    .await;
    let hold = server.get_hold("show", &id).await.unwrap();
    assert_eq!((hold.state(), hold.cause()), (HoldState::Expired, wire::HoldCause::Deadline));
    server.stop().await;
}

#[tokio::test]
async fn at_its_deadline_a_hold_cannot_be_confirmed_and_its_seat_can_be_held() {
    let server = TestServer::with_show().await;
    let id = server.id();
    server.hold(hold_of("show", &id, &[5])).await.unwrap();
    server.clock.advance_ms(599_999);
    let other = server.id();
    assert_eq!(reason(server.hold(hold_of("show", &other, &[5])).await), "PLACES_UNAVAILABLE");
    server.clock.advance_ms(1);
    let refused = server.confirm(confirm_of("show", &id, "order-1")).await.unwrap_err();
    let refused = said(&refused);
    assert_eq!((refused.reason.as_str(), refused.metadata["refundDue"].as_str()), ("HOLD_EXPIRED", "true"));
    server.hold(hold_of("show", &server.id(), &[5])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_plan_travels_in_chunks_and_comes_together() {
    let server = TestServer::with_show().await;
    let request = wire::GetPlanRequest { event_id: "show".into(), ..Default::default() };
    let mut chunks = server.sale.clone().get_plan(request).await.unwrap().into_inner();
    let (mut keys, mut rows, mut areas, mut first) = (Vec::new(), Vec::new(), Vec::new(), None);
    while let Some(answer) = soon(chunks.message()).await.unwrap() {
        let chunk = answer.chunk.unwrap();
        assert_eq!((chunk.plan_digest.len(), chunk.plan_revision), (64, 1));
        keys.extend(chunk.seats.iter().flat_map(|seats| seats.keys.clone()));
        rows.extend(chunk.rows.clone());
        areas.extend(chunk.ga_areas.clone());
        first.get_or_insert(chunk);
    }
    let first = first.unwrap();
    assert_eq!((first.seat_count, first.capacity, first.display_name.as_str()), (20, 25, "House"));
    assert_eq!((keys.len(), keys[19].as_str(), rows.len(), rows[1].first_seat), (20, "S-B-10", 2, 10));
    assert_eq!((areas.len(), areas[0].capacity), (1, 5));
    server.stop().await;
}

#[tokio::test]
async fn events_are_listed_in_pages_and_updated_under_their_etag() {
    let mut server = TestServer::empty().await;
    for number in 0..5 {
        server.create(&format!("e{number}"), no_rules()).await.unwrap();
    }
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = admin::ListEventsRequest { page_size: 2, page_token: token };
        let page = server.admin.list_events(request).await.unwrap().into_inner();
        seen.extend(page.events.into_iter().map(|event| event.event_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["e0", "e1", "e2", "e3", "e4"]);

    let before = server.event("e0").await;
    let change = admin::UpdateEventRequest {
        event: Some(admin::Event { event_id: "e0".into(), display_name: "New".into(), ..Default::default() }),
        update_mask: Some(support::mask(&["display_name", "policies.hold_ttl"])),
        etag: before.etag.clone(),
        ..Default::default()
    };
    let after = server.admin.update_event(change.clone()).await.unwrap().into_inner().event.unwrap();
    assert_eq!((after.display_name.as_str(), after.etag == before.etag), ("New", false));
    assert_eq!(reason(server.admin.update_event(change).await), "STATE_MISMATCH");

    let status = server.admin.server_status(admin::ServerStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.state(), status.events), (admin::ServerState::Serving, 5));
    server.stop().await;
}

#[tokio::test]
async fn a_plan_is_stored_once_and_revised() {
    let server = TestServer::with_show().await;
    let request = admin::CreatePlanRequest {
        document: support::LARGER_HOUSE.as_bytes().to_vec().into(),
        format: admin::PlanFormat::Usher as i32,
        ..Default::default()
    };
    let stored = server.admin.clone().create_plan(request.clone()).await.unwrap().into_inner();
    assert!(stored.created);
    assert_eq!(stored.counts.unwrap().seats, 30);
    let again = server.admin.clone().create_plan(request).await.unwrap().into_inner();
    assert_eq!((again.created, &again.plan_digest), (false, &stored.plan_digest));

    let event = admin::Event { event_id: "show".into(), plan_digest: stored.plan_digest, ..Default::default() };
    let revised = server.update(event, &["plan_digest"]).await.unwrap().event.unwrap();
    assert_eq!((revised.plan_revision, revised.seat_count), (2, 30));
    let old = wire::HoldRequest { plan_revision: 1, ..hold_of("show", &server.id(), &[3]) };
    assert_eq!(reason(server.hold(old).await), "PLAN_CHANGED");
    let new = wire::HoldRequest { plan_revision: 2, ..hold_of("show", &server.id(), &[29]) };
    assert_eq!(server.hold(new).await.unwrap().seat_labels, ["S-C-10"]);
    server.stop().await;
}

#[tokio::test]
async fn a_part_named_by_key_is_told_again_under_a_later_plan() {
    let server = TestServer::with_show().await;
    let (id, request_id) = (server.id(), server.id());
    server.hold(hold_of("show", &id, &[10, 11])).await.unwrap();
    let part = wire::ConfirmHoldRequest {
        seat_keys: vec!["S-B-1".into()],
        remainder: wire::Remainder::Keep as i32,
        request_id,
        ..confirm_of("show", &id, "order-1")
    };
    let sold = server.confirm(part.clone()).await.unwrap();
    assert_eq!((sold.replayed, sold.hold.unwrap().sold_seats), (false, vec![10]));
    // The rows change places: the same key is another index.
    let request = admin::CreatePlanRequest {
        document: support::TURNED_HOUSE.as_bytes().to_vec().into(),
        format: admin::PlanFormat::Usher as i32,
        ..Default::default()
    };
    let stored = server.admin.clone().create_plan(request).await.unwrap().into_inner();
    let event = admin::Event { event_id: "show".into(), plan_digest: stored.plan_digest, ..Default::default() };
    server.update(event, &["plan_digest"]).await.unwrap();
    let again = server.confirm(part).await.unwrap();
    let hold = again.hold.unwrap();
    assert_eq!((again.replayed, hold.sold_seats, hold.seats), (true, vec![0], vec![1]));
    server.stop().await;
}

#[tokio::test]
async fn a_filter_names_no_more_than_a_shard_can_look_up() {
    let server = TestServer::with_show().await;
    let names = |count: usize| wire::HoldRequest {
        best_available: Some(wire::BestAvailable {
            quantity: 1,
            sections: vec!["S".into(); count],
            ..Default::default()
        }),
        ..hold_of("show", &server.id(), &[])
    };
    server.hold(names(64)).await.unwrap();
    assert_eq!(reason(server.hold(names(65)).await), "VALIDATION_FAILED");
    server.stop().await;
}
