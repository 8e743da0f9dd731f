//! Orders over the wire: sales without a hold, returns, exchanges, and what is told of them.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::inventory::v1::{self as wire, EventState, HoldState, PlaceState, ReturnTo, exchange_request::Take};
use support::{START_MS, TestServer, confirm_of, floor, hold_of, id_at, no_rules, reason, said, selected, sell_of};
use tonic::Code;

fn return_of(request_id: &str, order_ref: &str, places: Option<wire::PlaceSet>) -> wire::ReturnPlacesRequest {
    wire::ReturnPlacesRequest {
        event_id: "show".into(),
        request_id: request_id.into(),
        order_ref: order_ref.into(),
        places,
        ..Default::default()
    }
}

fn exchange_of(request_id: &str, give: &[&str], take: Take) -> wire::ExchangeRequest {
    wire::ExchangeRequest {
        event_id: "show".into(),
        request_id: request_id.into(),
        order_ref: "order-1".into(),
        give: selected(give),
        take: Some(take),
        ..Default::default()
    }
}

fn seats(seats: &[u32]) -> Take {
    Take::Places(wire::NamedPlaces { seats: seats.to_vec(), ..Default::default() })
}

#[tokio::test]
async fn a_sale_without_a_hold_is_made_once_and_is_found() {
    let server = TestServer::with_show().await;
    let id = server.id();
    let sell = wire::SellDirectRequest {
        ga: vec![floor(2)],
        ticket_types: vec![1, 2],
        ..sell_of("show", &id, "order-1", &[3, 4])
    };

    let only = server.sell_direct(wire::SellDirectRequest { validate_only: true, ..sell.clone() }).await.unwrap();
    let touched = only.touched.unwrap();
    assert!(only.hold.is_none() && !only.replayed);
    assert_eq!((touched.seats.as_slice(), touched.seat_keys.join(" ")), (&[3, 4][..], "S-A-4 S-A-5".to_owned()));
    assert_eq!((touched.ga[0].quantity, touched.hold_refs.len(), touched.plan_revision), (2, 0, 1));
    assert_eq!(server.event("show").await.counts.unwrap().sold, 0);

    let sold = server.sell_direct(sell.clone()).await.unwrap();
    let hold = sold.hold.unwrap();
    assert_eq!((hold.state(), hold.hold_id.as_str()), (HoldState::Confirmed, id.as_str()));
    assert_eq!((hold.sold_seats.as_slice(), hold.sold_ticket_types.as_slice()), (&[3, 4][..], &[1, 2][..]));
    assert_eq!((hold.sold_ga[0].quantity, hold.order_refs.join(" ")), (2, "order-1".to_owned()));
    assert_eq!(sold.seat_labels, ["S-A-4", "S-A-5"]);
    assert!(sold.position > 0 && sold.incarnation > 0 && sold.server_time_ms == START_MS && sold.touched.is_none());
    assert!(server.sell_direct(sell.clone()).await.unwrap().replayed);
    assert_eq!(server.get_hold("show", &id).await.unwrap().sold_seats, [3, 4]);

    let read = server.get_order("show", "order-1").await.unwrap();
    let order = read.order.unwrap();
    assert_eq!((order.order_ref.as_str(), order.parts.len(), read.plan_revision), ("order-1", 1, 1));
    let part = &order.parts[0];
    assert_eq!((part.seats.as_slice(), part.seat_keys.join(" ")), (&[3, 4][..], "S-A-4 S-A-5".to_owned()));
    assert_eq!((part.ticket_types.as_slice(), part.ga[0].quantity), (&[1, 2][..], 2));
    assert_eq!(part.hold_ref, hold_ref_of(&id));
    assert!(read.position >= sold.position);

    // Refusals, each with what it is about.
    let other = sell_of("show", &id, "order-2", &[3]);
    assert_eq!(reason(server.sell_direct(other).await), "REQUEST_ID_REUSED");
    let taken = said(&server.sell_direct(sell_of("show", &server.id(), "order-2", &[4, 5])).await.unwrap_err());
    assert_eq!((taken.reason.as_str(), taken.code), ("PLACES_UNAVAILABLE", Some(Code::FailedPrecondition)));
    let places = taken.places.unwrap();
    assert_eq!((places.places.len(), places.places[0].state(), places.plan_revision), (1, PlaceState::Sold, 1));
    for (request_id, why) in [
        (String::new(), "REQUEST_ID_INVALID"),
        ("no uuid".to_owned(), "REQUEST_ID_INVALID"),
        (id_at(START_MS + 120_000), "REQUEST_ID_INVALID"),
        (id_at(START_MS - 400_000), "REQUEST_ID_TOO_OLD"),
    ] {
        let refused = said(&server.sell_direct(sell_of("show", &request_id, "order-2", &[6])).await.unwrap_err());
        assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), (why, "request_id".to_owned()), "{request_id}");
    }
    let mut many = sell_of("show", &server.id(), "order-2", &[6]);
    many.ga = vec![floor(4)];
    assert_eq!(reason(server.sell_direct(many).await), "NOT_ENOUGH_PLACES");
    let state = wire::SellDirectRequest {
        expected_state: EventState::Paused as i32,
        ..sell_of("show", &server.id(), "order-2", &[6])
    };
    assert_eq!(reason(server.sell_direct(state).await), "STATE_MISMATCH");
    let unknown = wire::SellDirectRequest {
        seat_keys: vec!["S-A-1".into(), "Q-9".into()],
        ..sell_of("show", &server.id(), "order-2", &[])
    };
    let refused = said(&server.sell_direct(unknown).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("UNKNOWN_PLACE", "seat_keys[1]".to_owned()));
    assert_eq!(reason(server.sell_direct(sell_of("other", &server.id(), "o", &[6])).await), "EVENT_NOT_FOUND");
    let missing = said(&server.get_order("show", "order-2").await.unwrap_err());
    assert_eq!((missing.reason.as_str(), missing.code), ("ORDER_NOT_FOUND", Some(Code::NotFound)));
    let ahead = wire::GetOrderRequest {
        event_id: "show".into(),
        order_ref: "order-1".into(),
        min_position: sold.position + 1_000,
        ..Default::default()
    };
    assert_eq!(reason(server.orders.clone().get_order(ahead).await), "POSITION_OUT_OF_RANGE");
    server.stop().await;
}

