//! Payments over the wire: what a buyer's backend sees from the way to the cashier to the sale.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::inventory::v1::{self as wire, HoldState};
use support::{
    START_MS, TestServer, begin_of, confirm_of, end_of, extend_of, hold_of, no_rules, reason, release_of, said,
};

#[tokio::test]
async fn a_buyer_who_fails_once_and_then_pays_gets_the_places() {
    let server = TestServer::with_show().await;
    let (id, first, second) = (server.id(), server.id(), server.id());
    server.hold(hold_of("show", &id, &[3, 4])).await.unwrap();

    // Ten minutes for the hold, fifteen for the payment.
    let begun = server.begin_payment(begin_of("show", &id, &first)).await.unwrap();
    let hold = begun.hold.unwrap();
    assert_eq!((hold.state(), hold.seats.as_slice(), begun.replayed), (HoldState::Paying, &[3, 4][..], false));
    assert_eq!((hold.expires_at_ms, hold.payment_deadline_ms), (START_MS + 600_000, START_MS + 900_000));
    assert_eq!((hold.expires_in_ms, hold.payment_attempts_left), (900_000, 2));
    assert!(begun.position > 0 && begun.incarnation > 0 && begun.server_time_ms == START_MS);

    // Past its own deadline the places are still the buyer's.
    server.advance_ms(700_000);
    assert_eq!(reason(server.hold(hold_of("show", &server.id(), &[3])).await), "PLACES_UNAVAILABLE");
    let again = server.begin_payment(begin_of("show", &id, &first)).await.unwrap();
    let hold = again.hold.unwrap();
    assert_eq!((hold.state(), hold.expires_in_ms, again.replayed), (HoldState::Paying, 200_000, true));

    // The card is refused: two minutes to find another one.
    let ended = server.end_payment(end_of("show", &id, &first)).await.unwrap();
    let hold = ended.hold.unwrap();
    assert_eq!((hold.state(), hold.payment_deadline_ms, ended.replayed), (HoldState::Active, 0, false));
    assert_eq!((hold.expires_in_ms, hold.payment_attempts_left), (120_000, 2));
    let again = server.end_payment(end_of("show", &id, &first)).await.unwrap();
    assert!(again.replayed && again.hold.unwrap().expires_in_ms == 120_000);
    let never = server.end_payment(end_of("show", &id, &second)).await.unwrap();
    assert!(!never.replayed && never.hold.unwrap().state() == HoldState::Active, "an unknown attempt ends nothing");

    // The second pays. The first, were it to come in late, is owed back.
    server.begin_payment(begin_of("show", &id, &second)).await.unwrap();
    let paid =
        |attempt: &str| wire::ConfirmHoldRequest { attempt_id: attempt.into(), ..confirm_of("show", &id, "order-1") };
    let sold = server.confirm(paid(&second)).await.unwrap();
    let hold = sold.hold.unwrap();
    assert_eq!((hold.state(), hold.sold_seats.as_slice()), (HoldState::Confirmed, &[3, 4][..]));
    assert_eq!((hold.payment_deadline_ms, hold.expires_in_ms), (0, 0));
    assert!(server.confirm(paid(&second)).await.unwrap().replayed);
    for other in [first.as_str(), ""] {
        let refused = said(&server.confirm(paid(other)).await.unwrap_err());
        assert_eq!(refused.reason, "HOLD_ALREADY_CONFIRMED", "{other}");
        assert_eq!(refused.metadata["refundDue"], "true", "{other}");
    }
    let again = server.begin_payment(begin_of("show", &id, &first)).await.unwrap();
    assert!(again.replayed && again.hold.unwrap().state() == HoldState::Confirmed, "an attempt is never begun twice");
    server.stop().await;
}

