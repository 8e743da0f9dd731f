//! Whether a command costs more when there is more beside it (P13): sales in one core, at 10^3, 10^5 and 10^7 places,
//! and at 1, 10^3 and 10^5 events of 100 places each. Half of all pairs are held when a sale begins, half are sold.
//!
//! Two elements an iteration: a hold and a confirm, decided, applied, encoded and digested. What grows with size are
//! the misses of the caches; nothing else should.
//!
//! Steady state: the sale begins again off the clock when it is sold out (`course.rs`).

use benches::{
    course::Course,
    sale::{Sale, Size},
};
use criterion::{Criterion, Throughput};

const fn size(events: u32, places_of_each: u32) -> Size {
    let pairs = places_of_each / 4;
    Size { events, held_pairs: pairs, open_pairs: pairs, admissions: 0 }
}

const PLACES: [(&str, Size); 3] = [
    ("10^3 places", size(1, 1_000)),
    ("10^5 places", size(1, 100_000)),
    // An event has at most 10^6.
    ("10^7 places", size(10, 1_000_000)),
];

const EVENTS: [(&str, Size); 3] =
    [("1 event", size(1, 100)), ("10^3 events", size(1_000, 100)), ("10^5 events", size(100_000, 100))];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (axis, sizes) in [("places", PLACES), ("events", EVENTS)] {
        let mut group = criterion.benchmark_group(format!("growth/{axis}"));
        group.throughput(Throughput::Elements(2));
        for (name, size) in sizes {
            // Gone before the next one is made.
            let mut sale = None;
            group.bench_function(name, |bencher| {
                let (sale, course) =
                    sale.get_or_insert_with(|| (Sale::new(size), Course::new(size.open(), u64::from(size.events))));
                course.prepare_to_sell(sale);
                bencher.iter_custom(|count| course.sell(sale, count));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
