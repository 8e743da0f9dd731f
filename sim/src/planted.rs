//! Proves that the simulator finds what it is there to find: each planted bug within its budget of worlds.

use std::{process::ExitCode, time::Instant};

use probe::Bug;

use crate::{
    campaign::{Until, campaign},
    options::Profile,
    run::{Plan, run},
};

/// Worlds that may pass before a bug is found.
const WORLDS_MAX: u64 = 4_000;

/// The profiles in which a bug can show. All others would only take time.
fn profiles(bug: Bug) -> &'static [Profile] {
    use Profile as P;
    match bug {
        Bug::TailAtFirstBad | Bug::LogRemovedEarly => &[P::Rot],
        Bug::SyncRetried => &[P::Error],
        Bug::CartHalfApplied => &[P::Carts],
        Bug::PlanNotSynced => &[P::Plans, P::Crash],
        Bug::TimeGoesBack => &[P::Clock],
        Bug::FloorOffByOne => &[P::Forget],
        Bug::ReclaimBlind => &[P::Crash, P::Mixed, P::Repeat],
        Bug::EndedHoldsNotInCheckpoint | Bug::ExtendExecutedAgain => &[P::Repeat, P::Forget],
        Bug::ConfirmAtDeadline | Bug::ExpiryFreesOne | Bug::ResumedTwice => &[P::Crash, P::Clock, P::Repeat],
        _ => &[P::Crash, P::Mixed],
    }
}

/// The bug with this name.
#[must_use]
pub fn find(name: &str) -> Option<Bug> {
    Bug::ALL.iter().copied().find(|bug| format!("{bug:?}") == name)
}

/// Plants the bug with this name, or every one in turn, and looks for it.
#[must_use]
pub fn prove(name: &str, threads: usize) -> ExitCode {
    if !cfg!(usher_sim) {
        eprintln!("error: this build has no bugs to plant; use `cargo xtask sim --planted`");
        return ExitCode::from(2);
    }
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(|bug| name.is_empty() || format!("{bug:?}") == name).collect();
    if bugs.is_empty() {
        eprintln!("error: no planted bug has the name {name}");
        return ExitCode::from(2);
    }
    let mut missed = 0;
    for &bug in &bugs {
        let begin = Instant::now();
        let profiles = profiles(bug);
        let plan_of = |number: u64| {
            let profile = profiles[(number % profiles.len() as u64) as usize];
            Plan { bug: Some(bug), ..Plan::of_seed(number, Some(profile)) }
        };
        let sum = campaign(threads, Until::Worlds(WORLDS_MAX), &plan_of, &|_| {});
        let seconds = begin.elapsed().as_secs_f64();
        // A world that fails without the bug as well has found something else.
        let found = sum.failure.filter(|(plan, _)| run(&Plan { bug: None, ..plan.clone() }).violation.is_none());
        match found {
            Some((plan, outcome)) => {
                let violation = outcome.violation.map(|violation| violation.claim).unwrap_or_default();
                println!(
                    "found   {:<28} {:>5} worlds {seconds:>5.1} s  seed {} {}: not so: {violation}",
                    format!("{bug:?}"),
                    sum.worlds,
                    plan.seed,
                    plan.profile
                );
            }
            None => {
                missed += 1;
                println!("MISSED  {:<28} {:>5} worlds {seconds:>5.1} s", format!("{bug:?}"), sum.worlds);
            }
        }
    }
    println!("{} of {} planted bugs found", bugs.len() - missed, bugs.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
