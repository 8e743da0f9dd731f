//! Sessions over the wire.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::collections::HashMap;

use proto::inventory::v1::{self as wire, Executed, Reason, SessionRequest, SessionResponse, session_request::Command};
use support::{TestServer, floor, halves, hold_of, said, selected, set_of, soon};
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

/// One end of a Session.
struct Session {
    commands: Option<mpsc::UnboundedSender<SessionRequest>>,
    answers: Streaming<SessionResponse>,
    event_key: u64,
    next: u64,
}

/// Commands as a stream that ends when the sender is dropped.
fn stream(mut receiver: mpsc::UnboundedReceiver<SessionRequest>) -> impl futures_core::Stream<Item = SessionRequest> {
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}

impl Session {
    /// Without `open`.
    async fn raw(server: &TestServer) -> Result<Session, Status> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let answers = server.sale.clone().session(stream(receiver)).await?.into_inner();
        let event_key = server.event("show").await.event_key;
        Ok(Session { commands: Some(commands), answers, event_key, next: 1 })
    }

    async fn open(server: &TestServer) -> Session {
        let mut session = Session::raw(server).await.unwrap();
        session.send(Command::Open(wire::SessionOpen { client: "test".into(), ..Default::default() }));
        let opened = session.answer().await.unwrap().opened.unwrap();
        assert_eq!((opened.max_in_flight, opened.limits.unwrap().message_bytes_max), (4_096, 65_536));
        session
    }

    fn send(&mut self, command: Command) -> u64 {
        let correlation_id = self.next;
        self.next += 1;
        self.send_raw(SessionRequest { correlation_id, timeout_ms: 0, command: Some(command) });
        correlation_id
    }

    fn send_raw(&mut self, request: SessionRequest) {
        self.commands.as_ref().unwrap().send(request).unwrap();
    }

    async fn answer(&mut self) -> Result<SessionResponse, Status> {
        soon(self.answers.message()).await.map(|answer| answer.expect("the stream ended"))
    }

    async fn ask(&mut self, command: Command) -> SessionResponse {
        let correlation_id = self.send(command);
        let answer = self.answer().await.unwrap();
        assert_eq!(answer.correlation_id, correlation_id);
        answer
    }

    fn hold(&self, id: &str, seats: &[u32]) -> Command {
        let (hold_id_hi, hold_id_lo) = halves(id);
        let event_key = self.event_key;
        Command::Hold(wire::SessionHold {
            event_key,
            hold_id_hi,
            hold_id_lo,
            seats: seats.to_vec(),
            ..Default::default()
        })
    }

    fn confirm(&self, id: &str, order_ref: &str) -> Command {
        let (hold_id_hi, hold_id_lo) = halves(id);
        let (event_key, order_ref) = (self.event_key, order_ref.to_owned());
        Command::Confirm(wire::SessionConfirm { event_key, hold_id_hi, hold_id_lo, order_ref, ..Default::default() })
    }
}

#[tokio::test]
async fn a_session_does_what_calls_do() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let (a, b) = (server.id(), server.id());
    let held = session.ask(session.hold(&a, &[1, 2])).await;
    assert_eq!((held.reason(), held.seats.as_slice(), held.expires_in_ms), (Reason::Unspecified, &[1, 2][..], 600_000));
    assert!(held.position > 0 && held.server_time_ms > 0);
    let sold = session.ask(session.confirm(&a, "o")).await;
    assert_eq!((sold.reason(), sold.seats.as_slice(), sold.expires_at_ms), (Reason::Unspecified, &[1, 2][..], 0));
    assert!(session.ask(session.confirm(&a, "o")).await.replayed);

    session.ask(session.hold(&b, &[3])).await;
    let (hold_id_hi, hold_id_lo) = halves(&b);
    let (request_id_hi, request_id_lo) = halves(&server.id());
    let event_key = session.event_key;
    let extend =
        wire::SessionExtend { event_key, hold_id_hi, hold_id_lo, ttl_ms: 700_000, request_id_hi, request_id_lo };
    assert_eq!(session.ask(Command::Extend(extend)).await.expires_in_ms, 700_000);
    let get = wire::SessionGetHold { event_key, hold_id_hi, hold_id_lo, min_position: 0 };
    let hold = session.ask(Command::GetHold(get)).await.hold.unwrap();
    assert_eq!((hold.event_id.as_str(), hold.hold_id, hold.seats), ("show", b.clone(), vec![3]));
    let release = wire::SessionRelease { event_key, hold_id_hi, hold_id_lo, ..Default::default() };
    assert_eq!(session.ask(Command::Release(release)).await.reason(), Reason::Unspecified);
    assert_eq!(server.get_hold("show", &b).await.unwrap().state(), wire::HoldState::Released);
    server.stop().await;
}

