//! The search on histories made by hand: what could have been is accepted, what could not is not.

use trials::history::{Call, History, HoldTold, Id, Operation, Outcome, Part, Phase, Told};
use trials::linear::{Verdict, check};

const LONG_MS: u64 = 3_600_000;
const SHORT_MS: u64 = 2_000;

/// A history in the making. Times are in milliseconds.
struct Story {
    operations: Vec<Operation>,
}

impl Story {
    fn new() -> Self {
        Self { operations: Vec::new() }
    }

    fn say(mut self, client: u32, from_ms: u64, to_ms: u64, call: Call, outcome: Outcome) -> Self {
        let (asked_ns, ended_ns) = (from_ms * 1_000_000, to_ms * 1_000_000);
        self.operations.push(Operation { client, asked_ns, ended_ns, call, outcome });
        self
    }

    fn told(self, client: u32, from_ms: u64, to_ms: u64, call: Call, told: Told) -> Self {
        // Positions are nonsense on purpose: nobody may look at them.
        let outcome = Outcome::Answered { position: 77, server_time_ms: 5, told };
        self.say(client, from_ms, to_ms, call, outcome)
    }

    fn unknown(self, client: u32, from_ms: u64, to_ms: u64, call: Call) -> Self {
        self.say(client, from_ms, to_ms, call, Outcome::Unknown { problem: "connection lost".to_owned() })
    }

    fn verdict(self) -> Verdict {
        check(&History { event_id: "show".to_owned(), operations: self.operations })
    }

    fn accepted(self) {
        assert_eq!(self.verdict(), Verdict::Linearizable);
    }

    fn rejected(self) {
        let verdict = self.verdict();
        assert!(matches!(verdict, Verdict::Violated(_)), "{verdict:?}");
    }
}

fn id(number: u128) -> Id {
    Id(number)
}

fn hold(number: u128, seats: &[u32]) -> Call {
    Call::Hold {
        hold: id(number),
        seats: seats.to_vec(),
        floor: 0,
        floor_min: 0,
        best: 0,
        replace: None,
        ttl_ms: LONG_MS,
    }
}

fn replace(number: u128, old: u128, seats: &[u32]) -> Call {
    Call::Hold {
        hold: id(number),
        seats: seats.to_vec(),
        floor: 0,
        floor_min: 0,
        best: 0,
        replace: Some(id(old)),
        ttl_ms: LONG_MS,
    }
}

fn best(number: u128, best: u32) -> Call {
    let (hold, ttl_ms) = (id(number), LONG_MS);
    Call::Hold { hold, seats: Vec::new(), floor: 0, floor_min: 0, best, replace: None, ttl_ms }
}

fn floor(number: u128, floor: u32, floor_min: u32) -> Call {
    let (hold, ttl_ms) = (id(number), LONG_MS);
    Call::Hold { hold, seats: Vec::new(), floor, floor_min, best: 0, replace: None, ttl_ms }
}

fn confirm(number: u128, order: &str) -> Call {
    Call::Confirm { hold: id(number), order: order.to_owned(), part: None, release_rest: false }
}

fn release(number: u128) -> Call {
    Call::Release { hold: id(number), part: None }
}

fn extend(number: u128, request: u128) -> Call {
    Call::Extend { hold: id(number), request: id(request), ttl_ms: LONG_MS }
}

fn held(seats: &[u32]) -> Told {
    held_as(seats, 0, 100, false)
}

fn held_as(seats: &[u32], floor: u32, expires_at_ms: u64, replayed: bool) -> Told {
    Told::Held { seats: seats.to_vec(), floor, expires_at_ms, arrangement: 0, replayed }
}

fn sold(seats: &[u32]) -> Told {
    Told::Confirmed { seats: seats.to_vec(), floor: 0, replayed: false }
}

const RELEASED: Told = Told::Released { replayed: false };

fn refused(reason: &str, executed: bool, seats: &[(u32, char)]) -> Told {
    Told::Refused { reason: reason.to_owned(), executed, seats: seats.to_vec(), held_unpaid: 0 }
}

fn not_enough(held_unpaid: u32) -> Told {
    Told::Refused { reason: "NOT_ENOUGH_PLACES".to_owned(), executed: false, seats: Vec::new(), held_unpaid }
}

/// All open but these.
fn map(taken: &[(u32, char)], floor: (u32, u32, u32)) -> Told {
    let letter = |seat| taken.iter().find(|(one, _)| *one == seat).map_or('.', |(_, letter)| *letter);
    Told::Map { seats: (0..40).map(letter).collect(), floor }
}

