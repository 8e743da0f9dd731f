//! Every contestant of others does a very short run, so that a bench does not fail for the first time at its end.
//!
//! Without the program a test says so and passes; in nightly CI, where `.ci/install-peers` has installed it, it fails.

use std::time::Duration;

use peers::contestant::{Contestant, QUANTILES};
use peers::cores::Cores;
use peers::postgres::{self, Postgres, Wanted};
use peers::redis::{self, Fsync, Pipelined, Redis};

/// Tests that measure nothing need no pause between the load's begin and its end.
const WARMUP: Duration = Duration::from_millis(100);
const MEASURED: Duration = Duration::from_millis(300);

fn is_here(available: Result<(), String>) -> bool {
    let Err(missing) = available else { return true };
    assert!(std::env::var_os("USHER_CI_NIGHTLY").is_none(), "in a nightly run every contestant must run: {missing}");
    eprintln!("SKIPPED, NOTHING WAS TESTED: {missing}");
    false
}

fn check(mut contestant: impl Contestant, times: u32) {
    for _ in 0..times {
        contestant.start().expect("it starts");
        let figures = contestant.run(WARMUP, MEASURED).expect("a run with a clean audit");
        contestant.stop();
        let name = contestant.name();
        assert!(figures.commands > 0, "{name} answered nothing");
        assert_eq!(figures.hold_us.len(), QUANTILES.len(), "{name} tells latencies");
        assert!(figures.hold_us.is_sorted(), "{name}: quantiles do not fall: {:?}", figures.hold_us);
        assert!(figures.server_cpu_us.is_some() && figures.client_cpu_us.is_some(), "{name} tells processor time");
    }
}

#[test]
fn redis_runs_and_its_audit_is_clean() {
    if is_here(redis::available()) {
        let cores = Cores::find();
        check(Redis::new(&cores, Fsync::Always, Pipelined::No { connections: 8 }, 1), 2);
        check(Redis::new(&cores, Fsync::Always, Pipelined::Yes { connections: 3, in_flight: 64 }, 10), 1);
        check(Redis::new(&cores, Fsync::EverySecond, Pipelined::Yes { connections: 4, in_flight: 64 }, 1000), 1);
    }
}

#[test]
fn postgres_runs_and_its_audit_is_clean() {
    if is_here(postgres::available()) {
        let cores = Cores::find();
        check(Postgres::new(&cores, Wanted::Given { events: 1000 }), 2);
        check(Postgres::new(&cores, Wanted::Best), 1);
    }
}
