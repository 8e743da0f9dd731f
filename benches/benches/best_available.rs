//! What it costs to choose seats, beside a hold of two seats that the caller chose, in the same event (P8: at most
//! ten times as much in a plan of 100,000 seats of which 99 % are sold).
//!
//! Sold `in pairs` is pairs all over the house, which leaves pairs open everywhere and few runs of four; sold `singly`
//! is seats all over the house, which late in a sale leaves hardly a pair; sold `in parties` is one to six seats side by
//! side all over the house; sold `nearest first` is what a sale by best available leaves: full rows in front, open ones
//! behind. Seats that are sold over all the house are sold with the orphan rule off, which would refuse most of them;
//! what is measured is measured under the rule that events have by default.
//!
//! A party for which no seats side by side are left is split (rung 3): late in a sale that is the larger ones. A suggestion of five
//! ways looks five times, each time without the seats of the ways before.
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
    best_available::Arrangement,
    change::{Change, EventCreated},
    command::{Command, PolicyPatch, UpdateEvent},
    ids::{CustomerKey, EventId, EventKey, HoldId, PlanDigest},
    plan::Plan,
    policy::{OrphanRule, Policies, Settings},
    slot::{Decision, Slot, SlotConfig},
};

const KEY: EventKey = EventKey(0x100);
/// Seats of a plan, and of one of its rows.
const HOUSES: [(u32, u32); 3] = [(300, 20), (9_000, 30), (100_000, 40)];
/// The largest is measured in full, the others where they differed before.
const LARGEST: u32 = 100_000;
const SOLD_PER_MILLE: [u32; 4] = [0, 500, 900, 990];
const SOLD_PER_MILLE_OF_LARGEST: [u32; 6] = [0, 500, 900, 990, 999, 1_000];
/// Ways that a suggestion tells.
const OPTIONS: u8 = 5;
/// Parties of a sale of `nearest first`, the next smaller one when there is no room for one side by side.
const PARTIES: [u8; 4] = [10, 5, 2, 1];

/// How the sold seats lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sold {
    InPairs,
    Singly,
    InParties,
    NearestFirst,
}

const HOW: [Sold; 4] = [Sold::InPairs, Sold::Singly, Sold::InParties, Sold::NearestFirst];

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
        if seats == LARGEST {
            for per_mille in SOLD_PER_MILLE_OF_LARGEST {
                // How what is not there or fills the house was sold makes no difference.
                let how = if matches!(per_mille, 0 | 1_000) { &HOW[..1] } else { &HOW[..] };
                how.iter().for_each(|&sold| measure(&mut criterion, &plan, per_mille, sold));
            }
        } else {
            for per_mille in SOLD_PER_MILLE {
                measure(&mut criterion, &plan, per_mille, Sold::InPairs);
            }
            measure(&mut criterion, &plan, 990, Sold::Singly);
            measure(&mut criterion, &plan, 990, Sold::NearestFirst);
        }
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, plan: &Arc<Plan>, per_mille: u32, sold: Sold) {
    let seats = plan.seat_count();
    let how = match sold {
        Sold::InPairs => "in pairs",
        Sold::Singly => "singly",
        Sold::InParties => "in parties",
        Sold::NearestFirst => "nearest first",
    };
    let percent = f64::from(per_mille) / 10.0;
    let quantities: &[u8] = if seats == LARGEST { &[1, 2, 4, 8] } else { &[2, 4] };
    let mut house = None;
    let mut group = criterion.benchmark_group(format!("best available/{seats} seats, {percent} % sold {how}"));
    for &quantity in quantities {
        group.bench_function(BenchmarkId::new("best", quantity), |bencher| {
            let house = house.get_or_insert_with(|| House::new(plan, per_mille, sold));
            let command = asked::hold_best(asked::hold_id(START, 1 << 40), CustomerKey(7), quantity);
            bencher.iter(|| black_box(house.decide(black_box(&command))));
        });
    }
    for &quantity in quantities.iter().filter(|&&quantity| matches!(quantity, 2 | 4)) {
        group.bench_function(BenchmarkId::new("suggest 5 of", quantity), |bencher| {
            let house = house.get_or_insert_with(|| House::new(plan, per_mille, sold));
            let command = asked::suggest(quantity, OPTIONS);
            bencher.iter(|| black_box(house.decide(black_box(&command))));
        });
    }
    if per_mille < 1_000 {
        group.bench_function(BenchmarkId::new("explicit", 2), |bencher| {
            let house = house.get_or_insert_with(|| House::new(plan, per_mille, sold));
            let seats = house.open_pair.clone();
            let command = asked::hold_seats(asked::hold_id(START, 1 << 40), CustomerKey(7), seats);
            assert!(house.decide(&command), "the pair is open");
            bencher.iter(|| black_box(house.decide(black_box(&command))));
        });
    }
    group.finish();
    if let Some(house) = house {
        // A search that finds nothing costs as much as one that does; the reader should know which it was.
        let all = quantities.iter().map(|&quantity| format!("{quantity} {}", house.found(quantity)));
        println!("{seats} seats, {percent} % sold {how}: {}\n", all.collect::<Vec<_>>().join(", "));
    }
}

