//! What is told and not done: ways to seat a party, and which seats a hold would leave alone. Stories drawn as rows, and
//! random plans against the holds that are really made.

mod pictures;

use std::sync::Arc;

use inventory_core::{
    best_available::Arrangement,
    change::{Change, EventCreated, Held},
    command::{BestAvailable, Command, Hold, Suggest},
    ids::{CustomerKey, EventId, EventKey, EventNumber, HoldId, PlanDigest, TimestampMs},
    limits::PLACES_PER_HOLD_MAX,
    plan::{Area, Plan, PlanSpec, Point, RowKind},
    policy::{OrphanRule, Settings},
    reject::Reject,
    slot::{Decision, Plans, Slot, SlotConfig, Suggestion},
};
use pictures::{Numbers, picture, plain_singles};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const KEY: EventKey = EventKey(0x100);
/// The middle of the front edge.
const FOCAL: Point = Point { x: 0, y: -1_000 };

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

/// One event that sells a plan.
struct Sale {
    slot: Slot,
    event: EventNumber,
    plans: OnePlan,
    holds: u128,
}

impl Sale {
    fn of(plan: Plan, rule: OrphanRule) -> Sale {
        let plans = OnePlan(Arc::new(plan));
        let mut slot = Slot::new(KEY.slot(), SlotConfig { seed: 1, tombstones_max: 1_000 });
        let mut settings = Settings::default();
        settings.policies.orphan_rule = rule;
        settings.policies.places_per_hold_max = PLACES_PER_HOLD_MAX as u32;
        let id = EventId::parse("show").expect("an id");
        let created = EventCreated { id, key: KEY, plan: plans.0.digest(), fingerprint: 0, settings };
        let event = slot.next_event_number();
        slot.apply(NOW, event, &Change::EventCreated(Box::new(created)), &plans, None);
        Sale { slot, event, plans, holds: 0 }
    }

