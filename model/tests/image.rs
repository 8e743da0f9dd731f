//! What a slot knows after it went through an image: told by what it answers, not by its hash.
//!
//! Chance does this in `agree.rs`, in a quarter of its seeds; here stand the memories it reaches too rarely.

mod world;

use inventory_core::{
    change::HoldState,
    command::{
        BeginPayment, Command, Confirm, CreateEvent, EndPayment, Extend, Hold, Part, PaymentOutcome, Release,
        Remainder, UpdateEvent,
    },
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, SlotIndex, TimestampMs},
    policy::{Policies, Settings},
    reject::Reject,
};
use model::Answer;
use world::{
    build,
    core::{Core, Raised},
    house,
};

const SLOT: u8 = 7;
const KEY: EventKey = EventKey(SLOT as u64);
const START: TimestampMs = TimestampMs(1_700_000_000_000);

fn uuid_v7(time: TimestampMs, low: u64) -> u128 {
    u128::from(time.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(low)
}

fn at(ms: u64) -> TimestampMs {
    START.plus_ms(ms)
}

fn hold_id(ms: u64) -> HoldId {
    HoldId(uuid_v7(at(ms), ms))
}

fn request_id(ms: u64) -> RequestId {
    RequestId(uuid_v7(at(ms), ms))
}

/// A core with one event on sale.
fn core(policies: Policies, tombstones_max: u32) -> Core {
    let mut core = Core::new(SlotIndex(SLOT), tombstones_max, 1);
    let create = CreateEvent {
        id: EventId::parse("concert").expect("a right id"),
        key: KEY,
        plan: build(&house(0), 0),
        settings: Settings { policies, ..Settings::default() },
    };
    let created = core.execute(START, KEY, &Command::CreateEvent(Box::new(create)));
    assert_eq!(created, Ok(Answer::Event { replayed: false }));
    core
}

fn hold(id: HoldId, seats: &[u32]) -> Command {
    Command::Hold(Box::new(Hold {
        hold_id: id,
        seats: seats.to_vec().into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey(5),
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }))
}

fn confirm(id: HoldId, seats: &[u32], order: &str, request: Option<u64>) -> Command {
    Command::Confirm(Box::new(Confirm {
        hold_id: id,
        request_id: request.map(request_id),
        order: OrderRef::parse(order).expect("printable"),
        part: Part { seats: seats.to_vec().into(), ..Part::default() },
        remainder: Remainder::Keep,
        allow_reclaim: false,
        attempt_id: None,
    }))
}

fn release(id: HoldId) -> Command {
    Command::Release(Box::new(Release { hold_id: id, request_id: None, part: Part::default(), abort_payment: false }))
}

fn begin(id: HoldId, attempt: u64) -> Command {
    Command::BeginPayment(BeginPayment { hold_id: id, attempt_id: request_id(attempt) })
}

fn end(id: HoldId, attempt: u64) -> Command {
    let outcome = PaymentOutcome::Failed;
    Command::EndPayment(EndPayment { hold_id: id, attempt_id: request_id(attempt), outcome })
}

/// Confirms all, also late, with the attempt that paid.
fn paid(id: HoldId, order: &str, attempt: u64) -> Command {
    Command::Confirm(Box::new(Confirm {
        hold_id: id,
        request_id: None,
        order: OrderRef::parse(order).expect("printable"),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: true,
        attempt_id: Some(request_id(attempt)),
    }))
}

/// State of the hold in the answer, and whether the command took effect before.
fn state_of(answer: &Result<Answer, Reject>) -> (HoldState, bool) {
    match answer {
        Ok(Answer::Hold { view, replayed }) => (view.state, *replayed),
        other => panic!("a hold, not {other:?}"),
    }
}

/// Asks after a restart from an image; the twin of `Core` is asked as well.
fn ask(core: &mut Core, ms: u64, command: &Command) -> Result<Answer, Reject> {
    core.fork();
    core.restart();
    core.advance(at(ms));
    core.execute(at(ms), KEY, command)
}

fn is_replay(answer: &Result<Answer, Reject>) -> bool {
    matches!(answer, Ok(Answer::Hold { replayed: true, .. } | Answer::Event { replayed: true }))
}

#[test]
fn which_order_came_last_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let id = hold_id(1);
    assert!(core.execute(at(1), KEY, &hold(id, &[0, 1, 2])).is_ok());
    // The first order comes again at the end: it is the last one, and not the last of the list.
    for (ms, seat, order) in [(2, 0, "A"), (3, 1, "B"), (4, 2, "A")] {
        assert!(core.execute(at(ms), KEY, &confirm(id, &[seat], order, Some(ms))).is_ok());
    }
    let answer = ask(&mut core, 5, &confirm(id, &[], "A", None));
    assert!(is_replay(&answer), "{answer:?}");
    let answer = ask(&mut core, 6, &confirm(id, &[], "B", None));
    assert_eq!(answer, Err(Reject::HoldAlreadyConfirmed { executed: false }));
}

