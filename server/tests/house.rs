//! What the house does over the wire: places withdrawn and opened again, and who holds them.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, EventState, HoldCause, HoldState, PlaceState},
};
use support::{START_MS, TestServer, begin_of, confirm_of, floor, hold_of, reason, said, selected, sell_of};
use tonic::Code;

fn kill_of(request_id: &str, places: Option<wire::PlaceSet>) -> admin::KillRequest {
    admin::KillRequest {
        event_id: "show".into(),
        request_id: request_id.into(),
        places,
        reason: "camera".into(),
        ..Default::default()
    }
}

fn unkill_of(request_id: &str, places: Option<wire::PlaceSet>) -> admin::UnkillRequest {
    admin::UnkillRequest { event_id: "show".into(), request_id: request_id.into(), places, ..Default::default() }
}

#[tokio::test]
async fn killed_places_are_out_of_sale_until_they_are_opened_again() {
    let server = TestServer::with_show().await;
    let places = wire::PlaceSet { ga: vec![floor(2)], ..selected(&["S/A/1-4"]).unwrap() };
    let request = kill_of(&server.id(), Some(places.clone()));
    let only = admin::KillRequest { validate_only: true, ..request.clone() };
    let would = server.kill(only).await.unwrap().touched.unwrap();
    assert_eq!((would.seats.as_slice(), would.seat_keys[3].as_str()), (&[0, 1, 2, 3][..], "S-A-4"));
    assert_eq!((would.ga[0].area, would.ga[0].quantity, would.plan_revision), (0, 2, 1));
    assert_eq!(server.event("show").await.counts.unwrap().killed, 0);

    let done = server.kill(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap(), done.replayed), (would, false));
    assert!(done.position > 0 && done.incarnation > 0);
    assert_eq!(done.server_time.unwrap().seconds as u64, START_MS / 1_000);
    assert_eq!(server.event("show").await.counts.unwrap().killed, 6);
    let again = server.kill(request.clone()).await.unwrap();
    assert!(again.replayed && again.touched.unwrap().seats.is_empty());
    let reused = admin::KillRequest { reason: "another".into(), ..request };
    assert_eq!(reason(server.kill(reused).await), "REQUEST_ID_REUSED");
    let taken = said(&server.hold(hold_of("show", &server.id(), &[3])).await.unwrap_err());
    assert_eq!(taken.places.unwrap().places[0].state(), PlaceState::Unavailable);

    // Open again, all that is named at once; what is open already stays so.
    let more = wire::PlaceSet { ga: vec![floor(3)], ..Default::default() };
    let refused = said(&server.unkill(unkill_of(&server.id(), Some(more))).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("CAPACITY_INVALID", "places.ga".to_owned()));
    let all = wire::PlaceSet { ga: vec![floor(2)], ..selected(&["S"]).unwrap() };
    let request = unkill_of(&server.id(), Some(all));
    let only = admin::UnkillRequest { validate_only: true, ..request.clone() };
    assert_eq!(server.unkill(only).await.unwrap().touched.unwrap().seats, [0, 1, 2, 3]);
    let done = server.unkill(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap().seats.as_slice(), done.replayed), (&[0, 1, 2, 3][..], false));
    assert!(server.unkill(request).await.unwrap().replayed);
    assert_eq!(server.event("show").await.counts.unwrap().killed, 0);
    server.hold(hold_of("show", &server.id(), &[3])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_killed_is_refused_with_why() {
    let server = TestServer::with_show().await;
    server.sell_direct(sell_of("show", &server.id(), "order-1", &[0])).await.unwrap();
    server.hold(wire::HoldRequest { ga: vec![floor(4)], ..hold_of("show", &server.id(), &[1]) }).await.unwrap();
    let places = wire::PlaceSet { ga: vec![floor(3)], ..selected(&["S/A/1-3"]).unwrap() };
    let refused = said(&server.kill(kill_of(&server.id(), Some(places))).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("PLACES_IN_USE", Some(Code::FailedPrecondition)));
    let in_use = refused.places.unwrap();
    assert_eq!((in_use.places.len(), in_use.plan_revision), (3, 1));
    assert_eq!((in_use.places[0].state(), in_use.places[1].state()), (PlaceState::Sold, PlaceState::Held));
    assert_eq!((in_use.places[2].missing, in_use.places[2].open), (2, 0));
    let forced = admin::KillRequest { force: true, ..kill_of(&server.id(), selected(&["S/A/1-3"])) };
    let refused = said(&server.kill(forced).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.places.unwrap().places.len()), ("PLACES_IN_USE", 1));

    let wrong = [
        (kill_of("", selected(&["S"])), "REQUEST_ID_INVALID", "request_id"),
        (kill_of(&server.id(), selected(&["S/A/1", "T"])), "UNKNOWN_PLACE", "places.selectors[1]"),
        (kill_of(&server.id(), None), "VALIDATION_FAILED", "places.seats"),
        (
            admin::KillRequest { reason: String::new(), ..kill_of(&server.id(), selected(&["S"])) },
            "VALIDATION_FAILED",
            "reason",
        ),
        (
            admin::KillRequest { expected_state: 77, ..kill_of(&server.id(), selected(&["S"])) },
            "VALIDATION_FAILED",
            "expected_state",
        ),
    ];
    for (request, why, field) in wrong {
        let refused = said(&server.kill(request).await.unwrap_err());
        assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), (why, field.to_owned()));
    }
    let paused = EventState::Paused as i32;
    let other = admin::KillRequest { expected_state: paused, ..kill_of(&server.id(), selected(&["S/B"])) };
    assert_eq!(reason(server.kill(other).await), "STATE_MISMATCH");
    let stale = wire::PlaceSet { plan_revision: 3, seats: vec![9], ..Default::default() };
    assert_eq!(reason(server.kill(kill_of(&server.id(), Some(stale))).await), "PLAN_CHANGED");
    let elsewhere = admin::KillRequest { event_id: "other".into(), ..kill_of(&server.id(), selected(&["S"])) };
    assert_eq!(reason(server.kill(elsewhere).await), "EVENT_NOT_FOUND");
    assert_eq!(reason(server.unkill(unkill_of("7", selected(&["S"]))).await), "REQUEST_ID_INVALID");
    server.stop().await;
}

