//! The two lanes against a server that fails on demand.

mod fake;

use std::sync::atomic::Ordering;
use std::time::Duration;

use client::{
    BatchDone, CartRequest, Client, Config, Error, Executed, HoldBatch, HoldRequest, Lane, Reason, RetryPolicy,
};
use fake::{Fake, Fault, refusal};
use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::{GetPlanRequest, PaymentOutcome, SessionHold, SessionRequest};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn config(fake: &Fake) -> Config {
    let backoff = Duration::from_millis(1);
    Config::new(fake.endpoint()).retry(RetryPolicy {
        backoff_first: backoff,
        backoff_max: backoff,
        ..Default::default()
    })
}

fn seat(seat: u32) -> HoldRequest {
    HoldRequest::new("e").seats([seat])
}

#[test]
fn concurrent_holds_share_one_session_and_respect_its_slots() {
    let fake = Fake::start();
    run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        let holds = (0..500).map(|nth| {
            let client = client.clone();
            tokio::spawn(async move { client.hold(seat(nth)).await })
        });
        for (nth, hold) in holds.collect::<Vec<_>>().into_iter().enumerate() {
            let held = hold.await.expect("no panic").expect("held");
            assert_eq!(held.seats, [nth as u32], "every caller gets its own answer");
        }
    });
    let state = fake.state.lock();
    assert_eq!(state.holds.len(), 500);
    assert_eq!(state.sessions, 2, "one to connect, one for all holds");
    assert!(fake.in_flight_seen.load(Ordering::Relaxed) <= 64);
}

#[test]
fn a_hold_whose_answer_was_lost_is_sent_again_under_its_id_and_held_once() {
    let fake = Fake::start();
    fake.fault(Fault::BreakAfter);
    let held = run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        client.hold(seat(7)).await.expect("held")
    });
    assert!(held.replayed);
    let state = fake.state.lock();
    assert_eq!(state.asked.len(), 2);
    assert_eq!(state.asked[0], state.asked[1]);
    assert_eq!(state.holds.len(), 1);
}

#[test]
fn a_batch_whose_answer_was_lost_is_sent_again_and_each_hold_is_held_once() {
    let fake = Fake::start();
    fake.fault(Fault::BreakAfter);
    let answer = run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        let mut batch = HoldBatch::new("e");
        (0..3).for_each(|seat| batch.push(client.ids().hold_id(), &[seat], ""));
        client.hold_batch(batch).await.expect("judged")
    });
    assert_eq!(answer.results, vec![Ok(BatchDone { expires_at_ms: 0, replayed: true }); 3]);
    let state = fake.state.lock();
    assert_eq!((state.asked.len(), state.holds.len()), (6, 3));
}

#[test]
fn everybody_in_flight_when_a_session_breaks_is_served_by_the_next() {
    let fake = Fake::start();
    run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        client.hold(seat(1_000)).await.expect("held");
        fake.fault(Fault::BreakBefore);
        fake.fault(Fault::BreakAfter);
        let holds: Vec<_> = (0..50)
            .map(|nth| {
                let client = client.clone();
                tokio::spawn(async move { client.hold(seat(nth)).await })
            })
            .collect();
        for hold in holds {
            hold.await.expect("no panic").expect("held");
        }
    });
    assert_eq!(fake.state.lock().holds.len(), 51);
}

#[test]
fn a_confirm_whose_answer_was_lost_is_told_as_replayed() {
    let fake = Fake::start();
    run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        let held = client.hold(seat(3)).await.expect("held");
        fake.fault(Fault::BreakAfter);
        let confirmed = client.confirm(held.confirm("order-1")).await.expect("confirmed");
        assert!(confirmed.replayed);
        assert_eq!(confirmed.seats, [3]);
        assert!(!client.release(held.release()).await.expect("released").replayed);
    });
}

