//! Many worlds on a few threads, for a time or a number of seeds.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    options::Profile,
    run::{Outcome, Plan, run},
};

/// When a campaign ends, if nothing is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After so many worlds.
    Worlds(u64),
    /// After so long.
    Time(Duration),
}

/// What all worlds did together.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Worlds that were run.
    pub worlds: u64,
    /// Commands sent.
    pub commands: u64,
    /// Answers checked.
    pub answers: u64,
    /// Changes in logs.
    pub changes: u64,
    /// Crash and start cycles.
    pub cycles: u64,
    /// Damaged copies that were tried.
    pub damaged_copies: u64,
    /// Starts and checks that refused as they had to.
    pub refused: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Marked places that were reached.
    pub coverage: BTreeMap<&'static str, u64>,
    /// Faults of disks that happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// Answers by kind.
    pub answers_by_kind: BTreeMap<String, u64>,
    /// Worlds and cycles by profile.
    pub profiles: BTreeMap<Profile, (u64, u64)>,
    /// The first failure.
    pub failure: Option<(Plan, Outcome)>,
}

impl Sum {
    /// Adds what other worlds did.
    pub fn merge(&mut self, other: Sum) {
        self.worlds += other.worlds;
        self.commands += other.commands;
        self.answers += other.answers;
        self.changes += other.changes;
        self.cycles += other.cycles;
        self.damaged_copies += other.damaged_copies;
        self.refused += other.refused;
        self.checkpoints += other.checkpoints;
        add_up(&mut self.coverage, &other.coverage);
        add_up(&mut self.faults, &other.faults);
        add_up(&mut self.answers_by_kind, &other.answers_by_kind);
        for (profile, (worlds, cycles)) in other.profiles {
            let sum = self.profiles.entry(profile).or_default();
            *sum = (sum.0 + worlds, sum.1 + cycles);
        }
        if self.failure.is_none() {
            self.failure = other.failure;
        }
    }

    fn add(&mut self, plan: &Plan, outcome: Outcome) {
        self.worlds += 1;
        self.commands += outcome.counts.commands;
        self.answers += outcome.counts.answers;
        self.changes += outcome.counts.changes;
        self.cycles += outcome.counts.cycles;
        self.damaged_copies += outcome.counts.damaged_copies;
        self.refused += outcome.counts.refused_starts;
        self.checkpoints += outcome.counts.checkpoints;
        add_up(&mut self.coverage, &outcome.coverage);
        add_up(&mut self.faults, &outcome.faults);
        add_up(&mut self.answers_by_kind, &outcome.answers);
        let (worlds, cycles) = self.profiles.entry(plan.profile).or_default();
        *worlds += 1;
        *cycles += outcome.counts.cycles;
        if outcome.violation.is_some() && self.failure.is_none() {
            self.failure = Some((plan.clone(), outcome));
        }
    }
}

fn add_up<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sum.entry(key.clone()).or_default() += count;
    }
}

/// Runs the plans that `plan_of` gives for 0, 1, 2, … on so many threads, until the first failure.
pub fn campaign(
    threads: usize,
    until: Until,
    plan_of: &(dyn Fn(u64) -> Plan + Sync),
    tell: &(dyn Fn(&Sum) + Sync),
) -> Sum {
    let begin = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    let lock = || -> MutexGuard<'_, Sum> { sum.lock().expect("no code panics while it holds this lock") };
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let is_over = match until {
                Until::Worlds(worlds) => number >= worlds,
                Until::Time(time) => begin.elapsed() >= time,
            };
            if is_over {
                return;
            }
            let plan = plan_of(number);
            let outcome = run(&plan);
            if outcome.violation.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            let mut sum = lock();
            sum.add(&plan, outcome);
            tell(&sum);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    sum.into_inner().expect("no code panics while it holds this lock")
}
