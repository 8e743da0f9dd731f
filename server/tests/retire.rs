//! Events that are over leave the server's memory, over the wire.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use engine::EventFile;
use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, EventState},
};
use support::{TestServer, confirm_of, hold_of, new_event, no_rules, reason, release_of, said, sell_of};

fn retire_of(request_id: &str) -> admin::RetireEventRequest {
    admin::RetireEventRequest { event_id: "show".into(), request_id: request_id.into(), ..Default::default() }
}

async fn retire(
    server: &TestServer,
    request: admin::RetireEventRequest,
) -> Result<admin::RetireEventResponse, tonic::Status> {
    server.admin.clone().retire_event(request).await.map(tonic::Response::into_inner)
}

async fn listed(server: &TestServer) -> Vec<String> {
    let list = server.admin.clone().list_events(admin::ListEventsRequest::default()).await.unwrap().into_inner();
    list.events.into_iter().map(|event| event.event_id).collect()
}

#[tokio::test]
async fn an_event_that_is_over_is_archived_and_gone_for_good() {
    let server = TestServer::with_show().await;
    let (sold, held) = (server.id(), server.id());
    server.hold(hold_of("show", &sold, &[0, 1])).await.unwrap();
    server.confirm(confirm_of("show", &sold, "O-1")).await.unwrap();
    server.sell_direct(sell_of("show", &server.id(), "O-2", &[7])).await.unwrap();
    server.hold(hold_of("show", &held, &[3])).await.unwrap();

    let request = retire_of(&server.id());
    let refused = said(&retire(&server, request.clone()).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("VALIDATION_FAILED", "state".to_owned()));
    server.set_state("show", EventState::OffSale).await;
    let refused = said(&retire(&server, request.clone()).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.places.unwrap().places.len()), ("PLACES_IN_USE", 1));
    server.release(release_of("show", &held)).await.unwrap();
    let expected_state = EventState::Cancelled as i32;
    let other = admin::RetireEventRequest { expected_state, ..request.clone() };
    assert_eq!(reason(retire(&server, other).await), "STATE_MISMATCH");
    assert_eq!(reason(retire(&server, retire_of("")).await), "REQUEST_ID_INVALID");

    let only = admin::RetireEventRequest { validate_only: true, ..request.clone() };
    let would = retire(&server, only).await.unwrap();
    assert_eq!((would.archive_file.as_str(), would.event.unwrap().counts.unwrap().sold), ("", 3));
    assert!(!server.folder.path().join("retired").exists(), "only checked");

    let done = retire(&server, request.clone()).await.unwrap();
    assert_eq!(done.event.unwrap().counts.unwrap().sold, 3);
    assert!(done.position > would.position && done.incarnation > 0 && done.server_time.is_some());
    let bytes = std::fs::read(server.folder.path().join(&done.archive_file)).unwrap();
    let file = EventFile::decode(&bytes).unwrap();
    assert_eq!(
        (file.event().id().as_str(), file.position, file.incarnation),
        ("show", would.position, done.incarnation)
    );
    let orders: Vec<String> = file.sales().iter().map(|part| part.order.as_str().to_owned()).collect();
    assert_eq!((orders.len(), orders.contains(&"O-1".to_owned())), (2, true));

    // What is asked of it from now on, also after starts.
    let mut server = server;
    for _ in 0..2 {
        assert_eq!(reason(retire(&server, request.clone()).await), "EVENT_NOT_FOUND");
        assert_eq!(reason(server.hold(hold_of("show", &server.id(), &[9])).await), "EVENT_NOT_FOUND");
        assert_eq!(reason(server.get_order("show", "O-1").await), "EVENT_NOT_FOUND");
        assert_eq!(reason(server.get_hold("show", &sold).await), "EVENT_NOT_FOUND");
        let seat_map = wire::GetSeatMapRequest { event_id: "show".into(), ..Default::default() };
        assert_eq!(reason(server.sale.clone().get_seat_map(seat_map).await), "EVENT_NOT_FOUND");
        for validate_only in [true, false] {
            let again = admin::CreateEventRequest { validate_only, ..new_event("show", no_rules()) };
            assert_eq!(reason(server.admin.clone().create_event(again).await), "EVENT_EXISTS");
        }
        assert_eq!(listed(&server).await, Vec::<String>::new());
        server = server.restart().await;
    }
    server.create("next", no_rules()).await.unwrap();
    server.hold(hold_of("next", &server.id(), &[0])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_the_event_as_it_was() {
    let server = TestServer::with_show().await;
    server.set_state("show", EventState::OffSale).await;
    let path = server.folder.path().join("retired");
    std::fs::write(&path, "a file where the folder should be").unwrap();
    let refused = retire(&server, retire_of(&server.id())).await;
    assert_eq!(reason(refused), "STORAGE_FAILED");
    assert_eq!(listed(&server).await, ["show"]);
    std::fs::remove_file(&path).unwrap();
    retire(&server, retire_of(&server.id())).await.unwrap();
    assert_eq!(listed(&server).await, Vec::<String>::new());
    server.stop().await;
}
