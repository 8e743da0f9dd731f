//! Carts over several events, over the wire: all or nothing, who refused, and what a repetition is answered.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, CartRole, HoldCause, HoldState, cart_service_client::CartServiceClient},
};
use support::{
    Said, TestServer, begin_of, confirm_of, extend_of, floor, hold_of, id_at, no_rules, reason, release_of, said,
    selected, soon,
};
use tonic::{Code, Status};

/// Events of both shards, and the first is not alone on its own.
const EVENTS: [&str; 4] = ["day-1", "day-2", "park", "camp"];
/// The payment grace of every event: what a cart lives without a TTL.
const GRACE_MS: u64 = 900_000;

fn part(event_id: &str, seats: &[u32]) -> wire::CartPart {
    wire::CartPart { event_id: event_id.into(), seats: seats.to_vec(), ..Default::default() }
}

fn many(cart_id: &str, parts: Vec<wire::CartPart>) -> wire::HoldManyRequest {
    wire::HoldManyRequest { cart_id: cart_id.into(), parts, ..Default::default() }
}

/// Seats 2 and 3 of two days, and two places to park.
fn festival(cart_id: &str) -> wire::HoldManyRequest {
    let park = wire::CartPart { event_id: "park".into(), ga: vec![floor(2)], ..Default::default() };
    many(cart_id, vec![part("day-1", &[2, 3]), part("day-2", &[2, 3]), park])
}

struct Carts {
    server: TestServer,
}

impl Carts {
    async fn start() -> Carts {
        let shards: std::collections::BTreeSet<_> =
            EVENTS.iter().map(|event| engine::event_key(event).slot().0 % 2).collect();
        assert_eq!(shards.len(), 2, "the events are of both shards");
        let mut server = TestServer::empty().await;
        for event in EVENTS {
            server.create(event, no_rules()).await.unwrap();
        }
        Carts { server }
    }

    fn client(&self) -> CartServiceClient<tonic::transport::Channel> {
        CartServiceClient::new(self.server.channel.clone())
    }

    async fn hold(&self, request: wire::HoldManyRequest) -> Result<wire::HoldManyResponse, Status> {
        soon(self.client().hold_many(request)).await.map(tonic::Response::into_inner)
    }

    async fn confirm(&self, first: &str, cart_id: &str, order: &str) -> Result<wire::ConfirmManyResponse, Status> {
        let request =
            wire::ConfirmManyRequest { event_id: first.into(), cart_id: cart_id.into(), order_ref: order.into() };
        soon(self.client().confirm_many(request)).await.map(tonic::Response::into_inner)
    }

    async fn release(&self, first: &str, cart_id: &str) -> Result<wire::ReleaseManyResponse, Status> {
        let request = wire::ReleaseManyRequest { event_id: first.into(), cart_id: cart_id.into() };
        soon(self.client().release_many(request)).await.map(tonic::Response::into_inner)
    }

    /// Open, held and sold places of an event.
    async fn counts(&self, event_id: &str) -> (u32, u32, u32) {
        let request = wire::GetAvailabilityRequest { event_id: event_id.into(), ..Default::default() };
        let totals = self.server.sale.clone().get_availability(request).await.unwrap().into_inner().totals.unwrap();
        (totals.open, totals.held, totals.sold)
    }

    async fn all_counts(&self) -> Vec<(u32, u32, u32)> {
        let mut all = Vec::new();
        for event in ["day-1", "day-2", "park"] {
            all.push(self.counts(event).await);
        }
        all
    }

    async fn restart(self) -> Carts {
        Carts { server: self.server.restart().await }
    }
}

const NOTHING: (u32, u32, u32) = (25, 0, 0);
const HELD: (u32, u32, u32) = (23, 2, 0);
const SOLD: (u32, u32, u32) = (23, 0, 2);

