//! What a slot knows after it went through an image: told by what it answers, not by its hash.
//!
//! Chance does this in `agree.rs`, in a quarter of its seeds; here stand the memories it reaches too rarely.

mod world;

use inventory_core::{
    command::{Command, Confirm, CreateEvent, Extend, Hold, Part, Release, Remainder, UpdateEvent},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, SlotIndex, TimestampMs},
    policy::{Policies, Settings},
    reject::Reject,
};
use model::Answer;
use world::{build, core::Core, house};

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
    }))
}

fn release(id: HoldId) -> Command {
    Command::Release(Box::new(Release { hold_id: id, request_id: None, part: Part::default() }))
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
