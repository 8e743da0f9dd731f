//! A million holds end by time at once, as after an outage or a burst: finding them and ending them, until none is
//! due.
//!
//! Steady state: each iteration ends all holds of a sale that was made again off the clock.

use std::cell::LazyCell;
use std::time::{Duration, Instant};

use benches::sale::{Sale, Size};
use criterion::{Criterion, SamplingMode, Throughput};

/// 10^6 live holds; nothing else is wanted of the events.
const SIZE: Size = Size { events: 1_000, held_pairs: 1_000, open_pairs: 1, admissions: 0 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut sale = LazyCell::new(|| Sale::new(SIZE));
    let mut group = criterion.benchmark_group("expiry");
    // An iteration is long enough to be a sample.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.throughput(Throughput::Elements(u64::from(SIZE.held())));
    group.bench_function("10^6 holds", |bencher| {
        let sale = LazyCell::force_mut(&mut sale);
        bencher.iter_custom(|count| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..count {
                sale.begin_again();
                let began = Instant::now();
                let ended = sale.expire_all();
                elapsed += began.elapsed();
                assert_eq!(ended, u64::from(SIZE.held()), "every hold ends");
            }
            elapsed
        });
    });
    group.finish();
    criterion.final_summary();
}