fn read(phase: Phase, seats: &[u32], sold: &[u32]) -> Told {
    Told::Hold(HoldTold {
        phase,
        seats: seats.to_vec(),
        floor: 0,
        sold_seats: sold.to_vec(),
        sold_floor: 0,
        created_at_ms: 1,
        expires_at_ms: 100,
        ended_at_ms: 0,
        renewals_left: 3,
        orders: if sold.is_empty() { Vec::new() } else { vec!["a".to_owned()] },
        cause: match phase {
            Phase::Active => 0,
            Phase::Confirmed | Phase::Released => 1,
            Phase::Expired => 3,
        },
    })
}

#[test]
fn one_after_the_other_is_accepted() {
    Story::new()
        .told(1, 0, 1, hold(1, &[3, 4]), held(&[3, 4]))
        .told(2, 2, 3, hold(2, &[4, 5]), refused("PLACES_UNAVAILABLE", false, &[(4, 'h')]))
        .told(1, 4, 5, confirm(1, "a"), sold(&[3, 4]))
        .told(2, 6, 7, Call::SeatMap, map(&[(3, 'S'), (4, 'S')], (12, 0, 0)))
        .told(1, 8, 9, Call::GetHold { hold: id(1) }, read(Phase::Confirmed, &[], &[3, 4]))
        .accepted();
}

#[test]
fn at_the_same_time_either_may_win() {
    let both = |first: Told, second: Told| {
        Story::new().told(1, 0, 9, hold(1, &[3]), first).told(2, 0, 9, hold(2, &[3]), second)
    };
    let lost = || refused("PLACES_UNAVAILABLE", false, &[(3, 'h')]);
    both(held(&[3]), lost()).accepted();
    both(lost(), held(&[3])).accepted();
    both(lost(), lost()).rejected();
}

#[test]
fn a_seat_sold_twice_is_rejected() {
    Story::new().told(1, 0, 5, hold(1, &[3]), held(&[3])).told(2, 0, 5, hold(2, &[3]), held(&[3])).rejected();
    Story::new()
        .told(1, 0, 1, hold(1, &[3]), held(&[3]))
        .told(1, 2, 3, confirm(1, "a"), sold(&[3]))
        .told(2, 4, 5, hold(2, &[3]), held(&[3]))
        .rejected();
}

#[test]
fn a_lost_acknowledgement_is_rejected() {
    Story::new().told(1, 0, 1, hold(1, &[3]), held(&[3])).told(2, 2, 3, Call::SeatMap, map(&[], (12, 0, 0))).rejected();
    Story::new()
        .told(1, 0, 1, hold(1, &[3]), held(&[3]))
        .told(2, 2, 3, Call::GetHold { hold: id(1) }, refused("HOLD_NOT_FOUND", false, &[]))
        .rejected();
    Story::new()
        .told(1, 0, 1, hold(1, &[3]), held(&[3]))
        .told(1, 2, 3, release(1), RELEASED)
        .told(2, 4, 5, Call::GetHold { hold: id(1) }, read(Phase::Active, &[3], &[]))
        .rejected();
}

#[test]
fn a_stale_read_is_rejected_and_a_concurrent_one_may_be_of_before() {
    let story = |read_from, read_to| {
        Story::new().told(1, 0, 1, hold(1, &[3]), held(&[3])).told(1, 2, 6, confirm(1, "a"), sold(&[3])).told(
            2,
            read_from,
            read_to,
            Call::SeatMap,
            map(&[(3, 'h')], (12, 0, 0)),
        )
    };
    story(4, 9).accepted();
    story(7, 9).rejected();
}

#[test]
fn two_reads_may_not_see_time_run_backwards() {
    Story::new()
        .told(1, 0, 20, hold(1, &[3]), held(&[3]))
        .told(2, 1, 2, Call::SeatMap, map(&[(3, 'h')], (12, 0, 0)))
        .told(3, 3, 4, Call::SeatMap, map(&[], (12, 0, 0)))
        .rejected();
}

#[test]
fn an_unknown_outcome_may_have_been_or_not_been() {
    let story = |after: Told| Story::new().unknown(1, 0, 1, hold(1, &[3])).told(2, 50, 51, Call::SeatMap, after);
    story(map(&[(3, 'h')], (12, 0, 0))).accepted();
    story(map(&[], (12, 0, 0))).accepted();
    story(map(&[(4, 'h')], (12, 0, 0))).rejected();
}