/// The public name of a hold.
fn hold_ref_of(id: &str) -> String {
    use sha2::Digest as _;
    let bytes = uuid::Uuid::parse_str(id).unwrap().into_bytes();
    sha2::Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn sold_places_come_back_all_or_in_part() {
    let server = TestServer::with_show().await;
    let sale = server.id();
    let sell = wire::SellDirectRequest { ga: vec![floor(3)], ..sell_of("show", &sale, "order-1", &[0, 1, 2]) };
    server.sell_direct(sell).await.unwrap();
    server.sell_direct(sell_of("show", &server.id(), "order-2", &[3])).await.unwrap();

    // Whose they are not.
    let foreign = return_of(&server.id(), "order-1", selected(&["S/A/2-5"]));
    let refused = said(&server.return_places(foreign).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("NOT_THIS_ORDER", Some(Code::FailedPrecondition)));
    let places = refused.places.unwrap();
    let states: Vec<PlaceState> = places.places.iter().map(wire::places_unavailable::Place::state).collect();
    assert_eq!((states, places.plan_revision), (vec![PlaceState::Sold, PlaceState::Open], 1));
    let more = wire::PlaceSet { ga: vec![floor(5)], ..Default::default() };
    let refused = said(&server.return_places(return_of(&server.id(), "order-1", Some(more))).await.unwrap_err());
    assert_eq!(refused.reason, "NOT_THIS_ORDER");
    let area = refused.places.unwrap().places[0];
    assert_eq!((area.place, area.missing), (Some(wire::places_unavailable::place::Place::Area(0)), 2));
    let nobody = return_of(&server.id(), "order-9", None);
    assert_eq!(reason(server.return_places(nobody).await), "ORDER_NOT_FOUND");
    let unknown = return_of(&server.id(), "order-1", selected(&["S/A/1", "S/Q"]));
    let refused = said(&server.return_places(unknown).await.unwrap_err());
    assert_eq!(
        (refused.reason.as_str(), refused.fields.join(" ")),
        ("UNKNOWN_PLACE", "places.selectors[1]".to_owned())
    );
    assert_eq!(reason(server.return_places(return_of("", "order-1", None)).await), "REQUEST_ID_INVALID");

    // A part: first judged, then done, then repeated.
    let part = wire::PlaceSet { ga: vec![floor(1)], ..selected(&["S/A/1-2"]).unwrap() };
    let request = return_of(&server.id(), "order-1", Some(part));
    let only = wire::ReturnPlacesRequest { validate_only: true, ..request.clone() };
    let would = server.return_places(only).await.unwrap();
    let touched = would.touched.unwrap();
    assert_eq!((touched.seat_keys.join(" "), touched.ga[0].quantity), ("S-A-1 S-A-2".to_owned(), 1));
    assert_eq!((touched.hold_refs, would.replayed), (vec![hold_ref_of(&sale)], false));
    assert_eq!(server.event("show").await.counts.unwrap().sold, 7);
    let done = server.return_places(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap().seats.as_slice(), done.replayed), (&[0, 1][..], false));
    assert_eq!(server.event("show").await.counts.unwrap().sold, 4);
    let again = server.return_places(request.clone()).await.unwrap();
    assert!(again.replayed && again.touched.unwrap().seats.is_empty());
    let reused = wire::ReturnPlacesRequest { reason: "another".into(), ..request };
    assert_eq!(reason(server.return_places(reused).await), "REQUEST_ID_REUSED");

    // The rest, out of sale.
    let rest = wire::ReturnPlacesRequest {
        to: ReturnTo::Killed as i32,
        reason: "broken".into(),
        ..return_of(&server.id(), "order-1", None)
    };
    let strange = wire::ReturnPlacesRequest { to: 9, ..rest.clone() };
    assert_eq!(said(&server.return_places(strange).await.unwrap_err()).fields, ["to"]);
    server.return_places(rest).await.unwrap();
    let counts = server.event("show").await.counts.unwrap();
    assert_eq!((counts.open, counts.sold, counts.killed), (21, 1, 3));
    assert_eq!(reason(server.get_order("show", "order-1").await), "ORDER_NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn an_exchange_gives_and_takes_in_one_step() {
    let server = TestServer::with_show().await;
    server.sell_direct(sell_of("show", &server.id(), "order-1", &[0, 1])).await.unwrap();
    server.hold(hold_of("show", &server.id(), &[5])).await.unwrap();

    // What fails leaves the sale as it was.
    let taken = said(&server.exchange(exchange_of(&server.id(), &["S/A/1"], seats(&[5]))).await.unwrap_err());
    assert_eq!(
        (taken.reason.as_str(), taken.places.unwrap().places[0].state()),
        ("PLACES_UNAVAILABLE", PlaceState::Held)
    );
    let not_mine = server.exchange(exchange_of(&server.id(), &["S/A/3"], seats(&[6]))).await;
    assert_eq!(reason(not_mine), "NOT_THIS_ORDER");
    let refused = said(&server.exchange(exchange_of(&server.id(), &["S/A/1"], seats(&[99]))).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("UNKNOWN_PLACE", "places.seats[0]".to_owned()));
    let mut unknown = exchange_of(&server.id(), &[], seats(&[6]));
    unknown.give = Some(wire::PlaceSet { seat_keys: vec!["Q-9".into()], ..Default::default() });
    let refused = said(&server.exchange(unknown).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("UNKNOWN_PLACE", "give.seat_keys[0]".to_owned()));
    let nothing = said(&server.exchange(exchange_of(&server.id(), &[], seats(&[6]))).await.unwrap_err());
    assert_eq!((nothing.reason.as_str(), nothing.fields.join(" ")), ("VALIDATION_FAILED", "give".to_owned()));
    let no_take = wire::ExchangeRequest { take: None, ..exchange_of(&server.id(), &["S/A/1"], seats(&[])) };
    assert_eq!(said(&server.exchange(no_take).await.unwrap_err()).fields, ["take"]);
    let no_hold = Take::TakeHoldId(server.id());
    assert_eq!(reason(server.exchange(exchange_of(&server.id(), &["S/A/1"], no_hold)).await), "HOLD_NOT_FOUND");
    let wrong = Take::TakeHoldId("7".into());
    let refused = said(&server.exchange(exchange_of(&server.id(), &["S/A/1"], wrong)).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("HOLD_ID_INVALID", "take_hold_id".to_owned()));
    assert_eq!(server.event("show").await.counts.unwrap().sold, 2);

    // A neighbour for a neighbour: one seat is in both.
    let id = server.id();
    let request = exchange_of(&id, &["S/A/1-2"], seats(&[1, 2]));
    let only = wire::ExchangeRequest { validate_only: true, ..request.clone() };
    let would = server.exchange(only).await.unwrap();
    assert!(would.hold.is_none() && would.touched.unwrap().seat_keys == ["S-A-1", "S-A-2"]);
    let done = server.exchange(request.clone()).await.unwrap();
    let hold = done.hold.unwrap();
    assert_eq!((hold.hold_id.as_str(), hold.sold_seats.as_slice(), done.replayed), (id.as_str(), &[1, 2][..], false));
    assert_eq!(done.seat_labels, ["S-A-2", "S-A-3"]);
    let again = server.exchange(request.clone()).await.unwrap();
    assert!(again.replayed && again.hold.unwrap().sold_seats == [1, 2]);
    let reused = wire::ExchangeRequest { give: selected(&["S/A/2"]), ..request };
    assert_eq!(reason(server.exchange(reused).await), "REQUEST_ID_REUSED");

    // All of them for a hold, which keeps its own name.
    let cart = server.id();
    server.hold(hold_of("show", &cart, &[10, 11])).await.unwrap();
    let request = exchange_of(&server.id(), &["S/A"], Take::TakeHoldId(cart.clone()));
    assert_eq!(reason(server.exchange(request).await), "NOT_THIS_ORDER");
    let request = exchange_of(&server.id(), &["S/A/2-3"], Take::TakeHoldId(cart.clone()));
    let hold = server.exchange(request).await.unwrap().hold.unwrap();
    assert_eq!((hold.hold_id.as_str(), hold.state()), (cart.as_str(), HoldState::Confirmed));
    let order = server.get_order("show", "order-1").await.unwrap().order.unwrap();
    assert_eq!((order.parts.len(), order.parts[0].seats.as_slice()), (1, &[10, 11][..]));
    server.set_state("show", EventState::Cancelled).await;
    let late = exchange_of(&server.id(), &["S/B/1"], seats(&[1]));
    assert_eq!(reason(server.exchange(late).await), "EVENT_CANCELLED");
    let late = sell_of("show", &server.id(), "order-3", &[0]);
    assert_eq!(reason(server.sell_direct(late).await), "EVENT_CANCELLED");
    server.stop().await;
}

#[tokio::test]
async fn what_is_sold_is_listed_once_in_pages_of_any_size() {
    let mut server = TestServer::with_show().await;
    server.create("other", no_rules()).await.unwrap();
    for seat in 0..7 {
        server.sell_direct(sell_of("show", &server.id(), &format!("order-{}", seat % 3), &[seat])).await.unwrap();
        server.sell_direct(sell_of("other", &server.id(), "elsewhere", &[seat])).await.unwrap();
    }
    // One hold, sold to two orders.
    let id = server.id();
    server.hold(hold_of("show", &id, &[10, 11])).await.unwrap();
    let part = wire::ConfirmHoldRequest {
        seats: vec![10],
        remainder: wire::Remainder::Keep as i32,
        request_id: server.id(),
        ..confirm_of("show", &id, "order-7")
    };
    server.confirm(part).await.unwrap();
    server.confirm(confirm_of("show", &id, "order-8")).await.unwrap();

    for page_size in [1, 2, 3, 100, 0, 10_000] {
        let (mut listed, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = wire::ListOrdersRequest { event_id: "show".into(), page_size, page_token: token };
            let page = server.list_orders(request).await.unwrap();
            assert!(page.plan_revision == 1 && page.incarnation > 0 && page.server_time_ms == START_MS);
            listed.extend(page.parts.into_iter().map(|part| (part.seats[0], part.order_ref)));
            (token, pages) = (page.next_page_token, pages + 1);
            if token.is_empty() {
                break;
            }
        }
        listed.sort_unstable();
        let mut expected: Vec<(u32, String)> = (0..7).map(|seat| (seat, format!("order-{}", seat % 3))).collect();
        expected.extend([(10, "order-7".to_owned()), (11, "order-8".to_owned())]);
        assert_eq!(listed, expected, "pages of {page_size}");
        assert!(page_size != 1 || pages >= 8, "{pages} pages");
    }

    // A token is good for its list, its event and its process.
    let first = wire::ListOrdersRequest { event_id: "show".into(), page_size: 2, page_token: String::new() };
    let token = server.list_orders(first.clone()).await.unwrap().next_page_token;
    let with = |event_id: &str, page_token: &str| wire::ListOrdersRequest {
        event_id: event_id.into(),
        page_size: 2,
        page_token: page_token.into(),
    };
    assert!(server.list_orders(with("show", &token)).await.is_ok());
    for (event_id, token) in [("other", token.as_str()), ("show", "nonsense"), ("show", &token[2..])] {
        let refused = said(&server.list_orders(with(event_id, token)).await.unwrap_err());
        assert_eq!(
            (refused.reason.as_str(), refused.fields.join(" ")),
            ("PAGE_TOKEN_INVALID", "page_token".to_owned())
        );
        assert_eq!(refused.code, Some(Code::InvalidArgument));
    }
    let elsewhere =
        proto::admin::v1::ListHoldsRequest { event_id: "show".into(), page_token: token.clone(), ..Default::default() };
    assert_eq!(reason(server.list_holds(elsewhere).await), "PAGE_TOKEN_INVALID");
    assert_eq!(reason(server.list_orders(with("nothing", "")).await), "EVENT_NOT_FOUND");
    let server = server.restart().await;
    assert_eq!(reason(server.list_orders(with("show", &token)).await), "PAGE_TOKEN_INVALID");
    assert!(!server.list_orders(first).await.unwrap().parts.is_empty(), "what was sold outlives a restart");
    server.stop().await;
}