#[tokio::test]
async fn a_payment_on_a_session_is_that_of_calls() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let event_key = session.event_key;
    let id = server.id();
    let held = session.ask(session.hold(&id, &[1, 2])).await;
    assert_eq!((held.expires_in_ms, held.payment_deadline_ms), (600_000, 0));
    let (hold_id_hi, hold_id_lo) = halves(&id);
    let begin = |attempt: &str| {
        let (attempt_id_hi, attempt_id_lo) = halves(attempt);
        wire::SessionBeginPayment { event_key, hold_id_hi, hold_id_lo, attempt_id_hi, attempt_id_lo }
    };
    let end = |attempt: &str| {
        let (attempt_id_hi, attempt_id_lo) = halves(attempt);
        let outcome = wire::PaymentOutcome::Abandoned as i32;
        wire::SessionEndPayment { event_key, hold_id_hi, hold_id_lo, attempt_id_hi, attempt_id_lo, outcome }
    };
    let confirm = |attempt: &str| {
        let (attempt_id_hi, attempt_id_lo) = halves(attempt);
        let order_ref = "order-1".to_owned();
        let names = wire::SessionConfirm { event_key, hold_id_hi, hold_id_lo, order_ref, ..Default::default() };
        Command::Confirm(wire::SessionConfirm { attempt_id_hi, attempt_id_lo, ..names })
    };
    let (first, second) = (server.id(), server.id());
    let begun = session.ask(Command::BeginPayment(begin(&first))).await;
    assert_eq!((begun.reason(), begun.payment_deadline_ms), (Reason::Unspecified, begun.server_time_ms + 900_000));
    assert_eq!((begun.expires_at_ms, begun.expires_in_ms), (begun.server_time_ms + 600_000, 900_000));
    assert!(begun.position > held.position && session.ask(Command::BeginPayment(begin(&first))).await.replayed);
    let refused = session.ask(Command::BeginPayment(begin(&second))).await;
    assert_eq!((refused.reason(), refused.executed()), (Reason::PaymentInProgress, Executed::False));
    let release = wire::SessionRelease { event_key, hold_id_hi, hold_id_lo, ..Default::default() };
    assert_eq!(session.ask(Command::Release(release.clone())).await.reason(), Reason::PaymentInProgress);
    let get = wire::SessionGetHold { event_key, hold_id_hi, hold_id_lo, min_position: 0 };
    let hold = session.ask(Command::GetHold(get)).await.hold.unwrap();
    assert_eq!((hold.state(), hold.payment_attempts_left), (wire::HoldState::Paying, 2));

    let misshapen = wire::SessionBeginPayment { attempt_id_hi: 0, attempt_id_lo: 0, ..begin(&first) };
    let refused = session.ask(Command::BeginPayment(misshapen)).await;
    assert_eq!((refused.reason(), refused.field.as_str()), (Reason::RequestIdInvalid, "attempt_id"));
    let misshapen = wire::SessionEndPayment { attempt_id_lo: 1, ..end(&first) };
    let refused = session.ask(Command::EndPayment(misshapen)).await;
    assert_eq!((refused.reason(), refused.field.as_str()), (Reason::RequestIdInvalid, "attempt_id"));
    let misshapen = wire::SessionEndPayment { outcome: 0, ..end(&first) };
    let refused = session.ask(Command::EndPayment(misshapen)).await;
    assert_eq!((refused.reason(), refused.field.as_str()), (Reason::ValidationFailed, "outcome"));

    let ended = session.ask(Command::EndPayment(end(&first))).await;
    assert_eq!((ended.reason(), ended.payment_deadline_ms, ended.expires_in_ms), (Reason::Unspecified, 0, 600_000));
    session.ask(Command::BeginPayment(begin(&second))).await;
    let sold = session.ask(confirm(&second)).await;
    assert_eq!((sold.reason(), sold.seats.as_slice(), sold.payment_deadline_ms), (Reason::Unspecified, &[1, 2][..], 0));
    assert!(session.ask(confirm(&second)).await.replayed);
    let late = session.ask(confirm(&first)).await;
    assert_eq!((late.reason(), late.refund_due), (Reason::HoldAlreadyConfirmed, true));

    // An abort.
    let id = server.id();
    session.ask(session.hold(&id, &[3])).await;
    let (hold_id_hi, hold_id_lo) = halves(&id);
    session.ask(Command::BeginPayment(wire::SessionBeginPayment { hold_id_hi, hold_id_lo, ..begin(&first) })).await;
    let abort = wire::SessionRelease { hold_id_hi, hold_id_lo, abort_payment: true, ..release };
    let released = session.ask(Command::Release(abort)).await;
    assert_eq!((released.reason(), released.expires_in_ms, released.payment_deadline_ms), (Reason::Unspecified, 0, 0));
    assert_eq!(server.get_hold("show", &id).await.unwrap().state(), wire::HoldState::Released);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_allocations_open_on_a_session_what_they_open_in_calls() {
    let server = TestServer::with_show().await;
    let places = wire::PlaceSet { ga: vec![floor(2)], ..selected(&["S/A/1-4"]).unwrap() };
    server.set_allocation(set_of(&server.id(), "fans", Some(places))).await.unwrap();
    let mut session = Session::open(&server).await;
    let id = server.id();
    let without = session.ask(session.hold(&id, &[3, 4])).await;
    assert_eq!((without.reason(), without.executed()), (Reason::NotInAllocation, Executed::False));
    let states = vec![wire::PlaceState::Unavailable as i32];
    assert_eq!((without.seats.as_slice(), without.states), (&[3][..], states));

    // Three seats of the allocation in one row, then one of it with one of general sale.
    let of_key = |id: &str, include_unallocated: bool, quantity: u32| {
        let (hold_id_hi, hold_id_lo) = halves(id);
        let best = wire::BestAvailable { quantity, seats_only: true, ..Default::default() };
        Command::Hold(wire::SessionHold {
            event_key: session.event_key,
            hold_id_hi,
            hold_id_lo,
            best_available: Some(Box::new(best)),
            allocation_keys: vec!["fans".into(), "unknown".into()],
            include_unallocated,
            ..Default::default()
        })
    };
    let (fits, lacks, both) =
        (of_key(&server.id(), false, 3), of_key(&server.id(), false, 2), of_key(&server.id(), true, 2));
    assert_eq!(session.ask(fits).await.seats.iter().filter(|&&seat| seat < 4).count(), 3);
    assert_eq!(session.ask(lacks).await.reason(), Reason::NotEnoughPlaces);
    assert_eq!(session.ask(both).await.reason(), Reason::Unspecified);

    // A batch in columns is of general sale.
    let batch = wire::SessionHoldBatch {
        event_key: session.event_key,
        hold_ids: columns(&[server.id(), server.id()]),
        seat_counts: vec![1, 1],
        seats: vec![3, 19],
        ..Default::default()
    };
    let answer = session.ask(Command::HoldBatch(batch)).await.batch.unwrap();
    assert_eq!(answer.reasons.len(), 2);
    assert_ne!(answer.reasons[0], 0);
    assert_eq!(answer.reasons[1], 0);
    server.stop().await;
}