#[test]
fn the_last_request_of_a_hold_is_remembered_also_when_it_has_ended() {
    let mut core = core(Policies::default(), 1_000);
    let id = hold_id(1);
    assert!(core.execute(at(1), KEY, &hold(id, &[0, 1])).is_ok());
    let extend = |ms| Command::Extend(Extend { hold_id: id, request_id: request_id(ms), ttl_ms: 700_000 });
    assert!(core.execute(at(2), KEY, &extend(2)).is_ok());
    let answer = ask(&mut core, 3, &extend(2));
    assert!(is_replay(&answer), "{answer:?}");
    let other = Command::Extend(Extend { hold_id: id, request_id: request_id(2), ttl_ms: 800_000 });
    assert_eq!(ask(&mut core, 3, &other), Err(Reject::RequestIdReused));
    assert_eq!(ask(&mut core, 4, &extend(1)), Err(Reject::RequestIdTooOld));
    // Sold in part under a request; then the rest ends, and the request is still known.
    let part = confirm(id, &[0], "A", Some(5));
    assert!(core.execute(at(5), KEY, &part).is_ok());
    assert!(core.execute(at(6), KEY, &release(id)).is_ok());
    let answer = ask(&mut core, 7, &part);
    assert!(is_replay(&answer), "{answer:?}");
}

#[test]
fn an_ended_hold_is_remembered_to_the_millisecond_and_then_forgotten() {
    let policies = Policies { retry_window_s: 60, ..Policies::default() };
    for ended in [release(hold_id(1)), Command::GetHold(hold_id(1))] {
        let mut core = core(policies.clone(), 1_000);
        let again = hold(hold_id(1), &[0]);
        assert!(core.execute(at(1), KEY, &again).is_ok());
        // Released at 2 ms, or expired after its ten minutes.
        let is_release = matches!(ended, Command::Release(_));
        let end = if is_release { 2 } else { 600_001 };
        core.advance(at(end));
        assert!(core.execute(at(end), KEY, &ended).is_ok());
        let dead = if is_release {
            Err(Reject::HoldReleased { executed: true })
        } else {
            Err(Reject::HoldExpired { executed: true, places_lost: Vec::new() })
        };
        assert_eq!(ask(&mut core, end + 59_999, &again), dead);
        // Nothing is known of it any more; its id is too old to be anything new.
        assert!(matches!(ask(&mut core, end + 60_001, &again), Err(Reject::HoldIdTooOld { .. })));
        assert_eq!(ask(&mut core, end + 60_002, &release(hold_id(1))), Err(Reject::HoldNotFound));
    }
}

#[test]
fn the_floor_of_forgotten_ids_is_remembered() {
    let mut core = core(Policies { retry_window_s: 86_400, ..Policies::default() }, 8);
    for ms in 1..=9 {
        let id = hold_id(ms);
        assert!(core.execute(at(ms), KEY, &hold(id, &[3])).is_ok());
        assert!(core.execute(at(ms), KEY, &release(id)).is_ok());
    }
    core.make_room(at(8_000));
    for dropped in [1, 2] {
        let refused = ask(&mut core, 9_000, &hold(hold_id(dropped), &[3]));
        assert!(matches!(refused, Err(Reject::HoldIdTooOld { .. })), "{refused:?}");
    }
    assert_eq!(ask(&mut core, 9_000, &hold(hold_id(9), &[3])), Err(Reject::HoldReleased { executed: true }));
}

#[test]
fn requests_of_operators_are_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let update = |name: &str| {
        let request_id = Some(request_id(3));
        Command::UpdateEvent(Box::new(UpdateEvent {
            request_id,
            display_name: Some(name.into()),
            ..UpdateEvent::default()
        }))
    };
    assert!(core.execute(at(3), KEY, &update("one")).is_ok());
    let answer = ask(&mut core, 4, &update("one"));
    assert!(is_replay(&answer), "{answer:?}");
    assert_eq!(ask(&mut core, 5, &update("two")), Err(Reject::RequestIdReused));
}

