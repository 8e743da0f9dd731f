//! The program itself: what it says to a command line.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

use std::process::{Command, Output};

fn loadgen(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(words).env_clear().output().unwrap()
}

#[test]
fn the_help_names_every_scenario_and_a_wrong_one_is_told_of_them() {
    let scenarios = ["sale", "churn", "one-seat", "best", "picky", "payments", "carts"];
    let help = loadgen(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && scenarios.iter().all(|name| text.contains(name)), "{text}");

    let wrong = loadgen(&["--scenario", "lottery"]);
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{text}");
    assert!(text.contains("'lottery'") && scenarios.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_threshold_that_cannot_be_read_ends_the_run_before_it_begins() {
    let wrong = loadgen(&["--fail-if", "oversold>many"]);
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{text}");
    assert!(text.contains("--fail-if") && text.contains("oversold>many"), "{text}");
}