#[test]
fn a_payment_whose_answer_was_lost_is_begun_once_and_its_name_goes_with_the_confirm() {
    let fake = Fake::start();
    let paid = run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        let held = client.hold(seat(3)).await.expect("held");
        fake.fault(Fault::BreakAfter);
        let first = client.begin_payment(held.begin_payment()).await.expect("begun");
        assert!(first.replayed, "the second sending found the first");
        assert_eq!((first.payment_deadline_ms, first.expires_in), (2_000_000_900_000, Duration::from_secs(900)));
        let failed = held.end_payment(first.attempt, PaymentOutcome::Failed);
        let ended = client.end_payment(failed).await.expect("ended");
        assert_eq!((ended.payment_deadline_ms, ended.expires_in), (0, Duration::from_secs(120)));
        let attempt = client.ids().attempt_id();
        let second = client.begin_payment(held.begin_payment().attempt(attempt)).await.expect("begun");
        assert_eq!((second.attempt, second.replayed), (attempt, false));
        client.confirm(held.confirm("order-1").attempt(attempt)).await.expect("confirmed");
        attempt
    });
    let (hi, lo) = paid.halves();
    let state = fake.state.lock();
    assert_eq!(state.attempts.len(), 1);
    assert_eq!(state.paid_by, [u128::from(hi) << 64 | u128::from(lo)]);
}

#[test]
fn a_command_nobody_answers_ends_at_its_deadline_with_an_unknown_outcome() {
    let fake = Fake::start();
    fake.fault(Fault::Mute);
    let short = Duration::from_millis(20);
    let error = run(async {
        let config = config(&fake).timeouts(short, short).retry(RetryPolicy::never());
        let client = Client::connect(config).await.expect("connected");
        client.hold(seat(1)).await.expect_err("no answer")
    });
    assert!(matches!(error, Error::Deadline { executed: Executed::Unknown }), "{error}");
    assert_eq!(fake.state.lock().holds.len(), 1, "and it had been done");
}

#[test]
fn a_refusal_is_not_sent_again_and_names_the_places() {
    let fake = Fake::start();
    run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        client.hold(seat(5)).await.expect("held");
        let error = client.hold(seat(5)).await.expect_err("taken");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!((refusal.reason, refusal.places.len()), (Reason::PlacesUnavailable, 1));
    });
    assert_eq!(fake.state.lock().asked.len(), 2);
}

#[test]
fn a_busy_server_is_asked_again() {
    let fake = Fake::start();
    fake.fault(Fault::Refuse(refusal(Reason::Overloaded)));
    fake.fault(Fault::Refuse(refusal(Reason::Draining)));
    let held = run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        client.hold(seat(5)).await.expect("held in the end")
    });
    assert_eq!(held.seats, [5]);
}

#[test]
fn a_wrong_local_clock_costs_one_more_round_trip_and_nothing_else() {
    let fake = Fake::start();
    // The fake lives in 2033, so an id made by the local clock is too old.
    run(async {
        let client = Client::lazy(config(&fake).lane(Lane::Session)).expect("a client");
        let own = client.ids().hold_id();
        let held = client.hold(seat(1)).await.expect("held");
        assert!(held.id.time_ms() >= 2_000_000_000_000);
        let error = client.hold(seat(2).id(own)).await.expect_err("an id the caller insists on is not replaced");
        assert_eq!(error.reason(), Some(Reason::HoldIdTooOld));
    });
}

#[test]
fn after_going_away_new_commands_use_a_new_session() {
    let fake = Fake::start();
    fake.fault(Fault::GoAway);
    run(async {
        let client = Client::connect(config(&fake)).await.expect("connected");
        client.hold(seat(1)).await.expect("answered though the server goes away");
        client.hold(seat(2)).await.expect("held");
    });
    assert_eq!(fake.state.lock().sessions, 3);
}

#[test]
fn keys_go_unary_and_unknown_outcomes_there_are_sent_again_too() {
    let fake = Fake::start();
    let mut busy = refusal(Reason::Overloaded);
    busy.retry_after_ms = 3;
    fake.fault(Fault::Refuse(busy));
    fake.fault(Fault::BreakAfter);
    let held = run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        client.hold(seat(9).seat_keys(["A-1"])).await.expect("held")
    });
    assert!(held.replayed);
    let state = fake.state.lock();
    assert_eq!(state.asked.len(), 3);
    assert!(state.asked.iter().all(|id| *id == state.asked[0]));
}

#[test]
fn a_plan_is_all_its_chunks_in_order() {
    let fake = Fake::start();
    let chunks = run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        client.unary().get_plan(GetPlanRequest::default()).await.expect("a plan")
    });
    let first: Vec<_> = chunks.iter().filter_map(|chunk| chunk.seats.as_ref()).map(|seats| seats.first_seat).collect();
    assert_eq!(first, [0, 100]);
}

