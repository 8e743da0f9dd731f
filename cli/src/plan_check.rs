//! `usherctl plan check`: everything that is wrong with a plan, without a server.

use clap::Args;
use inventory_core::plan::{PlanProblem, Severity};
use serde_json::{Value, json};
use venue::{Format, ImportOptions, Imported};

use crate::failure::{Failure, exit};
use crate::plan_document::{self, PlanOptions, SeatIdChoice};
use crate::report::Report;
use crate::table::{counted, grouped};

const EXAMPLES: &str = "Examples:
  usherctl plan check hall.json
  usherctl plan check --format pretix --seat-id uuid stadium.json
  curl -s https://example.org/chart.json | usherctl plan check -

Exit codes: 0 no errors (there may be warnings), 1 errors, 66 no such file.";

/// Check a venue plan without a server: every problem by its path in the document
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckOptions {
    /// The plan; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    plan: PlanOptions,
}

/// Every problem of a document.
pub(crate) fn lines(format: Format, bytes: &[u8], seat_id: SeatIdChoice) -> Vec<Line> {
    import(format, bytes, seat_id).0.iter().map(Line::of_check).collect()
}

fn import(format: Format, bytes: &[u8], seat_id: SeatIdChoice) -> (Vec<PlanProblem>, Option<Counts>) {
    let options = ImportOptions { seat_key: seat_id.to_venue(), ..ImportOptions::default() };
    match venue::import(format, bytes, &options) {
        Ok(imported) => {
            let counts = Counts::of(&imported);
            (imported.problems, Some(counts))
        }
        Err(error) => (vec![PlanProblem::error("document".into(), error.to_string())], None),
    }
}

/// Runs the command.
pub(crate) fn check(options: &CheckOptions) -> Result<Report, Failure> {
    let bytes = plan_document::read(&options.file)?;
    let (format, guessed) = plan_document::format_of(&options.file, &bytes, options.plan.format)?;
    let (problems, counts) = import(format, &bytes, options.plan.seat_id);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;

    let lines: Vec<Line> = problems.iter().map(Line::of_check).collect();
    let mut text = problem_lines(&lines);
    text.push_str(&summary(&options.file, errors, warnings, counts.as_ref()));
    let json = json!({
        "file": options.file,
        "format": format.name(),
        "ok": errors == 0,
        "errors": errors,
        "warnings": warnings,
        "counts": counts.as_ref().map(Counts::json),
        "problems": lines.iter().map(Line::json).collect::<Vec<_>>(),
    });
    let mut report = Report::new(text, json).exit(if errors == 0 { 0 } else { exit::REFUSED });
    if guessed {
        report = report.note(format!("{} read as {}", options.file, plan_document::words(format)));
    }
    Ok(report)
}

/// One problem of a plan, found here or by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// It stops the plan.
    pub(crate) is_error: bool,
    /// Where, as a path into the document.
    pub(crate) path: String,
    /// What was found.
    pub(crate) problem: String,
}

impl Line {
    fn of_check(problem: &PlanProblem) -> Self {
        Self {
            is_error: problem.severity == Severity::Error,
            path: problem.path.clone(),
            problem: problem.problem.clone(),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "severity": self.severity(), "path": self.path, "problem": self.problem })
    }

    fn severity(&self) -> &'static str {
        if self.is_error { "error" } else { "warning" }
    }
}

/// One line for each problem.
pub(crate) fn problem_lines(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}: {}: {}\n", line.severity(), line.path, line.problem)).collect()
}

/// How large a plan is.
struct Counts {
    sections: usize,
    rows: usize,
    seats: usize,
    areas: usize,
    admissions: u64,
}

