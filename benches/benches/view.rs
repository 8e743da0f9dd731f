//! What is durable, shown: what a hold's moves cost in the view of its event, and what readers pay for seat maps and
//! counts.
//!
//! A view is written by its shard alone, when a group is durable. So that is what is measured: the turn that finds
//! 1,024 durable holds and nothing else to do. It reads the clock once and looks for due holds, which is a part of a
//! thousandth.
//!
//! Steady state: every turn of holds is followed, off the clock, by one that releases them again; and the partition
//! begins anew when its log in memory has grown, or what it remembers of ended holds.

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{arena, asked, partition::Partition, sale::START};
use criterion::{Criterion, Throughput};
use engine::EventView;
use inventory_core::ids::{CustomerKey, EventKey};
use wal::MemoryStorage;

const HOLDS_PER_TURN: u32 = 1_024;
/// 65,536 ended holds, and some 20 MiB of log.
const TURNS_MAX: u64 = 64;
/// Seats of a plan, and of one of its rows.
const HOUSES: [(u32, u32); 3] = [(300, 20), (9_000, 30), (100_000, 40)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    refresh(&mut criterion);
    for (seats, seats_per_row) in HOUSES {
        reads(&mut criterion, seats, seats_per_row);
    }
    criterion.final_summary();
}

fn refresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("view/refresh");
    group.throughput(Throughput::Elements(u64::from(HOLDS_PER_TURN)));
    for events in [1, 100] {
        let mut shown = LazyCell::new(|| None::<Shown>);
        group.bench_function(format!("1024 holds of two seats, {events} events"), |bencher| {
            let shown = LazyCell::force_mut(&mut shown);
            shown.get_or_insert_with(|| Shown::new(events));
            bencher.iter_custom(|count| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..count {
                    if shown.as_ref().is_none_or(|shown| shown.turns == TURNS_MAX) {
                        *shown = Some(Shown::new(events));
                    }
                    elapsed += shown.as_mut().expect("it was just made").turn();
                }
                elapsed
            });
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion, seats: u32, seats_per_row: u32) {
    let view: LazyCell<Arc<EventView>, _> = LazyCell::new(|| {
        let mut partition = Partition::new(Arc::new(MemoryStorage::new()), true);
        let keys = partition.create(1, &arena::spec(seats, seats_per_row, 0));
        // A third is held.
        for pair in (0..seats / 2).step_by(3) {
            let id = asked::hold_id(START, u64::from(pair));
            partition.send(keys[0], asked::hold_seats(id, CustomerKey(1 << 32 | u64::from(pair)), vec![pair * 2]));
        }
        partition.settle();
        partition.engine.directory().find_key(keys[0]).expect("it is durable")
    });
    let mut group = criterion.benchmark_group(format!("view/{seats} seats"));
    group.bench_function("seat map", |bencher| bencher.iter(|| black_box(view.snapshot())));
    group.bench_function("availability", |bencher| bencher.iter(|| black_box(view.availability())));
    group.bench_function("counts", |bencher| bencher.iter(|| black_box(view.counts())));
    group.finish();
}

/// A partition whose views are brought up to date.
struct Shown {
    partition: Partition,
    keys: Vec<EventKey>,
    turns: u64,
}

impl Shown {
    fn new(events: u32) -> Shown {
        let mut partition = Partition::new(Arc::new(MemoryStorage::new()), true);
        let seats = (HOLDS_PER_TURN * 2).div_ceil(events).next_multiple_of(40);
        let keys = partition.create(events, &arena::spec(seats, 40, 0));
        Shown { partition, keys, turns: 0 }
    }

    /// The time in which 1,024 holds that are durable are shown.
    fn turn(&mut self) -> Duration {
        let partition = &mut self.partition;
        let events = self.keys.len() as u32;
        let id = |nth: u32| asked::hold_id(START, self.turns * u64::from(HOLDS_PER_TURN) + u64::from(nth));
        for nth in 0..HOLDS_PER_TURN {
            let pair = nth / events;
            let command = asked::hold_seats(id(nth), CustomerKey(u64::from(nth) + 1), vec![pair * 2, pair * 2 + 1]);
            partition.send(self.keys[(nth % events) as usize], command);
        }
        partition.shard.turn();
        partition.committer.turn().expect("the disk works");
        let began = Instant::now();
        partition.shard.turn();
        let elapsed = began.elapsed();
        assert!(partition.engine.is_idle(), "one group was all there was");
        for nth in 0..HOLDS_PER_TURN {
            partition.send(self.keys[(nth % events) as usize], asked::release(id(nth)));
        }
        partition.settle();
        self.turns += 1;
        elapsed
    }
}
