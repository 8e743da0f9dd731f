//! What all runs came to, as data and as text. `bench.json` is this, whole, with every run.
//!
//! Not here: pictures (`page.rs`, `chart.rs`).

use std::fmt::Write as _;

use peers::contestant::{Figures, QUANTILES};
use serde::Serialize;

use crate::goals::{GOALS, Verdict, grouped};
use crate::machine::Machine;
use crate::roster::{GROUPS, ROSTER};
use crate::rounds::{Run, Seat};
use crate::spread::{Spread, counting};

/// Everything there is to tell.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) warmup_seconds: f64,
    pub(crate) took: String,
    /// What the reader must know before any figure.
    pub(crate) warnings: Vec<String>,
    /// Contestants whose programs are not here, and why.
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Verdict>,
    pub(crate) runs: Vec<Run>,
}

/// One contestant over its rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) group: &'static str,
    pub(crate) what: String,
    pub(crate) per_second: Option<Spread>,
    /// The median over the rounds, at each of the quantiles.
    pub(crate) hold_us: Vec<f64>,
    pub(crate) p50_us: Option<Spread>,
    pub(crate) p99_us: Option<Spread>,
    pub(crate) server_cpu_us: Option<Spread>,
    pub(crate) client_cpu_us: Option<Spread>,
    /// Rounds that count, that were left out as disturbed, and that failed.
    pub(crate) counted: usize,
    pub(crate) left_out: usize,
    pub(crate) failed: usize,
    /// Of its runs, each once.
    pub(crate) notes: Vec<String>,
}

/// The names of the quantiles.
pub(crate) const QUANTILE_NAMES: [&str; QUANTILES.len()] = ["p50", "p75", "p90", "p95", "p99", "p99.9", "max"];

impl Row {
    /// What the runs of one contestant came to.
    pub(crate) fn of(seat: &Seat, runs: &[Run]) -> Row {
        let own = || runs.iter().filter(|run| run.name == seat.entry.name);
        let done = own().filter_map(|run| Some((run.figures.as_ref()?, run.disturbance.is_some())));
        let (figures, left_out) = counting(done);
        let spread =
            |of: &dyn Fn(&Figures) -> Option<f64>| Spread::of(figures.iter().filter_map(|figures| of(figures)));
        let quantile = |at: usize| spread(&|figures| figures.hold_us.get(at).copied()).map(|spread| spread.median);
        let mut notes: Vec<String> = own()
            .flat_map(|run| [run.figures.as_ref().map(|figures| figures.note.clone()), run.error.clone()])
            .flatten()
            .filter(|note| !note.is_empty())
            .collect();
        notes.sort();
        notes.dedup();
        Row {
            name: seat.entry.name.to_owned(),
            group: seat.entry.group,
            what: seat.contestant.what().to_owned(),
            per_second: spread(&|figures| Some(figures.per_second)),
            hold_us: (0..QUANTILES.len()).map_while(quantile).collect(),
            p50_us: spread(&Figures::p50_us),
            p99_us: spread(&Figures::p99_us),
            server_cpu_us: spread(&|figures| figures.server_cpu_us),
            client_cpu_us: spread(&|figures| figures.client_cpu_us),
            counted: figures.len(),
            left_out,
            failed: own().filter(|run| run.error.is_some()).count(),
            notes,
        }
    }

    /// How many rounds count, in words.
    pub(crate) fn rounds(&self) -> String {
        let mut text = self.counted.to_string();
        for (count, what) in [(self.left_out, "left out"), (self.failed, "failed")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

/// A median with its ends, as `3.1 (2.9 to 3.3)`; of one round it has none.
pub(crate) fn spread_text(spread: Option<Spread>) -> String {
    match spread {
        None => "-".to_owned(),
        Some(Spread { median, min, max }) if min == max => grouped(median),
        Some(Spread { median, min, max }) => format!("{} ({} to {})", grouped(median), grouped(min), grouped(max)),
    }
}

/// The ends alone, when there are two.
pub(crate) fn ends_text(spread: Option<Spread>) -> String {
    let ends = spread.filter(|spread| spread.min != spread.max);
    ends.map_or_else(String::new, |Spread { min, max, .. }| format!("{} to {}", grouped(min), grouped(max)))
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| grouped(spread.median))
}

impl Verdict {
    /// `met`, `MISSED`, or nothing where no bound is.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        }
    }

    /// The median with its unit.
    pub(crate) fn median(&self) -> String {
        let unit = if self.unit == "us" { " us" } else { self.unit };
        self.figure.map_or_else(|| "-".to_owned(), |figure| format!("{}{unit}", grouped(figure.median)))
    }
}

/// The verdicts on every goal whose contestants took part.
pub(crate) fn verdicts(seats: &[Seat], runs: &[Run]) -> Vec<Verdict> {
    let is_here = |name: &str| seats.iter().any(|seat| seat.entry.name == name);
    let shown = GOALS.iter().filter(|goal| is_here(goal.numerator) && goal.denominator.is_none_or(is_here));
    shown.map(|goal| goal.judge(runs)).collect()
}

/// Rows of cells under heads; which columns are numbers and stand to the right.
struct Table {
    heads: Vec<&'static str>,
    is_number: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Report {
    fn figures(&self, group: &str) -> Table {
        let cells = |row: &Row| {
            vec![
                row.name.clone(),
                spread_text(row.per_second),
                median(row.p50_us),
                median(row.p99_us),
                median(row.server_cpu_us),
                median(row.client_cpu_us),
                row.rounds(),
            ]
        };
        Table {
            heads: vec![
                "contestant",
                "a second (least to most)",
                "p50 us",
                "p99 us",
                "server us",
                "client us",
                "rounds",
            ],
            is_number: vec![false, true, true, true, true, true, false],
            rows: self.rows.iter().filter(|row| row.group == group).map(cells).collect(),
        }
    }

    fn ratios(&self) -> Table {
        let cells = |goal: &Verdict| {
            let ends = ends_text(goal.figure);
            let (median, outcome) = (goal.median(), goal.outcome().to_owned());
            vec![goal.goal.to_owned(), goal.compared.clone(), median, ends, goal.bound.clone(), outcome]
        };
        Table {
            heads: vec!["goal", "compared", "median", "least to most", "asked", ""],
            is_number: vec![false, false, true, true, true, false],
            rows: self.goals.iter().map(cells).collect(),
        }
    }

    fn groups(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        GROUPS.into_iter().filter(|(group, _)| self.rows.iter().any(|row| row.group == *group))
    }

    /// Warnings, what was skipped and what failed, a sentence each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = self.warnings.clone();
        remarks.extend(self.skipped.iter().map(|(name, reason)| format!("{name} was skipped: {reason}")));
        for run in &self.runs {
            if let Some(error) = &run.error {
                remarks.push(format!("round {}: {} failed: {error}", run.round, run.name));
            }
            if let Some(disturbance) = &run.disturbance {
                remarks.push(format!("round {}: {} was disturbed: {disturbance}", run.round, run.name));
            }
        }
        remarks
    }