impl Counts {
    fn of(imported: &Imported) -> Self {
        let spec = &imported.spec;
        let rows = || spec.sections.iter().flat_map(|section| section.rows.iter());
        Self {
            sections: spec.sections.len(),
            rows: rows().count(),
            seats: rows().map(|row| row.seats.len()).sum(),
            areas: spec.areas.len(),
            admissions: spec.areas.iter().map(|area| u64::from(area.capacity)).sum(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "sections": self.sections,
            "rows": self.rows,
            "seats": self.seats,
            "ga_areas": self.areas,
            "ga_capacity": self.admissions,
        })
    }
}

fn summary(file: &str, errors: usize, warnings: usize, counts: Option<&Counts>) -> String {
    let found =
        format!("{}, {}", counted(errors as u64, "error", "errors"), counted(warnings as u64, "warning", "warnings"));
    match counts {
        // A plan with errors is only as large as the importer came: its size would mislead.
        Some(counts) if errors == 0 => {
            let seats = format!(
                "{} in {} of {}",
                counted(counts.seats as u64, "seat", "seats"),
                counted(counts.rows as u64, "row", "rows"),
                counted(counts.sections as u64, "section", "sections"),
            );
            let areas = counted(counts.areas as u64, "general admission area", "general admission areas");
            match counts.areas {
                0 => format!("{file}: {found}; {seats}\n"),
                _ => format!("{file}: {found}; {seats}, {} in {areas}\n", grouped(counts.admissions)),
            }
        }
        Some(_) | None => format!("{file}: {found}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::Write;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        check: CheckOptions,
    }

    fn check_text(text: &str, arguments: &[&str]) -> Result<Report, Failure> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room on the disk");
        let path = file.path().to_str().expect("a path of text").to_owned();
        let arguments = ["check", &path].into_iter().chain(arguments.iter().copied());
        check(&Only::try_parse_from(arguments).expect("arguments").check)
    }

    const HALL: &str = r#"{
        "usher_plan": 1, "name": "Hall", "price_levels": ["A"], "level": "A",
        "sections": [{"key": "S", "label": "Stalls", "rows": [
            {"label": "1", "count": 3, "start": [0, 0], "step": [1, 0]}
        ]}],
        "areas": [{"key": "FLOOR", "label": "Floor", "capacity": 50, "centre": [0, 20]}]
    }"#;

    #[test]
    fn a_good_plan_is_counted_and_ends_well() {
        let report = check_text(HALL, &[]).expect("readable");
        assert_eq!(report.exit_code, 0, "{}", report.text);
        assert!(
            report.text.contains("3 seats in 1 row of 1 section, 50 in 1 general admission area"),
            "{}",
            report.text
        );
        assert!(report.notes[0].ends_with("read as a plan of Usher"));
        assert_eq!(report.json["counts"]["seats"], 3);
        assert_eq!(report.json["ok"], true);
    }

    #[test]
    fn every_problem_of_a_broken_plan_is_named_by_its_path() {
        let broken = HALL.replace("\"count\": 3", "\"count\": 0").replace("\"capacity\": 50", "\"capacity\": -1");
        let report = check_text(&broken, &["--format", "usher"]).expect("readable");
        assert_eq!(report.exit_code, 1);
        let lines: Vec<_> = report.text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(lines.iter().any(|line| line.contains("rows")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("areas")), "{lines:?}");
        assert_eq!(report.json["errors"], lines.len());
        assert_eq!(report.json["problems"][0]["severity"], "error");
    }

    #[test]
    fn a_document_that_is_no_json_is_one_problem_when_its_format_is_given() {
        let report = check_text("{", &["--format", "seatsio"]).expect("readable");
        assert_eq!((report.exit_code, report.json["errors"].as_u64()), (1, Some(1)));
        assert_eq!(report.json["problems"][0]["path"], "document");
    }

    #[test]
    fn a_file_that_is_not_there_is_missing_input() {
        let options = Only::try_parse_from(["check", "no-such-file.json"]).expect("arguments").check;
        assert_eq!(check(&options).expect_err("no file").exit_code(), exit::INPUT_MISSING);
    }
}
