//! What is compared with what: one table. A comparison is made round by round, each side's figure of the same round, so
//! that it says nothing about how fast the machine was that minute.
//!
//! Not here: who takes part (`roster.rs`), how a goal is drawn (`page.rs`).

use peers::contestant::Figures;
use serde::Serialize;

use crate::rounds::Run;
use crate::spread::{Spread, counting};

/// What of two runs is compared, or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Commands a second; of two contestants, the first's over the second's.
    PerSecond,
    /// Latency at the median, in microseconds; of two contestants, the first's over the second's.
    P50,
    /// Latency at the 99th percentile, likewise.
    P99,
    /// How much longer the first's median is, in microseconds.
    P50More,
    /// How much longer the first's 99th percentile is, in microseconds.
    P99More,
}

/// Which figures are good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// None is asked for: the figure is for the reader.
    Told,
}

/// One line of the table.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) numerator: &'static str,
    /// Nothing when the goal is a figure of one contestant.
    pub(crate) denominator: Option<&'static str>,
    pub(crate) measure: Measure,
    pub(crate) bound: Bound,
    pub(crate) text: &'static str,
}

/// Every goal that contestants of this harness can show, then what readers ask for.
pub(crate) const GOALS: [Goal; 24] = [
    goal(
        "P1-h2load",
        "usherd-h2load",
        "echo-h2load",
        Measure::PerSecond,
        Bound::AtLeast(0.85),
        "unary holds over a bare server, h2load",
    ),
    goal(
        "P1-loadgen",
        "usherd-unary",
        "echo-unary",
        Measure::PerSecond,
        Bound::AtLeast(0.65),
        "unary over a bare server, a tonic client",
    ),
    alone(
        "P2-rate",
        "usherd-session-all",
        Measure::PerSecond,
        Bound::AtLeast(1.2e6),
        "commands a second on Sessions, one a message, all processors, client included",
    ),
    goal(
        "P2-redis",
        "usherd-session-all",
        "redis-always-pipelined-hot",
        Measure::PerSecond,
        Bound::AtLeast(12.0),
        "Sessions over Redis at its best pipelining, both durable",
    ),
    alone(
        "P3-rate",
        "usherd-batch-all",
        Measure::PerSecond,
        Bound::AtLeast(3e6),
        "commands a second in batches, all processors, client included",
    ),
    goal(
        "P3-redis",
        "usherd-batch-all",
        "redis-always-pipelined",
        Measure::PerSecond,
        Bound::AtLeast(30.0),
        "batches over Redis at its best pipelining, both durable",
    ),
    goal(
        "P3-postgres",
        "usherd-batch-all",
        "postgres",
        Measure::PerSecond,
        Bound::AtLeast(170.0),
        "batches over PostgreSQL, both durable",
    ),
    goal(
        "P4-rate",
        "usherd-h2load",
        "redis-always-hot",
        Measure::PerSecond,
        Bound::AtLeast(2.0),
        "one request per round trip, 256 in flight, over Redis, both durable",
    ),
    goal("P4-p99", "usherd-h2load", "redis-always-hot", Measure::P99, Bound::AtMost(1.0), "and its p99 is lower"),
    alone("P5-p50", "usherd-single", Measure::P50, Bound::AtMost(300.0), "one call at a time: p50"),
    goal(
        "P5-p99",
        "usherd-single",
        "disk",
        Measure::P99More,
        Bound::AtMost(400.0),
        "one call at a time: p99 above that of the disk alone",
    ),
    goal(
        "P5-half-p50",
        "usherd-rate",
        "echo-rate",
        Measure::P50More,
        Bound::AtMost(300.0),
        "at half of peak: p50 above that of a bare server",
    ),
    goal(
        "P5-half-p99",
        "usherd-rate",
        "echo-rate",
        Measure::P99,
        Bound::AtMost(2.0),
        "at half of peak: p99 over that of a bare server",
    ),
    goal(
        "P6-unary",
        "usherd-unary",
        "usherd-unary-1000",
        Measure::PerSecond,
        Bound::AtLeast(0.95),
        "one hot event over 1,000 events, unary",
    ),
    goal(
        "P6-session",
        "usherd-session",
        "usherd-session-1000",
        Measure::PerSecond,
        Bound::AtLeast(0.95),
        "one hot event over 1,000 events, Sessions",
    ),
    goal(
        "P7",
        "usherd-h2load-storm",
        "echo-h2load",
        Measure::PerSecond,
        Bound::AtLeast(0.95),
        "refusals when all is sold over a bare server",
    ),
    goal(
        "unary-redis",
        "usherd-unary",
        "redis-always-hot",
        Measure::PerSecond,
        Bound::Told,
        "the same command mix, one request per round trip, both durable",
    ),
    goal(
        "unary-everysec",
        "usherd-unary",
        "redis-everysec-hot",
        Measure::PerSecond,
        Bound::Told,
        "the same against a Redis that may lose seconds",
    ),
    goal(
        "unary-postgres",
        "usherd-unary",
        "postgres-hot",
        Measure::PerSecond,
        Bound::Told,
        "the same command mix, one hot event, both durable",
    ),
    goal(
        "spread-postgres",
        "usherd-unary-1000",
        "postgres",
        Measure::PerSecond,
        Bound::Told,
        "the same on 1,000 events",
    ),
    goal(
        "session-everysec",
        "usherd-session",
        "redis-everysec-pipelined-hot",
        Measure::PerSecond,
        Bound::Told,
        "pipelines against a Redis that may lose seconds",
    ),
    goal(
        "session-redis",
        "usherd-session",
        "redis-always-pipelined-hot",
        Measure::PerSecond,
        Bound::Told,
        "one hot event, pipelines, a processor each, both durable",
    ),
    goal("batch-bare", "usherd-batch", "echo-batch", Measure::PerSecond, Bound::Told, "batches over a bare server"),
    goal(
        "session-bare",
        "usherd-session",
        "echo-session",
        Measure::PerSecond,
        Bound::Told,
        "Sessions over a bare server",
    ),
];

