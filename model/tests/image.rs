//! What a slot knows after it went through an image: told by what it answers, not by its hash.
//!
//! Chance does this in `agree`, in a quarter of its seeds; here stand the memories it reaches too rarely.

mod world;

use inventory_core::{
    change::HoldState,
    command::{
        AreaName, BeginPayment, Command, Confirm, CreateEvent, EndPayment, Extend, Hold, Part, PaymentOutcome, Release,
        Remainder, UpdateEvent,
    },
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, ReturnTo, Take},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, SlotIndex, TimestampMs},
    kill::{Kill, Unkill},
    place::{Moved, PlaceState},
    place_set::{AdmissionsNamed, PlaceSet},
    policy::{Policies, Settings},
    reject::{PlaceInTheWay, Reject},
    slot::Touched,
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
        allocations: Default::default(),
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
    for (ms, seat, order) in [(2, 0, "A"), (3, 1, "B")] {
        assert!(core.execute(at(ms), KEY, &confirm(id, &[seat], order, Some(ms))).is_ok());
    }
    assert!(core.execute(at(4), KEY, &confirm(id, &[], "A", None)).is_ok());
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

// ---- The house ----

fn named(seats: &[u32]) -> PlaceSet {
    PlaceSet { seats: seats.to_vec(), ..PlaceSet::default() }
}

fn kill(request: u64, seats: &[u32], reason: &str) -> Command {
    Command::Kill(Box::new(Kill {
        request_id: request_id(request),
        places: named(seats),
        reason: reason.into(),
        force: true,
        expected_state: None,
        validate_only: false,
    }))
}

fn unkill(request: u64, places: PlaceSet) -> Command {
    let request_id = request_id(request);
    Command::Unkill(Box::new(Unkill { request_id, places, expected_state: None, validate_only: false }))
}

fn sell(request: u64, seats: &[u32], order: &str) -> Command {
    Command::SellDirect(Box::new(SellDirect {
        request_id: request_id(request),
        order: OrderRef::parse(order).expect("printable"),
        places: NamedPlaces { seats: seats.to_vec().into(), ..NamedPlaces::default() },
        customer: CustomerKey(5),
        expected_state: None,
        validate_only: false,
    }))
}

fn give_back(request: u64, places: PlaceSet, order: &str) -> Command {
    Command::ReturnPlaces(Box::new(ReturnPlaces {
        request_id: request_id(request),
        order: OrderRef::parse(order).expect("printable"),
        places,
        to: ReturnTo::Origin,
        reason: "".into(),
        expected_state: None,
        validate_only: false,
    }))
}

fn exchange(request: u64, give: &[u32], take: Take, order: &str) -> Command {
    Command::Exchange(Box::new(Exchange {
        request_id: request_id(request),
        order: OrderRef::parse(order).expect("printable"),
        give: named(give),
        take,
        expected_state: None,
        validate_only: false,
    }))
}

fn floor(quantity: u32) -> PlaceSet {
    let admissions = vec![AdmissionsNamed { area: AreaName::Key("floor".into()), ticket_type: 0, quantity }];
    PlaceSet { admissions, ..PlaceSet::default() }
}

/// What is sold to an order, by hold.
fn order(core: &mut Core, ms: u64, order: &str) -> Vec<Vec<u32>> {
    match ask(core, ms, &Command::GetOrder(OrderRef::parse(order).expect("printable"))) {
        Ok(Answer::Order { parts }) => {
            parts.iter().map(|part| part.seats.iter().map(|seat| seat.index).collect()).collect()
        }
        Err(Reject::OrderNotFound) => Vec::new(),
        other => panic!("an order, not {other:?}"),
    }
}

fn touched(seats: &[u32], areas: &[(u16, u32)]) -> Result<Answer, Reject> {
    let touched = Touched { seats: seats.to_vec(), areas: areas.to_vec(), holds: Vec::new() };
    Ok(Answer::Touched { touched, replayed: false })
}

#[test]
fn what_was_killed_and_why_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    assert!(core.execute(at(1), KEY, &kill(1, &[1, 2], "smoke")).is_ok());
    assert!(core.execute(at(2), KEY, &kill(2, &[4], "camera")).is_ok());
    let mut places = floor(7);
    places.seats = vec![5];
    let stage = Kill {
        request_id: request_id(3),
        places,
        reason: "stage".into(),
        force: false,
        expected_state: None,
        validate_only: false,
    };
    assert!(core.execute(at(3), KEY, &Command::Kill(Box::new(stage))).is_ok());
    let refused = ask(&mut core, 4, &hold(hold_id(4), &[0, 1, 4]));
    assert!(matches!(refused, Err(Reject::PlacesUnavailable { places }) if places.len() == 2));
    let number = core.slot.find(KEY).expect("the event");
    let reasons: Vec<_> = (0..6).map(|seat| core.slot.event(number).expect("the event").kill_reason(seat)).collect();
    assert_eq!(reasons, [None, Some("smoke"), Some("smoke"), None, Some("camera"), Some("stage")]);
    assert_eq!(ask(&mut core, 5, &unkill(5, floor(8))), Err(Reject::CapacityInvalid));
    assert_eq!(ask(&mut core, 6, &unkill(6, floor(7))), touched(&[], &[(0, 7)]));
    assert_eq!(ask(&mut core, 7, &unkill(7, named(&[0, 1, 5]))), touched(&[1, 5], &[]));
    assert!(ask(&mut core, 8, &hold(hold_id(8), &[1, 5])).is_ok());
}