#[tokio::test]
async fn half_closed_it_answers_everything_and_ends_well() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    for seat in 0..20 {
        let id = server.id();
        session.send(session.hold(&id, &[seat]));
        session.send(session.confirm(&id, "o"));
    }
    session.commands = None;
    let mut answered = 0;
    while let Some(answer) = soon(session.answers.message()).await.unwrap() {
        assert_eq!(answer.reason(), Reason::Unspecified);
        answered += 1;
    }
    assert_eq!(answered, 40);
    assert_eq!(server.event("show").await.counts.unwrap().sold, 20);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_never_ends_the_stream_and_says_why() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let id = server.id();
    session.ask(session.hold(&id, &[1])).await;
    let taken = session.ask(session.hold(&server.id(), &[0, 1])).await;
    assert_eq!((taken.reason(), taken.executed()), (Reason::PlacesUnavailable, Executed::False));
    assert_eq!((taken.seats.as_slice(), taken.states().next()), (&[1][..], Some(wire::PlaceState::Held)));

    let twice = session.ask(session.hold(&server.id(), &[4, 4])).await;
    assert_eq!((twice.reason(), twice.field.as_str()), (Reason::DuplicateSeat, "seats[1]"));
    assert!(!twice.problem.is_empty());
    let Command::Hold(hold) = session.hold(&server.id(), &[4]) else { unreachable!() };
    let no_event = wire::SessionHold { event_key: 1, ..hold.clone() };
    assert_eq!(session.ask(Command::Hold(no_event)).await.reason(), Reason::EventNotFound);
    let bad_id = wire::SessionHold { hold_id_hi: 0, hold_id_lo: 0, ..hold.clone() };
    assert_eq!(session.ask(Command::Hold(bad_id)).await.reason(), Reason::HoldIdInvalid);
    let area = wire::GaItem { area_key: "Floor".into(), quantity: 1, ..Default::default() };
    let by_key = session.ask(Command::Hold(wire::SessionHold { ga: vec![area], ..hold })).await;
    assert_eq!((by_key.reason(), by_key.field.as_str()), (Reason::ValidationFailed, "ga[0].area_key"));
    let unknown = session.ask(session.confirm(&server.id(), "o")).await;
    assert_eq!((unknown.reason(), unknown.refund_due), (Reason::HoldNotFound, true));
    let again = session.ask(Command::Open(wire::SessionOpen::default())).await;
    assert_eq!(again.reason(), Reason::ValidationFailed);

    // No command, or one of a later version; no correlation id.
    session.send_raw(SessionRequest { correlation_id: 77, timeout_ms: 0, command: None });
    let answer = session.answer().await.unwrap();
    assert_eq!((answer.correlation_id, answer.reason()), (77, Reason::ValidationFailed));
    let nameless = session.hold(&server.id(), &[5]);
    session.send_raw(SessionRequest { correlation_id: 0, timeout_ms: 0, command: Some(nameless) });
    assert_eq!(session.answer().await.unwrap().field, "correlation_id");
    assert_eq!(session.ask(session.hold(&server.id(), &[6])).await.reason(), Reason::Unspecified);
    server.stop().await;
}

