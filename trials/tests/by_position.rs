//! The judge by position on logs and histories made by hand with the model: what is true is accepted, and each lie is
//! found.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

use std::sync::Arc;

use inventory_core::change::{Change, Confirmed, EventCreated, Held};
use inventory_core::command::Remainder;
use inventory_core::ids::{CustomerKey, EventId, HoldId, OrderRef, PlanDigest, TimestampMs};
use inventory_core::place::Seat;
use inventory_core::plan::{Area, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec};
use inventory_core::policy::Settings;
use trials::by_position::{Checked, Logged, check};
use trials::history::{Call, History, Id, Operation, Outcome, Told};

const START_MS: u64 = 1_000_000;
const TTL_MS: u64 = 3_600_000;
/// A version 7 id of the start, with the number in its last bits.
const fn id(number: u128) -> Id {
    Id((START_MS as u128) << 80 | 7 << 76 | 2 << 62 | number)
}

fn plan() -> Arc<Plan> {
    let at = |x| Point { x, y: 1_000 };
    let seat = |number: i32| SeatSpec {
        key: format!("S-1-{number}").into(),
        label: number.to_string().into(),
        at: at(number * 500),
        level: 0,
        attributes: 0,
        aisle_after: false,
    };
    let row = RowSpec { label: "1".into(), kind: RowKind::Row, seats: (0..10).map(seat).collect() };
    let spec = PlanSpec {
        name: "hall".into(),
        price_levels: vec!["All".into()],
        focal_point: Some(at(0)),
        sections: vec![SectionSpec { key: "S".into(), label: "S".into(), zone: None, rows: vec![row] }],
        areas: vec![Area {
            key: "Floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 0,
            capacity: 12,
            centre: at(0),
        }],
        ..PlanSpec::default()
    };
    Arc::new(Plan::build(&spec, PlanDigest([1; 32])).unwrap())
}

/// The log and the history of one sale: made, held by client 1, sold by client 1, read by client 2.
fn sale() -> (Vec<Logged>, History) {
    let created = EventCreated {
        id: EventId::parse("show").unwrap(),
        key: engine::event_key("show"),
        plan: PlanDigest([1; 32]),
        fingerprint: 0,
        settings: Settings::default(),
    };
    let held = Held {
        tags: Box::default(),
        hold_id: HoldId(id(1).0),
        fingerprint: 0,
        customer: CustomerKey::NONE,
        created_at: TimestampMs(START_MS + 10),
        expires_at: TimestampMs(START_MS + 10 + TTL_MS),
        attempts: 0,
        renewals: 0,
        replaced: None,
        arrangement: Default::default(),
        seats: vec![Seat { index: 3, ticket_type: 0 }].into(),
        admissions: Vec::new().into(),
    };
    let confirmed = Confirmed {
        attempt_id: None,
        expires_at: None,
        hold_id: HoldId(id(1).0),
        request: None,
        order: OrderRef::parse("o-1").unwrap(),
        seats: Vec::new().into(),
        admissions: Vec::new().into(),
        remainder: Remainder::Keep,
        reclaimed: false,
    };
    let changes = [
        (1, START_MS, Change::EventCreated(Box::new(created))),
        (2, START_MS + 10, Change::Held(held)),
        (3, START_MS + 20, Change::Confirmed(confirmed)),
    ];
    let log = changes.map(|(position, time, change)| Logged { position, time: TimestampMs(time), change }).to_vec();
    let held =
        Told::Held { seats: vec![3], floor: 0, expires_at_ms: START_MS + 10 + TTL_MS, arrangement: 0, replayed: false };
    let sold = Told::Confirmed { seats: vec![3], floor: 0, replayed: false };
    let confirm = Call::Confirm { hold: id(1), order: "o-1".to_owned(), part: None, release_rest: false };
    let operations = vec![
        operation(1, 10, hold(1), answered(2, 10, held)),
        operation(1, 20, confirm, answered(3, 20, sold)),
        operation(2, 30, hold(2), answered(3, 30, taken(3, 'S'))),
        operation(2, 40, Call::SeatMap, answered(3, 40, map("...S......"))),
    ];
    (log, History { event_id: "show".to_owned(), operations })
}

fn operation(client: u32, at_ns: u64, call: Call, outcome: Outcome) -> Operation {
    Operation { client, asked_ns: at_ns, ended_ns: at_ns + 5, call, outcome }
}