fn states(parts: &[wire::CartHold]) -> Vec<HoldState> {
    parts.iter().map(|part| part.hold.as_ref().unwrap().state()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, name: &str, event: &str) -> Said {
    let said = said(&answer.expect_err(name));
    let named = said.metadata.get("eventId").map_or("", String::as_str);
    assert_eq!((said.reason.as_str(), named), (name, event), "{said:?}");
    said
}

#[tokio::test]
async fn a_cart_is_held_and_sold_in_all_its_events() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    let made = carts.hold(festival(&id)).await.unwrap();
    assert!(!made.replayed && made.position > 0 && made.incarnation > 0);
    assert_eq!(states(&made.parts), [HoldState::Paying; 3]);
    let named: Vec<_> = made.parts.iter().map(|part| part.hold.clone().unwrap().event_id).collect();
    assert_eq!(named, ["day-1", "day-2", "park"], "in the order of the request");
    assert_eq!(made.parts[1].seat_labels, ["S-A-3", "S-A-4"]);
    for part in &made.parts {
        let hold = part.hold.clone().unwrap();
        assert_eq!(hold.hold_id, id, "one id for all");
        assert_eq!(hold.payment_deadline_ms, made.server_time_ms + GRACE_MS);
    }
    assert_eq!(carts.all_counts().await, [HELD; 3]);

    // What each event says of its part.
    let first = carts.server.get_hold("day-1", &id).await.unwrap().cart.unwrap();
    assert_eq!((first.role(), first.first_event_id.as_str()), (CartRole::First, "day-1"));
    assert_eq!(first.other_event_ids, ["day-2", "park"]);
    let other = carts.server.get_hold("park", &id).await.unwrap().cart.unwrap();
    assert_eq!((other.role(), other.first_event_id.as_str()), (CartRole::Other, "day-1"));
    let listed = carts.server.list_holds(admin::ListHoldsRequest { event_id: "park".into(), ..Default::default() });
    assert_eq!(listed.await.unwrap().holds[0].cart.as_ref().unwrap().first_event_id, "day-1");

    let sold = carts.confirm("day-1", &id, "O-1").await.unwrap();
    assert!(!sold.replayed);
    assert_eq!(states(&sold.parts), [HoldState::Confirmed; 3]);
    assert_eq!(sold.parts[0].hold.as_ref().unwrap().sold_seats, [2, 3]);
    assert_eq!(carts.all_counts().await, [SOLD; 3]);
    for event in ["day-1", "day-2", "park"] {
        assert_eq!(carts.server.get_order(event, "O-1").await.unwrap().order.unwrap().parts.len(), 1, "{event}");
    }

    // Again, and after that only the same again.
    let again = carts.confirm("day-1", &id, "O-1").await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.parts, sold.parts);
    let other = refused(carts.confirm("day-1", &id, "O-2").await, "HOLD_ALREADY_CONFIRMED", "day-1");
    assert_eq!((other.metadata["refundDue"].as_str(), other.code), ("true", Some(Code::FailedPrecondition)));
    let late = refused(carts.hold(festival(&id)).await, "HOLD_ALREADY_CONFIRMED", "day-1");
    assert_eq!(late.executed, "true");
    refused(carts.release("day-1", &id).await, "HOLD_ALREADY_CONFIRMED", "day-1");
    carts.server.stop().await;
}

#[tokio::test]
async fn a_repeated_cart_is_the_same_cart_and_other_content_is_refused() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    let made = carts.hold(festival(&id)).await.unwrap();
    carts.server.advance_ms(1_000);
    let again = carts.hold(festival(&id)).await.unwrap();
    assert!(again.replayed);
    let parts = |answer: &wire::HoldManyResponse| -> Vec<_> {
        let places = |part: &wire::CartHold| {
            let hold = part.hold.clone().unwrap();
            (hold.event_id, hold.seats, hold.ga, hold.payment_deadline_ms)
        };
        answer.parts.iter().map(places).collect()
    };
    assert_eq!(parts(&again), parts(&made));

    let mut turned = festival(&id);
    turned.parts.swap(1, 2);
    refused(carts.hold(turned).await, "HOLD_ID_REUSED", "day-1");
    let longer = wire::HoldManyRequest { ttl_ms: 60_000, ..festival(&id) };
    refused(carts.hold(longer).await, "HOLD_ID_REUSED", "day-1");
    let mut more = festival(&id);
    more.parts[2].ga = vec![floor(3)];
    refused(carts.hold(more).await, "HOLD_ID_REUSED", "day-1");
    assert_eq!(carts.all_counts().await, [HELD; 3]);
    carts.server.stop().await;
}