#[tokio::test]
async fn the_first_message_must_open() {
    let server = TestServer::with_show().await;
    let mut session = Session::raw(&server).await.unwrap();
    session.send(session.hold(&server.id(), &[1]));
    let status = session.answer().await.unwrap_err();
    let refused = said(&status);
    assert_eq!(
        (status.code(), refused.reason.as_str(), refused.fields),
        (Code::InvalidArgument, "VALIDATION_FAILED", vec!["open".to_owned()])
    );

    let mut session = Session::raw(&server).await.unwrap();
    session.send(Command::Open(wire::SessionOpen { incarnation: 99, ..Default::default() }));
    assert_eq!(said(&session.answer().await.unwrap_err()).reason, "INSTANCE_CHANGED");
    server.stop().await;
}

#[tokio::test]
async fn an_over_long_message_ends_it_after_what_was_accepted_is_answered() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let first = session.send(session.hold(&server.id(), &[1]));
    session.send(session.hold(&server.id(), &(0..70_000).collect::<Vec<_>>()));
    assert_eq!(session.answer().await.unwrap().correlation_id, first);
    let status = session.answer().await.unwrap_err();
    assert_eq!((status.code(), said(&status).reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    server.stop().await;
}

#[tokio::test]
async fn more_commands_than_slots_are_all_answered_once() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    // Three times the slots, all sent before the first answer is read: one hold and its repetitions.
    let id = server.id();
    for _ in 0..12_288 {
        session.send(session.hold(&id, &[1]));
    }
    let mut seen: HashMap<u64, u32> = HashMap::new();
    let mut replayed = 0;
    for _ in 0..12_288 {
        let answer = session.answer().await.unwrap();
        assert_eq!(answer.reason(), Reason::Unspecified);
        *seen.entry(answer.correlation_id).or_default() += 1;
        replayed += u32::from(answer.replayed);
    }
    assert!(seen.values().all(|times| *times == 1));
    assert_eq!((seen.len(), replayed), (12_288, 12_287));
    server.stop().await;
}