fn answered(position: u64, after_ms: u64, told: Told) -> Outcome {
    Outcome::Answered { position, server_time_ms: START_MS + after_ms, told }
}

fn hold(number: u128) -> Call {
    Call::Hold { hold: id(number), seats: vec![3], floor: 0, floor_min: 0, best: 0, replace: None, ttl_ms: TTL_MS }
}

fn taken(seat: u32, state: char) -> Told {
    let reason = "PLACES_UNAVAILABLE".to_owned();
    Told::Refused { reason, executed: false, seats: vec![(seat, state)], held_unpaid: 0 }
}

fn map(seats: &str) -> Told {
    Told::Map { seats: seats.to_owned(), floor: (12, 0, 0) }
}

/// Judges the sale after something in it was changed.
fn judged(change: impl FnOnce(&mut Vec<Logged>, &mut Vec<Operation>)) -> Result<Checked, String> {
    let (mut log, mut history) = sale();
    change(&mut log, &mut history.operations);
    check(&history, &log, &plan())
}

fn lie(change: impl FnOnce(&mut Vec<Logged>, &mut Vec<Operation>), word: &str) {
    let found = judged(change).expect_err("a lie");
    assert!(found.contains(word), "{found}");
}

#[test]
fn what_is_true_is_accepted() {
    let checked = judged(|_, _| {}).unwrap();
    assert_eq!((checked.changes, checked.answers), (3, 4));
}

#[test]
fn a_lost_acknowledgement_is_found() {
    let sale_alone = |log: &mut Vec<Logged>, operations: &mut Vec<Operation>| {
        log.pop();
        operations.truncate(2);
    };
    lie(sale_alone, "acknowledged and not in the log");
    lie(|log, _| drop(log.remove(1)), "the model says");
}

#[test]
fn an_effect_that_nobody_asked_for_is_found() {
    lie(|_, operations| drop(operations.remove(0)), "nobody asked for it");
}

#[test]
fn an_effect_of_what_was_not_done_is_found() {
    let not_done = Outcome::NotDone { reason: "OVERLOADED".to_owned() };
    lie(|_, operations| operations[1].outcome = not_done, "not done, and the log has it");
}

#[test]
fn an_unknown_outcome_is_what_the_log_says() {
    let unknown = || Outcome::Unknown { problem: "connection lost".to_owned() };
    let checked = judged(|_, operations| operations[1].outcome = unknown()).unwrap();
    assert_eq!((checked.unknown_done, checked.unknown_not_done), (1, 0));
    let checked = judged(|_, operations| operations[2].outcome = unknown()).unwrap();
    assert_eq!((checked.unknown_done, checked.unknown_not_done), (0, 1));
}

#[test]
fn an_answer_that_is_not_so_at_its_position_is_found() {
    lie(|_, operations| operations[3].outcome = answered(3, 40, map("...h......")), "the model has");
    lie(|_, operations| operations[2].outcome = answered(3, 30, taken(3, 'h')), "the model says");
    lie(|_, operations| operations[3].outcome = answered(2, 40, map("...S......")), "the model has");
}

#[test]
fn a_position_that_is_not_the_command_s_own_is_found() {
    let held = |operations: &mut Vec<Operation>| {
        if let Outcome::Answered { position, .. } = &mut operations[0].outcome {
            *position = 3;
        }
    };
    lie(|_, operations| held(operations), "told to two operations");
}

#[test]
fn time_that_runs_backwards_is_found() {
    // A map of before the sale, asked for after the sale had been answered.
    lie(|_, operations| operations[3].outcome = answered(2, 40, map("...h......")), "time runs backwards");
    // A hold that took effect before it was asked.
    let early = |operations: &mut Vec<Operation>| {
        let outcome = Outcome::Unknown { problem: "connection lost".to_owned() };
        operations[0] = operation(1, 80, hold(1), outcome);
    };
    lie(|_, operations| early(operations), "before it was asked");
}

#[test]
fn a_seat_held_twice_is_found() {
    let second = |log: &mut Vec<Logged>, operations: &mut Vec<Operation>| {
        let Change::Held(first) = log[1].change.clone() else { return };
        let twice = Held { hold_id: HoldId(id(2).0), ..first.clone() };
        log.insert(2, Logged { position: 3, time: TimestampMs(START_MS + 15), change: Change::Held(twice) });
        log[3].position = 4;
        operations.truncate(1);
        operations.push(operation(2, 15, hold(2), Outcome::Unknown { problem: "lost".to_owned() }));
    };
    lie(second, "the model says");
}
