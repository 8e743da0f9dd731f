//! What it costs to choose seats, beside a hold of two seats that the caller chose, in the same event (P8: at most
//! ten times as much in a plan of 100,000 seats of which 99 % are sold).
//!
//! Sold `scattered` is pairs all over the house, which leaves open pairs everywhere and hardly a run of four; sold
//! `nearest first` is what a sale by best available leaves: full rows in front, open ones behind.
//!
//! Steady state: deciding changes nothing.

use std::hint::black_box;
use std::sync::Arc;

use benches::{
    arena::{self, OnePlan},
    asked,
    sale::START,
    seeded::shuffled,
};
use criterion::{BenchmarkId, Criterion};
use inventory_core::{
    change::{Change, EventCreated},
    command::Command,
    ids::{CustomerKey, EventId, EventKey, PlanDigest},
    plan::Plan,
    policy::{Policies, Settings},
    slot::{Decision, Slot, SlotConfig},
};

const KEY: EventKey = EventKey(0x100);
/// Seats of a plan, and of one of its rows.
const HOUSES: [(u32, u32); 3] = [(300, 20), (9_000, 30), (100_000, 40)];
const SOLD_PERCENT: [u32; 4] = [0, 50, 90, 99];
/// Seats of one sale of `nearest first`.
const SOLD_AT_ONCE: u8 = 10;

/// How the sold seats lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sold {
    Scattered,
    NearestFirst,
}

struct House {
    slot: Slot,
    plans: OnePlan,
    holds: u64,
    /// Two open seats side by side.
    open_pair: Vec<u32>,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (seats, seats_per_row) in HOUSES {
        let plan = arena::plan(seats, seats_per_row, 0);
        for percent in SOLD_PERCENT {
            measure(&mut criterion, &plan, percent, Sold::Scattered);
        }
        measure(&mut criterion, &plan, 99, Sold::NearestFirst);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, plan: &Arc<Plan>, percent: u32, sold: Sold) {
    let seats = plan.seat_count();
    let how = match sold {
        Sold::Scattered => "scattered",
        Sold::NearestFirst => "nearest first",
    };
    let mut house = None;
    let mut group = criterion.benchmark_group(format!("best available/{seats} seats, {percent} % sold {how}"));
    for quantity in [2, 4] {
        group.bench_function(BenchmarkId::new("best", quantity), |bencher| {
            let house = house.get_or_insert_with(|| House::new(plan, percent, sold));
            let command = asked::hold_best(asked::hold_id(START, 1 << 40), CustomerKey(7), quantity);
            bencher.iter(|| black_box(house.decide(black_box(&command))));
        });
    }
    group.bench_function(BenchmarkId::new("explicit", 2), |bencher| {
        let house = house.get_or_insert_with(|| House::new(plan, percent, sold));
        let seats = house.open_pair.clone();
        let command = asked::hold_seats(asked::hold_id(START, 1 << 40), CustomerKey(7), seats);
        assert!(house.decide(&command), "the pair is open");
        bencher.iter(|| black_box(house.decide(black_box(&command))));
    });
    group.finish();
    if let Some(house) = house {
        // A search that finds nothing costs as much as one that does; the reader should know which it was.
        let found = |quantity| {
            let command = asked::hold_best(asked::hold_id(START, 1 << 40), CustomerKey(7), quantity);
            if house.decide(&command) { "found" } else { "none left" }
        };
        println!("{seats} seats, {percent} % sold {how}: two {}, four {}\n", found(2), found(4));
    }
}

impl House {
    fn new(plan: &Arc<Plan>, percent: u32, sold: Sold) -> House {
        let plans = OnePlan(Arc::clone(plan));
        let slot = Slot::new(KEY.slot(), SlotConfig { seed: 1, tombstones_max: u32::MAX });
        let mut house = House { slot, plans, holds: 0, open_pair: Vec::new() };
        let policies = Policies { places_per_hold_max: 64, ..Policies::default() };
        let created = EventCreated {
            id: EventId::parse("arena").expect("it is an id"),
            key: KEY,
            plan: PlanDigest([0; 32]),
            fingerprint: 0,
            settings: Settings { policies, ..Settings::default() },
        };
        let number = house.slot.next_event_number();
        house.slot.apply(START, number, &Change::EventCreated(Box::new(created)), &house.plans, None);

        // Rows have an even number of seats: a pair lies in one row.
        let pairs = shuffled(plan.seat_count() / 2, 5);
        let sold_seats = u64::from(plan.seat_count()) * u64::from(percent) / 100;
        match sold {
            Sold::Scattered => {
                for &pair in &pairs[..sold_seats as usize / 2] {
                    house.sell(|id| asked::hold_seats(id, CustomerKey(7), vec![pair * 2, pair * 2 + 1]));
                }
            }
            Sold::NearestFirst => {
                for _ in 0..sold_seats / u64::from(SOLD_AT_ONCE) {
                    house.sell(|id| asked::hold_best(id, CustomerKey(7), SOLD_AT_ONCE));
                }
            }
        }
        let is_open = |seat: u32| asked::hold_seats(asked::hold_id(START, 1 << 40), CustomerKey(7), vec![seat]);
        let mut open = pairs.iter().rev().map(|pair| vec![pair * 2, pair * 2 + 1]);
        house.open_pair =
            open.find(|pair| pair.iter().all(|&seat| house.decide(&is_open(seat)))).expect("not all is sold");
        house
    }

    fn sell(&mut self, hold: impl FnOnce(inventory_core::ids::HoldId) -> Command) {
        let id = asked::hold_id(START, self.holds);
        self.holds += 1;
        for command in [hold(id), asked::confirm(id)] {
            // Late in a sale there may be no ten seats side by side: then it ends a little earlier.
            if let Ok(Decision::Change(number, change)) = self.slot.decide(START, KEY, &command) {
                self.slot.apply(START, number, &change, &self.plans, None);
            }
        }
    }

    /// Whether the command would be carried out.
    fn decide(&self, command: &Command) -> bool {
        black_box(self.slot.decide(START, KEY, command)).is_ok()
    }
}