#[test]
fn which_places_a_hold_lost_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let (live, dead) = (hold_id(1), hold_id(2));
    assert!(core.execute(at(2), KEY, &hold(live, &[1, 2, 3])).is_ok());
    assert!(core.execute(at(2), KEY, &hold(dead, &[8, 9])).is_ok());
    assert!(core.execute(at(3), KEY, &kill(3, &[2, 9], "smoke")).is_ok());
    let lost = |seat, state| PlaceInTheWay { place: Moved::Seat(seat), state };
    let refused = |place| Err(Reject::PlacesUnavailable { places: vec![place] });
    assert_eq!(ask(&mut core, 4, &confirm(live, &[], "A", None)), refused(lost(2, PlaceState::Killed)));
    assert!(ask(&mut core, 5, &unkill(5, named(&[2]))).is_ok());
    assert_eq!(ask(&mut core, 6, &confirm(live, &[], "A", None)), refused(lost(2, PlaceState::Open)));
    let Ok(Answer::Hold { view, .. }) = ask(&mut core, 7, &confirm(live, &[1, 3], "A", Some(7))) else {
        panic!("it has these");
    };
    assert_eq!((view.state, view.places_lost), (HoldState::Confirmed, 1));
    let expired = ask(&mut core, 700_000, &paid(dead, "B", 1));
    let places_lost = vec![lost(9, PlaceState::Killed)];
    assert_eq!(expired, Err(Reject::HoldExpired { executed: false, places_lost }));
}

#[test]
fn which_place_was_sold_to_which_order_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let id = hold_id(1);
    assert!(core.execute(at(1), KEY, &hold(id, &[0, 1, 2, 3])).is_ok());
    for (ms, seat, order) in [(2, 0, "A"), (3, 1, "B"), (4, 2, "A")] {
        assert!(core.execute(at(ms), KEY, &confirm(id, &[seat], order, Some(ms))).is_ok());
    }
    assert!(core.execute(at(5), KEY, &sell(5, &[8], "A")).is_ok());
    assert_eq!(order(&mut core, 6, "A"), [vec![0, 2], vec![8]]);
    assert_eq!(order(&mut core, 6, "B"), [vec![1]]);
    let foreign = ask(&mut core, 7, &give_back(7, named(&[0, 1]), "A"));
    assert!(matches!(foreign, Err(Reject::NotThisOrder { places }) if places.len() == 1));
    assert_eq!(ask(&mut core, 8, &give_back(8, named(&[0]), "A")), touched(&[0], &[]));
    assert_eq!(order(&mut core, 9, "A"), [vec![2], vec![8]]);
    assert_eq!(ask(&mut core, 10, &give_back(10, PlaceSet::default(), "A")), touched(&[2, 8], &[]));
    assert!(order(&mut core, 11, "A").is_empty());
    assert_eq!(order(&mut core, 11, "B"), [vec![1]]);
    // It lives, and is sold to the first again.
    assert!(ask(&mut core, 12, &confirm(id, &[], "A", None)).is_ok());
    assert_eq!(order(&mut core, 13, "A"), [vec![3]]);
}

#[test]
fn a_sale_that_gave_all_back_is_remembered_as_long_as_an_ended_hold() {
    let mut core = core(Policies::default(), 1_000);
    let id = HoldId(request_id(1).0);
    assert!(core.execute(at(1), KEY, &sell(1, &[3], "A")).is_ok());
    assert!(core.execute(at(2), KEY, &give_back(2, PlaceSet::default(), "A")).is_ok());
    assert_eq!(state_of(&ask(&mut core, 3, &sell(1, &[3], "A"))), (HoldState::Confirmed, true));
    assert_eq!(ask(&mut core, 4, &sell(1, &[4], "A")), Err(Reject::RequestIdReused));
    assert_eq!(state_of(&ask(&mut core, 300_000, &Command::GetHold(id))), (HoldState::Confirmed, false));
    assert_eq!(ask(&mut core, 300_001, &Command::GetHold(id)), Err(Reject::HoldNotFound));
    assert_eq!(ask(&mut core, 300_001, &sell(1, &[3], "A")), Err(Reject::RequestIdTooOld));
}

#[test]
fn requests_of_the_house_are_remembered() {
    let mut core = core(Policies::default(), 1_000);
    let take = Take::Places(NamedPlaces { seats: vec![4].into(), ..NamedPlaces::default() });
    let done = [
        kill(1, &[1], "smoke"),
        unkill(2, named(&[1])),
        sell(3, &[2, 3], "A"),
        give_back(4, named(&[2]), "A"),
        exchange(5, &[3], take, "A"),
    ];
    for command in &done {
        assert!(core.execute(at(5), KEY, command).is_ok());
    }
    for command in &done {
        let answer = ask(&mut core, 6, command);
        let again = is_replay(&answer) || matches!(answer, Ok(Answer::Touched { replayed: true, .. }));
        assert!(again, "{answer:?}");
    }
    for reused in [kill(2, &[1], "smoke"), unkill(1, named(&[1])), give_back(5, named(&[2]), "A")] {
        assert_eq!(ask(&mut core, 7, &reused), Err(Reject::RequestIdReused));
    }
    assert_eq!(order(&mut core, 8, "A"), [vec![4]]);
}

#[test]
fn every_reason_there_was_is_remembered() {
    let mut core = core(Policies::default(), 1_000);
    for reason in 0..254 {
        assert!(core.execute(at(1_000), KEY, &kill(2 * reason, &[1], &format!("reason {reason}"))).is_ok());
        assert!(core.execute(at(1_000), KEY, &unkill(2 * reason + 1, named(&[1]))).is_ok());
    }
    assert_eq!(ask(&mut core, 1_001, &kill(900, &[1], "another")), Err(Reject::CapacityBudget));
    assert!(ask(&mut core, 1_001, &kill(900, &[1], "reason 7")).is_ok());
}