    /// The machine and the run, name by name.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let machine = &self.machine;
        let runs = format!(
            "{} rounds of {} s after {} s of warm-up, {}",
            self.rounds, self.seconds, self.warmup_seconds, self.took
        );
        let processor = format!("{}, {} cores, {}", machine.processor, machine.cores, machine.hypervisor);
        let mut facts = vec![
            ("date", machine.date.clone()),
            ("commit", machine.commit.clone()),
            ("command", machine.command.clone()),
            ("runs", runs),
            ("processor", processor),
            ("pinning", machine.pinning.clone()),
            ("memory", machine.memory.clone()),
            ("kernel", machine.kernel.clone()),
            ("data folder", machine.disk.clone()),
        ];
        facts.extend(machine.versions.iter().map(|(name, version)| (name.as_str(), version.clone())));
        facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for (group, title) in self.groups() {
            let _ = writeln!(out, "{group}: {title}\n{}", self.figures(group).aligned());
        }
        if !self.goals.is_empty() {
            let _ = writeln!(out, "round by round\n{}", self.ratios().aligned());
        }
        for remark in self.remarks() {
            let _ = writeln!(out, "! {remark}");
        }
        out
    }

    /// For a repository.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from("# Bench\n\n| | |\n|---|---|\n");
        for (name, fact) in self.facts() {
            let _ = writeln!(out, "| {name} | {} |", cell(&fact));
        }
        for remark in self.remarks() {
            let _ = write!(out, "\n- {}", cell(&remark));
        }
        if !self.goals.is_empty() {
            let _ = write!(out, "\n## Round by round\n\n{}", self.ratios().markdown());
        }
        for (group, title) in self.groups() {
            let _ = write!(out, "\n## {title}\n\n{}\n", self.figures(group).markdown());
            for row in self.rows.iter().filter(|row| row.group == group) {
                let notes = if row.notes.is_empty() { String::new() } else { format!(" ({})", row.notes.join("; ")) };
                let _ = writeln!(out, "- `{}`: {}{}", row.name, cell(&row.what), cell(&notes));
            }
        }
        out
    }
}

impl Table {
    fn aligned(&self) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            cells.chain([self.heads[at].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut out = String::new();
        let heads: Vec<String> = self.heads.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, &width), is_number) in row.iter().zip(&widths).zip(&self.is_number) {
                let _ = if *is_number { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:<width$}") };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn markdown(&self) -> String {
        let mut out = format!("| {} |\n|", self.heads.join(" | "));
        for is_number in &self.is_number {
            out.push_str(if *is_number { "---:|" } else { "---|" });
        }
        out.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        out
    }
}

/// Text as a cell of a Markdown table: on one line, without a bar or a tag.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;")
}

/// The contestants with what they are, and the goals.
pub(crate) fn list() -> String {
    let mut out = String::new();
    for (group, title) in GROUPS {
        let _ = writeln!(out, "{group}: {title}");
        for entry in ROSTER.iter().filter(|entry| entry.group == group) {
            let state = (entry.available)().err().map_or_else(String::new, |missing| format!("  ({missing})"));
            let _ = writeln!(out, "  {}{state}", entry.name);
        }
    }
    out.push_str("goals\n");
    for goal in &GOALS {
        let verdict = goal.judge(&[]);
        let _ = writeln!(out, "  {:<16} {:<10} {}: {}", goal.name, verdict.bound, verdict.compared, goal.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".to_owned(), "1,000".to_owned()], vec!["longer".to_owned(), "2".to_owned()]];
        let table = Table { heads: vec!["name", "n"], is_number: vec![false, true], rows };
        assert_eq!(table.aligned(), "  name        n\n  a       1,000\n  longer      2\n");
        assert_eq!(table.markdown(), "| name | n |\n|---|---:|\n| a | 1,000 |\n| longer | 2 |\n");
    }

    #[test]
    fn a_cell_stays_on_its_line_and_in_its_column() {
        assert_eq!(cell("a | b\nc <d>"), "a \\| b c &lt;d>");
    }
}
