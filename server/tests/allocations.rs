//! Places set aside over the wire: who may take them, when, and what the public sees of them.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, EventState, PlaceState, Reason},
};
use support::{START_MS, TestServer, confirm_of, floor, hold_of, reason, said, selected, sell_of, set_of};
use tonic::Code;

const FANS: &str = "fans";

fn remove_of(request_id: &str, key: &str, places: Option<wire::PlaceSet>) -> admin::RemoveAllocationRequest {
    admin::RemoveAllocationRequest {
        event_id: "show".into(),
        request_id: request_id.into(),
        allocation_key: key.into(),
        places,
        ..Default::default()
    }
}

/// Four seats, 0 to 3, and three of the five admissions.
fn aside() -> Option<wire::PlaceSet> {
    Some(wire::PlaceSet { ga: vec![floor(3)], ..selected(&["S/A/1-4"]).unwrap() })
}

fn with_key(request: wire::HoldRequest, key: &str) -> wire::HoldRequest {
    wire::HoldRequest { allocation_keys: vec![key.into()], ..request }
}

fn at(ms: u64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: (ms / 1_000) as i64, nanos: 0 })
}

async fn server_with_fans() -> TestServer {
    let server = TestServer::with_show().await;
    server.set_allocation(set_of(&server.id(), FANS, aside())).await.unwrap();
    server
}

/// The public state of each seat.
async fn map(server: &TestServer) -> Vec<u8> {
    let request = wire::GetSeatMapRequest { event_id: "show".into(), ..Default::default() };
    let map = server.sale.clone().get_seat_map(request).await.unwrap().into_inner().seat_map.unwrap();
    (0..map.seat_count as usize).map(|seat| map.states[seat / 4] >> (2 * (seat % 4)) & 3).collect()
}

