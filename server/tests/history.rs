//! What happened to a seat, a hold or an order, asked of a running server.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use engine::ManualClock;
use inventory_core::ids::TimestampMs;
use proto::{
    admin::v1::{self as admin, HistoryActor, get_history_request::Of},
    inventory::v1::{EventState, PlaceState},
};
use server::config::Config;
use support::{START_MS, TestServer, config, confirm_of, hold_of, reason, release_of, soon};
use tonic::Status;

fn of(of: Of) -> admin::GetHistoryRequest {
    admin::GetHistoryRequest { event_id: "show".into(), of: Some(of), ..Default::default() }
}

fn seat(key: &str) -> admin::GetHistoryRequest {
    of(Of::SeatKey(key.into()))
}

async fn told(server: &TestServer, request: admin::GetHistoryRequest) -> Result<admin::GetHistoryResponse, Status> {
    server.admin.clone().get_history(request).await.map(tonic::Response::into_inner)
}

/// The same, once everything up to this position is in it.
async fn told_to(server: &TestServer, position: u64, request: admin::GetHistoryRequest) -> admin::GetHistoryResponse {
    soon(async {
        loop {
            match told(server, request.clone()).await {
                Ok(told) if told.complete_to >= position => return told,
                Ok(_) => tokio::task::yield_now().await,
                Err(status) if support::said(&status).reason == "OVERLOADED" => tokio::task::yield_now().await,
                Err(status) => panic!("{status:?}"),
            }
        }
    })
    .await
}

async fn with_history() -> TestServer {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { history: true, ..config(folder.path()) };
    let clock = ManualClock::new(TimestampMs(START_MS));
    let mut server = TestServer::with(folder, clock, config, |_| {}).await;
    server.create("show", support::no_rules()).await.unwrap();
    server
}

fn kinds(told: &admin::GetHistoryResponse) -> Vec<&str> {
    told.changes.iter().map(|change| change.kind.as_str()).collect()
}

#[tokio::test]
async fn a_seat_a_hold_and_an_order_are_told_with_who_when_and_why() {
    let server = with_history().await;
    let (first, second) = (server.id(), server.id());
    let mut request = hold_of("show", &first, &[0, 1]);
    request.customer = "customer-1".into();
    server.hold(request).await.unwrap();
    server.release(release_of("show", &first)).await.unwrap();
    server.hold(hold_of("show", &second, &[1])).await.unwrap();
    let sold = server.confirm(confirm_of("show", &second, "O-1")).await.unwrap();

    let seat_told = told_to(&server, sold.position, seat("S-A-2")).await;
    assert_eq!(kinds(&seat_told), ["held", "released", "held", "confirmed"]);
    assert_eq!((seat_told.complete_from, seat_told.next_page_token.as_str()), (1, ""));
    let [held, released, _, confirmed] = seat_told.changes.as_slice() else { panic!("four changes") };
    assert_eq!((held.actor(), held.time.unwrap().seconds as u64), (HistoryActor::Buyer, START_MS / 1_000));
    assert_eq!((held.customer_key.len(), &released.customer_key), (16, &held.customer_key));
    assert_eq!((released.cause.as_str(), confirmed.customer_key.as_str()), ("requested", ""));
    let places: Vec<_> = held.places.iter().map(|place| (place.key.as_str(), place.to())).collect();
    assert_eq!(places, [("S-A-1", PlaceState::Held), ("S-A-2", PlaceState::Held)]);
    assert_eq!((confirmed.order_ref.as_str(), confirmed.position), ("O-1", sold.position));

    // By its id, which its owner has, and by its public name, which lists show.
    let by_id = told(&server, of(Of::Hold(first.clone()))).await.unwrap();
    assert_eq!(kinds(&by_id), ["held", "released"]);
    let hold_ref = by_id.changes[0].hold_refs[0].clone();
    assert!(hold_ref.len() == 16 && !hold_ref.contains(&first[..8]));
    assert_eq!(told(&server, of(Of::Hold(hold_ref.to_uppercase()))).await.unwrap().changes, by_id.changes);
    let by_order = told(&server, of(Of::OrderRef("O-1".into()))).await.unwrap();
    assert_eq!(by_order.changes, std::slice::from_ref(confirmed));

    // Page by page.
    let mut request = admin::GetHistoryRequest { page_size: 3, ..seat("S-A-2") };
    let page = told(&server, request.clone()).await.unwrap();
    assert_eq!(page.changes, seat_told.changes[..3]);
    request.page_token = page.next_page_token;
    let page = told(&server, request).await.unwrap();
    assert_eq!((page.changes.as_slice(), page.next_page_token.as_str()), (&seat_told.changes[3..], ""));

    // When the event is gone, what happened is still known.
    server.set_state("show", EventState::OffSale).await;
    let request = admin::RetireEventRequest { event_id: "show".into(), request_id: server.id(), ..Default::default() };
    let retired = server.admin.clone().retire_event(request).await.unwrap().into_inner();
    assert_eq!(told_to(&server, retired.position, seat("S-A-2")).await.changes, seat_told.changes);
    server.stop().await;
}

#[tokio::test]
async fn a_history_that_cannot_be_told_is_refused_with_why() {
    let server = with_history().await;
    assert_eq!(reason(told(&server, admin::GetHistoryRequest { of: None, ..seat("") }).await), "VALIDATION_FAILED");
    assert_eq!(reason(told(&server, seat("")).await), "VALIDATION_FAILED");
    assert_eq!(reason(told(&server, of(Of::Hold("x".into()))).await), "HOLD_ID_INVALID");
    let wrong = admin::GetHistoryRequest { page_token: "x".into(), ..seat("S-A-1") };
    assert_eq!(reason(told(&server, wrong).await), "PAGE_TOKEN_INVALID");
    let position = server.event("show").await.position;
    told_to(&server, position, seat("S-A-1")).await;
    let other = admin::GetHistoryRequest { event_id: "other".into(), ..seat("S-A-1") };
    assert_eq!(reason(told(&server, other).await), "EVENT_NOT_FOUND");
    assert_eq!(told(&server, seat("no-seat")).await.unwrap().changes, []);
    server.stop().await;

    let without = TestServer::with_show().await;
    assert_eq!(reason(told(&without, seat("S-A-1")).await), "VALIDATION_FAILED");
    assert!(!without.folder.path().join("history").exists());
    without.stop().await;
}

#[tokio::test]
async fn a_stop_closes_the_index_and_the_next_start_goes_on_with_it() {
    let server = with_history().await;
    let held = server.hold(hold_of("show", &server.id(), &[0])).await.unwrap();
    let before = told_to(&server, held.position, seat("S-A-1")).await;
    let mark = server.folder.path().join("history").join("CLOSED");
    assert!(!mark.exists());
    let (folder, clock) = {
        let mut server = server;
        server.running.take().unwrap().stop().await.unwrap();
        (server.folder, server.clock)
    };
    assert!(mark.exists(), "it was closed");
    let config = Config { history: true, ..config(folder.path()) };
    let server = TestServer::with(folder, clock, config, |_| {}).await;
    let after = told_to(&server, held.position, seat("S-A-1")).await;
    assert_eq!((after.changes, after.complete_from), (before.changes, before.complete_from));
    server.stop().await;
}