#[tokio::test]
async fn a_refusal_names_its_event_and_leaves_nothing() {
    let carts = Carts::start().await;
    carts.server.hold(hold_of("day-2", &carts.server.id(), &[3])).await.unwrap();
    let id = carts.server.id();
    let before = carts.all_counts().await;
    let taken = refused(carts.hold(festival(&id)).await, "PLACES_UNAVAILABLE", "day-2");
    assert_eq!((taken.executed.as_str(), taken.code), ("false", Some(Code::FailedPrecondition)));
    let places = taken.places.unwrap().places;
    assert_eq!(places.len(), 1);
    assert_eq!(places[0].place, Some(wire::places_unavailable::place::Place::Index(3)));
    assert_eq!(carts.all_counts().await, before, "nothing of it is held");
    for event in ["day-1", "day-2", "park"] {
        assert_eq!(reason(carts.server.get_hold(event, &id).await), "HOLD_NOT_FOUND", "{event}");
    }
    refused(carts.confirm("day-1", &id, "O-1").await, "HOLD_NOT_FOUND", "day-1");

    // A field is named within its part; that of the cart is not.
    let unknown = refused(
        carts.hold(many(&id, vec![part("day-1", &[1]), part("park", &[4, 99])])).await,
        "UNKNOWN_PLACE",
        "park",
    );
    assert_eq!(unknown.fields, ["parts[1].seats[1]"]);
    let full = wire::CartPart { event_id: "camp".into(), ga: vec![floor(6)], ..Default::default() };
    refused(carts.hold(many(&id, vec![part("day-1", &[1]), full])).await, "NOT_ENOUGH_PLACES", "camp");
    refused(carts.hold(many(&id, vec![part("day-1", &[1]), part("none", &[1])])).await, "EVENT_NOT_FOUND", "none");
    carts.server.set_state("park", wire::EventState::Paused).await;
    refused(carts.hold(festival(&id)).await, "PLACES_UNAVAILABLE", "day-2");
    let paused = many(&id, vec![part("day-1", &[1]), part("park", &[1])]);
    refused(carts.hold(paused).await, "SALE_PAUSED", "park");

    // The same id is judged afresh, with other content too.
    let made = carts.hold(many(&id, vec![part("day-2", &[4]), part("day-1", &[4])])).await.unwrap();
    assert!(!made.replayed);
    assert_eq!(states(&made.parts), [HoldState::Paying; 2]);
    carts.server.stop().await;
}