#[test]
fn what_is_not_served_is_not_asked_again() {
    let fake = Fake::start();
    run(async {
        let client = Client::lazy(config(&fake).lane(Lane::Unary)).expect("a client");
        let error = client.get_hold("e", client.ids().hold_id()).await.expect_err("unimplemented");
        assert!(matches!(error, Error::Transport { code: Some(tonic::Code::Unimplemented), .. }));
    });
}

fn cart() -> CartRequest {
    CartRequest::new().part(HoldRequest::new("a").seats([1])).part(HoldRequest::new("b").seats([2, 3]))
}

#[test]
fn a_cart_whose_answer_was_lost_is_sent_again_under_its_id_and_so_is_its_confirm() {
    let fake = Fake::start();
    fake.fault(Fault::BreakAfter);
    run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        let held = client.hold_many(cart()).await.expect("held");
        assert!(held.replayed);
        assert_eq!((held.first_event_id.as_str(), held.parts[1].seats.as_slice()), ("a", &[2, 3][..]));
        fake.fault(Fault::BreakAfter);
        let sold = client.confirm_many(held.confirm("O-1")).await.expect("sold");
        assert!(sold.replayed);
        client.release_many(held.release()).await.expect("the fake releases anything");
    });
    let state = fake.state.lock();
    assert_eq!(state.asked.len(), 5, "two to hold, two to confirm, one to release");
    assert!(state.asked.iter().all(|&id| id == state.asked[0]), "one id for all");
    assert_eq!(state.holds.len(), 1);
}

#[test]
fn a_refused_cart_names_its_event_and_is_not_sent_again() {
    let fake = Fake::start();
    fake.fault(Fault::Refuse(refusal(Reason::PlacesUnavailable)));
    let error = run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        client.hold_many(cart()).await.expect_err("refused")
    });
    assert_eq!(error.refusal().and_then(|refusal| refusal.event_id()), Some("b"));
    assert_eq!(fake.state.lock().asked.len(), 1);
}

#[test]
fn a_cart_whose_id_is_untimely_is_sent_again_under_an_id_of_the_server_s_time() {
    let fake = Fake::start();
    fake.fault(Fault::Refuse(refusal(Reason::HoldIdTooOld)));
    run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        let held = client.hold_many(cart()).await.expect("held at the second try");
        assert!(!held.replayed);
        // An id of the caller's own is his to replace.
        fake.fault(Fault::Refuse(refusal(Reason::HoldIdTooOld)));
        let own = client.hold_many(cart().id(held.id)).await.expect_err("refused");
        assert_eq!(own.reason(), Some(Reason::HoldIdTooOld));
    });
    let state = fake.state.lock();
    assert_eq!(state.asked.len(), 3);
    assert_ne!(state.asked[0], state.asked[1]);
    // A call takes time, so it may be a little later.
    assert!((state.asked[1] >> 80).abs_diff(2_000_000_000_000) < 60_000, "made of the server's time");
}

#[test]
fn nobody_at_the_address_is_a_transport_error_within_the_budget() {
    let error = run(async {
        let config = Config::new("http://127.0.0.1:1").retry(RetryPolicy::never());
        Client::connect(config).await.expect_err("nobody there")
    });
    assert!(matches!(error, Error::Transport { .. }), "{error}");
}

#[test]
fn a_raw_session_answers_everything_it_was_sent() {
    let fake = Fake::start();
    const COUNT: u64 = 5_000;
    run(async {
        let client = Client::lazy(config(&fake)).expect("a client");
        let mut session = client.raw_session(0).await.expect("open");
        assert_eq!(session.opened().max_in_flight, 64);
        for id in 1..=COUNT {
            let hold = client.ids().hold_id();
            let (hold_id_hi, hold_id_lo) = hold.halves();
            let hold = SessionHold { hold_id_hi, hold_id_lo, seats: vec![id as u32], ..SessionHold::default() };
            session.send(&SessionRequest { correlation_id: id, command: Some(Command::Hold(hold)), timeout_ms: 0 });
        }
        let mut answered = Vec::new();
        while (answered.len() as u64) < COUNT {
            let count = session.recv(|answer| answered.push((answer.correlation_id, answer.reason))).await;
            assert!(count.expect("no break").is_some());
        }
        answered.sort_unstable();
        assert!(answered.iter().zip(1..).all(|(answer, id)| *answer == (id, 0)));
    });
}