#[tokio::test]
async fn what_is_set_aside_is_unavailable_to_the_public_until_it_is_removed() {
    let server = TestServer::with_show().await;
    let request = set_of(&server.id(), FANS, aside());
    let only = admin::SetAllocationRequest { validate_only: true, ..request.clone() };
    let would = server.set_allocation(only).await.unwrap().touched.unwrap();
    assert_eq!((would.seats.as_slice(), would.seat_keys[3].as_str()), (&[0, 1, 2, 3][..], "S-A-4"));
    assert_eq!((would.ga[0].area, would.ga[0].quantity, would.plan_revision), (0, 3, 1));
    assert!(server.allocations().await.is_empty());

    let done = server.set_allocation(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap(), done.replayed), (would, false));
    assert!(done.position > 0 && done.incarnation > 0);
    assert_eq!(done.server_time.unwrap().seconds as u64, START_MS / 1_000);
    let again = server.set_allocation(request.clone()).await.unwrap();
    assert!(again.replayed && again.touched.unwrap().seats.is_empty());
    let reused = admin::SetAllocationRequest { allocation_key: "press".into(), ..request };
    assert_eq!(reason(server.set_allocation(reused).await), "REQUEST_ID_REUSED");

    assert_eq!(map(&server).await[..5], [3, 3, 3, 3, 0]);
    let counts = server.event("show").await.counts.unwrap();
    assert_eq!((counts.open, counts.killed, counts.capacity), (18, 7, 25));
    let all = server.allocations().await;
    assert_eq!((all.len(), all[0].allocation_key.as_str(), all[0].opens_at, all[0].closes_at), (1, FANS, None, None));
    let seats = all[0].seats.unwrap();
    assert_eq!((seats.open, seats.held, seats.sold, seats.killed, seats.capacity), (4, 0, 0, 0, 4));
    let quota = &all[0].quotas[0];
    assert_eq!((quota.area, quota.area_key.as_str(), quota.quota, quota.held, quota.sold), (0, "Floor", 3, 0, 0));

    // A part of it, then the rest.
    let part = wire::PlaceSet { ga: vec![floor(1)], ..selected(&["S/A/4-6"]).unwrap() };
    let request = remove_of(&server.id(), FANS, Some(part));
    let only = admin::RemoveAllocationRequest { validate_only: true, ..request.clone() };
    let would = server.remove_allocation(only).await.unwrap().touched.unwrap();
    assert_eq!((would.seats.as_slice(), would.ga[0].quantity), (&[3][..], 1));
    let done = server.remove_allocation(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap(), done.replayed), (would, false));
    assert!(server.remove_allocation(request).await.unwrap().replayed);
    assert_eq!(map(&server).await[..5], [3, 3, 3, 0, 0]);
    let rest = remove_of(&server.id(), FANS, None);
    let only = admin::RemoveAllocationRequest { validate_only: true, ..rest.clone() };
    let would = server.remove_allocation(only).await.unwrap().touched.unwrap();
    assert_eq!((would.seats.as_slice(), would.ga[0].quantity), (&[0, 1, 2][..], 2));
    server.remove_allocation(rest).await.unwrap();
    assert_eq!(server.event("show").await.counts.unwrap().open, 25);
    assert!(server.allocations().await.is_empty());
    server.hold(hold_of("show", &server.id(), &[0, 1, 2, 3])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn who_brings_no_key_gets_none_of_it() {
    let server = server_with_fans().await;
    let of_both = wire::HoldRequest { plan_revision: 1, ..hold_of("show", &server.id(), &[2, 3, 4]) };
    let refused = said(&server.hold(of_both).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("NOT_IN_ALLOCATION", Some(Code::FailedPrecondition)));
    assert_eq!(refused.executed, "false");
    let places = refused.places.unwrap();
    let named: Vec<_> = places.places.iter().map(|place| (place.place, place.state())).collect();
    let seat = |index| Some(wire::places_unavailable::place::Place::Index(index));
    assert_eq!(named, [(seat(2), PlaceState::Unavailable), (seat(3), PlaceState::Unavailable)]);
    assert_eq!(places.plan_revision, 1);
    let wrong = with_key(hold_of("show", &server.id(), &[3]), "fan");
    assert_eq!(reason(server.hold(wrong).await), "NOT_IN_ALLOCATION");

    let explained = |hold| async {
        let request = wire::ExplainRequest { hold: Some(hold) };
        server.sale.clone().explain(request).await.unwrap().into_inner()
    };
    let why = explained(hold_of("show", "", &[3])).await;
    assert_eq!((why.reason(), why.places_unavailable.unwrap().places.len()), (Reason::NotInAllocation, 1));
    assert_eq!(explained(with_key(hold_of("show", "", &[3]), FANS)).await.reason(), Reason::Unspecified);

    // The nearest seats are not of general sale, and neither is most of the floor.
    let best = |quantity| wire::BestAvailable { quantity, seats_only: true, ..Default::default() };
    let suggest = |keys: &[&str], include_unallocated| {
        let request = wire::SuggestRequest {
            event_id: "show".into(),
            best_available: Some(best(4)),
            options_max: 10,
            allocation_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            include_unallocated,
        };
        let mut sale = server.sale.clone();
        async move {
            let options = sale.suggest(request).await.unwrap().into_inner().options;
            options.into_iter().flat_map(|option| option.seats).collect::<Vec<u32>>()
        }
    };
    let general = suggest(&[], false).await;
    assert!(general.len() >= 8 && general.iter().all(|&seat| seat > 3), "{general:?}");
    assert_eq!(suggest(&[FANS], false).await, [0, 1, 2, 3]);
    let both = suggest(&[FANS], true).await;
    assert!(both.iter().any(|&seat| seat < 4) && both.iter().any(|&seat| seat > 3), "{both:?}");
    let many = wire::HoldRequest { ga: vec![floor(3)], ..hold_of("show", &server.id(), &[]) };
    assert_eq!(reason(server.hold(many.clone()).await), "NOT_ENOUGH_PLACES");
    server.hold(with_key(many, FANS)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_quota_is_drawn_first_and_what_comes_back_is_its_own() {
    let server = server_with_fans().await;
    let id = server.id();
    let request = wire::HoldRequest { ga: vec![floor(4)], ..hold_of("show", &id, &[0, 4]) };
    server.hold(with_key(request, FANS)).await.unwrap();
    let used = |all: &[admin::Allocation]| {
        let (seats, quota) = (all[0].seats.unwrap(), &all[0].quotas[0]);
        (seats.open, seats.held, seats.sold, quota.held, quota.sold)
    };
    assert_eq!(used(&server.allocations().await), (3, 1, 0, 3, 0));

    // A quota that is in use, and one that nobody can spare.
    for (quota, missing) in [(2, 1), (5, 1)] {
        let set = set_of(&server.id(), FANS, Some(wire::PlaceSet { ga: vec![floor(quota)], ..Default::default() }));
        let refused = said(&server.set_allocation(set).await.unwrap_err());
        assert_eq!((refused.reason.as_str(), refused.places.unwrap().places[0].missing), ("PLACES_IN_USE", missing));
    }
    let less = wire::PlaceSet { ga: vec![floor(1)], ..Default::default() };
    let refused = said(&server.remove_allocation(remove_of(&server.id(), FANS, Some(less))).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.places.unwrap().places[0].missing), ("PLACES_IN_USE", 1));

    server.confirm(confirm_of("show", &id, "order-1")).await.unwrap();
    assert_eq!(used(&server.allocations().await), (3, 0, 1, 0, 3));
    let back = |to: wire::ReturnTo, ga| wire::ReturnPlacesRequest {
        event_id: "show".into(),
        request_id: server.id(),
        order_ref: "order-1".into(),
        places: Some(wire::PlaceSet { ga: vec![floor(ga)], ..Default::default() }),
        to: to as i32,
        ..Default::default()
    };
    server.return_places(back(wire::ReturnTo::Origin, 2)).await.unwrap();
    assert_eq!((used(&server.allocations().await).4, server.allocations().await[0].quotas[0].quota), (1, 3));
    server.return_places(back(wire::ReturnTo::General, 1)).await.unwrap();
    assert_eq!((used(&server.allocations().await).4, server.allocations().await[0].quotas[0].quota), (0, 2));

    // Counter and exchange bring keys as well.
    let sell = sell_of("show", &server.id(), "order-2", &[1]);
    assert_eq!(reason(server.sell_direct(sell.clone()).await), "NOT_IN_ALLOCATION");
    let sell = wire::SellDirectRequest { allocation_keys: vec![FANS.into()], ..sell };
    server.sell_direct(sell).await.unwrap();
    let exchange = |keys: &[&str]| wire::ExchangeRequest {
        event_id: "show".into(),
        request_id: server.id(),
        order_ref: "order-2".into(),
        give: selected(&["S/A/2"]),
        take: Some(wire::exchange_request::Take::Places(wire::NamedPlaces {
            seats: vec![2],
            allocation_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            ..Default::default()
        })),
        ..Default::default()
    };
    assert_eq!(reason(server.exchange(exchange(&[])).await), "NOT_IN_ALLOCATION");
    let misshapen = said(&server.exchange(exchange(&["no key"])).await.unwrap_err());
    assert_eq!(misshapen.fields, ["places.allocation_keys"]);
    server.exchange(exchange(&[FANS])).await.unwrap();
    assert_eq!(map(&server).await[..5], [2, 3, 2, 3, 2]);
    server.stop().await;
}

#[tokio::test]
async fn an_allocation_is_sold_in_its_own_window() {
    let server = server_with_fans().await;
    let event = admin::Event { event_id: "show".into(), opens_at: at(START_MS + 60_000), ..Default::default() };
    server.update(event, &["opens_at"]).await.unwrap();
    let window =
        |opens_at, closes_at| admin::SetAllocationRequest { opens_at, closes_at, ..set_of(&server.id(), FANS, None) };
    let hold = |seat: u32| with_key(hold_of("show", &server.id(), &[seat]), FANS);
    // Without a window of its own, that of the event.
    assert_eq!(reason(server.hold(hold(0)).await), "SALE_NOT_OPEN");
    server.set_allocation(window(at(START_MS), at(START_MS + 30_000))).await.unwrap();
    let all = server.allocations().await;
    assert_eq!((all[0].opens_at, all[0].closes_at), (at(START_MS), at(START_MS + 30_000)));
    server.hold(hold(0)).await.unwrap();
    let general = said(&server.hold(hold(4)).await.unwrap_err());
    assert_eq!(
        (general.reason.as_str(), general.metadata["opensAtMs"].parse()),
        ("SALE_NOT_OPEN", Ok(START_MS + 60_000))
    );
    server.advance_ms(30_000);
    assert_eq!(reason(server.hold(hold(1)).await), "SALE_CLOSED");
    // Zero takes the end away and leaves the start.
    server.set_allocation(window(None, at(0))).await.unwrap();
    let all = server.allocations().await;
    assert_eq!((all[0].opens_at, all[0].closes_at), (at(START_MS), None));
    server.hold(hold(1)).await.unwrap();
    let turned = said(&server.set_allocation(window(None, at(START_MS - 1_000))).await.unwrap_err());
    assert_eq!((turned.reason.as_str(), turned.fields.join(" ")), ("VALIDATION_FAILED", "closes_at".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_set_aside_is_refused_with_why() {
    let server = server_with_fans().await;
    let many = Some(wire::PlaceSet { ga: vec![floor(6)], ..Default::default() });
    let wrong = [
        (set_of("", FANS, None), "REQUEST_ID_INVALID", "request_id"),
        (set_of(&server.id(), "", None), "VALIDATION_FAILED", "allocation_key"),
        (set_of(&server.id(), "fan club", None), "VALIDATION_FAILED", "allocation_key"),
        (set_of(&server.id(), FANS, selected(&["S/A/1", "T"])), "UNKNOWN_PLACE", "places.selectors[1]"),
        (set_of(&server.id(), FANS, many), "CAPACITY_INVALID", "places.ga"),
        (
            admin::SetAllocationRequest {
                opens_at: Some(prost_types::Timestamp { seconds: -1, nanos: 0 }),
                ..set_of(&server.id(), FANS, None)
            },
            "VALIDATION_FAILED",
            "opens_at",
        ),
        (
            admin::SetAllocationRequest { expected_state: 77, ..set_of(&server.id(), FANS, None) },
            "VALIDATION_FAILED",
            "expected_state",
        ),
    ];
    for (request, why, field) in wrong {
        let refused = said(&server.set_allocation(request).await.unwrap_err());
        assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), (why, field.to_owned()));
    }
    let paused = EventState::Paused as i32;
    let other = admin::SetAllocationRequest { expected_state: paused, ..set_of(&server.id(), FANS, aside()) };
    assert_eq!(reason(server.set_allocation(other).await), "STATE_MISMATCH");
    let elsewhere = admin::SetAllocationRequest { event_id: "other".into(), ..set_of(&server.id(), FANS, None) };
    assert_eq!(reason(server.set_allocation(elsewhere).await), "EVENT_NOT_FOUND");
    let unknown = said(&server.remove_allocation(remove_of(&server.id(), "press", None)).await.unwrap_err());
    assert_eq!((unknown.reason.as_str(), unknown.fields.join(" ")), ("VALIDATION_FAILED", "allocation_key".to_owned()));
    let request = admin::ListAllocationsRequest { event_id: "other".into() };
    assert_eq!(reason(server.admin.clone().list_allocations(request).await), "EVENT_NOT_FOUND");

    // One more than the event may have.
    for nth in 1..255 {
        server.set_allocation(set_of(&server.id(), &format!("k{nth}"), None)).await.unwrap();
    }
    let refused = said(&server.set_allocation(set_of(&server.id(), "k255", None)).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), server.allocations().await.len()), ("CAPACITY_BUDGET", 255));
    server.stop().await;
}