#[tokio::test]
async fn the_shape_of_a_cart() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    let two = |seats: &[u32]| vec![part("day-1", &[1]), part("day-2", seats)];
    let check = |answer: Result<wire::HoldManyResponse, Status>, name: &str, field: &str| {
        let status = answer.expect_err(name);
        let said = said(&status);
        assert_eq!((status.code(), said.reason.as_str()), (Code::InvalidArgument, name), "{said:?}");
        assert_eq!(said.fields, [field], "{said:?}");
        assert!(status.message().starts_with(field), "{status}");
    };
    for wrong in ["", "x", "00000000-0000-0000-0000-000000000000"] {
        check(carts.hold(many(wrong, two(&[1]))).await, "HOLD_ID_INVALID", "cart_id");
    }
    check(carts.hold(many(&id, Vec::new())).await, "VALIDATION_FAILED", "parts");
    check(carts.hold(many(&id, vec![part("day-1", &[1])])).await, "VALIDATION_FAILED", "parts");
    let same = vec![part("day-1", &[1]), part("day-1", &[2])];
    check(carts.hold(many(&id, same)).await, "VALIDATION_FAILED", "parts");
    let seventeen = (0..17).map(|n| part(&format!("e{n}"), &[1])).collect();
    check(carts.hold(many(&id, seventeen)).await, "VALIDATION_FAILED", "parts");
    check(carts.hold(many(&id, two(&[]))).await, "VALIDATION_FAILED", "parts[1].seats");
    check(carts.hold(many(&id, two(&[5, 5]))).await, "DUPLICATE_SEAT", "parts[1].seats[1]");
    let unnamed = vec![part("day-1", &[1]), part("", &[1])];
    check(carts.hold(many(&id, unnamed)).await, "VALIDATION_FAILED", "parts[1].event_id");
    let short = wire::HoldManyRequest { ttl_ms: 999, ..many(&id, two(&[1])) };
    check(carts.hold(short).await, "TTL_OUT_OF_RANGE", "ttl_ms");
    let admitted = wire::HoldManyRequest { admission_token: "x".into(), ..many(&id, two(&[1])) };
    check(carts.hold(admitted).await, "VALIDATION_FAILED", "admission_token");
    let order = said(&carts.confirm("day-1", &id, "").await.unwrap_err());
    assert_eq!(order.fields, ["order_ref"]);
    let cart = said(&carts.release("day-1", "x").await.unwrap_err());
    assert_eq!(cart.fields, ["cart_id"]);
    let old = id_at(support::START_MS - 3_600_000);
    let old = said(&carts.hold(many(&old, two(&[1]))).await.unwrap_err());
    assert_eq!((old.reason.as_str(), old.fields), ("HOLD_ID_TOO_OLD", vec!["cart_id".to_owned()]));
    assert_eq!(carts.all_counts().await, [NOTHING; 3]);
    carts.server.stop().await;
}

#[tokio::test]
async fn what_is_for_one_hold_is_refused_to_a_part() {
    let carts = Carts::start().await;
    let (id, server) = (carts.server.id(), &carts.server);
    carts.hold(festival(&id)).await.unwrap();
    for event in ["day-1", "day-2"] {
        let replace = wire::HoldRequest { replace_hold_id: id.clone(), ..hold_of(event, &server.id(), &[2, 5]) };
        let abort = wire::ReleaseHoldRequest { abort_payment: true, ..release_of(event, &id) };
        let names = [
            reason(server.confirm(confirm_of(event, &id, "O-1")).await),
            reason(server.release(release_of(event, &id)).await),
            reason(server.release(abort).await),
            reason(server.extend(extend_of(event, &id, &server.id(), 0)).await),
            reason(server.begin_payment(begin_of(event, &id, &server.id())).await),
            reason(server.hold(replace).await),
        ];
        assert_eq!(names, ["PAYMENT_IN_PROGRESS"; 6], "{event}");
    }
    // A cart is decided where it was made.
    refused(carts.confirm("day-2", &id, "O-1").await, "HOLD_NOT_FOUND", "day-2");
    refused(carts.release("park", &id).await, "HOLD_NOT_FOUND", "park");
    assert_eq!(carts.all_counts().await, [HELD; 3]);
    carts.server.stop().await;
}

#[tokio::test]
async fn a_released_cart_is_open_in_all_its_events() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    carts.hold(festival(&id)).await.unwrap();
    let gone = carts.release("day-1", &id).await.unwrap();
    assert!(!gone.replayed);
    assert_eq!(states(&gone.parts), [HoldState::Released; 3]);
    assert_eq!(carts.all_counts().await, [NOTHING; 3]);
    let again = carts.release("day-1", &id).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.parts, gone.parts);
    let late = refused(carts.confirm("day-1", &id, "O-1").await, "HOLD_RELEASED", "day-1");
    assert_eq!(late.metadata["refundDue"], "true");
    assert_eq!(refused(carts.hold(festival(&id)).await, "HOLD_RELEASED", "day-1").executed, "true");
    carts.server.stop().await;
}