    fn wish(&mut self, seats: &[u32], best: Option<BestAvailable>) -> Hold {
        self.holds += 1;
        Hold {
            allocations: Default::default(),
            hold_id: HoldId(u128::from(NOW.0) << 80 | 7 << 76 | 1 << 63 | self.holds),
            seats: seats.into(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best,
            ticket_types: Vec::new(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: 0,
        }
    }

    /// What a hold would change.
    fn held(&self, hold: &Hold) -> Result<Held, Reject> {
        match self.slot.decide(NOW, KEY, &Command::Hold(Box::new(hold.clone())))? {
            Decision::Change(_, Change::Held(held)) => Ok(held),
            other => panic!("{other:?}"),
        }
    }

    /// Holds seats that are open, whatever they leave alone: taken as they were is no matter of the rule.
    fn take(&mut self, seats: &[u32]) -> HoldId {
        let event = self.event;
        let hold = self.wish(seats, None);
        let held = Held {
            tags: Box::default(),
            hold_id: hold.hold_id,
            fingerprint: 0,
            customer: CustomerKey::NONE,
            created_at: NOW,
            expires_at: NOW.plus_ms(600_000),
            attempts: 0,
            renewals: 0,
            replaced: None,
            arrangement: Arrangement::None,
            seats: seats.iter().map(|&index| inventory_core::place::Seat { index, ticket_type: 0 }).collect(),
            admissions: [].into_iter().collect(),
        };
        self.slot.apply(NOW, event, &Change::Held(held), &self.plans, None);
        hold.hold_id
    }

    fn suggest(&self, best: &BestAvailable, options_max: u8) -> Result<Vec<Suggestion>, Reject> {
        let suggest = Suggest { allocations: Default::default(), best: best.clone(), options_max, plan_revision: 0 };
        match self.slot.decide(NOW, KEY, &Command::Suggest(Box::new(suggest)))? {
            Decision::Suggested { options, .. } => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    fn explain(&self, hold: &Hold) -> (Result<Held, Reject>, Vec<u32>) {
        match self.slot.decide(NOW, KEY, &Command::Explain(Box::new(hold.clone()))) {
            Ok(Decision::Explained { outcome, left_alone, .. }) => (outcome, left_alone),
            other => panic!("{other:?}"),
        }
    }
}

fn party(quantity: u8) -> BestAvailable {
    BestAvailable { quantity, ..BestAvailable::default() }
}

/// The lines of a drawing, left and right of the arrows.
fn drawing(story: &str) -> (Vec<&str>, Vec<&str>) {
    let lines = story.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once("->").unwrap_or((line, line)))
        .map(|(left, right)| (left.trim(), right.trim()))
        .unzip()
}

/// The drawing with the seats that `mark` marks.
fn marked(lines: &[&str], mark: impl Fn(u32) -> Option<char>) -> Vec<String> {
    let mut next = 0;
    let mut draw = |c: char| {
        if "()|".contains(c) {
            return c;
        }
        next += 1;
        mark(next - 1).unwrap_or(c)
    };
    lines.iter().map(|line| line.chars().map(&mut draw).collect()).collect()
}

/// A sale of the drawing's plan, in which `x` are held.
fn drawn(lines: &[&str], rule: OrphanRule, more: impl FnOnce(&mut PlanSpec)) -> Sale {
    let mut spec = picture(lines, FOCAL, &[]).spec;
    more(&mut spec);
    let mut sale = Sale::of(Plan::build(&spec, PlanDigest([0; 32])).expect("a drawing is a plan"), rule);
    let seats = lines.iter().flat_map(|line| line.chars()).filter(|c| !"()|".contains(*c));
    for (c, seat) in seats.zip(0..) {
        if c == 'x' {
            sale.take(&[seat]);
        }
    }
    sale
}

fn floor(key: &str, capacity: u32) -> Area {
    let centre = Point { x: 0, y: 9_000 };
    Area { key: key.into(), label: key.into(), zone: None, level: 0, capacity, centre }
}

/// The ways to seat a party, each drawn with its number, and how each lies.
#[track_caller]
fn check_ways(best: &BestAvailable, areas: &[Area], story: &str, arrangements: &[Arrangement]) {
    let (before, expected) = drawing(story);
    let sale = drawn(&before, OrphanRule::Lenient, |spec| spec.areas = areas.to_vec());
    let options = sale.suggest(best, 9).expect("there is a way");
    let way_of = |seat: u32| options.iter().position(|option| option.seats.contains(&seat));
    let drawn = marked(&before, |seat| way_of(seat).and_then(|way| char::from_digit(way as u32 + 1, 10)));
    assert_eq!(drawn, expected);
    assert_eq!(options.iter().map(|option| option.arrangement).collect::<Vec<_>>(), arrangements);
}

#[test]
fn ways_are_told_best_first_and_share_no_seat() {
    use Arrangement::Contiguous;
    let best = BestAvailable { contiguous_only: true, ..party(2) };
    check_ways(
        &best,
        &[],
        "...... -> 331144
         ...... -> 552266",
        &[Contiguous; 6],
    );
}

#[test]
fn a_way_leaves_nobody_alone_because_of_another_way() {
    // The second would leave the middle seat alone if the first were taken: nobody takes both.
    check_ways(&party(2), &[], "..... -> 11.22", &[Arrangement::Contiguous; 2]);
}

#[test]
fn ways_go_down_the_ladder_and_an_area_is_told_once() {
    use Arrangement::{Contiguous, General, Split, Stranding};
    let areas = [floor("floor", 5), floor("bar", 1), floor("hill", 2)];
    let story = "...x.. -> 322x11
                 x.xxxx -> x3xxxx";
    check_ways(&party(2), &areas, story, &[Contiguous, Stranding, Split, General, General]);
    let story = "...x.. -> .22x11
                 x.xxxx -> x.xxxx";
    let best = BestAvailable { contiguous_only: true, ..party(2) };
    check_ways(&best, &areas, story, &[Contiguous, Stranding]);
}

#[test]
fn no_more_ways_are_told_than_are_asked_for() {
    let sale = drawn(&["......"], OrphanRule::Lenient, |_| {});
    for options_max in 1..=3 {
        assert_eq!(sale.suggest(&party(2), options_max).expect("room").len(), usize::from(options_max));
    }
    let refused = sale.suggest(&party(2), 0);
    assert!(matches!(refused, Err(Reject::Invalid { .. })), "{refused:?}");
}

#[test]
fn where_there_is_no_way_the_refusal_is_that_of_a_hold() {
    let best = BestAvailable { contiguous_only: true, ..party(2) };
    let mut sale = drawn(&["xx.x"], OrphanRule::Lenient, |_| {});
    let refused = Err(Reject::NotEnoughPlaces { held_unpaid: 3, quota: None });
    assert_eq!(sale.suggest(&best, 3), refused);
    let hold = sale.wish(&[], Some(best));
    assert_eq!(sale.held(&hold).map(|_| Vec::new()), refused);
}

/// Random parties in random plans, some of whose seats are taken.
fn random_sale(seed: u64, numbers: &mut Numbers) -> (Sale, BestAvailable, Vec<u32>) {
    let plan = numbers.plan(4);
    let (of_16, seats) = (numbers.below(16), plan.seat_count());
    let rule = [OrphanRule::Off, OrphanRule::Lenient, OrphanRule::Strict][seed as usize % 3];
    let mut sale = Sale::of(plan, rule);
    let taken: Vec<u32> = (0..seats).filter(|_| numbers.below(16) < of_16).collect();
    for seats in taken.chunks(PLACES_PER_HOLD_MAX) {
        sale.take(seats);
    }
    let best = BestAvailable {
        contiguous_only: numbers.one_in(3),
        accessible_count: u8::from(numbers.one_in(4)),
        ..party(1 + numbers.below(6) as u8)
    };
    (sale, best, taken)
}

#[test]
fn the_first_way_is_what_a_hold_takes_and_fewer_ways_are_the_first_of_more() {
    let (mut with_ways, mut without) = (0, 0);
    for seed in 0..1_500 {
        let (mut sale, best, taken) = random_sale(seed, &mut Numbers::new(seed));
        let hold = sale.wish(&[], Some(best.clone()));
        let held = sale.held(&hold);
        let options = match (sale.suggest(&best, 6), held) {
            (Ok(options), Ok(held)) => {
                let seats: Vec<u32> = held.seats.iter().map(|seat| seat.index).collect();
                assert_eq!((&options[0].seats, options[0].arrangement), (&seats, held.arrangement), "seed {seed}");
                with_ways += 1;
                options
            }
            (Err(suggest), Err(hold)) => {
                assert_eq!(suggest, hold, "seed {seed}");
                without += 1;
                continue;
            }
            (suggest, hold) => panic!("seed {seed}: {suggest:?} and {hold:?}"),
        };
        let mut seats: Vec<u32> = options.iter().flat_map(|option| option.seats.clone()).collect();
        seats.sort_unstable();
        assert!(seats.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: a seat in two ways: {options:?}");
        assert!(seats.iter().all(|seat| taken.binary_search(seat).is_err()), "seed {seed}: {options:?}");
        assert!(options.iter().all(|option| option.seats.len() == usize::from(best.quantity)), "seed {seed}");
        let fewer = sale.suggest(&best, 2).expect("as before");
        assert_eq!(fewer, options[..options.len().min(2)], "seed {seed}");
    }
    assert!(with_ways > 500 && without > 200, "{with_ways} and {without}");
}

/// A pick, drawn: `*` are seats it names, `X` taken ones that it names too, `r` those of the hold that it replaces, `!` seats
/// that it would leave alone.
#[track_caller]
fn check_alone(story: &str, rule: OrphanRule) -> Result<Held, Reject> {
    let (before, expected) = drawing(story);
    let letters = before.concat();
    let letters: Vec<char> = letters.chars().filter(|c| !"()|".contains(*c)).collect();
    let seats =
        |of: &str| (0..).zip(&letters).filter(|(_, c)| of.contains(**c)).map(|(at, _)| at).collect::<Vec<u32>>();
    let plain: Vec<String> = before.iter().map(|line| line.replace(['*', 'X', 'r'], ".")).collect();
    let mut sale = drawn(&plain.iter().map(String::as_str).collect::<Vec<_>>(), rule, |_| {});
    for seat in seats("X") {
        sale.take(&[seat]);
    }
    let replaced = seats("r");
    let replace = (!replaced.is_empty()).then(|| sale.take(&replaced));
    let hold = Hold { replace, ..sale.wish(&seats("*X"), None) };
    let (outcome, alone) = sale.explain(&hold);
    assert_eq!(marked(&before, |seat| alone.contains(&seat).then_some('!')), expected);
    assert_eq!(outcome, sale.held(&hold).map(|held| Held { fingerprint: hold.fingerprint(), ..held }), "{story}");
    outcome
}

#[test]
fn seats_left_alone_are_named_whether_the_rule_minds_or_not() {
    let story = ".*.... -> !*....";
    assert_eq!(check_alone(story, OrphanRule::Lenient), Err(Reject::WouldStrand));
    check_alone(story, OrphanRule::Off).expect("nobody asks who is left alone");
    check_alone("*****. -> *****!", OrphanRule::Lenient).expect("five of six leave one, wherever they sit");
    check_alone("**.... -> **....", OrphanRule::Lenient).expect("nobody is left alone");
}

#[test]
fn a_seat_between_two_picks_is_named_once() {
    check_alone("..*.*.. -> ..*!*..", OrphanRule::Off).expect("the rule is off");
    check_alone("*.*.*. -> *!*!*!", OrphanRule::Off).expect("the rule is off");
}

#[test]
fn a_seat_that_was_alone_before_is_not_named() {
    check_alone("x.x**x -> x.x**x", OrphanRule::Lenient).expect("nobody is left alone");
    check_alone("..|*.. -> ..|*..", OrphanRule::Lenient).expect("nobody is left alone");
    check_alone(".|*... -> .|*...", OrphanRule::Lenient).expect("behind the aisle it was alone");
}

#[test]
fn rows_part_and_tables_leave_nobody_alone() {
    let story = "..*.    -> ..*!
                 (.*.*.) -> (.*.*.)
                 *...    -> *...";
    assert_eq!(check_alone(story, OrphanRule::Lenient), Err(Reject::WouldStrand));
}

#[test]
fn of_a_refused_pick_the_seats_that_are_open_count() {
    let refused = check_alone(".*X... -> !*X...", OrphanRule::Lenient);
    assert!(matches!(refused, Err(Reject::PlacesUnavailable { .. })), "{refused:?}");
    let refused = check_alone(".X..*. -> .X..*!", OrphanRule::Lenient);
    assert!(matches!(refused, Err(Reject::PlacesUnavailable { .. })), "{refused:?}");
}

#[test]
fn what_a_replaced_hold_gives_back_may_be_left_alone_or_be_a_neighbour() {
    assert_eq!(check_alone("r*.. -> !*..", OrphanRule::Lenient), Err(Reject::WouldStrand));
    check_alone("rr*.. -> rr*..", OrphanRule::Lenient).expect("two are left on either side");
    check_alone("..*.r -> ..*.r", OrphanRule::Lenient).expect("two are left on either side");
}

#[test]
fn chosen_seats_leave_alone_what_they_do() {
    let mut sale = drawn(&["..."], OrphanRule::Lenient, |_| {});
    let hold = sale.wish(&[], Some(party(2)));
    let (outcome, alone) = sale.explain(&hold);
    let held = outcome.expect("two of three");
    assert_eq!((held.arrangement, alone), (Arrangement::Stranding, vec![2]));
}

#[test]
fn in_random_plans_seats_left_alone_are_those_that_comparing_before_and_after_finds() {
    let mut named = 0;
    for seed in 0..1_500 {
        let numbers = &mut Numbers::new(seed);
        let (mut sale, _, taken) = random_sale(seed, numbers);
        let plan = Arc::clone(&sale.plans.0);
        let mut open: Vec<u32> = (0..plan.seat_count()).filter(|seat| taken.binary_search(seat).is_err()).collect();
        let of = 2 + numbers.below(8);
        open.retain(|_| numbers.one_in(of));
        open.truncate(PLACES_PER_HOLD_MAX);
        if open.is_empty() {
            continue;
        }
        let hold = sale.wish(&open, None);
        let (_, alone) = sale.explain(&hold);
        let is_taken = |seat: u32| taken.binary_search(&seat).is_ok();
        let mut expected = Vec::new();
        for (row, _) in plan.rows().iter().enumerate().filter(|(_, row)| row.kind == RowKind::Row) {
            let before = plain_singles(&plan, row as u32, |seat| !is_taken(seat));
            let after = plain_singles(&plan, row as u32, |seat| !is_taken(seat) && !open.contains(&seat));
            expected.extend(after.into_iter().filter(|seat| !before.contains(seat)));
        }
        assert_eq!(alone, expected, "seed {seed}: {open:?}");
        named += alone.len();
    }
    assert!(named > 1_000, "{named}");
}