#[test]
fn an_unknown_outcome_may_come_late_but_never_before_it_was_asked_nor_twice() {
    let empty = || map(&[], (12, 0, 0));
    let taken = || map(&[(3, 'h')], (12, 0, 0));
    Story::new()
        .unknown(1, 10, 11, hold(1, &[3]))
        .told(2, 20, 21, Call::SeatMap, empty())
        .told(2, 30, 31, Call::SeatMap, taken())
        .accepted();
    Story::new().told(2, 0, 1, Call::SeatMap, taken()).unknown(1, 10, 11, hold(1, &[3])).rejected();
    Story::new()
        .unknown(1, 10, 11, hold(1, &[3]))
        .told(2, 20, 21, Call::SeatMap, taken())
        .told(2, 30, 31, Call::SeatMap, empty())
        .rejected();
}

#[test]
fn a_repetition_tells_the_hold_as_it_is_then() {
    // Taken by an earlier sending, extended by another client, answered last.
    Story::new()
        .told(1, 0, 9, hold(1, &[3]), held_as(&[3], 0, 200, true))
        .told(2, 3, 4, extend(1, 9), Told::Extended { expires_at_ms: 200, replayed: false })
        .accepted();
    // Nobody ever took it.
    Story::new()
        .told(2, 0, 1, Call::GetHold { hold: id(1) }, refused("HOLD_NOT_FOUND", false, &[]))
        .told(1, 2, 3, release(1), Told::Released { replayed: true })
        .rejected();
}

#[test]
fn a_refusal_that_was_executed_once_needs_its_effect() {
    let executed = || refused("HOLD_RELEASED", true, &[]);
    Story::new().told(1, 0, 9, hold(1, &[3]), executed()).told(2, 3, 4, release(1), RELEASED).accepted();
    Story::new().told(1, 0, 9, hold(1, &[3]), executed()).rejected();
}

#[test]
fn a_refusal_names_exactly_what_is_in_the_way() {
    let story = |told: Told| {
        Story::new().told(1, 0, 1, hold(1, &[3, 5]), held(&[3, 5])).told(2, 2, 3, hold(2, &[5, 4, 3]), told)
    };
    story(refused("PLACES_UNAVAILABLE", false, &[(5, 'h'), (3, 'h')])).accepted();
    story(refused("PLACES_UNAVAILABLE", false, &[(5, 'h')])).rejected();
    story(refused("PLACES_UNAVAILABLE", false, &[(5, 'S'), (3, 'h')])).rejected();
}

#[test]
fn a_replaced_hold_frees_and_takes_in_one_step() {
    let story = |map| {
        Story::new()
            .told(1, 0, 1, hold(1, &[3, 4]), held(&[3, 4]))
            .told(1, 2, 9, replace(2, 1, &[4, 5]), held(&[4, 5]))
            .told(2, 3, 4, Call::SeatMap, map)
    };
    story(map(&[(3, 'h'), (4, 'h')], (12, 0, 0))).accepted();
    story(map(&[(4, 'h'), (5, 'h')], (12, 0, 0))).accepted();
    story(map(&[(5, 'h')], (12, 0, 0))).rejected();
    story(map(&[(3, 'h'), (4, 'h'), (5, 'h')], (12, 0, 0))).rejected();
}

#[test]
fn admissions_are_counted() {
    Story::new()
        .told(1, 0, 1, floor(1, 8, 0), held_as(&[], 8, 100, false))
        .told(2, 2, 3, floor(2, 6, 0), not_enough(8))
        .told(2, 4, 5, floor(3, 6, 2), held_as(&[], 4, 100, false))
        .told(2, 6, 7, Call::SeatMap, map(&[], (0, 12, 0)))
        .accepted();
    Story::new()
        .told(1, 0, 1, floor(1, 8, 0), held_as(&[], 8, 100, false))
        .told(2, 2, 3, floor(2, 6, 0), held_as(&[], 6, 100, false))
        .rejected();
}

#[test]
fn chosen_seats_must_be_open_and_side_by_side() {
    let story =
        |chosen: &[u32]| Story::new().told(1, 0, 1, hold(1, &[3]), held(&[3])).told(2, 2, 3, best(2, 2), held(chosen));
    story(&[4, 5]).accepted();
    story(&[3, 4]).rejected();
    story(&[4, 6]).rejected();
    story(&[9, 10]).rejected();
}

