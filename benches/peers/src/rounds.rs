//! The runs: in each round everybody once, in the order of the table, so that what changes on the machine from minute
//! to minute meets all alike. Every run has a server and a folder of its own.
//!
//! Not here: what the figures mean (`report.rs`).

use std::time::{Duration, Instant};

use anyhow::Result;
use peers::contestant::{Contestant, Figures};
use peers::memory::Kept;
use peers::site::Site;
use serde::Serialize;

use crate::calm::Watch;
use crate::roster::{self, Entry, PACED, PEAK};

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// One run of one contestant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// From 1.
    pub(crate) round: u32,
    pub(crate) name: String,
    /// Nothing when it failed.
    pub(crate) figures: Option<Figures>,
    /// What failed.
    pub(crate) error: Option<String>,
    /// What disturbed it.
    pub(crate) disturbance: Option<String>,
    /// The latest wake-up of the watch, in milliseconds.
    pub(crate) late_ms: f64,
    /// Share of processor time that was stolen.
    pub(crate) stolen_share: f64,
    /// Share of processor time that programs had which are none of ours.
    pub(crate) others_share: f64,
}

/// A contestant that takes part.
pub(crate) struct Seat {
    pub(crate) entry: &'static Entry,
    pub(crate) contestant: Box<dyn Contestant>,
}

/// Runs them all.
///
/// # Errors
/// When memory cannot be kept ready.
pub(crate) fn run(site: &Site, plan: Plan, seats: &mut [Seat], kept: &mut Kept) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let in_all = plan.rounds as usize * seats.len();
    for round in 1..=plan.rounds {
        for seat in seats.iter_mut() {
            if seat.entry.group == PACED && site.pace.get().is_none() {
                find_pace(site, plan, &runs, kept)?;
            }
            let run = once(plan, round, seat, kept)?;
            runs.push(run);
            if let Some(run) = runs.last() {
                eprintln!("{:>3}/{in_all} {}", runs.len(), line(run));
            }
        }
    }
    Ok(runs)
}

/// Half of the best that usherd has shown so far, in arrivals: each is two commands, a hold and its end. When it has
/// shown nothing yet, it runs once for this alone.
fn find_pace(site: &Site, plan: Plan, runs: &[Run], kept: &mut Kept) -> Result<()> {
    let shown = runs.iter().filter(|run| run.name == PEAK).filter_map(|run| run.figures.as_ref());
    let mut peak = shown.map(|figures| figures.per_second).fold(0.0, f64::max);
    if let (true, Some(entry)) = (peak == 0.0, roster::find(PEAK)) {
        let mut seat = Seat { entry, contestant: (entry.make)(entry.name, site) };
        let run = once(plan, 0, &mut seat, kept)?;
        eprintln!("        for the rate alone: {}", line(&run));
        peak = run.figures.map_or(0.0, |figures| figures.per_second);
    }
    site.pace.set((peak / 4.0) as u64);
    Ok(())
}

fn once(plan: Plan, round: u32, seat: &mut Seat, kept: &mut Kept) -> Result<Run> {
    kept.fill_up()?;
    let giving = kept.give();
    let started = seat.contestant.start();
    // Only the run is watched: a start that is slow costs no figure.
    let watch = Watch::start();
    let result = started.and_then(|()| seat.contestant.run(plan.warmup, plan.measured));
    let seen = watch.stop();
    giving.stop(kept);
    seat.contestant.stop();
    let (figures, error) = match result {
        Ok(figures) => (Some(figures), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Ok(Run {
        round,
        name: seat.entry.name.to_owned(),
        figures,
        error,
        disturbance: seen.disturbance(),
        late_ms: seen.late.as_secs_f64() * 1e3,
        stolen_share: seen.stolen_share,
        others_share: seen.others_share,
    })
}

fn line(run: &Run) -> String {
    let outcome = match (&run.figures, &run.error) {
        (Some(figures), _) => {
            let latency = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.0} us"));
            format!(
                "{:>9.0} a second, p50 {}, p99 {}, server {}",
                figures.per_second,
                latency(figures.p50_us()),
                latency(figures.p99_us()),
                figures.server_cpu_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.2} us a command")),
            )
        }
        (None, error) => format!("FAILED: {}", error.as_deref().unwrap_or("no figures")),
    };
    let disturbance = run.disturbance.as_ref().map_or_else(String::new, |what| format!("  DISTURBED: {what}"));
    format!("{:<28} {outcome}{disturbance}", run.name)
}

/// How long all of it will take, roughly: starting, ending and audits cost about two seconds a run.
pub(crate) fn expected(plan: Plan, seats: usize) -> Duration {
    let each = plan.warmup + plan.measured + Duration::from_secs(2);
    each * plan.rounds * u32::try_from(seats).unwrap_or(u32::MAX)
}

/// A clock for the end of the report.
pub(crate) fn since(start: Instant) -> String {
    let seconds = start.elapsed().as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}
