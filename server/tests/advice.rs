//! Suggest and Explain over the wire: what is told is what a hold would meet, and nothing is held for it.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, Arrangement, EventState, Reason, places_unavailable::place::Place},
};
use support::{LARGER_HOUSE, TestServer, confirm_of, hold_of, reason, said};
use tonic::{Code, Status};

fn party(quantity: u32) -> wire::BestAvailable {
    wire::BestAvailable { quantity, ..Default::default() }
}

fn lenient() -> admin::EventPolicies {
    admin::EventPolicies { orphan_rule: wire::OrphanRule::Lenient as i32, ..Default::default() }
}

fn suggest_of(event_id: &str, best: wire::BestAvailable, options_max: u32) -> wire::SuggestRequest {
    wire::SuggestRequest { event_id: event_id.into(), best_available: Some(best), options_max, ..Default::default() }
}

async fn suggest(server: &TestServer, request: wire::SuggestRequest) -> Result<wire::SuggestResponse, Status> {
    server.sale.clone().suggest(request).await.map(tonic::Response::into_inner)
}

async fn explain(server: &TestServer, hold: wire::HoldRequest) -> Result<wire::ExplainResponse, Status> {
    let request = wire::ExplainRequest { hold: Some(hold) };
    server.sale.clone().explain(request).await.map(tonic::Response::into_inner)
}

fn best_of(event_id: &str, best: wire::BestAvailable) -> wire::HoldRequest {
    wire::HoldRequest { best_available: Some(best), ..hold_of(event_id, "", &[]) }
}

/// Sells seats, ten at most.
async fn sell(server: &TestServer, seats: &[u32]) {
    let id = server.id();
    server.hold(hold_of("show", &id, seats)).await.unwrap();
    server.confirm(confirm_of("show", &id, &id)).await.unwrap();
}

#[tokio::test]
async fn the_first_way_is_what_a_hold_takes_and_none_is_held() {
    let server = TestServer::with_show().await;
    let told = suggest(&server, suggest_of("show", party(2), 0)).await.unwrap();
    let seats: Vec<_> = told.options.iter().map(|option| option.seats.clone()).collect();
    // Three when the caller does not say how many: the middle of A, then that of B, then the nearest left in A.
    assert_eq!(seats, [[4, 5], [14, 15], [2, 3]]);
    assert_eq!(told.options[1].seat_keys, ["S-B-5", "S-B-6"]);
    assert!(told.options.iter().all(|option| option.arrangement() == Arrangement::Contiguous && option.ga.is_empty()));
    assert_eq!((told.plan_revision, told.incarnation > 0), (1, true));
    let event = server.event("show").await;
    assert_eq!((event.counts.unwrap().open, event.position), (25, told.position), "nothing is kept for the asker");
    assert_eq!(suggest(&server, suggest_of("show", party(2), 0)).await.unwrap(), told, "asked again, the same is told");

    let held = server.hold(best_of("show", party(2))).await.unwrap();
    assert_eq!(held.hold.unwrap().seats, told.options[0].seats);
    let next = suggest(&server, suggest_of("show", party(2), 1)).await.unwrap();
    assert_eq!((next.options.len(), &next.options[0].seats), (1, &told.options[1].seats));
    assert!(next.position > told.position, "it is of the state with the hold");
    server.stop().await;
}

