//! Makes a failure small: leaves out steps while the same claim fails (delta debugging, Zeller and Hildebrandt 2002).

use crate::run::{Plan, run};

/// Runs that may be spent on it.
const RUNS_MAX: usize = 400;

/// A plan with fewer steps that fails the same claim. `plan` must fail.
#[must_use]
pub fn shrink(plan: &Plan) -> Plan {
    let plan = &Plan { is_told: false, ..plan.clone() };
    let Some(violation) = run(plan).violation else { return plan.clone() };
    let mut runs = 0;
    let mut fails = |steps: &[u64]| {
        runs += 1;
        let smaller = Plan { steps: Some(steps.to_vec()), ..plan.clone() };
        runs <= RUNS_MAX && run(&smaller).violation.is_some_and(|other| other.claim == violation.claim)
    };
    let mut steps = plan.step_numbers();
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + chunk).min(steps.len()));
            if fails(&fewer) {
                steps = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    Plan { steps: Some(steps), ..plan.clone() }
}

/// The steps as a list of ranges, for a line to be typed again.
#[must_use]
pub fn ranges(steps: &[u64]) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for &step in steps {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => parts.push((step, step)),
        }
    }
    let text: Vec<String> = parts
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    text.join(",")
}

/// The steps of such a list; nothing when it is none.
#[must_use]
pub fn parse_ranges(text: &str) -> Option<Vec<u64>> {
    let mut steps = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => steps.extend(first.parse::<u64>().ok()?..=last.parse().ok()?),
            None => steps.push(part.parse().ok()?),
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_steps_is_typed_and_read_back() {
        let steps = [0, 1, 2, 7, 9, 10];
        assert_eq!(ranges(&steps), "0-2,7,9-10");
        assert_eq!(parse_ranges("0-2,7,9-10").as_deref(), Some(&steps[..]));
        assert_eq!(parse_ranges("0-x"), None);
    }
}
