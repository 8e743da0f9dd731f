//! `cargo xtask bench`: runs everybody in turn, compares them, and writes a report.
//!
//! ```text
//! roster ─> rounds (A B C, A B C, …) ─> report: spreads, goals ─> text, JSON, Markdown, HTML
//! ```
//!
//! Not here: what contestants are and do (the library of this crate).

mod roster;
mod rounds;
mod calm;
mod goals;
mod spread;
mod report;
mod machine;
mod page;
mod chart;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use peers::cores::Cores;
use peers::memory;
use peers::site::{Pace, Site};

use crate::machine::Machine;
use crate::report::{Report, Row};
use crate::rounds::{Plan, Seat};

/// Runs usherd beside what people use today, in turn, and compares.
#[derive(Parser)]
#[command(name = "bench", after_help = AFTER_HELP)]
struct Options {
    /// How often each contestant runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds measured in each run.
    #[arg(long, default_value = "4", value_parser = seconds)]
    seconds: Duration,
    /// Seconds of load before that.
    #[arg(long, default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// Only these contestants, names with commas between.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    /// Only contestants of these groups.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    group: Vec<String>,
    /// Name the contestants and goals, and end.
    #[arg(long)]
    list: bool,
    /// Where bench.json, bench.md and bench.html are written.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
    /// Where data folders are made; on a disk that holds what matters.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    data: PathBuf,
    /// Where usherd, usherctl, loadgen and echo are [default: beside this program].
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Arrivals a second of the open loops, instead of half of the peak of usherd-unary.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// For children of this program: touch so much memory and hold it until the input ends.
    #[arg(long, value_name = "MIB", hide = true)]
    hold_memory: Option<usize>,
}

const AFTER_HELP: &str = "\
Examples:
  cargo xtask bench                                   everything: about ten minutes
  cargo xtask bench --group h2load --rounds 3         one group
  cargo xtask bench --only echo-unary,usherd-unary    two contestants

docs/BENCH.md tells what each contestant does and how to read the report.

Exit status: 0 all that could run ran, 1 a run failed or nothing could be run, 2 wrong usage.";

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if !(0.0..=86_400.0).contains(&number) {
        return Err("between 0 and 86400".to_owned());
    }
    Ok(Duration::from_secs_f64(number))
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(mib) = options.hold_memory {
        return memory::hold(mib);
    }
    match bench(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every run ended well.
fn bench(options: &Options) -> Result<bool> {
    if options.list {
        print!("{}", report::list());
        return Ok(true);
    }
    let selected = roster::select(&options.only, &options.group)
        .unwrap_or_else(|error| Options::command().error(ErrorKind::InvalidValue, error).exit());
    let site = site(options)?;
    // What does not come out is made before the first run, not missed after the last.
    std::fs::create_dir_all(&options.out).with_context(|| format!("make {}", options.out.display()))?;
    let (mut warnings, mut skipped) = (Vec::new(), Vec::new());
    let mount = machine::mount_of(&site.data);
    if mount.as_ref().is_some_and(machine::Mount::is_memory) {
        warnings.push(format!(
            "{} IS IN MEMORY: NOTHING IS DURABLE AND NO FIGURE MEANS ANYTHING; give --data a folder on a disk",
            site.data.display()
        ));
    }
    if !site.cores.pinned {
        warnings.push("servers and clients share processors: rates say less, ratios too".to_owned());
    }
    let mut seats = Vec::new();
    for entry in selected {
        match (entry.available)() {
            Ok(()) => seats.push(Seat { entry, contestant: (entry.make)(entry.name, &site) }),
            Err(missing) => skipped.push((entry.name.to_owned(), missing)),
        }
    }
    warnings.iter().for_each(|warning| eprintln!("WARNING: {warning}"));
    skipped.iter().for_each(|(name, missing)| eprintln!("SKIPPED: {name}: {missing}"));
    ensure!(!seats.is_empty(), "nobody is left to run");

    let plan = Plan { rounds: options.rounds, warmup: options.warmup, measured: options.seconds };
    let about = rounds::expected(plan, seats.len()).as_secs().div_ceil(60);
    eprintln!("{} contestants, {} rounds: about {about} min", seats.len(), plan.rounds);
    let begin = Instant::now();
    let program = std::env::current_exe().context("find this program")?;
    let mut kept = memory::Kept::take(&program)?;
    eprintln!("{} MiB of memory made ready in {:.1} s", kept.mib(), begin.elapsed().as_secs_f64());
    let runs = rounds::run(&site, plan, &mut seats, &mut kept)?;
    let report = Report {
        machine: Machine::find(&site, mount.as_ref()),
        rounds: plan.rounds,
        seconds: plan.measured.as_secs_f64(),
        warmup_seconds: plan.warmup.as_secs_f64(),
        took: rounds::since(begin),
        warnings,
        skipped,
        rows: seats.iter().map(|seat| Row::of(seat, &runs)).collect(),
        goals: report::verdicts(&seats, &runs),
        runs,
    };
    let write = |name: &str, text: String| {
        let path = options.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write("bench.json", serde_json::to_string_pretty(&report)?)?;
    write("bench.md", report.markdown())?;
    write("bench.html", page::page(&report))?;
    print!("{}", report.text());
    eprintln!("the report is in {}", options.out.join("bench.html").display());
    Ok(report.runs.iter().all(|run| run.error.is_none()))
}

fn site(options: &Options) -> Result<Site> {
    let programs = match &options.programs {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    let programs = programs.canonicalize().with_context(|| format!("the folder {}", programs.display()))?;
    for name in ["usherd", "usherctl", "loadgen", "echo"] {
        ensure!(
            programs.join(name).is_file(),
            "{} is not there: build it, or give --programs",
            programs.join(name).display()
        );
    }
    std::fs::create_dir_all(&options.data).with_context(|| format!("make {}", options.data.display()))?;
    let data = options.data.canonicalize()?;
    // Contestants of others make their folders where temporary ones go: on the same disk.
    let _ = tempfile::env::override_temp_dir(&data);
    let pace = Pace::default();
    pace.set(options.rate.unwrap_or(0));
    Ok(Site { cores: Cores::find(), programs, data, pace })
}