#[tokio::test]
async fn while_a_payment_is_open_only_its_end_a_confirm_and_an_abort_are_taken() {
    let server = TestServer::with_show().await;
    let (id, attempt) = (server.id(), server.id());
    server.hold(hold_of("show", &id, &[1, 2])).await.unwrap();
    server.begin_payment(begin_of("show", &id, &attempt)).await.unwrap();
    let replace = wire::HoldRequest { replace_hold_id: id.clone(), ..hold_of("show", &server.id(), &[1, 5]) };
    let refusals = [
        said(&server.begin_payment(begin_of("show", &id, &server.id())).await.unwrap_err()),
        said(&server.extend(extend_of("show", &id, &server.id(), 0)).await.unwrap_err()),
        said(&server.release(release_of("show", &id)).await.unwrap_err()),
        said(&server.hold(replace).await.unwrap_err()),
    ];
    for refused in refusals {
        assert_eq!((refused.reason.as_str(), refused.executed.as_str()), ("PAYMENT_IN_PROGRESS", "false"));
        assert_eq!(refused.code, Some(tonic::Code::FailedPrecondition));
        assert!(!refused.metadata.contains_key("refundDue"));
    }

    // A part is sold and the payment with it; the rest is active.
    let part = wire::ConfirmHoldRequest {
        seats: vec![1],
        remainder: wire::Remainder::Keep as i32,
        request_id: server.id(),
        attempt_id: attempt.clone(),
        ..confirm_of("show", &id, "order-1")
    };
    let hold = server.confirm(part.clone()).await.unwrap().hold.unwrap();
    assert_eq!((hold.state(), hold.seats.as_slice(), hold.payment_deadline_ms), (HoldState::Active, &[2][..], 0));
    assert!(server.confirm(part).await.unwrap().replayed);

    // An abort ends the next one with the hold.
    server.begin_payment(begin_of("show", &id, &server.id())).await.unwrap();
    let abort = wire::ReleaseHoldRequest { abort_payment: true, ..release_of("show", &id) };
    let released = server.release(abort.clone()).await.unwrap();
    assert_eq!((released.hold.unwrap().payment_deadline_ms, released.replayed), (0, false));
    assert_eq!(server.event("show").await.counts.unwrap().held, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_payment_of_which_nobody_hears_ends_at_its_deadline() {
    let server = TestServer::with_show().await;
    let (long, short) = (server.id(), server.id());
    server.hold(wire::HoldRequest { ttl_ms: 1_200_000, ..hold_of("show", &long, &[1]) }).await.unwrap();
    server.hold(hold_of("show", &short, &[2])).await.unwrap();
    for id in [&long, &short] {
        server.begin_payment(begin_of("show", id, &server.id())).await.unwrap();
    }
    server.advance_ms(899_999);
    assert_eq!(server.get_hold("show", &short).await.unwrap().state(), HoldState::Paying);
    server.advance_ms(1);
    // One has time left of its own, the other has not.
    let hold = server.get_hold("show", &long).await.unwrap();
    assert_eq!((hold.state(), hold.payment_deadline_ms, hold.expires_in_ms), (HoldState::Active, 0, 300_000));
    let hold = server.get_hold("show", &short).await.unwrap();
    assert_eq!((hold.state(), hold.cause()), (HoldState::Expired, wire::HoldCause::Deadline));

    // The money comes all the same: the seat is open still, and is sold once.
    let late = wire::ConfirmHoldRequest { attempt_id: server.id(), ..confirm_of("show", &short, "order-1") };
    let refused = said(&server.confirm(late.clone()).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.metadata["refundDue"].as_str()), ("HOLD_EXPIRED", "true"));
    let reclaim = wire::ConfirmHoldRequest { allow_reclaim: true, ..late };
    let sold = server.confirm(reclaim.clone()).await.unwrap();
    assert_eq!(sold.hold.unwrap().state(), HoldState::Confirmed);
    let other = wire::ConfirmHoldRequest { attempt_id: server.id(), ..reclaim };
    assert_eq!(reason(server.confirm(other).await), "HOLD_ALREADY_CONFIRMED");
    server.stop().await;
}

#[tokio::test]
async fn a_hold_has_so_many_payments_and_no_more() {
    let mut server = TestServer::empty().await;
    let policies = proto::admin::v1::EventPolicies { payment_attempts_max: Some(2), ..no_rules() };
    server.create("show", policies).await.unwrap();
    let id = server.id();
    let held = server.hold(hold_of("show", &id, &[1])).await.unwrap().hold.unwrap();
    assert_eq!(held.payment_attempts_left, 2);
    let attempts = [server.id(), server.id()];
    for attempt in &attempts {
        server.begin_payment(begin_of("show", &id, attempt)).await.unwrap();
        server.end_payment(end_of("show", &id, attempt)).await.unwrap();
    }
    let refused = said(&server.begin_payment(begin_of("show", &id, &server.id())).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.executed.as_str()), ("PAYMENT_ATTEMPTS_CAP", "false"));
    assert_eq!(refused.code, Some(tonic::Code::FailedPrecondition));
    assert!(server.begin_payment(begin_of("show", &id, &attempts[0])).await.unwrap().replayed);
    // Who changes the cart has no more of them.
    let other = server.id();
    let replace = wire::HoldRequest { replace_hold_id: id, ..hold_of("show", &other, &[1, 2]) };
    assert_eq!(server.hold(replace).await.unwrap().hold.unwrap().payment_attempts_left, 0);
    assert_eq!(reason(server.begin_payment(begin_of("show", &other, &server.id())).await), "PAYMENT_ATTEMPTS_CAP");
    server.confirm(confirm_of("show", &other, "order-1")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_payment_outlives_a_restart() {
    let server = TestServer::with_show().await;
    let (id, attempt) = (server.id(), server.id());
    server.hold(hold_of("show", &id, &[1])).await.unwrap();
    let before = server.begin_payment(begin_of("show", &id, &attempt)).await.unwrap().hold.unwrap();
    let server = server.restart().await;
    let again = server.begin_payment(begin_of("show", &id, &attempt)).await.unwrap();
    let hold = again.hold.unwrap();
    assert!(again.replayed && hold.state() == HoldState::Paying, "{hold:?}");
    assert_eq!(hold.payment_deadline_ms, before.payment_deadline_ms);
    assert!(!server.end_payment(end_of("show", &id, &attempt)).await.unwrap().replayed);
    server.stop().await;
}
