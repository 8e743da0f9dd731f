//! Carts as each event judges them: two events of one slot, the first of the cart and the other.

use std::sync::Arc;

use inventory_core::{
    cart::{Cart, CartEnd, CartStep, ConfirmMany, Decided, DuePart, HoldMany, PartName, PrepareCart, Verdict},
    change::{Change, EventCreated, HoldCause, HoldState, HoldView, ResumeCause},
    command::{
        BeginPayment, Command, Confirm, EndPayment, Extend, Hold, Part, PaymentOutcome, Release, Remainder, UpdateEvent,
    },
    giving_back::{Exchange, Take},
    ids::{CustomerKey, EventId, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, RequestId, TimestampMs},
    kill::Kill,
    place::Move,
    place_set::PlaceSet,
    plan::{Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    policy::{EventState, OrphanRule, Settings},
    reject::{Field, Reject},
    slot::{Decision, Plans, Slot, SlotConfig},
};

const START: TimestampMs = TimestampMs(1_700_000_000_000);
const FIRST: EventKey = EventKey(0x100);
const OTHER: EventKey = EventKey(0x200);
const TTL_MS: u64 = 60_000;
const DEADLINE: TimestampMs = TimestampMs(START.0 + TTL_MS);

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

struct World {
    slot: Slot,
    plans: OnePlan,
    now: TimestampMs,
}

/// One row of eight seats.
fn plan() -> Plan {
    let seat = |n: i32| SeatSpec {
        key: format!("{n}").into(),
        label: format!("{n}").into(),
        at: Point { x: n * 1_000, y: 0 },
        level: 0,
        attributes: 0,
        aisle_after: false,
    };
    let row = RowSpec { label: "1".into(), kind: RowKind::Row, seats: (0..8).map(seat).collect() };
    let section = SectionSpec { key: "s".into(), label: "s".into(), zone: None, rows: vec![row] };
    let spec = PlanSpec {
        name: "hall".into(),
        price_levels: vec!["gold".into()],
        zones: Vec::new(),
        focal_point: Some(Point { x: 0, y: -1_000 }),
        sections: vec![section],
        areas: Vec::new(),
    };
    Plan::build(&spec, PlanDigest([7; 32])).expect("it is a plan")
}

fn uuid(number: u128) -> u128 {
    u128::from(START.0) << 80 | 7 << 76 | 1 << 63 | number
}

fn id(number: u128) -> HoldId {
    HoldId(uuid(number))
}

fn order(text: &str) -> OrderRef {
    OrderRef::parse(text).expect("it is printable")
}

fn hold(hold_id: HoldId, seats: &[u32]) -> Hold {
    Hold {
        allocations: Default::default(),
        hold_id,
        seats: seats.into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey::NONE,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }
}

fn many(cart_id: HoldId) -> HoldMany {
    let parts = vec![(FIRST, hold(cart_id, &[0, 1])), (OTHER, hold(cart_id, &[2]))];
    HoldMany { cart_id, ttl_ms: TTL_MS as u32, parts }
}

fn prepare(cart_id: HoldId) -> Command {
    let hold = hold(cart_id, &[2]);
    Command::Cart(CartStep::Prepare(Box::new(PrepareCart { hold, first: FIRST, deadline: DEADLINE })))
}

fn part(cart_id: HoldId) -> PartName {
    PartName { cart_id, first: FIRST }
}

fn sell(text: &str) -> Verdict {
    Verdict::Sell(order(text))
}

fn decide(cart_id: HoldId, verdict: Verdict) -> Command {
    Command::Cart(CartStep::Decide { cart_id, verdict })
}

fn apply(cart_id: HoldId, verdict: Verdict) -> Command {
    Command::Cart(CartStep::Apply { part: part(cart_id), verdict })
}

fn expired(executed: bool) -> Reject {
    Reject::HoldExpired { executed, places_lost: Vec::new() }
}

impl World {
    fn new() -> World {
        let plans = OnePlan(Arc::new(plan()));
        let mut slot = Slot::new(FIRST.slot(), SlotConfig { seed: 1, tombstones_max: 1_000 });
        for (key, name) in [(FIRST, "first"), (OTHER, "other")] {
            let id = EventId::parse(name).expect("an id");
            let mut settings = Settings::default();
            settings.policies.orphan_rule = OrphanRule::Off;
            let created = EventCreated { id, key, plan: plans.0.digest(), fingerprint: 0, settings };
            let number = slot.next_event_number();
            slot.apply(START, number, &Change::EventCreated(Box::new(created)), &plans, None);
        }
        World { slot, plans, now: START }
    }

    /// With a cart that both events have, undecided.
    fn with_cart() -> World {
        let mut world = World::new();
        world.ask(FIRST, &Command::HoldMany(Box::new(many(id(1))))).expect("all is open");
        world.ask(OTHER, &prepare(id(1))).expect("all is open");
        world
    }

    fn make(&mut self, number: EventNumber, change: &Change) {
        let mut moves: Vec<Move> = Vec::new();
        self.slot.apply(self.now, number, change, &self.plans, Some(&mut moves));
        self.slot.assert_valid();
    }

    /// Judges a command and makes it true. Whether it made a change.
    fn ask(&mut self, key: EventKey, command: &Command) -> Result<bool, Reject> {
        match self.slot.decide(self.now, key, command)? {
            Decision::Change(number, change) => {
                self.make(number, &change);
                Ok(true)
            }
            Decision::Hold { replayed, .. } => {
                assert!(replayed || !matches!(command, Command::Cart(CartStep::Decide { .. })));
                Ok(false)
            }
            other => panic!("{other:?}"),
        }
    }

    fn view(&self, key: EventKey, hold_id: HoldId) -> Option<HoldView> {
        match self.slot.decide(self.now, key, &Command::GetHold(hold_id)) {
            Ok(Decision::Hold { view, .. }) => Some(view),
            _ => None,
        }
    }

    fn verdict(&self, cart_id: HoldId, part: EventKey) -> Option<Verdict> {
        match self.slot.decide(self.now, FIRST, &Command::Cart(CartStep::AskFirst { cart_id, part })) {
            Ok(Decision::Verdict { verdict, .. }) => verdict,
            other => panic!("{other:?}"),
        }
    }

    fn expire(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((number, change)) = self.slot.decide_due(self.now) {
            self.make(number, &change);
            changes.push(change);
        }
        changes
    }
}

/// Every command of one hold.
fn on_one_hold(hold_id: HoldId, seats: &[u32]) -> Vec<Command> {
    let request_id = RequestId(uuid(99));
    let release = Release { hold_id, request_id: None, part: Part::default(), abort_payment: false };
    let confirm = Confirm {
        hold_id,
        request_id: None,
        order: order("A-1"),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: true,
        attempt_id: None,
    };
    let places = PlaceSet { seats: seats.to_vec(), ..PlaceSet::default() };
    let kill = Kill {
        request_id,
        places: places.clone(),
        reason: "camera".into(),
        force: true,
        expected_state: None,
        validate_only: false,
    };
    vec![
        Command::Release(Box::new(Release { abort_payment: true, ..release.clone() })),
        Command::Release(Box::new(release)),
        Command::Confirm(Box::new(confirm)),
        Command::Extend(Extend { hold_id, request_id, ttl_ms: 0 }),
        Command::BeginPayment(BeginPayment { hold_id, attempt_id: request_id }),
        Command::EndPayment(EndPayment { hold_id, attempt_id: request_id, outcome: PaymentOutcome::Failed }),
        Command::Hold(Box::new(Hold { replace: Some(hold_id), ..hold(id(98), &[7]) })),
        Command::Kill(Box::new(kill)),
    ]
}

#[test]
fn a_command_on_one_hold_leaves_an_undecided_part_alone() {
    for (key, seats) in [(FIRST, &[0, 1][..]), (OTHER, &[2][..])] {
        let mut world = World::with_cart();
        for now in [START, DEADLINE, DEADLINE.plus_ms(100_000)] {
            world.now = now;
            for command in on_one_hold(id(1), seats) {
                assert_eq!(world.ask(key, &command), Err(Reject::PaymentInProgress), "{command:?} at {now:?}");
            }
        }
        // Not for an exchange either.
        world.now = START;
        let sale = hold(id(2), &[6]);
        world.ask(key, &Command::Hold(Box::new(sale))).expect("it is open");
        let Command::Confirm(mut confirm) = on_one_hold(id(2), &[]).swap_remove(2) else { panic!("the third") };
        confirm.order = order("B");
        world.ask(key, &Command::Confirm(confirm)).expect("it is held");
        let exchange = Exchange {
            request_id: RequestId(uuid(97)),
            order: order("B"),
            give: PlaceSet { seats: vec![6], ..PlaceSet::default() },
            take: Take::Hold(id(1)),
            expected_state: None,
            validate_only: false,
        };
        let refused = world.ask(key, &Command::Exchange(Box::new(exchange)));
        assert_eq!(refused, Err(Reject::PaymentInProgress));
        let paying = world.view(key, id(1)).expect("it lives");
        assert_eq!((paying.state, paying.payment_deadline), (HoldState::Paying, DEADLINE));
    }
}

#[test]
fn an_ended_part_is_not_reclaimed() {
    let mut world = World::with_cart();
    world.now = DEADLINE;
    assert_eq!(world.expire().len(), 1, "the first part decides");
    world.ask(OTHER, &apply(id(1), Verdict::Cancel(CartEnd::Deadline))).expect("it was undecided");
    for (key, seats) in [(FIRST, &[0, 1][..]), (OTHER, &[2][..])] {
        let confirm = on_one_hold(id(1), seats).swap_remove(2);
        assert_eq!(world.ask(key, &confirm), Err(expired(false)));
    }
}

#[test]
fn the_first_part_decides_at_its_deadline_and_another_asks_every_second() {
    let mut world = World::with_cart();
    assert_eq!(world.slot.next_due().map(|due| due <= DEADLINE), Some(true));
    world.now = DEADLINE;
    let changes = world.expire();
    assert!(matches!(&changes[..], [Change::CartReleased(released)] if released.cause == CartEnd::Deadline));
    assert_eq!(
        world.view(FIRST, id(1)).map(|view| (view.state, view.cause)),
        Some((HoldState::Expired, HoldCause::Deadline))
    );
    let due = DuePart { event: OTHER, part: part(id(1)) };
    assert_eq!(world.slot.take_due_parts(world.now), vec![due], "in that very turn");
    assert_eq!(world.slot.take_due_parts(world.now.plus_ms(999)), vec![]);
    assert_eq!(world.slot.next_due(), Some(DEADLINE.plus_ms(1_000)));
    world.now = DEADLINE.plus_ms(1_000);
    assert_eq!(world.expire(), vec![], "a part does not end by time");
    assert_eq!(world.slot.take_due_parts(world.now), vec![due]);
    assert_eq!(world.verdict(id(1), OTHER), Some(Verdict::Cancel(CartEnd::Deadline)));
    assert_eq!(world.ask(OTHER, &apply(id(1), Verdict::Cancel(CartEnd::Deadline))), Ok(true));
    assert_eq!(world.slot.take_due_parts(world.now.plus_ms(5_000)), vec![]);
}

#[test]
fn time_given_back_moves_a_part_that_asks() {
    let mut world = World::with_cart();
    world.now = DEADLINE;
    // It is looked at, and found due.
    assert!(world.slot.decide_due(world.now).is_some());
    for number in [EventNumber(0), EventNumber(1)] {
        let change = world.slot.decide_resumed(number, 30_000, ResumeCause::Outage).expect("it has a live hold");
        world.make(number, &change);
    }
    let deadline = |world: &World, key| world.view(key, id(1)).expect("it lives").payment_deadline;
    assert_eq!(deadline(&world, FIRST), DEADLINE.plus_ms(30_000));
    assert_eq!(deadline(&world, OTHER), DEADLINE.plus_ms(30_000));
    assert_eq!((world.expire(), world.slot.take_due_parts(world.now)), (vec![], vec![]));
}

#[test]
fn a_decision_is_one_and_is_applied_once() {
    let mut world = World::with_cart();
    assert_eq!(world.verdict(id(1), OTHER), None);
    assert_eq!(
        world.ask(FIRST, &Command::ConfirmMany(Box::new(ConfirmMany { cart_id: id(1), order: order("A") }))),
        Ok(false)
    );
    assert_eq!(world.ask(FIRST, &decide(id(1), sell("A"))), Ok(true));
    assert_eq!(world.ask(FIRST, &decide(id(1), sell("A"))), Ok(false));
    let sold = Err(Reject::HoldAlreadyConfirmed { executed: false });
    assert_eq!(world.ask(FIRST, &decide(id(1), sell("B"))), sold);
    assert_eq!(world.ask(FIRST, &decide(id(1), Verdict::Cancel(CartEnd::Requested))), sold);
    assert_eq!(world.ask(FIRST, &decide(id(1), Verdict::Cancel(CartEnd::Refused))), sold);
    assert_eq!(world.verdict(id(1), OTHER), Some(sell("A")));
    let decided = Decided { event: FIRST, cart_id: id(1), verdict: sell("A"), others: vec![OTHER] };
    assert_eq!(world.slot.unsettled(), vec![decided]);
    assert_eq!(world.ask(OTHER, &apply(id(1), sell("A"))), Ok(true));
    assert_eq!(world.ask(OTHER, &apply(id(1), sell("A"))), Ok(false));
    assert_eq!(world.ask(FIRST, &Command::Cart(CartStep::Settle(id(1)))), Ok(true));
    assert_eq!(world.ask(FIRST, &Command::Cart(CartStep::Settle(id(1)))), Ok(false));
    assert_eq!(world.slot.unsettled(), vec![]);
    let again = Err(Reject::HoldAlreadyConfirmed { executed: true });
    assert_eq!(world.ask(FIRST, &Command::HoldMany(Box::new(many(id(1))))), again);
}

#[test]
fn at_its_deadline_a_cart_cannot_be_sold() {
    let mut world = World::with_cart();
    world.now = DEADLINE;
    assert_eq!(world.ask(FIRST, &decide(id(1), sell("A"))), Err(expired(false)));
    assert_eq!(world.ask(FIRST, &decide(id(1), Verdict::Cancel(CartEnd::Requested))), Err(expired(false)));
    assert_eq!(world.ask(OTHER, &prepare(id(1))), Ok(false), "a part that is there is there");
    assert_eq!(world.ask(OTHER, &prepare(id(2))), Err(expired(false)));
}

#[test]
fn two_carts_with_one_id_and_other_first_events_are_two_carts() {
    let mut world = World::with_cart();
    let foreign = PartName { cart_id: id(1), first: EventKey(0x300) };
    for step in [CartStep::AskPart(foreign), CartStep::Apply { part: foreign, verdict: sell("A") }] {
        assert_eq!(world.ask(OTHER, &Command::Cart(step)), Err(Reject::HoldNotFound));
    }
    assert_eq!(world.verdict(id(1), EventKey(0x300)), Some(Verdict::Cancel(CartEnd::Missing)));
    assert_eq!(world.verdict(id(7), OTHER), Some(Verdict::Cancel(CartEnd::Missing)), "nobody knows it");
    let Command::Cart(CartStep::Prepare(mut prepare)) = prepare(id(1)) else { panic!("it prepares") };
    prepare.first = EventKey(0x300);
    assert_eq!(world.ask(OTHER, &Command::Cart(CartStep::Prepare(prepare))), Err(Reject::HoldIdReused));
    // And the first part is no part of another event.
    assert_eq!(world.ask(FIRST, &Command::Cart(CartStep::AskPart(part(id(1))))), Err(Reject::HoldNotFound));
}

#[test]
fn nothing_forgets_a_decision_before_all_have_applied_it() {
    let mut world = World::with_cart();
    world.ask(FIRST, &decide(id(1), Verdict::Cancel(CartEnd::Requested))).expect("in time");
    world.now = START.plus_ms(48 * 3_600_000);
    world.make(EventNumber(0), &Change::PaidForgotten(world.now));
    assert_eq!(world.verdict(id(1), OTHER), Some(Verdict::Cancel(CartEnd::Requested)));
    assert_eq!(world.slot.unsettled().len(), 1);
    world.ask(OTHER, &apply(id(1), Verdict::Cancel(CartEnd::Requested))).expect("it was undecided");
    world.ask(FIRST, &Command::Cart(CartStep::Settle(id(1)))).expect("it is decided");
    assert_eq!(world.view(FIRST, id(1)), None, "its day is long over");
    assert_eq!(world.view(OTHER, id(1)).map(|view| view.state), Some(HoldState::Released), "it ended just now");
    world.now = world.now.plus_ms(24 * 3_600_000);
    assert_eq!(world.view(OTHER, id(1)), None);
}

#[test]
fn a_refused_cart_is_remembered_by_nobody() {
    let mut world = World::with_cart();
    let refused = Verdict::Cancel(CartEnd::Refused);
    world.ask(FIRST, &decide(id(1), refused.clone())).expect("it was undecided");
    world.ask(OTHER, &apply(id(1), refused.clone())).expect("it was undecided");
    assert_eq!(world.view(OTHER, id(1)), None);
    assert!(world.view(FIRST, id(1)).is_some(), "until it is settled");
    assert_eq!(world.ask(OTHER, &apply(id(1), refused)), Err(Reject::HoldNotFound));
    world.ask(FIRST, &Command::Cart(CartStep::Settle(id(1)))).expect("it is decided");
    assert_eq!(world.view(FIRST, id(1)), None);
    assert_eq!(world.slot.footprint().hold_entries, 0);
    assert_eq!(world.ask(FIRST, &Command::HoldMany(Box::new(many(id(1))))), Ok(true), "judged afresh");
}

#[test]
fn a_part_ends_with_its_cart_and_not_with_its_event() {
    let mut world = World::with_cart();
    for key in [FIRST, OTHER] {
        let update = UpdateEvent { state: Some(EventState::Cancelled), ..UpdateEvent::default() };
        let Ok(Decision::Change(number, change)) =
            world.slot.decide(world.now, key, &Command::UpdateEvent(Box::new(update)))
        else {
            panic!("any event may be cancelled")
        };
        world.make(number, &change);
        assert_eq!(world.view(key, id(1)).map(|view| view.state), Some(HoldState::Paying));
    }
    assert_eq!(world.ask(FIRST, &decide(id(1), sell("A"))), Err(Reject::EventCancelled));
    assert_eq!(world.ask(OTHER, &Command::Cart(CartStep::AskPart(part(id(1))))), Err(Reject::EventCancelled));
    assert_eq!(world.ask(OTHER, &apply(id(1), sell("A"))), Ok(true), "a decision that was made before counts");
    assert_eq!(world.ask(FIRST, &decide(id(1), Verdict::Cancel(CartEnd::EventCancelled))), Ok(true));
    let ended = world.view(FIRST, id(1)).expect("it is not settled");
    assert_eq!((ended.state, ended.cause), (HoldState::Released, HoldCause::Cancelled));
    assert_eq!(ended.cart, Some(Cart::First { others: vec![OTHER], is_settled: false }));
}

#[test]
fn a_cart_is_of_two_to_sixteen_events() {
    let mut world = World::new();
    let mut refused = |change: &dyn Fn(&mut HoldMany)| {
        let mut many = many(id(1));
        change(&mut many);
        world.ask(FIRST, &Command::HoldMany(Box::new(many))).expect_err("out of shape")
    };
    let is_of_parts = |reject: Reject| matches!(reject, Reject::Invalid { field: Field::Parts, .. });
    assert!(is_of_parts(refused(&|many| many.parts.truncate(1))));
    assert!(is_of_parts(refused(&|many| {
        many.parts = (1..=17).map(|n| (EventKey(n << 8), hold(id(1), &[0]))).collect();
    })));
    assert!(is_of_parts(refused(&|many| many.parts[1].0 = FIRST)));
    assert!(is_of_parts(refused(&|many| many.parts[1].1.hold_id = id(2))));
    assert!(is_of_parts(refused(&|many| many.parts[1].1.ttl_ms = 1_000)));
    assert!(is_of_parts(refused(&|many| many.parts[1].1.replace = Some(id(3)))));
    assert!(is_of_parts(refused(&|many| many.parts.reverse())), "it is another event's");
    assert!(matches!(refused(&|many| many.ttl_ms = 1), Reject::TtlOutOfRange { .. }));
    assert!(matches!(
        refused(&|many| many.parts[1].1.seats = [4, 4][..].into()),
        Reject::DuplicateSeat { position: 1 }
    ));
}