#[test]
fn what_a_customer_has_counts_after_an_image() {
    let mut core =
        core(Policies { places_per_customer_max: 2, holds_per_customer_max: 1, ..Policies::default() }, 1_000);
    let (first, second) = (hold_id(1), hold_id(2));
    assert!(core.execute(at(1), KEY, &hold(first, &[0])).is_ok());
    assert_eq!(ask(&mut core, 2, &hold(second, &[1])), Err(Reject::HoldQuota { holds_max: 1 }));
    // What is sold counts as places and no longer as a hold.
    assert!(ask(&mut core, 3, &confirm(first, &[], "A", None)).is_ok());
    assert!(ask(&mut core, 4, &hold(second, &[1])).is_ok());
    assert!(ask(&mut core, 5, &confirm(second, &[], "B", None)).is_ok());
    let refused = ask(&mut core, 6, &hold(hold_id(6), &[2]));
    assert!(matches!(refused, Err(Reject::CustomerLimit { .. })), "{refused:?}");
}

#[test]
fn every_payment_attempt_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let id = hold_id(1);
    assert!(core.execute(at(1), KEY, &hold(id, &[0, 1])).is_ok());
    for attempt in [2, 3] {
        assert!(core.execute(at(attempt), KEY, &begin(id, attempt)).is_ok());
        assert!(core.execute(at(attempt), KEY, &end(id, attempt)).is_ok());
    }
    for ended in [2, 3] {
        assert_eq!(state_of(&ask(&mut core, 4, &begin(id, ended))), (HoldState::Active, true));
    }
    assert_eq!(state_of(&ask(&mut core, 5, &begin(id, 5))), (HoldState::Paying, false));
    assert_eq!(state_of(&ask(&mut core, 6, &begin(id, 5))), (HoldState::Paying, true));
    assert_eq!(ask(&mut core, 6, &begin(id, 6)), Err(Reject::PaymentInProgress));
    for ended in [2, 3] {
        assert_eq!(state_of(&ask(&mut core, 7, &end(id, ended))), (HoldState::Paying, true));
    }
    assert_eq!(state_of(&ask(&mut core, 8, &end(id, 5))), (HoldState::Active, false));
    assert_eq!(ask(&mut core, 9, &begin(id, 9)), Err(Reject::PaymentAttemptsCap));
}

#[test]
fn attempts_of_a_replaced_hold_count_after_an_image() {
    let mut core = core(Policies { payment_attempts_max: 2, ..Policies::default() }, 1_000);
    let (old, new) = (hold_id(1), hold_id(4));
    assert!(core.execute(at(1), KEY, &hold(old, &[0])).is_ok());
    assert!(core.execute(at(2), KEY, &begin(old, 2)).is_ok());
    assert!(core.execute(at(3), KEY, &end(old, 2)).is_ok());
    let Command::Hold(mut replacing) = hold(new, &[0, 1]) else { panic!("a hold") };
    replacing.replace = Some(old);
    assert!(core.execute(at(4), KEY, &Command::Hold(replacing)).is_ok());
    // A name of the old hold is new to this one.
    assert_eq!(state_of(&ask(&mut core, 5, &begin(new, 2))), (HoldState::Paying, false));
    assert_eq!(state_of(&ask(&mut core, 6, &end(new, 2))), (HoldState::Active, false));
    assert_eq!(ask(&mut core, 7, &begin(new, 7)), Err(Reject::PaymentAttemptsCap));
}

#[test]
fn which_payment_was_the_last_to_buy_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let refused = Err(Reject::HoldAlreadyConfirmed { executed: false });
    let (with, without) = (hold_id(1), hold_id(2));
    for (id, seat) in [(with, 0), (without, 3)] {
        assert!(core.execute(at(3), KEY, &hold(id, &[seat])).is_ok());
        assert!(core.execute(at(3), KEY, &begin(id, 3)).is_ok());
    }
    assert!(core.execute(at(4), KEY, &paid(with, "A", 3)).is_ok());
    assert!(core.execute(at(4), KEY, &confirm(without, &[], "A", None)).is_ok());
    assert_eq!(state_of(&ask(&mut core, 5, &paid(with, "A", 3))), (HoldState::Confirmed, true));
    assert_eq!(ask(&mut core, 6, &paid(with, "A", 4)), refused);
    assert_eq!(ask(&mut core, 7, &confirm(with, &[], "A", None)), refused);
    assert_eq!(state_of(&ask(&mut core, 8, &confirm(without, &[], "A", None))), (HoldState::Confirmed, true));
    assert_eq!(ask(&mut core, 9, &paid(without, "A", 3)), refused);
}

