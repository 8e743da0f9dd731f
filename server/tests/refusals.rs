//! Every refusal this version can give, over the wire: its status, its name, its details.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, EventState},
};
use support::{
    START_MS, Said, TestServer, begin_of, confirm_of, end_of, extend_of, hold_of, id_at, mask, new_event, no_rules,
    reason, release_of, said,
};
use tonic::{Code, Status};

/// One line of the table: what is refused, how, and the first field named.
#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str, field: &str) -> Said {
    let status = answer.expect_err(reason);
    let said = said(&status);
    assert_eq!((status.code(), said.reason.as_str(), said.domain.as_str()), (code, reason, "usher"), "{status}");
    assert!(["false", "true", "unknown"].contains(&said.executed.as_str()), "{said:?}");
    assert_eq!(said.fields.first().map_or("", String::as_str), field, "{said:?}");
    assert!(!status.message().is_empty());
    assert_eq!(said.quota, code == Code::ResourceExhausted, "{said:?}");
    assert_eq!(said.retry_ms.is_some(), code == Code::Unavailable || reason == "RATE_LIMITED", "{said:?}");
    said
}

#[tokio::test]
async fn the_shape_of_a_hold() {
    let server = TestServer::with_show().await;
    let hold = |change: &dyn Fn(&mut wire::HoldRequest)| {
        let mut request = hold_of("show", &server.id(), &[1]);
        change(&mut request);
        let mut sale = server.sale.clone();
        async move { sale.hold(request).await }
    };
    let item = |quantity, min_quantity| wire::GaItem { quantity, min_quantity, ..Default::default() };
    let best = |quantity| Some(wire::BestAvailable { quantity, ..Default::default() });
    let invalid = Code::InvalidArgument;
    for id in ["", "Show", "-show", "sh ow", "sh\u{f6}w", "../show", "show\0", &"s".repeat(65)] {
        check(hold(&|request| request.event_id = id.into()).await, invalid, "VALIDATION_FAILED", "event_id");
    }
    for id in ["x", "01890a5dac96774bbcceb302099a8057", "00000000-0000-0000-0000-000000000000"] {
        check(hold(&|request| request.hold_id = id.into()).await, invalid, "HOLD_ID_INVALID", "hold_id");
    }
    let replace = hold(&|request| request.replace_hold_id = "x".into()).await;
    check(replace, invalid, "HOLD_ID_INVALID", "replace_hold_id");
    check(hold(&|request| request.seats.clear()).await, invalid, "VALIDATION_FAILED", "seats");
    check(hold(&|request| request.seats = (0..65).collect()).await, invalid, "TOO_MANY_PLACES", "seats");
    check(hold(&|request| request.seats = (0..11).collect()).await, invalid, "TOO_MANY_PLACES", "seats");
    check(hold(&|request| request.seats = vec![1, 2, 1]).await, invalid, "DUPLICATE_SEAT", "seats[2]");
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let twice = hold(&|request| request.seat_keys = keys(&["S-A-5", "S-A-5"])).await;
    check(twice, invalid, "DUPLICATE_SEAT", "seat_keys[1]");
    let by_index_and_key = hold(&|request| request.seat_keys = keys(&["S-A-2"])).await;
    check(by_index_and_key, invalid, "DUPLICATE_SEAT", "seat_keys[0]");
    for seat in [20, 1 << 20, u32::MAX] {
        check(hold(&|request| request.seats = vec![1, seat]).await, invalid, "UNKNOWN_PLACE", "seats[1]");
    }
    let unknown = hold(&|request| request.seat_keys = keys(&["S-A-2", "S-Z-1"])).await;
    assert!(matches!(said(&unknown.unwrap_err()).reason.as_str(), "UNKNOWN_PLACE" | "DUPLICATE_SEAT"));
    let unknown = hold(&|request| request.seat_keys = keys(&["S-A-5", "S-Z-1"])).await;
    check(unknown, invalid, "UNKNOWN_PLACE", "seat_keys[1]");
    let area = hold(&|request| request.ga = vec![wire::GaItem { area: 70_000, ..item(1, 0) }]).await;
    check(area, invalid, "UNKNOWN_PLACE", "ga[0]");
    let area = hold(&|request| request.ga = vec![wire::GaItem { area_key: "Roof".into(), ..item(1, 0) }]).await;
    check(area, invalid, "UNKNOWN_PLACE", "ga[0]");
    check(hold(&|request| request.ga = vec![item(0, 0)]).await, invalid, "VALIDATION_FAILED", "ga");
    check(hold(&|request| request.ga = vec![item(2, 3)]).await, invalid, "VALIDATION_FAILED", "ga");
    check(hold(&|request| request.ga = vec![item(u32::MAX, 0)]).await, invalid, "TOO_MANY_PLACES", "seats");
    check(hold(&|request| request.best_available = best(0)).await, invalid, "VALIDATION_FAILED", "best_available");
    check(hold(&|request| request.best_available = best(300)).await, invalid, "TOO_MANY_PLACES", "seats");
    let zone = wire::BestAvailable { quantity: 1, zone: "moon".into(), ..Default::default() };
    let unknown = hold(&|request| request.best_available = Some(zone.clone())).await;
    check(unknown, invalid, "UNKNOWN_PLACE", "best_available.zone");
    let section = wire::BestAvailable { quantity: 1, sections: vec!["T".into()], ..Default::default() };
    let unknown = hold(&|request| request.best_available = Some(section.clone())).await;
    check(unknown, invalid, "UNKNOWN_PLACE", "best_available.sections[0]");
    for types in [vec![1, 2], vec![256], vec![u32::MAX]] {
        let wrong = hold(&|request| request.ticket_types = types.clone()).await;
        check(wrong, invalid, "TICKET_TYPE_INVALID", "ticket_types");
    }
    let wrong = hold(&|request| request.ga = vec![wire::GaItem { ticket_type: 256, ..item(1, 0) }]).await;
    check(wrong, invalid, "TICKET_TYPE_INVALID", "ga[0].ticket_type");
    for ttl_ms in [1, 999, 7_200_001, u64::MAX] {
        check(hold(&|request| request.ttl_ms = ttl_ms).await, invalid, "TTL_OUT_OF_RANGE", "ttl_ms");
    }
    let said = check(
        hold(&|request| request.hold_id = id_at(START_MS - 300_001)).await,
        invalid,
        "HOLD_ID_TOO_OLD",
        "hold_id",
    );
    assert_eq!(said.metadata["nowMs"], START_MS.to_string());
    let future = hold(&|request| request.hold_id = id_at(START_MS + 60_001)).await;
    check(future, invalid, "HOLD_ID_FROM_FUTURE", "hold_id");
    let keys = hold(&|request| request.allocation_keys = vec!["fan club".into()]).await;
    check(keys, invalid, "VALIDATION_FAILED", "allocation_keys");
    let twice = hold(&|request| request.allocation_keys = vec!["fans".into(); 2]).await;
    check(twice, invalid, "VALIDATION_FAILED", "allocation_keys");
    let many = hold(&|request| request.allocation_keys = (0..17).map(|nth| format!("k{nth}")).collect()).await;
    check(many, invalid, "VALIDATION_FAILED", "allocation_keys");
    let token = hold(&|request| request.admission_token = "t".into()).await;
    check(token, invalid, "VALIDATION_FAILED", "admission_token");
    let event = hold(&|request| request.event_id = "other".into()).await;
    check(event, Code::NotFound, "EVENT_NOT_FOUND", "");
    let revision = hold(&|request| request.plan_revision = 2).await;
    check(revision, Code::Aborted, "PLAN_CHANGED", "");
    assert_eq!(server.event("show").await.counts.unwrap().open, 25, "a refusal changes nothing");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_open() {
    let server = TestServer::with_show().await;
    let (held, sold) = (server.id(), server.id());
    server.hold(hold_of("show", &held, &[1])).await.unwrap();
    server.hold(hold_of("show", &sold, &[2])).await.unwrap();
    server.confirm(confirm_of("show", &sold, "o")).await.unwrap();
    let failed = Code::FailedPrecondition;
    let taken = server.hold(hold_of("show", &server.id(), &[2, 3, 1])).await;
    let places = check(taken, failed, "PLACES_UNAVAILABLE", "").places.unwrap().places;
    use wire::places_unavailable::place::Place;
    let seen: Vec<_> = places.iter().map(|place| (place.place, place.state())).collect();
    assert_eq!(
        seen,
        [(Some(Place::Index(2)), wire::PlaceState::Sold), (Some(Place::Index(1)), wire::PlaceState::Held)]
    );
    check(server.hold(hold_of("show", &held, &[9])).await, Code::AlreadyExists, "HOLD_ID_REUSED", "");

    let best = |quantity| wire::HoldRequest {
        best_available: Some(wire::BestAvailable { quantity, seats_only: true, ..Default::default() }),
        ..hold_of("show", &server.id(), &[])
    };
    for seats in [(10..20).collect::<Vec<_>>(), vec![0, 3, 4, 5, 6, 7, 8, 9]] {
        server.hold(hold_of("show", &server.id(), &seats)).await.unwrap();
    }
    let said = check(server.hold(best(2)).await, failed, "NOT_ENOUGH_PLACES", "");
    assert_eq!(said.metadata["heldUnpaid"], "19");
    // Everything sold: nothing may come back.
    server.advance_ms(600_000);
    for (number, seats) in [(10..20).collect::<Vec<_>>(), vec![0, 1, 3, 4, 5, 6, 7, 8, 9]].iter().enumerate() {
        let id = server.id();
        server.hold(hold_of("show", &id, seats)).await.unwrap();
        server.confirm(confirm_of("show", &id, &format!("o{number}"))).await.unwrap();
    }
    check(server.hold(best(2)).await, failed, "SOLD_OUT", "");
    server.stop().await;
}

#[tokio::test]
async fn the_life_of_a_hold() {
    let server = TestServer::with_show().await;
    let failed = Code::FailedPrecondition;
    let id = server.id();
    // Never made, and a hold of another event: the same bytes.
    let never = server.confirm(confirm_of("show", &id, "o")).await.unwrap_err();
    let said = check(Err::<(), _>(never.clone()), Code::NotFound, "HOLD_NOT_FOUND", "");
    assert_eq!(said.metadata["refundDue"], "true");
    server.admin.clone().create_event(new_event("other", no_rules())).await.unwrap();
    server.hold(hold_of("other", &id, &[1])).await.unwrap();
    let foreign = server.confirm(confirm_of("show", &id, "o")).await.unwrap_err();
    assert_eq!((foreign.details(), foreign.message()), (never.details(), never.message()));
    for reason_found in [
        reason(server.release(release_of("show", &id)).await),
        reason(server.extend(extend_of("show", &id, &server.id(), 0)).await),
        reason(server.get_hold("show", &id).await),
    ] {
        assert_eq!(reason_found, "HOLD_NOT_FOUND");
    }
    let nowhere = check(server.confirm(confirm_of("nowhere", &id, "o")).await, Code::NotFound, "EVENT_NOT_FOUND", "");
    assert_eq!(nowhere.metadata["refundDue"], "true");

    let (a, b, c) = (server.id(), server.id(), server.id());
    for (id, seat) in [(&a, 1), (&b, 2), (&c, 3)] {
        server.hold(hold_of("show", id, &[seat])).await.unwrap();
    }
    // Released.
    server.release(release_of("show", &a)).await.unwrap();
    let said = check(server.hold(hold_of("show", &a, &[1])).await, failed, "HOLD_RELEASED", "");
    assert_eq!(said.executed, "true");
    let said = check(server.confirm(confirm_of("show", &a, "o")).await, failed, "HOLD_RELEASED", "");
    assert_eq!((said.executed.as_str(), said.metadata["refundDue"].as_str()), ("false", "true"));
    // Confirmed.
    server.confirm(confirm_of("show", &b, "o")).await.unwrap();
    check(server.confirm(confirm_of("show", &b, "p")).await, failed, "HOLD_ALREADY_CONFIRMED", "");
    check(server.release(release_of("show", &b)).await, failed, "HOLD_ALREADY_CONFIRMED", "");
    let said = check(server.hold(hold_of("show", &b, &[2])).await, failed, "HOLD_ALREADY_CONFIRMED", "");
    assert_eq!(said.executed, "true");
    // Extended.
    let (first, second) = (id_at(START_MS), id_at(START_MS + 1));
    server.extend(extend_of("show", &c, &second, 700_000)).await.unwrap();
    check(
        server.extend(extend_of("show", &c, &first, 0)).await,
        Code::InvalidArgument,
        "REQUEST_ID_TOO_OLD",
        "request_id",
    );
    check(server.extend(extend_of("show", &c, &second, 1_000)).await, Code::AlreadyExists, "REQUEST_ID_REUSED", "");
    for wrong in ["", "x"] {
        let answer = server.extend(extend_of("show", &c, wrong, 0)).await;
        check(answer, Code::InvalidArgument, "REQUEST_ID_INVALID", "request_id");
    }
    // Expired.
    server.clock.advance_ms(700_000);
    check(server.confirm(confirm_of("show", &c, "o")).await, failed, "HOLD_EXPIRED", "");
    let said = check(server.hold(hold_of("show", &c, &[3])).await, failed, "HOLD_EXPIRED", "");
    assert_eq!(said.executed, "true");
    server.stop().await;
}

#[tokio::test]
async fn the_shape_of_a_payment() {
    let server = TestServer::with_show().await;
    let (id, attempt) = (server.id(), server.id());
    server.hold(hold_of("show", &id, &[1])).await.unwrap();
    let (invalid, missing) = (Code::InvalidArgument, Code::NotFound);
    let wrong_ids = ["", "x", "01890a5dac96774bbcceb302099a8057", "01890a5d-ac96-474b-bcce-b302099a8057"];
    for wrong in wrong_ids {
        let answer = server.begin_payment(begin_of("show", &id, wrong)).await;
        check(answer, invalid, "REQUEST_ID_INVALID", "attempt_id");
        check(server.end_payment(end_of("show", &id, wrong)).await, invalid, "REQUEST_ID_INVALID", "attempt_id");
        check(server.begin_payment(begin_of("show", wrong, &attempt)).await, invalid, "HOLD_ID_INVALID", "hold_id");
        check(server.end_payment(end_of("show", wrong, &attempt)).await, invalid, "HOLD_ID_INVALID", "hold_id");
    }
    // A confirm need not name one.
    for wrong in &wrong_ids[1..] {
        let confirm = wire::ConfirmHoldRequest { attempt_id: (*wrong).into(), ..confirm_of("show", &id, "o") };
        check(server.confirm(confirm).await, invalid, "REQUEST_ID_INVALID", "attempt_id");
    }
    for outcome in [0, 3, -1] {
        let end = wire::EndPaymentRequest { outcome, ..end_of("show", &id, &attempt) };
        check(server.end_payment(end).await, invalid, "VALIDATION_FAILED", "outcome");
    }
    check(server.begin_payment(begin_of("Show", &id, &attempt)).await, invalid, "VALIDATION_FAILED", "event_id");
    check(server.begin_payment(begin_of("nowhere", &id, &attempt)).await, missing, "EVENT_NOT_FOUND", "");
    check(server.end_payment(end_of("nowhere", &id, &attempt)).await, missing, "EVENT_NOT_FOUND", "");
    let unknown = server.id();
    check(server.begin_payment(begin_of("show", &unknown, &attempt)).await, missing, "HOLD_NOT_FOUND", "");
    check(server.end_payment(end_of("show", &unknown, &attempt)).await, missing, "HOLD_NOT_FOUND", "");
    assert_eq!(server.get_hold("show", &id).await.unwrap().payment_attempts_left, 3, "a refusal changes nothing");

    // A hold that has ended is not paid for.
    let failed = Code::FailedPrecondition;
    server.release(release_of("show", &id)).await.unwrap();
    let said = check(server.begin_payment(begin_of("show", &id, &attempt)).await, failed, "HOLD_RELEASED", "");
    assert_eq!(said.executed, "false");
    let expired = server.id();
    server.hold(hold_of("show", &expired, &[1])).await.unwrap();
    server.clock.advance_ms(600_000);
    check(server.begin_payment(begin_of("show", &expired, &attempt)).await, failed, "HOLD_EXPIRED", "");
    let sold = server.id();
    server.hold(hold_of("show", &sold, &[1])).await.unwrap();
    server.confirm(confirm_of("show", &sold, "o")).await.unwrap();
    check(server.begin_payment(begin_of("show", &sold, &attempt)).await, failed, "HOLD_ALREADY_CONFIRMED", "");
    server.set_state("show", EventState::Cancelled).await;
    check(server.begin_payment(begin_of("show", &sold, &attempt)).await, failed, "EVENT_CANCELLED", "");
    server.stop().await;
}

#[tokio::test]
async fn the_shape_of_a_confirm() {
    let server = TestServer::with_show().await;
    let id = server.id();
    server.hold(hold_of("show", &id, &[1, 2])).await.unwrap();
    let confirm = |change: &dyn Fn(&mut wire::ConfirmHoldRequest)| {
        let mut request = confirm_of("show", &id, "order-1");
        change(&mut request);
        let mut sale = server.sale.clone();
        async move { sale.confirm_hold(request).await }
    };
    let invalid = Code::InvalidArgument;
    for wrong in ["", "a\nb", "\u{e9}", &"x".repeat(65)] {
        let answer = confirm(&|request| request.order_ref = wrong.into()).await;
        check(answer, invalid, "VALIDATION_FAILED", "order_ref");
    }
    check(confirm(&|request| request.seats = vec![1]).await, invalid, "VALIDATION_FAILED", "remainder");
    check(confirm(&|request| request.remainder = 77).await, invalid, "VALIDATION_FAILED", "remainder");
    let keep = |request: &mut wire::ConfirmHoldRequest| request.remainder = wire::Remainder::Keep as i32;
    let without_request_id = confirm(&|request| {
        keep(request);
        request.seats = vec![1];
    });
    check(without_request_id.await, invalid, "REQUEST_ID_INVALID", "request_id");
    let part = |seats: &[u32], keys: &[&str]| {
        let (seats, keys) = (seats.to_vec(), keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        let request_id = server.id();
        confirm(&move |request| {
            keep(request);
            request.request_id = request_id.clone();
            (request.seats, request.seat_keys) = (seats.clone(), keys.clone());
        })
    };
    check(part(&[1, 1], &[]).await, invalid, "DUPLICATE_SEAT", "seats[1]");
    check(part(&[1], &["S-A-2"]).await, invalid, "DUPLICATE_SEAT", "seat_keys[0]");
    check(part(&[], &["S-Z-9"]).await, invalid, "UNKNOWN_PLACE", "seat_keys[0]");
    check(part(&[999], &[]).await, invalid, "UNKNOWN_PLACE", "seats[0]");
    let hold = server.get_hold("show", &id).await.unwrap();
    assert_eq!(hold.seats, [1, 2], "a place not in the hold: nothing is sold");
    server.stop().await;
}

#[tokio::test]
async fn extends_have_a_cap() {
    let mut server = TestServer::empty().await;
    server.create("show", admin::EventPolicies { renewals_max: Some(1), ..no_rules() }).await.unwrap();
    let id = server.id();
    server.hold(hold_of("show", &id, &[1])).await.unwrap();
    server.extend(extend_of("show", &id, &id_at(START_MS), 900_000)).await.unwrap();
    let again = server.extend(extend_of("show", &id, &id_at(START_MS + 1), 950_000)).await;
    check(again, Code::FailedPrecondition, "RENEWAL_CAP", "");
    assert_eq!(server.get_hold("show", &id).await.unwrap().expires_in_ms, 900_000);
    server.stop().await;
}

#[tokio::test]
async fn customers_have_limits() {
    let mut server = TestServer::empty().await;
    let limits =
        admin::EventPolicies { places_per_customer_max: Some(3), holds_per_customer_max: Some(2), ..no_rules() };
    server.create("show", limits).await.unwrap();
    let hold = |seats: &[u32], customer: &str| {
        let request = wire::HoldRequest { customer: customer.into(), ..hold_of("show", &server.id(), seats) };
        let mut sale = server.sale.clone();
        async move { sale.hold(request).await }
    };
    check(hold(&[1], "").await, Code::InvalidArgument, "VALIDATION_FAILED", "customer");
    let said = check(hold(&[1, 2, 3, 4], "ann").await, Code::ResourceExhausted, "CUSTOMER_LIMIT", "");
    assert_eq!(said.metadata["limit"], "3");
    hold(&[1], "ann").await.unwrap();
    hold(&[2], "ann").await.unwrap();
    check(hold(&[3], "ann").await, Code::ResourceExhausted, "HOLD_QUOTA", "");
    hold(&[3], "bob").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_state_of_a_sale() {
    let server = TestServer::with_show().await;
    let failed = Code::FailedPrecondition;
    let live = server.id();
    server.hold(hold_of("show", &live, &[1])).await.unwrap();
    let try_hold = || server.hold(hold_of("show", "", &[2]));
    server.set_state("show", EventState::Paused).await;
    check(try_hold().await, failed, "SALE_PAUSED", "");
    server.set_state("show", EventState::OffSale).await;
    check(try_hold().await, failed, "SALE_CLOSED", "");
    let draft = admin::CreateEventRequest { draft: true, ..new_event("draft", no_rules()) };
    server.admin.clone().create_event(draft).await.unwrap();
    check(server.hold(hold_of("draft", "", &[2])).await, failed, "SALE_NOT_OPEN", "");
    let later = prost_types::Timestamp { seconds: i64::try_from(START_MS / 1_000).unwrap() + 60, nanos: 0 };
    let soon = admin::CreateEventRequest { opens_at: Some(later), ..new_event("soon", no_rules()) };
    server.admin.clone().create_event(soon).await.unwrap();
    let said = check(server.hold(hold_of("soon", "", &[2])).await, failed, "SALE_NOT_OPEN", "");
    assert_eq!(said.metadata["opensAtMs"], (START_MS + 60_000).to_string());
    server.set_state("show", EventState::Cancelled).await;
    check(try_hold().await, failed, "EVENT_CANCELLED", "");
    let said = check(server.confirm(confirm_of("show", &live, "o")).await, failed, "EVENT_CANCELLED", "");
    assert_eq!(said.metadata["refundDue"], "true");
    server.stop().await;
}

#[tokio::test]
async fn reads_of_another_future() {
    let server = TestServer::with_show().await;
    let id = server.id();
    let held = server.hold(hold_of("show", &id, &[1])).await.unwrap();
    let mut sale = server.sale.clone();
    let event =
        |min_position, incarnation| wire::GetEventRequest { event_id: "show".into(), min_position, incarnation };
    let answer = sale.get_event(event(0, held.incarnation + 1)).await;
    check(answer, Code::Aborted, "INSTANCE_CHANGED", "");
    let answer = sale.get_event(event(held.position + 1_000, 0)).await;
    check(answer, Code::OutOfRange, "POSITION_OUT_OF_RANGE", "");
    let answer = sale.get_event(event(held.position, held.incarnation)).await.unwrap().into_inner();
    assert!(answer.event.unwrap().position >= held.position);
    let map = wire::GetSeatMapRequest { event_id: "show".into(), incarnation: 999, ..Default::default() };
    check(sale.get_seat_map(map).await, Code::Aborted, "INSTANCE_CHANGED", "");
    let counts = wire::GetAvailabilityRequest { event_id: "show".into(), min_position: u64::MAX, ..Default::default() };
    check(sale.get_availability(counts).await, Code::OutOfRange, "POSITION_OUT_OF_RANGE", "");
    let hold =
        wire::GetHoldRequest { event_id: "show".into(), hold_id: id, min_position: u64::MAX, ..Default::default() };
    check(sale.get_hold(hold).await, Code::OutOfRange, "POSITION_OUT_OF_RANGE", "");
    let plan = wire::GetPlanRequest { event_id: "nowhere".into(), ..Default::default() };
    check(sale.get_plan(plan).await.map(drop), Code::NotFound, "EVENT_NOT_FOUND", "");
    server.stop().await;
}

#[tokio::test]
async fn making_and_changing_events() {
    let server = TestServer::with_show().await;
    let invalid = Code::InvalidArgument;
    let create = |change: &dyn Fn(&mut admin::CreateEventRequest)| {
        let mut request = new_event("new", no_rules());
        change(&mut request);
        let mut admin = server.admin.clone();
        async move { admin.create_event(request).await }
    };
    check(create(&|request| request.event_id = "N".into()).await, invalid, "VALIDATION_FAILED", "event_id");
    check(create(&|request| request.plan = None).await, invalid, "VALIDATION_FAILED", "plan");
    let digest = |text: &str| Some(admin::create_event_request::Plan::PlanDigest(text.into()));
    check(create(&|request| request.plan = digest("abc")).await, invalid, "VALIDATION_FAILED", "plan_digest");
    let unknown = create(&|request| request.plan = digest(&"0".repeat(64))).await;
    check(unknown, Code::NotFound, "PLAN_NOT_FOUND", "");
    let document = |json: &str, format: i32| {
        let document = admin::PlanDocument { format, ..support::document(json) };
        Some(admin::create_event_request::Plan::PlanDocument(document))
    };
    check(
        create(&|request| request.plan = document("{", 1)).await,
        invalid,
        "VALIDATION_FAILED",
        "plan_document.content",
    );
    check(
        create(&|request| request.plan = document("{}", 0)).await,
        invalid,
        "VALIDATION_FAILED",
        "plan_document.format",
    );
    let wrong_file = create(&|request| request.plan = document("{\"usher_plan\": 1, \"rows\": 3}", 1)).await;
    let said = said(&wrong_file.unwrap_err());
    assert!(said.reason == "VALIDATION_FAILED" && said.fields[0].starts_with("plan_document.content:"), "{said:?}");
    let long = create(&|request| request.display_name = "x".repeat(257)).await;
    check(long, invalid, "VALIDATION_FAILED", "display_name");
    let ttl = |seconds| {
        Some(admin::EventPolicies { hold_ttl: Some(prost_types::Duration { seconds, nanos: 0 }), ..no_rules() })
    };
    check(create(&|request| request.policies = ttl(7_201)).await, invalid, "VALIDATION_FAILED", "hold_ttl");
    check(create(&|request| request.policies = ttl(-1)).await, invalid, "VALIDATION_FAILED", "policies.hold_ttl");
    let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    for wrong in [time(-1, 0), time(0, -1), time(i64::MAX, 0)] {
        check(create(&|request| request.opens_at = wrong).await, invalid, "VALIDATION_FAILED", "opens_at");
    }
    let exists = create(&|request| (request.event_id, request.display_name) = ("show".into(), "Other".into())).await;
    check(exists, Code::AlreadyExists, "EVENT_EXISTS", "");
    let dry = create(&|request| request.validate_only = true).await.unwrap().into_inner();
    assert_eq!(dry.event.unwrap().capacity, 25);
    assert_eq!(reason(server.hold(hold_of("new", "", &[1])).await), "EVENT_NOT_FOUND", "only validated");

    let show = |change: &dyn Fn(&mut admin::Event)| {
        let mut event = admin::Event { event_id: "show".into(), ..Default::default() };
        change(&mut event);
        event
    };
    let update = |event: admin::Event, paths: &[&str]| {
        let request =
            admin::UpdateEventRequest { event: Some(event), update_mask: Some(mask(paths)), ..Default::default() };
        let mut admin = server.admin.clone();
        async move { admin.update_event(request).await }
    };
    check(update(show(&|_| {}), &[]).await, invalid, "VALIDATION_FAILED", "update_mask");
    for path in ["etag", "policies.nothing", "event_id", "state.x", ""] {
        let answer = update(show(&|_| {}), &["display_name", path]).await;
        check(answer, invalid, "VALIDATION_FAILED", "update_mask.paths[1]");
    }
    check(update(show(&|_| {}), &["state"]).await, invalid, "VALIDATION_FAILED", "event.state");
    let to_draft = update(show(&|event| event.state = EventState::Draft as i32), &["state"]).await;
    check(to_draft, invalid, "VALIDATION_FAILED", "state");
    check(update(show(&|_| {}), &["plan_digest"]).await, invalid, "VALIDATION_FAILED", "event.plan_digest");
    let plan = update(show(&|event| event.plan_digest = "0".repeat(64)), &["plan_digest"]).await;
    check(plan, Code::NotFound, "PLAN_NOT_FOUND", "");
    let nowhere = update(show(&|event| event.event_id = "nowhere".into()), &["display_name"]).await;
    check(nowhere, Code::NotFound, "EVENT_NOT_FOUND", "");
    let conditional = |etag: &str, expected_state: EventState| admin::UpdateEventRequest {
        event: Some(show(&|_| {})),
        update_mask: Some(mask(&["display_name"])),
        etag: etag.into(),
        expected_state: expected_state as i32,
        ..Default::default()
    };
    let mut admin = server.admin.clone();
    let other = admin.update_event(conditional("00000000000000aa", EventState::Unspecified)).await;
    check(other, Code::Aborted, "STATE_MISMATCH", "");
    let other = admin.update_event(conditional("", EventState::Paused)).await;
    check(other, Code::Aborted, "STATE_MISMATCH", "");
    let wrong = admin.update_event(conditional("etag", EventState::Unspecified)).await;
    check(wrong, invalid, "VALIDATION_FAILED", "etag");
    let page = admin.list_events(admin::ListEventsRequest { page_token: "mine".into(), page_size: 0 }).await;
    check(page, invalid, "PAGE_TOKEN_INVALID", "page_token");

    // A plan that would drop a held place.
    server.hold(hold_of("show", &server.id(), &[0])).await.unwrap();
    let smaller = support::document(support::SMALLER_HOUSE);
    let request = admin::CreatePlanRequest { document: smaller.content, format: smaller.format, ..Default::default() };
    let stored = admin.create_plan(request).await.unwrap().into_inner();
    let dropped = update(show(&|event| event.plan_digest = stored.plan_digest.clone()), &["plan_digest"]).await;
    let said = check(dropped, Code::FailedPrecondition, "PLACES_IN_USE", "");
    assert_eq!(said.places.unwrap().places.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn no_room_to_wait() {
    // A mailbox for one command has no room for a hold: what ends holds keeps 30 % of it.
    let server = TestServer::with_show().await.restart_with(|_| {}, |options| options.mailbox_commands_max = 1).await;
    let refused = server.hold(hold_of("show", &server.id(), &[1])).await;
    let said = check(refused, Code::Unavailable, "OVERLOADED", "");
    assert_eq!(said.executed, "false");
    assert_eq!(reason(server.release(release_of("show", &server.id())).await), "HOLD_NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn no_memory_for_another_event() {
    let server =
        TestServer::with_show().await.restart_with(|config| config.memory_budget_bytes = 1 << 10, |_| {}).await;
    let refused = server.admin.clone().create_event(new_event("other", no_rules())).await;
    check(refused, Code::ResourceExhausted, "CAPACITY_BUDGET", "");
    server.hold(hold_of("show", &server.id(), &[1])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn no_space_for_another_hold() {
    let server = TestServer::with_show().await;
    let id = server.id();
    server.hold(hold_of("show", &id, &[1])).await.unwrap();
    // Two segments must fit the disk; these are larger than any.
    let server = server.restart_with(|config| config.segment_bytes = 1 << 50, |_| {}).await;
    let mut refused = Ok(());
    for _ in 0..10_000 {
        // Each is a change, and the space is looked at with the changes.
        server.clock.advance_ms(1_000);
        let held = server.hold(hold_of("show", &server.id(), &[2])).await;
        match held {
            Ok(held) => drop(server.release(release_of("show", &held.hold.unwrap().hold_id)).await),
            Err(status) => {
                refused = Err(status);
                break;
            }
        }
    }
    check(refused, Code::Unavailable, "STORAGE_LOW", "");
    server.confirm(confirm_of("show", &id, "paid")).await.unwrap();
    server.stop().await;
}