impl House {
    fn new(plan: &Arc<Plan>, per_mille: u32, sold: Sold) -> House {
        let plans = OnePlan(Arc::clone(plan));
        let slot = Slot::new(KEY.slot(), SlotConfig { seed: 1, tombstones_max: u32::MAX });
        let mut house = House { slot, plans, holds: 0, open_pair: Vec::new() };
        // Best available strands nobody where it can be helped: a sale of it needs the rule.
        let orphan_rule = if sold == Sold::NearestFirst { OrphanRule::Lenient } else { OrphanRule::Off };
        let policies = Policies { places_per_hold_max: 64, orphan_rule, ..Policies::default() };
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
        let sold_seats = u64::from(plan.seat_count()) * u64::from(per_mille) / 1_000;
        match sold {
            Sold::InPairs => {
                for &pair in &pairs[..sold_seats as usize / 2] {
                    assert!(house.sell(|id| asked::hold_seats(id, CustomerKey(7), vec![pair * 2, pair * 2 + 1])));
                }
            }
            Sold::Singly => {
                let mut sold = 0;
                for seat in shuffled(plan.seat_count(), 6) {
                    // The last two are kept open, so that there is a pair to ask for.
                    let is_kept = seat / 2 == plan.seat_count() / 2 - 1;
                    if sold < sold_seats && !is_kept {
                        assert!(house.sell(|id| asked::hold_seats(id, CustomerKey(7), vec![seat])));
                        sold += 1;
                    }
                }
            }
            Sold::InParties => {
                let mut sold = 0;
                let sizes = shuffled(plan.seat_count(), 7);
                for (first, size) in shuffled(plan.seat_count(), 8).into_iter().zip(sizes) {
                    let party: Vec<u32> = (first..plan.seat_count().min(first + 1 + size % 6)).collect();
                    // As many of the last as are left to sell; of the last two seats of the house none.
                    let party = &party[..party.len().min((sold_seats - sold) as usize)];
                    let is_kept = party.iter().any(|seat| seat / 2 == plan.seat_count() / 2 - 1);
                    if !is_kept
                        && !party.is_empty()
                        && house.sell(|id| asked::hold_seats(id, CustomerKey(7), party.to_vec()))
                    {
                        sold += party.len() as u64;
                    }
                }
                for seat in 0..plan.seat_count() - 2 {
                    if sold < sold_seats && house.sell(|id| asked::hold_seats(id, CustomerKey(7), vec![seat])) {
                        sold += 1;
                    }
                }
            }
            Sold::NearestFirst => {
                let mut sold = 0;
                let mut parties = PARTIES.into_iter();
                let mut party = parties.next().expect("there are parties");
                while sold + u64::from(party) <= sold_seats {
                    if house.sell(|id| asked::hold_best_adjacent(id, CustomerKey(7), party)) {
                        sold += u64::from(party);
                    } else {
                        party = parties.next().expect("there is room for one");
                    }
                }
            }
        }
        if orphan_rule == OrphanRule::Off {
            let policies = PolicyPatch { orphan_rule: Some(OrphanRule::Lenient), ..PolicyPatch::default() };
            house.change(&Command::UpdateEvent(Box::new(UpdateEvent { policies, ..UpdateEvent::default() })));
        }
        let may_be_held = |pair: &Vec<u32>| {
            house.decide(&asked::hold_seats(asked::hold_id(START, 1 << 40), CustomerKey(7), pair.clone()))
        };
        let mut open = pairs.iter().rev().map(|pair| vec![pair * 2, pair * 2 + 1]);
        house.open_pair = open.find(may_be_held).unwrap_or_default();
        house
    }

    /// Holds and confirms. Whether there was room.
    fn sell(&mut self, hold: impl FnOnce(HoldId) -> Command) -> bool {
        let id = asked::hold_id(START, self.holds);
        self.holds += 1;
        [hold(id), asked::confirm(id)].iter().all(|command| self.change(command))
    }

    /// Decides and applies. Whether it was done.
    fn change(&mut self, command: &Command) -> bool {
        let Ok(Decision::Change(number, change)) = self.slot.decide(START, KEY, command) else { return false };
        self.slot.apply(START, number, &change, &self.plans, None);
        true
    }

    /// How the best places for a party lie.
    fn found(&self, quantity: u8) -> &'static str {
        let command = asked::hold_best(asked::hold_id(START, 1 << 40), CustomerKey(7), quantity);
        match self.slot.decide(START, KEY, &command) {
            Ok(Decision::Change(_, Change::Held(held))) => match held.arrangement {
                Arrangement::Contiguous => "contiguous",
                Arrangement::Stranding => "stranding",
                Arrangement::Split => "split",
                Arrangement::General | Arrangement::None => "without seats",
            },
            _ => "none left",
        }
    }

    /// Whether the command would be carried out.
    fn decide(&self, command: &Command) -> bool {
        black_box(self.slot.decide(START, KEY, command)).is_ok()
    }
}