#[test]
fn a_choice_nobody_was_told_of_is_not_judged() {
    let verdict = Story::new().unknown(1, 0, 1, best(1, 2)).verdict();
    assert!(matches!(verdict, Verdict::Undecided(_)), "{verdict:?}");
    Story::new()
        .unknown(1, 0, 1, best(1, 2))
        .told(2, 5, 6, Call::GetHold { hold: id(1) }, read(Phase::Active, &[4, 5], &[]))
        .accepted();
    Story::new()
        .unknown(1, 0, 1, best(1, 2))
        .told(2, 5, 6, Call::GetHold { hold: id(1) }, refused("HOLD_NOT_FOUND", false, &[]))
        .accepted();
}

#[test]
fn a_part_is_sold_and_the_rest_stays_or_goes() {
    let part = |release_rest| Call::Confirm {
        hold: id(1),
        order: "a".to_owned(),
        part: Some(Part { request: id(9), seats: vec![3], floor: 0 }),
        release_rest,
    };
    let story =
        |release_rest, after| {
            Story::new()
                .told(1, 0, 1, hold(1, &[3, 4]), held(&[3, 4]))
                .told(1, 2, 3, part(release_rest), sold(&[3]))
                .told(1, 4, 5, Call::SeatMap, after)
        };
    let kept = || map(&[(3, 'S'), (4, 'h')], (12, 0, 0));
    let gone = || map(&[(3, 'S')], (12, 0, 0));
    story(false, kept()).accepted();
    story(true, gone()).accepted();
    story(true, kept()).rejected();
    story(false, gone()).rejected();
}

#[test]
fn a_deadline_never_moves_back_and_only_a_cap_is_believed() {
    let extended = |expires_at_ms| Told::Extended { expires_at_ms, replayed: false };
    let story = |told| Story::new().told(1, 0, 1, hold(1, &[3]), held(&[3])).told(1, 2, 3, extend(1, 9), told);
    story(extended(200)).accepted();
    story(extended(100)).rejected();
    story(refused("RENEWAL_CAP", false, &[])).accepted();
    story(refused("HOLD_EXPIRED", false, &[])).rejected();
}

#[test]
fn a_hold_ends_by_time_only_after_its_time() {
    let short =
        Call::Hold { hold: id(1), seats: vec![3], floor: 0, floor_min: 0, best: 0, replace: None, ttl_ms: SHORT_MS };
    let story = |read_ms| {
        Story::new().told(1, 0, 1, short.clone(), held(&[3])).told(
            2,
            read_ms,
            read_ms + 1,
            Call::SeatMap,
            map(&[], (12, 0, 0)),
        )
    };
    story(2_100).accepted();
    story(1_500).rejected();
    Story::new()
        .told(1, 0, 1, short.clone(), held(&[3]))
        .told(1, 2_100, 2_101, confirm(1, "a"), refused("HOLD_EXPIRED", false, &[]))
        .told(1, 2_200, 2_201, confirm(1, "a"), sold(&[3]))
        .rejected();
}

#[test]
fn what_was_not_done_must_not_be_seen() {
    let not_done = Outcome::NotDone { reason: "OVERLOADED".to_owned() };
    Story::new()
        .say(1, 0, 1, hold(1, &[3]), not_done)
        .told(2, 2, 3, Call::SeatMap, map(&[(3, 'h')], (12, 0, 0)))
        .rejected();
}

#[test]
fn three_hundred_operations_of_eight_clients_are_decided() {
    // Eight clients at a time take and give back the same seat; who came first is for the search to find.
    let mut story = Story::new();
    for round in 0..37_u64 {
        let at_ms = round * 10;
        for client in 0..8_u32 {
            let number = u128::from(round * 10 + u64::from(client) + 1);
            story = if round % 2 == 1 {
                let told = if client == 5 { RELEASED } else { refused("HOLD_NOT_FOUND", false, &[]) };
                story.told(client, at_ms, at_ms + 9, release(if client == 5 { number - 10 } else { 1_000 }), told)
            } else if client == 5 {
                story.told(client, at_ms, at_ms + 9, hold(number, &[3]), held(&[3]))
            } else {
                let lost = refused("PLACES_UNAVAILABLE", false, &[(3, 'h')]);
                story.told(client, at_ms, at_ms + 9, hold(number, &[3]), lost)
            };
        }
    }
    story.accepted();
}