#[tokio::test]
async fn a_set_of_places_may_be_longer_than_a_sale_call_and_not_endless() {
    let server = TestServer::with_show().await;
    let keys =
        |count: usize, bytes: usize| wire::PlaceSet { seat_keys: vec!["k".repeat(bytes); count], ..Default::default() };
    let give_back = |places| wire::ReturnPlacesRequest {
        event_id: "show".into(),
        request_id: server.id(),
        order_ref: "order-1".into(),
        places: Some(places),
        ..Default::default()
    };
    server.sell_direct(sell_of("show", &server.id(), "order-1", &[0])).await.unwrap();
    let longest = said(&server.return_places(give_back(keys(4_096, 128))).await.unwrap_err());
    assert_eq!(
        (longest.reason.as_str(), longest.fields.join(" ")),
        ("UNKNOWN_PLACE", "places.seat_keys[0]".to_owned())
    );
    let many = said(&server.return_places(give_back(keys(4_097, 1))).await.unwrap_err());
    assert_eq!((many.reason.as_str(), many.fields.join(" ")), ("VALIDATION_FAILED", "places.seats".to_owned()));
    assert_eq!(reason(server.return_places(give_back(keys(4_096, 300))).await), "MESSAGE_TOO_LARGE");
    server.stop().await;
}