#[tokio::test]
async fn ways_of_every_rung_are_told_and_general_admission_once() {
    let server = TestServer::with_show().await;
    // A 1-2 and A 4-6 are left of row A, B 4 of row B.
    sell(&server, &[2, 6, 7, 8, 9]).await;
    sell(&server, &[10, 11, 12, 14, 15, 16, 17, 18, 19]).await;
    // Only now does the rule mind who is left alone.
    let policies = Some(lenient());
    let event = admin::Event { event_id: "show".into(), policies, ..Default::default() };
    server.update(event, &["policies.orphan_rule"]).await.unwrap();
    let told = suggest(&server, suggest_of("show", party(2), 10)).await.unwrap();
    let ways: Vec<_> = told.options.iter().map(|option| (option.arrangement(), option.seats.as_slice())).collect();
    assert_eq!(
        ways,
        [
            (Arrangement::Contiguous, &[0, 1][..]),
            (Arrangement::Stranding, &[4, 5]),
            (Arrangement::Split, &[3, 13]),
            (Arrangement::General, &[]),
        ]
    );
    let floor = &told.options[3].ga;
    assert_eq!((floor.len(), floor[0].area, floor[0].quantity), (1, 0, 2));
    assert!(told.options[3].seat_keys.is_empty());
    let seats_only = wire::BestAvailable { seats_only: true, ..party(2) };
    assert_eq!(suggest(&server, suggest_of("show", seats_only, 10)).await.unwrap().options, told.options[..3]);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_suggested_is_refused_as_a_hold_is() {
    let server = TestServer::with_show().await;
    let invalid = |answer: Result<wire::SuggestResponse, Status>| {
        let said = said(&answer.unwrap_err());
        assert_eq!((said.code, said.executed.as_str()), (Some(Code::InvalidArgument), "false"), "{said:?}");
        (said.reason, said.fields.join(" "))
    };
    let refused = |name: &str, field: &str| (name.to_owned(), field.to_owned());
    let nothing = wire::SuggestRequest { event_id: "show".into(), ..Default::default() };
    assert_eq!(invalid(suggest(&server, nothing).await), refused("VALIDATION_FAILED", "best_available"));
    for options_max in [11, 256, u32::MAX] {
        let answer = suggest(&server, suggest_of("show", party(1), options_max)).await;
        assert_eq!(invalid(answer), refused("VALIDATION_FAILED", "options_max"));
    }
    let answer = suggest(&server, suggest_of("show", party(0), 1)).await;
    assert_eq!(invalid(answer), refused("VALIDATION_FAILED", "best_available"));
    for quantity in [65, 300, u32::MAX] {
        assert_eq!(invalid(suggest(&server, suggest_of("show", party(quantity), 1)).await).0, "TOO_MANY_PLACES");
    }
    let elsewhere = wire::BestAvailable { sections: vec!["T".into()], ..party(1) };
    let answer = suggest(&server, suggest_of("show", elsewhere, 1)).await;
    assert_eq!(invalid(answer), refused("UNKNOWN_PLACE", "best_available.sections[0]"));
    assert_eq!(reason(suggest(&server, suggest_of("other", party(1), 1)).await), "EVENT_NOT_FOUND");

    let seats_only = wire::BestAvailable { seats_only: true, ..party(2) };
    let held = server.id();
    sell(&server, &[0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
    sell(&server, &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]).await;
    server.hold(hold_of("show", &held, &[9])).await.unwrap();
    let answer = suggest(&server, suggest_of("show", seats_only.clone(), 3)).await;
    let status = said(&answer.unwrap_err());
    assert_eq!((status.reason.as_str(), status.metadata["heldUnpaid"].as_str()), ("NOT_ENOUGH_PLACES", "1"));
    server.confirm(confirm_of("show", &held, "o")).await.unwrap();
    assert_eq!(reason(suggest(&server, suggest_of("show", seats_only, 3)).await), "SOLD_OUT");
    server.set_state("show", EventState::Paused).await;
    assert_eq!(reason(suggest(&server, suggest_of("show", party(2), 3)).await), "SALE_PAUSED");
    server.stop().await;
}

#[tokio::test]
async fn a_hold_that_would_be_granted_is_told_whole_and_not_made() {
    let server = TestServer::with_show().await;
    let asked = wire::HoldRequest {
        seats: vec![11],
        ga: vec![wire::GaItem { area_key: "Floor".into(), quantity: 2, ticket_type: 3, ..Default::default() }],
        ..best_of("show", party(2))
    };
    let told = explain(&server, asked.clone()).await.unwrap();
    assert_eq!((told.reason(), told.message.as_str()), (Reason::Unspecified, ""));
    assert_eq!((told.seats.as_slice(), told.arrangement()), (&[11, 4, 5][..], Arrangement::Contiguous));
    assert_eq!(told.seat_keys, ["S-B-2", "S-A-5", "S-A-6"]);
    assert_eq!((told.ga.len(), told.ga[0].area, told.ga[0].quantity, told.ga[0].ticket_type), (1, 0, 2, 3));
    // The rule is off: B 1 is left alone, and that is no refusal.
    assert_eq!((told.left_alone.as_slice(), told.left_alone_keys.as_slice()), (&[10][..], &["S-B-1".to_owned()][..]));
    assert_eq!((told.plan_revision, told.places_unavailable.clone()), (1, None));
    let event = server.event("show").await;
    assert_eq!((event.counts.unwrap().open, event.position), (25, told.position), "nothing is held");

    let id = server.id();
    let held = server.hold(wire::HoldRequest { hold_id: id.clone(), ..asked.clone() }).await.unwrap();
    let hold = held.hold.unwrap();
    assert_eq!((hold.seats, hold.ga, held.arrangement), (told.seats, told.ga, told.arrangement));
    // Whether an id is used or an id at all does not matter: it is about sending, not about places.
    for hold_id in [id.as_str(), "x", ""] {
        let other = wire::HoldRequest { hold_id: hold_id.into(), ..hold_of("show", "", &[0]) };
        assert_eq!(explain(&server, other).await.unwrap().seats, [0], "{hold_id:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_hold_that_would_be_refused_is_told_why_and_whom_it_leaves_alone() {
    let mut server = TestServer::empty().await;
    server.create("show", lenient()).await.unwrap();
    let told = explain(&server, hold_of("show", "", &[1, 2])).await.unwrap();
    let refused = said(&server.hold(hold_of("show", &server.id(), &[1, 2])).await.unwrap_err());
    assert_eq!((told.reason(), refused.reason.as_str()), (Reason::WouldStrand, "WOULD_STRAND"));
    assert!(!told.message.is_empty());
    assert_eq!((told.left_alone.as_slice(), told.left_alone_keys.as_slice()), (&[0][..], &["S-A-1".to_owned()][..]));
    assert!(told.seats.is_empty() && told.seat_keys.is_empty() && told.arrangement() == Arrangement::Unspecified);

    server.hold(hold_of("show", &server.id(), &[0, 1])).await.unwrap();
    let told = explain(&server, hold_of("show", "", &[1, 8])).await.unwrap();
    assert_eq!(told.reason(), Reason::PlacesUnavailable);
    let places = told.places_unavailable.unwrap().places;
    assert_eq!((places.len(), places[0].place, places[0].state()), (1, Some(Place::Index(1)), wire::PlaceState::Held));
    assert_eq!(told.left_alone, [9], "of those named, A 9 could be taken");
    // What has no right shape is no hold at all.
    let shape = explain(&server, hold_of("show", "", &[1, 1])).await;
    assert_eq!(reason(shape), "DUPLICATE_SEAT");
    assert_eq!(reason(explain(&server, hold_of("other", "", &[1])).await), "EVENT_NOT_FOUND");
    let nothing = server.sale.clone().explain(wire::ExplainRequest::default()).await;
    assert_eq!(said(&nothing.unwrap_err()).fields, ["hold"]);
    server.stop().await;
}

#[tokio::test]
async fn a_hold_of_a_sold_out_show_is_told_so() {
    let server = TestServer::with_show().await;
    for first in [0, 10] {
        sell(&server, &(first..first + 10).collect::<Vec<_>>()).await;
    }
    let seats_only = wire::BestAvailable { seats_only: true, ..party(2) };
    let told = explain(&server, best_of("show", seats_only)).await.unwrap();
    assert_eq!((told.reason(), told.seats.len(), told.left_alone.len()), (Reason::SoldOut, 0, 0));
    assert!(!told.message.is_empty());
    let told = explain(&server, best_of("show", party(2))).await.unwrap();
    assert_eq!(
        (told.reason(), told.arrangement(), told.ga[0].quantity),
        (Reason::Unspecified, Arrangement::General, 2)
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_told_is_of_the_plan_it_names() {
    let server = TestServer::with_show().await;
    let request = admin::CreatePlanRequest {
        document: LARGER_HOUSE.as_bytes().to_vec().into(),
        format: admin::PlanFormat::Usher as i32,
        ..Default::default()
    };
    let plan_digest = server.admin.clone().create_plan(request).await.unwrap().into_inner().plan_digest;
    let event = admin::Event { event_id: "show".into(), plan_digest, ..Default::default() };
    server.update(event, &["plan_digest"]).await.unwrap();
    let told = suggest(&server, suggest_of("show", party(2), 1)).await.unwrap();
    assert_eq!((told.plan_revision, told.options[0].seat_keys.as_slice()), (2, &["S-A-5".into(), "S-A-6".into()][..]));
    let old = wire::HoldRequest { plan_revision: 1, ..hold_of("show", "", &[20]) };
    assert_eq!(explain(&server, old).await.unwrap().reason(), Reason::PlanChanged);
    let new = wire::HoldRequest { plan_revision: 2, ..hold_of("show", "", &[20, 22]) };
    let told = explain(&server, new).await.unwrap();
    assert_eq!((told.reason(), told.plan_revision), (Reason::Unspecified, 2));
    assert_eq!((told.seat_keys.join(" "), told.left_alone_keys.join(" ")), ("S-C-1 S-C-3".into(), "S-C-2".into()));
    server.stop().await;
}

#[tokio::test]
async fn advice_does_not_outlive_the_sale_it_is_about() {
    let server = TestServer::with_show().await;
    server.set_state("show", EventState::Cancelled).await;
    assert_eq!(reason(suggest(&server, suggest_of("show", party(2), 3)).await), "EVENT_CANCELLED");
    assert_eq!(explain(&server, hold_of("show", "", &[1])).await.unwrap().reason(), Reason::EventCancelled);
    server.stop().await;
}
