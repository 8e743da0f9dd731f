//! What each kind of command costs: decide and apply, on one event and on 1,000 events with 10^6 live holds.
//!
//! Steady state: commands walk over the pairs of a sale in an order without a pattern, and when all are used up the
//! sale begins again off the clock (`course.rs`). What reads only changes nothing and just comes round. Every event
//! has limits for customers, and every hold names one.

use std::cell::{LazyCell, RefCell};

use benches::{
    course::Course,
    sale::{Pair, Sale, Size},
};
use criterion::{Criterion, Throughput};
use inventory_core::{command::Command, slot::Decision};

const ONE_EVENT: Size = Size { events: 1, held_pairs: 1_000, open_pairs: 1_000, admissions: 2_000 };
/// 10^6 live holds.
const MANY_EVENTS: Size = Size { events: 1_000, held_pairs: 1_000, open_pairs: 1_000, admissions: 2_000 };

/// Which pairs a command is about.
#[derive(Clone, Copy)]
enum Pairs {
    Held,
    Open,
}

type Make = fn(&Sale, Pair) -> Command;

const CHANGES: [(&str, Pairs, Make); 5] = [
    ("hold two seats", Pairs::Open, Sale::hold),
    ("hold two admissions", Pairs::Open, Sale::hold_admissions),
    ("confirm", Pairs::Held, Sale::confirm),
    ("release", Pairs::Held, Sale::release),
    ("extend", Pairs::Held, Sale::extend),
];

const READS: [(&str, Make); 3] =
    [("get hold", Sale::get_hold), ("hold, refused: taken", Sale::hold_of_another), ("hold, repeated", Sale::hold)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    commands(&mut criterion, "command/1 event", ONE_EVENT);
    commands(&mut criterion, "command/1000 events", MANY_EVENTS);
    criterion.final_summary();
}

fn commands(criterion: &mut Criterion, name: &str, size: Size) {
    // Made when the first benchmark that is asked for needs it.
    let sale = LazyCell::new(|| RefCell::new(Sale::new(size)));
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    for (what, pairs, make) in CHANGES {
        let mut course = LazyCell::new(|| match pairs {
            Pairs::Held => Course::new(size.held(), 1),
            Pairs::Open => Course::new(size.open(), 2),
        });
        group.bench_function(what, |bencher| {
            let sale = &mut *sale.borrow_mut();
            let course = LazyCell::force_mut(&mut course);
            course.prepare(sale);
            bencher.iter_custom(|count| {
                course.change(sale, count, |sale, nth| {
                    let pair = pair_of(sale, pairs, nth);
                    (pair, make(sale, pair))
                })
            });
        });
    }
    for (what, make) in READS {
        let mut course = LazyCell::new(|| {
            sale.borrow_mut().begin_again();
            assert_reads(&sale.borrow(), what, make);
            Course::new(size.held(), 3)
        });
        group.bench_function(what, |bencher| {
            let course = LazyCell::force_mut(&mut course);
            bencher.iter_custom(|count| {
                course.read(&sale.borrow(), count, |sale, nth| {
                    let pair = sale.held_pair(nth);
                    (pair, make(sale, pair))
                })
            });
        });
    }
    // P9: two elements, a hold and a confirm.
    let mut course = LazyCell::new(|| Course::new(size.open(), 4));
    group.throughput(Throughput::Elements(2));
    group.bench_function("P9: sell (hold and confirm: decide, apply, encode, digest)", |bencher| {
        let sale = &mut *sale.borrow_mut();
        let course = LazyCell::force_mut(&mut course);
        course.prepare_to_sell(sale);
        bencher.iter_custom(|count| course.sell(sale, count));
    });
    group.finish();
}

fn pair_of(sale: &Sale, pairs: Pairs, nth: u32) -> Pair {
    match pairs {
        Pairs::Held => sale.held_pair(nth),
        Pairs::Open => sale.open_pair(nth),
    }
}

/// That the commands are answered as their names say.
fn assert_reads(sale: &Sale, what: &str, make: Make) {
    let pair = sale.held_pair(0);
    let decided = sale.decide(pair.event, &make(sale, pair));
    let is_as_said = match what {
        "get hold" => matches!(decided, Ok(Decision::Hold { replayed: false, .. })),
        "hold, repeated" => matches!(decided, Ok(Decision::Hold { replayed: true, .. })),
        _ => decided.is_err(),
    };
    assert!(is_as_said, "{what}: {decided:?}");
}
