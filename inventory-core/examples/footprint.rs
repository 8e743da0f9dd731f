//! Bytes that state takes: for each place, live hold, sale, remembered hold, and place of a plan.
//!
//! `cargo run --release -p inventory-core --example footprint`
//!
//! One event of 1,000,000 seats; every figure is what its tables have allocated, divided by what is in
//! them. Order references and the allocator's own overhead are not counted.

use std::sync::Arc;

use inventory_core::{
    change::{Change, EventCreated},
    command::{Command, Confirm, Hold, Part, Release, Remainder},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, PlanDigest, SlotIndex, TimestampMs},
    plan::{Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    policy::Settings,
    slot::{Decision, Plans, Slot, SlotConfig},
};

const KEY: EventKey = EventKey(0x100);
const ROWS: u32 = 10_000;
const SEATS_PER_ROW: u32 = 100;
const SEATS: u32 = ROWS * SEATS_PER_ROW;

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

fn main() {
    let plans = OnePlan(Arc::new(plan()));
    println!("plan      {:6.1} bytes a place, once", per(plans.0.allocated_bytes(), SEATS));

    let now = TimestampMs(1_700_000_000_000);
    let mut slot = Slot::new(KEY.slot(), SlotConfig { seed: 1, tombstones_max: u32::MAX });
    let created = EventCreated {
        id: EventId::parse("footprint").expect("it is an id"),
        key: KEY,
        plan: plans.0.digest(),
        fingerprint: 0,
        settings: Settings::default(),
    };
    let number = slot.next_event_number();
    slot.apply(now, number, &Change::EventCreated(Box::new(created)), &plans, None);
    println!("event     {:6.1} bytes a place", per(slot.footprint().event_bytes, SEATS));

    let holds = SEATS / 2;
    let run = |slot: &mut Slot, command: Command| {
        if let Decision::Change(number, change) = slot.decide(now, KEY, &command).expect("nothing is in the way") {
            slot.apply(now, number, &change, &plans, None);
        }
    };
    (0..holds).for_each(|at| run(&mut slot, hold(at)));
    println!("live hold {:6.1} bytes, two seats, with its share of the index", per(slot.footprint().hold_bytes, holds));
    let order = OrderRef::parse("A-1017").expect("it is printable");
    for at in 0..holds {
        let command = if at % 2 == 0 {
            Command::Confirm(Box::new(Confirm {
                hold_id: id(at),
                request_id: None,
                order: order.clone(),
                part: Part::default(),
                remainder: Remainder::Keep,
                allow_reclaim: false,
                attempt_id: None,
            }))
        } else {
            Command::Release(Box::new(Release {
                hold_id: id(at),
                request_id: None,
                part: Part::default(),
                abort_payment: false,
            }))
        };
        run(&mut slot, command);
    }
    let last = slot.footprint();
    println!("sale      {:6.1} bytes and the text of the order reference", per(last.hold_bytes, holds) + 16.0);
    println!("tombstone {:6.1} bytes", per(last.hold_bytes, holds));
    println!("          {} entries, {} of them remembered only", last.hold_entries, last.tombstones);
}

fn per(bytes: usize, count: u32) -> f64 {
    bytes as f64 / f64::from(count)
}

fn id(at: u32) -> HoldId {
    let bits = 1_700_000_000_000_u128 << 80 | 7 << 76 | 0b10 << 62 | u128::from(at);
    HoldId::parse(bits).expect("it is UUIDv7")
}

fn hold(at: u32) -> Command {
    Command::Hold(Box::new(Hold {
        allocations: Default::default(),
        hold_id: id(at),
        seats: [at * 2, at * 2 + 1].into_iter().collect(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey::NONE,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }))
}

fn plan() -> Plan {
    let seat = |row: u32, number: u32| SeatSpec {
        key: format!("main-{}-{}", row + 1, number + 1).into(),
        label: format!("{}", number + 1).into(),
        at: Point { x: number as i32 * 500, y: row as i32 * 900 },
        level: 0,
        attributes: 0,
        aisle_after: false,
    };
    let rows = (0..ROWS).map(|row| RowSpec {
        label: format!("{}", row + 1).into(),
        kind: RowKind::Row,
        seats: (0..SEATS_PER_ROW).map(|number| seat(row, number)).collect(),
    });
    let section = SectionSpec { key: "main".into(), label: "main".into(), zone: None, rows: rows.collect() };
    let spec = PlanSpec {
        name: "footprint".into(),
        price_levels: vec!["one".into()],
        sections: vec![section],
        ..PlanSpec::default()
    };
    assert_eq!(SlotIndex(0), KEY.slot());
    Plan::build(&spec, PlanDigest([0; 32])).expect("the plan is sound")
}
