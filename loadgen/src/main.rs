//! `loadgen`: sells places as a crowd would, and proves that none was sold twice.
//!
//! Scenarios: a [`sale`] to the last place, and three of its kind, in which everybody lets the server choose, everybody
//! names seats, or every buyer's payment is a story of its own; [`churn`] for rates, [`one_seat`] that everybody wants,
//! [`carts`] over several events.
//! Each ends with an [`audit`] of what was acknowledged against what the server says, and that is the point: a rate
//! without it is worth nothing. How it is used is in `--help` and in `docs/LOADGEN.md`.

mod arrangement;
mod audit;
mod board;
mod buyer;
mod cart_audit;
mod carts;
mod churn;
mod connect;
mod cpu;
mod duration;
mod hlog;
mod house;
mod interrupt;
mod ledger;
mod made_venue;
mod measure;
mod money;
mod one_seat;
mod options;
mod own_event;
mod pacing;
mod party;
mod patience;
mod payer;
mod picks;
mod presale;
mod progress;
mod report;
mod sale;
mod server_view;
mod strands;
mod thresholds;
mod topology;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::options::{Options, Scenario};
use crate::report::Outcome;

/// The server uses the same one; with the system's, the generator would be the slower side.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The audit is broken, or the run could not be done.
const EXIT_BROKEN: u8 = 1;
/// The command line makes no sense.
const EXIT_USAGE: u8 = 2;
/// A threshold failed: the code other load generators use for it.
const EXIT_THRESHOLD: u8 = 99;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(problem) = options.check() {
        eprintln!("loadgen: {problem}");
        return ExitCode::from(EXIT_USAGE);
    }
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<u8> {
    let outcome = match options.scenario {
        _ if options.audit_only => sale::audit_only(options),
        Scenario::Sale | Scenario::Best | Scenario::Picky | Scenario::Payments => sale::run(options),
        Scenario::Churn => churn::run(options),
        Scenario::OneSeat => one_seat::run(options),
        Scenario::Carts => carts::run(options),
    }?;
    let report = outcome.to_json(options);
    if let (Some(path), Some((measure, window))) = (&options.hlog, &outcome.measure) {
        hlog::write(path, measure, window.started_at(), window.length())?;
    }
    tell(options, &outcome, &report)?;
    let mut failed = false;
    for threshold in &options.fail_if {
        match threshold.failed(&report) {
            Ok(None) => {}
            Ok(Some(value)) => {
                failed = true;
                eprintln!("loadgen: threshold {:?} failed: it is {value}", threshold.text());
            }
            Err(error) => {
                eprintln!("loadgen: {error:#}");
                return Ok(EXIT_USAGE);
            }
        }
    }
    // A broken audit outweighs a threshold: it is never only slow.
    Ok(match (outcome.is_clean(), failed) {
        (false, _) => EXIT_BROKEN,
        (true, true) => EXIT_THRESHOLD,
        (true, false) => 0,
    })
}

/// Data to standard output, or to the file asked for.
fn tell(options: &Options, outcome: &Outcome, report: &serde_json::Value) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match &options.json {
        Some(path) if path.as_os_str() == "-" => {
            writeln!(stdout, "{report:#}").context("cannot write to standard output")?;
        }
        path => {
            if let Some(path) = path {
                std::fs::write(path, format!("{report:#}\n"))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            write!(stdout, "{}", outcome.to_text(report)).context("cannot write to standard output")?;
        }
    }
    Ok(())
}
