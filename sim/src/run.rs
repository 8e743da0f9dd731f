//! One world from its first step to its end, panics included.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, UnwindSafe, catch_unwind},
};

use probe::Bug;

use crate::{
    carts::CartWorld,
    options::{Options, Profile},
    violation::Violation,
    world::{Counts, World},
};

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything is drawn from it.
    pub seed: u64,
    /// What may go wrong.
    pub profile: Profile,
    /// The steps to take; none: all of them. Fewer make a failure small.
    pub steps: Option<Vec<u64>>,
    /// Tell everything that happens on stderr.
    pub is_told: bool,
    /// A bug to plant; only a build with the probes has it.
    pub bug: Option<Bug>,
}

impl Plan {
    /// All steps of a seed, with the profile it has.
    #[must_use]
    pub fn of_seed(seed: u64, profile: Option<Profile>) -> Plan {
        Plan {
            seed,
            profile: profile.unwrap_or_else(|| Profile::of_seed(seed)),
            steps: None,
            bug: None,
            is_told: false,
        }
    }

    /// The options that the seed draws.
    #[must_use]
    pub fn options(&self) -> Options {
        Options::draw(self.seed, self.profile)
    }

    /// The steps it takes.
    #[must_use]
    pub fn step_numbers(&self) -> Vec<u64> {
        self.steps.clone().unwrap_or_else(|| (0..self.options().steps).collect())
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it did.
    pub counts: Counts,
    /// A hash of everything that happened: the same plan gives the same.
    pub digest: u64,
    /// The claim that did not hold.
    pub violation: Option<Violation>,
    /// Marked places that were reached.
    pub coverage: BTreeMap<&'static str, u64>,
    /// Faults of the disk that happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often each command got each kind of answer.
    pub answers: BTreeMap<String, u64>,
}

/// Runs one world on this thread.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    arm(plan);
    if plan.profile == Profile::Carts {
        return run_carts(plan);
    }
    let mut world = World::new(plan.seed, plan.options());
    if plan.is_told {
        world.be_told();
    }
    let steps = plan.step_numbers();
    let body = AssertUnwindSafe(|| {
        for &step in &steps {
            world.step(step)?;
        }
        world.finish()
    });
    let result = caught(body);
    let outcome = Outcome {
        counts: world.counts().clone(),
        digest: world.digest(),
        violation: result.err(),
        coverage: coverage(),
        faults: world.faults(),
        answers: world.answers_by_kind().clone(),
    };
    // What is left of a world that panicked may panic again when it is dropped.
    if outcome.violation.is_some() {
        std::mem::forget(world)
    }
    disarm();
    outcome
}

/// As [`run`], for a world of carts.
fn run_carts(plan: &Plan) -> Outcome {
    let mut world = CartWorld::new(plan.seed, plan.options(), plan.is_told);
    let steps = plan.step_numbers();
    let result = caught(AssertUnwindSafe(|| {
        for &step in &steps {
            world.step(step)?;
        }
        world.finish()
    }));
    let outcome = Outcome {
        counts: world.counts().clone(),
        digest: world.digest(),
        violation: result.err(),
        coverage: coverage(),
        faults: world.faults(),
        answers: world.answers_by_kind().clone(),
    };
    if outcome.violation.is_some() {
        std::mem::forget(world)
    }
    disarm();
    outcome
}

/// What came of a world, panics included.
fn caught(body: impl FnOnce() -> Result<(), Violation> + UnwindSafe) -> Result<(), Violation> {
    catch_unwind(body).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { claim: "nothing panics", seen: text.unwrap_or_default() })
    })
}

#[cfg(usher_sim)]
fn arm(plan: &Plan) {
    probe::arm(plan.seed, plan.bug);
}

#[cfg(usher_sim)]
fn disarm() {
    probe::disarm();
}

#[cfg(usher_sim)]
fn coverage() -> BTreeMap<&'static str, u64> {
    probe::coverage()
}

#[cfg(not(usher_sim))]
fn arm(plan: &Plan) {
    assert_eq!(plan.bug, None, "this build has no bugs to plant");
}

#[cfg(not(usher_sim))]
fn disarm() {}

#[cfg(not(usher_sim))]
fn coverage() -> BTreeMap<&'static str, u64> {
    BTreeMap::new()
}