const fn goal(
    name: &'static str,
    numerator: &'static str,
    denominator: &'static str,
    measure: Measure,
    bound: Bound,
    text: &'static str,
) -> Goal {
    Goal { name, numerator, denominator: Some(denominator), measure, bound, text }
}

const fn alone(
    name: &'static str,
    contestant: &'static str,
    measure: Measure,
    bound: Bound,
    text: &'static str,
) -> Goal {
    Goal { name, numerator: contestant, denominator: None, measure, bound, text }
}

/// How a goal came out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) goal: &'static str,
    pub(crate) text: &'static str,
    /// What was compared, such as `a / b, a second`.
    pub(crate) compared: String,
    /// The bound, as `>= 0.85`; empty when none is asked for.
    pub(crate) bound: String,
    /// Nothing when no round has both sides.
    pub(crate) figure: Option<Spread>,
    /// `us`, `x` for a ratio, or empty for a rate.
    pub(crate) unit: &'static str,
    /// Whether the median is within the bound.
    pub(crate) is_met: Option<bool>,
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Rounds left out because one side was disturbed.
    pub(crate) left_out: usize,
}

impl Goal {
    /// What these runs say about it.
    pub(crate) fn judge(&self, runs: &[Run]) -> Verdict {
        let (figures, left_out) = counting(self.rounds(runs));
        let rounds = figures.len();
        let figure = Spread::of(figures);
        let is_met = figure.and_then(|figure| match self.bound {
            Bound::AtLeast(least) => Some(figure.median >= least),
            Bound::AtMost(most) => Some(figure.median <= most),
            Bound::Told => None,
        });
        let measured = match self.measure {
            Measure::PerSecond => "commands a second",
            Measure::P50 | Measure::P50More => "p50",
            Measure::P99 | Measure::P99More => "p99",
        };
        let between = if self.is_difference() { " - " } else { " / " };
        let other = self.denominator.map_or_else(String::new, |name| format!("{between}{name}"));
        let compared = format!("{}{other}, {measured}", self.numerator);
        let bound = match self.bound {
            Bound::AtLeast(least) => format!(">= {}", grouped(least)),
            Bound::AtMost(most) => format!("<= {}", grouped(most)),
            Bound::Told => String::new(),
        };
        Verdict {
            goal: self.name,
            text: self.text,
            compared,
            bound,
            figure,
            unit: self.unit(),
            is_met,
            rounds,
            left_out,
        }
    }

    fn is_difference(&self) -> bool {
        matches!(self.measure, Measure::P50More | Measure::P99More)
    }

    fn unit(&self) -> &'static str {
        match (self.measure, self.denominator) {
            (Measure::P50More | Measure::P99More, _) | (Measure::P50 | Measure::P99, None) => "us",
            (Measure::PerSecond, None) => "",
            (_, Some(_)) => "x",
        }
    }

    /// The figure of each round that has both sides, and whether one of them was disturbed.
    fn rounds(&self, runs: &[Run]) -> Vec<(f64, bool)> {
        let numerators = runs.iter().filter(|run| run.name == self.numerator);
        let figure_of = |numerator: &Run| {
            let of_numerator = self.value(numerator.figures.as_ref()?)?;
            let Some(name) = self.denominator else { return Some((of_numerator, numerator.disturbance.is_some())) };
            let denominator = runs.iter().find(|run| run.name == name && run.round == numerator.round)?;
            let of_denominator = self.value(denominator.figures.as_ref()?)?;
            let is_disturbed = numerator.disturbance.is_some() || denominator.disturbance.is_some();
            if self.is_difference() {
                return Some((of_numerator - of_denominator, is_disturbed));
            }
            (of_denominator > 0.0).then(|| (of_numerator / of_denominator, is_disturbed))
        };
        numerators.filter_map(figure_of).collect()
    }

    fn value(&self, figures: &Figures) -> Option<f64> {
        match self.measure {
            Measure::PerSecond => Some(figures.per_second),
            Measure::P50 | Measure::P50More => figures.p50_us(),
            Measure::P99 | Measure::P99More => figures.p99_us(),
        }
    }
}

