//! The simulator itself, in the build that everybody has: no rare paths, no planted bugs.

use sim::{
    options::Profile,
    run::{Plan, run},
};

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for profile in Profile::ALL {
        let plan = Plan::of_seed(3, Some(*profile));
        let (first, second) = (run(&plan), run(&plan));
        assert_eq!(first, second, "{profile}");
        assert!(first.counts.commands > 0 && first.digest != 0, "{profile}: {first:?}");
    }
}

#[test]
fn other_seeds_give_other_bytes() {
    let digest = |seed| run(&Plan::of_seed(seed, Some(Profile::Crash))).digest;
    assert_ne!(digest(1), digest(2));
}

#[test]
fn every_profile_holds_for_some_seeds() {
    for profile in Profile::ALL {
        let mut cycles = 0;
        for seed in 100..103 {
            let outcome = run(&Plan::of_seed(seed, Some(*profile)));
            assert_eq!(outcome.violation, None, "cargo xtask sim --seed {seed} --profile {profile}");
            cycles += outcome.counts.cycles;
        }
        assert!(cycles > 3, "{profile}: {cycles} starts in 3 worlds");
    }
}

#[test]
fn a_world_goes_on_without_some_of_its_steps() {
    let whole = Plan::of_seed(5, Some(Profile::Mixed));
    let steps: Vec<u64> = whole.step_numbers().into_iter().filter(|step| step % 3 != 0).collect();
    let outcome = run(&Plan { steps: Some(steps), ..whole });
    assert_eq!(outcome.violation, None);
}

#[test]
fn every_planted_bug_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<String> = probe::Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect();
    assert_eq!(names.len(), probe::Bug::ALL.len());
    assert!(names.len() >= 20);
}