#[tokio::test]
async fn a_fourth_session_of_one_connection_is_refused() {
    let server = TestServer::with_show().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(Session::open(&server).await);
    }
    let status = Session::raw(&server).await.map(drop).unwrap_err();
    assert_eq!((status.code(), said(&status).reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    // One that ends makes room.
    let mut ended = sessions.pop().unwrap();
    ended.commands = None;
    assert!(soon(ended.answers.message()).await.unwrap().is_none());
    Session::open(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_answers_what_it_took() {
    let mut server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let id = server.id();
    session.ask(session.hold(&id, &[1])).await;
    let running = server.running.take().unwrap();
    let (stopped, ()) = tokio::join!(running.stop(), async {
        let away = session.answer().await.unwrap();
        assert!(away.going_away && away.correlation_id == 0);
        // The stream ends by itself when everything is answered.
        assert_eq!(said(&session.answer().await.unwrap_err()).reason, "DRAINING");
    });
    stopped.unwrap();
    // The hold is there after the next start.
    let TestServer { folder, clock, .. } = server;
    let server = TestServer::over(folder, clock).await;
    assert!(server.hold(hold_of("show", &id, &[1])).await.unwrap().replayed);
    server.stop().await;
}

/// Both halves of each id, one behind the other.
fn columns(ids: &[String]) -> Vec<u64> {
    ids.iter().flat_map(|id| <[u64; 2]>::from(halves(id))).collect()
}

#[tokio::test]
async fn a_batch_is_judged_one_by_one_and_answered_in_columns() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let event_key = session.event_key;
    let ids: Vec<String> = (0..4).map(|_| server.id()).collect();
    // The third asks for a seat of the first; the fourth is no UUID of version 7.
    let mut hold_ids = columns(&ids);
    hold_ids[6] = 0;
    let batch = wire::SessionHoldBatch {
        event_key,
        hold_ids,
        seat_counts: vec![2, 1, 1, 1],
        seats: vec![1, 2, 3, 2, 4],
        ..Default::default()
    };
    let answer = session.ask(Command::HoldBatch(batch.clone())).await;
    let held = answer.batch.clone().unwrap();
    let refused = [0, 0, Reason::PlacesUnavailable as i32, Reason::HoldIdInvalid as i32];
    assert_eq!((answer.reason(), held.reasons.as_slice()), (Reason::Unspecified, &refused[..]));
    assert_eq!((held.expires_at_ms[0] > answer.server_time_ms, held.expires_at_ms[2]), (true, 0));
    assert!(held.executed.is_empty() && held.replayed.is_empty() && answer.position > 0, "{answer:?}");

    // Sent again it is the same holds.
    let again = session.ask(Command::HoldBatch(batch)).await.batch.unwrap();
    assert_eq!((again.reasons.as_slice(), again.replayed.as_slice()), (&refused[..], &[0, 1][..]));
    assert_eq!(again.expires_at_ms, held.expires_at_ms);

    // One is sold, one given back, one is not known: money taken for it is owed back.
    let resolve = wire::SessionResolveBatch {
        event_key,
        hold_ids: columns(&ids[..3]),
        order_refs: vec!["o-1".into(), String::new(), "o-3".into()],
    };
    let resolved = session.ask(Command::ResolveBatch(resolve)).await.batch.unwrap();
    assert_eq!(resolved.reasons, [0, 0, Reason::HoldNotFound as i32]);
    assert!(resolved.expires_at_ms.is_empty());
    let counts = server.event("show").await.counts.unwrap();
    assert_eq!((counts.sold, counts.held), (2, 0));
    assert_eq!(server.get_hold("show", &ids[1]).await.unwrap().state(), wire::HoldState::Released);

    // Where all are done and end together, one number says so.
    let more: Vec<String> = (0..3).map(|_| server.id()).collect();
    let (hold_ids, seat_counts) = (columns(&more), vec![1; 3]);
    let batch = wire::SessionHoldBatch { event_key, hold_ids, seat_counts, seats: vec![5, 6, 7], ..Default::default() };
    let held = session.ask(Command::HoldBatch(batch)).await.batch.unwrap();
    assert_eq!((held.reasons.len(), held.expires_at_ms.len()), (0, 1));
    server.stop().await;
}

#[tokio::test]
async fn columns_that_do_not_fit_refuse_the_whole_batch() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let event_key = session.event_key;
    let good = wire::SessionHoldBatch {
        event_key,
        hold_ids: columns(&[server.id(), server.id()]),
        seat_counts: vec![1, 1],
        seats: vec![1, 2],
        ..Default::default()
    };
    let wrong = |change: fn(&mut wire::SessionHoldBatch)| {
        let mut batch = good.clone();
        change(&mut batch);
        Command::HoldBatch(batch)
    };
    let cases = [
        (wrong(|batch| batch.hold_ids.truncate(3)), "hold_ids"),
        (wrong(|batch| batch.hold_ids.clear()), "hold_ids"),
        (wrong(|batch| batch.seat_counts.truncate(1)), "seat_counts"),
        (wrong(|batch| batch.seats.push(9)), "seats"),
        (wrong(|batch| batch.seat_counts = vec![u32::MAX, u32::MAX]), "seats"),
        (wrong(|batch| batch.customer_keys.push(9)), "customer_keys"),
    ];
    for (command, field) in cases {
        let answer = session.ask(command).await;
        assert_eq!((answer.reason(), answer.field.as_str()), (Reason::ValidationFailed, field));
        assert!(answer.batch.is_none());
    }
    let too_many = wire::SessionResolveBatch { event_key, hold_ids: vec![1; 2 * 4_097], order_refs: Vec::new() };
    // It is longer than a message may be as well: a batch meets that bound first when its ids are spread out.
    assert!(prost::Message::encoded_len(&too_many) > 65_536);
    let command = Command::ResolveBatch(wire::SessionResolveBatch { hold_ids: vec![1; 2 * 4_000], ..too_many });
    let answer = session.ask(command).await;
    assert_eq!(answer.batch.unwrap().reasons, vec![Reason::HoldIdInvalid as i32; 4_000]);
    assert_eq!(server.event("show").await.counts.unwrap().held, 0);
    server.stop().await;
}

#[tokio::test]
async fn batches_beyond_the_reply_slots_wait_and_lose_nothing() {
    let server = TestServer::with_show().await;
    let mut session = Session::open(&server).await;
    let event_key = session.event_key;
    for _ in 0..8 {
        let ids: Vec<String> = (0..1_500).map(|_| server.id()).collect();
        let batch = wire::SessionHoldBatch {
            event_key,
            hold_ids: columns(&ids),
            seat_counts: vec![1; ids.len()],
            seats: vec![1; ids.len()],
            ..Default::default()
        };
        session.send(Command::HoldBatch(batch));
    }
    session.commands = None;
    let (mut answered, mut done) = (0, 0);
    while let Some(answer) = soon(session.answers.message()).await.unwrap() {
        let reasons = answer.batch.unwrap().reasons;
        answered += reasons.len();
        done += reasons.iter().filter(|reason| **reason == 0).count();
    }
    assert_eq!((answered, done), (12_000, 1), "one seat, one hold");
    server.stop().await;
}