/// A number with at most two places behind the point, and its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let size = number.abs();
    let text = match size {
        size if size >= 100.0 => format!("{size:.0}"),
        size if size >= 10.0 => format!("{size:.1}"),
        size => format!("{size:.2}"),
    };
    let (whole, part) = text.split_once('.').map_or((text.as_str(), ""), |(whole, part)| (whole, part));
    let digits = whole.len();
    let mut out = String::from(if number < 0.0 { "-" } else { "" });
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let part = part.trim_end_matches('0');
    if part.is_empty() { out } else { format!("{out}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster;

    fn run(round: u32, name: &str, per_second: f64, p50: f64, is_disturbed: bool) -> Run {
        let figures = Figures { per_second, hold_us: vec![p50, 0.0, 0.0, 0.0, 2.0 * p50], ..Figures::default() };
        Run {
            round,
            name: name.to_owned(),
            figures: Some(figures),
            error: None,
            disturbance: is_disturbed.then(|| "stalled".to_owned()),
            late_ms: 0.0,
            stolen_share: 0.0,
            others_share: 0.0,
        }
    }

    const RATE: Goal = goal("G", "a", "b", Measure::PerSecond, Bound::AtLeast(2.0), "");

    #[test]
    fn goals_name_only_contestants_that_exist() {
        for (at, goal) in GOALS.iter().enumerate() {
            for name in [Some(goal.numerator), goal.denominator].into_iter().flatten() {
                assert!(roster::find(name).is_some(), "{}: no contestant is called {name}", goal.name);
            }
            assert!(GOALS.iter().skip(at + 1).all(|other| other.name != goal.name), "{} is twice", goal.name);
            assert!(goal.denominator.is_some() || !goal.is_difference(), "{}: the difference from nothing", goal.name);
        }
    }

    #[test]
    fn only_figures_of_the_same_round_are_compared() {
        // Were medians divided, 200 / 100 would come out.
        let mut runs = vec![run(1, "a", 100.0, 1.0, false), run(1, "b", 10.0, 1.0, false)];
        runs.extend([run(2, "b", 100.0, 1.0, false), run(2, "a", 300.0, 1.0, false)]);
        runs.extend([run(3, "a", 200.0, 1.0, false), run(3, "b", 400.0, 1.0, false)]);
        // A round without the other side.
        runs.push(run(4, "a", 9_000.0, 1.0, false));
        let verdict = RATE.judge(&runs);
        assert_eq!(verdict.figure, Some(Spread { median: 3.0, min: 0.5, max: 10.0 }));
        assert_eq!((verdict.is_met, verdict.rounds, verdict.left_out, verdict.unit), (Some(true), 3, 0, "x"));
        assert_eq!((verdict.compared.as_str(), verdict.bound.as_str()), ("a / b, commands a second", ">= 2"));
    }

    #[test]
    fn a_pair_is_disturbed_when_one_of_it_is() {
        let pair = |round, a, a_disturbed, b_disturbed| {
            [run(round, "a", a, 1.0, a_disturbed), run(round, "b", 1.0, 1.0, b_disturbed)]
        };
        let runs = [pair(1, 1.0, false, false), pair(2, 1.0, false, false), pair(3, 1.0, false, false)];
        let runs = [runs.concat(), pair(4, 9.0, true, false).to_vec(), pair(5, 9.0, false, true).to_vec()].concat();
        let verdict = RATE.judge(&runs);
        assert_eq!((verdict.figure.map(|figure| figure.max), verdict.left_out), (Some(1.0), 2));
        assert_eq!(verdict.is_met, Some(false));
    }

    #[test]
    fn a_failed_run_is_no_figure() {
        let mut failed = run(1, "b", 1.0, 1.0, false);
        failed.figures = None;
        let verdict = RATE.judge(&[run(1, "a", 1.0, 1.0, false), failed]);
        assert_eq!((verdict.figure, verdict.is_met, verdict.rounds), (None, None, 0));
    }

    #[test]
    fn latencies_are_divided_subtracted_or_told() {
        let runs = [run(1, "a", 0.0, 350.0, false), run(1, "b", 0.0, 100.0, false)];
        let median = |goal: Goal| goal.judge(&runs).figure.map(|figure| (figure.median, goal.unit()));
        let of_both = |measure| median(goal("G", "a", "b", measure, Bound::Told, ""));
        assert_eq!(of_both(Measure::P50), Some((3.5, "x")));
        assert_eq!(of_both(Measure::P50More), Some((250.0, "us")));
        assert_eq!(of_both(Measure::P99More), Some((500.0, "us")));
        assert_eq!(of_both(Measure::PerSecond), None, "nothing is divided by nothing");
        assert_eq!(median(alone("G", "a", Measure::P99, Bound::AtMost(300.0), "")), Some((700.0, "us")));
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        let cases = [(0.85, "0.85"), (12.0, "12"), (2.5, "2.5"), (1_200_000.0, "1,200,000"), (-1234.4, "-1,234")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(99.96), "100");
    }
}