#[tokio::test]
async fn at_its_deadline_a_cart_is_given_back_in_all_its_events() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    let request = wire::HoldManyRequest { ttl_ms: 5_000, ..festival(&id) };
    carts.hold(request).await.unwrap();
    carts.server.advance_ms(5_000);
    let late = refused(carts.confirm("day-1", &id, "O-1").await, "HOLD_EXPIRED", "day-1");
    assert_eq!(late.metadata["refundDue"], "true");
    // The others are told, or ask: each answers when it has heard.
    for event in ["day-1", "day-2", "park"] {
        let ended = soon(async {
            loop {
                let hold = carts.server.get_hold(event, &id).await.unwrap();
                if hold.state() != HoldState::Paying {
                    return hold;
                }
                carts.server.advance_ms(1_000);
                tokio::task::yield_now().await;
            }
        });
        let ended = ended.await;
        assert_eq!((ended.state(), ended.cause()), (HoldState::Expired, HoldCause::Deadline), "{event}");
    }
    assert_eq!(carts.all_counts().await, [NOTHING; 3]);
    carts.server.stop().await;
}

#[tokio::test]
async fn a_cart_outlives_restarts_before_and_after_its_decision() {
    let carts = Carts::start().await;
    let (id, left, lost) = (carts.server.id(), carts.server.id(), carts.server.id());
    carts.hold(festival(&id)).await.unwrap();
    carts.hold(many(&left, vec![part("day-2", &[8]), part("day-1", &[8])])).await.unwrap();
    carts.server.hold(hold_of("park", &lost, &[1])).await.unwrap();

    let carts = carts.restart().await;
    assert!(carts.hold(festival(&id)).await.unwrap().replayed);
    refused(carts.confirm("park", &lost, "O-1").await, "HOLD_NOT_FOUND", "park");
    assert_eq!(states(&carts.confirm("day-1", &id, "O-1").await.unwrap().parts), [HoldState::Confirmed; 3]);

    let carts = carts.restart().await;
    let again = carts.confirm("day-1", &id, "O-1").await.unwrap();
    assert!(again.replayed);
    assert_eq!(states(&again.parts), [HoldState::Confirmed; 3]);
    assert_eq!(states(&carts.release("day-2", &left).await.unwrap().parts), [HoldState::Released; 2]);

    let carts = carts.restart().await;
    assert!(carts.release("day-2", &left).await.unwrap().replayed);
    assert_eq!((carts.counts("day-1").await, carts.counts("day-2").await), (SOLD, SOLD));
    carts.server.stop().await;
}

#[tokio::test]
async fn an_event_that_is_cancelled_cancels_the_cart_that_is_to_be_sold() {
    let carts = Carts::start().await;
    let id = carts.server.id();
    carts.hold(festival(&id)).await.unwrap();
    carts.server.set_state("day-2", wire::EventState::Cancelled).await;
    assert_eq!(carts.server.get_hold("day-2", &id).await.unwrap().state(), HoldState::Paying, "it ends with its cart");
    let gone = refused(carts.confirm("day-1", &id, "O-1").await, "EVENT_CANCELLED", "day-2");
    assert_eq!((gone.metadata["refundDue"].as_str(), gone.executed.as_str()), ("true", "false"));
    let ended = carts.server.get_hold("park", &id).await.unwrap();
    assert_eq!((ended.state(), ended.cause()), (HoldState::Released, HoldCause::EventCancelled));
    assert_eq!(carts.counts("day-1").await, NOTHING);
    carts.server.stop().await;
}

#[tokio::test]
async fn a_part_brings_the_keys_of_its_own_event() {
    let carts = Carts::start().await;
    let set = admin::SetAllocationRequest {
        event_id: "day-2".into(),
        request_id: carts.server.id(),
        allocation_key: "fans".into(),
        places: selected(&["S/A/1-4"]),
        ..Default::default()
    };
    carts.server.set_allocation(set).await.unwrap();
    let id = carts.server.id();
    let without = refused(carts.hold(festival(&id)).await, "NOT_IN_ALLOCATION", "day-2");
    assert_eq!(without.places.unwrap().places.len(), 2);
    let mut request = festival(&id);
    request.parts[1].allocation_keys = vec!["fans".into()];
    assert_eq!(states(&carts.hold(request.clone()).await.unwrap().parts), [HoldState::Paying; 3]);
    assert!(carts.hold(request).await.unwrap().replayed);
    refused(carts.hold(festival(&id)).await, "HOLD_ID_REUSED", "day-1");
    carts.server.stop().await;
}