#[tokio::test]
async fn a_forced_kill_takes_places_out_of_holds() {
    let server = TestServer::with_show().await;
    let (one, two, paying) = (server.id(), server.id(), server.id());
    server.hold(hold_of("show", &one, &[0, 1])).await.unwrap();
    server.hold(hold_of("show", &two, &[2])).await.unwrap();
    server.hold(hold_of("show", &paying, &[3])).await.unwrap();
    server.begin_payment(begin_of("show", &paying, &server.id())).await.unwrap();
    let forced = |places: &[&str]| admin::KillRequest { force: true, ..kill_of(&server.id(), selected(places)) };
    assert_eq!(reason(server.kill(forced(&["S/A/1-4"])).await), "PAYMENT_IN_PROGRESS");
    let done = server.kill(forced(&["S/A/2-3"])).await.unwrap().touched.unwrap();
    assert_eq!((done.seats.as_slice(), done.hold_refs.len()), (&[1, 2][..], 2));

    let hold = server.get_hold("show", &one).await.unwrap();
    assert_eq!((hold.state(), hold.seats.as_slice(), hold.places_lost), (HoldState::Active, &[0][..], 1));
    let hold = server.get_hold("show", &two).await.unwrap();
    assert_eq!((hold.state(), hold.cause(), hold.places_lost), (HoldState::Released, HoldCause::Killed, 1));
    let whole = said(&server.confirm(confirm_of("show", &one, "order-1")).await.unwrap_err());
    assert_eq!(whole.reason, "PLACES_UNAVAILABLE");
    let lost = &whole.places.unwrap().places[0];
    assert_eq!(
        (lost.place, lost.state()),
        (Some(wire::places_unavailable::place::Place::Index(1)), PlaceState::Unavailable)
    );
    let rest = wire::ConfirmHoldRequest {
        seats: vec![0],
        remainder: wire::Remainder::Release as i32,
        request_id: server.id(),
        ..confirm_of("show", &one, "order-1")
    };
    assert_eq!(server.confirm(rest).await.unwrap().hold.unwrap().sold_seats, [0]);
    server.stop().await;
}

#[tokio::test]
async fn live_holds_are_listed_once_and_without_their_ids() {
    let server = TestServer::with_show().await;
    let mut ids = Vec::new();
    for seat in 0..5 {
        let id = server.id();
        server.hold(hold_of("show", &id, &[seat, seat + 10])).await.unwrap();
        ids.push(id);
    }
    server.confirm(confirm_of("show", &ids[0], "order-1")).await.unwrap();
    server.begin_payment(begin_of("show", &ids[1], &server.id())).await.unwrap();
    server.kill(admin::KillRequest { force: true, ..kill_of(&server.id(), selected(&["S/A/3"])) }).await.unwrap();

    for page_size in [1, 2, 0] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let request = admin::ListHoldsRequest { event_id: "show".into(), page_size, page_token: token };
            let page = server.list_holds(request).await.unwrap();
            assert!(page_size == 0 || page.holds.len() <= page_size as usize);
            listed.extend(page.holds);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        listed.sort_unstable_by_key(|hold| hold.seats.last().copied());
        let told: Vec<(HoldState, &[u32], u32)> =
            listed.iter().map(|hold| (hold.state(), hold.seats.as_slice(), hold.places_lost)).collect();
        let expected: [(HoldState, &[u32], u32); 4] = [
            (HoldState::Paying, &[1, 11], 0),
            (HoldState::Active, &[12], 1),
            (HoldState::Active, &[3, 13], 0),
            (HoldState::Active, &[4, 14], 0),
        ];
        assert_eq!(told, expected);
        assert!(listed[0].payment_deadline.is_some() && listed[1].payment_deadline.is_none());
        assert_eq!((listed[2].hold_ref.len(), listed[2].seat_keys.join(" ")), (16, "S-A-4 S-B-4".to_owned()));
        assert!(ids.iter().all(|id| !format!("{listed:?}").contains(id)));
    }
    let request = admin::ListHoldsRequest { event_id: "show".into(), page_token: "00".into(), ..Default::default() };
    assert_eq!(reason(server.list_holds(request).await), "PAGE_TOKEN_INVALID");
    server.stop().await;
}