#[test]
fn both_deadlines_of_a_paying_hold_are_remembered() {
    let mut core = core(Policies { payment_grace_s: 60, ..Policies::default() }, 1_000);
    let id = hold_id(1);
    assert!(core.execute(at(1), KEY, &hold(id, &[0])).is_ok());
    assert!(core.execute(at(2), KEY, &begin(id, 2)).is_ok());
    let get = Command::GetHold(id);
    assert_eq!(state_of(&ask(&mut core, 60_001, &get)), (HoldState::Paying, false));
    assert_eq!(state_of(&ask(&mut core, 60_002, &get)), (HoldState::Active, false));
    assert_eq!(state_of(&ask(&mut core, 600_000, &get)), (HoldState::Active, false));
    assert_eq!(state_of(&ask(&mut core, 600_001, &get)), (HoldState::Expired, false));
}

#[test]
fn places_of_a_late_payment_are_remembered_for_a_day() {
    let mut core = core(Policies { payment_grace_s: 60, retry_window_s: 60, ..Policies::default() }, 1_000);
    let day = 24 * 3_600_000;
    for (id, seat) in [(hold_id(1), 0), (hold_id(2), 3)] {
        assert!(core.execute(at(2), KEY, &hold(id, &[seat])).is_ok());
        assert!(core.execute(at(2), KEY, &begin(id, 3)).is_ok());
        assert!(core.execute(at(2), KEY, &end(id, 3)).is_ok());
    }
    // Both end after their ten minutes.
    let end = 600_002;
    assert_eq!(state_of(&ask(&mut core, end, &Command::GetHold(hold_id(1)))), (HoldState::Expired, false));
    assert_eq!(state_of(&ask(&mut core, end + day - 1, &paid(hold_id(1), "A", 3))), (HoldState::Confirmed, false));
    assert_eq!(ask(&mut core, end + day, &paid(hold_id(2), "A", 3)), Err(Reject::HoldNotFound));
    // What is sold stays.
    assert_eq!(state_of(&ask(&mut core, end + day, &paid(hold_id(1), "A", 3))), (HoldState::Confirmed, true));
}

#[test]
fn holds_that_were_paying_are_forgotten_last() {
    let mut core = core(Policies { retry_window_s: 86_400, ..Policies::default() }, 8);
    // The oldest two were paying.
    for ms in 1..=9 {
        let id = hold_id(ms);
        assert!(core.execute(at(ms), KEY, &hold(id, &[3])).is_ok());
        if ms <= 2 {
            assert!(core.execute(at(ms), KEY, &begin(id, ms)).is_ok());
            assert!(core.execute(at(ms), KEY, &end(id, ms)).is_ok());
        }
        assert!(core.execute(at(ms), KEY, &release(id)).is_ok());
    }
    let raised: Vec<bool> = core.make_room(at(8_000)).into_iter().map(|raised| raised.also_paid).collect();
    assert_eq!(raised, [false]);
    let executed = Err(Reject::HoldReleased { executed: true });
    assert_eq!(ask(&mut core, 9_000, &hold(hold_id(1), &[3])), executed);
    assert_eq!(ask(&mut core, 9_000, &hold(hold_id(2), &[3])), executed);
    for dropped in [3, 4] {
        let refused = ask(&mut core, 9_000, &hold(hold_id(dropped), &[3]));
        assert!(matches!(refused, Err(Reject::HoldIdTooOld { .. })), "{refused:?}");
    }
    assert_eq!(ask(&mut core, 9_000, &hold(hold_id(5), &[3])), executed);
}

#[test]
fn holds_that_were_paying_are_forgotten_when_there_are_no_others() {
    let mut core = core(Policies { retry_window_s: 86_400, ..Policies::default() }, 8);
    for ms in 1..=9 {
        let id = hold_id(ms);
        assert!(core.execute(at(ms), KEY, &hold(id, &[3])).is_ok());
        assert!(core.execute(at(ms), KEY, &begin(id, ms)).is_ok());
        assert!(core.execute(at(ms), KEY, &end(id, ms)).is_ok());
        assert!(core.execute(at(ms), KEY, &release(id)).is_ok());
    }
    let raised = core.make_room(at(8_000));
    assert_eq!(raised, [Raised { key: KEY, floor: at(2), also_paid: true, tombstones: 9 }]);
    assert!(matches!(ask(&mut core, 9_000, &hold(hold_id(2), &[3])), Err(Reject::HoldIdTooOld { .. })));
    assert_eq!(ask(&mut core, 9_000, &hold(hold_id(3), &[3])), Err(Reject::HoldReleased { executed: true }));
    assert_eq!(ask(&mut core, 9_000, &begin(hold_id(2), 2)), Err(Reject::HoldNotFound));
}
